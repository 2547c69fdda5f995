"""Derivatives of functions: structure, nesting, identities between the modes, closed forms."""

from __future__ import annotations

import itertools
import math
import threading
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, cast

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs import SMOOTH, functions, points
from test_ops import REFERENCES
from thinned import thinned

import microgrid as mg
from microgrid import Value, grad, gradient, hessian, hvp, jacobian, jvp, no_grad, trace, value_and_grad, vjp
from microgrid.core.primitive import OPS, Op
from microgrid.ops import cos, exp, log, sin, tanh

near = pytest.approx


# --- one rule for what passes back ---------------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, math.inf, -math.inf, math.nan]
FACTORS = [0.0, -0.0, 1.0, -2.0, math.inf, math.nan]


def same_numbers(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("op", thinned(op for op in OPS.values() if not op.static), ids=lambda op: op.name)
def test_all_modes_pass_back_the_same_through_every_op_at_special_points(op: Op) -> None:
    """A factor of 0 passes nothing, beside an infinite or a missing partial, too; a piecewise partial of 0 neither."""

    def f(w: Any, *xs: Any) -> Any:
        return w * op(*xs)

    by_all = range(1 + op.arity)
    program = trace(f)(1.0, *[0.5] * op.arity).gradient()
    for numbers in itertools.product(FACTORS, *[SPECIAL] * op.arity):
        leaves = [Value(x) for x in numbers]
        f(*leaves).backward()
        expected = [leaf.grad for leaf in leaves]
        assert same_numbers(expected, grad(f, by_all)(*numbers)), numbers
        assert same_numbers(expected, [x.data for x in grad(f, by_all)(*map(Value, numbers))]), numbers
        assert same_numbers(expected, program(*numbers)), numbers
        if numbers[0] == 1.0:  # forward mode meets an infinite partial before the factor of 0
            pushed = [jvp(f, numbers, [float(i == j) for j in by_all])[1] for i in by_all]
            assert same_numbers(expected, pushed), numbers


def test_a_gradient_that_passes_nothing_is_a_positive_zero_in_every_mode() -> None:
    def f(x: Any, y: Any) -> Any:
        return -mg.maximum(x, y)

    x, y = Value(1.0), Value(2.0)
    f(x, y).backward()
    assert [str(x.grad), str(y.grad)] == ["0.0", "-1.0"]
    assert str(grad(f)(1.0, 2.0)) == "0.0"
    assert str(grad(f)(Value(1.0), 2.0).data) == "0.0"
    assert str(trace(f)(1.0, 2.0).gradient()(1.0, 2.0)) == "(0.0, -1.0)"


# --- structure -----------------------------------------------------------------------------------------------------


def test_derivatives_have_the_structure_of_the_arguments() -> None:
    point = namedtuple("point", "x y")

    def f(p: Any) -> Any:
        return p["w"][0] * p["w"][1] + p["at"].x ** 2 + p["b"]

    got = grad(f)({"w": [2.0, 3.0], "at": point(5.0, 7.0), "b": 1.0})
    assert got == {"w": [3.0, 2.0], "at": point(10.0, 0.0), "b": 1.0}
    assert type(got["at"]) is point
    assert grad(f)({"w": (2, 3), "at": point(5, 7), "b": 1})["w"] == (3.0, 2.0)


def test_argnums_are_as_in_jax() -> None:
    def f(x: Any, y: Any, n: int, *, scale: float) -> Any:
        return x * y**n * scale

    assert grad(f)(2.0, 3.0, 2, scale=10.0) == 90.0
    assert grad(f, 1)(2.0, 3.0, 2, scale=10.0) == 120.0
    assert grad(f, (1, 0))(2.0, 3.0, 2, scale=10.0) == (120.0, 90.0)
    assert grad(f, -2)(2.0, 3.0, 2, scale=10.0) == 120.0
    assert value_and_grad(f, (0, 0))(2.0, 3.0, 2, scale=10.0) == (180.0, (90.0, 90.0))


def test_floats_give_floats_and_values_give_values() -> None:
    assert type(grad(sin)(0.5)) is float
    assert type(grad(sin)(Value(0.5))) is Value
    value, slope = value_and_grad(sin)(Value(0.5))
    assert (value.data, slope.data) == (math.sin(0.5), math.cos(0.5))
    with no_grad():
        assert type(grad(sin)(0.5)) is float
        slope = grad(sin)(Value(0.5))
        assert (slope.data, slope.operands) == (math.cos(0.5), ())


def test_jacobian_and_hessian_nest_structures_as_jax_does() -> None:
    assert jacobian(lambda p: {"s": p[0] * p[1], "d": [p[0] - p[1]]})([2.0, 3.0]) == {
        "s": [3.0, 2.0],
        "d": [[1.0, -1.0]],
    }
    assert jacobian(lambda x: [x, x**2, x**3])(2.0) == [1.0, 4.0, 12.0]
    assert jacobian(lambda x, y: [x * y], (0, 1))(2.0, 3.0) == [(3.0, 2.0)]
    assert hessian(lambda x, y: x**2 * y, (0, 1))(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))
    assert hessian(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 3.0}) == {
        "a": {"a": 0.0, "b": 1.0},
        "b": {"a": 1.0, "b": 0.0},
    }
    assert jacobian(lambda xs: [Value(1.0)])([]) == [[]]
    assert grad(lambda xs: Value(1.0))([]) == []


