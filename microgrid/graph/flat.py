"""A recorded graph laid flat: constants and instructions on numbered slots; and recorded again with fewer nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microgrid.core.primitive import Op, has_rule, without_rule
from microgrid.engine import CONSTANT, Value, constant, edges_of, record, topological
from microgrid.graph.simplification import simplified


class Flat(NamedTuple):
    """Nodes in the order of their slots: inputs, constants, results. Instructions compute the results."""

    inputs: list[Value]
    constants: list[Value]
    results: list[Value]
    instructions: list[tuple[Op, tuple[int, ...]]]
    outputs: list[int]

    @property
    def numbers(self) -> list[float]:
        """Return the constants as numbers."""
        return [node.item() for node in self.constants]


def flat(outputs: Sequence[Value], inputs: Sequence[Value], start: int = 0) -> Flat:
    """Return the graph of outputs. Nodes up to the number `start` that are no constants become inputs, too, the last.

    Leaves made since are constants.
    """
    older: dict[int, Value] = {}
    order = topological(outputs, inputs=inputs, start=start, older=older)
    every = [*inputs, *older.values()]
    given = [node for node in order if node.op is None or node.op is CONSTANT]
    results = [node for node in order if not (node.op is None or node.op is CONSTANT)]
    slots = {node.number: i for i, node in enumerate([*every, *given, *results])}
    instructions = []
    for node in results:
        assert node.op is not None
        if not has_rule(node.op):
            raise without_rule(node)
        instructions.append((node.op, tuple([slots[operand.number] for operand, _ in edges_of(node)])))
    return Flat(every, given, results, instructions, [slots[node.number] for node in outputs])


def shorter(graph: Flat, exactly: bool = True) -> list[Value]:
    """Record the outputs of a graph again, simplified; in the same bits, or else as far as finite arguments allow."""
    given = len(graph.inputs), graph.numbers, graph.instructions, graph.outputs
    found = simplified(*given, signed_zeros=exactly, finite_arguments=not exactly)
    nodes = [*graph.inputs, *map(constant, found.constants)]
    for op, operands in found.instructions:
        nodes.append(record(op, [nodes[slot] for slot in operands]))
    return [nodes[slot] for slot in found.outputs]
