"""The derivatives of a graph as a derivation in LaTeX, as short as a textbook writes it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from microgrid.core.primitive import has_rule
from microgrid.engine import CONSTANT, Value
from microgrid.pictures import web
from microgrid.pictures.outline import RESULT, static_operands
from microgrid.pictures.symbols import CHOICE, Tree, filled, rule
from microgrid.pictures.tree_latex import TreeWriter, aligned, slope_of, times, total
from microgrid.pictures.walk import Walk
from microgrid.text import latex
from microgrid.text.latex import ATOM, Formula
from microgrid.text.source import check_length

LONGEST = 24
"""Maximum number of ops in a formula; a value that would make a longer one gets a name."""


def derivation(passes: Walk) -> str:
    """Return both passes as an `aligned` environment. Raises ValueError when it has more than 100,000 characters."""
    return _Derivation(passes).written()


class _Derivation:
    """Values with a name stand on lines of their own; the others are written out where they are used."""

    def __init__(self, passes: Walk) -> None:
        self.passes = passes
        self.root = len(passes.items) - 1
        self.users: list[list[tuple[int, int]]] = [[] for _ in passes.items]
        for i, item in enumerate(passes.items):
            for place, j in enumerate(item.operands):
                self.users[j].append((i, place))
        self.whole: list[Tree] = []  # of each value its formula in names
        self.trees: list[Tree] = []  # and how it stands in another one: by its name, if it has one
        self.sizes: list[int] = []
        self.named: list[int] = []
        for i in range(len(passes.items)):
            self._enter(i)
        self.latex_names = dict(zip(self.named, self._names(), strict=True))
        self.writer = TreeWriter(self._name, _shown)

    def _enter(self, i: int) -> None:
        item, value = self.passes.items[i], self.passes.values[i]
        if value.op is None or value.op is CONSTANT:
            tree: Tree = value.data if value.op is CONSTANT else _key(i)
            if value.op is None:
                self.named.append(i)
            self._append(tree, tree, 0)
            return
        whole = filled((value.op.name, *(f"x{k}" for k in range(value.op.arity))), self._arguments(i))
        size = 1 + sum(self.sizes[j] for j in item.operands)
        alone = len(self.users[i]) == 1 and not item.title and i != self.root and _is_short(value)
        if alone and size < LONGEST and not _is_choice(self.passes.values[self.users[i][0][0]]):
            self._append(whole, whole, size)
        else:
            self.named.append(i)
            self._append(whole, _key(i), 0)

    def _append(self, whole: Tree, tree: Tree, size: int) -> None:
        self.whole.append(whole)
        self.trees.append(tree)
        self.sizes.append(size)

    def _arguments(self, i: int) -> dict[str, Tree]:
        given = [*(self.trees[j] for j in self.passes.items[i].operands), *static_operands(self.passes.values[i])]
        return {f"x{k}": tree for k, tree in enumerate(given)}

    def _names(self) -> list[str]:
        """Return the names in LaTeX: labels; z for the output and u1, u2, ... for other results without one.

        A label that several values have is followed by the indices of the module, as w_0^(1,2).
        """
        items = self.passes.items
        labels = {item.title for item in items}
        counts = Counter(items[i].title for i in self.named)
        new = (f"u{k}" for k in itertools.count(1) if f"u{k}" not in labels)
        inputs = (f"x{k}" for k in itertools.count(1) if f"x{k}" not in labels)
        found: list[str] = []
        for i in self.named:
            item = items[i]
            if item.title:
                text = _label(item.title)
            elif i == self.root and RESULT not in labels:
                text = RESULT
            else:
                (text,) = latex.names([next(new) if item.operands else next(inputs)])
            if counts[item.title] > 1 and item.title:
                text = f"{text}^{{({','.join(re.findall(chr(92) + 'd+', item.module)) or i})}}"
            while text in found or text == "e":
                text = rf"\tilde{{{text}}}"
            found.append(text)
        return found

    def written(self) -> str:
        """Return the lines: values, then gradients."""
        lines = []
        for i in self.named:
            if self.passes.items[i].operands:
                formula = self.writer.written(self.whole[i]).text
                lines.append(f"{self.latex_names[i]} &= {formula} {_equal(self.passes.values[i].data)}")
        others = [i for i in self.named if i != self.root and self.users[i]]
        results = [i for i in reversed(others) if self.passes.items[i].operands]
        inputs = [i for i in others if not self.passes.items[i].operands]
        self.above: dict[int, Tree] = {self.root: self.passes.seed}  # gradients that need no line: 1, or another one
        gradients = [line for i in (*results, *inputs) if (line := self._gradient(i))]
        text = aligned([*lines, *gradients])
        check_length(text, 100_000)
        return text

    def _gradient(self, i: int) -> str:
        """Return the line of a gradient: the sum over the uses in symbols, in numbers, and the number.

        There is none for a result whose gradient is a number, or that of another value.
        """
        symbols: list[Tree] = [self.passes.starts[i]] if self.passes.starts[i] else []
        numbers: list[Tree] = list(symbols)
        for user, place in reversed(self.users[i]):
            local, number = self._local(user, place), self._number(user, place)
            while user not in self.latex_names:  # it is a part of the formula of its only user
                user, place = self.users[user][0]
                local, number = times(self._local(user, place), local), self._number(user, place) * number
            symbols.append(times(self.above.get(user, f"∂{user}"), local))
            numbers.append(_rounded(self.passes.grads[user] * number))
        if self.passes.items[i].operands and len(symbols) == 1 and not isinstance(symbols[0], tuple):
            self.above[i] = symbols[0]
            return ""
        head, gradient = self.writer.written(f"∂{i}").text, self.passes.grads[i]
        text = f"{head} &= {self.writer.written(total(symbols)).text}"
        if len(numbers) > 1:
            text += f" = {self.writer.written(total(numbers)).text}"
        return text if total(symbols) == gradient else f"{text} {_equal(gradient)}"

    def _local(self, i: int, place: int) -> Tree:
        value = self.passes.values[i]
        assert value.op is not None
        if not has_rule(value.op):
            return value.partials[place]
        arguments = self._arguments(i)
        names = {name: arguments[f"x{k}"] for k, name in enumerate(value.op.variables)}
        found = filled(rule(value.op, tuple(static_operands(value)), place), {**names, "z": self.trees[i]})
        return self.trees[i] if found == self.whole[i] else found

    def _number(self, i: int, place: int) -> float:
        return self.passes.values[i].partials[place]

    def _name(self, text: str) -> Formula | None:
        """Return the name of a value or a gradient."""
        known = re.fullmatch(r"([#∂])(\d+)", text)
        if known is None:
            return None
        name = self.latex_names[int(known[2])]
        text = name if known[1] == "#" else slope_of(self.latex_names[self.root], name)
        return Formula(text, ATOM, text)


def _is_short(value: Value) -> bool:
    """Return True if the derivatives of a result name neither the result itself nor a case."""
    return not {"z", CHOICE} & _rule_words(value)


def _is_choice(value: Value) -> bool:
    """Return True if the derivatives of a result are told by cases: what stands in these gets a name."""
    return CHOICE in _rule_words(value)


def _rule_words(value: Value) -> set[str]:
    assert value.op is not None
    if not has_rule(value.op):
        return {"z"}
    static = tuple(static_operands(value))
    rules = [rule(value.op, static, k) for k in range(value.op.arity - value.op.static)]
    return {word for one in rules for word in _words(one)}


def _words(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, tuple):
        for part in tree:
            yield from _words(part)


def _label(text: str) -> str:
    """Return a label in LaTeX: as a name, with an index, or as a text."""
    indexed = re.fullmatch(r"([A-Za-z]\w*)\[(\d+)\]", text, re.ASCII)
    if indexed:
        return f"{latex.name_of(indexed[1])}_{{{indexed[2]}}}" if "_" not in indexed[1] else _text(text)
    return latex.name_of(text) if re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII) else _text(text)


def _text(text: str) -> str:
    escapes = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "\n": " "} | {c: f"\\{c}" for c in "&%$#_{}"}
    return rf"\text{{{''.join(escapes.get(c, c) for c in text)}}}"


def _key(i: int) -> str:
    return f"#{i}"


def _shown(x: float) -> Formula:
    return latex.number(x if len(repr(x)) <= 8 else _rounded(x))


def _rounded(x: float) -> float:
    text = web.number(x).replace("−", "-").replace("∞", "inf")
    return float(text) + 0.0


def _equal(x: float) -> str:
    """Return the sign and the number: in four digits it is the number, or nearly."""
    near = _rounded(x)
    return rf"{'=' if near == x or x != x else chr(92) + 'approx'} {latex.number(near).text}"
