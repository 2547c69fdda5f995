"""Small data sets to learn on, with their labels or targets: made from a seed, or recorded and shipped.

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

    >>> points, labels = circles(4, noise=0.0)
    >>> sorted(labels)
    [-1, -1, 1, 1]
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

    >>> points, labels = spirals(6)
    >>> sorted(labels)
    [0, 0, 1, 1, 2, 2]
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

    >>> points, labels = blobs(4, centres=[[0.0, 0.0], [9.0, 9.0]])
    >>> sorted(labels)
    [0, 0, 1, 1]
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
    """The four corners of the unit square, labelled 1 where exactly one coordinate is 1, else 0.

    >>> xor()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
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

    >>> points, targets = line(3, noise=0.0)
    >>> [round(0.5 + 2.0 * a - b - y, 4) for (a, b), y in zip(points, targets)]
    [0.0, 0.0, 0.0]
    """
    _check("a regression", samples, 1, noise)
    generator = random.Random(seed)
    points = [[generator.uniform(-1.0, 1.0) for _ in slopes] for _ in range(samples)]
    exact = [offset + sum(a * x for a, x in zip(slopes, point, strict=True)) for point in points]
    return points, [y + noise * generator.gauss(0.0, 1.0) for y in exact]


def digits(samples: int = 1797, *, seed: int = 1337) -> tuple[list[Points], list[int]]:
    """Handwritten digits: images of 8 x 8 pixels from 0 (paper) to 1 (ink), in shuffled order, and the digits.

    They are the test set of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0: 1,797 images by 13 writers, as in
    scikit-learn's `load_digits`. Raises ValueError for more.

    >>> images, labels = digits(3)
    >>> len(images), len(images[0]), len(images[0][0]), labels
    (3, 8, 8, [7, 6, 7])
    """
    import base64
    import zlib

    data = zlib.decompress(base64.b85decode(_shipped("digits.txt").replace("\n", "")))
    pixels = 64
    count = len(data) // (pixels + 1)
    if not 1 <= samples <= count:
        raise ValueError(f"samples must be at most {count:,}, the number of digits, got {samples}")
    order = list(range(count))
    random.Random(seed).shuffle(order)
    order = order[:samples]
    images = [[[data[pixels * k + 8 * i + j] / 16.0 for j in range(8)] for i in range(8)] for k in order]
    return images, [data[pixels * count + k] for k in order]


def names(count: int | None = None) -> list[str]:
    """First names in small letters, the most frequent ones first: all 5,163, or so many.

    They are those of the census of the United States of 1990, published by its Census Bureau, in the public domain.
    Raises ValueError for more than there are.

    >>> names(5)
    ['james', 'john', 'robert', 'michael', 'mary']
    """
    known = _shipped("names.txt").split()
    if count is not None and not 1 <= count <= len(known):
        raise ValueError(f"count must be at most {len(known):,}, the number of names, got {count}")
    return known[:count]


def passengers() -> list[float]:
    """Passengers of international airlines, in thousands, for each of the 144 months from 1949 to 1960.

    The numbers are series G of G. Box and G. Jenkins, Time Series Analysis (1976): a trend, and a season whose swing
    grows with it.

    >>> passengers()[:3]
    [112.0, 118.0, 132.0]
    """
    return [float(x) for x in _PASSENGERS.split()]


def mackey_glass(samples: int = 500, *, delay: float = 17.0, start: float = 1.2) -> list[float]:
    """A chaotic series: x' = 0.2 y / (1 + y**10) - 0.1 x with y = x(t - delay), one number for each unit of time.

    It is the model of M. Mackey and L. Glass, Science 197 (1977), 287, solved by Runge and Kutta's method in tenths of
    a unit from a constant start, without the first 100 units. Raises ValueError for a delay below 1.

    >>> [round(x, 3) for x in mackey_glass(3)]
    [1.014, 0.957, 0.902]
    """
    if not delay >= 1.0:
        raise ValueError(f"delay must be a number of units from 1 on, got {delay}")
    steps, h = 10, 0.1
    back = round(delay * steps)
    x = [start] * (back + 1)

    def slope(now: float, then: float) -> float:
        return 0.2 * then / (1.0 + then**10) - 0.1 * now

    for _ in range(steps * (samples + 100)):
        now, then, later = x[-1], x[-1 - back], x[-back]
        between = 0.5 * (then + later)
        a = slope(now, then)
        b = slope(now + 0.5 * h * a, between)
        c = slope(now + 0.5 * h * b, between)
        d = slope(now + h * c, later)
        x.append(now + h / 6.0 * (a + 2.0 * b + 2.0 * c + d))
    return x[back + 100 * steps :: steps][:samples]


def parity(
    samples: int = 100, *, length: int | tuple[int, int] = 8, seed: int = 1337
) -> tuple[list[Points], list[int]]:
    """Sequences of bits, each a list of one float (0 or 1), and labels 1 where the number of ones is odd, else 0.

    The label depends on every bit. `length=(4, 12)` draws the length of each sequence. Raises ValueError for a length
    below 1.

    >>> parity(1, length=3)
    ([[[0.0], [1.0], [1.0]]], [0])
    """
    least, most = (length, length) if isinstance(length, int) else length
    if not 1 <= least <= most:
        raise ValueError(f"length must be a number from 1 on, or a pair of such in order, got {length}")
    generator = random.Random(seed)
    bits = [[generator.randrange(2) for _ in range(generator.randint(least, most))] for _ in range(samples)]
    return [[[float(bit)] for bit in sequence] for sequence in bits], [sum(sequence) % 2 for sequence in bits]


def copying(
    samples: int = 100, *, symbols: int = 4, length: int = 1, delay: int = 50, seed: int = 1337
) -> tuple[list[list[int]], list[list[int]]]:
    """Sequences to remember: `length` symbols from 1 on, then `delay` zeros, whole numbers; targets are the symbols.

    It is the problem of S. Hochreiter and J. Schmidhuber, Neural Computation 9 (1997), 1735, in a form without noise.

    >>> sequences, targets = copying(1, length=2, delay=3)
    >>> sequences, targets
    ([[3, 2, 0, 0, 0]], [[3, 2]])
    """
    generator = random.Random(seed)
    targets = [[generator.randint(1, symbols) for _ in range(length)] for _ in range(samples)]
    return [[*target, *[0] * delay] for target in targets], targets


_PASSENGERS = """
112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432
"""


def _shipped(name: str) -> str:
    """Return the text of a file in `microgrid/data`."""
    from importlib import resources

    return resources.files("microgrid").joinpath("data", name).read_text(encoding="utf-8")


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
