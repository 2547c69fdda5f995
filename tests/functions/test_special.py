"""Special functions against mpmath: values, derivatives of the orders 0 to 4, in every mode, and at their poles."""

from __future__ import annotations

import functools
import math
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flint
import mpmath
import numpy as np
import pytest
import scipy.special

import microgrid as mg
from microgrid import Value, grad, jvp, primitive, special, trace
from microgrid.core.primitive import OPS, Op, special_ops
from microgrid.functions import bessel_functions, error_functions, gamma_functions, integrals
from microgrid.numbers.balls import balls
from microgrid.numbers.complex_balls import complex_balls
from microgrid.testing import check_gradient, mutated

INF, NAN = math.inf, math.nan
near = pytest.approx
Range = tuple[float, float]


class Row(NamedTuple):
    """An op with its static operands, mpmath's function, and the ranges of its operands that are tried."""

    name: str
    reference: Callable[..., Any]
    ranges: tuple[Range, ...]
    static: tuple[float, ...] = ()
    point: tuple[float, ...] = (0.7,)

    @property
    def op(self) -> Op:
        return special_ops[self.name]

    def one(self, x: Any) -> Any:
        """The op as a function of its first operand."""
        return self.op(x, *self.point[1:], *self.static)

    def exact(self, x: Any) -> Any:
        return mpmath.re(self.reference(x, *map(mpmath.mpf, self.point[1:]), *self.static))


def far_erfcx(x: Any) -> Any:
    with mpmath.workdps(mpmath.mp.dps + int(x * x / 2) + 10 if 0 < x < 100 else mpmath.mp.dps):
        return mpmath.exp(x * x) * mpmath.erfc(x)


def erfcinv(x: Any) -> Any:
    """Return python-flint's: mpmath has none, and 1 - x takes hundreds of digits."""
    with flint.ctx.workprec(2 * mpmath.mp.prec + 1200):
        return mpmath.mpf(flint.arb(mpmath.nstr(x, 2 * mpmath.mp.dps)).erfcinv().str(mpmath.mp.dps + 10, radius=False))


def slopes(reference: Callable[..., Any]) -> Callable[..., Any]:
    """The derivatives of a function of one operand, of an order that the op's static operand gives."""

    def computed(x: Any, *static: float) -> Any:
        with mpmath.workdps(2 * mpmath.mp.dps + 20):
            return mpmath.diff(lambda t: reference(t, *static[:-1]), x, int(static[-1]))

    return computed


def by_flint(name: str) -> Callable[..., Any]:
    """Return a Bessel function of python-flint: mpmath's takes seconds for whole orders of K and Y."""

    def computed(x: Any, n: float) -> Any:
        with flint.ctx.workprec(2 * mpmath.mp.prec + 400):
            found = getattr(flint.acb(flint.arb(mpmath.nstr(x, 2 * mpmath.mp.dps))), name)(flint.acb(n)).real
        return mpmath.mpf(found.str(mpmath.mp.dps + 10, radius=False))

    return computed


bessel_k, bessel_y = by_flint("bessel_k"), by_flint("bessel_y")


def scaled_i(x: Any, n: float) -> Any:
    return mpmath.besseli(n, x) * mpmath.exp(-abs(x))


def scaled_k(x: Any, n: float) -> Any:
    return bessel_k(x, n) * mpmath.exp(x)


def dawson(x: Any) -> Any:
    return mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x)


