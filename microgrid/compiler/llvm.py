"""From code to LLVM IR: a function for each segment, and one for the sums over samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from microgrid.compiler.body import Body, Copy, Counters
from microgrid.compiler.code import Accumulate, Code, Guard, Load, Operand, Repeat, Stored
from microgrid.compiler.formulas import formula
from microgrid.compiler.kernel import ARRAYS, goes_through, kernel_of, layout
from microgrid.compiler.lanes import SHORT, Mode, Number, Writer
from microgrid.compiler.poly import Poly

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
    through = goes_through(stored, mode)
    more = ", i64 %distance" if through else ""
    for number, segment in enumerate(stored.segments):
        head = f"segment{number}({given}{more}"
        parts.append(segment_of(segment, mode, called, intrinsics, head, inlined, through))
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
    segment: Sequence[Code],
    mode: Mode,
    called: dict[str, int],
    intrinsics: set[str],
    head: str,
    inlined: str,
    through: bool = False,
) -> str:
    """Return the function of a segment, whose name and parameters but the seed are the head."""
    body = Body(mode, called)
    body.through = through
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

    def small(self, loop: Repeat) -> bool:
        return True

    def run(self, code: Sequence[Code], copies: list[Copy]) -> None:
        """Write the lines of code; sums that follow one another are added up together."""
        for adding, items in itertools.groupby(code, lambda item: isinstance(item, Accumulate)):
            if adding:
                self.adds([item for item in items if isinstance(item, Accumulate)], copies, ())
            else:
                super().run(list(items), copies)

    def repeat(self, loop: Repeat, copies: list[Copy]) -> None:
        """Write a loop; those that add to the same sums in all iterations stand within the loop over chunks."""
        loops: list[Repeat] = []
        body: Sequence[Code] = (loop,)
        loads: list[Load] = []
        while len(body) == 1 and isinstance(body[0], Repeat):
            loops.append(body[0])
            loads += [item for item in body[0].body if isinstance(item, Load)]
            body = [item for item in body[0].body if not isinstance(item, Load)]
        sums = [item for item in body if isinstance(item, Accumulate)]
        counters = {repeat.counter for repeat in loops}
        if len(sums) < len(body) or any(not counters.isdisjoint(item.cell.counters) for item in sums):
            super().repeat(loop, copies)
            return
        for load in loads:
            self.sources[load.target] = load
        self.adds(sums, copies, loops)

    def adds(self, items: Sequence[Accumulate], copies: list[Copy], loops: Sequence[Repeat]) -> None:
        """Write loops over chunks, and those within, that add to sums in registers; equal sums are added up once."""
        most = max(TILE * TILE // len(copies), 1)
        if len(items) > most:
            self.adds(items[:most], copies, loops)
            self.adds(items[most:], copies, loops)
            return
        writer, narrow = self.writer, self.narrow
        inside = {loop.counter for loop in loops}
        seen: dict[tuple[object, ...], Source] = {}
        sums: dict[tuple[str, tuple[int, ...]], list[Source]] = {}
        """Operands of each sum, by its op and their names."""
        cells: list[tuple[Poly, Counters, tuple[str, tuple[int, ...]]]] = []
        for item in items:
            for counters, _ in copies:
                row = []
                for x in item.operands:
                    own = self.sources[x].cell.counters if isinstance(x, int) else ()
                    key = (x if isinstance(x, int) else repr(x), *[counters[c] for c in own if c not in inside])
                    if key not in seen:
                        seen[key] = self.source(x, counters, loops)
                    row.append(seen[key])
                name = item.op, tuple([id(source) for source in row])
                sums.setdefault(name, row)
                cells.append((item.cell, counters, name))
        current = [Number(narrow, narrow.number(0.0)) for _ in sums]
        opened: list[tuple[str, str, int, str, list[tuple[Number, Number]]]] = []
        for times in ("%chunks", *[str(loop.times.base) for loop in loops]):
            before, label = self.block, writer.name()[1:]
            self.begin(label)
            phis = [Number(narrow, f"{writer.name()}.sum") for _ in sums]
            opened.append((label, times, len(writer.lines), before, list(zip(phis, current, strict=True))))
            current = phis
        chunk, *rest = [f"%{label}.counter" for label, *_ in opened]
        offset = writer.line(f"mul i64 {chunk}, {self.chunk}").text
        for start in range(0, writer.mode.lanes, narrow.mode.lanes):
            loaded = {id(source): source(offset, start, rest) for source in seen.values()}
            for i, ((op, _), row) in enumerate(sums.items()):
                given = [loaded[id(source)] for source in row]
                current[i] = formula(op, narrow.mode)(narrow, *given, current[i])
        for label, times, place, before, pairs in reversed(opened):
            writer.lines[place:place] = [
                self.counter(label, before),
                *[
                    f"  {total.text} = phi {narrow.type} [ {first.text}, %{before} ], [ {after.text}, %{self.block} ]"
                    for (total, first), after in zip(pairs, current, strict=True)
                ],
            ]
            self.end(label, times)
        totals = dict(zip(sums, narrow.totals(current), strict=True))
        for cell, counters, name in cells:
            at = self.address("double", "%d", cell, counters)
            old = narrow.fresh(f"load double, ptr {at}, align 8").text
            new = narrow.line(f"fadd double {old}, {totals[name]}").text
            self.write(f"store double {new}, ptr {at}, align 8")

    def source(self, x: Operand, counters: Counters, loops: Sequence[Repeat]) -> Source:
        """Return the operand of lanes from `start` on in a chunk at an offset, in an iteration of loops."""
        narrow = self.narrow
        if not isinstance(x, int):
            return lambda offset, start, inside: Number(narrow, narrow.number(x))
        item = self.sources[x]
        alone = item.array in ("p", "c")
        type = "double" if alone else self.writer.type
        cell, steps = item.cell, [item.cell.step(loop.counter).base for loop in loops]
        for loop in loops:
            cell = cell.at(loop.counter, 0)
        at = self.address(type, f"%{item.array}", cell, counters)

        def load(offset: str, start: int, inside: Sequence[str]) -> Number:
            here = at
            for counter, step in zip(inside, steps, strict=True):
                if step:
                    place = narrow.line(f"mul i64 {counter}, {step}").text
                    here = narrow.line(f"getelementptr {type}, ptr {here}, i64 {place}").text
            if alone:
                return narrow.spread(narrow.fresh(f"load double, ptr {here}, align 8"))
            here = narrow.line(f"getelementptr double, ptr {here}, i64 {offset}").text
            here = narrow.line(f"getelementptr double, ptr {here}, i64 {start}").text if start else here
            return narrow.fresh(f"load {narrow.type}, ptr {here}, align 8")

        return load


Source = Callable[[str, int, Sequence[str]], Number]
"""Writer of an operand: given the offset of a chunk, the first lane, and the counters of loops within."""
