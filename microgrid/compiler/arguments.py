"""The arguments of a call, taken apart: what is static, what samples share, and arrays with a row for each sample."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid.arithmetic import array_of_floats, library
from microgrid.engine import Value
from microgrid.primitive import as_float
from microgrid.tree import like, unflatten

STATIC = (int, bool, str, bytes, type(None))
"""What is compiled in when it stands as an argument by itself: another one compiles anew."""


class FirstRow(NamedTuple):
    """Stands in an example for the first row of an array, which only tracing looks at."""

    array: Any


def example_of(tree: Any) -> Any:
    """The tree of numbers to trace with."""
    if isinstance(tree, FirstRow):
        rows = tree.array
        return rows[0].tolist() if len(rows) else (0.0 * rows.sum(axis=0)).tolist()
    if isinstance(tree, dict):
        return {key: example_of(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return like(tree, [example_of(item) for item in tree])
    return tree


class Arguments:
    """Arguments flattened. `key` is what code is compiled for; `example` are trees of numbers to trace with."""

    def __init__(self) -> None:
        self.key: list[Any] = []
        self.example: list[Any] = []
        self.numbers: list[float] = []
        """What samples share, in order; for a single sample, all numbers."""
        self.arrays: list[Any] = []
        self.shared: list[bool] = []
        """For each number of the example whether samples share it."""
        self.rebuild: list[Callable[[Any, Any], Any]] = []
        """For each argument that is not static, how its derivatives are put together from columns and shared ones."""
        self.samples = -1


def single(args: Sequence[Any]) -> Arguments:
    """The arguments of one call."""
    found = Arguments()
    numbers = found.numbers
    for position, arg in enumerate(args):
        if type(arg) is float:
            found.key.append(float)
            found.example.append(arg)
            found.rebuild.append(_picked(len(numbers)))
            numbers.append(arg)
        elif isinstance(arg, STATIC):
            found.key.append((type(arg), arg))
            found.example.append(arg)
        else:
            structure, example = _shared(arg, numbers, f"argument {position}")
            found.key.append(structure)
            found.example.append(example)
            found.rebuild.append(_assembled(_numbered(example, [len(numbers) - _count(example)])))
    found.shared = [False] * len(numbers)
    return found


def batch(args: Sequence[Any], axes: Sequence[int | None]) -> Arguments:
    """The arguments of a batch: those with axis 0 have a row for each sample, those with None are shared by all."""
    found = Arguments()
    for position, (arg, axis) in enumerate(zip(args, axes, strict=True)):
        if isinstance(arg, STATIC) and (axis is None or not isinstance(arg, int)):
            found.key.append((type(arg), arg))
            found.example.append(arg)
        elif axis is None:
            before = len(found.numbers)
            structure, example = _shared(arg, found.numbers, f"argument {position}")
            found.key.append(("shared", structure))
            found.example.append(example)
            found.shared += [True] * (len(found.numbers) - before)
            found.rebuild.append(_from_shared(_numbered(example, [before])))
        else:
            columns = [found.shared.count(False)]
            structure, example, rebuild = _rows(arg, found, f"argument {position}", columns)
            found.key.append(("rows", structure))
            found.example.append(example)
            found.rebuild.append(rebuild)
    if found.samples < 0:
        raise TypeError("a batch needs an argument with a row for each sample: not every axis may be None")
    return found


def _shared(arg: Any, numbers: list[float], path: str) -> tuple[Any, Any]:
    """The structure of a tree of numbers, and the tree as floats; the numbers are appended."""
    if isinstance(arg, dict):
        pairs = {key: _shared(item, numbers, f"{path}[{key!r}]") for key, item in arg.items()}
        return ("dict", *[(key, s) for key, (s, _) in pairs.items()]), {key: e for key, (_, e) in pairs.items()}
    if isinstance(arg, (list, tuple)):
        items = [_shared(item, numbers, f"{path}[{i}]") for i, item in enumerate(arg)]
        return (type(arg), *[s for s, _ in items]), like(arg, [e for _, e in items])
    if getattr(arg, "ndim", 0):
        return _shared(arg.tolist(), numbers, path)
    try:
        x = arg.item() if isinstance(arg, Value) else as_float(arg)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None
    numbers.append(x)
    return float, x


def _rows(arg: Any, found: Arguments, path: str, columns: list[int]) -> tuple[Any, Any, Callable[[Any, Any], Any]]:
    """The structure of arrays with a row for each sample, an example of one sample, and what rebuilds such arrays."""
    if isinstance(arg, (dict, tuple)) or (isinstance(arg, list) and any(hasattr(item, "ndim") for item in arg)):
        keys = list(arg) if isinstance(arg, dict) else list(range(len(arg)))
        parts = [_rows(arg[key], found, f"{path}[{key!r}]", columns) for key in keys]
        structure = (type(arg), *[(key, s) for key, (s, _, _) in zip(keys, parts, strict=True)])
        make: Callable[[list[Any]], Any] = (
            (lambda items: dict(zip(keys, items, strict=True)))
            if isinstance(arg, dict)
            else functools.partial(like, arg)
        )
        rebuilds = [rebuild for _, _, rebuild in parts]
        return structure, make([e for _, e, _ in parts]), lambda c, s: make([rebuild(c, s) for rebuild in rebuilds])
    library("numpy", "compile")
    try:
        array = array_of_floats(arg)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{path} must be an array of numbers with a row for each sample: {error}") from None
    if array.ndim == 0:
        raise TypeError(
            f"{path} is one number: a batch takes an array with a row for each sample, or in_axes=None for it"
        )
    if found.samples not in (-1, array.shape[0]):
        raise ValueError(f"{path} has {array.shape[0]} row(s), the arguments before have {found.samples}: one a sample")
    found.samples = array.shape[0]
    inner = array.shape[1:]
    width = math.prod(inner)
    first = columns[0]
    columns[0] += width
    found.arrays.append(array.reshape(array.shape[0], width))
    found.shared += [False] * width
    return inner, FirstRow(array), lambda c, s: c[:, first : first + width].reshape(len(c), *inner)


def _count(example: Any) -> int:
    if isinstance(example, (dict, list, tuple)):
        return sum(_count(item) for item in (example.values() if isinstance(example, dict) else example))
    return 1


def _numbered(example: Any, start: list[int]) -> Any:
    """The same tree with the places of its numbers."""
    if isinstance(example, dict):
        return {key: _numbered(item, start) for key, item in example.items()}
    if isinstance(example, (list, tuple)):
        return like(example, [_numbered(item, start) for item in example])
    start[0] += 1
    return start[0] - 1


def _picked(place: int) -> Callable[[Any, Any], Any]:
    return lambda columns, shared: columns[place]


def _assembled(places: Any) -> Callable[[Any, Any], Any]:
    return lambda columns, shared: unflatten(places, columns)


def _from_shared(places: Any) -> Callable[[Any, Any], Any]:
    return lambda columns, shared: unflatten(places, shared)
