"""Convolutions: `Conv1d` over sequences and `Conv2d` over images, of one or more channels."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from microgrid.core.primitive import Op
from microgrid.core.scope import frame
from microgrid.engine import Value, neuron
from microgrid.nn.initializers import Draw, Generator, Initializer, generator
from microgrid.nn.linear import flat
from microgrid.nn.module import Module
from microgrid.nn.perceptron import Activation, activation_named, activation_shown
from microgrid.nn.shapes import fitted, whole
from microgrid.nn.windows import Sizes, padded, places_of, reshaped, short, sizes, windows_of


class _Convolution(Module):
    """Sums of a window of all channels times weights, plus a bias, for each output channel and place of the window.

    x has shape (in_channels, ...), the result (out_channels, ...), where an axis of n places becomes one of
    (n + 2 padding - kernel_size) // stride + 1; the padding is of zeros. `activation` is that of a `Neuron`. Weights
    and biases are drawn by `fan_in`, as PyTorch's are; with an initializer of your own for the weights, the biases
    are 0.
    """

    _axes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        *,
        activation: Activation = "identity",
        init: str | Initializer | None = None,
        seed: int | Generator | None = None,
    ) -> None:
        name = type(self).__name__
        whole(name, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (
            sizes(name, what, size, len(self._axes), least)
            for what, size, least in (
                ("kernel_size", kernel_size, 1),
                ("stride", stride, 1),
                ("padding", padding, 0),
            )
        )
        window = math.prod(self.kernel_size)
        draw = Draw(init, generator(seed), in_channels * window, out_channels * window)
        self.weight = draw.weights(out_channels, in_channels, *self.kernel_size)
        self.bias = draw.biases(out_channels)
        self.activation = activation_named(activation)

    def __call__(self, x: Any) -> Any:
        """Return the channels."""
        channels = [padded(channel, self.padding) for channel in fitted(self, x, (self.in_channels, *self._axes))]
        places = places_of(self, x, channels[0], self.kernel_size, self.stride)
        views = [windows_of(channel, places, self.kernel_size) for channel in channels]
        windows = [flat(list(parts)) for parts in zip(*views, strict=True)]
        result = []
        for k, (weights, bias) in enumerate(zip(self.weight, self.bias, strict=True)):
            with frame(f"channel={k}"):
                listed = flat(weights)
                result.append(reshaped([self._at(listed, window, bias) for window in windows], places))
        return result

    def _at(self, weights: list[Value], window: list[Value], bias: Value) -> Any:
        if self.activation is None or isinstance(self.activation, Op):
            return neuron(weights, window, bias, self.activation, "")
        return self.activation(neuron(weights, window, bias, None, ""))

    def __repr__(self) -> str:
        usual = {"stride": 1, "padding": 0}
        given = [
            f", {name}={short(getattr(self, name))}"
            for name, n in usual.items()
            if any(size != n for size in getattr(self, name))
        ]
        channels = f"{self.in_channels}, {self.out_channels}"
        given.append(activation_shown(self.activation))
        return f"{type(self).__name__}({channels}, {short(self.kernel_size)}{''.join(given)})"


class Conv1d(_Convolution):
    """A convolution over sequences: x of shape (in_channels, length) gives (out_channels, length').

    >>> edges = Conv1d(1, 1, 2, init=lambda *_: 1.0)
    >>> [[v.data for v in channel] for channel in edges([[1.0, 2.0, 3.0]])]
    [[3.0, 5.0]]
    """

    _axes = ("length",)


class Conv2d(_Convolution):
    """A convolution over images: x of shape (in_channels, height, width) gives (out_channels, height', width').

    >>> mean = Conv2d(1, 1, 2, init=lambda *_: 0.25)
    >>> mean([[[1.0, 2.0], [3.0, 6.0]]])[0][0][0].data
    3.0
    """

    _axes = ("height", "width")
