"""The gradient checker: right gradients pass, wrong ones fail with their cause, the rest is undecided and says why."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import random
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from operands import STATIC, point
from programs import KINKED, SMOOTH, functions
from programs import points as points_of
from test_ops import DECREED

import microgrid as mg
from microgrid import OPS, Program, Value, grad, nn, no_grad, ops, trace
from microgrid.core import forward, tree
from microgrid.testing import (
    GradientError,
    assert_detects_wrong_gradient,
    assert_gradient,
    check_gradient,
    derivative,
    mutated,
)
from microgrid.testing.accuracy import worst_ulps
from microgrid.testing.report import Report
from microgrid.testing.strategies import points, programs
from microgrid.testing.subject import Subject

# --- our own gradients ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.data(), functions(of=(*SMOOTH, *KINKED)))
def test_no_false_alarm_on_random_programs(data: st.DataObject, f: Any) -> None:
    at = data.draw(points_of(f.inputs))
    report = check_gradient(f, *at)
    assert report.verdict != "FAIL", report


def test_random_smooth_programs_pass_and_nearly_all_are_certified() -> None:
    rng = random.Random(0)
    checks = []
    for _ in range(150):
        inputs, steps = rng.randint(1, 3), []
        for k in range(rng.randint(1, 20)):
            op = rng.choice(SMOOTH)
            steps.append((op, tuple(rng.randrange(inputs + 1 + k) for _ in range(op.arity))))

        def f(*xs: Any, steps: Any = steps) -> Any:
            known = [*xs, 0.5]
            for op, operands in steps:
                known.append(op(*[known[i] for i in operands]))
            return ops.add(known[-1], ops.mul(0.0, xs[0]))

        checks += check_gradient(f, *[rng.uniform(-2.0, 2.0) for _ in range(inputs)]).checks
    finite = [check for check in checks if math.isfinite(check.analytic) and abs(check.analytic) < 1e100]
    certified = [check for check in finite if check.numerical.evidence == "certified"]
    assert len(certified) >= 0.98 * len(finite)
    assert {check.verdict for check in certified} == {"PASS"}


def test_a_right_rule_lost_to_cancellation_is_told_from_a_wrong_one() -> None:
    report = check_gradient(lambda x: (1 - mg.cos(x)) / x**2, 1e-4)
    (check,) = report.checks
    assert report.verdict == "PASS"
    assert check.rule is True
    assert check.analytic == pytest.approx(4.4e-5, rel=0.01)
    assert float(check.numerical.middle or 0) == pytest.approx(-8.33e-6, rel=0.01)
    assert "lost to cancellation" in str(report)


def test_kinks_are_undecided_with_both_slopes() -> None:
    for f in (mg.relu, mg.abs, lambda x: mg.maximum(x, 2 * x), lambda x: mg.exp(mg.abs(x))):
        report = check_gradient(f, 0.0)
        assert report.verdict == "UNDECIDED"
        assert re.search(r"a kink with slopes \S+ and \S+; the gradient is one of those between", str(report))
    assert check_gradient(mg.relu, 0.0, gradient=[0.5]).verdict == "UNDECIDED"
    wrong = check_gradient(mg.relu, 0.0, gradient=[-0.5])
    assert wrong.verdict == "FAIL"
    assert "outside of them" in str(wrong)
    assert check_gradient(lambda x: mg.maximum(x, x), 1.0).verdict == "PASS"


def test_a_tie_whose_choice_is_not_the_slope_of_the_whole_is_undecided() -> None:
    def f(x: Any) -> Any:
        return mg.maximum(x, mg.floor(x))  # the identity from -1 on, by the greater of two equal numbers there

    report = check_gradient(f, -1.0)
    assert report.checks[0].analytic == 0.5
    assert report.verdict == "UNDECIDED"
    assert "at a kink of one of its ops" in str(report)
    assert check_gradient(f, -1.0, gradient=[1.0]).verdict == "PASS"
    tiny = check_gradient(lambda x: mg.maximum(0.5, mg.hypot(x, 0.5)), 2.2e-309)  # a tie in floats only
    assert tiny.verdict != "FAIL"
    assert check_gradient(lambda x: mg.atan((x + 0.5) % mg.minimum(x, x)), 0.558264076804031).verdict == "PASS"


def test_an_infinite_result_on_the_way_is_undecided() -> None:
    report = check_gradient(lambda x: ops.atan(ops.cbrt(1.0 / (2.0 / x))), 0.0)
    assert math.isnan(report.checks[0].analytic)
    assert report.verdict == "UNDECIDED"


def squared_often(x: Any) -> Any:
    for _ in range(40):
        x = x * x
    return x


@pytest.mark.parametrize(
    ("f", "x", "verdict"),
    [
        (squared_often, 0.3, "PASS"),
        (squared_often, 1.5, "UNDECIDED"),
        (lambda x: squared_often(mg.relu(x) + 1.5), 0.0, "UNDECIDED"),
        (lambda x: mg.exp(mg.exp(mg.exp(mg.exp(x)))), 3.0, "UNDECIDED"),
        (lambda x: mg.floor(mg.exp(mg.exp(mg.exp(mg.exp(x))))) + mg.relu(x - 3.0), 3.0, "UNDECIDED"),
        (lambda x: 1 / mg.exp(mg.exp(mg.exp(mg.exp(x)))), 3.0, "PASS"),
        (lambda x: x * 0.0 + mg.exp(mg.exp(mg.exp(mg.exp(3.0 + 0.0 * mg.relu(x))))), 0.0, "UNDECIDED"),
        (lambda x: mg.relu(x) + mg.exp(mg.exp(mg.exp(3.0 + x * 0.0))), 0.0, "UNDECIDED"),
    ],
)
def test_numbers_that_would_fill_the_memory_do_not(f: Any, x: float, verdict: str) -> None:
    assert check_gradient(f, x).verdict == verdict


def test_an_edge_of_the_domain_is_undecided() -> None:
    for f in (mg.sqrt, mg.log, lambda x: 1 / x):
        assert check_gradient(f, 0.0).verdict == "UNDECIDED"


def test_second_derivatives_are_checked() -> None:
    report = check_gradient(lambda p: mg.sigmoid(p[0]) * p[1] ** 3, [0.3, 2.0], order=2)
    assert report.verdict == "PASS"
    assert [check.name for check in report.checks] == [f"d/d{a} d/d{b}" for a in ("p_0", "p_1") for b in ("p_0", "p_1")]
    with mutated(ops.sigmoid):
        assert check_gradient(lambda p: mg.sigmoid(p[0]) * p[1] ** 3, [0.3, 2.0], order=2).verdict == "FAIL"


@pytest.mark.parametrize("f", [lambda x: (x * x).sum(), lambda x: (x * 2)[0] ** 3 + len(x), lambda x: (x + x).sum()])
def test_second_derivatives_of_a_function_of_arrays_are_taken_on_arrays(f: Callable[..., Any]) -> None:
    np = pytest.importorskip("numpy")
    at = np.array([1.0, 2.0])
    report = check_gradient(f, at, order=2)
    assert report.verdict == "PASS"
    expected = mg.hessian(lambda x: f(np.array(x)))([1.0, 2.0])
    assert [check.analytic for check in report.checks] == [*expected[0], *expected[1]]
    assert [float(derivative(f, at, along=i).middle or 0.0) for i in (0, 1)] == [c.analytic for c in _first(f, at)]
    with pytest.raises(ValueError, match="order=2 checks the engine's own"):
        check_gradient(f, at, order=2, gradient=[[2.0, 0.0], [0.0, 2.0]])


def _first(f: Callable[..., Any], at: Any) -> list[Any]:
    report = check_gradient(f, at)
    assert report.verdict == "PASS"
    return report.checks


def test_a_network_passes() -> None:
    model = nn.MLP(2, [4, 1], activation="tanh")
    program = mg.Program.of((model([0.5, -1.0]) - 1.0) ** 2, [model.parameters()])
    report = check_gradient(program, [p.data for p in model.parameters()])
    assert report.verdict == "PASS"
    assert len(report.checks) == len(model.parameters())


# --- wrong rules and wrong engines ---------------------------------------------------------------------------------

RULES = [
    (op, i)
    for op in OPS.values()
    for i in range(op.arity - op.static)
    if op.name not in "sign floor ceil trunc round floor_divide greater equal multiply_no_nan zero_product".split()
    and op.name not in DECREED
    and not (op.name == "where" and i == 0)
    and not (op.name == "copysign" and i == 1)
    and not (op.name == "tied_maximum" and i == 2)
]


@pytest.mark.parametrize(("op", "operand"), RULES, ids=lambda x: getattr(x, "name", str(x)))
def test_every_rule_wrong_by_one_part_in_1e12_fails(op: Any, operand: int) -> None:
    at = point(op)
    if op.name in ("maximum", "tied_maximum") and operand == 1:
        at = (0.25, 0.625, 0.5)[: op.arity]
    if op.name == "clip" and operand > 0:
        at = (0.125, 0.25, 0.5) if operand == 1 else (0.75, 0.25, 0.5)
    if op.name == "minimum" and operand == 0:
        at = (0.25, 0.625)
    if op.name == "where" and operand == 2:
        at = (0.0, 0.625, 0.5)
    static = STATIC.get(op.name, ())

    def f(*xs: Any) -> Any:
        return op(*xs, *static)

    assert check_gradient(f, *at).checks[operand].verdict == "PASS"
    with mutated(op, operand):
        report = check_gradient(f, *at)
    assert report.checks[operand].verdict == "FAIL"
    assert "one is wrong" in report.checks[operand].reason


@pytest.mark.parametrize("name", ["tanh", "atan2", "constant_power"])
def test_a_rule_is_mutated_once_even_where_nothing_has_used_it_yet(name: str) -> None:
    """In a fresh process the text of a rule on floats is made at its first use, here while the rule is wrong."""
    op = OPS[name]
    at = (0.3, 0.5, 2.0)[: op.arity]
    program = f"""
