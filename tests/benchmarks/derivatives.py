"""Costs of derivatives and programs, in ratios to recording: `python tests/benchmarks/derivatives.py`.

Both sides of each ratio are timed in turn, in one process.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from compare.alone import Figures, told
from tqdm import tqdm

from microgrid import Value, grad, hessian, nn, trace
from microgrid.functions.reductions import sum as total_of


def seconds(run: Callable[[], Any], at_least: float = 0.02) -> float:
    """The mean time of three runs or more, as many as take a while, from a collected heap."""
    gc.collect()
    times, start = 0, time.perf_counter()
    while times < 3 or time.perf_counter() - start < at_least:
        run()
        times += 1
    return (time.perf_counter() - start) / times


def compared(slow: Callable[[], Any], fast: Callable[[], Any], *, pairs: int = 7, factor: float = 1.0) -> list[float]:
    """Return the ratios of the times of the one to those of the other, times a factor."""
    return [factor * seconds(slow) / seconds(fast) for _ in tqdm(range(pairs), leave=False, disable=None)]


def mixture(length: int) -> Value:
    """A graph of sums, products and functions, in which every result is used twice."""
    x, y = Value(0.5), Value(0.25)
    for _ in range(length // 4):
        x, y = x * y + 0.5, (x - y).tanh()
    return x + y


def backward_against_recording(length: int) -> list[float]:
    """One pass over a graph, beside recording it and letting it go."""
    root = mixture(length)
    return compared(root.backward, lambda: mixture(length), pairs=7 if length < 1_000_000 else 3)


def rosenbrock(x: list[Any]) -> Any:
    """The chained Rosenbrock function."""
    return total_of([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def hessian_against_gradient(n: int) -> list[float]:
    """All second derivatives, beside as many gradients as there are inputs."""
    x = [0.1 * i for i in range(n)]
    take_all, take_one = hessian(rosenbrock), grad(rosenbrock)
    return compared(lambda: take_all(x), lambda: take_one(x), factor=1 / n)


NETWORK = nn.MLP(4, [16, 16, 1], activation="tanh", seed=0)
SUBJECTS: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "a network of 369 parameters": (NETWORK, [0.1, -0.2, 0.3, 0.4]),
    "Rosenbrock's function, n = 80": (rosenbrock, [0.5] * 80),
}


def recording_against_program(name: str) -> list[float]:
    """A function recorded, beside the same traced once and run as Python."""
    f, at = SUBJECTS[name]
    function = trace(f)(at).python()
    assert function(at) == f([Value(x) for x in at]).data
    return compared(lambda: f([Value(x) for x in at]), lambda: function(at))


def recording_against_replay(name: str) -> list[float]:
    """The same for 10,000 samples at once, in NumPy; 500 of them are recorded."""
    f, at = SUBJECTS[name]
    program = trace(f)(at)
    batch = [np.random.default_rng(0).normal(size=10_000) for _ in at]
    samples = [list(sample) for sample in zip(*(column.tolist() for column in batch), strict=True)][:500]

    def record_a_part() -> None:
        for sample in samples:
            f([Value(x) for x in sample])

    return compared(record_a_part, lambda: program(batch), pairs=3, factor=20.0)


FIGURES: Figures = {
    **{
        f"`backward()` of {n:,} operations, to recording them": partial(backward_against_recording, n)
        for n in (1_000, 10_000, 100_000, 1_000_000)
    },
    **{f"a Hessian, to n gradients, n = {n}": partial(hessian_against_gradient, n) for n in (5, 20, 80)},
    **{f"recording, to `program.python()`: {name}": partial(recording_against_program, name) for name in SUBJECTS},
    **{
        f"recording 10,000 samples, to NumPy replay: {name}": partial(recording_against_replay, name)
        for name in SUBJECTS
    },
}

if __name__ == "__main__":
    told(FIGURES)
