"""Networks: shapes, activations, paths, errors."""

from __future__ import annotations

import math
import random
import threading
from typing import Any, cast

import pytest

from microgrid import Value, nn, no_grad, ops
from microgrid.engine import topological


def modules_of(root: Value) -> list[str]:
    return [value.module for value in topological([root]) if value.module]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
def test_a_neuron_is_the_sum_it_says(activation: str) -> None:
    neuron = nn.Neuron(3, activation=activation)
    x = [0.5, -1.5, 2.0]
    total = neuron.b.data
    for w, xi in zip(neuron.w, x, strict=True):
        total = total + w.data * xi
    op = nn.ACTIVATIONS[activation]
    assert neuron(x).data == (total if op is None else op(total))


def test_a_neuron_records_the_loop_a_person_would_write() -> None:
    neuron = nn.Neuron(2, nonlin=False)
    x = [Value(1.0), Value(2.0)]
    by_hand = neuron.b
    for w, xi in zip(neuron.w, x, strict=True):
        by_hand = by_hand + w * xi
    nodes, expected = topological([neuron(x)]), topological([by_hand])
    assert [(v.op, v.data, v.partials) for v in nodes] == [(v.op, v.data, v.partials) for v in expected]
    assert [v.number - nodes[-1].number for v in nodes[-4:]] == [-3, -2, -1, 0]


def test_values_carry_the_path_of_the_module_that_made_them() -> None:
    model = nn.MLP(2, [2, 1])
    paths = modules_of(model([Value(1.0), Value(2.0)]))
    assert list(dict.fromkeys(paths)) == [
        "MLP.layers[0].neurons[0]",
        "MLP.layers[0].neurons[1]",
        "MLP.layers[1].neurons[0]",
    ]
    assert (Value(1.0) * 2).module == ""

    class Doubled(nn.MLP):
        def __call__(self, x: Any) -> Any:
            return super().__call__(x) * 2

    class Loud(nn.Neuron):
        def __call__(self, x: Any) -> Value:
            return super().__call__(x) + 1

    assert dict.fromkeys(modules_of(Doubled(1, [1])([1.0]))) == dict.fromkeys(
        ["Doubled.layers[0].neurons[0]", "Doubled"]
    )
    assert set(modules_of(Loud(1)([1.0]))) == {"Loud"}


def test_a_path_belongs_to_its_thread_and_survives_an_error() -> None:
    class Slow(nn.Module):
        def __call__(self, x: Value) -> Value:
            entered.set()
            leave.wait(10)
            return x * 2

    class Broken(nn.Module):
        def __call__(self, x: Value) -> Value:
            raise RuntimeError("broken")

    entered, leave = threading.Event(), threading.Event()
    made: list[Value] = []
    thread = threading.Thread(target=lambda: made.append(Slow()(Value(1.0))))
    thread.start()
    entered.wait(10)
    assert (Value(1.0) * 2).module == ""
    leave.set()
    thread.join()
    assert made[0].module == "Slow"
    with pytest.raises(RuntimeError):
        Broken()(Value(1.0))
    assert (Value(1.0) * 2).module == ""


def test_within_no_grad_a_network_computes_the_same_and_records_nothing() -> None:
    model = nn.MLP(2, [3, 1], activation="tanh")
    recorded = model([1.0, 2.0])
    with no_grad():
        plain = model([1.0, 2.0])
    assert (plain.data, plain.operands) == (recorded.data, ())


def test_shapes_that_micrograd_gets_wrong() -> None:
    assert isinstance(nn.MLP(2, [16, 1, 1])([1.0, 2.0]), Value)
    assert isinstance(nn.MLP(2, (4, 1))((1.0, 2.0)), Value)
    assert len(nn.MLP(2, [4, 3])([1.0, 2.0])) == 3
    assert len(nn.MLP(2, [4, 3]).parameters()) == 2 * 4 + 4 + 4 * 3 + 3
    assert isinstance(nn.Neuron(2)(x for x in (1.0, 2.0)), Value)
    np = pytest.importorskip("numpy")
    assert isinstance(nn.Neuron(2)(np.array([1.0, 2.0])), Value)


