"""A program whose loops are traced once as one function in C, for a single sample: as `loop_passes` has it in LLVM IR.

In static memory are the frame of the whole, and for each loop the frame of its step and records: the carry and the kept
results of each iteration, or the carry of every so many, from which the backward pass computes them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from microgrid.compiler.c_loops import CodeWriter, is_native
from microgrid.compiler.gradient import Request
from microgrid.compiler.loop_tapes import LoopFrame, place_of, runs_of
from microgrid.compiler.looped import Decision, Looped, Repeated
from microgrid.compiler.roll import roll
from microgrid.compiler.storage import place
from microgrid.compiler.tape import Tape
from microgrid.program import Program
from microgrid.text import c_source


def c(program: Looped, request: Request, name: str) -> str:
    """Return the text of `void name(const double *x, const double *p, double *y, double *d)` and its helpers.

    Where a while_loop has not ended after its maximum of iterations, for which the compiled function raises an error,
    all results and derivatives are NAN. Raises what `c_loops.c` raises.
    """
    return _ProgramInC(program, request, c_source.checked_name(name)).text()


class _UnitInC(NamedTuple):
    """A frame, with the functions of its stages, and the names of its loops."""

    frame: LoopFrame
    forward: list[list[str]]
    backward: list[list[str]]
    loops: list[str]

    def run(self, cells: str, indent: str) -> list[str]:
        """Return the lines that compute all slots of a frame."""
        lines = []
        for i, stage in enumerate(self.forward):
            y = _at(cells, self.frame.exported[i])
            lines += [f"{indent}{function}({cells}, p, {y}, 0);" for function in stage]
            if i < len(self.loops):
                lines.append(f"{indent}{self.loops[i]}_forward(p, {cells});")
        return lines

    def run_back(self, cells: str, indent: str) -> list[str]:
        """Return the lines that add to the cotangents of a frame's inputs, given those of its results."""
        lines = []
        for i in range(len(self.backward) - 1, -1, -1):
            if i < len(self.loops):
                lines.append(f"{indent}{self.loops[i]}_backward(p, {cells});")
            lines += [f"{indent}{function}({cells}, p, {cells}, 0);" for function in self.backward[i]]
        return lines


class _ProgramInC:
    def __init__(self, program: Looped, request: Request, name: str) -> None:
        self.program = program
        self.request = request
        self.name = name
        self.gradient = bool(request.by)
        self.code = CodeWriter()
        self.names = 0
        self.unfinished = ""
        """Name of the flag that is 1 where a loop has not ended; empty where none has a condition."""

    def text(self) -> str:
        request, name = self.request, self.name
        shared = [i for i, is_shared in enumerate(request.shared) if is_shared]
        own = [i for i, is_shared in enumerate(request.shared) if not is_shared]
        unit = self.unit(self.program, {slot: i for i, slot in enumerate(shared)})
        frame = unit.frame
        cells = self.memory("frame", frame.size)
        outputs = range(frame.first_output + request.total, frame.slots)
        common = [i for i in request.by if request.shared[i]]
        results = len(outputs) + len(request.by) - len(common)
        sizes = {"x": len(own), "p": len(shared), "y": results, "d": len(common) + request.total}
        body = ["    (void)x, (void)p, (void)y, (void)d;"]
        body += [f"    {self.unfinished}[0] = 0;"] if self.unfinished else []
        body += [f"    {cells}[{slot}] = x[{i}];" for i, slot in enumerate(own)]
        body += [f"    {cells}[{slot}] = p[{i}];" for i, slot in enumerate(shared)]
        body += unit.run(cells, "    ")
        if self.unfinished:
            body += [f"    if ({self.unfinished}[0]) {{"]
            for array, given in (("y", "="), ("d", "+=")):
                if sizes[array]:
                    body.append(f"        for (int i = 0; i < {sizes[array]}; i++) {array}[i] {given} NAN;")
            body += ["        return;", "    }"]
        body += _copied("y", cells, list(enumerate(outputs)), "    ")
        if self.gradient:
            cotangents = _at(cells, frame.slots)
            body += [f"    for (int i = 0; i < {frame.slots}; i++) {cells}[{frame.slots} + i] = 0.0;"]
            body += [f"    {cells}[{frame.slots + frame.first_output}] = 1.0;", *unit.run_back(cells, "    ")]
            by = [i for i in request.by if not request.shared[i]]
            body += _copied("y", cotangents, [(len(outputs) + i, slot) for i, slot in enumerate(by)], "    ")
            body += [f"    d[{i}] += {cells}[{frame.slots + slot}];" for i, slot in enumerate(common)]
        if request.total:
            body.append(f"    d[{len(common)}] += {cells}[{frame.first_output}];")
        return self.code.text(name, sizes, body)

    def memory(self, what: str, size: int, kind: str = "double") -> str:
        """Reserve memory; return its name."""
        name = f"{self.name}_{what}"
        self.code.memory.append(f"static {kind} {name}[{max(size, 1)}];")
        return name

    def unit(self, program: Program | Looped, shared: Mapping[int, int]) -> _UnitInC:
        """Write the functions of a program, and of all loops within."""
        frame = LoopFrame(program, shared, is_native, self.gradient)
        forward, backward = [[self.stage(tape) for tape in tapes] for tapes in (frame.forward, frame.backward)]
        loops = [self.loop(loop, first, frame) for loop, first in zip(frame.loops, frame.repeated, strict=True)]
        return _UnitInC(frame, forward, backward, loops)

    def stage(self, tape: Tape) -> list[str]:
        """Write the functions of a tape."""
        if not tape.steps:
            return []
        self.names += 1
        return self.code.functions(place(roll(tape)), f"{self.name}_stage{self.names}")

    def loop(self, loop: Repeated, first: int, parent: LoopFrame) -> str:
        """Write the functions of a loop whose results begin at a slot of the frame around; return their name."""
        inputs = loop.carry + loop.xs
        shared = {inputs + i: parent.shared[slot] for i, slot in enumerate(loop.outside) if slot in parent.shared}
        unit = self.unit(loop.step, shared)
        asked: list[str] = []
        if loop.condition is not None:
            some = {loop.carry + i: parent.shared[slot] for i, slot in enumerate(loop.outside) if slot in parent.shared}
            asked = self.stage(LoopFrame(loop.condition, some, is_native, gradient=False).forward[0])
        self.names += 1
        writer = _LoopInC(self, f"loop{self.names}", loop, first, parent, unit, asked)
        writer.forward()
        if self.gradient:
            writer.backward()
        return f"{self.name}_{writer.name}"


