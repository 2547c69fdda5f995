"""An autoencoder: each digit of 64 pixels through a code of two numbers, which make a map of the digits.

Run it: `python tests/systems/digit_autoencoder.py [folder]`, which gets the picture of the map.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

from microgrid import compile, datasets, fit, nn, optim
from microgrid.training import History

TRAINING = 600


def data() -> tuple[list[list[float]], list[list[float]], list[int]]:
    """Pixels of 600 digits to learn from, and of 300 unseen ones, with what they are."""
    images, labels = datasets.digits(TRAINING + 300)
    x = [[pixel for row in image for pixel in row] for image in images]
    return x[:TRAINING], x[TRAINING:], labels[TRAINING:]


class Autoencoder(nn.Module):
    """An encoder, pixels to a code, and a decoder, a code to pixels."""

    def __init__(self, code: int, seed: int) -> None:
        options: Any = {"activation": "tanh", "init": "xavier", "seed": random.Random(seed)}
        self.encoder = nn.MLP(64, [24, code], **options)
        self.decoder = nn.MLP(code, [24, 64], output="sigmoid", **options)

    def __call__(self, pixels: Any) -> Any:
        """The pixels that are left of an image after its way through the code."""
        return self.decoder(self.encoder(pixels))


def network(*, code: int = 2, seed: int = 0) -> Autoencoder:
    """The network."""
    return Autoencoder(code, seed)


def train(model: Autoencoder, x: list[list[float]], *, epochs: int = 60, lr: float = 0.01) -> History:
    """The history of the training."""
    rate = optim.cosine(lr, epochs * -(-len(x) // 20))
    return fit(model, x, x, loss="mse", lr=rate, epochs=epochs, batch_size=20)


def error(model: Autoencoder, x: list[list[float]]) -> float:
    """The mean square of what the code loses of a pixel."""
    images = zip(*compile(model).batch(x), strict=True)
    squares = [(a - b) ** 2 for one, image in zip(x, images, strict=True) for a, b in zip(one, image, strict=True)]
    return math.fsum(squares) / len(squares)


def codes(model: Autoencoder, x: list[list[float]]) -> list[tuple[float, ...]]:
    """The code of each image."""
    return list(zip(*compile(model.encoder).batch(x), strict=True))


def plot(places: Any, labels: list[int], title: str) -> Any:
    """A figure with each digit at its code."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(title=title)
    xs, ys = zip(*places, strict=True)
    axes.plot(xs, ys, linestyle="none")  # sets the limits, which text does not
    for x, y, digit in zip(xs, ys, labels, strict=True):
        axes.text(x, y, str(digit), color=colormaps["tab10"](digit), ha="center", va="center", weight="bold")
    return figure


def figures(folder: Path) -> dict[str, float]:
    """The error of unseen digits from their codes."""
    x, unseen, labels = data()
    model = network()
    train(model, x)
    plot(codes(model, unseen), labels, "300 unseen digits at their codes").savefig(folder / "digits-by-code.png")
    return {"mean square error": error(model, unseen)}


if __name__ == "__main__":
    for name, figure in figures(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name}: {figure:.4g}")
