"""Operands of each op for tests that need one point: where it is smooth, in its domain."""

from __future__ import annotations

from microgrid.core.primitive import Op

STATIC: dict[str, tuple[float, ...]] = {
    "constant_power": (3.0,),
    "sinc_derivative": (2.0,),
    "power_derivative": (1.0, 0.0),
}
"""Static operands, where an op has some."""

USUAL: dict[str, tuple[float, ...]] = {
    "clip": (0.375, 0.25, 0.5),
    "power": (0.75, 2.0),
    "power_derivative": (0.75, 2.0),
}


def point(op: Op) -> tuple[float, ...]:
    """Return operands that get a derivative, all different and none a whole number where the domain allows it."""
    if op.name in USUAL:
        return USUAL[op.name]
    count = op.arity - op.static
    given = zip(op.domain[:count], (0.75, 0.625, 0.5), (1.75, 1.625, 1.5), strict=False)
    return tuple(x if x in interval else other for interval, x, other in given)


def inside(op: Op) -> tuple[float, ...]:
    """Return all operands, the static ones last."""
    return (*point(op), *STATIC.get(op.name, (2.0,) * op.static))
