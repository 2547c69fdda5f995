"""Programs and ops as JavaScript, run in a real Chromium: to the bit where IEEE 754 says so, else to the ulp."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ops import EDGES, TABLE, ids
from thinned import thinned

import microgrid as mg
from microgrid import Op, Program, Value, ops, primitive, trace
from microgrid.testing.strategies import programs
from microgrid.text.javascript import Library, functions

EXACT = [op for op in TABLE if functions(op, (1.0,) * op.static, Library()).exact]
MANY = 400
"""Number of points at which each op is compared, besides the edges."""


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    return browser.new_page()


def evaluated(page: Any, source: str, points: Sequence[Sequence[float]]) -> list[list[float]]:
    """The function f of the source at each point; numbers travel as text, which is exact, with inf and nan."""
    given = json.dumps([[repr(x).replace("inf", "Infinity") for x in point] for point in points])
    code = f"{source}; return {given}.map(p => f(p.map(Number)).map(y => Object.is(y, -0) ? '-0' : String(y)))"
    found = page.evaluate(f"(() => {{ {code} }})()")
    return [[float(y.replace("Infinity", "inf")) for y in row] for row in found]


def as_function(op: Op, static: tuple[float, ...]) -> str:
    """Function of the recorded result and the operands, that gives the value and the partials of an op."""
    library = Library()
    forward, rule, *_ = functions(op, static, library)
    return "\n".join([*library.texts, f"const f = x => [({forward})(...x.slice(1)), ...({rule})(...x)]"])


def recorded(op: Op, point: Sequence[float], static: Sequence[float]) -> list[float]:
    z = op(*map(Value, point), *static)
    return [z.data, *z.partials[: len(point)]]


def statics(op: Op) -> list[tuple[float, ...]]:
    known: dict[str, list[tuple[float, ...]]] = {
        "power_derivative": [(1.0, 0.0), (0.0, 1.0), (2.0, 1.0)],
        "sinc_derivative": [(0.0,), (1.0,), (2.0,), (5.0,)],
        "constant_power": [(2.0,), (-1.0,), (0.5,), (3.0,), (0.0,), (1.0,), (-0.0,), (-1.5,)],
    }
    return known.get(op.name, [()])


def places(op: Op) -> list[tuple[float, ...]]:
    """The edges, and points of all sizes."""
    count, chance = op.arity - op.static, random.Random(op.name)
    edges = EDGES if count < 3 else EDGES[:8] + EDGES[-6:]
    sizes = [
        lambda: chance.uniform(-1.0, 1.0),
        lambda: chance.uniform(-3.0, 3.0),
        lambda: chance.gauss(0.0, 30.0),
        lambda: math.copysign(math.exp(chance.uniform(-30.0, 30.0)), chance.uniform(-1.0, 1.0)),
    ]
    found = [tuple(chance.choice(sizes)() for _ in range(count)) for _ in range(MANY)]
    return [*itertools.product(edges, repeat=count), *found]


def bits(x: float) -> str:
    return repr(x)


def near(op: Op, found: float, expected: float, moved: float) -> bool:
    """True if they differ by the ulps of the table, once for each side; for a sensitive op by what moves it, too."""
    if found == expected or (math.isnan(found) and math.isnan(expected)):
        return True
    if not math.isfinite(found) or not math.isfinite(expected):
        return math.copysign(max(abs(found), abs(expected)), found) == expected and abs(found) > 1.797e308
    apart = 2.0 * op.ulps * math.ulp(max(abs(found), abs(expected)))
    return abs(found - expected) <= apart + (abs(moved - expected) if op.sensitive else 0.0)


def compare(page: Any, op: Op, static: tuple[float, ...], source: str, exact: Sequence[bool]) -> None:
    points = places(op)
    expected = [recorded(op, point, static) for point in points]
    found = evaluated(page, source, [(row[0], *point) for point, row in zip(points, expected, strict=True)])
    for point, got, right in zip(points, found, expected, strict=True):
        moved = recorded(op, [x * (1.0 + 2.0**-50) for x in point], static) if op.sensitive else right
        for k, (a, b) in enumerate(zip(got, right, strict=True)):
            if exact[min(k, 1)]:
                assert bits(a) == bits(b), (point, k)
            else:
                assert near(op, a, b, moved[k]), (point, k, a, b)


@pytest.mark.parametrize("op", thinned(TABLE), ids=ids)
def test_an_op_and_its_rule_are_those_of_recording(page: Any, op: Op) -> None:
    for static in statics(op):
        _, _, *exact = functions(op, static, Library())
        compare(page, op, static, as_function(op, static), exact)


@pytest.mark.parametrize(
    ("op", "right", "wrong"),
    [
        (ops.mod, "copysign(0, x1)", "0"),
        (ops.power, "x === 1 ||", ""),
        (ops.erf, "1.25", "1.4"),
        (ops.round, "Math.abs(x % 1) === 0.5", "false"),
        (ops.tanh, "Math.tanh(x0)", "(1-2/(Math.exp(2*x0)+1))"),
    ],
    ids=["mod", "power", "erf", "round", "tanh"],
)
def test_a_wrong_text_would_be_seen(page: Any, op: Op, right: str, wrong: str) -> None:
    source = as_function(op, ())
    assert right in source
    with pytest.raises(AssertionError):
        compare(page, op, (), source.replace(right, wrong), functions(op, (), Library())[2:])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    programs(ops=EXACT, max_size=12), st.lists(st.one_of(st.sampled_from(EDGES), st.floats()), min_size=4, max_size=4)
)
def test_a_program_of_exact_ops_has_the_bits_of_a_replay(page: Any, program: Program, numbers: list[float]) -> None:
    at = [numbers[i % 4] for i in range(len(program.inputs))]
    assert list(map(bits, evaluated(page, program.javascript(), [at])[0])) == list(map(bits, program.replay(at)))


def test_a_program_reads_like_one_written_by_hand() -> None:
    program = trace(lambda x, y: mg.relu(x * y) + y**2)(2.0, 3.0)
    assert program.javascript("loss") == (
        "const relu = (x0) => (x0 > 0 ? x0 : x0 <= 0 ? 0 : NaN);\n\n"
        "const power = (x, y) => x === 1 || x === -1 && Math.abs(y) === Infinity ? 1 : Math.pow(x, y);\n\n"
        "/* x[0] = x, x[1] = y */\n"
        "function loss(x) {\n"
        "  const t0 = (x[0] * x[1]);\n"
        "  const t1 = relu(t0);\n"
        "  const t2 = power(x[1], 2);\n"
        "  const t3 = (t1 + t2);\n"
        "  return [t3];\n"
        "}\n"
    )


def test_a_network_and_its_gradient_run_in_the_browser(page: Any) -> None:
    model = mg.nn.MLP(2, [4, 1], activation="sigmoid")
    program = trace(lambda x, y: (model([x, y]) - 1.0) ** 2)(0.3, -0.4).gradient(value=True)
    (found,) = evaluated(page, program.javascript(), [(0.5, 2.0)])
    assert found == pytest.approx(program.replay([0.5, 2.0]), rel=1e-13)


def test_ops_of_the_user_are_their_formulas(page: Any) -> None:
    cube = primitive("new", lambda x: x * x * x, lambda z, x: (3.0 * x * x,))
    compare(page, cube, (), as_function(cube, ()), (True, True))
    assert functions(cube, (), Library())[2:] == (True, True)
    inverse = primitive(
        "π_inverse", lambda x: 1.0 / x if x else math.inf, lambda z, x: (-1 / x**2,), formula=lambda x: 1 / x
    )
    program = trace(lambda x: inverse(cube(x)) + cube(x))(2.0)
    assert evaluated(page, program.javascript(), [[2.0]]) == [[8.125]]


def test_an_op_without_a_formula_is_refused() -> None:
    gamma = primitive("my_gamma", math.lgamma, lambda z, x: (x,))
    branching = primitive("branching", lambda x: x * 1.0, lambda z, x: (1.0 if x > 0.0 else 0.0,))
    given = Value(1.0, (Value(2.0),), (3.0,))
    assert given.op is not None
    for op in (gamma, branching, given.op):
        with pytest.raises(TypeError, match=r"cannot be written in other ops: declare it with formula=|has no rule"):
            functions(op, (), Library())
    with pytest.raises(TypeError, match=r"my_gamma cannot be written in other ops"):
        trace(lambda x: gamma(x))(2.0).javascript()


def test_an_op_that_was_declared_again_is_not_taken_for_the_new_one(page: Any) -> None:
    old = primitive("mine", lambda x: 2.0 * x, lambda z, x: (2.0,))
    outer = primitive("outer", None, lambda z, x: (2.0,), formula=lambda x: old(x) + 0.0)
    kept = trace(lambda x: old(x))(1.0)
    both = trace(lambda x: old(x) * primitive("mine", lambda x: x + 1.0, lambda z, x: (1.0,))(x))(1.0)
    assert evaluated(page, kept.javascript(), [[3.0]]) == [[6.0]]
    assert evaluated(page, both.javascript(), [[3.0]]) == [[24.0]]
    with pytest.raises(TypeError, match=r"mine was declared again"):
        functions(outer, (), Library())


@pytest.mark.parametrize("name", ["new", "2x", "a b", "power", "op_mine", "Math", "_erf", ""])
def test_a_name_with_a_meaning_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"JavaScript identifier|choose another name"):
        trace(lambda x: x + 1.0)(1.0).javascript(name)
