"""The picture of a graph: one box per value, the local derivatives on the edges."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from microgrid.engine import CONSTANT, Value, topological

if TYPE_CHECKING:
    import graphviz

ADVICE = "For the picture itself: pip install 'microgrid[draw]', or install Graphviz."

SIGNS = {"mul": "×", "sub": "−", "neg": "−", "div": "÷"}

# Opaque fills under dark text, and mid-grey lines, read on a light and on a dark page alike. Blue for a positive and
# vermilion for a negative gradient can be told apart by colour-blind people; the sign is in the text as well.
FILLS = {"leaf": "#E3F0FA", "constant": "#ECECEC", "result": "#FFFFFF", "output": "#FFF1CF"}
TEXT, LINE, POSITIVE, NEGATIVE = "#1A1A1A", "#7A7A7A", "#0072B2", "#B34700"


def draw(
    root: Value,
    *,
    rankdir: Literal["LR", "TB", "RL", "BT"] = "LR",
    format: str = "svg",
    filename: str | Path | None = None,
    precision: int = 4,
    show_grad: bool = True,
    names: Mapping[str, Any] | None = None,
    ops: Literal["merged", "node"] = "merged",
    max_nodes: int = 300,
) -> graphviz.Digraph:
    """The graph that root was computed by, as a `graphviz.Digraph`: a notebook shows it, `.source` is its text.

    Each box has the label and the operation, the number and the gradient (a dash before `backward()`), and each edge
    the local derivative. `names=locals()` uses variable names where a value has no label; `ops="node"` gives operations
    nodes of their own, as micrograd's notebook does; `filename` writes the rendered picture. The same graph gives the
    same text. Without Graphviz a notebook shows the graph as text. Raises TypeError when root is not a Value, and
    ValueError when there are more than max_nodes values: laying out thousands takes minutes.
    """
    if not isinstance(root, Value):
        raise TypeError(f"draw takes a Value, got {type(root).__name__} ({root!r}); call the model and draw its output")
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir must be LR, TB, RL or BT, got {rankdir!r}")
    if ops not in ("merged", "node"):
        raise ValueError(f'ops must be "merged" or "node", got {ops!r}')
    if precision < 1:
        raise ValueError(f"precision counts digits and must be at least 1, got {precision}")
    values = _shown(root)
    if len(values) > max_nodes:
        raise ValueError(
            f"the graph has {len(values)} values and max_nodes is {max_nodes}: draw a part of it, such as one neuron's "
            "output, or raise max_nodes"
        )
    titles = _titles(values, names or {})
    ids = {value: f"v{i}" for i, value in enumerate(values)}
    picture = _picture_class()(
        format=format,
        graph_attr={"rankdir": rankdir, "bgcolor": "transparent", "nodesep": "0.2", "ranksep": "0.5"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Helvetica,Arial,sans-serif",
            "fontsize": "11",
            "fontcolor": TEXT,
            "margin": "0.14,0.07",
        },
        edge_attr={
            "color": LINE,
            "fontcolor": LINE,
            "fontname": "Helvetica,Arial,sans-serif",
            "fontsize": "10",
            "arrowsize": "0.6",
        },
    )
    computed = root.grad != 0.0
    for value in values:
        title, grad = titles[value], value.grad
        sign = _sign(value)
        lines = [_joined(title, sign) if ops == "merged" else title, f"data {_number(value.data, precision)}"]
        if show_grad and value.op is not CONSTANT:
            lines.append(f"grad {_number(grad, precision)}" if computed else "grad –")
        coloured = show_grad and computed and value.op is not CONSTANT and grad != 0.0
        picture.node(
            ids[value],
            _escaped("\n".join(line for line in lines if line)),
            fillcolor=FILLS[_role(value, root)],
            color=(POSITIVE if grad > 0.0 else NEGATIVE) if coloured else LINE,
            penwidth="2" if value is root else "1.2",
            tooltip=_escaped(value.module or title or _role(value, root)),
        )
        target = ids[value]
        if sign and ops == "node":
            target += "_op"
            picture.node(target, _escaped(sign), shape="circle", fillcolor=FILLS["result"], color=LINE, margin="0.04")
            picture.edge(target, ids[value])
        for operand, partial in _edges(value):
            picture.edge(ids[operand], target, _escaped(_number(partial, precision)))
    picture.as_text = _as_text(values, titles, ids, computed, precision)
    if filename is not None:
        path = Path(filename)
        path.write_bytes(picture.pipe(format=path.suffix[1:] or format))
    return picture


def _shown(root: Value) -> list[Value]:
    """The values that get a box, in the order of recording: all but static operands, which the operation's text has."""
    values = topological([root])
    static = {operand for value in values for operand in value.operands[len(value._prev) :]}
    return [value for value in values if value not in static]


