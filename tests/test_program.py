"""Programs: traced, printed and parsed, replayed on every kind of number, differentiated, turned into Python and C."""

from __future__ import annotations

import copy
import ctypes
import itertools
import math
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from operands import inside
from programs import RATIONAL, RandomFunction, functions, listed, points

import microgrid as mg
from microgrid import Op, Program, Value, grad, ops, primitive, trace
from microgrid.core.primitive import OPS
from microgrid.numbers.arithmetic import FLOATS, VALUES, Arithmetic
from microgrid.numbers.arrays import arrays
from microgrid.numbers.balls import balls
from microgrid.numbers.fractions import rationals
from microgrid.numbers.mpmath_numbers import mpmath_numbers

INF, NAN = math.inf, math.nan


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def close(a: float, b: float, rel: float = 1e-14) -> bool:
    return same(a, b) or a == pytest.approx(b, rel=rel, abs=1e-300)


def one_op(op: Op, at: tuple[float, ...]) -> Program:
    static = at[op.arity - op.static :]
    return trace(lambda *xs: op(*xs, *static))(*at[: op.arity - op.static])


# --- every op in every arithmetic ----------------------------------------------------------------------------------


def check_op_everywhere(op: Op) -> None:
    """The op's program agrees with its forward function on every kind of number, in Python, C and text."""
    at = inside(op)
    expected = op.forward(*at)
    program = one_op(op, at)
    inputs = list(at[: op.arity - op.static])
    assert same(program.replay(inputs)[0], expected)
    assert same(program.replay([Value(x) for x in inputs], VALUES)[0].data, expected)
    for arithmetic, number in ((mpmath_numbers(), float), (balls(), lambda x: float(x.mid()))):
        result = program.replay([arithmetic.number(x) for x in inputs], arithmetic)[0]
        assert type(result) is type(arithmetic.number(1.0))
        assert close(number(result), expected), arithmetic
    np = pytest.importorskip("numpy")
    assert all(close(float(x), expected) for x in program.replay([np.full(3, x) for x in inputs], arrays())[0])
    if op.irrational:
        with pytest.raises(TypeError, match=f"{op.name}.* is no fraction: replay on mpmath"):
            program.replay([Fraction(x) for x in inputs], rationals())
    else:
        exact = program.replay([Fraction(x) for x in inputs], rationals())[0]
        assert type(exact) is Fraction
        assert close(float(exact), expected)
    assert same(program.python()(*inputs), expected)
    assert same(listed(program)(*map(Value, inputs)).data, expected)
    assert same(
        eval(program.expression(), {**vars(ops), **OPS}, dict(zip(program.inputs, inputs, strict=True))), expected
    )
    assert "#" not in program.latex()
    assert close(run_c(program, inputs)[0], expected)


@pytest.mark.parametrize("op", list(OPS.values()), ids=lambda op: op.name)
def test_every_op_runs_in_every_arithmetic(op: Op) -> None:
    check_op_everywhere(op)


def test_an_op_of_ones_own_in_one_statement_passes_all_generic_tests() -> None:
    import test_ops

    cubic = primitive("cubic", lambda x: 2.0 * x * x * x, lambda z, x: (6.0 * x * x,))
    swish = primitive(
        "swish",
        lambda x: x / (1.0 + math.exp(-x)) if x > -700.0 else 0.0 * x,
        lambda z, x: (ops.sigmoid(x) * (1.0 + x * ops.sigmoid(-x)),),
        formula=lambda x: x * ops.sigmoid(x),
        domain=[mg.Interval(-600.0, 600.0)],
        sensitive=True,
        irrational=True,
    )
    for op in (cubic, swish):
        test_ops.check_against_digits(op, examples=25)
        test_ops.test_every_op_says_how_it_is_written(op)
        if op is cubic:
            check_op_everywhere(op)
    program = one_op(swish, (0.75,))
    assert close(program.replay([mpmath_numbers().number(0.75)], mpmath_numbers())[0], swish(0.75))
    assert close(run_c(program, [0.75])[0], swish(0.75))
    assert close(program.python()(0.75), swish(0.75))


