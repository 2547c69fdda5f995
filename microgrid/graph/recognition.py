"""Recognition of the usual functions in recorded instructions, in whatever way they are written."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from microgrid.core.primitive import OPS, Op, built_in

Step = tuple[Op, Sequence[int]]
"""An instruction: an op, and the slots of its operands."""

PROBES = (-2.7, -1.3, -0.4, 0.3, 0.9, 2.1, 3.7)
"""Numbers at which a composite is compared with an op."""

LONGEST = 12
"""Maximum number of instructions between a function's operand and its result."""


class Unit(NamedTuple):
    """A function that was recognised: its op, the slot of its result, the slots of its operands, those in between.

    It is `written_out` where it is no op of that name, but 1 / (1 + exp(-z)), or maximum(z, 0).

    A softmax has no op. It has a unit for each of its results, with all its operands, its own first.
    """

    op: Op | None
    result: int
    operands: tuple[int, ...]
    inside: frozenset[int]
    written_out: bool = True

    @property
    def kind(self) -> str:
        """Name of the function."""
        return "softmax" if self.op is None else self.op.name


def recognised(steps: Sequence[Step], first: int, constants: Mapping[int, float]) -> list[Unit]:
    """Return the functions of one operand, and the softmaxes, among steps whose results are slots from `first` on.

    A function is recognised by its values: 1 / (1 + exp(-z)), exp(z) / (exp(z) + 1) and 0.5 + 0.5 tanh(z / 2) are
    sigmoids. A softmax is recognised by its form, exponentials over their sum, each shifted by the same number or not.
    """
    graph = _Graph(steps, first, constants)
    units = _softmaxes(graph)
    taken = {slot for unit in units for slot in unit.inside}
    for slot in reversed(range(first, first + len(steps))):
        if slot not in taken and (unit := _of_one_operand(graph, slot)) is not None:
            units.append(unit)
            taken |= unit.inside
    return [unit for unit in sorted(units, key=lambda unit: unit.result) if unit.result not in taken]


class _Graph:
    """Steps, with what is known of each slot: constant number, form, the slots that it is a function of alone."""

    def __init__(self, steps: Sequence[Step], first: int, constants: Mapping[int, float]) -> None:
        self.steps, self.first, self.constants = steps, first, constants
        self.sources: dict[int, dict[int, frozenset[int]]] = {}
        self.forms: list[int] = list(range(first))
        self.known: dict[tuple[object, ...], Op | None] = {}
        self.users: dict[int, list[int]] = {}
        for k, (_, operands) in enumerate(steps):
            for i in operands:
                self.users.setdefault(i, []).append(first + k)
        numbers: dict[object, int] = {}
        for slot, x in constants.items():
            self.forms[slot] = numbers.setdefault(repr(x), slot)
        for k, (op, operands) in enumerate(steps):
            key = (op, *(self.forms[i] for i in operands))
            self.forms.append(numbers.setdefault(key, first + k))
            self.sources[first + k] = self._sources_of(operands)

    def _sources_of(self, operands: Sequence[int]) -> dict[int, frozenset[int]]:
        """Return the slots that all operands are functions of, each with the slots in between."""
        common: dict[int, frozenset[int]] | None = None
        for i in {i for i in operands if i not in self.constants}:
            own = {i: frozenset[int]()}
            for z, inside in self.sources.get(i, {}).items():
                if len(inside) < LONGEST:
                    own[z] = inside | {i}
            common = own if common is None else {z: common[z] | own[z] for z in common.keys() & own.keys()}
        return {z: inside for z, inside in (common or {}).items() if len(inside) <= LONGEST}

    def step(self, slot: int) -> Step | None:
        """Return the step whose result is this slot."""
        return self.steps[slot - self.first] if slot >= self.first else None

    def name(self, slot: int) -> str:
        """Return the name of the op whose result this is; "" for an input or a constant."""
        step = self.step(slot)
        return step[0].name if step is not None else ""

    def value(self, slot: int, z: int, x: float, inside: Iterable[int]) -> float:
        """Return the number of a slot, computed from x in the place of slot z."""
        known = {z: x}
        for i in sorted({*inside, slot}):
            op, operands = self.steps[i - self.first]
            known[i] = op.forward(*(known[j] if j in known else self.constants[j] for j in operands))
        return known[slot]


def _of_one_operand(graph: _Graph, slot: int) -> Unit | None:
    op, operands = graph.steps[slot - graph.first]
    for z, inside in sorted(graph.sources[slot].items(), key=lambda item: -len(item[1])):
        if any(user != slot and user not in inside for i in inside for user in graph.users[i]):
            continue  # 1 - sigmoid(z) is no sigmoid of -z where sigmoid(z) is used, too
        places = {i: k for k, i in enumerate(sorted({z, *inside, slot}))}
        form = tuple(
            (step[0], *(places[i] if i in places else repr(graph.constants[i]) for i in step[1]))
            for step in (graph.steps[i - graph.first] for i in sorted({*inside, slot}))
        )
        if form not in graph.known:
            graph.known[form] = _function(graph, slot, z, inside)
        known = graph.known[form]
        if known is not None:
            return Unit(known, slot, (z,), inside, written_out=bool(inside) or known is not op)
    if op.arity == 1 and op.name not in _PLAIN and operands[0] not in graph.constants:
        return Unit(op, slot, (operands[0],), frozenset(), written_out=False)
    return None


