"""Typical mistakes of a backward pass by hand, as changes of a sweep over the recorded graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from microgrid.core.primitive import OPS, Op
from microgrid.graph.recognition import Unit, logits_of_logs
from microgrid.testing.blocks import Block
from microgrid.testing.sweeps import Change, Edge, Sweeper

MOST = 100
"""Maximum number of uses of a value, and of mistakes in them that are tried."""

BY_RESULT: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "sigmoid": ("{a} (1 - {a})", lambda a: a * (1.0 - a)),
    "tanh": ("1 - {a}^2", lambda a: 1.0 - a * a),
    "relu": ("[{a} > 0]", lambda a: float(a > 0.0)),
}
"""Slopes as texts write them, by the function's result."""

HALF_SQUARES = "the delta of half squares, (a - y) a (1 - a), is used with cross-entropy"

NO_TARGET = "the target y is not subtracted: the delta is a, not a - y"

LAYERS = ("sigmoid", "tanh", "relu", "softmax", "softplus", "softsign", "silu", "gelu", "gaussian")
"""Functions that make a layer of a network."""


class Mistake(NamedTuple):
    """A mistake in a backward pass: what it is, and how it changes the sweep. Two of one place exclude each other."""

    text: str
    change: Change
    place: object


class _Layer(NamedTuple):
    """Recognised functions of one kind at one depth."""

    kind: str
    name: str
    units: list[Unit]
    last: bool

    def with_slope(self, sweeper: Sweeper, text: str, slope: Callable[[float, float], float]) -> Mistake:
        """Return the mistake of this slope, a function of the operand and the result."""
        numbers = sweeper.numbers
        pairs = [(unit.operands[0], unit.result) for unit in self.units]
        passed = {a: (z, slope(numbers[z], numbers[a])) for z, a in pairs}
        return Mistake(text, Change(shortcuts=passed), self.units[0])

    def with_factor(self, sweeper: Sweeper, text: str, factor: Callable[[float, float], float]) -> Mistake:
        """Return the mistake of a factor where the operand passes back what it got."""
        numbers = sweeper.numbers
        pairs = [(unit.operands[0], unit.result) for unit in self.units]
        return Mistake(text, Change(factors={z: factor(numbers[z], numbers[a]) for z, a in pairs}), self.units[0])

    def outputs(self, sweeper: Sweeper) -> list[tuple[int, float]]:
        """Return the slots of the operands, each with its result's number."""
        return [(unit.operands[0], sweeper.numbers[unit.result]) for unit in self.units]


def candidates(sweeper: Sweeper, blocks: Sequence[Block]) -> Iterator[Mistake]:
    """Yield mistakes in the backward pass of a program, the likely ones first."""
    for layer in _layers(sweeper):
        yield from _slopes(sweeper, layer)
    if rows := logits_of_logs(sweeper.steps, sweeper.first, sweeper.constants):
        outputs = [pair for row in rows for pair in _softmax(sweeper, row)]
        yield Mistake(HALF_SQUARES, Change(factors={z: _density(z, a) for z, a in outputs}), rows[0])
        yield _without_target(sweeper, rows[0], outputs)
    yield from _terms(sweeper, blocks, penalties=True)
    yield from _weights(sweeper, blocks)
    yield from _activations(sweeper, blocks)


def unlikely(sweeper: Sweeper, blocks: Sequence[Block]) -> Iterator[Mistake]:
    """Yield mistakes that are tried after those in the number of contributions that count."""
    layers = _layers(sweeper)
    for layer in layers:
        yield from _others(sweeper, layer)
        yield from _misplaced(sweeper, layer, layers)
    yield from _uses(sweeper)
    yield from _terms(sweeper, blocks, penalties=False)


