"""`detect_anomaly`: raise an error at the first operation that is not finite."""

from __future__ import annotations

import math
from contextvars import Token
from typing import Any

from microgrid.core.scope import (
    Watch,
    current_module,
    current_watch,
    reset_module,
    reset_watch,
    set_module,
    set_watch,
    user_line,
)
from microgrid.engine import Value
from microgrid.graph.passes import backpropagation


class detect_anomaly:
    """Raise FloatingPointError at the first operation within a context that gives inf or nan.

    So does the first that passes inf or nan back, in `backward` or a derivative, before any `grad` is written. The
    error names the op, the numbers and labels of its operands, the module, and the line that made it. Recording takes
    longer inside; outside it costs nothing. It holds for the thread or asyncio task that entered it.

    >>> with detect_anomaly():
    ...     Value(0.0, label="x").log()
    Traceback (most recent call last):
    FloatingPointError: log(x = 0.0) gave -inf, at <doctest microgrid.graph.anomaly.detect_anomaly[0]>:2
    """

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}
        self._tokens: list[tuple[Token[str | None], Token[Watch | None]] | None] = []

    def __enter__(self) -> detect_anomaly:
        outer = current_watch()
        path = current_module() if outer is None else outer.path
        if path is None:  # nothing is recorded, so nothing is watched
            self._tokens.append(None)
        else:
            self._tokens.append((set_module(None), set_watch(Watch(self._see, self._see_backward, path))))
        return self

    def __exit__(self, *_exception: object) -> None:
        tokens = self._tokens.pop()
        if tokens is not None:
            reset_watch(tokens[1])
            reset_module(tokens[0])

    def _see(self, node: Value) -> None:
        self._lines[node.number] = user_line()
        if not math.isfinite(node.item()):
            raise FloatingPointError(f"{_call(node)} gave {node.item()}{self._origin(node)}")

    def _see_backward(self, root: Value, seed: float) -> None:
        """Watch the backward pass that is about to run."""
        for node, cotangent, contributions in backpropagation(root, seed):
            for operand, partial, contribution, before in contributions:
                if not math.isfinite(contribution):
                    raise FloatingPointError(
                        f"{_call(node)} passes {contribution} back to {_named(operand)}: "
                        f"cotangent {cotangent} times partial {partial}{self._origin(node)}"
                    )
                if not math.isfinite(before + contribution):
                    raise FloatingPointError(
                        f"{_call(node)} passes {contribution} back to {_named(operand)}, which had {before} already: "
                        f"their sum is {before + contribution}{self._origin(node)}"
                    )

    def _origin(self, node: Value) -> str:
        module = f", in {node.module}" if node.module else ""
        return f"{module}, at {self._lines.get(node.number, 'a line recorded outside of detect_anomaly')}"


def _call(node: Value) -> str:
    assert node.op is not None
    label = f"{node.label} = " if node.label else ""
    return f"{label}{node.op.name}({', '.join(map(_named, node.operands))})"


def _named(value: Any) -> str:
    return f"{value.label} = {value.item()}" if value.label else str(value.item())
