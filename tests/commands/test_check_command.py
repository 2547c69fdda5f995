"""`microgrid check`: functions in somebody's file, right and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from microgrid import OPS
from microgrid.commands.cli import main

SOMEBODYS = """
from __future__ import annotations

import math
from dataclasses import dataclass

from beside import FACTOR
from microgrid import Value, primitive, sin


@dataclass
class Options:
    n: int = 2


def f(x: float, y: "Value") -> Value:
    return sin(x * y) / y

def plain(x):
    return FACTOR * x * x

def loss(w: list[float], x: float, target=1.0, n: int = 2, kind: str = "square"):
    assert type(n) is int and kind == "square"
    return (sum(a * x**n for a in w) - target) ** 2

def slopes(w, x, target=1.0, n=2, kind="square"):
    s = sum(a * x**n for a in w) - target
    return [2 * s * x**n for _ in w], 2 * s * sum(a * n * x ** (n - 1) for a in w), -2 * s

def slopes_halved(w, x, target=1.0, n=2, kind="square"):
    return [[g / 2 for g in slopes(w, x, target, n)[0]], *slopes(w, x, target, n)[1:]]

def keywords(x: float, *, y: float = 2.0, flag: bool = False):
    return x if flag else x * y

def tree(p):
    return p["a"][0] * p["b"]

def raises(x: float):
    raise RuntimeError("not today")

def black_box(x: float):
    return math.sin(x)

def several(x: float):
    return [x, x]

def read_out(x: float):
    return Value(x.data) * 2.0 + x

right_op = primitive("cli_cube", lambda x: x * x * x, lambda z, x: (3.0 * x * x,))
wrong_op = primitive("cli_wrong", lambda x: x * x * x, lambda z, x: (2.0 * x * x,))
scaled = primitive("cli_scaled", lambda x, c: x * c, lambda z, x, c: (c,), static=1)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "beside.py").write_text("FACTOR = 3.0\n")
    (tmp_path / "mine.py").write_text(SOMEBODYS)
    for name in ("cli_cube", "cli_wrong", "cli_scaled"):
        monkeypatch.setitem(OPS, name, OPS["exp"])  # so that it is gone afterwards
        monkeypatch.delitem(OPS, name)
    monkeypatch.chdir(tmp_path)
    return "mine.py"


@pytest.mark.parametrize(
    ("arguments", "inputs"),
    [
        ("f", ["x", "y"]),
        ("f x=0.5 y=pi/4", ["x", "y"]),
        ("plain x=2", ["x"]),
        ("loss w=[1,2] x=3", ["w_0", "w_1", "x", "target"]),
        ("loss w=[1,2] n=3 x=0.5", ["w_0", "w_1", "x", "target"]),
        ('loss w=[1] x=0.5 kind="square"', ["w_0", "x", "target"]),
        ("loss w=[1,2] x=3 --gradient slopes", ["w_0", "w_1", "x", "target"]),
        ("loss --gradient slopes w=[1,2] x=3", ["w_0", "w_1", "x", "target"]),
        ("keywords", ["x", "y"]),
        ("keywords flag=true", ["x", "y"]),
        ('tree p={"a":[2],"b":3}', ["p_a_0", "p_b"]),
        ("right_op", ["x"]),
        ("scaled c=3", ["x"]),
    ],
)
def test_right_gradients_pass(arguments: str, inputs: list[str], file: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *rest = arguments.split()
    assert main(["check", f"{file}::{name}", *rest, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "PASS"
    assert [check["input"] for check in found["checks"]] == inputs


def test_numbers_that_are_drawn_are_the_same_for_the_same_seed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["check", f"{file}::f", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("loss w=[1,2] x=3 --gradient slopes_halved", "likely cause: ratio 0.5"),
        ("wrong_op x=2", "culprit: the rule of cli_wrong"),
        ("read_out x=2", "a number was read out of the graph"),
    ],
)
def test_wrong_gradients_fail_with_exit_code_1(
    arguments: str, said: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = arguments.split()
    assert main(["check", f"{file}::{name}", *rest]) == 1
    text = capsys.readouterr().out
    assert text.startswith("FAIL: ")
    assert said in text


def test_at_a_kink_it_is_undecided_with_exit_code_0(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kink.py").write_text("def f(x): return abs(x)")
    assert main(["check", "kink.py::f", "x=0"]) == 0
    assert capsys.readouterr().out.startswith("UNDECIDED: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mine.py", "write FILE.py::function"),
        ("::f", "write FILE.py::function"),
        ("mine.py::", "write FILE.py::function"),
        ("none.py::f", "there is no file none.py"),
        (".::f", "there is no file ."),
        ("text.txt::f", "its name must end in .py"),
        ("broken.py::f", "broken.py cannot be imported: ZeroDivisionError: division by zero (broken.py, line 2)"),
        ("leaves.py::f", "leaves.py cannot be imported: SystemExit: 3"),
        ("quits.py::f x=1", "f cannot be checked here: SystemExit: 0 (quits.py, line 2)"),
        ("quits.py::g x=1 --gradient f", "g cannot be checked here: SystemExit: 0 (quits.py, line 2)"),
        ("syntax.py::f", "syntax.py cannot be imported: SyntaxError"),
        ("mine.py::los", "did you mean loss?"),
        ("mine.py::qqq", "it has f, plain, loss"),
        ("mine.py::Options", "has no function Options"),
        ("mine.py::FACTOR", "has no function FACTOR"),
        ("mine.py::plain", "plain needs a value for x: write x=0.5"),
        ("mine.py::plain z=1", "plain has no argument z: it takes x"),
        ("mine.py::plain x=[1", "the value of x is no JSON"),
        ("mine.py::plain x=open(1)", "the value of x: there is no function open"),
        ("mine.py::loss w=[1] x=1 n=2.5", "n is annotated int, got 2.5"),
        ("mine.py::scaled x=1", "scaled needs a value for c"),
        ("mine.py::raises", "raises cannot be checked here: RuntimeError: not today (mine.py, line 40)"),
        ("mine.py::black_box", "claim yours with --gradient NAME"),
        ("mine.py::loss w=[1] x=1 --gradient none", "mine.py has no function none"),
    ],
)
def test_what_cannot_be_checked_has_exit_code_2(
    arguments: str, message: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("def f(x): return x")
    (tmp_path / "broken.py").write_text("x = 1\nx / 0\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "quits.py").write_text("def f(x):\n    raise SystemExit(0)\ndef g(x):\n    return x\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    assert main(["check", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_function_of_several_results_is_checked_by_its_jacobian(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "mine.py::several", "x=0.5"]) == 0
    assert "PASS: the Jacobian of several" in capsys.readouterr().out
