"""`Film`: the learning of a small network, epoch by epoch, as a page that plays, a GIF or a video."""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from microgrid.core.files import ending, write_text
from microgrid.core.packages import library
from microgrid.core.scope import no_grad
from microgrid.engine import Value
from microgrid.nn import Module, Neuron
from microgrid.numbers.arrays import arrays
from microgrid.pictures import film_page, web
from microgrid.pictures.architecture import WIDEST
from microgrid.pictures.digraph import number
from microgrid.pictures.network import Network, network_of
from microgrid.pictures.sketch import printable
from microgrid.program import trace
from microgrid.training.callbacks import Run
from microgrid.training.plots import gradients_by_layer, span
from microgrid.training.samples import rows
from microgrid.training.sums import numbers_of

CELLS, SMALL = 32, 14
"""Number of cells along each side of the field on which the network is evaluated, and of a neuron's map."""

DEEPEST = 6
"""Maximum number of columns of neurons that are drawn."""


class Frame(NamedTuple):
    """One epoch of the film.

    The field is a byte a cell, row by row from the bottom; 128 is undecided. Weights and neurons are those of the
    diagram: a number for each weight, and for each neuron its output on a coarser field.
    """

    epoch: int
    loss: float
    field: bytes
    gradients: tuple[float, ...]
    weights: Sequence[float] = ()
    neurons: Sequence[Sequence[float]] = ()


