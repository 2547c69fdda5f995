"""backward() against a naive engine on graphs grown step by step; and the proof that this would find a bug."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import BUGS, GraphMachine, faulty

EFFORT = settings(max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_backward_agrees_with_the_naive_engine_on_every_graph() -> None:
    run_state_machine_as_test(GraphMachine, settings=EFFORT)


def test_a_right_backward_pass_written_another_way_agrees_too() -> None:
    run_planted("none", 300)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    with pytest.raises(AssertionError):
        run_planted(bug, 5000)


def run_planted(bug: str, effort: int) -> None:
    planted = type("Planted", (GraphMachine,), {"backward": staticmethod(faulty(bug))})
    run_state_machine_as_test(
        planted, settings=settings(EFFORT, max_examples=effort, database=None, phases=[Phase.generate])
    )
