"""Pairs of a forward and a backward pass: layers as classes, PyTorch's autograd functions, JAX's custom_vjp."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid.core import tree
from microgrid.testing.subject import as_number


class Pair(NamedTuple):
    """A function and its backward pass, which takes the arguments and the cotangent of the result."""

    name: str
    forward: Callable[..., Any]
    backward: Callable[[Sequence[Any], Any], Any]

    def jacobian(self, *at: Any) -> Any:
        """Return what the backward pass gives at a point: a gradient, or a row for each number of the result.

        Raises ValueError when it gives another number of gradients than there are arguments, or another shape.
        """
        numbers, structure = tree.flatten(self.forward(*at), as_number, "the result")
        rows = []
        for o in range(len(numbers)):
            unit = [float(i == o) for i in range(len(numbers))]
            found = self.backward(at, tree.unflatten(structure, unit))
            rows.append(self._row(found, at))
        return rows[0] if tree.is_number(structure) or len(rows) == 1 else rows

    def _row(self, found: Any, at: Sequence[Any]) -> list[float]:
        parts = list(found) if isinstance(found, (tuple, list)) and len(at) > 1 else [found]
        if len(at) == 1 and isinstance(found, tuple) and len(found) == 1:
            parts = list(found)
        if len(parts) != len(at):
            raise ValueError(f"{self.name} gives {len(parts)} gradient(s) for {len(at)} argument(s)")
        row: list[float] = []
        for i, (part, argument) in enumerate(zip(parts, at, strict=True)):
            numbers, structure = tree.flatten(argument, as_number, "at")
            if part is None:  # no gradient by this argument
                row += [0.0] * len(numbers)
                continue
            given, shape = tree.flatten(part, as_number, "the gradient")
            if len(given) != len(numbers) or (len(given) > 1 and tree.shape(shape) != tree.shape(structure)):
                raise ValueError(
                    f"{self.name} gives a gradient structured {tree.shape(shape)} for its argument {i}, which is "
                    f"{tree.shape(structure)}"
                )
            row += given
        return row


def pair_of(function: Any) -> Pair | None:
    """Return the pair that an object holds; None for a plain function.

    It may be a class or an object with `forward` and `backward`: a layer that remembers what it needs, or that hands
    back a pair of result and cache; a class in the style of PyTorch's `autograd.Function`, whose passes take a context;
    or a function with `fwd` and `bwd`, as JAX's `custom_vjp` has them.
    """
    name = getattr(function, "__name__", type(function).__name__)
    forward, backward = getattr(function, "fwd", None), getattr(function, "bwd", None)
    if callable(forward) and callable(backward):
        return _in_jax_style(name, forward, backward)
    if not callable(getattr(function, "forward", None)) or not callable(getattr(function, "backward", None)):
        return None
    first = next(iter(inspect.signature(function.forward).parameters), "")
    if inspect.isclass(function) and first == "ctx":
        return _in_torch_style(name, function)
    return _layer(name, function)


class _Context:
    """A context as PyTorch hands it to both passes."""

    def __init__(self, count: int) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = (True,) * count

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Accept what matters to PyTorch only."""

    mark_non_differentiable = set_materialize_grads = mark_dirty


def _in_torch_style(name: str, function: Any) -> Pair:
    def forward(*args: Any) -> Any:
        return function.forward(_Context(len(args)), *args)

    def backward(args: Sequence[Any], cotangent: Any) -> Any:
        context = _Context(len(args))
        function.forward(context, *args)
        return function.backward(context, cotangent)

    return Pair(f"{name}.backward", _like(function.forward, name, forward, skipped=1), backward)


def _in_jax_style(name: str, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> Pair:
    def backward(args: Sequence[Any], cotangent: Any) -> Any:
        return bwd(fwd(*args)[1], cotangent)

    return Pair(f"the bwd of {name}", _like(fwd, name, lambda *args: fwd(*args)[0]), backward)


def _layer(name: str, function: Any) -> Pair:
    def made() -> Any:
        return function() if inspect.isclass(function) else function

    def ran(args: Sequence[Any]) -> tuple[Any, Any, tuple[Any, ...]]:
        """Return the layer, its result, and the cache that its backward pass takes, if it takes one."""
        layer = made()
        result = layer.forward(*args)
        takes = len(inspect.signature(layer.backward).parameters)
        if takes == 2 and isinstance(result, tuple) and len(result) == 2:
            return layer, result[0], (result[1],)
        return layer, result, ()

    def backward(args: Sequence[Any], cotangent: Any) -> Any:
        layer, _, cache = ran(args)
        return layer.backward(cotangent, *cache)

    skipped = 1 if inspect.isclass(function) else 0
    return Pair(f"{name}.backward", _like(function.forward, name, lambda *args: ran(args)[1], skipped), backward)


def _like(original: Any, name: str, function: Callable[..., Any], skipped: int = 0) -> Callable[..., Any]:
    """Return the function with the parameters of another, without the first `skipped`, and with this name."""
    parameters = list(inspect.signature(original).parameters.values())[skipped:]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as inspect reads it
    function.__name__ = name
    return function
