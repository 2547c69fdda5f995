"""The points at which each place in loops is reached, and when on the tape: arrays, from which all questions about the
order of reads and writes are answered.

A loop may run no iteration for some counters around it; so a place before it, which is only reached if it runs, has
points of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from microgrid.compiler.poly import Poly
from microgrid.compiler.roll import Node, Rolled, Statement, statements
from microgrid.compiler.tape import ONCE
from microgrid.core.packages import library


class Points:
    """The values of the counters around a place, each time that it is reached, in order."""

    def __init__(
        self, np: Any, at: dict[int, Any], size: int, outer: Points | None, rows: Any, counter: int, always: bool
    ) -> None:
        self.np = np
        self.at = at
        self.size = size
        self.outer = outer
        self.rows = rows
        """Places of the points outside that these stand in."""
        self.counter = counter
        """Counter of the loop whose body this is; -1 for another place."""
        self.always = always
        """True if each point outside has points here."""

    def outward(self, counters: Iterable[int]) -> Points:
        """Return the outermost points that have each combination of these counters."""
        found, wanted = self, set(counters)
        while found.outer is not None and found.always and found.counter not in wanted:
            found = found.outer
        return found

    def cells(self, index: Poly) -> Any:
        """Return the cells that an index reaches, some perhaps only once."""
        return self.outward(index.counters).each(index)

    def each(self, index: Poly) -> Any:
        """Return the cell of an index at each point."""
        return index.values(self.at) if index.terms else self.np.full(self.size, index.base)

    def rows_of(self, outer: Points) -> Any:
        """Return for each point its place among points outside."""
        rows: Any = None
        found: Points = self
        while found is not outer:
            rows = found.rows if rows is None else found.rows[rows]
            assert found.outer is not None
            found = found.outer
        return self.np.arange(self.size) if rows is None else rows


class Timeline:
    """Arrays that tell when each statement runs. A place on the tape is the number of a step."""

    def __init__(self, rolled: Rolled) -> None:
        self.np = np = library("numpy", "compile")
        self.top = Points(np, {}, 1, None, np.zeros(1, dtype=np.int64), -1, True)
        self.before: dict[int, Points] = {}
        """Points at which a loop runs, by its counter; and those in its body."""
        self.within: dict[int, Points] = {}
        self.counts: dict[int, Any] = {}
        """Number of iterations at each point before it."""
        self.starts: dict[int, Any] = {}
        """Place on the tape where it starts, at each point before it."""
        self.places: dict[int, Any] = {}
        """Places on the tape of a statement, by its number."""
        self.points: dict[int, Points] = {}
        """Points at which a statement runs, by its number."""
        self._lengths: dict[int, Any] = {}
        self._length(rolled.nodes, self.top)
        self._start(rolled.nodes, self.top, np.zeros(1, dtype=np.int64))
        sizes = rolled.tape.sizes
        self.writers = {space: np.full(sizes[space], -1) for space in ONCE}
        """Place on the tape where each cell of a space is written; -1 for none."""
        for statement in statements(rolled.nodes):
            if statement.shape.target in ONCE:
                cells = self.points[statement.number].each(statement.cells[0])
                self.writers[statement.shape.target][cells] = self.places[statement.number]

    def _length(self, nodes: Sequence[Node], here: Points) -> Any:
        """Return how many steps nodes take at each point."""
        np = self.np
        total = np.zeros(here.size, dtype=np.int64)
        for node in nodes:
            if isinstance(node, Statement):
                self.points[node.number] = here
                total += 1
                continue
            counts = here.each(node.times)
            assert counts.min(initial=0) >= 0
            rows = np.flatnonzero(counts)
            counts = counts[rows]
            before = Points(
                np, {c: x[rows] for c, x in here.at.items()}, len(rows), here, rows, -1, len(rows) == here.size
            )
            of_each = np.repeat(np.arange(len(rows)), counts)
            firsts = np.cumsum(counts) - counts
            at = {c: x[of_each] for c, x in before.at.items()}
            at[node.counter] = np.arange(len(of_each)) - firsts[of_each]
            within = Points(np, at, len(of_each), before, of_each, node.counter, True)
            self.before[node.counter], self.within[node.counter], self.counts[node.counter] = before, within, counts
            lengths = self._lengths[node.counter] = self._length(node.body, within)
            if len(rows):
                total[rows] += np.add.reduceat(lengths, firsts)
        return total

    def _start(self, nodes: Sequence[Node], here: Points, starts: Any) -> None:
        """Record where nodes run, given where they start."""
        np = self.np
        starts = starts.copy()
        for node in nodes:
            if isinstance(node, Statement):
                self.places[node.number] = starts.copy()
                starts += 1
                continue
            rows, of_each = self.before[node.counter].rows, self.within[node.counter].rows
            lengths, counts = self._lengths.pop(node.counter), self.counts[node.counter]
            begin = self.starts[node.counter] = starts[rows]
            firsts = np.cumsum(counts) - counts
            passed = np.cumsum(lengths) - lengths
            self._start(node.body, self.within[node.counter], begin[of_each] + passed - passed[firsts][of_each])
            if len(rows):
                starts[rows] += np.add.reduceat(lengths, firsts)
