"""Calls in machine code, for structures of arguments that the general path in Python has met.

Here are the tables that `entry.ll` interprets: how arguments are read into memory, how results are made of it, and
which objects must be where they were when the code was compiled. Whatever is not exactly so goes to the general path:
another type, length or keyword, a strided array, another object under a name.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid.compiler import plan as plans
from microgrid.compiler.entry import PURPOSES, method, supported
from microgrid.compiler.outside import NOWHERE, Seen
from microgrid.compiler.plan import Plan, address
from microgrid.core import tree

KEPT = 8
"""Capacity of a chain: variants, one per structure of arguments, which are tried one after the other."""

DEEPEST = 50
"""Maximum depth of containers."""

LONG = 10_000
"""Minimum of instructions for which other threads run meanwhile: 5 us or more, while releasing the lock costs 0.1."""

UNCHANGING = (bool, int, float, str, bytes, type(None))
"""Types of static arguments for which the same object is the same argument."""

OUT = sys.intern("out")

# Words of the programs, in the order of the switches in `entry.ll`.
FLOAT, FLOATS, SEQUENCE, DICT, ARRAY, SAME, MEMORY = range(7)
GIVE_FLOAT, GIVE_FLOATS, GIVE_LIST, GIVE_TUPLE, GIVE_DICT, GIVE_ARRAY, GIVE_CALL, GIVE_OUT = range(8)
END = -1
GUARDS = ("code", "defaults", "kwdefault", "global", "cell", "attribute")


class _Unsuited(Exception):
    """These calls stay with the general path."""


class _Table(ctypes.Structure):
    """A variant as `entry.ll` has it."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            "positional keyword busy guards guard_count values value_count p arguments x out out_numbers bound_out "
            "results y releases kernel sources strides table functions d scratch"
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


class Memory:
    """Memory of a plan for one call at a time."""

    def __init__(self, plan: Plan) -> None:
        np = plan.numpy
        captured = len(plan.traced.captured)
        self.busy = ctypes.c_int64(0)
        self.x = np.zeros(max(len(plan.traced.program.inputs) - captured, 1))
        self.p = np.zeros(max(captured, 1))
        self.y = np.zeros(max(plan.outputs, 1))
        self.scratch, self.start = plan.new_scratch()
        self.sources = ctypes.c_void_p(address(self.x))


class Variant:
    """A plan as a call in machine code, for one structure of arguments and one state of the captured names."""

    def __init__(self, plan: Plan, seen: Seen, arguments: Sequence[int], results: _Results) -> None:
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
        place = 0 if call.bound else PURPOSES.index(call.purpose)
        now = seen()
        out = call.out is not None
        variants = self._chains[place].variants
        if now is None or any(v.plan is plan and v.out == out and v.seen.objects is now.objects for v in variants):
            return
        try:
            variant = _variant(call, plan, now, result)
        except _Unsuited:
            return
        others = [v for v in variants if v.plan is not plan or v.out != out]
        self._chains[place] = chain = Chain((variant, *others[: KEPT - 1]))
        self._set(place, chain.address)


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
        or plan.mode.lanes > 1
        or plan.loaded.calls_back
    ):
        raise _Unsuited
    results = _Results(plan)
    arguments = _Bound(plan) if call.bound else _Arguments()
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
        outs = _Bound(plan) if call.bound else _Arguments(arrays=True)
        outs.read(result, call.out)
        variant.writes(outs.words, first, call.out if call.bound else None)
        variant.held = variant.held, outs.held
    statics = [arg for arg, static in zip(call.args, call.static, strict=True) if static]
    variant.held = variant.held, call.parts, result, statics, arguments.held
    return variant


