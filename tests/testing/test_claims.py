"""Claims about gradients: none passes that is not as near to the derivative as the report says, and none fails that is.

The oracle is mpmath at 900 digits, by central differences of forward values.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operands import inside
from programs import KINKED, SMOOTH, functions
from programs import points as points_of
from subjects import HARD
from thinned import thinned

import microgrid as mg
from microgrid import ops, special, trace
from microgrid.core.primitive import OPS, Op, special_ops
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.testing import check_gradient, derivative, enclosure, numerical
from microgrid.testing.enclosure import fraction_of_mpf
from microgrid.testing.kinks import at_a_kink
from microgrid.testing.report import Check

# --- the oracle ----------------------------------------------------------------------------------------------------


def slopes_of(function: Callable[..., Any], at: Sequence[float], i: int) -> tuple[Fraction, Fraction] | None:
    """The slopes from the left and the right, from forward values alone; None where a value is not finite."""
    program = function if isinstance(function, mg.Program) else trace(function)(*at)
    sides = []
    with mpmath.workdps(900):
        for side in (-1, 1):
            h = side * mpmath.mpf(abs(at[i]) or 1.0) * mpmath.mpf(10) ** -200

            def value(k: int, h: Any = h) -> Any:
                point = [mpmath.mpf(x) + (k * h if j == i else 0) for j, x in enumerate(at)]
                return program.replay(point, mpmath_numbers())[0]

            slope = (4 * value(1) - value(2) - 3 * value(0)) / (2 * h)
            if not mpmath.isfinite(slope) or mpmath.mag(slope) > 10_000:
                return None
            sides.append(fraction_of_mpf(slope))
    return sides[0], sides[1]


def truth_of(function: Callable[..., Any], at: Sequence[float], i: int) -> Fraction | None:
    """The derivative, to some 200 digits; None where there is none."""
    slopes = slopes_of(function, at, i)
    if slopes is None or abs(slopes[0] - slopes[1]) > abs(slopes[0]) / 10**100 + Fraction(1, 10**150):
        return None
    middle = (slopes[0] + slopes[1]) / 2
    return Fraction(0) if abs(middle) < Fraction(1, 10**380) else middle


def distance(check: Check, truth: Fraction) -> Fraction:
    return abs(Fraction(check.analytic) - truth)


def assert_sound(check: Check, truth: Fraction | None) -> None:
    """PASS: as near as the report says, and in six digits at least; FAIL: not so near that it is right."""
    if not math.isfinite(check.analytic):
        assert check.verdict != "PASS" or truth is None or abs(truth) > Fraction(1.79e308), check
    elif check.verdict == "PASS":
        assert truth is not None, check
        off, ulp = distance(check, truth), Fraction(math.ulp(float(truth)))
        assert off <= Fraction(check.ulps) * ulp * (1 + Fraction(1, 10**9)) + abs(truth) / 10**100, check
        assert check.ulps <= check.allowed, check
        assert off <= max(abs(truth) / 10**6, Fraction(1, 2**1072)), check
    elif check.verdict == "FAIL" and truth is not None:
        assert distance(check, truth) > abs(truth) / 2**45, check


# --- random claims -------------------------------------------------------------------------------------------------


def expanded(x: Any) -> Any:
    """(x - 1) ** 7, of which floats keep nothing near 1."""
    return x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7 * x - 1


Subject = tuple[Callable[..., Any], tuple[float, ...]]

SUBJECTS: dict[str, Subject] = {
    **{name: (f, (x,)) for name, (f, _, x) in HARD.items()},
    **{
        f"op {op.name}": (op, tuple(inside(op)))
        for op in OPS.values()
        if not op.static and op.name not in ("greater", "equal", "where")
    },
    "expanded": (expanded, (1.001,)),
    "expanded, not so near": (expanded, (1.5,)),
    "sinc far out": (lambda t: mg.sinc(t), (199.40347297408522,)),
    "sinc farther out": (lambda t: mg.sinc(t), (529.3087988974453,)),
    "a large denominator": (lambda x: (1 - mg.cos(x)) / x**2, (1e-9,)),
    "one beside another": (lambda x, y: (x + y) - x, (1e17, 1.0)),
    "no kink": (lambda x, y: x**y, (2.0, 0.0)),
    "a zero slope": (mg.cos, (0.0,)),
    "a quotient": (lambda x, y: mg.tanh(x * y) / x, (0.3, 2.0)),
    "subnormal": (lambda x: 1e-310 * mg.sin(x), (0.3,)),
    "relu": (mg.relu, (0.0,)),
    "a kink within": (lambda x: mg.exp(mg.abs(x)), (0.0,)),
    "a tie": (lambda x, y: mg.maximum(x, y) * y, (2.0, 2.0)),
    "a step": (mg.floor, (1.0,)),
    "the edge of a domain": (mg.sqrt, (0.0,)),
}


def claims(rng: random.Random, right: Sequence[float], elsewhere: Sequence[float]) -> Iterator[list[float]]:
    """Factors, signs, noise, another point's gradient, zero: of all partials, or of one."""
    for k in range(16):
        yield [x * (1.0 + rng.choice([-1, 1]) * 10.0**-k) for x in right]
        yield [x + rng.gauss(0.0, 1.0) * (abs(x) or rng.choice([0.0, 1.0])) * 10.0**-k for x in right]
        yield [x * rng.choice([-1.0, 2.0, 0.5, 1e3, 1e-3, 1e100]) for x in right]
    yield [-x for x in right]
    yield list(elsewhere)
    yield [0.0 for _ in right]
    yield [x + rng.choice([1.0, 1e-300, 5e-324, -123.456]) for x in right]
    one = rng.randrange(len(right))
    yield [x * 2.0 if i == one else x for i, x in enumerate(right)]
    yield [rng.choice([math.nan, math.inf, -math.inf, 123.456]) for _ in right]