class Film:
    """A callback for `fit` that films a network over the plane: each neuron's output, the weights, the loss, gradients.

    x are points in the plane, y their labels: two classes for a network of one output (told apart at 0 if a label is
    negative, else at 1/2), or one of several for a network of as many outputs. At most `frames` epochs are kept, evenly
    spread, with the first and the last. Neurons and weights are shown if the model is neurons that feed neurons, at
    most 24 side by side. A notebook shows the film; `save` writes it as a page, a GIF or a video. Raises ValueError
    when the points are not in the plane.

    >>> from microgrid import datasets, fit, nn
    >>> x, y = datasets.xor()
    >>> film = Film(x, y)
    >>> _ = fit(nn.MLP(2, [4, 1], seed=0), x, y, loss="mse", epochs=10, callbacks=[film])
    >>> len(film.frames)
    10
    """

    def __init__(self, x: Any, y: Any, *, frames: int = 60) -> None:
        self.points = rows(x)
        if len(self.points[0]) != 2:
            count = f"{len(self.points[0])} coordinate{'s' if len(self.points[0]) > 1 else ''}"
            raise ValueError(
                f"a film shows how a network of two inputs divides the plane; these points have {count}: leave the "
                "film out, fit(...).plot() draws the loss, and draw(model) the network"
            )
        if frames < 2:
            raise ValueError(f"a film has at least 2 frames, got {frames}")
        self.labels = [row[0] for row in rows(y, "y")]
        if len(self.labels) != len(self.points):
            raise ValueError(f"there are {len(self.points)} points and {len(self.labels)} labels")
        self.threshold = 0.0 if min(self.labels) < 0.0 else 0.5
        self.most = frames
        self.frames: list[Frame] = []
        self.layers: list[str] = []
        self.classes = 0
        self.network: Network | None = None

    def __call__(self, run: Run) -> None:
        """Film the epoch that has just ended."""
        if run.epoch == 1:
            self.frames = []  # of another run
            self.network = _drawable(run.model)
        stride = math.ceil(run.epochs / (self.most - 1))
        if run.epoch == 1 or run.epoch % stride == 0:
            self._film(run)

    def keep(self, run: Run) -> None:
        """Film the last epoch, unless the run was interrupted in the next one."""
        filmed = self.frames[-1].epoch if self.frames else 0
        if run.ended and run.epoch > filmed and [p.data for p in run.model.parameters()] == run.after:
            self._film(run)

    def _film(self, run: Run) -> None:
        layers = gradients_by_layer(run.model)
        self.layers = [printable(name) for name in layers]
        sizes = [math.sqrt(math.fsum(g * g for g in gradients) / len(gradients)) for gradients in layers.values()]
        frame = Frame(run.epoch, run.loss, self._field(run.model), tuple(sizes))
        if self.network is not None:
            weights = [w.data for column in self.network.columns for neuron in column.neurons for w in neuron.w]
            maps = _over_the_plane(_neurons(self.network), self.spans(), SMALL)
            frame = frame._replace(weights=array("d", weights), neurons=[array("d", one) for one in maps])
        self.frames.append(frame)

    def spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the ranges of the field: those of the points, with a margin."""
        across, up = (span([point[axis] for point in self.points]) for axis in (0, 1))
        return across, up

    def _field(self, model: Module) -> bytes:
        answers = _over_the_plane(model, self.spans(), CELLS)
        self.classes = len(answers)
        if self.classes > 1:
            columns = zip(*answers, strict=True)
            return bytes(max(range(self.classes), key=column.__getitem__) for column in columns)
        scale = 1.0 if self.threshold == 0.0 else 0.25
        return bytes(_byte(math.tanh((z - self.threshold) / scale)) for z in answers[0])

    def contents(self) -> film_page.Contents:
        """Return the film as its pictures show it. Raises ValueError before there is a frame."""
        if not self.frames:
            raise ValueError("nothing was filmed yet: pass the film to fit(..., callbacks=[film])")
        spans = self.spans()
        places = [
            [(x - low) / (high - low) for x, (low, high) in zip(point, spans, strict=True)] for point in self.points
        ]
        kinds = [int(label) if self.classes > 1 else int(label > self.threshold) for label in self.labels]
        return film_page.Contents(
            self._scenes(),
            (CELLS, SMALL),
            self.classes,
            list(zip(places, kinds, strict=True)),
            sorted(
                {(number(label, 6), kind) for label, kind in zip(self.labels, kinds, strict=True)}, key=lambda x: x[1]
            ),
            spans,
            [frame.epoch for frame in self.frames],
            [frame.loss for frame in self.frames],
            self.layers,
            [frame.gradients for frame in self.frames],
            None if self.network is None else _diagram(self.network),
        )

    def _scenes(self) -> list[film_page.Scene]:
        """Return the frames in bytes; a neuron is scaled by its largest output in the film, weights by the largest."""
        widest = _largest(frame.weights for frame in self.frames)
        largest = [_largest(maps) for maps in zip(*(frame.neurons for frame in self.frames), strict=True)]
        inputs = self._input_maps() if self.network is not None else []
        return [
            film_page.Scene(
                frame.field,
                [*inputs, *(_bytes(one, most) for one, most in zip(frame.neurons, largest, strict=True))],
                _bytes(frame.weights, widest),
            )
            for frame in self.frames
        ]

    def _input_maps(self) -> list[bytes]:
        """Return the maps of the two coordinates, each from -1 to 1 about the middle of the field."""
        line = [2.0 * k / (SMALL - 1) - 1.0 for k in range(SMALL)]
        return [_bytes([x for _ in line for x in line], 1.0), _bytes([y for y in line for _ in line], 1.0)]

    def html(self) -> str:
        """Return the film as one self-contained piece of HTML. Raises ValueError before there is a frame."""
        film = self.contents()
        data = {
            "cells": CELLS,
            "small": SMALL,
            "classes": film.classes,
            "colours": film_page.COLOURS,
            "epochs": film.epochs,
            "losses": [f"{loss:.4g}" for loss in film.losses],
            "field": _base64(scene.field for scene in film.scenes),
            "maps": _base64(b"".join(scene.maps) for scene in film.scenes),
            "weights": _base64(scene.weights for scene in film.scenes),
            "layers": film.layers,
            "gradients": [[f"{size:.2g}" for size in sizes] for sizes in film.gradients],
            "curve": film_page.curve(film.losses),
            "bars": film_page.bars(film.gradients),
        }
        epoch, loss = film.epochs[-1], film.losses[-1]
        words = f"After epoch {epoch}: the network's regions with the points, and its loss, {loss:.4g}."
        uid = web.new_id(web.as_json(data))
        return web.piece(uid, web.image(film_page.svg(film), words), "film.js", data)

    def save(self, path: str | Path, *, fps: float = 8.0) -> None:
        """Write the film: .html is a page that plays, .gif an animated picture, .mp4 a video, of fps frames a second.

        .svg is an animated picture of twelve frames, small enough for a README; it needs no script.

        A GIF needs matplotlib, a video also ffmpeg, or the package imageio-ffmpeg that brings it. Raises ValueError
        when the name has another ending, and before there is a frame.
        """
        from microgrid.training.animation import VIDEOS, write_video

        kind = ending(path, *web.ENDINGS, ".svg", *VIDEOS)
        if kind in VIDEOS:
            write_video(self.contents(), Path(path), fps)
        elif kind == ".svg":
            write_text(path, film_page.animated(self.contents()))
        else:
            write_text(path, web.page("A network learns", self.html()))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        return {"text/html": self.html(), "text/plain": repr(self)} if self.frames else {"text/plain": repr(self)}

    def __repr__(self) -> str:
        if not self.frames:
            return "Film without frames: pass it to fit(..., callbacks=[film])"
        return f"Film of {len(self.frames)} frames, epochs {self.frames[0].epoch} to {self.frames[-1].epoch}"


def _drawable(model: Module) -> Network | None:
    """Return the network of a model of two inputs and few neurons; None of any other."""
    try:
        network = network_of(model)
    except ValueError:
        return None
    small = len(network.columns) <= DEEPEST and all(len(column.neurons) <= WIDEST for column in network.columns)
    return network if network.inputs == 2 and small else None


def _diagram(network: Network) -> film_page.Diagram:
    titles, neurons = ["input"], [["x", "y"]]
    for k, column in enumerate(network.columns):
        title = printable(column.title) or f"layers[{k}]"
        titles.append(title if len(title) <= 14 else f"{title[:13]}…")
        neurons.append([f"{title}.neurons[{i}]" for i in range(len(column.neurons))])
    weights = [
        ((source + 1, row), (k + 1, i))
        for k, column in enumerate(network.columns)
        for i in range(len(column.neurons))
        for source, row in column.sources
    ]
    return film_page.Diagram(titles, neurons, weights)


def _neurons(network: Network) -> Callable[[Any], list[Value]]:
    """Return a function of a point that returns the outputs of all neurons."""

    def outputs(point: Any) -> list[Value]:
        known = {(-1, i): x for i, x in enumerate(point)}
        for k, column in enumerate(network.columns):
            given = [known[place] for place in column.sources]
            for i, neuron in enumerate(column.neurons):
                known[k, i] = Neuron.__call__(neuron, given)
        return [value for (k, _), value in known.items() if k >= 0]

    return outputs


def _over_the_plane(
    function: Callable[[Any], Any], spans: Sequence[tuple[float, float]], cells: int
) -> list[list[float]]:
    """Return each output on the field: all at once if it can be traced without branches, else one by one."""
    (left, right), (low, high) = spans
    program = trace(lambda point: function(point))([0.5, 0.5])
    try:
        np = library("numpy", "train")
    except ImportError:  # as in a browser
        np = None
    if np is None or program.fixed:
        straight = program.python()

        def outputs(point: list[float]) -> list[float]:
            found = function(point) if program.fixed else straight(point)
            return [found] if isinstance(found, float) else numbers_of(found)

        with no_grad():
            each = [
                outputs([left + (right - left) * j / (cells - 1), low + (high - low) * i / (cells - 1)])
                for i in range(cells)
                for j in range(cells)
            ]
        return [list(column) for column in zip(*each, strict=True)]
    x, y = np.meshgrid(np.linspace(left, right, cells), np.linspace(low, high, cells))
    return [np.broadcast_to(z, cells * cells).tolist() for z in program.replay([x.ravel(), y.ravel()], arrays())]


def _largest(several: Any) -> float:
    return max((abs(x) for row in several for x in row if math.isfinite(x)), default=0.0) or 1.0


def _bytes(numbers: Sequence[float], most: float) -> bytes:
    return bytes(_byte(x / most) for x in numbers)


def _byte(x: float) -> int:
    """Return a number from -1 to 1 as a byte: 128 for 0 and NaN, 1 and 255 at the ends and beyond."""
    return round(128.0 + 127.0 * max(-1.0, min(1.0, x))) if x == x else 128


def _base64(parts: Any) -> str:
    return base64.b64encode(b"".join(parts)).decode()
