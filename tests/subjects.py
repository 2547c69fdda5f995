"""Functions that numerical derivatives get wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath

import microgrid as mg
from microgrid import ops

Function = Callable[[Any], Any]

HARD: dict[str, tuple[Function, Function, float]] = {
    "cancellation": (lambda x: (1 - mg.cos(x)) / x**2, lambda x: (1 - mpmath.cos(x)) / x**2, 1e-4),
    "tiny": (lambda x: 1e-200 * x**2, lambda x: mpmath.mpf(1e-200) * x**2, 1.0),
    "huge": (lambda x: 1e200 * x**2, lambda x: mpmath.mpf(1e200) * x**2, 1.0),
    "fast": (lambda x: mg.sin(1000 * x), lambda x: mpmath.sin(1000 * x), 1.0),
    "faster": (lambda x: mg.sin(1e9 * x), lambda x: mpmath.sin(mpmath.mpf(1e9) * x), 1.0),
    "near a pole": (mg.tan, mpmath.tan, 1.5707963),
    "at the pole's float": (mg.tan, mpmath.tan, math.pi / 2),
    "a nanometre from a kink": (mg.relu, lambda x: max(x, mpmath.mpf(0)), 1e-9),
    "before a kink": (mg.relu, lambda x: max(x, mpmath.mpf(0)), -1e-300),
    "flat": (lambda x: x**3, lambda x: x**3, 1e-6),
    "a triple root": (
        lambda x: x**3 - 3 * x**2 + 3 * x - 1,
        lambda x: x**3 - 3 * x**2 + 3 * x - 1,
        1.0000001,
    ),
    "on a pedestal": (lambda x: 1e8 + mg.sin(x), lambda x: 10**8 + mpmath.sin(x), 0.3),
    "far out": (lambda x: mg.exp(-(x**2)), lambda x: mpmath.exp(-(x**2)), 20.0),
    "a steep power": (lambda x: x**0.3, lambda x: x ** mpmath.mpf(0.3), 1e-300),
    "both base and exponent": (lambda x: x**x, lambda x: x**x, 0.5),
    "near the edge of the domain": (mg.log, mpmath.log, 1e-300),
    "asin near 1": (mg.asin, mpmath.asin, 0.9999999999999999),
    "sqrt near 0": (mg.sqrt, mpmath.sqrt, 5e-324),
    "saturated": (mg.tanh, mpmath.tanh, 20.0),
    "saturated far": (mg.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), -700.0),
    "the tail of erfc": (mg.erfc, mpmath.erfc, 20.0),
    "overflow on the way": (lambda x: mg.log(mg.exp(x)), lambda x: x, 1000.0),
    "0 of sinc": (mg.sinc, lambda x: mpmath.sinc(mpmath.mpf(math.pi) * x), 0.0),
    "0": (mg.exp, mpmath.exp, 0.0),
    "many small": (lambda x: mg.sum([x / 3.0] * 30), lambda x: 10 * x, 7.0),
    "nested": (lambda x: mg.sin(mg.exp(mg.sin(3 * x))), lambda x: mpmath.sin(mpmath.exp(mpmath.sin(3 * x))), 0.9),
    "a choice": (lambda x: mg.where(ops.greater(x, 1.0), x**2, -x), lambda x: x**2 if x > 1 else -x, 1.0 + 1e-12),
    "a remainder": (lambda x: x % 3.0 * x, lambda x: (x - 3 * mpmath.floor(x / 3)) * x, 7.5),
    "a length": (lambda x: mg.norm([x, 1e-8]), lambda x: mpmath.hypot(x, mpmath.mpf(1e-8)), 1e-9),
}
"""A function, the same in mpmath, and where."""
