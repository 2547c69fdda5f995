"""`property_of_gradients`: a function as a Hypothesis test of its gradient at random points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from microgrid.testing.checker import assert_gradient
from microgrid.testing.numerical import Reference

Points = st.SearchStrategy[Any] | Sequence[st.SearchStrategy[Any]] | Mapping[str, st.SearchStrategy[Any]]


def property_of_gradients(
    *, points: Points, gradient: Any = None, order: Literal[1, 2] = 1, reference: Reference = "auto"
) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Return a decorator that makes a test of a function: its gradient is right wherever Hypothesis looks.

    `points` is a strategy for each argument, by place or by name, or one for all of them. The other options are those
    of `assert_gradient`; `gradient` is a function of the point.

    >>> from microgrid import exp
    >>> @property_of_gradients(points=st.floats(-2.0, 2.0))
    ... def test_a_product(x, y):
    ...     return exp(x) * y
    >>> test_a_product()
    """

    def decorator(function: Callable[..., Any]) -> Callable[[], None]:
        strategies = _by_argument(points, function)

        def test(at: tuple[Any, ...]) -> None:
            assert_gradient(function, *at, gradient=gradient, order=order, reference=reference)

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):  # not the signature: pytest reads it
            setattr(test, attribute, getattr(function, attribute, None))
        tested: Callable[[], None] = given(at=st.tuples(*strategies))(test)
        return tested

    return decorator


def _by_argument(points: Points, function: Callable[..., Any]) -> list[st.SearchStrategy[Any]]:
    """Return a strategy for each argument. Raises TypeError where they do not fit the function's parameters."""
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    if isinstance(points, st.SearchStrategy):
        return [points] * len(names)
    if isinstance(points, Mapping):
        if list(points) != names and set(points) != set(names):
            raise TypeError(f"points are given for {', '.join(points)}, but the function takes {', '.join(names)}")
        return [points[name] for name in names]
    if len(points) != len(names):
        raise TypeError(f"there are {len(points)} strategies for the {len(names)} argument(s) {', '.join(names)}")
    return list(points)
