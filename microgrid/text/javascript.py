"""A program, or an op with its rule, as JavaScript. What `Math` lacks stands here; other ops are their formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrid.core.primitive import OPS, Op, built_in, has_rule
from microgrid.core.straight import Term, Text, terms
from microgrid.text.source import Listed

_EXACT: Final = {
    "add": "({} + {})",
    "sub": "({} - {})",
    "mul": "({} * {})",
    "div": "({} / {})",
    "neg": "(-{})",
    "identity": "{}",
    "fmod": "({} % {})",
    "abs": "Math.abs({})",
    "sqrt": "Math.sqrt({})",
    "floor": "Math.floor({})",
    "ceil": "Math.ceil({})",
    "trunc": "Math.trunc({})",
    "greater": "({0} > {1} ? {2} : {0} <= {1} ? {3} : NaN)",
    "equal": "({0} === {1} ? {2} : {0} < {1} || {0} > {1} ? {3} : NaN)",
}
"""Ops that IEEE 754 defines to the bit. A comparison has two more operands, to choose from."""

_ROUNDED: Final = frozenset(
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh exp expm1 hypot "
    "log log10 log1p log2 sin sinh tan tanh".split()
)
"""Functions of `Math`, whose last bits differ from one browser to another."""

_HELPERS: Final = {
    "where": "const where = (c, x, y) => c !== c ? NaN : c ? x : y;",
    "copysign": "const copysign = (x, y) => y !== y ? NaN : y < 0 || 1 / y < 0 ? -Math.abs(x) : Math.abs(x);",
    "round": "const round = x => Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);",
    "zero_product": "const zero_product = (x, y) => x === 0 || y === 0 ? 0 : x * y;",
    "power": "const power = (x, y) => x === 1 || x === -1 && Math.abs(y) === Infinity ? 1 : Math.pow(x, y);",
    "exp2": "const exp2 = x => Math.pow(2, x);",
    "sinc_derivative": """\
const sinc_derivative = (x, n) => {
  if (Math.abs(x) === Infinity) return 0;
  let k, f;
  if (Math.abs(x) >= 1 + n / 2) {
    const d = [Math.sin(x), Math.cos(x), -Math.sin(x), -Math.cos(x)];
    for (f = d[0] / x, k = 1; k <= n; k++) f = (d[k % 4] - k * f) / x;
    return f;
  }
  k = n + n % 2;
  let term = f = (k / 2 % 2 ? -1 : 1) / (k + 1) * (n % 2 ? x : 1);
  for (const first = Math.abs(f); Math.abs(term) > 1e-20 * first; k += 2)
    f += term *= -x * x * (k + 1) / ((k + 3) * (k + 2 - n) * (k + 1 - n));
  return f;
};""",
    # FreeBSD's msun, s_erf.c (Sun Microsystems, 1993); the 24 bits of Math.fround make its square exact.
    "_erf": """\
