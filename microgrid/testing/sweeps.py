"""Backward sweeps over a program with a mistake made on purpose: what a wrong rule would give for each input."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from microgrid.core.primitive import Op
from microgrid.graph.recognition import Unit, recognised
from microgrid.program import Program, needed

_SATURATING = ("sigmoid", "tanh", "softmax", "softsign", "gaussian")

Edge = tuple[int, int]
"""The number of an instruction, and the place of an operand."""


class Change(NamedTuple):
    """Deviations of a sweep from the chain rule.

    `shortcuts` replace what a result passes to its operands: by slot, the operand that gets all, times a factor.
    `partials` replace local derivatives, `factors` multiply what has arrived at a slot before it is passed on.
    """

    shortcuts: Mapping[int, tuple[int, float]] = {}
    partials: Mapping[Edge, float] = {}
    factors: Mapping[int, float] = {}

    def with_(self, other: Change) -> Change:
        """Return both changes at once."""
        return Change(
            {**self.shortcuts, **other.shortcuts},
            {**self.partials, **other.partials},
            {**self.factors, **{slot: x * self.factors.get(slot, 1.0) for slot, x in other.factors.items()}},
        )


class Sweeper:
    """A program of one result at a point, with its numbers, local derivatives and recognised functions.

    At a tie of maximum or minimum, and at the kink of relu, people take 0, 1/2 or 1. `tie` is what the operand that
    varies gets there, the first where both do; None leaves it to the op's rule. `ties` tells how many there are.
    """

    def __init__(self, program: Program, at: Sequence[float], tie: float | None = None) -> None:
        self.program = program
        self.count = len(program.inputs)
        self.first = self.count + len(program.constants)
        self.numbers = [*at, *program.constants]
        self.root = program.outputs[0]
        self.instructions = list(enumerate(program.instructions, self.first))
        self.edges: list[tuple[tuple[int, float], ...]] = []
        steps = [(instruction.op, instruction.operands) for instruction in program.instructions]
        self.steps = steps
        live = needed([self.root], self.instructions)
        self.varying = [True] * self.count + [False] * len(program.constants)
        self.ties = 0
        self.users: list[list[Edge]] = [[] for _ in range(self.first + len(steps))]
        for k, ((op, operands), given, result) in enumerate(program.evaluated(at)):
            self.numbers.append(result)
            partials = op.partials(result, *given)
            if _is_tie(op, given):
                self.ties += 1
                if tie is not None:
                    second = 1.0 - tie if self.varying[operands[0]] else tie
                    partials = (tie, second)[: len(partials)]
            self.varying.append(any(self.varying[i] for i in operands))
            kept = tuple(zip(operands, partials, strict=False)) if self.first + k in live else ()
            self.edges.append(tuple((i, p) if self.varying[i] else (i, 0.0) for i, p in kept))
            for place, (i, _) in enumerate(self.edges[k]):
                if self.varying[i]:
                    self.users[i].append((k, place))
        self._backward = [
            (self.first + k, tuple(edge for edge in self.edges[k] if edge[1] != 0.0))
            for k in range(len(steps) - 1, -1, -1)
            if self.edges[k]
        ]

    @property
    def constants(self) -> dict[int, float]:
        """The constants by their slots."""
        return {self.count + k: x for k, x in enumerate(self.program.constants)}

    @functools.cached_property
    def units(self) -> list[Unit]:
        """The recognised functions that the result depends on."""
        found = recognised(self.steps, self.first, self.constants)
        return [unit for unit in found if self.users[unit.result] or unit.result == self.root]

    @functools.cached_property
    def levels(self) -> list[int]:
        """Return for each slot the largest number of recognised functions that it is computed through."""
        results = {unit.result: unit for unit in self.units}
        levels = [0] * self.first
        for k, (_, operands) in enumerate(self.steps):
            unit = results.get(self.first + k)
            if unit is not None:
                levels.append(1 + max(levels[i] for i in unit.operands))
            else:
                levels.append(max((levels[i] for i in operands), default=0))
        return levels

    def inputs_of(self, slot: int) -> set[int]:
        """Return the inputs that a slot depends on."""
        return {i for i in needed([slot], self.instructions) if i < self.count}

    def role(self, i: int) -> tuple[int, str]:
        """Return the depth at which an input is used first, and the op that uses it."""
        if not self.users[i]:
            return -1, ""
        k, _ = self.users[i][0]
        return self.levels[self.first + k], self.steps[k][0].name

    def run(self, change: Change | None = None) -> list[float]:
        """Return the cotangent of every slot. The first `count` of them are the gradient."""
        change = change or Change()
        shortcuts, factors = change.shortcuts, change.factors
        changed: dict[int, tuple[tuple[int, float], ...]] = {}
        for (k, place), partial in change.partials.items():
            others = list(changed.get(k, self.edges[k]))
            others[place] = (others[place][0], partial)
            changed[k] = tuple(others)
        cotangents = [0.0] * len(self.numbers)
        cotangents[self.root] = 1.0
        touched = {*factors, *shortcuts, *(self.first + k for k in changed)}
        for slot, edges in self._backward:
            cotangent = cotangents[slot]
            if cotangent == 0.0:
                continue
            if slot in touched:
                if slot in factors:
                    cotangent = cotangents[slot] = cotangent * factors[slot]
                if slot in shortcuts:
                    operand, slope = shortcuts[slot]
                    cotangents[operand] += cotangent * slope
                    continue
                edges = changed.get(slot - self.first, edges)
            for operand, partial in edges:
                if partial != 0.0:
                    cotangents[operand] += cotangent * partial
        return cotangents

    def scales(self) -> list[float]:
        """Return the size of what is summed to each cotangent, functions that saturate having the slope 1.

        Rounding moves a claim by a part of this: a (1 - a) is 0 in floats where the sigmoid a has become 1.
        """
        through = {unit.result: unit.operands for unit in self.units if unit.kind in _SATURATING}
        found = [0.0] * len(self.numbers)
        found[self.root] = 1.0
        for slot, edges in self._backward:
            size = found[slot]
            if slot in through:
                for operand in through[slot]:
                    found[operand] += size
                continue
            for operand, partial in edges:
                found[operand] += size * abs(partial)
        return found

    def contributions(self, cotangents: Sequence[float], slot: int, change: Change | None = None) -> list[float]:
        """Return what each user passes to a slot, in the order in which the users were recorded."""
        partials = change.partials if change is not None else {}
        return [
            cotangents[self.first + k] * partials.get((k, place), self.edges[k][place][1])
            for k, place in self.users[slot]
        ]


def _is_tie(op: Op, given: Sequence[float]) -> bool:
    return given[0] == (0.0 if op.name == "relu" else given[-1]) and op.name in ("relu", "maximum", "minimum")
