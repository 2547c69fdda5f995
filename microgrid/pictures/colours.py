"""Colours of all pictures, on light and on dark pages.

Opaque fills under text, and mid-grey lines, are seen on both. Blue for a positive and vermilion for a negative gradient
can be told apart by colour-blind people; the sign is in the text as well. Text outside of boxes has an outline in the
colour of the page it expects, so that it is read on the other one, too: a dark system may show a light page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TEXT, SOFT, LINE, POSITIVE, NEGATIVE, PAGE = "#1A1A1A", "#595959", "#7A7A7A", "#0072B2", "#B34700", "#FFFFFF"
DARK_TEXT, DARK_SOFT, DARK_LINE, DARK_POSITIVE, DARK_NEGATIVE, DARK_PAGE = (
    "#F0F0F0",
    "#BDBDBD",
    "#8F8F8F",
    "#56B4E9",
    "#E69F00",
    "#121212",
)
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
CATEGORIES = (NEGATIVE, POSITIVE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", LINE, "#8A6D00")
"""Colours of classes and curves, in this order: of two classes, the first is NEGATIVE."""

_SHAPES = ("rect", "path", "polygon", "ellipse")
_OUTLINED = "paint-order:stroke;stroke-width:3px;stroke-linejoin:round"


def style() -> str:
    """Return the style sheet of a picture of a graph, whose own attributes are those of a light page."""
    own = ".microgrid .node:not(.own)"  # whose colours a person has chosen
    outside = ".microgrid .edge text,.microgrid .cluster text"
    dark = "".join(
        ",".join(f".microgrid .{role}:not(.own) {shape}" for shape in _SHAPES) + f"{{fill:{colour}}}"
        for role, colour in DARK.items()
    )
    for sign, colour in (("positive", DARK_POSITIVE), ("negative", DARK_NEGATIVE)):
        shapes = ",".join(f"{own}.{sign} {shape}" for shape in _SHAPES)
        dark += f"{shapes}{{stroke:{colour}}}.microgrid .edge.{sign} path{{stroke:{colour}}}"
    return (
        f"{outside}{{fill:{SOFT};stroke:{PAGE};{_OUTLINED}}}"
        ".microgrid .edge:hover path{stroke-width:2.5}"
        ".microgrid .edge .wide{stroke:none!important;stroke-width:10!important}"
        f"@media (prefers-color-scheme:dark){{{dark}{own} text{{fill:{DARK_TEXT}}}"
        f"{outside}{{fill:{DARK_SOFT};stroke:{DARK_PAGE}}}}}"
    )


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, as WCAG 2 defines it."""
    lighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, page: str, share: float = 0.16) -> str:
    """Return a page's colour with a share of another: a fill under text in that other one."""
    pairs = [(int(colour[k : k + 2], 16), int(page[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(b + share * (a - b)):02X}" for a, b in pairs)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def on(fill: str) -> str:
    """Return black or white, whichever is read better on a fill."""
    return max("#000000", "#FFFFFF", key=lambda colour: contrast(colour, fill))


def own(look: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of a box with those that a person has chosen, which no dark mode changes.

    Text on a fill of one's own is black or white, whichever is read better.
    """
    classes = look.get("class", "").split()
    if "fillcolor" in chosen or "fontcolor" in chosen:
        classes.append("own")
    if "color" in chosen:
        classes = [name for name in classes if name not in ("positive", "negative")]
    found = {**look, "class": " ".join(classes), **chosen}
    fill = chosen.get("fillcolor", "")
    if "fontcolor" not in chosen and re.fullmatch("#[0-9A-Fa-f]{6}", fill):
        found["fontcolor"] = on(fill)
    return found
