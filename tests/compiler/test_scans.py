"""Loops that are traced once: compiled, they give what they record, value and gradient, sample by sample."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eagerly import eager, same
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions, points
from running_c import built, run_c

import microgrid as mg
from microgrid import Value, fori_loop, losses, nn, scan, while_loop
from microgrid.compiler import agreement, directional, plan
from microgrid.compiler.compiled import Compiled
from microgrid.compiler.loop_tangents import tangents
from microgrid.compiler.looped import Looped


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is read before it is written holds nan here."""
    monkeypatch.setattr(plan, "POISON", True)


def compiled(f: Callable[..., Any], strict: bool = True) -> Compiled:
    return mg.compile(f, strict=strict, cache=False)


def is_loop(f: Compiled) -> bool:
    return isinstance(f._ran().traced.program, Looped)


OUTSIDE = Value(0.7, label="w")


def trajectory(x: Any, y: Any) -> Any:
    """The carry is y, too, and both are used later, as is what the step takes from outside."""
    (a, b), ys = scan(
        lambda c, t: ((h := mg.tanh(c[0] * x + t * OUTSIDE), c[1] + h * y), h), (x, 0.0), [0.5, y * 2.0, -1.0]
    )
    return mg.sum(ys) * a + b * ys[-1] + x


def backwards(x: Any, y: Any) -> Any:
    carry, ys = scan(
        lambda c, t: (mg.sin(c + t["a"] * t["b"]), (c * t["a"], mg.exp(t["b"]))),
        x,
        {"a": [x, 1.0, y, 2.0], "b": [0.1, y, 0.3, x]},
        reverse=True,
    )
    return carry + mg.sum(ys[0]) * ys[1][2]


def checkpointed(x: Any, y: Any) -> Any:
    carry, ys = scan(lambda c, _: (h := mg.sin(c * y) + x, h), x, length=11, checkpoint=3)
    again = fori_loop(0, 10, lambda i, c: c * mg.cos(c + 0.1 * i), carry, checkpoint=True)
    return carry + ys[4] * ys[-1] + again


def nested(x: Any, y: Any) -> Any:
    def step(c: Any, t: Any) -> Any:
        inner, ys = scan(lambda d, s: (mg.tanh(d * y + s), d * s), c * t, [t, x, c])
        return inner + while_loop(lambda d: d > 1.0, lambda d: d * 0.5 + 0.1 * y, inner * 4.0, max_iterations=20), ys

    carry, rows = scan(step, x, [1.0, y, 2.0])
    return carry + rows[1][2] * rows[2][0]


def halving(x: Any, y: Any) -> Any:
    """As many iterations as x and y say, none for some."""
    a, b, n = while_loop(
        lambda c: (c[0] > 1.0 or c[0] < -1.0) and not c[2] >= 30.0,
        lambda c: (c[1] * 0.5 + 0.1 * OUTSIDE, c[0], c[2] + 1.0),
        (x * 3.0, y * x, 0.0),
        max_iterations=40,
    )
    return a * a + b * y + n * x


def newton(x: Any, y: Any) -> Any:
    """A root by as many steps as it takes."""
    a = x * x + y * y + 0.5

    def step(c: Any) -> Any:
        return c - (c * c - a) / (2.0 * c)

    return while_loop(lambda c: abs(c * c - a) > 1e-10, step, a, max_iterations=60) * y


def threefold(x: Any, y: Any) -> Any:
    """Only the innermost loop uses y, among its xs."""

    def innermost(d: Any, s: float) -> tuple[Any, None]:
        return scan(lambda e, r: (mg.sin(e + r), None), 0.5, [1.5, y])[0] + d * s, None

    return scan(lambda c, t: (scan(innermost, c, [1.0, 2.0])[0] * t, None), x, [0.7, -0.3])[0]


