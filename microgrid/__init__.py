"""A scalar reverse-mode autodiff engine: step through gradients, look at computation graphs, prove derivatives.

`from microgrid import *` leaves out what would hide a builtin: abs, compile, max, min, round and sum.
"""

from microgrid import datasets, losses, nn, ops, optim
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
from microgrid.ops import *  # noqa: F403  # its __all__, and the two that hide builtins
from microgrid.ops import abs as abs
from microgrid.ops import round as round
from microgrid.program import Instruction, Program, trace
from microgrid.steps import steps
from microgrid.training import fit

# NumPy's names, where they differ from those of `math`.
arccos = ops.acos
arccosh = ops.acosh
arcsin = ops.asin
arcsinh = ops.asinh
arctan = ops.atan
arctan2 = ops.atan2
arctanh = ops.atanh

__version__ = "0.1.0"

__all__ = [
    "OPS",
    "Film",
    "Instruction",
    "Interval",
    "Op",
    "Program",
    "Value",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "datasets",
    "detect_anomaly",
    "dot",
    "draw",
    "elu",
    "fit",
    "grad",
    "gradient",
    "hardtanh",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "logsumexp",
    "losses",
    "mean",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "primitive",
    "prod",
    "relu6",
    "sinc",
    "softmax",
    "std",
    "steps",
    "trace",
    "value_and_grad",
    "var",
    "vjp",
]
__all__ += ops.__all__
