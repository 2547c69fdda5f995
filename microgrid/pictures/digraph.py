"""`Picture`: DOT text that shows itself: by Graphviz where it is installed, else as SVG with a layout of its own."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, Self

from microgrid.core.files import ending
from microgrid.pictures.colours import LINE, SOFT, TEXT, style
from microgrid.pictures.sketch import Sketch, dot_text

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".svg", ".png", ".pdf", ".jpg", ".jpeg", ".gif", ".eps", ".dot", ".gv")
"""Endings of the files that Graphviz can write."""

LAYOUT_LIMIT = 1500
"""Maximum number of boxes for a layout: more take minutes, and cannot be interrupted."""


def number(x: float, precision: int) -> str:
    """Return a number as a picture writes it."""
    return f"{x:.{precision}g}".replace("-", "−")


class Drawn:
    """A picture that a notebook shows, and that is written to files."""

    sketch: Sketch | None = None
    as_text = ""
    boxes = 0
    format: str
    source: str

    def _changed(self) -> bool:
        """Return True if something was added to the DOT text, which only Graphviz reads."""
        return False

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return str(self.pipe("svg", encoding="utf-8"))

    def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **kwargs: Any) -> Any:
        """Return the picture in a format: SVG always, others where Graphviz is installed.

        Raises ImportError where it is needed and missing, ValueError when there are too many boxes for a layout.
        """
        if self.boxes > LAYOUT_LIMIT:
            raise ValueError(
                f"{self.boxes} boxes would take minutes to lay out: draw with max_nodes={LAYOUT_LIMIT} or less"
            )
        chosen = (format or self.format).lower()
        if chosen in ("dot", "gv"):
            return self.source if encoding else self.source.encode()
        from microgrid.pictures.drawing import svg  # with the layout, which is loaded when a picture is made
        from microgrid.pictures.rendering import rendered

        try:
            if chosen == "svg" and self.sketch is not None and self.sketch.columns and not self._changed():
                return svg(self.sketch) if encoding else svg(self.sketch).encode()  # in order, which Graphviz changes
            picture = rendered(self.source, chosen)
        except ImportError:
            if chosen != "svg" or self.sketch is None or self._changed():
                raise
            picture = svg(self.sketch).encode()
        else:
            if chosen == "svg":
                picture = _with_style(picture)
        return picture.decode(encoding) if encoding else picture

    def save(self, filename: Any = None, directory: Any = None, **_: Any) -> str:
        """Write the picture as its ending says, or its DOT text where there is none; return the path.

        Raises ValueError when the ending is not that of a picture.
        """
        from pathlib import Path

        path = Path(directory or "", filename or "Digraph.gv")
        written = ending(path, *ENDINGS) if path.suffix else ".gv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.pipe(written[1:]))
        return str(path)

    def render(
        self,
        filename: Any = None,
        directory: Any = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        **_: Any,
    ) -> str:
        """Write the DOT text and, beside it, the picture, whose path comes back; `view` opens it."""
        from pathlib import Path

        source = Path(directory or "", filename or "Digraph.gv")
        source.parent.mkdir(parents=True, exist_ok=True)
        target = source.with_name(f"{source.name}.{format or self.format}")
        target.write_bytes(self.pipe(format))
        if not cleanup:
            source.write_text(self.source, encoding="utf-8")
        if view:
            open_file(target)
        return str(target)

    def __repr__(self) -> str:
        return f"<picture of {self.boxes} boxes: a notebook shows it, and .save('picture.svg') writes it>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        try:
            return {"image/svg+xml": self.svg, "text/plain": self.as_text}
        except Exception as error:  # a display that raises shows nothing at all
            return {"text/plain": f"{self.as_text}\nThe picture could not be drawn: {error}"}


def open_file(path: Path) -> None:
    """Open a file with the program that the system has for it."""
    import subprocess
    import threading
    import webbrowser

    if sys.platform == "win32":
        os.startfile(path)
        return
    try:
        command = ["open" if sys.platform == "darwin" else "xdg-open", str(path)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        threading.Thread(target=process.wait, daemon=True).start()  # it leaves no zombie
    except OSError:  # a system without a desktop may have a browser
        if not webbrowser.open(path.resolve().as_uri()):
            raise RuntimeError(f"there is no program to open {path} with; it is written") from None


@functools.cache
def picture_class() -> type[Any]:
    """Return the class of pictures, made on first use: a `graphviz.Digraph` where that package is installed."""
    try:
        import graphviz
    except ImportError:
        return _Plain

    class Picture(Drawn, graphviz.Digraph):  # type: ignore[misc]  # graphviz is untyped
        """A Digraph that shows itself. Parts and copies of it, which Digraph makes, have no sketch."""

        def _filled(self, sketch: Sketch, defaults: dict[str, dict[str, str]]) -> Self:
            for kind, look in defaults.items():
                getattr(self, f"{kind}_attr").update(look)
            self.sketch = sketch
            self.body += sketch.dot()
            self._first = self.source
            return self

        def _changed(self) -> bool:
            return self.sketch is None or bool(self.source != self._first)

    return Picture


class _Plain(Drawn):
    """A picture where the graphviz package is not installed."""

    def __init__(self, *, format: str) -> None:
        self.format = format

    def __str__(self) -> str:  # as a Digraph
        return self.source

    def _filled(self, sketch: Sketch, defaults: dict[str, dict[str, str]]) -> Self:
        self.sketch = sketch
        self.source = dot_text(defaults, sketch.dot())
        return self


def _with_style(picture: bytes) -> bytes:
    start = picture.index(b"<svg")
    end = picture.index(b">", start) + 1
    head = picture[:end].replace(b"<svg ", b'<svg style="max-width:100%;height:auto" ', 1)  # a wide one fits its page
    return head + f"\n<style>{style()}</style>".encode() + picture[end:]


def new_picture(sketch: Sketch, *, format: str) -> Any:
    """Return the picture of a sketch, with the common style."""
    font = "Helvetica,Arial,sans-serif"
    common = {"fontname": font, "fontsize": "10", "fontcolor": SOFT}
    return picture_class()(format=format)._filled(
        sketch,
        {
            "graph": {
                "bgcolor": "transparent",
                "nodesep": "0.2",
                "ranksep": "0.5",
                "class": "microgrid",
                **common,
                **sketch.attributes,
            },
            "node": {
                "shape": "box",
                "style": "rounded,filled",
                "fontname": font,
                "fontsize": "11",
                "fontcolor": TEXT,
                "margin": "0.14,0.07",
            },
            "edge": {"color": LINE, "arrowsize": "0.6", **common},
        },
    )
