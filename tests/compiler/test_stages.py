"""Stage by stage: loops expand to what they came from, random programs compute the same, nothing unset is read."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from eagerly import eager, same
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interpreting import interpreting
from programs import KINKED, SMOOTH
from unrolled import check_expansion, tape

import microgrid as mg
from microgrid import Program, Value, nn, trace
from microgrid.compiler import plan
from microgrid.compiler.formulas import shares
from microgrid.compiler.gradient import Request, tape_of
from microgrid.compiler.lanes import Mode
from microgrid.compiler.roll import Loop, Node, roll
from microgrid.compiler.storage import place
from microgrid.core import tree
from microgrid.core.primitive import built_in
from microgrid.numbers.arithmetic import VALUES
from microgrid.testing.strategies import points, programs

QUICK = settings(deadline=None, max_examples=25)


@st.composite
def looped(draw: st.DrawFn, *, ops: Any = (*SMOOTH, *KINKED)) -> tuple[Program, list[float]]:
    """A program of nested loops of random lengths around a random body, which sees a state, and rows of inputs."""
    body = draw(programs(ops=ops, min_inputs=2, max_inputs=2, max_size=6))
    outer, inner = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["carried", "layers", "both"]))

    def f(xs: list[Any]) -> Any:
        state: Any = xs[0]
        layer = list(xs[:inner])
        for i in range(outer):
            if kind in ("carried", "both"):
                for j in range(inner):
                    state = body(mg.tanh(state), xs[(i + j) % len(xs)])
            if kind in ("layers", "both"):
                layer = [mg.tanh(mg.sum([body(x, xs[j]) for x in layer])) for j in range(inner)]
        return mg.tanh(state) + mg.sum(layer)

    at = draw(points(inner + 2))
    return trace(f)(at), at


def depth(node: Node) -> int:
    return 1 + max(map(depth, node.body)) if isinstance(node, Loop) else 0


# --- rolling ---------------------------------------------------------------------------------------------------------


@QUICK
@given(programs(max_size=60))
def test_loops_expand_to_exactly_the_instructions_they_came_from(program: Program) -> None:
    check_expansion(program)


@settings(deadline=None, max_examples=60)
@given(looped())
def test_so_do_loops_of_programs_that_were_loops(case: tuple[Program, list[float]]) -> None:
    check_expansion(case[0])


def network(sizes: list[int]) -> Program:
    model = nn.MLP(sizes[0], sizes[1:])
    x = [Value(0.1 * i) for i in range(sizes[0])]
    out = model(x)
    return Program.of(mg.sum(out) if isinstance(out, list) else out, [*x, *model.parameters()])


@pytest.mark.parametrize("sizes", [[2, 16, 16, 1], [5, 7, 3], [4, 4, 4, 4, 4]], ids=str)
def test_a_network_rolls_into_nested_loops(sizes: list[int]) -> None:
    rolled = check_expansion(network(sizes), sizes[0])
    assert max(map(depth, rolled.nodes)) >= 2


def test_the_code_of_a_network_has_one_size_for_all_widths() -> None:
    small, large = (check_expansion(network(sizes), sizes[0]).elements for sizes in ([16, 12, 8], [30, 20, 10]))
    assert small == large < 60


def test_three_iterations_are_a_loop_and_two_are_none() -> None:
    for n, expected in ((2, 0), (3, 1)):
        program = trace(lambda xs: mg.sum([mg.exp(x) for x in xs]))([0.5] * n)
        first = check_expansion(program, n).nodes[0]
        assert depth(first) == expected


def test_constants_that_differ_are_a_table() -> None:
    program = trace(lambda x: mg.sum([x * (0.1 * i**2) for i in range(9)]))(2.0)
    straight = tape_of(program, Request((False,)), lambda op, static: True)
    stored = place(roll(straight))
    assert [round(c, 3) for c in stored.table] == [round(0.1 * i**2, 3) for i in range(9)]
    assert place(roll(tape(trace(lambda xs: mg.sum([x * 3.0 for x in xs]))([0.5] * 9), 9))).table == ()


# --- storage ---------------------------------------------------------------------------------------------------------


def test_what_a_loop_carries_is_not_stored() -> None:
    stored = place(roll(tape_of(trace(mg.sum)([0.5] * 50), Request((False,) * 50), lambda op, static: True)))
    assert stored.sizes["v"] == 0
    assert "r" in str(stored)


def test_what_is_stored_lies_densely() -> None:
    stored = place(roll(tape(network([64, 16, 4]), 64)))
    assert stored.sizes["v"] <= 16 + 4
    assert stored.sizes["g"] <= 16 + 4


# --- all the way -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is read before it is written holds nan here."""
    monkeypatch.setattr(plan, "POISON", True)


