"""NumPy's arrays of `Value`s, for which NumPy's functions record the ops of their names."""

from __future__ import annotations

import functools
import re
from typing import Any

from microgrid.core.primitive import OPS

_OPERATORS = frozenset(
    "add subtract multiply divide negative absolute power floor_divide remainder greater equal".split()
)
"""Functions of NumPy whose own loops call the operators of the items, and sooner; comparisons must give bools."""


@functools.cache
def value_array() -> Any:
    """Return the type of these arrays, a kind of `numpy.ndarray`.

    NumPy's own loops for objects compare in maximum(0, x): the result has plain zeros, which have no tanh, and knows
    one of its two branches. They do not have logaddexp and others at all.
    """
    import numpy as np

    ops = {name: op for op in OPS.values() for name in (op.name, *op.aliases) if name not in _OPERATORS}
    ops["expit"] = ops["sigmoid"]  # SciPy's name

    def bare(x: Any) -> Any:
        return x.view(np.ndarray) if isinstance(x, ValueArray) else x

    def dressed(x: Any) -> Any:
        return x.view(ValueArray) if isinstance(x, np.ndarray) and x.dtype == object else x

    class ValueArray(np.ndarray[Any, Any]):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
            op = ops.get(ufunc.__name__)
            inputs = tuple(map(bare, inputs))
            if op is not None and op.arity == ufunc.nin and method == "__call__" and not kwargs:
                return dressed(op.elementwise(inputs))
            out = kwargs.get("out")
            if out is not None:
                kwargs["out"] = tuple(map(bare, out))
            result = getattr(ufunc, method)(*inputs, **kwargs)
            if out is not None:
                return out[0] if len(out) == 1 else out
            return tuple(map(dressed, result)) if isinstance(result, tuple) else dressed(result)

        def __reduce__(self) -> Any:
            return bare(self).__reduce__()  # pickled as an ordinary array: this type has no name to be found by

    return ValueArray


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
        if name.startswith("is"):
            return f"{name} does not take arrays of Values: it asks for numbers, [v.data for v in x.flat]"
        return (
            f"{name} does not take arrays of Values: write it out in operators and functions that do (+, *, @, "
            "numpy.exp), or declare it with its derivatives, microgrid.primitive"
        )
    if "from dtype('O') to dtype('float64')" in message:
        return (
            "a function of NumPy wants floats, and got an array of Values: write it out in operators and functions "
            "that take these (+, *, @, numpy.exp, numpy.where)"
        )
    return None
