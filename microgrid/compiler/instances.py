"""Steps of many instructions at once: those of an op are written once, as a template, and copied for all its instances.

The instances of a template differ in cells alone, which are arrays: so a million steps are written by some additions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from microgrid.compiler.tape import Step, Tape, text_of
from microgrid.core.packages import library

PLACE: Final = 1 << 32
"""A cell of a template is a place times this plus an offset from the cell that an instance has in that place."""

OWN, KNOWN, RESULT, CARRIED, OPERANDS = range(5)
"""Places: temporaries and constants of the instance itself, and of the one that computed an instruction's value; the
result of the instruction, and its cotangent; then in turn an operand, and the cotangent of that operand."""


class StepTemplate(NamedTuple):
    """Steps with places for cells, how many temporaries they need, and their constants.

    A constant is a number, or the one that stands in a column of the instances.
    """

    steps: list[Step]
    temporaries: int
    constants: list[float]
    columns: dict[int, int]
    """Columns of operands, by the numbers of constants."""


class _Part(NamedTuple):
    """Instances of a template: their numbers in a section, and the cells in their places."""

    template: StepTemplate
    rows: Any
    columns: Sequence[Any]
    cells: dict[int, Any]


class Section:
    """Steps of one instance after the other, of different templates, at the end of a tape.

    Those of a backward pass are for the instances of the section `forward` in reverse.
    """

    def __init__(self, count: int, tape: Tape, forward: Section | None = None) -> None:
        self.np = np = library("numpy", "compile")
        self.shapes = tape.shapes
        self.forward = forward
        self.parts: list[_Part] = []
        self.which = np.zeros(count, dtype=np.int32)
        """The template of each instance, counted from 1; 0 for none."""
        self.temporaries, self.constants = tape.sizes["t"], len(tape.constants)

    def add(self, template: StepTemplate, rows: Any, columns: Sequence[Any], cells: dict[int, Any]) -> None:
        """Add instances at some rows, with slots of operands and with cells in places."""
        self.parts.append(_Part(template, rows, columns, cells))
        self.which[rows] = len(self.parts)

    def place(self) -> None:
        """Place the instances one after the other."""
        templates = [part.template for part in self.parts]
        self.steps = [0, *[len(template.steps) for template in templates]]
        self.first_constant = self.constants
        sizes = [sum([1 + len(cells) for _, cells in template.steps]) for template in templates]
        self.texts, self.size = self._begins(sizes, 0)
        self.firsts: dict[str, Any] = {}
        """The first temporary and the first constant of each instance."""
        self.firsts["t"], self.temporaries = self._begins([each.temporaries for each in templates], self.temporaries)
        self.firsts["c"], self.constants = self._begins([len(each.constants) for each in templates], self.constants)

    def _begins(self, sizes: Sequence[int], first: int) -> tuple[Any, int]:
        """Return where each instance begins, given the sizes by template, and where the last one ends."""
        if not any(sizes):
            return None, first  # which nobody asks for
        every = self.np.array([0, *sizes])[self.which]
        ends = every.cumsum()
        last = first + int(ends[-1])
        ends -= every
        ends += first
        return ends, last

    def numbers(self, table: Any) -> list[float]:
        """Return the constants in their order, given the numbers of slots."""
        found = self.np.zeros(self.constants - self.first_constant)
        for template, rows, columns, _ in self.parts:
            for i, number in enumerate(template.constants):
                places = self.firsts["c"][rows] + (i - self.first_constant)
                found[places] = table[columns[template.columns[i]]] if i in template.columns else number
        return found.tolist()  # type: ignore[no-any-return]  # NumPy is Any

    def write(self, text: Any, starts: Any) -> None:
        """Write the steps into a text of their size."""
        forward = self.forward
        for template, rows, _, cells in self.parts:
            places = self.texts[rows]
            own = {space: begins[rows] for space, begins in self.firsts.items() if begins is not None}
            earlier = {}
            if forward is not None:
                earlier = {space: begins[::-1][rows] for space, begins in forward.firsts.items() if begins is not None}
            offset = 0
            for number, refs in template.steps:
                shape = self.shapes[number]
                text[places + offset] = number
                starts[places + offset] = 1
                offset += 1
                for space, ref in zip((shape.target, *shape.operands), refs, strict=True):
                    place, more = divmod(ref, PLACE)
                    at = own[space] if place == OWN else earlier[space] if place == KNOWN else cells[place]
                    text[places + offset] = at + more if more else at
                    offset += 1


def grouped(codes: Any) -> Iterator[Any]:
    """Yield the places of equal codes, which are not negative, in the order of these."""
    np = library("numpy", "compile")
    if not len(codes):
        return
    highest = codes.max()
    if codes.min() == highest:
        yield np.arange(len(codes))
        return
    # Sixteen bits are sorted by their digits: 920,000 of them in 10 ms, where 64 take 70.
    order = np.argsort(codes.astype(np.int16) if highest < 1 << 15 else codes, kind="stable")
    found = codes[order]
    cuts = [0, *(np.flatnonzero(found[1:] != found[:-1]) + 1).tolist(), len(codes)]
    for begin, end in itertools.pairwise(cuts):
        yield order[begin:end]


def combined(columns: Sequence[Any], base: int) -> Any:
    """Return one code for the codes in columns, all less than a base."""
    np = library("numpy", "compile")
    total, size = columns[0], base
    for column in columns[1:]:
        if size > 1 << 40:
            size = int(total.max()) + 1
            if size > 1 << 40:
                total = np.unique(total, return_inverse=True)[1].reshape(-1)
                size = int(total.max()) + 1
        total = total * base + column
        size *= base
    return total


def joined(parts: Sequence[Section | list[Step]]) -> tuple[Any, Any]:
    """Return the text of the parts of a tape, one after the other, and an array with 1 where a step starts."""
    np = library("numpy", "compile")
    sizes = [part.size if isinstance(part, Section) else sum([1 + len(cells) for _, cells in part]) for part in parts]
    text, starts = np.empty(sum(sizes), dtype=np.int64), np.zeros(sum(sizes), dtype=np.uint8)
    begin = 0
    for part, size in zip(parts, sizes, strict=True):
        end = begin + size
        if isinstance(part, Section):
            part.write(text[begin:end], starts[begin:end])
        else:
            text[begin:end], starts[begin:end] = text_of(part)
        begin = end
    return text, starts
