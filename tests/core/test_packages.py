"""Hints at packages that are missing: one function writes them, and what they say can be typed anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import microgrid
from microgrid.core.packages import EXTRAS, install, library

PACKAGE = Path(microgrid.__file__).parent
ROOT = Path(__file__).parents[2]


def test_a_hint_names_the_packages_of_its_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for extra in EXTRAS:
        wanted = [re.split("[>=]", package)[0] for package in extras[extra]]
        assert sorted(install(extra).removeprefix("pip install ").split()) == sorted(wanted)


def test_a_module_that_is_missing_is_an_error_with_the_command() -> None:
    with pytest.raises(ImportError, match=r"^absent is not installed, and is needed here: pip install scipy$"):
        library("absent.special", "special")


def test_no_hint_names_an_extra_which_a_clone_could_not_install_by_name() -> None:
    hints = [
        f"{path.name}: {hint}"
        for path in [*PACKAGE.rglob("*.py"), *(ROOT / ".github").rglob("*.md")]
        for hint in re.findall(r"pip install '?microgrid.*", path.read_text("utf-8"))
    ]
    assert hints == []
