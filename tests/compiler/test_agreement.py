"""First results are compared with recording: errors planted in any stage are seen, and code that is right passes."""

from __future__ import annotations

import contextlib
import functools
import math
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thinned import thinned

import microgrid as mg
from microgrid import nn, ops
from microgrid.compiler import agreement, formulas, plan, tracing
from microgrid.compiler.code import Accumulate, Code, Load, Repeat, Stored
from microgrid.compiler.llvm import ModuleText, module_of
from microgrid.compiler.roll import Loop, Node, Rolled, roll
from microgrid.compiler.storage import place
from microgrid.core.primitive import OPS
from microgrid.program import Instruction


def energy(w: Sequence[Any], x: Any) -> Any:
    """Nested loops over shared numbers, for one of each sample's own."""
    total: Any = 0.0
    for i in range(len(w)):
        inner: Any = w[0]
        for j in range(4):
            inner = inner + w[i] * mg.sin(x * w[(i + j) % len(w)])
        total = total + inner * inner
    return total


W = [0.3, -0.7, 1.1, 0.2, 0.9, -0.4] * 5  # so many that they are loops, not straight code


def one_fewer(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The last loop runs one iteration less."""
    *rest, last = nodes
    if isinstance(last, Loop):
        return (*rest, last._replace(times=last.times.plus(-1)))
    return (*one_fewer(rest), last)


def without_one(code: Sequence[Code]) -> tuple[list[Code], bool]:
    """The code without its first accumulation, and whether there was one."""
    kept: list[Code] = []
    for k, item in enumerate(code):
        if isinstance(item, Accumulate):
            return [*kept, *code[k + 1 :]], True
        if isinstance(item, Repeat):
            body, found = without_one(item.body)
            if found:  # what is left of a loop may be loads alone, which are no code for sums
                left = [item._replace(body=tuple(body))] if any(not isinstance(x, Load) for x in body) else []
                return [*kept, *left, *code[k + 1 :]], True
        kept.append(item)
    return kept, False


def plant_in_roll(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(tape: Any) -> Rolled:
        rolled = roll(tape)
        return rolled.with_nodes(one_fewer(rolled.nodes))

    monkeypatch.setattr(plan, "loops_of", wrong)


def plant_in_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(rolled: Rolled, *, alone: bool) -> Stored:
        stored = place(rolled, alone=alone)
        first, found = without_one(stored.segments[0])
        sums = stored.sums if found else tuple(without_one(stored.sums)[0])
        return stored._replace(segments=(tuple(first), *stored.segments[1:]), sums=sums)

    monkeypatch.setattr(plan, "place", wrong)


def plant_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any) -> ModuleText:
        module = module_of(*given)
        return module._replace(text=module.text.replace(" fmul ", " fadd ", 1))

    monkeypatch.setattr(plan, "module_of", wrong)


def plant_in_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formulas.FORMULAS, "sin", formulas.FORMULAS["tanh"])


def plant_in_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is not what the function recorded, and the code is that of the program."""
    laid_flat = tracing._laid_flat

    def wrong(*given: Any) -> Any:
        program, modules = laid_flat(*given)
        instructions = [(ops.cos if op is ops.sin else op, operands) for op, operands in program.instructions]
        program.instructions = tuple(Instruction(*each) for each in instructions)
        return program, modules

    monkeypatch.setattr(tracing, "_laid_flat", wrong)


PLANTS = [plant_in_the_trace, plant_in_roll, plant_in_storage, plant_in_text, plant_in_formulas]


def model() -> nn.MLP:
    random.seed(4)
    return nn.MLP(2, [5, 1], activation="tanh")


CALLS: dict[str, Callable[[bool, bool], Any]] = {
    "one sample": lambda strict, check: mg.compile(
        lambda x, w: energy(w, x), strict=strict, check=check, cache=False
    ).value_and_grad(0.4, W),
    "rows": lambda strict, check: mg.compile(
        lambda x: energy([x * w for w in W], x), strict=strict, check=check, cache=False
    ).batch_value_and_grad(np.linspace(0.1, 1.0, 300)),
    "shared": lambda strict, check: mg.compile(energy, strict=strict, check=check, cache=False).batch_value_and_grad(
        W, np.linspace(0.1, 1.0, 5), in_axes=(None, 0)
    ),
    "loss": lambda strict, check: mg.compile(
        lambda out, y: mg.sin(out - y) ** 2.0, model(), strict=strict, check=check, cache=False
    )(np.linspace(0.1, 1.0, 40).reshape(20, 2), np.linspace(0.0, 1.0, 20)),
}


@functools.cache
def right(call: str, strict: bool) -> None:
    """Without a plant nothing is wrong."""
    CALLS[call](strict, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "call", "strict"),
    [
        pytest.param(
            plant,
            call,
            strict,
            id=f"{plant.__name__}, {call}, {'to the bit' if strict else 'to rounding'}",
            marks=() if (i + j + strict) % 2 else pytest.mark.slow,  # each stage and each call always, in both modes
        )
        for i, plant in enumerate(PLANTS)
        for j, call in enumerate(CALLS)
        for strict in (True, False)
    ],
)
def test_an_error_planted_in_a_stage_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], call: str, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    right(call, strict)
    plant(monkeypatch)
    with pytest.raises(RuntimeError, match=r"compiled, is not what recording gives: .* compiled and .* recorded"):
        CALLS[call](strict, True)
    CALLS[call](strict, False)


