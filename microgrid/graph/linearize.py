"""The derivative of a recorded graph as a linear map, applied to tangents or, transposed, to cotangents.

It writes to no `.grad`. Like the engine it is plain Python that mypyc compiles unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from microgrid import ops
from microgrid.core._mypyc import i64
from microgrid.core.primitive import constants_recorded
from microgrid.engine import CONSTANT, Value, constant, edges_of, record, topological

_ONE: Final = 1.0


class Linearization:
    """The derivative of the outputs by the inputs, at the point where the outputs were recorded.

    A slot is a node that depends on an input, by its place in the order of recording. An edge leads from an operand to
    its user; the edges stand in the order of a backward pass, so that sums have the same bits as `backward()` gives.

    Nodes up to the number `start` are taken as given: it is asked, for them, only whether there are any (`outer`).
    """

    def __init__(self, outputs: Sequence[Value], inputs: Sequence[Value], start: int = 0) -> None:
        slots: dict[int, int] = {}
        wanted = {node.number for node in inputs}
        self.nodes: list[Value] = []
        older: dict[int, Value] = {}
        for node in topological(outputs, start=start, older=older):
            active = node.number in wanted
            for operand, _ in [] if active else edges_of(node):
                if operand.number in slots:
                    active = True
            if active:
                slots[node.number] = len(self.nodes)
                self.nodes.append(node)
        self.outer = bool(older)
        self._users: list[int] = []
        self._operands: list[int] = []
        self._partials: list[float] = []
        for node in reversed(self.nodes):
            user = slots[node.number]
            op = node.op
            for i, (operand, partial) in enumerate(edges_of(node)):
                slot = slots.get(operand.number)
                if slot is None or op is None or (partial == 0.0 and op.piecewise[i]):  # a piecewise 0 passes nothing
                    continue
                self._users.append(user)
                self._operands.append(slot)
                self._partials.append(partial)
        self._slots = slots
        self._inputs = [slots.get(node.number, -1) for node in inputs]
        self._outputs = [slots.get(node.number, -1) for node in outputs]
        self._by_value: list[tuple[int, int, Any, bool]] | None = None

    # On floats.

    def pull(self, cotangents: Sequence[float]) -> list[float]:
        """Return the cotangents of the inputs: the vector-Jacobian product."""
        carried = [0.0] * len(self.nodes)
        for slot, given in zip(self._outputs, cotangents):  # noqa: B905  # mypyc turns only a plain zip into a loop
            if slot >= 0:
                carried[slot] += given
        users = self._users
        operands = self._operands
        partials = self._partials
        edge: i64 = 0
        end: i64 = len(users)
        while edge < end:
            cotangent: float = carried[users[edge]]
            if cotangent != 0.0:
                operand = operands[edge]
                carried[operand] = carried[operand] + cotangent * partials[edge]
            edge += 1
        return [carried[slot] if slot >= 0 else 0.0 for slot in self._inputs]

    def push(self, tangents: Sequence[float]) -> list[float]:
        """Return the tangents of the outputs: the Jacobian-vector product."""
        carried = [0.0] * len(self.nodes)
        for slot, given in zip(self._inputs, tangents):  # noqa: B905
            if slot >= 0:
                carried[slot] += given
        users = self._users
        operands = self._operands
        partials = self._partials
        edge: i64 = len(users) - 1
        while edge >= 0:
            tangent: float = carried[operands[edge]]
            if tangent != 0.0:
                user = users[edge]
                carried[user] = carried[user] + tangent * partials[edge]
            edge -= 1
        return [carried[slot] if slot >= 0 else 0.0 for slot in self._outputs]

    # On Values: the same sums, recorded. A plain float is a constant, None a derivative that is 0 whatever happens.

    def pull_values(self, cotangents: Sequence[Any]) -> list[Value]:
        """Return the cotangents of the inputs as Values, computed by the rules from the recorded values."""
        with constants_recorded(record):
            carried: list[Any] = [None] * len(self.nodes)
            for slot, given in zip(self._outputs, cotangents):  # noqa: B905
                if slot >= 0:
                    carried[slot] = _sum(carried[slot], given)
            for user, operand, partial, piecewise in self._edges_by_value():
                carried[operand] = _sum(carried[operand], _passed(carried[user], partial, piecewise))
            return [_as_value(carried[slot] if slot >= 0 else None) for slot in self._inputs]

    def push_values(self, tangents: Sequence[Any]) -> list[Value]:
        """Return the tangents of the outputs as Values, computed by the rules from the recorded values."""
        with constants_recorded(record):
            carried: list[Any] = [None] * len(self.nodes)
            for slot, given in zip(self._inputs, tangents):  # noqa: B905
                if slot >= 0:
                    carried[slot] = _sum(carried[slot], given)
            for user, operand, partial, piecewise in self._edges_by_value()[::-1]:
                carried[user] = _sum(carried[user], _passed(carried[operand], partial, piecewise))
            return [_as_value(carried[slot] if slot >= 0 else None) for slot in self._outputs]

    def _edges_by_value(self) -> list[tuple[int, int, Any, bool]]:
        """Return the edges as (user, operand, partial, whether the op is piecewise), with partials by the rules."""
        if self._by_value is None:
            edges: list[tuple[int, int, Any, bool]] = []
            for node in reversed(self.nodes):
                recorded = edges_of(node)
                op = node.op
                if op is None or not [True for operand, _ in recorded if operand.number in self._slots]:
                    continue
                given: list[Any] = [operand for operand, _ in recorded]
                for i in range(op.arity - op.static, op.arity):
                    given[i] = given[i]._data
                partials = op.partials(node, *given)
                user = self._slots[node.number]
                for i in range(op.arity - op.static):
                    operand, was = recorded[i]
                    partial = partials[i]
                    now = partial._data if isinstance(partial, Value) else float(partial)
                    if now != was and (now == now or was == was):
                        raise RuntimeError(_changed(node))
                    slot = self._slots.get(operand.number)
                    if slot is not None:
                        known = not isinstance(partial, Value) or partial.op is CONSTANT
                        edges.append((user, slot, now if known else partial, bool(op.piecewise[i])))
            self._by_value = edges
        return self._by_value


def _changed(node: Value) -> str:
    names = ", ".join([operand._label or repr(operand._data) for operand, _ in edges_of(node)])
    op = "" if node.op is None else node.op.name
    return (
        f"the data of an operand of {op}({names}) was changed after it was recorded, so the derivative of the "
        "derivative is lost: take it before changing .data, or record again"
    )


def _sum(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return y if x is None else x
    return x + y if isinstance(x, Value) or isinstance(y, Value) else ops.add(x, y)


def _passed(carried: Any, partial: Any, piecewise: bool) -> Any:
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
    if isinstance(partial, Value):
        return ops.zero_product(partial, carried) if piecewise else ops.multiply_no_nan(partial, carried)
    return partial * carried if partial - partial == 0.0 else ops.multiply_no_nan(partial, carried)


def _as_value(x: Any) -> Value:
    if x is None:
        return constant(0.0)
    return x if isinstance(x, Value) else constant(x)
