"""Folded pictures: nothing is lost, a graph has no cycles, few edges, neurons in order."""

from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import Program, Value, datasets, draw, frame, losses, nn, sum, tanh
from microgrid.numbers.arithmetic import VALUES
from microgrid.pictures import drawing
from microgrid.pictures.outline import MOST_EDGES, OVERVIEW, Box, Item, arrows, boxes, items_of
from microgrid.testing.strategies import programs

SVG = "{http://www.w3.org/2000/svg}"


def has_cycle(items: Sequence[Item], drawn: Sequence[Box]) -> bool:
    heads: dict[int, set[int]] = {k: set() for k in range(len(drawn))}
    missing = dict.fromkeys(range(len(drawn)), 0)
    for tail, head in arrows(items, drawn):
        heads[tail].add(head)
        missing[head] += 1
    ready = [k for k, count in missing.items() if not count]
    for k in ready:
        for head in heads[k]:
            missing[head] -= 1
            if not missing[head]:
                ready.append(head)
    return len(ready) < len(drawn)


@settings(deadline=None, max_examples=60)
@given(
    programs(max_size=14),
    st.lists(st.sampled_from(["", "", "a", "b", "a.c"]), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(0, 2)),
    st.integers(1, 12),
)
def test_a_folded_graph_has_all_its_values_and_no_cycle(
    program: Program, places: list[str], depth: int | None, max_nodes: int
) -> None:
    leaves = [Value(0.5, label=label) for label, _ in zip("xyzuvw" * 4, program.inputs, strict=False)]
    total = Value(0.0, label="b")
    for place in places:  # frames that are left and entered again, on their own results
        with contextlib.ExitStack() as stack:
            for name in filter(None, place.split(".")):
                stack.enter_context(frame(name))
            (result,) = program.replay(leaves, VALUES)
            total = total * leaves[0] + result
            leaves[-1] = tanh(total)
    items = items_of(total, {})
    drawn = boxes(items, max_nodes=max_nodes, depth=depth)
    assert sorted(i for box in drawn for i in box.members) == list(range(len(items)))
    assert not has_cycle(items, drawn)
    if depth is None:
        assert len(drawn) <= max(max_nodes, 2)


def test_folding_by_module_alone_would_make_a_cycle_which_the_judge_sees() -> None:
    x = Value(1.0, label="x")
    with frame("cell"):
        first = tanh(x)
    between = first * first
    with frame("cell"):
        last = tanh(between)
    items = items_of(last + 1.0, {})
    cell = [i for i, item in enumerate(items) if item.module == "cell"]
    others = [Box("", "", [i]) for i in range(len(items)) if i not in cell]
    assert has_cycle(items, [Box("cell", "", cell), *others])
    drawn = boxes(items, max_nodes=100, depth=0)
    assert not has_cycle(items, drawn)
    assert sorted(len(box.members) for box in drawn) == [1] * len(items)


def loss_of_xor() -> Value:
    model = nn.MLP(2, [16, 16, 1], seed=0)
    x, y = datasets.xor()
    total: Value = sum([(model(point) - target) ** 2 for point, target in zip(x, y, strict=True)])
    return total / 4.0


def test_the_loss_of_a_network_over_four_points_is_a_picture_of_layers_without_counts_on_edges() -> None:
    picture = draw(loss_of_xor())
    assert picture.boxes <= OVERVIEW
    assert len(picture.sketch.edges) <= 2 * OVERVIEW
    assert not any("edges" in look.get("label", "") for _, _, look in picture.sketch.edges)
    assert re.findall(r"label=\"(layers\[\d\])\\n", picture.source) == ["layers[0]", "layers[1]", "layers[2]"]
    neurons = draw(loss_of_xor(), depth=2)  # as asked for, whatever becomes of it
    assert len(neurons.sketch.edges) > MOST_EDGES