def _edges(value: Value) -> Iterable[tuple[Value, float]]:
    return zip(value._prev, value.partials, strict=False)  # static operands have neither


def _titles(values: list[Value], names: Mapping[str, Any]) -> dict[Value, str]:
    named = {value: name for name, value in names.items() if isinstance(value, Value) and not name.startswith("_")}
    return {value: value.label or named.get(value, "") for value in values}


def _role(value: Value, root: Value) -> str:
    if value is root:
        return "output"
    return "leaf" if value.op is None else "constant" if value.op is CONSTANT else "result"


def _sign(value: Value) -> str:
    if value.op is None or value.op is CONSTANT:
        return ""
    static = [f" {operand.data:g}" for operand in value.operands[len(value._prev) :]]
    return SIGNS.get(value.op.name, value.op.symbol) + "".join(static)


def _joined(title: str, sign: str) -> str:
    return f"{title} = {sign}" if title and sign else title or sign


def _number(x: float, precision: int) -> str:
    return f"{x:.{precision}g}".replace("-", "−")


def _escaped(text: str) -> Any:
    """Text that Graphviz shows as it is: its escapes are backslashes, and it reads HTML entities everywhere."""
    import graphviz

    clean = text.replace("\0", "�").replace("&", "&amp;").replace("\\", "\\\\").replace("\n", "\\n")
    return graphviz.nohtml(clean)  # also keeps <b> from being read as HTML


def _as_text(values: list[Value], titles: dict[Value, str], ids: dict[Value, str], computed: bool, digits: int) -> str:
    lines = []
    for value in values:
        operands = ", ".join(f"{ids[operand]} (d {_number(p, digits)})" for operand, p in _edges(value))
        grad = _number(value.grad, digits) if computed else "–"
        title = _joined(titles[value], _sign(value))
        parts = [ids[value], title, f"= {_number(value.data, digits)}"]
        if value.op is not CONSTANT:
            parts.append(f"grad {grad}")
        lines.append("  ".join(part for part in parts if part) + (f"  from {operands}" if operands else ""))
    return "\n".join(lines)


_layout = threading.Lock()  # the Graphviz library keeps its state in globals


@functools.cache
def _picture_class() -> type[Any]:
    """The class of pictures; made when the first is drawn, since `import microgrid` imports no third-party module."""
    try:
        import graphviz
    except ImportError:
        raise ImportError("draw needs the graphviz package: pip install graphviz") from None

    class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz is untyped
        """A Digraph that is rendered by the system's `dot`, else by pygraphviz, and shown as text without either."""

        as_text = ""

        def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **kwargs: Any) -> Any:
            try:
                return super().pipe(format, *args, encoding=encoding, **kwargs)
            except graphviz.ExecutableNotFound:
                rendered = _render_in_process(self.source, format or self.format)
                return rendered.decode(encoding) if encoding else rendered

        def render(self, filename: Any = None, *args: Any, format: str | None = None, **kwargs: Any) -> str:
            try:
                return str(super().render(filename, *args, format=format, **kwargs))
            except graphviz.ExecutableNotFound:
                source = Path(self.save(filename, *args[:1]))
                target = source.with_name(f"{source.name}.{format or self.format}")
                target.write_bytes(_render_in_process(self.source, format or self.format))
                return str(target)

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
            try:
                return {"image/svg+xml": self.pipe("svg", encoding="utf-8"), "text/plain": self.as_text}
            except Exception as error:  # a display that raises shows nothing at all
                advice = ADVICE if isinstance(error, ImportError) else f"Graphviz failed: {error}"
                return {"text/plain": f"{self.as_text}\n{advice}"}

    return Picture


def _render_in_process(source: str, format: str) -> bytes:
    try:
        import pygraphviz
    except ImportError:
        raise ImportError(f"there is no Graphviz here to render with. {ADVICE}") from None
    with _layout:
        graph = pygraphviz.AGraph(string=source)
        try:
            return bytes(graph.draw(format=format, prog="dot"))
        finally:
            graph.close()
