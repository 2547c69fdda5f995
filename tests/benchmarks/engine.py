"""The engine beside micrograd, in one process: `python tests/benchmarks/engine.py`.

Times are taken in turn, ours and theirs, and compared pair by pair: the median of the ratios, and their spread. It
needs the `micrograd` package (pip install micrograd==0.1.0).
"""

from __future__ import annotations

import gc
import platform
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

import microgrid
import microgrid.commands.cli
from microgrid import Value, nn
from microgrid.datasets import moons
from microgrid.engine import topological

POINTS, LABELS = moons(100)
NODES = 65818  # of the demo's loss, in both engines


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


def ratios(pairs: int) -> dict[str, list[tuple[float, float]]]:
    """Pairs of seconds (theirs, ours) for one step, with the cycle collector as it is, and switched off.

    Each of a pair is the median of several steps after one that is not counted, from a collected heap: with the
    collector off, micrograd leaves every graph it made behind, and nobody is to pay for the other's.
    """
    from micrograd.engine import Value as TheirValue
    from micrograd.nn import MLP as TheirMLP

    sys.setrecursionlimit(10_000)
    result: dict[str, list[tuple[float, float]]] = {}
    for name, collect in (("as shipped", True), ("collector off", False)):
        theirs, ours = demo_step(TheirValue, TheirMLP), demo_step(Value, nn.MLP)
        seen = []
        for _ in tqdm(range(pairs), desc=f"demo step, {name}", leave=False):
            seconds = []
            for step in (theirs, ours):
                gc.collect()
                if not collect:
                    gc.disable()
                step()
                seconds.append(statistics.median(step() for _ in range(5)))
                gc.enable()
            seen.append((seconds[0], seconds[1]))
        result[name] = seen
    return result


def bytes_per_node() -> float:
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
    return used / (len(topological([total])) - len(model.parameters()))


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
    runs = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)]
    return statistics.median(runs) / length


def import_seconds() -> float:
    """Seconds that `import microgrid` adds to an interpreter that has started."""
    code = "import time; t = time.perf_counter(); import microgrid; print(time.perf_counter() - t)"
    runs = [float(subprocess.run([sys.executable, "-P", "-c", code], capture_output=True).stdout) for _ in range(7)]
    return statistics.median(runs)


def main() -> None:
    """Print the table."""
    print(f"microgrid {microgrid.__version__} ({microgrid.commands.cli.build()}), Python {platform.python_version()}")
    print(f"demo loss, {NODES:,} nodes, forward and backward, against micrograd; median of pairs [least - most]")
    for name, pairs in ratios(15).items():
        each = sorted(theirs / ours for theirs, ours in pairs)
        theirs, ours = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"  {name:14} {statistics.median(each):6.1f} times faster [{each[0]:.1f} - {each[-1]:.1f}]"
            f"   ({theirs:.1f} ms and {ours:.1f} ms)"
        )
    print(f"bytes a node   {bytes_per_node():6.1f}")
    short, *longer = [(length, chain(length)) for length in (1_000, 100_000, 1_000_000, 5_000_000)]
    print(f"chain of {short[0]:,}: {1e9 * short[1]:.0f} ns a node; in proportion to it:", end=" ")
    print(", ".join(f"{length:,} {seconds / short[1]:.2f}" for length, seconds in longer))
    print(f"import         {1e3 * import_seconds():6.1f} ms")


if __name__ == "__main__":
    main()
