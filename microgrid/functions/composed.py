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
    """Return sin(pi x) / (pi x), and 1 at 0, as NumPy does.

    >>> round(sinc(0.5), 4), sinc(0.0)
    (0.6366, 1.0)
    """
    return sinc_derivative(mul(math.pi, x), 0.0)


def exp10(x: Any) -> Any:
    """Return 10 ** x.

    >>> round(exp10(2.0), 6)
    100.0
    """
    return power(10.0, x)


def square(x: Any) -> Any:
    """Return x * x.

    >>> square(3.0)
    9.0
    """
    return mul(x, x)


def reciprocal(x: Any) -> Any:
    """Return 1 / x.

    >>> reciprocal(4.0)
    0.25
    """
    return div(1.0, x)


def rsqrt(x: Any) -> Any:
    """Return 1 / sqrt(x); inf at 0, with derivative -inf.

    >>> rsqrt(4.0)
    0.5
    """
    return constant_power(x, -0.5)


def deg2rad(x: Any) -> Any:
    """Return an angle in radians, given it in degrees.

    >>> round(deg2rad(180.0), 4)
    3.1416
    """
    return mul(math.pi / 180.0, x)


def rad2deg(x: Any) -> Any:
    """Return an angle in degrees, given it in radians.

    >>> round(rad2deg(math.pi), 4)
    180.0
    """
    return mul(180.0 / math.pi, x)


def logsubexp(x: Any, y: Any) -> Any:
    """Return log(exp(x) - exp(y)), without overflow; nan where x < y.

    >>> round(logsubexp(1000.0, 999.0), 4)
    999.5413
    """
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
