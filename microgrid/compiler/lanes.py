"""What each op is in LLVM's language, on a vector of lanes: the formulas of `forward.py`, once more.

A lane is one sample. In strict mode each lane gets the very bits that `forward.py` gives.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable
from typing import NamedTuple

Formula = Callable[..., "Number"]

SHORT = 8
"""In so many lanes sums over samples are kept: those of further lanes are added at once."""


class Mode(NamedTuple):
    """How many lanes there are, whether to the bit, and how many lanes a call of the vector library takes (1: none)."""

    lanes: int = 1
    strict: bool = False
    vector: int = 1


class Number:
    """A register of the function being written, or a number that stands in the code. Arithmetic on it writes lines."""

    __slots__ = ("text", "writer")

    def __init__(self, writer: Writer, text: str) -> None:
        self.writer = writer
        self.text = text

    def __add__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fadd", self, other)

    def __sub__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fsub", self, other)

    def __mul__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fmul", self, other)

    def __truediv__(self, other: Number | float) -> Number:
        return self.writer.arithmetic("fdiv", self, other)

    def __neg__(self) -> Number:
        return self.writer.line(f"fneg {self.writer.type} {self.text}")

    def __abs__(self) -> Number:
        return self.writer.intrinsic("fabs", self)


class Writer:
    """Lines of a function in LLVM's language, with fresh names, and the functions outside that they call."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.type = "double" if mode.lanes == 1 else f"<{mode.lanes} x double>"
        self.bits = "i1" if mode.lanes == 1 else f"<{mode.lanes} x i1>"
        self.flags = "" if mode.strict else " contract"
        self.lines: list[str] = []
        self.intrinsics: set[str] = set()
        self.called: dict[str, int] = {}
        self._names = itertools.count()

    def share(self, other: Writer) -> None:
        """Write into the same function as another writer."""
        self.lines, self.called, self._names = other.lines, other.called, other._names

    def name(self) -> str:
        """A name that no other register has."""
        return f"%t{next(self._names)}"

    def line(self, text: str) -> Number:
        """The register that an instruction gives."""
        self.lines.append(f"  {(name := self.name())} = {text}")
        return Number(self, name)

    def number(self, x: Number | float) -> str:
        """The text of an operand."""
        if isinstance(x, Number):
            return x.text
        literal = hexadecimal(x)
        return literal if self.mode.lanes == 1 else f"splat (double {literal})"

    def arithmetic(self, instruction: str, x: Number | float, y: Number | float) -> Number:
        """x + y and its like."""
        return self.line(f"{instruction}{self.flags} {self.type} {self.number(x)}, {self.number(y)}")

    def test(self, how: str, x: Number | float, y: Number | float) -> Number:
        """A comparison: `ogt` is greater, `ugt` greater or unordered, and so on."""
        return self.line(f"fcmp {how} {self.type} {self.number(x)}, {self.number(y)}")

    def either(self, a: Number, b: Number) -> Number:
        """Whether one of two tests holds."""
        return self.line(f"or {self.bits} {a.text}, {b.text}")

    def both(self, a: Number, b: Number) -> Number:
        """Whether both of two tests hold."""
        return self.line(f"and {self.bits} {a.text}, {b.text}")

    def choose(self, condition: Number, x: Number | float, y: Number | float) -> Number:
        """x where the condition holds, else y."""
        operands = f"{self.type} {self.number(x)}, {self.type} {self.number(y)}"
        return self.line(f"select {self.bits} {condition.text}, {operands}")

    def is_nan(self, x: Number | float) -> Number:
        """Whether x is nan."""
        return self.test("uno", x, 0.0)

    def intrinsic(self, name: str, *operands: Number | float) -> Number:
        """One of LLVM's own functions."""
        suffix = "f64" if self.mode.lanes == 1 else f"v{self.mode.lanes}f64"
        types = ", ".join([self.type] * len(operands))
        self.intrinsics.add(f"declare {self.type} @llvm.{name}.{suffix}({types})")
        given = ", ".join(f"{self.type} {self.number(x)}" for x in operands)
        return self.line(f"call {self.type} @llvm.{name}.{suffix}({given})")

    def function(self, symbol: str, type: str, *operands: str) -> str:
        """A call of a function outside, by its address in the table of functions."""
        place = self.called.setdefault(symbol, len(self.called))
        slot = self.line(f"getelementptr ptr, ptr %functions, i64 {place}").text
        address = self.line(f"load ptr, ptr {slot}, !invariant.load !0").text
        return self.line(f"call {type} {address}({', '.join(f'{type} {x}' for x in operands)}) #1").text

    def library(self, name: str, *operands: Number | float) -> Number:
        """A function of the C library, lane by lane, or several lanes at a time by its vector library."""
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
        """The same number in all lanes."""
        lanes = self.mode.lanes
        if lanes == 1:
            return number
        first = self.line(f"insertelement {self.type} poison, double {number.text}, i64 0").text
        return self.line(f"shufflevector {self.type} {first}, {self.type} poison, <{lanes} x i32> zeroinitializer")

    def together(self, number: Number) -> Number:
        """The sum of all lanes."""
        lanes = self.mode.lanes
        if lanes == 1:
            return number
        self.intrinsics.add(f"declare double @llvm.vector.reduce.fadd.v{lanes}f64(double, {self.type})")
        add = f"call reassoc double @llvm.vector.reduce.fadd.v{lanes}f64"
        return self.line(f"{add}(double -0.0, {self.type} {number.text})")

    def part(self, text: str, start: int, width: int) -> str:
        """Some neighbouring lanes."""
        if width == self.mode.lanes:
            return text
        mask = ", ".join(f"i32 {i}" for i in range(start, start + width))
        return self.line(f"shufflevector {self.type} {text}, {self.type} poison, <{width} x i32> <{mask}>").text

    def joined(self, parts: list[str], width: int) -> str:
        """All lanes, from parts of so many."""
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
"""What libmvec has (glibc 2.35)."""


