"""`Component`: the op of one number of a vector, which an object computes as a whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from microgrid.core.primitive import CALL, REAL, Op


class Vector(Protocol):
    """An object that computes the components of a vector by their index, on each kind of number."""

    @property
    def components(self) -> Sequence[Op]:
        """The op of each component."""

    def forward(self, i: int, *operands: Any) -> Any:
        """Return a component, of floats."""

    def partials(self, i: int, z: Any, *operands: Any) -> tuple[Any, ...]:
        """Return its derivatives, written with operators and ops."""

    def on_mpmath(self, i: int, *operands: Any) -> Any:
        """Return it to the digits of mpmath's context."""

    def on_balls(self, i: int, *operands: Any) -> Any:
        """Return an enclosure, real or complex."""


class Component(Op):
    """The op of a component. It is pickled and copied with its vector."""

    __slots__ = ("index", "vector")

    def __init__(self, vector: Vector, index: int, name: str, kind: str, variables: Sequence[str], alone: bool) -> None:
        self.vector = vector
        self.index = index
        arity = len(variables)
        letters = rf"\operatorname{{{kind.replace('_', ' ')}}}{'' if alone else f'_{{{index}}}'}"
        super().__init__(
            name if alone else f"{name}_{index}",
            functools.partial(vector.forward, index),
            functools.partial(vector.partials, index),
            arity,
            0,
            (REAL,) * arity,
            kind if alone else f"{kind}[{index}]",
            CALL,
            rf"{letters}\left({', '.join(f'#{i + 1}' for i in range(arity))}\right)",
            sensitive=True,
            variables=variables,
            irrational=True,
            on={
                "mpmath": functools.partial(vector.on_mpmath, index),
                "flint": functools.partial(vector.on_balls, index),
                "flint complex": functools.partial(vector.on_balls, index),
            },
        )

    def __reduce__(self) -> tuple[Callable[..., Op], tuple[Any, ...]]:
        return _component, (self.vector, self.index)


def _component(vector: Vector, index: int) -> Op:
    return vector.components[index]
