"""Initialisers of the weights of a network.

An initializer is a function (generator, inputs, outputs) that gives one weight: the generator is a `random.Random`, or
the module `random`; the inputs are those of the neuron, the outputs the neurons of its layer. The functions here make
them: `normal(0.01)` is one, and "normal" names `normal()`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

Generator = random.Random | ModuleType
Initializer = Callable[[Any, int, int], float]


def uniform(low: float = -1.0, high: float = 1.0) -> Initializer:
    """Draw uniformly between low and high; between -1 and 1, as in micrograd."""
    return lambda generator, inputs, outputs: float(generator.uniform(low, high))


def normal(deviation: float = 1.0) -> Initializer:
    """Draw from a normal distribution around 0 with this standard deviation."""
    return lambda generator, inputs, outputs: deviation * float(generator.gauss(0.0, 1.0))


def xavier() -> Initializer:
    """Draw uniformly within sqrt(6 / (inputs + outputs)): for tanh and sigmoid (Glorot and Bengio 2010, eq. 16)."""

    def draw(generator: Any, inputs: int, outputs: int) -> float:
        limit = math.sqrt(6.0 / (inputs + outputs))
        return float(generator.uniform(-limit, limit))

    return draw


def he() -> Initializer:
    """Draw from a normal distribution with standard deviation sqrt(2 / inputs): for relu (He et al. 2015, eq. 10)."""
    return lambda generator, inputs, outputs: math.sqrt(2.0 / inputs) * float(generator.gauss(0.0, 1.0))


INITIALIZERS: dict[str, Initializer] = {"uniform": uniform(), "normal": normal(), "xavier": xavier(), "he": he()}
"""Initializers that a network takes by name."""


def initializer(init: str | Initializer) -> Initializer:
    """Return the initializer of this name, or the function itself."""
    if not isinstance(init, str):
        return init
    if init not in INITIALIZERS:
        raise ValueError(f"unknown initializer {init!r}: choose one of {', '.join(INITIALIZERS)}, or pass a function")
    return INITIALIZERS[init]


def generator(seed: int | Generator | None) -> Generator:
    """Return a generator for this seed; the one given; or for None the global one of `random`."""
    if seed is None:
        return random
    return random.Random(seed) if isinstance(seed, int) else seed
