"""A convolutional network that tells handwritten digits apart: six maps of 3 x 3 pixels, pooling, ten linear outputs.

Run it: `python tests/systems/digit_recogniser.py`.
"""

from __future__ import annotations

from typing import Any

from microgrid import compile, datasets, fit, nn, optim, relu
from microgrid.training import History

TRAINING = 1200


def data() -> tuple[Any, Any, Any, Any]:
    """Images of one channel and their digits: 1,200 to learn from, and the 597 unseen ones."""
    images, labels = datasets.digits()
    x = [[image] for image in images]
    return x[:TRAINING], labels[:TRAINING], x[TRAINING:], labels[TRAINING:]


def network(*, seed: int = 0) -> nn.Sequential:
    """The network."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, activation=relu, seed=seed),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 10, seed=seed + 1),
    )


def train(model: nn.Sequential, x: Any, y: Any, *, epochs: int = 12, batch_size: int = 32) -> History:
    """The history of the training, at a rate that falls to 0 along a half wave of the cosine."""
    lr = optim.cosine(0.02, epochs * -(-len(x) // batch_size))
    return fit(model, x, y, loss="cross_entropy", lr=lr, epochs=epochs, batch_size=batch_size)


def answers(model: nn.Sequential, x: Any) -> list[int]:
    """The digit that the network sees in each image."""
    logits = zip(*compile(model).batch(x), strict=True)
    return [max(range(10), key=row.__getitem__) for row in logits]


def accuracy(model: nn.Sequential, x: Any, y: list[int]) -> float:
    """The fraction of images whose digit the network sees."""
    return sum(a == b for a, b in zip(answers(model, x), y, strict=True)) / len(y)


def figures() -> dict[str, float]:
    """The fraction of unseen digits that a trained network knows."""
    x, y, unseen, digits = data()
    model = network()
    train(model, x, y)
    return {"unseen digits recognised": accuracy(model, unseen, digits)}


if __name__ == "__main__":
    for name, figure in figures().items():
        print(f"{name}: {figure:.4g}")
