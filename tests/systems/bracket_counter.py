"""A recurrent network that counts: after each bracket of a text, how many are open; texts have unlike lengths.

Run it: `python tests/systems/bracket_counter.py`.
"""

from __future__ import annotations

import random
from typing import Any

from microgrid import compile, fit, nn, optim
from microgrid.training import History, Objective

Texts = list[list[list[float]]]


def samples(count: int, lengths: tuple[int, int], *, seed: int) -> tuple[Texts, Texts]:
    """Texts of brackets, 1 for an opening one and -1 for a closing one, and how many are open after each."""
    generator = random.Random(seed)
    x: Texts = []
    y: Texts = []
    for _ in range(count):
        depth, text, depths = 0, [], []
        for _ in range(generator.randint(*lengths)):
            bracket = 1 if depth == 0 or generator.random() < 0.5 else -1
            depth += bracket
            text.append([float(bracket)])
            depths.append([float(depth)])
        x.append(text)
        y.append(depths)
    return x, y


class Counter(nn.Module):
    """A recurrent layer of relu, and a linear output for each time step."""

    def __init__(self, hidden: int, seed: int) -> None:
        self.memory = nn.RNN(1, hidden, nonlinearity="relu", seed=seed)
        self.depth = nn.Linear(hidden, 1, seed=seed + 1)

    def __call__(self, brackets: Any) -> Any:
        """The depth after each bracket."""
        return self.depth(self.memory(brackets)[0])


def network(*, hidden: int = 4, seed: int = 0) -> Counter:
    """The network."""
    return Counter(hidden, seed)


def train(model: Counter, *, epochs: int = 100) -> History:
    """The history of the training, on 200 texts of 4 to 10 brackets."""
    x, y = samples(200, (4, 10), seed=0)
    batches = 7
    return fit(
        model,
        x,
        y,
        loss=Objective("mse", compile=True),
        lr=optim.cosine(0.02, batches * epochs),
        epochs=epochs,
        batch_size=32,
    )


def accuracy(model: Counter, length: int, count: int = 100) -> float:
    """The fraction of unseen texts of a length of which each depth is right to the nearest whole number."""
    x, y = samples(count, (length, length), seed=1)
    depths = zip(*[rows[0] for rows in compile(model).batch(x)], strict=True)
    right = [
        all(abs(d - wanted[0]) < 0.5 for d, wanted in zip(row, text, strict=True))
        for row, text in zip(depths, y, strict=True)
    ]
    return sum(right) / count


def figures() -> dict[str, float]:
    """The fraction of texts counted without a mistake, of lengths that were trained and of longer ones."""
    model = network()
    train(model)
    return {f"texts of {length} brackets counted": accuracy(model, length) for length in (10, 40)}


if __name__ == "__main__":
    for name, figure in figures().items():
        print(f"{name}: {figure:.4g}")
