"""From a program with loops to that of the tangents of its results: forward mode, with the loops as they are.

Each slot gets another one for its tangent, and so does each number of a carry, of x and of y. The gradient of a tangent
along v is the Hessian times v, so that second derivatives have the loops of the function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microgrid.compiler.looped import Looped, Repeated, used
from microgrid.core.scope import plainly_recording, reading
from microgrid.engine import Value
from microgrid.graph.linearize import Linearization
from microgrid.numbers.arithmetic import VALUES
from microgrid.program import Instruction, Program, no_branch_in_a_rule

Pair = tuple[int, int]
"""A slot, and that of its tangent."""


def tangents(program: Looped) -> Looped:
    """Return the program of the tangents of all results, whose inputs are those of the program, then their tangents.

    Raises TypeError where a rule branches on a number.
    """
    names = [*program.parameters, *[f"tangent_{name}" for name in program.parameters]]
    labels = [*program.inputs, *[f"tangent {label}" for label in program.inputs]]
    count = len(program.inputs)
    return _looped(program, (count,), (len(program.outputs),), names, labels, alone=True)


def _pushed(program: Program | Looped, inputs: Sequence[int], outputs: Sequence[int]) -> Program | Looped:
    """Return the program of results and tangents. Inputs and outputs are in groups of so many, each of which is
    followed by its tangents."""
    if isinstance(program, Looped):
        names = ("",) * (2 * len(program.inputs))
        return _looped(program, inputs, outputs, names, names)
    pairs = _pairs(inputs)
    return _straight(program, pairs, 2 * len(pairs), outputs)


def _looped(
    program: Looped,
    inputs: Sequence[int],
    outputs: Sequence[int],
    names: Sequence[str],
    labels: Sequence[str],
    alone: bool = False,
) -> Looped:
    """Return the program of results and tangents; of the tangents `alone`."""
    pairs = _pairs(inputs)
    ends = [len(stage.outputs) for stage in program.stages]
    last = len(ends) - 1
    total = 2 * len(pairs)
    for i, end in enumerate(ends):
        found = _pairs([end] if i < last else outputs)
        pairs += [(total + a, total + b) for a, b in found[:end]]
        total += end if alone and i == last else 2 * end
        if i < last:
            loop = program.loops[i]
            rows = _pairs([loop.carry, *[loop.ys] * loop.times])
            pairs += [(total + a, total + b) for a, b in rows]
            total += 2 * len(rows)
    stages = []
    for i, stage in enumerate(program.stages):
        groups = outputs if i == last and not alone else [len(stage.outputs)]
        stages.append(_straight(stage, pairs, total, groups, alone and i == last))
    loops = [_repeated(loop, pairs) for loop in program.loops]
    structure: Any = program.out_structure if alone else list(range(2 * len(program.outputs)))
    return Looped(names, labels, stages, loops, range(len(names)), structure)


def _repeated(loop: Repeated, pairs: Sequence[Pair]) -> Repeated:
    """Return the loop of a step and its tangents, given the slots of the program around."""
    outside = loop.outside
    operands = _both(loop.operands[: loop.carry], pairs)
    for t in range(loop.times):
        operands += _both(loop.x(t), pairs)
    operands += _both(outside, pairs)
    step = _pushed(loop.step, (loop.carry, loop.xs, len(outside)), (loop.carry, loop.ys))
    return loop._replace(
        step=step,
        carry=2 * loop.carry,
        xs=2 * loop.xs,
        ys=2 * loop.ys,
        given=(*loop.given, *[loop.xs + i for i in loop.given]),
        operands=tuple(operands),
        same=(-1,) * (2 * loop.ys),
        condition=None if loop.condition is None else _shifted(loop.condition, loop.carry),
    )


def _shifted(condition: Program, carry: int) -> Program:
    """Return a condition whose carry is followed by its tangents."""

    def moved(slot: int) -> int:
        return slot if slot < carry else slot + carry

    instructions = [Instruction(op, tuple(map(moved, operands))) for op, operands in condition.instructions]
    return _program(len(condition.inputs) + carry, condition.constants, instructions, map(moved, condition.outputs))


def _straight(
    program: Program, pairs: Sequence[Pair], total: int, groups: Sequence[int], alone: bool = False
) -> Program:
    """Return a straight program of so many slots, with the tangents of its results."""
    takes = sorted(used(program))
    first = len(program.inputs)
    own = {slot: k for k, slot in enumerate(takes)}

    def compact(slot: int) -> int:
        return own[slot] if slot < first else slot - first + len(takes)

    instructions = [Instruction(op, tuple(map(compact, operands))) for op, operands in program.instructions]
    small = _program(len(takes), program.constants, instructions, map(compact, program.outputs))
    with plainly_recording(), reading(no_branch_in_a_rule):
        given = [Value(0.5) for _ in takes]
        moved = [Value(0.5) for _ in takes]
        results = small.replay(given, VALUES)
        slopes = Linearization(results, given).push_values(moved)
    found = Program.of(slopes if alone else _grouped(results, slopes, groups), [*given, *moved])
    slots = [*[pairs[slot][0] for slot in takes], *[pairs[slot][1] for slot in takes]]

    def placed(slot: int) -> int:
        return slots[slot] if slot < len(slots) else slot - len(slots) + total

    instructions = [Instruction(op, tuple(map(placed, operands))) for op, operands in found.instructions]
    return _program(total, found.constants, instructions, map(placed, found.outputs))


def _program(inputs: int, constants: Any, instructions: Any, outputs: Any) -> Program:
    slots, names = list(outputs), ("",) * inputs
    return Program(
        names, names, constants, instructions, slots, in_structure=range(inputs), out_structure=list(range(len(slots)))
    )


def _pairs(groups: Sequence[int]) -> list[Pair]:
    """Return the pairs of what stands in groups, each followed by its tangents."""
    found: list[Pair] = []
    for size in groups:
        first = 2 * len(found)
        found += [(first + i, first + size + i) for i in range(size)]
    return found


def _grouped(items: Sequence[Any], slopes: Sequence[Any], groups: Sequence[int]) -> list[Any]:
    """Return items in groups, each followed by its tangents."""
    found: list[Any] = []
    first = 0
    for size in groups:
        found += [*items[first : first + size], *slopes[first : first + size]]
        first += size
    return found


def _both(slots: Sequence[int], pairs: Sequence[Pair]) -> list[int]:
    """Return the slots of some numbers, then those of their tangents."""
    return [*[pairs[slot][0] for slot in slots], *[pairs[slot][1] for slot in slots]]
