"""`fit`: trains a network on samples. How derivatives come about is behind `objective.py`'s wall."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from microgrid.callbacks import Callback, EarlyStopping, Run
from microgrid.checkpoint import Checkpoint, Snapshots
from microgrid.compiled_objective import Compiled, why_not
from microgrid.engine import Value
from microgrid.history import History
from microgrid.losses import Loss, accuracy, kind_of, loss_named
from microgrid.module import Module
from microgrid.objective import Objective, Recorded, Spread, birth_of_nan, loss_and_outputs, outputs_of
from microgrid.optim import OPTIMIZERS, Optimizer
from microgrid.samples import Samples, Target, rows
from microgrid.schedules import Schedule
from microgrid.scope import recording
from microgrid.storage import PathLike

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["EarlyStopping", "History", "Run", "TrainingError", "fit"]

Metric = Callable[[Any, Any], float]
Penalty = Callable[[Sequence[Value]], Any]


class TrainingError(RuntimeError):
    """A run that cannot go on. The model is as it was after the last whole epoch.

    `history` tells of the epochs until then; `fit(..., resume=error.checkpoint)` goes on from there.
    """

    def __init__(self, message: str, history: History, checkpoint: Checkpoint) -> None:
        super().__init__(message)
        self.history = history
        self.checkpoint = checkpoint


def fit(
    model: Module,
    x: Any,
    y: Any,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer = "adam",
    lr: float | Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    reduction: Literal["mean", "sum"] = "mean",
    penalty: Penalty | None = None,
    validation: float | tuple[Any, Any] | None = None,
    metrics: Sequence[str | Metric] = (),
    callbacks: Sequence[Callback] = (),
    checkpoint: PathLike | None = None,
    checkpoint_every: int = 1,
    resume: PathLike | Checkpoint | None = None,
    executor: Executor | None = None,
    parts: int = 8,
    compile: Literal["auto"] | bool = "auto",
    progress: bool | None = None,
) -> History:
    """Train the model on samples x and their targets y; the history of the epochs.

    x and y are lists or anything array-like: a row of numbers for each sample; a number, a class or a row for its
    target. `loss` is a name of `microgrid.losses`, or a function of the outputs and the target of one sample. What is
    minimised is its mean (`reduction`: or its sum) over a batch, plus `penalty(parameters)`. `optimizer` is one of
    `microgrid.optim`, or its name, with `lr` the learning rate.

    `batch_size` is all samples by default; 1 is stochastic descent. Batches are drawn anew in each epoch, in an order
    that `seed` decides. `validation` is a pair (x, y), or the fraction of the samples to keep apart. `metrics` are
    "accuracy" or functions of the outputs, as numbers, and the target of one sample. `callbacks` are called with the
    `Run` after each epoch.

    `checkpoint` is a file to write after every so many epochs; `resume`, such a file, goes on from it up to `epochs`,
    to the same bits as a run that was never stopped. `executor`, any of `concurrent.futures`, records the batch in so
    many parts at once. `progress` shows a bar: by default where there is tqdm, and a terminal or a notebook.

    `compile` runs the batches in machine code (`microgrid.compile`), with the same numbers to rounding: "auto" does so
    where llvmlite is installed, there is enough to compute, and the loss can be traced; `history.how` says what was
    done and why, as does a line above the bar. True raises where it cannot be done.

    Ctrl-C ends the run, and what was learned so far stays. Raises TrainingError when the loss or its gradient is not
    finite, telling where that began, and when a worker of the executor fails.

    >>> from microgrid import nn
    >>> fit(nn.Neuron(1, nonlin=False, seed=0), [[0], [1], [2]], [1, 3, 5], loss="mse", optimizer="sgd", lr=0.3)
    History of 100 epochs: loss 6.488 -> 9.463e-20
    """
    for name, number, least in (("epochs", epochs, 0), ("parts", parts, 1), ("batch_size", batch_size, 1)):
        if number is not None and (not isinstance(number, int) or number < least):
            raise ValueError(f"{name} must be a whole number from {least} on, got {number!r}")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    chosen = loss_named(loss)
    xs = rows(x)
    outputs = len(outputs_of(model, xs[:1])[0])
    samples = Samples(xs, y, outputs, kind_of(chosen), validation, batch_size, shuffle, seed)
    if compile not in ("auto", True, False):
        raise ValueError(f'compile must be "auto", True or False, got {compile!r}')
    measures = _metrics(metrics, chosen, samples.ys)
    why_recorded = "compile=False"
    if compile == "auto" and executor is None:
        why_recorded = why_not(samples.batch_size, len(model.parameters()))
    objective: Objective = Recorded(model, chosen)
    if executor is not None:
        if compile is True:
            raise ValueError("an executor's workers record: choose executor= or compile=True, not both")
        objective = Spread(model, chosen, executor, parts)
    elif compile is True or not why_recorded:
        objective = Compiled(model, chosen, outputs=bool(measures), strict=compile is True)
    trainer = _Trainer(
        objective, model, chosen, _optimizer(optimizer, model, lr), samples, measures, reduction == "mean", penalty
    )
    history = trainer.run(epochs, callbacks, Snapshots(checkpoint, checkpoint_every), resume, progress)
    history.how = getattr(objective, "how", "spread" if executor is not None else f"recorded, since {why_recorded}")
    return history


def _optimizer(optimizer: str | Optimizer, model: Module, lr: float | Schedule | None) -> Optimizer:
    parameters = model.parameters()
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {optimizer!r}: choose one of {', '.join(OPTIMIZERS)}, or pass one")
        made: Optimizer = OPTIMIZERS[optimizer](parameters, **({} if lr is None else {"lr": lr}))
        return made
    if lr is not None:
        raise ValueError("lr goes with the name of an optimizer; this one has its own")
    own = {id(p) for p in parameters}
    if any(id(p) not in own for p in optimizer.parameters):
        raise ValueError("the optimizer trains values that the model does not have: make it from model.parameters()")
    return optimizer


class _Trainer:
    """The parts of a run, put together."""

    def __init__(
        self,
        objective: Objective,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        samples: Samples,
        metrics: dict[str, Metric],
        mean: bool,
        penalty: Penalty | None,
    ) -> None:
        self.objective = objective
        self.model = model
        self.parameters = model.parameters()
        self.loss = loss
        self.optimizer = optimizer
        self.samples = samples
        self.metrics = metrics
        self.mean = mean
        self.penalty = penalty
        self.stepping = False

    def settings(self) -> dict[str, Any]:
        """What a run must have in common with the one that it goes on from."""
        return {
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "reduction": "mean" if self.mean else "sum",
            "batch_size": self.samples.batch_size,
            "shuffle": self.samples.shuffle,
            "seed": self.samples.seed,
            "data": self.samples.digest(),
        }

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
        snapshots.attach(run, callbacks, self.settings())
        if resume is not None:
            snapshots.resume(resume)
        bar = _bar(progress, run.epoch, epochs)
        told = False
        try:
            while run.epoch < epochs and not run.history.stopped:
                snapshots.take()
                run.history.add(*self.epoch(run.epoch))
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
        xs, ys = [self.samples.xs[i] for i in batch], [self.samples.ys[i] for i in batch]
        try:
            sums = self.objective.loss_and_gradients(self.parameters, xs, ys)
        except Exception as error:
            if isinstance(self.objective, Spread):
                raise _CannotGoOn(f"{name}: a worker failed: {error!r}") from error
            raise
        count = len(batch) if self.mean else 1
        loss = sums.loss / count
        for p, g in zip(self.parameters, sums.gradient, strict=True):
            p.grad = g / count
        if self.penalty is not None:
            with recording():
                penalty = self.penalty(self.parameters)
            if not isinstance(penalty, Value):
                raise TypeError(f"the penalty must be a Value, got {penalty!r}: does it use the parameters?")
            penalty.backward()
            loss += penalty.data
        if not (math.isfinite(loss) and all(math.isfinite(p.grad) for p in self.parameters)):
            names = [f"row {self.samples.numbers[i]}" for i in batch]
            why = birth_of_nan(self.model, self.loss, self.parameters, xs, ys, names)
            what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
            raise _CannotGoOn(f"{name}: {what}; {why}")
        self.stepping = True
        self.optimizer.step()
        self.stepping = False
        return loss, sums.outputs

    def measured(self, outputs: Sequence[list[float]], ys: Sequence[Target]) -> dict[str, float]:
        """The mean of each metric."""
        if not self.metrics:
            return {}
        pairs = [(o if len(o) > 1 else o[0], y) for o, y in zip(outputs, ys, strict=True)]
        return {name: math.fsum(metric(o, y) for o, y in pairs) / len(pairs) for name, metric in self.metrics.items()}


class _CannotGoOn(Exception):
    """Why, and where in the epoch."""


def _metrics(metrics: Sequence[str | Metric], loss: Loss, ys: Sequence[Target]) -> dict[str, Metric]:
    """The metrics by their names; a yes is told from a no as fits the loss, or targets that are negative."""
    kind = kind_of(loss)
    if kind.targets in ("numbers", "any") and any(y < 0 for y in ys if not isinstance(y, list)):
        kind = kind._replace(threshold=0.0)
    named: dict[str, Metric] = {}
    for metric in metrics:
        if not callable(metric) and metric != "accuracy":
            raise ValueError(
                f"unknown metric {metric!r}: there is 'accuracy'; or pass a function of outputs and target"
            )
        name = getattr(metric, "__name__", repr(metric)) if callable(metric) else metric
        if name in named:
            raise ValueError(f"two metrics are called {name}: define them by def, with names of their own")
        named[name] = metric if callable(metric) else lambda outputs, target: accuracy(outputs, target, kind)
    return named


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
