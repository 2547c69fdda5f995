"""The picture of a film: the network with a map for each neuron, the field with its points, loss and gradients."""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from microgrid.pictures.colours import CATEGORIES
from microgrid.pictures.digraph import number

HEIGHT, TITLE = 340, 18
"""Height of each panel, and of the line of text above its picture."""
SIDE, LEFT, TOP = 300, 4, TITLE + 6
COLUMN, LARGEST = 100, 40
"""Distance of the network's columns, and the largest side of a neuron's map."""
CHART_X, CHART_WIDTH, CHARTS = 52, 250, 310
CURVE_Y, CURVE_HEIGHT = TOP, 110
BARS_Y, BARS_HEIGHT = 206, 100
COLOURS = list(CATEGORIES)
STYLE = (
    ".mgf text{font:12px Helvetica,Arial,sans-serif;fill:#1a1a1a}.mgf .axis{stroke:#767676;fill:none}"
    ".mgf .tick{stroke:#767676;stroke-opacity:.3}.mgf .soft{fill:#595959;font-size:11px}"
    ".mgf .loss{stroke:#0072b2;fill:none;stroke-width:2}.mgf .all{stroke:#0072b2;fill:none;opacity:.3}"
    ".mgf .bar{fill:#0072b2}.mgf .dot{fill:#b34700}.mgf .point{stroke:#fff;stroke-width:1}.mgf .end{text-anchor:end}"
    ".mgf .mid{text-anchor:middle}.mgf .weight{fill:none;stroke:#0072b2}"
    ".mgf .weight.minus{stroke:#b34700;stroke-dasharray:4 2}.mgf .neuron{cursor:pointer}"
    "@media (prefers-color-scheme:dark){.mgf text{fill:#eee}.mgf .soft{fill:#b5b5b5}"
    ".mgf .loss,.mgf .all,.mgf .weight{stroke:#56b4e9}.mgf .weight.minus{stroke:#e69f00}"
    ".mgf .bar{fill:#56b4e9}.mgf .dot{fill:#e69f00}.mgf .axis{stroke:#8f8f8f}}"
)


