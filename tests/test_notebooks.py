"""Every notebook runs, and prints what it shows: the quick ones always, the long ones with `-m slow`.

After a change, `python tests/test_notebooks.py` runs them anew and keeps what comes out; names of files pick some.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted(
    (Path(__file__).parent.parent / "notebooks").glob("*.ipynb"), key=lambda path: int(path.name.partition("-")[0])
)
QUICK = ("1-",)
"""Notebooks that train and compile nothing: three seconds at most."""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST = 1_000_000
"""Bytes of a notebook with its outputs: a repository keeps each version for ever."""


def executed(notebook: Any) -> Any:
    """The notebook after a run in a fresh kernel, as it is to be kept: nothing of the machine or the hour is in it.

    Raises CellExecutionError when a cell does.
    """
    from nbclient import NotebookClient

    run = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory() as folder:  # where only the installed package is found
        place = {"metadata": {"path": folder}}
        NotebookClient(run, timeout=600, kernel_name="python3", record_timing=False, resources=place).execute()
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs = kept_of(cell.outputs)
    run.metadata = METADATA
    return run


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def kept_of(outputs: list[Any]) -> list[Any]:
    """Without bars of progress, which are there when ipywidgets is, and what the machine says of its fonts.

    What is printed comes in pieces, as the clock has it; they are put together.
    """
    errors = "".join(o.text for o in outputs if o.get("name") == "stderr")
    of_fonts = not re.sub(r"Fontconfig warning: .*\n?", "", errors).strip()
    whole: list[Any] = []
    for output in outputs:
        if WIDGET in output.get("data", {}) or (of_fonts and output.get("name") == "stderr"):
            continue
        if whole and output.output_type == whole[-1].output_type == "stream" and output.name == whole[-1].name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def texts(notebook: Any) -> list[str]:
    """Return the text that the cells print and show, without the addresses of objects."""
    shown = [o.text if o.output_type == "stream" else o.data.get("text/plain", "") for o in outputs(notebook)]
    return [re.sub(r" at 0x[0-9a-f]+", "", text) for text in shown]


def kinds(notebook: Any) -> list[list[str]]:
    """In which ways each output is shown: text, pictures, HTML."""
    return [sorted(o.get("data", {})) for o in outputs(notebook)]


@pytest.mark.filterwarnings("ignore")  # of the notebook tools, which are not ours
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if path.name.startswith(QUICK) else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs_and_shows_what_it_keeps(path: Path) -> None:
    for package in ("nbclient", "ipykernel", "pygraphviz", "matplotlib", "flint"):
        pytest.importorskip(package)
    nbformat = pytest.importorskip("nbformat")
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    run = executed(kept)
    assert texts(run) == texts(kept)
    assert kinds(run) == kinds(kept)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_well_without_running(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert notebook.metadata == METADATA
    assert notebook.cells[0].source.startswith("# ")
    assert [o for o in outputs(notebook) if o.get("name") == "stderr"] == []
    assert {"image/svg+xml", "image/png", "text/html"} & {kind for shown in kinds(notebook) for kind in shown}
    assert path.stat().st_size < LARGEST


def faults(k: int, cells: list[str], last: bool) -> list[str]:
    """List what the Markdown cells of the k-th notebook lack as a part of the course."""
    wanted = {
        "its number and a title": re.match(rf"# {k}\. \w", cells[0]),
        "what one knows at its end": re.search(r"At\s+the\s+end\s+of\s+this\s+notebook", cells[0]),
        "exercises": "## Exercises" in cells[-1],
        "answers, folded away": "<details><summary>Answers</summary>\n\n" in cells[-1]
        and "\n\n</details>" in cells[-1],
        "a link forward": last or re.search(rf"\*\*Next:\*\* \[{k + 1}\. [^]]+\]\({k + 1}-", cells[-1]),
        "a link back": k == 1 or re.search(rf"\*\*Back:\*\* \[{k - 1}\. [^]]+\]\({k - 1}-", cells[-1]),
    }
    return [name for name, found in wanted.items() if not found]


def markdown(path: Path) -> list[str]:
    """Return the Markdown cells of a notebook."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_part_of_the_course(path: Path) -> None:
    k = NOTEBOOKS.index(path) + 1
    assert faults(k, markdown(path), last=k == len(NOTEBOOKS)) == []


def test_what_a_part_of_the_course_lacks_is_seen() -> None:
    assert len(faults(2, ["# Title"], last=False)) == 6
    assert faults(3, markdown(NOTEBOOKS[1]), last=False) == ["its number and a title", "a link forward", "a link back"]


def test_titles_in_links_are_those_of_the_notebooks() -> None:
    titles = {path.name: markdown(path)[0].splitlines()[0].removeprefix("# ") for path in NOTEBOOKS}
    links = [link for path in NOTEBOOKS for link in re.findall(r"\[(\d+\. [^]]+)\]\(([^)]+)\)", markdown(path)[-1])]
    assert len(links) >= 2 * len(NOTEBOOKS) - 2
    assert [link for link in links if titles[link[1]] != link[0]] == []


def test_a_number_that_drifts_is_seen() -> None:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)\nobject()")])
    run = executed(notebook)
    assert texts(run) == ["42\n", "<object>"]
    run.cells[0].source = "print(6 * 8)\nobject()"
    assert texts(executed(run)) == ["48\n", "<object>"]  # and the other address is no drift


def test_the_notebooks_are_numbered() -> None:
    assert [path.name.split("-")[0] for path in NOTEBOOKS] == [str(i + 1) for i in range(len(NOTEBOOKS))]
    assert NOTEBOOKS


if __name__ == "__main__":
    nbformat = pytest.importorskip("nbformat")
    for path in map(Path, sys.argv[1:]) if len(sys.argv) > 1 else NOTEBOOKS:
        nbformat.write(executed(nbformat.read(path, as_version=4)), path)
        print("kept", path)
