"""autograd (HIPS): NumPy's arrays, traced anew each time."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    AT,
    DECAY,
    FACTOR,
    INPUTS,
    LABELS,
    LINKS,
    LONG,
    OPERATIONS,
    POINT,
    POINTS,
    RATE,
    START,
    SUMMED,
    layers,
)

HOW = {
    "pair_array": "value_and_grad",
    "long_array": "value_and_grad",
    "demo": "arrays",
    "call": "value_and_grad",
    "chain": "scalars",
    "mixed": "scalars",
    "hessian": "arrays",
}
CANNOT = {
    "pair_list": "its arguments are arrays",
    "pair_written": "its arrays are not written to",
    "long_list": "its arguments are arrays",
    "replay": "it traces anew each time",
}


def demo() -> Callable[[], Any]:
    autograd, np = _autograd()
    x, y = np.array(POINTS), np.array(LABELS, dtype=float)
    state = [[np.array(matrix) for matrix in layers()]]

    def loss(matrices: Any) -> Any:
        h = x
        for k, m in enumerate(matrices):
            h = np.dot(h, m[:, :-1].T) + m[:, -1]
            if k < len(matrices) - 1:
                h = np.maximum(h, 0.0)
        decay = DECAY * sum(np.sum(m * m) for m in matrices)
        return np.mean(np.maximum(1.0 - y * h[:, 0], 0.0)) + decay

    both = autograd.value_and_grad(loss)

    def step() -> Any:
        value, slopes = both(state[0])
        state[0] = [m - RATE * slope for m, slope in zip(state[0], slopes, strict=True)]
        return [value, *state[0]]

    return step


def call() -> Callable[[], Any]:
    autograd, _ = _autograd()
    both = autograd.value_and_grad(lambda x, y: x * y + x * x, (0, 1))
    return lambda: [both(x, y) for x, y in AT]


def pair_array() -> Callable[[], Any]:
    autograd, np = _autograd()
    both = autograd.value_and_grad(lambda x: x[0] * x[1] + x[0] * x[0])
    pairs = list(np.array(AT))
    return lambda: [both(pair) for pair in pairs]


def long_array() -> Callable[[], Any]:
    autograd, np = _autograd()
    both = autograd.value_and_grad(lambda x: np.sum(x[:-1] ** 2 * x[1:]))
    x = np.array(LONG)
    return lambda: both(x)


def chain() -> Callable[[], Any]:
    autograd, _ = _autograd()

    def links(x: Any) -> Any:
        y = x
        for _ in range(LINKS):
            y = FACTOR * y + x
        return y

    both = autograd.value_and_grad(links)
    return lambda: both(START)


def mixed() -> Callable[[], Any]:
    autograd, np = _autograd()

    def graph(inputs: Any) -> Any:
        v = list(inputs)
        for k in range(OPERATIONS):
            kind = k % 4
            if kind == 0:
                v.append(np.logaddexp(0.0, v[-10]))
            elif kind == 1:
                v.append(sum(v[-i] for i in SUMMED))
            elif kind == 2:
                v.append(v[-20] * v[-10])
            else:
                largest = max(v[-4:])
                powers = [np.exp(x - largest) for x in v[-4:]]
                total = sum(powers)
                v.extend(power / total for power in powers)
        return sum(v)

    both = autograd.value_and_grad(graph)
    return lambda: both(list(INPUTS))


def hessian() -> Callable[[], Any]:
    autograd, np = _autograd()
    second = autograd.hessian(
        lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
    )
    x = np.array(POINT)
    return lambda: second(x)


def _autograd() -> tuple[Any, Any]:
    return import_module("autograd"), import_module("autograd.numpy")