def test_the_same_seed_gives_the_same_network() -> None:
    def weights() -> list[float]:
        random.seed(7)
        return [p.data for p in nn.MLP(3, [4, 1]).parameters()]

    assert weights() == weights()


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: nn.Neuron(2)([1.0]), r"expected 2 input\(s\), one for each weight, got 1"),
        (lambda: nn.MLP(2, [2, 1])([1.0, 2.0, 3.0]), "expected 2"),
        (lambda: nn.Neuron(-1), "whole number"),
        (lambda: nn.Neuron(2.0), "whole number"),  # type: ignore[arg-type]
        (lambda: nn.Layer(2, 0), "from 1 on"),
        (lambda: nn.MLP(2, []), "sizes of the layers"),
        (lambda: nn.MLP(2, cast(Any, 3)), "sizes of the layers"),
        (lambda: nn.MLP(2, [1], activation="relux"), "choose one of relu, tanh, sigmoid, identity"),
        (lambda: nn.Neuron(2, activation=ops.maximum), "one operand"),
    ],
)
def test_misuse_says_what_to_change(misuse: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        misuse()


def test_a_module_without_call_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no __call__"):
        nn.Module()(1.0)
    assert nn.Module().parameters() == []


def test_gradients_of_a_network_agree_with_finite_differences() -> None:
    random.seed(3)
    model = nn.MLP(2, [4, 1], activation="tanh")
    x = [0.3, -0.8]
    model(x).backward()
    for p in model.parameters():
        here, h = p.data, 1e-6
        p.data = here + h
        up = model(x).data
        p.data = here - h
        down = model(x).data
        p.data = here
        assert math.isclose(p.grad, (up - down) / (2 * h), rel_tol=1e-7, abs_tol=1e-9)


def test_an_activation_may_be_any_function_of_a_value() -> None:
    def bent(x: Any) -> Any:
        return x.tanh() + 0.1 * x

    neuron = nn.Neuron(2, activation=bent, seed=0)
    linear = nn.Neuron(2, nonlin=False, seed=0)
    output = neuron([1.0, -2.0])
    z = linear([1.0, -2.0]).data
    assert output.data == math.tanh(z) + 0.1 * z
    assert set(modules_of(output)) == {"Neuron"}
    assert set(modules_of(nn.MLP(1, [1, 1], activation=bent)([1.0]))) == {
        "MLP.layers[0].neurons[0]",
        "MLP.layers[1].neurons[0]",
    }
    assert repr(neuron) == "bentNeuron(2)"
    assert neuron.nonlin
    with pytest.raises(TypeError, match="a name, an op or a function"):
        nn.Neuron(1, activation=cast(Any, 3))


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_every_activation_has_a_name_and_works_in_a_network(name: str) -> None:
    model = nn.MLP(2, [2, 1], activation=name, output="sigmoid", seed=3)
    output = model([0.4, -0.6])
    output.backward()
    assert 0.0 < output.data < 1.0
    assert all(math.isfinite(p.grad) for p in model.parameters())


def test_the_output_may_have_an_activation_of_its_own() -> None:
    model = nn.MLP(2, [3, 2], activation="tanh", output="sigmoid")
    assert repr(model.layers[1]) == "Layer of [sigmoidNeuron(3), sigmoidNeuron(3)]"
    assert repr(model.layers[0].neurons[0]) == "tanhNeuron(2)"
    assert repr(nn.Layer(2, 17)) == "Layer of 17 [ReLUNeuron(2), ..., ReLUNeuron(2)]"


def weights(model: nn.MLP) -> list[float]:
    return [w.data for layer in model.layers for neuron in layer.neurons for w in neuron.w]


@pytest.mark.parametrize(
    ("init", "mean_square"),
    [
        ("uniform", 1.0 / 3.0),
        ("normal", 1.0),
        ("xavier", 2.0 / 80.0),
        ("he", 2.0 / 40.0),
        ("fan_in", 1.0 / 3.0 / 40.0),
        (nn.normal(0.01), 0.0001),
        (nn.uniform(0.0, 1.0), 1.0 / 3.0),
    ],
)
def test_initial_weights_have_the_spread_that_their_initializer_promises(init: Any, mean_square: float) -> None:
    drawn = weights(nn.MLP(40, [40], init=init, seed=1))
    assert sum(w * w for w in drawn) / len(drawn) == pytest.approx(mean_square, rel=0.1)
    assert all(neuron.b.data == 0.0 for neuron in nn.Layer(2, 3, init=init).neurons)


def test_a_seed_of_its_own_leaves_the_global_generator_alone() -> None:
    random.seed(5)
    expected = [random.uniform(-1, 1) for _ in range(12)]
    assert weights(nn.MLP(3, [3, 1], seed=5)) == expected
    assert weights(nn.MLP(3, [3, 1], seed=random.Random(5))) == expected
    random.seed(5)
    nn.MLP(3, [3, 1], seed=9)
    assert weights(nn.MLP(3, [3, 1])) == expected
    with pytest.raises(
        ValueError, match="unknown initializer 'hee': choose one of uniform, normal, xavier, he, fan_in"
    ):
        nn.Layer(2, 2, init="hee")


def test_a_sequential_is_its_layers_one_after_the_other() -> None:
    first, second = nn.Layer(2, 3, seed=0), nn.Layer(3, 1, activation="tanh", seed=1)
    model = nn.Sequential(first, second, lambda v: v * 2.0)
    assert model([1.0, 2.0]).data == 2.0 * second(first([1.0, 2.0])).data
    assert model.parameters() == first.parameters() + second.parameters()
    assert dict(model.named_parameters())["layers[1].neurons[0].w[2]"] is second.neurons[0].w[2]
    assert set(modules_of(model([1.0, 2.0]))) >= {"Sequential.layers[0].neurons[1]", "Sequential"}
    assert repr(nn.Sequential(second, ops.tanh, math.sin)) == "Sequential of [Layer of [tanhNeuron(3)], <op tanh>, sin]"
    with pytest.raises(TypeError, match="one by one"):
        nn.Sequential(cast(Any, [first, second]))