from microgrid.core.primitive import OPS
import microgrid.ops
from microgrid.testing import mutated
op = OPS[{name!r}]
z = op.forward(*{at})
with mutated(op, delta=1e-3):
    wrong = op.float_partials(z, *{at})[0]
print(wrong == op.float_partials(z, *{at})[0] * (1 + 1e-3))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_each_rule_that_matters_in_a_function_is_tried() -> None:
    tried = assert_detects_wrong_gradient(lambda x, y: mg.tanh(x * y) / x + mg.exp(-x) ** 2, 0.3, 2.0)
    assert set(tried) == {
        *[(name, i) for name in ("mul", "div", "add") for i in (0, 1)],
        *[(name, 0) for name in ("tanh", "exp", "neg", "constant_power")],
    }
    with pytest.raises(AssertionError, match="by 1 \\+ 1e-40, and passed"):
        assert_detects_wrong_gradient(mg.sin, 0.3, delta=1e-40)


def test_wrong_accumulation_is_told_from_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrid.testing import checker as check

    real = check._by_backward
    monkeypatch.setattr(check, "_by_backward", lambda *args: [0.5 * g for g in real(*args)])
    report = check_gradient(lambda x: mg.sin(x) * x, 0.3)
    assert report.verdict == "FAIL"
    assert "all rules are right: accumulation or order is wrong" in str(report)
    assert report.cause == "ratio 0.5: one of two contributions is missing"


