"""Derivatives of a function by its first arguments, for tracing, and for recording where an argument holds a Value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from microgrid import functional

Derivative = Callable[[Callable[..., Any], Sequence[Any], int], Any]
"""A derivative of a function at these arguments, by the first so many of them."""


def value_and_grad(function: Callable[..., Any], xs: Sequence[Any], count: int) -> Any:
    """Return the value, and the derivatives by the first arguments."""
    return functional.value_and_grad(function, _argnums(count))(*xs)


def _jacobian(function: Callable[..., Any], xs: Sequence[Any], count: int) -> Any:
    return functional.jacobian(function, _argnums(count))(*xs)


def _hessian(function: Callable[..., Any], xs: Sequence[Any], count: int) -> Any:
    return functional.hessian(function, _argnums(count))(*xs)


def _hvp(function: Callable[..., Any], xs: Sequence[Any], count: int) -> Any:
    fixed = xs[count : len(xs) - count]
    return functional.hvp(lambda *by: function(*by, *fixed), xs[:count], xs[len(xs) - count :])


TRACED: dict[str, Derivative] = {"jacobian": _jacobian, "hessian": _hessian, "hvp": _hvp}
"""Derivatives that are traced as functions of their own."""


def _argnums(count: int) -> functional.Argnums:
    return 0 if count == 1 else range(count)
