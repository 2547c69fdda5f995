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
from collections.abc import Sequence
from typing import Literal, NamedTuple

from microgrid.pictures.frames import PAD, Borders, Cluster, path_of
from microgrid.pictures.ranked import Ranked
from microgrid.pictures.ranks import Edge, topological

Point = tuple[float, float]
Direction = Literal["LR", "TB", "RL", "BT"]

PORT = 12.0
"""Maximum distance between neighbouring ends of edges at a box."""

DUMMY = 4.0
"""Size of a dummy within its rank."""


class Layered(NamedTuple):
    """The centre of each box; of each edge the control points of its cubic Bézier curve, 1 + 3 n of them, from tail to
    head; and the centre of its label; left, top, width and height of each frame. Coordinates begin at 0 in the upper
    left."""

    width: float
    height: float
    boxes: list[Point]
    curves: list[list[Point]]
    labels: list[Point]
    frames: list[tuple[float, float, float, float]]


def layered(
    sizes: Sequence[Point],
    edges: Sequence[Edge],
    *,
    labels: Sequence[Point] | None = None,
    homes: Sequence[int] = (),
    frames: Sequence[Cluster] = (),
    rankdir: Direction = "LR",
    rank_gap: float = 40.0,
    node_gap: float = 14.0,
) -> Layered:
    """Return the layout of boxes of these sizes (width, height) and of edges (tail, head) between them.

    Boxes stay apart by `node_gap` within a rank and by `rank_gap` between ranks. `labels` are the sizes of the edges'
    labels, (0, 0) for none: each stands at its edge, just before the head, where no other edge, label or box is.
    Edges may be multiple, and the graph may have parts and cycles: some edges of a cycle run backwards. `homes` are the
    numbers of the frames that boxes are in, -1 for none; a frame comes after the one around it, and has its title at
    its top. Raises ValueError for an edge from a box to itself, or to a box that there is not.
    """
    count = len(sizes)
    for edge in edges:
        if edge[0] == edge[1] or not (0 <= edge[0] < count and 0 <= edge[1] < count):
            raise ValueError(f"an edge joins two of the {count} boxes, got {edge}")
    if not count:
        return Layered(0.0, 0.0, [], [], [], [])
    turned = rankdir in ("TB", "BT")
    deep = [h if turned else w for w, h in sizes]  # sizes along the ranks, and within them
    wide = [w if turned else h for w, h in sizes]
    first = topological(count, edges)
    place = [0] * count
    for i, v in enumerate(first):
        place[v] = i
    forward = [(a, b) if place[a] < place[b] else (b, a) for a, b in edges]
    paths = [path_of(frames, home) for home in homes] if frames else [()] * count
    graph = Ranked(first, forward, paths)
    ranks = graph.ordered()
    ports = _Ports(graph, wide, labels or [(0.0, 0.0)] * len(edges), turned)
    for f, members in graph.begin(frames).items() if turned else ():  # the title is not wider than the frame
        widest = max(members, key=lambda v: ports.low[v] + ports.high[v])
        ports.low[widest] = max(ports.low[widest], frames[f].title[0] / 2)
        ports.high[widest] = max(ports.high[widest], frames[f].title[0] / 2)
    borders = Borders(ranks, graph.paths, frames, (ports.low, ports.high), node_gap, not turned) if frames else None
    middle = graph.coordinates(ranks, ports.low, ports.high, node_gap, borders)
    bounds = borders.bounds(middle) if borders else []
    spans, reach, length = _along(graph, ranks, deep, ports.zones, frames, rankdir, rank_gap)
    low = min([middle[v] - ports.low[v] for v in range(len(middle))] + [begin for begin, _ in bounds])
    high = max([middle[v] + ports.high[v] for v in range(len(middle))] + [end for _, end in bounds])

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
    drawn = []
    for (x0, x1), (y0, y1) in zip(reach, bounds, strict=True):
        (left, top), (right, bottom) = point(x0, y0), point(x1, y1)
        drawn.append((min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)))
    return Layered(*extent, boxes, curves, written, drawn)


def _along(
    graph: Ranked,
    ranks: Sequence[Sequence[int]],
    deep: Sequence[float],
    zones: Sequence[float],
    frames: Sequence[Cluster],
    rankdir: Direction,
    gap: float,
) -> tuple[list[tuple[float, float, float]], list[tuple[float, float]], float]:
    """Return of each rank where the labels before it begin, where its boxes begin and end; of each frame where it
    begins and ends; and the length of it all."""
    first, last = graph.spans
    before = [PAD + (frame.title[1] if rankdir == "TB" else 0.0) for frame in frames]
    after = [PAD + (frame.title[1] if rankdir == "BT" else 0.0) for frame in frames]
    for f in reversed(range(len(frames))):
        parent = frames[f].parent
        if parent >= 0 and first[parent] == first[f]:
            before[parent] = max(
                before[parent], before[f] + PAD + (frames[parent].title[1] if rankdir == "TB" else 0.0)
            )
    begins = [0.0] * len(frames)
    ends = [0.0] * len(frames)
    spans = []
    at = 0.0
    for k, members in enumerate(ranks):
        opened = [f for f in range(len(frames)) if first[f] == k]
        near = at + max((before[f] for f in opened), default=0.0) + (gap if k else 0.0)
        for f in opened:
            begins[f] = near - before[f]
        begin = near + max((zones[v] for v in members if v < graph.count), default=0.0)
        at = end = begin + max((deep[v] for v in members if v < graph.count), default=0.0)
        spans.append((near, begin, end))
        for f in reversed(range(len(frames))):
            if last[f] == k:
                ends[f] = max(ends[f], end + after[f])
                if rankdir in ("LR", "RL"):
                    ends[f] = max(ends[f], begins[f] + frames[f].title[0] + PAD)
                parent = frames[f].parent
                if parent >= 0 and last[parent] == k:
                    ends[parent] = max(ends[parent], ends[f] + after[parent])
                at = max(at, ends[f])
    return spans, list(zip(begins, ends, strict=True)), at


class _Ports:
    """Ends of edges at boxes, relative to a box's centre, and the room that their labels need.

    An edge that enters runs along `line`, where its label stands, and then bends to `into`, where the box is. `low` and
    `high` is what a node takes up on either side of its centre, `zones` what it takes up before its rank.
    """

    def __init__(self, graph: Ranked, wide: Sequence[float], labels: Sequence[Point], turned: bool) -> None:
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
