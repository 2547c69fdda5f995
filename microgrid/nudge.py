"""Changes of a result when an operand is nudged: predicted by the gradient, by the next term, and in truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from microgrid.engine import Value
from microgrid.expansion import taylor

_MOST = 3  # operands that are nudged


class Nudge(NamedTuple):
    """A change of an operand by `size`, which the gradient predicts to change the result by `linear`.

    `further` is the prediction with the next term, None where that is no nearer to the `truth`.
    """

    size: float
    linear: float
    further: float | None
    truth: float

    def told(self, name: str, result: str, before: Nudge | None) -> str:
        """Return it in words, for an operand and a result of these names, after those of the nudge told before."""
        if before is None:
            text = f"a nudge of {self.size:g} to {name} moves {result} by {self.linear:.4g}"
        else:
            other = "" if self.size == before.size else f" of {self.size:g}"
            text = f"; one{other} to {name} by {self.linear:.4g}"
        if self.further is None:
            return text
        return f"{text} (with the next term by {self.further:.4g}, in truth by {self.truth:.4g})"


def in_words(node: Value, result: str, operands: Sequence[tuple[Value, str]]) -> str:
    """Return what a nudge of each of the first operands, which have these names, does to the node, the result."""
    told, before = "", None
    for operand, name in operands[:_MOST]:
        nudge = nudged(node, operand)
        told, before = told + nudge.told(name, result, before), nudge
    return told


def size_for(x: float) -> float:
    """Return the size of a nudge to x: 0.1, or a tenth of the power of ten of a smaller number."""
    return 10.0 ** (math.floor(math.log10(abs(x))) - 1) if 0.0 < abs(x) < 0.1 else 0.1


def nudged(node: Value, operand: Value) -> Nudge:
    """Return what a nudge of an operand does to the node that was computed from it."""
    assert node.op is not None
    op, operands = node.op, node.operands
    chosen = [float(x is operand) for x in operands]
    size = size_for(operand.data)
    linear = size * sum(p for p, c in zip(node.partials, chosen, strict=False) if c)
    numbers = [x.data for x in operands]
    try:
        truth = op.float_forward(*[x + size * c for x, c in zip(numbers, chosen, strict=True)]) - node.data
        count = op.arity - op.static
        further = taylor(lambda xs: op(*xs, *numbers[count:]), numbers[:count], 2, chosen[:count])[2] * size * size
    except (ArithmeticError, TypeError, ValueError):  # no rule, or one that cannot be expanded
        return Nudge(size, linear, None, math.nan)
    helps = abs(further) > 5e-3 * abs(linear) and abs(truth - linear - further) < abs(truth - linear)
    return Nudge(size, linear, linear + further if helps else None, truth)
