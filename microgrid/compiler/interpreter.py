"""A kernel that interprets instructions on the lanes of a block: compiled once, for all programs.

An instruction is a word of 24 bytes: the address of the machine code of its handler, then byte offsets into an array of
slots, a destination and up to three operands; further operands are in the words behind. A slot has a number for each
lane. Handlers are threaded: each ends in a tail call of the next one (J. R. Bell, "Threaded Code", CACM 16 (1973)).
What a handler computes is written by `formulas`, so its numbers have the bits of compiled code in strict mode; products
that are added are rounded first, so that by default, too, several terms at once have the bits of single ones.

The kernel has the arguments of any other one (`kernel`); its table describes the program, in words of eight bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from microgrid.compiler.formulas import FORMULAS, called_back, formula, is_native
from microgrid.compiler.kernel import COLUMNS, HEAD, frame
from microgrid.compiler.lanes import Mode, Number, Writer
from microgrid.compiler.lines import Lines
from microgrid.compiler.llvm import ATTRIBUTES, ModuleText
from microgrid.compiler.tape import PASSED
from microgrid.core.natives import SCIPY
from microgrid.core.primitive import OPS, built_in, op_called

WORD = 24
"""Bytes of an instruction's word."""

TERMS = ("++++++++", "++++", "+-+-", "-+-+", "++", "+-", "-+", "--", "+", "-")
"""Signs of the products that one handler adds to a number, the longest first."""

POWERS = (1.0, 2.0, 3.0, 4.0, -1.0, -2.0)
"""Exponents that have a handler each, by default: the formula has products for them."""

TABLE = ("sources", "code", "offsets", "x", "p", "c", "d", "y", "constants", "outputs")
"""Words of the table: numbers of sources, cells and outputs; addresses of words, of the first column of each source, of
constants, and of the offsets of outputs."""