FUNCTIONS = [trajectory, backwards, checkpointed, nested, halving, newton, threefold]
EDGES: dict[str, Callable[..., Any]] = {
    "no carry": lambda x, y: mg.sum(scan(lambda c, t: ((), t * x + y), (), [x, y, 1.0])[1]),
    "a constant for y": lambda x, y: mg.sum(scan(lambda c, t: (c * t, 1.5), x, [x, y, 1.0])[1]) + x,
    "checkpoints of nothing": lambda x, y: mg.sum(scan(lambda c, t: ((), t * x), (), [x, y, 1.0], checkpoint=2)[1]),
    "no use": lambda x, y: (scan(lambda c, t: (c * t, c), x, [x, y, 1.0]), x * y)[1],
    "no use of the carry": lambda x, y: scan(lambda c, t: (c * t, c + t), x, [x, y, 1.0])[1][1],
    "one iteration": lambda x, y: scan(lambda c, t: (c * t, c + t), x, [y])[1][0],
    "no iteration": lambda x, y: scan(lambda c, t: (c * t, c + t), x, [])[0] * y,
    "a condition that never holds": lambda x, y: while_loop(lambda c: False, lambda c: c * y, x, max_iterations=3) + y,
    "none allowed": lambda x, y: while_loop(lambda c: c > 1e9, lambda c: c * y, x, max_iterations=0) + y,
    "constants alone": lambda x, y: scan(lambda c, t: (c * t, None), 2.0, [1.0, 2.0, 3.0])[0] * x * y,
    "no operands": lambda x, y: scan(lambda c, t: (c * 2.0, c), 1.0, length=4)[0] * x * y,
    "infinity": lambda x, y: scan(lambda c, t: (mg.exp(c * t), None), x * 100.0, [1.0, y, 3.0])[0] * y,
    "the carry before": lambda x, y: mg.prod(scan(lambda c, t: (mg.sin(c) * y + c * x, c), x, length=5)[1]),
    "the carry after, in reverse": lambda x, y: mg.prod(
        scan(lambda c, t: (h := mg.sin(c) * t + 0.1, h), x, [2.0, y, 3.0], reverse=True, checkpoint=2)[1]
    ),
    "x as y": lambda x, y: mg.prod(scan(lambda c, t: (mg.sin(c) * t, t), x, [x * 2.0, y * 3.0, x * y])[1]),
    "x as carry": lambda x, y: scan(lambda c, t: (t, mg.sin(t) * c), x, [x * 2.0, y * 3.0, x * y])[0] * y,
    "from outside as carry": lambda x, y: scan(lambda c, t: (OUTSIDE, mg.sin(t) * c), x, [y, x * y])[1][1] * OUTSIDE,
    "swapped": lambda x, y: mg.prod(scan(lambda c, t: ([c[1], mg.sin(c[0]) * x], None), [x, y], length=5)[0]),
    "one swapped": lambda x, y: mg.prod(scan(lambda c, t: ([c[1], mg.sin(c[0]) * x], None), [x, y], length=1)[0]),
    "used before and after": lambda x, y: (
        (s := mg.exp(x * y)) * scan(lambda c, t: (c * s + t, None), x, [1.0, y * s])[0] + mg.sin(s)
    ),
    "checkpoints within checkpoints": lambda x, y: scan(
        lambda c, t: (fori_loop(0, 7, lambda i, d: mg.sin(d * t) + x * 0.1, c, checkpoint=True), c),
        y,
        [0.5, x * 2.0, x * y, 1.0],
        checkpoint=2,
        reverse=True,
    )[0],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EDGES)
def test_so_do_the_smallest_loops_and_the_oddest(name: str) -> None:
    g = compiled(EDGES[name])
    for at in POINTS:
        value, slopes = eager(EDGES[name], at)
        for _ in range(2):
            got = g.value_and_grad(*at)
            for a, b in zip((g(*at), got[0], *got[1]), (value, value, *slopes), strict=True):
                assert same(a, b, True)


