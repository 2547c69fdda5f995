"""The layout without Graphviz: nothing overlaps, no edge runs over a box, few edges cross, and it repeats itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from drawn import around, crossings, flattened, meets, overlap
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid.pictures.frames import Cluster
from microgrid.pictures.layered import Direction, Layered, Point, layered
from microgrid.pictures.ranks import Edge
from microgrid.pictures.rendering import rendered

DIRECTIONS: tuple[Direction, ...] = ("LR", "TB", "RL", "BT")
SIZES = st.tuples(st.sampled_from([20.0, 62.0, 150.0]), st.sampled_from([18.0, 40.0, 75.0]))
LABELS = st.sampled_from([(0.0, 0.0), (9.0, 11.0), (48.0, 11.0)])


@st.composite
def graphs(draw: Any, acyclic: bool = True) -> tuple[list[Point], list[Edge], list[Point]]:
    """Boxes and edges, some of them twice, in parts that may be apart, and the edges' labels."""
    sizes = draw(st.lists(SIZES, min_size=1, max_size=14))
    numbers = st.integers(0, len(sizes) - 1)
    pairs = draw(st.lists(st.tuples(numbers, numbers).filter(lambda e: e[0] != e[1]), max_size=24))
    edges = [(min(e), max(e)) for e in pairs] if acyclic else pairs
    return sizes, edges, draw(st.lists(LABELS, min_size=len(edges), max_size=len(edges)))


def faults(sizes: Sequence[Point], edges: Sequence[Edge], labels: Sequence[Point], found: Layered) -> list[str]:
    """Say what lies over what."""
    boxes = [around(centre, size) for centre, size in zip(found.boxes, sizes, strict=True)]
    texts = [around(centre, size) for centre, size in zip(found.labels, labels, strict=True)]
    written = [e for e, (width, _) in enumerate(labels) if width]
    lines = [flattened(curve) for curve in found.curves]
    faults = [f"boxes {i} and {j}" for i in range(len(boxes)) for j in range(i) if overlap(boxes[i], boxes[j])]
    faults += [f"labels {e} and {f}" for e in written for f in written if f < e and overlap(texts[e], texts[f])]
    faults += [f"label {e} and box {i}" for e in written for i, box in enumerate(boxes) if overlap(texts[e], box)]
    faults += [
        f"edge {e} and box {i}" for e, line in enumerate(lines) for i, box in enumerate(boxes) if meets(line, box)
    ]
    faults += [f"edge {e} and label {f}" for e, line in enumerate(lines) for f in written if meets(line, texts[f])]
    for i, (left, top, right, bottom) in enumerate([*boxes, *(texts[e] for e in written)]):
        if min(left, top) < -0.01 or right > found.width + 0.01 or bottom > found.height + 0.01:
            faults.append(f"rectangle {i} is not within the picture")
    for e, (tail, head) in enumerate(edges):
        for v, end in ((tail, lines[e][0]), (head, lines[e][-1])):
            left, top, right, bottom = boxes[v]
            if not (left - 0.01 <= end[0] <= right + 0.01 and top - 0.01 <= end[1] <= bottom + 0.01):
                faults.append(f"edge {e} does not end at box {v}")
    return faults


@settings(deadline=None, max_examples=80)
@given(graphs(), st.sampled_from(DIRECTIONS))
def test_nothing_lies_over_anything_else(graph: Any, rankdir: Direction) -> None:
    sizes, edges, labels = graph
    found = layered(sizes, edges, labels=labels, rankdir=rankdir)
    assert faults(sizes, edges, labels, found) == []
    assert layered(sizes, edges, labels=labels, rankdir=rankdir) == found
    along, sign = (1 if rankdir in ("TB", "BT") else 0), (-1 if rankdir in ("RL", "BT") else 1)
    assert all(sign * found.boxes[tail][along] < sign * found.boxes[head][along] for tail, head in edges)


@settings(deadline=None, max_examples=40)
@given(graphs(acyclic=False))
def test_a_graph_with_cycles_has_a_layout_too(graph: Any) -> None:
    sizes, edges, _ = graph
    assert faults(sizes, edges, [(0.0, 0.0)] * len(edges), layered(sizes, edges)) == []


