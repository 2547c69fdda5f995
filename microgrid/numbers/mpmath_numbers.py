"""mpmath's real numbers, of any number of digits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from microgrid.core.packages import library
from microgrid.core.primitive import Op
from microgrid.numbers.arithmetic import OPERATORS, Arithmetic
from microgrid.numbers.beyond_floats import BeyondFloats

nan, inf = math.nan, math.inf


class _Mpmath(BeyondFloats):
    def adapted(self, op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
        """The native, whose complex results are nan."""
        return _real(self.home, function)


def _real(mp: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    def computed(*operands: Any) -> Any:
        try:
            result = function(*operands)
        except (ZeroDivisionError, ValueError):
            return mp.nan
        return mp.nan if isinstance(result, mp.mpc) else result

    return computed


@functools.cache
def mpmath_numbers() -> Arithmetic:
    """Return the arithmetic of mpmath's real numbers, with the digits of its context. Complex results are nan."""
    mp = library("mpmath", "check").mp

    real = functools.partial(_real, mp)

    def below(bits: int, function: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
        """Return the function up to 2**bits; beyond, its limits: computing them would take all memory."""
        within = real(function)
        return lambda x: within(x) if mp.mag(x) < bits else high if x > 0 else low

    def div(x: Any, y: Any) -> Any:
        if y:
            return x / y
        return mp.inf * mp.sign(x) if x else mp.nan

    def power(x: Any, y: Any) -> Any:
        if not x and y < 0:
            return mp.inf
        if x > 0 and x != 1:
            exponent = y * mp.log(x)
            if mp.mag(exponent) > 64:
                return mp.inf if exponent > 0 else mp.mpf(0)
        return mp.power(x, y)

    def remainder(x: Any, y: Any) -> Any:
        if not mp.isfinite(y):
            return x
        return x % y if y and mp.mag(x) - mp.mag(y) < 10_000 else mp.nan

    limits = {"exp": (0, mp.inf), "expm1": (-1, mp.inf), "sinh": (-mp.inf, mp.inf), "cosh": (mp.inf, mp.inf)}
    limits |= {"tanh": (-1, 1), "erf": (-1, 1), "erfc": (2, 0)}
    far = {"sin": mp.sin, "cos": mp.cos, "tan": mp.tan}
    functions: dict[str, Callable[..., Any]] = {
        **OPERATORS,
        **{name: below(64, getattr(mp, name), mp.mpf(low), mp.mpf(high)) for name, (low, high) in limits.items()},
        **{name: below(10_000, function, mp.nan, mp.nan) for name, function in far.items()},
        "div": div,
        "constant_power": real(power),
        "power": real(power),
        "log": real(lambda x: mp.log(x) if x else -mp.inf),
        "log1p": real(lambda x: mp.log1p(x) if x != -1 else -mp.inf),
        "atanh": real(lambda x: mp.atanh(x) if abs(x) != 1 else mp.sign(x) * mp.inf),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "atan2": lambda y, x: mp.atan2(mp.sign(y), mp.sign(x)) if mp.isinf(x) and mp.isinf(y) else mp.atan2(y, x),
        "sinc_derivative": functools.partial(_mpmath_sinc_derivative, mp),
        "trunc": lambda x: mp.sign(x) * mp.floor(abs(x)),
        "round": mp.nint,
        "greater": lambda x, y: mp.mpf(x > y),
        "equal": lambda x, y: mp.mpf(x == y),
        "where": lambda condition, x, y: x if condition else y,
        "mod": remainder,
        "fmod": lambda x, y: mp.sign(x) * remainder(abs(x), abs(y)),
    }
    return _Mpmath("mpmath's numbers", mp.mpf, functions, mp.isfinite, key="mpmath", home=mp)


def _mpmath_sinc_derivative(mp: Any, x: Any, n: Any) -> Any:
    """The Taylor series of sin(x) / x differentiated n times, with digits enough for what cancels in it."""
    if not (float(n).is_integer() and 0 <= n <= 1000 and mp.mag(x) < 10_000):
        return mp.nan
    m = int(n)
    if abs(x) > 100 + m:  # there the recurrence loses little, and the series would have very large terms
        with mp.workprec(mp.prec + 20):
            cos, sin = mp.cos_sin(x)
            f = sin / x
            for k in range(1, m + 1):
                f = ((sin, cos, -sin, -cos)[k % 4] - k * f) / x
        return +f
    with mp.workprec(mp.prec + 20 + int(3 * abs(x))):
        k = m + m % 2
        term = mp.mpf(-1) ** (k // 2) / (k + 1) * (x if m % 2 else 1)
        total, smallest = term, mp.eps * abs(term)
        while abs(term) > smallest:
            term *= -x * x * (k + 1) / ((k + 3) * (k + 2 - m) * (k + 1 - m))
            total += term
            k += 2
    return +total
