"""Mistakes in claimed gradients are called by their names, and nothing else is called a mistake."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid.testing import check_gradient, name_mistakes

np = pytest.importorskip("numpy")
from student import Network  # noqa: E402  # it needs NumPy

NAMES = {
    "slope missing": "the slope of {hidden}, layer 1 of {layers}, is missing",
    "slope at z": "the slope of {hidden}, layer 1 of {layers}, is taken at the pre-activation",
    "slope at a": "the slope of {hidden}, layer 1 of {layers}, is taken at the activation",
    "slope squared": "the slope of {hidden}, layer 1 of {layers}, stands twice",
    "slope of another": "the slope of {hidden}, layer 1 of {layers}, is that of {other}",
    "other loss": "{delta}",
    "last sample": "only the last of 4 contributions counts (= for +=)",
    "a sample left out": "contribution 1 of 4 is left out",
    "pre-activation for activation": "the gradient of x2 is taken with the pre-activation of the layer before",
    "without weights": "the delta goes back without x2",
    "not transposed": "x2 is not transposed where the delta goes back through it",
    "sign": "a sign",
    "mean forgotten": "a sum against a mean over 4",
    "sign of W1": "x0: a sign",
    "penalty forgotten": "the regularisation term of x0, x2",
    "penalty doubled": "the regularisation term of x0, x2",
}
ALONE = {"last sample", "a sample left out"}
"""Mistakes that go with factors only: they are found in what is done with the right numbers."""


def told(mistake: str, network: Network) -> str:
    delta = {
        "half squares": "is missing: a - y is the delta of cross-entropy only",
        "cross-entropy": "the delta of half squares",
        "softmax": "the delta of half squares",
    }[network.loss]
    other = "tanh" if network.hidden == "sigmoid" else "sigmoid"
    return NAMES[mistake].format(hidden=network.hidden, layers=len(network.sizes) - 1, other=other, delta=delta)


def networks(mistake: str, seed: int) -> tuple[Network, list[Any]]:
    rng = np.random.default_rng([seed, len(mistake)])
    chosen: dict[str, Any] = {}
    if mistake == "not transposed":
        chosen["layers"] = 3
    if mistake.startswith("penalty"):
        chosen["penalty"] = 0.1
    if mistake in ("slope at z", "slope squared", "slope at a"):
        chosen["hidden"] = str(rng.choice(["sigmoid", "tanh"]))
    network = Network.random(rng, **chosen)
    return network, network.start(rng)


@pytest.mark.parametrize("mistake", NAMES)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_a_mistake_is_called_by_its_name(mistake: str, seed: int) -> None:
    network, at = networks(mistake, seed)
    claim = network.gradients(*at, mistakes=(mistake,))
    found = name_mistakes(network.cost, *at, gradient=claim)
    assert len(found) == 1, found
    assert told(mistake, network) in found[0]


@pytest.mark.parametrize(
    "also",
    [(), *(pytest.param((name,), marks=pytest.mark.slow) for name in ("mean forgotten", "sign", "slope missing"))],
)
@pytest.mark.parametrize("loss", ["cross-entropy", "softmax"])
def test_a_delta_from_which_the_target_is_not_subtracted_is_named(loss: str, also: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    network = Network.random(rng, loss=loss, hidden="sigmoid")
    at = network.start(rng)
    found = name_mistakes(network.cost, *at, gradient=network.gradients(*at, mistakes=("target forgotten", *also)))
    assert found[0] == "the target y is not subtracted: the delta is a, not a - y"
    assert len(found) == 1 + len(also), found


@pytest.mark.parametrize("shifted", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda p, y: p, "the target y is not subtracted: the delta is a, not a - y"),
        (
            lambda p, y: (p - y) * p * (1 - p),
            "the delta of half squares, (a - y) a (1 - a), is used with cross-entropy",
        ),
    ],
)
def test_a_wrong_delta_is_named_where_the_loss_takes_logits(
    wrong: Callable[[Any, Any], Any], text: str, shifted: bool
) -> None:
    rng = np.random.default_rng(2)
    X, Y, W = rng.normal(size=(4, 2)), np.eye(3)[[0, 2, 1, 2]], rng.normal(size=(2, 3))

    def cost(W: Any) -> Any:
        z = X @ W
        z = z - z.max(axis=1, keepdims=True) if shifted else z
        return (np.log(np.exp(z).sum(axis=1)) - (Y * z).sum(axis=1)).mean()

    powers = np.exp(X @ W)
    p = powers / powers.sum(axis=1, keepdims=True)
    assert name_mistakes(cost, W, gradient=[X.T @ wrong(p, Y) / 4]) == [text]
    assert not name_mistakes(cost, W, gradient=[X.T @ (p - Y) / 4])


EXCLUSIVE = (
    {"sign", "sign of W1", "mean forgotten"},
    {"last sample", "a sample left out"},
    {"without weights", "not transposed"},
)
PAIRS = [
    (one, other)
    for one, other in itertools.combinations(NAMES, 2)
    if one.split()[0] != other.split()[0] and not any({one, other} <= group for group in EXCLUSIVE)
]


@pytest.mark.parametrize("pair", PAIRS[::12])
def test_two_mistakes_are_named_at_once(pair: tuple[str, str]) -> None:
    check_pair(pair)


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS[1::3])
def test_any_two_mistakes_are_named_at_once(pair: tuple[str, str]) -> None:
    check_pair(pair)


def check_pair(pair: tuple[str, str]) -> None:
    rng = np.random.default_rng(len(" and ".join(pair)))
    hidden = "sigmoid" if any(name.startswith("slope") for name in pair) else None
    penalty = 0.1 if any(name.startswith("penalty") for name in pair) else 0.0
    network = Network.random(rng, hidden=hidden, layers=3, penalty=penalty)
    at = network.start(rng)
    claim = network.gradients(*at, mistakes=pair)
    found = name_mistakes(network.cost, *at, gradient=claim)
    assert len(found) == 2, found
    for mistake in pair:
        assert any(told(mistake, network) in text or (mistake == "sign" and "wrong sign" in text) for text in found), (
            found
        )


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_right_and_random_claims_have_no_mistake(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network.random(rng, penalty=float(rng.choice([0.0, 0.1])))
    at = network.start(rng)
    right = network.gradients(*at)
    assert name_mistakes(network.cost, *at, gradient=right) == []
    in_float32 = [g.astype(np.float32).astype(float) for g in right]
    assert name_mistakes(network.cost, *at, gradient=in_float32) == []
    for size in (1e-9, 1e-7, 1e-3, 1.0):
        noisy = [g * (1.0 + size * rng.normal(size=g.shape)) for g in right]
        assert name_mistakes(network.cost, *at, gradient=noisy) == []
    assert name_mistakes(network.cost, *at, gradient=[rng.normal(size=g.shape) for g in right]) == []
    assert name_mistakes(network.cost, *at, gradient=network.gradients(*network.start(rng))) == []


@pytest.mark.parametrize("seed", [100, 103, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(104, 130))])
def test_a_right_claim_that_saturation_leaves_few_digits_has_no_mistake(seed: int) -> None:
    """A sigmoid that is 1 in floats has the slope a (1 - a) = 0 by hand, and 1e-20 in the graph."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(3, 2)), rng.integers(0, 2, size=(3, 1)).astype(float)
    at = (25.0 * rng.normal(size=(2, 3)), np.zeros(3), 25.0 * rng.normal(size=(3, 1)), np.zeros(1))

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        h = np.tanh(X @ W1 + b1)
        return 0.5 * np.sum((1.0 / (1.0 + np.exp(-(h @ W2 + b2))) - Y) ** 2)

    for kind in (np.float64, np.float32):
        x, y, W1, b1, W2, b2 = (a.astype(kind) for a in (X, Y, *at))
        h = np.tanh(x @ W1 + b1)
        with np.errstate(over="ignore"):
            o = 1 / (1 + np.exp(-(h @ W2 + b2)))
        d2 = (o - y) * o * (1 - o)
        d1 = (d2 @ W2.T) * (1 - h * h)
        claim = [g.astype(float) for g in (x.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0))]
        assert name_mistakes(loss, *at, gradient=claim) == []


