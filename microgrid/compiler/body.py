"""Writer of code in LLVM IR: registers and memory, loops, iterations side by side.

Loops whose iterations are independent run several of them side by side ("unroll and jam"): their sums are kept apart
from one another in registers, and what they share is loaded once. In code for one sample, iterations of innermost loops
are lanes. The number of iterations may depend on the counters around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from microgrid.compiler.code import Accumulate, Apply, Code, Guard, Load, Operand, Repeat, Store
from microgrid.compiler.formulas import formula
from microgrid.compiler.lanes import Mode, Number, Writer
from microgrid.compiler.poly import Poly

Counters = dict[int, str]
Copy = tuple[Counters, dict[int, Number]]
"""One of the iterations that run side by side: registers of its counters, and of its numbers."""

BESIDE = 512
"""Maximum number of statements that stand side by side: of a long body fewer iterations do."""

SMALL = 16
"""Maximum number of statements in a loop whose remaining iterations stand side by side: they are written once more."""


class Body:
    """The lines of one segment."""

    together = 1
    """Number of iterations that are lanes."""

    def __init__(self, mode: Mode, called: dict[str, int]) -> None:
        self.writer = Writer(mode)
        self.writer.called = called
        self.outer = self.writer
        """Writer of the code around loops, and of what they leave."""
        self.keeper = self.writer
        """Writer of what passes from one iteration to the next."""
        self.block = "entry"
        self.through = False
        """True if outputs are columns, whose distance is a parameter."""

    def run(self, code: Sequence[Code], copies: list[Copy]) -> None:
        """Write the lines of code, each for all copies; those that would be the same lines once."""
        for item in code:
            if isinstance(item, Repeat):
                self.repeat(item, copies)
                continue
            if isinstance(item, Guard):
                self.guard(item, copies)
                continue
            written: dict[object, Number] = {}
            for counters, registers in copies:
                if isinstance(item, Load):
                    key: object = tuple([counters[counter] for counter in item.cell.counters])
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
                    self.store(item, counters, registers)
            if isinstance(item, Accumulate):
                self.accumulate(item, copies)

    def write(self, line: str) -> None:
        """Append a line."""
        self.writer.lines.append("  " + line)

    def operand(self, x: Operand, registers: dict[int, Number]) -> Number:
        """Return the number of an operand."""
        return registers[x] if isinstance(x, int) else Number(self.writer, self.writer.number(x))

    def place(self, cell: Poly, counters: Counters) -> str:
        """Return the number of a cell, or of iterations."""
        place = str(cell.base)
        for number, factors, divisor in cell.products():
            term = str(number)
            for counter, shift in factors:
                factor = counters[counter]
                if shift:
                    factor = self.writer.line(f"sub i64 {factor}, {shift}").text
                term = factor if term == "1" else self.writer.line(f"mul i64 {factor}, {term}").text
            if divisor > 1:
                term = self.writer.line(f"sdiv exact i64 {term}, {divisor}").text
            place = term if place == "0" else self.writer.line(f"add i64 {place}, {term}").text
        return place

    def address(self, type: str, base: str, cell: Poly, counters: Counters) -> str:
        """Write the address of a cell."""
        if self.through and base == "%y":
            place = self.writer.line(f"mul i64 {self.place(cell, counters)}, %distance").text
            return self.writer.line(f"getelementptr double, ptr %y, i64 {place}").text
        return self.writer.line(f"getelementptr {type}, ptr {base}, i64 {self.place(cell, counters)}").text

    def load(self, item: Load, counters: Counters) -> Number:
        """Read a cell."""
        writer = self.writer
        if item.array == "s":
            return Number(writer, "%seed")
        alone = item.array in ("p", "c")  # one number for all lanes
        type = "double" if alone else writer.type
        at = self.address(type, f"%{item.array}", item.cell, counters)
        read = writer.line if item.array in ("x", "p", "c") else writer.fresh  # nobody writes to these
        number = read(f"load {type}, ptr {at}, align 8")
        return writer.spread(number) if alone else number

    def store(self, item: Store, counters: Counters, registers: dict[int, Number]) -> None:
        """Write to a cell."""
        at = self.address(self.writer.type, f"%{item.array}", item.cell, counters)
        self.write(f"store {self.writer.type} {self.operand(item.value, registers).text}, ptr {at}, align 8")

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

    def guard(self, item: Guard, copies: list[Copy]) -> None:
        """Write code that runs if a loop in it has any iterations; its results are merged with those of none."""
        times = self.place(item.times, copies[0][0])
        merged = [
            (registers, register, self.operand(none, registers).text, after)
            for _, registers in copies
            for register, none, after in item.results
        ]
        self.if_any(times, lambda: self.run(item.body, copies), self.writer, merged)

    def if_any(
        self,
        times: str,
        body: Callable[[], None],
        keeper: Writer,
        merged: Sequence[tuple[dict[int, Number], int, str, int]],
    ) -> None:
        """Write a body that runs unless `times` is 0, then merge results: for registers, one of them, the text that it
        has without the body, and the register that has it after the body."""
        writer, name, before = self.writer, self.writer.name()[1:], self.block
        self.write(f"%{name}.any = icmp ne i64 {times}, 0")
        self.write(f"br i1 %{name}.any, label %{name}.some, label %{name}.done")
        writer.lines.append(f"{name}.some:")
        self.block = f"{name}.some"
        known = len(writer.known)
        body()
        writer.forget(known)
        self.write(f"br label %{name}.done")
        writer.lines.append(f"{name}.done:")
        for registers, register, none, after in merged:
            either = f"[ {none}, %{before} ], [ {registers[after].text}, %{self.block} ]"
            registers[register] = keeper.fresh(f"phi {keeper.type} {either}")
        self.block = f"{name}.done"

    def repeat(self, loop: Repeat, copies: list[Copy]) -> None:
        """Write a loop; one that jams as a loop over several iterations at once, and a loop over the remaining ones.

        One that vectorises has as many iterations in the lanes of its numbers.
        """
        jam = self.jam(loop, copies)
        width = self.width(loop.times) if loop.vectorises else 1
        step = max(jam, width)
        if loop.times.terms:
            times = self.place(loop.times, copies[0][0])
            whole = self.writer.line(f"udiv i64 {times}, {step}").text
            done = self.writer.line(f"mul i64 {whole}, {step}").text
            rest = self.writer.line(f"sub i64 {times}, {done}").text
        else:
            times, whole = str(loop.times.base), str(loop.times.base // step)
            done, rest = str(loop.times.base // step * step), str(loop.times.base % step)
        if step == 1:
            self.loop(loop, copies, 1, "0", times)
            return
        if width > 1:
            side = Vectorised(self.writer, loop.counter, width)
            side.block = self.block
            own = [(counters, dict(registers)) for counters, registers in copies]
            side.some(loop, own, 1, "0", whole)
            self.block = side.block
            for (_, registers), (_, found) in zip(copies, own, strict=True):
                registers.update({after: found[after] for _, _, after in loop.kept})
            loop = loop._replace(kept=tuple([(register, after, after) for register, _, after in loop.kept]))
        else:
            self.some(loop, copies, jam, "0", whole)
        if jam > 1 and self.small(loop) and rest.isdigit() and rest != "0":
            self.some(loop, copies, int(rest), done, "1")
            return
        self.some(loop, copies, 1, done, rest)

    def jam(self, loop: Repeat, copies: list[Copy]) -> int:
        """Return the number of iterations of a loop that run side by side."""
        if not loop.jams or len(copies) > 1:
            return 1
        mode = self.writer.mode
        # with two registers for the lanes of each: half of all there are
        jam = 8 if mode.lanes == 1 else max(mode.lanes // 2, mode.width, 4)
        size = _size(loop.body)
        while jam > 1 and (jam * size > BESIDE or (not loop.times.terms and jam > loop.times.base)):
            jam //= 2
        return jam

    def small(self, loop: Repeat) -> bool:
        """Return True if the remaining iterations of a loop that jams run side by side, too: they are more text."""
        return _size(loop.body) <= SMALL

    def width(self, times: Poly) -> int:
        """Return the number of iterations of an innermost loop of `times` that are lanes."""
        width = self.writer.mode.width
        while not times.terms and width > times.base:
            width //= 2
        return width

    def some(self, loop: Repeat, copies: list[Copy], jam: int, start: str, times: str) -> None:
        """Write a part of a loop that may have no iterations; nothing in a register outlives it but what it keeps."""
        if times == "0":
            return
        if times.isdigit():
            self.loop(loop, copies, jam, start, times)
            return
        merged = [
            (registers, after, _text(first, registers, self.outer), after)
            for _, registers in copies
            for _, first, after in loop.kept
        ]
        self.if_any(times, lambda: self.loop(loop, copies, jam, start, times), self.outer, merged)

    def loop(self, loop: Repeat, copies: list[Copy], jam: int, start: str, times: str) -> None:
        """Write a loop of `times` iterations, each of which is `jam` iterations of the original, from `start` on."""
        step = jam * self.together
        writer = self.writer
        firsts = [[_text(first, registers, self.keeper) for _, first, _ in loop.kept] for _, registers in copies]
        before = self.block
        name = writer.name()[1:]
        self.begin(name)
        place = len(writer.lines)
        phis: list[tuple[str, str, Number, dict[int, Number], int]] = []
        inner: list[Copy] = []
        for (counters, registers), own in zip(copies, firsts, strict=True):
            for (register, _, after), first in zip(loop.kept, own, strict=True):
                phi = Number(self.keeper, f"{writer.name()}.kept")
                registers[register] = phi
                phis.append((phi.text, first, phi, registers, after))
            for u in range(jam):
                now = f"%{name}.counter"
                if step > 1:
                    now = writer.line(f"mul i64 {now}, {step}").text
                for more in (str(int(start) + u),) if start.isdigit() else (start, str(u)):
                    now = writer.line(f"add i64 {now}, {more}").text if more != "0" else now
                inner.append(({**counters, loop.counter: now}, registers if jam == 1 else dict(registers)))
        self.iteration(loop, inner)
        lines = [
            f"  {phi} = phi {self.keeper.type} [ {first}, %{before} ], [ {registers[after].text}, %{self.block} ]"
            for phi, first, _, registers, after in phis
        ]
        writer.lines[place:place] = [self.counter(name, before), *lines]
        self.end(name, times)

    def iteration(self, loop: Repeat, copies: list[Copy]) -> None:
        """Write the body of a loop."""
        self.run(loop.body, copies)

    def begin(self, name: str) -> None:
        """Open a loop."""
        self.write(f"br label %{name}.loop")
        self.writer.lines.append(f"{name}.loop:")
        self.block = f"{name}.loop"

    def counter(self, name: str, before: str) -> str:
        """Return the line of a loop's counter."""
        return f"  %{name}.counter = phi i64 [ 0, %{before} ], [ %{name}.next, %{self.block} ]"

    def end(self, name: str, times: str) -> None:
        """Close a loop."""
        self.write(f"%{name}.next = add nuw nsw i64 %{name}.counter, 1")
        self.write(f"%{name}.again = icmp ult i64 %{name}.next, {times}")
        self.write(f"br i1 %{name}.again, label %{name}.loop, label %{name}.done")
        self.writer.lines.append(f"{name}.done:")
        self.block = f"{name}.done"


