"""Nested containers of numbers, flattened and put together again.

Containers are lists, tuples, named tuples, dicts, data classes, NumPy's arrays, and types that `register` names.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from microgrid.core.value_arrays import value_array

T = TypeVar("T")

Structure = Any
"""The nested containers, with the number of the leaf in each leaf's place, and `Array` or `Instance` for their like."""

_registered: dict[type, tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any, Any], Any]]] = {}


# No data classes: their module takes as long to import as the table of ops.


class Array:
    """The structure of an array: its shape, and the number of its first leaf. The others follow in C's order."""

    __slots__ = ("first", "shape")

    def __init__(self, shape: tuple[int, ...], first: int) -> None:
        self.shape = shape
        self.first = first

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and (self.shape, self.first) == (other.shape, other.first)

    def __hash__(self) -> int:
        return hash((self.shape, self.first))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return math.prod(self.shape)


class Instance:
    """The structure of a data class or of a registered type: what it holds, and what of it is no number."""

    __slots__ = ("content", "kind", "static")

    def __init__(self, kind: type, content: Structure, static: Any = None) -> None:
        self.kind = kind
        self.content = content
        self.static = static

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instance) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[Any, ...]:
        return self.kind, self.content, self.static


class Attribute(str):
    """A key of a path that is the name of a field."""

    __slots__ = ()


def register(kind: type[T], apart: Callable[[T], tuple[Any, Any]], together: Callable[[Any, Any], T]) -> None:
    """Make a type a container of numbers, for `grad` and all others.

    apart(x) is a pair: a tree of numbers (a list, a dict, arrays), and what else x holds, which must be comparable by
    ==. together(tree, else) makes one of them again; in place of numbers the tree has Values, or derivatives.

        register(Layer, lambda layer: ([layer.W, layer.b], layer.activation), lambda tree, kind: Layer(*tree, kind))
    """
    _registered[kind] = (apart, together)


