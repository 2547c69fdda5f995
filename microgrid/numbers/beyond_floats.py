"""Numbers finer than floats, with the values of floats at infinity and nan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgrid.core.primitive import Op
from microgrid.numbers.arithmetic import Arithmetic

nan, inf = math.nan, math.inf


class BeyondFloats(Arithmetic):
    """Numbers finer than floats. At infinity and nan an op gives what it gives on floats: they are the same there."""

    def __init__(
        self,
        name: str,
        number: Callable[[Any], Any],
        functions: Mapping[str, Callable[..., Any]],
        is_finite: Callable[[Any], bool],
        irrational: Callable[..., Any] | None = None,
        exact: bool = False,
        *,
        key: str = "",
        home: Any = None,
    ) -> None:
        super().__init__(name, number, functions, irrational, key=key, home=home)
        self.is_finite = is_finite
        self.exact = exact

    def extended(self, op: Op, static: Sequence[float], function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the op for all operands, given its function for finite ones."""
        bounded = all(map(math.isfinite, static))

        def computed(*operands: Any) -> Any:
            if bounded and all(map(self.is_finite, operands)):
                return function(*operands)
            try:
                z = op.forward(*map(_near, operands), *static)
            except (ArithmeticError, ValueError):  # an op of the user that is not total
                return function(*operands)
            limit = z in (-1.0, 0.0, 1.0) or (z.is_integer() and not any(map(self.is_finite, operands)))
            if limit or not math.isfinite(z):
                return self.number(z)
            return function(*operands)  # it is a finite operand, or was rounded, as pi / 2 is

        return computed


def _near(x: Any) -> float:
    """Return the float nearest to x, on the side of -1, 0, 1 and infinity where x is."""
    try:
        near = float(x)
    except OverflowError:
        near = inf if x > 0 else -inf
    if near in (-inf, -1.0, 0.0, 1.0, inf) and near != x:
        return math.nextafter(near, inf if x > near else -inf)
    return near
