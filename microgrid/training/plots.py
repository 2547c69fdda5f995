"""Pictures of training: loss, decision boundary, gradients of each layer. Each function returns a matplotlib figure.

Nothing here is written to a file; `figure.savefig("loss.png")` does that, and a notebook shows the figure.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.core.packages import missing
from microgrid.nn.module import Module
from microgrid.pictures.colours import CATEGORIES, NEGATIVE, PAGE, POSITIVE, TEXT
from microgrid.training.samples import rows
from microgrid.training.sums import outputs_of

MARKERS = "osD^vP"


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure that a notebook shows, of these inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(missing("matplotlib", "train")) from None

    class Plot(Figure):
        def _repr_png_(self) -> bytes:  # matplotlib's own figures are shown where `%matplotlib inline` was called only
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
            return buffer.getvalue()

    return Plot(figsize=(width, height), layout="constrained")


def bare(axes: Any) -> Any:
    """Return the axes without a frame on the right and above, with a grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E4E4E4")
    axes.set_axisbelow(True)
    return axes


def plot_curves(loss: Sequence[float], measured: Mapping[str, Sequence[float]], *, title: str = "") -> Any:
    """Plot the loss by epoch, on a logarithmic scale where it is positive, beside the metrics.

    >>> picture = plot_curves([1.0, 0.5, 0.25], {"accuracy": [0.5, 0.75, 1.0]})
    """
    losses = {"loss": loss}
    others = dict(measured)
    if "validation_loss" in others:
        losses["validation loss"] = others.pop("validation_loss")
    figure = new_figure(6.4 if not others else 10.0, 4.0)
    panels = [bare(axes) for axes in figure.subplots(1, 2 if others else 1, squeeze=False)[0]]
    for axes, curves in zip(panels, (losses, others), strict=False):
        for (name, curve), colour in zip(curves.items(), (POSITIVE, *CATEGORIES[::2]), strict=False):
            marker = "o" if len(curve) == 1 else None
            label = name.replace("_", " ")
            axes.plot(range(1, len(curve) + 1), curve, color=colour, linewidth=2, marker=marker, label=label)
        axes.set_xlabel("epoch")
        if len(curves) > 1:
            axes.legend()
        else:
            axes.set_ylabel(next(iter(curves)).replace("_", " "))
    if all(x > 0.0 for curve in losses.values() for x in curve):
        panels[0].set_yscale("log")
    if title:
        figure.suptitle(title)
    return figure


def plot_boundary(
    model: Module, x: Any, y: Any, *, threshold: float | None = None, cells: int = 60, title: str = ""
) -> Any:
    """Plot the output of the network over the plane, and the points with their labels.

    For one output, its value and the line where it equals `threshold` (0 where a label is negative, else 1/2); for
    several, the regions where each is the largest. Raises ValueError when the points are not in the plane.

    >>> from microgrid import datasets, nn
    >>> picture = plot_boundary(nn.MLP(2, [2, 1], seed=0), *datasets.xor(), cells=4)
    """
    points = rows(x)
    if len(points[0]) != 2:
        raise ValueError(f"a decision boundary is drawn in the plane; these points have {len(points[0])} coordinate(s)")
    labels = [row[0] for row in rows(y, "y")]
    classes = sorted(set(labels))
    grid_x, grid_y = (_spread([point[axis] for point in points], cells) for axis in (0, 1))
    answers = outputs_of(model, [[px, py] for py in grid_y for px in grid_x])
    figure = new_figure(6.4, 4.8)
    axes = figure.add_subplot()
    if len(answers[0]) == 1:
        if threshold is None:
            threshold = 0.0 if classes[0] < 0.0 else 0.5
        heights = [[answers[i * cells + j][0] for j in range(cells)] for i in range(cells)]
        lowest, highest = min(map(min, heights)), max(map(max, heights))
        limit = max(0.5, highest - threshold, threshold - lowest)
        if not math.isfinite(limit):
            raise ValueError(f"the network's outputs here are from {lowest} to {highest}: there is no height to draw")
        levels = [threshold + limit * (i / 10 - 1) for i in range(21)]
        from matplotlib.colors import LinearSegmentedColormap

        heat = LinearSegmentedColormap.from_list("signs", [NEGATIVE, PAGE, POSITIVE])
        filled = axes.contourf(grid_x, grid_y, heights, levels=levels, cmap=heat, alpha=0.75)
        if lowest < threshold < highest:
            axes.contour(grid_x, grid_y, heights, levels=[threshold], colors=TEXT, linewidths=1.5)
        from matplotlib.ticker import MaxNLocator

        bar = axes.inset_axes((1.03, 0.0, 0.03, 1.0))  # as high as the axes, whatever shape the points give them
        figure.colorbar(filled, cax=bar, label="output", ticks=MaxNLocator(7))
    else:
        k = len(answers[0])
        best = [[_largest(answers[i * cells + j]) for j in range(cells)] for i in range(cells)]
        from matplotlib.colors import ListedColormap

        colours = ListedColormap([CATEGORIES[c % len(CATEGORIES)] for c in range(k)])
        axes.pcolormesh(grid_x, grid_y, best, cmap=colours, vmin=-0.5, vmax=k - 0.5, alpha=0.3, shading="nearest")
    for c, label in enumerate(classes):
        chosen = [point for point, own in zip(points, labels, strict=True) if own == label]
        px, py = [p[0] for p in chosen], [p[1] for p in chosen]
        place = int(label) if len(answers[0]) > 1 else c  # the colour of its region, although other classes are missing
        style = {
            "c": CATEGORIES[place % len(CATEGORIES)],
            "marker": MARKERS[place % len(MARKERS)],
            "edgecolors": "white",
        }
        axes.scatter(px, py, s=36, label=f"label {label:g}", **style)
    axes.set(xlabel="x", ylabel="y", aspect="equal")
    if len(classes) <= len(CATEGORIES):
        axes.legend(loc="best")
    if title:
        axes.set_title(title)
    return figure


