"""Every primitive of the table: values and derivatives over its domain, and at the points where they are a choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import flint
import mpmath
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from operands import inside as operands_of
from thinned import thinned

from microgrid import Value, ops, trace
from microgrid.core.primitive import OPS, Interval, Op, built_in, primitive, rounded
from microgrid.numbers.balls import balls
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.program import definition

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
DECREED = {"stop_gradient"}
"""Ops with a derivative that is not that of what they compute."""


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
    for operands in itertools.product(EDGES if op.arity < 3 else EDGES[:8] + EDGES[-6:], repeat=op.arity):
        z = op(*operands)
        assert type(z) is float
        partials = op.partials(z, *operands)
        assert len(partials) == op.arity - op.static
        assert all(type(partial) is float for partial in partials)
        assert all(map(same, partials, op.float_partials(z, *operands)))


@pytest.mark.parametrize(
    "op", [op for op in TABLE if op.arity == 1 and op.name not in {"neg", "identity", *DECREED}], ids=ids
)
def test_nan_in_gives_nan_out_and_nan_back(op: Op) -> None:
    z, (dx,) = derivatives(op, NAN)
    assert math.isnan(z)
    assert math.isnan(dx)


def test_the_derivative_of_stop_gradient_is_0_by_decree() -> None:
    assert derivatives(ops.stop_gradient, 2.5) == (2.5, (0.0,))


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_a_method_and_a_function_are_the_same_node(op: Op) -> None:
    operands = operands_of(op)
    function = op(Value(operands[0]), *operands[1:])
    for name in (op.name, *op.aliases):
        method = getattr(Value(operands[0]), name)(*operands[1:])
        assert (function.op, function.data, function.partials) == (op, method.data, method.partials)


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_every_op_says_how_it_is_written(op: Op) -> None:
    assert op.symbol
    assert len(op.domain) == op.arity
    for i in range(1, op.arity + 1):
        assert f"#{i}" in op.latex


# --- against 50 digits ---------------------------------------------------------------------------------------------
# Truth is a central difference of forward values, so it owes nothing to any rule: steps of 1e-330 of the operand, and
# digits enough to keep 50 of the slope.

DIGITS, STEP = 1000, 330

REFERENCES: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "constant_power": mpmath.power,
    "power": mpmath.power,
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.power(2, x),
    "expm1": lambda x: mpmath.expm1(x),
    "gaussian": lambda x: mpmath.exp(-x * x),
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": lambda x: mpmath.log(1 + x),
    "logaddexp": lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
    "xlogy": lambda x, y: x * mpmath.log(y),
    "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "hypot": mpmath.hypot,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "erf": mpmath.erf,
    "erfc": lambda x: _erfc(x),
    "sinc_derivative": lambda x, n: _sinc_derivative(x, int(n)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * _erfc(-x / mpmath.sqrt(2)) / 2,
    "relu": lambda x: max(x, mpmath.mpf(0)),
    "abs": abs,
    "maximum": max,
    "minimum": min,
    "tied_maximum": lambda x, y, n: max(x, y),
    "clip": lambda x, low, high: min(max(x, low), high),
    "copysign": lambda x, y: abs(x) * mpmath.sign(y),
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "trunc": lambda x: mpmath.sign(x) * mpmath.floor(abs(x)),
    "round": mpmath.nint,
    "mod": lambda x, y: x - y * mpmath.floor(x / y),
    "fmod": lambda x, y: x - y * mpmath.sign(x / y) * mpmath.floor(abs(x / y)),
    "floor_divide": lambda x, y: mpmath.floor(x / y),
    "greater": lambda x, y: mpmath.mpf(x > y),
    "equal": lambda x, y: mpmath.mpf(x == y),
    "where": lambda condition, x, y: x if condition else y,
    "power_derivative": lambda x, y, m, n: _power_derivative(x, y, int(m), int(n)),
    "one_minus_square": lambda x: 1 - x * x,
    "direction": lambda x, y: x / mpmath.hypot(x, y) if x or y else mpmath.mpf(0),
    "logistic_density": lambda x: 1 / (2 + mpmath.exp(x) + mpmath.exp(-x)),
    "divide_no_nan": lambda x, y: x / y,
    "shifted_exp": lambda x, y: mpmath.exp(x - y),
    "multiply_no_nan": lambda x, y: x * y,
    "zero_product": lambda x, y: x * y,
    "identity": lambda x: x,
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "cot": lambda x: 1 / mpmath.tan(x),
    "sech": lambda x: 2 / (mpmath.exp(x) + mpmath.exp(-x)),
    "csch": lambda x: 2 / (mpmath.exp(x) - mpmath.exp(-x)),
    "coth": mpmath.coth,
    "asec": mpmath.asec,
    "acsc": mpmath.acsc,
    "acot": lambda x: mpmath.atan(1 / x),
    "asech": mpmath.asech,
    "acsch": mpmath.acsch,
    "acoth": mpmath.acoth,
    "sinpi": lambda x: mpmath.sin(mpmath.pi * x),
    "cospi": lambda x: mpmath.cos(mpmath.pi * x),
    "logit": lambda x: mpmath.log(x / (1 - x)),
    "reciprocal_expm1": lambda x: 1 / mpmath.expm1(x),
    "log1mexp": lambda x: mpmath.log(-mpmath.expm1(-x)),
    "xlog1py": lambda x, y: x * mpmath.log(1 + y),
}


def _erfc(x: Any) -> Any:
    """mpmath's, which overflows at arguments where the function is 0 or 2 to millions of digits."""
    return mpmath.erfc(x) if abs(x) < 1e4 else mpmath.mpf(0 if x > 0 else 2)