def test_an_op_that_only_floats_know_says_what_it_needs_elsewhere() -> None:
    gamma = primitive("gamma", lambda x: math.gamma(x) if x else INF, lambda z, x: (z,))
    program = one_op(gamma, (2.5,))
    np = pytest.importorskip("numpy")
    assert program(np.array([2.5, 4.0]))[1] == 6.0  # arrays have it one by one
    for attempt in (lambda: program(mpmath_numbers().number(2.5)), lambda: program(Fraction(5, 2)), program.c):
        with pytest.raises(TypeError, match=r"gamma .*formula="):
            attempt()
    branching = primitive("branching", lambda x: x if x > 0 else -x, lambda z, x: (1.0,))
    assert one_op(branching, (2.0,))(Fraction(-3)) == 3  # a branch on a number is no trouble
    with pytest.raises(TypeError, match="branches on a number; write it with where"):
        one_op(branching, (2.0,)).c()


# --- random programs -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data(), functions())
def test_a_replay_has_the_bits_of_recording(data: st.DataObject, f: RandomFunction) -> None:
    traced_at, at = data.draw(points(f.inputs)), data.draw(points(f.inputs))
    program = trace(f)(*traced_at)
    assert program.fixed == ()
    expected = f(*map(Value, at)).data
    for p in (program, program.simplify(), pickle.loads(pickle.dumps(program))):
        assert same(p(*at), expected)
    assert same(program(*map(Value, at)).data, expected)
    assert same(program.python()(*at), expected)
    assert same(listed(program)(*map(Value, at)).data, expected)
    assert str(trace(listed(program))(*at)) == str(program)
    names = dict(zip(program.inputs, at, strict=True))
    assert same(eval(program.expression(), dict(OPS), {**names, "inf": INF, "nan": NAN}), expected)


@settings(deadline=None)
@given(st.data(), functions())
def test_a_programs_gradient_has_the_bits_of_grad(data: st.DataObject, f: RandomFunction) -> None:
    traced_at, at = data.draw(points(f.inputs)), data.draw(points(f.inputs))
    expected = grad(f, range(f.inputs))(*at)
    gradient = trace(f)(*traced_at).gradient()
    for program in (gradient, gradient.simplify()):
        got = program(*at)
        assert all(map(same, got if f.inputs > 1 else [got], expected))


@settings(deadline=None, max_examples=50)
@given(st.data(), functions(outputs=2))
def test_a_replay_on_arrays_is_the_replay_of_each_sample(data: st.DataObject, f: RandomFunction) -> None:
    np = pytest.importorskip("numpy")
    batch = [data.draw(points(f.inputs)) for _ in range(4)]
    program = trace(f)(*batch[0])
    columns = program(*[np.array(column) for column in zip(*batch, strict=True)])
    for k, at in enumerate(batch):
        for got, expected in zip([column[k] for column in columns], program(*at), strict=True):
            assert got == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


EXACTLY: dict[str, Callable[..., Fraction]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x: -x,
    "abs": abs,
    "maximum": max,
    "minimum": min,
    "relu": lambda x: max(x, Fraction(0)),
}


@settings(deadline=None, max_examples=50)
@given(st.data(), functions(of=RATIONAL, steps=8))
def test_a_replay_on_fractions_is_exact(data: st.DataObject, f: RandomFunction) -> None:
    at = data.draw(st.lists(st.fractions(-3, 3, max_denominator=7), min_size=f.inputs, max_size=f.inputs))
    known = [*at, *map(Fraction, f.constants)]
    for op, operands in f.steps:
        known.append(EXACTLY[op.name](*[known[i] for i in operands]))
    got = trace(f)(*[0.5] * f.inputs)(*at)
    assert type(got) is Fraction
    assert got == known[-1]


