"""A small SVG of boxes and edges, whose parts a page can address."""

from __future__ import annotations

import html
from collections.abc import Sequence

from microgrid.pictures.digraph import printable
from microgrid.pictures.layered import Layered, layered
from microgrid.pictures.lettering import box_size
from microgrid.pictures.ranks import Edge


def layout(texts: Sequence[Sequence[str]], edges: Sequence[Edge]) -> tuple[Layered, list[tuple[float, float]]]:
    """Return the layout of boxes with these lines of text, and the sizes of the boxes."""
    sizes = [(max(72.0, width), height) for width, height in (box_size(lines, 11.0, (10.0, 5.0)) for lines in texts)]
    return layered(sizes, edges), sizes


def svg(
    edges: Sequence[Edge], texts: Sequence[Sequence[str]], roles: Sequence[str], *, title: str, style: str, uid: str
) -> str:
    """Return the picture as SVG: a group for each box, with its number as data-n, and a path for each edge, data-e.

    Attributes stand in single quotes, so that all of it can stand within double ones. `uid` names the arrow head.
    """
    placed, sizes = layout(texts, edges)
    width, height = round(placed.width) + 8, round(placed.height) + 8
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 {width} {height}' width='{width}' height='{height}' "
        f"class='mg' role='img'><title>{_text(title)}</title><style>{style}.mg path{{marker-end:url(#{uid})}}</style>"
        f"<marker id='{uid}' fill='#777' refX='6' refY='3' markerWidth='6' markerHeight='6' "
        "orient='auto'><polygon points='0,0 6,3 0,6'/></marker>"
    ]
    parts += [
        f"<path data-e='{tail} {head}' d='{_curve(curve)}'/>"
        for (tail, head), curve in zip(edges, placed.curves, strict=True)
    ]
    for i, (box, lines, role) in enumerate(zip(placed.boxes, texts, roles, strict=True)):
        width, height = map(round, sizes[i])
        parts.append(
            f"<g data-n='{i}'{_kind(role)} transform='translate({box[0]:.0f} {box[1]:.0f})'>"
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
    text = f"M{x} {y}"
    for k in range(1, len(points), 3):
        piece = [(round(px) - x, round(py) - y) for px, py in points[k : k + 3]]
        straight = not any(dy for _, dy in piece)
        text += f"h{piece[-1][0]}" if straight else "c" + " ".join(f"{dx} {dy}" for dx, dy in piece)
        x, y = x + piece[-1][0], y + piece[-1][1]
    return text.replace(" -", "-")


def _text(text: str) -> str:
    return html.escape(printable(text.replace("\n", " ")))
