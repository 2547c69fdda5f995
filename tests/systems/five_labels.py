"""10 inputs, 20 and 5 sigmoid neurons, weights of 0.01 randn; mean binary cross-entropy, full batch, rate 0.01.

Five answers of yes or no for each of 100 random samples; the loss is the sum over the answers, the mean over samples.
Run it: `python tests/systems/five_labels.py [steps]`, 10,000 steps by default.
"""

from __future__ import annotations

import random
import sys
from functools import partial

from microgrid import fit, losses, nn
from microgrid.training import History

LOSS = partial(losses.binary_cross_entropy, reduction="sum")


def samples(count: int = 100, *, seed: int = 0) -> tuple[list[list[float]], list[list[int]]]:
    """Normal points in 10 dimensions, and five random answers for each."""
    generator = random.Random(seed)
    x = [[generator.gauss(0.0, 1.0) for _ in range(10)] for _ in range(count)]
    return x, [[generator.randrange(2) for _ in range(5)] for _ in range(count)]


def network(*, deviation: float = 0.01, seed: int = 0) -> nn.MLP:
    """The network."""
    init = nn.normal(deviation)
    return nn.MLP(10, [20, 5], activation="sigmoid", output="sigmoid", init=init, seed=seed)


def train(model: nn.MLP, x: list[list[float]], y: list[list[int]], steps: int) -> History:
    """The history of the training."""
    return fit(model, x, y, loss=LOSS, optimizer="sgd", lr=0.01, epochs=steps, metrics=["accuracy"])


if __name__ == "__main__":
    print(train(network(), *samples(), steps=int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
