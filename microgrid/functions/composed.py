"""Functions of one scalar composed of ops, where the composition keeps a derivative that survives rounding.

A function whose composition does not is an op of its own. Numbers give numbers, `Value`s give `Value`s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from microgrid.core.value_arrays import scalar_functions
from microgrid.functions.activations import ACTIVATIONS
from microgrid.functions.circular import csc, sec
from microgrid.functions.logarithms import log1mexp
from microgrid.ops import add, constant_power, div, mul, power, sinc_derivative, sub


def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), and 1 at 0, as NumPy does."""
    return sinc_derivative(mul(math.pi, x), 0.0)


def exp10(x: Any) -> Any:
    """Return 10 ** x."""
    return power(10.0, x)


def square(x: Any) -> Any:
    """Return x * x."""
    return mul(x, x)


def reciprocal(x: Any) -> Any:
    """Return 1 / x."""
    return div(1.0, x)


def rsqrt(x: Any) -> Any:
    """Return 1 / sqrt(x); inf at 0, with derivative -inf."""
    return constant_power(x, -0.5)


def deg2rad(x: Any) -> Any:
    """Return an angle in radians, given it in degrees."""
    return mul(math.pi / 180.0, x)


def rad2deg(x: Any) -> Any:
    """Return an angle in degrees, given it in radians."""
    return mul(180.0 / math.pi, x)


def logsubexp(x: Any, y: Any) -> Any:
    """Return log(exp(x) - exp(y)), without overflow; nan where x < y."""
    return add(x, log1mexp(sub(x, y)))


COMPOSED: Final[dict[str, Callable[..., Any]]] = {
    **ACTIVATIONS,
    **{
        function.__name__: function
        for function in (
            sinc,
            exp10,
            square,
            reciprocal,
            rsqrt,
            deg2rad,
            rad2deg,
            logsubexp,
            sec,
            csc,
        )
    },
}
"""Composed functions by name; each is a method of `Value`, too."""
scalar_functions.update(COMPOSED)
