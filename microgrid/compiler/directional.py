"""Hessians, their products with vectors, and Jacobians of functions with loops that are traced once.

They are computed in directions, a sample of a batch for each: the tangent of the results, and its gradient.

Where an argument is inf or nan, they may be nan where recording passes nothing on, as `compile` says: recording
pushes the gradient forward, and here the tangent is pulled back.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from microgrid.compiler.agreement import limit_of, replay_of
from microgrid.compiler.gradient import Request
from microgrid.compiler.loop_tangents import tangents
from microgrid.compiler.looped import Looped, size
from microgrid.compiler.machine import machine
from microgrid.compiler.plan import Options, Plan
from microgrid.compiler.tracing import Traced
from microgrid.core import tree
from microgrid.core.scope import plainly_recording
from microgrid.functional import assembled
from microgrid.graph.linearize import Linearization
from microgrid.program import Program

FAR = 1e-6
"""Largest difference from recording, relative to the sum of all contributions, that is put down to rounding."""

KINDS = ("hessian", "hvp", "jacobian")
"""Derivatives that are computed so."""


UNROLLED = 2_000
"""Maximum of instructions x directions of a function whose loops are unrolled all the same: that runs faster."""


def pays(kind: str, program: Looped, by: int) -> bool:
    """Return True if a derivative is to be computed so: of a program that is long, or that cannot be unrolled."""
    if kind != "jacobian" and not tree.is_number(program.out_structure):
        return False  # it has no gradient
    if kind == "jacobian" and by >= len(program.outputs):
        return False  # recording goes backward, where what does not matter passes no nan
    if _depends(program):
        return True
    return size(program, sys.maxsize) * (1 if kind == "hvp" else by) > UNROLLED


def _depends(program: Program | Looped) -> bool:
    """Return True if the number of iterations of some loop depends on numbers."""
    if isinstance(program, Program):
        return False
    return any(loop.condition is not None or _depends(loop.step) for loop in program.loops)


class Directional(Plan):
    """Code for a derivative of one of the `KINDS` by the first inputs, as many as `by`, of a program with loops."""

    def __init__(self, kind: str, traced: Traced, by: int, count: int, options: Options) -> None:
        program = traced.program
        assert isinstance(program, Looped)
        captured = len(traced.captured)
        self.kind = kind
        self.by = by
        self.original = program
        self.given = len(program.inputs) - captured
        shared = (*[False] * self.given, *[True] * captured)
        request = Request((*shared, *shared), tuple(range(by)) if kind != "jacobian" else ())
        pushed = traced._replace(program=tangents(program), modules=(), recording=None)
        self.directions = 1 if kind == "hvp" else by
        width = machine().width
        lanes = 0 if self.directions == 1 else width if self.directions <= width else 2 * width
        super().__init__(pushed, request, [2 * self.given], options, self.directions, lanes=lanes)
        inner: Any = program.in_structure[0] if count == 1 else tuple(program.in_structure[:count])
        self.order, self.structure = _laid(kind, program.out_structure, inner, len(program.outputs), by)

    def sizes(self) -> list[str]:
        """Return sizes, a line each, and how the program is run."""
        return [*super().sizes(), f"directions     {self.directions:>10,}  (of {self.kind}, a sample for each)"]

    def fitting(self, samples: int) -> Plan:
        """Return this plan: the number of directions is that of inputs."""
        return self

    def results(self, numbers: Sequence[float], outside: Sequence[float]) -> Any:
        """Return the derivatives as an array, in the order of their structure."""
        np = self.numpy
        directions = np.eye(self.by, self.given)
        if self.kind == "hvp":
            directions = np.zeros((1, self.given))
            directions[0, : self.by] = numbers[self.given :]
        rows = np.empty((len(directions), 2 * self.given))
        rows[:, : self.given] = numbers[: self.given]
        rows[:, self.given :] = directions
        shared = np.array([*outside, *[0.0] * len(outside)])
        first = not self.checked
        found, _ = self.run([rows], shared, len(rows))
        if self.kind == "jacobian":
            return found.T.reshape(-1)[self.order]
        found = found[:, 1:]
        if first and limit_of(self) is None:
            self._compare(found[-1].tolist(), rows[-1].tolist(), outside)
        if self.kind == "hessian":
            found = np.triu(found) + np.triu(found, 1).T
        return found.reshape(-1)[self.order]

    def _compare(self, found: list[float], row: list[float], outside: Sequence[float]) -> None:
        """Compare a row with the gradient, recorded, pushed forward. Raises RuntimeError where they differ."""
        numbers, direction = [*row[: self.given], *outside], [*row[self.given :], *[0.0] * len(outside)]
        inputs, outputs = replay_of(self.original, numbers)
        with plainly_recording():
            slopes = Linearization(outputs, inputs).pull_values([1.0])[: self.by]
        recorded = Linearization(slopes, inputs).push(direction)
        inputs, outputs = replay_of(self.traced.program, [*numbers, *direction])
        sizes = Linearization(outputs, inputs).pull([1.0], absolute=True)
        for i, (mine, theirs, most) in enumerate(zip(found, recorded, sizes, strict=False)):
            if math.isfinite(most) and not abs(mine - theirs) <= FAR * max(most, abs(theirs)) + 1e-300:
                raise RuntimeError(
                    f"compiled, a second derivative of {self.traced.name} by {self.original.inputs[i]} is {mine!r}, "
                    f"recorded {theirs!r}; nothing was returned. This is an error of microgrid: please report it with "
                    "the function"
                )


def _laid(kind: str, out: Any, inner: Any, outputs: int, by: int) -> tuple[Any, tree.Structure]:
    """Return the order in which numbers stand in a result, and its structure."""
    if kind == "hvp":
        return slice(None), inner
    rows = [[float(i * by + j) for j in range(by)] for i in range(by if kind == "hessian" else outputs)]
    leaves, structure = tree.flatten(assembled(rows, inner if kind == "hessian" else out, inner, by), _leaf, "")
    return [int(leaf) for leaf in leaves], structure


def _leaf(leaf: Any, path: str) -> Any:
    return leaf