def _sinc_derivative(x: Any, n: int) -> Any:
    """Return the derivative by Leibniz' rule: the k-th derivative of sin times that of 1 / x."""
    return sum(
        mpmath.binomial(n, k)
        * mpmath.sin(x + k * mpmath.pi / 2)
        * (-1) ** (n - k)
        * mpmath.factorial(n - k)
        / x ** (n - k + 1)
        for k in range(n + 1)
    )


def _power_derivative(x: Any, y: Any, m: int, n: int) -> Any:
    """Return it by Leibniz' rule: the derivatives by y of y (y - 1) ... (y - m + 1), a sum of s(m, j) y**j, and of
    x**y."""
    total = mpmath.mpf(0)
    for k in range(n + 1):
        polynomial = sum(mpmath.stirling1(m, j, exact=True) * mpmath.ff(j, k) * y ** (j - k) for j in range(k, m + 1))
        total += mpmath.binomial(n, k) * polynomial * mpmath.log(x) ** (n - k)
    return mpmath.power(x, y - m) * total


def reference_of(op: Op) -> Callable[..., Any]:
    """The function in mpmath's arithmetic; that of an op of one's own is its formula, or its forward function."""
    if op.name in REFERENCES:
        return REFERENCES[op.name]
    program = trace(lambda *xs: op(*xs))(*[0.5] * op.arity)
    return lambda *xs: program.replay(xs, mpmath_numbers())[0]


def test_every_built_in_op_has_a_reference_of_its_own() -> None:
    """Else its formula would be held to itself."""
    assert built_in - set(REFERENCES) == DECREED, "enter an mpmath function for each into REFERENCES"


def inside(interval: Interval) -> st.SearchStrategy[float]:
    """Numbers of every size in an interval, a few ordinary ones, and its neighbourhood of a finite bound."""
    sizes = st.builds(lambda m, e: float(f"{m}e{e}"), st.floats(1.0, 9.99), st.integers(-300, 299))
    ordinary = st.one_of(st.floats(-40.0, 40.0), st.integers(-5, 5).map(float))
    if all(map(math.isfinite, interval[:2])):
        ordinary = st.floats(*interval[:2])
    near = [st.builds(lambda x, b=b: b + x, sizes) for b in interval[:2] if math.isfinite(b)]
    near += [st.builds(lambda x, b=b: b - x, sizes) for b in interval[:2] if math.isfinite(b)]
    known = st.one_of(ordinary, sizes, sizes.map(lambda x: -x), *near)
    return known.filter(lambda x: x in interval and (x == 0.0 or abs(x) >= 1e-300))


NARROWER = {
    # Leibniz' rule cancels at small x; orders beyond 6 are of no use
    "sinc_derivative": st.tuples(
        st.one_of(st.floats(1e-3, 1e6), st.floats(-30.0, -1e-3)), st.integers(0, 5).map(float)
    ),
    # a power that overflows is not saved by a small factor
    "power_derivative": st.tuples(
        inside(Interval(low=0.0)).filter(lambda x: 1e-100 < x < 1e100),
        st.floats(-30.0, 30.0),
        st.integers(0, 2).map(float),
        st.integers(0, 2).map(float),
    ),
    # at (0, 0) it jumps
    "direction": st.tuples(inside(Interval()), inside(Interval(except_at=(0.0,)))),
    # the step of the difference must be shorter than the divisor
    **{
        name: st.tuples(inside(Interval()), inside(Interval(except_at=(0.0,)))).filter(
            lambda p: abs(p[0] / p[1]) < 1e20
        )
        for name in ("mod", "fmod", "floor_divide")
    },
}