def claimed(rng: random.Random, f: Callable[..., Any], at: Sequence[float]) -> Iterator[tuple[Check, Fraction | None]]:
    """The checks of many claims, each with the truth."""
    truths = [truth_of(f, at, i) for i in range(len(at))]
    right = [0.0 if t is None else float(max(min(t, Fraction(1.79e308)), Fraction(-1.79e308))) for t in truths]
    elsewhere = trace(f)(*at).gradient_by(at, lambda *_: None).replay([x + rng.uniform(-0.5, 0.5) for x in at])
    for claim in claims(rng, right, elsewhere):
        yield from zip(check_gradient(f, *at, gradient=claim).checks, truths, strict=True)


@functools.cache
def claimed_of(name: str) -> list[tuple[Check, Fraction | None]]:
    return list(claimed(random.Random(name), *SUBJECTS[name]))


@pytest.mark.parametrize("name", thinned(SUBJECTS))
def test_no_random_claim_passes_that_is_not_near(name: str) -> None:
    for check, truth in claimed_of(name):
        assert_sound(check, truth)


@pytest.mark.parametrize(
    "op",
    [
        pytest.param(op, marks=[] if name in ("gamma", "erfcx", "bessel_j", "ellipk") else pytest.mark.slow, id=name)
        for name, op in special_ops.items()
    ],
)
def test_no_random_claim_about_a_special_function_passes_that_is_not_near(op: Op) -> None:
    assert special.__name__ == "microgrid.special"  # which declares them
    static = (0.0,) if op.name == "lambert_w" else (1.0,) * op.static
    at = (0.7, 1.3)[: op.arity - op.static]
    for check, truth in claimed(random.Random(op.name), lambda *xs: op(*xs, *static), at):
        assert_sound(check, truth)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.data(), functions(of=(*SMOOTH, *KINKED)), st.randoms(use_true_random=False))
def test_no_random_claim_about_a_random_function_passes_that_is_not_near(
    data: st.DataObject, f: Any, rng: random.Random
) -> None:
    at = data.draw(points_of(f.inputs))
    for check, truth in claimed(rng, f, at):
        assert_sound(check, truth)


@pytest.mark.slow
def test_wrong_claims_fail_where_there_are_digits_to_compare() -> None:
    """Soundness alone would be had by never deciding."""
    verdicts = []
    for name in SUBJECTS:
        for check, truth in claimed_of(name):
            if truth and math.isfinite(check.analytic) and distance(check, truth) > abs(truth) / 1000:
                verdicts.append(str(check.verdict))
    assert verdicts.count("FAIL") > 0.9 * len(verdicts)


def test_a_network_with_one_weight_changed_never_passes() -> None:
    rng = random.Random(0)
    weights = [rng.gauss(0.0, 1.0) for _ in range(17)]

    def loss(w: Any) -> Any:
        terms = []
        for x, y, target in ((0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)):
            hidden = [mg.sigmoid(w[3 * i] * x + w[3 * i + 1] * y + w[3 * i + 2]) for i in range(4)]
            out = mg.dot(w[12:16], hidden) + w[16]
            terms.append(mg.softplus(out) - target * out)
        return mg.mean(terms)

    right = [check.analytic for check in check_gradient(loss, weights).checks]
    assert check_gradient(loss, weights, gradient=right).verdict == "PASS"
    for i in range(len(right)):
        wrong = [x * (1 + 1e-9) if i == j else x for j, x in enumerate(right)]
        assert check_gradient(loss, weights, gradient=wrong).verdict == "FAIL"


