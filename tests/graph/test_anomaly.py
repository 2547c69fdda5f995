"""The first operation that is not finite is named, with the line that made it."""

from __future__ import annotations

import inspect
import math
import threading

import pytest

import microgrid as mg
from microgrid import Value, detect_anomaly, grad, gradient, nn, no_grad


def here() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_the_first_operation_that_is_not_finite_is_named() -> None:
    x, y = Value(2.0, label="x"), Value(2.0, label="y")
    line = here() + 2
    with detect_anomaly(), pytest.raises(FloatingPointError) as caught:
        (x / (x - y)).exp()
    assert str(caught.value) == f"div(x = 2.0, 0.0) gave inf, at {__file__}:{line}"


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x + math.inf, r"add\(x = 3.0, inf\) gave inf"),
        (lambda x: x * 1e308 * 10.0, r"mul\(3e\+308|mul\(inf|gave inf"),
        (lambda x: mg.log(x - 4.0), r"log\(-1.0\) gave nan"),
        (lambda x: mg.where(1.0, mg.exp(1000.0 * x), x), r"exp\(3000.0\) gave inf"),
        (lambda x: nn.Neuron(1, activation="tanh")([x * math.nan]), r"mul\(x = 3.0, nan\) gave nan"),
    ],
)
def test_every_way_of_recording_is_watched(operation: object, message: str) -> None:
    assert callable(operation)
    with detect_anomaly(), pytest.raises(FloatingPointError, match=message):
        operation(Value(3.0, label="x"))


def test_the_module_is_named() -> None:
    model = nn.MLP(1, [2, 1])
    model.layers[1].neurons[0].w[1].data = math.inf
    model.layers[0].neurons[1].b.data = 5.0
    with (
        detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"mul\(w\[1\] = inf, .*in MLP\.layers\[1\]\.neurons\[0\]"),
    ):
        model([0.0])


def test_a_backward_pass_that_is_not_finite_is_stopped_before_it_writes() -> None:
    x = Value(0.0, label="x")
    with detect_anomaly():
        line = here() + 1
        z = mg.sqrt(x) + x * 3.0
        with pytest.raises(FloatingPointError) as caught:
            z.backward()
    assert str(caught.value) == (
        f"sqrt(x = 0.0) passes inf back to x = 0.0: cotangent 1.0 times partial inf, at {__file__}:{line}"
    )
    assert (x.grad, z.grad) == (0.0, 0.0)
    z.backward()
    assert x.grad == math.inf


def test_a_sum_of_contributions_that_overflows_is_stopped_and_named() -> None:
    x = Value(0.1, label="x")
    with detect_anomaly():
        line = here() + 1
        y = x * 1e308 + x * 1e308
        with pytest.raises(FloatingPointError) as caught:
            y.backward()
    assert str(caught.value) == (
        "mul(x = 0.1, 1e+308) passes 1e+308 back to x = 0.1, which had 1e+308 already: "
        f"their sum is inf, at {__file__}:{line}"
    )
    assert x.grad == 0.0


def test_a_graph_recorded_before_is_watched_backward_without_its_line() -> None:
    z = mg.sqrt(Value(0.0))
    with detect_anomaly(), pytest.raises(FloatingPointError, match="recorded outside of detect_anomaly"):
        z.backward()


def test_derivatives_of_functions_are_watched() -> None:
    x = Value(0.0)
    z = mg.sqrt(x)
    for take in (lambda: grad(mg.sqrt)(0.0), lambda: gradient(z, x), lambda: mg.vjp(mg.sqrt, 0.0)[1](1.0)):
        with detect_anomaly(), pytest.raises(FloatingPointError, match="sqrt"):
            take()


def test_what_does_not_matter_raises_nothing() -> None:
    x = Value(0.0)
    with detect_anomaly():
        z = 0.0 * mg.sqrt(x) + mg.where(x > 0, mg.sqrt(x), 2.0)
        z.backward()
    assert (z.data, x.grad) == (2.0, 0.0)


def test_inside_all_is_computed_and_recorded_as_outside() -> None:
    model = nn.MLP(2, [3, 1], activation="tanh")

    def run() -> tuple[float, list[float], set[str]]:
        model.zero_grad()
        z = model([Value(1.0), 2.0]) ** 2
        z.backward()
        from microgrid.engine import topological

        return z.data, [p.grad for p in model.parameters()], {v.module for v in topological([z])}

    plain = run()
    with detect_anomaly():
        watched = run()
        with no_grad():
            assert (Value(0.0).log()).operands == ()  # nothing is recorded, nothing watched
        with detect_anomaly():
            assert run() == plain
        assert run() == plain
    assert watched == plain == run()
    with no_grad(), detect_anomaly():
        assert Value(0.0).log().data == -math.inf


def test_it_holds_for_the_thread_that_entered_it() -> None:
    found: list[float] = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: found.append(Value(0.0).log().data))
        thread.start()
        thread.join()
    assert found == [-math.inf]


def test_programs_are_made_and_replayed_inside() -> None:
    with detect_anomaly():
        program = mg.trace(lambda x: mg.log(x))(1.0)
        assert program.gradient()(2.0) == 0.5
