"""Bessel functions, plain and scaled, and Airy functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from microgrid.core.natives import on_floats, scipy_special
from microgrid.core.primitive import NONZERO, POSITIVE, REAL, Op
from microgrid.core.special_functions import special
from microgrid.ops import equal, where

inf, nan = math.inf, math.nan


def _on_boxes(name: str) -> Callable[..., Any]:
    """Return acb's function; left of 0 it has a cut, but for whole orders of J and I."""

    def computed(x: Any, n: float) -> Any:
        from flint import acb, arb

        if not (x.real > 0 or (float(n).is_integer() and name in ("bessel_j", "bessel_i"))):
            return acb(arb.nan(), arb.nan())
        return getattr(x, name)(acb(n))

    return computed


def _on_mpmath(name: str) -> Callable[..., Any]:
    return lambda mp, x, n: getattr(mp, name)(mp.mpf(n), x)


def _half_difference(op: Callable[..., Any], x: Any, n: float) -> Any:
    """Return half of f(n - 1) - f(n + 1), which is -f(1) for the order 0."""
    return -op(x, 1.0) if n == 0.0 else 0.5 * (op(x, n - 1.0) - op(x, n + 1.0))


def _half_sum(op: Callable[..., Any], x: Any, n: float) -> Any:
    return op(x, 1.0) if n == 0.0 else 0.5 * (op(x, n - 1.0) + op(x, n + 1.0))


bessel_j: Op = special(
    "bessel_j",
    None,
    lambda z, x, n: (_half_difference(bessel_j, x, n),),
    static=1,
    scipy="jv",
    order=(1, 0),
    mpmath=_on_mpmath("besselj"),
    acb=_on_boxes("bessel_j"),
    ulps=16.0,
    sensitive=True,
    symbol="J",
    textbook=("(J(x, n - 1) - J(x, n + 1)) / 2",),
)
bessel_y: Op = special(
    "bessel_y",
    None,
    lambda z, x, n: (_half_difference(bessel_y, x, n),),
    static=1,
    scipy="yv",
    order=(1, 0),
    mpmath=_on_mpmath("bessely"),
    acb=_on_boxes("bessel_y"),
    domain=(POSITIVE, REAL),
    ulps=40.0,
    sensitive=True,
    symbol="Y",
)
bessel_i: Op = special(
    "bessel_i",
    None,
    lambda z, x, n: (_half_sum(bessel_i, x, n),),
    static=1,
    scipy="iv",
    order=(1, 0),
    mpmath=_on_mpmath("besseli"),
    acb=_on_boxes("bessel_i"),
    sensitive=True,
    symbol="I",
)
bessel_k: Op = special(
    "bessel_k",
    None,
    lambda z, x, n: (-_half_sum(bessel_k, x, n),),
    static=1,
    scipy="kv",
    order=(1, 0),
    mpmath=_on_mpmath("besselk"),
    acb=_on_boxes("bessel_k"),
    domain=(POSITIVE, REAL),
    sensitive=True,
    symbol="K",
)

# --- scaled: exp(-abs(x)) I_n(x) and exp(x) K_n(x) -------------------------------------------------------------------
# Their derivatives by recurrence cancel for large x. As integrals (DLMF 10.32.1 and 10.32.9) they are sums over equal
# steps, which converge exponentially; for larger x the asymptotic series is differentiated (DLMF 10.40.1 and 10.40.2).


def _scaled_derivative(kind: str, x: float, n: float, m: float) -> float:
    whole = float(n).is_integer()
    if not (float(m).is_integer() and 0.0 <= m <= 40.0) or x != x:
        return nan
    times, of_i = int(m), kind == "ive"
    if of_i and x < 0.0:  # even or odd in x
        return (-1.0) ** (n + m) * _scaled_derivative(kind, -x, n, m) if whole else nan
    if x == inf or x < 0.0:
        return 0.0 if x > 0.0 else nan
    if x > 25.0 + n * n + 2.0 * m:
        return _asymptotic(x, n, times, of_i)
    if not of_i and x > 0.0:
        return _k_by_steps(x, n, times)
    if of_i and whole and x > max(1.0, n):
        return _i_by_steps(x, n, times)
    function = on_floats(kind)
    terms = [
        (-1.0 if j % 2 else 1.0) * math.comb(2 * times, j) * function(n + times - j, x) for j in range(2 * times + 1)
    ]
    return 0.5**times * math.fsum(terms) if of_i else (-1.0) ** times * inf


def _i_by_steps(x: float, n: float, times: int) -> float:
    count = 64 + int(2.0 * x + n)
    turns = [math.pi * k / count for k in range(count + 1)]
    terms = [(math.cos(t) - 1.0) ** times * math.exp(x * (math.cos(t) - 1.0)) * math.cos(n * t) for t in turns]
    return (math.fsum(terms) - 0.5 * (terms[0] + terms[-1])) / count


def _k_by_steps(x: float, n: float, times: int) -> float:
    step, terms, k = min(0.2, 0.5 / math.sqrt(x)), [0.5 if times == 0 else 0.0], 0
    while True:
        k += 1
        less_one = 2.0 * math.sinh(0.5 * step * k) ** 2
        exponent = n * step * k + times * math.log(less_one) - x * less_one
        if exponent > 709.0:
            return (-1.0) ** times * inf
        terms.append(math.exp(exponent) * 0.5 * (1.0 + math.exp(-2.0 * n * step * k)))
        if terms[-1] <= 1e-18 * max(terms) and x * less_one > n * step * k + times:
            return (-1.0) ** times * step * math.fsum(terms)


