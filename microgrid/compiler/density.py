"""Renumbering of memory cells without gaps: cells that one loop goes through become neighbours in memory.

Indices that share cells are a group; each group is an array of its own. So outputs of neurons lie side by side, and
what else an iteration stores does not come between them. A group that each iteration of a loop writes and reads for
itself alone has the memory of one iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from microgrid.compiler.code import Accumulate, Apply, Code, Load, Repeat, Store, Stored
from microgrid.compiler.roll import Affine
from microgrid.compiler.tape import ONCE, Tape
from microgrid.numbers.arithmetic import library


def densely(
    segments: Sequence[tuple[Code, ...]], sums: tuple[Code, ...], tape: Tape, reached_by: Callable[[Affine], Any]
) -> Stored:
    """Return the same code, with the cells of each array renumbered without gaps where the loops allow it."""
    np = library("numpy", "compile")
    sizes = dict(tape.sizes)
    sizes["s"] = 1 if any(array == "s" for array, _ in _indices(sums)) else 0
    moved: dict[str, dict[Affine, Affine]] = {}
    table: list[float] = []
    reached: dict[str, dict[Affine, None]] = {}
    beside: set[int] = set()  # counters of loops whose iterations may run side by side
    late = set(_indices(sums))  # these read what all iterations have written
    for segment in (*segments, sums):
        beside.update(_beside(segment))
        for array, index in _indices(segment):
            reached.setdefault(array, {})[index] = None
    for space in (*ONCE, "a", "c"):
        indices = list(reached.get(space, {}))
        sizes[space] = 0
        if not indices:
            continue
        order: list[int] = []
        moved[space] = {}
        for group in _groups(np, [reached_by(index) for index in indices], tape.sizes[space]):
            own = {indices[i]: indices[i] for i in group}
            if space != "c" and late.isdisjoint((space, index) for index in own):
                for counter in _alone(list(own), reached_by, beside):
                    own = {index: now.at(counter, 0) for index, now in own.items()}
            cells = {index: reached_by(now) for index, now in own.items()}
            live = np.unique(np.concatenate([reach.ravel() for reach in cells.values()]))
            renumbered = {
                index: _affine(np, np.searchsorted(live, reach), own[index]) for index, reach in cells.items()
            }
            if None in renumbered.values():
                live = np.arange(live[0], live[-1] + 1)
                renumbered = {index: now._replace(base=now.base - int(live[0])) for index, now in own.items()}
            for index, new in renumbered.items():
                if new is not None:
                    moved[space][index] = new._replace(base=new.base + sizes[space])
            sizes[space] += len(live)
            order += live.tolist() if space == "c" else []
        table = [tape.constants[i] for i in order] if space == "c" else table
    code = [_needed(_renumbered(segment, moved), set()) for segment in segments]
    return Stored(tuple(code), _needed(_renumbered(sums, moved), set()), sizes, tuple(table))


def _groups(np: Any, reached: Sequence[Any], size: int) -> list[list[int]]:
    """Return the indices, by their places, in groups that share no cells, ordered by the first one of each."""
    group = list(range(len(reached)))  # of each index an earlier one of its group, or itself

    def first(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    owner = np.full(size, -1)
    for i, cells in enumerate(reached):
        for other in np.unique(owner[cells]).tolist():
            if other >= 0:
                a, b = sorted((first(i), first(other)))
                group[b] = a
        owner[cells] = i
    found: dict[int, list[int]] = {}
    for i in range(len(reached)):
        found.setdefault(first(i), []).append(i)
    return list(found.values())


def _alone(indices: Sequence[Affine], reached_by: Callable[[Affine], Any], beside: set[int]) -> list[int]:
    """Return the counters of loops each of whose iterations reaches cells of its own, in every index."""
    steps = [dict(index.steps) for index in indices]
    found = []
    for counter, step in steps[0].items():
        if counter not in beside and all(other.get(counter) == step for other in steps):
            within = [reached_by(index.at(counter, 0)) for index in indices]
            if max(int(cells.max()) for cells in within) - min(int(cells.min()) for cells in within) < abs(step):
                found.append(counter)
    return found


def _affine(np: Any, cells: Any, like: Affine) -> Affine | None:
    """Return the affine index of these cells, an axis for each loop; None if there is none."""
    steps = []
    found = base = int(cells.flat[0])
    for axis, (counter, _) in enumerate(like.steps):
        unit = [0] * cells.ndim
        unit[axis] = 1
        step = int(cells[tuple(unit)]) - base
        steps.append((counter, step))
        shape = [1] * cells.ndim
        shape[axis] = cells.shape[axis]
        found = found + step * np.arange(cells.shape[axis]).reshape(shape)
    return Affine(base, tuple(steps)) if (found == cells).all() else None


def _indices(code: Sequence[Code]) -> Iterator[tuple[str, Affine]]:
    for item in code:
        if isinstance(item, Repeat):
            yield from _indices(item.body)
        elif not isinstance(item, Apply):
            yield item.array, item.cell


def _beside(code: Sequence[Code]) -> Iterator[int]:
    for item in code:
        if isinstance(item, Repeat):
            if item.jams or item.vectorises:
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
        elif isinstance(item, (Apply, Accumulate)):
            used.update(x for x in item.operands if isinstance(x, int))
        elif isinstance(item, Store) and isinstance(item.value, int):
            used.add(item.value)
        kept.append(item)
    return tuple(reversed(kept))


def _renumbered(code: Sequence[Code], moved: dict[str, dict[Affine, Affine]]) -> Iterator[Code]:
    for item in code:
        if isinstance(item, Repeat):
            yield item._replace(body=tuple(_renumbered(item.body, moved)))
        elif isinstance(item, Apply) or item.array not in moved:
            yield item
        else:
            yield item._replace(cell=moved[item.array][item.cell])