SMALL, LARGE = (1e-3, 30.0), (30.0, 1e4)
ROWS = [
    Row("digamma", mpmath.digamma, (SMALL, (1.4, 1.6), (50.0, 1e6), (-9.9, -0.1))),
    *[
        Row("digamma_derivative", lambda x, n: mpmath.psi(int(n), x), (SMALL, LARGE, (-9.9, -0.1)), (n,))
        for n in (1.0, 4.0)
    ],
    *[
        Row(
            "digamma_difference",
            lambda x, y, n: mpmath.psi(int(n), x + y) - mpmath.psi(int(n), x),
            (SMALL, LARGE),
            (n,),
            (0.7, 1.3),
        )
        for n in (0.0, 2.0)
    ],
    Row("lgamma", mpmath.loggamma, (SMALL, (50.0, 1e6))),
    Row("gamma", mpmath.gamma, (SMALL, (50.0, 170.0), (-9.9, -0.1))),
    Row("beta", mpmath.beta, (SMALL, (1e-3, 200.0)), (), (0.7, 1.3)),
    Row(
        "betaln",
        lambda x, y: mpmath.loggamma(x) + mpmath.loggamma(y) - mpmath.loggamma(x + y),
        (SMALL, (1e-3, 1e6)),
        (),
        (0.7, 1.3),
    ),
    Row("erfcx", far_erfcx, ((-5.0, 25.0), (-26.0, -5.0))),
    *[Row("erfcx_derivative", slopes(far_erfcx), ((-5.0, 25.0),), (n,)) for n in (1.0, 2.0)],
    Row("log_erfc", lambda x: mpmath.log(mpmath.erfc(x)), ((-5.0, 25.0), (-1.0, 1.0), (1.0, 100.0))),
    Row("dawsn", dawson, ((-10.0, 10.0), (1e-6, 1.0))),
    *[Row("dawson_derivative", slopes(dawson), ((-11.0, 11.0), (1e-6, 1.0)), (n,)) for n in (1.0, 2.0)],
    Row("ndtr", mpmath.ncdf, ((-37.0, 8.0), (-1.0, 1.0))),
    Row("log_ndtr", lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2), ((-37.0, 8.0), (-1.0, 1.0))),
    Row("erfinv", mpmath.erfinv, ((-1.0, 1.0), (1e-6, 0.1))),
    Row("erfcinv", erfcinv, ((0.0, 2.0), (1e-300, 1e-6))),
    Row("ndtri", lambda x: -mpmath.sqrt(2) * erfcinv(2 * x), ((0.0, 1.0), (1e-300, 1e-6))),
    *[
        row
        for n in (0.0, 1.0, 3.0, 0.5)
        for row in (
            Row("bessel_j", lambda x, n: mpmath.besselj(n, x), (SMALL, LARGE), (n,)),
            Row("bessel_y", bessel_y, (SMALL, LARGE), (n,)),
            Row("bessel_i", lambda x, n: mpmath.besseli(n, x), (SMALL, (30.0, 700.0)), (n,)),
            Row("bessel_k", bessel_k, (SMALL, (30.0, 100.0)), (n,)),
        )
    ],
    Row("bessel_j", lambda x, n: mpmath.besselj(n, x), ((-30.0, -1e-3),), (1.0,)),
    *[Row("bessel_ie", scaled_i, ((-30.0, 30.0), LARGE), (n,)) for n in (0.0, 1.0, 3.0)],
    *[Row("bessel_ke", scaled_k, (SMALL,), (n,)) for n in (0.0, 2.0)],
    Row("bessel_ie_derivative", slopes(scaled_i), ((-30.0, 30.0),), (1.0, 1.0)),
    Row("bessel_ke_derivative", slopes(scaled_k), ((0.1, 30.0),), (0.5, 2.0)),
    Row("airy_ai", mpmath.airyai, ((-20.0, 20.0), (-1.0, 1.0))),
    Row("airy_ai_prime", lambda x: mpmath.airyai(x, derivative=1), ((-20.0, 20.0), (-1.0, 1.0))),
    Row("airy_bi", mpmath.airybi, ((-20.0, 20.0), (-1.0, 1.0))),
    Row("airy_bi_prime", lambda x: mpmath.airybi(x, derivative=1), ((-20.0, 20.0), (-1.0, 1.0))),
    Row("expi", mpmath.ei, ((1e-3, 700.0), (-40.0, -1e-3), (0.3, 0.45))),
    *[
        Row("exp_integral", lambda x, n: mpmath.expint(int(n), x), (SMALL, (30.0, 700.0)), (n,))
        for n in (0.0, 1.0, 3.0)
    ],
    Row("sine_integral", mpmath.si, ((-30.0, 30.0), LARGE)),
    Row("cosine_integral", mpmath.ci, (SMALL, LARGE)),
    *[
        row
        for ranges in [((-1.0, 1.0), (0.99, 0.999999), (-1e6, -1.0), (1e-9, 1e-3))]
        for row in (
            Row("ellipk", mpmath.ellipk, ranges),
            Row("ellipe", mpmath.ellipe, ranges),
            Row("ellipk_derivative", slopes(mpmath.ellipk), ranges, (1.0,)),
            Row("ellipe_derivative", slopes(mpmath.ellipe), ranges, (2.0,)),
        )
    ],
    *[
        Row("zeta_derivative", lambda x, n: mpmath.zeta(x, 1, int(n)), ((0.01, 0.99), (1.01, 30.0)), (n,), (2.5,))
        for n in (0.0, 1.0)
    ],
    Row("lambert_w", lambda x, k: mpmath.lambertw(x, int(k)), ((-0.3678, 3.0), (3.0, 1e300)), (0.0,)),
    Row("lambert_w", lambda x, k: mpmath.lambertw(x, int(k)), ((-0.3678, -1e-300),), (-1.0,), (-0.3,)),
]
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join([row.name, *map("{:g}".format, row.static)]))
each_op = pytest.mark.parametrize("row", {row.name: row for row in ROWS}.values(), ids=lambda row: row.name)


