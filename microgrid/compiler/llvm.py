"""From code to LLVM IR: a function for each segment, and one for the sums over samples.

Loops whose iterations are independent run several of them side by side ("unroll and jam"): their sums are kept apart
from one another in registers, and what they share is loaded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.code import Accumulate, Apply, Code, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.formulas import formula
from microgrid.compiler.kernel import ARRAYS, kernel_of, layout
from microgrid.compiler.lanes import SHORT, Mode, Number, Writer
from microgrid.compiler.roll import Affine

TILE = 4
"""Tile size, in iterations of each of two nested loops, for sums over samples."""

SUMS = 40
"""Maximum number of loops of sums in one function."""

Counters = dict[int, str]


class ModuleText(NamedTuple):
    """The text of a module, the external functions that it calls, and the size of its scratch memory in numbers."""

    text: str
    functions: tuple[str, ...]
    scratch: int


def module_of(stored: Stored, mode: Mode, columns: Sequence[int]) -> ModuleText:
    """Return the module with the function `kernel`, for inputs in arrays of these numbers of columns."""
    called: dict[str, int] = {}
    intrinsics: set[str] = set()
    parts = []
    inlined = "alwaysinline" if len(stored.segments) == 1 else "noinline"
    given = ", ".join([*[f"ptr noalias %{array}" for array in ARRAYS], "ptr %functions"])
    for number, segment in enumerate(stored.segments):
        body = _Body(mode, called)
        body.run(segment, [({}, {})])
        intrinsics |= body.writer.intrinsics
        head = f"define internal void @segment{number}({given}, {body.writer.type} %seed) #0 {inlined} {{\nentry:"
        parts.append("\n".join([head, *body.writer.lines, "  ret void", "}"]))
    chunk = layout(stored.sizes, mode.lanes)[1]
    summing = 0
    for summing, some in enumerate(_some(stored.sums), 1):
        sums = _Sums(mode, called, chunk)
        sums.run(some, [({}, {})])
        intrinsics |= sums.writer.intrinsics | sums.narrow.intrinsics
        head = f"define internal void @sums{summing - 1}({given}, ptr noalias %d, i64 %chunks) #0 noinline {{\nentry:"
        parts.append("\n".join([head, *sums.writer.lines, "  ret void", "}"]))
    kernel, scratch = kernel_of(stored, mode, columns, summing)
    attributes = (
        'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }\n'
        "attributes #1 = { nounwind willreturn memory(none) }\n!0 = !{}"
    )
    return ModuleText("\n\n".join([*parts, kernel, *sorted(intrinsics), attributes]) + "\n", tuple(called), scratch)


def _some(sums: Sequence[Code]) -> Iterator[list[Code]]:
    """Return the sums over samples in parts, since LLVM's time grows faster than the size of a function."""
    part: list[Code] = []
    ends = 0
    for item in sums:
        part.append(item)
        ends += not isinstance(item, Load)
        if ends == SUMS:
            yield part
            part, ends = [], 0
    if part:
        yield part


Copy = tuple[Counters, dict[int, Number]]
"""One of the iterations that run side by side: registers of its counters, and of its numbers."""


