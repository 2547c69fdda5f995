"""`Stored` code: loops over loads, operations and stores, with registers. What `storage` gives `llvm` and `c_loops`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.poly import Poly, name

SUMMED = {"mul": "summed product", "scaled": "summed scaled", "neg": "subtracted product"}
"""Products added to a sum of many terms, their last operand, or subtracted; they may be fused with it. In code only."""

Operand = int | float
"""A register or a literal number."""


class Load(NamedTuple):
    """Read a cell of an array into a register."""

    target: int
    array: str
    cell: Poly


class Apply(NamedTuple):
    """Compute an op. An op that passes a cotangent on has one more operand where its result is added to it."""

    target: int
    op: str
    operands: tuple[Operand, ...]


class Store(NamedTuple):
    """Write to a cell."""

    array: str
    cell: Poly
    value: Operand


class Accumulate(NamedTuple):
    """Add a cotangent to a sum in memory."""

    array: str
    cell: Poly
    op: str
    operands: tuple[Operand, ...]


class Repeat(NamedTuple):
    """Run a body for counter = 0, ..., times - 1, at least once; `kept` are (register, initial value, next value).

    `jams`: several iterations may run side by side, statement by statement, and nothing in a register outlives them.
    `vectorises`: the same of an innermost loop, for code of one lane, whose iterations take the place of samples; what
    it keeps are sums then, and `partial` are the registers of these and of partial sums.
    """

    counter: int
    times: Poly
    kept: tuple[tuple[int, Operand, int], ...]
    body: tuple[Code, ...]
    jams: bool = False
    vectorises: bool = False
    partial: frozenset[int] = frozenset()


class Guard(NamedTuple):
    """Run a loop, and what stands around it, if it has any iterations; `results` are (register, its value if it has
    none, its value after it)."""

    counter: int
    times: Poly
    body: tuple[Code, ...]
    results: tuple[tuple[int, Operand, int], ...]


Code = Load | Apply | Store | Accumulate | Repeat | Guard


class Stored(NamedTuple):
    """Code in segments that share no registers, and the number of cells of each array in memory.

    Sums over samples wait for the end: nobody reads them, and over many samples at once they cost less memory traffic.
    """

    segments: tuple[tuple[Code, ...], ...]
    sums: tuple[Code, ...]
    sizes: dict[str, int]
    table: tuple[float, ...]
    """The constants that differ between iterations."""

    def __str__(self) -> str:
        return "\n".join(line for segment in (*self.segments, self.sums) for line in _lines(segment, ""))


def _lines(code: Sequence[Code], indent: str) -> Iterator[str]:
    for item in code:
        if isinstance(item, Repeat):
            kept = "".join(f", r{r} = r{after} from {_text(first)}" for r, first, after in item.kept)
            yield f"{indent}for {name(item.counter)} in range({item.times}){kept}:"
            yield from _lines(item.body, indent + "    ")
        elif isinstance(item, Guard):
            results = "".join(f", r{r} = r{after} or {_text(none)}" for r, none, after in item.results)
            yield f"{indent}if {item.times}{results}:"
            yield from _lines(item.body, indent + "    ")
        elif isinstance(item, Load):
            yield f"{indent}r{item.target} = {item.array}[{item.cell}]"
        elif isinstance(item, Apply):
            yield f"{indent}r{item.target} = {item.op}({', '.join(map(_text, item.operands))})"
        elif isinstance(item, Store):
            yield f"{indent}{item.array}[{item.cell}] = {_text(item.value)}"
        else:
            yield f"{indent}{item.array}[{item.cell}] += {item.op}({', '.join(map(_text, item.operands))})"


def _text(operand: Operand) -> str:
    return f"r{operand}" if isinstance(operand, int) else repr(operand)