def test_every_special_op_is_in_the_table() -> None:
    assert {row.name for row in ROWS} == set(special_ops)


def numbers(rng: random.Random, low: float, high: float) -> Iterator[float]:
    """Numbers of a range, of every size in it where it is long."""
    side = math.copysign(1.0, low)
    smallest, largest = sorted((abs(low), abs(high)))
    while True:
        long = low * high > 0.0 and largest / smallest > 100.0
        yield side * math.exp(rng.uniform(math.log(smallest), math.log(largest))) if long else rng.uniform(low, high)


class Exact(NamedTuple):
    """Values and slopes of a row's function at operands of many digits."""

    row: Row
    at: tuple[Any, ...]

    def value(self, *at: Any) -> Any:
        return mpmath.re(self.row.reference(*(at or self.at), *self.row.static))

    def slope(self, i: int, *at: Any) -> Any:
        at = at or self.at
        with mpmath.workdps(80):
            step = abs(at[i]) * mpmath.mpf(10) ** -25
            high, low = (self.value(*at[:i], at[i] + s, *at[i + 1 :]) for s in (step, -step))
            return (high - low) / (2 * step)

    def off(self, got: float, f: Callable[..., Any], op: Op) -> float:
        """The distance in ulps of f, less that many for each ulp of an operand where the op is sensitive."""
        truth = f()
        if abs(truth) > 1.7e308:
            return 0.0 if got == math.copysign(INF, truth) or abs(got) > 1.6e308 else INF
        ulp = math.ulp(float(truth)) if abs(truth) > 1e-307 else 1000 * 5e-324
        off = abs(got - truth) / ulp
        if off > op.ulps and op.sensitive:
            for j, x in enumerate(self.at):
                moved = f(*self.at[:j], x + math.ulp(float(x)), *self.at[j + 1 :])
                off -= op.ulps * abs(moved - truth) / ulp
        return float(off)


def worst_of(op: Op, row: Row, points: int) -> float:
    """Hold values and partials to the ulps that the op states; the worst, as far as stated."""
    rng = random.Random(f"{row.name}{row.static}")
    sources = [numbers(rng, *one) for one in row.ranges]
    worst = 0.0
    for k in range(points * len(sources)):
        xs = [next(sources[(k + i) % len(sources)]) for i, _ in enumerate(row.point)]
        with mpmath.workdps(40):
            exact = Exact(row, tuple(map(mpmath.mpf, xs)))
            z = op(*xs, *row.static)
            found = [exact.off(z, exact.value, op)]
            for i, partial in enumerate(op.partials(z, *xs, *row.static)):
                found.append(exact.off(partial, functools.partial(exact.slope, i), op))
        for i, off in enumerate(found):
            what = f"partial {i - 1} of " if i else ""
            assert off <= op.ulps, f"{what}{row.name}({xs}, {row.static}) is off by {off} ulps"
        worst = max(worst, *found)
    return worst


