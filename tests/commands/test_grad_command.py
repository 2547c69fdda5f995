"""`microgrid grad`: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from microgrid import OPS, functional, trace
from microgrid.commands.cli import main
from microgrid.testing import mutated


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["grad", *arguments]) == code
    return capsys.readouterr().out


def read(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(printed(capsys, *arguments, "--json"), parse_constant=refused)
    return found


def test_value_and_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "log(x) * sin(y)", "x=2", "y=0.5").splitlines()
    assert [line.split()[0] for line in lines] == ["value", "d/dx", "d/dy"]
    numbers = [float(line.split()[1]) for line in lines]
    assert numbers == pytest.approx([math.log(2) * math.sin(0.5), math.sin(0.5) / 2, math.log(2) * math.cos(0.5)])


def test_everything_that_can_be_asked_for_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "x**2 * y", "x=3", "y=2", "--hessian", "--program", "--latex", "--check")
    assert "Hessian    x    y\nx        4.0  6.0\ny        6.0  0.0\n" in text
    assert "    t1 = t0 * y\n    return t1\n" in text
    assert "\n{x}^{2} \\cdot y\n" in text
    assert "PASS: the gradient of x**2 * y (2 PASS)" in text


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = read(capsys, "x**2 * y", "x=3", "y=2", "--hessian", "--program", "--latex", "--check")
    assert (found["value"], found["gradient"]) == (18.0, {"x": 12.0, "y": 9.0})
    assert found["hessian"] == {"x": {"x": 4.0, "y": 6.0}, "y": {"x": 6.0, "y": 0.0}}
    assert found["program"] == str(trace(lambda x, y: x**2.0 * y)(3.0, 2.0))
    assert found["check"]["verdict"] == "PASS"
    assert [check["derivative"] for check in found["check"]["checks"]] == [12.0, 9.0]


def test_json_holds_numbers_that_are_not_finite_as_texts(capsys: pytest.CaptureFixture[str]) -> None:
    found = read(capsys, "log(x) + y", "x=0", "y=nan")
    assert (found["value"], found["gradient"]) == ("NaN", {"x": "Infinity", "y": 1.0})


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["-x**2", "x=3"], -9.0),
        (["--hessian", "-x", "x=3"], -3.0),
        (["x * y", "x=3", "--hessian", "y=-2"], -6.0),
        (["x", "x=-1e-3"], -1e-3),
        (["x", "x=pi/4"], math.pi / 4),
        (["x", "x=-inf"], "-Infinity"),
        (["2 + 3"], 5.0),
        (["f + math", "f=1", "math=2"], 3.0),
    ],
)
def test_signs_orders_and_constants_on_the_command_line(
    arguments: list[str], value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(capsys, *arguments)["value"] == value


def test_the_picture_and_the_stepper_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygraphviz")
    picture, page = tmp_path / "graph.svg", tmp_path / "steps.html"
    text = printed(capsys, "x * y + x", "x=3", "y=2", "--draw", str(picture), "--steps", str(page))
    assert text.endswith(f"wrote {picture}\n\nwrote {page}\n")
    assert "</svg>" in picture.read_text("utf-8")
    assert "<html" in page.read_text("utf-8")


def test_a_gradient_that_is_wrong_has_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with mutated(OPS["sin"]):
        assert "FAIL: the gradient of sin(x)" in printed(capsys, "sin(x)", "x=1", "--check", code=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x + z", "x=1"], "z has no value: write z=1.0 after the expression\n  x + z\n      ^"),
        (["x", "x=1", "y=2"], "y is given a value, and is not in the expression: leave y=... out"),
        (["x", "x=1", "x=2"], "x is given twice"),
        (["x", "x"], "write x=2, without spaces"),
        (["x", "x", "=", "2"], "write x=2, without spaces"),
        (["x", "x="], "write x=2, without spaces"),
        (["x", "x=two"], "the value of x: two is no number: write one, as 0.5 or pi/4\n  two\n  ^"),
        (["x", "x=__import__('os')"], "the value of x: there is no function __import__"),
        (["x", "log=1"], "'log' has a meaning of its own"),
        (["x", "x-1=1"], "is no name for a variable"),
        (["x**2", "x=1", "--draw", "graph"], "must end in .svg or .png or .pdf"),
        (["x**2", "x=1", "--steps", "steps.svg"], "must end in .html"),
        (["x", "x=1", "--steps", "steps.html"], "has no operation to step through"),
    ],
)
def test_misuse_is_told_with_what_to_type(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grad", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("microgrid: ")
    assert message in err


@pytest.mark.parametrize("option", ["--draw=missing/graph.svg", "--steps=missing/steps.html"])
def test_a_place_that_cannot_be_written_has_exit_code_1(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    assert main(["grad", "x**2", "x=1", option]) == 1
    assert "choose another place" in capsys.readouterr().err


def test_a_formula_that_is_too_long_names_the_other_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grad", "**".join("x" * 600), "x=1", "--latex"]) == 1
    assert "--program has a line for each operation" in capsys.readouterr().err


def test_it_is_the_same_gradient_as_the_librarys(capsys: pytest.CaptureFixture[str]) -> None:
    slope = functional.grad(lambda x: (x * x).tanh() / x)(0.3)
    assert read(capsys, "tanh(x * x) / x", "x=0.3")["gradient"] == {"x": slope}