POINTS = [(0.9, 0.4), (-1.3, 2.5), (0.0, 0.0), (7.5, -0.2)]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_value_and_gradient_have_the_bits_of_recording(f: Callable[..., Any]) -> None:
    g = compiled(f)
    for at in POINTS:
        value, slopes = eager(f, at)
        assert (value, *slopes) == (g(*at), *g.value_and_grad(*at)[1])
        assert g.value_and_grad(*at)[0] == value
    assert is_loop(g) != (f is backwards)  # where x and y stand twice among the xs


@pytest.mark.parametrize(
    "f", [f if f in (trajectory, halving, threefold) else pytest.param(f, marks=pytest.mark.slow) for f in FUNCTIONS]
)
def test_each_sample_of_a_batch_has_its_own_number_of_iterations(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    for strict, rows in ((True, 19), (False, 37)):
        x, y = rng.normal(scale=2.0, size=(2, rows))
        g = compiled(f, strict)
        values, (by_x, by_y) = g.batch_value_and_grad(x, y)
        _, (_, shared) = g.batch_value_and_grad(x, 0.4, in_axes=(0, None))
        total = 0.0
        for i in range(rows):
            value, slopes = eager(f, (x[i], y[i]))
            for got, expected in zip((values[i], by_x[i], by_y[i]), (value, *slopes), strict=True):
                assert same(got, expected, True) if strict else got == pytest.approx(expected, rel=1e-7, abs=1e-9)
            total += eager(f, (x[i], 0.4))[1][1]
        assert shared == pytest.approx(total, rel=1e-9)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        self.cell = nn.MLP(3, [2, 2])

    def __call__(self, xs: Any) -> Any:
        carry, _ = scan(lambda h, x: (self.cell([*h, x]), None), [0.0, 0.0], list(xs))
        return carry[0]

    def parameters(self) -> list[Value]:
        return self.cell.parameters()


@pytest.mark.slow
@pytest.mark.parametrize("f", [*FUNCTIONS, *[pytest.param(f, id=name) for name, f in EDGES.items()]])
def test_loops_in_c_have_the_bits_of_recording(f: Callable[..., Any], tmp_path: Path) -> None:
    g = compiled(f)
    g.batch_value_and_grad(np.ones(1), 1.0, in_axes=(0, None))
    run = built(g.c(), tmp_path)
    outside = [OUTSIDE.data] * len(g._ran().traced.captured)
    for x, y in POINTS:
        value, slopes = eager(f, (x, y))
        (got, by_x), (by_y, *_) = run([x], [y, *outside], 2, 1 + len(outside))
        for a, b in zip((got, by_x, by_y), (value, *slopes), strict=True):
            assert same(a, b, True)


@pytest.mark.slow
def test_a_loss_with_a_loop_in_c_computes_the_same(tmp_path: Path) -> None:
    loss = mg.compile(losses.mse, (model := Recurrent()), cache=False)
    x, y = [0.1, -0.4, 0.3, 0.7], 0.5
    value, gradient = loss(np.array([x]), np.array([y]))
    _, sums = run_c(loss.c(), tmp_path, [*x, y], [p.data for p in model.parameters()], 0, len(gradient) + 1)
    assert sums == pytest.approx([*gradient, value], rel=1e-13)


def test_a_loop_in_c_that_does_not_end_gives_nan_alone(tmp_path: Path) -> None:
    """Also where it is within another loop, and where the result does not depend on it."""

    def f(x: Any, y: Any, w: Any) -> Any:
        def halved(c: Any, t: Any) -> Any:
            return while_loop(lambda c: c > y, lambda c: c * 0.5, c, max_iterations=4), None

        return mg.where(x.greater(1.5), w, scan(halved, x, [1.0, 2.0])[0])

    g = compiled(f)
    g.batch_value_and_grad(np.ones(1), np.ones(1), 3.0, in_axes=(0, 0, None))
    run = built(g.c(), tmp_path)
    assert run([1.0, 0.1], [3.0], 3, 1) == ([0.0625, 0.0625, 0.0], [0.0])
    for x, y in ((1.0, 0.01), (2.0, 0.1), (math.inf, 0.1)):
        with pytest.raises(RuntimeError, match="has not ended"):
            g(x, y, 3.0)
        results, sums = run([x, y], [3.0], 3, 1)
        assert all(map(math.isnan, [*results, *sums]))
    assert run([1.0, 0.1], [3.0], 3, 1) == ([0.0625, 0.0625, 0.0], [0.0])


ODD = (
    "no carry",
    "constants alone",
    "x as y",
    "from outside as carry",
    "the carry after, in reverse",
    "checkpoints within checkpoints",
)


def unrolling_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directional, "UNROLLED", 0)


