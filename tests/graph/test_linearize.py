"""Recorded derivatives against those on floats."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from programs import RandomFunction, functions

import microgrid as mg
from microgrid import Value, ops, trace

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
