"""Fourteen scenes look as they did: what is where, and in which colour, whatever fonts the machine has.

`python tests/pictures/test_looks.py` renews what is kept in `looks/`, names the scenes that differ and writes both
states and their difference to `.screenshots/`. Names of scenes pick some.

A picture is kept in blocks of twelve pixels: on the left the mean colour of each, on the right its contrast, which an
edge or a letter makes. A block may be found in one next to it, since letters are wider here than there.
"""

from __future__ import annotations

import base64
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from chromium import SHOTS, chromium

import microgrid as mg
from microgrid import Film, Value, draw, fit, frame, nn, steps, tanh, trace
from microgrid.commands.play import serve
from microgrid.pictures import drawing

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

KEPT = Path(__file__).parent / "looks"
LEAST_CONTRAST, MOST_TINT = 40, 26
"""Contrast of a block in which something is drawn; difference of two tints."""


class Scene(NamedTuple):
    """The thing to open: a file of `made`, or the playground where that is None; and the part to look at.

    `most` is the number of blocks that may be wrong, more where the browser sets text in lines.
    """

    made: Callable[[Path], Any] | None
    part: str
    after: str = ""
    act: Callable[[Any], Any] = lambda page: None
    width: int = 1100
    scheme: str = "light"
    most: int = 3


def small() -> Value:
    x, y = Value(2.0, label="x"), Value(-3.0, label="y")
    z = x * y + x**2 / 3.0
    z.label = "z"
    z.backward()
    return z


def xor_loss() -> Value:
    model = nn.MLP(2, [16, 16, 1], seed=7)
    corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    loss: Value = mg.mean([(model(list(x)) - t) ** 2 for x, t in zip(corners, (0.0, 1.0, 1.0, 0.0), strict=True)])
    loss.backward()
    return loss


def framed() -> Value:
    x = Value(0.5, label="x")
    h: Value = x
    for t in (1, 2):
        with frame(f"t={t}"):
            h = tanh(h * x + 0.25)
    h.backward()
    return h


def softmax() -> Any:
    logits = [Value(x, label=name) for x, name in ((1.0, "a"), (2.0, "b"), (0.5, "c"))]
    return steps(-mg.log(mg.softmax(logits)[1]))


def picture(root: Any, **options: Any) -> Callable[[Path], Any]:
    """A picture by the layout that needs no Graphviz."""
    return lambda path: path.write_text(
        f"<!DOCTYPE html><meta charset='utf-8'><div class='mg-bar'>{drawing.svg(draw(root(), **options).sketch)}",
        "utf-8",
    )


def film(path: Path) -> None:
    points = [[-1.0, -0.5], [-0.5, 0.5], [1.0, 0.5], [0.5, -1.0]]
    labels = [-1.0, 1.0, -1.0, 1.0]
    filmed = Film(points, labels)
    model = nn.MLP(2, [3, 1], activation="tanh", seed=2)
    fit(model, points, labels, loss="hinge", epochs=10, lr=0.3, seed=0, callbacks=[filmed], progress=False)
    filmed.save(path)


def train(page: Any) -> None:
    page.get_by_role("tab", name="Network").click()
    page.locator("#layers").fill("4")
    page.locator("#epochs").fill("10")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("#film svg.panel").first.wait_for()
    page.wait_for_timeout(300)


GRAPH = "svg"
SATURATED = urlencode({"e": "(sigmoid(w*x + b) - y)**2", "w": 5, "x": 2, "b": -1, "y": 0})
SCENES = {
    "a small graph": Scene(picture(small), GRAPH),
    "a network, folded": Scene(picture(xor_loss), GRAPH),
    "frames": Scene(picture(framed), GRAPH),
    "a gradient as a program": Scene(
        picture(lambda: trace(lambda x, y: mg.sin(x * y) / y)(1.0, 2.0).gradient()), GRAPH
    ),
    "one step": Scene(lambda path: steps(small()).save(path), ".view", "step=7"),
    "softmax, the answer": Scene(lambda path: softmax().save(path), ".view", "step=99", width=1500),
    "a neighbourhood": Scene(lambda path: steps(xor_loss()).save(path), ".local", "step=2600", most=40),
    "the map": Scene(lambda path: steps(xor_loss()).save(path), ".map svg", "step=2600"),
    "practice": Scene(lambda path: mg.save_exercises(path, seed=7, count=1), ".view", "practice=1&difficulty=2"),
    "narrow": Scene(lambda path: steps(small()).save(path), ".view", "step=7", width=375),
    "dark": Scene(lambda path: steps(small()).save(path), ".view", "step=99", scheme="dark"),
    "a film": Scene(film, ".mg-panels"),
    "the playground": Scene(
        None, "#steps .view", SATURATED, lambda page: page.get_by_role("slider", name="Step").fill("9")
    ),
    "a network in training": Scene(None, "#film .mg-panels", SATURATED, train),
}