def check_to_the_bit(program: Program, at: list[float]) -> None:
    structured = tree.unflatten(program.in_structure, at)
    expected, slopes = eager(lambda *xs: program.replay(xs, VALUES)[0], at)
    for interpreted in (False, True):
        with interpreting(interpreted):
            value, gradient = program.compile(strict=True).value_and_grad(*structured)
        got = tree.flatten(gradient, lambda x, _: x, "")[0]
        assert all(same(a, b, strict=True) for a, b in zip([value, *got], [expected, *slopes], strict=True))


@QUICK
@given(st.data(), programs(ops=[*SMOOTH, *KINKED], max_size=20))
def test_random_programs_compute_the_same_bits(data: st.DataObject, program: Program) -> None:
    check_to_the_bit(program, data.draw(points(program)))


@QUICK
@given(st.data(), programs(ops=[op for op in mg.OPS.values() if op.name in built_in], max_size=15))
def test_so_do_programs_of_all_ops_at_special_numbers(data: st.DataObject, program: Program) -> None:
    special = st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 1e300, 1e-310, 0.5, 700.0])
    count = len(program.inputs)
    check_to_the_bit(program, data.draw(st.lists(special, min_size=count, max_size=count)))


@QUICK
@given(looped())
def test_random_loops_compute_the_same_bits(case: tuple[Program, list[float]]) -> None:
    check_to_the_bit(*case)


def sizes_on_the_way(program: Program, at: list[float]) -> float:
    """The largest number in a run of a program."""
    slots = [*at, *program.constants]
    for op, operands in program.instructions:
        slots.append(op.forward(*[slots[i] for i in operands]))
    return max(map(abs, slots), default=0.0)


@QUICK
@given(looped(ops=[op for op in SMOOTH if op.name not in ("exp", "gaussian")]))
def test_by_default_they_agree_to_rounding(case: tuple[Program, list[float]]) -> None:
    """Fused products do not cancel where rounded ones do: so the largest number on the way is the measure."""
    program, at = case
    derivative = program.gradient(value=True)
    size = sizes_on_the_way(derivative, at)
    assume(math.isfinite(size) and size < 1e3)
    value, slopes = derivative(at)
    got, gradient = program.compile().value_and_grad(at)
    for a, b in zip([got, *gradient], [value, *slopes], strict=True):
        assert math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12 * max(size, 1.0))


@pytest.mark.slow
@QUICK
@given(looped())
def test_lanes_compute_the_bits_of_single_samples(case: tuple[Program, list[float]]) -> None:
    program, at = case
    compiled = program.compile(strict=True)
    rows = np.array([at, [x + 0.5 for x in at], at[::-1]] * 7)
    with interpreting():
        interpreted = program.compile(strict=True).batch_value_and_grad(rows)
    values, gradients = compiled.batch_value_and_grad(rows)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(interpreted, (values, gradients), strict=True))
    for row, value, gradient in zip(rows[:3], values, gradients, strict=False):
        expected, slopes = compiled.value_and_grad(row.tolist())
        assert all(same(a, b, strict=True) for a, b in zip([value, *gradient], [expected, *slopes], strict=True))


@pytest.mark.slow
@QUICK
@given(looped(), st.integers(1, 140))
def test_sums_over_samples_are_the_sums_of_single_gradients(case: tuple[Program, list[float]], samples: int) -> None:
    program, at = case
    split = len(at) // 2
    compiled = mg.compile(lambda shared, own: program([*shared, *own]), strict=True)
    rows = np.array([[x + 0.01 * i for x in at[split:]] for i in range(samples)])
    _, (sums, own) = compiled.batch_value_and_grad(at[:split], rows, in_axes=(None, 0))
    singles = [compiled.gradient(at[:split], row) for row in rows.tolist()]
    assert np.array_equal(own, [gradient for _, gradient in singles], equal_nan=True)
    terms = np.array([gradient for gradient, _ in singles])
    assume(np.isfinite(terms).all())
    assert np.allclose(sums, terms.sum(axis=0), rtol=1e-12, atol=1e-13 * np.abs(terms).sum())


