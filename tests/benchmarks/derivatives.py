"""Costs of derivatives and programs, in ratios to recording: `python tests/benchmarks/derivatives.py`.

Both sides of each ratio are timed in turn, in one process: the median of the pairs' ratios, and their spread.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

import microgrid
import microgrid.commands.cli
from microgrid import Value, grad, hessian, nn, trace
from microgrid.functions.reductions import sum as total_of


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """The median time of a run, from a collected heap."""
    times = []
    gc.collect()
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare(
    name: str, slow: Callable[[], Any], fast: Callable[[], Any], *, pairs: int = 9, factor: float = 1.0
) -> None:
    """Print how many times as long the one takes as the other, times a factor."""
    seen = []
    for _ in tqdm(range(pairs), desc=name, leave=False):
        seen.append(factor * seconds(slow, 3) / seconds(fast, 3))
    seen.sort()
    print(f"  {name:66} {statistics.median(seen):8.2f}   [{seen[0]:.2f} - {seen[-1]:.2f}]")


def mixture(length: int) -> Value:
    """A graph of sums, products and functions, in which every result is used twice."""
    x, y = Value(0.5), Value(0.25)
    for _ in range(length // 4):
        x, y = x * y + 0.5, (x - y).tanh()
    return x + y


def backward_against_recording(length: int) -> None:
    """One pass over a graph, beside recording it and letting it go."""
    root = mixture(length)
    compare(f"backward / recording, {length:,} operations", root.backward, lambda: mixture(length), pairs=7)


def cost_per_node() -> None:
    """Recording, backward and freeing, a node, at a million beside a thousand."""

    def run(length: int, times: int) -> None:
        for _ in range(times):
            mixture(length).backward()

    compare("a node among 1,000,000 / one among 1,000", lambda: run(1_000_000, 1), lambda: run(1_000, 1_000), pairs=5)


def rosenbrock(x: list[Any]) -> Any:
    """The chained Rosenbrock function."""
    return total_of([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def hessian_against_gradient(n: int) -> None:
    """All second derivatives, beside as many gradients as there are inputs."""
    x = [0.1 * i for i in range(n)]
    take_all, take_one = hessian(rosenbrock), grad(rosenbrock)
    compare(f"hessian / gradient / n, n = {n}", lambda: take_all(x), lambda: take_one(x), factor=1 / n)


def program_against_recording(name: str, f: Callable[[Any], Value], at: list[float]) -> None:
    """A function traced once and run as Python, and on a batch of samples, beside recording it each time."""
    program = trace(f)(at)
    function = program.python()
    assert function(at) == f([Value(x) for x in at]).data
    compare(f"recording / program.python(), {name}", lambda: f([Value(x) for x in at]), lambda: function(at))
    batch = [np.random.default_rng(0).normal(size=10_000) for _ in at]
    samples = [list(sample) for sample in zip(*(column.tolist() for column in batch), strict=True)]

    def record_a_part() -> None:
        for sample in samples[:500]:
            f([Value(x) for x in sample])

    title = f"recording 10,000 samples / NumPy replay, {name}"
    compare(title, record_a_part, lambda: program(batch), pairs=5, factor=20.0)


def main() -> None:
    """Print the table."""
    print(f"microgrid {microgrid.__version__} ({microgrid.commands.cli.build()}), Python {platform.python_version()}")
    print("ratios of times; median of pairs [least - most]")
    for length in (1_000, 10_000, 100_000, 1_000_000):
        backward_against_recording(length)
    cost_per_node()
    for n in (5, 20, 80):
        hessian_against_gradient(n)
    model = nn.MLP(4, [16, 16, 1], activation="tanh")
    program_against_recording(f"network of {len(model.parameters())} parameters", model, [0.1, -0.2, 0.3, 0.4])
    program_against_recording("Rosenbrock, n = 80", rosenbrock, [0.5] * 80)


if __name__ == "__main__":
    main()
