"""numba: the function and its derivatives, written by hand in Python, compiled. For the cost of calls alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import AT, LONG, OTHERS

HOW = {
    "call": "njit, derivatives by hand",
    "pair_array": "njit, derivatives by hand",
    "pair_written": "njit, derivatives by hand",
    "long_array": "njit, derivatives by hand",
}
CANNOT = dict.fromkeys(OTHERS, "it has no derivatives") | dict.fromkeys(
    ("pair_list", "long_list"), "lists of Python are converted number by number, which it advises against"
)


def call() -> Callable[[], Any]:
    def both(x: float, y: float) -> tuple[float, float, float]:
        return x * y + x * x, y + 2.0 * x, x

    compiled = import_module("numba").njit(both)
    return lambda: [compiled(x, y) for x, y in AT]


def pair_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any) -> tuple[float, Any]:
        return x[0] * x[1] + x[0] * x[0], np.array([x[1] + 2.0 * x[0], x[0]])

    compiled = import_module("numba").njit(both)
    pairs = list(np.array(AT))
    return lambda: [compiled(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any, gradient: Any) -> float:
        gradient[0] = x[1] + 2.0 * x[0]
        gradient[1] = x[0]
        return float(x[0] * x[1] + x[0] * x[0])

    compiled = import_module("numba").njit(both)
    pairs, gradients = np.array(AT), np.empty((len(AT), 2))
    given = list(zip(pairs, gradients, strict=True))
    return lambda: [[compiled(pair, gradient) for pair, gradient in given], gradients]


def long_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any) -> tuple[float, Any]:
        value, gradient = 0.0, np.zeros(len(x))
        for i in range(len(x) - 1):
            value += x[i] * x[i] * x[i + 1]
            gradient[i] += 2.0 * x[i] * x[i + 1]
            gradient[i + 1] += x[i] * x[i]
        return value, gradient

    compiled = import_module("numba").njit(both)
    x = np.array(LONG)
    return lambda: compiled(x)
