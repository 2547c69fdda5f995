"""From a program to a tape of its values and gradient; cotangents accumulate in place, in the order of `backward`.

The formulas are those of `ops.py`: a rule is traced once for each op, and its instructions stand wherever the op does.
"""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from microgrid.compiler.instances import (
    CARRIED,
    KNOWN,
    OPERANDS,
    PLACE,
    RESULT,
    Section,
    StepTemplate,
    combined,
    grouped,
    joined,
)
from microgrid.compiler.stages import interruptible
from microgrid.compiler.tape import Step, Tape
from microgrid.core import tree
from microgrid.core._mypyc import i64
from microgrid.core.packages import library
from microgrid.core.primitive import Op, op_called, special_ops
from microgrid.core.scope import plainly_recording, reading
from microgrid.engine import Value, constant
from microgrid.program import Program, definition, needed

Cell = tuple[str, int]
_NO_CELL: Final[Cell] = ("", 0)
Static = tuple[float, ...]
Native = Callable[[Op, Static], bool]
"""Predicate: True if the machine computes an op with these static operands directly."""


class Request(NamedTuple):
    """The task of a tape: for each input, True if samples share it; and the inputs to differentiate by.

    With `total`, the first result is summed over samples, times the seed, and comes last in the space d; it is the one
    that is differentiated, and the others are given for each sample. The last results, as many as `sums`, are such
    sums, too.
    """

    shared: tuple[bool, ...]
    by: tuple[int, ...] = ()
    total: bool = False
    sums: int = 0


def tape_of(program: Program, request: Request, native: Native, early: Native | None = None) -> Tape:
    """Return the tape whose outputs are the program's, but for a total, then the derivatives by each of the inputs
    `by`.

    Derivatives by shared inputs go to the space d instead, in their order. Ops that are not native are taken apart.
    Partials of the ops for which `early` is True stand behind these, in the forward pass.
    Raises ValueError for derivatives of several results, TypeError for a rule that branches.
    """
    return _TapeWriter(program, request, native, early).tape


class _Way:
    """The way in which an op with some static operands is computed and differentiated; each is asked for once."""

    def __init__(self, op: Op, static: Static, native: bool, number: int) -> None:
        self.op = op
        self.name: str = op.name
        self.static = static
        self.arity: int = op.arity
        self.dynamic: int = op.arity - op.static
        self.piecewise: list[bool] = [bool(x) for x in op.piecewise]
        self.native = native
        self.number = number
        self._early: bool | None = None
        self._rule: Rule | None = None
        self._passes: list[int] | None = None

    def rule(self) -> Rule:
        """Return its rule. Raises TypeError for one that branches."""
        rule = self._rule
        if rule is None:
            rule = self._rule = rule_of(self.op, self.static)
        return rule

    def passes(self) -> list[int]:
        """Return for each operand 0 if nothing ever passes to it, 2 if the cotangent itself does, else 1."""
        passes = self._passes
        if passes is None:
            rule = self.rule()
            passes = [0 if i in rule.silent else 2 if x == 1.0 else 1 for i, x in enumerate(rule.fixed)]
            self._passes = passes
        return passes

    def known_passes(self, size: int) -> list[int]:
        """Return so many of these, 0 for all where they were not asked for."""
        passes = self._passes or []
        return [*passes, *[0] * (size - len(passes))]

    def is_early(self, early: Native) -> bool:
        """Return True if the forward pass computes its partials."""
        known = self._early
        if known is None:
            known = self._early = early(self.op, self.static)
        return known


SEED: Final = -1
"""The last slot, which stands for the seed."""

_SPACES: Final = ("x", "p", "c", "v")
"""Spaces of slots, by code."""

_COTANGENTS: Final = ("s", "y", "d", "g", "a")
"""Spaces of cotangents, by code."""

_KINDS: Final = (*[("", False)] * 2, *[(space, adds) for space in _COTANGENTS[1:] for adds in (False, True)])
"""Ways of passing a cotangent to an operand: none, unchanged, or as a contribution to a space, set or added."""


