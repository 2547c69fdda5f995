"""Derivatives of functions: `grad`, `vjp`, `jvp`, `jacobian`, `hessian` and their like, of any order.

They take functions of scalars, and of nested lists, tuples, dicts and arrays of scalars. Numbers give numbers and
`Value`s give `Value`s, so that they nest. In place of an array the function receives one of `Value`s, and derivatives
by an array are arrays. They write to no `.grad` and may run in threads.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from microgrid import ops
from microgrid.core import tree
from microgrid.core.primitive import as_float, one_line
from microgrid.core.scope import current_loops, current_module, current_watch, recording
from microgrid.engine import CONSTANT, Value, constant, newest
from microgrid.graph.flat import flat, shorter
from microgrid.graph.linearize import Linearization
from microgrid.graph.running import Evaluation, run_noting_reads, value_and_slopes
from microgrid.graph.sparsity import Entry, Places, SparsePasses, mirrored, places

Argnums = int | Sequence[int]

Shorter = Callable[[Sequence[Value], Sequence[Value], int], tuple[list[Value], list[Any]]]
"""A function that records outputs again, of inputs and of nodes up to a number, with fewer nodes; and gives for each of
them a 0 that is nan where derivatives of it are to be."""

SMALL = 40
"""Number of nodes up to which the graph of a derivative is differentiated again as it is."""

_AS_IT_IS = contextlib.nullcontext()


class Twice(NamedTuple):
    """The same result of a traced function, recorded as it stands and with fewer nodes."""

    plain: Any
    shorter: Any


class _Recorded:
    """A function recorded once, on fresh inputs that stand for some of its arguments."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Any,
        argnums: Argnums,
        run: Evaluation | None = None,
    ) -> None:
        """Record it, or take the run of it on plain floats."""
        self.name = getattr(function, "__name__", type(function).__name__)
        self.quiet = current_module() is None and current_watch() is None
        chosen = _positions(argnums, len(args), self.name)
        self.of_values = False
        if run is None:
            start = newest()
            full = list(args)
            with recording() if current_module() is None else _AS_IT_IS:
                given, structures = tree.flatten({i: args[i] for i in chosen}, number_or_value, "argument ")
                self.of_values = any(isinstance(x, Value) for x in given)
                inputs = [ops.identity(x) if isinstance(x, Value) else Value(x) for x in given]
                for i, structure in structures.items():
                    full[i] = tree.unflatten(structure, inputs)
                result, read = run_noting_reads(function, *full, **kwargs)
            run = Evaluation(inputs, start, result, read, None)
        else:
            structures = {i: number for number, i in enumerate(chosen)}
        self.inputs = run.inputs
        self.in_structure = structures[chosen[0]] if isinstance(argnums, int) else tuple(map(structures.get, chosen))
        check = functools.partial(returned, self.name, run.read)
        self.outputs, self.out_structure = tree.flatten(run.result, check, "")
        self.start = run.start
        self.linear = run.linear or Linearization(self.outputs, self.inputs, run.start)

    @property
    def abstract(self) -> bool:
        """True if derivatives depend on Values that were there before, and so are Values: a float would cut them off.

        Within `no_grad` nothing is to be recorded for later, and they are floats.
        """
        return not self.quiet and (self.of_values or self.linear.outer)

    def primals(self) -> Any:
        """Results of the function, as Values where it returned Values, as floats elsewhere."""
        return tree.unflatten(self.out_structure, self.outputs if self.abstract else self._out(self.outputs))

    def _out(self, results: Sequence[Any]) -> list[Any]:
        numbers = _floats(results)
        return [Value(x) for x in numbers] if self.of_values else numbers

    def pull(self, cotangents: Sequence[Any]) -> list[Any]:
        """Return the cotangents of the inputs."""
        _announce(self.outputs, cotangents)
        if self.quiet or not (self.of_values or any(isinstance(c, Value) for c in cotangents)):
            pulled = self.linear.pull(_floats(cotangents))
            if not self.abstract:  # which the linearization knows for nothing after a pass
                return self._out(pulled)
        with recording():
            return [_sum(slope) for slope in self.linear.pull_values(cotangents)]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """Return the tangents of the outputs."""
        if self.abstract or (not self.quiet and any(isinstance(t, Value) for t in tangents)):
            with recording():
                return [_sum(slope) for slope in self.linear.push_values(tangents)]
        return self._out(self.linear.push(_floats(tangents)))

    def push_simplified(self) -> list[Any]:
        """Return the tangent of the output by the one input, from a simplified graph where it is large.

        Tangents of nodes that are the same have the same bits, so that those of the simplified graph have them, too.
        """
        if not self.abstract:
            return self.push([1.0])
        with recording():
            graph = flat(self.outputs, self.inputs, self.start)
            linear = self.linear
            if len(graph.results) > SMALL:
                linear = Linearization(shorter(graph), self.inputs, self.start)
            return [_sum(slope) for slope in linear.push_values([1.0])]

    def scalar(self) -> _Recorded:
        """Return the recording if the function returned one value, alone or in an array. Raises TypeError otherwise."""
        if self.out_structure != 0:
            if not tree.is_number(self.out_structure):
                kind = type(self.out_structure).__name__
                kind = tree.shape(self.out_structure) if kind == "Array" else f"a {kind}"
                raise TypeError(
                    f"grad wants a function that returns one Value, {self.name} returned {kind}: use jacobian"
                )
            self.out_structure = 0
        return self

    def jacobian(self) -> Any:
        """Return in each leaf of the result one derivative by each of the argument; arrays have the axes of both."""
        outputs, inputs = len(self.outputs), len(self.inputs)
        if self.abstract:
            with recording():
                zero = constant(0.0)
                rows: list[list[Any]] = [[zero] * inputs for _ in range(outputs)]
                for i, j, slope in SparsePasses(self.outputs, self.inputs, self.start).entries():
                    rows[i][j] = _sum(slope)
        elif outputs <= inputs or not inputs:
            rows = [self.pull(unit) for unit in _units(outputs)]
        else:
            columns = [self.push(unit) for unit in _units(inputs)]
            rows = [list(row) for row in zip(*columns, strict=True)]
        return assembled(rows, self.out_structure, self.in_structure, inputs)

    def hessian(self, find: Shorter | None = None) -> Any:
        """Return the Jacobian of a gradient, pushed forward: its lower half, and that as the upper one.

        Where a function is given that finds fewer nodes, and the result depends on Values, return it `Twice`.
        """
        n = len(self.inputs)
        if self.abstract:
            with recording():
                entries = SparsePasses(self.outputs, self.inputs, self.start).entries(lower=True)
                found = self._symmetric(entries)
                return found if find is None else Twice(found, self._symmetric(self._shorter(entries, find)))
        rows: list[list[Any]] = [[None] * n for _ in range(n)]
        for j, unit in enumerate(_units(n)):
            for i, slope in enumerate(self.push(unit)[j:], j):
                rows[i][j] = rows[j][i] = slope
        return assembled(rows, self.out_structure, self.in_structure, n)

    def _symmetric(self, lower: Sequence[Entry]) -> Any:
        """Return a Hessian by the entries of its lower half."""
        n, zero = len(self.inputs), constant(0.0)
        rows = [[zero] * n for _ in range(n)]
        for i, j, slope in lower:
            rows[i][j] = rows[j][i] = _sum(slope)
        return assembled(rows, self.out_structure, self.in_structure, n)

    def entries(self, symmetric: bool, find: Shorter | None = None) -> tuple[list[Entry], Places]:
        """Return the entries of the Jacobian, recorded, and their places; those of a gradient from one half."""
        with recording():
            found = SparsePasses(self.outputs, self.inputs, self.start).entries(lower=symmetric)
            if symmetric:
                found = mirrored(found if find is None else self._shorter(found, find))
        return found, places(found, (len(self.outputs), len(self.inputs)))

    def sparse(self, symmetric: bool) -> Any:
        """Return the Jacobian as SciPy's sparse array."""
        import numpy as np

        if self.abstract:
            raise TypeError(
                f"a sparse derivative of {self.name} at Values: SciPy's arrays hold numbers only; take it at numbers, "
                "or compiled: compile(f).jacobian(x, sparse=True)"
            )
        found, there = self.entries(symmetric)
        return there.matrix(np.array(_floats([entry.slope for entry in found]), dtype=float) + 0.0)  # see `_sum`

    def _shorter(self, entries: Sequence[Entry], find: Shorter) -> list[Entry]:
        """Return entries on and below the diagonal of the Jacobian, recorded again from a graph with fewer nodes."""
        outputs, nans = find(self.outputs, self.inputs, self.start)
        found = {(i, j): slope for i, j, slope in SparsePasses(outputs, self.inputs, self.start).entries(lower=True)}
        return [Entry(i, j, found.get((i, j), 0.0) + nans[i]) for i, j, _ in entries]


