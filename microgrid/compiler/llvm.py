"""Code to LLVM's language: a function for each segment. `kernel.py` writes the one that calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microgrid.compiler.kernel import ARRAYS, kernel_of
from microgrid.compiler.lanes import SHORT, Mode, Number, Writer, formula
from microgrid.compiler.roll import Affine
from microgrid.compiler.storage import Accumulate, Apply, Code, Load, Operand, Repeat, Store, Stored


class Module(NamedTuple):
    """The text of a module, the functions outside that it calls, and the numbers of scratch memory that it needs."""

    text: str
    functions: tuple[str, ...]
    scratch: int


def module_of(stored: Stored, mode: Mode, columns: Sequence[int]) -> Module:
    """The module with the function `kernel`, for inputs that come in arrays of so many columns.

    kernel(sources, strides, p, y, d, scratch, table, functions, begin, end, samples) runs the blocks from begin to end.
    It writes the outputs of their samples to y, and the sums over these samples to d.
    """
    called: dict[str, int] = {}
    intrinsics: set[str] = set()
    parts = []
    inlined = " alwaysinline" if len(stored.segments) == 1 else " noinline"
    for number, segment in enumerate(stored.segments):
        body = _Body(mode, called)
        body.run(segment, {})
        intrinsics |= body.writer.intrinsics
        parameters = ", ".join([*[f"ptr noalias %{array}" for array in ARRAYS], "ptr %functions"])
        head = f"define internal void @segment{number}({parameters}, {body.writer.type} %seed) #0{inlined} {{\nentry:"
        parts.append("\n".join([head, *body.writer.lines, "  ret void", "}"]))
    kernel, scratch = kernel_of(stored, mode, columns)
    parts.append(kernel)
    short = min(mode.lanes, SHORT)
    if short > 1:
        intrinsics.add(f"declare double @llvm.vector.reduce.fadd.v{short}f64(double, <{short} x double>)")
    attributes = (
        'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }\n'
        "attributes #1 = { nounwind willreturn memory(none) }\n!0 = !{}"
    )
    return Module("\n\n".join([*parts, *sorted(intrinsics), attributes]) + "\n", tuple(called), scratch)


class _Body:
    """The lines of one segment."""

    def __init__(self, mode: Mode, called: dict[str, int]) -> None:
        self.writer = Writer(mode)
        self.writer.called = called
        self.block = "entry"
        self.registers: dict[int, Number] = {}

    def run(self, code: Sequence[Code], counters: dict[int, str]) -> None:
        writer = self.writer
        for item in code:
            if isinstance(item, Load):
                self.registers[item.target] = self.load(item, counters)
            elif isinstance(item, Apply):
                given = [self.operand(x) for x in item.operands]
                self.registers[item.target] = formula(item.op, writer.mode)(writer, *given)
            elif isinstance(item, Store):
                at = self.address(item.array, item.cell, counters, writer.type)
                self.write(f"store {writer.type} {self.operand(item.value).text}, ptr {at}, align 8")
            elif isinstance(item, Accumulate):
                self.accumulate(item, counters)
            else:
                self.repeat(item, counters)

    def write(self, line: str) -> None:
        self.writer.lines.append("  " + line)

    def operand(self, x: Operand) -> Number:
        return self.registers[x] if isinstance(x, int) else Number(self.writer, self.writer.number(x))

    def address(self, array: str, index: Affine, counters: dict[int, str], type: str) -> str:
        writer = self.writer
        place = str(index.base)
        for counter, step in index.steps:
            term = counters[counter]
            if step != 1:
                term = writer.line(f"mul i64 {term}, {step}").text
            place = term if place == "0" else writer.line(f"add i64 {place}, {term}").text
        return writer.line(f"getelementptr {type}, ptr %{array}, i64 {place}").text

    def load(self, item: Load, counters: dict[int, str]) -> Number:
        writer = self.writer
        if item.array == "s":
            return Number(writer, "%seed")
        alone = item.array in ("p", "c")  # one number for all lanes
        type = "double" if alone else writer.type
        at = self.address(item.array, item.cell, counters, type)
        number = writer.line(f"load {type}, ptr {at}, align 8")
        if not alone or writer.mode.lanes == 1:
            return number
        first = writer.line(f"insertelement {writer.type} poison, double {number.text}, i64 0").text
        mask = f"<{writer.mode.lanes} x i32> zeroinitializer"
        return writer.line(f"shufflevector {writer.type} {first}, {writer.type} poison, {mask}")

    def accumulate(self, item: Accumulate, counters: dict[int, str]) -> None:
        """Add to a sum over samples, a few lanes at a time."""
        writer = self.writer
        short = min(writer.mode.lanes, SHORT)
        narrow = Writer(writer.mode._replace(lanes=short))
        narrow.lines, narrow.name = writer.lines, writer.name  # type: ignore[method-assign]
        at = self.address(item.array, item.cell, counters, narrow.type)
        total = narrow.line(f"load {narrow.type}, ptr {at}, align 8")
        given = [self.operand(x).text for x in item.operands]
        for start in range(0, writer.mode.lanes, short):
            parts = [Number(narrow, self.part(x, start, short)) for x in given]
            total = formula(item.op, narrow.mode)(narrow, *parts, total)
        self.write(f"store {narrow.type} {total.text}, ptr {at}, align 8")

    def part(self, text: str, start: int, short: int) -> str:
        if text.startswith("splat"):
            return text
        return self.writer.part(text, start, short)

    def repeat(self, loop: Repeat, counters: dict[int, str]) -> None:
        writer = self.writer
        name = writer.name()[1:]
        counter = f"%{name}.counter"
        before, block = self.block, f"{name}.loop"
        firsts = [self.operand(first).text for _, first, _ in loop.kept]
        self.write(f"br label %{block}")
        writer.lines.append(f"{block}:")
        place = len(writer.lines)
        for i, (register, _, _) in enumerate(loop.kept):
            self.registers[register] = Number(writer, f"%{name}.kept{i}")
        self.block = block
        self.run(loop.body, {**counters, loop.counter: counter})
        phis = [f"  {counter} = phi i64 [ 0, %{before} ], [ {counter}.next, %{self.block} ]"]
        for i, (_, _, after) in enumerate(loop.kept):
            later = self.registers[after].text
            phis.append(f"  %{name}.kept{i} = phi {writer.type} [ {firsts[i]}, %{before} ], [ {later}, %{self.block} ]")
        writer.lines[place:place] = phis
        self.write(f"{counter}.next = add nuw nsw i64 {counter}, 1")
        self.write(f"{counter}.again = icmp ult i64 {counter}.next, {loop.times}")
        self.write(f"br i1 {counter}.again, label %{block}, label %{name}.done")
        writer.lines.append(f"{name}.done:")
        self.block = f"{name}.done"
