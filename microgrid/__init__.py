"""A scalar reverse-mode autodiff engine: step through gradients, look at computation graphs, prove derivatives.

`from microgrid import *` leaves out what would hide a builtin: abs, compile, max, min, round and sum.
"""

from microgrid import datasets, losses, nn, optim
from microgrid.compiler import compile as compile
from microgrid.core.primitive import OPS, Interval, Op, primitive
from microgrid.core.scope import no_grad
from microgrid.draw import draw
from microgrid.engine import Value
from microgrid.film import Film
from microgrid.functional import (
    grad,
    gradient,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from microgrid.functions.composed import (
    elu,
    hardtanh,
    leaky_relu,
    logsigmoid,
    relu6,
    sinc,
)
from microgrid.functions.reductions import (
    dot,
    log_softmax,
    logsumexp,
    mean,
    norm,
    prod,
    softmax,
    std,
    var,
)
from microgrid.functions.reductions import (
    max as max,
)
from microgrid.functions.reductions import (
    min as min,
)
from microgrid.functions.reductions import (
    sum as sum,
)
from microgrid.graph.anomaly import detect_anomaly
from microgrid.ops import (
    abs as abs,
)
from microgrid.ops import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    ceil,
    clip,
    copysign,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    gelu,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    maximum,
    minimum,
    mod,
    power,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softplus,
    softsign,
    sqrt,
    tan,
    tanh,
    trunc,
    where,
    xlogy,
)
from microgrid.ops import (
    round as round,
)
from microgrid.program import Instruction, Program, trace
from microgrid.steps import steps
from microgrid.training import fit

# NumPy's names, where they differ from those of `math`.
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh

__version__ = "0.1.0"

__all__ = [
    "OPS",
    "Film",
    "Instruction",
    "Interval",
    "Op",
    "Program",
    "Value",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
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
    "datasets",
    "detect_anomaly",
    "dot",
    "draw",
    "elu",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "fit",
    "floor",
    "floor_divide",
    "fmod",
    "gelu",
    "grad",
    "gradient",
    "hardtanh",
    "hessian",
    "hvp",
    "hypot",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logsigmoid",
    "logsumexp",
    "losses",
    "maximum",
    "mean",
    "minimum",
    "mod",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "power",
    "primitive",
    "prod",
    "relu",
    "relu6",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "std",
    "steps",
    "tan",
    "tanh",
    "trace",
    "trunc",
    "value_and_grad",
    "var",
    "vjp",
    "where",
    "xlogy",
]
