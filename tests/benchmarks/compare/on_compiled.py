"""microgrid's programs in machine code, by `microgrid.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compare.on_microgrid import (
    Lstm,
    graph,
    long,
    nested,
    of_gathered,
    of_gpt,
    of_hand,
    of_mixture,
    of_pair,
    of_two,
    rosenbrock,
    squared,
    swinging,
)
from compare.works import (
    AT,
    CENTRES,
    DECAY,
    DESCENTS,
    EXPANDED,
    FACTOR,
    GATHERED,
    INPUTS,
    LABELS,
    LINKS,
    LONG,
    MATRIX,
    NEURON,
    ORDERS,
    PLACES,
    POINT,
    POINTS,
    POSE,
    RATE,
    RELEASED,
    ROOTS,
    SAMPLE,
    SAMPLES,
    SEQUENCE,
    SHIFTED,
    SIZES,
    SLOWLY,
    START,
    TOKENS,
    WANTED,
    WEIGHTS,
    energy,
    expanded,
)
from microgrid import compile, derivatives, nn, relu
from microgrid import hessian as hessian_of

HOW = {
    "pair_list": "value_and_grad",
    "pair_array": "value_and_grad",
    "pair_written": "bind_value_and_grad",
    "long_list": "value_and_grad",
    "long_array": "value_and_grad",
    "demo": "compile(loss, model)",
    "call": "value_and_grad",
    "lstm": "compile(loss, model)",
    "steps": "compile(loss, model)",
    "shift": "batch",
    "chain": "a function of a loop",
    "pendulum": "fori_loop",
    "replay": "value_and_grad",
    "orders": "a function of derivatives",
    "hessian": "compile(hessian(f))",
    "determinant": "value_and_grad",
    "gathers": "value_and_grad",
    "hand": "jacobian of an array",
    "gpt": "compile(loss, model)",
    "pairs": "value_and_grad",
    "mixture": "batch_value_and_grad",
}
CANNOT = {"mixed": "compiling once takes longer than recording once"}


def hinge(score: Any, label: Any) -> Any:
    return relu(1.0 - label * score)


def demo() -> Callable[[], Any]:
    batch = compile(hinge, nn.MLP(SIZES[0], list(SIZES[1:]), seed=1337))
    points, labels = np.array(POINTS), np.array(LABELS, dtype=float)

    def step() -> list[float]:
        p = batch.parameters
        loss, gradient = batch(points, labels)
        loss += DECAY * float(p @ p)
        p -= RATE * (gradient + 2.0 * DECAY * p)
        return [loss, *p.tolist()]

    return step


def call() -> Callable[[], Any]:
    both = compile(of_two).value_and_grad
    return lambda: [both(x, y) for x, y in AT]


def pair_list() -> Callable[[], Any]:
    both = compile(of_pair).value_and_grad
    pairs = [list(pair) for pair in AT]
    return lambda: [both(pair) for pair in pairs]


def pair_array() -> Callable[[], Any]:
    both = compile(of_pair).value_and_grad
    pairs = list(np.array(AT))
    return lambda: [both(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    pairs, gradients = np.array(AT), np.empty((len(AT), 2))
    compiled = compile(of_pair)
    calls = [compiled.bind_value_and_grad(x, out=g) for x, g in zip(pairs, gradients, strict=True)]
    return lambda: [[call()[0] for call in calls], gradients]


def long_list() -> Callable[[], Any]:
    both = compile(long).value_and_grad
    x = list(LONG)
    return lambda: both(x)


def long_array() -> Callable[[], Any]:
    both = compile(long).value_and_grad
    x = np.array(LONG)
    return lambda: both(x)


def lstm() -> Callable[[], Any]:
    step = compile(squared, Lstm())
    x, y = np.array([SEQUENCE]), np.array([WANTED])

    def run() -> list[Any]:
        loss, gradient = step(x, y)
        return [loss, gradient]

    return run


def steps() -> Callable[[], Any]:
    step = compile(squared, nn.Neuron(2, nonlin=False))
    x, y = np.array([SAMPLE[0]]), np.array([SAMPLE[1]])

    def run() -> Any:
        step.parameters = np.array(NEURON)
        for _ in range(DESCENTS):
            _, gradient = step(x, y)
            step.parameters -= SLOWLY * gradient
        return step.parameters

    return run


def shift() -> Callable[[], Any]:
    shifted, x = compile(lambda x: x + 0.5), np.array(SHIFTED)
    return lambda: shifted.batch(x)


def linked(x: Any) -> Any:
    y = x
    for _ in range(LINKS):
        y = FACTOR * y + x
    return y


def chain() -> Callable[[], Any]:
    compiled = compile(linked)
    return lambda: list(compiled.value_and_grad(START))


def pendulum() -> Callable[[], Any]:
    both = compile(swinging).value_and_grad
    return lambda: both(*RELEASED)


def replay() -> Callable[[], Any]:
    compiled = compile(graph)

    def run() -> list[float]:
        value, slopes = compiled.value_and_grad(list(INPUTS))
        return [value, *slopes]

    return run


def hessian() -> Callable[[], Any]:
    compiled = compile(hessian_of(rosenbrock))
    return lambda: compiled(list(POINT))


def orders() -> Callable[[], Any]:
    compiled = compile(lambda x: derivatives(nested, x, ORDERS))
    return lambda: compiled(EXPANDED)


def determinant() -> Callable[[], Any]:
    both, rows = compile(expanded).value_and_grad, np.array(MATRIX)
    return lambda: both(rows)


def pairs() -> Callable[[], Any]:
    both, x = compile(energy).value_and_grad, np.array(PLACES)
    return lambda: both(x)


def mixture() -> Callable[[], Any]:
    density = compile(of_mixture)
    given = np.array(SAMPLES), np.array(WEIGHTS), np.array(CENTRES), np.array(ROOTS)

    def run() -> list[Any]:
        values, (_, *slopes) = density.batch_value_and_grad(*given, in_axes=(0, None, None, None))
        return [values.sum(), *slopes]

    return run


def gathers() -> Callable[[], Any]:
    both, x = compile(of_gathered).value_and_grad, np.array(GATHERED)
    return lambda: both(x)


def hand() -> Callable[[], Any]:
    slopes, q = compile(_hand_as_array).jacobian, np.array(POSE)
    return lambda: slopes(q)


def _hand_as_array(q: Any) -> Any:
    return np.array(of_hand(list(q)))


def gpt() -> Callable[[], Any]:
    step = compile(of_gpt, nn.GPT(27, seed=0))
    tokens = np.array([TOKENS], dtype=float)
    x, hot = tokens[:, :-1], np.eye(27)[tokens[:, 1:].astype(int)]

    def run() -> Any:
        loss, gradient = step(x, hot)
        return [loss, gradient]

    return run
