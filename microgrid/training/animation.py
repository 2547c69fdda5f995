"""A film as a GIF or a video: the panels of its page, drawn by matplotlib."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from microgrid.pictures.colours import NEGATIVE, POSITIVE
from microgrid.pictures.film_page import COLOURS, COLUMN, HEIGHT, Contents, Diagram, pixels, thickness
from microgrid.training.plots import MARKERS, bare, new_figure

VIDEOS = (".gif", ".mp4")
"""Endings of the names of animations."""


def write_video(contents: Contents, path: Path, fps: float) -> None:
    """Write all frames as a GIF or a video. Raises ImportError for what is missing, ValueError for fps not above 0."""
    if not fps > 0.0:
        raise ValueError(f"a film needs more than 0 frames a second, got fps={fps}")
    drawn = _Drawn(contents)
    writer = _writer(path.suffix.lower(), fps)
    with writer.saving(drawn.figure, str(path), dpi=100):
        for k in range(len(contents.scenes)):
            drawn.show(k)
            writer.grab_frame(facecolor="white")


def _writer(kind: str, fps: float) -> Any:
    """Return matplotlib's writer for a kind of file."""
    from matplotlib import animation, rcParams

    if kind == ".gif":
        return animation.PillowWriter(fps=fps)  # type: ignore[arg-type]  # typed int; Pillow takes milliseconds
    if shutil.which(rcParams["animation.ffmpeg_path"]) is None:
        try:
            from imageio_ffmpeg import get_ffmpeg_exe
        except ImportError:
            raise ImportError(
                "a video needs ffmpeg: pip install imageio-ffmpeg, or save the film as .gif or .html"
            ) from None
        rcParams["animation.ffmpeg_path"] = get_ffmpeg_exe()
    return animation.FFMpegWriter(fps=fps)  # type: ignore[arg-type]  # typed int; ffmpeg takes any rate


class _Drawn:
    """A figure with the panels of a film, and what changes in it from frame to frame."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        diagram = contents.diagram
        widths = [4.0, 4.0] if diagram is None else [1.1 * len(diagram.neurons) + 0.4, 4.0, 4.0]
        self.figure = new_figure(sum(widths), 4.2)
        grid = self.figure.add_gridspec(2, len(widths), width_ratios=widths)
        self.maps: list[Any] = []
        self.lines: list[Any] = []
        if diagram is not None:
            self._add_network(self.figure.add_subplot(grid[:, 0]), diagram)
        self._add_field(self.figure.add_subplot(grid[:, -2]))
        self._add_charts(self.figure.add_subplot(grid[0, -1]), self.figure.add_subplot(grid[1, -1]))

    def show(self, k: int) -> None:
        """Draw frame k."""
        contents, scene = self.contents, self.contents.scenes[k]
        self.field.set_data(_image(scene.field, contents.cells[0], contents.classes))
        for shown, one in zip(self.maps, scene.maps, strict=True):
            shown.set_data(_image(one, contents.cells[1], 1))
        for line, byte in zip(self.lines, scene.weights, strict=True):
            line.set(linewidth=0.75 * float(thickness(byte)), color=NEGATIVE if byte < 128 else POSITIVE)
            line.set_linestyle("--" if byte < 128 else "-")
        self.curve.set_data(contents.epochs[: k + 1], contents.losses[: k + 1])
        self.dot.set_data([contents.epochs[k]], [contents.losses[k]])
        self.now.set_text(f"{contents.losses[k]:.4g}")
        self.title.set_text(f"epoch {contents.epochs[k]}")
        for bar, size in zip(self.bars, contents.gradients[k], strict=True):
            bar.set_height(size)

    def _add_network(self, axes: Any, diagram: Diagram) -> None:
        first, places, sizes = self.contents.scenes[0], diagram.places(), diagram.sizes()
        axes.set(xlim=(0, COLUMN * len(places)), ylim=(HEIGHT, 0), aspect="equal")
        axes.axis("off")
        for k, title in enumerate(diagram.titles):
            axes.text(COLUMN * (k + 0.5), 8, title, ha="center", va="center", fontsize=8)
        for (k, i), (m, j) in diagram.weights:
            x, y = zip(places[k][i], places[m][j], strict=True)
            self.lines += axes.plot(x, y, zorder=1)
        maps = iter(first.maps)
        for column, size in zip(places, sizes, strict=True):
            for middle, height in column:
                left, top = middle - size / 2, height - size / 2
                extent = (left, left + size, top + size, top)
                image = _image(next(maps), self.contents.cells[1], 1)
                axes.imshow([[(1.0, 1.0, 1.0)]], extent=extent, zorder=2)
                self.maps.append(axes.imshow(image, extent=extent, origin="lower", interpolation="bilinear", zorder=3))
                axes.add_patch(_frame((left, top), size))
        axes.set(xlim=(0, COLUMN * len(places)), ylim=(HEIGHT, 0))

    def _add_field(self, axes: Any) -> None:
        contents = self.contents
        (left, right), (low, high) = contents.spans
        image = _image(contents.scenes[0].field, contents.cells[0], contents.classes)
        extent = (left, right, low, high)
        self.field = axes.imshow(image, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
        for text, kind in contents.legend:
            chosen = [place for place, own in contents.points if own == kind]
            x = [left + (right - left) * place[0] for place in chosen]
            y = [low + (high - low) * place[1] for place in chosen]
            colour, marker = COLOURS[kind % len(COLOURS)], MARKERS[kind % len(MARKERS)]
            axes.scatter(x, y, s=24, c=colour, marker=marker, edgecolors="white", linewidths=0.7, label=text)
        axes.legend(loc="upper right", fontsize=8, framealpha=0.9)
        axes.set(xlim=(left, right), ylim=(low, high))
        self.title = axes.set_title(f"epoch {contents.epochs[0]}")

    def _add_charts(self, loss: Any, gradients: Any) -> None:
        contents = self.contents
        bare(loss).plot(contents.epochs, contents.losses, color=POSITIVE, alpha=0.3)
        (self.curve,) = loss.plot([], [], color=POSITIVE, linewidth=2)
        (self.dot,) = loss.plot([], [], "o", color=NEGATIVE)
        self.now = loss.set_title("", loc="right", fontsize=10)
        loss.set_title("loss", loc="left", fontsize=10)
        if all(x > 0.0 for x in contents.losses):
            loss.set_yscale("log")
        known = [x for frame in contents.gradients for x in frame if 0.0 < x < float("inf")] or [1.0]
        self.bars = bare(gradients).bar(contents.layers, contents.gradients[0], color=POSITIVE)
        gradients.set_yscale("log")
        gradients.set_ylim(max(min(known) / 2.0, max(known) * 1e-6), 1.2 * max(known))
        gradients.set_title("size of the gradients, by layer", loc="left", fontsize=10)
        gradients.tick_params(axis="x", labelsize=8)


def _image(field: bytes, cells: int, classes: int) -> Any:
    import numpy as np

    return np.array(pixels(field, classes), np.uint8).reshape(cells, cells, 4)


def _frame(corner: tuple[float, float], size: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, size, size, fill=False, edgecolor="#767676", linewidth=0.6, zorder=4)
