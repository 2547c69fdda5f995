"""Arrays of the caller: `out=`, into which results are written, and calls that are bound to the memory of arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from microgrid.compiler.calls import Entries
from microgrid.compiler.entry import bound_function
from microgrid.compiler.parameters import STATIC
from microgrid.core import tree
from microgrid.core.packages import library

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled


def write(out: Any, result: Any) -> None:
    """Write a result into the arrays of `out`: nothing where one of them does not fit.

    `out` has the containers of the result, and in them an array of float64 of the same shape for each array or number.
    """
    pairs: list[tuple[Any, Any]] = []
    _collect(out, result, "out", pairs)
    for array, numbers in pairs:
        array[...] = numbers


def _collect(out: Any, result: Any, path: str, pairs: list[tuple[Any, Any]]) -> None:
    np = library("numpy", "compile")
    if isinstance(result, (list, tuple)):
        if not isinstance(out, (list, tuple)) or len(out) != len(result):
            raise TypeError(
                f"{path} must be a {type(result).__name__} of {len(result)} like the result, got {_shown(out)}; where "
                "an argument is an array, so is the derivative by it"
            )
        for i, (o, r) in enumerate(zip(out, result, strict=True)):
            _collect(o, r, f"{path}[{i}]", pairs)
    elif isinstance(result, dict):
        if not isinstance(out, dict) or out.keys() != result.keys():
            raise TypeError(f"{path} must be a dict with the keys {list(result)}, got {_shown(out)}")
        for key, r in result.items():
            _collect(out[key], r, f"{path}[{key!r}]", pairs)
    elif isinstance(result, (float, np.ndarray)):
        shape = np.shape(result)
        if not isinstance(out, np.ndarray) or out.dtype != float or out.shape != shape:
            raise TypeError(f"{path} must be an array of float64 of shape {shape}, got {_shown(out)}")
        if not out.flags.writeable:
            raise ValueError(f"{path} is read-only: pass an array that may be written to")
        pairs.append((out, result))
    else:
        raise TypeError(f"out= takes no {type(result).__name__}, which is at {path}: take the result as it is returned")


def _shown(x: Any) -> str:
    if tree.is_array(x):
        return f"one of {x.dtype} of shape {x.shape}"
    kind = type(x).__name__
    return f"{kind} of {len(x)}" if isinstance(x, (list, tuple)) else kind


class Bound:
    """A call with arguments and `out` that are given once. Its numbers are read from the arrays at each call."""

    def __init__(self, compiled: Compiled, purpose: str, args: tuple[Any, ...], out: Any) -> None:
        for position, arg in enumerate(args):
            _in_memory(arg, f"argument {position}")
        self._compiled = compiled
        self._purpose = purpose
        self._args = args
        self._out = out
        self._entries = Entries(Bound)

    def function(self) -> Callable[[], Any]:
        """Return the function without arguments that makes the call."""
        return bound_function(self, self._compiled._options.cache) or functools.partial(Bound._call, self)

    def _call(self) -> Any:
        self._entries.reset()
        return self._compiled._called(self._purpose, self._args, {}, out=self._out, bound=self._entries)

    def __repr__(self) -> str:
        return f"<{self._compiled.__name__} bound to {len(self._args)} argument(s)>"

    _general: ClassVar[Sequence[Callable[..., Any]]] = (_call,)


def _in_memory(arg: Any, path: str) -> None:
    np = library("numpy", "compile")
    if isinstance(arg, dict):
        for key, item in arg.items():
            _in_memory(item, f"{path}[{key!r}]")
    elif isinstance(arg, tuple):
        for i, item in enumerate(arg):
            _in_memory(item, f"{path}[{i}]")
    elif isinstance(arg, np.ndarray):
        laid = arg.flags.c_contiguous and arg.flags.aligned and arg.dtype.isnative
        if type(arg) is not np.ndarray or arg.dtype != float or not laid:
            raise TypeError(
                f"{path} is read where it lies in memory, so it must be a contiguous array of float64, got "
                f"{_shown(arg)}; write x = numpy.ascontiguousarray(x, dtype=float), bind x, and change x"
            )
    elif not isinstance(arg, (float, int, *STATIC)):
        raise TypeError(
            f"{path} must be an array, whose numbers are read at each call, a number, or a tuple or dict of these, got "
            f"{type(arg).__name__}; write x = numpy.array(x, dtype=float), bind x, and change x"
        )
