"""Metrics beside the loss."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from microgrid import losses
from microgrid.training.metrics import accuracy, measures_of


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


def test_a_target_that_is_too_long_is_told() -> None:
    with pytest.raises(ValueError, match=r"the network has 1 output\(s\), the target 2 number\(s\)"):
        accuracy(losses.kind_of(losses.mse), [[0.2]], [[1.0, 0.0]])


def test_a_metric_of_ones_own_sees_one_number_or_a_list() -> None:
    def seen(outputs: Any, target: Any) -> float:
        return 10.0 if outputs == 1.5 else float(len(outputs))

    (measure,) = measures_of([seen], losses.mse, [1.0]).values()
    assert measure([[1.5], [1.0, 2.0]], [1.0, [1.0, 2.0]]) == 6.0