def seen_again(report: Report) -> Report:
    """The report on the smallest case, by what the culprit's text says to type; ops stand under their names."""
    names: dict[str, Any] = {**OPS, "inf": math.inf, "nan": math.nan, "check_gradient": check_gradient}
    shown, _, line = report.culprit.partition("to see it: ")
    if "shows it:\n" in shown:
        exec(shown.partition("shows it:\n")[2], names)
    again: Report = eval(line, names)
    return again


def test_the_culprit_is_named_and_what_is_printed_runs() -> None:
    with mutated(ops.tanh, delta=1e-3):
        report = check_gradient(lambda x, y: mg.tanh(x * y) / x, 0.3, 2.0)
        assert report.culprit.startswith("culprit: the rule of tanh, by its operand 0, at tanh(0.6): it is 0.712289")
        assert report.culprit.endswith("\nto see it: check_gradient(lambda x0: tanh(x0), 0.6)")
        assert seen_again(report).verdict == "FAIL"
    assert check_gradient(lambda x, y: mg.tanh(x * y) / x, 0.3, 2.0).culprit == ""


def planted(bug: str) -> Callable[[Subject], list[float]]:
    """The engine's backward pass with a bug, in the place where the checker calls it."""
    from machine import faulty

    def backward(subject: Subject) -> list[float]:
        leaves = [Value(x) for x in subject.numbers]
        faulty(bug)(subject(leaves), 1.0)
        return [leaf.grad for leaf in leaves]

    return backward


@pytest.mark.parametrize(
    ("bug", "f", "at", "operations"),
    [
        ("= for +=", lambda x, y: mg.exp(x * y) + mg.sin(x) * y, (0.3, 2.0), 4),
        ("x * x counted once", lambda x, y: mg.sin(x * y) + x * x * y, (0.3, 2.0), 1),
        ("breadth-first order", lambda x: (lambda a: a + mg.exp(mg.tanh(a)))(mg.sin(x)), (0.3,), 4),
    ],
)
def test_a_bug_of_the_engine_is_found_and_made_small(
    monkeypatch: pytest.MonkeyPatch, bug: str, f: Any, at: Any, operations: int
) -> None:
    from microgrid.testing import checker as check

    monkeypatch.setattr(check, "_by_backward", planted(bug))
    report = check_gradient(f, *at)
    assert report.verdict == "FAIL"
    assert "no rule is wrong, so it is accumulation or order" in report.culprit
    again = seen_again(report)
    assert again.verdict == "FAIL"
    assert again.program is not None
    assert len(again.program.instructions) <= operations


PLANTED: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "wrong operand": ("div", "partials", lambda z, x, y, div=operator.truediv: (div(1.0, x), div(-z, y))),
    "missing square": ("div", "partials", lambda z, x, y, div=operator.truediv: (div(1.0, y), div(-x, y))),
    "an epsilon in a rule": ("softplus", "partials", lambda z, x: (ops.sigmoid(x) + 1e-9,)),
    "an epsilon in a log": ("log", "forward", lambda x: math.log(x + 1e-9) if x > 0.0 else math.nan),
    "kink moved": ("relu", "forward", lambda x: x if x > 1e-3 else 0.0),
    "kink moved, in the rule": ("relu", "partials", lambda z, x: (1.0 if x > 1e-3 else 0.0,)),
}


QUICK = ("missing square", "an epsilon in a log", "kink moved, in the rule")  # one of each kind


