"""Times of pictures and pages: `python tests/benchmarks/pictures.py`. Needs Graphviz; for the last line Chromium.

Medians of seven, with the least and the most; layouts are compared with Graphviz's in turn, and their least times.
"""

from __future__ import annotations

import functools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from microgrid import Value, datasets, draw, nn, relu, steps, sum, tanh
from microgrid.pictures.drawing import svg
from microgrid.pictures.layered import layered


def graph(size: int) -> Value:
    """Return a graph of this many values."""
    values = [Value(0.5 + 0.1 * i, label="abc"[i]) for i in range(3)]
    while len(values) <= size:
        k = len(values)
        values.append(
            tanh(values[-1]) if k % 3 == 0 else values[-1] * values[-3] if k % 3 == 1 else values[-1] - values[-3]
        )
    return values[-1]


def timed(name: str, work: Callable[[], object]) -> None:
    """Print the median time."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    print(f"{name}: {statistics.median(times):.3g} ms [{min(times):.3g} - {max(times):.3g}]")


def main() -> None:
    """Print the figures."""
    fifty = graph(50)
    timed("source of 50 values", lambda: draw(fifty).source)
    timed("the same, rendered", lambda: draw(fifty).pipe("svg"))
    model = nn.MLP(2, [16, 16, 1])
    x, y = datasets.moons(100)
    losses = [relu(1 - t * model(point)) for point, t in zip(x, y, strict=True)]
    loss = sum(losses) / 100.0 + 1e-4 * sum([p * p for p in model.parameters()])
    timed("the demo's loss, folded", lambda: draw(loss).source)
    _layouts()
    for size in (11, 50, 211):
        root = graph(size)
        print(f"stepper of {size} values: {len(steps(root).html().encode()) / 1024:.1f} KB")
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser:
        _in_the_browser(browser)


def _layouts() -> None:
    """Compare the layout with Graphviz's, which runs in a process of its own and reads DOT text."""
    for sizes in ([4, 1], [4, 4, 1], [8, 8, 1]):
        root = (nn.MLP(2, sizes, seed=0)([Value(0.5, label="x"), Value(-1.0, label="y")]) - 1.0) ** 2
        picture = draw(root, max_nodes=1000)
        number = {name: i for i, name in enumerate(picture.sketch.nodes)}
        edges = [(number[tail], number[head]) for tail, head, _ in picture.sketch.edges]
        boxes = [(64.0, 45.0)] * len(number)
        works: dict[str, Callable[[], object]] = {
            "own": functools.partial(layered, boxes, edges),
            "svg": functools.partial(svg, picture.sketch),
            "Graphviz": functools.partial(picture.pipe, "svg"),
        }
        least = dict.fromkeys(works, float("inf"))
        for _ in range(15):
            for name, work in works.items():
                start = time.perf_counter()
                work()
                least[name] = min(least[name], 1e3 * (time.perf_counter() - start))
        print(
            f"loss of MLP(2, {sizes}), {len(number)} boxes: layout {least['own']:.3g} ms, SVG with frames and labels "
            f"{least['svg']:.3g} ms: {least['svg'] / least['Graphviz']:.2g} times Graphviz's {least['Graphviz']:.3g} ms"
        )


def _in_the_browser(path: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chrome = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = chrome.new_page()
        target = Path(folder) / "steps.html"
        steps(graph(211)).save(target)
        page.goto(target.as_uri())
        page.locator(".mg-bar").wait_for()
        times = page.evaluate(
            """() => { const next = [...document.querySelectorAll('button')].find(b => b.textContent === 'Next');
            const times = [];
            while (!next.disabled) { const start = performance.now(); next.click(); document.body.offsetHeight;
            times.push(performance.now() - start); } return times; }"""
        )
        print(f"a step of 211 values in Chromium: {statistics.median(times):.2g} ms, at most {max(times):.2g}")
        chrome.close()


if __name__ == "__main__":
    main()
