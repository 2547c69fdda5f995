"""Results written to arrays of the caller, and calls bound to the memory of arrays."""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value
from microgrid.compiler import entry
from microgrid.compiler.bound import Bound
from microgrid.compiler.compiled import Compiled

METHODS = ("__call__", "value_and_grad", "gradient", "jacobian", "hessian")


def energy(x: Any, *more: Any) -> Any:
    return mg.sum(x * x * x) * mg.sum([mg.sin(mg.sum(y)) if hasattr(y, "shape") else y for y in more] or [1.0])


def empty_like(result: Any) -> Any:
    """Arrays to write such a result into."""
    if isinstance(result, (list, tuple)):
        return type(result)([empty_like(item) for item in result])
    if isinstance(result, dict):
        return {key: empty_like(item) for key, item in result.items()}
    return np.full(np.shape(result), np.nan)


def listed(x: Any) -> Any:
    """The same with lists for arrays."""
    if isinstance(x, (list, tuple)):
        return [listed(item) for item in x]
    if isinstance(x, dict):
        return {key: listed(item) for key, item in x.items()}
    return x.tolist() if isinstance(x, np.ndarray) else x


def direct(entries: Any) -> bool:
    """Return True if machine code ran last, where there is such code."""
    return not entry.supported() or entries.ran is not None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("more", [(), (2.0,), (np.array([0.5, 0.25]), 3.0)], ids=len)
def test_results_are_written_and_returned(method: str, more: Any) -> None:
    f = mg.compile(energy)
    run = getattr(f, method)
    for x in (np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([0.5, 4.0]), np.array([0.0, 1.0])):
        expected = run(x, *more)
        whole = expected[1] if method == "value_and_grad" else expected
        out = empty_like(whole)
        given = run(x, *more, out=out)
        if method == "value_and_grad":
            assert given[0] == expected[0]
            given = given[1]
        assert given is out
        assert listed(out) == listed(whole)
    assert direct(f._entries)


def test_out_may_be_the_argument() -> None:
    f = mg.compile(lambda x: mg.sum(x * x * x))
    for _ in range(3):
        x = np.array([1.0, 2.0])
        assert f.value_and_grad(x, out=x) == (9.0, x)
        assert x.tolist() == [3.0, 12.0]


def test_strided_arrays_are_written_too() -> None:
    f = mg.compile(lambda x: x * 2.0)
    x, wide = np.array([1.0, 2.0]), np.zeros(4)
    for _ in range(3):
        out = wide[::2]
        assert f(x, out=np.empty(2)).tolist() == [2.0, 4.0]
        assert f(x, out=out) is out
        assert wide.tolist() == [2.0, 0.0, 4.0, 0.0]
        wide[:] = 0.0


frozen = np.zeros(2)
frozen.flags.writeable = False


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (
            np.zeros(3),
            TypeError,
            r"out must be an array of float64 of shape \(2,\), got one of float64 of shape \(3,\)",
        ),
        (np.zeros(2, dtype=np.float32), TypeError, r"got one of float32"),
        ([0.0, 0.0], TypeError, "got list of 2"),
        ((np.zeros(2), np.zeros(2)), TypeError, "got tuple of 2"),
        (3.0, TypeError, "got float"),
        (frozen, ValueError, "out is read-only"),
    ],
)
def test_an_out_that_does_not_fit_is_named(out: Any, error: type[Exception], message: str) -> None:
    f = mg.compile(lambda x: mg.sum(x * x))
    x = np.array([1.0, 2.0])
    for _ in range(3):
        f.gradient(x, out=np.empty(2))
        with pytest.raises(error, match=message):
            f.gradient(x, out=out)


def test_nothing_is_written_where_one_array_does_not_fit() -> None:
    f = mg.compile(lambda x, y: mg.sum(x * y))
    x, good = np.array([1.0, 2.0]), np.zeros(2)
    with pytest.raises(TypeError, match=r"out\[1\] must be an array of float64 of shape \(2,\)"):
        f.gradient(x, x, out=(good, np.zeros(3)))
    assert good.tolist() == [0.0, 0.0]
    with pytest.raises(TypeError, match="out must be a tuple of 2 like the result, got one of float64"):
        f.gradient(x, x, out=good)


def test_a_parameter_called_out_is_the_functions() -> None:
    f = mg.compile(lambda x, out: x * out)
    for _ in range(3):
        assert f(2.0, out=3.0) == f(2.0, 3.0) == 6.0


def test_values_are_recorded_and_take_no_out() -> None:
    f = mg.compile(lambda x: x * x)
    for _ in range(3):
        assert f(np.array([1.0, 2.0]), out=np.empty(2)).tolist() == [1.0, 4.0]
    with pytest.raises(TypeError, match=r"takes no out="):
        f(np.array([Value(1.0), Value(2.0)]), out=np.empty(2))


