"""Adding an op is one statement, and then it works in every mode: a formula, or natives for each kind of number."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flint
import mpmath
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from running_c import run_c as run_loops
from test_program import run_c
from thinned import thinned

import microgrid as mg
from microgrid import Interval, Op, Program, Value, grad, jvp, ops, primitive, trace
from microgrid.core.natives import C_FUNCTIONS, KEYS
from microgrid.core.primitive import OPS, POSITIVE, REAL
from microgrid.numbers.arithmetic import Arithmetic
from microgrid.numbers.arrays import arrays
from microgrid.numbers.balls import balls
from microgrid.numbers.complex_balls import complex_balls
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.testing import check_gradient, derivative

POINTS = [0.03125, 0.3, 0.75]


def logit_op() -> Op:
    """Declare an op that is its formula."""
    return primitive(
        "own_logit",
        None,
        lambda z, x: (ops.div(1.0, x * (1.0 - x)),),
        formula=lambda x: ops.log(ops.div(x, 1.0 - x)),
        domain=[Interval(0.0, 1.0)],
    )


def lgamma_op(but: str = "") -> Op:
    """Declare lgamma, and polygamma for its rule, each with all natives but one."""

    def on(**natives: Any) -> dict[str, Any]:
        return {key: native for key, native in natives.items() if key != but}

    polygamma = primitive(
        "polygamma",
        lambda x, n: float(scipy.special.polygamma(int(n), x)),
        lambda z, x, n: (polygamma(x, n + 1.0),),
        static=1,
        domain=[POSITIVE, REAL],
        ulps=50.0,
        on=on(
            **{
                "mpmath": lambda x, n: mpmath.polygamma(int(n), x),
                "flint": lambda x, n: flint.acb(x).polygamma(flint.acb(n)).real,
                "flint complex": lambda x, n: x.polygamma(flint.acb(n)),
                "numpy": lambda x, n: scipy.special.polygamma(int(n), x),
            }
        ),
    )
    return primitive(
        "lgamma",
        lambda x: math.lgamma(x),
        lambda z, x: (polygamma(x, 0.0),),
        domain=[POSITIVE],
        ulps=50.0,
        on=on(
            **{
                "mpmath": mpmath.loggamma,
                "flint": "lgamma",
                "flint complex": "lgamma",
                "numpy": scipy.special.gammaln,
                "c": "lgamma",
                "python": "math.lgamma",
            }
        ),
    )


class Case(NamedTuple):
    declare: Callable[[], Op]
    reference: Callable[[Any], Any]

    def exact(self, x: float, order: int = 0) -> Any:
        """The derivative of that order by mpmath, to some 50 digits."""
        with mpmath.workdps(120):
            return mpmath.diff(self.reference, mpmath.mpf(x), order) if order else self.reference(mpmath.mpf(x))


each = pytest.mark.parametrize(
    "case",
    [Case(logit_op, lambda x: mpmath.log(x / (1 - x))), Case(lgamma_op, mpmath.loggamma)],
    ids=["logit", "lgamma"],
)


def near(got: Any, expected: Any, digits: float = 13.0) -> bool:
    return bool(abs(mpmath.mpf(got) - expected) <= abs(expected) * mpmath.mpf(10) ** -digits)


@each
def test_a_new_op_is_recorded_and_differentiated_to_the_third_order_by_its_rule(case: Case) -> None:
    op = case.declare()
    for x in POINTS:
        z = op(Value(x))
        z.backward()
        assert z.data == op(x)
        assert near(op(x), case.exact(x))
        f: Callable[..., Any] = op
        for order in (1, 2, 3):
            assert near(jvp(f, (x,), (1.0,))[1], case.exact(x, order), 11)
            f = grad(f)
            assert near(f(x), case.exact(x, order), 11)


@each
def test_a_new_op_and_its_derivatives_are_replayed_on_every_kind_of_number(case: Case) -> None:
    op = case.declare()
    program = trace(op)(0.5)
    for order, of_order in enumerate([program, program.gradient(), program.gradient().gradient()]):
        exact = [case.exact(x, order) for x in POINTS]
        assert all(map(near, of_order(np.array(POINTS)), exact, [11] * len(POINTS)))
        with mpmath.workdps(60):
            assert all(near(of_order(mpmath.mpf(x)), y, 45) for x, y in zip(POINTS, exact, strict=True))
        with flint.ctx.workprec(200):
            for x, y in zip(POINTS, exact, strict=True):
                (ball,) = of_order.replay([flint.arb(x)], balls())
                (box,) = of_order.replay([flint.acb(x)], complex_balls())
                for found in (ball, box.real):
                    assert abs(found - flint.arb(mpmath.nstr(y, 50))) < abs(found) * 1e-45
                    assert found.rad() < abs(found.mid()) * 1e-45
        assert box.imag.contains(0)


@each
def test_the_checker_certifies_the_rule_of_a_new_op(case: Case) -> None:
    op = case.declare()
    for x in POINTS:
        report = check_gradient(lambda x: op(x) * mg.sin(x), x)
        assert [(check.verdict, check.numerical.evidence) for check in report.checks] == [("PASS", "certified")]
        found = derivative(trace(op)(x), x)
        assert found.evidence == "certified"
        assert found.radius is not None
        assert found.radius < 1e-60
    wrong = primitive("wrong", op.forward, lambda z, x: (op(x),), formula=op.formula, domain=op.domain, on=op.on)
    assert [check.verdict for check in check_gradient(wrong, 0.3).checks] == ["FAIL"]


@each
def test_a_new_op_is_compiled_for_one_sample_and_for_a_batch_strictly_or_not(case: Case) -> None:
    op = case.declare()

    def f(x: Any) -> Any:
        return op(x) * x

    for strict in (False, True):
        compiled = mg.compile(f, strict=strict)
        for x in POINTS:
            expected = (op(x) * x, grad(f)(x))
            got = compiled.value_and_grad(x)
            assert got == expected if strict else got == pytest.approx(expected, rel=1e-13)
        rows = np.array([*POINTS, *POINTS, 0.5])
        got = compiled.batch(rows)
        assert got.tolist() == [f(x) for x in rows] if strict else got == pytest.approx([f(x) for x in rows], rel=1e-13)


@each
def test_a_new_op_is_written_in_python_and_in_c_straight_and_in_loops(case: Case, tmp_path: Path) -> None:
    op = case.declare()
    program = trace(lambda x: op(x) + 1.0)(0.5)
    python, loops = program.python(), mg.compile(lambda x: op(x) + 1.0)
    loops(0.5)
    for x in POINTS:
        assert python(x) == program(x)
        assert near(run_c(program, [x])[0], case.exact(x) + 1)
        (got,), _ = run_loops(loops.c(), tmp_path, [x], [], 1, 0)
        assert near(got, case.exact(x) + 1)


MODES: dict[str, Callable[[Program, float], Any]] = {
    "mpmath": lambda program, x: program(mpmath.mpf(x)),
    "flint": lambda program, x: program(flint.arb(x)),
    "flint complex": lambda program, x: program.replay([flint.acb(x)], complex_balls())[0].real,
    "numpy": lambda program, x: program(np.array([x]))[0],
    "c": lambda program, x: run_c(program, [x])[0],
    "python": lambda program, x: program.python()(x),
}


def test_an_op_without_a_native_works_in_all_other_modes_and_says_which_one_to_hand_over() -> None:
    assert set(MODES) == set(KEYS)
    for missing in KEYS:
        program = trace(lgamma_op(but=missing))(0.5)
        for key, run in MODES.items():
            if key == missing != "numpy":  # there the function of floats serves, number by number
                with pytest.raises(TypeError, match=rf"lgamma .* on={{'{key}': \.\.\.}}"):
                    run(program, 2.5)
            else:
                assert float(run(program, 2.5)) == pytest.approx(math.lgamma(2.5), rel=1e-14)
    loops = mg.compile(lgamma_op(but="c"))
    assert loops.value_and_grad(0.5) == pytest.approx((math.lgamma(0.5), scipy.special.digamma(0.5)), rel=1e-14)
    with pytest.raises(TypeError, match=r"lgamma .* on={'c': \.\.\.}"):
        loops.c()
    check = check_gradient(lgamma_op(but="flint complex"), 0.3).checks[0]
    assert check.verdict == "UNDECIDED"
    assert "on={'flint complex': ...}" in check.numerical.reason


def test_a_gradient_needs_the_natives_of_the_ops_in_the_rule() -> None:
    gradient = trace(lgamma_op())(0.5).gradient()
    for write in (gradient.c, gradient.python):
        with pytest.raises(TypeError, match=r"polygamma .* on={"):
            write()


@pytest.mark.parametrize(
    ("on", "error", "says"),
    [
        ({"flin": "lgamma"}, ValueError, "lg: on has the key 'flin'; it may have 'mpmath', 'flint', 'flint complex'"),
        ({"c": "sigmoid"}, ValueError, "function of 1 double"),
        ({"c": "pow"}, ValueError, "function of 1 double"),
        ({"c": math.lgamma}, ValueError, "function of 1 double"),
        ({"python": "lgamma"}, ValueError, '"math.lgamma"'),
        ({"python": "math.lgama"}, ValueError, '"math.lgamma"'),
        ({"python": math.lgamma}, ValueError, '"math.lgamma"'),
        ({"numpy": 3}, TypeError, "neither a function of 1 operand"),
        ({"mpmath": "mpmath.loggamma"}, TypeError, "neither a function of 1 operand"),
        ({"flint": lambda x, y: x}, ValueError, r"lg: on\['flint'\] takes 2 operand"),
        ("lgamma", TypeError, "on must be a dict"),
    ],
)
def test_natives_that_no_mode_could_use_are_refused_where_the_op_is_declared(
    on: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        primitive("lg", math.lgamma, lambda z, x: (z,), on=on)
    assert "lg" not in OPS


def test_a_name_that_a_library_does_not_have_is_an_error_where_it_is_looked_up() -> None:
    program = trace(primitive("lg", math.lgamma, lambda z, x: (z,), on={"flint": "lgama"}))(0.5)
    with pytest.raises(TypeError, match=r"lg: on={'flint': 'lgama'}: python-flint's balls have no function lgama"):
        program(flint.arb(2))


def test_functions_of_c_are_those_of_its_header_with_so_many_operands() -> None:
    """The C compiler, with all its warnings as errors, knows each; ops of C's names say what these compute."""
    rules: dict[int, Callable[..., tuple[Any, ...]]] = {
        1: lambda z, x: (x,),
        2: lambda z, x, y: (x, y),
        3: lambda z, x, y, w: (x, y, w),
    }
    own = {
        name: primitive(f"my_{name}", lambda *xs: xs[0], rules[arity], on={"c": name})
        for name, arity in C_FUNCTIONS.items()
    }
    program = trace(lambda x: [op(*[x] * op.arity) for op in own.values()])(1.0)
    got = dict(zip(own, run_c(program, [1.0]), strict=True))
    assert (got["lgamma"], got["tgamma"], got["fma"], got["pow"]) == (0.0, 1.0, 2.0, 1.0)


