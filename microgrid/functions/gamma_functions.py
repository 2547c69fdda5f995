"""The gamma function, its logarithm, and their derivatives; the beta function."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

from microgrid.core.natives import scipy_special
from microgrid.core.primitive import NONZERO, POSITIVE, REAL, Op
from microgrid.core.special_functions import special
from microgrid.ops import atan, div, equal, greater, log, log1p, maximum, minimum, where

inf, nan = math.inf, math.nan


def _gamma(x: float) -> float:
    try:
        return math.gamma(x)
    except OverflowError:
        return inf
    except ValueError:  # a pole, or -inf; at 0 the sign of the zero decides
        return math.copysign(inf, x) if x == 0.0 else nan


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (OverflowError, ValueError):
        return inf


def _digamma_derivative(x: float, n: float) -> float:
    """Return the n-th derivative of the digamma function: (-1)**(n + 1) n! zeta(n + 1, x), by reflection below 0."""
    if not (float(n).is_integer() and 0.0 <= n <= 168.0) or x != x:
        return nan
    m = int(n)
    if m == 0:
        return float(scipy_special().psi(x))
    sign = 1.0 if m % 2 else -1.0
    if x > 0.0:
        size = float(scipy_special().zeta(n + 1.0, x))
        return sign * math.factorial(m) * size if size else 0.0 * sign
    if x == 0.0:
        return inf if m % 2 else math.copysign(inf, -x)
    if x == -inf or x.is_integer():
        return inf if m % 2 and x != -inf else nan
    r = math.fmod(x, 1.0)  # DLMF 5.15.6: psi_m(1 - x) + (-1)**(m + 1) psi_m(x) = (-1)**m pi d^m/dx^m cot(pi x)
    c = math.cos(math.pi * r) / math.sin(math.pi * r)
    of_cot = [0.0, 1.0]  # a polynomial in cot(pi x), whose derivative is -pi (1 + cot(pi x)**2)
    for _ in range(m):
        slopes = [k * a for k, a in enumerate(of_cot)][1:]
        of_cot = [0.0] * (len(slopes) + 2)
        for k, a in enumerate(slopes):
            of_cot[k] -= math.pi * a
            of_cot[k + 2] -= math.pi * a
    reflected = sum(a * c**k for k, a in enumerate(of_cot))
    return (-1.0) ** m * _digamma_derivative(1.0 - x, n) - math.pi * reflected


def bernoulli(most: int) -> list[Fraction]:
    """Return the Bernoulli numbers 0 to `most`, with 1/2 for the first."""
    found = [Fraction(1)]
    for m in range(1, most + 1):
        found.append(-sum((math.comb(m + 1, k) * b for k, b in enumerate(found)), Fraction(0)) / (m + 1))
    found[1] = Fraction(1, 2)
    return found


_BERNOULLI: Final = list(map(float, bernoulli(30)))
_FAR: Final = 20.0  # from here on the asymptotic series has 17 digits


def _digamma_difference(x: float, y: float, n: float) -> float:
    """Return psi_n(x + y) - psi_n(x) without cancellation, for positive x and y (DLMF 5.11.2 and 5.15.8)."""
    if not (x > 0.0 and y > 0.0 and x + y < inf):
        return _digamma_derivative(x + y, n) - _digamma_derivative(x, n)
    if not (float(n).is_integer() and 0.0 <= n <= 20.0):
        return nan
    m = int(n)

    def powers(x: float, k: int) -> float:
        """Return (x + y)**-k - x**-k."""
        try:
            return math.expm1(-k * math.log1p(y / x)) * x**-k
        except OverflowError:
            return -inf

    total, sign = 0.0, (-1.0) ** m
    while x < _FAR + m:
        total -= sign * math.factorial(m) * powers(x, m + 1)
        x += 1.0
    if m == 0:
        total += math.log1p(y / x) - 0.5 * powers(x, 1)
        return total - math.fsum(_BERNOULLI[k] / k * powers(x, k) for k in range(2, 31, 2))
    terms = [
        math.factorial(k + m - 1) / math.factorial(k) * b * powers(x, k + m) for k, b in enumerate(_BERNOULLI) if b
    ]
    return total - sign * math.fsum(terms)


def _on_more_digits(mp: Any, x: Any, y: Any, n: Any) -> Any:
    with mp.workprec(2 * mp.prec + 2 * max(mp.mag(x) - mp.mag(y), 0)):
        difference = mp.psi(int(n), x + y) - mp.psi(int(n), x)
    return +difference


def _stirling(x: Any) -> Any:
    """Return what Stirling's formula leaves out of lgamma(x), for x from 20 on (DLMF 5.11.1)."""
    square, total = div(1.0, x * x), 0.0
    for k in range(8, 0, -1):
        total = total * square + _BERNOULLI[2 * k] / (2 * k * (2 * k - 1))
    return div(total, x)


