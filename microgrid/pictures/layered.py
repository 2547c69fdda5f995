"""Layered layout of a directed graph: ranks, order within each rank, coordinates, curves. It needs no library.

The passes are those of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(1981), with the ranks of Gansner et al., "A technique for drawing directed graphs" (1993):

1. Ranks: the network simplex makes the edges as short as possible in all; nodes for which that leaves a choice go as
   early as they can, and leaves of one user stand beside it.
2. A dummy in every rank that an edge passes, so that no edge is drawn over a box.
3. Order: sweeps by barycentre, in which neighbours change places; the order with the fewest crossings is kept.
4. Coordinates: each rank as near to its neighbours as distances allow, which is a weighted isotonic regression
   and solved exactly by pooling adjacent violators. Dummies weigh more, so that long edges are straight.

All of it runs from left to right and is turned at the end. There is no randomness: the same graph is the same picture.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Literal, NamedTuple

from microgrid.pictures.ranks import Edge, shortest_ranks, topological

Point = tuple[float, float]
Direction = Literal["LR", "TB", "RL", "BT"]

STARTS, SWEEPS, PATIENCE = 3, 24, 6
"""Number of initial orders, maximum number of sweeps from each, and of those in a row that cross no less."""

PORT = 12.0
"""Maximum distance between neighbouring ends of edges at a box."""

DUMMY = 4.0
"""Size of a dummy within its rank."""

CROWDED = 20
"""Number of dummies per box above which the edges of a box share them."""


class Layered(NamedTuple):
    """The centre of each box; of each edge the control points of its cubic Bézier curve, 1 + 3 n of them, from tail to
    head; and the centre of its label. Coordinates begin at 0 in the upper left."""

    width: float
    height: float
    boxes: list[Point]
    curves: list[list[Point]]
    labels: list[Point]


def layered(
    sizes: Sequence[Point],
    edges: Sequence[Edge],
    *,
    labels: Sequence[Point] | None = None,
    rankdir: Direction = "LR",
    rank_gap: float = 40.0,
    node_gap: float = 14.0,
) -> Layered:
    """Return the layout of boxes of these sizes (width, height) and of edges (tail, head) between them.

    Boxes stay apart by `node_gap` within a rank and by `rank_gap` between ranks. `labels` are the sizes of the edges'
    labels, (0, 0) for none: each stands at its edge, just before the head, where no other edge, label or box is.
    Edges may be multiple, and the graph may have parts and cycles: some edges of a cycle run backwards. Raises
    ValueError for an edge from a box to itself, or to a box that there is not.
    """
    count = len(sizes)
    for edge in edges:
        if edge[0] == edge[1] or not (0 <= edge[0] < count and 0 <= edge[1] < count):
            raise ValueError(f"an edge joins two of the {count} boxes, got {edge}")
    if not count:
        return Layered(0.0, 0.0, [], [], [])
    turned = rankdir in ("TB", "BT")
    deep = [h if turned else w for w, h in sizes]  # sizes along the ranks, and within them
    wide = [w if turned else h for w, h in sizes]
    first = topological(count, edges)
    place = [0] * count
    for i, v in enumerate(first):
        place[v] = i
    forward = [(a, b) if place[a] < place[b] else (b, a) for a, b in edges]
    graph = _Ranked(first, forward)
    ranks = graph.ordered()
    ports = _Ports(graph, wide, labels or [(0.0, 0.0)] * len(edges), turned)
    middle = graph.coordinates(ranks, ports.low, ports.high, node_gap)

    spans = []  # of each rank: where the labels before it begin, where its boxes begin and end
    at = 0.0
    for k, members in enumerate(ranks):
        zone = max((ports.zones[v] for v in members if v < count), default=0.0)
        begin = at + zone + (rank_gap if k else 0.0)
        end = begin + max((deep[v] for v in members if v < count), default=0.0)
        spans.append((begin - zone, begin, end))
        at = end
    low = min(middle[v] - ports.low[v] for v in range(len(middle)))
    high = max(middle[v] + ports.high[v] for v in range(len(middle)))
    length = at

    def point(x: float, y: float) -> Point:
        if rankdir in ("RL", "BT"):
            x = length - x
        return (y - low, x) if turned else (x, y - low)

    rank = graph.rank
    start = [(spans[rank[v]][1] + spans[rank[v]][2] - deep[v]) / 2 for v in range(count)]
    curves = []
    written = []
    for e, (tail, *dummies, head) in enumerate(graph.chains):
        out = middle[tail] + ports.out[e]
        line = middle[head] + ports.line[e]
        into = middle[head] + ports.into[e]
        near, begin, _ = spans[rank[head]]
        stops = [(start[tail] + deep[tail], out), (spans[rank[tail]][2], out)]
        for d in dummies:
            stops += [(spans[rank[d]][0], middle[d]), (spans[rank[d]][2], middle[d])]
        bend = begin - ports.bends[head]
        stops += [(near, line), (bend, line), (begin, into), (start[head], into)]
        curve = [point(*stops[0])]
        flat = False
        for (x0, y0), (x1, y1) in itertools.pairwise(stops):
            if x1 - x0 > 1e-9:
                half = (x1 - x0) / 2
                if flat and y1 == y0:  # one straight piece, not two
                    del curve[-3:]
                flat = y1 == y0
                curve += [point(x0 + half, y0), point(x1 - half, y1), point(x1, y1)]
        curves.append(curve if forward[e] == tuple(edges[e]) else curve[::-1])
        w, h = labels[e] if labels else (0.0, 0.0)
        written.append(
            point(bend - h / 2 - 3, line + w / 2 + 4) if turned else point(bend - w / 2 - 3, line - h / 2 - 1)
        )
    boxes = [point(start[v] + deep[v] / 2, middle[v]) for v in range(count)]
    extent = (high - low, length) if turned else (length, high - low)
    return Layered(*extent, boxes, curves, written)


class _Ranked:
    """A graph with ranks, and with dummies where an edge passes one."""

    def __init__(self, order: Sequence[int], edges: Sequence[Edge]) -> None:
        self.count = len(order)
        self.first = order
        self.rank = rank = shortest_ranks(order, edges)
        shared = sum(rank[head] - rank[tail] - 1 for tail, head in edges) > CROWDED * (self.count + 10)
        known: dict[tuple[int, int], int] = {}
        self.chains: list[list[int]] = []
        self.before: list[list[int]] = [[] for _ in range(self.count)]
        self.after: list[list[int]] = [[] for _ in range(self.count)]
        for tail, head in edges:
            chain = [tail]
            for r in range(rank[tail] + 1, rank[head]):
                d = known.get((tail, r), len(rank)) if shared else len(rank)
                if d == len(rank):
                    rank.append(r)
                    known[tail, r] = d
                    self.before.append([])
                    self.after.append([])
                chain.append(d)
            chain.append(head)
            for a, b in itertools.pairwise(chain):
                if not (shared and b >= self.count and a in self.before[b]):
                    self.after[a].append(b)
                    self.before[b].append(a)
            self.chains.append(chain)
        self.place = [0] * len(rank)

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
        self._number(ranks)
        return ranks

    def _sweep(self, ranks: Sequence[list[int]], sweep: int) -> None:
        """Order each rank by the mean place of its neighbours in the one before, or after, then exchange neighbours."""
        place, before, after = self.place, self.before, self.after
        back = sweep % 2
        near, far = (after, before) if back else (before, after)
        ties = -1 if sweep & 2 else 1
        for members in reversed(ranks) if back else ranks:
            key = {}
            for v in members:
                around = near[v] or far[v]
                key[v] = (sum([place[u] for u in around]) / len(around) if around else 0.0, place[v] * ties)
            members.sort(key=key.__getitem__)
            for i, v in enumerate(members):
                place[v] = i
            self._exchange(members, sweep & 2)

    def _exchange(self, members: list[int], also_ties: int) -> None:
        place, before, after = self.place, self.before, self.after
        for _ in range(4):
            changed = False
            for i in range(len(members) - 1):
                a, b = members[i], members[i + 1]
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
        self, ranks: Sequence[Sequence[int]], low: Sequence[float], high: Sequence[float], gap: float
    ) -> list[float]:
        """Return the coordinate of each node within its rank; it takes up `low` before and `high` after it."""
        y = [0.0] * len(self.rank)
        offsets: list[list[float]] = []
        for members in ranks:
            steps = [0.0]
            for a, b in itertools.pairwise(members):
                steps.append(steps[-1] + high[a] + gap + low[b])
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


class _Ports:
    """Ends of edges at boxes, relative to a box's centre, and the room that their labels need.

    An edge that enters runs along `line`, where its label stands, and then bends to `into`, where the box is. `low` and
    `high` is what a node takes up on either side of its centre, `zones` what it takes up before its rank.
    """

    def __init__(self, graph: _Ranked, wide: Sequence[float], labels: Sequence[Point], turned: bool) -> None:
        count = graph.count
        self.low = [*(w / 2 for w in wide), *[DUMMY / 2] * (len(graph.rank) - count)]
        self.high = list(self.low)
        self.zones = [0.0] * count
        self.bends = [0.0] * count
        self.out = [0.0] * len(graph.chains)
        self.line = list(self.out)
        self.into = list(self.out)
        leaving: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        entering: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for e, chain in enumerate(graph.chains):
            leaving[chain[0]].append((graph.place[chain[1]], e))
            entering[chain[-1]].append((graph.place[chain[-2]], e))
        for v in range(count):
            ends = [e for _, e in sorted(leaving[v])]
            step = min(PORT, 0.7 * wide[v] / max(1, len(ends)))
            for i, e in enumerate(ends):
                self.out[e] = (i - (len(ends) - 1) / 2) * step
            if entering[v]:
                self._enter(v, [e for _, e in sorted(entering[v])], wide[v], labels, turned)

    def _enter(self, v: int, ends: Sequence[int], wide: float, labels: Sequence[Point], turned: bool) -> None:
        step = min(PORT, 0.7 * wide / len(ends))
        lines = [0.0]
        for a, b in itertools.pairwise(ends):  # a label stands above its line, or to the right of it
            room = labels[a][0] + 6.0 if turned else labels[b][1] + 3.0
            lines.append(lines[-1] + max(step, room if labels[a if turned else b][0] else 0.0))
        size = lines[-1]
        scale = min(1.0, 0.8 * wide / size) if size else 1.0
        for e, line in zip(ends, lines, strict=True):
            self.line[e] = line - size / 2
            self.into[e] = scale * self.line[e]
        first, last = labels[ends[0]], labels[ends[-1]]
        self.low[v] = max(wide / 2, size / 2 + (0.0 if turned else first[1] + 2.0))
        self.high[v] = max(wide / 2, size / 2 + (last[0] + 5.0 if turned else 1.0))
        longest = max(labels[e][1 if turned else 0] for e in ends)
        self.bends[v] = 12.0 if scale < 1.0 else 8.0 if longest else 0.0
        self.zones[v] = self.bends[v] + (longest + 6.0 if longest else 0.0)
