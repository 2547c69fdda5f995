"""Elementary functions in lanes, against mpmath: a few ulps, also where arguments are large or results small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import microgrid as mg
from microgrid.compiler import elementary, machine, piecewise

TURNS = np.array([float(k * mpmath.pi / 2) for k in [*range(-40, 40), 1_000_003, 6_000_000, 683_565_275]])
FAR = np.array([-(2.0**30), 1.1e9, 1e22, 1e300])
RANDOM = np.random.default_rng(0).uniform(-1.0, 1.0, 200)
ANGLES = np.concatenate([TURNS, np.nextafter(TURNS, 9e9), RANDOM, 700.0 * RANDOM, 1e9 * RANDOM, 1e-9 * RANDOM, FAR])
EXPONENTS = np.concatenate([RANDOM, 40.0 * RANDOM, 700.0 * RANDOM, 1e-9 * RANDOM, [709.78, -708.0]])
NEAR_1 = np.concatenate([1.0 + 0.3 * RANDOM, 1.0 + 1e-3 * RANDOM, 1.0 + 1e-9 * RANDOM, 1.5 + 1e-15 * RANDOM])
EDGES = np.array([5e-324, 2e-310, np.finfo(float).tiny, np.finfo(float).max, 0.75, np.nextafter(1.5, 0.0), 1.5, 1.0])
POSITIVE = np.concatenate([NEAR_1, np.exp(700.0 * RANDOM), np.exp(3.0 * RANDOM), (np.arange(32) + 0.5) / 21.0, EDGES])
SIGNED = np.concatenate([RANDOM, 6.5 * RANDOM, 1e-3 * RANDOM, (np.arange(16) + 0.5) * 25.0 / 64.0, EDGES, -EDGES])

CASES: dict[str, tuple[Callable[[Any], Any], np.ndarray[Any, Any], float]] = {
    "sin": (mpmath.sin, ANGLES, 1.5),
    "cos": (mpmath.cos, ANGLES, 1.5),
    "exp": (mpmath.exp, EXPONENTS, 1.2),
    "tanh": (mpmath.tanh, EXPONENTS, 3.0),
    "log": (mpmath.log, POSITIVE, 1.2),
    "erf": (mpmath.erf, SIGNED, 2.0),
    "gaussian": (lambda x: mpmath.exp(-x * x), EXPONENTS[:400], 1.2),
}


def ulps(name: str) -> float:
    """Return the largest error of an op on many samples."""
    exact, xs, _ = CASES[name]
    op = mg.OPS[name]
    found = mg.compile(lambda x: op(x), cache=False, check=False).batch(xs)
    with mpmath.workdps(400):
        wanted = [exact(mpmath.mpf(x)) for x in xs.tolist()]
        errors = [abs(x - y) / np.spacing(abs(float(y))) for x, y in zip(found.tolist(), wanted, strict=True) if y]
    return float(max(errors))


@pytest.mark.parametrize("width", [8, 4])
@pytest.mark.parametrize("name", CASES)
def test_functions_in_lanes_are_right_to_few_ulps(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.machine()
    if width > here.width:
        pytest.skip("this machine has narrower registers")
    monkeypatch.setattr(here, "width", width)
    monkeypatch.setattr(here, "vector", min(here.vector, width))
    assert ulps(name) <= CASES[name][2]


@pytest.mark.parametrize("name", ["exp", "log", "erf", "tanh", "sin"])
def test_functions_in_lanes_have_the_limits_of_recording(name: str) -> None:
    xs = np.array([0.0, -0.0, -1.0, -5e-324, np.inf, -np.inf, np.nan, -np.finfo(float).max] * 4)
    op = mg.OPS[name]
    found = mg.compile(lambda x: op(x), cache=False, check=False).batch(xs)
    wanted = np.array([op(x) for x in xs.tolist()])
    np.testing.assert_allclose(found, wanted, rtol=1e-15)
    zero = wanted == 0.0
    assert (np.signbit(found[zero]) == np.signbit(wanted[zero])).all()


@pytest.mark.parametrize(
    ("name", "module", "rows", "kept"),
    [
        ("log", piecewise, "_LOG", -1),
        ("erf", piecewise, "_ERF", -1),
        ("exp", elementary, "_SHORT_SERIES", -1),
        ("tanh", elementary, "_ERRORS", 0),
    ],
)
def test_a_polynomial_without_its_last_coefficient_and_powers_without_their_errors_are_seen(
    name: str, module: Any, rows: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine.machine().width < 8:
        pytest.skip("this machine calls the C library")
    numbers = getattr(module, rows)
    monkeypatch.setattr(module, rows, [*numbers[:kept], *[0.0 * np.array(x) for x in numbers[kept:]]])
    assert ulps(name) > CASES[name][2]


def test_a_sine_with_pi_in_one_number_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    if machine.machine().width < 4:
        pytest.skip("this machine calls the C library")
    monkeypatch.setattr(elementary, "_HALF_PI", elementary._HALF_PI[:1])
    assert ulps("sin") > CASES["sin"][2]


def test_a_number_near_0_has_the_same_sine_beside_one_that_is_far() -> None:
    sines = mg.compile(lambda x: mg.sin(x))
    assert sines.batch(np.array([0.3, 1e300] * 16))[0] == sines.batch(np.full(32, 0.3))[0]
