"""`Looped`: a program with loops, as straight programs in a row, and between them steps that are repeated."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid.core import tree
from microgrid.program import Program

Decision = bool | tuple[str, int, int, Any, Any]
"""The answer of a condition; or a comparison of two of its numbers, and the decision where it holds, and where not."""

Straight = Callable[[Program, Sequence[Any]], list[Any]]
"""A function that computes the outputs of a program from its inputs."""


class Repeated(NamedTuple):
    """A step that is repeated. Its inputs are the carry, x, and what it takes from outside; its outputs carry and y.

    `operands` are slots of the program around: the initial carry, those x that the step uses (`given`) in each
    iteration, and what comes from outside. The results are the last carry, and the y of each iteration. Those of the
    condition's program are pairs to be compared; its inputs are the carry, and the first of what comes from outside.
    """

    name: str
    line: str
    step: Program | Looped
    carry: int
    xs: int
    ys: int
    given: tuple[int, ...]
    times: int
    operands: tuple[int, ...]
    reverse: bool = False
    segment: int = 0
    """Number of iterations between two carries that are kept, the others being recomputed; 0 to keep all."""
    same: tuple[int, ...] = ()
    """For each y the place of the same Value in the carry, or -1."""
    condition: Program | None = None
    decision: Decision = True

    def __str__(self) -> str:
        most = "at most " if self.condition is not None else ""
        kept = f", one carry in {self.segment} kept" if self.segment else ""
        return f"{self.name} of {most}{self.times:,} iterations{kept}, at {self.line}"

    @property
    def outside(self) -> tuple[int, ...]:
        """Operands that the step takes from outside."""
        return self.operands[self.carry + self.times * len(self.given) :]

    def x(self, t: int) -> tuple[int, ...]:
        """Return the operands for the x of an iteration, of the place `t` in its sequence."""
        first = self.carry + t * len(self.given)
        return self.operands[first : first + len(self.given)]

    def order(self, times: int) -> Sequence[int]:
        """Return the places in their sequence of the x of the first iterations."""
        return range(self.times - 1, self.times - 1 - times, -1) if self.reverse else range(times)


class Looped:
    """Straight programs, `stages`, and `loops`, one between each two of them.

    A slot is one of the inputs, or what a stage or a loop computes, in their order. Each stage is a program of all
    slots. The results are those of the last stage.
    """

    def __init__(
        self,
        parameters: Sequence[str],
        inputs: Sequence[str],
        stages: Sequence[Program],
        loops: Sequence[Repeated],
        in_structure: Sequence[tree.Structure],
        out_structure: tree.Structure,
    ) -> None:
        self.parameters = tuple(parameters)
        self.inputs = tuple(inputs)
        self.stages = tuple(stages)
        self.loops = tuple(loops)
        self.in_structure = tuple(in_structure)
        self.out_structure = out_structure
        self.exported: list[int] = []
        """For each stage the slot of its first result."""
        self.repeated: list[int] = []
        """For each loop the slot of its first result."""
        end = len(inputs)
        for i, stage in enumerate(stages):
            self.exported.append(end)
            end += len(stage.outputs)
            if i < len(loops):
                self.repeated.append(end)
                end += loops[i].carry + loops[i].times * loops[i].ys
        self.slots = end
        self.outputs = tuple(range(self.exported[-1], end))


def size(program: Program | Looped, limit: int) -> int:
    """Return the number of instructions that run where no loop has more iterations than the limit."""
    if isinstance(program, Program):
        return len(program.instructions)
    found = sum([len(stage.instructions) for stage in program.stages])
    for loop in program.loops:
        extra = 0 if loop.condition is None else len(loop.condition.instructions) + 1
        found += min(loop.times, limit) * (size(loop.step, limit) + extra)
    return found


def replayed(program: Program | Looped, inputs: Sequence[Any], straight: Straight, limit: int) -> list[Any]:
    """Return the outputs, given a function for straight programs; loops end after `limit` iterations.

    The y of iterations that do not take place then is the number of the last one.
    """
    if isinstance(program, Program):
        return straight(program, inputs)
    slots = [*inputs, *[None] * (program.slots - len(inputs))]
    for i, stage in enumerate(program.stages):
        first = program.exported[i]
        slots[first : first + len(stage.outputs)] = straight(stage, slots)
        if i < len(program.loops):
            results = _repeated(program.loops[i], slots, straight, limit)
            first = program.repeated[i]
            slots[first : first + len(results)] = results
    return slots[program.exported[-1] :]


def _repeated(loop: Repeated, slots: Sequence[Any], straight: Straight, limit: int) -> list[Any]:
    carry = [slots[i] for i in loop.operands[: loop.carry]]
    outside = [slots[i] for i in loop.outside]
    ys: list[list[Any]] = [[0.0] * loop.ys for _ in range(loop.times)]
    order = loop.order(loop.times)
    for t in order[:limit]:
        if loop.condition is not None:
            some = outside[: len(loop.condition.inputs) - loop.carry]
            compared = straight(loop.condition, [*carry, *some])
            if not decided(loop.decision, [x.item() if hasattr(x, "item") else x for x in compared]):
                break
        x: list[Any] = [0.0] * loop.xs
        for place, slot in zip(loop.given, loop.x(t), strict=True):
            x[place] = slots[slot]
        results = replayed(loop.step, [*carry, *x, *outside], straight, limit)
        carry, ys[t] = results[: loop.carry], results[loop.carry :]
    for t in order[limit:]:
        ys[t] = [y.detach() if hasattr(y, "detach") else y for y in ys[order[limit - 1]]]
    return [*carry, *[y for row in ys for y in row]]


def decided(decision: Decision, numbers: Sequence[float]) -> bool:
    """Return the answer of a condition, given its numbers."""
    while not isinstance(decision, bool):
        how, a, b, yes, no = decision
        decision = yes if COMPARISONS[how](numbers[a], numbers[b]) else no
    return decision


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
"""Comparisons that a condition may be made of."""


def used(program: Program | Looped) -> frozenset[int]:
    """Return the inputs that a program uses."""
    if isinstance(program, Program):
        found = {i for _, operands in program.instructions for i in operands} | set(program.outputs)
    else:
        found = {i for stage in program.stages for i in used(stage)}
        found |= {i for loop in program.loops for i in loop.operands}
    return frozenset([i for i in found if i < len(program.inputs)])
