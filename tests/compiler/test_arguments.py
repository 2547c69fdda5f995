"""Arguments of compiled functions: flattened for the code, and what comes back put together like them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import Value
from microgrid.compiler import arguments
from microgrid.compiler.parameters import STATIC as STATIC_TYPES
from microgrid.compiler.parameters import Parameters
from microgrid.core import tree

NUMBERS = st.recursive(
    st.floats(-9.0, 9.0)
    | st.integers(-9, 9).map(np.float64)
    | st.integers(-9, 9)
    | st.lists(st.floats(-9.0, 9.0), max_size=3).map(np.array),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=6,
)
STATIC = st.sampled_from([True, "word", None, np.bool_(False)])
FREE = Parameters(lambda *args: None)


def plain(x: Any, listed: bool = False) -> Any:
    """The same with floats, and with lists for arrays if asked for."""
    if isinstance(x, dict):
        return {key: plain(item, listed) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return tree.like(x, [plain(item, listed) for item in x])
    if isinstance(x, np.ndarray):
        return x.tolist() if listed else x.astype(float)
    return x.item() if isinstance(x, Value) else float(x)


def is_static(x: Any) -> bool:
    return isinstance(x, (STATIC_TYPES, np.bool_))


@given(st.lists(NUMBERS | STATIC, max_size=4), st.dictionaries(st.sampled_from("xyz"), NUMBERS | STATIC, max_size=2))
def test_the_derivatives_of_a_call_are_put_together_like_its_arguments(args: list[Any], kwargs: dict[str, Any]) -> None:
    found = arguments.single(FREE, args, kwargs)
    expected = [plain(x) for x in args if not is_static(x)]
    named = [plain(kwargs[name]) for name in sorted(kwargs) if not is_static(kwargs[name])]
    assert repr(list(found.example().values())) == repr([*expected, *named])
    assert repr(found.derivatives(None, np.array(found.numbers))) == repr(expected)
    assert found.differentiable == any(not is_static(x) for x in args)
    assert found.shared == [False] * len(found.numbers)
    again = arguments.single(FREE, [x if is_static(x) else plain(x) for x in args], kwargs)
    assert hash(tuple(again.key)) == hash(tuple(found.key))
    assert (again.key, again.numbers) == (found.key, found.numbers)


@given(NUMBERS | STATIC, NUMBERS | STATIC)
def test_keys_are_those_of_structures_and_of_static_values(x: Any, y: Any) -> None:
    keys = [arguments.single(FREE, [z], {}).key for z in (x, y)]
    if is_static(x) or is_static(y):
        assert (keys[0] == keys[1]) == (repr(x) == repr(y))
    else:
        assert (keys[0] == keys[1]) == (shape_of(x) == shape_of(y))


def shape_of(x: Any) -> str:
    """The text of a tree with each number replaced."""
    if isinstance(x, dict):
        return "{" + ", ".join(f"{key}: {shape_of(item)}" for key, item in x.items()) + "}"
    if isinstance(x, (list, tuple)):
        return type(x).__name__ + "(" + ", ".join(map(shape_of, x)) + ")"
    return f"array{x.shape}" if isinstance(x, np.ndarray) else "number"


@pytest.mark.parametrize(
    "nested",
    [Value(1.0), [Value(1.0)], {"a": (0.0, Value(1.0))}, np.array([Value(1.0), 2.0]), np.array(Value(1.0))],
)
def test_values_are_read_by_a_batch_alone(nested: Any) -> None:
    with pytest.raises(arguments.HoldsValue):
        arguments.single(FREE, [1.0, nested], {})
    with pytest.raises(arguments.HoldsValue):
        arguments.single(FREE, [1.0], {"x": nested})
    with pytest.raises(arguments.HoldsValue):
        arguments.single(Parameters(lambda x: None, "x"), [nested], {})
    found = arguments.batch(FREE, [np.ones(3), nested], [0, None], {"y": nested})
    assert [x for x in found.numbers if x == 1.0] == [1.0, 1.0]


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Any], list[int | None], int]:
    """Arguments, the axes of their samples, and how many samples there are."""
    samples = draw(st.integers(0, 3))
    array = st.lists(st.integers(1, 3), max_size=2).map(
        lambda shape: np.arange(float(np.prod((samples, *shape)))).reshape(samples, *shape)
    )
    rows = st.recursive(
        array, lambda inner: st.tuples(inner, inner) | st.fixed_dictionaries({"a": inner}), max_leaves=3
    )
    args: list[Any] = [draw(rows)]
    axes: list[int | None] = [0]
    for _ in range(draw(st.integers(0, 2))):
        axis = draw(st.sampled_from([0, None]))
        args.append(draw(rows if axis == 0 else NUMBERS | STATIC))
        axes.append(axis)
    return args, axes, samples


@given(batches())
def test_the_derivatives_of_a_batch_are_put_together_like_its_arguments(
    case: tuple[list[Any], list[int | None], int],
) -> None:
    args, axes, samples = case
    found = arguments.batch(FREE, args, axes, {})
    assert found.samples == samples
    assert found.shared.count(True) == len(found.numbers)
    assert found.shared.count(False) == sum(array.shape[1] for array in found.arrays)
    columns = np.concatenate(found.arrays, axis=1)
    derivatives = found.derivatives(columns, np.array(found.numbers))
    both = [(x, axis) for x, axis in zip(args, axes, strict=True) if axis == 0 or not is_static(x)]
    for derivative, (x, axis) in zip(derivatives, both, strict=True):
        assert repr(derivative) == repr(x if axis == 0 else plain(x))
    for example, (x, axis) in zip(found.example().values(), both, strict=True):
        if axis == 0:
            rows, structure = tree.flatten(x, lambda leaf, path: leaf, "x", arrays=False)
            first = [row[0] if samples else np.zeros(row.shape[1:]) for row in rows]
            first = [row if row.shape else row.item() for row in first]
            assert repr(example) == repr(tree.unflatten(structure, first))
        else:
            assert repr(example) == repr(plain(x))


@pytest.mark.parametrize(
    ("args", "axes", "advice"),
    [
        (([1.0, {"a": "word"}],), None, r"argument 0\[1\]\['a'\]: "),
        (([[1.0], [2.0, 3.0]],), [0], r"argument 0 must be an array of numbers with a row for each sample"),
        ((([1.0], 2.0),), [0], r"argument 0\[1\] is one number"),
        (([1.0, 2.0], {"a": [1.0]}), [0, 0], r"argument 1\['a'\] has 1 row\(s\), the arguments before have 2"),
        ((1.0,), [None], "not every axis may be None"),
    ],
)
def test_an_argument_that_cannot_be_is_named_by_its_path(args: Any, axes: Any, advice: str) -> None:
    with pytest.raises((TypeError, ValueError), match=advice):
        arguments.single(FREE, args, {}) if axes is None else arguments.batch(FREE, args, axes, {})