@pytest.mark.parametrize("row", [0, 49, 99])
def test_the_first_the_middle_and_the_last_row_are_compared(row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any) -> None:
        outputs, _ = given[-1]
        outputs[row if row < 99 else -1] *= 1.0 + 1e-9
        agreement.checked(*given)

    monkeypatch.setattr(plan, "checked", wrong)
    monkeypatch.setattr(agreement, "SHARE", 100.0)  # however slow the machine is
    with pytest.raises(RuntimeError, match="is not what recording gives: the value is"):
        mg.compile(lambda x: x * x, cache=False).batch(np.linspace(1.0, 2.0, 100 if row == 99 else 99))


def test_the_error_says_what_a_report_needs_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_formulas(monkeypatch)
    f = mg.compile(energy, cache=False)
    for _ in range(2):
        with pytest.raises(RuntimeError) as error:
            f.value_and_grad(W, 0.4)
        text = str(error.value)
        assert text.startswith("energy, compiled, ")
        assert all(part in text for part in ("instructions", "elements", "lanes", "please report it", "check=False"))
        assert repr(energy(W, 0.4)) in text


def test_only_the_first_result_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    f = mg.compile(lambda x: mg.exp(x))
    assert f(1.0) == math.e
    assert "check" in f.report()
    monkeypatch.setattr(plan, "checked", None)
    assert f(2.0) == math.exp(2.0)


def test_an_empty_batch_leaves_the_comparison_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_formulas(monkeypatch)
    f = mg.compile(lambda x: mg.sin(x))
    f.batch(np.zeros(0))
    with pytest.raises(RuntimeError, match="is not what recording gives"):
        f.batch(np.ones(3))


def chaos(x: Any) -> Any:
    for _ in range(80):
        x = mg.exp(-(x * x) * 6.0) * 1.4 - 0.4 * mg.tanh(3.0 * x)
    return x


def expanded(x: Any) -> Any:
    total: Any = 0.0
    for k in range(8):
        total = total + (x**k) * (math.comb(7, k) * (-1.0) ** (7 - k))
    return total


def cancelled(x: Any) -> Any:
    total: Any = 1e8 * x
    for k in range(20):
        total = total + (0.1 * k) * mg.sin(x * k)
    return mg.sqrt(mg.abs(total - 1e8 * x)) * mg.exp(total - 1e8 * x)


DIFFICULT: dict[str, tuple[Callable[..., Any], list[float]]] = {
    "chaos": (chaos, [0.1, 0.31, -0.7]),
    "expanded polynomial": (expanded, [1.0, 1.001, 0.999, 1.0001]),
    "cancellation": (cancelled, [0.7, 1.1, 3.0]),
    "ties": (lambda x: mg.maximum(mg.exp(x) * mg.exp(-x), 1.0) * mg.relu(mg.tanh(x) - mg.tanh(x)), [0.1, 0.7, 1.3]),
    "steps": (lambda x: mg.floor(mg.exp(mg.log(x))) * x + mg.round(x * 0.5) + mg.sign(mg.log(x)), [3.0, 1.0, 7.0]),
    "large angles": (lambda x: mg.sin(mg.exp(x) * 1e10), [1.0, 20.0, 30.0]),
    "overflow": (lambda x: mg.exp(x) * mg.exp(x) - mg.exp(2.0 * x), [354.9, 355.0, 1000.0]),
    "underflow": (lambda x: mg.exp(x) * 1e300 * 1e10, [-710.0, -740.0, -745.1]),
    "not finite": (lambda x: mg.log(x) / x + mg.atanh(x), [0.0, -1.0, math.inf, math.nan, 1.0]),
    "a cotangent that vanishes": (lambda x: mg.sqrt(mg.exp(x) - mg.exp(x)) * (mg.tanh(x) - mg.tanh(x)), [0.3, 1.0]),
    "powers": (lambda x: x**1000.0 - mg.exp(1000.0 * mg.log(x)), [1.1, 0.9, 2.0]),
    "root of what is left": (lambda x: mg.sqrt(mg.sin(x) ** 2.0 + mg.cos(x) ** 2.0 - 1.0), [0.1, 0.2, 0.3, 0.5]),
}


