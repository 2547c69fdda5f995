"""Tests are shared among processes where there are many, and none of them leaves anything behind for another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OPTIONS = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
TESTS = """
import os

import microgrid as mg
import pytest

@pytest.mark.parametrize("k", range(4))
def test_places(k, summary):
    assert "left_over" not in mg.OPS
    mg.primitive("left_over", lambda x: 2.0 * x, lambda z, x: (2.0,))
    summary("places", f"{k} in {os.environ.get('PYTEST_XDIST_WORKER', 'one process')}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with this project's conftest and options, and few tests."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "chromium.py"):
        shutil.copy(HERE / name, tmp_path / "tests")
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / "tests" / name).write_text(TESTS)
    lines = [f"testpaths = {OPTIONS['testpaths'][0]}", f"pythonpath = {OPTIONS['pythonpath'][0]}"]
    lines += [f"markers = {OPTIONS['markers'][0]}", "addopts = " + " ".join(map(repr, OPTIONS["addopts"]))]
    (tmp_path / "pytest.ini").write_text("\n".join(["[pytest]", *lines]))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "count", "shared"),
    [
        ("", 8, True),
        ("tests", 8, True),
        ("tests/test_a.py tests/test_b.py::test_places[2]", 5, False),
        ("-k 2", 2, False),
        ("-n0", 8, False),
    ],
)
def test_many_tests_are_shared_among_processes_and_few_are_not(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, count: int, shared: bool
) -> None:
    pytest.importorskip("xdist")
    if (os.cpu_count() or 1) == 1:
        pytest.skip("there is one core: nothing is shared")
    for name in ("AUTO_NUM_WORKERS", "WORKER", "WORKER_COUNT", "TESTRUNUID"):  # those of the run that this is part of
        monkeypatch.delenv(f"PYTEST_XDIST_{name}", raising=False)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run([*command, *arguments.split()], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} passed" in done.stdout
    places = re.findall(r"^[0-3] in (gw|one process)", done.stdout, re.MULTILINE)
    assert places == ["gw" if shared else "one process"] * count
