"""Functions of several results are checked as Jacobians, and reports show which rows and columns are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import microgrid as mg
from microgrid.testing import assert_gradient, check_gradient, property_of_gradients

np = pytest.importorskip("numpy")


def several(W: Any, b: Any) -> Any:
    return np.tanh(W @ b)


W, B = np.array([[0.3, -0.2, 0.9], [0.5, 1.1, -0.4]]), np.array([0.7, -1.1, 0.2])


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (several, (W, B)),
        (lambda x: [x[0] * x[1], mg.sin(x[0])], ([0.3, 2.0],)),
        (lambda p: {"a": p["x"] * p["y"], "b": [p["x"] ** 2]}, ({"x": 0.3, "y": -1.0},)),
        (lambda x, y: (x * y, x - y), (0.3, 2.0)),
        (lambda x: np.outer(x, x), (B,)),
    ],
)
def test_own_and_claimed_jacobians_pass_and_each_wrong_number_is_found(function: Any, at: tuple[Any, ...]) -> None:
    own = check_gradient(function, *at)
    assert own.verdict == "PASS"
    claim = mg.jacobian(function, 0 if len(at) == 1 else range(len(at)))(*at)
    right = check_gradient(function, *at, gradient=claim)
    assert right.verdict == "PASS"
    assert [check.analytic for check in right.checks] == pytest.approx([check.analytic for check in own.checks])
    rows = [[check.analytic for check in own.checks[k::1]] for k in range(0)]
    count = len(right.checks) // len(right.rows)
    rows = [[check.analytic for check in right.checks[o * count :][:count]] for o in range(len(right.rows))]
    assert check_gradient(function, *at, gradient=rows).verdict == "PASS"
    for o in range(len(rows)):
        wrong = [list(row) for row in rows]
        wrong[o][o % count] += 1e-3
        report = check_gradient(function, *at, gradient=wrong)
        assert [k for k, check in enumerate(report.checks) if check.verdict == "FAIL"] == [o * count + o % count]


def test_a_jacobian_that_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match=r"the claimed Jacobian of 2 result\(s\) by 9 number\(s\)"):
        check_gradient(several, W, B, gradient=[[1.0, 2.0]])


def test_a_cause_shared_by_all_rows_is_said_once() -> None:
    claim = mg.jacobian(several, (0, 1))(W, B)
    report = check_gradient(several, W, B, gradient=tuple(-part for part in claim))
    assert report.cause == "ratio -1: a sign"
    report = check_gradient(lambda x: [mg.tanh(x) * k for k in (1.0, 2.0)], 0.3, gradient=[[1.0], [2.0]])
    assert report.cause == "the slope of tanh is missing"


def test_relative_errors_stand_before_ulps_and_shared_reasons_are_said_once() -> None:
    report = check_gradient(lambda x: mg.sum([mg.relu(z) for z in x]), [0.0] * 6)
    lines = str(report).splitlines()
    assert lines[1].index("relative") < lines[1].index("ulps")
    assert sum("kink" in line and "others" in line for line in lines) == 1
    (check,) = check_gradient(mg.sin, 0.3, gradient=[float(np.cos(0.3)) * 1.001]).checks
    assert check.relative == pytest.approx(1e-3)


@pytest.mark.parametrize("claimed", ["right", "wrong"])
def test_the_picture_marks_what_is_wrong(claimed: str) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.colors import to_hex

    from microgrid.testing.picture_of_checks import RIGHT

    jacobian = [np.array(part) for part in mg.jacobian(several, (0, 1))(W, B)]
    if claimed == "wrong":
        jacobian[1][1, 2] *= 1.5
    report = check_gradient(several, W, B, gradient=tuple(jacobian))
    (axes,) = report.plot().axes
    marks = [(text.get_position(), text.get_text()) for text in axes.texts]
    cells = axes.images[0].get_array()
    assert marks == ([((8, 1), "\u00d7")] if claimed == "wrong" else [])
    assert (to_hex(cells[1, 8]) == RIGHT.lower()) is (claimed == "right")
    gradient = check_gradient(lambda W, b: several(W, b).sum(), W, B).plot()
    assert [axes.images[0].get_array().shape[:2] for axes in gradient.axes] == [(2, 3), (1, 3)]


@given(st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=2))
def test_the_fixture_works_under_given(gradcheck: Any, at: list[float]) -> None:
    assert gradcheck(lambda x: mg.exp(x[0]) * x[1], at).verdict != "FAIL"


@property_of_gradients(points={"x": st.floats(-2.0, 2.0), "y": st.floats(0.5, 2.0)})
def test_a_function_as_a_property(x: Any, y: Any) -> Any:
    """A function becomes a test by the decorator alone."""
    return mg.log(y) * mg.tanh(x)


def test_a_wrong_claim_does_not_survive_as_a_property() -> None:
    @property_of_gradients(points=[st.floats(-2.0, 2.0)], gradient=lambda x: [2.0 * x + 1e-3 * x * x])
    def square(x: Any) -> Any:
        return x * x

    with pytest.raises(AssertionError, match="FAIL: the gradient of square"):
        square()
    with pytest.raises(TypeError, match=r"there are 2 strategies for the 1 argument\(s\) x"):
        property_of_gradients(points=[st.floats(), st.floats()])(lambda x: x)
    with pytest.raises(TypeError, match="points are given for z, but the function takes x"):
        property_of_gradients(points={"z": st.floats()})(lambda x: x)


def test_assert_gradient_takes_several_results() -> None:
    assert_gradient(several, W, B)