def _layers(sweeper: Sweeper) -> list[_Layer]:
    """Return the recognised functions by depth, those nearest to the result first."""
    groups: dict[tuple[int, str], list[Unit]] = {}
    for unit in sweeper.units:
        if sweeper.varying[unit.operands[0]]:
            groups.setdefault((sweeper.levels[unit.result], unit.kind), []).append(unit)
    depths = sorted({level for level, kind in groups if kind in LAYERS})
    found = []
    for (level, kind), units in sorted(groups.items(), reverse=True):
        counted = kind in LAYERS and len(depths) > 1
        name = f"{kind}, layer {depths.index(level) + 1} of {len(depths)}," if counted else kind
        found.append(_Layer(kind, name, units, kind in LAYERS and level == depths[-1]))
    return found


def _slopes(sweeper: Sweeper, layer: _Layer) -> Iterator[Mistake]:
    """Yield wrong slopes of a layer (texts 000, 003 and 004, and the deltas of other losses, 002 and 003)."""
    name, kind = layer.name, layer.kind
    logs = layer.last and any(op.name in ("log", "log1p", "xlogy", "log2") for op, _ in sweeper.steps)
    missing = f"the slope of {name} is missing"
    if layer.last and kind in ("sigmoid", "softmax") and not logs and layer.units[0].result != sweeper.root:
        missing += ": a - y is the delta of cross-entropy only"
    yield layer.with_slope(sweeper, missing, lambda z, a: 1.0)
    if kind == "softmax":
        if logs:
            yield layer.with_factor(sweeper, HALF_SQUARES, _density)
            yield _without_target(sweeper, layer.units[0], layer.outputs(sweeper))
        yield layer.with_slope(sweeper, "softmax's Jacobian is reduced to its diagonal, a (1 - a)", _density)
        return
    derivative = _derivative(layer.units[0])
    if kind in ("sigmoid", "tanh"):
        formula, by_result = BY_RESULT[kind]
        text = f"the slope of {name} is taken at the pre-activation: {formula.format(a='z')}"
        yield layer.with_slope(sweeper, text, lambda z, a: by_result(z))
    text = HALF_SQUARES if layer.last and kind == "sigmoid" and logs else f"the slope of {name} stands twice"
    yield layer.with_slope(sweeper, text, lambda z, a: derivative(z) * derivative(z))
    if layer.last and kind == "sigmoid" and logs:
        yield _without_target(sweeper, layer.units[0], layer.outputs(sweeper))
    if kind in LAYERS:
        text = f"the slope of {name} is taken at the activation, as if the function were applied twice"
        yield layer.with_slope(sweeper, text, lambda z, a: derivative(a))
    if kind == "softplus" and layer.last:
        yield layer.with_factor(sweeper, HALF_SQUARES, lambda z, a: _density(z, OPS["sigmoid"].forward(z)))


def _without_target(sweeper: Sweeper, place: object, outputs: Sequence[tuple[int, float]]) -> Mistake:
    """Return the mistake of the delta a in the place of a - y, which differs where y is 1, and a - y below 0."""
    arrived = sweeper.run()
    factors = {z: a / (a - 1.0) for z, a in outputs if arrived[z] < 0.0 and a != 1.0}
    return Mistake(NO_TARGET, Change(factors=factors), place)


def _softmax(sweeper: Sweeper, logits: Sequence[int]) -> list[tuple[int, float]]:
    """Return the logits with their probabilities."""
    largest = max(sweeper.numbers[z] for z in logits)
    powers = [math.exp(sweeper.numbers[z] - largest) for z in logits]
    total = math.fsum(powers)
    return [(z, power / total) for z, power in zip(logits, powers, strict=True)]


def _others(sweeper: Sweeper, layer: _Layer) -> Iterator[Mistake]:
    """Yield the slopes of other functions."""
    if layer.kind not in LAYERS or layer.kind == "softmax":
        return
    for other, (formula, by_result) in BY_RESULT.items():
        if other != layer.kind:
            text = f"the slope of {layer.name} is that of {other}"
            yield layer.with_slope(sweeper, f"{text}, {formula.format(a='a')}", _of_result(by_result))
            yield layer.with_slope(sweeper, f"{text} at z", _of_operand(_slope_of(OPS[other])))


