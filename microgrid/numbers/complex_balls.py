"""Complex balls, python-flint's `acb`, as an arithmetic whose finite results prove that a function is holomorphic.

Each result is sure to contain the exact one. Where a box touches a branch cut, a kink or a jump, the result is nan;
with `analytic`, Arb says so itself (F. Johansson, "Numerical integration in arbitrary-precision ball
arithmetic", 2018).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from microgrid.core.packages import library
from microgrid.core.primitive import Interval, Op
from microgrid.numbers.arithmetic import OPERATORS, Arithmetic, ExactArithmetic


class _ComplexBalls(ExactArithmetic):
    def adapted(self, op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
        """The native where the real parts of its operands are within the op's domain: a branch cut ends at its edge."""

        nan = library("flint", "check").arb.nan()
        undecided = self.home(nan, nan)

        def restricted(*operands: Any) -> Any:
            if all(map(_is_within, operands, op.domain[: op.arity - op.static])):
                return function(*operands)
            return undecided

        return restricted


def _is_within(z: Any, interval: Interval) -> bool:
    """Return True if a box is left and right of all points that the open interval leaves out."""
    return bool(
        (interval.low == -math.inf or z.real > interval.low)
        and (interval.high == math.inf or z.real < interval.high)
        and not any(z.contains(x) for x in interval.except_at)
    )


@functools.cache
def complex_balls() -> Arithmetic:
    """Return the arithmetic of `acb`, at the precision of python-flint's context."""
    flint = library("flint", "check")
    acb, arb = flint.acb, flint.arb
    undecided = acb(arb.nan(), arb.nan())

    def within(low: float | None, high: float | None, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Restrict a function to real parts between these bounds, where it has no branch cut."""

        def restricted(z: Any) -> Any:
            inside = (low is None or z.real > low) and (high is None or z.real < high)
            return function(z) if inside else undecided

        return restricted

    def off_the_imaginary_axis(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Restrict a function with branch cuts on the imaginary axis from 1 and -1 outwards."""

        def restricted(z: Any) -> Any:
            clear = abs(z.imag) < 1 or not z.real.contains(0)
            return function(z) if clear else undecided

        return restricted

    def sign(z: Any) -> Any:
        return z if z.is_zero() else z.real_sgn(analytic=True)

    def greater(x: Any, y: Any) -> Any:
        difference = x - y
        return acb(0) if difference.is_zero() else difference.real_heaviside(analytic=True)

    def equal(x: Any, y: Any) -> Any:
        difference = x - y
        return acb(1) if difference.is_zero() else undecided if difference.contains(0) else acb(0)

    def where(condition: Any, x: Any, y: Any) -> Any:
        return y if condition.is_zero() else undecided if condition.contains(0) else x

    def cbrt(z: Any) -> Any:
        third = acb(1) / 3
        return z.pow(third, analytic=True) if z.real > 0 else -((-z).pow(third, analytic=True))

    def atan2(y: Any, x: Any) -> Any:
        if x.real > 0:
            return atan(y / x)
        half_turn = acb.pi() / 2
        if y.real > 0:
            return half_turn - atan(x / y)
        if y.real < 0:
            return -half_turn - atan(x / y)
        return undecided

    def trunc(z: Any) -> Any:
        if abs(z.real) < 1:
            return acb(0)
        return -((-z).real_floor(analytic=True)) if z.real < 0 else z.real_floor(analytic=True)

    def copysign(x: Any, y: Any) -> Any:
        return undecided if y.is_zero() else x.real_abs(analytic=True) * sign(y)

    def sinc_derivative(z: Any, n: float) -> Any:
        m = int(n)
        if (
            abs(z.real) > 100 + m
        ):  # the recurrence loses little there, and the terms of the series grow like exp(abs(z))
            sin, cos = z.sin(), z.cos()
            f = sin / z
            for k in range(1, m + 1):
                f = ((sin, cos, -sin, -cos)[k % 4] - k * f) / z
            return f
        largest = abs(z).upper()
        if not largest < 10_000:
            return undecided
        with flint.ctx.workprec(flint.ctx.prec + 20 + int(3 * float(largest))):
            return sinc_series(z, m)

    def sinc_series(z: Any, m: int) -> Any:
        """The Taylor series; what is left out is below twice its first term, once each is below half the one before."""
        k = m + m % 2
        term = acb(-1) ** (k // 2) / (k + 1) * (z if m % 2 else 1)
        total = term
        squared = abs(z * z)
        while True:
            if not term.is_finite() or k > 100_000:
                return undecided
            shrinks = squared * (k + 1) < arb((k + 3) * (k + 2 - m) * (k + 1 - m)) / 2
            if shrinks and abs(term).upper() < arb(2) ** (-flint.ctx.prec):
                rest = 2 * abs(term).upper()
                return total + acb(arb(0, rest), arb(0, rest))
            term = term * (-z * z * (k + 1)) / ((k + 3) * (k + 2 - m) * (k + 1 - m))
            total += term
            k += 2

    atan = off_the_imaginary_axis(lambda z: z.atan())
    return _ComplexBalls(
        "complex balls",
        acb,
        {
            **OPERATORS,
            "constant_power": lambda x, c: x.pow(acb(c), analytic=True),
            "power": lambda x, y: x.pow(y, analytic=True),
            "log": lambda z: z.log(analytic=True),
            "log1p": within(-1, None, lambda z: z.log1p()),
            "xlogy": lambda x, y: x * y.log(analytic=True),
            "sqrt": lambda z: z.sqrt(analytic=True),
            "cbrt": cbrt,
            "hypot": lambda x, y: (x * x + y * y).sqrt(analytic=True),
            "asin": within(-1, 1, lambda z: z.asin()),
            "acos": within(-1, 1, lambda z: z.acos()),
            "atanh": within(-1, 1, lambda z: z.atanh()),
            "acosh": within(1, None, lambda z: z.acosh()),
            "atan": atan,
            "asinh": off_the_imaginary_axis(lambda z: z.asinh()),
            "atan2": atan2,
            "direction": lambda x, y: x / (x * x + y * y).sqrt(analytic=True),
            "shifted_exp": lambda x, y: (x - y).exp(),
            "sinc_derivative": sinc_derivative,
            "abs": lambda z: z.real_abs(analytic=True),
            "sign": sign,
            "copysign": copysign,
            "floor": lambda z: z.real_floor(analytic=True),
            "ceil": lambda z: z.real_ceil(analytic=True),
            "round": lambda z: (z + acb(0.5)).real_floor(analytic=True),
            "trunc": trunc,
            "greater": greater,
            "equal": equal,
            "where": where,
            "zero_product": lambda x, y: x * y,
        },
        key="flint complex",
        home=acb,
    )