@pytest.mark.parametrize("name", thinned(DIFFICULT))
def test_code_that_is_right_raises_no_alarm_where_rounding_matters(name: str) -> None:
    f, points = DIFFICULT[name]
    for strict in (False, True):
        mg.compile(f, strict=strict, cache=False).batch_value_and_grad(np.array([*points] * 15))
        tied = mg.compile(lambda x, y: f(x * y), strict=strict, cache=False)
        for x in points:
            tied.batch_value_and_grad(x, np.ones(40), in_axes=(None, 0))
            mg.compile(f, strict=strict).value_and_grad(x)


def test_replays_that_scatter_are_what_lets_them_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the alarm would be false: rounding alone is what differs here."""
    monkeypatch.setattr(agreement, "FARTHER", 0.0)
    seen = 0
    for f, points in DIFFICULT.values():
        try:
            mg.compile(f, cache=False).batch_value_and_grad(np.array(points * 9))  # in lanes functions differ more
        except RuntimeError:
            seen += 1
    assert seen >= 2


CHOICES: dict[str, Callable[[Any, Any], Any]] = {
    "not": lambda a, b: 1.0 - a,
    "and": lambda a, b: a * b,
    "or": lambda a, b: a + b - a * b,
    "nor, by the mean": lambda a, b: 1.0 - (a + b) / 2.0,
    "minimum": mg.minimum,
    "maximum": mg.maximum,
    "same": ops.equal,
    "exclusive or": lambda a, b: mg.abs(a - b),
    "odd": lambda a, b: (a + b) % 2.0,
}
PLANTED = {"greater": formulas._indicator("olt"), "equal": formulas._indicator("one")}
numbers = st.sampled_from([0.7, 1.0, 2.0, -3.25])
comparisons = st.tuples(st.sampled_from(["greater", "equal"]), st.integers(0, 4), st.integers(0, 4))
choices = st.recursive(
    comparisons, lambda parts: st.tuples(st.sampled_from(sorted(CHOICES)), parts, parts), max_leaves=6
)


def chosen(choice: tuple[str, Any, Any], operands: Sequence[Any]) -> Any:
    """The number, 0 or 1 but for a mean, that a choice is made by."""
    name, left, right = choice
    if name in PLANTED:
        return OPS[name](operands[left], operands[right])
    return CHOICES[name](chosen(left, operands), chosen(right, operands))


@pytest.mark.slow
@given(choices, numbers, numbers, numbers, st.sampled_from([None, 0.3]), st.sampled_from(sorted(PLANTED)))
@example(("greater", 0, 3), 0.7, 2.0, 1.0, None, "greater")
@example(("greater", 0, 3), 0.7, 2.0, 1.0, 0.3, "greater")
@example(("not", ("not", ("greater", 0, 3), ("equal", 0, 0)), ("equal", 0, 0)), 0.7, 2.0, 1.0, None, "greater")
@settings(max_examples=20)
def test_a_wrong_comparison_is_seen_in_any_choice_made_of_comparisons(
    choice: Any, x: float, y: float, constant: float, scale: float | None, name: str
) -> None:
    """A replay that moved the 0 or the 1 of a comparison took the other branch, too, and explained it."""

    def f(x: Any, y: Any) -> Any:
        condition = chosen(choice, [x, y, x + y, constant, mg.tanh(x)])
        return mg.where(condition if scale is None else condition * x * scale, 3.0 + x * 2.0, x * x)

    expected = mg.compile(f, cache=False).value_and_grad(x, y)  # right code raises no alarm
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(formulas.FORMULAS, name, PLANTED[name])
        if mg.compile(f, cache=False, check=False).value_and_grad(x, y) != expected:
            with pytest.raises(RuntimeError, match=r"compiled, is not what recording gives: .*"):
                mg.compile(f, cache=False).value_and_grad(x, y)


TIES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "equal": lambda u, v, x: mg.where(u.equal(v), x, x * x),
    "remainder": lambda u, v, x: mg.where(u % v, x, x * x),
    "difference": lambda u, v, x: mg.where((u - v) * x, x, x * x),
    "quotient": lambda u, v, x: x / (u - v),
    "logarithm": lambda u, v, x: x * mg.log(mg.abs(u - v)),
    "sign": lambda u, v, x: x ** mg.sign(u - v),
}


@pytest.mark.slow
@pytest.mark.parametrize("x", [49.0, 98.0])
@pytest.mark.parametrize("name", TIES)
def test_numbers_that_rounding_alone_tells_apart_may_be_equal_and_no_others(
    name: str, x: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved by up to 16 units in the last place, they were equal in too few replays: 1 of 15 first results like these
    was called an error."""

    def f(x: Any, apart: Any) -> Any:
        return TIES[name](mg.exp(x) / mg.exp(x) * (1.0 / x) * x + apart, mg.sin(x) ** 2.0 + mg.cos(x) ** 2.0, x)

    def planted(result: float, *given: Any) -> None:
        outputs, _ = given[-1]
        outputs[0, 0] = result
        agreement.checked(*given)

    tied = TIES[name](mg.Value(1.0), mg.Value(1.0), mg.Value(x)).data
    for apart, result, fails in ((0.0, tied, False), (1e-9, tied, True), (0.0, 1e9, math.isfinite(tied))):
        monkeypatch.setattr(plan, "checked", functools.partial(planted, result))
        with pytest.raises(RuntimeError, match="is not what rec") if fails else contextlib.nullcontext():
            mg.compile(f, cache=False)(x, apart)


