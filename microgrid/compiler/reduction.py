"""Fewer instructions before a tape is written: straight code is differentiated as a program and simplified.

Loops stay as they are: a gradient made as a program loses them, and a derivative taken of a simplified function loses
nans that recording has, such as that of sqrt(x) - sqrt(x) at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microgrid import ops
from microgrid.compiler.code import SUMMED
from microgrid.compiler.gradient import Native, Request, tape_of
from microgrid.compiler.roll import Rolled, unrolled
from microgrid.compiler.sampling import loops_of
from microgrid.compiler.tape import Tape
from microgrid.core.primitive import Op
from microgrid.graph.simplification import Simplified, simplified
from microgrid.program import Instruction, Program, named

MOST = 5_000
"""Maximum number of instructions of a function whose gradient is made as a program."""

WORTH = 0.9
"""Largest fraction of the instructions, results not counted, with which a program replaces the original."""


class Source(NamedTuple):
    """A program, the task of its tape, and the index of the traced instruction that each of its own computes.

    `finite`: it is one of second derivatives, which may be nan where an argument is inf or nan and a factor of exactly
    0 keeps that from the recorded ones.
    """

    program: Program
    request: Request
    finite: bool = False
    origins: dict[int, int] | None = None

    def tape(self, native: Native, early: Native | None = None) -> Tape:
        """Return the tape."""
        tape = tape_of(self.program, self.request, native, early)
        if self.origins is not None:
            tape.names = self.origins
        return tape


def reduced(
    source: Source, native: Native, strict: bool, straight: Tape, rolled: Rolled | None
) -> tuple[Source, Tape, Rolled]:
    """Return a source with fewer instructions, its tape and its loops; the given ones where there is none.

    Loops of a given tape that were not looked for are only where there is none.

    Without `strict`, zeros lose their signs, and products that are added to a sum of cotangents are fused with it.
    """
    count = straight.count()
    loops = rolled is not None and 2 * rolled.elements <= count
    request = source.request
    if request.total or (request.by and (loops or len(source.program.instructions) > MOST)):
        return source, straight, rolled or loops_of(straight)
    smaller = _differentiated(source, strict) if request.by else _simplified(source, strict)
    tape = smaller.tape(native)
    results = tape.sizes["y"] + tape.sizes["d"]
    steps = tape.count()
    if steps - results > WORTH * (count - results):
        return source, straight, rolled or loops_of(straight)
    found = loops_of(tape)
    if 2 * found.elements > steps:  # loops of three steps here and there would move numbers to memory
        return smaller, tape, unrolled(tape)
    if rolled is None or found.elements <= rolled.elements:
        return smaller, tape, found
    return source, straight, rolled


def _simplified(source: Source, strict: bool) -> Source:
    program = source.program
    given = len(program.inputs), program.constants, program.instructions, program.outputs
    found = simplified(*given, signed_zeros=strict, finite_arguments=source.finite)
    return Source(_program(program, found), source.request, source.finite, _origins(program, found))


def _differentiated(source: Source, strict: bool) -> Source:
    """Return the program of the results, and of the derivatives by the inputs that are asked for."""
    program, request = source.program, source.request
    slopes = program.gradient(value=True)
    own = [slopes.outputs[i] for i in request.by if not request.shared[i]]
    sums = [slopes.outputs[i] for i in request.by if request.shared[i]]
    constants, instructions, outputs = list(slopes.constants), list(slopes.instructions), [*own, *sums]
    if strict:  # a leaf adds its gradient to 0.0
        constants, instructions, outputs = _added_to_zero(slopes, outputs)
    outputs.insert(0, slopes.outputs[-1] + strict * (slopes.outputs[-1] >= len(slopes.inputs) + len(slopes.constants)))
    found = simplified(len(slopes.inputs), constants, instructions, outputs, strict)
    if not strict:
        found = _fused(found, len(slopes.inputs), _made(slopes, found, len(program.instructions)))
    task = Request(request.shared, sums=len(sums))
    return Source(_program(slopes, found), task, origins=_origins(slopes, found, len(program.instructions)))


def _added_to_zero(program: Program, outputs: Sequence[int]) -> tuple[list[float], list[Instruction], list[int]]:
    """Return constants, instructions and outputs with 0.0 added to each of the outputs."""
    zero = len(program.inputs) + len(program.constants)
    instructions = [
        Instruction(op, tuple([i + (i >= zero) for i in operands])) for op, operands in program.instructions
    ]
    first = zero + 1 + len(instructions)
    instructions += [Instruction(ops.add, (i + (i >= zero), zero)) for i in outputs]
    return [*program.constants, 0.0], instructions, list(range(first, first + len(outputs)))


def _program(program: Program, found: Simplified) -> Program:
    return Program(
        program.parameters,
        program.inputs,
        found.constants,
        named(found.instructions),
        found.outputs,
        in_structure=program.in_structure,
        out_structure=list(range(len(found.outputs))),
    )


def _made(program: Program, found: Simplified, count: int) -> set[int]:
    """Return the slots that hold results of the first so many instructions of the original program."""
    first = len(program.inputs) + len(program.constants)
    return set(found.places[first : first + count])


def _origins(program: Program, found: Simplified, count: int | None = None) -> dict[int, int]:
    """Return the original instruction, one of the first so many, for each index of an instruction that is one."""
    before = len(program.inputs) + len(program.constants)
    after = len(program.inputs) + len(found.constants)
    places = found.places[before:][:count]
    return {slot - after: k for k, slot in reversed(list(enumerate(places))) if slot >= after}


_FUSED = {
    name: Op(name, forward, lambda z, x, y, s: (y, x, 1.0), 3, 0, (), "", 0, "")
    for name, forward in ((SUMMED["mul"], lambda x, y, s: s + x * y), (SUMMED["neg"], lambda x, y, s: s - x * y))
}
"""Products added to a sum, and subtracted from one."""

_GENTLE = {ops.add, ops.sub, ops.mul, ops.neg, ops.sin, ops.cos, ops.exp, ops.tanh, ops.sigmoid}
"""Ops with finite slopes wherever operands and results are finite."""


def _fused(found: Simplified, inputs: int, kept: set[int]) -> Simplified:
    """Return instructions with products fused that are added to sums of cotangents: all but the slots that are kept.

    A product is fused where nobody else needs it. With another product or quotient it is fused only if no slope can be
    infinite: what two of them leave where they cancel is 0 else, as in recording, and passes nothing on.
    """
    steep = any(op not in _GENTLE for op, _ in found.instructions)
    first = inputs + len(found.constants)
    users = [0] * (first + len(found.instructions))
    for slot in found.outputs:
        users[slot] += 2
    for _, operands in found.instructions:
        for slot in operands:
            users[slot] += 1
    instructions = list(found.instructions)
    gone: set[int] = set()
    for k, (op, operands) in enumerate(found.instructions):
        if first + k in kept or op not in (ops.add, ops.sub):
            continue
        for i in (1, 0) if op is ops.add else (1,):
            product, other = operands[i] - first, operands[1 - i] - first
            if steep and other >= 0 and found.instructions[other][0] in (ops.mul, ops.div):
                continue
            if product >= 0 and users[operands[i]] == 1 and found.instructions[product][0] is ops.mul:
                name = SUMMED["mul" if op is ops.add else "neg"]
                instructions[k] = _FUSED[name], (*found.instructions[product][1], operands[1 - i])
                gone.add(product)
                break
    place = list(range(first))
    live: list[tuple[Op, tuple[int, ...]]] = []
    for k, (op, operands) in enumerate(instructions):
        place.append(first + len(live) if k not in gone else -1)
        if k not in gone:
            live.append((op, tuple([place[i] for i in operands])))
    places = [slot if slot < 0 else place[slot] for slot in found.places]
    return Simplified(found.constants, live, [place[i] for i in found.outputs], places)
