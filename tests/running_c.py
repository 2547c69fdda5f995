"""Loops in C, built with the C compiler and run."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Results = tuple[list[float], list[float]]


def run_c(text: str, folder: Path, x: list[float], p: list[float], y: int, d: int) -> Results:
    """Return the output of a function in C, built on the spot."""
    return built(text, folder)(x, p, y, d)


def built(text: str, folder: Path) -> Callable[[list[float], list[float], int, int], Results]:
    """Return a function in C, given the numbers of x and p, and how many there are of y and d."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (folder / "f.c").write_text(text)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Werror", "-Wno-unused-parameter", "-O1", "-ffp-contract=off"]
    subprocess.run([compiler, *flags, "-shared", "-fPIC", "f.c", "-o", "f.so", "-lm"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "f.so"))

    def run(x: list[float], p: list[float], y: int, d: int) -> Results:
        arrays = [(ctypes.c_double * max(len(v), 1))(*v) for v in (x, p, [0.0] * y, [0.0] * d)]
        library.f(*arrays)
        return list(arrays[2])[:y], list(arrays[3])[:d]

    return run
