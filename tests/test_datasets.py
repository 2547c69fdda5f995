"""The data sets."""

from __future__ import annotations

import math

import pytest

from microgrid.datasets import moons


def test_moons_are_two_half_circles_of_even_size() -> None:
    points, labels = moons(101, noise=0.0)
    assert (labels.count(-1), labels.count(1)) == (50, 51)
    for (x, y), label in zip(points, labels, strict=True):
        if label == -1:
            assert math.isclose(math.hypot(x, y), 1.0)
            assert y >= -1e-12
        else:
            assert math.isclose(math.hypot(x - 1.0, y - 0.5), 1.0)
            assert y <= 0.5 + 1e-12


def test_moons_are_scikit_learns_without_noise() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs, labels = datasets.make_moons(100, noise=None)
    ours = moons(100, noise=0.0)
    for (point, label), (x, y) in zip(
        sorted(zip(ours[0], ours[1], strict=True)), sorted(zip(theirs.tolist(), labels, strict=True)), strict=True
    ):
        assert point == pytest.approx(x, abs=1e-12)
        assert label == 2 * y - 1


def test_the_seed_decides_and_noise_is_noise() -> None:
    assert moons(20, seed=1) == moons(20, seed=1)
    assert moons(20, seed=1) != moons(20, seed=2)
    assert moons(20, noise=0.0, seed=1) != moons(20, noise=0.5, seed=1)


@pytest.mark.parametrize(
    ("how", "advice"),
    [({"samples": 1}, "at least 2"), ({"noise": -1.0}, "negative"), ({"noise": math.nan}, "negative")],
)
def test_impossible_moons_are_an_error(how: dict[str, float], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        moons(**how)  # type: ignore[arg-type]
