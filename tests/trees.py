"""Random trees of numbers and NumPy's arrays, in all containers that there are."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

import microgrid as mg
from microgrid.core import tree

np = pytest.importorskip("numpy")


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass(frozen=True)
class Layer:
    W: Any
    b: Any


class Bag:
    """A type of one's own, which is registered."""

    def __init__(self, inside: Any, name: str) -> None:
        self.inside = inside
        self.name = name


tree.register(Bag, lambda bag: ({"inside": bag.inside}, bag.name), lambda parts, name: Bag(parts["inside"], name))


@st.composite
def arrays(draw: Any) -> Any:
    """Arrays of floats, float32s, integers; in Fortran's order, read-only, reversed, empty ones."""
    shape = draw(st.sampled_from([(1,), (2,), (3,), (2, 2), (1, 3), (2, 1, 2), (0,), (2, 0)]))
    numbers = draw(st.lists(st.integers(-8, 8), min_size=math.prod(shape), max_size=math.prod(shape)))
    array = np.array(numbers, dtype=float).reshape(shape)
    how = draw(st.sampled_from(["float", "float32", "int", "fortran", "read-only", "reversed"]))
    if how in ("float32", "int"):
        return array.astype(how)
    array = array / 4.0
    if how == "read-only":
        array.flags.writeable = False
    return np.asfortranarray(array) if how == "fortran" else array[::-1] if how == "reversed" else array


TREES = st.recursive(
    arrays() | st.integers(-8, 8).map(lambda i: i / 4.0),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        | st.tuples(inner, inner).map(lambda pair: Pair(*pair))
        | st.tuples(inner, inner).map(lambda pair: Layer(*pair))
        | inner.map(lambda x: Bag(x, "bag"))
    ),
    max_leaves=4,
)


def numbers_of(x: Any) -> list[Any]:
    """The numbers in containers, in order, by a walk of its own."""
    if isinstance(x, np.ndarray):
        return list(x.reshape(-1)) if x.ndim else [x.item()]
    if isinstance(x, dict):
        return [number for item in x.values() for number in numbers_of(item)]
    if isinstance(x, (list, tuple)):
        return [number for item in x for number in numbers_of(item)]
    if isinstance(x, Layer):
        return numbers_of([x.W, x.b])
    return numbers_of(x.inside) if isinstance(x, Bag) else [x]


def listed(x: Any) -> Any:
    """The same with nested lists for arrays."""
    if isinstance(x, np.ndarray):
        return x.tolist()
    if isinstance(x, dict):
        return {key: listed(item) for key, item in x.items()}
    if isinstance(x, tuple):
        return Pair(*map(listed, x)) if isinstance(x, Pair) else tuple(map(listed, x))
    if isinstance(x, list):
        return list(map(listed, x))
    if isinstance(x, Layer):
        return Layer(listed(x.W), listed(x.b))
    return Bag(listed(x.inside), x.name) if isinstance(x, Bag) else x


def kinds(x: Any) -> Any:
    """Return the structure of a tree: types, keys and shapes, with an array of floats for any array."""
    if isinstance(x, np.ndarray):
        assert x.dtype == float
        return x.shape
    if isinstance(x, dict):
        return {key: kinds(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x), [kinds(item) for item in x]
    if isinstance(x, Layer):
        return Layer, kinds(x.W), kinds(x.b)
    return (Bag, x.name, kinds(x.inside)) if isinstance(x, Bag) else float


def as_floats(x: Any) -> Any:
    """The same with arrays of floats for arrays of integers."""
    leaves, structure = tree.flatten(x, lambda leaf, _: float(leaf), "x")
    return tree.unflatten(structure, leaves)


def loss(x: Any) -> Any:
    numbers = numbers_of(x)
    total: Any = 1.0
    for i, number in enumerate(numbers):
        total = total + (i + 1) * mg.sin(number) * numbers[i - 1]
    return total


def plain(x: Any) -> list[float]:
    return [float(number) for number in numbers_of(x)]
