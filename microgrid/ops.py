"""The table of primitive operations: value, local derivatives, domain and notation of each.

One statement per primitive, and no other file contains a derivative formula. A rule `partials(z, *operands)` gets the
result first, then the operands, and returns one derivative per operand, in a tuple. It is ordinary arithmetic, written
with `+`, `-`, `*` and ops, never with `/` and `**`, which raise on floats: `div(1.0, x)`, `constant_power(x, 2.0)`.
So the same rule works on floats, on `Value`s, and on whatever other number defines the operators and `_apply_op`. An op
without a forward function is defined by its formula, which is written in the same way, for every kind of number. Their
literals are exact: the logarithm of 2 is `log(2.0)`, 2 / sqrt(pi) is `div(1.0, sqrt(atan(1.0)))`, in any arithmetic.

What `math` leaves partial, or lacks, is in `forward.py`.
"""

from __future__ import annotations

import math
from typing import Any

from microgrid.core import forward
from microgrid.core.primitive import (
    NONZERO,
    OPS,
    POSITIVE,
    POWER,
    PRODUCT,
    REAL,
    SIGN,
    SUM,
    Interval,
    Op,
    Remark,
    primitive,
    rounded,
)
from microgrid.core.straight import built_in_ops

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "gelu",
    "hypot",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "maximum",
    "minimum",
    "mod",
    "power",
    "relu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "where",
    "xlogy",
]
inf, nan = math.inf, math.nan

# --- pieces of rules ----------------------------------------------------------------------------------------------


def _nothing(z: Any) -> Any:
    """Return the derivative 0 of a step, which stays nan at nan."""
    return sign(z) - sign(z)


def _not_negative(x: Any, z: Any) -> Any:
    """Return x, and below 0 the result z, which is nan there, as are its derivatives: those of a plain nan are 0."""
    return where(greater(0.0, x), z, x)


def _silu_partials(z: Any, x: Any) -> tuple[Any, ...]:
    rest = where(equal(abs(x), inf), 0.0, x * logistic_density(x))  # inf * 0 at inf, where the limit is 0
    return (sigmoid(x) + rest,)


def _gelu_partials(z: Any, x: Any) -> tuple[Any, ...]:
    density = div(gaussian(div(x, sqrt(2.0))), sqrt(8.0 * atan(1.0)))
    rest = where(equal(abs(x), inf), 0.0, x * density)
    return (0.5 * erfc(-div(x, sqrt(2.0))) + rest,)


def _xlogy_partials(z: Any, x: Any, y: Any) -> tuple[Any, ...]:
    outside, logarithm = greater(0.0, y), log(y)
    undefined = z * logarithm  # nan at x = 0, too, where z is 0
    return where(outside, undefined, logarithm), divide_no_nan(x, where(outside, undefined, y))


def _cbrt_partials(z: Any, x: Any) -> tuple[Any, ...]:
    by_result = div(div(1.0, z), 3.0 * z)  # the same, with twice the error of z, but no nan at 0 and infinity
    at_edge = equal(x + x, x)
    return (where(at_edge, by_result, div(div(z, 3.0), where(at_edge, 1.0, x))),)


def _atan2_partials(z: Any, y: Any, x: Any) -> tuple[Any, ...]:
    r = hypot(x, y)  # x / r**2 would overflow
    at_edge = equal(r + r, r)  # 0 by choice at (0, 0), and the limit at infinity
    return where(at_edge, 0.0, div(direction(x, y), r)), where(at_edge, 0.0, -div(direction(y, x), r))


def _direction_formula(x: Any, y: Any) -> Any:
    largest = maximum(abs(x), abs(y))  # a length that is subnormal, or infinite, has lost digits
    scale = where(greater(largest, 1e-290), where(greater(1e290, largest), 1.0, 2.0**-600), 2.0**600)
    r = hypot(x * scale, y * scale)
    at_infinity = where(equal(abs(y), inf), nan, sign(x))
    return where(equal(r, 0.0), 0.0, where(equal(abs(x), inf), at_infinity, div(x * scale, r)))


def _direction_partials(z: Any, x: Any, y: Any) -> tuple[Any, ...]:
    r, other = hypot(x, y), direction(y, x)
    at_zero = equal(r, 0.0)
    slope = div(other, r)  # other * other may be subnormal
    return where(at_zero, 0.0, other * slope), where(at_zero, 0.0, -(z * slope))