@pytest.mark.parametrize("points", [3, pytest.param(40, marks=pytest.mark.slow)])
@each
def test_values_and_partials_agree_with_mpmath(row: Row, points: int, summary: Callable[[str, str], None]) -> None:
    worst = worst_of(row.op, row, points)
    stated = f"stated {row.op.ulps:g}" + (", and as much again for each ulp of an operand" if row.op.sensitive else "")
    summary("ulps between special functions and mpmath", f"{row.name:20} {worst:6.1f}   {stated}")


def test_a_rule_wrong_by_one_part_in_1e13_does_not_agree() -> None:
    row = next(row for row in ROWS if row.name == "digamma")
    right = row.op.partials
    wrong = Op("digamma", row.op.forward, lambda z, x: (right(z, x)[0] * (1 + 1e-13),), 1, 0, row.op.domain, "", 5, "")
    with pytest.raises(AssertionError, match="ulps"):
        worst_of(wrong, row, 3)


@each
def test_derivatives_of_the_orders_0_to_4_agree_in_every_mode(row: Row) -> None:
    x, f = row.point[0], row.one
    with mpmath.workdps(50):
        truth = [float(mpmath.re(mpmath.diff(row.exact, mpmath.mpf(x), order))) for order in range(5)]
    program = trace(f)(x)
    for order in range(5):
        assert f(x) == near(truth[order], rel=1e-11)
        if order < 4:
            assert jvp(f, (x,), (1.0,))[1] == near(truth[order + 1], rel=1e-11)
        if order < 3:
            assert program(x) == near(truth[order], rel=1e-11)
            assert program(np.array([x, x])).tolist() == near([truth[order]] * 2, rel=1e-11)
            with mpmath.workdps(40):
                high = program(mpmath.mpf(x))
            assert float(high) == near(truth[order], rel=1e-13)
            with flint.ctx.workprec(200):
                (ball,) = program.replay([flint.arb(x)], balls())
                (box,) = program.replay([flint.acb(x)], complex_balls())
                for found in (ball, box.real):
                    assert found.rad() < abs(found.mid()) * 1e-30
                    assert abs(found - flint.arb(mpmath.nstr(high, 38))) < abs(found) * 1e-33
            program = program.gradient()
        f = grad(f)


@each_op
def test_compiled_code_gives_the_bits_of_recording_or_nearly(row: Row) -> None:
    def f(x: Any) -> Any:
        return row.one(x) * x

    x = row.point[0]
    expected = f(x), grad(f)(x)
    assert mg.compile(f, strict=True).value_and_grad(x) == expected
    compiled = mg.compile(f)
    assert compiled.value_and_grad(x) == near(expected, rel=1e-12)
    rows = np.array([x, 0.9 * x, 0.8 * x] * 5)
    assert compiled.batch(rows) == near([f(x) for x in rows], rel=1e-12)


@each
def test_the_checker_certifies_derivatives_of_the_orders_1_and_2(row: Row) -> None:
    for f in (row.one, grad(row.one)):
        report = check_gradient(f, row.point[0])
        assert [(check.verdict, check.numerical.evidence) for check in report.checks] == [("PASS", "certified")]


@each_op
def test_the_checker_finds_each_rule_wrong_by_one_part_in_1e12(row: Row) -> None:
    with mutated(row.op, 0):
        assert [check.verdict for check in check_gradient(row.one, row.point[0]).checks] == ["FAIL"]


@each_op
def test_a_graph_of_a_special_function_is_drawn_stepped_through_and_pickled(row: Row) -> None:
    x = Value(row.point[0])
    y = row.one(x) * 2.0
    assert mg.steps(y)
    assert mg.draw(y).source
    program = trace(row.one)(row.point[0])
    assert pickle.loads(pickle.dumps(row.op)) is row.op
    assert pickle.loads(pickle.dumps(program))(row.point[0]) == row.one(row.point[0])
    assert row.name in str(program)


# --- names -----------------------------------------------------------------------------------------------------------

