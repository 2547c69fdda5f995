"""Exact slopes of rational functions: fractions with an infinitesimal part, ordered, so that kinks have two sides.

x + e is greater than x when e is to the right, less when it is to the left. This is an arithmetic of its own: it uses
no rule of the table of ops.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from microgrid.numbers.arithmetic import ExactArithmetic


class Infinitesimal(NamedTuple):
    """a + b e, where e is infinitely small, positive on the side +1, negative on the side -1, and 0 at the point, 0."""

    a: Fraction
    b: Fraction
    side: int

    def sign(self) -> int:
        """-1, 0 or 1."""
        x = self.a or self.b * self.side
        return (x > 0) - (x < 0)


class NotExact(ArithmeticError):
    """A function has no exact slope here."""


MOST_BITS = 50_000
"""Maximum number of bits of a fraction: squaring doubles them, and forty squarings would fill the memory."""


def infinitesimals(side: int) -> ExactArithmetic:
    """Return the arithmetic of the neighbourhood on one side."""
    number = Infinitesimal

    def constant(x: Any) -> Infinitesimal:
        if isinstance(x, Infinitesimal):
            return x
        if not math.isfinite(x):
            raise NotExact(f"{x} is no fraction")
        return number(Fraction(x), Fraction(0), side)

    def sub(x: Infinitesimal, y: Infinitesimal) -> Infinitesimal:
        return number(x.a - y.a, x.b - y.b, side)

    def small(a: Fraction, b: Fraction) -> Infinitesimal:
        if max(a.numerator.bit_length(), a.denominator.bit_length(), b.numerator.bit_length()) > MOST_BITS:
            raise NotExact("a fraction of very many digits")
        return number(a, b, side)

    def mul(x: Infinitesimal, y: Infinitesimal) -> Infinitesimal:
        return small(x.a * y.a, x.a * y.b + x.b * y.a)

    def div(x: Infinitesimal, y: Infinitesimal) -> Infinitesimal:
        if not y.a:
            raise NotExact("a division by zero")
        return small(x.a / y.a, (x.b * y.a - x.a * y.b) / (y.a * y.a))

    def power(x: Infinitesimal, c: Any) -> Infinitesimal:
        exponent = c.a if isinstance(c, Infinitesimal) else Fraction(c)
        if (isinstance(c, Infinitesimal) and c.b) or exponent.denominator != 1 or abs(exponent) > 1000:
            raise NotExact(f"the power {exponent}")
        result = constant(1.0)
        for _ in range(abs(int(exponent))):
            result = mul(result, x)
        return div(constant(1.0), result) if exponent < 0 else result

    def truth(holds: bool) -> Infinitesimal:
        return constant(1.0 if holds else 0.0)

    def floor(x: Infinitesimal) -> Infinitesimal:
        whole = math.floor(x.a)
        return constant(whole - (whole == x.a and x.b * side < 0))

    def neg(x: Infinitesimal) -> Infinitesimal:
        return number(-x.a, -x.b, side)

    def rounded(x: Infinitesimal) -> Infinitesimal:
        half = Fraction(1, 2)
        if (x.a - half).denominator == 1 and x.b:
            return constant(x.a - half if x.b * side < 0 else x.a + half)
        return constant(round(x.a))

    def refuse(*_operands: Any) -> Infinitesimal:
        raise NotExact("an op that leads out of the fractions")

    return ExactArithmetic(
        "infinitesimals",
        constant,
        {
            "add": lambda x, y: number(x.a + y.a, x.b + y.b, side),
            "sub": sub,
            "mul": mul,
            "div": div,
            "neg": neg,
            "constant_power": power,
            "power": power,
            "abs": lambda x: neg(x) if x.sign() < 0 else x,
            "sign": lambda x: constant(x.sign()),
            "floor": floor,
            "ceil": lambda x: neg(floor(neg(x))),
            "trunc": lambda x: neg(floor(neg(x))) if x.sign() < 0 else floor(x),
            "round": rounded,
            "greater": lambda x, y: truth(sub(x, y).sign() > 0),
            "equal": lambda x, y: truth(sub(x, y).sign() == 0),
            "where": lambda condition, x, y: x if condition.sign() else y,
            "zero_product": mul,
            "identity": lambda x: x,
        },
        refuse,
    )
