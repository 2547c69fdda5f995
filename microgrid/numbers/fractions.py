"""Python's fractions: exact."""

from __future__ import annotations

import functools
import math
from typing import Any

from microgrid.numbers.arithmetic import OPERATORS, Arithmetic
from microgrid.numbers.beyond_floats import BeyondFloats

nan, inf = math.nan, math.inf


@functools.cache
def rationals() -> Arithmetic:
    """Return the arithmetic of Python's fractions. Where there is no fraction, as for 1 / 0, a float inf or nan stands.

    Fractions have no -0.0: 1 / -0.0 is inf.
    """
    from fractions import Fraction

    def exactly(x: Any) -> Any:
        return Fraction(x) if math.isfinite(x) else x

    def div(x: Any, y: Any) -> Any:
        if y:
            return x / y
        return inf if x > 0 else -inf if x < 0 else nan

    def power(x: Any, y: Any) -> Any:
        n = int(y)
        if y != n:
            raise TypeError(f"{x} ** {y} is no fraction: replay on mpmath's numbers, or on floats")
        if abs(n) * max(x.numerator.bit_length(), x.denominator.bit_length()) > 10**8 and x not in (-1, 0, 1):
            raise OverflowError("a power has too many digits for a fraction: replay on mpmath's numbers, or on floats")
        return div(Fraction(1), x**-n) if n < 0 else x**n

    return BeyondFloats(
        "fractions",
        exactly,
        {
            **OPERATORS,
            "div": div,
            "constant_power": power,
            "power": power,
            "floor": lambda x: Fraction(math.floor(x)),
            "ceil": lambda x: Fraction(math.ceil(x)),
            "trunc": lambda x: Fraction(math.trunc(x)),
            "round": lambda x: Fraction(round(x)),
            "greater": lambda x, y: Fraction(x > y),
            "equal": lambda x, y: Fraction(x == y),
            "where": lambda condition, x, y: x if condition else y,
            "mod": lambda x, y: (x % y if y else nan) if isinstance(y, Fraction) else x,
            "fmod": lambda x, y: (x - y * math.trunc(x / y) if y else nan) if isinstance(y, Fraction) else x,
        },
        lambda x: isinstance(x, Fraction) or math.isfinite(x),
        _irrational,
        exact=True,
    )


def _irrational(op: str, *operands: Any) -> Any:
    raise TypeError(f"{op}({', '.join(map(str, operands))}) is no fraction: replay on mpmath's numbers, or on floats")
