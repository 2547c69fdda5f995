"""Expressions in Python's words: operators between their operands, everything else as a call, and few brackets.

The signs and how tightly they bind stand in the table of ops. Whoever writes or reads an expression asks here: programs
as text, the stepper, the reader of typed expressions.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

from microgrid import ops
from microgrid.core.primitive import CALL, POWER, SIGN, Op

LOOSE: Final = 0
"""How tightly a text binds that stands in brackets beside any operator, as a choice does."""

PLAIN: Final = frozenset("+-*")
"""Signs of the operators that raise nothing on floats, and whose order everybody knows."""


class Written(NamedTuple):
    """The text of an expression, how tightly it binds, and the number that it is, if it is one."""

    text: str
    precedence: int = CALL
    number: float | None = None


def number(x: float, text: str) -> Written:
    """A number's text: with a sign before it, it binds as -x does."""
    return Written(text, SIGN if text.startswith("-") else CALL, x)


@functools.cache
def operators() -> dict[tuple[str, int], Op]:
    """The op that each of Python's operators stands for, by its sign and the count of its operands.

    ** is `constant_power`: `power`, which has the same sign, is declared after it.
    """
    found: dict[tuple[str, int], Op] = {}
    for op in vars(ops).values():
        if isinstance(op, Op) and op.precedence < CALL:
            found.setdefault((op.symbol, op.arity), op)
    return found


@functools.cache
def operators_by_node() -> dict[type[ast.AST], Op]:
    """The same, by the class that Python's parser has for the operator."""
    found: dict[type[ast.AST], Op] = {}
    for (sign, arity), op in operators().items():
        tree = ast.parse(f"x {sign} y" if arity == 2 else f"{sign}x", mode="eval").body
        assert isinstance(tree, (ast.BinOp, ast.UnaryOp))
        found[type(tree.op)] = op
    return found


def is_operator(op: Op, signs: frozenset[str] | None = None) -> bool:
    """Whether an operator of Python's, one of these signs, stands for the op."""
    return operators().get((op.symbol, op.arity)) is op and (signs is None or op.symbol in signs)


def applied(op: Op, operands: Sequence[Written], *, for_people: bool = False) -> Written:
    """The op on operands: a + b, tanh(x), x ** 2.

    Where the text is read back, an operator stands for one op, and what shares its sign is a call. For people every op
    that has a precedence is written by its sign, and no sign follows another but in brackets.
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
    """The text, in brackets where it binds less tightly than that."""
    return x.text if x.precedence >= at_least else f"({x.text})"
