"""The state of a training run after an epoch: kept in memory, written to a file, and gone back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from microgrid.module import as_number
from microgrid.storage import PathLike, read_json, write_json
from microgrid.training.callbacks import Run, Stateful

Checkpoint = Mapping[str, Any]
"""What a file of the kind "checkpoint" holds: settings, parameters, optimizer, history, callbacks."""


class Snapshots:
    """The last whole epoch of a run, and the file that it goes to after every so many."""

    def __init__(self, path: PathLike | None, every: int) -> None:
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"checkpoint_every must be a whole number from 1 on, got {every!r}")
        self.path = path
        self.every = every

    def attach(self, run: Run, callbacks: Sequence[Any], settings: dict[str, Any]) -> None:
        """Watch that run, which has not begun."""
        self.run = run
        self.remembering: list[Stateful] = [callback for callback in callbacks if isinstance(callback, Stateful)]
        self.settings = settings
        named = run.model.named_parameters()
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.take()

    def take(self) -> None:
        """Remember the run as it is, which is after a whole epoch."""
        self.epoch = self.run.epoch
        self.numbers = [p.data for p in self.parameters]
        self.optimizer = self.run.optimizer.state_dict()
        self.states = [callback.state() for callback in self.remembering]

    def go_back(self) -> None:
        """Make the run again as it was."""
        for p, x in zip(self.parameters, self.numbers, strict=True):
            p.data = x
        self.run.optimizer.load_state_dict(self.optimizer)
        for callback, state in zip(self.remembering, self.states, strict=True):
            callback.restore(state)
        history = self.run.history
        for curve in (history.loss, *history.measured.values()):
            del curve[self.epoch :]

    def checkpoint(self) -> Checkpoint:
        """The epoch that is remembered, as a file holds it."""
        history = self.run.history
        return {
            "settings": self.settings,
            "parameters": dict(zip(self.names, self.numbers, strict=True)),
            "optimizer": self.optimizer,
            "history": {
                "loss": history.loss[: self.epoch],
                "measured": {name: curve[: self.epoch] for name, curve in history.measured.items()},
                "stopped": history.stopped,
            },
            "callbacks": self.states,
        }

    def write(self) -> None:
        """Put the epoch that is remembered into the file, if there is one to be."""
        if self.path is not None:
            write_json(self.path, "checkpoint", self.checkpoint())

    def write_if_due(self, *, last: bool) -> None:
        """Write after every so many epochs, and after the last."""
        if self.path is not None and (last or self.run.epoch % self.every == 0):
            self.take()
            self.write()

    def resume(self, source: PathLike | Checkpoint) -> None:
        """Take the run to where a checkpoint, or the file of one, left it.

        Raises ValueError, and changes nothing, when it is of a run with other data, settings or parameters.
        """
        content = source if isinstance(source, Mapping) else read_json(source, "checkpoint")
        where = "the checkpoint" if isinstance(source, Mapping) else str(source)
        missing = [part for part in self.checkpoint() if part not in content]
        if missing:
            raise ValueError(f"{where} is not whole: it has no {missing[0]}")
        for name, here in self.settings.items():
            there = content["settings"].get(name)
            if there != here:
                raise ValueError(f"{where} is of a run with {name} = {there!r}, this one has {here!r}")
        try:
            if len(content["callbacks"]) != len(self.remembering):
                there = len(content["callbacks"])
                raise ValueError(f"it has {there} callback(s) that remember, this run {len(self.remembering)}")
            self.run.model.load_state_dict(content["parameters"])
            self.run.optimizer.load_state_dict(content["optimizer"])
            for callback, state in zip(self.remembering, content["callbacks"], strict=True):
                callback.restore(state)
        except ValueError as error:
            self.go_back()
            raise ValueError(f"{where} does not fit: {error}") from None
        told = content["history"]
        history = self.run.history
        history.loss = [as_number("loss", x) for x in told["loss"]]
        history.measured = {name: [as_number(name, x) for x in curve] for name, curve in told["measured"].items()}
        history.stopped = str(told["stopped"])
        self.take()
