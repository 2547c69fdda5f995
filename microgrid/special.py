"""Special functions under SciPy's names, differentiable to any order, recorded, replayed, checked and compiled.

They take numbers, `Value`s and arrays of them. On floats they compute by SciPy (`pip install scipy`) or
by `math`; compiled code calls SciPy's own machine code. Orders of Bessel functions, of polygamma and of the exponential
integral, and the branch of Lambert's W, are plain numbers. Parameters come in SciPy's order.
"""

from __future__ import annotations

from typing import Any

from microgrid.core.value_arrays import scalar_functions
from microgrid.functions.bessel_functions import (
    airy_ai,
    airy_ai_prime,
    airy_bi,
    airy_bi_prime,
    bessel_i,
    bessel_ie,
    bessel_j,
    bessel_k,
    bessel_ke,
    bessel_y,
)
from microgrid.functions.composed import exp10 as exp10
from microgrid.functions.error_functions import (
    dawsn,
    erfcinv,
    erfcx,
    erfinv,
    log_erfc,
    log_ndtr,
    ndtr,
    ndtri,
)
from microgrid.functions.gamma_functions import (
    beta,
    betaln,
    digamma,
    gamma,
    lgamma,
    polygamma,
    trigamma,
)
from microgrid.functions.integrals import (
    cosine_integral,
    ellipe,
    ellipk,
    exp_integral,
    expi,
    lambert_w,
    sine_integral,
    zeta_derivative,
)
from microgrid.functions.logarithms import logit as logit
from microgrid.functions.logarithms import xlog1py as xlog1py
from microgrid.ops import erf as erf
from microgrid.ops import erfc as erfc
from microgrid.ops import exp2 as exp2
from microgrid.ops import expm1 as expm1
from microgrid.ops import log1p as log1p
from microgrid.ops import sigmoid as expit
from microgrid.ops import xlogy as xlogy

__all__ = [
    "airy",
    "beta",
    "betaln",
    "dawsn",
    "dawson",
    "digamma",
    "ellipe",
    "ellipk",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "exp1",
    "exp2",
    "exp10",
    "expi",
    "expit",
    "expm1",
    "expn",
    "gamma",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "iv",
    "ive",
    "j0",
    "j1",
    "jn",
    "jv",
    "k0",
    "k0e",
    "k1",
    "k1e",
    "kn",
    "kv",
    "kve",
    "lambertw",
    "lbeta",
    "lgamma",
    "log1p",
    "log_erfc",
    "log_ndtr",
    "logit",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "sici",
    "trigamma",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yn",
    "yv",
    "zeta",
]

dawson = dawsn
gammaln = lgamma
lbeta = betaln
psi = digamma


def jv(v: float, x: Any) -> Any:
    """Return the Bessel function of the first kind, of order v.

    >>> round(jv(2, 1.0), 4)
    0.1149
    """
    return bessel_j(x, float(v))


def yv(v: float, x: Any) -> Any:
    """Return the Bessel function of the second kind, of order v.

    >>> round(yv(2, 1.0), 4)
    -1.6507
    """
    return bessel_y(x, float(v))


def iv(v: float, x: Any) -> Any:
    """Return the modified Bessel function of the first kind, of order v.

    >>> round(iv(2, 1.0), 4)
    0.1357
    """
    return bessel_i(x, float(v))


def kv(v: float, x: Any) -> Any:
    """Return the modified Bessel function of the second kind, of order v.

    >>> round(kv(2, 1.0), 4)
    1.6248
    """
    return bessel_k(x, float(v))


def ive(v: float, x: Any) -> Any:
    """Return exp(-abs(x)) iv(v, x).

    >>> round(ive(2, 1.0), 4)
    0.0499
    """
    return bessel_ie(x, float(v))


def kve(v: float, x: Any) -> Any:
    """Return exp(x) kv(v, x).

    >>> round(kve(2, 1.0), 4)
    4.4168
    """
    return bessel_ke(x, float(v))


jn, yn, kn = jv, yv, kv