def _of_operand(function: Callable[[float], float]) -> Callable[[float, float], float]:
    return lambda z, a: function(z)


def _of_result(function: Callable[[float], float]) -> Callable[[float, float], float]:
    return lambda z, a: function(a)


def _misplaced(sweeper: Sweeper, layer: _Layer, layers: Sequence[_Layer]) -> Iterator[Mistake]:
    """Yield the slopes of another layer in the place of this one's."""
    if layer.kind == "softmax":
        return
    derivative = _derivative(layer.units[0])
    for other in layers:
        if other is not layer and other.kind == layer.kind and len(other.units) == len(layer.units):
            passed = {
                mine.result: (mine.operands[0], derivative(sweeper.numbers[theirs.operands[0]]))
                for mine, theirs in zip(layer.units, other.units, strict=True)
            }
            text = f"the slope of {layer.name} is taken at {other.name.rstrip(',')}: the layers are out of order"
            yield Mistake(text, Change(shortcuts=passed), layer.units[0])


def _density(z: float, a: float) -> float:
    return a * (1.0 - a)


def _derivative(unit: Unit) -> Callable[[float], float]:
    assert unit.op is not None  # a softmax has slopes of its own
    return _slope_of(unit.op)


def _slope_of(op: Op) -> Callable[[float], float]:

    def slope(x: float) -> float:
        (partial,) = op.partials(op.forward(x), x)
        return float(partial)

    return slope


def _terms(sweeper: Sweeper, blocks: Sequence[Block], *, penalties: bool) -> Iterator[Mistake]:
    """Yield terms of the result that are left out, or counted wrongly: penalties, or all others."""
    edges: list[Edge] = []
    pending = [sweeper.root]
    while pending and len(edges) < 40:
        slot = pending.pop(0)
        if slot < sweeper.first:
            continue
        k = slot - sweeper.first
        op, operands = sweeper.steps[k]
        moving = [place for place, i in enumerate(operands) if sweeper.varying[i]]
        if op.name in ("add", "sub") and len(moving) == 2:
            edges += [(k, place) for place in moving]
        elif op.name not in ("add", "sub", "neg") and not (
            (op.name in ("mul", "div") and moving == [0]) or (op.name == "mul" and len(moving) == 1)
        ):
            continue
        pending += [operands[place] for place in moving]
    layered = any(unit.kind in LAYERS for unit in sweeper.units)
    for k, place in edges:
        slot, partial = sweeper.edges[k][place]
        penalty = layered and not sweeper.levels[slot]  # it depends on inputs without a layer in between
        if penalty is not penalties:
            continue
        name = f"the term worth {sweeper.numbers[slot]:.6g} of the result"
        if penalty:
            inputs = sweeper.inputs_of(slot)
            held = ", ".join(block.name for block in blocks if inputs & set(block.inputs))
            name = f"the regularisation term of {held}, worth {sweeper.numbers[slot]:.6g},"
        for text, scale in _MISCOUNTED:
            yield Mistake(f"{name} {text}", Change(partials={(k, place): scale * partial}), (k, place))


_MISCOUNTED = (("is left out", 0.0), ("counts twice", 2.0), ("counts by half", 0.5), ("has the wrong sign", -1.0))


