"""Comparison of the first result of new code with recording at the same numbers.

Rounding differs, so numbers that are not nearly the same are judged by replays in which every operation is moved by
some units in the last place: after D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002 (1997), section 5. Where
these replays scatter, as after a cancellation, at a tie or near an overflow, so may the result of code that is right.
"""

from __future__ import annotations

import math
import random
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from microgrid.compiler.kernel import CHUNKS
from microgrid.compiler.looped import Looped, replayed, size
from microgrid.core.scope import plainly_recording
from microgrid.engine import Value
from microgrid.graph.linearize import Linearization
from microgrid.graph.passes import backpropagation
from microgrid.numbers.arithmetic import VALUES
from microgrid.program import Program

if TYPE_CHECKING:
    from microgrid.compiler.plan import Plan

NEAR = 1e-13
"""Relative difference up to which numbers are equal but for rounding, whatever was computed."""

MOVED = 2.0**-48
"""Largest relative change of an operation in a replay: 16 units in the last place."""

UNIT = 2.0**-53 * 1.01
"""The relative change that moves any number by one unit in the last place."""

EXACT = frozenset("add sub mul div mod fmod neg abs relu clip maximum minimum multiply_no_nan zero_product".split())
"""Ops that round nothing, in any order, where their operands and the result are on the `GRID`."""

GRID = 2.0**-10
"""Multiples of it up to 65,536, of 26 bits, are what counts and comparisons make; their products have 52 bits."""

REPLAYS = (1, 6, 120)
"""Numbers of replays after which a result is judged: what the first one explains, more would; an error is raised only
after the last."""

FARTHER = 8.0
"""Largest distance of a result from the recorded one, as a multiple of that of the farthest replay."""

RECORDED = 5_000
"""Number of instructions of a program with loops that are recorded: of longer loops the first iterations alone."""

SHARE = 0.5
"""Fraction of the time of compilation after which no more rows of a batch are recorded."""


Moves = Callable[[], float]
"""The next relative change of an operation, drawn at random."""


class Recorded(NamedTuple):
    """The outputs of a program, and derivatives of the first one by some of its inputs, or by all as a linear map."""

    outputs: list[float]
    derivatives: list[float]
    linear: Linearization | None = None


