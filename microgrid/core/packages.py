"""Third-party packages that some functions need: their import, and the command that installs what is missing."""

from __future__ import annotations

import importlib
from typing import Any, Final

EXTRAS: Final = {
    "draw": "pygraphviz",
    "train": "numpy matplotlib tqdm",
    "check": "hypothesis mpmath python-flint",
    "compile": "llvmlite numpy",
    "special": "scipy",
}
"""Packages of each extra, as in pyproject.toml."""


def install(extra: str) -> str:
    """Return the command that installs an extra's packages, in a clone as well as beside a published microgrid."""
    return f"pip install {EXTRAS[extra]}"


def missing(name: str, extra: str) -> str:
    """Return the text of an error for a missing package: its name, and the command that installs it."""
    return f"{name.partition('.')[0]} is not installed, and is needed here: {install(extra)}"


def library(name: str, extra: str) -> Any:
    """Import a third-party module. Raises ImportError with the command that installs it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(missing(name, extra)) from None
