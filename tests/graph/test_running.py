"""The flat path of `value_and_grad`, for plain floats, against the way for nested containers and against `backward`."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import KINKED, SMOOTH, RandomFunction, functions

from microgrid import (
    OPS,
    Value,
    detect_anomaly,
    grad,
    gradient,
    jacobian,
    jvp,
    no_grad,
    sin,
    trace,
    value_and_grad,
    vjp,
)

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 40.0, 800.0, -800.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
MORE = [OPS[name] for name in "div log sqrt power exp cosh atan2 xlogy where mod logaddexp".split()]


def bits(xs: Any) -> list[bytes]:
    """The bits of numbers, with one nan and one zero: sums of cotangents begin at 0.0, a grad may be -0.0."""
    return [struct.pack("d", math.nan if x != x else x + 0.0) for x in xs]


@settings(deadline=None, max_examples=200)
@given(functions(of=(*SMOOTH, *KINKED, *MORE)), st.data())
def test_floats_lists_and_recorded_values_give_the_bits_of_backward(f: RandomFunction, data: st.DataObject) -> None:
    n = f.inputs
    at = data.draw(st.lists(st.floats(-3.0, 3.0) | st.sampled_from(EDGES), min_size=n, max_size=n))
    leaves = [Value(x) for x in at]
    out = f(*leaves)
    found = gradient(out, leaves)
    out.backward()
    expected = bits([out.data, *(leaf.grad for leaf in leaves)])
    assert bits([out.data, *found]) == expected
    value, slopes = value_and_grad(f, range(n))(*at)
    assert bits([value, *slopes]) == expected
    value, slopes = value_and_grad(lambda p: f(*p))(at)
    assert bits([value, *slopes]) == expected
    value, pull = vjp(f, *at)
    assert bits([value, *pull(1.0)]) == expected
    for i in range(n):
        assert bits([value_and_grad(f, i)(*at)[1]]) == bits([slopes[i]])


@settings(deadline=None, max_examples=100)
@given(functions(outputs=2), st.data())
def test_rows_and_columns_of_a_jacobian_are_single_derivatives(f: RandomFunction, data: st.DataObject) -> None:
    n = f.inputs
    at = data.draw(st.lists(st.floats(-2.0, 2.0), min_size=n, max_size=n))
    rows = jacobian(f, range(n))(*at)
    for k in range(2):
        one = value_and_grad(lambda *xs, k=k: f(*xs)[k], range(n))(*at)[1]
        if n >= 2:  # by rows
            assert bits(rows[k]) == bits(one)
        for i in range(n):
            column = jvp(f, at, [float(i == j) for j in range(n)])[1]
            assert column[k] == pytest.approx(one[i], rel=1e-9, abs=1e-9, nan_ok=True)


def test_numbers_that_are_no_floats_and_keywords_and_constants() -> None:
    np = pytest.importorskip("numpy")

    def f(x: Any, y: Any, *, by: float = 1.0) -> Any:
        return x * y * by + x

    assert value_and_grad(f, (0, 1))(2, 3.0, by=2.0) == (14.0, (7.0, 4.0))
    assert value_and_grad(f, (1, 0))(2.0, 3.0) == (8.0, (2.0, 4.0))
    assert value_and_grad(f, -1)(2.0, 3.0) == (8.0, 2.0)
    assert value_and_grad(f, (0, 0))(2.0, 3.0) == (8.0, (4.0, 4.0))
    assert value_and_grad(f, ())(2.0, 3.0) == (8.0, ())
    value, slope = value_and_grad(f)(np.float64(2.0), 3.0)
    assert (type(value), type(slope), slope) == (float, float, 4.0)
    assert value_and_grad(lambda x: 5)(2.0) == (5.0, 0.0)
    assert value_and_grad(lambda x: np.array([x * x]))(2.0) == (4.0, 4.0)
    assert value_and_grad(lambda x: Value(x.data))(2.0) == (2.0, 0.0)
    assert value_and_grad(lambda x, n: x**n)(3.0, 2) == (9.0, 6.0)


def test_a_function_runs_once_also_where_its_derivative_goes_the_long_way() -> None:
    w, runs = Value(3.0), []

    def noted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            runs.append(x)
            return function(x)

        return run

    value, slope = value_and_grad(noted(lambda x: x * x * w))(2.0)
    assert (value.data, slope.data) == (12.0, 12.0)
    slope.backward()
    assert w.grad == 4.0
    assert value_and_grad(noted(lambda x: 1.0))(2.0) == (1.0, 0.0)
    assert grad(noted(lambda x: w))(2.0).data == 0.0
    with pytest.raises(TypeError, match="plain number 4"):
        value_and_grad(noted(lambda x: x.data**2))(2.0)
    with pytest.raises(TypeError, match=r"v\.sin\(\)"):
        value_and_grad(noted(math.sin))(2.0)
    with no_grad():
        assert value_and_grad(noted(lambda x: x * x * w))(2.0) == (12.0, 12.0)
    assert len(runs) == 6


def test_reads_of_a_function_that_is_differentiated_within_another_are_reads_of_that() -> None:
    def outer(x: Any) -> Any:
        return value_and_grad(lambda y: y * y + 0.0 * x.data)(3.0)[0]

    with pytest.raises(TypeError, match=r"read a number of a Value.*plain number 9\.0"):
        grad(outer)(2.0)
    assert trace(lambda x: x * grad(lambda y: y * y)(3.0))(2.0)(5.0) == 30.0
    assert grad(lambda x: grad(lambda y: x * y * y)(3.0))(2.0) == 6.0


def test_an_anomaly_is_seen_in_the_flat_path_too() -> None:
    with detect_anomaly(), pytest.raises(ArithmeticError, match="log"):
        value_and_grad(lambda x: x.log())(0.0)


def test_numbers_that_a_function_keeps_have_no_grad() -> None:
    kept: list[Value] = []

    def f(x: Any) -> Any:
        kept.extend([x, x * x, sin(x * x)])
        return kept[-1] * 2.0

    value_and_grad(f)(1.5)
    assert [v.grad for v in kept] == [0.0, 0.0, 0.0]


def test_a_graph_far_from_its_inputs_is_looked_up_and_not_laid_out() -> None:
    x = Value(2.0)
    for _ in range(20_000):
        Value(0.0)
    y = x * x
    for _ in range(20_000):
        Value(0.0)
    assert gradient(y * x, [x, y]) == [12.0, 2.0]


def test_threads_share_a_function() -> None:
    both = value_and_grad(lambda x, y: sin(x * y) + x, (0, 1))
    expected = {(a, b): both(a, b) for a in (0.5, 1.5) for b in (0.25, 2.0)}
    wrong: list[Any] = []

    def work(a: float, b: float) -> None:
        for _ in range(2_000):
            if both(a, b) != expected[a, b]:
                wrong.append((a, b))

    threads = [threading.Thread(target=work, args=at) for at in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
