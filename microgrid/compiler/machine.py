"""A module's text to machine code in memory, by way of LLVM, and back out of memory when nobody needs it any more."""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
import threading
import weakref
from collections.abc import Callable
from typing import Any

from microgrid.arithmetic import library
from microgrid.primitive import Op

_LOCK = threading.Lock()
_numbers = itertools.count()

KERNEL = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 8, *[ctypes.c_int64] * 3)


class Machine:
    """This computer as LLVM sees it."""

    def __init__(self) -> None:
        self.llvm = llvm = library("llvmlite.binding", "compile")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        target = llvm.Target.from_default_triple()
        self.target = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3, reloc="pic", codemodel="small", jit=True
        )
        self.linker = llvm.create_lljit_compiler(
            target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3, jit=True)
        )
        self.width = 8 if features.get("avx512f") else 4 if features.get("avx2") else 2
        self.key = repr((llvm.llvm_version_info, target.triple, llvm.get_host_cpu_name(), features.flatten()))

    @functools.cached_property
    def vector(self) -> int:
        """How many lanes a call of the C library's vector functions takes; 1 where it has none."""
        if platform.machine() not in ("x86_64", "AMD64"):
            return 1
        return self.width if _address("_ZGVdN4v_tanh") else 1

    def object_of(self, text: str) -> bytes:
        """The machine code of a module, optimised for this computer."""
        llvm = self.llvm
        module = llvm.parse_assembly(text)
        module.verify()
        module.triple = self.target.triple
        module.data_layout = str(self.target.target_data)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = False  # the lanes are vectors already
        options.slp_vectorization = False
        llvm.create_pass_builder(self.target, options).getModulePassManager().run(
            module, llvm.create_pass_builder(self.target, options)
        )
        return bytes(self.target.emit_object(module))


@functools.cache
def machine() -> Machine:
    """This computer."""
    return Machine()


class Loaded:
    """Machine code in memory, for as long as this object lives."""

    def __init__(self, code: bytes, functions: tuple[str, ...], ops: dict[str, Op]) -> None:
        here = machine()
        self._kept: list[Any] = []
        with _LOCK:
            builder = here.llvm.JITLibraryBuilder()
            self._tracker = (
                builder.add_object_img(code).export_symbol("kernel").link(here.linker, f"microgrid{next(_numbers)}")
            )
        self.size = len(code)
        self.run: Callable[..., None] = KERNEL(self._tracker["kernel"])
        self.functions = (ctypes.c_void_p * max(len(functions), 1))(*[self._pointer(name, ops) for name in functions])
        weakref.finalize(self, _unload, self._tracker)

    def _pointer(self, name: str, ops: dict[str, Op]) -> int:
        if name.startswith("python:"):
            op = ops[name.removeprefix("python:")]
            callback = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * op.arity)(op.forward)
            self._kept.append(callback)
            return ctypes.cast(callback, ctypes.c_void_p).value or 0
        address = _address(name)
        if not address:
            raise OSError(f"the C library has no function {name}")
        return address


def _unload(tracker: Any) -> None:
    with _LOCK:
        tracker.close()


@functools.cache
def _address(name: str) -> int:
    """Where a function of the C library is; 0 where it is not."""
    for source in ("libmvec.so.1",) if name.startswith("_ZGV") else (None, "libm.so.6"):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(source), name), ctypes.c_void_p).value or 0
        except (OSError, AttributeError):
            continue
    return 0
