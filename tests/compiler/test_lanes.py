"""One lane for few samples, with iterations in lanes instead: every number of samples gives what recording gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from eagerly import eager, same
from hypothesis import given, settings
from hypothesis import strategies as st
from unrolled import check

import microgrid as mg
from microgrid import Value, nn
from microgrid.compiler import body, choice, kernel, plan
from microgrid.compiler.lanes import Mode
from microgrid.compiler.machine import machine


def few(samples: int) -> bool:
    """Return True for no more than a quarter of the lanes."""
    return 4 * samples <= 2 * machine().width


SAMPLES = (1, 2, 3, 4, 5, 16, 17)


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is read before it is written holds nan here."""
    monkeypatch.setattr(plan, "POISON", True)


class Recurrent(nn.Module):
    """A gated cell over a sequence of single numbers, whose sums are of products that were all made before."""

    def __init__(self, size: int) -> None:
        self.gates = [nn.Layer(size + 1, size, activation="sigmoid", seed=1), nn.Layer(size + 1, size, seed=2)]
        self.out = nn.Neuron(size, nonlin=False, seed=3)

    def __call__(self, xs: Sequence[Any]) -> Any:
        hidden: list[Any] = [0.0] * self.out_size
        for x in xs:
            opened, new = (gate([x, *hidden]) for gate in self.gates)
            hidden = [o * h + (1.0 - o) * n for o, h, n in zip(opened, hidden, new, strict=True)]
        return self.out(hidden)

    @property
    def out_size(self) -> int:
        return len(self.out.w)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "layers": lambda: nn.MLP(6, [19, 10, 1], activation="tanh", seed=0),
    "recurrent": lambda: Recurrent(9),
}


def squared(out: Any, y: Any) -> Any:
    return (out - y) ** 2


@pytest.mark.parametrize(
    ("name", "strict", "cache"),
    [
        *[(name, strict, kernel.CACHE) for name in MODELS for strict in (True, False)],
        pytest.param("recurrent", False, 0, marks=pytest.mark.slow),
    ],
)
def test_a_step_of_each_number_of_samples_is_that_of_recording(
    name: str, strict: bool, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (choice, kernel):
        monkeypatch.setattr(module, "CACHE", cache)
    registers = 2 if cache else 1
    model = MODELS[name]()
    compiled = mg.compile(squared, model, strict=strict, cache=False)
    rng = np.random.default_rng(0)
    for n in SAMPLES:
        x, y = rng.normal(size=(n, 6)), rng.normal(size=n)
        loss, gradient, outputs = compiled.with_outputs(x, y)
        assert compiled._ran().mode.lanes == (1 if few(n) else registers * machine().width)
        model.zero_grad()
        losses, told, size = 0.0, [], np.zeros(len(gradient))
        for row, target in zip(x.tolist(), y.tolist(), strict=True):
            output = model(row)
            before = np.array([p.grad for p in model.parameters()])
            one = squared(output, target)
            one.backward(1.0 / n)
            size += abs(np.array([p.grad for p in model.parameters()]) - before)
            losses += 1.0 / n * one.data
            told.append(output.data)
        recorded = np.array([p.grad for p in model.parameters()])
        if strict:
            assert outputs.ravel().tolist() == told
        if strict and few(n):  # one after the other, as recording does
            assert gradient.tolist() == recorded.tolist()
            assert loss == losses
        assert np.all(abs(gradient - recorded) <= 1e-12 * (size + abs(recorded)))
        assert np.allclose(outputs.ravel(), told, rtol=1e-12, atol=0.0)
        assert abs(loss - losses) <= 1e-12 * losses


def test_the_lanes_of_few_samples_are_iterations() -> None:
    compiled = mg.compile(squared, MODELS["layers"](), cache=False)
    compiled(np.ones((1, 6)), np.ones(1))
    width = machine().width
    assert compiled._ran().mode == Mode(1, False, machine().vector, width)
    text = compiled._ran().module.text
    assert f"load <{width} x double>" in text
    assert f"store <{width} x double>" in text


def test_both_codes_come_from_one_trace() -> None:
    traced = []

    def loss(out: Any, y: Any) -> Any:
        traced.append(out)
        return (out - y) ** 2

    compiled = mg.compile(loss, nn.MLP(2, [4, 1], seed=0), check=False, cache=False)
    for n in (1, 16, 2, 17, 1):
        compiled(np.ones((n, 2)), np.ones(n))
    assert len(traced) == 1
    assert compiled.compilations == 1
    batch = mg.compile(lambda x: x * x, cache=False)
    assert [batch.batch(np.full(n, 3.0)).tolist() for n in (0, 1, 4, 5, 1)] == [[9.0] * n for n in (0, 1, 4, 5, 1)]


def test_the_same_samples_repeat_to_the_bit_whatever_ran_before() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 6)), rng.normal(size=20)
    model = MODELS["layers"]()
    first = mg.compile(squared, model, cache=False)
    few, many = first(x[:2], y[:2]), first(x, y)
    second = mg.compile(squared, model, cache=False)
    for (loss, gradient), n in ((many, 20), (few, 2), (many, 20)):
        again = second(x[:n], y[:n])
        assert again[0] == loss
        assert again[1].tolist() == gradient.tolist()


Read = tuple[int, int]
"""(start, step): where a loop over a list reads it."""

reads = st.tuples(st.integers(0, 50), st.integers(-4, 4))
UNARY: tuple[Callable[[Any], Any], ...] = (mg.tanh, mg.sigmoid, mg.exp, mg.sin, mg.relu, mg.softplus, abs, lambda x: x)