@pytest.mark.parametrize(
    "f",
    [f if f is halving else pytest.param(f, marks=pytest.mark.slow) for f in FUNCTIONS]
    + [pytest.param(EDGES[name], id=name, marks=pytest.mark.slow) for name in ODD],
)
def test_second_derivatives_have_the_loops(f: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    unrolling_nothing(monkeypatch)
    g = compiled(f, strict=False)
    for at in POINTS:
        wanted = np.array([[getattr(x, "data", x) for x in row] for row in mg.hessian(f, (0, 1))(*at)])
        if not np.isfinite(wanted).all():
            continue
        most = 1e-6 * (1.0 + np.abs(wanted).max())
        assert np.allclose(g.hessian(*at), wanted, rtol=1e-6, atol=most)
        assert is_loop(g)
        assert np.allclose(g.hvp(*at, 0.5, -2.0), wanted @ [0.5, -2.0], rtol=1e-6, atol=most)


@pytest.mark.slow
def test_a_jacobian_of_many_results_has_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    unrolling_nothing(monkeypatch)

    def f(x: Any, k: Any) -> Any:
        return scan(lambda c, _: (c + 0.1 * np.array([c[1], -mg.sin(c[0]) * k]), c), x, length=5)[1]

    x = np.array([0.3, -0.4])
    g = compiled(f, strict=False)
    for a, b in zip(g.jacobian(x, 1.5), mg.jacobian(f, (0, 1))(x, 1.5), strict=True):
        assert a.shape == b.shape
        assert a == pytest.approx(b, rel=1e-12)
    assert is_loop(g)
    assert g.jacobian(x, k=1.5) == pytest.approx(mg.jacobian(f)(x, 1.5), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [lambda y: 0.0, lambda y: 0.0 * y, lambda y: y - 3.0, lambda y: mg.relu(-y)])
def test_second_derivatives_are_finite_where_recorded_ones_are(
    factor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unrolling_nothing(monkeypatch)

    def f(x: Any, y: Any) -> Any:
        return scan(lambda c, t: (c * t + factor(y) * mg.sqrt(x), None), y * y, [1.0, 2.0])[0]

    g = compiled(f, strict=False)
    for x in (0.0, -2.0):
        assert repr(g.hessian(x, 3.0)) == repr(mg.hessian(f, (0, 1))(x, 3.0))
    assert is_loop(g)


@pytest.mark.slow
def test_second_derivatives_at_an_infinite_argument_are_the_recorded_ones_or_nan_but_strict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unrolling_nothing(monkeypatch)

    def f(x: Any, y: Any, z: Any) -> Any:
        return scan(lambda c, t: (mg.tanh(c * x + t * y), None), z, [0.5, 1.5, 0.0])[0]

    for at in ((0.4, math.inf, 0.3), (0.4, 0.3, math.inf), (math.nan, 0.3, 0.4)):
        wanted = mg.hessian(f, (0, 1, 2))(*at)
        assert repr(compiled(f).hessian(*at)) == repr(wanted)
        got = (g := compiled(f, strict=False)).hessian(*at)
        assert is_loop(g)
        assert all(
            a != a or a == b
            for mine, theirs in zip(got, wanted, strict=True)
            for a, b in zip(mine, theirs, strict=True)
        )


def test_a_wrong_tangent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    unrolling_nothing(monkeypatch)
    right = compiled(lambda x: scan(lambda c, t: (mg.sin(c) * t, None), x, [1.0, 2.0])[0], strict=False)
    right(0.5)
    wrong = tangents(right._ran().traced.program)  # type: ignore[arg-type]  # it has a loop
    monkeypatch.setattr(directional, "tangents", lambda program: wrong)
    with pytest.raises(RuntimeError, match=r"second derivative of <lambda> by x is .*, recorded "):
        compiled(lambda x: scan(lambda c, t: (mg.cos(c) * t, None), x, [1.0, 2.0])[0], strict=False).hessian(0.5)


def shapes(f: RandomFunction, xs: bool, length: int, checkpoint: int, reverse: bool) -> Callable[..., Any]:
    """A scan whose step is a random function of two carries and x, or a while_loop that ends after `length`."""

    def scanned(a: Any, b: Any, w: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            results = f(*(c[0], c[1], x if xs else w)[: f.inputs])
            return (results[0], results[1]), (results[2], results[0])

        items = [w * (0.5 + t) for t in range(length)] if xs else None
        (p, q), ys = scan(step, (a, b), items, length=length, checkpoint=checkpoint or False, reverse=reverse)
        return p + q * w + (mg.sum(ys[0]) * mg.sum(ys[1]) if length else 0.0)

    return scanned


@settings(max_examples=6, deadline=None)
@given(
    functions(outputs=3, steps=6),
    points(3),
    st.booleans(),
    st.integers(0, 5),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
)
def test_a_random_step_compiled_is_the_recorded_one(
    f: RandomFunction, at: list[float], xs: bool, length: int, checkpoint: int, reverse: bool
) -> None:
    _agrees(f, at, xs, length, checkpoint, reverse)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    functions(outputs=3, steps=12),
    points(3),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from([0, 1, 2, 3]),
    st.booleans(),
)
def test_so_are_many(f: RandomFunction, at: list[float], xs: bool, length: int, checkpoint: int, reverse: bool) -> None:
    _agrees(f, at, xs, length, checkpoint, reverse)


def _agrees(f: RandomFunction, at: list[float], xs: bool, length: int, checkpoint: int, reverse: bool) -> None:
    function = shapes(f, xs, length, checkpoint, reverse)
    value, slopes = eager(function, at)
    got = compiled(function).value_and_grad(*at)
    for a, b in zip((got[0], *got[1]), (value, *slopes), strict=True):
        assert same(a, b, True)


def test_a_step_is_traced_once() -> None:
    times: list[int] = []

    def f(x: Any) -> Any:
        def body(i: Any, c: Any) -> Any:
            times.append(1)
            return mg.sin(c) + x * 1e-3

        return fori_loop(0, 3_000, body, x)

    g = compiled(f, strict=False)
    g.gradient(0.5)
    assert len(times) == 1
    assert "fori_loop of 3,000 iterations" in str(g.loops)
    assert "v[0] = sin(x[0])" in str(g.loops)
    assert "backward through fori_loop" in str(g.loops)
    value, slope = eager(f, (0.5,))
    assert g.value_and_grad(0.5) == pytest.approx((value, slope[0]), rel=1e-9)


def test_arrays_go_in_and_come_out() -> None:
    xs = np.linspace(0.0, 1.0, 12).reshape(4, 3)

    def f(h: Any, xs: Any) -> Any:
        return scan(lambda c, x: (c * 0.5 + x, {"c": c, "s": x.sum()}), h, xs)

    def total(h: Any, xs: Any) -> Any:
        carry, ys = f(h, xs)
        return (carry * carry).sum() + (ys["c"] ** 2.0).sum() + mg.sum(ys["s"])

    h = np.array([0.1, -0.2, 0.3])
    carry, ys = compiled(f)(h, xs)
    expected_carry, expected = f(h, xs)
    assert carry.tolist() == expected_carry.tolist()
    assert (ys["c"].tolist(), ys["s"]) == (expected["c"].tolist(), expected["s"])
    by_h, by_xs = compiled(total).gradient(h, xs)
    wanted = mg.grad(total, (0, 1))(h, xs)
    assert np.array_equal(by_h, wanted[0])
    assert np.array_equal(by_xs, wanted[1])


def test_a_model_may_have_a_loop() -> None:
    model = Recurrent()
    x, y = np.random.default_rng(1).normal(size=(20, 5)), np.linspace(-1.0, 1.0, 20)
    step = mg.compile(losses.mse, model, cache=False)
    loss, gradient = step(x, y)
    total = mg.mean([losses.mse(model(row.tolist()), t) for row, t in zip(x, y.tolist(), strict=True)])
    total.backward()
    assert loss == pytest.approx(total.data, rel=1e-12)
    assert gradient == pytest.approx([p.grad for p in model.parameters()], rel=1e-9, abs=1e-12)
    assert isinstance(step._ran().traced.program, Looped)


def test_a_step_that_draws_is_unrolled() -> None:
    """Each iteration draws factors of its own."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            self.weight, self.drop = Value(0.5), nn.Dropout(0.5, seed=3)

        def __call__(self, xs: Any) -> Any:
            return scan(lambda h, x: (mg.tanh(h * self.weight + self.drop([x])[0]), None), 0.0, list(xs))[0]

        def parameters(self) -> list[Value]:
            return [self.weight]

    model = Noisy()
    step = mg.compile(lambda out, y: out, model, cache=False)
    x = np.ones((1, 6))
    found = {step(x, np.zeros(1))[0] for _ in range(12)}
    assert not isinstance(step._ran().traced.program, Looped)
    assert len(found) > 4  # with one factor for all iterations there would be two


def test_derivatives_of_other_kinds_unroll_and_say_so() -> None:
    def f(x: Any, y: Any) -> Any:
        return scan(lambda c, t: (mg.sin(c * y) + t, None), x, [0.5, 1.5])[0]

    g = compiled(f)
    assert g.hessian(0.3, 0.4) == mg.hessian(f, (0, 1))(0.3, 0.4)
    assert "unrolled       scan at" in g.report()
    assert "within a derivative" in g.report()
    g.value_and_grad(0.3, 0.4)
    assert "unrolled" not in g.report()
    assert re.search(r"loop +scan of 2 iterations, at .*test_scans.py:\d+", g.report())
    assert compiled(mg.grad(f))(0.3, 0.4) == mg.grad(f)(0.3, 0.4)
    whole = compiled(mg.grad(lambda x: f(x, 0.4)))
    assert whole(0.3) == mg.grad(f)(0.3, 0.4)
    assert is_loop(whole)
    with pytest.raises(TypeError, match=r"while_loop at .*test_scans.py:\d+ cannot be compiled within a derivative"):
        compiled(halving).hessian(0.9, 0.4)


def test_sums_that_would_have_another_order_are_unrolled_in_strict_mode() -> None:
    def f(x: Any, y: Any) -> Any:
        (a, b), _ = scan(lambda c, t: ((c[1] * x, mg.sin(c[0] * x) + t), None), (x, y), [0.1, x, 0.3])
        return a * b * x + x * y

    g = compiled(f)
    assert (g.value_and_grad(0.3, 0.4)[0], [*g.gradient(0.3, 0.4)]) == eager(f, (0.3, 0.4))
    assert "strict, and it has a Value twice" in g.report()
    loose = compiled(f, strict=False)
    assert loose.gradient(0.3, 0.4) == pytest.approx(eager(f, (0.3, 0.4))[1], rel=1e-13)
    assert is_loop(loose)


def test_a_loop_that_does_not_end_is_an_error_in_each_sample() -> None:
    g = compiled(lambda x: while_loop(lambda c: c < 10.0, lambda c: c + x, 0.0, max_iterations=20))
    assert g(1.0) == 10.0
    calls: list[Callable[[], Any]] = [
        lambda: g(0.1),
        lambda: g.gradient(0.1),
        lambda: g.batch(np.array([1.0] * 30 + [0.1] + [1.0] * 9)),
    ]
    for call in calls:
        with pytest.raises(
            RuntimeError, match=r"while_loop at .*test_scans.py:\d+ has not ended after max_iterations=20"
        ):
            call()
    assert g.batch(np.array([1.0] * 40)).tolist() == [10.0] * 40
    assert g(0.5) == 10.0


leaked: list[Any] = []


def _leaking(x: Any) -> Any:
    def step(c: Any, t: Any) -> Any:
        leaked.append(c)
        return c * t, None

    scan(step, x, [1.0, 2.0])
    return leaked[0] * x


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: scan(lambda c, t: (c if c > 0.0 else -c, None), x, [1.0])[0], "the step of scan cannot be compiled"),
        (lambda x: scan(lambda c, t: (c * c.data, None), x, [1.0])[0], "reads the number of carry"),
        (lambda x: scan(lambda c, t: ((c, c), None), x, [1.0])[0], "test_scans.py:.* returned as carry"),
        (lambda x: scan(lambda c, t: (c, None), x, [1.0, [1.0]])[0], "item 1 of xs of scan"),
        (
            lambda x: fori_loop(0, 3, lambda i, c: [1.0, 2.0, 3.0][i] * c, x),
            r"at .*test_scans.py:\d+: list indices.*let scan take items",
        ),
        (lambda x: while_loop(lambda c: c.data > 1.0, lambda c: c, x, max_iterations=2), "compare the Value itself"),
        (lambda x: while_loop(lambda c: c - 1.0, lambda c: c, x, max_iterations=2), "returned a Value: compare it"),
        (
            lambda x: while_loop(
                lambda c: all((c * i != 0.5) == (c > i) for i in range(9)), lambda c: c, x, max_iterations=2
            ),
            "more than 64 paths",
        ),
        (_leaking, "a Value that the step of scan made.*return it as y"),
    ],
)
def test_what_cannot_be_compiled_is_said_with_the_line(f: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        compiled(f)(2.0)


def test_long_loops_are_compared_with_recording_for_their_first_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any) -> Any:
        carry, ys = scan(lambda c, t: (mg.sin(c * t), c), x, [0.5 + 1e-3 * t for t in range(500)])
        return carry + mg.sum(ys)

    monkeypatch.setattr(agreement, "RECORDED", 100)
    limits: list[int] = []
    of_plan = plan.Plan.limited

    def limited(self: plan.Plan, n: int) -> Any:
        limits.append(n)
        return of_plan(self, n)

    monkeypatch.setattr(plan.Plan, "limited", limited)
    for strict in (True, False):
        assert compiled(f, strict).value_and_grad(0.5) == pytest.approx((*eager(f, (0.5,))[:1], eager(f, (0.5,))[1][0]))
    assert all(1 < n < 500 for n in limits)
    assert len(limits) == 2


def test_an_error_in_a_loop_is_noticed_before_its_result_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from fuzzing.processes import PLANTS

    from microgrid.compiler.loop_passes import LoopPasses

    monkeypatch.setattr(LoopPasses, "record", LoopPasses.record)  # so that it is put back
    PLANTS["state overwritten"]()
    with pytest.raises(RuntimeError, match="is not what recording gives"):
        compiled(trajectory).gradient(0.9, 0.4)
