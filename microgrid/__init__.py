"""A scalar reverse-mode autodiff engine: step through gradients, look at computation graphs, prove derivatives.

`from microgrid import *` leaves out what would hide a builtin: abs, compile, max, min, round and sum.
"""

import typing as _typing

from microgrid import datasets, losses, nn, ops, optim
from microgrid.compiler import compile as compile
from microgrid.core.primitive import OPS, Interval, Op, primitive
from microgrid.core.scope import frame, no_grad
from microgrid.draw import draw
from microgrid.engine import Value
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
from microgrid.functions.activations import (
    celu,
    elu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    relu6,
    selu,
    softshrink,
    tanhshrink,
)
from microgrid.functions.circular import (
    acot,
    acoth,
    acsc,
    acsch,
    asec,
    asech,
    cospi,
    cot,
    coth,
    csc,
    csch,
    sec,
    sech,
    sinpi,
)
from microgrid.functions.composed import (
    deg2rad,
    exp10,
    logsubexp,
    rad2deg,
    reciprocal,
    rsqrt,
    sinc,
    square,
)
from microgrid.functions.iteration import (
    fori_loop,
    scan,
    while_loop,
)
from microgrid.functions.logarithms import (
    log1mexp,
    logit,
    xlog1py,
)
from microgrid.functions.reductions import (
    dot,
    glu,
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

# NumPy's names, where they differ from those of `math`.
arccos = ops.acos
arccosh = ops.acosh
arcsin = ops.asin
arcsinh = ops.asinh
arctan = ops.atan
arctan2 = ops.atan2
arctanh = ops.atanh

if _typing.TYPE_CHECKING:
    from microgrid.exercises import exercise, save_exercises
    from microgrid.expansion import derivatives, flow, taylor
    from microgrid.film import Film
    from microgrid.graph.excerpt import excerpt
    from microgrid.implicit import fixed_point, root
    from microgrid.pictures.spy import spy
    from microgrid.training.fit import fit

# Names that load when they are first used, with the module that holds them, which loads by its own name, too.
_LATER = {
    **dict.fromkeys(("digamma", "erfinv", "gamma", "lgamma"), "special"),
    **dict.fromkeys(("derivatives", "flow", "taylor"), "expansion"),
    **dict.fromkeys(("fixed_point", "root"), "implicit"),
    **dict.fromkeys(("exercise", "save_exercises"), "exercises"),
    "Film": "film",
    "excerpt": "graph.excerpt",
    "fit": "training",
    "spy": "pictures.spy",
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _LATER and name not in _LATER.values():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"microgrid.{_LATER.get(name, name)}")
    return getattr(module, name) if name in _LATER else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__version__ = "0.1.0"

__all__ = [
    "OPS",
    "Film",
    "Instruction",
    "Interval",
    "Op",
    "Program",
    "Value",
    "acot",
    "acoth",
    "acsc",
    "acsch",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asec",
    "asech",
    "celu",
    "cospi",
    "cot",
    "coth",
    "csc",
    "csch",
    "datasets",
    "deg2rad",
    "derivatives",
    "detect_anomaly",
    "dot",
    "draw",
    "elu",
    "excerpt",
    "exercise",
    "exp10",
    "fit",
    "fixed_point",
    "flow",
    "fori_loop",
    "frame",
    "glu",
    "grad",
    "gradient",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log1mexp",
    "log_softmax",
    "logit",
    "logsigmoid",
    "logsubexp",
    "logsumexp",
    "losses",
    "mean",
    "mish",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "primitive",
    "prod",
    "rad2deg",
    "reciprocal",
    "relu6",
    "root",
    "rsqrt",
    "save_exercises",
    "scan",
    "sec",
    "sech",
    "selu",
    "sinc",
    "sinpi",
    "softmax",
    "softshrink",
    "spy",
    "square",
    "std",
    "steps",
    "tanhshrink",
    "taylor",
    "trace",
    "value_and_grad",
    "var",
    "vjp",
    "while_loop",
    "xlog1py",
]
__all__ += ops.__all__
