"""From the stages of a `Looped` program to tapes on one frame of cells: slots, their cotangents, and kept results.

A stage's gradient is that of the sum of cotangent times number, over all that it gives and all that it takes: the tape
begins each sum of contributions with those of later stages, and adds its own in the order of recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from microgrid import ops
from microgrid.compiler.gradient import Cell, Native, Request, tape_of
from microgrid.compiler.looped import Looped, Repeated, used
from microgrid.compiler.tape import Tape
from microgrid.program import Instruction, Program

CHEAP = frozenset("add sub mul neg identity greater equal where abs zero_product multiply_no_nan".split())

AGAIN = 4
"""Maximum number of these ops that the backward pass of a loop does again for a number; of others, results are kept."""


class LoopFrame:
    """Cells of a program within a loop, or of the whole: its slots, their cotangents, and results that are kept.

    `shared` has the slots that are inputs which all samples share, and their places among these.
    """

    def __init__(self, program: Program | Looped, shared: Mapping[int, int], native: Native, gradient: bool) -> None:
        self.stages: Sequence[Program] = (program,) if isinstance(program, Program) else program.stages
        self.loops: Sequence[Repeated] = () if isinstance(program, Program) else program.loops
        inputs = len(program.inputs)
        self.exported = [inputs] if isinstance(program, Program) else program.exported
        self.repeated: list[int] = [] if isinstance(program, Program) else program.repeated
        self.inputs = inputs
        self.outputs = len(program.outputs)
        self.slots = inputs + self.outputs if isinstance(program, Program) else program.slots
        self.shared = shared
        self.native = native
        self.kept = 0
        self.forward: list[Tape] = []
        self.backward: list[Tape] = []
        for stage, first in zip(self.stages, self.exported, strict=True):
            keeps: list[int] = []
            if gradient:
                self.backward.append(self._backward(stage, first, keeps))
            self.forward.append(self._forward(stage, first, keeps))
            self.kept += len(keeps)
        self.size = 2 * self.slots + self.kept

    @property
    def first_output(self) -> int:
        """Return the slot of the first result."""
        return self.slots - self.outputs

    def _forward(self, stage: Program, first: int, keeps: Sequence[int]) -> Tape:
        """Return the tape whose y begins at the first slot that the stage gives."""
        tape = tape_of(stage, Request((False,) * len(stage.inputs)), self.native)
        for i, k in enumerate(keeps):
            tape.add("identity", ("y", 2 * self.slots + self.kept + i - first), ("v", k))
        return self._on_frame(tape, range(len(tape.steps)), {})

    def _backward(self, stage: Program, first: int, keeps: list[int]) -> Tape:
        """Return the tape whose x and y are the frame; append the instructions whose results it takes from there."""
        takes = sorted(used(stage))
        inputs = len(stage.inputs)
        given = [first + i for i in range(len(stage.outputs))]
        targets = [*zip(given, stage.outputs, strict=True), *zip(takes, takes, strict=True)]
        if not takes:
            return Tape()
        weights = len(targets)

        def moved(slot: int) -> int:
            return slot if slot < inputs else slot + weights

        instructions = [Instruction(op, tuple(map(moved, operands))) for op, operands in stage.instructions]
        base = inputs + weights + len(stage.constants)
        total = -1
        for i, (_, target) in enumerate(targets):
            instructions.append(Instruction(ops.mul, (inputs + i, moved(target))))
            term = base + len(instructions) - 1
            if total >= 0:
                instructions.append(Instruction(ops.add, (total, term)))
            total = base + len(instructions) - 1
        names = ("",) * (inputs + weights)
        weighed = Program(
            names, names, stage.constants, instructions, [total], in_structure=range(len(names)), out_structure=0
        )
        tape = tape_of(weighed, Request((False,) * len(names), tuple(takes)), self.native)
        cells: dict[Cell, Cell] = {("x", inputs + i): ("x", self.slots + slot) for i, (slot, _) in enumerate(targets)}
        cells |= {("y", 1 + i): ("y", self.slots + slot) for i, slot in enumerate(takes)}
        steps = self._needed(tape, stage, keeps)
        cells |= {("v", k): ("x", 2 * self.slots + self.kept + i) for i, k in enumerate(keeps)}
        return self._on_frame(tape, steps, cells)

    def _needed(self, tape: Tape, stage: Program, keeps: list[int]) -> list[int]:
        """Return the steps of the backward pass, and those it computes again; append instructions that it keeps.

        The first contribution to each input is left out: the sum of those of later stages, in place where it is.
        """
        ends = next(i for i, (number, _) in enumerate(tape.steps) if tape.shapes[number].target == "y")
        begins = [*tape.origins, ends]  # the steps of instruction k
        backward = []
        for i in range(ends + 1, len(tape.steps)):  # without the sum itself
            shape = tape.shapes[tape.steps[i][0]]
            if shape.target != "y" or shape.adds:
                backward.append(i)
        read = set(_results(tape, backward))
        first = len(stage.inputs) + len(stage.constants)
        costs: list[float] = []
        for k, (op, operands) in enumerate(stage.instructions):
            cost = 1.0 if op.name in CHEAP else math.inf
            cost += sum([costs[slot - first] for slot in operands if slot >= first])
            if k in read and cost > AGAIN:
                keeps.append(k)
                cost = 0.0
            costs.append(cost)
        read.difference_update(keeps)
        kept = set(keeps)
        again: list[range] = []
        for k in range(len(stage.instructions) - 1, -1, -1):
            if k in read:
                again.append(range(begins[k], begins[k + 1]))
                read.update({slot - first for slot in stage.instructions[k].operands if slot >= first}.difference(kept))
        return [*[i for own in reversed(again) for i in own], *backward]

    def _on_frame(self, tape: Tape, steps: Iterable[int], cells: Mapping[Cell, Cell]) -> Tape:
        """Return the tape of some steps, with other cells in place of some."""
        found = Tape()
        for i in steps:
            number, places = tape.steps[i]
            op, adds, target, spaces = tape.shapes[number]
            named = list(zip((target, *spaces), places, strict=True))
            for j, cell in enumerate(named):
                named[j] = cell = cells.get(cell, cell)
                if cell[0] == "x" and cell[1] in self.shared:
                    named[j] = "p", self.shared[cell[1]]
            found.add(op, named[0], *named[1:], adds=adds)
        found.constants = tape.constants
        found.ops = tape.ops
        found.sizes.update(tape.sizes)
        for space in ("x", "y"):
            found.sizes[space] = 2 * self.slots + self.kept + len(tape.steps)
        found.sizes["p"] = max(self.shared.values(), default=-1) + 1
        return found


class Place(NamedTuple):
    """Operands of a loop for one input of its step: slot = first + step * t; or, where they are not, each of them."""

    first: int
    step: int
    each: tuple[int, ...] = ()


def place_of(slots: Sequence[int]) -> Place:
    """Return the place of operands in all iterations."""
    step = slots[1] - slots[0] if len(slots) > 1 else 0
    if list(slots) == [slots[0] + step * t for t in range(len(slots))]:
        return Place(slots[0], step)
    return Place(0, 0, tuple(slots))


def runs_of(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return pairs of places as (first, first, number) of those that follow one another."""
    runs: list[tuple[int, int, int]] = []
    for to, source in pairs:
        first, begin, length = runs[-1] if runs else (to, source, 0)
        if runs and (to, source) == (first + length, begin + length):
            runs[-1] = first, begin, length + 1
        else:
            runs.append((to, source, 1))
    return runs


def _results(tape: Tape, steps: Iterable[int]) -> Iterable[int]:
    """Yield the instructions whose results some steps read."""
    for i in steps:
        number, cells = tape.steps[i]
        for space, cell in zip(tape.shapes[number].operands, cells[1:], strict=True):
            if space == "v":
                yield cell
