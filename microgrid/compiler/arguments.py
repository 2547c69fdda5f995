"""The arguments of a call, taken apart: what is static, what samples share, and arrays with a row for each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import as_float
from microgrid.engine import Value
from microgrid.numbers.arithmetic import library
from microgrid.numbers.arrays import array_of_floats

STATIC = (int, bool, str, bytes, type(None))
"""What is compiled in when it stands as an argument by itself: another one compiles anew."""


class Arguments:
    """Arguments flattened. `key` is what code is compiled for."""

    def __init__(self) -> None:
        self.key: list[Any] = []
        self.numbers: list[float] = []
        """What samples share, in order; for a single sample, all numbers."""
        self.arrays: list[Any] = []
        """Arrays of two axes, with a row for each sample, in order."""
        self.shapes: list[tuple[int, ...]] = []
        """For each array the shape that one sample has of it."""
        self.shared: list[bool] = []
        """For each number of a sample whether samples share it."""
        self.samples = -1
        self._parts: list[tuple[str, Any]] = []
        """For each argument what its leaves are, and its structure: numbers of them; or "static", and itself."""

    @property
    def differentiable(self) -> bool:
        """Whether there is an argument to differentiate by."""
        return any(kind != "static" for kind, _ in self._parts)

    def example(self) -> list[Any]:
        """For each argument a tree of numbers to trace with: those of the first sample, or zeros without one."""
        first = [rows[0] if len(rows) else 0.0 * rows.sum(axis=0) for rows in self.arrays]
        rows = [row.reshape(shape).tolist() for row, shape in zip(first, self.shapes, strict=True)]
        leaves = {"numbers": self.numbers, "rows": rows}
        return [x if kind == "static" else tree.unflatten(x, leaves[kind]) for kind, x in self._parts]

    def derivatives(self, columns: Any, shared: Sequence[float]) -> list[Any]:
        """Put together the derivatives by each argument that is not static, from a column a number, and shared ones."""
        rows, at = [], 0
        for array, shape in zip(self.arrays, self.shapes, strict=True):
            rows.append(columns[:, at : at + array.shape[1]].reshape(len(columns), *shape))
            at += array.shape[1]
        leaves = {"numbers": shared, "rows": rows}
        return [tree.unflatten(x, leaves[kind]) for kind, x in self._parts if kind != "static"]

    def add_static(self, arg: Any) -> None:
        """An argument that is compiled in."""
        self.key.append((type(arg), arg))
        self._parts.append(("static", arg))

    def add_numbers(self, arg: Any, path: str) -> None:
        """An argument that is a number, or lists, tuples, dictionaries and arrays of numbers."""
        _, structure = tree.flatten(arg, _number, path, leaves=self.numbers, opened=_listed)
        self.key.append(tree.signature(structure))
        self._parts.append(("numbers", structure))

    def add_rows(self, arg: Any, path: str) -> None:
        """An argument that is an array with a row for each sample, or lists, tuples and dictionaries of arrays."""
        before = len(self.shapes)
        _, structure = tree.flatten(arg, self._rows, path, leaves=self.arrays, opened=_array)
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


def single(args: Sequence[Any]) -> Arguments:
    """The arguments of one call."""
    found = Arguments()
    for position, arg in enumerate(args):
        if type(arg) is float:  # as `add_numbers` does, in half the time
            found.key.append(None)
            found._parts.append(("numbers", len(found.numbers)))
            found.numbers.append(arg)
        elif isinstance(arg, STATIC):
            found.add_static(arg)
        else:
            found.add_numbers(arg, f"argument {position}")
    found.shared = [False] * len(found.numbers)
    return found


def batch(args: Sequence[Any], axes: Sequence[int | None]) -> Arguments:
    """The arguments of a batch: those with axis 0 have a row for each sample, those with None are shared by all."""
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


def _number(leaf: Any, path: str) -> float:
    try:
        return leaf.item() if isinstance(leaf, Value) else as_float(leaf)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None


def _listed(x: Any) -> Any:
    """An array as lists; anything else as it is."""
    return x.tolist() if getattr(x, "ndim", 0) else x


class _Array:
    """A list that is an array: no part of it is one."""

    def __init__(self, given: list[Any]) -> None:
        self.given = given


def _array(x: Any) -> Any:
    return _Array(x) if isinstance(x, list) and not any(hasattr(item, "ndim") for item in x) else x
