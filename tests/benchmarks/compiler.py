"""Sizes of compiled programs, which hang on no machine, and what it brings when machine code takes over from the
interpreter: `python tests/benchmarks/compiler.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from compare.alone import Figures, told
from compare.data import DAMPED, EXPANDED, GATHERED, MATRIX, PLACES, RELEASED, energy, expanded, poses
from compare.data import POSE as ANGLES
from compare.on_compiled import _hand_as_array, of_arm
from compare.on_microgrid import of_gathered, of_swung, seventh_of_nested
from derivatives import compared

from microgrid import compile, hessian


def counted(word: str, f: Callable[..., Any], at: Any, *, gradient: bool = False) -> list[float]:
    """A number of the report of a call of that function, or of its value and gradient."""
    compiled = compile(f, cache=False)
    _ = compiled.value_and_grad(at) if gradient else compiled(at)
    found = re.search(rf"^{word}\s+([\d,]+)", compiled.report(), re.MULTILINE)
    assert found, compiled.report()
    return [float(found[1].replace(",", ""))]


def taken_over(f: Callable[..., Any], call: str, at: Any) -> list[float]:
    """The interpreter's time for a call, to that of the machine code which took over."""
    stays, changes = compile(f, background=False), compile(f)
    slow, fast = [partial(getattr(each, call), at) for each in (stays, changes)]
    slow()
    fast()
    while "in the background" in (state := str(changes.report())) or "have been spent" in state:
        for _ in range(1_000):
            fast()
    assert "machine code since call" in state, state
    return compared(slow, fast)


POSE = poses()[0]
INTERPRETED = {
    "a determinant 7 x 7 and its gradient": (expanded, "value_and_grad", np.array(MATRIX)),
    "8,000 operations on random values, and the gradient": (of_gathered, "value_and_grad", np.array(GATHERED)),
    "the Jacobian of a hand, 300 x 226": (_hand_as_array, "jacobian", np.array(ANGLES)),
}
FIGURES: Figures = {
    "instructions of an arm's value and gradient": partial(counted, "instructions", of_arm, POSE, gradient=True),
    "of its Hessian": partial(counted, "instructions", hessian(of_arm), POSE),
    "of the seventh nested gradient of tanh(sin(x) exp(x))": lambda: counted(
        "instructions", seventh_of_nested(), EXPANDED
    ),
    "elements of the energy of 64 particles, loops rolled": partial(
        counted, "elements", energy, np.array(PLACES), gradient=True
    ),
    "of the damped pendulum's Hessian, 200 steps": partial(
        counted, "elements", hessian(of_swung(DAMPED)), np.array(RELEASED)
    ),
    **{
        f"a call that is interpreted, to one once machine code has taken over: {name}": partial(taken_over, *given)
        for name, given in INTERPRETED.items()
    },
}

if __name__ == "__main__":
    told(FIGURES)