def test_whole_numbers_stay_exact_beside_fractions() -> None:
    assert trace(lambda x, y: x - y)(1.0, 2.0)(2**60 + 1, Fraction(1, 2)) == Fraction(2**61 + 1, 2)


def test_a_gradient_on_fractions_is_exact() -> None:
    program = trace(lambda x, y: x**3 / y + abs(x - y))(1.0, 2.0)
    x, y = Fraction(2, 3), Fraction(5, 7)
    assert program.gradient()(x, y) == (3 * x**2 / y - 1, -(x**3) / y**2 + 1)


def test_towers_of_exponentials_end_at_their_limits_in_fifty_digits() -> None:
    import mpmath

    def tower(x: Any) -> Any:
        return mg.exp(mg.exp(mg.exp(mg.exp(x))))

    assert trace(tower)(1.0)(mpmath.mpf(3)) == mpmath.inf
    assert trace(lambda x: mg.tanh(tower(x)) + mg.exp(-tower(x)) + mg.erfc(tower(x)))(1.0)(mpmath.mpf(3)) == 1
    assert trace(lambda x: x ** tower(x))(1.0)(mpmath.mpf(3)) == mpmath.inf
    assert mpmath.isnan(trace(lambda x: mg.sin(tower(x)))(1.0)(mpmath.mpf(3)))


def test_mpmath_and_flint_replay_rules_to_their_last_digit() -> None:
    """Constants such as log 2 and pi in a rule keep all digits; so does the exponent 0.3 - 1."""
    import mpmath

    cases: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (ops.exp2, lambda x: mpmath.power(2, x)),
        (ops.log10, mpmath.log10),
        (ops.erf, mpmath.erf),
        (ops.gelu, lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
        (lambda x: x**0.3, lambda x: mpmath.power(x, mpmath.mpf(0.3))),
        (lambda x: 0.1 * (0.3 * x) + x * 0.7 * 0.9, lambda x: (mpmath.mpf(0.1) * 0.3 + mpmath.mpf(0.7) * 0.9) * x),
    ]
    with mpmath.workdps(50):
        for f, reference in cases:
            x = mpmath.mpf(7) / 10
            got = trace(f)(0.5).gradient()(x)
            assert abs(got - mpmath.diff(reference, x)) < mpmath.mpf(10) ** -38
    from flint import arb, ctx

    before, ctx.prec = ctx.prec, 200
    try:
        enclosed = trace(ops.gelu)(0.5).gradient()(arb(7) / 10)
        with mpmath.workdps(70):
            truth = mpmath.diff(cases[3][1], mpmath.mpf(7) / 10)
            assert enclosed.contains(arb(mpmath.nstr(truth, 60)))
        assert enclosed.rel_accuracy_bits() > 150
    finally:
        ctx.prec = before


# --- C -------------------------------------------------------------------------------------------------------------


_compiled: dict[str, Any] = {}


def run_c(program: Program, inputs: list[float]) -> list[float]:
    """Return the output of the C function, compiled on the spot."""
    text = program.c()
    if text not in _compiled:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler")
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "f.c"), Path(folder, "f.so")
            source.write_text(text)
            flags = ["-std=c99", "-pedantic", "-Wall", "-Werror", "-O1", "-ffp-contract=off", "-shared", "-fPIC"]
            subprocess.run([compiler, *flags, source, "-o", library, "-lm"], check=True)
            _compiled[text] = ctypes.CDLL(str(library))
    x = (ctypes.c_double * max(len(inputs), 1))(*inputs)
    y = (ctypes.c_double * len(program.outputs))()
    _compiled[text].f(x, y)
    return list(y)


@settings(deadline=None, max_examples=25)
@given(st.data(), functions(outputs=2))
def test_c_computes_the_same(data: st.DataObject, f: RandomFunction) -> None:
    at = data.draw(points(f.inputs))
    program = trace(f)(*at)
    for got, expected in zip(run_c(program, at), program(*at), strict=True):
        assert got == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


