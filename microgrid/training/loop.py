"""The loop of training: epoch after epoch, batch after batch, step after step, and what may end it."""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.engine import Value
from microgrid.losses import Loss
from microgrid.module import Module
from microgrid.nn import Neuron
from microgrid.optim import Optimizer
from microgrid.scope import recording
from microgrid.storage import PathLike
from microgrid.training.callbacks import Callback, Run
from microgrid.training.checkpoint import Checkpoint, Snapshots
from microgrid.training.compiled import Compiled
from microgrid.training.history import History
from microgrid.training.metrics import Measure
from microgrid.training.objective import Objective, Sums, birth_of_nan, loss_and_outputs
from microgrid.training.samples import Samples, Target
from microgrid.training.spread import Spread

Penalty = Callable[[Sequence[Value]], Any]


class TrainingError(RuntimeError):
    """A run that cannot go on. The model is as it was after the last whole epoch, which may not have been the best.

    `history` tells of the epochs until then; `fit(..., resume=error.checkpoint)` goes on from there.
    """

    def __init__(self, message: str, history: History, checkpoint: Checkpoint) -> None:
        super().__init__(message)
        self.history = history
        self.checkpoint = checkpoint


class Loop:
    """The parts of a run, put together."""

    def __init__(
        self,
        objective: Objective,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        samples: Samples,
        measures: dict[str, Measure],
        mean: bool,
        penalty: Penalty | None,
    ) -> None:
        self.objective = objective
        self.model = model
        self.parameters = model.parameters()
        self.loss = loss
        self.optimizer = optimizer
        self.samples = samples
        self.measures = measures
        self.mean = mean
        self.penalty = penalty
        self.stepping = False

    def settings(self) -> dict[str, Any]:
        """What a run must have in common with the one that it goes on from."""
        place = {id(p): i for i, p in enumerate(self.parameters)}
        trained = [place[id(p)] for p in self.optimizer.parameters]
        return {
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "reduction": "mean" if self.mean else "sum",
            "batch_size": self.samples.batch_size,
            "shuffle": self.samples.shuffle,
            "seed": self.samples.seed,
            "data": self.samples.digest(),
            "metrics": list(self.measures),
            "activations": self._activations(),
            "trained": "all" if trained == list(range(len(self.parameters))) else trained,
        }

    def hyperparameters(self) -> dict[str, Any]:
        """What decides on the steps, and may change within a run, but not unseen."""
        penalty = {"penalty of fixed numbers": self._penalty_of_fixed_numbers()} if self.penalty else {}
        return penalty | self.optimizer.hyperparameters()

    def _activations(self) -> str:
        """Those of the neurons, each once; two networks may have the same parameters and others of them."""
        neurons = [Neuron.__repr__(module) for module in self.model.modules() if isinstance(module, Neuron)]
        names = [re.sub(r"Neuron\(\d+\)$| at 0x[0-9a-fA-F]+", "", neuron) for neuron in neurons]
        return ", ".join(dict.fromkeys(names))

    def _penalty_of_fixed_numbers(self) -> str:
        """The penalty is told from another one by this."""
        assert self.penalty is not None
        numbers = [p.data for p in self.parameters]
        try:
            for i, p in enumerate(self.parameters):
                p.data = 1.0 + (i % 7) / 8.0
            return f"{_penalty(self.penalty, self.parameters).data:.10g}"
        finally:
            for p, x in zip(self.parameters, numbers, strict=True):
                p.data = x

    def run(
        self,
        epochs: int,
        callbacks: Sequence[Callback],
        snapshots: Snapshots,
        resume: PathLike | Checkpoint | None,
        progress: bool | None,
    ) -> History:
        """Epoch after epoch, until all are done or something ends it."""
        run = Run(self.model, self.optimizer, epochs)
        one_step = len(self.samples.batches(0)) == 1
        run.training = {
            name: None if one_step else functools.partial(self.anew, name) for name in ("loss", *self.measures)
        }
        _tell(callbacks, "begin", run)
        snapshots.attach(run, callbacks, self.settings(), self.hyperparameters())
        if resume is not None:
            snapshots.resume(resume)
        bar = _bar(progress, run.epoch, epochs)
        told = False
        try:
            while run.epoch < epochs and not run.history.stopped:
                snapshots.take()
                run.before = snapshots.numbers
                run.history.add(*self.epoch(run.epoch))
                if callbacks:
                    run.after = [p.data for p in self.parameters]
                if bar is not None and not told and isinstance(self.objective, Compiled):
                    bar.write(f"fit: {self.objective.how}")
                    told = True
                for callback in callbacks:
                    callback(run)
                if bar is not None:
                    last = {name: f"{curve[-1]:.4g}" for name, curve in run.history.measured.items()}
                    bar.set_postfix({"loss": f"{run.loss:.4g}", **last}, refresh=False)
                    bar.update()
                snapshots.write_if_due(last=run.epoch == epochs or bool(run.history.stopped))
        except KeyboardInterrupt:
            snapshots.write()
            if self.stepping:  # some parameters have taken their step, others not
                snapshots.go_back()
            run.history.stopped = f"interrupted in epoch {snapshots.epoch + 1}"
        except _CannotGoOn as error:
            snapshots.go_back()
            snapshots.write()
            where = f"epoch {snapshots.epoch + 1}, {error}"
            raise TrainingError(where, run.history, snapshots.checkpoint()) from error.__cause__
        finally:
            if bar is not None:
                bar.close()
        _tell(callbacks, "finish", run)
        return run.history

    def epoch(self, number: int) -> tuple[float, dict[str, float]]:
        """Train on every sample once: the loss, and what was measured."""
        xs, ys = self.samples.xs, self.samples.ys
        losses: list[float] = []
        weights: list[float] = []
        outputs: list[list[float]] = []
        shown: list[Target] = []
        for k, batch in enumerate(self.samples.batches(number)):
            loss, told = self.step(batch, f"batch {k + 1}")
            losses.append(loss)
            weights.append(len(batch) / len(xs) if self.mean else 1.0)
            outputs += told
            shown += [ys[i] for i in batch]
        total = losses[0] if len(losses) == 1 else math.fsum(w * x for w, x in zip(weights, losses, strict=True))
        measured = self.measured(outputs, shown)
        xs, ys = self.samples.validation
        if xs:
            loss, outputs = loss_and_outputs(self.model, self.loss, xs, ys)
            measured["validation_loss"] = loss / len(xs) if self.mean else loss
            measured |= {f"validation_{name}": number for name, number in self.measured(outputs, ys).items()}
        return total, measured

    def step(self, batch: Sequence[int], name: str) -> tuple[float, list[list[float]]]:
        """Change the parameters once: the loss before, and the outputs."""
        xs, ys = self.samples.batch(batch)
        sums = self.sums(xs, ys, name)
        count = len(batch) if self.mean else 1
        loss = sums.loss / count
        gradient = [g / count for g in sums.gradient]
        for p, g in zip(self.parameters, gradient, strict=True):
            p.grad = g
        if self.penalty is not None:
            penalty = _penalty(self.penalty, self.parameters)
            penalty.backward()
            loss += penalty.data
            gradient = [p.grad for p in self.parameters]
        if not (math.isfinite(loss) and all(map(math.isfinite, gradient))):
            names = [f"row {self.samples.numbers[i]}" for i in batch]
            why = birth_of_nan(self.model, self.loss, self.parameters, xs, ys, names)
            what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
            raise _CannotGoOn(f"{name}: {what}; {why}")
        self.stepping = True
        self.optimizer.step()
        self.stepping = False
        return loss, sums.outputs

    def sums(self, xs: Sequence[list[float]], ys: Sequence[Target], name: str) -> Sums:
        """The sums over these samples."""
        try:
            return self.objective.loss_and_gradients(self.parameters, xs, ys)
        except Exception as error:
            if isinstance(self.objective, Spread):
                raise _CannotGoOn(f"{name}: a worker failed: {error!r}") from error
            raise

    def anew(self, name: str) -> float:
        """A number that an epoch gives, for the parameters as they are: that of an epoch without steps."""
        gradient = [p.grad for p in self.parameters]  # that of the last step, which callbacks may look at
        sums = self.sums(self.samples.xs, self.samples.ys, "all samples")
        for p, g in zip(self.parameters, gradient, strict=True):
            p.grad = g
        if name != "loss":
            return self.measures[name](sums.outputs, self.samples.ys)
        loss = sums.loss / len(self.samples.xs) if self.mean else sums.loss
        if self.penalty is not None:
            times = 1 if self.mean else len(self.samples.batches(0))
            loss += times * _penalty(self.penalty, self.parameters).data
        return loss

    def measured(self, outputs: Sequence[list[float]], ys: Sequence[Target]) -> dict[str, float]:
        """What was asked for, of these outputs and targets."""
        return {name: measure(outputs, ys) for name, measure in self.measures.items()}


class _CannotGoOn(Exception):
    """Why, and where in the epoch."""


def _tell(callbacks: Sequence[Callback], event: str, run: Run) -> None:
    """Call the method of that name of the callbacks that have it."""
    for callback in callbacks:
        if hasattr(callback, event):
            getattr(callback, event)(run)


def _penalty(penalty: Penalty, parameters: Sequence[Value]) -> Value:
    with recording():
        value = penalty(parameters)
    if not isinstance(value, Value):
        raise TypeError(f"the penalty must be a Value, got {value!r}: does it use the parameters?")
    return value


def _bar(progress: bool | None, start: int, epochs: int) -> Any:
    """A progress bar, or None."""
    if progress is False:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a notebook without ipywidgets has no bar
            from tqdm.auto import tqdm
    except ImportError:
        if progress is None:
            return None
        raise ImportError("a progress bar needs tqdm: pip install 'microgrid[train]'") from None
    return tqdm(total=epochs, initial=start, unit="epoch", disable=False if progress else None)
