"""The engine beside micrograd, in one process: `python tests/benchmarks/engine.py`.

Times are taken in turn, ours and theirs, and compared pair by pair. It needs micrograd (pip install micrograd==0.1.0).
"""

from __future__ import annotations

import gc
import random
import statistics
import subprocess
import sys
import time
import timeit
import tracemalloc
from collections.abc import Callable
from typing import Any

from compare.alone import Figures, told
from compare.tables import AGAINST_MICROGRAD
from tqdm import tqdm

import microgrid
from microgrid import Value, nn
from microgrid.datasets import moons
from microgrid.engine import topological

POINTS, LABELS = moons(100)


def demo_step(value: Any, mlp: Any) -> Callable[[], float]:
    """One training step of micrograd's demo on a network of its own; seconds for forward and backward."""
    random.seed(1337)
    model = mlp(2, [16, 16, 1])
    holder: list[Any] = [None]  # keeps the last graph while the next is made, as a notebook's variable does

    def step() -> float:
        start = time.perf_counter()
        scores = [model(list(map(value, point))) for point in POINTS]
        losses = [(1 + -label * score).relu() for label, score in zip(LABELS, scores, strict=True)]
        total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        holder[0] = total
        seconds = time.perf_counter() - start
        for p in model.parameters():
            p.data -= 0.1 * p.grad
        return seconds

    return step


def against_micrograd(*, collect: bool, pairs: int = 5) -> list[float]:
    """Ratios of micrograd's time for a step to ours, with the cycle collector as it is, or switched off.

    Each of a pair is the median of several steps after one that is not counted, from a collected heap: with the
    collector off, micrograd leaves every graph it made behind, and nobody is to pay for the other's.
    """
    from micrograd.engine import Value as TheirValue
    from micrograd.nn import MLP as TheirMLP

    sys.setrecursionlimit(10_000)
    theirs, ours = demo_step(TheirValue, TheirMLP), demo_step(Value, nn.MLP)
    seen = []
    for _ in tqdm(range(pairs), desc="demo step", leave=False, disable=None):
        seconds = []
        for step in (theirs, ours):
            gc.collect()
            if not collect:
                gc.disable()
            step()
            seconds.append(statistics.median(step() for _ in range(3)))
            gc.enable()
        seen.append(seconds[0] / seconds[1])
    return seen


def bytes_per_node() -> list[float]:
    """Bytes that a node of the demo's loss takes after backward, with everything that it alone keeps alive."""
    random.seed(1337)
    model = nn.MLP(2, [16, 16, 1])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    total = sum((1 + -label * model(point)).relu() for label, point in zip(LABELS, POINTS, strict=True))
    assert isinstance(total, Value)
    total.backward()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return [used / (len(topological([total])) - len(model.parameters()))]


CHAIN = """
import sys, threading, time
from microgrid import Value

def run():
    start = time.perf_counter()
    x = Value(1.0)
    y = x
    for _ in range(length):
        y = y + x
    y.backward()
    assert x.grad == length + 1
    del y
    print(time.perf_counter() - start)

length = int(sys.argv[1])
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def chain(length: int) -> float:
    """Seconds a node, to build a chain of additions, differentiate and free it, on a stack of 1 MB.

    In a new process each time: memory that a graph before has warmed up serves a short chain twice as fast.
    """
    command = [sys.executable, "-P", "-c", CHAIN, str(length)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout) / length


def long_chain() -> list[float]:
    """The cost of a node among five millions, to that of one among a thousand."""
    return [chain(5_000_000) / statistics.median(chain(1_000) for _ in range(3)) for _ in range(2)]


def import_milliseconds() -> list[float]:
    """The time that `import microgrid` adds to an interpreter that has started."""
    code = "import time; t = time.perf_counter(); import microgrid; print(1e3 * (time.perf_counter() - t))"
    return [float(subprocess.run([sys.executable, "-P", "-c", code], capture_output=True).stdout) for _ in range(7)]


def recorded_call() -> list[float]:
    """Microseconds of a recorded value and gradient of two floats."""
    both = microgrid.value_and_grad(lambda x, y: x * y + x * x, (0, 1))
    return [min(timeit.repeat(lambda: both(0.5, 2.0), number=1_000, repeat=20)) * 1e3]


FIGURES: Figures = {
    AGAINST_MICROGRAD: lambda: against_micrograd(collect=True),
    "the same, with the cycle collector off": lambda: against_micrograd(collect=False),
    "bytes a node": bytes_per_node,
    "a node of a chain of 5,000,000 operations, to one of 1,000, on a stack of 1 MB": long_chain,
    "a value and gradient of two floats, recorded: µs": recorded_call,
    "`import microgrid`: ms": import_milliseconds,
}

if __name__ == "__main__":
    told(FIGURES)
