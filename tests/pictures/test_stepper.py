"""The stepper in a real Chromium: what it shows is what `steps` says, by every way of stepping."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgrid import Value, maximum, nn, relu, tanh
from microgrid.pictures.digraph import number
from microgrid.steps import Steps, steps, with_number

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
Open = Callable[..., Any]


def shared() -> Steps:
    """(a * b + a) ** 2, where a receives twice."""
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return steps((a * b + a) ** 2, numerical=True)


def mixed() -> Steps:
    """A dead relu, a saturated tanh, x * x, a choice, and gradients from before."""
    x, y = Value(3.0, label="x"), Value(-1.0, label="y")
    (x * 2.0).backward()
    return steps(relu(y) * x + tanh(x * x) + maximum(x, y) / 7.0, accumulate=True)


def again() -> Steps:
    """After a backward pass of its own: it starts from 0."""
    a = Value(2.0, label="a")
    c = (a * a).tanh() * a
    c.backward()
    return steps(c)


@pytest.fixture(params=[shared, mixed, again])
def stepped(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Steps, Path]:
    found: Steps = request.param()
    path = tmp_path / f"{request.param.__name__}.html"
    found.save(path)
    return found, path


def n(x: float) -> str:
    return number(x, 6)


def check(page: Any, found: Steps, k: int) -> None:
    """Everything on the screen after step k is what the record says."""
    step = found[k]
    names = found.names
    assert page.locator(".mg-count").inner_text() == f"step {k + 1} of {len(found)}"
    title = "Forward" if step.phase == "forward" else "Backward"
    assert page.locator(".mg-text h2").inner_text() == f"{title}: {step.name}"
    if step.phase == "forward":
        assert page.locator(".mg-value").inner_text() == n(step.data)
    else:
        why = page.locator(".mg-why").inner_text()
        assert why.startswith(f"Cotangent {n(step.upstream)}")
        assert step.why in why
        rows = page.locator(".mg-text tbody tr").all()
        assert len(rows) == len(step.contributions)
        for row, c in zip(rows, step.contributions, strict=True):
            cells = [cell.strip() for cell in row.locator("td").all_inner_texts()]
            expected = [
                with_number(c.formula, c.partial),
                n(step.upstream),
                n(c.contribution),
                c.name,
                n(c.before),
                n(c.after),
            ]
            assert cells == expected
    assert page.locator(".mg-note").all_inner_texts() == list(step.remarks)
    grads = dict.fromkeys(range(len(names)), "–")
    for i, value in enumerate(found.values):
        if value.op is None:
            grads[i] = n(found.starts[i])
    for earlier in found[: k + 1]:
        if earlier.phase == "backward":
            grads[earlier.node] = n(earlier.upstream)
            grads |= {c.operand: n(c.after) for c in earlier.contributions}
    for i, item in enumerate(found.items):
        lines = page.locator(f"svg [data-n='{i}'] text").all_text_contents()
        if item.grad is not None:
            assert lines[-1] == f"grad {grads[i]}"
    assert page.locator("svg g.on").get_attribute("data-n") == str(step.node)


def test_next_shows_every_step(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path)
    for k in range(len(found)):
        page.get_by_role("button", name="Next").click()
        check(page, found, k)
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="Previous").click()
    check(page, found, len(found) - 2)
    page.screenshot(path=Path(__file__).parents[2] / ".screenshots" / f"{path.stem} {page.viewport_size['width']}.png")


def test_the_keyboard_alone_is_enough(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path)
    page.keyboard.press("Tab")  # to the stepper itself
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    check(page, found, 2)
    page.keyboard.press("ArrowLeft")
    check(page, found, 1)
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("End")
    check(page, found, len(found) - 1)
    page.keyboard.press("ArrowLeft")
    check(page, found, len(found) - 2)


def test_the_slider_goes_anywhere(opened: Open, stepped: tuple[Steps, Path]) -> None:
    found, path = stepped
    page = opened(path)
    for k in (len(found) - 1, 0, len(found) // 2):
        page.get_by_label("Step", exact=True).fill(str(k + 1))
        check(page, found, k)


def test_a_prediction_is_judged_and_then_the_number_shown(opened: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened(tmp_path / "steps.html")
    page.get_by_label("Predict").check()
    page.get_by_label("Step", exact=True).fill(str(len(found)))
    last = found[-1]
    assert n(last.contributions[0].contribution) not in page.locator(".mg-text").inner_text().split()
    boxes = page.locator(".mg-text input")
    assert boxes.count() == 2
    boxes.nth(0).fill("24")
    boxes.nth(0).press("Enter")
    assert "✓ right" in page.locator(".mg-text").inner_text()
    boxes.nth(1).fill("5")
    boxes.nth(1).press("Enter")
    check(page, found, len(found) - 1)
    assert page.locator(".mg-said").all_inner_texts() == [
        "You said 24 for the contribution to a: ✓ right, 24",
        "You said 5 for the contribution to b: ✗ it is −16",
    ]
    page.get_by_label("Step", exact=True).fill("1")
    page.locator(".mg-text input").fill("-6")
    page.locator(".mg-text input").press("Enter")
    check(page, found, 0)


@pytest.mark.parametrize(
    ("x", "said", "verdict"),
    [
        (-1e-5, "-1e-5", "✓ right, −1e−05"),
        (-1e-5, "−0.00001", "✓ right, −1e−05"),
        (-1e-5, "-1", "✗ it is −1e−05"),
        (1e-300, "0", "✗ it is 1e−300"),
        (0.5, "0,5", "✓ right, 0.5"),
        (float("nan"), "nan", "✓ right, nan"),
        (float("inf"), "inf", "✓ right, inf"),
        (float("-inf"), "inf", "✗ it is −inf"),
        (-0.0, "0", "✓ right, −0"),
    ],
)
def test_predictions_are_read_as_people_write_them(
    opened: Open, tmp_path: Path, x: float, said: str, verdict: str
) -> None:
    steps(Value(x, label="x") + Value(-0.0, label="y")).save(tmp_path / "steps.html")
    page = opened(tmp_path / "steps.html")
    page.get_by_label("Predict").check()
    page.get_by_role("button", name="Next").click()
    box = page.locator(".mg-text input")
    for no_number in ("16abc", "1/3", "what"):
        box.fill(no_number)
        box.press("Enter")
        assert "write a number" in page.locator(".mg-text").inner_text()
    box.fill(said)
    box.press("Enter")
    assert page.locator(".mg-said").inner_text().endswith(verdict)


def test_the_arrow_keys_go_on_when_a_button_has_come_to_its_end(opened: Open, tmp_path: Path) -> None:
    found = shared()
    found.save(tmp_path / "steps.html")
    page = opened(tmp_path / "steps.html")
    for name, key, back in (("Next", "ArrowLeft", len(found) - 1), ("Previous", "ArrowRight", 1)):
        page.get_by_role("button", name=name).focus()
        for _ in range(len(found)):
            page.keyboard.press("Enter")
        page.keyboard.press(key)
        assert page.locator(".mg-count").inner_text() == f"step {back} of {len(found)}"


def test_a_large_graph_is_stepped_by_modules_and_unfolds(opened: Open, tmp_path: Path) -> None:
    model = nn.MLP(2, [5, 6, 6, 1], activation="tanh")
    found = steps((model([Value(0.3, label="x1"), Value(-0.5, label="x2")]) - 1.0) ** 2)
    found.save(tmp_path / "large.html")
    page = opened(tmp_path / "large.html", "large")
    stops = int(page.locator(".mg-count").inner_text().split()[-1])
    assert stops < len(found) / 4
    page.get_by_role("button", name="Next").click()
    heading = page.locator(".mg-text h2").inner_text()
    count = int(re.findall(r"(\d+) steps", heading)[0])
    assert heading.startswith("layers[0].neurons[0]: ")
    page.get_by_role("button", name="Unfold").click()
    assert int(page.locator(".mg-count").inner_text().split()[-1]) == stops + count - 1
    for k in range(count):
        assert page.locator(".mg-text h2").inner_text() == f"Forward: {found[k].name}"
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Previous").click()
    page.get_by_role("button", name="Fold").click()
    assert page.locator(".mg-text h2").inner_text() == heading
    single = page.locator("svg g.output text")
    assert single.all_text_contents()[-2:] == ["?", "grad –"]
    page.get_by_label("Step", exact=True).fill(str(stops))
    assert single.all_text_contents()[-2:] == [n(found.values[-1].data), "grad 1"]


def test_without_scripts_there_is_the_picture_with_its_text(browser: Any, tmp_path: Path) -> None:
    shared().save(tmp_path / "steps.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "steps.html").as_uri())
    image = page.locator(".mg-page img")
    assert image.get_attribute("alt") == ("The graph of (a * b + a) ** 2, which is 16. Its gradients: a 16, b −16.")
    assert image.bounding_box()["width"] > 200
    page.screenshot(path=tmp_path / "no scripts.png")
    context.close()


def test_what_an_untrusted_notebook_leaves_is_the_picture(browser: Any, tmp_path: Path) -> None:
    """JupyterLab strips scripts, styles and inline SVG from what it does not trust."""
    kept = re.sub(r"<script\b.*?</script>|<style\b.*?</style>|<svg\b.*?</svg>(?=<)", "", shared().html(), flags=re.S)
    assert "<script" not in kept
    (tmp_path / "kept.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{kept}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "kept.html").as_uri())
    assert page.evaluate("document.images.length") == 1
    assert page.evaluate("document.images[0].complete && document.images[0].naturalWidth > 200")
    page.close()


HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror='window.hacked = 2'>%22#</svg>\u2028\\n&lt;🙂"


def test_a_hostile_label_is_text(opened: Open, tmp_path: Path) -> None:
    x = Value(2.0, label=HOSTILE)
    found = steps(x * x + 1.0)
    found.save(tmp_path / "hostile.html")
    page = opened(tmp_path / "hostile.html")
    for _ in range(len(found)):
        page.get_by_role("button", name="Next").click()
    assert page.evaluate("window.hacked") is None
    assert HOSTILE[:20] in page.locator("svg [data-n='0'] text").first.text_content()
    assert HOSTILE.split("\u2028")[0] in page.locator(".mg-text tbody").inner_text()


@pytest.mark.parametrize(
    "label", ["a\u2028node v0 1 1 1 1", "a\x85edge 0", "node 1 2 3 " * 900, "L" * 10_000, "a\nnode"]
)
def test_no_label_disturbs_the_layout(opened: Open, tmp_path: Path, label: str) -> None:
    found = steps(Value(-0.0, label=label) * 1e300)
    found.save(tmp_path / "steps.html")
    box = opened(tmp_path / "steps.html").locator("svg [data-n='0']")
    name, *numbers = box.locator("text").all_text_contents()
    assert name[:3] == label.replace("\n", " ")[:3]
    assert len(name) <= 40
    assert numbers == ["−0", "grad 0"]
    assert box.bounding_box()["width"] < 400


def test_a_value_without_a_name_has_the_same_number_in_the_picture_and_in_the_text(
    opened: Open, tmp_path: Path
) -> None:
    x = Value(0.5, label="x")
    found = steps(((x + 1.0) * (x + 2.0) * (x + 3.0) * (x + 4.0)) ** 2)
    found.save(tmp_path / "steps.html")
    page = opened(tmp_path / "steps.html")
    unnamed = [(i, name) for i, name in enumerate(found.names) if name == f"v{i}"]
    assert unnamed
    for i, name in unnamed:
        assert page.locator(f"svg [data-n='{i}'] text").first.text_content().startswith(f"{name} = ")
    assert page.locator("svg g.input text").first.text_content() == "x"


def test_two_steppers_of_the_same_graph_are_apart(opened: Open, tmp_path: Path) -> None:
    found = shared()
    (tmp_path / "two.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{found.html()}{found.html()}", "utf-8")
    page = opened(tmp_path / "two.html")
    page.get_by_role("button", name="Next").nth(1).click()
    assert page.locator(".mg-count").all_inner_texts() == ["step 0 of 6", "step 1 of 6"]


@pytest.mark.parametrize("steps_taken", [0, 6])
def test_an_accessibility_scan_finds_nothing(opened: Open, stepped: tuple[Steps, Path], steps_taken: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = opened(stepped[1])
    for _ in range(steps_taken):
        page.get_by_role("button", name="Next").click()
    page.wait_for_timeout(200)  # a fading line has no contrast
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_the_scan_finds_what_is_wrong(browser: Any) -> None:
    """The negative control."""
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page()
    page.set_content("<html><body><img src='data:,'><input type=range></body></html>")
    assert Axe().run(page).violations_count > 0
    page.close()


def test_nbconvert_keeps_a_stepper_that_steps(opened: Open, tmp_path: Path) -> None:
    nbconvert, nbformat = pytest.importorskip("nbconvert"), pytest.importorskip("nbformat")
    found = shared()
    output = nbformat.v4.new_output("display_data", data=found._repr_mimebundle_())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("steps(c)", outputs=[output])])
    exporter = nbconvert.HTMLExporter(template_name="basic")
    text, _ = exporter.from_notebook_node(notebook)
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{text}", encoding="utf-8")
    page = opened(tmp_path / "notebook.html")
    page.get_by_role("button", name="Next").click()
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
