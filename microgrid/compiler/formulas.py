"""LLVM IR of native ops, by name or in a few instructions; other ops are their formulas.

In strict mode they give the very bits that floats give. By default, exponentials have no call in them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from microgrid.compiler import piecewise
from microgrid.compiler.code import SUMMED
from microgrid.compiler.elementary import exp, exp_and_less_one, gaussian, log1p_of_fraction, sin_and_cos
from microgrid.compiler.gradient import rule_of
from microgrid.compiler.lanes import Mode, Number, Writer
from microgrid.core.natives import SCIPY
from microgrid.core.primitive import Op, built_in, is_formula, op_called
from microgrid.text.c_source import in_math_h

Formula = Callable[..., Number]

FUSES = 4
"""Minimum width of a machine's registers, in numbers, from which on it fuses multiplications and additions."""


def _calls(w: Writer) -> bool:
    """Return True if exponentials call the C library: in strict mode, and for one lane, where calls are faster."""
    return w.mode.strict or w.mode.lanes == 1


def _exp(w: Writer, x: Number) -> Number:
    result = w.library("exp", x) if _calls(w) else exp(w, x)
    return result.within(0.0, 1.0) if x.bounds[1] <= 0.0 else result


def _log1p(w: Writer, x: Number) -> Number:
    low, high = x.bounds
    return log1p_of_fraction(w, x) if low >= 0.0 and high <= 1.0 and not _calls(w) else w.library("log1p", x)


def _tanh(w: Writer, x: Number) -> Number:
    if _calls(w):
        return w.library("tanh", x)
    e, less_one = exp_and_less_one(w, (abs(x) * -2.0).within(-math.inf, 0.0))  # as its derivative has it
    return w.intrinsic("copysign", less_one * (w.one() / (1.0 + e)), x)  # the quotient of its derivative


def _gaussian(w: Writer, x: Number) -> Number:
    if not _calls(w) and w.mode.width >= FUSES:
        return gaussian(w, x)
    op = op_called("gaussian")
    assert op is not None
    assert op.formula is not None
    result: Number = op.formula(x)
    return result


def _sin(w: Writer, x: Number) -> Number:
    return w.library("sin", x) if _calls(w) or w.mode.width < FUSES else sin_and_cos(w, x)[0]


def _cos(w: Writer, x: Number) -> Number:
    return w.library("cos", x) if _calls(w) or w.mode.width < FUSES else sin_and_cos(w, x)[1]


def _erf(w: Writer, x: Number) -> Number:
    return w.library("erf", x) if _calls(w) or not piecewise.can(w) else piecewise.erf(w, x)


def _log(w: Writer, x: Number) -> Number:
    return w.library("log", x) if _calls(w) or not piecewise.can(w) else piecewise.log(w, x)


def _copysign(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.is_nan(y), math.nan, w.intrinsic("copysign", x, y))


def _indicator(how: str) -> Formula:
    def formula(w: Writer, x: Number, y: Number) -> Number:
        indicator = w.choose(w.test("uno", x, y), math.nan, w.choose(w.test(how, x, y), 1.0, 0.0))
        indicator.comparison = how, x, y
        return indicator

    return formula


def _where(w: Writer, condition: Number, x: Number, y: Number) -> Number:
    if condition.comparison is not None:
        how, a, b = condition.comparison
        chosen = w.choose(w.test("uno", a, b), math.nan, w.choose(w.test(how, a, b), x, y))
        (low, high), (low_of_y, high_of_y) = _bounds(w, x), _bounds(w, y)
        return chosen.within(min(low, low_of_y), max(high, high_of_y))
    return w.choose(w.is_nan(condition), math.nan, w.choose(w.test("one", condition, 0.0), x, y))


def _bounds(w: Writer, x: Number) -> tuple[float, float]:
    constant = w.constants.get(x.text)
    return x.bounds if constant is None else (constant, constant)


def _zero_product(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.either(w.test("oeq", x, 0.0), w.test("oeq", y, 0.0)), 0.0, x * y)


def _constant_power(w: Writer, x: Number, c: Number) -> Number:
    """Write small whole powers as products, by default."""
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
    """Write cotangent * partial, which is 0 where the cotangent is, added to a sum."""
    matters = w.test("une", cotangent, 0.0)
    if sum is None:
        return w.choose(matters, cotangent * partial, 0.0)
    if w.mode.strict:
        return sum + w.choose(matters, cotangent * partial, 0.0)
    return w.choose(matters, sum + cotangent * partial, sum)  # in this form it is one masked instruction


def _summed(w: Writer, cotangent: Number, partial: Number, sum: Number) -> Number:
    """Write the same in a sum of many, where products are fused."""
    if w.mode.strict:
        return _scaled(w, cotangent, partial, sum)
    return w.choose(w.test("une", cotangent, 0.0), w.fused(cotangent, partial, sum), sum)


def _chosen(w: Writer, cotangent: Number, partial: Number, sum: Number | None = None) -> Number:
    """Write the same, and 0 where the partial is: a piecewise op passes nothing there."""
    if partial.comparison is not None and not w.mode.strict:
        how, a, b = partial.comparison
        undecided = w.both(w.test("uno", a, b), w.test("une", cotangent, 0.0))
        passed = w.choose(w.test(how, a, b), cotangent, w.choose(undecided, math.nan, 0.0))
    else:
        passed = _zero_product(w, cotangent, partial)
    return passed if sum is None else sum + passed


