"""Truncated power series, whose coefficients follow from each op's rule.

For z = f(x) and x a series in t, z' = f'(x) x', so the k-th coefficient of z is a sum of products of earlier ones of
the partial derivative and of x (A. Griewank and A. Walther, "Evaluating Derivatives", 2nd edition, section 13.2). A
rule is ordinary arithmetic, so the partial is a series itself, computed when asked for. Series that were made before
are found again, as sin and cos find one another.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core.primitive import OPS, Op, constants_recorded
from microgrid.numbers.arithmetic import Arithmetic

Compute = Callable[[Op, tuple[float, ...], Sequence[Any]], Any]
Next = Callable[[int], Any]


class Space:
    """The series that know one another, and how an op computes their first coefficients."""

    def __init__(self, compute: Compute, more_digits: bool) -> None:
        self.compute = compute
        self.more_digits = more_digits  # than floats have, so that log(2.0) in a rule is no float
        self.made: dict[tuple[Any, ...], Series] = {}

    def constant(self, x: Any) -> Series:
        """Return the series of a number that does not depend on t."""
        key = ("number", x if type(x) is float and x and x == x else id(x))  # 0.0 and -0.0 would be one key
        if key not in self.made:
            self.made[key] = Series(self, [x], None)
        return self.made[key]

    def apply(self, op: Op, static: tuple[float, ...], operands: Sequence[Series]) -> Series:
        """Return the series of an op."""
        if op.name == "mul":
            operands = _merged(self, *operands)
        if op.name == "identity" or (op.name == "mul" and operands[0].is_number(1.0)):
            return operands[-1]
        key = (op, static, *map(id, operands))  # which `made` keeps alive
        if key not in self.made:
            z = Series(self, [self.compute(op, static, [x.known[0] for x in operands])], None)
            z.operands = tuple(operands)
            self.made[key] = z
            if any(x.following or x.varies for x in operands):
                z.following = _OWN[op.name](z, *operands) if op.name in _OWN else _by_rule(op, static, z, operands)
                z.op = op
        return self.made[key]


def _merged(space: Space, x: Series, y: Series) -> tuple[Series, Series]:
    """Return the factors, a number first; 0.5 * (2.0 * x) is 1.0 * x, so that rules come back to what they began
    with."""
    if y.is_constant and not x.is_constant:
        x, y = y, x
    if x.is_constant and y.op is OPS["mul"] and y.operands[0].is_constant:
        a, b = x.known[0], y.operands[0].known[0]
        if all(type(f) is float and f and abs(math.frexp(f)[0]) == 0.5 for f in (a, b)):  # powers of 2: exact
            return space.constant(a * b), y.operands[1]
    return x, y


class Series:
    """Coefficients, computed when asked for."""

    __slots__ = ("following", "known", "op", "operands", "space", "varies")

    def __init__(self, space: Space, known: list[Any], following: Next | None, varies: bool = False) -> None:
        self.space = space
        self.known = known
        self.following = following
        self.varies = varies  # it is given by its coefficients, and 0 from there on
        self.op: Op | None = None
        self.operands: tuple[Series, ...] = ()

    @property
    def is_constant(self) -> bool:
        """True if all coefficients but the first are 0."""
        return self.following is None and not self.varies

    def is_number(self, x: float) -> bool:
        """Return True if it is this float, a constant."""
        return self.is_constant and type(self.known[0]) is float and self.known[0] == x

    def __getitem__(self, k: int) -> Any:
        """Return the coefficient of t**k."""
        while len(self.known) <= k:
            self.known.append(0.0 if self.following is None else self.following(len(self.known)))
        return self.known[k]

    def _apply_op(self, op: Op, operands: Sequence[Any]) -> Any:
        count = op.arity - op.static
        given = [x if isinstance(x, Series) else self.space.constant(x) for x in operands[:count]]
        return self.space.apply(op, tuple(map(float, operands[count:])), given)

    def __add__(self, other: Any) -> Any:
        return self._apply_op(OPS["add"], (self, other))

    def __radd__(self, other: Any) -> Any:
        return self._apply_op(OPS["add"], (other, self))

    def __sub__(self, other: Any) -> Any:
        return self._apply_op(OPS["sub"], (self, other))

    def __rsub__(self, other: Any) -> Any:
        return self._apply_op(OPS["sub"], (other, self))

    def __mul__(self, other: Any) -> Any:
        return self._apply_op(OPS["mul"], (self, other))

    def __rmul__(self, other: Any) -> Any:
        return self._apply_op(OPS["mul"], (other, self))

    def __neg__(self) -> Any:
        return self._apply_op(OPS["neg"], (self,))


def _convolution(x: Series, y: Series, k: int, start: int = 0) -> Any:
    """Return the sum of x_j y_(k - j) from j = start on."""
    if x.is_constant:
        return x.known[0] * y[k] if start == 0 else 0.0
    if y.is_constant:
        return x[k] * y.known[0] if start <= k else 0.0
    x[k], y[k - start]  # computed, once for all
    total: Any = 0.0
    for a, b in zip(x.known[start : k + 1], reversed(y.known[: k + 1 - start]), strict=True):
        total = total + a * b
    return total


def _quotient(z: Series, x: Series, y: Series) -> Next:
    def following(k: int) -> Any:
        if y.is_constant:
            return z.space.compute(OPS["div"], (), (x[k], y.known[0]))
        y[k]
        total = x[k]
        for a, b in zip(z.known[:k], reversed(y.known[1 : k + 1]), strict=True):
            total = total - a * b
        return z.space.compute(OPS["div"], (), (total, y.known[0]))

    return following


_OWN: dict[str, Callable[..., Next]] = {
    "add": lambda z, x, y: lambda k: x[k] + y[k],
    "sub": lambda z, x, y: lambda k: x[k] - y[k],
    "neg": lambda z, x: lambda k: -x[k],
    "mul": lambda z, x, y: lambda k: _convolution(x, y, k),
    "div": _quotient,
}
"""The arithmetic of series; all other ops follow from their rules."""


def _by_rule(op: Op, static: tuple[float, ...], z: Series, operands: Sequence[Series]) -> Next:
    made: list[tuple[Any, Series]] = []

    def following(k: int) -> Any:
        if not made:  # when first asked for, since a rule may come back to its own op
            with constants_recorded(z._apply_op) if z.space.more_digits else contextlib.nullcontext():
                partials = op.partials(z, *operands, *static)
            made.extend((p, x) for p, x in zip(partials, operands, strict=True) if not x.is_constant)
        total: Any = 0.0
        for p, x in made:
            x[k]
            for j in range(1, k + 1):
                a = x.known[j]
                if type(a) is float and a == 0.0:
                    continue  # a tangent of exactly 0 passes nothing on, whatever the partial
                b = p[k - j] if isinstance(p, Series) else p if j == k else 0.0
                if type(b) is not float or b != 0.0:
                    total = total + b * (j * a)
        return total / k if type(total) is float else z.space.compute(OPS["div"], (), (total, float(k)))

    return following


class SeriesArithmetic(Arithmetic):
    """Series as a kind of number that programs are replayed on; `compute` gives first coefficients."""

    def __init__(self, compute: Compute, number: Callable[[Any], Any], more_digits: bool) -> None:
        self.space = Space(compute, more_digits)
        super().__init__("series", lambda x: self.space.constant(number(x)), {})

    def function(self, op: Op) -> Callable[..., Any]:
        """Return the op, by its rule."""
        count = op.arity - op.static
        return lambda *xs: self.space.apply(op, tuple(xs[count:]), xs[:count])

    def accept(self, x: Any) -> Any:
        """Return a series as it is."""
        return x