EDGES = [0.0, -0.0, 1.0, -1.5, 2.5, -7.0, 3.0, 20.0, 1e3, -1e3, 1e300, INF, -INF, NAN]


def test_c_follows_the_conventions_on_edges() -> None:
    """All ops of one operand, and of two, in one program each, at every combination of edges."""
    unary = [op for op in OPS.values() if op.arity == 1]
    binary = [op for op in OPS.values() if op.arity == 2 and not op.static]
    one = trace(lambda x: [op(x) for op in unary])(0.5)
    two = trace(lambda x, y: [op(x, y) for op in binary])(0.5, 0.25)
    for program, used, n in ((one, unary, 1), (two, binary, 2)):
        for at in map(list, itertools.product(EDGES, repeat=n)):
            for op, got in zip(used, run_c(program, at), strict=True):
                expected = op.forward(*at)
                assert close(got, expected, rel=1e-13), (op, at, got, expected)
            np = pytest.importorskip("numpy")
            for op, array in zip(used, program(*[np.array([x]) for x in at]), strict=True):
                assert close(float(array[0]), op.forward(*at), rel=1e-13), (op, at, array)


# --- what it looks like --------------------------------------------------------------------------------------------

LISTING = """\
def f(x, w):
    w_a_0 = w['a'][0]
    w_a_1 = w['a'][1]
    t0 = x ** 2.0
    t1 = t0 / 3.0
    t2 = w_a_0 * t1
    t3 = -w_a_1
    t4 = tanh(t3)
    loss = t2 + t4
    return [loss, t4]"""


def example_program() -> Program:
    def labelled(x: Any, w: Any) -> Any:
        t = x**2 / 3
        product = w["a"][0] * t
        hidden = mg.tanh(-w["a"][1])
        loss = product + hidden
        loss.label = "loss"
        return [loss, hidden]

    return trace(labelled)(2.0, {"a": [1.0, 0.5]})


def test_a_program_prints_one_instruction_a_line() -> None:
    program = example_program()
    assert str(program) == LISTING
    assert repr(program) == LISTING
    values = listed(program)(Value(2.0), {"a": [Value(1.0), Value(0.5)]})
    assert [value.data for value in values] == program(2.0, {"a": [1.0, 0.5]})
    assert program.expression() == "[w_a_0 * (x ** 2.0 / 3.0) + tanh(-w_a_1), tanh(-w_a_1)]"


