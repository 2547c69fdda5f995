"""Enclosures of a program's results: in balls of 600 bits or more; else to some 30 certain digits."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from microgrid.core.packages import library
from microgrid.numbers.balls import balls
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.program import Program

Enclosure = tuple[Fraction, Fraction]

BITS = (600, 3600)
"""Precisions of balls; the second is for results that the first leaves open. They hold 1e-308 beside 1e308, with 1500
bits to spare."""

DIGITS = (100, 700, 1500)
"""Precisions of mpmath's numbers, which carry no error bound: it is taken from two runs that differ in digits."""

TINIEST = Fraction(1, 2**1072)
"""Four times the smallest positive float: numbers no further apart are equal to floats."""


def enclosures(program: Program, at: Sequence[float]) -> Sequence[Enclosure | None]:
    """Return an enclosure of each result; None where it is unknown: without a library for it, or not finite.

    Raises UnknownFunction for an op that only floats have.
    """
    best: list[Enclosure | None] = [None] * len(program.outputs)
    if importlib.util.find_spec("flint"):
        flint = library("flint", "check")
        for bits in BITS:
            with flint.ctx.workprec(bits):
                found = [ends(x) for x in program.replay([flint.arb(x) for x in at], balls())]
            best = list(map(narrower, best, found))
            if all(map(is_sharp, best)):
                break
    elif importlib.util.find_spec("mpmath"):
        mp = library("mpmath", "check").mp
        before: list[Fraction | None] = []
        for digits in DIGITS:
            with mp.workdps(digits):
                now = list(map(_kept, program.replay([mp.mpf(x) for x in at], mpmath_numbers())))
            if before:
                best = list(map(narrower, best, map(_around, now, before)))
                if all(map(is_sharp, best)):
                    break
            before = now
    return best


def is_sharp(enclosed: Enclosure | None) -> bool:
    """Return True if the enclosure is narrow enough to decide everything that floats can tell."""
    if enclosed is None:
        return False
    low, high = enclosed
    return high - low <= max(min(abs(low), abs(high)) / 2**90, TINIEST)


def narrower(x: Enclosure | None, y: Enclosure | None) -> Enclosure | None:
    """Return the narrower of two enclosures of the same number."""
    if x is None or y is None:
        return x or y
    return y if y[1] - y[0] < x[1] - x[0] else x


def ends(x: Any) -> Enclosure | None:
    """Return the ends of a ball; None for one that is not finite, or whose fraction would not fit into memory."""
    if not x.is_finite():
        return None
    low, high = _no_more(x.lower()), _no_less(x.upper())
    return None if low is None or high is None else (low, high)


LARGEST, SMALLEST = 20_000, -20_000
"""Exponents of two up to which a number is kept exactly."""


def _no_more(x: Any) -> Fraction | None:
    """Return the fraction of an exact arb, or one below it when it is very small; None when it is very large."""
    mantissa, exponent = (int(part) for part in x.man_exp())
    if mantissa.bit_length() + exponent > LARGEST:
        return None
    if mantissa.bit_length() + exponent < SMALLEST:
        return -Fraction(1, 2**-SMALLEST) if mantissa < 0 else Fraction(0)
    return Fraction(mantissa) * Fraction(2) ** exponent


def _no_less(x: Any) -> Fraction | None:
    found = _no_more(-x)
    return None if found is None else -found


def _kept(x: Any) -> Fraction | None:
    """Return an mpf as a fraction; None for one that is not finite or too large."""
    try:
        return fraction_of_mpf(x) if x - x == 0 else None
    except OverflowError:
        return None


def _around(x: Fraction | None, rougher: Fraction | None) -> Enclosure | None:
    if x is None or rougher is None:
        return None
    radius = abs(x - rougher) + abs(x) / 10**30
    return x - radius, x + radius


def fraction_of_mpf(x: Any) -> Fraction:
    """Return an mpf as a fraction, 0 for one too small to be kept exactly. Raises OverflowError for one too large."""
    sign, mantissa, exponent, bits = x._mpf_
    if bits + exponent > LARGEST:
        raise OverflowError("a number that is too large for a fraction")
    if bits + exponent < SMALLEST:
        return Fraction(0)
    return (-1 if sign else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def nearest_float(x: Fraction) -> float:
    """Return the float nearest to a fraction; inf beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")