def assembled(
    rows: Sequence[Sequence[Any]], out_structure: tree.Structure, in_structure: tree.Structure, inputs: int
) -> Any:
    """Return a Jacobian from its rows: in each leaf of the result one derivative by each of the inputs."""

    def block(shape: tuple[int, ...], part: list[Any]) -> Any:
        """Return the derivatives of an array of results: for each number of the argument, an array of that shape."""

        def by_array(inner: tuple[int, ...], columns: list[Any]) -> Any:
            return tree.array_of(shape + inner, [x for row in zip(*columns, strict=True) for x in row])

        columns = [[row[j] for row in part] for j in range(inputs)]
        return tree.unflatten(in_structure, _Mapped(columns, functools.partial(tree.array_of, shape)), by_array)

    return tree.unflatten(out_structure, _Mapped(rows, functools.partial(tree.unflatten, in_structure)), block)


class _Mapped:
    """A list whose items are given back as function(item), and whose slices as they are."""

    def __init__(self, items: Sequence[Any], function: Callable[[Any], Any]) -> None:
        self.items = items
        self.function = function

    def __getitem__(self, i: Any) -> Any:
        return self.items[i] if isinstance(i, slice) else self.function(self.items[i])


def grad(function: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Return the function that computes the derivative of a scalar function by its argument number `argnums`.

    By default this is the first argument, as in JAX; `compile(f).gradient` is by all arguments. The result has the
    structure of the argument, arrays included; for several argnums it is a tuple of such. Raises TypeError when an
    argument is not made of numbers, or the function's result is not one Value.

    >>> from microgrid import sin
    >>> grad(grad(lambda x: sin(x) * x))(0.0)
    2.0
    >>> grad(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 3.0})
    {'a': 3.0, 'b': 2.0}
    """
    both = value_and_grad(function, argnums)
    return _named("gradient", function, lambda *args, **kwargs: both(*args, **kwargs)[1], argnums)


def value_and_grad(function: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Return the function that computes a scalar function's value, and its derivative by the first argument, or by
    those of `argnums`, as `grad` does.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    alone = isinstance(argnums, int)
    positions = _distinct((argnums,) if isinstance(argnums, int) else tuple(argnums))
    nested = derivative_of(function)[0] == "gradient"

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        found = None if positions is None else value_and_slopes(function, args, kwargs, positions, alone, nested)
        if type(found) is tuple:
            return found
        recorded = _Recorded(function, args, kwargs, argnums, found).scalar()
        slopes = recorded.push_simplified() if nested and len(recorded.inputs) == 1 else recorded.pull([1.0])
        return recorded.primals(), tree.unflatten(recorded.in_structure, slopes)

    return _named("value and gradient", function, differentiated)


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return the function's result, and the map from its cotangent to a tuple of the cotangents of the arguments.

    >>> _, pull = vjp(lambda x, y: [x * y, x], 2.0, 3.0)
    >>> pull([1.0, 10.0])
    (13.0, 2.0)
    """
    recorded = _Recorded(function, primals, {}, range(len(primals)))

    def pull(cotangents: Any) -> tuple[Any, ...]:
        pulled = recorded.pull(_matching(cotangents, recorded.out_structure, "cotangents", "result"))
        return tuple(tree.unflatten(recorded.in_structure, pulled))

    return recorded.primals(), pull


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return the result at the primals, and its tangent: forward mode. Each primal has a tangent of its structure.

    >>> jvp(lambda x, y: [x * y, x], (2.0, 3.0), (1.0, 0.0))
    ([6.0, 2.0], [3.0, 1.0])
    """
    if not isinstance(primals, (list, tuple)) or not isinstance(tangents, (list, tuple)):
        raise TypeError("primals and tangents are tuples: jvp(f, (x,), (v,)), and so for hvp")
    recorded = _Recorded(function, primals, {}, range(len(primals)))
    pushed = recorded.push(_matching(tuple(tangents), recorded.in_structure, "tangents", "primals"))
    return recorded.primals(), tree.unflatten(recorded.out_structure, pushed)


def jacobian(function: Callable[..., Any], argnums: Argnums = 0, *, sparse: bool = False) -> Callable[..., Any]:
    """Return the function that computes the Jacobian: each leaf of the result becomes a structure like the argument.

    It takes one pass for each result or for each input, whichever are fewer. An array of results by an array of inputs
    is an array of shape result.shape + argument.shape.

    With `sparse`, it is SciPy's `csr_array`, with a row for each number of the result and a column for each one of the
    arguments, in their order. Passes visit only what depends on an input, or what a result depends on. An entry is
    there if a result depends on an input by the operations recorded, even if it is 0 at these numbers; `where` does not
    depend on its condition. `spy` shows the places.

    >>> jacobian(lambda x: [x[0] * x[1], x[0]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 0.0]]
    """

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        recorded = _Recorded(function, args, kwargs, argnums)
        return recorded.sparse(False) if sparse else recorded.jacobian()

    return _named("Jacobian", function, differentiated)


def hessian(function: Callable[..., Any], argnums: Argnums = 0, *, sparse: bool = False) -> Callable[..., Any]:
    """Return the function that computes all second derivatives of a scalar function.

    Forward mode over the gradient takes a pass for each input. One half is mirrored, so the result is symmetric. With
    `sparse`, it is SciPy's `csr_array`, as `jacobian` gives it.

    >>> hessian(lambda x: x[0] ** 2 * x[1])([2.0, 3.0])
    [[6.0, 4.0], [4.0, 0.0]]
    """
    if not sparse:
        return hessian_by(function, argnums)
    slopes = grad(function, argnums)

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return _Recorded(slopes, args, kwargs, argnums).sparse(True)

    return _named("sparse Hessian", function, differentiated)


def entries_by(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Any, argnums: Argnums, find: Shorter | None, second: bool
) -> tuple[list[Value], Places]:
    """Return the entries of a function's sparse Jacobian, or of its Hessian, as Values, and their places."""
    recorded = _Recorded(grad(function, argnums) if second else function, args, kwargs, argnums)
    found, there = recorded.entries(second, find)
    with recording():
        return [_sum(slope) for _, _, slope in found], there


