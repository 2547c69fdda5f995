"""Nested containers: taken apart and put together again, and told from one another."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from microgrid.core import tree

Pair = namedtuple("Pair", "first second")

TREES = st.recursive(
    st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.tuples(inner, inner).map(lambda pair: Pair(*pair))
    ),
    max_leaves=12,
)


def taken_apart(x: Any, **options: Any) -> tuple[list[Any], tree.Structure]:
    return tree.flatten(x, lambda leaf, path: leaf, "x", **options)


@given(TREES)
def test_what_is_taken_apart_is_put_together_again(x: Any) -> None:
    leaves, structure = taken_apart(x)
    again = tree.unflatten(structure, leaves)
    assert again == x
    assert repr(again) == repr(x)  # a named tuple is equal to a tuple
    assert [i for _, i in tree.paths(structure)] == list(range(len(leaves)))


@given(TREES)
def test_a_path_leads_to_its_leaf(x: Any) -> None:
    tree.flatten(x, lambda leaf, path: leaf if eval(path, {"x": x}) == leaf else 1 / 0, "x")


@given(TREES, TREES)
def test_leaves_are_appended_to_those_of_other_trees(x: Any, y: Any) -> None:
    leaves, first = taken_apart(x)
    same, second = taken_apart(y, leaves=leaves)
    assert same is leaves
    assert repr((tree.unflatten(first, leaves), tree.unflatten(second, leaves))) == repr((x, y))


@given(TREES, TREES)
def test_a_signature_tells_structures_apart_and_no_numbers(x: Any, y: Any) -> None:
    (_, one), (_, other) = taken_apart(x), taken_apart(y)
    blank = [repr(tree.unflatten(structure, [0.0] * 99)) for structure in (one, other)]
    assert (tree.signature(one) == tree.signature(other)) == (blank[0] == blank[1])
    _, later = taken_apart(y, leaves=[0.0] * 5)
    assert hash(tree.signature(later)) == hash(tree.signature(other))
    assert tree.signature(later) == tree.signature(other)


@given(TREES)
def test_what_is_opened_takes_the_place_of_what_was_there(x: Any) -> None:
    class Box:
        def __init__(self, content: Any) -> None:
            self.content = content

    def boxed(x: Any) -> Any:
        if isinstance(x, dict):
            return Box({key: boxed(item) for key, item in x.items()})
        if isinstance(x, (list, tuple)):
            return Box(tree.like(x, [boxed(item) for item in x]))
        return Box(x)

    opened = tree.flatten(
        boxed(x), lambda leaf, path: (leaf, path), "x", opened=lambda x: x.content if isinstance(x, Box) else x
    )
    assert repr(opened) == repr(tree.flatten(x, lambda leaf, path: (leaf, path), "x"))
