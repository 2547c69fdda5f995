"""The stepper in a real Chromium: its screens are what `steps` says, by every way of stepping."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import microgrid as mg
from microgrid import Value, maximum, nn, primitive, relu, tanh
from microgrid.core.primitive import OPS
from microgrid.engine import CONSTANT
from microgrid.pictures import stepper, web
from microgrid.pictures.walk import folded
from microgrid.pictures.web import number as n
from microgrid.steps import Steps, steps

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
Open = Callable[..., Any]


def shared(a: float = 2.0, b: float = -3.0) -> Steps:
    """(a * b + a) ** 2, where a receives twice."""
    x, y = Value(a, label="a"), Value(b, label="b")
    return steps((x * y + x) ** 2, numerical=True)


def mixed() -> Steps:
    """A dead relu, a saturated tanh, x * x, a choice, and gradients from before."""
    x, y = Value(3.0, label="x"), Value(-1.0, label="y")
    (x * 2.0).backward()
    return steps(relu(y) * x + tanh(x * x) + maximum(x, y) / 7.0, accumulate=True)


def again() -> Steps:
    """After a backward pass of its own: it starts from 0; and with a seed."""
    a = Value(2.0, label="a")
    c = (a * a).tanh() * a
    c.backward()
    return steps(c, seed=-2.0)


def neurons() -> Steps:
    """Two layers, with lines for their modules."""
    return steps(nn.MLP(2, [2, 1], activation="sigmoid", seed=3)([Value(0.3, label="x1"), Value(-0.5, label="x2")]))


GRAPHS = [shared, mixed, again, neurons]


@pytest.fixture(params=GRAPHS)
def stepped(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Steps, Path]:
    found: Steps = request.param()
    path = tmp_path / f"{request.param.__name__}.html"
    found.save(path)
    return found, path


def b(x: float) -> str:
    return f"({n(x)})" if n(x).startswith("−") else n(x)


def flat(text: str) -> str:
    return re.sub(r"[\s\u2061]+", "", text)


def at_address(opened: Open, path: Path, after: str) -> Any:
    """The page as a link to a scene opens it."""
    page = opened(path)
    page.goto(f"{path.as_uri()}#{after}")
    page.reload()
    page.locator(".mg-bar").wait_for()
    return page


def go(page: Any, at: int) -> None:
    page.get_by_label("Step", exact=True).fill(str(at))


def strips(found: Steps, k: int, of: Iterable[int] | None = None) -> dict[int, str]:
    """The line for the gradient in each box after step k: what its users have passed back by then."""
    half = len(found) // 2
    if k < half:
        return {}
    turns = {i: half + t for t, i in enumerate(reversed([i for i, item in enumerate(found.items) if item.operands]))}
    lines = {}
    for i in range(len(found.items)) if of is None else of:
        value = found.values[i]
        if value.op is CONSTANT:
            continue
        got, every, total = 0, 0, found.seed if i == len(found.items) - 1 else 0.0
        for user in sorted((u for u in turns if i in found.items[u].operands), key=lambda u: turns[u]):
            for j, partial in zip(found.items[user].operands, found.values[user].partials, strict=False):
                if j == i:
                    every += 1
                    if turns[user] <= k:
                        got += 1
                        share = found.grads[user] * partial
                        total += 0.0 if math.isnan(share) else share
        total += found.starts[i]
        if got == every and turns.get(i, 0) <= k:
            lines[i] = f"✓ gradient {n(total)}"
        elif got == every:
            lines[i] = f"● gradient {n(total)}"
        else:
            lines[i] = f"◐ {n(total)} so far" if got else "○"
    return lines


SCREEN = """(() => {
  const all = document, main = all.querySelector.bind(all);
  const texts = s => [...document.querySelectorAll(s)].map(x => x.textContent.replace(/[\\s\\u2061]+/g, ""));
  const boxes = s => [...all.querySelectorAll("[data-n]")].map(g => [+g.dataset.n, g.querySelector(s).textContent]);
  return { count: main(".mg-count").textContent, head: main(".words h2").textContent,
    values: boxes(".value"), lines: boxes(".grad"), rows: texts(".rows > div"), tags: texts(".tag"),
    said: main(".words section").textContent,
    soft: main(".words section .soft")?.textContent || "", active: +main("svg g.active").dataset.n };
})()"""


def amounts(text: str) -> list[float]:
    """The sizes of nudges, and by how much they move something."""
    return [float(x.replace("\u2212", "-")) for x in re.findall(r"(?:nudge of|one of|by) ([-\u2212\d.e+]+\d)", text)]


def check(page: Any, found: Steps, k: int) -> None:
    """Everything on the screen after step k is what the record says."""
    step, half, screen = found[k], len(found) // 2, page.evaluate(SCREEN)
    forward = step.phase == "forward"
    assert screen["count"] == (f"forward {k + 1} of {half}" if forward else f"backward {k + 1 - half} of {half}")
    assert screen["head"].startswith("Forward: compute" if forward else "Backward: ")
    assert screen["active"] == step.node
    known = {i for i, v in enumerate(found.values) if not forward or v.op is None} | {*step.done, step.node}
    assert dict(screen["values"]) == {
        i: n(v.data) if i in known else "?" for i, v in enumerate(found.values) if v.op is not CONSTANT
    }
    if forward:
        assert len(screen["rows"]) == 1
        assert screen["rows"][0].endswith(f"={n(step.data)}")
        assert {text for _, text in screen["lines"]} == {""}
        return
    assert len(screen["rows"]) == len(step.contributions)
    for row, c in zip(screen["rows"], step.contributions, strict=True):
        assert f"={n(c.partial)}{n(c.partial)}×{b(step.upstream)}={n(c.contribution)}gradientof" in row
        assert row.endswith(f":{n(c.before)}+{b(c.contribution)}={n(c.after)}")
    edges = [f"{n(c.partial)}×{b(step.upstream)}={n(c.contribution)}" for c in step.contributions]
    last = {c.operand: c for c in step.contributions}
    sums = {i: f"{n(c.before)}+{b(c.contribution)}={n(c.after)}" for i, c in last.items()}
    assert sorted(screen["tags"]) == sorted([*edges, *sums.values()])
    assert dict(screen["lines"]) == strips(found, k) | dict.fromkeys(sums, "")
    pairs = list(zip(amounts(screen["soft"]), amounts(step.nudge), strict=True))
    assert pairs
    assert all(page_says == pytest.approx(told, rel=1e-3) for page_says, told in pairs)
    if step.numerical is not None and step.node != len(found.values) - 1:
        assert f"By differences it is {n(step.numerical)}." in screen["said"]


def test_the_slider_shows_every_step(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path, path.stem)
    for k in [*range(len(found)), 0]:
        go(page, k + 1)
        check(page, found, k)


def test_numbers_that_differ_would_be_seen(opened_once: Open, tmp_path: Path) -> None:
    shared().save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    other = shared(2.001)
    for k in range(len(other)):
        go(page, k + 1)
        if k in (3,):  # the output's own gradient is 1 in both
            continue
        with pytest.raises(AssertionError):
            check(page, other, k)


def test_the_last_screen_is_the_answer_with_a_test_beside_it(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path)
    page.keyboard.press("End")
    assert page.locator(".mg-count").inner_text() == "the answer"
    inputs = [i for i, v in enumerate(found.values) if v.op is None]
    rows = page.locator("tbody tr").all()
    assert len(rows) == len(inputs)
    for i, row in zip(inputs, rows, strict=True):
        cells = [flat(text) for text in row.locator("td").all_text_contents()]
        assert cells[1].endswith(f"={n(found.grads[i])}")
        x = found.values[i]
        moved = mg.Program.of(found.values[-1], [x]).replay([x.data + 0.01])[0] - found.values[-1].data
        got = float(
            re.findall(r"changesby([−\d.e]+)", cells[3])[0].split("0.01×")[0].replace("−", "-").removesuffix("0.01")
        )
        assert got == pytest.approx(moved, rel=2e-3, abs=1e-12)


def test_the_derivation_is_copied_in_a_frame_of_a_file(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    (tmp_path / "frame.html").write_text(
        "<!DOCTYPE html><p class='mg-bar'>-</p><textarea id='into'></textarea>"
        f"<iframe src='{(tmp_path / 'steps.html').as_uri()}' width=900 height=700></iframe>",
        "utf-8",
    )
    page = opened_once(tmp_path / "frame.html")
    inside = page.frames[1]
    inside.locator(".mg-count").wait_for()
    inside.locator("[data-do=end]").click()
    inside.get_by_role("button", name="Copy LaTeX").click()
    inside.get_by_role("button", name="Copied").wait_for()
    page.locator("#into").press("Control+V")
    assert page.locator("#into").input_value() == found.latex()
    inside.get_by_label("a, as a number").fill("1.5")
    assert inside.locator("[data-do=latex]").count() == 0  # it is of the recorded numbers


def test_next_moves_and_comes_to_rest_where_the_slider_is(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.get_by_label("Speed").select_option("4")
    go(page, len(found) - 1)
    page.get_by_role("button", name="Next step").click()
    page.wait_for_timeout(100)
    assert page.locator(".tag").count() < 4  # contributions are on their way
    page.locator(".tag").nth(3).wait_for()
    page.locator("svg .done.active").wait_for()
    check(page, found, len(found) - 1)
    assert page.locator(".pip:not(.full)").count() == 0
    page.get_by_role("button", name="Previous step").click()
    check(page, found, len(found) - 2)
    assert page.locator(".pip:not(.full)").count() == 2


@pytest.mark.slow
def test_play_goes_on_by_itself_to_the_answer(opened_once: Open, tmp_path: Path) -> None:
    a = Value(2.0, label="a")
    steps(a * a).save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.get_by_label("Speed").select_option("4")
    page.keyboard.press(" ")
    page.get_by_text("the answer").first.wait_for(timeout=20_000)
    assert page.get_by_role("button", name="Play").is_visible()


def test_the_keyboard_alone_is_enough(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path)
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    page.locator(".mg-bar").wait_for()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    check(page, found, 2)
    page.keyboard.press("ArrowLeft")
    check(page, found, 1)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    check(page, found, len(found) - 1)
    box = page.locator("svg g.active")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('active')"):
            break
    else:
        pytest.fail("no tab reaches the box")
    page.keyboard.press("Enter")
    assert page.locator(".words h2").inner_text().startswith("The whole calculation")
    page.keyboard.press("Escape")
    assert box.get_attribute("data-n") == str(found[-1].node)
    page.keyboard.press("Home")
    assert page.locator(".mg-count").inner_text() == "start"


def test_the_keys_go_on_when_a_button_has_come_to_its_end(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    for name, count, back in (
        ("Next step", len(found) + 1, "backward 3 of 3"),
        ("Previous step", len(found), "forward 1 of 3"),
    ):
        page.get_by_role("button", name=name).focus()
        for _ in range(count):
            page.keyboard.press("Enter")
        page.keyboard.press("ArrowLeft" if name == "Next step" else "ArrowRight")
        assert page.locator(".mg-count").inner_text() == back


def test_a_click_on_a_box_opens_its_whole_calculation(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.keyboard.press("End")
    page.locator("[data-n='0']").click()
    rows = [flat(text) for text in page.locator(".rows > div").all_text_contents()]
    to_a = [(step.upstream, c) for step in found.backward for c in step.contributions if c.name == "a"]
    assert rows[1] == "=" + "+".join(f"{b(u)}·{r}" for (u, _), r in zip(to_a, ("1", "b"), strict=True))
    assert rows[2] == "=" + "+".join(f"{b(u)}·{b(c.partial)}" for u, c in to_a)
    assert rows[3] == "=" + "+".join(b(c.contribution) for _, c in to_a) + f"={n(found.grads[0])}"
    page.locator(".links button").first.click()  # a user
    assert page.locator(".words h2").inner_text().startswith("The whole calculation")
    assert flat(page.locator(".rows > div").first.inner_text()).endswith(f"={n(-4.0)}")
    page.get_by_role("button", name="Close").click()
    assert page.locator(".words h2").inner_text().startswith("The answer")


@pytest.mark.slow
@pytest.mark.parametrize(("made", "said"), [(relu, "=[x>0]=[2>0]=1"), (abs, "=(1ifx>0,else(−1ifx<0,else0))=")])
def test_a_rule_that_chooses_is_a_formula(opened_once: Open, tmp_path: Path, made: Any, said: str) -> None:
    steps(made(Value(2.0, label="x"))).save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    go(page, 2)
    assert said in flat(page.locator(".rows > div").first.inner_text()).replace("\U0001d465", "x")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda x: x * Value(2.0, label="y_1"), "y₁"),
        (lambda x: x * Value(2.0, label="a[0]"), "a₀"),
        (lambda x: x**2, "x²"),
    ],
)
def test_indices_and_exponents_are_set_low_and_high(
    opened_once: Open, tmp_path: Path, made: Callable[[Value], Value], said: str
) -> None:
    steps(made(Value(2.0, label="x"))).save(tmp_path / "steps.html")
    texts = opened_once(tmp_path / "steps.html").locator(".node > .name").all_text_contents()
    assert any(said in text for text in texts), texts


@pytest.mark.slow
def test_boxes_have_their_module_and_what_leaves_it_a_name(opened_once: Open, tmp_path: Path) -> None:
    neurons().save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    assert len(set(page.locator(".node > .where").all_text_contents())) > 2
    assert any("out" in text for text in page.locator(".node > .name").all_text_contents())


def accumulated() -> Steps:
    x = Value(2.0, label="x")
    (3.0 * x).backward()
    return steps(3.0 * x, accumulate=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: steps(relu(Value(-2.0, label="x"))), "relu is off: its operand is −2"),
        (lambda: steps(maximum(Value(1.0, label="x"), Value(2.0, label="y"))), "Only what was chosen receives."),
        (lambda: steps((x := Value(2.0, label="x")) * x), "Both operands are the same value"),
        (lambda: steps((x := Value(2.0, label="x")) * (x + 1.0)), "is used more than once"),
        (accumulated, "had a gradient of 3 already"),
    ],
)
def test_a_page_carries_the_remarks_on_its_graph(
    opened_once: Open, tmp_path: Path, made: Callable[[], Steps], said: str
) -> None:
    found = made()
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    told = []
    for k in range(len(found.backward)):
        go(page, len(found.forward) + 1 + k)
        told += page.locator(".note").all_inner_texts()
    assert any(said in text for text in told), told


def loss_over_points(w: float = 0.8, b: float = -0.3) -> Steps:
    """A mean of squares, and a sum of four with another order of adding."""
    slope, offset = Value(w, label="w"), Value(b, label="b")
    square = [(slope * x + offset - y) ** 2 for x, y in ((1.0, 2.0), (2.0, 3.5), (3.0, 5.0), (4.0, 8.0))]
    return steps(mg.mean(square) + 0.1 * ((square[0] + square[1] * 2.0) + (slope.tanh() + offset.exp())))


def test_long_sums_are_one_box_that_unfolds(opened_once: Open, tmp_path: Path) -> None:
    loss_over_points().save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.get_by_label("w, as a number").fill("1.7")
    found = loss_over_points(1.7)
    short = folded(found)
    assert short is not None
    assert [item.sign for item in short.items if item.op is None and item.operands] == ["mean of 4", "sum of 4"]

    def shown() -> tuple[list[str], list[str]]:
        go(page, 99)
        return page.locator("[data-n] > .value").all_text_contents(), page.locator(".grad").all_text_contents()

    def expected(walk: Any) -> tuple[list[str], list[str]]:
        places = [i for i, value in enumerate(walk.values) if value.op is not CONSTANT]
        return [n(walk.values[i].data) for i in places], [f"✓ gradient {n(walk.grads[i])}" for i in places]

    assert shown() == expected(short)
    page.get_by_role("button", name="Unfold sums").click()
    page.get_by_role("button", name="Fold sums", exact=True).wait_for()
    assert shown() == expected(found)
    for k in (3, len(found) // 2, len(found) - 4):
        go(page, k + 1)
        check(page, found, k)
    page.get_by_role("button", name="Fold sums", exact=True).click()
    page.get_by_role("button", name="Unfold sums").wait_for()
    assert shown() == expected(short)
    assert page.get_by_label("w, as a number").input_value() == "1.7"
    mean = next(i for i, item in enumerate(short.items) if item.sign == "mean of 4")
    page.locator(f"[data-n='{short.items[mean].operands[0]}']").dispatch_event("click")
    passed = 0.25 * short.grads[mean]
    assert n(passed) in flat(page.locator(".rows").inner_text())
    page.get_by_role("button", name="Practice").click()
    page.get_by_label("Level").select_option("3")
    answer(page, n(loss_over_points().grads[0]).replace("\u2212", "-"))
    assert page.locator(".mg-said").count() == 1


def test_a_folded_sum_of_numbers_that_were_changed_shows_them_as_recorded(opened_once: Open, tmp_path: Path) -> None:
    leaves = [Value(0.5 * k, label=f"x{k}") for k in range(4)]
    found = steps(mg.mean(leaves) * 2.0)
    wanted = [n(v.data) for v in found.values if v.op is not None and v.op is not CONSTANT][-2:]
    leaves[1].data = 100.0
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    assert "changed after" in page.locator(".inputs").inner_text()
    go(page, 99)
    assert page.locator("[data-n] > .value").all_text_contents()[-2:] == wanted
    page.get_by_role("button", name="Unfold sums").click()
    go(page, 99)
    assert page.locator("[data-n] > .value").all_text_contents()[-2:] == wanted
    assert page.locator(".inputs input").count() == 0


def test_inputs_that_move_recompute_all(opened_once: Open, tmp_path: Path) -> None:
    shared().save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    for a, y in ((1.5, -0.25), (-7.0, 3.0), (0.0, 1e-3)):
        page.get_by_label("a, as a number").fill(str(a))
        page.get_by_label("b, as a number").fill(str(y))
        fresh = steps(shared(a, y).values[-1])
        for k in range(len(fresh)):
            go(page, k + 1)
            check(page, fresh, k)
    page.get_by_label("a", exact=True).fill("2.0")
    page.get_by_role("button", name="Reset the inputs").click()
    go(page, 6)
    check(page, shared(), 5)


@pytest.mark.parametrize(("declared", "why"), [(True, "my_gamma is computed by Python"), (False, "changed after")])
def test_a_graph_that_cannot_be_recomputed_shows_its_numbers_all_the_same(
    opened_once: Open, tmp_path: Path, declared: bool, why: str
) -> None:
    x = Value(3.0, label="x")
    if declared:
        gamma = primitive("my_gamma", lambda x: x.__float__() * 2.0, lambda z, x: (1.0 if x > 2.0 else 7.0,))
        found = steps(gamma(x) * x)
    else:
        y = x * x
        z = y * x
        x.data = 5.0
        found = steps(z)
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    assert why in page.locator(".inputs").inner_text()
    assert page.locator(".inputs input").count() == 0
    for k in range(len(found)):
        go(page, k + 1)
        check(page, found, k)


@pytest.mark.slow
def test_every_op_has_a_page_with_its_numbers(opened_once: Open, tmp_path: Path) -> None:
    from operands import inside

    pieces, wanted = [], []
    for op in OPS.values():
        at, count = inside(op), op.arity - op.static
        z = op(*[Value(x, label=name) for x, name in zip(at, op.variables, strict=False)][:count], *at[count:])
        found = steps(z)
        pieces.append(found.html())
        lines = [f"✓ gradient {n(found.grads[i])}" for i, v in enumerate(found.values) if v.op is not CONSTANT]
        wanted.append((op.name, [n(v.data) for v in found.values], lines))
    (tmp_path / "ops.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{''.join(pieces)}", encoding="utf-8")
    page = opened_once(tmp_path / "ops.html")
    page.evaluate("document.querySelectorAll('[data-do=end]').forEach(b => b.click())")
    shown = page.evaluate(
        "[...document.querySelectorAll('.mgs')].map(m => ['.node > .value', '.grad'].map("
        "s => [...m.querySelectorAll(s)].map(t => t.textContent)))"
    )
    assert [(name, *row) for (name, _, _), row in zip(wanted, shown, strict=True)] == [(a, b, c) for a, b, c in wanted]
    assert page.locator(".inputs").count() == page.locator(".inputs:has(input)").count()


# --- practice ------------------------------------------------------------------------------------------------------


def answer(page: Any, text: str) -> str:
    field = page.locator(".ask input").first
    field.fill(text)
    field.press("Enter")
    said = page.locator(".ask + [role=status]")
    return str(said.first.inner_text()) if said.count() else ""


def test_practice_asks_hides_and_judges(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.get_by_role("button", name="Practice").click()
    go(page, len(found))
    assert page.locator(".ask").count() == 2
    assert n(found[-1].contributions[0].contribution) not in flat(page.locator(".view").inner_text())
    assert "A factor is missing" in answer(page, "-3")  # the local derivative alone
    assert "look at the sign" in answer(page, "-24")
    assert "with what it had before" in answer(page, "16")
    assert "the contribution to the other operand" in answer(page, "-16")
    assert "Along an edge one multiplies" in answer(page, "-11")
    page.get_by_role("button", name="Hint").first.click()
    assert "−8" in page.locator(".note").first.inner_text()
    answer(page, "24")
    answer(page, "-16")
    check(page, found, len(found) - 1)
    assert page.locator(".mg-said").count() == 2
    assert page.locator(".score").inner_text() == "1 of 2 right at the first try"
    go(page, 1)
    assert "look at the sign" in answer(page, "6")
    answer(page, "-6")
    check(page, found, 0)


def test_a_whole_gradient_is_asked_and_a_second_user_missed(opened_once: Open, tmp_path: Path) -> None:
    found = shared(2.0, 0.5)
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    page.get_by_role("button", name="Practice").click()
    page.get_by_label("Level").select_option("3")
    assert page.locator(".mg-count").inner_text() == "the answer"
    assert page.locator(".ask").count() == 2
    assert page.locator(".grad").all_text_contents() == ["✓ gradient ?"] * 4 + ["✓ gradient 1"]
    assert "There is a second user" in answer(page, "6")
    assert "A factor is missing: that is the sum of the local derivatives" in answer(page, "1.5")
    assert "A factor is missing: that is the sum of the gradients" in answer(page, "12")
    assert "added, not multiplied" in answer(page, "18")
    assert "the value, not the gradient" in answer(page, "2")
    assert "look at the sign of each" in answer(page, "-3")
    assert "look at the sign." in answer(page, "-9")
    answer(page, "9")
    answer(page, "12")
    assert page.locator(".ask").count() == 0
    assert page.locator(".words tbody tr").count() == 2
    page.get_by_label("Level").select_option("2")
    assert page.locator(".mg-count").inner_text() == "backward 2 of 3"
    assert "A factor is missing: that is the gradient of" in answer(page, "1")
    answer(page, "6")
    assert page.locator(".ask").count() == 0


@pytest.mark.slow
def test_exercises_of_a_seed_are_the_same_for_all(opened_once: Open, browser: Any, tmp_path: Path) -> None:
    shared().save(tmp_path / "steps.html")

    def numbers(seed: int, exercise: int, level: int) -> list[float]:
        page = at_address(opened_once, tmp_path / "steps.html", f"practice={level}&seed={seed}&exercise={exercise}")
        page.locator(".ask").first.wait_for()
        found = [
            float(x)
            for x in page.evaluate("[...document.querySelectorAll('.inputs input[type=number]')].map(x => x.value)")
        ]
        page.close()
        return found

    drawn = {(seed, k, level): numbers(seed, k, level) for seed, k, level in ((7, 1, 1), (7, 2, 1), (8, 1, 3))}
    assert numbers(8, 1, 3) == drawn[8, 1, 3]
    assert len({tuple(x) for x in drawn.values()}) == 3
    page = opened_once(tmp_path / "steps.html")
    page.get_by_role("button", name="Practice").click()
    page.get_by_label("Seed of the exercises").fill("7")
    page.get_by_label("Seed of the exercises").press("Tab")
    page.get_by_role("button", name="New numbers").click()
    assert [
        float(x)
        for x in page.evaluate("[...document.querySelectorAll('.inputs input[type=number]')].map(x => x.value)")
    ] == drawn[7, 2, 1]
    assert "seed=7" in page.url
    assert "exercise=2" in page.url


def test_a_page_of_exercises_has_those_of_python(opened_once: Open, tmp_path: Path) -> None:
    mg.save_exercises(tmp_path / "practice.html", seed=7, count=3)
    page = opened_once(tmp_path / "practice.html")
    for difficulty in (1, 3):
        page.get_by_label("Difficulty").select_option(str(difficulty))
        for seed in (8, 9, 7):  # after the last comes the first
            page.get_by_role("button", name="New exercise").click()
            assert f"seed={seed}" in page.url
            assert f"difficulty={difficulty}" in page.url
            found = steps(mg.exercise(difficulty, seed=seed))
            assert page.locator(".mgs").count() == 1
            assert page.locator("svg [data-n] .name").count() == sum(v.op is not CONSTANT for v in found.values)
            assert page.locator(".ask").count() == len(found[len(found) // 2].contributions)
            answers = [n(c.contribution).replace("\u2212", "-") for c in found[len(found) // 2].contributions]
            for text in answers:
                answer(page, text)
            check(page, found, len(found) // 2)
    assert re.fullmatch(r"(\d+) of \1 right at the first try", page.locator(".score").inner_text())
    again = page.url
    go(page, 1)
    page.locator(".halves").click()  # not in a field
    page.keyboard.press("ArrowRight")
    assert page.locator(".mg-count").inner_text().startswith("forward 2 of")  # one step: earlier pages listen no more
    page.goto("about:blank")
    page.goto(again.replace("seed=7", "seed=9"))
    check_values(page, steps(mg.exercise(3, seed=9)))
    with pytest.raises(ValueError, match="count is from 1 to 200, got 0"):
        mg.save_exercises(tmp_path / "practice.html", seed=7, count=0)
    bad: Any = "x"
    with pytest.raises(TypeError, match="seed must be a whole number, got 'x'"):
        mg.save_exercises(tmp_path / "practice.html", seed=bad)
    with pytest.raises(ValueError, match="html"):
        mg.save_exercises(tmp_path / "practice.pdf", seed=7)


def check_values(page: Any, found: Steps) -> None:
    """The values of the leaves are those of the record, and not those of another."""
    page.locator(".ask").first.wait_for()
    shown = dict(page.evaluate(SCREEN)["values"])
    assert [shown[i] for i, v in enumerate(found.values) if v.op is None] == [
        n(v.data) for v in found.values if v.op is None
    ]


@pytest.mark.slow
def test_answers_are_read_as_people_write_them(opened_once: Open, tmp_path: Path) -> None:
    inf, nan = math.inf, math.nan
    cases = [
        *((-1e-5, "-1e-5", True), (-1e-5, "−0.00001", True), (-1e-5, "-1", False), (1e-300, "0", False)),
        *((0.5, "0,5", True), (0.5, "1/2", True), (0.5, "+.5", True), (1 / 3, "0.333", True), (1 / 3, "0.33", False)),
        *((nan, "nan", True), (inf, "inf", True), (-inf, "−∞", True), (-inf, "inf", False), (-0.0, "0", True)),
    ]
    pieces = [steps(Value(x, label="x") + Value(-0.0, label="y")).html() for x, _, _ in cases]
    (tmp_path / "many.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{''.join(pieces)}", encoding="utf-8")
    page = opened_once(tmp_path / "many.html")
    page.locator(".mgs").nth(len(cases) - 1).wait_for()
    for k, (_, said, right) in enumerate(cases):
        one = page.locator(".mgs").nth(k)
        one.get_by_role("button", name="Practice").click()
        one.get_by_label("Step", exact=True).fill("1")
        for no_number in ("16abc", "1/3/4", "what", "--3", ""):
            assert "Write a number" in answer(one, no_number)
        answer(one, said)
        assert (one.locator(".mg-said").count(), one.locator(".wrong-answer").count()) == (int(right), int(not right))


# --- large graphs --------------------------------------------------------------------------------------------------


def xor() -> Steps:
    """The loss of MLP(2, [16, 16, 1]) over four points."""
    net = nn.MLP(2, [16, 16, 1], seed=7)
    points = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    loss = mg.sum([(net([Value(x) for x in p]) - t) ** 2 for p, t in zip(points, (0.0, 1.0, 1.0, 0.0), strict=True)])
    return steps(loss)


def check_neighbourhood(page: Any, found: Steps, k: int) -> None:
    """The cards and what is on their edges are what the record says."""
    step, half = found[k], len(found) // 2
    cards = page.evaluate(
        "(s => [...document.querySelectorAll(s)].map(c => [c.dataset.go ?? '', c.querySelector('.what b').textContent,"
        "c.querySelector('.strip')?.textContent ?? '']))('.card')"
    )
    assert page.locator(".here .card").get_attribute("data-go") == str(step.node)
    users = [i for i, item in reversed(list(enumerate(found.items))) for j in item.operands if j == step.node]
    ids = [int(c[0]) for c in cards if c[0]]
    operands = [j for j in found.items[step.node].operands if found.values[j].op is not CONSTANT]
    assert ids == [*operands, step.node, *users[:40]]
    if k < half:
        known = set(step.done) | {step.node}
        for i, value, strip in cards:
            if i:
                seen = int(i) in known or found.values[int(i)].op is None
                assert (value, strip) == (n(found.values[int(i)].data) if seen else "?", "")
        return
    lines = strips(found, k, ids)
    for i, value, strip in cards:
        if i:
            assert value == n(found.values[int(i)].data)
            assert strip.split(", ")[0] == lines[int(i)]
    pills = [flat(text) for text in page.locator(".made .pill").all_text_contents()]
    assert pills == [f"{n(c.partial)}×{b(step.upstream)}={n(c.contribution)}" for c in step.contributions]


def test_a_networks_loss_is_stepped_with_real_numbers_at_every_step(opened_once: Open, tmp_path: Path) -> None:
    found = xor()
    found.save(tmp_path / "loss.html")
    page = opened_once(tmp_path / "loss.html", "loss")
    chance = random.Random(5)
    short = folded(found)
    assert short is not None
    backward = [i for i, item in enumerate(short.items) if item.operands][::-1]
    assert short.items[backward[0]].sign == "sum of 4"
    for k in [0, 1, *(chance.randrange(len(backward)) for _ in range(6))]:
        i = backward[k]
        go(page, len(backward) + k + 1)
        assert page.locator(".here .card").get_attribute("data-go") == str(i)
        assert page.locator(".here .what b").inner_text() == n(short.values[i].data)
        assert page.locator(".here .strip").inner_text() == f"✓ gradient {n(short.grads[i])}"
        wanted = [str(j) for j in short.items[i].operands if short.items[j].role != "constant"]
        assert [card.get_attribute("data-go") for card in page.locator(".made button.card").all()] == wanted
    page.get_by_role("button", name="Unfold sums").click()
    half = len(found) // 2
    for k in [0, half - 1, half, half + 1, len(found) - 1, *(chance.randrange(len(found)) for _ in range(20))]:
        go(page, k + 1)
        check_neighbourhood(page, found, k)
    page.locator(".made button.card").first.click()
    assert page.locator(".words h2").inner_text().startswith("The whole calculation")
    page.keyboard.press("End")
    page.locator("[data-cell]").first.click(force=True)
    assert page.locator(".inputs input").count() in (0, 2)


@pytest.mark.slow
def test_an_input_of_a_large_graph_moves(opened_once: Open, tmp_path: Path) -> None:
    def made(x: float) -> Steps:
        a = Value(x, label="a")
        y = a
        for _ in range(60):
            y = mg.tanh(y * a + 1.0)
        return steps(y)

    made(0.5).save(tmp_path / "long.html")
    page = at_address(opened_once, tmp_path / "long.html", "step=363&box=0")
    page.get_by_label("a, as a number").fill("-0.75")
    fresh = made(-0.75)
    for k in (100, 200, 350):
        go(page, k + 1)
        check_neighbourhood(page, fresh, k)


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True], ids=["wide", "deep"])
def test_15_000_steps_open(opened_once: Open, tmp_path: Path, deep: bool) -> None:
    """Deep: a name that asked for those of its operands filled the stack of calls of the browser."""
    model = nn.MLP(2, [16, 16, 1])
    x = Value(0.5, label="x")
    for _ in range(3_800 if deep else 0):
        x = mg.tanh(x * 1.01)
    found = steps(x if deep else mg.sum([mg.relu(1.0 - model([0.1 * i, 0.3])) for i in range(12)]))
    assert len(found) > 15_000
    found.save(tmp_path / "large.html")
    assert (tmp_path / "large.html").stat().st_size < 250_000
    page = opened_once(tmp_path / "large.html")
    if not deep:
        page.get_by_role("button", name="Unfold sums").click()
    go(page, len(found))
    check_neighbourhood(page, found, len(found) - 1)


# --- the page and its surroundings ---------------------------------------------------------------------------------


def test_numbers_are_written_alike_in_python_and_in_the_page(browser: Any) -> None:
    chance = random.Random(3)
    numbers = [0.0, -0.0, 1e-4, 9.9999e-5, 0.15625, -0.15625, 1e7, 9999999.5, 999.95, 1000.0, 123456.75, 1e300, 5e-324]
    numbers += [chance.choice([-1, 1]) * 10 ** chance.uniform(-8, 10) for _ in range(3000)]
    numbers += [chance.randrange(-2000, 2000) / 64 for _ in range(500)] + [float("inf"), float("-inf"), float("nan")]
    page = browser.new_page()
    texts = json.dumps([repr(x).replace("inf", "Infinity") for x in numbers])
    shown = page.evaluate(f"(N => {{ {web._file('formulas.js')}; return {texts}.map(x => num(+x)) }})({{}})")
    page.close()
    assert shown == [n(x) for x in numbers]


def test_without_scripts_there_is_the_picture_with_its_text(browser: Any, tmp_path: Path) -> None:
    shared().save(tmp_path / "steps.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "steps.html").as_uri())
    image = page.locator(".mg-page img")
    assert image.get_attribute("alt") == "The graph of (a * b + a) ** 2, which is 16. Its gradients: a 16, b −16."
    assert image.bounding_box()["width"] > 200
    page.screenshot(path=tmp_path / "no scripts.png")
    context.close()


@pytest.mark.parametrize("made", [shared, xor])
def test_what_an_untrusted_notebook_leaves_is_the_picture(
    browser: Any, tmp_path: Path, made: Callable[[], Steps]
) -> None:
    """JupyterLab strips scripts, styles and inline SVG from what it does not trust."""
    kept = re.sub(r"<script\b.*?</script>|<style\b.*?</style>|<svg\b.*?</svg>(?=<)", "", made().html(), flags=re.S)
    assert "<script" not in kept
    (tmp_path / "kept.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{kept}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "kept.html").as_uri())
    assert page.evaluate("document.images.length") == 1
    assert page.evaluate("document.images[0].complete && document.images[0].naturalWidth > 200")
    page.close()


HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror='window.hacked = 2'>%22#</svg>\u2028\\n&lt;🙂"


@pytest.mark.parametrize("large", [False, True])
def test_a_hostile_label_is_text(opened_once: Open, tmp_path: Path, large: bool) -> None:
    x = Value(2.0, label=HOSTILE)
    y = x * x + 1.0
    for _ in range(40 if large else 0):
        y = y * 1.001 + x
    found = steps(y)
    found.save(tmp_path / "hostile.html")
    page = opened_once(tmp_path / "hostile.html")
    for k in range(1, len(found) + 2, 1 if not large else 20):
        go(page, k)
    page.keyboard.press("End")
    page.evaluate(
        "document.querySelector('[data-n],[data-go]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    page.get_by_role("button", name="Practice").click()
    page.get_by_role("button", name="Hint").first.click()
    assert page.evaluate("window.hacked") is None
    assert HOSTILE.split("\u2028")[0] in page.locator(".words").inner_text()


@pytest.mark.slow
def test_no_label_disturbs_the_layout(opened_once: Open, tmp_path: Path) -> None:
    labels = [
        "a\u2028node v0 1 1 1 1",
        "a\x85edge 0",
        "node 1 2 3 " * 900,
        "L" * 10_000,
        "a\nnode",
        "constructor",
        "z",
        "if",
    ]
    pieces = [steps(Value(-0.0, label=label) * 1e300).html() for label in labels]
    (tmp_path / "many.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{''.join(pieces)}", encoding="utf-8")
    page = opened_once(tmp_path / "many.html")
    page.locator(".mgs").nth(len(labels) - 1).wait_for()
    page.evaluate("document.querySelectorAll('[data-do=end]').forEach(b => b.click())")
    for k, label in enumerate(labels):
        box = page.locator(".mgs").nth(k).locator("svg [data-n='0']")
        name, *numbers = box.locator("text").all_text_contents()
        assert name[:3] == label.replace("\n", " ")[:3]
        assert len(name) <= 40
        assert numbers == ["−0", "✓ gradient 1e300"]
        assert box.locator(".box").bounding_box()["width"] < 400


@pytest.mark.slow
def test_a_value_without_a_name_has_the_same_number_in_the_picture_and_in_the_text(
    opened_once: Open, tmp_path: Path
) -> None:
    x = Value(0.5, label="x")
    found = steps(((x + 1.0) * (x + 2.0) * (x + 3.0) * (x + 4.0)) ** 2)
    found.save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    subscript = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    unnamed = [i for i, name in enumerate(found.names) if name == f"v{i}"]
    assert unnamed
    for k, step in enumerate(found):
        go(page, k + 1)
        if step.node in unnamed:
            name = f"v{str(step.node).translate(subscript)}"
            assert page.locator(f"svg [data-n='{step.node}'] .name").text_content().startswith(name)
            assert f"v{step.node}" in flat(page.locator(".words h2").text_content())
    assert page.locator("svg [data-n='0'] .name").text_content() == "x"


def test_a_page_is_small() -> None:
    """With its inputs live, practice and a picture for where no script runs; compressed by a server, 16 KB."""
    x, y = Value(2.0, label="x"), Value(-3.0, label="y")
    for z, most in ((x * y, 20_000), ((x * y + x).tanh(), 22_250)):
        text = stepper.page(steps(z)).encode()
        assert len(text) < most
        assert len(zlib.compress(text)) < 0.85 * most


def test_two_steppers_of_the_same_graph_are_apart(opened_once: Open, tmp_path: Path) -> None:
    found = shared()
    (tmp_path / "two.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{found.html()}{found.html()}", "utf-8")
    page = opened_once(tmp_path / "two.html")
    page.get_by_role("button", name="Next step").nth(1).click()
    assert page.locator(".mg-count").all_inner_texts() == ["start", "forward 1 of 3"]
    page.keyboard.press("ArrowRight")
    assert page.locator(".mg-count").all_inner_texts() == ["start", "forward 2 of 3"]


@pytest.mark.parametrize(
    ("mark", "value"), [("jpThemeLight", "false"), ("theme", "dark"), ("vscodeThemeKind", "vscode-dark")]
)
def test_the_page_has_the_theme_of_its_surroundings(opened_once: Open, tmp_path: Path, mark: str, value: str) -> None:
    shared().save(tmp_path / "steps.html")
    page = opened_once(tmp_path / "steps.html")
    back = "getComputedStyle(document.querySelector('.mgs')).backgroundColor"
    page.evaluate(f"document.body.dataset.{mark} = '{value}'")
    assert page.evaluate(back) == "rgb(18, 18, 18)"
    page.evaluate(f"document.body.dataset.{mark} = '{'true' if value == 'false' else 'light'}'")
    assert page.evaluate(back) == "rgb(255, 255, 255)"


@pytest.mark.slow
@pytest.mark.parametrize("made", [shared, neurons, xor])
@pytest.mark.parametrize("width", [375, 520, 1920])
def test_nothing_scrolls_sideways(browser: Any, tmp_path: Path, width: int, made: Callable[[], Steps]) -> None:
    made().save(tmp_path / "steps.html")
    address = f"{(tmp_path / 'steps.html').as_uri()}#step=9"
    frame = f"<iframe src='{address}' style='width:{width}px;height:700px;border:0'></iframe>"
    (tmp_path / "frame.html").write_text(
        f"<!DOCTYPE html><meta charset='utf-8'><body style='margin:0'>{frame}", "utf-8"
    )
    page = browser.new_page(viewport={"width": max(width, 600), "height": 800})
    page.goto((tmp_path / "frame.html").as_uri())
    inside = page.frames[1]
    inside.locator(".mg-bar").wait_for()
    for key in ("End", "Home", "ArrowRight"):
        inside.locator("body").press(key)
        assert inside.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.close()


SCENES = [(mixed, at) for at in ("", "step=4", "step=12&box=0", "step=99", "practice=1", "practice=3")]
SCENES += [(neurons, "step=20&box=5"), (xor, "step=2600&box=5"), (xor, "practice=2")]


@pytest.mark.slow
@pytest.mark.parametrize(("made", "at"), SCENES)
def test_an_accessibility_scan_finds_nothing(opened: Open, tmp_path: Path, made: Callable[[], Steps], at: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    made().save(tmp_path / "steps.html")
    page = at_address(opened, tmp_path / "steps.html", at)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_the_scan_finds_what_is_wrong(browser: Any) -> None:
    """The negative control."""
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page()
    page.set_content("<html><body><img src='data:,'><input type=range></body></html>")
    assert Axe().run(page).violations_count > 0
    page.close()


@pytest.mark.slow
def test_nbconvert_keeps_a_stepper_that_steps(opened_once: Open, tmp_path: Path) -> None:
    nbconvert, nbformat = pytest.importorskip("nbconvert"), pytest.importorskip("nbformat")
    found = shared()
    output = nbformat.v4.new_output("display_data", data=found._repr_mimebundle_())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("steps(c)", outputs=[output])])
    exporter = nbconvert.HTMLExporter(template_name="basic")
    text, _ = exporter.from_notebook_node(notebook)
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{text}", encoding="utf-8")
    page = opened_once(tmp_path / "notebook.html")
    go(page, 1)
    check(page, found, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_page_written_to_a_pipe_waits_for_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "steps.html"
    os.mkfifo(pipe)
    record = steps(Value(2.0) * 3.0)
    with pytest.raises(OSError, match="nobody reads from this pipe"):
        record.save(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30.0
        while True:
            try:
                record.save(pipe)
                break
            except OSError:  # it has not opened it yet
                assert time.monotonic() < deadline
                time.sleep(0.01)
        read, _ = reader.communicate(timeout=30.0)
    finally:
        reader.kill()
        reader.wait()
    assert read.decode().startswith("<!DOCTYPE html>")
