"""Errors for code that was written for other engines: they show micrograd's operations as primitives, and notes on a
Value as dicts."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Any

from microgrid.core.primitive import CALL, OPS, Op, built_in, unlisted

_MEANT = {"gradient": "grad", "derivative": "grad", "val": "data", "value": "data", "number": "data", "name": "label"}
"""The attribute of a Value that another name means."""


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


def no_room(name: str) -> str:
    """Return the message for an assignment to an attribute that a Value does not have."""
    import difflib

    near = _MEANT.get(name) or next(iter(difflib.get_close_matches(name, ("data", "grad", "label"))), "")
    meant = f"did you mean v.{near}? Else" if near else "instead"
    plain = name.strip("_")
    notes = plain if plain.isidentifier() and not keyword.iskeyword(plain) and plain != "v" else "notes"
    return f"a Value has no room for an attribute {name!r}: {meant} keep a dict keyed by Values, {notes} = {{v: 0}}"


class _Refused:
    """An attribute that is missing when it is read, and has advice when it is assigned."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, value: Any, kind: type) -> Any:
        named = f"type object {kind.__name__!r}" if value is None else f"{kind.__name__!r} object"
        asked = kind if value is None else value
        raise AttributeError(f"{named} has no attribute {self._name!r}", name=self._name, obj=asked)

    def __set__(self, value: Any, note: Any) -> None:
        raise AttributeError(no_room(self._name))


NOTES = (
    "avg beta cache change children color colour comment count decay delta depth derivative description ema exp_avg "
    "exp_avg_sq extra fixed frozen gradient gradients grads history id idx index info is_leaf key kind labels layer "
    "level lr m mass meta metadata momentum momentum_buffer name node note notes old old_data old_grad parent parents "
    "position previous requires_grad role seen speed square_avg state step_size tag text trainable type update v val "
    "value values velocity visited w weight_decay"
)


def refuse_notes(kind: type) -> None:
    """Give advice where the names that people attach to Values are assigned: in the pure build, of a type in Python.

    `__setattr__` would give it for any name, and make recording seven times as slow: 2.5 for 0.36 us a product. The
    compiled build has it for any name (.build/attributes.h).
    """
    refused = {name: _Refused(name) for name in NOTES.split() if not hasattr(kind, name)}
    for name, attribute in refused.items():
        setattr(kind, name, attribute)
    kind.__dir__ = lambda self: [name for name in object.__dir__(self) if name not in refused]  # type: ignore[misc, assignment]  # of the type
