"""Snapshots of a training run after an epoch, and resuming from a checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.core.files import PathLike, as_stored, digest, read_json
from microgrid.engine import data_of
from microgrid.nn.module import as_number
from microgrid.schedules import Schedule, rate_at
from microgrid.training.callbacks import Run, Saved, Stateful


class Snapshots:
    """The last whole epoch of a run: an epoch is whole once all callbacks have seen it."""

    def __init__(
        self, run: Run, callbacks: Sequence[Any], settings: dict[str, Any], hyperparameters: dict[str, Any]
    ) -> None:
        self.run = run
        self.remembering: list[Stateful] = [callback for callback in callbacks if isinstance(callback, Stateful)]
        self.settings = settings
        self.hyperparameters = hyperparameters
        named = [*run.model.named_parameters(), *run.model.named_buffers()]
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.take()

    def take(self) -> None:
        """Store the state of the run after a whole epoch."""
        numbers = data_of(self.parameters)
        optimizer = self.run.optimizer.state_dict()
        states = [callback.state() for callback in self.remembering]
        epoch, stopped = self.run.epoch, self.run.history.stopped
        # No call from here on: Ctrl-C comes before or after, and finds one epoch or the other.
        self.epoch, self.stopped, self.numbers, self.optimizer, self.states = epoch, stopped, numbers, optimizer, states

    def go_back(self) -> None:
        """Restore the stored state."""
        for p, x in zip(self.parameters, self.numbers, strict=True):
            p.data = x
        self.run.optimizer.load_state_dict(self.optimizer)
        for callback, state in zip(self.remembering, self.states, strict=True):
            callback.restore(state)
        history = self.run.history
        for curve in (history.loss, *history.measured.values()):
            del curve[self.epoch :]
        history.stopped = self.stopped

    def checkpoint(self) -> Saved:
        """Return the stored epoch as a JSON object."""
        history = self.run.history
        content = {
            "settings": self.settings,
            "parameters": dict(zip(self.names, self.numbers, strict=True)),
            "optimizer": self.optimizer,
            "history": {
                "loss": history.loss[: self.epoch],
                "measured": {name: curve[: self.epoch] for name, curve in history.measured.items()},
                "stopped": self.stopped,
            },
            "callbacks": self.states,
            "hyperparameters": self.hyperparameters,
            "rates": self.run.optimizer.rates(),
        }
        return content | {"digest": digest(content)}

    def resume(self, source: PathLike | Saved) -> None:
        """Resume the run from a checkpoint, or from the file of one.

        Raises ValueError, and changes nothing, when it is damaged, or of a run with other data, settings or parameters.
        Warns when steps are to come with other hyperparameters than those before.
        """
        content = source if isinstance(source, Mapping) else read_json(source, "checkpoint")
        where = "the checkpoint" if isinstance(source, Mapping) else str(source)
        missing = [part for part in self.checkpoint() if part not in content]
        if missing:
            raise ValueError(f"{where} is not whole: it has no {missing[0]}")
        if content["digest"] != digest({name: part for name, part in content.items() if name != "digest"}):
            raise ValueError(f"{where} is damaged: it holds something else than what was written")
        run = self.run
        try:
            states = content["callbacks"]
            if len(states) != len(self.remembering):
                raise ValueError(f"it has {len(states)} callback(s) that remember, this run {len(self.remembering)}")
            run.model.load_state_dict(content["parameters"])
            for difference in _differences(content["settings"], self.settings):
                raise ValueError(f"it is of a run with {difference}")
            run.optimizer.load_state_dict(content["optimizer"])
            loss, measured, stopped = _curves(content["history"])
            others = _differences(content["hyperparameters"], self.hyperparameters)
            others += _other_rates(content["rates"], run.optimizer.lr)
            for callback, state in zip(self.remembering, states, strict=True):
                callback.restore(state)
            if others and len(loss) < run.epochs and not stopped:
                warnings.warn(f"{where} is of a run with {'; '.join(others)}", stacklevel=4)  # to the caller of fit
        except Exception as error:
            self.go_back()
            if isinstance(error, Warning):  # which are errors to some
                raise
            why = str(error) if isinstance(error, ValueError) else repr(error)
            raise ValueError(f"{where} does not fit: {why}") from None
        run.history.loss, run.history.measured, run.history.stopped = loss, measured, stopped
        self.take()


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return the settings in which two runs differ."""
    there, here = as_stored(there), as_stored(here)
    both = {name: (there.get(name), here.get(name)) for name in {**here, **there}}
    return [f"{name} = {x!r:.200}, this one has {y!r:.200}" for name, (x, y) in both.items() if x != y]


def _other_rates(rates: Sequence[Any], lr: float | Schedule) -> list[str]:
    """Return the first step to which another schedule gives another rate, if there is one."""
    for step, rate in rates:
        if as_number("rates", rate) != (here := rate_at(lr, step)):
            return [f"lr = {rate} in step {step + 1}, this one has {here}"]
    return []


def _curves(told: Mapping[str, Any]) -> tuple[list[float], dict[str, list[float]], str]:
    """Return the parts of a history. Raises ValueError if there are none."""
    loss = [as_number("loss", x) for x in told["loss"]]
    measured = {name: [as_number(name, x) for x in curve] for name, curve in told["measured"].items()}
    if any(len(curve) != len(loss) for curve in measured.values()) or not isinstance(told["stopped"], str):
        raise ValueError("its history is not that of a run")
    return loss, measured, told["stopped"]
