"""micrograd, as its demo uses it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import AT, DECAY, FACTOR, LABELS, LINKS, LONG, POINTS, RATE, SIZES, START, layers

HOW = {"demo": "scalars", "call": "scalars", "pair_list": "scalars", "long_list": "scalars", "chain": "scalars"}
CANNOT = {
    "lstm": "it has no exp and no tanh",
    **dict.fromkeys(("pendulum", "scan", "unrolled", "arms", "orders", "hand"), "it has no sin"),
    "shift": "it has no arrays",
    "pair_array": "it has no arrays",
    "pair_written": "it has no arrays",
    "long_array": "it has no arrays",
    "mixed": "it has no exp and no log",
    "replay": "it has no exp and no log, and records anew each time",
    **dict.fromkeys(("hessian", "sparse", "damped", "seventh", "arm_hessian"), "it has no second derivatives"),
}


def demo() -> Callable[[], Any]:
    value = import_module("micrograd.engine").Value
    model = import_module("micrograd.nn").MLP(SIZES[0], list(SIZES[1:]))
    parameters = model.parameters()
    for p, x in zip(parameters, [x for matrix in layers() for row in matrix for x in row], strict=True):
        p.data = x
    sys.setrecursionlimit(100_000)  # its backward pass recurses over the depth of the graph

    def step() -> list[float]:
        scores = [model(list(map(value, point))) for point in POINTS]
        losses = [(1.0 - label * score).relu() for label, score in zip(LABELS, scores, strict=True)]
        loss = sum(losses) * (1.0 / len(losses)) + DECAY * sum(p * p for p in parameters)
        model.zero_grad()
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return [loss.data, *(p.data for p in parameters)]

    return step


def call() -> Callable[[], Any]:
    value = import_module("micrograd.engine").Value

    def both(a: float, b: float) -> tuple[float, float, float]:
        x, y = value(a), value(b)
        z = x * y + x * x
        z.backward()
        return z.data, x.grad, y.grad

    return lambda: [both(x, y) for x, y in AT]


def pair_list() -> Callable[[], Any]:
    value = import_module("micrograd.engine").Value
    pairs = [list(pair) for pair in AT]

    def both(pair: list[float]) -> tuple[float, list[float]]:
        x = [value(number) for number in pair]
        z = x[0] * x[1] + x[0] * x[0]
        z.backward()
        return z.data, [xi.grad for xi in x]

    return lambda: [both(pair) for pair in pairs]


def long_list() -> Callable[[], Any]:
    value = import_module("micrograd.engine").Value
    sys.setrecursionlimit(100_000)

    def run() -> tuple[float, list[float]]:
        x = [value(number) for number in LONG]
        z = sum(a * a * b for a, b in itertools.pairwise(x))
        z.backward()
        return z.data, [xi.grad for xi in x]

    return run


def chain() -> Callable[[], Any]:
    value = import_module("micrograd.engine").Value
    sys.setrecursionlimit(100_000)

    def run() -> list[float]:
        x = value(START)
        y = x
        for _ in range(LINKS):
            y = FACTOR * y + x
        y.backward()
        return [y.data, x.grad]

    return run
