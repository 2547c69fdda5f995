"""Renumbering of memory cells without gaps: neighbours in time become neighbours in memory."""

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
    for segment in (*segments, sums):
        for array, index in _indices(segment):
            reached.setdefault(array, {})[index] = None
    for space in (*ONCE, "a", "c"):
        indices = list(reached.get(space, {}))
        if not indices:
            sizes[space] = 0
            continue
        live = np.unique(np.concatenate([reached_by(index).ravel() for index in indices]))
        renumbered = {index: _affine(np, np.searchsorted(live, reached_by(index)), index) for index in indices}
        if None not in renumbered.values():
            moved[space] = {index: new for index, new in renumbered.items() if new is not None}
            sizes[space] = len(live)
            table = [tape.constants[i] for i in live.tolist()] if space == "c" else table
        elif space == "c":
            table = list(tape.constants)
    code = [_needed(_renumbered(segment, moved), set()) for segment in segments]
    return Stored(tuple(code), _needed(_renumbered(sums, moved), set()), sizes, tuple(table))


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