def checked(plan: Plan, sources: Sequence[Any], shared: Any, samples: int, weight: float, got: tuple[Any, Any]) -> None:
    """Compare the results of a plan for its first samples with recording. Raises RuntimeError where they differ.

    Of many samples up to three are recorded, the last one first. Sums over samples are then compared for a batch of
    these rows alone, repeated so that it fills all lanes and more than one round of blocks where the samples did.
    """
    start = time.perf_counter()
    allowed = SHARE * sum(plan.seconds.values())
    table = None
    limit = limit_of(plan)
    if limit is not None:
        table = plan.limited(limit)
        got = plan.run(sources, shared, samples, weight, compare=False, table=table)
    rows: dict[int, Recorded] = {}
    for row in dict.fromkeys([samples - 1, 0, samples // 2]):
        if rows and (time.perf_counter() - start) * (1 + 1 / len(rows)) > allowed:
            break
        rows[row] = _recorded(plan, _numbers(plan, sources, shared, row), weight)
    replays = _Replays(plan, sources, shared, weight, rows)
    outputs, sums = got
    for row in rows:
        for place, mine in enumerate(outputs[row].tolist() if plan.outputs else []):
            theirs = replays.output(place, rows[row])
            if mine == theirs or (mine != mine and theirs != theirs):
                continue
            if plan.options.strict:
                raise RuntimeError(_difference(plan, replays.name(place), mine, theirs, 0.0))
            if not _near(mine, theirs, 0.0):
                replays.explain({row: 1}, place, mine, theirs)
    if plan.sums:
        count = min(samples, plan.mode.lanes * CHUNKS + len(rows))
        order = [list(rows)[i % len(rows)] for i in range(count)]
        if count < samples or len(rows) < samples:
            _, sums = plan.run([source[order] for source in sources], shared, count, weight, False, table)
        times = {row: order.count(row) for row in rows}
        for place, mine in enumerate(sums.tolist()):
            each = [replays.sum(place, rows[row]) for row in times]
            parts = [n * x for n, x in zip(times.values(), each, strict=True)]
            theirs = sum(parts)
            if mine == theirs or (mine != mine and theirs != theirs) or _near(mine, theirs, sum(map(abs, parts))):
                continue
            if math.isinf(sum(abs(part) for part, x in zip(parts, each, strict=True) if math.isfinite(x))):
                continue  # whether it overflows is a matter of the order of the terms
            replays.explain(times, plan.outputs + place, mine, theirs)
    plan.seconds["check"] = time.perf_counter() - start


def limit_of(plan: Plan) -> int | None:
    """Return the number of iterations of each loop that are compared; None for all."""
    program = plan.traced.program
    if not isinstance(program, Looped) or size(program, sys.maxsize) <= RECORDED:
        return None
    limit = 2
    while size(program, 2 * limit) <= RECORDED:
        limit *= 2
    return limit


def _near(mine: float, theirs: float, size: float) -> bool:
    return abs(mine - theirs) <= NEAR * max(abs(theirs), size)  # False where one is nan or both are infinite


def _numbers(plan: Plan, sources: Sequence[Any], shared: Any, row: int) -> list[float]:
    """Return the inputs of the program for a row."""
    own = iter([x for source in sources for x in source[row].ravel().tolist()])
    common = iter(shared.tolist())
    return [next(common if is_shared else own) for is_shared in plan.request.shared]


def _recorded(plan: Plan, numbers: Sequence[float], seed: float) -> Recorded:
    """Record the program at these numbers, where they are not those it was traced with, and differentiate it."""
    known = plan.traced.recording
    if known is not None and known.numbers.tobytes() == array("d", numbers).tobytes():
        return _differentiated(plan, seed, known.inputs, known.outputs, known.start)
    return _differentiated(plan, seed, *_replayed(plan, numbers))


def _differentiated(plan: Plan, seed: float, leaves: list[Value], outputs: list[Value], start: int = 0) -> Recorded:
    values = [output.item() for output in outputs]
    if not plan.request.by:
        return Recorded(values, [])
    linear = Linearization(outputs[:1], leaves, start)
    slopes = linear.pull([seed])
    return Recorded(values, [slopes[i] for i in plan.request.by], linear)


def _perturbed(plan: Plan, numbers: Sequence[float], seed: float, moves: Moves) -> Recorded:
    """Record the program and differentiate it, with each operation moved at random."""
    leaves, outputs = _replayed(plan, numbers, moves)
    values = [output.item() for output in outputs]
    if not plan.request.by:
        return Recorded(values, [])
    # Compiled code adds contributions in another order, in which those that cancel may have others between them.
    found = _passed_back(outputs[0], seed, lambda c: c + c * moves() if math.isfinite(c) else c)
    return Recorded(values, [found.get(leaves[i].number, 0.0) for i in plan.request.by])


def _replayed(plan: Plan, numbers: Sequence[float], moves: Moves | None = None) -> tuple[list[Value], list[Value]]:
    return replay_of(plan.traced.program, numbers, limit_of(plan), moves)


def replay_of(
    program: Program | Looped, numbers: Sequence[float], limit: int | None = None, moves: Moves | None = None
) -> tuple[list[Value], list[Value]]:
    """Return new inputs with these numbers, and the outputs that a program makes of them; with `moves`, with each
    operation moved at random."""
    leaves = [Value(x) for x in numbers]

    def straight(program: Program, inputs: Sequence[Any]) -> list[Any]:
        slots: list[Any] = [*inputs, *map(VALUES.number, program.constants)]
        for function, operands, _ in program._steps(VALUES):
            result = function(*[slots[i] for i in operands])
            slots.append(result if moves is None else _moved(result, moves))
        return [slots[i] for i in program.outputs]

    with plainly_recording():
        outputs = replayed(program, leaves, straight, limit or sys.maxsize)
        return leaves, [VALUES.number(x) if type(x) is float else x for x in outputs]


def _passed_back(root: Value, seed: float, move: Callable[[float], float]) -> dict[int, float]:
    """Return the cotangents, by the numbers of nodes, of a backward pass whose contributions are moved."""
    found = {root.number: seed}
    for _, _, contributions in backpropagation(root, seed, move):
        for passed in contributions:
            found[passed.operand.number] = found.get(passed.operand.number, 0.0) + passed.contribution
    return found


def moves_of(replay: int, source: random.Random) -> Moves:
    """Return the relative changes of operations in a replay: in three of four none, or one unit in the last place.

    Two numbers that are equal but for rounding may be unlike where recorded and equal where compiled: what `equal`, %,
    a quotient or a logarithm gives there is seen only in a replay in which they are equal. Of replays with moves of up
    to 16 units this is one in fifty, of those with moves of one unit one in ten.
    """
    if replay % 4 == 1:
        return lambda: MOVED * source.uniform(-1.0, 1.0)
    return lambda: source.choice((-UNIT, 0.0, UNIT))


def _moved(result: Value, moves: Moves) -> Value:
    if _is_exact(result):
        return result
    change = moves()
    moved = result + result * change if change and math.isfinite(result.item()) else result
    # subnormal numbers have no relative precision
    small = abs(result.item()) < 1e-290 and not _is_exact_zero(result)
    return moved + moves() * 2.0**52 * 5e-324 if small else moved


def _is_exact(x: Value) -> bool:
    """Return True for a result that has no rounding, such as one of comparisons: moved, `1 - a` is never 0."""
    if x.op is None or x.op.unrounded:
        return True
    return x.op.name in EXACT and all(map(_is_on_grid, [x.item(), *[v.item() for v in x.operands]]))


def _is_on_grid(x: float) -> bool:
    return abs(x) <= 64.0 / GRID and (x / GRID).is_integer()


def _is_exact_zero(x: Value) -> bool:
    """Return True for a 0 that is no underflow: that of a comparison, moved, would hold."""
    if x.item() or x.op is None:
        return False
    return x.op.name in ("add", "sub", "neg") or any(x.op.piecewise) or not all(v.item() for v in x.operands)


class _Replays:
    """Positions of a plan's results in the recording, and how far they scatter."""

    def __init__(
        self, plan: Plan, sources: Sequence[Any], shared: Any, weight: float, rows: dict[int, Recorded]
    ) -> None:
        self.plan = plan
        self.given = sources, shared
        self.weight = weight
        self.rows = rows
        self.source = random.Random(0)
        self.replayed: dict[int, list[Recorded]] = {}
        """A replay of a row, which is not what was traced if that was laid flat wrongly, and perturbed ones."""
        self.sizes: dict[int, list[float]] = {}
        request = plan.request
        self.plain = len(plan.traced.program.outputs) - request.total  # number of outputs before the derivatives
        self.own = [k for k, i in enumerate(request.by) if not request.shared[i]]
        self.common = [k for k, i in enumerate(request.by) if request.shared[i]]

    def output(self, place: int, recorded: Recorded) -> float:
        """Return an output of a sample."""
        if place < self.plain:
            return recorded.outputs[place + self.plan.request.total]
        return recorded.derivatives[self.own[place - self.plain]]

    def sum(self, place: int, recorded: Recorded) -> float:
        """Return a sample's contribution to a sum over samples."""
        if place < len(self.common):
            return recorded.derivatives[self.common[place]]
        return self.weight * recorded.outputs[0]

    def explain(self, times: dict[int, int], place: int, mine: float, theirs: float) -> None:
        """Raise RuntimeError where rounding does not explain an output of a row, or a sum over `times` rows.

        Derivatives are near one another, too, if they are for the size of what they are sums of.
        """
        if _near(mine, theirs, sum([n * self.terms(row, place) for row, n in times.items()])):
            return
        spread = 0.0
        for count in REPLAYS:
            spread = FARTHER * sum([n * self.spread(row, place, count) for row, n in times.items()])
            if spread == math.inf or abs(mine - theirs) <= spread:
                return
        raise RuntimeError(_difference(self.plan, self.name(place), mine, theirs, spread))

    def terms(self, row: int, place: int) -> float:
        """Return the sum of the absolute contributions of all paths to a derivative; 0 for what is none."""
        outputs = self.plan.outputs
        own, common = place - self.plain, place - outputs
        if own < 0 or common >= len(self.common):
            return 0.0
        linear = self.rows[row].linear
        if row not in self.sizes and linear is not None:
            self.sizes[row] = linear.pull([abs(self.weight)], absolute=True)
        k = self.own[own] if place < outputs else self.common[common]
        return self.sizes[row][self.plan.request.by[k]]

    def spread(self, row: int, place: int, count: int) -> float:
        """Return the spread of an output of a row, or of its contribution to a sum; inf if it is not always finite."""
        known = self.replayed.setdefault(row, [])
        if len(known) <= count:
            numbers = _numbers(self.plan, *self.given, row)
            if not known:
                known.append(_differentiated(self.plan, self.weight, *_replayed(self.plan, numbers)))
            known += [
                _perturbed(self.plan, numbers, self.weight, moves_of(k, self.source))
                for k in range(len(known), count + 1)
            ]
        outputs = self.plan.outputs
        first, *others = [
            self.output(place, each) if place < outputs else self.sum(place - outputs, each) for each in known
        ]
        if all(map(math.isfinite, [first, *others])):
            return max([abs(other - first) for other in others])
        return 0.0 if all(repr(other) == repr(first) for other in others) else math.inf

    def name(self, place: int) -> str:
        """Return the name of an output, or of a sum."""
        labels = self.plan.traced.program.inputs
        by = self.plan.request.by
        outputs = self.plan.outputs
        if place < self.plain:
            return "the value" if self.plain == 1 else f"result {place}"
        if place < outputs:
            return f"the derivative by {labels[by[self.own[place - self.plain]]]}"
        if place - outputs < len(self.common):
            return f"the derivative by {labels[by[self.common[place - outputs]]]}"
        return "the mean loss"


def _difference(plan: Plan, name: str, mine: float, theirs: float, spread: float) -> str:
    sizes = ", ".join([" ".join(line.split()) for line in plan.sizes()])
    explained = "to the bit, as it is strict" if plan.options.strict else f"rounding explains {spread:.3g}"
    return (
        f"{plan.traced.name}, compiled, is not what recording gives: {name} is {mine!r} compiled and {theirs!r} "
        f"recorded ({explained}); {sizes}. This is an error of microgrid, not of yours: please report it with the "
        "function and these numbers. compile(..., check=False) leaves this comparison out"
    )
