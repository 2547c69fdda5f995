"""The formulas of a program's derivatives in LaTeX, from the textbook forms of the ops' rules."""

from __future__ import annotations

from microgrid.pictures.symbols import Tree, filled, rule
from microgrid.pictures.tree_latex import TreeWriter, aligned, negative, slope_of, times, total
from microgrid.text import latex
from microgrid.text.latex import Formula
from microgrid.text.source import Listed, check_length


def slope_formulas(program: Listed, value: bool, limit: int = 100_000) -> str:
    """Return the derivatives of a program with one result by its inputs, with `value` after a line for the result.

    One derivative is a formula alone, several are the lines of an `aligned` environment. The numbers are those of the
    rules but for rounding, and for conventions where a formula has no value. Raises ValueError when it has more
    characters than the limit.
    """
    return _SlopeFormulas(program, limit).written(value)


class _SlopeFormulas:
    """Formulas of all slots, and of the derivatives of the result by them; a tree names a slot #1, its derivative ∂1.

    A formula stands within others as text, so that a deep graph makes no deep tree.
    """

    def __init__(self, program: Listed, limit: int) -> None:
        self.program, self.limit = program, limit
        self.names = latex.names(program.inputs)
        formulas = latex.formulas(program, limit)
        self.result = formulas[program.outputs[0]].text
        self.known = {f"#{i}": formula for i, formula in enumerate(formulas)}
        self.writer = TreeWriter(self.known.get)

    def _tree(self, slot: int) -> Tree:
        k = slot - len(self.names)
        return self.program.constants[k] if 0 <= k < len(self.program.constants) else f"#{slot}"

    def slopes(self) -> list[Formula]:
        """Return the derivatives of the result by the inputs, as `backward()` sums them."""
        first = len(self.names) + len(self.program.constants)
        found: dict[int, Tree] = {self.program.outputs[0]: 1.0}
        for slot in range(first + len(self.program.instructions) - 1, first - 1, -1):
            op, operands = self.program.instructions[slot - first]
            if slot not in found:
                continue
            above = self._named(slot, found.pop(slot))
            count = op.arity - op.static
            static = tuple(self.program.constants[i - len(self.names)] for i in operands[count:])
            names = {**dict(zip(op.variables, map(self._tree, operands), strict=True)), "z": f"#{slot}"}
            for k, operand in enumerate(operands[:count]):
                local = filled(rule(op, static, k), names)
                if local != 0.0 and not isinstance(self._tree(operand), float):
                    found[operand] = self._sum(operand, found.get(operand), times(above, local))
        return [self._formula(found.get(i, 0.0)) for i in range(len(self.names))]

    def _sum(self, slot: int, before: Tree | None, term: Tree) -> Tree:
        if before is None:
            return term
        return times(2.0, term) if before == term else self._named(slot, total([before, term]))

    def _named(self, slot: int, tree: Tree) -> Tree:
        """Return the tree as a name with its formula; its sign stays in front, for the chain rule to move."""
        if not isinstance(tree, tuple):
            return tree
        if tree[0] == "neg":
            return negative(self._named(slot, tree[1]))
        self.known[f"∂{slot}"] = self._formula(tree)
        return f"∂{slot}"

    def _formula(self, tree: Tree) -> Formula:
        formula = self.writer.written(tree)
        check_length(formula.text, self.limit)
        return formula

    def written(self, value: bool) -> str:
        """Return one formula, or a line for each."""
        slopes = [slope.text for slope in self.slopes()]
        if len(slopes) == 1 and not value:
            return slopes[0]
        result = "f"
        while result in self.names:
            result = rf"\tilde{{{result}}}"
        lines = [f"{result} &= {self.result}"] if value else []
        lines += [f"{slope_of(result, name)} &= {slope}" for name, slope in zip(self.names, slopes, strict=True)]
        text = aligned(lines)
        check_length(text, self.limit)
        return text
