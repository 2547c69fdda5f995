"""`Stored` code run in Python, iterations side by side included: the compiler's own stages without LLVM's time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from microgrid.compiler.code import SUMMED, Accumulate, Apply, Code, Guard, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.poly import Poly
from microgrid.core.primitive import OPS

Copy = tuple[dict[int, int], dict[int, float]]
"""One of the iterations that run side by side: its counters, and its registers."""


def passed(op: str, *xs: float) -> float:
    """An op of a tape or of code, on floats."""
    if op == SUMMED["mul"]:
        return xs[2] + xs[0] * xs[1]
    if op == SUMMED["neg"]:
        return xs[2] - xs[0] * xs[1]
    op = "scaled" if op == SUMMED["scaled"] else op
    if op == "passed":
        return xs[0] + 0.0 if len(xs) == 1 else xs[1] + (xs[0] + 0.0)
    if op == "negated":
        return 0.0 - xs[0] if len(xs) == 1 else xs[1] + (0.0 - xs[0])
    if op in ("scaled", "chosen"):
        product = xs[0] * xs[1]
        if xs[0] == 0.0 or (op == "chosen" and xs[1] == 0.0 and math.isnan(product)):
            product = 0.0
        return product if len(xs) == 2 else xs[2] + product
    return OPS[op].forward(*xs)


def interpreted(stored: Stored, x: Sequence[float], p: Sequence[float], jam: int) -> tuple[list[float], list[float]]:
    """The results and the sums for one sample, with so many iterations side by side where a loop allows it."""
    memory = {name: [math.nan] * size for name, size in stored.sizes.items()}
    memory |= {"x": [*x], "p": [*p], "c": [*stored.table], "s": [1.0], "d": [0.0] * stored.sizes["d"]}
    for segment in (*stored.segments, stored.sums):
        _Interpreter(memory, jam).run(segment, [({}, {})])
    return memory["y"], memory["d"]


class _Interpreter:
    def __init__(self, memory: dict[str, list[float]], jam: int) -> None:
        self.memory = memory
        self.jam = jam

    def run(self, code: Sequence[Code], copies: Sequence[Copy]) -> None:
        for item in code:
            if isinstance(item, Repeat):
                self.repeat(item, copies)
                continue
            if isinstance(item, Guard):
                self.guard(item, copies)
                continue
            for counters, registers in copies:
                if isinstance(item, Load):
                    registers[item.target] = self.memory[item.array][_place(item.cell, counters)]
                elif isinstance(item, Apply):
                    registers[item.target] = passed(item.op, *[_number(x, registers) for x in item.operands])
                elif isinstance(item, Store):
                    self.memory[item.array][_place(item.cell, counters)] = _number(item.value, registers)
                elif isinstance(item, Accumulate):
                    place = _place(item.cell, counters)
                    given = [_number(x, registers) for x in item.operands]
                    array = self.memory[item.array]
                    array[place] = passed(item.op, *given, array[place])

    def guard(self, item: Guard, copies: Sequence[Copy]) -> None:
        (runs,) = {_place(item.times, counters) > 0 for counters, _ in copies}
        if runs:
            self.run(item.body, copies)
        for _, registers in copies:
            values = [_number(after if runs else none, registers) for _, none, after in item.results]
            registers.update(zip([register for register, _, _ in item.results], values, strict=True))

    def repeat(self, loop: Repeat, copies: Sequence[Copy]) -> None:
        (times,) = {_place(loop.times, counters) for counters, _ in copies}
        assert times > 0
        for _, registers in copies:
            firsts = [_number(first, registers) for _, first, _ in loop.kept]
            registers.update(zip([register for register, _, _ in loop.kept], firsts, strict=True))
        width = self.jam if loop.vectorises or (loop.jams and len(copies) == 1) else 1
        start = 0
        while start < times:
            count = width if start + width <= times else 1
            inner = [
                ({**counters, loop.counter: start + u}, registers if count == 1 else dict(registers))
                for counters, registers in copies
                for u in range(count)
            ]
            if count > 1 and loop.kept:
                self.in_order(loop, inner, copies)
            else:
                self.run(loop.body, inner)
            start += count
            if start < times:  # after the last one, registers keep what they were: others hold what comes after
                for _, registers in copies:
                    after = [registers[register] for _, _, register in loop.kept]
                    registers.update(zip([register for register, _, _ in loop.kept], after, strict=True))

    def in_order(self, loop: Repeat, inner: Sequence[Copy], copies: Sequence[Copy]) -> None:
        """Run iterations side by side, then add to the sums, one iteration after the other."""
        sums = [item for item in loop.body if isinstance(item, Apply) and item.target in loop.partial]
        self.run([item for item in loop.body if item not in sums], inner)
        each = len(inner) // len(copies)
        for k, (_, registers) in enumerate(copies):
            for u, (counters, own) in enumerate(inner[k * each : k * each + each]):
                if u:
                    registers.update({register: registers[after] for register, _, after in loop.kept})
                own.update({register: registers[register] for register, _, _ in loop.kept})
                self.run(sums, [(counters, own)])
                registers.update({after: own[after] for _, _, after in loop.kept})


def _place(cell: Poly, counters: dict[int, int]) -> int:
    place = cell.base + sum(
        coefficient * math.prod([math.comb(counters[counter], degree) for counter, degree in powers])
        for powers, coefficient in cell.terms
    )
    assert place >= 0
    return place


def _number(x: Operand, registers: dict[int, float]) -> float:
    return registers[x] if isinstance(x, int) else x
