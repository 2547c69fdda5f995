"""Straight machine code of an interpreter's instructions: the same formulas, with the same bits, without dispatch.

A part has some hundred instructions, and is a handler itself, so that the words of a program are replaced by few. In a
part numbers stay in registers; what a later part, or the kernel, reads is written to its slot.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from microgrid.compiler.interpreter import Handler, handler_of, result_of
from microgrid.compiler.lanes import Mode, Number, Writer
from microgrid.compiler.llvm import ATTRIBUTES

SIZE = 100
"""Number of instructions of a part. Larger ones need more registers than there are, and LLVM more time."""

MODULE = 100
"""Number of parts that LLVM compiles at a time: for each of them it takes some 5 MB."""

LONG = 8
"""Number of lines from which on a formula is a function that is called."""

LATER = struct.Struct("=Q4I")
"""An instruction's word: the address of its handler, and four offsets of slots."""


class Coded(NamedTuple):
    """A handler, and the offsets of the slot of its result and of those that it reads."""

    handler: Handler
    target: int
    operands: tuple[int, ...]


class _Form(NamedTuple):
    """Lines of text and a result, with {0}, {1}, ... for operands and {n} for the number of the instruction."""

    lines: str
    result: str


def instructions_of(words: bytes, handlers: Mapping[int, Handler]) -> Iterator[Coded]:
    """Yield the instructions in words, given the handlers at addresses; a word with another address is the end."""
    rows = LATER.iter_unpack(words)
    for address, *fields in rows:
        handler = handlers.get(address)
        if handler is None:
            return
        for _ in range(handler.words - 1):
            fields += next(rows)[1:]
        own = [fields[0]] * (handler.start == "sum")
        yield Coded(handler, fields[0], (*fields[1 : 1 + handler.operands], *own))


def modules_of(
    instructions: Sequence[Coded], kept: Sequence[int], mode: Mode, functions: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Yield texts of modules and the number of parts in each: functions part0, part1, ...

    `kept` are the offsets of slots that are read after all instructions; `functions` are those that may be called.
    """
    parts = [instructions[i : i + SIZE] for i in range(0, len(instructions), SIZE)]
    live = set(kept)
    written: list[set[int]] = []
    for part in reversed(parts):
        targets, read = set(), set()
        for _, target, operands in part:
            read.update([x for x in operands if x not in targets])
            targets.add(target)
        written.append(targets & live)
        live = (live - targets) | read
    written.reverse()
    for i in range(0, len(parts), MODULE):
        some = parts[i : i + MODULE]
        yield _Module(mode, functions).text(some, written[i : i + MODULE]), len(some)


class _Module:
    """Writer of a module."""

    def __init__(self, mode: Mode, functions: Sequence[str]) -> None:
        self.mode = mode
        self.type = Writer(mode).type
        self.align = min(64, 8 * mode.lanes)
        self.called = {name: i for i, name in enumerate(functions)}
        self.outside = len(functions)
        self.intrinsics: set[str] = set()
        self.forms: dict[Handler, _Form] = {}
        self.texts: list[str] = []

    def text(self, parts: Sequence[Sequence[Coded]], written: Sequence[set[int]]) -> str:
        for number, (part, targets) in enumerate(zip(parts, written, strict=True)):
            self.part(number, part, targets)
        assert len(self.called) == self.outside, "a function that the interpreter does not call"
        return "\n\n".join([*self.texts, *sorted(self.intrinsics), ATTRIBUTES]) + "\n"

    def part(self, number: int, part: Sequence[Coded], written: set[int]) -> None:
        """Write a part, which leaves the numbers of these slots in memory."""
        lines: list[str] = []
        registers: dict[int, str] = {}
        for n, (handler, target, operands) in enumerate(part):
            form = self.forms.get(handler)
            if form is None:
                form = self.forms[handler] = self.form(handler)
            for operand in operands:
                if operand not in registers:
                    registers[operand] = name = f"%s{operand}"
                    lines += [self.slot(f"{name}.from", operand)]
                    lines += [f"  {name} = load {self.type}, ptr {name}.from, align {self.align}"]
            given = [registers[operand] for operand in operands]
            if form.lines:
                lines.append(form.lines.format(*given, n=n))
            registers[target] = form.result.format(*given, n=n)
        for target in sorted(written):
            name = f"%s{target}.to"
            store = f"  store {self.type} {registers[target]}, ptr {name}, align {self.align}"
            lines += [self.slot(name, target), store]
        self.texts.append(handler_of(f"part{number}", lines, 1))

    def slot(self, name: str, offset: int) -> str:
        return f"  {name} = getelementptr i8, ptr %slots, i64 {offset}"

    def form(self, handler: Handler) -> _Form:
        """Return what a handler computes; a long formula becomes a function."""
        writer = Writer(self.mode)
        writer.called = self.called
        count = handler.operands + (handler.start == "sum")
        names = [f"%a{i}." for i in range(count)]
        result = result_of(handler, writer, [Number(writer, name) for name in names]).text
        self.intrinsics |= writer.intrinsics
        lines = "\n".join(writer.lines)
        if len(writer.lines) >= LONG:
            function = f"@formula{len(self.forms)}"
            given = ", ".join([*[f"{self.type} {name}" for name in names], "ptr %functions"])
            head = f"define internal {self.type} {function}({given}) #0 noinline {{"
            self.texts.append("\n".join([head, "entry:", lines, f"  ret {self.type} {result}", "}"]))
            lines, result = f"  %t = call {self.type} {function}({given})", "%t"
        return _Form(_with_places(lines, count), _with_places(result, count))


def _with_places(text: str, count: int) -> str:
    """Return a text with places for the registers of operands, and registers of its own for each instruction."""
    text = text.replace("{", "{{").replace("}", "}}").replace("%t", "%t{n}.")
    for i in range(count):
        text = text.replace(f"%a{i}.", f"{{{i}}}")
    return text
