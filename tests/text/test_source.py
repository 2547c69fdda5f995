"""Programs as text for people: formulas and expressions have one reading, and it is the program."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from latex_reader import read

import microgrid as mg
from microgrid import Op, Program, Value, ops, primitive, trace
from microgrid.core.primitive import OPS
from microgrid.numbers.arithmetic import VALUES
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.testing.strategies import points, programs
from microgrid.text.expression import Expression

OFTEN = [
    OPS[name]
    for name in ("add", "sub", "mul", "div", "neg", "mod", "power", "constant_power", "greater", "log", "log1p")
]
"""Ops whose formulas need brackets, one within the other; sampled evenly among all, they rarely meet."""

MIXED = [*OPS.values(), *8 * OFTEN]
NAMES = st.lists(st.sampled_from(["x", "x1", "x_1", "x_", "e", "NaN", "rate_of_x2", "é"]), unique=True, min_size=3)


def on_mpmath(op: Op) -> Callable[..., Any]:
    def computed(*operands: Any) -> Any:
        count = op.arity - op.static
        static = map(float, operands[count:])
        program = trace(lambda *xs: op(*xs, *static))(*[0.5] * count)
        return program.replay(list(operands[:count]), mpmath_numbers())[0]

    return computed


def functions() -> dict[str, Callable[..., Any]]:
    derivative = OPS["sinc_derivative"]
    return {
        **{name: on_mpmath(op) for name, op in OPS.items()},
        **{f"sinc^({n})": lambda x, n=n: on_mpmath(derivative)(x, n) for n in ("0.5", "-1", "2", "3")},
    }


def meaning(program: Program, at: list[float]) -> tuple[Any, Any]:
    """The number that the formula means to a reader, and that of the program."""
    names = dict(zip(symbols(program), at, strict=True))
    formula = read(program.latex(), functions())
    with mpmath.workdps(400):  # remainders of tiny numbers cancel
        expected = program.replay([mpmath.mpf(x) for x in at], mpmath_numbers())[0]
        try:
            return formula({name: mpmath.mpf(x) for name, x in names.items()}), expected
        except (ArithmeticError, ValueError, TypeError):  # outside of a domain
            return mpmath.nan, expected


def symbols(program: Program) -> list[str]:
    """Return the inputs' names in a formula: a formula of each alone beside all others."""
    listed = Program(
        program.parameters,
        program.inputs,
        [],
        [],
        range(len(program.inputs)),
        in_structure=program.in_structure,
        out_structure=tuple(range(len(program.inputs))),
    ).latex()
    return listed.removeprefix(r"\left(").removesuffix(r"\right)").split(", ")


def f(function: Callable[..., Any]) -> Program:
    return trace(function)(1.5, 2.25)


@settings(deadline=None)
@given(st.data(), programs(ops=MIXED, max_inputs=3, max_size=6), NAMES)
@example(None, f(lambda x, y: (x % y) * -2), ["x", "y"])
@example(None, f(lambda x, y: x - (x % y)), ["x", "y"])
@example(None, f(lambda x, y: mg.log(x) * mg.log(y)), ["x", "y"])
@example(None, f(lambda x, y: ops.identity(x + y) * y), ["x", "y"])
@example(None, f(lambda x, y: mg.hypot(x + y, x)), ["x", "y"])
@example(None, f(lambda x, y: ops.direction(x + y, x)), ["x", "y"])
@example(None, f(lambda x, y: mg.log1p(x) ** y), ["x", "y"])
@example(None, f(lambda x, y: ops.greater(x % y, y)), ["x", "y"])
@example(None, f(lambda x, y: x * y - x), ["x_1", "x1"])
@example(None, f(lambda x, y: mg.exp(x) * y), ["x", "e"])
def test_a_formula_has_one_reading_and_it_is_the_program(data: Any, program: Program, names: list[str]) -> None:
    names = names[: len(program.inputs)]
    program = Program(
        names,
        names,
        program.constants,
        program.instructions,
        program.outputs,
        in_structure=range(len(names)),
        out_structure=0,
    )
    assert len(set(symbols(program))) == len(names)
    at = [1.5, 2.25] if data is None else data.draw(points(program))
    found, expected = meaning(program, at)
    assume(mpmath.isfinite(expected) and mpmath.isfinite(found) and mpmath.im(found) == 0)
    assert abs(found - expected) <= 1e-12 * max(1, abs(expected)), (program.latex(), found, expected)


@settings(deadline=None)
@given(st.data(), programs(ops=MIXED, max_size=10))
@example(None, f(lambda x, y: (-x) ** 2 - y))
@example(None, f(lambda x, y: -(x - y) - ops.neg(ops.neg(x))))
@example(None, f(lambda x, y: (x**2) ** 0.5 * -y))
@example(None, f(lambda x, y: ops.constant_power(-2.0, 2.0) * x - (y - x)))
@example(None, f(lambda x, y: (-1.0 - x) % y // (x / (y % x))))
def test_an_expression_has_one_reading_and_it_is_the_program(data: Any, program: Program) -> None:
    leaves = [Value(x) for x in ([1.5, 2.25] if data is None else data.draw(points(program)))]
    (expected,) = program.replay(leaves, VALUES)
    found = Expression(program.expression(), program.inputs)(*leaves)
    found = found.data if isinstance(found, Value) else found
    assert found == expected.data or (math.isnan(found) and math.isnan(expected.data)), program.expression()


@pytest.mark.parametrize(
    ("template", "alone", "within"),
    [
        ("#1 + 1", r"\left(x - y\right) + 1", r"x \cdot \left(\left(x - y\right) + 1\right)"),
        ("#1!", r"\left(x - y\right)!", r"x \cdot \left(\left(x - y\right)!\right)"),
        ("2{#1}", r"2{\left(x - y\right)}", r"x \cdot 2{\left(x - y\right)}"),
        (r"\nabla #1", r"\nabla \left(x - y\right)", r"x \cdot \nabla \left(x - y\right)"),
        (r"\left(#1\right) + \left(#1\right)", None, r"\left(\left(x - y\right) + \left(x - y\right)\right)"),
        (r"\left\lceil\left|#1\right|\right\rceil", None, r"x \cdot \left\lceil\left|x - y\right|\right\rceil"),
    ],
)
def test_brackets_follow_the_notation_of_an_op_of_ones_own(template: str, alone: str | None, within: str) -> None:
    own = primitive("own", lambda x: x, lambda z, x: (1.0,), latex=template)
    try:
        assert alone is None or f(lambda x, y: own(x - y)).latex() == alone
        assert f(lambda x, y: x * own(x - y)).latex().endswith(within)
    finally:
        del OPS["own"]
