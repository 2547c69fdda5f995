"""From loops to code: allocation of numbers to registers, loop-carried registers and memory.

A number that an instruction of the same body made, in this iteration or the one before, is in a register, and so is a
cotangent while contributions are added to it. Only what is read from elsewhere is stored; `density` then numbers it
anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from microgrid.compiler.code import SUMMED, Accumulate, Apply, Code, Guard, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.density import densely
from microgrid.compiler.interchange import interchanged
from microgrid.compiler.poly import Poly
from microgrid.compiler.roll import Loop, Node, Rolled, Statement, flattened, only, statements
from microgrid.compiler.tape import ONCE, PASSED, Shape
from microgrid.compiler.timeline import Points, Timeline

LITTLE = 4
"""Minimum number of statements, for each addition to a sum, with which iterations of the loop run side by side."""

MANY = 1_000_000
"""Number of cells times runs of a loop up to which the runs are told apart."""

SEGMENT = 400
"""Maximum number of statements in one function: LLVM takes 0.5 s for 4,000 of them in a row, but 39 s for 50,000."""


def place(rolled: Rolled, *, alone: bool = False) -> Stored:
    """Return the code of loops, with cells placed in registers or memory; `alone` for one sample at a time."""
    rolled = rolled.with_nodes(flattened(rolled.nodes))
    rolled = rolled if alone else interchanged(rolled)
    timeline = Timeline(rolled)
    first = _Placement(rolled, timeline, None, alone)
    first.all()
    segments, sums = _Placement(rolled, timeline, first, alone).all()
    return densely(segments, sums, rolled.tape, timeline)


Cell = tuple[str, Poly]
Known = dict[Cell, int]


class _Placement:
    """One pass over the loops; the first pass finds the cells that are read from memory, and within which loops."""

    def __init__(self, rolled: Rolled, timeline: Timeline, first: _Placement | None, alone: bool) -> None:
        import numpy as np

        self.np = np
        self.rolled = rolled
        self.timeline = timeline
        self.alone = alone
        self.wanted = first.masks() if first else None
        self.constants = np.array(rolled.tape.constants)
        self.bits = self.constants.view(np.int64)
        self.here = timeline.top
        """The points of the code that is being written."""
        self.reads: dict[str, list[Any]] = {}
        self.registers = 0
        self.waiting: dict[int, list[tuple[Cell, int]]] = {}
        self.jammed: set[int] = set()
        self.chained: dict[int, frozenset[Cell]] = {}
        """Sums that loops whose iterations run side by side add up in their order."""
        self.times: dict[int, Poly] = {}
        self.inner: dict[int, set[int]] = {}  # for each loop its counter, and those of the loops within
        self.around: list[int] = []  # the counters of the loops around
        self.within: dict[int, dict[tuple[Cell, Points], None]] = first.within if first else {}
        """Cells that are read from memory in a loop, by its counter, with the points of the reads."""
        self.summing = False  # while summing, loaded registers are valid only within the loops around
        self.held: dict[Cell, None] = {}
        """Sums of cotangents that this iteration has in registers; memory has other numbers."""
        self.aliased: set[Poly] = set()
        """Indices of sums that stay in memory in this body."""

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
        self.aliased = self.aliases(nodes, self.here)
        for node in nodes:
            self.node(node, known, code)
            done += 1 if isinstance(node, Statement) else sum(1 for _ in statements([node]))
            if done > SEGMENT:
                self.release(known, code, list(self.held))
                yield tuple(code)
                code, known, done = [], {}, 0
        self.release(known, code, list(self.held))
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

    def read(self, cell: Cell, known: Known, code: list[Code]) -> Operand:
        space, index = cell
        if cell in known:
            return known[cell]
        if space == "c":
            bits = self.bits[cells := self.here.cells(index)]
            if (bits == bits[0]).all():
                return float(self.constants[cells[0]])
        elif space not in ("x", "p", "s"):
            self.from_memory(cell)
        code.append(Load(target := self.register(), space, index))
        if space in ("s", *ONCE):
            known[cell] = target
        return target

    def from_memory(self, cell: Cell) -> None:
        """Record that a cell is read from memory, and within which loops."""
        self.reads.setdefault(cell[0], []).append(self.here.cells(cell[1]))
        if not self.summing:  # sums are taken after all loops
            for counter in self.around:
                self.within.setdefault(counter, {})[cell, self.here] = None

    def node(self, node: Node, known: Known, code: list[Code]) -> None:
        if isinstance(node, Loop):
            self.loop(node, known, code)
            return
        shape, cells, _ = node
        operands = [self.read(cell, known, code) for cell in zip(shape.operands, cells[1:], strict=True)]
        target = (shape.target, cells[0])
        if target in known and shape.target not in ONCE:  # a sum that is in a register
            code.append(Apply(result := self.register(), self.summed(shape, cells[0]), (*operands, known[target])))
            known[target] = result
        elif shape.adds:
            if shape.target == "a":
                self.from_memory(target)
            code.append(Accumulate(*target, self.summed(shape, cells[0]), tuple(operands)))
        else:
            if shape.target == "y" and shape.op in PASSED:
                operands.append(0.0)  # the initial grad of a leaf: -0 becomes 0, as in `backward`
            code.append(Apply(result := self.register(), shape.op, tuple(operands)))
            if shape.target in ONCE:
                known[target] = result
                self.store(target, result, code)
            elif _begins(node) and cells[0] not in self.aliased:
                known[target] = result
                self.held[target] = None
            else:
                code.append(Store(*target, result))

    def summed(self, shape: Shape, index: Poly) -> str:
        """Return the op of a contribution, which distinguishes sums of many terms: over samples, or over iterations."""
        many = shape.target == "d" or len(index.counters) < len(self.around)
        return SUMMED.get(shape.op, shape.op) if many else shape.op

    def store(self, cell: Cell, value: int, code: list[Code]) -> None:
        """Store a result that is read from memory: at once, or once after a loop that needs only the last one."""
        space, index = cell
        if self.wanted is None or space not in self.wanted:
            return
        if not self.wanted[space][self.here.cells(index)].any():
            return
        if self.waits(cell):
            self.waiting.setdefault(self.around[-1], []).append((cell, value))
        else:
            code.append(Store(space, index, value))

    def aliases(self, nodes: Sequence[Node], here: Points) -> set[Poly]:
        """Return the indices of sums of cotangents that name, somewhere in one iteration, what another one names."""
        if not any(isinstance(node, Statement) and _begins(node) for node in nodes):
            return set()
        np, size = self.np, self.rolled.tape.sizes["a"]
        numbers: dict[Poly, int] = {}
        keys, names = [], []
        for statement in statements(nodes):
            shape, points = statement.shape, self.timeline.points[statement.number]
            for space, index in zip((shape.target, *shape.operands), statement.cells, strict=True):
                if space == "a":
                    own = points.outward((here.counter, *index.counters))
                    keys.append(own.rows_of(here) * size + own.each(index))
                    names.append(np.full(own.size, numbers.setdefault(index, len(numbers))))
        key, name = np.concatenate(keys), np.concatenate(names)
        order = np.argsort(key, kind="stable")
        key, name = key[order], name[order]
        apart = (key[1:] == key[:-1]) & (name[1:] != name[:-1])
        found = set(name[1:][apart].tolist()) | set(name[:-1][apart].tolist())
        return {index for index, number in numbers.items() if number in found}

    def release(self, known: Known, code: list[Code], cells: Iterable[Cell]) -> None:
        """Store sums that are in registers, where others read them from memory."""
        for cell in cells:
            register = known.pop(cell)
            del self.held[cell]
            space, index = cell
            if self.wanted is not None and space in self.wanted and self.wanted[space][self.here.cells(index)].any():
                code.append(Store(space, index, register))

    def waits(self, cell: Cell) -> bool:
        """Return True if the loop around may end before its last number is stored: none is read from memory earlier."""
        index = cell[1]
        counter = self.around[-1] if self.around else -1
        if counter not in index.counters or self.here is not self.timeline.within[counter]:
            return False
        return (counter not in self.jammed or cell in self.chained[counter]) and self.may_wait(cell, counter)

    def may_wait(self, cell: Cell, counter: int) -> bool:
        """Return True if of the numbers that a loop makes only the last is read from memory, and that after it."""
        space, index = cell
        here = self.timeline.within[counter]
        later = here.at[counter] < self.timeline.counts[counter][here.rows] - 1
        if self.wanted is None or self.wanted[space][here.each(index)[later]].any():
            return False
        last = self.timeline.before[counter].each(self.last(index, counter))
        others = self.within.get(counter, ())
        return not any(
            self.touches(last, counter, other, points) for (array, other), points in others if array == space
        )

    def last(self, index: Poly, counter: int) -> Poly:
        """Return an index in the last iteration of a loop; where that has none, in the one before the first."""
        return index.at(counter, self.times[counter].plus(-1))

    def loop(self, loop: Loop, known: Known, code: list[Code]) -> None:
        """Write a loop, and a guard around it where it may have no iteration: what is made there stays there, but for
        numbers that it carries, which are then what they were before."""
        counter, before, outside = loop.counter, self.timeline.before[loop.counter], self.here
        if not before.size:
            return
        self.times[counter] = loop.times
        self.inner[counter] = {counter, *[inner.counter for inner in _loops(loop.body)]}
        written = {(statement.shape.target, statement.cells[0]) for statement in statements(loop.body)}
        self.release(known, code, [cell for cell in self.held if cell in written])
        given, into = (known, code) if before.always else ({**known}, list[Code]())
        if not before.always:
            self.here = before
        for cell in dict.fromkeys(_used(loop.body)):
            if cell not in given and self.still(cell, loop):
                loaded = self.read(cell, given, into)
                if isinstance(loaded, int):
                    given[cell] = loaded
        inside = {cell: register for cell, register in given.items() if cell[0] not in ("y", "d")}
        kept: list[tuple[int, Operand, Cell]] = []
        used = set(_used(loop.body))
        for space, index in self.made(loop.body, counter):
            earlier = space, index.shifted(counter, -1)
            if earlier[1] != index and earlier in used and earlier not in inside:
                first = space, earlier[1].at(counter, 0)
                if first not in given and not self.is_written(first, counter):
                    continue  # another statement of the loop makes it, in the first iteration
                at_first = self.read(first, given, into)
                inside[earlier] = register = self.register()
                kept.append((register, at_first, (space, index)))
        innermost = not any(isinstance(node, Loop) for node in loop.body)
        sums = self.sums(loop) if innermost else []
        chain = self.chain(loop, [cell for _, _, cell in kept], sums) if innermost and self.alone else None
        vectorises = chain is not None and self.jams(loop, True, chain)
        jams = not innermost and not kept and self.jams(loop)
        if jams or vectorises:
            self.jammed.add(counter)
            self.chained[counter] = chain or frozenset()
        if not innermost and not jams:
            sums = self.sums(loop)
        for cell in sums:
            into.append(Load(start := self.register(), *cell))
            self.from_memory(cell)
            inside[cell] = register = self.register()
            kept.append((register, start, cell))
        body: list[Code] = []
        outer = set(inside)
        self.around.append(counter)
        here, self.here = self.here, self.timeline.within[counter]
        held, self.held = self.held, {}
        aliased, self.aliased = self.aliased, self.aliases(loop.body, self.here)
        for node in loop.body:
            self.node(node, inside, body)
        self.release(inside, body, list(self.held))
        phis = []
        for register, at_first, cell in kept:
            after = self.read(cell, inside, body)  # from memory, where it comes from iterations side by side
            assert isinstance(after, int)
            phis.append((register, at_first, after))
        self.around.pop()
        self.here, self.held, self.aliased = here, held, aliased
        code_within = _summed(body, phis)
        partial = _partial(code_within, phis) if vectorises else frozenset()
        into.append(Repeat(counter, loop.times, tuple(phis), code_within, jams, vectorises, partial))
        into += [Store(*cell, inside[cell]) for cell in sums]
        for (space, index), register in self.waiting.pop(counter, []):
            self.store((space, self.last(index, counter)), register, into)
        if before.always:
            finals = {cell for _, _, cell in kept}
            for cell, register in inside.items():
                lasts = cell in finals or not (jams or vectorises)
                if cell[0] in ONCE and cell not in outer and lasts and not self.summing:
                    known[cell[0], self.last(cell[1], counter)] = register
            return
        self.here = outside
        results = []
        for (_, at_first, after), (_, _, (space, index)) in zip(phis, kept, strict=True):
            first = space, index.at(counter, -1)
            if space in ONCE and not self.summing and (first in known or not isinstance(at_first, int)):
                known[space, self.last(index, counter)] = result = self.register()
                results.append((result, at_first, after))
        code.append(Guard(counter, loop.times, tuple(into), tuple(results)))

    def still(self, cell: Cell, loop: Loop) -> bool:
        """Return True if a cell is invariant in a loop: the same in all iterations, and not written."""
        if cell[0] in ("a", "y", "d") or not self.inner[loop.counter].isdisjoint(cell[1].counters):
            return False
        return self.is_written(cell, loop.counter)

    def is_written(self, cell: Cell, counter: int) -> bool:
        """Return True if a cell can be read wherever a loop begins: it is there, and was written before."""
        space, index = cell
        if space == "s":
            return True
        cells = self.timeline.before[counter].each(index)
        if cells.min() < 0 or cells.max() >= self.rolled.tape.sizes[space]:
            return False  # a loop within, which has no iteration then, would read it
        if space not in ONCE:
            return True
        written = self.timeline.writers[space][cells]
        return bool(((written >= 0) & (written < self.timeline.starts[counter])).all())

    def made(self, nodes: Iterable[Node], around: int) -> Iterator[Cell]:
        """Yield the cells, written once, whose numbers are in registers at the end of an iteration of a loop."""
        for node in nodes:
            if isinstance(node, Loop):
                within, points = self.timeline.within[around], self.timeline.before[node.counter]
                for space, index in self.made(node.body, node.counter):
                    last = index.at(node.counter, node.times.plus(-1))
                    cells = within.cells(last)
                    there = cells.min() >= 0 and cells.max() < self.rolled.tape.sizes[space]
                    if points.always or there:
                        yield space, last
            elif node.shape.target in ONCE:
                yield node.shape.target, node.cells[0]

    def chain(self, loop: Loop, carried: Sequence[Cell], sums: Sequence[Cell]) -> frozenset[Cell] | None:
        """Return the cells of sums that an innermost loop carries, partial ones included; None where it carries other
        numbers, where partial sums are read otherwise, and where there is little else to do side by side."""
        users: dict[Cell, list[tuple[Statement, int]]] = {}
        for statement in statements(loop.body):
            for place, cell in enumerate(zip(statement.shape.operands, statement.cells[1:], strict=True)):
                users.setdefault(cell, []).append((statement, place))
        found = set(sums)
        steps = sum((s.shape.target, s.cells[0]) in found for s in statements(loop.body))
        for space, index in carried:
            at = space, index.shifted(loop.counter, -1)
            while at != (space, index):
                found.add(at)
                if len(users.get(at, ())) != 1:
                    return None
                ((statement, place),) = users[at]
                shape = statement.shape
                if shape.adds or shape.op not in ("add", "sub") or (shape.op == "sub" and place):
                    return None
                at = shape.target, statement.cells[0]
                steps += 1
                if self.is_stored(at, loop.counter) and not (at == (space, index) and self.may_wait(at, loop.counter)):
                    return None
            found.add(at)
            if at in users:
                return None
        return frozenset(found) if (LITTLE + 1) * steps <= len(loop.body) else None

    def is_stored(self, cell: Cell, counter: int) -> bool:
        """Return True if a number that a loop makes is read from memory."""
        space, index = cell
        if self.wanted is None or space not in self.wanted:
            return False
        return bool(self.wanted[space][self.timeline.within[counter].each(index)].any())

    def jams(self, loop: Loop, innermost: bool = False, chain: frozenset[Cell] = frozenset()) -> bool:
        """Return True if iterations are independent: none reads or writes what another writes, but for a chain of sums.

        They may add to the same cells, if it is one statement that does, and does so once for a cell in an iteration:
        then each cell gets its sum in the same order, and none is in a register of a loop within. Those of an innermost
        loop may not. Sums over samples are left out where they are sums over lanes, too, which have no order.
        Loops within have the same number of iterations in each.
        """
        if any(loop.counter in inner.times.counters for inner in _loops(loop.body)):
            return False
        np = self.np
        written: dict[str, list[tuple[Any, Any, Any]]] = {}
        for statement in statements(loop.body):
            space, index = statement.shape.target, statement.cells[0]
            if space != "d" or self.alone:
                points = self.timeline.points[statement.number].outward((loop.counter, *index.counters))
                if (space, index) in chain:
                    if statement.shape.adds:
                        continue  # nothing else touches it
                    owner = -2 - statement.number
                elif loop.counter in index.counters:
                    owner = points.at[loop.counter]
                elif not innermost and statement.shape.adds and self.distinct(statement, loop.counter):
                    owner = -2 - statement.number
                else:
                    return False
                if points.size:
                    rows = points.rows_of(self.timeline.before[loop.counter])
                    written.setdefault(space, []).append((points.each(index), rows, owner))
        owners = {space: _Owners(np, found) for space, found in written.items()}
        if not all(owners[space].of_all(found) for space, found in written.items()):
            return False
        for statement in statements(loop.body):
            for space, index in zip(statement.shape.operands, statement.cells[1:], strict=True):
                if space in owners and (space, index) not in chain:
                    points = self.timeline.points[statement.number].outward((loop.counter, *index.counters))
                    owner = owners[space].of(points.each(index), points.rows_of(self.timeline.before[loop.counter]))
                    if not ((owner == -1) | (owner == points.at[loop.counter])).all():
                        return False
        return True

    def distinct(self, statement: Statement, counter: int) -> bool:
        """Return True if a statement's target is another cell each time that it runs in an iteration of a loop."""
        points = self.timeline.points[statement.number]
        cells = points.each(statement.cells[0])
        keys = points.rows_of(self.timeline.within[counter]) * (int(cells.max()) + 1) + cells
        return len(self.np.unique(keys)) == points.size

    def sums(self, loop: Loop) -> list[Cell]:
        """Return the cells that a loop adds to, the same in each iteration, and does not touch otherwise."""
        found: dict[Cell, int] = {}
        for node in loop.body:
            if isinstance(node, Statement) and node.shape.adds:
                cell = (node.shape.target, node.cells[0])
                if node.shape.target != "d" and loop.counter not in node.cells[0].counters:
                    found[cell] = found.get(cell, 0) + 1
        if not found:
            return []
        spaces = {space for space, _ in found}
        touched: list[tuple[Cell, Points]] = []
        for statement in statements(loop.body):
            shape, points = statement.shape, self.timeline.points[statement.number]
            for cell in zip((shape.target, *shape.operands), statement.cells, strict=True):
                if cell[0] in spaces:
                    touched.append((cell, points))
        before = self.timeline.before[loop.counter]
        within = self.timeline.within[loop.counter]
        kept = []
        for cell, times in found.items():
            cells = before.each(cell[1])
            if sum(cell == other and points is within for other, points in touched) == times and not any(
                self.touches(cells, loop.counter, other[1], points)
                for other, points in touched
                if other[0] == cell[0] and not (other == cell and points is within)
            ):
                kept.append(cell)
        return kept

    def touches(self, cells: Any, counter: int, index: Poly, points: Points) -> bool:
        """Return True if an index reaches, in a run of a loop, the cell of that run."""
        others = points.outward((counter, *index.counters))
        return bool((cells[others.rows_of(self.timeline.before[counter])] == others.each(index)).any())


