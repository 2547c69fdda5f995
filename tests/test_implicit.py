"""Roots and fixed points: their derivatives by parameters, of every order and in every mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value, derivatives, fixed_point, grad, hessian, root, special, trace
from microgrid.implicit import _Implicit
from microgrid.testing import check_gradient

near = pytest.approx


def kepler(anomaly: Any, eccentricity: Any) -> Any:
    """The eccentric anomaly, which the mean anomaly M and e determine by E - e sin E = M."""
    return root(lambda x, m, e: x - e * mg.sin(x) - m, 1.0, anomaly, eccentricity)


def exact_kepler(anomaly: Any, eccentricity: Any) -> Any:
    return mpmath.findroot(lambda x: x - eccentricity * mpmath.sin(x) - anomaly, mpmath.mpf(1))


def price(volatility: Any, strike: Any) -> Any:
    """Black and Scholes' price of a call, of a stock at 100 in one year, without interest."""
    d = mg.log(100.0 / strike) / volatility + volatility / 2.0
    return 100.0 * special.ndtr(d) - strike * special.ndtr(d - volatility)


@pytest.mark.slow
@given(st.floats(0.1, 3.0), st.floats(0.0, 0.9))
def test_keplers_equation_has_derivatives_of_the_orders_0_to_4(m: float, e: float) -> None:
    with mpmath.workdps(50):
        truth = [mpmath.diff(lambda t: exact_kepler(t, mpmath.mpf(e)), mpmath.mpf(m), order) for order in range(5)]
        by_e = mpmath.diff(lambda t: exact_kepler(mpmath.mpf(m), t), mpmath.mpf(e))
    size = max(1.0, *map(abs, truth))
    f: Callable[[Any], Any] = lambda t: kepler(t, e)  # noqa: E731  # handed on as it is
    for order in range(3):
        assert f(m) == near(float(truth[order]), rel=1e-11, abs=1e-12 * float(size))
        f = grad(f)
    assert grad(kepler, 1)(m, e) == near(float(by_e), rel=1e-11, abs=1e-12)
    assert derivatives(lambda t: kepler(t, e), m, 4) == near(
        list(map(float, truth)), rel=1e-10, abs=1e-12 * float(size)
    )


def test_a_root_is_one_node_that_every_mode_knows() -> None:
    program = trace(kepler)(1.0, 0.3)
    assert len(program.instructions) == 1
    expected = kepler(1.0, 0.3), grad(kepler, (0, 1))(1.0, 0.3)
    assert program(np.array([1.0, 1.0]), np.array([0.3, 0.3])).tolist() == [expected[0]] * 2
    for strict in (False, True):
        compiled = mg.compile(kepler, strict=strict)
        value, slopes = compiled.value_and_grad(1.0, 0.3)
        assert (value, *slopes) == near((expected[0], *expected[1]), rel=1e-14)
        assert compiled.batch(np.array([1.0] * 9), np.array([0.3] * 9)) == near([expected[0]] * 9, rel=1e-14)
    with mpmath.workdps(40):
        assert abs(program(mpmath.mpf(1), mpmath.mpf(0.3)) - exact_kepler(mpmath.mpf(1), mpmath.mpf(0.3))) < 1e-38
    with flint.ctx.workprec(200):
        ball = program(flint.arb(1), flint.arb(0.3))
    assert abs(float(ball.mid()) - expected[0]) < 1e-15
    assert ball.rad() < 1e-50
    assert mg.steps(kepler(Value(1.0), 0.3))
    assert "root" in mg.draw(kepler(Value(1.0), 0.3)).source
    for write in (program.c, program.python):
        with pytest.raises(TypeError, match="root"):
            write()


@pytest.mark.parametrize("f", [kepler, grad(kepler)])
def test_the_checker_certifies_the_derivatives_of_a_root(f: Callable[..., Any]) -> None:
    report = check_gradient(f, 1.0, 0.3)
    assert [(check.verdict, check.numerical.evidence) for check in report.checks] == [("PASS", "certified")] * 2


def test_a_wrong_implicit_function_theorem_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = _Implicit.partials
    monkeypatch.setattr(_Implicit, "partials", lambda self, z, *ps: tuple(p * (1 + 1e-12) for p in right(self, z, *ps)))
    assert {check.verdict for check in check_gradient(kepler, 1.0, 0.3).checks} == {"FAIL"}


def test_implied_volatility_is_found_by_any_solver() -> None:
    def implied(paid: Any, strike: Any, solver: Any = None) -> Any:
        return root(lambda v, c, k: price(v, k) - c, 0.5, paid, strike, solver=solver)

    paid = price(0.2, 110.0)
    vega = grad(price)(0.2, 110.0)
    for solver in (
        None,
        lambda f, x: scipy.optimize.brentq(f, 0.01, 2.0),
        lambda f, x: scipy.optimize.newton(f, x),
        lambda f, x: scipy.optimize.root_scalar(f, bracket=(0.01, 2.0)),
    ):
        assert implied(paid, 110.0, solver) == near(0.2, rel=1e-12)
        assert grad(implied)(paid, 110.0, solver) == near(1.0 / vega, rel=1e-11)


def test_a_fixed_point_is_iterated_and_differentiated() -> None:
    def point(a: Any) -> Any:
        return fixed_point(lambda x, a: mg.cos(a * x), 1.0, a)

    assert point(1.0) == near(0.7390851332151607, rel=1e-15)
    with mpmath.workdps(30):
        exact = [mpmath.diff(lambda a: mpmath.findroot(lambda x: x - mpmath.cos(a * x), 0.7), 1, k) for k in range(3)]
    assert derivatives(point, 1.0, 2) == near(list(map(float, exact)), rel=1e-12)


def test_parameters_are_nested_or_stand_outside() -> None:
    def f(p: Any) -> Any:
        return root(lambda x, p: p["a"] * x * x - p["b"][0], 1.0, p)

    slopes = grad(f)({"a": 2.0, "b": [8.0]})
    assert (slopes["a"], slopes["b"]) == (near(-0.5), [near(0.125)])
    assert grad(lambda b: b + root(lambda x: x * x - b, 1.0))(4.0) == 1.25
    assert hessian(lambda b: root(lambda x: x * x - b, 1.0))(4.0) == near(-1 / 32)
    assert root(lambda x: x * x - 2.0, 1.0) == near(math.sqrt(2.0), rel=1e-15)
    assert math.isnan(root(lambda x, p: x - p, 1.0, math.nan))


@pytest.mark.parametrize(
    ("f", "error", "says"),
    [
        (lambda x: x * x + 1.0, ArithmeticError, "root found no zero from 1.0: .* give another start, or a solver"),
        (
            lambda x: x if x > 0 else -x,
            TypeError,
            r"root takes a function without branches, .* write .* microgrid\.where",
        ),
        (lambda x: [x, x], TypeError, "root takes a function that returns one number"),
    ],
)
def test_what_has_no_root_says_what_to_do(f: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        root(f, 1.0)


def test_what_a_solver_returns_is_checked() -> None:
    with pytest.raises(ArithmeticError, match=r"root found no zero from 1\.0: at "):
        root(lambda x, p: mg.exp(x) + p, 1.0, 2.0, solver=lambda f, x: 3.0)
