"""microgrid's programs in machine code, by `microgrid.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compare.data import (
    AT,
    CENTRES,
    DAMPED,
    DECAY,
    DESCENTS,
    EXPANDED,
    FACTOR,
    GATHERED,
    GENTLY,
    INPUTS,
    LABELS,
    LARGE,
    LINKS,
    LONG,
    LONG_SWINGS,
    MATRIX,
    MIDDLE,
    NEURON,
    ORDERS,
    PACE,
    PLACE,
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
    STEPS,
    SWINGS,
    TEXTS,
    TOKENS,
    WANTED,
    WEIGHTS,
    arm,
    energy,
    expanded,
    labelled,
    options,
    poses,
    price,
    samples_of,
    sequences,
)
from compare.on_microgrid import (
    Labels,
    Lstm,
    Lstms,
    graph,
    long,
    mean_cross_entropy,
    nested,
    of_gathered,
    of_gpt,
    of_hand,
    of_mixture,
    of_pair,
    of_swung,
    of_two,
    rosenbrock,
    seventh_of_nested,
    squared,
    swinging,
    with_numbers,
)
from microgrid import compile, cos, derivatives, erf, exp, log, nn, relu, sin, sqrt
from microgrid import hessian as hessian_of
from microgrid.functions.reductions import sum as total_of

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
    "scan": "fori_loop",
    "unrolled": "a function of a loop",
    "net64": "compile(loss, model)",
    "net784": "compile(loss, model)",
    "labels": "compile(loss, model)",
    "lstm16": "compile(loss, model)",
    "lstm32": "compile(loss, model)",
    "gpt16": "compile(loss, model)",
    "sparse": "hessian, sparse, out=",
    "damped": "compile(hessian(f))",
    "seventh": "compile(grad(... grad(f)))",
    "arms": "batch_value_and_grad",
    "arm_hessian": "compile(hessian(f)).batch",
    "greeks": "batch_value_and_grad",
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
    batch = compile(hinge, nn.MLP(SIZES[0], list(SIZES[1:]), seed=1337), threads=1)
    points, labels = np.array(POINTS), np.array(LABELS, dtype=float)

    def step() -> list[Any]:
        p = batch.parameters
        loss, gradient = batch(points, labels)
        loss += DECAY * float(p @ p)
        p -= RATE * (gradient + 2.0 * DECAY * p)
        return [loss, p]

    return step


def summed_squares(out: Any, y: Any) -> Any:
    return total_of([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


def _network(sizes: Any) -> Callable[[], Any]:
    x, y, matrices = samples_of(sizes)
    model = with_numbers(nn.MLP(sizes[0], list(sizes[1:])), matrices)
    step = compile(summed_squares, model, threads=1)

    def run() -> Any:
        loss, gradient = step(x, y)
        step.parameters -= GENTLY * gradient
        return [loss, step.parameters]

    return run


def net64() -> Callable[[], Any]:
    return _network(MIDDLE)


def net784() -> Callable[[], Any]:
    return _network(LARGE)


def labels() -> Callable[[], Any]:
    step = compile(mean_cross_entropy, Labels(), threads=1)
    (x, y, _), start = labelled(), step.parameters.copy()

    def run() -> Any:
        step.parameters = start.copy()
        for _ in range(STEPS):
            _, gradient = step(x, y)
            step.parameters -= PACE * gradient
        return step.parameters

    return run


def lstm16() -> Callable[[], Any]:
    return _lstms(16)


def lstm32() -> Callable[[], Any]:
    return _lstms(32)


def _lstms(cells: int) -> Callable[[], Any]:
    step, (x, y) = compile(squared, Lstms(cells), threads=1), sequences()
    return lambda: step(x, y)


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
    shifted, x = compile(lambda x: x + 0.5, threads=1), np.array(SHIFTED)
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
    both = compile(swinging(SWINGS)).value_and_grad
    return lambda: both(*RELEASED)


def scan() -> Callable[[], Any]:
    both = compile(swinging(LONG_SWINGS)).value_and_grad
    return lambda: both(*RELEASED)


def unrolled() -> Callable[[], Any]:
    both, at = compile(of_swung(LONG_SWINGS)).value_and_grad, np.array(RELEASED)
    return lambda: both(at)


def of_arm(q: Any) -> Any:
    return arm(q, sin, cos)


def arms() -> Callable[[], Any]:
    slopes, q = compile(of_arm, threads=1), poses()
    return lambda: slopes.batch_value_and_grad(q)


def arm_hessian() -> Callable[[], Any]:
    second, q = compile(hessian_of(of_arm), threads=1), poses()
    return lambda: second.batch(q)


class Functions:
    log, exp, sqrt, erf = log, exp, sqrt, erf


def greeks() -> Callable[[], Any]:
    slopes, columns = compile(lambda s, k, r, v, t: price((s, k, r, v, t), Functions), threads=1), list(options())
    return lambda: slopes.batch_value_and_grad(*columns)


def replay() -> Callable[[], Any]:
    both, at = compile(graph).value_and_grad, np.array(INPUTS)
    return lambda: both(at)


def hessian() -> Callable[[], Any]:
    compiled, at = compile(hessian_of(rosenbrock)), np.array(POINT)
    return lambda: compiled(at)


def sparse() -> Callable[[], Any]:
    compiled, at = compile(rosenbrock), np.array(PLACE)
    kept = compiled.hessian(at, sparse=True)
    return lambda: compiled.hessian(at, sparse=True, out=kept).data


def damped() -> Callable[[], Any]:
    second, at = compile(hessian_of(of_swung(DAMPED))), np.array(RELEASED)
    return lambda: second(at)


def seventh() -> Callable[[], Any]:
    compiled = compile(seventh_of_nested())
    return lambda: compiled(EXPANDED)


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
    density = compile(of_mixture, threads=1)
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


def _gpt(texts: Any) -> Callable[[], Any]:
    step = compile(of_gpt, nn.GPT(27, seed=0), threads=1)
    tokens = np.array(texts, dtype=float)
    x, hot = tokens[:, :-1], np.eye(27)[tokens[:, 1:].astype(int)]
    return lambda: step(x, hot)


def gpt() -> Callable[[], Any]:
    return _gpt([TOKENS])


def gpt16() -> Callable[[], Any]:
    return _gpt(TEXTS)
