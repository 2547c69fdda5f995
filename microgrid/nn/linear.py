"""`Linear`, `Residual` and `Flatten`: what stands between layers."""

from __future__ import annotations

from typing import Any

from microgrid.engine import Value, dot, neuron
from microgrid.nn.initializers import Draw, Generator, Initializer, generator
from microgrid.nn.module import Module
from microgrid.nn.shapes import by_rows, fitted_rows, lists, misfit, shape_of, whole


class Linear(Module):
    """A matrix times the last axis, plus biases: x of shape (..., in_features) gives (..., out_features).

    Weights and biases are drawn by `fan_in`, as PyTorch's are; with an initializer of your own, or its name, for the
    weights, the biases are 0. `bias=False` leaves them out.

    >>> [len(row) for row in Linear(3, 2)([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])]
    [2, 2]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        whole("Linear", in_features=in_features, out_features=out_features)
        draw = Draw(init, generator(seed), in_features, out_features)
        self.weight = draw.weights(out_features, in_features)
        self.bias = draw.biases(out_features) if bias else None

    def __call__(self, x: Any) -> Any:
        """Return the nested lists with another last axis."""
        return by_rows(fitted_rows(self, x, len(self.weight[0])), self._row)

    def _row(self, xs: list[Value]) -> list[Value]:
        if self.bias is None:
            return [dot(row, xs) for row in self.weight]
        return [neuron(row, xs, b, None, "") for row, b in zip(self.weight, self.bias, strict=True)]

    def __repr__(self) -> str:
        return f"Linear({len(self.weight[0])}, {len(self.weight)}{'' if self.bias else ', bias=False'})"


class Residual(Module):
    """x + module(x), for a module whose results have the shape of x (He et al. 2016).

    >>> Residual(Linear(2, 2, init=lambda *_: 3.0))([1.0, 2.0])[1].data
    11.0
    """

    def __init__(self, module: Module) -> None:
        self.module = module

    def __call__(self, x: Any) -> Any:
        """Return the sum."""
        x = lists(x)
        y = self.module(x)
        if shape_of(x) != shape_of(y):
            raise ValueError(
                f"Residual adds x to what {self.module!r} makes of it: the shapes must be equal, got "
                f"{shape_of(x)} and {shape_of(y)}"
            )
        return added(x, y)

    def __repr__(self) -> str:
        return f"Residual({self.module!r})"


def added(x: Any, y: Any) -> Any:
    """Return the sum of nested lists of one shape."""
    return [added(a, b) for a, b in zip(x, y, strict=True)] if isinstance(x, list) else x + y


class Flatten(Module):
    """Nested lists as one list, the last axis running fastest: between a convolution and a `Layer`.

    >>> [v.data for v in Flatten()([[1.0, 2.0], [3.0, 4.0]])]
    [1.0, 2.0, 3.0, 4.0]
    """

    def __call__(self, x: Any) -> list[Any]:
        """Return the list."""
        nested = lists(x)
        if not isinstance(nested, list):
            raise misfit(self, x, ("...",))
        listed: list[Any] = fitted_rows(self, items := flat(nested), len(items))
        return listed

    def __repr__(self) -> str:
        return "Flatten()"


def flat(x: list[Any]) -> list[Any]:
    """Return nested lists as one list."""
    while x and isinstance(x[0], list):
        x = [item for row in x for item in row]
    return x