def test_an_error_is_seen_where_little_is_left_of_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding explains 1e-6 of this value, and not a third of it."""

    def f(x: Any) -> Any:
        return (x * 1e10 + mg.sin(x)) - x * 1e10 + mg.cos(x) * 0.5

    mg.compile(f, cache=False)(0.7)
    monkeypatch.setitem(formulas.FORMULAS, "cos", lambda w, x: w.library("cos", x) * 2.0)
    with pytest.raises(RuntimeError, match="is not what recording gives"):
        mg.compile(f, cache=False)(0.7)


def test_the_comparison_records_where_nothing_is_recorded_or_everything_watched() -> None:
    f = mg.compile(lambda x: mg.log(x) * x, cache=False)
    with mg.no_grad():
        assert f.value_and_grad(2.0) == (math.log(2.0) * 2.0, math.log(2.0) + 1.0)
    with warnings.catch_warnings(), mg.detect_anomaly():
        value, slope = f.batch_value_and_grad([0.0, 1.0])
    assert math.isnan(value[0])
    assert slope[1] == 1.0


@pytest.mark.parametrize("strict", [True, False])
def test_values_outside_keep_their_gradients(strict: bool) -> None:
    scale = mg.Value(2.0)
    scale.grad = 7.0
    f = mg.compile(lambda x: mg.sin(x) * scale, strict=strict, cache=False)
    assert f.value_and_grad(0.5)[0] == math.sin(0.5) * 2.0
    assert scale.grad == 7.0


def test_contributions_that_cancel_with_others_between_them_raise_no_alarm() -> None:
    """Recording adds 1 and -1 one after the other, compiled code a number of 1e-12 between them: 1e-17 is left."""

    def f(xs: Any, y: Any) -> Any:
        carried = xs[3] * 0.5
        for i in range(6):
            carried = mg.sin(carried * xs[1] + (xs[i % 4] - xs[1]) * xs[i % 4])
        return carried * y

    at = [0.0, 1.0, 1e-12, 0.0]
    _, (slopes, _) = mg.compile(f, cache=False).batch_value_and_grad(at, [1.0, -2.0], in_axes=(None, 0))
    expected = [sum(rows) for rows in zip(*[mg.grad(f)(at, y) for y in (1.0, -2.0)], strict=True)]
    assert slopes == pytest.approx(expected, abs=1e-14)
