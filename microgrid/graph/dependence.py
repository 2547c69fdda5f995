"""Dependence of Values on given inputs: a number that was read is fixed only if it does not depend on them."""

from __future__ import annotations

from collections.abc import Iterable

from microgrid.engine import CONSTANT, Value, edges_of


class Dependence:
    """`node in Dependence(sources, start)`: whether a node was computed from one of the sources.

    A node up to the number `start` that is no constant is a source as well. Each node is visited once.
    """

    def __init__(self, sources: Iterable[Value], start: int = 0) -> None:
        self._known = {source.number: True for source in sources}
        self._start = start

    def __contains__(self, node: object) -> bool:
        known = self._known
        stack = [node] if isinstance(node, Value) else []
        while stack:
            one = stack[-1]
            operands = [] if one.number <= self._start else [operand for operand, _ in edges_of(one)]
            waiting = [operand for operand in operands if operand.number not in known]
            if waiting and one.number not in known:
                stack += waiting
                continue
            stack.pop()
            if one.number not in known:
                old = one.number <= self._start and one.op is not CONSTANT
                known[one.number] = old or any(known[operand.number] for operand in operands)
        return isinstance(node, Value) and known[node.number]