# --- as near as the report says ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(st.data(), functions(of=(*SMOOTH, *KINKED)), st.integers(0, 40), st.sampled_from([-1, 1]))
def test_pass_means_as_near_as_the_report_says_however_wide_the_enclosure(
    data: st.DataObject, f: Any, k: int, sign: int
) -> None:
    """From 24 bits on enclosures are as wide as one likes, and the verdict has to know it."""
    at = data.draw(points_of(f.inputs))
    bits = data.draw(st.sampled_from([24, 48, 90, 150, 300, 900]))
    truths = [truth_of(f, at, i) for i in range(f.inputs)]
    right = [0.0 if t is None or abs(t) > 10**308 else float(t) for t in truths]
    claim = [x + sign * (2.0**k - 1.0) * math.ulp(x) for x in right]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numerical, "BITS", (bits,))
        patch.setattr(enclosure, "BITS", (bits,))
        checks = check_gradient(f, *at, gradient=claim).checks
        own = check_gradient(f, *at)
    for check, truth in zip(checks, truths, strict=True):
        assert_sound(check, truth)
    assert own.verdict != "FAIL", own
    for check, truth in zip(own.checks, truths, strict=True):
        if check.verdict == "PASS" and math.isfinite(check.analytic):
            assert truth is not None, own
            ulp = Fraction(math.ulp(float(truth)))
            assert distance(check, truth) <= 2 * Fraction(check.ulps) * ulp + abs(truth) / 10**100, own
            assert check.ulps <= check.allowed, own


def test_an_enclosure_that_is_too_wide_is_undecided_and_says_how_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerical, "BITS", (60,))
    for claim in (123.456, math.cos(0.3)):
        report = check_gradient(mg.sin, 0.3, gradient=[claim])
        assert report.verdict == ("FAIL" if claim > 1.0 else "UNDECIDED")
    assert "the derivative is enclosed to +- " in str(report)
    assert check_gradient(mg.sin, 0.3).verdict == "UNDECIDED"


def test_the_cases_that_were_wrong() -> None:
    assert check_gradient(lambda t: mg.sinc(t), 199.40347297408522, gradient=[123.456]).verdict == "FAIL"
    assert check_gradient(lambda t: mg.sinc(t), 529.3087988974453).verdict == "PASS"
    report = check_gradient(expanded, 1.001, gradient=[-7e-15])
    assert report.verdict == "UNDECIDED"
    assert "there is no digit to compare" in str(report)
    assert check_gradient(expanded, 1.001, gradient=[7.0 * (1.001 - 1.0) ** 6]).verdict == "PASS"
    assert check_gradient(expanded, 1.001, gradient=[1.0]).verdict == "FAIL"


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize("x", [1e-9, 0.5, 30.0, 99.0, 101.0, 626.4, 1662.9, 5000.5, 1e6, 1e15])
def test_sinc_is_enclosed_to_the_last_digit_however_far_out(n: int, x: float) -> None:
    def f(x: Any) -> Any:
        return ops.sinc_derivative(x, float(n))

    found, truth = derivative(f, x), truth_of(f, [x], 0)
    assert found.evidence == "certified"
    assert truth is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low - abs(truth) / 10**100 <= truth <= found.high + abs(truth) / 10**100
    assert enclosure.is_sharp((found.low, found.high))


# --- what fifty digits do not resolve ------------------------------------------------------------------------------

FAST: dict[str, Subject] = {
    **{f"sin(1e{k} x)": (lambda x, k=k: mg.sin(float(f"1e{k}") * x) * x, (1.5,)) for k in (9, 16, 17, 18, 40, 150)},
    "a saw": (lambda x: (1e30 * x) % 1.0 * mg.exp(x), (0.3,)),
    "far above": (lambda x: (1e200 + mg.sin(x)) - 1e200, (0.3,)),
    "far below": (lambda x: (1.0 + 1e-200 * mg.sin(x)) - 1.0, (0.3,)),
    "at an extremum": (mg.cos, (0.0,)),
    "at a flat point": (lambda x: x**5 * mg.exp(x), (0.0,)),
}


