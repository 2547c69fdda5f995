"""Derivatives by one input, or of one output, at a time: passes that visit only the nodes that depend on it.

Passes over the whole graph, one for each input, cost the square of a banded problem's size. An entry is where a chain
of partials leads from the input to the output. Only a partial of a piecewise op that is 0 whatever happens breaks it,
such as that of `where` by its condition; and what is carried on as the constant 0 passes nothing further. That is a
matter of the graph alone: an entry may be 0 at some numbers.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.core.packages import library
from microgrid.core.primitive import constants_recorded
from microgrid.engine import Value, record
from microgrid.graph.linearize import Linearization, contribution, total_of


class Entry(NamedTuple):
    """A derivative: a Value, or the number of a constant, of an output by an input."""

    row: int
    column: int
    slope: Any


class Places(NamedTuple):
    """Places of entries by rows, as SciPy has them: `columns[starts[i] : starts[i + 1]]` are those of row i."""

    shape: tuple[int, int]
    starts: Any
    columns: Any

    def matrix(self, slopes: Any) -> Any:
        """Return SciPy's sparse array with these numbers."""
        scipy: Any = library("scipy.sparse", "special")
        # copies, since SciPy changes places in place, as eliminate_zeros does
        return scipy.csr_array((slopes, self.columns.copy(), self.starts.copy()), shape=self.shape)


def places(entries: Sequence[tuple[int, ...]], shape: tuple[int, int]) -> Places:
    """Return the places of entries that are in order, by rows."""
    np: Any = library("numpy", "special")
    library("scipy.sparse", "special")
    rows = np.array([entry[0] for entry in entries], dtype=np.int32)
    starts = np.searchsorted(rows, np.arange(shape[0] + 1)).astype(np.int32)
    return Places(shape, starts, np.array([entry[1] for entry in entries], dtype=np.int32))


def mirrored(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of a symmetric matrix from those of its lower half."""
    return sorted([*entries, *[Entry(j, i, slope) for i, j, slope in entries if i != j]], key=lambda entry: entry[:2])


class SparsePasses:
    """Passes on Values over a recorded graph, with the sums in the order of `push` and `pull`."""

    def __init__(self, outputs: Sequence[Value], inputs: Sequence[Value], start: int = 0) -> None:
        self._linear = Linearization(list(outputs), list(inputs), start)
        self._inputs = [self._linear.slot(node) for node in inputs]
        self._outputs: dict[int, list[int]] = {}
        self._count = len(outputs)
        for i, node in enumerate(outputs):
            slot = self._linear.slot(node)
            if slot >= 0:
                self._outputs.setdefault(slot, []).append(i)
        self._into: dict[int, list[tuple[int, Any, bool]]] = {}
        self._from: dict[int, list[int]] = {}
        with constants_recorded(record):
            for user, operand, partial, piecewise in self._linear.edges_by_value():
                self._into.setdefault(user, []).append((operand, partial, piecewise))
                self._from.setdefault(operand, []).append(user)

    def entries(self, *, lower: bool = False) -> list[Entry]:
        """Return the entries of the Jacobian, by rows; those of its lower half alone with `lower`.

        It takes a pass for each input or for each output, whichever are fewer.
        """
        with constants_recorded(record):
            if lower or len(self._inputs) < self._count:
                found = [entry for j in range(len(self._inputs)) for entry in self._column(j, lower)]
            else:
                found = [entry for slot in self._outputs for entry in self._rows(slot)]
        return sorted(found, key=lambda entry: entry[:2])

    def _column(self, column: int, lower: bool) -> list[Entry]:
        """Push 1 from an input."""
        first = self._inputs[column]
        if first < 0:  # no output depends on it
            return []
        carried: dict[int, Any] = {first: 1.0}
        waiting = list(self._from.get(first, []))
        heapq.heapify(waiting)
        while waiting:
            user = heapq.heappop(waiting)
            if user in carried:
                continue
            tangent = None
            for operand, partial, piecewise in self._into[user][::-1]:
                tangent = total_of(tangent, contribution(carried.get(operand), partial, piecewise))
            if tangent is not None:
                carried[user] = tangent
                for following in self._from.get(user, []):
                    heapq.heappush(waiting, following)
        reached = self._outputs.keys() & carried.keys()
        rows = [(i, carried[slot]) for slot in reached for i in self._outputs[slot]]
        return [Entry(i, column, slope) for i, slope in rows if not lower or i >= column]

    def _rows(self, slot: int) -> list[Entry]:
        """Pull 1 from an output."""
        carried: dict[int, Any] = {slot: 1.0}
        waiting = [-slot]
        done = set()
        while waiting:
            user = -heapq.heappop(waiting)
            if user in done:
                continue
            done.add(user)
            for operand, partial, piecewise in self._into.get(user, []):
                passed = contribution(carried[user], partial, piecewise)
                if passed is not None:
                    carried[operand] = total_of(carried.get(operand), passed)
                    heapq.heappush(waiting, -operand)
        return [
            Entry(i, j, carried[own])
            for j, own in enumerate(self._inputs)
            if own in carried
            for i in self._outputs[slot]
        ]
