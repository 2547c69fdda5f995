"""From a program to code that runs on arrays: all stages, with their results and times."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from microgrid.compiler.agreement import checked
from microgrid.compiler.choice import Choice, choose, narrowed, reconsidered
from microgrid.compiler.encoding import encode
from microgrid.compiler.formulas import is_native as has_formula
from microgrid.compiler.formulas import shares
from microgrid.compiler.gradient import Native, Request, Static
from microgrid.compiler.interpreted import Interpreted
from microgrid.compiler.kernel import CHUNKS, layout
from microgrid.compiler.lanes import Mode
from microgrid.compiler.llvm import ModuleText, module_of
from microgrid.compiler.looped import Looped
from microgrid.compiler.machine import Loaded, MachineCode, compiled, machine
from microgrid.compiler.reduction import Source, reduced
from microgrid.compiler.roll import Rolled
from microgrid.compiler.sampling import MANY, loops_of
from microgrid.compiler.stages import enter, told
from microgrid.compiler.storage import place
from microgrid.compiler.takeover import Takeover
from microgrid.compiler.tape import Tape
from microgrid.compiler.tracing import Traced, without_collection
from microgrid.core.packages import library
from microgrid.core.primitive import Op
from microgrid.program import Program, definition

POISON = False
"""Debug switch: fill scratch memory and outputs with nan before each run, so that a read before a write shows."""

WORTH = 12_000_000
"""Minimum of instructions x samples for which threads are used: 0.4 ms in one thread, 0.3 ms in two."""

PARTS = 8
"""Maximum number of parts into which blocks of samples are divided, for any number of threads: sums over samples have
the same bits."""


class Options:
    """Options of the user: bits like eager evaluation; the disk cache; number of threads, or None for automatic;
    comparison of first results with recording; machine code from another process for what is interpreted."""

    def __init__(
        self, strict: bool, cache: bool, threads: int | None, check: bool = True, background: bool = True
    ) -> None:
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise ValueError(f"threads is a whole number from 1 on, or None for as many as pay; got {threads!r}")
        self.strict = strict
        self.cache = cache
        self.threads = threads
        self.check = check
        self.background = background


def is_native(strict: bool, op: Op, static: Static) -> bool:
    """Return True if an op has code of its own or calls its Python function, False if its definition is inlined."""
    if has_formula(op, strict):
        return True
    if strict and op.formula is not None and not op.defined:
        return True  # the formula may round differently
    try:
        definition(op, static)
    except TypeError:  # it computes floats only
        return True
    return False


class Plan:
    """A compiled program. `columns` are the widths of the arrays of inputs; None for a single sample.

    For a few `samples` the code takes one after the other, with iterations of the innermost loops in lanes; for more it
    has samples in lanes. Which is a matter of their number alone, so that results repeat to the bit. `like` is a plan
    of the same program for another number. `lanes` are for samples, however few.
    """

    def __init__(
        self,
        traced: Traced,
        request: Request,
        columns: Sequence[int] | None,
        options: Options,
        samples: int = 1,
        like: Plan | None = None,
        lanes: int = 0,
    ) -> None:
        self.numpy = library("numpy", "compile")
        self.traced = traced
        self.request = request
        self.columns = columns
        self.options = options
        self.seconds = {"trace": traced.seconds}
        here = self._timed("start of LLVM", machine)
        self._most = here.width // 2  # no more than a quarter of the lanes: then lanes for samples do not pay
        self._few = columns is None or (samples <= self._most and not lanes)
        self.takeover: Takeover | None = None
        """The end of interpretation; None for machine code."""
        self._recorded: Plan | None = None
        self._other: Plan | None = None  # which does not refer to this one: code is unloaded with its last reference
        self.mode = Mode(1 if self._few else lanes or 2 * here.width, options.strict, here.vector, here.width)
        if isinstance(traced.program, Looped):
            self._lower(traced.program, columns)
        else:
            self._roll(traced.program, columns, like)
        self._no_outputs = self.numpy.empty((0, 0))
        self.nothing = self.numpy.empty(0)
        self._lanes = self.mode.lanes
        self._in_columns = self._lanes > 1 and bool(self.choice.effort)
        self._run_frame = self.loaded.run_frame if self._settled else None
        self._scratch: list[tuple[Any, int]] = []
        self._frames: list[_Frame] = []
        self._round = CHUNKS * self.mode.lanes
        self.fixed = self._fixed(self._table)
        self.checked = not options.check
        if self.checked:
            self.traced = traced._replace(recording=None)

    def _roll(self, program: Program, columns: Sequence[int] | None, like: Plan | None) -> None:
        """Find the loops of a straight program, and make code of it."""
        self.source: Source
        self.before: int
        """The number of instructions before they were simplified."""
        straight: Tape | None = None
        if like is None:
            straight, self.rolled = self._shortened(program)
            self.steps = straight.count()
        else:
            self.rolled, self.steps, self.source, self.before = like.rolled, like.steps, like.source, like.before
            self.seconds |= {stage: like.seconds[stage] for stage in ("gradient", "roll", "simplify")}
        tape = self.rolled.tape
        widths = self._widths(columns, tape.sizes["x"])
        self.elements = self.rolled.elements
        self.choice = choose(self.steps, self.elements, self.mode)
        if self.choice.effort:
            self._compile(widths)
        else:
            self._interpret(straight or self._straight(), widths)
        self.rolled.settle()
        self.outputs = tape.sizes["y"]
        self.sums = tape.sizes["d"]

    def _lower(self, program: Looped, columns: Sequence[int] | None) -> None:
        """Make code of a program whose loops are known."""
        from microgrid.compiler.loop_kernel import lowered

        widths = self._widths(columns, self.request.shared.count(False))
        found = self._timed("loops", lambda: lowered(program, self.request, self.mode, widths, self._native))
        self.steps = self.before = found.steps
        self.lowered = found
        self.elements, self.outputs, self.sums = found.elements, found.outputs, found.sums
        self.choice = Choice("full", 0.0, "its loops are traced")
        self._machine_code(found.module, found.ops)
        self._table = self.numpy.array((2.0**62, *found.table[1:]))  # no limit of iterations

    def _widths(self, columns: Sequence[int] | None, inputs: int) -> Sequence[int]:
        """Return the widths of the arrays of inputs."""
        widths = columns or [inputs]
        self._pointers = ctypes.c_void_p * len(widths)
        self._strides = (ctypes.c_int64 * len(widths))(*widths)
        return widths

    def _fixed(self, table: Any) -> tuple[int, int, int]:
        return ctypes.addressof(self._strides), address(table), ctypes.addressof(self.loaded.functions)

    def limited(self, iterations: int) -> Any:
        """Return the table of constants with which no loop of a `Looped` program has more iterations."""
        table = self._table.copy()
        table[0] = iterations
        return table

    def _shortened(self, program: Program) -> tuple[Tape, Rolled]:
        """Return the tape of the program, simplified where that pays, and its loops."""
        shorter = self.traced.shorter
        self.source = Source(shorter or program, self.request, shorter is not None)
        straight = self._straight()
        self.before = len(program.straight().ops) + len(program.outputs) if shorter else straight.count()
        # Many instructions without derivatives of their own are derivatives: shorter ones are looked through sooner.
        later = not self.request.by and not self.request.total and self.before > MANY
        rolled = self._timed("roll", lambda: None if later else loops_of(straight))
        found: tuple[Source, Tape, Rolled] = self._timed(
            "simplify", lambda: reduced(self.source, self._native, self.options.strict, straight, rolled)
        )
        self.source = found[0]
        return found[1:]

    @property
    def _native(self) -> Native:
        return functools.partial(is_native, self.options.strict)

    @property
    def _early(self) -> Native:
        here = machine()
        return functools.partial(shares, Mode(2 * here.width, self.options.strict, here.vector, here.width))

    def _straight(self) -> Tape:
        """Return the tape of the program."""
        tape: Tape = self._timed("gradient", lambda: self.source.tape(self._native, self._early))
        return tape

    def _compile(self, columns: Sequence[int]) -> None:
        """Compile the loops by LLVM."""
        stored = self._timed("storage", lambda: place(self.rolled, alone=self._few))
        self.mode = narrowed(self.mode, layout(stored.sizes, 1)[1])
        module = self._timed("text", lambda: module_of(stored, self.mode, columns))
        self._machine_code(module, self.rolled.tape.ops)
        self._table = self.numpy.array(stored.table or (0.0,))

    def _machine_code(self, module: ModuleText, ops: dict[str, Op]) -> None:
        """Compile a module by LLVM."""
        self.module = module
        self.choice = reconsidered(self.choice, module.text.count("\n"), self.mode)
        code, self.cached = self._timed(
            "machine code", lambda: compiled(module.text, self.options.cache, self.choice.effort)
        )
        loaded = self._timed("load", lambda: MachineCode(code, "kernel"))
        self.loaded = Loaded(loaded, module.functions, ops)
        self.scratch, self.size = module.scratch, loaded.size

    def _interpret(self, tape: Tape, columns: Sequence[int]) -> None:
        """Encode the instructions for the interpreter."""
        encoded = self._timed("encoding", lambda: encode(tape, self.options.strict))
        cache = self.options.cache
        program = self._program = self._timed("load", lambda: Interpreted(encoded, tape, columns, self.mode, cache))
        self.loaded, self.cached = program.loaded, False
        self.scratch, self.size = program.scratch, program.size
        self._table = program.table
        self.takeover = Takeover(program, self.options.background)

    @property
    def _settled(self) -> bool:
        """True if the code will not change any more, so that no time is taken."""
        return self.takeover is None or self.takeover.settled

    @functools.cached_property
    def memory(self) -> Any:
        """Memory of calls in machine code."""
        from microgrid.compiler.transfer import Memory

        return Memory(self)

    def fitting(self, samples: int) -> Plan:
        """Return the plan of this program for so many samples, which is compiled at its first use."""
        if (samples <= self._most) == self._few or self.columns is None:
            return self
        if self._other is None:
            with told(self.traced.name):
                self._other = Plan(self.traced, self.request, self.columns, self.options, samples, self)
        return self._other

    def _timed(self, stage: str, run: Any) -> Any:
        enter(stage)
        start = time.perf_counter()
        with without_collection():
            result = run()
        self.seconds[stage] = time.perf_counter() - start
        return result

    def _at_once(self, sources: Sequence[Any], shared: Any, samples: int, weight: float) -> tuple[Any, Any]:
        """Run the code for all samples by one call, whose arguments are in a frame: in 1.5 us for 5."""
        empty, run_frame = self.numpy.empty, self._run_frame
        assert run_frame is not None
        outputs = self._new_outputs(samples) if self.outputs else self._no_outputs
        sums = empty(self.sums) if self.sums else self.nothing
        try:
            frame = self._frames.pop()
        except IndexError:  # all are in use by other threads
            frame = _Frame(self, len(sources))
        objects = map(id, sources)
        frame.pack(
            frame.memory, 32, id(shared), id(outputs), id(sums), -(-samples // self._lanes), samples, weight, *objects
        )
        run_frame(frame.address)
        self._frames.append(frame)
        return outputs.T if self._in_columns else outputs, sums

    def run(
        self,
        sources: Sequence[Any],
        shared: Any,
        samples: int,
        weight: float = 1.0,
        compare: bool = True,
        table: Any = None,
    ) -> tuple[Any, Any]:
        """Return the outputs, a row for each sample, and the sums over samples, whose seed is the weight.

        Sources are whole arrays of floats with a row for each sample. The first results are compared with recording:
        raises RuntimeError where they differ.
        """
        if self.traced.shorter is not None and not self._finite(sources, shared):
            return self._exact(samples).run(sources, shared, samples, weight, compare)
        # Sums over samples are sums of parts, in their order; one part is taken at once.
        at_once = samples <= self._round or (not self.sums and self.threads(PARTS, samples) == 1)
        if at_once and samples and self.checked and self._run_frame is not None and not POISON:
            return self._at_once(sources, shared, samples, weight)
        np = self.numpy
        counted = self.checked and samples and table is None and not self._settled
        start = time.perf_counter()
        outputs = self._new_outputs(samples)
        if POISON:
            outputs.fill(np.nan)
        pointers = self._pointers(*[address(source) for source in sources])
        blocks = -(-samples // self.mode.lanes)
        rounds = -(-blocks // CHUNKS)
        parts = max(1, min(PARTS, rounds))
        sums = np.empty((parts, self.sums))
        to = address(outputs) if self.outputs else 0
        fixed = self.fixed if table is None else self._fixed(table)
        given = (ctypes.addressof(pointers), *fixed, address(shared), to)
        first_sum = address(sums)

        def part(i: int) -> None:
            scratch = self.taken_scratch()
            if POISON:
                scratch[0].fill(np.nan)
            begin, end = rounds * i // parts * CHUNKS, min(rounds * (i + 1) // parts * CHUNKS, blocks)
            self.loaded.run(*given, first_sum + 8 * i * self.sums, scratch[1], begin, end, samples, weight)
            self._scratch.append(scratch)

        if parts > 1 and self.threads(parts, samples) > 1:
            list(_pool(self.threads(parts, samples)).map(part, range(parts)))
        else:
            for i in range(parts):
                part(i)
        outputs = outputs.T if self._in_columns else outputs
        total = sums[0]
        for i in range(1, parts):
            total += sums[i]
        if not self.checked and compare and samples:
            with told(self.traced.name):
                enter("check")
                checked(self, sources, shared, samples, weight, (outputs, total))
            self.checked = True
            self.traced = self.traced._replace(recording=None)
        if counted and self.takeover is not None:
            self.takeover.ran(self, time.perf_counter() - start, sources, shared, samples, weight)
            self._run_frame = self.loaded.run_frame if self._settled else None
        return outputs, total

    def _finite(self, sources: Sequence[Any], shared: Any) -> bool:
        """Return True if no argument is inf or nan."""
        isfinite = self.numpy.isfinite
        return all(isfinite(array).all() for array in (*sources, shared))

    def _exact(self, samples: int) -> Plan:
        """Return the plan of the derivative as it is recorded, for arguments that are inf or nan.

        Where it was made with fewer instructions, products with an exact 0 are 0 only if the arguments are finite.
        """
        with _MAKING:
            if self._recorded is None:
                traced = self.traced._replace(shorter=None)
                with told(traced.name):
                    self._recorded = Plan(traced, self.request, self.columns, self.options, samples)
            return self._recorded.fitting(samples)

    def _new_outputs(self, samples: int) -> Any:
        """Return memory for outputs: a row for each sample, or for each output where those of a sample are lanes."""
        if not self.outputs:
            return self._no_outputs
        shape = (self.outputs, samples) if self._in_columns else (samples, self.outputs)
        return self.numpy.empty(shape)

    def results(self, numbers: Sequence[float], outside: Sequence[float]) -> Any:
        """Return the results for one sample, and what is asked of their derivatives, as an array."""
        values, _ = self.run([self.numpy.array([numbers])], self.numpy.array(outside), 1)
        return values.reshape(-1)

    def taken_scratch(self) -> tuple[Any, int]:
        """Return scratch memory that is not in use, or new one."""
        try:
            return self._scratch.pop()
        except IndexError:  # all are in use by other threads
            return self.new_scratch()

    def new_scratch(self) -> tuple[Any, int]:
        """Allocate scratch memory for one thread; return it with its first address aligned to cache lines."""
        array = self.numpy.empty(self.scratch + 8)
        return array, -(-address(array) // 64) * 64

    def threads(self, parts: int, samples: int) -> int:
        """Return the number of threads for this many samples."""
        wish = self.options.threads
        if wish is None:
            wish = processors() if self.steps * samples >= WORTH else 1
        return min(wish, parts)

    def sizes(self) -> list[str]:
        """Return sizes, a line each, and how the program is run."""
        before = f"  (simplified from {self.before:,})" if self.steps < self.before else ""
        return [
            f"instructions   {self.steps:>10,}{before}",
            f"elements       {self.elements:>10,}",
            f"lanes          {self.mode.lanes:>10,}",
            f"scratch bytes  {8 * self.scratch:>10,}",
            f"code bytes     {self.size:>10,}{'  (from the cache)' if self.cached else ''}",
            f"run as         {self.choice}",
            *([] if self.takeover is None else [f"takeover       {self.takeover}"]),
            *[f"loop           {loop}" for loop in self._loops()],
            *[f"unrolled       {loop}" for loop in self.traced.unrolled],
        ]

    def _loops(self) -> Iterable[object]:
        """Return the loops that are traced once."""
        from microgrid.compiler.loop_writer import loops_in

        return loops_in(self.lowered.unit) if isinstance(self.traced.program, Looped) else ()

    def report(self) -> str:
        """Return sizes, how the program is run and why, and seconds for each stage, a line each."""
        return "\n".join(
            [*self.sizes(), *[f"{stage:14} {seconds:>10.4f} s" for stage, seconds in self.seconds.items()]]
        )


class _Frame:
    """Memory for the arguments of a call of machine code, as `kernel.frame` has them, and for its scratch."""

    def __init__(self, plan: Plan, sources: int) -> None:
        self.memory = plan.numpy.empty(10 + sources, dtype="int64")
        self.address = address(self.memory)
        self.scratch, start = plan.taken_scratch()
        self.memory[:4] = (*plan.fixed, start)
        self.pack = struct.Struct(f"=qqqqqd{sources}q").pack_into


_MAKING = threading.RLock()

_START = ctypes.c_char * 0


def address(array: Any) -> int:
    """Return the address of a contiguous array's data: 0.2 us, where `array.ctypes.data` takes 0.8."""
    try:
        return ctypes.addressof(_START.from_buffer(array))
    except (TypeError, ValueError):  # it may not be written to
        return int(array.ctypes.data)


def processors() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="microgrid")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
