"""Callbacks: functions of the `Run`, called after each epoch; the common ones are defined here.

A callback that is an object may have more methods. `begin(run)` is called before the first epoch. `keep(run)` is called
when all callbacks have seen an epoch, and when Ctrl-C or an error has ended the run; one that has it need not be a
function. `finish(run)` is called when the run has ended, but not by an error. One with `state()` and `restore(state)`
goes into checkpoints.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from microgrid.core.files import PathLike, write_json
from microgrid.nn.module import Module, as_number
from microgrid.optim import Optimizer
from microgrid.training.history import History
from microgrid.training.samples import at_least

Saved = Mapping[str, Any]
"""A run after a whole epoch, as a JSON object: settings, parameters, optimizer, history, states of callbacks."""


class Run:
    """A training run of `epochs` epochs, as callbacks see it after each.

    >>> from microgrid import datasets, fit, nn
    >>> model, (points, labels) = nn.MLP(2, [2, 1], seed=0), datasets.xor()
    >>> seen = []
    >>> _ = fit(model, points, labels, loss="mse", epochs=3, callbacks=[lambda run: seen.append(run.epoch)])
    >>> seen
    [1, 2, 3]
    """

    def __init__(self, model: Module, optimizer: Optimizer, epochs: int) -> None:
        self.model = model
        self.optimizer = optimizer
        self.epochs = epochs
        self.history = History()
        self.before: list[float] = []
        """Parameters at the beginning of the last epoch."""
        self.after: list[float] = []
        """Parameters at the end of the last epoch, for which validation was measured; callbacks may have changed them
        since."""
        self.training: dict[str, Callable[[], float] | None] = {}
        """Curves of the training data by name. With several steps an epoch, a function that measures the curve anew,
        else None."""
        self.ended = False
        """True if no further epoch follows."""
        self.checkpoint: Callable[[], Saved] = dict
        """Return the last epoch that all callbacks have seen, as `fit(..., resume=...)` takes it."""

    @property
    def epoch(self) -> int:
        """Number of epochs so far."""
        return len(self.history)

    @property
    def loss(self) -> float:
        """Loss of the last epoch."""
        return self.history.loss[-1]

    def stop(self, reason: str) -> None:
        """End the run after this epoch; the history will say why."""
        self.history.stopped = reason

    def judged(self, name: str) -> tuple[float, list[float]]:
        """Return the last number of a curve, and the parameters that it was measured with.

        Loss and metrics of the training data are measured before each step. With one step an epoch they belong to the
        parameters at its beginning; with several, to none, and are measured anew, now.
        """
        number, now = self.history[name][-1], [p.data for p in self.model.parameters()]
        if name not in self.training:
            return number, self.after if name.startswith("validation_") else now
        anew = self.training[name]
        return (number, self.before) if anew is None else (anew(), now)


class Keeper(Protocol):
    """A callback that keeps whole epochs."""

    def keep(self, run: Run) -> object:
        """Keep `run.checkpoint()`, if it is due."""
        ...


Callback = Callable[[Run], object] | Keeper


@runtime_checkable
class Stateful(Protocol):
    """A callback with a state of numbers, strings, lists and dicts, as in JSON."""

    def state(self) -> dict[str, Any]:
        """Return the state, to be kept; it must not be changed in place later."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that `state` returned."""
        ...


class Checkpoint:
    """Write a run to a file after every n-th epoch and at its end, also by Ctrl-C or a TrainingError.

    `fit(..., resume=path)` goes on from there, to the same bits as a run that was never stopped. The file holds the
    last whole epoch, with the state of the other callbacks, wherever among them this one stands.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from microgrid import datasets, fit, nn
    >>> model, (points, labels) = nn.MLP(2, [2, 1], seed=0), datasets.xor()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.json")
    ...     _ = fit(model, points, labels, loss="mse", epochs=2, callbacks=[Checkpoint(path)])
    ...     len(fit(model, points, labels, loss="mse", epochs=3, resume=path))
    3
    """

    def __init__(self, path: PathLike, *, every: int = 1) -> None:
        self.path = path
        self.every = at_least(1, "every", every)

    def keep(self, run: Run) -> None:
        """Write the epoch if it is due."""
        if run.ended or run.epoch % self.every == 0:
            write_json(self.path, "checkpoint", run.checkpoint())


_CURVES = {"loss": False, **dict.fromkeys(("accuracy", "precision", "recall", "f1", "r2"), True), "perplexity": False}
HIGHEST = {name: highest for known, highest in _CURVES.items() for name in (known, f"validation_{known}")}
"""Direction of each known curve: True if higher is better."""


