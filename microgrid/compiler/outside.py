"""What functions find outside of their arguments, by name: compiled code holds it, and another must be seen."""

from __future__ import annotations

import dis
import functools
import inspect
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

KEPT = 64
"""For so many structures of arguments, and states of what is outside, a function keeps its code."""

NOWHERE = object()

_PACKAGE = os.path.realpath(os.path.dirname(os.path.dirname(__file__))) + os.sep
_INSTALLED = (_PACKAGE, *[os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib")])
"""Where functions are whose globals nobody changes."""


class Outside:
    """The free and global names of functions, of those within them, and of a person's functions that they name.

    `key()` tells what stands there now: numbers and strings by what they are, anything else by which object it is. What
    is changed within an object is not seen. `held()` are these objects: while they are kept, a key means the same.
    """

    def __init__(self, functions: Iterable[Any]) -> None:
        self._readers: list[Callable[[], Any]] = []
        self._seen: set[int] = set()
        for function in functions:
            self._add(function, (_PACKAGE,))

    def key(self) -> tuple[Any, ...]:
        """What stands under the names now."""
        return tuple([_known(read()) for read in self._readers])

    def held(self) -> list[Any]:
        """The objects under the names."""
        return [read() for read in self._readers]

    def _add(self, function: Any, but: tuple[str, ...]) -> None:
        for plain in _functions(function):
            if id(plain) in self._seen:
                continue
            self._seen.add(id(plain))
            if os.path.realpath(plain.__code__.co_filename).startswith(but):
                continue
            names: dict[str, Callable[[], Any]] = {}
            for name in _names(plain.__code__):
                names[name] = functools.partial(plain.__globals__.get, name, NOWHERE)
            for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
                names[name] = functools.partial(_content, cell)
            for read in names.values():
                there = read()
                if not isinstance(there, ModuleType):
                    self._readers.append(read)
                    self._add(there, _INSTALLED)


def _functions(x: Any) -> Iterator[FunctionType]:
    """The functions in Python that run when x is called."""
    if isinstance(x, functools.partial):
        yield from _functions(x.func)
    elif isinstance(x, FunctionType):
        yield x
        yield from _functions(getattr(x, "__wrapped__", None))
    elif isinstance(x, MethodType):
        yield from _functions(x.__func__)
    elif not isinstance(x, type) and callable(x):
        called = inspect.getattr_static(type(x), "__call__", None)
        if isinstance(called, FunctionType):
            yield from _functions(called)


def _names(code: CodeType) -> set[str]:
    """The global names in a function's code, and in that of functions and generators within."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing was assigned yet
        return NOWHERE


def _known(x: Any) -> Any:
    if isinstance(x, float):
        return repr(x)  # tells -0.0 from 0.0, and knows nan again
    return (type(x), x) if isinstance(x, (int, str)) else id(x)
