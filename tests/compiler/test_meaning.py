"""Compiled is eager: every op at every kind of number, every row of the conventions, reductions, systems."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from eagerly import eager, same
from test_conventions import ROWS

import microgrid as mg
from microgrid import OPS, Op, Value, losses, nn
from microgrid.compiler import machine, plan
from microgrid.core.primitive import built_in

INF, NAN = math.inf, math.nan
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.0, 20.0, -40.0, 1000.0, 1e-8, 1e-310, 1e300, INF, -INF, NAN]
ORDINARY = [0.3, -0.7, 1.3, 2.0, -2.5, 3.7]
MODES = {"to the bit": True, "to rounding": False}


def all_at_once(functions: Sequence[tuple[Callable[..., Any], int]]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the list of all values, and the sum, of functions with their numbers of arguments, all in one list.

    The derivatives of the sum are those of each function, whose numbers no other one sees.
    """

    def values(xs: Sequence[Any]) -> list[Any]:
        rest = iter(xs)
        results = [f(*itertools.islice(rest, n)) for f, n in functions]
        return [y if isinstance(y, Value) else Value(y) for y in results]

    return values, lambda xs: mg.sum(values(xs))


def check(functions: Sequence[tuple[str, Callable[..., Any], int]], points: np.ndarray[Any, Any], strict: bool) -> None:
    """Compiled values and derivatives of functions, at rows of numbers for all of them, are the eager ones."""
    values, total = all_at_once([(f, n) for _, f, n in functions])
    compiled_values, compiled_total = mg.compile(values, strict=strict), mg.compile(total, strict=strict)
    got = compiled_values.batch(points)
    _, slopes = compiled_total.batch_value_and_grad(points)
    wrong = []
    for row, point in enumerate(points):
        start = 0
        for (name, f, n), results in zip(functions, got, strict=True):
            at = point[start : start + n].tolist()
            value, gradient = eager(f, at)
            mine = [results[row].item(), *slopes[row, start : start + n].tolist()]
            size = max([abs(x) for x in gradient if math.isfinite(x)], default=0.0)
            if not all(same(a, b, strict, size) for a, b in zip(mine, [value, *gradient], strict=True)):
                wrong.append(f"{name}{tuple(at)} is {[value, *gradient]}, got {mine}")
            start += n
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong[:60]])


def applied(op: Op) -> tuple[str, Callable[..., Any], int]:
    """The op as a function of its operands but for the static ones, which are 2.0 and 3.0."""
    static = [2.0, 3.0][: op.static]
    return op.name, lambda *xs: op(*xs, *static), op.arity - op.static


