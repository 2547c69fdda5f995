"""`compile(loss, model)`: mean losses and gradients by a flat array of parameters, on any number of threads."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid import Value, nn


def hinge(out: Any, y: Any) -> Any:
    return mg.relu(1.0 - out * y)


def squared(out: Any, y: Any) -> Any:
    return mg.sum([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_a_loss_of_a_model_is_the_mean_and_its_gradients(activation: str) -> None:
    random.seed(1)
    model = nn.MLP(3, [8, 5, 2], activation=activation)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(37, 3)), rng.normal(size=(37, 2))
    step = mg.compile(squared, model)
    loss, gradient = step(x, y)
    total = mg.mean(
        [squared(model([Value(a) for a in row]), target) for row, target in zip(x, y.tolist(), strict=True)]
    )
    total.backward()
    assert loss == pytest.approx(total.data, rel=1e-13)
    expected = np.array([p.grad for p in model.parameters()])
    assert np.allclose(gradient, expected, rtol=1e-12, atol=1e-14)
    each = [step(x[i : i + 1], y[i : i + 1])[0] for i in range(len(x))]
    assert np.mean(each) == pytest.approx(loss, rel=1e-14)


def test_parameters_are_one_flat_array() -> None:
    random.seed(2)
    model = nn.MLP(2, [4, 1])
    step = mg.compile(hinge, model)
    x, y = [[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]], [1.0, -1.0, 1.0]
    before, gradient = step(x, y)
    step.parameters -= 0.1 * gradient
    after, _ = step(x, y)
    assert after < before
    assert model.parameters()[0].data != step.parameters[0]
    step.write()
    assert [p.data for p in model.parameters()] == step.parameters.tolist()
    model.parameters()[0].data = 7.0
    step.read()
    assert step.parameters[0] == 7.0
    step.parameters = step.parameters[:-1]
    with pytest.raises(ValueError, match="17 parameters"):
        step(x, y)


@pytest.mark.parametrize("last", [1, 3])
@pytest.mark.parametrize("samples", [1, 37, 200])
def test_outputs_come_along_with_the_gradients_of_the_loss_alone(samples: int, last: int) -> None:
    random.seed(3)
    model = nn.MLP(2, [6, last], activation="tanh")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(samples, 2)), rng.normal(size=(samples, last) if last > 1 else samples)
    step = mg.compile(squared if last > 1 else hinge, model)
    loss, gradient, outputs = step.with_outputs(x, y)
    alone = step(x, y)
    assert loss == alone[0]
    assert np.array_equal(gradient, alone[1])
    with mg.no_grad():
        eager = [model([Value(a) for a in row]) for row in x]
    expected = [[v.data for v in out] if isinstance(out, list) else [out.data] for out in eager]
    assert outputs.shape == (samples, last)
    assert np.allclose(outputs, expected, rtol=1e-13, atol=1e-15)
    assert "tanh" in str(step.loops)
    assert "void" in step.c()


class Scaled(nn.Module):
    """A parameter times a number that its call finds outside."""

    def __init__(self) -> None:
        self.w = Value(1.0)

    def __call__(self, x: Any) -> Any:
        return self.w * x[0] * SCALE


class Around(nn.Module):
    """A module around another."""

    def __init__(self) -> None:
        self.inner = [Scaled()]

    def __call__(self, x: Any) -> Any:
        return self.inner[0](x)


SCALE = 3.0


def test_numbers_outside_of_the_loss_and_the_call_are_compiled_in_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = 1.0
    step = mg.compile(lambda out, y: weight * (out - y) ** 2, Around())
    assert step([[1.0]], [0.0])[0] == 9.0
    weight = 2.0
    assert step([[1.0]], [0.0])[0] == 18.0
    monkeypatch.setitem(globals(), "SCALE", 1.0)
    assert step([[1.0]], [0.0])[0] == 2.0
    assert step([[1.0]], [1.0])[0] == 0.0
    assert step.compilations == 3


def test_shapes_may_change_from_call_to_call() -> None:
    step = mg.compile(lambda out, y: (out - y) ** 2, Around())
    assert step([[1.0], [2.0]], [0.0, 0.0])[0] == (9.0 + 36.0) / 2.0
    assert step([[2.0, 7.0], [1.0, 7.0]], [0.0, 6.0])[0] == (36.0 + 9.0) / 2.0
    with pytest.raises(ValueError, match="got 2 and 1"):
        step([[2.0, 7.0], [1.0, 7.0]], [0.0])
    assert step([[2.0], [1.0], [0.0]], [0.0, 6.0, 3.0])[0] == (36.0 + 9.0 + 9.0) / 3.0


@pytest.mark.parametrize("loss", [lambda out, y: [out - y, out + y], lambda out, y: (out,), lambda out, y: []])
def test_a_loss_of_several_numbers_is_refused(loss: Any) -> None:
    step = mg.compile(loss, nn.MLP(2, [1]))
    for call in (step, step.with_outputs):
        with pytest.raises(TypeError, match="<lambda> must return one number for a sample, got several"):
            call([[1.0, 2.0]], [1.0])


def test_a_value_made_of_parameters_beforehand_is_refused() -> None:
    model = nn.MLP(2, [1])
    penalty = model.parameters()[0] ** 2
    step = mg.compile(lambda out, y: (out - y) ** 2 + penalty, model)
    with pytest.raises(TypeError, match=r"computed from the model's parameters before.*within the loss"):
        step([[1.0, 2.0]], [0.0])


def test_a_batch_without_samples_has_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one: got 0 and 0"):
        mg.compile(hinge, nn.MLP(2, [1]))(np.empty((0, 2)), np.empty(0))


def test_a_module_of_ones_own_and_a_loss_that_uses_the_parameters() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = Value(2.0), Value(1.0)

        def __call__(self, x: Any) -> Any:
            return self.a * x + self.b

        def parameters(self) -> list[Value]:
            return [self.a, self.b]

    line = Line()
    step = mg.compile(lambda out, y: (out - y) ** 2 + 0.5 * line.a**2, line)
    loss, gradient = step([0.0, 1.0], [1.0, 1.0])
    assert (loss, gradient.tolist()) == (4.0, [4.0, 2.0])


@pytest.mark.parametrize("samples", [100, 1000, 1003])
def test_threads_give_the_same_bits_as_one(samples: int) -> None:
    random.seed(3)
    model = nn.MLP(2, [8, 1], activation="tanh")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 2)), rng.normal(size=samples)
    results = [mg.compile(hinge, model, threads=n)(x, y) for n in (1, 2, 3, 8)]
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        assert gradient.tobytes() == results[0][1].tobytes()
