"""`Dropout`: numbers set to 0 at random in training."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from microgrid.engine import Value
from microgrid.nn.initializers import Generator, generator
from microgrid.nn.module import Module, tell_once
from microgrid.nn.shapes import by_rows, fitted_rows, lists, misfit

_ADVICE: Final = (
    "a Dropout in training draws at random: call eval() on the model, or train it by fit, or by compile(loss, model)"
)


_supply: Final[ContextVar[Callable[[Any], Value | float] | None]] = ContextVar("microgrid_dropout", default=None)


@contextlib.contextmanager
def supplied(supply: Callable[[Any], Value | float]) -> Iterator[None]:
    """Take each factor of a `Dropout` in training from a function of it within a context."""
    token = _supply.set(supply)
    try:
        yield
    finally:
        _supply.reset(token)


class Dropout(Module):
    """In training, set each number to 0 with the probability p, and divide the others by 1 - p; else change nothing.

    The generator of `seed` draws, a whole number or a `random.Random`; by default the global one. Each call draws anew;
    `fit` begins each epoch with a generator of the seed and of the epoch's number, so that resumed runs repeat.
    Compiled training draws the same numbers as recording does, for each sample its own (Srivastava et al. 2014).

    >>> dropout = Dropout(0.5, seed=2)
    >>> [v.data for v in dropout([1.0, 2.0, 3.0])], [v.data for v in dropout.eval()([1.0, 2.0, 3.0])]
    ([2.0, 4.0, 0.0], [1.0, 2.0, 3.0])
    """

    modal = True

    def __init__(self, p: float = 0.5, *, seed: int | Generator | None = None) -> None:
        if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0.0 <= p <= 1.0:
            raise ValueError(f"Dropout: p is the probability to set a number to 0, from 0 to 1, got {p!r}")
        self.p = p
        self.seed = seed
        self._generator = generator(seed)

    def __call__(self, x: Any) -> Any:
        """Return nested lists of the shape of x."""
        nested = lists(x)
        if not isinstance(nested, list):
            raise misfit(self, x, ("...",))
        values = by_rows(nested, lambda row: fitted_rows(self, row, len(row)))
        return by_rows(values, self._row) if self.training and self.p else values

    def _row(self, xs: list[Value]) -> list[Value]:
        supply = _supply.get()
        if supply is not None:
            return [x * supply(self) for x in xs]
        tell_once(xs[0], _ADVICE)
        return [x * self.factor() for x in xs]

    def factor(self) -> float:
        """Draw a factor: 0 or 1 / (1 - p)."""
        return 0.0 if self._generator.random() < self.p else 1.0 / (1.0 - self.p)

    @property
    def state(self) -> Any:
        """State of the generator."""
        return self._generator.getstate()

    @state.setter
    def state(self, state: Any) -> None:
        self._generator.setstate(state)

    def restart(self, epoch: int) -> None:
        """Begin an epoch of training: draw from a generator of the seed and the epoch, if there is a seed."""
        if isinstance(self.seed, int):
            self._generator = random.Random(f"{self.seed}: epoch {epoch}")

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
