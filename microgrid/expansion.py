"""Taylor coefficients and derivatives of any order, in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import OPS, Op, as_float
from microgrid.engine import Value
from microgrid.numbers.arithmetic import FLOATS, VALUES, Arithmetic, arithmetic_of
from microgrid.numbers.series import Series, SeriesArithmetic
from microgrid.program import Program, function_on, trace_with_outside


def taylor(function: Callable[[Any], Any], x: Any, order: int, direction: Any = None) -> Any:
    """Return the coefficients c of function(x + t v) = c[0] + c[1] t + ... + c[order] t**order + ..., in one pass.

    Where x is one number, the direction v is 1.0; else it has the structure of x. Each number of the result becomes a
    list of its coefficients; an array of results gets one more axis. It takes time in proportion to the square of the
    order. Numbers of mpmath and python-flint keep their digits, and `Value`s give `Value`s, to be differentiated by,
    also those that the function finds outside. Raises TypeError for arguments that are no numbers, ValueError for a
    negative order.

    >>> taylor(lambda x: 1.0 / (1.0 - x), 0.0, 4)
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return _expanded(function, x, order, direction, lambda k: 1)


def derivatives(function: Callable[[Any], Any], x: Any, order: int, direction: Any = None) -> Any:
    """Return the derivatives of orders 0 to `order` at x; along a direction, as in `taylor`, where x is not one number.

    >>> from microgrid import exp
    >>> derivatives(lambda x: exp(2.0 * x), 0.0, 4)
    [1.0, 2.0, 4.0, 8.0, 16.0]
    """
    return _expanded(function, x, order, direction, math.factorial)


def flow(function: Callable[[Any], Any], x: Any, order: int) -> Any:
    """Return the Taylor coefficients, in the time t, of the solution of dx/dt = function(x) that starts at x.

    The function returns as many numbers as x has; a number of x that stands for the time has the derivative 1.0. One
    pass gives all orders, since each coefficient of the solution follows from those before: a step of an integrator of
    that order. Numbers, containers, `Value`s and errors are those of `taylor`.

    >>> flow(lambda x: x, 1.0, 4)[:3]
    [1.0, 1.0, 0.5]
    """
    given, structure = _point(x, order)
    program, outside, base, series = _prepared(function, given, structure, given)
    if len(program.outputs) != len(given):
        raise TypeError(
            f"flow takes a function of {len(given)} number(s) that returns as many, got {len(program.outputs)}"
        )
    velocities: list[Series] = []

    def following(i: int) -> Callable[[int], Any]:
        return lambda k: series.space.compute(OPS["div"], (), (velocities[i][k - 1], base.accept(float(k))))

    with base.context():
        inputs = [Series(series.space, [base.accept(leaf)], following(i)) for i, leaf in enumerate(given)]
        velocities += program.replay([*inputs, *map(series.space.constant, outside)], series)
        return _coefficients(series, inputs, order, structure, lambda k: 1)[0]


def _expanded(function: Callable[[Any], Any], x: Any, order: int, direction: Any, factor: Callable[[int], int]) -> Any:
    given, structure = _point(x, order)
    if direction is None:
        if structure != (0,):
            raise TypeError("x is no single number: give a direction of the same structure, as in taylor(f, x, 3, v)")
        ways: list[Any] = [1.0]
    else:
        ways, shape = tree.flatten((direction,), _number, "direction")
        if shape != structure:
            raise TypeError(f"the direction has the structure of x, {tree.shape(structure)}; got {tree.shape(shape)}")
    program, outside, base, series = _prepared(function, given, structure, [*given, *ways])
    with base.context():
        inputs = [
            Series(series.space, [base.accept(leaf), base.accept(way)], None, varies=True)
            for leaf, way in zip(given, ways, strict=True)
        ]
        outputs = program.replay([*inputs, *map(series.space.constant, outside)], series)
        return _coefficients(series, outputs, order, program.out_structure, factor)


def _point(x: Any, order: int) -> tuple[list[Any], tree.Structure]:
    """Return the numbers of x and their structure, as that of one argument, for an order that is checked."""
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"the order is a whole number, got {order!r}")
    if order < 0:
        raise ValueError(f"the order is 0 or more, got {order}")
    return tree.flatten((x,), _number, "x")


def _prepared(
    function: Callable[[Any], Any], given: list[Any], structure: tree.Structure, numbers: list[Any]
) -> tuple[Program, list[Value], Arithmetic, SeriesArithmetic]:
    """Return the program of a function, the Values it finds outside, and series of the kind of these numbers."""
    example = tree.unflatten(structure, [_example(leaf) for leaf in given])[0]
    program, outside = trace_with_outside(function, example)
    base = arithmetic_of([*numbers, *outside])
    functions: dict[tuple[Op, tuple[float, ...]], Callable[..., Any]] = {}

    def compute(op: Op, static: tuple[float, ...], operands: Any) -> Any:
        key = op, static
        if key not in functions:
            functions[key] = function_on(op, static, base)
        return functions[key](*[base.accept(x) for x in operands])

    return program, outside, base, SeriesArithmetic(compute, base.accept, base not in (FLOATS, VALUES))


def _coefficients(
    series: SeriesArithmetic,
    results: list[Series],
    order: int,
    structure: tree.Structure,
    factor: Callable[[int], int],
) -> Any:
    """Return the coefficients of the results, times a factor: a list for each, one more axis of an array of them."""
    on_the_way = [*series.space.made.values(), *results]
    for k in range(1, order + 1):
        for one in on_the_way:  # from the inputs on, so that nothing recurses over the depth of the graph
            one[k]
    found = [[_times(one[k], factor(k)) for k in range(order + 1)] for one in results]
    return tree.unflatten(
        structure,
        found,
        lambda shape, lists: tree.array_of((*shape, order + 1), [c for one in lists for c in one]),
    )


def _times(x: Any, factor: int) -> Any:
    if factor == 1:
        return x
    try:
        return x * (float(factor) if type(x) is float or isinstance(x, Value) else factor)
    except OverflowError:
        return x * math.inf


def _number(x: Any, path: str) -> Any:
    if isinstance(x, Value) or type(x).__module__.split(".")[0] in ("mpmath", "flint"):
        return x
    try:
        return as_float(x)
    except TypeError as error:
        raise TypeError(f"{path.replace('x[0]', 'x', 1)}: {error}") from None


def _example(x: Any) -> Any:
    return x if isinstance(x, Value) else float(x.mid() if hasattr(x, "mid") else x)
