"""From a tape to the loops that it was unrolled from: nested-loop recognition, applied to instructions.

After A. Ketterlin and P. Clauss, "Prediction and Trace Compression of Data Access Addresses through Nested Loop
Recognition", CGO 2008, section 3. Elements are pushed on a stack one by one; a block that continues the loop below it
becomes one more iteration, and three like blocks become a loop. A loop is an element like any other, so loops nest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import add, sub
from typing import NamedTuple

from microgrid.compiler.tape import Shape, Tape

LONGEST = 60
"""Maximum number of elements in a loop's body."""


class Affine(NamedTuple):
    """base + step * counter + ..., over the loops around, outermost first; no step is 0."""

    base: int
    steps: tuple[tuple[int, int], ...] = ()

    def at(self, counter: int, value: int) -> Affine:
        """Return the index with a number substituted for a counter."""
        step = dict(self.steps).get(counter, 0)
        return Affine(self.base + step * value, tuple([pair for pair in self.steps if pair[0] != counter]))

    def __str__(self) -> str:
        rising = [
            _name(counter) if step == 1 else f"{step} {_name(counter)}" for counter, step in self.steps if step > 0
        ]
        falling = [
            f"- {_name(counter)}" if step == -1 else f"- {-step} {_name(counter)}"
            for counter, step in self.steps
            if step < 0
        ]
        terms = rising + ([str(self.base)] if self.base or not rising else [])
        return " ".join([" + ".join(terms).replace("+ -", "- "), *falling])


class Statement(NamedTuple):
    """An instruction within loops: its shape, the cells of target and operands, and its first place on the tape."""

    shape: Shape
    cells: tuple[Affine, ...]
    first: int


class Loop(NamedTuple):
    """A body that runs for counter = 0, ..., times - 1."""

    counter: int
    times: int
    body: tuple[Statement | Loop, ...]


Node = Statement | Loop


class Rolled(NamedTuple):
    """The loops of a tape, with its constants and the sizes of its spaces."""

    nodes: tuple[Node, ...]
    tape: Tape

    @property
    def elements(self) -> int:
        """Return the number of statements."""
        return sum(1 for _ in statements(self.nodes))

    def __str__(self) -> str:
        return "\n".join(_lines(self.nodes, ""))


