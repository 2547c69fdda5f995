"""Formulas in ops and operators, laid out as plain Python functions of floats.

A formula is run once on terms, which note the ops. The text made of them calls `math` straight away, with choices as
Python's own conditional expressions; where `math` raises, the total functions of `forward.py` compute what IEEE 754
says instead. The bits are those of the formula called on floats, for a half to a third of the time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import forward
from microgrid.core.primitive import OPS, Op, built_in, computing, constants_recorded, exactly

_INFIX = {"add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})", "neg": "(-{})", "identity": "{}"}
_TOTAL_IN_MATH = frozenset("cbrt hypot atan atan2 tanh asinh erf erfc".split())
_RAISING = {  # ops whose function in `math` gives the bits of the one in forward.py, or raises
    name: name
    for name in "exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan asin acos sinh cosh acosh atanh".split()
} | {"power": "pow", "constant_power": "pow"}
_MOST_TEXTS = 256  # of one rule with a static operand

Function = Callable[..., Any]


class Term:
    """An op applied to terms and numbers; without an op, the name of an argument."""

    __slots__ = ("op", "operands")

    def __init__(self, op: Op | None, operands: tuple[Any, ...]) -> None:
        self.op = op
        self.operands = operands

    def _apply_op(self, op: Op, operands: Sequence[Any]) -> Any:
        if op.defined and op.formula is not None:
            return op.formula(*operands)
        if op.name == "abs" and isinstance(operands[0], Term):
            return _absolute(op, operands[0])
        return Term(op, tuple(operands))

    def __add__(self, other: Any) -> Any:
        return Term(OPS["add"], (self, other))

    def __radd__(self, other: Any) -> Any:
        return Term(OPS["add"], (other, self))

    def __sub__(self, other: Any) -> Any:
        return Term(OPS["sub"], (self, other))

    def __rsub__(self, other: Any) -> Any:
        return Term(OPS["sub"], (other, self))

    def __mul__(self, other: Any) -> Any:
        return Term(OPS["mul"], (self, other))

    def __rmul__(self, other: Any) -> Any:
        return Term(OPS["mul"], (other, self))

    def __neg__(self) -> Any:
        return Term(OPS["neg"], (self,))

    def __truediv__(self, other: Any) -> Any:
        return Term(OPS["div"], (self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return Term(OPS["div"], (other, self))

    def __pow__(self, other: Any) -> Any:
        return Term(OPS["power" if isinstance(other, Term) else "constant_power"], (self, other))

    def _refuse(self, *_others: Any) -> Any:
        raise TypeError("the formula reads a number")

    __bool__ = __float__ = __int__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse


class Text:
    """The distinct terms of a formula, and the text of each: a variable where it stands twice, else within its user.

    A language says how numbers, ops, choices and variables are written.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._keys: list[tuple[Any, ...]] = []
        self._uses: list[int] = []
        self._written: dict[int, str] = {}

    def literal(self, x: float) -> str:
        """Return the text of a number."""
        raise NotImplementedError

    def code(self, name: str, given: Sequence[str]) -> str:
        """Return the text of an op applied to texts; a comparison has two more operands, to choose from."""
        raise NotImplementedError

    def variable(self, name: str, code: str) -> str:
        """Return the line that assigns to a variable."""
        raise NotImplementedError

    def of(self, results: Sequence[Any]) -> list[str]:
        """Return the texts of the results, which stand behind `lines`."""
        entered = [self._enter(x) for x in results]
        for x in entered:
            self._use(x)
        return [self._text(x) for x in entered]

    def _enter(self, x: Any) -> str | int:
        """Return the text of a number or an argument; the index of a term."""
        x = _folded(x)
        if not isinstance(x, Term):
            return self.literal(x)
        if x.op is None:
            return str(x.operands[0])
        name, operands = x.op.name, x.operands
        if name == "constant_power" and not isinstance(operands[1], Term) and operands[1] == 1.0:
            return self._enter(operands[0])
        condition = operands[0] if name == "where" else x
        if isinstance(condition, Term) and condition.op is not None and condition.op.name in ("greater", "equal"):
            name = condition.op.name
            operands = (*condition.operands, *(operands[1:] if condition is not x else (1.0, 0.0)))
        key = (name, *map(self._enter, operands))
        if key not in self._numbers:
            self._numbers[key] = len(self._keys)
            self._keys.append(key)
            self._uses.append(0)
            for operand in (*key[1:], *(key[1:3] if name in ("greater", "equal") else ())):  # those are compared twice
                self._use(operand)
        return self._numbers[key]

    def _use(self, x: str | int) -> None:
        if isinstance(x, int):
            self._uses[x] += 1

    def _text(self, x: str | int) -> str:
        if isinstance(x, str):
            return x
        if x not in self._written:
            name, *operands = self._keys[x]
            code = self.code(name, [self._text(operand) for operand in operands])
            if self._uses[x] > 1:
                self.lines.append(self.variable(f"t{x}", code))
                code = f"t{x}"
            self._written[x] = code
        return self._written[x]


