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
    """Return the Bessel function of the first kind, of order v."""
    return bessel_j(x, float(v))


def yv(v: float, x: Any) -> Any:
    """Return the Bessel function of the second kind, of order v."""
    return bessel_y(x, float(v))


def iv(v: float, x: Any) -> Any:
    """Return the modified Bessel function of the first kind, of order v."""
    return bessel_i(x, float(v))


def kv(v: float, x: Any) -> Any:
    """Return the modified Bessel function of the second kind, of order v."""
    return bessel_k(x, float(v))


def ive(v: float, x: Any) -> Any:
    """Return exp(-abs(x)) iv(v, x)."""
    return bessel_ie(x, float(v))


def kve(v: float, x: Any) -> Any:
    """Return exp(x) kv(v, x)."""
    return bessel_ke(x, float(v))


jn, yn, kn = jv, yv, kv


def j0(x: Any) -> Any:
    """Return jv(0, x)."""
    return bessel_j(x, 0.0)


def j1(x: Any) -> Any:
    """Return jv(1, x)."""
    return bessel_j(x, 1.0)


def y0(x: Any) -> Any:
    """Return yv(0, x)."""
    return bessel_y(x, 0.0)


def y1(x: Any) -> Any:
    """Return yv(1, x)."""
    return bessel_y(x, 1.0)


def i0(x: Any) -> Any:
    """Return iv(0, x)."""
    return bessel_i(x, 0.0)


def i1(x: Any) -> Any:
    """Return iv(1, x)."""
    return bessel_i(x, 1.0)


def k0(x: Any) -> Any:
    """Return kv(0, x)."""
    return bessel_k(x, 0.0)


def k1(x: Any) -> Any:
    """Return kv(1, x)."""
    return bessel_k(x, 1.0)


def i0e(x: Any) -> Any:
    """Return exp(-abs(x)) i0(x)."""
    return bessel_ie(x, 0.0)


def i1e(x: Any) -> Any:
    """Return exp(-abs(x)) i1(x)."""
    return bessel_ie(x, 1.0)


def k0e(x: Any) -> Any:
    """Return exp(x) k0(x)."""
    return bessel_ke(x, 0.0)


def k1e(x: Any) -> Any:
    """Return exp(x) k1(x)."""
    return bessel_ke(x, 1.0)


def airy(x: Any) -> tuple[Any, Any, Any, Any]:
    """Return the Airy functions Ai, Ai', Bi and Bi'."""
    return airy_ai(x), airy_ai_prime(x), airy_bi(x), airy_bi_prime(x)


def exp1(x: Any) -> Any:
    """Return the exponential integral E1, for x > 0."""
    return exp_integral(x, 1.0)


def expn(n: float, x: Any) -> Any:
    """Return the exponential integral of order n, for x > 0."""
    return exp_integral(x, float(n))


def sici(x: Any) -> tuple[Any, Any]:
    """Return the sine integral and the cosine integral."""
    return sine_integral(x), cosine_integral(x)


def zeta(x: Any) -> Any:
    """Return Riemann's zeta function for x > 0; nan below."""
    return zeta_derivative(x, 0.0)


def lambertw(x: Any, k: float = 0) -> Any:
    """Return the solution w of w exp(w) = x: for k = 0 from -1 on, for k = -1 below it. Both are real; nan where none
    is."""
    return lambert_w(x, float(k))


_SAME = "beta betaln gamma erfinv erfcinv erfcx dawsn ndtr ndtri log_ndtr ellipk ellipe expi exp1"

# So that SciPy's own functions record these when they are called with a Value.
scalar_functions.update({name: globals()[name] for name in _SAME.split()}, gammaln=lgamma, psi=digamma)
