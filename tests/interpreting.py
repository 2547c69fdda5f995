"""Programs that are run in a given way, whatever their size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from microgrid.compiler import plan
from microgrid.compiler.choice import Choice, choose


@contextlib.contextmanager
def running_as(effort: str) -> Iterator[None]:
    """Let LLVM compile with this effort what is compiled within the context; "" is the interpreter."""

    def chosen(*_: Any) -> Choice:
        return Choice(effort, 0.0, "asked for")

    try:
        setattr(plan, "choose", chosen)  # noqa: B010  # where it is used
        yield
    finally:
        setattr(plan, "choose", choose)  # noqa: B010  # as above


@contextlib.contextmanager
def interpreting(wanted: bool = True) -> Iterator[None]:
    """Let the interpreter run what is compiled within the context, if that is wanted."""
    with running_as("") if wanted else contextlib.nullcontext():
        yield
