"""Training, in seconds: `python tests/benchmarks/training.py [steps]`, beside NumPy where it can be.

The demo by `fit`; XOR until all four answers are right; two processes against one; and the network of five labels,
10,000 full-batch steps by default, whose loss curve is compared as well.

It needs NumPy (pip install numpy).
"""

from __future__ import annotations

import contextlib
import io
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from numpy_network import NumpyNetwork
from systems import five_labels, xor

import microgrid
import microgrid.commands.cli
from microgrid import datasets, fit, losses, nn, optim
from microgrid.training import History, Objective, Spread

RATE = 0.01


def seconds(work: Callable[[], History]) -> tuple[float, History]:
    """Return the time of a run, and its history."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        history = work()
    return time.perf_counter() - start, history


def demo() -> History:
    """100 epochs of the demo."""
    points, labels = datasets.moons(100)
    model = nn.MLP(2, [16, 16, 1], seed=1337)
    optimizer = optim.SGD(model.parameters(), lambda step: 1.0 - 0.9 * step / 100)
    return fit(
        model,
        points,
        labels,
        loss=Objective("hinge", penalty=lambda parameters: losses.l2(parameters, 1e-4)),
        optimizer=optimizer,
        epochs=100,
        metrics=["accuracy"],
    )


def told(name: str, runs: list[tuple[float, History]]) -> None:
    """A line with the median, the least and the most."""
    each = sorted(took for took, _ in runs)
    print(f"{name:24} {statistics.median(each):8.2f} s [{each[0]:.2f} - {each[-1]:.2f}]   {runs[-1][1]}")


def against_numpy(steps: int) -> None:
    """The network of five labels, ours and NumPy's."""
    x, y = five_labels.samples()
    model = five_labels.network()
    oracle = NumpyNetwork(model, "sigmoid", "sigmoid")
    ours, history = seconds(lambda: five_labels.train(model, x, y, steps))
    xs, ys = np.array(x), np.array(y, dtype=float)
    start = time.perf_counter()
    curve = []
    for _ in range(steps):
        loss, gradients = oracle.loss_and_gradients(xs, ys, "binary_cross_entropy")
        oracle.descend(gradients, RATE)
        curve.append(loss)
    theirs = time.perf_counter() - start
    apart = max(abs(a - b) / abs(b) for a, b in zip(history.loss, curve, strict=True))
    print(
        f"five labels, {steps:,} steps: {ours:.1f} s, {1e3 * ours / steps:.2f} ms a step; NumPy {theirs:.2f} s", end=""
    )
    print(f" ({ours / theirs:.0f} times faster); loss curves at most {apart:.1e} apart")
    print(f"  {history}")


def burn(turns: int = 2_000_000) -> int:
    """Arithmetic that needs nothing but a processor."""
    return sum(i * i for i in range(turns))


def against_one_process(samples: int = 2000) -> None:
    """An epoch on two processes against one; and, in turn, what two processes gain here where they share nothing."""
    points, labels = datasets.moons(samples)

    def epochs(executor: Executor | None) -> None:
        model = nn.MLP(2, [16, 16, 1], seed=1337)
        loss = Spread("hinge", executor) if executor else Objective("hinge")
        fit(model, points, labels, loss=loss, optimizer="sgd", lr=0.1, epochs=3)

    def gain(one: Callable[[], object], two: Callable[[], object]) -> float:
        start = time.perf_counter()
        one()
        middle = time.perf_counter()
        two()
        return (middle - start) / (time.perf_counter() - middle)

    with ProcessPoolExecutor(2) as pool:
        epochs(pool)  # which starts the processes
        ours, possible = [], []
        for _ in range(7):
            ours.append(gain(lambda: epochs(None), lambda: epochs(pool)))
            possible.append(gain(lambda: (burn(), burn()), lambda: list(pool.map(burn, [2_000_000] * 2))))
    for name, gains in (("fit, two processes", ours), ("bare arithmetic, two", possible)):
        print(f"{name:24} {statistics.median(gains):8.2f} times faster [{min(gains):.2f} - {max(gains):.2f}] than one")


def main() -> None:
    """Print the figures."""
    print(f"microgrid {microgrid.__version__} ({microgrid.commands.cli.build()}), Python {platform.python_version()}")
    told("demo, 100 epochs", [seconds(demo) for _ in range(7)])
    told("XOR to 100 %", [seconds(lambda: xor.train(xor.network(), epochs=20_000)) for _ in range(7)])
    against_one_process()
    against_numpy(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)


if __name__ == "__main__":
    main()
