"""Compiled derivatives with the numbers of a sparse array alone, in the order of its rows."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from microgrid.compiler.derived import simplified
from microgrid.core import tree
from microgrid.functional import entries_by
from microgrid.graph.sparsity import Places

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled
    from microgrid.compiler.plan import Plan


class Sparse:
    """The sparse Jacobian, or Hessian, of a compiled function: its numbers are a compiled function, too."""

    def __init__(self, compiled: Compiled, second: bool) -> None:
        function, options, parameters = compiled._function, compiled._options, compiled._parameters
        self._made: Places | None = None
        find = simplified if second and not options.strict else None

        def numbers(*args: Any, **kwargs: Any) -> Any:
            by = [i for i, arg in enumerate(args) if not parameters.is_static(i, arg)]
            if not by:
                raise TypeError("there is no number to differentiate by among the arguments by position")
            values, self._made = entries_by(function, args, kwargs, by, find, second)
            return tree.array_of((len(values),), values)

        self._numbers = type(compiled)(_like(function, numbers), options, parameters.static)
        self._places: weakref.WeakKeyDictionary[Plan, Places] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()  # for the places of the call, of those for the structures of arguments

    def __call__(self, args: Any, kwargs: Any, out: Any) -> tuple[Any, Plan]:
        """Return the matrix, or `out`, one with the same places, with the numbers written; and the code that ran."""
        if out is not None and getattr(out, "format", "") != "csr":
            raise TypeError("out= of a sparse derivative is a sparse array that a call without out= has returned")
        with self._lock:
            if out is None:
                numbers = self._numbers(*args, **kwargs)
                if numbers.dtype == object:
                    raise TypeError("a sparse derivative at Values: SciPy's arrays hold numbers only; pass numbers")
                there, plan = self._there()
                return there.matrix(numbers), plan
            self._numbers(*args, **kwargs, out=out.data)
            there, plan = self._there()
        if out.shape != there.shape or not (_same(out.indices, there.columns) and _same(out.indptr, there.starts)):
            raise ValueError("out= has other places than the result: take one that a call without out= has returned")
        return out, plan

    def _there(self) -> tuple[Places, Plan]:
        """Return the places of the numbers that were computed last, and the code that ran."""
        plan = self._numbers._ran()
        known = self._places.get(plan)
        if known is None:
            assert self._made is not None
            known = self._places[plan] = self._made
        return known, plan


def _same(x: Any, y: Any) -> bool:
    same: bool = x.tobytes() == y.tobytes()  # a tenth of the time of comparing arrays
    return same or (len(x) == len(y) and bool((x == y).all()))


def _like(function: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the name and the signature of another."""
    other.__name__ = getattr(function, "__name__", type(function).__name__)
    other.__wrapped__ = function  # type: ignore[attr-defined]  # where inspect finds the parameters
    return other
