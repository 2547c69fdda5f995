"""A graph in ranks: dummies where an edge passes one, the order within each rank, and coordinates within it."""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections.abc import Sequence

from microgrid.pictures.frames import PAD, Borders, Cluster, Path, arranged, common
from microgrid.pictures.ranks import Edge, shortest_ranks

STARTS, SWEEPS, PATIENCE = 3, 24, 6
"""Number of initial orders, maximum number of sweeps from each, and of those in a row that cross no less."""

CROWDED = 20
"""Number of dummies per box above which the edges of a box share them."""


class Ranked:
    """A graph with ranks, and with dummies where an edge passes one."""

    def __init__(self, order: Sequence[int], edges: Sequence[Edge], paths: Sequence[Path]) -> None:
        self.count = len(order)
        self.first = order
        self.paths = [*paths]
        self.framed = any(paths)
        self.rank = rank = shortest_ranks(order, edges)
        shared = sum(rank[head] - rank[tail] - 1 for tail, head in edges) > CROWDED * (self.count + 10)
        known: dict[tuple[int, int], int] = {}
        self.chains: list[list[int]] = []
        self.before: list[list[int]] = [[] for _ in range(self.count)]
        self.after: list[list[int]] = [[] for _ in range(self.count)]
        self.spans = self._spans()
        for tail, head in edges:
            chain = [tail]
            for r in range(rank[tail] + 1, rank[head]):
                d = known.get((tail, r), len(rank)) if shared else len(rank)
                if d == len(rank):
                    self._add(r, () if shared else common(paths[tail], paths[head]))
                    known[tail, r] = d
                chain.append(d)
            chain.append(head)
            for a, b in itertools.pairwise(chain):
                if not (shared and b >= self.count and a in self.before[b]):
                    self.after[a].append(b)
                    self.before[b].append(a)
            self.chains.append(chain)
        if self.framed:
            self._keep_ranks()
        self.place = [0] * len(rank)

    def _add(self, rank: int, path: Path) -> None:
        self.rank.append(rank)
        self.paths.append(path)
        self.before.append([])
        self.after.append([])

    def _spans(self) -> tuple[list[int], list[int]]:
        """Return the first and the last rank of each frame."""
        count = max((f for path in self.paths for f in path), default=-1) + 1
        first, last = [len(self.rank)] * count, [-1] * count
        for r, path in zip(self.rank, self.paths, strict=True):
            for f in path:
                first[f], last[f] = min(first[f], r), max(last[f], r)
        return first, last

    def begin(self, frames: Sequence[Cluster]) -> dict[int, list[int]]:
        """Return the boxes in the first rank of each frame."""
        found: dict[int, list[int]] = {}
        for v in range(self.count):
            for f in self.paths[v]:
                if self.rank[v] == self.spans[0][f]:
                    found.setdefault(f, []).append(v)
        return found

    def _keep_ranks(self) -> None:
        """Add a node in each rank where a frame would have none: nothing else may stand there."""
        present = {(f, r) for r, path in zip(self.rank, self.paths, strict=True) for f in path}
        around = {f: path[: i + 1] for path in self.paths for i, f in enumerate(path)}
        for f in sorted(around, key=lambda f: -len(around[f])):
            for r in range(self.spans[0][f], self.spans[1][f]):
                if (f, r) not in present:
                    self._add(r, around[f])
                    present |= {(g, r) for g in around[f]}

    def ordered(self) -> list[list[int]]:
        """Return the members of each rank in the order with the fewest crossings that was found."""
        best: list[list[int]] = []
        fewest = 0
        for start in range(STARTS):
            ranks = self._initial(start)
            stale = 0
            for sweep in range(SWEEPS):
                self._sweep(ranks, sweep)
                now = self._crossings(ranks)
                stale += 1
                if not best or now < fewest:
                    best, fewest, stale = [list(members) for members in ranks], now, 0
                if not fewest or stale == PATIENCE:
                    break
            if not fewest:
                break
        self._number(best)
        return best

    def _number(self, ranks: Sequence[Sequence[int]]) -> None:
        for members in ranks:
            for i, v in enumerate(members):
                self.place[v] = i

    def _initial(self, start: int) -> list[list[int]]:
        """Return an order, depth first: from the last box back as a person reads the expression, from the last operand
        on, or from the last box without operands forwards."""
        ranks: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        seen = [False] * len(self.rank)
        waiting = list(self.first if start < 2 else reversed(self.first))
        side = self.before if start < 2 else self.after
        while waiting:
            v = waiting.pop()
            if not seen[v]:
                seen[v] = True
                ranks[self.rank[v]].append(v)
                waiting.extend(side[v] if start == 1 else reversed(side[v]))
        for v in range(self.count, len(self.rank)):
            if not seen[v]:
                ranks[self.rank[v]].append(v)
        self._number(ranks)
        return ranks

    def _sweep(self, ranks: Sequence[list[int]], sweep: int) -> None:
        """Order each rank by the mean place of its neighbours in the one before, or after, then exchange neighbours."""
        place, before, after = self.place, self.before, self.after
        back = sweep % 2
        near, far = (after, before) if back else (before, after)
        ties = -1 if sweep & 2 else 1
        decided: dict[int, list[int]] = {}
        for members in reversed(ranks) if back else ranks:
            key = {}
            for v in members:
                around = near[v] or far[v]
                key[v] = (sum([place[u] for u in around]) / len(around) if around else 0.0, float(place[v] * ties))
            if self.framed:
                members[:] = arranged(members, self.paths, key, decided)
            else:
                members.sort(key=key.__getitem__)
            for i, v in enumerate(members):
                place[v] = i
            self._exchange(members, sweep & 2)

    def _exchange(self, members: list[int], also_ties: int) -> None:
        place, before, after, paths = self.place, self.before, self.after, self.paths
        for _ in range(4):
            changed = False
            for i in range(len(members) - 1):
                a, b = members[i], members[i + 1]
                if paths[a] != paths[b]:
                    continue
                now = then = 0
                for near in (before, after):
                    others = [place[u] for u in near[b]]
                    for u in near[a]:
                        p = place[u]
                        for q in others:
                            if p > q:
                                now += 1
                            elif p < q:
                                then += 1
                if then < now or (also_ties and now and then == now):
                    members[i], members[i + 1] = b, a
                    place[a], place[b] = i + 1, i
                    changed = True
            if not changed:
                break

    def _crossings(self, ranks: Sequence[Sequence[int]]) -> int:
        found = 0
        for members in ranks:
            passed: list[int] = []
            for v in members:
                ends = [self.place[u] for u in self.after[v]]
                found += sum([len(passed) - bisect_right(passed, end) for end in ends])
                for end in ends:
                    insort(passed, end)
        return found

    def coordinates(
        self,
        ranks: Sequence[Sequence[int]],
        low: Sequence[float],
        high: Sequence[float],
        gap: float,
        borders: Borders | None,
    ) -> list[float]:
        """Return the coordinate of each node within its rank; it takes up `low` before and `high` after it."""
        y = [0.0] * len(self.rank)
        offsets: list[list[float]] = []
        for members in ranks:
            steps = [0.0]
            for a, b in itertools.pairwise(members):
                between = gap
                if borders and self.paths[a] != self.paths[b]:
                    shared = len(common(self.paths[a], self.paths[b]))
                    closed, opened = self.paths[a][shared:], self.paths[b][shared:]
                    between += PAD * len(closed) + sum([borders.lead[f] for f in opened])
                steps.append(steps[-1] + high[a] + between + low[b])
            offsets.append(steps)
            for v, offset in zip(members, steps, strict=True):
                y[v] = offset - steps[-1] / 2
        pulls = [
            [[(u, _weight(u >= self.count, v >= self.count)) for u in side[v]] for v in range(len(y))]
            for side in (self.before, self.after)
        ]
        both = [a + b for a, b in zip(*pulls, strict=True)]
        for sweep in range(20):
            around = pulls[sweep % 2] if sweep < 8 else both
            for k in reversed(range(len(ranks))) if sweep % 2 else range(len(ranks)):
                _place(ranks[k], offsets[k], around, y)
            if borders and sweep >= 8:
                y = borders.projected(y)
        return y


def _weight(a: bool, b: bool) -> float:
    return 16.0 if a and b else 2.0 if a or b else 1.0


def _place(
    members: Sequence[int], offsets: Sequence[float], around: Sequence[Sequence[tuple[int, float]]], y: list[float]
) -> None:
    """Move the members of a rank as near to their neighbours as their distances allow."""
    blocks: list[tuple[float, float, int]] = []  # nodes that touch: sum of weight times wish, weight, count
    for v, offset in zip(members, offsets, strict=True):
        weight = total = 0.0
        for u, w in around[v]:
            weight += w
            total += w * y[u]
        if not weight:
            weight, total = 1e-3, 1e-3 * y[v]
        total, size = total - weight * offset, 1
        while blocks and blocks[-1][0] * weight >= total * blocks[-1][1]:
            t, w, n = blocks.pop()
            total, weight, size = total + t, weight + w, size + n
        blocks.append((total, weight, size))
    i = 0
    for total, weight, size in blocks:
        for k in range(i, i + size):
            y[members[k]] = total / weight + offsets[k]
        i += size
