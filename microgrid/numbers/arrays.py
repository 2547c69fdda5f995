"""NumPy's arrays of floats: a whole batch at once."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core.packages import library
from microgrid.core.primitive import Op, as_float
from microgrid.numbers.arithmetic import Arithmetic

nan, inf = math.nan, math.inf


def array_of_floats(x: Any) -> Any:
    """Return the numbers as an array of floats in C order. Raises TypeError for complex, masked and missing ones,
    texts.

    NumPy itself would drop imaginary parts and masks, read texts, and make nan of None.
    """
    import numpy as np

    if type(x) is np.ndarray and x.dtype.kind == "f":
        return np.asarray(x, dtype=float, order="C")
    if "numpy.ma" in sys.modules and _is_masked(x):
        raise TypeError("some of its numbers are masked: leave them out or fill them in")
    array = np.asarray(x, order="C")
    if array.dtype == object:
        return np.array([as_float(item) for item in array.flat], dtype=float).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of real numbers, got one of {array.dtype}")
    return array.astype(float, copy=False)


def _is_masked(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_is_masked(item) for item in x if type(item) is not float)
    mask: Any = getattr(x, "mask", None)  # a method of a data frame
    return hasattr(mask, "any") and bool(mask.any())


class _Arrays(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any] | None:
        found = super().function(op)
        return functools.partial(_elementwise, op.forward) if found is None and not op.defined else found

    def named(self, op: Op) -> Callable[..., Any] | None:
        """The ufunc of the op's name or alias, which is one pass over memory where a formula is many."""
        import numpy as np

        found = (getattr(np, name, None) for name in (op.name, *op.aliases))
        return next((x for x in found if isinstance(x, np.ufunc)), None)  # np.where, np.identity are none

    def accept(self, x: Any) -> Any:
        return array_of_floats(x)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        import numpy as np

        return np.errstate(all="ignore")  # inf and nan are answers here

    def finish(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        import numpy as np

        shapes = {x.shape for x in inputs}
        (shape,) = shapes if len(shapes) == 1 else (np.broadcast_shapes(*shapes),)
        taken = set(map(id, inputs))
        results = []
        for x in outputs:  # an input, or another result, is nothing to give away
            own = type(x) is np.ndarray and x.shape == shape and x.base is None and id(x) not in taken
            results.append(x if own else np.broadcast_to(x, shape).copy())
            taken.add(id(x))
        return results


def _elementwise(forward: Callable[..., float], *operands: Any) -> Any:
    import numpy as np

    results = np.frompyfunc(lambda *xs: forward(*map(float, xs)), len(operands), 1)(*operands)
    return np.asarray(results, dtype=float)  # of numbers without dimensions there is one result, a float


@functools.cache
def arrays() -> Arithmetic:
    """Return the arithmetic of NumPy's arrays of floats, of any shapes that broadcast."""
    np = library("numpy", "train")

    def choice(compare: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def chosen(x: Any, y: Any, a: Any, b: Any) -> Any:
            result = np.where(compare(x, y), a, b)
            for side in (x, y):
                if math.isnan(side.min(initial=inf) if side.ndim else side):  # nan if one is: faster than isnan of each
                    result = np.where(np.isnan(side), nan, result)
            return result

        return chosen

    def nan_where(x: Any, y: Any, result: Any) -> Any:
        return np.where(np.isnan(x) | np.isnan(y), nan, result)

    return _Arrays(
        "NumPy arrays",
        np.float64,
        {
            "greater": lambda x, y: nan_where(x, y, x > y),
            "equal": lambda x, y: nan_where(x, y, x == y),
            "where": lambda condition, x, y: np.where(np.isnan(condition), nan, np.where(condition != 0.0, x, y)),
            "copysign": lambda x, y: np.where(np.isnan(y), nan, np.copysign(x, y)),
            "zero_product": lambda x, y: np.where((x == 0.0) | (y == 0.0), 0.0, x * y),
            "identity": lambda x: x,
        },
        key="numpy",
        home=np,
        choices={"greater": choice(np.greater), "equal": choice(np.equal)},
    )
