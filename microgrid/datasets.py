"""Small data sets to learn on, made from a seed: points as lists of floats, with their labels."""

from __future__ import annotations

import math
import random


def moons(samples: int = 100, *, noise: float = 0.1, seed: int = 1337) -> tuple[list[list[float]], list[int]]:
    """Two interleaved half circles: points (x, y) in shuffled order, and labels -1 (upper moon) or 1 (lower).

    The shape is the one of scikit-learn's `make_moons`: half circles of radius 1, the lower one shifted by (1, 0.5),
    with normal noise of standard deviation `noise` on both coordinates. Raises ValueError for fewer than 2 samples or
    negative noise.

    >>> points, labels = moons(4, noise=0.0)
    >>> sorted(zip(labels, points))[0]
    (-1, [-1.0, 1.2246467991473532e-16])
    """
    if samples < 2:
        raise ValueError(f"two moons need at least 2 samples, got {samples}")
    if not noise >= 0.0:
        raise ValueError(f"noise is a standard deviation and cannot be negative, got {noise}")
    generator = random.Random(seed)
    upper = samples // 2
    data: list[tuple[list[float], int]] = []
    for count, label in ((upper, -1), (samples - upper, 1)):
        for i in range(count):
            angle = math.pi * i / max(count - 1, 1)
            x, y = math.cos(angle), math.sin(angle)
            if label == 1:
                x, y = 1.0 - x, 0.5 - y
            data.append(([x + noise * generator.gauss(0.0, 1.0), y + noise * generator.gauss(0.0, 1.0)], label))
    generator.shuffle(data)
    return [point for point, _ in data], [label for _, label in data]
