"""SciPy's optimisers and solvers with derivatives of microgrid, called as SciPy's documentation calls them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from microgrid import erf, grad, hessian, hvp, jacobian, value_and_grad

np = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")

START = np.array([1.3, 0.7, 0.8, 1.9, 1.2])


def rosen(x: Any) -> Any:
    """SciPy's tutorial's."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0)


def test_derivatives_of_the_rosenbrock_function_are_those_that_scipy_has() -> None:
    assert grad(rosen)(START) == pytest.approx(optimize.rosen_der(START), rel=1e-12)
    assert hessian(rosen)(START) == pytest.approx(optimize.rosen_hess(START), rel=1e-12)
    p = np.arange(5.0)
    assert hvp(rosen, (START,), (p,)) == pytest.approx(optimize.rosen_hess_prod(START, p), rel=1e-12)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("BFGS", {}),
        ("L-BFGS-B", {}),
        ("CG", {}),
        ("SLSQP", {}),
        ("TNC", {"options": {"maxfun": 500}}),
        ("Newton-CG", {"hess": hessian(rosen)}),
        ("Newton-CG", {"hessp": lambda x, p: hvp(rosen, (x,), (p,))}),
        ("trust-ncg", {"hess": hessian(rosen)}),
        ("trust-krylov", {"hessp": lambda x, p: hvp(rosen, (x,), (p,))}),
        ("trust-exact", {"hess": hessian(rosen)}),
        ("dogleg", {"hess": lambda x: hessian(rosen)(x) + 0.0}),
        ("trust-constr", {"hess": hessian(rosen)}),
    ],
)
def test_minimize_takes_value_and_gradient_at_once(method: str, more: dict[str, Any]) -> None:
    start = START if method != "dogleg" else np.full(5, 1.05)  # it wants a positive definite Hessian
    found = optimize.minimize(value_and_grad(rosen), start, jac=True, method=method, **more)
    assert found.x == pytest.approx(np.ones(5), abs=2e-3)
    apart = optimize.minimize(rosen, start, jac=grad(rosen), method=method, **more)
    assert apart.x.tolist() == found.x.tolist()


def test_minimize_takes_a_function_with_further_arguments_and_constraints() -> None:
    def function(x: Any, a: float, b: float) -> Any:
        return (x[0] - a) ** 2 + (x[1] - b) ** 2

    def circle(x: Any) -> Any:
        return 1.0 - x @ x

    found = optimize.minimize(
        value_and_grad(function),
        np.zeros(2),
        args=(3.0, 4.0),
        jac=True,
        constraints={"type": "ineq", "fun": circle, "jac": grad(circle)},
    )
    assert found.x == pytest.approx([0.6, 0.8], abs=1e-6)


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares_takes_a_jacobian(method: str) -> None:
    t = np.linspace(0.0, 3.0, 12)
    y = 2.5 * np.exp(-1.3 * t) + 0.5

    def residuals(p: Any) -> Any:
        return p[0] * np.exp(-p[1] * t) + p[2] - y

    found = optimize.least_squares(residuals, np.ones(3), jac=jacobian(residuals), method=method)
    assert found.x == pytest.approx([2.5, 1.3, 0.5], rel=1e-6)
    assert found.jac.shape == (12, 3)


def test_curve_fit_takes_a_jacobian_by_several_arguments() -> None:
    t = np.linspace(0.0, 4.0, 30)
    noise = np.random.default_rng(1).normal(size=30) * 0.01

    def model(t: Any, a: Any, b: Any, c: Any) -> Any:
        return a * np.exp(-b * t) + c

    slopes = jacobian(model, (1, 2, 3))

    def jac(t: Any, *p: Any) -> Any:
        return np.stack(slopes(t, *p), axis=-1)

    y = model(t, 2.5, 1.3, 0.5) + noise
    found, covariance = optimize.curve_fit(model, t, y, p0=[1.0, 1.0, 1.0], jac=jac)
    expected, theirs = optimize.curve_fit(model, t, y, p0=[1.0, 1.0, 1.0])
    assert found == pytest.approx(expected, rel=1e-6)
    assert covariance == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root_takes_a_jacobian(method: str) -> None:
    def equations(x: Any) -> Any:
        return [x[0] * np.cos(x[1]) - 4.0, x[1] * x[0] - x[1] - 5.0]

    found = optimize.root(equations, [1.0, 1.0], jac=jacobian(equations), method=method)
    assert found.x == pytest.approx([6.50409711, 0.90841421])
    at_once = optimize.root(lambda x: (equations(x), jacobian(equations)(x)), [1.0, 1.0], jac=True, method=method)
    assert at_once.x.tolist() == found.x.tolist()


def test_newton_and_root_scalar_take_derivatives_of_numbers_and_of_arrays() -> None:
    def call(volatility: Any) -> Any:  # Black and Scholes: spot 100, strike 110, a year, 5 percent
        d = (math.log(100.0 / 110.0) + 0.05 + volatility**2 / 2.0) / volatility
        normal = [0.5 * (1.0 + erf(x / math.sqrt(2.0))) for x in (d, d - volatility)]
        return 100.0 * normal[0] - 110.0 * math.exp(-0.05) * normal[1]

    price = call(0.2)

    def off(volatility: Any) -> Any:
        return call(volatility) - price

    assert optimize.newton(off, 0.5, fprime=grad(off)) == pytest.approx(0.2)
    assert optimize.newton(off, 0.5, fprime=grad(off), fprime2=grad(grad(off))) == pytest.approx(0.2)
    assert optimize.root_scalar(value_and_grad(off), x0=0.5, fprime=True, method="newton").root == pytest.approx(0.2)
    targets = np.array([2.0, 3.0, 5.0])
    roots = optimize.newton(lambda x: x**2 - targets, np.ones(3), fprime=grad(lambda x: np.sum(x**2 - targets)))
    assert roots == pytest.approx(np.sqrt(targets))


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp_takes_a_jacobian(method: str) -> None:
    def vanderpol(t: Any, y: Any) -> Any:
        return np.array([y[1], 50.0 * (1.0 - y[0] ** 2) * y[1] - y[0]])

    found = integrate.solve_ivp(vanderpol, (0.0, 60.0), [2.0, 0.0], method=method, jac=jacobian(vanderpol, 1))
    alone = integrate.solve_ivp(vanderpol, (0.0, 60.0), [2.0, 0.0], method="Radau", rtol=1e-8, atol=1e-10)
    assert found.success
    assert found.y[0, -1] == pytest.approx(alone.y[0, -1], abs=2e-2)
