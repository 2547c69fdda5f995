"""Pictures of models: what is drawn is what is computed, or nothing is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microgrid import Value, draw, nn, ops
from microgrid.functions.composed import COMPOSED
from microgrid.pictures.network import called, chain
from microgrid.testing.strategies import modules

# --- a picture is computed -----------------------------------------------------------------------------------------

NODE = re.compile(r'^\s*(x\d+|n\d+_\d+) \[label="(.*?)(?:\\n.*)?" .*tooltip="(?:.* b = ([^\s",]+))?')
EDGE = re.compile(r'^\s*(\S+) -> (n\d+_\d+) \[.*tooltip="w\[(\d+)\] = ([^\s",]+)')
ACTIVATIONS: dict[str, Any] = {"linear": lambda x: x, "relu": ops.relu, "tanh": ops.tanh, **COMPOSED}


def computed(source: str, x: Sequence[float]) -> list[float]:
    """The outputs of the network in the picture: what its neurons give that no other is given."""
    nodes = {found[1]: (found[2], found[3]) for line in source.splitlines() if (found := NODE.match(line))}
    edges = [found.groups() for line in source.splitlines() if (found := EDGE.match(line))]
    assert len(edges) == sum("->" in line for line in source.splitlines() if "style=invis" not in line)
    values = {f"x{i}": number for i, number in enumerate(x)}
    inputs = [name for name in nodes if name.startswith("x")]
    assert inputs == list(values)
    for name, (activation, bias) in nodes.items():
        if name not in values:
            own = [(values[tail], as_number(weight)) for tail, head, _, weight in edges if head == name]
            total = math.fsum([as_number(bias), *(number * weight for number, weight in own)])
            values[name] = float(ACTIVATIONS[activation](total))
    used = {tail for tail, _, _, _ in edges}
    return [values[name] for name in nodes if name not in used and name not in inputs]


def as_number(text: str) -> float:
    return float(text.replace("−", "-"))


class Wired(nn.Module):
    """Layers, declared in one order and called in another, on what others gave, joined, added, cut or scaled."""

    def __init__(self, nin: int, plan: Sequence[tuple[str, int, int, int]], seed: int, reverse: bool) -> None:
        self.nin = nin
        self.plan: list[tuple[str, int, int, Any]] = []
        sizes = [nin]
        layers: list[nn.Layer] = []
        for kind, i, j, nout in plan:
            i, j, part = i % len(sizes), j % len(sizes), 0
            if kind == "layer":
                sizes.append(nout)
                part = len(layers)
                activation = ("relu", "tanh", "identity")[part % 3]
                layers.append(nn.Layer(sizes[i], nout, activation=activation, seed=seed + part))
            elif kind == "again":
                fit = [k for k, layer in enumerate(layers) if len(layer.neurons[0].w) == sizes[i]]
                if not fit:
                    continue
                part = fit[j % len(fit)]
                sizes.append(len(layers[part].neurons))
            else:
                sizes.append(
                    {"join": sizes[i] + sizes[j], "add": min(sizes[i], sizes[j]), "cut": 1}.get(kind, sizes[i])
                )
            self.plan.append((kind, i, j, part))
        for k in reversed(range(len(layers))) if reverse else range(len(layers)):
            for neuron in layers[k].neurons:
                neuron.b.data = 0.25 * (k + 1)
            setattr(self, f"part{k}", layers[k])

    def __call__(self, x: Any) -> Any:
        pool = [list(x)]
        for kind, i, j, part in self.plan:
            a, b = pool[i], pool[j]
            if kind in ("layer", "again"):
                found = getattr(self, f"part{part}")(a)
                pool.append([found] if isinstance(found, Value) else found)
            elif kind == "branch":
                pool.append(a if a[0] > 0.3 else a[::-1])
            else:
                pool.append(
                    {"join": [*a, *b], "add": [p + q for p, q in zip(a, b, strict=False)], "cut": a[-1:]}.get(
                        kind, [2.0 * p for p in a]
                    )
                )
        return pool[-1]


KINDS = [*["layer"] * 5, "again", "again", "join", "join", "add", "cut", "scale", "branch"]
STEP = st.tuples(st.sampled_from(KINDS), st.integers(0, 9), st.integers(0, 9), st.integers(1, 3))
L = "layer"


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 3),
    st.lists(STEP, min_size=1, max_size=6),
    st.integers(0, 99),
    st.booleans(),
    st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3),
)
@example(2, [(L, 0, 0, 2), (L, 0, 0, 2), ("join", 1, 2, 1), (L, 3, 0, 1)], 0, False, [0.5, -1.0, 0.0])  # side by side
@example(2, [(L, 0, 0, 2), ("add", 0, 1, 1), (L, 2, 0, 1)], 0, False, [0.5, -1.0, 0.0])  # a skip connection
@example(2, [(L, 0, 0, 2), ("again", 1, 0, 1), (L, 2, 0, 1)], 0, False, [0.5, -1.0, 0.0])  # a layer used twice
@example(2, [(L, 0, 0, 3), (L, 1, 0, 1)], 0, True, [0.5, -1.0, 0.0])  # called in another order than declared
@example(2, [("branch", 0, 0, 1), (L, 1, 0, 1)], 0, False, [-1.0, 0.5, 0.0])  # another path for other numbers
def test_a_model_is_drawn_as_it_is_called_or_refused(
    nin: int, plan: list[tuple[str, int, int, int]], seed: int, reverse: bool, x: list[float]
) -> None:
    model = Wired(nin, plan, seed, reverse)
    try:
        source = draw(model, precision=17).source
    except ValueError as error:
        assert re.search(r"draw\(model\(x\), depth=1\)|no layers of neurons", str(error))  # noqa: PT017
        return
    outputs = {id(y): y for y in model([Value(number) for number in x[:nin]])}  # one given back twice is one neuron
    expected = sorted(y.data for y in outputs.values())
    assert sorted(computed(source, x[:nin])) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(modules())
def test_a_plain_network_is_the_chain_that_a_call_shows(model: nn.MLP) -> None:
    assert chain(model) == called(model)
    for part in (model.layers[-1], model.layers[0].neurons[0]):
        plain, shown = chain(part), called(part)
        assert plain is not None
        assert [column[1:] for column in plain.columns] == [column[1:] for column in shown.columns]
