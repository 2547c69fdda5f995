"""`History`: loss and metrics of each epoch of a training run."""

from __future__ import annotations

from typing import Any

from microgrid.training.plots import plot_curves


class History:
    """Loss and metrics of each epoch; a notebook shows them as a picture.

    The loss of an epoch is the mean over its batches, each measured before its step; validation is measured after the
    last step. `measured` has "validation_loss", "accuracy", "validation_accuracy" and the names of the user's metrics,
    where they were asked for. `stopped` is the reason for an early end, `restored` says which parameters a callback
    restored, `how` whether batches were compiled or recorded, and why.

    >>> from microgrid import datasets, fit, nn
    >>> model, (points, labels) = nn.MLP(2, [2, 1], seed=0), datasets.xor()
    >>> history = fit(model, points, labels, loss="mse", epochs=3)
    >>> len(history), history["loss"] == history.loss
    (3, True)
    """

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.measured: dict[str, list[float]] = {}
        self.stopped = ""
        self.restored = ""
        self.how = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return False
        return (self.loss, self.measured, self.stopped) == (other.loss, other.measured, other.stopped)

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, name: str) -> list[float]:
        """Return a curve by its name: "loss", or the name of a metric."""
        if name == "loss":
            return self.loss
        if name not in self.measured:
            raise KeyError(f"no {name!r} was measured: there is {', '.join(['loss', *self.measured])}")
        return self.measured[name]

    def add(self, loss: float, measured: dict[str, float]) -> None:
        """Append an epoch."""
        self.loss.append(loss)
        for name, number in measured.items():
            self.measured.setdefault(name, []).append(number)

    def plot(self, *, title: str = "") -> Any:
        """Return a matplotlib figure of the curves; raises ImportError where matplotlib is missing."""
        return plot_curves(self.loss, self.measured, title=title)

    def _repr_png_(self) -> bytes | None:
        try:
            png: bytes = self.plot()._repr_png_()
        except ImportError:
            return None  # then a notebook shows the text
        return png

    def __repr__(self) -> str:
        if not self.loss:
            told = "no epoch"
        else:
            ends = [f"{name} {curve[0]:.4g} -> {curve[-1]:.4g}" for name, curve in self._curves()]
            told = f"{len(self)} epoch{'s' if len(self) > 1 else ''}: {', '.join(ends)}"
        remark = self.stopped or self.restored
        return f"History of {told}{f' ({remark})' if remark else ''}"

    def _curves(self) -> list[tuple[str, list[float]]]:
        return [("loss", self.loss), *self.measured.items()]
