"""The protocol of `microgrid.steps` that pictures use: steps stand above them, and cannot be imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from microgrid.engine import Value
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

    @property
    def backward(self) -> Sequence[Any]:
        """Steps of the backward pass, with the contributions of each."""
        ...

    def differences(self) -> Mapping[int, float]:
        """Gradients by differences, where they are wanted."""
        ...

    def sums(self) -> Mapping[int, str]:
        """Names of partial sums by their places in the whole."""
        ...
