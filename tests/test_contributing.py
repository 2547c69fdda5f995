"""The guide for contributors says what is so: its commands, and the files that it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_files_that_it_names_are_there() -> None:
    named = {name for name in re.findall(r"`([\w./]+/|[\w./]+\.(?:py|md))`", GUIDE) if "build/" not in name}
    assert {
        "commands/cli.py",
        "microgrid/ops.py",
        "tests/test_ops.py",
        "tests/benchmarks/",
        ".github/CHANGELOG.md",
    } <= named
    assert [name for name in named if not any((folder / name).exists() for folder in (ROOT, ROOT / "microgrid"))] == []


def test_it_is_one_page() -> None:
    assert len(GUIDE.splitlines()) < 80


@pytest.mark.slow
def test_its_command_writes_the_reference_into_a_folder_that_git_ignores(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    (command,) = re.findall(r"^\.venv/bin/(pdoc .*)$", GUIDE, re.MULTILINE)
    pdoc, option, folder, *modules = shlex.split(command)
    assert (pdoc, option) == ("pdoc", "-o")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{folder.split('/')[0]}/" in ignored
    subprocess.run([sys.executable, "-m", "pdoc", "-o", tmp_path, *modules], check=True, capture_output=True)
    page = (tmp_path / "microgrid.html").read_text(encoding="utf-8")
    assert 'id="Value.backward"' in page
    assert 'id="hessian"' in page
    assert 'id="check_gradient"' in (tmp_path / "microgrid" / "testing.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["tests.yml", "wheels.yml"])
def test_workflows_say_that_they_were_not_run(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    assert "not run on them yet" in text.splitlines()[0]
    assert "\t" not in text
