"""From code to LLVM IR: a function for each segment, and one for the sums over samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.body import Body, Copy, Counters
from microgrid.compiler.code import Accumulate, Code, Guard, Load, Operand, Repeat, Stored
from microgrid.compiler.formulas import formula
from microgrid.compiler.kernel import ARRAYS, kernel_of, layout
from microgrid.compiler.lanes import SHORT, Mode, Number, Writer

TILE = 4
"""Tile size, in iterations of each of two nested loops, for sums over samples."""

SUMS = 40
"""Maximum number of loops of sums in one function."""

ATTRIBUTES = (
    'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }\n'
    "attributes #1 = { nounwind willreturn memory(none) }\n!0 = !{}"
)


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
        parts.append(segment_of(segment, mode, called, intrinsics, f"segment{number}({given}", inlined))
    chunk = layout(stored.sizes, mode.lanes)[1]
    summing = 0
    for summing, some in enumerate(_some(stored.sums), 1):
        sums = _Sums(mode, called, chunk) if mode.lanes > 1 else Body(mode, called)
        sums.run(some, [({}, {})])
        intrinsics |= sums.writer.intrinsics
        more = "ptr noalias %d, i64 %chunks, double %seed"  # the seed of one lane; that of several is in memory
        head = f"define internal void @sums{summing - 1}({given}, {more}) #0 noinline {{\nentry:"
        parts.append("\n".join([head, *sums.writer.lines, "  ret void", "}"]))
    kernel, scratch = kernel_of(stored, mode, columns, summing)
    return ModuleText("\n\n".join([*parts, kernel, *sorted(intrinsics), ATTRIBUTES]) + "\n", tuple(called), scratch)


def segment_of(
    segment: Sequence[Code], mode: Mode, called: dict[str, int], intrinsics: set[str], head: str, inlined: str
) -> str:
    """Return the function of a segment, whose name and parameters but the seed are the head."""
    body = Body(mode, called)
    body.run(segment, [({}, {})])
    intrinsics |= body.writer.intrinsics
    first = f"define internal void @{head}, {body.writer.type} %seed) #0 {inlined} {{\nentry:"
    return "\n".join([first, *body.writer.lines, "  ret void", "}"])


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


def _bounds(counter: int, code: Sequence[Code]) -> bool:
    """Return True if the number of iterations of a loop depends on a counter."""
    loops = [item for item in code if isinstance(item, (Repeat, Guard))]
    return any(counter in item.times.counters or _bounds(counter, item.body) for item in loops)


class _Sums(Body):
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
        return TILE if len(copies) <= TILE and not _bounds(loop.counter, loop.body) else 1

    def accumulate(self, item: Accumulate, copies: list[Copy]) -> None:
        writer, narrow = self.writer, self.narrow
        seen: dict[tuple[object, ...], Callable[[str, int], Number]] = {}
        operands: list[list[Callable[[str, int], Number]]] = []
        for counters, _ in copies:
            row = []
            for x in item.operands:
                key = (x, *[counters[c] for c in self.sources[x].cell.counters]) if isinstance(x, int) else (x,)
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
