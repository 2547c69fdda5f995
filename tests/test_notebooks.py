"""Every notebook runs, and prints what it shows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def printed(notebook: Any) -> list[str]:
    return [o.text for cell in notebook.cells for o in cell.get("outputs", []) if o.get("name") == "stdout"]


def pictures(notebook: Any) -> int:
    return sum("image/svg+xml" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))


@pytest.mark.filterwarnings("ignore")  # of the notebook tools, which are not ours
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_it_shows(path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pygraphviz")
    kept = nbformat.read(path, as_version=4)
    run = copy.deepcopy(kept)
    nbclient.NotebookClient(run, timeout=60, kernel_name="python3").execute()
    assert printed(run) == printed(kept)
    assert pictures(run) == pictures(kept) > 0


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
