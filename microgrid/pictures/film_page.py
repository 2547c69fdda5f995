"""The film's picture: the field with its points, the curve of the loss, a bar of gradients for each layer."""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

SIDE, LEFT, TOP = 300, 8, 8
CHART_X, CHART_WIDTH = 372, 250
CURVE_Y, CURVE_HEIGHT = 26, 110
BARS_Y, BARS_HEIGHT = 192, 100
COLOURS = ["#B34700", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A7A", "#8A6D00"]
STYLE = (
    ".mgf text{font:12px Helvetica,Arial,sans-serif;fill:#1a1a1a}.mgf .axis{stroke:#767676;fill:none}"
    ".mgf .loss{stroke:#0072b2;fill:none;stroke-width:2}.mgf .all{stroke:#0072b2;fill:none;opacity:.3}"
    ".mgf .bar{fill:#0072b2}.mgf .dot{fill:#b34700}.mgf .point{stroke:#fff;stroke-width:1}.mgf .end{text-anchor:end}"
    "@media (prefers-color-scheme:dark){.mgf text{fill:#eee}.mgf .loss,.mgf .all{stroke:#56b4e9}"
    ".mgf .bar{fill:#56b4e9}.mgf .dot{fill:#e69f00}.mgf .axis{stroke:#8f8f8f}}"
)


def svg(
    places: Sequence[Sequence[float]],
    kinds: Sequence[int],
    frames: Sequence[Any],
    layers: Sequence[str],
    cells: int,
    classes: int,
) -> str:
    """Return the last frame as SVG. Places are fractions of the field, from the lower left; kinds are the classes of
    the points.

    The bytes of a field are classes where there are several, else how sure the one output is, 128 being undecided.
    """
    last = frames[-1]
    losses = curve([frame.loss for frame in frames])
    path = " ".join(f"{x},{y}" for x, y in losses)
    field = base64.b64encode(_png(last.field, cells, classes)).decode()
    parts = [
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 316' width='640' height='316' class='mgf' "
        "role='img'>",
        f"<title>A network learns</title><style>{STYLE}</style>",
        f"<image class='field' x='{LEFT}' y='{TOP}' width='{SIDE}' height='{SIDE}' preserveAspectRatio='none' "
        f"href='data:image/png;base64,{field}'/>"
        f"<rect class='axis' x='{LEFT}' y='{TOP}' width='{SIDE}' height='{SIDE}'/>",
        *(_point(place, kind) for place, kind in zip(places, kinds, strict=True)),
        f"<text x='{CHART_X}' y='16'>loss</text><text class='end now' x='{CHART_X + CHART_WIDTH}' y='16'>"
        f"{last.loss:.4g}</text><path class='axis' d='M{CHART_X} {CURVE_Y}v{CURVE_HEIGHT}h{CHART_WIDTH}'/>",
        f"<polyline class='all' points='{path}'/><polyline class='loss' points='{path}'/>",
        f"<circle class='dot' r='4' cx='{losses[-1][0]}' cy='{losses[-1][1]}'/>",
        f"<text class='epoch' x='{CHART_X}' y='{CURVE_Y + CURVE_HEIGHT + 18}'>epoch {last.epoch}</text>",
        f"<text x='{CHART_X}' y='{BARS_Y - 8}'>size of the gradients, by layer (logarithmic)</text>",
    ]
    heights = bars([frame.gradients for frame in frames])[-1]
    width = CHART_WIDTH / max(1, len(layers))
    told = layers if width >= 7 * max(map(len, layers), default=0) else [str(k) for k in range(len(layers))]
    for k, (name, height) in enumerate(zip(told, heights, strict=True)):
        x = CHART_X + k * width
        parts.append(
            f"<rect class='bar' x='{x + 4:.0f}' y='{BARS_Y + BARS_HEIGHT - height}' width='{max(2.0, width - 8):.0f}' "
            f"height='{height}'/><text x='{x + 4:.0f}' y='{BARS_Y + BARS_HEIGHT + 16}'>{html.escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])


def curve(losses: Sequence[float]) -> list[tuple[int, int]]:
    """Return the loss as points of the chart; logarithmic where all are positive."""
    finite = [x for x in losses if math.isfinite(x)]
    log = bool(finite) and min(finite) > 0.0
    heights = [math.log(x) if log and math.isfinite(x) else x for x in losses]
    known = [x for x in heights if math.isfinite(x)] or [0.0]
    low, size = min(known), (max(known) - min(known)) or 1.0
    step = CHART_WIDTH / max(1, len(losses) - 1)
    return [
        (
            round(CHART_X + k * step),
            round(CURVE_Y + CURVE_HEIGHT * (1.0 - (x - low) / size)) if math.isfinite(x) else CURVE_Y,
        )
        for k, x in enumerate(heights)
    ]


def bars(gradients: Sequence[Sequence[float]]) -> list[list[int]]:
    """Return the heights of the bars, on one logarithmic scale over all frames and layers, of at most six decades."""
    known = [x for frame in gradients for x in frame if x > 0.0 and math.isfinite(x)] or [1.0]
    high = math.log10(max(known))
    low = max(math.log10(min(known)) - 0.3, high - 6.0)
    return [
        [
            round(BARS_HEIGHT * min(1.0, max(0.02, (math.log10(x) - low) / (high - low)))) if x > 0.0 else 0
            for x in (min(x, max(known)) for x in frame)
        ]
        for frame in gradients
    ]


def _point(place: Sequence[float], kind: int) -> str:
    x, y = round(LEFT + SIDE * place[0]), round(TOP + SIDE * (1.0 - place[1]))
    look = f"class='point' fill='{COLOURS[kind % len(COLOURS)]}'"
    if kind % 3 == 0:
        return f"<circle {look} cx='{x}' cy='{y}' r='4'/>"
    if kind % 3 == 1:
        return f"<rect {look} x='{x - 4}' y='{y - 4}' width='8' height='8'/>"
    return f"<path {look} d='M{x} {y - 5}l5 9h-10z'/>"


def _png(field: bytes, cells: int, classes: int) -> bytes:
    """Return the field as a PNG: the colour of the class, denser with its certainty."""
    lines = []
    for row in reversed(range(cells)):
        line = b"\0"
        for byte in field[row * cells : (row + 1) * cells]:
            kind, sure = (byte, 0.4) if classes > 1 else (int(byte > 128), abs(byte - 128) / 127 * 0.7)
            colour = COLOURS[kind % len(COLOURS)]
            line += bytes(int(colour[i : i + 2], 16) for i in (1, 3, 5)) + bytes([round(255 * sure)])
        lines.append(line)
    head = struct.pack(">IIBBBBB", cells, cells, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
