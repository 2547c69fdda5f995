"""A scalar reverse-mode autodiff engine: step through gradients, look at computation graphs, prove derivatives."""

from microgrid import nn
from microgrid.draw import draw
from microgrid.engine import Value
from microgrid.ops import (
    abs,
    cos,
    exp,
    log,
    maximum,
    minimum,
    relu,
    sigmoid,
    sign,
    sin,
    sqrt,
    tanh,
    where,
)
from microgrid.primitive import OPS, Interval, Op, primitive
from microgrid.scope import no_grad

__version__ = "0.1.0"

__all__ = [
    "OPS",
    "Interval",
    "Op",
    "Value",
    "abs",
    "cos",
    "draw",
    "exp",
    "log",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "primitive",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "sqrt",
    "tanh",
    "where",
]
