"""Activations: an op, and functions composed of ops, where the composition keeps a derivative that survives rounding.

Numbers give numbers, `Value`s give `Value`s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from microgrid.core.primitive import Op, primitive, rounded
from microgrid.core.straight import built_in_ops
from microgrid.ops import (
    abs,
    add,
    clip,
    div,
    equal,
    exp,
    expm1,
    greater,
    logistic_density,
    mul,
    sigmoid,
    softplus,
    sub,
    tanh,
    where,
)

# --- an op ----------------------------------------------------------------------------------------------------------


def _mish(x: Any) -> Any:
    # tanh(log(1 + e)) is e (e + 2) / (e (e + 2) + 2) with e = exp(x); for x > 0, in powers of 1 / e
    e = exp(rounded(-abs(x), x))
    below = e * (e + 2.0)
    ratio = div(below, below + 2.0)
    above = 1.0 + 2.0 * e
    ratio = rounded(where(greater(0.0, x), ratio, div(above, above + 2.0 * e * e)), ratio)
    return rounded(where(equal(ratio, 0.0), 0.0, x * ratio), x * ratio)  # inf * 0 at -inf, where the limit is 0


def _mish_partials(z: Any, x: Any) -> tuple[Any, ...]:
    s = softplus(x)
    rest = where(equal(abs(x), math.inf), 0.0, x * (4.0 * logistic_density(2.0 * s)) * sigmoid(x))
    return (tanh(s) + rest,)


mish: Op = primitive(
    "mish",
    None,
    _mish_partials,
    formula=_mish,
    sensitive=True,
    ulps=8.0,
    irrational=True,
    textbook=("tanh(softplus(x)) + x * sigmoid(x) / cosh(softplus(x)) ** 2",),
)

# --- composed ------------------------------------------------------------------------------------------------------


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Return x where x > 0, else negative_slope * x. At 0 the derivative is the subgradient nearest 0.

    >>> leaky_relu(-2.0), leaky_relu(2.0)
    (-0.02, 2.0)
    """
    y = where(greater(x, 0.0), x, mul(negative_slope, x))
    return y if 0.0 <= negative_slope <= 1.0 else _with_slope_at_zero(x, negative_slope, y)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else alpha * (exp(x) - 1): the exponential linear unit (Clevert et al. 2016, eq. 15).

    >>> round(elu(-1.0), 4), elu(2.0)
    (-0.6321, 2.0)
    """
    y = where(greater(0.0, x), mul(alpha, expm1(x)), x)
    return y if alpha >= 1.0 else _with_slope_at_zero(x, alpha, y)


def _with_slope_at_zero(x: Any, left: float, y: Any) -> Any:
    """Return y with the derivative of least magnitude at x = 0, where its slopes are `left` and 1."""
    return where(equal(x, 0.0), mul(min(max(left, 0.0), 1.0), x), y)


def selu(x: Any) -> Any:
    """Return 1.0507 x where x > 0, else 1.7581 (exp(x) - 1), with the constants of Klambauer et al. 2017, eq. 2.

    >>> round(selu(-1.0), 4), round(selu(1.0), 4)
    (-1.1113, 1.0507)
    """
    return mul(1.0507009873554805, elu(x, 1.6732632423543772))


def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else alpha * (exp(x / alpha) - 1), of slope 1 at 0 (Barron 2017).

    >>> round(celu(-1.0, alpha=2.0), 4), celu(1.0)
    (-0.7869, 1.0)
    """
    return where(greater(0.0, x), mul(alpha, expm1(div(x, alpha))), x)


def logsigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)), without overflow.

    >>> round(logsigmoid(0.0), 4), logsigmoid(-1000.0)
    (-0.6931, -1000.0)
    """
    return mul(-1.0, softplus(mul(-1.0, x)))


def relu6(x: Any) -> Any:
    """Return x clipped to between 0 and 6.

    >>> relu6(-1.0), relu6(3.0), relu6(9.0)
    (0.0, 3.0, 6.0)
    """
    return clip(x, 0.0, 6.0)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Return x clipped to between min_val and max_val.

    >>> hardtanh(-3.0), hardtanh(0.5)
    (-1.0, 0.5)
    """
    return clip(x, min_val, max_val)


def hardsigmoid(x: Any) -> Any:
    """Return x / 6 + 1 / 2 clipped to between 0 and 1, with derivative 0 at the kinks.

    >>> hardsigmoid(-4.0), hardsigmoid(0.0)
    (0.0, 0.5)
    """
    return div(clip(add(x, 3.0), 0.0, 6.0), 6.0)


def hardswish(x: Any) -> Any:
    """Return x * hardsigmoid(x); at the kinks -3 and 3 the derivatives of least magnitude, 0 and 1.

    >>> hardswish(-4.0), hardswish(4.0)
    (0.0, 4.0)
    """
    between = div(mul(x, add(x, 3.0)), 6.0)
    return where(greater(x, -3.0), where(greater(3.0, x), between, x), 0.0)


def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """Return x moved towards 0 by lambd, and 0 within lambd of 0, with derivative 0 at the kinks.

    >>> softshrink(2.0), softshrink(0.25)
    (1.5, 0.0)
    """
    below = where(greater(mul(-1.0, lambd), x), add(x, lambd), 0.0)
    return where(greater(x, lambd), sub(x, lambd), below)


def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """Return x, and 0 within lambd of 0.

    >>> hardshrink(2.0), hardshrink(0.25)
    (2.0, 0.0)
    """
    return where(greater(abs(x), lambd), x, 0.0)


def tanhshrink(x: Any) -> Any:
    """Return x - tanh(x).

    >>> round(tanhshrink(1.0), 4)
    0.2384
    """
    return sub(x, tanh(x))


ACTIVATIONS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        leaky_relu,
        elu,
        selu,
        celu,
        logsigmoid,
        relu6,
        hardtanh,
        hardsigmoid,
        hardswish,
        softshrink,
        hardshrink,
        tanhshrink,
    )
}
"""Composed activations by name."""

built_in_ops(mish)
