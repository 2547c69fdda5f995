"""Scores of all samples together, against counts by hand and scikit-learn."""

from __future__ import annotations

import functools
import math
import random
from typing import Any

import pytest

from microgrid import fit, losses, nn
from microgrid.training import Objective, confusion_matrix
from microgrid.training.metrics import NAMES, measures_of

LOGITS = [[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [0.5, 0.4, 0.1], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
CLASSES = [0, 2, 1, 1, 2, 0]  # answered 0, 2, 0, 1, 0, 2
YES = [[0.9], [-0.4], [0.2], [-2.0], [1.5]]
SIGNS = [1, 1, -1, -1, 1]  # answered 1, -1, 1, -1, 1


@pytest.mark.parametrize(
    ("name", "loss", "outputs", "ys", "score"),
    [
        ("precision", losses.cross_entropy, LOGITS, CLASSES, (1 / 3 + 1 + 1 / 2) / 3),
        ("recall", losses.cross_entropy, LOGITS, CLASSES, (1 / 2 + 1 / 2 + 1 / 2) / 3),
        ("f1", losses.cross_entropy, LOGITS, CLASSES, (2 / 5 + 2 / 3 + 2 / 4) / 3),
        ("precision", losses.hinge, YES, SIGNS, 2 / 3),
        ("recall", losses.hinge, YES, SIGNS, 2 / 3),
        ("f1", losses.hinge, YES, SIGNS, 2 / 3),
        ("precision", losses.hinge, [[-1.0]], [1], 0.0),
        ("recall", losses.binary_cross_entropy, [[0.9, 0.2], [0.4, 0.7]], [[1, 1], [1, 0]], 1 / 3),
        ("recall", losses.cross_entropy, [LOGITS[:2], LOGITS[3:4]], [[0, -100], [1]], 1.0),
        ("r2", losses.mse, [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], 0.5),
        ("r2", losses.mse, [[1.0, 5.0], [2.0, 5.0]], [[1.0, 5.0], [2.0, 5.0]], 1.0),
        ("r2", losses.mse, [[1.0, 5.0], [2.0, 4.0]], [[1.0, 5.0], [2.0, 5.0]], 0.5),
        ("perplexity", losses.cross_entropy, [[0.0] * 5, [0.0] * 5], [3, 1], 5.0),
        ("perplexity", losses.cross_entropy, [[[0.0, 0.0]] * 3, [[0.0, 40.0]]], [[0, 1, -100], [1]], 4 ** (1 / 3)),
    ],
)
def test_a_score_is_what_one_counts(name: str, loss: Any, outputs: Any, ys: Any, score: float) -> None:
    measure = measures_of([name], loss, ys)[name]
    assert measure(outputs, ys) == pytest.approx(score, rel=1e-14)
    if not isinstance(outputs[0][0], list):
        np = pytest.importorskip("numpy")
        assert measure(np.array(outputs), ys) == measure(outputs, ys)


@pytest.mark.parametrize("classes", [2, 3])
def test_scikit_learns_functions_are_metrics_as_they_are(classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = random.Random(classes)
    x = [[generator.gauss(0.0, 1.0), generator.gauss(0.0, 1.0)] for _ in range(60)]
    y = [int(a > 0) + (classes - 2) * int(b > 0.3) for a, b in x]
    average = {"zero_division": 0, **({} if classes == 2 else {"average": "macro"})}
    scores = [functools.partial(getattr(sklearn, f"{name}_score"), **average) for name in ("precision", "recall", "f1")]
    more = {} if classes == 2 else {"multi_class": "ovr"}
    chances = [sklearn.log_loss, functools.partial(sklearn.roc_auc_score, **more)]
    history = fit(
        nn.MLP(2, [4, classes], seed=0), x, y, loss=Objective("cross_entropy", compile=False), epochs=3, lr=0.1,
        metrics=[*NAMES[:4], "perplexity", sklearn.accuracy_score, *scores, *chances], progress=False,
    )  # fmt: skip
    for name in ("accuracy", "precision", "recall", "f1"):
        assert history[f"{name}_score"] == pytest.approx(history[name], rel=1e-12)
    assert history["log_loss"] == pytest.approx(history.loss, rel=1e-12)
    assert history["perplexity"] == pytest.approx([math.exp(loss) for loss in history.loss], rel=1e-12)
    assert all(0.0 < area <= 1.0 for area in history["roc_auc_score"])


def test_scikit_learns_functions_of_numbers_and_signs() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    x = [[0.1 * i] for i in range(9)]
    history = fit(
        nn.MLP(1, [3, 2], seed=0), x, [[2.0 * a, a * a] for (a,) in x], loss="mse", epochs=2,
        metrics=["r2", sklearn.r2_score, sklearn.mean_squared_error], progress=False,
    )  # fmt: skip
    assert history["r2"] == pytest.approx(history["r2_score"], rel=1e-12)
    assert history["mean_squared_error"] == pytest.approx(history.loss, rel=1e-12)
    measures = measures_of(["f1", sklearn.f1_score], losses.hinge, SIGNS)
    assert measures["f1"](YES, SIGNS) == pytest.approx(measures["f1_score"](YES, SIGNS), rel=1e-14)


def test_a_function_of_all_samples_is_told_by_its_first_parameter() -> None:
    def share_of_ones(y_true: list[int], y_pred: list[int]) -> float:
        assert len(y_true) == len(y_pred) == 6
        return sum(y_pred) / 6

    def of_one(outputs: Any, target: Any) -> float:
        return float(outputs[0])

    measures = measures_of([share_of_ones, of_one], losses.cross_entropy, CLASSES)
    assert measures["share_of_ones"](LOGITS, CLASSES) == (2 + 2 + 1) / 6
    assert measures["of_one"](LOGITS, CLASSES) == pytest.approx(3.5 / 6)
    with pytest.raises(ValueError, match=r"unknown metric 'dice': there is 'accuracy', 'precision', .*scikit-learn"):
        measures_of(["dice"], losses.mse, [])


def test_a_confusion_matrix_counts_answers_by_class() -> None:
    class Given(nn.Module):
        def __call__(self, x: Any) -> Any:
            return [x[0] * 1.0, x[1] * 1.0, x[2] * 1.0]

    assert confusion_matrix(Given(), LOGITS, CLASSES) == [[1, 0, 1], [1, 1, 0], [1, 0, 1]]

    class Score(nn.Module):
        def __call__(self, x: Any) -> Any:
            return x[0] * 1.0

    assert confusion_matrix(Score(), YES, SIGNS, loss="hinge") == [[1, 1], [1, 2]]
