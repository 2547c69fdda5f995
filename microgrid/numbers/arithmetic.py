"""The kinds of numbers that a program can be replayed on, each with its function for every op that it has one for.

An op that an arithmetic does not name is computed by its definition in other ops: its formula, or its forward function
where that is ordinary arithmetic.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgrid.core.primitive import Op, as_float, built_in
from microgrid.engine import Value, constant


class UnknownFunction(TypeError):
    """An arithmetic is asked for an op that only floats have."""


class Arithmetic:
    """Numbers of one kind: the conversion from floats, and a function for each native op.

    An op that has no function here is its formula: the one for `exact` numbers, or for rounded ones. `irrational`,
    where it is given, computes every op that leads out of the fractions, or refuses it: it is told the op's name first.
    `functions` holds what is neither the formula nor what `home`, the library, has by the op's name; `key` is that of
    this kind in the natives of a person's op. `choices` holds `where(compared(x, y), a, b)` as a function of all four,
    by the comparison's name, for numbers on which that is faster.
    """

    exact = False

    def __init__(
        self,
        name: str,
        number: Callable[[Any], Any],
        functions: Mapping[str, Callable[..., Any]],
        irrational: Callable[..., Any] | None = None,
        *,
        key: str = "",
        home: Any = None,
        choices: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.name = name
        self.number = number
        self.functions = functions
        self.irrational = irrational
        self.key = key
        self.home = home
        self.choices = choices or {}

    def function(self, op: Op) -> Callable[..., Any] | None:
        """Return the function of the op; None where it is computed by its definition in other ops."""
        if op.irrational and self.irrational is not None:
            return functools.partial(self.irrational, op.name)
        return self.functions.get(op.name) or self.native(op)

    def native(self, op: Op) -> Callable[..., Any] | None:
        """Return the native given for the user's op, or the library's function of a built-in op's name."""
        function = op.on.get(self.key)
        if isinstance(function, str):
            name, function = function, getattr(self.home, function, None)
            if not callable(function):
                raise TypeError(f"{op.name}: on={{{self.key!r}: {name!r}}}: {self.name} have no function {name}")
        elif function is None and op.name in built_in:  # an op of the user may have the same name with another meaning
            function = self.named(op)
        return None if function is None else self.adapted(op, function)

    def named(self, op: Op) -> Callable[..., Any] | None:
        """Return the library's function of the op's name or alias; formulas are kept, with their limits at infinity."""
        found = (getattr(self.home, name, None) for name in (op.name, *op.aliases) if op.formula is None)
        return next(filter(callable, found), None)

    def adapted(self, op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a native as these numbers need it."""
        return function

    def extended(self, op: Op, static: Sequence[float], function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the op with these static operands for all others, given its function for finite ones."""
        return function

    def accept(self, x: Any) -> Any:
        """Return an input as a number of this kind. Raises TypeError when it is none."""
        if isinstance(x, type(self.number(1.0))):
            return x
        try:
            return self.number(x if isinstance(x, int) else as_float(x))
        except TypeError as error:
            raise TypeError(f"a replay on {self.name}: {error}") from None

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context of the arithmetic, such as its precision."""
        return contextlib.nullcontext()

    def finish(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs as the caller gets them."""
        return list(outputs)

    def forward(self, op: Op, *operands: Any) -> Any:
        """Call the op's forward function, where it is ordinary arithmetic: a float as result would have lost digits."""
        try:
            result = op.forward(*operands)
        except TypeError:
            result = nan
        if isinstance(result, float):
            native = f", or with on={{{self.key!r}: ...}}, its function for these numbers" if self.key else ""
            raise UnknownFunction(
                f"{op.name} computes floats only, not {self.name}: declare it with formula=, its definition in ops and "
                f"operators{native}"
            )
        return result

    def __repr__(self) -> str:
        return f"<arithmetic of {self.name}>"


class ExactArithmetic(Arithmetic):
    """Numbers that are exact, or carry an error bound."""

    exact = True


nan, inf = math.nan, math.inf

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "identity": lambda x: x,
}
"""For numbers that Python's operators work on."""


class _Floats(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any]:
        return op.forward

    def accept(self, x: Any) -> float:
        return as_float(x)


class _Values(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any]:
        return op

    def accept(self, x: Any) -> Value:
        return x if isinstance(x, Value) else constant(x)


FLOATS = _Floats("floats", float, {})
VALUES = _Values("Values", constant, {})


def arithmetic_of(numbers: Sequence[Any]) -> Arithmetic:
    """Return the arithmetic for numbers of these kinds. Raises TypeError when they do not go together, and for others.

    An object array is a batch of floats, too: it may hold no other kind, which would become floats.
    """
    kinds = {_kind(x): x for x in numbers}
    kinds.pop("floats", None)
    if len(kinds) > 1:
        raise TypeError(f"numbers of several kinds at once: {', '.join(sorted(kinds))}")
    (kind,) = kinds or {"floats"}
    return _arithmetics()[kind]()


@functools.cache
def _arithmetics() -> dict[str, Callable[[], Arithmetic]]:
    from microgrid.numbers.arrays import arrays
    from microgrid.numbers.balls import balls
    from microgrid.numbers.fractions import rationals
    from microgrid.numbers.mpmath_numbers import mpmath_numbers

    return {
        "floats": lambda: FLOATS,
        "Values": lambda: VALUES,
        "fractions": rationals,
        "arrays": arrays,
        "mpmath": mpmath_numbers,
        "flint": balls,
    }


def _kind(x: Any) -> str:
    if isinstance(x, Value):
        return "Values"
    package = type(x).__module__.split(".")[0]
    if package in ("fractions", "mpmath", "flint"):
        return package
    dtype = getattr(x, "dtype", None)
    if getattr(dtype, "hasobject", False):
        for item in x.flat:
            if _kind(item) != "floats":
                raise TypeError(
                    f"an array of {type(item).__name__}: a program takes arrays of floats, and others singly"
                )
    elif dtype is None and not isinstance(x, (int, float)) and hasattr(x, "__float__"):
        raise TypeError(
            f"a program has no arithmetic for {type(x).__name__}, and floats would lose digits: pass float(x) for "
            "floats, fractions.Fraction(x) to compute exactly, or mpmath.mpf(str(x))"
        )
    return "arrays" if getattr(x, "ndim", 0) else "floats"