@pytest.mark.slow
@pytest.mark.parametrize("bug", [pytest.param(bug, marks=() if bug in QUICK else pytest.mark.slow) for bug in PLANTED])
def test_a_planted_wrong_op_is_found_in_random_programs_and_made_small(bug: str) -> None:
    name, attribute, wrong = PLANTED[bug]
    op = OPS[name]
    of = [OPS[other] for other in dict.fromkeys((name, "mul", "add", "tanh", "exp", "sin"))]  # the same order each time
    cases = programs(ops=of, max_size=6).flatmap(lambda p: st.tuples(st.just(p), points(p, min_value=-1.0)))
    close = programs(ops=of, max_size=6).flatmap(lambda p: st.tuples(st.just(p), points(p, max_value=1e-3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(op, attribute, wrong)
        on_floats = functools.partial(wrong, div=forward.div) if name == "div" else wrong
        patch.setattr(op, f"float_{attribute}", on_floats)
        program, at = find(
            close if "kink" in bug else cases,
            lambda case: check_gradient(case[0], *case[1]).verdict == "FAIL",
            settings=settings(max_examples=5000, database=None, deadline=None),
            random=random.Random(0),  # to make one small takes a second or a minute, as it happens
        )
        report = check_gradient(program, *at)
        assert report.value or seen_again(report).verdict == "FAIL"
    assert len(program.instructions) <= 4
    assert name in (report.value or report.culprit)
    assert check_gradient(program, *at).verdict != "FAIL"


def test_where_rounding_takes_another_branch_it_is_undecided() -> None:
    report = check_gradient(lambda x, y: mg.copysign(mg.atan(x), 2.0 % y), -1.75, -2.0)  # 2.0 % -2.0 is -0.0
    assert report.verdict == "UNDECIDED"
    assert "another branch" in str(report)


def test_where_pythons_own_branch_stands_at_its_edge_it_is_undecided() -> None:
    at_its_edge: list[tuple[Callable[..., Any], tuple[float, ...]]] = [
        (lambda x: x if x > 0.0 else -x, (0.0,)),
        (lambda x: x * 0.0 if x >= 2.0 and x <= 2.0 else x, (2.0,)),
        (lambda x: x * x if x else x, (0.0,)),
        (min, (1.0, 1.0)),
    ]
    for f, at in at_its_edge:
        assert "at a tie" in str(trace(f)(*at).fixed)
        report = check_gradient(f, *at)
        assert report.verdict != "PASS", report
        assert "at a tie" in str(report)
        assert check_gradient(f, *at, gradient=[0.0, 1.0][-len(at) :]).verdict != "PASS"
    assert check_gradient(lambda x: x if x > 0.0 else -x, 1e-300).verdict == "PASS"
    assert check_gradient(trace(lambda x: x if x > 0.0 else -x)(0.0), 0.0).verdict == "PASS"  # a program has one path


def test_a_gradient_of_nan_at_a_kink_is_undecided() -> None:
    report = check_gradient(lambda x: mg.sqrt(x * x), 0.0)
    assert math.isnan(report.checks[0].analytic)
    assert report.verdict == "UNDECIDED"


def test_no_claim_passes_where_the_slope_is_infinite() -> None:
    steep: list[tuple[Callable[..., Any], float]] = [
        (mg.cbrt, 0.0),
        (lambda x: mg.cbrt(x - 1.0), 1.0),
        (lambda x: mg.sign(x) * mg.abs(x) ** 0.97, 0.0),
    ]
    for f, at in steep:
        report = check_gradient(f, at, gradient=[5.0])
        assert report.verdict == "UNDECIDED"
        assert "grows without bound" in str(report)


def test_what_is_done_under_no_grad_is_no_constant() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            y = x * x
        return y * x

    report = check_gradient(f, 2.0)
    assert report.verdict == "FAIL"
    assert "a number was read out of the graph" in report.culprit
    assert check_gradient(f, 2.0, gradient=[4.0]).verdict == "FAIL"
    assert check_gradient(f, 2.0, gradient=[12.0]).verdict == "UNDECIDED"
    neuron = nn.Neuron(1)
    assert check_gradient(lambda x: no_grad()(neuron)([x]) + x, 2.0).verdict != "PASS"


def test_a_check_neither_heeds_nor_touches_what_is_around_it() -> None:
    w = Value(2.0)
    w.grad = 7.0
    with no_grad():
        assert check_gradient(lambda x: x * w, 3.0).verdict == "PASS"
    with mg.detect_anomaly():
        assert check_gradient(lambda x: mg.sqrt(x) * w, 0.0).verdict == "UNDECIDED"
    assert w.grad == 7.0


def test_an_op_of_ones_own_is_held_to_its_formula_beside_the_point() -> None:
    op = mg.primitive("agrees_at_1", lambda x: x * x, lambda z, x: (3.0 * x * x,), formula=lambda x: x * x * x)
    try:
        report = check_gradient(op, 1.0)
        assert report.verdict == "FAIL"
        assert "agrees_at_1(0.999) gave 0.998001, but is 0.997" in report.value
    finally:
        del OPS["agrees_at_1"]


def test_the_negative_control_takes_arrays() -> None:
    np = pytest.importorskip("numpy")
    tried = assert_detects_wrong_gradient(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]))
    assert ("mul", 0) in tried
    with pytest.raises(TypeError, match=r"a black box.* no rules"):
        assert_detects_wrong_gradient(math.sin, 2.0)


# --- black boxes ---------------------------------------------------------------------------------------------------


def test_a_black_box_that_is_flat_on_the_scale_of_its_point_is_not_taken_for_constant() -> None:
    tiny = 1.1754943508222875e-38
    assert check_gradient(lambda x: math.exp(float(x)) - 1.0, tiny, gradient=[1.0]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: math.exp(float(x)) - 1.0, tiny, gradient=[3.0]).verdict == "FAIL"
    assert check_gradient(lambda x: max(float(x), 0.0), tiny, gradient=[1.0]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: 1e-30 * float(x), tiny, gradient=[1e-30]).verdict == "UNDECIDED"


@pytest.mark.parametrize("x", [5e-324, -5e-324, 1e-310])
def test_a_black_box_may_be_checked_next_to_zero(x: float) -> None:
    assert check_gradient(lambda x: math.sin(float(x)), x, gradient=[1.0]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: math.sin(float(x)), x, gradient=[2.0]).verdict == "FAIL"


def test_a_black_box_is_never_passed() -> None:
    def f(x: float) -> float:
        return math.exp(math.sin(x))

    right = check_gradient(f, 0.3, gradient=[math.cos(0.3) * math.exp(math.sin(0.3))])
    assert right.verdict == "UNDECIDED"
    assert "on floats only, which prove nothing: a black box" in str(right)
    assert "write v.sin(), microgrid.sin(v) or numpy.sin(v), not math.sin(v)" in str(right)
    assert f"at {__file__}:" in str(right)
    wrong = check_gradient(f, 0.3, gradient=lambda x: math.exp(math.sin(x)))
    assert wrong.verdict == "FAIL"
    assert check_gradient(lambda x: math.fabs(x), 0.0, gradient=[1.0]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: 1e8 + math.sin(x), 0.3, gradient=[math.cos(0.3)]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: math.log(x), 0.0, gradient=[math.inf]).verdict == "UNDECIDED"
    with pytest.raises(TypeError, match=r"is a black box.* claim yours with gradient="):
        check_gradient(f, 0.3)


@settings(deadline=None, max_examples=60)
@given(st.data(), programs(max_size=8))
def test_a_black_box_raises_no_false_alarm(data: st.DataObject, program: Program) -> None:
    at = data.draw(points(program))
    slopes = program.gradient().replay(at)
    if all(map(math.isfinite, slopes)):
        report = check_gradient(lambda *xs: program(*map(float, xs)), *at, gradient=slopes)
        assert report.verdict == "UNDECIDED", report


def test_a_number_read_out_of_the_graph_is_found_and_said() -> None:
    """Replayed in more digits it would stay what it was, and the function be another one."""

    def f(x: Any) -> Any:
        return x * math.exp(x.data)

    report = check_gradient(f, 0.3)
    assert report.verdict == "FAIL"
    assert "x was read as 0.3" in str(report)
    assert "a number was read out of the graph" in report.culprit
    assert check_gradient(f, 0.3, gradient=[1.3 * math.exp(0.3)]).verdict == "UNDECIDED"
    assert check_gradient(lambda x: mg.sin(x) if x.data < 5.0 else x, 0.3).verdict == "UNDECIDED"


def test_an_op_that_only_floats_have_is_undecided() -> None:
    op = mg.primitive("only_floats", lambda x: math.sin(x), lambda z, x: (mg.cos(x),))
    try:
        report = check_gradient(lambda x: op(x) * 2.0, 0.3)
        assert report.verdict == "UNDECIDED"
        assert "only_floats computes floats only" in str(report)
    finally:
        del OPS["only_floats"]


def test_without_the_libraries_the_evidence_is_weaker_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)  # as if it were not installed
    assert check_gradient(mg.tanh, 0.3).checks[0].numerical.evidence == "50 digits"
    with mutated(ops.tanh):
        assert check_gradient(mg.tanh, 0.3).verdict == "FAIL"
    monkeypatch.setitem(sys.modules, "mpmath", None)
    report = check_gradient(mg.tanh, 0.3)
    assert report.verdict == "UNDECIDED"
    assert "pip install hypothesis mpmath python-flint" in str(report)
    rational = check_gradient(lambda x: x * x / 3.0, 0.3)
    assert (rational.verdict, rational.checks[0].numerical.evidence) == ("PASS", "exact")