def _tied_maximum_partials(z: Any, x: Any, y: Any, n: Any) -> tuple[Any, ...]:
    tie = equal(x, y)
    share = div(1.0, n + 1.0)
    return where(tie, n * share, greater(x, y)), where(tie, share, greater(y, x)), 0.0


def _constant_power_partials(z: Any, x: Any, c: float) -> tuple[Any, ...]:
    if c == 0.0:
        return (0.0,)
    less = c - 1.0
    if less + 1.0 == c and less - c == -1.0:
        return (c * constant_power(x, less),)
    return (c * power(x, sub(c, 1.0)),)  # c - 1 is no float; other arithmetics have it exact


def _power_derivative_formula(x: Any, y: Any, m: float, n: float) -> Any:
    """Return x**(y - m) s, s being a polynomial in log x with derivatives of y (y - 1) ... (y - m + 1)."""
    if not (float(m).is_integer() and float(n).is_integer() and 0.0 <= m <= 100.0 and 0.0 <= n <= 100.0):
        return nan
    c: list[Any] = [1.0] + [0.0] * int(n)  # c[k] is the k-th derivative by k!
    for i in range(int(m)):
        factor = y - float(i)
        for k in range(min(i + 1, int(n)), 0, -1):
            c[k] = c[k] * factor + c[k - 1] if k <= i else c[k - 1]
        c[0] = c[0] * factor
    p, s = power(x, y - m), c[0]
    for k in range(1, int(n) + 1):
        # where log x is infinite, the first c that is not 0 decides
        s = multiply_no_nan(log(x), s) if k == 1 and m else s * log(x)
        if k <= m:
            s = s + math.perm(int(n), k) * c[k]
    if n == 0.0:
        return where(equal(s, 0.0), 0.0, where(equal(p, 0.0), 0.0, p * s))
    result = where(greater(0.0, x), nan, where(equal(p, 0.0), 0.0, p * s))
    at_origin = multiply_no_nan(equal(y, 0.0), equal(x, 0.0))
    return result if m else where(at_origin, 0.0, result)  # 0**y is taken to be constant at 0


def _sinc_derivative_formula(x: Any, n: float) -> Any:
    if not (float(n).is_integer() and 0.0 <= n <= 1000.0):
        return nan
    f = where(equal(x, 0.0), 1.0, div(sin(x), x))
    for k in range(1, int(n) + 1):
        derivative = (sin(x), cos(x), -sin(x), -cos(x))[k % 4]
        at_zero = div((1.0, 0.0, -1.0, 0.0)[k % 4], k + 1.0)
        f = where(equal(x, 0.0), at_zero, div(derivative - k * f, x))
    return f


def _nearest_whole(x: float) -> tuple[float]:
    """Return the jump of a step function nearest to x; -0.0 is written 0."""
    return (round(x) + 0.0,)


def _saturated(name: str) -> Remark:
    return Remark(f"{name} is saturated: its derivative is only {{partial}}, so little gradient passes", below=0.01)


# --- formulas longer than a line -------------------------------------------------------------------------------------
# Each holds on floats to the ulps stated. Those split by the sign of x neither overflow nor cancel.


def _gaussian(x: Any) -> Any:
    # x * x rounded would cost up to 400 ulps; with h, x to six binary places, h * h and x - h are exact.
    near = (x + 1.5 * 2.0**46) - 1.5 * 2.0**46
    h = rounded(where(greater(28.0, abs(x)), near, 0.0), 0.0)
    return exp(-h * h) * exp(-(x - h) * (x + h))


def _logaddexp(x: Any, y: Any) -> Any:
    smaller = where(equal(x, y), 1.0, exp(-abs(x - y)))  # in parts of the larger; inf - inf is no number
    return rounded(maximum(x, y) + log1p(smaller), log(exp(x) + exp(y)))


def _softplus(x: Any) -> Any:
    return rounded(relu(x), 0.0) + log1p(exp(rounded(-abs(x), x)))


def _sigmoid(x: Any) -> Any:
    e = exp(rounded(-abs(x), -x))
    return rounded(where(greater(0.0, x), e, 1.0), 1.0) * div(1.0, 1.0 + e)  # which its derivative has, too


def _logistic_density(x: Any) -> Any:
    e = exp(rounded(-abs(x), -x))
    quotient = div(1.0, 1.0 + e)
    return e * quotient * quotient


