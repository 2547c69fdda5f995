"""`Tape`: straight instructions that write to numbered cells of named spaces; what `gradient` gives `roll`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from microgrid.core.packages import library
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


def text_of(steps: list[Step]) -> tuple[Any, Any]:
    """Return steps as a text, and an array of the same length with 1 where a step starts, else 0."""
    np = library("numpy", "compile")
    numbers: list[int] = []
    starts = bytearray()
    for shape, cells in steps:
        starts += b"\1" + bytes(len(cells))
        numbers.append(shape)
        numbers.extend(cells)
    return np.array(numbers, dtype=np.int64), np.frombuffer(bytes(starts), dtype=np.uint8)


class Tape:
    """A list of steps, the shapes that they refer to, the constants, and how many outputs there are.

    Many steps are a text first: the number of a shape, the cells of that step, the next shape, and so on, in one array.
    """

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.constants: list[float] = []
        self.sizes: dict[str, int] = dict.fromkeys(SPACES, 0)
        self.laid: tuple[Any, list[int]] = (), []
        """A number for each of the program's instructions, and for each such number how many steps compute one."""
        self.names: dict[int, int] | None = None
        """Indices of other instructions that those of the program stand for, where it was made of another one."""
        self.ops: dict[str, Op] = {}
        """The ops that occur, by name."""
        self._known: dict[tuple[str, bool, str, tuple[str, ...]], int] = {}
        self._steps: list[Step] | None = []
        self._text: Any = None
        self._starts: Any = None

    def add(self, op: str, target: tuple[str, int], *operands: tuple[str, int], adds: bool = False) -> None:
        """Append a step."""
        self.put(op, target, list(operands), adds)

    def put(self, op: str, target: tuple[str, int], operands: list[tuple[str, int]], adds: bool = False) -> None:
        """Append a step, as `add` does: without its tuple, in half of the time where it is compiled."""
        key = (op, adds, target[0], tuple([operand[0] for operand in operands]))
        shape = self._known.get(key)
        if shape is None:
            shape = self._known[key] = len(self.shapes)
            self.shapes.append(Shape(*key))
        self.steps.append((shape, (target[1], *[operand[1] for operand in operands])))
        self._text = None

    @property
    def steps(self) -> list[Step]:
        """Return the steps as a list, which a text is turned into once."""
        steps = self._steps
        if steps is None:
            text: list[int] = self._text.tolist()
            sizes = [2 + len(shape.operands) for shape in self.shapes]
            steps = self._steps = []
            place: int = 0
            end: int = len(text)
            while place < end:
                shape = text[place]
                after = place + sizes[shape]
                steps.append((shape, tuple(text[place + 1 : after])))
                place = after
        return steps

    def count(self) -> int:
        """Return the number of steps."""
        return len(self._steps) if self._steps is not None else int(self._starts.sum())

    def text(self) -> tuple[Any, Any]:
        """Return the text as an array, and an array of the same length with 1 where a step starts, else 0."""
        if self._text is None:
            self._text, self._starts = text_of(self.steps)
        return self._text, self._starts

    def written(self, text: Any, starts: Any) -> None:
        """Set the steps by their text."""
        self._text, self._starts, self._steps = text, starts, None

    def settle(self) -> None:
        """Keep the steps as a text alone."""
        self.written(*self.text())

    def clear(self) -> None:
        """Leave no steps."""
        self._steps, self._text = [], None

    @property
    def origins(self) -> dict[int, int]:
        """Return the index of the program's result that a step computes, by the number of the step."""
        numbers, steps = self.laid
        names = self.names
        found: dict[int, int] = {}
        step: int = 0
        for k, number in enumerate(numbers):
            if names is None or k in names:
                found[step] = k if names is None else names[k]
            step += steps[number]
        return found

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