def hessian_by(function: Callable[..., Any], argnums: Argnums, find: Shorter | None = None) -> Callable[..., Any]:
    """Return the function that computes all second derivatives; given a function that finds a graph of the gradient
    with fewer nodes, `Twice`: as they are, and from that graph."""
    slopes = grad(function, argnums)

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return _Recorded(slopes, args, kwargs, argnums).hessian(find)

    return _named("Hessian", function, differentiated, argnums)


def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the Hessian of a scalar function times a vector, forward over reverse, at the cost of a few gradients.

    The result has the structure of the primal; for several primals it is a tuple of such.

    >>> hvp(lambda x: x[0] ** 2 * x[1], ([2.0, 3.0],), ([1.0, 0.0],))
    [6.0, 4.0]
    """
    argnums: Argnums = 0 if len(primals) == 1 else range(len(primals))
    return jvp(grad(function, argnums), primals, tangents)[1]


def gradient(output: Value, inputs: Any, *, create_graph: bool = False) -> Any:
    """Return the derivative of a recorded value by recorded values, in their structure; 0 where it is independent.

    It writes to no `.grad`. With `create_graph` the results are Values, recorded in their turn: to be drawn, and to be
    differentiated again. Raises RuntimeError when `.data` was changed in between, so that they could not be.

    >>> x = Value(3.0)
    >>> slope = gradient(x**3, x, create_graph=True)
    >>> slope.data, gradient(slope, x)
    (27.0, 18.0)
    """
    if not isinstance(output, Value):
        raise TypeError(f"the output must be one Value, got {type(output).__name__}; sum several, or use jacobian")
    nodes, structure = tree.flatten(inputs, recorded_value, "inputs")
    linear = Linearization([output], nodes)
    _announce([output], [1.0])
    if not create_graph:
        return tree.unflatten(structure, linear.pull([1.0]))
    with recording():
        return tree.unflatten(structure, linear.pull_values([1.0]))


def _distinct(positions: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Return positions that count from the first argument, none of them twice; None for others."""
    plain = all(type(i) is int and i >= 0 for i in positions)
    return positions if plain and len(set(positions)) == len(positions) else None


