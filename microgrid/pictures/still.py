"""The picture of a stepper's final state, for where no script runs."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from microgrid.pictures import web
from microgrid.pictures.layered import Layered, layered
from microgrid.pictures.lettering import box_size
from microgrid.pictures.outline import Box, Item, arrows, boxes
from microgrid.pictures.sketch import printable
from microgrid.pictures.walk import Walk

FOLDED = 30
"""Maximum number of boxes of a picture that folds a larger graph, where folding by modules reaches it."""

STYLE = (
    "svg{fill:#fff}text{font:12px sans-serif;text-anchor:middle;fill:#111}rect{stroke:gray;rx:8px}.i{fill:#eef4fb}"
    ".c{fill:#f5f5f5;stroke-dasharray:2 2}.b,.p,.m{font-weight:700}.p{fill:#06a}.m{fill:#a40}"
    "path{fill:none;stroke:gray;marker-end:url(#h)}@media(prefers-color-scheme:dark){"
    "svg{fill:#1b1f23}text{fill:#eee}.i{fill:#1a2733}.c{fill:#333}.p{fill:#6bf}.m{fill:#fa5}}"
)


def still(final: Walk, view: Layered | None) -> str:
    """Return the picture as SVG, in single quotes: of each value where there is a layout of them, else of modules."""
    if view is not None:
        groups = [
            _group(view.boxes[i], (52, 30) if item.role == "constant" else (126, 66), _lines(final, i), item.role)
            for i, item in enumerate(final.items)
        ]
    else:
        drawn = boxes(final.items, max_nodes=FOLDED, depth=None)
        lines = [_folded(final, box) for box in drawn]
        sizes = [box_size([text for text, _ in told], 12.0, (12.0, 8.0)) for told in lines]
        view = layered(sizes, [pair for pair in arrows(final.items, drawn) if pair[0] != pair[1]])
        groups = [_group(*box, "") for box in zip(view.boxes, sizes, lines, strict=True)]
    width, height = round(view.width) + 8, round(view.height) + 8
    curves = "".join(f"<path d='{curve(points)}'/>" for points in view.curves)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-4 -4 {width} {height}' width='{width}' height='{height}'>"
        f"<style>{_style(groups)}</style>"
        "<marker id='h' refX='6' refY='3' markerWidth='6' markerHeight='6' orient='auto'>"
        "<polygon fill='gray' points='0 0 6 3 0 6'/></marker>"
        f"{curves}{_framed(''.join(groups))}</svg>"
    )


def _style(groups: Sequence[str]) -> str:
    """Return the rules of the classes that the groups have."""
    unused = [kind for kind in "icpm" if not any(f"class='{kind}'" in group for group in groups)]
    return re.sub(rf"(?<=}})\.[{''.join(unused)}]{{.*?}}", "", STYLE) if unused else STYLE


def _folded(final: Walk, box: Box) -> list[tuple[str, str]]:
    if box.folded:
        return [(box.title, "b"), (f"{len(box.members):,} values", "")]
    return [(text[:22], kind) for text, kind in _lines(final, box.members[0])]


def _lines(final: Walk, i: int) -> list[tuple[str, str]]:
    """Return the lines of a box, each with its class."""
    item, value, grad = final.items[i], web.number(final.values[i].data), final.grads[i]
    if item.role == "constant":
        return [(value, "b")]
    signed = "p" if grad > 0.0 else "m" if grad < 0.0 else "b"
    head = " = ".join(part for part in (item.title or _nameless(final.names[i], item), item.sign) if part)
    return [(head, ""), (value, "b"), (f"gradient {web.number(grad)}", signed)]


def _nameless(name: str, item: Item) -> str:
    return "" if item.sign else name


def _group(place: tuple[float, float], size: tuple[float, float], lines: Sequence[tuple[str, str]], role: str) -> str:
    kind = {"constant": " class='c'", "input": " class='i'", "parameter": " class='i'"}.get(role, "")
    (x, y), (width, height) = place, map(round, size)
    first = 4 - 9 * (len(lines) - 1)
    texts = "".join(
        f"<text y='{first + 18 * k}'{f' class={chr(39)}{kind_of}{chr(39)}' if kind_of else ''}>{_text(text)}</text>"
        for k, (text, kind_of) in enumerate(lines)
        if text
    )
    frame = f"<rect x='{-width // 2}' y='{-height // 2}' width='{width}' height='{height}'/>"
    return f"<g{kind} transform='translate({x:.0f} {y:.0f})'>{frame}{texts}</g>"


def _framed(groups: str) -> str:
    """Return the groups with the frame of each size written once, and used by the others."""
    for k, frame in enumerate(dict.fromkeys(re.findall("<rect[^>]*>", groups))):
        first, *others = groups.split(frame)
        groups = first + frame.replace("<rect", f"<rect id='r{k}'") + f"<use href='#r{k}'/>".join(others)
    return groups


def _text(text: str) -> str:
    text = printable(text.replace("\n", " "))
    return html.escape(text if len(text) <= 22 else f"{text[:21]}…")


def curve(points: Sequence[tuple[float, float]]) -> str:
    """Return the path of a curve in whole points, each piece relative to the end of the last."""
    x, y = (round(part) for part in points[0])
    text = f"M{x} {y}"
    for k in range(1, len(points), 3):
        piece = [(round(px) - x, round(py) - y) for px, py in points[k : k + 3]]
        straight = not any(dy for _, dy in piece)
        text += f"h{piece[-1][0]}" if straight else "c" + " ".join(f"{dx} {dy}" for dx, dy in piece)
        x, y = x + piece[-1][0], y + piece[-1][1]
    return text.replace(" -", "-")
