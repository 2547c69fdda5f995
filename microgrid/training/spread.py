"""`Spread`: an objective computed by the workers of an executor, which are threads, processes, or machines."""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from microgrid.engine import Value
from microgrid.losses import Loss
from microgrid.nn.module import Module, drawing
from microgrid.training.objective import Objective, Penalty
from microgrid.training.samples import Sample, Samples, Target, at_least
from microgrid.training.sums import Failure, RecordedSums, Sums

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Spread(Objective):
    """An objective that the workers of an executor compute: `fit(..., loss=Spread("mse", executor))`.

    The executor is any of `concurrent.futures`, or a Dask client's. A batch is cut into so many `parts`, which the
    workers record. Their sums are added up in order, so that the bits do not depend on the number of workers.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from microgrid import datasets, fit, nn
    >>> model, (points, labels) = nn.MLP(2, [2, 1], seed=0), datasets.xor()
    >>> with ThreadPoolExecutor(2) as executor:
    ...     len(fit(model, points, labels, epochs=3, loss=Spread("mse", executor)))
    3
    """

    def __init__(
        self,
        loss: str | Loss,
        executor: Executor,
        *,
        parts: int = 8,
        reduction: Literal["mean", "sum"] = "mean",
        penalty: Penalty | None = None,
    ) -> None:
        super().__init__(loss, reduction=reduction, penalty=penalty, compile=False)
        self.executor = executor
        self.parts = at_least(1, "parts", parts)

    def summation(self, model: Module, samples: Samples, *, outputs: bool) -> SpreadSums:
        """Return the workers' sums. Raises TypeError if the model or the loss cannot be pickled, or draws at random."""
        if any(module.training for module in drawing(model)):
            raise TypeError("a Dropout in training would draw the same numbers in each worker: call eval() on it")
        return SpreadSums(model, self.loss, self.executor, self.parts)


class SpreadSums:
    """Sums over a batch in parts, which an executor's workers record; results are added in order."""

    how = "spread"
    remark = ""

    def __init__(self, model: Module, loss: Loss, executor: Executor, parts: int) -> None:
        import hashlib

        self.executor = executor
        self.parts = parts
        self.task = _pickled((model, loss))
        self.key = hashlib.sha256(self.task).hexdigest()

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        """Return the sums. An error in a worker, or its death, is the cause of a Failure."""
        numbers = [p.data for p in parameters]
        size = math.ceil(len(xs) / self.parts)
        futures = []
        try:
            for i in range(0, len(xs), size):
                xs_part, ys_part = list(xs[i : i + size]), list(ys[i : i + size])
                futures.append(self.executor.submit(_part, self.key, self.task, numbers, xs_part, ys_part))
            results = [future.result() for future in futures]
        except BaseException as error:
            for future in futures:
                future.cancel()
            if isinstance(error, Exception):
                raise Failure(f"a worker failed: {error!r}") from error
            raise
        loss, gradient = 0.0, [0.0] * len(numbers)
        for result in results:
            loss += result.loss
            gradient = [a + b for a, b in zip(gradient, result.gradient, strict=True)]
        return Sums(loss, gradient, [output for result in results for output in result.outputs])


_unpacked = threading.local()  # a thread of its own each: workers may be threads, and must not share grads


def _part(key: str, task: bytes, numbers: list[float], xs: list[Sample], ys: list[Target]) -> Sums:
    """Compute the sums of a part in a worker, which caches the network until another one comes."""
    if getattr(_unpacked, "key", None) != key:
        import pickle

        _unpacked.sums = RecordedSums(*pickle.loads(task))
        _unpacked.key = key
    sums: RecordedSums = _unpacked.sums
    parameters = sums.model.parameters()
    for p, x in zip(parameters, numbers, strict=True):
        p.data = x
    return sums.loss_and_gradients(parameters, xs, ys)


def _pickled(task: Any) -> bytes:
    """Pickle the task; with cloudpickle, where installed, definitions of a notebook or a script are included."""
    pickler = importlib.import_module("cloudpickle" if importlib.util.find_spec("cloudpickle") else "pickle")
    try:
        return bytes(pickler.dumps(task))
    except Exception as error:
        hint = "define its functions in a module by def, or install cloudpickle, which takes any"
        raise TypeError(f"the network and its loss cannot be sent to workers ({error}): {hint}") from error
