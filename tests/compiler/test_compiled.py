"""`microgrid.compile`: calls, batches, what is static, what is refused; programs."""

from __future__ import annotations

import builtins
import functools
import importlib
import inspect
import math
import operator
import re
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from eagerly import eager

import microgrid as mg
from microgrid import Program, Value, trace
from microgrid.compiler import made, plan
from microgrid.numbers.arrays import arrays
from microgrid.testing import check_gradient


def test_it_is_a_decorator_with_and_without_options() -> None:
    @mg.compile
    def f(x: Any) -> Any:
        """Its doc."""
        return x * x

    @mg.compile(strict=True)
    def g(x: Any) -> Any:
        return x * x

    assert (f(3.0), f.gradient(3.0), g.value_and_grad(3.0)) == (9.0, 6.0, (9.0, 6.0))
    assert f.__name__ == "f"
    assert f.__doc__ == "Its doc."


def test_arguments_and_results_nest() -> None:
    f = mg.compile(lambda p, x: {"out": [p["w"] * x[0] + p["b"], x[1]], "norm": mg.norm(x)})
    assert f({"w": 2.0, "b": 1.0}, [3.0, 4.0]) == {"out": [7.0, 4.0], "norm": 5.0}
    g = mg.compile(lambda p, x: p["w"] * x[0] + p["b"] * x[1])
    assert g.gradient({"w": 2.0, "b": 1.0}, (3.0, 4.0)) == ({"w": 3.0, "b": 4.0}, (2.0, 1.0))
    p, x = g.gradient({"w": 2.0, "b": 1.0}, np.array([3.0, 4.0]))
    assert p == {"w": 3.0, "b": 4.0}
    assert isinstance(x, np.ndarray)
    assert x.tolist() == [2.0, 1.0]


def test_values_are_numbers_here() -> None:
    assert mg.compile(lambda x: x.exp())(Value(0.0)) == 1.0


def test_a_constant_result_and_an_input_as_result() -> None:
    assert mg.compile(lambda x: 2.0).value_and_grad(1.0) == (2.0, 0.0)
    assert mg.compile(lambda x, y: y).value_and_grad(1.0, 5.0) == (5.0, (0.0, 1.0))
    assert mg.compile(lambda x, y: [y, 3.0, y])(1.0, 5.0) == [5.0, 3.0, 5.0]


@pytest.mark.parametrize("result", [[], {}, {"a": [], "b": [[], ()]}], ids=str)
def test_there_may_be_no_result(result: Any) -> None:
    nothing = mg.compile(lambda x: result)
    assert nothing(1.0) == nothing.batch(np.ones(3)) == nothing.batch(np.ones(0)) == result


def test_structure_is_static_and_a_change_compiles_anew() -> None:
    calls = []

    @mg.compile(static=("n",))
    def f(xs: Any, n: Any = 2, mode: str = "sum") -> Any:
        calls.append((len(xs), n, mode))
        return (mg.sum if mode == "sum" else mg.prod)(xs) ** n

    assert [f([1.0, 2.0]), f([3.0, 4.0]), f([1.0, 2.0, 3.0])] == [9.0, 49.0, 36.0]
    assert [f([1.0, 2.0], 3), f([1.0, 2.0], 3), f([1.0, 2.0], 3, "prod")] == [27.0, 27.0, 8.0]
    assert calls == [(2, 2, "sum"), (3, 2, "sum"), (2, 3, "sum"), (2, 3, "prod")]
    assert f.gradient([1.0, 2.0], 3) == [27.0, 27.0]  # by the numbers that are not static


def test_numbers_from_outside_are_static_and_values_are_read() -> None:
    scale, w = 2.0, Value(10.0)
    f = mg.compile(lambda x: scale * x + w)
    assert f(1.0) == 12.0
    w.data = 20.0
    assert f(1.0) == 22.0
    scale = 3.0
    assert f(1.0) == 23.0
    scale = 0.0
    assert math.copysign(1.0, mg.compile(lambda x: scale * x)(-1.0)) == -1.0
    assert f(1.0) == 20.0
    w2 = w * 2.0
    assert mg.compile(lambda x: x * w2).value_and_grad(1.0) == (40.0, 40.0)


