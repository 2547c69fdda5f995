"""Renumbering of memory cells without gaps: cells that one loop goes through become neighbours in memory.

Indices that share cells are a group; each group is an array of its own. So outputs of neurons lie side by side, and
what else an iteration stores does not come between them. A group that each iteration of a loop writes and reads for
itself alone has the memory of one iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from microgrid.compiler.code import Accumulate, Apply, Code, Guard, Load, Repeat, Store, Stored
from microgrid.compiler.poly import Poly, interpolated
from microgrid.compiler.tape import ONCE, Tape
from microgrid.compiler.timeline import Points, Timeline
from microgrid.core.packages import library

Reach = tuple[Points, ...]
"""The places in code at which an index is used."""


def densely(segments: Sequence[tuple[Code, ...]], sums: tuple[Code, ...], tape: Tape, timeline: Timeline) -> Stored:
    """Return the same code, with the cells of each array renumbered without gaps where a polynomial does that."""
    np = library("numpy", "compile")
    sizes = dict(tape.sizes)
    reached: dict[str, dict[Poly, dict[Points, None]]] = {}
    beside: set[int] = set()  # counters of loops whose iterations may run side by side
    late: set[tuple[str, Poly]] = set()  # these read what all iterations have written
    for segment in (*segments, sums):
        beside.update(_beside(segment))
        for array, index, points in _indices(segment, timeline.top, timeline):
            reached.setdefault(array, {}).setdefault(index, {})[points.outward(index.counters)] = None
            if segment is sums:
                late.add((array, index))
    sizes["s"] = 1 if any(array == "s" for array, _ in late) else 0
    moved: dict[str, dict[Poly, Poly]] = {}
    table: list[float] = []
    for space in (*ONCE, "a", "c"):
        indices = {index: tuple(points) for index, points in reached.get(space, {}).items()}
        sizes[space] = 0
        order: list[int] = []
        moved[space] = {}
        for group in _groups(np, indices, tape.sizes[space]):
            old = {index: _cells(np, index, indices[index]) for index in group}
            alone: tuple[int, ...] = ()
            if space != "c" and late.isdisjoint((space, index) for index in group):
                alone = _alone(np, {index: indices[index] for index in group}, beside, timeline)
            new, live = _renumbered(np, old, indices, alone)
            for index, now in new.items():
                moved[space][index] = now.plus(sizes[space])
            sizes[space] += len(live)
            order += live.tolist() if space == "c" else []
        table = [tape.constants[i] for i in order] if space == "c" else table
    code = [_needed(_moved(segment, moved), set()) for segment in segments]
    return Stored(tuple(code), _needed(_moved(sums, moved), set()), sizes, tuple(table))


def _cells(np: Any, index: Poly, reach: Reach) -> Any:
    return np.concatenate([points.each(index) for points in reach])


def _groups(np: Any, indices: dict[Poly, Reach], size: int) -> list[list[Poly]]:
    """Return the indices in groups that share no cells, ordered by the first one of each."""
    every = list(indices)
    group = list(range(len(every)))  # of each index an earlier one of its group, or itself

    def first(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    owner = np.full(size, -1)
    for i, index in enumerate(every):
        cells = _cells(np, index, indices[index]) if index.terms else np.array([index.base])
        for other in np.unique(owner[cells]).tolist() if index.terms else [int(owner[index.base])]:
            if other >= 0:
                a, b = sorted((first(i), first(other)))
                group[b] = a
        owner[cells] = i
    found: dict[int, list[Poly]] = {}
    for i, index in enumerate(every):
        found.setdefault(first(i), []).append(index)
    return list(found.values())


def _alone(np: Any, group: dict[Poly, Reach], beside: set[int], timeline: Timeline) -> tuple[int, ...]:
    """Return the counters of loops each of whose iterations reaches cells of its own, with one offset in all indices.

    That is what an index has of the counter alone, or of it and the counters around: without that, the cells of an
    iteration are as many, and as far apart.
    """
    indices = list(group)
    found = []
    for counter in indices[0].counters:
        offsets = {tuple([term for term in index.terms if counter in dict(term[0])]) for index in indices}
        (offset, *others) = offsets
        if counter in beside or others or any(own > counter for powers, _ in offset for own, _ in powers):
            continue
        within = timeline.within[counter]
        cells = [points.outward((counter,)) for reach in group.values() for points in reach]
        lowest = min(int(_cells(np, index, reach).min()) for index, reach in group.items())
        highest = max(int(_cells(np, index, reach).max()) for index, reach in group.items())
        owner = np.full(highest + 1 - lowest, -1)
        pairs = [(points.each(index) - lowest, points.rows_of(within)) for index in group for points in group[index]]
        for own, rows in pairs:
            owner[own] = rows
        if cells and all((owner[own] == rows).all() for own, rows in pairs):
            found.append(counter)
    return tuple(found)


def _renumbered(
    np: Any, old: dict[Poly, Any], indices: dict[Poly, Reach], alone: Sequence[int]
) -> tuple[dict[Poly, Poly], Any]:
    """Return the new indices of a group, and the cells that get numbers, in their order."""
    if len(old) == 1:
        ((index, reach),) = old.items()
        if not index.terms:
            return {index: Poly(0)}, reach[:1]
    own: dict[Poly, Poly] = {}
    for index in old:
        now = index
        for counter in alone:
            now = now.at(counter, 0)
        own[index] = now
    cells = {index: _cells(np, own[index], indices[index]) for index in old} if alone else old
    live = np.unique(np.concatenate(list(cells.values())))
    new: dict[Poly, Poly] = {}
    for index, reach in cells.items():
        counters = own[index].counters
        at = {c: np.concatenate([points.at[c] for points in indices[index]]) for c in counters}
        fitted = interpolated(np, at, np.searchsorted(live, reach))
        if fitted is None:  # these cells keep their distances
            live = np.arange(live[0], live[-1] + 1)
            return {index: now.plus(-int(live[0])) for index, now in own.items()}, live
        new[index] = fitted
    return new, live


def _indices(code: Sequence[Code], here: Points, timeline: Timeline) -> Iterator[tuple[str, Poly, Points]]:
    for item in code:
        if isinstance(item, Repeat):
            yield from _indices(item.body, timeline.within[item.counter], timeline)
        elif isinstance(item, Guard):
            yield from _indices(item.body, timeline.before[item.counter], timeline)
        elif not isinstance(item, Apply):
            yield item.array, item.cell, here


def _beside(code: Sequence[Code]) -> Iterator[int]:
    for item in code:
        if isinstance(item, (Repeat, Guard)):
            if isinstance(item, Repeat) and (item.jams or item.vectorises):
                yield item.counter
            yield from _beside(item.body)


def _needed(code: Iterable[Code], used: set[int]) -> tuple[Code, ...]:
    """Eliminate unused registers; `used` are those used after the code, to which those used in it are added."""
    kept: list[Code] = []
    for item in reversed(tuple(code)):
        if isinstance(item, (Load, Apply)) and item.target not in used:
            continue
        if isinstance(item, Repeat):
            used.update(after for _, _, after in item.kept)
            item = item._replace(body=_needed(item.body, used))
            used.update(first for _, first, _ in item.kept if isinstance(first, int))
        elif isinstance(item, Guard):
            results = tuple([result for result in item.results if result[0] in used])
            used.update(x for _, *values in results for x in values if isinstance(x, int))
            item = item._replace(body=_needed(item.body, used), results=results)
        elif isinstance(item, (Apply, Accumulate)):
            used.update(x for x in item.operands if isinstance(x, int))
        elif isinstance(item, Store) and isinstance(item.value, int):
            used.add(item.value)
        kept.append(item)
    return tuple(reversed(kept))


def _moved(code: Sequence[Code], moved: dict[str, dict[Poly, Poly]]) -> Iterator[Code]:
    for item in code:
        if isinstance(item, (Repeat, Guard)):
            yield item._replace(body=tuple(_moved(item.body, moved)))
        elif isinstance(item, Apply) or item.array not in moved:
            yield item
        else:
            yield item._replace(cell=moved[item.array][item.cell])
