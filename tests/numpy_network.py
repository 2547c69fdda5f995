"""Backpropagation as people write it with NumPy: whole batches at once, a delta for each layer. The oracle of `fit`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from microgrid import nn

Array = np.ndarray[Any, np.dtype[np.float64]]
LossName = Literal["half_squares", "mse", "binary_cross_entropy"]


class NumpyNetwork:
    """The same layers and numbers as an `MLP`, in arrays: W[l] is inputs x outputs."""

    def __init__(self, model: nn.MLP, hidden: str, output: str) -> None:
        layers = model.layers
        self.W = [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T for layer in layers]
        self.b = [np.array([neuron.b.data for neuron in layer.neurons]) for layer in layers]
        self.kinds = [hidden] * (len(layers) - 1) + [output]

    def forward(self, x: Array) -> list[Array]:
        """The activations of each layer, x being the first."""
        a = [x]
        for W, b, kind in zip(self.W, self.b, self.kinds, strict=True):
            z = a[-1] @ W + b
            if kind == "sigmoid":
                z = 1.0 / (1.0 + np.exp(-z))
            elif kind == "tanh":
                z = np.tanh(z)
            elif kind == "relu":
                z = np.maximum(z, 0.0)
            a.append(z)
        return a

    def loss_and_gradients(self, x: Array, y: Array, loss: LossName) -> tuple[float, list[tuple[Array, Array]]]:
        """half_squares: half the sum; mse: the mean over all numbers; cross-entropy: the sum of a row, its mean."""
        a = self.forward(x)
        out = a[-1]
        value: Any
        if loss == "half_squares":
            value, slope = 0.5 * np.sum((out - y) ** 2), out - y
        elif loss == "mse":
            value, slope = np.mean((out - y) ** 2), 2.0 * (out - y) / out.size
        else:
            value = -np.sum(y * np.log(out) + (1.0 - y) * np.log(1.0 - out)) / len(x)
            slope = (out - y) / len(x) / (out * (1.0 - out))
        gradients = []
        for layer in reversed(range(len(self.W))):
            z = a[layer + 1]
            kind = self.kinds[layer]
            bends = {"sigmoid": z * (1.0 - z), "tanh": 1.0 - z * z, "relu": (z > 0.0) * 1.0, "identity": z * 0.0 + 1.0}
            delta = slope * bends[kind]
            gradients.append((a[layer].T @ delta, delta.sum(axis=0)))
            slope = delta @ self.W[layer].T
        return float(value), gradients[::-1]

    def flat(self, arrays: list[tuple[Array, Array]]) -> list[float]:
        """Numbers for weights and biases, in the order of the parameters of an `MLP`."""
        flat = []
        for W, b in arrays:
            for k in range(len(b)):
                flat += [*W[:, k].tolist(), float(b[k])]
        return flat

    def descend(self, gradients: list[tuple[Array, Array]], rate: float) -> None:
        """A step of gradient descent."""
        for layer, (dW, db) in enumerate(gradients):
            self.W[layer] = self.W[layer] - rate * dW
            self.b[layer] = self.b[layer] - rate * db


class NumpyAdam:
    """Adam on the arrays of a network."""

    def __init__(self, network: NumpyNetwork, rate: float) -> None:
        self.network = network
        self.rate = rate
        self.t = 0
        self.m = [np.zeros_like(p) for p in [*network.W, *network.b]]
        self.s = [np.zeros_like(p) for p in [*network.W, *network.b]]

    def step(self, gradients: list[tuple[Array, Array]]) -> None:
        """A step of Adam, with the means made up for their start at 0."""
        self.t += 1
        numbers = [*self.network.W, *self.network.b]
        for k, g in enumerate([dW for dW, _ in gradients] + [db for _, db in gradients]):
            self.m[k] = 0.9 * self.m[k] + 0.1 * g
            self.s[k] = 0.999 * self.s[k] + 0.001 * g**2
            mean, squares = self.m[k] / (1.0 - 0.9**self.t), self.s[k] / (1.0 - 0.999**self.t)
            numbers[k] = numbers[k] - self.rate * mean / (np.sqrt(squares) + 1e-8)
        self.network.W, self.network.b = numbers[: len(gradients)], numbers[len(gradients) :]
