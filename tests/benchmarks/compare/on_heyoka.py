"""heyoka: expressions, differentiated as such, compiled by LLVM. For the cost of calls alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import AT, LONG, OTHERS

HOW = {
    "call": "cfunc, an array made of the floats",
    "pair_list": "cfunc",
    "pair_array": "cfunc",
    "pair_written": "cfunc with outputs=",
    "long_list": "cfunc",
    "long_array": "cfunc",
}
CANNOT = dict.fromkeys(OTHERS, "it is here for the cost of calls")


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
