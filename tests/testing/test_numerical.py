"""Numerical derivatives: enclosures that contain the truth, slopes at kinks, and no proof where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import functions, points
from subjects import HARD, Function
from test_ops import DECREED, REFERENCES

import microgrid as mg
from microgrid import trace
from microgrid.core.primitive import OPS
from microgrid.testing import Derivative, derivative
from microgrid.testing.enclosure import fraction_of_mpf


@pytest.mark.parametrize("name", HARD)
def test_the_enclosure_contains_the_derivative_to_fifty_digits(name: str) -> None:
    f, reference, x = HARD[name]
    found = derivative(f, x)
    assert found.evidence == "certified"
    assert found.low is not None
    assert found.high is not None
    truth = exactly(reference, x)
    assert found.low - abs(truth) / 10**60 <= truth <= found.high + abs(truth) / 10**60
    assert found.radius is not None
    assert found.radius <= abs(truth) / 10**25 + Fraction(1, 10**50)


def exactly(reference: Function, x: float) -> Fraction:
    """The derivative by another way, good to 60 digits and more: central differences at 400."""
    with mpmath.workdps(400):
        at = mpmath.mpf(x)
        h = (abs(at) or 1) * mpmath.mpf(10) ** -80
        slopes = [(reference(at + k * h) - reference(at - k * h)) / (2 * k * h) for k in (1, 2)]
        return fraction_of_mpf((4 * slopes[0] - slopes[1]) / 3)


def test_a_planted_error_of_one_part_in_1e25_is_outside_the_enclosure() -> None:
    """The enclosure is as tight as it says: a function a little different has another derivative."""
    for name in ("cancellation", "fast", "near a pole", "on a pedestal", "nested", "saturated"):
        f, reference, x = HARD[name]
        found = derivative(f, x)
        truth = exactly(reference, x)
        assert truth in found
        for error in (1 + Fraction(1, 10**25), 1 - Fraction(1, 10**25)):
            assert truth * error not in found


@pytest.mark.parametrize(
    "op",
    [op for op in OPS.values() if not op.static and op.arity < 3 and op.name not in DECREED],
    ids=lambda op: op.name,
)
def test_every_op_is_enclosed_inside_its_domain(op: Any) -> None:
    from operands import inside

    at = inside(op)
    reference = REFERENCES[op.name]
    for i in range(op.arity):
        found = derivative(trace(op)(*at), *at, along=i)
        assert found.evidence in ("certified", "exact")
        with mpmath.workdps(100):
            truth = mpmath.diff(
                lambda x, i=i: reference(*[x if j == i else mpmath.mpf(y) for j, y in enumerate(at)]), at[i]
            )
            slack = abs(fraction_of_mpf(truth)) / 10**40
        assert found.low is not None
        assert found.high is not None
        assert found.low - slack <= fraction_of_mpf(truth) <= found.high + slack


@settings(deadline=None, max_examples=60)
@given(st.data(), functions())
def test_the_ways_agree_on_random_programs(data: st.DataObject, f: Any) -> None:
    at = data.draw(points(f.inputs))
    program = trace(f)(*at)
    found = [derivative(program, *at, reference=r) for r in ("flint", "exact", "mpmath")]
    known = [d for d in found if d.low is not None and d.high is not None]
    for a in known:
        for b in known:
            assert a.low is not None
            assert b.high is not None
            assert a.low <= b.high + abs(b.high) / 10**18 + Fraction(1, 10**40)


@pytest.mark.parametrize(
    ("f", "x", "left", "right"),
    [
        (mg.relu, 0.0, 0, 1),
        (mg.abs, 0.0, -1, 1),
        (lambda x: abs(x) * 3 + x, 0.0, -2, 4),
        (lambda x: mg.maximum(2 * x, x), 0.0, 1, 2),
        (lambda x: mg.clip(x, 0.0, 1.0), 1.0, 1, 0),
        (lambda x: x * mg.floor(x + 0.5), 0.25, 0, 0),
    ],
)
def test_a_kink_of_a_rational_function_has_two_exact_slopes(f: Function, x: float, left: int, right: int) -> None:
    found = derivative(f, x, reference="exact")
    if left == right:
        assert [found.low, found.high] == [Fraction(left)] * 2
    else:
        assert [found.left, found.right] == [Fraction(left), Fraction(right)]
        assert found.middle is None
        assert found.reason == "a kink"


def test_a_kink_of_any_function_has_two_slopes_to_fifty_digits() -> None:
    found = derivative(lambda x: mg.exp(mg.abs(x)), 0.0)
    assert found.evidence == "50 digits"
    assert found.left is not None
    assert found.right is not None
    assert abs(found.left + 1) < Fraction(1, 10**40)
    assert abs(found.right - 1) < Fraction(1, 10**40)


def test_a_jump_and_an_edge_are_no_derivatives() -> None:
    for f, x in (
        (mg.floor, 1.0),
        (lambda x: mg.exp(mg.floor(x)), 1.0),
        (mg.sqrt, 0.0),
        (mg.log, -1.0),
        (mg.log, 0.0),
        (lambda x: 1 / x, 0.0),
    ):
        found = derivative(f, x)
        assert found.evidence == "none"
        assert found.reason
    assert derivative(mg.exp, math.inf).evidence == "none"


def test_a_tie_that_is_no_kink_is_exact() -> None:
    found = derivative(lambda x: mg.maximum(x, x), 1.0)
    assert found.evidence == "exact"
    assert [found.low, found.high] == [Fraction(1)] * 2


def test_floats_prove_nothing() -> None:
    found = derivative(mg.sin, 0.3, reference="floats")
    assert found.evidence == "floats"
    assert math.cos(0.3) in found


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: derivative(lambda x: [x, x], 1.0), TypeError, "one result"),
        (lambda: derivative(mg.sin, 1.0, along=1), ValueError, "along=1, but there are 1"),
        (lambda: derivative(mg.sin, 1.0, reference="best"), ValueError, "one of auto, flint"),  # type: ignore[arg-type]
        (lambda: derivative(trace(mg.sin)(1.0), [1.0]), TypeError, "structured like"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[], Derivative], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()
