"""The stage of a compilation, told on a line of progress where it takes more than two seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from microgrid.core.bars import bar

T = TypeVar("T")

WAIT = 2.0
"""Seconds after which a line is shown."""

PAUSE = 0.2
"""Seconds between two updates."""

_here = threading.local()


class _Telling:
    """A line of progress in a thread of its own, which ends with `close`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stage = "recording"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="microgrid progress", daemon=True)
        self._thread.start()

    def _tell(self) -> None:
        if self._done.wait(WAIT):
            return
        line = bar(None, bar_format="{desc} {elapsed}", leave=False)
        if line is None:
            return
        try:
            while True:
                line.set_description_str(f"compiling {self.name}: {self.stage}")
                if self._done.wait(PAUSE):
                    return
        finally:
            line.close()

    def close(self) -> None:
        """End the line, which disappears."""
        self._done.set()
        self._thread.join()


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """Tell on a line of progress what stage the compilation of a function is in."""
    if getattr(_here, "telling", None) is not None or not _seen():
        yield
        return
    telling = _here.telling = _Telling(name)
    try:
        yield
    finally:
        _here.telling = None
        telling.close()


def _seen() -> bool:
    """Return True where a person sees what is written to the standard error."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def enter(stage: str) -> None:
    """Set the stage."""
    telling: _Telling | None = getattr(_here, "telling", None)
    if telling is not None:
        telling.stage = stage


def interruptible(items: Iterable[T]) -> Iterator[T]:
    """Yield the items; between two of them a signal may interrupt a stage, and another thread may run.

    Stages that are machine code themselves give neither a chance. Nor does `yield from`.
    """
    for item in items:  # noqa: UP028  # see above
        yield item
