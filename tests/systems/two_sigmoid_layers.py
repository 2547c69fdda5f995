"""n inputs, a hidden layer, p outputs, sigmoid throughout; half the sum of squares, by gradient descent.

Run it: `python tests/systems/two_sigmoid_layers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from microgrid import fit, nn
from microgrid.training import History, Objective

X = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def network(inputs: int, hidden: int, outputs: int, *, seed: int = 0) -> nn.MLP:
    """The network."""
    return nn.MLP(inputs, [hidden, outputs], activation="sigmoid", output="sigmoid", seed=seed)


def train(
    x: Sequence[Sequence[float]], y: Sequence[Sequence[float]], hidden: int, epochs: int, learning_rate: float
) -> tuple[nn.MLP, History]:
    """A trained network and its history. The sum runs over outputs and samples: hence no mean."""
    model = network(len(x[0]), hidden, len(y[0]))
    objective = Objective("half_squares", reduction="sum")
    history = fit(model, x, y, loss=objective, optimizer="sgd", lr=learning_rate, epochs=epochs)
    return model, history


if __name__ == "__main__":
    model, history = train(X, Y, hidden=4, epochs=2000, learning_rate=0.5)
    print(history)
    for row, target in zip(X, Y, strict=True):
        print(row, [round(output.data, 3) for output in model(row)], target)
