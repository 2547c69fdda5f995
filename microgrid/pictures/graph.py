"""A graph or a program as DOT: a box for each item or fold, frames for modules, derivatives on the edges."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.pictures.digraph import FILLS, LINE, NEGATIVE, POSITIVE, escaped, number
from microgrid.pictures.outline import Box, Item, arrows, boxes


def add(
    picture: Any,
    items: Sequence[Item],
    *,
    precision: int,
    show_grad: bool,
    apart: bool,
    depth: int | None,
    max_nodes: int,
) -> list[Box]:
    """Add the items to a picture in boxes v0, v1, ..., which come back. `apart`: operations stand by themselves."""
    drawn = boxes(items, max_nodes=max_nodes, depth=depth)
    ids = [f"v{i}" for i in range(len(drawn))]
    roots = [item for item in items if item.role == "output"]
    computed = any(item.grad for item in roots)
    texts: list[list[str]] = []
    clusters: dict[str, list[int]] = {}
    for i, box in enumerate(drawn):
        clusters.setdefault(box.module, []).append(i)
        item = items[box.members[0]]
        text = _folded_lines(box) if box.folded else lines(item, precision, show_grad, computed, apart)
        texts.append(text)
    _add_boxes(picture, items, drawn, texts, clusters, show_grad and computed)
    for i, box in enumerate(drawn):
        item = items[box.members[0]]
        if apart and item.sign and not box.folded:
            look = {"shape": "circle", "fillcolor": FILLS["intermediate"], "margin": "0.04", "class": "intermediate"}
            picture.node(f"{ids[i]}_op", escaped(item.sign), color=LINE, **look)
            picture.edge(f"{ids[i]}_op", ids[i])
    home = {member: i for i, box in enumerate(drawn) for member in box.members}
    for i, box in enumerate(drawn):
        if not box.folded:
            item = items[box.members[0]]
            head = f"{ids[i]}_op" if apart and item.sign else ids[i]
            for operand, partial in zip(item.operands, item.partials, strict=True):
                label = "" if partial is None else number(partial, precision)
                picture.edge(ids[home[operand]], head, escaped(label))
    for (start, end), count in arrows(items, drawn).items():
        if drawn[end].folded:
            picture.edge(ids[start], ids[end], f"{count:,} edges" if count > 1 else "")
    picture.boxes = len(drawn)
    picture.as_text = _as_text(items, drawn, texts, home, precision)
    return drawn


def lines(item: Item, precision: int, show_grad: bool, computed: bool, apart: bool) -> list[str]:
    """Return the text of an item: its name, op, number and gradient."""
    found = [item.title if apart else _joined(item.title, item.sign)]
    if item.data is not None:
        found.append(f"data {number(item.data, precision)}")
    if show_grad and item.grad is not None:
        found.append(f"grad {number(item.grad, precision)}" if computed else "grad –")
    return [line for line in found if line] or ["value"]


def _folded_lines(box: Box) -> list[str]:
    return [box.title, f"{len(box.members):,} values"]


def _joined(title: str, sign: str) -> str:
    return f"{title} = {sign}" if title and sign else title or sign


def _add_boxes(
    picture: Any,
    items: Sequence[Item],
    drawn: Sequence[Box],
    texts: Sequence[Sequence[str]],
    clusters: Mapping[str, Sequence[int]],
    coloured: bool,
) -> None:
    """Add the boxes, each in the frame of its module, and modules in those of theirs."""

    def within(path: str, graph: Any) -> None:
        for i in clusters.get(path, ()):
            graph.node(f"v{i}", **_look(items, drawn[i], texts[i], coloured))
        for child in children.get(path, ()):
            with graph.subgraph(name=f"cluster_{next(numbers)}") as frame:
                frame.attr(label=escaped(child.rsplit(".", 1)[-1]), tooltip=escaped(child))
                frame.attr(color=LINE, style="rounded,dotted")
                within(child, frame)

    numbers = itertools.count()
    children: dict[str, list[str]] = {}
    for path in clusters:
        while path:
            parent = path.rpartition(".")[0]
            if path in children.setdefault(parent, []):
                break
            children[parent].append(path)
            path = parent
    within("", picture)


def _look(items: Sequence[Item], box: Box, lines: Sequence[str], coloured: bool) -> dict[str, Any]:
    item = items[box.members[0]]
    role = "folded" if box.folded else item.role
    look: dict[str, Any] = {
        "label": escaped("\n".join(lines)),
        "fillcolor": FILLS[role],
        "color": LINE,
        "penwidth": "2" if role == "output" else "1.2",
        "tooltip": escaped(" ".join(part for part in (role, item.module) if part)),
        "class": role,
    }
    if role == "parameter":
        look["style"] = "filled"
    elif role == "constant":
        look["style"] = "rounded,filled,dashed"
    elif role == "folded":
        look["peripheries"] = "2"
    if coloured and not box.folded and item.grad and item.grad == item.grad:  # NaN has no sign
        positive = item.grad > 0.0
        look["color"] = POSITIVE if positive else NEGATIVE
        look["class"] = f"{role} {'positive' if positive else 'negative'}"
    return look


def _as_text(
    items: Sequence[Item], drawn: Sequence[Box], texts: Sequence[Sequence[str]], home: Mapping[int, int], precision: int
) -> str:
    lines = []
    for i, box in enumerate(drawn[:500]):
        line = f"v{i}  " + "  ".join(texts[i]).replace("data ", "= ")
        if not box.folded and items[box.members[0]].operands:
            item = items[box.members[0]]
            used = [
                f"v{home[j]}" + ("" if p is None else f" (d {number(p, precision)})")
                for j, p in zip(item.operands, item.partials, strict=True)
            ]
            line += f"  from {', '.join(used)}"
        lines.append(line)
    if len(drawn) > 500:
        lines.append(f"... and {len(drawn) - 500:,} more")
    return "\n".join(lines)
