"""Positions of a picture's boxes by Graphviz, and a small SVG whose parts a page can address."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.pictures.digraph import printable

POINTS = 72.0
"""Points per inch."""


class Placed(NamedTuple):
    """A box: its centre and size, in points from the top left."""

    x: float
    y: float
    width: float
    height: float


class Arrow(NamedTuple):
    """An edge between boxes: the control points of its curve, and the position of its label."""

    tail: int
    head: int
    points: Sequence[tuple[float, float]]
    label: tuple[float, float] | None


class Layout(NamedTuple):
    """All boxes, in the order of their numbers, and all edges, in the order in which they were added."""

    width: float
    height: float
    boxes: Sequence[Placed]
    arrows: Sequence[Arrow]


def layout(picture: Any) -> Layout:
    """Lay out a picture with boxes v0, v1, ... Raises ImportError where Graphviz is missing."""
    width = height = 0.0
    boxes: dict[int, Placed] = {}
    arrows: list[Arrow] = []
    text = picture.pipe("plain", encoding="utf-8").replace("\\\n", "")  # Graphviz breaks long labels
    for line in text.split("\n"):  # a label may have what splitlines takes for the end of a line
        kind, _, rest = line.partition(" ")
        if kind == "graph":
            width, height = (float(x) * POINTS for x in rest.split()[1:3])
        elif kind == "node":
            name, *numbers = rest.split(" ", 5)[:5]
            x, y, w, h = (float(part) * POINTS for part in numbers)
            boxes[int(name[1:])] = Placed(x, height - y, w, h)
        elif kind == "edge":
            tail, head, count, *rest_of_line = rest.split(" ")
            end = 2 * int(count)
            points = [float(part) * POINTS for part in rest_of_line[:end]]
            pairs = [(x, height - y) for x, y in zip(points[::2], points[1::2], strict=True)]
            labelled = rest_of_line[end:-2]
            label = (float(labelled[-2]) * POINTS, height - float(labelled[-1]) * POINTS) if labelled else None
            arrows.append(Arrow(int(tail[1:]), int(head[1:]), pairs, label))
    return Layout(width, height, [boxes[i] for i in range(len(boxes))], arrows)


def svg(
    placed: Layout, texts: Sequence[Sequence[str]], roles: Sequence[str], *, title: str, style: str, uid: str
) -> str:
    """Return the picture as SVG: a group for each box, with its number as data-n, and a path for each edge, data-e.

    Attributes stand in single quotes, so that all of it can stand within double ones. `uid` names the arrow head.
    """
    width, height = round(placed.width) + 8, round(placed.height) + 8
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 {width} {height}' width='{width}' height='{height}' "
        f"class='mg' role='img'><title>{_text(title)}</title><style>{style}.mg path{{marker-end:url(#{uid})}}</style>"
        f"<marker id='{uid}' class='h' viewBox='0 0 6 6' refX='1' refY='3' markerWidth='6' markerHeight='6' "
        "orient='auto' markerUnits='userSpaceOnUse'><polygon points='0,0 6,3 0,6'/></marker>"
    ]
    parts += [f"<path data-e='{arrow.tail} {arrow.head}' d='{_curve(arrow.points)}'/>" for arrow in placed.arrows]
    for i, (box, lines, role) in enumerate(zip(placed.boxes, texts, roles, strict=True)):
        width, height = round(box.width), round(box.height)
        parts.append(
            f"<g data-n='{i}'{_kind(role)} transform='translate({box.x:.0f} {box.y:.0f})'>"
            f"<rect x='{-width // 2}' y='{-height // 2}' width='{width}' height='{height}'/>"
        )
        first = 4 - 7 * (len(lines) - 1)
        parts += [f"<text y='{first + 14 * k}'>{_text(line)}</text>" for k, line in enumerate(lines)]
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _kind(role: str) -> str:
    return "" if role == "intermediate" else f" class='{role}'"


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Return the path in whole points, each piece relative to the end of the last."""
    x, y = (round(part) for part in points[0])
    text = f"M{x} {y}c"
    for k in range(1, len(points), 3):
        piece = [(round(px) - x, round(py) - y) for px, py in points[k : k + 3]]
        text += " ".join(f"{dx} {dy}" for dx, dy in piece) + " "
        x, y = x + piece[-1][0], y + piece[-1][1]
    return text.strip().replace(" -", "-")


def _text(text: str) -> str:
    return html.escape(printable(text.replace("\n", " ")))
