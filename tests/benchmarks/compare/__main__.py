"""The command: `PYTHONPATH=tests/benchmarks python -m compare`."""

from __future__ import annotations

import argparse
import compileall
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import microgrid
from compare import race, tables
from compare.peers import OURS, PEERS
from compare.works import WORKS

DESCRIPTION = """\
Measure microgrid and each of its peers that is installed, each in a process of
its own with one thread: they get ready one by one, then run in turn, round
after round. Each round gives ratios; tables have the median of the times, the
median of the ratios, the least and the most. Before that, all have to give the
same numbers. The exit code is 1 when one of them gave other numbers, or figures
failed.

With --all the figures of microgrid alone, of both builds, and the growth of
first calls are measured, too: all that the page of measurements has.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of the works asked for, of all for none, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="compare", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"which of {', '.join(WORKS)} (all of them)")
    parser.add_argument("--all", action="store_true", help="measure all that is on the page")
    parser.add_argument("--rounds", type=int, default=9, help="ratios for each entry (%(default)s)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for an entry to get ready (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results there, as JSON")
    parser.add_argument("--render", type=Path, metavar="FILE", help="write the tables of such a file into the pages")
    options = parser.parse_args(arguments)
    for name in options.works:
        if name not in WORKS:
            parser.error(f"there is no work {name}: choose from {', '.join(WORKS)}")
    if options.rounds < 1 or options.limit <= 0.0:
        parser.error(f"--rounds and --limit must be positive, got {options.rounds} and {options.limit:g}")
    if options.all and options.works:
        parser.error("--all measures all works: name none")
    if options.out is not None and not options.out.parent.is_dir():
        parser.error(f"cannot write {options.out}: there is no folder {options.out.parent}")
    if options.render is not None:
        tables.render(json.loads(options.render.read_text(encoding="utf-8")))
        return 0
    results = measured(options.works or list(WORKS), options.rounds, options.limit, more=options.all)
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(tables.written(results))
    wrong = any(entry["wrong"] for entries in results["works"].values() for entry in entries)
    return int(wrong or bool(results.get("failed")))


def measured(works: Sequence[str], rounds: int, limit: float, *, more: bool) -> dict[str, Any]:
    """Return all results of a run, as JSON has them."""
    start = time.perf_counter()
    for package in (Path(microgrid.__file__).parent, race.ROOT / "microgrid"):
        compileall.compile_dir(package, quiet=2)  # to byte code, as an installation does: first calls begin with that

    def tell(text: str) -> None:
        if sys.stderr.isatty() or "round" not in text:
            print(f"{time.perf_counter() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    results: dict[str, Any] = {
        "machine": race.machine(),
        "versions": {peer.package or peer.command: race.version(peer) for peer in PEERS if peer is not OURS},
        "rounds": rounds,
        "works": {},
    }
    for name in works:
        entries = race.race(WORKS[name], rounds=rounds, limit=limit, tell=tell)
        results["works"][name] = [entry._asdict() for entry in entries]
    if more:
        import scaling

        from compare import alone

        results["figures"], results["failed"] = alone.all_figures(tell)
        tell("growth of first calls")
        results["scaling"] = scaling.growth()
        scaling.plot(results["scaling"])
    results["minutes"] = (time.perf_counter() - start) / 60.0
    return results


if __name__ == "__main__":
    sys.exit(main())
