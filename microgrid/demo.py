"""The demo: a network of scalars learns to separate two moons, and what it learned is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from microgrid import nn
from microgrid.datasets import moons
from microgrid.draw import draw
from microgrid.engine import Value
from microgrid.picture import ADVICE
from microgrid.scope import no_grad

STEPS = 100
BLUE, VERMILION, INK = "#0072B2", "#D55E00", "#333333"


class DemoError(Exception):
    """Something the person can mend; its text says how."""


def demo(folder: Path, *, steps: int = STEPS, samples: int = 100, seed: int = 1337, quiet: bool = False) -> None:
    """Train `MLP(2, [16, 16, 1])` on two moons with the hinge loss, and write three pictures into the folder.

    The same seed gives the same bits. Ctrl-C ends the training, and the pictures show what was learned so far. Raises
    DemoError when the folder cannot be written or a package is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401  # asked for before the training, not after it
        from tqdm import tqdm
    except ImportError as error:
        raise DemoError(f"the demo needs {error.name}: pip install 'microgrid[train]'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise DemoError(f"cannot write into {folder}: {error.strerror}; choose a folder with --out") from None

    points, labels = moons(samples, seed=seed)
    random.seed(seed)
    model = nn.MLP(2, [16, 16, 1])
    print(f"MLP(2, [16, 16, 1]) with {len(model.parameters())} parameters, {samples} points on two moons")
    losses: list[float] = []
    score = 0.0
    try:
        for step in (bar := tqdm(range(steps), disable=quiet or None, unit="step")):
            loss, score = hinge_loss(model, points, labels)
            model.zero_grad()
            loss.backward()
            rate = 1.0 - 0.9 * step / STEPS if step < STEPS else 0.1
            for parameter in model.parameters():
                parameter.data -= rate * parameter.grad
            losses.append(loss.data)
            bar.set_postfix(loss=f"{loss.data:.4f}", accuracy=f"{score:.0%}")
    except KeyboardInterrupt:
        print(f"stopped after {len(losses)} of {steps} steps")
    if losses:
        print(f"loss {losses[0]:.6f} -> {losses[-1]:.6f}, accuracy {score:.0%}, after {len(losses)} steps")
        plot_losses(losses, folder / "loss.png")
    plot_boundary(model, points, labels, folder / "boundary.png")
    picture = draw_neuron(model, points[0], folder)
    names = [*(["loss.png"] if losses else []), "boundary.png", picture]
    print(f"wrote {', '.join(names)} into {folder.resolve()}")


def hinge_loss(model: nn.MLP, points: Sequence[Sequence[float]], labels: Sequence[int]) -> tuple[Value, float]:
    """The mean of relu(1 - label score) plus 1e-4 times the sum of the squared parameters; and the accuracy."""
    scores = [model([Value(x) for x in point]) for point in points]
    losses = [(1 + -label * score).relu() for label, score in zip(labels, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    penalty = 1e-4 * sum(p * p for p in model.parameters())
    right = sum((label > 0) == (score.data > 0) for label, score in zip(labels, scores, strict=True))
    return data_loss + penalty, right / len(labels)


def plot_losses(losses: Sequence[float], path: Path) -> None:
    """Write the loss curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, len(losses) + 1), losses, color=BLUE, linewidth=2, marker="o" if len(losses) == 1 else None)
    axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="loss", title="Hinge loss on two moons")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E4E4E4")
    figure.savefig(path, dpi=150)


def plot_boundary(
    model: nn.MLP, points: Sequence[Sequence[float]], labels: Sequence[int], path: Path, *, cells: int = 60
) -> None:
    """Write the score of the model over the plane, its zero line, and the points."""
    from matplotlib.figure import Figure

    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    grid_x, grid_y = _spread(xs, cells), _spread(ys, cells)
    with no_grad():
        heights = [[model([x, y]).data for x in grid_x] for y in grid_y]
    limit = max(1.0, *(abs(height) for row in heights for height in row))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    levels = [limit * (i / 10 - 1) for i in range(21)]
    filled = axes.contourf(grid_x, grid_y, heights, levels=levels, cmap="PuOr", alpha=0.75)
    if min(map(min, heights)) < 0.0 < max(map(max, heights)):
        axes.contour(grid_x, grid_y, heights, levels=[0.0], colors=INK, linewidths=1.5)
    for label, colour, marker in ((-1, VERMILION, "o"), (1, BLUE, "s")):
        chosen = [point for point, own in zip(points, labels, strict=True) if own == label]
        px, py = [p[0] for p in chosen], [p[1] for p in chosen]
        axes.scatter(px, py, c=colour, marker=marker, edgecolors="white", s=36, label=f"label {label}")
    axes.set(title="What the network learned: score, and its zero line", xlabel="x", ylabel="y", aspect="equal")
    axes.legend(loc="upper right")
    figure.colorbar(filled, label="score", shrink=0.85)
    figure.savefig(path, dpi=150)


def draw_neuron(model: nn.MLP, point: Sequence[float], folder: Path) -> str:
    """Write the graph of the first hidden neuron that is active at a point, differentiated; the name of the file."""
    inputs = [Value(x, label=f"x[{i}]") for i, x in enumerate(point)]
    neurons = model.layers[0].neurons
    neuron = next((neuron for neuron in neurons if neuron(inputs).data > 0.0), neurons[0])
    neuron.zero_grad()
    output = neuron(inputs)
    output.backward()
    picture = draw(output)
    try:
        (folder / "neuron.svg").write_bytes(picture.pipe("svg"))
    except ImportError:
        (folder / "neuron.gv").write_text(picture.source, encoding="utf-8")
        print(f"no Graphviz here, so the neuron's graph is its source, neuron.gv. {ADVICE}")
        return "neuron.gv"
    return "neuron.svg"


def _spread(numbers: Sequence[float], cells: int) -> list[float]:
    low, high = min(numbers) - 0.5, max(numbers) + 0.5
    return [low + (high - low) * i / (cells - 1) for i in range(cells)]
