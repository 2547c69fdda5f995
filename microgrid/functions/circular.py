"""Circular and hyperbolic functions beside those of `math`: reciprocals, their inverses, and sines of multiples of pi.

Inverses of reciprocals have an op of their own: acos(1 / x) loses half of the digits near 1, where 1 / x is rounded.
"""

from __future__ import annotations

import math
from typing import Any

from microgrid.core.primitive import NONZERO, Interval, Op, primitive, rounded
from microgrid.core.straight import built_in_ops
from microgrid.ops import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    copysign,
    cos,
    cosh,
    div,
    equal,
    exp,
    expm1,
    greater,
    hypot,
    log1p,
    one_minus_square,
    round,
    sin,
    sinh,
    sqrt,
    stop_gradient,
    tan,
    tanh,
    where,
)

_BEYOND_ONE = Interval(low=1.0)


def sec(x: Any) -> Any:
    """Return the secant, 1 / cos(x).

    >>> f"{sec(1.0):.4f}"
    '1.8508'
    """
    return div(1.0, cos(x))


def csc(x: Any) -> Any:
    """Return the cosecant, 1 / sin(x).

    >>> f"{csc(1.0):.4f}"
    '1.1884'
    """
    return div(1.0, sin(x))


def _sech(x: Any) -> Any:
    e = exp(-abs(x))
    return rounded(div(2.0 * e, 1.0 + e * e), div(1.0, cosh(x)))


def _csch(x: Any) -> Any:
    r = abs(x)
    size = div(-2.0 * exp(-r), expm1(-2.0 * r))
    return rounded(where(greater(r, 1.0), copysign(size, x), div(1.0, sinh(x))), div(1.0, sinh(x)))


def _beyond_one(x: Any) -> Any:
    """Return sqrt(x**2 - 1), which neither cancels nor overflows; nan between -1 and 1."""
    return sqrt(abs(x) - 1.0) * sqrt(abs(x) + 1.0)


def _inverse_of_reciprocal_partials(z: Any, x: Any, sign: float) -> tuple[Any, ...]:
    r = abs(x)
    slope = div(div(div(sign, sqrt(r - 1.0)), sqrt(r + 1.0)), r)
    return (where(greater(1.0, r), z, slope),)


def _asech_partials(z: Any, x: Any) -> tuple[Any, ...]:
    by_root = div(1.0, sqrt(one_minus_square(x)))
    inner = where(equal(x, 1.0), by_root, div(div(1.0, x), sqrt(one_minus_square(x))))
    inner = where(equal(x, 0.0), div(1.0, x), inner)  # at both ends a second derivative of the whole would be nan
    return (where(greater(0.0, x), z, -inner),)


def _acsch_partials(z: Any, x: Any) -> tuple[Any, ...]:
    of_size = div(stop_gradient(copysign(1.0, x)), x)  # 1 / abs(x), with its derivative at 0, too
    return (-where(equal(x, 0.0), of_size, div(of_size, hypot(1.0, x))),)


def _asech(x: Any) -> Any:
    of_square = asinh(div(sqrt(one_minus_square(x)), x))
    return rounded(where(greater(0.0, x), math.nan, of_square), acosh(div(1.0, x)))


def _acoth(x: Any) -> Any:
    size = 0.5 * log1p(div(2.0, abs(x) - 1.0))
    return rounded(copysign(size, x), atanh(div(1.0, x)))


def _cos_of_turns(size: Any, pi: Any) -> Any:
    """Return cos(pi size) for a size from 0 to 1."""
    middle = sin(pi * (0.5 - size))
    return where(greater(0.25, size), cos(pi * size), where(greater(size, 0.75), -cos(pi * (1.0 - size)), middle))


def _cospi(x: Any) -> Any:
    pi = 4.0 * atan(1.0)
    return rounded(_cos_of_turns(abs(x - 2.0 * round(0.5 * x)), pi), cos(pi * x))


