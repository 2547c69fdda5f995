"""Sizes of compiled programs, which hang on no machine: `python tests/benchmarks/compiler.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from compare.alone import Figures, told
from compare.data import DAMPED, EXPANDED, PLACES, RELEASED, energy, poses
from compare.on_compiled import of_arm
from compare.on_microgrid import of_swung, seventh_of_nested

from microgrid import compile, hessian


def counted(word: str, f: Callable[..., Any], at: Any, *, gradient: bool = False) -> list[float]:
    """A number of the report of a call of that function, or of its value and gradient."""
    compiled = compile(f, cache=False)
    _ = compiled.value_and_grad(at) if gradient else compiled(at)
    found = re.search(rf"^{word}\s+([\d,]+)", compiled.report(), re.MULTILINE)
    assert found, compiled.report()
    return [float(found[1].replace(",", ""))]


POSE = poses()[0]
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
}

if __name__ == "__main__":
    told(FIGURES)
