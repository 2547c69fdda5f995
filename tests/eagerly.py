"""Results of eager evaluation, and comparison with other numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import Value


def eager(f: Callable[..., Any], at: Sequence[float]) -> tuple[float, list[float]]:
    """The value, and the derivatives by all arguments, as `backward` gives them."""
    leaves = [Value(x) for x in at]
    out = f(*leaves)
    out = out if isinstance(out, Value) else Value(out)
    out.backward()
    return out.data, [leaf.grad for leaf in leaves]


def same(got: float, expected: float, strict: bool, size: float = 0.0) -> bool:
    """Return True if numbers agree, to the bit or to 1e-12; or to 1e-15 of the size of the numbers that may have
    cancelled."""
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    if strict:
        return struct.pack("d", got) == struct.pack("d", expected)
    return got == expected or math.isclose(got, expected, rel_tol=1e-12, abs_tol=max(1e-300, 1e-15 * size))
