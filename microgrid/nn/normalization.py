"""Normalisation: `LayerNorm` and `RMSNorm` of the last axis, `BatchNorm` over the samples of a batch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from microgrid.engine import Value
from microgrid.functions import reductions
from microgrid.nn.linear import flat
from microgrid.nn.module import Module, tell_once
from microgrid.nn.shapes import by_rows, depth_of, fitted, fitted_rows, lists, whole


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + eps) of the last axis, times a weight plus a bias for each place in it.

    x has shape (..., normalized_shape). The weights begin with 1, the biases with 0; `elementwise_affine=False` leaves
    them out (Ba, Kiros and Hinton 2016).

    >>> [round(v.data, 3) for v in LayerNorm(2)([1.0, 3.0])]
    [-1.0, 1.0]
    """

    def __init__(self, normalized_shape: int, eps: float = 1e-5, elementwise_affine: bool = True) -> None:
        whole("LayerNorm", normalized_shape=normalized_shape)
        self.normalized_shape, self.eps = normalized_shape, eps
        self.weight = [Value(1.0) for _ in range(normalized_shape)] if elementwise_affine else None
        self.bias = [Value(0.0) for _ in range(normalized_shape)] if elementwise_affine else None

    def __call__(self, x: Any) -> Any:
        """Return nested lists of the same shape."""
        return by_rows(fitted_rows(self, x, self.normalized_shape), self._row)

    def _row(self, xs: list[Value]) -> list[Value]:
        deviations, variance = _deviations(xs)
        return _scaled(deviations, (variance + self.eps) ** -0.5, self.weight, self.bias)

    def __repr__(self) -> str:
        return f"LayerNorm({self.normalized_shape})"


class RMSNorm(Module):
    """x / sqrt(mean(x ** 2) + eps) of the last axis, times a weight for each place in it.

    x has shape (..., normalized_shape). The weights begin with 1; `elementwise_affine=False` leaves them out. By
    default eps is 2.2e-16, as in PyTorch (Zhang and Sennrich 2019).

    >>> [round(v.data, 3) for v in RMSNorm(2)([3.0, 4.0])]
    [0.849, 1.131]
    """

    def __init__(
        self, normalized_shape: int, eps: float = sys.float_info.epsilon, elementwise_affine: bool = True
    ) -> None:
        whole("RMSNorm", normalized_shape=normalized_shape)
        self.normalized_shape, self.eps = normalized_shape, eps
        self.weight = [Value(1.0) for _ in range(normalized_shape)] if elementwise_affine else None

    def __call__(self, x: Any) -> Any:
        """Return nested lists of the same shape."""
        return by_rows(fitted_rows(self, x, self.normalized_shape), self._row)

    def _row(self, xs: list[Value]) -> list[Value]:
        mean_square = reductions.mean([x * x for x in xs])
        return _scaled(xs, (mean_square + self.eps) ** -0.5, self.weight, None)

    def __repr__(self) -> str:
        return f"RMSNorm({self.normalized_shape})"


class BatchNorm(Module):
    """(x - mean) / sqrt(variance + eps) for each feature, over the samples of a batch; times a weight plus a bias.

    Unlike other modules it maps a batch, a list of samples: x has shape (samples, num_features), or (samples,
    num_features, ...) with channels for features, whose numbers at all places count together, as PyTorch's BatchNorm1d
    and BatchNorm2d have it. A network that contains one maps batches, too: call it with a list of samples in a loop of
    your own, or give `fit` batches for its samples, with batch_size=1.

    In training the mean and the variance are those of the batch. The running ones, which `eval()` switches to, move
    towards them by `momentum` with each recorded call (Ioffe and Szegedy 2015). Compiled code cannot change them, so a
    network in training is not compiled, unless `track_running_stats=False`: then there are none, and a batch is always
    normalised by its own.

    >>> [[round(v.data, 3) for v in x] for x in BatchNorm(1)([[1.0], [3.0]])]
    [[-1.0], [1.0]]
    """

    modal = True
    _buffers = ("running_mean", "running_var")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        whole("BatchNorm", num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = [Value(1.0) for _ in range(num_features)] if affine else None
        self.bias = [Value(0.0) for _ in range(num_features)] if affine else None
        self.running_mean = [Value(0.0) for _ in range(num_features)] if track_running_stats else None
        self.running_var = [Value(1.0) for _ in range(num_features)] if track_running_stats else None

    def __call__(self, x: Any) -> Any:
        """Return a batch of the same shape. In training it has at least two numbers for each feature."""
        nested = lists(x)
        axes: list[int | str] = ["samples", self.num_features, *["..."] * (depth_of(nested) - 2)]
        batch = fitted(self, nested, axes)
        features = [self._feature(i, flat([sample[i] for sample in batch])) for i in range(self.num_features)]
        return [[_refilled(sample[i], features[i]) for i in range(self.num_features)] for sample in batch]

    def _feature(self, i: int, xs: list[Value]) -> Iterator[Value]:
        """Yield the normalised numbers of a feature."""
        mean, variance = self.running_mean, self.running_var
        if mean is not None and variance is not None and not self.training:
            deviations, spread = [x - mean[i] for x in xs], variance[i]
        else:
            if len(xs) < 2:
                raise ValueError(f"{self!r} normalises by a batch: one number of a feature has no variance")
            deviations, spread = _deviations(xs)
            if mean is not None and variance is not None:
                tell_once(
                    xs[0],
                    "a BatchNorm in training moves its running statistics: call eval() on the model, or "
                    "make it with track_running_stats=False",
                )
                mean[i].data += self.momentum * (reductions.mean(xs).data - mean[i].data)
                unbiased = spread.data * len(xs) / (len(xs) - 1)
                variance[i].data += self.momentum * (unbiased - variance[i].data)
        scale = (spread + self.eps) ** -0.5
        yield from [_affine(d * scale, i, self.weight, self.bias) for d in deviations]

    def __repr__(self) -> str:
        return f"BatchNorm({self.num_features})"


def _deviations(xs: list[Value]) -> tuple[list[Value], Value]:
    """Return the deviations from the mean, and the mean of their squares."""
    mean = reductions.mean(xs)
    deviations = [x - mean for x in xs]
    return deviations, reductions.mean([d * d for d in deviations])


def _scaled(xs: list[Value], scale: Value, weight: list[Value] | None, bias: list[Value] | None) -> list[Value]:
    return [_affine(x * scale, i, weight, bias) for i, x in enumerate(xs)]


def _affine(x: Value, i: int, weight: list[Value] | None, bias: list[Value] | None) -> Value:
    y = x if weight is None else x * weight[i]
    return y if bias is None else y + bias[i]


def _refilled(x: Any, values: Iterator[Value]) -> Any:
    """Return nested lists of the shape of x, with other values."""
    return [_refilled(item, values) for item in x] if isinstance(x, list) else next(values)
