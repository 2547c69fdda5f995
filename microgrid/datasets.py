"""Small data sets to learn on, made from a seed: points as lists of floats, with their labels or targets.

A person's own numbers come from `microgrid.table.read_csv`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
Points = list[list[float]]


def moons(samples: int = 100, *, noise: float = 0.1, seed: int = 1337) -> tuple[Points, list[int]]:
    """Two interleaved half circles: points (x, y) in shuffled order, and labels -1 (upper moon) or 1 (lower).

    The shape is the one of scikit-learn's `make_moons`: half circles of radius 1, the lower one shifted by (1, 0.5),
    with normal noise of standard deviation `noise` on both coordinates. Raises ValueError for fewer than 2 samples or
    negative noise.

    >>> points, labels = moons(4, noise=0.0)
    >>> sorted(zip(labels, points))[0]
    (-1, [-1.0, 1.2246467991473532e-16])
    """
    _check("two moons", samples, 2, noise)
    generator = random.Random(seed)
    data: list[tuple[list[float], int]] = []
    for count, label in zip(_shares(samples, 2), (-1, 1), strict=True):
        for i in range(count):
            angle = math.pi * i / max(count - 1, 1)
            x, y = math.cos(angle), math.sin(angle)
            if label == 1:
                x, y = 1.0 - x, 0.5 - y
            data.append((_blurred([x, y], noise, generator), label))
    return _shuffled(data, generator)


def circles(
    samples: int = 100, *, noise: float = 0.05, ratio: float = 0.5, seed: int = 1337
) -> tuple[Points, list[int]]:
    """A circle around another: points (x, y) in shuffled order, and labels -1 (radius 1) or 1 (radius `ratio`).

    As moons, with normal noise on both coordinates. Raises ValueError also when the ratio is not between 0 and 1.
    """
    _check("two circles", samples, 2, noise)
    if not 0.0 < ratio < 1.0:
        raise ValueError(f"ratio, the radius of the inner circle, must be between 0 and 1, got {ratio}")
    generator = random.Random(seed)
    data: list[tuple[list[float], int]] = []
    for count, label, radius in zip(_shares(samples, 2), (-1, 1), (1.0, ratio), strict=True):
        for i in range(count):
            angle = 2.0 * math.pi * i / count
            point = [radius * math.cos(angle), radius * math.sin(angle)]
            data.append((_blurred(point, noise, generator), label))
    return _shuffled(data, generator)


def spirals(
    samples: int = 150, *, arms: int = 3, turns: float = 0.75, noise: float = 0.02, seed: int = 1337
) -> tuple[Points, list[int]]:
    """Arms that wind out of the origin to radius 1: points (x, y) in shuffled order, and labels 0 to arms - 1.

    Raises ValueError for fewer than two arms, fewer samples than arms, or negative noise.
    """
    if arms < 2:
        raise ValueError(f"arms, the number of classes, must be at least 2, got {arms}")
    _check(f"{arms} spirals", samples, arms, noise)
    generator = random.Random(seed)
    data: list[tuple[list[float], int]] = []
    for label, count in enumerate(_shares(samples, arms)):
        for i in range(count):
            radius = (i + 1) / count
            angle = 2.0 * math.pi * (turns * radius + label / arms)
            point = [radius * math.cos(angle), radius * math.sin(angle)]
            data.append((_blurred(point, noise, generator), label))
    return _shuffled(data, generator)


def blobs(
    samples: int = 100,
    *,
    centres: int | Sequence[Sequence[float]] = 3,
    spread: float = 0.3,
    seed: int = 1337,
) -> tuple[Points, list[int]]:
    """Round clouds: points in shuffled order, and labels 0 to k - 1, one for each centre.

    `centres` lists them, or is how many there are, on a circle of radius 2 around the origin; `spread` is the standard
    deviation of each coordinate. Raises ValueError for fewer than two centres, or fewer samples than centres.
    """
    if isinstance(centres, int):
        angles = [2.0 * math.pi * k / max(centres, 1) for k in range(centres)]
        centres = [[2.0 * math.cos(angle), 2.0 * math.sin(angle)] for angle in angles]
    if len(centres) < 2:
        raise ValueError(f"blobs need at least 2 centres, got {len(centres)}")
    _check(f"{len(centres)} blobs", samples, len(centres), spread)
    generator = random.Random(seed)
    data: list[tuple[list[float], int]] = []
    for label, count in enumerate(_shares(samples, len(centres))):
        data += [(_blurred(centres[label], spread, generator), label) for _ in range(count)]
    return _shuffled(data, generator)


def xor() -> tuple[Points, list[int]]:
    """The four corners of the unit square, labelled 1 where exactly one coordinate is 1, else 0."""
    corners = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    return corners, [int(x != y) for x, y in corners]


def line(
    samples: int = 50,
    *,
    slopes: Sequence[float] = (2.0, -1.0),
    offset: float = 0.5,
    noise: float = 0.1,
    seed: int = 1337,
) -> tuple[Points, list[float]]:
    """A small regression: points uniform between -1 and 1, and targets offset + slopes . point + noise.

    The noise is normal, `noise` its standard deviation; there are as many coordinates as slopes.
    """
    _check("a regression", samples, 1, noise)
    generator = random.Random(seed)
    points = [[generator.uniform(-1.0, 1.0) for _ in slopes] for _ in range(samples)]
    exact = [offset + sum(a * x for a, x in zip(slopes, point, strict=True)) for point in points]
    return points, [y + noise * generator.gauss(0.0, 1.0) for y in exact]


def _check(what: str, samples: int, least: int, noise: float) -> None:
    if samples < least:
        raise ValueError(f"{what} need at least {least} samples, got {samples}")
    if not noise >= 0.0:
        raise ValueError(f"noise is a standard deviation and cannot be negative, got {noise}")


def _shares(samples: int, parts: int) -> list[int]:
    """Return sizes of equal parts of the samples, the last ones larger by one where needed."""
    return [samples * (k + 1) // parts - samples * k // parts for k in range(parts)]


def _blurred(point: Sequence[float], noise: float, generator: random.Random) -> list[float]:
    return [x + noise * generator.gauss(0.0, 1.0) for x in point]


def _shuffled(data: list[tuple[list[float], T]], generator: random.Random) -> tuple[Points, list[T]]:
    generator.shuffle(data)
    return [point for point, _ in data], [label for _, label in data]
