"""The state machine that grows graphs, with long pauses between nodes; and backward passes with a known bug."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule

from microgrid import Value
from microgrid.testing.strategies import GradientMachine


class GraphMachine(GradientMachine):
    """Some nodes are far older than others: backward keeps those apart."""

    @rule(n=st.integers(1, 3000))
    def let_time_pass(self, n: int) -> None:
        for _ in range(n):
            Value(0.0)


# --- backward passes with one bug each ------------------------------------------------------------------------------


def faulty(bug: str) -> Callable[[Value, float], None]:
    """A backward pass, right but for the bug."""

    def backward(root: Value, seed: float) -> None:
        order = _breadth_first(root) if bug == "breadth-first order" else _newest_first(root)
        before = {node: node.grad for node in order if node.op is None}
        for node in order:
            if node.op is None or bug != "stale interior gradient":
                node.grad = 0.0
        root.grad += seed
        for node in order:
            edges = list(zip(node.operands, node.partials, strict=True))
            chosen = node.op is not None and any(node.op.piecewise)
            if bug == "x * x counted once":
                edges = list(dict(edges).items())
            for operand, partial in edges:
                contribution = node.grad * partial if node.grad and (partial or not chosen) else 0.0
                operand.grad = contribution if bug == "= for +=" else operand.grad + contribution
        for leaf, grad in before.items():
            leaf.grad += grad

    return backward


BUGS = ["= for +=", "breadth-first order", "x * x counted once", "stale interior gradient"]


def _breadth_first(root: Value) -> list[Value]:
    order = [root]
    for node in order:
        order.extend(operand for operand in dict.fromkeys(node.operands) if operand not in order)
    return order


def _newest_first(root: Value) -> list[Value]:
    return sorted(_breadth_first(root), key=lambda node: -node.number)
