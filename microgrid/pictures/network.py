"""The network that calls of a model show: neurons side by side, and the inputs of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from microgrid.core import tree
from microgrid.core.scope import plainly_recording, reading
from microgrid.engine import CONSTANT, Value, topological
from microgrid.nn import MLP, Layer, Module, Neuron

Place = tuple[int, int]
"""A number between neurons: the column and the row of the neuron that returns it; column -1 are the inputs."""


class Column(NamedTuple):
    """Neurons that are called one after the other on the same inputs."""

    title: str
    neurons: list[Neuron]
    sources: list[Place]


class Network(NamedTuple):
    """A number of inputs, and columns in the order of calls; results that nothing uses are outputs."""

    inputs: int
    columns: list[Column]


class _Call(NamedTuple):
    """A call of a neuron: on these values, as a part of this module of the model."""

    neuron: Neuron
    inputs: list[Value]
    part: str


def network_of(model: Module) -> Network:
    """Return the network of a model: by its classes for a chain, else by one call with a list of numbers.

    Raises ValueError when it holds no neurons, cannot be called so, or does anything but pass numbers from neuron to
    neuron: a picture of neurons and weights would not show that.
    """
    return chain(model) or called(model)


def chain(model: Module) -> Network | None:
    """Return the network of a plain neuron, layer or MLP, without a call, which takes seconds if it is large."""
    layers = model.layers if isinstance(model, MLP) else [model]
    if type(model) is Neuron:
        rows = [[model]]
    elif type(model) in (MLP, Layer) and all(type(layer) is Layer for layer in layers):
        rows = [layer.neurons for layer in layers if isinstance(layer, Layer)]
    else:
        return None
    if not all(rows) or not all(type(neuron) is Neuron for row in rows for neuron in row):
        return None
    widths = [len(rows[0][0].w), *map(len, rows)]
    if any(len(neuron.w) != width for row, width in zip(rows, widths, strict=False) for neuron in row):
        return None
    columns = [Column(f"layers[{k}]", row, [(k - 1, i) for i in range(widths[k])]) for k, row in enumerate(rows)]
    return Network(widths[0], columns)


def called(model: Module) -> Network:
    """Return the network that a call of the model shows."""
    neurons = [module for module in model.modules() if isinstance(module, Neuron)]
    if not neurons:
        raise ValueError(f"{type(model).__name__} has no layers of neurons to draw; draw its output instead")
    sizes = [len(neuron.w) for neuron in neurons]
    errors: list[str] = []
    found: dict[int, tuple[list[Value], Any, int]] = {}
    for count in dict.fromkeys(
        [*sizes, *(size + 1 for size in sizes)]
    ):  # a model that takes one input more may take any number
        inputs = [Value(0.5) for _ in range(count)]
        for given in [inputs, inputs[0]] if count == 1 else [inputs]:
            try:
                found.setdefault(count, (inputs, *_watched(functools.partial(model, given))))
            except Exception as error:  # in the user's code, for which these numbers may be invalid
                errors.append(f"{type(error).__name__}: {error}")
    if not found:
        raise _no_network(model, f"called with a list of numbers, it raises {errors[0]}")
    if len(found) > 1:
        raise _no_network(model, f"it takes {' or '.join(map(str, found))} numbers")
    inputs, output, looks = found.popitem()[1]
    return _checked(model, neurons, inputs, tree.flatten(output, lambda leaf, _: leaf, "")[0], looks)


def _watched(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result, and the number of times that it read the number of a Value."""
    looks: list[Any] = []
    with plainly_recording(), reading(lambda *look: looks.append(look)):
        return call(), len(looks)


def _checked(
    model: Module, neurons: Sequence[Neuron], inputs: Sequence[Value], outputs: Sequence[Any], looks: int
) -> Network:
    """Return the columns of neurons that were called, after checking that the outputs depend on nothing else."""
    if not outputs or not all(isinstance(output, Value) for output in outputs):
        raise _no_network(model, "it returns something else than Values")
    calls = _calls(model, neurons, topological(outputs))
    again, own = _watched(lambda: [Neuron.__call__(call.neuron, call.inputs) for call in calls])
    if looks != own:
        raise _no_network(model, "it reads numbers, so other inputs may take another path")
    forms = _forms([*inputs, *outputs, *again])
    places: dict[int, Place] = {forms[x.number]: (-1, i) for i, x in enumerate(inputs)}
    columns: list[Column] = []
    for call, value in zip(calls, again, strict=True):
        if any(forms[x.number] not in places for x in call.inputs):
            raise _no_network(
                model,
                f"{call.part or 'a neuron'} has an input that comes neither from the model's inputs nor from a neuron",
            )
        sources = [places[forms[x.number]] for x in call.inputs]
        if not columns or (columns[-1].title, columns[-1].sources) != (call.part, sources):
            columns.append(Column(call.part, [], sources))
        places.setdefault(forms[value.number], (len(columns) - 1, len(columns[-1].neurons)))
        columns[-1].neurons.append(call.neuron)
    given = [forms[output.number] for output in outputs]
    if any(form not in places for form in given):
        raise _no_network(model, "it computes something from what its last neurons give")
    used = {place for column in columns for place in column.sources}
    if {places[form] for form in given} != {
        (k, i) for k, c in enumerate(columns) for i in range(len(c.neurons))
    } - used:
        raise _no_network(model, "it returns numbers that its other neurons use")
    return Network(len(inputs), columns)


def _calls(model: Module, neurons: Iterable[Neuron], nodes: Iterable[Value]) -> list[_Call]:
    """Return the calls of neurons, in order, recognised by the products of a neuron's weights."""
    owners: dict[int, Neuron] = {}
    for neuron in neurons:
        for parameter in neuron.w or [neuron.b]:
            owners[parameter.number] = neuron
    found: list[_Call] = []
    pending: dict[int, list[Value]] = {}
    for node in nodes:
        if node.op is None and node.number in owners and not owners[node.number].w:
            found.append(_Call(owners[node.number], [], ""))
        elif node.op is not None and len(node.operands) == 2 and node.operands[0].number in owners:
            neuron = owners[node.operands[0].number]
            given = pending.setdefault(id(neuron), [])
            given.append(node.operands[1])
            if len(given) == len(neuron.w):
                found.append(_Call(neuron, pending.pop(id(neuron)), _part(model, neuron, node.module)))
    return found


def _part(model: Module, neuron: Neuron, path: str) -> str:
    """Return the part of the model within which a neuron was called."""
    inside = path.removeprefix(model._name or type(model).__name__).removesuffix(neuron._name)
    return inside.strip(".")


def _forms(roots: Sequence[Value]) -> dict[int, int]:
    """Return a number for each node, equal for those that are computed alike."""
    known: dict[Any, int] = {}
    forms: dict[int, int] = {}
    for node in topological(roots):
        key: Any = node.number
        if node.op is CONSTANT:
            key = repr(node.data)
        elif node.op is not None:
            key = (node.op, *(forms[operand.number] for operand in node.operands))
        forms[node.number] = known.setdefault(key, len(known))
    return forms


def _no_network(model: Module, reason: str) -> ValueError:
    return ValueError(
        f"{type(model).__name__} is more than neurons that feed neurons: {reason}. Draw what it computes from inputs "
        "of yours, with its parts as boxes: draw(model(x), depth=1)"
    )
