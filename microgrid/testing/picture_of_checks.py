"""The picture of a report: a cell for each derivative, wrong ones marked and darker the farther they are off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from microgrid.pictures.colours import LINE, NEGATIVE
from microgrid.testing.blocks import blocks_of
from microgrid.training.plots import new_figure

if TYPE_CHECKING:
    from microgrid.testing.report import Check, Report

RIGHT, UNDECIDED = "#DCEBF5", "#E2E2E2"
MARKED = 1200
"""Maximum number of cells that get a mark of their own."""


def plotted(report: Report) -> Any:
    """Return a figure with a panel for each argument's array, or one of rows by inputs."""
    panels = _panels(report)
    figure = new_figure(max(4.0, min(12.0, sum(1.2 + 0.35 * min(columns, 24) for _, columns, _ in panels))), 3.6)
    widths = [min(columns, 24) + 3 for _, columns, _ in panels]
    for axes, (title, columns, checks) in zip(
        figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0], panels, strict=True
    ):
        _draw(axes, columns, checks)
        wrong = sum(check.verdict == "FAIL" for check in checks)
        axes.set_title(f"{title}: {wrong} of {len(checks)} wrong" if wrong else title, fontsize=10)
        if report.rows:
            axes.set_yticks(range(len(report.rows)), report.rows, fontsize=8)
            axes.set_xticks(range(columns), report.subject.names(), rotation=90, fontsize=8)
    figure.suptitle(f"{report.verdict}: {report.name}")
    return figure


def _panels(report: Report) -> list[tuple[str, int, list[Check]]]:
    """Return the title of each panel, its number of columns, and its checks row by row."""
    if report.rows:
        return [("result by input", len(report.checks) // len(report.rows), report.checks)]
    subject = report.subject
    found = []
    for block in blocks_of(subject.structure, subject.parameters(), lambda _: 0):
        columns = len(block.inputs) if len(block.shape) < 2 else math.prod(block.shape[1:])
        found.append((block.name, columns, [report.checks[i] for i in block.inputs]))
    return found


def _draw(axes: Any, columns: int, checks: list[Check]) -> None:
    from matplotlib.colors import to_rgb

    colours = [to_rgb(_colour(check)) for check in checks]
    rows = len(checks) // columns
    axes.imshow([colours[k * columns : (k + 1) * columns] for k in range(rows)], aspect="equal")
    for line in range(1, max(rows, columns)):
        if max(rows, columns) <= 40:
            axes.axhline(line - 0.5, color="white", linewidth=1) if line < rows else None
            axes.axvline(line - 0.5, color="white", linewidth=1) if line < columns else None
    if len(checks) <= MARKED:
        for k, check in enumerate(checks):
            mark = {"FAIL": "\u00d7", "UNDECIDED": "?"}.get(check.verdict)
            if mark:
                colour = "white" if check.verdict == "FAIL" and _distance(check) > 0.45 else "#1A1A1A"
                axes.text(k % columns, k // columns, mark, ha="center", va="center", color=colour, fontsize=9)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _colour(check: Check) -> tuple[float, float, float] | str:
    from matplotlib.colors import to_rgb

    if check.verdict == "PASS":
        return RIGHT
    if check.verdict == "UNDECIDED":
        return UNDECIDED
    light, dark, share = to_rgb("#F6D9C8"), to_rgb(NEGATIVE), _distance(check)
    red, green, blue = (a + (b - a) * share for a, b in zip(light, dark, strict=True))
    return red, green, blue


def _distance(check: Check) -> float:
    """Return the relative error on a logarithmic scale, 0 for 1e-12 and 1 for all of the derivative and more."""
    relative = check.relative
    if not math.isfinite(relative):
        return 1.0
    return min(1.0, max(0.0, 1.0 + math.log10(relative) / 12.0)) if relative else 0.0
