"""Expressions in Python's words: operators between their operands, everything else as a call, and few brackets.

The signs and their precedences stand in the table of ops. Programs as text, the stepper, and the reader of typed
expressions all use this module.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

from microgrid import ops
from microgrid.core.primitive import CALL, POWER, SIGN, Op

LOOSE: Final = 0
"""Precedence of a text that stands in brackets beside any operator, such as a choice."""

PLAIN: Final = frozenset("+-*")
"""Signs of the operators that raise nothing on floats, and whose order is common knowledge."""


class Written(NamedTuple):
    """The text of an expression, its precedence, and its number, if it is one."""

    text: str
    precedence: int = CALL
    number: float | None = None


def number(x: float, text: str) -> Written:
    """Return a number's text: with a sign before it, it has the precedence of -x."""
    return Written(text, SIGN if text.startswith("-") else CALL, x)


@functools.cache
def operators() -> dict[tuple[str, int], Op]:
    """Return the op of each of Python's operators, by its sign and the number of operands.

    ** is `constant_power`: `power`, which has the same sign, is declared after it.
    """
    found: dict[tuple[str, int], Op] = {}
    for op in vars(ops).values():
        if isinstance(op, Op) and op.precedence < CALL:
            found.setdefault((op.symbol, op.arity), op)
    return found


@functools.cache
def operators_by_node() -> dict[type[ast.AST], Op]:
    """Return the op of each operator, by the class of Python's syntax tree."""
    found: dict[type[ast.AST], Op] = {}
    for (sign, arity), op in operators().items():
        tree = ast.parse(f"x {sign} y" if arity == 2 else f"{sign}x", mode="eval").body
        assert isinstance(tree, (ast.BinOp, ast.UnaryOp))
        found[type(tree.op)] = op
    return found


def is_operator(op: Op, signs: frozenset[str] | None = None) -> bool:
    """Return True if the op is one of Python's operators, and has one of these signs."""
    return operators().get((op.symbol, op.arity)) is op and (signs is None or op.symbol in signs)


def applied(op: Op, operands: Sequence[Written], *, for_people: bool = False) -> Written:
    """Return the op applied to operands: a + b, tanh(x), x ** 2.

    For text that is read back, an operator stands for one op, and other ops with its sign are calls. For people every
    op with a precedence is written by its sign, and no sign follows another without brackets.
    """
    if not (op.precedence < CALL and op.arity <= 2 if for_people else is_operator(op)):
        return Written(f"{op.name}({', '.join(x.text for x in operands)})")
    binds = op.precedence
    if op.arity == 2:
        right_binds = (binds if for_people else SIGN) if binds == POWER else binds + 1
        left, right = bound(operands[0], binds + (binds == POWER)), bound(operands[1], right_binds)
        return Written(f"{left} {op.symbol} {right}", binds)
    (x,) = operands
    if for_people and x.text.startswith("-"):
        return Written(f"{op.symbol}({x.text})", binds)
    return Written(op.symbol + bound(x, binds), binds, None if x.number is None else -x.number)


def bound(x: Written, at_least: int) -> str:
    """Return the text, in brackets where its precedence is lower than that."""
    return x.text if x.precedence >= at_least else f"({x.text})"
