"""Nested lists, tuples and dicts of scalars, flattened and put together again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

Structure = Any
"""The nested containers, with the number of the leaf in each leaf's place."""


def flatten(
    tree: Any,
    check: Callable[[Any, str], Any],
    name: str,
    *,
    leaves: list[Any] | None = None,
    opened: Callable[[Any], Any] | None = None,
) -> tuple[list[Any], Structure]:
    """Return the leaves, each as check(leaf, path) returns it, and the structure; a path reads name["w"][0].

    They are appended to `leaves`, if there are some already. With `opened`, opened(x) takes the place of each x in the
    tree, and of the tree itself, before it is looked at.
    """
    leaves = [] if leaves is None else leaves

    def walk(tree: Any, path: str) -> Structure:
        if opened is not None:
            tree = opened(tree)
        if isinstance(tree, dict):
            return {key: walk(item, f"{path}[{key!r}]") for key, item in tree.items()}
        if isinstance(tree, (list, tuple)):
            return like(tree, [walk(item, f"{path}[{i}]") for i, item in enumerate(tree)])
        leaves.append(check(tree, path))
        return len(leaves) - 1

    return leaves, walk(tree, name)


def unflatten(structure: Structure, leaves: Any) -> Any:
    """Return the tree of this structure with these leaves."""
    if isinstance(structure, dict):
        return {key: unflatten(item, leaves) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return like(structure, [unflatten(item, leaves) for item in structure])
    return leaves[structure]


def signature(structure: Structure) -> Any:
    """Return a hashable object that is equal for structures which differ only in the numbers of their leaves."""
    if isinstance(structure, dict):
        return (dict, *[(key, signature(item)) for key, item in structure.items()])
    if isinstance(structure, (list, tuple)):
        return (type(structure), *[signature(item) for item in structure])
    return None


def like(container: Any, items: list[Any]) -> Any:
    """Return a container of this kind with these items: a list, a tuple, a named tuple."""
    if isinstance(container, list):
        return items
    return type(container)(*items) if hasattr(container, "_fields") else tuple(items)


def paths(structure: Structure, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield for each leaf the keys that lead to it, and its number."""
    if isinstance(structure, int):
        yield path, structure
    else:
        for key, item in structure.items() if isinstance(structure, dict) else enumerate(structure):
            yield from paths(item, (*path, key))


def shape(structure: Structure) -> str:
    """Return the structure as text, with a dot for each leaf."""
    if isinstance(structure, int):
        return "a number"
    count = sum(1 for _ in paths(structure))
    return str(unflatten(structure, defaultdict(_Dot))) if count < 50 else f"{count} numbers in containers"


class _Dot:
    def __repr__(self) -> str:
        return "·"
