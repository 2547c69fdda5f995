"""`draw`: the picture of a graph, of a program or of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from microgrid.core.files import PathLike, ending
from microgrid.engine import Value
from microgrid.nn import Module
from microgrid.pictures.colours import FILLS
from microgrid.pictures.gathering import gathered
from microgrid.pictures.outline import Item, items_of, items_of_program, shown
from microgrid.program import Program


def draw(
    root: Value | Program | Module,
    *,
    rankdir: Literal["LR", "TB", "RL", "BT"] = "LR",
    format: str = "svg",
    filename: PathLike | None = None,
    precision: int = 4,
    show_grad: bool = True,
    names: Mapping[str, Any] | None = None,
    ops: Literal["merged", "node"] = "merged",
    depth: int | None = None,
    max_nodes: int = 200,
    unfold: bool = False,
    dpi: float | None = None,
    colours: Mapping[str, str] | None = None,
    styles: Mapping[Any, Mapping[str, Any]] | None = None,
) -> Any:
    """Draw the graph of a value, a program, or a model's neurons, as a picture that a notebook shows.

    In a graph, each box shows the label, the operation, the number and the gradient (a dash before `backward()`). Each
    edge shows the local derivative, and its formula under the pointer. Modules are frames. ① and ② mark the first and
    the second operand where their order matters.

    `names=locals()` uses variable names where a value has no label. `ops="node"` draws operations as nodes of their
    own, as micrograd's notebook does. A graph of more than `max_nodes` boxes is folded: first each neuron, then each
    layer becomes one box, which says how many values it holds. `depth` folds modules below that level: 0 makes a model
    one box, 1 each of its layers, 2 each neuron. A mean, or a sum of four terms or more, is one box; `unfold=True`
    draws each addition.

    A model is drawn as neurons and weights, as one call of it shows them. A model that computes anything else with its
    inputs or with its neurons' results raises ValueError: draw its output instead.

    `colours` gives fills by role: input, parameter, constant, intermediate, output, folded. `styles` gives Graphviz's
    attributes of single boxes, by value or by label: `styles={loss: {"fillcolor": "#FFD54F", "penwidth": 3}}`. In the
    SVG, the id of a box is its label, or v and its number; that of an edge is made of those of its boxes.

    The result is a `graphviz.Digraph` where that package is installed. `.source` is the DOT text, which is the same for
    the same graph. `.svg` is the picture, laid out by Graphviz where it is installed, and by microgrid otherwise.
    `filename` and `.save(path)` write the picture in the format of the ending; a `filename` without an ending is
    written in `format`. `.render(view=True)` opens it. All formats but SVG need Graphviz; `dpi` is the resolution of
    PNG and JPEG. Raises TypeError when root cannot be drawn, ValueError when the ending is not that of a picture,
    ImportError where Graphviz is needed and missing.

    >>> from microgrid.engine import Value
    >>> picture = draw(Value(2.0, label="a") * 3.0)  # a notebook shows it
    >>> "data 6" in picture.svg
    True
    """
    from pathlib import Path

    from microgrid.pictures import architecture, graph
    from microgrid.pictures.digraph import ENDINGS, new_picture
    from microgrid.pictures.sketch import Sketch

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
    if dpi is not None and not 1 <= dpi <= 2400:
        raise ValueError(f"dpi is a resolution from 1 to 2400, got {dpi!r}")
    unknown = [role for role in colours or {} if role not in FILLS]
    if unknown:
        raise ValueError(f"colours takes the roles {', '.join(FILLS)}; got {unknown[0]!r}")
    written = ending(filename, *ENDINGS)[1:] if filename is not None and Path(filename).suffix else format
    sketch = Sketch({"rankdir": rankdir, **({} if dpi is None else {"dpi": f"{dpi:g}"})})
    if isinstance(root, Module):
        if styles:
            raise ValueError("styles apply to values, and a model is drawn as neurons: draw its output instead")
        boxes, text = architecture.add(
            sketch, root, precision=precision, show_grad=show_grad, max_nodes=max_nodes, fills=colours or {}
        )
    else:
        items = _items(root, names or {})
        looks = _styles(root, items, styles or {})
        if not unfold:
            items, places = gathered(items, looks)
            looks = {k: looks[own[-1]] for k, own in enumerate(places) if own[-1] in looks}
        drawn, text = graph.add(
            sketch,
            items,
            precision=precision,
            show_grad=show_grad,
            apart=ops == "node",
            depth=depth,
            max_nodes=max_nodes,
            styles=looks,
            fills=colours or {},
        )
        boxes = len(drawn)
    picture = new_picture(sketch, format=format)
    picture.boxes = boxes
    picture.as_text = text
    if filename is not None:
        Path(filename).write_bytes(picture.pipe(written))
    return picture


def _items(root: Any, names: Mapping[str, Any]) -> list[Item]:
    from microgrid.pictures.composites import with_names

    if isinstance(root, Value):
        return with_names(items_of(root, names))
    if isinstance(root, Program):
        return with_names(items_of_program(root))
    raise TypeError(f"draw takes a Value, a Program or a Module, got {type(root).__name__} ({root!r})")


def _styles(root: Value | Program, items: list[Item], styles: Mapping[Any, Mapping[str, Any]]) -> dict[int, Any]:
    """Return the styles by the indices of the items. Raises KeyError for a value or label that is not in the graph."""
    if not styles:
        return {}
    places: dict[Any, list[int]] = {}
    for i, item in enumerate(items):
        places.setdefault(item.title, []).append(i)
    if isinstance(root, Value):
        places.update((value, [i]) for i, value in enumerate(shown([root])))
    found: dict[int, Any] = {}
    for key, look in styles.items():
        if key not in places or key == "":
            raise KeyError(f"styles: the picture has no {key!r}; write a value of the graph, or a label")
        for i in places[key]:
            found.setdefault(i, {}).update((name, str(x)) for name, x in look.items())
    return found
