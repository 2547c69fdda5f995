"""The command."""

from __future__ import annotations

import argparse
import random
import sys
import time

import fuzzing
from fuzzing.endurance import EACH, compile_from, endure
from fuzzing.hunt import Hunt
from fuzzing.modes import MODES
from fuzzing.processes import PLANTS, serve


def main() -> int:
    """Search, and say what was found."""
    parser = argparse.ArgumentParser(description=fuzzing.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", type=int, default=None, help="cases after which it stops")
    parser.add_argument("--seed", type=int, default=None, help="by default another one each time")
    parser.add_argument("--most", type=int, default=10, help="findings after which it stops")
    parser.add_argument("--plant", default="", choices=["", *PLANTS], help="an error to plant, to see it found")
    parser.add_argument("--mode", action="append", choices=MODES, help="only this one; may be given several times")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--nests", type=float, default=0.15, help="the share of programs of scans within scans")
    parser.add_argument("--endure", type=int, metavar="N", help="only compile so many small programs, and run none")
    parser.add_argument("--compile-from", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(options.plant)
        return 0
    if options.compile_from is not None:
        compile_from(options.seed, options.compile_from, options.compile_from + EACH)
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}", flush=True)
    if options.endure is not None:
        return min(endure(options.endure, seed, options.seconds), 1)
    modes = options.mode or MODES
    hunt = Hunt(options.seconds, seed, plant=options.plant, modes=modes, most_cases=options.cases, nests=options.nests)
    began, count = time.monotonic(), 0
    for finding in hunt.findings(options.most):
        count += 1
        print(f"\n# finding {count}, case {hunt.cases}, after {finding.seconds:.0f} s\n{finding.script()}\n")
        sys.stdout.flush()
    print(f"{hunt.cases} cases, {count} finding(s), {time.monotonic() - began:.0f} s")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
