"""Measures of a drawn graph, from points alone: overlaps, edges over boxes, crossings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def around(centre: Point, size: Point) -> Rectangle:
    (x, y), (w, h) = centre, size
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap(a: Rectangle, b: Rectangle, slack: float = 0.01) -> bool:
    return (
        a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack
    )  # touching is no overlap


def flattened(curve: Sequence[Point], pieces: int = 12) -> list[Point]:
    """Return points of a cubic Bézier curve."""
    points = [curve[0]]
    for k in range(1, len(curve), 3):
        p = [curve[k - 1], *curve[k : k + 3]]
        for i in range(1, pieces + 1):
            t = i / pieces
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            points.append(
                (
                    sum(w * x for w, (x, _) in zip(weights, p, strict=True)),
                    sum(w * y for w, (_, y) in zip(weights, p, strict=True)),
                )
            )
    return points


def meets(line: Sequence[Point], box: Rectangle, slack: float = 0.5) -> bool:
    """Return True if a line runs through the inside of a box: each piece is clipped at its sides."""
    left, top, right, bottom = box[0] + slack, box[1] + slack, box[2] - slack, box[3] - slack
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        first, last = 0.0, 1.0
        for d, room in ((x0 - x1, x0 - left), (x1 - x0, right - x0), (y0 - y1, y0 - top), (y1 - y0, bottom - y0)):
            if d == 0.0:
                if room < 0.0:
                    last = -1.0
            elif d < 0.0:
                first = max(first, room / d)
            else:
                last = min(last, room / d)
        if first < last:
            return True
    return False


def crossings(lines: Sequence[Sequence[Point]]) -> int:
    """Count the pairs of lines that cross."""
    pieces = [
        [
            (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]), a, b)
            for a, b in itertools.pairwise(line)
        ]
        for line in lines
    ]
    frames = [
        (min(p[0] for p in one), min(p[1] for p in one), max(p[2] for p in one), max(p[3] for p in one))
        for one in pieces
    ]
    return sum(
        overlap(frames[i], frames[j], 0.0) and any(_cross(p, q) for p in pieces[i] for q in pieces[j])
        for i in range(len(lines))
        for j in range(i)
    )


def _cross(
    p: tuple[float, float, float, float, Point, Point], q: tuple[float, float, float, float, Point, Point]
) -> bool:
    if p[0] > q[2] or q[0] > p[2] or p[1] > q[3] or q[1] > p[3]:
        return False

    def side(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = p[4:], q[4:]
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