class Handler(NamedTuple):
    """The name of a handler: an op, and what becomes of its result.

    `start` is "" where it is set, "sum" where it is added to the destination, and "zero" where it is added to 0, as the
    first contribution to a leaf is. `terms` are signs of products that are added to the first operand, for the op
    "terms"; `power` is the last operand of a constant power.
    """

    op: str
    start: str = ""
    terms: str = ""
    power: float | None = None

    @property
    def operands(self) -> int:
        """The number of operands that the words name."""
        if self.op == "terms":
            return 1 + 2 * len(self.terms)
        if self.op in FORMULAS and self.op not in OPS:
            return 1 if self.op in ("passed", "negated", "identity") else 2
        op = op_called(self.op)
        assert op is not None
        return op.arity - (self.power is not None)

    @property
    def words(self) -> int:
        """The number of words of an instruction."""
        return -(-(self.operands + 1) // 4)


ARITHMETIC = ("add", "sub", "mul", "div", "neg", "identity")
"""Ops with handlers in the kernel itself: LLVM takes half of the time for it without the others."""


def arithmetic(strict: bool) -> list[Handler]:
    """Return the handlers of the kernel that all programs share."""
    handlers = [Handler(name) for name in ARITHMETIC]
    handlers += [Handler(name, start) for name in PASSED for start in ("", "sum", "zero")]
    handlers += [Handler("terms", terms=signs) for signs in TERMS]
    if not strict:
        handlers += [Handler("constant_power", power=power) for power in POWERS]
    return handlers


def elementary(strict: bool) -> list[Handler]:
    """Return the handlers that all programs with other ops share: those of ops that need nothing but the C library."""
    names = [op.name for op in OPS.values() if op.name in built_in and is_native(op, strict) and SCIPY not in op.on]
    return [Handler(name) for name in names if name not in (*called_back(strict), *ARITHMETIC)]


def handlers_of(handlers: Sequence[Handler], mode: Mode, called: dict[str, int]) -> str:
    """Return the text of handlers, op0 and further; `called` numbers the external functions."""
    texts, intrinsics = [], set()
    for number, handler in enumerate(handlers):
        writer = Writer(mode)
        writer.called = called
        _handler(handler, writer)
        intrinsics |= writer.intrinsics
        texts.append(handler_of(f"op{number}", writer.lines, handler.words))
    return "\n\n".join([*texts, *sorted(intrinsics)])


def handler_of(name: str, lines: Sequence[str], words: int) -> str:
    """Return the text of a handler for so many words, which calls the next one."""
    head = [f"define void @{name}({_GIVEN}) #0 {{", "entry:"]
    on = [f"  %next = getelementptr i8, ptr %ip, i64 {WORD * words}", "  %handler = load ptr, ptr %next, align 8"]
    on += [f"  musttail call void %handler({_PASSED_ON})", "  ret void", "}"]
    return "\n".join([*head, *lines, *on])


_GIVEN = "ptr %ip, ptr noalias %slots, ptr noalias %functions"
_PASSED_ON = "ptr %next, ptr noalias %slots, ptr noalias %functions"


def _handler(handler: Handler, w: Writer) -> None:
    """Write the lines that load operands, compute, and store the result."""
    align = min(64, 8 * w.mode.lanes)

    def slot(field: int) -> str:
        word, place = divmod(field, 4)
        at = w.line(f"getelementptr i8, ptr %ip, i64 {WORD * word + 8 + 4 * place}").text
        offset = w.line(f"load i32, ptr {at}, align 4").text
        wide = w.line(f"zext i32 {offset} to i64").text
        return w.line(f"getelementptr i8, ptr %slots, i64 {wide}").text

    def load(at: str) -> Number:
        return w.fresh(f"load {w.type}, ptr {at}, align {align}")

    target = slot(0)
    operands = [load(slot(1 + i)) for i in range(handler.operands)]
    if handler.start == "sum":
        operands.append(load(target))
    result = result_of(handler, w, operands)
    w.lines.append(f"  store {w.type} {result.text}, ptr {target}, align {align}")


def result_of(handler: Handler, w: Writer, operands: Sequence[Number]) -> Number:
    """Write what a handler computes; where that is added to its destination, this is the last operand."""
    if handler.op == "terms":
        result = operands[0]
        for i, sign in enumerate(handler.terms):
            product = operands[1 + 2 * i] * operands[2 + 2 * i]
            result = result + product if sign == "+" else result - product
        return result
    more = [] if handler.power is None else [handler.power]
    more += [0.0] if handler.start == "zero" else []
    return formula(handler.op, w.mode)(w, *operands, *[Number(w, w.number(x)) for x in more])


@functools.lru_cache(maxsize=16)
def module_of_interpreter(mode: Mode) -> ModuleText:
    """Return the text of the kernel with handlers of arithmetic."""
    called: dict[str, int] = {}
    handlers = handlers_of(arithmetic(mode.strict), mode, called)
    return ModuleText("\n\n".join([handlers, _Driver(mode).text(), ATTRIBUTES]) + "\n", tuple(called), 0)


def module_of_handlers(handlers: Sequence[Handler], mode: Mode, functions: Sequence[str]) -> ModuleText:
    """Return the text of further handlers; the functions that they call come after those of others."""
    called = {name: i for i, name in enumerate(functions)}
    text = handlers_of(handlers, mode, called)
    return ModuleText(text + "\n\n" + ATTRIBUTES + "\n", tuple(called), 0)


class _Driver(Lines):
    """Writer of the kernel: numbers of a block into slots, the instructions, results out of slots.

    Slots are in this order: inputs, shared inputs, constants, the seed, sums over samples, and all others.
    """

    def __init__(self, mode: Mode) -> None:
        super().__init__(mode.lanes)
        self.apart = mode.strict and mode.lanes == 1  # each sample's sums are taken by themselves, as by recording
        self.size = 8 * mode.lanes

    def text(self) -> str:
        words = {name: self.load("i64", "%table", str(i)) for i, name in enumerate(TABLE)}
        code, offsets, constants, outputs = (
            self.set(f"inttoptr i64 {words[name]} to ptr") for name in ("code", "offsets", "constants", "outputs")
        )
        x = "%scratch"
        p = self.slots(x, words["x"])
        c = self.slots(p, words["p"])
        s = self.slots(c, words["c"])
        d = self.slots(s, "1")
        self.broadcast("shared", words["p"], "%p", p)
        self.broadcast("constant", words["c"], constants, c)
        if self.apart:
            self.clear("total", words["d"], "%d", "double")
        else:
            self.clear("sum", words["d"], d, self.vector)
        block = self.begin("block", "%begin", "%end")
        start = self.set(f"mul i64 {block}, {self.lanes}")
        count = self.set(f"call i64 @llvm.smin.i64(i64 {self.set(f'sub i64 %samples, {start}')}, i64 {self.lanes})")
        self.bring_in(words["sources"], offsets, start, x)
        self.do(f"store {self.vector} {self.seed(count)}, ptr {s}, align 8")
        if self.apart:
            self.clear("sum", words["d"], d, self.vector)
        self.do(f"%first = load ptr, ptr {code}, align 8")
        self.do(f"call void %first(ptr {code}, ptr noalias {x}, ptr noalias %functions)")
        self.take_out(start, count, words["y"], outputs)
        if self.apart:
            self.add_sums(words["d"], d)
        self.end("block", "%end")
        if not self.apart:
            self.total(words["d"], d)
        ret = [f"define void @ret({_GIVEN}) #0 {{", "  ret void", "}"]
        declared = "declare i64 @llvm.smin.i64(i64, i64)"
        return "\n".join([HEAD, *self.lines, "  ret void", "}", declared, *frame(None), *ret])

    def slots(self, base: str, count: str) -> str:
        """Return the address of the slot behind so many."""
        return self.set(f"getelementptr i8, ptr {base}, i64 {self.set(f'mul i64 {count}, {self.size}')}")

    def broadcast(self, name: str, count: str, source: str, target: str) -> None:
        """Set a slot to each number of an array, the same in all lanes."""
        i = self.begin(name, "0", count)
        number = self.load("double", source, i)
        if self.lanes > 1:
            number = self.set(f"insertelement {self.vector} poison, double {number}, i64 0")
            first = f"<{self.lanes} x i32> zeroinitializer"
            number = self.set(f"shufflevector {self.vector} {number}, {self.vector} poison, {first}")
        self.do(f"store {self.vector} {number}, ptr {self.slots(target, i)}, align 8")
        self.end(name, count)

    def clear(self, name: str, count: str, array: str, type: str) -> None:
        """Set an array to 0."""
        i = self.begin(name, "0", count)
        self.do(f"store {type} zeroinitializer, ptr {self.address(type, array, i)}, align 8")
        self.end(name, count)

    def bring_in(self, sources: str, offsets: str, start: str, x: str) -> None:
        """Transpose the inputs of a block, a few columns at a time. A lane without a sample repeats the last one."""
        last = self.set("sub i64 %samples, 1")
        number = self.begin("source", "0", sources)
        source = self.load("ptr", "%sources", number)
        width = self.load("i64", "%strides", number)
        target = self.slots(x, self.load("i64", offsets, number))
        groups = self.set(f"sdiv i64 {self.set(f'add i64 {width}, {COLUMNS - 1}')}, {COLUMNS}")
        first = self.set(f"mul i64 {self.begin('few', '0', groups)}, {COLUMNS}")
        end = self.set(f"call i64 @llvm.smin.i64(i64 {self.set(f'add i64 {first}, {COLUMNS}')}, i64 {width})")
        lane = self.begin("lane", "0", str(self.lanes))
        sample = self.set(f"call i64 @llvm.smin.i64(i64 {self.set(f'add i64 {start}, {lane}')}, i64 {last})")
        row = self.address("double", source, self.set(f"mul i64 {sample}, {width}"))
        column = self.begin("column", first, end)
        at = self.address("double", self.slots(target, column), lane)
        self.do(f"store double {self.load('double', row, column)}, ptr {at}, align 8")
        self.end("column", end)
        self.end("lane", str(self.lanes))
        self.end("few", groups)
        self.end("source", sources)

    def take_out(self, start: str, count: str, width: str, outputs: str) -> None:
        """Write the outputs of a block, which are at offsets among the slots."""
        lane = self.begin("out", "0", count)
        row = self.address("double", "%y", self.set(f"mul i64 {self.set(f'add i64 {start}, {lane}')}, {width}"))
        column = self.begin("result", "0", width)
        slot = self.set(f"getelementptr i8, ptr %scratch, i64 {self.load('i64', outputs, column)}")
        value = self.load("double", slot, lane)
        self.do(f"store double {value}, ptr {self.address('double', row, column)}, align 8")
        self.end("result", width)
        self.end("out", count)

    def add_sums(self, count: str, d: str) -> None:
        """Add the sums of a sample to those of the samples before."""
        i = self.begin("add", "0", count)
        at = self.address("double", "%d", i)
        before = self.set(f"load double, ptr {at}, align 8")
        after = self.set(f"fadd double {before}, {self.load('double', d, i)}")
        self.do(f"store double {after}, ptr {at}, align 8")
        self.end("add", count)

    def total(self, count: str, d: str) -> None:
        """Write the sums over all lanes, added from the first to the last."""
        i = self.begin("total", "0", count)
        slot = self.slots(d, i)
        total = self.load("double", slot, "0")
        for lane in range(1, self.lanes):
            total = self.set(f"fadd double {total}, {self.load('double', slot, str(lane))}")
        self.do(f"store double {total}, ptr {self.address('double', '%d', i)}, align 8")
        self.end("total", count)