class _Owners:
    """Iterations, or statements, that write the cells of a space in a run of a loop."""

    def __init__(self, np: Any, written: Sequence[tuple[Any, Any, Any]]) -> None:
        self.np = np
        self.first = min(int(cells.min()) for cells, _, _ in written)
        self.span = max(int(cells.max()) for cells, _, _ in written) + 1 - self.first
        self.runs = max(int(rows.max()) for _, rows, _ in written) + 1
        if self.runs * self.span > MANY + 8 * sum(len(cells) for cells, _, _ in written):
            self.runs = 1  # as if all runs were one
        self.owners = np.full(self.runs * self.span, -1)
        for cells, rows, owner in written:
            self.owners[self.places(cells, rows)] = owner

    def places(self, cells: Any, rows: Any) -> Any:
        return cells - self.first if self.runs == 1 else rows * self.span + (cells - self.first)

    def of(self, cells: Any, rows: Any) -> Any:
        """Return the owners of cells; -1 for none."""
        inside = (cells >= self.first) & (cells < self.first + self.span)
        return self.np.where(inside, self.owners[self.np.where(inside, self.places(cells, rows), 0)], -1)

    def of_all(self, written: Sequence[tuple[Any, Any, Any]]) -> bool:
        """Return True if each cell has one owner."""
        return all((self.owners[self.places(cells, rows)] == owner).all() for cells, rows, owner in written)


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


def _partial(body: Sequence[Code], kept: Sequence[tuple[int, Operand, int]]) -> frozenset[int]:
    """Return the registers that come of loop-carried ones."""
    found = {register for register, _, _ in kept}
    for item in body:
        if isinstance(item, Apply) and not found.isdisjoint(item.operands):
            found.add(item.target)
    return frozenset(found)


def _begins(statement: Statement) -> bool:
    """Return True if a statement writes the first contribution to a cotangent that is a sum."""
    return statement.shape.target == "a" and not statement.shape.adds


def _loops(nodes: Iterable[Node]) -> Iterator[Loop]:
    for node in nodes:
        if isinstance(node, Loop):
            yield node
            yield from _loops(node.body)


def _used(nodes: Iterable[Node]) -> Iterator[Cell]:
    for statement in statements(tuple(nodes)):
        yield from zip(statement.shape.operands, statement.cells[1:], strict=True)