def test_an_output_that_does_not_depend_on_the_input_has_derivative_0() -> None:
    c = Value(3.0)
    assert grad(lambda x, y: x * x, 1)(2.0, 5.0) == 0.0
    assert gradient(c * c, Value(1.0)) == 0.0
    assert gradient(c * c, Value(1.0), create_graph=True).data == 0.0
    assert jvp(lambda x: Value(2.0) * 3.0, (1.0,), (1.0,)) == (6.0, 0.0)
    assert grad(lambda x: Value(2.0))(1.0) == 0.0
    assert grad(lambda x: 1.0 if x > 0 else -1.0)(2.0) == 0.0
    assert jacobian(lambda x: [x, 2])(1.0) == [1.0, 0.0]
    assert grad(lambda x: x * grad(lambda y: 3.0)(x))(1.0) == 0.0


def test_no_grad_of_any_value_is_written() -> None:
    x, w = Value(2.0), Value(3.0)
    y = x * w
    x.grad = w.grad = y.grad = 7.0
    hessian(lambda v: v * w * x)(1.0)
    vjp(lambda v: v * x, x)[1](Value(2.0))
    gradient(y * y, [x, y], create_graph=True)
    assert (x.grad, w.grad, y.grad) == (7.0, 7.0, 7.0)


# --- nesting -------------------------------------------------------------------------------------------------------


def forward_grad(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("outer", [grad, forward_grad])
@pytest.mark.parametrize("inner", [grad, forward_grad])
def test_nested_derivatives_do_not_confuse_their_perturbations(outer: Any, inner: Any) -> None:
    # Siskind and Pearlmutter 2005: d/dx (x * d/dy (x + y)) = 1, and with x * y instead, 2 x
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(1.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y)(x))(3.0) == 1.0
    assert outer(lambda x: inner(lambda y: inner(lambda z: x * y * z)(y))(x))(3.0) == 1.0


def test_a_derivative_keeps_what_it_depends_on_outside() -> None:
    w = Value(3.0)
    slope = grad(lambda x: w * x * x)(2.0)
    assert slope.data == 12.0
    slope.backward()
    assert w.grad == 4.0


def test_recorded_gradients_can_be_differentiated_and_drawn() -> None:
    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    z = x**3 * y
    dx, dy = gradient(z, [x, y], create_graph=True)
    assert (dx.data, dy.data) == (36.0, 8.0)
    assert gradient(dx, {"x": x, "y": y}) == {"x": 36.0, "y": 12.0}
    dx.backward()
    assert (x.grad, y.grad) == (36.0, 12.0)
    assert "x" in mg.draw(dx).source


