"""Facts about ops that hold for all arguments, found by trial at special numbers: passages of nan, inf and -0.0."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from microgrid.core.primitive import Op, built_in

_TRIED = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan)

ABSORBS, PROPAGATES, OBSERVES = 0, 1, 2
"""Effect of the sign of an operand that is zero: none; on the sign of a result that is zero; any other."""


class Facts(NamedTuple):
    """For each operand of an op: True if nan makes the result nan; if inf makes it nan; if inf makes it inf or nan;
    and the effect of the sign of zero."""

    nan_passes: tuple[bool, ...]
    inf_is_nan: tuple[bool, ...]
    inf_passes: tuple[bool, ...]
    zero: tuple[int, ...]


@functools.lru_cache(maxsize=1024)
def facts(op: Op, static: tuple[float, ...]) -> Facts:
    """Return the facts of an op with these static operands. Of a person's op nothing is taken for granted."""
    count = op.arity - op.static
    if op.name not in built_in:
        nothing = (False,) * op.arity
        return Facts(nothing, nothing, nothing, (OBSERVES,) * op.arity)

    def results(i: int, x: float) -> list[float]:
        others = itertools.product(_TRIED, repeat=count - 1)
        return [op.float_forward(*given[:i], x, *given[i:], *static) for given in others]

    rest = (False,) * op.static
    infinite = [[*results(i, math.inf), *results(i, -math.inf)] for i in range(count)]
    return Facts(
        (*[all(map(math.isnan, results(i, math.nan))) for i in range(count)], *rest),
        (*[all(map(math.isnan, found)) for found in infinite], *rest),
        (*[not any(map(math.isfinite, found)) for found in infinite], *rest),
        (*[_effect(results(i, 0.0), results(i, -0.0)) for i in range(count)], *(ABSORBS,) * op.static),
    )


def _effect(plus: Sequence[float], minus: Sequence[float]) -> int:
    if all(repr(x) == repr(y) for x, y in zip(plus, minus, strict=True)):
        return ABSORBS
    return PROPAGATES if all(x == y or (x != x and y != y) for x, y in zip(plus, minus, strict=True)) else OBSERVES
