"""Scores of all samples together: precision, recall, F1, R2, perplexity; and metrics as scikit-learn writes them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import losses
from microgrid.losses import IGNORED, Kind
from microgrid.nn.module import Module
from microgrid.training.samples import Outputs, Target, outputs_like, samples_of, targets
from microgrid.training.sums import outputs_of

Score = Callable[[Kind, Any, Sequence[Target]], float]
"""A score of the outputs and the targets of all samples."""


def precision(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
    """Return the fraction of right answers among those of yes; of more than two classes, the mean over classes."""
    return _mean_over_classes(kind, outputs, ys, lambda hits, answers, trues: _ratio(hits, answers))


def recall(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
    """Return the fraction of the samples of yes that are found; of more than two classes, the mean over classes."""
    return _mean_over_classes(kind, outputs, ys, lambda hits, answers, trues: _ratio(hits, trues))


def f1(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
    """Return the harmonic mean of precision and recall; of more than two classes, the mean over classes."""
    return _mean_over_classes(kind, outputs, ys, lambda hits, answers, trues: _ratio(2 * hits, answers + trues))


def r2(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
    """Return 1 - squared errors / squared deviations of the targets from their mean; the mean over several outputs.

    Where all targets of an output are equal, it is 1 for no error, and 0 for any.
    """
    columns = list(zip(*[losses.flat(output) for output in _listed(outputs)], strict=True))
    wanted = list(zip(*[losses.flat(y) for y in ys], strict=True))
    if len(columns) != len(wanted):
        raise ValueError(f"the network has {len(columns)} output(s), the target {len(wanted)} number(s)")
    each = []
    for os, ts in zip(columns, wanted, strict=True):
        mean = math.fsum(ts) / len(ts)
        errors = math.fsum((o - t) ** 2 for o, t in zip(os, ts, strict=True))
        spread = math.fsum((t - mean) ** 2 for t in ts)
        each.append(1.0 - errors / spread if spread else float(errors == 0.0))
    return math.fsum(each) / len(each)


def perplexity(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
    """Return exp of the mean cross-entropy of all classes, over samples and steps: the number of equal choices."""
    each = []
    for output, y in zip(_listed(outputs), ys, strict=True):
        steps = zip(output, y, strict=True) if isinstance(output[0], list) and isinstance(y, list) else [(output, y)]
        each += [losses.cross_entropy(row, target) for row, target in steps if target != IGNORED]
    return math.exp(math.fsum(each) / len(each))


def confusion_matrix(model: Module, x: Any, y: Any, *, loss: str | losses.Loss = "cross_entropy") -> list[list[int]]:
    """Return how often each class, a row, is answered as each class, a column, by a trained model.

    The loss tells how outputs answer: the largest logit of cross_entropy, else a side of its threshold, no before yes.

    >>> from microgrid import nn
    >>> identity = nn.Linear(2, 2, False, init=lambda *_: 0.0)
    >>> confusion_matrix(identity, [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    [[1, 0], [1, 0]]
    """
    kind = losses.kind_of(losses.loss_named(loss))
    outputs = outputs_of(model, xs := samples_of(x, misfit=lambda sample: ""))
    given: Outputs = outputs_like(outputs[0])
    trues, answers = decided(kind, outputs, targets(y, len(xs), given, kind))
    size = given.size if kind.targets == "classes" else 2
    matrix = [[0] * size for _ in range(size)]
    for true, answer in zip(trues, answers, strict=True):
        matrix[true][answer] += 1
    return matrix


def decided(kind: Kind, outputs: Any, ys: Sequence[Target]) -> tuple[list[int], list[int]]:
    """Return the right answers and those given, over samples, steps and outputs: classes, or 1 for yes and 0 for no."""
    trues: list[int] = []
    answers: list[int] = []
    for output, y in zip(_listed(outputs), ys, strict=True):
        if kind.targets == "classes":
            steps = (
                zip(output, y, strict=True) if isinstance(output[0], list) and isinstance(y, list) else [(output, y)]
            )
            for row, target in steps:
                if target != IGNORED:
                    trues.append(target.index(max(target)) if isinstance(target, list) else int(target))
                    answers.append(row.index(max(row)))
        else:
            os, ts = losses.flat(output), losses.flat(y)
            if len(os) != len(ts):
                raise ValueError(f"the network has {len(os)} output(s), the target {len(ts)} number(s)")
            trues += [int(t > kind.threshold) for t in ts]
            answers += [int(o > kind.threshold) for o in os]
    return trues, answers


def by_scikit_learn(metric: Callable[..., Any]) -> Score | None:
    """Return the score of a metric of all samples that begins with (y_true, y_pred), as scikit-learn's do; else None.

    y_pred are classes, or signs, or 0 and 1 where the loss is for answers of yes and no, else numbers. Metrics that
    take y_score or probabilities get the softmax of logits, else the outputs.
    """
    try:
        names = list(inspect.signature(metric).parameters)[:2]
    except (TypeError, ValueError):
        return None
    if names[:1] != ["y_true"] or len(names) < 2:
        return None
    probable = names[1] in ("y_score", "y_proba", "y_prob") or getattr(metric, "__name__", "") == "log_loss"

    def score(kind: Kind, outputs: Any, ys: Sequence[Target]) -> float:
        listed = _listed(outputs)
        if kind.targets in ("classes", "signs", "probabilities") and not probable:
            trues, answers = decided(kind, listed, ys)
            if kind.targets == "signs":
                trues, answers = ([2 * label - 1 for label in labels] for labels in (trues, answers))
            return float(metric(trues, answers))
        if kind.targets == "classes":
            trues, _ = decided(kind, listed, ys)
            rows = [row for output in listed for row in (output if isinstance(output[0], list) else [output])]
            chances = [[math.exp(-losses.cross_entropy(row, k)) for k in range(len(row))] for row in rows]
            two = len(chances[0]) == 2
            return float(metric(trues, [row[1] for row in chances] if two else chances))
        return float(metric([_bare(losses.flat(y)) for y in ys], [_bare(losses.flat(output)) for output in listed]))

    return score


SCORES: dict[str, Score] = {"precision": precision, "recall": recall, "f1": f1, "r2": r2, "perplexity": perplexity}
"""Scores that `fit` takes by name."""


def _mean_over_classes(
    kind: Kind, outputs: Any, ys: Sequence[Target], of_one: Callable[[int, int, int], float]
) -> float:
    trues, answers = decided(kind, outputs, ys)
    labels = sorted({*trues, *answers})
    labels = labels if len(labels) > 2 or max(labels, default=0) > 1 else [1]
    each = []
    for label in labels:
        hits = sum(t == a == label for t, a in zip(trues, answers, strict=True))
        each.append(of_one(hits, answers.count(label), trues.count(label)))
    return math.fsum(each) / len(each)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _bare(xs: list[Any]) -> Any:
    return xs[0] if len(xs) == 1 else xs


def _listed(outputs: Any) -> list[list[Any]]:
    return outputs if isinstance(outputs, list) else outputs.tolist()
