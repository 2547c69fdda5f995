"""The usual functions are recognised, in whatever way they are written; others are not taken for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from student import sigmoid, softmax, tanh

import microgrid as mg
from microgrid import trace
from microgrid.graph.recognition import Unit, recognised

np = pytest.importorskip("numpy")

WRITTEN: dict[str, list[Callable[[Any], Any]]] = {
    "sigmoid": [
        lambda z: 1 / (1 + mg.exp(-z)),
        lambda z: mg.exp(z) / (1 + mg.exp(z)),
        lambda z: (1 + mg.exp(-z)) ** -1,
        lambda z: 0.5 * (1 + mg.tanh(z / 2)),
        lambda z: sigmoid(np.array([z]))[0],
        mg.sigmoid,
    ],
    "tanh": [
        lambda z: tanh(np.array([z]))[0],
        lambda z: 2 / (1 + mg.exp(-2 * z)) - 1,
        lambda z: 1 - 2 / (mg.exp(2 * z) + 1),
        mg.tanh,
    ],
    "relu": [
        lambda z: mg.maximum(z, 0.0),
        lambda z: (z + mg.abs(z)) / 2,
        mg.relu,
    ],
    "softplus": [lambda z: mg.log(1 + mg.exp(z)), lambda z: mg.logaddexp(0.0, z), mg.softplus],
    "silu": [lambda z: z * mg.sigmoid(z), lambda z: z / (1 + mg.exp(-z)), mg.silu],
    "gelu": [lambda z: 0.5 * z * (1 + mg.erf(z / 2**0.5)), mg.gelu],
}


def units_of(f: Callable[..., Any], *at: Any) -> tuple[mg.Program, list[Unit]]:
    program = trace(f)(*at)
    count = len(program.inputs)
    steps = [(instruction.op, instruction.operands) for instruction in program.instructions]
    constants = {count + k: x for k, x in enumerate(program.constants)}
    return program, recognised(steps, count + len(constants), constants)


@pytest.mark.parametrize(("kind", "form"), [(kind, k) for kind, forms in WRITTEN.items() for k in range(len(forms))])
def test_a_function_is_recognised_however_it_is_written(kind: str, form: int) -> None:
    program, units = units_of(lambda w, x: WRITTEN[kind][form](w * x), 0.3, 1.5)
    (unit,) = [unit for unit in units if unit.kind == kind]
    assert unit.result == program.outputs[0]
    (operand,) = unit.operands
    z = len(program.inputs) + len(program.constants)  # w * x is the first instruction that depends on both
    assert {operand, *unit.inside} & {z, z + 1}


@pytest.mark.parametrize(
    "other",
    [
        lambda z: 1 / (1.001 + mg.exp(-z)),
        lambda z: 1 / (1 + mg.exp(-1.1 * z)),
        lambda z: mg.maximum(z, 0.1 * z),
        lambda z: mg.log(1.1 + mg.exp(z)),
        lambda z: z * mg.sigmoid(1.7 * z),
    ],
)
def test_what_differs_a_little_is_not_taken_for_it(other: Callable[[Any], Any]) -> None:
    program, units = units_of(lambda w, x: other(w * x), 0.3, 1.5)
    product = len(program.inputs) + len(program.constants)
    assert not [
        unit
        for unit in units
        if unit.kind in WRITTEN and unit.result == program.outputs[0] and unit.operands == (product,)
    ]


@pytest.mark.parametrize(
    "form",
    [
        softmax,
        lambda z: np.exp(z) / np.exp(z).sum(),
        lambda z: np.exp(z - 0.7) / np.sum(np.exp(z - 0.7)),
        lambda z: np.array(mg.softmax(list(z))),
    ],
)
def test_a_softmax_is_recognised_by_its_form(form: Callable[[Any], Any]) -> None:
    program, units = units_of(lambda z: list(form(z)), np.array([0.3, -0.2, 1.1]))
    found = [unit for unit in units if unit.kind == "softmax"]
    assert [unit.result for unit in found] == list(program.outputs)
    assert [unit.operands[0] for unit in found] == [0, 1, 2]
    assert all(sorted(unit.operands) == [0, 1, 2] for unit in found)


def test_a_quotient_of_other_sums_is_no_softmax() -> None:
    for form in (
        lambda z: np.exp(z) / (np.exp(z).sum() + 1.0),
        lambda z: np.exp(z) / np.exp(2 * z).sum(),
        lambda z: z / z.sum(),
        lambda z: np.exp(z - z[0]) / np.exp(z).sum(),
    ):
        _, units = units_of(lambda z, form=form: list(form(z)), np.array([0.3, -0.2, 1.1]))
        assert not [unit for unit in units if unit.kind == "softmax"]


def test_a_constant_is_not_taken_for_a_value_of_its_number() -> None:
    """log(1 + exp(z)) is a softplus; log(e + e), whose e is the value number 1, is none."""

    def f(w: Any, x: Any) -> list[Any]:
        e = mg.exp(w * x * 0.5)
        return [mg.log(1.0 + mg.exp(w * x)), mg.log(e + e)]

    program, units = units_of(f, 0.3, 1.5)
    assert [unit.result for unit in units if unit.kind == "softplus"] == [program.outputs[0]]


def test_an_op_of_the_user_is_recognised_by_name_and_may_refuse_numbers() -> None:
    def careful(x: float) -> float:
        if x < 0.0:
            raise ValueError("negative")
        return math.sqrt(x) * x

    op = mg.primitive("careful", careful, lambda z, x: (1.5 * mg.sqrt(x),))
    _, units = units_of(lambda x: 2.0 * op(x * x) + 1.0, 0.7)
    assert [unit.kind for unit in units if unit.kind == "careful"] == ["careful"]


def test_a_result_that_is_used_elsewhere_stays_the_unit() -> None:
    """1 - sigmoid(z) is a sigmoid of -z, but in a cross-entropy the sigmoid is what a person wrote."""

    def f(z: Any) -> Any:
        a = 1 / (1 + mg.exp(-z))
        return mg.log(a) + mg.log(1 - a)

    _, units = units_of(f, 0.3)
    (unit,) = [unit for unit in units if unit.kind == "sigmoid"]
    assert unit.operands == (0,)
