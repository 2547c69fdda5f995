"""Sums in machine code: a batch's loss and gradients by `microgrid.compile`, watched by recording."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from microgrid.compiler.compile import compile as in_machine_code
from microgrid.engine import Value
from microgrid.losses import Loss, kind_of
from microgrid.nn.module import Module
from microgrid.training.samples import Sample, Target
from microgrid.training.sums import Outputs, RecordedSums, Sums, outputs_of

if TYPE_CHECKING:
    from microgrid.compiler.training import CompiledLoss

ENOUGH = 20_000
"""Minimum of samples x parameters for which `compile="auto"` compiles: below, recording ends before LLVM has begun."""

CHANGES = 4
"""Number of recompilations, caused by changes in captured names or objects, after which recording takes over."""

WATCHED = 4
"""Number of samples that are also recorded in batches 1, 2, 4, 8, ..."""


def why_not(samples: int, parameters: int) -> str:
    """Return the reason for not compiling by default; "" if there is none."""
    if importlib.util.find_spec("llvmlite") is None or importlib.util.find_spec("numpy") is None:
        return "llvmlite is not installed: pip install 'microgrid[compile]'"
    return "" if samples * parameters >= ENOUGH else "there is little to compute"


class NotTheSame(RuntimeError):
    """Compiled code and recording disagree: the model draws at random or has changed, or a target was looked up."""


class CompiledSums:
    """Sums over a batch by compiled code; by recording where compilation fails. `how` says which, and why.

    Compiled code repeats what was traced. A model that draws random numbers, or a loss that looks targets up in a
    table, differs from it; therefore some samples are recorded as well, at first the examples, too. Where the two
    differ in the first two batches, recording takes over; later, NotTheSame is raised. `strict` raises any error of the
    compilation.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        *,
        outputs: bool,
        strict: bool,
        examples: tuple[Sequence[Sample], Sequence[Target]] = ((), ()),
    ) -> None:
        self.recorded = RecordedSums(model, loss)
        self.how = "compiled"
        self._outputs = outputs
        self._strict = strict
        self._examples = examples
        self._calls = 0
        self._code: CompiledLoss | None = None
        self._made = 0
        self._objects: list[Any] = []
        self._numbers: list[Any] = []
        self._batch: tuple[Any, Any, Any, Any] = (None, None, None, None)
        self._classes = kind_of(loss).targets == "classes"
        self._width = 0

    @property
    def remark(self) -> str:
        """The text of `how`, since it may be news to the user."""
        return self.how

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        """Return the sums, as `RecordedSums` does, to rounding."""
        if self.how != "compiled":
            return self.recorded.loss_and_gradients(parameters, xs, ys)
        if self._code is not None and self._numbers != [_numbers_in(x) for x in self._objects]:
            self._made += self._code.compilations
            self._code = None
        made = self._made + (self._code.compilations if self._code is not None else 0)
        watching = self._calls & (self._calls + 1) == 0
        if made > CHANGES and not self._strict:
            self.how = "compiled, then recorded, since numbers that the loss finds outside keep changing"
            return self.recorded.loss_and_gradients(parameters, xs, ys)
        self._calls += 1
        try:
            sums = self._computed(xs, ys)
            if watching:
                self._watch(parameters, xs[:WATCHED], ys[:WATCHED])
            if self._calls == 1 and self._examples[0]:
                self._watch(parameters, *self._examples)
        except Exception as error:
            if self._strict or (self._calls > 2 and isinstance(error, NotTheSame)):
                raise
            why = str(error) if isinstance(error, (TypeError, ValueError, ImportError, NotTheSame)) else repr(error)
            self.how = f"{'compiled, then ' if self._calls > 2 else ''}recorded, since {why}"
            return self.recorded.loss_and_gradients(parameters, xs, ys)
        # Otherwise nothing of the user has run.
        if watching or self._code is None or self._made + self._code.compilations != made:
            self._remember(made)
        return sums

    def _remember(self, made: int) -> None:
        """Return the numbers in objects that the code depends on: they may change before the next batch."""
        if self._code is not None and self._made + self._code.compilations != made:
            from microgrid.compiler.outside import Outside  # it loads Python's build settings

            model, loss = self.recorded.model, self.recorded.loss
            own = [x for x in model.modules() if not type(x).__module__.startswith("microgrid.")]
            self._objects = [loss, getattr(loss, "__self__", None), *own, *Outside([loss, *model.modules()]).held()]
        self._numbers = [_numbers_in(x) for x in self._objects]

    def _computed(self, xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        if self._code is None:
            model = self.recorded.model
            self._code = in_machine_code(self.recorded.loss, model)
            self._width = len(outputs_of(model, xs[:1])[0])
        self._code.read()
        x, y = self._arrays(xs, ys)
        outputs: Outputs = []
        if self._outputs:
            mean, gradient, outputs = self._code.with_outputs(x, y)
        else:
            mean, gradient = self._code(x, y)
        return Sums(mean * len(xs), gradient * len(xs), outputs)

    def _arrays(self, xs: Sequence[Sample], ys: Sequence[Target]) -> tuple[Any, Any]:
        """Return the batch as arrays, cached: where all samples are one batch, it comes again and again."""
        if self._batch[0] is not xs or self._batch[1] is not ys:
            import numpy as np

            listed = [self._target(y) for y in ys]
            if len({len(y) if isinstance(y, list) else 0 for y in listed}) > 1:
                raise TypeError("the targets differ in length")
            self._batch = xs, ys, np.array(xs, dtype=float), np.array(listed, dtype=float)
        return self._batch[2:]

    def _target(self, y: Target) -> Any:
        """Encode a class as a probability for each class: compiled code does not index."""
        if not self._classes or isinstance(y, list):
            return y
        if not 0 <= y < self._width or y != int(y):
            raise ValueError(f"label {y} is none of the classes 0 to {self._width - 1}")
        return [float(k == y) for k in range(self._width)]

    def _watch(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> None:
        """Compare with recording on these samples. Raises NotTheSame where they differ."""
        ours = self._computed(xs, ys)
        theirs = self.recorded.loss_and_gradients(parameters, xs, ys)
        size = max([abs(g) for g in theirs.gradient if math.isfinite(g)], default=0.0) + abs(theirs.loss)
        for a, b in zip([ours.loss, *ours.gradient], [theirs.loss, *theirs.gradient], strict=True):
            if not (abs(a - b) <= 1e-6 * size or a == b or (math.isnan(a) and math.isnan(b))):
                raise NotTheSame(
                    f"compiled code gives {a:.6g} where recording gives {b:.6g}: does the model draw at random, "
                    "use an object's number that changes, or does the loss look a target up? Train it with "
                    "loss=Objective(..., compile=False)"
                )


def _numbers_in(x: Any) -> list[tuple[Any, Any]]:
    """Return the numbers and strings in a list or a dict, or in the attributes of any other object."""
    if isinstance(x, (list, tuple)):
        return [(i, item) for i, item in enumerate(x) if isinstance(item, (int, float, str))]
    held = x if isinstance(x, dict) else getattr(x, "__dict__", {})
    return [(key, item) for key, item in held.items() if isinstance(item, (int, float, str))]
