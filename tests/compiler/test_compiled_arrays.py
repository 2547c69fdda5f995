"""Compiled functions of arrays and of trees of them, against recording; static arguments, keywords."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import TREES, Bag, Layer, Pair, arrays, as_floats, kinds, loss, numbers_of, plain

import microgrid as mg
from microgrid import Value
from microgrid.testing import check_gradient


def scaled(x: Any) -> Any:
    """The same tree, of other numbers."""
    if isinstance(x, dict):
        return {key: scaled(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        items = [scaled(item) for item in x]
        return Pair(*items) if isinstance(x, Pair) else type(x)(items)
    if isinstance(x, Layer):
        return Layer(scaled(x.W), scaled(x.b))
    if isinstance(x, Bag):
        return Bag(scaled(x.inside), x.name)
    return x * 0.5 + 0.25


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, TREES, st.sampled_from([2, 3]), st.data())
def test_calls_with_arrays_in_any_place_are_recorded_ones(x: Any, y: Any, n: int, data: st.DataObject) -> None:
    """Values, gradients and structures are those of recording, to the bit."""

    def function(x: Any, y: Any, n: int, scale: Any = 1.0) -> Any:
        return {"loss": loss([x, y]) ** n * scale, "x": scaled(x), "y": (scaled(y), n)}

    def value(x: Any, y: Any, n: int, scale: Any = 1.0) -> Any:
        return function(x, y, n, scale)["loss"]

    fast = mg.compile(function, static="n", strict=True, cache=False)
    result = fast(x, y, n, scale=3)
    expected = mg.trace(lambda x, y: function(x, y, n, 3.0))(x, y)(x, y)
    assert kinds(result) == kinds(expected) == kinds(as_floats(function(x, y, n, 3.0)))
    assert repr(plain(result)) == repr(plain(expected))
    twice = [fast(as_floats(x), as_floats(y), n) for _ in range(2)]  # the second time in machine code
    expected = mg.trace(lambda x, y: function(x, y, n))(x, y)(x, y)
    for result in twice:
        assert kinds(result) == kinds(expected)
        assert repr(plain(result)) == repr(plain(expected))
    slopes = mg.compile(value, static="n", strict=True, cache=False).gradient(x, y, n, scale=3)
    recorded = mg.grad(value, (0, 1))(x, y, n, 3.0)
    assert kinds(slopes) == kinds(recorded) == kinds(as_floats((x, y)))
    assert repr(plain(slopes)) == repr(plain(recorded))


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(TREES.filter(lambda x: len(numbers_of(x)) < 6))
def test_second_derivatives_by_trees_are_recorded_ones(x: Any) -> None:
    fast = mg.compile(loss, cache=False)
    direction = as_floats(scaled(x))
    for got, expected in [
        (fast.hessian(x), mg.hessian(loss)(x)),
        (fast.hvp(x, direction), mg.hvp(loss, (x,), (direction,))),
        (mg.compile(scaled, cache=False).jacobian(x), mg.jacobian(scaled)(x)),
    ]:
        assert kinds(got) == kinds(expected)
        assert plain(got) == pytest.approx(plain(expected), rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(arrays(), arrays(), st.integers(0, 3))
def test_a_batch_of_arrays_is_its_samples(x: Any, y: Any, samples: int) -> None:
    def function(p: Any, y: Any) -> Any:
        return {"all": np.multiply.outer(p["x"], y), "sum": np.sum(p["x"]) * y.sum() + p["s"]}

    assert isinstance(function({"x": x, "s": 1.0}, y)["sum"], (float, np.floating))
    fast = mg.compile(function, strict=True, cache=False)
    rows = {"x": np.stack([x * (i + 1.0) for i in range(3)])[:samples], "s": np.arange(3.0)[:samples]}
    result = fast.batch(rows, y, in_axes=(0, None))
    assert result["all"].shape == (samples, *x.shape, *y.shape)
    assert result["sum"].shape == (samples,)
    for i in range(samples):
        one = fast({"x": rows["x"][i], "s": rows["s"][i]}, y)
        assert np.array_equal(one["all"], result["all"][i])
        assert one["sum"] == result["sum"][i]
    scalar = mg.compile(lambda p, y: function(p, y)["sum"], cache=False)
    _, (by_rows, by_shared) = scalar.batch_value_and_grad(rows, y, in_axes=(0, None))
    assert by_rows["x"].shape == rows["x"].shape
    assert np.allclose(by_rows["x"], float(np.sum(y)))
    assert np.allclose(by_shared, rows["x"].sum())
    assert by_shared.shape == y.shape


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "integer": lambda x: x.astype(np.int8),
    "bits": lambda x: x.astype(bool).astype(float).astype(bool),
    "objects": lambda x: x.astype(object),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "other byte order": lambda x: x.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_lie_in_memory_in_any_way(layout: str) -> None:
    x = LAYOUTS[layout](np.arange(6.0).reshape(2, 3))
    x.flags.writeable = False
    numbers = np.array(x.tolist(), dtype=float)
    weights = np.arange(1.0, 7.0).reshape(2, 3)
    fast = mg.compile(lambda p: (p["x"] ** 2 * weights).sum())
    assert fast({"x": x}) == (numbers**2 * weights).sum()
    assert fast.gradient({"x": x})["x"].tolist() == (2.0 * numbers * weights).tolist()
    assert len(fast._plans) == 2  # the same code for all
    fast({"x": numbers + 0.5})
    assert len(fast._plans) == 2


SHAPES = [(), (1,), (4,), (2, 2), (4, 1), (1, 4), (0,), (2, 0), (2, 1, 2)]


def test_another_structure_compiles_a_variant_and_the_same_one_does_not() -> None:
    fast = mg.compile(lambda p: {"same": scaled(p), "sum": mg.sum(numbers_of(p)) + 1.0}, strict=True)
    arrays = [np.arange(math.prod(shape) * 1.0).reshape(shape) for shape in SHAPES[1:]]
    trees = [*arrays, *[x.tolist() for x in arrays], 2.0, [np.ones(2), np.ones(2)], (np.ones(2), np.ones(2))]
    trees += [Pair(1.0, 2.0), (1.0, 2.0), [1.0, 2.0], {"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 2.0}, Layer(1.0, 2.0)]
    trees += [Bag(1.0, "one"), Bag(1.0, "another"), Bag([1.0], "one"), [[1.0], 2.0], [1.0, [2.0]], {"a": [1.0, 2.0]}]
    distinct = {repr((shape_of(x), type(x))) for x in trees}
    for _ in range(2):
        for x in trees:
            result = fast(x)
            assert kinds(result["same"]) == kinds(as_floats(x))
            assert plain(result["same"]) == plain(scaled(x))
            assert result["sum"] == sum(plain(x)) + 1.0
        assert len(fast._plans) == len(distinct)


def shape_of(x: Any) -> Any:
    """Return the structure that compiled code depends on."""
    if isinstance(x, np.ndarray):
        return "array", x.shape
    if isinstance(x, dict):
        return {key: shape_of(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [shape_of(item) for item in x]
    if isinstance(x, Layer):
        return "layer", shape_of([x.W, x.b])
    return ("bag", x.name, shape_of(x.inside)) if isinstance(x, Bag) else ""


def test_a_result_of_one_element_is_a_number_for_its_gradient() -> None:
    x = np.array([1.0, 2.0])
    squeezed = mg.compile(lambda x: np.squeeze(np.sum(x**2, keepdims=True)))
    assert squeezed(x) == 5.0
    assert isinstance(squeezed(x), float)
    kept = mg.compile(lambda x: np.sum(x**2, keepdims=True))
    assert kept(x).tolist() == [5.0]
    value, slopes = kept.value_and_grad(x)
    assert (value, slopes.tolist()) == (5.0, [2.0, 4.0])
    assert isinstance(value, float)
    assert kept.hessian(x).tolist() == [[2.0, 0.0], [0.0, 2.0]]
    with pytest.raises(ValueError, match="with one result"):
        mg.compile(lambda x: x).gradient(x)


def test_arrays_without_elements_and_without_axes() -> None:
    nothing = mg.compile(lambda x: {"x": x * 2.0, "sum": x.sum() + 1.0})
    assert nothing(np.ones((2, 0)))["x"].shape == (2, 0)
    assert nothing(np.ones((2, 0)))["sum"] == 1.0
    assert mg.compile(lambda x: x.sum() + 1.0).gradient(np.ones((0, 3))).shape == (0, 3)
    square = mg.compile(lambda x: x * x)
    assert square(np.array(3.0)) == square(np.float32(3.0)) == square(np.int64(3)) == square(3) == 9.0
    assert square.gradient(np.array(3)) == square.gradient(3) == 6.0
    assert len(square._plans) == 2


def test_the_arrays_of_results_are_ones_own() -> None:
    x = np.array([1.0, 2.0])
    fast = mg.compile(lambda x: [x, x * 2.0])
    first, second = fast(x)
    first += 10.0
    second[0] = 7.0
    assert x.tolist() == [1.0, 2.0]
    assert [y.tolist() for y in fast(x)] == [[1.0, 2.0], [2.0, 4.0]]
    assert first.tolist() == [11.0, 12.0]
    gradient = mg.compile(lambda x: (x * x).sum()).gradient(x)
    gradient *= 0.0
    assert mg.compile(lambda x: (x * x).sum()).gradient(x).tolist() == [2.0, 4.0]


# --- conditions ------------------------------------------------------------------------------------------------------


def _set(x: Any) -> Any:
    y = x * 2.0
    y[x <= 0.5] = -0.25
    y[0] = x[1]
    return y * x


CONDITIONS: dict[str, Callable[[Any], Any]] = {
    "greater": lambda x: np.where(x > 0.5, x**2, -x),
    "greater or equal": lambda x: np.where(x >= 0.5, x**2, -x),
    "less": lambda x: np.where(x < 0.5, x**2, -x) + np.where(x < x[::-1], x, 2.0 * x),
    "less or equal": lambda x: np.where(x <= 0.5, x**2, -x),
    "equal": lambda x: np.where(x == 0.5, 3.0 * x, x * x),
    "not equal": lambda x: np.where(x != 0.5, 3.0 * x, x * x),
    "products": lambda x: x * (x > 0.5) + (x < 0.0).astype(float) * x**2 + 1.0 * (x == 1.5),
    "and, or, not": lambda x: np.where((x > 0.0) & ~(x > 1.0) | (x == -0.5), x**2, x),
    "logical": lambda x: np.where(np.logical_or(np.logical_and(x > 0.0, x < 1.0), np.logical_not(x < 2.0)), x**2, x),
    "with bools": lambda x: np.where((x > 0.0) & (np.arange(len(x)) % 2 == 0), x**2, x),
    "overlapping": lambda x: ((x > 0.0) | (x > 0.5)) * x + np.where(~((x > 0.0) | (x > 0.5)), x**2, 0.0),
    "select": lambda x: np.select([x > 1.0, x > 0.0], [x**2, -x], default=0.5 * x),
    "assignment": _set,
    "axes": lambda x: np.where((x[:, None] > x)[:, ::-1], x[:, None], x**2).sum(0),
    "mean": lambda x: np.mean(x > 0.5) * x + (x > 0.5).sum(),
    "leaky": lambda x: np.where(x > 0, x, 0.01 * x),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_compiled_code_has_both_paths_of_a_comparison(name: str) -> None:
    """Traced at one point, compared at others, ties among them."""

    def function(x: Any) -> Any:
        return np.sum(CONDITIONS[name](x) * np.arange(1.0, len(x) + 1.0))

    fast = mg.compile(function)
    random = np.random.default_rng(0)
    for x in [np.zeros(4), np.array([0.5, -0.5, 1.0, 2.0]), *random.choice([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0], (20, 4))]:
        value, slopes = fast.value_and_grad(x)
        expected, recorded = mg.value_and_grad(function)(x)
        assert value == pytest.approx(float(function(x)), rel=1e-14)
        assert value == pytest.approx(expected, rel=1e-14)
        assert slopes == pytest.approx(recorded, rel=1e-14, abs=1e-14)
    assert len(fast._plans) == 1


def test_a_comparison_with_nan_is_nan_in_compiled_code() -> None:
    """As its documentation says; recorded, nan > 0.0 is False."""
    x = np.array([math.nan, 1.0])
    assert np.isnan(mg.compile(lambda x: np.where(x > 0.0, x, 0.0))(x)).tolist() == [True, False]
    assert repr(mg.compile(lambda x: np.where(x > 0.0, 1.0, 2.0))(x).tolist()) == "[nan, 1.0]"


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0.0].sum(),
        lambda x: x.sum() if (x > 0.0).any() else x[0],
        lambda x: x.sum() if (x > 0.0).all() else x[0],
        lambda x: x.sum() if (x > 0.0)[0] else x[0],
        lambda x: x[np.where(x > 0.0)].sum(),
        lambda x: np.sum(x, where=x > 0.0),
        lambda x: np.count_nonzero(x > 0.0) * x[0],
        lambda x: np.compress(x > 0.0, x).sum(),
        lambda x: np.argmax(x > 0.0) * x[0],
        lambda x: sum(v if c else -v for v, c in zip(x, x > 0.0, strict=True)),
    ],
)
def test_a_comparison_that_chooses_what_is_computed_is_refused(function: Callable[[Any], Any]) -> None:
    x = np.array([1.0, -2.0, 0.5])
    assert math.isfinite(mg.value_and_grad(function)(x)[0])
    with pytest.raises(TypeError, match=r"cannot be compiled: .*(path depends on|for an index).*where") as error:
        mg.compile(function)(x)
    assert "\n" not in str(error.value)
    assert f"test_compiled_arrays.py:{function.__code__.co_firstlineno}" in str(error.value)
    assert isinstance((np.array([Value(1.0)]) > 0.0)[0], (bool, np.bool_))  # outside they are bools


# --- static arguments and keywords ------------------------------------------------------------------------------------


def test_whole_numbers_are_numbers() -> None:
    product = mg.compile(lambda x, y: x * y)
    assert product.gradient(2, 3) == product.gradient(2.0, 3.0) == (3.0, 2.0)
    assert len(product._plans) == 1
    assert product.gradient([2][0], np.int32(3)) == (3.0, 2.0)
    assert mg.compile(lambda xs: xs[0] * xs[1]).gradient([2, 3]) == [3.0, 2.0]


class Options:
    """An object without a hash."""

    __hash__ = None  # type: ignore[assignment]  # what Python writes for an unhashable class


STATICS: dict[str, tuple[Any, Any]] = {
    "whole": (1, 2),
    "kinds of one": (1, 1.0),
    "flags": (True, 1),
    "texts": ("1", 1),
    "lists": ([0, 2], [2, 0]),
    "a list and a tuple": ([0, 2], (0, 2)),
    "nested": ([[0], {"a": [1]}], [[0], {"a": [2]}]),
    "flags within": ([True], [1]),
    "arrays": (np.array([0, 1]), np.array([0, 2])),
    "types of arrays": (np.array([0, 1]), np.array([0.0, 1.0])),
    "shapes": (np.zeros((2, 1)), np.zeros((1, 2))),
    "objects": (np.array([1, None]), np.array([2, None])),
    "signs of zero": (0.0, -0.0),
    "sets": ({1, 2}, {1, 3}),
    "slices": (slice(0, 2), slice(0, 3)),
    "functions": (math.sin, math.cos),
    "data classes": (Layer([1], 2), Layer([1], 3)),
    "registered": (Bag([1], "a"), Bag([1], "b")),
    "ranges": (range(2), range(3)),
}


@pytest.mark.parametrize("kind", STATICS)
def test_another_static_value_compiles_a_variant_and_the_same_one_does_not(kind: str) -> None:
    traced = []

    @mg.compile(static=("what",))
    def function(x: Any, what: Any = None) -> Any:
        traced.append(what)
        return x * 2.0

    first, second = STATICS[kind]
    for what in (first, second, pickle.loads(pickle.dumps(first)), second):
        assert function(1.5, what) == 3.0
    assert len(traced) == 2
    assert traced[0] is first
    assert function(1.5, what=first) == 3.0
    assert function.gradient(1.5, what=second) == 2.0
    assert function.batch(np.ones(2), first, in_axes=(0, None)).tolist() == [2.0, 2.0]


def test_nan_is_the_same_static_value_again() -> None:
    traced = []

    @mg.compile(static=["n"])
    def fast(x: Any, n: Any) -> Any:
        traced.append(n)
        return x

    assert fast(1.0, math.nan) == fast(2.0, math.nan) - 1.0 == 1.0
    assert len(traced) == 1


def test_static_values_are_used_as_they_are() -> None:
    @mg.compile(static=("order", "weights", "kind", "f"))
    def function(x: Any, order: Any, weights: Any, kind: str, f: Any, *, plus: Any = 0.0) -> Any:
        chosen = x[order] if kind == "some" else x
        return f(weights[0] * chosen).sum() + plus

    x = np.array([1.0, 2.0, 3.0])
    assert function(x, [2, 0], (0.5, 1), "some", np.exp) == pytest.approx(math.exp(1.5) + math.exp(0.5))
    slopes = function.gradient(x, [2, 0], (0.5, 1), "some", np.exp, plus=4)
    assert slopes == pytest.approx(np.array([0.5 * math.exp(0.5), 0.0, 0.5 * math.exp(1.5)]))
    assert function(x, np.array([1]), weights=[2.0], kind="some", f=np.sqrt, plus=1.0) == 3.0
    assert function.hvp(x, [2, 0], (0.5, 1), "some", np.exp, np.array([1.0, 0.0, 0.0])) == pytest.approx(
        np.array([0.25 * math.exp(0.5), 0.0, 0.0])
    )


def test_arguments_passed_by_keyword_are_held_fixed_as_by_grad() -> None:
    def function(x: Any, y: Any = 2.0, *rest: Any, scale: Any = 1.0, **more: Any) -> Any:
        return x * x * y * scale * more.get("factor", 1.0) * (rest[0] if rest else 1.0)

    fast = mg.compile(function)
    assert fast(3.0) == 18.0
    assert fast(x=3.0, y=1.0) == 9.0
    assert fast(3.0, scale=2, y=1.0, factor=np.float32(2.0)) == 36.0
    assert fast.gradient(3.0, y=5) == mg.grad(function)(3.0, y=5) == 30.0
    assert fast.gradient(3.0, 5.0, 2.0, scale=2.0) == (120.0, 36.0, 90.0)
    assert fast.hessian(3.0, y=5, factor=2.0) == 20.0
    assert fast.jacobian(3.0, y=5, factor=2.0) == 60.0
    assert fast.hvp(3.0, 2.0, y=5.0) == 20.0
    assert fast.batch(np.ones(2), scale=np.float64(3.0)).tolist() == [6.0, 6.0]
    values, slopes = fast.batch_value_and_grad(np.arange(2.0), y=4.0, scale=2.0)
    assert (values.tolist(), slopes.tolist()) == ([0.0, 8.0], [0.0, 16.0])
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'z'|multiple values"):
        mg.compile(lambda x: x)(1.0, z=2.0)


def test_the_same_numbers_under_other_names_are_another_call() -> None:
    fast = mg.compile(lambda x, y=1.0, z=2.0, **more: x * (y - z) + more.get("w", 0.0), static="z")
    calls: list[Callable[[Any], Any]] = [
        lambda f: f(3.0, 5.0),
        lambda f: f(3.0, y=5.0),
        lambda f: f(3.0, z=5.0),
        lambda f: f(3.0, w=5.0),
        lambda f: f(3.0, 5.0, 4.0),
        lambda f: f(3.0, 5.0, z=4.0),
        lambda f: f(x=3.0, y=5.0),
        lambda f: f(y=3.0, x=5.0),
        lambda f: f(3.0, w=5.0, y=2.0),
        lambda f: f(3.0, y=5.0, w=2.0),
    ]
    expected = [call(fast.__wrapped__) for call in calls]
    assert [call(fast) for call in [*calls, *calls]] == expected * 2
    assert fast.gradient(3.0, 5.0) == (3.0, 3.0)
    assert fast.gradient(3.0, y=5.0) == 3.0


def test_arguments_beyond_the_named_ones_are_passed_on() -> None:
    assert mg.compile(lambda x1, *rest: x1 * rest[0] + rest[1])(2.0, 3.0, 4.0) == 10.0
    assert mg.compile(lambda *xs: xs[0] * xs[1]).gradient(2.0, 3.0) == (3.0, 2.0)
    pick = mg.compile(lambda x, *which: x[which[0]], static="which")
    assert pick(np.arange(3.0), 2) == 2.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x, n: sum(x[0] for _ in range(n)),
        lambda x, n: x[n],
        lambda x, n: x.tolist()[n],
        lambda x, n: x[:n].sum(),
        lambda x, n: mg.sum([x[0]] * n),
        lambda x, n: mg.sum((x[0],) * (n // 2)),
        lambda x, n: {2: x[0]}[n],
        lambda x, n: x.reshape(n, -1).sum(),
        lambda x, n: np.eye(n)[0] @ x[:2],
        lambda x, n: np.zeros(n)[0] + x[0],
        lambda x, n: np.arange(n)[0] + x[0],
        lambda x, n: np.roll(x, n)[0],
        lambda x, n: x[0] * int(n),
        lambda x, n: x[0] if n == 2 else x[1],
        lambda x, n: x[0] * math.comb(4, n),
        lambda x, n: x[0] * len(f"{n}"),
    ],
)
def test_a_whole_number_that_is_used_as_one_is_an_error_that_says_static(function: Callable[..., Any]) -> None:
    x = np.arange(1.0, 5.0)
    with pytest.raises(TypeError, match=r'static=\("n",\)') as error:
        mg.compile(function)(x, 2)
    assert f"test_compiled_arrays.py:{function.__code__.co_firstlineno}" in str(error.value)
    assert "\n" not in str(error.value)
    expected = float(function(x, 2))
    assert mg.compile(function, static=("n",))(x, 2) == pytest.approx(expected)


def test_the_error_names_what_it_can() -> None:
    x = np.arange(3.0)
    with pytest.raises(TypeError, match=r'If i or j is .*static=\("i", "j"\)\)'):
        mg.compile(lambda x, i, j: x[i] + j)(x, [0, 1], 2)
    with pytest.raises(TypeError, match=r"If c\['i'\] is an index.*pass it as an argument of its own"):
        mg.compile(lambda x, c: x[c["i"]])(x, {"i": 1, "s": 0.5})
    with pytest.raises(TypeError, match=r'static=\("m",\)'):
        mg.compile(lambda x, m: x[m].sum())(x, x > 1.0)
    with pytest.raises(TypeError, match="depends on whether x > 1") as error:
        mg.compile(lambda x, n: x * n if x > 1.0 else x)(2.0, 3)
    assert "static" not in str(error.value)
    with pytest.raises(TypeError, match="list indices must be integers") as error:
        mg.compile(lambda x, i: [x, x][i])(1.0, 1.0)
    assert "static" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: mg.compile(lambda x: x, static="n"),
            ValueError,
            "static has 'n', which is no parameter.*: these are x|x",
        ),
        (lambda: mg.compile(lambda x: x, static=cast(Any, (0,))), TypeError, r'static=\("n",\), got 0'),
        (
            lambda: cast(Any, mg.compile)(lambda o, y: o - y, mg.nn.Neuron(1), static="y"),
            TypeError,
            "no static arguments",
        ),
        (lambda: mg.compile(lambda x, o: x, static="o")(1.0, Options()), TypeError, "o is static, and holds a Options"),
        (lambda: mg.compile(lambda x: x)(object()), TypeError, "argument 0: expected a number, got object"),
        (lambda: mg.compile(lambda x: x)([1.0, None]), TypeError, r"argument 0\[1\]: expected a number, got NoneType"),
        (lambda: mg.compile(lambda x: x)(x={"a": "b"}), TypeError, r"argument x\['a'\]: expected a number"),
        (lambda: mg.compile(lambda x: x)(np.ones((99, 99)) * 1j), TypeError, "argument 0: .*complex128"),
        (lambda: mg.compile(lambda x: x)([np.full((99, 99), "a")]), TypeError, r"argument 0\[0\]: .*<U1"),
        (lambda: mg.compile(lambda x: x)(np.full((99, 99), None)), TypeError, "argument 0: .*NoneType"),
        (lambda: mg.compile(lambda x: x)(np.ones((9, 9)).view(np.matrix)), TypeError, "argument 0 is a matrix"),
        (lambda: mg.compile(lambda x: x)(np.ma.masked_equal(np.ones(99), 1.0)), TypeError, "argument 0.*masked"),
        (lambda: mg.compile(lambda x: x.sum()).hvp(np.ones(2), [1.0, 2.0]), TypeError, "structured like"),
        (lambda: mg.compile(lambda x: x.sum()).hvp(np.ones(2)), TypeError, "then a vector for each.*got 1"),
        (lambda: mg.compile(lambda x: x.sum()).hvp(np.ones(2), "a"), TypeError, "hvp takes|expected a number"),
        (lambda: mg.compile(lambda x: str(list(range(9999))))(1.0), TypeError, "must return Values, got str"),
        (lambda: mg.compile(lambda x: x).hessian(True), TypeError, "no number to differentiate by"),
        (lambda: mg.compile(lambda x: x).jacobian(x=1.0), TypeError, "no number to differentiate by"),
    ],
)
def test_a_wrong_argument_is_an_error_of_one_short_line(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        make()
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


# --- with Values -----------------------------------------------------------------------------------------------------


def test_calls_with_values_in_any_place_record() -> None:
    def function(p: Any, n: int) -> Any:
        return (p["x"] ** n).sum()

    fast = mg.compile(function, static="n")
    p = {"x": np.array([1.0, 2.0])}
    assert mg.grad(fast)(p, 3)["x"].tolist() == fast.gradient(p, 3)["x"].tolist() == [3.0, 12.0]
    assert check_gradient(lambda p: fast(p, 3), p)
    assert mg.trace(lambda p: fast(p, n=3))(p)(p) == 9.0
    x = np.array([Value(1.0), Value(2.0)])
    fast({"x": x}, 3).backward()
    assert [v.grad for v in x] == [3.0, 12.0]
    slopes = fast.gradient({"x": x}, 3)["x"]
    slopes.sum().backward()
    assert [v.grad for v in x] == [9.0, 24.0]
    assert fast.hessian({"x": x}, 3)["x"]["x"][1][1].data == 12.0
    product = fast.hvp({"x": x}, 3, {"x": np.array([1.0, 1.0])})["x"]
    assert [v.data for v in product] == [6.0, 12.0]
    assert mg.grad(lambda s: fast.gradient({"x": np.array([s, 2.0])}, 3)["x"][0])(1.0) == 6.0
    outside = Value(2.0)
    assert mg.grad(lambda s: mg.compile(lambda x: x * outside)(s))(3.0) == 2.0


def test_a_value_within_a_static_argument_is_recorded_too() -> None:
    fast = mg.compile(lambda x, ws: x * ws[0], static="ws")
    w = Value(3.0)
    product = fast(2.0, [w])
    assert isinstance(product, Value)
    product.backward()
    assert w.grad == 2.0
