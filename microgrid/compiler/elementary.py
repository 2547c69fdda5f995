"""Exponentials and a logarithm in plain arithmetic, to a few ulps: a call would spill all registers.

After P. T. P. Tang, "Table-Driven Implementation of the Exponential Function in IEEE Floating-Point Arithmetic", ACM
TOMS 15 (1989), section 2, without the table: x = n log 2 + r, and a polynomial in r.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from microgrid.compiler.lanes import AVX512, Number, Writer

_SHIFT = 6755399441055744.0  # 1.5 * 2**52: added to a number, it leaves the nearest whole one in the last bits
_LOG2_HIGH = float.fromhex("0x1.62e42feep-1")  # its last bits are 0, so that n times it is exact
_LOG2_LOW = float.fromhex("0x1.a39ef35793c76p-33")

_SERIES = [
    float.fromhex(x)
    for x in (
        "0x1.0000000000006p-1 0x1.555555555555bp-3 0x1.55555555516d6p-5 0x1.111111110ea6ep-7 0x1.6c16c181ccb44p-10 "
        "0x1.a01a01b4acbb4p-13 0x1.a0199ed8a918dp-16 0x1.71ddec9376ff3p-19 0x1.28aa2ed5b9e87p-22 0x1.af72afef32a21p-26"
    ).split()
]
"""Coefficients of (expm1(r) - r) / r^2 for |r| <= log(2) / 2, by Remez's algorithm: they leave 3e-17 of expm1(r)."""


def exp(w: Writer, x: Number) -> Number:
    """Return exp(x), from exp(-inf) to exp(inf)."""
    return exp_and_less_one(w, x)[0]


def exp_and_less_one(w: Writer, x: Number, low: Number | None = None) -> tuple[Number, Number]:
    """Return exp(x + low) and expm1(x + low), the latter accurate near 0; low is a rounding error of x."""
    x = w.choose(w.test("olt", x, -746.0), -746.0, x)
    x = w.choose(w.test("ogt", x, 710.0), 710.0, x)
    shifted = w.fused(x, 1.0 / math.log(2.0), _SHIFT)
    n = shifted - _SHIFT
    r = w.fused(n, -_LOG2_LOW, w.fused(n, -_LOG2_HIGH, x))
    r = r if low is None else r + low
    square = r * r
    even, odd = w.fused(square, _SERIES[8], _SERIES[6]), w.fused(square, _SERIES[9], _SERIES[7])
    for k in (4, 2, 0):
        even, odd = w.fused(even, square, _SERIES[k]), w.fused(odd, square, _SERIES[k + 1])
    less_one = w.fused(w.fused(odd, r, even), square, r)
    scale = _power_of_two(w, n, shifted)
    whole = scale(w.one())
    return scale(less_one + 1.0), w.fused(less_one, whole, whole - 1.0)


def gaussian(w: Writer, x: Number) -> Number:
    """Return exp(-x^2): the rounding error of the square, which counts where that is large, is added to the rest."""
    x = abs(x)
    x = w.choose(w.test("ogt", x, 28.0), 28.0, x)
    square = x * x
    return exp_and_less_one(w, -square, w.intrinsic("fma", -x, x, square))[0]


def log1p_of_fraction(w: Writer, x: Number) -> Number:
    """Return log(1 + x) for x from 0 to 1: 2 atanh(s), s = x / (2 + x), by its series."""
    s = x / (x + 2.0)
    square = s * s
    series = w.fused(square, 1.0 / 33.0, 1.0 / 31.0)
    for k in range(29, 1, -2):
        series = w.fused(series, square, 1.0 / k)
    return w.fused(series * square, s, s) * 2.0


def _power_of_two(w: Writer, n: Number, shifted: Number) -> Callable[[Number], Number]:
    """Return the function of a number that gives it times 2**n, which is no double for the largest and smallest n."""
    if w.mode.width == AVX512 and w.mode.lanes % AVX512 == 0:
        return lambda x: w.scaled(x, n)
    whole = w.line(f"bitcast {w.type} {shifted.text} to {_integers(w)}")
    n_bits = w.line(f"sub {_integers(w)} {whole.text}, {_integer(w, _bits(_SHIFT))}")
    half = w.line(f"ashr {_integers(w)} {n_bits.text}, {_integer(w, 1)}")
    rest = w.line(f"sub {_integers(w)} {n_bits.text}, {half.text}")

    def power(n: Number) -> Number:
        biased = w.line(f"add {_integers(w)} {n.text}, {_integer(w, 1023)}")
        bits = w.line(f"shl {_integers(w)} {biased.text}, {_integer(w, 52)}")
        return w.line(f"bitcast {_integers(w)} {bits.text} to {w.type}")

    first, second = power(half), power(rest)
    return lambda x: x * first * second


def _integers(w: Writer) -> str:
    return "i64" if w.mode.lanes == 1 else f"<{w.mode.lanes} x i64>"


def _integer(w: Writer, n: int) -> str:
    return str(n) if w.mode.lanes == 1 else f"splat (i64 {n})"


def _bits(x: float) -> int:
    import struct

    return int(struct.unpack("<q", struct.pack("<d", x))[0])