# --- what a person claims ------------------------------------------------------------------------------------------


def test_claims_come_as_lists_functions_and_arrays() -> None:
    np = pytest.importorskip("numpy")

    def f(w: Any, b: Any) -> Any:
        return mg.dot(w[0], [1.0, 2.0]) * b + w[1][0] ** 2

    w, b = [[0.5, -0.25], [3.0]], 2.0
    for claim in (
        [[[2.0, 4.0], [6.0]], 0.0],
        {"w": (np.array([2.0, 4.0]), np.array([6.0])), "b": np.float64(0.0)},
        lambda w, b: ([[b, 2 * b], [2 * w[1][0]]], w[0][0] + 2 * w[0][1]),
    ):
        assert check_gradient(f, w, b, gradient=claim).verdict == "PASS"
    with pytest.raises(ValueError, match=r"4 number\(s\), the claimed gradient 2"):
        check_gradient(f, w, b, gradient=[1.0, 2.0])


def test_a_claim_is_matched_by_its_keys_and_shape() -> None:
    def f(p: Any) -> Any:
        return p["a"] ** 2 * p["b"]

    at = {"a": 2.0, "b": 3.0}
    assert check_gradient(f, at, gradient={"b": 4.0, "a": 12.0}).verdict == "PASS"
    assert check_gradient(f, at, gradient={"b": 12.0, "a": 4.0}).verdict == "FAIL"
    assert check_gradient(lambda x, y: x**2 * y, 2.0, 3.0, gradient={"y": 4.0, "x": 12.0}).verdict == "PASS"
    for wrong in ({"z": 12.0, "q": 4.0}, [12.0, 4.0]):
        with pytest.raises(ValueError, match="the claimed gradient is structured"):
            check_gradient(f, at, gradient=wrong)
    with pytest.raises(ValueError, match="the claimed gradient is structured"):
        check_gradient(lambda w: w[0][0] * w[1][0], [[1.0], [2.0]], gradient=[[2.0, 1.0]])


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ((2, 3), r"the gradient of w has the shape \(2, 3\), w itself \(3, 2\): it is transposed$"),
        ((2, 2), r"the gradient of w has the shape \(2, 2\), w itself \(3, 2\)$"),
    ],
)
def test_an_array_of_another_shape_than_its_argument_is_named(claimed: tuple[int, ...], said: str) -> None:
    np = pytest.importorskip("numpy")
    w, v = np.ones((3, 2)), np.ones(2)
    with pytest.raises(ValueError, match=said):
        check_gradient(lambda v, w: (w @ v).sum(), v, w, gradient=(np.full(2, 3.0), np.ones(claimed)))
    with pytest.raises(ValueError, match=said):
        check_gradient(lambda w: w.sum(), w, gradient=np.ones(claimed))


def test_a_comparison_with_an_equal_number_is_said() -> None:
    """Nearby, the other branch is taken."""
    report = check_gradient(lambda x: x * 3 if x == 2.0 else x * x, 2.0)
    assert report.verdict != "PASS"
    assert "x == 2.0 was True, at a tie" in str(report)


