"""Losses of one sample, and penalties on parameters.

Each loss takes the outputs for one sample (a value, or nested lists of them) and its target (a number, or lists of as
many), values or numbers, and gives one value. `fit` takes the mean over samples. No exponential overflows on the way.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from microgrid import ops
from microgrid.core.scope import frame
from microgrid.functions import reductions

__all__ = [
    "IGNORED",
    "KINDS",
    "LOSSES",
    "Kind",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "half_squares",
    "hinge",
    "huber",
    "l2",
    "mae",
    "mse",
]

Reduction = Literal["mean", "sum"]
Loss = Callable[[Any, Any], Any]

IGNORED = -100.0
"""Target of a step of a sequence that does not count, as PyTorch's ignore_index."""


def mse(outputs: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """The squares of output - target: their mean over the outputs, or their sum.

    >>> mse([1.0, 5.0], [0.0, 2.0])
    5.0
    """
    return _reduced([_square(o - t) for o, t in _pairs(outputs, target)], reduction)


def half_squares(outputs: Any, target: Any) -> Any:
    """Half the sum of the squares of output - target, whose derivative by an output is output - target.

    >>> half_squares([1.0, 5.0], [0.0, 2.0])
    5.0
    """
    return reductions.sum([_square(o - t) for o, t in _pairs(outputs, target)]) * 0.5


def mae(outputs: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """The distances |output - target|: their mean over the outputs, or their sum.

    >>> mae([1.0, 5.0], [0.0, 2.0])
    2.0
    """
    return _reduced([ops.abs(o - t) for o, t in _pairs(outputs, target)], reduction)


def huber(outputs: Any, target: Any, *, delta: float = 1.0, reduction: Reduction = "mean") -> Any:
    """Half the square of d = output - target up to |d| = delta, from there on the straight line delta (|d| - delta/2).

    The mean over the outputs, or the sum (Huber 1964). Raises ValueError when delta is not positive.

    >>> huber(0.5, 0.0), huber(3.0, 0.0)
    (0.125, 2.5)
    """
    if not delta > 0.0:
        raise ValueError(f"delta, where squares turn into a straight line, must be positive, got {delta}")

    def one(d: Any) -> Any:
        held = ops.clip(d, -delta, delta)
        return held * (d - held * 0.5)

    return _reduced([one(o - t) for o, t in _pairs(outputs, target)], reduction)


def hinge(outputs: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """relu(1 - target * output) for targets -1 and 1, the max-margin loss: the mean over the outputs, or the sum.

    >>> hinge(0.25, 1), hinge(2.0, 1)
    (0.75, 0.0)
    """
    return _reduced([ops.relu(1.0 - o * t) for o, t in _pairs(outputs, target)], reduction)


def binary_cross_entropy(outputs: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """-(t log p + (1 - t) log(1 - p)) for probabilities p and targets t from 0 to 1: the mean over outputs, or the sum.

    0 log 0 counts as 0. Where the network ends in a sigmoid, the form from logits is the one that keeps all digits.

    >>> round(binary_cross_entropy(0.5, 1), 4)
    0.6931
    """
    losses = [-(ops.xlogy(t, p) + ops.xlogy(1.0 - t, 1.0 - p)) for p, t in _pairs(outputs, target)]
    return _reduced(losses, reduction)


def binary_cross_entropy_with_logits(outputs: Any, target: Any, *, reduction: Reduction = "mean") -> Any:
    """The binary cross-entropy of sigmoid(output): the mean over the outputs, or the sum.

    Exact at any logit, at an infinite one, too.

    >>> round(binary_cross_entropy_with_logits(0.0, 1), 4)
    0.6931
    """
    pairs = _pairs(outputs, target)
    losses = [_weighted(ops.softplus(-z), t) + _weighted(ops.softplus(z), 1.0 - t) for z, t in pairs]
    return _reduced(losses, reduction)


def cross_entropy(outputs: Any, target: Any) -> Any:
    """-log of the softmax of the outputs (logits) at the target: the number of a class, or a probability for each.

    A class with the logit -inf is masked: with the probability 0 it adds nothing. Of a sequence, a row of logits and a
    class for each time step, it is the mean over the steps whose target is not IGNORED, -100. A number of a class may
    be a Value: so compiled code takes any, and gives nan for one that is no class. Raises ValueError when there is no
    class of that number.

    >>> round(cross_entropy([1.0, 2.0, 3.0], 2), 4)
    0.4076
    """
    logits = list(_listed(outputs))
    if logits and isinstance(logits[0], Sequence):
        return _over_steps(logits, target)
    if isinstance(target, Sequence):
        losses = _each_against_the_others(logits)
        return reductions.sum([_weighted(loss, t) for loss, t in _pairs(losses, target)])
    if hasattr(target, "_apply_op"):
        return _at_any_class(logits, target)
    if not 0 <= target < len(logits) or target != int(target):
        raise ValueError(f"label {target} is none of the classes 0 to {len(logits) - 1}")
    k = int(target)
    if len(logits) == 1:
        return ops.sub(logits[0], logits[0])
    scale, exponentials = reductions.shifted_exponentials(logits)
    return _against(logits[k], scale, reductions.sum(exponentials[:k] + exponentials[k + 1 :]))


def l2(parameters: Iterable[Any], strength: float) -> Any:
    """strength times the sum of the squares of the parameters; it keeps them small.

    >>> l2([1.0, 2.0], 0.1)
    0.5
    """
    return reductions.sum([_square(p) for p in parameters]) * strength


# --- what `fit` knows of them --------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """Targets that a loss takes (any, numbers, probabilities, signs, classes), and the threshold of a yes among
    outputs.

    >>> KINDS[hinge].targets, KINDS[hinge].threshold
    ('signs', 0.0)
    """

    targets: Literal["any", "numbers", "probabilities", "signs", "classes"] = "numbers"
    threshold: float = 0.5


KINDS: dict[Loss, Kind] = {
    mse: Kind(),
    half_squares: Kind(),
    mae: Kind(),
    huber: Kind(),
    hinge: Kind("signs", 0.0),
    binary_cross_entropy: Kind("probabilities", 0.5),
    binary_cross_entropy_with_logits: Kind("probabilities", 0.0),
    cross_entropy: Kind("classes"),
}

LOSSES: dict[str, Loss] = {loss.__name__: loss for loss in KINDS}
"""Losses that `fit` takes by name."""


def loss_named(loss: str | Loss) -> Loss:
    """Return the loss of this name, or the function itself."""
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}: choose one of {', '.join(LOSSES)}, or pass a function")
    return LOSSES[loss]


def kind_of(loss: Loss) -> Kind:
    """Return the kind of a loss; a function of the user takes any targets."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    return KINDS.get(loss, Kind("any"))


# --- outputs and targets, side by side -----------------------------------------------------------------------------


def _listed(x: Any) -> Sequence[Any]:
    return x if isinstance(x, Sequence) else list(x) if hasattr(x, "__iter__") else [x]


def flat(x: Any) -> list[Any]:
    """Return a value, or values in nested lists, as one list."""
    items = list(_listed(x))
    while items and isinstance(items[0], Sequence):
        items = [item for part in items for item in part]
    return items


def _pairs(outputs: Any, target: Any) -> list[tuple[Any, Any]]:
    os, ts = flat(outputs), flat(target)
    if len(os) != len(ts):
        raise ValueError(f"the network has {len(os)} output(s), the target {len(ts)} number(s)")
    return list(zip(os, ts, strict=True))


def _weighted(loss: Any, weight: Any) -> Any:
    """Return the product, and 0 where the weight is 0, also of an infinite loss."""
    return ops.multiply_no_nan(loss, weight)


def _at_any_class(logits: list[Any], target: Any) -> Any:
    """Return the cross-entropy at the class whose number is a Value, recorded so that the number may change."""
    chosen = [ops.equal(target, float(k)) for k in range(len(logits))]
    logit = reductions.sum([ops.where(c, z, 0.0) for c, z in zip(chosen, logits, strict=True)])
    if len(logits) == 1:
        loss = ops.sub(logit, logit)
    else:
        scale, exponentials = reductions.shifted_exponentials(logits)
        others = reductions.sum([ops.where(c, 0.0, e) for c, e in zip(chosen, exponentials, strict=True)])
        loss = _against(logit, scale, others)
    return ops.where(reductions.sum(chosen), loss, math.nan)


def _over_steps(rows: Sequence[Any], targets: Any) -> Any:
    """Return the mean of the cross-entropy over the steps of a sequence that count."""
    classes = list(_listed(targets))
    if len(rows) != len(classes):
        raise ValueError(f"the network has outputs for {len(rows)} step(s), the target {len(classes)} class(es)")
    counted = [ops.sub(1.0, ops.equal(t, IGNORED)) for t in classes]
    varying = any(hasattr(t, "_apply_op") for t in classes)
    losses = []
    with frame("cross_entropy"):
        for step, (row, t, counts) in enumerate(zip(rows, classes, counted, strict=True)):
            with frame(f"t={step}"):
                if varying:
                    losses.append(ops.where(counts, cross_entropy(row, t), 0.0))
                elif counts:
                    losses.append(cross_entropy(row, t))
        if not losses:
            raise ValueError(f"the targets of all {len(rows)} steps are {IGNORED:g}, which does not count")
        return ops.div(reductions.sum(losses), reductions.sum(counted))


def _against(logit: Any, scale: Any, others: Any) -> Any:
    """Return -log of the softmax at a logit, given the sum of the others' exponentials, as a multiple of exp(scale).

    Written as softplus(log(others) - logit), whose derivative by the logit is the probability of the others: 1 - p
    would lose it where p is near 1.
    """
    tiny = ops.greater(1e-200, others)  # softplus is exp there, and 1 / others, in its derivative, would overflow
    surprise = ops.softplus(ops.add(ops.log(others), ops.sub(scale, logit)))
    return ops.where(tiny, ops.mul(others, ops.shifted_exp(scale, logit)), surprise)


def _each_against_the_others(logits: list[Any]) -> list[Any]:
    """Return -log of the softmax at each logit, by sums over those before and after it, in linear time."""
    if len(logits) < 2:
        return [ops.sub(z, z) for z in logits]
    scale, exponentials = reductions.shifted_exponentials(logits)
    before, after = _running_sums(exponentials[:-1]), _running_sums(exponentials[:0:-1])[::-1]
    others = [after[0], *map(ops.add, before[:-1], after[1:]), before[-1]]
    return [_against(z, scale, other) for z, other in zip(logits, others, strict=True)]


def _running_sums(xs: list[Any]) -> list[Any]:
    return list(itertools.accumulate(xs, ops.add))


def _square(d: Any) -> Any:
    return d * d


def _reduced(losses: list[Any], reduction: Reduction) -> Any:
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    if len(losses) == 1:
        return losses[0]
    total = reductions.sum(losses)
    return total if reduction == "sum" else total * (1.0 / len(losses))
