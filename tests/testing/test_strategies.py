"""The strategies make what they say, shrink to little, and their machine finds every planted bug of an engine."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eagerly import same
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from machine import BUGS, faulty

import microgrid as mg
from microgrid import OPS, Program, Value, nn, trace
from microgrid.testing import check_gradient
from microgrid.testing.strategies import GradientMachine, modules, points, programs, values

EFFORT = settings(
    max_examples=100,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # a graph is drawn node by node
)
TestMachine = GradientMachine.TestCase
TestMachine.settings = EFFORT


@pytest.mark.parametrize("bug", BUGS)
def test_the_machine_finds_a_planted_bug(bug: str) -> None:
    mine = type("Mine", (GradientMachine,), {"backward": staticmethod(faulty(bug))})
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            mine,
            settings=settings(
                EFFORT, max_examples=3000, stateful_step_count=40, database=None, phases=[Phase.generate]
            ),
        )


@settings(deadline=None)
@given(st.data(), programs(max_size=12))
def test_programs_are_programs_and_their_gradients_pass(data: st.DataObject, program: Program) -> None:
    at = data.draw(points(program))
    assert isinstance(program(*at), float)
    assert same(program.python()(*at), program(*at), strict=True)
    report = check_gradient(program, *at)
    assert report.verdict != "FAIL", report


@pytest.mark.slow
def test_a_program_shrinks_to_the_operation_that_matters() -> None:
    effort = settings(max_examples=2000, database=None)
    found = find(
        programs(max_size=12),
        lambda p: any(op.name == "tanh" for op, _ in p.instructions),
        settings=effort,
        random=random.Random(0),  # it takes a second or ten, as it happens
    )
    assert [op.name for op, _ in found.instructions] == ["tanh"]


def test_points_have_ties_and_zeros_on_purpose() -> None:
    assert find(points(3), lambda p: p[0] == p[1] == p[2] != 0.0)
    assert find(points(2), lambda p: p[0] == 0.0 and p[1] != 0.0)


def test_points_are_inside_the_domain_where_they_can_be() -> None:
    program = trace(mg.log)(1.0)
    inside = []

    @settings(max_examples=200, database=None)
    @given(points(program))
    def look(at: list[float]) -> None:
        inside.append(at[0] > 0.0)

    look()
    assert sum(inside) > 0.75 * len(inside)


@given(values(min_value=-1.0, max_value=1.0, labels=True), modules())
def test_values_and_modules_keep_their_bounds(x: Value, model: nn.MLP) -> None:
    assert -1.0 <= x.data <= 1.0
    assert x.op is None
    out = model([x] * len(model.layers[0].neurons[0].w))
    for y in out if isinstance(out, list) else [out]:
        assert isinstance(y, Value)


def test_ops_can_be_chosen() -> None:
    only = [OPS["constant_power"], OPS["relu"]]

    @given(programs(ops=only, max_size=5))
    def check(program: Program) -> None:
        assert {op.name for op, _ in program.instructions} <= {"constant_power", "relu"}
        assert isinstance(program(*[0.5] * len(program.inputs)), float)

    check()


def test_a_strategy_prints_as_the_call_that_makes_it() -> None:
    assert repr(programs(max_size=3)) == "programs(max_size=3)"
    assert repr(modules(max_width=2)) == "modules(max_width=2)"
    assert repr(values(labels=True)) == "values(labels=True)"
    assert repr(points(2, max_value=1.0)) == "points(2, max_value=1.0)"


@pytest.mark.parametrize("kind", [Value, Program, nn.MLP])
def test_hypothesis_knows_the_types(kind: Any) -> None:
    first = settings(database=None, phases=[Phase.generate])  # it need not be small
    assert isinstance(find(st.from_type(kind), lambda _: True, settings=first), kind)
