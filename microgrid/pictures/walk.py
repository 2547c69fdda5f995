"""The protocol of `microgrid.steps` that pictures use: steps stand above them, and cannot be imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from microgrid.engine import Value
from microgrid.pictures.gathering import gathered
from microgrid.pictures.outline import Item


class Walk(Protocol):
    """Both passes over a graph, as `microgrid.steps` holds them: what its page, its picture and its derivation use."""

    @property
    def items(self) -> Sequence[Item]:
        """Items of the picture, one for each value."""
        ...

    @property
    def values(self) -> Sequence[Value]:
        """The values."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the values."""
        ...

    @property
    def starts(self) -> Sequence[float]:
        """Gradients before the backward pass."""
        ...

    @property
    def grads(self) -> Sequence[float]:
        """Gradients after the backward pass."""
        ...

    @property
    def seed(self) -> float:
        """Gradient of the output."""
        ...

    def differences(self) -> Mapping[int, float]:
        """Gradients by differences, where they are wanted."""
        ...

    def sums(self) -> Mapping[int, str]:
        """Names of partial sums by their places in the whole."""
        ...


class Stepped(Walk, Protocol):
    """A walk with the steps of its backward pass."""

    @property
    def backward(self) -> Sequence[Any]:
        """Steps of the backward pass, with the contributions of each."""
        ...


class Folded(NamedTuple):
    """A walk in which long sums and means are one value each: a `Walk`, too."""

    items: Sequence[Item]
    values: Sequence[Value]
    names: Sequence[str]
    starts: Sequence[float]
    grads: Sequence[float]
    seed: float
    by_differences: Mapping[int, float]
    names_of_sums: Mapping[int, str]

    def differences(self) -> Mapping[int, float]:
        """Gradients by differences, where they are wanted."""
        return self.by_differences

    def sums(self) -> Mapping[int, str]:
        """Names of partial sums by their places in the whole, and of what is folded."""
        return self.names_of_sums


def folded(whole: Walk) -> Folded | None:
    """Return the walk with its long sums folded; None where it has none."""
    items, places = gathered(whole.items)
    if len(items) == len(whole.items):
        return None
    at, names, grads = [own[-1] for own in places], whole.names, whole.grads
    new = {i: k for k, i in enumerate(at)}
    sums = {new[i]: text for i, text in whole.sums().items() if i in new}
    sums |= {k: item.sign for k, item in enumerate(items) if item.op is None and item.operands}
    return Folded(
        items,
        [whole.values[i] for i in at],
        [names[i] for i in at],
        [whole.starts[i] for i in at],
        [grads[i] for i in at],
        whole.seed,
        {new[i]: x for i, x in whole.differences().items() if i in new},
        sums,
    )
