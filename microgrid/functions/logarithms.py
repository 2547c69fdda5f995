"""Logarithms of probabilities, near 0 and near 1."""

from __future__ import annotations

from typing import Any

from microgrid.core.primitive import NONZERO, POSITIVE, REAL, Interval, Op, primitive, rounded
from microgrid.core.straight import built_in_ops
from microgrid.ops import atanh, div, divide_no_nan, equal, exp, expm1, greater, log, log1p, where


def _logit(x: Any) -> Any:
    # near 1 / 2 the two logarithms cancel; 2 x - 1 is exact from 1 / 4 on
    middle = 2.0 * atanh(2.0 * x - 1.0)
    return rounded(where(greater(0.25, x), log(x) - log1p(-x), middle), log(div(x, 1.0 - x)))


def _logit_partials(z: Any, x: Any) -> tuple[Any, ...]:
    product = x * (1.0 - x)
    at_edge = equal(product, 0.0)
    slope = where(at_edge, div(1.0, x) + div(1.0, 1.0 - x), div(1.0, product))  # a product 0 * inf has no limit
    return (where(greater(0.0, product), z, slope),)


def _log1mexp(x: Any) -> Any:
    # Maechler, "Accurately computing log(1 - exp(-|a|))", 2012, eq. 7
    below = log(-expm1(-x))
    return rounded(where(greater(x, log(2.0)), log1p(-exp(-x)), below), below)


def _reciprocal_expm1(x: Any) -> Any:
    return rounded(where(greater(x, 1.0), div(exp(-x), -expm1(-x)), div(1.0, expm1(x))), div(1.0, expm1(x)))


def _xlog1py_partials(z: Any, x: Any, y: Any) -> tuple[Any, ...]:
    outside, logarithm = greater(-1.0, y), log1p(y)
    undefined = z * logarithm  # nan at x = 0, too, where z is 0
    return where(outside, undefined, logarithm), divide_no_nan(x, where(outside, undefined, 1.0 + y))


logit: Op = primitive(
    "logit",
    None,
    _logit_partials,
    formula=_logit,
    domain=(Interval(0.0, 1.0),),
    latex=r"\operatorname{logit} #1",
    textbook=("1 / (x * (1 - x))",),
    irrational=True,
)
reciprocal_expm1: Op = primitive(
    "reciprocal_expm1",
    None,
    lambda z, x: (z * reciprocal_expm1(-x),),  # -z (1 + z), of which nothing cancels
    formula=_reciprocal_expm1,
    domain=(NONZERO,),
    textbook=("-z * (1 + z)",),
    irrational=True,
)
log1mexp: Op = primitive(
    "log1mexp",
    None,
    lambda z, x: (where(greater(0.0, x), z, reciprocal_expm1(x)),),
    formula=_log1mexp,
    domain=(POSITIVE,),
    textbook=("1 / (exp(x) - 1)",),
    irrational=True,
)
xlog1py: Op = primitive(
    "xlog1py",
    None,
    _xlog1py_partials,
    formula=lambda x, y: where(equal(x, 0.0), 0.0 * greater(y, -1.0), x * log1p(y)),
    domain=(REAL, Interval(low=-1.0)),
    textbook=("log(1 + y)", "x / (1 + y)"),
    irrational=True,
)

built_in_ops(logit, reciprocal_expm1, log1mexp, xlog1py)
