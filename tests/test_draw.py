"""The picture: what is in it, that it is the same every time, and that it is always shown."""

from __future__ import annotations

import math
import os
import random
import re
import subprocess
import sys
import time
import webbrowser
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import graphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import (
    OPS,
    Film,
    Program,
    Value,
    datasets,
    draw,
    fit,
    grad,
    nn,
    primitive,
    relu,
    steps,
    sum,
    tanh,
    trace,
    where,
)
from microgrid.numbers.arithmetic import VALUES
from microgrid.pictures import colours, digraph, drawing, rendering
from microgrid.pictures.outline import Box, arrows, boxes, items_of
from microgrid.testing.strategies import programs

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
            "(·)²\ndata 16\ngrad 1",
        ]
    )


def test_edges_carry_the_local_derivatives_and_a_value_used_twice_has_two() -> None:
    a = Value(3.0)
    source = draw(a * a).source
    assert source.count("v0 -> v1 [label=3 ") == 2


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


ANY_NAME = st.text(st.one_of(st.characters(), st.sampled_from('\\\0\ud800\udfff\uffff"{}<>&\n;.%')), max_size=4)
ENDS = ["A\\", "A\\\\", 'A"', "\0", "\ud83d", "\uffff", "", "\n", "cluster", "{", "<b>", "%d"]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(ANY_NAME, st.sampled_from(ENDS)), min_size=6, max_size=6))
def test_any_name_of_a_class_an_attribute_a_variable_an_op_or_a_function_is_drawn(names: list[str]) -> None:
    """Characters that a file cannot hold are replaced: the picture, its text and the stepper's page can be stored and
    parsed."""
    pytest.importorskip("pygraphviz")
    of_class, attribute, label, variable, symbol, function = names
    kind = type(re.sub("[\0\ud800-\udfff]", "", of_class), (nn.Module,), {"__call__": lambda self, x: self.held(x)})
    activation: Any = lambda x: tanh(x) * 2.0  # noqa: E731  # its name is given below
    activation.__name__ = function
    model = kind()
    model.held = nn.Layer(2, 2, activation=activation, seed=0)
    setattr(model, attribute, model.held)  # which is its name, then
    x = Value(0.5, label=label)
    op = primitive("hostile", lambda x: x, lambda z, x: (1.0,), symbol=symbol or "s")
    try:
        y = op(model([x, Value(1.0, label=label)])[0])
        for picture in (draw(y, names={variable: y}), draw(y, depth=1), draw(y, max_nodes=1), draw(model.held)):
            ET.fromstring(picture.pipe("svg", encoding="utf-8"))
            bundle = picture._repr_mimebundle_()
            assert "image/svg+xml" in bundle
            assert all(str(shown).encode() and no_xml.isdisjoint(shown) for shown in bundle.values())
        stepped = steps(y, names={variable: y})
        assert all(str(shown).encode() and no_xml.isdisjoint(shown) for shown in stepped._repr_mimebundle_().values())
        stepped.save(Path(os.devnull))
    finally:
        del OPS["hostile"]


no_xml = {chr(i) for i in range(32)} - {"\n"} | {"\ufffe", "\uffff"}


@pytest.mark.slow
def test_the_same_graph_is_the_same_text_in_another_process() -> None:
    code = "from microgrid import *; a = Value(2.0, label='a'); print(draw((a * a + where(1, a, 3)).tanh()).source)"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(10)}
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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_colours_of_text_and_lines_have_the_contrast_of_level_aa(dark: bool) -> None:
    """4.5 for text, 3 for lines that mean something. Text outside of boxes has an outline of its own, since a dark
    system may show a light page."""
    name = "DARK_" if dark else ""
    text, soft, line, positive, negative, page = (
        getattr(colours, name + role) for role in ("TEXT", "SOFT", "LINE", "POSITIVE", "NEGATIVE", "PAGE")
    )
    fills = colours.DARK if dark else colours.FILLS
    assert all(colours.contrast(text, fill) >= 4.5 for fill in fills.values())
    assert colours.contrast(soft, page) >= 4.5
    assert all(colours.contrast(edge, page) >= 3.0 for edge in (line, positive, negative))
    assert all(colours.contrast(edge, fill) >= 3.0 for edge in (positive, negative) for fill in fills.values())
    assert colours.contrast(colours.LINE, colours.DARK_PAGE) >= 3.0  # lines have one colour on both
    style = colours.style().split("@media")[dark]
    outside = f"stroke:{page}"
    assert f".edge text,.microgrid .cluster text{{fill:{soft};{outside}" in style


