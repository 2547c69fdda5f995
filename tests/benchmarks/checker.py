"""Results of the gradient checker on random programs: `python tests/benchmarks/checker.py`."""

from __future__ import annotations

import collections
import functools
import random
import statistics
import time
from typing import Any

from compare.alone import Figures, told
from tqdm import tqdm

from microgrid import OPS, trace
from microgrid.testing import assert_detects_wrong_gradient, check_gradient, derivative

SMOOTH = "add sub mul div neg exp sin cos tanh sigmoid softplus atan asinh erf gaussian silu gelu".split()
KINKED = "relu abs maximum minimum where hypot softsign floor mod copysign".split()


def random_function(rng: random.Random, names: list[str], steps: int) -> tuple[Any, list[float]]:
    """A function of 1 to 3 inputs, each step of which refers back to any earlier number; and a point."""
    inputs = rng.randint(1, 3)
    constants = [rng.choice([0.5, -1.0, 2.0, 3.0])]
    plan = []
    for k in range(steps):
        op = OPS[rng.choice(names)]
        plan.append((op, [rng.randrange(inputs + 1 + k) for _ in range(op.arity)]))

    def f(*xs: Any) -> Any:
        known = [*xs, *constants]
        for op, operands in plan:
            known.append(op(*[known[i] for i in operands]))
        return OPS["add"](known[-1], OPS["mul"](0.0, xs[0]))

    return f, [rng.choice([rng.uniform(-2.0, 2.0), float(rng.randint(-2, 2))]) for _ in range(inputs)]


def false_alarms(count: int = 10_000) -> list[float]:
    """The number of right gradients of random programs that are called wrong."""
    rng = random.Random(0)
    verdicts: collections.Counter[str] = collections.Counter()
    for _ in tqdm(range(count), desc="random programs", leave=False, disable=None):
        f, at = random_function(rng, SMOOTH + KINKED, rng.randint(1, 40))
        verdicts[check_gradient(f, *at).verdict] += 1
    return [float(verdicts["FAIL"])]


@functools.cache
def smooth(count: int = 1_000) -> tuple[float, list[float]]:
    """The share of partials of smooth programs that are certified, and the milliseconds of each."""
    rng = random.Random(1)
    evidence: collections.Counter[str] = collections.Counter()
    times = []
    for _ in tqdm(range(count), desc="smooth programs", leave=False, disable=None):
        f, at = random_function(rng, SMOOTH, 20)
        at = [x + rng.uniform(-0.5, 0.5) for x in at]
        program = trace(f)(*at)
        for i in range(len(at)):
            start = time.perf_counter()
            evidence[derivative(program, *at, along=i).evidence] += 1
            times.append(1e3 * (time.perf_counter() - start))
    return evidence["certified"] / evidence.total(), times


def missed(count: int = 100) -> list[float]:
    """The number of rules wrong by 1e-12 that are not noticed; what is planted is at least as many as programs."""
    rng = random.Random(2)
    caught: collections.Counter[tuple[str, int]] = collections.Counter()
    for _ in tqdm(range(count), desc="mutations", leave=False, disable=None):
        f, at = random_function(rng, SMOOTH + KINKED, 8)
        if check_gradient(f, *at).verdict == "PASS":
            caught.update(assert_detects_wrong_gradient(f, *at))  # raises for one that is missed
    assert caught.total() >= count
    return [0.0]


FIGURES: Figures = {
    "10,000 random programs of 1 to 40 operations checked: false alarms": false_alarms,
    "1,000 smooth programs of 20 operations: % of the partials certified": lambda: [100.0 * smooth()[0]],
    "the same: ms for a partial, the median": lambda: [statistics.median(smooth()[1])],
    "rules wrong by 1e-12, in 100 programs: missed": missed,
}

if __name__ == "__main__":
    told(FIGURES)