# --- bound calls ----------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4), st.booleans(), st.booleans(), st.data())
def test_a_bound_call_is_the_call(size: int, with_grad: bool, with_out: bool, data: st.DataObject) -> None:
    def function(x: Any, p: Any, scale: Any, name: Any) -> Any:
        total = mg.sum(x * x) * p["w"][0, 0] + mg.sin(p["b"]) * scale
        return total if with_grad else [x * p["b"], total]

    f = mg.compile(function, check=False)
    x, w, b = np.zeros(size), np.zeros((2, 1)), np.zeros(())
    args = (x, {"w": w, "b": b}, 2.0, "name")
    plain = f.value_and_grad if with_grad else f
    expected = plain(*args)
    out = empty_like(expected[1] if with_grad else expected) if with_out else None
    step = f.bind_value_and_grad(*args, out=out) if with_grad else f.bind(*args, out=out)
    for _ in range(4):
        numbers = st.floats(-2.0, 2.0)
        x[:] = data.draw(st.lists(numbers, min_size=size, max_size=size))
        w[0, 0], b[()] = data.draw(numbers), data.draw(numbers)
        expected, result = plain(*args), step()
        if with_out:
            assert (result[1] if with_grad else result) is out
        assert listed(result) == listed(expected)
    if entry.supported():
        assert direct(step.__self__._entries)  # type: ignore[union-attr]  # they are callables of the class


def test_a_bound_call_sees_what_changes_outside() -> None:
    scale, weight = 2.0, Value(1.0)
    f = mg.compile(lambda x: mg.sum(x * scale) * weight)
    x = np.array([1.0, 2.0])
    step = f.bind(x)
    assert [step(), step(), step()] == [6.0] * 3
    scale = 3.0
    assert [step(), step()] == [9.0] * 2
    weight.data = 2.0
    assert step() == 18.0
    x *= 2.0
    assert step() == 36.0


@pytest.mark.parametrize(
    "arg",
    [np.zeros(2, dtype=np.float32), np.zeros(4)[::2], [1.0, 2.0], (np.zeros(2), [1.0]), np.zeros(2, dtype=">f8"), 1j],
    ids=repr,
)
def test_what_does_not_lie_in_memory_is_not_bound(arg: Any) -> None:
    with pytest.raises(TypeError, match=r"argument 0.* write x = numpy"):
        mg.compile(lambda x: x).bind(arg)


def test_a_bound_call_takes_no_arguments_and_can_outlive_the_function() -> None:
    x, g = np.array([3.0]), np.empty(1)
    step = mg.compile(lambda x: x[0] * x[0]).bind_value_and_grad(x, out=g)
    gc.collect()
    assert [step(), step()] == [(9.0, g)] * 2
    with pytest.raises(TypeError):
        step(1.0)  # type: ignore[call-arg]  # an argument too few, on purpose
    assert g.tolist() == [6.0]


def test_memory_that_is_bound_stays_where_it_is() -> None:
    x = np.arange(3.0)
    step = mg.compile(lambda x: mg.sum(x)).bind(x)
    assert [step(), step()] == [3.0, 3.0]
    if entry.supported():
        with pytest.raises((ValueError, BufferError)):
            x.resize(100_000)
    del x
    gc.collect()
    assert step() == 3.0


def test_references_to_what_is_written_are_counted() -> None:
    f = mg.compile(lambda x: mg.sum(x * x))
    x, g, strided = np.array([1.0, 2.0]), np.empty(2), np.empty(4)[::2]
    step = f.bind_value_and_grad(x, out=g)
    for _ in range(3):
        f.value_and_grad(x, out=g), f.value_and_grad(x, out=strided), step()
    gc.collect()
    objects = (x, g, strided, f, step)
    before = [sys.getrefcount(item) for item in objects]
    for _ in range(500):
        f.value_and_grad(x, out=g), step()
        f.value_and_grad(x, out=strided)
    gc.collect()
    assert [sys.getrefcount(item) for item in objects] == before


def test_without_machine_code_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrid.compiler import bound, calls

    monkeypatch.setattr(calls, "supported", lambda: False)
    monkeypatch.setattr(bound, "bound_function", lambda *_: None)
    x, g = np.array([3.0]), np.empty(1)
    step = mg.compile(lambda x: x[0] * x[0]).bind_value_and_grad(x, out=g)
    assert [step(), step(), step()] == [(9.0, g)] * 3
    assert g.tolist() == [6.0]


def test_the_general_paths_are_where_they_are_looked_for() -> None:
    assert [function.__name__ for function in (*Compiled._general, *Bound._general)] == [*METHODS, "hvp", "_call"]
