"""Functions around the error function and the normal distribution."""

from __future__ import annotations

import math
from typing import Any

from microgrid.core.natives import on_floats
from microgrid.core.primitive import Interval, Op, rounded
from microgrid.core.special_functions import special
from microgrid.functions.inverse_balls import inverse
from microgrid.ops import abs, atan, div, equal, erf, erfc, gaussian, greater, log, log1p, sqrt, where

inf, nan = math.inf, math.nan
_TWO_BY_ROOT_PI = 2.0 / math.sqrt(math.pi)


def _root_pi(halves: float = 2.0) -> Any:
    """Return sqrt(pi) times halves / 2, exact where numbers are."""
    return halves * sqrt(atan(1.0))


def _root_two() -> Any:
    return sqrt(2.0)


# --- erfcx and its derivatives: d^n/dx^n of exp(x**2) erfc(x) is (-2)**n n! exp(x**2) i^n erfc(x), DLMF 7.18.3 ------


def _erfcx_derivative(x: float, n: float) -> float:
    if not (float(n).is_integer() and 0.0 <= n <= 100.0) or x != x:
        return nan
    m = int(n)
    if x == inf:
        return 0.0
    y: float = on_floats("erfcx")(x)
    if x < 1.0:
        before = _TWO_BY_ROOT_PI
        for k in range(1, m + 1):  # DLMF 7.18.9, which cancels little here
            before, y = y, before / (2 * k) - x / k * y
    else:  # and backwards, for the ratio of each to the one before it
        count = m + 20 + int(400.0 / (x * x))
        ratio = 1.0 / (x + math.sqrt(x * x + 2.0 * count))
        for k in range(count, 0, -1):
            ratio = 1.0 / (2.0 * x + 2.0 * (k + 1) * ratio)
            if k <= m:
                y *= ratio
    return (-2.0) ** m * math.factorial(m) * y if y else 0.0


def _recurrence(x: Any, y: Any, before: Any, n: int) -> Any:
    for k in range(1, n + 1):
        before, y = y, before / (2 * k) - x * y / k
    return (-2) ** n * math.factorial(n) * y


def _mpmath_erfcx(mp: Any, x: Any, n: float = 0.0) -> Any:
    m = int(n)
    if mp.mag(x) > 20 and x > 0:  # erfc underflows, in effect; of the asymptotic series, differentiated, all counts
        with mp.workprec(mp.prec + 20):
            term = 1 / (x * mp.sqrt(mp.pi)) * (-1) ** m * math.factorial(m) / x**m
            total, k = term, 0
            while abs(term) > mp.eps * abs(total):
                k += 1
                term *= -mp.mpf((2 * k - 1) * (2 * k + m) * (2 * k - 1 + m)) / (2 * x * x * (2 * k) * (2 * k - 1))
                total += term
        return +total
    if mp.mag(x) > 20:
        return mp.inf * (-1) ** m
    with mp.workprec(2 * mp.prec + 20 + 4 * m * (8 + max(mp.mag(x), 0))):
        y = mp.exp(x * x) * mp.erfc(x)
        result = _recurrence(x, y, 2 / mp.sqrt(mp.pi), m)
    return +result


def _acb_erfcx(x: Any, n: float = 0.0) -> Any:
    from flint import acb

    return _recurrence(x, (x * x).exp() * x.erfc(), 2 / acb.pi().sqrt(), int(n))


erfcx: Op = special(
    "erfcx",
    None,
    lambda z, x: (erfcx_derivative(x, 1.0),),
    scipy="erfcx",
    mpmath=_mpmath_erfcx,
    acb=_acb_erfcx,
    sensitive=True,
    textbook=("2 * x * z - 2 / sqrt(pi)",),
)
erfcx_derivative: Op = special(
    "erfcx_derivative",
    _erfcx_derivative,
    lambda z, x, n: (erfcx_derivative(x, n + 1.0),),
    static=1,
    mpmath=_mpmath_erfcx,
    acb=_acb_erfcx,
    sensitive=True,
    ulps=30.0,
)


def _log_erfc(x: Any) -> Any:
    tail = log(erfcx(where(greater(x, 1.0), x, 1.0))) - x * x
    middle = where(greater(0.5, abs(x)), log1p(-erf(x)), log(erfc(x)))
    return rounded(where(greater(x, 1.0), tail, middle), log(erfc(x)))


