"""Expressions in Python's words: signs and brackets from the table, one reading, no bracket more than that needs."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from eagerly import same
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_source import MIXED

import microgrid as mg
from microgrid import Op, Program, Value, ops, primitive, steps, trace
from microgrid.core.primitive import SUM
from microgrid.numbers.arithmetic import VALUES
from microgrid.testing.strategies import points, programs
from microgrid.text.expression import Expression
from microgrid.text.notation import Written, applied, number, operators


def is_short(text: str) -> bool:
    """Return True if the text has the brackets that Python needs, and between two signs, and no more."""
    text = re.sub(r"\((\d+ of \d+ terms|sum of \d+)( #\d+)?\)", "partial", text)  # the name of a partial sum
    fewest = ast.unparse(ast.parse(text, mode="eval"))
    between = len(re.findall(r"-(?=\(-)", text))
    return "--" not in text and text.count("(") <= fewest.count("(") + between


@pytest.mark.parametrize("op", operators().values(), ids=lambda op: op.name)
def test_an_operator_is_read_and_recorded_as_the_op_that_it_is_written_for(op: Op) -> None:
    text = applied(op, [Written("x"), Written("2.0" if op.static else "y")][: op.arity]).text
    x, y = Value(1.5), Value(2.5)
    assert Expression(text, ["x", "y"])(x, y).op is op
    assert eval(text, {"x": x, "y": y}).op is op
    assert trace(lambda x, y: eval(text, {"x": x, "y": y}))(1.5, 2.5).expression() == text


def for_people(program: Program) -> tuple[str, dict[str, float]]:
    """The expression that a person reads, each slot within its user; constants have names but where they are static."""
    constants = {len(program.inputs) + i: x for i, x in enumerate(program.constants)}
    slots = [*map(Written, program.inputs), *(Written(f"c{i}") for i in constants)]
    for op, operands in program.instructions:
        moving = operands[: op.arity - op.static]
        static = [number(constants[i], repr(constants[i])) for i in operands[len(moving) :]]
        slots.append(applied(op, [*(slots[i] for i in moving), *static], for_people=True))
    return slots[program.outputs[0]].text, {f"c{i}": x for i, x in constants.items()}


@settings(deadline=None)
@given(st.data(), programs(ops=MIXED, max_size=8))
def test_what_people_read_has_one_reading_and_few_brackets(data: Any, program: Program) -> None:
    at = data.draw(points(program))
    text, constants = for_people(program)
    assert is_short(text), text
    names = {name: Value(x) for name, x in {**dict(zip(program.inputs, at, strict=True)), **constants}.items()}
    found = Expression(text, list(names))(*names.values())
    (expected,) = program.replay([Value(x) for x in at], VALUES)
    assert same(found.data, expected.data, strict=True), text


@settings(deadline=None)
@given(st.data(), programs(ops=MIXED, max_size=8))
@example(None, trace(lambda x, y: -(-1.0 / (x * x) / y))(1.5, 2.25))
@example(None, trace(lambda x0, x1: x0 + (mg.fmod(x0, x0) + mg.fmod(x0, x1)))(1.5, 2.25))
@example(None, trace(lambda x, y: mg.log(-((x - y) ** 2.0)) * mg.atan2(-x, -y))(1.5, 2.25))
@example(None, trace(lambda x, y: mg.where(ops.greater(x, y), -(x % y), (x / y) / (x * y)))(1.5, 2.25))
def test_every_line_of_the_stepper_has_few_brackets(data: Any, program: Program) -> None:
    at = [1.5, 2.25] if data is None else data.draw(points(program))
    root = program(*[Value(x, label=name) for x, name in zip(at, program.inputs, strict=True)])
    if not isinstance(root, Value) or not root.operands:
        return
    for step in steps(root).backward:
        assert is_short(step.expression), step.expression
        for contribution in step.contributions:
            formula = contribution.formula.rpartition(" = ")[2]
            assert is_short(formula), formula


def test_an_op_of_ones_own_with_a_sign_stands_between_its_operands_for_people_and_is_a_call_in_text_to_run() -> None:
    both = primitive("both", lambda x, y: x + y, lambda z, x, y: (1.0, 1.0), symbol="⊕", precedence=SUM)
    x, y = Value(1.0, label="x"), Value(2.0, label="y")
    assert [step.expression for step in steps(both(x, y * x) * y).backward] == ["(x ⊕ y * x) * y", "x ⊕ y * x", "y * x"]
    plus = primitive("plus", lambda x, y: x + y, lambda z, x, y: (1.0, 1.0), symbol="+", precedence=SUM)
    assert trace(lambda x, y: plus(x, y) + both(x, y))(1.0, 2.0).expression() == "plus(x, y) + both(x, y)"
