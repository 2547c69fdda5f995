"""LRU cache of compiled variants, keyed by argument structure and by the state of captured names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from microgrid.compiler import loops
from microgrid.compiler.attributes import Names
from microgrid.compiler.looped import Looped
from microgrid.compiler.outside import Outside, Seen
from microgrid.compiler.plan import Plan

T = TypeVar("T")

KEPT = 64
"""Capacity of the LRU cache: variants per function, one per argument structure and state of captured names."""


class Kept(Generic[T]):
    """LRU cache of compiled variants; `made` counts the misses, `reads` has names of attributes that a method reads."""

    def __init__(self, functions: Callable[[], Sequence[Any]], reads: Names = None) -> None:
        self._functions = functions
        self._outside = Outside(functions())
        self._known: OrderedDict[Any, tuple[T, list[Any]]] = OrderedDict()
        self._recent: tuple[tuple[Any, ...], tuple[Any, ...], T] | None = None
        """The captured names, the arguments and the variant of the last call."""
        self.made = 0
        self.last: Plan | None = None
        """The code that ran last."""
        self.reads = reads

    def __len__(self) -> int:
        return len(self._known)

    def get(self, asked: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return the cached variant for these arguments, or make it."""
        outside = self._outside.key()
        recent = self._recent  # read once, for other threads
        if recent is not None and recent[0] is outside and recent[1] == asked:
            return recent[2]
        key = (*asked, *outside)
        known = self._known.get(key)
        if known is None:
            self._outside = Outside(self._functions())  # a function that they call may have changed
            key = (*asked, *self._outside.key())
            known = self._known[key] = make(), self._outside.held()
            self.made += 1
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        self._recent = self._outside.key(), asked, known[0]
        return known[0]

    def outside(self) -> tuple[Any, ...]:
        """Return the cache key of the captured names: the same object while they refer to the same ones."""
        return self._outside.key()

    def seen(self, asked: tuple[Any, ...], plan: Plan) -> Seen | None:
        """Return the state of captured names for which a plan is cached with its result's structure; None if they have
        changed since."""
        seen = self._outside.seen()
        known: Any = self._known.get((*asked, *seen.key))
        return seen if known is not None and known[0][0] is plan else None


class Printed(str):
    """A text that a notebook shows as it is printed."""

    __slots__ = ()
    __repr__ = str.__str__


class Shown:
    """Mixin that shows the code that ran last."""

    _plans: Kept[Any]
    _nothing: str

    @property
    def loops(self) -> loops.Loops:
        """Return the loops of the code that ran last, to print. Raises RuntimeError before the first call."""
        return loops.Loops(self._ran())

    def report(self) -> str:
        """Return a report on the code that ran last: instructions, elements, bytes, seconds per stage."""
        return Printed(self._ran().report())

    def c(self, name: str = "f") -> str:
        """Return the same loops as a C99 function that needs only the C library's mathematics.

        `void name(const double *x, const double *p, double *y, double *d)` takes the numbers of one sample, and those
        that samples share; it writes the results and derivatives to y, and adds derivatives by shared numbers to d.
        Where a `while_loop` has not ended after its maximum of iterations, all that it writes and adds is NAN.
        """
        from microgrid.compiler import c_loops, c_scans

        plan = self._ran()
        program = plan.traced.program
        if isinstance(program, Looped):
            return c_scans.c(program, plan.request, name)
        return c_loops.c(program, plan.request, name)

    def _ran(self) -> Plan:
        if self._plans.last is None:
            raise RuntimeError(f"nothing is compiled yet: {self._nothing}")
        return self._plans.last
