"""Calls in machine code, for structures of arguments that the general path in Python has met.

Here are the tables that `entry.ll` interprets: how arguments are read into memory, how results are made of it, and
which objects must be where they were when the code was compiled. Whatever is not exactly so goes to the general path:
another type, length or keyword, a strided array, another object under a name.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid.compiler import plan as plans
from microgrid.compiler.entry import PURPOSES, method, supported
from microgrid.compiler.outside import NOWHERE, Seen
from microgrid.compiler.plan import Plan, address
from microgrid.compiler.transfer import END, GIVE_FLOAT, GIVE_OUT, GIVE_TUPLE, Copying, Making, Reading, Unsuited

KEPT = 8
"""Capacity of a chain: variants, one per structure of arguments, which are tried one after the other."""

LONG = 10_000
"""Minimum of instructions for which other threads run meanwhile: 5 us or more, while releasing the lock costs 0.1."""

OUT = sys.intern("out")

_ADDING = threading.Lock()

GUARDS = ("code", "defaults", "kwdefault", "global", "cell", "attribute")


class _Table(ctypes.Structure):
    """A variant as `entry.ll` has it."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            "positional keyword busy guards guard_count values value_count p arguments x out out_numbers bound_out "
            "results y releases kernel sources strides table functions d scratch left finite"
        ).split()
    )


class Call(NamedTuple):
    """A call without keywords but `out`: its arguments, those that are static, and the parts of the others."""

    purpose: str
    args: tuple[Any, ...]
    static: Sequence[bool]
    parts: Sequence[tuple[str, str, Any, bool]]
    out: Any = None
    bound: bool = False
    derived: bool = False
    """The function is a gradient: what it returns is that of another one."""


class Variant:
    """A plan as a call in machine code, for one structure of arguments and one state of the captured names."""

    def __init__(self, plan: Plan, seen: Seen, arguments: Sequence[int], results: Making) -> None:
        self.plan = plan
        self.seen = seen
        memory = results.memory
        guards = [word for guard in zip(seen.readers, seen.objects, strict=True) for word in _guard(*guard)]
        values = plan.traced.captured
        self._kept: Any = (
            _words(guards),
            _words([id(value) for value in values]),
            _words([*arguments, END]),
            _words(results.words),
            results,
        )
        table = self._table = _Table()
        table.busy = ctypes.addressof(memory.busy)
        table.guards, table.values, table.arguments, table.results = map(ctypes.addressof, self._kept[:4])
        table.guard_count = len(seen.readers)
        table.value_count = len(values)
        table.p, table.x, table.y, table.scratch = *map(address, (memory.p, memory.x, memory.y)), memory.start
        self.releases = table.releases = plan.steps >= LONG
        table.kernel = plan.loaded.address
        table.sources = ctypes.addressof(memory.sources)
        table.strides, table.table, table.functions = plan.fixed
        if plan.takeover is not None and not plan.takeover.settled:
            table.left = ctypes.addressof(plan.takeover.left)
        if plan.traced.shorter is not None:
            table.finite = len(memory.x)
        table.d = address(memory.p)  # nothing is written there: there are no sums over samples
        self.address = ctypes.addressof(table)
        self.out = False
        self.held: Any = ()
        """Further objects that the programs name."""

    def takes(self, positional: int) -> None:
        """Set the number of arguments."""
        self._table.positional = positional

    def writes(self, program: Sequence[int], first: int, bound: Any) -> None:
        """Write the numbers from the first one on to `out`, an argument, or the bound one."""
        words = _words([*program, END])
        self.held = (self.held, words, bound)
        self.out = True
        self._table.out = ctypes.addressof(words)
        self._table.out_numbers = self._table.y + 8 * first
        self._table.bound_out = 0 if bound is None else id(bound)
        self._table.keyword = id(OUT) if bound is None else 0


class Chain:
    """Variants that are tried in turn. It does not change, and a call holds a reference to it."""

    def __init__(self, variants: tuple[Variant, ...]) -> None:
        self.variants = variants
        self._words = _words([id(self), len(variants), *[variant.address for variant in variants]])
        self.address = ctypes.addressof(self._words)


