"""Samples of a tape tell whether it is worth looking for loops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid.compiler import plan, sampling
from microgrid.compiler.gradient import Request, tape_of
from microgrid.compiler.roll import roll
from microgrid.compiler.tape import Tape

X = np.linspace(-1.0, 1.0, 60).tolist()
DRAWN = np.random.default_rng(0).integers(0, 60, size=(500, 2)).tolist()


def drawn(xs: Any) -> Any:
    v = list(xs)
    for i, j in DRAWN:
        v.append(mg.tanh(v[-i - 1] * v[j]) if (i + j) % 3 else v[-j - 1] - v[i])
    return mg.sum(v)


def pairs(xs: Any) -> Any:
    total: Any = 0.0
    for i in range(len(xs)):
        for j in range(i):
            total = total + mg.sin(xs[i] * xs[j])
    return total


def recurrent(xs: Any) -> Any:
    state: Any = [0.1, 0.2]
    for x in xs * 3:
        state = [mg.tanh(state[0] * x - state[1]), mg.sin(state[1] + x) * state[0] + x * x]
    return state[0]


def tape(f: Callable[..., Any]) -> Tape:
    native = functools.partial(plan.is_native, False)
    return tape_of(mg.trace(f)(X), Request((False,) * len(X), tuple(range(len(X)))), native)


@pytest.mark.parametrize("f", [drawn, pairs, recurrent])
def test_the_estimate_is_small_for_loops_and_near_for_what_has_none(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MANY", 500)
    straight = tape(f)
    estimate, elements = sampling.elements_outside(straight), roll(straight).elements
    if f is drawn:
        assert estimate == pytest.approx(elements, rel=0.25)
        assert elements > 0.8 * len(straight.steps)
    else:
        assert estimate < 0.2 * len(straight.steps)


def test_what_is_left_as_it_stands_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mg.value_and_grad(drawn)(X)
    monkeypatch.setattr(sampling, "MANY", 500)
    f = mg.compile(drawn, strict=True, cache=False)
    assert f.value_and_grad(X) == expected
    assert f._ran().rolled.elements == len(tape(drawn).steps)
