"""The pages of the documentation: their examples give what they say, and their links lead somewhere."""

from __future__ import annotations

import doctest
import functools
import importlib
import importlib.util
import inspect
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import microgrid
from microgrid import OPS

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


LONG = ("compiling", "sequences", "training")
"""Pages whose examples train and compile."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else []) for page in PAGES],
    ids=lambda page: page.stem,
)
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


def built_by() -> ModuleType:
    """Import the script that builds the pages."""
    spec = importlib.util.spec_from_file_location("build_pages", ROOT / ".github" / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def without_example(module: ModuleType, names: list[str]) -> list[str]:
    """List the functions and classes whose docstrings have no example. Doctest runs those that there are."""
    return [name for name in names if not doctest.DocTestParser().get_examples(getattr(module, name).__doc__ or "")]


def test_each_public_function_and_class_has_an_example() -> None:
    script = built_by()
    lacking, count = [], 0
    for name in script.MODULES:
        module = importlib.import_module(name)
        count += len(script.public(module))
        lacking += [f"{name}.{part}" for part in without_example(module, script.public(module))]
    assert lacking == []
    assert count > 150


def test_a_function_without_an_example_would_be_seen() -> None:
    module = ModuleType("of_two")
    exec(
        'def with_one():\n    """Return 1.\n\n    >>> with_one()\n    1\n    """\ndef without():\n    """>> 1"""',
        vars(module),
    )
    assert without_example(module, ["with_one", "without"]) == ["without"]


def wrong_rows(page: str) -> tuple[int, list[str]]:
    """Compute the examples of the table of ops with 30 digits; return the number of them, and those that differ."""
    mpmath = pytest.importorskip("mpmath")
    examples = re.findall(r"`(\w+)\(([^)]*)\)` is (\S+)", page)
    wrong = []
    for name, given, shown in examples:
        op = OPS.get(name) or getattr(microgrid.special, name)
        numbers = [float(x) for x in given.split(", ")]
        free, fixed = numbers[: op.arity - op.static], numbers[op.arity - op.static :]
        program = microgrid.trace(functools.partial(lambda op, fixed, *xs: op(*xs, *fixed), op, fixed))(*free)
        with mpmath.workdps(30):
            (exact,) = program.replay([mpmath.mpf(x) for x in free])
        if not math.isclose(float(exact), float(shown), rel_tol=1e-5):
            wrong.append(f"{name}({given}) is {float(exact):.6g}, not {shown}")
    return len(examples), wrong


def test_the_examples_of_the_table_of_ops_are_right() -> None:
    pytest.importorskip("scipy")
    assert wrong_rows(built_by().ops()) == (len(OPS), [])
    assert wrong_rows(built_by().reference("microgrid.special", "")) == (20, [])
    assert wrong_rows("| `tanh(0.5)` is 0.462 | `exp(0)` is 1 |") == (2, ["tanh(0.5) is 0.462117, not 0.462"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built by the command of the guide for contributors."""
    pytest.importorskip("sphinx")
    guide = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^\.venv/bin/python (\.github/docs/build\.py) build/\S+", guide, re.MULTILINE)
    assert "build/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    out = tmp_path_factory.mktemp("pages")
    subprocess.run([sys.executable, str(ROOT / script), str(out)], check=True, capture_output=True, text=True)
    return out


def test_the_page_of_the_playground_links_it_where_it_is_built(tmp_path: Path) -> None:
    for playground in (True, False):
        source = tmp_path / str(playground)
        source.mkdir()
        built_by().gather(source, playground=playground)
        assert ('href="playground/index.html"' in (source / "playground.md").read_text("utf-8")) == playground


def test_a_file_that_is_linked_and_is_no_page_goes_with_the_pages(tmp_path: Path) -> None:
    docs = ROOT / ".github" / "docs"
    text = "[a test](../../tests/test_pages.py), [tests](../../tests), ![b](../pictures/step.svg), [c](https://a.org/x)"
    linked = built_by().relinked(text, docs, tmp_path)
    assert linked == "[a test](test_pages.py), tests, ![b](pictures/step.svg), [c](https://a.org/x)"
    assert (tmp_path / "test_pages.py").read_bytes() == Path(__file__).read_bytes()
    moved = "[d](../../.github/CHANGELOG.md#a) and [e](README.md)"
    linked = built_by().relinked(moved, ROOT / "tests" / "benchmarks", tmp_path)
    assert linked == "[d](changelog.md#a) and [e](measurements.md)"


@pytest.mark.slow
def test_the_pages_hold_every_public_function_notebook_and_op(site: Path) -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in site.glob("reference-*.html"))
    missing = [name for name in microgrid.__all__ if f'id="microgrid.{name}"' not in reference and name not in OPS]
    described = [name for name in missing if inspect.isfunction(getattr(microgrid, name))]
    assert described == []
    assert [op for op in OPS if f">{op}</span>" not in reference] == []
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert (site / f"{notebook.stem}.html").exists()


@pytest.mark.slow
def test_formulas_are_shown_without_a_script_from_elsewhere(site: Path) -> None:
    pages = {page.name: page.read_text(encoding="utf-8") for page in site.glob("*.html")}
    assert pages["reference-ops.html"].count("<math") == len(OPS)
    assert [name for name, text in pages.items() if r"\(" in text or "merror" in text] == []
    assert [name for name, text in pages.items() if re.search(r'<(script|link)[^>]* (src|href)="https?:', text)] == []


@pytest.mark.slow
def test_links_between_the_pages_lead_to_pages_and_headings(site: Path) -> None:
    lost = []
    for page in site.glob("*.html"):
        for link in re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", name) or name.startswith("_static"):
                continue
            target = site / name if name else page
            ids = re.findall(r'id="([^"]+)"', target.read_text(encoding="utf-8")) if target.is_file() else []
            if not target.exists() or (anchor and anchor not in ids):
                lost.append((page.name, link))
    assert lost == []


@pytest.mark.slow
def test_the_steppers_of_the_notebooks_are_alive_on_their_pages(site: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site / "2-step-through-backpropagation.html").as_uri())
    stepper = page.locator(".mg-stepper, .mgs").first
    before = stepper.inner_text()
    stepper.get_by_role("button", name="Play").click()
    page.wait_for_timeout(2500)
    assert stepper.inner_text() != before
    page.close()
