"""The derivative of a recorded graph as a linear map, applied to tangents or, transposed, to cotangents.

It writes to no `.grad`. Like the engine it is plain Python that mypyc compiles unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from microgrid import ops
from microgrid.core._mypyc import i64
from microgrid.core.primitive import constants_recorded
from microgrid.engine import (
    CONSTANT,
    Value,
    constant,
    edges_of,
    is_bundle,
    pass_back,
    record,
    record_binary,
    topological,
)

_ONE: Final = 1.0
_WIDEST: Final = 1 << 22
"""Nodes made since the start of a recording up to which a window has a slot for each: two lists, 64 MB."""


class Linearization:
    """The derivative of the outputs by the inputs, at the point where the outputs were recorded.

    A slot is the place of a node in `window`, in the order of recording. Passes visit nodes as `backward()` does, so
    that sums have the same bits.

    Nodes up to the number `start` are taken as given: it is asked, for them, only whether there are any (`outer`). With
    a start the window has a slot for every node made since, and the first pass enters those that it
    reaches; without one, or where that is a long time ago, the graph is searched for them and slots are looked up.
    """

    def __init__(self, outputs: list[Value], inputs: list[Value], start: int = 0) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._outer = False
        self._entered = False
        self._start: i64 = start
        self._slots: dict[int, int] | None = None
        self._by_value: list[tuple[int, int, Any, bool]] | None = None
        newest: i64 = self._start
        for node in outputs:
            if node.number > newest:
                newest = node.number
        for node in inputs:
            if node.number > newest:
                newest = node.number
        self._window: list[Value | None] = []
        if start and newest - self._start <= _WIDEST:
            self._window = [None] * (newest - self._start)
        else:
            older: dict[int, Value] = {}
            self._window.extend(topological(outputs, start=start, older=older, bundles=True))
            self._slots = {node.number: i for i, node in enumerate(self._window) if node is not None}
            self._outer = bool(older)
            self._entered = True

    def slot(self, node: Value) -> i64:
        """Return the slot of a node; a negative number for one without."""
        slots = self._slots
        return node.number - self._start - 1 if slots is None else slots.get(node.number, -1)

    def _enter(self, node: Value) -> i64:
        """Enter a node that a pass has reached, and return its slot; a negative number for one from before."""
        slot = self.slot(node)
        if slot < 0:
            if node.op is not CONSTANT:
                self._outer = True
        elif self._window[slot] is not node:
            if self._window[slot] is not None:
                raise RuntimeError(f"two nodes carry the creation number {node.number}: threads made them at once")
            self._window[slot] = node
        return slot

    @property
    def outer(self) -> bool:
        """True if the outputs depend on nodes up to the number `start`."""
        self._reached()
        return self._outer

    # On floats.

    def pull(self, cotangents: list[float], absolute: bool = False) -> list[float]:
        """Return the cotangents of the inputs: the vector-Jacobian product.

        With `absolute`, the sums of the absolute contributions of all paths: what cancels in a cotangent.
        """
        window = self._window
        slot: i64 = len(window)
        carried = [0.0] * slot
        for output, given in zip(self._outputs, cotangents):  # noqa: B905  # mypyc turns only a plain zip into a loop
            place = self._enter(output)
            if place >= 0:
                carried[place] = carried[place] + given
        while slot > 0:
            slot -= 1
            node = window[slot]
            if node is None:
                continue
            cotangent: float = carried[slot]
            a = node._a
            if a is not None:
                place = self._enter(a)
                if place >= 0:
                    passed = pass_back(cotangent, node._da, node, 0)
                    carried[place] = carried[place] + (-passed if absolute and passed < 0.0 else passed)
            b = node._b
            if b is not None:
                place = self._enter(b)
                if place >= 0:
                    passed = pass_back(cotangent, node._db, node, 1)
                    carried[place] = carried[place] + (-passed if absolute and passed < 0.0 else passed)
        self._entered = True
        return [self._carried(carried, node) for node in self._inputs]

    def push(self, tangents: list[float]) -> list[float]:
        """Return the tangents of the outputs: the Jacobian-vector product."""
        window = self._reached()
        carried = [0.0] * len(window)
        for node, given in zip(self._inputs, tangents):  # noqa: B905  # as above
            place = self.slot(node)
            if place >= 0:
                carried[place] = carried[place] + given
        slot: i64 = 0
        end: i64 = len(window)
        while slot < end:
            user = window[slot]
            if user is not None:
                tangent: float = carried[slot]
                b = user._b
                if b is not None:
                    tangent += pass_back(self._carried(carried, b), user._db, user, 1)
                a = user._a
                if a is not None:
                    tangent += pass_back(self._carried(carried, a), user._da, user, 0)
                carried[slot] = tangent
            slot += 1
        return [self._carried(carried, node) for node in self._outputs]

    def _carried(self, carried: list[float], node: Value) -> float:
        slot = self.slot(node)
        return carried[slot] if slot >= 0 else 0.0

    def _reached(self) -> list[Value | None]:
        """Return the window after a pass that enters what the outputs depend on."""
        if not self._entered:
            self.pull([0.0] * len(self._outputs))
        return self._window

    # On Values: the same sums, recorded. A plain float is a constant, None a derivative that is 0 whatever happens.

    def pull_values(self, cotangents: Sequence[Any]) -> list[Value]:
        """Return the cotangents of the inputs as Values, computed by the rules from the recorded values."""
        with constants_recorded(record):
            edges = self.edges_by_value()
            carried: list[Any] = [None] * len(self._window)
            for node, given in zip(self._outputs, cotangents):  # noqa: B905  # as above
                slot = self.slot(node)
                if slot >= 0:
                    carried[slot] = total_of(carried[slot], given)
            for user, operand, partial, piecewise in edges:
                carried[operand] = total_of(carried[operand], contribution(carried[user], partial, piecewise))
            return self._values(carried, self._inputs)

    def push_values(self, tangents: Sequence[Any]) -> list[Value]:
        """Return the tangents of the outputs as Values, computed by the rules from the recorded values."""
        with constants_recorded(record):
            edges = self.edges_by_value()
            carried: list[Any] = [None] * len(self._window)
            for node, given in zip(self._inputs, tangents):  # noqa: B905  # as above
                slot = self.slot(node)
                if slot >= 0:
                    carried[slot] = total_of(carried[slot], given)
            for user, operand, partial, piecewise in edges[::-1]:
                carried[user] = total_of(carried[user], contribution(carried[operand], partial, piecewise))
            return self._values(carried, self._outputs)

    def _values(self, carried: list[Any], nodes: list[Value]) -> list[Value]:
        slots = [self.slot(node) for node in nodes]
        return [_as_value(carried[slot] if slot >= 0 else None) for slot in slots]

    def edges_by_value(self) -> list[tuple[int, int, Any, bool]]:
        """Return the edges between what depends on the inputs, in the order of a pull, with partials by the rules.

        An edge is (slot of the user, slot of the operand, partial, whether the op is piecewise).
        """
        if self._by_value is None:
            window = self._reached()
            active = {node.number for node in self._inputs}
            order: list[Value] = []
            for node in window:
                if node is None or is_bundle(node):
                    continue
                if [True for operand, _ in edges_of(node) if operand.number in active]:
                    active.add(node.number)
                    order.append(node)
            edges: list[tuple[int, int, Any, bool]] = []
            for node in reversed(order):
                recorded = edges_of(node)
                op = node.op
                if op is None:
                    continue
                given: list[Any] = [operand for operand, _ in recorded]
                for i in range(op.arity - op.static, op.arity):
                    given[i] = given[i]._data
                partials = op.partials(node, *given)
                user = self.slot(node)
                for i in range(op.arity - op.static):
                    operand, was = recorded[i]
                    partial = partials[i]
                    now = partial._data if isinstance(partial, Value) else float(partial)
                    if now != was and (now == now or was == was):
                        raise RuntimeError(_changed(node))
                    if operand.number in active:
                        known = not isinstance(partial, Value) or partial.op is CONSTANT
                        edges.append((user, self.slot(operand), now if known else partial, bool(op.piecewise[i])))
            self._by_value = edges
        return self._by_value


def _changed(node: Value) -> str:
    names = ", ".join([operand._label or repr(operand._data) for operand, _ in edges_of(node)])
    op = "" if node.op is None else node.op.name
    return (
        f"the data of an operand of {op}({names}) was changed after it was recorded, so the derivative of the "
        "derivative is lost: take it before changing .data, or record again"
    )


def total_of(x: Any, y: Any) -> Any:
    """Return the sum of two tangents or cotangents, where None is nothing."""
    if x is None or y is None:
        return y if x is None else x
    return x + y if isinstance(x, Value) or isinstance(y, Value) else ops.add(x, y)


def contribution(carried: Any, partial: Any, piecewise: bool) -> Any:
    """Return the tangent or cotangent times the partial, and nothing where either is nothing."""
    if carried is None:
        return None
    if not isinstance(partial, Value):
        if partial == 1.0:
            return carried
        if partial == -1.0:
            return 0.0 - carried  # and not -carried: sums of cotangents begin at 0.0, so theirs is never -0.0
        if partial == 0.0 and piecewise:
            return None
    if not isinstance(carried, Value):
        if carried == 0.0:
            return None
        if carried == _ONE:
            return partial
        if not isinstance(partial, Value) and partial == 0.0 and carried - carried == 0.0:
            return 0.0
        if isinstance(partial, Value) and piecewise:
            return ops.zero_product(partial, carried)
        # a product of plain numbers is recorded, too: in an arithmetic of more digits it is another number
        return partial * carried if isinstance(partial, Value) else ops.mul(partial, carried)
    if isinstance(partial, Value):  # without the way of any op to Values or numbers: a third of the time
        return record_binary(ops.zero_product if piecewise else ops.multiply_no_nan, partial, carried)
    return partial * carried if partial - partial == 0.0 else ops.multiply_no_nan(partial, carried)


def _as_value(x: Any) -> Value:
    if x is None:
        return constant(0.0)
    return x if isinstance(x, Value) else constant(x)
