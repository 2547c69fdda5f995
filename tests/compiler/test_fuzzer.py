"""Some seconds of the search for wrong numbers; half a minute where long searches are wanted; and what it must find.

`MICROGRID_FUZZ_SECONDS` says how long it takes. The short one has the same programs each time.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from fuzzing.grammar import grow, smaller
from fuzzing.hunt import Hunt
from fuzzing.modes import function_of
from fuzzing.processes import PLANTS, ROOT

COMPILED = ["value_and_grad to the bit", "batch_value_and_grad to the bit"]
INTERPRETED = ["interpreted value_and_grad to the bit", "interpreted batch_value_and_grad to the bit"]
TREES = ["tree to the bit", "tree gradient to the bit"]
SIMPLIFIED = ["simplified without signs", "simplified gradient"]
MODES_OF = {"forgotten static": TREES, "swapped array": TREES, "reused slot": INTERPRETED, "lost sign": SIMPLIFIED}
IN_LOOPS = ("done lane", "cotangent twice", "state overwritten")
"""Plants in the code of loops that are traced once."""
ELSEWHERE = ("zero times anything", "swapped difference", "lost entry", "unwritten slot")
"""Plants like those of quick tests of their own: of what simplifies, of sparse derivatives, and of what takes over."""


def search(seconds: str, seed: int) -> None:
    hunt = Hunt(float(os.environ.get("MICROGRID_FUZZ_SECONDS", seconds)), seed)
    for finding in hunt.findings():
        pytest.fail(f"seed {seed}, case {hunt.cases}\n{finding.script()}", pytrace=False)
    assert hunt.cases


def test_random_loops_compute_in_every_mode_what_was_recorded() -> None:
    search("2", 0)


@pytest.mark.slow
def test_so_do_those_of_a_long_search() -> None:
    search("30", random.SystemRandom().getrandbits(32))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(plant, marks=pytest.mark.slow) if plant == "swapped array" else plant
        for plant in PLANTS
        if plant not in ELSEWHERE
    ],
)
def test_an_error_planted_in_the_compiler_is_found_and_shown(plant: str) -> None:
    nests = 0.15 if plant in IN_LOOPS else 0.0
    hunt = Hunt(120.0, 2, plant=plant, modes=MODES_OF.get(plant, COMPILED), nests=nests)
    (finding,) = hunt.findings(small=1.0)
    assert ("process ended" if plant == "abort" else "recorded") in finding.what
    command = [sys.executable, "-W", "ignore", "-c", finding.script()]
    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    if plant == "abort":
        assert shown.returncode < 0
        assert "planted" in shown.stderr
    else:
        assert finding.what in shown.stdout


@pytest.mark.parametrize("seed", [pytest.param(i, marks=pytest.mark.slow) if i > 4 else i for i in range(20)])
def test_what_is_left_of_a_program_is_a_program(seed: int) -> None:
    for simple in [grow(random.Random(seed)), *smaller(grow(random.Random(seed)))]:
        assert callable(function_of(simple.source()))
        assert callable(function_of(simple.source(several=True)))