def test_what_a_loop_of_sums_has_read_is_read_again_after_it() -> None:
    """Inputs are added whatever their kind, so that loops over those of one kind end with sums over the other."""

    def f(shared: list[Any], own: list[Any]) -> Any:
        xs = [*shared, *own]
        return mg.sum([mg.tanh(mg.sum([-(x + xs[j]) for x in xs[:4]])) for j in range(4)])

    compiled = mg.compile(f)
    shared, own = [0.1, 0.2, 0.3], [0.1, -0.2, 0.3]
    _, (sums, _) = compiled.batch_value_and_grad(shared, [own] * 3, in_axes=(None, 0))
    assert np.allclose(sums, 3.0 * np.array(compiled.gradient(shared, own)[0]), rtol=1e-13, atol=0)


SECOND: dict[str, Callable[[Any], Any]] = {
    "rosenbrock": lambda x: mg.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(5)]),
    "network": lambda x: nn_like(x),
    "norms": lambda x: mg.norm(x) * mg.logsumexp(x),
}


def nn_like(x: list[Any]) -> Any:
    layer = x
    for k in range(2):
        layer = [mg.tanh(mg.sum([0.1 * (i - j + k) * y for i, y in enumerate(layer)])) for j in range(6)]
    return mg.sum(layer)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_are_those_of_eager_evaluation(name: str, strict: bool) -> None:
    f, at = SECOND[name], [0.3, -0.2, 0.5, 0.9, -1.1, 0.4]
    gradient = trace(f)(at).gradient()
    assert_all_same(gradient.compile(strict=strict)(at), gradient(at), strict)
    direction = [1.0, 0.0, -2.0, 0.5, 0.0, 1.0]
    product = trace(lambda x: mg.sum([g * v for g, v in zip(gradient(x), direction, strict=True)]))(at)
    compiled = product.compile(strict=strict).gradient(at)
    assert np.allclose(compiled, mg.hvp(f, (at,), (direction,)), rtol=1e-12, atol=1e-12)
    of_compiled = product.gradient().compile(strict=strict)(at)
    assert_all_same(of_compiled, product.gradient()(at), strict)


def assert_all_same(got: Any, expected: Any, strict: bool) -> None:
    size = max(map(abs, expected))
    assert all(same(a, b, strict, size) for a, b in zip(got, expected, strict=True))


def test_long_straight_code_is_cut_into_segments() -> None:
    """No two neighbours are alike, so nothing rolls; numbers pass from one segment to the next through memory."""

    def f(x: Any, y: Any) -> Any:
        known = [x, y]
        for i in range(1500):
            a, b = known[-1 - (i * i) % min(len(known), 50)], known[-1 - (7 * i * i + i // 3) % min(len(known), 23)]
            known.append([mg.sin, mg.tanh, mg.cos][(i * i // 7) % 3](a + b) if (i * i) % 5 else a * b)
        return known[-1] + known[-2]

    program = trace(f)(0.3, 0.7)
    assert len(place(roll(tape(program))).segments) > 3
    check_to_the_bit(program, [0.3, 0.7])


def test_partials_that_share_an_exponential_with_their_op_stand_in_the_forward_pass() -> None:
    mode = Mode(16, False, 8)
    early = functools.partial(shares, mode)
    assert [early(mg.OPS[name], ()) for name in ("tanh", "sigmoid", "sin", "log", "mul")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    program = trace(lambda x: mg.sin(mg.tanh(x)))(0.5)
    lines = str(tape_of(program, Request((False,), (0,)), lambda op, static: True, early)).splitlines()
    density = next(i for i, line in enumerate(lines) if "logistic_density" in line)
    assert density < next(i for i, line in enumerate(lines) if "sin(" in line)
    assert sorted(line.split(" = ")[1].split("(")[0] for line in lines) == sorted(
        line.split(" = ")[1].split("(")[0]
        for line in tape_of(program, Request((False,), (0,)), lambda op, static: True).lines()
    )
