"""The kernel around the code, which runs it for each block of samples, one sample per lane.

kernel(sources, strides, table, functions, p, y, d, scratch, begin, end, samples, weight) runs the blocks from begin to
end: it writes the outputs of their samples to y, and the sums over these samples, each times the weight, to d.

Inputs have the samples in rows in memory and side by side in lanes, so a block is transposed when it comes in, but for
one lane. Outputs are columns, which go out as they are; those of one lane are rows. A lane without a sample repeats the
last one, and its seed is 0. In strict mode and one lane, sums have the bits of recording: each sample's are taken by
themselves, and added to those of the samples before.
"""

from __future__ import annotations

from collections.abc import Sequence

from microgrid.compiler.code import Stored
from microgrid.compiler.lanes import Mode
from microgrid.compiler.lines import Lines

CACHE = 1 << 20
"""Bytes of the second-level cache of a core."""

CHUNKS = 8
"""Maximum number of blocks in memory at once, so that sums over samples accumulate in registers over all of them; of
blocks of one sample there is one, and of large ones as many as take twice the cache."""

SQUARE = 8
"""Number of rows and columns that are transposed in registers."""

COLUMNS = 8
"""Number of columns of the inputs that are transposed at a time."""

SCRATCH = ("x", "y", "s", "v", "t", "g", "a")
ARRAYS = ("p", "c", *SCRATCH)
"""Arguments of a segment, in this order."""


