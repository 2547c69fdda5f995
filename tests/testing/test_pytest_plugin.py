"""The pytest plugin, in pytest runs of its own: what it loads, what it selects, what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = """
import math
import microgrid as mg
from microgrid.testing import check_gradient, mutated
"""


def run(folder: Path, source: str, *options: str) -> tuple[int, str]:
    """A pytest of its own on one test file, without what is configured for this project."""
    (folder / "test_it.py").write_text(FUNCTIONS + source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_fixture_counts_and_the_summary_says_what_was_checked(tmp_path: Path) -> None:
    code, text = run(
        tmp_path,
        """
def test_smooth(gradcheck):
    assert gradcheck(lambda x, y: mg.tanh(x * y), 0.3, 2.0).verdict == "PASS"

def test_kink(gradcheck):
    gradcheck(mg.relu, 0.0)

def test_nothing():
    pass
""",
    )
    assert code == 0, text
    assert "3 partial derivatives checked: 2 PASS, 1 UNDECIDED" in text
    assert "undecided, 1 times: a kink with slopes 0 and 1" in text
    line = next(line for line in text.splitlines() if line.startswith("worst ulps by op"))
    assert {"tanh", "mul", "relu"} == {part.split()[0] for part in line.removeprefix("worst ulps by op: ").split(", ")}
    missing = next(line for line in text.splitlines() if line.startswith("ops never exercised")).split(", ")
    assert "sin" in missing
    assert "tanh" not in missing


@pytest.mark.slow
def test_the_summary_of_workers_is_that_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    source = """
import pytest

mine = mg.primitive("mine", lambda x: 2.0 * x, lambda z, x: (2.0,))
untouched = mg.primitive("untouched", lambda x: 3.0 * x, lambda z, x: (3.0,))

@pytest.mark.parametrize("x", range(1, 9))
def test_many(gradcheck, x):
    gradcheck(lambda x: mine(mg.tanh(x)) * mg.sin(x), x / 8)

@pytest.mark.parametrize("f", [mg.relu, mg.abs, lambda x: mg.abs(3 * x), mg.sqrt])
def test_undecided(gradcheck, f):
    gradcheck(f, 0.0)

def test_wrong(gradcheck):
    gradcheck(lambda x, y: x / y, 3.0, 2.0, gradient=[2.0, -3.0])
"""
    alone, shared = (run(tmp_path, source, "-n", count)[1] for count in "02")
    tables = [text[text.index("= gradients =") : text.index("= short test summary")] for text in (alone, shared)]
    assert tables[0].split("\n", 1)[1] == tables[1].split("\n", 1)[1]
    assert "14 partial derivatives checked: 8 PASS, 2 FAIL, 4 UNDECIDED" in shared
    (missing,) = re.findall(r"ops never exercised \(.*\): (.*)", shared)
    assert "untouched" in missing.split(", ")
    assert not {"mine", "tanh", "sin", "relu", "div"} & set(missing.split(", "))


def test_the_mark_selects_and_sets_options(tmp_path: Path) -> None:
    source = """
import pytest

@pytest.mark.gradcheck(reference="mpmath")
def test_digits(gradcheck):
    assert gradcheck(mg.tanh, 0.3).checks[0].numerical.evidence == "50 digits"

@pytest.mark.gradcheck(mutation=1e-40)
def test_mutation(gradcheck):
    gradcheck(mg.sin, 0.3)

@pytest.mark.gradcheck(colour="red")
def test_misuse(gradcheck):
    gradcheck(mg.sin, 0.3)

def test_other():
    raise RuntimeError
"""
    code, text = run(tmp_path, source, "-m", "gradcheck", "--strict-markers")
    assert code == 1
    assert "2 failed, 1 passed, 1 deselected" in text
    assert "the rule of sin by operand 0 was wrong by 1 + 1e-40, and passed" in text
    assert "gradcheck takes reference, order, mutation, not colour" in text


def test_a_failure_shows_the_report(tmp_path: Path) -> None:
    code, text = run(
        tmp_path,
        """
def test_fixture(gradcheck):
    gradcheck(lambda x, y: x * y, 3.0, 2.0, gradient=[2.0, -3.0])

def test_assertion():
    with mutated(mg.ops.tanh, delta=1e-3):
        assert check_gradient(mg.tanh, 0.3).verdict == "PASS"
""",
    )
    assert code == 1
    assert "likely cause: ratio -1: a sign" in text
    assert "assert FAIL == 'PASS'" in text
    assert "culprit: the rule of tanh, by its operand 0" in text


@pytest.mark.slow
def test_the_options_of_the_command_line(tmp_path: Path) -> None:
    source = """
def test_it(gradcheck):
    evidence = gradcheck(lambda x: mg.sin(x) * x, 0.3).checks[0].numerical.evidence
    assert evidence == "floats"
"""
    code, text = run(tmp_path, source, "--gradcheck-reference=floats")
    assert code == 0, text
    code, text = run(tmp_path, source.replace("floats", "certified"), "--gradcheck-mutation")
    assert code == 0, text
    code, text = run(tmp_path, source, "--gradcheck-reference=guess")
    assert code != 0
    assert "invalid choice: 'guess'" in text


def test_the_plugin_loads_nothing_until_it_is_used(tmp_path: Path) -> None:
    source = """
import sys

def test_it():
    loaded = {name.split(".")[0] for name in sys.modules}
    assert not loaded & {"flint", "mpmath", "numpy", "matplotlib"}
    assert "microgrid.testing.checker" not in sys.modules
"""
    (tmp_path / "test_it.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "gradients" not in done.stdout


@pytest.mark.parametrize("option", ["--markers", "--fixtures", "--help"])
def test_pytest_explains_it(tmp_path: Path, option: str) -> None:
    assert "gradcheck" in run(tmp_path, "", option)[1]
