"""`Picture`: a `graphviz.Digraph` that renders itself where Graphviz is installed, and is text elsewhere."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

from microgrid.pictures.rendering import ADVICE, rendered

ENDINGS = (".svg", ".png", ".pdf", ".jpg", ".jpeg", ".gif", ".eps", ".dot", ".gv")
"""Endings of the files that Graphviz can write."""

LAYOUT_LIMIT = 1500
"""Maximum number of boxes for a layout: more take minutes, and cannot be interrupted."""

# Opaque fills under text, and mid-grey lines, read on a light and on a dark page alike. Blue for a positive and
# vermilion for a negative gradient can be told apart by colour-blind people; the sign is in the text as well.
TEXT, LINE, POSITIVE, NEGATIVE = "#1A1A1A", "#7A7A7A", "#0072B2", "#B34700"
FILLS = {
    "input": "#E3F0FA",
    "parameter": "#EEE8F7",
    "constant": "#ECECEC",
    "intermediate": "#FFFFFF",
    "output": "#FFF1CF",
    "folded": "#F4F4F4",
}
DARK = {
    "input": "#17334A",
    "parameter": "#342A4D",
    "constant": "#3A3A3A",
    "intermediate": "#1F1F1F",
    "output": "#4D3B10",
    "folded": "#2A2A2A",
}
_UNPRINTABLE = re.compile("[\0-\x09\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_SHAPES = ("path", "polygon", "ellipse")
STYLE = (
    "@media (prefers-color-scheme: dark) {"
    + "".join(
        ",".join(f".microgrid .{role} {shape}" for shape in _SHAPES) + f"{{fill:{colour}}}"
        for role, colour in DARK.items()
    )
    + ".microgrid .node text{fill:#F0F0F0}"  # text outside of boxes stays grey: the page may be light all the same
    + ".microgrid .node.positive path,.microgrid .node.positive polygon{stroke:#56B4E9}"
    + ".microgrid .node.negative path,.microgrid .node.negative polygon{stroke:#E69F00}"
    + ".microgrid .edge.positive path{stroke:#56B4E9}.microgrid .edge.negative path{stroke:#E69F00}"
    + "}"
)


def number(x: float, precision: int) -> str:
    """Return a number as a picture writes it."""
    return f"{x:.{precision}g}".replace("-", "−")


def printable(text: str) -> str:
    """Return text that every file and page can hold: U+FFFD replaces what XML excludes, such as lone surrogates."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", " "))


def escaped(text: str) -> Any:
    """Escape text for Graphviz, whose escapes are backslashes, and which reads HTML entities everywhere."""
    import graphviz

    clean = printable(text)
    if "\n" in clean:  # Graphviz 14 crashes on the second label that begins with an empty line
        clean = re.sub("^$", " ", clean, flags=re.MULTILINE)
    return graphviz.nohtml(clean.replace("&", "&amp;").replace("\\", "\\\\").replace("\n", "\\n"))  # <b> is no HTML


@functools.cache
def picture_class() -> type[Any]:
    """Return the class of pictures, made on first use: `import microgrid` imports no third-party module."""
    try:
        import graphviz
    except ImportError:
        raise ImportError("draw needs the graphviz package: pip install graphviz") from None

    class Picture(graphviz.Digraph):  # type: ignore[misc]  # graphviz is untyped
        """A Digraph that a notebook shows as SVG, or as text where it cannot be rendered."""

        as_text = ""
        boxes = 0

        def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **kwargs: Any) -> Any:
            if self.boxes > LAYOUT_LIMIT:
                raise ValueError(
                    f"{self.boxes} boxes would take minutes to lay out: draw with max_nodes={LAYOUT_LIMIT} or less"
                )
            chosen = (format or self.format).lower()
            picture = rendered(self.source, chosen)
            if chosen == "svg":
                picture = _with_style(picture)
            return picture.decode(encoding) if encoding else picture

        def render(
            self,
            filename: Any = None,
            directory: Any = None,
            view: bool = False,
            cleanup: bool = False,
            format: str | None = None,
            **_: Any,
        ) -> str:
            source = Path(self.save(filename, directory=directory))
            target = source.with_name(f"{source.name}.{format or self.format}")
            target.write_bytes(self.pipe(format))
            if cleanup:
                source.unlink()
            if view:
                subprocess.Popen(["xdg-open", str(target)])
            return str(target)

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
            try:
                return {"image/svg+xml": self.pipe("svg", encoding="utf-8"), "text/plain": self.as_text}
            except Exception as error:  # a display that raises shows nothing at all
                advice = ADVICE if isinstance(error, ImportError) else f"Graphviz failed: {error}"
                return {"text/plain": f"{self.as_text}\n{advice}"}

    return Picture


def _with_style(svg: bytes) -> bytes:
    start = svg.index(b"<svg")
    end = svg.index(b">", start) + 1
    head = svg[:end].replace(b"<svg ", b'<svg style="max-width:100%;height:auto" ', 1)  # a wide one fits its page
    return head + f"\n<style>{STYLE}</style>".encode() + svg[end:]


def new_picture(*, rankdir: str, format: str) -> Any:
    """Return an empty picture with the common style."""
    font = "Helvetica,Arial,sans-serif"
    return picture_class()(
        format=format,
        graph_attr={
            "rankdir": rankdir,
            "bgcolor": "transparent",
            "nodesep": "0.2",
            "ranksep": "0.5",
            "class": "microgrid",
            "fontname": font,
            "fontsize": "10",
            "fontcolor": LINE,
        },
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": font,
            "fontsize": "11",
            "fontcolor": TEXT,
            "margin": "0.14,0.07",
        },
        edge_attr={"color": LINE, "fontcolor": LINE, "fontname": font, "fontsize": "10", "arrowsize": "0.6"},
    )