@contextlib.contextmanager
def opened(browser: Any, name: str, folder: Path) -> Iterator[Any]:
    """The page of a scene, where it is to be looked at."""
    scene = SCENES[name]
    context = browser.new_context(
        viewport={"width": scene.width, "height": 900}, color_scheme=scene.scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    with serve() if scene.made is None else contextlib.nullcontext() as server:
        if scene.made is None:
            assert server is not None
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page.goto(f"{server.address('', {})}#{scene.after}")
        else:
            scene.made(folder / "scene.html")
            page.goto(f"{(folder / 'scene.html').as_uri()}#{scene.after}")
        page.locator(".mg-bar, #steps .words").first.wait_for()
        scene.act(page)
        page.locator(scene.part).first.wait_for()
        yield page
        if server is not None:
            server.shutdown()
    context.close()


SCRIPT = (KEPT / "blocks.js").read_text(encoding="utf-8")


def in_page(page: Any, call: str, given: list[Any]) -> Any:
    return page.evaluate(f"async given => {{ {SCRIPT} return {call}(...given); }}", given)


def look(page: Any, name: str) -> bytes:
    """The scene in blocks, as PNG."""
    shot = page.locator(SCENES[name].part).first.screenshot(animations="disabled")
    SHOTS.mkdir(exist_ok=True)
    (SHOTS / f"{name}.png").write_bytes(shot)
    return base64.b64decode(in_page(page, "blocks", [base64.b64encode(shot).decode(), 12]))


def wrong(page: Any, kept: bytes, now: bytes) -> list[tuple[int, int]]:
    """Blocks in which one picture has something, or a tint, that the other has not near there."""
    texts = [base64.b64encode(png).decode() for png in (kept, now)]
    return [(u, v) for u, v in in_page(page, "wrong", [*texts, LEAST_CONTRAST, MOST_TINT])]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_looks_as_it_did(browser: Any, tmp_path: Path, name: str) -> None:
    with opened(browser, name, tmp_path) as page:
        found = wrong(page, (KEPT / f"{name}.png").read_bytes(), look(page, name))
    assert len(found) <= SCENES[name].most, (
        f"{found}: see .screenshots, and python tests/pictures/test_looks.py {name!r}"
    )


OTHER_FONTS = (
    "font => document.head.append(Object.assign(document.createElement('style'), "
    "{ textContent: `* { font-family: ${font} !important }` }))"
)
EDGE = "document.querySelectorAll('path.edge')[4].remove()"
BOX = (
    "(g => g.setAttribute('transform', `translate(40 30) ${g.getAttribute('transform')}`))"
    "(document.querySelector('[data-n]'))"
)
TINT = "document.querySelectorAll('.done .strip').forEach(s => s.style.fill = '#f6c1a8')"
DRAWN_EDGE = "document.querySelectorAll('svg g.edge')[0].remove()"
DRAWN_BOX = "document.querySelectorAll('svg g.node')[0].setAttribute('transform', 'translate(0 30)')"
DRAWN_TINT = "document.querySelector('svg g.input :is(path, polygon, rect)').style.fill = '#ffd54f'"


@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("a small graph", "serif"),
        ("one step", "serif"),
        ("a neighbourhood", "serif"),
        ("practice", "'Liberation Sans', Arial, sans-serif"),
    ],
)
def test_other_fonts_look_the_same(browser: Any, tmp_path: Path, name: str, font: str) -> None:
    with opened(browser, name, tmp_path) as page:
        page.evaluate(OTHER_FONTS, font)
        page.set_viewport_size({"width": SCENES[name].width, "height": 899})  # labels are measured again
        page.wait_for_timeout(100)
        found = wrong(page, (KEPT / f"{name}.png").read_bytes(), look(page, name))
    assert len(found) <= SCENES[name].most, found


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("one step", change) for change in (EDGE, BOX, TINT)),
        ("a neighbourhood", "document.querySelector('.made .link').remove()"),
        ("the map", "document.querySelectorAll('.cell.minus').forEach(c => c.classList.replace('minus', 'plus'))"),
        *(("a small graph", change) for change in (DRAWN_EDGE, DRAWN_BOX, DRAWN_TINT)),
    ],
)
def test_a_lost_edge_a_moved_box_or_another_colour_is_seen(
    browser: Any, tmp_path: Path, name: str, change: str
) -> None:
    with opened(browser, name, tmp_path) as page:
        page.evaluate(change)
        found = wrong(page, (KEPT / f"{name}.png").read_bytes(), look(page, name))
    assert len(found) > SCENES[name].most, found


def main(names: list[str]) -> None:
    """Renew what is kept, and say what differs."""
    from playwright.sync_api import sync_playwright

    KEPT.mkdir(exist_ok=True)
    SHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name in names or SCENES:
            with opened(browser, name, SHOTS) as page:
                now, path = look(page, name), KEPT / f"{name}.png"
                before = path.read_bytes() if path.exists() else b""
                found = wrong(page, before, now) if before else []
            if before and before != now:
                (SHOTS / f"{name}, before, in blocks.png").write_bytes(before)
                (SHOTS / f"{name}, now, in blocks.png").write_bytes(now)
            told = "new" if not before else f"{len(found)} blocks differ: {found[:12]}" if found else "as it was"
            print(f"{name}: {told}")
            if not before or found:
                path.write_bytes(now)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
