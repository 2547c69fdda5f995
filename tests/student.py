"""Networks and their backpropagation as a student writes them with NumPy, with mistakes to choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def tanh(z: Array) -> Array:
    return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))


def relu(z: Array) -> Array:
    return np.maximum(0, z)


def softmax(z: Array) -> Array:
    e = np.exp(z - np.max(z, axis=0))
    return e / e.sum(axis=0)


FUNCTIONS: dict[str, Callable[[Array], Array]] = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu}
SLOPES: dict[str, Callable[[Array, Array], Array]] = {
    "sigmoid": lambda z, a: a * (1 - a),
    "tanh": lambda z, a: 1 - a**2,
    "relu": lambda z, a: (z > 0) * 1.0,
}


@dataclasses.dataclass
class Network:
    """Layers W a + b on columns of X; the last one with a sigmoid or a softmax."""

    sizes: list[int]
    hidden: str
    loss: str  # "cross-entropy", "softmax" or "half squares"
    X: Array
    Y: Array
    penalty: float = 0.0

    @classmethod
    def random(cls, rng: np.random.Generator, **chosen: Any) -> Network:
        """A network of two or three layers of few neurons, with a batch of four."""
        hidden = chosen.get("hidden") or str(rng.choice(["sigmoid", "tanh", "relu"]))
        loss = chosen.get("loss") or str(rng.choice(["cross-entropy", "softmax", "half squares"]))
        outputs = 3 if loss == "softmax" else int(rng.integers(1, 3))
        layers = int(chosen.get("layers") or rng.integers(2, 4))
        width = int(rng.integers(3, 5))
        sizes = [2, *[width] * (layers - 1), outputs]
        X = rng.normal(size=(2, 4))
        Y = np.eye(3)[:, rng.integers(0, 3, size=4)] if loss == "softmax" else rng.integers(0, 2, size=(outputs, 4))
        return cls(sizes, hidden, loss, X, Y * 1.0, chosen.get("penalty", 0.0))

    def start(self, rng: np.random.Generator) -> list[Array]:
        """W1, b1, W2, b2, ..."""
        shapes = [s for n, m in zip(self.sizes, self.sizes[1:], strict=False) for s in ((m, n), (m, 1))]
        return [rng.normal(size=shape) for shape in shapes]

    def forward(self, parameters: Any) -> tuple[list[Array], list[Array]]:
        """Pre-activations and activations, the first of which are the samples."""
        zs, activations = [], [self.X]
        for k in range(0, len(parameters), 2):
            zs.append(parameters[k] @ activations[-1] + parameters[k + 1])
            last = k == len(parameters) - 2
            function = (softmax if self.loss == "softmax" else sigmoid) if last else FUNCTIONS[self.hidden]
            activations.append(function(zs[-1]))
        return zs, activations

    def cost(self, *parameters: Array) -> Any:
        """The mean loss of a sample."""
        out, m = self.forward(parameters)[1][-1], self.X.shape[1]
        if self.loss == "half squares":
            data = 0.5 * ((out - self.Y) ** 2).sum() / m
        elif self.loss == "softmax":
            data = -(self.Y * np.log(out)).sum() / m
        else:
            data = -(self.Y * np.log(out) + (1 - self.Y) * np.log(1 - out)).sum() / m
        if self.penalty:
            data = data + 0.5 * self.penalty * sum((W**2).sum() for W in parameters[::2])
        return data

    def gradients(self, *parameters: Array, mistakes: tuple[str, ...] = ()) -> list[Array]:
        """Backpropagation, with these mistakes."""
        zs, activations = self.forward(parameters)
        m, out = self.X.shape[1], activations[-1]
        delta = (out if "target forgotten" in mistakes else out - self.Y) / m
        if "mean forgotten" in mistakes:
            delta = delta * m
        if "sign" in mistakes:
            delta = -delta
        if (self.loss == "half squares") != ("other loss" in mistakes):
            delta = delta * out * (1 - out)
        found: list[Array] = []
        for layer in reversed(range(len(zs))):
            W, below = parameters[2 * layer], activations[layer]
            if "pre-activation for activation" in mistakes and layer == 1:
                below = zs[0]
            dW, db = delta @ below.T, delta.sum(axis=1, keepdims=True)
            if "last sample" in mistakes:
                dW, db = np.outer(delta[:, -1], below[:, -1]), delta[:, -1:]
            if "a sample left out" in mistakes:
                dW, db = delta[:, 1:] @ below[:, 1:].T, delta[:, 1:].sum(axis=1, keepdims=True)
            if self.penalty and "penalty forgotten" not in mistakes:
                dW = dW + self.penalty * W * (2.0 if "penalty doubled" in mistakes else 1.0)
            if "sign of W1" in mistakes and layer == 0:
                dW = -dW
            found = [dW, db, *found]
            if layer:
                back = W if "not transposed" in mistakes and layer == 1 else W.T
                delta = (np.ones_like(W.T) if "without weights" in mistakes and layer == 1 else back) @ delta
                delta = delta * self._slope(zs[layer - 1], activations[layer], layer - 1, mistakes)
        return found

    def _slope(self, z: Array, a: Array, layer: int, mistakes: tuple[str, ...]) -> Array:
        slope = SLOPES[self.hidden]
        if layer == 0:
            if "slope missing" in mistakes:
                return 1.0
            if "slope at z" in mistakes:
                return slope(z, z)
            if "slope at a" in mistakes:
                return slope(a, FUNCTIONS[self.hidden](a))
            if "slope squared" in mistakes:
                return slope(z, a) ** 2
            if "slope of another" in mistakes:
                return SLOPES["tanh" if self.hidden == "sigmoid" else "sigmoid"](z, a)
        return slope(z, a)
