"""Forward functions of ops on floats, where `math` has none, or one that raises.

Each is total: floats in, and the IEEE 754 result out, inf and nan included, never an exception. They use `math` and one
another, nothing else.
"""

from __future__ import annotations

import builtins
import math
from math import inf, nan


def div(x: float, y: float) -> float:
    if y != 0.0:
        return x / y
    if x == 0.0 or x != x:
        return nan
    return math.copysign(inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except (OverflowError, ValueError):
        if x < 0.0 and not y.is_integer():
            return nan
        # too large, or zero to a negative power; an odd power keeps the sign (C99 annex F.9.4.4)
        return math.copysign(inf, x) if math.fabs(math.fmod(y, 2.0)) == 1.0 else inf


def power_derivative(x: float, y: float, m: float, n: float) -> float:
    if x > 0.0 and (m, n) in ((1.0, 0.0), (0.0, 1.0)):  # shortcuts for the partials of x**y, with the same bits
        p = power(x, y - m)
        return 0.0 if p == 0.0 or (m and y == 0.0) else p * (y if m else math.log(x))
    if not (m.is_integer() and n.is_integer() and 0.0 <= m <= 100.0 and 0.0 <= n <= 100.0):
        return nan
    p, s = power(x, y - m), 1.0
    if n == 0.0:
        for i in range(int(m)):
            s *= y - i
        if s == 0.0:
            return 0.0
    else:
        if x < 0.0:
            return nan
        if m == 0.0 and x == 0.0 and y == 0.0:
            return 0.0
        s = _power_polynomial(y, log(x), int(m), int(n))
    return 0.0 if p == 0.0 else p * s


def _power_polynomial(y: float, logarithm: float, m: int, n: int) -> float:
    c = [1.0] + [0.0] * n
    for i in range(m):
        for k in range(min(i + 1, n), 0, -1):
            c[k] = c[k] * (y - i) + c[k - 1] if k <= i else c[k - 1]
        c[0] = c[0] * (y - i)
    s = c[0]
    for k in range(1, n + 1):
        s = s * logarithm if k > 1 or s else 0.0
        if k <= m:
            s += math.perm(n, k) * c[k]
    return s


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def exp2(x: float) -> float:
    try:
        return math.exp2(x)
    except OverflowError:
        return inf


def expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return inf


def log(x: float) -> float:
    if x > 0.0:
        return math.log(x)
    return -inf if x == 0.0 else nan


def log2(x: float) -> float:
    if x > 0.0:
        return math.log2(x)
    return -inf if x == 0.0 else nan


def log10(x: float) -> float:
    if x > 0.0:
        return math.log10(x)
    return -inf if x == 0.0 else nan


def log1p(x: float) -> float:
    if x > -1.0:
        return math.log1p(x)
    return -inf if x == -1.0 else nan


def sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else nan


def direction(x: float, y: float) -> float:
    r = math.hypot(x, y)
    if 1e-290 < r < 1e290:
        return x / r
    if x != x or y != y:
        return nan
    if math.isinf(x):
        return nan if math.isinf(y) else math.copysign(1.0, x)
    scale = 2.0**600 if r < 1.0 else 2.0**-600  # the length is subnormal, or infinite, and has lost digits
    r = math.hypot(x * scale, y * scale)
    return x * scale / r if r else 0.0


def sin(x: float) -> float:
    return math.sin(x) if math.isfinite(x) else nan


def cos(x: float) -> float:
    return math.cos(x) if math.isfinite(x) else nan


def tan(x: float) -> float:
    return math.tan(x) if math.isfinite(x) else nan


def asin(x: float) -> float:
    return math.asin(x) if -1.0 <= x <= 1.0 else nan


def acos(x: float) -> float:
    return math.acos(x) if -1.0 <= x <= 1.0 else nan


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def cosh(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return inf


def acosh(x: float) -> float:
    return math.acosh(x) if x >= 1.0 else nan


def atanh(x: float) -> float:
    if -1.0 < x < 1.0:
        return math.atanh(x)
    return math.copysign(inf, x) if x in (1.0, -1.0) else nan


def sinc_derivative(x: float, n: float) -> float:
    if not (n.is_integer() and 0.0 <= n <= 1000.0):
        return nan
    if math.isinf(x):
        return 0.0
    m = int(n)
    if math.fabs(x) >= 1.0 + 0.5 * m:  # x f[k] + k f[k-1] is the k-th derivative of sin: forward, it loses little there
        f = math.sin(x) / x
        for k in range(1, m + 1):
            f = ((math.sin(x), math.cos(x), -math.sin(x), -math.cos(x))[k % 4] - k * f) / x
        return f
    # the Taylor series of sin(x) / x, differentiated n times
    start = m + m % 2
    term = (-1.0) ** (start // 2) / (start + 1) * (x if m % 2 else 1.0)
    terms = [term]
    k = start
    while math.fabs(term) > 1e-20 * math.fabs(terms[0]):
        term *= -x * x * (k + 1) / ((k + 3) * (k + 2 - m) * (k + 1 - m))
        terms.append(term)
        k += 2
    return math.fsum(terms)


def copysign(x: float, y: float) -> float:
    return math.copysign(x, y) if y == y else nan


def floor(x: float) -> float:
    return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x


def ceil(x: float) -> float:
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def trunc(x: float) -> float:
    return math.copysign(float(math.trunc(x)), x) if math.isfinite(x) else x


def round(x: float) -> float:
    return math.copysign(float(builtins.round(x)), x) if math.isfinite(x) else x


def mod(x: float, y: float) -> float:
    return x % y if y else nan


def fmod(x: float, y: float) -> float:
    return math.fmod(x, y) if y and not math.isinf(x) else nan


def floor_divide(x: float, y: float) -> float:
    return x // y if y else div(x, y)


def greater(x: float, y: float) -> float:
    return nan if x != x or y != y else 1.0 if x > y else 0.0


def equal(x: float, y: float) -> float:
    return nan if x != x or y != y else 1.0 if x == y else 0.0


def where(condition: float, x: float, y: float) -> float:
    return nan if condition != condition else x if condition else y


def zero_product(x: float, y: float) -> float:
    return x * y if x and y else 0.0
