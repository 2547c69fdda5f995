"""microgrid, as its README uses it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import microgrid
from compare.works import (
    AT,
    CELLS,
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
    OPERATIONS,
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
    SUMMED,
    SWINGS,
    TOKENS,
    WANTED,
    WEIGHTS,
    energy,
    expanded,
    exponents,
    gathered,
    hand_positions,
    lstm_parameters,
    swing,
)
from microgrid import Value, cos, derivatives, exp, nn, sigmoid, sin, softmax, softplus, tanh, trace
from microgrid.functions.reductions import sum as total_of

HOW = {
    "pair_list": "value_and_grad",
    "pair_array": "value_and_grad",
    "pair_written": "value_and_grad",
    "long_list": "value_and_grad",
    "long_array": "value_and_grad",
    "demo": "scalars",
    "call": "value_and_grad",
    "lstm": "scalars",
    "steps": "scalars",
    "shift": "scalars",
    "chain": "scalars",
    "pendulum": "fori_loop, recorded each time",
    "mixed": "scalars",
    "replay": "a program, as Python",
    "orders": "derivatives",
    "hessian": "scalars, recorded each time",
    "determinant": "value_and_grad",
    "gathers": "value_and_grad",
    "hand": "jacobian",
    "gpt": "scalars, by layers",
    "pairs": "value_and_grad",
    "mixture": "value_and_grad",
}
CANNOT: dict[str, str] = {}


def demo() -> Callable[[], Any]:
    model = nn.MLP(SIZES[0], list(SIZES[1:]), seed=1337)
    parameters = model.parameters()

    def step() -> list[float]:
        scores = [model(point) for point in POINTS]
        losses = [(1.0 - label * score).relu() for label, score in zip(LABELS, scores, strict=True)]
        loss = total_of(losses) * (1.0 / len(losses)) + DECAY * total_of([p * p for p in parameters])
        model.zero_grad()
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return [loss.data, *(p.data for p in parameters)]

    return step


def of_two(x: Any, y: Any) -> Any:
    return x * y + x * x


class Lstm(nn.Module):
    """The network, its parameters in the order of `lstm_parameters`."""

    def __init__(self) -> None:
        numbers = iter(lstm_parameters())
        self.w = [[[Value(next(numbers)) for _ in range(1 + CELLS)] for _ in range(CELLS)] for _ in range(4)]
        self.b = [[Value(next(numbers)) for _ in range(CELLS)] for _ in range(4)]
        self.out = [Value(x) for x in numbers]

    def __call__(self, xs: Any) -> Any:
        c: Any = [0.0] * CELLS
        h = c
        for x in xs:
            z = [x, *h]
            i, f, o, g = (
                [total_of([w * v for w, v in zip(row, z, strict=True)]) + b for row, b in zip(w, b, strict=True)]
                for w, b in zip(self.w, self.b, strict=True)
            )
            c = [sigmoid(f) * c + sigmoid(i) * tanh(g) for i, f, g, c in zip(i, f, g, c, strict=True)]
            h = [sigmoid(o) * tanh(c) for o, c in zip(o, c, strict=True)]
        return total_of([w * v for w, v in zip(self.out, h, strict=True)])


def squared(out: Any, y: Any) -> Any:
    return (out - y) ** 2


def lstm() -> Callable[[], Any]:
    model = Lstm()

    def step() -> list[float]:
        loss = squared(model(SEQUENCE), WANTED)
        model.zero_grad()
        loss.backward()
        return [loss.data, *(p.grad for p in model.parameters())]

    return step


def steps() -> Callable[[], Any]:
    def run() -> list[float]:
        p = [Value(x) for x in NEURON]
        for _ in range(DESCENTS):
            loss = (p[0] * SAMPLE[0][0] + p[1] * SAMPLE[0][1] + p[2] - SAMPLE[1]) ** 2
            for x in p:
                x.grad = 0.0
            loss.backward()
            for x in p:
                x.data -= SLOWLY * x.grad
        return [x.data for x in p]

    return run


def shift() -> Callable[[], Any]:
    return lambda: [(Value(x) + 0.5).data for x in SHIFTED]


def call() -> Callable[[], Any]:
    both = microgrid.value_and_grad(of_two, (0, 1))
    return lambda: [both(x, y) for x, y in AT]


def of_pair(x: Any) -> Any:
    return x[0] * x[1] + x[0] * x[0]


def long(x: Any) -> Any:
    return total_of([a * a * b for a, b in itertools.pairwise(x)])


def pair_list() -> Callable[[], Any]:
    both = microgrid.value_and_grad(of_pair)
    pairs = [list(pair) for pair in AT]
    return lambda: [both(pair) for pair in pairs]


def pair_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    both = microgrid.value_and_grad(of_pair)
    pairs = list(np.array(AT))
    return lambda: [both(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    both = microgrid.value_and_grad(of_pair)
    pairs, gradients = np.array(AT), np.empty((len(AT), 2))

    def run() -> Any:
        values = []
        for pair, gradient in zip(pairs, gradients, strict=True):
            value, gradient[:] = both(pair)
            values.append(value)
        return [values, gradients]

    return run


def long_list() -> Callable[[], Any]:
    both = microgrid.value_and_grad(long)
    x = list(LONG)
    return lambda: both(x)


def long_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    both = microgrid.value_and_grad(long)
    x = np.array(LONG)
    return lambda: both(x)


def chain() -> Callable[[], Any]:
    def run() -> list[float]:
        x = Value(START)
        y = x
        for _ in range(LINKS):
            y = FACTOR * y + x
        y.backward()
        return [y.data, x.grad]

    return run


def graph(inputs: list[Any]) -> Any:
    """The sum of all values of the mixed graph."""
    v = list(inputs)
    for k in range(OPERATIONS):
        match k % 4:
            case 0:
                v.append(softplus(v[-10]))
            case 1:
                v.append(total_of([v[-i] for i in SUMMED]))
            case 2:
                v.append(v[-20] * v[-10])
            case _:
                v += softmax(v[-4:])
    return total_of(v)


def swinging(angle: Any, velocity: Any, g: Any, c: Any) -> Any:
    """The end of the pendulum."""
    start = (angle, velocity)
    angle, velocity = microgrid.fori_loop(0, SWINGS, lambda i, at: swing(at[0], at[1], g, c, microgrid.sin), start)
    return angle * angle + velocity


def pendulum() -> Callable[[], Any]:
    both = microgrid.value_and_grad(swinging, range(4))
    return lambda: both(*RELEASED)


def mixed() -> Callable[[], Any]:
    def run() -> list[float]:
        inputs = [Value(x) for x in INPUTS]
        result = graph(inputs)
        result.backward()
        return [result.data, *(x.grad for x in inputs)]

    return run


def replay() -> Callable[[], Any]:
    function = trace(graph)(list(INPUTS)).gradient(value=True).simplify().python()

    return lambda: function(list(INPUTS))


def rosenbrock(x: list[Any]) -> Any:
    return total_of([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def hessian() -> Callable[[], Any]:
    second = microgrid.hessian(rosenbrock)
    return lambda: second(list(POINT))


def nested(x: Any) -> Any:
    return tanh(sin(x) * exp(x))


def orders() -> Callable[[], Any]:
    return lambda: derivatives(nested, EXPANDED, ORDERS)


def determinant() -> Callable[[], Any]:
    both = microgrid.value_and_grad(expanded)
    return lambda: both([list(row) for row in MATRIX])


def of_gathered(x: list[Any]) -> Any:
    return gathered(x, tanh)


def gathers() -> Callable[[], Any]:
    both = microgrid.value_and_grad(of_gathered)
    return lambda: both(list(GATHERED))


def pairs() -> Callable[[], Any]:
    both = microgrid.value_and_grad(energy)
    return lambda: both(list(PLACES))


def of_mixture(x: Any, weights: Any, centres: Any, roots: Any) -> Any:
    return microgrid.logsumexp(exponents(x, weights, centres, roots, exp))


def mixture() -> Callable[[], Any]:
    both = microgrid.value_and_grad(lambda parameters: total_of([of_mixture(x, *parameters) for x in SAMPLES]))
    parameters = list(WEIGHTS), [list(row) for row in CENTRES], [list(row) for row in ROOTS]
    return lambda: both(parameters)


def of_hand(q: list[Any]) -> list[Any]:
    return hand_positions(q, sin, cos)


def hand() -> Callable[[], Any]:
    slopes = microgrid.jacobian(of_hand)
    return lambda: slopes(list(POSE))


def of_gpt(logits: Any, hot: Any) -> Any:
    return total_of([microgrid.losses.cross_entropy(*pair) for pair in zip(logits, hot, strict=True)]) / len(logits)


def gpt() -> Callable[[], Any]:
    model = nn.GPT(27, seed=0)
    hot = [[float(k == token) for k in range(27)] for token in TOKENS[1:]]

    def step() -> Any:
        model.zero_grad()
        loss = of_gpt(model(list(TOKENS[:-1])), hot)
        loss.backward()
        return [loss.data, [p.grad for p in model.parameters()]]

    return step
