"""Frames: names for the values made within, shown by pictures, steps, loops and messages; and instances of a class."""

from __future__ import annotations

from typing import Any, cast

import pytest

import microgrid as mg
from microgrid import Value, draw, frame, nn, no_grad, steps


def test_values_carry_the_frames_and_modules_that_they_were_made_in() -> None:
    cell = nn.Neuron(1)
    with frame("t=1"):
        a = Value(2.0) * 3.0
        with frame("block"):
            b = a + 1.0
            c = cell([b])
        d = b * 2.0
    e = d * 1.0
    assert [v.module for v in (a, b, c, d, e)] == ["t=1", "t=1.block", "t=1.block.Neuron", "t=1", ""]


def test_a_frame_ends_with_an_error_and_may_be_used_again() -> None:
    again = frame("again")
    with pytest.raises(ZeroDivisionError), again:
        _ = 1 / 0
    assert (Value(1.0) * 2.0).module == ""
    with again, again:
        assert (Value(1.0) * 2.0).module == "again.again"


def test_a_function_may_be_framed_and_call_itself() -> None:
    @frame("f")
    def f(x: Value, n: int) -> Value:
        return x * 2.0 if n == 0 else f(x * 3.0, n - 1)

    z = f(Value(1.0), 2)
    assert (z.module, z.operands[0].module, z.operands[0].operands[0].module) == ("f.f.f", "f.f", "f")


def test_within_no_grad_nothing_is_recorded_and_within_a_watch_frames_are_told() -> None:
    with frame("outer"), no_grad(), frame("inner"):
        assert (Value(1.0) * 2.0).operands == ()
    with (
        pytest.raises(FloatingPointError, match=r"in outer\.inner"),
        mg.detect_anomaly(),
        frame("outer"),
        frame("inner"),
    ):
        _ = mg.log(Value(-1.0)) * 2.0


@pytest.mark.parametrize(("name", "error"), [(1, TypeError), (None, TypeError), ("", ValueError), ("  ", ValueError)])
def test_a_frame_needs_a_name(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"a frame has a name|a frame needs a name"):
        frame(cast(str, name))


def recurrent(frames: bool = True) -> Value:
    """Two time steps of a cell with shared weights."""
    w, u, h = Value(0.5, label="w"), Value(-0.3, label="u"), Value(0.0, label="h0")
    for t in (1, 2):
        if frames:
            with frame(f"t={t}"):
                h = mg.tanh(w * h + u * Value(float(t), label=f"x{t}"))
        else:
            h = mg.tanh(w * h + u * Value(float(t), label=f"x{t}"))
    return h


def test_pictures_have_a_frame_for_each() -> None:
    source = draw(recurrent()).source
    assert "t=1" in source
    assert "t=2" in source
    assert source.count("subgraph") == 2
    assert draw(recurrent(frames=False)).source.count("subgraph") == 0


def test_steps_tell_values_of_frames_apart() -> None:
    def f(x: Value) -> Value:
        with frame("first"):
            a = x * 2.0
            a.label = "a"
        with frame("x=0.5"):
            b = a * x
            b.label = "a"
        return a + b

    names = steps(f(Value(3.0, label="x"))).names
    assert "first.a" in names
    assert "x=0\N{ONE DOT LEADER}5.a" in names
    assert {item.module for item in steps(recurrent()).items} == {"", "t=1", "t=2"}


def test_a_module_called_in_several_frames_has_its_parameters_once() -> None:
    cell = nn.Neuron(1)
    h: Value = Value(1.0, label="h")
    for t in range(2):
        with frame(f"t={t}"):
            h = cell([h])
    roles = {item.title: (item.role, item.module) for item in steps(h).items if item.title}
    assert roles == {"w[0]": ("parameter", ""), "b": ("parameter", ""), "h": ("input", "")}


def test_compiled_loops_name_frames() -> None:
    def f(xs: list[Value]) -> Value:
        with frame("squares"):
            squares = [x * x for x in xs]
        with frame("total"):
            return cast(Value, mg.sum(squares))

    compiled = mg.compile(f)
    compiled([float(i) for i in range(8)])
    assert "squares" in str(compiled.loops)


def test_two_instances_of_a_class_are_told_apart() -> None:
    x = [Value(1.0), Value(-0.5)]
    a, b = nn.MLP(2, [2, 1], seed=1), nn.MLP(2, [2, 1], seed=2)
    z = b(x) + a(x)  # numbered in the order in which they were made
    items = steps(z).items
    for model, path in ((a, "MLP."), (b, "MLP#2.")):
        own = {id(p) for p in model.parameters()}
        parameters = [item for v, item in zip(steps(z).values, items, strict=True) if id(v) in own]
        assert len(parameters) == 9
        assert all(item.module.startswith(path) for item in parameters)
        results = [item for item in items if item.operands and item.module.startswith(path)]
        assert len(results) == 2 * 5 + 4
    source = draw(z).source
    assert "MLP#2" in source
    assert len(set(steps(z).names)) == len(steps(z).names)


def test_one_instance_is_one_however_often_and_wherever_it_is_called() -> None:
    model = nn.MLP(2, [2, 1])
    total = model([Value(1.0, label="x1"), Value(2.0, label="x2")]) + model(
        [Value(3.0, label="x1"), Value(4.0, label="x2")]
    )
    with frame("t=1"):
        total = total + model([Value(5.0, label="x1"), Value(6.0, label="x2")])
    assert not any("#" in item.module for item in steps(total).items)


def test_cells_of_two_instances_in_frames_are_told_apart() -> None:
    a, b = nn.Neuron(1), nn.Neuron(1)
    h: Value = Value(1.0, label="h")
    for t in (1, 2):
        with frame(f"t={t}"):
            h = b([a([h])])
    modules = {item.module for item in steps(h).items if item.operands}
    assert modules == {"t=1.Neuron", "t=1.Neuron#2", "t=2.Neuron", "t=2.Neuron#2"}
