"""The backward pass node by node, for observers; it writes no `grad`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from microgrid.engine import CONSTANT, Value, edges_of, pass_back, topological


class Passed(NamedTuple):
    """A contribution: the operand, the partial by it, the cotangent passed to it, and its cotangent before."""

    operand: Value
    partial: float
    contribution: float
    before: float


def backpropagation(
    root: Value, seed: float, move: Callable[[float], float] | None = None
) -> Iterator[tuple[Value, float, list[Passed]]]:
    """Yield each result with its cotangent and its contributions to its operands, in the order of `backward()`.

    `move` perturbs each contribution before it is added: what rounding in another order of summation may do.
    """
    cotangents = {root.number: seed}
    for node in reversed(topological([root])):
        if node.op is None or node.op is CONSTANT:
            continue
        cotangent = cotangents.get(node.number, 0.0)
        contributions = []
        for i, (operand, partial) in enumerate(edges_of(node)):
            before = cotangents.get(operand.number, 0.0)
            contribution = pass_back(cotangent, partial, node, i)
            if move is not None:
                contribution = move(contribution)
            cotangents[operand.number] = before + contribution
            contributions.append(Passed(operand, partial, contribution, before))
        yield node, cotangent, contributions
