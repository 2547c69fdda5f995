"""Writer of LLVM IR: arithmetic on vectors of lanes, one sample per lane."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from microgrid.core.primitive import Op

EVERYWHERE = -math.inf, math.inf

SHORT = 8
"""Number of lanes in which sums over samples accumulate; further lanes are added at once."""

AVX512 = 8
"""Number of lanes of the widest registers of x86."""


class Mode(NamedTuple):
    """Number of lanes, strictness (same bits as recording), and lanes per call of the vector library (1: none).

    `width`: in code of one lane, the number of iterations of an innermost loop that are lanes there (1: none).
    """

    lanes: int = 1
    strict: bool = False
    vector: int = 1
    width: int = 1


class Number:
    """A register of the function being written, or a literal. Arithmetic on it writes lines."""

    __slots__ = ("bounds", "comparison", "difference", "factor", "text", "writer")

    def __init__(self, writer: Writer, text: str) -> None:
        self.writer = writer
        self.text = text
        # Factors of a product with a literal, and operands of a difference: |-2 x| and |2 x| are the same number,
        # as are |x - y| and |y - x|, so what follows from both is computed only once.
        self.factor: tuple[float, Number] | None = None
        self.difference: tuple[Number, Number] | None = None
        self.comparison: tuple[str, Number, Number] | None = None  # it is 1 where this holds, 0 where not, nan at nan
        self.bounds = EVERYWHERE

    def __add__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fadd", self, other)

    def __sub__(self, other: Number | float) -> Number:
        difference = self.writer.arithmetic("fsub", self, other)
        if isinstance(other, Number):
            difference.difference = self, other
        return difference

    def __mul__(self, other: Number | float) -> Number:
        product = self.writer.arithmetic("fmul", self, other)
        if not isinstance(other, Number):
            product.factor = other, self
        elif (constant := self.writer.constants.get(self.text)) is not None:
            product.factor = constant, other
        return product

    def __truediv__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fdiv", self, other)

    def __radd__(self, other: float) -> Number:
        return self.writer.arithmetic("fadd", other, self)

    def __rsub__(self, other: float) -> Number:
        return self.writer.arithmetic("fsub", other, self)

    def __rmul__(self, other: float) -> Number:
        return Number(self.writer, self.writer.number(other)) * self

    def _apply_op(self, op: Op, operands: Sequence[Number | float]) -> Number:
        from microgrid.compiler.formulas import apply

        return apply(op, operands, self.writer)

    def __neg__(self) -> Number:
        low, high = self.bounds
        if self.factor is not None:
            return (self.factor[1] * -self.factor[0]).within(-high, -low)
        return self.writer.line(f"fneg {self.writer.type} {self.text}").within(-high, -low)

    def __abs__(self) -> Number:
        if self.factor is not None:
            absolute = abs(self.factor[1]) * abs(self.factor[0])
        elif self.difference is not None:
            first, second = sorted(self.difference, key=lambda x: x.text)
            absolute = self.writer.intrinsic("fabs", self.writer.arithmetic("fsub", first, second))
        else:
            absolute = self.writer.intrinsic("fabs", self)
        return absolute.within(0.0, math.inf)

    def within(self, low: float, high: float) -> Number:
        """Return the number with bounds between which it is known to lie, unless it is nan."""
        self.bounds = low, high
        return self


class Writer:
    """Lines of a function in LLVM's language, with fresh names, and the functions outside that they call."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.type = "double" if mode.lanes == 1 else f"<{mode.lanes} x double>"
        self.bits = "i1" if mode.lanes == 1 else f"<{mode.lanes} x i1>"
        self.lines: list[str] = []
        self.known: dict[str, str] = {}
        """Results by the text of their instruction: every block dominates those behind it, since loops run at least
        once; the code of one that may not run is followed by `forget`."""
        self.intrinsics: set[str] = set()
        self.constants: dict[str, float] = {}
        self.called: dict[str, int] = {}
        self._names = itertools.count()

    def share(self, other: Writer) -> None:
        """Write into the same function as another writer."""
        self.lines, self.called, self._names, self.known = other.lines, other.called, other._names, other.known
        self.intrinsics = other.intrinsics

    def name(self) -> str:
        """Return a fresh name."""
        return f"%t{next(self._names)}"

    def line(self, text: str) -> Number:
        """Return the register of an instruction; an equal earlier instruction is reused."""
        known = self.known.get(text)
        if known is None:
            known = self.known[text] = self.fresh(text).text
        return Number(self, known)

    def forget(self, known: int) -> None:
        """Forget the results after so many."""
        while len(self.known) > known:
            self.known.popitem()

    def fresh(self, text: str) -> Number:
        """Return the register of an instruction that may give a different number each time, such as a load."""
        self.lines.append(f"  {(name := self.name())} = {text}")
        return Number(self, name)

    def number(self, x: Number | float) -> str:
        """Return the text of an operand."""
        if isinstance(x, Number):
            return x.text
        literal = hexadecimal(x)
        text = literal if self.mode.lanes == 1 else f"splat (double {literal})"
        self.constants[text] = x
        return text

    def one(self) -> Number:
        """Return the number 1, as an operand on the left."""
        return Number(self, self.number(1.0))

    def arithmetic(self, instruction: str, x: Number | float, y: Number | float) -> Number:
        """Write a binary operation such as x + y."""
        return self.line(f"{instruction} {self.type} {self.number(x)}, {self.number(y)}")

    def fused(self, x: Number | float, y: Number | float, z: Number | float) -> Number:
        """Write x * y + z, rounded once where the machine can, but in strict mode.

        For sums of many products only: x * x - y * y, fused, is not 0 where x is y.
        """
        if self.mode.strict:
            return self.arithmetic("fadd", z, self.arithmetic("fmul", x, y))
        return self.intrinsic("fmuladd", x, y, z)

    def test(self, how: str, x: Number | float, y: Number | float) -> Number:
        """Write a comparison: `ogt` is greater, `ugt` greater or unordered, and so on."""
        return self.line(f"fcmp {how} {self.type} {self.number(x)}, {self.number(y)}")

    def either(self, a: Number, b: Number) -> Number:
        """Write the disjunction of two tests."""
        return self.line(f"or {self.bits} {a.text}, {b.text}")

    def both(self, a: Number, b: Number) -> Number:
        """Write the conjunction of two tests."""
        return self.line(f"and {self.bits} {a.text}, {b.text}")

    def choose(self, condition: Number, x: Number | float, y: Number | float) -> Number:
        """Write a choice: x where the condition holds, else y."""
        operands = f"{self.type} {self.number(x)}, {self.type} {self.number(y)}"
        return self.line(f"select {self.bits} {condition.text}, {operands}")

    def is_nan(self, x: Number | float) -> Number:
        """Write a test for nan."""
        return self.test("uno", x, 0.0)

    def intrinsic(self, name: str, *operands: Number | float) -> Number:
        """Write a call of an LLVM intrinsic."""
        suffix = "f64" if self.mode.lanes == 1 else f"v{self.mode.lanes}f64"
        types = ", ".join([self.type] * len(operands))
        self.intrinsics.add(f"declare {self.type} @llvm.{name}.{suffix}({types})")
        given = ", ".join(f"{self.type} {self.number(x)}" for x in operands)
        return self.line(f"call {self.type} @llvm.{name}.{suffix}({given})")

    def scaled(self, x: Number, n: Number) -> Number:
        """Write x * 2**n, rounded once, for whole n, by the instruction of AVX-512."""
        return self.avx512("scalef", x, n)

    def avx512(self, name: str, *operands: Number | int) -> Number:
        """Write an instruction of AVX-512, rounded as usual, on numbers and on integers that it has for options."""
        type, function = f"<{AVX512} x double>", f"@llvm.x86.avx512.mask.{name}.pd.512"
        types = ", ".join([type if isinstance(x, Number) else "i32" for x in operands])
        self.intrinsics.add(f"declare {type} {function}({types}, {type}, i8, i32)")

        def written(start: int) -> str:
            given = ", ".join(
                f"{type} {self.part(x.text, start, AVX512)}" if isinstance(x, Number) else f"i32 {x}" for x in operands
            )
            return self.line(f"call {type} {function}({given}, {type} zeroinitializer, i8 -1, i32 4)").text

        return self.by_eights(written)

    def by_eights(self, written: Callable[[int], str]) -> Number:
        """Join what is written for each eight lanes, given the first of them."""
        return Number(self, self.joined([written(start) for start in range(0, self.mode.lanes, AVX512)], AVX512))

    def function(self, symbol: str, type: str, *operands: str) -> str:
        """Write a call of an external function, by its address in the table of functions."""
        place = self.called.setdefault(symbol, len(self.called))
        slot = self.line(f"getelementptr ptr, ptr %functions, i64 {place}").text
        address = self.line(f"load ptr, ptr {slot}, !invariant.load !0").text
        return self.line(f"call {type} {address}({', '.join(f'{type} {x}' for x in operands)}) #1").text

    def library(self, name: str, *operands: Number | float) -> Number:
        """Write a call of the C library, lane by lane, or several lanes at a time by its vector library."""
        lanes, width = self.mode.lanes, self.mode.vector
        texts = [self.number(x) for x in operands]
        if not self.mode.strict and width > 1 and lanes % width == 0 and name in VECTORISED:
            symbol = f"_ZGV{_LETTERS[width]}N{width}{'v' * len(operands)}_{name}"
            if lanes == width:
                return Number(self, self.function(symbol, self.type, *texts))
            parts = [
                self.function(symbol, f"<{width} x double>", *[self.part(text, start, width) for text in texts])
                for start in range(0, lanes, width)
            ]
            return Number(self, self.joined(parts, width))
        if lanes == 1:
            return Number(self, self.function(name, "double", *texts))
        result = "poison"
        for lane in range(lanes):
            given = [self.line(f"extractelement {self.type} {text}, i64 {lane}").text for text in texts]
            one = self.function(name, "double", *given)
            result = self.line(f"insertelement {self.type} {result}, double {one}, i64 {lane}").text
        return Number(self, result)

    def spread(self, number: Number) -> Number:
        """Broadcast a number to all lanes."""
        lanes = self.mode.lanes
        if lanes == 1:
            return number
        first = self.line(f"insertelement {self.type} poison, double {number.text}, i64 0").text
        return self.line(f"shufflevector {self.type} {first}, {self.type} poison, <{lanes} x i32> zeroinitializer")

    def totals(self, numbers: Sequence[Number]) -> list[str]:
        """Return the sum of the lanes of each number; as many numbers as there are lanes are added side by side."""
        lanes = self.mode.lanes
        if lanes == 1:
            return [number.text for number in numbers]
        if len(numbers) % lanes:
            return [self._total(number) for number in numbers]
        found = []
        for start in range(0, len(numbers), lanes):
            group = list(numbers[start : start + lanes])
            width = 1
            while len(group) > 1:  # lane by lane: what pairs of numbers hold in neighbouring runs of lanes
                mine = [i for i in range(lanes) if not i & width]
                left = [j for i in mine[::width] for j in (*range(i, i + width), *range(lanes + i, lanes + i + width))]
                right = [j + width for j in left]
                group = [
                    self._mixed(x, y, left) + self._mixed(x, y, right)
                    for x, y in zip(group[::2], group[1::2], strict=True)
                ]
                width *= 2
            found += [self.line(f"extractelement {self.type} {group[0].text}, i64 {i}").text for i in range(lanes)]
        return found

    def _mixed(self, x: Number, y: Number, lanes: Sequence[int]) -> Number:
        mask = ", ".join(f"i32 {i}" for i in lanes)
        return self.line(f"shufflevector {self.type} {x.text}, {self.type} {y.text}, <{len(lanes)} x i32> <{mask}>")

    def _total(self, number: Number) -> str:
        lanes = self.mode.lanes
        self.intrinsics.add(f"declare double @llvm.vector.reduce.fadd.v{lanes}f64(double, {self.type})")
        add = f"call reassoc double @llvm.vector.reduce.fadd.v{lanes}f64"
        return self.line(f"{add}(double -0.0, {self.type} {number.text})").text

    def part(self, text: str, start: int, width: int) -> str:
        """Return a slice of neighbouring lanes."""
        if width == self.mode.lanes:
            return text
        mask = ", ".join(f"i32 {i}" for i in range(start, start + width))
        return self.line(f"shufflevector {self.type} {text}, {self.type} poison, <{width} x i32> <{mask}>").text

    def joined(self, parts: list[str], width: int) -> str:
        """Concatenate slices of lanes."""
        while len(parts) > 1:
            mask = ", ".join(f"i32 {i}" for i in range(2 * width))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            type = f"<{width} x double>"
            parts = [
                self.line(f"shufflevector {type} {a}, {type} {b}, <{2 * width} x i32> <{mask}>").text for a, b in pairs
            ]
            width *= 2
        return parts[0]


_LETTERS = {8: "e", 4: "d", 2: "b"}  # of the x86 vector function ABI: AVX-512, AVX2, SSE

VECTORISED = frozenset(
    "sin cos exp log pow acos acosh asin asinh atan atan2 atanh cbrt cosh erf erfc exp2 expm1 hypot log10 log1p log2 "
    "sinh tan tanh".split()
)
"""Functions of libmvec (glibc 2.35)."""


def hexadecimal(x: float) -> str:
    """Return a number as LLVM reads it, to the bit."""
    return "0x" + struct.pack(">d", x).hex().upper()


def numbers(text: str) -> list[float]:
    """Return the numbers that a text has in hexadecimal digits, with spaces between."""
    return [float.fromhex(x) for x in text.split()]
