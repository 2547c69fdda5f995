"""microgrid, as its README uses it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import microgrid
from compare.data import (
    AT,
    CELLS,
    DAMPED,
    DECAY,
    DESCENTS,
    EXPANDED,
    FACTOR,
    GATHERED,
    INPUTS,
    LABELLED,
    LABELS,
    LINKS,
    LONG,
    LONG_SWINGS,
    MATRIX,
    NEURON,
    OPERATIONS,
    ORDERS,
    PACE,
    PLACE,
    PLACES,
    POINT,
    POINTS,
    POSE,
    RATE,
    RELEASED,
    SAMPLE,
    SEQUENCE,
    SEVENTH,
    SHIFTED,
    SIZES,
    SLOWLY,
    START,
    STEPS,
    SUMMED,
    SWINGS,
    TEXTS,
    TOKENS,
    WANTED,
    energy,
    expanded,
    exponents,
    gathered,
    hand_positions,
    labelled,
    lstm_parameters,
    sequences,
    swing,
    swung,
    units,
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
    "scan": "fori_loop, recorded each time",
    "unrolled": "scalars",
    "labels": "scalars",
    "lstm16": "scalars",
    "lstm32": "scalars",
    "gpt16": "scalars",
    "sparse": "sparse Hessian, recorded each time",
    "damped": "scalars, recorded each time",
    "seventh": "grad, seven times",
    "mixed": "scalars",
    "replay": "a program, as Python",
    "orders": "derivatives",
    "hessian": "scalars, recorded each time",
    "determinant": "value_and_grad",
    "gathers": "value_and_grad",
    "hand": "jacobian",
    "gpt": "scalars, by layers",
    "pairs": "value_and_grad",
}
CANNOT = dict.fromkeys(
    ("net64", "net784", "mixture", "arms", "arm_hessian", "greeks"), "recorded one by one, they are millions of values"
)


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


class Labels(nn.Module):
    """The network of five labels."""

    def __init__(self) -> None:
        model = nn.MLP(LABELLED[0], list(LABELLED[1:]), activation="sigmoid", output="sigmoid")
        self.layers = with_numbers(model, labelled()[2]).layers

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


def with_numbers(model: Any, arrays: Any) -> Any:
    """The model, its parameters those numbers."""
    numbers = [float(x) for array in arrays for x in array.ravel()]
    for p, x in zip(model.parameters(), numbers, strict=True):
        p.data = x
    return model


def mean_cross_entropy(out: Any, y: Any) -> Any:
    terms = [t * microgrid.log(p) + (1.0 - t) * microgrid.log(1.0 - p) for p, t in zip(out, y, strict=True)]
    return -total_of(terms) / len(terms)


def descended(model: Any, loss: Callable[[], Any], rate: float, steps: int) -> list[float]:
    """The parameters after steps of plain descent, with which the model starts anew afterwards."""
    parameters = model.parameters()
    start = [p.data for p in parameters]
    for _ in range(steps):
        model.zero_grad()
        loss().backward()
        for p in parameters:
            p.data -= rate * p.grad
    end = [p.data for p in parameters]
    for p, x in zip(parameters, start, strict=True):
        p.data = x
    return end


def labels() -> Callable[[], Any]:
    model, (x, y, _) = Labels(), labelled()
    samples = list(zip(x.tolist(), y.tolist(), strict=True))

    def loss() -> Any:
        return total_of([mean_cross_entropy(model(x), y) for x, y in samples]) / len(samples)

    return lambda: descended(model, loss, PACE, STEPS)


class Lstms(nn.Module):
    """`nn.LSTM`, and the weights of its last outputs."""

    def __init__(self, cells: int) -> None:
        arrays, out = units(cells)
        self.lstm = with_numbers(nn.LSTM(1, cells), arrays)
        self.out = [Value(x) for x in out.tolist()]

    def __call__(self, xs: Any) -> Any:
        _, (h, _) = self.lstm([[x] for x in xs])
        return total_of([w * v for w, v in zip(self.out, h[0], strict=True)])


def _loss_and_gradient(model: Any, loss: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        model.zero_grad()
        value = loss()
        value.backward()
        return [value.data, [p.grad for p in model.parameters()]]

    return run


def lstm16() -> Callable[[], Any]:
    return _lstms(16)


def lstm32() -> Callable[[], Any]:
    return _lstms(32)


def _lstms(cells: int) -> Callable[[], Any]:
    model, (xs, ys) = Lstms(cells), sequences()
    samples = list(zip(xs.tolist(), ys.tolist(), strict=True))
    return _loss_and_gradient(model, lambda: total_of([squared(model(x), y) for x, y in samples]) / len(samples))


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


def swinging(steps: int) -> Callable[..., Any]:
    """The end of the pendulum, by a loop that is traced once."""

    def end(angle: Any, velocity: Any, g: Any, c: Any) -> Any:
        def step(_: Any, at: Any) -> Any:
            return swing(at[0], at[1], g, c, sin)

        angle, velocity = microgrid.fori_loop(0, steps, step, (angle, velocity))
        return angle * angle + velocity

    return end


def of_swung(steps: int) -> Callable[..., Any]:
    """The same by a loop of Python, of a list."""
    return lambda at: swung(at, steps, sin)


def pendulum() -> Callable[[], Any]:
    both = microgrid.value_and_grad(swinging(SWINGS), range(4))
    return lambda: both(*RELEASED)


def scan() -> Callable[[], Any]:
    both = microgrid.value_and_grad(swinging(LONG_SWINGS), range(4))
    return lambda: both(*RELEASED)


def unrolled() -> Callable[[], Any]:
    both = microgrid.value_and_grad(of_swung(LONG_SWINGS))
    return lambda: both(list(RELEASED))


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


def sparse() -> Callable[[], Any]:
    second = microgrid.hessian(rosenbrock, sparse=True)
    return lambda: second(list(PLACE)).data


def damped() -> Callable[[], Any]:
    second = microgrid.hessian(of_swung(DAMPED))
    return lambda: second(list(RELEASED))


def nested(x: Any) -> Any:
    return tanh(sin(x) * exp(x))


def orders() -> Callable[[], Any]:
    return lambda: derivatives(nested, EXPANDED, ORDERS)


def seventh_of_nested() -> Callable[..., Any]:
    """The seventh derivative."""
    f: Callable[..., Any] = nested
    for _ in range(SEVENTH):
        f = microgrid.grad(f)
    return f


def seventh() -> Callable[[], Any]:
    f = seventh_of_nested()
    return lambda: f(EXPANDED)


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


def of_hand(q: list[Any]) -> list[Any]:
    return hand_positions(q, sin, cos)


def hand() -> Callable[[], Any]:
    slopes = microgrid.jacobian(of_hand)
    return lambda: slopes(list(POSE))


def of_gpt(logits: Any, hot: Any) -> Any:
    return total_of([microgrid.losses.cross_entropy(*pair) for pair in zip(logits, hot, strict=True)]) / len(logits)


def _gpt(texts: Any) -> Callable[[], Any]:
    model = nn.GPT(27, seed=0)
    hot = [[[float(k == token) for k in range(27)] for token in text[1:]] for text in texts]

    def loss() -> Any:
        losses = [of_gpt(model(list(text[:-1])), rows) for text, rows in zip(texts, hot, strict=True)]
        return total_of(losses) / len(losses)

    return _loss_and_gradient(model, loss)


def gpt() -> Callable[[], Any]:
    return _gpt([TOKENS])


def gpt16() -> Callable[[], Any]:
    return _gpt(TEXTS)
