"""Batches: the bits of single calls for every length, mix of arguments, type of numbers and layout in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import nn
from microgrid.compiler import kernel, machine
from microgrid.compiler.plan import Plan

LENGTHS = (0, 1, 2, 3, 4, 5, 15, 16, 17, 33, 130, 300)
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C": lambda x: x,
    "Fortran": np.asfortranarray,
    "backwards": lambda x: x[::-1].copy()[::-1],
    "every other": lambda x: np.repeat(x, 2, axis=0)[::2],
    "single": lambda x: x.astype(np.float32),
    "whole": lambda x: np.round(x).astype(np.int64),
    "big-endian": lambda x: x.astype(">f8"),
    "lists": lambda x: x.tolist() if len(x) else x,
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
}
FUNCTIONS: dict[str, tuple[Callable[..., Any], Sequence[tuple[int, ...]]]] = {
    "shifted": (lambda x: x + 0.5, [()]),
    "two": (lambda x, y: x * y + mg.sin(x), [(), ()]),
    "rows": (lambda xs, y: mg.exp(xs[0] * 0.1) * xs[2] - y * xs[1], [(3,), ()]),
    "several": (lambda x, ys: [x * ys[0], mg.tanh(ys[1] - x)], [(), (2,)]),
    "wide": (lambda xs: mg.sum([x * x for x in xs]), [(9,)]),
}
STRICT = {name: mg.compile(f, strict=True, cache=False) for name, (f, _) in FUNCTIONS.items()}


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(LENGTHS))
def test_a_batch_has_the_bits_of_single_calls(data: st.DataObject, name: str, n: int) -> None:
    f, (_, shapes) = STRICT[name], FUNCTIONS[name]
    rng = np.random.default_rng(n)
    axes = [data.draw(st.sampled_from([0, 0, 0, None])) for _ in shapes]
    axes = axes if 0 in axes else [0 for _ in shapes]
    args: list[Any] = []
    for shape, axis in zip(shapes, axes, strict=True):
        if axis is None:
            one = rng.normal(size=shape)
            args.append(one if shape else float(one))
        else:
            args.append(LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))](rng.normal(size=(n, *shape))))
    mixed: Any = axes if None in axes else 0
    single = [f(*[arg if axis is None else arg[i] for arg, axis in zip(args, axes, strict=True)]) for i in range(n)]
    for _ in range(3):  # the second call finds what the first one left
        got = f.batch(*args, in_axes=mixed)
        rows = (
            [list(row) for row in zip(*[column.tolist() for column in got], strict=True)]
            if name == "several"
            else got.tolist()
        )
        assert rows == single
    if name == "several":
        return
    slopes = [
        f.gradient(*[arg if axis is None else arg[i] for arg, axis in zip(args, axes, strict=True)]) for i in range(n)
    ]
    several = len(shapes) > 1
    for again in range(3):
        values, gradients = f.batch_value_and_grad(*args, in_axes=mixed if again else axes)
        assert values.tolist() == single
        for place, axis in enumerate(axes):
            own = [s[place] if several else s for s in slopes]
            found = gradients[place] if several else gradients
            assert type(found) is (float if np.ndim(args[place]) == 0 else np.ndarray)
            if axis == 0:
                assert np.array(found).tolist() == [np.asarray(x).tolist() for x in own]
            elif n:
                assert np.allclose(found, np.sum(own, axis=0), rtol=1e-12, atol=1e-12)


def test_arguments_of_other_kinds_do_not_run_the_code_of_arrays() -> None:
    def f(x: Any, k: Any = 1.0) -> Any:
        kind = "list" if isinstance(x, list) else "array"
        return x[0] * k + (1.0 if kind == "list" else 2.0)

    compiled = mg.compile(f, cache=False, static="k")
    x = np.array([[3.0], [4.0]])
    for _ in range(2):
        assert compiled.batch(x).tolist() == [5.0, 6.0]
        assert compiled.batch(x.tolist()).tolist() == [4.0, 5.0]
        assert compiled.batch(x, 2.0).tolist() == [8.0, 10.0]
        assert compiled.batch(x, k=3.0).tolist() == [11.0, 14.0]
        with pytest.raises(ValueError, match="in_axes has 0 or None"):
            compiled.batch(x, in_axes=False)
    added = mg.compile(lambda a, b: a + b, cache=False)
    for _ in range(2):
        assert added.batch(np.ones(2), np.ones(2)).tolist() == [2.0, 2.0]
        with pytest.raises(ValueError, match="argument 1 has 3 row"):
            added.batch(np.ones(2), np.ones(3))
        with pytest.raises(TypeError, match="argument 0 is one number"):
            added.batch(np.array(1.0), np.ones(2))


def test_an_array_that_is_static_is_no_row() -> None:
    compiled = mg.compile(lambda x, n=None: x if n is None else x * float(n[0]), static="n", cache=False)
    x = np.array([1.0, 2.0])
    for _ in range(2):
        assert compiled.batch(x, np.array([3.0, 5.0])).tolist() == [3.0, 6.0]
        assert compiled.batch(x).tolist() == [1.0, 2.0]
        assert compiled.batch(x, np.array([4.0, 5.0])).tolist() == [4.0, 8.0]


SHIFT = 1.0


def test_a_name_outside_that_changes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = mg.compile(lambda x: x + SHIFT, cache=False)
    step = mg.compile(lambda out, y: (out - y) * SHIFT, nn.Neuron(1, nonlin=False, seed=0), cache=False)
    step.parameters[:] = 0.0
    x = np.arange(20.0)
    for shift in (1.0, 2.0, 1.0):
        monkeypatch.setitem(globals(), "SHIFT", shift)
        for _ in range(2):
            assert compiled.batch(x).tolist() == (x + shift).tolist()
            assert step(x[:, None], np.ones(20))[0] == pytest.approx(-shift)


class Scaled:
    """A method that is compiled, with an attribute that it reads."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    @mg.compile
    def times(self, x: Any) -> Any:
        return x * self.scale