def hexadecimal(x: float) -> str:
    """A number as LLVM reads it, to the bit."""
    return "0x" + struct.pack(">d", x).hex().upper()


# --- the formulas ----------------------------------------------------------------------------------------------------


def _sigmoid(w: Writer, x: Number) -> Number:
    e = w.library("exp", -abs(x))
    return w.choose(w.test("oge", x, 0.0), 1.0, e) / (e + 1.0)


def _gaussian(w: Writer, x: Number) -> Number:
    h = w.intrinsic("rint", x * 64.0) * (1.0 / 64.0)
    squares = w.library("exp", -h * h) * w.library("exp", -(x - h) * (x + h))
    near = w.test("olt", abs(x), 28.0)
    return w.choose(near, squares, w.choose(w.is_nan(x), x, 0.0))


def _softplus(w: Writer, x: Number) -> Number:
    return w.choose(w.test("ogt", x, 0.0), x, 0.0) + w.library("log1p", w.library("exp", -abs(x)))


def _logaddexp(w: Writer, x: Number, y: Number) -> Number:
    larger = w.choose(w.test("ogt", x, y), x, y)
    apart = larger + w.library("log1p", w.library("exp", -abs(x - y)))
    return w.choose(w.test("oeq", x, y), x + math.log(2.0), apart)


def _softsign(w: Writer, x: Number) -> Number:
    at_infinity = w.intrinsic("copysign", 1.0, x)
    return w.choose(w.test("oeq", abs(x), math.inf), at_infinity, x / (abs(x) + 1.0))


def _silu(w: Writer, x: Number) -> Number:
    e = w.library("exp", -abs(x))
    left = w.choose(w.test("oeq", e, 0.0), 0.0, x * e / (e + 1.0))
    return w.choose(w.test("oge", x, 0.0), x / (e + 1.0), left)


def _gelu(w: Writer, x: Number) -> Number:
    tail = w.library("erfc", -x / math.sqrt(2.0))
    return w.choose(w.test("oeq", tail, 0.0), 0.0, x * 0.5 * tail)


def _xlogy(w: Writer, x: Number, y: Number) -> Number:
    nothing = w.both(w.test("oeq", x, 0.0), w.test("ord", y, 0.0))
    return w.choose(nothing, 0.0, x * w.library("log", y))


def _relu(w: Writer, x: Number) -> Number:
    return w.choose(w.test("ugt", x, 0.0), x, 0.0)


def _maximum(w: Writer, x: Number, y: Number, n: Number | None = None) -> Number:
    return w.choose(w.either(w.test("ogt", x, y), w.is_nan(x)), x, y)


def _minimum(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.either(w.test("olt", x, y), w.is_nan(x)), x, y)


def _clip(w: Writer, x: Number, low: Number, high: Number) -> Number:
    return _minimum(w, _maximum(w, x, low), high)


def _sign(w: Writer, x: Number) -> Number:
    still = w.test("ueq", x, 0.0)  # 0, -0 or nan
    return w.choose(still, x + 0.0, w.intrinsic("copysign", 1.0, x))


def _copysign(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.is_nan(y), math.nan, w.intrinsic("copysign", x, y))


def _indicator(how: str) -> Formula:
    def formula(w: Writer, x: Number, y: Number) -> Number:
        return w.choose(w.test("uno", x, y), math.nan, w.choose(w.test(how, x, y), 1.0, 0.0))

    return formula


def _where(w: Writer, condition: Number, x: Number, y: Number) -> Number:
    return w.choose(w.is_nan(condition), math.nan, w.choose(w.test("one", condition, 0.0), x, y))


def _multiply_no_nan(w: Writer, x: Number, y: Number) -> Number:
    return w.choose(w.test("oeq", y, 0.0), 0.0, x * y)


def _mod(w: Writer, x: Number, y: Number) -> Number:
    rest = w.library("fmod", x, y)
    differ = w.both(_differ(w, rest, y), w.test("one", rest, 0.0))
    at_zero = w.choose(w.test("oeq", rest, 0.0), w.intrinsic("copysign", 0.0, y), rest)
    return w.choose(differ, rest + y, at_zero)


