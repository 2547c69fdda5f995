"""Sums in machine code: a batch's loss and gradients by `microgrid.compile`, watched by recording."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from microgrid.compiler.compile import compile as in_machine_code
from microgrid.core.packages import install
from microgrid.engine import Value, data_of, give_data
from microgrid.losses import IGNORED, Loss, kind_of
from microgrid.nn.module import Module, drawing, evaluating
from microgrid.training.samples import Sample, Target, shape_of
from microgrid.training.sums import Outputs, RecordedSums, Sums, loss_and_outputs, outputs_of

if TYPE_CHECKING:
    from microgrid.compiler.training import CompiledLoss

ENOUGH = 20_000
"""Minimum of recorded operations in a batch for which `compile="auto"` compiles: below, recording ends before LLVM has
begun."""

ENOUGH_BY_EPOCH = 500_000
"""The same of all samples, however small the batches: recording them once takes about as long as LLVM does."""

CHANGES = 4
"""Number of recompilations, caused by changes in captured names or objects, after which recording takes over."""

WATCHED = 4
"""Number of samples that are also recorded in batches 1, 2, 4, 8, ..."""


def why_not(operations: int, by_epoch: int) -> str:
    """Return the reason for not compiling by default, given operations of a batch and of an epoch; "" if there is
    none."""
    if importlib.util.find_spec("llvmlite") is None or importlib.util.find_spec("numpy") is None:
        return f"llvmlite is not installed: {install('compile')}"
    return "" if operations >= ENOUGH or by_epoch >= ENOUGH_BY_EPOCH else "there is little to compute"


class NotTheSame(RuntimeError):
    """Compiled code and recording disagree: the model draws at random or has changed, or a target was looked up."""


class CompiledSums:
    """Sums over a batch by compiled code; by recording where compilation fails. `how` says which, and why.

    Compiled code repeats what was traced. A model that draws random numbers, or a loss that looks targets up in a
    table, differs from it; therefore some samples are recorded as well, at first the examples, too. Where the two
    differ in the first two batches, recording takes over; later, NotTheSame is raised. `strict` raises any error of the
    compilation.

    Samples of one shape are computed together. Those of a model with `padding`, whose targets are classes of each step,
    are continued with it up to the `longest` before, and their targets with IGNORED.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        *,
        outputs: bool,
        strict: bool,
        examples: tuple[Sequence[Sample], Sequence[Target]] = ((), ()),
        longest: int = 0,
    ) -> None:
        self.recorded = RecordedSums(model, loss)
        self.how = "compiled"
        self._outputs = outputs
        self._strict = strict
        self._examples = examples
        self._calls = 0
        self._code: CompiledLoss | None = None
        self._made = 0
        """Number of compilations of codes before this one."""
        self._seen: set[Any] = set()
        """Shapes of samples and targets, each of which is compiled once."""
        self._changes = 0
        """Number of compilations that no new shape explains, since numbers have changed."""
        self._objects: list[Any] = []
        self._numbers: list[Any] = []
        self._evaluates, self._evaluated = True, False
        self._batches: list[tuple[Any, Any, list[_Group]]] = []
        """The last batch, and that of the validation."""
        self._padding: float | None = None
        self._drawing = drawing(model)
        if kind_of(loss).targets == "classes" and not self._drawing:  # steps that are added would draw, too
            self._padding = getattr(model, "padding", None)
        self._longest = longest
        self._array: Any = None
        self._shapes: dict[Any, Any] = {}
        """Shape of the outputs for each shape of a sample."""

    @property
    def remark(self) -> str:
        """The text of `how`, since it may be news to the user."""
        return self.how

    def begin(self, parameters: Sequence[Value]) -> Any:
        """Return an array of the parameters' numbers, which stands for their `data` until `end()`; None if recorded."""
        if self.how == "compiled":
            import numpy as np

            self._array = np.array(data_of(list(parameters)))
        return self._array

    def end(self) -> None:
        """Take the numbers of the parameters from their `data` again."""
        self._array = None

    def loss_and_outputs(self, xs: Sequence[Sample], ys: Sequence[Target]) -> tuple[float, Outputs] | None:
        """Return the sum of the losses and the outputs in evaluation, as `sums.loss_and_outputs`; None if recorded.

        In the first call, some samples are recorded as well, and recording takes over where the two differ: a module
        may do something else in evaluation.
        """
        if self.how != "compiled" or self._code is None or not self._evaluates:
            return None
        model, loss = self.recorded.model, self.recorded.loss
        try:
            with evaluating(model):
                sums = self._computed(xs, ys)
                if not self._evaluated:
                    some = xs[:WATCHED], ys[:WATCHED]
                    ours, theirs = self._computed(*some).loss, loss_and_outputs(model, loss, *some)[0]
                    self._evaluates = math.isclose(ours, theirs, rel_tol=1e-6) or (ours != ours and theirs != theirs)
                    self._evaluated = True
        except Exception:  # recording gives the same error, if it is one, with its place
            self._evaluates = False
        return (sums.loss, sums.outputs) if self._evaluates else None

    def _recorded(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        if self._array is not None:
            give_data(list(parameters), self._array.tolist())
        return self.recorded.loss_and_gradients(parameters, xs, ys)

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        """Return the sums, as `RecordedSums` does, to rounding."""
        if self.how != "compiled":
            return self._recorded(parameters, xs, ys)
        if self._code is not None and self._numbers != [_numbers_in(x) for x in self._objects]:
            self._made += self._code.compilations
            self._changes += 1
            self._code = None
            self._seen.clear()
        made = self._compilations
        watching = self._calls & (self._calls + 1) == 0
        if self._changes >= CHANGES and not self._strict:
            self.how = "compiled, then recorded, since numbers that the loss finds outside keep changing"
            return self._recorded(parameters, xs, ys)
        self._calls += 1
        before = [module.state for module in self._drawing]
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
            self._restore(before)
            return self._recorded(parameters, xs, ys)
        # Otherwise nothing of the user has run.
        if watching or self._code is None or self._compilations != made:
            self._remember(made)
        return sums

    @property
    def _compilations(self) -> int:
        return self._made + (self._code.compilations if self._code is not None else 0)

    def _remember(self, made: int) -> None:
        """Return the numbers in objects that the code depends on: they may change before the next batch."""
        if self._compilations != made:
            from microgrid.compiler.outside import Outside  # it loads Python's build settings

            model, loss = self.recorded.model, self.recorded.loss
            own = [x for x in model.modules() if not type(x).__module__.startswith("microgrid.")]
            self._objects = [loss, getattr(loss, "__self__", None), *own, *Outside([loss, *model.modules()]).held()]
        self._numbers = [_numbers_in(x) for x in self._objects]

    def _computed(self, xs: Sequence[Sample], ys: Sequence[Target]) -> Sums:
        if self._code is None:
            self._code = in_machine_code(self.recorded.loss, self.recorded.model)
        code = self._code
        if self._array is None:
            code.read()
        else:
            code.parameters = self._array
        groups = self._groups(xs, ys)
        loss, sums = 0.0, None
        outputs: Outputs = [] if len(groups) == 1 else [None] * len(xs)
        for group in groups:
            count, made = len(group.places), code.compilations
            if self._outputs:
                mean, gradient, told = code.with_outputs(group.x, group.y)
                rows = xs if len(groups) == 1 else [xs[i] for i in group.places]
                shaped = self._shaped(told, rows, group.x.shape[1])
                if len(groups) == 1:
                    outputs = shaped
                else:
                    for i, output in zip(group.places, shaped, strict=True):
                        outputs[i] = output if isinstance(output, list) else output.tolist()
            else:
                mean, gradient = code(group.x, group.y)
            shapes = group.x.shape[1:], group.y.shape[1:], self.recorded.model.training
            self._changes += code.compilations - made - (shapes not in self._seen)
            self._seen.add(shapes)
            loss, sums = (
                (mean * count, gradient * count) if sums is None else (loss + mean * count, sums + gradient * count)
            )
        return Sums(loss, sums, outputs)

    def _groups(self, xs: Sequence[Sample], ys: Sequence[Target]) -> list[_Group]:
        """Return the batch as arrays, cached: where all samples are one batch, it comes again and again."""
        for known in self._batches:
            if known[0] is xs and known[1] is ys:
                return known[2]
        import numpy as np

        places: dict[Any, list[int]] = {}
        run, last = 0, None
        padded = [self._padded(x, y) for x, y in zip(xs, ys, strict=True)]
        for i, (x, y) in enumerate(padded):
            shape = shape_of(x), shape_of(y) if isinstance(y, list) else ()
            if self._drawing and shape != last:  # samples draw in their order
                run += 1
            last = shape
            places.setdefault((run, *shape), []).append(i)
        groups = [
            _Group(of_one, *[np.array([padded[i][k] for i in of_one], dtype=float) for k in (0, 1)])
            for of_one in places.values()
        ]
        self._batches = [*self._batches[-1:], (xs, ys, groups)]
        return groups

    def _padded(self, x: Sample, y: Target) -> tuple[Sample, Target]:
        """Return a sequence that is continued without effect, and its targets."""
        missing = self._longest - len(x)
        if self._padding is None or missing <= 0 or not isinstance(y, list) or len(y) != len(x):
            return x, y
        return [*x, *[_filled(x[0], self._padding)] * missing], [*y, *[IGNORED] * missing]

    def _shaped(self, outputs: Any, xs: Sequence[Sample], length: int) -> Outputs:
        """Return the outputs in the lists in which the model gives them, as they are where that is one."""
        shape = shape_of(xs[0])
        if shape not in self._shapes:
            self._shapes[shape] = shape_of(outputs_of(self.recorded.model, xs[:1])[0])
        inner = self._shapes[shape][1:]
        if not inner:
            return outputs
        nested = outputs.reshape((len(xs), -1, *inner)).tolist()
        return [output[: len(output) - (length - len(x))] for x, output in zip(xs, nested, strict=True)]

    def _restore(self, states: Sequence[Any]) -> None:
        for module, state in zip(self._drawing, states, strict=True):
            module.state = state

    def _watch(self, parameters: Sequence[Value], xs: Sequence[Sample], ys: Sequence[Target]) -> None:
        """Compare with recording on these samples. Raises NotTheSame where they differ."""
        states = [module.state for module in self._drawing]
        ours = self._computed(xs, ys)
        self._restore(states)
        theirs = self._recorded(parameters, xs, ys)
        self._restore(states)
        size = max([abs(g) for g in theirs.gradient if math.isfinite(g)], default=0.0) + abs(theirs.loss)
        for a, b in zip([ours.loss, *ours.gradient], [theirs.loss, *theirs.gradient], strict=True):
            if not (abs(a - b) <= 1e-6 * size or a == b or (math.isnan(a) and math.isnan(b))):
                raise NotTheSame(
                    f"compiled code gives {a:.6g} where recording gives {b:.6g}: does the model draw at random, "
                    "use an object's number that changes, or does the loss look a target up? Train it with "
                    "loss=Objective(..., compile=False)"
                )


class _Group(NamedTuple):
    """Places of samples of one shape in a batch, and arrays of them and of their targets."""

    places: list[int]
    x: Any
    y: Any


def _filled(x: Any, number: float) -> Any:
    return [_filled(item, number) for item in x] if isinstance(x, list) else number


def _numbers_in(x: Any) -> list[tuple[Any, Any]]:
    """Return the numbers and strings in a list or a dict, or in the attributes of any other object."""
    if isinstance(x, (list, tuple)):
        return [(i, item) for i, item in enumerate(x) if isinstance(item, (int, float, str))]
    held = x if isinstance(x, dict) else getattr(x, "__dict__", {})
    return [(key, item) for key, item in held.items() if isinstance(item, (int, float, str))]
