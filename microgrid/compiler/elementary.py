"""Exponentials, a logarithm, sines and cosines in plain arithmetic, to a few ulps: a call would spill all registers.

After P. T. P. Tang, "Table-Driven Implementation of the Exponential Function in IEEE Floating-Point Arithmetic", ACM
TOMS 15 (1989), section 2: x = n log 2 + r, and a polynomial in r. On AVX-512 n is in sixteenths, and a permutation
looks up a power of two; elsewhere there is no table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from microgrid.compiler import piecewise
from microgrid.compiler.lanes import AVX512, Number, Writer, numbers
from microgrid.compiler.piecewise import SHIFT

_LOG2_HIGH = float.fromhex("0x1.62e42feep-1")  # its last bits are 0, so that n times it is exact
_LOG2_LOW = float.fromhex("0x1.a39ef35793c76p-33")

_LEAST = -1000.0
"""A number down to which 2^n is 0 where it is to be, for its n; those further down are raised."""

_SERIES = numbers(
    "0x1.0000000000006p-1 0x1.555555555555bp-3 0x1.55555555516d6p-5 0x1.111111110ea6ep-7 0x1.6c16c181ccb44p-10 "
    "0x1.a01a01b4acbb4p-13 0x1.a0199ed8a918dp-16 0x1.71ddec9376ff3p-19 0x1.28aa2ed5b9e87p-22 0x1.af72afef32a21p-26"
)
"""Coefficients of (expm1(r) - r) / r^2 for |r| <= log(2) / 2, by Remez's algorithm: they leave 3e-17 of expm1(r)."""


_SHORT_SERIES = numbers(
    "0x1.0000000000001p-1 0x1.5555555555556p-3 0x1.55555554e93b7p-5 0x1.11111110e1059p-7 0x1.6c17ed5c1f49ep-10 "
    "0x1.a01b0c3c80bbcp-13"
)
"""The same for |r| <= log(2) / 32: they leave 2e-18."""

_POWERS = numbers(
    "0x1.0000000000000p+0 0x1.0b5586cf9890fp+0 0x1.172b83c7d517bp+0 0x1.2387a6e756238p+0 0x1.306fe0a31b715p+0 "
    "0x1.3dea64c123422p+0 0x1.4bfdad5362a27p+0 0x1.5ab07dd485429p+0 0x1.6a09e667f3bcdp+0 0x1.7a11473eb0187p+0 "
    "0x1.8ace5422aa0dbp+0 0x1.9c49182a3f090p+0 0x1.ae89f995ad3adp+0 0x1.c199bdd85529cp+0 0x1.d5818dcfba487p+0 "
    "0x1.ea4afa2a490dap+0"
)
"""Powers of two of 0/16 to 15/16."""

_ERRORS = numbers(
    "0x0.0p+0 0x1.79aa65d837b6cp-54 -0x1.01b15eaa59348p-55 0x1.68efde3a8a893p-54 0x1.34d754db0abb6p-55 "
    "0x1.59f48a72a4c6cp-55 0x1.690cebb7aafb0p-56 0x1.063e1e21c5409p-54 -0x1.3b3efbf5e2229p-54 "
    "-0x1.b32dcb94da51dp-56 0x1.db72fc1f0eab4p-55 0x1.1affc2b91ce27p-56 0x1.c1a7792cb3386p-55 "
    "0x1.36eae30af0cb3p-56 0x1.4a385a63d07a7p-56 -0x1.ff7128fd391f1p-55"
)
"""Rounding errors of these doubles, relative to the powers."""


def exp(w: Writer, x: Number) -> Number:
    """Return exp(x), from exp(-inf) to exp(inf)."""
    return exp_and_less_one(w, x)[0]


def exp_and_less_one(w: Writer, x: Number, low: Number | None = None) -> tuple[Number, Number]:
    """Return exp(x + low) and expm1(x + low), the latter accurate near 0; low is a rounding error of x."""
    least, most = x.bounds
    x = x if least >= _LEAST else w.choose(w.test("olt", x, -746.0), -746.0, x)
    x = x if most <= 710.0 else w.choose(w.test("ogt", x, 710.0), 710.0, x)
    table = piecewise.can(w)
    shift, series = (SHIFT / 16.0, _SHORT_SERIES) if table else (SHIFT, _SERIES)
    shifted = w.fused(x, 1.0 / math.log(2.0), shift)
    n = shifted - shift
    r = w.fused(n, -_LOG2_LOW, w.fused(n, -_LOG2_HIGH, x))
    r = r if low is None else r + low
    square = r * r
    even: Number | float = series[-2]
    odd: Number | float = series[-1]
    for k in range(len(series) - 4, -1, -2):
        even, odd = w.fused(square, even, series[k]), w.fused(square, odd, series[k + 1])
    rest = w.fused(odd, r, even)
    if table:  # n is in sixteenths, whose last four bits are those of its power of two
        power = piecewise.looked_up(w, shifted, "exp.powers", _POWERS)
        less_one = w.fused(rest, square, r + piecewise.looked_up(w, shifted, "exp.errors", _ERRORS))
        whole = w.scaled(power, n)
        return w.scaled(w.fused(less_one, power, power), n), w.fused(less_one, whole, whole - 1.0)
    less_one = w.fused(rest, square, r)
    scale = _power_of_two(w, n, shifted)
    whole = scale(w.one())
    return scale(less_one + 1.0), w.fused(less_one, whole, whole - 1.0)


