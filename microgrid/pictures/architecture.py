"""A model as a picture of its architecture: neurons in columns, weights by width and colour."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from microgrid.engine import Value
from microgrid.nn import Module, Neuron
from microgrid.pictures.colours import FILLS, LINE, NEGATIVE, POSITIVE, own
from microgrid.pictures.digraph import number
from microgrid.pictures.network import Column, Place, network_of
from microgrid.pictures.sketch import Sketch, printable

WIDEST = 24
"""Maximum number of neurons of a layer that are drawn one by one; a wider layer is one box."""


def add(
    sketch: Sketch, model: Module, *, precision: int, show_grad: bool, max_nodes: int, fills: Mapping[str, str]
) -> tuple[int, str]:
    """Add the columns of a model's neurons; the number of boxes and the picture as text come back.

    Raises ValueError if the model does more than pass numbers between neurons.
    """
    inputs, columns = network_of(model)
    titles = _titles([column.title for column in columns])
    leaps = _leaps(columns)
    sizes = [inputs, *(len(column.neurons) for column in columns)]
    wide = max(sizes) > WIDEST or sum(sizes) > max_nodes
    if not wide:  # lines are told apart by their slopes: the higher the layers, the farther apart
        sketch.attributes["ranksep"] = f"{max(1.1, 0.28 * max(sizes)):.2f}"
    sketch.attributes.update(nodesep="0.12", splines="spline" if leaps else "line", outputorder="edgesfirst")
    _add_inputs(sketch, inputs, wide)
    for k, column in enumerate(columns):
        (_add_summary if wide else _add_neurons)(sketch, k, column, titles[k], precision, show_grad)
    if not leaps and not wide:
        sketch.columns = [[f"x{i}" for i in range(inputs)]]
        sketch.columns += [[f"n{k}_{i}" for i in range(size)] for k, size in enumerate(sizes[1:])]
    for look in sketch.nodes.values():
        if look["class"] in fills:
            look.update(own(look, {"fillcolor": fills[look["class"]]}))
    described = [f"{title}: {_described(column.neurons)}" for title, column in zip(titles, columns, strict=True)]
    return len(sizes) if wide else sum(sizes), "\n".join([f"inputs: {inputs}", *described])


def _leaps(columns: Sequence[Column]) -> bool:
    """Return True if a neuron's inputs come from layers at different depths: lines would cross boxes."""
    depths = {-1: 0}
    for k, column in enumerate(columns):
        before = {depths[source] for source, _ in column.sources}
        if len(before) > 1:
            return True
        depths[k] = 1 + max(before, default=0)
    return False


def _titles(parts: Sequence[str]) -> list[str]:
    """Return the titles of columns: the part of the model, or a number; with a count for repeated calls."""
    found: list[str] = []
    for k, part in enumerate(parts):
        again = parts[: k + 1].count(part)
        title = printable(part) or f"layers[{k}]"
        found.append(f"{title}, call {again}" if part and again > 1 else title)
    return found


def _name(place: Place, wide: bool) -> str:
    """Return the box that a number comes from."""
    k, i = place
    if wide:
        return f"layer{k}" if k >= 0 else "x"
    return f"n{k}_{i}" if k >= 0 else f"x{i}"


def _activation(neuron: Neuron) -> str:
    activation = neuron.activation
    if activation is None:
        return "linear"
    return printable(str(getattr(activation, "name", getattr(activation, "__name__", "f"))))


def _described(neurons: Sequence[Neuron]) -> str:
    kinds = list(dict.fromkeys(map(_activation, neurons)))
    count = sum(len(neuron.parameters()) for neuron in neurons)
    return f"{len(neurons)} × {' or '.join(kinds)}, {count:,} parameters"


def _add_inputs(sketch: Sketch, count: int, wide: bool) -> None:
    look = {"fillcolor": FILLS["input"], "color": LINE, "class": "input"}
    if wide:
        sketch.node("x", f"{count:,} inputs", -1, **look)
        return
    for i in range(count):
        sketch.node(f"x{i}", f"x[{i}]", -1, shape="circle", width="0.5", fixedsize="true", tooltip=f"input {i}", **look)


def _add_summary(sketch: Sketch, k: int, column: Column, title: str, precision: int, show_grad: bool) -> None:
    text = f"{title}\n{_described(column.neurons)}"
    look = {"fillcolor": FILLS["folded"], "peripheries": "2", "color": LINE, "class": "folded"}
    sketch.node(f"layer{k}", text, -1, **look)
    for source, count in Counter(_name(place, True) for place in column.sources).items():
        sketch.edge(source, f"layer{k}", f"{count * len(column.neurons):,} weights")


def _add_neurons(sketch: Sketch, k: int, column: Column, title: str, precision: int, show_grad: bool) -> None:
    sizes = [abs(w.data) for neuron in column.neurons for w in neuron.w]
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0) or 1.0
    frame = sketch.frame(title, color=LINE, style="rounded,dotted")
    for i, neuron in enumerate(column.neurons):
        sketch.node(
            f"n{k}_{i}",
            f"{_activation(neuron)}\nb {number(neuron.b.data, 2)}",
            frame,
            id=f"{title}.neurons[{i}]".replace(" ", "_"),
            shape="circle",
            width="0.75",
            fixedsize="true",
            fontsize="9",
            fillcolor=FILLS["intermediate"],
            color=LINE,
            tooltip=f"{title}.neurons[{i}] {_tip(neuron.b, precision, show_grad)}",
            **{"class": "intermediate"},
        )
    for i, neuron in enumerate(column.neurons):
        for place, w in zip(column.sources, neuron.w, strict=True):
            sign = "positive" if w.data > 0.0 else "negative" if w.data < 0.0 else "none"  # 0 and NaN have none
            thickness = 0.0 if math.isnan(w.data) else min(1.0, abs(w.data) / largest)
            sketch.edge(
                _name(place, False),
                f"n{k}_{i}",
                color={"positive": POSITIVE, "negative": NEGATIVE}.get(sign, LINE),
                penwidth=f"{0.3 + 3.0 * thickness:.2f}",
                arrowhead="none",
                style={"positive": "solid", "negative": "dashed"}.get(sign, "dotted"),
                tooltip=_tip(w, precision, show_grad),
                **{"class": sign},
            )


def _tip(value: Value, precision: int, show_grad: bool) -> str:
    text = f"{value.label or 'value'} = {number(value.data, precision)}"
    return f"{text}, grad {number(value.grad, precision)}" if show_grad and value.grad else text
