"""`Film`: the learning of a small network, epoch by epoch, as a page that plays: boundary, loss and gradients."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any, NamedTuple

from microgrid.core.files import ending, write_text
from microgrid.nn.module import Module
from microgrid.numbers.arithmetic import library
from microgrid.numbers.arrays import arrays
from microgrid.pictures import film_page, web
from microgrid.pictures.digraph import printable
from microgrid.program import trace
from microgrid.training.callbacks import Run
from microgrid.training.plots import gradients_by_layer, span
from microgrid.training.samples import rows
from microgrid.training.sums import outputs_of

CELLS = 32
"""Number of cells along each side of the field on which the network is evaluated."""


class Frame(NamedTuple):
    """One epoch of the film: the field is a byte a cell, row by row from the bottom; 128 is undecided."""

    epoch: int
    loss: float
    field: bytes
    gradients: tuple[float, ...]


class Film:
    """A callback for `fit` that films the network's output over the plane, its loss, and the gradients of its layers.

    x are points in the plane, y their labels: two classes for a network of one output (told apart at 0 if a label is
    negative, else at 1/2), or one of several for a network of as many outputs. At most `frames` epochs are kept, evenly
    spread, with the first and the last. A notebook shows the film; `save` writes it as a page. Raises ValueError when
    the points are not in the plane.

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
            raise ValueError(f"a film shows the plane; these points have {len(self.points[0])} coordinate(s)")
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

    def __call__(self, run: Run) -> None:
        """Film the epoch that has just ended."""
        if run.epoch == 1:
            self.frames = []  # of another run
        stride = math.ceil(run.epochs / (self.most - 1))
        if self.frames and self.frames[-1].epoch not in (0, 1) and self.frames[-1].epoch % stride:
            self.frames.pop()  # it was kept only as the last one so far
        layers = gradients_by_layer(run.model)
        self.layers = [printable(name) for name in layers]
        sizes = [math.sqrt(math.fsum(g * g for g in gradients) / len(gradients)) for gradients in layers.values()]
        self.frames.append(Frame(run.epoch, run.loss, self._field(run.model), tuple(sizes)))

    def _field(self, model: Module) -> bytes:
        answers = _over_the_plane(model, *(span([point[axis] for point in self.points]) for axis in (0, 1)))
        self.classes = len(answers)
        if self.classes > 1:
            columns = zip(*answers, strict=True)
            return bytes(max(range(self.classes), key=column.__getitem__) for column in columns)
        scale = 1.0 if self.threshold == 0.0 else 0.25
        return bytes(round(128 + 127 * math.tanh((z - self.threshold) / scale)) if z == z else 128 for z in answers[0])

    def _svg(self) -> str:
        spans = [span([point[axis] for point in self.points]) for axis in (0, 1)]
        places = [
            tuple((x - low) / (high - low) for x, (low, high) in zip(point, spans, strict=True))
            for point in self.points
        ]
        kinds = [int(label) if self.classes > 1 else int(label > self.threshold) for label in self.labels]
        return film_page.svg(places, kinds, self.frames, self.layers, CELLS, self.classes)

    def html(self) -> str:
        """Return the film as one self-contained piece of HTML. Raises ValueError before there is a frame."""
        if not self.frames:
            raise ValueError("nothing was filmed yet: pass the film to fit(..., callbacks=[film])")
        data = {
            "cells": CELLS,
            "classes": self.classes,
            "colours": film_page.COLOURS,
            "epochs": [frame.epoch for frame in self.frames],
            "losses": [f"{frame.loss:.4g}" for frame in self.frames],
            "field": base64.b64encode(b"".join(frame.field for frame in self.frames)).decode(),
            "layers": self.layers,
            "gradients": [[f"{size:.2g}" for size in frame.gradients] for frame in self.frames],
            "curve": film_page.curve([frame.loss for frame in self.frames]),
            "bars": film_page.bars([frame.gradients for frame in self.frames]),
        }
        last = self.frames[-1]
        words = f"After epoch {last.epoch}: the network's regions with the points, and its loss, {last.loss:.4g}."
        uid = web.new_id(web.as_json(data))
        return web.piece(uid, web.image(self._svg(), words), "film.js", data)

    def save(self, path: str | Path) -> None:
        """Write the film as a page that opens by itself. Raises ValueError when the name does not end in .html."""
        ending(path, *web.ENDINGS)
        write_text(path, web.page("A network learns", self.html()))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        return {"text/html": self.html(), "text/plain": repr(self)} if self.frames else {"text/plain": repr(self)}

    def __repr__(self) -> str:
        if not self.frames:
            return "Film without frames: pass it to fit(..., callbacks=[film])"
        return f"Film of {len(self.frames)} frames, epochs {self.frames[0].epoch} to {self.frames[-1].epoch}"


def _over_the_plane(model: Module, across: tuple[float, float], up: tuple[float, float]) -> list[list[float]]:
    """Return each output on the field: all at once if the model can be traced without branches, else one by one."""
    np = library("numpy", "train")
    x, y = np.meshgrid(np.linspace(*across, CELLS), np.linspace(*up, CELLS))
    program = trace(lambda point: model(point))([0.5, 0.5])
    if program.fixed:
        each = outputs_of(model, [[float(a), float(b)] for a, b in zip(x.ravel(), y.ravel(), strict=True)])
        return [list(column) for column in zip(*each, strict=True)]
    return [np.broadcast_to(z, CELLS * CELLS).tolist() for z in program.replay([x.ravel(), y.ravel()], arrays())]
