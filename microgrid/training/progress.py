"""The progress bar of a run; its text is written as often as it is shown, not after each epoch."""

from __future__ import annotations

import time

from microgrid.core.bars import bar
from microgrid.training.history import History

PAUSE = 0.05
"""Seconds between two updates, half of those after which tqdm draws anew: a run of 10,000 epochs may take less than a
second, and an update takes 20 us."""


class Progress:
    """A bar of tqdm over epochs, or none."""

    def __init__(self, wanted: bool | None, start: int, epochs: int) -> None:
        self._bar = bar(wanted, total=epochs, initial=start, unit="epoch")
        self._shown = start
        self._next = 0.0

    def __call__(self, history: History) -> None:
        """Tell of the last epoch, if it is time."""
        if self._bar is not None and (now := time.perf_counter()) >= self._next:
            self._next = now + PAUSE
            self._update(history)

    def write(self, line: str) -> None:
        """Write a line above the bar."""
        if self._bar is not None:
            self._bar.write(line)

    def close(self, history: History) -> None:
        """Tell of the last epoch, and leave the bar as it is."""
        if self._bar is not None:
            if len(history) > self._shown:
                self._update(history)
            self._bar.close()

    def _update(self, history: History) -> None:
        numbers = {"loss": history.loss, **history.measured}
        self._bar.set_postfix({name: f"{curve[-1]:.4g}" for name, curve in numbers.items()}, refresh=False)
        self._bar.update(len(history) - self._shown)
        self._shown = len(history)
