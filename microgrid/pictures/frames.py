"""Frames in a layered layout: the boxes of a frame stand together in each rank, and no others are among them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Point = tuple[float, float]
Path = tuple[int, ...]
"""Frames around a node, the outermost first."""

PAD = 8.0
"""Distance of a frame from what it holds."""


class Cluster(NamedTuple):
    """A frame: its number within the frames, or -1 where it has none around it, and the size of its title."""

    parent: int
    title: Point


def path_of(frames: Sequence[Cluster], home: int) -> Path:
    """Return the frames around the members of one."""
    path: list[int] = []
    while home >= 0:
        path.append(home)
        home = frames[home].parent
    return tuple(reversed(path))


def common(a: Path, b: Path) -> Path:
    """Return the frames around both."""
    k = 0
    while k < len(a) and k < len(b) and a[k] == b[k]:
        k += 1
    return a[:k]


def arranged(
    members: Sequence[int],
    paths: Sequence[Path],
    keys: Mapping[int, tuple[float, float]],
    decided: dict[int, list[int]],
    depth: int = 0,
    parent: int = -1,
) -> list[int]:
    """Return the members of a rank sorted by keys, those of a frame side by side, and frames in the order decided.

    `decided` has the order of the frames within each, as the ranks before demand it; new ones are added.
    """
    if all(len(paths[v]) == depth for v in members):
        return sorted(members, key=keys.__getitem__)
    groups: dict[int, list[int]] = {}
    items: list[tuple[tuple[float, float], list[int]]] = []
    for v in members:
        if len(paths[v]) > depth:
            groups.setdefault(paths[v][depth], []).append(v)
        else:
            items.append((keys[v], [v]))
    if len(groups) == 1 and not items:
        (f,) = groups
        order = decided.setdefault(parent, [])
        if f not in order:
            order.append(f)
        return arranged(members, paths, keys, decided, depth + 1, f)
    means = {f: _mean([keys[v] for v in group]) for f, group in groups.items()}
    order = decided.setdefault(parent, [])
    known = [f for f in order if f in groups]
    means.update(zip(known, sorted(means[f] for f in known), strict=True))
    turn = {f: i for i, f in enumerate(order)}
    sequence = sorted(groups, key=lambda f: (means[f], turn.get(f, len(turn))))
    for before, f in zip([-1, *sequence], sequence, strict=False):
        if f not in turn:
            order.insert(order.index(before) + 1 if before >= 0 else 0, f)
    items += [(means[f], arranged(groups[f], paths, keys, decided, depth + 1, f)) for f in sequence]
    items.sort(key=lambda item: item[0])
    return [v for _, group in items for v in group]


def _mean(keys: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(key[0] for key in keys) / len(keys), sum(key[1] for key in keys) / len(keys)


class Borders:
    """The least distances within ranks: between boxes, frames, and both.

    Variables are the coordinates of the nodes, and two for each frame, where it begins and ends. They are ordered so
    that each one's bounds come before it.
    """

    def __init__(
        self,
        ranks: Sequence[Sequence[int]],
        paths: Sequence[Path],
        frames: Sequence[Cluster],
        sizes: tuple[Sequence[float], Sequence[float]],
        gap: float,
        titled: bool,
    ) -> None:
        self.count = len(paths)
        self.total = self.count + 2 * len(frames)
        self.low, self.high = sizes
        self.lead = [PAD + (frame.title[1] if titled else 0.0) for frame in frames]
        self.gap = gap
        after: list[dict[int, float]] = [{} for _ in range(self.total)]
        for members in ranks:
            for u, v, least in self._chain([paths[v] for v in members], members):
                after[u][v] = max(least, after[u].get(v, -math.inf))
        self.after = [list(ends.items()) for ends in after]
        missing = [0] * self.total
        for ends in self.after:
            for v, _ in ends:
                missing[v] += 1
        self.order = [u for u in range(self.total) if not missing[u]]
        for u in self.order:
            for v, _ in self.after[u]:
                missing[v] -= 1
                if not missing[v]:
                    self.order.append(v)

    def _chain(self, paths: Sequence[Path], members: Sequence[int]) -> list[tuple[int, int, float]]:
        """Return the distances along one rank, between what is next to each other."""
        found: list[tuple[int, int, float]] = []
        here: Path = ()
        last, room, inside = -1, 0.0, True  # the variable before, what it takes up, and whether it is a frame's begin
        for v, path in zip([*members, -1], [*paths, ()], strict=True):
            shared = len(common(here, path))
            for f in reversed(here[shared:]):
                end = self.count + 2 * f + 1
                found.append((last, end, room + PAD))
                last, room, inside = end, 0.0, False
            for f in path[shared:]:
                begin = self.count + 2 * f
                if last >= 0:
                    found.append((last, begin, room + (0.0 if inside else self.gap)))
                last, room, inside = begin, self.lead[f], True
            if v >= 0:
                if last >= 0:
                    found.append((last, v, room + self.low[v] + (0.0 if inside else self.gap)))
                last, room, inside = v, self.high[v], False
            here = path
        return found

    def projected(self, y: Sequence[float]) -> list[float]:
        """Return coordinates near to these that keep all distances: the mean of the least above and the most below."""
        above = [*y, *[-math.inf] * (self.total - self.count)]
        below = [*y, *[math.inf] * (self.total - self.count)]
        for u in self.order:
            for v, least in self.after[u]:
                above[v] = max(above[v], above[u] + least)
        for u in reversed(self.order):
            for v, least in self.after[u]:
                below[u] = min(below[u], below[v] - least)
        return [(a + b) / 2 for a, b in zip(above[: self.count], below, strict=False)]

    def bounds(self, y: Sequence[float]) -> list[tuple[float, float]]:
        """Return where each frame begins and ends, close around its members."""
        begin = [*y, *[math.inf] * (self.total - self.count)]
        end = [*y, *[-math.inf] * (self.total - self.count)]
        inner = set(range(self.count, self.total))
        for u in reversed(self.order):
            if u in inner and (u - self.count) % 2 == 0:
                for v, least in self.after[u]:
                    begin[u] = min(begin[u], begin[v] - least)
        for u in self.order:
            for v, least in self.after[u]:
                if v in inner and (v - self.count) % 2 == 1:
                    end[v] = max(end[v], end[u] + least)
        return [(begin[k], end[k + 1]) for k in range(self.count, self.total, 2)]
