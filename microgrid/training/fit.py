"""`fit`: train a network on samples. Its arguments are checked and assembled here; `loop.py` runs it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from microgrid.core.files import PathLike
from microgrid.losses import Loss, kind_of
from microgrid.nn.module import Module
from microgrid.optim import OPTIMIZERS, Optimizer
from microgrid.schedules import Schedule
from microgrid.training.callbacks import Callback, Saved
from microgrid.training.history import History
from microgrid.training.loop import EpochLoop
from microgrid.training.metrics import Metric, measures_of
from microgrid.training.objective import Objective
from microgrid.training.samples import Sample, Samples, at_least, outputs_like, samples_of
from microgrid.training.sums import outputs_of


def fit(
    model: Module,
    x: Any,
    y: Any,
    *,
    loss: str | Loss | Objective,
    optimizer: str | Optimizer = "adam",
    lr: float | Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    seed: int | None = 0,
    validation: float | tuple[Any, Any] | None = None,
    metrics: Sequence[str | Metric] = (),
    callbacks: Sequence[Callback] = (),
    resume: PathLike | Saved | None = None,
    progress: bool | None = None,
) -> History:
    """Train the model on samples x and their targets y; return the history of the epochs.

    x and y are lists or anything array-like: for each sample a row of numbers, or nested lists (sequences, images),
    which the model gets as nested lists of Values; a number, a class or a row for its target. `loss` is a name of
    `microgrid.losses`, or a function of the outputs and the target of one sample: its mean over a batch is minimised.
    `Objective` of `microgrid.training` selects the sum, a penalty, or compilation; `Spread` uses the workers of an
    executor. `optimizer` is one of `microgrid.optim`, or its name, with `lr` the learning rate.

    Sequences may differ in length. Where the model has a row of logits for each step, a target is a class for each
    step, or -100 for one that does not count. Compiled code runs the sequences of one length together. A model may have
    an attribute `padding`, a number that has no effect on the steps before it; then shorter sequences are padded with
    it.

    `batch_size` is all samples by default; 1 is stochastic gradient descent. Each epoch shuffles the samples by `seed`;
    with `seed=None` they stay in order. `validation` is a pair (x, y), or the fraction of the samples to hold out:
    drawn by `seed`, or with `seed=None` the last. The model is trained in its present mode, and validated in evaluation
    mode; modules that draw at random, as `Dropout` does, have a method restart(epoch), which each epoch calls.

    `metrics` are "accuracy", "precision", "recall", "f1", "r2" or "perplexity"; functions of the outputs, as numbers,
    and the target of one sample; or those of scikit-learn, which take (y_true, y_pred) of all samples. `callbacks` are
    called with the `Run` after each epoch; one may restore earlier parameters at the end, which `history.restored`
    reports.

    `resume` continues from the file of a `Checkpoint` among the callbacks up to `epochs`, to the same bits as an
    uninterrupted run; a run that a callback has ended stays ended. A file that is damaged, or of other data or another
    network, raises ValueError; another rate, penalty or option of the optimizer than before gives a warning. `progress`
    shows a bar: by default where tqdm is installed, and in a terminal or a notebook. A line above it says when batches
    run in machine code; `history.how` always says so, and why.

    Ctrl-C ends the run and keeps the parameters. Raises TrainingError when the loss or its gradient is not finite, with
    the first operation of which that is true, and when a worker of an executor fails.

    >>> from microgrid import nn
    >>> fit(nn.Neuron(1, nonlin=False, seed=0), [[0], [1], [2]], [1, 3, 5], loss="mse", optimizer="sgd", lr=0.3)
    History of 100 epochs: loss 6.488 -> 9.463e-20
    """
    at_least(0, "epochs", epochs)
    if batch_size is not None:
        at_least(1, "batch_size", batch_size)
    if not isinstance(model, Module):
        raise TypeError(
            f"fit trains a module of microgrid.nn, got {type(model).__name__}: make it a class of nn.Module"
        )
    for name, listed in (("metrics", metrics), ("callbacks", callbacks)):
        if isinstance(listed, str) or not isinstance(listed, Sequence):
            raise TypeError(f"{name} must be a list, got {listed!r}: put it into one")
    for callback in callbacks:
        if not (callable(callback) or hasattr(callback, "keep")):
            raise TypeError(f"a callback is a function of the run, or has a method keep(run), got {callback!r}")
    objective = loss if isinstance(loss, Objective) else Objective(loss)
    kind = kind_of(objective.loss)
    misfit = functools.partial(_misfit, model)
    xs = samples_of(x, misfit=misfit)
    outputs = outputs_like(outputs_of(model, xs[:1])[0])
    samples = Samples(xs, y, outputs, kind, validation, batch_size, seed, misfit)
    measures = measures_of(metrics, objective.loss, samples.ys)
    summation = objective.summation(model, samples, outputs=bool(measures))
    loop = EpochLoop(objective, summation, model, _optimizer(optimizer, model, lr), samples, measures)
    return loop.run(epochs, callbacks, resume, progress)


def _misfit(model: Module, sample: Sample) -> str:
    """Return the error that a model raises for a sample; "" where it takes it."""
    try:
        outputs_of(model, [sample])
    except (ValueError, TypeError, IndexError) as error:
        return str(error)
    return ""


def _optimizer(optimizer: str | Optimizer, model: Module, lr: float | Schedule | None) -> Optimizer:
    parameters = model.parameters()
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {optimizer!r}: choose one of {', '.join(OPTIMIZERS)}, or pass one")
        made: Optimizer = OPTIMIZERS[optimizer](parameters, **({} if lr is None else {"lr": lr}))
        return made
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is a name ({', '.join(OPTIMIZERS)}) or one of microgrid.optim, got {optimizer!r}")
    if lr is not None:
        raise ValueError("lr goes with the name of an optimizer; this one has its own")
    own = {id(p) for p in parameters}
    if any(id(p) not in own for p in optimizer.parameters):
        raise ValueError("the optimizer trains values that the model does not have: make it from model.parameters()")
    return optimizer