def test_batches_of_methods_see_the_attributes_of_their_instance() -> None:
    x = np.arange(20.0)
    first, second = Scaled(2.0), Scaled(3.0)
    for one in (first, second, first):
        for _ in range(2):
            assert one.times.batch(x).tolist() == (x * one.scale).tolist()
        one.scale += 5.0
        assert one.times.batch(x).tolist() == (x * one.scale).tolist()


def test_values_outside_are_read_by_each_batch() -> None:
    scale = mg.Value(2.0)
    compiled = mg.compile(lambda x: x * scale, cache=False)
    x = np.arange(20.0)
    for number in (2.0, 3.0, 4.0):
        scale.data = number
        assert compiled.batch(x).tolist() == (x * number).tolist()


@pytest.mark.parametrize("n", LENGTHS)
def test_one_call_for_all_samples_has_the_bits_of_calls_for_parts(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 4)), rng.normal(size=n)
    step = mg.compile(lambda out, y: (out - y) ** 2, nn.MLP(4, [5, 1], seed=0), cache=False)
    calls: list[int] = []
    at_once = Plan._at_once
    monkeypatch.setattr(Plan, "_at_once", lambda self, *given: calls.append(1) or at_once(self, *given))  # type: ignore[func-returns-value]  # append returns None, and `or` goes on
    if not n:
        with pytest.raises(ValueError, match="at least one"):
            step(x, y)
        return
    first, second = step(x, y), step(x, y)
    assert len(calls) == (n <= kernel.CHUNKS * step._ran().mode.lanes)
    assert first[0] == second[0]
    assert first[1].tolist() == second[1].tolist()


def test_steps_take_the_numbers_that_parameters_hold_now() -> None:
    step = mg.compile(lambda out, y: (out - y) ** 2, nn.Neuron(1, nonlin=False, seed=0), cache=False)
    x, y = np.ones((3, 1)), np.zeros(3)
    for parameters in (
        np.array([1.0, 2.0]),
        [2.0, 3.0],
        np.array([2, 4]),
        np.arange(6.0)[::3],
        np.array([1.0, 1.0], ">f8"),
    ):
        step.parameters = parameters
        assert step(x, y)[0] == pytest.approx(float(sum(parameters)) ** 2)
    step.parameters = np.ones(3)
    with pytest.raises(ValueError, match="parameters has shape"):
        step(x, y)


def test_arrays_lie_where_machine_code_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    machine._arrays_are_known.cache_clear()
    assert machine._arrays_are_known()
    monkeypatch.setattr(machine, "DATA", kernel.DATA + 8)
    machine._arrays_are_known.cache_clear()
    assert not machine._arrays_are_known()
    f = mg.compile(lambda x: x * 2.0, cache=False)
    assert [f.batch(np.ones(5)).tolist() for _ in range(2)] == [[2.0] * 5] * 2
    monkeypatch.undo()
    machine._arrays_are_known.cache_clear()


def test_threads_have_frames_of_their_own() -> None:
    f = mg.compile(lambda xs: mg.sum([mg.sin(x) for x in xs]), cache=False)
    arrays = [np.random.default_rng(k).normal(size=(40, 30)) for k in range(4)]
    expected = [f.batch(x).tolist() for x in arrays]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(300):
            if f.batch(arrays[k]).tolist() != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("width", [2, 5, 8, 17])
def test_rows_of_any_width_are_transposed_whole(width: int) -> None:
    turned = mg.compile(lambda x: [x[(5 * i + 1) % width] * (i + 1.0) for i in range(width)], cache=False)
    for n in (*range(9, 35), 64, 129):
        x = np.random.default_rng(n).normal(size=(n, width))
        for i, column in enumerate(turned.batch(x)):
            assert (column == x[:, (5 * i + 1) % width] * (i + 1.0)).all()