SCALE = 2.0


def helper(x: Any) -> Any:
    return x * SCALE


def test_names_within_generators_and_in_functions_that_are_called_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    within = mg.compile(lambda xs: mg.sum(SCALE * x for x in xs))
    called = mg.compile(lambda x: helper(x) + 1.0)
    late = mg.compile(lambda x: not_there_yet(x))  # type: ignore[name-defined]  # noqa: F821  # defined below
    monkeypatch.setitem(globals(), "not_there_yet", helper)
    assert (within([1.0, 2.0]), called(1.0), late(1.0)) == (6.0, 3.0, 2.0)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert (within([1.0, 2.0]), called(1.0), late(1.0)) == (9.0, 4.0, 3.0)
    monkeypatch.setitem(globals(), "helper", lambda x: x - SCALE)
    assert called(1.0) == -1.0
    monkeypatch.setitem(globals(), "not_there_yet", lambda x: x / SCALE)
    assert late(3.0) == 1.0


class Scaling:
    """A method that reads a global name, reached in many ways."""

    def __call__(self, x: Any) -> Any:
        return self.scaled(x)

    def scaled(self, x: Any) -> Any:
        return self.factor * x

    @property
    def factor(self) -> float:
        return SCALE

    @staticmethod
    def plain(x: Any) -> Any:
        return x * SCALE


SCALING = Scaling()


def applied(x: Any, function: Any = helper) -> Any:
    return function(x)


