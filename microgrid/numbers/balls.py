"""python-flint's real balls: numbers with a bound of their error."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from microgrid.core.packages import library
from microgrid.numbers.arithmetic import OPERATORS, Arithmetic, ExactArithmetic

nan, inf = math.nan, math.inf


@functools.cache
def balls() -> Arithmetic:
    """Return the arithmetic of python-flint's real balls, `arb`: each result contains the exact one.

    Where a comparison cannot be decided, as between balls that overlap, the result holds both answers.
    """
    arb = library("flint", "check").arb

    def both(x: Any, y: Any) -> Any:
        return x.union(y)

    def choice(condition: Any, x: Any, y: Any) -> Any:
        if condition.is_nan():
            return arb.nan()
        if condition.contains(0):
            return y if condition.is_zero() else both(x, y)
        return x

    def truth(yes: bool, no: bool) -> Any:
        return arb(1) if yes else arb(0) if no else both(arb(0), arb(1))

    def step(function: Callable[[Any], int]) -> Callable[[Any], Any]:
        def stepped(x: Any) -> Any:
            if not x.is_finite():
                return x
            if abs(x).upper() > arb(2) ** 10_000:  # its fraction would fill the memory
                return x + arb(0, 1)
            low, high = (arb(function(exact_fraction(end))) for end in (x.lower(), x.upper()))
            return both(low, high)

        return stepped

    def power(x: Any, y: Any) -> Any:
        return arb(1) if y == 0 else x**y

    return ExactArithmetic(
        "python-flint's balls",
        arb,
        {
            **OPERATORS,
            "constant_power": power,
            "power": power,
            "cbrt": lambda x: x if x == 0 else x.root(3) if x >= 0 else -(-x).root(3) if x <= 0 else arb.nan(),
            "hypot": lambda x, y: (x * x + y * y).sqrt(),
            "floor_divide": lambda x, y: (x / y).floor() if y.is_finite() else arb.nan(),  # -1 // inf is -1
            "trunc": step(math.trunc),
            "round": step(round),
            "greater": lambda x, y: arb.nan() if x.is_nan() or y.is_nan() else truth(x > y, x <= y),
            "equal": lambda x, y: arb.nan() if x.is_nan() or y.is_nan() else truth(x == y, x != y),
            "where": choice,
        },
        key="flint",
        home=arb,
    )


def exact_fraction(x: Any) -> Any:
    """Return an arb without radius as a fraction."""
    from fractions import Fraction

    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
