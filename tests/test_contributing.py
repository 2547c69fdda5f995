"""The guide for contributors says what is so: its commands, and the files that it names."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("name", ["tests.yml", "wheels.yml", "pages.yml"])
def test_workflows_say_that_they_were_not_run(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    assert "not run on them yet" in text.splitlines()[0]
    assert "\t" not in text