@pytest.mark.parametrize(
    "function",
    [
        Scaling(),
        Scaling().scaled,
        lambda x: SCALING.scaled(x),
        lambda x: Scaling()(x),
        lambda x: Scaling.plain(x),
        applied,
        functools.partial(applied, function=Scaling.plain),
        functools.partial(lambda function, x: function(x), helper),
    ],
)
def test_names_in_methods_defaults_and_partial_arguments_are_seen(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    f = mg.compile(function)
    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert f(1.0) == 3.0


class Settings:
    """A class that holds a number, read by its name or through an object."""

    rate = 2.0

    def scaled(self, x: Any) -> Any:
        return self.rate * x


def test_attributes_of_classes_and_of_ones_own_modules_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModuleType("config")
    config.__file__ = "/somewhere/config.py"
    config.rate = 2.0  # type: ignore[attr-defined]
    config.helper = helper  # type: ignore[attr-defined]
    monkeypatch.setitem(globals(), "CONFIG", config)

    def within(x: Any) -> Any:
        return mg.sum(config.rate * x for _ in range(3))

    functions = [
        mg.compile(lambda x: CONFIG.rate * x),  # type: ignore[name-defined]  # noqa: F821  # set above
        mg.compile(lambda x: CONFIG.helper(x)),  # type: ignore[name-defined]  # noqa: F821  # the test sets these globals
        mg.compile(within),
        mg.compile(lambda x: Settings.rate * x),
    ]
    assert [f(1.0) for f in functions] == [2.0, 2.0, 6.0, 2.0]
    monkeypatch.setattr(config, "rate", 3.0)
    monkeypatch.setattr(Settings, "rate", 3.0)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert [f(1.0) for f in functions] == [3.0, 3.0, 9.0, 3.0]
    for f in functions:
        made = len(f._plans)
        f(2.0)
        assert len(f._plans) == made == 2


def test_changed_defaults_are_seen() -> None:
    def f(x: Any, by: float = 2.0, *, plus: float = 1.0) -> Any:
        return x * by + plus

    compiled = mg.compile(f)
    assert compiled(3.0) == 7.0
    f.__defaults__ = (5.0,)
    assert compiled(3.0) == 16.0
    assert f.__kwdefaults__ is not None
    f.__kwdefaults__["plus"] = 2.0
    assert compiled(3.0) == 17.0


def test_what_an_object_holds_counts_as_it_was() -> None:
    """As is said where `compile` is documented."""
    held = SimpleNamespace(part=SimpleNamespace(rate=2.0))
    f = mg.compile(lambda x: held.part.rate * x)
    assert f(1.0) == 2.0
    held.part.rate = 3.0
    assert f(1.0) == 2.0


def test_code_for_the_names_of_one_function_is_not_taken_for_those_of_another() -> None:
    a = b = 3.0

    def first(x: Any) -> Any:
        return a * x

    def second(x: Any) -> Any:
        return b + x

    chosen = first
    f = mg.compile(lambda x: chosen(x))
    assert f(1.0) == 3.0
    chosen = second
    assert f(1.0) == 4.0
    a, chosen = 5.0, first
    assert f(1.0) == 5.0


def test_a_function_whose_code_was_loaded_again_is_compiled_anew() -> None:
    def doubled(x: Any) -> Any:
        return x * 2.0

    f = mg.compile(lambda x: doubled(x))
    assert f(1.0) == 2.0
    doubled.__code__ = (lambda x: x * 9.0).__code__
    assert f(1.0) == 9.0


def test_another_object_under_the_same_name_is_seen() -> None:
    w, op = Value(2.0), mg.exp
    f = mg.compile(lambda x: op(w * x))
    assert f(1.0) == math.exp(2.0)
    w = Value(3.0)
    assert f(1.0) == math.exp(3.0)
    op = mg.tanh
    assert f(1.0) == math.tanh(3.0)


def test_an_attribute_called_as_a_global_is_not_that_global(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []

    def f(x: Any) -> Any:
        traced.append(x.label)
        return x * 2.0

    compiled = mg.compile(f)
    for k in range(3):
        monkeypatch.setitem(globals(), "label", k)
        assert compiled(1.0) == 2.0
    assert len(traced) == 1


def test_only_so_many_structures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made.KEPT == 64  # as the docstring says
    monkeypatch.setattr(made, "KEPT", 4)
    f = mg.compile(lambda x, n: x + n, static="n")
    assert [f(0.5, n) for n in range(10)] == [n + 0.5 for n in range(10)]
    assert len(f._plans) == 4


def test_a_user_defined_op_is_compiled_by_its_formula_or_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compiled_cube", "compiled_gamma"):
        monkeypatch.setitem(mg.OPS, name, mg.OPS["exp"])  # so that the table is afterwards what it was
    cube = mg.primitive("compiled_cube", lambda x: x * x * x, lambda z, x: (3.0 * x * x,))
    gamma = mg.primitive("compiled_gamma", math.gamma, lambda z, x: (z * (mg.log(x) - mg.OPS["div"](0.5, x)),))
    for strict in (True, False):
        f = mg.compile(lambda x: cube(x) + gamma(x), strict=strict)
        value, slope = f.value_and_grad(2.5)
        expected, (expected_slope,) = eager(lambda x: cube(x) + gamma(x), [2.5])
        assert value == pytest.approx(expected, rel=1e-14)
        assert slope == pytest.approx(expected_slope, rel=1e-14)
        assert f.batch(np.full(20, 2.5)) == pytest.approx(expected, rel=1e-14)


def test_what_the_function_of_an_op_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mg.OPS, "compiled_gamma", mg.OPS["exp"])
    gamma = mg.primitive("compiled_gamma", math.gamma, lambda z, x: (z,))
    for threads in (1, 2):
        f = mg.compile(lambda x: gamma(x), threads=threads)
        points = np.full(1000, 2.5)
        expected = f.batch(points)
        points[700] = -1.0
        with pytest.raises(ValueError, match=r"math domain error|expected a noninteger"):
            f.batch(points)
        assert f.batch(np.full(1000, 2.5)).tolist() == expected.tolist()


def test_an_op_and_the_one_that_replaced_it_are_not_taken_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mg.OPS, "compiled_gamma", mg.OPS["exp"])
    first = mg.primitive("compiled_gamma", lambda x: math.gamma(x), lambda z, x: (z,))
    second = mg.primitive("compiled_gamma", lambda x: 3.0 * math.gamma(x), lambda z, x: (z,))
    assert (mg.compile(lambda x: first(x))(3.0), mg.compile(lambda x: second(x))(3.0)) == (2.0, 6.0)
    with pytest.raises(TypeError, match="two ops are called compiled_gamma"):
        mg.compile(lambda x: first(x) + second(x))(3.0)


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 15, 16, 17, 100])
def test_a_batch_is_its_samples(n: int) -> None:
    f = mg.compile(lambda p, x: mg.tanh(p[0] * x[0]) + p[1] * x[1])
    rows = np.random.default_rng(n).normal(size=(n, 2))
    values, (shared, own) = f.batch_value_and_grad([0.5, -2.0], rows, in_axes=(None, 0))
    singles = [f.value_and_grad([0.5, -2.0], row) for row in rows.tolist()]
    assert values.shape == (n,)
    assert own.shape == (n, 2)
    assert np.allclose(values, [value for value, _ in singles], rtol=1e-13, atol=0)
    assert np.allclose(own, np.array([x for _, (_, x) in singles]).reshape(n, 2), rtol=1e-13, atol=0)
    assert np.allclose(shared, np.array([p for _, (p, _) in singles]).reshape(n, 2).sum(0), rtol=1e-12, atol=1e-15)
    assert np.array_equal(f.batch([0.5, -2.0], rows, in_axes=(None, 0)), values)


