"""Loop interchange: sums of cotangents get all their contributions one after the other, in a register.

A backward pass adds to all cotangents of a layer's inputs for each of its outputs, and to all derivatives by weights
for each time step. So sums go through memory with each contribution: one load, one store, and one comparison for the
convention that a cotangent of 0 passes nothing on. With the loop over contributions innermost they do once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from microgrid.compiler.poly import Poly, polynomial
from microgrid.compiler.roll import Loop, Node, Rolled, Statement, only, statements
from microgrid.compiler.timeline import Timeline

WIDE = 8
"""Minimum number of sums that are added up side by side: with fewer, each waits for its last addition."""


def interchanged(rolled: Rolled) -> Rolled:
    """Return the same loops, with those over contributions to a cotangent inside of those over cotangents.

    Each cotangent of a sample has its contributions in the order that it had. Sums over samples, the space d, have
    none: they are taken at the end, over lanes.
    """
    cotangents = _Cotangents(rolled).nodes(only(rolled.nodes, lambda statement: statement.shape.target != "d"))
    sums = only(rolled.nodes, lambda statement: statement.shape.target == "d")
    return rolled.with_nodes(_numbered([*cotangents, *[part for node in sums for part in _apart(node)]]))


class _Cotangents:
    """Interchange of loops that add to cotangents."""

    def __init__(self, rolled: Rolled) -> None:
        self.rolled = rolled
        self._timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline:
        """Return the points of the loops as they were, which few programs need."""
        if self._timeline is None:
            self._timeline = Timeline(self.rolled)
        return self._timeline

    def nodes(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """Return nodes with the loops among them, and within, interchanged."""
        return tuple([found for node in nodes for found in self.node(node)])

    def node(self, node: Node) -> Iterator[Node]:
        if isinstance(node, Statement):
            yield node
            return
        moved = [inner for inner in node.body if self.moves(node, inner)]
        rest = self.nodes([inner for inner in node.body if not any(inner is other for other in moved)])
        if rest:
            yield node._replace(body=rest)
        for inner in moved:
            nest = _nest(inner)
            found: Loop = node._replace(body=nest[-1].body)
            for loop in reversed(nest):
                found = loop._replace(body=(found,))
            yield found

    def moves(self, outer: Loop, inner: Node) -> bool:
        """Return True if a loop, or a nest, may run after the loop around it, and around that: it adds, once in each
        iteration, to cotangents that nothing else in the loop around it reads or writes, the same ones in each of its
        iterations."""
        nest = _nest(inner)
        if not nest or len(nest[-1].body) > 1 or any(loop.times.terms for loop in (outer, *nest)):
            return False
        (statement,) = nest[-1].body
        if not isinstance(statement, Statement) or statement.shape.target != "a" or not statement.shape.adds:
            return False
        index = statement.cells[0]
        if outer.counter in index.counters or math.prod(loop.times.base for loop in nest) < WIDE:
            return False
        timeline, size = self.timeline, self.rolled.tape.sizes["a"]
        points = timeline.points[statement.number]
        np = timeline.np
        keys = points.rows_of(timeline.within[outer.counter]) * size + points.each(index)
        if len(np.unique(keys)) < points.size:
            return False
        before = timeline.before[outer.counter]

        def reached(number: int, cell: Poly) -> Any:
            found = timeline.points[number].outward((outer.counter, *cell.counters))
            return found.rows_of(before) * size + found.each(cell)

        own = np.unique(reached(statement.number, index))
        read = [
            reached(statement.number, cell)
            for space, cell in zip(statement.shape.operands, statement.cells[1:], strict=True)
            if space == "a"
        ]
        if any(np.isin(cells, own).any() for cells in read):
            return False
        for other in statements(outer.body):
            if other is statement:
                continue
            shape, (target, *operands) = other.shape, other.cells
            if shape.target == "a":
                written = reached(other.number, target)
                if any(np.isin(written, cells).any() for cells in (own, *read)):
                    return False
            for space, cell in zip(shape.operands, operands, strict=True):
                if space == "a" and np.isin(reached(other.number, cell), own).any():
                    return False
        return True


def _nest(node: Node) -> list[Loop]:
    """Return a loop and those within it that are all that the one around them has; none for a statement."""
    found: list[Loop] = []
    while isinstance(node, Loop):
        found.append(node)
        if len(node.body) > 1:
            break
        (node,) = node.body
    return found


def _apart(node: Node) -> Iterator[Node]:
    """Yield a loop without the sums over samples that get several contributions from each, and these in loops of their
    own, with those over contributions innermost; neighbours that go over the same contributions share their loops."""
    moved: list[tuple[list[Loop], list[Node]]] = []

    def rest(node: Node, around: tuple[Loop, ...]) -> Iterator[Node]:
        if isinstance(node, Loop):
            body = tuple([found for inner in node.body for found in rest(inner, (*around, node))])
            if body:
                yield node._replace(body=body)
        elif not (adding := _adding(node, around)):
            yield node
        else:
            nest = [*[loop for loop in around if loop not in adding], *adding]
            if not moved or not _same(moved[-1][0], nest):
                moved.append((nest, []))
            moved[-1][1].append(node)

    yield from rest(node, ())
    for nest, added in moved:
        found: Sequence[Node] = added
        for loop in reversed(nest):
            found = (loop._replace(body=tuple(found)),)
        yield from found


def _same(some: Sequence[Loop], others: Sequence[Loop]) -> bool:
    return [loop.counter for loop in some] == [loop.counter for loop in others]


def _adding(statement: Statement, around: Sequence[Loop]) -> list[Loop]:
    """Return the loops, of those around a sum over samples, in which all contributions are to one; none where loops
    depend on one another, or where the numbers that it reads are not evenly apart."""
    found = [loop for loop in around if loop.counter not in statement.cells[0].counters]
    even = all(not cell.step(loop.counter).terms for cell in statement.cells for loop in found)
    return found if even and not any(loop.times.terms for loop in around) else []


def _numbered(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return nodes with counters and statements numbered anew, in the order of text."""
    counters, numbers = itertools.count(), itertools.count()

    def numbered(node: Node, names: Mapping[int, int]) -> Node:
        if isinstance(node, Statement):
            return node._replace(cells=tuple([_renamed(cell, names) for cell in node.cells]), number=next(numbers))
        counter, times = next(counters), _renamed(node.times, names)
        inner = {**names, node.counter: counter}
        return Loop(counter, times, tuple([numbered(item, inner) for item in node.body]))

    return tuple([numbered(node, {}) for node in nodes])


def _renamed(index: Poly, names: Mapping[int, int]) -> Poly:
    terms = [(tuple(sorted([(names[counter], degree) for counter, degree in powers])), c) for powers, c in index.terms]
    return polynomial([((), index.base), *terms])