class _Body:
    """The lines of one segment."""

    def __init__(self, mode: Mode, called: dict[str, int]) -> None:
        self.writer = Writer(mode)
        self.writer.called = called
        self.block = "entry"

    def run(self, code: Sequence[Code], copies: list[Copy]) -> None:
        """Write the lines of code, each for all copies; those that would be the same lines once."""
        for item in code:
            if isinstance(item, Repeat):
                self.repeat(item, copies)
                continue
            written: dict[object, Number] = {}
            for counters, registers in copies:
                if isinstance(item, Load):
                    key: object = tuple([counters[counter] for counter, _ in item.cell.steps])
                    if key not in written:
                        written[key] = self.load(item, counters)
                    registers[item.target] = written[key]
                elif isinstance(item, Apply):
                    operands = [self.operand(x, registers) for x in item.operands]
                    key = tuple([x.text for x in operands])
                    if key not in written:
                        written[key] = formula(item.op, self.writer.mode)(self.writer, *operands)
                    registers[item.target] = written[key]
                elif isinstance(item, Store):
                    at = self.address(self.writer.type, f"%{item.array}", item.cell, counters)
                    self.write(
                        f"store {self.writer.type} {self.operand(item.value, registers).text}, ptr {at}, align 8"
                    )
            if isinstance(item, Accumulate):
                self.accumulate(item, copies)

    def write(self, line: str) -> None:
        self.writer.lines.append("  " + line)

    def operand(self, x: Operand, registers: dict[int, Number]) -> Number:
        return registers[x] if isinstance(x, int) else Number(self.writer, self.writer.number(x))

    def place(self, cell: Affine, counters: Counters) -> str:
        """Return the number of a cell."""
        place = str(cell.base)
        for counter, step in cell.steps:
            term = counters[counter]
            if step != 1:
                term = self.writer.line(f"mul i64 {term}, {step}").text
            place = term if place == "0" else self.writer.line(f"add i64 {place}, {term}").text
        return place

    def address(self, type: str, base: str, cell: Affine, counters: Counters) -> str:
        return self.writer.line(f"getelementptr {type}, ptr {base}, i64 {self.place(cell, counters)}").text

    def load(self, item: Load, counters: Counters) -> Number:
        writer = self.writer
        if item.array == "s":
            return Number(writer, "%seed")
        alone = item.array in ("p", "c")  # one number for all lanes
        type = "double" if alone else writer.type
        at = self.address(type, f"%{item.array}", item.cell, counters)
        read = writer.line if item.array in ("x", "p", "c") else writer.fresh  # nobody writes to these
        number = read(f"load {type}, ptr {at}, align 8")
        return writer.spread(number) if alone else number

    def accumulate(self, item: Accumulate, copies: list[Copy]) -> None:
        """Accumulate one copy after the other: they may add to the same cell."""
        writer = self.writer
        for counters, registers in copies:
            at = self.address(writer.type, f"%{item.array}", item.cell, counters)
            before = writer.fresh(f"load {writer.type}, ptr {at}, align 8")
            given = [self.operand(x, registers) for x in item.operands]
            after = formula(item.op, writer.mode)(writer, *given, before)
            self.write(f"store {writer.type} {after.text}, ptr {at}, align 8")

    # Loops.

    def repeat(self, loop: Repeat, copies: list[Copy]) -> None:
        """Write a loop; one that jams as a loop over several iterations at once, and a loop over the remaining ones."""
        times, jam = loop.times, self.jam(loop, copies)
        whole = times - times % jam if jam > 1 else 0
        if whole:
            self.loop(loop, copies, jam, 0, whole // jam)
        if whole < times:
            self.loop(loop, copies, 1, whole, times - whole)

    def jam(self, loop: Repeat, copies: list[Copy]) -> int:
        """Return the number of iterations of a loop that run side by side."""
        if not loop.jams or len(copies) > 1:
            return 1
        return max(self.writer.mode.lanes // 2, 4)  # with two registers for the lanes of each: half of all there are

    def loop(self, loop: Repeat, copies: list[Copy], jam: int, start: int, times: int) -> None:
        """Write a loop of `times` iterations, each of which is `jam` iterations of the original, from `start` on."""
        writer = self.writer
        firsts = [[self.operand(first, registers).text for _, first, _ in loop.kept] for _, registers in copies]
        before = self.block
        name = writer.name()[1:]
        self.begin(name)
        place = len(writer.lines)
        phis: list[tuple[str, str, Number, dict[int, Number], int]] = []
        inner: list[Copy] = []
        for (counters, registers), own in zip(copies, firsts, strict=True):
            for (register, _, after), first in zip(loop.kept, own, strict=True):
                phi = Number(writer, f"{writer.name()}.kept")
                registers[register] = phi
                phis.append((phi.text, first, phi, registers, after))
            for u in range(jam):
                now = f"%{name}.counter"
                if jam > 1:
                    now = writer.line(f"mul i64 {now}, {jam}").text
                if start + u:
                    now = writer.line(f"add i64 {now}, {start + u}").text
                inner.append(({**counters, loop.counter: now}, registers if jam == 1 else dict(registers)))
        self.run(loop.body, inner)
        lines = [
            f"  {phi} = phi {writer.type} [ {first}, %{before} ], [ {registers[after].text}, %{self.block} ]"
            for phi, first, _, registers, after in phis
        ]
        writer.lines[place:place] = [self.counter(name, before), *lines]
        self.end(name, str(times))

    def begin(self, name: str) -> None:
        self.write(f"br label %{name}.loop")
        self.writer.lines.append(f"{name}.loop:")
        self.block = f"{name}.loop"

    def counter(self, name: str, before: str) -> str:
        return f"  %{name}.counter = phi i64 [ 0, %{before} ], [ %{name}.next, %{self.block} ]"

    def end(self, name: str, times: str) -> None:
        self.write(f"%{name}.next = add nuw nsw i64 %{name}.counter, 1")
        self.write(f"%{name}.again = icmp ult i64 %{name}.next, {times}")
        self.write(f"br i1 %{name}.again, label %{name}.loop, label %{name}.done")
        self.writer.lines.append(f"{name}.done:")
        self.block = f"{name}.done"


class _Sums(_Body):
    """Writer of the sums of derivatives over samples: for each, a loop over chunks of lanes within all other loops.

    The registers of operands stand for what they are loaded from, which is loaded within that loop.
    """

    def __init__(self, mode: Mode, called: dict[str, int], chunk: int) -> None:
        super().__init__(mode, called)
        self.chunk = chunk
        self.narrow = Writer(mode._replace(lanes=min(mode.lanes, SHORT)))
        self.narrow.share(self.writer)
        self.sources: dict[int, Load] = {}

    def load(self, item: Load, counters: Counters) -> Number:
        self.sources[item.target] = item
        return Number(self.writer, "")

    def jam(self, loop: Repeat, copies: list[Copy]) -> int:
        return TILE if len(copies) <= TILE else 1

    def accumulate(self, item: Accumulate, copies: list[Copy]) -> None:
        writer, narrow = self.writer, self.narrow
        seen: dict[tuple[object, ...], Callable[[str, int], Number]] = {}
        operands: list[list[Callable[[str, int], Number]]] = []
        for counters, _ in copies:
            row = []
            for x in item.operands:
                key = (x, *[counters[c] for c, _ in self.sources[x].cell.steps]) if isinstance(x, int) else (x,)
                if key not in seen:
                    seen[key] = self.source(x, counters)
                row.append(seen[key])
            operands.append(row)
        before = self.block
        name = writer.name()[1:]
        self.begin(name)
        place = len(writer.lines)
        offset = writer.line(f"mul i64 %{name}.counter, {self.chunk}").text
        totals = [Number(narrow, f"{writer.name()}.sum") for _ in copies]
        current = list(totals)
        for start in range(0, writer.mode.lanes, narrow.mode.lanes):
            loaded: dict[int, Number] = {}
            for source in seen.values():
                loaded[id(source)] = source(offset, start)
            for i, row in enumerate(operands):
                given = [loaded[id(source)] for source in row]
                current[i] = formula(item.op, narrow.mode)(narrow, *given, current[i])
        zero = narrow.number(0.0)
        phis = [
            f"  {total.text} = phi {narrow.type} [ {zero}, %{before} ], [ {after.text}, %{self.block} ]"
            for total, after in zip(totals, current, strict=True)
        ]
        writer.lines[place:place] = [self.counter(name, before), *phis]
        self.end(name, "%chunks")
        for (counters, _), total in zip(copies, narrow.totals(current), strict=True):
            at = self.address("double", "%d", item.cell, counters)
            old = narrow.fresh(f"load double, ptr {at}, align 8").text
            new = narrow.line(f"fadd double {old}, {total}").text
            self.write(f"store double {new}, ptr {at}, align 8")

    def source(self, x: Operand, counters: Counters) -> Callable[[str, int], Number]:
        """Return the operand of lanes from `start` on in a chunk at an offset."""
        narrow = self.narrow
        if not isinstance(x, int):
            return lambda offset, start: Number(narrow, narrow.number(x))
        item = self.sources[x]
        if item.array in ("p", "c"):
            at = self.address("double", f"%{item.array}", item.cell, counters)
            return lambda offset, start: narrow.spread(narrow.fresh(f"load double, ptr {at}, align 8"))
        at = self.address(self.writer.type, f"%{item.array}", item.cell, counters)

        def load(offset: str, start: int) -> Number:
            here = narrow.line(f"getelementptr double, ptr {at}, i64 {offset}").text
            here = narrow.line(f"getelementptr double, ptr {here}, i64 {start}").text if start else here
            return narrow.fresh(f"load {narrow.type}, ptr {here}, align 8")

        return load
