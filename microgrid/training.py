"""`fit`: trains a network on samples. How derivatives come about is behind `objective.py`'s wall."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal

from microgrid.callbacks import Callback, EarlyStopping, Run
from microgrid.checkpoint import Checkpoint, Snapshots
from microgrid.engine import Value
from microgrid.history import History
from microgrid.losses import Loss, accuracy, kind_of, loss_named
from microgrid.module import Module
from microgrid.objective import Objective, Recorded, Spread, birth_of_nan, loss_and_outputs, outputs_of
from microgrid.optim import OPTIMIZERS, Optimizer
from microgrid.samples import Target, rows, targets
from microgrid.schedules import Schedule
from microgrid.scope import recording
from microgrid.storage import PathLike

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

    Ctrl-C ends the run, and what was learned so far stays. Raises TrainingError when the loss or its gradient is not
    finite, telling where that began, and when a worker of the executor fails.

    >>> from microgrid import nn
    >>> fit(nn.Neuron(1, nonlin=False, seed=0), [[0], [1], [2]], [1, 3, 5], loss="mse", optimizer="sgd", lr=0.3)
    History of 100 epochs: loss 6.488 -> 9.463e-20
    """
    trainer = _Trainer(model, loss, _optimizer(optimizer, model, lr), reduction, penalty, metrics)
    trainer.take(x, y, validation, batch_size, shuffle, seed)
    if epochs < 0:
        raise ValueError(f"epochs must be a number from 0 on, got {epochs}")
    if executor is not None:
        if parts < 1:
            raise ValueError(f"parts, into which an executor's batches are cut, must be at least 1, got {parts}")
        trainer.objective = Spread(model, trainer.loss, executor, parts)
    return trainer.run(epochs, callbacks, Snapshots(checkpoint, checkpoint_every), resume, progress)


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
        model: Module,
        loss: str | Loss,
        optimizer: Optimizer,
        reduction: str,
        penalty: Penalty | None,
        metrics: Sequence[str | Metric],
    ) -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
        self.model = model
        self.loss = loss_named(loss)
        self.optimizer = optimizer
        self.mean = reduction == "mean"
        self.penalty = penalty
        self.metrics = dict(_metric(metric, self.loss) for metric in metrics)
        self.parameters = model.parameters()
        self.objective: Objective = Recorded(model, self.loss)

    def take(self, x: Any, y: Any, validation: Any, batch_size: int | None, shuffle: bool, seed: int) -> None:
        """The samples, as rows of floats."""
        xs = rows(x)
        outputs = len(outputs_of(self.model, xs[:1])[0])
        kind = kind_of(self.loss)
        ys = targets(y, len(xs), outputs, kind)
        kept: list[int] = []
        self.validation: tuple[list[list[float]], list[Target]] = ([], [])
        if isinstance(validation, (int, float)):
            if not 0.0 < validation < 1.0:
                raise ValueError(f"validation is a pair (x, y) or a fraction between 0 and 1, got {validation}")
            kept = sorted(random.Random(f"{seed}: validation").sample(range(len(xs)), round(validation * len(xs))))
            if not 0 < len(kept) < len(xs):
                raise ValueError(f"a fraction of {validation} leaves nothing of {len(xs)} sample(s) on one side")
            self.validation = ([xs[i] for i in kept], [ys[i] for i in kept])
        elif validation is not None:
            vx = rows(validation[0], "validation x")
            self.validation = (vx, targets(validation[1], len(vx), outputs, kind, "validation y"))
        self.names = [i for i in range(len(xs)) if i not in set(kept)]
        self.xs, self.ys = [xs[i] for i in self.names], [ys[i] for i in self.names]
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, or None for all samples, got {batch_size}")
        self.batch_size = min(batch_size or len(self.xs), len(self.xs))
        self.shuffled = shuffle and self.batch_size < len(self.xs)
        self.seed = seed

    def settings(self) -> dict[str, Any]:
        """What a run must have in common with the one that it goes on from."""
        data = repr((self.xs, self.ys, self.validation)).encode()
        return {
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "reduction": "mean" if self.mean else "sum",
            "batch_size": self.batch_size,
            "shuffled": self.shuffled,
            "seed": self.seed,
            "data": hashlib.sha256(data).hexdigest()[:16],
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
        run = Run(self.model, self.optimizer, History(), epochs)
        snapshots.attach(run, callbacks, self.settings())
        if resume is not None:
            snapshots.resume(resume)
        bar = _bar(progress, run.epoch, epochs)
        try:
            while run.epoch < epochs and not run.history.stopped:
                snapshots.take()
                self.stepping = False
                run.history.add(*self.epoch(run.epoch))
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
        order = list(range(len(self.xs)))
        if self.shuffled:
            random.Random(f"{self.seed}: epoch {number}").shuffle(order)
        losses: list[float] = []
        weights: list[float] = []
        scores: dict[str, list[float]] = {name: [] for name in self.metrics}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            loss, outputs = self.step(batch, f"batch {start // self.batch_size + 1}")
            losses.append(loss)
            weights.append(len(batch) / len(order) if self.mean else 1.0)
            self.score(scores, outputs, [self.ys[i] for i in batch])
        total = losses[0] if len(losses) == 1 else math.fsum(w * x for w, x in zip(weights, losses, strict=True))
        measured = {name: math.fsum(numbers) / len(numbers) for name, numbers in scores.items()}
        xs, ys = self.validation
        if xs:
            loss, outputs = loss_and_outputs(self.model, self.loss, xs, ys)
            measured["validation_loss"] = loss / len(xs) if self.mean else loss
            scores = {name: [] for name in self.metrics}
            self.score(scores, outputs, ys)
            measured |= {f"validation_{name}": math.fsum(numbers) / len(numbers) for name, numbers in scores.items()}
        return total, measured

    def step(self, batch: Sequence[int], name: str) -> tuple[float, list[list[float]]]:
        """Change the parameters once: the loss before, and the outputs."""
        xs, ys = [self.xs[i] for i in batch], [self.ys[i] for i in batch]
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
            rows_ = [f"row {self.names[i]}" for i in batch]
            why = birth_of_nan(self.model, self.loss, self.parameters, xs, ys, rows_)
            what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
            raise _CannotGoOn(f"{name}: {what}; {why}")
        self.stepping = True
        self.optimizer.step()
        self.stepping = False
        return loss, sums.outputs

    def score(self, scores: dict[str, list[float]], outputs: Sequence[list[float]], ys: Sequence[Target]) -> None:
        """Measure each sample."""
        for name, metric in self.metrics.items():
            scores[name] += [metric(o if len(o) > 1 else o[0], t) for o, t in zip(outputs, ys, strict=True)]


class _CannotGoOn(Exception):
    """Why, and where in the epoch."""


def _metric(metric: str | Metric, loss: Loss) -> tuple[str, Metric]:
    if callable(metric):
        return getattr(metric, "__name__", repr(metric)), metric
    if metric != "accuracy":
        raise ValueError(f"unknown metric {metric!r}: there is 'accuracy'; or pass a function of outputs and target")
    kind = kind_of(loss)
    return metric, lambda outputs, target: accuracy(outputs, target, kind)


def _bar(progress: bool | None, start: int, epochs: int) -> Any:
    """A progress bar, or None."""
    if progress is False:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress is None:
            return None
        raise ImportError("a progress bar needs tqdm: pip install 'microgrid[train]'") from None
    return tqdm(total=epochs, initial=start, unit="epoch", disable=False if progress else None)