log_erfc: Op = special(
    "log_erfc",
    None,
    lambda z, x: (-div(div(1.0, _root_pi(1.0)), erfcx(x)),),
    formula=_log_erfc,
    sensitive=True,
    textbook=("-2 / sqrt(pi) * exp(-x**2) / erfc(x)",),
)

# --- Dawson's integral ----------------------------------------------------------------------------------------------


def _dawson_derivative(x: float, n: float) -> float:
    if not (float(n).is_integer() and 0.0 <= n <= 60.0) or x != x:
        return nan
    m = int(n)
    if m == 0:
        return float(on_floats("dawsn")(x))
    if math.isinf(x):
        return 0.0
    if abs(x) > 8.0 + 0.1 * m:  # the asymptotic series, differentiated
        term = total = (-1.0) ** m * math.factorial(m) / 2.0 / x ** (m + 1) if abs(x) < 1e300 ** (1 / (m + 1)) else 0.0
        for k in range(1, 80):
            following = term * (2 * k - 1) * (2 * k + m) * (2 * k - 1 + m) / (2 * x * x * (2 * k) * (2 * k - 1))
            if abs(following) <= 1e-18 * abs(total) or abs(following) > abs(term):
                break
            term = following
            total += term
        return total
    # the Taylor series, on whole numbers: its terms reach exp(x**2)
    bits = 300
    one = 1 << bits
    at = int(math.ldexp(x, bits)) if abs(x) > 1e-5 else 0
    square = at * at >> bits
    j = 1 if m % 2 or m == 0 else 3
    j = max(j, m if m % 2 else m + 1)
    coefficient = one  # of x**j: a_1 = 1, a_(j + 2) = -2 a_j / (j + 2)
    for i in range(3, j + 1, 2):
        coefficient = coefficient * -2 // i
    coefficient *= math.factorial(j) // math.factorial(j - m)
    if not at:
        return coefficient / one * x ** (j - m) * (1.0 - _dawson_ratio(j, m) * x * x)
    term = coefficient * at >> bits if j - m else coefficient
    total = 0
    while abs(term) > 1:
        total += term
        term = term * square // one * (-2 * (j + 1)) // ((j + 2 - m) * (j + 1 - m))
        j += 2
    return total / one


def _dawson_ratio(j: int, m: int) -> float:
    return 2.0 * (j + 1) / ((j + 2 - m) * (j + 1 - m))


def _mpmath_dawson(mp: Any, x: Any, n: float = 0.0) -> Any:
    m = int(n)
    if mp.mag(x) > 20:
        with mp.workprec(mp.prec + 20):
            term = (-1) ** m * math.factorial(m) / (2 * x ** (m + 1))
            total, k = term, 0
            while abs(term) > mp.eps * abs(total):
                k += 1
                term *= mp.mpf((2 * k - 1) * (2 * k + m) * (2 * k - 1 + m)) / (2 * x * x * (2 * k) * (2 * k - 1))
                total += term
        return +total
    with mp.workprec(2 * mp.prec + 40 + 4 * m * (8 + abs(mp.mag(x) if x else 0))):
        result = _dawson_recurrence(x, mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), m)
    return +result


def _dawson_recurrence(x: Any, z: Any, n: int) -> Any:
    before, y = None, z
    for k in range(n):  # D' = 1 - 2 x D, differentiated k times
        before, y = y, (1 - 2 * x * y if k == 0 else -2 * x * y - 2 * k * before)
    return y


def _acb_dawson(x: Any, n: float = 0.0) -> Any:
    from flint import acb

    return _dawson_recurrence(x, acb.pi().sqrt() / 2 * (-x * x).exp() * x.erfi(), int(n))


dawsn: Op = special(
    "dawsn",
    None,
    lambda z, x: (dawson_derivative(x, 1.0),),
    scipy="dawsn",
    mpmath=_mpmath_dawson,
    acb=_acb_dawson,
    ulps=16.0,
    textbook=("1 - 2 * x * z",),
)
dawson_derivative: Op = special(
    "dawson_derivative",
    _dawson_derivative,
    lambda z, x, n: (dawson_derivative(x, n + 1.0),),
    static=1,
    mpmath=_mpmath_dawson,
    acb=_acb_dawson,
    sensitive=True,
)

# --- the normal distribution ----------------------------------------------------------------------------------------


def _ndtr(x: Any) -> Any:
    return 0.5 * erfc(-div(x, _root_two()))


