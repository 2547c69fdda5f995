"""Every primitive of the table: values and derivatives over its domain, and at the points where they are a choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microgrid import Value, ops
from microgrid.primitive import OPS, Interval, Op

INF, NAN = math.inf, math.nan
EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    3.0,
    0.5,
    -0.5,
    20.0,
    1e3,
    -1e3,
    5e-324,
    1e-300,
    1e300,
    -1e300,
    INF,
    -INF,
    NAN,
]
TABLE = list(OPS.values())
DIFFERENTIABLE = [op for op in TABLE if op.name not in ("sign", "greater", "equal", "where", "maximum", "minimum")]


def ids(op: Op) -> str:
    return op.name


def derivatives(op: Op, *operands: float) -> tuple[float, tuple[float, ...]]:
    """The value and the gradients that a recorded graph gives."""
    leaves = [Value(x) for x in operands[: op.arity - op.static]]
    z = op(*leaves, *operands[op.arity - op.static :])
    z.backward()
    return z.data, tuple(leaf.grad for leaf in leaves)


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == b


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_forward_and_rule_are_total(op: Op) -> None:
    """Floats in, floats out, on every combination of edges; and the engine's copy of the rule gives the same bits."""
    for operands in itertools.product(EDGES, repeat=op.arity):
        z = op(*operands)
        assert type(z) is float
        partials = op.partials(z, *operands)
        assert len(partials) == op.arity - op.static
        assert all(type(partial) is float for partial in partials)
        assert all(map(same, partials, op.float_partials(z, *operands)))


@pytest.mark.parametrize("op", [op for op in TABLE if op.arity == 1 and op.name != "neg"], ids=ids)
def test_nan_in_gives_nan_out_and_nan_back(op: Op) -> None:
    z, (dx,) = derivatives(op, NAN)
    assert math.isnan(z)
    assert math.isnan(dx)


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_a_method_and_a_function_are_the_same_node(op: Op) -> None:
    operands = [2.0] * op.arity
    function = op(Value(2.0), *operands[1:])
    method = getattr(Value(2.0), op.name)(*operands[1:])
    assert (function.op, function.data, function.partials) == (op, method.data, method.partials)


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_every_op_says_how_it_is_written(op: Op) -> None:
    assert op.symbol
    assert len(op.domain) == op.arity
    for i in range(1, op.arity + 1):
        assert f"#{i}" in op.latex


# --- against 50 digits ---------------------------------------------------------------------------------------------

REFERENCES: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "constant_power": mpmath.power,
    "power": mpmath.power,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "abs": abs,
}


def inside(interval: Interval) -> st.SearchStrategy[float]:
    """Numbers of every size in an interval, and a few ordinary ones."""
    sizes = st.builds(lambda m, e: m * 10.0**e, st.floats(1.0, 9.99), st.integers(-30, 30))
    signed = st.one_of(sizes, sizes.map(lambda x: -x), st.floats(-5.0, 5.0))
    return signed.filter(lambda x: x in interval and (x == 0.0 or abs(x) > 1e-31))


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=ids)
def test_values_and_partials_agree_with_fifty_digits(op: Op) -> None:
    check_against_digits(op)


def test_a_rule_wrong_by_one_part_in_1e12_does_not_agree_with_fifty_digits() -> None:
    wrong = Op("sin", ops.sin.forward, lambda z, x: (ops.cos(x) * (1.0 + 1e-12),), 1, 0, ops.sin.domain, "", 5, "")
    with pytest.raises(AssertionError):
        check_against_digits(wrong)


def check_against_digits(op: Op) -> None:
    """To 4 ulps where float arithmetic can know them: neither values nor derivatives under- or overflow."""

    @settings(database=None)
    @given(st.tuples(*map(inside, op.domain)))
    def check(operands: tuple[float, ...]) -> None:
        reference = REFERENCES[op.name]
        z = op(*operands)
        with mpmath.workdps(50):
            exact = [mpmath.mpf(x) for x in operands]
            pairs = [(z, reference(*exact))]
            pairs += [(partial, _slope(reference, exact, i)) for i, partial in enumerate(op.partials(z, *operands))]
            for got, truth in pairs:
                if math.isfinite(got) and 1e-290 < abs(truth) < 1e290:
                    assert abs(got - truth) <= _allowed(op, operands) * math.ulp(float(truth))

    check()


def _slope(reference: Callable[..., Any], exact: list[Any], i: int) -> Any:
    """The derivative by operand i, from forward values alone: a central difference, exact to some 90 digits."""
    with mpmath.workdps(450):
        step = (abs(exact[i]) or 1) * mpmath.mpf(10) ** -50
        up, down = list(exact), list(exact)
        up[i], down[i] = exact[i] + step, exact[i] - step
        return (reference(*up) - reference(*down)) / (2 * step)


def _allowed(op: Op, operands: tuple[float, ...]) -> float:
    """4 ulps; for the powers also what the rounding of y - 1 and of log x costs: y log x times as much."""
    if op.name in ("power", "constant_power"):
        x, y = operands
        return 4.0 + 2.0 * abs(y * math.log(x)) + abs(math.log(x))
    return 4.0


# --- conventions: points where the derivative is a choice ----------------------------------------------------------

RELU, ABS, SQRT, LOG, EXP = ops.relu, ops.abs, ops.sqrt, ops.log, ops.exp
POWER, CONSTANT_POWER, DIV = ops.power, ops.constant_power, ops.div


