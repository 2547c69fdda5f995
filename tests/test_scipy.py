"""SciPy's optimisers and solvers with derivatives of microgrid, called as SciPy's documentation calls them.

Everything runs twice: on recorded functions and on compiled ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import microgrid as mg
from microgrid import compile, erf

np = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")

START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])

Function = Callable[..., Any]


class Recorded:
    """Derivatives of functions, recorded."""

    def itself(self, f: Function) -> Function:
        return f

    def value_and_grad(self, f: Function) -> Function:
        return mg.value_and_grad(f)

    def grad(self, f: Function) -> Function:
        return mg.grad(f)

    def hessian(self, f: Function) -> Function:
        return mg.hessian(f)

    def jacobian(self, f: Function, argnums: int | Sequence[int] = 0) -> Function:
        return mg.jacobian(f, argnums)

    def hvp(self, f: Function) -> Function:
        return lambda x, p: mg.hvp(f, (x,), (p,))


class Compiled(Recorded):
    """The same, compiled: methods of a compiled function, or derivatives of it, compiled."""

    def itself(self, f: Function) -> Function:
        return compile(f)

    def value_and_grad(self, f: Function) -> Function:
        return compile(f).value_and_grad

    def grad(self, f: Function) -> Function:
        return compile(f).gradient

    def hessian(self, f: Function) -> Function:
        return compile(f).hessian

    def jacobian(self, f: Function, argnums: int | Sequence[int] = 0) -> Function:
        return compile(f).jacobian if argnums == 0 else compile(mg.jacobian(f, argnums))

    def hvp(self, f: Function) -> Function:
        return compile(f).hvp


@pytest.fixture(params=[Recorded, Compiled], ids=lambda way: way.__name__.lower())
def way(request: pytest.FixtureRequest) -> Recorded:
    if request.param is Compiled:
        pytest.importorskip("llvmlite")
    made: Recorded = request.param()
    return made


def rosen(x: Any) -> Any:
    """SciPy's tutorial's."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0)


def test_derivatives_of_the_rosenbrock_function_are_those_that_scipy_has(way: Recorded) -> None:
    assert way.grad(rosen)(START) == pytest.approx(optimize.rosen_der(START), rel=1e-12)
    assert way.hessian(rosen)(START) == pytest.approx(optimize.rosen_hess(START), rel=1e-12)
    p = np.arange(5.0)
    assert way.hvp(rosen)(START, p) == pytest.approx(optimize.rosen_hess_prod(START, p), rel=1e-12)
    slope = way.grad(rosen)
    assert optimize.check_grad(way.itself(rosen), slope, START) < 1e-4
    assert optimize.check_grad(way.itself(rosen), lambda x: 1.01 * slope(x), START) > 1.0  # it can fail


SECOND = {"Newton-CG": "hess hessp", "trust-ncg": "hess hessp", "trust-krylov": "hess hessp", "trust-exact": "hess"}
SECOND |= {"dogleg": "hess", "trust-constr": "hess hessp"}
METHODS = [(method, "") for method in ("BFGS", "L-BFGS-B", "CG", "SLSQP", "TNC")]
METHODS += [(method, how) for method, second in SECOND.items() for how in second.split()]


LONG = ("trust-constr", "trust-krylov")
"""Methods of the slow tests: they take the same derivatives as the other ones, in more calls."""


@pytest.mark.parametrize(
    ("method", "second"),
    [pytest.param(*row, marks=pytest.mark.slow if row[0] in LONG else ()) for row in METHODS],
)
def test_minimize_takes_value_and_gradient_at_once(method: str, second: str, way: Recorded) -> None:
    start = START if method != "dogleg" else np.full(5, 1.05)  # it wants a positive definite Hessian
    more = {"hess": {"hess": way.hessian(rosen)}, "hessp": {"hessp": way.hvp(rosen)}}.get(second, {})
    theirs = {"hess": {"hess": optimize.rosen_hess}, "hessp": {"hessp": optimize.rosen_hess_prod}}.get(second, {})
    options = {"options": {"maxfun": 500}} if method == "TNC" else {}
    found = optimize.minimize(way.value_and_grad(rosen), start, jac=True, method=method, **more, **options)
    assert found.x == pytest.approx(np.ones(5), abs=2e-3)
    apart = optimize.minimize(way.itself(rosen), start, jac=way.grad(rosen), method=method, **more, **options)
    assert apart.x == pytest.approx(found.x, abs=1e-6)
    scipys = optimize.minimize(optimize.rosen, start, jac=optimize.rosen_der, method=method, **theirs, **options)
    assert found.x == pytest.approx(scipys.x, abs=1e-3)
    assert found.fun == pytest.approx(scipys.fun, abs=1e-5)


