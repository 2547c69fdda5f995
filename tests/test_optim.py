"""Optimisers, schedules and clipping, against hand-computed steps, closed forms and PyTorch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import Value, optim
from microgrid.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

CASES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "SGD": (SGD, {"lr": 0.1}),
    "SGD, weight decay": (SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "SGD, momentum": (SGD, {"lr": 0.05, "momentum": 0.9}),
    "SGD, momentum, decay": (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.05}),
    "SGD, Nesterov": (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "Adagrad": (Adagrad, {"lr": 0.1}),
    "Adagrad, weight decay": (Adagrad, {"lr": 0.1, "weight_decay": 0.05, "eps": 1e-3}),
    "RMSprop": (RMSprop, {"lr": 0.01}),
    "RMSprop, weight decay": (RMSprop, {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.05}),
    "Adam": (Adam, {"lr": 0.01}),
    "Adam, betas, decay": (Adam, {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.05}),
    "AdamW": (AdamW, {"lr": 0.01, "weight_decay": 0.05}),
}
START = [1.0, -2.0, 0.5, 3.0]


def valley(p: Any) -> Any:
    """A curved function of four numbers, on Values as on PyTorch's."""
    return (p[0] * p[0] - p[1]) ** 2 + (p[1] - 1.0) ** 2 + p[2] * p[2] * p[0] * 0.1 + (p[3] * p[2]) ** 2


def walk(optimizer: Optimizer, steps: int) -> list[list[float]]:
    """The parameters after each step."""
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        valley(optimizer.parameters).backward()
        optimizer.step()
        path.append([p.data for p in optimizer.parameters])
    return path


def made(case: str, **more: Any) -> Optimizer:
    kind, options = CASES[case]
    optimizer: Optimizer = kind([Value(x) for x in START], **{**options, **more})
    return optimizer


@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=9), st.floats(0.0, 1e3))
def test_plain_descent_has_the_bits_of_its_update(pairs: list[tuple[float, float]], lr: float) -> None:
    class Written(SGD):
        def update(self, data: list[float], gradients: list[float], rate: float) -> list[float]:
            return super().update(data, gradients, rate)

    def after(kind: type[SGD]) -> list[str]:
        values = [Value(x) for x, _ in pairs]
        for value, (_, gradient) in zip(values, pairs, strict=True):
            value.grad = gradient
        kind(values, lr).step()
        return [value.data.hex() for value in values]

    assert after(SGD) == after(Written)


def torch_walk(kind: str, options: dict[str, Any], steps: int, before_step: Callable[[Any, int], None]) -> Any:
    torch = pytest.importorskip("torch")
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([p], **options)
    path = []
    for step in range(steps):
        optimizer.zero_grad()
        valley(p).backward()
        before_step((torch, p, optimizer), step)
        optimizer.step()
        path.append(p.detach().tolist())
    return path


def agree(ours: list[list[float]], theirs: list[list[float]]) -> None:
    assert len(ours) == len(theirs) == 100
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert mine == pytest.approx(other, rel=1e-12, abs=1e-12), f"step {step}"


@pytest.mark.parametrize("case", CASES)
def test_a_hundred_updates_are_those_of_pytorch(case: str) -> None:
    kind, options = CASES[case]
    agree(walk(made(case), 100), torch_walk(kind.__name__, options, 100, lambda *_: None))


def test_clipped_updates_are_those_of_pytorch() -> None:
    def clip_norm(torch: Any, step: int) -> None:
        torch[0].nn.utils.clip_grad_norm_([torch[1]], 1.5)

    def clip_value(torch: Any, step: int) -> None:
        torch[0].nn.utils.clip_grad_value_([torch[1]], 0.7)

    agree(walk(made("SGD", clip_norm=1.5), 100), torch_walk("SGD", {"lr": 0.1}, 100, clip_norm))
    agree(walk(made("SGD", clip_value=0.7), 100), torch_walk("SGD", {"lr": 0.1}, 100, clip_value))


