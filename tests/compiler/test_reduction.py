"""Straight code is differentiated as a program and simplified; loops are left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare.data import arm
from eagerly import eager, same
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import KINKED, SMOOTH, RandomFunction, functions, points

from microgrid import compile, copysign, cos, exp, grad, hessian, jvp, norm, relu, silu, sin, sqrt, tanh, trace, where
from microgrid.compiler import plan
from microgrid.compiler.choice import Choice

Q = [0.1, 0.5, -0.3, 0.9, 0.4, -0.7, 0.2]


def of_arm(q: Any) -> Any:
    return arm(q, sin, cos)


def at_leaves(f: Any) -> Any:
    return lambda *q: f(list(q))


def instructions(compiled: Any) -> int:
    return int(compiled.report().split()[1].replace(",", ""))


def test_an_arm_has_few_instructions() -> None:
    compiled = compile(of_arm)
    compiled.value_and_grad(Q)
    assert instructions(compiled) <= 220
    assert "(simplified from " in compiled.report()
    assert "for " not in str(compiled.loops)


@pytest.mark.parametrize("strict", [False, True])
def test_an_arm_is_nan_where_recording_is(strict: bool) -> None:
    compiled = compile(of_arm, strict=strict, check=False)
    points = [Q] + [[bad if i == k else x for i, x in enumerate(Q)] for k in range(7) for bad in (math.nan, math.inf)]
    values, slopes = compiled.batch_value_and_grad(np.array(points))
    for i, at in enumerate(points):
        value, gradient = eager(at_leaves(of_arm), at)
        one, by = compiled.value_and_grad(at)
        for got in ([values[i], *slopes[i]], [one, *by]):
            assert all(same(float(x), y, strict) for x, y in zip(got, [value, *gradient], strict=True))


@pytest.mark.parametrize("by_method", [False, True])
def test_an_arms_hessian_has_few_instructions(by_method: bool) -> None:
    compiled = compile(of_arm) if by_method else compile(hessian(of_arm))
    found = compiled.hessian(Q) if by_method else compiled(Q)
    assert instructions(compiled) <= 1200
    assert np.allclose(found, hessian(of_arm)(Q), rtol=1e-12, atol=1e-13)
    at = [math.nan, *Q[1:]]
    lost = np.isnan(hessian(of_arm)(at)) & ~np.isnan(compiled.hessian(at) if by_method else compiled(at))
    assert not lost.any()


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (hessian(of_arm), Q),
        (hessian(lambda x: sin(x[0]) - x[1]), [0.0, 0.5]),  # which compiled was -0.0
        (lambda x: jvp(lambda x: x[0] * x[1], (x,), ([0.0, 1.0],))[1], [-0.0, 0.5]),
        (lambda x: [copysign(1.0, slope) for slope in grad(norm)(x)], [-0.0, 0.5]),
        (grad(lambda x: copysign(1.0, grad(norm)(x)[0]) * x[1]), [-0.0, 0.5]),  # the inner one is of Values: -1.0
        (hessian(lambda x: copysign(1.0, grad(norm)(x)[0]) * x[1] * x[1]), [-0.0, 0.5]),  # as above
    ],
)
def test_strict_derivatives_have_the_bits_of_recording(f: Any, at: list[float]) -> None:
    assert repr(compile(f, strict=True)(at)) == repr(f(at))


def test_the_interpreter_knows_fused_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "choose", lambda *_: Choice("", 1.0, "forced"))
    compiled = compile(of_arm)
    value, slopes = compiled.value_and_grad(Q)
    assert "forced" in compiled.report()
    expected = eager(at_leaves(of_arm), Q)
    assert np.allclose([value, *slopes], [expected[0], *expected[1]], rtol=1e-13, atol=1e-15)


def test_derivatives_by_shared_numbers_are_sums_over_samples() -> None:
    def f(x: Any, w: Any) -> Any:
        return sin(w * x) * exp(w) + (w - x) * w / (1.0 + x * x)

    xs = np.linspace(-1.0, 2.0, 37)
    values, (by_x, by_w) = compile(f).batch_value_and_grad(xs, 0.7, in_axes=[0, None])
    expected = [eager(f, [float(x), 0.7]) for x in xs]
    assert np.allclose(values, [value for value, _ in expected], rtol=1e-14)
    assert np.allclose(by_x, [slopes[0] for _, slopes in expected], rtol=1e-13)
    assert math.isclose(by_w, math.fsum(slopes[1] for _, slopes in expected), rel_tol=1e-13)


def test_a_derivative_keeps_a_nan_that_a_simpler_function_does_not_have() -> None:
    compiled = compile(lambda x: sqrt(x) - sqrt(x))
    value, slope = compiled.value_and_grad(0.0)
    assert value == 0.0
    assert math.isnan(slope)


def masked(xs: Any) -> Any:
    """A loss of which a sample with k <= 0 is left out."""
    w, b, x, k = xs
    return where(k.greater(0.0), (tanh(w * x + b) - 1.0) ** 2, 0.0) + w * w * b + sin(w) * b


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (masked, [0.3, 0.4, math.nan, 0.0]),
        (masked, [0.3, 0.4, -math.inf, 0.0]),
        (lambda xs: silu(xs[0]) * xs[1], [math.inf, 0.5]),
        (lambda xs: relu(xs[0] * xs[1]) + relu(xs[0] - xs[1]) * xs[1], [-0.5, math.inf]),
    ],
)
def test_a_choice_or_a_limit_keeps_what_is_not_finite_from_second_derivatives(f: Any, at: list[float]) -> None:
    expected = hessian(f)(at)
    assert np.isfinite(np.array(expected)).any()
    assert np.array_equal(compile(hessian(f), check=False)(at), expected, equal_nan=True)


def test_loops_stay_loops() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(len(x) - 1):
            total = total + 1.0 * sin(x[i]) * x[i + 1] + 0.0 * cos(x[i])
        return total

    compiled = compile(f)
    compiled.value_and_grad([0.1 * i for i in range(30)])
    assert "for i in range" in str(compiled.loops)


def nested(f: Any, times: int) -> Any:
    for _ in range(times):
        f = grad(f)
    return f


def test_seven_nested_gradients_have_few_instructions() -> None:
    f = nested(lambda x: tanh(sin(x) * exp(x)), 7)
    compiled = compile(f)
    assert math.isclose(compiled(0.3), f(0.3), rel_tol=1e-12)
    assert math.isclose(f(0.3), -6060.246751533046, rel_tol=1e-12)  # the coefficient of its series, times 7!
    assert instructions(compiled) <= 500


@settings(deadline=None, max_examples=40)
@given(st.data(), functions(of=[*SMOOTH, *KINKED]), st.integers(2, 4))
def test_nested_gradients_have_the_same_bits_recorded_and_on_floats(
    data: st.DataObject, f: RandomFunction, times: int
) -> None:
    g = nested(lambda x: f(*[x] * f.inputs), times)
    (at, traced_at) = data.draw(points(2))
    assert same(trace(g)(traced_at)(at) + 0.0, g(at) + 0.0, True)


def test_a_compiled_gradient_is_the_code_of_the_gradient() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(len(x) - 1):
            total = total + sin(x[i]) * x[i + 1]
        return total

    def g(a: Any, b: Any) -> Any:
        return f(a) * b

    xs = np.array([0.1 * i for i in range(30)])
    for strict in (False, True):
        slopes, compiled = compile(grad(f), strict=strict), compile(f, strict=strict)
        for at in (xs, 1.0 + xs, xs[:9], list(xs)):
            for _ in range(2):  # the second call is machine code
                assert np.array_equal(slopes(at), compiled.gradient(at))
        assert str(slopes.loops) == str(compiled.loops)
        out = np.empty(30)
        assert slopes(xs, out=out) is out
        assert slopes.bind(xs, out=np.empty(30))().tolist() == out.tolist() == compiled.gradient(xs).tolist()
        assert np.allclose(slopes.batch(np.array([xs, xs + 1.0])), [compiled.gradient(xs), compiled.gradient(1.0 + xs)])
        both = compile(grad(g, (0, 1)), strict=strict)
        for _ in range(2):
            by_a, by_b = both(xs, 2.0)
            assert np.array_equal(by_a, 2.0 * compiled.gradient(xs)) or not strict
            assert np.allclose(by_a, 2.0 * compiled.gradient(xs))
            assert by_b == pytest.approx(compiled(xs), rel=1e-14)
        by_first = compile(grad(g), strict=strict)
        assert np.allclose(by_first(xs, 2.0), by_a)
        assert np.allclose(compile(grad(f), strict=strict).jacobian(xs), compiled.hessian(xs))
    assert isinstance(compile(grad(lambda x: x * x))(3), float)
    assert grad(compile(grad(lambda x: x**3)))(2.0) == 12.0


def test_a_hessian_keeps_numbers_where_an_argument_is_infinite() -> None:
    """It is made of fewer products that test for 0: not for these, wherever they come in."""

    def f(x: Any, y: Any) -> Any:
        return tanh(x) * y + relu(x) * y

    both, at = hessian(f, (0, 1)), [(2.0, 3.0), (math.inf, math.inf), (-math.inf, 1.0), (0.5, math.nan)]
    g, one = compile(both, cache=False), compile(f, cache=False)
    assert repr(one.hessian(2.0, 3.0)) == repr(both(2.0, 3.0))
    for x, y in (*at, *at):  # from the second call on in machine code, where it can be
        expected = both(x, y)
        assert np.allclose(g(x, y), expected, rtol=1e-14, equal_nan=True)
        assert np.allclose(one.hessian(x, y), expected, rtol=1e-14, equal_nan=True)
    for k in (1, 20):
        rows = np.array(at * k)
        got = np.array(g.batch(*rows.T)).reshape(2, 2, -1)
        assert np.allclose(np.moveaxis(got, -1, 0), [both(*row) for row in at * k], rtol=1e-14, equal_nan=True)
