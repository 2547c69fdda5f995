"""Arguments of a case in random containers, in another order; and out of them again, by a walk of their own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Two(NamedTuple):
    first: Any
    second: Any


@dataclass
class Held:
    a: Any
    b: Any


def _packed(items: list[Any], rng: random.Random) -> Any:
    """A tree of these items, in their order."""
    if len(items) == 1 and rng.random() < 0.7:
        return items[0]
    cut = rng.randrange(len(items) + 1)
    first, second = items[:cut], items[cut:]
    if not items:
        return rng.choice(([], (), {}))
    if not first or not second:
        return rng.choice(([*items], (*items,), {f"k{i}": item for i, item in enumerate(items)}))
    a, b = _packed(first, rng), _packed(second, rng)
    return rng.choice(([a, b], (a, b), {"b": a, "a": b}, Two(a, b), Held(a, b)))


class _Item(NamedTuple):
    """An argument, which is a leaf here though it may be a list."""

    number: int


def _numbers(x: Any) -> Any:
    """Whole numbers where they are the same."""
    if isinstance(x, list):
        return [_numbers(item) for item in x]
    whole = isinstance(x, float) and x.is_integer() and abs(x) < 1e15 and str(x) != "-0.0"
    return int(x) if whole else x


def _halves(x: Any) -> Any:
    if isinstance(x, list):
        return [_halves(item) for item in x]
    return np.full(x.shape, 0.5) if isinstance(x, np.ndarray) else 0.5


class Packed:
    """The arguments of a function in trees, of which the last is passed by keyword, and their order."""

    def __init__(self, args: Sequence[Any], rng: random.Random) -> None:
        self.args = [x.tolist() if isinstance(x, np.ndarray) else x for x in args]
        places = list(range(len(args)))
        rng.shuffle(places)
        self.order: Any = [places.index(i) for i in range(len(args))]
        cuts = sorted(rng.randrange(1, len(args) + 1) for _ in range(rng.randrange(1, 3)))
        groups = [places[i:j] for i, j in zip([0, *cuts], [*cuts, len(places)], strict=True)]
        self._shapes = [_packed([_Item(i) for i in group], rng) for group in groups]
        self._given = [_numbers(x) if rng.random() < 0.5 else x for x in args]
        self.trees = [_filled(shape, self._given) for shape in self._shapes]
        self.order = rng.choice((self.order, tuple(self.order), np.array(self.order, dtype=int)))

    def others(self) -> list[Any]:
        """Trees of the same structure, of other numbers."""
        return [_filled(shape, [_halves(x) for x in self._given]) for shape in self._shapes]

    def unpacked(self, trees: Sequence[Any], order: Any) -> list[Any]:
        """The arguments in the order in which the function takes them."""
        found = [item for shape, x in zip(self._shapes, trees, strict=True) for item in _taken(shape, x)]
        return [found[i] for i in order]

    def fixed(self) -> list[bool]:
        """For each number of the arguments whether it is passed by keyword."""
        last = {item.number for item in _taken(self._shapes[-1], self._shapes[-1])}
        return [i in last for i, x in enumerate(self.args) for _ in np.ravel(x)]


def _filled(shape: Any, args: Sequence[Any]) -> Any:
    if isinstance(shape, _Item):
        return args[shape.number]
    if isinstance(shape, dict):
        return {key: _filled(item, args) for key, item in shape.items()}
    if isinstance(shape, Held):
        return Held(_filled(shape.a, args), _filled(shape.b, args))
    items = [_filled(item, args) for item in shape]
    return Two(*items) if isinstance(shape, Two) else type(shape)(items)


def _taken(shape: Any, x: Any) -> list[Any]:
    if isinstance(shape, _Item):
        return [x]
    if isinstance(shape, dict):
        return [taken for key, item in shape.items() for taken in _taken(item, x[key])]
    if isinstance(shape, Held):
        return [*_taken(shape.a, x.a), *_taken(shape.b, x.b)]
    return [taken for item, part in zip(shape, x, strict=True) for taken in _taken(item, part)]
