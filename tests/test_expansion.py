"""Taylor coefficients and derivatives of any order in one pass, against mpmath and nested gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from operands import point
from programs import SMOOTH, functions
from test_ops import REFERENCES

import microgrid as mg
from microgrid import Value, derivatives, flow, grad, primitive, special, taylor
from microgrid.core.primitive import OPS, Op
from microgrid.numbers import series

near = pytest.approx
STEPPING = "sign floor ceil trunc round floor_divide greater equal where".split()
OPS_TRIED = [op for op in OPS.values() if not op.static and op.name in REFERENCES and op.name not in STEPPING]


@pytest.mark.parametrize("op", OPS_TRIED, ids=lambda op: op.name)
def test_the_series_of_every_op_follow_from_its_rule(op: Op) -> None:
    at = point(op)
    way = tuple(1.0 / (1 + i) for i in range(op.arity))
    with mpmath.workdps(60):
        truth = mpmath.taylor(
            lambda t: REFERENCES[op.name](*[x + t * mpmath.mpf(v) for x, v in zip(at, way, strict=True)]), 0, 8
        )
    found = taylor(lambda xs: op(*xs), list(at), 8, list(way))
    assert found == near(list(map(float, truth)), rel=1e-11, abs=1e-12)
    if op.arity == 1 and op.name not in ("cbrt",):
        with mpmath.workdps(40):
            digits = taylor(op, mpmath.mpf(at[0]), 8)
            assert all(
                abs(a - b) <= abs(b) * mpmath.mpf(10) ** -30 + mpmath.mpf(10) ** -33
                for a, b in zip(digits, truth, strict=True)
            )


def composite(m: Any) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        first = m.tanh(m.sin(x) * m.exp(x)) + m.erf(x) / m.sqrt(2 + m.cos(x))
        return first + m.log(3 + m.atan(x)) + m.asinh(x) * m.cosh(x)

    return f


def test_derivatives_to_order_20_of_a_composite_of_ten_functions_agree_with_mpmath() -> None:
    with mpmath.workdps(60):
        truth = mpmath.taylor(composite(mpmath), 0.3, 20)
    assert taylor(composite(mg), 0.3, 20) == near([float(c) for c in truth], rel=1e-13)
    assert derivatives(composite(mg), 0.3, 20) == near(
        [float(c * mpmath.factorial(k)) for k, c in enumerate(truth)], rel=1e-13
    )


@settings(max_examples=60)
@given(functions(of=SMOOTH, steps=6), st.data())
def test_derivatives_of_random_functions_are_those_of_nested_gradients(f: Any, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.floats(-2.0, 2.0), min_size=f.inputs, max_size=f.inputs))
    way = data.draw(st.lists(st.floats(-2.0, 2.0), min_size=f.inputs, max_size=f.inputs))

    def along(t: Any) -> Any:
        return f(*[x + t * v for x, v in zip(at, way, strict=True)])

    nested = along
    expected = [float(along(0.0))]
    for _ in range(3):
        nested = grad(nested)
        expected.append(nested(0.0))
    assume(all(map(math.isfinite, expected)) and max(map(abs, expected)) < 1e9)
    size = max(1.0, *map(abs, expected))
    assert derivatives(lambda xs: f(*xs), at, 3, way) == near(expected, rel=1e-9, abs=1e-9 * size)


def test_a_series_with_a_wrong_quotient_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(series._OWN, "div", lambda z, x, y: lambda k: x[k] / y[0])
    with pytest.raises(AssertionError):
        test_derivatives_to_order_20_of_a_composite_of_ten_functions_agree_with_mpmath()


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: x**2, 0.0, [0.0, 0.0, 2.0, 0.0, 0.0]),
        (lambda x: x**0.0, 0.0, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (lambda x: mg.exp(-(x**2)), 0.0, [1.0, 0.0, -2.0, 0.0, 12.0]),
        (mg.sinc, 0.0, [1.0, 0.0, -(math.pi**2) / 3, 0.0, math.pi**4 / 5]),
        (mg.relu, 0.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (lambda x: mg.where(x > 0, mg.log(x), 0.0), 0.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (lambda x: x * mg.maximum(x, 1.0), 2.0, [4.0, 4.0, 2.0, 0.0, 0.0]),
        (lambda x: 7.0, 2.0, [7.0, 0.0, 0.0, 0.0, 0.0]),
        (lambda x: x, 2.0, [2.0, 1.0, 0.0, 0.0, 0.0]),
        (special.digamma, 2.0, [special.polygamma(k, 2.0) for k in range(5)]),
    ],
)
def test_derivatives_at_points_that_rules_treat_apart(f: Callable[[Any], Any], x: float, expected: list[float]) -> None:
    assert derivatives(f, x, 4) == near(expected, rel=1e-13, abs=1e-13)


def test_the_structures_of_arguments_and_results_are_kept() -> None:
    x, v = {"a": 1.0, "b": [2.0]}, {"a": 1.0, "b": [-1.0]}
    assert taylor(lambda p: (p["a"] ** 2 * p["b"][0], [p["a"]]), x, 3, v) == (
        [2.0, 3.0, 0.0, -1.0],
        [[1.0, 1.0, 0.0, 0.0]],
    )
    assert taylor(lambda p: (p * p).sum(), np.array([1.0, 2.0]), 2, np.array([1.0, 0.0])) == [5.0, 2.0, 1.0]


def test_coefficients_are_differentiated_and_keep_digits() -> None:
    def f(x: Any) -> Any:
        return mg.tanh(mg.sin(x) * mg.exp(x))

    third = derivatives(f, 0.3, 3)[3]
    assert grad(lambda x: derivatives(f, x, 2)[2])(0.3) == near(third, rel=1e-12)
    assert derivatives(f, Value(0.3), 3)[3].data == near(third, rel=1e-13)
    with flint.ctx.workprec(300):
        ball = derivatives(f, flint.arb(0.3), 3)[3]
    assert abs(float(ball.mid()) - third) < 1e-11
    assert ball.rad() < 1e-70


def test_values_that_the_function_finds_outside_are_differentiated_by() -> None:
    assert grad(lambda a: a + taylor(lambda x: a * a * x * x, 1.0, 2)[1])(3.0) == 13.0
    weight = Value(3.0)
    (slope,) = taylor(lambda x: weight * x, 1.0, 1)[1:]
    slope.backward()
    assert (slope.data, weight.grad) == (3.0, 1.0)


def test_a_deep_graph_does_not_recurse() -> None:
    def f(x: Any) -> Any:
        return functools.reduce(lambda y, _: mg.sin(y) + 0.001 * x, range(5_000), x)

    assert derivatives(f, 0.5, 2)[:2] == near([float(f(0.5)), grad(f)(0.5)], rel=1e-12)


def test_an_op_of_ones_own_is_expanded_by_its_rule() -> None:
    own = primitive("own_exp", math.exp, lambda z, x: (own(x),))
    assert derivatives(own, 0.5, 5) == near([math.exp(0.5)] * 6)


def test_an_array_of_results_gets_one_more_axis() -> None:
    found = taylor(lambda x: np.array([x, x * x]), 1.0, 3)
    assert found.tolist() == [[1.0, 1.0, 0.0, 0.0], [1.0, 2.0, 1.0, 0.0]]


@settings(max_examples=40)
@given(functions(of=SMOOTH, steps=6), st.data())
def test_the_flow_of_a_random_system_solves_it_order_by_order(f: Any, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.floats(-1.0, 1.0), min_size=f.inputs, max_size=f.inputs))

    def velocity(xs: Any) -> Any:
        return [f(*xs), *xs[:-1]]

    path = flow(velocity, at, 4)
    assume(all(math.isfinite(c) and abs(c) < 1e6 for one in path for c in one))

    def along(t: Any) -> Any:
        return velocity([functools.reduce(lambda total, c: total * t + c, reversed(one)) for one in path])

    for solved, right in zip(path, taylor(along, 0.0, 3), strict=True):
        size = max(1.0, *map(abs, solved))
        assert [k * c for k, c in enumerate(solved)][1:] == near(right, rel=1e-9, abs=1e-9 * size)


@pytest.mark.parametrize(
    ("velocity", "start", "expected"),
    [
        (lambda x: x, 1.0, [1 / math.factorial(k) for k in range(9)]),
        (lambda x: x * x, 1.0, [1.0] * 9),
        (lambda x: 3.0, 1.0, [1.0, 3.0] + [0.0] * 7),
        (lambda x: 1.0 + x * x, 0.0, [0, 1, 0, 1 / 3, 0, 2 / 15, 0, 17 / 315, 0]),
        (
            lambda s: {"x": 2.0 * s["t"] * s["x"], "t": 1.0},
            {"x": 1.0, "t": 0.0},
            [1, 0, 1, 0, 0.5, 0, 1 / 6, 0, 1 / 24],
        ),
    ],
)
def test_flows_have_the_coefficients_of_known_solutions(velocity: Any, start: Any, expected: list[float]) -> None:
    found = flow(velocity, start, 8)
    assert (found["x"] if isinstance(found, dict) else found) == near(expected, rel=1e-14, abs=1e-15)


def mercury(state: Any) -> Any:
    """The velocity of (x, y, dx/dt, dy/dt) around a sun at the origin."""
    x, y, u, v = state
    square = x * x + y * y
    pull = -1.0 / (square * np.sqrt(square))
    return np.array([u, v, pull * x, pull * y])


def orbit(state: Any, until: float, order: int) -> Any:
    """The state at a time, by steps so short that the last two orders are below the last digit."""
    time, rest = 0.0, np.zeros(4)
    while time < until:
        path = flow(mercury, state, order)
        sizes = abs(path).max(axis=0)
        step = min((1e-17 * sizes[0] / sizes[k]) ** (1.0 / k) for k in (order - 1, order))
        step = min(math.floor(1024.0 * step) / 1024.0, until - time)  # so that times are exact
        change = rest + step * np.polynomial.polynomial.polyval(step, path.T[1:])
        before, state = state, state + change
        rest = change - (state - before)  # what the sum has rounded away goes into the next one
        time += step
    return state


def test_kepler_s_orbit_closes_to_fourteen_digits_with_an_integrator_of_any_order() -> None:
    e = 0.2056  # Mercury's
    start = np.array([1.0 - e, 0.0, 0.0, math.sqrt((1.0 + e) / (1.0 - e))])
    for order in (14, 20, 26):
        assert abs(orbit(start, 2.0 * math.pi, order) - start).max() < 1e-14


def test_flows_keep_digits_and_are_differentiated_by_where_they_start() -> None:
    with mpmath.workdps(50):
        cubed = flow(lambda x: x * x, mpmath.mpf(1) / 3, 12)  # x / (1 - t x)
        assert all(abs(c * 3 ** (k + 1) - 1) < 1e-46 for k, c in enumerate(cubed))
    assert grad(lambda x: flow(lambda y: y * y, x, 4)[4])(0.5) == near(5 * 0.5**4)
    assert grad(lambda a: flow(lambda y: a * y, 1.0, 3)[3])(2.0) == near(2.0)  # a**3 / 6


def test_a_flow_of_a_function_with_too_few_results_says_so() -> None:
    with pytest.raises(TypeError, match=r"flow takes a function of 2 number\(s\) that returns as many, got 1"):
        flow(lambda x: x[0], [1.0, 2.0], 3)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((1.0, -1), ValueError, "the order is 0 or more, got -1"),
        ((1.0, 2.0), TypeError, r"the order is a whole number, got 2\.0"),
        (([1.0], 2), TypeError, "give a direction of the same structure"),
        (([1.0], 2, [1.0, 2.0]), TypeError, "the direction has the structure of x"),
        (("1", 2), TypeError, "x: expected a number, got the string '1'"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        taylor(lambda x: x, *arguments)
