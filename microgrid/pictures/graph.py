"""A graph or a program as a sketch: a box for each item or fold, frames for modules, derivatives on the edges."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from microgrid.core.primitive import POWER, Op, has_rule
from microgrid.pictures import symbols
from microgrid.pictures.colours import FILLS, LINE, NEGATIVE, POSITIVE, own
from microgrid.pictures.digraph import number
from microgrid.pictures.outline import Box, Item, arrows, boxes
from microgrid.pictures.sketch import Attributes, Sketch, printable
from microgrid.text.notation import Written

LONGEST_NAME = 24
"""Maximum length of an expression that stands for a value without a label in a formula."""

MOST_FORMULAS = 2000
"""Maximum number of values of a graph whose edges say their formulas."""

BUNDLED = 5
"""Minimum number of edges from a folded box to one value that are drawn as one: a mean of a hundred losses."""

ORDINALS = "①②③④⑤⑥⑦⑧⑨"


def add(
    sketch: Sketch,
    items: Sequence[Item],
    *,
    precision: int,
    show_grad: bool,
    apart: bool,
    depth: int | None,
    max_nodes: int,
    styles: Mapping[int, Attributes] | None = None,
    fills: Mapping[str, str] | None = None,
) -> tuple[list[Box], str]:
    """Add the items to a sketch in boxes v0, v1, ...; these and the picture as text come back.

    `apart`: operations stand by themselves. `styles` are Graphviz's attributes of single items, `fills` the colours of
    roles.
    """
    drawn = boxes(items, max_nodes=max_nodes, depth=depth)
    computed = any(item.grad for item in items if item.role == "output")
    texts = [
        [box.title, f"{sum(items[i].size for i in box.members):,} values"]
        if box.folded
        else lines(items[box.members[0]], precision, show_grad, computed, apart)
        for box in drawn
    ]
    homes = _frames(sketch, drawn)
    ids = _ids(items, drawn)
    for i, box in enumerate(drawn):
        item = items[box.members[0]]
        look = _look(item, box, show_grad and computed, fills or {})
        if not box.folded and styles and box.members[0] in styles:
            look = own(look, styles[box.members[0]])
        sketch.node(f"v{i}", "\n".join(texts[i]), homes[i], id=ids[i], **look)
        if apart and item.sign and not box.folded:
            look = {"shape": "circle", "fillcolor": FILLS["intermediate"], "margin": "0.04", "class": "intermediate"}
            sketch.node(f"v{i}_op", _with_places(item), homes[i], color=LINE, **look)
            sketch.edge(f"v{i}_op", f"v{i}")
    home = {member: i for i, box in enumerate(drawn) for member in box.members}
    names = _names(items) if len(items) <= MOST_FORMULAS else []
    for i, box in enumerate(drawn):
        if not box.folded:
            item = items[box.members[0]]
            head = f"v{i}_op" if apart and item.sign else f"v{i}"
            from_folded = Counter(home[operand] for operand in item.operands if drawn[home[operand]].folded)
            for tail, count in from_folded.items():
                if count >= BUNDLED:
                    of_all = {item.partials[k] for k, operand in enumerate(item.operands) if home[operand] == tail}
                    partial = of_all.pop() if len(of_all) == 1 else None
                    label = [] if partial is None else [number(partial, precision)]
                    ends = f"{ids[tail]}-{ids[i]}"
                    sketch.edge(f"v{tail}", head, " ".join(label), id=ends, tooltip=f"{count:,} edges")
            for k, operand in enumerate(item.operands):
                if from_folded[home[operand]] >= BUNDLED:
                    continue
                partial = item.partials[k]
                label = [ORDINALS[k]] if _places(item) and k < len(ORDINALS) else []
                label += [] if partial is None else [number(partial, precision)]
                told = {"tooltip": _formula(item, k, names, box.members[0], precision)} if names else {}
                ends = f"{ids[home[operand]]}-{ids[i]}" + ("" if k == 0 else f"-{k + 1}")
                sketch.edge(f"v{home[operand]}", head, " ".join(label), id=ends, **told)
    for (start, end), count in arrows(items, drawn).items():
        if drawn[end].folded:
            told = {"tooltip": f"{count:,} edges"} if count > 1 else {}
            sketch.edge(f"v{start}", f"v{end}", id=f"{ids[start]}-{ids[end]}", **told)
    return drawn, _as_text(items, drawn, texts, home, precision)


def lines(item: Item, precision: int, show_grad: bool, computed: bool, apart: bool) -> list[str]:
    """Return the text of an item: its name, op, number and gradient."""
    found = [item.title if apart else " = ".join(filter(None, [item.title, item.note, _with_places(item)]))]
    if item.data is not None:
        shown = number(item.data, precision)
        found.append(shown if item.role == "constant" and not item.title else f"data {shown}")
    if show_grad and item.grad is not None:
        found.append(f"grad {number(item.grad, precision)}" if computed else "grad –")
    return [line for line in found if line] or ["value"]


def _with_places(item: Item) -> str:
    """Return the sign; of an operator whose operands must be told apart, with their places."""
    infix = item.op is not None and item.op.precedence < POWER and len(item.operands) == 2
    return f"① {item.sign} ②" if infix and _places(item) else item.sign


def _places(item: Item) -> bool:
    """Return True if the operands' places matter, and so stand on the edges."""
    return item.op is not None and len(item.operands) > 1 and not _symmetric(item.op, len(item.operands), item.static)


