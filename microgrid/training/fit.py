"""`fit`: trains a network on samples. What is asked for is checked here and put together; `loop.py` runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from microgrid.losses import Loss, kind_of, loss_named
from microgrid.module import Module
from microgrid.optim import OPTIMIZERS, Optimizer
from microgrid.schedules import Schedule
from microgrid.storage import PathLike
from microgrid.training.callbacks import Callback
from microgrid.training.checkpoint import Checkpoint, Snapshots
from microgrid.training.compiled import Compiled, why_not
from microgrid.training.history import History
from microgrid.training.loop import Loop, Penalty
from microgrid.training.metrics import Metric, measures_of
from microgrid.training.objective import Objective, Recorded, outputs_of
from microgrid.training.samples import Samples, rows
from microgrid.training.spread import Spread

if TYPE_CHECKING:
    from concurrent.futures import Executor


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
    `Run` after each epoch; one may bring back earlier parameters at the end, of which `history.restored` tells.

    `checkpoint` is a file to write after every so many epochs; `resume`, such a file, goes on from it up to `epochs`,
    to the same bits as a run that was never stopped; one that a callback has ended stays so. A file that is damaged, or
    of other data or another network, is a ValueError; steps with another rate, penalty or option of the optimizer than
    those before are a warning. `executor`, any of `concurrent.futures`, records the batch in so many parts at once.
    `progress` shows a bar: by default where there is tqdm, and a terminal or a notebook.

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
    if not isinstance(model, Module):
        raise TypeError(
            f"fit trains a module of microgrid.nn, got {type(model).__name__}: make it a class of nn.Module"
        )
    for name, listed in (("metrics", metrics), ("callbacks", callbacks)):
        if isinstance(listed, str) or not isinstance(listed, Sequence):
            raise TypeError(f"{name} must be a list, got {listed!r}: put it into one")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    chosen = loss_named(loss)
    xs = rows(x)
    outputs = len(outputs_of(model, xs[:1])[0])
    samples = Samples(xs, y, outputs, kind_of(chosen), validation, batch_size, shuffle, seed)
    if compile not in ("auto", True, False):
        raise ValueError(f'compile must be "auto", True or False, got {compile!r}')
    measures = measures_of(metrics, chosen, samples.ys)
    why_recorded = "compile=False"
    if compile == "auto" and executor is None:
        why_recorded = why_not(samples.batch_size, len(model.parameters()))
    objective: Objective = Recorded(model, chosen)
    if executor is not None:
        if compile is True:
            raise ValueError("an executor's workers record: choose executor= or compile=True, not both")
        objective = Spread(model, chosen, executor, parts)
    elif compile is True or not why_recorded:
        examples = samples.of_each_target() if kind_of(chosen).targets == "any" else ([], [])
        objective = Compiled(model, chosen, outputs=bool(measures), strict=compile is True, examples=examples)
    loop = Loop(
        objective, model, chosen, _optimizer(optimizer, model, lr), samples, measures, reduction == "mean", penalty
    )
    history = loop.run(epochs, callbacks, Snapshots(checkpoint, checkpoint_every), resume, progress)
    history.how = getattr(objective, "how", "spread" if executor is not None else f"recorded, since {why_recorded}")
    return history


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
