"""The picture: what is in it, that it is the same every time, and that it is always shown."""

from __future__ import annotations

import builtins
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, cast

import graphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import Value, draw, where

SVG = "{http://www.w3.org/2000/svg}"


def expression() -> tuple[Value, Value]:
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return a, (a * b + a) ** 2


def texts(svg: str) -> list[str]:
    """The text of each box, its lines joined; Graphviz writes a space at either end as a no-break space."""
    boxes = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if "node" in (g.get("class") or "").split()]
    return ["\n".join(t.text or "" for t in g.iter(f"{SVG}text")).replace("\u00a0", " ") for g in boxes]


def test_each_value_is_a_box_with_operation_number_and_gradient() -> None:
    _, c = expression()
    assert "grad –" in draw(c).source
    c.backward()
    picture = draw(c)
    assert isinstance(picture, graphviz.Digraph)
    pytest.importorskip("pygraphviz")
    assert sorted(texts(picture.pipe("svg", encoding="utf-8"))) == sorted(
        [
            "a\ndata 2\ngrad 16",
            "b\ndata −3\ngrad −16",
            "×\ndata −6\ngrad −8",
            "+\ndata −4\ngrad −8",
            "x²\ndata 16\ngrad 1",
        ]
    )


def test_edges_carry_the_local_derivatives_and_a_value_used_twice_has_two() -> None:
    a = Value(3.0)
    source = draw(a * a).source
    assert source.count("v0 -> v1 [label=3]") == 2


def test_options_change_what_they_say() -> None:
    a, c = expression()
    unnamed = c + 1
    assert "total" in draw(unnamed, names={"total": unnamed, "other": 3, "a": a}).source
    assert "rankdir=TB" in draw(c, rankdir="TB").source
    assert "grad" not in draw(c, show_grad=False).source
    assert "shape=circle" in draw(c, ops="node").source
    assert "data 0.3333" in draw(Value(1.0) / 3.0).source
    assert "data 0.33 " in draw(Value(1.0) / 3.0, precision=2).source.replace("\\n", " ")


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda c: draw(cast(Any, 3.0)), TypeError, "takes a Value"),
        (lambda c: draw(c, rankdir=cast(Any, "up")), ValueError, "LR, TB"),
        (lambda c: draw(c, ops=cast(Any, "boxes")), ValueError, '"merged" or "node"'),
        (lambda c: draw(c, precision=0), ValueError, "at least 1"),
        (lambda c: draw(c, max_nodes=0), ValueError, "at least 1"),
        (lambda c: draw(c, depth=-1), ValueError, "from 0 on"),
    ],
)
def test_misuse_says_what_to_change(misuse: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse(expression()[1])


PIECES = [*"ab<>|{}\\\"':;&/ \n#", "é", "🙂", "&lt;", "\\N", "\\l", "<b>", ":port"]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(deadline=None)
@given(HOSTILE)
def test_any_label_is_shown_as_it_is(label: str) -> None:
    pytest.importorskip("pygraphviz")
    x = Value(1.0, label=label)
    shown = texts(draw(x * 2).pipe("svg", encoding="utf-8"))
    lines = [line.strip() for line in label.split("\n") if line.strip()]
    expected = [" ".join(line.split()) for line in lines]
    assert any([" ".join(line.split()) for line in box.split("\n")[:-2] if line.strip()] == expected for box in shown)


def test_the_same_graph_is_the_same_text_in_another_process() -> None:
    code = "from microgrid import *; a = Value(2.0, label='a'); print(draw((a * a + where(1, a, 3)).tanh()).source)"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)}
    a = Value(2.0, label="a")
    assert runs == {(draw((a * a + where(1, a, 3)).tanh()).source + "\n").encode()}


def test_a_deep_graph_is_walked_without_recursion() -> None:
    y = x = Value(1.0)
    for _ in range(5000):
        y = y + x
    assert draw(y).source.count("->") < 10
    assert "5,000 values" in draw(y).source or "4,999 values" in draw(y).source
    assert draw(y, max_nodes=6000).source.count("->") == 10000
    with pytest.raises(ValueError, match="5001 boxes would take minutes"):
        draw(y, max_nodes=6000).pipe("svg")


def test_a_picture_is_written_where_asked(tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    _, c = expression()
    draw(c, filename=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    rendered = draw(c).render(tmp_path / "c.gv", format="svg")
    assert Path(rendered).read_text(encoding="utf-8").count('class="node ') == 5


def test_without_any_graphviz_a_notebook_shows_text_with_one_line_of_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_pygraphviz(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pygraphviz":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_pygraphviz)
    monkeypatch.setenv("PATH", "")
    _, c = expression()
    bundle = draw(c)._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert bundle["text/plain"].splitlines() == [
        "v0  a  = 2  grad –",
        "v1  b  = −3  grad –",
        "v2  ×  = −6  grad –  from v0 (d −3), v1 (d 2)",
        "v3  +  = −4  grad –  from v2 (d 1), v0 (d 1)",
        "v4  x²  = 16  grad –  from v3 (d −8)",
        "For the picture itself: pip install 'microgrid[draw]', or install Graphviz.",
    ]
    with pytest.raises(ImportError, match="pip install"):
        draw(c).pipe("svg")


def test_three_operands_are_three_edges() -> None:
    assert draw(where(Value(1.0), Value(2.0), Value(3.0))).source.count("->") == 3
