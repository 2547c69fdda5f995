"""Arguments of a call, flattened: static ones, shared ones, and arrays with a row for each sample."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.compiler.parameters import Parameters
from microgrid.core import tree
from microgrid.core.packages import library
from microgrid.core.primitive import as_float
from microgrid.engine import Value
from microgrid.functional import not_of_numpy
from microgrid.numbers.arrays import array_of_floats


class HoldsValue(Exception):
    """An argument holds a Value, and the call is to be recorded."""


class Arguments:
    """Flattened arguments; `key` is the cache key of compiled code.

    With `reads`, a Value is read as its number; without, it raises HoldsValue.
    """

    def __init__(self, reads: bool = False) -> None:
        self.reads = reads
        self.key: list[Any] = []
        self.numbers: list[float] = []
        """Numbers that samples share, in order; for a single sample, all numbers."""
        self.arrays: list[Any] = []
        """Arrays of two axes, with a row for each sample, in order."""
        self.shapes: list[tuple[int, ...]] = []
        """Shape of one sample, for each array."""
        self.listed: list[bool] = []
        """For each array, True if it was given as nested lists."""
        self.shared: list[bool] = []
        """For each number of a sample, True if samples share it."""
        self.samples = -1
        self.by = 0
        """Count of the numbers of a sample to differentiate by, which come first."""
        self.parts: list[tuple[str, str, Any, bool]] = []
        """For each argument its name, the list of its leaves ("numbers" or "rows"), its structure, and whether it is
        differentiated by. Static arguments are in the key alone."""

    def like(self, args: Sequence[Any]) -> bool:
        """Return True if none of the arguments, which are arrays and floats, is static."""
        return len(self.parts) == len(args)

    def without_rows(self) -> Arguments:
        """Forget the numbers: what is left is that of all arguments of the same shapes."""
        self.arrays = [rows[:0].copy() for rows in self.arrays]
        self.numbers = []
        return self

    @property
    def differentiable(self) -> bool:
        """True if there is an argument to differentiate by."""
        return any(by for _, _, _, by in self.parts)

    def example(self) -> dict[str, Any]:
        """Return for each argument a tree of numbers to trace with: the first sample, or zeros without one."""
        first = [rows[0] if len(rows) else 0.0 * rows.sum(axis=0) for rows in self.arrays]
        rows = [
            row.reshape(shape).tolist() if listed or not shape else row.reshape(shape)
            for row, shape, listed in zip(first, self.shapes, self.listed, strict=True)
        ]
        leaves = {"numbers": self.numbers, "rows": rows}
        return {name: tree.unflatten(structure, leaves[kind]) for name, kind, structure, _ in self.parts}

    def derivatives(self, columns: Any, shared: Any) -> list[Any]:
        """Assemble the derivatives by arguments from columns, one a number, and from an array of those by shared
        numbers."""
        rows, at = [], 0
        for array, shape in zip(self.arrays, self.shapes, strict=True):
            width = array.shape[1]
            rows.append(columns[:, at : at + width].reshape(len(columns), *shape) if shape else columns[:, at])
            at += width
        found = []
        for _, kind, structure, by in self.parts:
            if by and kind == "numbers":
                found.append(put_together(structure, shared))
            elif by:  # most often it is one array
                found.append(rows[structure] if type(structure) is int else tree.unflatten(structure, rows))
        return found

    def add(self, parameters: Parameters, place: int | str, arg: Any, by: bool = True) -> None:
        """Add an argument at a position or of a name: a number, containers and arrays of numbers, or a static one."""
        name = parameters.name(place) if isinstance(place, int) else place
        if type(arg) is float and name is not place and not parameters.static:  # as below, in half the time
            self.key.append(None)
            self.parts.append((name, "numbers", len(self.numbers), by))
            self.numbers.append(arg)
            return
        if name is place and any(name == part for part, *_ in self.parts):  # f(x, /, **more), called as f(1.0, x=2.0)
            name = f"{name}="
        if parameters.is_static(place, arg):
            if not isinstance(place, int):
                name = f"{name}="
            self.key.append((name, tree.by_value(arg, functools.partial(self._constant, name))))
            return
        self.add_numbers(name, arg, f"argument {place}", by)
        if not isinstance(place, int):
            self.key.append(name)

    def add_numbers(self, name: str, arg: Any, path: str, by: bool) -> None:
        """Add an argument that is a number, or containers and arrays of numbers."""
        leaves, structure = tree.flatten(arg, self._number, path, arrays=False)
        places: list[Any] = []
        for leaf in leaves:
            first = len(self.numbers)
            if isinstance(leaf, float):
                places.append(first)
                self.numbers.append(leaf)
            else:
                places.append(tree.Array(leaf.shape, first))
                self.numbers += leaf.ravel().tolist()
        structure = tree.renumbered(structure, places)
        self.key.append(tree.signature(structure))
        self.parts.append((name, "numbers", structure, by))

    def add_rows(self, name: str, arg: Any, path: str) -> None:
        """Add an array with a row for each sample, or containers of such arrays."""
        before = len(self.shapes)
        _, structure = tree.flatten(arg, self._rows, path, leaves=self.arrays, opened=_array, arrays=False)
        self.key.append(("rows", tree.signature(structure), *self.shapes[before:], *self.listed[before:]))
        self.parts.append((name, "rows", structure, True))

    def _rows(self, leaf: Any, path: str) -> Any:
        library("numpy", "compile")
        listed = isinstance(leaf, _Array)
        try:
            array = array_of_floats(leaf.given if listed else leaf)
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
        self.listed.append(listed)
        self.shared += [False] * math.prod(shape)
        return array.reshape(samples, math.prod(shape))

    def _number(self, leaf: Any, path: str) -> Any:
        """Return a number as a float, an array as one of floats."""
        try:
            if not tree.is_array(leaf):
                if getattr(leaf, "ndim", 0):
                    raise TypeError(not_of_numpy(leaf, path))
                return self._read(leaf) if isinstance(leaf, Value) else as_float(leaf)
            if tree.plain(leaf, path).dtype == object:
                leaf = tree.array_of(leaf.shape, [self._read(x) if isinstance(x, Value) else x for x in leaf.flat])
            return array_of_floats(leaf) if leaf.ndim else as_float(leaf)
        except (TypeError, OverflowError) as error:
            text = str(error)
        raise TypeError(text if text.startswith(path) else f"{path}: {text}")

    def _read(self, value: Value) -> float:
        if not self.reads:
            raise HoldsValue
        return value.item()

    def _constant(self, name: str, x: Any) -> Any:
        """Return what is neither a number, a text nor a container, as a part of a static argument."""
        if isinstance(x, Value) and not self.reads:
            raise HoldsValue
        try:
            hash(x)
        except TypeError:
            raise TypeError(
                f"argument {name} is static, and holds a {type(x).__name__}, which cannot be hashed: give it a __hash__"
            ) from None
        return x


def single(parameters: Parameters, args: Sequence[Any], kwargs: Mapping[str, Any], vectors: Any = ()) -> Arguments:
    """Flatten the arguments of one call, and vectors that come with them. Raises HoldsValue where there is a Value."""
    found = Arguments()
    for position, arg in enumerate(args):
        found.add(parameters, position, arg)
    found.by = len(found.numbers)
    if "argnums" in kwargs and not parameters.takes("argnums"):
        raise TypeError(
            "derivatives of a compiled function are by all arguments that are not static, without argnums=: name with "
            "static= those that are data, or compile the derivative, compile(value_and_grad(f, argnums=...))"
        )
    for name in sorted(kwargs):
        found.add(parameters, name, kwargs[name], by=False)
    for position, vector in enumerate(vectors):
        found.add_numbers(f"vector{position}", vector, f"vector {position}", by=False)
    found.shared = [False] * len(found.numbers)
    return found


def batch(
    parameters: Parameters, args: Sequence[Any], axes: Sequence[int | None], kwargs: Mapping[str, Any]
) -> Arguments:
    """Flatten the arguments of a batch: axis 0 means a row for each sample, None means shared by all.

    Arguments passed by keyword are shared, too. A Value is read as its number.
    """
    found = Arguments(reads=True)
    for position, (arg, axis) in enumerate(zip(args, axes, strict=True)):
        if axis is None or (parameters.is_static(position, arg) and not isinstance(arg, bool)):
            found.add(parameters, position, arg)
            found.shared += [True] * (len(found.numbers) - found.shared.count(True))
        else:
            found.add_rows(parameters.name(position), arg, f"argument {position}")
    found.by = len(found.shared)
    for name in sorted(kwargs):
        found.add(parameters, name, kwargs[name], by=False)
    found.shared += [True] * (len(found.numbers) - found.shared.count(True))
    if found.samples < 0:
        raise TypeError("a batch needs an argument with a row for each sample: not every axis may be None")
    return found


@functools.cache
def _arrays_of_floats() -> tuple[Any, Any]:
    np = library("numpy", "compile")
    return np.ndarray, np.dtype(float)


def plain(args: Sequence[Any], in_axes: Any) -> tuple[list[Any], list[Any], Any, int] | None:
    """Read the arguments of a batch that are arrays of floats in C order, or shared floats, as they are.

    Return a key of their shapes, the arrays with rows, the shared numbers (a list or an array), and the number of
    samples; None where something is of another kind, or wrong.
    """
    array, floats = _arrays_of_floats()
    if type(in_axes) is int and not in_axes:
        axes: Any = itertools.repeat(0)
    elif type(in_axes) in (tuple, list) and len(in_axes) == len(args):
        axes = in_axes
    else:
        return None
    key: list[Any] = []
    rows: list[Any] = []
    shared: list[Any] = []
    samples = -1
    for x, axis in zip(args, axes):  # noqa: B905  # of one length, unless axes is endless
        if type(x) is array and x.dtype is floats and x.flags.c_contiguous and (shape := x.shape):
            if axis is None:
                shared.append(x.reshape(-1))
                key.append((None, shape))
            elif type(axis) is int and not axis and samples in (-1, shape[0]):
                samples = shape[0]
                rows.append(x)
                key.append(shape[1:])
            else:
                return None
        elif type(x) is float and axis is None:
            shared.append(x)
            key.append(None)
        else:
            return None
    if len(shared) == 1 and type(shared[0]) is array:
        return key, rows, shared[0], samples
    if shared and any(type(x) is array for x in shared):
        joined = library("numpy", "compile").concatenate([x if type(x) is array else [x] for x in shared])
        return key, rows, joined, samples
    return key, rows, shared, samples


def put_together(structure: tree.Structure, numbers: Any) -> Any:
    """Return the tree of this structure with an array of numbers: floats, and parts of the array."""
    return tree.unflatten(structure, _Leaves(numbers), _shaped)


class _Leaves:
    """An array whose items are Python's floats, and whose slices are arrays."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = numbers

    def __getitem__(self, i: Any) -> Any:
        return self._numbers[i] if isinstance(i, slice) else self._numbers.item(i)


def _shaped(shape: tuple[int, ...], items: Any) -> Any:
    return items.reshape(shape)


class _Array:
    """A nested list taken as one array, not as a container of arrays."""

    def __init__(self, given: list[Any]) -> None:
        self.given = given


def _array(x: Any) -> Any:
    return _Array(x) if isinstance(x, list) and not any(hasattr(item, "ndim") for item in x) else x
