"""Distances of a program to a kink, a jump or an edge of a domain, at the operands of its ops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from microgrid import ops
from microgrid.core.primitive import Op
from microgrid.program import Program


def at_a_kink(program: Program, at: Sequence[float]) -> bool:
    """Return True if an op is within a billionth of one of its kinks or jumps."""
    for (op, _), given, _ in program.evaluated(at):
        if any(_bends(op, given, i) for i in range(op.arity - op.static)) or (op is ops.where and not given[0]):
            return True  # a numeric condition is false at 0, and true beside it
    return False


def _bends(op: Op, given: Sequence[float], along: int) -> bool:
    """Return True if an op is linear on both sides of its operand, with different lines.

    Forward values alone are asked, and none at the point itself: a rule that treats a point apart makes no kink there,
    nor does a number that differs in that point only, as that of `equal` does.
    """
    step = 1e-9 * (max(map(abs, given[: op.arity - op.static])) or 1.0)
    if not math.isfinite(step):
        return False

    def moved(k: int) -> float:
        return op.forward(*[x + k * step if i == along else x for i, x in enumerate(given)])

    left, right = [moved(k) for k in (-3, -2, -1)], [moved(k) for k in (1, 2, 3)]
    noise = 16.0 * math.ulp(max(map(abs, (*left, *right))))
    slopes = []
    for a, b, c in (left, right):
        if not abs(a - 2.0 * b + c) <= 1e-3 * abs(c - a) + noise:
            return False
        slopes.append((c - a) / 2.0)
    smooth = 1e-3 * max(map(abs, slopes)) + noise
    return abs(slopes[1] - slopes[0]) > smooth or abs(right[0] - left[-1] - sum(slopes)) > smooth


def nearest_edge(program: Program, at: Sequence[float]) -> str:
    """Return a sentence on the op whose operands are nearest to a kink, a jump or an edge; "" if there is none."""
    nearest: tuple[float, str] | None = None
    for (op, _), given, _ in program.evaluated(at):
        for distance, where in _edges(op, given):
            if math.isfinite(distance) and (nearest is None or distance < nearest[0]):
                call = f"{op.name}({', '.join(f'{x:.6g}' for x in given)})"
                nearest = distance, f"{call} is {f'{distance:.3g} from' if distance else 'at'} {where}"
    return nearest[1] if nearest else ""


def _edges(op: Op, given: Sequence[float]) -> Iterator[tuple[float, str]]:
    for x, interval in zip(given, op.domain, strict=True):
        for edge in (interval.low, interval.high, *interval.except_at):
            if math.isfinite(edge):
                yield abs(x - edge), f"{edge:g}"
    moves = op.arity - op.static > 1
    for edge in op.kinks(*given) if op.kinks is not None else ():
        yield abs(given[0] - edge), "a tie" if moves else f"{edge:g}"
