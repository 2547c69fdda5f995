"""NumPy's functions of a `Value` and of arrays of `Value`s, for which they record the ops of their names.

`grad` and its relatives hand over arrays of the type made here. In an array that one makes oneself, np.array([v, w]),
NumPy computes with the operators and methods of its items, and compares them in maximum and max: at a tie one gets all
of the derivative, where those of this type share it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from microgrid.core.conditions import COMPARISONS, chosen, condition
from microgrid.core.primitive import OPS, Op, built_in
from microgrid.core.scope import current_conditions

_OPERATORS = frozenset(
    "add subtract multiply divide negative positive absolute power floor_divide remainder square reciprocal conjugate "
    "greater greater_equal less less_equal equal not_equal matmul vecdot matvec vecmat".split()
)
"""Functions of NumPy whose own loops call the operators of the items, and sooner; comparisons must give bools."""

_LOGICAL = frozenset("logical_and logical_or logical_xor logical_not".split())
"""Functions of truth, for which NumPy's loops for objects give an operand, as Python's `and` does."""


scalar_functions: dict[str, Callable[..., Any]] = {}
"""Functions composed of ops, by name: `functions/` enters them, which this file must not import."""

list_functions: dict[str, Callable[..., Any]] = {}
"""Functions of lists: max, min, std, norm; likewise."""

_NAMES = {"expit": "sigmoid", "float_power": "power", "degrees": "rad2deg", "radians": "deg2rad"}
"""Names that NumPy and SciPy have for what has another here."""


@functools.cache
def _by_name() -> dict[str, Op]:
    """Return the built-in ops by NumPy's names; an op of a person may have one of them, with another meaning."""
    ops = [op for op in OPS.values() if op.name in built_in]
    return {name: op for op in ops for name in (op.name, *op.aliases)}


def _function(name: str) -> Callable[..., Any] | None:
    """Return the function of numbers and Values by NumPy's or SciPy's name for it."""
    name = _NAMES.get(name, name)
    return _by_name().get(name) or scalar_functions.get(name)


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of one of NumPy's ufuncs, or of one of its methods, some inputs of which hold Values.

    NumPy's own loops for objects compare in maximum(0, x): the result has plain zeros, which have no tanh, and knows
    one of its two branches. They do not have logaddexp and others at all. Raises TypeError for what has no derivative.
    """
    import numpy as np

    name = ufunc.__name__
    if current_conditions() and method == "__call__":
        recorded = _condition(name, inputs, kwargs)
        if recorded is not None:
            return recorded
    if name == "real":  # `.real` of an array, which numpy.var and numpy.std take from NumPy 2.5 on
        ufunc, name = np.positive, "positive"
    inputs = tuple(map(_bare, inputs))
    if _holds_objects(kwargs.get("where")):
        kwargs = {**kwargs, "where": np.array(_bare(kwargs["where"]), dtype=bool)}  # a read of each
    if method == "reduce" and "where" in kwargs and name in ("add", "multiply"):
        kwargs = {"initial": float(name == "multiply"), **kwargs}
    if name in _LOGICAL:
        inputs = tuple(np.not_equal(x, 0.0) if _holds_objects(x) else x for x in inputs)
        return getattr(ufunc, method)(*inputs, **_bare_out(kwargs))
    if name not in _OPERATORS and set("".join(ufunc.types)) != {"O", "-", ">"}:  # nor made of a function of one's own
        ours = _function(name)
        if ours is None or ufunc.nout != 1:
            raise TypeError(_without_derivative(name))
        if name in ("maximum", "minimum") and method == "reduce":
            return _extreme(name, *inputs, **kwargs)
        if method == "__call__" and not kwargs and isinstance(ours, Op):
            return dressed(ours.elementwise(inputs))
        ufunc = np.frompyfunc(ours, ufunc.nin, 1)
        kwargs = {key: value for key, value in kwargs.items() if key != "dtype" or value is not None}
    out = kwargs.get("out")
    result = getattr(ufunc, method)(*inputs, **_bare_out(kwargs))
    if out is not None:
        return out[0] if len(out) == 1 else out
    return tuple(map(dressed, result)) if isinstance(result, tuple) else dressed(result)


def _condition(name: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a condition, where conditions are recorded, and this is a comparison or made of conditions."""
    kind = condition_array()
    given = [isinstance(x, kind) or getattr(getattr(x, "dtype", None), "kind", "") == "b" for x in inputs]
    if kwargs or not (name in COMPARISONS or all(given)):
        return None
    found = condition(name, tuple(map(_bare, inputs)))
    return found.view(kind) if hasattr(found, "view") else found


