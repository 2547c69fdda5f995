"""The primitive operations: what each computes, its local derivatives, where it is smooth and how it is written.

One statement per primitive, and no other file contains a derivative formula. A rule `partials(z, *operands)` gets the
result first, then the operands, and returns one derivative per operand, in a tuple. It is ordinary arithmetic, written
with `+`, `-`, `*` and ops, never with `/` and `**`, which raise on floats: `div(1.0, x)`, `constant_power(x, 2.0)`.
So the same rule works on floats, on `Value`s, and on whatever other number defines the operators and `_apply_op`.

Forward functions are total: they take floats and give the IEEE 754 result, inf and nan included, never an exception.
"""

from __future__ import annotations

import math
from types import FunctionType

from microgrid.primitive import NONZERO, OPS, POSITIVE, POWER, PRODUCT, REAL, SIGN, SUM, Op, built_in, primitive

inf, nan = math.inf, math.nan

# --- forward functions that `math` leaves partial ------------------------------------------------------------------


def _div(x: float, y: float) -> float:
    if y != 0.0:
        return x / y
    if x == 0.0 or x != x:
        return nan
    return math.copysign(inf, x) * math.copysign(1.0, y)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except (OverflowError, ValueError):
        if x < 0.0 and not y.is_integer():
            return nan
        # too large, or zero to a negative power; an odd power keeps the sign (C99 annex F.9.4.4)
        return math.copysign(inf, x) if math.fmod(y, 2.0) else inf


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def _log(x: float) -> float:
    if x > 0.0:
        return math.log(x)
    return -inf if x == 0.0 else nan


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else nan


def _sin(x: float) -> float:
    return math.sin(x) if math.isfinite(x) else nan


def _cos(x: float) -> float:
    return math.cos(x) if math.isfinite(x) else nan


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x and x == x else x + 0.0


def _greater(x: float, y: float) -> float:
    return nan if x != x or y != y else 1.0 if x > y else 0.0


def _equal(x: float, y: float) -> float:
    return nan if x != x or y != y else 1.0 if x == y else 0.0


def _maximum(x: float, y: float) -> float:
    return x if x > y or x != x else y


def _minimum(x: float, y: float) -> float:
    return x if x < y or x != x else y


def _where(condition: float, x: float, y: float) -> float:
    return nan if condition != condition else x if condition else y


# --- the table -----------------------------------------------------------------------------------------------------
# Arithmetic. The derivatives of add, sub and neg do not depend on the operands: they stay 1 and -1 at nan, too.

add: Op = primitive(
    "add",
    lambda x, y: x + y,
    lambda z, x, y: (1.0, 1.0),
    symbol="+",
    precedence=SUM,
    latex="#1 + #2",
)
sub: Op = primitive(
    "sub",
    lambda x, y: x - y,
    lambda z, x, y: (1.0, -1.0),
    symbol="-",
    precedence=SUM,
    latex="#1 - #2",
)
mul: Op = primitive(
    "mul",
    lambda x, y: x * y,
    lambda z, x, y: (y, x),
    symbol="*",
    precedence=PRODUCT,
    latex=r"#1 \cdot #2",
)
div: Op = primitive(
    "div",
    _div,
    lambda z, x, y: (div(1.0, y), div(-z, y)),
    domain=(REAL, NONZERO),
    symbol="/",
    precedence=PRODUCT,
    latex=r"\frac{#1}{#2}",
)
neg: Op = primitive(
    "neg",
    lambda x: -x,
    lambda z, x: (-1.0,),
    symbol="-",
    precedence=SIGN,
    latex="-#1",
)

# Powers: x ** c with a plain number c is an op of its own, so that no log x is computed for a c that needs none, and
# x ** 0, x ** 1, ... have their exact derivatives at 0 (CasADi keeps the two apart for the same reason).

constant_power: Op = primitive(
    "constant_power",
    _power,
    lambda z, x, c: (c * constant_power(x, c - 1.0) if c else 0.0,),
    static=1,
    domain=(POSITIVE, REAL),
    symbol="**",
    precedence=POWER,
    latex="{#1}^{#2}",
)
power: Op = primitive(
    "power",
    _power,
    lambda z, x, y: (
        where(equal(y, 0.0), 0.0, y * power(x, y - 1.0)),
        where(equal(x, 0.0), where(greater(0.0, y), z * log(x), 0.0), z * log(x)),
    ),
    domain=(POSITIVE, REAL),
    symbol="**",
    precedence=POWER,
    latex="{#1}^{#2}",
)