def _log_ndtr(x: Any) -> Any:
    t = div(x, _root_two())
    below = greater(-1.0, x)
    tail = log(0.5 * erfcx(where(below, -t, 1.0))) - 0.5 * x * x
    middle = where(greater(x, 0.0), log1p(-0.5 * erfc(t)), log(0.5 * erfc(-t)))
    return rounded(where(below, tail, middle), log(0.5 * erfc(-t)))


def _hazard(x: Any) -> Any:
    """Return the density at x divided by the distribution function there."""
    return div(div(1.0, _root_pi(1.0)), _root_two() * erfcx(-div(x, _root_two())))


ndtr: Op = special(
    "ndtr",
    None,
    lambda z, x: (div(gaussian(div(x, _root_two())), _root_pi() * _root_two()),),
    formula=_ndtr,
    sensitive=True,
    symbol="Φ",
    textbook=("exp(-x**2 / 2) / sqrt(2 * pi)",),
)
log_ndtr: Op = special(
    "log_ndtr",
    None,
    lambda z, x: (_hazard(x),),
    formula=_log_ndtr,
    sensitive=True,
)

# --- inverses -------------------------------------------------------------------------------------------------------


def _mpmath_erfinv(mp: Any, x: Any) -> Any:
    return mp.erfinv(x) if abs(x) < 1 else mp.sign(x) * mp.inf if abs(x) == 1 else mp.nan


def _mpmath_erfcinv(mp: Any, x: Any) -> Any:
    if not 0 < x < 2:
        return mp.inf if x == 0 else -mp.inf if x == 2 else mp.nan
    if x > mp.mpf(1) / 1000:
        with mp.workprec(2 * mp.prec):
            z = mp.erfinv(1 - x)
        return +z
    with mp.workprec(mp.prec + 20):  # Newton's steps, on the logarithm of erfc
        z = mp.sqrt(-mp.log(x * mp.sqrt(-mp.pi * mp.log(x))))
        while True:
            erfc_z = mp.erfc(z)
            step = (mp.log(erfc_z) - mp.log(x)) * erfc_z * mp.sqrt(mp.pi) / (2 * mp.exp(-z * z))
            z += step
            if abs(step) < mp.eps * z * 2**10:
                break
    return +z


def _acb_slope(z: Any) -> Any:
    from flint import acb

    return 2 / acb.pi().sqrt() * (-z * z).exp()


def _ndtri_start(x: Any) -> Any:
    from flint import arb

    return -arb(2).sqrt() * (2 * x).erfcinv()


def _acb_ndtr(z: Any) -> Any:
    from flint import acb

    return (-z / acb(2).sqrt()).erfc() / 2


def _acb_normal_density(z: Any) -> Any:
    from flint import acb

    return (-z * z / 2).exp() / (2 * acb.pi()).sqrt()


erfinv: Op = special(
    "erfinv",
    None,
    lambda z, x: (div(_root_pi(1.0), gaussian(z)),),
    scipy="erfinv",
    mpmath=_mpmath_erfinv,
    acb=inverse(lambda x: x.erfinv(), lambda z: z.erf(), _acb_slope),
    domain=(Interval(-1.0, 1.0),),
    sensitive=True,
    textbook=("sqrt(pi) / 2 * exp(z**2)",),
)
erfcinv: Op = special(
    "erfcinv",
    None,
    lambda z, x: (-div(where(equal(x, 0.0), 1.0, _root_pi(1.0) * erfcx(z)), x),),
    scipy="erfcinv",
    mpmath=_mpmath_erfcinv,
    acb=inverse(lambda x: x.erfcinv(), lambda z: z.erfc(), lambda z: -_acb_slope(z)),
    domain=(Interval(0.0, 2.0),),
    sensitive=True,
    textbook=("-sqrt(pi) / 2 * exp(z**2)",),
)
ndtri: Op = special(
    "ndtri",
    None,
    lambda z, x: (div(where(equal(x, 0.0), 1.0, _root_pi(1.0) * _root_two() * erfcx(-div(z, _root_two()))), x),),
    scipy="ndtri",
    mpmath=lambda mp, x: -mp.sqrt(2) * _mpmath_erfcinv(mp, 2 * x),
    acb=inverse(_ndtri_start, _acb_ndtr, _acb_normal_density),
    domain=(Interval(0.0, 1.0),),
    sensitive=True,
    textbook=("sqrt(2 * pi) * exp(z**2 / 2)",),
)