@pytest.mark.parametrize("name", ["gamma", "lgamma", "zeta", "reciprocal", "erfinv", "digamma", "tgamma", "conjugate"])
def test_an_op_of_ones_own_is_never_a_librarys_function_of_its_name(name: str) -> None:
    """Only the table's names are looked up: a person's gamma may be Lorentz's."""
    own = primitive(name, None, lambda z, x: (2.0,), formula=lambda x: x + x)
    program = trace(own)(0.5)
    assert program(np.array([3.0]))[0] == program(mpmath.mpf(3)) == program(flint.arb(3)) == 6.0
    assert program.replay([flint.acb(3)], complex_balls())[0] == 6.0
    assert (run_c(program, [3.0]), program.python()(3.0)) == ([6.0], 6.0)
    for strict in (False, True):
        assert mg.compile(own, strict=strict).value_and_grad(3.0) == (6.0, 2.0)


KINDS = [arrays(), mpmath_numbers(), balls(), complex_balls()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_no_entry_of_a_kind_of_numbers_repeats_what_is_found_by_name(kind: Arithmetic) -> None:
    repeated = [op.name for op in OPS.values() if kind.functions.get(op.name, 0) == kind.named(op)]
    assert repeated == []


BY_NAME = [op for op in OPS.values() if op.name not in complex_balls().functions and complex_balls().named(op)]


@pytest.mark.parametrize("op", thinned([None, *BY_NAME]), ids=lambda op: op.name if op else "lgamma")
@given(
    st.floats(-6.0, 6.0, allow_subnormal=False),
    st.floats(-3.0, 3.0, allow_subnormal=False),
    st.floats(1e-3, 2.0),
)
def test_natives_of_complex_balls_are_holomorphic_where_they_are_finite(
    op: Op | None, x: float, y: float, radius: float
) -> None:
    """The mean of the values around a circle is the one at its centre, which no cut, kink or jump within leaves so."""
    assert is_holomorphic_where_finite(op or lgamma_op(), x, y, radius)


def is_holomorphic_where_finite(op: Op, x: float, y: float, radius: float) -> bool:
    with flint.ctx.workprec(200):
        centre, size = flint.acb(x, y), flint.arb(0, radius)
        function = complex_balls().function(op)
        assert function is not None
        box = function(centre + flint.acb(size, size))
        if not box.is_finite():
            return True
        circle = [function(centre + flint.acb(k / 32).exp_pi_i() * (radius / 4)) for k in range(64)]
        mean = sum(circle, flint.acb(0)) / 64
        return bool(abs(mean - function(centre)) < abs(box).upper() * 1e-30)


def test_a_native_with_a_cut_is_asked_within_the_domain_only() -> None:
    def logarithm(domain: Interval) -> Op:
        on = {"flint complex": "log"}
        return primitive("ln", ops.log.forward, lambda z, x: (ops.div(1.0, x),), domain=[domain], on=on)

    assert not is_holomorphic_where_finite(logarithm(REAL), -1.0, 0.01, 0.5)  # what the domain is for
    for x in (-1.0, 0.2, 0.6, 2.0):
        assert is_holomorphic_where_finite(logarithm(POSITIVE), x, 0.01, 0.5)
    assert derivative(trace(logarithm(POSITIVE))(2.0), 2.0).evidence == "certified"


@pytest.mark.parametrize("strict", [False, True])
def test_a_program_of_an_op_that_was_declared_again_never_gets_the_native_of_the_other(strict: bool) -> None:
    def declare(forward: Callable[[float], float], on: dict[str, Any]) -> Op:
        return primitive("again", forward, lambda z, x: (1.0,), on=on)

    first = trace(declare(math.exp, {"c": "exp"}))(0.5)
    second = trace(declare(math.gamma, {"c": "tgamma"}))(0.5)
    assert run_c(first, [3.0]) == [pytest.approx(math.exp(3.0))]
    assert mg.compile(second, strict=strict, check=False)(3.0) == pytest.approx(2.0)
    with pytest.raises(TypeError, match="two ops are called again"):
        mg.compile(first, strict=strict, check=False)(3.0)
    declare(math.exp, {"c": "exp"})
    assert mg.compile(first, strict=strict, check=False)(3.0) == pytest.approx(math.exp(3.0))
