"""Many small programs, of which LLVM makes code that nobody runs: none may end the process.

    PYTHONPATH=tests python -m fuzzing --endure 100000

Programs are numbered from a seed. A process compiles one after the other, each in one of the ways in which code is
made, and tells the number of the next one beforehand; where it ends, the search goes on behind that one.
"""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import time

from fuzzing.cases import filled
from fuzzing.grammar import Argument, Grower, LoopProgram
from fuzzing.modes import function_of
from fuzzing.processes import ROOT, environment
from microgrid.compiler.gradient import Request
from microgrid.compiler.lanes import Mode
from microgrid.compiler.llvm import module_of
from microgrid.compiler.loop_kernel import lowered
from microgrid.compiler.looped import Looped
from microgrid.compiler.machine import EFFORTS, machine
from microgrid.compiler.plan import is_native
from microgrid.compiler.reduction import Source, reduced
from microgrid.compiler.sampling import loops_of
from microgrid.compiler.storage import place
from microgrid.compiler.tracing import traced

MOST = 200
"""Maximum number of instructions of a program, forward."""

EACH = 5_000
"""Number of programs of one process."""

MANY = 10
"""Number of ends after which it stops."""

SECONDS = 60.0
"""Seconds between two lines of progress."""


def small(rng: random.Random) -> LoopProgram:
    """A program of some ten lines."""
    arguments = []
    for i in range(rng.choice((1, 2, 2, 3))):
        shape = () if rng.random() < 0.4 else (rng.choice((2, 3, 4, 5, 7)),)
        arguments.append(Argument(f"x{i}", shape, own=i == 0 or rng.random() < 0.5))
    grower = Grower(rng, rng.choice((3, 4, 6, 9, 12)))
    blocks = grower.blocks(rng.choice((1, 1, 1, 2)), 1, rng.choice((0, 1, 2)))
    return LoopProgram(tuple(arguments), blocks, 1, rng.choice((0, 1)))


def module(number: int, seed: int) -> tuple[str, str] | None:
    """The text of a program's module, made in one of the ways in which there is code, and an effort of LLVM.

    None where plain Python refuses the program, as it does 1.0 / 0.0, or the compiler a comparison in it.
    """
    rng = random.Random(f"{seed} {number}")
    program = small(rng)
    strict, alone, slopes, width = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.7, rng.choice((2, 4, 8))
    effort = rng.choice(tuple(EFFORTS))
    mode = Mode(1 if alone else 2 * width, strict, machine().vector, width)
    arguments = {x.name: filled(x.shape, lambda: rng.uniform(0.1, 0.9)) for x in program.arguments}
    try:
        found = traced(function_of(program.source()), arguments, strict=strict).program
    except (ArithmeticError, ValueError, TypeError):
        return None
    count = len(found.inputs)
    shared = tuple([rng.random() < 0.4 for _ in range(count)])
    request = Request(shared, tuple(range(count)) if slopes else ())
    native = functools.partial(is_native, strict)
    columns = [shared.count(False)]
    if isinstance(found, Looped):
        return lowered(found, request, mode, columns, native).module.text, effort
    if len(found.instructions) > MOST:
        return None
    source = Source(found, request)
    tape = source.tape(native)
    rolled = reduced(source, native, strict, tape, loops_of(tape))[2]
    return module_of(place(rolled, alone=alone), mode, columns).text, effort


def compile_from(seed: int, first: int, end: int) -> None:
    """Compile programs one after the other; tell the number of each beforehand, and in the end how many there were."""
    done = 0
    for number in range(first, end):
        print(number, done, flush=True)
        found = module(number, seed)
        if found is not None:
            assert machine().object_of(*found)
            done += 1
    print(end, done, flush=True)


def endure(count: int, seed: int, seconds: float) -> int:
    """Compile so many programs in processes; return the number of those that ended theirs."""
    began = said = time.monotonic()
    first = done = ended = 0
    while done < count and ended < MANY and time.monotonic() - began < seconds:
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "fuzzing", "--seed", str(seed), "--compile-from", str(first)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            here = 0
            for line in process.stdout:
                first, here = map(int, line.split())
                now = time.monotonic()
                if now > said + SECONDS:
                    said = now
                    print(f"{done + here:,} programs, {ended} ended it, {now - began:.0f} s", flush=True)
                if done + here >= count or now > began + seconds:
                    process.kill()
            log = process.stderr.read().strip()[-1500:]
        done += here
        if process.returncode > 0 or (process.returncode < 0 and done < count and time.monotonic() < began + seconds):
            ended += 1
            print(f"# program {first} of seed {seed} ended the process with {process.returncode}: {log}", flush=True)
            first += 1
    print(f"{done:,} programs compiled, {ended} ended their process, {time.monotonic() - began:.0f} s")
    return ended
