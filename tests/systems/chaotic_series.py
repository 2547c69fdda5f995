"""A GRU that forecasts a chaotic series, that of Mackey and Glass, six units of time ahead.

Run it: `python tests/systems/chaotic_series.py`.
"""

from __future__ import annotations

import math
from typing import Any

from microgrid import compile, datasets, fit, nn, optim
from microgrid.training import History

WINDOW, AHEAD, TRAINING = 18, 6, 300
SERIES = datasets.mackey_glass(500)


class Forecaster(nn.Module):
    """A GRU, and a linear output of its last state, added to the last number."""

    def __init__(self, hidden: int, seed: int) -> None:
        self.memory = nn.GRU(1, hidden, seed=seed)
        self.change = nn.Linear(hidden, 1, seed=seed + 1)

    def __call__(self, past: Any) -> Any:
        """The number after six more units of time."""
        return [past[-1][0] + change for change in self.change(self.memory(past)[0][-1])]


def samples(first: int, last: int) -> tuple[list[list[list[float]]], list[float]]:
    """For each time from `first` until before `last`, the 18 numbers that are known six units earlier, and its own."""
    x = [[[SERIES[s]] for s in range(t - AHEAD - WINDOW + 1, t - AHEAD + 1)] for t in range(first, last)]
    return x, SERIES[first:last]


def network(*, hidden: int = 8, seed: int = 0) -> Forecaster:
    """The network."""
    return Forecaster(hidden, seed)


def train(model: Forecaster, *, epochs: int = 60, lr: float = 0.02, batch_size: int = 20) -> History:
    """The history of the training, on the first 300 numbers."""
    x, y = samples(AHEAD + WINDOW, TRAINING)
    rate = optim.cosine(lr, epochs * -(-len(x) // batch_size))
    return fit(model, x, y, loss="mse", lr=rate, epochs=epochs, batch_size=batch_size)


def forecasts(model: Forecaster) -> list[float]:
    """The numbers after the first 300, each forecast from those up to six units earlier."""
    x, _ = samples(TRAINING, len(SERIES))
    return [float(y) for y in compile(model).batch(x)[0]]


def naive() -> list[float]:
    """The naive forecast: the last known number stays."""
    return SERIES[TRAINING - AHEAD : len(SERIES) - AHEAD]


def error(forecasts: list[float]) -> float:
    """The root of the mean square of the errors of forecasts of the numbers after the first 300."""
    pairs = list(zip(forecasts, SERIES[TRAINING:], strict=True))
    return math.sqrt(sum((a - b) ** 2 for a, b in pairs) / len(pairs))


def figures() -> dict[str, float]:
    """The error of forecasts, and how many times larger that of the naive forecast is."""
    model = network()
    train(model)
    own = error(forecasts(model))
    return {"error": own, "times better than naive": error(naive()) / own}


if __name__ == "__main__":
    for name, figure in figures().items():
        print(f"{name}: {figure:.4g}")