OF_ONE = [name for name in special.__all__ if name not in "beta betaln lbeta airy sici xlogy xlog1py polygamma".split()]
OF_ONE = [name for name in OF_ONE if name not in "jn jv yn yv iv kv kn ive kve expn".split()]


@pytest.mark.parametrize("name", OF_ONE)
def test_a_function_is_scipys_of_the_name(name: str) -> None:
    x = -0.2 if name == "lambertw" else 1.4 if name in ("zeta", "trigamma") else 0.3
    reference = {
        "dawson": scipy.special.dawsn,
        "digamma": scipy.special.psi,
        "lgamma": scipy.special.gammaln,
        "log_erfc": lambda x: math.log(math.erfc(x)),
        "trigamma": lambda x: scipy.special.polygamma(1, x),
        "lambertw": lambda x: scipy.special.lambertw(x).real,
    }.get(name) or getattr(scipy.special, name)
    assert getattr(special, name)(x) == near(float(reference(x)), rel=1e-13)


@pytest.mark.parametrize("name", "beta betaln jn jv yn yv iv kv kn ive kve expn polygamma xlogy xlog1py".split())
def test_parameters_come_in_scipys_order(name: str) -> None:
    assert getattr(special, name)(2, 0.3) == near(float(getattr(scipy.special, name)(2, 0.3)), rel=1e-13)


def test_functions_of_several_results_are_scipys() -> None:
    assert special.airy(0.3) == near(tuple(map(float, scipy.special.airy(0.3))), rel=1e-13)
    assert special.sici(0.3) == near(tuple(map(float, scipy.special.sici(0.3))), rel=1e-13)
    assert special.lambertw(-0.2, -1) == near(float(scipy.special.lambertw(-0.2, -1).real), rel=1e-13)


def test_those_beside_exp_are_in_front_and_all_take_arrays_of_values() -> None:
    assert (mg.lgamma, mg.digamma, mg.erfinv) == (special.lgamma, special.digamma, special.erfinv)
    assert special.logit is mg.logit
    values: Any = np.array([Value(0.3), Value(0.6)], dtype=object)
    assert [v.data for v in special.erfinv(values)] == [special.erfinv(0.3), special.erfinv(0.6)]
    assert special.j0(np.array([0.5, 1.5])).tolist() == [special.j0(0.5), special.j0(1.5)]
    with pytest.raises(AttributeError, match="has no attribute 'digama'"):
        mg.digama  # noqa: B018  # the lookup is the test


def test_a_persons_op_may_have_the_name_of_a_special_function() -> None:
    lorentz = primitive("gamma", None, lambda z, v: (z * z * z * v,), formula=lambda v: (1.0 - v * v) ** -0.5)
    assert OPS["gamma"] is lorentz
    assert special.gamma(5.0) == 24.0
    assert mg.compile(lorentz, check=False)(0.6) == near(1.25)
    for f in (special.gamma, lambda x: special.gamma(x) + lorentz(x)):
        with pytest.raises(TypeError, match="two ops are called gamma"):
            mg.compile(f)(0.6)
    assert pickle.loads(pickle.dumps(special.gamma)) is special.gamma


def test_a_program_is_text_where_the_language_has_the_function() -> None:
    program = trace(lambda x: mg.lgamma(x) + mg.gamma(x))(2.5)
    assert program.python()(2.5) == program(2.5)
    assert "lgamma(x[0])" in program.c()
    for write in (trace(mg.digamma)(2.5).python, trace(mg.digamma)(2.5).c):
        with pytest.raises(TypeError, match=r"digamma .* on={"):
            write()


