"""Derivatives of derivatives: orders 1 to 4, mixed ones, in every mode, at the points that rules treat apart."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs import KINKED, SMOOTH, RandomFunction, functions
from test_ops import DECREED, REFERENCES
from thinned import thinned

import microgrid as mg
from microgrid import grad, hessian, jvp, ops, trace
from microgrid.core.primitive import OPS, Op

INF, NAN = math.inf, math.nan
DIGITS = 220


# --- the truth: limits of derivatives in 400 digits, from one side --------------------------------------------------


def truth(reference: Callable[..., Any], at: Sequence[float], orders: Sequence[int]) -> float | None:
    """The derivative, or its limit from within the domain; nan outside; None where there is none.

    The side of a zero is that of its sign.
    """
    infinite = [i for i, x in enumerate(at) if math.isinf(x)]
    if not infinite:
        smooth = _smooth(reference, at, orders)
        if smooth is not None:
            return smooth
    edges = infinite or [i for i, n in enumerate(orders) if n] or list(range(len(at)))
    if len(edges) > 1:
        return None
    sides = [_limit(reference, at, edges[0], side, orders) for side in _sides(at[edges[0]])]
    known = [side for side in sides if side is not None]
    return known[0] if known and (len(known) == 1 or at[edges[0]] == 0.0) else None


def _sides(x: float) -> tuple[int, ...]:
    if math.isinf(x):
        return (1,)
    first = int(math.copysign(1.0, x)) if x == 0.0 else 1
    return first, -first


def _smooth(reference: Callable[..., Any], at: Sequence[float], orders: Sequence[int]) -> float | None:
    """The derivative where differences from all sides agree, nan where there are none, else None."""
    found = [_derivative(reference, [mpmath.mpf(x) for x in at], orders, shift) for shift in ((1, -1), (0, 0), (-1, 1))]
    with mpmath.workdps(DIGITS):
        nans = sum(bool(mpmath.isnan(x)) for x in found)
        if nans == len(found) or (nans and not _is_real(_value(reference, [mpmath.mpf(x) for x in at]))):
            return NAN if nans == len(found) else None
        apart = 0 if nans else max(abs(x - found[0]) for x in found)
        return (
            None
            if nans or apart > abs(found[0]) * mpmath.mpf(10) ** -18 + mpmath.mpf(10) ** -25
            else _rounded(found[len(found) // 2])
        )


def _value(reference: Callable[..., Any], at: Sequence[Any]) -> Any:
    try:
        return reference(*at)
    except (ZeroDivisionError, ValueError, OverflowError):
        return mpmath.nan


def _is_real(x: Any) -> bool:
    return not isinstance(x, mpmath.mpc) and bool(mpmath.isfinite(x))


def _derivative(
    reference: Callable[..., Any], at: Sequence[Any], orders: Sequence[int], shifts: Sequence[int] = (0, 0)
) -> Any:
    """Return a derivative by differences of all orders at once, central or one-sided; nan where the function is not
    real."""
    with mpmath.workdps(DIGITS):
        total = sum(orders)
        steps = [mpmath.mpf(10) ** (-DIGITS // (total + 3)) * (abs(x) or 1) for x in at]
        result = largest = mpmath.mpf(0)
        for ks in itertools.product(*[range(n + 1) for n in orders]):
            weight = mpmath.mpf(1)
            moved = []
            for x, h, n, k, shift in zip(at, steps, orders, ks, shifts, strict=False):
                weight *= (-1) ** k * mpmath.binomial(n, k)
                moved.append(x + (mpmath.mpf(n) / 2 - k + shift * (mpmath.mpf(n) / 2 + 1)) * h)
            value = _value(reference, moved)
            if not _is_real(value):
                return mpmath.nan
            result += weight * value
            largest = max(largest, abs(weight * value))
        if abs(result) < largest * mpmath.mpf(10) ** (10 - DIGITS):
            return mpmath.mpf(0)  # rounding
        for h, n in zip(steps, orders, strict=True):
            result /= h**n
        return result


def _limit(
    reference: Callable[..., Any], at: Sequence[float], i: int, side: int, orders: Sequence[int]
) -> float | None:
    """Towards the point in its coordinate i from a side; None where the function is not real there, or has none."""
    found = []
    with mpmath.workdps(DIGITS):
        for k in (8, 12, 16):
            point = [mpmath.mpf(x) for x in at]
            if math.isinf(at[i]):
                point[i] = mpmath.sign(at[i]) * mpmath.mpf(10) ** k
            else:
                point[i] += side * mpmath.mpf(10) ** -k
            found.append(_derivative(reference, point, orders))
        if any(mpmath.isnan(x) for x in found):
            return None
        a, b, c = map(abs, found)
        if (a < b < c and c > 10**3 * a and c - b > b - a) or c > 10**300:
            return INF * int(mpmath.sign(found[2]))
        if (a < mpmath.mpf(10) ** -60 and b < mpmath.mpf(10) ** -60) or (a > b * 10**3 and b > c * 10**3):
            return 0.0
        if a < b < c and abs((c - b) / (b - a) - 1) < 1e-6:  # a logarithm
            return INF * int(mpmath.sign(found[2]))
        return _rounded(found[2]) if abs(found[2] - found[1]) <= c * mpmath.mpf(10) ** -12 else None


def _rounded(x: Any) -> float:
    if mpmath.isnan(x):
        return NAN
    return float(x) if abs(x) < mpmath.mpf("1.797e308") else INF * int(mpmath.sign(x))


# --- the modes ------------------------------------------------------------------------------------------------------

Mode = Callable[[Callable[..., Any], Sequence[int], Sequence[float]], float]


def by_reverse(f: Callable[..., Any], by: Sequence[int], at: Sequence[float]) -> float:
    return float(functools.reduce(grad, by, f)(*at))


def _tangent(f: Callable[..., Any], i: int) -> Callable[..., Any]:
    return lambda *xs: jvp(f, xs, tuple([float(j == i) for j in range(len(xs))]))[1]


def by_forward(f: Callable[..., Any], by: Sequence[int], at: Sequence[float]) -> float:
    return float(functools.reduce(_tangent, by, f)(*at))


def by_turns(f: Callable[..., Any], by: Sequence[int], at: Sequence[float]) -> float:
    """Forward over reverse over forward."""
    for k, i in enumerate(by):
        f = _tangent(f, i) if k % 2 else grad(f, i)
    return float(f(*at))


@functools.cache
def _program(f: Callable[..., Any], by: tuple[int, ...], count: int) -> Any:
    """Traced at other numbers than those it is replayed at."""
    example = [0.3 + 0.1 * i for i in range(count)]
    if not by:
        return trace(f)(*example)
    before = _program(f, by[:-1], count).gradient()
    return trace(lambda *xs: before(*xs)[by[-1]] if count > 1 else before(*xs))(*example)


def by_programs(f: Callable[..., Any], by: Sequence[int], at: Sequence[float]) -> float:
    return float(_program(f, tuple(by), len(at))(*at))


@functools.cache
def _compiled(f: Callable[..., Any], by: tuple[int, ...]) -> Callable[..., Any]:
    return mg.compile(functools.reduce(grad, by, f), strict=True, cache=False)


def by_compiled_code(f: Callable[..., Any], by: Sequence[int], at: Sequence[float]) -> float:
    return float(_compiled(f, tuple(by))(*at))


MODES: list[Mode] = [by_reverse, by_forward, by_turns, by_programs]
COMPILED = 2
"""The highest order that is compiled, too, where all orders are asked for."""


# --- every op at its points --------------------------------------------------------------------------------------

ONE = [0.0, -0.0, 1.0, -1.0, -2.0, 1e-9, 1000.0, -1000.0, INF, -INF]
TWO = [(2.0, 0.0), (0.0, 2.0), (0.0, 1.0), (0.0, 0.5), (1.0, 0.0), (1.0, 1e-9), (1e-9, 1.0), (-2.0, 3.0), (-2.0, 0.5)]
TWO += [(INF, 1.5), (1.5, INF), (2.0, -INF), (-2.0, INF), (0.0, -1.5)]
STATIC: dict[str, list[tuple[float, ...]]] = {
    "constant_power": [(c,) for c in (0.0, 1.0, 2.0, 3.0, 0.5, -1.0, 1.5)],
    "sinc_derivative": [(0.0,), (1.0,)],
    "power_derivative": [(1.0, 1.0)],
}
UNTOLD = {*DECREED, "clip", "tied_maximum", "where"}  # by decree, and of three operands, two of them for choices
CASES = [(op, static) for op in OPS.values() if op.name not in UNTOLD for static in STATIC.get(op.name, [()])]

# where what is answered is a choice of the table of conventions, at a kink or a jump
CHOICES: dict[str, Callable[..., bool]] = {
    "abs": lambda x: x == 0.0,
    "relu": lambda x: x == 0.0,
    "sign": lambda x: x == 0.0,
    "softsign": lambda x: x == 0.0,
    "copysign": lambda x, y: x == 0.0 or y == 0.0,
    "maximum": lambda x, y: x == y,
    "minimum": lambda x, y: x == y,
    "floor": float.is_integer,
    "ceil": float.is_integer,
    "trunc": float.is_integer,
    "round": lambda x: (x + 0.5).is_integer(),
    "mod": lambda x, y: math.isinf(x) or y == 0.0 or (math.isfinite(y) and (x / y).is_integer()),
    "fmod": lambda x, y: math.isinf(x) or math.isinf(y) or y == 0.0 or (x / y).is_integer(),
    "floor_divide": lambda x, y: math.isinf(x) or math.isinf(y) or y == 0.0 or (x / y).is_integer(),
    "equal": lambda x, y: x == y,
    "sinpi": math.isinf,
    "cospi": math.isinf,
}

# where nothing is said of second derivatives: the value stands at an edge of two domains
LEFT_OUT: dict[str, Callable[..., bool]] = {
    "xlogy": lambda x, y: x == 0.0 and y < 0.0,
    "xlog1py": lambda x, y: x == 0.0 and y < -1.0,
}


def near(got: float, expected: float, least: float = 0.0) -> bool:
    if math.isnan(got) or math.isnan(expected):
        return math.isnan(got) and math.isnan(expected)
    return got == expected or abs(got - expected) <= 1e-12 * abs(expected) + least


@pytest.mark.parametrize("most", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("op", "static"), thinned(CASES), ids=lambda x: getattr(x, "name", str(x)))
def test_derivatives_of_all_orders_are_limits_in_every_mode(op: Op, static: tuple[float, ...], most: int) -> None:
    count = op.arity - op.static

    def f(*xs: Any) -> Any:
        return op(*xs, *static)

    def reference(*xs: Any) -> Any:
        return REFERENCES[op.name](*xs, *static)

    points: list[tuple[float, ...]] = [(x,) for x in ONE] if count == 1 else list(TWO)
    for at in points:
        if op.name in LEFT_OUT and LEFT_OUT[op.name](*at):
            continue
        chosen = op.name in CHOICES and CHOICES[op.name](*at)
        for n in range(1, (most if count == 1 else min(most, 3)) + 1):
            modes = [*MODES, by_compiled_code] if most > COMPILED >= n else MODES
            for by in {(0,) * n, (1,) * n, (0, 1, 1)[:n], (1, 0, 0)[:n]} if count == 2 else {(0,) * n}:
                found = [mode(f, by, at) for mode in modes]
                expected = None if chosen else truth(reference, at, [by.count(i) for i in range(count)])
                if expected is not None and abs(expected) < 1e-50:
                    expected = 0.0
                goal = found[0] if expected is None else expected
                least = 0.0 if expected else 1e-15  # a sum that is exactly 0, or is not known
                assert all(near(x, goal, least) for x in found), (at, by, found, expected)


@pytest.mark.parametrize(
    ("f", "at", "hessian_there"),
    [
        (lambda x: x[0] ** x[1], [2.0, 0.0], [[0.0, 0.5], [0.5, math.log(2.0) ** 2]]),
        (lambda x: mg.hypot(x[0], x[1]), [1.0, 1e-9], [[1e-18, -1e-9], [-1e-9, 1.0]]),
        (lambda x: mg.xlogy(x[0], x[1]), [0.0, 2.0], [[0.0, 0.5], [0.5, 0.0]]),
    ],
)
def test_hessians_at_points_that_rules_treat_apart(f: Any, at: list[float], hessian_there: list[list[float]]) -> None:
    for row, expected in zip(hessian(f)(at), hessian_there, strict=True):
        assert row == pytest.approx(expected, rel=1e-14, abs=0.0)


APART = [ops.power, ops.xlogy, ops.hypot, ops.atan2, ops.div, ops.mul, ops.sub]


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.one_of(functions(of=APART, outputs=3, steps=3), functions(of=[*SMOOTH, *KINKED, *APART], outputs=3, steps=6)),
    st.data(),
)
def test_hessians_of_random_programs_are_symmetric_at_special_points(f: RandomFunction, data: st.DataObject) -> None:
    assume(f.inputs > 1)
    special = st.sampled_from([0.0, 2.0, -0.0, 1.0, -1.0, 0.5])  # beside tiny ones, terms of 1e18 cancel
    at = data.draw(st.lists(special, min_size=f.inputs, max_size=f.inputs))

    def g(xs: Any) -> Any:
        return mg.sum(f(*xs))

    rows = hessian(g)(at)
    size = max([abs(x) for row in rows for x in row if math.isfinite(x)], default=0.0)
    for i, j in itertools.combinations(range(f.inputs), 2):
        # A mixed derivative beside an infinite partial has a term 0 * inf, which is nan or, where the cotangent is 0,
        # nothing: the order of differentiation says which. At (0, 0), exp(xlogy(x, y)) has the slopes -inf and 0; by x
        # and then y, -inf is passed back through the partial 0; by y and then x, it is the cotangent that is 0.
        told = not (math.isnan(rows[i][j]) or math.isnan(rows[j][i]))
        assert not told or near(rows[i][j], rows[j][i], 1e-12 * size), (at, rows)