def _silu(x: Any) -> Any:
    e = exp(rounded(-abs(x), -x))
    below = where(equal(e, 0.0), 0.0, x * e)
    return div(rounded(where(greater(0.0, x), below, x), x), 1.0 + e)


def _gelu(x: Any) -> Any:
    tail = erfc(-div(x, sqrt(2.0)))
    return rounded(where(equal(tail, 0.0), 0.0, 0.5 * x * tail), 0.5 * x * tail)


def _mod(x: Any, y: Any) -> Any:
    r = fmod(x, y)
    below, above = where(greater(0.0, y), r, r + y), where(greater(0.0, y), r + y, r)
    return rounded(
        where(equal(r, 0.0), copysign(0.0, y), where(greater(0.0, r), below, above)), x - y * floor(div(x, y))
    )


def _floor_divide(x: Any, y: Any) -> Any:
    r = fmod(x, y)
    differ = where(greater(0.0, r), where(greater(0.0, y), 0.0, 1.0), where(greater(r, 0.0), greater(0.0, y), 0.0))
    quotient = div(x - r, y) - differ
    n = floor(quotient)
    n = n + greater(quotient, n + 0.5)  # Python's own way to the whole number: beyond 2**52 a half goes down
    whole = where(equal(n, 0.0), copysign(0.0, div(x, y)), n)
    return rounded(where(equal(y, 0.0), div(x, y), whole), floor(div(x, y)))


# --- the table -----------------------------------------------------------------------------------------------------
# Arithmetic. The derivatives of add, sub and neg do not depend on the operands: they stay 1 and -1 at nan, too.

add: Op = primitive(
    "add",
    lambda x, y: x + y,
    lambda z, x, y: (1.0, 1.0),
    symbol="+",
    precedence=SUM,
    latex="#1 + #2",
    textbook=("1", "1"),
)
sub: Op = primitive(
    "sub",
    lambda x, y: x - y,
    lambda z, x, y: (1.0, -1.0),
    symbol="-",
    precedence=SUM,
    latex="#1 - #2",
    aliases=("subtract",),
    textbook=("1", "-1"),
    sign="−",
)
mul: Op = primitive(
    "mul",
    lambda x, y: x * y,
    lambda z, x, y: (y, x),
    symbol="*",
    precedence=PRODUCT,
    latex=r"#1 \cdot #2",
    aliases=("multiply",),
    textbook=("y", "x"),
    sign="×",
)
div: Op = primitive(
    "div",
    forward.div,
    lambda z, x, y: (div(1.0, y), div(-z, y)),
    domain=(REAL, NONZERO),
    symbol="/",
    precedence=PRODUCT,
    latex=r"\frac{#1}{#2}",
    aliases=("divide",),
    textbook=("1 / y", "-x / y**2"),
    sign="÷",
)
neg: Op = primitive(
    "neg",
    lambda x: -x,
    lambda z, x: (-1.0,),
    symbol="-",
    precedence=SIGN,
    latex="-#1",
    textbook=("-1",),
    aliases=("negative",),
    sign="−",
)

# Powers: x ** c with a plain number c is an op of its own, so that no log x is computed for a c that needs none, and
# x ** 0, x ** 1, ... have their exact derivatives at 0 (CasADi keeps the two apart for the same reason). Half an ulp of
# y - 1, where it is rounded, costs the derivative by x half of log x: up to 345 ulps for x from 1e-300 to 1e300.
# power_derivative(x, y, m, n) is x ** y differentiated m times by x and n times by y, in one piece: sums and products
# of x ** (y - m) and log x, differentiated one by one, have no limits where x or y is 0.

constant_power: Op = primitive(
    "constant_power",
    forward.power,
    _constant_power_partials,
    static=1,
    domain=(POSITIVE, REAL),
    symbol="**",
    precedence=POWER,
    latex="{#1}^{#2}",
    ulps=350.0,
    sensitive=True,
    textbook=("c * x**(c - 1)",),
    sign="(·)",
    on={"numpy": "float_power", "c": "pow"},
)
power: Op = primitive(
    "power",
    forward.power,
    lambda z, x, y: (power_derivative(x, y, 1.0, 0.0), power_derivative(x, y, 0.0, 1.0)),
    domain=(POSITIVE, REAL),
    symbol="**",
    precedence=POWER,
    latex="{#1}^{#2}",
    ulps=350.0,
    sensitive=True,
    textbook=("y * x**(y - 1)", "z * log(x)"),
    sign="aᵇ",
    on={"c": "pow"},
)
power_derivative: Op = primitive(
    "power_derivative",
    forward.power_derivative,
    lambda z, x, y, m, n: (power_derivative(x, y, m + 1.0, n), power_derivative(x, y, m, n + 1.0)),
    static=2,
    domain=(POSITIVE, REAL, REAL, REAL),
    formula=_power_derivative_formula,
    ulps=350.0,
    sensitive=True,
)

