"""What a program computes, enclosed: in balls of 600 bits, else to some 30 sure digits."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from microgrid.arithmetic import balls, exact_fraction, library, mpmath_numbers
from microgrid.program import Program


def enclosures(program: Program, at: Sequence[float]) -> Sequence[tuple[Fraction, Fraction] | None]:
    """Between which numbers each result lies, None where that is not known: no library for it, or not finite.

    Raises UnknownFunction for an op that only floats have.
    """
    if importlib.util.find_spec("flint"):
        flint = library("flint", "check")
        with flint.ctx.workprec(600):
            return [_ends(x) if x.is_finite() else None for x in program.replay([flint.arb(x) for x in at], balls())]
    if importlib.util.find_spec("mpmath"):
        mp = library("mpmath", "check").mp
        with mp.workdps(60):
            results = program.replay([mp.mpf(x) for x in at], mpmath_numbers())
            return [_around(x) if mp.isfinite(x) else None for x in results]
    return [None] * len(program.outputs)


def _ends(x: Any) -> tuple[Fraction, Fraction]:
    return exact_fraction(x.lower()), exact_fraction(x.upper())


def _around(x: Any) -> tuple[Fraction, Fraction]:
    middle = fraction_of_mpf(x)
    return middle - abs(middle) / 10**30, middle + abs(middle) / 10**30


def fraction_of_mpf(x: Any) -> Fraction:
    """mpmath's number as a fraction."""
    sign, mantissa, exponent, _ = x._mpf_
    return (-1 if sign else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def nearest_float(x: Fraction) -> float:
    """The float nearest to a fraction; inf beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")