def is_array(x: Any) -> bool:
    """Return True if x is a NumPy array, without importing NumPy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray)


def flatten(
    tree: Any,
    check: Callable[[Any, str], Any],
    name: str,
    *,
    leaves: list[Any] | None = None,
    opened: Callable[[Any], Any] | None = None,
    arrays: bool = True,
) -> tuple[list[Any], Structure]:
    """Return the leaves, each as check(leaf, path) returns it, and the structure; a path reads name["w"][0].

    They are appended to `leaves`, if there are some already. With `opened`, opened(x) takes the place of each x in the
    tree, and of the tree itself, before it is looked at. An array without axes is a number; without `arrays`, any array
    is a leaf.
    """
    leaves = [] if leaves is None else leaves

    def walk(tree: Any, path: str) -> Structure:
        if opened is not None:
            tree = opened(tree)
        kind = type(tree)
        if kind is float:
            leaves.append(check(tree, path))
            return len(leaves) - 1
        if isinstance(tree, dict):
            return {key: walk(item, f"{path}[{key!r}]") for key, item in tree.items()}
        if isinstance(tree, (list, tuple)):
            return like(tree, [walk(item, f"{path}[{i}]") for i, item in enumerate(tree)])
        if hasattr(kind, "_apply_op"):
            leaves.append(check(tree, path))
            return len(leaves) - 1
        if arrays and hasattr(kind, "ndim") and is_array(tree):
            if tree.ndim == 0 and tree.dtype == object and not getattr(tree, "mask", False):
                return walk(tree.item(), path)  # what it holds; of numbers, check sees their mask
            if tree.ndim:
                first = len(leaves)
                for item, index in zip(_items(tree, path), itertools.product(*map(range, tree.shape)), strict=True):
                    leaves.append(check(item, f"{path}{list(index)}"))
                return Array(tree.shape, first)
        held = contents(tree)
        if held is not None:
            content, static = held
            if kind not in _registered:
                return Instance(kind, {key: walk(item, f"{path}.{key}") for key, item in content.items()})
            return Instance(kind, walk(content, path), static)
        leaves.append(check(tree, path))
        return len(leaves) - 1

    return leaves, walk(tree, name)


def contents(x: Any) -> tuple[Any, Any] | None:
    """Return what a data class or a registered type holds, and what of it is no number; None for other objects."""
    kind = type(x)
    if kind in _registered:
        return _registered[kind][0](x)
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses

        return {field.name: getattr(x, field.name) for field in dataclasses.fields(x) if field.init}, None
    return None


def unflatten(structure: Structure, leaves: Any, array: Callable[[tuple[int, ...], Any], Any] | None = None) -> Any:
    """Return the tree of this structure with these leaves. An array of a shape is array(shape, its leaves)."""
    if isinstance(structure, int):
        return leaves[structure]
    if isinstance(structure, dict):
        return {key: unflatten(item, leaves, array) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return like(structure, [unflatten(item, leaves, array) for item in structure])
    if isinstance(structure, Array):
        return (array or array_of)(structure.shape, leaves[structure.first : structure.first + structure.size])
    if isinstance(structure, Instance):
        return instance(structure, unflatten(structure.content, leaves, array))
    raise TypeError(f"{structure!r} is no structure")


def instance(structure: Instance, content: Any) -> Any:
    """Return an object of a data class or a registered type with this content."""
    if structure.kind in _registered:
        return _registered[structure.kind][1](content, structure.static)
    return structure.kind(**content)


def array_of(shape: tuple[int, ...], items: Sequence[Any]) -> Any:
    """Return an array of floats, or of whatever the items are. Arrays among them keep their axes first."""
    import numpy as np

    if len(items) and all(isinstance(item, np.ndarray) and item.ndim for item in items):
        return np.stack(items, axis=-1).reshape(items[0].shape + shape)
    if all(isinstance(item, float) for item in items):
        return np.array(items, dtype=float).reshape(shape)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    array = array.reshape(shape)
    return array.view(value_array()) if any(hasattr(item, "_apply_op") for item in items) else array


def plain(array: Any, path: str) -> Any:
    """Return an array unchanged. Raises TypeError for a matrix, and where numbers are masked."""
    numpy = sys.modules["numpy"]
    if isinstance(array, numpy.matrix):
        raise TypeError(
            f"{path} is a matrix, of which * is the product of matrices: pass numpy.asarray(x), and write @"
        )
    if hasattr(array, "mask") and numpy.ma.is_masked(array):
        raise TypeError(f"{path}: some of its numbers are masked: leave them out or fill them in")
    return array


def _items(array: Any, path: str) -> list[Any]:
    """Return the items of an array in C's order."""
    items: list[Any] = sys.modules["numpy"].asarray(plain(array, path)).ravel().tolist()
    return items


def signature(structure: Structure) -> Any:
    """Return a hashable object that is equal for structures which differ only in the numbers of their leaves."""
    if isinstance(structure, dict):
        return (dict, *[(key, signature(item)) for key, item in structure.items()])
    if isinstance(structure, (list, tuple)):
        return (type(structure), *[signature(item) for item in structure])
    if isinstance(structure, Array):
        return (Array, structure.shape)
    if isinstance(structure, Instance):
        return (structure.kind, by_value(structure.static), signature(structure.content))
    return None


def by_value(x: Any, other: Callable[[Any], Any] = lambda x: x) -> Any:
    """Return a hashable object that is equal for equal things of the same types, lists and arrays among them.

    0.0 and -0.0 differ, as do 1, 1.0 and True; nan equals itself. Of what is neither a number, a text nor a container
    it has other(x), which must be hashable; that is x, if not given.
    """
    kind = type(x)
    if x is None or kind in (int, bool, str, bytes):
        return kind, x
    if isinstance(x, float):
        return kind, repr(x)
    if isinstance(x, dict):
        return (kind, *[(by_value(key, other), by_value(item, other)) for key, item in x.items()])
    if isinstance(x, (list, tuple)):
        return (kind, *[by_value(item, other) for item in x])
    if isinstance(x, (set, frozenset)):
        return kind, frozenset([by_value(item, other) for item in x])
    if isinstance(x, slice):
        return (kind, *[by_value(part, other) for part in (x.start, x.stop, x.step)])
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic)):
        return kind, x.dtype, x.shape, by_value(x.ravel().tolist(), other) if x.dtype.hasobject else x.tobytes()
    if kind in _registered:
        return (kind, *[by_value(part, other) for part in _registered[kind][0](x)])
    if hasattr(kind, "__dataclass_fields__"):
        import dataclasses

        return (kind, *[by_value(getattr(x, field.name, None), other) for field in dataclasses.fields(x)])
    return kind, other(x)


