"""`Objective`: the function that `fit` minimises, and its computation by recording or compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from microgrid.core.scope import recording
from microgrid.engine import Value
from microgrid.losses import Loss, kind_of, loss_named
from microgrid.nn.module import Module
from microgrid.training.compiled_sums import CompiledSums, why_not
from microgrid.training.samples import Samples
from microgrid.training.sums import RecordedSums, Summation, operations_of

Penalty = Callable[[Sequence[Value]], Any]


class Objective:
    """The mean or the sum of a loss over the samples of a batch, and a penalty on the parameters.

    `loss` is a name of `microgrid.losses`, or a function of the outputs and the target of one sample. `reduction` is
    "mean" or "sum"; `penalty(parameters)` is added to it.

    `compile` runs the batches in machine code (`microgrid.compile`), with the same numbers to rounding: "auto" does so
    where llvmlite is installed, there is enough to compute, and the loss can be traced. True raises where it cannot be
    done. A subclass whose `summation` gives something else computes the sums in another way, as `Spread` does.

    >>> from microgrid import fit, losses, nn
    >>> small = Objective("mse", penalty=lambda parameters: losses.l2(parameters, 0.1), compile=False)
    >>> fit(nn.Neuron(1, nonlin=False, seed=0), [0, 1, 2], [1, 3, 5], loss=small, optimizer="sgd", lr=0.3)
    History of 100 epochs: loss 6.535 -> 0.477
    """

    def __init__(
        self,
        loss: str | Loss,
        *,
        reduction: Literal["mean", "sum"] = "mean",
        penalty: Penalty | None = None,
        compile: Literal["auto"] | bool = "auto",
    ) -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
        if compile not in ("auto", True, False):
            raise ValueError(f'compile must be "auto", True or False, got {compile!r}')
        self.loss = loss_named(loss)
        self.mean = reduction == "mean"
        self.penalty = penalty
        self.compile = compile

    def summation(self, model: Module, samples: Samples, *, outputs: bool) -> Summation:
        """Choose the way to compute sums of losses over batches of these samples, with outputs if asked for."""
        why_recorded = "" if self.compile else "compile=False"
        if self.compile == "auto":
            operations = operations_of(model, max(samples.xs, key=len))
            why_recorded = why_not(samples.batch_size * operations, len(samples.xs) * operations)
        if why_recorded:
            return RecordedSums(model, self.loss, f"recorded, since {why_recorded}")
        examples = samples.of_each_target() if kind_of(self.loss).targets == "any" else ([], [])
        return CompiledSums(
            model, self.loss, outputs=outputs, strict=self.compile is True, examples=examples, longest=samples.longest
        )

    def added(self, parameters: Sequence[Value]) -> Value | None:
        """Return the recorded penalty. Raises TypeError if it is no Value."""
        if self.penalty is None:
            return None
        with recording():
            value = self.penalty(parameters)
        if not isinstance(value, Value):
            raise TypeError(f"the penalty must be a Value, got {value!r}: does it use the parameters?")
        return value

    def settings(self) -> dict[str, Any]:
        """Return the settings that a run must have in common with the one that it resumes."""
        name = getattr(self.loss, "__name__", type(self.loss).__name__)
        return {"loss": name, "reduction": "mean" if self.mean else "sum"}

    def hyperparameters(self, parameters: Sequence[Value]) -> dict[str, Any]:
        """Return the settings that may change on resuming, but not unnoticed; a penalty is judged at fixed numbers."""
        if self.penalty is None:
            return {}
        numbers = [p.data for p in parameters]
        try:
            for i, p in enumerate(parameters):
                p.data = 1.0 + (i % 7) / 8.0
            penalty = self.added(parameters)
            assert penalty is not None
            return {"penalty of fixed numbers": f"{penalty.data:.10g}"}
        finally:
            for p, x in zip(parameters, numbers, strict=True):
                p.data = x
