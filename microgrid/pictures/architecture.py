"""A model as a picture of its architecture: neurons in columns, weights by width and colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from microgrid.engine import Value
from microgrid.nn import Layer, Module, Neuron
from microgrid.pictures.digraph import FILLS, LINE, NEGATIVE, POSITIVE, escaped, number, printable

WIDEST = 24
"""Neurons of a layer that are drawn one by one; a wider layer is one box."""


def add(picture: Any, model: Module, *, precision: int, show_grad: bool, max_nodes: int) -> None:
    """Add the columns of a model's layers. Raises ValueError when it holds none."""
    columns = _layers(model)
    if not columns:
        raise ValueError(f"{type(model).__name__} has no layers of neurons to draw; draw its output instead")
    picture.attr(nodesep="0.12", ranksep="1.1", splines="line")
    inputs = _fan_in(columns[0])
    wide = max(inputs, *map(len, columns)) > WIDEST or inputs + sum(map(len, columns)) > max_nodes
    before = _add_inputs(picture, inputs, wide)
    lines = [f"inputs: {inputs}"]
    for k, neurons in enumerate(columns):
        before = (_add_summary if wide else _add_neurons)(picture, k, neurons, before, precision, show_grad)
        lines.append(f"layers[{k}]: {_described(neurons)}")
    picture.boxes = len(columns) + 1 if wide else inputs + sum(map(len, columns))
    picture.as_text = "\n".join(lines)


def _layers(model: Module, above: tuple[Module, ...] = ()) -> list[Sequence[Neuron]]:
    """The neurons of each layer, in order: of everything that the model holds, or of itself."""
    if isinstance(model, Neuron):
        return [[model]]
    if isinstance(model, Layer):
        return [model.neurons]
    found: list[Sequence[Neuron]] = []
    for held in vars(model).values():
        for part in held if isinstance(held, (list, tuple)) else [held]:
            if isinstance(part, Module) and all(part is not module for module in (*above, model)):
                found += _layers(part, (*above, model))
    return found


def _fan_in(neurons: Sequence[Neuron]) -> int:
    return max((len(neuron.w) for neuron in neurons), default=0)


def _activation(neuron: Neuron) -> str:
    activation = neuron.activation
    if activation is None:
        return "linear"
    return printable(str(getattr(activation, "name", getattr(activation, "__name__", "f"))))


def _described(neurons: Sequence[Neuron]) -> str:
    kinds = list(dict.fromkeys(map(_activation, neurons)))
    count = sum(len(neuron.parameters()) for neuron in neurons)
    return f"{len(neurons)} × {' or '.join(kinds)}, {count:,} parameters"


def _add_inputs(picture: Any, count: int, wide: bool) -> list[str]:
    look = {"fillcolor": FILLS["input"], "color": LINE, "class": "input"}
    if wide:
        picture.node("x", f"{count:,} inputs", **look)
        return ["x"]
    for i in range(count):
        picture.node(f"x{i}", f"x[{i}]", shape="circle", width="0.5", fixedsize="true", tooltip=f"input {i}", **look)
    return [f"x{i}" for i in range(count)]


def _add_summary(
    picture: Any, k: int, neurons: Sequence[Neuron], before: list[str], precision: int, show_grad: bool
) -> list[str]:
    name = f"layer{k}"
    text = f"layers[{k}]\n{_described(neurons)}"
    picture.node(name, escaped(text), fillcolor=FILLS["folded"], peripheries="2", color=LINE, **{"class": "folded"})
    picture.edge(before[0], name, f"{sum(len(neuron.w) for neuron in neurons):,} weights")
    return [name]


def _add_neurons(
    picture: Any, k: int, neurons: Sequence[Neuron], before: list[str], precision: int, show_grad: bool
) -> list[str]:
    sizes = [abs(w.data) for neuron in neurons for w in neuron.w]
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0) or 1.0
    names = [f"n{k}_{i}" for i in range(len(neurons))]
    with picture.subgraph(name=f"cluster_{k}") as frame:
        frame.attr(label=f"layers[{k}]", color=LINE, style="rounded,dotted")
        for name, neuron in zip(names, neurons, strict=True):
            frame.node(
                name,
                escaped(f"{_activation(neuron)}\nb {number(neuron.b.data, 2)}"),
                shape="circle",
                width="0.75",
                fixedsize="true",
                fontsize="9",
                fillcolor=FILLS["intermediate"],
                color=LINE,
                tooltip=escaped(f"layers[{k}].neurons[{names.index(name)}] {_tip(neuron.b, precision, show_grad)}"),
                **{"class": "intermediate"},
            )
    for name, neuron in zip(names, neurons, strict=True):
        for source, w in zip(before, neuron.w, strict=False):
            sign = "positive" if w.data > 0.0 else "negative" if w.data < 0.0 else "none"  # 0 and NaN have none
            thickness = 0.0 if math.isnan(w.data) else min(1.0, abs(w.data) / largest)
            picture.edge(
                source,
                name,
                color={"positive": POSITIVE, "negative": NEGATIVE}.get(sign, LINE),
                penwidth=f"{0.3 + 3.0 * thickness:.2f}",
                arrowhead="none",
                style={"positive": "solid", "negative": "dashed"}.get(sign, "dotted"),
                tooltip=escaped(_tip(w, precision, show_grad)),
                **{"class": sign},
            )
    return names


def _tip(value: Value, precision: int, show_grad: bool) -> str:
    text = f"{value.label or 'value'} = {number(value.data, precision)}"
    return f"{text}, grad {number(value.grad, precision)}" if show_grad and value.grad else text
