"""Numbers of a tape while `nests` finds its loops: polynomials in the counters of the loops found so far.

A leaf is a plain number, or {(e, f, ...): c} for the sum of c C(i, e) C(j, f) ..., with i the counter of the innermost
loop around. One more loop around appends an exponent. The coefficients are forward differences: fitting is subtracting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

DEGREE: Final = 3
"""Maximum total degree of a cell: a packed tetrahedron has it."""

Leaf = Any
"""int | dict[tuple[int, ...], int]"""


def choose(n: int, e: int) -> int:
    """Return n (n - 1) ... / e! up to e = 3, for negative n, too."""
    if e < 2:
        return n if e else 1
    return n * (n - 1) // 2 if e == 2 else n * (n - 1) * (n - 2) // 6


def plain(leaf: dict[tuple[int, ...], int]) -> Leaf:
    """Return a leaf without terms that are 0, and as a number if it is one."""
    kept = {key: c for key, c in leaf.items() if c}
    if not kept:
        return 0
    if len(kept) == 1:
        for key, c in kept.items():
            if not any(key):
                return c
    return kept


def at(leaf: Leaf, value: int) -> Leaf:
    """Return the leaf with a number for the outermost counter."""
    if isinstance(leaf, int):
        return leaf
    found: dict[tuple[int, ...], int] = {}
    for key, c in leaf.items():
        rest = key[:-1]
        found[rest] = found.get(rest, 0) + c * choose(value, key[-1])
    return plain(found)


def earlier(leaf: Leaf) -> Leaf:
    """Return the leaf of the outermost counter minus 1: C(i - 1, e) is the sum of (-1)^(e - f) C(i, f) for f <= e."""
    if isinstance(leaf, int):
        return leaf
    found: dict[tuple[int, ...], int] = {}
    for key, c in leaf.items():
        for f in range(key[-1], -1, -1):
            new = (*key[:-1], f)
            found[new] = found.get(new, 0) + c
            c = -c
    return plain(found)


def later(leaf: Leaf) -> Leaf:
    """Return the leaf of the outermost counter plus 1: C(i + 1, e) is C(i, e) + C(i, e - 1)."""
    if isinstance(leaf, int):
        return leaf
    found: dict[tuple[int, ...], int] = {}
    for key, c in leaf.items():
        for f in (key[-1], key[-1] - 1):
            if f >= 0:
                new = (*key[:-1], f)
                found[new] = found.get(new, 0) + c
    return plain(found)


def fit(values: Sequence[Leaf], depth: int) -> tuple[Leaf, int]:
    """Return the leaf through the values at 0, 1, 2, ... of a new outermost counter within `depth` others, and its
    degree in that counter; the degree is -1 where that of the whole is too large."""
    first = values[0]
    if values.count(first) == len(values):
        return (first if isinstance(first, int) else {(*key, 0): c for key, c in first.items()}), 0
    zero = (0,) * depth
    if isinstance(first, int) and len(values) == 3 and isinstance(values[1], int) and isinstance(values[2], int):
        step: int = values[1] - first
        second: int = values[2] - values[1] - step
        if not second:
            return ({(*zero, 0): first, (*zero, 1): step} if first else {(*zero, 1): step}), 1
    terms: list[dict[tuple[int, ...], int]] = [{zero: v} if isinstance(v, int) else v for v in values]
    found: dict[tuple[int, ...], int] = {}
    highest = 0
    for key in dict.fromkeys([key for term in terms for key in term]):
        row = [term.get(key, 0) for term in terms]
        e = 0
        while row:
            if row[0]:
                if sum(key) + e > DEGREE:
                    return 0, -1
                found[(*key, e)] = row[0]
                highest = max(highest, e)
            row = [row[i + 1] - row[i] for i in range(len(row) - 1)]
            e += 1
    return plain(found), highest
