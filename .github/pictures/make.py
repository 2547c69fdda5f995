"""Make the pictures of the README: what the software draws and says today.

    python .github/pictures/make.py [OUT]

OUT is a folder, the one of this file unless another is given. Needs microgrid[all]. A test compares the kept pictures
with new ones.
"""

from __future__ import annotations

import html
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microgrid import Film, Value, compile, datasets, fit, nn, steps, tanh
from microgrid.pictures import colours
from microgrid.testing import check_gradient

WIDTH, SIZE, LINE, MARGIN, BAR = 480, 12.5, 19, 16, 30
"""Of a card with text: its width, the size and the distance of its lines, its margin, the height of its title."""

Card = tuple[str, Sequence[tuple[str, str]]]
"""A title, and lines of text, each with its class: p, m (the colours of positive and negative), s (soft), or none."""


def card(title: str, lines: Sequence[tuple[str, str]]) -> str:
    """Return text as a picture in the colours of the page it is seen on."""
    height = BAR + LINE * len(lines) + MARGIN + 4
    light, dark = (
        f"--t:{text};--s:{soft};--l:{line};--b:{back};--p:{positive};--m:{negative}"
        for text, soft, line, back, positive, negative in (
            (colours.TEXT, colours.SOFT, "#D5D5D5", "#FAFAFA", colours.POSITIVE, colours.NEGATIVE),
            (colours.DARK_TEXT, colours.DARK_SOFT, "#444444", "#181818", colours.DARK_POSITIVE, colours.DARK_NEGATIVE),
        )
    )
    style = (
        f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--t);white-space:pre}}"
        ".h{font:600 13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
        ".s{fill:var(--s)}.p{fill:var(--p);font-weight:600}.m{fill:var(--m);font-weight:600}"
        "rect{fill:var(--b);stroke:var(--l)}path{stroke:var(--l)}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img"><title>{html.escape(title)}</title><style>{style}</style>'
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="9"/><path d="M0 {BAR}.5h{WIDTH}"/>'
        f'<text class="h" x="{MARGIN}" y="20">{html.escape(title)}</text>'
    ]
    for k, (text, kind) in enumerate(lines):
        look = f' class="{kind}"' if kind else ""
        parts.append(f'<text{look} x="{MARGIN}" y="{BAR + LINE * (k + 1) + 2}">{html.escape(text)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def plain(*lines: str) -> list[tuple[str, str]]:
    """Return lines without a class."""
    return [(line, "") for line in lines]


def expression() -> Value:
    """Return the root of the graph that the first pictures show."""
    a, b = Value(0.5, label="a"), Value(-2.0, label="b")
    return tanh(a * b + a)


def step() -> Card:
    """One step of the backward pass, in words and numbers."""
    (shown,) = (step for step in steps(expression()).backward if step.name == "a * b")
    lines: list[tuple[str, str]] = []
    for line in str(shown).splitlines():
        first, *rest = line.split(" | ")
        lines.append((first, ""))
        lines += [(f"    {part}", "m" if "now -" in part else "p" if "now " in part else "") for part in rest]
    *told, (nudge, _), (remark, _) = lines
    wrapped = [textwrap.wrap(text.strip(), 58) for text in (nudge, remark)]
    return "print(steps(tanh(a * b + a)))", [*told, *((f"  {line}", "s") for part in wrapped for line in part)]


STUDENT = """\
def loss(W1, W2):
    return ((np.tanh(X @ W1) @ W2 - Y) ** 2).mean()

def by_hand(W1, W2):
    h = np.tanh(X @ W1)
    d = 2 * (h @ W2 - Y) / len(X)
    return X.T @ (d @ W2.T), h.T @ d
"""
ROSENBROCK = """\
def rosenbrock(p):
    total = 0.0
    for a, b in zip(p, p[1:]):
        total += (1 - a) ** 2 + 100 * (b - a**2) ** 2
    return total
"""


def verdict() -> Card:
    """A wrong backward pass, and what the checker says of it."""
    X = np.array([[0.5, -1.0], [1.5, 2.0], [-0.3, 0.8], [1.0, -0.2]])
    Y = np.array([[1.0], [0.0], [1.0], [0.0]])
    space: dict[str, Any] = {"np": np, "X": X, "Y": Y}
    exec(STUDENT, space)
    random = np.random.default_rng(0)
    W1, W2 = random.normal(size=(2, 3)), random.normal(size=(3, 1))
    report = check_gradient(space["loss"], W1, W2, gradient=space["by_hand"](W1, W2))
    said = str(report).splitlines()
    (mistake,) = (line.strip() for line in said if line.strip().startswith("mistake: "))
    lines = [*plain(*STUDENT.splitlines()), ("", ""), (said[0], "m"), (mistake, "m")]
    return "check_gradient(loss, W1, W2, gradient=by_hand(W1, W2))", lines


def loops() -> Card:
    """The loops that are found in the scalars of a function."""
    space: dict[str, Any] = {}
    exec(ROSENBROCK, space)
    fast = compile(space["rosenbrock"])
    fast.value_and_grad([1.0] * 1000)
    text = str(fast.loops).splitlines()
    start = next(k for k, line in enumerate(text) if line.startswith("for "))
    end = next(k for k in range(start + 1, len(text)) if not text[k].startswith(" "))
    count = next(line for line in str(fast.report()).splitlines() if line.startswith("instructions")).split()[-1]
    return f"{count} recorded instructions, as the loops that they are", [
        *plain("@compile", *ROSENBROCK.splitlines()),
        ("", ""),
        *((line, "p") for line in text[start:end]),
    ]


def film() -> Film:
    """The training of a small network."""
    points, labels = datasets.moons(60)
    film = Film(points, labels)
    model = nn.MLP(2, [6, 4, 1], activation="tanh", seed=1)
    fit(model, points, labels, loss="mse", lr=0.05, epochs=60, batch_size=20, callbacks=[film], progress=False)
    return film


CARDS: dict[str, Callable[[], Card]] = {"step": step, "verdict": verdict, "loops": loops}


def make(out: Path) -> None:
    """Write all pictures into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    steps(expression()).save(out / "flow.svg")
    film().save(out / "film.svg")
    for name, content in CARDS.items():
        (out / f"{name}.svg").write_text(card(*content()), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
