"""Context of recording: the module being called, `no_grad`, and observers of nodes and of reads."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# The path of the module being called in this thread or asyncio task; None where nodes are not simply recorded: in
# `no_grad`, where none is, and under a watch, where each one is looked at. So the plain case is a single question.
_module: Final[ContextVar[str | None]] = ContextVar("microgrid_module", default="")

current_module: Final[Callable[[], str | None]] = _module.get
"""Return the path of the module being called, "" outside of any; None within `no_grad` and under a watch."""

set_module: Final[Callable[[str | None], Token[str | None]]] = _module.set
reset_module: Final[Callable[[Token[str | None]], None]] = _module.reset


class Watch(NamedTuple):
    """Observer of each new node and of backward passes about to run; and the path of the module."""

    node: Callable[[Any], None]
    backward: Callable[[Any, float], None]
    path: str


_watch: Final[ContextVar[Watch | None]] = ContextVar("microgrid_watch", default=None)

current_watch: Final[Callable[[], Watch | None]] = _watch.get
set_watch: Final[Callable[[Watch | None], Token[Watch | None]]] = _watch.set
reset_watch: Final[Callable[[Token[Watch | None]], None]] = _watch.reset

Reader = Callable[[str, Any, Any, Any], bool | None]
"""Observer of reads of a Value's number during tracing: (how, value, other, answer); it may give another answer."""

_reader: Final[ContextVar[Reader | None]] = ContextVar("microgrid_reader", default=None)

current_reader: Final[Callable[[], Reader | None]] = _reader.get
set_reader: Final[Callable[[Reader | None], Token[Any]]] = _reader.set
reset_reader: Final[Callable[[Token[Any]], None]] = _reader.reset


_conditions: Final[ContextVar[bool]] = ContextVar("microgrid_conditions", default=False)

current_conditions: Final[Callable[[], bool]] = _conditions.get
"""Return True where comparisons of arrays are recorded, for code that has both paths."""


_loops: Final[ContextVar[Any]] = ContextVar("microgrid_loops", default=None)

current_loops: Final[Callable[[], Any]] = _loops.get
"""Return what traces the steps of loops, where code is compiled; None where loops simply run."""


@contextlib.contextmanager
def tracing_loops(tracer: Any) -> Iterator[None]:
    """Hand loops to a tracer within a context."""
    token = _loops.set(tracer)
    try:
        yield
    finally:
        _loops.reset(token)


@contextlib.contextmanager
def recording_conditions() -> Iterator[None]:
    """Record comparisons of arrays of Values within a context."""
    token = _conditions.set(True)
    try:
        yield
    finally:
        _conditions.reset(token)


@functools.lru_cache(maxsize=65536)
def extended_path(path: str, name: str) -> str:
    """Return the path of the module `name` called by the module at `path`; one string for all its nodes."""
    return f"{path}.{name}" if path else name


def enter_module(name: str) -> Token[Any] | None:
    """Extend the path of the module being called by a name, until `leave_module`."""
    path = current_module()
    if path is not None:
        return set_module(extended_path(path, name))
    watch = current_watch()
    return None if watch is None else set_watch(watch._replace(path=extended_path(watch.path, name)))


def leave_module(token: Token[Any] | None) -> None:
    """Restore the path before `enter_module`."""
    if token is not None:
        token.var.reset(token)


class frame:
    """Context manager, or decorator, that names values made within: a time step, a block, an iteration.

    Frames stand within one another, and modules within frames; `draw`, `steps`, compiled loops and messages show them.

    >>> from microgrid import Value
    >>> with frame("t=1"):
    ...     (Value(3.0) * 2.0).module
    't=1'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f'a frame has a name, a string, got {name!r}: write frame(f"t={{t}}")')
        if not name.strip():
            raise ValueError('a frame needs a name, such as frame("t=1")')
        self.name = name.replace(".", "\N{ONE DOT LEADER}")  # a full stop divides the parts of a path
        self._tokens: list[Token[Any] | None] = []

    def __enter__(self) -> None:
        self._tokens.append(enter_module(self.name))

    def __exit__(self, *_exception: object) -> None:
        leave_module(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, whose values are in the frame."""

        @functools.wraps(function)
        def framed(*args: P.args, **kwargs: P.kwargs) -> R:
            with frame(self.name):
                return function(*args, **kwargs)

        return framed


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Record operations within a context, even within `no_grad`."""
    if current_module() is not None or current_watch() is not None:
        yield
        return
    token = set_module("")
    try:
        yield
    finally:
        reset_module(token)


@contextlib.contextmanager
def plainly_recording() -> Iterator[None]:
    """Record operations within a context, outside of any module and unwatched."""
    module, watch, reader = set_module(""), set_watch(None), set_reader(None)
    try:
        yield
    finally:
        reset_reader(reader)
        reset_watch(watch)
        reset_module(module)


@contextlib.contextmanager
def reading(reader: Reader) -> Iterator[None]:
    """Call the reader at each read of a Value's number within a context."""
    token = set_reader(reader)
    try:
        yield
    finally:
        reset_reader(token)


_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_COPY: Final = os.path.join(os.path.dirname(os.__file__), "copy.py")


_NUMPY: Final = f"{os.sep}site-packages{os.sep}numpy{os.sep}"


def _is_inner(file: str) -> bool:
    return file.startswith((_PACKAGE, "microgrid/", _COPY)) or _NUMPY in file


def user_line() -> str:
    """Return the line of code outside of this package, of NumPy and of `copy`, that is being run, as file:line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inner(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def line_of(error: BaseException) -> str:
    """Return the innermost line outside of this package and of NumPy that an error went through, as file:line."""
    line, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not _is_inner(file):
            line = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return line


class no_grad:
    """Context manager, or decorator, within which operations record nothing: their results are leaves.

    It holds for the thread or asyncio task that entered it.

    >>> from microgrid import Value
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     (x * x).operands
    ()
    """

    def __init__(self) -> None:
        self._tokens: list[tuple[Token[str | None], Token[Watch | None]]] = []

    def __enter__(self) -> None:
        self._tokens.append((set_module(None), set_watch(None)))

    def __exit__(self, *_exception: object) -> None:
        module, watch = self._tokens.pop()
        reset_watch(watch)
        reset_module(module)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, which then records nothing."""

        @functools.wraps(function)
        def paused(*args: P.args, **kwargs: P.kwargs) -> R:
            with no_grad():
                return function(*args, **kwargs)

        return paused
