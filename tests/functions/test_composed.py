"""Functions composed of ops, against mpmath: values, and derivatives of the orders 1 and 2, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from thinned import thinned

import microgrid as mg
from microgrid import Value, grad, trace
from microgrid.functions.composed import COMPOSED
from microgrid.testing import check_gradient

near = pytest.approx


def _elu(x: Any, alpha: Any) -> Any:
    return x if x > 0 else alpha * mpmath.expm1(x)


REFERENCES: dict[str, Callable[[Any], Any]] = {
    "leaky_relu": lambda x: x if x > 0 else mpmath.mpf(0.01) * x,
    "elu": lambda x: _elu(x, 1),
    "selu": lambda x: mpmath.mpf(1.0507009873554805) * _elu(x, mpmath.mpf(1.6732632423543772)),
    "celu": lambda x: _elu(x, 1),
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "relu6": lambda x: min(max(x, mpmath.mpf(0)), mpmath.mpf(6)),
    "hardtanh": lambda x: min(max(x, mpmath.mpf(-1)), mpmath.mpf(1)),
    "hardsigmoid": lambda x: min(max(x + 3, mpmath.mpf(0)), mpmath.mpf(6)) / 6,
    "hardswish": lambda x: x * min(max(x + 3, mpmath.mpf(0)), mpmath.mpf(6)) / 6,
    "softshrink": lambda x: mpmath.sign(x) * max(abs(x) - mpmath.mpf(0.5), mpmath.mpf(0)),
    "hardshrink": lambda x: x if abs(x) > 0.5 else mpmath.mpf(0),
    "tanhshrink": lambda x: x - mpmath.tanh(x),
    "sinc": lambda x: mpmath.sinc(mpmath.pi * x),
    "exp10": lambda x: mpmath.power(10, x),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "deg2rad": mpmath.radians,
    "rad2deg": mpmath.degrees,
    "sec": mpmath.sec,
    "csc": mpmath.csc,
}
OF_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "logsubexp": lambda x, y: mpmath.log(mpmath.exp(x) - mpmath.exp(y)),
}
KINKS = {0.0, -0.5, 0.5, 1.0, -1.0, 3.0, -3.0, 6.0}


def test_every_composed_function_has_a_reference() -> None:
    assert {*REFERENCES, *OF_TWO} == set(COMPOSED)


@pytest.mark.parametrize("name", thinned(REFERENCES))
@given(st.floats(-8.0, 8.0).filter(lambda x: min(abs(x - kink) for kink in KINKS) > 1e-3))
def test_values_and_derivatives_agree_with_mpmath(name: str, x: float) -> None:
    x = abs(x) if name == "rsqrt" else x
    f = getattr(mg, name)
    with mpmath.workdps(60):
        exact = [mpmath.diff(REFERENCES[name], mpmath.mpf(x), order) for order in range(3)]
    size = max(1.0, *map(abs, exact))  # near a zero of one, two terms cancel
    for order, g in enumerate((f, grad(f), grad(grad(f)))):
        assert g(x) == near(float(exact[order]), rel=1e-12, abs=1e-14 * float(size)), (order, x)


@pytest.mark.parametrize("name", REFERENCES)
def test_methods_arrays_replays_and_compiled_code_give_the_same(name: str) -> None:
    f = getattr(mg, name)
    xs = [0.3125, 0.75, 1.375, 2.5]
    expected = [f(x) for x in xs]
    assert [getattr(Value(x), name)().data for x in xs] == expected
    program = trace(f)(0.5)
    assert program(np.array(xs)).tolist() == near(expected, rel=1e-15)
    compiled = mg.compile(f, strict=True)
    assert [compiled.value_and_grad(x) for x in xs] == [(f(x), grad(f)(x)) for x in xs]
    assert [program.python()(x) for x in xs] == expected
    for x in xs:
        assert check_gradient(f, x).verdict == "PASS"


@given(st.floats(-700.0, 700.0), st.floats(1e-6, 100.0))
def test_a_difference_of_exponentials_in_logarithms(x: float, gap: float) -> None:
    y = x - gap
    with mpmath.workdps(60):
        exact = OF_TWO["logsubexp"](mpmath.mpf(x), mpmath.mpf(y))
        slope = 1 / (1 - mpmath.exp(mpmath.mpf(y) - mpmath.mpf(x)))
    assert mg.logsubexp(x, y) == near(float(exact), rel=1e-14, abs=1e-14)
    assert grad(mg.logsubexp, (0, 1))(x, y) == near((float(slope), float(1 - slope)), rel=1e-14)


def test_glu_is_half_of_its_numbers_gated_by_the_others() -> None:
    assert mg.glu([1.0, -2.0, 0.0, 3.0]) == [0.5, -2.0 * mg.sigmoid(3.0)]
    assert grad(lambda xs: mg.sum(mg.glu(xs)))([3.0, 0.0]) == [0.5, 0.75]
    with pytest.raises(ValueError, match="an even number of numbers, got 3"):
        mg.glu([1.0, 2.0, 3.0])


def test_bounds_and_parameters_may_be_values() -> None:
    assert grad(mg.clip, (0, 1, 2))(1.0, 2.0, 3.0) == (0.0, 1.0, 0.0)
    assert grad(lambda x, low: mg.hardtanh(x, low, 4.0), (0, 1))(1.0, 2.0) == (0.0, 1.0)
    assert grad(mg.softshrink, (0, 1))(2.0, 0.5) == (1.0, -1.0)
    assert grad(lambda x, a: mg.celu(x, a), (0, 1))(-1.0, 2.0)[0] == near(mg.exp(-0.5))