class Vectorised(Body):
    """Writer of an innermost loop, in code of one lane, with its iterations in lanes; numbers from outside are spread.

    Cells that follow one another are loaded and stored as vectors, others one by one.
    """

    def __init__(self, outer: Writer, counter: int, width: int) -> None:
        super().__init__(outer.mode._replace(lanes=width), outer.called)
        self.writer.share(outer)
        self.outer = outer
        self.keeper = outer if self.writer.mode.strict else self.writer
        self.counter_of_lanes = counter
        self.together = width

    def operand(self, x: Operand, registers: dict[int, Number]) -> Number:
        """Return the number of an operand, in all lanes."""
        number = super().operand(x, registers)
        return number if number.writer is self.writer else self.writer.spread(number)

    def loop(self, loop: Repeat, copies: list[Copy], jam: int, start: str, times: str) -> None:
        """Write the loop. In strict mode sums are added lane by lane, else they are sums in lanes, added at its end."""
        if self.writer.mode.strict:
            super().loop(loop, copies, jam, start, times)
            return
        firsts = [[registers[first] for _, first, _ in loop.kept if isinstance(first, int)] for _, registers in copies]
        kept = tuple([(register, -0.0, after) for register, _, after in loop.kept])
        super().loop(loop._replace(kept=kept), copies, jam, start, times)
        for (_, registers), own in zip(copies, firsts, strict=True):
            for (_, _, after), first in zip(loop.kept, own, strict=True):
                (total,) = self.writer.totals([registers[after]])
                registers[after] = first + Number(self.outer, total)

    def iteration(self, loop: Repeat, copies: list[Copy]) -> None:
        """Write the body of the loop; in strict mode what is added to sums comes last, one lane after the other."""
        if not self.writer.mode.strict:
            self.run(loop.body, copies)
            return
        sums = [item for item in loop.body if isinstance(item, Apply) and item.target in loop.partial]
        self.run([item for item in loop.body if not (isinstance(item, Apply) and item.target in loop.partial)], copies)
        for _, registers in copies:
            for lane in range(self.together):
                for item in sums:
                    given = [self.lane(x, registers, lane) for x in item.operands]
                    registers[item.target] = formula(item.op, self.outer.mode)(self.outer, *given)
                registers.update({register: registers[after] for register, _, after in loop.kept})

    def lane(self, x: Operand, registers: dict[int, Number], lane: int) -> Number:
        """Return the number of an operand in a lane."""
        number = registers[x] if isinstance(x, int) else Number(self.outer, self.outer.number(x))
        if number.writer is not self.writer:
            return number
        return self.outer.line(f"extractelement {self.writer.type} {number.text}, i64 {lane}")

    def load(self, item: Load, counters: Counters) -> Number:
        """Read a cell for each lane."""
        writer = self.writer
        if item.array == "s":
            return writer.spread(Number(self.outer, "%seed"))
        constant = item.array in ("x", "p", "c")  # nobody writes to these
        if self.step(item.cell) == 0:
            at = self.address("double", f"%{item.array}", item.cell, counters)
            return writer.spread((self.outer.line if constant else self.outer.fresh)(f"load double, ptr {at}, align 8"))
        return self.gathered(f"%{item.array}", item.cell, counters, constant)

    def step(self, cell: Poly) -> int | None:
        """Return the distance of neighbouring lanes' cells; None where it changes."""
        step = cell.step(self.counter_of_lanes)
        return None if step.terms else step.base

    def gathered(self, array: str, cell: Poly, counters: Counters, constant: bool) -> Number:
        """Read the cells of all lanes."""
        writer, step = self.writer, self.step(cell)
        read = writer.line if constant else writer.fresh
        if step in (1, -1):
            return self.turned(read(f"load {writer.type}, ptr {self.lowest(array, cell, counters)}, align 8"), step)
        result = "poison"
        for lane in range(self.together):
            at = self.address("double", array, cell.shifted(self.counter_of_lanes, lane), counters)
            one = read(f"load double, ptr {at}, align 8").text
            result = writer.line(f"insertelement {writer.type} {result}, double {one}, i64 {lane}").text
        return Number(writer, result)

    def lowest(self, array: str, cell: Poly, counters: Counters) -> str:
        """Return the first address of neighbouring cells."""
        last = self.together - 1 if self.step(cell) == -1 else 0
        return self.address("double", array, cell.shifted(self.counter_of_lanes, last), counters)

    def turned(self, number: Number, step: int) -> Number:
        """Return the lanes in the order of memory from that of iterations, or the other way round."""
        if step > 0:
            return number
        mask = ", ".join(f"i32 {lane}" for lane in reversed(range(self.together)))
        type = self.writer.type
        lanes = f"<{self.together} x i32> <{mask}>"
        return self.writer.line(f"shufflevector {type} {number.text}, {type} poison, {lanes}")

    def scatter(self, array: str, cell: Poly, counters: Counters, value: Number) -> None:
        """Write the cells of all lanes."""
        writer, step = self.writer, self.step(cell)
        if step in (1, -1):
            at = self.lowest(array, cell, counters)
            self.write(f"store {writer.type} {self.turned(value, step).text}, ptr {at}, align 8")
            return
        for lane in range(self.together):
            at = self.address("double", array, cell.shifted(self.counter_of_lanes, lane), counters)
            one = writer.line(f"extractelement {writer.type} {value.text}, i64 {lane}").text
            self.write(f"store double {one}, ptr {at}, align 8")

    def store(self, item: Store, counters: Counters, registers: dict[int, Number]) -> None:
        """Write to a cell for each lane."""
        self.scatter(f"%{item.array}", item.cell, counters, self.operand(item.value, registers))

    def accumulate(self, item: Accumulate, copies: list[Copy]) -> None:
        """Accumulate one copy after the other."""
        writer = self.writer
        for counters, registers in copies:
            before = self.gathered(f"%{item.array}", item.cell, counters, False)
            given = [self.operand(x, registers) for x in item.operands]
            self.scatter(f"%{item.array}", item.cell, counters, formula(item.op, writer.mode)(writer, *given, before))


def _text(x: Operand, registers: dict[int, Number], writer: Writer) -> str:
    return registers[x].text if isinstance(x, int) else writer.number(x)


def _size(code: Sequence[Code]) -> int:
    """Return the number of statements in code."""
    return sum(_size(item.body) if isinstance(item, (Repeat, Guard)) else 1 for item in code)