# Exponentials and logarithms. gaussian is there for the derivative of erf: it holds exp(-x**2) to an ulp or two.

exp: Op = primitive(
    "exp",
    forward.exp,
    lambda z, x: (z,),
    latex="e^{#1}",
    textbook=("exp(x)",),
    sign="eˣ",
    irrational=True,
)
exp2: Op = primitive(
    "exp2",
    forward.exp2,
    lambda z, x: (exp2(x - 1.0) * (2.0 * log(2.0)),),  # finite up to 1024, where z is not
    latex="2^{#1}",
    formula=lambda x: power(2.0, x),
    textbook=("z * log(2)",),
    sign="2ˣ",
    irrational=True,
)
expm1: Op = primitive(
    "expm1",
    forward.expm1,
    lambda z, x: (exp(x),),
    latex=r"\left(e^{#1} - 1\right)",
    textbook=("exp(x)",),
    irrational=True,
)
gaussian: Op = primitive(
    "gaussian",
    None,
    lambda z, x: (where(equal(z, 0.0), 0.0, -2.0 * x * z),),
    formula=_gaussian,
    latex=r"e^{-\left(#1\right)^2}",
    textbook=("-2 * x * z",),
    sign="e^−x²",
    irrational=True,
    range=(0.0, 1.0),
)
log: Op = primitive(
    "log",
    forward.log,
    lambda z, x: (div(1.0, _not_negative(x, z)),),
    domain=(POSITIVE,),
    latex=r"\log #1",
    textbook=("1 / x",),
    irrational=True,
)
log2: Op = primitive(
    "log2",
    forward.log2,
    lambda z, x: (div(div(1.0, _not_negative(x, z)), log(2.0)),),
    domain=(POSITIVE,),
    latex=r"\log_2 #1",
    formula=lambda x: div(log(x), log(2.0)),
    textbook=("1 / (x * log(2))",),
    irrational=True,
)
log10: Op = primitive(
    "log10",
    forward.log10,
    lambda z, x: (div(div(1.0, _not_negative(x, z)), log(10.0)),),
    domain=(POSITIVE,),
    latex=r"\log_{10} #1",
    formula=lambda x: div(log(x), log(10.0)),
    textbook=("1 / (x * log(10))",),
    irrational=True,
)
log1p: Op = primitive(
    "log1p",
    forward.log1p,
    lambda z, x: (div(1.0, _not_negative(1.0 + x, z)),),
    domain=(Interval(low=-1.0),),
    latex=r"\log\left(1 + #1\right)",
    textbook=("1 / (1 + x)",),
    irrational=True,
)
logaddexp: Op = primitive(
    "logaddexp",
    None,
    lambda z, x, y: (sigmoid(x - y), sigmoid(y - x)),
    formula=_logaddexp,
    sensitive=True,
    textbook=("exp(x - z)", "exp(y - z)"),
    irrational=True,
)
xlogy: Op = primitive(
    "xlogy",
    None,
    _xlogy_partials,
    formula=lambda x, y: where(equal(x, 0.0), 0.0 * greater(y, 0.0), x * log(y)),
    domain=(REAL, POSITIVE),
    irrational=True,
    textbook=("log(y)", "x / y"),
)

# Roots and lengths. The C library's cbrt may be 4 ulps off (glibc manual, 19.7), and its derivative then is, too.
# direction is there for the derivatives of hypot and atan2: those of x / z, a difference, would cancel.

