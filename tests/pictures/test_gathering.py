"""Sums and means as one box: the numbers that they show are those of the graph."""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value, draw, frame, nn, tanh
from microgrid.core.primitive import OPS
from microgrid.pictures.gathering import LEAST, gathered
from microgrid.pictures.outline import Item, items_of


def points(count: int) -> list[Value]:
    return [tanh(Value(0.3 * k - 0.7, label=f"x{k}")) for k in range(count)]


def drawn_at_random(chance: Random) -> Value:
    """Sums and means of sums, in any order of adding, with values used twice and labels in between."""
    values = [Value(chance.uniform(-2.0, 2.0), label=f"x{k}") for k in range(8)]
    for _ in range(chance.randrange(1, 9)):
        chosen = chance.sample(values, chance.randrange(2, min(8, len(values)) + 1))
        kind = chance.randrange(5)
        if kind == 0:
            total = mg.mean(chosen)
        elif kind == 1:
            total = sum(chosen) if chance.random() < 0.5 else functools.reduce(operator.add, chosen)
        else:
            while len(chosen) > 1:  # a tree
                a, b = chosen.pop(), chosen.pop(chance.randrange(len(chosen)))
                chosen.append(a + b)
                if chance.random() < 0.15:
                    chosen[-1].label = f"s{len(values)}"
            total = chosen[0] * 0.25 if kind == 2 else chosen[0] / 5.0 if kind == 3 else chosen[0]
        values.append(tanh(total) if chance.random() < 0.5 else total)
    root = functools.reduce(lambda a, b: a * 0.5 + b, values)
    root.backward()
    return root


def near(x: float, y: float | None) -> bool:
    return y is not None and math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def wrong(items: Sequence[Item]) -> list[int]:
    """Places whose gradient is not what their users pass back, or whose value is not that of their operands."""
    passed = [0.0] * len(items)
    found = []
    for item in items:
        for j, partial in zip(item.operands, item.partials, strict=True):
            assert item.grad is not None
            assert partial is not None
            passed[j] += item.grad * partial
    for i, item in enumerate(items):
        if item.role not in ("output", "constant") and not near(passed[i], item.grad):
            found.append(i)
        if item.op is None and item.operands:
            data = [items[j].data for j in item.operands]
            total = math.fsum(x for x in data if x is not None)
            count = len(data) if item.sign.startswith("mean") else 1
            if not near(total / count, item.data) or not item.sign.endswith(f" of {len(data)}"):
                found.append(i)
    return found


@given(st.integers(0, 10**9))
def test_what_is_gathered_has_the_values_and_gradients_of_the_graph(seed: int) -> None:
    items = items_of(drawn_at_random(Random(seed)), {})
    found, places = gathered(items)
    assert wrong(found) == []
    assert sorted(i for own in places for i in own) == list(range(len(items)))
    assert [item.size for item in found] == [len(own) for own in places]
    assert all(items[own[-1]].grad == item.grad for item, own in zip(found, places, strict=True))
    assert all(not items[i].title for own in places for i in own[:-1])
    left = [item for item in found if item.op is OPS["add"]]
    for item in left:  # no long sum of different values is left
        below = [found[j] for j in item.operands]
        assert sum(b.op is OPS["add"] and not b.title for b in below) < LEAST


def test_a_wrong_derivative_or_term_would_be_seen() -> None:
    root = mg.mean(points(4)) * 2.0
    root.backward()
    found, _ = gathered(items_of(root, {}))
    (at,) = [i for i, item in enumerate(found) if item.sign == "mean of 4"]
    for change in (
        {"partials": (0.25, 0.25, 0.25, 0.5)},
        {"operands": found[at].operands[:-1] + found[at].operands[:1]},
        {"sign": "sum of 4"},
        {"data": 7.0},
    ):
        assert wrong([item._replace(**change) if i == at else item for i, item in enumerate(found)])


def test_a_loss_over_four_points_has_one_box_for_its_mean() -> None:
    model = nn.MLP(2, [2, 1], seed=1)
    corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    loss = mg.mean([(model(list(x)) - t) ** 2 for x, t in zip(corners, (0.0, 1.0, 1.0, 0.0), strict=True)])
    loss.backward()
    source = draw(loss, depth=1).source
    assert "mean of 4" in source
    assert "label=0.25" in source
    assert 'label="+' not in source
    unfolded = draw(loss, depth=1, unfold=True).source
    assert "mean of 4" not in unfolded
    assert unfolded.count('label="+') == 3
    inside = (
        nn.MLP(6, [3, 1], seed=1)([0.1] * 6) * 2.0
    )  # sums of seven terms, in boxes that say how many values they hold
    folded = [re.findall(r"\d+ values", draw(inside, depth=1, unfold=unfold).source) for unfold in (False, True)]
    assert len(folded[0]) == 2
    assert folded[0] == folded[1]


@pytest.mark.parametrize("count", [2, 3, 4, 12])
def test_short_sums_are_read_as_they_are(count: int) -> None:
    x = points(count)
    assert ("sum of" in draw(mg.sum(x)).source) == (count >= LEAST)
    assert (f"mean of {count}" in draw(functools.reduce(operator.add, x) * (1.0 / count)).source) == (count >= LEAST)
    from_zero: Any = functools.reduce(operator.add, x, 0.0)
    assert (f"sum of {count}" in draw(from_zero).source) == (count >= LEAST)


def test_sums_with_labels_frames_other_users_or_styles_stay() -> None:
    x = points(6)
    part = x[0] + x[1] + x[2]
    assert "sum of" not in draw(part + x[3] + part).source
    part.label = "part"
    assert "sum of" not in draw(part + x[3] + x[4]).source
    with frame("t=1"):
        inner = x[0] + x[1] + x[2]
    assert "sum of" not in draw(inner + x[3] + x[4]).source
    assert "sum of 4" in draw(mg.sum(x[:4])).source
    whole = x[0] + x[1] + x[2]
    styled = draw(whole + x[3], styles={whole: {"fillcolor": "#FFD54F"}}).source
    assert "sum of" not in styled
    assert "#FFD54F" in styled
    y = Value(0.0)
    for _ in range(9):
        y = y + x[0]
    assert "sum of" not in draw(y).source
    total = mg.sum(x)
    assert "#FFD54F" in draw(total, styles={total: {"fillcolor": "#FFD54F"}}).source


def test_a_sum_of_a_program_is_one_box_too() -> None:
    program = mg.trace(lambda xs: mg.mean([x * x for x in xs]))([1.0, 2.0, 3.0, 4.0])
    assert "mean of 4" in draw(program).source
    assert "mean of 4" not in draw(program, unfold=True).source
