"""Machine code that CPython calls itself: `entry.ll`, compiled once for all functions, and methods made of it."""

from __future__ import annotations

import ctypes
import functools
import inspect
import re
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microgrid.compiler.machine import address_of, compiled, machine
from microgrid.core.packages import library

PURPOSES = ("value", "value_and_grad", "gradient", "jacobian", "hessian", "hvp")
"""Functions of `entry.ll`, in the order of the chains in an object's entries."""

ATTRIBUTE = sys.intern("_entries")
"""Name of the attribute with an object's entries."""

DATA = sys.intern("data")

_FASTCALL = 0x0080 | 0x0002
"""METH_FASTCALL | METH_KEYWORDS"""

_LOCK = threading.RLock()  # a finaliser within it may compile a function
_loaded: list[dict[str, int] | None] = []
_forever: list[Any] = []
"""Machine code and definitions of methods, to which types refer until the process ends."""


class MethodDefinition(ctypes.Structure):
    """PyMethodDef of CPython's stable ABI."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


@functools.cache
def supported() -> bool:
    """Return True on CPython with a global interpreter lock, if objects look as expected."""
    if (
        sys.implementation.name != "cpython"
        or sysconfig.get_config_var("Py_GIL_DISABLED")
        or ctypes.sizeof(ctypes.c_void_p) != 8
        or not all(map(_address, wrapped(_text())[1]))
    ):
        return False
    samples: tuple[Any, ...] = (1.5, [], {}, "", library("numpy", "compile").ones(1))
    return all(ctypes.c_void_p.from_address(id(x) + _type_offset()).value == id(type(x)) for x in samples)


def entry_points(cache: bool) -> dict[str, int] | None:
    """Return the addresses of the machine code by purpose; None where it is not supported.

    With `cache`, the code is read from and written to the disk cache.
    """
    with _LOCK:
        if not _loaded:
            _loaded.append(_load(cache) if supported() else None)
        return _loaded[0]


def method(kind: type, purpose: str, like: Callable[..., Any], cache: bool) -> Any:
    """Return a method of a class, with the name, signature and docstring of a Python function; None without support."""
    points = entry_points(cache)
    if points is None:
        return None
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p)
    definition = _definition(like, points[purpose])
    return new(("PyDescr_NewMethod", ctypes.pythonapi))(kind, ctypes.addressof(definition))


def bound_function(bound: Any, cache: bool) -> Any:
    """Return a function of an object with entries that makes its first kind of call; None without support."""
    points = entry_points(cache)
    if points is None:
        return None
    if not _bound:
        doc = b"bound($self, /)\n--\n\nMake the call with the present numbers of the arrays that are bound."
        _bound.append(MethodDefinition(b"bound", points[PURPOSES[0]], _FASTCALL, doc))
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return new(("PyCFunction_NewEx", ctypes.pythonapi))(ctypes.addressof(_bound[0]), bound, None)


_bound: list[MethodDefinition] = []


def _definition(like: Callable[..., Any], code: int) -> MethodDefinition:
    parameters = list(inspect.signature(like).parameters.values())[1:]
    names = [str(parameter.replace(annotation=parameter.empty)) for parameter in parameters]
    doc = f"{like.__name__}({', '.join(['$self', *names])})\n--\n\n{inspect.getdoc(like) or ''}"
    definition = MethodDefinition(like.__name__.encode(), code, _FASTCALL, doc.encode())
    _forever.append(definition)
    return definition


def _load(cache: bool) -> dict[str, int]:
    text, names = wrapped(_text())
    engine = machine().engine(compiled(text, cache)[0], PURPOSES[0])
    _forever.append(engine)
    np = library("numpy", "compile")
    words = {kind.__name__: id(kind) for kind in (float, int, list, dict, str, np.ndarray, np.float64)}
    words |= {"name_of_entries": id(ATTRIBUTE), "name_of_data": id(DATA), "type_offset": _type_offset()}
    words |= {f"at.{name}": _address(name) for name in names}
    for name, word in words.items():
        ctypes.c_uint64.from_address(engine.get_global_value_address(name)).value = word
    return {purpose: engine.get_function_address(purpose) for purpose in PURPOSES}


def wrapped(text: str) -> tuple[str, list[str]]:
    """Return the module with functions in place of its declarations, each of which calls an address; and their names.

    The code on disk then has no addresses, and nothing is left for a linker to find.
    """
    names = []

    def function(declaration: re.Match[str]) -> str:
        result, name, types = declaration.groups()
        names.append(name)
        given = ", ".join(
            [f"{type} %{letter}" for letter, type in zip("abcd", filter(None, types.split(", ")), strict=False)]
        )
        call = f"call {result} %function({given})"
        end = f"{call}\n  ret void" if result == "void" else f"%result = {call}\n  ret {result} %result"
        return (
            f"@at.{name} = global ptr null\ndefine internal {result} @{name}({given}) alwaysinline nounwind {{\n"
            f"  %function = load ptr, ptr @at.{name}\n  {end}\n}}"
        )

    return re.sub(r"^declare (\w+) @(\w+)\((.*)\)$", function, text, flags=re.MULTILINE), names


def _text() -> str:
    return Path(__file__).with_name("entry.ll").read_text(encoding="utf-8")


def _address(name: str) -> int:
    """Return the address of a function of CPython or the C library, 0 where it is missing."""
    if not name.startswith("Py"):
        return address_of(name)
    function = getattr(ctypes.pythonapi, name, None)
    return 0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0


def _type_offset() -> int:
    """Return the place of the type in an object: its last field, by the stable ABI."""
    return object.__basicsize__ - ctypes.sizeof(ctypes.c_void_p)
