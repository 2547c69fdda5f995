"""`Compiled`: a function of scalars and arrays, traced at its first call, that runs as machine code."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any

from microgrid.compiler import arguments
from microgrid.compiler.arguments import Arguments
from microgrid.compiler.attributes import names_read, state
from microgrid.compiler.bound import Bound, write
from microgrid.compiler.calls import Call, Entries, install
from microgrid.compiler.derived import TRACED, Derivative, shortened, value_and_grad
from microgrid.compiler.directional import KINDS, Directional, pays
from microgrid.compiler.gradient import Request
from microgrid.compiler.looped import Looped
from microgrid.compiler.made import Kept, Shown
from microgrid.compiler.methods import Method
from microgrid.compiler.parameters import Parameters
from microgrid.compiler.plan import Options, Plan
from microgrid.compiler.sparse import Sparse
from microgrid.compiler.stages import told
from microgrid.compiler.tracing import traced, without_collection
from microgrid.compiler.whole import whole_numbers
from microgrid.core import tree
from microgrid.functional import derivative_of

DERIVED = "gradient of another"
"""The purpose of code for a function that is the gradient of another one: it is that of the other one's gradient."""


class Compiled(Shown):
    """A compiled function. Call it as the original one; numbers, arrays and containers of them give floats and arrays.

    Where an argument is an array, the function receives an array of Values, and derivatives by it are arrays. Whole
    numbers are numbers. Static arguments, which are compiled in as constants, are those that `static` names, and
    strings, bytes, True, False and None.

    The first call with a new structure, or another value of a static argument, traces and compiles; the last 64 of
    these variants are kept. Structure is how containers nest, how long lists are, and the shapes of arrays. What stands
    under the free and global names in the function, in those that it calls by name, and in the methods of objects
    there, is static, too. Values that it finds outside are read at each call. A changed default argument, and a changed
    attribute that the code takes by name of a class or of a module of your own (`config.rate`), compile anew; anything
    else that an object outside holds, in a list, a dictionary or an attribute, is frozen at trace time.

    In a class, @compile makes a method. It compiles for each instance, and anew when an attribute that it reads is
    another number or text, or a list, tuple, dictionary or array with other ones: pass as an argument what changes
    often. What else the attributes hold, `self.part.w` of an object `self.part`, is frozen at trace time. The same
    holds for a bound method and for an object that is called.

    Derivatives are by all arguments that are not static: one structure, or a tuple of them. Arguments passed by keyword
    are held fixed, as `grad` does; for derivatives by the first argument alone, as SciPy's `args=` wants them, compile
    those: compile(value_and_grad(f)). When an argument is or holds a Value, the function itself runs and records.

    With `out=`, the function and its derivatives for one sample write their arrays into that one, or those in a tuple,
    list or dict like the result, and return it; `value_and_grad` returns the value and `out`. `out` may be the argument
    itself. A function with a parameter `out` gets it. `bind` binds arguments and `out` once.

    A call like an earlier one is machine code from end to end: with numbers, lists, tuples, dicts and contiguous arrays
    of float64 of the same structure. Any other one is computed in Python around the code, with the same result.

    Machine code is kept on disk: in the folder that the environment variable MICROGRID_CACHE names, else in
    ~/.cache/microgrid (on Windows in %LOCALAPPDATA%\\microgrid). MICROGRID_CACHE=off switches that off, as does
    compile(..., cache=False) for one function. The folder may be deleted at any time.

    >>> from microgrid import compile
    >>> area = compile(lambda radius: 3.0 * radius**2)
    >>> area.value_and_grad(2.0), area.batch([1.0, 2.0])
    ((12.0, 12.0), array([ 3., 12.]))
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]
    _nothing = "call the function first, with arguments of the right structure"

    def __init__(self, function: Callable[..., Any], options: Options, static: str | Sequence[str] = ()) -> None:
        self.__name__ = self.__qualname__ = type(function).__name__
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._options = options
        self._parameters = Parameters(function, static)
        self._plans: Kept[tuple[Plan, Any]] = Kept(lambda: [function], names_read(function))
        self._entries = Entries(Compiled)
        self._stateless = isinstance(function, FunctionType)
        self._sparse_kinds: dict[str, Sparse] = {}
        self._batches: dict[Any, tuple[Any, Any]] = {}
        """Keys of the compiled variants for batches of arrays, with their arguments, by the shapes of these."""
        install(Compiled, options.cache)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function, with floats for Values.

        When an argument is or holds a Value, the function itself runs and records, so that derivatives, `trace`,
        `check_gradient` and `steps` go through the call.
        """
        return self._called("value", args, kwargs, self._out(kwargs))

    def value_and_grad(self, *args: Any, **kwargs: Any) -> tuple[float, Any]:
        """Return the value, and its derivatives by all arguments that are not static: one structure, or a tuple of
        them. By the first argument alone, as `microgrid.value_and_grad(f)` gives them: compile(value_and_grad(f))."""
        found: tuple[float, Any] = self._called("value_and_grad", args, kwargs, self._out(kwargs))
        return found

    def gradient(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivatives alone, by all arguments that are not static."""
        return self._called("gradient", args, kwargs, self._out(kwargs))

    def jacobian(self, *args: Any, **kwargs: Any) -> Any:
        """Return the derivatives of all results: in place of each number in the result a structure as of `gradient`.

        An array of results by an array is an array with the axes of both. With `sparse=True`, it is SciPy's sparse
        array, as the `jacobian` of functions gives it; `out=`, one that such a call has returned, gets its numbers.
        """
        if self._wants_sparse(kwargs):
            return self._sparsely("jacobian", args, kwargs)
        return self._called("jacobian", args, kwargs, self._out(kwargs))

    def hessian(self, *args: Any, **kwargs: Any) -> Any:
        """Return all second derivatives of the value, as the Jacobian of its gradient; sparse as that is, with
        `sparse=True`."""
        if self._wants_sparse(kwargs):
            return self._sparsely("hessian", args, kwargs)
        return self._called("hessian", args, kwargs, self._out(kwargs))

    def hvp(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Hessian times a vector: hvp(x, v), with a vector for each argument that is not static.

        The vectors come after all arguments, structured like them: hvp(x, y, v, w).
        """
        count, static = 0, 0
        while count < len(args) and 2 * count - static < len(args):
            static += self._parameters.is_static(count, args[count])
            count += 1
        if 2 * count - static != len(args):
            raise TypeError(
                f"hvp takes the arguments of {self.__name__}, then a vector for each that is not static: "
                f"got {len(args)} in all"
            )
        return self._called("hvp", args[:count], kwargs, self._out(kwargs), args[count:])

    def bind(self, *args: Any, out: Any = None) -> Callable[[], Any]:
        """Return a function without arguments that computes `self(*args, out=out)`: each call saves their conversion.

        The arguments are arrays of float64, or tuples and dicts of them, whose numbers are read where they lie in
        memory: change them in place between calls. Numbers stay as they are.

        >>> import numpy as np
        >>> from microgrid import compile
        >>> x, y = np.zeros(3), np.empty(3)
        >>> step = compile(lambda x: x * x).bind(x, out=y)
        >>> x[:] = 1.0, 2.0, 3.0
        >>> step()
        array([1., 4., 9.])
        """
        return Bound(self, "value", args, out).function()

    def bind_value_and_grad(self, *args: Any, out: Any = None) -> Callable[[], tuple[float, Any]]:
        """Return a function without arguments that computes `self.value_and_grad(*args, out=out)`, as `bind` does.

        >>> import numpy as np
        >>> from microgrid import compile
        >>> x, g = np.ones(3), np.empty(3)
        >>> step = compile(lambda x: (x * x).sum()).bind_value_and_grad(x, out=g)
        >>> for _ in range(2):
        ...     value, _ = step()
        ...     x -= 0.25 * g
        >>> x
        array([0.25, 0.25, 0.25])
        """
        return Bound(self, "value_and_grad", args, out).function()

    def batch(self, *args: Any, in_axes: int | Sequence[int | None] | None = 0, **kwargs: Any) -> Any:
        """Return the results for all samples as arrays. Arguments have a row for each; those whose axis is None are
        shared.

        `in_axes` has 0 or None for each argument, or one for all. Arguments passed by keyword are shared.
        """
        values, _, structure, _ = self._batched("batch", args, in_axes, kwargs)
        if structure == 0:
            return values.reshape(-1)
        return tree.unflatten(structure, values.T, lambda shape, rows: rows.T.reshape(len(values), *shape))

    def batch_value_and_grad(
        self, *args: Any, in_axes: int | Sequence[int | None] | None = 0, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Return the values for all samples, and the derivatives of their sum by the arguments that are not static.

        The derivatives by an argument with a row for each sample are each sample's own, those by a shared one their
        sum.
        """
        values, sums, _, given = self._batched("batch gradient", args, in_axes, kwargs)
        return values[:, 0].copy(), _one_or_all(given.derivatives(values[:, 1:], sums))

    _general = (__call__, value_and_grad, gradient, jacobian, hessian, hvp)
    """Methods that machine code replaces, and falls back to."""

    def __set_name__(self, owner: type, name: str) -> None:
        if hasattr(type(self._function), "__get__") and not isinstance(self._function, MethodType):
            setattr(owner, name, Method(self))

    def __repr__(self) -> str:
        try:
            signature = str(inspect.signature(self._function))
        except (TypeError, ValueError):
            signature = "(...)"
        static = "".join(f", static {name}" for name in self._parameters.static)
        return f"<compiled function {self.__name__}{signature}{static}; {len(self._plans)} compiled variant(s)>"

    def __reduce__(self) -> Any:
        if isinstance(self._function, MethodType):
            return getattr, (self._function.__self__, self.__name__)
        found: Any = sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr(found, name, None)
        if found is self:  # a decorated function
            return self.__qualname__
        return Compiled, (self._function, self._options, self._parameters.static)

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: Any) -> Compiled:
        return self

    def _bound(self, function: Callable[..., Any], parameters: Parameters, plans: Kept[tuple[Plan, Any]]) -> Compiled:
        """Return the compiled method for an instance, given the method and its compiled variants."""
        bound = Compiled.__new__(Compiled)
        bound.__dict__.update(self.__dict__, __wrapped__=function, _entries=Entries(Compiled))
        bound._function, bound._parameters, bound._plans = function, parameters, plans
        bound._stateless, bound._batches, bound._sparse_kinds = (
            False,
            {},
            {},
        )  # what the instance holds is part of the key
        return bound

    def _wants_sparse(self, kwargs: dict[str, Any]) -> bool:
        """Return `sparse=`, unless it is a parameter of the function."""
        return bool(kwargs) and not self._parameters.has("sparse") and bool(kwargs.pop("sparse", False))

    def _sparsely(self, kind: str, args: Any, kwargs: Any) -> Any:
        known = self._sparse_kinds.get(kind)
        if known is None:
            known = self._sparse_kinds[kind] = Sparse(self, kind == "hessian")
        result, self._plans.last = known(args, kwargs, self._out(kwargs))
        self._entries.reset()
        return result

    def _out(self, kwargs: dict[str, Any]) -> Any:
        """Return `out=`, unless it is a parameter of the function."""
        return None if self._parameters.has("out") else kwargs.pop("out", None)

    def _called(
        self, purpose: str, args: Any, kwargs: Any, out: Any = None, vectors: Any = (), bound: Entries | None = None
    ) -> Any:
        """Return the result for one sample, or `out` with its arrays written. Record where an argument holds a Value.

        Further calls with arguments like these will not come here, nor those of a bound call with these entries.
        """
        derivative = TRACED.get(purpose)
        try:
            given = arguments.single(self._parameters, args, kwargs, vectors)
        except arguments.HoldsValue:
            if out is not None:
                raise TypeError("an argument is or holds a Value: the call is recorded, and takes no out=") from None
            return self._recorded(purpose, args, kwargs, vectors)
        derived = purpose == "value" and not kwargs and self._is_gradient_by(args)
        purpose = "gradient" if derived else purpose
        differentiates = purpose in ("value_and_grad", "gradient")
        asked = self._asked(DERIVED if derived else "gradient" if differentiates else purpose, given)
        plan, structure = self._plan(asked, given, args, kwargs, derivative)
        numbers = plan.results(given.numbers, [value.item() for value in plan.traced.captured])
        if differentiates:
            result = _one_or_all(given.derivatives(None, numbers[1:]))
        else:
            result = arguments.put_together(structure, numbers)
        if out is not None:
            write(out, result)
            result = out
        if not kwargs and len(asked) == 1 + len(given.key):  # no method, whose attributes may change
            static = [self._parameters.is_static(i, arg) for i, arg in enumerate(args)]
            every, static = (*args, *vectors), [*static, *[False] * len(vectors)]
            call = Call(purpose, every, static, given.parts, out, bound is not None, derived)
            entries = self._entries if bound is None else bound
            entries.add(call, plan, lambda: self._plans.seen(asked, plan), structure)
        return (numbers.item(0), result) if purpose == "value_and_grad" else result

    def _is_gradient_by(self, args: Sequence[Any]) -> bool:
        """Return True if the function is the gradient, by these arguments, of one that is no derivative itself."""
        return self._is_by_all("gradient", args)

    def _is_by_all(self, wanted: str, args: Sequence[Any]) -> bool:
        """Return True if the function is a derivative, by these arguments, of one that is no derivative itself."""
        kind, inner, argnums = derivative_of(self._function)
        if kind != wanted or derivative_of(inner)[0] or any(map(self._parameters.is_static, range(len(args)), args)):
            return False
        if isinstance(argnums, int):
            return argnums == 0 and len(args) == 1
        return len(args) > 1 and list(argnums) == list(range(len(args)))

    def _recorded(self, purpose: str, args: Any, kwargs: Any, vectors: Any) -> Any:
        if purpose == "value":
            return self._function(*args, **kwargs)
        function, numbers, count = self._parameters.numbers(self._function, args, kwargs)
        if purpose in TRACED:
            return TRACED[purpose](function, [*numbers, *vectors], count)
        found = value_and_grad(function, numbers, count)
        return found if purpose == "value_and_grad" else found[1]

    def _batched(
        self, purpose: str, args: Sequence[Any], in_axes: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, Any, Any, Arguments]:
        """Return the results of a batch, a row for each sample, and the sums over samples; the structure of the
        function's result; and the arguments, flattened.

        Arrays of floats in C order, and shared floats, of shapes that were met before, are not flattened anew.
        """
        plain = arguments.plain(args, in_axes) if self._stateless and not kwargs else None
        known = key = None
        if plain is not None:
            shapes, rows, shared, samples = plain
            key = (purpose, *shapes)
            known = self._batches.get(key)
        if known is not None:
            try:
                found, structure = self._plans.get(known[0], _not_compiled)
            except _NotCompiled:
                known = None
        if known is not None:
            given = known[1]
            self._plans.last = plan = found.fitting(samples)
            self._entries.reset()
        else:
            given = arguments.batch(self._parameters, args, _axes(in_axes, len(args)), kwargs)
            asked = self._asked(purpose, given)
            plan, structure = self._plan(asked, given, args, kwargs)
            rows, shared, samples = given.arrays, given.numbers, given.samples
            if key is not None and given.like(args):
                self._batches[key] = asked, given.without_rows()
        captured = plan.traced.captured
        if captured:
            shared = plan.numpy.concatenate([shared, [value.item() for value in captured]])
        elif type(shared) is list:
            shared = plan.numpy.array(shared, dtype=float) if shared else plan.nothing
        values, sums = plan.run(rows, shared, samples)
        return values, sums, structure, given

    def _asked(self, purpose: str, given: Arguments) -> tuple[Any, ...]:
        """Return the key of the compiled variant for these arguments."""
        return (purpose, *given.key, *state(self._function, self._plans.reads))

    def _plan(
        self, asked: tuple[Any, ...], given: Arguments, args: Any, kwargs: Any, derivative: Derivative | None = None
    ) -> tuple[Plan, Any]:
        """Return the plan for these arguments, and the structure of the function's result."""
        found, structure = self._plans.get(asked, lambda: self._compiled(asked[0], given, args, kwargs, derivative))
        self._plans.last = plan = found.fitting(given.samples)
        self._entries.reset()
        return plan, structure

    def _ran(self) -> Plan:
        return self._entries.ran or super()._ran()

    def _compiled(
        self, purpose: str, given: Arguments, args: Any, kwargs: Any, derivative: Derivative | None
    ) -> tuple[Plan, Any]:
        self._plans.reads = names_read(self._function)
        called = derivative_of(self._function)[1] if purpose == DERIVED else self._function
        function, numbers, count = self._parameters.numbers(called, args, kwargs)
        differentiated = "gradient" in purpose
        if (differentiated or derivative is not None) and not given.differentiable:
            raise TypeError(
                "there is no number to differentiate by: arguments passed by keyword are held fixed, and so are "
                "strings, True, False, None and those that static= names"
            )
        example = given.example()
        whole = whole_numbers(dict(zip(example, numbers, strict=False)))
        of_numbers = function if derivative is None else lambda *xs: derivative(function, xs, count)
        with told(self.__name__), without_collection():
            strict = self._options.strict
            directional = None if strict else self._directional(purpose, given, args, kwargs)
            if directional is not None:
                return directional, directional.structure
            signed = strict and not differentiated
            plain = self._function if not kwargs and count == len(args) else function
            both = None if strict else shortened(purpose, plain, count)
            recorded = both or of_numbers
            record = traced(recorded, example, result=function.__name__, whole=whole, strict=strict, at_floats=signed)
            shared = (*given.shared, *[True] * len(record.captured))
            request = Request(shared, tuple(range(given.by)) if differentiated else ())
            columns = None if given.samples < 0 else [array.shape[1] for array in given.arrays]
            return Plan(record, request, columns, self._options, given.samples), record.program.out_structure

    def _directional(self, purpose: str, given: Arguments, args: Any, kwargs: Any) -> Directional | None:
        """Return code for a derivative of a function with loops that keeps them, where it is one of those."""
        kind, inner, _ = derivative_of(self._function)
        if purpose == "value" and kind == "Hessian" and not kwargs and self._is_by_all("Hessian", args):
            purpose, called = "hessian", inner
        elif purpose in KINDS:
            called = self._function
        else:
            return None
        function, numbers, count = self._parameters.numbers(called, args, kwargs)
        example = dict(list(given.example().items())[: len(numbers)])
        found = traced(function, example, result=function.__name__, whole=whole_numbers(example))
        if not isinstance(found.program, Looped) or not pays(purpose, found.program, given.by):
            return None
        return Directional(purpose, found, given.by, count, self._options)


class _NotCompiled(Exception):
    """There is no code for these arguments."""


def _not_compiled() -> Any:
    raise _NotCompiled


def _one_or_all(derivatives: list[Any]) -> Any:
    return derivatives[0] if len(derivatives) == 1 else tuple(derivatives)


def _axes(in_axes: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    axes = [in_axes] * count if in_axes is None or isinstance(in_axes, int) else list(in_axes)
    if len(axes) != count or any(axis not in (0, None) or isinstance(axis, bool) for axis in axes):
        raise ValueError(f"in_axes has 0 or None for each of the {count} argument(s), got {in_axes!r}")
    return axes