def _holds_objects(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") == "O"


def _bare(x: Any) -> Any:
    """Return an array as an ordinary one, and a Value in an array without axes."""
    import numpy as np

    if hasattr(x, "_apply_op"):
        array = np.empty((), dtype=object)
        array[()] = x
        return array
    return x.view(np.ndarray) if isinstance(x, np.ndarray) else x


def _bare_out(kwargs: dict[str, Any]) -> dict[str, Any]:
    out = kwargs.get("out")
    return kwargs if out is None else {**kwargs, "out": tuple(map(_bare, out))}


def dressed(x: Any) -> Any:
    """Return an array of objects as one of Values."""
    import numpy as np

    if isinstance(x, np.ndarray) and _holds_objects(x) and not isinstance(x, value_array()):
        return x.view(value_array())
    return x


def _extreme(
    name: str, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any
) -> Any:
    """Return the largest or the smallest along axes: k equal ones share the derivative, as in `microgrid.max`."""
    if dtype is not None or out not in (None, (None,)) or set(more) - {"initial", "where"}:
        raise TypeError(f"numpy.{name[:3]} of an array of Values takes axis, keepdims, initial and where only")
    return _along(list_functions[name[:3]], x, axis, keepdims, **more)


_ALL = object()


def _along(
    function: Callable[[list[Any]], Any], x: Any, axis: Any, keepdims: Any, initial: Any = _ALL, where: Any = True
) -> Any:
    """Return a function of lists along one axis, several, or all for None."""
    import numpy as np

    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % max(x.ndim, 1))
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in rest)
    rows = np.transpose(x, (*rest, *axes)).reshape(*shape, -1)
    kept = np.transpose(np.broadcast_to(where, x.shape), (*rest, *axes)).reshape(rows.shape)
    results = np.empty(shape, dtype=object)
    for i in np.ndindex(shape):
        row = [item for item, keep in zip(rows[i], kept[i], strict=True) if keep]
        row += [] if initial is _ALL or type(initial).__name__ == "_NoValueType" else [initial]
        results[i] = function(row)
    if keepdims is True or (keepdims and type(keepdims).__name__ != "_NoValueType"):
        return dressed(results.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]))
    return dressed(results) if shape else results[()]


@functools.cache
def value_array() -> Any:
    """Return the type of these arrays, a kind of `numpy.ndarray`."""
    import numpy as np

    class ValueArray(np.ndarray[Any, Any]):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
            return apply_ufunc(ufunc, method, inputs, kwargs)

        def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
            if func is np.linalg.norm:
                found = _norm(*args, **kwargs)
                if found is not None:
                    return found
            if func in (np.where, np.select) and len(args) > 1:
                given: list[Any] = list(args[0]) if func is np.select else [args[0]]
                if all(isinstance(x, condition_array()) for x in given):
                    values, default = ([args[1]], args[2]) if func is np.where else (args[1], (*args[2:], 0.0)[0])
                    return dressed(chosen(given, values, kwargs.get("default", default)))
            try:
                return _dressed_all(super().__array_function__(func, types, args, kwargs))
            except AttributeError as error:  # NumPy asks an item for its dtype
                raise TypeError(_without_derivative(func.__name__)) from error

        def __setitem__(self, key: Any, value: Any) -> None:
            if isinstance(key, condition_array()) and key.shape == self.shape and np.ndim(value) == 0:
                key, value = ..., chosen([key], [value], self)
            super().__setitem__(key, value)

        def std(self, *args: Any, **kwargs: Any) -> Any:
            found = _std(_bare(self), *args, **kwargs)
            return super().std(*args, **kwargs) if found is None else found

        def __reduce__(self) -> Any:
            return _bare(self).__reduce__()  # pickled as an ordinary array: this type has no name to be found by

    return ValueArray


@functools.cache
def condition_array() -> Any:
    """Return the type of arrays of Values that are 0 or 1, recorded comparisons of others."""

    class ConditionArray(value_array()):  # type: ignore[misc]  # a class made on first use, with NumPy
        def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
            return self.view(value_array()).copy()  # of 0 and 1, of whatever type

    return ConditionArray


def _std(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **more: Any
) -> Any:
    """Return the standard deviation, of which the derivatives are 0 where all numbers are equal; None for odd calls."""
    if dtype is not None or out is not None or more:
        return None
    return _along(functools.partial(list_functions["std"], ddof=ddof), x, axis, keepdims)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """Return the Euclidean norm, of which the derivatives are 0 where all is 0; None for other norms."""
    import numpy as np

    x = _bare(np.asarray(x))
    vector = isinstance(axis, int) or (axis is None and x.ndim == 1)
    euclidean = ord is None or (ord == 2 and vector) or (ord == "fro" and not vector)
    return _along(list_functions["norm"], x, axis, keepdims) if euclidean else None


def _dressed_all(x: Any) -> Any:
    return type(x)(map(dressed, x)) if type(x) in (list, tuple) else dressed(x)


def advice(message: str) -> str | None:
    """Return what to write in place of a function of NumPy, if the message says that it takes no Values."""
    found = (
        re.search(r"ufunc '(\w+)' not supported for the input types", message)
        or re.search(r"^Cannot cast ufunc '(\w+)' input.* from dtype\('O'\)", message)
        or re.search(
            r"^loop of ufunc does not support argument \d+ of type \w+ which has no callable (\w+) method", message
        )
    )
    if found is not None:
        name = found[1]
        if name in OPS or any(name in op.aliases for op in OPS.values()):
            return (
                f"numpy.{name} does not take what is in this array of Values: write microgrid.{name}(...), which does"
            )
        return _without_derivative(name)
    if re.search(r"^Cannot cast ufunc '\w+' output from dtype\('O'\)", message):
        return (
            "an array of plain numbers cannot take Values in place: write a = a + b instead of a += b, or make the "
            "array by numpy.zeros(n, dtype=object)"
        )
    if "from dtype('O') to dtype('float64')" in message:
        return (
            "a function of NumPy wants floats, and got an array of Values: write it out in operators and functions "
            "that take these (+, *, @, numpy.exp, numpy.where)"
        )
    return None


def _without_derivative(name: str) -> str:
    if name.startswith("is"):
        return f"{name} does not take arrays of Values: it asks for numbers, v.data, or [v.data for v in x.flat]"
    return (
        f"{name} does not take arrays of Values: write it out in operators and functions that do (+, *, @, "
        "numpy.exp), or declare it with its derivatives, microgrid.primitive"
    )
