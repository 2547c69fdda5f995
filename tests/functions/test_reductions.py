"""Sums, norms, extremes and softmax: values, derivatives at ties and zeros, no overflow on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value, grad, jacobian

near = pytest.approx
numbers = st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=7)


def slopes(f: Callable[[Any], Any], xs: list[float]) -> list[float]:
    result: list[float] = grad(f)(xs)
    return result


@given(numbers)
def test_values_agree_with_exact_sums(xs: list[float]) -> None:
    n = len(xs)
    mean = math.fsum(xs) / n
    var = math.fsum((x - mean) ** 2 for x in xs) / n
    size = max(map(abs, xs))
    assert mg.sum(xs) == near(math.fsum(xs), abs=1e-13 * size)
    assert mg.prod(xs) == near(math.prod(xs), rel=1e-13)
    assert mg.mean(xs) == near(mean, abs=1e-13 * size)
    assert mg.var(xs) == near(var, rel=1e-9, abs=1e-13 * size * size)
    assert mg.std(xs) == near(math.sqrt(var), rel=1e-9, abs=1e-13 * size + 1e-150)
    assert mg.norm(xs) == near(math.hypot(*xs), rel=1e-14)
    assert mg.dot(xs, xs) == near(math.fsum(x * x for x in xs), rel=1e-13)
    assert (mg.max(xs), mg.min(xs)) == (max(xs), min(xs))
    top = max(xs)
    total = math.fsum(math.exp(x - top) for x in xs)
    assert mg.logsumexp(xs) == near(top + math.log(total), rel=1e-14, abs=1e-14)
    assert mg.softmax(xs) == near([math.exp(x - top) / total for x in xs], rel=1e-12)
    assert math.fsum(mg.softmax(xs)) == near(1.0, rel=1e-12)


@given(numbers)
def test_numbers_give_the_floats_that_values_hold(xs: list[float]) -> None:
    for f in (mg.sum, mg.prod, mg.mean, mg.var, mg.std, mg.norm, mg.max, mg.min, mg.logsumexp):
        of_floats, of_values = f(xs), f([Value(x) for x in xs])
        assert type(of_floats) is float
        assert type(of_values) is Value
        assert of_values.data == of_floats
        assert f(iter([Value(xs[0]), *xs[1:]])).data == of_floats


@given(numbers)
@example([0.0, 5e-324])
@example([5e-324] * 3)
@example([5e-324, 5e-324, 4.3e-224])
def test_derivatives_agree_with_closed_forms(xs: list[float]) -> None:
    n = len(xs)
    mean = math.fsum(xs) / n
    size = max(map(abs, xs))
    assert slopes(mg.sum, xs) == [1.0] * n
    assert slopes(mg.mean, xs) == near([1.0 / n] * n)
    assert slopes(mg.var, xs) == near([2.0 * (x - mean) / n for x in xs], rel=1e-9, abs=1e-12 * size + 5e-324)
    length = math.hypot(*xs)
    lengths = [math.hypot(*xs[: i + 1]) for i in range(n)]  # the norm is one hypot after the other
    if not any(0.0 < part < 1e-290 for part in lengths):  # below, a length itself has lost digits
        assert slopes(mg.norm, xs) == near([x / length if length else 0.0 for x in xs], rel=1e-12, abs=1e-300)
    ties = xs.count(max(xs))
    assert slopes(mg.max, xs) == near([1.0 / ties if x == max(xs) else 0.0 for x in xs])
    p = mg.softmax(xs)
    assert slopes(mg.logsumexp, xs) == near(p, rel=1e-12, abs=1e-300)
    rows = jacobian(mg.softmax)(xs)
    for i in range(n):
        assert rows[i] == near([p[i] * ((i == j) - p[j]) for j in range(n)], rel=1e-9, abs=1e-12)


def test_the_product_has_its_derivatives_with_a_zero_among_the_factors() -> None:
    assert slopes(mg.prod, [2.0, 0.0, 3.0]) == [0.0, 6.0, 0.0]
    assert slopes(mg.prod, [0.0, 0.0, 3.0]) == [0.0, 0.0, 0.0]


def test_nothing_overflows_on_the_way() -> None:
    assert mg.norm([3e200, 4e200]) == near(5e200, rel=1e-15)
    assert mg.logsumexp([1000.0, -1000.0]) == 1000.0
    assert mg.softmax([1000.0, 0.0]) == [1.0, 0.0]
    assert mg.log_softmax([1000.0, 0.0]) == [0.0, -1000.0]
    assert slopes(mg.logsumexp, [1e5, 1e5]) == [0.5, 0.5]


def test_a_sample_has_its_own_variance() -> None:
    assert mg.var([1.0, 2.0, 3.0], ddof=1) == 1.0
    assert mg.std([1.0, 3.0], ddof=1) == near(math.sqrt(2.0))


@given(st.floats(-1e300, 1e300), st.integers(1, 60))
@example(0.1, 3)
@example(0.7, 10)
@example(5e-324, 3)
def test_equal_numbers_do_not_deviate(x: float, n: int) -> None:
    xs = [x] * n
    assert mg.std(xs) == mg.var(xs) == 0.0
    assert slopes(mg.std, xs) == slopes(mg.var, xs) == [0.0] * n


def test_deviations_keep_their_digits_beside_a_large_mean() -> None:
    xs = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 4.5]
    assert mg.var(xs) == near(13.0 / 6.0, rel=1e-15)
    assert slopes(mg.var, xs) == near([-1.0, -1.0 / 3.0, 4.0 / 3.0], rel=1e-15)


@pytest.mark.parametrize("xs", [[1.0, math.inf], [math.inf, 1.0], [-math.inf, math.inf]])
def test_infinite_numbers_have_no_deviation_in_any_order(xs: list[float]) -> None:
    assert math.isnan(mg.var(xs))
    assert math.isnan(mg.std(xs))


def test_of_none_there_is_a_sum_and_no_largest() -> None:
    assert (mg.sum([]), mg.prod([]), mg.norm([]), mg.dot([], [])) == (0.0, 1.0, 0.0, 0.0)
    assert mg.logsumexp([]) == -math.inf
    assert mg.softmax([]) == []
    for f in (mg.mean, mg.var, mg.std, mg.max, mg.min):
        with pytest.raises(ValueError, match="at least 1"):
            f([])


def test_nan_is_not_lost() -> None:
    for f in (mg.sum, mg.prod, mg.mean, mg.var, mg.std, mg.norm, mg.max, mg.min, mg.logsumexp):
        for xs in ([math.nan, 1.0, 2.0], [1.0, math.nan, 2.0], [1.0, 2.0, math.nan]):
            assert math.isnan(f(xs)), (f, xs)


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: mg.sum(Value(1.0)), TypeError, "sum takes a list"),
        (lambda: mg.max(cast(Any, 1.0)), TypeError, "max takes a list"),
        (lambda: mg.sum(["a"]), TypeError, "string 'a'"),
        (lambda: mg.dot([1.0], [1.0, 2.0]), ValueError, "got 1 and 2"),
        (lambda: mg.var([1.0], ddof=1), ValueError, r"at least 2 number\(s\), got 1"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[], Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()
