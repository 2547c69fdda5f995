"""A recorded graph laid flat: constants and instructions on numbered slots; and recorded again with fewer nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microgrid.core.primitive import Op
from microgrid.engine import FlatCode, Value, constant, demand_rules, laid_out, record, topological
from microgrid.graph.simplification import simplified


class Flat(NamedTuple):
    """Nodes in the order of their slots: inputs, constants, results; and the instructions that compute the results."""

    inputs: list[Value]
    constants: list[Value]
    results: list[Value]
    straight: FlatCode
    outputs: list[int]

    @property
    def instructions(self) -> list[tuple[Op, tuple[int, ...]]]:
        """Return the ops with the slots of their operands."""
        return self.straight.pairs()

    @property
    def numbers(self) -> list[float]:
        """Return the constants as numbers; that reads nothing which depends on an input."""
        return [node._data for node in self.constants]


def flat(outputs: Sequence[Value], inputs: Sequence[Value], start: int = 0) -> Flat:
    """Return the graph of outputs. Nodes up to the number `start` that are no constants become inputs, too, the last.

    Leaves made since are constants.
    """
    older: dict[int, Value] = {}
    order = topological(outputs, inputs=inputs, start=start, older=older)
    every = [*inputs, *older.values()]
    demand_rules(order)
    return Flat(every, *laid_out(every, order, outputs))


def shorter(graph: Flat, exactly: bool = True) -> list[Value]:
    """Record the outputs of a graph again, simplified; in the same bits, or else as far as finite arguments allow."""
    given = len(graph.inputs), graph.numbers, graph.instructions, graph.outputs
    found = simplified(*given, signed_zeros=exactly, finite_arguments=not exactly)
    nodes = [*graph.inputs, *map(constant, found.constants)]
    for op, operands in found.instructions:
        nodes.append(record(op, [nodes[slot] for slot in operands]))
    return [nodes[slot] for slot in found.outputs]
