"""The demo: train a network of scalars to separate two moons, and draw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microgrid import nn
from microgrid.commands.given import DEMO_STEPS, CommandError
from microgrid.core.packages import missing
from microgrid.datasets import moons
from microgrid.draw import draw
from microgrid.engine import Value
from microgrid.losses import l2
from microgrid.optim import SGD
from microgrid.training import Objective, fit
from microgrid.training.plots import plot_boundary


def demo(folder: Path, *, steps: int = DEMO_STEPS, samples: int = 100, seed: int = 1337, quiet: bool = False) -> None:
    """Train `MLP(2, [16, 16, 1])` on two moons with the hinge loss, and write three pictures into the folder.

    The same seed gives the same bits. Ctrl-C ends the training, and the pictures show what was learned so far. Raises
    CommandError when the folder cannot be written or a package is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401  # fails before the training, not after it
        import tqdm  # noqa: F401
    except ImportError as error:
        raise CommandError(missing(error.name or "matplotlib", "train")) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise CommandError(f"cannot write into {folder}: {error.strerror}; choose a folder with --out") from None

    points, labels = moons(samples, seed=seed)
    model = nn.MLP(2, [16, 16, 1], seed=seed)
    print(f"MLP(2, [16, 16, 1]) with {model.count_parameters()} parameters, {samples} points on two moons")
    history = fit(
        model,
        points,
        labels,
        loss=Objective("hinge", penalty=lambda parameters: l2(parameters, 1e-4)),
        optimizer=SGD(model.parameters(), lambda step: max(1.0 - 0.9 * step / DEMO_STEPS, 0.1)),
        epochs=steps,
        metrics=["accuracy"],
        progress=False if quiet else None,
    )
    if history.stopped:
        print(f"stopped after {len(history)} of {steps} steps")
    if history.loss:
        first, last, score = history.loss[0], history.loss[-1], history["accuracy"][-1]
        print(f"loss {first:.6f} -> {last:.6f}, accuracy {score:.0%}, after {len(history)} steps")
        history.plot(title="Hinge loss on two moons").savefig(folder / "loss.png", dpi=150)
    title = "What the network learned: score, and its zero line"
    plot_boundary(model, points, labels, title=title).savefig(folder / "boundary.png", dpi=150)
    picture = draw_neuron(model, points[0], folder)
    names = [*(["loss.png"] if history.loss else []), "boundary.png", picture]
    print(f"wrote {', '.join(names)} into {folder.resolve()}")


def draw_neuron(model: nn.MLP, point: Sequence[float], folder: Path) -> str:
    """Draw the first hidden neuron that is active at a point, with gradients; return the name of the file."""
    inputs = [Value(x, label=f"x[{i}]") for i, x in enumerate(point)]
    neurons = model.layers[0].neurons
    neuron = next((neuron for neuron in neurons if neuron(inputs).data > 0.0), neurons[0])
    neuron.zero_grad()
    output = neuron(inputs)
    output.backward()
    draw(output, filename=folder / "neuron.svg")
    return "neuron.svg"
