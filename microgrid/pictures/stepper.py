"""The stepper: a page that walks through the forward and the backward pass, one node at a time.

It is one piece of HTML that needs no network, no kernel and no library. Where scripts may not run, it is the picture of
the final state with a text for those who cannot see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from microgrid.engine import Value
from microgrid.pictures import graph, web
from microgrid.pictures.digraph import DARK, FILLS, new_picture, number
from microgrid.pictures.layout import svg
from microgrid.pictures.outline import Box, Item, arrows

MOST_VALUES = 220
"""Maximum number of values that are stepped one by one; larger graphs are stepped by module, and unfold on demand."""

MOST_STEPS = 1500
"""Maximum number of steps with details in the page, above the 1,280 of an MLP(2, [16, 16, 1]); a larger graph does not
unfold."""


class Walk(Protocol):
    """The protocol of `microgrid.steps` that a page uses."""

    @property
    def items(self) -> Sequence[Item]:
        """Items of the picture, one for each value."""
        ...

    @property
    def values(self) -> Sequence[Value]:
        """The values."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the values."""
        ...

    @property
    def starts(self) -> Sequence[float]:
        """Gradients before the backward pass."""
        ...

    @property
    def grads(self) -> Sequence[float]:
        """Gradients after the backward pass."""
        ...

    def order(self) -> Sequence[int]:
        """Return the index of the value of each step."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


def page(steps: Walk) -> str:
    """Return the stepper as a page that opens by itself."""
    return web.page(f"Steps of {steps.names[-1]}", html(steps))


def html(steps: Walk) -> str:
    """Return the stepper as a piece of HTML for a notebook or a page."""
    names = steps.names
    items = [
        item._replace(title=_title(item, i, names[i]), grad=None if item.grad is None else grad)
        for i, (item, grad) in enumerate(zip(steps.items, steps.grads, strict=True))
    ]
    picture = new_picture(rankdir="LR", format="svg")
    drawn = graph.add(picture, items, precision=6, show_grad=True, apart=False, depth=None, max_nodes=MOST_VALUES)
    home = {i: k for k, box in enumerate(drawn) for i in box.members}
    texts = [_lines(box, items, steps) for box in drawn]
    roles = ["folded" if box.folded else items[box.members[0]].role for box in drawn]
    data = _data(steps, names, drawn, home)
    uid = web.new_id(web.as_json(data))
    edges = [(home[j], k) for k, box in enumerate(drawn) if not box.folded for j in items[box.members[0]].operands]
    edges += [pair for pair in arrows(items, drawn) if drawn[pair[1]].folded]
    drawing = svg(edges, texts, roles, title=names[-1], style=_svg_style(set(roles)), uid=uid)
    fallback = web.image(drawing, _in_words(steps, names))
    return web.piece(uid, fallback, "stepper.js", data)


def _svg_style(roles: set[str]) -> str:
    """Return the style of the picture."""
    light, dark = (
        f".mg rect{{fill:{colours['intermediate']}}}"
        + "".join(f".mg .{role} rect{{fill:{colours[role]}}}" for role in sorted(roles - {"intermediate"}))
        for colours in (FILLS, DARK)
    )
    return (
        ".mg text{font:11px Arial,sans-serif;text-anchor:middle;fill:#222}"
        ".mg rect{rx:8px;stroke:#777}"
        + (".mg .parameter rect{rx:2px}" if "parameter" in roles else "")
        + f".mg path{{fill:none;stroke:#777}}{light}"
        f"@media (prefers-color-scheme:dark){{.mg text{{fill:#f0f0f0}}{dark}}}"
    )


def _title(item: Item, i: int, name: str) -> str:
    """Return the title of a box: the number that the text uses, where a value has no better name."""
    return _short(item.title) or (name if name == f"v{i}" else "")


def _lines(box: Box, items: Sequence[Item], steps: Walk) -> list[str]:
    item = items[box.members[0]]
    if box.folded:
        return [box.title, f"{len(box.members):,} values"]
    head = " = ".join(part for part in (item.title, item.sign) if part)
    found = [head] if head else []
    found.append(_n(steps.values[box.members[0]].data))
    return found if item.grad is None else [*found, f"grad {_n(steps.grads[box.members[0]])}"]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _n(x: float) -> str:
    return number(x, 6)


# --- what the script is given --------------------------------------------------------------------------------------


def _data(steps: Walk, names: Sequence[str], drawn: Sequence[Box], home: dict[int, int]) -> dict[str, Any]:
    """Return nodes, steps and runs of steps within one box. Numbers are text already, as `steps` prints them."""
    folded = any(box.folded for box in drawn)
    whole = len(steps) <= MOST_STEPS or not folded
    data: dict[str, Any] = {
        "nodes": [
            [names[i] if whole or not drawn[home[i]].folded else "", _n(steps.values[i].data), int(bool(item.operands))]
            + ([] if item.grad is None else [_n(steps.starts[i])])
            for i, item in enumerate(steps.items)
        ]
        if whole
        else [],
        "half": len(steps) // 2,
        "total": len(steps),
        "steps": [_step(step) for step in steps] if whole else [],
    }
    if folded:
        data["home"] = [home[i] for i in range(len(home))] if whole else []
        data["boxes"] = [
            ".".join([*box.module.split(".")[1:], box.title]) if box.title else names[box.members[0]] for box in drawn
        ]
        data["runs"] = _runs(steps, home)
    return data


def _step(step: Any) -> list[Any]:
    """Return a step as data: node, expression, remarks; and for a backward step the cotangent, its reason,
    contributions and differences."""
    found: list[Any] = [step.node, "" if step.expression == step.name else step.expression, list(step.remarks)]
    if step.phase == "backward":
        contributions = [
            [c.operand, c.formula, _n(c.partial), _n(c.contribution), _n(c.after)] for c in step.contributions
        ]
        found += [_n(step.upstream), step.why, contributions, list(step.ready), list(step.waiting)]
        if step.numerical is not None:
            found.append(_n(step.numerical))
    return found


def _runs(steps: Walk, home: dict[int, int]) -> list[list[Any]]:
    """Return runs of steps within one box: first step, count, box, and the boxes they lead to."""
    order = steps.order()
    runs = []
    start = 0
    for k in range(1, len(order) + 1):
        if k == len(order) or home[order[k]] != home[order[start]] or k == len(order) // 2:
            here = home[order[start]]
            reached = Counter(home[j] for i in order[start:k] for j in steps.items[i].operands if home[j] != here)
            runs.append([start, k - start, here, [list(pair) for pair in reached.items()]])
            start = k
    return runs


def _in_words(steps: Walk, names: Sequence[str]) -> str:
    leaves = [
        f"{names[i]} {_n(steps.grads[i])}" for i, item in enumerate(steps.items) if item.role in ("input", "parameter")
    ]
    listed = ", ".join(leaves[:30]) + (f" and {len(leaves) - 30} more" if len(leaves) > 30 else "")
    value = _n(steps.values[-1].data)
    return f"The graph of {names[-1]}, which is {value}. Its gradients: {listed}."
