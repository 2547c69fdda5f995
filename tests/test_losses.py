"""Losses: their values, their certified gradients, and where the naive forms overflow."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import Value, grad, hessian, losses, softmax, trace, value_and_grad
from microgrid.testing import check_gradient

MULTIPLE: dict[str, Any] = {
    name: loss for name, loss in losses.LOSSES.items() if name not in ("cross_entropy", "half_squares")
}

POINTS: dict[str, tuple[list[float], Any]] = {
    "mse": ([0.3, -1.2, 2.0], [1.0, 0.5, -0.25]),
    "half_squares": ([0.3, -1.2, 2.0], [1.0, 0.5, -0.25]),
    "mae": ([0.3, -1.2, 2.0], [1.0, 0.5, -0.25]),
    "huber": ([0.3, -1.2, 2.0], [1.0, 0.5, -0.25]),
    "hinge": ([0.3, -1.2, 2.0], [1.0, -1.0, -1.0]),
    "binary_cross_entropy": ([0.3, 0.999, 0.01], [1.0, 0.0, 0.25]),
    "binary_cross_entropy_with_logits": ([0.3, -40.0, 700.0], [1.0, 0.0, 0.25]),
    "cross_entropy": ([0.3, -40.0, 12.0], 2),
}


def by_definition(name: str, outputs: list[float], target: Any) -> float:
    """The textbook formula in 50 digits."""
    mp = pytest.importorskip("mpmath").mp
    with mp.workdps(400):
        o = [mp.mpf(x) for x in outputs]
        if name == "cross_entropy":
            weights = [float(k == target) for k in range(len(o))] if isinstance(target, int) else target
            whole = mp.fsum(mp.exp(x) for x in o)
            return float(-mp.fsum(w * mp.log(mp.exp(x) / whole) for w, x in zip(weights, o, strict=True)))
        t = [mp.mpf(x) for x in target]
        d = [a - b for a, b in zip(o, t, strict=True)]
        if name == "binary_cross_entropy_with_logits":
            o = [1 / (1 + mp.exp(-x)) for x in o]
        formulas: dict[str, Callable[[], list[Any]]] = {
            "mse": lambda: [x**2 for x in d],
            "half_squares": lambda: [x**2 / 2 * len(d) for x in d],
            "mae": lambda: [abs(x) for x in d],
            "huber": lambda: [x**2 / 2 if abs(x) <= 1 else abs(x) - mp.mpf(1) / 2 for x in d],
            "hinge": lambda: [max(0, 1 - a * b) for a, b in zip(o, t, strict=True)],
        }
        if name in formulas:
            terms = formulas[name]()
        else:
            terms = [-(b * mp.log(a) + (1 - b) * mp.log(1 - a)) for a, b in zip(o, t, strict=True)]
        return float(mp.fsum(terms) / len(terms))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_loss_is_what_its_formula_says(name: str) -> None:
    outputs, target = POINTS[name]
    expected = by_definition(name, outputs, target)
    loss = losses.LOSSES[name]
    assert loss(outputs, target) == pytest.approx(expected, rel=1e-14)
    assert loss([Value(x) for x in outputs], target).data == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_the_gradient_of_a_loss_is_certified(name: str) -> None:
    outputs, target = POINTS[name]
    report = check_gradient(lambda *o: losses.LOSSES[name](list(o), target), *outputs)
    assert report.verdict == "PASS", str(report)


@given(st.lists(st.tuples(st.floats(-30, 30), st.sampled_from([0.0, 1.0])), min_size=1, max_size=4))
def test_cross_entropy_of_probabilities_and_of_logits_agree(pairs: list[tuple[float, float]]) -> None:
    logits, targets = [z for z, _ in pairs], [t for _, t in pairs]
    probabilities = [Value(z).sigmoid() for z in logits]
    from_probabilities = losses.binary_cross_entropy(probabilities, targets)
    from_logits = losses.binary_cross_entropy_with_logits(logits, targets)
    assert from_probabilities.data == pytest.approx(from_logits, rel=1e-2, abs=1e-15)  # 1 - p has lost digits


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=5), st.data())
def test_a_class_is_the_probability_one_of_it(logits: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(logits) - 1))
    one_hot = [float(k == label) for k in range(len(logits))]
    a, b = [Value(z) for z in logits], [Value(z) for z in logits]
    first, second = losses.cross_entropy(a, label), losses.cross_entropy(b, one_hot)
    assert first.data == pytest.approx(second.data, rel=1e-12, abs=1e-12)
    first.backward()
    second.backward()
    assert [v.grad for v in a] == pytest.approx([v.grad for v in b], rel=1e-12, abs=1e-12)


# output, target, loss, derivative: where exp overflows, or a digit is lost to 1 - p
EXTREMES = [
    ("binary_cross_entropy_with_logits", 1000.0, 1.0, 0.0, -0.0),
    ("binary_cross_entropy_with_logits", 1000.0, 0.0, 1000.0, 1.0),
    ("binary_cross_entropy_with_logits", -1000.0, 1.0, 1000.0, -1.0),
    ("binary_cross_entropy_with_logits", math.inf, 1.0, 0.0, 0.0),
    ("binary_cross_entropy_with_logits", math.inf, 0.0, math.inf, 1.0),
    ("binary_cross_entropy_with_logits", -math.inf, 0.0, 0.0, 0.0),
    ("binary_cross_entropy_with_logits", -math.inf, 1.0, math.inf, -1.0),
    ("binary_cross_entropy_with_logits", math.inf, 0.5, math.inf, 0.5),
    ("binary_cross_entropy_with_logits", 40.0, 1.0, math.exp(-40.0), -math.exp(-40.0)),
    ("binary_cross_entropy", 1.0, 1.0, 0.0, -1.0),
    ("binary_cross_entropy", 0.0, 0.0, 0.0, 1.0),
    ("binary_cross_entropy", 0.0, 1.0, math.inf, -math.inf),
    ("binary_cross_entropy", 1e-300, 1.0, 300.0 * math.log(10.0), -1e300),
    ("huber", 1e200, 0.0, 1e200, 1.0),
    ("huber", 1.0, 0.0, 0.5, 1.0),
    ("mae", 2.0, 2.0, 0.0, 0.0),
    ("hinge", 1.0, 1.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("name", "output", "target", "expected", "slope"), EXTREMES)
def test_nothing_overflows_and_no_digit_is_lost(
    name: str, output: float, target: float, expected: float, slope: float
) -> None:
    v = Value(output)
    loss = losses.LOSSES[name](v, target)
    loss.backward()
    assert loss.data == pytest.approx(expected, rel=1e-14)
    assert v.grad == pytest.approx(slope, rel=1e-14)


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    logits = [Value(1e4), Value(-1e4), Value(0.0)]
    loss = losses.cross_entropy(logits, 2)
    loss.backward()
    assert loss.data == 1e4
    assert [v.grad for v in logits] == [1.0, 0.0, -1.0]


@pytest.mark.parametrize("label", [2, [0.0, 0.0, 1.0, 0.0]])
def test_a_masked_class_adds_nothing(label: Any) -> None:
    masked = [-math.inf, 1.0, 2.0, 0.5]
    rest = label - 1 if isinstance(label, int) else label[1:]
    value, slopes = value_and_grad(lambda z: losses.cross_entropy(z, label))(masked)
    expected, others = value_and_grad(lambda z: losses.cross_entropy(z, rest))(masked[1:])
    assert (value, slopes) == (pytest.approx(expected, rel=1e-15), pytest.approx([0.0, *others], rel=1e-15))
    assert losses.cross_entropy(masked, [0.5, 0.5, 0.0, 0.0]) == math.inf


@pytest.mark.parametrize(("z", "t"), [(3.0, 0.0), (3.0, 1.0), (-3.0, 0.25), (math.inf, 1.0), (-math.inf, 0.0)])
def test_the_second_derivatives_of_the_binary_cross_entropy_hold_at_certain_targets(z: float, t: float) -> None:
    """They are s (1 - s) by the logit, whose sigmoid is s, -1 by logit and target, and 0 by the target."""
    rows = hessian(losses.binary_cross_entropy_with_logits, (0, 1))(z, t)
    curvature = 0.0 if math.isinf(z) else 1.0 / (2.0 + math.exp(z) + math.exp(-z))
    assert [*rows[0], *rows[1]] == pytest.approx([curvature, -1.0, -1.0, 0.0], rel=1e-14)


@pytest.mark.parametrize("name", MULTIPLE)
def test_the_mean_is_the_sum_by_the_number_of_outputs(name: str) -> None:
    outputs, target = POINTS[name]
    loss = MULTIPLE[name]
    total = functools.partial(loss, reduction="sum")(outputs, target)
    assert loss(outputs, target) == pytest.approx(total / 3.0, rel=1e-15)
    assert loss(outputs[0], target[0]) == loss(outputs[:1], target[:1])


def test_delta_is_where_huber_turns_straight() -> None:
    assert losses.huber(3.0, 1.0, delta=2.0) == 2.0
    assert losses.huber(4.0, 1.0, delta=2.0) == 4.0


def test_a_penalty_is_a_sum_over_parameters_and_certified() -> None:
    p = [0.5, -2.0, 3.0]
    assert losses.l2(p, 0.1) == pytest.approx(1.325)
    assert check_gradient(lambda *ps: losses.l2(ps, 0.1), *p).verdict == "PASS"


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: losses.mse([1.0, 2.0], 1.0), r"2 output\(s\), the target 1"),
        (lambda: losses.mse(1.0, 1.0, reduction=cast(Any, "none")), "'mean' or 'sum'"),
        (lambda: losses.huber(1.0, 1.0, delta=0.0), "positive"),
        (lambda: losses.cross_entropy([1.0, 2.0], 2), "label 2 is none of the classes 0 to 1"),
        (lambda: losses.cross_entropy([1.0, 2.0], 0.5), "label 0.5 is none"),
        (lambda: losses.loss_named("msee"), "unknown loss 'msee': choose one of mse, half_squares"),
    ],
)
def test_misuse_says_what_to_change(misuse: Callable[[], Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        misuse()


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_loss_is_one_program_for_all_samples(name: str) -> None:
    """Traced with outputs and target as inputs, it asks for no number: what is compiled once holds for all."""
    loss = losses.LOSSES[name]
    outputs, target = POINTS[name]
    goal: list[float] = [0.0, 1.0, 0.0] if name == "cross_entropy" else target
    program = trace(loss)([0.1, 0.2, 0.3], [1.0, 1.0, 1.0])
    assert program(outputs, goal) == pytest.approx(loss(outputs, goal), rel=1e-14)


LOGITS = st.lists(st.floats(-372.0, 372.0), min_size=2, max_size=6)


@given(LOGITS, st.sampled_from([0.0, 1e3, 2.0**40, -(2.0**40)]), st.data())
def test_the_gradient_of_the_cross_entropy_is_exact_in_every_tail_and_at_every_shift(
    logits: list[float], shift: float, data: st.DataObject
) -> None:
    mp = pytest.importorskip("mpmath").mp
    shifted = [z + shift for z in logits]
    label = data.draw(st.integers(0, len(logits) - 1))
    one_hot = [float(k == label) for k in range(len(logits))]
    with mp.workdps(700):
        weights = [mp.exp(mp.mpf(z) - mp.mpf(shifted[0])) for z in shifted]
        p = [w / mp.fsum(weights) for w in weights]
        expected = [float(q - k) for q, k in zip(p, one_hot, strict=True)]
    near = [pytest.approx(x, rel=1e-12, abs=1e-320) for x in expected]
    assert grad(lambda z: losses.cross_entropy(z, label))(shifted) == near
    assert grad(lambda z: losses.cross_entropy(z, one_hot))(shifted) == near
    assert softmax(shifted) == [pytest.approx(float(q), rel=1e-12, abs=1e-320) for q in p]
    assert math.fsum(softmax(shifted)) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("margin", [700.0, 705.0, 709.0, 710.0, 715.0, 740.0, 744.0])
@pytest.mark.parametrize("target", [0, [1.0, 0.0]])
def test_the_cross_entropy_holds_at_margins_where_the_others_probability_is_subnormal(
    margin: float, target: Any
) -> None:
    slope = pytest.approx(math.exp(-margin), rel=1e-12, abs=5e-324)
    assert grad(lambda z: losses.cross_entropy(z, target))([350.0, 350.0 - margin])[1] == slope
    assert losses.cross_entropy([350.0, 350.0 - margin], target) == slope
    assert hessian(lambda z: losses.cross_entropy(z, target))([350.0, 350.0 - margin])[0][0] == slope


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=6))
def test_a_softmax_of_any_size_sums_to_one(logits: list[float]) -> None:
    assert math.fsum(softmax(logits)) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("label", [1, [0.0, 1.0, 0.0, 0.0]])
@pytest.mark.parametrize("others", [2.0, -math.inf, -800.0])
def test_the_hessian_with_masked_classes_is_that_without_them(label: Any, others: float) -> None:
    rows = hessian(lambda z: losses.cross_entropy(z, label))([-math.inf, 1.0, -math.inf, others])
    curvature = 1.0 / (2.0 + math.exp(1.0) + math.exp(-1.0)) if others == 2.0 else 0.0
    expected = [[0.0] * 4, [0.0, curvature, 0.0, -curvature], [0.0] * 4, [0.0, -curvature, 0.0, curvature]]
    for row, there in zip(rows, expected, strict=True):
        assert row == pytest.approx(there, rel=1e-14)
