"""The data sets."""

from __future__ import annotations

import math
from typing import Any

import pytest

from microgrid import datasets
from microgrid.datasets import blobs, circles, line, moons, spirals


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


MAKERS: dict[str, Any] = {
    "moons": datasets.moons,
    "circles": datasets.circles,
    "spirals": datasets.spirals,
    "blobs": datasets.blobs,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_set_has_its_samples_shared_out_evenly_and_shuffled_by_its_seed(name: str) -> None:
    make = MAKERS[name]
    points, labels = make(62, seed=3)
    assert len(points) == len(labels) == 62
    counts = [labels.count(label) for label in set(labels)]
    assert max(counts) - min(counts) <= 1
    assert labels != sorted(labels)
    assert make(62, seed=3) == (points, labels)
    assert make(62, seed=4) != (points, labels)
    assert all(type(x) is float for point in points for x in point)


def test_circles_have_the_radii_of_their_labels() -> None:
    for (x, y), label in zip(*circles(40, noise=0.0, ratio=0.4), strict=True):
        assert math.hypot(x, y) == pytest.approx(1.0 if label == -1 else 0.4)


def test_spirals_wind_out_to_radius_1_and_their_arms_do_not_touch() -> None:
    points, labels = spirals(90, arms=3, turns=1.0, noise=0.0)
    for (x, y), label in zip(points, labels, strict=True):
        radius, angle = math.hypot(x, y), math.atan2(y, x) / (2.0 * math.pi)
        assert 0.0 < radius <= 1.0 + 1e-12
        off = angle - radius - label / 3.0
        assert off - round(off) == pytest.approx(0.0, abs=1e-12)


def test_blobs_lie_around_their_centres() -> None:
    points, labels = blobs(400, centres=[[0.0, 5.0], [3.0, -5.0]], spread=0.5)
    for label, (cx, cy) in enumerate([(0.0, 5.0), (3.0, -5.0)]):
        own = [point for point, other in zip(points, labels, strict=True) if other == label]
        assert sum(p[0] for p in own) / len(own) == pytest.approx(cx, abs=0.15)
        assert sum(p[1] for p in own) / len(own) == pytest.approx(cy, abs=0.15)
        assert sum((p[0] - cx) ** 2 for p in own) / len(own) == pytest.approx(0.25, rel=0.3)
    assert set(blobs(8, centres=4)[1]) == {0, 1, 2, 3}


def test_xor_is_the_four_corners() -> None:
    assert datasets.xor() == ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])


def test_the_regression_is_a_plane_with_noise() -> None:
    for (x, y), target in zip(*line(20, noise=0.0), strict=True):
        assert target == pytest.approx(0.5 + 2.0 * x - y)
    points, noisy = line(500, slopes=[1.0], noise=0.2)
    errors = [t - 0.5 - x for (x,), t in zip(points, noisy, strict=True)]
    assert sum(e * e for e in errors) / 500 == pytest.approx(0.04, rel=0.2)


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: circles(1), "at least 2"),
        (lambda: circles(ratio=1.5), "between 0 and 1"),
        (lambda: spirals(arms=1), "at least 2"),
        (lambda: spirals(2), "3 spirals need at least 3"),
        (lambda: blobs(centres=1), "at least 2 centres"),
        (lambda: blobs(spread=-1.0), "negative"),
        (lambda: line(0), "at least 1"),
    ],
)
def test_an_impossible_set_is_an_error(misuse: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        misuse()


def test_the_digits_are_scikit_learns() -> None:
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    images, labels = datasets.digits()
    ours = sorted(
        ([round(16 * x) for row in image for x in row], label) for image, label in zip(images, labels, strict=True)
    )
    assert ours == sorted((row, int(label)) for row, label in zip(theirs.data.tolist(), theirs.target, strict=True))


def test_the_digits_look_like_digits() -> None:
    images, labels = datasets.digits()
    assert [labels.count(k) for k in range(10)] == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    mean = [[sum(image[i][j] for image in images) / len(images) for j in range(8)] for i in range(8)]
    zero = [image for image, label in zip(images, labels, strict=True) if label == 0]
    assert sum(image[4][3] + image[4][4] for image in zero) / len(zero) < 0.3 < mean[4][3] + mean[4][4]
    assert datasets.digits(5, seed=1)[0] != datasets.digits(5, seed=2)[0]
    assert datasets.digits(5) == (images[:5], labels[:5])


def test_the_names_are_names() -> None:
    known = datasets.names()
    assert len(known) == len(set(known)) == 5163
    assert all(name.isascii() and name.islower() and name.isalpha() and 2 <= len(name) <= 11 for name in known)
    assert datasets.names(100) == known[:100]


def test_series_have_their_trend_and_their_delay() -> None:
    series = datasets.passengers()
    assert len(series) == 144
    assert sum(series) == 40363.0  # of R's AirPassengers
    chaotic = datasets.mackey_glass(300)
    assert len(chaotic) == 300
    assert 0.2 < min(chaotic) < 0.5 < 1.2 < max(chaotic) < 1.5
    settled = datasets.mackey_glass(300, delay=1.0)  # a short delay has a fixed point: 0.2 / (1 + x**10) = 0.1
    assert settled[-1] == pytest.approx(1.0, abs=1e-6)


def test_long_dependences_are_what_they_say() -> None:
    sequences, labels = datasets.parity(50, length=(4, 12))
    assert {len(sequence) for sequence in sequences} == set(range(4, 13))
    assert [sum(int(x) for (x,) in sequence) % 2 for sequence in sequences] == labels
    tokens, targets = datasets.copying(20, symbols=3, length=2, delay=7)
    assert all(sequence == [*target, *[0] * 7] for sequence, target in zip(tokens, targets, strict=True))
    assert {symbol for target in targets for symbol in target} == {1, 2, 3}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: datasets.digits(1798),
        lambda: datasets.names(0),
        lambda: datasets.mackey_glass(delay=0.0),
        lambda: datasets.parity(length=0),
        lambda: datasets.parity(length=(5, 4)),
    ],
)
def test_what_there_is_not_is_an_error(wrong: Any) -> None:
    with pytest.raises(ValueError, match="got"):
        wrong()
