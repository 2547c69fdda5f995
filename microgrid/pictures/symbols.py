"""Expressions of nodes and of their partials in mathematical notation, with few brackets."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.core.primitive import POWER, Op
from microgrid.functional import grad
from microgrid.program import trace
from microgrid.text import notation
from microgrid.text.notation import LOOSE, Written, operators_by_node

_WITHIN = re.compile(r"\([^()]*\)|\[[^][]*\]")
_LOOSE = re.compile(r"[-+*/%^=<>|&,\s]")


def name(text: str) -> Written:
    """Return a name; one that is an expression itself, such as the label a*b + c, gets brackets."""
    outside, found = text, 1
    while found:
        outside, found = _WITHIN.subn("", outside)
    return Written(text, LOOSE) if _LOOSE.search(outside) else Written(text)


def number(x: float) -> Written:
    """Return a number, in six digits."""
    return notation.number(x, f"{x:.6g}")


def applied(op: Op, operands: Sequence[Written], static: Sequence[float] = ()) -> Written:
    """Return the op applied to operands: a + b, tanh(x), x ** 2."""
    return notation.applied(op, [*operands, *map(number, static)], for_people=True)


def partial(op: Op, k: int, z: Written, operands: Sequence[Written], static: Sequence[float] = ()) -> Written:
    """Return the op's derivative by its k-th operand: as a textbook writes it, else as the rule does."""
    names = dict(zip(op.variables, [*operands, *map(number, static)], strict=True))
    return _rewritten(_rule(op, tuple(static), k), {**names, "z": z})


@functools.lru_cache(maxsize=4096)
def _rule(op: Op, static: tuple[float, ...], k: int) -> str:
    if op.textbook:
        return op.textbook[k]
    count = op.arity - op.static

    def f(*xs: Any) -> Any:
        return op(*xs, *static)

    slopes = trace(grad(f, argnums=k))(*[0.5] * count).simplify().expression()
    return _rewritten(slopes, {f"x{i}": name(variable) for i, variable in enumerate(op.variables[:count])}).text


def _rewritten(text: str, names: Mapping[str, Written]) -> Written:
    """Return the expression with names replaced, and small arithmetic evaluated: x ** (3 - 1) is x ** 2."""
    return _Rewriting(names).written(ast.parse(text, mode="eval").body)


class _Rewriting(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, Written]) -> None:
        self.names = names

    def written(self, node: ast.expr) -> Written:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, Written(node.id))
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return number(float(node.value))
        if isinstance(node, ast.UnaryOp) and type(node.op) in operators_by_node():
            return applied(operators_by_node()[type(node.op)], [self.written(node.operand)])
        if isinstance(node, ast.BinOp) and type(node.op) in operators_by_node():
            return _in_the_head(operators_by_node()[type(node.op)], self.written(node.left), self.written(node.right))
        if isinstance(node, ast.Call):  # a function's name is not replaced
            return Written(f"{ast.unparse(node.func)}({', '.join([self.written(x).text for x in node.args])})")
        return Written(ast.unparse(self.generic_visit(node)), LOOSE)  # a choice, between whatever

    def visit(self, node: ast.AST) -> ast.AST:
        """Return a part of a choice as one name, whatever its text is."""
        return ast.Name(id=self.written(node).text) if isinstance(node, ast.expr) else node


def _in_the_head(op: Op, x: Written, y: Written) -> Written:
    if op.symbol == "-" and x.number is not None and y.number is not None:
        return number(x.number - y.number)
    if op.precedence == POWER and y.number == 1.0:
        return x
    return y if op.symbol == "*" and x.number == 1.0 else applied(op, [x, y])
