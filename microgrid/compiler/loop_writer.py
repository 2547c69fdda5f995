"""Writer of functions in LLVM IR that move cells and repeat: what the functions of loops are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.lanes import Mode
from microgrid.compiler.loop_tapes import LoopFrame, runs_of
from microgrid.compiler.looped import Repeated
from microgrid.compiler.roll import Rolled
from microgrid.core.primitive import Op

STRAIGHT = 16
"""Maximum number of cells that are copied without a loop."""

WORK = ("v", "t", "g", "a")
"""Arrays of a stage that nothing else reads."""

EVERY = "ptr %memory, ptr %work, ptr %p, ptr %c, ptr %functions, i64 %limit"
"""Parameters of every function of a loop, after the frame around."""


class LoopModule:
    """State that the functions of a module share: their texts, the functions that they call, and constants."""

    def __init__(self, mode: Mode, gradient: bool) -> None:
        self.mode = mode
        self.gradient = gradient
        self.vector = "double" if mode.lanes == 1 else f"<{mode.lanes} x double>"
        self.bits = "i1" if mode.lanes == 1 else f"<{mode.lanes} x i1>"
        self.called: dict[str, int] = {}
        self.intrinsics = {"declare i64 @llvm.smax.i64(i64, i64)"}
        self.parts: list[str] = []
        self.table: list[float] = [0.0]
        self.ops: dict[str, Op] = {}
        self.names = 0

    def name(self) -> int:
        """Return a fresh number for a name."""
        self.names += 1
        return self.names


class LoopUnit(NamedTuple):
    """A frame with the functions of its stages and loops, by number."""

    frame: LoopFrame
    forward: list[Stage | None]
    backward: list[Stage | None]
    loops: list[Placed]

    def taken(self) -> set[int]:
        """Return the slots that loops within take from the frame: a shared number has to be there, too, for them."""
        found: set[int] = set()
        for loop, unit in [(placed.loop, placed.unit) for placed in self.loops]:
            found.update(loop.operands[: len(loop.operands) - len(loop.outside)])
            within, first = unit.taken(), loop.carry + loop.xs
            found.update([slot for i, slot in enumerate(loop.outside) if first + i in within])
        return found


class Stage(NamedTuple):
    """Functions of a stage's segments, their work memory, and the place of their constants."""

    functions: tuple[str, ...]
    work: dict[str, int]
    constants: int
    rolled: Rolled


class Placed(NamedTuple):
    """A loop, the unit of its step, and places in memory, in vectors."""

    number: int
    loop: Repeated
    unit: LoopUnit
    condition: Stage | None
    frame: int
    records: int
    width: int
    """Number of vectors of a record."""
    kept: int
    """Number of them that are no carry."""
    carries: int
    """Carries that are kept alone."""
    hold: int
    """Memory for one carry, and for the counts of iterations."""


def loops_in(unit: LoopUnit) -> Iterator[Repeated]:
    """Yield the loops of a unit, each before those within."""
    for placed in unit.loops:
        yield placed.loop
        yield from loops_in(placed.unit)


def printed(unit: LoopUnit, indent: str = "", forward: bool = True) -> Iterator[str]:
    """Yield lines of text for the forward pass of a unit, or for the backward pass, its loops included.

    x and y are slots; those of a step are the carry, x and what it takes from outside, then what it computes.
    """
    stages = unit.forward if forward else unit.backward
    for i in range(len(stages)) if forward else reversed(range(len(stages))):
        own = _indented(stages[i], indent)
        loop = list(_printed_loop(unit.loops[i], indent, forward)) if i < len(unit.loops) else []
        yield from [*own, *loop] if forward else [*loop, *own]


def _printed_loop(placed: Placed, indent: str, forward: bool) -> Iterator[str]:
    way = "" if forward else "backward through "
    yield f"{indent}{way}{placed.loop}:"
    if forward and placed.condition is not None:
        yield f"{indent}    condition:"
        yield from _indented(placed.condition, indent + "        ")
    yield from printed(placed.unit, indent + "    ", forward)


def _indented(stage: Stage | None, indent: str) -> list[str]:
    return [] if stage is None else [f"{indent}{line}" for line in str(stage.rolled).splitlines()]


