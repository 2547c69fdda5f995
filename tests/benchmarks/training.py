"""Training, in seconds: `python tests/benchmarks/training.py`, beside NumPy where it can be."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from compare.alone import Figures, told
from numpy_network import NumpyNetwork
from plain_gpt import Plain, trainer
from systems import digit_recogniser, five_labels, names_gpt, xor

from microgrid import Value, datasets, fit, losses, nn, optim
from microgrid.training import History, Objective

RATE = 0.01


def seconds(work: Callable[[], History]) -> tuple[float, History]:
    """Return the time of a run, and its history."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        history = work()
    return time.perf_counter() - start, history


def demo() -> History:
    """100 epochs of the demo."""
    points, labels = datasets.moons(100)
    model = nn.MLP(2, [16, 16, 1], seed=1337)
    optimizer = optim.SGD(model.parameters(), lambda step: 1.0 - 0.9 * step / 100)
    return fit(
        model,
        points,
        labels,
        loss=Objective("hinge", penalty=lambda parameters: losses.l2(parameters, 1e-4), compile=False),
        optimizer=optimizer,
        epochs=100,
        metrics=["accuracy"],
    )


def seconds_of(work: Callable[[], History], runs: int = 3) -> list[float]:
    """The seconds of some runs."""
    return [seconds(work)[0] for _ in range(runs)]


def xor_solved() -> History:
    """XOR until all four answers are right."""
    return xor.train(xor.network(), epochs=20_000)


def labels_against_numpy(steps: int = 10_000) -> list[float]:
    """The time of `fit` on the network of five labels, with the accuracy of each step, to NumPy's of bare steps."""
    x, y = five_labels.samples()
    found = []
    for _ in range(3):
        model = five_labels.network()
        oracle = NumpyNetwork(model, "sigmoid", "sigmoid")
        ours, history = seconds(partial(five_labels.train, model, x, y, steps))
        xs, ys = np.array(x), np.array(y, dtype=float)
        start = time.perf_counter()
        for _ in range(steps):
            loss, gradients = oracle.loss_and_gradients(xs, ys, "binary_cross_entropy")
            oracle.descend(gradients, RATE)
        found.append(ours / (time.perf_counter() - start))
        assert abs(history.loss[-1] - loss) < 1e-9 * loss
    return found


def labels() -> list[float]:
    """Seconds of `fit` on the network of five labels, 10,000 steps."""
    x, y = five_labels.samples()
    return seconds_of(lambda: five_labels.train(five_labels.network(), x, y, 10_000))


def digits() -> list[float]:
    """Seconds of an epoch, after a first one of which all that is compiled is left."""
    x, y, *_ = digit_recogniser.data()
    x, y = x[:1000], y[:1000]
    found = []
    for _ in range(2):
        one, six = (
            seconds(partial(digit_recogniser.train, digit_recogniser.network(), x, y, epochs=n))[0] for n in (1, 6)
        )
        found.append((six - one) / 5.0)
    return found


def names_gpt_steps(count: int) -> float:
    """Seconds of that many steps of the GPT on a name each, from the model to the trained one."""
    texts, _ = names_gpt.names(max(count, 100))
    return seconds(lambda: names_gpt.train(names_gpt.network(), texts[:count]))[0]


def names_gpt_thousand() -> list[float]:
    """Seconds of a thousand steps, without the first ones."""
    return [names_gpt_steps(1_000) - names_gpt_steps(16)]


def names_gpt_first() -> list[float]:
    """Seconds to the first results, of 16 names."""
    return [names_gpt_steps(16) for _ in range(2)]


def gpt_against_scripts(own: Callable[[float], Any] | None) -> list[float]:
    """Return the times of steps on names in a script with a plain class, to those recorded here with Adam.

    By the layers of `nn`; or, with `own`, by the same script with that class in place of the plain one.
    """
    model = names_gpt.network()
    script = trainer(Plain, model)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(tokens: list[int]) -> float:
        optimizer.zero_grad()
        loss = losses.cross_entropy(model(tokens[:-1]), tokens[1:])
        loss.backward()
        optimizer.step()
        return float(loss.data)

    run = step if own is None else trainer(own, model)
    found = []
    for name in names_gpt.names()[0][:9]:
        tokens = [model.end, *model.encode(name), model.end]
        start = time.process_time()
        theirs = script(tokens)
        between = time.process_time()
        ours = run(tokens)
        found.append((between - start) / (time.process_time() - between))
        assert abs(ours - theirs) < 1e-9 * theirs
    return found[1:]


RECORDED: Figures = {
    "the demo, 100 epochs of `fit`, recorded: s": partial(seconds_of, demo),
    "XOR until all four answers are right: s": partial(seconds_of, xor_solved),
    "a step of the GPT with Adam, recorded: times faster than a script with a plain class": partial(
        gpt_against_scripts, None
    ),
    "the script with its class deleted and this one imported: times faster": partial(gpt_against_scripts, Value),
}
"""Figures of recorded scalars, which depend on the build."""

FIGURES: Figures = {
    **RECORDED,
    "10-20-5, 10,000 steps by `fit` with the accuracy of each: s": labels,
    "the same, to the time of bare steps in NumPy": labels_against_numpy,
    "digits by convolutions, 1,000 images: s for an epoch": digits,
    "a GPT of 4,192 parameters by `fit` with Adam: s for the first 16 names": names_gpt_first,
    "the same: s for 1,000 names after these": names_gpt_thousand,
}

if __name__ == "__main__":
    told(FIGURES)
