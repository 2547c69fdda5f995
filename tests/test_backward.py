"""backward() against a naive engine on graphs grown step by step; and the proof that this would find a bug."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import BUGS, GraphMachine, faulty

from microgrid import Value
from microgrid.engine import topological

EFFORT = settings(max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_backward_agrees_with_the_naive_engine_on_every_graph() -> None:
    run_state_machine_as_test(GraphMachine, settings=EFFORT)


@pytest.mark.slow
def test_a_right_backward_pass_written_another_way_agrees_too() -> None:
    run_planted("none", 300)


@pytest.mark.parametrize(
    "bug", [pytest.param(bug, marks=pytest.mark.slow if bug == "breadth-first order" else ()) for bug in BUGS]
)
def test_a_planted_bug_is_found(bug: str) -> None:
    with pytest.raises(AssertionError):
        run_planted(bug, 5000)


def run_planted(bug: str, effort: int) -> None:
    planted = type("Planted", (GraphMachine,), {"backward": staticmethod(faulty(bug))})
    run_state_machine_as_test(
        planted, settings=settings(EFFORT, max_examples=effort, database=None, phases=[Phase.generate])
    )


def test_an_interrupted_pass_leaves_the_gradients_of_leaves_and_a_graph_that_is_as_before() -> None:
    x, y = Value(2.0), Value(3.0)
    z = (x * y).sin() * (x + y).cos()
    z.backward()
    before, whole = (x.grad, y.grad), topological([z])
    older, younger = whole[-3], whole[-2]
    number, older.number = older.number, younger.number  # as threads might do it without a lock
    with pytest.raises(RuntimeError, match="two nodes carry the creation number"):
        z.backward()
    assert (x.grad, y.grad) == before
    older.number = z.number + 1  # younger than its users
    with pytest.raises(RuntimeError, match="younger than its user"):
        z.backward()
    assert (x.grad, y.grad) == before
    older.number = number
    z.backward()
    assert (x.grad, y.grad) == (2.0 * before[0], 2.0 * before[1])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers on this system")
def test_ctrl_c_within_a_pass_leaves_no_half_of_it() -> None:
    x = Value(1.0)
    total = x * 1.0
    for _ in range(20_000):
        total = total + x
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for delay in range(1, 40):
            x.grad = 5.0
            done = False
            try:
                signal.setitimer(signal.ITIMER_REAL, delay * 2e-4)
                total.backward()
                done = True
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            except KeyboardInterrupt:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            assert x.grad in ((20_006.0,) if done else (5.0, 20_006.0))
    finally:
        signal.signal(signal.SIGALRM, previous)