def gradients_by_layer(model: Module) -> dict[str, list[float]]:
    """Group the grads of the parameters by layer: the part of their names up to the first number, layers[0].

    >>> from microgrid import nn
    >>> model = nn.MLP(2, [3, 1])
    >>> {name: len(grads) for name, grads in gradients_by_layer(model).items()}
    {'layers[0]': 9, 'layers[1]': 4}
    """
    layers: dict[str, list[float]] = {}
    for name, parameter in model.named_parameters():
        found = re.match(r"[^\[.]*(\[[^\]]*\])?", name)
        layers.setdefault(found.group() if found else name, []).append(parameter.grad)
    return layers


def plot_gradients(model: Module, *, title: str = "") -> Any:
    """Plot the sizes of the gradients in each layer, as they stand after `backward()` or `fit`, on a logarithmic scale.

    A box holds the middle half of a layer, its line the median, its whiskers the rest; gradients of exactly 0 are
    counted above it. Boxes that sink towards the first layer are vanishing gradients, boxes that rise exploding ones.
    Raises ValueError when all are 0.

    >>> from microgrid import nn
    >>> model = nn.MLP(2, [3, 1], seed=0)
    >>> model([1.0, 2.0]).backward()
    >>> picture = plot_gradients(model)
    """
    layers = gradients_by_layer(model)
    sizes = {name: [abs(g) for g in gradients if g and math.isfinite(g)] for name, gradients in layers.items()}
    if not any(sizes.values()):
        raise ValueError("all gradients are 0: call backward() on a loss, or fit, before")
    import statistics

    figure = new_figure(max(4.8, 1.2 + 0.9 * len(layers)), 4.0)
    axes = bare(figure.add_subplot())
    positions = range(1, len(layers) + 1)
    drawn = axes.boxplot(list(sizes.values()), positions=positions, whis=(0, 100), patch_artist=True, widths=0.6)
    for box in drawn["boxes"]:
        box.set(facecolor="#CFE3F1", edgecolor=POSITIVE)
    for line in drawn["medians"]:
        line.set(color=NEGATIVE, linewidth=2)
    axes.set_yscale("log")
    medians = [statistics.median(numbers) if numbers else math.nan for numbers in sizes.values()]
    axes.plot(positions, medians, color=NEGATIVE, linewidth=1, alpha=0.5)
    axes.set_xticks(positions, _with_zeros(layers), rotation=30 if len(layers) > 4 else 0)
    axes.set_ylabel("|gradient|")
    if title:
        axes.set_title(title)
    return figure


def _with_zeros(layers: dict[str, list[float]]) -> list[str]:
    zeros = {name: gradients.count(0.0) for name, gradients in layers.items()}
    return [f"{name}\n{zeros[name]} of {len(g)} are 0" if zeros[name] else name for name, g in layers.items()]


def _largest(outputs: Sequence[float]) -> int:
    return outputs.index(max(outputs))


def span(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the range of a field that holds these coordinates, with a margin."""
    low, high = min(numbers), max(numbers)
    margin = 0.15 * (high - low) or 0.5
    return low - margin, high + margin


def _spread(numbers: Sequence[float], cells: int) -> list[float]:
    low, high = span(numbers)
    return [low + (high - low) * i / (cells - 1) for i in range(cells)]