@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (optim.step_decay(0.02, 30, 0.5), "StepLR", {"step_size": 30, "gamma": 0.5}),
        (optim.exponential_decay(0.02, 0.97), "ExponentialLR", {"gamma": 0.97}),
        (optim.cosine(0.02, 100, 0.001), "CosineAnnealingLR", {"T_max": 100, "eta_min": 0.001}),
        (optim.warm_up(0.02, 40, 0.25), "LinearLR", {"start_factor": 0.25, "total_iters": 40}),
    ],
)
def test_schedules_are_those_of_pytorch(ours: Callable[[int], float], name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    for step in range(100):
        assert ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        schedule.step()


# The first two steps from 3 along the gradients 0.5 and then 2, by hand.
FIRST_STEPS: dict[str, tuple[Callable[[Value], Optimizer], float, float]] = {
    "SGD": (lambda p: SGD([p], 0.1), 3.0 - 0.05, 3.0 - 0.05 - 0.2),
    "decay": (lambda p: SGD([p], 0.1, weight_decay=0.1), 3.0 - 0.1 * 0.8, 2.92 - 0.1 * (2.0 + 0.292)),
    "momentum": (lambda p: SGD([p], 0.1, momentum=0.9), 2.95, 2.95 - 0.1 * 2.45),
    "Nesterov": (
        lambda p: SGD([p], 0.1, momentum=0.9, nesterov=True),
        3.0 - 0.1 * (0.5 + 0.45),
        2.905 - 0.1 * (2.0 + 0.9 * 2.45),
    ),
    "Adagrad": (lambda p: Adagrad([p], 0.1, eps=1e-300), 2.9, 2.9 - 0.1 * 2.0 / math.sqrt(4.25)),
    "RMSprop": (
        lambda p: RMSprop([p], 0.1, alpha=0.75, eps=1e-300),
        3.0 - 0.1 * 0.5 / 0.25,
        2.8 - 0.1 * 2.0 / math.sqrt(0.75 * 0.0625 + 1.0),
    ),
    "Adam": (
        lambda p: Adam([p], 0.1, betas=(0.5, 0.75), eps=1e-300),
        2.9,
        2.9 - 0.1 * (1.125 / 0.75) / math.sqrt((0.75 * 0.0625 + 1.0) / 0.4375),
    ),
    "AdamW": (
        lambda p: AdamW([p], 0.1, betas=(0.5, 0.75), eps=1e-300, weight_decay=0.5),
        3.0 * 0.95 - 0.1,
        2.75 * 0.95 - 0.1 * (1.125 / 0.75) / math.sqrt((0.75 * 0.0625 + 1.0) / 0.4375),
    ),
    "clipped by value": (lambda p: SGD([p], 0.1, clip_value=0.25), 2.975, 2.95),
    "clipped by norm": (lambda p: SGD([p], 0.1, clip_norm=1.0), 2.95, 2.95 - 0.1 * 2.0 / 2.000001),
}


@pytest.mark.parametrize("case", FIRST_STEPS)
def test_the_first_steps_are_those_computed_by_hand(case: str) -> None:
    make, first, second = FIRST_STEPS[case]
    p = Value(3.0)
    optimizer = make(p)
    p.grad = 0.5
    optimizer.step()
    assert p.data == pytest.approx(first, rel=1e-14)
    p.grad = 2.0
    optimizer.step()
    assert p.data == pytest.approx(second, rel=1e-14)


def test_the_means_of_momentum_and_adam_are_the_sums_they_stand_for() -> None:
    """Recursions against their closed forms, in exact fractions: what `check_gradient` is to a derivative."""
    gradients = [math.sin(3.0 * k) for k in range(30)]
    p = Value(0.0)
    momentum, adam = SGD([p], 0.0, momentum=0.9), Adam([p], 0.0)
    for g in gradients:
        p.grad = g
        momentum.step()
        adam.step()

    def weighted(weight: float, power: int) -> float:
        exact = Fraction(weight)
        terms = [exact ** (29 - k) * Fraction(g) ** power for k, g in enumerate(gradients)]
        return float(sum(terms))

    assert momentum.memory["velocity"] == [pytest.approx(weighted(0.9, 1), rel=1e-14)]
    assert adam.memory["mean"] == [pytest.approx(0.1 * weighted(0.9, 1), rel=1e-14)]
    assert adam.memory["squares"] == [pytest.approx(0.001 * weighted(0.999, 2), rel=1e-12)]


@pytest.mark.parametrize("case", CASES)
def test_a_long_walk_comes_down_and_a_short_step_never_goes_up(case: str) -> None:
    start = valley([Value(x) for x in START]).data
    end = walk(made(case), 300)[-1]
    assert valley(end) < 0.3 * start
    short = made(case, lr=1e-6)
    assert valley(walk(short, 1)[0]) < start


@pytest.mark.parametrize("case", CASES)
def test_a_walk_goes_on_from_a_state_to_the_same_bits(case: str) -> None:
    whole = walk(made(case), 20)
    first = made(case)
    walk(first, 10)
    second = made(case)
    second.load_state_dict(first.state_dict())
    for p, q in zip(first.parameters, second.parameters, strict=True):
        q.data = p.data
    assert walk(second, 10) == whole[10:]


def test_a_schedule_sets_the_rate_of_each_step() -> None:
    p = Value(0.0)
    optimizer = SGD([p], lambda step: 1.0 / (step + 1))
    rates = []
    for _ in range(3):
        rates.append(optimizer.rate)
        p.grad = -1.0
        optimizer.step()
    assert rates == [1.0, 0.5, 1.0 / 3.0]
    assert p.data == pytest.approx(11.0 / 6.0)
    both = optim.warm_up(optim.exponential_decay(1.0, 0.5), 2, 0.0)
    assert [both(step) for step in range(4)] == [0.0, 0.25, 0.25, 0.125]
    assert optim.cosine(1.0, 4, 0.5)(9) == 0.5


def test_clipping_tells_the_length_that_was_and_leaves_short_gradients_alone() -> None:
    p, q = Value(0.0), Value(0.0)
    p.grad, q.grad = 3.0, 4.0
    assert optim.clip_grad_norm([p, q], 10.0) == 5.0
    assert (p.grad, q.grad) == (3.0, 4.0)
    assert optim.clip_grad_norm([p, q], 1.0) == 5.0
    assert math.hypot(p.grad, q.grad) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_parameter_that_is_listed_twice_is_one(case: str) -> None:
    kind, options = CASES[case]
    leaves = [Value(x) for x in START]
    twice = kind([*leaves, *leaves[1:3]], clip_norm=1.5, clip_value=1.0, **options)
    assert twice.parameters == leaves
    assert walk(twice, 3) == walk(made(case, clip_norm=1.5, clip_value=1.0), 3)


def test_clipping_counts_a_parameter_once() -> None:
    p = Value(1.0)
    p.grad = 10.0
    assert optim.clip_grad_norm([p, p], 1.0) == 10.0
    assert p.grad == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
@pytest.mark.parametrize("limit", [-1.0, 0.0, math.nan])
def test_a_limit_that_would_turn_the_gradient_round_leaves_it_alone(clip: Callable[..., Any], limit: float) -> None:
    p = Value(1.0)
    p.grad = 10.0
    with pytest.raises(ValueError, match=f"limit must be positive, got {limit}"):
        clip([p], limit)
    assert p.grad == 10.0


def test_the_state_of_another_optimizer_changes_nothing() -> None:
    adam = made("Adam")
    walk(adam, 2)
    kept = adam.state_dict()
    with pytest.raises(ValueError, match="the state of SGD, not of Adam"):
        adam.load_state_dict(made("SGD").state_dict())
    with pytest.raises(ValueError, match=r"mean: 1 number\(s\) for 4 parameter\(s\)"):
        adam.load_state_dict(Adam([Value(1.0)]).state_dict())
    assert adam.state_dict() == kept


WRONG = st.sampled_from([None, -1, -0.5, 1e300, 10**400, 2**53, True, "word", "nan", [], [1.0], {}, {"x": 1.0}])


@given(st.sampled_from(list(CASES)), st.sampled_from("kind steps memory slot number".split()), WRONG)
def test_a_wrong_state_changes_nothing_and_every_state_that_is_taken_can_step(
    case: str, place: str, wrong: Any
) -> None:
    optimizer = made(case)
    walk(optimizer, 2)
    kept = optimizer.state_dict()
    state = optimizer.state_dict()
    if place in state:
        state[place] = wrong
    else:
        slot = optimizer.slots[-1]
        state["memory"][slot] = wrong if place == "slot" else [wrong, *state["memory"][slot][1:]]
    try:
        optimizer.load_state_dict(state)
    except ValueError:
        assert optimizer.state_dict() == kept
    else:
        optimizer.step()
        assert optimizer.steps == state["steps"] + 1


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: SGD([]), "nothing to train"),
        (lambda: SGD([Value(1.0), Value(3.0) * 2.0]), r"parameter 1, Value.*is the result of mul: a step"),
        (lambda: SGD([Value(1.0)], -0.1), "lr must be a number from 0 on, got -0.1"),
        (lambda: SGD([Value(1.0)], cast(Any, "0.1")), "lr must be a number from 0 on, got '0.1'"),
        (lambda: SGD([Value(1.0)], math.nan), "lr must be"),
        (lambda: SGD([Value(1.0)], momentum=-1.0), "momentum"),
        (lambda: SGD([Value(1.0)], nesterov=True), "give momentum"),
        (lambda: Adam([Value(1.0)], weight_decay=-1.0), "weight_decay"),
        (lambda: Adam([Value(1.0)], betas=(0.9, 1.0)), "beta2 must be from 0 to below 1"),
        (lambda: RMSprop([Value(1.0)], alpha=1.5), "alpha"),
        (lambda: RMSprop([Value(1.0)], eps=0.0), "eps, which keeps 0 / 0 away"),
        (lambda: Adam([Value(1.0)], eps=-1.0), "eps"),
        (lambda: Adagrad([Value(1.0)], eps=math.nan), "eps"),
        (lambda: SGD([Value(1.0)], clip_norm=0.0), "clip_norm must be positive"),
        (lambda: SGD([Value(1.0)], clip_value=-1.0), "clip_value must be positive"),
        (lambda: optim.step_decay(0.1, 0), "at least 1"),
        (lambda: optim.cosine(0.1, 0), "at least 1"),
        (lambda: optim.warm_up(0.1, 0), "at least 1"),
    ],
)
def test_misuse_says_what_to_change(misuse: Callable[[], Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        misuse()


def test_a_number_is_no_parameter() -> None:
    with pytest.raises(TypeError, match=r"parameter 1 is 2\.0, no Value"):
        SGD([Value(1.0), cast(Any, 2.0)])


def test_an_optimizer_shows_what_it_is() -> None:
    assert repr(made("SGD")) == "SGD(lr=0.1, 4 parameters, 0 steps)"
    assert repr(made("Adam", lr=optim.cosine(0.1, 10))) == "Adam(lr=cosine, 4 parameters, 0 steps)"
    own = functools.partial(lambda rate, step: rate, 0.1)
    assert repr(made("Adam", lr=own)) == "Adam(lr=schedule, 4 parameters, 0 steps)"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("clipped", [{}, {"clip_value": 0.5}, {"clip_norm": 0.7}])
def test_steps_on_arrays_have_the_bits_of_steps_on_values(case: str, clipped: dict[str, float]) -> None:
    np = pytest.importorskip("numpy")
    kind, options = CASES[case]
    start = np.random.default_rng(0).normal(size=optim.MANY - 1)
    few, alone = (kind([Value(x) for x in start], **options, **clipped) for _ in range(2))
    many = kind([Value(x) for x in [*start, 0.0]], **{**options, **clipped})
    assert few.takes_arrays
    x = start.copy()
    for step in range(5):
        gradients = np.random.default_rng(step).normal(size=len(start)) * 10.0 ** (step - 2)
        for optimizer in (few, many):
            for p, g in zip(optimizer.parameters, [*gradients, 0.0], strict=False):
                p.grad = g
            optimizer.step()
        x, slopes = alone.step_of(x, gradients)
        assert slopes.tolist() == [p.grad for p in few.parameters]
        assert x.tolist() == [p.data for p in few.parameters] == [p.data for p in many.parameters][:-1]
    assert alone.state_dict() == few.state_dict()
    other = kind([Value(x) for x in x], **options, **clipped)
    other.load_state_dict(alone.state_dict())
    assert other.step_of(x, x)[0].tolist() == alone.step_of(x, x)[0].tolist()
