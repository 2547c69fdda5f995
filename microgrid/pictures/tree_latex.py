"""Trees of formulas in LaTeX, and the small algebra by which a chain rule stays as short as a textbook writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from microgrid.core.primitive import OPS, PRODUCT, SUM
from microgrid.pictures.symbols import CHOICE, COMPARED, Tree, filled
from microgrid.text import latex
from microgrid.text.latex import ATOM, Formula

_MARKS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_CONSTANTS = {"pi": r"\pi", "inf": r"\infty"}


class TreeWriter(NamedTuple):
    """A writer of trees, given the formula of a name, None for one that it does not know, and that of a number."""

    known: Callable[[str], Formula | None]
    number: Callable[[float], Formula] = latex.number

    def written(self, tree: Any) -> Formula:
        """Return the tree as a formula."""
        if isinstance(tree, float):
            return self.number(tree)
        if isinstance(tree, str):
            text = _CONSTANTS.get(tree, rf"\mathrm{{{tree}}}")
            return self.known(tree) or Formula(text, ATOM, text)
        head, *operands = tree
        if head == COMPARED:
            text = " ".join(_MARKS[x] if k % 2 else self._beside_a_mark(x) for k, x in enumerate(operands))
            return Formula(text, latex.OPEN, text)
        if head == CHOICE:
            return self._choice(operands)
        if head == "neg" and isinstance(operands[0], tuple) and operands[0][0] == "mul":  # -2 x, and not -(2 x)
            return self.written(("mul", negative(operands[0][1]), operands[0][2]))
        given = [self.written(x) for x in operands]
        if head == "neg" and given[0].precedence == PRODUCT:  # nor where the product has a name of its own
            text = given[0].text.removeprefix("-") if given[0].text.startswith("-") else f"-{given[0].text}"
            return Formula(text, PRODUCT, text)
        op = OPS.get(head)
        if op is not None and op.arity == len(given):
            return latex.applied(op.latex, given)
        text = rf"\operatorname{{{head}}}\left({', '.join(x.text for x in given)}\right)".replace("_", r"\_")
        return Formula(text, ATOM, text)

    def _beside_a_mark(self, tree: Any) -> str:
        x = self.written(tree)
        return x.beside if x.precedence >= SUM else rf"\left({x.text}\right)"

    def _choice(self, operands: Sequence[Any]) -> Formula:
        value, condition, otherwise = operands
        if (value, otherwise) == (1.0, 0.0):  # Iverson's bracket
            text = rf"\left[{self._condition(condition)}\right]"
            return Formula(text, ATOM, text)
        cases = []
        rest: Any = (CHOICE, *operands)
        while isinstance(rest, tuple) and rest[0] == CHOICE:
            cases.append(rf"{self.written(rest[1]).text} & {self._condition(rest[2])}")
            rest = rest[3]
        cases.append(rf"{self.written(rest).text} & \text{{otherwise}}")
        lines = " \\\\ ".join(cases)
        text = rf"\begin{{cases}} {lines} \end{{cases}}"
        return Formula(text, latex.OPEN, text)

    def _condition(self, tree: Any) -> str:
        text = self.written(tree).text
        return text if isinstance(tree, tuple) and tree[0] == COMPARED else latex.holds(text)


def aligned(lines: Sequence[str]) -> str:
    """Return lines as an `aligned` environment."""
    text = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{text}\n\\end{{aligned}}"


def slope_of(result: str, name: str) -> str:
    """Return the sign of the derivative of a result by a name."""
    return rf"\frac{{\partial {result}}}{{\partial {name}}}"


def times(x: Tree, y: Tree) -> Tree:
    """Return the product, with its sign in front and without a factor 1."""
    if x == 1.0 or y == 1.0:
        return y if x == 1.0 else x
    if x == -1.0 or y == -1.0:
        return negative(y if x == -1.0 else x)
    if isinstance(x, tuple) and x[0] == "neg":
        return negative(times(x[1], y))
    if isinstance(y, tuple) and y[0] == "neg":
        return negative(times(x, y[1]))
    if isinstance(y, tuple) and y[0] == "mul":
        return ("mul", times(x, y[1]), y[2])
    return filled(("mul", x, y), {})


def negative(x: Tree) -> Tree:
    """Return the negative, with its sign in front."""
    if isinstance(x, float):
        return -x
    if isinstance(x, tuple) and x[0] == "neg":
        return cast("Tree", x[1])
    if isinstance(x, tuple) and x[0] in ("div", "mul") and isinstance(x[1], tuple) and x[1][0] == "neg":
        return (x[0], x[1][1], x[2])
    return ("neg", x)


def total(terms: Sequence[Tree]) -> Tree:
    """Return the sum of terms, as a difference where one is negative."""
    found = terms[0]
    for term in terms[1:]:
        if isinstance(term, float) and term < 0.0:
            found = ("sub", found, -term)
        elif isinstance(term, tuple) and term[0] == "neg":
            found = ("sub", found, term[1])
        else:
            found = ("add", found, term)
    return found