def _weights(sweeper: Sweeper, blocks: Sequence[Block]) -> Iterator[Mistake]:
    """Yield matrices that are missing, transposed or another one where a delta goes back through them (text 004)."""
    numbers = sweeper.numbers
    owner = {i: (b, place) for b, block in enumerate(blocks) for place, i in enumerate(block.inputs)}
    products: dict[int, list[tuple[Edge, int]]] = {}
    for k, (op, operands) in enumerate(sweeper.steps):
        if op.name == "mul" and sweeper.edges[k]:
            for w, place in ((operands[0], 1), (operands[1], 0)):
                x = operands[place]
                if w in owner and sweeper.varying[x] and x not in owner:
                    b, i = owner[w]
                    products.setdefault(b, []).append(((k, place), i))
    for b, edges in sorted(products.items(), reverse=True):
        block = blocks[b]
        yield Mistake(f"the delta goes back without {block.name}", Change(partials={edge: 1.0 for edge, _ in edges}), b)
        if len(block.shape) == 2 and block.shape[0] == block.shape[1]:
            n = block.shape[0]
            turned = {edge: numbers[block.inputs[i % n * n + i // n]] for edge, i in edges}
            yield Mistake(
                f"{block.name} is not transposed where the delta goes back through it", Change(partials=turned), b
            )
        for other in blocks:
            if other is not block and other.shape == block.shape and len(block.shape) == 2:
                swapped = {edge: numbers[other.inputs[i]] for edge, i in edges}
                yield Mistake(
                    f"the delta goes back through {other.name} in the place of {block.name}",
                    Change(partials=swapped),
                    b,
                )


def _activations(sweeper: Sweeper, blocks: Sequence[Block]) -> Iterator[Mistake]:
    """Yield gradients of weights by the pre-activation in the place of the activation."""
    results = {unit.result: unit.operands[0] for unit in sweeper.units if unit.kind in LAYERS}
    owner = {i: b for b, block in enumerate(blocks) for i in block.inputs}
    found: dict[int, dict[Edge, float]] = {}
    for k, (op, operands) in enumerate(sweeper.steps):
        if op.name == "mul" and sweeper.edges[k]:
            for place, a in ((0, operands[1]), (1, operands[0])):
                if a in results and operands[place] in owner:
                    found.setdefault(owner[operands[place]], {})[k, place] = sweeper.numbers[results[a]]
    for b, partials in found.items():
        text = f"the gradient of {blocks[b].name} is taken with the pre-activation of the layer before"
        yield Mistake(text, Change(partials=partials), ("activation", b))


def _uses(sweeper: Sweeper) -> Iterator[Mistake]:
    """Yield values of several uses, of which only one counts: = for += in a backward pass by hand."""
    inside = {slot for unit in sweeper.units for slot in unit.inside}
    groups: dict[tuple[int, int, str], list[int]] = {}
    for slot in range(sweeper.first, len(sweeper.numbers)):
        uses = len(sweeper.users[slot])
        if 2 <= uses <= MOST and slot not in inside:
            groups.setdefault((sweeper.levels[slot], uses, sweeper.steps[slot - sweeper.first][0].name), []).append(
                slot
            )
    tried = 0
    for (_, uses, op), slots in sorted(groups.items(), reverse=True):
        alone = [[slot] for slot in slots] if 1 < len(slots) <= 12 else []
        for chosen in [slots, *alone]:
            for j in [0, uses - 1, *range(1, uses - 1)]:
                tried += 1
                if tried > MOST:
                    return
                dropped = {edge: 0.0 for slot in chosen for i, edge in enumerate(sweeper.users[slot]) if i != j}
                what = f"{len(chosen)} values" if len(chosen) > 1 else _value(sweeper, chosen[0])
                text = f"of {what} ({op}) used {uses} times, only the {place_of(j, uses)} use counts (= for +=)"
                yield Mistake(text, Change(partials=dropped), ("uses", tuple(chosen)))


def _value(sweeper: Sweeper, slot: int) -> str:
    label = sweeper.program.labels.get(slot, "")
    return label or f"the value {sweeper.numbers[slot]:.6g}"


def place_of(j: int, uses: int) -> str:
    """Return the place of one of several uses in words."""
    if j in (0, uses - 1):
        return "last" if j else "first"
    ending = "th" if 10 <= (j + 1) % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get((j + 1) % 10, "th")
    return f"{j + 1}{ending}"