@pytest.mark.slow
def test_no_right_claim_is_called_a_mistake() -> None:
    for seed in range(500):
        rng = np.random.default_rng([seed, 1])
        network = Network.random(rng, penalty=float(rng.choice([0.0, 0.1])))
        at = network.start(rng)
        assert name_mistakes(network.cost, *at, gradient=network.gradients(*at)) == [], seed


def test_the_report_says_the_mistake_where_it_is_known() -> None:
    rng = np.random.default_rng(4)
    network = Network.random(rng, hidden="tanh", loss="cross-entropy", layers=2)
    at = network.start(rng)
    report = check_gradient(network.cost, *at, gradient=network.gradients(*at, mistakes=("slope missing", "sign")))
    assert report.verdict == "FAIL"
    assert report.mistakes == ["the slope of tanh, layer 1 of 2, is missing", "x0, x1, x2, x3: a sign"]
    first = "mistake: the slope of tanh, layer 1 of 2, is missing; x0, x1, x2, x3: a sign"
    assert str(report).splitlines()[1].strip() == first
    assert report._repr_html_().index(first) < report._repr_html_().index("<table>")
    assert check_gradient(network.cost, *at, gradient=network.gradients(*at)).mistakes == []


def test_a_time_step_left_out_and_one_that_overwrites_are_told_apart() -> None:
    """A recurrent network by hand: du = ... in the place of du += ..., or without the first step."""
    xs = (0.5, -0.3, 0.8)

    def f(w: Any, u: Any) -> Any:
        h = 0.0
        for x in xs:
            h = mg.tanh(w * h + u * x)
        return h * h

    w, u = 0.7, -1.1
    hs = [0.0]
    for x in xs:
        hs.append(float(np.tanh(w * hs[-1] + u * x)))
    delta, steps = 2.0 * hs[-1], []
    for x, h, before in reversed(list(zip(xs, hs[1:], hs[:-1], strict=True))):
        at_z = delta * (1.0 - h * h)
        steps.append((at_z * before, at_z * x))
        delta = at_z * w
    dw, du = sum(a for a, _ in steps), sum(b for _, b in steps)
    assert name_mistakes(f, w, u, gradient=[dw, du]) == []
    last = name_mistakes(f, w, u, gradient=[dw, steps[-1][1]])
    assert last == ["only the first of 3 contributions counts (= for +=), in u only"]
    left = name_mistakes(f, w, u, gradient=[dw, du - steps[-1][1]])
    assert left == ["contribution 1 of 3 is left out (a sample, or a time step)"]  # that to w is 0