def gaussian(w: Writer, x: Number) -> Number:
    """Return exp(-x^2): the rounding error of the square, which counts where that is large, is added to the rest."""
    x = abs(x)
    x = w.choose(w.test("ogt", x, 28.0), 28.0, x)
    square = x * x
    return exp_and_less_one(w, (-square).within(-784.0, 0.0), w.intrinsic("fma", -x, x, square))[0]


_HALF_PI = numbers("0x1.921fb54442d18p+0 0x1.1a62633145c07p-54 -0x1.f1976b7ed8fbcp-110")
_FAR = 2.0**30
"""Largest number whose distance from a multiple of pi / 2 these three parts give to the last bit."""

_SIN = numbers(
    "-0x1.5555555555549p-3 0x1.111111110f8a6p-7 -0x1.a01a019c161d5p-13 0x1.71de357b1fe7dp-19 "
    "-0x1.ae5e68a2b9cebp-26 0x1.5d93a5acfd57cp-33"
)
_COS = numbers(
    "0x1.555555555554cp-5 -0x1.6c16c16c15177p-10 0x1.a01a019cb1590p-16 -0x1.27e4f809c52adp-22 "
    "0x1.1ee9ebdb4b1c4p-29 -0x1.8fa49be8838d4p-37"
)
"""Coefficients for |r| <= pi / 4 of (sin(r) - r) / r^3 and of (cos(r) - 1 + r^2 / 2) / r^4 in powers of r^2, those of
FreeBSD's k_sin.c and k_cos.c (Sun Microsystems 1993), which leave 2^-58."""


def sin_and_cos(w: Writer, x: Number) -> tuple[Number, Number]:
    """Return sin(x) and cos(x), by a function in the module: it calls the C library for numbers far from 0."""
    name, pair = f"@sin.and.cos.v{w.mode.lanes}", f"{{ {w.type}, {w.type} }}"
    own = Writer(w.mode)
    own.called = w.called
    given = Number(own, "%x")
    sin, cos = _near(own, given)
    far = own.test("ogt", abs(given), _FAR)
    any_far = own.fresh(f"call i1 @llvm.vector.reduce.or.v{w.mode.lanes}i1({own.bits} {far.text})").text
    own.lines += [f"  br i1 {any_far}, label %far, label %near", "far:"]
    both = [own.choose(far, own.library(op, given), near) for op, near in (("sin", sin), ("cos", cos))]
    for label, results in (("", both), ("near:", (sin, cos))):
        own.lines += [label] if label else []
        first = own.fresh(f"insertvalue {pair} poison, {w.type} {results[0].text}, 0").text
        whole = own.fresh(f"insertvalue {pair} {first}, {w.type} {results[1].text}, 1").text
        own.lines.append(f"  ret {pair} {whole}")
    lines = "\n".join(own.lines)
    w.intrinsics |= own.intrinsics
    w.intrinsics.add(f"declare i1 @llvm.vector.reduce.or.v{w.mode.lanes}i1({own.bits})")
    w.intrinsics.add(f"define internal {pair} {name}({w.type} %x, ptr %functions) #0 noinline {{\nentry:\n{lines}\n}}")
    found = w.line(f"call {pair} {name}({w.type} {x.text}, ptr %functions)").text
    return w.line(f"extractvalue {pair} {found}, 0"), w.line(f"extractvalue {pair} {found}, 1")


def _near(w: Writer, x: Number) -> tuple[Number, Number]:
    """Return sin(x) and cos(x) for |x| <= FAR: x = n pi / 2 + r, where fused products leave no error but the last."""
    shifted = w.fused(x, 2.0 / math.pi, SHIFT)
    n, r = shifted - SHIFT, x
    for part in _HALF_PI:
        r = w.fused(n, -part, r)
    square = r * r
    sin, cos = _polynomial(w, _SIN, square), _polynomial(w, _COS, square)
    sin = w.fused(square * r, sin, r)
    half = square * 0.5
    one_less = 1.0 - half
    cos = one_less + w.fused(square * square, cos, (1.0 - one_less) - half)
    whole = w.line(f"bitcast {w.type} {shifted.text} to {_integers(w)}")
    odd = w.line(f"trunc {_integers(w)} {whole.text} to {w.bits}")
    swapped = w.choose(odd, cos, sin), w.choose(odd, sin, cos)
    turned = w.line(f"add {_integers(w)} {whole.text}, {_integer(w, 1)}")
    found = []
    for number, turn in zip(swapped, (whole, turned), strict=True):
        sign = w.line(f"shl {_integers(w)} {turn.text}, {_integer(w, 62)}")
        sign = w.line(f"and {_integers(w)} {sign.text}, {_integer(w, -(2**63))}")
        bits = w.line(f"bitcast {w.type} {number.text} to {_integers(w)}")
        bits = w.line(f"xor {_integers(w)} {bits.text}, {sign.text}")
        found.append(w.line(f"bitcast {_integers(w)} {bits.text} to {w.type}"))
    return w.choose(w.test("oeq", x, 0.0), x, found[0]), found[1]  # -0 stays -0


def _polynomial(w: Writer, coefficients: Sequence[float], x: Number) -> Number:
    """Return a polynomial by Horner's rule."""
    *others, last = coefficients
    total: Number | float = last
    for coefficient in reversed(others):
        total = w.fused(total, x, coefficient)
    assert isinstance(total, Number)
    return total


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
    n_bits = w.line(f"sub {_integers(w)} {whole.text}, {_integer(w, _bits(SHIFT))}")
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
