"""Metrics: accuracy, and functions of the user."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.losses import Kind, Loss, kind_of
from microgrid.training.samples import Target

Metric = Callable[[Any, Any], float]
"""A metric of the user: a function of the outputs, as numbers, and the target of one sample."""

Measure = Callable[[Sequence[list[float]], Sequence[Target]], float]
"""A function of the outputs and targets of all samples."""


def measures_of(metrics: Sequence[str | Metric], loss: Loss, ys: Sequence[Target]) -> dict[str, Measure]:
    """Return the metrics by name; the threshold of a yes follows from the loss, or from negative targets."""
    kind = kind_of(loss)
    if kind.targets in ("numbers", "any") and any(y < 0 for y in ys if not isinstance(y, list)):
        kind = kind._replace(threshold=0.0)
    named: dict[str, Measure] = {}
    for metric in metrics:
        if not callable(metric) and metric != "accuracy":
            raise ValueError(
                f"unknown metric {metric!r}: there is 'accuracy'; or pass a function of outputs and target"
            )
        name = getattr(metric, "__name__", repr(metric)) if callable(metric) else metric
        if name == "loss" or name.startswith("validation_"):
            raise ValueError(f"a metric cannot be called {name}, as a curve of the run is: give it another name")
        if name in named:
            raise ValueError(f"two metrics are called {name}: define them by def, with names of their own")
        named[name] = functools.partial(_mean, metric) if callable(metric) else functools.partial(accuracy, kind)
    return named


def accuracy(kind: Kind, outputs: Sequence[list[float]], ys: Sequence[Target]) -> float:
    """Return the fraction of correct classes (largest output), or of outputs on the target's side of the threshold.

    The second is the mean over samples of the fraction of the outputs.
    """
    right = []
    for os, y in zip(outputs, ys, strict=True):
        ts = y if isinstance(y, list) else [y]
        if kind.targets == "classes" or len(ts) < len(os):
            right.append(float(os.index(max(os)) == (ts.index(max(ts)) if len(ts) == len(os) else y)))
        elif len(ts) > len(os):
            raise ValueError(f"the network has {len(os)} output(s), the target {len(ts)} number(s)")
        else:
            sides = [(o > kind.threshold) == (t > kind.threshold) for o, t in zip(os, ts, strict=True)]
            right.append(sides.count(True) / len(sides))
    return math.fsum(right) / len(right)


def _mean(metric: Metric, outputs: Sequence[list[float]], ys: Sequence[Target]) -> float:
    """Return the mean of a metric of the user."""
    each = [metric(os if len(os) > 1 else os[0], y) for os, y in zip(outputs, ys, strict=True)]
    return math.fsum(each) / len(each)
