"""From a program with loops to LLVM IR: a function for each of its stages, and two for each loop.

In memory are the frame of the whole; for each loop the frame of its step, if it is large, and records: the carry and
the kept results of each iteration, or the carry of every so many, from which the backward pass computes them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microgrid.compiler.code import Stored
from microgrid.compiler.gradient import Native, Request
from microgrid.compiler.kernel import Kernel, layout
from microgrid.compiler.lanes import Mode
from microgrid.compiler.llvm import ATTRIBUTES, ModuleText, segment_of
from microgrid.compiler.loop_passes import SMALL, LoopPasses
from microgrid.compiler.loop_tapes import LoopFrame
from microgrid.compiler.loop_writer import WORK, FunctionText, LoopModule, LoopUnit, Placed, Stage, printed
from microgrid.compiler.looped import Looped, Repeated
from microgrid.compiler.roll import roll
from microgrid.compiler.storage import place
from microgrid.compiler.tape import Tape
from microgrid.core.primitive import Op
from microgrid.program import Program

INLINED = 200
"""Maximum number of statements of a stage that is inlined into its loop."""


class Lowered(NamedTuple):
    """Code of a program with loops, and what goes with it."""

    module: ModuleText
    table: tuple[float, ...]
    """Its first number limits the iterations of every loop."""
    outputs: int
    sums: int
    steps: int
    elements: int
    ops: dict[str, Op]
    unit: LoopUnit

    def __str__(self) -> str:
        lines = [*printed(self.unit), *printed(self.unit, forward=False)]
        return "\n".join(lines)


def lowered(program: Looped, request: Request, mode: Mode, columns: Sequence[int], native: Native) -> Lowered:
    """Return the code of a program with loops."""
    return _Writer(program, request, mode, native).all(columns)


class _Writer(LoopModule):
    """Writer of the module of a program."""

    def __init__(self, program: Looped, request: Request, mode: Mode, native: Native) -> None:
        super().__init__(mode, bool(request.by))
        self.program = program
        self.request = request
        self.native = native
        self.memory = 0
        self.work = 0
        self.steps = 0
        self.elements = 0

    def all(self, columns: Sequence[int]) -> Lowered:
        shared = [i for i, is_shared in enumerate(self.request.shared) if is_shared]
        places = {slot: i for i, slot in enumerate(shared)}
        unit = self.unit(self.program, places)
        frame = self.region(unit.frame.size)
        own = [i for i in self.request.by if not self.request.shared[i]]
        common = [i for i in self.request.by if self.request.shared[i]]
        sums = len(common) + self.request.total
        summed = self.region(sums)
        self.whole(unit, frame, own, common, summed)
        if sums:
            self.sums(sums, summed)
        sizes = {
            "x": len(self.request.shared) - len(shared),
            "y": len(self.program.outputs) - self.request.total + len(own),
            "s": 0,
            "v": self.memory,
            "t": self.work,
            "g": 0,
            "a": 0,
            "d": sums,
        }
        kernel = Kernel(Stored(((),), (), sizes, tuple(self.table)), self.mode, columns, int(bool(sums)), chunks=1)
        text, scratch = kernel.text()
        every = "\n\n".join([*self.parts, text, *sorted(self.intrinsics), ATTRIBUTES]) + "\n"
        module = ModuleText(every, tuple(self.called), scratch)
        return Lowered(module, tuple(self.table), sizes["y"], sums, self.steps, self.elements, self.ops, unit)

    def region(self, size: int) -> int:
        """Reserve memory; return its place, in vectors."""
        self.memory += size
        return self.memory - size

    # Units.

    def unit(self, program: Program | Looped, shared: dict[int, int]) -> LoopUnit:
        """Write the functions of a program and of all loops within."""
        frame = LoopFrame(program, shared, self.native, self.gradient)
        forward = [self.stage(tape, first) for tape, first in zip(frame.forward, frame.exported, strict=True)]
        backward = [self.stage(tape, None) for tape in frame.backward]
        loops = []
        for loop, first in zip(frame.loops, frame.repeated, strict=True):
            loops.append(self.loop(loop, first, frame))
        return LoopUnit(frame, forward, backward, loops)

    def stage(self, tape: Tape, first: int | None) -> Stage | None:
        """Write the functions of a tape, of which y begins at a slot; or x and y are one array."""
        if not tape.steps:
            return None
        rolled = roll(tape)
        stored = place(rolled, alone=self.mode.lanes == 1)
        self.steps += len(tape.steps)
        self.elements += rolled.elements
        for name, op in tape.ops.items():
            if self.ops.setdefault(name, op) is not op:
                raise TypeError(f"two ops are called {name}, one of them declared again: give it another name")
        arrays = ["ptr noalias %p", "ptr noalias %c", "ptr %x", "ptr %y"]
        if first is not None:
            arrays[2:] = ["ptr noalias %x", "ptr noalias %y"]
        arrays += ["ptr %s", *[f"ptr noalias %{array}" for array in WORK], "ptr %functions"]
        inlined = "alwaysinline" if len(stored.segments) == 1 and rolled.elements <= INLINED else "noinline"
        functions = []
        for segment in stored.segments:
            name = f"stage{self.name()}"
            head = f"{name}({', '.join(arrays)}"
            self.parts.append(segment_of(segment, self.mode, self.called, self.intrinsics, head, inlined))
            functions.append(name)
        work, size = layout(stored.sizes, 1, WORK)
        self.work = max(self.work, size)
        constants = len(self.table)
        self.table += stored.table
        return Stage(tuple(functions), work, constants, rolled)

    def loop(self, loop: Repeated, first: int, parent: LoopFrame) -> Placed:
        """Write the functions of a loop whose results begin at a slot of the frame around."""
        inputs = loop.carry + loop.xs
        shared = {inputs + i: parent.shared[slot] for i, slot in enumerate(loop.outside) if slot in parent.shared}
        unit = self.unit(loop.step, shared)
        condition = None
        if loop.condition is not None:
            some = {loop.carry + i: parent.shared[slot] for i, slot in enumerate(loop.outside) if slot in parent.shared}
            asked = LoopFrame(loop.condition, some, self.native, gradient=False)
            condition = self.stage(asked.forward[0], asked.exported[0])
        straight = len(unit.frame.stages) == 1
        kept = unit.frame.kept if straight else 0
        width = loop.carry + kept
        segment = loop.segment if self.gradient and 0 < loop.segment < loop.times else 0
        found = Placed(
            self.name(),
            loop._replace(segment=segment),
            unit,
            condition,
            self.region(0 if unit.frame.size <= SMALL else unit.frame.size),
            self.region(width * (segment or loop.times) if self.gradient else 0),
            width,
            kept,
            self.region(loop.carry * -(-loop.times // segment) if segment else 0),
            self.region(loop.carry + 2),
        )
        LoopPasses(self, found, first, parent).forward()
        if self.gradient:
            LoopPasses(self, found, first, parent).backward()
        return found

    # The whole.

    def whole(self, unit: LoopUnit, at: int, own: Sequence[int], common: Sequence[int], summed: int) -> None:
        """Write the function that the kernel calls for a block of samples."""
        arrays = ", ".join(["ptr %p", "ptr %c", "ptr %x", "ptr %y", "ptr %s", "ptr %memory", "ptr %work"])
        text = FunctionText(self, f"segment0({arrays}, ptr %g, ptr %a, ptr %functions, {self.vector} %seed")
        limit = text.set("load double, ptr %c, align 8")
        text.do(f"%limit = fptosi double {limit} to i64")
        frame = text.at("%memory", at)
        slots, program = unit.frame.slots, unit.frame
        shares = self.request.shared
        x = [i for i, is_shared in enumerate(shares) if not is_shared]
        text.copy(frame, "%x", list(zip(x, range(len(x)), strict=True)))
        p = [i for i, is_shared in enumerate(shares) if is_shared]
        text.copy(frame, "%p", list(zip(p, range(len(p)), strict=True)), spread=True)
        text.run(unit, frame)
        outputs = range(program.first_output + int(self.request.total), slots)
        text.copy("%y", frame, list(enumerate(outputs)))
        if self.request.total:
            value = text.load(frame, program.first_output)
            matters = text.set(f"fcmp une {self.vector} %seed, {text.zero}")
            product = text.set(f"fmul {self.vector} %seed, {value}")
            product = text.set(f"select {self.bits} {matters}, {self.vector} {product}, {self.vector} {text.zero}")
            text.store(product, text.at("%memory", summed), len(common))
        if self.gradient:
            cotangents = text.at(frame, slots)
            text.clear(cotangents, slots)
            text.store("%seed", cotangents, program.first_output)
            text.run_back(unit, frame)
            text.copy("%y", cotangents, [(len(outputs) + i, slot) for i, slot in enumerate(own)])
            text.copy(text.at("%memory", summed), cotangents, list(enumerate(common)))
        text.end()

    def sums(self, count: int, summed: int) -> None:
        """Write the function that adds the sums over the lanes of a block."""
        arrays = ", ".join(["ptr %p", "ptr %c", "ptr %x", "ptr %y", "ptr %s", "ptr %memory", "ptr %work"])
        text = FunctionText(self, f"sums0({arrays}, ptr %g, ptr %a, ptr %functions, ptr %d, i64 %chunks, double %seed")
        lanes = self.mode.lanes
        sums = text.at("%memory", summed)
        with text.loop("0", str(count)) as i:
            number = text.load(sums, i)
            if lanes > 1:
                reduce = f"@llvm.vector.reduce.fadd.v{lanes}f64(double"
                self.intrinsics.add(f"declare double {reduce}, {self.vector})")
                number = text.set(f"call reassoc double {reduce} -0.0, {self.vector} {number})")
            place = text.set(f"getelementptr double, ptr %d, i64 {i}")
            total = text.set(f"fadd double {text.set(f'load double, ptr {place}, align 8')}, {number}")
            text.do(f"store double {total}, ptr {place}, align 8")
        text.end()
