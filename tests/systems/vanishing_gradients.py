"""Deep networks of sigmoid, tanh and relu neurons: how the gradient fades from layer to layer, measured and plotted.

Run it: `python tests/systems/vanishing_gradients.py [folder]`, which gets a picture for each activation.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from microgrid import fit, losses, nn
from microgrid.datasets import moons
from microgrid.optim import SGD
from microgrid.training import History, gradients_by_layer, plot_gradients

X, Y = moons(8, seed=0)
DEPTH, WIDTH = 6, 6


def network(activation: str, *, depth: int = DEPTH, seed: int = 0) -> nn.MLP:
    """`depth` hidden layers and a linear output, with the initializer that suits the activation."""
    init = "he" if activation == "relu" else "xavier"
    return nn.MLP(2, [WIDTH] * depth + [1], activation=activation, init=init, seed=seed)


def train(model: nn.MLP, *, epochs: int = 1, lr: float = 0.05, momentum: float = 0.0) -> History:
    """The history of the training; the gradients of its last step stay on the parameters."""
    return fit(model, X, Y, loss=losses.mse, optimizer=SGD(model.parameters(), lr, momentum=momentum), epochs=epochs)


def sizes(model: nn.MLP) -> list[float]:
    """The root mean square of the gradients in each layer, from the first to the last."""
    layers = gradients_by_layer(model).values()
    return [math.hypot(*gradients) / math.sqrt(len(gradients)) for gradients in layers]


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for activation in ("sigmoid", "tanh", "relu"):
        model = network(activation)
        train(model)
        print(f"{activation:8}", "  ".join(f"{size:.2e}" for size in sizes(model)))
        picture = folder / f"gradients-{activation}.png"
        plot_gradients(model, title=f"Gradients after one step, {activation}").savefig(picture)
        print("wrote", picture)