def test_machine_code_calls_scipys_own_without_python(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = mg.compile(lambda x: special.j0(x) + mg.digamma(x) * special.erfcx(x), check=False)
    expected = compiled(1.5)
    assert compiled.batch(np.array([1.5] * 9)).tolist() == [expected] * 9
    assert expected == special.j0(1.5) + mg.digamma(1.5) * special.erfcx(1.5)

    def refuse(*_xs: float) -> float:
        raise AssertionError("Python was called")

    for name in ("bessel_j", "digamma", "erfcx"):
        monkeypatch.setattr(special_ops[name], "forward", refuse)
    assert compiled(1.5) == expected
    assert compiled.batch(np.array([1.5] * 9)).tolist() == [expected] * 9


# --- poles, edges and what is missing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "value", "slope"),
    [
        (special.gamma, 0.0, INF, -INF),
        (special.gamma, -0.0, -INF, -INF),
        (special.gamma, -1.0, NAN, NAN),
        (special.gamma, 200.0, INF, INF),
        (special.gamma, -200.5, 0.0, 0.0),
        (special.lgamma, 0.0, INF, -INF),
        (special.lgamma, -1.0, INF, NAN),
        (special.lgamma, INF, INF, INF),
        (special.digamma, 0.0, -INF, INF),
        (special.digamma, -1.0, NAN, INF),
        (special.trigamma, 0.0, INF, -INF),
        (special.trigamma, INF, 0.0, 0.0),
        (special.erfinv, 1.0, INF, INF),
        (special.erfinv, -1.0, -INF, INF),
        (special.erfinv, 2.0, NAN, NAN),
        (special.erfcinv, 0.0, INF, -INF),
        (special.erfcinv, 2.0, -INF, -INF),
        (special.ndtri, 0.0, -INF, INF),
        (special.ndtri, 1.0, INF, INF),
        (special.ndtri, -1.0, NAN, NAN),
        (special.erfcx, INF, 0.0, 0.0),
        (special.erfcx, -30.0, INF, -INF),
        (special.log_erfc, INF, -INF, -INF),
        (special.log_erfc, -INF, math.log(2.0), 0.0),
        (special.log_ndtr, -INF, -INF, INF),
        (special.log_ndtr, INF, 0.0, 0.0),
        (special.dawsn, INF, 0.0, 0.0),
        (special.y0, 0.0, -INF, INF),
        (special.k0, 0.0, INF, -INF),
        (special.i0e, 0.0, 1.0, 0.0),
        (special.expi, 0.0, -INF, INF),
        (special.exp1, 0.0, INF, -INF),
        (special.ellipk, 1.0, INF, INF),
        (special.ellipk, 2.0, NAN, NAN),
        (special.ellipe, 1.0, 1.0, -INF),
        (special.zeta, 1.0, INF, -INF),
        (special.zeta, INF, 1.0, 0.0),
        (special.zeta, -1.0, NAN, NAN),
        (special.lambertw, 0.0, 0.0, 1.0),
        (special.lambertw, INF, INF, 0.0),
        (special.lambertw, -1.0, NAN, NAN),
        *[(getattr(special, name), NAN, NAN, NAN) for name in OF_ONE],
    ],
    ids=lambda x: getattr(x, "__name__", None) or getattr(x, "name", str(x)),
)
def test_what_is_answered_at_poles_and_edges(f: Callable[[Any], Any], x: float, value: float, slope: float) -> None:
    assert f(x) == near(value, nan_ok=True)
    assert grad(f)(x) == near(slope, nan_ok=True)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_scipy_one_line_says_how_to_install_it_and_what_math_has_works() -> None:
    done = run(
        "import sys; sys.modules['scipy'] = sys.modules['scipy.special'] = None\n"
        "import microgrid as mg\nprint(mg.lgamma(5.0), mg.special.betaln(1.0, 1.0))\nmg.digamma(2.0)"
    )
    assert done.stdout.split() == [str(math.lgamma(5.0)), "0.0"]
    assert done.stderr.splitlines()[-1] == (
        "ImportError: scipy is not installed, and is needed here: pip install scipy"
    )


def test_importing_the_package_loads_neither_scipy_nor_the_functions() -> None:
    done = run("import sys, microgrid; print([x for x in sys.modules if 'scipy' in x or 'special' in x])")
    assert done.stdout == "[]\n"


def test_every_file_of_special_functions_is_loaded_by_one_door() -> None:
    homes = {op.partials.__module__ for op in special_ops.values()}
    assert homes == {m.__name__ for m in (bessel_functions, error_functions, gamma_functions, integrals)}