def test_minimize_takes_a_function_with_further_arguments_and_constraints(way: Recorded) -> None:
    def function(x: Any, a: float, b: float) -> Any:
        return (x[0] - a) ** 2 + (x[1] - b) ** 2

    def circle(x: Any) -> Any:
        return 1.0 - x @ x

    both = way.itself(mg.value_and_grad(function))  # by x alone
    for a, b, at in [(3.0, 4.0, [0.6, 0.8]), (4, 3, [0.8, 0.6])]:
        found = optimize.minimize(
            both,
            np.zeros(2),
            args=(a, b),
            jac=True,
            constraints={"type": "ineq", "fun": way.itself(circle), "jac": way.grad(circle)},
        )
        assert found.x == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares_takes_a_jacobian(method: str, way: Recorded) -> None:
    t = np.linspace(0.0, 3.0, 12)
    y = 2.5 * np.exp(-1.3 * t) + 0.5

    def residuals(p: Any) -> Any:
        return p[0] * np.exp(-p[1] * t) + p[2] - y

    found = optimize.least_squares(way.itself(residuals), np.ones(3), jac=way.jacobian(residuals), method=method)
    assert found.x == pytest.approx([2.5, 1.3, 0.5], rel=1e-6)
    assert found.jac.shape == (12, 3)
    theirs = optimize.least_squares(residuals, np.ones(3), method=method)
    assert found.x == pytest.approx(theirs.x, rel=1e-5)


def test_least_squares_fits_the_enzymatic_reaction_of_the_tutorial(way: Recorded) -> None:
    u = np.array([4.0, 2.0, 1.0, 5.0e-1, 2.5e-1, 1.67e-1, 1.25e-1, 1.0e-1, 8.33e-2, 7.14e-2, 6.25e-2])
    y = np.array([1.957e-1, 1.947e-1, 1.735e-1, 1.6e-1, 8.44e-2, 6.27e-2, 4.56e-2, 3.42e-2, 3.23e-2, 2.35e-2, 2.46e-2])

    def model(x: Any, u: Any) -> Any:
        return x[0] * (u**2 + x[1] * u) / (u**2 + x[2] * u + x[3])

    def residuals(x: Any, u: Any, y: Any) -> Any:
        return model(x, u) - y

    found = optimize.least_squares(
        way.itself(residuals),
        [2.5, 3.9, 4.15, 3.9],
        jac=way.itself(mg.jacobian(residuals)),
        bounds=(0, 100),
        args=(u, y),
    )
    assert found.x == pytest.approx([0.19280596, 0.19130423, 0.12306063, 0.13607247], rel=1e-5)  # the tutorial's


def test_curve_fit_takes_a_jacobian_by_several_arguments(way: Recorded) -> None:
    t = np.linspace(0.0, 4.0, 30)
    noise = np.random.default_rng(1).normal(size=30) * 0.01

    def model(t: Any, a: Any, b: Any, c: Any) -> Any:
        return a * np.exp(-b * t) + c

    def jac(t: Any, *p: Any) -> Any:
        return np.stack(mg.jacobian(model, (1, 2, 3))(t, *p), axis=-1)

    y = model(t, 2.5, 1.3, 0.5) + noise
    found, covariance = optimize.curve_fit(way.itself(model), t, y, p0=[1.0, 1.0, 1.0], jac=way.itself(jac))
    expected, theirs = optimize.curve_fit(model, t, y, p0=[1.0, 1.0, 1.0])
    assert found == pytest.approx(expected, rel=1e-6)
    assert covariance == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root_takes_a_jacobian(method: str, way: Recorded) -> None:
    def equations(x: Any) -> Any:
        return [x[0] * np.cos(x[1]) - 4.0, x[1] * x[0] - x[1] - 5.0]

    jac = way.jacobian(equations)
    found = optimize.root(way.itself(equations), [1.0, 1.0], jac=jac, method=method)
    assert found.x == pytest.approx([6.50409711, 0.90841421])
    together = way.itself(lambda x: (equations(x), mg.jacobian(equations)(x)))
    at_once = optimize.root(together, [1, 1], jac=True, method=method)
    assert at_once.x == pytest.approx(found.x, rel=1e-12)
    assert optimize.fsolve(way.itself(equations), [1, 1], fprime=jac) == pytest.approx(found.x)