BUILT_IN = [applied(OPS[name]) for name in OPS if name in built_in]
NUMBERS = sum(n for _, _, n in BUILT_IN)


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_every_op_at_special_numbers(strict: bool) -> None:
    """Each op sees all pairs of special numbers; a third operand runs through them at another pace."""
    rows = []
    for i, (x, y) in enumerate(itertools.product(SPECIAL, repeat=2)):
        three = (x, y, SPECIAL[(i * 7 + i // 16) % len(SPECIAL)])
        rows.append([v for _, _, n in BUILT_IN for v in three[:n]])
    check(BUILT_IN, np.array(rows), strict)


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_every_op_at_ordinary_numbers(strict: bool) -> None:
    rng = np.random.default_rng(0)
    half = [np.resize(pair, (1, NUMBERS)) for pair in ((6.174730315741508e17, 144.0), (144.0, 6.174730315741508e17))]
    rows = np.concatenate([rng.choice(ORDINARY, (40, NUMBERS)), rng.uniform(-3.0, 3.0, (60, NUMBERS)), *half])
    check(BUILT_IN, rows, strict)


@pytest.mark.parametrize(
    ("width", "vector"),
    [pytest.param(2, 1, marks=pytest.mark.slow), (4, 4), pytest.param(8, 1, marks=pytest.mark.slow)],
)
def test_every_op_on_lesser_machines(width: int, vector: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer lanes, and without the C library's vector functions."""
    monkeypatch.setattr(machine.machine(), "width", width)
    monkeypatch.setattr(machine.machine(), "vector", vector)
    rng = np.random.default_rng(0)
    check(BUILT_IN, rng.choice([*ORDINARY, *SPECIAL], (60, NUMBERS)), strict=False)


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_every_row_of_the_conventions(strict: bool) -> None:
    functions = [(name, f, len(at)) for name, f, at, _, _ in ROWS]
    point = [x for _, _, at, _, _ in ROWS for x in at]
    check(functions, np.array([point] * 3), strict)


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_a_single_call_is_a_batch_of_one(strict: bool) -> None:
    functions = [(name, f, len(at)) for name, f, at, _, _ in ROWS]
    point = [x for _, _, at, _, _ in ROWS for x in at]
    _, total = all_at_once([(f, n) for _, f, n in functions])
    compiled = mg.compile(total, strict=strict)
    value, gradient = compiled.value_and_grad(point)
    values, gradients = compiled.batch_value_and_grad(np.array([point]))
    assert all(same(a, b, strict) for a, b in zip([value, *gradient], [values[0], *gradients[0]], strict=True))


REDUCTIONS = {
    "sum": mg.sum,
    "prod": mg.prod,
    "mean": mg.mean,
    "var": mg.var,
    "std": mg.std,
    "norm": mg.norm,
    "max": mg.max,
    "min": mg.min,
    "logsumexp": mg.logsumexp,
    "softmax": lambda xs: mg.softmax(xs)[1],
    "log_softmax": lambda xs: mg.log_softmax(xs)[2],
    "dot": lambda xs: mg.dot(xs[:-1], xs[1:]),
}


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_every_reduction(strict: bool) -> None:
    functions = [(name, lambda *xs, f=f: f(list(xs)), 9) for name, f in REDUCTIONS.items()]
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20, 9 * len(functions)))
    rows[5:10] = rng.choice([0.0, 1.0, -2.0], rows[5:10].shape)  # ties and zeros
    rows[10] = 1000.0
    check(functions, rows, strict)


@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
def test_cross_entropies_at_infinite_logits(strict: bool) -> None:
    functions: list[tuple[str, Callable[..., Any], int]] = [
        ("binary", losses.binary_cross_entropy_with_logits, 2),
        ("of classes", lambda *xs: losses.cross_entropy(xs[:2], xs[2:]), 4),
    ]
    masked = [(-INF, 1.0, 0.0, 1.0), (0.5, -INF, 1.0, 0.0), (0.5, -INF, 0.5, 0.5)]
    points = [(z, t, *classes) for z in (INF, -INF, 0.3) for t in (0.0, 1.0, 0.25) for classes in masked]
    check(functions, np.array(points), strict)


@pytest.mark.parametrize("lane", [0, 7, 15, 16, 40])
def test_a_lane_does_not_see_its_neighbours(lane: int) -> None:
    compiled = mg.compile(lambda x, w: mg.log(x) * w)
    x = np.full(41, 2.0)
    x[lane] = -1.0
    values, (slopes, total) = compiled.batch_value_and_grad(x, 3.0, in_axes=(0, None))
    assert np.isnan(values).nonzero()[0].tolist() == [lane]
    assert np.isnan(slopes).nonzero()[0].tolist() == [lane]
    assert math.isnan(total)
    x[lane] = 2.0
    _, (_, total) = compiled.batch_value_and_grad(x, 3.0, in_axes=(0, None))
    assert math.isclose(total, 41 * math.log(2.0), rel_tol=1e-13)  # and lanes without a sample add nothing


# --- the systems of five texts ---------------------------------------------------------------------------------------


def half_squares(out: Any, y: Any) -> Any:
    return 0.5 * mg.sum([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


def mean_squares(out: Any, y: Any) -> Any:
    return mg.mean([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


def cross_entropy(out: Any, y: Any) -> Any:
    pairs = zip(out if isinstance(out, list) else [out], y, strict=True)
    return mg.mean([-(t * mg.log(p) + (1.0 - t) * mg.log(1.0 - p)) for p, t in pairs])


class Deep(nn.Module):
    """Layers that all have the activation."""

    def __init__(self, sizes: Sequence[int], activation: str) -> None:
        self.layers = [nn.Layer(sizes[i], sizes[i + 1], activation=activation) for i in range(len(sizes) - 1)]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]


SYSTEMS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Any], int, int]] = {
    "n-m-p sigmoid, half squares": (lambda: Deep([4, 6, 3], "sigmoid"), half_squares, 4, 3),
    "10-64-2 relu, mean squares": (lambda: nn.MLP(10, [64, 2]), mean_squares, 10, 2),
    "10-20-5 sigmoid, cross-entropy": (lambda: Deep([10, 20, 5], "sigmoid"), cross_entropy, 10, 5),
    "2-4-1 sigmoid, cross-entropy": (lambda: Deep([2, 4, 1], "sigmoid"), cross_entropy, 2, 1),
    "deep sigmoid": (lambda: Deep([5, 8, 8, 8, 8, 8, 3], "sigmoid"), mean_squares, 5, 3),
    "deep tanh": (lambda: Deep([5, 8, 8, 8, 8, 8, 3], "tanh"), mean_squares, 5, 3),
    "deep relu": (lambda: Deep([5, 8, 8, 8, 8, 8, 3], "relu"), mean_squares, 5, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("strict", MODES.values(), ids=MODES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_systems_of_five_texts(name: str, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over more blocks of samples than are in memory at once, which holds nan before it is written."""
    monkeypatch.setattr(plan, "POISON", True)
    make, loss, inputs, outputs = SYSTEMS[name]
    random.seed(5)
    model = make()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, inputs)), rng.integers(0, 2, (150, outputs)).astype(float)
    compiled = mg.compile(loss, model, strict=strict)
    got, gradient = compiled(x, y)
    losses = [loss(model(row), target) for row, target in zip(x.tolist(), y.tolist(), strict=True)]
    if strict:
        each = [compiled(x[i : i + 1], y[i : i + 1])[0] for i in range(len(x))]
        assert each == [one.data for one in losses]
        rows = [model(row) for row in x.tolist()]
        assert compiled.with_outputs(x, y)[2].tolist() == [
            [z.data for z in (row if isinstance(row, list) else [row])] for row in rows
        ]
    mean = mg.mean(losses)
    mean.backward()
    expected = np.array([parameter.grad for parameter in model.parameters()])
    assert math.isclose(got, mean.data, rel_tol=1e-12)
    assert np.allclose(gradient, expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())
