"""Networks of scalars: `Neuron`, `Layer`, `MLP`, and `Module`, the base of your own."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from microgrid import ops
from microgrid.engine import Value, neuron
from microgrid.primitive import Op
from microgrid.scope import enter_module, leave_module

ACTIVATIONS: dict[str, Op | None] = {
    "relu": ops.relu,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "identity": None,
}
"""The activations that a network can be asked for by name."""


class Module:
    """Something with parameters. Subclass it: define `__call__` and `parameters`.

    Values made while a module is called carry its path, such as `MLP.layers[0].neurons[3]`: a module knows its name
    from the attribute, or the list in an attribute, of the module that holds it.
    """

    _name = ""
    _adds_path = True  # whether Neuron.__call__ still has to: a __call__ of a subclass does it before

    def __init_subclass__(cls, *, scoped: bool = True) -> None:
        super().__init_subclass__()
        if scoped and "__call__" in cls.__dict__:
            cls._adds_path = False
            setattr(cls, "__call__", _in_scope(cls.__dict__["__call__"]))  # noqa: B010  # mypy forbids the assignment

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if isinstance(value, Module):
            value.__dict__["_name"] = name
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                if isinstance(item, Module):
                    item.__dict__["_name"] = f"{name}[{i}]"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass says."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def parameters(self) -> list[Value]:
        """The values to train, each once, always in the same order."""
        return []

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0."""
        for parameter in self.parameters():
            parameter.grad = 0.0


def _in_scope(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def scoped_call(self: Module, *args: Any, **kwargs: Any) -> Any:
        if type(self).__call__ is not scoped_call:  # reached through super(): the path has the name already
            return call(self, *args, **kwargs)
        token = enter_module(self._name or type(self).__name__)
        try:
            return call(self, *args, **kwargs)
        finally:
            leave_module(token)

    return scoped_call


class Neuron(Module, scoped=False):
    """activation(b + w1 x1 + ... + wn xn), the weights drawn from `random.uniform(-1, 1)`, the bias 0.

    The activation is named ("relu", "tanh", "sigmoid", "identity") or is any op of one operand. `nonlin=False`, as in
    micrograd, means "identity".
    """

    def __init__(self, nin: int, nonlin: bool = True, *, activation: str | Op = "relu") -> None:
        if isinstance(nin, bool) or not isinstance(nin, int) or nin < 0:
            raise ValueError(f"nin, the number of inputs, must be a whole number from 0 on, got {nin!r}")
        self.w = [Value(random.uniform(-1, 1), label=f"w[{i}]") for i in range(nin)]
        self.b = Value(0.0, label="b")
        chosen = _activation(activation)
        self.activation = chosen if nonlin else None

    @property
    def nonlin(self) -> bool:
        """Whether there is an activation other than the identity."""
        return self.activation is not None

    # `neuron` extends the path by itself, which saves setting it and back around the call, as other modules do: a
    # network calls nothing as often as its neurons.
    def __call__(self, x: Iterable[Value | float]) -> Value:
        """The output for the inputs x, values or numbers. Raises ValueError when their number is not `nin`."""
        name = (self._name or type(self).__name__) if self._adds_path else ""
        return neuron(self.w, x, self.b, self.activation, name)

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        kind = self.activation.symbol if self.activation else "Linear"
        return f"{kind}Neuron({len(self.w)})"


class Layer(Module):
    """nout neurons on the same nin inputs. A layer of one neuron returns the bare value, as in micrograd."""

    def __init__(self, nin: int, nout: int, *, nonlin: bool = True, activation: str | Op = "relu") -> None:
        if isinstance(nout, bool) or not isinstance(nout, int) or nout < 1:
            raise ValueError(f"nout, the number of neurons, must be a whole number from 1 on, got {nout!r}")
        self.neurons = [Neuron(nin, nonlin, activation=activation) for _ in range(nout)]

    def __call__(self, x: Iterable[Value | float]) -> Any:
        """A list of the neurons' outputs; the output itself when there is one neuron."""
        xs = [x] if isinstance(x, Value) else list(x)  # a Value is what a layer of one neuron returned
        out = [neuron(xs) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """Those of the neurons, in order."""
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(Module):
    """A multi-layer perceptron: `MLP(2, [16, 16, 1])` has 2 inputs, two hidden layers of 16 and one output.

    All layers but the last have the activation; the last is linear.
    """

    def __init__(self, nin: int, nouts: Sequence[int], *, activation: str | Op = "relu") -> None:
        if isinstance(nouts, int) or len(nouts) == 0:
            raise ValueError(f"nouts lists the sizes of the layers, at least one: MLP(2, [16, 1]); got {nouts!r}")
        sizes = [nin, *nouts]
        self.layers = [
            Layer(sizes[i], sizes[i + 1], nonlin=i != len(sizes) - 2, activation=activation)
            for i in range(len(sizes) - 1)
        ]

    def __call__(self, x: Iterable[Value | float]) -> Any:
        """The outputs of the last layer: a list, or the value itself when there is one."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        """Those of the layers, in order."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


def _activation(activation: str | Op) -> Op | None:
    if isinstance(activation, Op):
        if activation.arity != 1:
            raise ValueError(f"an activation takes one operand; {activation.name} takes {activation.arity}")
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}, or pass an op")
    return ACTIVATIONS[activation]
