"""An animated picture of both passes: values travel forward, contributions travel back. SVG without a script.

What appears is a CSS animation of opacity, so that a reader who prefers reduced motion sees the final state. What moves
is SMIL's animateMotion, which browsers run within an <img>, too. Times are in seconds of one loop.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from microgrid.pictures import colours, web
from microgrid.pictures.layered import layered
from microgrid.pictures.lettering import text_width
from microgrid.pictures.sketch import printable
from microgrid.pictures.still import curve
from microgrid.pictures.walk import Stepped

MOST_VALUES = 40
"""Maximum number of values: of more, a reader cannot follow the motion."""

FORWARD, BACKWARD, FADE, REST = 0.9, 1.7, 0.2, 3.0
"""Durations: of a rank of the forward pass, of a step of the backward pass, of a fade, of the final state."""

HEIGHT, PILL, GAP, APART, MARGIN = 70, 24, 136.0, 38.0, 34
_WIDE = 1.15  # of a font that stands in for the one wanted
_STRIP = 22

_COLOURS = {
    "t": (colours.TEXT, colours.DARK_TEXT),
    "s": (colours.SOFT, colours.DARK_SOFT),
    "l": (colours.LINE, colours.DARK_LINE),
    "b": (colours.PAGE, colours.DARK_PAGE),
    "p": (colours.POSITIVE, colours.DARK_POSITIVE),
    "m": (colours.NEGATIVE, colours.DARK_NEGATIVE),
    "ps": (colours.mixed(colours.POSITIVE, colours.PAGE), colours.mixed(colours.DARK_POSITIVE, colours.DARK_PAGE)),
    "ms": (colours.mixed(colours.NEGATIVE, colours.PAGE), colours.mixed(colours.DARK_NEGATIVE, colours.DARK_PAGE)),
    "zs": (colours.mixed(colours.LINE, colours.PAGE), colours.mixed(colours.DARK_LINE, colours.DARK_PAGE)),
    **{role: (fill, colours.DARK[role]) for role, fill in colours.FILLS.items()},
}

_RULES = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;text-anchor:middle;fill:var(--t)}"
    ".n{font-size:14px}.v{font-weight:600}.c{text-anchor:end;font-size:12px;fill:var(--s)}"
    ".b{stroke:var(--l);stroke-width:1.4}.e,.f{fill:none;stroke:var(--l);stroke-width:1.6}#h{fill:var(--l)}"
    ".g{fill:var(--zs)}.g.p{fill:var(--ps)}.g.m{fill:var(--ms)}.q{font-size:12px;font-weight:600}"
    "text.p,.k.p text{fill:var(--p)}text.m,.k.m text{fill:var(--m)}.k text{font-size:12px;font-weight:600}"
    ".k rect{fill:var(--b);stroke:var(--l);stroke-width:1.6}.k.p rect{stroke:var(--p)}.k.m rect{stroke:var(--m)}"
    ".f{stroke-width:3.4;stroke-dasharray:9 6;animation:f 1s linear infinite}.f.p{stroke:var(--p)}.f.m{stroke:var(--m)}"
    "@keyframes f{to{stroke-dashoffset:15}}.y{opacity:0}"
)


def animated(walk: Stepped) -> str:
    """Return the picture. Raises ValueError when the graph has more than 40 values."""
    if len(walk.items) > MOST_VALUES:
        raise ValueError(
            f"an animated picture has at most {MOST_VALUES} values, got {len(walk.items):,}; "
            'a page holds any number: save("steps.html")'
        )
    return _Flow(walk).svg()


class _Flow:
    def __init__(self, walk: Stepped) -> None:
        self.walk = walk
        self.names = [printable(name) for name in walk.names]
        self.sizes = [self._size(i) for i in range(len(walk.items))]
        self.edges = [(j, i) for i, item in enumerate(walk.items) for j in dict.fromkeys(item.operands)]
        self.view = layered(self.sizes, self.edges, rank_gap=GAP, node_gap=APART)
        self.curves = {edge: curve(points) for edge, points in zip(self.edges, self.view.curves, strict=True)}
        self.rules: dict[str, str] = {}
        self.known = self._known()
        self.start = max(self.known) + 0.7  # of the backward pass
        self.length = self.start + BACKWARD * len(walk.backward) + REST

    def _size(self, i: int) -> tuple[float, float]:
        item = self.walk.items[i]
        if item.role == "constant":
            return max(52.0, _width(self.names[i], 13.0) + 16.0), 32.0
        return max(124.0, _width(self.names[i], 14.0) + 16.0), HEIGHT

    def _known(self) -> list[float]:
        """Return the times at which values are known: leaves from the start, results a rank after the last operand."""
        known: list[float] = []
        for item in self.walk.items:
            known.append(max((known[j] for j in item.operands), default=-0.3) + FORWARD if item.operands else 0.0)
        return known

    def svg(self) -> str:
        lines = [f'<path class="e" d="{path}" marker-end="url(#h)"/>' for path in self.curves.values()]
        flows, pills, strips = self._backward()
        lines += flows
        lines += [self._box(i, strips[i]) for i in range(len(self.walk.items))]
        lines += [
            self._travels(
                (j, i), self.known[i] - 0.9, self.known[i], _number(self.walk.values[j].data), "", forward=True
            )
            for j, i in self.edges
        ]
        lines += pills
        width, height = round(self.view.width) + 8, round(self.view.height) + MARGIN + 34
        legend = "value →\xa0\xa0\xa0\xa0 local derivative × gradient = contribution ←"
        lines.append(f'<text class="c" x="{width - 8}" y="{height - MARGIN - 8}">{legend}</text>')
        words = html.escape(f"Values flow forward and gradients back through {self.names[-1]}: {self._gradients()}")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 {-MARGIN} {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{words}"><title>{words}</title><style>{self._style()}</style>'
            '<marker id="h" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>'
            f"{''.join(lines)}</svg>\n"
        )

    def _gradients(self) -> str:
        told = [
            f"{self.names[i]} has gradient {_number(self.walk.grads[i])}"
            for i, item in enumerate(self.walk.items)
            if item.role in ("input", "parameter")
        ]
        return ", ".join(told) + "."

    def _style(self) -> str:
        light, dark = ("".join(f"--{key}:{pair[k]};" for key, pair in _COLOURS.items()) for k in (0, 1))
        return (
            f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{_RULES}{''.join(self.rules.values())}"
            "@media(prefers-reduced-motion:reduce){*{animation:none!important}}"
        )

    # --- moments ---------------------------------------------------------------------------------------------------

    def _appears(self, at: float, until: float | None = None) -> str:
        """Return the class of what is seen from a time on, to the end unless until another."""
        end = self.length - FADE if until is None else until
        name = f"a{at * 100:.0f}" + ("" if until is None else f"-{until * 100:.0f}")
        moments = (max(0.0, at - FADE), at, end, min(end + FADE, self.length))
        before, from_, to, after = (f"{100 * moment / self.length:.2f}%" for moment in moments)
        self.rules[name] = (
            f"@keyframes {name}{{0%,{before}{{opacity:0}}{from_},{to}{{opacity:1}}{after},to{{opacity:0}}}}"
            f".{name}{{animation:{name} {self.length:.2f}s infinite both}}"
        )
        return name if until is None else f"y {name}"  # what goes again is not in the final state

    def _travels(
        self, edge: tuple[int, int], start: float, end: float, text: str, kind: str, *, forward: bool = False
    ) -> str:
        """Return a pill with text that moves along an edge, and stops halfway to be read."""
        points = "0;0;.5;.5;1;1" if forward else "1;1;.5;.5;0;0"
        first, second = (0.5, 0.5) if forward else (0.3, 0.75)
        moments = (0.0, start, start + first * (end - start), start + second * (end - start), end, self.length)
        times = ";".join(f"{moment / self.length:.4f}" for moment in moments)
        motion = (
            f'<animateMotion dur="{self.length:.2f}s" repeatCount="indefinite" calcMode="spline" keyPoints="{points}" '
            f'keyTimes="{times}" keySplines="{";".join([".4 0 .3 1"] * 5)}" path="{self.curves[edge]}"/>'
        )
        return f'<g class="{self._appears(start + 0.3, end - FADE)}"><g class="k {kind}">{_pill(text)}{motion}</g></g>'

    # --- the parts -------------------------------------------------------------------------------------------------

    def _backward(self) -> tuple[list[str], list[str], list[list[tuple[float, float]]]]:
        """Return the moving dashes; the pills; and of each value the times at which its gradient changes, with it."""
        flows, pills = [], []
        changes: list[list[tuple[float, float]]] = [[] for _ in self.walk.items]
        terms: list[list[float]] = [[start] if start else [] for start in self.walk.starts]
        changes[-1].append((self.start - 0.3, self.walk.seed))
        for k, step in enumerate(self.walk.backward):
            start = self.start + BACKWARD * k
            end = start + BACKWARD - 0.1
            told: dict[int, str] = {}
            for c in step.contributions:  # x * x has two along one edge
                upstream = _bracketed(_number(step.upstream))
                product = f"{_number(c.partial)} × {upstream} = {_number(c.contribution)}"
                told[c.operand] = f"{told[c.operand]},  {product}" if c.operand in told else product
                terms[c.operand].append(c.contribution)
            for j, text in told.items():
                kind = _sign(sum(c.contribution for c in step.contributions if c.operand == j))
                path = self.curves[j, step.node]
                flows.append(f'<g class="{self._appears(start, end)}"><path class="f {kind}" d="{path}"/></g>')
                pills.append(self._travels((j, step.node), start, end, text, kind))
                after = [c.after for c in step.contributions if c.operand == j]
                changes[j].append((end, after[-1]))
        for i, added in enumerate(terms):
            if len(added) > 1:
                pills.append(self._sum(i, added, changes[i][-1][0] + 0.1))
        return flows, pills, changes

    def _sum(self, i: int, terms: Sequence[float], at: float) -> str:
        """Return the pill over a box whose gradient is a sum."""
        text = " + ".join(_bracketed(_number(x)) if k else _number(x) for k, x in enumerate(terms))
        text = f"{text} = {_number(self.walk.grads[i])}"
        x, y = self.view.boxes[i]
        half = _width(text, 12.0) / 2 + 12
        place = f"translate({max(x, half):.0f} {y - self.sizes[i][1] / 2 - PILL / 2 - 4:.0f})"
        kind = _sign(self.walk.grads[i])
        return f'<g class="{self._appears(at)}"><g class="k {kind}" transform="{place}">{_pill(text)}</g></g>'

    def _box(self, i: int, changes: Sequence[tuple[float, float]]) -> str:
        item, (x, y), (width, height) = self.walk.items[i], self.view.boxes[i], self.sizes[i]
        frame = (
            f'<g transform="translate({x:.0f} {y:.0f})"><rect class="b" style="fill:var(--{item.role})" '
            f'x="{-width / 2:g}" y="{-height / 2:g}" width="{width:g}" height="{height:g}" rx="10"/>'
        )
        value = _number(self.walk.values[i].data)
        if item.role == "constant":
            return f'{frame}<text class="v" y="4.5">{value}</text></g>'
        seen = f" {self._appears(self.known[i])}" if item.operands else ""
        parts = [
            f'<text class="n" y="-15">{html.escape(self.names[i])}</text>',
            f'<text class="v{seen}" y="5">{value}</text>',
        ]
        for k, (at, gradient) in enumerate(changes):
            until = changes[k + 1][0] if k + 1 < len(changes) else None
            kind = _sign(gradient) if until is None else "w"
            text = f"gradient {_number(gradient)}" if until is None else f"{_number(gradient)} so far"
            parts.append(
                f'<g class="{self._appears(at, until)}"><path class="g {kind}" d="{_strip(width, height)}"/>'
                f'<text class="q {kind}" y="28.5">{text}</text></g>'
            )
        return f"{frame}{''.join(parts)}</g>"


def _number(x: float) -> str:
    """Return a number as a picture with little room has it: in three digits."""
    return web.number(float(f"{x:.3g}"))


def _width(text: str, size: float) -> float:
    return _WIDE * text_width(text, size)


def _pill(text: str) -> str:
    width = _width(text, 12.0) + 22
    frame = f'<rect x="{-width / 2:.1f}" y="{-PILL / 2:g}" width="{width:.1f}" height="{PILL}" rx="{PILL / 2:g}"/>'
    return f'{frame}<text y="4.5">{text}</text>'


def _strip(width: float, height: float) -> str:
    """Return the path of the lower part of a box, whose corners are round."""
    left, top, inner = -width / 2 + 0.7, height / 2 - _STRIP - 0.7, width - 1.4
    side = _STRIP - 9.5
    return f"M{left:.1f} {top:.1f}h{inner:.1f}v{side}q0 9.5-9.5 9.5h{19 - inner:.1f}q-9.5 0-9.5-9.5z"


def _sign(x: float) -> str:
    return "p" if x > 0.0 else "m" if x < 0.0 else "z"


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("−") else text
