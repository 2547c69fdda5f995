"""Shapes: what a layer is given, as nested lists of Values, or an error that names the layer and both shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from microgrid.engine import Value, constant
from microgrid.nn.module import Module

Axes = Sequence[int | str]
"""Lengths of axes; the name of an axis in place of a length that is free."""


def fitted(layer: Module, x: Any, axes: Axes, what: str = "x") -> Any:
    """Return x as nested lists of Values with these axes.

    Raises ValueError with the layer, the axes and the shape of x where it has another, and TypeError where it holds
    something other than numbers.
    """
    nested = lists(x)
    try:
        return _values(nested, axes)[0]
    except _Misfit:
        raise misfit(layer, nested, axes, what) from None


def fitted_rows(layer: Module, x: Any, size: int, what: str = "x") -> Any:
    """Return x as nested lists of Values whose last axis has this length, with any axes before it."""
    nested = lists(x)
    depth = max(depth_of(nested), 1)
    try:
        return _values(nested, [*["..."] * (depth - 1), size])[0]
    except _Misfit:
        raise misfit(layer, nested, ("...", size), what) from None


def by_rows(x: Any, function: Callable[[Any], Any]) -> Any:
    """Return nested lists in which the function has replaced each innermost list."""
    return [by_rows(row, function) for row in x] if x and isinstance(x[0], list) else function(x)


def lists(x: Any) -> Any:
    """Return nested lists, tuples and arrays as nested lists."""
    if isinstance(x, Value) or not (hasattr(x, "__iter__") or hasattr(x, "tolist")) or isinstance(x, (str, dict)):
        return x
    if hasattr(x, "tolist"):
        return x.tolist()
    return [item if type(item) is Value else lists(item) for item in x]


def depth_of(x: Any) -> int:
    """Return the number of axes of nested lists, by their first items."""
    depth = 0
    while isinstance(x, list):
        depth += 1
        x = x[0] if x else None
    return depth


def shape_of(x: Any) -> str:
    """Return the shape of nested lists, as text; where rows differ, two shapes that do."""
    shape = _shape(x)
    return shape if isinstance(shape, str) else _written(shape)


def misfit(layer: Module, x: Any, axes: Axes, what: str = "x") -> ValueError:
    """Return the error for an x of another shape."""
    name = f"{layer._name} ({type(layer).__name__})" if layer._name else type(layer).__name__
    return ValueError(f"{name} takes {what} of shape {_written(axes)}, got {shape_of(lists(x))}")


def whole(layer: str, **sizes: int) -> None:
    """Raise ValueError for a size that is no whole number from 1 on."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{layer}: {name} must be a whole number from 1 on, got {size!r}")


class _Misfit(Exception):
    """Another shape than asked for."""


def _values(x: Any, axes: Axes) -> tuple[Any, tuple[int, ...]]:
    """Return nested lists of Values, and their shape."""
    if not axes:
        if isinstance(x, list):
            raise _Misfit
        return (x if isinstance(x, Value) else constant(x)), ()
    if not isinstance(x, list) or len(x) != (axes[0] if isinstance(axes[0], int) else len(x) or 1):
        raise _Misfit
    if len(axes) == 1:
        if list in (kinds := set(map(type, x))):
            raise _Misfit
        return (list(x) if kinds == {Value} else [v if type(v) is Value else constant(v) for v in x]), (len(x),)
    rows = [_values(row, axes[1:]) for row in x]
    if any(shape != rows[0][1] for _, shape in rows):
        raise _Misfit
    return [row for row, _ in rows], (len(x), *(rows[0][1] if rows else ()))


def _shape(x: Any) -> tuple[int, ...] | str:
    if not isinstance(x, list):
        return ()
    inner = [_shape(row) for row in x]
    for shape in inner:
        if shape != inner[0]:
            pair = [s if isinstance(s, str) else _written(s) for s in (inner[0], shape)]
            return f"rows of unlike shapes, {pair[0]} and {pair[1]}"
    first = inner[0] if inner else ()
    return first if isinstance(first, str) else (len(x), *first)


def _written(axes: Axes) -> str:
    return f"({', '.join(map(str, axes))})" if axes else "a number"