@given(st.from_regex("#[0-9A-F]{6}", fullmatch=True))
def test_text_can_be_read_on_any_fill_of_ones_own(fill: str) -> None:
    x = Value(2.0, label="x")
    look = draw(x * x, styles={x: {"fillcolor": fill}}).sketch.nodes["v0"]
    assert colours.contrast(look["fontcolor"], fill) >= 4.5
    assert "own" in look["class"].split()


def test_contrast_is_that_of_wcag() -> None:
    assert colours.contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert colours.contrast("#777777", "#FFFFFF") == pytest.approx(4.478, abs=1e-3)  # the known grey that just fails


def test_nan_and_zero_are_neither_positive_nor_negative() -> None:
    model = nn.Layer(2, 2, seed=0)
    for p, weight in zip(model.parameters()[:2], (math.nan, math.inf), strict=True):
        p.data = weight
    model.neurons[1].w[0].data = 0.0
    edges = [line for line in draw(model).source.splitlines() if "->" in line and "invis" not in line]
    assert [re.findall("class=(.*?) .*penwidth=(.*?) ", line)[0] for line in edges[:3]] == [
        ("none", "0.30"),
        ("positive", "3.30"),
        ("none", "0.30"),
    ]
    x = Value(2.0)
    y = x * math.nan
    y.backward()
    assert math.isnan(x.grad)
    assert draw(y).source.count("negative") == 0


