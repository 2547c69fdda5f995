"""Comparisons of arrays of `Value`s as conditions that are recorded: compiled code has both paths of numpy.where.

A condition is an array of Values that are 0 or 1. Outside of compilation, comparisons give bools, as NumPy's do.
"""

from __future__ import annotations

from typing import Any

from microgrid.core.primitive import OPS
from microgrid.core.scope import current_conditions

COMPARISONS = frozenset("greater greater_equal less less_equal equal not_equal".split())
_AND, _OR, _NOT = ("logical_and", "bitwise_and"), ("logical_or", "bitwise_or"), ("logical_not", "invert")


def condition(name: str, inputs: tuple[Any, ...]) -> Any:
    """Return the condition that one of NumPy's functions of these names computes of ordinary arrays; None for others.

    None, too, where conditions are not recorded, and where no item is a Value.
    """
    if not (current_conditions() and any(map(_has_values, inputs))):
        return None
    if name in COMPARISONS:
        x, y = inputs
        if name in ("equal", "not_equal"):
            if all(map(_has_values, inputs)):
                return None  # between Values == is identity
            found = OPS["equal"].elementwise((x, y))
        else:
            found = OPS["greater"].elementwise((x, y) if name in ("greater", "less_equal") else (y, x))
        return 1.0 - found if name in ("greater_equal", "less_equal", "not_equal") else found
    if name not in (*_AND, *_OR, *_NOT):
        return None
    if name in _NOT:
        return 1.0 - inputs[0]
    x, y = inputs
    return x * y if name in _AND else x + y - x * y


def chosen(conditions: list[Any], values: list[Any], default: Any) -> Any:
    """Return for each place the value of the first condition that is 1 there, as numpy.where and select do."""
    for each, value in zip(reversed(conditions), reversed(values), strict=True):
        default = OPS["where"].elementwise((each, value, default))
    return default


def _has_values(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") == "O" and any(hasattr(item, "_apply_op") for item in x.flat)
