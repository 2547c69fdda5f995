"""Bounds of the effect of rounding on the results of a recorded program."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from eagerly import same

from microgrid import Program

BASIC = frozenset("add sub mul div multiply_no_nan sqrt".split())
EXACT = frozenset(
    "neg abs identity maximum minimum tied_maximum where greater equal sign floor ceil trunc round relu clip copysign "
    "leaky_relu".split()
)


def moved(program: Program, at: Sequence[float], seed: int) -> tuple[list[float], bool]:
    """The outputs when each step is moved by some ulps, and whether a step left the range where ulps are small.

    Equal steps on equal numbers are moved alike, as x * x and y * y are computed alike: what cancels exactly still
    does. But what a product is added to may take it in unrounded. Seed 0 moves nothing; even ones move by whole units,
    so that numbers that are equal but for rounding are equal now and then.
    """
    slots = [*at, *program.constants]
    first, far = len(slots), False
    products: set[int] = set()
    for k, (op, operands) in enumerate(program.instructions):
        xs = [slots[i] for i in operands]
        z = op.forward(*xs)
        if op.name not in EXACT:
            if math.isfinite(z):
                far = far or (z != 0.0 and not 1e-290 < abs(z) < 1e290)
                if seed:
                    key = tuple(sorted(xs)) if op.name in ("add", "mul") else tuple(xs)
                    noise = _noise(op.name, key, seed)
                    if seed % 2:
                        z *= 1.0 + noise * (1.0 if op.name in BASIC else 2.0 * op.ulps) * 2.0**-52
                    else:
                        z += z * round(1.5 * noise) * 1.01 * 2.0**-53
            elif all(map(math.isfinite, xs)):
                far = far or op.name not in ("div", "log", "constant_power")
            elif z == 0.0 and op.name in ("mul", "multiply_no_nan", "div"):
                far = far or all(xs)
            if z == 0.0 and op.name in ("mul", "multiply_no_nan") and all(xs):
                far = True  # it underflowed
            fused = [i for i in operands if i in products]
            if seed and (len(fused) == 1 or (op.name == "add" and fused)) and op.name in ("add", "sub"):
                for i in fused:
                    if math.isfinite(slots[i]):
                        z += _noise("fused", (k, i), seed) * 2.0**-53 * slots[i]
        if op.name in ("mul", "multiply_no_nan"):
            products.add(first + k)
        slots.append(z)
    return [slots[i] for i in program.outputs], far


def _noise(name: str, key: tuple[float, ...], seed: int) -> float:
    """A number between -1 and 1 that depends on these."""
    return (hash((name, key, seed, seed * 7919)) % 2_000_003) / 1_000_001.0 - 1.0


SEEDS = 41
"""A result is excused when it is as near as some of so many moves less one explain."""


class Bound:
    """Bounds of the error of each result where rounding differs, computed on first use."""

    def __init__(self, make: Callable[[], Program], at: Sequence[float]) -> None:
        self.make = make
        self.at = at

    @functools.cached_property
    def program(self) -> Program:
        return self.make()

    @functools.cached_property
    def base(self) -> tuple[list[float], bool]:
        return moved(self.program, self.at, 0)

    @functools.cache  # noqa: B019  # it lives as long as a case
    def moves(self, seed: int) -> tuple[list[float], bool]:
        return moved(self.program, self.at, seed)

    def excuses(self, got: float, expected: float, place: int) -> bool:
        base, far = self.base
        off = 0.0
        for seed in range(1, SEEDS):
            outputs, too = self.moves(seed)
            far, x = far or too, outputs[place]
            if not all(map(math.isfinite, (got, expected, x))):
                # what overflows, or is not finite for some roundings alone, may be anything
                if far or not same(x, expected, True):
                    return True
            else:
                off = max(off, abs(x - base[place]))
                if abs(got - expected) <= 16.0 * off + 1e-14 * abs(expected) + (1e-290 if far else 1e-300):
                    return True
        return False

    def room(self, place: int) -> float:
        """Return a bound of a result's error: infinity where steps leave the range where ulps are small."""
        base, far = self.base
        outputs = [self.moves(seed) for seed in range(1, 9)]
        off = max(abs(x[place] - base[place]) for x, _ in outputs)
        return off if math.isfinite(off) and not far and not any(was for _, was in outputs) else math.inf
