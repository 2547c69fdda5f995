"""Errors for code that was written for micrograd: they show its operations as primitives."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from microgrid.core.primitive import CALL, OPS, Op, built_in, unlisted


def wants_backward(symbol: str, arity: int) -> str:
    """Return the message for Value(data, children, symbol), which micrograd completes by assigning `_backward`."""
    op = _built_in(symbol, arity)
    known = f"{op.name} is built in, and its declaration would be" if op else "declare the operation once, and call it:"
    text = _declared(op) if op else _outlined(symbol, max(arity, 1))
    called = f"Value(data, children, {symbol!r})" if symbol else "Value(data, children)"
    return (
        f"{called} waits for a _backward, and none can be assigned; {known} {text}; numbers for the derivatives do "
        "where the first derivative is enough: Value(data, children, local_grads)"
    )


def _built_in(symbol: str, arity: int) -> Op | None:
    """Return the built-in op that people write by this symbol; **2 is a power with a static exponent."""
    written = "**" if symbol.startswith("**") else symbol
    for op in OPS.values():
        names = (op.symbol.lower(), op.name, *op.aliases)
        if op.name in built_in and op.arity - op.static == arity and written.lower() in names:
            return op
    return None


def _declared(op: Op) -> str:
    operands = ", ".join(op.variables)
    if op.precedence == CALL:
        forward = f"{op.partials.__module__}.{op.name}({operands})"
    else:
        forward = f" {op.symbol} ".join(op.variables) if op.arity == 2 else f"{op.symbol}{operands}"
    static = f", static={op.static}" if op.static else ""
    return _text(f"my_{op.name}", operands, forward, op.textbook or ["..."] * (op.arity - op.static), static)


def _outlined(symbol: str, arity: int) -> str:
    name = symbol if symbol.isidentifier() and not keyword.iskeyword(symbol) else "my_op"
    operands = ", ".join(["x", "y"][:arity] if arity <= 2 else [f"x{i}" for i in range(1, arity + 1)])
    return _text(f"my_{name}" if name in built_in or name in unlisted else name, operands, "...", ["..."] * arity)


def _text(name: str, operands: str, forward: str, derivatives: Sequence[str], more: str = "") -> str:
    rule = f"({', '.join(derivatives)}{',' if len(derivatives) == 1 else ''})"
    return f'microgrid.primitive("{name}", lambda {operands}: {forward}, lambda z, {operands}: {rule}{more})'
