"""A sketch as SVG, with its own layout: no Graphviz is needed. Its classes and ids are those of Graphviz's SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from microgrid.pictures import colours
from microgrid.pictures.frames import PAD, Cluster
from microgrid.pictures.layered import Layered, layered
from microgrid.pictures.lettering import box_size, text_width
from microgrid.pictures.sketch import Attributes, Sketch, printable

MARGIN = 4.0
ARROW = 6.0
"""Length of an arrow head."""

_DASHES = {"dashed": "5 2", "dotted": "1 4"}
_FRAME = 10.0
"""Size of the text of a frame's title, and of an edge's label."""


def svg(sketch: Sketch) -> str:
    """Return the picture: a group of class node, edge or cluster for each part, with a title that a pointer shows."""
    names = list(sketch.nodes)
    sizes = [_size(look) for look in sketch.nodes.values()]
    if sketch.columns:
        return _written(sketch, sizes, _in_columns(sketch, dict(zip(names, sizes, strict=True))))
    number = {name: i for i, name in enumerate(names)}
    edges = [(number[tail], number[head]) for tail, head, _ in sketch.edges]
    titles = [(text_width(_text(look["label"]), _FRAME), _FRAME + 3) for _, look in sketch.frames]
    placed = layered(
        sizes,
        edges,
        labels=[_label_size(look) for _, _, look in sketch.edges],
        homes=list(sketch.homes.values()),
        frames=[Cluster(parent, title) for (parent, _), title in zip(sketch.frames, titles, strict=True)],
        rankdir=sketch.attributes.get("rankdir", "LR"),  # type: ignore[arg-type]  # draw has checked it
        rank_gap=36.0,
    )
    circles = {i for i, look in enumerate(sketch.nodes.values()) if look.get("shape") == "circle"}
    for edge, curve in zip(edges, placed.curves, strict=True):
        for v, end in zip(edge, (0, -1), strict=True):
            if v in circles:
                curve[end] = _on_circle(curve[end], placed.boxes[v], sizes[v][0] / 2)
    return _written(sketch, sizes, placed)


def _on_circle(point: tuple[float, float], centre: tuple[float, float], radius: float) -> tuple[float, float]:
    """Return the point of a circle beside a point at the side of the square around it."""
    x, y = point[0] - centre[0], point[1] - centre[1]
    if abs(x) > abs(y):
        return centre[0] + math.copysign(math.sqrt(max(0.0, radius**2 - y**2)), x), point[1]
    return point[0], centre[1] + math.copysign(math.sqrt(max(0.0, radius**2 - x**2)), y)


def _in_columns(sketch: Sketch, sizes: dict[str, tuple[float, float]]) -> Layered:
    """Return the layout of columns: boxes in order, each column in the middle, straight lines under the boxes."""
    rankdir = sketch.attributes.get("rankdir", "LR")
    turned = rankdir in ("TB", "BT")
    gap, apart = (72 * float(sketch.attributes[name]) for name in ("ranksep", "nodesep"))
    title = _FRAME + 3
    wide = {name: size[0 if turned else 1] for name, size in sizes.items()}
    lengths = [sum(wide[name] for name in column) + apart * (len(column) - 1) for column in sketch.columns]
    depths = [max(sizes[name][1 if turned else 0] for name in column) for column in sketch.columns]
    widest = max(
        [max(lengths) + 2 * PAD, *(text_width(look["label"], _FRAME) + 4 for _, look in sketch.frames)]
        if turned
        else [max(lengths) + 2 * PAD + title]
    )
    whole = sum(depths) + gap * (len(depths) - 1) + 2 * PAD + title * turned
    at: float = PAD + title * turned
    places: dict[str, tuple[float, float]] = {}
    spans = []
    for column, length, depth in zip(sketch.columns, lengths, depths, strict=True):
        across = (widest - length + (0.0 if turned else title)) / 2
        along = at + depth / 2
        if rankdir in ("RL", "BT"):
            along = whole - along + (title if turned else 0.0)
        spans.append((along - depth / 2, across, depth, length))
        for name in column:
            middle = across + wide[name] / 2
            places[name] = (middle, along) if turned else (along, middle)
            across += wide[name] + apart
        at += depth + gap
    frames = [(0.0, 0.0, 0.0, 0.0)] * len(sketch.frames)
    for column, (first, side, depth, length) in zip(sketch.columns, spans, strict=True):
        home = sketch.homes[column[0]]
        if home >= 0:
            left, top, width, height = (side, first, length, depth) if turned else (first, side, depth, length)
            named = text_width(sketch.frames[home][1]["label"], _FRAME) + 4
            more = max(0.0, named - width - 2 * PAD) / 2
            frames[home] = (left - PAD - more, top - PAD - title, width + 2 * (PAD + more), height + 2 * PAD + title)
    curves = []
    for tail, head, _ in sketch.edges:
        (x0, y0), (x1, y1) = places[tail], places[head]
        curves.append([(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in (0.0, 1 / 3, 2 / 3, 1.0)])
    extent = (widest, whole) if turned else (whole, widest)
    return Layered(*extent, [places[name] for name in sketch.nodes], curves, [(0.0, 0.0)] * len(curves), frames)


def _written(sketch: Sketch, sizes: Sequence[tuple[float, float]], placed: Layered) -> str:
    width, height = math.ceil(placed.width + 2 * MARGIN), math.ceil(placed.height + 2 * MARGIN)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {width} {height}" style="max-width:100%;height:auto" '
        'font-family="Helvetica,Arial,sans-serif" text-anchor="middle">',
        f'<style>{colours.style()}</style><g class="graph microgrid">',
    ]
    for (_, look), area in zip(sketch.frames, placed.frames, strict=True):
        parts.append(_frame(look, area))
    for i, (tail, head, look) in enumerate(sketch.edges):
        parts.append(_edge(f"{tail}-{head}", look, placed.curves[i], placed.labels[i]))
    for (_, look), (x, y, wide, _) in zip(sketch.frames, placed.frames, strict=True):  # over lines
        parts.append(
            f'<g class="cluster"><text x="{x + wide / 2:.1f}" y="{y + _FRAME + 3:.1f}" font-size="{_FRAME:g}">'
            f"{_escaped(look['label'])}</text></g>"
        )
    for look, size, centre in zip(sketch.nodes.values(), sizes, placed.boxes, strict=True):
        parts.append(_node(look, size, centre))
    return "\n".join([*parts, "</g></svg>\n"])


def _size(look: Attributes) -> tuple[float, float]:
    if look.get("fixedsize") == "true":
        side = 72 * float(look["width"])
        return side, side
    width, height = box_size(_lines(look), float(look.get("fontsize", "11")), (10.0, 5.0))
    if look.get("shape") == "circle":
        side = math.hypot(width - 14, height - 6)
        return side, side
    return max(width, 40.0), height


def _lines(look: Attributes) -> list[str]:
    return [printable(line) for line in look["label"].split("\n")]


def _label_size(look: Attributes) -> tuple[float, float]:
    text = look.get("label", "")
    return (text_width(_text(text), _FRAME), _FRAME + 1) if text else (0.0, 0.0)


def _frame(look: Attributes, area: tuple[float, float, float, float]) -> str:
    x, y, width, height = area
    return (
        f"{_group('cluster', look)}"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" fill="none" '
        f'stroke="{look.get("color", colours.LINE)}" stroke-dasharray="1 4" stroke-linecap="round"/></g>'
    )


def _edge(uid: str, look: Attributes, curve: Sequence[tuple[float, float]], label: tuple[float, float]) -> str:
    colour = look.get("color", colours.LINE)
    drawn = list(curve)
    (x0, y0), (x1, y1) = drawn[-2], drawn[-1]
    arrow = look.get("arrowhead") != "none"
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    if arrow:
        drawn[-1] = (x1 - ARROW * ux, y1 - ARROW * uy)
        if len(drawn) > 2 and length < ARROW:
            drawn[-2] = drawn[-1]
    path = f"M{_point(drawn[0])}" + "".join(
        "C" + " ".join(_point(point) for point in drawn[k : k + 3]) for k in range(1, len(drawn), 3)
    )
    parts = [
        _group("edge", {"id": uid, **look}),
        f'<path class="wide" pointer-events="stroke" fill="none" d="{path}"/>',  # more to point at
        f'<path fill="none" stroke="{colour}" stroke-width="{look.get("penwidth", "1")}"{_dash(look)} d="{path}"/>',
    ]
    if arrow:
        a = (x1 - ARROW * ux - 2.4 * uy, y1 - ARROW * uy + 2.4 * ux)
        b = (x1 - ARROW * ux + 2.4 * uy, y1 - ARROW * uy - 2.4 * ux)
        parts.append(f'<polygon fill="{colour}" points="{_point((x1, y1))} {_point(a)} {_point(b)}"/>')
    if look.get("label"):
        x, y = label
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="{_FRAME:g}">{_escaped(look["label"])}</text>')
    return "".join([*parts, "</g>"])


def _node(look: Attributes, size: tuple[float, float], centre: tuple[float, float]) -> str:
    (width, height), (x, y) = size, centre
    fill = look.get("fillcolor", "#FFFFFF")
    line = f'fill="{fill}" stroke="{look.get("color", colours.LINE)}" stroke-width="{look.get("penwidth", "1")}"'
    line += _dash(look)
    if look.get("shape") == "circle":
        shape = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}" {line}/>'
    else:
        corner = 7 if "rounded" in look.get("style", "rounded") else 0
        shape = _rectangle(x, y, width, height, corner, line)
        if look.get("peripheries") == "2":
            shape = _rectangle(x, y, width, height, corner, line) + _rectangle(x, y, width - 6, height - 6, 4, line)
    lines = _lines(look)
    text = float(look.get("fontsize", "11"))
    first = y + 0.36 * text - 0.625 * text * (len(lines) - 1)
    written = "".join(
        f'<text x="{x:.1f}" y="{first + 1.25 * text * k:.1f}" font-size="{text:g}" '
        f'fill="{look.get("fontcolor", colours.TEXT)}">{_escaped(line)}</text>'
        for k, line in enumerate(lines)
    )
    return f"{_group('node', look)}{shape}{written}</g>"


def _rectangle(x: float, y: float, width: float, height: float, corner: float, look: str) -> str:
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{corner:g}" {look}/>'
    )


def _group(kind: str, look: Attributes) -> str:
    uid = f' id="{_escaped(look["id"])}"' if "id" in look else ""
    classes = f"{kind} {look['class']}" if "class" in look else kind
    title = f"<title>{_escaped(look['tooltip'])}</title>" if look.get("tooltip") else ""
    return f'<g{uid} class="{classes}">{title}'


def _dash(look: Attributes) -> str:
    found = [dash for name, dash in _DASHES.items() if name in look.get("style", "")]
    return f' stroke-dasharray="{found[0]}"' if found else ""


def _point(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _text(text: str) -> str:
    return printable(text.replace("\n", " "))


def _escaped(text: Any) -> str:
    return html.escape(_text(text))
