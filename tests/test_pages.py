"""The pages of the documentation: their examples give what they say, and their links lead somewhere."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / ".github" / "docs").glob("*.md"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
WITH_LINKS = [
    *PAGES,
    ROOT / "README.md",
    *(ROOT / ".github").glob("*.md"),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]


def run_examples(text: str, name: str) -> tuple[int, str]:
    """Run the examples of a page; return the number of them and the report on those that fail."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(code, {}, name, None, None)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    return len(test.examples), "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_give_what_they_say(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("llvmlite", "matplotlib", "scipy", "flint"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    count, report = run_examples(text, page.name)
    assert report == ""
    assert count == text.count(">>> ")


def test_an_example_that_lies_is_found() -> None:
    _, report = run_examples("```python\n>>> 1 + 1\n3\n```\n", "page")
    assert "Expected:\n    3\nGot:\n    2" in report


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as they are made on the web."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: Path) -> list[str]:
    """Links of a page to files or headings that are not there."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n".join(
            "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
        )
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        if link.startswith(("https://", "http://", "mailto:", "data:")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A head\n[x](b.md) [y](#a-head) [z](#another)\n")
    assert broken(tmp_path / "a.md") == ["b.md", "#another"]