@pytest.mark.parametrize("sizes", [[6, 4, 1], [11, 3], [16, 16, 1]])
def test_neurons_stand_in_order_from_top_to_bottom(sizes: list[int]) -> None:
    root = sum(nn.MLP(2, sizes, seed=0)([1.0, 2.0]) if sizes[-1] > 1 else [nn.MLP(2, sizes, seed=0)([1.0, 2.0])])
    for layer, rows in heights(drawing.svg(draw(root, depth=2).sketch), r"(layers\[\d+\])\.(neurons\[\d+\])").items():
        assert rows == sorted(rows), layer
    for layer, rows in heights(draw(nn.MLP(2, sizes)).svg, r"(layers\[\d+\])\.(neurons\[\d+\])").items():
        assert rows == sorted(rows), layer


def heights(svg: str, pattern: str) -> dict[str, list[float]]:
    """The heights of the boxes of each layer, in the order of their numbers."""
    found: dict[str, list[tuple[int, float]]] = {}
    for node in ET.fromstring(svg).iter(f"{SVG}g"):
        match = re.search(pattern, node.get("id") or "")
        if match and "node" in (node.get("class") or "").split():
            number = int(re.findall(r"\d+", match[2])[0])
            texts: list[Any] = list(node.iter(f"{SVG}text"))
            found.setdefault(match[1], []).append((number, float(texts[0].get("y"))))
    assert found
    return {layer: [y for _, y in sorted(rows)] for layer, rows in found.items()}


def test_a_deep_chain_of_different_operations_folds_into_pieces() -> None:
    x = Value(0.5, label="x")
    y = x
    for _ in range(500):
        y = tanh(y * x) + 1.0
    drawn = boxes(items_of(y, {}), max_nodes=200, depth=None)
    assert len(drawn) <= OVERVIEW
    assert drawn[-1].members == [len(items_of(y, {})) - 1]


def test_a_language_model_folds_into_its_parts_its_heads_and_the_time_steps_in_them() -> None:
    model = nn.GPT("an", width=4, heads=2, context=6, seed=0)
    tokens, classes = model.samples(["nanna"])
    items = items_of(losses.cross_entropy(model(tokens[0]), classes[0]), {})
    times = {f"t={t}" for t in range(6)}
    attention = "GPT.blocks[0].attention"
    inside: dict[int | None, dict[str, set[str]]] = {}
    for depth in (0, 2, 3, 4, 9, None):
        drawn = boxes(items, max_nodes=200, depth=depth)
        assert not has_cycle(items, drawn)
        of_depth = inside[depth] = {}
        for box in drawn:
            of_depth.setdefault(box.module, set()).add(box.title)
    assert inside[0][""] == {"inputs", "GPT", "cross_entropy"}
    assert inside[2]["GPT"] == {"+", "norm", "head"}
    assert inside[2]["GPT.blocks[0]"] == {"norm1", "attention", "+", "norm2", "linear1", "ReLU", "linear2"}
    assert inside[2]["cross_entropy"] >= times
    assert inside[3][attention] == {"query", "key", "value", "head=0", "head=1", "output"}
    assert inside[4][f"{attention}.head=1"] == times
    assert inside[9] == inside[4]  # each value has no box of its own: there are thousands
    assert inside[None] == inside[3]  # with 12 boxes more it is no overview


def test_many_edges_from_a_fold_to_one_value_are_drawn_as_one() -> None:
    points, labels = datasets.moons(100)
    model = nn.MLP(2, [8, 1], seed=1)
    losses = [(1 - label * model(point)).relu() for point, label in zip(points, labels, strict=True)]
    edges = draw(sum(losses) * (1.0 / len(losses)), depth=1).sketch.edges
    assert len({(tail, head) for tail, head, _ in edges}) == len(edges)
    last = max((head for _, head, _ in edges), key=lambda name: int(name[1:]))
    ((_, _, look),) = [edge for edge in edges if edge[1] == last]
    assert (look["tooltip"], look["label"]) == ("100 edges", "0.01")
