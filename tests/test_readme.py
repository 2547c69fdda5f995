"""The README's example runs and prints what its comments say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from microgrid import OPS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_its_comments_say() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    expected = re.findall(r"^print.*?# (.*)$", code, re.MULTILINE)
    assert expected
    assert printed.getvalue().splitlines() == expected


def test_the_other_examples_run_and_end_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    space: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(first, "README.md", "exec"), space)
    stepping, derivatives, checks, training, compiling, declaration = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(stepping, "README.md", "exec"), space)
    (line, answer) = re.findall(r"^(steps\S.*formula) +# '(.*)'$", stepping, re.MULTILINE)[0]
    assert eval(line, space) == answer
    pytest.importorskip("matplotlib")
    exec(compile(training, "README.md", "exec"), space)
    assert {path.name for path in tmp_path.iterdir()} == {"steps.html", "film.html", "spirals.json"}
    with pytest.raises(FloatingPointError, match=r"^log\(0\.0\) gave -inf, at example.py:11$"):
        exec(compile(derivatives, "example.py", "exec"), space)
    exec(compile(checks, "README.md", "exec"), space)
    (line, answer) = re.findall(r"^(check_gradient\S.*?) +# '(.*)'$", checks, re.MULTILINE)[0]
    assert eval(line, space) == answer
    exec(compile(declaration, "README.md", "exec"), space)
    del OPS["cube"]  # for the tests that go over the table
    pytest.importorskip("llvmlite")
    exec(compile(compiling, "README.md", "exec"), space)
    for line, answer in re.findall(r"^(\S.*?) +# ([(\[].*)$", compiling, re.MULTILINE):
        assert repr(eval(line, space)) == answer
    told = re.findall(r"^(\S.*?) +# (\S.*)$", derivatives, re.MULTILINE)
    evaluated = {line: answer for line, answer in told if answer[0] in "{0123456789"}
    assert len(evaluated) == 2
    for line, answer in evaluated.items():
        assert repr(eval(line, space)) == answer
    assert len(space["program"].instructions) == 3  # type: ignore[attr-defined]


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("https:"):
            assert (Path(__file__).parent.parent / target).exists(), target


def test_its_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    from microgrid.cli import main

    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    first = shlex.split(block.splitlines()[0])[2:]
    assert main(first) == 0
    assert (tmp_path / "steps.html").exists()


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 260
