"""Programs that are interpreted whatever their size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from microgrid.compiler import plan
from microgrid.compiler.choice import Choice, choose


@contextlib.contextmanager
def interpreting(wanted: bool = True) -> Iterator[None]:
    """Let the interpreter run what is compiled within the context, if that is wanted."""

    def interpreter(*_: Any) -> Choice:
        return Choice("", 0.0, "asked for")

    try:
        setattr(plan, "choose", interpreter if wanted else choose)  # noqa: B010  # where it is used
        yield
    finally:
        setattr(plan, "choose", choose)  # noqa: B010  # as above