def _sinpi(x: Any) -> Any:
    pi = 4.0 * atan(1.0)
    r = x - 2.0 * round(0.5 * x)  # exact, from -1 to 1
    size = abs(r)
    middle = cos(pi * (0.5 - size))
    result = where(
        greater(0.25, size), sin(pi * r), copysign(where(greater(size, 0.75), sin(pi * (1.0 - size)), middle), r)
    )
    return rounded(result, sin(pi * x))


cot: Op = primitive(
    "cot",
    None,
    lambda z, x: (-(1.0 + z * z),),
    formula=lambda x: div(1.0, tan(x)),
    domain=(NONZERO,),
    textbook=("-(1 + z**2)",),
    irrational=True,
)
sech: Op = primitive(
    "sech",
    None,
    lambda z, x: (-(z * tanh(x)),),
    formula=_sech,
    latex=r"\operatorname{sech} #1",
    textbook=("-z * tanh(x)",),
    irrational=True,
)
csch: Op = primitive(
    "csch",
    None,
    lambda z, x: (-(z * coth(x)),),
    formula=_csch,
    domain=(NONZERO,),
    latex=r"\operatorname{csch} #1",
    textbook=("-z / tanh(x)",),  # in ops that microgrid.ops has
    irrational=True,
)
coth: Op = primitive(
    "coth",
    None,
    lambda z, x: (-(csch(x) * csch(x)),),  # with csch' a polynomial in both: at the pole nothing cancels, of any order
    formula=lambda x: div(1.0, tanh(x)),
    domain=(NONZERO,),
    textbook=("1 - z**2",),
    irrational=True,
)
asec: Op = primitive(
    "asec",
    None,
    lambda z, x: _inverse_of_reciprocal_partials(z, x, 1.0),
    formula=lambda x: rounded(atan2(_beyond_one(x), where(greater(x, 0.0), 1.0, -1.0)), acos(div(1.0, x))),
    domain=(_BEYOND_ONE,),
    textbook=("1 / (abs(x) * sqrt(x**2 - 1))",),
    irrational=True,
)
acsc: Op = primitive(
    "acsc",
    None,
    lambda z, x: _inverse_of_reciprocal_partials(z, x, -1.0),
    formula=lambda x: rounded(copysign(atan2(1.0, _beyond_one(x)), x), asin(div(1.0, x))),
    domain=(_BEYOND_ONE,),
    textbook=("-1 / (abs(x) * sqrt(x**2 - 1))",),
    irrational=True,
)
acot: Op = primitive(
    "acot",
    None,
    lambda z, x: (-div(div(1.0, hypot(1.0, x)), hypot(1.0, x)),),
    formula=lambda x: copysign(atan2(1.0, abs(x)), x),
    domain=(NONZERO,),
    textbook=("-1 / (1 + x**2)",),
    irrational=True,
)
asech: Op = primitive(
    "asech",
    None,
    _asech_partials,
    formula=_asech,
    domain=(Interval(0.0, 1.0),),
    textbook=("-1 / (x * sqrt(1 - x**2))",),
    irrational=True,
)
acsch: Op = primitive(
    "acsch",
    None,
    _acsch_partials,
    formula=lambda x: asinh(div(1.0, x)),
    domain=(NONZERO,),
    textbook=("-1 / (abs(x) * sqrt(1 + x**2))",),
    irrational=True,
)
acoth: Op = primitive(
    "acoth",
    None,
    lambda z, x: (where(greater(1.0, abs(x)), z, -div(div(1.0, abs(x) - 1.0), abs(x) + 1.0)),),
    formula=_acoth,
    domain=(_BEYOND_ONE,),
    textbook=("1 / (1 - x**2)",),
    irrational=True,
)
sinpi: Op = primitive(
    "sinpi",
    None,
    lambda z, x: (4.0 * atan(1.0) * cospi(x),),
    formula=_sinpi,
    textbook=("pi * cos(pi * x)",),
    irrational=True,
)
cospi: Op = primitive(
    "cospi",
    None,
    lambda z, x: (-(4.0 * atan(1.0) * sinpi(x)),),
    formula=_cospi,
    textbook=("-pi * sin(pi * x)",),
    irrational=True,
)

built_in_ops(cot, sech, csch, coth, asec, acsc, acot, asech, acsch, acoth, sinpi, cospi)
