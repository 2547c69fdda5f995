"""Figures of microgrid alone: `FIGURES` of each script beside this folder, titles and functions that return numbers."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from compare.race import ONE_THREAD, ROOT, median
from compare.tables import figure
from microgrid.engine import COMPILED

IN_BOTH: Final = ("engine", "derivatives", "training")
"""Scripts whose figures are of both builds, or those of them that are in `RECORDED`."""
SCRIPTS: Final = (*IN_BOTH, "checker", "compiler")

Figures = dict[str, Callable[[], list[float]]]


def all_figures(tell: Callable[[str], object]) -> tuple[dict[str, dict[str, list[float]]], list[str]]:
    """Return numbers by title, then by build: "compiled" and "pure"; and the scripts that failed, with their errors."""
    found: dict[str, dict[str, list[float]]] = {}
    failed = []
    for script in SCRIPTS:
        builds: dict[str, Path | None] = {"compiled" if COMPILED else "pure": None}
        if COMPILED and script in IN_BOTH:
            builds["pure"] = ROOT
        for build, package in builds.items():
            tell(f"{script}, {build}")
            try:
                figures = _in_a_process(script, package)
            except RuntimeError as error:  # what was measured before is kept
                failed.append(f"{build}: {error}")
                tell(failed[-1])
                continue
            for title, numbers in figures.items():
                found.setdefault(title, {})[build] = numbers
    return found, failed


def _in_a_process(script: str, package: Path | None) -> dict[str, list[float]]:
    """Figures of a script, with the build of microgrid in that folder."""
    path = [*([str(package)] if package else []), *sys.path]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-m", "compare.alone", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr[-2000:]}")
    numbers: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def told(figures: Figures) -> None:
    """Print a line for each: the median, the least and the most."""
    import microgrid

    build = "compiled" if COMPILED else "pure Python"
    print(f"microgrid {microgrid.__version__} ({build}), Python {platform.python_version()}; median [least - most]")
    for title, measure in figures.items():
        print(f"  {title}: {spread(measure())}", flush=True)


def spread(numbers: list[float]) -> str:
    """The median, and the least and the most where there are several."""
    middle = figure(median(numbers))
    return middle if len(numbers) == 1 else f"{middle} [{figure(min(numbers))} - {figure(max(numbers))}]"


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    made: Figures = module.FIGURES if COMPILED else getattr(module, "RECORDED", module.FIGURES)
    print(json.dumps({title: measure() for title, measure in made.items()}))
