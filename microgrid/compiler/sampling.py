"""The loops of a tape, but for one whose samples show that it has hardly any: it is left as it stands."""

from __future__ import annotations

from microgrid.compiler.nests import Stack
from microgrid.compiler.roll import Rolled, roll, unrolled
from microgrid.compiler.tape import Tape

MANY = 20_000
"""Number of elements from which on a tape is not looked through: it will be interpreted."""

SHARE = 16
"""A sample is this fraction of a tape."""

PLACES = (2, 6, 10)
"""Places of the samples, in units of their length."""


def loops_of(tape: Tape) -> Rolled:
    """Return the loops of a tape, or its steps where that many are not in loops."""
    return unrolled(tape) if elements_outside(tape) > MANY else roll(tape)


def elements_outside(tape: Tape) -> float:
    """Return how many elements the loops of a tape are estimated to leave; 0 for a tape that is not large.

    A sample of loops has as many elements as its first half, which are those of a body and of what is cut off at the
    ends; where there are no loops it has twice as many.
    """
    size = tape.count() // SHARE
    if size * SHARE <= MANY or size < 2:
        return 0.0
    more = 0
    for place in PLACES:
        stack = Stack(_part(tape, place * size, place * size + size))
        stack.run(stack.size // 2)
        half = stack.statements_found()
        stack.run()
        more += stack.statements_found() - half
    return SHARE * 2.0 * max(more, 0) / len(PLACES)


def _part(tape: Tape, start: int, end: int) -> Tape:
    text, starts = tape.text()
    begins = starts.nonzero()[0]
    first, last = int(begins[start]), int(begins[end])
    part = Tape()
    part.shapes = tape.shapes
    part.written(text[first:last], starts[first:last])
    return part