def _name(counter: int) -> str:
    letters = "ijklmn"
    return letters[counter % 6] + (str(counter // 6) if counter >= 6 else "")


def _lines(nodes: Sequence[Node], indent: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Loop):
            yield f"{indent}for {_name(node.counter)} in range({node.times}):"
            yield from _lines(node.body, indent + "    ")
        else:
            shape = node.shape
            texts = [f"{s}[{cell}]" for s, cell in zip((shape.target, *shape.operands), node.cells, strict=True)]
            yield f"{indent}{texts[0]} {'+=' if shape.adds else '='} {shape.op}({', '.join(texts[1:])})"


def statements(nodes: Sequence[Node]) -> Iterator[Statement]:
    """Return all statements, those within loops once."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from statements(node.body)
        else:
            yield node


def only(nodes: Sequence[Node], wanted: Callable[[Statement], bool]) -> tuple[Node, ...]:
    """Return the loops with only some of their statements."""
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Loop):
            body = only(node.body, wanted)
            if body:
                kept.append(node._replace(body=body))
        elif wanted(node):
            kept.append(node)
    return tuple(kept)


def roll(tape: Tape) -> Rolled:
    """Find the loops of a tape, greedily in one pass over it."""
    stack = _Stack(len(tape.shapes))
    for k, (shape, cells) in enumerate(tape.steps):
        stack.push(shape, cells, k)
        while stack.extend() or stack.fold():
            pass
    counter = iter(range(len(tape.steps)))

    def node(element: _Element, base: Sequence[int], steps: tuple[tuple[int, Sequence[int]], ...]) -> Node:
        if element.body is None:
            shape = tape.shapes[element.shape]
            affine = [Affine(start, tuple([(c, s[i]) for c, s in steps if s[i]])) for i, start in enumerate(base)]
            return Statement(shape, tuple(affine), element.first)
        mine = next(counter)
        body = []
        at = 0
        for item in element.body:
            end = at + len(item.base)
            inner = (*[(c, s[at:end]) for c, s in steps], (mine, element.steps[at:end]))
            body.append(node(item, base[at:end], inner))
            at = end
        return Loop(mine, element.count, tuple(body))

    return Rolled(tuple([node(element, element.base, ()) for element in stack.elements]), tape)


class _Element:
    """An instruction, or a loop over elements: a shape, and the numbers of all cells within, in the first iteration."""

    __slots__ = ("base", "body", "count", "first", "kind", "next", "shape", "steps")

    def __init__(self, shape: int, base: tuple[int, ...], first: int) -> None:
        self.shape = shape
        self.base = base
        self.first = first
        self.body: list[_Element] | None = None
        self.kind = 0
        self.count = 1
        self.steps: tuple[int, ...] = ()
        self.next: tuple[int, ...] = ()


class _Stack:
    def __init__(self, shapes: int) -> None:
        self.elements: list[_Element] = []
        self.shapes: list[int] = []  # of the elements, in a list of its own, so that a search is one call
        self.loops: list[int] = []  # where there are loops
        self.known: dict[tuple[object, ...], int] = {}
        self.fresh = shapes

    def number(self, *key: object) -> int:
        """Return the number of a shape of loops, equal for loops that differ only in the numbers of their cells."""
        number = self.known.get(key)
        if number is None:
            number = self.known[key] = self.fresh
            self.fresh += 1
        return number

    def push(self, shape: int, cells: tuple[int, ...], first: int) -> None:
        self.elements.append(_Element(shape, cells, first))
        self.shapes.append(shape)

    def drop(self, n: int) -> None:
        del self.elements[-n:], self.shapes[-n:]
        while self.loops and self.loops[-1] >= len(self.elements):
            self.loops.pop()

    def base(self, start: int, end: int) -> tuple[int, ...]:
        """Return the numbers of the cells of the elements from start to end."""
        if end - start == 1:
            return self.elements[start].base
        return tuple([cell for element in self.elements[start:end] for cell in element.base])

    def extend(self) -> bool:
        """Absorb the last elements as one more iteration of the loop below them; return True if they were one."""
        size = len(self.elements)
        for at in reversed(self.loops):
            length = size - 1 - at
            if length > LONGEST:
                return False
            loop = self.elements[at]
            body = loop.body
            if body is None or len(body) != length or body[-1].shape != self.shapes[-1]:
                continue
            if [element.shape for element in body] != self.shapes[at + 1 :] or self.base(at + 1, size) != loop.next:
                continue
            self.drop(length)
            loop.count += 1
            loop.next = tuple(map(add, loop.next, loop.steps))
            loop.shape = self.shapes[-1] = self.number(loop.kind, loop.count)
            return True
        return False

    def fold(self) -> bool:
        """Fold the last elements into a loop; return True if they were three equal blocks with evenly spaced cells."""
        shapes = self.shapes
        size = len(shapes)
        top = shapes[-1]
        if top not in shapes[-1 - LONGEST : -1]:  # one call instead of one for each length
            return False
        for length in range(1, min(LONGEST, size // 3) + 1):
            if shapes[-1 - length] != top or shapes[-1 - 2 * length] != top:
                continue
            a, b = size - 2 * length, size - length
            block = shapes[b:]
            if shapes[a:b] != block or shapes[a - length : a] != block:
                continue
            first, second, third = self.base(a - length, a), self.base(a, b), self.base(b, size)
            steps = tuple(map(sub, second, first))
            if tuple(map(sub, third, second)) != steps:
                continue
            body = self.elements[a - length : a]
            self.drop(3 * length)
            loop = _Element(0, first, body[0].first)
            loop.body = body
            loop.count = 3
            loop.steps = steps
            loop.next = tuple(map(add, third, steps))
            loop.kind = self.number("body", tuple(block), steps)
            loop.shape = self.number(loop.kind, 3)
            self.elements.append(loop)
            self.shapes.append(loop.shape)
            self.loops.append(size - 3 * length)
            return True
        return False
