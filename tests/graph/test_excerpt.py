"""Excerpts of a graph: a frame or a module by itself, with its numbers and its part of the gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions, points

from microgrid import Value, excerpt, frame, losses, nn, steps, tanh
from microgrid.engine import topological


@settings(max_examples=50)
@given(functions(steps=8), st.data())
def test_an_excerpt_has_the_numbers_and_the_gradients_of_the_same_function_recorded_alone(
    f: RandomFunction, data: st.DataObject
) -> None:
    at = data.draw(points(f.inputs))
    leaves = [Value(x, label=f"x{i}") for i, x in enumerate(at)]
    shifted = [x * 1.0 for x in leaves]
    with frame("outer"), frame("inner"):
        y = f(*shifted)
    assume(y.module == "outer.inner")  # it computes something
    root = y * leaves[0] + y
    root.backward()
    before = [v.grad for v in topological([root])]
    alone = [Value(x) for x in at]
    expected = f(*alone)
    expected.backward(0.75)
    [part] = excerpt(root, "outer.inner")
    assert part.data == y.data or math.isnan(y.data)
    inputs = [v for v in topological([part]) if v.op is None]
    for v in inputs:
        v.grad = 0.0
    part.backward(0.75)
    assert [v.grad for v in topological([root])] == pytest.approx(before, nan_ok=True, rel=0.0, abs=0.0)
    used = [v for v in topological([expected]) if v.op is None and v in alone]
    assert sorted([v.grad for v in inputs]) == pytest.approx(sorted([v.grad for v in used]), nan_ok=True, rel=0.0)


def test_a_head_of_a_language_model_is_an_excerpt_whose_gradients_are_those_of_the_loss() -> None:
    model = nn.GPT("an", width=8, heads=2, context=8, seed=0)
    tokens, classes = model.samples(["anna"])
    cache = nn.Cache()
    loss = losses.cross_entropy(model(tokens[0], [cache]), classes[0])
    loss.backward()
    found = excerpt(loss, "GPT.blocks[0].attention.head=1.t=2")
    inputs = {v.label: v for v in topological(found) if v.label}
    assert {*inputs} == {
        *[f"query[{j}]" for j in range(4)], *[f"{name}[{i}]" for name in ("key", "value") for i in range(12)]
    }  # fmt: skip
    keys = [key for row in cache.keys[:3] for key in row[4:]]
    assert [inputs[f"key[{i}]"].data for i in range(12)] == [key.data for key in keys]
    queries = [inputs[f"query[{j}]"] for j in range(4)]
    expected = [q.grad for q in queries]  # a query is used in this time step alone
    assert any(expected)
    for v in inputs.values():
        v.grad = 0.0 if v.label.startswith("query") else v.grad
    total: Any = 0.0
    for value in found:
        total = total + value * value.grad
    total.backward()
    assert [q.grad for q in queries] == pytest.approx(expected, rel=1e-12)
    assert len(steps(found[0])) < 100 < len(steps(loss)) / 50


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: excerpt(tanh(Value(1.0)), "layer"), ValueError, "nothing was computed in 'layer'; there is no module"),
        (lambda: excerpt(nn.MLP(1, [1])([1.0]), "MLP.layer"), ValueError, r"there is MLP\.layers\[0\]\.neurons\[0\]"),
        (
            lambda: excerpt(nn.MLP(2, [9, 9, 1])([1.0, 2.0]), "MLP.layer[1]"),
            ValueError,
            r"there is MLP\.layers\[1\], MLP\.layers\[\d\], MLP\.layers\[\d\], .*, .* and 18 others$",
        ),
        (lambda: excerpt(nn.MLP(1, [1]), "MLP"), TypeError, "excerpt takes a Value, got MLP"),  # type: ignore[arg-type]  # the misuse
    ],
)
def test_misuse_says_what_there_is(misuse: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()
