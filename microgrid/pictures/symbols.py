"""Expressions of nodes and of their partials, as a person writes them: trees, printed with few brackets."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.functional import grad
from microgrid.primitive import Op
from microgrid.program import trace

_INFIX: dict[str, Any] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "div": ast.Div,
    "mod": ast.Mod,
    "floor_divide": ast.FloorDiv,
    "power": ast.Pow,
    "constant_power": ast.Pow,
}


def name(text: str) -> ast.expr:
    """A name; it may be any text."""
    return ast.Name(id=text)


class _Number:
    """What a number's node holds; a label that reads as a number, as "1", is a name all the same."""

    def __init__(self, x: float) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"{self.x:.6g}"


def number(x: float) -> ast.expr:
    """A number, in six digits."""
    if f"{x:.6g}".startswith("-"):
        return ast.UnaryOp(op=ast.USub(), operand=number(-x))
    return ast.Constant(value=_Number(x))  # type: ignore[arg-type]  # it is written as its repr


def applied(op: Op, operands: Sequence[ast.expr], static: Sequence[float] = ()) -> ast.expr:
    """The op on operands: a + b, tanh(x), x ** 2."""
    given = [*operands, *map(number, static)]
    if op.name == "neg":
        inner = text(given[0])  # a minus after a minus stands in brackets
        return ast.UnaryOp(op=ast.USub(), operand=name(f"({inner})") if inner.startswith("-") else _part(given[0]))
    if op.name in _INFIX:
        return ast.BinOp(left=_part(given[0]), op=_INFIX[op.name](), right=_part(given[1]))
    return ast.Call(func=ast.Name(id=op.name), args=given, keywords=[])


def partial(op: Op, k: int, z: ast.expr, operands: Sequence[ast.expr], static: Sequence[float] = ()) -> ast.expr:
    """The op's derivative by its k-th operand: as a textbook writes it, else as the rule does."""
    names = dict(zip(op.variables, [*operands, *map(number, static)], strict=True))
    rule = ast.parse(_rule(op, tuple(static), k), mode="eval").body
    tree: ast.expr = _Substitution({**names, "z": z}).visit(rule)
    return tree


def text(tree: ast.expr) -> str:
    """The expression in words of Python."""
    return ast.unparse(ast.fix_missing_locations(tree))


_WITHIN = re.compile(r"\([^()]*\)|\[[^][]*\]")
_LOOSE = re.compile(r"[-+*/%^=<>|&,\s]")


def _part(tree: ast.expr) -> ast.expr:
    """The tree as an operand: a name that is an expression itself, as the label a*b + c, stands in brackets."""
    if not isinstance(tree, ast.Name):
        return tree
    outside, found = tree.id, 1
    while found:
        outside, found = _WITHIN.subn("", outside)
    return name(f"({tree.id})") if _LOOSE.search(outside) else tree


@functools.lru_cache(maxsize=4096)
def _rule(op: Op, static: tuple[float, ...], k: int) -> str:
    if op.textbook:
        return op.textbook[k]
    count = op.arity - op.static

    def f(*xs: Any) -> Any:
        return op(*xs, *static)

    slopes = trace(grad(f, argnums=k))(*[0.5] * count).simplify().expression()
    tree = ast.parse(slopes, mode="eval").body
    variables = {f"x{i}": name(variable) for i, variable in enumerate(op.variables[:count])}
    return text(_Substitution(variables).visit(tree))


class _Substitution(ast.NodeTransformer):
    """Names replaced, and what can be computed in the head computed: x ** (3 - 1) is x ** 2."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.names.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]  # not the function's name
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        x, y = _value(left), _value(right)
        if isinstance(node.op, ast.Sub) and x is not None and y is not None:
            return number(x - y)
        if isinstance(node.op, ast.Pow) and y == 1.0:
            return left  # type: ignore[no-any-return]  # visit is untyped
        if isinstance(node.op, ast.Mult) and x == 1.0:
            return right  # type: ignore[no-any-return]
        return ast.BinOp(left=_part(left), op=node.op, right=_part(right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return ast.UnaryOp(op=node.op, operand=_part(self.visit(node.operand)))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return number(float(node.value)) if isinstance(node.value, (int, float)) else node


def _value(tree: ast.expr) -> float | None:
    """The number that a tree is; None for anything else."""
    if isinstance(tree, ast.UnaryOp):
        inner = _value(tree.operand)
        return None if inner is None else -inner
    return tree.value.x if isinstance(tree, ast.Constant) and isinstance(tree.value, _Number) else None
