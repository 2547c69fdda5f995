"""Replays on NumPy's arrays give arrays of their own, and the bits of floats."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions

import microgrid as mg
from microgrid import primitive, trace

np = pytest.importorskip("numpy")

RESULTS: dict[str, Callable[[Any, Any], list[Any]]] = {
    "an input": lambda x, y: [x, y],
    "an input twice": lambda x, y: [x, x],
    "the identity": lambda x, y: [mg.ops.identity(x), mg.ops.identity(y) * 1.0],
    "a result twice": lambda x, y: [x + y] * 2,
    "a constant": lambda x, y: [mg.Value(2.0), mg.Value(2.0)],
    "one input's shape": lambda x, y: [mg.sin(x), mg.sin(y)],
    "a choice": lambda x, y: [mg.maximum(x, y), mg.relu(x)],
}


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.array([1.0, -2.0]), np.array([3.0, 0.5])),
        (np.array([[1.0], [2.0]]), np.array([3.0, 0.5])),
        (np.array([1.0, -2.0]), 3.0),
        (np.asfortranarray(np.arange(4.0).reshape(2, 2)), np.arange(4.0).reshape(2, 2)[:, ::-1]),
        (np.arange(6.0)[::2], np.arange(3)),
        (np.array([1.0, 2.0], dtype=np.float32), np.array(3.0)),
        (np.zeros((0, 2)), np.array([1.0, 2.0])),
    ],
)
def test_results_share_no_memory_with_arguments_or_one_another(name: str, x: Any, y: Any) -> None:
    program = trace(lambda x, y: RESULTS[name](x, y))(0.5, 0.25)
    before = x.copy(), np.copy(y)
    first, second = program(x, y)
    shape = np.broadcast_shapes(np.shape(x), np.shape(y))
    assert (first.shape, second.shape) == (shape, shape)
    assert first.dtype == second.dtype == float
    again = program(x, y)
    for result in (first, second):
        result += 1.0  # it can be written to, and nobody notices
    assert (x == before[0]).all()
    assert (y == before[1]).all()
    assert all((a + 1.0 == b).all() for a, b in zip(again, (first, second), strict=True))


def test_a_function_of_a_person_that_gives_back_its_argument_gives_no_array_away() -> None:
    same = primitive("its_argument", lambda x: x, lambda z, x: (1.0,), on={"numpy": lambda x: x})
    reshaped = primitive("a_view_of_it", lambda x: x, lambda z, x: (1.0,), on={"numpy": lambda x: x.reshape(x.shape)})
    x = np.array([1.0, 2.0])
    for result in trace(lambda x: [same(x), reshaped(x)])(0.5)(x):
        result += 1.0
    assert x.tolist() == [1.0, 2.0]


OPS = [mg.ops.sigmoid, mg.ops.silu, mg.ops.softsign, mg.ops.relu, mg.ops.gaussian, mg.ops.add]
EDGES = [0.0, -0.0, 1e-300, 0.5, 30.0, 800.0, -800.0, float("inf"), float("-inf"), float("nan")]


@settings(deadline=None, max_examples=60)
@given(
    functions(of=[mg.ops.sigmoid, mg.ops.silu, mg.ops.softsign, mg.ops.relu, mg.ops.gaussian, mg.ops.add]), st.data()
)
def test_whole_arrays_have_the_bits_of_their_items(f: RandomFunction, data: st.DataObject) -> None:
    numbers = st.floats(-40.0, 40.0) | st.sampled_from(EDGES)
    columns = [data.draw(st.lists(numbers, min_size=3, max_size=3)) for _ in range(f.inputs)]
    program = trace(f)(*[0.5] * f.inputs)
    together = program(*map(np.array, columns)).tolist()
    alone = [float(program(*[np.array([column[i]]) for column in columns])[0]) for i in range(3)]
    assert list(map(bits, together)) == list(map(bits, alone))
    floats = [float(f(*[column[i] for column in columns])) for i in range(3)]
    assert [x != x for x in together] == [x != x for x in floats]


def bits(x: float) -> bytes:
    return struct.pack("d", x if x == x else float("nan"))