class Diagram(NamedTuple):
    """A network to draw: names of the neurons by column, inputs first, and the ends of each weight."""

    titles: list[str]
    neurons: list[list[str]]
    weights: list[tuple[tuple[int, int], tuple[int, int]]]

    def sizes(self) -> list[int]:
        """Return the side of a neuron's map in each column."""
        return [min(LARGEST, (HEIGHT - TOP) // len(column) - 4) for column in self.neurons]

    def places(self) -> list[list[tuple[float, float]]]:
        """Return the centre of each neuron's map."""
        found = []
        for k, column in enumerate(self.neurons):
            step = min(LARGEST + 14, (HEIGHT - TOP) / len(column))
            top = TOP + (HEIGHT - TOP - step * len(column)) / 2
            found.append([(COLUMN * (k + 0.5), top + step * (i + 0.5)) for i in range(len(column))])
        return found


class Scene(NamedTuple):
    """A frame as the picture shows it: bytes of the field and of each neuron's map, and bytes of the weights.

    The bytes of the field are classes where there are several, else the certainty of the one output; in all others
    128 stands for 0.
    """

    field: bytes
    maps: Sequence[bytes]
    weights: bytes


class Contents(NamedTuple):
    """A whole film.

    Cells are those along a side of the field and of a neuron's map. Points are fractions of the field from its lower
    left, with their classes; spans are the ranges of its coordinates.
    """

    scenes: Sequence[Scene]
    cells: tuple[int, int]
    classes: int
    points: Sequence[tuple[Sequence[float], int]]
    legend: Sequence[tuple[str, int]]
    spans: Sequence[tuple[float, float]]
    epochs: Sequence[int]
    losses: Sequence[float]
    layers: Sequence[str]
    gradients: Sequence[Sequence[float]]
    diagram: Diagram | None


def svg(contents: Contents) -> str:
    """Return the last frame as SVG: one nested svg for each panel, side by side."""
    return _drawn(contents, [len(contents.scenes) - 1], "")


def animated(contents: Contents, *, scenes: int = 12, seconds: float = 6.0) -> str:
    """Return the film as SVG that plays without a script: so many scenes at most, evenly spread; the last one rests.

    A reader who prefers reduced motion sees the last one.
    """
    count = min(scenes, len(contents.scenes))
    chosen = [round(k * (len(contents.scenes) - 1) / max(1, count - 1)) for k in range(count)]
    ends = [100.0 * (k + 1) / (count + 4) for k in range(count - 1)] + [100.0]
    rules, begin = [".mgf .s{opacity:0}"], 0.0
    for k, end in enumerate(ends):
        first, last = int(k == 0), int(k == count - 1)
        rules.append(
            f"@keyframes s{k}{{0%{{opacity:{first}}}{begin:.1f}%{{opacity:1}}{end:.1f}%{{opacity:{last}}}}}"
            f".mgf .s{k}{{animation:s{k} {seconds:g}s step-end infinite}}"
        )
        begin = end
    rules.append(f"@media (prefers-reduced-motion:reduce){{.mgf .s{{animation:none}}.mgf .s{count - 1}{{opacity:1}}}}")
    return _drawn(contents, chosen, "".join(rules)) + "\n"


def _drawn(contents: Contents, chosen: Sequence[int], rules: str) -> str:
    """Return the panels side by side; of several scenes, each is a group of class s and s with its number."""
    diagram, small = contents.diagram, contents.cells[1]
    scenes = [contents.scenes[i] for i in chosen]
    panels = [("field", SIDE + 2 * LEFT, _field(contents, _stacked([_image(contents, scene) for scene in scenes])))]
    if diagram is not None:
        drawn = _stacked([_network(diagram, scene, small) for scene in scenes])
        panels.insert(0, ("network", COLUMN * len(diagram.neurons), drawn))
    panels.append(("charts", CHARTS, _charts(contents, chosen)))
    width = sum(wide for _, wide, _ in panels) + 16 * (len(panels) - 1)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {HEIGHT}' width='{width}' height='{HEIGHT}' "
        f"class='mgf' role='img'><title>A network learns</title><style>{STYLE}{rules}</style>"
    ]
    x = 0
    for name, wide, content in panels:
        parts.append(
            f"<svg class='mgf panel {name}' x='{x}' width='{wide}' height='{HEIGHT}' viewBox='0 0 {wide} {HEIGHT}'>"
            f"{content}</svg>"
        )
        x += wide + 16
    return "".join([*parts, "</svg>"])


def _stacked(scenes: Sequence[str]) -> str:
    if len(scenes) == 1:
        return scenes[0]
    return "".join(f"<g class='s s{k}'>{scene}</g>" for k, scene in enumerate(scenes))


def _image(contents: Contents, scene: Scene) -> str:
    return (
        f"<image class='output' x='{LEFT}' y='{TOP}' width='{SIDE}' height='{SIDE}' preserveAspectRatio='none' "
        f"href='{_png(scene.field, contents.cells[0], contents.classes)}'/>"
    )


def _field(contents: Contents, images: str) -> str:
    (left, right), (low, high) = contents.spans
    parts = [
        f"<text class='shown' x='{LEFT}' y='{TITLE - 4}'>output</text>{images}"
        f"<rect class='axis' x='{LEFT}' y='{TOP}' width='{SIDE}' height='{SIDE}'/>",
        *(_point(LEFT + SIDE * x, TOP + SIDE * (1.0 - y), kind) for (x, y), kind in contents.points),
    ]
    end = LEFT + SIDE
    for text, kind in reversed(contents.legend[:6]):
        parts.append(f"<text class='end' x='{end}' y='{TITLE - 4}'>{html.escape(text)}</text>")
        end -= 7 * len(text) + 9
        parts.append(_point(end, TITLE - 8, kind))
        end -= 14
    spans = "x from {} to {}, y from {} to {}".format(*(number(end, 3) for end in (left, right, low, high)))
    parts.append(f"<text class='soft' x='{LEFT}' y='{HEIGHT - 3}'>{spans}</text>")
    return "".join(parts)


def _network(diagram: Diagram, scene: Scene, cells: int) -> str:
    places, sizes = diagram.places(), diagram.sizes()
    parts = []
    for k, title in enumerate(diagram.titles):
        parts.append(f"<text class='mid' x='{COLUMN * (k + 0.5):.0f}' y='{TITLE - 4}'>{html.escape(title)}</text>")
    for ((k, i), (m, j)), byte in zip(diagram.weights, scene.weights, strict=True):
        (x, y), (right, low) = places[k][i], places[m][j]
        x, right = x + sizes[k] / 2, right - sizes[m] / 2
        half = (right - x) / 2
        parts.append(
            f"<path class='weight{' minus' if byte < 128 else ''}' stroke-width='{thickness(byte)}' "
            f"d='M{x:.0f} {y:.1f}c{half:.0f} 0 {half:.0f} {low - y:.1f} {2 * half:.0f} {low - y:.1f}'/>"
        )
    maps = iter(scene.maps)
    for column, centres, size in zip(diagram.neurons, places, sizes, strict=True):
        for name, (x, y) in zip(column, centres, strict=True):
            box = f"x='{x - size / 2:.1f}' y='{y - size / 2:.1f}' width='{size}' height='{size}'"
            parts.append(
                f"<g class='neuron' data-name='{html.escape(name)}'><title>{html.escape(name)}</title>"
                f"<image {box} preserveAspectRatio='none' href='{_png(next(maps), cells, 1)}'/>"
                f"<rect class='axis' {box}/></g>"
            )
    return "".join(parts)


def _charts(contents: Contents, chosen: Sequence[int]) -> str:
    epochs, losses, layers, gradients = contents.epochs, contents.losses, contents.layers, contents.gradients
    points, right, floor = curve(losses), CHART_X + CHART_WIDTH, CURVE_Y + CURVE_HEIGHT
    path = " ".join(f"{x},{y}" for x, y in points)
    scale = _scale(losses)
    width = CHART_WIDTH / max(1, len(layers))
    heights, (low, high) = bars(gradients), _decades(gradients)
    moving = [
        f"<text class='end now' x='{right}' y='{TITLE - 4}'>{number(losses[i], 4)}</text>"
        f"<circle class='dot' r='4' cx='{points[i][0]}' cy='{points[i][1]}'/>"
        f"<text class='epoch mid' x='{CHART_X + CHART_WIDTH / 2:.0f}' y='{floor + 16}'>epoch {epochs[i]}</text>"
        + "".join(
            f"<rect class='bar' x='{CHART_X + k * width + 4:.0f}' y='{BARS_Y + BARS_HEIGHT - height}' "
            f"width='{max(2.0, width - 8):.0f}' height='{height}'/>"
            for k, height in enumerate(heights[i])
        )
        for i in chosen
    ]
    parts = [
        f"<text x='{CHART_X}' y='{TITLE - 4}'>loss{', logarithmic' if scale.log else ''}</text>",
        *(_tick(scale.height(tick, CURVE_Y, CURVE_HEIGHT), tick) for tick in scale.ticks()),
        f"<path class='axis' d='M{CHART_X} {CURVE_Y}v{CURVE_HEIGHT}h{CHART_WIDTH}'/>"
        f"<polyline class='all' points='{path}'/><polyline class='loss' points='{path}'/>"
        f"<text class='soft' x='{CHART_X}' y='{floor + 16}'>{epochs[0]}</text>"
        f"<text class='soft end' x='{right}' y='{floor + 16}'>{epochs[-1]}</text>"
        f"<text x='{CHART_X}' y='{BARS_Y - 12}'>size of the gradients, by layer, logarithmic</text>",
    ]
    for tick in range(math.ceil(low), math.floor(high) + 1):
        parts.append(_tick(BARS_Y + BARS_HEIGHT * (1.0 - (tick - low) / (high - low)), 10.0**tick))
    told = layers if width >= 7 * max(map(len, layers), default=0) else [str(k) for k in range(len(layers))]
    for k, name in enumerate(told):
        x = CHART_X + k * width
        parts.append(f"<text class='layer' x='{x + 4:.0f}' y='{BARS_Y + BARS_HEIGHT + 16}'>{html.escape(name)}</text>")
    return "".join([*parts, _stacked(moving)])


def _tick(y: float, value: float) -> str:
    return (
        f"<path class='tick' d='M{CHART_X} {y:.1f}h{CHART_WIDTH}'/>"
        f"<text class='soft end' x='{CHART_X - 4}' y='{y + 4:.1f}'>{number(value, 3)}</text>"
    )


class _Scale(NamedTuple):
    """The scale of the losses: logarithmic where all are positive."""

    low: float
    high: float
    log: bool

    def height(self, loss: float, top: float, height: float) -> float:
        """Return the place of a finite loss in a chart, from above."""
        return top + height * (1.0 - (self._placed(loss) - self.low) / (self.high - self.low or 1.0))

    def _placed(self, loss: float) -> float:
        return math.log10(loss) if self.log else loss

    def ticks(self) -> list[float]:
        """Return one to six round numbers within the scale; the lowest loss where there is none."""
        if self.log:
            decades = range(math.floor(self.low), math.floor(self.high) + 1)
            for factors in ((1, 2, 5), (1, 3), (1,)):
                found = [f * 10.0**k for k in decades for f in factors]
                found = [x for x in found if x > 0.0 and self.low <= math.log10(x) <= self.high]
                if 2 <= len(found) <= 6:
                    return found
            if len(found) > 6:
                return found[:: math.ceil(len(found) / 6)]
            low, high = 10.0**self.low, 10.0**self.high
        else:
            low, high = self.low, self.high
        return _round_numbers(low, high) or [low]


def _round_numbers(low: float, high: float) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten between two numbers: at most six."""
    if not high > low:
        return []
    power = 10.0 ** math.floor(math.log10((high - low) / 5.0))
    step = next(step for f in (1, 2, 5, 10) if high - low <= 5.0 * (step := f * power))
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _scale(losses: Sequence[float]) -> _Scale:
    finite = [x for x in losses if math.isfinite(x)] or [0.0]
    log = min(finite) > 0.0
    low, high = (math.log10(x) if log else x for x in (min(finite), max(finite)))
    return _Scale(low, high, log)


def curve(losses: Sequence[float]) -> list[tuple[int, int]]:
    """Return the loss as points of the chart; logarithmic where all are positive. What is not finite is at the top."""
    scale = _scale(losses)
    step = CHART_WIDTH / max(1, len(losses) - 1)
    return [
        (
            round(CHART_X + k * step),
            round(scale.height(x, CURVE_Y, CURVE_HEIGHT)) if math.isfinite(x) else CURVE_Y,
        )
        for k, x in enumerate(losses)
    ]


def _decades(gradients: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the logarithms at the ends of the bars' scale: one for all frames and layers, of at most six decades."""
    known = [x for frame in gradients for x in frame if x > 0.0 and math.isfinite(x)] or [1.0]
    high = math.log10(max(known))
    return max(math.log10(min(known)) - 0.3, high - 6.0), high


def bars(gradients: Sequence[Sequence[float]]) -> list[list[int]]:
    """Return the heights of the bars of each frame."""
    low, high = _decades(gradients)
    return [
        [
            round(BARS_HEIGHT * min(1.0, max(0.02, (math.log10(x) - low) / (high - low)))) if x > 0.0 else 0
            for x in (min(x, 10.0**high) for x in frame)
        ]
        for frame in gradients
    ]


def thickness(byte: int) -> str:
    """Return the width of the line of a weight."""
    return f"{0.2 + 4.0 * abs(byte - 128) / 127:.2f}"


def _point(x: float, y: float, kind: int) -> str:
    x, y = round(x), round(y)
    look = f"class='point' fill='{COLOURS[kind % len(COLOURS)]}'"
    if kind % 3 == 0:
        return f"<circle {look} cx='{x}' cy='{y}' r='4'/>"
    if kind % 3 == 1:
        return f"<rect {look} x='{x - 4}' y='{y - 4}' width='8' height='8'/>"
    return f"<path {look} d='M{x} {y - 5}l5 9h-10z'/>"


def pixels(field: bytes, classes: int) -> list[tuple[int, int, int, int]]:
    """Return the cells as red, green, blue and opacity: the colour of the class, denser with its certainty."""
    found = []
    for byte in field:
        kind, opacity = (byte, 102) if classes > 1 else (int(byte > 128), abs(byte - 128) * 178 // 127)
        colour = COLOURS[kind % len(COLOURS)]
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        found.append((red, green, blue, opacity))
    return found


def _png(field: bytes, cells: int, classes: int) -> str:
    """Return the cells as a PNG, in a data URI."""
    colored = pixels(field, classes)
    lines = [b"\0" + b"".join(map(bytes, colored[row * cells : (row + 1) * cells])) for row in reversed(range(cells))]
    head = struct.pack(">IIBBBBB", cells, cells, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines), 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
