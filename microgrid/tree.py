"""Nested lists, tuples and dicts of scalars, flattened and put together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Structure = Any
"""The nested containers, with the number of the leaf in each leaf's place."""


def flatten(tree: Any, check: Callable[[Any, str], Any], name: str) -> tuple[list[Any], Structure]:
    """The leaves, each as check(leaf, path) gives it back, and the structure; a path reads name["w"][0]."""
    leaves: list[Any] = []

    def walk(tree: Any, path: str) -> Structure:
        if isinstance(tree, dict):
            return {key: walk(item, f"{path}[{key!r}]") for key, item in tree.items()}
        if isinstance(tree, (list, tuple)):
            return _like(tree, [walk(item, f"{path}[{i}]") for i, item in enumerate(tree)])
        leaves.append(check(tree, path))
        return len(leaves) - 1

    return leaves, walk(tree, name)


def unflatten(structure: Structure, leaves: list[Any]) -> Any:
    """The tree of that structure with these leaves."""
    if isinstance(structure, dict):
        return {key: unflatten(item, leaves) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return _like(structure, [unflatten(item, leaves) for item in structure])
    return leaves[structure]


def _like(container: Any, items: list[Any]) -> Any:
    if isinstance(container, list):
        return items
    return type(container)(*items) if hasattr(container, "_fields") else tuple(items)