def test_a_number_that_leaks_by_its_text_is_found() -> None:
    assert check_gradient(lambda x: x + float(f"{x:.9f}") ** 2, 3.0).verdict == "FAIL"


def test_a_function_that_gives_something_else_each_time_is_refused() -> None:
    with pytest.raises(ValueError, match="two calls of <lambda> at the same point gave"):
        check_gradient(lambda x: x * random.random(), 1.0)


@pytest.mark.parametrize("at", [(), ([],), ({"w": []},)])
def test_without_numbers_there_is_nothing_to_check(at: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="<lambda> is to be checked at no numbers"):
        check_gradient(lambda *args: Value(1.0), *at)


def test_a_gradient_that_is_taken_out_of_the_graph_on_the_way_is_seen() -> None:
    def force(x: Value) -> Value:
        energy = x * x * x
        energy.backward()
        return x.grad * x

    report = check_gradient(force, 2.0)
    assert report.verdict == "FAIL"
    assert "a number was read out of the graph" in str(report)
    assert "the grad of x was read as 12.0" in str(report)
    with pytest.raises(TypeError, match=r"it reads the \.grad of x, at .*test_check.py:\d+; take microgrid.grad"):
        mg.compile(force)(2.0)


@pytest.mark.parametrize("at", [-2.0, 3.0])
def test_a_rule_that_branches_is_judged_where_the_point_is(at: float) -> None:
    right = mg.primitive("bent", lambda x: x * x, lambda z, x: (2.0 * x if x > 0.0 else -2.0 * -x,))
    wrong = mg.primitive("bent_wrong", lambda x: x * x, lambda z, x: (2.0 * x if x > 0.0 else 1.0,))
    try:
        assert check_gradient(lambda x: right(x) * x, at).verdict == "PASS"
        assert worst_ulps(mg.trace(right)(at), [at]) == {"bent": 0.0}
        report = check_gradient(lambda x: wrong(x) * x, at)
        assert report.verdict == ("PASS" if at > 0.0 else "FAIL")
    finally:
        del OPS["bent"], OPS["bent_wrong"]


def test_a_rule_that_reads_the_number_is_told_as_such() -> None:
    op = mg.primitive("reading", lambda x: x * x, lambda z, x: ((2.0 * x.data if isinstance(x, Value) else 2.0 * x),))
    try:
        report = check_gradient(op, 1.0)
        assert report.verdict == "FAIL"
        assert "does one read .data?" in str(report)
    finally:
        del OPS["reading"]


def test_digits_that_were_lost_are_named() -> None:
    slope = math.cos(0.3) * (1 + 2e-7)
    assert "as in float32 or by differences" in check_gradient(mg.sin, 0.3, gradient=[slope]).cause


def test_a_claim_wrong_by_one_part_in_1e11_fails() -> None:
    slope = 1 - math.tanh(0.3) ** 2
    assert check_gradient(mg.tanh, 0.3, gradient=[slope]).verdict == "PASS"
    assert check_gradient(mg.tanh, 0.3, gradient=[slope * (1 + 1e-11)]).verdict == "FAIL"
    for nonsense in (math.nan, math.inf, 0.0):
        assert check_gradient(mg.tanh, 0.3, gradient=[nonsense]).verdict == "FAIL"


def test_a_failure_raises_with_the_report() -> None:
    with pytest.raises(GradientError) as caught:
        assert_gradient(lambda x, y: x * y, 3.0, 2.0, gradient=[2.0, -3.0])
    text = str(caught.value)
    for part in ("FAIL: the gradient", "-3", "certified", "ratio -1: a sign", "def f(x, y):"):
        assert part in text
    assert caught.value.report.checks[0].verdict == "PASS"
    assert "<table>" in caught.value.report._repr_html_()
    assert_gradient(lambda x, y: x * y, 3.0, 2.0)


# --- the mistakes of the texts -------------------------------------------------------------------------------------
# Each builds the text's network, claims the gradient that the text computes, and must be found out.

X4, Y4 = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]


def sigmoid(z: Any) -> Any:
    import numpy as np

    return 1.0 / (1.0 + np.exp(-z))


def parameters_of_xor() -> tuple[Any, ...]:
    import numpy as np

    rng = np.random.default_rng(3)
    return rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=4), float(rng.normal())


def xor_loss(kind: str) -> Callable[..., Any]:
    """Return the loss of a 2 - 4 - 1 network of sigmoids on XOR: the mean cross-entropy, or half the mean square."""

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        terms = []
        for x, y in zip(X4, Y4, strict=True):
            hidden = [mg.sigmoid(mg.dot(w, x) + b) for w, b in zip(w1, b1, strict=True)]
            out = mg.dot(w2, hidden) + b2
            terms.append(mg.softplus(out) - y * out if kind == "cross-entropy" else 0.5 * (mg.sigmoid(out) - y) ** 2)
        return mg.mean(terms)

    return loss


