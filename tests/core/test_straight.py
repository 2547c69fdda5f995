"""Rules laid out as text: the bits of the rule itself, for every op."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ops import EDGES, TABLE, ids

from microgrid import ops
from microgrid.core.primitive import Op, computing, exactly
from microgrid.core.straight import source, straight

NUMBERS = st.one_of(st.sampled_from(EDGES), st.floats(), st.floats(-3.0, 3.0))


def bits(x: float) -> bytes:
    """All of them; one nan is as good as another."""
    return b"nan" if x != x else struct.pack("d", x)


def agree(op: Op, operands: tuple[float, ...]) -> None:
    z = op(*operands)
    assert list(map(bits, op.float_partials(z, *operands))) == list(map(bits, computing(op.partials)(z, *operands)))


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_a_rule_as_text_has_the_bits_of_the_rule_at_edges(op: Op) -> None:
    for operands in itertools.product(EDGES if op.arity < 3 else EDGES[:8] + EDGES[-6:], repeat=op.arity):
        agree(op, operands)


@given(st.sampled_from(TABLE), st.data())
def test_a_rule_as_text_has_the_bits_of_the_rule_anywhere(op: Op, data: st.DataObject) -> None:
    agree(op, tuple(data.draw(NUMBERS) for _ in range(op.arity)))


def test_more_static_operands_than_are_kept_have_right_rules_too() -> None:
    for k in range(1000):
        agree(ops.constant_power, (1.7, k / 8.0))


def test_a_wrong_text_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    ops.tanh.float_partials(0.1, 0.1)  # made
    wrong = straight("tanh_partials", lambda z, x: (1.0 - z * z,), 2)  # right, and rounded in another way
    monkeypatch.setattr(ops.tanh, "float_partials", wrong)
    with pytest.raises(AssertionError):
        agree(ops.tanh, (20.0,))


def test_what_stands_twice_is_computed_once_and_choices_are_pythons_own() -> None:
    assert source("f", lambda x: ops.where(ops.greater(x, 0.0), ops.exp(x) * ops.exp(x), ops.log(2.0)), 1) == (
        "def f(x0):\n"
        "    try:\n"
        "        t0 = math.exp(x0)\n"
        "        return ((t0 * t0) if x0 > 0.0 else 0.6931471805599453 if x0 <= 0.0 else nan)\n"
        "    except (ArithmeticError, ValueError):\n"
        "        t0 = exp(x0)\n"
        "        return ((t0 * t0) if x0 > 0.0 else 0.6931471805599453 if x0 <= 0.0 else nan)\n"
    )


def test_a_formula_that_reads_a_number_is_refused() -> None:
    with pytest.raises(TypeError, match="the formula reads a number"):
        source("f", lambda x: x if x > 0.0 else 0.0, 1)


@pytest.mark.parametrize("op", TABLE, ids=ids)
def test_a_text_that_is_made_within_a_computation_with_balls_is_that_for_floats(op: Op) -> None:
    static = (3.0,) * op.static
    texts = []
    for exact in (False, True):
        with exactly(exact):
            rule = source("rule", op.partials, 1 + op.arity - op.static, static)
            texts.append((rule, source("forward", op.formula, op.arity - op.static, static) if op.formula else ""))
    assert texts[0] == texts[1]
