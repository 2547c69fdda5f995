"""Roots and fixed points: their derivatives by parameters, of every order and in every mode."""

from __future__ import annotations

import copy
import functools
import math
import pickle
from collections.abc import Callable
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value, derivatives, fixed_point, grad, hessian, jacobian, jvp, root, special, trace
from microgrid.core.components import Component
from microgrid.functions import linear_systems
from microgrid.functions.linear_systems import LinearSystem, solved
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
    monkeypatch.setattr(
        _Implicit, "partials", lambda self, i, z, *ps: tuple(p * (1 + 1e-12) for p in right(self, i, z, *ps))
    )
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
        (lambda x: [x, x], TypeError, "root takes a function that returns one number; this one returns 2"),
    ],
)
def test_what_has_no_root_says_what_to_do(f: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        root(f, 1.0)


def test_what_a_solver_returns_is_checked() -> None:
    with pytest.raises(ArithmeticError, match=r"root found no zero from 1\.0: at "):
        root(lambda x, p: mg.exp(x) + p, 1.0, 2.0, solver=lambda f, x: 3.0)


# Systems of equations.


def crossing(a: Any, b: Any) -> Any:
    """The point near (2, 1/2) where x**2 + y**2 = a and x * y = b."""
    return root(lambda p, a, b: np.array([p[0] ** 2 + p[1] ** 2 - a, p[0] * p[1] - b]), np.array([2.0, 0.5]), a, b)


def exact_crossing(a: Any, b: Any) -> Any:
    total, difference = mg.sqrt(a + 2.0 * b), mg.sqrt(a - 2.0 * b)
    return np.array([(total + difference) / 2.0, (total - difference) / 2.0])


def seen_at(point: Callable[..., Any]) -> Callable[[Any], Any]:
    def f(p: Any) -> Any:
        x, y = point(p[0], p[1])
        return x**3 * y - mg.sin(y)

    return f


@settings(max_examples=25)
@given(st.floats(3.0, 9.0), st.floats(0.1, 1.2))
def test_a_system_has_the_derivatives_of_its_solution_in_closed_form(a: float, b: float) -> None:
    f, g = seen_at(crossing), seen_at(exact_crossing)
    assert crossing(a, b) == near(exact_crossing(a, b), rel=1e-13)
    for by_a, exactly_by_a in zip(
        jacobian(crossing, (0, 1))(a, b), jacobian(exact_crossing, (0, 1))(a, b), strict=True
    ):
        assert by_a == near(exactly_by_a, rel=1e-11, abs=1e-11)
    assert grad(f)([a, b]) == near(grad(g)([a, b]), rel=1e-11, abs=1e-11)
    for row, exact_row in zip(hessian(f)([a, b]), hessian(g)([a, b]), strict=True):
        assert row == near(exact_row, rel=1e-9, abs=1e-9)
    assert jvp(f, ([a, b],), ([1.0, 2.0],)) == near(jvp(g, ([a, b],), ([1.0, 2.0],)), rel=1e-10, abs=1e-10)
    along = derivatives(f, [a, b], 4, [1.0, 0.5]), derivatives(g, [a, b], 4, [1.0, 0.5])
    assert along[0] == near(along[1], rel=1e-8, abs=1e-8)


def test_the_nodes_of_a_system_are_known_in_every_mode() -> None:
    f, at = seen_at(crossing), [5.0, 1.7]
    value, slopes, seconds = f(at), grad(f)(at), hessian(f)(at)
    program = trace(crossing)(*at)
    assert len(program.instructions) == 2
    with mpmath.workdps(40):
        digits = program(mpmath.mpf(5), mpmath.mpf(17) / 10)
        total, difference = mpmath.sqrt(mpmath.mpf("8.4")), mpmath.sqrt(mpmath.mpf("1.6"))
        assert abs(digits[0] - (total + difference) / 2) < 1e-38
        assert abs(digits[1] - (total - difference) / 2) < 1e-38
    with flint.ctx.workprec(200):
        balls = program(flint.arb(5), flint.arb(1.7))
    assert [float(ball.mid()) for ball in balls] == near(list(crossing(*at)), rel=1e-15)
    assert all(ball.rad() < 1e-50 for ball in balls)
    points = np.array([[5.0, 1.7], [6.0, 1.6], [9.0, 0.3]])
    assert program(*points.T).tolist() == [near(list(crossing(*p)), rel=1e-14) for p in points]
    assert math.isnan(program(1.0, 2.0)[0])  # where there is no root
    for strict in (False, True):
        compiled = mg.compile(f, strict=strict)
        assert [*compiled.value_and_grad(at)] == [near(value, rel=1e-14), near(slopes, rel=1e-13)]
        assert np.array(compiled.hessian(at)) == near(np.array(seconds), rel=1e-12)
        assert compiled.batch(points) == near([f(list(p)) for p in points], rel=1e-13)
    assert {check.numerical.evidence for check in check_gradient(grad(f), at).checks} == {"certified"}
    assert "root[1]" in mg.draw(crossing(Value(5.0), 1.7)[1]).source
    names = trace(lambda p: root(lambda x, p: x - sum(p), 1.0, p))([1.0] * 12).latex()
    assert names.endswith(r"p_{9}, p_{10}, p_{11}\right)")
    assert r"\operatorname{root}_{1}" in trace(lambda a: crossing(a, 1.7)[1])(5.0).latex()


def test_a_wrong_rule_of_a_system_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LinearSystem.partials

    def wrong(self: LinearSystem, i: int, z: Any, *operands: Any) -> Any:
        first, *rest = right(self, i, z, *operands)
        return (first * (1 + 1e-9), *rest)

    monkeypatch.setattr(LinearSystem, "partials", wrong)
    monkeypatch.setattr(linear_systems, "linear_system", functools.cache(LinearSystem))  # whose ops have that rule
    assert "FAIL" in {check.verdict for check in check_gradient(grad(seen_at(crossing)), [5.0, 1.7]).checks}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_linear_systems_and_their_derivatives_are_those_of_numpy(n: int) -> None:
    rng = np.random.default_rng(n)
    matrix, right = rng.normal(size=(n, n)), rng.normal(size=n)
    matrix[0, 0] = 0.0  # so that rows are exchanged
    inverse = np.linalg.inv(matrix)
    found = np.array(solved(matrix.tolist(), right.tolist()))
    assert found == near(inverse @ right, rel=1e-10)
    by_matrix, by_right = jacobian(lambda m, r: np.array(solved(list(m), list(r))), (0, 1))(matrix, right)
    assert by_right == near(inverse, rel=1e-10)
    assert by_matrix == near(-np.einsum("ik,l->ikl", inverse, found), rel=1e-10)
    assert all(map(math.isnan, solved([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0])))


HEIGHTS = np.array([[1.2, 0.3], [0.4, -1.0], [-0.7, 0.8], [2.0, 1.1], [-1.5, -0.2], [0.1, 0.6]])
HEALTHY = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])


