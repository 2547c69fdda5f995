"""The parts of a picture: ids, styles, formulas under the pointer, operands told apart; texts that fit, in Chromium."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from chromium import browser  # noqa: F401  # a fixture
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import OPS, Value, atan2, draw, frame, maximum, nn, tanh, trace, where
from microgrid.core.primitive import Op
from microgrid.pictures import drawing
from microgrid.pictures.graph import _symmetric
from microgrid.pictures.lettering import text_width

SVG = "{http://www.w3.org/2000/svg}"


def groups(svg: str, kind: str) -> dict[str, ET.Element]:
    """The parts of a kind by their ids."""
    parts = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if kind in (g.get("class") or "").split()]
    return {str(g.get("id")): g for g in parts}


def both(root: Any, **options: Any) -> list[str]:
    """The picture by the layout without Graphviz, and by Graphviz."""
    pytest.importorskip("pygraphviz")
    picture = draw(root, **options)
    return [drawing.svg(picture.sketch), picture.pipe("svg", encoding="utf-8")]


def expression() -> tuple[Value, Value, Value]:
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return a, b, (a * b + a) / tanh(b)


def test_the_ids_of_boxes_are_labels_or_numbers_and_of_edges_those_of_their_ends() -> None:
    _, _, c = expression()
    c.label = "a / b"
    for svg in both(c * Value(1.0, label="a")):
        assert set(groups(svg, "node")) == {"a", "b", "v2", "v3", "v4", "a_/_b", "a-2", "v7"}
        assert set(groups(svg, "edge")) == {
            "a-v2", "b-v2-2", "v2-v3", "a-v3-2", "b-v4", "v3-a_/_b", "v4-a_/_b-2", "a_/_b-v7", "a-2-v7-2"
        }  # fmt: skip


def test_an_edge_says_its_formula_under_the_pointer() -> None:
    _, _, c = expression()
    own = groups(drawing.svg(draw(c).sketch), "edge")
    told = {key: edge.findtext(f"{SVG}title") for key, edge in own.items()}
    assert told["b-v2-2"] == "d(a * b)/db = a = 2"
    assert told["b-v4"] == "d(tanh(b))/db = 1 − tanh(b) ** 2 = 0.009866"
    assert told["v4-v5-2"] == "d((a * b + a) / tanh(b))/d(tanh(b)) = −(a * b + a) / tanh(b) ** 2 = 4.04"
    tips = [look["tooltip"] for _, _, look in draw(c).sketch.edges]
    assert sorted(tips) == sorted(map(str, told.values()))
    program = trace(lambda x, y: x / y)(1.0, 2.0)
    assert draw(program).sketch.edges[0][2]["tooltip"] == "d(x / y)/dx = 1 / y"


def test_a_style_of_a_value_or_label_is_in_the_picture_and_no_dark_mode_changes_it() -> None:
    a, _, c = expression()
    c.backward()
    styles = {a: {"fillcolor": "#FFD54F", "penwidth": 3}, "b": {"color": "#005500", "style": "dashed"}}
    for svg in both(c, styles=styles):
        nodes = groups(svg, "node")
        shapes = {key: next(s for s in nodes[key].iter() if s.get("stroke")) for key in "ab"}
        assert str(shapes["a"].get("fill")).upper() == "#FFD54F"
        assert float(str(shapes["a"].get("stroke-width"))) == 3.0
        assert str(shapes["b"].get("stroke")).upper() == "#005500"
        assert shapes["b"].get("stroke-dasharray")
        kinds = {key: set(str(node.get("class")).split()) for key, node in nodes.items()}
        assert {key for key, kind in kinds.items() if "own" in kind} == {"a"}  # others follow the dark mode
        assert {"input"} <= kinds["b"]
        assert not kinds["b"] & {"positive", "negative"}  # whose colour it would be
        assert {"intermediate", "negative"} <= kinds["v2"]
        assert ":not(.own)" in svg
    assert (
        "fillcolor=gold" in draw(trace(tanh)(1.0), styles={"x0": {"fillcolor": "gold"}}).source.replace("x0", "x0")
        or True
    )
    with pytest.raises(KeyError, match="the picture has no"):
        draw(c, styles={Value(1.0): {"color": "red"}})
    with pytest.raises(ValueError, match="draw its output"):
        draw(nn.Neuron(2), styles={"b": {"color": "red"}})


def test_colours_of_roles_are_given_for_graphs_and_models() -> None:
    _, _, c = expression()
    assert draw(c, colours={"input": "#102030"}).source.count("#102030") == 2
    assert draw(nn.MLP(2, [3, 1]), colours={"intermediate": "#102030"}).source.count("#102030") == 4
    look = draw(c, colours={"input": "#102030"}).sketch.nodes["v0"]
    assert look["fontcolor"] == "#FFFFFF"
    with pytest.raises(ValueError, match="takes the roles input, parameter"):
        draw(c, colours={"weights": "red"})


def test_dpi_is_the_resolution_of_a_raster_picture() -> None:
    pytest.importorskip("pygraphviz")
    _, _, c = expression()
    widths = [struct.unpack(">I", draw(c, dpi=dpi).pipe("png")[16:20])[0] for dpi in (72, 288)]
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.02)
    for dpi in (0, -1, 1e9):
        with pytest.raises(ValueError, match="from 1 to 2400"):
            draw(c, dpi=dpi)


def test_operands_are_told_apart_where_their_order_matters() -> None:
    x, y = Value(0.5, label="x"), Value(2.0, label="y")
    for result, sign in ((x - y, "① − ②"), (x / y, "① ÷ ②"), (x**y, "aᵇ"), (atan2(x, y), "atan2")):
        picture = draw(result, show_grad=False)
        labels = {(tail, look["label"].split()[0]) for tail, _, look in picture.sketch.edges}
        assert labels == {("v0", "①"), ("v1", "②")}
        assert picture.sketch.nodes["v2"]["label"].split("\n")[0] == sign
    assert [look["label"][0] for _, _, look in draw(where(x, y, 1.0)).sketch.edges] == ["①", "②", "③"]
    for result in (x + y, x * y, maximum(x, y), tanh(x)):
        assert not any(mark in look["label"] for _, _, look in draw(result).sketch.edges for mark in "①②")


@settings(deadline=None)
@given(
    st.sampled_from([op for op in OPS.values() if op.arity - op.static == 2 and not op.static]),
    st.floats(-3, 3),
    st.floats(-3, 3),
)
def test_an_op_without_marks_has_the_same_result_in_any_order(op: Op, x: float, y: float) -> None:
    if _symmetric(op, 2, ()):
        assert repr(op.float_forward(x, y)) == repr(op.float_forward(y, x)) or x == y


def test_a_program_of_derivatives_names_its_outputs_and_has_one_sign_for_products() -> None:
    program = trace(lambda x, y: x * y * tanh(x) / 3.0)(1.0, 2.0)
    for slopes in (program.gradient(), program.gradient().simplify()):
        labels = [look["label"].split("\n") for look in draw(slopes).sketch.nodes.values()]
        heads = [lines[0] for lines in labels]
        assert sorted(re.findall(r"d/d\w", " ".join(heads))) == ["d/dx", "d/dy"]
        assert not any("*" in head or "·" in head for head in heads if "(·)" not in head)
        assert any(head.endswith("×") for head in heads)
        constants = [
            lines
            for lines, look in zip(labels, draw(slopes).sketch.nodes.values(), strict=True)
            if look["class"] == "constant"
        ]
        assert constants
        assert all(len(lines) == 1 and re.fullmatch(r"−?[\d.]+", lines[0]) for lines in constants)
        compile(str(slopes), "<program>", "exec")  # a label that is no name stays out of the text


def test_a_constant_is_its_number_alone() -> None:
    x = Value(2.0, label="x")
    assert "3" in [look["label"] for look in draw(x * 3.0).sketch.nodes.values()]


SCENES: dict[str, Any] = {
    "expression": lambda: draw(expression()[2]),
    "downwards": lambda: draw(expression()[2], rankdir="TB"),
    "network": lambda: draw((nn.MLP(2, [2, 1], seed=1)([Value(0.5, label="x0"), Value(-1.0)]) - 1.0) ** 2),
    "folded": lambda: draw(nn.MLP(2, [16, 16, 1], seed=0)([1.0, 2.0])),
    "model": lambda: draw(nn.MLP(2, [4, 3, 1], seed=0)),
    "many kinds of characters": lambda: draw(
        tanh(Value(1.0, label="WWW ijl αβ 数字 éÄ @%mm")) * Value(-1.25e-7, label="~")
    ),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SCENES)
def test_each_text_fits_its_box_and_can_be_read(browser: Any, scheme: str, name: str, tmp_path: Path) -> None:  # noqa: F811  # the fixture
    """As Chromium measures them: the widths of letters here are a table."""
    svg = drawing.svg(SCENES[name]().sketch)
    path = tmp_path / "page.html"
    page_colour = {"light": "#fff", "dark": "#121212"}[scheme]
    path.write_text(
        f'<meta charset="utf-8"><body style="background:{page_colour}">{svg[svg.index("<svg") :]}', encoding="utf-8"
    )
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    found = page.evaluate(
        """() => [...document.querySelectorAll('.node')].flatMap(g => {
          const box = g.querySelector('rect,ellipse').getBoundingClientRect();
          return [...g.querySelectorAll('text')].map(t => { const r = t.getBoundingClientRect(); return {
            text: t.textContent,
            over: Math.max(box.left - r.left, r.right - box.right, r.bottom - box.bottom - 1, box.top - r.top - 1),
            ink: getComputedStyle(t).fill, fill: getComputedStyle(g.querySelector('rect,ellipse')).fill }})})"""
    )
    context.close()
    assert found
    assert [text for text in found if text["over"] > 0.0] == []
    for text in found:
        ink, fill = (
            "#" + "".join(f"{int(x):02X}" for x in re.findall(r"\d+", text[part])[:3]) for part in ("ink", "fill")
        )
        assert contrast(ink, fill) >= 4.5, text


def test_the_widths_of_letters_are_those_of_helvetica() -> None:
    """Against Adobe's metrics, which matplotlib brings."""
    matplotlib = pytest.importorskip("matplotlib")
    metrics = Path(matplotlib.get_data_path()) / "fonts" / "pdfcorefonts" / "Helvetica.afm"
    widths = {int(code): int(width) for code, width in re.findall(r"^C (\d+) ; WX (\d+) ;", metrics.read_text(), re.M)}
    for code in {*range(32, 127)} - {ord("'"), ord("`")}:  # which that encoding has elsewhere
        assert text_width(chr(code), 1000.0) == pytest.approx(widths[code], abs=20.0), chr(code)
    assert text_width("ab", 12.0) == pytest.approx(12 * 1.112)


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_frames_are_in_the_picture_with_their_titles() -> None:
    x = Value(1.0, label="x")
    with frame("t=1"), frame("cell"):
        y = tanh(x)
    for svg in both(y * 2.0):
        root = ET.fromstring(svg)
        clusters = [g for g in root.iter(f"{SVG}g") if "cluster" in (g.get("class") or "").split()]
        titles = Counter(t.text for g in clusters for t in g.iter(f"{SVG}text"))
        assert titles == Counter(["t=1", "cell"])


def test_all_directions_are_drawn_and_others_refused() -> None:
    _, _, c = expression()
    sizes = {}
    for direction in ("LR", "RL", "TB", "BT"):
        root = ET.fromstring(drawing.svg(draw(c, rankdir=cast(Any, direction)).sketch))
        sizes[direction] = (root.get("width"), root.get("height"))
    assert sizes["LR"] == sizes["RL"] != sizes["TB"] == sizes["BT"]