# Elementary functions.

exp: Op = primitive(
    "exp",
    _exp,
    lambda z, x: (z,),
    latex="e^{#1}",
)
log: Op = primitive(
    "log",
    _log,
    lambda z, x: (where(greater(0.0, x), nan, div(1.0, x)),),
    domain=(POSITIVE,),
    latex=r"\log #1",
)
sqrt: Op = primitive(
    "sqrt",
    _sqrt,
    lambda z, x: (div(0.5, z),),
    domain=(POSITIVE,),
    latex=r"\sqrt{#1}",
)
sin: Op = primitive(
    "sin",
    _sin,
    lambda z, x: (cos(x),),
    latex=r"\sin #1",
)
cos: Op = primitive(
    "cos",
    _cos,
    lambda z, x: (-sin(x),),
    latex=r"\cos #1",
)

# Activations. sigmoid(-x) and not 1 - z: the difference rounds to 0 from x = 37 on. For the same reason tanh' is not
# 1 - z**2: sech(x)**2 = 4 sigmoid(2 x) sigmoid(-2 x) is exact to a few ulps everywhere, and smooth at 0.

sigmoid: Op = primitive(
    "sigmoid",
    _sigmoid,
    lambda z, x: (z * sigmoid(-x),),
    latex=r"\sigma\left(#1\right)",
)
tanh: Op = primitive(
    "tanh",
    math.tanh,
    lambda z, x: (4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x),),
    latex=r"\tanh #1",
)
relu: Op = primitive(
    "relu",
    lambda x: x if x > 0.0 or x != x else 0.0,
    lambda z, x: (sign(z),),
    domain=(NONZERO,),
    symbol="ReLU",
)

# Kinks. At a tie maximum and minimum share the derivative, half each; abs has 0 at 0, its subgradient nearest zero.

abs: Op = primitive(
    "abs",
    math.fabs,
    lambda z, x: (sign(x),),
    domain=(NONZERO,),
    latex=r"\left|#1\right|",
)
maximum: Op = primitive(
    "maximum",
    _maximum,
    lambda z, x, y: (0.5 * (1.0 + greater(x, y) - greater(y, x)), 0.5 * (1.0 + greater(y, x) - greater(x, y))),
    latex=r"\max\left(#1, #2\right)",
)
minimum: Op = primitive(
    "minimum",
    _minimum,
    lambda z, x, y: (0.5 * (1.0 + greater(y, x) - greater(x, y)), 0.5 * (1.0 + greater(x, y) - greater(y, x))),
    latex=r"\min\left(#1, #2\right)",
)

# Steps and choices, which the rules above are written with. z - z is the derivative 0 that stays nan at nan. `where`
# connects both branches, and the one that is not chosen gets the partial 0, through which nothing passes back.

sign: Op = primitive(
    "sign",
    _sign,
    lambda z, x: (z - z,),
    domain=(NONZERO,),
    latex=r"\operatorname{sign} #1",
)
greater: Op = primitive(
    "greater",
    _greater,
    lambda z, x, y: (z - z, z - z),
    latex=r"\left[#1 > #2\right]",
)
equal: Op = primitive(
    "equal",
    _equal,
    lambda z, x, y: (z - z, z - z),
    latex=r"\left[#1 = #2\right]",
)
where: Op = primitive(
    "where",
    _where,
    lambda z, condition, x, y: (0.0, where(condition, 1.0, 0.0), where(condition, 0.0, 1.0)),
    latex=r"\operatorname{where}\left(#1, #2, #3\right)",
)

built_in.update(OPS)

# The engine applies the rules above to floats only. There, each op in a rule is its forward function, without the
# choice between numbers and Values that calling an op makes: a node of tanh takes half the time. Same code, same bits.
_on_floats = {name: value.forward if isinstance(value, Op) else value for name, value in globals().items()}
for _op in OPS.values():
    _op.float_partials = FunctionType(_op.partials.__code__, _on_floats)
