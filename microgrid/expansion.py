"""Taylor coefficients and derivatives of any order, in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import Op, as_float
from microgrid.engine import Value
from microgrid.numbers.arithmetic import FLOATS, VALUES, arithmetic_of
from microgrid.numbers.series import Series, SeriesArithmetic
from microgrid.program import function_on, trace_with_outside


def taylor(function: Callable[[Any], Any], x: Any, order: int, direction: Any = None) -> Any:
    """Return the coefficients c of function(x + t v) = c[0] + c[1] t + ... + c[order] t**order + ..., in one pass.

    Where x is one number, the direction v is 1.0; else it has the structure of x. Each number of the result becomes a
    list of its coefficients. It takes time in proportion to the square of the order. Numbers of mpmath and python-flint
    keep their digits, and `Value`s give `Value`s, to be differentiated by, also those that the function finds outside.
    Raises TypeError for arguments that are no
    numbers, ValueError for a negative order.

    >>> taylor(lambda x: 1.0 / (1.0 - x), 0.0, 4)
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return _expanded(function, x, order, direction, lambda k: 1)


def derivatives(function: Callable[[Any], Any], x: Any, order: int, direction: Any = None) -> Any:
    """Return the derivatives of the orders 0 to `order` at x, along a direction where x is no number, as `taylor` does.

    >>> from microgrid import exp
    >>> derivatives(lambda x: exp(2.0 * x), 0.0, 4)
    [1.0, 2.0, 4.0, 8.0, 16.0]
    """
    return _expanded(function, x, order, direction, math.factorial)


def _expanded(function: Callable[[Any], Any], x: Any, order: int, direction: Any, factor: Callable[[int], int]) -> Any:
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"the order is a whole number, got {order!r}")
    if order < 0:
        raise ValueError(f"the order is 0 or more, got {order}")
    given, structure = tree.flatten((x,), _number, "x")
    if direction is None:
        if structure != (0,):
            raise TypeError("x is no single number: give a direction of the same structure, as in taylor(f, x, 3, v)")
        ways: list[Any] = [1.0]
    else:
        ways, shape = tree.flatten((direction,), _number, "direction")
        if shape != structure:
            raise TypeError(f"the direction has the structure of x, {tree.shape(structure)}; got {tree.shape(shape)}")
    example = tree.unflatten(structure, [_example(leaf) for leaf in given])[0]
    program, outside = trace_with_outside(function, example)
    base = arithmetic_of([*given, *ways, *outside])
    functions: dict[tuple[Op, tuple[float, ...]], Callable[..., Any]] = {}

    def compute(op: Op, static: tuple[float, ...], operands: Any) -> Any:
        key = op, static
        if key not in functions:
            functions[key] = function_on(op, static, base)
        return functions[key](*[base.accept(x) for x in operands])

    series = SeriesArithmetic(compute, base.accept, base not in (FLOATS, VALUES))
    with base.context():
        inputs = [
            Series(series.space, [base.accept(leaf), base.accept(way)], None, varies=True)
            for leaf, way in zip(given, ways, strict=True)
        ]
        outputs = program.replay([*inputs, *map(series.space.constant, outside)], series)
        on_the_way = list(series.space.made.values())
        for k in range(1, order + 1):
            for one in on_the_way:  # from the inputs on, so that nothing recurses over the depth of the graph
                one[k]
        found = [[_times(one[k], factor(k)) for k in range(order + 1)] for one in outputs]
    return tree.unflatten(program.out_structure, found)


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
