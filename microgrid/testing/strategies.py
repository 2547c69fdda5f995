"""Hypothesis strategies: numbers, programs and points, modules, and a state machine that grows graphs.

Programs are lists of instructions that refer back to any earlier number, never trees: so they share results, and shrink
by dropping instructions.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from microgrid import nn
from microgrid.core.primitive import OPS, Op
from microgrid.engine import Value
from microgrid.program import Instruction, Program, needed

_Step: TypeAlias = tuple[Op, tuple[tuple[bool, int], ...]]
"""An op and its operands, each counted from the start, or back from here."""


def smooth_ops() -> list[Op]:
    """Return the ops that are smooth on the whole line and take no static operand."""
    return [op for op in OPS.values() if not op.static and not any(op.piecewise) and _everywhere(op)]


def _everywhere(op: Op) -> bool:
    return all(interval == (-math.inf, math.inf, ()) for interval in op.domain)


@st.composite
def values(draw: st.DrawFn, *, min_value: float = -1e3, max_value: float = 1e3, labels: bool = False) -> Value:
    """Draw leaves with finite numbers between the bounds."""
    names = st.sampled_from(["", "x", "y", "w"]) if labels else st.just("")
    return Value(draw(st.floats(min_value, max_value)), label=draw(names))


@st.composite
def programs(
    draw: st.DrawFn,
    *,
    ops: Sequence[Op] | None = None,
    min_inputs: int = 1,
    max_inputs: int = 3,
    min_size: int = 1,
    max_size: int = 40,
) -> Program:
    """Draw programs of one result, of `min_size` to `max_size` instructions of these ops (default: the smooth ones).

    Each instruction refers back to any number before it; those that the result does not need are left out, as long as
    `min_size` remain. Raises InvalidArgument when the bounds leave none.
    """
    chosen = list(ops) if ops is not None else smooth_ops()
    inputs = draw(st.integers(min_inputs, max_inputs))
    constants = draw(st.lists(st.sampled_from([0.5, -1.0, 2.0, 3.0]), min_size=1, max_size=2))
    steps = draw(_steps(tuple(chosen), min_size, max_size))
    base = inputs + len(constants)
    instructions: list[Instruction] = []
    for k, (op, references) in enumerate(steps):
        dynamic = op.arity - op.static
        operands = [
            base + k - 1 - i % (base + k) if from_here else i % (base + k) for from_here, i in references[:dynamic]
        ]
        operands += [inputs + i % len(constants) for _, i in references[dynamic:]]
        instructions.append(Instruction(op, tuple(operands)))
    live = _live(instructions, base)
    instructions = live if len(live) >= min_size else instructions
    names = [f"x{i}" for i in range(inputs)]
    return Program(
        names,
        names,
        constants,
        instructions,
        [base + len(instructions) - 1],
        in_structure=range(inputs),
        out_structure=0,
    )


@functools.lru_cache  # Hypothesis takes as long to make strategies as to draw from them
def _steps(ops: tuple[Op, ...], min_size: int, max_size: int) -> st.SearchStrategy[list[_Step]]:
    instruction = st.sampled_from(ops).flatmap(_with_references)
    sizes = (min_size, (3 * min_size + max_size) // 4, (min_size + max_size) // 2)  # else lists are mostly short
    return st.one_of([st.lists(instruction, min_size=size, max_size=max_size) for size in sizes])


@functools.lru_cache
def _with_references(op: Op) -> st.SearchStrategy[_Step]:
    """Draw an op and its operands, counted from the start or back from here, so that any other step can be dropped."""
    reference = st.one_of(st.tuples(st.just(False), st.integers(0, 99)), st.tuples(st.just(True), st.integers(0, 3)))
    return st.tuples(st.just(op), st.tuples(*[reference] * op.arity))


def _live(instructions: Sequence[Instruction], base: int) -> list[Instruction]:
    """Return the steps that the last one depends on."""
    live = needed([base + len(instructions) - 1], enumerate(instructions, base))
    slots = {slot: slot for slot in range(base)}
    kept: list[Instruction] = []
    for k, (op, operands) in enumerate(instructions):
        if base + k in live:
            slots[base + k] = base + len(kept)
            kept.append(Instruction(op, tuple(slots[i] for i in operands)))
    return kept


_MOVES: list[Callable[[float], float]] = [
    lambda x: x,
    lambda x: -x,
    abs,
    lambda x: abs(x) + 0.5,
    lambda x: x / 4.0,
    lambda x: 1.5 + abs(x) / 8.0,
]
"""Maps of a number into the domain of one op or another."""


@st.composite
def points(draw: st.DrawFn, program: Program | int, *, min_value: float = -2.0, max_value: float = 2.0) -> list[float]:
    """Draw points for the inputs of a program, or of this many inputs: with whole numbers, zeros and ties on purpose.

    For a program, a point outside of its domain is moved inside, where one of a few simple moves does that.
    """
    count = program if isinstance(program, int) else len(program.inputs)
    whole = st.integers(math.ceil(min_value), math.floor(max_value)).map(float)
    anywhere = st.floats(min_value, max_value)
    same = st.one_of(whole, anywhere).map(lambda x: [x] * count)
    point = st.one_of(st.lists(st.one_of(anywhere, whole), min_size=count, max_size=count), same)
    drawn = draw(point)
    if isinstance(program, int):
        return drawn
    for move in _MOVES:
        moved = [min(max(move(x), min_value), max_value) for x in drawn]
        if all(map(math.isfinite, program.replay(moved))):
            return moved
    return drawn


@st.composite
def modules(draw: st.DrawFn, *, max_inputs: int = 3, max_width: int = 4, max_depth: int = 3) -> nn.MLP:
    """Draw small networks with parameters of ordinary size."""
    sizes = draw(st.lists(st.integers(1, max_width), min_size=1, max_size=max_depth))
    activation = draw(st.sampled_from([name for name in nn.ACTIVATIONS if name != "identity"]))
    inputs = draw(st.integers(1, max_inputs))
    before = random.getstate()
    model = nn.MLP(inputs, sizes, activation=activation)
    random.setstate(before)  # what the network drew is replaced here
    for parameter in model.parameters():
        parameter.data = draw(st.floats(-2.0, 2.0))
    return model


class GradientMachine(RuleBasedStateMachine):
    """State machine that grows a graph beside a list of instructions, and compares all gradients after each step.

    `backward(root, seed)` is what is under test: `Value.backward`, or another in a subclass. pytest runs its
    `TestCase`.
    """

    @staticmethod
    def backward(root: Value, seed: float) -> None:
        """Run the backward pass under test."""
        root.backward(seed)

    UNARY = ("neg", "tanh", "sin", "relu", "abs", "exp")
    BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")
    NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, -3.0, 0.5])

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Value] = []
        self.expected: list[float] = []
        self.edges: list[list[tuple[int, float | None]]] = []

    def _any(self, data: st.DataObject) -> int:
        last = len(self.values) - 1
        return data.draw(st.one_of(st.integers(0, last), st.integers(max(0, last - 2), last)))  # a graph that is deep

    def _note(self, value: Value, edges: list[tuple[int, float | None]]) -> None:
        self.values.append(value)
        self.expected.append(0.0)
        self.edges.append(edges)

    def _apply(self, op: Op, *operands: int) -> None:
        numbers = [self.values[i].data for i in operands]
        partials = op.partials(op.forward(*numbers), *numbers)
        value = _operators.get(op.name, op)(*[self.values[i] for i in operands])
        blocked = [piecewise and not partial for partial, piecewise in zip(partials, op.piecewise, strict=True)]
        kept = [None if block else partial for partial, block in zip(partials, blocked, strict=True)]
        self._note(value, list(zip(operands, kept, strict=True)))

    @initialize(x=NUMBERS)
    def begin(self, x: float) -> None:
        """Begin with one leaf."""
        self._note(Value(x), [])

    @rule(x=NUMBERS)
    def add_leaf(self, x: float) -> None:
        """Add a leaf, which may stay unreachable."""
        self._note(Value(x), [])

    @rule(name=st.sampled_from(UNARY), data=st.data())
    def apply_unary(self, name: str, data: st.DataObject) -> None:
        """Apply an op of one operand."""
        self._apply(OPS[name], self._any(data))

    @rule(name=st.sampled_from(BINARY), data=st.data())
    def apply_binary(self, name: str, data: st.DataObject) -> None:
        """Apply an op of two operands, possibly the same."""
        self._apply(OPS[name], self._any(data), self._any(data))

    @rule(data=st.data(), x=NUMBERS)
    def change_data(self, data: st.DataObject, x: float) -> None:
        """Assign another number to a leaf, which no recorded derivative may notice."""
        i = self._any(data)
        if not self.edges[i]:
            self.values[i].data = x

    @rule()
    def zero_grad(self) -> None:
        """Set the gradient of all leaves to zero."""
        for i, value in enumerate(self.values):
            if not self.edges[i]:
                value.grad = self.expected[i] = 0.0

    @precondition(lambda self: bool(self.values))
    @rule(data=st.data(), seed=st.sampled_from([1.0, 2.0, 0.0]), times=st.integers(1, 2))
    def run_backward(self, data: st.DataObject, seed: float, times: int) -> None:
        """Run one pass or two, from any value: passes interleave, leaves accumulate."""
        root = self._any(data)
        for _ in range(times):
            type(self).backward(self.values[root], seed)
            self._expect(root, seed)

    def _expect(self, root: int, seed: float) -> None:
        reached = {root}
        cotangents = [0.0] * (root + 1)
        cotangents[root] = seed
        for i in range(root, -1, -1):
            if i in reached:
                for j, partial in self.edges[i]:
                    reached.add(j)
                    cotangents[j] += cotangents[i] * partial if cotangents[i] and partial is not None else 0.0
        for i in reached:
            self.expected[i] = cotangents[i] + (0.0 if self.edges[i] else self.expected[i])

    @invariant()
    def same_gradients(self) -> None:
        """Compare all gradients with those of the list of instructions, to the bit."""
        for i, value in enumerate(self.values):
            got, expected = value.grad, self.expected[i]
            assert got == expected or (math.isnan(got) and math.isnan(expected)), (i, value, expected)


_operators: dict[str, Callable[..., Value]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "sub": lambda a, b: a - b,
}
