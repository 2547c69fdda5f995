"""A program as one C function. What C has by name, or by operators, stands here; other ops are their formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from microgrid.core.natives import C_FUNCTIONS
from microgrid.core.primitive import OPS, Op, built_in, is_formula
from microgrid.core.straight import Text, terms
from microgrid.text.notation import Written, applied, operators
from microgrid.text.source import Listed

_TEMPLATES = {
    **{
        op.name: applied(op, [Written("{0}"), Written("{1}")][: op.arity]).text
        for op in operators().values()
        if op.symbol in ("+", "-", "*", "/")  # which C has, too
    },
    "greater": "isunordered({0}, {1}) ? NAN : {0} > {1}",
    "equal": "isunordered({0}, {1}) ? NAN : {0} == {1}",
    "where": "isnan({0}) ? NAN : {0} != 0.0 ? {1} : {2}",
    "copysign": "isnan({1}) ? NAN : copysign({0}, {1})",
    "zero_product": "{0} == 0.0 || {1} == 0.0 ? 0.0 : {0} * {1}",
    "identity": "{0}",
}
_OTHERWISE = frozenset({"round", "remainder"})  # away from 0 at a tie; by the nearest quotient

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

_BY_FORMULA = ("mod", "floor_divide")  # in Python and NumPy, but not in C


def in_math_h(op: Op) -> str | None:
    """The function of C's math.h that computes the op: a native, or of the name or an alias of a built-in op."""
    if op.name not in built_in or "c" in op.on:
        return op.on.get("c")
    names = (x for x in (op.name, *op.aliases) if C_FUNCTIONS.get(x) == op.arity and x not in _OTHERWISE)
    return next(names, None)


def is_native(op: Op) -> bool:
    """Return True if there is C for the op: here, by a name, or its formula is one for C."""
    return op.name in _TEMPLATES or op.name in _HELPERS or in_math_h(op) is not None or _is_helper(op)


def _is_helper(op: Op) -> bool:
    """Return True if a function of its own computes the op's formula."""
    return is_formula(op) or op.name in _BY_FORMULA


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

_IN_MATH_H = frozenset(C_FUNCTIONS) | frozenset(
    "frexp ilogb ldexp modf scalbn scalbln lrint llrint lround llround remquo nan nexttoward fpclassify isfinite isinf "
    "isnan isnormal signbit isgreater isgreaterequal isless islessequal islessgreater isunordered HUGE_VAL INFINITY "
    "NAN float_t double_t math_errhandling drem finite gamma j0 j1 jn lgamma_r lgammaf_r lgammal_r scalb signgam "
    "significand y0 y1 yn".split()
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
    name = op.name
    if name in _HELPERS:
        helpers[name] = _HELPERS[name]
    elif (native := in_math_h(op)) is not None:
        name = native
    elif name not in helpers:
        helpers[name] = _helper(op, helpers)
    return f"{name}({', '.join(operands)})"


def literal(x: float) -> str:
    """Return a number as C reads it, to the bit."""
    if math.isfinite(x):
        return f"({x!r})" if math.copysign(1.0, x) < 0 else repr(x)
    return "NAN" if math.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
