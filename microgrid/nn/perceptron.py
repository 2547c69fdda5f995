"""`Neuron`, `Layer`, `MLP`, and `Sequential`, which puts modules one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from microgrid import ops
from microgrid.core.primitive import Op
from microgrid.core.scope import enter_module, leave_module
from microgrid.engine import Value, neuron
from microgrid.functions import activations, composed
from microgrid.nn.initializers import Generator, Initializer, generator, initializer
from microgrid.nn.module import Module

Activation = str | Op | Callable[[Value], Value]

ACTIVATIONS: dict[str, Op | Callable[[Any], Any] | None] = {
    "relu": ops.relu,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "identity": None,
    **{op.name: op for op in (ops.softplus, ops.softsign, ops.silu, ops.gelu, ops.sin)},
    **activations.ACTIVATIONS,
    "mish": activations.mish,
    "sinc": composed.sinc,
}
"""Activations that a network takes by name."""


class Neuron(Module, scoped=False):
    """activation(b + w1 x1 + ... + wn xn), the bias 0, the weights drawn from `random.uniform(-1, 1)`.

    The activation is named ("relu", "tanh", "sigmoid", "identity", ...) or is a function of one value. `nonlin=False`,
    as in micrograd, means "identity". `init` is an initializer or its name ("uniform", "normal", "xavier", "he"), drawn
    from the generator of `seed`, a whole number or a `random.Random`; by default from the global one.

    >>> Neuron(2, init=lambda *_: 0.5)([1.0, 3.0]).data
    2.0
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool = True,
        *,
        activation: Activation = "relu",
        init: str | Initializer = "uniform",
        seed: int | Generator | None = None,
    ) -> None:
        if isinstance(nin, bool) or not isinstance(nin, int) or nin < 0:
            raise ValueError(f"nin, the number of inputs, must be a whole number from 0 on, got {nin!r}")
        draw, source = initializer(init), generator(seed)
        self.w = [Value(draw(source, nin, 1), label=f"w[{i}]") for i in range(nin)]
        self.b = Value(0.0, label="b")
        chosen = activation_named(activation)
        self.activation = chosen if nonlin else None

    @property
    def nonlin(self) -> bool:
        """True if there is an activation other than the identity."""
        return self.activation is not None

    # `neuron` extends the path by itself, which saves setting it and back around the call, as other modules do: a
    # network calls nothing as often as its neurons.
    def __call__(self, x: Iterable[Value | float]) -> Value:
        """Return the output for the inputs x, values or numbers. Raises ValueError when their number is not `nin`."""
        name = (self._name or type(self).__name__) if self._adds_path else ""
        activation = self.activation
        if activation is None or isinstance(activation, Op):
            return neuron(self.w, x, self.b, activation, name)
        token = enter_module(name) if name else None
        try:
            result: Value = activation(neuron(self.w, x, self.b, None, ""))
            return result
        finally:
            leave_module(token)

    def parameters(self) -> list[Value]:
        """Return the weights, then the bias, each once; then those that a subclass adds."""
        if type(self) is not Neuron:
            return super().parameters()
        # Same result as the search through the attributes, 3 times faster for a network.
        own = {id(p): p for p in (*self.w, self.b) if isinstance(p, Value) and p.op is None}
        return list(own.values())

    def __repr__(self) -> str:
        if self.activation is None:
            return f"LinearNeuron({len(self.w)})"
        symbol = self.activation.symbol if isinstance(self.activation, Op) else _name_of(self.activation)
        return f"{symbol}Neuron({len(self.w)})"


