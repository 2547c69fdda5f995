"""The README's example runs and prints what its comments say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from microgrid import nn

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
    space: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(first, "README.md", "exec"), space)
    stepping, derivatives, checks, training, compiling, declaration = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(stepping, "README.md", "exec"), space)
    (line, answer) = re.findall(r"^(steps\S.*formula) +# '(.*)'$", stepping, re.MULTILINE)[0]
    assert eval(line, space) == answer
    pytest.importorskip("matplotlib")
    exec(compile(training, "README.md", "exec"), space)
    check_that_it_learned(training, space)
    assert {path.name for path in tmp_path.iterdir()} == {"steps.html", "film.html", "spirals.json"}
    with pytest.raises(FloatingPointError, match=r"^log\(0\.0\) gave -inf, at example.py:8$"):
        exec(compile(derivatives, "example.py", "exec"), space)
    exec(compile(checks, "README.md", "exec"), space)
    (line, answer) = re.findall(r"^(check_gradient\S.*?) +# '(.*)'$", checks, re.MULTILINE)[0]
    assert eval(line, space) == answer
    exec(compile(declaration, "README.md", "exec"), space)
    pytest.importorskip("llvmlite")
    exec(compile(compiling, "README.md", "exec"), space)
    found = re.findall(r"^(\S.*?) +# ([(\[\d].*)$", compiling, re.MULTILINE)
    assert len(found) == 3
    for line, answer in found:
        assert repr(eval(line, space)) == answer
    fast, step = (space[name] for name in ("fast", "step"))
    fast([1.0] * 20)  # the loops are those of the last call
    assert "for i in range(18):" in str(fast.loops)
    assert "for (" in fast.c()
    before, gradient = step([[0.0, 1.0], [1.0, 1.0]], [1.0, 2.0])
    step.parameters -= 1e-3 * gradient
    assert step([[0.0, 1.0], [1.0, 1.0]], [1.0, 2.0])[0] < before
    told = re.findall(r"^(\S.*?) +# (\S.*)$", derivatives, re.MULTILINE)
    evaluated = {line: answer for line, answer in told if answer[0] in "{0123456789"}
    assert len(evaluated) == 2
    for line, answer in evaluated.items():
        assert repr(eval(line, space)) == answer
    assert len(space["program"].instructions) == 3


def check_that_it_learned(code: str, space: dict[str, Any]) -> None:
    """The training example shows a network that learns: it is right on its data, and its file holds it."""
    model, points, labels, film = (space[name] for name in ("model", "points", "labels", "film"))
    right = [max(range(3), key=lambda k: outputs[k].data) for outputs in map(model, points)]
    assert sum(a == b for a, b in zip(right, labels, strict=True)) >= 0.95 * len(labels)
    ((line, answer),) = re.findall(r"^(history\[.*\]) +# (.*)$", code, re.MULTILINE)
    assert repr(eval(line, space)) == answer
    assert space["history"].restored.startswith("restored the parameters for which validation_loss was best")
    assert film.frames[-1].loss < 0.2 * film.frames[0].loss
    again = nn.MLP(2, [16, 3], activation="tanh").load("spirals.json")
    assert again.state_dict() == model.state_dict()


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("https:"):
            assert (Path(__file__).parent.parent / target).exists(), target


def test_its_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    from microgrid.commands.cli import main

    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    first, second = (shlex.split(line)[2:] for line in block.splitlines())
    assert main(first) == 0
    assert (tmp_path / "steps.html").exists()
    (tmp_path / "model.py").write_text(MODEL)
    assert main(second) == 0
    (tmp_path / "model.py").write_text(MODEL.replace("2.0 * x", "x"))
    assert main(second) == 1


MODEL = """
def loss(x, w):
    return w[0] * x**2 + w[1]

def by_hand(x, w):
    return [2.0 * x * w[0], [x**2, 1.0]]
"""


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150
