"""Random functions, as lists of instructions that refer back to any earlier result, so that they share and cancel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from microgrid import Op, Program, ops
from microgrid.core.primitive import OPS

SMOOTH = [OPS[name] for name in "add sub mul neg exp sin cos tanh sigmoid softplus atan asinh erf gaussian".split()]
KINKED = [OPS[name] for name in "relu abs maximum minimum where hypot softsign".split()]
RATIONAL = [OPS[name] for name in "add sub mul neg abs maximum minimum relu".split()]


@dataclass(frozen=True)
class RandomFunction:
    """f(x0, ..., xn), a list of its last results: each step applies an op to earlier numbers."""

    inputs: int
    constants: tuple[float, ...]
    steps: tuple[tuple[Op, tuple[int, ...]], ...]
    outputs: int

    def __call__(self, *xs: Any) -> Any:
        known = [*xs, *self.constants]
        for op, operands in self.steps:
            known.append(op(*[known[i] for i in operands]))
        results = [ops.add(x, ops.mul(0.0, xs[0])) for x in known[-self.outputs :]]  # each depends on an input
        return results if self.outputs > 1 else results[0]


@st.composite
def functions(
    draw: st.DrawFn,
    *,
    of: Sequence[Op] = (*SMOOTH, *KINKED),
    outputs: int = 1,
    steps: int = 12,
    numbers: Sequence[float] = (0.5, -1.0, 2.0, 3.0),
) -> RandomFunction:
    inputs = draw(st.integers(1, 3))
    constants = tuple(draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=2 if len(numbers) == 4 else 5)))
    known = inputs + len(constants)
    instructions = []
    for k in range(draw(st.integers(outputs, steps))):
        op = draw(st.sampled_from(of))
        operands = tuple(draw(st.integers(0, known + k - 1)) for _ in range(op.arity))
        instructions.append((op, operands))
    return RandomFunction(inputs, constants, tuple(instructions), outputs)


def points(n: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-2.0, 2.0), min_size=n, max_size=n)


def listed(program: Program) -> Callable[..., Any]:
    """The function that a listing is, once the ops are imported under their names; operators want Values."""
    names: dict[str, Any] = {**OPS, "inf": math.inf, "nan": math.nan}
    exec(compile(str(program), "<listing>", "exec"), names)
    function: Callable[..., Any] = names["f"]
    return function
