"""Pooling: the largest, or the mean, of each window of each channel."""

from __future__ import annotations

from typing import Any, ClassVar

from microgrid.core.scope import frame
from microgrid.engine import Value
from microgrid.functions import reductions
from microgrid.nn.module import Module
from microgrid.nn.shapes import fitted
from microgrid.nn.windows import Sizes, places_of, reshaped, short, sizes, windows_of


class _Pooling(Module):
    """One number for each window of each channel; windows stand side by side unless `stride` says otherwise."""

    _axes: ClassVar[tuple[str, ...]]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None) -> None:
        name = type(self).__name__
        self.kernel_size = sizes(name, "kernel_size", kernel_size, len(self._axes))
        self.stride = self.kernel_size if stride is None else sizes(name, "stride", stride, len(self._axes))

    def __call__(self, x: Any) -> Any:
        """Return the channels, with an axis of n places reduced to (n - kernel_size) // stride + 1."""
        channels = fitted(self, x, ("channels", *self._axes))
        places, result = places_of(self, x, channels[0], self.kernel_size, self.stride), []
        for k, channel in enumerate(channels):
            with frame(f"channel={k}"):
                pooled = [self._pooled(window) for window in windows_of(channel, places, self.kernel_size)]
                result.append(reshaped(pooled, places))
        return result

    def _pooled(self, window: list[Value]) -> Value:
        raise NotImplementedError

    def __repr__(self) -> str:
        stride = "" if self.stride == self.kernel_size else f", stride={short(self.stride)}"
        return f"{type(self).__name__}({short(self.kernel_size)}{stride})"


class _Largest(_Pooling):
    def _pooled(self, window: list[Value]) -> Value:
        largest: Value = reductions.max(window)
        return largest


class _Mean(_Pooling):
    def _pooled(self, window: list[Value]) -> Value:
        mean: Value = reductions.mean(window)
        return mean


class MaxPool1d(_Largest):
    """The largest of each window of x of shape (channels, length); k equal largest share the derivative, 1/k each.

    >>> [[v.data for v in channel] for channel in MaxPool1d(2)([[1.0, 3.0, 2.0, 0.0]])]
    [[3.0, 2.0]]
    """

    _axes = ("length",)


class MaxPool2d(_Largest):
    """The largest of each window of x of shape (channels, height, width); k equal largest share the derivative.

    >>> MaxPool2d(2)([[[1.0, 2.0], [3.0, 6.0]]])[0][0][0].data
    6.0
    """

    _axes = ("height", "width")


class AvgPool1d(_Mean):
    """The mean of each window of x of shape (channels, length).

    >>> [[v.data for v in channel] for channel in AvgPool1d(2)([[1.0, 3.0, 2.0, 0.0]])]
    [[2.0, 1.0]]
    """

    _axes = ("length",)


class AvgPool2d(_Mean):
    """The mean of each window of x of shape (channels, height, width).

    >>> AvgPool2d(2)([[[1.0, 2.0], [3.0, 6.0]]])[0][0][0].data
    3.0
    """

    _axes = ("height", "width")
