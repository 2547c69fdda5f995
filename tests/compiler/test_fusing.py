"""Fusing by default: products into sums of many; every cancellation of two products stays exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from eagerly import eager
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import OPS, Program
from microgrid.core import tree
from microgrid.testing.strategies import points, programs

CANCELS: dict[str, Callable[[Any, Any], Any]] = {
    "difference of squares": lambda x, y: x * x - y * y,
    "and a negative product": lambda x, y: x * x + -y * y,
    "product before": lambda x, y: -(y * y) + x * x,
    "determinant": lambda x, y: (x * 3.0) * (y * 7.0) - (y * 3.0) * (x * 7.0),
    "cross product": lambda x, y: x * 0.3 - 0.3 * y,
    "product and its own rounding": lambda x, y: x * y - mg.maximum(y * x, x * y),
    "within a sum": lambda x, y: (x * x - y * y) + (x * 0.7 - y * 0.7),
    "by a constant": lambda x, y: x * 0.1 - y * 0.1,
}


@pytest.mark.parametrize("cancels", CANCELS.values(), ids=CANCELS)
@settings(deadline=None, max_examples=3)
@given(st.lists(st.floats(-2.0, 2.0).filter(lambda x: abs(x) > 1e-9), min_size=20, max_size=20))
def test_two_products_that_cancel_leave_nothing(cancels: Callable[[Any, Any], Any], numbers: list[float]) -> None:
    """A root of what is left would be nan, or have a slope of some 1e8 in place of one that passes nothing."""
    numbers = [0.1, *numbers]
    f = mg.compile(cancels)
    assert all(f(x, x) == 0.0 for x in numbers)
    assert (f.batch(numbers, numbers) == 0.0).all()

    def rows(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
        return mg.sum([mg.sqrt(cancels(x, y)) for x, y in zip(xs, ys, strict=True)])

    assert mg.compile(rows)(numbers, numbers) == 0.0
    assert (mg.compile(rows).batch([numbers] * 20, [numbers] * 20) == 0.0).all()


def test_cotangents_that_cancel_pass_nothing() -> None:
    """They are two products; what fusing left of them would be multiplied by the infinite slope of the root at 0."""

    def f(z: Any, a: Any) -> Any:
        u = mg.sqrt(z)
        return mg.sin((u * 0.1) * a) - mg.sin((u * a) * 0.1)

    for a in (0.3, 0.7, 1.1):
        expected = eager(f, [0.0, a])
        assert expected[1][0] == 0.0
        assert mg.compile(f).value_and_grad(0.0, a) == (expected[0], tuple(expected[1]))


@pytest.mark.parametrize("x", [8.642087515534945e-12, 0.3, 7.0])
def test_cotangents_that_cancel_pass_nothing_where_slopes_are_steep(x: float) -> None:
    """Simplified, both are products by 1 / 3."""
    assert mg.compile(lambda x: x / x / 3.0).gradient(x) == 0.0


EXACT = [OPS[name] for name in "add sub mul div neg sqrt abs maximum minimum relu where".split()]


@settings(deadline=None, max_examples=30)
@given(st.data(), programs(ops=EXACT, max_size=12))
def test_without_loops_and_simplification_the_default_has_the_numbers_of_recording(
    data: st.DataObject, program: Program
) -> None:
    at = data.draw(points(program))
    compiled = program.compile()
    value, gradient = compiled.value_and_grad(*tree.unflatten(program.in_structure, at))
    assume("simplified from" not in compiled.report())
    got = [value, *tree.flatten(gradient, lambda x, _: x, "")[0]]
    expected, slopes = eager(lambda *xs: program(*tree.unflatten(program.in_structure, list(xs))), at)
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(got, [expected, *slopes], strict=True))


@pytest.mark.parametrize("lanes", [False, True], ids=["one sample", "lanes"])
def test_products_in_sums_of_many_are_fused_unless_strict(lanes: bool) -> None:
    def f(w: Sequence[Any], x: Sequence[Any]) -> Any:
        total: Any = 1.0
        for a, b in zip(w, x, strict=True):
            total = total + a * b
        return total

    w, x = [0.1 * i for i in range(20)], [[0.3 - 0.01 * i for i in range(20)]] * 3
    texts = []
    for strict in (False, True):
        compiled = mg.compile(f, strict=strict)
        if lanes:
            compiled.batch_value_and_grad(w, np.array(x), in_axes=(None, 0))
        else:
            compiled(w, x[0])
        texts.append(compiled._ran().module.text)
    assert "fmuladd" in texts[0]
    assert "fmuladd" not in texts[1]
    assert "contract" not in "".join(texts)
