"""Derivatives of a function by its first arguments, for tracing, and for recording where an argument holds a Value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from microgrid import functional
from microgrid.engine import Value
from microgrid.graph.flat import flat, shorter
from microgrid.graph.simplification import certain_nans

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


def shortened(purpose: str, function: Callable[..., Any], count: int) -> Callable[..., Any] | None:
    """Return a function with the results of a Hessian `Twice`, as they are and from a simplified gradient; None for
    anything but a Hessian."""
    if purpose == "hessian":
        return functional.hessian_by(function, _argnums(count), simplified)
    kind, inner, argnums = functional.derivative_of(function)
    if purpose in ("value", "batch") and kind == "Hessian":
        return functional.hessian_by(inner, argnums, simplified)
    return None


def simplified(outputs: Sequence[Value], inputs: Sequence[Value], start: int) -> tuple[list[Value], list[Any]]:
    """Return outputs recorded again with fewer nodes, up to rounding and the signs of zeros; and for each of them 0, or
    a Value that is 0 but nan where the output was, since derivatives of what is left of it may be none there."""
    graph = flat(outputs, inputs, start)
    nans = certain_nans(len(graph.inputs), graph.numbers, graph.instructions, graph.outputs)
    sums = {tuple(places): sum([0.0 * graph.inputs[i] for i in places]) for places in nans}
    return shorter(graph, exactly=False), [sums[tuple(places)] for places in nans]


def _argnums(count: int) -> functional.Argnums:
    return 0 if count == 1 else range(count)
