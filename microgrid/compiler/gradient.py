"""From a program to a tape of its values and gradient; cotangents accumulate in place, in the order of `backward`.

The formulas are those of `ops.py`: a rule is traced once for each op, and its instructions stand wherever the op does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrid.compiler.stages import interruptible
from microgrid.compiler.tape import Tape
from microgrid.core import tree
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

    def __init__(self, op: Op, static: Static, native: bool) -> None:
        self.op = op
        self.name: str = op.name
        self.static = static
        self.dynamic: int = op.arity - op.static
        self.piecewise: list[bool] = [bool(x) for x in op.piecewise]
        self.native = native
        self._early: bool | None = None
        self._rule: Rule | None = None

    def rule(self) -> Rule:
        """Return its rule. Raises TypeError for one that branches."""
        rule = self._rule
        if rule is None:
            rule = self._rule = rule_of(self.op, self.static)
        return rule

    def is_early(self, early: Native) -> bool:
        """Return True if the forward pass computes its partials."""
        known = self._early
        if known is None:
            known = self._early = early(self.op, self.static)
        return known


_NO_EDGES: Final[list[tuple[int, int]]] = []


class _TapeWriter:
    def __init__(self, program: Program, request: Request, native: Native, early: Native | None) -> None:
        self.tape = tape = Tape()
        self.native = native
        self.known: dict[int, list[Cell]] = {}
        """Partials that the forward pass has computed, by their instructions."""
        self.program = program
        self.plain_ways: dict[Op, _Way] = {}
        self.static_ways: dict[tuple[Op, Static], _Way] = {}
        self.first: int = len(program.inputs) + len(program.constants)
        cells: list[Cell] = []
        for shared in request.shared:
            space = "p" if shared else "x"
            cells.append((space, tape.sizes[space]))
            tape.sizes[space] += 1
        self.inputs = cells
        tape.sizes["v"] = len(program.instructions)
        self.ways: list[_Way] = []
        """For each instruction."""
        for op, operands in program.instructions:
            self.ways.append(self.way(op, self.static(op, operands) if op.static else ()))
        edges, count = self.edges(request) if request.by else ([], [])
        origins = tape.origins
        for k, (_, operands) in enumerate(interruptible(program.instructions)):
            origins[len(tape.steps)] = k
            way = self.ways[k]
            self.apply(way, ("v", k), [self.cell(i) for i in operands])
            if early is not None and edges and edges[k] and way.is_early(early):
                self.known[k] = self.partials(way, k, edges[k])
        values = len(program.outputs) - request.sums
        for slot in program.outputs[int(request.total) : values]:
            tape.add("identity", self.output(), self.cell(slot))
        for slot in program.outputs[values:]:
            self.sum_over_samples(slot)
        if request.by:
            self.differentiate(request, edges, count)
        if request.total:
            self.sum_over_samples(program.outputs[0])
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
        way = _Way(op, static, self.native(op, static))
        if way.native:
            named = op_called(op.name)  # from where code takes the native
            native = op.on.get("c") == (named.on.get("c") if named else None)
            loaded = special_ops.get(op.name)
            if loaded is not None and named is not op and loaded in (op, named):
                native = False
            if self.tape.ops.setdefault(op.name, op) is not op or not native:
                raise TypeError(f"two ops are called {op.name}, one of them declared again: give it another name")
        if static:
            self.static_ways[op, static] = way
        else:
            self.plain_ways[op] = way
        return way

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

    def differentiate(self, request: Request, edges: list[list[tuple[int, int]]], contributions: list[int]) -> None:
        program, tape, first = self.program, self.tape, self.first
        count = first + len(self.ways)
        targets: list[Cell | None] = [None] * count
        """Cells of the derivatives that are asked for, by the slots of the inputs."""
        for i in request.by:
            targets[i] = ("d", tape.sizes["d"]) if request.shared[i] else self.output()
            tape.sizes["d"] += request.shared[i]
        root: int = program.outputs[0]
        cotangents: list[Cell | None] = [None] * count
        cotangents[root] = ("s", 0)
        begun = [False] * count
        goal = targets[root]
        if goal is not None:
            self.contribute(goal, ("s", 0), 1.0, False, begun, root)
        k: int = len(self.ways)
        while k > 0:
            k -= 1
            carried = cotangents[first + k]
            if carried is None or not edges[k]:
                continue
            way = self.ways[k]
            rule = way.rule()
            partials = self.known[k] if k in self.known else self.partials(way, k, edges[k])
            for i, operand in edges[k]:
                fixed = rule.fixed[i]
                target = targets[operand]
                if target is None:
                    if contributions[operand] == 1 and fixed == 1.0:
                        cotangents[operand] = carried
                        continue
                    target = ("g" if contributions[operand] == 1 else "a", operand - first)
                    cotangents[operand] = target
                partial = partials[i] if fixed is None else fixed
                self.contribute(target, carried, partial, way.piecewise[i], begun, operand)
        for i in dict.fromkeys(request.by):
            goal = targets[i]
            if goal is not None and goal[0] == "y" and not begun[i]:
                tape.add("identity", goal, tape.constant(0.0))

    def partials(self, way: _Way, k: int, edges: list[tuple[int, int]]) -> list[Cell]:
        """Return the cells of an instruction's partials by the operands of these edges, of others and constants any."""
        operands = self.program.instructions[k].operands
        rule = way.rule()
        if rule.every_direct or rule.direct.issuperset([i for i, _ in edges]):
            found: list[Cell] = [_NO_CELL] * way.dynamic
            for i, _ in edges:
                slot = rule.outputs[i]
                found[i] = self.cell(operands[slot - 1]) if slot else ("v", k)
            return found
        wanted: list[Cell | None] = [None] * way.dynamic
        needs = False
        for i, _ in edges:
            if rule.fixed[i] is None:
                wanted[i] = _NO_CELL
                needs = True
        if not needs:
            return []
        return self.inline(rule.program, [("v", k), *[self.cell(i) for i in operands[: way.dynamic]]], wanted)

    def edges(self, request: Request) -> tuple[list[list[tuple[int, int]]], list[int]]:
        """Return for each instruction its active (place, operand) pairs, and the number of contributions to each slot.

        Only instructions that the output depends on receive a cotangent, and only those pass one on.
        """
        program, first = self.program, self.first
        if not request.total and not tree.is_number(program.out_structure):
            result = tree.shape(program.out_structure)
            raise ValueError(f"only a function with one result, a scalar, has a gradient, not {result}: use jacobian")
        instructions = program.instructions
        by = set(request.by)
        active = [i in by for i in range(first)]
        for _, operands in instructions:
            mine = False
            for operand in operands:
                if active[operand]:
                    mine = True
                    break
            active.append(mine)
        count = [0] * len(active)
        reached = [False] * len(active)
        reached[program.outputs[0]] = True
        edges = [_NO_EDGES] * len(instructions)
        k: int = len(instructions)
        while k > 0:
            k -= 1
            if not reached[first + k] or not active[first + k]:
                continue
            way = self.ways[k]
            silent = way.rule().silent
            own: list[tuple[int, int]] = []
            for i, operand in enumerate(instructions[k].operands):
                if i < way.dynamic and active[operand] and i not in silent:
                    own.append((i, operand))
                    count[operand] += 1
                    reached[operand] = True
            edges[k] = own
        return edges, count

    def contribute(
        self, target: Cell, cotangent: Cell, partial: Cell | float, piecewise: bool, begun: list[bool], slot: int
    ) -> None:
        """Add a contribution to a cotangent; the first sets it, except for sums over samples, which begin at 0."""
        adds = begun[slot] or target[0] == "d"
        begun[slot] = True
        if partial == 1.0:
            self.tape.put("passed", target, [cotangent], adds)
        elif partial == -1.0:
            self.tape.put("negated", target, [cotangent], adds)
        else:
            cell = self.tape.constant(partial) if isinstance(partial, float) else partial
            self.tape.put("chosen" if piecewise else "scaled", target, [cotangent, cell], adds)


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
