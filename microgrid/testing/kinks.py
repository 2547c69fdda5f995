"""How near a program stands to a kink, a jump or an edge of a domain, in the numbers that its ops are given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from microgrid.primitive import Op
from microgrid.program import Program


def at_a_tie(program: Program, at: Sequence[float]) -> bool:
    """Whether an op with kinks or jumps stands at one of them: where a billionth of an operand moves it elsewhere."""
    numbers = [*at, *program.constants]
    tied = False
    for op, operands in program.instructions:
        given = [numbers[i] for i in operands]
        here = op.forward(*given)
        numbers.append(here)
        if not (any(op.piecewise) or op.name in ("abs", "mod", "fmod", "copysign", "hypot", "softsign", "atan2")):
            continue
        for i, x in enumerate(given):
            for nudge in (-1e-9, 1e-9):
                moved = [*given]
                moved[i] = x + nudge * (abs(x) or 1.0)
                there = op.forward(*moved)
                slopes = zip(op.partials(here, *given), op.partials(there, *moved), strict=True)
                tied |= abs(there - here) > 1e-6 * (1.0 + abs(x)) or any(abs(a - b) > 1e-3 for a, b in slopes)
    return tied


def nearest_edge(program: Program, at: Sequence[float]) -> str:
    """Of all ops the one whose operands are nearest to a kink, a jump or an edge, as a sentence; "" if none has any."""
    numbers = [*at, *program.constants]
    nearest: tuple[float, str] | None = None
    for op, operands in program.instructions:
        given = [numbers[i] for i in operands]
        numbers.append(op.forward(*given))
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
    if op.name in ("maximum", "minimum", "tied_maximum"):
        yield abs(given[0] - given[1]), "a tie"
    elif op.name == "clip":
        for bound in given[1:]:
            yield abs(given[0] - bound), f"{bound:g}"
    elif op.name in ("floor", "ceil", "trunc", "round") and math.isfinite(given[0]):
        shift = 0.5 if op.name == "round" else 0.0
        edge = round(given[0] - shift) + shift
        yield abs(given[0] - edge), f"{edge:g}"
