"""Formulas of the stepper's page: read back, as text and as MathML, they are the formula that was written."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from microgrid import Film, Value, draw, fit, nn, steps, trace
from microgrid.core.primitive import OPS, Op
from microgrid.pictures import web
from microgrid.pictures.stepper import _notations
from microgrid.text.mathml import Template, template

Tree = Any
WRITTEN = [OPS[n] for n in "add sub mul div neg constant_power power exp sqrt tanh log sin maximum abs log1p".split()]
OFTEN = [OPS[n] for n in "add sub mul div neg constant_power".split()]
UP = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻·", "0123456789-.")


def trees(chance: random.Random, depth: int) -> Tree:
    """A random formula of a, b and small numbers, negative ones too."""
    if depth == 0 or chance.random() < 0.15:
        return chance.choice(["a", "b", 2.0, 3.0, -2.0, -1.5])
    op = chance.choice(OFTEN if chance.random() < 0.7 else WRITTEN)
    operands = [trees(chance, depth - 1) for _ in range(op.arity)]
    if op.name in ("constant_power", "power"):
        operands[1] = chance.choice([2.0, 3.0, -1.0, -2.0])
    return [op.name, *operands]


def value(tree: Tree, names: dict[str, float]) -> float:
    if isinstance(tree, str):
        return names[tree]
    if isinstance(tree, float):
        return tree
    return float(OPS[tree[0]].forward(*[value(x, names) for x in tree[1:]]))


def of_text(text: str, names: dict[str, float]) -> float:
    """The number that a text means to a reader."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: f"**({m[0].translate(UP)})", text)
    text = text.replace("·", "*").replace("−", "-").replace("^", "**")
    return float(eval(text, {**{name: op.forward for name, op in OPS.items()}, **names}))


def of_mathml(node: ElementTree.Element) -> str:
    """The expression that MathML means: fractions, roots and exponents enclose what is in them."""
    parts = [of_mathml(child) for child in node]
    text = (node.text or "").strip()
    if node.tag in ("mi", "mn"):
        return {"e": "math.e", "max": "maximum"}.get(text, text)
    if node.tag == "mo":
        return {"·": "*", "−": "-", "⌊": "(", "⌋": ")"}.get(text, text)
    if node.tag == "mfrac":
        return f"(({parts[0]}) / ({parts[1]}))"
    if node.tag == "msqrt":
        return f"sqrt({''.join(parts)})"
    if node.tag == "msup":
        assert re.fullmatch(r"[\w.]+|\w*\(.*\)|abs\(.*\)", parts[0]), f"what is raised to the power in {parts[0]}"
        return f"({parts[0]})**({parts[1]})"
    joined = "".join(parts)
    assert not re.search(r"[-+*]-", joined), f"two signs side by side in {joined}"
    return f"abs({joined[1:-1]})" if joined.startswith("|") else joined


SOURCE = "".join(map(web._file, ("formulas.js", "powers.js")))


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    kinds = [[op.name, [], [], "", 0, [], "", []] for op in WRITTEN]
    notations = json.dumps(_notations([[name, *rest] for name, *rest in kinds]))
    found = browser.new_page()
    found.evaluate(f"window.N = {notations}; (0, eval)({json.dumps(SOURCE)})")
    return found


def close(x: float, y: float) -> bool:
    return x == y or (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=1e-9)


def evaluated(text: str, names: dict[str, float]) -> float:
    return float(eval(text, {"math": math, **{name: op.forward for name, op in OPS.items()}, **names}))


def test_formulas_have_one_reading_which_is_theirs(page: Any) -> None:
    chance = random.Random(11)
    drawn = [trees(chance, chance.randrange(1, 5)) for _ in range(1500)]
    call = f"{json.dumps(drawn)}.map(f => [plain(f), mathml(f)])"
    names = {"a": 1.7, "b": -0.6}
    compared = 0
    for tree, (text, mathml) in zip(drawn, page.evaluate(f"(0, eval)({json.dumps(call)})"), strict=True):
        expected = value(tree, names)
        if not math.isfinite(expected) or abs(expected) > 1e12:
            continue
        meaning = of_mathml(ElementTree.fromstring(f"<math>{mathml}</math>"))
        try:
            meant = evaluated(meaning, names), of_text(text, names)
        except ZeroDivisionError:  # Python's, where IEEE 754 goes on
            continue
        compared += 1
        assert close(meant[0], expected), (tree, mathml)
        assert close(meant[1], expected), (tree, text)
    assert compared > 800


