"""A program that is interpreted: its instructions in memory, and the kernel that runs them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.compiler.encoding import Encoded, words_of
from microgrid.compiler.interpreter import (
    TABLE,
    WORD,
    Handler,
    arithmetic,
    elementary,
    module_of_handlers,
    module_of_interpreter,
)
from microgrid.compiler.lanes import Mode
from microgrid.compiler.machine import Loaded, MachineCode, compiled
from microgrid.compiler.tape import Tape
from microgrid.core.primitive import OPS, built_in


class Interpreter(NamedTuple):
    """The kernel in memory, the addresses of handlers, the names of the functions that these call, and their code."""

    code: MachineCode
    addresses: dict[Handler, int]
    functions: tuple[str, ...]
    more: tuple[MachineCode, ...] = ()

    def extended(self, handlers: Sequence[Handler], mode: Mode, cache: bool) -> Interpreter:
        """Return the same kernel with further handlers."""
        module = module_of_handlers(handlers, mode, self.functions)
        code = MachineCode(compiled(module.text, cache, EFFORT)[0], "op0")
        found = {handler: code.address_of(f"op{i}") for i, handler in enumerate(handlers)}
        return Interpreter(self.code, self.addresses | found, module.functions, (*self.more, code))


EFFORT = "light"
"""Effort of LLVM, the same code for handlers as at full effort: these have no loops to be unrolled."""


@functools.lru_cache(maxsize=16)
def interpreter(mode: Mode, cache: bool) -> Interpreter:
    """Return the kernel for so many lanes, which all programs share; it is compiled once, and kept on disk."""
    module = module_of_interpreter(mode)
    code = MachineCode(compiled(module.text, cache, EFFORT)[0], "kernel")
    addresses = {handler: code.address_of(f"op{i}") for i, handler in enumerate(arithmetic(mode.strict))}
    return Interpreter(code, addresses, module.functions)


@functools.lru_cache(maxsize=16)
def with_functions(mode: Mode, cache: bool) -> Interpreter:
    """Return the kernel with the handlers of elementary functions, which programs that have one share."""
    return interpreter(mode, cache).extended(elementary(mode.strict), mode, cache)


class Straight(NamedTuple):
    """Machine code of a program's parts, its words, and the table with which the kernel runs it."""

    table: Any
    words: Any
    code: list[MachineCode]


class Interpreted:
    """The words of a program and its table, as the kernel reads them; `loaded` runs the kernel."""

    def __init__(self, encoded: Encoded, tape: Tape, columns: Sequence[int], mode: Mode, cache: bool) -> None:
        import numpy as np

        kernel = interpreter(mode, cache)
        used = encoded.used()
        if any(handler not in kernel.addresses for handler in used):
            kernel = with_functions(mode, cache)
        others = [handler for handler in used if handler not in kernel.addresses]
        if others:
            kernel = kernel.extended(others, mode, cache)
        self._held: list[Any] = [kernel]
        self.loaded = Loaded(kernel.code, kernel.functions, tape.ops)
        size = 8 * mode.lanes
        where = [kernel.addresses.get(handler, 0) for handler in encoded.handlers]
        self._end = kernel.code.address_of("ret")
        words = words_of(encoded, where, self._end, mode.lanes)
        offsets = np.cumsum([0, *columns])
        outputs = np.array(encoded.outputs, dtype=np.int64) * size
        constants = np.array(encoded.constants)
        sizes = tape.sizes
        arrays = {"code": words, "offsets": offsets, "constants": constants, "outputs": outputs}
        self._held.append(arrays)
        table = {name: array.ctypes.data for name, array in arrays.items()}
        table |= {"sources": len(columns), "c": len(constants)}
        table |= {space: sizes[space] for space in ("x", "p", "d", "y")}
        self.table = np.array([table[name] for name in TABLE], dtype=np.int64)
        self.size = words.nbytes
        self.scratch = encoded.slots * mode.lanes
        self.dispatches = len(encoded.instructions)
        self.own = [handler.op for handler in used if OPS.get(handler.op) and handler.op not in built_in]
        """Names of the user's ops, which no other process knows."""
        self.mode = mode
        self._functions = kernel.functions
        self._handlers = {kernel.addresses[handler]: handler for handler in used}
        self._words, self._outputs = words, outputs
        first = sizes["x"] + sizes["p"] + len(constants) + 1
        self._sums = [size * (first + i) for i in range(sizes["d"])]
        self._cache = cache

    def job(self) -> bytes:
        """Return what another process needs to make straight machine code."""
        from microgrid.compiler.background import job_of

        kept = [*self._outputs.tolist(), *self._sums]
        return job_of(self._words.tobytes(), self._handlers, kept, self.mode, self._functions, self._cache)

    def straight(self, made: Sequence[tuple[bytes, int]]) -> Straight:
        """Load machine code, with the number of parts in each piece. Raises RuntimeError where it cannot be loaded."""
        import numpy as np

        code = [MachineCode(each, "part0") for each, _ in made]
        addresses = [c.address_of(f"part{i}") for c, (_, count) in zip(code, made, strict=True) for i in range(count)]
        words = np.zeros((len(addresses) + 1, WORD // 8), dtype=np.uint64)
        words[:, 0] = [*addresses, self._end]
        table = self.table.copy()
        table[TABLE.index("code")] = words.ctypes.data
        return Straight(table, words, code)

    def take(self, straight: Straight) -> None:
        """Run machine code from now on. What runs in other threads ends as it began: the words before are kept."""
        self._held.append(straight)
        self.size += sum(each.size for each in straight.code)
        self.table[TABLE.index("code")] = straight.words.ctypes.data
