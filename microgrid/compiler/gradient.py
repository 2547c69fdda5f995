"""From a program to a tape of its values and gradient; cotangents accumulate in place, in the order of `backward`.

The formulas are those of `ops.py`: a rule is traced once for each op, and its instructions stand wherever the op does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from microgrid.compiler.stages import interruptible
from microgrid.compiler.tape import Tape
from microgrid.core import tree
from microgrid.core.primitive import Op, op_called, special_ops
from microgrid.core.scope import plainly_recording, reading
from microgrid.engine import Value, constant
from microgrid.program import Program, definition, needed

Cell = tuple[str, int]
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


class _TapeWriter:
    def __init__(self, program: Program, request: Request, native: Native, early: Native | None) -> None:
        self.tape = tape = Tape()
        self.native = functools.cache(native)
        self.known: dict[int, Mapping[int, Cell]] = {}
        """Partials that the forward pass has computed, by their instructions."""
        self.program = program
        self.first = len(program.inputs) + len(program.constants)
        cells: list[Cell] = []
        for shared in request.shared:
            space = "p" if shared else "x"
            cells.append((space, tape.sizes[space]))
            tape.sizes[space] += 1
        self.inputs = cells
        tape.sizes["v"] = len(program.instructions)
        edges, count = self.edges(request) if request.by else ([], [])
        early = functools.cache(early) if early and edges else None
        for k, (op, operands) in enumerate(interruptible(program.instructions)):
            tape.origins[len(tape.steps)] = k
            static = self.static(op, operands)
            self.apply(op, ("v", k), [self.cell(i) for i in operands], static)
            if early and edges[k] and early(op, static):
                self.known[k] = self.partials(rule_of(op, static), k, [i for i, _ in edges[k]])
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
        inputs = len(self.inputs)
        if slot < inputs:
            return self.inputs[slot]
        if slot < self.first:
            return self.tape.constant(self.program.constants[slot - inputs])
        return "v", slot - self.first

    def static(self, op: Op, operands: Sequence[int]) -> Static:
        inputs = len(self.inputs)
        return tuple(self.program.constants[i - inputs] for i in operands[op.arity - op.static :]) if op.static else ()

    def apply(self, op: Op, target: Cell, operands: Sequence[Cell], static: Static) -> None:
        """Append the steps that compute an op."""
        if self.native(op, static):
            named = op_called(op.name)  # from where code takes the native
            native = op.on.get("c") == (named.on.get("c") if named else None)
            loaded = special_ops.get(op.name)
            if loaded is not None and named is not op and loaded in (op, named):
                native = False
            if self.tape.ops.setdefault(op.name, op) is not op or not native:
                raise TypeError(f"two ops are called {op.name}, one of them declared again: give it another name")
            self.tape.add(op.name, target, *operands)
        else:
            self.inline(definition(op, static), operands[: op.arity - op.static], [target])

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
                static = tuple(program.constants[i - len(inputs)] for i in operands[op.arity - op.static :])
                self.apply(op, cells[slot], [cell(i) for i in operands], static if op.static else ())
        for slot, target in wanted.items():
            self.tape.add("identity", target, cell(slot))
        return [
            cell(slot) if target is not None else ("", 0) for slot, target in zip(program.outputs, targets, strict=True)
        ]

    # The backward pass.

    def differentiate(self, request: Request, edges: Sequence[Sequence[tuple[int, int]]], count: Sequence[int]) -> None:
        program, tape = self.program, self.tape
        goals: dict[int, Cell] = {}
        for i in request.by:
            goals[i] = ("d", tape.sizes["d"]) if request.shared[i] else self.output()
            tape.sizes["d"] += request.shared[i]
        cotangents: dict[int, Cell] = {program.outputs[0]: ("s", 0)}
        begun: set[int] = set()
        if program.outputs[0] in goals:
            self.contribute(goals[program.outputs[0]], ("s", 0), 1.0, False, begun, program.outputs[0])
        for k in range(len(program.instructions) - 1, -1, -1):
            slot = self.first + k
            carried = cotangents.get(slot)
            if carried is None or not edges[k]:
                continue
            op, operands = program.instructions[k]
            static = self.static(op, operands)
            rule = rule_of(op, static)
            partials = self.known[k] if k in self.known else self.partials(rule, k, [i for i, _ in edges[k]])
            for i, operand in edges[k]:
                fixed = rule.constants.get(i)
                if operand in goals:
                    target = goals[operand]
                elif count[operand] == 1 and fixed == 1.0:
                    cotangents[operand] = carried
                    continue
                else:
                    target = ("g" if count[operand] == 1 else "a", operand - self.first)
                    cotangents[operand] = target
                partial = partials[i] if fixed is None else fixed
                self.contribute(target, carried, partial, op.piecewise[i], begun, operand)
        for i, target in goals.items():
            if target[0] == "y" and i not in begun:
                tape.add("identity", target, tape.constant(0.0))

    def partials(self, rule: Rule, k: int, places: Sequence[int]) -> Mapping[int, Cell]:
        """Return the cells of an instruction's partials by the operands at these places, without constant ones."""
        op, operands = self.program.instructions[k]
        if rule.direct.issuperset(places):
            slots = rule.program.outputs
            return {i: self.cell(operands[slots[i] - 1]) if slots[i] else ("v", k) for i in places}
        dynamic = op.arity - op.static
        wanted = [("", 0) if i in places and i not in rule.constants else None for i in range(dynamic)]
        if not any(wanted):
            return {}
        given = [("v", k), *[self.cell(j) for j in operands[:dynamic]]]
        return dict(enumerate(self.inline(rule.program, given, wanted)))

    def edges(self, request: Request) -> tuple[list[list[tuple[int, int]]], list[int]]:
        """Return for each instruction its active (place, operand) pairs, and the number of contributions to each slot.

        Only instructions that the output depends on receive a cotangent, and only those pass one on.
        """
        program = self.program
        if not request.total and not tree.is_number(program.out_structure):
            result = tree.shape(program.out_structure)
            raise ValueError(f"only a function with one result, a scalar, has a gradient, not {result}: use jacobian")
        by = set(request.by)
        active = [i in by for i in range(self.first)]
        for _, operands in program.instructions:
            active.append(any(map(active.__getitem__, operands)))
        count = [0] * (self.first + len(program.instructions))
        reached = {program.outputs[0]}
        edges: list[list[tuple[int, int]]] = [[] for _ in program.instructions]
        for k in range(len(program.instructions) - 1, -1, -1):
            slot = self.first + k
            if slot not in reached or not active[slot]:
                continue
            op, operands = program.instructions[k]
            silent = rule_of(op, self.static(op, operands)).silent
            for i, operand in enumerate(operands[: op.arity - op.static]):
                if active[operand] and i not in silent:
                    edges[k].append((i, operand))
                    count[operand] += 1
                    reached.add(operand)
        return edges, count

    def contribute(
        self, target: Cell, cotangent: Cell, partial: Cell | float, piecewise: bool, begun: set[int], slot: int
    ) -> None:
        """Add a contribution to a cotangent; the first sets it, except for sums over samples, which begin at 0."""
        adds = slot in begun or target[0] == "d"
        begun.add(slot)
        if partial == 1.0:
            self.tape.add("passed", target, cotangent, adds=adds)
        elif partial == -1.0:
            self.tape.add("negated", target, cotangent, adds=adds)
        else:
            cell = self.tape.constant(partial) if isinstance(partial, float) else partial
            self.tape.add("chosen" if piecewise else "scaled", target, cotangent, cell, adds=adds)


class Rule(NamedTuple):
    """A traced rule: the program from (result, operands) to partials, and the roles of its inputs.

    There are plain numbers; the result or an operand itself, as those of a product; and silent ones, which are 0
    whatever happens in a piecewise op: nothing ever passes.
    """

    program: Program
    constants: dict[int, float]
    direct: frozenset[int]
    silent: frozenset[int]


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
    known = {i: float(x) for i, x in enumerate(partials) if not isinstance(x, Value)}
    outputs = [x if isinstance(x, Value) else constant(x) for x in partials]
    silent = frozenset(i for i, x in known.items() if x == 0.0 and op.piecewise[i])
    program = Program.of(outputs, inputs)
    direct = frozenset(i for i, slot in enumerate(program.outputs) if slot < len(inputs))
    return Rule(program, known, direct, silent)


@functools.lru_cache(maxsize=1024)
def _needed(program: Program, wanted: tuple[bool, ...]) -> frozenset[int]:
    """Return the slots that the requested outputs need."""
    outputs = [slot for slot, want in zip(program.outputs, wanted, strict=True) if want]
    first = len(program.inputs) + len(program.constants)
    return frozenset(needed(outputs, enumerate(program.instructions, first)))
