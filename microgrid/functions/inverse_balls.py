"""Inverse functions on complex balls, enclosed by Newton's operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def inverse(
    start: Callable[[Any], Any], function: Callable[[Any], Any], slope: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Return the inverse of a holomorphic function on boxes, given that of real balls, for a start, and the derivative.

    Where N(Y) = y - (f(y) - X) / f'(Y) lies inside of Y, each point of X has exactly one inverse in Y, in N(Y)
    (R. Krawczyk, "Newton-Algorithmen zur Bestimmung von Nullstellen mit Fehlerschranken", 1969).
    """

    def computed(box: Any) -> Any:
        from flint import acb, arb

        nan = acb(arb.nan(), arb.nan())
        y = acb(start(box.mid().real).mid())
        distance = abs((function(y) - box) / slope(y)).upper()
        if not y.is_finite() or not distance.is_finite():
            return nan
        size = 2 * distance + abs(y).upper() * arb(2) ** -600
        for _ in range(8):
            around = y + acb(arb(0, size), arb(0, size))
            found = y - (function(y) - box) / slope(around)
            if found.is_finite() and around.contains_interior(found):
                return found
            size = 2 * size
        return nan

    return computed