def elementwise(loops: Sequence[tuple[int, int, Sequence[Read]]], xs: Sequence[Any]) -> Any:
    """Lists made of one another element by element, read at any stride; the sum of all of them at different weights."""
    made = [list(xs)]
    for times, kind, places in loops:
        row = []
        for i in range(times):
            new: Any = 1.0
            for k, (start, step) in enumerate(places):
                source = made[-1 - k % len(made)]
                new = new * UNARY[kind](source[(start + step * i) % len(source)])
            row.append(new + 0.5)
        made.append(row)
    return mg.sum([x * (0.25 + i % 5) for row in made for i, x in enumerate(row)])


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(st.integers(3, 40), st.integers(0, 7), st.lists(reads, min_size=1, max_size=3)), max_size=3),
    st.integers(3, 40),
    st.booleans(),
)
def test_loops_over_elements_give_the_bits_of_recording(loops: Any, n: int, shared: bool) -> None:
    at = [0.9 - 0.13 * i + 0.01 * i * i for i in range(n)]
    expected, slopes = eager(lambda *xs: elementwise(loops, xs), at)
    if shared:

        def f(xs: Sequence[Any], y: Any) -> Any:
            return elementwise(loops, xs) * y

        values, (sums, _) = mg.compile(f, strict=True, cache=False).batch_value_and_grad(at, [1.0], in_axes=(None, 0))
        value, gradient = values[0], sums
    else:
        f_alone = mg.compile(lambda xs: elementwise(loops, xs), strict=True, cache=False)
        value, gradient = f_alone.value_and_grad(at)
    assert all(same(a, b, strict=True) for a, b in zip([value, *gradient], [expected, *slopes], strict=True))


def test_a_loop_that_reads_backwards_in_lanes_is_seen_to_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: lanes in the order of memory, where iterations go down."""
    monkeypatch.setattr(body.Vectorised, "turned", lambda self, number, step: number)

    def f(xs: Sequence[Any]) -> Any:
        return mg.sum([mg.exp(xs[i]) * xs[15 - i] ** 2 * (1.0 + i) for i in range(16)])

    with pytest.raises(RuntimeError, match="is not what recording gives"):
        mg.compile(f, cache=False).value_and_grad([0.1 * i for i in range(16)])


def test_a_model_whose_loops_do_not_divide_by_the_lanes() -> None:
    xs = [Value(0.1 * i) for i in range(13)]
    expected = mg.sum([mg.tanh(x) for x in xs])
    expected.backward()
    value, gradient = mg.compile(lambda xs: mg.sum([mg.tanh(x) for x in xs]), strict=True).value_and_grad(
        [x.data for x in xs]
    )
    assert value == expected.data
    assert gradient == [x.grad for x in xs]


def pairs(xs: Sequence[Any]) -> Any:
    """Sums over rows of a triangle, and over all of it, with much to do for each term."""
    total: Any = mg.sin(xs[0])
    for i in range(len(xs)):
        row = 0.5 * xs[i]
        for j in range(i):
            d = mg.tanh(xs[i] - xs[j]) * xs[j]
            e = mg.exp(-d * d)
            row = row - d * e
            total = total + mg.sin(e) * d
        total = total + row * row
    return total


@pytest.mark.parametrize(
    "n", [7, 12, pytest.param(17, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.slow)]
)
def test_sums_in_loops_whose_iterations_are_lanes_are_added_in_order(n: int) -> None:
    at = [0.1 + 0.07 * k for k in range(n)]
    strict, plain = mg.compile(pairs, strict=True, cache=False), mg.compile(pairs, cache=False)
    expected, slopes = eager(lambda *xs: pairs(xs), at)
    value, gradient = strict.value_and_grad(at)
    assert all(same(a, b, strict=True) for a, b in zip([value, *gradient], [expected, *slopes], strict=True))
    value, gradient = plain.value_and_grad(at)
    assert np.allclose([value, *gradient], [expected, *slopes], rtol=1e-12, atol=1e-13)
    lanes = plain._ran().module.text
    assert "vector.reduce.fadd" in lanes
    assert "phi <" in lanes


@pytest.mark.parametrize("n", [pytest.param(16, marks=pytest.mark.slow), 19])
@pytest.mark.parametrize("which", ["before", "between"])
def test_a_partial_sum_that_is_read_after_its_loop(which: str, n: int) -> None:
    def f(xs: Sequence[Any]) -> Any:
        total: Any = mg.sin(xs[0])
        read = total
        for x in xs:
            d = mg.tanh(x) * x
            e = mg.exp(-d * d) * mg.cos(d)
            k = mg.sin(e + d) * mg.cos(e * d)
            first, between = total, total + mg.sin(e) * d
            total = between + mg.sin(k)
            read = first if which == "before" else between
        return total * read

    check(f, [0.1 + 0.07 * k for k in range(n)])


def test_lanes_that_are_added_in_another_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: in strict mode lanes are added from the last to the first."""
    lane = body.Vectorised.lane

    def turned(self: body.Vectorised, x: Any, registers: Any, number: int) -> Any:
        return lane(self, x, registers, self.together - 1 - number)

    monkeypatch.setattr(body.Vectorised, "lane", turned)
    with pytest.raises(RuntimeError, match="is not what recording gives"):
        mg.compile(pairs, strict=True, cache=False).value_and_grad([0.1 + 0.07 * k for k in range(17)])