class _Arguments:
    """Writer of the program that reads arguments, or one that writes to arrays alone."""

    def __init__(self, arrays: bool = False) -> None:
        self.words: list[int] = []
        self.count = 0
        self.arrays = arrays
        self.held: list[Any] = []

    def same(self, static: Any) -> None:
        """Compare a static argument."""
        if type(static) not in UNCHANGING:
            raise _Unsuited
        self.words += [SAME, id(static)]

    def read(self, structure: Any, arg: Any, depth: int = 0) -> None:
        """Read a tree whose leaves are the next numbers."""
        kind = type(structure)
        if depth > DEEPEST:
            raise _Unsuited
        if kind is int:
            self.leaves(structure, 1)
            self.words += [ARRAY, 1, 0] if self.arrays else [FLOAT]
        elif kind is list and not self.arrays and _in_a_row(structure) == self.count:
            self.count += len(structure)
            self.words += [FLOATS, len(structure)]
        elif kind in (list, tuple) or (isinstance(structure, tuple) and hasattr(kind, "_fields")):
            self.words += [SEQUENCE, id(kind), len(structure)]
            for item in structure:
                self.read(item, None, depth + 1)
        elif kind is dict and all(type(key) is str for key in structure):
            self.words += [DICT, len(structure)]
            for key, item in structure.items():
                self.words.append(id(key))
                self.read(item, None, depth + 1)
        elif kind is tree.Array:
            self.leaves(structure.first, structure.size)
            self.words += [ARRAY, structure.size, len(structure.shape), *structure.shape]
        else:
            raise _Unsuited

    def leaves(self, first: int, count: int) -> None:
        if first != self.count and count:
            raise _Unsuited
        self.count += count


class _Bound(_Arguments):
    """Writer of a program that copies from or to the memory of arrays."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.numpy = plan.numpy

    def same(self, static: Any) -> None:
        """Check that a static argument cannot change."""
        if type(static) not in UNCHANGING:
            raise _Unsuited

    def read(self, structure: Any, arg: Any, depth: int = 0) -> None:
        """Copy a tree whose leaves are the next numbers."""
        kind = type(structure)
        if kind is dict:
            for key, item in structure.items():
                self.read(item, arg[key])
        elif isinstance(structure, (list, tuple)):
            for item, part in zip(structure, arg, strict=True):
                self.read(item, part)
        elif kind is int or kind is tree.Array:
            self.leaves(structure if kind is int else structure.first, 1 if kind is int else structure.size)
            array = arg if type(arg) is self.numpy.ndarray else self.numpy.array(float(arg))
            if array.dtype != float or not (array.flags.c_contiguous and array.flags.aligned):
                raise _Unsuited
            self.held += [array, memoryview(array)]  # which keeps the memory where it is
            self.words += [MEMORY, address(array), array.size]
        else:
            raise _Unsuited


class _Results:
    """Writer of the program that makes results; `held` are the objects that it names."""

    def __init__(self, plan: Plan) -> None:
        self.memory: Memory = plan.memory
        self.words: list[int] = []
        self.held: list[Any] = []

    def add(self, structure: Any, offset: int) -> None:
        """Make a tree whose leaf i is number i + offset."""
        kind = type(structure)
        self.held.append(structure)
        if kind is int:
            self.words += [GIVE_FLOAT, structure + offset]
        elif kind is list and (first := _in_a_row(structure)) is not None:
            self.words += [GIVE_FLOATS, first + offset, len(structure)]
        elif isinstance(structure, (list, tuple)):
            if kind not in (list, tuple):
                self.call(functools.partial(tree.like, structure))
            self.words += [GIVE_TUPLE if kind is tuple else GIVE_LIST, len(structure)]
            for item in structure:
                self.add(item, offset)
        elif kind is dict:
            self.words += [GIVE_DICT, len(structure)]
            for key, item in structure.items():
                self.words.append(id(key))
                self.add(item, offset)
        elif kind is tree.Array:
            first = structure.first + offset
            self.held.append(self.memory.y[first : first + structure.size].reshape(structure.shape).copy)
            self.words += [GIVE_ARRAY, id(self.held[-1])]
        elif kind is tree.Instance:
            self.call(functools.partial(tree.instance, structure))
            self.add(structure.content, offset)
        else:
            raise _Unsuited

    def call(self, function: Callable[[Any], Any]) -> None:
        self.held.append(function)
        self.words += [GIVE_CALL, id(function)]


def _guard(reader: Any, there: Any) -> tuple[int, int, int, int]:
    """Return the words of a guard: the object that was there must be there."""
    kind, holder, name = reader
    missing = NOWHERE if kind in ("global", "cell", "kwdefault", "attribute") else None
    if (kind == "global" and type(holder) is not dict) or (kind == "attribute" and there is NOWHERE):
        raise _Unsuited
    return GUARDS.index(kind), id(holder), id(name), 0 if there is missing else id(there)


def _in_a_row(structure: list[Any]) -> int | None:
    """Return the first of leaves whose numbers follow one another; None where they do not."""
    first = structure[0] if structure else None
    return first if type(first) is int and structure == list(range(first, first + len(structure))) else None


def _words(words: Sequence[int]) -> Any:
    return (ctypes.c_int64 * max(len(words), 1))(*words)
