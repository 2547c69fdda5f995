"""From loops to code: allocation of numbers to registers, loop-carried registers and memory.

A number that an instruction of the same body made, in this iteration or the one before, is in a register. Only what is
read from elsewhere is stored; `density` then numbers it anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from microgrid.compiler.code import SUMMED, Accumulate, Apply, Code, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.density import densely
from microgrid.compiler.roll import Affine, Loop, Node, Rolled, Statement, only, statements
from microgrid.compiler.tape import ONCE, PASSED, Shape

SEGMENT = 400
"""Maximum number of statements in one function: LLVM takes 0.5 s for 4,000 of them in a row, but 39 s for 50,000."""


def place(rolled: Rolled, *, alone: bool = False) -> Stored:
    """Return the code of loops, with cells placed in registers or memory; `alone` for one sample at a time."""
    first = _Placement(rolled, None, alone)
    first.all()
    second = _Placement(rolled, first, alone)
    segments, sums = second.all()
    return densely(segments, sums, rolled.tape, second.cells)


Cell = tuple[str, Affine]
Known = dict[Cell, int]


class _Placement:
    """One pass over the loops; the first pass finds the cells that are read from memory, and within which loops."""

    def __init__(self, rolled: Rolled, first: _Placement | None, alone: bool) -> None:
        import numpy as np

        self.np = np
        self.rolled = rolled
        self.alone = alone
        self.wanted = first.masks() if first else None
        self.constants = np.array(rolled.tape.constants)
        self.bits = self.constants.view(np.int64)
        self.counts: dict[int, int] = {}
        self.inner: dict[int, set[int]] = {}  # for each loop its counter, and those of the loops within
        self.reads: dict[str, list[Any]] = {}
        self.registers = 0
        self.waiting: dict[int, list[tuple[Cell, int]]] = {}
        self.jammed: set[int] = set()
        self.around: list[int] = []  # the counters of the loops around
        self.within: dict[int, dict[Cell, None]] = first.within if first else {}  # what is read from memory, by loop
        self.summing = False  # while summing, loaded registers are valid only within the loops around

    def all(self) -> tuple[list[tuple[Code, ...]], tuple[Code, ...]]:
        """Return the segments, and the sums over samples."""
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
        """Return a mask of the cells that are read from memory, for each space."""
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
        """Return all cells of an index, an axis for each loop."""
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
            self.from_memory(cell)
        code.append(Load(target := self.register(), space, index))
        if space in ("s", *ONCE):
            known[cell] = target
        return target

    def from_memory(self, cell: Cell) -> None:
        """Record that a cell is read from memory, and within which loops."""
        self.reads.setdefault(cell[0], []).append(self.cells(cell[1]))
        if not self.summing:  # sums are taken after all loops
            for counter in self.around:
                self.within.setdefault(counter, {})[cell] = None

    def node(self, node: Node, known: Known, code: list[Code]) -> None:
        if isinstance(node, Loop):
            self.loop(node, known, code)
            return
        shape, cells, _ = node
        operands = [self.read(cell, known, code) for cell in zip(shape.operands, cells[1:], strict=True)]
        target = (shape.target, cells[0])
        if target in known and shape.target not in ONCE:  # a sum that is kept in a register throughout a loop
            code.append(Apply(result := self.register(), self.summed(shape, cells[0]), (*operands, known[target])))
            known[target] = result
        elif shape.adds:
            code.append(Accumulate(*target, self.summed(shape, cells[0]), tuple(operands)))
        else:
            if shape.target == "y" and shape.op in PASSED:
                operands.append(0.0)  # the initial grad of a leaf: -0 becomes 0, as in `backward`
            code.append(Apply(result := self.register(), shape.op, tuple(operands)))
            if shape.target in ONCE:
                known[target] = result
                self.store(target, result, code)
            else:
                code.append(Store(*target, result))

    def summed(self, shape: Shape, index: Affine) -> str:
        """Return the op of a contribution, which distinguishes sums of many terms: over samples, or over iterations."""
        many = shape.target == "d" or len(index.steps) < len(self.around)
        return SUMMED.get(shape.op, shape.op) if many else shape.op

    def store(self, cell: Cell, value: int, code: list[Code]) -> None:
        """Store a result that is read from memory: at once, or once after a loop that needs only the last one."""
        space, index = cell
        if self.wanted is None or space not in self.wanted:
            return
        mask = self.wanted[space][self.cells(index)]
        if not mask.any():
            return
        if index.steps and not mask[..., :-1].any() and self.waits(cell):
            self.waiting.setdefault(index.steps[-1][0], []).append((cell, value))
        else:
            code.append(Store(space, index, value))

    def waits(self, cell: Cell) -> bool:
        """Return True if the last number of a loop may be stored after it: no iteration reads it from memory."""
        counter, _ = cell[1].steps[-1]
        if counter in self.jammed:
            return False
        last = cell[0], cell[1].at(counter, self.counts[counter] - 1)
        inner = self.inner[counter]
        return not any(self.meet(last, other, inner) for other in self.within.get(counter, ()))

    def loop(self, loop: Loop, known: Known, code: list[Code]) -> None:
        counter, count = loop.counter, loop.times
        self.counts[counter] = count
        for inner in _loops(loop.body):
            self.counts[inner.counter] = inner.times
        self.inner[counter] = {counter, *[inner.counter for inner in _loops(loop.body)]}
        written = [(statement.shape.target, statement.cells[0]) for statement in statements(loop.body)]
        for cell in dict.fromkeys(_used(loop.body)):
            if cell not in known and self.still(cell, loop, written):
                loaded = self.read(cell, known, code)
                if isinstance(loaded, int):
                    known[cell] = loaded
        inside = {cell: register for cell, register in known.items() if cell[0] not in ("a", "y", "d")}
        kept: list[tuple[int, Operand, Cell]] = []
        used = set(_used(loop.body))
        for space, index in _made(loop.body):
            step = dict(index.steps).get(counter, 0)
            before = (space, Affine(index.base - step, index.steps))
            if step and before in used and before not in inside:
                first = space, before[1].at(counter, 0)
                if first not in known and any(self.meet(first, other, self.inner[counter]) for other in written):
                    continue  # another statement of the loop makes it, in the first iteration
                at_first = self.read(first, known, code)
                inside[before] = register = self.register()
                kept.append((register, at_first, (space, index)))
        innermost = not any(isinstance(node, Loop) for node in loop.body)
        jams = not kept and (self.alone or not innermost) and self.jams(loop, innermost)
        if jams:
            self.jammed.add(counter)
        sums = [] if jams else self.sums(loop)
        for cell in sums:
            code.append(Load(start := self.register(), *cell))
            self.from_memory(cell)
            inside[cell] = register = self.register()
            kept.append((register, start, cell))
        body: list[Code] = []
        outer = set(inside)
        self.around.append(counter)
        for node in loop.body:
            self.node(node, inside, body)
        phis = []
        for register, at_first, cell in kept:
            after = self.read(cell, inside, body)  # from memory, where it comes from iterations side by side
            assert isinstance(after, int)
            phis.append((register, at_first, after))
        self.around.pop()
        vectorises = jams and innermost
        code.append(Repeat(counter, count, tuple(phis), _summed(body, phis), jams and not innermost, vectorises))
        code += [Store(*cell, inside[cell]) for cell in sums]
        for cell, register in inside.items():
            if cell[0] in ONCE and cell not in outer and not (jams or self.summing):
                known[cell[0], cell[1].at(counter, count - 1)] = register
        for (space, index), register in self.waiting.pop(counter, []):
            self.store((space, index.at(counter, count - 1)), register, code)

    def still(self, cell: Cell, loop: Loop, written: Sequence[Cell]) -> bool:
        """Return True if a cell is invariant in a loop: the same in all iterations, and not written."""
        inner = self.inner[loop.counter]
        if cell[0] in ("a", "y", "d") or not inner.isdisjoint([counter for counter, _ in cell[1].steps]):
            return False
        return not any(self.meet(cell, other, inner) for other in written)

    def jams(self, loop: Loop, innermost: bool = False) -> bool:
        """Return True if iterations are independent: none reads or writes what another writes.

        They may add to the same cells, if it is one statement that does, and does so once for a cell in an iteration:
        then each cell gets its sum in the same order, and none is in a register of a loop within. Those of an innermost
        loop may not. Sums over samples are left out where they are sums over lanes, too, which have no order.
        """
        np = self.np
        owners: dict[str, Any] = {}
        written = []
        for number, (statement, counters) in enumerate(_nested(loop.body)):
            space, index = statement.shape.target, statement.cells[0]
            if space != "d" or self.alone:
                cells = self.cells(index)
                if loop.counter in dict(index.steps):
                    owner = self.iterations(index, loop.counter)
                elif not innermost and statement.shape.adds and self.distinct(index, counters):
                    owner = np.array(-2 - number)
                else:
                    return False
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

    def distinct(self, index: Affine, counters: Sequence[int]) -> bool:
        """Return True if an index reaches a different cell for each combination of these counters."""
        steps = dict(index.steps)
        if any(counter not in steps for counter in counters):
            return False
        cells = self.cells(Affine(0, tuple([(counter, steps[counter]) for counter in counters])))
        return bool(len(self.np.unique(cells)) == cells.size)

    def iterations(self, index: Affine, counter: int) -> Any:
        """Return the iteration of a loop for all cells of an index; -1 where it does not depend on the loop."""
        counters = [own for own, _ in index.steps]
        if counter not in counters:
            return self.np.array(-1)
        shape = [-1 if own == counter else 1 for own in counters]
        return self.np.arange(self.counts[counter]).reshape(shape)

    def sums(self, loop: Loop) -> list[Cell]:
        """Return the cells that a loop adds to, the same in each iteration, and does not touch otherwise."""
        found: dict[Cell, int] = {}
        for node in loop.body:
            if isinstance(node, Statement) and node.shape.adds:
                cell = (node.shape.target, node.cells[0])
                if node.shape.target != "d" and loop.counter not in dict(node.cells[0].steps):
                    found[cell] = found.get(cell, 0) + 1
        if not found:
            return []
        inner = self.inner[loop.counter]
        touched: list[Cell] = []
        for statement in statements(loop.body):
            touched += zip((statement.shape.target, *statement.shape.operands), statement.cells, strict=True)
        return [
            cell
            for cell, times in found.items()
            if touched.count(cell) == times
            and not any(self.meet(cell, other, inner) for other in touched if other != cell)
        ]

    def meet(self, a: Cell, b: Cell, inner: set[int]) -> bool:
        """Return True if two cells may alias while the loops around these inner ones stand still."""
        if a[0] != b[0]:
            return False
        ours, theirs = a[1].steps, b[1].steps
        around = [pair for pair in ours if pair[0] not in inner]
        if around == [pair for pair in theirs if pair[0] not in inner]:
            ours = tuple([pair for pair in ours if pair[0] in inner])
            theirs = tuple([pair for pair in theirs if pair[0] in inner])
        apart = b[1].base - a[1].base  # difference of the two sums of steps where the cells are equal
        unit = math.gcd(*[step for _, step in (*ours, *theirs)])
        if apart % unit if unit else apart:
            return False
        reach = [step * (self.counts[counter] - 1) for counter, step in ours]
        reach += [-step * (self.counts[counter] - 1) for counter, step in theirs]
        if not sum([min(0, far) for far in reach]) <= apart <= sum([max(0, far) for far in reach]):
            return False
        mine, others = self.cells(Affine(a[1].base, ours)), self.cells(Affine(b[1].base, theirs))
        return bool(self.np.intersect1d(mine, others).size)


def _summed(body: Sequence[Code], kept: Sequence[tuple[int, Operand, int]]) -> tuple[Code, ...]:
    """Return a loop's body with products fused that are added to loop-carried registers."""
    made = {item.target: item for item in body if isinstance(item, Apply)}
    summed: dict[int, Apply] = {}
    for register, _, after in kept:
        found = []
        at: Operand = after
        while at != register and isinstance(at, int) and at in made and made[at].op == "add":
            first, second = made[at].operands
            if not (isinstance(second, int) and second in made and made[second].op == "mul"):
                first, second = second, first
            if not (isinstance(second, int) and second in made and made[second].op == "mul"):
                break
            found.append(Apply(at, SUMMED["mul"], (*made[second].operands, first)))
            at = first
        if at == register:
            summed |= {item.target: item for item in found}
    return tuple([summed.get(item.target, item) if isinstance(item, Apply) else item for item in body])


def _loops(nodes: Iterable[Node]) -> Iterator[Loop]:
    for node in nodes:
        if isinstance(node, Loop):
            yield node
            yield from _loops(node.body)


def _nested(nodes: Iterable[Node], around: tuple[int, ...] = ()) -> Iterator[tuple[Statement, tuple[int, ...]]]:
    """Yield all statements, each with the counters of the loops around it."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from _nested(node.body, (*around, node.counter))
        else:
            yield node, around


def _used(nodes: Iterable[Node]) -> Iterator[Cell]:
    for statement in statements(tuple(nodes)):
        yield from zip(statement.shape.operands, statement.cells[1:], strict=True)


def _made(nodes: Iterable[Node]) -> Iterator[Cell]:
    """Yield the cells, written once, whose numbers are in registers at the end of an iteration."""
    for node in nodes:
        if isinstance(node, Loop):
            for space, index in _made(node.body):
                yield space, index.at(node.counter, node.times - 1)
        elif node.shape.target in ONCE:
            yield node.shape.target, node.cells[0]
