"""A state machine that grows a graph step by step beside a naive engine, and backward passes with a known bug."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from microgrid import Op, Value, ops

UNARY = [ops.neg, ops.tanh, ops.sin, ops.relu, ops.abs, ops.exp]
BINARY = [ops.add, ops.sub, ops.mul, ops.div, ops.maximum, ops.minimum]
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, -3.0, 0.5])


class Naive:
    """The oracle: a list of instructions, and the chain rule applied to every path of it by walking it backward."""

    def __init__(self) -> None:
        self.data: list[float] = []
        self.grad: list[float] = []
        self.edges: list[list[tuple[int, float | None]]] = []
        self.leaf: list[bool] = []

    def apply(self, op: Op, *operands: int) -> None:
        """Record an op by its rule; where a piecewise one has the partial 0, nothing passes back: None."""
        numbers = [self.data[i] for i in operands]
        z = op.forward(*numbers)
        edges = zip(operands, op.partials(z, *numbers), op.piecewise, strict=True)
        self.record(
            z, [(i, None if piecewise and not partial else partial) for i, partial, piecewise in edges], leaf=False
        )

    def record(self, data: float, edges: list[tuple[int, float | None]], leaf: bool) -> None:
        self.data.append(data)
        self.grad.append(0.0)
        self.edges.append(edges)
        self.leaf.append(leaf)

    def backward(self, root: int, seed: float) -> None:
        reached = {root}
        for i in range(root, -1, -1):
            if i in reached:
                reached.update(j for j, _ in self.edges[i])
        cotangent = [0.0] * len(self.data)
        cotangent[root] = seed
        for i in range(root, -1, -1):
            for j, partial in self.edges[i]:
                cotangent[j] += cotangent[i] * partial if cotangent[i] and partial is not None else 0.0
        for i in reached:
            self.grad[i] = cotangent[i] + (self.grad[i] if self.leaf[i] else 0.0)


class GraphMachine(RuleBasedStateMachine):
    """Every value has its twin in the oracle, at the same index. `backward` is what is under test."""

    backward: ClassVar[Callable[[Value, float], None]] = staticmethod(lambda root, seed: root.backward(seed))

    @initialize(x=NUMBERS)
    def begin(self, x: float) -> None:
        self.values: list[Value] = []
        self.naive = Naive()
        self._leaf(x)

    def _leaf(self, x: float) -> None:
        self.values.append(Value(x))
        self.naive.record(x, [], leaf=True)

    def _any(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.values) - 1))

    @rule(x=NUMBERS)
    def add_leaf(self, x: float) -> None:
        self._leaf(x)

    @rule(op=st.sampled_from(UNARY), data=st.data())
    def apply_unary(self, op: Op, data: st.DataObject) -> None:
        i = self._any(data)
        self.values.append(op(self.values[i]))
        self.naive.apply(op, i)

    @rule(op=st.sampled_from(BINARY), data=st.data())
    def apply_binary(self, op: Op, data: st.DataObject) -> None:
        i, j = self._any(data), self._any(data)
        operators: dict[str, Callable[[Value, Value], Value]] = {
            "add": lambda a, b: a + b,
            "mul": lambda a, b: a * b,
            "sub": lambda a, b: a - b,
        }
        self.values.append(operators.get(op.name, op)(self.values[i], self.values[j]))
        self.naive.apply(op, i, j)

    @rule(c=NUMBERS, data=st.data())
    def times_number(self, c: float, data: st.DataObject) -> None:
        i = self._any(data)
        self.values.append(c * self.values[i])
        self.naive.record(c * self.naive.data[i], [(i, c)], leaf=False)

    @rule(n=st.integers(1, 3000))
    def let_time_pass(self, n: int) -> None:
        for _ in range(n):
            Value(0.0)

    @rule(data=st.data(), x=NUMBERS)
    def change_data(self, data: st.DataObject, x: float) -> None:
        i = self._any(data)
        if self.naive.leaf[i]:
            self.values[i].data = x
            self.naive.data[i] = x

    @rule()
    def zero_grad(self) -> None:
        for i, value in enumerate(self.values):
            if self.naive.leaf[i]:
                value.grad = 0.0
                self.naive.grad[i] = 0.0

    @precondition(lambda self: self.values)
    @rule(data=st.data(), seed=st.sampled_from([1.0, 1.0, 2.0, 0.0]), times=st.integers(1, 2))
    def run_backward(self, data: st.DataObject, seed: float, times: int) -> None:
        root = self._any(data)
        for _ in range(times):
            type(self).backward(self.values[root], seed)
            self.naive.backward(root, seed)

    @invariant()
    def same_numbers(self) -> None:
        for i, value in enumerate(getattr(self, "values", [])):
            for got, expected in ((value.data, self.naive.data[i]), (value.grad, self.naive.grad[i])):
                assert got == expected or (math.isnan(got) and math.isnan(expected)), (i, got, expected)


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
