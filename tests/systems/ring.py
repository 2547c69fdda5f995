"""Two networks against each other: one makes points out of noise, the other tells them from those of a ring.

Run it: `python tests/systems/ring.py [folder]`, which gets the film of the points.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

from microgrid import compile, losses, nn, optim

Points = list[list[float]]
BATCH = 32


def ring(count: int, generator: random.Random) -> Points:
    """Points near the circle of radius 1."""
    angles = [generator.uniform(0.0, 2.0 * math.pi) for _ in range(count)]
    radii = [generator.gauss(1.0, 0.05) for _ in range(count)]
    return [[r * math.cos(a), r * math.sin(a)] for r, a in zip(radii, angles, strict=True)]


def noise(count: int, generator: random.Random) -> Points:
    """Normal points of the plane."""
    return [[generator.gauss(0.0, 1.0), generator.gauss(0.0, 1.0)] for _ in range(count)]


class Pair(nn.Module):
    """A generator, noise to points, and a discriminator, points to the logit of being real."""

    def __init__(self, seed: int) -> None:
        options: Any = {"init": "xavier", "seed": random.Random(seed)}
        self.generator = nn.MLP(2, [16, 16, 2], activation="tanh", **options)
        self.discriminator = nn.MLP(2, [24, 24, 1], activation="leaky_relu", **options)

    def __call__(self, noise: Any) -> Any:
        """The logit of a generated point."""
        return self.discriminator(self.generator(noise))


def network(*, seed: int = 0) -> Pair:
    """The two networks."""
    return Pair(seed)


def train(model: Pair, *, steps: int = 1000, lr: float = 0.004, every: int = 25, seed: int = 0) -> list[Points]:
    """Frames: 150 generated points before the first step and after each `every` steps.

    A step moves the discriminator, which is to answer 1 for the ring and 0 for generated points, and then the
    generator, for whose points it is to answer 1 (Goodfellow et al. 2014).
    """
    source, loss = random.Random(seed), losses.binary_cross_entropy_with_logits
    tell_apart, deceive = compile(loss, model.discriminator), compile(loss, model)
    make = compile(model.generator)
    rate = optim.cosine(lr, steps)
    parts = (model.discriminator, model.generator)
    players = [optim.Adam(part.parameters(), rate, betas=(0.5, 0.99)) for part in parts]
    shown = noise(150, random.Random(1))
    frames: list[Points] = []
    for step in range(steps + 1):
        if step % every == 0:
            frames.append(points_of(make.batch(shown)))
        if step == steps:
            break
        fakes = points_of(make.batch(noise(BATCH, source)))
        answers = [1.0] * BATCH + [0.0] * BATCH
        move(players[0], tell_apart, ring(BATCH, source) + fakes, answers)
        move(players[1], deceive, noise(BATCH, source), [1.0] * BATCH)
    return frames


def points_of(columns: Any) -> Points:
    """Points, from an array of each coordinate."""
    return [[float(x), float(y)] for x, y in zip(*columns, strict=True)]


def move(player: optim.Optimizer, loss: Any, x: Any, y: Any) -> None:
    """Make a step of one player; a compiled loss has the derivatives of its parameters first."""
    loss.read()
    _, gradient = loss(x, y)
    for parameter, slope in zip(player.parameters, gradient.tolist(), strict=False):
        parameter.grad = slope
    player.step()


def distance(points: Points) -> float:
    """The mean distance of points from the circle."""
    return sum(abs(math.hypot(*point) - 1.0) for point in points) / len(points)


def emptiest(points: Points, sectors: int = 8) -> float:
    """The share of the points in the emptiest of so many equal sectors of the plane, times their number: at most 1."""
    counts = [0] * sectors
    for x, y in points:
        counts[int((math.atan2(y, x) / (2.0 * math.pi) + 1.0) * sectors) % sectors] += 1
    return min(counts) * sectors / len(points)


def film(frames: list[Points], path: Path) -> None:
    """Write the frames as a GIF."""
    from matplotlib import animation
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4))
    axes = figure.add_subplot(xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    xs, ys = zip(*ring(300, random.Random(2)), strict=True)
    axes.scatter(xs, ys, s=6, color="silver")
    dots = axes.scatter([], [], s=12, color="tab:blue")
    moving = animation.FuncAnimation(figure, lambda frame: dots.set_offsets(frame), frames)
    moving.save(path, animation.PillowWriter(fps=8))


def figures(folder: Path) -> dict[str, float]:
    """The distance of generated points from the ring, before and after training, and whether they are all around it."""
    frames = train(network())
    film(frames, folder / "ring.gif")
    return {
        "distance before": distance(frames[0]),
        "distance after": distance(frames[-1]),
        "emptiest of eight sectors": emptiest(frames[-1]),
    }


if __name__ == "__main__":
    for name, figure in figures(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name}: {figure:.4g}")