const _erf = (x, tail) => {
  const p = (c, s) => c.reduceRight((sum, k) => sum * s + k), a = Math.abs(x), s = a - 1, u = 1 / (x * x);
  if (x !== x) return x;
  if (a < 0.84375) {
    const y = x * p([.12837916709551256, -.3250421072470015, -.02848174957559851, -.005770270296489442,
      -23763016656650163e-21], x * x) / p([1, .39791722395915535, .0650222499887673, .005081306281875766,
      .00013249473800432164, -3960228278775368e-21], x * x);
    return !tail ? x + y : x < .25 ? 1 - (x + y) : .5 - (y + (x - .5));
  }
  if (a < 1.25) {
    const y = p([-.0023621185607526594, .41485611868374833, -.3722078760357013, .31834661990116175,
      -.11089469428239668, .035478304325618236, -.002166375594868791], s) / p([1, .10642088040084423,
      .540397917702171, .07182865441419627, .12617121980876164, .01363708391202905, .011984499846799107], s);
    const erx = .8450629115104675;
    return !tail ? Math.sign(x) * (erx + y) : x > 0 ? 1 - erx - y : 1 + (erx + y);
  }
  if (a >= (tail && x > 0 ? 28 : 6)) return tail ? x > 0 ? 0 : 2 : Math.sign(x);
  const q = a < 1 / .35 ? p([-.009864944034847148, -.6938585727071818, -10.558626225323291, -62.375332450326006,
    -162.39666946257347, -184.60509290671104, -81.2874355063066, -9.814329344169145], u) / p([1, 19.651271667439257,
    137.65775414351904, 434.56587747522923, 645.3872717332679, 429.00814002756783, 108.63500554177944,
    6.570249770319282, -.0604244152148581], u) : p([-.0098649429247001, -.799283237680523, -17.757954917754752,
    -160.63638485582192, -637.5664433683896, -1025.0951316110772, -483.5191916086514], u) / p([1, 30.33806074348246,
    325.7925129965739, 1536.729586084437, 3199.8582195085955, 2553.0504064331644, 474.52854120695537,
    -22.44095244658582], u);
  const z = Math.fround(a), r = Math.exp(-z * z - .5625) * Math.exp((z - a) * (z + a) + q) / a;
  return tail ? x > 0 ? r : 2 - r : Math.sign(x) * (1 - r);
};""",
}
_BITS: Final = frozenset(("where", "copysign", "round", "zero_product"))
"""Helpers whose results are exact."""

_CALLS: Final = {"constant_power": ("power", ""), "erf": ("_erf", ", false"), "erfc": ("_erf", ", true")}


class Functions(NamedTuple):
    """An op as arrow functions: of its operands, and of the result and the operands, to an array of partials.

    `exact` and `exact_rule` say that their results are the same bits in Python and in any browser.
    """

    forward: str
    rule: str
    exact: bool
    exact_rule: bool


class Library:
    """The functions that JavaScript text calls, each written once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._names: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._inexact: set[str] = set()

    def called(self, op: Op, static: tuple[float, ...]) -> tuple[str, bool]:
        """Return the name of the function that computes the op by its formula, and True if that is exact."""
        key = (op, tuple(map(repr, static)))
        if key not in self._names:
            names = [f"x{i}" for i in range(op.arity - len(static))]
            text = _JavaScript(self)
            body = text.function(names, _formula(op)(names, static))
            prefix = "" if op.name in built_in else "op_"
            name = prefix + re.sub(r"\W", "_", "_".join([op.name, *map(_literal, static)]))
            while name in self._taken:
                name += "_"
            self._taken.add(name)
            self._names[key] = name
            self.texts.append(f"const {name} = {body};")
            if not text.exact:
                self._inexact.add(name)
        return self._names[key], self._names[key] not in self._inexact

    def helper(self, name: str) -> str:
        """Return the name of a helper, whose text is added."""
        if name not in self._taken:
            self._taken.add(name)
            self.texts.append(_HELPERS[name])
        return name


class _JavaScript(Text):
    """JavaScript's expressions; `exact` as long as no function has been called that rounds."""

    def __init__(self, library: Library) -> None:
        super().__init__()
        self.library = library
        self.exact = True

    def literal(self, x: float) -> str:
        return _literal(x)

    def code(self, name: str, given: Sequence[str]) -> str:
        return self.applied(OPS[name], given)

    def applied(self, op: Op, given: Sequence[str]) -> str:
        """Return the op applied to texts; the function that it calls is entered into the library."""
        name = op.name
        if name not in built_in:
            return self._by_formula(op, given)
        if name in _EXACT:
            return _EXACT[name].format(*given, *(("1", "0") if len(given) == 2 else ()))
        self.exact &= name in _BITS or name not in {*_ROUNDED, *_HELPERS, *_CALLS}
        if name in _ROUNDED:
            return f"Math.{name}({', '.join(given)})"
        function, more = _CALLS.get(name, (name, ""))
        if function in _HELPERS:
            return f"{self.library.helper(function)}({', '.join(given)}{more})"
        return self._by_formula(op, given)

    def _by_formula(self, op: Op, given: Sequence[str]) -> str:
        count = op.arity - op.static
        function, exact = self.library.called(op, tuple(map(_number, given[count:])))
        self.exact &= exact
        return f"{function}({', '.join(given[:count])})"

    def variable(self, name: str, code: str) -> str:
        return f"const {name} = {code};"

    def function(self, names: Sequence[str], result: Any) -> str:
        """Return the arrow function of arguments of these names that computes a term, or an array of terms."""
        found = self.of(result if isinstance(result, tuple) else (result,))
        value = f"[{', '.join(found)}]" if isinstance(result, tuple) else found[0]
        head = f"({', '.join(names)}) =>"
        if not self.lines:
            return f"{head} {value}"
        return f"{head} {{ {' '.join(self.lines)} return {value}; }}"