def test_a_gradient_by_a_result_is_by_that_result() -> None:
    x = Value(2.0)
    y = x * x
    z = y * y + x
    assert gradient(z, [x, y, z]) == [33.0, 8.0, 1.0]
    z.backward()
    assert (x.grad, y.grad, z.grad) == (33.0, 8.0, 1.0)


def test_changed_data_is_an_error_where_the_derivative_of_the_derivative_needs_it() -> None:
    x = Value(2.0, label="x")
    z = x * x
    x.data = 5.0
    assert gradient(z, x) == 4.0  # as recorded
    with pytest.raises(RuntimeError, match=r"mul\(x, x\) was changed after it was recorded"):
        gradient(z, x, create_graph=True)


def test_threads_differentiate_at_once() -> None:
    w = Value(2.0)
    found: list[float] = []

    def work(x: float) -> None:
        for _ in range(50):
            found.append(grad(grad(lambda v: v**3 * 1.0))(x) - 6.0 * x)
            found.append(grad(lambda v: w * v * v)(x).data - 4.0 * x)

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0.0] * 800


# --- misuse --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: grad(lambda x: math.sin(x.data))(1.0), TypeError, r"by \.data, .* plain number 0\.84.* be lost"),
        (lambda: jacobian(lambda x: [x, x.item()])(1.0), TypeError, r"plain number 1\.0 in \[1\]"),
        (lambda: grad(lambda x: math.sin(x))(1.0), TypeError, r"v\.sin\(\)"),
        (lambda: grad(lambda x: [x])(1.0), TypeError, "returned a list: use jacobian"),
        (lambda: grad(lambda x: None)(1.0), TypeError, "must return Values, got NoneType"),
        (lambda: grad(lambda x: x, 1)(1.0), ValueError, "argnums=1, but .* 1 positional"),
        (lambda: grad(sin)("a"), TypeError, r"argument \[0\]: .* string 'a'"),
        (lambda: grad(sin)(True), TypeError, r"argument \[0\] is True"),
        (lambda: grad(lambda p: p["w"][0])({"w": [None]}), TypeError, r"\[0\]\['w'\]\[0\]: .* NoneType"),
        (lambda: jvp(sin, (1.0,), ([1.0],)), TypeError, "structured like the primals"),
        (lambda: jvp(sin, cast(Any, 1.0), (1.0,)), TypeError, r"jvp\(f, \(x,\), \(v,\)\)"),
        (lambda: vjp(lambda x: [x, x], 1.0)[1](1.0), TypeError, r"structured like the result: \[·, ·\], got a number"),
        (lambda: gradient(3.0, Value(1.0)), TypeError, "the output must be one Value"),  # type: ignore[arg-type]
        (lambda: gradient(Value(1.0), [2.0]), TypeError, r"inputs\[0\] must be a Value"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[], Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()


# --- identities on random programs ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data(), functions(outputs=2))
def test_the_modes_agree_on_random_programs(data: st.DataObject, f: Any) -> None:
    at = data.draw(points(f.inputs))
    u, v = data.draw(points(f.inputs)), data.draw(points(2))
    out, pull = vjp(f, *at)
    pulled = pull(v)
    pushed = jvp(f, at, u)[1]
    assume(all(math.isfinite(x) and abs(x) < 1e100 for x in (*out, *pulled, *pushed)))
    left = math.fsum(a * b for a, b in zip(v, pushed, strict=True))
    right = math.fsum(a * b for a, b in zip(pulled, u, strict=True))
    by_inputs = jacobian(lambda *xs: f(*xs), range(f.inputs))(*at)
    size = max(map(abs, u)) * max(map(abs, v)) * max(1.0, *(abs(g) for row in by_inputs for g in row))
    assert left == near(right, rel=1e-9, abs=1e-9 * size + 1e-300)  # the two sides cancel along different paths
    for i in range(f.inputs):
        unit = [float(j == i) for j in range(f.inputs)]
        column = jvp(f, at, unit)[1]
        assert column == near([row[i] for row in by_inputs], rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.data(), functions())
def test_grad_is_backward_to_the_bit_and_the_same_when_recorded(data: st.DataObject, f: Any) -> None:
    at = data.draw(points(f.inputs))
    leaves = [Value(x) for x in at]
    f(*leaves).backward()
    grads = [leaf.grad for leaf in leaves]
    assert repr([g + 0.0 for g in grad(f, range(f.inputs))(*at)]) == repr([g + 0.0 for g in grads])
    recorded = [g.data for g in grad(f, range(f.inputs))(*map(Value, at))]
    for a, b in zip(recorded, grads, strict=True):
        assert a == b or (math.isnan(a) and math.isnan(b))


@settings(deadline=None)
@given(st.data(), functions(of=SMOOTH, steps=8))
def test_second_derivatives_agree_forward_over_reverse_and_reverse_over_forward(data: st.DataObject, f: Any) -> None:
    at, v = data.draw(points(f.inputs)), data.draw(points(f.inputs))
    all_of_them = range(f.inputs)
    one = hvp(f, at, v)
    one = list(one) if f.inputs > 1 else [one]
    other = list(grad(lambda *xs: jvp(f, xs, v)[1], all_of_them)(*at))
    full = hessian(f, all_of_them)(*at)
    assume(all(math.isfinite(x) and abs(x) < 1e50 for row in full for x in row))
    product = [math.fsum(h * x for h, x in zip(row, v, strict=True)) for row in full]
    size = 1e-9 * (1.0 + max(abs(h) for row in full for h in row))
    assert one == near(other, rel=1e-9, abs=size)
    assert one == near(product, rel=1e-9, abs=size)


# --- closed forms --------------------------------------------------------------------------------------------------

DERIVATIVE_POINTS = {"acosh": 1.7, "asec": 1.7, "acsc": 1.7, "acoth": 1.7, "log1p": 0.4, "xlogy": 0.7}
ONE_OPERAND = [
    op
    for op in OPS.values()
    if op.arity == 1 and not any(op.piecewise) and op.name not in ("abs", "identity", "neg", "softsign")
]


TWO_OPERANDS = [OPS[name] for name in "add sub mul div power logaddexp xlogy hypot atan2".split()]


def agrees_with_mpmath(f: Callable[[Any], Any], reference: Callable[[Any], Any], x: float) -> None:
    """The derivatives 0 to 6."""
    with mpmath.workdps(60):
        truth = mpmath.taylor(reference, mpmath.mpf(x), 6)
    for k in range(7):
        assert f(x) == near(float(truth[k] * math.factorial(k)), rel=1e-11, abs=1e-12), k
        f = grad(f)


@pytest.mark.parametrize("op", ONE_OPERAND, ids=lambda op: op.name)
def test_derivatives_0_to_6_of_the_smooth_ops_agree_with_mpmath(op: Any) -> None:
    for x in (DERIVATIVE_POINTS.get(op.name, 0.4), DERIVATIVE_POINTS.get(op.name, 0.4) + 0.13):
        agrees_with_mpmath(op, REFERENCES[op.name], x)


@pytest.mark.parametrize("op", TWO_OPERANDS, ids=lambda op: op.name)
def test_so_do_those_of_two_operands_by_each(op: Any) -> None:
    reference = REFERENCES[op.name]
    agrees_with_mpmath(lambda x: op(x, 0.75), lambda x: reference(x, mpmath.mpf(0.75)), 1.3)
    agrees_with_mpmath(lambda y: op(0.75, y), lambda y: reference(mpmath.mpf(0.75), y), 1.3)


def test_so_do_those_of_powers_with_any_constant_exponent() -> None:
    for c in (3.0, -2.0, 0.5, 0.3, 2.5):
        agrees_with_mpmath(lambda x, c=c: x**c, lambda x, c=c: mpmath.power(x, c), 1.3)  # type: ignore[misc]  # lambdas


def test_sinc_has_derivatives_of_every_order_also_at_0() -> None:
    f: Callable[[Any], Any] = mg.sinc
    for k in range(8):
        exact = 0.0 if k % 2 else (-1.0) ** (k // 2) * math.pi**k / (k + 1)
        assert f(0.0) == near(exact, rel=1e-14)
        f = grad(f)


def third(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return grad(grad(grad(f)))


def test_third_derivatives_of_rosenbrock() -> None:
    def f(x: Any, y: Any) -> Any:
        return 100.0 * (y - x**2) ** 2 + (1.0 - x) ** 2

    x, y = -1.2, 0.7
    assert third(lambda v: f(v, y))(x) == near(2400.0 * x)
    assert grad(grad(grad(f, 1), 0), 0)(x, y) == -400.0
    assert hessian(f, (0, 1))(x, y) == (
        (near(1200 * x * x - 400 * y + 2), near(-400 * x)),
        (near(-400 * x), near(200.0)),
    )


def test_third_derivatives_of_log_sum_exp() -> None:
    xs = [0.3, -1.0, 0.8]
    p = math.exp(xs[0]) / sum(map(math.exp, xs))
    got = third(lambda v: mg.logsumexp([v, *xs[1:]]))(xs[0])
    assert got == near(p * (1 - p) * (1 - 2 * p), rel=1e-12)


def test_third_derivatives_of_keplers_equation_by_newton_steps() -> None:
    def anomaly(mean: Any, e: float = 0.3) -> Any:
        E = mean
        for _ in range(8):
            E = E - (E - e * sin(E) - mean) / (1.0 - e * cos(E))
        return E

    M, e = 0.9, 0.3
    E = anomaly(M)
    d = 1.0 - e * math.cos(E)
    first = 1.0 / d
    second = -e * math.sin(E) * first**3
    derived = -e * math.cos(E) * first**4 - 3.0 * e * math.sin(E) * first**2 * second
    assert grad(anomaly)(M) == near(first, rel=1e-12)
    assert grad(grad(anomaly))(M) == near(second, rel=1e-12)
    assert third(anomaly)(M) == near(derived, rel=1e-11)


def test_third_derivatives_of_a_pendulum_integrated_in_a_loop() -> None:
    """The linear pendulum, by steps whose matrix is known: its n-th power is linear in where it starts."""

    def swing(start: Any, steps: int = 40, h: float = 0.05) -> Any:
        angle, speed = start**3, Value(0.0)
        for _ in range(steps):
            speed = speed - h * angle
            angle = angle + h * speed
        return angle

    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    h = 0.05
    for _ in range(40):
        c, d = c - h * a, d - h * b
        a, b = a + h * c, b + h * d
    assert grad(swing)(0.7) == near(3 * 0.7**2 * a, rel=1e-12)
    assert third(swing)(0.7) == near(6.0 * a, rel=1e-12)

    def real(start: Any) -> Any:
        angle, speed = start, Value(0.0)
        for _ in range(30):
            speed = speed - 0.05 * sin(angle)
            angle = angle + 0.05 * speed
        return angle

    def exactly(start: Any) -> Any:
        angle, speed = start, mpmath.mpf(0)
        for _ in range(30):
            speed -= mpmath.mpf(0.05) * mpmath.sin(angle)
            angle += mpmath.mpf(0.05) * speed
        return angle

    with mpmath.workdps(60):
        assert third(real)(1.1) == near(float(mpmath.diff(exactly, mpmath.mpf(1.1), 3)), rel=1e-11)


def test_a_composition_agrees_with_its_closed_form() -> None:
    assert grad(lambda x: log(exp(x) * tanh(x)))(0.7) == near(1 + (1 - math.tanh(0.7) ** 2) / math.tanh(0.7), rel=1e-13)


def test_a_traced_jacobian_visits_only_what_depends_on_an_input() -> None:
    def neighbours(xs: list[Any]) -> list[Any]:
        return [mg.sin(x) * y for x, y in itertools.pairwise(xs)]

    counts = []
    for n in (20, 40):
        at = [0.1 * i - 1.0 for i in range(n)]
        program = mg.trace(mg.jacobian(neighbours))(at)
        counts.append(len([op for op, _ in program.instructions if op.name != "identity"]))
        assert program(at) == mg.jacobian(neighbours)(at)
    assert counts[1] < 2.2 * counts[0]