# Lists, tuples and dicts in one another, empty ones among them.
_KEYS = st.one_of(st.integers(-1, 2), st.sampled_from(["a", "b c", "µ", "'", None, (0, "a"), 0.5]), st.booleans())
_TREES = st.recursive(
    st.floats(-2.0, 2.0),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(_KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(_TREES, max_size=3))
@example([{0: 1.0, 1: 2.0}])
@example([[], (), {}, 1.0])
@example([(1.0, [2.0, (3.0,)])])
def test_a_listing_takes_its_containers_apart(arguments: list[Any]) -> None:
    program = trace(lambda *xs: {1: xs, "x": [x for x in xs if isinstance(x, Value)]})(*arguments)
    for again in (listed(program), program.python()):
        assert repr(again(*arguments)) == repr(program(*arguments))


def test_a_listing_takes_a_named_tuple_apart() -> None:
    class Point(NamedTuple):
        x: float
        y: float

    assert listed(trace(lambda p: p.x - p.y)(Point(1.0, 2.0)))(Point(3.0, 5.0)) == -2.0


def test_a_long_program_is_shown_in_part_and_printed_whole() -> None:
    def f(x: Any) -> Any:
        for _ in range(100):
            x = x + 1.0
        return x

    program = trace(f)(0.0)
    assert len(str(program).splitlines()) == 102
    assert "... " in repr(program)
    assert len(repr(program).splitlines()) < 40


@pytest.mark.parametrize(
    ("f", "latex"),
    [
        (lambda x, y: x * y + x, r"x \cdot y + x"),
        (lambda x, y: (x + y) * x, r"\left(x + y\right) \cdot x"),
        (lambda x, y: x - (y - x), r"x - \left(y - x\right)"),
        (lambda x, y: (x + y) / (x - 2.5), r"\frac{x + y}{x - 2.5}"),
        (lambda x, y: (x + y) ** 2, r"{\left(x + y\right)}^{2}"),
        (lambda x, y: mg.sin(x) ** 2, r"{\left(\sin x\right)}^{2}"),
        (lambda x, y: mg.sin(x + y), r"\sin \left(x + y\right)"),
        (lambda x, y: mg.exp(x * y), r"e^{x \cdot y}"),
        (lambda x, y: -(x + y), r"-\left(x + y\right)"),
        (lambda x, y: abs(x - y), r"\left|x - y\right|"),
        (lambda x, y: mg.sqrt(x) * -1e-7, r"\sqrt{x} \cdot \left(-1 \cdot 10^{-7}\right)"),
        (lambda x, y: mg.maximum(x, y) ** y, r"{\max\left(x, y\right)}^{y}"),
        (lambda x, y: [x, y + 1], r"\left(x, y + 1\right)"),
        (
            lambda x, y: x + ops.where(x.greater(y), x * y, -y),
            r"x + \left(\begin{cases} x \cdot y & x > y \\ -y & \text{otherwise} \end{cases}\right)",
        ),
        (lambda x, y: ops.where(x, y, 1.0), r"\begin{cases} y & x \ne 0 \\ 1 & \text{otherwise} \end{cases}"),
        (lambda x, y: ops.where(x > y, x, y), "y"),
    ],
)
def test_latex_has_parentheses_where_they_are_needed(f: Any, latex: str) -> None:
    assert trace(f)(1.0, 2.0).latex() == latex


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x", "x"),
        ("x_1", "x_{1}"),
        ("x1", "x_{1}"),
        ("rate_of_x2", r"\mathrm{rate}_{of,x,2}"),
        ("theta", r"\theta"),
        ("lambda_", r"\lambda"),
        ("Delta1", r"\Delta_{1}"),
        ("w_sigma", r"w_{\sigma}"),
        ("pi", r"\mathrm{pi}"),
        ("_", r"\mathrm{\_}"),
        ("__", r"\mathrm{\_\_}"),
        ("_1", r"\mathrm{\_1}"),
        ("_x_1", r"\mathrm{\_x}_{1}"),
    ],
)
def test_latex_has_a_name_for_each_input(name: str, latex: str) -> None:
    x = Value(1.0, label=name)
    program = Program.of(x * x, [x])
    assert program.latex() == rf"{latex} \cdot {latex}"
    assert program._repr_latex_() == rf"$\displaystyle {latex} \cdot {latex}$"


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: (x + 1.0) - (x - 2.0), "x + 1.0 - (x - 2.0)"),
        (lambda x: x / (x * 2.0), "x / (x * 2.0)"),
        (lambda x: (-x) ** 2, "(-x) ** 2.0"),
        (lambda x: -(x**2), "-x ** 2.0"),
        (lambda x: (x**2) ** 3, "(x ** 2.0) ** 3.0"),
        (lambda x: ops.power(-2.0, x), "power(-2.0, x)"),
        (lambda x: -2.0 - x, "-2.0 - x"),
        (lambda x: x - -2.0, "x - -2.0"),
        (lambda x: x % 3.0 // 2.0, "x % 3.0 // 2.0"),
    ],
)
def test_an_expression_reads_back_as_the_same_operations(f: Any, text: str) -> None:
    program = trace(f)(1.5)
    assert program.expression() == text
    if "power(" not in text:
        assert same(eval(text, {}, {"x": 1.5}), program(1.5))


def test_an_expression_that_would_explode_is_an_error() -> None:
    def f(x: Any) -> Any:
        for _ in range(60):
            x = x * x
        return x

    program = trace(f)(1.0)
    with pytest.raises(ValueError, match="100000 characters: print"):
        program.expression()
    assert program._repr_latex_() is None
    assert program(1.0) == 1.0