class _Links:
    """Edges along which cotangents pass, of each slot the number of contributions, and the slot whose cotangent is its
    own: another one where that is passed on unchanged, `SEED` for the seed."""

    def __init__(self, edges: list[int], counts: list[int], carried: list[int]) -> None:
        self.edges = edges
        self.counts = counts
        self.carried = carried


class _TapeWriter:
    def __init__(self, program: Program, request: Request, native: Native, early: Native | None) -> None:
        self.np: Any = library("numpy", "compile")
        self.tape = tape = Tape()
        self.native = native
        self.early = early
        self.program = program
        self.plain_ways: dict[Op, _Way] = {}
        self.static_ways: dict[tuple[Op, Static], _Way] = {}
        self.ways: list[_Way] = []
        self.first: int = len(program.inputs) + len(program.constants)
        self.given: list[Cell] = []
        """Cells in the places of the operands of a template."""
        self.columns: dict[int, int] = {}
        self.parts: list[Section | list[Step]] = []
        self.known: list[list[Cell]] = []
        """Partials that the forward pass has computed, by pattern."""
        cells: list[Cell] = []
        for shared in request.shared:
            space = "p" if shared else "x"
            cells.append((space, tape.sizes[space]))
            tape.sizes[space] += 1
        self.inputs = cells
        straight = program.straight()
        slots: list[int] = straight.operands
        tape.sizes["v"] = len(straight.ops)
        kinds: list[int] = []
        begin: i64 = 0
        for op in interruptible(straight.ops):
            end: i64 = begin + op.arity
            kinds.append(self.way(op, self.static(op, slots[begin:end]) if op.static else ()).number)
            begin = end
        links = self.links(request, kinds, slots) if request.by else None
        self.lay(kinds, slots, links)
        forward = self.forward(links)
        tape.laid = forward.which, forward.steps
        values = len(program.outputs) - request.sums
        for slot in program.outputs[int(request.total) : values]:
            tape.add("identity", self.output(), self.cell(slot))
        for slot in program.outputs[values:]:
            self.sum_over_samples(slot)
        if links is not None:
            self.differentiate(request, links, forward)
        if request.total:
            self.sum_over_samples(program.outputs[0])
        self.flush()
        tape.written(*joined(self.parts))
        tape.sizes["a"] = tape.sizes["g"] = tape.sizes["v"]
        tape.sizes["c"] = len(tape.constants)

    def sum_over_samples(self, slot: int) -> None:
        """Append the step that adds a result, times the seed, to a sum over samples."""
        self.tape.add("scaled", ("d", self.tape.sizes["d"]), ("s", 0), self.cell(slot), adds=True)
        self.tape.sizes["d"] += 1

    def output(self) -> Cell:
        self.tape.sizes["y"] += 1
        return "y", self.tape.sizes["y"] - 1

    def cell(self, slot: int) -> Cell:
        if slot >= self.first:
            return "v", slot - self.first
        inputs = len(self.inputs)
        return self.inputs[slot] if slot < inputs else self.tape.constant(self.program.constants[slot - inputs])

    def static(self, op: Op, operands: Sequence[int]) -> Static:
        inputs = len(self.inputs)
        return tuple([self.program.constants[i - inputs] for i in operands[op.arity - op.static :]])

    def way(self, op: Op, static: Static) -> _Way:
        """Return the way of an op, which is to be computed. Raises TypeError where another one has its name."""
        way = self.static_ways.get((op, static)) if static else self.plain_ways.get(op)
        if way is not None:
            return way
        way = _Way(op, static, self.native(op, static), len(self.ways))
        if way.native:
            named = op_called(op.name)  # from where code takes the native
            native = op.on.get("c") == (named.on.get("c") if named else None)
            loaded = special_ops.get(op.name)
            if loaded is not None and named is not op and loaded in (op, named):
                native = False
            if self.tape.ops.setdefault(op.name, op) is not op or not native:
                raise TypeError(f"two ops are called {op.name}, one of them declared again: give it another name")
        self.ways.append(way)
        if static:
            self.static_ways[op, static] = way
        else:
            self.plain_ways[op] = way
        return way

    # Templates: the steps of an instruction, with places for its cells.

    def lay(self, kinds: list[int], slots: list[int], links: _Links | None) -> None:
        """Make arrays of the instructions: of each its way and where its operands begin; and of slots their cells."""
        np = self.np
        self.kinds = np.frombuffer(array("q", kinds), dtype=np.int64)
        self.slots = np.frombuffer(array("q", slots), dtype=np.int64)
        arity = np.array([way.arity for way in self.ways], dtype=np.int64)[self.kinds]
        self.begins = np.cumsum(arity) - arity
        self.edges = np.frombuffer(bytes(links.edges) if links else bytes(len(slots)), dtype=np.int8).astype(np.int64)
        self.table = np.array([*[0.0] * len(self.inputs), *self.program.constants])
        """The numbers of slots that are constants."""
        total = self.first + len(kinds)
        self.spaces = np.full(total, _SPACES.index("v"))
        self.spaces[: self.first] = _SPACES.index("c")
        self.cells = np.arange(-self.first, len(kinds))
        for slot, (space, cell) in enumerate(self.inputs):
            self.spaces[slot] = _SPACES.index(space)
            self.cells[slot] = cell

    def begin(self, way: _Way, k: int) -> None:
        """Begin a template for instructions like this one."""
        self.flush()
        self.given = []
        at = int(self.begins[k])
        for j, space in enumerate(self.spaces[self.slots[at : at + way.arity]].tolist()):
            self.given.append((_SPACES[space], (OPERANDS + 2 * j) * PLACE))
        self.columns = {}
        self.kept = self.tape.constants, self.tape.sizes["t"]
        self.tape.constants, self.tape.sizes["t"] = [], 0

    def end(self) -> StepTemplate:
        """Return the template."""
        tape = self.tape
        found = StepTemplate(tape.steps, tape.sizes["t"], tape.constants, self.columns)
        tape.clear()
        tape.constants, tape.sizes["t"] = self.kept
        return found

    def flush(self) -> None:
        """Put the steps that were written aside as a part of the tape."""
        if self.tape.steps:
            self.parts.append(self.tape.steps)
            self.tape.clear()

    def operand(self, j: int) -> Cell:
        """Return the cell in the place of an operand; for a constant, of one more occurrence of it."""
        cell = self.given[j]
        if cell[0] != "c":
            return cell
        self.columns[len(self.tape.constants)] = j
        return self.tape.constant(math.nan)

    def groups(self, rows: Any) -> Iterator[tuple[_Way, Any, list[Any]]]:
        """Yield the instructions of each way, with the places of their operands."""
        for places in grouped(self.kinds[rows]):
            own = rows[places]
            way = self.ways[int(self.kinds[own[0]])]
            yield way, own, [self.begins[own] + j for j in range(way.arity)]

    def forward(self, links: _Links | None) -> Section:
        """Append the steps that compute the instructions, and return them."""
        np, count = self.np, len(self.kinds)
        section = Section(count, self.tape)
        edges = self.edges
        self.patterns = np.zeros(count, dtype=np.int64)
        for way, rows, places in self.groups(np.arange(count)):
            columns = [self.slots[at] for at in places]
            codes = combined([self.spaces[column] for column in columns], len(_SPACES))
            early = self.early is not None and links is not None and way.is_early(self.early)
            if early:
                codes = combined([codes, *[edges[at] for at in places]], int(codes.max()) + 2)
            for group in grouped(codes):
                own, given = rows[group], [column[group] for column in columns]
                self.begin(way, int(own[0]))
                self.apply(way, ("v", RESULT * PLACE), [self.operand(j) for j in range(way.arity)])
                active = [j for j in range(way.arity) if early and edges[places[j][group[0]]]]
                if active:
                    self.patterns[own] = len(self.known)
                    self.known.append([_of_known(cell) for cell in self.partials(way, active)])
                section.add(self.end(), own, given, self.at(own, given))
        self.end_section(section)
        return section

    def end_section(self, section: Section) -> None:
        """Append a section, with its constants and temporaries."""
        section.place()
        self.tape.constants += section.numbers(self.table)
        self.tape.sizes["t"] = section.temporaries
        self.parts.append(section)

    def at(self, rows: Any, columns: Sequence[Any]) -> dict[int, Any]:
        """Return the cells in the places of results and operands."""
        return {RESULT: rows, **{OPERANDS + 2 * j: self.cells[column] for j, column in enumerate(columns)}}

    def apply(self, way: _Way, target: Cell, operands: list[Cell]) -> None:
        """Append the steps that compute an op."""
        if way.native:
            self.tape.put(way.name, target, operands)
        else:
            self.inline(definition(way.op, way.static), operands[: way.dynamic], [target])

    def inline(self, program: Program, inputs: Sequence[Cell], targets: Sequence[Cell | None]) -> list[Cell]:
        """Append the steps of a program on these cells that its outputs need; return the cells of the outputs."""
        first = len(inputs) + len(program.constants)
        slots = _needed(program, tuple([target is not None for target in targets]))
        wanted = {slot: target for slot, target in zip(program.outputs, targets, strict=True) if target and target[0]}
        cells: dict[int, Cell] = dict(enumerate(inputs))

        def cell(slot: int) -> Cell:
            if len(inputs) <= slot < first:
                return self.tape.constant(program.constants[slot - len(inputs)])
            return cells[slot]

        for k, (op, operands) in enumerate(program.instructions):
            slot = first + k
            if slot in slots:
                cells[slot] = wanted.pop(slot) if slot in wanted else self.tape.temporary()
                static = tuple([program.constants[i - len(inputs)] for i in operands[op.arity - op.static :]])
                self.apply(self.way(op, static if op.static else ()), cells[slot], [cell(i) for i in operands])
        for slot, target in wanted.items():
            self.tape.add("identity", target, cell(slot))
        return [
            cell(slot) if target is not None else ("", 0) for slot, target in zip(program.outputs, targets, strict=True)
        ]

    # The backward pass.

    def links(self, request: Request, kinds: list[int], slots: list[int]) -> _Links:
        """Return the edges along which cotangents pass.

        Only instructions that the output depends on receive a cotangent, and only those pass one on.
        """
        program, first = self.program, self.first
        if not request.total and not tree.is_number(program.out_structure):
            result = tree.shape(program.out_structure)
            raise ValueError(f"only a function with one result, a scalar, has a gradient, not {result}: use jacobian")
        by = set(request.by)
        active = [i in by for i in range(first)]
        at: i64 = 0
        for kind in kinds:
            end: i64 = at + self.ways[kind].arity
            mine = False
            while at < end:
                if active[slots[at]]:
                    mine = True
                at += 1
            active.append(mine)
        root: i64 = program.outputs[0]
        edges = [0] * len(slots)
        counts = [0] * (len(active) + 1)
        user = [0] * len(active)
        unchanged = [False] * len(active)
        carried = [SEED] * len(active)
        k: i64 = len(kinds)
        while k > 0:
            k -= 1
            way = self.ways[kinds[k]]
            at -= way.arity
            slot: i64 = first + k
            if not active[slot] or (slot != root and counts[slot] == 0):
                continue
            if slot != root:
                carried[slot] = carried[user[slot]] if unchanged[slot] and counts[slot] == 1 else slot
            passes = way.passes()
            i: i64 = 0
            while i < way.dynamic:
                operand: i64 = slots[at + i]
                if passes[i] and active[operand]:
                    edges[at + i] = 1
                    counts[operand] += 1
                    user[operand] = slot
                    unchanged[operand] = passes[i] == 2
                i += 1
        return _Links(edges, counts, carried)

    def differentiate(self, request: Request, links: _Links, forward: Section) -> None:
        """Append the steps of the backward pass."""
        np, program, tape, first = self.np, self.program, self.tape, self.first
        counts = np.frombuffer(array("q", links.counts), dtype=np.int64)
        spaces = np.where(counts == 1, _COTANGENTS.index("g"), _COTANGENTS.index("a"))
        cells = np.arange(-first, len(counts) - first)
        spaces[SEED], cells[SEED] = _COTANGENTS.index("s"), 0
        targets: dict[int, Cell] = {}
        """Cells of the derivatives that are asked for, by the slots of the inputs."""
        for i in request.by:
            target = targets[i] = ("d", tape.sizes["d"]) if request.shared[i] else self.output()
            tape.sizes["d"] += request.shared[i]
            spaces[i], cells[i] = _COTANGENTS.index(target[0]), target[1]
        goal = targets.get(program.outputs[0])
        if goal is not None:
            self.contribute(goal, ("s", 0), 1.0, False, goal[0] == "d")
        self.flush()
        section = Section(len(self.kinds), tape, forward)
        codes = self.edge_codes(counts, spaces)
        carried = np.frombuffer(array("q", links.carried), dtype=np.int64)
        for way, rows, places in self.groups(np.flatnonzero(np.bincount(self.owners[self.edges > 0]))):
            columns = [self.slots[at] for at in places]
            own_codes = [len(_KINDS) * self.spaces[self.slots[at]] + codes[at] for at in places]
            sources = carried[first + rows]
            every = combined([*own_codes, spaces[sources]], len(_KINDS) * len(_SPACES))
            for group in grouped(every):
                own, given = rows[group], [column[group] for column in columns]
                kinds = [int(codes[at[group[0]]]) for at in places]
                template = self.backward(way, int(own[0]), kinds, _COTANGENTS[int(spaces[sources[group[0]]])])
                if template.steps:
                    found = self.at(own, given)
                    found[CARRIED] = cells[sources[group]]
                    for j, column in enumerate(given):
                        found[OPERANDS + 2 * j + 1] = cells[column]
                    section.add(template, len(self.kinds) - 1 - own, given, found)
        self.end_section(section)
        for i in dict.fromkeys(request.by):
            target = targets[i]
            if target[0] == "y" and not counts[i] and i != program.outputs[0]:
                tape.add("identity", target, tape.constant(0.0))

    def edge_codes(self, counts: Any, spaces: Any) -> Any:
        """Return for each place of an operand the index in `_KINDS` of what is passed on to it, and how."""
        np, slots = self.np, self.slots
        active = self.edges > 0
        every = np.arange(len(slots))
        self.owners = np.repeat(np.arange(len(self.kinds)), np.diff(self.begins, append=len(slots)))
        # A cotangent's first contribution, which sets it, is from the last instruction, for its first operand.
        mirrored = self.begins[self.owners] + np.append(self.begins, len(slots))[1:][self.owners] - 1 - every
        order = mirrored[active[mirrored]]
        begins = np.zeros(len(counts), dtype=np.int64)
        begins[slots[order]] = order
        adds = (begins[slots] != every) | (spaces[slots] == _COTANGENTS.index("d"))
        widest = max([way.arity for way in self.ways], default=0)
        table = [x == 2 for way in self.ways for x in way.known_passes(widest)]
        unchanged = np.array(table, dtype=bool).reshape(len(self.ways), widest)
        alias = unchanged[self.kinds[self.owners], every - self.begins[self.owners]]
        alias &= (counts[slots] == 1) & (slots >= self.first)
        return np.where(active, np.where(alias, 1, 2 * spaces[slots] + adds), 0)

    def backward(self, way: _Way, k: int, kinds: list[int], carried: str) -> StepTemplate:
        """Return the steps that pass a cotangent on, in the ways of these `_KINDS`."""
        self.begin(way, k)
        active = [i for i, kind in enumerate(kinds) if kind]
        early = self.early is not None and way.is_early(self.early)
        partials = self.known[int(self.patterns[k])] if early else self.partials(way, active)
        fixed = way.rule().fixed
        for i in active:
            space, adds = _KINDS[kinds[i]]
            if space:
                x = fixed[i]
                partial: Cell | float = partials[i] if x is None else x
                target = space, (OPERANDS + 2 * i + 1) * PLACE
                self.contribute(target, (carried, CARRIED * PLACE), partial, way.piecewise[i], adds)
        return self.end()

    def partials(self, way: _Way, active: list[int]) -> list[Cell]:
        """Return the cells of partials of a template's instruction by these operands, of others and constants any."""
        rule = way.rule()
        if rule.every_direct or rule.direct.issuperset(active):
            found: list[Cell] = [_NO_CELL] * way.dynamic
            for i in active:
                slot = rule.outputs[i]
                found[i] = self.operand(slot - 1) if slot else ("v", RESULT * PLACE)
            return found
        wanted: list[Cell | None] = [None] * way.dynamic
        needs = False
        for i in active:
            if rule.fixed[i] is None:
                wanted[i] = _NO_CELL
                needs = True
        if not needs:
            return []
        inputs: list[Cell] = [("v", RESULT * PLACE), *[self.operand(j) for j in range(way.dynamic)]]
        return self.inline(rule.program, inputs, wanted)

    def contribute(self, target: Cell, cotangent: Cell, partial: Cell | float, piecewise: bool, adds: bool) -> None:
        """Add a contribution to a cotangent; the first one sets it, except for sums over samples, which begin at 0."""
        if partial == 1.0:
            self.tape.put("passed", target, [cotangent], adds)
        elif partial == -1.0:
            self.tape.put("negated", target, [cotangent], adds)
        else:
            cell = self.tape.constant(partial) if isinstance(partial, float) else partial
            self.tape.put("chosen" if piecewise else "scaled", target, [cotangent, cell], adds)


