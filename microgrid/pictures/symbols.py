"""Expressions of nodes and of their partials in mathematical notation, with few brackets.

A `Tree` is a formula for people before it is written: a number, a name, or an op's name with its operands.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from microgrid.core.primitive import OPS, POWER, Op
from microgrid.functional import grad
from microgrid.program import trace
from microgrid.text import notation
from microgrid.text.notation import LOOSE, Written, operators_by_node

Tree: TypeAlias = "float | str | tuple[Any, ...]"

CHOICE = "if"
"""The head of the tree of a choice: its value, the condition, and the value otherwise."""

COMPARED = "compared"
"""The head of the tree of a comparison, possibly a chain: operands with signs between them."""

_WITHIN = re.compile(r"\([^()]*\)|\[[^][]*\]")
_LOOSE = re.compile(r"[-+*/%^=<>|&,\s]")
_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


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
    names = {**dict(zip(op.variables, [*operands, *map(number, static)], strict=True)), "z": z}
    numbers = {key: x.number for key, x in names.items() if x.number is not None}
    return _written(filled(rule(op, tuple(static), k), numbers), names)


@functools.lru_cache(maxsize=4096)
def rule(op: Op, static: tuple[float, ...], k: int) -> Tree:
    """Return the op's derivative by its k-th operand, in z and the names that the op has for its operands."""
    if op.textbook:
        return _tree(ast.parse(op.textbook[k], mode="eval").body)
    count = op.arity - op.static

    def f(*xs: Any) -> Any:
        return op(*xs, *static)

    slopes = trace(grad(f, argnums=k))(*[0.5] * count).simplify().expression()
    variables: dict[str, Tree] = {f"x{i}": variable for i, variable in enumerate(op.variables[:count])}
    return filled(_tree(ast.parse(slopes, mode="eval").body), variables)


def _tree(node: ast.expr) -> Tree:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in operators_by_node():
        return (operators_by_node()[type(node.op)].name, _tree(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in operators_by_node():
        return (operators_by_node()[type(node.op)].name, _tree(node.left), _tree(node.right))
    if isinstance(node, ast.Call):  # a function's name is not replaced
        return (ast.unparse(node.func), *map(_tree, node.args))
    if isinstance(node, ast.IfExp):
        return (CHOICE, _tree(node.body), _tree(node.test), _tree(node.orelse))
    if isinstance(node, ast.Compare) and all(type(sign) in _SIGNS for sign in node.ops):
        rest = [x for sign, right in zip(node.ops, node.comparators, strict=True) for x in (_SIGNS[type(sign)], right)]
        return (COMPARED, _tree(node.left), *(x if isinstance(x, str) else _tree(x) for x in rest))
    return ast.unparse(node)


def filled(tree: Tree, names: Mapping[str, Any]) -> Tree:
    """Return the tree with names replaced by trees, and small arithmetic evaluated: x ** (3 - 1) is x ** 2."""
    if isinstance(tree, float):
        return tree
    if isinstance(tree, str):
        return cast("Tree", names.get(tree, tree))
    head, *operands = tree
    if head == COMPARED:  # a sign is no name
        return (head, *(x if k % 2 else filled(x, names) for k, x in enumerate(operands)))
    return _in_the_head(head, [filled(x, names) for x in operands])


def _in_the_head(head: str, operands: Sequence[Tree]) -> Tree:
    if len(operands) == 1 and head == "neg" and isinstance(operands[0], float):
        return -operands[0]
    if head == CHOICE and isinstance(operands[1], float) and operands[1] == operands[1]:
        return operands[0 if operands[1] else 2]
    if len(operands) != 2 or head not in OPS:
        return (head, *operands)
    op, (x, y) = OPS[head], operands
    if op.symbol == "-" and isinstance(x, float) and isinstance(y, float):
        return x - y
    if op.precedence == POWER and y == 1.0:
        return x
    return y if op.symbol == "*" and x == 1.0 else (head, x, y)


def _written(tree: Tree, names: Mapping[str, Written]) -> Written:
    if isinstance(tree, float):
        return number(tree)
    if isinstance(tree, str):
        return names.get(tree, Written(tree))
    head, *operands = tree
    if head == COMPARED:
        return Written(" ".join(x if k % 2 else _written(x, names).text for k, x in enumerate(operands)), LOOSE)
    given = [_written(x, names) for x in operands]
    if head == CHOICE:
        value, condition, otherwise = (x.text for x in given)
        return Written(f"{value} if {condition} else {otherwise}", LOOSE)
    if head in OPS and OPS[head].arity == len(given):
        return applied(OPS[head], given)
    return Written(f"{head}({', '.join(x.text for x in given)})")
