"""Learning-rate schedules: functions from the number of steps made so far to the rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def rate_at(lr: float | Schedule, step: int) -> float:
    """Return the rate after this many steps, of a schedule or of a number."""
    return lr(step) if callable(lr) else lr


def step_decay(lr: float | Schedule, every: int, factor: float = 0.1) -> Schedule:
    """Return a schedule that multiplies the rate by the factor once for each `every` steps: PyTorch's StepLR.

    >>> rate = step_decay(0.5, every=10, factor=0.5)
    >>> rate(0), rate(10), rate(20)
    (0.5, 0.25, 0.125)
    """
    if every < 1:
        raise ValueError(f"every, the steps between two changes, must be at least 1, got {every}")
    return lambda step: rate_at(lr, step) * factor ** (step // every)


def exponential_decay(lr: float | Schedule, factor: float) -> Schedule:
    """Return a schedule that multiplies the rate by the factor at each step: PyTorch's ExponentialLR.

    >>> rate = exponential_decay(0.5, 0.5)
    >>> rate(0), rate(1), rate(2)
    (0.5, 0.25, 0.125)
    """
    return lambda step: rate_at(lr, step) * factor**step


def cosine(lr: float, steps: int, low: float = 0.0) -> Schedule:
    """Return a schedule from lr down to low along half a cosine over `steps` steps, then low (Loshchilov and Hutter
    2017, eq. 5).

    >>> rate = cosine(0.5, steps=10)
    >>> [round(rate(k), 4) for k in (0, 5, 10)]
    [0.5, 0.25, 0.0]
    """
    if steps < 1:
        raise ValueError(f"steps, the length of the way down, must be at least 1, got {steps}")
    return lambda step: low + (lr - low) * 0.5 * (1.0 + math.cos(math.pi * min(step, steps) / steps))


def warm_up(lr: float | Schedule, steps: int, start: float = 0.1) -> Schedule:
    """Return a schedule whose factor grows from `start` to 1 linearly over `steps` steps: PyTorch's LinearLR.

    >>> rate = warm_up(0.5, steps=4, start=0.0)
    >>> rate(0), rate(2), rate(4)
    (0.0, 0.25, 0.5)
    """
    if steps < 1:
        raise ValueError(f"steps, the length of the warm-up, must be at least 1, got {steps}")
    return lambda step: rate_at(lr, step) * (start + (1.0 - start) * min(step, steps) / steps)
