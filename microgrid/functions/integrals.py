"""Exponential, sine, cosine and elliptic integrals, the zeta function, Lambert's W."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final

from microgrid.core.natives import on_floats, scipy_special
from microgrid.core.primitive import NONZERO, POSITIVE, REAL, Interval, Op
from microgrid.core.special_functions import special
from microgrid.functions.gamma_functions import bernoulli
from microgrid.ops import abs, cos, div, equal, exp, greater, sinc_derivative, where

inf, nan = math.inf, math.nan


def _acb_ei(x: Any) -> Any:
    return x.ei() if x.real > 0 else -(-x).expint(1)  # left of 0 acb's has a cut


expi: Op = special(
    "expi",
    None,
    lambda z, x: (div(exp(x), x),),
    scipy="expi",
    mpmath="ei",
    acb=_acb_ei,
    domain=(NONZERO,),
    sensitive=True,
    symbol="Ei",
    textbook=("exp(x) / x",),
)


def _exp_integral_partials(z: Any, x: Any, n: float) -> tuple[Any, ...]:
    if n == 0.0:
        return (-(z + div(z, x)),)
    return (-div(exp(-x), x) if n == 1.0 else -exp_integral(x, n - 1.0),)


def _acb_expint(x: Any, n: float) -> Any:
    from flint import acb

    return x.expint(acb(n))


exp_integral: Op = special(
    "exp_integral",
    None,
    _exp_integral_partials,
    static=1,
    scipy="expn",
    order=(1, 0),
    mpmath=lambda mp, x, n: mp.expint(int(n), x),
    acb=_acb_expint,
    domain=(POSITIVE, REAL),
    sensitive=True,
    symbol="E",
)
sine_integral: Op = special(
    "sine_integral",
    lambda x: float(scipy_special().sici(x)[0]),
    lambda z, x: (sinc_derivative(x, 0.0),),
    mpmath="si",
    acb="si",
    symbol="Si",
    textbook=("sin(x) / x",),
    on={"numpy": lambda x: scipy_special().sici(x)[0]},
)
cosine_integral: Op = special(
    "cosine_integral",
    lambda x: float(scipy_special().sici(x)[1]),
    lambda z, x: (div(cos(x), where(greater(0.0, x), z, x)),),
    mpmath="ci",
    acb="ci",
    domain=(POSITIVE,),
    sensitive=True,
    symbol="Ci",
    textbook=("cos(x) / x",),
    on={"numpy": lambda x: scipy_special().sici(x)[1]},
)

# --- complete elliptic integrals of the parameter m ------------------------------------------------------------------
# Between -4 and 0.8 the derivatives are sums over equal steps of the angle, of terms of one sign, which converge like
# a power series; else they follow from Legendre's relations (DLMF 19.4.1 and 19.4.2) and the differential equation.

_STEPS: Final = 60


def _mean_over_angles(a: float, m: float, n: int) -> float:
    """Return the n-th derivative of the integral of (1 - m sin(t)**2)**-a over a quarter turn."""
    squares = [math.sin(0.5 * math.pi * k / _STEPS) ** 2 for k in range(_STEPS + 1)]
    terms: list[float] = [s**n * (1.0 - m * s) ** (-a - n) for s in squares]
    scale: float = math.prod([a + k for k in range(n)]) * 0.5 * math.pi / _STEPS
    return scale * (math.fsum(terms) - 0.5 * (terms[0] + terms[-1]))


def _ellipk_derivatives(m: float, n: int) -> list[float]:
    first, second = on_floats("ellipk")(m), on_floats("ellipe")(m)
    found = [first, (second - (1.0 - m) * first) / (2.0 * m * (1.0 - m))]
    for k in range(n - 1):
        found.append(((k + 0.5) ** 2 * found[k] - (k + 1) * (1.0 - 2.0 * m) * found[k + 1]) / (m * (1.0 - m)))
    return found


def _ellipk_derivative(m: float, n: float) -> float:
    if not (float(n).is_integer() and 0.0 <= n <= 60.0) or m != m or m > 1.0:
        return nan
    if m == 1.0:
        return inf
    return _mean_over_angles(0.5, m, int(n)) if -4.0 < m < 0.8 else _ellipk_derivatives(m, int(n))[int(n)]


def _ellipe_derivative(m: float, n: float) -> float:
    if not (float(n).is_integer() and 0.0 <= n <= 60.0) or m != m or m > 1.0:
        return nan
    if m == 1.0 and n:
        return -inf
    if -4.0 < m < 0.8:
        return _mean_over_angles(-0.5, m, int(n))
    found: float = on_floats("ellipe")(m)
    of_k = _ellipk_derivatives(m, int(n)) if n else []
    for k in range(int(n)):
        found = ((1 - 2 * k) * found - of_k[k]) / (2.0 * m)
    return found


def _hypergeometric(a: float) -> Any:
    def on_mpmath(mp: Any, m: Any, n: float) -> Any:
        k, first, second = int(n), mp.mpf(a), mp.mpf(1) / 2
        scale = mp.pi / 2 * mp.rf(first, k) * mp.rf(second, k) / mp.factorial(k)
        return scale * mp.hyp2f1(first + k, second + k, 1 + k, m)

    return on_mpmath


def _boxed_hypergeometric(a: float) -> Any:
    def on_boxes(m: Any, n: float) -> Any:
        from flint import acb

        k, first, second = int(n), acb(a), acb(0.5)
        scale = acb.pi() / 2 * first.rising(k) * second.rising(k) / math.factorial(k)
        return scale * m.hypgeom_2f1(first + k, second + k, acb(1 + k))

    return on_boxes


_BELOW_ONE: Final = Interval(high=1.0)

ellipk: Op = special(
    "ellipk",
    None,
    lambda z, m: (ellipk_derivative(m, 1.0),),
    scipy="ellipk",
    mpmath="ellipk",
    acb="elliptic_k",
    domain=(_BELOW_ONE,),
    sensitive=True,
    symbol="K",
)
ellipk_derivative: Op = special(
    "ellipk_derivative",
    _ellipk_derivative,
    lambda z, m, n: (ellipk_derivative(m, n + 1.0),),
    static=1,
    mpmath=_hypergeometric(0.5),
    acb=_boxed_hypergeometric(0.5),
    domain=(_BELOW_ONE, REAL),
    sensitive=True,
    ulps=16.0,
)
ellipe: Op = special(
    "ellipe",
    None,
    lambda z, m: (ellipe_derivative(m, 1.0),),
    scipy="ellipe",
    mpmath="ellipe",
    acb="elliptic_e",
    domain=(_BELOW_ONE,),
    sensitive=True,
    symbol="E",
)
ellipe_derivative: Op = special(
    "ellipe_derivative",
    _ellipe_derivative,
    lambda z, m, n: (ellipe_derivative(m, n + 1.0),),
    static=1,
    mpmath=_hypergeometric(-0.5),
    acb=_boxed_hypergeometric(-0.5),
    domain=(_BELOW_ONE, REAL),
    sensitive=True,
    ulps=16.0,
)

# --- Riemann's zeta function: the formula of Euler and Maclaurin, whose factors are series in s (DLMF 25.2.9) --------

_HALF: Final = 16
_TERMS: Final = [float(b / math.factorial(2 * k)) for k, b in ((k, bernoulli(26)[2 * k]) for k in range(1, 14))]


def _zeta_derivative(s: float, n: float) -> float:
    if not (float(n).is_integer() and 0.0 <= n <= 20.0) or s != s or s <= 0.0:
        return nan
    m = int(n)
    if s == inf:
        return 0.0 if m else 1.0
    if s == 1.0:
        return inf if m % 2 == 0 else -inf

    def product(a: list[float], b: list[float]) -> list[float]:
        return [math.fsum(a[i] * b[k - i] for i in range(k + 1)) for k in range(m + 1)]

    def exponential(base: float, scale: float) -> list[float]:
        """Return the series of scale * base**-t in t."""
        logarithm = -math.log(base)
        return [scale * logarithm**k / math.factorial(k) for k in range(m + 1)]

    parts = [exponential(float(k), k**-s)[m] for k in range(1, _HALF)]
    last = exponential(float(_HALF), float(_HALF) ** -s)
    pole = [(-1.0) ** k / (s - 1.0) ** (k + 1) for k in range(m + 1)]
    parts += [_HALF * product(last, pole)[m], 0.5 * last[m]]
    rising = [s, 1.0, *[0.0] * m][: m + 1]
    for k, b in enumerate(_TERMS, 1):
        parts.append(b * product(rising, last)[m] / float(_HALF) ** (2 * k - 1))
        for j in (2 * k - 1, 2 * k):
            rising = product(rising, [s + j, 1.0, *[0.0] * m][: m + 1])
    return math.fsum(parts) * math.factorial(m)


def _acb_zeta(s: Any, n: float) -> Any:
    from flint import acb_series, ctx

    k = int(n)
    cap, ctx.cap = ctx.cap, k + 1
    try:
        return acb_series([s, 1]).zeta()[k] * math.factorial(k)
    finally:
        ctx.cap = cap


zeta_derivative: Op = special(
    "zeta_derivative",
    _zeta_derivative,
    lambda z, x, n: (zeta_derivative(x, n + 1.0),),
    static=1,
    mpmath=lambda mp, x, n: mp.zeta(x, 1, int(n)),
    acb=_acb_zeta,
    domain=(Interval(low=0.0, except_at=(1.0,)), REAL),
    symbol="ζ",
    ulps=80.0,
    sensitive=True,
)

# --- Lambert's W -----------------------------------------------------------------------------------------------------

_ONE_BY_E: Final = 0.36787944117144233, -1.2428753672788363e-17
"""The float nearest to 1 / e, and the rest."""

_BRANCH: Final = [
    float(Fraction(*x))
    for x in ((-1, 1), (1, 1), (-1, 3), (11, 72), (-43, 540), (769, 17280), (-221, 8505), (680863, 43545600))
]
"""The series of W in p = sqrt(2 (e x + 1)) (Corless et al., "On the Lambert W function", 1996, eq. 4.22)."""


def _lambertw(x: float, k: float) -> float:
    if x != x or k not in (0.0, -1.0):
        return nan
    beyond = (x + _ONE_BY_E[0]) + _ONE_BY_E[1]
    if beyond < 0.0 or (k == -1.0 and x > 0.0):
        return nan
    if x == 0.0 or x == inf:
        return x if k == 0.0 else -inf
    p = math.sqrt(2.0 * math.e * beyond) * (1.0 if k == 0.0 else -1.0)
    if abs(p) < 0.3:
        w = 0.0
        for coefficient in reversed(_BRANCH):
            w = w * p + coefficient
        if abs(p) < 0.01:
            return w
    elif k == 0.0:
        w = math.log1p(x) if x < 3.0 else math.log(x) - math.log(math.log(x))
        w = x if abs(x) < 1e-8 else w
    else:
        w = math.log(-x) - math.log(-math.log(-x))
    for _ in range(20):  # Halley's steps, divided by exp(w)
        residue = w - x * math.exp(-w)
        step = residue / (w + 1.0 - (w + 2.0) * residue / (2.0 * w + 2.0))
        w -= step
        if abs(step) <= 1e-16 * abs(w):
            break
    return w


def _lambertw_partials(z: Any, x: Any, k: float) -> tuple[Any, ...]:
    far = where(equal(x, inf), 0.0, div(z, x))  # exp(-z), which would amplify the error of z
    return (div(far if k == -1.0 else where(greater(abs(x), 1.0), far, exp(-z)), 1.0 + z),)


lambert_w: Op = special(
    "lambert_w",
    _lambertw,
    _lambertw_partials,
    static=1,
    mpmath=lambda mp, x, k: mp.lambertw(x, int(k)),
    acb=lambda x, k: x.lambertw(int(k)),
    domain=(Interval(low=-_ONE_BY_E[0]), REAL),
    sensitive=True,
    symbol="W",
)