def test_a_picture_is_written_where_asked(tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    _, c = expression()
    draw(c, filename=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    draw(c, filename=tmp_path / "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    rendered = draw(c).render(tmp_path / "c.gv", format="svg")
    assert Path(rendered).read_text(encoding="utf-8").count('class="node ') == 5


MAGIC = {
    ".svg": b"<?xml",
    ".png": b"\x89PNG",
    ".pdf": b"%PDF",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".gif": b"GIF8",
    ".eps": b"%!PS",
    ".dot": b"digraph",
    ".gv": b"digraph",
}
PAGE = dict.fromkeys((".html", ".htm"), b"<!DOCTYPE html>")


def filmed() -> Film:
    x, y = datasets.xor()
    film = Film(x, y, frames=2)
    fit(nn.MLP(2, [2, 1], seed=0), x, y, loss="mse", epochs=1, callbacks=[film], progress=False)
    return film


WRITERS: list[tuple[Callable[[Path], Any], dict[str, bytes]]] = [
    (lambda path: draw(expression()[1]).save(path), MAGIC),
    (lambda path: draw(nn.Neuron(2, seed=0), filename=str(path)), MAGIC),
    (lambda path: steps(expression()[1]).save(path), {**PAGE, ".svg": b"<svg"}),
    (
        lambda path: filmed().save(path),
        {**PAGE, ".svg": b"<svg", ".gif": b"GIF8", ".mp4": b""},
    ),  # a video needs ffmpeg: see test_film
]


@pytest.mark.parametrize(("write", "endings"), WRITERS, ids=["draw", "draw model", "steps", "film"])
def test_a_file_is_what_its_ending_says_or_an_error_lists_the_endings(
    write: Callable[[Path], Any], endings: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip("pygraphviz")
    known = [*MAGIC, *PAGE, ".mp4", ".txt", ".html.bak", ".pngx", ".xdot", ".p ng", "."]
    for ending in [*known, *map(str.upper, known), *map(str.title, known)]:
        path = tmp_path / f"a.b{ending}"
        if not endings.get(ending.lower(), b"-"):
            continue
        if ending.lower() in endings:
            write(path)
            assert path.read_bytes().startswith(endings[ending.lower()])
        elif path.suffix:
            with pytest.raises(ValueError, match="must end in " + " or ".join(map(re.escape, endings))):
                write(path)
            assert not path.exists()


def test_a_device_may_have_any_name() -> None:
    pytest.importorskip("pygraphviz")
    steps(expression()[1]).save("/dev/null")
    draw(nn.Neuron(2, seed=0), filename="/dev/null")


def test_a_name_without_an_ending_is_written_in_the_format(tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    draw(expression()[1], filename=tmp_path / "picture", format="PNG")
    assert (tmp_path / "picture").read_bytes().startswith(MAGIC[".png"])
    with pytest.raises(ValueError, match="must end in"):
        steps(expression()[1]).save(tmp_path / "page")


@pytest.fixture
def no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with neither the program nor a library."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("no_graphviz")
def test_without_any_graphviz_a_notebook_shows_the_picture_and_text(tmp_path: Path) -> None:
    _, c = expression()
    assert repr(draw(c)).startswith("<picture of ")
    assert str(draw(c)) == draw(c).source
    bundle = draw(c)._repr_mimebundle_()
    ET.fromstring(bundle["image/svg+xml"])
    assert bundle["text/plain"].splitlines() == [
        "v0  a  = 2  grad –",
        "v1  b  = −3  grad –",
        "v2  ×  = −6  grad –  from v0 (d −3), v1 (d 2)",
        "v3  +  = −4  grad –  from v2 (d 1), v0 (d 1)",
        "v4  (·)²  = 16  grad –  from v3 (d −8)",
    ]
    writers: list[Callable[[Path], Any]] = [
        lambda path: draw(c, filename=path),
        lambda path: draw(c).save(path),
        lambda path: draw(c).render(path.with_suffix("")),
    ]
    for write in writers:
        write(tmp_path / "c.svg")
        assert sorted(texts((tmp_path / "c.svg").read_text(encoding="utf-8"))) == sorted(texts(draw(c).svg)) != []
        (tmp_path / "c.svg").unlink()
    with pytest.raises(ImportError, match=r"Install Graphviz, or pip install pygraphviz"):
        draw(c).pipe("png")
    changed = draw(c)
    changed.node("a person's own")
    with pytest.raises(ImportError, match="Install Graphviz"):  # what was added would be missing
        changed.pipe("svg")


def test_a_picture_can_be_added_to_and_copied_as_any_digraph() -> None:
    pytest.importorskip("pygraphviz")
    picture = draw(expression()[1])
    picture.node("own")
    with picture.subgraph(name="cluster_own") as part:
        part.node("inside", "within")
    picture.edge("own", "inside")
    for either in (picture, picture.copy()):
        shown = texts(either.pipe("svg", encoding="utf-8"))
        assert {"own", "within", "a\ndata 2\ngrad –"} <= set(shown)
        assert "image/svg+xml" in either._repr_mimebundle_()
    model = draw(nn.Neuron(2, seed=0))  # which has its own layout, until something is added
    model.node("own")
    assert "own" in texts(model.svg)


def test_without_the_graphviz_package_the_source_and_the_picture_are_the_same(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['graphviz'] = sys.modules['pygraphviz'] = None\n"
        "from microgrid import *\na, b = Value(2.0, label='a'), Value(-3.0, label='b')\n"
        f"p = draw((a * b + a) ** 2); p.save({str(tmp_path / 'p.svg')!r}); p.save({str(tmp_path / 'p.gv')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PATH": ""})
    _, c = expression()
    picture = draw(c)
    assert (tmp_path / "p.gv").read_text(encoding="utf-8") == picture.source
    assert (tmp_path / "p.svg").read_text(encoding="utf-8") == drawing.svg(picture.sketch)


@pytest.mark.parametrize(
    ("system", "command"),
    [("linux", ["xdg-open"]), ("darwin", ["open"]), ("win32", ["startfile"]), ("freebsd14", ["xdg-open"])],
)
def test_a_picture_is_opened_with_the_program_of_the_system(
    system: str, command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, call: list[str], **_: Any) -> None:
            started.append(call)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(os, "startfile", lambda path: started.append(["startfile", str(path)]), raising=False)
    path = tmp_path / "a b.svg"
    digraph.open_file(path)
    assert started == [[*command, str(path)]]


def test_without_a_program_to_open_files_the_browser_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    monkeypatch.setenv("PATH", "")  # the real call, of a program that there is not
    target = draw(expression()[1]).render(tmp_path / "c", view=True)
    assert opened == [Path(target).as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    with pytest.raises(RuntimeError, match="no program to open"):
        digraph.open_file(tmp_path / "c.svg")


@pytest.mark.skipif(sys.platform == "win32", reason="a program in PATH that is a script")
def test_viewing_starts_the_program_with_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygraphviz")
    opener = tmp_path / ("open" if sys.platform == "darwin" else "xdg-open")
    opener.write_text(f'#!/bin/sh\nhead -c 5 "$1" > {tmp_path}/seen\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    draw(expression()[1]).render(tmp_path / "c", view=True)
    deadline = time.monotonic() + 60
    while not ((tmp_path / "seen").exists() and (tmp_path / "seen").read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "seen").read_bytes() == b"<?xml"


def test_three_operands_are_three_edges() -> None:
    assert draw(where(Value(1.0), Value(2.0), Value(3.0))).source.count("->") == 3


# --- folding, modules and models -----------------------------------------------------------------------------------


def demo_loss() -> tuple[nn.MLP, Value]:
    """Return the loss of the demo's network on 20 points: some 13,000 values."""
    random.seed(0)
    model = nn.MLP(2, [16, 16, 1])
    x, y = datasets.moons(20)
    losses = [relu(1 - t * model(point)) for point, t in zip(x, y, strict=True)]
    return model, sum(losses) / 20.0 + 1e-4 * sum([p * p for p in model.parameters()])


def test_a_large_graph_folds_and_every_count_is_right() -> None:
    _, loss = demo_loss()
    items = items_of(loss, {})
    drawn = boxes(items, max_nodes=200, depth=None)
    assert len(drawn) <= 30
    assert sorted(i for box in drawn for i in box.members) == list(range(len(items)))
    for box in drawn:
        if box.title.startswith("layers"):
            inside = [item for item in items if item.module.split(".")[:2] == [box.module, box.title]]
            assert len(box.members) == len(inside)
    inner = sum(home[i] == home[j] for home in [homes(drawn)] for i, item in enumerate(items) for j in item.operands)
    assert arrows(items, drawn).total() + inner == sum(len(item.operands) for item in items)
    counts = re.findall(r"([\d,]+) values", draw(loss).source)
    single = sum(not box.folded for box in drawn)
    assert sum(int(count.replace(",", "")) for count in counts) + single == len(items)


def homes(drawn: list[Box]) -> dict[int, int]:
    return {i: k for k, box in enumerate(drawn) for i in box.members}


@pytest.mark.parametrize(("depth", "titles"), [(0, ["MLP"]), (1, ["layers[0]", "layers[1]"]), (2, ["neurons[0]"] * 2)])
def test_depth_says_which_modules_stay_open(depth: int, titles: list[str]) -> None:
    y = nn.MLP(2, [1, 1])([1.0, 2.0]) ** 2
    drawn = boxes(items_of(y, {}), max_nodes=100, depth=depth)
    folded = [re.sub(r"#\d+", "", box.title) for box in drawn if box.folded]
    assert sorted(folded) == titles


def test_roles_are_told_apart() -> None:
    x = Value(1.0, label="x")
    model = nn.MLP(1, [2, 1])
    items = items_of((model([x]) * 3.0 - x) ** 2, {})
    roles = [item.role for item in items]
    assert roles.count("parameter") == len(model.parameters())
    assert roles.count("input") == roles.count("output") == roles.count("constant") == 1
    # an earlier MLP makes this one the second, MLP#2
    assert {re.sub(r"#\d+", "", item.module) for item in items if item.role == "parameter"} == {
        f"MLP.layers[{k}].neurons[{i}]" for k, i in ((0, 0), (0, 1), (1, 0))
    }


@pytest.mark.parametrize("labels", [("a", "b"), ("w", "x"), ("w[0]", "bias"), ("b", "b")])
def test_an_input_labelled_like_a_parameter_is_an_input(labels: tuple[str, str]) -> None:
    neuron = nn.Neuron(2)
    inputs = [Value(0.5, label=label) for label in labels]
    leaves = [item for item in items_of(neuron(inputs), {}) if not item.operands]
    assert [(item.title, item.role) for item in leaves if item.role == "input"] == [(x, "input") for x in labels]
    assert sorted(item.title for item in leaves if item.role == "parameter") == ["b", "w[0]", "w[1]"]


def test_a_crash_of_the_library_is_survived(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    monkeypatch.setattr(graphviz.Source, "pipe", no_dot)
    picture = draw(Value(1.0, label="x") * 2.0)
    expected = picture.pipe("svg")
    crash = f"import os\nif os.path.exists(p := {str(tmp_path / 'once')!r}): os.remove(p); os.abort()\n"
    library = rendering._Library()
    monkeypatch.setattr(rendering, "_library", library)
    monkeypatch.setattr(rendering, "_LIBRARY", crash + rendering._LIBRARY)
    (tmp_path / "once").touch()
    assert picture.pipe("svg") == expected
    assert not (tmp_path / "once").exists()
    library.end()
    monkeypatch.setattr(rendering, "_LIBRARY", "import os; os.abort()")
    with pytest.raises(RuntimeError, match="crashed on this picture"):
        picture.pipe("svg")


def no_dot(self: Any, format: str) -> bytes:
    raise graphviz.ExecutableNotFound(["dot"])


def test_programs_and_models_can_be_drawn() -> None:
    pytest.importorskip("pygraphviz")
    program = trace(lambda x, w: tanh(x * w) ** 2)(1.0, 2.0)
    assert sorted(texts(draw(program).pipe("svg", encoding="utf-8"))) == sorted(["x", "w", "×", "tanh", "(·)²"])
    model = nn.MLP(2, [3, 1], activation="tanh")
    source = draw(model).source
    drawn = [line for line in source.splitlines() if "invis" not in line]  # which only keep the order of neurons
    assert sum(line.count(" -> ") for line in drawn) == 3 * 2 + 3
    assert "tanh" in source
    assert "64 × relu, 4,160 parameters" in draw(nn.MLP(64, [64, 10])).source
    assert len(re.findall(r"^\tx\d -> n", draw(nn.Neuron(2)).source, re.MULTILINE)) == 2
    with pytest.raises(ValueError, match="no layers of neurons"):
        draw(nn.Module())
    with pytest.raises(TypeError, match="a Value, a Program or a Module, got float"):
        draw(cast(Any, 3.0))


def test_a_gradient_graph_can_be_drawn() -> None:
    x = Value(0.5, label="x")
    second = grad(grad(tanh))(x)
    assert "x" in draw(second).source


HOSTILE_LABEL = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=20), st.just("long " * 2000)
)


@settings(deadline=None, max_examples=60)
@given(st.data(), programs(max_size=12))
def test_random_programs_come_back_from_the_picture(data: st.DataObject, program: Program) -> None:
    """Every node, edge and label is in the SVG, whatever the labels, and the layout without Graphviz shows the same."""
    pytest.importorskip("pygraphviz")
    labels = data.draw(st.lists(HOSTILE_LABEL, min_size=len(program.inputs), max_size=len(program.inputs)))
    leaves = [Value(0.5, label=label) for label in labels]
    (root,) = program.replay(leaves, VALUES)
    items = items_of(root, {})
    picture = draw(root, unfold=True)
    svg = picture.pipe("svg", encoding="utf-8")
    root_element = ET.fromstring(svg)
    found = [g for g in root_element.iter(f"{SVG}g") if "edge" in (g.get("class") or "").split()]
    heads = Counter(g.findtext(f"{SVG}title") for g in found)
    expected = Counter(f"v{j}->v{i}" for i, item in enumerate(items) for j in item.operands)
    assert heads == expected
    shown = texts(svg)
    assert len(shown) == len(items)
    for item in items:
        if item.title and not any(map(unprintable, item.title)):
            words = item.title.split()
            assert any(words == box.split()[: len(words)] for box in shown)
    own = drawing.svg(picture.sketch)
    assert Counter(map(words_of, texts(own))) == Counter(map(words_of, shown))
    assert edge_texts(own) == edge_texts(svg)


def test_ops_that_have_no_value_at_some_numbers_or_no_rule_are_drawn() -> None:
    import math

    from microgrid import primitive

    x, y = Value(2.0, label="x"), Value(3.0, label="y")
    only_positive = primitive("only_positive", lambda x, y: math.log(x) * y, lambda z, x, y: (y, x))
    given = Value(1.0, (x, y), (0.5, 0.25))
    for root in (only_positive(x, y), given):
        assert "x" in draw(root).source


def words_of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def edge_texts(svg: str) -> Counter[str]:
    """The labels of edges."""
    edges = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if "edge" in (g.get("class") or "").split()]
    return Counter(" ".join(words_of("".join(t.itertext()))) for g in edges for t in g.iter(f"{SVG}text"))


def unprintable(character: str) -> bool:
    return (character < " " and character != "\n") or (not character.isprintable() and not character.isspace())
