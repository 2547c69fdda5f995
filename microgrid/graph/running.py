"""Running a function on fresh `Value`s: noting what it reads, and on plain floats all the way to its derivative.

Like the engine it is plain Python that mypyc compiles unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from microgrid.core.scope import Reader, current_module, current_reader, reset_reader, set_reader
from microgrid.core.value_arrays import advice
from microgrid.engine import Value, newest
from microgrid.graph.linearize import Linearization

_current_module: Final = current_module
_current_reader: Final = current_reader
_set_reader: Final = set_reader
_reset_reader: Final = reset_reader


@final
class _Reads:
    """Observer of the reads within a function, which tells the observer around it, too."""

    __slots__ = ("outer", "read")

    def __init__(self, outer: Reader | None) -> None:
        self.outer = outer
        self.read: bool = False

    def __call__(self, how: str, value: Any, other: Any, answer: Any) -> bool | None:
        if how == "data" or how == "grad":
            self.read = True
        return None if self.outer is None else self.outer(how, value, other, answer)


def run_noting_reads(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, bool]:
    """Call the function; return its result, and True if it read a number of a Value by `.data` or `.grad`."""
    reads = _Reads(_current_reader())
    return _run(function, list(args), kwargs, reads), reads.read


def _run(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], reads: _Reads) -> Any:
    token = _set_reader(reads)
    try:
        return function(*args, **kwargs) if kwargs else function(*args)
    except TypeError as error:
        text = advice(str(error))
        if text is None:
            raise
        raise TypeError(text) from error
    finally:
        _reset_reader(token)


@final
class Evaluation:
    """A function run on plain floats; `linear` is its derivative, where the result is a Value."""

    __slots__ = ("inputs", "linear", "read", "result", "start")

    def __init__(self, inputs: list[Value], start: int, result: Any, read: bool, linear: Linearization | None) -> None:
        self.inputs = inputs
        self.start = start
        self.result = result
        self.read = read
        self.linear = linear


def value_and_slopes(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    positions: tuple[int, ...],
    alone: bool,
    forward: bool,
) -> Any:
    """Return the pair of a function's value and its derivative by the arguments at these positions, plain numbers.

    It is pulled back; pushed forward where that is asked for and there is one argument.
    Return None, without a call, where these are anything else, or where it is not simply recorded; and the `Evaluation`
    where the result is no Value, or depends on Values that were there before.
    """
    if _current_module() is None:
        return None
    start = newest()
    inputs: list[Value] = []
    full = list(args)
    for i in positions:
        if i >= len(full):
            return None
        x = full[i]
        if type(x) is not float and type(x) is not int and (type(x) is bool or not isinstance(x, float)):
            return None
        node = Value(x)
        inputs.append(node)
        full[i] = node
    reads = _Reads(_current_reader())
    result = _run(function, full, kwargs, reads)
    if not isinstance(result, Value):
        return Evaluation(inputs, start, result, reads.read, None)
    linear = Linearization([result], inputs, start)
    slopes = linear.push([1.0]) if forward and len(inputs) == 1 else linear.pull([1.0])
    if linear.outer:
        return Evaluation(inputs, start, result, reads.read, linear)
    return result._data, slopes[0] if alone else tuple(slopes)
