"""The training loop over epochs, batches and steps, and the ways in which it ends."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any

from microgrid.core.files import PathLike
from microgrid.engine import data_of, give_data, give_grads, grads_of
from microgrid.nn import Neuron
from microgrid.nn.module import Module
from microgrid.optim import Optimizer
from microgrid.training.callbacks import Callback, Run, Saved
from microgrid.training.history import History
from microgrid.training.metrics import Measure
from microgrid.training.objective import Objective
from microgrid.training.progress import Progress
from microgrid.training.samples import Sample, Samples, Target
from microgrid.training.snapshots import Snapshots
from microgrid.training.sums import Failure, Outputs, Summation, Sums, birth_of_nan, divided, loss_and_outputs, together


class TrainingError(RuntimeError):
    """A run that cannot go on. The model is as it was after the last whole epoch, not necessarily the best one.

    `history` tells of the epochs until then; `fit(..., resume=error.checkpoint)` goes on from there.

    >>> from microgrid import fit, nn
    >>> try:
    ...     fit(nn.MLP(1, [1]), [[1e200]], [0.0], loss="mse", epochs=1)
    ... except TrainingError as error:
    ...     print(len(error.history))
    0
    """

    def __init__(self, message: str, history: History, checkpoint: Saved) -> None:
        super().__init__(message)
        self.history = history
        self.checkpoint = checkpoint


class EpochLoop:
    """The training loop with all parts of a run."""

    def __init__(
        self,
        objective: Objective,
        sums: Summation,
        model: Module,
        optimizer: Optimizer,
        samples: Samples,
        measures: dict[str, Measure],
    ) -> None:
        self.objective = objective
        self.summation = sums
        self.model = model
        self.parameters = model.parameters()
        self.optimizer = optimizer
        self.samples = samples
        self.measures = measures
        self.restarting: list[Any] = [module for module in model.modules() if hasattr(module, "restart")]
        self.stepping = False
        self.array: Any = None
        self.slopes: Any = None

    def settings(self) -> dict[str, Any]:
        """Return the settings that a run must have in common with the one that it resumes."""
        place = {id(p): i for i, p in enumerate(self.parameters)}
        trained = [place[id(p)] for p in self.optimizer.parameters]
        return self.objective.settings() | {
            "batch_size": self.samples.batch_size,
            "shuffle": self.samples.shuffle,
            "seed": self.samples.seed,
            "data": self.samples.digest(),
            "metrics": list(self.measures),
            "activations": self._activations(),
            "trained": "all" if trained == list(range(len(self.parameters))) else trained,
        }

    def hyperparameters(self) -> dict[str, Any]:
        """Return the settings that determine the steps, and may change on resuming, but not unnoticed."""
        return self.objective.hyperparameters(self.parameters) | self.optimizer.hyperparameters()

    def _activations(self) -> str:
        """Return the activations of the neurons, each once, and the layers that are described by more than parameters:
        networks with equal parameters may differ in them."""
        neurons = [Neuron.__repr__(module) for module in self.model.modules() if isinstance(module, Neuron)]
        names = [re.sub(r"Neuron\(\d+\)$| at 0x[0-9a-fA-F]+", "", neuron) for neuron in neurons]
        files = ("perceptron", "module")
        own = [m for m in self.model.modules() if type(m).__module__.startswith("microgrid.nn.")]
        layers = sorted(repr(m) for m in own if not type(m).__module__.endswith(files))
        return ", ".join([*dict.fromkeys(names), *layers])

    def run(
        self, epochs: int, callbacks: Sequence[Callback], resume: PathLike | Saved | None, progress: bool | None
    ) -> History:
        """Run epochs until all are done or something ends the run."""
        run = Run(self.model, self.optimizer, epochs)
        run.history.how = self.summation.how
        one_step = len(self.samples.batches(0)) == 1
        run.training = {
            name: None if one_step else functools.partial(self.anew, name) for name in ("loss", *self.measures)
        }
        _tell(callbacks, "begin", run)
        snapshots = Snapshots(run, callbacks, self.settings(), self.hyperparameters())
        run.checkpoint = snapshots.checkpoint
        if resume is not None:
            snapshots.resume(resume)
        bar = Progress(progress, run.epoch, epochs)
        remark = True
        try:
            while run.epoch < epochs and not run.history.stopped:
                run.before = snapshots.numbers
                run.history.add(*self.epoch(run.epoch))
                if callbacks:
                    run.after = data_of(self.parameters)
                if remark and self.summation.remark:
                    bar.write(f"fit: {self.summation.remark}")
                remark = False
                for callback in callbacks:
                    if callable(callback):
                        callback(run)
                bar(run.history)
                snapshots.take()
                run.ended = run.epoch == epochs or bool(run.history.stopped)
                _tell(callbacks, "keep", run)
        except KeyboardInterrupt:
            run.ended = True
            _tell(callbacks, "keep", run)
            if self.stepping:  # some parameters have taken their step, others not
                snapshots.go_back()
            run.history.stopped = f"interrupted in epoch {snapshots.epoch + 1}"
        except _CannotGoOn as error:
            snapshots.go_back()
            run.ended = True
            _tell(callbacks, "keep", run)
            where = f"epoch {snapshots.epoch + 1}, {error}"
            raise TrainingError(where, run.history, snapshots.checkpoint()) from error.__cause__
        finally:
            run.history.how = self.summation.how
            bar.close(run.history)
        _tell(callbacks, "finish", run)
        return run.history

    def epoch(self, number: int) -> tuple[float, dict[str, float]]:
        """Train on every sample once; return the loss and the metrics."""
        for module in self.restarting:
            module.restart(number)
        xs, ys = self.samples.xs, self.samples.ys
        losses: list[float] = []
        weights: list[float] = []
        outputs: list[Outputs] = []
        shown: list[Target] = []
        batches = self.samples.batches(number)
        with self.on_arrays(len(batches) > 1):
            for k, batch in enumerate(batches):
                loss, told = self.step(batch, f"batch {k + 1}")
                losses.append(loss)
                weights.append(len(batch) / len(xs) if self.objective.mean else 1.0)
                if self.measures:
                    outputs.append(told)
                    if len(batches) == 1:
                        shown = self.samples.batch(batch)[1]  # the same list each time, if they are not shuffled
                    else:
                        shown += [ys[i] for i in batch]
        total = losses[0] if len(losses) == 1 else math.fsum(w * x for w, x in zip(weights, losses, strict=True))
        measured = self.measured(together(outputs), shown) if self.measures else {}
        xs, ys = self.samples.validation
        if xs:
            in_code = getattr(self.summation, "loss_and_outputs", None)
            told = in_code(xs, ys) if in_code is not None else None
            loss, validated = told or loss_and_outputs(self.model, self.objective.loss, xs, ys)
            measured["validation_loss"] = loss / len(xs) if self.objective.mean else loss
            measured |= {f"validation_{name}": number for name, number in self.measured(validated, ys).items()}
        return total, measured

    @contextlib.contextmanager
    def on_arrays(self, several: bool) -> Iterator[None]:
        """Keep the numbers of the parameters in an array within a context, where sums and steps take one: after a
        thousand steps of one sample, the numbers are stored once.
        """
        sums: Any = self.summation
        own = self.optimizer
        fits = several and hasattr(sums, "begin") and self.objective.penalty is None and own.takes_arrays
        if fits and len(own.parameters) == len(self.parameters) and all(map(is_, own.parameters, self.parameters)):
            self.array = sums.begin(self.parameters)
        try:
            yield
        finally:
            if self.array is not None:
                give_data(self.parameters, self.array.tolist())
                if self.slopes is not None:
                    give_grads(self.parameters, self.slopes.tolist())
                self.array = self.slopes = None
                sums.end()

    def step(self, batch: Sequence[int], name: str) -> tuple[float, Outputs]:
        """Make one step; return the loss before it, and the outputs."""
        xs, ys = self.samples.batch(batch)
        sums = self.sums(xs, ys, name)
        count = len(batch) if self.objective.mean else 1
        loss = sums.loss / count
        gradient: Any
        if self.array is None:
            gradient = divided(sums.gradient, count)
            give_grads(self.parameters, gradient)
            penalty = self.objective.added(self.parameters)
            if penalty is not None:
                penalty.backward()
                loss += penalty.data
                gradient = grads_of(self.parameters)
            total = sum(gradient)
        else:
            import numpy as np

            gradient = self.slopes = np.asarray(sums.gradient) / count
            total = gradient.sum().item()
        # A sum that is finite has no other terms; one that is not may have overflowed.
        if not (math.isfinite(loss) and (math.isfinite(total) or all(map(math.isfinite, gradient)))):
            if self.array is not None:
                give_data(self.parameters, self.array.tolist())
            names = [f"row {self.samples.numbers[i]}" for i in batch]
            why = birth_of_nan(self.model, self.objective.loss, self.parameters, xs, ys, names)
            what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
            raise _CannotGoOn(f"{name}: {what}; {why}")
        self.stepping = True
        if self.array is None:
            self.optimizer.step()
        else:
            self.array[:], self.slopes = self.optimizer.step_of(self.array, gradient)
        self.stepping = False
        return loss, sums.outputs

    def sums(self, xs: Sequence[Sample], ys: Sequence[Target], name: str) -> Sums:
        """Return the sums over these samples."""
        try:
            return self.summation.loss_and_gradients(self.parameters, xs, ys)
        except Failure as error:
            raise _CannotGoOn(f"{name}: {error}") from error.__cause__

    def anew(self, name: str) -> float:
        """Measure a number of an epoch again for the present parameters, as an epoch without steps would."""
        gradient = grads_of(self.parameters)  # that of the last step, for callbacks
        sums = self.sums(self.samples.xs, self.samples.ys, "all samples")
        give_grads(self.parameters, gradient)
        if name != "loss":
            return self.measures[name](sums.outputs, self.samples.ys)
        loss = sums.loss / len(self.samples.xs) if self.objective.mean else sums.loss
        penalty = self.objective.added(self.parameters)
        if penalty is not None:
            loss += (1 if self.objective.mean else len(self.samples.batches(0))) * penalty.data
        return loss

    def measured(self, outputs: Outputs, ys: Sequence[Target]) -> dict[str, float]:
        """Return the metrics of these outputs and targets."""
        return {name: measure(outputs, ys) for name, measure in self.measures.items()}


class _CannotGoOn(Exception):
    """Reason for the end of a run, and its place in the epoch."""


def _tell(callbacks: Sequence[Callback], event: str, run: Run) -> None:
    """Call the method of this name of the callbacks that have it."""
    for callback in callbacks:
        if hasattr(callback, event):
            getattr(callback, event)(run)
