"""Functions that a person has written out are called by name in pictures and steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid import Value, draw, ops, steps, trace
from microgrid.pictures.composites import with_names
from microgrid.pictures.outline import items_of, items_of_program


def names_in(root: Value) -> list[str]:
    return [item.note for item in with_names(items_of(root, {})) if item.note]


def softmax(z: Any) -> Any:
    e = np.exp(z - np.max(z))
    return e / e.sum()


def log_sum_exp(z: Any) -> Any:
    m = np.max(z)
    return m + np.log(np.sum(np.exp(z - m)))


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda z: 1.0 / (1.0 + np.exp(-z)), "sigmoid(z)"),
        (lambda z: np.exp(z) / (1.0 + np.exp(z)), "sigmoid(z)"),
        (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), "tanh(z)"),
        (lambda z: 2.0 / (1.0 + np.exp(-2.0 * z)) - 1.0, "tanh(z)"),
        (lambda z: np.maximum(0.0, z), "relu(z)"),
        (lambda z: np.maximum(z, 0.0), "relu(z)"),
        (lambda z: z * (z + abs(z)) / (2.0 * z), "relu(z)"),
        (lambda z: np.log(1.0 + np.exp(z)), "softplus(z)"),
        (lambda z: z / (1.0 + np.exp(-z)), "silu(z)"),
        (lambda z: np.where(np.array([False]), 0.0, np.array([z]))[0] + np.tanh(z), ""),
        (lambda z: 1.0 / (1.5 + np.exp(-z)), ""),
        (lambda z: np.maximum(0.5, z), ""),
        (lambda z: np.exp(-z), ""),
        (lambda z: mg.sigmoid(z) * 2.0, ""),
    ],
)
def test_a_function_of_one_number_is_recognised_and_nothing_else(f: Callable[[Any], Any], name: str) -> None:
    root = f(Value(0.7, label="z")) * 3.0
    assert names_in(root) == [name] * bool(name)
    if name:
        assert f"{name} = " in draw(root).source
        assert any(step.name == name for step in steps(root))


def test_softmax_and_log_sum_exp_are_named_however_they_are_shifted() -> None:
    z = np.array([Value(x, label=name) for x, name in ((0.3, "p"), (-1.0, "q"), (2.0, "r"))])
    shares = softmax(z)
    assert names_in(shares[0] * shares[1] + shares[2]) == ["softmax[0]", "softmax[1]", "softmax[2]"]
    plain = np.exp(z) / np.sum(np.exp(z))
    assert names_in(-np.log(plain[1])) == ["softmax[0]"]
    for root in (log_sum_exp(z), np.log(np.sum(np.exp(z))), np.log(np.sum(np.exp(z - 2.0))) + 2.0):
        assert names_in(root * 2.0) == ["logsumexp"]
    for root in (np.log(np.sum(np.exp(z - 2.0))), np.log(np.sum(np.exp(z - 2.0))) + 3.0, np.log(1.0 + np.sum(z))):
        assert names_in(root * 2.0) == []


def test_a_result_with_a_label_keeps_it_and_is_said_to_be_the_function() -> None:
    z = Value(0.7, label="z")
    a = 1.0 / (1.0 + np.exp(-z))
    a.label = "a"
    assert "a = sigmoid(z) = " in draw(a * 2.0).source
    forward = next(step for step in steps(a * 2.0).forward if step.name == "a")
    assert forward.expression.startswith("sigmoid(z) = 1 / (1 + exp(-z)) = ")


def test_a_choice_that_a_program_keeps_is_recognised() -> None:
    program = trace(lambda z: ops.where(ops.greater(z, 0.0), z, 0.0) * 2.0)(1.0)
    assert "relu(z)" in [item.note for item in with_names(items_of_program(program))]
    assert "relu(z) = " in draw(program).source