# --- what it is made of --------------------------------------------------------------------------------------------


def test_instructions_stand_in_the_order_of_recording_and_constants_in_that_of_use() -> None:
    def f(x: Any, ys: Any) -> Any:
        total = 0.5
        for y in ys:
            total = total + 3.0 * (x * y)
        return total

    program = trace(f)(1.0, [2.0, 3.0])
    assert [op.name for op, _ in program.instructions] == ["mul", "mul", "add"] * 2
    assert program.inputs == ("x", "ys_0", "ys_1")
    assert program.constants == (3.0, 0.5, 3.0)


def test_of_cuts_at_results_and_takes_leaves_that_are_no_inputs_as_constants() -> None:
    x, w = Value(2.0, label="x"), Value(3.0, label="w")
    hidden = mg.exp(x)
    hidden.label = "hidden"
    out = hidden * w
    program = Program.of(out, hidden)
    assert str(program) == "def f(hidden):\n    t0 = hidden * 3.0\n    return t0"
    assert Program.of({"out": out}, {"p": x, "q": [w]})(0.0, [5.0]) == {"out": 5.0}
    assert program.fixed is None
    assert Program.of(x, x)(7.0) == 7.0
    with pytest.raises(ValueError, match="twice"):
        Program.of(out, [x, x])
    with pytest.raises(TypeError, match=r"output\[1\] must be a Value"):
        Program.of([out, 1.0], x)


def test_a_branch_on_a_traced_number_is_reported() -> None:
    def f(x: Any, y: Any) -> Any:
        if x > y:
            return x * x
        return -x if y else y * math.floor(x.data)

    program = trace(f)(2.0, 1.0)
    (one,) = program.fixed or ()
    assert one.startswith("x > y was True (")
    assert one.endswith(f"test_program.py:{f.__code__.co_firstlineno + 1})")
    assert f"# fixed while tracing: {one}" in str(program)
    assert listed(program)(3.0, 1.0) == 9.0
    assert [text.split(" (")[0] for text in trace(f)(1.0, 2.0).fixed or ()] == ["x > y was False", "y != 0.0 was True"]
    (one,) = trace(lambda x: x * x.data)(3.0).fixed or ()
    assert one.startswith("x was read as 3.0 (")
    assert trace(lambda x: mg.maximum(x, 2.0) + mg.where(ops.greater(x, 1.0), x, 0.0))(3.0).fixed == ()
    assert trace(lambda x: x if Value(2.0) > 1.0 else -x)(3.0).fixed == ()
    (one,) = trace(lambda x: x if Value(0.0) < x else -x)(3.0).fixed or ()
    assert one.startswith("a number of 0.0 < x was True (")
    (one,) = trace(lambda x: min([Value(9.0), x]))(3.0).fixed or ()
    assert one.startswith("x < 9.0 was True (")


def test_a_rule_that_branches_has_no_gradient_program() -> None:
    branching = mg.primitive("branching", lambda x: max(x, 0.0), lambda z, x: (1.0 if x > 0.0 else 0.0,))
    program = trace(lambda x: branching(x))(2.0)
    assert mg.grad(program)(-1.0) == 0.0
    with pytest.raises(TypeError, match=r"the rule at .*test_program.py:\d+ reads a number.*where"):
        program.gradient()


def test_simplify_keeps_every_bit_and_drops_what_is_not_needed() -> None:
    def f(x: Any) -> Any:
        unused = mg.exp(x)
        a, b = x * 2.0, x * 2.0
        return a + b + ops.identity(mg.log(2.0 * Value(3.0))) + 0.0 * x + (unused - unused) * 0.0

    program = trace(f)(1.0)
    simple = program.simplify()
    assert len(simple.instructions) < len(program.instructions)
    for x in EDGES:
        assert same(simple(x), program(x))
    assert math.isnan(trace(lambda x: x * 0.0)(1.0).simplify()(INF))  # never x * 0 -> 0
    assert str(trace(lambda x: (x * 1.0) ** 1 / 1.0)(2.0).simplify()) == "def f(x):\n    return x"


