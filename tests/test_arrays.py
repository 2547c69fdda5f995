"""NumPy's arrays as arguments and results of `grad` and its relatives, alone and in nested containers."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from trees import TREES, Layer, arrays, as_floats, kinds, listed, loss, numbers_of, plain

import microgrid as mg
from microgrid import Value, grad, gradient, hessian, hvp, jacobian, jvp, trace, value_and_grad, vjp

np = pytest.importorskip("numpy")
special = pytest.importorskip("scipy.special")


def curves(x: Any) -> Any:
    numbers = numbers_of(x)
    return [mg.sin(number) * numbers[0] for number in numbers]


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_derivatives_by_arrays_in_any_place_are_those_by_nested_lists(x: Any) -> None:
    same = listed(x)
    value, slopes = value_and_grad(loss)(x)
    expected, by_lists = value_and_grad(loss)(same)
    assert value == expected
    assert kinds(slopes) == kinds(as_floats(x))
    assert plain(slopes) == plain(by_lists) == plain(grad(loss)(x))
    direction = as_floats(x)
    assert jvp(loss, (x,), (direction,)) == jvp(loss, (same,), (listed(direction),))
    product = hvp(loss, (x,), (direction,))
    assert kinds(product) == kinds(direction)
    assert plain(product) == plain(hvp(loss, (same,), (listed(direction),)))
    (pulled,) = vjp(loss, x)[1](2.0)
    assert kinds(pulled) == kinds(direction)
    assert plain(pulled) == plain(vjp(loss, same)[1](2.0)[0])
    assert sorted(plain(jacobian(curves)(x))) == sorted(plain(jacobian(curves)(same)))
    assert sorted(plain(hessian(loss)(x))) == sorted(plain(hessian(loss)(same)))
    program = trace(loss)(x)
    assert program(x) == program(as_floats(x)) == value
    assert kinds(program.gradient()(x)) == kinds(direction)
    assert plain(program.gradient()(x)) == plain(trace(loss)(same).gradient()(same))
    assert repr(pickle.loads(pickle.dumps(program))) == repr(program)


@settings(deadline=None, max_examples=50)
@given(arrays(), arrays())
def test_jacobians_and_hessians_of_arrays_are_arrays_with_the_axes_of_both(x: Any, y: Any) -> None:
    def function(x: Any) -> Any:
        return np.multiply.outer(np.asarray(y, dtype=float), x**3) + np.exp(x)

    found = jacobian(function)(x)
    assert found.shape == y.shape + x.shape + x.shape
    expected, x = np.zeros(found.shape), np.asarray(x, dtype=float)
    y = np.asarray(y, dtype=float)
    for i in np.ndindex(x.shape):
        expected[..., *i, *i] = np.broadcast_to(y * 3.0 * float(x[i]) ** 2 + math.exp(float(x[i])), y.shape)
    assert found == pytest.approx(expected, rel=1e-12)
    second = hessian(lambda x: np.sum(x**3))(x)
    assert second.shape == x.shape + x.shape
    assert second.reshape(x.size, x.size) == pytest.approx(np.diag(6.0 * np.asarray(x, dtype=float).ravel()))


def test_each_leaf_of_a_result_has_derivatives_structured_like_the_argument() -> None:
    p = {"w": np.array([[1.0, 2.0]]), "b": 3.0}
    rows = jacobian(lambda p: [p["w"] * p["b"], p["b"]])(p)
    assert [{key: np.shape(x) for key, x in row.items()} for row in rows] == [
        {"w": (1, 2, 1, 2), "b": (1, 2)},
        {"w": (1, 2), "b": ()},
    ]
    assert rows[0]["b"].tolist() == [[1.0, 2.0]]
    assert rows[0]["w"].tolist() == [[[[3.0, 0.0]], [[0.0, 3.0]]]]
    assert (rows[1]["w"].tolist(), rows[1]["b"]) == ([[0.0, 0.0]], 1.0)


def test_a_function_receives_an_array_of_values_and_may_change_it() -> None:
    def function(x: Any) -> Any:
        assert type(x[0, 0]) is Value
        assert x.shape == (2, 2)
        x[0, 0] = 0.0
        return x.sum()

    x = np.ones((2, 2))
    assert grad(function)(x).tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert x[0, 0] == 1.0


A = np.arange(6.0).reshape(2, 3) / 4.0
NUMPY: dict[str, Callable[[Any], Any]] = {
    "powers": lambda x: (x**2 + 2**x).sum(),
    "matmul": lambda x: ((A @ x) ** 2).sum() + x @ x.T,
    "exp": lambda x: np.exp(-x).mean() + np.log(x * x).sum() + np.tanh(x).prod(),
    "broadcasting": lambda x: (x[:, None] * np.ones(2) - x[None, :2]).std(),
    "where": lambda x: np.where(x > 0.0, x**2, 0.0).sum(),
    "einsum": lambda x: np.einsum("ij,j,j->", A, x, x),
    "norm": lambda x: np.linalg.norm(x) + np.linalg.norm(x, 1),
    "var": lambda x: np.var(x) + np.std(x),
    "maximum": lambda x: (np.maximum(0, x) * x).sum() + np.minimum(x, 0.5).sum() + x.max() * x.min(),
    "abs": lambda x: np.abs(x).sum() * np.sqrt(np.square(x)).sum(),
    "clip": lambda x: (np.clip(x, -1.0, 1.0) * x).sum(),
    "pieces": lambda x: (np.concatenate([x, x[::-1]]) * np.stack([x, x]).ravel()).sum(),
    "more": lambda x: np.cumsum(x)[1] * np.prod(x) * np.outer(x, x).sum() + np.arctan2(x, 2.0).sum(),
    "nested": lambda x: np.tanh(np.maximum(0, x)).sum() + np.exp(np.minimum(x, 0)).sum(),
    "logaddexp": lambda x: (
        np.logaddexp(x, x[::-1] * 2.0).sum() + np.logaddexp(x[:1], 1.0).sum() + np.hypot(x, 1.0).sum()
    ),
    "in place": lambda x: np.multiply(x, 2.0, out=x).sum() * np.add.reduce(x[:2]) + np.add.accumulate(x)[-1],
    "special": lambda x: special.expit(x).sum() * special.erf(x).sum() + special.xlogy(x**2, x**2).sum(),
    "squeezed": lambda x: np.squeeze(x[:1] ** 3),
    "one element": lambda x: x[:1] ** 3 * x[2],
}


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy_are_compiled(name: str) -> None:
    pytest.importorskip("llvmlite")
    fast = mg.compile(NUMPY[name])
    for x in ([0.75, -1.5, 0.25], [-0.5, 2.0, 1.25], [0.25, 0.25, -0.25]):
        value, slopes = fast.value_and_grad(np.array(x))
        expected, recorded = value_and_grad(NUMPY[name])(np.array(x))
        assert isinstance(value, float)
        assert value == pytest.approx(expected, rel=1e-13)
        assert slopes == pytest.approx(recorded, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy_are_differentiated(name: str) -> None:
    function = NUMPY[name]
    x = np.array([0.75, -1.5, 0.25])
    value, slopes = value_and_grad(function)(x)
    assert isinstance(value, float)
    assert value == pytest.approx(float(np.squeeze(function(x.copy()))), rel=1e-14)
    step = 1e-6
    steps = [np.array([step if i == j else 0.0 for j in range(3)]) for i in range(3)]
    expected = [float(np.squeeze(function(x + h) - function(x - h))) / (2.0 * step) for h in steps]
    assert slopes == pytest.approx(np.array(expected), rel=1e-7, abs=1e-8)
    assert trace(function)(x).gradient()(x).tolist() == slopes.tolist()
    assert hessian(function)(x) == pytest.approx(hessian(function)(x).T)


def test_maximum_of_an_array_keeps_both_branches_and_shares_a_tie() -> None:
    program = trace(lambda x: np.maximum(0, x).sum())(np.array([1.0, -1.0]))
    assert program.fixed == ()
    assert program(np.array([-2.0, 3.0])) == 3.0
    assert grad(lambda x: np.maximum(x[:1], x[1:]).sum())(np.ones(2)).tolist() == [0.5, 0.5]
    assert grad(lambda x: np.maximum(0, x).sum())(np.zeros(1)).tolist() == [grad(lambda x: mg.maximum(0, x))(0.0)]


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (lambda x: np.linalg.inv(np.outer(x, x))[0, 0], "inv does not take arrays of Values: write it out"),
        (lambda x: np.logaddexp(np.array(list(x[0])), 0.0).sum(), r"write microgrid\.logaddexp"),
        (lambda x: np.heaviside(x, 0.0).sum(), "heaviside does not take arrays of Values: write it out"),
        (lambda x: np.interp(x, [0, 1], [0, 1]).sum(), "array of Values: write it out"),
        (lambda x: np.add(y := np.zeros(x.shape), x, out=y).sum(), r"write a = a \+ b instead of a \+= b"),
        (lambda x: np.isnan(x).any(), r"v\.data for v in x\.flat"),
        (lambda x: x.astype(float).sum(), r"v\.data"),
        (lambda x: x * 2.0, r"returned an array of shape \(20, 30\): use jacobian"),
        (lambda x: x.tolist(), "returned a list: use jacobian"),
        (lambda x: str(list(range(9999))), "must return Values, got str"),
        (lambda x: [v.data for v in x.flat], r"plain number 1\.0 in \[0\]"),
    ],
)
def test_what_cannot_be_done_with_an_array_is_an_error_of_one_short_line(function: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice) as error:
        grad(function)(np.ones((20, 30)))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda x: grad(np.sum)({"w": x > 0.0}), r"argument \[0\]\['w'\]\[0, 0\] is True"),
        (lambda x: grad(np.sum)(x * 1j), r"argument \[0\]\[0, 0\]: .* complex"),
        (lambda x: grad(np.sum)(x.astype(str)), r"argument \[0\]\[0, 0\]: .* string"),
        (lambda x: grad(np.sum)(np.ma.masked_greater(x, 0.0)), "masked"),
        (lambda x: grad(np.sum)(np.ones((2, 2)).view(np.matrix)), r"numpy\.asarray\(x\), and write @"),
        (lambda x: grad(np.sum)(x.astype(object) * [None]), "NoneType|unsupported"),
        (lambda x: jvp(np.sum, (x,), (x[0],)), r"array\(20, 30\),\), got \(array\(30,\),\)"),
        (lambda x: vjp(lambda x: x, x)[1](x.tolist()), r"an array of shape \(20, 30\), got 600 numbers"),
        (lambda x: trace(np.sum)(x)(x[0]), r"an array of shape \(20, 30\)\), got \(an array of shape \(30,\)\)"),
    ],
)
def test_an_error_about_an_argument_says_where_in_one_short_line(misuse: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice) as error:
        misuse(np.ones((20, 30)))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_an_array_without_axes_is_a_number() -> None:
    assert grad(mg.sin)(np.array(0.5)) == math.cos(0.5)
    assert grad(lambda p: p[0] * p[1])([np.array(2.0), np.float32(3.0)]) == [3.0, 2.0]
    assert grad(mg.sin)(np.float64(0.5)) == math.cos(0.5)


def test_arrays_of_values_give_arrays_of_values() -> None:
    x = np.array([Value(1.0), Value(2.0)])
    slopes = grad(lambda x: (x**3).sum())(x)
    assert [type(v) for v in slopes] == [Value, Value]
    slopes.sum().backward()
    assert [v.grad for v in x] == [6.0, 12.0]
    by = gradient((x**2).sum(), {"x": x})
    assert by["x"].tolist() == [2.0, 4.0]


def test_an_array_of_values_is_copied_and_pickled() -> None:
    slopes = grad(lambda x: (x**3).sum())(np.array([Value(1.0), Value(2.0)]))
    for again in (pickle.loads(pickle.dumps(slopes)), copy.deepcopy(slopes)):
        assert [v.data for v in again] == [3.0, 12.0]


def test_a_program_of_numbers_still_takes_arrays_as_batches() -> None:
    program = trace(lambda x, y: np.array([x * y, x]))(2.0, 3.0)
    assert program(np.arange(3.0), 2.0).tolist() == [[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]]


def test_text_of_a_program_takes_arrays_apart() -> None:
    program = trace(lambda layer, x: layer.W @ x + layer.b)(Layer(np.ones((2, 2)), np.ones(2)), np.ones(2))
    assert "W_0_1 = layer.W[0][1]" in str(program)
    layer = Layer(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0]))
    assert program(layer, np.array([1.0, 2.0])).tolist() == [10.0, 17.0]
    space: dict[str, Any] = {}
    exec(program.python(), space)
    assert space["f"](layer, [1.0, 2.0]) == [10.0, 17.0]


def test_a_field_that_a_data_class_computes_is_computed_of_values() -> None:
    @dataclasses.dataclass
    class Box:
        width: Any
        area: Any = dataclasses.field(init=False)

        def __post_init__(self) -> None:
            self.area = self.width**2

    assert grad(lambda box: box.area)(Box(3.0)).width == 6.0


def test_microgrid_does_not_import_numpy() -> None:
    code = "import sys, microgrid as m; m.grad(lambda x: x[0])([1.0]); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("compiled", [False, True])
def test_a_textbook_network_is_differentiated_unchanged(compiled: bool) -> None:
    """Its backward pass is that of Goodfellow et al., Deep Learning, algorithm 6.4."""
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 4))
    labels = np.eye(3)[random.integers(0, 3, 5)]
    sizes = {"W1": (4, 6), "b1": (6,), "W2": (6, 5), "b2": (5,), "W3": (5, 3), "b3": (3,)}
    params = {name: random.normal(size=shape) for name, shape in sizes.items()}

    def cost(p: Any) -> Any:
        h1 = np.tanh(x @ p["W1"] + p["b1"])
        h2 = np.maximum(0, h1 @ p["W2"] + p["b2"])
        z = h2 @ p["W3"] + p["b3"]
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        y = e / np.sum(e, axis=1, keepdims=True)
        return np.squeeze(-np.sum(labels * np.log(y), keepdims=True) / len(x))

    h1 = np.tanh(x @ params["W1"] + params["b1"])
    h2 = np.maximum(0, h1 @ params["W2"] + params["b2"])
    e = np.exp(h2 @ params["W3"] + params["b3"])
    d3 = (e / e.sum(axis=1, keepdims=True) - labels) / len(x)
    d2 = d3 @ params["W3"].T * (h2 > 0.0)
    d1 = d2 @ params["W2"].T * (1.0 - h1**2)
    expected = {"W1": x.T @ d1, "b1": d1.sum(0), "W2": h1.T @ d2, "b2": d2.sum(0), "W3": h2.T @ d3, "b3": d3.sum(0)}
    if compiled:
        pytest.importorskip("llvmlite")
    value, slopes = (mg.compile(cost).value_and_grad if compiled else value_and_grad(cost))(params)
    assert value == pytest.approx(float(cost(params)), rel=1e-13)
    for name in params:
        assert slopes[name] == pytest.approx(expected[name], rel=1e-10, abs=1e-14)
