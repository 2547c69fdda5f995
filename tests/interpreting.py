"""Programs that are run in a given way, whatever their size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from microgrid.compiler import background, plan, takeover
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


class Here:
    """In place of a process: the job is done by this one, when the code is asked for."""

    def __init__(self, job: bytes) -> None:
        self.job = job

    def done(self) -> bool:
        return True

    def code(self) -> list[tuple[bytes, int]]:
        return background.code_in(background.answer(self.job), self.job)

    def end(self) -> None: ...


CALLS = 6
"""Number of calls after which machine code has taken over: each other one of them may be in machine code all along."""


@contextlib.contextmanager
def taking_over(*, process: Any = Here, trials: int = 0) -> Iterator[None]:
    """Let the interpreter run what is compiled within the context, and machine code take over at once, not compared."""
    with (
        interpreting(),
        mock.patch.multiple(takeover, START=0.0, INSTRUCTION=(0.0, 0.0), POLL=0.0, TRIALS=trials),
        mock.patch.object(background, "Process", process),
    ):
        yield
