"""Results of the gradient checker on random programs: `python tests/benchmarks/checker.py [how many]`.

False alarms, the share of partials that are certified, the time of one, and the mutations that are caught.
"""

from __future__ import annotations

import collections
import random
import statistics
import sys
import time
from typing import Any

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


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rng = random.Random(0)
    verdicts: collections.Counter[str] = collections.Counter()
    for _ in tqdm(range(count), desc="random programs", leave=False):
        f, at = random_function(rng, SMOOTH + KINKED, rng.randint(1, 40))
        report = check_gradient(f, *at)
        verdicts.update(check.verdict for check in report.checks)
        if report.verdict == "FAIL":
            print(report)
    print(f"{count:,} random programs of 1 to 40 operations: {dict(verdicts)} partials")

    evidence: collections.Counter[str] = collections.Counter()
    times = []
    for _ in tqdm(range(count // 10), desc="smooth programs", leave=False):
        f, at = random_function(rng, SMOOTH, 20)
        at = [x + rng.uniform(-0.5, 0.5) for x in at]
        program = trace(f)(*at)
        for i in range(len(at)):
            start = time.perf_counter()
            evidence[derivative(program, *at, along=i).evidence] += 1
            times.append(time.perf_counter() - start)
    share = evidence["certified"] / evidence.total()
    print(f"smooth programs of 20 operations: {100 * share:.1f} % of partials certified {dict(evidence)}")
    print(f"one partial: {1e3 * statistics.median(times):.2f} ms, median; nine in ten below", end=" ")
    print(f"{1e3 * statistics.quantiles(times, n=10)[-1]:.2f} ms")

    caught: collections.Counter[tuple[str, int]] = collections.Counter()
    for _ in tqdm(range(count // 100), desc="mutations", leave=False):
        f, at = random_function(rng, SMOOTH + KINKED, 8)
        if check_gradient(f, *at).verdict == "PASS":
            caught.update(assert_detects_wrong_gradient(f, *at))
    print(f"rules wrong by 1e-12: {caught.total()} planted, all caught, of {len(caught)} different (op, operand)")


if __name__ == "__main__":
    main()
