"""Programs for `entry.ll` that read arguments into memory, write memory to arrays, and make results of it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from microgrid.compiler.plan import Plan, address
from microgrid.core import tree

DEEPEST = 50
"""Maximum depth of containers."""

UNCHANGING = (bool, int, float, str, bytes, type(None))
"""Types of static arguments for which the same object is the same argument."""

# Words of the programs, in the order of the switches in `entry.ll`.
FLOAT, FLOATS, SEQUENCE, DICT, ARRAY, SAME, MEMORY = range(7)
GIVE_FLOAT, GIVE_FLOATS, GIVE_LIST, GIVE_TUPLE, GIVE_DICT, GIVE_ARRAY, GIVE_CALL, GIVE_OUT = range(8)
END = -1


class Unsuited(Exception):
    """These calls stay with the general path."""


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


class Reading:
    """Writer of the program that reads arguments, or one that writes to arrays alone."""

    def __init__(self, arrays: bool = False) -> None:
        self.words: list[int] = []
        self.count = 0
        self.arrays = arrays
        self.held: list[Any] = []

    def same(self, static: Any) -> None:
        """Compare a static argument."""
        if type(static) not in UNCHANGING:
            raise Unsuited
        self.words += [SAME, id(static)]

    def read(self, structure: Any, arg: Any, depth: int = 0) -> None:
        """Read a tree whose leaves are the next numbers."""
        kind = type(structure)
        if depth > DEEPEST:
            raise Unsuited
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
            raise Unsuited

    def leaves(self, first: int, count: int) -> None:
        """Count leaves, which must be the next ones."""
        if first != self.count and count:
            raise Unsuited
        self.count += count


class Copying(Reading):
    """Writer of a program that copies from or to the memory of arrays."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.numpy = plan.numpy

    def same(self, static: Any) -> None:
        """Check that a static argument cannot change."""
        if type(static) not in UNCHANGING:
            raise Unsuited

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
                raise Unsuited
            self.held += [array, memoryview(array)]  # which keeps the memory where it is
            self.words += [MEMORY, address(array), array.size]
        else:
            raise Unsuited


class Making:
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
            raise Unsuited

    def call(self, function: Callable[[Any], Any]) -> None:
        """Call a function with what is made next."""
        self.held.append(function)
        self.words += [GIVE_CALL, id(function)]


def _in_a_row(structure: list[Any]) -> int | None:
    """Return the first of leaves whose numbers follow one another; None where they do not."""
    first = structure[0] if structure else None
    return first if type(first) is int and structure == list(range(first, first + len(structure))) else None
