"""What each op is in LLVM's language: the formulas of `forward.py`, once more.

In strict mode they give the very bits that `forward.py` gives. By default, exponentials have no call in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from microgrid.compiler.code import SUMMED
from microgrid.compiler.elementary import exp, exp_and_less_one, log1p_of_fraction
from microgrid.compiler.lanes import Mode, Number, Writer

Formula = Callable[..., Number]


def _calls(w: Writer) -> bool:
    """Whether exponentials are calls of the C library: to the bit, and for one number, where they are faster."""
    return w.mode.strict or w.mode.lanes == 1


def _exp(w: Writer, x: Number) -> Number:
    return w.library("exp", x) if _calls(w) else exp(w, x)


def _log1p_exp(w: Writer, x: Number) -> Number:
    """log(1 + exp(x)) for x up to 0."""
    e = _exp(w, x)
    return w.library("log1p", e) if _calls(w) else log1p_of_fraction(w, e)


def _tanh(w: Writer, x: Number) -> Number:
    if _calls(w):
        return w.library("tanh", x)
    _, less_one = exp_and_less_one(w, abs(x) * -2.0)
    return w.intrinsic("copysign", less_one / (less_one + 2.0), x)


def _sigmoid(w: Writer, x: Number) -> Number:
    e = _exp(w, -abs(x))
    above = w.choose(w.test("oge", x, 0.0), 1.0, e)
    if w.mode.strict:
        return above / (e + 1.0)
    return above * (w.one() / (e + 1.0))


def _logistic_density(w: Writer, x: Number) -> Number:
    e = _exp(w, -abs(x))
    if w.mode.strict:
        return e / ((e + 1.0) * (e + 1.0))
    reciprocal = w.one() / (e + 1.0)  # a division that sigmoid, the integral, shares
    return e * reciprocal * reciprocal


def _gaussian(w: Writer, x: Number) -> Number:
    h = w.intrinsic("rint", x * 64.0) * (1.0 / 64.0)
    squares = _exp(w, -h * h) * _exp(w, -(x - h) * (x + h))
    near = w.test("olt", abs(x), 28.0)
    return w.choose(near, squares, w.choose(w.is_nan(x), x, 0.0))


def _softplus(w: Writer, x: Number) -> Number:
    return w.choose(w.test("ogt", x, 0.0), x, 0.0) + _log1p_exp(w, -abs(x))


def _logaddexp(w: Writer, x: Number, y: Number) -> Number:
    larger = w.choose(w.test("ogt", x, y), x, y)
    apart = larger + _log1p_exp(w, -abs(x - y))
    return w.choose(w.test("oeq", x, y), x + math.log(2.0), apart)


def _softsign(w: Writer, x: Number) -> Number:
    at_infinity = w.intrinsic("copysign", 1.0, x)
    return w.choose(w.test("oeq", abs(x), math.inf), at_infinity, x / (abs(x) + 1.0))


def _silu(w: Writer, x: Number) -> Number:
    e = _exp(w, -abs(x))
    left = w.choose(w.test("oeq", e, 0.0), 0.0, x * e / (e + 1.0))
    return w.choose(w.test("oge", x, 0.0), x / (e + 1.0), left)


def _gelu(w: Writer, x: Number) -> Number:
    tail = w.library("erfc", -x / math.sqrt(2.0))
    return w.choose(w.test("oeq", tail, 0.0), 0.0, x * 0.5 * tail)


def _xlogy(w: Writer, x: Number, y: Number) -> Number:
    nothing = w.both(w.test("oeq", x, 0.0), w.test("ord", y, 0.0))
    return w.choose(nothing, 0.0, x * w.library("log", y))


def _relu(w: Writer, x: Number) -> Number:
    return w.choose(w.test("ugt", x, 0.0), x, 0.0)


def _maximum(w: Writer, x: Number, y: Number, n: Number | None = None) -> Number:
    return w.choose(w.either(w.test("ogt", x, y), w.is_nan(x)), x, y)


def _minimum(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.either(w.test("olt", x, y), w.is_nan(x)), x, y)


def _clip(w: Writer, x: Number, low: Number, high: Number) -> Number:
    return _minimum(w, _maximum(w, x, low), high)


def _sign(w: Writer, x: Number) -> Number:
    still = w.test("ueq", x, 0.0)  # 0, -0 or nan
    return w.choose(still, x + 0.0, w.intrinsic("copysign", 1.0, x))


def _copysign(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.is_nan(y), math.nan, w.intrinsic("copysign", x, y))


def _indicator(how: str) -> Formula:
    def formula(w: Writer, x: Number, y: Number) -> Number:
        return w.choose(w.test("uno", x, y), math.nan, w.choose(w.test(how, x, y), 1.0, 0.0))

    return formula


def _where(w: Writer, condition: Number, x: Number, y: Number) -> Number:
    return w.choose(w.is_nan(condition), math.nan, w.choose(w.test("one", condition, 0.0), x, y))


def _multiply_no_nan(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.test("oeq", y, 0.0), 0.0, x * y)


def _zero_product(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.either(w.test("oeq", x, 0.0), w.test("oeq", y, 0.0)), 0.0, x * y)


def _mod(w: Writer, x: Number, y: Number) -> Number:
    rest = w.library("fmod", x, y)
    differ = w.both(_differ(w, rest, y), w.test("one", rest, 0.0))
    at_zero = w.choose(w.test("oeq", rest, 0.0), w.intrinsic("copysign", 0.0, y), rest)
    return w.choose(differ, rest + y, at_zero)


def _floor_divide(w: Writer, x: Number, y: Number) -> Number:
    rest = w.library("fmod", x, y)
    differ = w.both(_differ(w, rest, y), w.test("one", rest, 0.0))
    quotient = (x - rest) / y
    quotient = w.choose(differ, quotient - 1.0, quotient)
    whole = w.intrinsic("floor", quotient)
    whole = w.choose(w.test("ogt", quotient - whole, 0.5), whole + 1.0, whole)
    at_zero = w.intrinsic("copysign", 0.0, x / y)
    return w.choose(w.test("oeq", y, 0.0), x / y, w.choose(w.test("oeq", quotient, 0.0), at_zero, whole))


def _differ(w: Writer, x: Number, y: Number) -> Number:
    """Whether one number is negative and the other is not."""
    return w.line(f"xor {w.bits} {w.test('olt', x, 0.0).text}, {w.test('olt', y, 0.0).text}")


def _constant_power(w: Writer, x: Number, c: Number) -> Number:
    """Small whole powers as products, by default."""
    known = {w.number(float(k)): k for k in (1, 2, 3, 4, -1, -2)}
    k = None if w.mode.strict else known.get(c.text)
    if k is None:
        return w.library("pow", x, c)
    power = x
    if abs(k) >= 2:
        power = x * x
    if k == 3:
        power = power * x
    if k == 4:
        power = power * power
    return power if k > 0 else w.one() / power


def _scaled(w: Writer, cotangent: Number, partial: Number, sum: Number | None = None) -> Number:
    """cotangent * partial, which is 0 where the cotangent is, added to a sum."""
    matters = w.test("une", cotangent, 0.0)
    if sum is None:
        return w.choose(matters, cotangent * partial, 0.0)
    if w.mode.strict:
        return sum + w.choose(matters, cotangent * partial, 0.0)
    return w.choose(matters, sum + cotangent * partial, sum)  # in this form it is one masked instruction


def _summed(w: Writer, cotangent: Number, partial: Number, sum: Number) -> Number:
    """The same in a sum of many, where products are fused."""
    if w.mode.strict:
        return _scaled(w, cotangent, partial, sum)
    return w.choose(w.test("une", cotangent, 0.0), w.fused(cotangent, partial, sum), sum)


def _chosen(w: Writer, cotangent: Number, partial: Number, sum: Number | None = None) -> Number:
    """The same, and 0 where the partial is: through a piecewise op nothing passes there."""
    passed = _zero_product(w, cotangent, partial)
    return passed if sum is None else sum + passed


def _passed(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    """The cotangent itself; -0 becomes 0, as in a product that is 0 where the cotangent is."""
    once = cotangent + 0.0 if w.mode.strict or sum is None else cotangent
    return once if sum is None else sum + once


def _negated(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    once = w.arithmetic("fsub", 0.0, cotangent)
    return once if sum is None else sum + once


def _library(name: str) -> Formula:
    return lambda w, *operands: w.library(name, *operands)


def _intrinsic(name: str) -> Formula:
    return lambda w, *operands: w.intrinsic(name, *operands)


FORMULAS: dict[str, Formula] = {
    "add": lambda w, x, y: x + y,
    "sub": lambda w, x, y: x - y,
    "mul": lambda w, x, y: x * y,
    "div": lambda w, x, y: x / y,
    "neg": lambda w, x: -x,
    "constant_power": _constant_power,
    "power": _library("pow"),
    **{name: _library(name) for name in "exp2 expm1 log log2 log10 log1p cbrt sin cos tan asin acos atan".split()},
    **{name: _library(name) for name in "atan2 sinh cosh asinh acosh atanh erf erfc fmod hypot".split()},
    **{name: _intrinsic(name) for name in "sqrt floor ceil trunc".split()},
    "exp": _exp,
    "tanh": _tanh,
    "round": _intrinsic("rint"),
    "abs": _intrinsic("fabs"),
    "gaussian": _gaussian,
    "sigmoid": _sigmoid,
    "logistic_density": _logistic_density,
    "softplus": _softplus,
    "softsign": _softsign,
    "silu": _silu,
    "gelu": _gelu,
    "relu": _relu,
    "logaddexp": _logaddexp,
    "xlogy": _xlogy,
    "maximum": _maximum,
    "minimum": _minimum,
    "tied_maximum": _maximum,
    "clip": _clip,
    "copysign": _copysign,
    "sign": _sign,
    "mod": _mod,
    "floor_divide": _floor_divide,
    "greater": _indicator("ogt"),
    "equal": _indicator("oeq"),
    "where": _where,
    "multiply_no_nan": _multiply_no_nan,
    "zero_product": _zero_product,
    "identity": lambda w, x: x,
    "passed": _passed,
    "negated": _negated,
    "scaled": _scaled,
    SUMMED["scaled"]: _summed,
    SUMMED["mul"]: lambda w, x, y, sum: w.fused(x, y, sum),
    "chosen": _chosen,
}
"""Each op of the table, and each way to pass a cotangent on, in LLVM's language."""

_CALLED_BACK = frozenset({"hypot", "sinc_derivative"})


def called_back(strict: bool) -> frozenset[str]:
    """The ops that call Python's function: series have loops, and `math.hypot` rounds better than the C library's."""
    return _CALLED_BACK if strict else _CALLED_BACK - {"hypot"}


def formula(name: str, mode: Mode) -> Formula:
    """How an op is written; one without a formula calls the Python function that computes it."""
    if name in called_back(mode.strict) or name not in FORMULAS:
        return lambda w, *operands: w.library(f"python:{name}", *operands)
    return FORMULAS[name]
