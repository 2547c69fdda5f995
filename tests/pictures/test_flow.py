"""The animated picture of both passes shows the numbers of `steps`, in their order, and rests at the final state."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from programs import RandomFunction, functions, points

from microgrid import Value, tanh
from microgrid.engine import CONSTANT
from microgrid.pictures import flow
from microgrid.steps import Steps, steps

SVG = "{http://www.w3.org/2000/svg}"


def drawn(walk: Steps) -> Any:
    return ElementTree.fromstring(flow.animated(walk))


def n(x: float) -> str:
    return f"{x:.3g}"


def number(text: str) -> str:
    return n(float(text.replace("−", "-").replace("∞", "inf").strip("() ")))


def products(picture: Any) -> list[tuple[float, str]]:
    """Each contribution that travels, with the time at which it sets out."""
    found = []
    for group in picture.iter(f"{SVG}g"):
        text, motion = group.find(f"{SVG}text"), group.find(f"{SVG}animateMotion")
        if text is not None and motion is not None and "×" in text.text:
            found.append((float(motion.get("keyTimes").split(";")[1]), text.text))
    return found


@given(functions(steps=8), points(3))
def test_each_contribution_travels_in_the_order_of_the_steps_and_each_gradient_stays(
    f: RandomFunction, numbers: list[float]
) -> None:
    root = f(*[Value(x, label=f"x{i}") for i, x in enumerate(numbers[: f.inputs])])
    walk = steps(root)
    picture = drawn(walk)
    travelled: dict[float, Counter[tuple[str, ...]]] = {}
    for start, text in sorted(products(picture)):
        for product in text.split(","):
            told = tuple(number(part) for part in re.split("[×=]", product))
            travelled.setdefault(start, Counter())[told] += 1
    owed = [Counter((n(c.partial), n(s.upstream), n(c.contribution)) for c in s.contributions) for s in walk.backward]
    assert list(travelled.values()) == [step for step in owed if step]
    last = Counter(
        number(text.text.removeprefix("gradient "))
        for text in picture.iter(f"{SVG}text")
        if (text.text or "").startswith("gradient ")
    )
    reached = {c.operand for s in walk.backward for c in s.contributions} | {len(walk.values) - 1}
    assert last == Counter(n(walk.grads[i]) for i in reached if walk.values[i].op is not CONSTANT)


def test_a_gradient_that_is_a_sum_is_written_out_and_one_from_before_is_in_it() -> None:
    a = Value(0.5, label="a <&> b")
    (a * 4.0).backward()
    texts = [text.text for text in drawn(steps(a * -2.0 + a, accumulate=True)).iter(f"{SVG}text")]
    assert "4 + 1 + (−2) = 3" in texts
    assert "a <&> b" in texts


def test_a_picture_is_written_beside_the_page_and_a_graph_too_large_for_it_is_an_error(tmp_path: Path) -> None:
    x = Value(1.0, label="x")
    steps(tanh(x * x)).save(tmp_path / "x.svg")
    assert ElementTree.parse(tmp_path / "x.svg").getroot().tag == f"{SVG}svg"
    z = x
    for _ in range(50):
        z = z * x
    with pytest.raises(ValueError, match=r"at most 40 values, got 51; .*steps\.html"):
        steps(z).save(tmp_path / "x.svg")
    with pytest.raises(ValueError, match=r"\.html or \.htm or \.svg"):
        steps(z).save(tmp_path / "x.png")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_final_state_is_seen_with_reduced_motion_and_contributions_only_while_they_travel(
    browser: Any, motion: str
) -> None:
    a, b = Value(0.5, label="a"), Value(-2.0, label="b")
    page = browser.new_context(reduced_motion=motion).new_page()
    page.set_content(flow.animated(steps(tanh(a * b + a))))
    seen = """time => {
        document.getAnimations().forEach(a => { a.pause(); a.currentTime = 1000 * time; });
        return [...document.querySelectorAll("text")].filter(t => {
            for (let e = t; e; e = e.parentElement) if (getComputedStyle(e).opacity === "0") return false;
            return true;
        }).map(t => t.textContent);
    }"""
    before, during, after = (page.evaluate(seen, time) for time in (3.2, 4.0, 9.5))
    final = {"gradient 1", "gradient 0.786", "gradient 0.393", "gradient −0.786", "0.786 + (−1.57) = −0.786", "−0.462"}
    assert final <= set(after)
    assert not any(("×" in text and "=" in text and "local" not in text) or "so far" in text for text in after)
    if motion == "reduce":
        assert before == during == after
    else:
        assert not final & {*before, *during} - {"−0.462", "gradient 1"}
        assert "0.786 × 1 = 0.786" in during
    page.context.close()
