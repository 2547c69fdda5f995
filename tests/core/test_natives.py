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
from running_c import run_c as run_loops
from test_program import run_c

import microgrid as mg
from microgrid import Interval, Op, Program, Value, grad, jvp, ops, primitive, trace
from microgrid.core.natives import C_FUNCTIONS, KEYS
from microgrid.core.primitive import OPS, POSITIVE, REAL
from microgrid.numbers.balls import balls
from microgrid.numbers.complex_balls import complex_balls
from microgrid.testing import check_gradient, derivative

POINTS = [0.03125, 0.3, 0.75]


def logit_op() -> Op:
    """Declare an op that is its formula."""
    return primitive(
        "logit",
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
