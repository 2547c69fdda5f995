"""Cases: a program with numbers of all kinds that lie in memory in all ways, and how it is to be run."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzzing.grammar import LoopProgram

SPECIAL = (math.inf, -math.inf, math.nan, 0.0, -0.0, 5e-324, -1e-310, 2.3e-308, 1e308, -1e308, 1e-160, 1e160, 1.0)
LAYOUTS = ("C", "C", "F", "strided", "readonly", "float32", "lists")


@dataclass(frozen=True)
class Case:
    """A program with its numbers, and how it is to be run."""

    source: str
    several: str
    """The same program with several results."""
    shapes: tuple[tuple[int, ...], ...]
    own: tuple[bool, ...]
    """For each argument whether it is each sample's own."""
    numbers: tuple[Any, ...]
    """For each argument: of its own ones a list of samples, one more than `samples` where there are none."""
    samples: int
    layouts: tuple[str, ...]
    modes: tuple[str, ...]
    width: int
    vector: bool
    threads: int | None
    check: bool
    """Compare compiled code with recording before it is used."""

    def row(self, r: int) -> list[Any]:
        """The arguments of one sample."""
        return [x[r] if own else x for x, own in zip(self.numbers, self.own, strict=True)]


def case_of(data: dict[str, Any]) -> Case:
    """A case from what JSON made of it."""
    return Case(**{key: _tuples(value) if key != "numbers" else value for key, value in data.items()})


def _tuples(x: Any) -> Any:
    return tuple(map(_tuples, x)) if isinstance(x, list) else x


def _drawer(rng: random.Random) -> Callable[[], float]:
    kind = rng.random()
    if kind < 0.5:
        return lambda: rng.gauss(0.0, 1.0)
    if kind < 0.6:
        return lambda: float(rng.randrange(-2, 3))
    if kind < 0.7:
        return lambda: rng.choice((0.1, 0.1, 0.1, -0.1, 0.7))
    if kind < 0.85:
        rare = rng.choice((0.03, 0.3, 1.0))
        return lambda: rng.choice(SPECIAL) if rng.random() < rare else rng.gauss(0.0, 1.0)
    if kind < 0.9:
        scale = 10.0 ** rng.choice((-300, -150, -20, -8, 8, 20, 150, 300))
        return lambda: scale * rng.gauss(0.0, 1.0)
    return lambda: rng.uniform(0.1, 0.9)


def filled(shape: tuple[int, ...], draw: Callable[[], Any]) -> Any:
    """Nested lists of that shape."""
    return [filled(shape[1:], draw) for _ in range(shape[0])] if shape else draw()


def make_case(program: LoopProgram, rng: random.Random, modes: Sequence[str], instructions: int) -> Case:
    """A case of a program: its numbers, how they lie in memory, how many samples."""
    most = max(1, min(200, 30_000 // max(instructions, 1)))
    samples = rng.choice((0, 1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 64, 65, 127, 199, 200))
    samples = min(samples, most)
    draw = _drawer(rng)
    numbers, layouts = [], []
    for argument in program.arguments:
        one = draw if rng.random() < 0.8 else _drawer(rng)
        layout = rng.choice(LAYOUTS)
        if layout == "float32":
            one = functools.partial(_as_float32, one)
        layouts.append(layout)
        count = max(samples, 1)
        numbers.append(
            [filled(argument.shape, one) for _ in range(count)] if argument.own else filled(argument.shape, one)
        )
    return Case(
        program.source(),
        program.source(several=True),
        tuple(argument.shape for argument in program.arguments),
        tuple(argument.own for argument in program.arguments),
        tuple(numbers),
        samples,
        tuple(layouts),
        tuple(modes),
        rng.choice((0, 0, 0, 2, 4)),
        rng.random() < 0.8,
        rng.choice((None, None, 1, 2)),
        rng.random() < 0.4,
    )


def _as_float32(draw: Callable[[], float]) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(draw()))


def laid(numbers: Any, layout: str, shape: tuple[int, ...]) -> Any:
    """An array of these numbers that lies in memory in a certain way."""
    if layout == "lists" and shape[0]:
        return numbers
    array = np.array(numbers, dtype=np.float32 if layout == "float32" else float).reshape(shape)
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.full([2 * n + 1 for n in shape], math.nan)
        place = tuple(slice(2 * n - 1 if n else 0, None, -2) if n else slice(0, 0) for n in shape)
        wide[place] = array
        return wide[place]
    if layout == "readonly":
        array.flags.writeable = False
    return array
