"""Long sums and means as one item each, whose operands are the terms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from microgrid.core.primitive import OPS
from microgrid.pictures.outline import Item

LEAST = 4
"""Minimum number of terms of a sum that is gathered: shorter ones are read as they are."""


class Gathered(NamedTuple):
    """Items, of which some stand for several, and for each the places that it had before, its own as the last."""

    items: list[Item]
    places: list[tuple[int, ...]]


def gathered(items: Sequence[Item], kept: Collection[int] = ()) -> Gathered:
    """Return the items with each chain of additions of `LEAST` terms or more as one item; a mean has its division, too.

    What is added up in between has no label, is used nowhere else, and is none of those to be kept. No term is added
    twice, as it is in a loop.
    """
    uses = [0] * len(items)
    for item in items:
        for j in item.operands:
            uses[j] += 1
    inner = {
        j
        for item in items
        if item.op is OPS["add"]
        for j in item.operands
        if items[j].op is OPS["add"] and _is_free(items[j], uses[j], item, j in kept)
    }
    found: dict[int, tuple[Item, list[int]]] = {}
    for i, item in enumerate(items):
        if item.op is OPS["add"] and i not in inner:
            terms, within = _terms(items, i, inner, uses)
            if len(terms) >= LEAST and len({j for j, _ in terms}) == len(terms):
                found[i] = _whole(item, f"sum of {len(terms)}", terms, 1.0, within), within
    for i, item in enumerate(items):
        j = item.operands[0] if len(item.operands) == 2 else -1
        if j not in found or not _is_free(items[j], uses[j], item, j in kept):
            continue
        whole, within = found[j]
        count, other = len(whole.operands), item.operands[1]
        number = items[other].data if items[other].role == "constant" and uses[other] == 1 else None
        if (item.op is OPS["div"] and number == count) or (item.op is OPS["mul"] and number == 1.0 / count):
            terms = list(zip(whole.operands, whole.partials, strict=True))
            within = [*within, other, j]
            found[i] = _whole(item, f"mean of {count}", terms, item.partials[0], within), within
            del found[j]
    return _without(items, found)


def _is_free(item: Item, uses: int, user: Item, kept: bool) -> bool:
    return uses == 1 and not item.name and not kept and item.module == user.module and item.role != "output"


def _terms(
    items: Sequence[Item], root: int, inner: Collection[int], uses: Sequence[int]
) -> tuple[list[tuple[int, float | None]], list[int]]:
    """Return the terms of a sum with the derivatives by them, and the places of what is added up in between.

    A zero that `sum` of Python begins with is none of them.
    """
    terms: list[tuple[int, float | None]] = []
    within: list[int] = []
    agenda: list[tuple[int, float | None]] = [(root, 1.0)]
    while agenda:
        i, slope = agenda.pop()
        if i != root and i not in inner:
            zero = items[i].role == "constant" and items[i].data == 0.0 and uses[i] == 1
            if zero:
                within.append(i)
            else:
                terms.append((i, slope))
            continue
        if i != root:
            within.append(i)
        slopes = [_product(slope, partial) for partial in items[i].partials]
        agenda += reversed(list(zip(items[i].operands, slopes, strict=True)))
    return terms, within


def _whole(
    item: Item, sign: str, terms: Sequence[tuple[int, float | None]], slope: float | None, within: Sequence[int]
) -> Item:
    return item._replace(
        sign=sign,
        operands=tuple(j for j, _ in terms),
        partials=tuple(_product(slope, partial) for _, partial in terms),
        op=None,
        static=(),
        size=len(within) + 1,
    )


def _product(x: float | None, y: float | None) -> float | None:
    return None if x is None or y is None else x * y


def _without(items: Sequence[Item], found: dict[int, tuple[Item, list[int]]]) -> Gathered:
    gone = {j for _, within in found.values() for j in within}
    kept = [i for i in range(len(items)) if i not in gone]
    new = {i: k for k, i in enumerate(kept)}
    wholes = [found[i][0] if i in found else items[i] for i in kept]
    return Gathered(
        [item._replace(operands=tuple(new[j] for j in item.operands)) for item in wholes],
        [(*sorted(found[i][1]), i) if i in found else (i,) for i in kept],
    )
