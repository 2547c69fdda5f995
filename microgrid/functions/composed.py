"""Functions of one scalar composed of ops, where the composition keeps a derivative that survives rounding.

A function whose composition does not is an op of its own, in `ops.py`. Numbers give numbers, `Value`s give `Value`s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from microgrid.ops import clip, equal, expm1, greater, mul, sinc_derivative, softplus, where


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Return x where x > 0, else negative_slope * x. At 0 the derivative is the subgradient nearest 0: the slope, up to
    1."""
    y = where(greater(x, 0.0), x, mul(negative_slope, x))
    return y if 0.0 <= negative_slope <= 1.0 else _with_slope_at_zero(x, negative_slope, y)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else alpha * (exp(x) - 1): the exponential linear unit (Clevert et al. 2016, eq. 15)."""
    y = where(greater(0.0, x), mul(alpha, expm1(x)), x)
    return y if alpha >= 1.0 else _with_slope_at_zero(x, alpha, y)


def _with_slope_at_zero(x: Any, left: float, y: Any) -> Any:
    """Return y with the derivative of least magnitude at x = 0, where its slopes are `left` and 1."""
    return where(equal(x, 0.0), mul(min(max(left, 0.0), 1.0), x), y)


def logsigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)), without overflow."""
    return mul(-1.0, softplus(mul(-1.0, x)))


def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), and 1 at 0, as NumPy does."""
    return sinc_derivative(mul(math.pi, x), 0.0)


def relu6(x: Any) -> Any:
    """Return x clipped to between 0 and 6."""
    return clip(x, 0.0, 6.0)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Return x clipped to between min_val and max_val."""
    return clip(x, min_val, max_val)


COMPOSED: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function for function in (leaky_relu, elu, logsigmoid, sinc, relu6, hardtanh)
}
"""Composed functions by name; each is a method of `Value`, too."""

STATIC: Final = {"hardtanh": 2}
"""Number of the last parameters that are static, by the name of the function; the others take `Value`s."""
