"""The choice between LLVM, at one of its efforts, and the interpreter, by the predicted time of LLVM.

Predictions are made from counts alone, so that the choice, and with it the last digits by default, are the same each
time. They are for a quiet machine with a processor of 2023, and within a factor of two there.
"""

from __future__ import annotations

from typing import NamedTuple

from microgrid.compiler.kernel import CACHE
from microgrid.compiler.lanes import Mode

PATIENCE = 0.5
"""Seconds of LLVM from which on it does not pay to wait for it."""

ELEMENT = (1.7e-4, 3.5e-4)
"""Seconds for an element of straight code at full effort, in code of one lane and of several: half of it is LLVM's, the
rest is spent on registers and on text for it."""

QUICK = 1.0e-4
"""Seconds for an element at the effort "quick", in code of one lane."""

LINE = (2.2e-5, 6.0e-5)
"""Seconds for a line of text at full effort, in code of one lane and of several."""

LOOPS = 20
"""Number of instructions to an element from which on code is loops, for which LLVM takes no longer if they are."""


class Choice(NamedTuple):
    """The way in which a program is run. `seconds` is the prediction for LLVM at full effort."""

    effort: str
    """An effort of LLVM; "" for the interpreter."""
    seconds: float
    why: str

    def __str__(self) -> str:
        how = f"machine code by LLVM, {self.effort} effort" if self.effort else "interpreted"
        return f"{how}: {self.why}"


def choose(instructions: int, elements: int, mode: Mode) -> Choice:
    """Return the choice for a program of so many instructions and elements in its loops."""
    several = int(mode.lanes > 1)
    seconds = elements * ELEMENT[several]
    said = f"LLVM is predicted to take {seconds:.2g} s"
    if seconds <= PATIENCE:
        return Choice("full", seconds, said)
    if instructions >= LOOPS * elements:
        return Choice("light", seconds, f"{said}, but the loops run {instructions / elements:.0f} times as much")
    if not several and elements * QUICK <= PATIENCE:
        return Choice("quick", seconds, f"{said} at full effort")
    return Choice("", seconds, f"{said} for {elements:,} elements")


def narrowed(mode: Mode, cells: int) -> Mode:
    """Return the mode for code that stores so many numbers for each sample: its lanes fill two registers, or one where
    a block of samples would not stay in the cache."""
    several = mode.lanes > mode.width and 8 * cells * mode.lanes > CACHE
    return mode._replace(lanes=mode.width) if several else mode


def reconsidered(choice: Choice, lines: int, mode: Mode) -> Choice:
    """Return the choice once the text is written: loops of several iterations side by side have more lines."""
    seconds = lines * LINE[int(mode.lanes > 1)]
    if choice.effort != "full" or seconds <= PATIENCE:
        return choice
    return Choice("light", seconds, f"LLVM is predicted to take {seconds:.2g} s at full effort for {lines:,} lines")
