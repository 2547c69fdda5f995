"""Accuracy of the partials that an op computes in floats, at the points where a program uses it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from microgrid.numbers.arithmetic import UnknownFunction
from microgrid.program import Program
from microgrid.testing.diagnosis import alone
from microgrid.testing.enclosure import enclosures, is_sharp, nearest_float


def worst_ulps(program: Program, at: Sequence[float]) -> dict[str, float]:
    """Return for each op of the program the worst error of a partial in ulps; nan where none could be compared."""
    worst: dict[str, float] = {}
    seen = set()
    for (op, _), given, result in program.evaluated(at):
        worst.setdefault(op.name, math.nan)
        if (op, *given) in seen or not all(map(math.isfinite, given)):
            continue
        seen.add((op, *given))
        part = alone(op, given)
        try:
            inputs = given[: len(part.inputs)]
            exact = enclosures(part.gradient_by(inputs, lambda *_: None), inputs)
        except UnknownFunction:
            continue
        for partial, enclosed in zip(op.float_partials(result, *given), exact, strict=False):
            if enclosed is not None and is_sharp(enclosed) and math.isfinite(partial):
                middle = (enclosed[0] + enclosed[1]) / 2
                ulps = nearest_float(abs(Fraction(partial) - middle) / Fraction(math.ulp(nearest_float(middle))))
                worst[op.name] = max(ulps, worst[op.name]) if worst[op.name] == worst[op.name] else ulps
    return worst
