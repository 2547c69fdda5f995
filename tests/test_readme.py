"""The README's example runs and prints what its comments say."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import runpy
import zlib
from pathlib import Path
from typing import Any

import pytest

from microgrid.steps import steps

PICTURES = Path(__file__).parents[1] / ".github" / "pictures"
README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_its_comments_say() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    expected = re.findall(r"^print.*?# (.*)$", code, re.MULTILINE)
    assert expected
    assert printed.getvalue().splitlines() == expected


def test_the_commands_of_its_page_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    from microgrid.commands.cli import main

    page = (PICTURES.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    first, second = (shlex.split(line)[2:] for line in block.splitlines()[:2])
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
    assert len(README.splitlines()) <= 130


def script() -> dict[str, Any]:
    """The names of the script that makes the pictures."""
    return runpy.run_path(str(PICTURES / "make.py"))


@pytest.mark.parametrize("name", ["step", "verdict", "loops"])
def test_the_cards_say_what_the_software_says(name: str) -> None:
    pytest.importorskip("llvmlite")
    names = script()
    assert names["card"](*names["CARDS"][name]()) == (PICTURES / f"{name}.svg").read_text(encoding="utf-8")


def test_the_moving_picture_is_that_of_the_steps(tmp_path: Path) -> None:
    steps(script()["expression"]()).save(tmp_path / "flow.svg")
    assert (tmp_path / "flow.svg").read_text("utf-8") == (PICTURES / "flow.svg").read_text("utf-8")


@pytest.mark.slow
def test_the_film_is_that_of_the_training_up_to_rounding(tmp_path: Path) -> None:
    script()["film"]().save(tmp_path / "film.svg")
    ours, kept = (path.read_text("utf-8") for path in (tmp_path / "film.svg", PICTURES / "film.svg"))
    image, number = r"base64,([^']*)'", r"-?\d+\.?\d*"
    shapes = [re.sub(number, "0", re.sub(image, "", text)).replace(" minus", "") for text in (ours, kept)]
    assert shapes[0] == shapes[1]
    numbers = [[float(x) for x in re.findall(number, re.sub(image, "", text))] for text in (ours, kept)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1.5)
    pixels = [[bitmap(packed) for packed in re.findall(image, text)] for text in (ours, kept)]
    differences = [abs(a - b) for one, other in zip(*pixels, strict=True) for a, b in zip(one, other, strict=True)]
    assert sum(differences) / len(differences) < 2.0


def bitmap(png: str) -> bytes:
    """The bytes of the pixels of a PNG in one chunk."""
    data = base64.b64decode(png)
    start = data.index(b"IDAT") + 4
    return zlib.decompress(data[start:])


def test_every_picture_is_shown_and_every_shown_one_is_there() -> None:
    assert set(re.findall(r"\.github/pictures/(\w+\.svg)", README)) == {path.name for path in PICTURES.glob("*.svg")}
