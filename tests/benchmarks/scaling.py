"""Time and memory of first calls, by the number of instructions: `python tests/benchmarks/scaling.py`.

Each size runs in a process of its own: processor seconds of the first value and gradient, and the growth of the peak
of memory. The plot, of both with logarithmic axes, goes to `tests/benchmarks/scaling.svg`.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import microgrid as mg

PICTURE = Path(__file__).with_suffix(".svg")
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


def gathers(size: int) -> tuple[Callable[..., Any], list[Any]]:
    """Operations on values drawn at random: there are no loops, so it is interpreted from some size on."""
    numbers = random.Random(0)
    drawn = [(numbers.choice("asmt"), numbers.randrange(100 + k), numbers.randrange(100 + k)) for k in range(size // 2)]

    def f(xs: Any) -> Any:
        v = list(xs)
        for kind, i, j in drawn:
            a, b = v[i], v[j]
            v.append(a + b if kind == "a" else a - b if kind == "s" else 0.1 * a * b if kind == "m" else mg.tanh(a))
        return mg.sum(v)

    return f, [[numbers.gauss(0.0, 1.0) for _ in range(100)]]


def pairs(size: int) -> tuple[Callable[..., Any], list[Any]]:
    """A sum over pairs of particles, a triangle of loops."""
    count = max(2, round(math.sqrt(size / 18.0)))

    def f(xs: Any) -> Any:
        total: Any = 0.0
        for i in range(count):
            for j in range(i):
                gaps = [xs[3 * i + k] - xs[3 * j + k] for k in range(3)]
                square = gaps[0] * gaps[0] + gaps[1] * gaps[1] + gaps[2] * gaps[2]
                total = total + 1.0 / (square * square * square)
        return total

    numbers = random.Random(0)
    return f, [[numbers.gauss(0.0, 3.0) for _ in range(3 * count)]]


def steps(size: int) -> tuple[Callable[..., Any], list[Any]]:
    """Steps of a pendulum with friction, one after the other."""

    def f(angle: Any, speed: Any, friction: Any) -> Any:
        for _ in range(size // 20):
            speed = speed - 0.01 * (mg.sin(angle) + friction * speed)
            angle = angle + 0.01 * speed
        return angle

    return f, [1.0, 0.0, 0.1]


FAMILIES = {"gathers at random": gathers, "pairs of particles": pairs, "steps of a pendulum": steps}


def measured(family: str, size: int) -> tuple[int, float, float]:
    """The instructions of a program, processor seconds of its first call, and megabytes, in this process."""
    mg.compile(lambda x: mg.sin(x) * x, cache=False).value_and_grad(1.0)  # what is loaded once
    f, at = FAMILIES[family](size)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    compiled = mg.compile(f)
    compiled.value_and_grad(*at)
    seconds = time.process_time() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
    return int(compiled.report().split()[1].replace(",", "")), seconds, memory


def growth() -> dict[str, list[list[float]]]:
    """Instructions, seconds and megabytes of each size, measured in a process of its own, by family."""
    from tqdm import tqdm

    found: dict[str, list[list[float]]] = {}
    for family in FAMILIES:
        for size in tqdm(SIZES, desc=family, leave=False, disable=None):
            command = [sys.executable, __file__, family, str(size)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found.setdefault(family, []).append(json.loads(done.stdout.splitlines()[-1]))
    return found


def plot(found: dict[str, list[list[float]]]) -> None:
    """Draw both, with logarithmic axes, into the picture of the page."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    for family, rows in found.items():
        left.loglog([row[0] for row in rows], [row[1] for row in rows], "o-", label=family)
        right.loglog([row[0] for row in rows], [max(row[2], 0.1) for row in rows], "o-", label=family)
    for axes, what in ((left, "processor seconds of the first call"), (right, "megabytes, at the peak")):
        low, high = axes.get_xlim()
        middle = axes.get_ylim()[0]
        axes.plot([low, high], [middle, middle * high / low], ":", color="grey", label="in proportion")
        axes.set(xlabel="instructions", ylabel=what)
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    figure.savefig(PICTURE)


def main() -> None:
    """Print a table, and draw the plot."""
    found = growth()
    for family, rows in found.items():
        for count, seconds, memory in rows:
            print(f"{family:20} {count:12,} {seconds:8.3f} s {1e6 * seconds / count:8.1f} us each {memory:7.1f} MB")
    plot(found)
    print(f"the plot is in {PICTURE}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
