"""`Compiled`: a function of scalars, traced at its first call, that runs as machine code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.compiler import arguments
from microgrid.compiler.arguments import Arguments
from microgrid.compiler.gradient import Request
from microgrid.compiler.made import Kept, Shown
from microgrid.compiler.plan import Options, Plan
from microgrid.compiler.tracing import traced
from microgrid.core import tree
from microgrid.program import argument_names


class Compiled(Shown):
    """A compiled function. Call it as the original one; numbers and nested lists of numbers give floats.

    The first call with a new structure traces and compiles. Structure is how lists nest and how long they are, and what
    stands for itself: whole numbers, strings and None as arguments, and what stands under the free and global names in
    the function, in those that it calls by name, and in the methods of objects there. Values that it finds outside are
    read at each call. A changed default argument, and a changed attribute that the code takes by name of a class or of
    a module of your own (`config.rate`), compile anew; anything else that an object outside holds, in a list, a
    dictionary or an attribute (`self.rate`, also where the class has it), counts as it was when it was traced.
    """

    __name__: str
    _nothing = "call the function first, with arguments of the right structure"

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._options = options
        self._plans: Kept[tuple[Plan, Any]] = Kept(lambda: [function])
        self._last: Plan | None = None

    def __call__(self, *args: Any) -> Any:
        """Return the result of the function, with floats for Values.

        When an argument is or holds a Value, the function itself runs and records, so that derivatives, `trace`,
        `check_gradient` and `steps` go through the call.
        """
        try:
            given = arguments.single(args, arguments.no_value)
        except arguments.HoldsValue:
            return self._function(*args)
        plan, structure = self._plan("value", given)
        values, _ = self._run(plan, given)
        return tree.unflatten(structure, values)

    def value_and_grad(self, *args: Any) -> tuple[float, Any]:
        """Return the value, and its derivatives by the arguments that are not static: one structure, or a tuple of
        them."""
        given = arguments.single(args)
        plan, _ = self._plan("gradient", given)
        values, _ = self._run(plan, given)
        return values[0], _one_or_all(given.derivatives(None, values[1:]))

    def gradient(self, *args: Any) -> Any:
        """Return the derivatives alone."""
        return self.value_and_grad(*args)[1]

    def batch(self, *args: Any, in_axes: int | Sequence[int | None] | None = 0) -> Any:
        """Return the results for all samples as arrays. Arguments have a row for each; those whose axis is None are
        shared.

        `in_axes` has 0 or None for each argument, or one for all.
        """
        given = arguments.batch(args, _axes(in_axes, len(args)))
        plan, structure = self._plan("batch", given)
        values, _ = self._run(plan, given)
        return tree.unflatten(structure, values.T)

    def batch_value_and_grad(self, *args: Any, in_axes: int | Sequence[int | None] | None = 0) -> tuple[Any, Any]:
        """Return the values for all samples, and the derivatives of their sum by the arguments that are not static.

        So an argument with a row for each sample gets each sample's derivatives, a shared one their sum.
        """
        given = arguments.batch(args, _axes(in_axes, len(args)))
        plan, _ = self._plan("batch gradient", given)
        values, sums = self._run(plan, given)
        return values[:, 0].copy(), _one_or_all(given.derivatives(values[:, 1:], sums.tolist()))

    def _run(self, plan: Plan, given: Arguments) -> tuple[Any, Any]:
        np = plan.numpy
        outside = [value.item() for value in plan.traced.captured]
        if given.samples < 0:
            row = np.array([given.numbers])
            values, sums = plan.run([row], np.array(outside), 1)
            return values[0].tolist() if plan.outputs else [], sums
        return plan.run(given.arrays, np.array(given.numbers + outside), given.samples)

    def _plan(self, purpose: str, given: Arguments) -> tuple[Plan, Any]:
        """Return the plan for these arguments, and the structure of the function's result."""
        found = self._plans.get((purpose, *given.key), lambda: self._compiled(purpose, given))
        self._last = found[0]
        return found

    def _compiled(self, purpose: str, given: Arguments) -> tuple[Plan, Any]:
        differentiated = "gradient" in purpose
        if differentiated and not given.differentiable:
            raise TypeError("there is no number to differentiate by: whole numbers are static, write 2.0 for 2")
        example = given.example()
        names = argument_names(self._function, len(example))
        record = traced(self._function, dict(zip(names, example, strict=True)))
        count = len(record.program.inputs) - len(record.captured)
        shared = (*given.shared, *[True] * len(record.captured))
        request = Request(shared, tuple(range(count)) if differentiated else ())
        columns = None if given.samples < 0 else [array.shape[1] for array in given.arrays]
        return Plan(record, request, columns, self._options), record.program.out_structure


def _one_or_all(derivatives: list[Any]) -> Any:
    return derivatives[0] if len(derivatives) == 1 else tuple(derivatives)


def _axes(in_axes: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    axes = [in_axes] * count if in_axes is None or isinstance(in_axes, int) else list(in_axes)
    if len(axes) != count or any(axis not in (0, None) or isinstance(axis, bool) for axis in axes):
        raise ValueError(f"in_axes has 0 or None for each of the {count} argument(s), got {in_axes!r}")
    return axes