def j0(x: Any) -> Any:
    """Return jv(0, x).

    >>> round(j0(1.0), 4)
    0.7652
    """
    return bessel_j(x, 0.0)


def j1(x: Any) -> Any:
    """Return jv(1, x).

    >>> round(j1(1.0), 4)
    0.4401
    """
    return bessel_j(x, 1.0)


def y0(x: Any) -> Any:
    """Return yv(0, x).

    >>> round(y0(1.0), 4)
    0.0883
    """
    return bessel_y(x, 0.0)


def y1(x: Any) -> Any:
    """Return yv(1, x).

    >>> round(y1(1.0), 4)
    -0.7812
    """
    return bessel_y(x, 1.0)


def i0(x: Any) -> Any:
    """Return iv(0, x).

    >>> round(i0(1.0), 4)
    1.2661
    """
    return bessel_i(x, 0.0)


def i1(x: Any) -> Any:
    """Return iv(1, x).

    >>> round(i1(1.0), 4)
    0.5652
    """
    return bessel_i(x, 1.0)


def k0(x: Any) -> Any:
    """Return kv(0, x).

    >>> round(k0(1.0), 4)
    0.421
    """
    return bessel_k(x, 0.0)


def k1(x: Any) -> Any:
    """Return kv(1, x).

    >>> round(k1(1.0), 4)
    0.6019
    """
    return bessel_k(x, 1.0)


def i0e(x: Any) -> Any:
    """Return exp(-abs(x)) i0(x).

    >>> round(i0e(1.0), 4)
    0.4658
    """
    return bessel_ie(x, 0.0)


def i1e(x: Any) -> Any:
    """Return exp(-abs(x)) i1(x).

    >>> round(i1e(1.0), 4)
    0.2079
    """
    return bessel_ie(x, 1.0)


def k0e(x: Any) -> Any:
    """Return exp(x) k0(x).

    >>> round(k0e(1.0), 4)
    1.1445
    """
    return bessel_ke(x, 0.0)


def k1e(x: Any) -> Any:
    """Return exp(x) k1(x).

    >>> round(k1e(1.0), 4)
    1.6362
    """
    return bessel_ke(x, 1.0)


def airy(x: Any) -> tuple[Any, Any, Any, Any]:
    """Return the Airy functions Ai, Ai', Bi and Bi'.

    >>> [round(x, 4) for x in airy(1.0)]
    [0.1353, -0.1591, 1.2074, 0.9324]
    """
    return airy_ai(x), airy_ai_prime(x), airy_bi(x), airy_bi_prime(x)


def exp1(x: Any) -> Any:
    """Return the exponential integral E1, for x > 0.

    >>> round(exp1(1.0), 4)
    0.2194
    """
    return exp_integral(x, 1.0)


def expn(n: float, x: Any) -> Any:
    """Return the exponential integral of order n, for x > 0.

    >>> round(expn(2, 1.0), 4)
    0.1485
    """
    return exp_integral(x, float(n))


def sici(x: Any) -> tuple[Any, Any]:
    """Return the sine integral and the cosine integral.

    >>> [round(x, 4) for x in sici(1.0)]
    [0.9461, 0.3374]
    """
    return sine_integral(x), cosine_integral(x)


def zeta(x: Any) -> Any:
    """Return Riemann's zeta function for x > 0; nan below.

    >>> round(zeta(2.0), 4)
    1.6449
    """
    return zeta_derivative(x, 0.0)


def lambertw(x: Any, k: float = 0) -> Any:
    """Return the solution w of w exp(w) = x: for k = 0 from -1 on, for k = -1 below it. Both are real; nan where none
    is.

    >>> round(lambertw(1.0), 4), round(lambertw(-0.2, -1), 4)
    (0.5671, -2.5426)
    """
    return lambert_w(x, float(k))


_SAME = "beta betaln gamma erfinv erfcinv erfcx dawsn ndtr ndtri log_ndtr ellipk ellipe expi exp1"

# So that SciPy's own functions record these when they are called with a Value.
scalar_functions.update({name: globals()[name] for name in _SAME.split()}, gammaln=lgamma, psi=digamma)