def _positions(argnums: Argnums, count: int, name: str) -> list[int]:
    positions = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in positions:
        if isinstance(i, bool) or not isinstance(i, int) or not -count <= i < count:
            raise ValueError(f"argnums={argnums!r}, but {name} was called with {count} positional argument(s)")
    return [i % count for i in positions]


def number_or_value(x: Any, path: str) -> Any:
    """Return a Value unchanged, a number as a float. Raises TypeError with the path for anything else."""
    if type(x) is float or isinstance(x, Value):
        return x
    if isinstance(x, bool):
        raise TypeError(f"{path} is {x}: a derivative is by numbers; choose others with argnums")
    if getattr(x, "ndim", 0):
        raise TypeError(not_of_numpy(x, path))
    try:
        return as_float(x)
    except TypeError as error:
        raise TypeError(f"{path}: {error}; for arguments that are no numbers choose others with argnums") from None


def not_of_numpy(x: Any, path: str) -> str:
    """Return the message for an array of another library."""
    return f"{path} is a {type(x).__name__} of shape {tuple(x.shape)}: pass it as NumPy's, numpy.asarray(x)"


def recorded_value(x: Any, path: str) -> Value:
    """Return a Value unchanged. Raises TypeError with the path for anything else."""
    if not isinstance(x, Value):
        raise TypeError(f"{path} must be a Value or nested lists, tuples and dicts of them, got {type(x).__name__}")
    return x