def functions(op: Op, static: tuple[float, ...], library: Library) -> Functions:
    """Return an op with these static operands as JavaScript. Raises TypeError where it cannot be written in ops."""
    if not has_rule(op):
        raise TypeError(f"{op.name} has no rule")
    names = [f"x{i}" for i in range(op.arity - op.static)]
    forward, rule = _JavaScript(library), _JavaScript(library)
    formula = op if op.name in built_in else _definition(op)
    return Functions(
        forward.function(names, _terms(op, formula, names, static)),
        rule.function(["z", *names], _terms(op, op.partials, ["z", *names], static)),
        forward.exact,
        rule.exact,
    )


def javascript(program: Listed, name: str) -> str:
    """Return the text of a function from the array of the inputs to the array of the outputs."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) or name in _RESERVED:
        raise ValueError(f"the function's name must be a JavaScript identifier, and no keyword, got {name!r}")
    if name in OPS or name in _HELPERS or name.startswith("op_"):
        raise ValueError(f"{name} has a meaning of its own in the text: choose another name, as my_{name}")
    library = Library()
    text = _JavaScript(library)
    slots = [f"x[{i}]" for i in range(len(program.inputs))] + [_literal(x) for x in program.constants]
    lines = []
    for k, (op, operands) in enumerate(program.instructions):
        lines.append(f"  const t{k} = {text.applied(op, [slots[i] for i in operands])};")
        slots.append(f"t{k}")
    inputs = ", ".join(f"x[{i}] = {input}" for i, input in enumerate(program.inputs[:20]))
    comment = f"/* {inputs}{', ...' if len(program.inputs) > 20 else ''} */\n" if inputs else ""
    returned = f"  return [{', '.join(slots[i] for i in program.outputs)}];"
    body = "\n".join([f"{comment}function {name}(x) {{", *lines, returned, "}"])
    return "\n\n".join([*library.texts, body]) + "\n"


_RESERVED = frozenset(
    "arguments async await break case catch class const continue debugger default delete do else enum eval export "
    "extends false finally for function if implements import in instanceof interface let new null package private "
    "protected public return static super switch this throw true try typeof undefined var void while with yield Math "
    "NaN Infinity".split()
)


def _formula(op: Op) -> Callable[..., Any]:
    return lambda names, static: _terms(op, _definition(op), names, static)


def _definition(op: Op) -> Callable[..., Any]:
    return op.formula or op.forward


def _terms(op: Op, formula: Callable[..., Any], names: Sequence[str], static: Sequence[float]) -> Any:
    """Return the terms of a formula. Raises TypeError where it is not written in ops and operators."""
    try:
        result = terms(formula, names, static)
        agenda = list(result) if isinstance(result, tuple) else [result]
        while agenda:
            x = agenda.pop()
            if isinstance(x, Term) and x.op is not None:
                if OPS.get(x.op.name) is not x.op:  # another op has its name now
                    raise TypeError(f"{x.op.name} was declared again")
                if x.op is op and formula is _definition(op):
                    raise TypeError("the formula comes back to its own op")
                agenda += x.operands
            elif not isinstance(x, (Term, float, int)):
                raise TypeError(f"got {x!r}")
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise TypeError(
            f"{op.name} cannot be written in other ops: declare it with formula=, its definition in ops and operators "
            f"({error})"
        ) from None
    return result


def _literal(x: float) -> str:
    if math.isfinite(x):
        text = repr(x).removesuffix(".0")
        return f"({text})" if math.copysign(1.0, x) < 0.0 else text
    return "NaN" if math.isnan(x) else "Infinity" if x > 0.0 else "(-Infinity)"


def _number(text: str) -> float:
    """Return the number of a literal. Raises TypeError for any other text."""
    try:
        return float(text.strip("()").replace("Infinity", "inf"))
    except ValueError:
        raise TypeError(f"a static operand is computed: {text}") from None