def _betaln(x: Any, y: Any) -> Any:
    """Return log(gamma(x) gamma(y) / gamma(x + y)); for large x or y in a form where nothing large cancels."""
    small, large, total = minimum(x, y), maximum(x, y), x + y
    near = lgamma(small) + lgamma(large) - lgamma(total)
    rest = _stirling(total) - _stirling(large)
    mixed = lgamma(small) - ((large - 0.5) * log1p(div(small, large)) + small * (log(total) - 1.0) + rest)
    far = (small - 0.5) * log(div(small, total)) + large * log1p(-div(small, total))
    far = far + 0.5 * (log(8.0 * atan(1.0)) - log(large)) + (_stirling(small) - rest)
    return where(greater(20.0, large), near, where(greater(20.0, small), mixed, far))


def _log_beta(mp: Any, x: Any, y: Any) -> Any:
    with mp.workprec(2 * mp.prec + 2 * max(mp.mag(x), mp.mag(y), 0)):
        result = mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y)
    return +result


def _polygamma(x: Any, n: float) -> Any:
    from flint import acb

    return x.polygamma(acb(int(n)))


digamma: Op = special(
    "digamma",
    None,
    lambda z, x: (digamma_derivative(x, 1.0),),
    scipy="psi",
    mpmath="digamma",
    acb="digamma",
    domain=(NONZERO,),
    symbol="ψ",
    sensitive=True,
)
digamma_derivative: Op = special(
    "digamma_derivative",
    _digamma_derivative,
    lambda z, x, n: (digamma_derivative(x, n + 1.0),),
    static=1,
    mpmath=lambda mp, x, n: mp.psi(int(n), x),
    acb=_polygamma,
    domain=(NONZERO, REAL),
    sensitive=True,
)
digamma_difference: Op = special(
    "digamma_difference",
    _digamma_difference,
    lambda z, x, y, n: (digamma_difference(x, y, n + 1.0), digamma_derivative(x + y, n + 1.0)),
    static=1,
    mpmath=_on_more_digits,
    acb=lambda x, y, n: _polygamma(x + y, n) - _polygamma(x, n),
    domain=(POSITIVE, POSITIVE, REAL),
)
lgamma: Op = special(
    "lgamma",
    _lgamma,
    lambda z, x: (digamma(x),),
    mpmath=lambda mp, x: mp.re(mp.loggamma(x)),
    acb="lgamma",
    domain=(POSITIVE,),
    ulps=16.0,
    sensitive=True,
    textbook=("digamma(x)",),
    on={"c": "lgamma", "python": "math.lgamma"},
)
gamma: Op = special(
    "gamma",
    _gamma,
    lambda z, x: (where(equal(z, 0.0), z, z * digamma(x)),),
    mpmath="gamma",
    acb="gamma",
    domain=(NONZERO,),
    sensitive=True,
    textbook=("z * digamma(x)",),
    symbol="Γ",
    on={"c": "tgamma", "python": "math.gamma"},
)
beta: Op = special(
    "beta",
    None,
    lambda z, x, y: (-(z * digamma_difference(x, y, 0.0)), -(z * digamma_difference(y, x, 0.0))),
    scipy="beta",
    mpmath="beta",
    acb=lambda x, y: x.gamma() * y.gamma() * (x + y).rgamma(),
    domain=(POSITIVE, POSITIVE),
    ulps=1000.0,  # SciPy's takes the exponential of a logarithm
    sensitive=True,
    symbol="B",
    textbook=("z * (digamma(x) - digamma(x + y))", "z * (digamma(y) - digamma(x + y))"),
)
betaln: Op = special(
    "betaln",
    None,
    lambda z, x, y: (-digamma_difference(x, y, 0.0), -digamma_difference(y, x, 0.0)),
    formula=_betaln,
    mpmath=_log_beta,
    acb=lambda x, y: x.lgamma() + y.lgamma() - (x + y).lgamma(),
    domain=(POSITIVE, POSITIVE),
    ulps=16.0,
    sensitive=True,
    textbook=("digamma(x) - digamma(x + y)", "digamma(y) - digamma(x + y)"),
)


def trigamma(x: Any) -> Any:
    """Return the derivative of the digamma function.

    >>> round(trigamma(1.0), 4)
    1.6449
    """
    return digamma_derivative(x, 1.0)


def polygamma(n: float, x: Any) -> Any:
    """Return the n-th derivative of the digamma function.

    >>> round(polygamma(2, 1.0), 4)
    -2.4041
    """
    return digamma(x) if n == 0 else digamma_derivative(x, float(n))
