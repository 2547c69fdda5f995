"""Recorded derivatives against those on floats."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import RandomFunction, functions, points

import microgrid as mg
from microgrid import Value, ops, trace
from microgrid.graph.linearize import Linearization
from microgrid.graph.passes import backpropagation

WITHOUT_PRODUCTS = [ops.add, ops.sub, ops.neg, ops.maximum, ops.minimum, ops.relu, ops.where, ops.floor]


def signed(xs: Any) -> list[tuple[float, float]]:
    return [(x, math.copysign(1.0, x)) for x in xs]


@given(functions(of=WITHOUT_PRODUCTS, steps=8), st.data())
def test_zeros_of_recorded_derivatives_have_the_sign_of_backward_where_no_numbers_are_multiplied(
    f: RandomFunction, data: st.DataObject
) -> None:
    at = data.draw(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0]), min_size=f.inputs, max_size=f.inputs))

    def g(xs: Any) -> Any:
        return -f(*xs)

    leaves = [Value(x) for x in at]
    g(leaves).backward()
    expected = signed([leaf.grad for leaf in leaves])
    assert signed(trace(g)(at).gradient()(at)) == expected
    assert signed([x.data for x in mg.grad(g)([Value(x) for x in at])]) == expected
    for i in range(f.inputs):
        tangent = [float(j == i) for j in range(f.inputs)]
        _, slope = mg.jvp(g, (at,), (tangent,))
        _, recorded = mg.jvp(g, ([Value(x) for x in at],), (tangent,))
        assert signed([recorded.data]) == signed([slope])


@given(functions(steps=12), st.data())
def test_absolute_contributions_are_those_of_the_pass_node_by_node(f: RandomFunction, data: st.DataObject) -> None:
    leaves = [Value(x) for x in data.draw(points(f.inputs))]
    root = f(*leaves)
    expected = {root.number: 1.0}
    for _, _, contributions in backpropagation(root, 1.0, abs):
        for passed in contributions:
            expected[passed.operand.number] = expected.get(passed.operand.number, 0.0) + passed.contribution
    sizes = Linearization([root], leaves).pull([1.0], absolute=True)
    assert sizes == pytest.approx([expected.get(leaf.number, 0.0) for leaf in leaves], nan_ok=True)
