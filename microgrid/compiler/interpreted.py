"""A program that is interpreted: its instructions in memory, and the kernel that runs them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.compiler.encoding import Encoded, words_of
from microgrid.compiler.interpreter import TABLE, Handler, module_of_handlers, module_of_interpreter, standard
from microgrid.compiler.lanes import Mode
from microgrid.compiler.machine import Loaded, MachineCode, compiled
from microgrid.compiler.tape import Tape


class Interpreter(NamedTuple):
    """The kernel in memory, the addresses of its handlers, and the names of the functions that these call."""

    code: MachineCode
    addresses: dict[Handler, int]
    functions: tuple[str, ...]


@functools.lru_cache(maxsize=16)
def interpreter(mode: Mode, cache: bool) -> Interpreter:
    """Return the kernel for so many lanes, which all programs share; it is compiled once, and kept on disk."""
    module = module_of_interpreter(mode)
    code = MachineCode(compiled(module.text, cache)[0], "kernel")
    addresses = {handler: code.address_of(f"op{i}") for i, handler in enumerate(standard(mode.strict))}
    return Interpreter(code, addresses, module.functions)


class Interpreted:
    """The words of a program and its table, as the kernel reads them; `loaded` runs the kernel."""

    def __init__(self, encoded: Encoded, tape: Tape, columns: Sequence[int], mode: Mode, cache: bool) -> None:
        import numpy as np

        kernel = interpreter(mode, cache)
        addresses, functions = kernel.addresses, kernel.functions
        others = [handler for handler in encoded.used() if handler not in addresses]
        self._held: list[Any] = []
        if others:
            module = module_of_handlers(others, mode)
            code = MachineCode(compiled(module.text, cache)[0], "op0")
            addresses = addresses | {handler: code.address_of(f"op{i}") for i, handler in enumerate(others)}
            functions = module.functions
            self._held.append(code)
        self.loaded = Loaded(kernel.code, functions, tape.ops)
        size = 8 * mode.lanes
        where = [addresses.get(handler, 0) for handler in encoded.handlers]
        words = words_of(encoded, where, kernel.code.address_of("ret"), mode.lanes)
        offsets = np.cumsum([0, *columns])
        outputs = np.array(encoded.outputs, dtype=np.int64) * size
        constants = np.array(encoded.constants)
        self._held += [words, offsets, outputs, constants]
        sizes = tape.sizes
        arrays = {"code": words, "offsets": offsets, "constants": constants, "outputs": outputs}
        table = {name: array.ctypes.data for name, array in arrays.items()}
        table |= {"sources": len(columns), "c": len(constants)}
        table |= {space: sizes[space] for space in ("x", "p", "d", "y")}
        self.table = np.array([table[name] for name in TABLE], dtype=np.int64)
        self.size = words.nbytes
        self.scratch = encoded.slots * mode.lanes
        self.dispatches = len(encoded.instructions)