def xor_gradient(delta: Callable[..., Any], *, inner: str = "right", scale: float = 1.0) -> Callable[..., Any]:
    """A hand-written backward pass in NumPy; delta(a2, y) is what it starts from at the output's pre-activation."""
    import numpy as np

    def gradient(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        w1, b1, w2 = np.array(w1), np.array(b1), np.array(w2)
        x, y = np.array(X4), np.array(Y4)
        z1 = x @ w1.T + b1
        a1 = sigmoid(z1)
        d2 = delta(sigmoid(a1 @ w2 + b2), y) * scale / 4
        slope = {"of z": z1 * (1 - z1), "none": 1.0}.get(inner, a1 * (1 - a1))
        weights = 1.0 if inner == "without weights" else w2
        d1 = np.outer(d2, weights * np.ones(4)) * slope
        return d1.T @ x, d1.sum(axis=0), a1.T @ d2, d2.sum()

    return gradient


def checked(loss: Callable[..., Any], gradient: Callable[..., Any]) -> Any:
    w1, b1, w2, b2 = parameters_of_xor()
    return check_gradient(loss, w1.tolist(), b1.tolist(), w2.tolist(), b2, gradient=gradient)


def test_a_right_hand_written_network_passes() -> None:
    pytest.importorskip("numpy")
    assert checked(xor_loss("cross-entropy"), xor_gradient(lambda a, y: a - y)).verdict == "PASS"
    assert checked(xor_loss("squares"), xor_gradient(lambda a, y: (a - y) * a * (1 - a))).verdict == "PASS"


@pytest.mark.parametrize(
    ("mistake", "loss", "gradient", "cause"),
    [
        ("000: y - y_hat", "squares", lambda: xor_gradient(lambda a, y: (y - a) * a * (1 - a)), "ratio -1: a sign"),
        ("003: minus twice", "cross-entropy", lambda: xor_gradient(lambda a, y: y - a), "ratio -1: a sign"),
        (
            "003: divides by m twice",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: a - y, scale=0.25),
            "ratio 0.25: a mean over 4 taken once too often",
        ),
        (
            "001: twice at the second layer",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: a - y, scale=2.0),
            "ratio 2: counted twice",
        ),
        (
            "a sum for a mean",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: a - y, scale=4.0),
            "ratio 4: a sum against a mean over 4",
        ),
        (
            "000 and 003: sigmoid' of the pre-activation",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: a - y, inner="of z"),
            "the slope of sigmoid, layer 1 of 2, is taken at the pre-activation: z (1 - z)",
        ),
        (
            "002 and 003: another loss's delta",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: (a - y) * a * (1 - a)),
            "the delta of half squares, (a - y) a (1 - a), is used with cross-entropy",
        ),
        (
            "004: the hidden layer without the activation's derivative",
            "cross-entropy",
            lambda: xor_gradient(lambda a, y: a - y, inner="none"),
            "the slope of sigmoid, layer 1 of 2, is missing",
        ),
    ],
)
def test_the_mistakes_of_the_texts_are_found(
    mistake: str, loss: str, gradient: Callable[[], Callable[..., Any]], cause: str
) -> None:
    pytest.importorskip("numpy")
    report = checked(xor_loss(loss), gradient())
    assert report.verdict == "FAIL", mistake
    assert report.cause.startswith(cause), report.cause
    assert f"{'mistake' if report.mistakes else 'likely cause'}: {report.cause}" in str(report)


def test_where_no_ratio_is_common_each_argument_is_told_apart() -> None:
    pytest.importorskip("numpy")
    gradient = xor_gradient(lambda a, y: a - y)

    def claimed(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        dw1, db1, dw2, db2 = gradient(w1, b1, w2, b2)
        return dw1 * (1.1 + dw1), db1 * (1.1 + db1), dw2, db2  # nobody's mistake

    report = checked(xor_loss("cross-entropy"), claimed)
    assert report.mistakes == []
    assert re.search(r"w1: no common ratio; the cosine .*; b1: .*; w2 is right; b2 is right$", report.cause)


def test_a_factor_is_told_with_the_arguments_that_have_it() -> None:
    def cause(f: Callable[..., Any], *gradient: float) -> str:
        return check_gradient(f, 2.0, 3.0, gradient=gradient).cause

    assert cause(lambda x, y: mg.sin(x) * mg.exp(y), 7 * math.cos(2) * math.exp(3), math.sin(2) * math.exp(3)) == (
        "ratio 7: a sum against a mean over 7, in x only"
    )
    assert cause(lambda x, y: mg.sin(x) + 0 * y, 7 * math.cos(2), 0.0) == "ratio 7: a sum against a mean over 7"


def test_a_sum_over_all_later_layers_counts_layers_twice_and_four_times() -> None:
    """001: dL/da(l) summed over all later layers: 1, 1, 2, 4 times what it is, from the last layer to the first."""

    def f(w1: Any, w2: Any, w3: Any, w4: Any) -> Any:
        a = 0.5
        for w in (w1, w2, w3, w4):
            a = mg.tanh(w * a)
        return a

    at = (0.7, -1.1, 0.4, 0.9)

    def gradient(*ws: float) -> list[float]:
        activations = [0.5]
        for w in ws:
            activations.append(math.tanh(w * activations[-1]))
        upstream, claimed = [1.0], []  # of the activations, from the last to the first
        for layer in (3, 2, 1, 0):
            delta = upstream[-1] * (1 - activations[layer + 1] ** 2)
            claimed.append(delta * activations[layer])
            to_here = [delta * ws[layer]]  # the right term; and those of all later layers, carried on down
            carried = upstream[1:] and upstream[-1] * (1 - activations[layer + 1] ** 2) * ws[layer]
            upstream.append(to_here[0] + (carried or 0.0))
        return claimed[::-1]

    report = check_gradient(f, *at, gradient=gradient)
    assert [round(check.ratio, 9) for check in report.checks] == [4.0, 2.0, 1.0, 1.0]
    assert "w1: ratio 4: " in report.cause
    assert "w2: ratio 2: counted twice" in report.cause
    assert "w3 is right; w4 is right" in report.cause


def test_mean_squares_taken_for_cross_entropy_are_some_four_times_off_at_a_small_start() -> None:
    """002: 10 - 20 - 5 sigmoids, 0.01 randn; the code's delta is a - y, which is right for cross-entropy only."""
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=3), rng.integers(0, 2, size=2).astype(float)
    w = 0.01 * rng.normal(size=(2, 3))

    def loss(w: Any) -> Any:
        return mg.sum([0.5 * (mg.sigmoid(mg.dot(row, list(x))) - t) ** 2 for row, t in zip(w, y, strict=True)])

    report = check_gradient(loss, w, gradient=lambda w: np.outer(sigmoid(w @ x) - y, x))
    assert report.verdict == "FAIL"
    assert all(3.9 < check.ratio < 4.1 for check in report.checks)
    assert report.cause == "the slope of sigmoid is missing: a - y is the delta of cross-entropy only"