@pytest.mark.parametrize("examples", [25, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("op", [op for op in TABLE if op.name not in DECREED], ids=ids)
def test_values_and_partials_agree_with_fifty_digits(
    op: Op, examples: int, summary: Callable[[str, str], None]
) -> None:
    worst = check_against_digits(op, examples)
    stated = f"stated {op.ulps:g}" + (", and as much again for each ulp of an operand" if op.sensitive else "")
    summary("ulps between partials and their exact values", f"{op.name:16} {worst:4.1f}   {stated}")


def test_a_rule_wrong_by_one_part_in_1e14_does_not_agree_with_fifty_digits() -> None:
    wrong = Op("sin", ops.sin.forward, lambda z, x: (ops.cos(x) * (1.0 + 1e-14),), 1, 0, ops.sin.domain, "", 5, "")
    with pytest.raises(AssertionError, match="ulps"):
        check_against_digits(wrong)


def check_against_digits(op: Op, examples: int = 100) -> float:
    """Hold values and partials to what the op states; the worst distance of a partial in ulps, as far as stated."""
    reference = reference_of(op)
    worst = 0.0

    def deviation(got: float, truth: Any, grain: Any) -> float:
        if abs(truth) > 1.7976931348623157e308:
            return 0.0 if got == math.copysign(INF, truth) or abs(got) > 1.79769313486e308 else INF
        error = max(abs(got - truth) - grain, 0)
        return float(error / _ulp(truth))

    @settings(max_examples=examples, database=None, deadline=None)  # a thousand digits take their time
    @given(NARROWER.get(op.name, st.tuples(*map(inside, op.domain))))
    def check(operands: tuple[float, ...]) -> None:
        nonlocal worst
        with mpmath.workdps(DIGITS):
            exact = [mpmath.mpf(x) for x in operands]
            value = reference(*exact)
            z = op(*operands)
            ulps = deviation(z, value, _grain(op, exact, value))
            if ulps > op.ulps and op.sensitive:
                excuse = sum(abs(reference(*moved) - value) for moved in _moved(operands))
                ulps -= float(op.ulps * excuse / _ulp(value))
            assert ulps <= op.ulps, f"{op.name}{operands} = {z}"
            for i, got in enumerate(op.partials(z, *operands)):
                truth = _slope(reference, exact, i, value)
                if truth is None:
                    continue
                ulps = deviation(got, truth, _grain(op, exact, truth, i))
                if ulps > op.ulps and op.sensitive:
                    excuse = sum(
                        abs(_slope(reference, moved, i, reference(*moved)) - truth) for moved in _moved(operands)
                    )
                    ulps -= float(op.ulps * excuse / _ulp(truth))
                assert ulps <= op.ulps, f"partial {i} of {op.name}{operands} is off by {ulps} ulps: {got}"
                worst = max(worst, ulps)

    check()
    return worst


def _grain(op: Op, exact: list[Any], truth: Any, by: int | None = None) -> Any:
    """Return how much the result, or a partial, may lose where it is below 1e-308: a thousand of the smallest numbers.

    What is written as a power times a factor may lose the smallest number times that factor: the power is rounded
    first, and (1e-100) ** 3.25 to 0, where its product with log(1e-100) ** 3 is 2,000 times the smallest number.
    """
    smallest = mpmath.mpf(5e-324)
    if op.name not in ("power", "power_derivative"):
        return 1000 * smallest
    x, y, *orders = exact
    power = mpmath.power(x, y - (orders[0] if orders else 0) - (by == 0))
    return smallest * (1000 + (abs(truth / power) if abs(power) < 1e-307 else 0))


def _ulp(x: Any) -> float:
    """Return the ulp of a number of any exponent."""
    return math.ulp(float(x)) if abs(x) > 1e-307 else 5e-324


def _slope(reference: Callable[..., Any], exact: list[Any], i: int, here: Any) -> Any:
    """The derivative by operand i; None where the slopes left and right of the value `here` differ: a kink, a jump."""
    step = (abs(exact[i]) or 1) * mpmath.mpf(10) ** -STEP
    up, down = list(exact), list(exact)
    up[i], down[i] = exact[i] + step, exact[i] - step
    high, low = reference(*up), reference(*down)
    right, left = (high - here) / step, (here - low) / step
    smooth = abs(right - left) <= mpmath.mpf(10) ** -15 * abs(right + left)
    return (high - low) / (2 * step) if smooth or right == left else None


def _moved(operands: tuple[float, ...]) -> list[list[Any]]:
    """The operands with each in turn moved by an ulp, which way does not matter."""
    moved = []
    for j in range(len(operands)):
        exact = [mpmath.mpf(x) for x in operands]
        exact[j] += math.ulp(operands[j])
        moved.append(exact)
    return moved


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
@example(-0.0, -1.5)
def test_power_is_c99s_pow_where_python_raises(x: float, y: float) -> None:
    z = ops.power(x, y)
    try:
        assert same(z, math.pow(x, y))
    except ValueError:
        assert (math.isinf(z) and x == 0.0) or (math.isnan(z) and x < 0.0)
    except OverflowError:
        assert math.isinf(z)
        assert math.copysign(1.0, z) == (-1.0 if x < 0.0 and y % 2.0 == 1.0 else 1.0)


# --- formulas ------------------------------------------------------------------------------------------------------

FORMULAS = [op for op in TABLE if op.formula is not None]


@pytest.mark.parametrize("op", thinned(FORMULAS), ids=ids)
@settings(max_examples=40)
@given(data=st.data())
def test_a_formula_for_rounded_numbers_and_one_for_exact_ones_are_the_same_function(
    op: Op, data: st.DataObject
) -> None:
    """`rounded(x, y)` within a formula chooses a form, not a value: as balls, both hold the same number."""
    static = tuple(float(data.draw(st.integers(0, 3))) for _ in range(op.static))
    at = [
        data.draw(st.floats(max(i.low, -20.0), min(i.high, 20.0), exclude_min=True, exclude_max=True))
        for i in op.domain[: op.arity - op.static]
    ]
    given_balls = [flint.arb(x) for x in at]
    of_rounded, of_exact = (definition(op, static, exact).replay(given_balls, balls())[0] for exact in (False, True))
    assert of_rounded.overlaps(of_exact) or of_rounded.is_nan() or of_exact.is_nan()
    event("both are numbers" if of_rounded.is_finite() and of_exact.is_finite() else "one has no value")


@pytest.mark.parametrize("op", [op for op in TABLE if op.defined], ids=ids)
def test_a_formula_on_floats_is_the_same_through_ops_and_as_text(op: Op) -> None:
    assert op.formula is not None
    for operands in itertools.product(EDGES if op.arity < 3 else EDGES[:8] + EDGES[-6:], repeat=op.arity):
        assert same(op(*operands), op.formula(*operands))
        assert math.copysign(1.0, op(*operands)) == math.copysign(1.0, op.formula(*operands)) or math.isnan(
            op(*operands)
        )


def test_two_forms_that_differ_would_be_seen() -> None:
    wrong = primitive("wrong", None, lambda z, x: (x,), formula=lambda x: rounded(ops.exp(x), ops.exp(x) + 1e-30))
    try:
        first, second = (definition(wrong, (), exact).replay([flint.arb(0.5)], balls())[0] for exact in (False, True))
        assert not first.overlaps(second) or flint.ctx.prec < 100
        with flint.ctx.workprec(200):
            first, second = (
                definition(wrong, (), exact).replay([flint.arb(0.5)], balls())[0] for exact in (False, True)
            )
        assert not first.overlaps(second)
    finally:
        del OPS["wrong"]


@pytest.mark.parametrize(("x", "y"), [(1.0000000000000001e-100, 3.25), (1e-100, 3.2), (0.5, 1080.0)])
def test_a_power_that_underflows_takes_its_factor_along_by_no_more_than_the_smallest_number(x: float, y: float) -> None:
    with mpmath.workdps(DIGITS):
        for m, n in ((0, 2), (0, 3), (1, 2), (1, 0), (0, 1)):
            truth = _power_derivative(mpmath.mpf(x), mpmath.mpf(y), m, n)
            exact = list(map(mpmath.mpf, (x, y, m, n)))
            error = abs(ops.power_derivative(x, y, float(m), float(n)) - truth)
            assert error <= _grain(ops.power_derivative, exact, truth) + 350 * mpmath.mpf(2) ** -53 * abs(truth)
