"""10 inputs, 64 relu neurons, 2 linear outputs; mean squared error: three kinds of descent, Adam, and a grid search.

Run it: `python tests/systems/regression.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from microgrid import fit, nn
from microgrid.training import History, TrainingError

KINDS: dict[str, dict[str, Any]] = {
    "full batch": {"batch_size": None},
    "mini-batch": {"batch_size": 8},
    "stochastic": {"batch_size": 1},
    "Adam": {"batch_size": 8, "optimizer": "adam", "lr": 0.001},
}


def samples(count: int, *, seed: int = 0) -> tuple[list[list[float]], list[list[float]]]:
    """Normal points in 10 dimensions, and two smooth functions of them."""
    generator = random.Random(seed)
    x = [[generator.gauss(0.0, 1.0) for _ in range(10)] for _ in range(count)]
    return x, [[math.sin(row[0]) + 0.5 * row[1], row[2] * row[3] * 0.5] for row in x]


def network(hidden: int = 64, *, seed: int = 0) -> nn.MLP:
    """The network."""
    return nn.MLP(10, [hidden, 2], init="he", seed=seed)


def train(x: Any, y: Any, *, hidden: int = 64, epochs: int = 100, **options: Any) -> tuple[nn.MLP, History]:
    """A trained network and its history; by stochastic gradient descent of rate 0.01 where nothing else is said."""
    model = network(hidden)
    return model, fit(model, x, y, loss="mse", epochs=epochs, **{"optimizer": "sgd", "lr": 0.01, **options})


def grid_search(x: Any, y: Any, rates: Sequence[float], widths: Sequence[int], **options: Any) -> dict[Any, float]:
    """The validation loss after training, for each rate and width; infinite where the steps ran away."""
    results = {}
    for rate in rates:
        for width in widths:
            try:
                history = train(x, y, hidden=width, lr=rate, validation=0.25, **options)[1]
            except TrainingError:
                results[rate, width] = math.inf
            else:
                results[rate, width] = history["validation_loss"][-1]
    return results


def table(results: dict[Any, float]) -> str:
    """The results of a grid search: a line for each rate, a column for each width, the best with a star."""
    rates, widths = (list(dict.fromkeys(key[i] for key in results)) for i in (0, 1))
    best = min(results, key=lambda key: results[key])
    lines = ["rate    " + "".join(f"{f'width {width}':>12}" for width in widths)]
    for rate in rates:
        cells = [f"{results[rate, width]:.4f}{'*' if (rate, width) == best else ' '}" for width in widths]
        lines.append(f"{rate:<8g}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    x, y = samples(32)
    for name, options in KINDS.items():
        print(f"{name:11}", train(x, y, epochs=10, **options)[1])
    print(table(grid_search(x, y, rates=[0.001, 0.01, 0.1], widths=[4, 16, 64], epochs=3, batch_size=4)))