def test_axes_trees_and_more_axes() -> None:
    f = mg.compile(lambda a, b, c: [a["m"][0][1] * b, c * a["v"]])
    a: dict[str, Any] = {"m": np.arange(24.0).reshape(4, 2, 3), "v": [1.0, 2.0, 3.0, 4.0]}
    first, second = f.batch(a, 10.0, np.ones(4), in_axes=(0, None, 0))
    assert first.tolist() == [10.0, 70.0, 130.0, 190.0]
    assert second.tolist() == [1.0, 2.0, 3.0, 4.0]
    g = mg.compile(lambda a, b: a["m"][1][2] * b + a["v"])
    _, (da, db) = g.batch_value_and_grad(a, 10.0, in_axes=(0, None))
    assert da["m"].shape == (4, 2, 3)
    assert da["m"].sum() == 40.0
    assert da["v"].tolist() == [1.0] * 4
    assert db == a["m"][:, 1, 2].sum()


def test_rows_without_numbers_have_derivatives_without_numbers() -> None:
    values, gradient = mg.compile(lambda xs: mg.sum(xs)).batch_value_and_grad(np.empty((3, 0)))
    assert values.tolist() == [0.0] * 3
    assert gradient.shape == (3, 0)


class Point(NamedTuple):
    x: Any
    y: Any


def test_a_named_tuple_of_arrays_stays_one() -> None:
    f = mg.compile(lambda p: p.x * p.y + p.x)
    assert f(Point(2.0, 3.0)) == 8.0
    points = Point(np.array([2.0, 1.0]), np.array([3.0, 5.0]))
    values, gradient = f.batch_value_and_grad(points)
    assert values.tolist() == f.batch(points).tolist() == [8.0, 6.0]
    assert isinstance(gradient, Point)
    assert gradient.x.tolist() == [4.0, 6.0]


def test_a_shared_argument_that_does_not_matter_gets_zero() -> None:
    f = mg.compile(lambda w, x: x * x)
    assert f.batch_value_and_grad(2.0, [1.0, 3.0], in_axes=(None, 0))[1][0] == 0.0


