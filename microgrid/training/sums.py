"""Sums over the samples of a batch: the interface between training and differentiation.

The loop knows the protocol `Summation` only. Recording with `backward()` is here; compiled code and an executor's
workers are one more class each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from microgrid.core.scope import no_grad, recording
from microgrid.engine import Value, newest
from microgrid.graph.anomaly import detect_anomaly
from microgrid.losses import Loss, binary_cross_entropy, flat
from microgrid.nn.module import Module, evaluating
from microgrid.training.samples import Sample, Target, values_of

Numbers = Any
"""A list of floats, or an array of one axis."""

Outputs = Any
"""Numbers for each sample: a list of lists, or an array with a row for each."""


class Sums(NamedTuple):
    """Sums over the samples of a batch: the losses and their gradient; and the outputs for each sample."""

    loss: float
    gradient: Numbers
    outputs: Outputs


class Summation(Protocol):
    """A way to compute sums over samples; the caller takes the mean."""

    @property
    def how(self) -> str:
        """One line on how and why sums are computed this way: `history.how`."""
        ...

    @property
    def remark(self) -> str:
        """The line above the progress bar after the first epoch; "" for none."""
        ...

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        """Return the sums at the present numbers of these parameters, all parameters of the model in their order.

        It may write to `grad`, and to no `data`. Raises Failure when the computation itself failed.
        """
        ...


class Failure(RuntimeError):
    """Sums could not be computed, through no fault of the loss: a run may resume from its last whole epoch."""


class RecordedSums:
    """Sums by recording: one sample after the other, each with its backward pass, in the memory of one sample."""

    remark = ""

    def __init__(self, model: Module, loss: Loss, how: str = "recorded") -> None:
        self.model = model
        self.loss = loss
        self.how = how

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        """Return the sums, which are left in the parameters' `grad`, too."""
        for p in parameters:
            p.grad = 0.0
        total, outputs = 0.0, []
        with recording():
            for x, y in zip(xs, ys, strict=True):
                output = self.model(values_of(x))
                loss = self.loss(output, y)
                if not isinstance(loss, Value):
                    raise TypeError(f"the loss of a sample must be a Value, got {loss!r}: does it use the outputs?")
                loss.backward()
                total += loss.data
                outputs.append(numbers_of(output))
        return Sums(total, [p.grad for p in parameters], outputs)


def divided(numbers: Numbers, count: int) -> list[float]:
    """Return each number divided by a count."""
    return [x / count for x in numbers] if isinstance(numbers, list) else (numbers / count).tolist()


def together(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of batches as those of all their samples, in order."""
    if len(parts) == 1:
        return parts[0]
    return [row for part in parts for row in (part if isinstance(part, list) else part.tolist())]


def numbers_of(output: Any) -> list[Any]:
    """Return the outputs of a network, one value or several, as floats in the same lists."""
    if isinstance(output, Value):
        return [output.data]
    return [v.data if isinstance(v, Value) else numbers_of(v) if isinstance(v, list) else v for v in output]


def outputs_of(model: Module, xs: Sequence[Sample]) -> list[list[Any]]:
    """Return the outputs for each sample, in evaluation and without recording."""
    with no_grad(), evaluating(model):
        return [numbers_of(model(values_of(x))) for x in xs]


def operations_of(model: Module, x: Sample) -> int:
    """Return the number of nodes that a sample records, in evaluation: a convolution has more of them than weights.

    Three for each output are those of a loss, as a square and a softmax have them: it is not called, since it may draw.
    """
    with recording(), evaluating(model):
        first = newest()
        outputs = flat(model(values_of(x)))
        return newest() - first + 3 * len(outputs)


def loss_and_outputs(
    model: Module, loss: Loss, xs: Sequence[Sample], ys: Sequence[Target]
) -> tuple[float, list[list[float]]]:
    """Return the sum of the losses, and the outputs for each sample, in evaluation and without recording."""
    total, outputs = 0.0, []
    with no_grad(), evaluating(model):
        for x, y in zip(xs, ys, strict=True):
            output = model(values_of(x))
            total += loss(output, y).data
            outputs.append(numbers_of(output))
    return total, outputs


def birth_of_nan(
    model: Module, loss: Loss, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target], names: Any
) -> str:
    """Return the first operation in a batch that is not finite, as `detect_anomaly` reports it, with its sample."""
    for name, p in zip((name for name, _ in model.named_parameters()), parameters, strict=True):
        if not math.isfinite(p.data):
            return (
                f"the step before made the parameter {name} {p.data}: a smaller learning rate, or clip_norm, may help"
            )
    sums = RecordedSums(model, loss)
    for name, x, y in zip(names, xs, ys, strict=True):
        alone = sums.loss_and_gradients(parameters, [x], [y])
        if math.isfinite(alone.loss) and all(map(math.isfinite, alone.gradient)):
            continue  # an intermediate infinity without effect on the result is not the cause
        try:
            with recording(), detect_anomaly():
                sums.loss_and_gradients(parameters, [x], [y])
        except FloatingPointError as error:
            hint = ""
            if loss is binary_cross_entropy and "xlogy" in str(error):
                hint = (
                    "; binary_cross_entropy takes probabilities: end the network in a sigmoid, or take "
                    "'binary_cross_entropy_with_logits'"
                )
            return f"{name}: {error}{hint}"
    return "each sample by itself is finite: their sum, or the penalty, is not"
