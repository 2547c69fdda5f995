"""Compatibility with micrograd: the names that its users rely on, and the numbers that must come out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from microgrid import nn, ops
from microgrid.engine import Value, topological
from microgrid.nn import MLP, Layer, Module, Neuron


def test_the_sanity_test_comes_out_exactly() -> None:
    x = Value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    y.backward()
    assert (y.data, x.grad) == (-20.0, 46.0)


def test_the_readme_example_comes_out() -> None:
    """b.grad is 221433 / 343. We give the nearest float; micrograd, which sums in another order, is one ulp off."""
    a, b = Value(-4.0), Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert (g.data, a.grad, b.grad) == (24.70408163265306, 138.83381924198252, 221433 / 343)
    assert math.nextafter(b.grad, math.inf) == 645.5772594752187


def test_a_neuron_has_the_weights_and_the_graph_of_micrograd() -> None:
    random.seed(1337)
    neuron = nn.Neuron(2)
    y = neuron([Value(1.0), Value(-2.0)])
    y.backward()
    assert [w.data for w in neuron.w] == [0.23550571390294128, 0.06653114721000164]
    assert y.data == 0.102443419482938
    assert [w.grad for w in neuron.w] == [1.0, -2.0]
    assert neuron.b.grad == 1.0
    nodes = topological([y])
    assert (len(nodes), sum(len(v._prev) for v in nodes)) == (10, 9)


def test_softmax_of_the_lecture_has_its_gradients() -> None:
    logits = [Value(x) for x in (0.0, 3.0, -2.0, 1.0)]
    exps = [logit.exp() for logit in logits]
    total = sum(exps)
    loss = -((exps[3] / total).log())
    loss.backward()
    expected = [0.041772570515350445, 0.8390245074625319, 0.005653302662216329, -0.8864503806400986]
    assert [logit.grad for logit in logits] == pytest.approx(expected, rel=1e-14)


def moons_of_the_demo(np: Any) -> tuple[Any, Any]:
    """scikit-learn's make_moons(n_samples=100, noise=0.1) as it draws from NumPy's global generator."""
    outer, inner = np.linspace(0, np.pi, 50), np.linspace(0, np.pi, 50)
    x = np.vstack([np.append(np.cos(outer), 1 - np.cos(inner)), np.append(np.sin(outer), 1 - np.sin(inner) - 0.5)]).T
    y = np.hstack([np.zeros(50, dtype=np.intp), np.ones(50, dtype=np.intp)])
    order = np.arange(100)
    np.random.shuffle(order)
    x, y = x[order], y[order]
    x += np.random.normal(scale=0.1, size=x.shape)
    return x, y * 2 - 1


@pytest.mark.parametrize("steps", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_the_demo_trains_to_the_numbers_of_micrograd(steps: int) -> None:
    np = pytest.importorskip("numpy")
    np.random.seed(1337)
    random.seed(1337)
    points, labels = moons_of_the_demo(np)
    model = MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337

    def loss() -> tuple[Value, float]:
        inputs = [list(map(Value, row)) for row in points]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(labels, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(labels, scores, strict=True)]
        return data_loss + reg_loss, sum(accuracy) / len(accuracy)

    seen: list[float] = []
    for k in range(steps):
        total, accuracy = loss()
        if k == 0:
            assert accuracy == 0.5
            assert len(topological([total])) == 65818
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
        seen.append(total.data)
    assert seen[0] == 0.8958441028683222
    assert seen[1] == pytest.approx(1.7235905336972022, rel=1e-14)
    assert seen[2] == pytest.approx(0.742900631385113, rel=1e-12)
    if steps == 100:
        assert seen[98] == pytest.approx(0.0109788883329, rel=1e-11)
        assert accuracy == 1.0


def test_the_aliases_for_old_code_show_operands_and_operation() -> None:
    a, b = Value(2.0, label="a"), Value(3.0)
    assert (a + b)._prev == (a, b)
    assert (a * a)._prev == (a, a)
    assert (a**2)._prev == (a,)
    product = a * 4
    assert product._prev[1] is product._prev[1]
    assert product._prev[1].data == 4.0
    shown = [v._op for v in (a, a + b, a * b, a**2, a**0.5, a.relu(), a.tanh(), a - b, a / b, product._prev[1])]
    assert shown == ["", "+", "*", "**2", "**0.5", "ReLU", "tanh", "-", "/", ""]


def test_backpropagation_by_hand_pushes_one_node_at_a_time() -> None:
    a, b = Value(2.0), Value(-3.0)
    e = a * b
    d = e + a
    d.grad = 1.0
    d._backward()
    e._backward()
    a._backward()
    assert (a.grad, b.grad, e.grad) == (-2.0, 2.0, 1.0)
    with pytest.raises(AttributeError, match="primitive"):
        d._backward = lambda: None


def test_data_and_grad_are_plain_floats_whatever_is_assigned() -> None:
    np = pytest.importorskip("numpy")
    p = Value(1)
    p.data -= np.float64(0.5) * 1
    p.grad = 0
    assert (type(p.data), p.data, type(p.grad), p.grad) == (float, 0.5, float, 0.0)
    with pytest.raises(TypeError, match="a Value"):
        p.data = Value(1.0)
    with pytest.raises(TypeError, match="string"):
        p.grad = "0"


def test_repr_of_values_and_modules_is_micrograds() -> None:
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"
    assert repr(Neuron(2)) == "ReLUNeuron(2)"
    assert repr(Neuron(3, nonlin=False)) == "LinearNeuron(3)"
    assert repr(Layer(2, 2)) == "Layer of [ReLUNeuron(2), ReLUNeuron(2)]"
    assert repr(MLP(1, [1])) == "MLP of [Layer of [LinearNeuron(1)]]"


def test_a_module_written_for_micrograd_works() -> None:
    class Scale(Module):
        def __init__(self) -> None:
            self.k = Value(2.0)

        def __call__(self, x: Value) -> Value:
            return self.k * x

        def parameters(self) -> list[Value]:
            return [self.k]

    scale = Scale()
    y = scale(Value(3.0))
    y.backward()
    assert (y.data, scale.k.grad, y.module) == (6.0, 3.0, "Scale")
    scale.zero_grad()
    assert scale.k.grad == 0.0


@pytest.mark.parametrize(
    "f", [lambda x, y: ops.where(1.0, x, y), ops.maximum, lambda x, y: ops.tied_maximum(x, y, 1.0)]
)
def test_by_hand_nothing_passes_through_a_branch_that_is_not_taken(f: Callable[..., Value]) -> None:
    x, y = Value(2.0), Value(1.0)
    z = f(x, y)
    z.grad = math.inf
    z._backward()
    assert (x.grad, y.grad) == (math.inf, 0.0)
    x.grad = y.grad = 0.0
    z.backward(math.inf)
    assert (x.grad, y.grad) == (math.inf, 0.0)