def like(container: Any, items: list[Any]) -> Any:
    """Return a container of this kind with these items: a list, a tuple, a named tuple."""
    if isinstance(container, list):
        return items
    return type(container)(*items) if hasattr(container, "_fields") else tuple(items)


def paths(structure: Structure, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield for each leaf the keys that lead to it, and its number."""
    if isinstance(structure, int):
        yield path, structure
    elif isinstance(structure, Array):
        for i, index in enumerate(itertools.product(*map(range, structure.shape)), structure.first):
            yield (*path, *index), i
    elif isinstance(structure, Instance) and structure.kind not in _registered:
        for key, item in structure.content.items():
            yield from paths(item, (*path, Attribute(key)))
    elif isinstance(structure, Instance):
        yield from paths(structure.content, path)
    else:
        for key, item in structure.items() if isinstance(structure, dict) else enumerate(structure):
            yield from paths(item, (*path, key))


def access(path: tuple[Any, ...]) -> str:
    """Return the text that follows a name to take a leaf out of it: ["w"][0].bias."""
    return "".join(f".{key}" if isinstance(key, Attribute) else f"[{key!r}]" for key in path)


def nested(shape: tuple[int, ...], items: Sequence[Any]) -> Any:
    """Return nested lists in place of an array of that shape."""
    for axis in reversed(shape[1:]):
        items = [list(items[i * axis : (i + 1) * axis]) for i in range(len(items) // axis if axis else 0)]
    return list(items)


def is_number(structure: Structure) -> bool:
    """Return whether the structure is one number, by itself or as the only one of an array."""
    return isinstance(structure, int) or (isinstance(structure, Array) and structure.size == 1)


def renumbered(structure: Structure, numbers: Any) -> Structure:
    """Return the structure with numbers[i] in the place of leaf i; the leaves of an array must stay in a row."""
    if isinstance(structure, dict):
        return {key: renumbered(item, numbers) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return like(structure, [renumbered(item, numbers) for item in structure])
    if isinstance(structure, Array):
        return Array(structure.shape, numbers[structure.first] if structure.size else 0)
    if isinstance(structure, Instance):
        return Instance(structure.kind, renumbered(structure.content, numbers), structure.static)
    return numbers[structure]


def shape(structure: Structure) -> str:
    """Return the structure as text, with a dot for each leaf."""
    if isinstance(structure, int):
        return "a number"
    if isinstance(structure, Array):
        return f"an array of shape {structure.shape}"
    text = _dotted(structure)
    return text if len(text) < 200 else f"{sum(1 for _ in paths(structure))} numbers in containers"


class Verbatim:
    """A piece of text that stands for itself within printed containers."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _dotted(structure: Structure) -> str:
    if isinstance(structure, int):
        return "·"
    if isinstance(structure, Array):
        return f"array{structure.shape}"
    if isinstance(structure, Instance):
        return f"{structure.kind.__name__}({_dotted(structure.content)})"
    if isinstance(structure, dict):
        return f"{{{', '.join(f'{key!r}: {_dotted(item)}' for key, item in structure.items())}}}"
    items = ", ".join(map(_dotted, structure))
    if isinstance(structure, list):
        return f"[{items}]"
    return f"({items}{',' if len(structure) == 1 else ''})"
