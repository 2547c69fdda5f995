"""The command: `PYTHONPATH=tests/benchmarks python -m compare`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compare import race
from compare.tables import FORMATS, written
from compare.works import WORKS

DESCRIPTION = """\
Measure microgrid and each of micrograd, PyTorch, JAX, autograd, NumPy, CasADi,
numba, heyoka and C
that is installed, each in a process of its own, in turn: a pair of times gives a
ratio, and the table has the median of the ratios, the least and the most. Before
that, all have to give the same numbers. What is missing is listed as missing.
All of it takes about ten minutes; --pairs 3 --limit 20 is quicker. The exit code
is 1 when one of them gave other numbers.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the works asked for, of all for none, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="compare", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"which of {', '.join(WORKS)} (all of them)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how the table is written (%(default)s)")
    parser.add_argument("--pairs", type=int, default=15, help="ratios for each entry (%(default)s)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for an entry to get ready (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there, too")
    options = parser.parse_args(arguments)
    for name in options.works:
        if name not in WORKS:
            parser.error(f"there is no work {name}: choose from {', '.join(WORKS)}")
    if options.pairs < 1 or options.limit <= 0.0:
        parser.error(f"--pairs and --limit must be positive, got {options.pairs} and {options.limit:g}")
    if options.out is not None and not options.out.parent.is_dir():
        parser.error(f"cannot write {options.out}: there is no folder {options.out.parent}")

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            print(text, file=sys.stderr)

    results = race.run(
        [WORKS[name] for name in options.works or WORKS], pairs=options.pairs, limit=options.limit, tell=tell
    )
    text = written(results, options.format)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return int(any(entry.wrong for entry in results.entries))


if __name__ == "__main__":
    sys.exit(main())