class Entries(bytearray):
    """The state of an object's calls, in words: a chain and the general path for each purpose; what ran last.

    Objects that it refers to are in its attributes.
    """

    def __init__(self, kind: Any) -> None:
        super().__init__(8 * (2 * len(PURPOSES) + 1))
        self._kind = kind
        self._chains = [Chain(())] * len(PURPOSES)
        for place, function in enumerate(kind._general):
            self._set(len(PURPOSES) + place, id(function))

    def __reduce__(self) -> Any:
        return Entries, (self._kind,)  # a copy has its own memory

    @property
    def ran(self) -> Plan | None:
        """The plan that ran last; None if the general path did."""
        (last,) = struct.unpack_from("=q", self, 8 * 2 * len(PURPOSES))
        found = (v.plan for chain in self._chains for v in chain.variants if last and v.address == last)
        return next(found, None)

    def reset(self) -> None:
        """Note that the general path runs."""
        self._set(2 * len(PURPOSES), 0)

    def _set(self, place: int, word: int) -> None:
        struct.pack_into("=q", self, 8 * place, word)

    def add(self, call: Call, plan: Plan, seen: Callable[[], Seen | None], result: Any) -> None:
        """Let machine code take further calls like this one, if it can. `result` is the structure of the result."""
        place = 0 if call.bound or call.derived else PURPOSES.index(call.purpose)
        if not _ADDING.acquire(blocking=False):
            return  # in another thread, or by a finaliser within this very function: another call may do it
        try:
            out = call.out is not None
            now = seen()
            variants = self._chains[place].variants
            if now is None or any(v.plan is plan and v.out == out and v.seen.objects is now.objects for v in variants):
                return
            others = [v for v in variants if v.plan is not plan or v.out != out]
            chain = Chain((_variant(call, plan, now, result), *others[: KEPT - 1]))
            self._set(place, chain.address)
            self._chains[place] = chain  # only now, so that the memory of the chain before is free when nobody has it
        except Unsuited:
            return
        finally:
            _ADDING.release()


_installed: set[type] = set()


def install(kind: Any, cache: bool) -> None:
    """Replace the methods of a class by their machine code, which falls back to them, where it is supported.

    This takes 5 ms, and 0.1 s where the code is not on disk. It is done before anybody takes a method of an object.
    """
    if kind in _installed:
        return
    _installed.add(kind)
    for purpose, function in zip(PURPOSES, kind._general, strict=True):
        made = method(kind, purpose, function, cache)
        if made is not None:
            setattr(kind, function.__name__, made)


def _variant(call: Call, plan: Plan, seen: Seen, result: Any) -> Variant:
    if (
        not supported()
        or plans.POISON
        or not plan.checked
        or plan.sums
        or plan.columns is not None
        or plan.mode.lanes > 1
        or plan.loaded.calls_back
    ):
        raise Unsuited
    results = Making(plan)
    arguments = Copying(plan) if call.bound else Reading()
    parts = iter(call.parts)
    for arg, static in zip(call.args, call.static, strict=True):
        if static:
            arguments.same(arg)
        else:
            arguments.read(next(parts)[2], arg)
    first = 1 if call.purpose in ("value_and_grad", "gradient") else 0
    if first:
        structures = tuple([structure for _, _, structure, by in call.parts if by])
        result = structures[0] if len(structures) == 1 else structures
    if call.purpose == "value_and_grad":
        results.words += [GIVE_TUPLE, 2, GIVE_FLOAT, 0]
    if call.out is None:
        results.add(result, first)
    else:
        results.words.append(GIVE_OUT)
    variant = Variant(plan, seen, arguments.words, results)
    variant.takes(0 if call.bound else len(call.args))
    if call.out is not None:
        outs = Copying(plan) if call.bound else Reading(arrays=True)
        outs.read(result, call.out)
        variant.writes(outs.words, first, call.out if call.bound else None)
        variant.held = variant.held, outs.held
    statics = [arg for arg, static in zip(call.args, call.static, strict=True) if static]
    variant.held = variant.held, call.parts, result, statics, arguments.held
    return variant


def _guard(reader: Any, there: Any) -> tuple[int, int, int, int]:
    """Return the words of a guard: the object that was there must be there."""
    kind, holder, name = reader
    missing = NOWHERE if kind in ("global", "cell", "kwdefault", "attribute") else None
    if (kind == "global" and type(holder) is not dict) or (kind == "attribute" and there is NOWHERE):
        raise Unsuited
    return GUARDS.index(kind), id(holder), id(name), 0 if there is missing else id(there)


def _words(words: Sequence[int]) -> Any:
    return (ctypes.c_int64 * max(len(words), 1))(*words)