@st.composite
def framed(draw: Any) -> Any:
    """A graph whose boxes are in frames, and frames in frames."""
    sizes, edges, labels = draw(graphs())
    parents = [draw(st.integers(-1, f - 1)) for f in range(draw(st.integers(1, 5)))]
    homes = [draw(st.integers(-1, len(parents) - 1)) for _ in sizes]
    used = {g for home in homes for g in around_it(parents, home)}
    kept = sorted(used)
    number = {-1: -1, **{f: i for i, f in enumerate(kept)}}
    titles = st.tuples(st.sampled_from([20.0, 90.0]), st.just(13.0))
    return (
        *(sizes, edges, labels, [number[home] for home in homes]),
        [Cluster(number[parents[f]], draw(titles)) for f in kept],
    )


def around_it(parents: Sequence[int], f: int) -> list[int]:
    return [] if f < 0 else [f, *around_it(parents, parents[f])]


@st.composite
def woven(draw: Any) -> Any:
    """Frames that reach over the same ranks, in some of which they have no box, and edges from each to each."""
    rows, ranks = draw(st.integers(2, 4)), 4
    places = [(row, rank) for rank in range(ranks) for row in range(rows) if draw(st.integers(0, 3))]
    others = [(-1, draw(st.integers(0, ranks - 1))) for _ in range(draw(st.integers(0, 4)))]
    boxes = sorted([*places, *others], key=lambda place: place[1])
    edges = []
    for head, (_, rank) in enumerate(boxes):
        before = [tail for tail, (_, own) in enumerate(boxes) if own == rank - 1]
        if before:
            edges += [(draw(st.sampled_from(before)), head) for _ in range(draw(st.integers(1, 2)))]
    used = sorted({row for row, _ in boxes if row >= 0})
    homes = [used.index(row) if row >= 0 else -1 for row, _ in boxes]
    return [(50.0, 30.0)] * len(boxes), edges, [(0.0, 0.0)] * len(edges), homes, [Cluster(-1, (20.0, 13.0))] * len(used)


@settings(deadline=None, max_examples=120)
@given(st.one_of(framed(), woven()), st.sampled_from(DIRECTIONS))
def test_a_frame_holds_its_boxes_and_no_others(graph: Any, rankdir: Direction) -> None:
    sizes, edges, labels, homes, frames = graph
    found = layered(sizes, edges, labels=labels, homes=homes, frames=frames, rankdir=rankdir)
    assert faults(sizes, edges, labels, found) == []
    assert faults_of_frames(sizes, homes, frames, found) == []


def faults_of_frames(
    sizes: Sequence[Point], homes: Sequence[int], frames: Sequence[Cluster], found: Layered
) -> list[str]:
    """Say what is not within its frame, or within another."""
    parents = [frame.parent for frame in frames]
    drawn = [(x, y, x + w, y + h) for x, y, w, h in found.frames]
    picture = (0.0, 0.0, found.width, found.height)
    faults = []
    for f, (frame, (left, top, right, bottom)) in enumerate(zip(frames, drawn, strict=True)):
        if not within(drawn[f], picture):
            faults.append(f"frame {f} is not within the picture")
        if right - left < frame.title[0]:
            faults.append(f"the title of frame {f} is wider")
        inside = (left + 4.0, top + 4.0 + frame.title[1], right - 4.0, bottom - 4.0)
        for v, centre in enumerate(found.boxes):
            box = around(centre, sizes[v])
            if not within(box, inside) if f in around_it(parents, homes[v]) else overlap(box, drawn[f]):
                faults.append(f"frame {f} and box {v}")
        for g in range(f):
            if g in around_it(parents, f):
                left, top, right, bottom = drawn[g]
                if not within(drawn[f], (left + 4.0, top + 4.0 + frames[g].title[1], right - 4.0, bottom - 4.0)):
                    faults.append(f"frame {f} is not within frame {g}")
            elif overlap(drawn[f], drawn[g]):
                faults.append(f"frames {f} and {g}")
    return faults


def within(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] > b[0] - 0.01 and a[1] > b[1] - 0.01 and a[2] < b[2] + 0.01 and a[3] < b[3] + 0.01


def test_the_judge_of_these_properties_sees_each_fault() -> None:
    sizes, edges, labels = [(40.0, 20.0)] * 3, [(0, 1), (0, 2), (1, 2)], [(9.0, 11.0)] * 3
    found = layered(sizes, edges, labels=labels)
    assert faults(sizes, edges, labels, found) == []
    shifted = found._replace(boxes=[found.boxes[1], *found.boxes[1:]])
    assert {"boxes 1 and 0", "edge 0 does not end at box 0"} <= set(faults(sizes, edges, labels, shifted))
    straight = found._replace(curves=[[found.boxes[0], found.boxes[0], found.boxes[2], found.boxes[2]]] * 3)
    assert "edge 1 and box 0" in faults(sizes, edges, labels, straight)
    one = found._replace(labels=[found.labels[0], found.labels[0], found.boxes[2]])
    assert {"labels 1 and 0", "label 2 and box 2"} <= set(faults(sizes, edges, labels, one))
    frames = [Cluster(-1, (10.0, 13.0))]
    framed = layered(sizes, edges, homes=[-1, 0, -1], frames=frames)
    assert faults_of_frames(sizes, [-1, 0, -1], frames, framed) == []
    assert faults_of_frames(sizes, [0, 0, -1], frames, framed) == ["frame 0 and box 0"]
    assert faults_of_frames(sizes, [-1, -1, -1], frames, framed) == ["frame 0 and box 1"]