def test_a_value_used_twice_that_counts_once_is_named() -> None:
    def f(a: Any, b: Any) -> Any:
        h = mg.sin(a) * b
        return h * b + mg.exp(h)

    h, slope = float(np.sin(0.4)) * 1.3, float(np.cos(0.4)) * 1.3
    right = list(mg.grad(f, (0, 1))(0.4, 1.3))
    assert name_mistakes(f, 0.4, 1.3, gradient=right) == []
    (found,) = name_mistakes(f, 0.4, 1.3, gradient=[np.exp(h) * slope, np.exp(h) * np.sin(0.4) + h])
    assert "used 2 times, only the last use counts (= for +=)" in found


def test_a_transposed_gradient_is_named() -> None:
    X = np.array([[0.3, -0.2, 0.9], [0.1, 0.4, -0.6]])

    def f(W: Any) -> Any:
        return (np.tanh(W @ X) ** 2).sum()

    W = np.array([[0.5, -1.0], [0.2, 0.7]])
    A = np.tanh(W @ X)
    right = (2 * A * (1 - A**2)) @ X.T
    assert name_mistakes(f, W, gradient=right) == []
    assert name_mistakes(f, W, gradient=right.T) == ["W: transposed"]


def test_what_cannot_be_recorded_is_said() -> None:
    with pytest.raises(ValueError, match="mistakes are named by the recorded graph"):
        name_mistakes(math.cosh, 2.0, gradient=[3.0])


@given(st.lists(st.floats(0.1, 10.0), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_numbers_from_nowhere_are_no_mistake(claim: list[float]) -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return mg.sigmoid(x * 0.7 + y) * z + mg.tanh(z)

    assert name_mistakes(f, 0.3, -0.2, 1.1, gradient=[math.pi * g for g in claim]) == []


GATES = {"z > 0": lambda z: z > 0.0, "z >= 0": lambda z: z >= 0.0, "half": lambda z: (z > 0.0) + 0.5 * (z == 0.0)}


@pytest.mark.parametrize("gate", GATES)
def test_at_a_tie_no_convention_is_a_mistake_and_a_mistake_is_named_in_each(gate: str) -> None:
    X, Y = np.array([[1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [2.0, -2.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    at = (np.array([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0]]), np.zeros(3), np.array([[0.5], [-0.7], [0.9]]), np.zeros(1))

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        h = np.maximum(0.0, X @ W1 + b1)
        return 0.5 * np.sum((1.0 / (1.0 + np.exp(-(h @ W2 + b2))) - Y) ** 2)

    def backward(slope_missing: bool) -> list[Any]:
        W1, b1, W2, b2 = at
        z = X @ W1 + b1
        h = np.maximum(0.0, z)
        o = 1.0 / (1.0 + np.exp(-(h @ W2 + b2)))
        d2 = (o - Y) * (1.0 if slope_missing else o * (1.0 - o))
        d1 = (d2 @ W2.T) * GATES[gate](z)
        return [X.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)]

    right = backward(slope_missing=False)
    assert name_mistakes(loss, *at, gradient=right) == []
    assert name_mistakes(loss, *at, gradient=[2.0 * g for g in right]) == ["W1, b1, W2, b2: counted twice"]
    (named,) = name_mistakes(loss, *at, gradient=backward(slope_missing=True))
    assert named.startswith("the slope of sigmoid, layer 2 of 2, is missing")
