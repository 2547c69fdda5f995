"""What a node must know of the moment it is made: which module is being called, and whether to record at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# The path of the module being called in this thread or asyncio task; None where nothing is recorded.
_module: Final[ContextVar[str | None]] = ContextVar("microgrid_module", default="")

current_module: Final[Callable[[], str | None]] = _module.get
"""The path of the module being called, "" outside of any, None within `no_grad`."""

set_module: Final[Callable[[str | None], Token[str | None]]] = _module.set
reset_module: Final[Callable[[Token[str | None]], None]] = _module.reset


@functools.lru_cache(maxsize=65536)
def extended_path(path: str, name: str) -> str:
    """The path of the module `name` when it is called by the module at path; one string for all its nodes."""
    return f"{path}.{name}" if path else name


class no_grad:
    """A context, or a decorator, within which operations record nothing: their results are leaves.

    It holds for the thread or asyncio task that entered it.

    >>> from microgrid import Value
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     (x * x).operands
    ()
    """

    def __init__(self) -> None:
        self._tokens: list[Token[str | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(set_module(None))

    def __exit__(self, *_exception: object) -> None:
        reset_module(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, recording nothing while it runs."""

        @functools.wraps(function)
        def paused(*args: P.args, **kwargs: P.kwargs) -> R:
            with no_grad():
                return function(*args, **kwargs)

        return paused