def test_the_hidden_factor_without_the_weights_is_found() -> None:
    """004: delta of a hidden layer as f'(z) times the next delta, without the weights between."""
    pytest.importorskip("numpy")
    report = checked(xor_loss("cross-entropy"), xor_gradient(lambda a, y: a - y, inner="without weights"))
    assert report.verdict == "FAIL"
    assert report.cause == "the delta goes back without w2"


def test_a_missing_key_of_a_gradient_is_said() -> None:
    """003: parameters looked up under names that the gradients do not have."""
    with pytest.raises(ValueError, match="the arguments have 2 number"):
        check_gradient(lambda p: p["w1"] * p["b1"], {"w1": 1.0, "b1": 2.0}, gradient={"w1": 2.0})


def test_a_missing_activation_derivative_is_named() -> None:
    """004: da/dW = a, without f'(z): off by 1 / f'(z), 15.08 times there."""
    z = 2.7

    def f(w: Any) -> Any:
        return mg.sigmoid(w * 3.0)

    a = 1 / (1 + math.exp(-z))
    report = check_gradient(f, z / 3.0, gradient=[3.0])
    assert report.cause == "the slope of sigmoid is missing"
    assert report.checks[0].ratio == pytest.approx(1 / (a * (1 - a)))
    again = check_gradient(f, z / 3.0, gradient=[3.0 * (a * (1 - a)) ** 2])
    assert again.cause == "the slope of sigmoid stands twice"


def test_a_detached_value_is_named() -> None:
    """002: the layer's input differentiated by its own weights."""
    report = check_gradient(lambda w: mg.sigmoid(w * 3.0), 0.2, gradient=[0.0])
    assert report.cause == "ratio 0: a detached value, or a branch that was left out"


# --- reports -------------------------------------------------------------------------------------------------------


def test_a_branch_that_was_not_taken_is_said_to_be_unchecked() -> None:
    def f(x: Any) -> Any:
        return x * x if x > 0 else -x

    assert "fixed while tracing, so only this path was checked: x > 0 was True" in str(check_gradient(f, 2.0))


def test_without_a_proof_the_evidence_says_so() -> None:
    by_digits = check_gradient(mg.tanh, 0.3, reference="mpmath")
    assert (by_digits.verdict, by_digits.checks[0].numerical.evidence) == ("PASS", "50 digits")
    with mutated(ops.tanh):
        assert check_gradient(mg.tanh, 0.3, reference="mpmath").verdict == "FAIL"
    by_floats = check_gradient(mg.tanh, 0.3, reference="floats")
    assert by_floats.verdict == "UNDECIDED"
    assert "prove nothing" in str(by_floats)
    assert check_gradient(mg.tanh, 0.3, gradient=[2.0], reference="floats").verdict == "FAIL"


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: check_gradient(lambda x: [x, x], 1.0, order=2), TypeError, "one result; this function gives several"),
        (lambda: check_gradient(mg.sin, 1.0, order=3), ValueError, "order must be 1 or 2"),
        (lambda: check_gradient(mg.sin, 1.0, order=2, gradient=[1.0]), ValueError, "order=2 checks the engine's own"),
        (lambda: check_gradient(mg.sin, 1.0, gradient=["a"]), TypeError, r"gradient\[0\]: .*string 'a'"),
        (lambda: check_gradient(trace(mg.sin)(1.0), [1.0]), TypeError, "structured like the arguments"),
        (lambda: mutated(ops.sin, 1).__enter__(), ValueError, "sin has no partial 1"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[], Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()


np = pytest.importorskip("numpy")


@dataclasses.dataclass
class Affine:
    W: Any
    b: Any


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda p: (p["w"] ** 3 @ p["x"][0]).sum() * p["b"], {"w": np.ones((2, 3)) / 3.0, "x": [np.ones(3)], "b": 2.0}),
        (lambda layer: np.squeeze(np.tanh(layer.W @ layer.b)), Affine(np.array([[0.5, 0.25]]), np.array([1.0, 2.0]))),
        (lambda pair: np.exp(pair[0] * pair[1])[:1], (np.array([0.5, 0.25], dtype=np.float32), np.array(2))),
    ],
)
def test_arrays_in_any_place_of_an_argument_stay_arrays(f: Callable[..., Any], at: Any) -> None:
    assert check_gradient(f, at).verdict == "PASS"
    assert check_gradient(f, at, order=2).verdict == "PASS"
    slopes = grad(f)(at)
    assert check_gradient(f, at, gradient=slopes).verdict == "PASS"
    assert check_gradient(f, at, gradient=grad(f)).verdict == "PASS"
    leaves, structure = tree.flatten(slopes, lambda leaf, _: leaf, "slopes")
    wrong = tree.unflatten(structure, [*leaves[:-1], leaves[-1] + 1.0])
    assert check_gradient(f, at, gradient=wrong).verdict == "FAIL"
