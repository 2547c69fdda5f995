"""heyoka: expressions, differentiated as such, compiled by LLVM."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from compare.data import (
    AT,
    EXPANDED,
    LONG,
    MATRIX,
    ORDERS,
    PLACES,
    POINT,
    SEVENTH,
    arm,
    energy,
    expanded,
    options,
    poses,
    price,
)

HOW = {
    "call": "cfunc, an array made of the floats",
    "pair_list": "cfunc",
    "pair_array": "cfunc",
    "pair_written": "cfunc with outputs=",
    "long_list": "cfunc",
    "long_array": "cfunc",
    **dict.fromkeys(("arms", "arm_hessian", "greeks"), "cfunc for batches, outputs="),
    **dict.fromkeys(("pairs", "determinant", "hessian", "orders", "seventh"), "cfunc with outputs="),
}
CANNOT: dict[str, str] = {}


def _both() -> Any:
    hy: Any = import_module("heyoka")
    x, y = hy.make_vars("x", "y")
    z = x * y + x * x
    return hy.cfunc([z, hy.diff(z, x), hy.diff(z, y)], vars=[x, y])


def call() -> Callable[[], Any]:
    both = _both()
    return lambda: [both([x, y]) for x, y in AT]


def pair_list() -> Callable[[], Any]:
    both = _both()
    pairs = [list(pair) for pair in AT]
    return lambda: [both(pair) for pair in pairs]


def pair_array() -> Callable[[], Any]:
    both = _both()
    pairs = list(import_module("numpy").array(AT))
    return lambda: [both(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    both = _both()
    pairs, results = np.array(AT), np.empty((len(AT), 3))
    given = list(zip(pairs, results, strict=True))

    def run() -> Any:
        for pair, result in given:
            both(pair, outputs=result)
        return [results[:, 0], results[:, 1:]]

    return run


def _long() -> Any:
    hy: Any = import_module("heyoka")
    x = [hy.make_vars(f"x{i}") for i in range(len(LONG))]
    z = hy.sum([a * a * b for a, b in itertools.pairwise(x)])
    derivatives = hy.diff_tensors([z], diff_args=x, diff_order=1).get_derivatives(1)
    return hy.cfunc([z, *[derivative for _, derivative in derivatives]], vars=x)


def long_list() -> Callable[[], Any]:
    both = _long()
    x = list(LONG)
    return lambda: both(x)


def long_array() -> Callable[[], Any]:
    both = _long()
    x = import_module("numpy").array(LONG)
    return lambda: both(x)


def _compiled(outputs: Sequence[Any], names: Sequence[Any], at: Any) -> Callable[[], Any]:
    """A call of the function of those expressions, for a column or a batch of columns; results are kept."""
    hy: Any = import_module("heyoka")
    np: Any = import_module("numpy")
    function = hy.cfunc(list(outputs), vars=list(names))
    at = np.ascontiguousarray(at)
    results = np.empty((len(outputs), *at.shape[1:]))
    return lambda: function(at, outputs=results)


def _slopes(z: Any, names: Sequence[Any], order: int = 1) -> Any:
    """All derivatives of that order: what they are by, and expressions."""
    hy: Any = import_module("heyoka")
    return hy.diff_tensors([z], diff_args=list(names), diff_order=order).get_derivatives(order)


def _gradient(z: Any, names: Sequence[Any]) -> list[Any]:
    return [z, *[slope for _, slope in _slopes(z, names)]]


def _hessian(z: Any, names: Sequence[Any]) -> list[Any]:
    hy: Any = import_module("heyoka")
    found = {tuple(by[1:]): slope for by, slope in _slopes(z, names, 2)}
    n = range(len(names))
    pairs = [tuple((i == k) + (j == k) for k in n) for i in n for j in n]
    return [found.get(pair, hy.expression(0.0)) for pair in pairs]


def _names(count: int) -> list[Any]:
    hy: Any = import_module("heyoka")
    return [hy.make_vars(f"x{i}") for i in range(count)]


def arms() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    q = _names(7)
    run = _compiled(_gradient(arm(q, hy.sin, hy.cos), q), q, poses().T)

    def both() -> Any:
        results = run()
        return lambda: [results[0], results[1:].T]

    return both


def arm_hessian() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    q = _names(7)
    run = _compiled(_hessian(arm(q, hy.sin, hy.cos), q), q, poses().T)
    return lambda: run().T


def greeks() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    x = _names(5)
    return _compiled(_gradient(price(x, hy), x), x, options())


def pairs() -> Callable[[], Any]:
    x = _names(len(PLACES))
    return _compiled(_gradient(energy(x), x), x, PLACES)


def determinant() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    n = len(MATRIX)
    x = _names(n * n)
    z = expanded([x[n * i : n * i + n] for i in range(n)])
    return _compiled(_gradient(z, x), x, np.array(MATRIX).ravel())


def hessian() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    x = _names(len(POINT))
    z = hy.sum([100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in itertools.pairwise(x)])
    return _compiled(_hessian(z, x), x, POINT)


def _nested() -> tuple[Any, Any]:
    hy: Any = import_module("heyoka")
    x = hy.make_vars("x")
    return x, hy.tanh(hy.sin(x) * hy.exp(x))


def orders() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    x, z = _nested()
    found = hy.diff_tensors([z], diff_args=[x], diff_order=ORDERS)
    return _compiled([found[0, k] for k in range(ORDERS + 1)], [x], [EXPANDED])


def seventh() -> Callable[[], Any]:
    hy: Any = import_module("heyoka")
    x, z = _nested()
    return _compiled([hy.diff_tensors([z], diff_args=[x], diff_order=SEVENTH)[0, SEVENTH]], [x], [EXPANDED])
