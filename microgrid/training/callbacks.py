"""What may be done after each epoch: a callback is any function of the `Run`; here are those that many want.

A callback with the methods `state()` and `restore(state)` goes into checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from microgrid.module import Module, as_number
from microgrid.optim import Optimizer
from microgrid.training.history import History


class Run:
    """A training run of so many epochs, as callbacks see it after each."""

    def __init__(self, model: Module, optimizer: Optimizer, epochs: int) -> None:
        self.model = model
        self.optimizer = optimizer
        self.epochs = epochs
        self.history = History()

    @property
    def epoch(self) -> int:
        """How many there were."""
        return len(self.history)

    @property
    def loss(self) -> float:
        """The loss of the last one."""
        return self.history.loss[-1]

    def stop(self, reason: str) -> None:
        """End the run after this epoch; the history will say why."""
        self.history.stopped = reason


Callback = Callable[[Run], object]


@runtime_checkable
class Stateful(Protocol):
    """A callback that remembers: its state is JSON's numbers, strings, lists and dicts."""

    def state(self) -> dict[str, Any]:
        """What it remembers, to be kept; it must not be changed in place later."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Remember that."""
        ...


class EarlyStopping:
    """Stops the run when a curve has not improved for `patience` epochs, and brings back the best parameters.

    The curve is the validation loss where there is one, else the loss; or `monitor`, the name of any in the history.
    An improvement is more than `min_delta` lower, or higher with `highest=True`, as for an accuracy.
    """

    def __init__(
        self,
        patience: int = 10,
        *,
        monitor: str = "",
        min_delta: float = 0.0,
        highest: bool = False,
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience, the epochs without improvement, must be at least 1, got {patience}")
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.highest = highest
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch = 0
        self.best_parameters: list[float] = []

    def __call__(self, run: Run) -> None:
        """Look at the epoch that has just ended."""
        if run.epoch == 1:
            self.best = None  # what is remembered is of another run
        name = self.monitor or ("validation_loss" if "validation_loss" in run.history.measured else "loss")
        number = run.history[name][-1]
        gain = 0.0 if self.best is None else (number - self.best) * (1.0 if self.highest else -1.0)
        if self.best is None or gain > self.min_delta:
            self.best, self.best_epoch = number, run.epoch
            self.best_parameters = [p.data for p in run.model.parameters()]
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(f"{name} was best in epoch {self.best_epoch}: {self.best:.6g}")
            if self.restore_best:
                for p, x in zip(run.model.parameters(), self.best_parameters, strict=True):
                    p.data = x

    def state(self) -> dict[str, Any]:
        """The best there was."""
        return {"best": self.best, "best_epoch": self.best_epoch, "best_parameters": self.best_parameters}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.best = None if state["best"] is None else as_number("best", state["best"])
        self.best_epoch = int(state["best_epoch"])
        self.best_parameters = [as_number("best_parameters", x) for x in state["best_parameters"]]