@st.composite
def connected(draw: Any) -> tuple[int, list[Edge]]:
    count = draw(st.integers(2, 7))
    edges = [(draw(st.integers(0, head - 1)), head) for head in range(1, count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda e: e[0] < e[1])
    return count, edges + draw(st.lists(pairs, max_size=6))


@settings(deadline=None, max_examples=60)
@given(connected())
def test_no_ranks_make_the_edges_shorter(graph: tuple[int, list[Edge]]) -> None:
    """All ranks are tried, within as many ranks as boxes."""
    count, edges = graph
    placed = layered([(10.0, 10.0)] * count, edges, rank_gap=10.0).boxes
    lengths = [round((placed[head][0] - placed[tail][0]) / 20.0) for tail, head in edges]
    assert sum(lengths) == _shortest(count, edges)


def _shortest(count: int, edges: Sequence[Edge]) -> int:
    best = 10**9
    ranks = [0] * count

    def go(v: int, length: int) -> None:
        nonlocal best
        if v == count:
            best = min(best, length)
            return
        tails = [tail for tail, head in edges if head == v]
        for rank in range(max((ranks[tail] + 1 for tail in tails), default=0), count):
            ranks[v] = rank
            more = length + sum(rank - ranks[tail] for tail in tails)
            if more >= best:
                break
            go(v + 1, more)

    go(0, 0)
    return best


def random_graph(seed: int) -> tuple[int, list[Edge]]:
    """Boxes of one to three operands each, most of them recent, all of which the last box needs."""
    chosen = random.Random(seed)
    count = chosen.randrange(6, 40)
    edges = [
        (chosen.randrange(max(0, v - 12), v), v) for v in range(1, count) for _ in range(chosen.choice([1, 1, 2, 2, 3]))
    ]
    used = {tail for tail, _ in edges}
    return count, edges + [(v, count - 1) for v in range(count - 1) if v not in used]


def test_few_more_edges_cross_than_in_the_layout_of_graphviz() -> None:
    pytest.importorskip("pygraphviz")
    own = theirs = 0
    for seed in range(30):
        count, edges = random_graph(seed)
        size = (54.0, 30.0)
        own += crossings([flattened(c, 6) for c in layered([size] * count, edges).curves])
        theirs += crossings([flattened(c, 6) for c in graphviz_curves(count, edges, size)])
    assert theirs > 300
    assert own < 1.15 * theirs


def graphviz_curves(count: int, edges: Sequence[Edge], size: Point) -> list[list[Point]]:
    width, height = (x / 72 for x in size)
    source = f'digraph{{rankdir=LR;node[shape=box,fixedsize=true,label="",width={width},height={height}];'
    source += "edge[arrowhead=none];" + "".join(f"{v};" for v in range(count))
    source += "".join(f"{tail}->{head};" for tail, head in edges) + "}"
    curves = []
    for line in rendered(source, "plain").decode().replace("\\\n", "").splitlines():
        if line.startswith("edge"):
            numbers = [72 * float(x) for x in line.split()[4 : 4 + 2 * int(line.split()[3])]]
            curves.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return curves


def test_a_deep_graph_and_a_long_edge_at_every_rank_have_a_layout() -> None:
    """Without recursion over the depth; edges of one box share their dummies where there would be too many."""
    count = 400
    edges = [(v, v + 1) for v in range(count - 1)] + [(0, v) for v in range(2, count)]
    found = layered([(30.0, 20.0)] * count, edges)
    xs = [x for x, _ in found.boxes]
    assert xs == sorted(xs)
    assert len(set(xs)) == count


def test_an_edge_must_join_two_boxes() -> None:
    assert layered([], []) == Layered(0.0, 0.0, [], [], [], [])
    for edge in ((0, 0), (0, 2), (-1, 0)):
        with pytest.raises(ValueError, match="joins two of the 2 boxes"):
            layered([(1.0, 1.0)] * 2, [edge])
