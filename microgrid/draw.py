"""`draw`: the picture of a graph, of a program or of a model, as a `graphviz.Digraph`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from microgrid.core.files import ending
from microgrid.engine import Value
from microgrid.nn import Module
from microgrid.pictures import architecture, graph
from microgrid.pictures.digraph import ENDINGS, new_picture
from microgrid.pictures.outline import Item, items_of, items_of_program
from microgrid.program import Program

if TYPE_CHECKING:
    import graphviz


def draw(
    root: Value | Program | Module,
    *,
    rankdir: Literal["LR", "TB", "RL", "BT"] = "LR",
    format: str = "svg",
    filename: str | Path | None = None,
    precision: int = 4,
    show_grad: bool = True,
    names: Mapping[str, Any] | None = None,
    ops: Literal["merged", "node"] = "merged",
    depth: int | None = None,
    max_nodes: int = 200,
) -> graphviz.Digraph:
    """Draw the graph of a value, a program, or a model's neurons, as a picture that a notebook shows.

    Of a graph each box has the label and the operation, the number and the gradient (a dash before `backward()`), and
    each edge the local derivative; modules are frames. `names=locals()` uses variable names where a value has no label.
    `ops="node"` gives operations nodes of their own, as micrograd's notebook does. Above `max_nodes` boxes neurons,
    then layers, fold into one box that says how many values it holds; `depth` folds modules below that level: 0
    makes a model one box, 1 each of its layers, 2 each neuron.

    A model is drawn as neurons and weights, as one call of it shows them; one that computes anything else with its
    inputs or its neurons' results is a ValueError: draw its output.

    `.source` is the DOT text, the same for the same graph; `filename` writes the rendered picture: SVG, PNG or PDF, as
    its ending says, or `format` where it has none. Without Graphviz a notebook shows text. Raises TypeError when root
    is nothing that can be drawn, ValueError for an ending of no picture.
    """
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir must be LR, TB, RL or BT, got {rankdir!r}")
    if ops not in ("merged", "node"):
        raise ValueError(f'ops must be "merged" or "node", got {ops!r}')
    if precision < 1:
        raise ValueError(f"precision counts digits and must be at least 1, got {precision}")
    if max_nodes < 1:
        raise ValueError(f"max_nodes counts boxes and must be at least 1, got {max_nodes}")
    if depth is not None and depth < 0:
        raise ValueError(f"depth counts the levels of modules that stay open, from 0 on, got {depth}")
    written = ending(filename, *ENDINGS)[1:] if filename is not None and Path(filename).suffix else format
    picture = new_picture(rankdir=rankdir, format=format)
    if isinstance(root, Module):
        architecture.add(picture, root, precision=precision, show_grad=show_grad, max_nodes=max_nodes)
    else:
        graph.add(
            picture,
            _items(root, names or {}),
            precision=precision,
            show_grad=show_grad,
            apart=ops == "node",
            depth=depth,
            max_nodes=max_nodes,
        )
    if filename is not None:
        Path(filename).write_bytes(picture.pipe(written))
    return picture


def _items(root: Any, names: Mapping[str, Any]) -> list[Item]:
    if isinstance(root, Value):
        return items_of(root, names)
    if isinstance(root, Program):
        return items_of_program(root)
    raise TypeError(f"draw takes a Value, a Program or a Module, got {type(root).__name__} ({root!r})")
