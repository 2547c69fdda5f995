"""One meaning: at zeros, infinities, nan and the ends of the floats each op is in all arithmetics what it is on floats.

Fractions, fifty digits and balls know more than floats: no overflow, no underflow. They know one thing less: -0.0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import Value, jvp, ops, trace, where
from microgrid.core.primitive import OPS, Op, primitive
from microgrid.numbers.arithmetic import Arithmetic, UnknownFunction
from microgrid.numbers.arrays import arrays
from microgrid.numbers.balls import balls
from microgrid.numbers.fractions import rationals
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.testing.diagnosis import alone

INF, NAN = math.inf, math.nan
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.0, 3.0, INF, -INF, NAN, 5e-324, 1.7e308]
FEWER = [0.0, 1.0, -1.0, 2.0, INF, -INF, NAN]
TABLE = list(OPS.values())

each_op = pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)


def points(op: Op) -> Iterator[tuple[float, ...]]:
    return itertools.product(SPECIAL if op.arity < 3 else FEWER, repeat=op.arity)


def unsigned(op: Op) -> Iterator[tuple[float, ...]]:
    """The points without -0.0."""
    return (at for at in points(op) if not any(x == 0.0 and math.copysign(1.0, x) < 0.0 for x in at))


def replayed(op: Op, at: tuple[float, ...], arithmetic: Arithmetic) -> Any:
    return alone(op, at).replay(at[: op.arity - op.static], arithmetic)[0]


def nearest(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return INF if x > 0 else -INF


def agree(got: float, expected: float) -> bool:
    if math.isnan(got) or math.isnan(expected):
        return math.isnan(got) and math.isnan(expected)
    return got == expected or abs(got - expected) <= 1e-12 * abs(expected) + 1e-320


@each_op
def test_fractions_give_what_floats_give_or_say_that_there_is_none(op: Op) -> None:
    arithmetic = rationals()
    for at in unsigned(op):
        expected = op.forward(*at)
        try:
            got = replayed(op, at, arithmetic)
        except (TypeError, OverflowError):
            assert op.irrational or op.name in ("power", "constant_power", "power_derivative"), at
            assert math.isfinite(expected) or all(map(math.isfinite, at)), at
            continue
        assert agree(nearest(got), expected), (at, got)
        assert isinstance(got, Fraction) or not math.isfinite(got)


@each_op
def test_fifty_digits_give_what_floats_give(op: Op) -> None:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        for at in unsigned(op):
            got = replayed(op, at, mpmath_numbers())
            assert agree(nearest(got), op.forward(*at)), (at, got)
    assert mpmath.mp.prec == 53


@each_op
def test_balls_contain_what_floats_give_or_know_nothing(op: Op) -> None:
    flint = pytest.importorskip("flint")
    for at in unsigned(op):
        got, expected = replayed(op, at, balls()), op.forward(*at)
        if math.isfinite(expected):
            rounded = flint.arb(expected, 1e-12 * abs(expected) + 1e-320)
            assert got.is_nan() or got.overlaps(rounded), (at, got)
            assert got.is_finite() or 1.7e308 in at or not all(map(math.isfinite, at)), (at, got)


@each_op
def test_arrays_give_what_floats_give(op: Op) -> None:
    np = pytest.importorskip("numpy")
    for at in points(op):
        program = alone(op, at)
        (got,) = program.replay([np.array([0.25, x]) for x in at[: len(program.inputs)]], arrays())
        assert agree(float(got[1]), op.forward(*at)), (at, got)


@each_op
def test_arrays_stand_beside_floats_in_any_place(op: Op) -> None:
    """Also where an op sees floats only, and an array stands elsewhere in the program."""
    np = pytest.importorskip("numpy")
    count = op.arity - op.static
    at = [0.75, 0.5, 0.25][:count]
    program = trace(lambda x, *ys: x * op(*ys, *[2.0, 3.0][: op.static]))(1.0, *at)
    expected = 3.0 * program(1.0, *at)
    for which in itertools.product([False, True], repeat=count):
        mixed = [np.full(2, x) if array else x for x, array in zip(at, which, strict=True)]
        got = program(np.array([3.0, 3.0]), *mixed)
        assert got.shape == (2,)
        assert all(agree(float(x), expected) for x in got)


@each_op
def test_values_and_dual_numbers_give_what_floats_give(op: Op) -> None:
    for at in points(op):
        moving, static = at[: op.arity - op.static], at[op.arity - op.static :]
        recorded = op(*map(Value, moving), *static)

        def f(*xs: Any, static: Any = static) -> Any:
            return op(*xs, *static)

        primal, _ = jvp(f, moving, (1.0,) * len(moving))
        again = trace(f)(*[0.5] * len(moving))(*map(Value, moving))
        assert repr(recorded.data) == repr(primal) == repr(again.data) == repr(op.forward(*at)), at


def test_a_nan_in_an_exact_replay_stands_and_shows() -> None:
    for name in ("relu", "sign", "floor", "softsign", "abs", "leaky_relu"):
        assert math.isnan(trace(lambda x, name=name: getattr(x / x, name)())(1.0)(Fraction(0)))
    assert math.isnan(trace(lambda x: (x / x).maximum(1.0))(1.0)(Fraction(0)))
    assert math.isnan(trace(lambda x: (x / x).greater(1.0))(1.0)(Fraction(0)))


def test_a_finite_operand_beside_an_infinite_one_keeps_its_digits() -> None:
    third, near = Fraction(1, 3), Fraction(2**100 + 1, 2**100)
    assert trace(lambda x: (1.0 / (x - x)).minimum(x))(1.0)(third) == third
    assert trace(lambda x: x % (1.0 / (x - x)))(1.0)(third) == third
    assert trace(lambda x: x.clip(-INF, INF))(1.0)(third) == third
    assert trace(lambda x: x ** (1.0 / (x - x)))(1.0)(near) == INF  # near rounds to 1
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        assert trace(lambda x: x.atan())(1.0)(mpmath.inf) == mpmath.pi / 2
        huge = mpmath.mpf(10) ** 1000
        assert trace(lambda x: x * (1.0 / (x - x)))(1.0)(1 / huge) == mpmath.inf
        assert trace(lambda x: x.sinc_derivative(2.0))(1.0)(mpmath.mpf("1e300")) != 0


def test_a_power_that_would_fill_the_memory_is_an_error() -> None:
    with pytest.raises(OverflowError, match="too many digits"):
        trace(lambda x, y: x**y)(1.0, 1.0)(Fraction(3), Fraction(10**300))


def test_an_op_of_ones_own_is_what_it_is_on_floats_too() -> None:
    op = primitive("halved", lambda x: x / 2.0, lambda z, x: (0.5,))
    try:
        assert trace(op)(1.0)(Fraction(1, 3)) == Fraction(1, 6)
        assert math.isnan(trace(lambda x: op(x / x))(1.0)(Fraction(0)))
    finally:
        del OPS["halved"]


EDGE_ARRAYS = st.lists(st.sampled_from([*SPECIAL, 0.75]), min_size=1, max_size=3)


@settings(deadline=None)
@given(st.data(), EDGE_ARRAYS, EDGE_ARRAYS, st.sampled_from(SPECIAL), st.sampled_from(["greater", "equal"]))
def test_a_choice_by_a_comparison_of_arrays_is_that_of_floats_to_the_bit(
    data: st.DataObject, xs: list[float], ys: list[float], c: float, name: str
) -> None:
    """One step on arrays; also where the comparison is a result, chooses twice, or has constants and numbers."""
    np = pytest.importorskip("numpy")
    compare = OPS[name]
    sides = data.draw(st.permutations([0, 1, 2]))
    chosen = data.draw(st.permutations([0, 1, 2]))
    shown = data.draw(st.booleans())

    def f(*given: Any) -> Any:
        x, y = (given[i] if i < 2 else c for i in sides[:2])
        a, b = (given[i] if i < 2 else c for i in chosen[:2])
        condition = compare(x, y)
        results = [where(condition, a, b), where(condition, b, x)]
        return [*results, condition] if shown else results

    program = trace(f)(0.5, 0.25)
    grids = np.array(xs)[:, None], np.array(ys)
    for got, k in zip(program(*grids), range(3), strict=False):
        assert got.shape == (len(xs), len(ys))
        for i, j in itertools.product(range(len(xs)), range(len(ys))):
            expected = f(xs[i], ys[j])[k]
            assert math.isnan(expected) if math.isnan(got[i, j]) else repr(float(got[i, j])) == repr(float(expected))


def test_a_comparison_and_the_choice_by_it_are_one_step_on_arrays() -> None:
    program = trace(lambda x, y: where(ops.greater(x, y), x, y))(0.5, 0.25)
    np = pytest.importorskip("numpy")
    program(np.array([1.0, 2.0]), 1.5)
    assert program._prepared is not None
    assert [len(operands) for _, operands, _ in program._prepared[1]] == [0, 4]


def test_a_kind_of_number_need_not_name_the_operators_that_it_has() -> None:
    """An operator is its own definition: looked up among definitions, it would come back for ever."""
    few = Arithmetic("few numbers", Fraction, {"mul": lambda x, y: x * y})
    assert trace(lambda x: -x * x - x)(2.0).replay([Fraction(2)], few) == [Fraction(-6)]
    with pytest.raises(UnknownFunction, match="exp computes floats only, not few numbers"):
        trace(lambda x: -x.exp())(2.0).replay([Fraction(2)], few)


class Own:
    """A number of somebody's own kind."""

    def __float__(self) -> float:
        return 0.1


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (Decimal("0.1"), "Decimal"),
        (Own(), "Own"),
        (np.array(Decimal("0.1")), "Decimal"),
        (np.array([1.0, Decimal("0.1")]), "Decimal"),
        (np.array([Fraction(1, 3)]), "an array of Fraction"),
        (np.array([Value(1.0)]), "an array of Value"),
    ],
)
def test_a_program_gives_no_floats_for_numbers_of_another_kind(number: Any, kind: str) -> None:
    for program in (trace(lambda x, y: x * y)(2.0, 3.0), trace(lambda x, y: x * y)(2.0, 3.0).gradient()):
        with pytest.raises(TypeError, match=kind) as error:
            program(number, 1.0)
        assert "\n" not in str(error.value)
    exact = trace(lambda x: x * x)(2.0)(Fraction(Decimal("0.1")))
    assert exact == Fraction(1, 100)
