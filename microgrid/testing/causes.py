"""Likely causes of a wrong gradient, from the ratio of the claimed to the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence


def likely_cause(pairs: Sequence[tuple[float, float]]) -> str:
    """Return a sentence for pairs (claimed, true) that are all wrong; "" where the numbers suggest nothing."""
    ratios = [claimed / true for claimed, true in pairs if true and math.isfinite(claimed / true)]
    if not ratios:
        return ""
    if all(ratio == 0.0 for ratio in ratios):
        return "ratio 0: a detached value, or a branch that was left out"
    one = _common(ratios)
    if one is None:
        return _cosine(pairs)
    for text, value in FACTORS:
        if _near(one, value):
            return f"ratio {value:g}: {text}"
    if known := factor(one):
        return f"ratio {one:.6g}: {known}"
    if abs(one - 1.0) < 1e-4:
        return f"ratio 1 {one - 1.0:+.1e}: digits were lost, as in float32 or by differences"
    return f"ratio {one:.6g} throughout: a constant factor"


FACTORS = (("a sign", -1.0), ("counted twice", 2.0), ("one of two contributions is missing", 0.5))
"""Factors with causes of their own."""


def factor(ratio: float) -> str:
    """Return the cause of a factor: a sign, twice or half, a sum against a mean, or zero; "" of any other."""
    if ratio == 0.0:
        return "left out, or detached"
    for text, value in FACTORS:
        if _near(ratio, value):
            return text
    for whole, text in (
        (ratio, "a sum against a mean over {m}"),
        (1.0 / ratio, "a mean over {m} taken once too often"),
    ):
        if 1.5 <= abs(whole) <= 1e7 and _near(whole, round(whole)):
            return text.format(m=abs(round(whole))) + (", and a sign" if whole < 0 else "")
    return ""


def _near(x: float, y: float) -> bool:
    return abs(x - y) <= 1e-9 * abs(y)


def _common(ratios: Sequence[float]) -> float | None:
    first = ratios[0]
    return first if all(_near(ratio, first) for ratio in ratios) else None


def _cosine(pairs: Sequence[tuple[float, float]]) -> str:
    if len(pairs) < 2:
        return ""
    claimed, true = math.hypot(*(a for a, _ in pairs)), math.hypot(*(b for _, b in pairs))
    if not claimed or not true or not math.isfinite(claimed):
        return ""
    cosine = math.fsum((a / claimed) * (b / true) for a, b in pairs)
    direction = "uphill" if cosine < 0 else "another direction"
    return f"no common ratio; the cosine with the true gradient is {cosine:.3f}: {direction}"
