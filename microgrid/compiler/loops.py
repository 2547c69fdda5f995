"""The recovered loops as text: cells by the names that the user gave them, with their modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from microgrid.compiler.looped import Looped
from microgrid.compiler.poly import Poly, interpolated, name
from microgrid.compiler.roll import Loop, Node, Statement, statements, written
from microgrid.compiler.timeline import Points, Timeline

if TYPE_CHECKING:
    from microgrid.compiler.plan import Plan


ARRAYS = {**{space: space for space in "xpdcvagt"}, "y": "result"}
"""Names of the arrays of a tape, with an underscore where the user has the name for something else."""

LOOKED_AT = 10_000
"""Maximum number of cells, or of runs of a statement, from which a name is made."""


class Loops:
    """The printed form of a plan: its loops, one line per instruction; first, where it is interpreted, why."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        if isinstance(plan.traced.program, Looped):
            return
        tape = plan.rolled.tape
        self._modules = {step: plan.traced.modules[k] for step, k in tape.origins.items()}
        self._timeline = Timeline(plan.rolled)
        shared = plan.request.shared
        labels = list(plan.traced.program.inputs)
        self._names = {
            "x": [label for label, own in zip(labels, shared, strict=True) if not own],
            "p": [label for label, own in zip(labels, shared, strict=True) if own],
            "d": [f"{labels[i]}.grad" for i in plan.request.by if shared[i]] + ["total"] * plan.request.total,
            "y": [""] * (len(plan.traced.program.outputs) - plan.request.total)
            + [f"{labels[i]}.grad" for i in plan.request.by if not shared[i]],
        }
        taken = {label.split("[")[0] for label in labels}
        self._arrays = {space: f"{name}_" if name in taken else name for space, name in ARRAYS.items()}

    def __str__(self) -> str:
        if isinstance(self.plan.traced.program, Looped):
            return str(self.plan.lowered)
        how = [self.plan.choice, self.plan.takeover] if self.plan.takeover is not None else []
        head = ["# " + "; ".join(map(str, how))] if how else []
        return "\n".join([*head, *self._lines(self.plan.rolled.nodes, "", "")])

    __repr__ = __str__

    def _lines(self, nodes: Sequence[Node], indent: str, module: str) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, Loop):
                comment = self._module(node)
                line = f"{indent}for {name(node.counter)} in range({node.times}):"
                yield f"{line:50}  # {comment}" if comment and comment != module else line
                yield from self._lines(node.body, indent + "    ", comment or module)
            else:
                yield indent + self._statement(node)

    def _module(self, loop: Loop) -> str:
        """Return the module of the results of a loop, with a star for the numbers that change within it."""
        paths = set()
        for statement in statements(loop.body):
            for step in self._timeline.places[statement.number][:LOOKED_AT].tolist():
                paths.add(self._modules.get(step, ""))
        paths.discard("")
        return _common(sorted(paths))

    def _statement(self, node: Statement) -> str:
        shape, points = node.shape, self._timeline.points[node.number]
        operands = [self._cell(space, cell, points) for space, cell in zip(shape.operands, node.cells[1:], strict=True)]
        target = self._cell(shape.target, node.cells[0], points)
        return f"{target} {'+=' if shape.adds else '='} {written(shape.op, operands)}"

    def _cell(self, space: str, index: Poly, points: Points) -> str:
        if space == "s":
            return "seed"
        points = points.outward(index.counters)
        cells = points.each(index)[:LOOKED_AT].tolist()
        if space == "c":
            constants = self.plan.rolled.tape.constants
            (first, *others) = dict.fromkeys(repr(constants[cell]) for cell in cells)
            return f"{self._arrays[space]}[{index}]" if others else first
        return self._label(self._names.get(space, []), cells, index, points) or f"{self._arrays[space]}[{index}]"

    def _label(self, names: Sequence[str], cells: Sequence[int], index: Poly, points: Points) -> str:
        """Return one name for the cells of an index, w[i + 1] for w[1], w[2], ...; "" if there is none."""
        if not names or not names[cells[0]]:
            return ""
        first = names[cells[0]]
        numbers = [[int(n) for n in re.findall(r"\d+", names[cell])] for cell in cells]
        if len({len(row) for row in numbers}) > 1:
            return ""
        at = {counter: points.at[counter][:LOOKED_AT] for counter in index.counters}
        np = self.plan.numpy
        places = [interpolated(np, at, np.array(column)) for column in zip(*numbers, strict=True)]
        template = re.sub(r"\d+", "{}", first.replace("{", "").replace("}", ""))
        if None in places or any(
            names[cell] != template.format(*row) for cell, row in zip(cells, numbers, strict=True)
        ):
            return ""
        return template.format(*places)


def _common(paths: Sequence[str]) -> str:
    """Return a common path: a star where they differ in one number, nothing from where they differ in more."""
    if not paths:
        return ""
    parts = [path.split(".") for path in paths]
    common = []
    for pieces in zip(*parts, strict=False):
        if len(set(pieces)) == 1:
            common.append(pieces[0])
            continue
        starred = {re.sub(r"\[\d+\]", "[*]", piece) for piece in pieces}
        if len(starred) > 1:
            break
        common.append(starred.pop())
    return ".".join(common)