def trained(penalty: Any, solver: Any = None) -> Any:
    """The weights of a logistic regression at which the gradient of its penalised loss is 0."""

    def loss(w: Any, penalty: Any) -> Any:
        return np.mean(mg.softplus(HEIGHTS @ w) - HEALTHY * (HEIGHTS @ w)) + penalty * (w @ w)

    return root(grad(loss), np.zeros(2), penalty, solver=solver)


@pytest.mark.parametrize(
    "solver",
    [
        None,
        lambda f, w: scipy.optimize.root(f, w),
        lambda f, w: scipy.optimize.root(f, w, jac=f.jacobian),
        lambda f, w: scipy.optimize.fsolve(f, w),
    ],
)
def test_a_trained_model_depends_on_its_regularisation(solver: Any) -> None:
    penalty = 0.1

    def exactly(penalty: Any) -> Any:
        def slopes(*w: Any) -> list[Any]:
            errors = [1 / (1 + mpmath.exp(-(x @ np.array(w)))) - y for x, y in zip(HEIGHTS, HEALTHY, strict=True)]
            return [
                mpmath.fsum(e * x[k] for e, x in zip(errors, HEIGHTS, strict=True)) / 6 + 2 * penalty * w[k]
                for k in (0, 1)
            ]

        return mpmath.findroot(slopes, (1, 1))

    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -12
        low, best, high = (exactly(penalty + k * h) for k in (-1, 0, 1))
        truth = [float((high[k] - low[k]) / (2 * h)) for k in (0, 1)]
        bends = [float((high[k] - 2 * best[k] + low[k]) / h**2) for k in (0, 1)]
    assert trained(penalty, solver) == near([float(w) for w in best], rel=1e-12)
    assert jacobian(trained)(penalty, solver) == near(truth, rel=1e-11)
    assert jacobian(jacobian(trained))(penalty, solver) == near(bends, rel=1e-10)
    step = 1e-4
    differences = (trained(penalty + step, solver) - trained(penalty - step, solver)) / (2.0 * step)
    assert differences == near(truth, rel=1e-5)