sqrt: Op = primitive(
    "sqrt",
    forward.sqrt,
    lambda z, x: (div(0.5, z),),
    domain=(POSITIVE,),
    latex=r"\sqrt{#1}",
    textbook=("1 / (2 * z)",),
    sign="√",
    irrational=True,
)
cbrt: Op = primitive(
    "cbrt",
    math.cbrt,
    _cbrt_partials,
    domain=(NONZERO,),
    latex=r"\sqrt[3]{#1}",
    ulps=6.0,
    textbook=("1 / (3 * z**2)",),
    sign="∛",
    irrational=True,
)
hypot: Op = primitive(
    "hypot",
    math.hypot,
    lambda z, x, y: (direction(x, y), direction(y, x)),
    latex=r"\sqrt{{#1}^2 + {#2}^2}",
    textbook=("x / z", "y / z"),
    irrational=True,
)
direction: Op = primitive(
    "direction",
    forward.direction,
    _direction_partials,
    latex=r"\frac{#1}{\sqrt{{#1}^2 + {#2}^2}}",
    formula=_direction_formula,
    textbook=("y**2 / (x**2 + y**2)**1.5", "-x * y / (x**2 + y**2)**1.5"),
    irrational=True,
)

# Circular and hyperbolic functions. 1 / (1 + x**2) by way of hypot, and (1 - x) * (1 + x) for 1 - x**2: the squares
# overflow, and cancel. Its derivative, by the product rule, would cancel in turn: one_minus_square is an op for that.
# The C library's erfc may be 5 ulps off.

sin: Op = primitive(
    "sin",
    forward.sin,
    lambda z, x: (cos(x),),
    latex=r"\sin #1",
    irrational=True,
    range=(-1.0, 1.0),
)
cos: Op = primitive(
    "cos",
    forward.cos,
    lambda z, x: (-sin(x),),
    latex=r"\cos #1",
    irrational=True,
    range=(-1.0, 1.0),
)
tan: Op = primitive(
    "tan",
    forward.tan,
    lambda z, x: (1.0 + z * z,),
    latex=r"\tan #1",
    textbook=("1 + z**2",),
    irrational=True,
)
asin: Op = primitive(
    "asin",
    forward.asin,
    lambda z, x: (div(1.0, sqrt(one_minus_square(x))),),
    domain=(Interval(-1.0, 1.0),),
    latex=r"\arcsin #1",
    aliases=("arcsin",),
    textbook=("1 / sqrt(1 - x**2)",),
    irrational=True,
)
acos: Op = primitive(
    "acos",
    forward.acos,
    lambda z, x: (-div(1.0, sqrt(one_minus_square(x))),),
    domain=(Interval(-1.0, 1.0),),
    latex=r"\arccos #1",
    aliases=("arccos",),
    textbook=("-1 / sqrt(1 - x**2)",),
    irrational=True,
)
atan: Op = primitive(
    "atan",
    math.atan,
    lambda z, x: (div(div(1.0, hypot(1.0, x)), hypot(1.0, x)),),
    latex=r"\arctan #1",
    aliases=("arctan",),
    textbook=("1 / (1 + x**2)",),
    irrational=True,
    range=(-1.6, 1.6),
)
atan2: Op = primitive(
    "atan2",
    math.atan2,
    _atan2_partials,
    domain=(REAL, POSITIVE),
    aliases=("arctan2",),
    textbook=("x / (x**2 + y**2)", "-y / (x**2 + y**2)"),
    irrational=True,
)
sinh: Op = primitive(
    "sinh",
    forward.sinh,
    lambda z, x: (cosh(x),),
    latex=r"\sinh #1",
    irrational=True,
)
cosh: Op = primitive(
    "cosh",
    forward.cosh,
    lambda z, x: (sinh(x),),
    latex=r"\cosh #1",
    irrational=True,
)
asinh: Op = primitive(
    "asinh",
    math.asinh,
    lambda z, x: (div(1.0, hypot(1.0, x)),),
    latex=r"\operatorname{arsinh} #1",
    aliases=("arcsinh",),
    textbook=("1 / sqrt(x**2 + 1)",),
    irrational=True,
)
acosh: Op = primitive(
    "acosh",
    forward.acosh,
    lambda z, x: (div(div(1.0, sqrt(x - 1.0)), sqrt(x + 1.0)),),
    domain=(Interval(low=1.0),),
    latex=r"\operatorname{arcosh} #1",
    aliases=("arccosh",),
    textbook=("1 / sqrt(x**2 - 1)",),
    irrational=True,
)
atanh: Op = primitive(
    "atanh",
    forward.atanh,
    lambda z, x: (div(1.0, _not_negative(one_minus_square(x), z)),),
    domain=(Interval(-1.0, 1.0),),
    latex=r"\operatorname{artanh} #1",
    aliases=("arctanh",),
    textbook=("1 / (1 - x**2)",),
    irrational=True,
)
one_minus_square: Op = primitive(
    "one_minus_square",
    None,
    lambda z, x: (-2.0 * x,),
    formula=lambda x: (1.0 - x) * (1.0 + x),
    latex=r"\left(1 - {#1}^2\right)",
)
erf: Op = primitive(
    "erf",
    math.erf,
    lambda z, x: (gaussian(x) * div(1.0, sqrt(atan(1.0))),),
    latex=r"\operatorname{erf} #1",
    textbook=("2 / sqrt(pi) * exp(-x**2)",),
    irrational=True,
    range=(-1.0, 1.0),
)
erfc: Op = primitive(
    "erfc",
    math.erfc,
    lambda z, x: (-gaussian(x) * div(1.0, sqrt(atan(1.0))),),
    latex=r"\operatorname{erfc} #1",
    ulps=6.0,
    textbook=("-2 / sqrt(pi) * exp(-x**2)",),
    irrational=True,
    range=(0.0, 2.0),
)
sinc_derivative: Op = primitive(
    "sinc_derivative",
    forward.sinc_derivative,
    lambda z, x, n: (sinc_derivative(x, n + 1.0),),
    static=1,
    latex=r"\operatorname{sinc}^{(#2)}\left(#1\right)",
    formula=_sinc_derivative_formula,
    sensitive=True,
    irrational=True,
)

