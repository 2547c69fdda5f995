"""Metrics beside the loss."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import losses
from microgrid.training.metrics import Accuracy, accuracy, measures_of


@pytest.mark.parametrize(
    ("loss", "outputs", "target", "share"),
    [
        (losses.hinge, [0.2], 1, 1.0),
        (losses.hinge, [-0.2], 1, 0.0),
        (losses.binary_cross_entropy, [0.4], 0, 1.0),
        (losses.binary_cross_entropy_with_logits, [0.4], 0, 0.0),
        (losses.cross_entropy, [0.0, 3.0, 1.0], 1, 1.0),
        (losses.cross_entropy, [0.0, 3.0, 1.0], [0.1, 0.2, 0.7], 0.0),
        (functools.partial(losses.mse, reduction="sum"), [0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1], 0.75),
        (lambda outputs, target: outputs[target], [0.0, 3.0], 1, 1.0),
    ],
)
def test_accuracy_counts_by_the_kind_of_the_loss(loss: Any, outputs: list[float], target: Any, share: float) -> None:
    assert accuracy(losses.kind_of(loss), [outputs], [target]) == share


def test_accuracy_is_the_mean_over_samples() -> None:
    assert accuracy(losses.kind_of(losses.hinge), [[0.2], [0.3], [-0.1], [-4.0]], [1, 1, 1, -1]) == 0.75


KINDS = [
    losses.Kind(targets, threshold)
    for targets in ("any", "numbers", "probabilities", "signs", "classes")
    for threshold in (0.0, 0.5)
]
outputs = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 0.3, math.inf, -math.inf, math.nan]) | st.floats(-2.0, 2.0)
numbers = st.sampled_from([0, 1, 2, 0.0, -1.0, 1.0, 0.5, 2.5]) | st.floats(-2.0, 2.0)


@given(st.data(), st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 9))
def test_accuracy_of_an_array_is_that_of_lists(data: st.DataObject, kind: losses.Kind, width: int, count: int) -> None:
    np = pytest.importorskip("numpy")
    rows = data.draw(st.lists(st.lists(outputs, min_size=width, max_size=width), min_size=count, max_size=count))
    one: st.SearchStrategy[Any] = numbers
    for_each = st.lists(numbers, min_size=width, max_size=width)
    target = data.draw(st.sampled_from([one, for_each, one | st.lists(numbers, min_size=1, max_size=width)]))
    ys = data.draw(st.lists(target, min_size=count, max_size=count))
    measure = Accuracy(kind)
    for some in (ys, list(reversed(ys)), ys):
        assert measure(np.array(rows), some) == measure(rows, some) == accuracy(kind, rows, some)


def test_a_target_that_is_too_long_is_told() -> None:
    with pytest.raises(ValueError, match=r"the network has 1 output\(s\), the target 2 number\(s\)"):
        accuracy(losses.kind_of(losses.mse), [[0.2]], [[1.0, 0.0]])
    np = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match=r"the network has 1 output\(s\), the target 2 number\(s\)"):
        Accuracy(losses.kind_of(losses.mse))(np.array([[0.2]]), [[1.0, 0.0]])


def test_a_metric_of_ones_own_sees_one_number_or_a_list() -> None:
    def seen(outputs: Any, target: Any) -> float:
        return 10.0 if outputs == 1.5 else float(len(outputs))

    (measure,) = measures_of([seen], losses.mse, [1.0]).values()
    assert measure([[1.5], [1.0, 2.0]], [1.0, [1.0, 2.0]]) == 6.0