def chunks_of(mode: Mode, block: int) -> int:
    """Return the number of blocks in memory at once, of so many numbers each."""
    return max(min(CHUNKS, 2 * CACHE // max(8 * block, 1)), 1) if mode.lanes > 1 else 1


def layout(sizes: dict[str, int], lanes: int, arrays: Sequence[str] = SCRATCH) -> tuple[dict[str, int], int]:
    """Return the offset of each array in the memory of a block, and the size of the block, in numbers."""
    starts, end = {}, 0
    for array in arrays:
        starts[array] = end
        end += sizes[array] * lanes
    return starts, end


HEAD = """\
define void @kernel(ptr noalias %sources, ptr noalias %strides, ptr noalias %table, ptr noalias %functions,
    ptr noalias %p, ptr noalias %y, ptr noalias %d, ptr noalias %scratch, i64 %begin, i64 %end, i64 %samples,
    double %weight) #0 {
entry:"""


DATA = object.__basicsize__
"""Offset in an array, as an object, of the address of its data: the first field after the head of all objects."""


def frame(sources: int | None) -> list[str]:
    """Return the lines of run(frame), which calls the kernel with what a frame holds, in words of eight bytes.

    First strides, table, functions and scratch; then the objects p, y and d, which are NumPy's arrays, as the sources
    at the end are; between them end, samples and weight. So a call from Python converts one argument, not twelve.
    Where the number of sources is not known, it is the first word of the table.
    """
    lines = ["define void @run(ptr noalias %frame) #0 {", "entry:"]

    def field(place: int | str, type: str) -> str:
        name = f"%field{place}" if isinstance(place, int) else "%field.n"
        lines.append(f"  {name}.at = getelementptr i64, ptr %frame, i64 {place}")
        lines.append(f"  {name} = load {type}, ptr {name}.at")
        return name

    def data(place: int | str) -> str:
        name = field(place, "ptr")
        lines.append(f"  {name}.field = getelementptr i8, ptr {name}, i64 {DATA}")
        lines.append(f"  {name}.data = load ptr, ptr {name}.field")
        return f"{name}.data"

    fixed = [field(place, "ptr") for place in range(4)]
    p, y, d = [data(place) for place in range(4, 7)]
    end, samples, weight = field(7, "i64"), field(8, "i64"), field(9, "double")
    if sources is None:
        lines += [f"  %number = load i64, ptr {fixed[1]}", "  %sources = alloca ptr, i64 %number", "  br label %source"]
        lines += ["source:", "  %n = phi i64 [ 0, %entry ], [ %next, %one ]", "  %more = icmp ult i64 %n, %number"]
        lines += ["  br i1 %more, label %one, label %call", "one:", "  %place = add i64 %n, 10"]
        given = data("%place")
        lines += ["  %source.at = getelementptr ptr, ptr %sources, i64 %n", f"  store ptr {given}, ptr %source.at"]
        lines += ["  %next = add i64 %n, 1", "  br label %source", "call:"]
    else:
        lines.append(f"  %sources = alloca [{max(sources, 1)} x ptr]")
        for number in range(sources):
            lines.append(f"  %source{number} = getelementptr ptr, ptr %sources, i64 {number}")
            lines.append(f"  store ptr {data(10 + number)}, ptr %source{number}")
    given = ", ".join(f"ptr {x}" for x in (*fixed[:3], p, y, d, fixed[3]))
    lines.append(f"  call void @kernel(ptr %sources, {given}, i64 0, i64 {end}, i64 {samples}, double {weight})")
    return [*lines, "  ret void", "}"]


def kernel_of(stored: Stored, mode: Mode, columns: Sequence[int], sums: int) -> tuple[str, int]:
    """Return the text of the kernel, and the size of its scratch memory in numbers."""
    chunks = chunks_of(mode, layout(stored.sizes, mode.lanes)[1])
    return Kernel(stored, mode, columns, sums, chunks, goes_through(stored, mode)).text()


def goes_through(stored: Stored, mode: Mode) -> bool:
    """Return True if segments write outputs where they belong: a column each, whose distance is their last parameter.

    In one lane they are a row, and sums over samples may read those of all blocks in memory.
    """
    return mode.lanes > 1 and not stored.sums


class Kernel(Lines):
    """Writer of lines with loops around them, for so many blocks in memory at once."""

    def __init__(
        self, stored: Stored, mode: Mode, columns: Sequence[int], sums: int, chunks: int, through: bool = False
    ) -> None:
        super().__init__(mode.lanes)
        self.stored = stored
        self.sums = sums
        self.columns = columns
        # One row of inputs in one lane is as it comes, and so are the outputs: nothing is copied.
        self.direct = mode.lanes == 1 and len(columns) == 1 and not sums
        self.chunks = chunks
        self.through = through
        self.apart = mode.strict and mode.lanes == 1

    def text(self) -> tuple[str, int]:
        """Return the text, and the size of the scratch memory in numbers."""
        sizes, lanes = self.stored.sizes, self.lanes
        starts, chunk = layout(sizes, lanes, SCRATCH[2:] if self.direct else SCRATCH)
        if sizes["d"]:
            self.clear("clear", "%d")
        blocks = self.set("sub i64 %end, %begin")
        rounds = self.set(f"sdiv i64 {self.set(f'add i64 {blocks}, {self.chunks - 1}')}, {self.chunks}")
        number = self.begin("round", "0", rounds)
        first = self.set(f"add i64 %begin, {self.set(f'mul i64 {number}, {self.chunks}')}")
        left = self.set(f"sub i64 %end, {first}")
        chunks = self.set(f"call i64 @llvm.smin.i64(i64 {left}, i64 {self.chunks})")
        here = self.begin("block", "0", chunks)
        start = self.set(f"mul i64 {self.set(f'add i64 {first}, {here}')}, {lanes}")
        count = self.set(f"call i64 @llvm.smin.i64(i64 {self.set(f'sub i64 %samples, {start}')}, i64 {lanes})")
        memory = self.address("double", "%scratch", self.set(f"mul i64 {here}, {chunk}"))
        arrays = {array: self.address("double", memory, str(at)) for array, at in starts.items()}
        if self.direct:
            arrays["x"], arrays["y"] = self.rows(start, sizes["y"])
        else:
            self.bring_in(start, count, arrays["x"])
        y, more = arrays["y"], ""
        if self.through:
            full = self.set(f"icmp eq i64 {count}, {lanes}")
            there = self.address("double", "%y", start)
            arrays["y"] = self.set(f"select i1 {full}, ptr {there}, ptr {y}")
            more = f", i64 {self.set(f'select i1 {full}, i64 %samples, i64 {lanes}')}"
        seed = self.seed(count)
        if sizes["s"]:
            self.do(f"store {self.vector} {seed}, ptr {arrays['s']}, align 8")
        for segment in range(len(self.stored.segments)):
            self.do(f"call void @segment{segment}({self.given(arrays)}{more}, {self.vector} {seed})")
        if not self.direct:
            self.take_out(start, count, y, sizes["y"])
        self.end("block", chunks)
        if self.sums:
            arrays = {array: self.address("double", "%scratch", str(at)) for array, at in starts.items()}
            d = self.address("double", "%scratch", str(self.chunks * chunk)) if self.apart else "%d"
            if self.apart:
                self.clear("clearsample", d)
            for part in range(self.sums):
                self.do(f"call void @sums{part}({self.given(arrays)}, ptr {d}, i64 {chunks}, double %weight)")
            if self.apart:
                self.add(d)
        self.end("round", rounds)
        lines = [HEAD, *self.lines, "  ret void", "}", "declare i64 @llvm.smin.i64(i64, i64)"]
        lines += frame(len(self.columns))
        return "\n".join(lines), self.chunks * chunk + (sizes["d"] if self.apart else 0)

    def clear(self, name: str, d: str) -> None:
        """Set sums to 0."""
        end = str(self.stored.sizes["d"])
        i = self.begin(name, "0", end)
        self.do(f"store double 0.0, ptr {self.address('double', d, i)}, align 8")
        self.end(name, end)

    def add(self, d: str) -> None:
        """Add the sums of a sample to those of the samples before."""
        end = str(self.stored.sizes["d"])
        i = self.begin("add", "0", end)
        total = self.set(f"fadd double {self.load('double', '%d', i)}, {self.load('double', d, i)}")
        self.do(f"store double {total}, ptr {self.address('double', '%d', i)}, align 8")
        self.end("add", end)

    def given(self, arrays: dict[str, str]) -> str:
        """Parameters of every function."""
        pointers = {"p": "%p", "c": "%table", **arrays}
        return ", ".join([*[f"ptr {pointers[array]}" for array in ARRAYS], "ptr %functions"])

    def rows(self, sample: str, width: int) -> tuple[str, str]:
        """Return the addresses of the inputs and outputs of a sample."""
        stride = self.load("i64", "%strides", "0")
        x = self.address("double", self.load("ptr", "%sources", "0"), self.set(f"mul i64 {sample}, {stride}"))
        return x, self.address("double", "%y", self.set(f"mul i64 {sample}, {width}"))

    def bring_in(self, start: str, count: str, x: str) -> None:
        """Transpose the inputs of a block of samples, a few columns at a time to stay in the cache.

        A single column is as it comes, but in a block with lanes that have no sample.
        """
        last = self.set("sub i64 %samples, 1")
        offset = 0
        whole, part = self.whole(count)
        for number, width in enumerate(self.columns):
            source = self.load("ptr", "%sources", str(number))
            stride = self.load("i64", "%strides", str(number))
            groups = str(-(-width // COLUMNS))
            if width == 1 and self.lanes > 1:
                self.copy(f"in{number}", whole, (source, start), (x, str(offset * self.lanes)))
                groups = part
            elif width > 1 and self.lanes % SQUARE == 0:
                rest = self.squares(f"square{number}", start, (source, stride, width), (x, offset))
                groups = self.set(f"mul i64 {rest}, {groups}")
            few = self.begin(f"few{number}", "0", groups)
            first = self.set(f"mul i64 {few}, {COLUMNS}")
            end = self.set(f"call i64 @llvm.smin.i64(i64 {self.set(f'add i64 {first}, {COLUMNS}')}, i64 {width})")
            lane = self.begin(f"lane{number}", "0", str(self.lanes))
            sample = self.set(f"add i64 {start}, {lane}")
            sample = self.set(f"call i64 @llvm.smin.i64(i64 {sample}, i64 {last})")
            row = self.set(f"mul i64 {sample}, {stride}")
            column = self.begin(f"column{number}", first, end)
            value = self.load("double", source, self.set(f"add i64 {row}, {column}"))
            cell = self.set(f"add i64 {column}, {offset}")
            place = self.set(f"add i64 {self.set(f'mul i64 {cell}, {self.lanes}')}, {lane}")
            self.do(f"store double {value}, ptr {self.address('double', x, place)}, align 8")
            self.end(f"column{number}", end)
            self.end(f"lane{number}", str(self.lanes))
            self.end(f"few{number}", groups)
            offset += width

    def squares(self, name: str, start: str, rows: tuple[str, str, int], target: tuple[str, int]) -> str:
        """Transpose the rows of a block by squares in registers, and return 0; near the last sample do not, return 1.

        A square goes over the end of a row, to the next ones, or begins before that of the square before.
        """
        source, stride, width = rows
        x, offset = target
        after = -(-SQUARE // width) - 1
        last = self.set(f"add i64 {start}, {self.lanes + after}")
        inside = self.set(f"icmp sle i64 {last}, %samples")
        times = self.set(f"select i1 {inside}, i64 1, i64 0")
        self.begin(name, "0", times)
        groups = str(-(-width // SQUARE))
        group = self.begin(f"{name}.group", "0", groups)
        column = self.set(f"mul i64 {group}, {SQUARE}")
        if width > SQUARE:
            column = self.set(f"call i64 @llvm.smin.i64(i64 {column}, i64 {width - SQUARE})")
        type = f"<{SQUARE} x double>"
        for first in range(0, self.lanes, SQUARE):
            loaded = []
            for lane in range(first, first + SQUARE):
                row = self.set(f"mul i64 {self.set(f'add i64 {start}, {lane}')}, {stride}")
                here = self.address("double", source, self.set(f"add i64 {row}, {column}"))
                loaded.append(self.set(f"load {type}, ptr {here}, align 8"))
            for i, found in enumerate(self.transposed(loaded)[:width]):
                cell = self.set(f"add i64 {column}, {offset + i}")
                place = self.set(f"add i64 {self.set(f'mul i64 {cell}, {self.lanes}')}, {first}")
                self.do(f"store {type} {found}, ptr {self.address('double', x, place)}, align 8")
        self.end(f"{name}.group", groups)
        self.end(name, times)
        return self.set(f"sub i64 1, {times}")

    def transposed(self, rows: Sequence[str]) -> list[str]:
        """Return the columns of a square."""
        found, distance = list(rows), 1
        type = f"<{SQUARE} x double>"
        places = range(SQUARE)
        while distance < SQUARE:
            left = ", ".join(f"i32 {i if not i & distance else SQUARE + (i ^ distance)}" for i in places)
            right = ", ".join(f"i32 {i | distance if not i & distance else SQUARE + i}" for i in places)
            for i in [i for i in places if not i & distance]:
                pair = f"{type} {found[i]}, {type} {found[i | distance]}"
                found[i], found[i | distance] = [
                    self.set(f"shufflevector {pair}, <{SQUARE} x i32> <{mask}>") for mask in (left, right)
                ]
            distance *= 2
        return found

    def whole(self, count: str) -> tuple[str, str]:
        """Return 1 and 0 if all lanes have a sample, else 0 and 1."""
        full = self.set(f"icmp eq i64 {count}, {self.lanes}")
        return self.set(f"select i1 {full}, i64 1, i64 0"), self.set(f"select i1 {full}, i64 0, i64 1")

    def copy(self, name: str, times: str, source: tuple[str, str], target: tuple[str, str]) -> None:
        """Copy a number for each lane, at most once, from an array at a place to another."""
        self.begin(name, "0", times)
        numbers = self.set(f"load {self.vector}, ptr {self.address('double', *source)}, align 8")
        self.do(f"store {self.vector} {numbers}, ptr {self.address('double', *target)}, align 8")
        self.end(name, times)

    def take_out(self, start: str, count: str, y: str, width: int) -> None:
        """Write the outputs of a block of samples: a column for each, or in one lane a row for each sample.

        Where segments wrote those of a whole block, only those of a part of one are left.
        """
        if self.lanes == 1:
            row = self.set(f"mul i64 {start}, {width}")
            column = self.begin("outcolumn", "0", str(width))
            value = self.load("double", y, column)
            place = self.address("double", "%y", self.set(f"add i64 {row}, {column}"))
            self.do(f"store double {value}, ptr {place}, align 8")
            self.end("outcolumn", str(width))
            return
        whole, part = self.whole(count)
        columns = self.set(f"mul i64 {part}, {width}") if self.through else str(width)
        column = self.begin("outcolumn", "0", columns)
        source = self.set(f"mul i64 {column}, {self.lanes}")
        target = self.set(f"add i64 {self.set(f'mul i64 {column}, %samples')}, {start}")
        if not self.through:
            self.copy("outwhole", whole, (y, source), ("%y", target))
        ends = self.set(f"mul i64 {count}, {part}")
        lane = self.begin("outlane", "0", ends)
        value = self.load("double", y, self.set(f"add i64 {source}, {lane}"))
        place = self.address("double", "%y", self.set(f"add i64 {target}, {lane}"))
        self.do(f"store double {value}, ptr {place}, align 8")
        self.end("outlane", ends)
        self.end("outcolumn", columns)