# Activations. logistic_density(x) is sigmoid(x) * sigmoid(-x), and not z * (1 - z): the difference rounds to 0 from
# x = 37 on. For the same reason tanh' is not 1 - z**2: sech(x)**2 = 4 logistic_density(2 x) is exact to a few ulps
# everywhere. It is an op, so that its own derivative does not cancel near 0. The derivatives of silu and gelu have a
# zero, near which their two terms cancel.

sigmoid: Op = primitive(
    "sigmoid",
    None,
    lambda z, x: (logistic_density(x),),
    formula=_sigmoid,
    latex=r"\sigma\left(#1\right)",
    ulps=6.0,
    textbook=("z * (1 - z)",),
    irrational=True,
    remark=_saturated("sigmoid"),
    range=(0.0, 1.0),
)
logistic_density: Op = primitive(
    "logistic_density",
    None,
    lambda z, x: (-z * tanh(0.5 * x),),
    formula=_logistic_density,
    latex=r"\sigma\left(#1\right) \cdot \left(1 - \sigma\left(#1\right)\right)",
    ulps=8.0,
    irrational=True,
    range=(0.0, 0.25),
)
tanh: Op = primitive(
    "tanh",
    math.tanh,
    lambda z, x: (4.0 * logistic_density(2.0 * x),),
    latex=r"\tanh #1",
    ulps=6.0,
    textbook=("1 - z**2",),
    irrational=True,
    remark=_saturated("tanh"),
    range=(-1.0, 1.0),
)
softplus: Op = primitive(
    "softplus",
    None,
    lambda z, x: (sigmoid(x),),
    formula=_softplus,
    textbook=("sigmoid(x)",),
    irrational=True,
)
softsign: Op = primitive(
    "softsign",
    None,
    lambda z, x: (constant_power(div(1.0, 1.0 + abs(x)), 2.0),),
    formula=lambda x: where(equal(abs(x), inf), sign(x), div(x, 1.0 + abs(x))),
    domain=(NONZERO,),
    textbook=("1 / (1 + abs(x))**2",),
    range=(-1.0, 1.0),
)
silu: Op = primitive(
    "silu",
    None,
    _silu_partials,
    formula=_silu,
    sensitive=True,
    textbook=("sigmoid(x) * (1 + x * (1 - sigmoid(x)))",),
    irrational=True,
)
gelu: Op = primitive(
    "gelu",
    None,
    _gelu_partials,
    formula=_gelu,
    sensitive=True,
    irrational=True,
    textbook=("0.5 * (1 + erf(x / sqrt(2))) + x * exp(-x**2 / 2) / sqrt(2 * pi)",),
)
relu: Op = primitive(
    "relu",
    None,
    lambda z, x: (greater(z, 0.0),),
    formula=lambda x: maximum(x, 0.0),
    domain=(NONZERO,),
    symbol="ReLU",
    piecewise=True,
    textbook=("1 if x > 0 else 0",),
    remark=Remark("this relu is off: its operand is {operand}, not above 0, so no gradient passes"),
)

# Kinks. At a tie maximum and minimum share the derivative, half each; abs has 0 at 0, its subgradient nearest zero.
# tied_maximum(x, y, n) is maximum(x, y) where x stands for n equal numbers: it gives each of them its share.

