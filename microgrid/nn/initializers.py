"""Initialisers of the weights of a network.

An initializer is a function (generator, inputs, outputs) that gives one weight: the generator is a `random.Random`, or
the module `random`; the inputs are those of the neuron, the outputs the neurons of its layer. The functions here make
them: `normal(0.01)` is one, and "normal" names `normal()`.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microgrid.engine import Value

Generator = random.Random | ModuleType
Initializer = Callable[[Any, int, int], float]


def uniform(low: float = -1.0, high: float = 1.0) -> Initializer:
    """Draw uniformly between low and high; between -1 and 1, as in micrograd.

    >>> from microgrid import nn
    >>> weights = [w.data for w in nn.Neuron(100, init=uniform(-0.5, 0.5), seed=0).w]
    >>> max(abs(w) for w in weights) < 0.5
    True
    """
    return lambda generator, inputs, outputs: float(generator.uniform(low, high))


def normal(deviation: float = 1.0) -> Initializer:
    """Draw from a normal distribution around 0 with this standard deviation.

    >>> from statistics import pstdev
    >>> from microgrid import nn
    >>> weights = [w.data for w in nn.Neuron(100, init=normal(0.01), seed=0).w]
    >>> round(pstdev(weights), 2)
    0.01
    """
    return lambda generator, inputs, outputs: deviation * float(generator.gauss(0.0, 1.0))


def xavier() -> Initializer:
    """Draw uniformly within sqrt(6 / (inputs + outputs)): for tanh and sigmoid (Glorot and Bengio 2010, eq. 16).

    >>> from microgrid import nn
    >>> weights = [w.data for w in nn.Neuron(100, init=xavier(), seed=0).w]
    >>> max(abs(w) for w in weights) < (6 / (100 + 1)) ** 0.5
    True
    """

    def draw(generator: Any, inputs: int, outputs: int) -> float:
        limit = math.sqrt(6.0 / (inputs + outputs))
        return float(generator.uniform(-limit, limit))

    return draw


def he() -> Initializer:
    """Draw from a normal distribution with standard deviation sqrt(2 / inputs): for relu (He et al. 2015, eq. 10).

    >>> from statistics import pstdev
    >>> from microgrid import nn
    >>> weights = [w.data for w in nn.Neuron(100, init=he(), seed=0).w]
    >>> round(pstdev(weights), 2)
    0.15
    """
    return lambda generator, inputs, outputs: math.sqrt(2.0 / inputs) * float(generator.gauss(0.0, 1.0))


def fan_in() -> Initializer:
    """Draw uniformly within 1 / sqrt(inputs): PyTorch's default for linear, convolutional and recurrent layers.

    >>> from microgrid import nn
    >>> weights = [w.data for w in nn.Neuron(100, init=fan_in(), seed=0).w]
    >>> max(abs(w) for w in weights) < 100 ** -0.5
    True
    """

    def draw(generator: Any, inputs: int, outputs: int) -> float:
        limit = 1.0 / math.sqrt(inputs)
        return float(generator.uniform(-limit, limit))

    return draw


INITIALIZERS: dict[str, Initializer] = {
    "uniform": uniform(),
    "normal": normal(),
    "xavier": xavier(),
    "he": he(),
    "fan_in": fan_in(),
}
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


class Draw:
    """Weights and biases of a layer, drawn in the order in which they are asked for.

    Both by `fan_in` where no initializer is given, as in PyTorch; else the biases are 0.
    """

    def __init__(self, init: str | Initializer | None, source: Generator, inputs: int, outputs: int) -> None:
        self._weight = functools.partial(initializer("fan_in" if init is None else init), source, inputs, outputs)
        self._bias: Callable[[], float] = self._weight if init is None else float

    def weights(self, *shape: int) -> Any:
        """Return nested lists of new parameters."""
        return [self.weights(*shape[1:]) for _ in range(shape[0])] if shape else Value(self._weight())

    def biases(self, count: int) -> list[Value]:
        """Return a list of new parameters."""
        return [Value(self._bias()) for _ in range(count)]