class FunctionText:
    """Lines of a function."""

    def __init__(self, module: LoopModule, head: str) -> None:
        self.module = module
        self.vector = module.vector
        self.zero = "0.0" if module.mode.lanes == 1 else "zeroinitializer"
        self.head = head
        self.lines: list[str] = []
        self.block = "entry"
        self.count = 0

    def end(self) -> None:
        """Hand over the function."""
        head = f"define internal void @{self.head}) #0 {{\nentry:"
        self.module.parts.append("\n".join([head, *self.lines, "  ret void", "}"]))

    def do(self, line: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {line}")

    def fresh(self) -> str:
        """Return a fresh name."""
        self.count += 1
        return f"k{self.count}"

    def set(self, line: str) -> str:
        """Write an instruction; return its register."""
        name = f"%{self.fresh()}"
        self.do(f"{name} = {line}")
        return name

    def integer(self, how: str, x: str | int, y: str | int) -> str:
        """Write an instruction on two whole numbers."""
        return self.set(f"{how} i64 {x}, {y}")

    def least(self, x: str | int, y: str | int) -> str:
        """Write the minimum of two whole numbers."""
        return self.set(f"call i64 @llvm.smin.i64(i64 {x}, i64 {y})")

    def at(self, base: str, place: str | int) -> str:
        """Return the address of a cell."""
        return base if place == 0 else self.set(f"getelementptr {self.vector}, ptr {base}, i64 {place}")

    def load(self, base: str, place: str | int) -> str:
        """Read a cell."""
        return self.set(f"load {self.vector}, ptr {self.at(base, place)}, align 8")

    def store(self, value: str, base: str, place: str | int) -> None:
        """Write to a cell."""
        self.do(f"store {self.vector} {value}, ptr {self.at(base, place)}, align 8")

    def open(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def jump(self, name: str) -> None:
        """End the block, and begin another one."""
        self.do(f"br label %{name}")
        self.open(name)

    @contextlib.contextmanager
    def loop(self, first: str, end: str, down: bool = False) -> Iterator[str]:
        """Write a loop from first to end, exclusive, or from end - 1 down to first, that may run zero times."""
        name = self.fresh()
        before = self.block
        self.do(f"br label %{name}.head")
        self.open(f"{name}.head")
        place = len(self.lines)
        go = self.integer("icmp slt", f"%{name}.i", end)
        self.do(f"br i1 {go}, label %{name}.body, label %{name}.done")
        self.open(f"{name}.body")
        counter = f"%{name}.i"
        if down:
            counter = self.integer("sub", self.integer("add", self.integer("sub", end, 1), first), counter)
        yield counter
        self.do(f"%{name}.next = add nsw i64 %{name}.i, 1")
        phi = f"  %{name}.i = phi i64 [ {first}, %{before} ], [ %{name}.next, %{self.block} ]"
        self.lines.insert(place, phi)
        self.do(f"br label %{name}.head")
        self.open(f"{name}.done")

    def copy(self, target: str, source: str, pairs: Sequence[tuple[int, int]], spread: bool = False) -> None:
        """Copy cells, given pairs of places; with `spread`, one number each to all lanes."""
        if len(pairs) <= STRAIGHT:
            for to, place in pairs:
                self.store(self.number(source, place, spread), target, to)
            return
        runs = runs_of(pairs)
        if len(runs) <= STRAIGHT:
            for to, place, length in runs:
                with self.loop("0", str(length)) as i:
                    number = self.number(source, self.integer("add", i, place), spread)
                    self.store(number, target, self.integer("add", i, to))
            return
        targets, sources = [self.listed([pair[side] for pair in pairs]) for side in (0, 1)]
        with self.loop("0", str(len(pairs))) as i:
            self.store(self.number(source, self.item(sources, i), spread), target, self.item(targets, i))

    def number(self, source: str, place: str | int, spread: bool) -> str:
        """Read a cell, or one number for all lanes."""
        lanes = self.module.mode.lanes
        if not spread or lanes == 1:
            return self.load(source, place)
        one = self.set(f"getelementptr double, ptr {source}, i64 {place}")
        one = self.set(f"load double, ptr {one}, align 8")
        return self.everywhere("double", one)

    def everywhere(self, type: str, one: str) -> str:
        """Return a number in all lanes."""
        lanes = self.module.mode.lanes
        if lanes == 1:
            return one
        first = self.set(f"insertelement <{lanes} x {type}> poison, {type} {one}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.set(f"shufflevector <{lanes} x {type}> {first}, <{lanes} x {type}> poison, {zeros}")

    def listed(self, numbers: Sequence[int]) -> str:
        """Return a constant array of whole numbers."""
        name = f"@list{self.module.name()}"
        items = ", ".join(f"i32 {n}" for n in numbers)
        self.module.parts.append(f"{name} = internal constant [{len(numbers)} x i32] [{items}]")
        return name

    def item(self, array: str, i: str) -> str:
        """Read an item of a constant array of whole numbers."""
        place = self.set(f"getelementptr i32, ptr {array}, i64 {i}")
        return self.set(f"sext i32 {self.set(f'load i32, ptr {place}, align 4')} to i64")

    def clear(self, target: str, count: int) -> None:
        """Set cells to 0."""
        if count <= STRAIGHT:
            for i in range(count):
                self.store(self.zero, target, i)
            return
        with self.loop("0", str(count)) as place:
            self.store(self.zero, target, place)

    def call(self, stage: Stage | None, x: str, y: str) -> None:
        """Call the functions of a stage."""
        if stage is None:
            return
        one = "1.0" if self.module.mode.lanes == 1 else "splat (double 1.0)"
        c = self.set(f"getelementptr double, ptr %c, i64 {stage.constants}")
        work = [self.at("%work", stage.work[array]) for array in WORK]
        given = ", ".join(f"ptr {pointer}" for pointer in ("%p", c, x, y, "%p", *work, "%functions"))
        for function in stage.functions:
            self.do(f"call void @{function}({given}, {self.vector} {one})")

    def run(self, unit: LoopUnit, frame: str) -> None:
        """Compute all slots of a frame."""
        for i, stage in enumerate(unit.forward):
            self.call(stage, frame, self.at(frame, unit.frame.exported[i]))
            if i < len(unit.loops):
                self.do(f"call void @loop{unit.loops[i].number}.forward(ptr {frame}, {EVERY})")

    def run_back(self, unit: LoopUnit, frame: str) -> None:
        """Add to the cotangents of the inputs of a frame, given those of its results."""
        for i in range(len(unit.backward) - 1, -1, -1):
            if i < len(unit.loops):
                self.do(f"call void @loop{unit.loops[i].number}.backward(ptr {frame}, {EVERY})")
            self.call(unit.backward[i], frame, frame)
