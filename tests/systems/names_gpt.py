"""A GPT of 4,192 parameters that learns names, one a step, and invents new ones.

Run it: `python tests/systems/names_gpt.py`.
"""

from __future__ import annotations

import math
import random
import string

from microgrid import datasets, fit, losses, nn, no_grad, optim
from microgrid.training import History


def names(count: int = 1000, *, unseen: int = 100, seed: int = 0) -> tuple[list[str], list[str]]:
    """Names to learn from, and unseen ones."""
    drawn = random.Random(seed).sample(datasets.names(), count + unseen)
    return drawn[:count], drawn[count:]


def network(*, seed: int = 0) -> nn.GPT:
    """The network: one block of width 16 with 4 heads, a context of 16 letters."""
    return nn.GPT(string.ascii_lowercase, seed=seed)


def train(model: nn.GPT, texts: list[str], *, epochs: int = 1) -> History:
    """The history of the training: a step for each name."""
    optimizer = optim.Adam(model.parameters(), optim.cosine(0.01, epochs * len(texts)), betas=(0.85, 0.99))
    return fit(model, *model.samples(texts), loss="cross_entropy", optimizer=optimizer, epochs=epochs, batch_size=1)


def loss(model: nn.GPT, texts: list[str]) -> float:
    """The mean over the letters of -log of the probability that the network gives to the next one."""
    with no_grad():
        rows = [
            losses.cross_entropy(row, k).data
            for tokens, classes in zip(*model.samples(texts), strict=True)
            for row, k in zip(model(tokens), classes, strict=True)
        ]
    return math.fsum(rows) / len(rows)


def invented(model: nn.GPT, count: int = 10, *, temperature: float = 0.7) -> list[str]:
    """New names."""
    return [model.generate(temperature=temperature, seed=seed) for seed in range(count)]


def figures() -> dict[str, float]:
    """The loss of unseen names before and after training, and how many of ten invented names are new."""
    known, unseen = names()
    model = network()
    before = loss(model, unseen)
    train(model, known)
    names_made = invented(model)
    print(*names_made)
    return {"loss before": before, "loss after": loss(model, unseen), "new names": len(set(names_made) - set(known))}


if __name__ == "__main__":
    for name, figure in figures().items():
        print(f"{name}: {figure:.4g}")
