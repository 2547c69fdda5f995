"""Arguments of a call, flattened: static ones, shared ones, and arrays with a row for each sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import as_float
from microgrid.engine import Value
from microgrid.numbers.arithmetic import library
from microgrid.numbers.arrays import array_of_floats

STATIC = (int, bool, str, bytes, type(None))
"""Types of arguments that are compiled in as constants; another value recompiles."""


class HoldsValue(Exception):
    """An argument holds a Value, and the call is to be recorded."""


class Arguments:
    """Flattened arguments; `key` is the cache key of compiled code."""

    def __init__(self) -> None:
        self.key: list[Any] = []
        self.numbers: list[float] = []
        """Numbers that samples share, in order; for a single sample, all numbers."""
        self.arrays: list[Any] = []
        """Arrays of two axes, with a row for each sample, in order."""
        self.shapes: list[tuple[int, ...]] = []
        """Shape of one sample, for each array."""
        self.shared: list[bool] = []
        """For each number of a sample, True if samples share it."""
        self.samples = -1
        self._parts: list[tuple[str, Any]] = []
        """For each argument its kind and its structure; or "static", and the argument itself."""

    @property
    def differentiable(self) -> bool:
        """True if there is an argument to differentiate by."""
        return any(kind != "static" for kind, _ in self._parts)

    def example(self) -> list[Any]:
        """Return for each argument a tree of numbers to trace with: the first sample, or zeros without one."""
        first = [rows[0] if len(rows) else 0.0 * rows.sum(axis=0) for rows in self.arrays]
        rows = [row.reshape(shape).tolist() for row, shape in zip(first, self.shapes, strict=True)]
        leaves = {"numbers": self.numbers, "rows": rows}
        return [x if kind == "static" else tree.unflatten(x, leaves[kind]) for kind, x in self._parts]

    def derivatives(self, columns: Any, shared: Sequence[float]) -> list[Any]:
        """Assemble the derivatives by all arguments but static ones, from columns, one a number, and shared numbers."""
        rows, at = [], 0
        for array, shape in zip(self.arrays, self.shapes, strict=True):
            rows.append(columns[:, at : at + array.shape[1]].reshape(len(columns), *shape))
            at += array.shape[1]
        leaves = {"numbers": shared, "rows": rows}
        return [tree.unflatten(x, leaves[kind]) for kind, x in self._parts if kind != "static"]

    def add_static(self, arg: Any) -> None:
        """Add an argument that is compiled in as a constant."""
        self.key.append((type(arg), arg))
        self._parts.append(("static", arg))

    def add_numbers(self, arg: Any, path: str, check: Callable[[Any, str], float] | None = None) -> None:
        """Add an argument that is a number, or lists, tuples, dictionaries and arrays of numbers."""
        _, structure = tree.flatten(arg, check or _number, path, leaves=self.numbers, opened=_listed)
        self.key.append(tree.signature(structure))
        self._parts.append(("numbers", structure))

    def add_rows(self, arg: Any, path: str) -> None:
        """Add an array with a row for each sample, or lists, tuples and dictionaries of such arrays."""
        before = len(self.shapes)
        _, structure = tree.flatten(arg, self._rows, path, leaves=self.arrays, opened=_array, arrays=False)
        self.key.append(("rows", tree.signature(structure), *self.shapes[before:]))
        self._parts.append(("rows", structure))

    def _rows(self, leaf: Any, path: str) -> Any:
        library("numpy", "compile")
        try:
            array = array_of_floats(leaf.given if isinstance(leaf, _Array) else leaf)
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"{path} must be an array of numbers with a row for each sample: {error}") from None
        if array.ndim == 0:
            raise TypeError(
                f"{path} is one number: a batch takes an array with a row for each sample, or in_axes=None for it"
            )
        samples, *shape = array.shape
        if self.samples not in (-1, samples):
            raise ValueError(f"{path} has {samples} row(s), the arguments before have {self.samples}: one a sample")
        self.samples = samples
        self.shapes.append(tuple(shape))
        self.shared += [False] * math.prod(shape)
        return array.reshape(samples, math.prod(shape))


def single(args: Sequence[Any], check: Callable[[Any, str], float] | None = None) -> Arguments:
    """Flatten the arguments of one call; check(leaf, path) returns the number of a leaf."""
    found = Arguments()
    for position, arg in enumerate(args):
        if type(arg) is float:  # as `add_numbers` does, in half the time
            found.key.append(None)
            found._parts.append(("numbers", len(found.numbers)))
            found.numbers.append(arg)
        elif isinstance(arg, STATIC):
            found.add_static(arg)
        else:
            found.add_numbers(arg, f"argument {position}", check)
    found.shared = [False] * len(found.numbers)
    return found


def batch(args: Sequence[Any], axes: Sequence[int | None]) -> Arguments:
    """Flatten the arguments of a batch: axis 0 means a row for each sample, None means shared by all."""
    found = Arguments()
    for position, (arg, axis) in enumerate(zip(args, axes, strict=True)):
        if isinstance(arg, STATIC) and (axis is None or not isinstance(arg, int)):
            found.add_static(arg)
        elif axis is None:
            before = len(found.numbers)
            found.add_numbers(arg, f"argument {position}")
            found.shared += [True] * (len(found.numbers) - before)
        else:
            found.add_rows(arg, f"argument {position}")
    if found.samples < 0:
        raise TypeError("a batch needs an argument with a row for each sample: not every axis may be None")
    return found


def no_value(leaf: Any, path: str) -> float:
    """Return the number of a leaf. Raises HoldsValue for a Value."""
    if isinstance(leaf, Value):
        raise HoldsValue
    return _number(leaf, path)


def _number(leaf: Any, path: str) -> float:
    try:
        return leaf.item() if isinstance(leaf, Value) else as_float(leaf)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None


def _listed(x: Any) -> Any:
    """Return an array as lists, anything else unchanged."""
    return x.tolist() if getattr(x, "ndim", 0) else x


class _Array:
    """A nested list taken as one array, not as a container of arrays."""

    def __init__(self, given: list[Any]) -> None:
        self.given = given


def _array(x: Any) -> Any:
    return _Array(x) if isinstance(x, list) and not any(hasattr(item, "ndim") for item in x) else x
