"""Copies and pickles of `Value`s with their whole graph: sharing stays intact, at any depth.

They carry over to other processes, and between the compiled and the interpreted build. Nothing here recurses over the
depth of a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

from microgrid.engine import Value, read_out, renumber, topological


def copied(self: Value) -> Value:
    """Return a copy of the node with the same operands."""
    read_out(self)
    return twin(self, self._a, self._b)


def copied_with_operands(self: Value, memo: dict[int, Any]) -> Value:
    """Return a copy of the node and of its ancestors, except those in the memo."""
    read_out(self)
    for node in topological([self], bundles=True):
        if id(node) not in memo:
            a, b = node._a, node._b
            memo[id(node)] = twin(node, None if a is None else memo[id(a)], None if b is None else memo[id(b)])
    found: Value = memo[id(self)]
    return found


def pickled(self: Value) -> tuple[Any, ...]:
    """Return the value of `__reduce__` for a pickler."""
    if not _in_order.get():
        read_out(self)
    if self.op is None:
        return _restore_leaf, (self._data, self._grad, self._label)
    ancestors = None if _in_order.get() else _Ancestors(self)
    content = (self.op, self._data, self._grad, self._label, self.module, self._a, self._b, self._da, self._db)
    return _blank, (), (ancestors, *content), None, None, _fill


def twin(node: Value, a: Value | None, b: Value | None) -> Value:
    """Return a copy of a node with these operands."""
    made = Value(node._data)
    made._grad = node._grad
    made.op = node.op
    made._label = node._label
    made.module = node.module
    made._a = a
    made._b = b
    if node.op is not None:  # in a leaf, backward keeps a note there
        made._da = node._da
        made._db = node._db
    return made


# A pickler saves what an object refers to before it goes on: down a chain of operands it would recurse. So the first
# node that it meets hands it all its ancestors as the items of a list, operands before users. Each of them refers to
# operands that the pickler has seen already, and knows from `_in_order` that it need not do the same again.
_in_order: Final[ContextVar[bool]] = ContextVar("microgrid_in_order", default=False)


class _Ancestors:
    """Pickled form of a node's ancestors, in the order of recording."""

    def __init__(self, node: Value) -> None:
        self._node = node

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (), None, _announced(topological([self._node], bundles=True)[:-1])


def _announced(nodes: list[Value]) -> Iterator[Value]:
    _in_order.set(True)
    try:
        yield from nodes
    finally:
        _in_order.set(False)


def _restore_leaf(data: float, grad: float, label: str) -> Value:
    leaf = Value(data, label=label)
    leaf._grad = grad
    return leaf


def _blank() -> Value:
    return Value(0.0)


def _fill(node: Value, content: tuple[Any, ...]) -> None:
    """Fill a blank node with its pickled content. Its operands are there already, so its number is the next."""
    _, op, data, grad, label, module, a, b, da, db = content
    renumber(node)
    node.op = op
    node._data = data
    node._grad = grad
    node._label = label
    node.module = module
    node._a = a
    node._b = b
    node._da = da
    node._db = db
