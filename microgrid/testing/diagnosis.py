"""Diagnosis of a wrong gradient: the op and operand whose rule is wrong; or, with all rules right, the faulty
accumulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from microgrid.core.primitive import Op, built_in
from microgrid.numbers.arithmetic import UnknownFunction
from microgrid.program import Instruction, Program, needed
from microgrid.testing.enclosure import enclosures, nearest_float
from microgrid.testing.report import Report

CheckProgram = Callable[[Program, Sequence[float]], Report]


def diagnose(program: Program, at: Sequence[float], check: CheckProgram) -> str:
    """Return the culprit and the smallest program that shows it, for a wrong gradient of the engine."""
    first = len(program.inputs) + len(program.constants)
    tried = set()
    for k, (instruction, given, _) in reversed(list(enumerate(program.evaluated(at)))):
        if (instruction.op, *given) in tried:
            continue
        tried.add((instruction.op, *given))
        label = program.labels.get(first + k, "")
        if found := _wrong_rule(instruction, given, label, check):
            return found
    return _wrong_accumulation(program, at, check)


def wrong_value(program: Program, at: Sequence[float]) -> str:
    """Return the first op whose forward function differs from its definition; "" if none does.

    An op of the user is also compared near the point, since a derivative depends on the values around it.
    """
    seen = set()
    for (op, _), given, _ in program.evaluated(at):
        if (op, *given) in seen:
            continue
        seen.add((op, *given))
        moving = op.arity - op.static
        beside = (
            [] if op.name in built_in else [[x * s for x in given[:moving]] + given[moving:] for s in (0.999, 1.001)]
        )
        for operands_there in (given, *beside):
            if found := _wrong_value(op, operands_there):
                return found
    return ""


def _wrong_value(op: Op, given: Sequence[float]) -> str:
    result = op.forward(*given)
    if not all(math.isfinite(x) and (x or math.copysign(1.0, x) > 0.0) for x in (result, *given)):
        return ""  # exact numbers have no -0.0
    part = alone(op, given)
    try:
        (enclosed,) = enclosures(part, given[: len(part.inputs)])
    except UnknownFunction:
        return ""
    if enclosed is None:
        return ""
    low, high = enclosed
    slack = Fraction(64 * math.ulp(result))
    if op.sensitive:  # an ulp of an operand counts, too
        slack += (abs(Fraction(result)) + Fraction(max(map(abs, given))) / 10**3) / 10**9
    if low - slack <= Fraction(result) <= high + slack:
        return ""
    values = ", ".join(map(repr, given))
    return f"{op.name}({values}) gave {result!r}, but is {nearest_float((low + high) / 2)!r}"


def alone(op: Op, given: Sequence[float]) -> Program:
    """Return the program of the op alone, with its static operands."""
    count = op.arity - op.static
    names = [f"x{i}" for i in range(count)]
    return Program(
        names,
        names,
        given[count:],
        [Instruction(op, tuple(range(op.arity)))],
        [op.arity],
        in_structure=range(count),
        out_structure=0,
    )


def _wrong_rule(instruction: Instruction, given: Sequence[float], label: str, check: CheckProgram) -> str:
    op = instruction.op
    part = alone(op, given)
    count = len(part.inputs)
    for i, found in enumerate(check(part, given[:count]).checks):
        if found.verdict == "FAIL":
            should = "" if found.numerical.middle is None else f", should be {nearest_float(found.numerical.middle)!r}"
            where = f"{op.name}({', '.join(f'{x:.6g}' for x in given)})" + (f", which is {label}" if label else "")
            point = ", ".join(map(repr, given[:count]))
            return (
                f"culprit: the rule of {op.name}, by its operand {i}, at {where}: it is {found.analytic!r}{should}\n"
                f"to see it: check_gradient(lambda {', '.join(part.inputs)}: {part.expression()}, {point})"
            )
    return ""


def _wrong_accumulation(program: Program, at: Sequence[float], check: CheckProgram) -> str:
    """Return the smallest program whose gradient is wrong: its earliest result, its fewest operations."""
    first = len(program.inputs)
    numbers = [*at, *program.constants]
    steps: dict[int, Instruction] = {}
    for instruction, _, result in program.evaluated(at):
        steps[len(numbers)] = instruction
        numbers.append(result)
    constants = range(first, first + len(program.constants))

    by_rules = any(found.rule is False for found in check(program, at).checks)
    choice = "a choice that holds at this point only, as of equal, here or in a rule that this was recorded from"
    fault = choice if by_rules else "accumulation or order"

    def fails(kept: dict[int, Instruction], output: int) -> tuple[Program, list[float]] | None:
        part, point = _part(kept, output, numbers, constants)
        return (part, point) if check(part, point).verdict == "FAIL" else None

    for output in list(steps):
        kept = {slot: step for slot, step in steps.items() if slot <= output}
        smallest = fails(kept, output)
        if smallest is not None:
            for slot in list(kept)[:-1]:  # try its result as an input instead
                fewer = {k: step for k, step in kept.items() if k != slot}
                found = fails(fewer, output)
                if found is not None:
                    kept, smallest = fewer, found
            part, point = smallest
            return (
                f"culprit: no rule is wrong, so it is {fault}; the smallest program that shows it:\n"
                f"{part}\nto see it: check_gradient(f, {', '.join(map(repr, point))})"
            )
    return "culprit: no rule is wrong, and each part by itself is right"


def _part(
    steps: dict[int, Instruction], output: int, numbers: Sequence[float], constants: range
) -> tuple[Program, list[float]]:
    """Return the program of the steps that the output needs, with inputs for the rest; and their indices."""
    slots = needed([output], steps.items())
    live = {slot: step for slot, step in steps.items() if slot in slots}
    inputs = sorted(slot for slot in slots if slot not in live and slot not in constants)
    known = sorted(slot for slot in slots if slot in constants)
    new = {slot: i for i, slot in enumerate([*inputs, *known, *live])}
    names = [f"x{i}" for i in range(len(inputs))]
    part = Program(
        names,
        names,
        [numbers[slot] for slot in known],
        [Instruction(op, tuple(new[i] for i in operands)) for op, operands in live.values()],
        [new[output]],
        in_structure=range(len(inputs)),
        out_structure=0,
    )
    return part, [numbers[slot] for slot in inputs]
