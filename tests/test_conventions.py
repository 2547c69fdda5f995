"""The table of conventions: what is answered at kinks, domain edges, infinities and nan, in every mode there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import microgrid as mg
from microgrid import Value, grad, jvp, ops, trace

INF, NAN = math.inf, math.nan
Row = tuple[str, Callable[..., Any], tuple[float, ...], float, tuple[float, ...]]


def _unary(name: str, x: float, value: float, slope: float) -> Row:
    return name, getattr(mg, name), (x,), value, (slope,)


SMOOTH = (
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()
)
SMOOTH += "erf erfc sigmoid softplus softsign silu gelu relu abs sign floor ceil round trunc leaky_relu elu".split()
SMOOTH += "logsigmoid sinc relu6 hardtanh".split()
SMOOTH += "selu celu mish hardsigmoid hardswish softshrink hardshrink tanhshrink sec csc cot sech csch coth".split()
SMOOTH += "asec acsc acot asech acsch acoth sinpi cospi exp10 logit log1mexp rsqrt square reciprocal".split()

ROWS: list[Row] = [
    *[("x ** 0", lambda x: x**0, (x,), 1.0, (0.0,)) for x in (0.0, -3.0, INF, -INF, NAN)],
    ("x ** 1", lambda x: x**1, (0.0,), 0.0, (1.0,)),
    ("x ** 2", lambda x: x**2, (0.0,), 0.0, (0.0,)),
    ("x ** 0.5", lambda x: x**0.5, (0.0,), 0.0, (INF,)),
    ("x ** 0.5", lambda x: x**0.5, (-2.0,), NAN, (NAN,)),
    ("x ** -1", lambda x: x**-1, (0.0,), INF, (-INF,)),
    ("x ** -1", lambda x: x**-1, (-0.0,), -INF, (-INF,)),
    ("x ** -2", lambda x: x**-2, (0.0,), INF, (-INF,)),
    ("(-2) ** y", lambda y: (-2) ** y, (3.0,), -8.0, (NAN,)),
    ("x ** y", lambda x, y: x**y, (-2.0, 3.0), -8.0, (12.0, NAN)),
    ("0 ** y", lambda y: 0**y, (0.0,), 1.0, (0.0,)),
    ("0 ** y", lambda y: 0**y, (2.0,), 0.0, (0.0,)),
    ("0 ** y", lambda y: 0**y, (-1.0,), INF, (-INF,)),
    ("x ** y", lambda x, y: x**y, (0.0, 0.0), 1.0, (0.0, 0.0)),
    ("x ** y", lambda x, y: x**y, (0.0, 0.5), 0.0, (INF, 0.0)),
    ("x ** y", lambda x, y: x**y, (INF, 0.0), 1.0, (0.0, INF)),
    ("x ** y", lambda x, y: x**y, (1.0, NAN), 1.0, (NAN, 0.0)),
    _unary("log", 0.0, -INF, INF),
    _unary("log", -0.0, -INF, -INF),
    _unary("log", -1.0, NAN, NAN),
    _unary("sqrt", 0.0, 0.0, INF),
    _unary("sqrt", -1.0, NAN, NAN),
    _unary("abs", 0.0, 0.0, 0.0),
    ("x * abs(x)", lambda x: x * abs(x), (0.0,), 0.0, (0.0,)),
    _unary("sign", 0.0, 0.0, 0.0),
    _unary("sign", -3.0, -1.0, 0.0),
    _unary("floor", -1.5, -2.0, 0.0),
    _unary("ceil", 1.5, 2.0, 0.0),
    *[_unary("round", x, y, 0.0) for x, y in ((0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-1.5, -2.0))],
    _unary("trunc", -1.5, -1.0, 0.0),
    *[_unary(name, x, x, 0.0) for name in ("floor", "ceil", "round", "trunc") for x in (INF, -INF, 1e300)],
    _unary("relu", 0.0, 0.0, 0.0),
    _unary("relu", -0.0, 0.0, 0.0),
    _unary("relu", INF, INF, 1.0),
    _unary("leaky_relu", 0.0, 0.0, 0.01),
    ("leaky_relu(2)", lambda x: mg.leaky_relu(x, 2.0), (0.0,), 0.0, (1.0,)),
    ("leaky_relu(-1)", lambda x: mg.leaky_relu(x, -1.0), (0.0,), 0.0, (0.0,)),
    _unary("elu", 0.0, 0.0, 1.0),
    _unary("elu", 1000.0, 1000.0, 1.0),
    _unary("elu", -INF, -1.0, 0.0),
    ("elu(0.5)", lambda x: mg.elu(x, 0.5), (0.0,), 0.0, (0.5,)),
    _unary("relu6", 0.0, 0.0, 0.0),
    _unary("relu6", 6.0, 6.0, 0.0),
    _unary("relu6", 3.0, 3.0, 1.0),
    _unary("hardtanh", -1.0, -1.0, 0.0),
    _unary("hardtanh", 1.0, 1.0, 0.0),
    *[("clip", lambda x: mg.clip(x, 2.0, 3.0), (x,), y, (s,)) for x, y, s in ((2.0, 2.0, 0.0), (3.0, 3.0, 0.0))],
    *[("clip", lambda x: mg.clip(x, 2.0, 3.0), (x,), y, (s,)) for x, y, s in ((2.5, 2.5, 1.0), (INF, 3.0, 0.0))],
    ("clip by a bound", mg.clip, (1.0, 2.0, 3.0), 2.0, (0.0, 1.0, 0.0)),
    ("clip by a bound", mg.clip, (4.0, 2.0, 3.0), 3.0, (0.0, 0.0, 1.0)),
    ("clip at its bounds", mg.clip, (2.0, 2.0, 3.0), 2.0, (0.0, 0.0, 0.0)),
    ("clip between bounds that cross", mg.clip, (2.0, 5.0, 3.0), 3.0, (0.0, 0.0, 1.0)),
    _unary("selu", 0.0, 0.0, 1.0507009873554805),
    _unary("celu", 0.0, 0.0, 1.0),
    _unary("mish", -INF, 0.0, 0.0),
    _unary("mish", INF, INF, 1.0),
    *[_unary("hardsigmoid", x, y, 0.0) for x, y in ((-3.0, 0.0), (3.0, 1.0), (-INF, 0.0), (INF, 1.0))],
    *[_unary("hardswish", x, y, s) for x, y, s in ((-3.0, 0.0, 0.0), (3.0, 3.0, 1.0), (-INF, 0.0, 0.0))],
    *[_unary("softshrink", x, 0.0, 0.0) for x in (-0.5, 0.0, 0.5)],
    _unary("hardshrink", 0.5, 0.0, 0.0),
    _unary("rsqrt", 0.0, INF, -INF),
    _unary("logit", 0.0, -INF, INF),
    _unary("logit", 1.0, INF, INF),
    _unary("logit", -1.0, NAN, NAN),
    _unary("log1mexp", 0.0, -INF, INF),
    _unary("log1mexp", INF, 0.0, 0.0),
    _unary("log1mexp", -1.0, NAN, NAN),
    _unary("asech", 0.0, INF, -INF),
    _unary("asec", 1.0, 0.0, INF),
    _unary("acoth", 1.0, INF, -INF),
    _unary("acot", 0.0, math.pi / 2, -1.0),
    ("xlog1py", mg.xlog1py, (0.0, -1.0), 0.0, (-INF, 0.0)),
    ("logsubexp", mg.logsubexp, (1000.0, -1000.0), 1000.0, (1.0, 0.0)),
    ("logsubexp", mg.logsubexp, (1.0, 2.0), NAN, (NAN, NAN)),
    *[(f"{name} at nan", getattr(mg, name), (NAN,), NAN, (NAN,)) for name in SMOOTH],
    ("maximum at a tie", mg.maximum, (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("minimum at a tie", mg.minimum, (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("maximum at a tie", mg.maximum, (INF, INF), INF, (0.5, 0.5)),
    ("maximum", mg.maximum, (1.0, 2.0), 2.0, (0.0, 1.0)),
    ("minimum", mg.minimum, (1.0, 2.0), 1.0, (1.0, 0.0)),
    ("maximum at nan", mg.maximum, (NAN, 2.0), NAN, (NAN, NAN)),
    ("minimum at nan", mg.minimum, (2.0, NAN), NAN, (NAN, NAN)),
    ("maximum(x, x)", lambda x: mg.maximum(x, x), (2.0,), 2.0, (1.0,)),
    ("max of three equal", lambda *xs: mg.max(xs), (5.0, 5.0, 5.0), 5.0, (1 / 3, 1 / 3, 1 / 3)),
    ("max with two equal", lambda *xs: mg.max(xs), (5.0, 1.0, 5.0, 2.0), 5.0, (0.5, 0.0, 0.5, 0.0)),
    ("max overtaken", lambda *xs: mg.max(xs), (5.0, 5.0, 7.0, 7.0), 7.0, (0.0, 0.0, 0.5, 0.5)),
    ("min of three equal", lambda *xs: mg.min(xs), (5.0, 5.0, 5.0), 5.0, (1 / 3, 1 / 3, 1 / 3)),
    _unary("exp", 1000.0, INF, INF),
    _unary("exp", -INF, 0.0, 0.0),
    *[_unary("sigmoid", x, 1.0, 0.0) for x in (1000.0, INF)],
    *[_unary("sigmoid", x, 0.0, 0.0) for x in (-1000.0, -INF)],
    *[_unary("tanh", x, math.copysign(1.0, x), 0.0) for x in (1000.0, INF, -1000.0, -INF)],
    _unary("tanh", 20.0, 1.0, 1.6993417021166355e-17),
    _unary("softplus", 1000.0, 1000.0, 1.0),
    _unary("softplus", INF, INF, 1.0),
    _unary("softplus", -1000.0, 0.0, 0.0),
    _unary("softplus", -INF, 0.0, 0.0),
    _unary("logsigmoid", -1000.0, -1000.0, 1.0),
    ("logsumexp", lambda *xs: mg.logsumexp(xs), (1000.0, 1000.0), 1000.0 + math.log(2.0), (0.5, 0.5)),
    ("logsumexp", lambda *xs: mg.logsumexp(xs), (-INF, -INF), -INF, (NAN, NAN)),
    ("hypot", mg.hypot, (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", mg.hypot, (3e200, 4e200), 5e200, (0.6, 0.8)),
    ("hypot", mg.hypot, (3e-200, 4e-200), 5e-200, (0.6, 0.8)),
    ("norm of zeros", lambda *xs: mg.norm(xs), (0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0)),
    *[
        (f"{name} of equal numbers", lambda *xs, f=f: f(xs), (x,) * n, 0.0, (0.0,) * n)
        for name, f in (("std", mg.std), ("var", mg.var))
        for x, n in ((4.0, 3), (0.1, 3), (0.7, 10), (-1.8e278, 13))  # the mean of 0.1 three times is not 0.1
    ],
    ("atan2", mg.atan2, (0.0, 0.0), 0.0, (0.0, 0.0)),
    _unary("asin", 1.0, math.pi / 2, INF),
    _unary("acos", 1.0, 0.0, -INF),
    _unary("atanh", 1.0, INF, INF),
    _unary("atanh", 2.0, NAN, NAN),
    _unary("acosh", 1.0, 0.0, INF),
    _unary("cbrt", 0.0, 0.0, INF),
    _unary("cbrt", -8.0, -2.0, 1 / 12),
    _unary("log1p", -1.0, -INF, INF),
    ("%", lambda x, y: x % y, (7.0, 3.0), 1.0, (1.0, -2.0)),
    ("%", lambda x, y: x % y, (-7.0, 3.0), 2.0, (1.0, 3.0)),
    ("%", lambda x, y: x % y, (7.0, -3.0), -2.0, (1.0, 3.0)),
    ("fmod", mg.fmod, (-7.0, 3.0), -1.0, (1.0, 2.0)),
    ("//", lambda x, y: x // y, (7.0, -3.0), -3.0, (0.0, 0.0)),
    ("1 / x", lambda x: 1 / x, (0.0,), INF, (-INF,)),
    ("1 / x", lambda x: 1 / x, (-0.0,), -INF, (-INF,)),
    ("x / y", lambda x, y: x / y, (0.0, 0.0), NAN, (INF, NAN)),
    ("where guards", lambda x: mg.where(ops.greater(x, 0.0), mg.log(x), 0.0), (0.0,), 0.0, (0.0,)),
    ("where guards", lambda x: mg.where(ops.greater(x, 0.0), mg.log(x), 0.0), (-1.0,), 0.0, (0.0,)),
    # sqrt passes inf on to both branches; only the chosen one receives
    ("where under inf", lambda x, y: mg.sqrt(mg.where(1.0, x, y)), (0.0, 1.0), 0.0, (INF, 0.0)),
    ("xlogy", mg.xlogy, (0.0, 0.0), 0.0, (-INF, 0.0)),
    _unary("sinc", 0.0, 1.0, 0.0),
    ("prod", lambda *xs: mg.prod(xs), (0.0, 2.0, 3.0), 0.0, (6.0, 0.0, 0.0)),
    _unary("silu", -INF, 0.0, 0.0),
    _unary("gelu", -INF, 0.0, 0.0),
    _unary("silu", INF, INF, 1.0),
    _unary("gelu", INF, INF, 1.0),
    _unary("softsign", INF, 1.0, 0.0),
]


def agree(got: float, expected: float) -> bool:
    return (math.isnan(got) and math.isnan(expected)) or got == pytest.approx(expected, rel=2e-15, abs=0.0)


def by_reverse(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    leaves = [Value(x) for x in at]
    z = f(*leaves)
    z.backward()
    return z.data, [leaf.grad for leaf in leaves]


def by_forward(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    units = [[1.0 if j == i else 0.0 for j in range(len(at))] for i in range(len(at))]
    return jvp(f, at, units[0])[0], [jvp(f, at, unit)[1] for unit in units]


def by_values(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    """The gradient recorded as a graph."""
    value, slopes = mg.value_and_grad(f, range(len(at)))(*map(Value, at))
    return value.data, [slope.data for slope in slopes]


def gradient_program(f: Callable[..., Any], at: tuple[float, ...]) -> mg.Program:
    """Traced at other numbers than those it is replayed at."""
    return trace(f)(*[0.3 + 0.1 * i for i in range(len(at))]).gradient(value=True)


def flat(result: tuple[Any, Any], count: int) -> tuple[float, list[float]]:
    value, slopes = result
    return float(value), [float(slope) for slope in (slopes if count > 1 else [slopes])]


def by_replay(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    return flat(gradient_program(f, at)(*at), len(at))


def by_simplified_replay(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    return flat(gradient_program(f, at).simplify()(*at), len(at))


def by_python(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    return flat(gradient_program(f, at).python()(*at), len(at))


def by_arrays(f: Callable[..., Any], at: tuple[float, ...]) -> tuple[float, list[float]]:
    np = pytest.importorskip("numpy")
    value, slopes = gradient_program(f, at)(*[np.array([0.25, x]) for x in at])
    return float(value[1]), [float(slope[1]) for slope in (slopes if len(at) > 1 else [slopes])]


MODES = [by_reverse, by_forward, by_values, by_replay, by_simplified_replay, by_python, by_arrays]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "f", "at", "value", "slopes"), ROWS, ids=[f"{row[0]} at {row[2]}" for row in ROWS])
def test_the_table_holds(
    mode: Callable[..., Any], name: str, f: Callable[..., Any], at: Any, value: float, slopes: Any
) -> None:
    got, grads = mode(f, at)
    assert agree(got, value), (got, value)
    assert all(map(agree, grads, slopes)), (grads, slopes)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode is not by_forward])
def test_an_infinite_partial_that_does_not_matter_makes_no_nan_backward(mode: Callable[..., Any]) -> None:
    assert mode(lambda x: 0.0 * mg.sqrt(x), (0.0,)) == (0.0, [0.0])


def test_forward_the_infinite_tangent_comes_before_the_0_that_makes_it_not_matter() -> None:
    assert math.isnan(by_forward(lambda x: 0.0 * mg.sqrt(x), (0.0,))[1][0])


SECOND: list[tuple[str, Callable[[Any], Any], float, float]] = [
    ("x ** 2", lambda x: x**2, 0.0, 2.0),
    ("x ** 1", lambda x: x**1, 0.0, 0.0),
    ("abs", mg.abs, 0.0, 0.0),
    ("relu", mg.relu, 0.0, 0.0),
    ("elu", mg.elu, 0.0, 0.0),
    ("softsign", mg.softsign, 0.0, 0.0),
    ("x * abs(x)", lambda x: x * abs(x), 0.0, 0.0),
    ("sinc", mg.sinc, 0.0, -(math.pi**2) / 3),
    ("tanh", mg.tanh, 0.0, 0.0),
    ("sigmoid", mg.sigmoid, 1000.0, 0.0),
    ("where guards", lambda x: mg.where(ops.greater(x, 0.0), mg.log(x), 0.0), 0.0, 0.0),
    ("norm", lambda x: mg.norm([x, x]), 0.0, 0.0),
    ("log", mg.log, -1.0, NAN),
    ("atanh", mg.atanh, 2.0, NAN),
    ("tanh", mg.tanh, 1e-9, -2e-9),
    ("asin", mg.asin, 1e-9, 1e-9),
    ("atanh", mg.atanh, 1e-9, 2e-9),
    ("hypot", lambda x: mg.hypot(x, 1e-9), 1.0, 1e-18),
    ("erf", mg.erf, INF, 0.0),
    ("atan", mg.atan, INF, 0.0),
    ("asinh", mg.asinh, INF, 0.0),
    ("exp2", mg.exp2, 1024.0, (2.0 * math.log(2.0) ** 2) * 2.0**1023),
]


@pytest.mark.parametrize(("name", "f", "x", "second"), SECOND, ids=[row[0] for row in SECOND])
def test_second_derivatives_at_the_points_of_choice(
    name: str, f: Callable[[Any], Any], x: float, second: float
) -> None:
    assert agree(grad(grad(f))(x), second)
    assert agree(jvp(grad(f), (x,), (1.0,))[1], second)
    assert agree(grad(lambda y: jvp(f, (y,), (1.0,))[1])(x), second)
    assert agree(trace(f)(0.3).gradient().gradient()(x), second)


def test_derivatives_0_to_6_of_exp_of_minus_x_squared_at_0() -> None:
    def f(x: Any) -> Any:
        return mg.exp(-(x**2.0))

    found: list[float] = []
    programs: list[float] = []
    program = trace(f)(0.3)
    for _ in range(7):
        found.append(f(0.0))
        programs.append(program(0.0))
        f, program = grad(f), program.gradient()
    assert found == programs == [1.0, 0.0, -2.0, 0.0, 12.0, 0.0, -120.0]


def test_softmax_and_cross_entropy_keep_shifts_and_tails() -> None:
    assert mg.softmax([1e16] * 3) == pytest.approx([1 / 3] * 3, rel=1e-15)
    for target in (0, [1.0, 0.0]):
        slopes = grad(lambda z, t=target: mg.losses.cross_entropy(z, t))([40.0, 0.0])
        assert slopes == pytest.approx([-math.exp(-40.0), math.exp(-40.0)], rel=1e-14)


@pytest.mark.parametrize(("p", "t"), [(0.25, 0.0), (0.25, 1.0)])
def test_the_binary_cross_entropy_is_differentiable_in_its_target(p: float, t: float) -> None:
    (by_pp, by_pt), (by_tp, by_tt) = mg.hessian(mg.losses.binary_cross_entropy, (0, 1))(p, t)
    assert [by_pt, by_tp, by_tt] == pytest.approx([-16 / 3, -16 / 3, 0.0])
    assert by_pp == pytest.approx(t / p**2 + (1.0 - t) / (1.0 - p) ** 2)