abs: Op = primitive(
    "abs",
    math.fabs,
    lambda z, x: (sign(x),),
    domain=(NONZERO,),
    latex=r"\left|#1\right|",
    aliases=("absolute", "fabs"),
    textbook=("1 if x > 0 else -1 if x < 0 else 0",),
    sign="|x|",
)
maximum: Op = primitive(
    "maximum",
    None,
    lambda z, x, y: (0.5 * (1.0 + greater(x, y) - greater(y, x)), 0.5 * (1.0 + greater(y, x) - greater(x, y))),
    formula=lambda x, y: where(greater(x, y), x, y),
    latex=r"\max\left(#1, #2\right)",
    piecewise=True,
    textbook=("1 if x > y else 0.5 if x == y else 0", "1 if y > x else 0.5 if x == y else 0"),
    kinks=lambda x, y: (y,),
)
minimum: Op = primitive(
    "minimum",
    None,
    lambda z, x, y: (0.5 * (1.0 + greater(y, x) - greater(x, y)), 0.5 * (1.0 + greater(x, y) - greater(y, x))),
    formula=lambda x, y: where(greater(y, x), x, y),
    latex=r"\min\left(#1, #2\right)",
    piecewise=True,
    textbook=("1 if x < y else 0.5 if x == y else 0", "1 if y < x else 0.5 if x == y else 0"),
    kinks=lambda x, y: (y,),
)
tied_maximum: Op = primitive(
    "tied_maximum",
    None,
    _tied_maximum_partials,
    formula=lambda x, y, n: maximum(x, y),
    domain=(REAL, REAL, POSITIVE),
    piecewise=True,
    kinks=lambda x, y, n: (y,),
)
clip: Op = primitive(
    "clip",
    None,
    lambda z, x, low, high: (
        greater(x, low) * greater(high, x),
        greater(low, x) * greater(high, low),
        greater(maximum(x, low), high),
    ),
    formula=lambda x, low, high: minimum(maximum(x, low), high),
    piecewise=True,
    textbook=("1 if low < x < high else 0", "1 if x < low < high else 0", "1 if max(x, low) > high else 0"),
    kinks=lambda x, low, high: (low, high),
)
copysign: Op = primitive(
    "copysign",
    forward.copysign,
    lambda z, x, y: (sign(x) * sign(z), _nothing(z)),
    domain=(NONZERO, NONZERO),
    formula=lambda x, y: where(greater(0.0, y), -abs(x), abs(x)),
    textbook=("sign(x) * sign(y)", "0"),
)

# Steps and choices. `where` connects both branches, and through the one that is not chosen nothing passes back.

