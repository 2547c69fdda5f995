"""Machine code takes the place of the interpreter once it has paid: rent is paid until it equals the price.

When the interpreter has run a program for as long as LLVM is predicted to take, another process makes machine code of
the interpreter's own instructions, and a later call goes on with it. That has the bits of the interpreter, by default
as well as in strict mode: no result depends on when it happens. Both are run on the numbers of a call before.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
import warnings
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgrid.compiler.background import Process
    from microgrid.compiler.interpreted import Interpreted
    from microgrid.compiler.plan import Plan

START = 0.6
"""Seconds for the start of a process with LLVM."""

INSTRUCTION = (6e-5, 5e-4)
"""Seconds for an instruction of the interpreter, of one lane and of several."""

POLL = 0.02
"""Seconds of calls between two looks whether the process has ended."""

SAMPLES = 64
"""Maximum number of samples on which both are run before one takes the place of the other."""

TRIALS = 20
"""Maximum number of times that both are run."""

LONGEST_TRIAL = 0.01
"""Seconds after which they are not run again."""

ALWAYS = 1 << 62


class Takeover:
    """State of an interpreted program: how long it has been run, and whether machine code is there or on its way."""

    def __init__(self, program: Interpreted, background: bool) -> None:
        self._program = program
        self.price = START + program.dispatches * INSTRUCTION[program.mode.lanes > 1]
        """Predicted seconds for machine code."""
        self.left = ctypes.c_int64(1)
        """Number of calls in machine code until one comes by here; they count it down."""
        self._left = 1
        self._calls = 0
        self._spent = 0.0
        self._each = 0.0
        self._process: Process | None = None
        self._settled = ""
        """The end of it; "" until then."""
        if not background:
            self._settled = "interpreted for good: background=False"
        elif program.own:
            self._settled = f"interpreted for good: {program.own[0]} is an op of yours, which no other process knows"
        self._lock = threading.Lock()
        _ALL.add(self)

    @property
    def settled(self) -> bool:
        """True if nothing will change any more."""
        return bool(self._settled)

    def ran(self, plan: Plan, seconds: float, sources: Sequence[Any], shared: Any, samples: int, weight: float) -> None:
        """Count a run that took so long, and take the next step, if it is time for one."""
        if not self._lock.acquire(blocking=False):
            return  # another thread is here
        try:
            made = self._made()
            self._calls += made + 1
            self._spent += seconds * (made + 1)
            self._each = seconds
            step = POLL
            if self._process is None:
                if self._spent >= self.price:
                    self._start()
                else:
                    step = (self.price - self._spent) / 4.0
            elif self._process.done():
                self._finish(plan, [source[:SAMPLES] for source in sources], shared, min(samples, SAMPLES), weight)
            self._left = ALWAYS if self._settled else max(1, int(step / max(seconds, 1e-9)))
            self.left.value = self._left
        finally:
            self._lock.release()

    def _made(self) -> int:
        """Return the number of calls in machine code since the last one that came by."""
        return max(0, self._left - max(0, self.left.value))

    def _start(self) -> None:
        from microgrid.compiler import background

        why = background.unavailable()
        if not why:
            try:
                self._process = background.Process(self._program.job())
            except OSError as error:
                why = f"no process can be started: {error}"
        self._settled = why and f"interpreted for good: {why}"

    def _finish(self, plan: Plan, sources: Sequence[Any], shared: Any, samples: int, weight: float) -> None:
        """Take the machine code, if it is there, is right and is faster."""
        process, self._process = self._process, None
        assert process is not None
        try:
            straight = self._program.straight(process.code())
        except (ValueError, EOFError, RuntimeError, OSError) as error:
            self._settled = f"interpreted for good: {error}"
            return
        finally:
            process.end()
        tables = self._program.table, straight.table
        (mine, before), (theirs, after) = [_timed(plan, sources, shared, samples, weight, table) for table in tables]
        if not all(map(_same, mine, theirs)):
            self._settled = "interpreted for good: machine code gave other results"
            warnings.warn(
                f"{plan.traced.name}: machine code made in the background gives other results than the "
                "interpreter, which stays. This is an error of microgrid: please report it with the function",
                RuntimeWarning,
                stacklevel=2,
            )
        elif after <= before:
            self._program.take(straight)
            self._settled = f"machine code since call {self._calls + 1:,}"
        else:
            self._settled = "interpreted for good: machine code is no faster"

    def __str__(self) -> str:
        if self._settled:
            return self._settled
        if self._process is not None:
            return "machine code is compiled in the background"
        made = self._made()
        spent, calls = self._spent + made * self._each, self._calls + made
        return f"machine code when {self.price:.2g} s have been spent: {spent:.2g} s so far, in {calls:,} calls"

    def _forget(self) -> None:
        """Begin anew in a fork, which has neither the process nor a thread that holds the lock."""
        self._lock = threading.Lock()
        if self._process is not None:
            self._process.end()
            self._process, self._spent = None, 0.0


def _timed(
    plan: Plan, sources: Sequence[Any], shared: Any, samples: int, weight: float, table: Any
) -> tuple[Sequence[Any], float]:
    """Return results, and the shortest time of some runs, one after the other: the first ones find cold memory."""
    results: Sequence[Any] = ()
    seconds, began = math.inf, time.perf_counter()
    for _ in range(TRIALS):
        start = time.perf_counter()
        results = plan.run(sources, shared, samples, weight, False, table)
        now = time.perf_counter()
        seconds = min(seconds, now - start)
        if now - began > LONGEST_TRIAL:
            break
    return results, seconds


def _same(x: Any, y: Any) -> bool:
    """Return True for arrays with the same bits, but those of a nan."""
    return bool(((x.view("int64") == y.view("int64")) | ((x != x) & (y != y))).all())


_ALL: weakref.WeakSet[Takeover] = weakref.WeakSet()


def _after_fork() -> None:
    for each in _ALL:
        each._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