@pytest.mark.parametrize(
    ("right", "wrong"), [("p + (b !== undefined)", "p"), ("binds < least", "false"), ("second && least > 1", "false")]
)
def test_a_bracket_that_is_missing_would_be_seen(browser: Any, right: str, wrong: str) -> None:
    assert right in SOURCE
    kinds = [[op.name, [], [], "", 0, [], "", []] for op in WRITTEN]
    broken = browser.new_page()
    broken.evaluate(
        f"window.N = {json.dumps(_notations(kinds))}; (0, eval)({json.dumps(SOURCE.replace(right, wrong))})"
    )
    with pytest.raises((AssertionError, SyntaxError)):
        test_formulas_have_one_reading_which_is_theirs(broken)
    broken.close()


def test_small_arithmetic_is_done_in_the_head(page: Any) -> None:
    call = '(0, eval)(\'plain(fill(["mul", "c", ["constant_power", "x", ["sub", "c", 1]]], {x: "a", c: 3}))\')'
    assert page.evaluate(call) == "3·a²"
    call = '(0, eval)(\'plain(fill(["mul", "c", ["constant_power", "x", ["sub", "c", 1]]], {x: "c", c: 2}))\')'
    assert page.evaluate(call) == "2·c"


@pytest.mark.parametrize("op", list(OPS.values()), ids=lambda op: op.name)
def test_every_ops_latex_is_read_as_mathml(op: Op) -> None:
    made = template(op.latex, op.name, op.arity)
    tree = ElementTree.fromstring(f"<math>{made.mathml}</math>")
    assert set(re.findall(r"#\d", made.mathml)) == {f"#{i + 1}" for i in range(op.arity)}
    assert "\\" not in "".join(tree.itertext())
    assert len(made.needs) == op.arity
    if op.latex != "#1":
        Template(op.latex, op.arity)  # raises where it is not understood


@pytest.mark.parametrize(
    "latex", [r"\weird{#1}", r"\frac{#1", r"#1}", r"\left(#1", r"\operatorname#1", "a ^", r"\begin{cases} #1"]
)
def test_latex_that_is_not_understood_is_replaced_by_a_call(latex: str) -> None:
    assert template(latex, "f", 1).mathml == "<mrow><mi>f</mi><mrow><mo>(</mo>#1<mo>)</mo></mrow></mrow>"


# --- one sign for minus --------------------------------------------------------------------------------------------

HYPHEN_BEFORE_A_NUMBER = re.compile(r"(?<![\w\]}])-\s*[\d.∞]")


def negative() -> Value:
    x, y = Value(-2.5, label="x"), Value(-3.0, label="y")
    return (x * y - x**2 / -4.0).tanh() * -1.5


def test_what_can_be_pasted_has_a_hyphen_for_minus() -> None:
    found = steps(negative(), numerical=True)
    program = trace(lambda x: -2.5 * x - 3.0)(-1.0)
    texts = [str(found), found.markdown(), found.latex(), str(program), program.latex(), *map(repr, found)]
    for text in texts:
        assert "\u2212" not in text
        assert HYPHEN_BEFORE_A_NUMBER.search(text)


def test_what_is_looked_at_has_a_minus_sign(opened_once: Any, tmp_path: Path) -> None:
    z = negative()
    z.backward()
    points = [[-1.0, -0.5], [1.0, 0.5]]
    film = Film(points, [-1.0, 1.0])
    fit(nn.MLP(2, [2, 1], seed=1), points, [-1.0, 1.0], loss="hinge", epochs=2, callbacks=[film], progress=False)
    steps(z).save(tmp_path / "steps.html")
    film.save(tmp_path / "film.html")
    seen = [re.sub(r"<style.*?</style>|<!--.*?-->|<[^>]*>", " ", draw(z).svg, flags=re.DOTALL)]
    page = opened_once(tmp_path / "film.html")
    seen.append(page.locator(".mg-page").inner_text())
    page = opened_once(tmp_path / "steps.html")
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        seen += [page.locator(".view").text_content(), page.locator(".words section").text_content()]
    page.locator("[data-n='0']").click()
    seen.append(page.locator(".words section").text_content())
    for text in seen:
        assert not HYPHEN_BEFORE_A_NUMBER.search(text), text
    assert sum("\u2212" in text for text in seen) > 8


def test_a_hyphen_would_be_seen() -> None:
    for text in ("gradient -2", "(-1.5)", "x = -∞", "2 × -3"):
        assert HYPHEN_BEFORE_A_NUMBER.search(text)
    for text in ("v-2", "2026-11", "\u22123"):
        assert not HYPHEN_BEFORE_A_NUMBER.search(text)