@functools.cache
def _symmetric(op: Op, count: int, static: tuple[float, ...]) -> bool:
    """Return True if the op has the same result for its operands in any order, or only numbers instead of a rule."""
    if not has_rule(op):
        return True
    points = ((0.3, 0.7, -0.4), (2.0, 3.0, 5.0), (-1.5, 0.25, 1.0))
    if count > 3:
        return False
    for point in points:
        given = point[:count]
        turned = [(*given[k:], *given[:k]) for k in range(count)]
        try:
            results = {repr(op.float_forward(*xs, *static)) for xs in (*turned, given[::-1])}
        except (ArithmeticError, ValueError, TypeError):  # an op of the user that has no value there
            return False
        if len(results) > 1:
            return False
    return True


def _ids(items: Sequence[Item], drawn: Sequence[Box]) -> list[str]:
    """Return an id for each box: its label or part of the model, else its number; numbered where there are several."""
    found = []
    used: Counter[str] = Counter()
    for i, box in enumerate(drawn):
        title = f"{box.module}.{box.title}".strip(".") if box.folded else items[box.members[0]].title
        wanted = re.sub(r"\s+", "_", title) or f"v{i}"
        used[wanted] += 1
        found.append(wanted if used[wanted] == 1 else f"{wanted}-{used[wanted]}")
    return found


def _names(items: Sequence[Item]) -> list[Written]:
    """Return a name for each item in formulas: its label or number, else its expression while that is short."""
    found: list[Written] = []
    for i, item in enumerate(items):
        name = symbols.name(item.title) if item.title else None
        if name is None and item.op is not None:
            name = symbols.applied(item.op, [found[j] for j in item.operands], item.static)
        elif name is None and item.sign and item.operands:
            name = symbols.name(f"v{i}")
        elif name is None and item.data is not None:
            name = symbols.number(item.data)
        found.append(name if name is not None and len(name.text) <= LONGEST_NAME else symbols.name(f"v{i}"))
    return found


def _formula(item: Item, k: int, names: Sequence[Written], i: int, precision: int) -> str:
    """Return the local derivative by an operand: as a formula, and as a number."""
    op = item.op
    operands = [names[j] for j in item.operands]
    if op is None:
        partial = item.partials[k]
        return f"d({item.sign})/d({operands[k].text})" + ("" if partial is None else f" = {number(partial, precision)}")
    whole, by = symbols.applied(op, operands, item.static).text, operands[k].text
    parts = [f"d({whole})/d({by})" if len(by) > 1 or by.isdigit() else f"d({whole})/d{by}"]
    if has_rule(op):
        parts.append(symbols.partial(op, k, names[i], operands, item.static).text)
    partial = item.partials[k]
    if partial is not None:
        parts.append(number(partial, precision))
    return " = ".join(dict.fromkeys(parts)).replace("-", "−")


def _frames(sketch: Sketch, drawn: Sequence[Box]) -> list[int]:
    """Add the frames of the boxes' modules, each in that of the module around it; return the frame of each box."""
    children: dict[str, list[str]] = {}
    for box in drawn:
        path = box.module
        while path:
            parent = path.rpartition(".")[0]
            if path in children.setdefault(parent, []):
                break
            children[parent].append(path)
            path = parent
    number_of = {"": -1}
    waiting = list(reversed(children.get("", [])))
    while waiting:
        path = waiting.pop()
        parent, _, last = path.rpartition(".")
        look = {"color": LINE, "style": "rounded,dotted"}
        number_of[path] = sketch.frame(last, number_of[parent], tooltip=path, **look)
        waiting += reversed(children.get(path, []))
    return [number_of[box.module] for box in drawn]


def _look(item: Item, box: Box, coloured: bool, fills: Mapping[str, str]) -> Attributes:
    role = "folded" if box.folded else item.role
    look: Attributes = {
        "fillcolor": FILLS[role],
        "color": LINE,
        "penwidth": "2" if role == "output" else "1.2",
        "tooltip": " ".join(part for part in (role, item.module) if part),
        "class": role,
    }
    if role == "parameter":
        look["style"] = "filled"
    elif role == "constant":
        look["style"] = "rounded,filled,dashed"
    elif role == "folded":
        look["peripheries"] = "2"
    if role in fills:
        look = own(look, {"fillcolor": fills[role]})
    if coloured and not box.folded and item.grad and item.grad == item.grad:  # NaN has no sign
        positive = item.grad > 0.0
        look["color"] = POSITIVE if positive else NEGATIVE
        look["class"] += " positive" if positive else " negative"
    return look


def _as_text(
    items: Sequence[Item], drawn: Sequence[Box], texts: Sequence[Sequence[str]], home: Mapping[int, int], precision: int
) -> str:
    lines = []
    for i, box in enumerate(drawn[:500]):
        line = f"v{i}  " + printable("  ".join(texts[i])).replace("data ", "= ")
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
