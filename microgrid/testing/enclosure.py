"""What a program computes, enclosed: in balls of 600 bits, else to some 30 sure digits."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from microgrid.arithmetic import balls, library, mpmath_numbers
from microgrid.program import Program


def enclosures(program: Program, at: Sequence[float]) -> Sequence[tuple[Fraction, Fraction] | None]:
    """Between which numbers each result lies, None where that is not known: no library for it, or not finite.

    Raises UnknownFunction for an op that only floats have.
    """
    if importlib.util.find_spec("flint"):
        flint = library("flint", "check")
        with flint.ctx.workprec(600):
            return [ends(x) for x in program.replay([flint.arb(x) for x in at], balls())]
    if importlib.util.find_spec("mpmath"):
        mp = library("mpmath", "check").mp
        with mp.workdps(60):
            results = program.replay([mp.mpf(x) for x in at], mpmath_numbers())
            return [_around(x) if mp.isfinite(x) else None for x in results]
    return [None] * len(program.outputs)


def ends(x: Any) -> tuple[Fraction, Fraction] | None:
    """The ends of a ball; None for one that is not finite, or so large that its fraction would not fit into memory."""
    if not x.is_finite():
        return None
    low, high = _no_more(x.lower()), _no_less(x.upper())
    return None if low is None or high is None else (low, high)


LARGEST, SMALLEST = 20_000, -20_000
"""The exponents of two up to which a number is kept exactly."""


def _no_more(x: Any) -> Fraction | None:
    """The fraction of an exact arb, or one below it when it is very small; None when it is very large."""
    mantissa, exponent = (int(part) for part in x.man_exp())
    if mantissa.bit_length() + exponent > LARGEST:
        return None
    if mantissa.bit_length() + exponent < SMALLEST:
        return -Fraction(1, 2**-SMALLEST) if mantissa < 0 else Fraction(0)
    return Fraction(mantissa) * Fraction(2) ** exponent


def _no_less(x: Any) -> Fraction | None:
    found = _no_more(-x)
    return None if found is None else -found


def _around(x: Any) -> tuple[Fraction, Fraction] | None:
    try:
        middle = fraction_of_mpf(x)
    except OverflowError:
        return None
    return middle - abs(middle) / 10**30, middle + abs(middle) / 10**30


def fraction_of_mpf(x: Any) -> Fraction:
    """mpmath's number as a fraction, 0 for one too small to be kept exactly; OverflowError for one too large."""
    sign, mantissa, exponent, bits = x._mpf_
    if bits + exponent > LARGEST:
        raise OverflowError("a number that is too large for a fraction")
    if bits + exponent < SMALLEST:
        return Fraction(0)
    return (-1 if sign else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def nearest_float(x: Fraction) -> float:
    """The float nearest to a fraction; inf beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")