@pytest.mark.parametrize("without_flint", [False, True])
@pytest.mark.parametrize("name", FAST)
def test_what_varies_faster_than_digits_resolve_raises_no_false_alarm(
    name: str, without_flint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    f, at = FAST[name]
    if without_flint:
        monkeypatch.setitem(sys.modules, "flint", None)
    report = check_gradient(f, *at, reference="mpmath")
    assert report.verdict == "PASS", report
    found, truth = report.checks[0].numerical, truth_of(f, at, 0)
    assert truth is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth + abs(truth) / 10**40
    assert found.high >= truth - abs(truth) / 10**40
    for check in check_gradient(f, *at, gradient=[float(truth) * 1.001 + 1e-3], reference="mpmath").checks:
        assert check.verdict != "PASS"


def test_what_no_number_of_digits_resolves_is_undecided() -> None:
    report = check_gradient(lambda x: mg.sin(mg.exp(2000.0 * x)), 1.0, reference="mpmath")
    assert report.verdict == "UNDECIDED"
    assert "varies faster than 600 digits resolve" in str(report)


# --- kinks, only where there are some ------------------------------------------------------------------------------

SMOOTH_UNARY = [op for op in SMOOTH if op.arity == 1]


@pytest.mark.parametrize("op", SMOOTH_UNARY, ids=lambda op: op.name)
def test_a_guard_that_holds_at_one_point_only_is_no_kink(op: Any) -> None:
    """The function is smooth, and its derivative not that of the number at the point that was treated apart."""
    at = inside(op)[0]
    report = check_gradient(lambda x: mg.where(ops.equal(x, at), 0.0, (x - at) * op(x)), at)
    assert report.verdict == "FAIL", report
    assert "a choice that holds at this point only" in report.culprit


@pytest.mark.parametrize("op", SMOOTH_UNARY, ids=lambda op: op.name)
def test_a_guard_within_a_rule_is_found_by_second_derivatives(op: Any) -> None:
    at = inside(op)[0]

    def formula(x: Any) -> Any:
        return (x - at) * (x - at) * op(x)

    def slope(x: Any) -> Any:
        return (x - at) * (2.0 * op(x) + (x - at) * op.partials(op(x), x)[0])

    mine = mg.primitive("guarded", formula, lambda z, x: (mg.where(ops.equal(x, at), 0.0, slope(x)),))
    try:
        assert check_gradient(mine, at + 1.0, order=2).verdict == "PASS"
        assert check_gradient(mine, at).verdict == "PASS"
        report = check_gradient(mine, at, order=2)
    finally:
        del OPS["guarded"]
    assert report.verdict == "FAIL", report


def test_x_to_the_y_has_no_kink_where_y_is_0() -> None:
    def rule(z: Any, x: Any, y: Any) -> tuple[Any, ...]:
        return mg.where(ops.equal(y, 0.0), 0.0, y * x ** (y - 1.0)), z * mg.log(x)

    mine = mg.primitive("my_power", ops.power.forward, rule, formula=lambda x, y: ops.power(x, y))
    try:
        report = check_gradient(lambda x, y: mine(x, y), 2.0, 0.0, order=2)
    finally:
        del OPS["my_power"]
    assert [str(check.verdict) for check in report.checks] == ["PASS", "FAIL", "PASS", "PASS"]


@pytest.mark.parametrize(
    ("f", "at", "kinked"),
    [
        (mg.relu, (0.0,), True),
        (mg.abs, (0.0,), True),
        (mg.maximum, (3.0, 3.0), True),
        (mg.maximum, (1e-20, 0.0), False),
        (lambda x: mg.maximum(x / 3.0 * 3.0, x), (0.7,), True),
        (mg.hypot, (0.0, 0.0), True),
        (mg.hypot, (1e-12, 1.0), False),
        (mg.floor, (2.0,), True),
        (mg.round, (2.5,), True),
        (ops.mod, (6.0, 3.0), True),
        (ops.copysign, (1.0, 0.0), True),
        (ops.greater, (1.0, 1.0), True),
        (ops.equal, (1.0, 1.0), False),
        (lambda x, y: x**y, (2.0, 0.0), False),
        (ops.multiply_no_nan, (2.0, 0.0), False),
        (mg.softsign, (0.0,), False),
        (mg.sin, (1e15,), False),
        (mg.atan2, (0.0, 1.0), False),
    ],
)
def test_a_kink_is_where_an_op_has_one(f: Callable[..., Any], at: tuple[float, ...], kinked: bool) -> None:
    assert at_a_kink(trace(f)(*at), at) is kinked


def test_a_value_that_one_point_has_for_itself_is_a_jump() -> None:
    found = derivative(lambda x: mg.where(ops.equal(x, 1.0), 5.0, x), 1.0, reference="exact")
    assert (found.evidence, found.reason) == ("none", "a jump")
    for f in (mg.cos, lambda x: mg.sin(1e18 * x)):
        assert derivative(f, 0.0, reference="mpmath").left is None
