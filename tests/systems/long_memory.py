"""A symbol to be remembered through 50 steps of noise: an LSTM does, a plain recurrent network forgets.

Run it: `python tests/systems/long_memory.py [folder]`, which gets a picture of the gradients.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

from microgrid import compile, datasets, fit, losses, nn
from microgrid.training import History

SYMBOLS, HIDDEN, DELAY = 4, 8, 50
KINDS: dict[str, Any] = {"plain": nn.RNN, "LSTM": nn.LSTM}


def samples(count: int, *, delay: int = DELAY, seed: int) -> tuple[Any, list[int]]:
    """A symbol, a column for each, and then `delay` steps with noise in one more column; and which symbol it was.

    With a noise of 0.3 in place of 1 the plain network learns it, too: its neurons become switches that stay where the
    symbol put them, as long as nothing pushes harder.
    """
    generator = random.Random(seed)
    texts, targets = datasets.copying(count, symbols=SYMBOLS, delay=delay, seed=seed)
    x = [
        [
            [*[float(token == k + 1) for k in range(SYMBOLS)], 0.0 if token else generator.gauss(0.0, 1.0)]
            for token in text
        ]
        for text in texts
    ]
    return x, [target[0] - 1 for target in targets]


class Reader(nn.Module):
    """A recurrent layer, and linear outputs of its last state."""

    def __init__(self, kind: str, seed: int) -> None:
        self.memory = KINDS[kind](SYMBOLS + 1, HIDDEN, seed=seed)
        self.answer = nn.Linear(HIDDEN, SYMBOLS, seed=seed + 1)

    def __call__(self, steps: Any) -> Any:
        """Logits of the symbols."""
        return self.answer(self.memory(steps)[0][-1])


def network(kind: str, *, seed: int = 0) -> Reader:
    """The network; an LSTM begins with gates that keep for about `DELAY` steps (Tallec and Ollivier 2018)."""
    model = Reader(kind, seed)
    if kind == "LSTM":
        generator, cell = random.Random(seed), model.memory.layers[0].cell
        for enter, keep in zip(cell.bias_ih[:HIDDEN], cell.bias_ih[HIDDEN : 2 * HIDDEN], strict=True):
            keep.data = math.log(generator.uniform(1.0, DELAY))
            enter.data = -keep.data
    return model


def train(model: Reader, *, epochs: int = 15, lr: float = 0.02, delay: int = DELAY) -> History:
    """The history of the training."""
    x, y = samples(128, delay=delay, seed=0)
    return fit(model, x, y, loss="cross_entropy", lr=lr, epochs=epochs, batch_size=8)


def accuracy(model: Reader, *, count: int = 200, delay: int = DELAY) -> float:
    """The fraction of unseen symbols that come back."""
    x, y = samples(count, delay=delay, seed=1)
    logits = zip(*compile(model).batch(x), strict=True)
    return sum(max(range(SYMBOLS), key=row.__getitem__) == k for row, k in zip(logits, y, strict=True)) / count


def gradients_through_time(model: Reader, *, delay: int = DELAY) -> list[float]:
    """The length of the gradient of a sample's loss by the state after each time step, from the first to the last."""
    x, y = samples(1, delay=delay, seed=2)
    cell, state, states = model.memory.layers[0].cell, None, []
    for step in x[0]:
        state = cell(step, state)
        states.append(state)
    losses.cross_entropy(model.answer(cell.output(state)), y[0]).backward()
    return [math.hypot(*[v.grad for v in losses.flat(state)]) for state in states]


def plot(curves: dict[str, list[float]], title: str) -> Any:
    """A figure with a curve for each network, in logarithms."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, sizes in curves.items():
        axes.semilogy(sizes, label=name)
    axes.set(xlabel="time step", ylabel="gradient by the state", title=title)
    axes.legend()
    return figure


def figures(folder: Path) -> dict[str, float]:
    """For each kind of network the symbols remembered, and how much of a gradient comes back to the first step."""
    found, curves = {}, {}
    for kind in KINDS:
        model = network(kind)
        curves[kind] = gradients_through_time(model)
        found[f"gradient through {DELAY} steps, {kind}"] = curves[kind][0] / curves[kind][-1]
        train(model)
        found[f"symbols remembered, {kind}"] = accuracy(model)
        curves[f"{kind}, trained"] = gradients_through_time(model)
    plot(curves, "A gradient on its way back through time").savefig(folder / "gradients-through-time.png")
    return found


if __name__ == "__main__":
    for name, figure in figures(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name}: {figure:.4g}")