def _passed(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    """Write the cotangent itself; -0 becomes 0, as in a product that is 0 where the cotangent is."""
    once = cotangent + 0.0 if w.mode.strict or sum is None else cotangent
    return once if sum is None else sum + once


def _negated(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    once = w.arithmetic("fsub", 0.0, cotangent)
    return once if sum is None else sum + once


def _named(name: str) -> Formula:
    if name in _INTRINSICS:
        return lambda w, *operands: w.intrinsic(name, *operands)
    return lambda w, *operands: w.library(name, *operands)


FORMULAS: dict[str, Formula] = {
    "add": lambda w, x, y: x + y,
    "sub": lambda w, x, y: x - y,
    "mul": lambda w, x, y: x * y,
    "div": lambda w, x, y: x / y,
    "neg": lambda w, x: -x,
    "constant_power": _constant_power,
    "exp": _exp,
    "log1p": _log1p,
    "log": _log,
    "erf": _erf,
    "tanh": _tanh,
    "gaussian": _gaussian,
    "sin": _sin,
    "cos": _cos,
    "abs": lambda w, x: abs(x),
    "copysign": _copysign,
    "greater": _indicator("ogt"),
    "equal": _indicator("oeq"),
    "where": _where,
    "zero_product": _zero_product,
    "identity": lambda w, x: x,
    "passed": _passed,
    "negated": _negated,
    "scaled": _scaled,
    SUMMED["scaled"]: _summed,
    SUMMED["mul"]: lambda w, x, y, sum: w.fused(x, y, sum),
    SUMMED["neg"]: lambda w, x, y, sum: w.fused(-x, y, sum),
    "chosen": _chosen,
}
"""Formulas in LLVM IR of native ops, and of each way to pass a cotangent on."""

_BY_FORMULA = ("mod", "floor_divide")  # which C has not

_INTRINSICS = frozenset({"sqrt", "floor", "ceil", "trunc", "rint"})  # which are single instructions

_CALLED_BACK = frozenset({"hypot", "sinc_derivative"})


def called_back(strict: bool) -> frozenset[str]:
    """Ops that call the Python function: series have loops, and `math.hypot` rounds better than the C library's."""
    return _CALLED_BACK if strict else _CALLED_BACK - {"hypot"}


def is_native(op: Op, strict: bool) -> bool:
    """Return True if an op is one step of a tape: it has a formula, a name in C, or calls its Python function."""
    here = (
        SCIPY in op.on
        or op.name in FORMULAS
        or is_formula(op)
        or op.name in _BY_FORMULA
        or op.name in called_back(strict)
    )
    return here or in_math_h(op) is not None


def formula(name: str, mode: Mode) -> Formula:
    """Return the writer of an op: from here, its formula in the table, its name in C, a call of its Python function.

    A person's native rounds as it likes, so strict code calls the Python function of their op.
    """
    if name in FORMULAS:
        return FORMULAS[name]
    op = op_called(name)
    if op is not None and op.formula is not None and (is_formula(op) or name in _BY_FORMULA):
        defined = op.formula
        return lambda w, *operands: defined(*operands)
    if op is not None and SCIPY in op.on:
        called, order = op.on[SCIPY]
        return lambda w, *operands: w.library(f"scipy:{called}:{len(order)}", *[operands[i] for i in order])
    native = None if op is None or name in called_back(mode.strict) else in_math_h(op)
    if native is not None and (name in built_in or not mode.strict):
        return _named(native)
    return lambda w, *operands: w.library(f"python:{name}", *operands)


def apply(op: Op, operands: Sequence[Number | float], w: Writer) -> Number:
    """Write an op within a formula."""
    return formula(op.name, w.mode)(w, *[x if isinstance(x, Number) else Number(w, w.number(x)) for x in operands])


SHARED = 10
"""Minimum number of operations on floats that an op and its partials share for these to be computed beside it, in the
forward pass; or one call."""


@functools.lru_cache(maxsize=1024)
def shares(mode: Mode, op: Op, static: tuple[float, ...]) -> bool:
    """Return True if an op and its partials have much to share, as an exponential."""
    rule = rule_of(op, static)
    if not all(is_native(each, mode.strict) for each, _ in [(op, ()), *rule.program.instructions]):
        return False
    writer = Writer(mode)
    operands = [Number(writer, f"%x{i}") for i in range(op.arity - op.static)]
    constants = [Number(writer, writer.number(x)) for x in (*static, *rule.program.constants)]
    result = apply(op, [*operands, *constants[: len(static)]], writer)

    def partials() -> int:
        before, slots = len(writer.lines), [result, *operands, *constants[len(static) :]]
        for each, places in rule.program.instructions:
            slots.append(apply(each, [slots[i] for i in places], writer))
        lines = writer.lines[before:]
        return sum(" f" in line or "@llvm" in line or (" call " in line and SHARED) for line in lines)

    together = partials()
    writer.forget(0)
    return partials() - together >= SHARED
