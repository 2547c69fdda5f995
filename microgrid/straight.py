"""Formulas in ops and operators, laid out as plain Python functions of floats.

A formula is run once on terms, which note the ops. The text made of them calls `math` straight away, with choices as
Python's own conditional expressions; where `math` raises, the total functions of `forward.py` compute what IEEE 754
says instead. The bits are those of the formula called on floats, for a half to a third of the time.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import forward
from microgrid.primitive import OPS, Op, computing, constants_recorded

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

    def _apply_op(self, op: Op, operands: Sequence[Any]) -> Term:
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

    def _refuse(self, *_others: Any) -> Any:
        raise TypeError("the formula looks at a number")

    __bool__ = __float__ = __int__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse


class _Text:
    """The distinct terms of a formula, and the text of each: a variable where it stands twice, else within its user."""

    def __init__(self, total: bool) -> None:
        self.total = total  # call no function that raises
        self.lines: list[str] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._keys: list[tuple[Any, ...]] = []
        self._uses: list[int] = []
        self._written: dict[int, str] = {}

    def enter(self, x: Any) -> str | int:
        """The text of a number or an argument; of a term its number."""
        x = _folded(x)
        if not isinstance(x, Term):
            return _literal(x)
        if x.op is None:
            return str(x.operands[0])
        name, operands = x.op.name, x.operands
        if name == "constant_power" and operands[1] == 1.0:
            return self.enter(operands[0])
        condition = operands[0] if name == "where" else x
        if isinstance(condition, Term) and condition.op is not None and condition.op.name in ("greater", "equal"):
            name = condition.op.name
            operands = (*condition.operands, *(operands[1:] if condition is not x else (1.0, 0.0)))
        entered = tuple(map(self.enter, operands))
        for again in (entered, entered[:2] if name in ("greater", "equal") else ()):  # those are compared twice
            for operand in again:
                self.use(operand)
        key = (name, *entered)
        if key in self._numbers:
            for operand in entered:
                self.use(operand, -1)
        else:
            self._numbers[key] = len(self._keys)
            self._keys.append(key)
            self._uses.append(0)
        return self._numbers[key]

    def use(self, x: str | int, times: int = 1) -> None:
        """Count that a term stands in a text."""
        if isinstance(x, int):
            self._uses[x] += times

    def written(self, x: str | int) -> str:
        """The text of what was entered, once everything is."""
        if isinstance(x, str):
            return x
        if x not in self._written:
            name, *entered = self._keys[x]
            code = self._code(name, [self.written(operand) for operand in entered])
            if self._uses[x] > 1:
                self.lines.append(f"t{x} = {code}")
                code = f"t{x}"
            self._written[x] = code
        return self._written[x]

    def _code(self, name: str, given: Sequence[str]) -> str:
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


def _folded(x: Any) -> Any:
    """The number that a term without arguments has; other terms as they are."""
    if not isinstance(x, Term):
        return float(x)
    if x.op is None:
        return x
    operands = list(map(_folded, x.operands))
    return x if any(isinstance(operand, Term) for operand in operands) else x.op.forward(*operands)


def _literal(x: float) -> str:
    if math.isfinite(x):
        return repr(x) if math.copysign(1.0, x) > 0.0 else f"({x!r})"
    return "nan" if math.isnan(x) else "inf" if x > 0.0 else "(-inf)"


def source(name: str, formula: Callable[..., Any], arguments: int, static: Sequence[float] = ()) -> str:
    """Return the text of a function of floats, which computes a formula, or a tuple of formulas.

    The `static` operands follow the arguments as plain numbers. Raises TypeError where the formula looks at a number.
    """
    names = [f"x{i}" for i in range(arguments)]
    with constants_recorded(lambda op, operands: Term(op, tuple(operands))):
        result = formula(*[Term(None, (name,)) for name in names], *static)

    several = isinstance(result, tuple)

    def body(total: bool) -> str:
        text = _Text(total)
        entered = [text.enter(x) for x in (result if several else (result,))]
        for x in entered:
            text.use(x)
        last = ", ".join([text.written(x) for x in entered])
        return "\n".join([*text.lines, f"return ({last},)" if several else f"return {last}"])

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


def rule_on_floats(op: Op) -> Function:
    """Return the rule of a built-in op as a function of floats, whose text is made when it is first used."""
    rule = op.partials  # that of the table: by the time of first use a test may have put a wrong one there

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
    """The rule of an op of one operand and a static one, with a text for each static one, up to a number of them."""
    texts: dict[float, Function] = {}

    def first(z: float, x: float, static: float) -> Any:
        if len(texts) >= _MOST_TEXTS or static == 0.0:  # 0.0 and -0.0 would be one key
            return computing(rule)(z, x, static)
        texts[static] = straight(name, rule, 2, (static,))
        return texts[static](z, x)

    def partials(z: float, x: float, static: float) -> Any:
        made = texts.get(static)
        return made(z, x) if made is not None else first(z, x, static)

    return partials