def test_arrays_of_other_kinds_and_orders_are_taken() -> None:
    f = mg.compile(lambda x: x[0] - 2.0 * x[1])
    x = np.arange(12).reshape(6, 2)
    expected = (x[:, 0] - 2.0 * x[:, 1]).tolist()
    assert f.batch(x).tolist() == f.batch(x.tolist()).tolist() == expected
    assert f.batch(np.asfortranarray(x)).tolist() == f.batch(x.astype(np.float32)).tolist() == expected
    assert f.batch(x[::-1]).tolist() == expected[::-1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.batch([[1.0]], [1.0, 2.0]), ValueError, "argument 1 has 2 row"),
        (lambda f: f.batch(1.0, 2.0, in_axes=None), TypeError, "not every axis may be None"),
        (lambda f: f.batch(1.0, [2.0]), TypeError, "argument 0 is one number"),
        (lambda f: f.batch([1.0], [1.0], in_axes=(0, 1)), ValueError, "in_axes has 0 or None"),
        (lambda f: f.batch([1.0], [1.0], in_axes=(0,)), ValueError, "each of the 2 argument"),
        (lambda f: f.batch(["a"], [1.0]), TypeError, "argument 0 must be an array of numbers"),
        (lambda f: f([1j], 2.0), TypeError, r"argument 0\[0\]: expected a real number"),
        (lambda f: f.gradient("a", None), TypeError, "no number to differentiate by: .*static="),
        (lambda f: f.gradient(x=1.0, y=2.0), TypeError, "passed by keyword are held fixed"),
        (lambda f: f.value_and_grad(1.0, 2.0, argnums=0), TypeError, r"compile\(value_and_grad\(f, argnums="),
        (lambda f: f.loops, RuntimeError, "call the function first"),
        (lambda f: mg.compile(cast(Any, 3)), TypeError, "takes a function, got int"),
        (lambda f: mg.compile(f, threads=0), ValueError, "threads is a whole number from 1 on"),
        (lambda f: mg.compile(lambda x: [x, x]).gradient(1.0), ValueError, "with one result"),
        (lambda f: mg.compile(f, cast(Any, 3)), TypeError, "takes a module of microgrid.nn"),
    ],
)
def test_what_is_wrong_is_said(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(mg.compile(lambda x, y: x + y))


MASKED = np.ma.array([[1.0], [2.0]], mask=[[False], [True]])
MIXED = np.array([[1.0], ["2.0"]], dtype=object)

NO_NUMBERS: dict[str, Any] = {
    "complex": np.array([[1.0], [2.0j]]),
    "complex with nothing imaginary": np.array([[1.0 + 0j], [2.0 + 0j]]),
    "complex in a list": [[1.0], [2.0j]],
    "masked": MASKED,
    "masked whole numbers": MASKED.astype(int),
    "masked in a list": [[MASKED[0, 0]], [MASKED[1, 0]]],
    "text": np.array([["1.0"], ["2.0"]]),
    "text in a list": [[1.0], ["2.0"]],
    "text among objects": MIXED,
    "bytes": np.array([[b"1.0"], [b"2.0"]]),
    "times": np.array([["2020-01-01"], ["2020-01-02"]], dtype="datetime64[D]"),
    "spans": np.array([[1], [2]], dtype="timedelta64[s]"),
    "fields": np.array([[(1.0, 2.0)], [(3.0, 4.0)]], dtype=[("a", float), ("b", float)]),
    "missing": [[1.0], [None]],
    "missing among objects": np.array([[1.0], [None]], dtype=object),
    "values": [[Value(1.0)], [Value(2.0)]],
    "a whole number of 400 digits": [[1.0], [10**400]],
}
TAKEN = {
    "whole numbers": np.array([[1], [2]], dtype=np.int8),
    "bits": np.array([[True], [False]]),
    "float32": np.array([[1.5], [2.5]], dtype=np.float32),
    "objects": np.array([[1], [2.5]], dtype=object),
    "large whole numbers": [[10**30], [1]],
    "nothing masked": np.ma.array([[1.0], [2.0]], mask=False),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "fit": lambda x: mg.fit(mg.nn.Neuron(1, seed=0), x, [1.0, 2.0], loss="mse", epochs=1, progress=False),
    "targets of fit": lambda x: mg.fit(mg.nn.Neuron(1, seed=0), [1.0, 2.0], x, loss="mse", epochs=1, progress=False),
    "batch": mg.compile(lambda x: x[0] * 2.0).batch,
    "a part of a batch": lambda x: mg.compile(lambda p: p["x"][0] * 2.0).batch({"x": x}),
    "batch_value_and_grad": mg.compile(lambda x: x[0] * 2.0).batch_value_and_grad,
    "shared by a batch": lambda x: mg.compile(lambda a, x: a * x[1][0]).batch([1.0, 2.0], x, in_axes=(0, None)),
    "a call": mg.compile(lambda x: x[1][0] * 2.0),
    "a loss": lambda x: mg.compile(lambda out, y: out - y, mg.nn.Neuron(1, seed=0))(x, [1.0, 2.0]),
    "targets of a loss": lambda x: mg.compile(lambda out, y: out - y[0], mg.nn.Neuron(1, seed=0))([[1.0], [2.0]], x),
    "replay": lambda x: trace(lambda a: a * 2.0)(1.0).replay([x], arrays()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [*NO_NUMBERS, *TAKEN])
def test_arrays_that_are_no_numbers_are_refused_everywhere(kind: str, way: str) -> None:
    if kind in TAKEN:
        WAYS[way](TAKEN[kind])
    elif kind != "values" or way not in ("shared by a batch", "a call"):  # which read them, as any number
        with pytest.raises((TypeError, ValueError, OverflowError)):
            WAYS[way](NO_NUMBERS[kind])


@pytest.mark.parametrize("f", [lambda x: x if x > 0 else -x, lambda x: x if x * 2.0 > 1.0 else -x])
def test_a_path_that_hangs_on_a_number_is_refused_with_its_line(f: Callable[[Any], Any]) -> None:
    line = f.__code__.co_firstlineno
    with pytest.raises(TypeError, match=rf"test_compiled.py:{line}; keep both paths: where.*maximum") as caught:
        mg.compile(f)(2.0)
    assert ">" in str(caught.value)


COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


@pytest.mark.parametrize("how", COMPARISONS)
@pytest.mark.parametrize("between", ["numbers", "Values"])
def test_the_choice_that_a_refusal_proposes_takes_the_path_of_the_comparison(how: str, between: str) -> None:
    if between == "Values" and how == "==":
        pytest.skip("identity between two Values, which is no path")
    compare = COMPARISONS[how]
    for x in (1.0, 2.0, 3.0):

        def f(x: Any, y: Any) -> Any:
            return 5.0 * x if compare(x, 2.0 if between == "numbers" else y) else 7.0 * x

        with pytest.raises(TypeError, match="depends on whether") as caught:
            mg.compile(f)(x, 2.0)
        proposed = re.search(r"keep both paths: (where.*) in place of `a if x (\S+) (\S+) else b`", str(caught.value))
        assert proposed is not None
        assert (proposed[2], proposed[3]) == (how, "2.0" if between == "numbers" else "y")
        kept = eval(f"lambda x, y: {proposed[1]}", {"where": mg.where, "a": 5.0, "b": 7.0})
        assert mg.compile(kept)(x, 2.0) == (5.0 if compare(x, 2.0) else 7.0)


def test_a_number_taken_for_a_truth_is_compared_with_zero() -> None:
    proposed = r"where\(x.equal\(0.0\), b, a\) in place of `a if x != 0.0 else b`"
    with pytest.raises(TypeError, match=proposed):
        mg.compile(lambda x: x if x else -x)(1.0)


def test_so_is_one_that_hangs_on_a_value_from_outside_and_a_number_that_is_read() -> None:
    w = Value(1.0, label="w")
    with pytest.raises(TypeError, match=r"depends on whether w > 0"):
        mg.compile(lambda x: x if w > 0 else -x)(2.0)
    with pytest.raises(TypeError, match=r"reads the number of x"):
        mg.compile(lambda x: x * x.data)(2.0)


def test_so_is_one_that_takes_a_number_within_no_grad() -> None:
    neuron = mg.nn.Neuron(1)
    with pytest.raises(TypeError, match=r"reads the number of x, by .*no_grad"):
        mg.compile(lambda x: x * mg.no_grad()(mg.exp)(x))(2.0)
    with pytest.raises(TypeError, match=r"reads the number of (b|w\[0\]), by .*no_grad"):
        mg.compile(lambda x: x[0] * mg.no_grad()(neuron)(x))([2.0])
    assert mg.compile(lambda x: x * mg.no_grad()(mg.exp)(0.0))(2.0) == 2.0


def test_a_comparison_of_what_is_fixed_is_none() -> None:
    assert mg.compile(lambda x: x if Value(2.0) > 1.0 else -x)(3.0) == 3.0


@pytest.mark.parametrize("missing", ["llvmlite.binding", "numpy"])
def test_a_missing_package_is_one_line_that_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> Any:
        if name == missing:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=rf"^.*{missing.split('.')[0]}.*: pip install llvmlite numpy$"):
        mg.compile(lambda x: x)


# --- programs --------------------------------------------------------------------------------------------------------


def test_a_program_is_compiled_with_the_options_of_compile() -> None:
    options = [p for p in list(inspect.signature(mg.compile).parameters.values())[2:] if p.name != "static"]
    assert list(inspect.signature(Program.compile).parameters.values())[1:] == options


def test_a_program_compiles_and_so_do_its_gradients() -> None:
    program = trace(lambda x, y: mg.sin(x * y) / y)(1.0, 2.0)
    compiled = program.compile(strict=True)
    assert compiled(0.3, 0.4) == program(0.3, 0.4)
    assert compiled.value_and_grad(0.3, 0.4)[1] == program.gradient()(0.3, 0.4)
    hessian = Program.gradient(trace(lambda x: mg.sum([d * d for d in program.gradient()(*x)]))([0.3, 0.4]))
    assert hessian.compile(strict=True)([0.3, 0.4]) == hessian([0.3, 0.4])


def test_nothing_of_the_builtin_is_hidden() -> None:
    assert "compile" not in mg.__all__
    assert builtins.compile.__module__ == "builtins"
    assert plan.processors() >= 1


def rosenbrock(x: Any) -> Any:
    return mg.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def test_derivatives_of_functions_compile_too() -> None:
    at, direction = [0.3, -0.2, 0.5, 0.9, -1.1, 0.4], [1.0, 0.0, -2.0, 0.5, 0.0, 1.0]
    strictly = mg.compile(strict=True)
    assert strictly(mg.grad(rosenbrock))(at) == mg.grad(rosenbrock)(at)
    assert strictly(mg.hessian(rosenbrock))(at) == mg.hessian(rosenbrock)(at)
    product = strictly(lambda x, v: mg.hvp(rosenbrock, (x,), (v,)))
    assert product(at, direction) == mg.hvp(rosenbrock, (at,), (direction,))
    assert np.allclose(mg.compile(mg.hessian(rosenbrock))(at), mg.hessian(rosenbrock)(at), rtol=1e-12, atol=1e-12)


def test_the_loops_of_a_hessian_do_not_grow_with_it() -> None:
    compiled = mg.compile(mg.hessian(rosenbrock))
    compiled([0.1 * i for i in range(20)])
    small = len(str(compiled.loops).splitlines())
    compiled([0.1 * i for i in range(60)])
    assert len(str(compiled.loops).splitlines()) == small


def _wave(x: Any, p: Any) -> Any:
    return mg.sin(x * p["a"][0]) * x + p["a"][1]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_compiled_function_is_a_function_of_values(compiled: bool) -> None:
    fast: Any = mg.compile(_wave) if compiled else _wave
    p = {"a": [0.5, 2.0]}
    at = (1.5, p)
    cos, sin = math.cos(0.75), math.sin(0.75)
    assert mg.grad(fast)(*at) == pytest.approx(sin + 0.75 * cos, rel=1e-14)
    assert mg.grad(mg.grad(fast))(*at) == pytest.approx(cos - 0.375 * sin, rel=1e-14)
    assert mg.grad(fast, 1)(*at) == {"a": pytest.approx([2.25 * cos, 1.0], rel=1e-14)}
    assert mg.trace(fast)(*at)(*at) == pytest.approx(1.5 * sin + 2.0, rel=1e-15)
    assert check_gradient(fast, *at)
    x = Value(1.5, label="x")
    y = fast(x, {"a": [Value(0.5), 2.0]})
    assert len(mg.steps(y)) == 8
    y.backward()
    assert x.grad == pytest.approx(sin + 0.75 * cos, rel=1e-14)
    nested: Any = mg.compile(lambda x: fast(x, p) * 2.0) if compiled else lambda x: fast(x, p) * 2.0
    assert nested(1.5) == pytest.approx(3.0 * sin + 4.0, rel=1e-14)
    assert fast(np.array([Value(1.5)])[0], p).op is not None
