"""From a module's text to machine code in memory by LLVM, and its release when it is no longer needed."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import platform
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import microgrid.compiler.cache as disk
from microgrid.compiler.kernel import DATA
from microgrid.core.natives import scipy_address
from microgrid.core.packages import library
from microgrid.core.primitive import Op, as_float

_LOCK = threading.RLock()  # a garbage collection within it may unload code


class Effort(NamedTuple):
    """The passes of LLVM, and its level of optimisation when it writes machine code."""

    passes: tuple[str, ...]
    level: int


_INLINED = ("always_inliner", "sroa")
EFFORTS = {
    "full": Effort((*_INLINED, *"loop_simplify lcssa loop_unroll instruction_combine simplify_cfg".split()), 1),
    "light": Effort((*_INLINED, "instruction_combine"), 1),
    "quick": Effort(_INLINED, 0),
}
"""Efforts of LLVM, by name. Vectorisation is not among it: the lanes are vectors already.

Levels 2 and 3 take up to 1.8 times as long as 1, for code that is no faster. Without unrolling LLVM takes half the time
for loops, and the code is up to 1.13 times slower. At level 0 it takes a tenth, for straight code of one lane that is
1.03 to 1.17 times slower; code with loops, or of several lanes, is 1.2 to 4 times slower.

