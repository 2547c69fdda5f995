"""The two functions of a loop, forward and backward, in LLVM IR.

All samples of a block take part in each iteration, one per lane. A loop that ends by a condition has a mask of the
lanes that go on: the carry of the others stays as it is, and counts say where their backward pass begins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from microgrid.compiler.loop_tapes import LoopFrame, place_of
from microgrid.compiler.loop_writer import EVERY, STRAIGHT, FunctionText, LoopModule, Placed
from microgrid.compiler.looped import Decision
from microgrid.core.primitive import Op
from microgrid.functions.iteration import unfinished

SMALL = 64
"""Maximum number of cells of a frame that is a local variable, so that it may end up in registers."""

_TESTS = {">": "ogt", ">=": "oge", "<": "olt", "<=": "ole", "==": "oeq", "!=": "une"}


class LoopPasses(FunctionText):
    """Writer of one of the functions of a loop, given the frame around, `%parent`."""

    def __init__(self, module: LoopModule, it: Placed, first: int, parent: LoopFrame) -> None:
        super().__init__(module, "")
        self.it = it
        self.repeated = it.loop
        self.frame = it.unit.frame
        self.first = first
        self.parent = parent
        self.inputs = it.loop.carry + it.loop.xs
        self.places = []
        loop = it.loop
        if loop.times:
            for i in range(len(loop.given)):
                self.places.append(place_of([loop.x(t)[i] for t in range(loop.times)]))
        self.tables = [self.listed(each.each) if each.each else "" for each in self.places]
        self.cells = self.asked = ""

    def begin(self, direction: str) -> None:
        """Open the function, with the frame of a step and what it takes from outside."""
        self.head = f"loop{self.it.number}.{direction}(ptr %parent, {EVERY}"
        if self.frame.size <= SMALL:
            self.cells = self.set(f"alloca [{max(self.frame.size, 1)} x {self.vector}]")
        else:
            self.cells = self.at("%memory", self.it.frame)
        if self.repeated.condition is not None:
            self.asked = self.set(f"alloca [{max(len(self.repeated.condition.outputs), 1)} x {self.vector}]")
        outside = [(self.inputs + j, slot) for j, slot in enumerate(self.repeated.outside)]
        absent = self.frame.shared.keys() - self.it.unit.taken()  # stages read what samples share where it lies
        self.copy(self.cells, "%parent", [pair for pair in outside if pair[0] not in absent])

    # Forward.

    def forward(self) -> None:
        """Write the function of the forward pass."""
        loop = self.repeated
        self.begin("forward")
        self.copy(self.cells, "%parent", list(enumerate(loop.operands[: loop.carry])))
        if loop.condition is not None:
            self.run_while()
        else:
            times = self.least(loop.times, "%limit")
            if loop.segment:
                with self.segments(times) as (number, begin, end):
                    self.copy(self.carry_of(number), self.cells, [(i, i) for i in range(loop.carry)])
                    self.span(begin, end)
            else:
                self.span("0", times)
            if loop.ys:
                last = self.ys(self.place(self.integer("sub", times, 1)))
                with self.loop(times, str(loop.times)) as t:  # none, but where the loop is cut short
                    self.copy(self.ys(self.place(t)), last, [(j, j) for j in range(loop.ys)])
        self.copy(self.at("%parent", self.first), self.cells, [(i, i) for i in range(loop.carry)])
        self.end()

    @contextlib.contextmanager
    def segments(self, times: str, down: bool = False) -> Iterator[tuple[str, str, str]]:
        """Write a loop over segments: the number, the first iteration, and the end of each."""
        segment = self.repeated.segment
        count = self.integer("sdiv", self.integer("add", times, segment - 1), segment)
        with self.loop("0", count, down) as number:
            begin = self.integer("mul", number, segment)
            yield number, begin, self.least(self.integer("add", begin, segment), times)

    def carry_of(self, number: str) -> str:
        """Return the address of the carry that is kept for a segment."""
        return self.at(
            "%memory", self.integer("add", self.integer("mul", number, self.repeated.carry), self.it.carries)
        )

    def record(self, t: str, begin: str) -> str:
        """Return the address of the record of an iteration."""
        at = self.integer("mul", self.integer("sub", t, begin), self.it.width)
        return self.at("%memory", self.integer("add", at, self.it.records))

    def place(self, t: str) -> str:
        """Return the place in its sequence of an iteration."""
        return self.integer("sub", self.repeated.times - 1, t) if self.repeated.reverse else t

    def slot(self, i: int, place: str) -> str:
        """Return the slot of an operand for x."""
        first, step, each = self.places[i]
        if each:
            return self.item(self.tables[i], place)
        return self.integer("add", self.integer("mul", place, step), first)

    def ys(self, place: str, base: str = "%parent") -> str:
        """Return the address of the y of an iteration, or of its cotangents."""
        at = self.integer("add", self.integer("mul", place, self.repeated.ys), self.first + self.repeated.carry)
        return self.at(base, at)

    def take_x(self, place: str) -> None:
        """Copy x into the frame."""
        for i, own in enumerate(self.repeated.given):
            self.store(self.load("%parent", self.slot(i, place)), self.cells, self.repeated.carry + own)

    def save(self, record: str) -> None:
        """Keep the carry before a step."""
        if self.module.gradient:
            self.copy(record, self.cells, [(i, i) for i in range(self.repeated.carry)])

    def save_kept(self, record: str) -> None:
        """Keep results of a step."""
        if self.module.gradient:
            loop, kept = self.repeated, 2 * self.frame.slots
            self.copy(record, self.cells, [(loop.carry + i, kept + i) for i in range(self.it.kept)])

    def span(self, begin: str, end: str) -> None:
        """Write the iterations of a loop from begin to end, with their records."""
        loop, results = self.repeated, self.frame.first_output
        with self.loop(begin, end) as t:
            place = self.place(t)
            record = self.record(t, begin)
            self.save(record)
            self.take_x(place)
            self.run(self.it.unit, self.cells)
            self.save_kept(record)
            if loop.ys:
                self.copy(self.ys(place), self.cells, [(j, results + loop.carry + j) for j in range(loop.ys)])
            self.copy(self.cells, self.cells, [(i, results + i) for i in range(loop.carry)])

    def run_while(self) -> None:
        """Write the iterations of a loop with a condition."""
        loop, bits, results = self.repeated, self.module.bits, self.frame.first_output
        counts = self.at("%memory", self.it.hold + loop.carry)
        self.store(self.zero, counts, 0)
        before, name = self.block, self.fresh()
        self.do(f"br label %{name}.head")
        self.open(f"{name}.head")
        phis = len(self.lines)
        t, active = f"%{name}.t", f"%{name}.active"
        self.call(self.it.condition, self.cells, self.asked)  # what comes from outside follows the carry: no x
        holds = self.decided(loop.decision, self.asked)
        now = self.set(f"and {bits} {active}, {holds}")
        some = self.any(now)
        self.do(f"br i1 {some}, label %{name}.more, label %{name}.done")
        self.open(f"{name}.more")
        full = self.integer("icmp sge", t, loop.times)
        self.do(f"br i1 {full}, label %{name}.full, label %{name}.within")
        self.open(f"{name}.within")
        cut = self.integer("icmp sge", t, "%limit")
        self.do(f"br i1 {cut}, label %{name}.done, label %{name}.body")
        self.open(f"{name}.body")
        record = self.record(t, "0")
        self.save(record)
        self.run(self.it.unit, self.cells)
        self.save_kept(record)
        self.blend(self.cells, now, self.at(self.cells, results), self.cells)
        one = "1.0" if self.module.mode.lanes == 1 else "splat (double 1.0)"
        step = self.set(f"select {bits} {now}, {self.vector} {one}, {self.vector} {self.zero}")
        self.store(self.set(f"fadd {self.vector} {self.load(counts, 0)}, {step}"), counts, 0)
        self.do(f"%{name}.next = add nsw i64 {t}, 1")
        every = "true" if bits == "i1" else "splat (i1 true)"
        self.lines[phis:phis] = [
            f"  {t} = phi i64 [ 0, %{before} ], [ %{name}.next, %{self.block} ]",
            f"  {active} = phi {bits} [ {every}, %{before} ], [ {now}, %{self.block} ]",
        ]
        self.do(f"br label %{name}.head")
        self.open(f"{name}.full")
        self.fail()
        self.do(f"br label %{name}.done")
        self.open(f"{name}.done")
        self.do(f"store i64 {t}, ptr {self.at('%memory', self.it.hold + loop.carry + 1)}, align 8")

    def decided(self, decision: Decision, numbers: str) -> str:
        """Return the answer of a condition."""
        bits = self.module.bits
        if isinstance(decision, bool):
            text = "true" if decision else "false"
            return text if bits == "i1" else f"splat (i1 {text})"
        how, a, b, yes, no = decision
        x, y = self.load(numbers, a), self.load(numbers, b)
        answer = self.set(f"fcmp {_TESTS[how]} {self.vector} {x}, {y}")
        first, second = self.decided(yes, numbers), self.decided(no, numbers)
        return self.set(f"select {bits} {answer}, {bits} {first}, {bits} {second}")

    def any(self, mask: str) -> str:
        """Return a bit that is 1 where it is in some lane."""
        lanes = self.module.mode.lanes
        if lanes == 1:
            return mask
        reduce = f"@llvm.vector.reduce.or.v{lanes}i1(<{lanes} x i1>"
        self.module.intrinsics.add(f"declare i1 {reduce})")
        return self.set(f"call i1 {reduce} {mask})")

    def fail(self) -> None:
        """Call a function that raises an error, when the code has ended."""
        name, loop = f"while_loop {self.it.number} without an end", self.repeated

        def forward() -> float:
            raise RuntimeError(unfinished(loop.times, loop.line))

        self.module.ops[name] = Op(name, forward, lambda z: (), 0, 0, (), name, 0, "")
        place = self.module.called.setdefault(f"python:{name}", len(self.module.called))
        slot = self.set(f"getelementptr ptr, ptr %functions, i64 {place}")
        function = self.set(f"load ptr, ptr {slot}, align 8")
        self.do(f"call double {function}()")

    def blend(self, target: str, mask: str, new: str, old: str) -> None:
        """Take a carry from one place in lanes of a mask, from another in the others."""
        vector = self.vector

        def one(i: str | int) -> None:
            x, y = self.load(new, i), self.load(old, i)
            self.store(self.set(f"select {self.module.bits} {mask}, {vector} {x}, {vector} {y}"), target, i)

        if self.repeated.carry <= STRAIGHT:
            for i in range(self.repeated.carry):
                one(i)
            return
        with self.loop("0", str(self.repeated.carry)) as place:
            one(place)

    # Backward.

    def backward(self) -> None:
        """Write the function of the backward pass."""
        loop, slots = self.repeated, self.frame.slots
        self.begin("backward")
        cotangents, outer = self.at(self.cells, slots), self.at("%parent", self.parent.slots)
        outside = [(self.inputs + j, slot) for j, slot in enumerate(loop.outside)]
        self.copy(cotangents, outer, outside)
        self.copy(cotangents, outer, [(i, self.first + i) for i in range(loop.carry)])
        if loop.condition is not None:
            self.back_while(cotangents)
        else:
            times = self.least(loop.times, "%limit")
            if loop.segment:
                with self.segments(times, down=True) as (number, begin, end):
                    self.copy(self.cells, self.carry_of(number), [(i, i) for i in range(loop.carry)])
                    self.span(begin, end)
                    self.back(begin, end, times, cotangents, outer)
            else:
                self.back("0", times, times, cotangents, outer)
        for i, slot in enumerate(loop.operands[: loop.carry]):
            found = self.load(cotangents, i)
            if loop.condition is not None:
                found = self.set(f"fadd {self.vector} {self.load(outer, slot)}, {found}")
            self.store(found, outer, slot)
        self.copy(outer, cotangents, [(slot, place) for place, slot in outside])
        self.end()

    def restore(self, record: str) -> None:
        """Bring back the carry before a step, and what was kept of it."""
        loop, kept = self.repeated, 2 * self.frame.slots
        self.copy(self.cells, record, [(i, i) for i in range(loop.carry)])
        self.copy(self.cells, record, [(kept + i, loop.carry + i) for i in range(self.it.kept)])

    def again(self, cotangents: str) -> None:
        """Compute a step once more where it has loops, whose records are those of the last iteration."""
        if len(self.frame.stages) > 1:
            self.run(self.it.unit, self.cells)
            first, end = self.frame.inputs, self.frame.first_output
            self.clear(self.at(cotangents, first), end - first)

    def back(self, begin: str, end: str, times: str, cotangents: str, outer: str) -> None:
        """Write the backward pass of the iterations from begin to end."""
        loop, results = self.repeated, self.frame.first_output
        with self.loop(begin, end, down=True) as t:
            self.restore(self.record(t, begin))
            place = self.place(t)
            self.take_x(place)
            self.again(cotangents)
            self.copy(cotangents, cotangents, [(results + i, i) for i in range(loop.carry)])
            at_first = self.integer("icmp eq", t, 0)
            at_last = self.integer("icmp eq", t, self.integer("sub", times, 1))
            before = self.place(self.set(f"call i64 @llvm.smax.i64(i64 {self.integer('sub', t, 1)}, i64 0)"))
            ys, ys_before = self.ys(place, outer), self.ys(before, outer)
            begins = dict.fromkeys(range(loop.carry), self.zero)
            for j, i in enumerate(loop.same):
                own = self.load(ys, j)
                if i >= 0:  # a Value that is in the carry, too: its sum begins with what y passes to it
                    own = self.either(at_last, own, self.zero)
                    begins[i] = self.load(ys_before, j)
                self.store(own, cotangents, results + loop.carry + j)
            for i in range(loop.carry):
                self.store(self.either(at_first, self.load(outer, loop.operands[i]), begins[i]), cotangents, i)
            slots = [self.slot(i, place) for i in range(len(loop.given))]
            for slot, i in zip(slots, loop.given, strict=True):
                self.store(self.load(outer, slot), cotangents, loop.carry + i)
            self.run_back(self.it.unit, self.cells)
            for slot, i in zip(slots, loop.given, strict=True):
                self.store(self.load(cotangents, loop.carry + i), outer, slot)

    def either(self, bit: str, x: str, y: str) -> str:
        """Choose a number for all lanes."""
        return self.set(f"select i1 {bit}, {self.vector} {x}, {self.vector} {y}")

    def back_while(self, cotangents: str) -> None:
        """Write the backward pass of a loop with a condition: in each lane from its own last iteration on."""
        loop, _bits, results = self.repeated, self.module.bits, self.frame.first_output
        counts = self.load("%memory", self.it.hold + loop.carry)
        hold = self.at("%memory", self.it.hold)
        last = self.at("%memory", self.it.hold + loop.carry + 1)
        end = self.set(f"load i64, ptr {last}, align 8")
        with self.loop("0", end, down=True) as t:
            number = self.everywhere("double", self.set(f"sitofp i64 {t} to double"))
            mask = self.set(f"fcmp ogt {self.vector} {counts}, {number}")
            self.restore(self.record(t, "0"))
            self.again(cotangents)
            self.copy(hold, cotangents, [(i, i) for i in range(loop.carry)])
            nothing = self.at(self.cells, results)  # as many cells as there are in a carry
            self.clear(nothing, loop.carry)
            self.blend(self.at(cotangents, results), mask, cotangents, nothing)
            self.clear(cotangents, loop.carry)
            self.run_back(self.it.unit, self.cells)
            self.blend(cotangents, mask, cotangents, hold)