def _function(graph: _Graph, slot: int, z: int, inside: frozenset[int]) -> Op | None:
    """Return the op that has the same values at all probes."""
    try:
        values = [graph.value(slot, z, x, inside) for x in PROBES]
    except (ArithmeticError, ValueError, TypeError):  # an op of the user that has no value there
        return None
    for op, expected in _values_at_probes():
        if all(math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-13) for x, y in zip(values, expected, strict=True)):
            return op
    return None


@functools.cache
def _values_at_probes() -> list[tuple[Op, list[float]]]:
    """Return the built-in ops of one operand with their values at the probes."""
    ops = [op for op in OPS.values() if op.arity == 1 and op.name in built_in and op.name not in _PLAIN]
    return [(op, [op.forward(x) for x in PROBES]) for op in ops]


_PLAIN = ("neg", "identity", "stop_gradient")


def _softmaxes(graph: _Graph) -> list[Unit]:
    """Return a unit for each quotient of an exponential and the sum of exponentials that it is one of."""
    found = []
    for k, (op, operands) in enumerate(graph.steps):
        if op.name != "div" or any(i in graph.constants for i in operands):
            continue
        above, below = operands
        terms = _terms(graph, below)
        pairs = [_exponential(graph, i) for i in terms]
        own = _exponential(graph, above)
        if own is None or len(terms) < 2 or any(pair is None or pair[1] != own[1] for pair in pairs):
            continue
        logits = [pair[0] for pair in pairs if pair is not None]
        forms = [graph.forms[z] for z in logits]
        if graph.forms[own[0]] not in forms or len(set(forms)) < len(forms):
            continue
        mine = forms.index(graph.forms[own[0]])
        others = [z for i, z in enumerate(logits) if i != mine]
        inside = _between(graph, graph.first + k, set(logits))
        found.append(Unit(None, graph.first + k, (logits[mine], *others), inside))
    return found


def log_sum_exps(
    steps: Sequence[Step], first: int, constants: Mapping[int, float]
) -> list[tuple[int, tuple[int, ...]]]:
    """Return the slots of the results and of the operands where the logarithm of a sum of exponentials is taken.

    Each operand is shifted by the same number, and that is added again, or none is.
    """
    graph = _Graph(steps, first, constants)
    found = []
    for result, shift, logits in _logs_of_sums(graph):
        if shift is not None:
            added = [
                user
                for user in graph.users.get(result, ())
                if graph.name(user) == "add" and shift in (graph.forms[i] for i in graph.steps[user - first][1])
            ]
            if not added:
                continue
            result = added[0]
        found.append((result, logits))
    return found


def logits_of_logs(steps: Sequence[Step], first: int, constants: Mapping[int, float]) -> list[tuple[int, ...]]:
    """Return the slots of the operands of each logarithm of a sum of exponentials, all shifted by one number or not."""
    if not any(op.name == "log" for op, _ in steps):
        return []
    return [logits for _, _, logits in _logs_of_sums(_Graph(steps, first, constants))]


def _logs_of_sums(graph: _Graph) -> Iterator[tuple[int, int | None, tuple[int, ...]]]:
    """Yield the slot, the form of the shift and the operands of each logarithm of a sum of exponentials."""
    for k, (op, operands) in enumerate(graph.steps):
        terms = _terms(graph, operands[0]) if op.name == "log" and operands[0] not in graph.constants else []
        pairs = [pair for i in terms if (pair := _exponential(graph, i)) is not None]
        if len(pairs) < 2 or len(pairs) < len(terms) or len({shift for _, shift in pairs}) > 1:
            continue
        yield graph.first + k, pairs[0][1], tuple(z for z, _ in pairs)


def _terms(graph: _Graph, slot: int) -> list[int]:
    """Return the terms of a sum."""
    terms, pending = [], [slot]
    while pending:
        i = pending.pop()
        if graph.name(i) == "add":
            pending.extend(reversed(graph.steps[i - graph.first][1]))
        elif graph.constants.get(i) != 0.0:
            terms.append(i)
    return terms


def _exponential(graph: _Graph, slot: int) -> tuple[int, int | None] | None:
    """Return the slots of z and of the form of m for exp(z - m), None in the place of m for exp(z)."""
    step = graph.step(slot)
    if step is None:
        return None
    op, operands = step
    if op.name == "shifted_exp":
        return operands[0], graph.forms[operands[1]]
    if op.name != "exp" or operands[0] in graph.constants:
        return None
    z = operands[0]
    if graph.name(z) == "sub":
        minuend, subtrahend = graph.steps[z - graph.first][1]
        return (z, None) if minuend in graph.constants else (minuend, graph.forms[subtrahend])
    return z, None


def _between(graph: _Graph, slot: int, ends: set[int]) -> frozenset[int]:
    """Return the slots that a result is computed from, down to these ends, without the result."""
    found: set[int] = set()
    pending = [slot]
    while pending:
        for i in graph.steps[pending.pop() - graph.first][1]:
            if i >= graph.first and i not in ends and i not in found:
                found.add(i)
                pending.append(i)
    return frozenset(found)