Without `new_gvn`, which ends the process by an assertion on ordinary code (LLVM 20 and 22: "Seem to have processed the
same Value a lot"): `lanes.Writer` writes nothing twice, and with that the pass brought no more than 3 % anywhere.
"""

KERNEL = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 8, *[ctypes.c_int64] * 3, ctypes.c_double)


class Machine:
    """The host machine as LLVM sees it."""

    def __init__(self) -> None:
        self.llvm = llvm = library("llvmlite.binding", "compile")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        try:
            features = llvm.get_host_cpu_features()
        except RuntimeError:  # LLVM does not know this kind of processor so well
            features = llvm.FeatureMap()
        target = self._kind = llvm.Target.from_default_triple()
        name, features_text = llvm.get_host_cpu_name(), features.flatten()
        # One list of passes for all modules: llvmlite loses 80 KB with each standard pipeline that it makes and runs.
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        self._efforts = {}
        for effort, (passes, level) in EFFORTS.items():
            made = target.create_target_machine(
                cpu=name, features=features_text, opt=level, reloc="pic", codemodel="small", jit=True
            )
            manager = llvm.create_new_module_pass_manager()
            for each in passes:
                getattr(manager, f"add_{each}_pass")()
            self._efforts[effort] = made, llvm.create_pass_builder(made, tuning), manager
        self.width = 8 if features.get("avx512f") else 4 if features.get("avx2") else 2
        self.key = repr((llvm.llvm_version_info, target.triple, name, features_text))

    @functools.cached_property
    def vector(self) -> int:
        """Return the number of lanes of the C library's vector functions; 1 where it has none."""
        if platform.machine() not in ("x86_64", "AMD64"):
            return 1
        return self.width if address_of("_ZGVdN4v_tanh") else 1

    def object_of(self, text: str, effort: str = "full") -> bytes:
        """Compile a module to an object file for this machine. Raises RuntimeError with the stage that failed."""
        llvm = self.llvm
        target, builder, passes = self._efforts[effort]
        with _stage("reading the text"):
            module = llvm.parse_assembly(text, llvm.create_context())
            module.verify()
        module.triple = target.triple
        module.data_layout = str(target.target_data)
        with _LOCK:
            with _stage("optimising"):
                passes.run(module, builder)
                module.verify()
            with _stage("writing machine code"):
                return bytes(target.emit_object(module))

    def engine(self, code: bytes, function: str) -> Any:
        """Load machine code into memory, until its `close()`. Raises RuntimeError where it cannot be loaded."""
        llvm = self.llvm
        empty = llvm.parse_assembly("", llvm.create_context())
        with _LOCK, _stage("loading machine code"):
            engine = llvm.create_mcjit_compiler(empty, self._kind.create_target_machine(jit=True))
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            if not engine.get_function_address(function):
                raise RuntimeError(f"it has no function {function}")
        return engine


@contextlib.contextmanager
def _stage(name: str) -> Iterator[None]:
    """Name the stage in the error when LLVM fails."""
    try:
        yield
    except (RuntimeError, OSError, MemoryError) as error:
        raise RuntimeError(
            f"LLVM failed at {name}: {error}; nothing was compiled. This is an error of microgrid: please report it "
            "with the function"
        ) from error


@functools.cache
def machine() -> Machine:
    """Return the host machine."""
    return Machine()


def compiled(text: str, cache: bool, effort: str = "full") -> tuple[bytes, bool]:
    """Return the machine code of a module, and whether it is from the disk cache, where it is looked for and kept."""
    here = machine()
    name = disk.key(text, here.key, effort)
    code = disk.load(name) if cache else None
    if code is not None:
        return code, True
    code = here.object_of(text, effort)
    if cache:
        disk.save(name, code)
    return code, False


class MachineCode:
    """Machine code in memory for the lifetime of this object."""

    def __init__(self, code: bytes, function: str) -> None:
        engine = machine().engine(code, function)
        self.size = len(code)
        self.address_of: Callable[[str], int] = engine.get_function_address
        weakref.finalize(self, _unload, engine)


class Loaded:
    """A kernel in memory, with the functions that it calls."""

    def __init__(self, code: MachineCode, functions: tuple[str, ...], ops: dict[str, Op]) -> None:
        self._code = code
        self._kept: list[Any] = []
        self._errors: dict[int, BaseException] = {}
        self.address = code.address_of("kernel")
        self._kernel: Callable[..., None] = KERNEL(self.address)
        self.functions = (ctypes.c_void_p * max(len(functions), 1))(*[self._pointer(name, ops) for name in functions])
        self.run_frame: Callable[[int], None] | None = None
        """Run the code with the arguments in a frame; None where `run` must."""
        if not self._kept and _arrays_are_known():
            self.run_frame = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address_of("run"))
        self.run = self._run_and_raise if self._kept else self._kernel
        """Run the code. An exception of a Python function that it called is raised after it."""

    @property
    def calls_back(self) -> bool:
        """True if the code calls Python functions."""
        return bool(self._kept)

    def _run_and_raise(self, *args: Any) -> None:
        self._kernel(*args)
        if self._errors and (error := self._errors.pop(threading.get_ident(), None)) is not None:
            raise error

    def _pointer(self, name: str, ops: dict[str, Op]) -> int:
        if name.startswith("python:"):
            op = ops[name.removeprefix("python:")]
            callback = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * op.arity)(_guarded(op, self._errors))
            self._kept.append(callback)
            return ctypes.cast(callback, ctypes.c_void_p).value or 0
        if name.startswith("scipy:"):
            _, called, operands = name.split(":")
            return scipy_address(called, int(operands))
        address = address_of(name)
        if not address:
            raise OSError(f"the C library has no function {name}")
        return address


@functools.cache
def _arrays_are_known() -> bool:
    """Return True if arrays have the addresses of their data where machine code looks for them."""
    if sys.implementation.name != "cpython":
        return False
    arrays = [library("numpy", "compile").empty(n) for n in (0, 1, 1000)]
    return all(ctypes.c_size_t.from_address(id(array) + DATA).value == array.ctypes.data for array in arrays)


def _guarded(op: Op, errors: dict[int, BaseException]) -> Callable[..., float]:
    """Return the op's Python function with its exceptions kept, since they cannot pass through machine code."""

    def forward(*xs: float) -> float:
        try:
            return as_float(op.forward(*xs))
        except BaseException as error:
            errors.setdefault(threading.get_ident(), error)
            return math.nan

    return forward


def _unload(engine: Any) -> None:
    with _LOCK:
        engine.close()


@functools.cache
def address_of(name: str) -> int:
    """Return the address of a function of the C library, 0 where it is missing."""
    for source in ("libmvec.so.1",) if name.startswith("_ZGV") else (None, "libm.so.6", "ucrtbase"):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(source), name), ctypes.c_void_p).value or 0
        except (OSError, AttributeError, TypeError):  # not a library of this system
            continue
    return 0