sign: Op = primitive(
    "sign",
    None,
    lambda z, x: (_nothing(z),),
    formula=lambda x: greater(x, 0.0) - greater(0.0, x),
    domain=(NONZERO,),
    latex=r"\operatorname{sign} #1",
    piecewise=True,
    textbook=("0",),
    unrounded=True,
    range=(-1.0, 1.0),
)
floor: Op = primitive(
    "floor",
    forward.floor,
    lambda z, x: (_nothing(z),),
    latex=r"\left\lfloor #1 \right\rfloor",
    piecewise=True,
    textbook=("0",),
    sign="⌊x⌋",
    unrounded=True,
    kinks=_nearest_whole,
)
ceil: Op = primitive(
    "ceil",
    forward.ceil,
    lambda z, x: (_nothing(z),),
    latex=r"\left\lceil #1 \right\rceil",
    piecewise=True,
    textbook=("0",),
    sign="⌈x⌉",
    unrounded=True,
    kinks=_nearest_whole,
)
trunc: Op = primitive(
    "trunc",
    forward.trunc,
    lambda z, x: (_nothing(z),),
    piecewise=True,
    textbook=("0",),
    unrounded=True,
    kinks=_nearest_whole,
)
round: Op = primitive(
    "round",
    forward.round,
    lambda z, x: (_nothing(z),),
    piecewise=True,
    aliases=("rint",),
    textbook=("0",),
    unrounded=True,
    kinks=lambda x: (round(x - 0.5) + 0.5,),
)
mod: Op = primitive(
    "mod",
    forward.mod,
    lambda z, x, y: (1.0 + _nothing(z), where(equal(z, y), 1.0, -round(div(x - z, y)))),  # at y = inf, too
    domain=(REAL, NONZERO),
    symbol="%",
    precedence=PRODUCT,
    latex=r"#1 \bmod #2",
    formula=_mod,
    aliases=("remainder",),
    textbook=("1", "-floor(x / y)"),
)
fmod: Op = primitive(
    "fmod",
    forward.fmod,
    lambda z, x, y: (1.0 + _nothing(z), -round(div(x - z, y))),
    domain=(REAL, NONZERO),
    formula=lambda x, y: x - y * trunc(div(x, y)),
    textbook=("1", "-trunc(x / y)"),
)
floor_divide: Op = primitive(
    "floor_divide",
    forward.floor_divide,
    lambda z, x, y: (_nothing(z), _nothing(z)),
    domain=(REAL, NONZERO),
    symbol="//",
    precedence=PRODUCT,
    latex=r"\left\lfloor \frac{#1}{#2} \right\rfloor",
    formula=_floor_divide,
    piecewise=True,
    unrounded=True,
    textbook=("0", "0"),
)
greater: Op = primitive(
    "greater",
    forward.greater,
    lambda z, x, y: (_nothing(z),) * 2,
    latex=r"\left[#1 > #2\right]",
    piecewise=True,
    sign=">",
    unrounded=True,
    range=(0.0, 1.0),
    textbook=("0", "0"),
)
equal: Op = primitive(
    "equal",
    forward.equal,
    lambda z, x, y: (_nothing(z),) * 2,
    latex=r"\left[#1 = #2\right]",
    piecewise=True,
    sign="=",
    unrounded=True,
    range=(0.0, 1.0),
    textbook=("0", "0"),
)
where: Op = primitive(
    "where",
    forward.where,
    lambda z, condition, x, y: (0.0, where(condition, 1.0, 0.0), where(condition, 0.0, 1.0)),
    latex=r"\begin{cases} #2 & #1 \\ #3 & \text{otherwise} \end{cases}",
    piecewise=True,
    textbook=("0", "1 if condition else 0", "0 if condition else 1"),
    unrounded=True,
)

# Ops that record derivatives of derivatives: the product by which a cotangent y passes back through a partial x,
# 0 where the cotangent is 0; the product for piecewise ops, 0 where either is 0; a quotient that is 0 where x is; and
# the same number as an operand that stands for itself. The zeros hold beside inf and nan.

multiply_no_nan: Op = primitive(
    "multiply_no_nan",
    None,
    lambda z, x, y: (y, x),
    formula=lambda x, y: where(equal(y, 0.0), 0.0, x * y),
    symbol="*",
    sign="×",
    latex=r"#1 \cdot #2",
    piecewise=(True, False),
)
zero_product: Op = primitive(
    "zero_product",
    forward.zero_product,
    lambda z, x, y: (y, x),
    symbol="*",
    sign="×",
    latex=r"#1 \cdot #2",
    formula=lambda x, y: where(equal(x, 0.0), 0.0, where(equal(y, 0.0), 0.0, x * y)),
    piecewise=True,
)
divide_no_nan: Op = primitive(
    "divide_no_nan",
    None,
    lambda z, x, y: (div(1.0, y), divide_no_nan(-z, y)),
    domain=(REAL, NONZERO),
    symbol="/",
    sign="÷",
    latex=r"\frac{#1}{#2}",
    formula=lambda x, y: where(equal(x, 0.0), 0.0, div(x, y)),
    textbook=("1 / y", "-x / y**2"),
)
identity: Op = primitive(
    "identity",
    lambda x: x,
    lambda z, x: (1.0,),
    latex="#1",
    unrounded=True,
)

# Sums of exponentials subtract a number near the largest first, on which the result does not depend: stop_gradient(x)
# is x, with derivative 0 by decree. shifted_exp(x, y) is exp(x - y) for such a y, and its limits at an infinite x.

stop_gradient: Op = primitive(
    "stop_gradient",
    None,
    lambda z, x: (0.0,),
    formula=lambda x: x,
    latex="#1",
    piecewise=True,
    unrounded=True,
)
shifted_exp: Op = primitive(
    "shifted_exp",
    None,
    lambda z, x, y: (z, -z),
    latex="e^{#1 - #2}",
    formula=lambda x, y: where(equal(abs(x), inf), where(equal(x, y), 1.0, exp(x)), exp(x - y)),
    sensitive=True,
    irrational=True,
)

built_in_ops(*OPS.values())