def _of_known(cell: Cell) -> Cell:
    """Return a cell of the template that computes an instruction, as that of its backward pass has it."""
    own = cell[0] in ("t", "c") and 0 <= cell[1] < PLACE
    return (cell[0], cell[1] + KNOWN * PLACE) if own else cell


class Rule:
    """A traced rule: the program from (result, operands) to partials, and the kinds of these.

    Partials may be `fixed` numbers; `direct`, the result or an operand itself, as those of a product; and `silent`: 0
    whatever happens in a piecewise op, where nothing ever passes.
    """

    def __init__(self, program: Program, fixed: list[float | None], silent: frozenset[int]) -> None:
        self.program = program
        self.fixed = fixed
        self.outputs: list[int] = list(program.outputs)
        self.direct = frozenset([i for i, slot in enumerate(self.outputs) if slot < len(program.inputs)])
        self.every_direct: bool = len(self.direct) == len(self.outputs)
        self.silent = silent


@functools.lru_cache(maxsize=1024)
def rule_of(op: Op, static: Static) -> Rule:
    """Return the traced rule of an op; raises TypeError where it branches, or gives another number of partials."""

    def branches(how: str, value: Value, other: Any, answer: Any) -> None:
        raise TypeError(f"the rule of {op.name} branches on a number; write it with where")

    with plainly_recording(), reading(branches):
        inputs = [Value(0.5) for _ in range(1 + op.arity - op.static)]
        partials = op.partials(*inputs, *static)
    if not isinstance(partials, tuple) or len(partials) != op.arity - op.static:
        raise op.wrong_partials(partials)
    fixed = [None if isinstance(x, Value) else float(x) for x in partials]
    outputs = [x if isinstance(x, Value) else constant(x) for x in partials]
    silent = frozenset([i for i, x in enumerate(fixed) if x == 0.0 and op.piecewise[i]])
    return Rule(Program.of(outputs, inputs), fixed, silent)


@functools.lru_cache(maxsize=1024)
def _needed(program: Program, wanted: tuple[bool, ...]) -> frozenset[int]:
    """Return the slots that the requested outputs need."""
    outputs = [slot for slot, want in zip(program.outputs, wanted, strict=True) if want]
    first = len(program.inputs) + len(program.constants)
    return frozenset(needed(outputs, enumerate(program.instructions, first)))
