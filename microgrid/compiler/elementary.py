"""Exponentials and a logarithm in plain arithmetic, to a few ulps: a call would spill all registers.

After P. T. P. Tang, "Table-Driven Implementation of the Exponential Function in IEEE Floating-Point Arithmetic", ACM
TOMS 15 (1989), section 2, without the table: x = n log 2 + r, and a polynomial in r of a degree that leaves 4e-18.
"""

from __future__ import annotations

import math

from microgrid.compiler.lanes import Number, Writer

_SHIFT = 6755399441055744.0  # 1.5 * 2**52: added to a number, it leaves the nearest whole one in the last bits
_LOG2_HIGH = float.fromhex("0x1.62e42feep-1")  # its last bits are 0, so that n times it is exact
_LOG2_LOW = float.fromhex("0x1.a39ef35793c76p-33")


def exp(w: Writer, x: Number) -> Number:
    """Return exp(x), from exp(-inf) to exp(inf)."""
    return exp_and_less_one(w, x)[0]


def exp_and_less_one(w: Writer, x: Number) -> tuple[Number, Number]:
    """Return exp(x) and expm1(x), the latter accurate near 0."""
    x = w.choose(w.test("olt", x, -746.0), -746.0, w.choose(w.test("ogt", x, 710.0), 710.0, x))
    shifted = w.fused(x, 1.0 / math.log(2.0), _SHIFT)
    n = shifted - _SHIFT
    r = w.fused(n, -_LOG2_LOW, w.fused(n, -_LOG2_HIGH, x))
    series = w.fused(r, 1.0 / math.factorial(13), 1.0 / math.factorial(12))
    for k in range(11, 1, -1):
        series = w.fused(series, r, 1.0 / math.factorial(k))
    less_one = w.fused(series * r, r, r)
    # 2**n is no double for the largest and the smallest n: two factors are
    whole = w.line(f"bitcast {w.type} {shifted.text} to {_integers(w)}")
    n_bits = w.line(f"sub {_integers(w)} {whole.text}, {_integer(w, _bits(_SHIFT))}")
    half = w.line(f"ashr {_integers(w)} {n_bits.text}, {_integer(w, 1)}")
    rest = w.line(f"sub {_integers(w)} {n_bits.text}, {half.text}")
    first, second = _power_of_two(w, half), _power_of_two(w, rest)
    scale = first * second
    return (less_one + 1.0) * first * second, w.fused(less_one, scale, scale - 1.0)


def log1p_of_fraction(w: Writer, x: Number) -> Number:
    """Return log(1 + x) for x from 0 to 1: 2 atanh(s), s = x / (2 + x), by its series."""
    s = x / (x + 2.0)
    square = s * s
    series = w.fused(square, 1.0 / 33.0, 1.0 / 31.0)
    for k in range(29, 1, -2):
        series = w.fused(series, square, 1.0 / k)
    return w.fused(series * square, s, s) * 2.0


def _power_of_two(w: Writer, n: Number) -> Number:
    biased = w.line(f"add {_integers(w)} {n.text}, {_integer(w, 1023)}")
    bits = w.line(f"shl {_integers(w)} {biased.text}, {_integer(w, 52)}")
    return w.line(f"bitcast {_integers(w)} {bits.text} to {w.type}")


def _integers(w: Writer) -> str:
    return "i64" if w.mode.lanes == 1 else f"<{w.mode.lanes} x i64>"


def _integer(w: Writer, n: int) -> str:
    return str(n) if w.mode.lanes == 1 else f"splat (i64 {n})"


def _bits(x: float) -> int:
    import struct

    return int(struct.unpack("<q", struct.pack("<d", x))[0])