@pytest.mark.parametrize(
    ("op", "operands", "value", "partials"),
    [
        *[(CONSTANT_POWER, (x, 0.0), 1.0, (0.0,)) for x in (0.0, -3.0, INF, -INF, NAN)],
        (CONSTANT_POWER, (0.0, 1.0), 0.0, (1.0,)),
        (CONSTANT_POWER, (0.0, 2.0), 0.0, (0.0,)),
        (CONSTANT_POWER, (0.0, 0.5), 0.0, (INF,)),
        (CONSTANT_POWER, (-2.0, 0.5), NAN, (NAN,)),
        (CONSTANT_POWER, (0.0, -1.0), INF, (-INF,)),
        (CONSTANT_POWER, (-0.0, -1.0), -INF, (-INF,)),
        (CONSTANT_POWER, (0.0, -2.0), INF, (-INF,)),
        (POWER, (-2.0, 3.0), -8.0, (12.0, NAN)),
        (POWER, (0.0, 0.0), 1.0, (0.0, 0.0)),
        (POWER, (0.0, 2.0), 0.0, (0.0, 0.0)),
        (POWER, (0.0, -1.0), INF, (-INF, -INF)),
        (POWER, (0.0, 0.5), 0.0, (INF, 0.0)),
        (POWER, (INF, 0.0), 1.0, (0.0, INF)),
        (POWER, (1.0, NAN), 1.0, (NAN, 0.0)),
        (LOG, (0.0,), -INF, (INF,)),
        (LOG, (-0.0,), -INF, (-INF,)),
        (LOG, (-1.0,), NAN, (NAN,)),
        (SQRT, (0.0,), 0.0, (INF,)),
        (SQRT, (-1.0,), NAN, (NAN,)),
        (ABS, (0.0,), 0.0, (0.0,)),
        (ops.sign, (0.0,), 0.0, (0.0,)),
        (ops.sign, (-3.0,), -1.0, (0.0,)),
        (RELU, (0.0,), 0.0, (0.0,)),
        (RELU, (-0.0,), 0.0, (0.0,)),
        (RELU, (INF,), INF, (1.0,)),
        (ops.maximum, (2.0, 2.0), 2.0, (0.5, 0.5)),
        (ops.minimum, (2.0, 2.0), 2.0, (0.5, 0.5)),
        (ops.maximum, (INF, INF), INF, (0.5, 0.5)),
        (ops.maximum, (1.0, 2.0), 2.0, (0.0, 1.0)),
        (ops.minimum, (1.0, 2.0), 1.0, (1.0, 0.0)),
        (ops.maximum, (NAN, 2.0), NAN, (NAN, NAN)),
        (ops.minimum, (2.0, NAN), NAN, (NAN, NAN)),
        (EXP, (1000.0,), INF, (INF,)),
        (EXP, (-INF,), 0.0, (0.0,)),
        *[(ops.sigmoid, (x,), 1.0, (0.0,)) for x in (1000.0, INF)],
        *[(ops.sigmoid, (x,), 0.0, (0.0,)) for x in (-1000.0, -INF)],
        *[(ops.tanh, (x,), 1.0, (0.0,)) for x in (1000.0, INF)],
        *[(ops.tanh, (x,), -1.0, (0.0,)) for x in (-1000.0, -INF)],
        (DIV, (1.0, 0.0), INF, (INF, -INF)),
        (DIV, (1.0, -0.0), -INF, (-INF, -INF)),
        (DIV, (0.0, 0.0), NAN, (INF, NAN)),
        (ops.where, (0.0, 1.0, 2.0), 2.0, (0.0, 0.0, 1.0)),
    ],
)
def test_the_table_of_conventions_holds(op: Op, operands: Any, value: float, partials: Any) -> None:
    got, grads = derivatives(op, *operands)
    assert same(got, value), (got, value)
    assert all(map(same, grads, partials)), (grads, partials)


def test_powers_with_a_constant_base_or_through_operators_follow_the_table() -> None:
    for base, y, value, slope in [(-2, 3.0, -8.0, NAN), (0, 0.0, 1.0, 0.0), (0, 2.0, 0.0, 0.0), (0, -1.0, INF, -INF)]:
        exponent = Value(y)
        z = base**exponent
        z.backward()
        assert same(z.data, value)
        assert same(exponent.grad, slope)
    x = Value(0.0)
    (x**1).backward()
    assert x.grad == 1.0


def test_maximum_of_a_node_with_itself_has_derivative_one() -> None:
    x = Value(2.0)
    ops.maximum(x, x).backward()
    assert x.grad == 1.0


def test_tanh_survives_rounding_at_20() -> None:
    _, (slope,) = derivatives(ops.tanh, 20.0)
    assert slope == pytest.approx(1.6993417021166355e-17, rel=1e-15)


def test_where_guards_the_branch_that_is_not_taken() -> None:
    x = Value(0.0)
    z = ops.where(x > 0, x.log(), 0.0)
    z.backward()
    assert (z.data, x.grad) == (0.0, 0.0)


@given(st.floats(), st.floats())
@example(-0.0, -3.0)
@example(-10.0, 401.0)
@example(0.5, -INF)
def test_power_is_c99s_pow_where_python_raises(x: float, y: float) -> None:
    z = ops.power(x, y)
    try:
        assert same(z, math.pow(x, y))
    except ValueError:
        assert (math.isinf(z) and x == 0.0) or (math.isnan(z) and x < 0.0)
    except OverflowError:
        assert math.isinf(z)
        assert math.copysign(1.0, z) == (-1.0 if x < 0.0 and y % 2.0 == 1.0 else 1.0)
