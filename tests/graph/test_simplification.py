"""Simplified programs against unsimplified ones, on numbers that are all special."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from eagerly import same
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions

from microgrid import Instruction, Program, Value, cos, exp, ops, primitive, sin, trace
from microgrid.core.primitive import OPS, Op
from microgrid.graph import simplification
from microgrid.graph.probing import ABSORBS, OBSERVES, PROPAGATES, facts

SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, -0.5, math.inf, -math.inf, math.nan, 5e-324, -2e-310, 1e-160, 1e160, -1.7e308)
ARITHMETIC = [OPS[name] for name in "add sub mul div neg multiply_no_nan zero_product identity abs where".split()]
EVERY = [op for op in OPS.values() if not op.static and op.arity <= 3]
FEW = 120
"""Examples of a quick run."""


def numbers(n: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.one_of(st.sampled_from(SPECIAL), st.floats(-3.0, 3.0)), min_size=n, max_size=n)


def programs() -> st.SearchStrategy[RandomFunction]:
    """Arithmetic with constants of all kinds, and now and then another op."""
    return functions(of=[*ARITHMETIC * 8, *EVERY], numbers=SPECIAL, steps=25, outputs=3)


def both(f: RandomFunction) -> list[Program]:
    """A function's program, and that of the gradient of its last result."""
    program = trace(f)(*[0.3] * f.inputs)

    def last(*xs: Any) -> Any:
        return f(*xs)[-1]

    return [program, trace(last)(*[0.3] * f.inputs).gradient(value=True)]


def differing(program: Program, at: Sequence[float], alike: Callable[[float, float], bool], **how: bool) -> list[str]:
    """Say which results are not alike once the program is simplified."""
    plain, simple = program.replay(at), program.simplify(**how).replay(at)
    return [f"{i}: {a!r} is {b!r}" for i, (a, b) in enumerate(zip(plain, simple, strict=True)) if not alike(a, b)]


def to_the_bit(a: float, b: float) -> bool:
    return same(a, b, True)


def but_for_zeros(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def for_finite_arguments(program: Program, at: Sequence[float]) -> None:
    """Raise AssertionError where a nan is lost, or anything else differs for finite arguments."""
    given_ = len(program.inputs), program.constants, program.instructions, program.outputs
    found = simplification.simplified(*given_, signed_zeros=False, finite_arguments=True)
    short = Program(
        program.parameters,
        program.inputs,
        found.constants,
        [Instruction(*step) for step in found.instructions],
        found.outputs,
        in_structure=program.in_structure,
        out_structure=program.out_structure,
    )
    for a, b in zip(program.replay(at), short.replay(at), strict=True):
        assert but_for_zeros(a, b) or (b != b and not all(map(math.isfinite, at)))


def search(
    alike: Callable[[float, float], bool], examples: int, phases: Sequence[Phase] = tuple(Phase), **how: bool
) -> None:
    """Raise AssertionError for a program whose simplified form differs."""

    @settings(deadline=None, max_examples=examples, database=None, phases=phases)
    @given(st.data(), programs())
    def holds(data: st.DataObject, f: RandomFunction) -> None:
        at = data.draw(numbers(f.inputs))
        for program in both(f):
            assert differing(program, at, alike, **how) == []

    holds()


def test_a_simplified_program_keeps_every_bit() -> None:
    search(to_the_bit, FEW)


def test_without_signs_of_zeros_nothing_but_those_signs_differs() -> None:
    search(but_for_zeros, FEW, signed_zeros=False)


@settings(deadline=None, max_examples=FEW)
@given(st.data(), programs())
def test_for_finite_arguments_no_nan_is_lost(data: st.DataObject, f: RandomFunction) -> None:
    at = data.draw(numbers(f.inputs))
    for program in both(f):
        for_finite_arguments(program, at)


WRONG: dict[str, tuple[str, Any]] = {
    "0 * x is 0 whatever x is": ("vanishes", lambda self, value: not self.exact),
    "a - b is b - a": ("difference_of_slots", lambda self, i, j: 2 * self.emitted(ops.sub, (j, i))),
    "signs of factors are dropped": ("unsigned", lambda self, value: self.plain(value & ~1 if value & 2 else value)),
    "what is owed is forgotten": ("paid", lambda self, slot, arguments: slot),
    "every factor is finite": ("follows", lambda self, value, other: True),
    "negation is a copy": ("negated", lambda self, value: value),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_identity_would_be_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, planted = WRONG[how]
    monkeypatch.setattr(simplification, "PASS", type("Wrong", (simplification.PASS,), {name: planted}))
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        search(but_for_zeros, 3000, [Phase.generate], signed_zeros=False)


def test_signs_of_zeros_matter_to_a_quotient() -> None:
    program = trace(lambda x: 1.0 / (0.0 - x))(1.0)
    for simple in (program.simplify(), program.simplify(signed_zeros=False)):
        assert simple(0.0) == math.inf
    assert str(trace(lambda x: 0.0 - x)(1.0).simplify(signed_zeros=False)) == "def f(x):\n    t0 = -x\n    return t0"


def test_a_product_with_zero_goes_and_the_result_is_nan_where_it_was() -> None:
    program = trace(lambda x, y: x + 0.0 * sin(y) * cos(x))(1.0, 2.0)
    simple = program.simplify(signed_zeros=False)
    assert not {"sin", "cos"} & {op.name for op, _ in simple.instructions}
    assert simple(3.0, 4.0) == 3.0
    for at in ((1.0, math.inf), (math.nan, 1.0), (-math.inf, 0.0)):
        assert math.isnan(program(*at))
        assert math.isnan(simple(*at))
    unbounded = trace(lambda x: 0.0 * exp(x))(1.0).simplify(signed_zeros=False)
    assert math.isnan(unbounded(1000.0))


def test_values_keep_their_labels() -> None:
    x = Value(2.0, label="x")
    twice, again = x * 3.0, 3.0 * x
    twice.label, again.label = "twice", "again"
    simple = Program.of(twice + again * 1.0, [x]).simplify()
    assert set(simple.labels.values()) == {"twice"}
    assert len(simple.instructions) == 2


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.range is not None], ids=lambda op: op.name)
def test_results_stay_in_the_declared_range(op: Op) -> None:
    assert op.range is not None
    xs = [x for x in SPECIAL if math.isfinite(x)] + [0.05 * i for i in range(-400, 400, 1 if op.arity == 1 else 61)]
    for given_ in itertools.product(xs, repeat=op.arity):
        assert op.range[0] <= op.float_forward(*given_) <= op.range[1]


def test_facts_of_ops_are_those_of_ieee_754() -> None:
    assert facts(ops.div, ()).zero == (PROPAGATES, OBSERVES)
    assert facts(ops.cos, ()).zero == (ABSORBS,)
    assert facts(ops.sin, ()).inf_is_nan == (True,)
    assert facts(ops.multiply_no_nan, ()).nan_passes == (False, True)
    assert facts(ops.constant_power, (0.0,)).nan_passes == (False, False)
    own = primitive("of_mine", lambda x: x, lambda z, x: (1.0,))
    assert facts(own, ()) == ((False,), (False,), (False,), (OBSERVES,))
