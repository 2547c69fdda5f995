"""Widths of texts in Helvetica and Arial, for the sizes of boxes: no font is opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_THOUSANDTHS = {
    191: "'",
    222: "ijl",
    260: "|",
    278: " !,./:;I[\\]ft·",
    333: "()-`r{}",
    355: '"',
    469: "^",
    400: "*⁻⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉",
    500: "Jcksvxyzλ∂",
    556: "#$0123456789?L_abdeghnopqu–äöüθδ√≥≤",
    584: "+<=>~×−αβμ",
    611: "FTZßΣ",
    667: "&ABEKPSVXYφπ",
    722: "CDHNRUw",
    778: "GOQω",
    833: "Mm",
    889: "%",
    944: "W",
    1015: "@…→",
}
_WIDTHS = {character: width / 1000 for width, characters in _THOUSANDTHS.items() for character in characters}


def text_width(text: str, size: float) -> float:
    """Return the width of a line of text in points, in a font of this size."""
    return size * sum([_WIDTHS.get(character) or _unlisted(character) for character in text])


def _unlisted(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.75


def box_size(lines: Sequence[str], size: float, margin: tuple[float, float]) -> tuple[float, float]:
    """Return width and height of a box with these lines of text."""
    width = max((text_width(line, size) for line in lines), default=0.0)
    return width + 2 * margin[0], 1.25 * size * len(lines) + 2 * margin[1]