def test_newton_and_root_scalar_take_derivatives_of_numbers_and_of_arrays(way: Recorded) -> None:
    def call(volatility: Any) -> Any:  # Black and Scholes: spot 100, strike 110, a year, 5 percent
        d = (math.log(100.0 / 110.0) + 0.05 + volatility**2 / 2.0) / volatility
        normal = [0.5 * (1.0 + erf(x / math.sqrt(2.0))) for x in (d, d - volatility)]
        return 100.0 * normal[0] - 110.0 * math.exp(-0.05) * normal[1]

    price = float(call(0.2))

    def off(volatility: Any) -> Any:
        return call(volatility) - price

    f, slope, curvature = way.itself(off), way.grad(off), way.hessian(off)
    assert optimize.newton(f, 0.5, fprime=slope) == pytest.approx(0.2)
    assert optimize.newton(f, 0.5, fprime=slope, fprime2=curvature) == pytest.approx(0.2)
    both = way.value_and_grad(off)
    assert optimize.root_scalar(both, x0=0.5, fprime=True, method="newton").root == pytest.approx(0.2)
    three = way.itself(lambda x: (off(x), mg.grad(off)(x), mg.grad(mg.grad(off))(x)))
    halley = optimize.root_scalar(three, x0=0.5, fprime=True, fprime2=True, method="halley")
    assert halley.root == pytest.approx(0.2)
    targets = np.array([2.0, 3.0, 5.0])
    roots = optimize.newton(
        way.itself(lambda x: x**2 - targets),
        np.ones(3),
        fprime=way.grad(lambda x: np.sum(x**2 - targets)),
        fprime2=way.grad(lambda x: np.sum(2.0 * x)),
    )
    assert roots == pytest.approx(np.sqrt(targets))


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp_takes_a_jacobian(method: str, way: Recorded) -> None:
    def vanderpol(t: Any, y: Any) -> Any:
        return np.array([y[1], 50.0 * (1.0 - y[0] ** 2) * y[1] - y[0]])

    right, jac = way.itself(vanderpol), way.jacobian(vanderpol, 1)
    found = integrate.solve_ivp(right, (0.0, 60.0), [2.0, 0.0], method=method, jac=jac)
    alone = integrate.solve_ivp(vanderpol, (0.0, 60.0), [2.0, 0.0], method="Radau", rtol=1e-8, atol=1e-10)
    assert found.success
    assert found.y[0, -1] == pytest.approx(alone.y[0, -1], abs=2e-2)
    assert found.njev >= 1


def test_solve_ivp_takes_whole_numbers_and_further_arguments(way: Recorded) -> None:
    """Robertson's chemical reaction, whose solution at t = 40 is known from the literature of stiff solvers."""

    def robertson(t: Any, y: Any, k1: Any, k2: Any, k3: Any) -> Any:
        first, second, third = k1 * y[0], k2 * y[1] * y[2], k3 * y[1] ** 2
        return [second - first, first - second - third, third]

    found = integrate.solve_ivp(
        way.itself(robertson),
        (0, 40),
        [1, 0, 0],
        method="Radau",
        args=(0.04, 10**4, 3 * 10**7),
        jac=way.jacobian(robertson, 1),
        rtol=1e-8,
        atol=1e-12,
    )
    assert found.y[:, -1] == pytest.approx([0.7158271, 9.1855e-06, 0.2841637], rel=1e-4)
