"""Captured names: objects from outside that a function reads. Another object under a name recompiles."""

from __future__ import annotations

import dis
import functools
import operator
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

NOWHERE = object()

_PACKAGE = os.path.realpath(os.path.dirname(os.path.dirname(__file__))) + os.sep
_INSTALLED = (_PACKAGE, *[os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "purelib")])
"""Folders of functions whose globals are taken to be constant."""


class Reader(NamedTuple):
    """A place where an object is read: what kind of place, who holds it, and under which name."""

    kind: str
    holder: Any
    name: str = ""

    def function(self) -> Callable[[], Any]:
        """Return a function that reads it."""
        kind, holder, name = self
        if kind in ("code", "defaults"):
            return functools.partial(getattr, holder, f"__{kind}__")
        if kind == "global":
            return functools.partial(holder.get, name, NOWHERE)
        if kind == "attribute":
            return functools.partial(getattr, holder, name, NOWHERE)
        return functools.partial(_content, holder) if kind == "cell" else functools.partial(_default, holder, name)


class Seen(NamedTuple):
    """Captured names at one time: where they are read, the objects there, and the key of these."""

    readers: Sequence[Reader]
    objects: Sequence[Any]
    key: tuple[Any, ...]


class Outside:
    """Free and global names of functions, of functions within them, and of functions of the user that they name.

    With an object or a class come the methods of the class, with a function its defaults, and with a class or a
    person's own module the attributes that the code takes of it by name. `key()` tells what stands there now: numbers
    and strings by what they are, anything else by which object it is. What is changed within an object is not seen, but
    for the code and the defaults of a function. `held()` are these objects: while they are kept, a key means the same.
    """

    def __init__(self, functions: Iterable[Any]) -> None:
        self._readers: list[Reader] = []
        self._seen: dict[int, FunctionType] = {}
        for function in functions:
            self._add(function, (_PACKAGE,))
        self._reads = [reader.function() for reader in self._readers]
        now = self.held()[len(self._seen) :]
        self._state: tuple[list[Any], tuple[Any, ...]] = now, (*self._seen, *map(_known, now))

    def key(self) -> tuple[Any, ...]:
        """Return the cache key of the names: their functions, and the objects that they refer to now."""
        now = [read() for read in self._reads]
        last, key = self._state
        if not all(map(operator.is_, now, last)):
            key = (*self._seen, *map(_known, now))
            self._state = now, key  # at once, for other threads
        return key

    def seen(self) -> Seen:
        """Return the state of the last `key()`."""
        return Seen(self._readers, *self._state)

    def held(self) -> list[Any]:
        """Return references to the functions, and to the objects under their names."""
        return [*self._seen.values(), *[read() for read in self._reads]]

    def _add(self, function: Any, but: tuple[str, ...]) -> None:
        for plain in _functions(function):
            if id(plain) in self._seen or _path(plain.__code__.co_filename).startswith(but):
                continue
            self._seen[id(plain)] = plain
            self._readers.append(Reader("code", plain))
            if plain.__defaults__:
                self._readers.append(Reader("defaults", plain))
            for name in plain.__kwdefaults__ or {}:
                self._readers.append(Reader("kwdefault", plain, name))
            for default in (*(plain.__defaults__ or ()), *(plain.__kwdefaults__ or {}).values()):
                self._add(default, _INSTALLED)
            names: dict[str, Reader] = {}
            for name in _names(plain.__code__):
                names[name] = Reader("global", plain.__globals__, name)
            for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
                names[name] = Reader("cell", cell)
            attributes = _attributes(plain.__code__)
            for name, reader in names.items():
                there = reader.function()()
                if isinstance(there, ModuleType):
                    if _path(getattr(there, "__file__", None) or _PACKAGE).startswith(_INSTALLED):
                        continue
                else:
                    self._readers.append(reader)
                    self._add(there, _INSTALLED)
                if isinstance(there, (ModuleType, type)):
                    for attribute in attributes.get(name, ()):
                        self._attribute(there, attribute)

    def _attribute(self, owner: Any, name: str) -> None:
        """Read an attribute of a module or a class, if it is the same object each time."""
        there = getattr(owner, name, NOWHERE)
        if there is getattr(owner, name, NOWHERE) and not isinstance(there, ModuleType):
            self._readers.append(Reader("attribute", owner, name))
            self._add(there, _INSTALLED)


def _functions(x: Any) -> Iterator[FunctionType]:
    """Yield the Python functions that may run when x, or one of its methods, is called."""
    if isinstance(x, FunctionType):
        yield x
        yield from _functions(getattr(x, "__wrapped__", None))
    elif isinstance(x, functools.partial):
        for part in (x.func, *x.args, *x.keywords.values()):
            yield from _functions(part)
    elif isinstance(x, MethodType):
        yield from _functions(x.__func__)
        yield from _functions(x.__self__)
    elif not isinstance(x, ModuleType):
        for kind in (x if isinstance(x, type) else type(x)).__mro__:
            for member in vars(kind).values():
                plain = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
                plain = plain.fget if isinstance(plain, property) else plain
                if isinstance(plain, FunctionType):
                    yield from _functions(plain)


@functools.lru_cache(maxsize=1024)
def _path(filename: str) -> str:
    return os.path.realpath(filename)


def _names(code: CodeType) -> set[str]:
    """Return the global names in a function's code, nested functions and generators included."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _attributes(code: CodeType) -> dict[str, set[str]]:
    """Return the attributes that are read from each name in a function's code, nested functions included."""
    found: dict[str, set[str]] = {}
    before: Any = None
    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_ATTR", "LOAD_METHOD") and before is not None:
            found.setdefault(before, set()).add(i.argval)
        before = i.argval if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF") else None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            for name, attributes in _attributes(constant).items():
                found.setdefault(name, set()).update(attributes)
    return found


def _default(function: FunctionType, name: str) -> Any:
    return (function.__kwdefaults__ or {}).get(name, NOWHERE)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing was assigned yet
        return NOWHERE


def _known(x: Any) -> Any:
    if isinstance(x, float):
        return repr(x)  # distinguishes -0.0 from 0.0, and equals itself for nan
    return (type(x), x) if isinstance(x, (int, str)) else id(x)