def returned(name: str, read: bool, x: Any, path: str) -> Value:
    """Return a result of the function of this name. Raises TypeError with the path when it is no number.

    A plain number is a constant, unless the function has read the number of a Value: then it may be cut off from it.
    """
    if isinstance(x, Value):
        return x
    try:
        number = as_float(x)
    except TypeError:
        raise TypeError(
            f"{name} must return Values, got {path} {type(x).__name__} ({one_line(x)})".replace("  ", " ")
        ) from None
    if read:
        raise TypeError(
            f"{name} read a number of a Value, by .data, .item(), detach() or .grad, and returned the plain number "
            f"{number!r}{' in ' + path if path else ''}: its derivative would be lost. If it is a constant, return "
            "Value(number)"
        )
    return Value(number)


def _matching(given: Any, structure: tree.Structure, name: str, other: str) -> list[Any]:
    leaves, own = tree.flatten(given, number_or_value, name)
    if own != structure:
        raise TypeError(
            f"the {name} must be structured like the {other}: {tree.shape(structure)}, got {tree.shape(own)}"
        )
    return leaves


def _announce(outputs: Sequence[Value], cotangents: Sequence[Any]) -> None:
    """Tell the observer that these passes are about to run."""
    watch = current_watch()
    if watch is not None:
        for output, cotangent in zip(outputs, _floats(cotangents), strict=True):
            watch.backward(output, cotangent)


def _sum(slope: Any) -> Value:
    """Return a derivative as a Value; plus 0.0 where that is a number for code that has the bits of recording.

    Passes on floats begin each sum with 0.0, so that it is never -0.0; those on Values with the first contribution.
    """
    if not isinstance(slope, Value) or slope.op is CONSTANT:
        return constant((slope.item() if isinstance(slope, Value) else slope) + 0.0)
    tracer = current_loops()
    return slope + 0.0 if tracer is not None and tracer.stands_for_floats() else slope


def _units(n: int) -> list[list[float]]:
    return [[1.0 if j == i else 0.0 for j in range(n)] for i in range(n)]


def _floats(numbers: Sequence[Any]) -> list[float]:
    return [x._data if isinstance(x, Value) else x for x in numbers]


def derivative_of(function: Any) -> tuple[str, Callable[..., Any], Argnums]:
    """Return for a function made by `grad` or `hessian` which it is, of which function, and its argnums."""
    found: tuple[str, Callable[..., Any], Argnums] = getattr(function, "derivative_of", ("", function, 0))
    return found


def _named(
    what: str, function: Callable[..., Any], derivative: Callable[..., Any], argnums: Argnums | None = None
) -> Callable[..., Any]:
    name = getattr(function, "__name__", type(function).__name__)

    functools.update_wrapper(derivative, function, assigned=("__module__",), updated=())
    derivative.__name__ = derivative.__qualname__ = name
    derivative.__doc__ = f"Return the {what} of {name}."
    if argnums is not None:
        derivative.derivative_of = what, function, argnums  # type: ignore[attr-defined]  # for those who compile it
    return derivative
