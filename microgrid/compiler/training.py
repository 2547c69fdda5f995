"""`compile(loss, model)`: the mean loss of a model over a batch, and its gradients, by a flat array of parameters."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from microgrid.compiler.gradient import Request
from microgrid.compiler.made import Kept, Shown
from microgrid.compiler.plan import Options, Plan
from microgrid.compiler.stages import told
from microgrid.compiler.tracing import traced, without_collection
from microgrid.core.packages import library
from microgrid.core.scope import no_grad
from microgrid.engine import Value, data_of, give_data
from microgrid.graph.dependence import Dependence
from microgrid.nn import Module
from microgrid.nn.dropout import supplied
from microgrid.nn.module import drawing
from microgrid.numbers.arrays import array_of_floats


class CompiledLoss(Shown):
    """Compiled mean over samples of loss(model(x), y), with its gradients.

    `parameters` is an array of the numbers of `model.parameters()`, in their order, which calls read. Change it in
    place; `write()` copies it to the model, `read()` copies from the model.

    A change of a free or global name in the loss or in a method of the model recompiles, and so does its mode, training
    or evaluation; `compilations` counts. The contents of objects, those of the model included, are frozen at trace
    time. A `Dropout` in training draws for each sample of each call, as it does when recorded.

    >>> from microgrid import compile, nn
    >>> step = compile(lambda out, y: (out - y) ** 2, nn.MLP(2, [3, 1]))
    >>> loss, gradient = step([[0.0, 1.0], [1.0, 1.0]], [1.0, 2.0])
    >>> step.parameters -= 0.1 * gradient
    """

    _nothing = "call it first, with arrays x and y"

    def __init__(self, loss: Callable[..., Any], model: Module, options: Options) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"compile(loss, model) takes a module of microgrid.nn, got {type(model).__name__}")
        self._numpy = library("numpy", "compile")
        self.loss = loss
        self.model = model
        self._options = options
        self._values = model.parameters()
        self._plans: Kept[Plan] = Kept(lambda: [loss, *model.modules()])
        self._outside = self._plans.outside
        self._recent: tuple[Any, Any, Plan, bool] | None = None
        """The shapes and modes of the last call, the captured names, the plan, and if x, y and parameters are all."""
        self._modal = [m for m in model.modules() if m.modal or not type(m).__module__.startswith("microgrid.")]
        self._drawing = drawing(model)
        self._shape = (len(self._values),)
        self._pack = struct.Struct(f"{len(self._values)}d").pack_into
        self._kinds = self._numpy.ndarray, self._numpy.dtype(float)
        self.read()

    @property
    def compilations(self) -> int:
        """Number of compilations so far."""
        return self._plans.made

    def read(self) -> None:
        """Copy the numbers of the model's parameters into `parameters`."""
        self.parameters = self._numpy.empty(self._shape)
        self._pack(self.parameters, 0, *data_of(self._values))  # a third of the time of `numpy.array`

    def write(self) -> None:
        """Copy `parameters` into the model's parameters."""
        give_data(self._values, self.parameters.tolist())

    def __call__(self, x: Any, y: Any) -> tuple[float, Any]:
        """Return the mean loss over the rows of x and y, and its derivatives by the parameters, an array.

        A row of x is the argument of the model; a row of y is the target for the loss: a number, or a list where the
        array has more axes.
        """
        _, sums = self._run(x, y, outputs=False)
        return sums.item(-1), sums[:-1]

    def with_outputs(self, x: Any, y: Any) -> tuple[float, Any, Any]:
        """Return the mean loss, its derivatives, and the model's outputs, a row for each sample."""
        outputs, sums = self._run(x, y, outputs=True)
        return sums.item(-1), sums[:-1], outputs

    def _run(self, x: Any, y: Any, *, outputs: bool) -> tuple[Any, Any]:
        # Arrays of floats in C order are taken as they are; to ask here saves a quarter of the time of a small step.
        array, floats = self._kinds
        if type(x) is not array or x.dtype is not floats or not x.flags.c_contiguous or not x.ndim:
            x = _rows(x, "x")
        if type(y) is not array or y.dtype is not floats or not y.flags.c_contiguous or not y.ndim:
            y = _rows(y, "y")
        samples = x.shape[0]
        asked: tuple[Any, ...] = (outputs, x.shape, y.shape)
        if self._modal:
            asked += tuple([module.training for module in self._modal])
        recent = self._recent  # read once, for other threads
        if recent is not None and recent[0] == asked and recent[1] is self._outside():
            _, _, plan, alone = recent
        else:
            if y.shape[0] != samples or not samples:
                raise ValueError(
                    f"a batch has a row of x and of y for each sample, and at least one: got {samples} and {y.shape[0]}"
                )
            kind = (outputs, x.shape[1:], y.shape[1:], *asked[3:])
            plan = self._plans.get(kind, lambda: self._compiled(x, y, outputs)).fitting(samples)
            alone = len(plan.traced.captured) <= len(self._values) and not plan.traced.drawn
            self._recent = asked, self._outside(), plan, alone
            self._plans.last = plan
        flat = self.parameters
        if type(flat) is not array or flat.dtype is not floats or not flat.flags.c_contiguous:
            flat = array_of_floats(flat)
        if flat.shape != self._shape:
            raise ValueError(f"parameters has shape {flat.shape}, and the model {len(self._values)} parameters")
        given: tuple[Any, ...] = x, y
        if not alone:
            captured, drawn = plan.traced.captured, plan.traced.drawn
            outside = [value.item() for value in captured[len(self._values) :]]
            flat = plan.numpy.concatenate([flat, outside])
            if drawn:
                given += (plan.numpy.array([[module.factor() for module in drawn] for _ in range(samples)]),)
        return plan.run(given, flat, samples, 1.0 / samples)

    def _compiled(self, x: Any, y: Any, outputs: bool) -> Plan:
        drawn = self._drawn(x[0].tolist())

        def loss_of(x: Any, y: Any, factors: Any = ()) -> Any:
            supply = iter(factors)
            with supplied(lambda module: next(supply)) if drawn else nullcontext():
                output = self.model(x)
            loss = self.loss(output, y)
            return [loss, output] if outputs else loss

        name = getattr(self.loss, "__name__", type(self.loss).__name__)
        arguments = {"x": x[0].tolist(), "y": y[0].tolist()}
        columns = [x[0].size, y[0].size]
        if drawn:
            arguments["factors"] = [1.0] * len(drawn)
            columns.append(len(drawn))
        with told(name), without_collection():
            strict = self._options.strict
            # A step that draws factors draws others in each iteration.
            record = traced(loss_of, arguments, self._values, name, strict=strict, loops=not drawn)
            record = record._replace(drawn=tuple(drawn))
            structure = record.program.out_structure
            if (structure[0] if outputs else structure) != 0:
                raise TypeError(f"{name} must return one number for a sample, got several: return their sum or mean")
            depends = Dependence(self._values)
            for value in record.captured[len(self._values) :]:
                if value in depends:
                    raise TypeError(
                        f"{name} uses {value.label or 'a value'}, computed from the model's parameters before: its "
                        "gradient would be lost, so compute it within the loss"
                    )
            first = sum(columns)
            shared = (*[False] * first, *[True] * len(record.captured))
            by = tuple(range(first, first + len(self._values)))
            return Plan(record, Request(shared, by, total=True), columns, self._options, len(x))

    def _drawn(self, x: Any) -> list[Any]:
        """Return the module that draws each factor for a sample, in order."""
        drawn: list[Any] = []
        if any(module.training for module in self._drawing):

            def one(module: Any) -> float:
                drawn.append(module)
                return 1.0

            with no_grad(), supplied(one):
                self.model(_values(x))
        return drawn


def _values(x: Any) -> Any:
    return [_values(item) for item in x] if isinstance(x, list) else Value(x)


def _rows(array: Any, name: str) -> Any:
    """Return an array of floats with a row for each sample."""
    try:
        rows = array_of_floats(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must be an array of numbers with a row for each sample: {error}") from None
    if not rows.ndim:
        raise TypeError(f"{name} is one number: it must be an array with a row for each sample")
    return rows