class _LoopInC:
    """Writer of the two functions of a loop."""

    def __init__(
        self,
        writer: _ProgramInC,
        name: str,
        loop: Repeated,
        first: int,
        parent: LoopFrame,
        unit: _UnitInC,
        asked: list[str],
    ) -> None:
        self.writer = writer
        self.name = name
        self.repeated = loop
        self.first = first
        self.parent = parent
        self.unit = unit
        self.frame = unit.frame
        self.asked = asked
        self.kept = unit.frame.kept if len(unit.frame.stages) == 1 else 0
        self.width = loop.carry + self.kept
        self.segment = loop.segment if writer.gradient and 0 < loop.segment < loop.times else 0
        self.cells = writer.memory(f"{name}_frame", unit.frame.size)
        self.cotangents = _at(self.cells, unit.frame.slots)
        self.outside = [(loop.carry + loop.xs + j, slot) for j, slot in enumerate(loop.outside)]
        self.lines: list[str] = []
        if writer.gradient:
            self.records = writer.memory(f"{name}_records", self.width * (self.segment or loop.times))
        if self.segment:
            self.carries = writer.memory(f"{name}_carries", loop.carry * -(-loop.times // self.segment))
        if loop.condition is not None:
            self.numbers = writer.memory(f"{name}_numbers", len(loop.condition.outputs)) if asked else ""
            self.count = writer.memory(f"{name}_count", 1, "int")
            writer.unfinished = writer.unfinished or writer.memory("unfinished", 1, "int")
        self.slots = []
        for i in range(len(loop.given) if loop.times else 0):
            found = place_of([loop.x(t)[i] for t in range(loop.times)])
            if found.each:
                table = f"{writer.name}_{name}_x{i}"
                each = ", ".join(map(str, found.each))
                writer.code.memory.append(f"static const int {table}[] = {{{each}}};")
                self.slots.append(f"{table}[at]")
            else:
                self.slots.append(f"{found.first} + {found.step} * at")

    def begin(self, direction: str) -> None:
        self.head = f"{self.writer.name}_{self.name}_{direction}"
        self.lines = []
        self.copy("    ", self.cells, "parent", self.outside)

    def end(self) -> None:
        head = f"static void {self.head}(const double *p, double *parent) {{"
        comment = f"/* {self.repeated.name} of {self.repeated.times} iterations */"
        self.writer.code.helpers[self.head] = "\n".join([comment, head, "    (void)p;", *self.lines, "}"])

    def do(self, indent: str, *lines: str) -> None:
        self.lines += [indent + line for line in lines]

    def copy(self, indent: str, target: str, source: str, pairs: Sequence[tuple[int, int]]) -> None:
        self.lines += _copied(target, source, pairs, indent)

    def carry(self, target: str, source: str, indent: str, to: int = 0, place: int = 0) -> None:
        """Copy a carry, or its cotangents."""
        self.copy(indent, target, source, [(to + i, place + i) for i in range(self.repeated.carry)])

    # Forward.

    def forward(self) -> None:
        loop = self.repeated
        self.begin("forward")
        self.copy("    ", self.cells, "parent", list(enumerate(loop.operands[: loop.carry])))
        if loop.condition is not None:
            self.run_while()
        elif self.segment:
            self.do("    ", f"for (int begin = 0; begin < {loop.times}; begin += {self.segment}) {{")
            self.do(
                "        ", f"double *kept = {self.carries} + begin / {self.segment} * {loop.carry};", "(void)kept;"
            )
            self.carry("kept", self.cells, "        ")
            self.span("        ")
            self.do("    ", "}")
        else:
            self.do("    ", "const int begin = 0;")
            self.span("    ")
        self.carry("parent", self.cells, "    ", self.first)
        self.end()

    def span(self, indent: str) -> None:
        """Write the iterations from `begin` on, of a segment where there are such."""
        loop, results, inner = self.repeated, self.frame.first_output, indent + "    "
        self.do(indent, f"for (int t = begin; t < {self.stop()}; t++) {{")
        self.at(inner)
        self.step(inner)
        self.copy(inner, self.ys("parent"), self.cells, [(j, results + loop.carry + j) for j in range(loop.ys)])
        self.carry(self.cells, self.cells, inner, 0, results)
        self.do(indent, "}")

    def stop(self) -> str:
        times = self.repeated.times
        return f"(begin + {self.segment} < {times} ? begin + {self.segment} : {times})" if self.segment else str(times)

    def at(self, indent: str) -> None:
        """Take x, of the place `at` in its sequence, into the frame."""
        loop = self.repeated
        self.do(indent, f"const int at = {f'{loop.times - 1} - t' if loop.reverse else 't'};", "(void)at;")
        for x, slot in zip(loop.given, self.slots, strict=True):
            self.do(indent, f"{self.cells}[{loop.carry + x}] = parent[{slot}];")

    def ys(self, base: str, place: str = "at") -> str:
        """Return the address of the y of an iteration, or of its cotangents."""
        return f"({base} + {self.first + self.repeated.carry} + {self.repeated.ys} * {place})"

    def step(self, indent: str) -> None:
        """Write a step, with its record."""
        if self.writer.gradient:
            self.do(indent, f"double *record = {self.records} + (t - begin) * {self.width};", "(void)record;")
            self.carry("record", self.cells, indent)
        self.lines += self.unit.run(self.cells, indent)
        if self.writer.gradient:
            self.copy(indent, "record", self.cells, self.kept_results())

    def kept_results(self) -> list[tuple[int, int]]:
        return [(self.repeated.carry + i, 2 * self.frame.slots + i) for i in range(self.kept)]

    def run_while(self) -> None:
        loop = self.repeated
        self.do("    ", "const int begin = 0;", "int t = 0;", "for (;; t++) {")
        self.do("        ", *[f"{function}({self.cells}, p, {self.numbers}, 0);" for function in self.asked])
        self.do("        ", f"if (!({_decided(loop.decision, self.numbers)})) break;")
        self.do("        ", f"if (t == {loop.times}) {{")
        self.do("            ", f"{self.writer.unfinished}[0] = 1;", "break;")
        self.do("        ", "}")
        self.step("        ")
        self.carry(self.cells, self.cells, "        ", 0, self.frame.first_output)
        self.do("    ", "}", "(void)begin;", f"{self.count}[0] = t;")

    # Backward.

    def backward(self) -> None:
        loop, cotangents, outer = self.repeated, self.cotangents, _at("parent", self.parent.slots)
        self.begin("backward")
        self.copy("    ", cotangents, outer, self.outside)
        self.carry(cotangents, outer, "    ", 0, self.first)
        if loop.condition is not None:
            self.back_while()
        elif self.segment:
            last = (loop.times - 1) // self.segment * self.segment
            self.do("    ", f"for (int begin = {last}; begin >= 0; begin -= {self.segment}) {{")
            self.do(
                "        ",
                f"const double *kept = {self.carries} + begin / {self.segment} * {loop.carry};",
                "(void)kept;",
            )
            self.carry(self.cells, "kept", "        ")
            self.span("        ")
            self.back("        ", outer)
            self.do("    ", "}")
        else:
            self.do("    ", "const int begin = 0;")
            self.back("    ", outer)
        for i, slot in enumerate(loop.operands[: loop.carry]):
            found = f"{cotangents}[{i}]"
            found = f"{outer}[{slot}] + {found}" if loop.condition is not None else found
            self.do("    ", f"{outer}[{slot}] = {found};")
        self.copy("    ", outer, cotangents, [(slot, place) for place, slot in self.outside])
        self.end()

    def restore(self, indent: str) -> None:
        """Bring back the carry before a step, and what was kept of it."""
        self.do(indent, f"const double *record = {self.records} + (t - begin) * {self.width};", "(void)record;")
        self.carry(self.cells, "record", indent)
        self.copy(indent, self.cells, "record", [(cell, place) for place, cell in self.kept_results()])

    def again(self, indent: str) -> None:
        """Compute a step once more where it has loops, whose records are those of the last iteration."""
        if len(self.frame.stages) > 1:
            self.lines += self.unit.run(self.cells, indent)
            first, end = self.frame.inputs, self.frame.first_output
            self.do(indent, f"for (int i = {first}; i < {end}; i++) {self.cotangents}[i] = 0.0;")

    def back(self, indent: str, outer: str) -> None:
        """Write the backward pass of the iterations from `begin` on, the last one first."""
        loop, cotangents, results = self.repeated, self.cotangents, self.frame.first_output
        inner = indent + "    "
        self.do(indent, f"for (int t = {self.stop()} - 1; t >= begin; t--) {{")
        self.restore(inner)
        self.at(inner)
        self.again(inner)
        self.carry(cotangents, cotangents, inner, results)
        before = "at" if loop.times < 2 else f"(t ? at {'+' if loop.reverse else '-'} 1 : at)"
        begins = ["0.0"] * loop.carry
        for j, i in enumerate(loop.same):
            own = f"{self.ys(outer)}[{j}]"
            if i >= 0:  # a Value that is in the carry, too: its sum begins with what y passes to it
                own = f"t == {loop.times - 1} ? {own} : 0.0"
                begins[i] = f"{self.ys(outer, before)}[{j}]"
            self.do(inner, f"{cotangents}[{results + loop.carry + j}] = {own};")
        for i in range(loop.carry):
            self.do(inner, f"{cotangents}[{i}] = t == 0 ? {outer}[{loop.operands[i]}] : {begins[i]};")
        for x, slot in zip(loop.given, self.slots, strict=True):
            self.do(inner, f"{cotangents}[{loop.carry + x}] = {outer}[{slot}];")
        self.lines += self.unit.run_back(self.cells, inner)
        for x, slot in zip(loop.given, self.slots, strict=True):
            self.do(inner, f"{outer}[{slot}] = {cotangents}[{loop.carry + x}];")
        self.do(indent, "}")

    def back_while(self) -> None:
        """Write the backward pass of a loop with a condition, from its last iteration on."""
        loop, cotangents, inner = self.repeated, self.cotangents, "        "
        self.do("    ", "const int begin = 0;", f"for (int t = {self.count}[0] - 1; t >= 0; t--) {{")
        self.restore(inner)
        self.again(inner)
        self.carry(cotangents, cotangents, inner, self.frame.first_output)
        self.do(inner, f"for (int i = 0; i < {loop.carry}; i++) {cotangents}[i] = 0.0;")
        self.lines += self.unit.run_back(self.cells, inner)
        self.do("    ", "}", "(void)begin;")


def _at(array: str, place: int) -> str:
    return f"({array} + {place})" if place else array


def _copied(target: str, source: str, pairs: Sequence[tuple[int, int]], indent: str) -> list[str]:
    """Return lines that copy cells, in their order; a loop where places follow one another."""
    return [
        f"{indent}for (int i = 0; i < {n}; i++) {target}[{to} + i] = {source}[{begin} + i];"
        if n > 1
        else f"{indent}{target}[{to}] = {source}[{begin}];"
        for to, begin, n in runs_of(pairs)
    ]


def _decided(decision: Decision, numbers: str) -> str:
    """Return the answer of a condition."""
    if isinstance(decision, bool):
        return str(int(decision))
    how, a, b, yes, no = decision
    return f"({numbers}[{a}] {how} {numbers}[{b}] ? {_decided(yes, numbers)} : {_decided(no, numbers)})"
