"""Samples of any form become rows, or an error that names the row."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgrid import Value, losses
from microgrid.training.samples import Outputs, rows, samples_of, shape_of, targets, values_of

ANY = losses.kind_of(lambda outputs, target: outputs)


def test_anything_array_like_becomes_rows_of_floats() -> None:
    np = pytest.importorskip("numpy")
    expected = [[1.0, 2.0], [3.0, 4.0]]
    assert rows([[1, 2], [3, 4]]) == expected
    assert rows(((1, 2.0), (3, 4))) == expected
    assert rows(np.array([[1, 2], [3, 4]])) == expected
    assert rows([np.array([1, 2]), np.array([3, 4])]) == expected
    assert rows([[np.float32(1), np.int64(2)], [3, True + 3]]) == expected
    assert rows(map(list, expected)) == expected
    assert rows([1, 2]) == rows(np.array([1, 2])) == [[1.0], [2.0]]
    assert rows(np.array([1, 2])[:, None]) == [[1.0], [2.0]]

    class Frame:
        def to_numpy(self) -> Any:
            return np.array(expected)

        def __iter__(self) -> Any:
            return iter(["a", "b"])

    class Like:
        def __array__(self) -> Any:
            return np.array(expected)

    assert rows(Frame()) == rows(Like()) == expected
    assert all(type(number) is float for row in rows(np.array([[1, 2]])) for number in row)


def test_a_tensor_is_array_like() -> None:
    torch = pytest.importorskip("torch")
    assert rows(torch.tensor([[1.0, 2.0]], requires_grad=True)) == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("x", "advice"),
    [
        ([[1, 2], [3, 4], [5]], r"x, row 2 has 1 number\(s\), row 0 has 2"),
        ([[1, 2], [3, "4"]], r"x, row 1, column 1: expected a number, got the string '4'"),
        ([[1, 2], [3, None]], r"x, row 1, column 1: expected a number, got NoneType"),
        ([[1, 2], [float("nan"), 4]], r"x, row 1, column 0 is nan: leave the row out"),
        ([[1], [float("inf")]], r"x, row 1 is inf"),
        ([[[1, 2]], [[3, 4]]], r"x, row 0 is a list: a row is a flat list"),
        ([[1, 2], []], r"x, row 1 is empty"),
        ([[1, Value(2.0)]], r"x, row 0, column 1: .*a Value"),
        ([], "x has no rows"),
    ],
)
def test_a_wrong_row_is_named(x: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        rows(x)


@pytest.mark.parametrize("x", ["12", 3.0, {"a": [1]}, None])
def test_what_is_no_list_is_an_error(x: Any) -> None:
    with pytest.raises(TypeError, match="must be a list of rows"):
        rows(x)


def test_targets_are_what_the_loss_takes() -> None:
    np = pytest.importorskip("numpy")
    mse, classes = losses.kind_of(losses.mse), losses.kind_of(losses.cross_entropy)
    assert targets([1, 2], 2, Outputs(1), mse) == [1.0, 2.0]
    assert targets(np.array([[1], [2]]), 2, Outputs(1), mse) == [1.0, 2.0]
    assert targets([[1, 2]], 1, Outputs(2), mse) == [[1.0, 2.0]]
    assert targets(np.array([0.0, 2.0]), 2, Outputs(3), classes) == [0, 2]
    assert all(type(t) is int for t in targets(np.array([0, 2]), 2, Outputs(3), classes))
    assert targets([[0.5, 0.5, 0.0]], 1, Outputs(3), classes) == [[0.5, 0.5, 0.0]]
    assert targets([2, 0.5, [1, 2]], 3, Outputs(4), ANY) == [2, 0.5, [1.0, 2.0]]


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "advice"),
    [
        (losses.mse, [1, 2], 1, r"y has 2 row\(s\), x has 3"),
        (losses.mse, [1, 2, [3, 4]], 1, r"y, row 2 has 2 number\(s\), the network has 1 output"),
        (losses.mse, [1, 2, 0], 3, "row 0 has 1 .* take the loss 'cross_entropy'"),
        (losses.cross_entropy, [0, 3, 1], 3, r"y, row 1: label 3 is none of the classes 0 to 2, one for each output"),
        (losses.cross_entropy, [0, 1, -1], 3, r"row 2: label -1 is none"),
        (losses.cross_entropy, [0, 1.5, 1], 3, r"row 1: label 1.5 is none"),
        (losses.cross_entropy, [0, 1, [0.5, 0.6]], 2, r"row 2: probabilities of classes add up to 1, these to 1.1"),
        (losses.hinge, [1, -1, 0], 1, r"row 2: label 0 is neither -1 nor 1"),
        (losses.binary_cross_entropy, [1, 0, -1], 1, r"row 2: -1 is not a probability"),
        (losses.mse, [1, 0, float("nan")], 1, r"y, row 2 is nan"),
        (losses.cross_entropy, [1, 0, "ripe"], 2, r"y, row 2 is the text 'ripe': number the classes, classes = sorted"),
        (losses.mse, [1, 0, "4"], 1, r"y, row 2: expected a number, got the string '4'; convert it yourself"),
    ],
)
def test_a_wrong_target_is_named(loss: Any, y: Any, outputs: int, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        targets(y, 3, Outputs(outputs), losses.kind_of(loss))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.booleans())
def test_samples_keep_the_axes_of_an_array(shape: list[int], as_lists: bool) -> None:
    np = pytest.importorskip("numpy")
    x = np.arange(math.prod(shape)).reshape(shape)
    samples = samples_of(x.tolist() if as_lists else x)
    expected = x.astype(float)[:, None] if len(shape) == 1 else x.astype(float)
    assert samples == expected.tolist()
    assert shape_of(samples[0]) == expected.shape[1:]
    values = np.array(values_of(samples[0]), dtype=object)
    assert [v.data for v in values.flat] == expected[0].ravel().tolist()


@pytest.mark.parametrize("x", [[1, 2], [[1, 2], [3, 4]], [[1.0], [2.0]]])
def test_samples_of_one_axis_are_rows(x: Any) -> None:
    assert samples_of(x) == rows(x)


@pytest.mark.parametrize(
    ("x", "advice"),
    [
        ([[[1, 2]], [[3]]], r"x, row 1 has 1 x 1 number\(s\), row 0 has 1 x 2"),
        ([[[1, 2], [3]], [[3, 4], [5, 6]]], r"x, row 0, 1 has 1 number\(s\), x, row 0, 0 has 2"),
        ([[[1, 2], 3]], "x, row 0, 1 is a number, where others of its row are lists"),
        ([[[1, 2]], [3, 4]], r"x, row 1 has 2 number\(s\), row 0 has 1 x 2"),
        ([[[1, 2], [3, "4"]]], "x, row 0, 1, column 1: expected a number, got the string '4'"),
        ([[[1, float("nan")]]], "x, row 0, 0, column 1 is nan"),
        ([[[1], []]], "x, row 0, 1 is empty"),
        ([], "x has no rows"),
    ],
)
def test_a_wrong_number_in_a_sample_of_more_axes_is_named(x: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        samples_of(x)