class Layer(Module):
    """nout neurons on the same nin inputs. A layer of one neuron returns the bare value, as in micrograd.

    `activation`, `init` and `seed` are those of its neurons.

    >>> [output.data for output in Layer(2, 2, init=lambda *_: 0.5)([1.0, 3.0])]
    [2.0, 2.0]
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        *,
        nonlin: bool = True,
        activation: Activation = "relu",
        init: str | Initializer = "uniform",
        seed: int | Generator | None = None,
    ) -> None:
        if isinstance(nout, bool) or not isinstance(nout, int) or nout < 1:
            raise ValueError(f"nout, the number of neurons, must be a whole number from 1 on, got {nout!r}")
        draw, source = initializer(init), generator(seed)

        def of_layer(generator: Any, inputs: int, _: int) -> float:
            return draw(generator, inputs, nout)

        self.neurons = [Neuron(nin, nonlin, activation=activation, init=of_layer, seed=source) for _ in range(nout)]

    def __call__(self, x: Iterable[Value | float]) -> Any:
        """Return a list of the neurons' outputs; the output itself when there is one neuron."""
        xs = [x] if isinstance(x, Value) else list(x)  # the output of a layer of one neuron
        # a plain neuron is called without the detour through its own __call__: a network calls nothing as often
        out = [
            neuron(n.w, xs, n.b, n.activation, n._name or "Neuron")
            if type(n) is Neuron and (n.activation is None or type(n.activation) is Op)
            else n(xs)
            for n in self.neurons
        ]
        return out[0] if len(out) == 1 else out

    def __repr__(self) -> str:
        if len(self.neurons) > 16:
            return f"Layer of {len(self.neurons)} [{self.neurons[0]}, ..., {self.neurons[-1]}]"
        return f"Layer of [{', '.join(str(neuron) for neuron in self.neurons)}]"


class MLP(Module):
    """A multi-layer perceptron: `MLP(2, [16, 16, 1])` has 2 inputs, two hidden layers of 16 and one output.

    All layers but the last have the activation; the last is linear, or has `output` for its own.

    >>> MLP(2, [16, 16, 1], activation="tanh", init="xavier", seed=0).count_parameters()
    337
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        *,
        activation: Activation = "relu",
        output: Activation = "identity",
        init: str | Initializer = "uniform",
        seed: int | Generator | None = None,
    ) -> None:
        if isinstance(nouts, int) or len(nouts) == 0:
            raise ValueError(f"nouts lists the sizes of the layers, at least one: MLP(2, [16, 1]); got {nouts!r}")
        source = generator(seed)
        activation_named(activation)  # a wrong one is an error even where no layer would use it
        activations = [activation] * (len(nouts) - 1) + [output]
        sizes = zip([nin, *nouts[:-1]], nouts, activations, strict=True)
        self.layers = [Layer(n, m, activation=own, init=init, seed=source) for n, m, own in sizes]

    def __call__(self, x: Iterable[Value | float]) -> Any:
        """Return the outputs of the last layer: a list, or the value itself when there is one."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


class Sequential(Module):
    """Modules, or functions, one after the other: each is called with the result of the one before.

    >>> Sequential(Layer(2, 3), Layer(3, 1, activation="tanh"))
    Sequential of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], Layer of [tanhNeuron(3)]]
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        for layer in layers:
            if not callable(layer):
                raise TypeError(f"a Sequential takes modules and functions one by one, got {layer!r}")
        self.layers = list(layers)

    def __call__(self, x: Any) -> Any:
        """Return the result of the last module."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        shown = [str(layer) if isinstance(layer, Module) else _name_of(layer) for layer in self.layers]
        return f"Sequential of [{', '.join(shown)}]"


def activation_named(activation: Activation) -> Op | Callable[[Any], Any] | None:
    """Return the activation of this name, or the function itself; None for the identity."""
    if isinstance(activation, Op):
        if activation.arity != 1:
            raise ValueError(f"an activation takes one operand; {activation.name} takes {activation.arity}")
        return activation
    if not isinstance(activation, str):
        if not callable(activation):
            raise TypeError(f"an activation is a name, an op or a function of one value, got {activation!r}")
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}, or pass an op")
    return ACTIVATIONS[activation]


def activation_shown(activation: Op | Callable[[Any], Any] | None) -> str:
    """Return the argument that made an activation, for the text of a layer; "" for the identity."""
    if activation is None:
        return ""
    return f", activation={activation.name if isinstance(activation, Op) else _name_of(activation)!r}"


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", repr(function)))