class EarlyStopping:
    """Stop the run when a curve has not improved for `patience` epochs, and restore the best parameters.

    The curve is the validation loss where there is one, else the loss; or `monitor`, the name of any curve in the
    history. Losses improve downwards and accuracies upwards; a metric of your own needs `highest=True` or
    `highest=False`. An improvement is more than `min_delta` better than the best so far; nan is none.

    Unless the run ends by an error, the model then has the parameters of `best`, and `history.restored` says so; with
    `restore_best=False` it keeps the last ones. The loss and the metrics of the training data belong to the parameters
    at the beginning of an epoch. With several batches an epoch they belong to none: they are measured anew after each
    epoch, on all samples, which takes about as long as the epoch.

    `best` is None as long as all numbers of the curve were nan.

    >>> from microgrid import datasets, fit, nn
    >>> model, (points, labels) = nn.MLP(2, [2, 1], seed=0), datasets.xor()
    >>> len(fit(model, points, labels, loss="mse", epochs=9, lr=0.0, callbacks=[EarlyStopping(patience=2)]))
    3
    """

    def __init__(
        self,
        patience: int = 10,
        *,
        monitor: str = "",
        min_delta: float = 0.0,
        highest: bool | None = None,
        restore_best: bool = True,
    ) -> None:
        if not isinstance(patience, int) or patience < 1:
            raise ValueError(f"patience, the epochs without improvement, must be at least 1, got {patience!r}")
        if not 0.0 <= min_delta < math.inf:
            raise ValueError(f"min_delta, the least improvement, must be a number from 0 on, got {min_delta!r}")
        if highest is None and monitor and monitor not in HIGHEST:
            known = ", ".join(HIGHEST)
            raise ValueError(f"{monitor} is none of {known}: say highest=True where high is good, else highest=False")
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.highest = HIGHEST.get(monitor, False) if highest is None else highest
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch = 0
        self.best_parameters: list[float] = []
        self._count = 0

    def begin(self, run: Run) -> None:
        """Reset the state, which belongs to another run."""
        self.best, self.best_epoch, self.best_parameters = None, 0, []
        self._count = run.model.count_parameters()

    def __call__(self, run: Run) -> None:
        """Judge the epoch that has just ended."""
        name = self._curve(run)
        number, parameters = run.judged(name)
        if not math.isnan(number) and (self.best is None or self._gain(number, self.best) > self.min_delta):
            self.best, self.best_epoch, self.best_parameters = number, run.epoch, parameters
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(f"{name} was always nan" if self.best is None else f"{name} was best {self._when(run)}")

    def finish(self, run: Run) -> None:
        """Restore the best parameters."""
        if self.restore_best and self.best is not None:
            for p, x in zip(run.model.parameters(), self.best_parameters, strict=True):
                p.data = x
            run.history.restored = f"restored the parameters for which {self._curve(run)} was best {self._when(run)}"

    def _curve(self, run: Run) -> str:
        return self.monitor or ("validation_loss" if "validation_loss" in run.history.measured else "loss")

    def _when(self, run: Run) -> str:
        anew = run.training.get(self._curve(run)) is not None  # the history of that epoch has a different number
        return f"{'after' if anew else 'in'} epoch {self.best_epoch}: {self.best:.6g}"

    def _gain(self, number: float, best: float) -> float:
        return number - best if self.highest else best - number

    def state(self) -> dict[str, Any]:
        """Return the best epoch, and the settings that it was found with."""
        names = ("monitor", "highest", "patience", "min_delta", "best", "best_epoch", "best_parameters")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state. Raises ValueError, and changes nothing, for a state of another callback."""
        missing = [name for name in self.state() if name not in state]
        if missing:
            raise ValueError(f"the state of EarlyStopping has no {missing[0]}")
        others = [
            f"EarlyStopping with {name} = {state[name]!r:.80}, this one has {getattr(self, name)!r}"
            for name in ("monitor", "highest", "patience", "min_delta")
            if state[name] != getattr(self, name)
        ]
        if state["monitor"] != self.monitor or state["highest"] != self.highest:  # then the best is none
            raise ValueError(f"it is of {others[0]}")
        best = None if state["best"] is None else as_number("best", state["best"])
        epoch, numbers = state["best_epoch"], state["best_parameters"]
        if type(epoch) is not int or epoch < 0 or (epoch == 0) != (best is None) or (best is not None and best != best):
            raise ValueError(f"best {best!r} and best_epoch {epoch!r} do not go together")
        if not isinstance(numbers, list) or len(numbers) != (0 if best is None else self._count):
            raise ValueError(f"best_parameters must be a list of the {self._count} parameters of the model")
        numbers = [as_number("best_parameters", x) for x in numbers]
        if others:
            warnings.warn(f"the run that it goes on from is of {'; '.join(others)}", stacklevel=5)  # fit's caller
        self.best_parameters = numbers
        self.best, self.best_epoch = best, epoch
