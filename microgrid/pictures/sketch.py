"""`Sketch`: boxes, edges and frames with Graphviz's attributes, and their text in the DOT language."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

Attributes = dict[str, str]

_UNPRINTABLE = re.compile("[\0-\x09\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|-?(\.[0-9]+|[0-9]+(\.[0-9]*)?)")
_KEYWORDS = {"node", "edge", "graph", "digraph", "subgraph", "strict"}


@functools.lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Return text that every file and page can hold: U+FFFD replaces what XML excludes, such as lone surrogates."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", " "))


class Sketch:
    """A picture before anything has a place. Names are unique; frames are named by their numbers.

    `frames` are the numbers of the frames around frames, or -1, and attributes of frames. `columns` are names of boxes
    side by side, from first to last, where the picture is one of columns.
    """

    def __init__(self, attributes: Attributes | None = None) -> None:
        self.attributes = attributes or {}
        self.nodes: dict[str, Attributes] = {}
        self.edges: list[tuple[str, str, Attributes]] = []
        self.frames: list[tuple[int, Attributes]] = []
        self.homes: dict[str, int] = {}
        self.columns: list[list[str]] = []

    def node(self, name: str, label: str, home: int = -1, **attributes: str) -> None:
        """Add a box, within the frame of this number."""
        self.nodes[name] = {"label": label, **attributes}
        self.homes[name] = home

    def edge(self, tail: str, head: str, label: str = "", **attributes: str) -> None:
        """Add an edge."""
        self.edges.append((tail, head, {"label": label, **attributes} if label else attributes))

    def frame(self, label: str, parent: int = -1, **attributes: str) -> int:
        """Add a frame; its number comes back."""
        self.frames.append((parent, {"label": label, **attributes}))
        return len(self.frames) - 1

    def dot(self) -> list[str]:
        """Return the lines of DOT text, without the braces around them."""
        inside: dict[int, list[str]] = {}
        for name, home in self.homes.items():
            inside.setdefault(home, []).append(name)
        children: dict[int, list[int]] = {}
        for f, (parent, _) in enumerate(self.frames):
            children.setdefault(parent, []).append(f)
        lines = []
        waiting: list[tuple[int, int, bool]] = [(-1, 0, False)]  # a frame, its depth, and whether it is at its end
        while waiting:
            f, depth, ended = waiting.pop()
            tabs = "\t" * depth
            if ended:
                lines.append(f"{tabs}}}\n")
                continue
            if f >= 0:
                lines.append(f"{tabs}subgraph cluster_{f} {{\n")
                written = _list(self.frames[f][1]).strip()[1:-1]
                lines.append(f"{tabs}\t{written}\n")
                waiting.append((f, depth, True))
            lines += [f"{tabs}\t{_quoted(name)}{_list(self.nodes[name])}\n" for name in inside.get(f, ())]
            for column in self.columns:  # an edge that is not drawn keeps their order
                if len(column) > 1 and self.homes[column[0]] == f:
                    chain = " -> ".join(map(_quoted, column))
                    lines.append(f"{tabs}\t{{ rank=same {chain} [style=invis] }}\n")
            waiting += [(child, depth + 1, False) for child in reversed(children.get(f, ()))]
        lines += [f"\t{_quoted(tail)} -> {_quoted(head)}{_list(look)}\n" for tail, head, look in self.edges]
        return lines


def dot_text(defaults: Mapping[str, Attributes], lines: Sequence[str]) -> str:
    """Return the DOT text of a whole picture."""
    heads = [f"\t{kind}{_list(look)}\n" for kind, look in defaults.items()]
    return "".join(["digraph {\n", *heads, *lines, "}\n"])


def escaped(text: str) -> str:
    """Escape text for Graphviz, whose escapes are backslashes, and which reads HTML entities everywhere."""
    clean = printable(text)
    if "\n" in clean:  # Graphviz 14 crashes on the second label that begins with an empty line
        clean = re.sub("^$", " ", clean, flags=re.MULTILINE)
    return clean.replace("&", "&amp;").replace("\\", "\\\\").replace("\n", "\\n")


def _list(attributes: Mapping[str, str]) -> str:
    first = ["label"] if "label" in attributes else []
    names = [*first, *sorted(name for name in attributes if name != "label")]
    pairs = [f"{name}={_quoted(escaped(attributes[name]))}" for name in names]
    return f" [{' '.join(pairs)}]" if pairs else ""


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _KEYWORDS:
        return text
    quoted = text.replace('"', '\\"')
    return f'"{quoted}"'
