"""`microgrid bench`: microgrid and its peers on the same work, measured in one run and in turn.

`works.py` says what the work is, `peers.py` who takes part, each `on_*.py` how one of them does it, and `race.py` who
runs when. Every number that is printed was measured in that run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from microgrid.bench import race
from microgrid.bench.tables import FORMATS, written
from microgrid.bench.works import WORKS
from microgrid.given import CommandError, Misuse

__all__ = ["FORMATS", "WORKS", "bench"]


def bench(names: Sequence[str], *, format: str, pairs: int, limit: float, out: Path | None = None) -> int:
    """Print the table of these works, of all for none; the exit code, 1 when a peer gave another result."""
    for name in names:
        if name not in WORKS:
            raise Misuse(f"there is no work {name}: choose from {', '.join(WORKS)}")
    if out is not None and not out.parent.is_dir():
        raise CommandError(f"cannot write {out}: there is no folder {out.parent}")
    tell = (lambda text: print(text, file=sys.stderr)) if sys.stderr.isatty() else (lambda text: None)
    results = race.run([WORKS[name] for name in names or WORKS], pairs=pairs, limit=limit, tell=tell)
    text = written(results, format)
    print(text)
    if out is not None:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"cannot write {out}: {error.strerror}; choose another place with --out") from None
    return int(any(entry.wrong for entry in results.entries))