def test_a_start_of_any_structure_gives_the_root_in_it() -> None:
    def f(p: Any, a: Any) -> Any:
        return {"sum": p["x"] + p["y"][0] - a, "product": p["x"] * p["y"][0] - 6.0}

    assert root(f, {"x": 1.0, "y": [4.0]}, 5.0) == {"x": near(2.0), "y": [near(3.0)]}
    assert grad(lambda a: root(f, {"x": 1.0, "y": [4.0]}, a)["x"])(5.0) == near(-2.0)
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert root(lambda m, q: m @ m - q, points, points @ points) == near(points)
    mapped = fixed_point(lambda p, a: [mg.cos(p[1] * a), mg.sin(p[0])], [0.5, 0.5], 0.9)
    assert mapped == near([math.cos(0.9 * mapped[1]), math.sin(mapped[0])], rel=1e-14)
    assert grad(lambda a: fixed_point(lambda p, a: [a * p[1], a + 0.0 * p[0]], [0.5, 0.5], a)[0])(0.9) == near(1.8)


@pytest.mark.parametrize("of", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_roots_are_copied_and_pickled_with_their_rules(of: Callable[[Any], Any]) -> None:
    for f, at in ((kepler, (1.0, 0.3)), (lambda a, b: seen_at(crossing)([a, b]), (5.0, 1.7))):
        program = of(trace(f)(*at))
        assert program(*at) == f(*at)
        assert program.gradient()(*at) == near(grad(f, (0, 1))(*at), rel=1e-13)
    a = Value(5.0)
    twin = of(crossing(a, 1.7)[0])
    again = mg.gradient(twin, twin.operands[0], create_graph=True)
    again.backward()
    assert (again.data, twin.operands[0].grad) == near(
        (grad(lambda a: crossing(a, 1.7)[0])(5.0), hessian(lambda a: crossing(a, 1.7)[0])(5.0)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("f", "start", "solver", "error", "says"),
    [
        (lambda p: [p[0]], [1.0, 2.0], None, TypeError, "returns 2 numbers, as many as start has; this one returns 1"),
        (
            lambda p: [p[0] - p[1], p[0] - p[1] + 1.0],
            [1.0, 2.0],
            None,
            ArithmeticError,
            r"root found no zero from \[1\.0",
        ),
        (lambda p: p, [], None, ValueError, "root needs a start of one number or more"),
        (lambda p: p, ["1"], None, TypeError, r"start\[0\]: expected a number, got the string '1'"),
        (lambda p: p, [1.0, 2.0], lambda f, x: 1.0, TypeError, r"root is solved for 2 number\(s\), got 1\.0"),
    ],
)
def test_a_system_without_solution_says_so(f: Any, start: Any, solver: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        root(f, start, solver=solver)


def test_equations_that_have_no_unknown_in_common_are_solved_apart() -> None:
    def together(m: Any, e: Any) -> Any:
        return root(lambda x, m, e: x - e * np.sin(x) - m, np.ones(3), m, e)

    def apart(m: Any, e: Any) -> Any:
        return np.array([kepler(m[k], e) for k in range(3)])

    m = np.array([0.3, 1.0, 2.0])
    assert together(m, 0.4) == near(apart(m, 0.4), rel=1e-14)
    for own, each in zip(jacobian(together, (0, 1))(m, 0.4), jacobian(apart, (0, 1))(m, 0.4), strict=True):
        assert own == near(each, rel=1e-13)
    by_e = [hessian(lambda e, f=f: np.sum(f(m, e) ** 2))(0.4) for f in (together, apart)]
    assert by_e[0] == near(by_e[1], rel=1e-12)

    def mixed(a: Any, b: Any) -> Any:  # the roots 2 and 3 of x**2 - 5 x + 6, and a square root between them
        start = [1.0, 1.0, 4.0]
        return root(lambda x, a, b: [x[0] * x[2] - a, x[1] ** 2 - b, x[0] + x[2] - 5.0], start, a, b)

    assert _blocks(together, m, 0.4) == [[0], [1], [2]]
    assert _blocks(mixed, 6.0, 4.0) == [[0, 2], [1]]
    by_a, by_b = jacobian(lambda a, b: np.array(mixed(a, b)), (0, 1))(6.0, 4.0)
    assert by_a.tolist() == near([1.0, 0.0, -1.0])
    assert by_b.tolist() == near([0.0, 0.25, 0.0])


def _blocks(f: Callable[..., Any], *at: Any) -> Any:
    op = trace(f)(*at).instructions[0].op
    assert isinstance(op, Component)
    assert isinstance(op.vector, _Implicit)
    return op.vector.blocks
