"""`Tape`: straight instructions that write to numbered cells of named spaces; what `gradient` gives `roll`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from microgrid.core.primitive import Op


class Shape(NamedTuple):
    """The shape of an instruction: all but the numbers of its cells.

    `op` is an op of the table, or one of the ways in which a cotangent is passed on (`PASSED`). It is applied to cells
    of the spaces `operands`; the result is written to the space `target`, or added to what is there.
    """

    op: str
    adds: bool
    target: str
    operands: tuple[str, ...]


Step = tuple[int, tuple[int, ...]]
"""The number of a shape, and the cells: that of the target first, then those of the operands."""

PASSED = ("passed", "negated", "scaled", "chosen")
"""A cotangent times a partial: 1, -1, any, or any of a piecewise op. It is exactly 0 where the cotangent is 0."""

SPACES = {
    "x": "inputs, one number for each sample",
    "p": "inputs that all samples share",
    "c": "constants, numbered by occurrence",
    "s": "the seed: the weight of a sample, and 0 in a lane without one",
    "v": "results of the program's instructions, each written once",
    "t": "what partials and definitions need on the way, each written once",
    "g": "cotangents with one contribution, written once",
    "a": "cotangents that are sums",
    "y": "outputs, for each sample",
    "d": "derivatives by shared inputs, sums over samples",
}
ONCE = ("v", "t", "g")
"""The spaces whose cells are written once."""


class Tape:
    """A list of steps, the shapes that they refer to, the constants, and how many outputs there are."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.steps: list[Step] = []
        self.constants: list[float] = []
        self.sizes: dict[str, int] = dict.fromkeys(SPACES, 0)
        self.origins: dict[int, int] = {}
        """Index of the program's result that a step computes."""
        self.ops: dict[str, Op] = {}
        """The ops that occur, by name."""
        self._known: dict[tuple[str, bool, str, tuple[str, ...]], int] = {}

    def add(self, op: str, target: tuple[str, int], *operands: tuple[str, int], adds: bool = False) -> None:
        """Append a step."""
        self.put(op, target, list(operands), adds)

    def put(self, op: str, target: tuple[str, int], operands: list[tuple[str, int]], adds: bool = False) -> None:
        """Append a step, as `add` does: without its tuple, in half of the time where it is compiled."""
        spaces: tuple[str, ...]
        cells: tuple[int, ...]
        if len(operands) == 2:
            a, b = operands
            spaces, cells = (a[0], b[0]), (target[1], a[1], b[1])
        elif len(operands) == 1:
            a = operands[0]
            spaces, cells = (a[0],), (target[1], a[1])
        else:
            spaces = tuple([operand[0] for operand in operands])
            cells = (target[1], *[operand[1] for operand in operands])
        key = (op, adds, target[0], spaces)
        shape = self._known.get(key)
        if shape is None:
            shape = self._known[key] = len(self.shapes)
            self.shapes.append(Shape(*key))
        self.steps.append((shape, cells))

    def constant(self, x: float) -> tuple[str, int]:
        """Return the cell of one more occurrence of a constant."""
        self.constants.append(x)
        return "c", len(self.constants) - 1

    def temporary(self) -> tuple[str, int]:
        """Return a new temporary cell."""
        self.sizes["t"] += 1
        return "t", self.sizes["t"] - 1

    def lines(self) -> Iterator[str]:
        """Return a line of text for each step."""
        for number, cells in self.steps:
            op, adds, target, spaces = self.shapes[number]
            operands = [
                repr(self.constants[cell]) if space == "c" else f"{space}[{cell}]"
                for space, cell in zip(spaces, cells[1:], strict=True)
            ]
            yield f"{target}[{cells[0]}] {'+=' if adds else '='} {op}({', '.join(operands)})"

    def __str__(self) -> str:
        return "\n".join(self.lines())