def _floor_divide(w: Writer, x: Number, y: Number) -> Number:
    rest = w.library("fmod", x, y)
    differ = w.both(_differ(w, rest, y), w.test("one", rest, 0.0))
    quotient = (x - rest) / y
    quotient = w.choose(differ, quotient - 1.0, quotient)
    whole = w.intrinsic("floor", quotient)
    whole = w.choose(w.test("ogt", quotient - whole, 0.5), whole + 1.0, whole)
    at_zero = w.intrinsic("copysign", 0.0, x / y)
    return w.choose(w.test("oeq", y, 0.0), x / y, w.choose(w.test("oeq", quotient, 0.0), at_zero, whole))


def _differ(w: Writer, x: Number, y: Number) -> Number:
    """Whether one number is negative and the other is not."""
    return w.line(f"xor {w.bits} {w.test('olt', x, 0.0).text}, {w.test('olt', y, 0.0).text}")


def _constant_power(w: Writer, x: Number, c: Number) -> Number:
    """Small whole powers as products, by default."""
    known = {w.number(float(k)): k for k in (1, 2, 3, 4, -1, -2)}
    k = None if w.mode.strict else known.get(c.text)
    if k is None:
        return w.library("pow", x, c)
    power = x
    if abs(k) >= 2:
        power = x * x
    if k == 3:
        power = power * x
    if k == 4:
        power = power * power
    return power if k > 0 else w.line(f"fdiv {w.type} {w.number(1.0)}, {power.text}")


def _scaled(w: Writer, cotangent: Number, partial: Number, sum: Number | None = None) -> Number:
    """cotangent * partial, which is 0 where the cotangent is, added to a sum."""
    nothing = w.test("oeq", cotangent, 0.0)
    if sum is None:
        return w.choose(nothing, 0.0, cotangent * partial)
    if w.mode.strict:
        return sum + w.choose(nothing, 0.0, cotangent * partial)
    return w.choose(nothing, sum, sum + cotangent * partial)  # this form becomes one masked instruction


def _chosen(w: Writer, cotangent: Number, partial: Number, sum: Number | None = None) -> Number:
    """The same, and 0 where the partial is and the product is nan: through a piecewise op nothing passes there."""
    product = cotangent * partial
    blocked = w.both(w.test("oeq", partial, 0.0), w.is_nan(product))
    passed = w.choose(w.either(w.test("oeq", cotangent, 0.0), blocked), 0.0, product)
    return passed if sum is None else sum + passed


def _passed(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    """The cotangent itself; -0 becomes 0, as in a product that is 0 where the cotangent is."""
    once = cotangent + 0.0 if w.mode.strict or sum is None else cotangent
    return once if sum is None else sum + once


def _negated(w: Writer, cotangent: Number, sum: Number | None = None) -> Number:
    once = w.arithmetic("fsub", 0.0, cotangent)
    return once if sum is None else sum + once


def _library(name: str) -> Formula:
    return lambda w, *operands: w.library(name, *operands)


def _intrinsic(name: str) -> Formula:
    return lambda w, *operands: w.intrinsic(name, *operands)


FORMULAS: dict[str, Formula] = {
    "add": lambda w, x, y: x + y,
    "sub": lambda w, x, y: x - y,
    "mul": lambda w, x, y: x * y,
    "div": lambda w, x, y: x / y,
    "neg": lambda w, x: -x,
    "constant_power": _constant_power,
    "power": _library("pow"),
    **{name: _library(name) for name in "exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan asin acos atan".split()},
    **{name: _library(name) for name in "atan2 sinh cosh tanh asinh acosh atanh erf erfc fmod hypot".split()},
    **{name: _intrinsic(name) for name in "sqrt floor ceil trunc".split()},
    "round": _intrinsic("rint"),
    "abs": _intrinsic("fabs"),
    "gaussian": _gaussian,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "softsign": _softsign,
    "silu": _silu,
    "gelu": _gelu,
    "relu": _relu,
    "logaddexp": _logaddexp,
    "xlogy": _xlogy,
    "maximum": _maximum,
    "minimum": _minimum,
    "tied_maximum": _maximum,
    "clip": _clip,
    "copysign": _copysign,
    "sign": _sign,
    "mod": _mod,
    "floor_divide": _floor_divide,
    "greater": _indicator("ogt"),
    "equal": _indicator("oeq"),
    "where": _where,
    "multiply_no_nan": _multiply_no_nan,
    "identity": lambda w, x: x,
    "passed": _passed,
    "negated": _negated,
    "scaled": _scaled,
    "chosen": _chosen,
}
"""Each op of the table, and each way to pass a cotangent on, in LLVM's language."""

_CALLED_BACK = frozenset({"hypot", "sinc_derivative"})


def called_back(strict: bool) -> frozenset[str]:
    """The ops that call Python's function: series have loops, and `math.hypot` rounds better than the C library's."""
    return _CALLED_BACK if strict else _CALLED_BACK - {"hypot"}


def formula(name: str, mode: Mode) -> Formula:
    """How an op is written; one without a formula calls the Python function that computes it."""
    if name in called_back(mode.strict) or name not in FORMULAS:
        return lambda w, *operands: w.library(f"python:{name}", *operands)
    return FORMULAS[name]