def _asymptotic(x: float, n: float, times: int, of_i: bool) -> float:
    coefficient, falling, total, term = 1.0, 1.0, 0.0, 0.0
    for i in range(times):
        falling *= -(0.5 + i)
    for k in range(60):
        if k:
            coefficient *= (4.0 * n * n - (2 * k - 1) ** 2) / (8.0 * k) * (-1.0 if of_i else 1.0)
            falling *= (k + times - 0.5) / (k - 0.5)
        before, term = term, coefficient * falling * x**-k
        if k > n and (abs(term) <= 1e-18 * abs(total) or (k > 2 and abs(term) > abs(before))):
            break
        total += term
    scale = 1.0 / math.sqrt(2.0 * math.pi * x) if of_i else math.sqrt(math.pi / (2.0 * x))
    return scale * total * x**-times if abs(math.log10(x)) * times < 300.0 else 0.0


def _exact_scaled(function: Callable[[float], Any], n: float, m: float, alternating: bool) -> Any:
    times = int(m)
    total = sum((-1) ** j * math.comb(2 * times, j) * function(n + times - j) for j in range(2 * times + 1))
    return total / 2**times * (1 if alternating else (-1) ** times)


def _mpmath_scaled(name: str, sign: int) -> Callable[..., Any]:
    def computed(mp: Any, x: Any, n: float, m: float = 0.0) -> Any:
        with mp.workprec(mp.prec + 20 + 4 * int(m) * max(mp.mag(x), 4)):
            r = abs(x)
            total = _exact_scaled(lambda k: getattr(mp, name)(mp.mpf(k), r), n, m, name == "besseli")
            result = total * mp.exp(sign * r) * (-1 if x < 0 and int(n + m) % 2 else 1)
        return +result

    return computed


def _acb_scaled(name: str, sign: int) -> Callable[..., Any]:
    def computed(x: Any, n: float, m: float = 0.0) -> Any:
        negative = not x.real > 0
        r = -x if negative else x
        total = _exact_scaled(lambda k: _on_boxes(name)(r, k), n, m, name == "bessel_i")
        return total * (sign * r).exp() * (-1 if negative and int(n + m) % 2 else 1)

    return computed


bessel_ie: Op = special(
    "bessel_ie",
    None,
    lambda z, x, n: (where(equal(x, 0.0), _half_sum(bessel_i, x, n), bessel_ie_derivative(x, n, 1.0)),),
    static=1,
    scipy="ive",
    order=(1, 0),
    mpmath=_mpmath_scaled("besseli", -1),
    acb=_acb_scaled("bessel_i", -1),
    domain=(NONZERO, REAL),
    sensitive=True,
)
bessel_ie_derivative: Op = special(
    "bessel_ie_derivative",
    lambda x, n, m: _scaled_derivative("ive", x, n, m),
    lambda z, x, n, m: (bessel_ie_derivative(x, n, m + 1.0),),
    static=2,
    mpmath=_mpmath_scaled("besseli", -1),
    acb=_acb_scaled("bessel_i", -1),
    domain=(NONZERO, REAL, REAL),
    ulps=16.0,
    sensitive=True,
)
bessel_ke: Op = special(
    "bessel_ke",
    None,
    lambda z, x, n: (bessel_ke_derivative(x, n, 1.0),),
    static=1,
    scipy="kve",
    order=(1, 0),
    mpmath=_mpmath_scaled("besselk", 1),
    acb=_acb_scaled("bessel_k", 1),
    domain=(POSITIVE, REAL),
    sensitive=True,
)
bessel_ke_derivative: Op = special(
    "bessel_ke_derivative",
    lambda x, n, m: _scaled_derivative("kve", x, n, m),
    lambda z, x, n, m: (bessel_ke_derivative(x, n, m + 1.0),),
    static=2,
    mpmath=_mpmath_scaled("besselk", 1),
    acb=_acb_scaled("bessel_k", 1),
    domain=(POSITIVE, REAL, REAL),
    ulps=16.0,
    sensitive=True,
)

# --- Airy functions --------------------------------------------------------------------------------------------------


def _airy(name: str, place: int, rule: Callable[..., tuple[Any, ...]]) -> Op:
    kind, derivative = name[5:7], place % 2
    return special(
        name,
        lambda x: float(scipy_special().airy(x)[place]),
        rule,
        mpmath=lambda mp, x: getattr(mp, f"airy{kind}")(x, derivative=derivative),
        acb=lambda x: x.airy()[place],
        sensitive=True,
        on={"numpy": lambda x: scipy_special().airy(x)[place]},
    )


airy_ai: Op = _airy("airy_ai", 0, lambda z, x: (airy_ai_prime(x),))
airy_ai_prime: Op = _airy("airy_ai_prime", 1, lambda z, x: (x * airy_ai(x),))
airy_bi: Op = _airy("airy_bi", 2, lambda z, x: (airy_bi_prime(x),))
airy_bi_prime: Op = _airy("airy_bi_prime", 3, lambda z, x: (x * airy_bi(x),))