class _Python(Text):
    """Python's expressions; `total`: calling no function that raises."""

    def __init__(self, total: bool) -> None:
        super().__init__()
        self.total = total

    def literal(self, x: float) -> str:
        if math.isfinite(x):
            return repr(x) if math.copysign(1.0, x) > 0.0 else f"({x!r})"
        return "nan" if math.isnan(x) else "inf" if x > 0.0 else "(-inf)"

    def code(self, name: str, given: Sequence[str]) -> str:
        if name == "greater":
            return "({2} if {0} > {1} else {3} if {0} <= {1} else nan)".format(*given)
        if name == "equal":
            return "({2} if {0} == {1} else {3} if {0} < {1} or {0} > {1} else nan)".format(*given)
        if name in _INFIX:
            return _INFIX[name].format(*given)
        if name == "div" and not self.total:
            return "({} / {})".format(*given)
        if name == "abs":
            function = "math.fabs"
        elif name in _TOTAL_IN_MATH or (name in _RAISING and not self.total):
            function = f"math.{_RAISING.get(name, name)}"
        else:
            function = OPS[name].forward.__name__
        return f"{function}({', '.join(given)})"

    def variable(self, name: str, code: str) -> str:
        return f"{name} = {code}"


def _absolute(op: Op, x: Term) -> Any:
    """Return the term abs(x): those of x, -x and -2 x follow from one, which is computed once."""
    if x.op is not None and x.op.name == "neg":
        return op(x.operands[0])
    if x.op is not None and x.op.name == "mul" and isinstance(x.operands[0], float) and x.operands[0] < 0.0:
        return op(-x.operands[0] * x.operands[1])
    return Term(op, (x,))


def _folded(x: Any) -> Any:
    """Return the value of a term without arguments; other terms unchanged."""
    if not isinstance(x, Term):
        return float(x)
    if x.op is None:
        return x
    operands = list(map(_folded, x.operands))
    return x if any(isinstance(operand, Term) for operand in operands) else x.op.forward(*operands)


def terms(formula: Callable[..., Any], names: Sequence[str], static: Sequence[float] = ()) -> Any:
    """Return the term of a formula, or the tuple of them, of arguments of these names.

    The `static` operands follow them as plain numbers. Raises TypeError where the formula reads a number.
    """
    # The text is kept, and may be made in the midst of a computation with balls.
    with exactly(False), constants_recorded(lambda op, operands: Term(op, tuple(operands))):
        return formula(*[Term(None, (name,)) for name in names], *static)


def source(name: str, formula: Callable[..., Any], arguments: int, static: Sequence[float] = ()) -> str:
    """Return the text of a function of floats, which computes a formula, or a tuple of formulas."""
    names = [f"x{i}" for i in range(arguments)]
    result = terms(formula, names, static)

    import textwrap

    def body(total: bool) -> str:
        text = _Python(total)
        last = text.of(result if isinstance(result, tuple) else (result,))
        joined = f"({', '.join(last)},)" if isinstance(result, tuple) else last[0]
        return "\n".join([*text.lines, f"return {joined}"])

    fast, slow = (textwrap.indent(body(total), "        ") for total in (False, True))
    head = f"def {name}({', '.join(names)}):"
    if fast == slow:
        return f"{head}\n{textwrap.indent(textwrap.dedent(fast), '    ')}\n"
    return f"{head}\n    try:\n{fast}\n    except (ArithmeticError, ValueError):\n{slow}\n"


def straight(name: str, formula: Callable[..., Any], arguments: int, static: Sequence[float] = ()) -> Function:
    """Return that function."""
    space = dict(vars(forward))
    exec(compile(source(name, formula, arguments, static), f"<{name}, laid out on floats>", "exec"), space)
    function: Function = space[name]
    return function


def forward_on_floats(op: Op) -> Function:
    """Return what a defined op computes as a function of floats, whose text is made when it is first used."""
    formula = op.formula
    assert formula is not None

    made = functools.cache(lambda: straight(op.name, formula, op.arity))

    def first(*numbers: float) -> Any:
        if op.forward is first:
            op.forward = made()
        if op.float_forward is first:
            op.float_forward = made()
        return made()(*numbers)

    first.__name__ = op.name
    return first


def rule_on_floats(op: Op) -> Function:
    """Return the rule of a built-in op as a function of floats, whose text is made when it is first used."""
    rule = op.partials  # the rule of the table: before its first use a test may have replaced it

    def first(*numbers: float) -> Any:
        name = f"{op.name}_partials"
        try:
            made = straight(name, rule, 1 + op.arity)
        except TypeError:  # the rule looks at its static operand
            made = _by_static_operand(rule, name)
        if op.float_partials is first:
            op.float_partials = made
        return made(*numbers)

    return first


def _by_static_operand(rule: Function, name: str) -> Function:
    """Return the rule of an op with a static operand: compiled for each static operand, up to a limit."""
    texts: dict[float, Function] = {}

    def first(z: float, x: float, static: float) -> Any:
        if len(texts) >= _MOST_TEXTS or static == 0.0:  # 0.0 and -0.0 would be one key
            with exactly(False):
                return computing(rule)(z, x, static)
        texts[static] = straight(name, rule, 2, (static,))
        return texts[static](z, x)

    def partials(z: float, x: float, static: float) -> Any:
        made = texts.get(static)
        return made(z, x) if made is not None else first(z, x, static)

    return partials


def built_in_ops(*ops: Op) -> None:
    """Enter ops of the package among the built-in ones, with their formulas and rules as plain functions of floats."""
    for op in ops:
        built_in.add(op.name)
        if op.defined:
            op.forward = forward_on_floats(op)
        op.float_forward, op.float_partials = op.forward, rule_on_floats(op)