def test_a_program_of_a_network_gives_its_loss_and_gradient() -> None:
    model = mg.nn.MLP(2, [4, 1], activation="tanh")
    inputs = [Value(0.5), Value(-1.0)]
    loss = (model(inputs) - 1.0) ** 2
    program = Program.of(loss, [inputs, model.parameters()])
    loss.backward()
    value, (dx, dw) = program.gradient(value=True)([0.5, -1.0], [p.data for p in model.parameters()])
    assert (value, dx, dw) == (loss.data, [x.grad for x in inputs], [p.grad for p in model.parameters()])


def test_a_program_nests_in_derivatives_and_copies() -> None:
    program = trace(lambda x: mg.sin(x) * x)(0.5)
    assert grad(program)(0.7) == program.gradient()(0.7)
    assert copy.deepcopy(program)(0.7) == program(0.7)
    assert trace(program)(0.3)(0.7) == program(0.7)
    assert trace(grad(lambda x: x**3))(1.0)(2.0) == 12.0


class Int64:
    """A key that is written like no literal."""

    def __repr__(self) -> str:
        return "int64(1)"


INT = Int64()


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: example_program()(1.0), TypeError, r"takes \(x: a number, w: \{'a': \[·, ·\]\}\), got \(a number\)"),
        (lambda: example_program().gradient(), ValueError, r"only a program with one result .* gives \[·, ·\]"),
        (lambda: trace(lambda x: x * x)("a"), TypeError, r"argument \[0\]: .*string 'a'"),
        (lambda: trace(lambda x: math.sin(x.data))(1.0), TypeError, "read a number of a Value"),
        (lambda: trace(lambda x: x)(1.0).python("1f"), ValueError, "Python identifier"),
        (lambda: trace(lambda x: x)(1.0).python("lambda"), ValueError, "no keyword, got 'lambda'"),
        (lambda: trace(mg.exp)(1.0).python("exp"), ValueError, "exp has a meaning of its own .* as my_exp"),
        (lambda: trace(mg.exp)(1.0).python("\uff45\uff58\uff50"), ValueError, "exp has a meaning of its own"),
        (lambda: trace(lambda x: x)(1.0).python("inf"), ValueError, "inf has a meaning of its own"),
        (lambda: trace(lambda x: x)(1.0).c("f g"), ValueError, "C identifier"),
        (lambda: trace(lambda x: x)(1.0).c("double"), ValueError, "no keyword, got 'double'"),
        (lambda: trace(mg.exp)(1.0).c("exp"), ValueError, "exp has a meaning of its own in C.* as my_exp"),
        (lambda: trace(lambda x: x)(1.0).c("cosf"), ValueError, "cosf has a meaning of its own"),
        (lambda: trace(mg.sigmoid)(1.0).c("sigmoid"), ValueError, "sigmoid has a meaning of its own"),
        (lambda: trace(lambda x, y: x + y)(1.0, 1.0)(Fraction(1), Value(1.0)), TypeError, "several kinds"),
        (lambda: trace(lambda x: x)(1.0).replay([1.0, 2.0]), TypeError, r"1 input\(s\), got 2"),
        (lambda: trace(lambda x: x)(1.0)("a"), TypeError, "string 'a'"),
        (lambda: trace(lambda x: x)(1.0).replay(["a"], mpmath_numbers()), TypeError, "mpmath's numbers: .*string 'a'"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[], Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()


def test_names_never_collide() -> None:
    def f(exp: Any, t0: Any, inf: Any, f: Any) -> Any:
        y = mg.exp(exp) * t0 + inf * f
        y.label = "exp"
        return y

    program = trace(f)(0.0, 2.0, 3.0, 4.0)
    assert program.python()(0.0, 2.0, 3.0, 4.0) == 14.0
    assert listed(program)(0.0, 2.0, 3.0, 4.0) == 14.0
    alike = trace(lambda a, a_0: a[0] * 10.0 + a_0)([1.0], 2.0)
    for again in (alike, alike.python(), listed(alike)):
        assert again([1.0], 2.0) == 12.0
    odd = trace(lambda p: p["a b"] * p["class"] + p[0])({"a b": 2.0, "class": 3.0, 0: 1.0})
    assert odd.python()({"a b": 2.0, "class": 3.0, 0: 1.0}) == 7.0


def test_a_number_may_be_called_like_a_function_of_python_that_the_text_calls() -> None:
    program = trace(lambda fabs: abs(fabs) * fabs)(-3.0)
    assert program.inputs == ("fabs",)
    assert program.python()(-3.0) == -9.0
    assert trace(lambda fabs: abs(fabs[0]))([-3.0]).python()([-3.0]) == 3.0
    assert trace(lambda x: abs(x))(-3.0).python("fabs")(-3.0) == 3.0
    assert program.python("µ")(-3.0) == -9.0


def test_a_label_of_several_lines_stays_in_its_comment() -> None:
    def f(x: Any) -> Any:
        y = x * 2.0
        y.label = "a\nb\0"
        return y if y > 0.0 else x

    program = trace(f)(1.0)
    assert listed(program)(3.0) == 6.0


# Digits that stand high or low, letters that Python reads as others, marks, invisible signs, keywords in disguise.
_LABELS = st.one_of(
    st.text(max_size=3),
    st.text("xµμ\u017fsK₁²½ªǆﬁ\uff11\uff49\uff46℘·\u0301\u0345\u037a\u200d\u2118\ud800_ 1", max_size=3),
    st.sampled_from(
        ["µ", "μ", "x₁", "x²", "\uff49\uff46", "if", "\uff45\uff58\uff50", "exp", "f", "t0", "fabs", "x\u0302", ""]
    ),
)


def labelled(labels: list[str]) -> Program:
    """A program with these labels on its inputs and results, in which each of them counts."""
    inputs = [Value(1.0, label=label) for label in labels]
    result = inputs[0]
    for i, label in enumerate(labels):
        result = result * (i + 2.0) - inputs[i]
        result.label = label
    return Program.of(abs(result) + inputs[0] * inputs[-1], inputs)


@given(st.lists(_LABELS, min_size=3, max_size=3))
@example(["µ", "μ", ""])
@example(["x₁", "x²", "x1"])
@example(["\uff49\uff46", "fabs", "x\u0302"])
def test_labels_of_any_characters_name_the_numbers_apart(labels: list[str]) -> None:
    program, at = labelled(labels), (0.5, -3.0, 0.25)
    expected = program(*at)
    for again in (program.python(), program.python(program.inputs[0]), listed(program)):
        assert again(*at) == expected
    assert eval(program.expression(), {"abs": abs}, dict(zip(program.inputs, at, strict=True))) == expected


@settings(deadline=None, max_examples=10)
@given(st.lists(_LABELS, min_size=3, max_size=3))
@example(["µ", "x₁", "*/"])
def test_labels_of_any_characters_leave_the_c_text_as_it_is(labels: list[str]) -> None:
    program, at = labelled(labels), [0.5, -3.0, 0.25]
    assert run_c(program, at) == [program(*at)]


@given(st.floats(), st.floats())
@example(-0.0, INF)
def test_any_constant_is_written_and_read_back(x: float, c: float) -> None:
    program = trace(lambda x: x * Value(c) - c)(x)
    for again in (listed(program), program.python()):
        assert same(again(x), program(x))


def test_every_arithmetic_says_its_name() -> None:
    kinds: list[Arithmetic] = [FLOATS, VALUES, rationals(), mpmath_numbers(), balls(), arrays()]
    assert len({repr(kind) for kind in kinds}) == len(kinds)
