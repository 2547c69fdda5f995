"""Compilation that takes long says so, and can be interrupted."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from interpreting import interpreting

import microgrid as mg
from microgrid.compiler import plan, stages


class Terminal(io.StringIO):
    """A terminal, and the text on it."""

    def isatty(self) -> bool:
        return True


def f(x: Any, y: Any) -> Any:
    return mg.sum([mg.sin(x * i) * y for i in range(5)])


def delayed(function: Callable[..., Any], terminal: Terminal, shown: str) -> Callable[..., Any]:
    """The function, which waits until it is told of."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        end = time.monotonic() + 20.0
        while shown not in terminal.getvalue() and time.monotonic() < end:
            time.sleep(0.01)
        return function(*args, **kwargs)

    return wrapped


def test_a_line_says_what_is_compiled_and_in_which_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(stages, "WAIT", 0.0)
    monkeypatch.setattr(stages, "PAUSE", 0.01)
    for name, stage in (("loops_of", "roll"), ("compiled", "machine code")):
        monkeypatch.setattr(plan, name, delayed(getattr(plan, name), terminal, f"compiling f: {stage}"))
    assert mg.compile(f, cache=False)(0.5, 1.0) == pytest.approx(f(0.5, 1.0))
    assert "compiling f: roll 00:0" in terminal.getvalue()
    assert "compiling f: machine code 00:0" in terminal.getvalue()


def test_nothing_is_said_where_it_is_quick_or_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, wait in ((Terminal(), 60.0), (io.StringIO(), 0.0)):
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(stages, "WAIT", wait)
        mg.compile(f, cache=False)(0.5, 1.0)
        assert terminal.getvalue() == ""


@pytest.mark.parametrize("stage", ["loops_of", "reduced", "place", "module_of", "compiled", "encode", "checked"])
def test_an_interrupted_compilation_leaves_everything_usable(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    with interpreting(stage == "encode"):
        compiled = mg.compile(f, cache=False)
        with monkeypatch.context() as patch:
            patch.setattr(plan, stage, interrupted)
            with pytest.raises(KeyboardInterrupt):
                compiled.value_and_grad(0.5, 1.0)
        assert compiled.value_and_grad(0.5, 1.0)[0] == pytest.approx(f(0.5, 1.0))
        assert compiled(0.5, 1.0) == pytest.approx(f(0.5, 1.0))
