"""A program as one C function. What C has by name, or by operators, stands here; other ops are their formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from microgrid.core.primitive import OPS, Op, is_formula
from microgrid.core.straight import Text, terms
from microgrid.text.notation import Written, applied, operators
from microgrid.text.source import Listed

_TEMPLATES = {
    **{
        op.name: applied(op, [Written("{0}"), Written("{1}")][: op.arity]).text
        for op in operators().values()
        if op.symbol in ("+", "-", "*", "/")  # which C has, too
    },
    "constant_power": "pow({0}, {1})",
    "power": "pow({0}, {1})",
    "abs": "fabs({0})",
    "round": "rint({0})",
    "greater": "isunordered({0}, {1}) ? NAN : {0} > {1}",
    "equal": "isunordered({0}, {1}) ? NAN : {0} == {1}",
    "where": "isnan({0}) ? NAN : {0} != 0.0 ? {1} : {2}",
    "copysign": "isnan({1}) ? NAN : copysign({0}, {1})",
    "zero_product": "{0} == 0.0 || {1} == 0.0 ? 0.0 : {0} * {1}",
    "identity": "{0}",
}
_SAME = (
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt hypot sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh "
    "atanh erf erfc floor ceil trunc fmod"
).split()

_HELPERS = {
    "sinc_derivative": """\
static double sinc_derivative(double x, double order) {
    int n = (int)order, k;
    double d[4], f, term, first;
    if (isinf(x)) return 0.0;
    if (fabs(x) >= 1.0 + 0.5 * n) {
        d[0] = sin(x), d[1] = cos(x), d[2] = -d[0], d[3] = -d[1];
        f = d[0] / x;
        for (k = 1; k <= n; k++) f = (d[k % 4] - k * f) / x;
        return f;
    }
    k = n + n % 2;
    f = term = first = ((k / 2) % 2 ? -1.0 : 1.0) / (k + 1) * (n % 2 ? x : 1.0);
    while (fabs(term) > 1e-20 * fabs(first)) {
        term *= -x * x * (k + 1) / ((k + 3.0) * (k + 2 - n) * (k + 1 - n));
        f += term;
        k += 2;
    }
    return f;
}""",
}

_NAMED = frozenset(_TEMPLATES) | frozenset(_SAME) | frozenset(_HELPERS)


def is_native(op: Op) -> bool:
    """Return True if there is C for the op: by its name, or by a formula that is."""
    return op.name in _NAMED or is_formula(op) or op.name in _BY_FORMULA


_BY_FORMULA = ("mod", "floor_divide")  # which Python and NumPy have, and C has not


def native() -> set[str]:
    """Return the names of the ops that C has."""
    return {op.name for op in OPS.values() if is_native(op)}


class _C(Text):
    """C's expressions."""

    def __init__(self, helpers: dict[str, str]) -> None:
        super().__init__()
        self.helpers = helpers

    def literal(self, x: float) -> str:
        return literal(x)

    def code(self, name: str, given: Sequence[str]) -> str:
        if name == "greater":
            return "({0} > {1} ? {2} : {0} <= {1} ? {3} : NAN)".format(*given)
        if name == "equal":
            return "({0} == {1} ? {2} : isunordered({0}, {1}) ? NAN : {3})".format(*given)
        code = written(OPS[name], given, self.helpers)
        return f"({code})" if name in _TEMPLATES else code

    def variable(self, name: str, code: str) -> str:
        return f"    const double {name} = {code};"


def _helper(op: Op, helpers: dict[str, str]) -> str:
    """Return the text of a function that computes an op's formula, after those that it calls."""
    assert op.formula is not None
    names = [f"x{i}" for i in range(op.arity)]
    text = _C(helpers)
    (result,) = text.of([terms(op.formula, names)])
    head = f"static double {op.name}({', '.join(f'double {name}' for name in names)}) {{"
    return "\n".join([head, *text.lines, f"    return {result};", "}"])


_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "_Bool _Complex _Imaginary _Alignas _Alignof _Atomic _Generic _Noreturn _Static_assert _Thread_local alignas "
    "alignof bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual asm".split()
)
"""Keywords of C99 to C23, and GNU's asm."""

_IN_MATH_H = frozenset(
    "acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 frexp ilogb ldexp log log10 "
    "log1p log2 logb modf scalbn scalbln cbrt fabs hypot pow sqrt erf erfc lgamma tgamma ceil floor nearbyint rint "
    "lrint llrint round lround llround trunc fmod remainder remquo copysign nan nextafter nexttoward fdim fmax fmin "
    "fma fpclassify isfinite isinf isnan isnormal signbit isgreater isgreaterequal isless islessequal islessgreater "
    "isunordered HUGE_VAL INFINITY NAN float_t double_t math_errhandling drem finite gamma j0 j1 jn lgamma_r "
    "lgammaf_r lgammal_r scalb signgam significand y0 y1 yn".split()
)
"""Names of C99 section 7.12, then of POSIX and BSD; a function has others in float and long, with f and l."""


def checked_name(name: str) -> str:
    """Return the name, if a function of a C text can have it. Raises ValueError otherwise."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in _KEYWORDS:
        raise ValueError(f"the function's name must be a C identifier, and no keyword, got {name!r}")
    known = not _IN_MATH_H.isdisjoint((name, name.removesuffix("f"), name.removesuffix("l")))
    if known or name in OPS or re.fullmatch("(FP|M|MATH)_[A-Z0-9_]+|HUGE_VAL[FL]", name):
        raise ValueError(f"{name} has a meaning of its own in C, or in the text: choose another name, as my_{name}")
    return name


def c(program: Listed, name: str) -> str:
    """Return the text of `void name(const double *x, double *y)`, with the functions that it calls."""
    name = checked_name(name)
    slots = [f"x[{i}]" for i in range(len(program.inputs))] + [literal(x) for x in program.constants]
    lines: list[str] = []
    used: dict[str, str] = {}
    for k, (op, operands) in enumerate(program.instructions):
        lines.append(f"    const double t{k} = {written(op, [slots[i] for i in operands], used)};")
        slots.append(f"t{k}")
    lines += [f"    y[{i}] = {slots[slot]};" for i, slot in enumerate(program.outputs)]
    inputs = ", ".join(f"x[{i}] = {input}" for i, input in enumerate(program.inputs[:20]))
    comment = f"/* {inputs}{', ...' if len(program.inputs) > 20 else ''} */\n" if inputs else ""
    body = "\n".join([f"{comment}void {name}(const double *x, double *y) {{", *lines, "}"])
    return "\n\n".join(["#include <math.h>", *used.values(), body]) + "\n"


def written(op: Op, operands: Sequence[str], helpers: dict[str, str]) -> str:
    """Return an op applied to operands; the function that it calls is entered among the helpers."""
    template = _TEMPLATES.get(op.name)
    if template:
        return template.format(*operands)
    if op.name in _HELPERS:
        helpers[op.name] = _HELPERS[op.name]
    elif op.name not in _NAMED and op.name not in helpers:
        helpers[op.name] = _helper(op, helpers)
    return f"{op.name}({', '.join(operands)})"


def literal(x: float) -> str:
    """Return a number as C reads it, to the bit."""
    if math.isfinite(x):
        return f"({x!r})" if math.copysign(1.0, x) < 0 else repr(x)
    return "NAN" if math.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
