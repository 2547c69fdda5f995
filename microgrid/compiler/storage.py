"""Loops to code: which numbers stay in registers, which are kept from one iteration to the next, which go to memory.

A number that an instruction of the same body made, in this iteration or the one before, is in a register. Only what is
read from elsewhere is stored; `density` then numbers it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from microgrid.compiler.code import Accumulate, Apply, Code, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.density import densely
from microgrid.compiler.roll import Affine, Loop, Node, Rolled, Statement, only, statements
from microgrid.compiler.tape import ONCE, PASSED

SEGMENT = 400
"""The most statements in one function: LLVM takes 0.5 s for 4,000 of them in a row, but 39 s for 50,000."""


def place(rolled: Rolled) -> Stored:
    """The code of loops."""
    first = _Placement(rolled, None)
    first.all()
    second = _Placement(rolled, first.masks())
    segments, sums = second.all()
    return densely(segments, sums, rolled.tape, second.cells)


Cell = tuple[str, Affine]
Known = dict[Cell, int]


class _Placement:
    """One pass over the loops; the first, without masks, finds out which cells are read from memory."""

    def __init__(self, rolled: Rolled, masks: dict[str, Any] | None) -> None:
        import numpy as np

        self.np = np
        self.rolled = rolled
        self.wanted = masks
        self.constants = np.array(rolled.tape.constants)
        self.bits = self.constants.view(np.int64)
        self.counts: dict[int, int] = {}
        self.reads: dict[str, list[Any]] = {}
        self.registers = 0
        self.waiting: dict[int, list[tuple[Cell, int]]] = {}
        self.jammed: set[int] = set()
        self.summing = False  # then registers stand for what they are loaded from, within the loops around only

    def all(self) -> tuple[list[tuple[Code, ...]], tuple[Code, ...]]:
        """The segments, and the sums over samples."""
        segments = list(self.segments(only(self.rolled.nodes, lambda statement: statement.shape.target != "d")))
        sums: list[Code] = []
        self.summing = True
        for node in only(self.rolled.nodes, lambda statement: statement.shape.target == "d"):
            self.node(node, {}, sums)
        return segments, tuple(sums)

    def segments(self, nodes: Sequence[Node]) -> Iterator[tuple[Code, ...]]:
        code: list[Code] = []
        known: Known = {}
        done = 0
        for node in nodes:
            self.node(node, known, code)
            done += 1 if isinstance(node, Statement) else sum(1 for _ in statements([node]))
            if done > SEGMENT:
                yield tuple(code)
                code, known, done = [], {}, 0
        yield tuple(code)

    def masks(self) -> dict[str, Any]:
        """For each space the cells that are read from memory."""
        masks = {}
        for space, found in self.reads.items():
            masks[space] = self.np.zeros(max(self.rolled.tape.sizes[space], 1), dtype=bool)
            for cells in found:
                masks[space][cells] = True
        return masks

    def register(self) -> int:
        self.registers += 1
        return self.registers - 1

    def cells(self, index: Affine) -> Any:
        """All cells that an index reaches, an axis for each loop."""
        cells = self.np.array(index.base)
        for counter, step in index.steps:
            cells = cells[..., None] + step * self.np.arange(self.counts[counter])
        return cells

    def read(self, cell: Cell, known: Known, code: list[Code]) -> Operand:
        space, index = cell
        if cell in known:
            return known[cell]
        if space == "c":
            bits = self.bits[self.cells(index)]
            if (bits == bits.flat[0]).all():
                return float(self.constants[self.cells(index).flat[0]])
        elif space not in ("x", "p", "s"):
            self.reads.setdefault(space, []).append(self.cells(index))
        code.append(Load(target := self.register(), space, index))
        if space in ("s", *ONCE):
            known[cell] = target
        return target

    def node(self, node: Node, known: Known, code: list[Code]) -> None:
        if isinstance(node, Loop):
            self.loop(node, known, code)
            return
        shape, cells, _ = node
        operands = [self.read(cell, known, code) for cell in zip(shape.operands, cells[1:], strict=True)]
        target = (shape.target, cells[0])
        if target in known and shape.target not in ONCE:  # a sum that is kept in a register throughout a loop
            code.append(Apply(result := self.register(), shape.op, (*operands, known[target])))
            known[target] = result
        elif shape.adds:
            code.append(Accumulate(*target, shape.op, tuple(operands)))
        else:
            if shape.target == "y" and shape.op in PASSED:
                operands.append(0.0)  # what a leaf has before: -0 becomes 0, as there
            code.append(Apply(result := self.register(), shape.op, tuple(operands)))
            if shape.target in ONCE:
                known[target] = result
                self.store(target, result, code)
            else:
                code.append(Store(*target, result))

    def store(self, cell: Cell, value: int, code: list[Code]) -> None:
        """Store a result where it is read from memory: at once, or once after a loop that needs the last one only."""
        space, index = cell
        if self.wanted is None or space not in self.wanted:
            return
        mask = self.wanted[space][self.cells(index)]
        if not mask.any():
            return
        if index.steps and index.steps[-1][0] not in self.jammed and not mask[..., :-1].any():
            self.waiting.setdefault(index.steps[-1][0], []).append((cell, value))
        else:
            code.append(Store(space, index, value))

    def loop(self, loop: Loop, known: Known, code: list[Code]) -> None:
        counter, count = loop.counter, loop.times
        self.counts[counter] = count
        for inner in _loops(loop.body):
            self.counts[inner.counter] = inner.times
        for cell in dict.fromkeys(_used(loop.body)):
            if cell not in known and self.still(cell, loop):
                loaded = self.read(cell, known, code)
                if isinstance(loaded, int):
                    known[cell] = loaded
        inside = {cell: register for cell, register in known.items() if cell[0] not in ("a", "y", "d")}
        kept: list[tuple[int, Operand, Cell]] = []
        used = set(_used(loop.body))
        for space, index in _made(loop.body):
            step = dict(index.steps).get(counter, 0)
            before = (space, Affine(index.base - step, index.steps))
            if step and before in used and before not in inside and space != "d":
                at_first = self.read((space, before[1].at(counter, 0)), known, code)
                inside[before] = register = self.register()
                kept.append((register, at_first, (space, index)))
        jams = not kept and any(isinstance(node, Loop) for node in loop.body) and self.jams(loop)
        if jams:
            self.jammed.add(counter)
        sums = [] if jams else self.sums(loop)
        for cell in sums:
            code.append(Load(start := self.register(), *cell))
            self.reads.setdefault(cell[0], []).append(self.cells(cell[1]))
            inside[cell] = register = self.register()
            kept.append((register, start, cell))
        body: list[Code] = []
        outer = set(inside)
        for node in loop.body:
            self.node(node, inside, body)
        phis = tuple([(register, first, inside[cell]) for register, first, cell in kept])
        code.append(Repeat(counter, count, phis, tuple(body), jams))
        code += [Store(*cell, inside[cell]) for cell in sums]
        for cell, register in inside.items():
            if cell[0] in ONCE and cell not in outer and not (jams or self.summing):
                known[cell[0], cell[1].at(counter, count - 1)] = register
        for (space, index), register in self.waiting.pop(counter, []):
            self.store((space, index.at(counter, count - 1)), register, code)

    def still(self, cell: Cell, loop: Loop) -> bool:
        """Whether a cell is the same one in all iterations of a loop, and the loop does not write it."""
        inner = {loop.counter, *[other.counter for other in _loops(loop.body)]}
        if cell[0] in ("a", "y", "d") or not inner.isdisjoint([counter for counter, _ in cell[1].steps]):
            return False
        written = [(statement.shape.target, statement.cells[0]) for statement in statements(loop.body)]
        return not any(self.meet(cell, other) for other in written)

    def jams(self, loop: Loop) -> bool:
        """Whether iterations are independent: what one writes no other reads or writes.

        They may add to the same cells, if one statement does: then each cell still gets its sum in the same order.
        """
        np = self.np
        owners: dict[str, Any] = {}
        written = []
        for number, statement in enumerate(statements(loop.body)):
            space, index = statement.shape.target, statement.cells[0]
            if space != "d":
                shared = statement.shape.adds and loop.counter not in dict(index.steps)
                owner = np.array(-2 - number) if shared else self.iterations(index, loop.counter)
                cells = self.cells(index)
                own = owners.setdefault(space, np.full(self.rolled.tape.sizes[space], -1))
                own[cells] = owner
                written.append((space, cells, owner))
        if not all((owners[space][cells] == owner).all() for space, cells, owner in written):
            return False
        for space, index in _used(loop.body):
            if space in owners:
                found = owners[space][self.cells(index)]
                if not ((found == -1) | (found == self.iterations(index, loop.counter))).all():
                    return False
        return True

    def iterations(self, index: Affine, counter: int) -> Any:
        """For all cells that an index reaches, in which iteration of a loop; -1 where it does not depend on it."""
        counters = [own for own, _ in index.steps]
        if counter not in counters:
            return self.np.array(-1)
        shape = [-1 if own == counter else 1 for own in counters]
        return self.np.arange(self.counts[counter]).reshape(shape)

    def sums(self, loop: Loop) -> list[Cell]:
        """The cells that a loop adds to, the same ones in each iteration, and touches in no other way."""
        found: dict[Cell, int] = {}
        for node in loop.body:
            if isinstance(node, Statement) and node.shape.adds:
                cell = (node.shape.target, node.cells[0])
                if node.shape.target != "d" and loop.counter not in dict(node.cells[0].steps):
                    found[cell] = found.get(cell, 0) + 1
        if not found:
            return []
        touched: list[Cell] = []
        for statement in statements(loop.body):
            touched += zip((statement.shape.target, *statement.shape.operands), statement.cells, strict=True)
        return [
            cell
            for cell, times in found.items()
            if touched.count(cell) == times and not any(self.meet(cell, other) for other in touched if other != cell)
        ]

    def meet(self, a: Cell, b: Cell) -> bool:
        return a[0] == b[0] and bool(self.np.intersect1d(self.cells(a[1]), self.cells(b[1])).size)


def _loops(nodes: Iterable[Node]) -> Iterator[Loop]:
    for node in nodes:
        if isinstance(node, Loop):
            yield node
            yield from _loops(node.body)


def _used(nodes: Iterable[Node]) -> Iterator[Cell]:
    for statement in statements(tuple(nodes)):
        yield from zip(statement.shape.operands, statement.cells[1:], strict=True)


def _made(nodes: Iterable[Node]) -> Iterator[Cell]:
    """The cells, written once, whose numbers are at hand at the end of an iteration."""
    for node in nodes:
        if isinstance(node, Loop):
            for space, index in _made(node.body):
                yield space, index.at(node.counter, node.times - 1)
        elif node.shape.target in ONCE:
            yield node.shape.target, node.cells[0]
