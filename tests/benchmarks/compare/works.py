"""The work that is measured: its data and its name, the same for everyone who does it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from microgrid.datasets import moons


class Work(NamedTuple):
    """`name` is the function that each `on_*.py` has for it, `title` stands in the table."""

    name: str
    title: str


_ALL = (
    Work(
        "demo",
        "One training step of the demo: 100 points, MLP(2, [16, 16, 1]), hinge loss; forward, backward, SGD",
    ),
    Work("call", "f(x, y) = x y + x^2, its value and derivatives at two floats, 1,000 times"),
    Work("pair_list", "The same f of a list of two numbers, 1,000 times"),
    Work("pair_array", "The same f of an array of two numbers, 1,000 times"),
    Work("pair_written", "The same f of an array of two numbers, derivatives written into an array that is there"),
    Work("long_list", "The sum of x[i]^2 x[i+1] over a list of 1,000 numbers, its value and gradient"),
    Work("long_array", "The same sum over an array of 1,000 numbers"),
    Work("lstm", "A training step of an LSTM of 16 cells on one sequence of 50 numbers: loss and gradient"),
    Work("steps", "1,000 steps of gradient descent of one neuron on one sample: what a step costs beside its work"),
    Work("shift", "x + 0.5 for each of 10,000 numbers"),
    Work("chain", "A chain of 10,000 scalar operations, built and differentiated"),
    Work("mixed", "A graph of 10,000 mixed operations on 100 inputs, built and differentiated"),
    Work("replay", "The same graph, made ready once, its value and gradient computed again"),
    Work("hessian", "The Hessian of Rosenbrock's function in 20 variables"),
    Work("orders", "Derivatives of tanh(sin(x) exp(x)) of the orders 0 to 10"),
)
WORKS: Final = {work.name: work for work in _ALL}

# --- the demo's step -----------------------------------------------------------------------------------------------

POINTS, LABELS = moons(100, seed=1337)
SIZES: Final = (2, 16, 16, 1)
RATE, DECAY = 0.1, 1e-4


def layers() -> list[list[list[float]]]:
    """A matrix for each layer, with what the demo starts with: a row has a neuron's weights and its bias."""
    from microgrid import nn

    model = nn.MLP(SIZES[0], list(SIZES[1:]), seed=1337)
    return [[[p.data for p in neuron.parameters()] for neuron in layer.neurons] for layer in model.layers]


# --- the call: f(x, y) = x * y + x * x at these, one after another --------------------------------------------------

AT: Final = tuple((0.001 * i, 1.0 - 0.002 * i) for i in range(1, 1_001))

# --- calls with lists and arrays: f of AT's pairs, and the sum over i of x[i]^2 x[i+1] at these ---------------------

LONG: Final = tuple(0.002 * i - 1.0 for i in range(1_000))

# --- the LSTM: gates i, f, o and g of [x, *h]; c = f c + i g, h = o tanh(c); loss (w h - WANTED)^2 at the end ---------

CELLS: Final = 16
SEQUENCE: Final = tuple(math.sin(0.3 * t) for t in range(50))
WANTED: Final = 0.7


def lstm_parameters() -> list[float]:
    """Four matrices with a row for each cell, then four lists of biases, then the weights of the output."""
    generator = random.Random(0)
    weights = [generator.gauss(0.0, 0.2) for _ in range(4 * CELLS * (1 + CELLS))]
    return [*weights, *[0.1] * (4 * CELLS), *[generator.gauss(0.0, 0.2) for _ in range(CELLS)]]


# --- steps: the squared error of w x + b, by w and b -----------------------------------------------------------------

DESCENTS: Final = 1_000
NEURON: Final = (0.5, -0.3, 0.0)
SAMPLE: Final = ((1.0, 2.0), 0.25)
SLOWLY: Final = 1e-4

# --- shift -----------------------------------------------------------------------------------------------------------

SHIFTED: Final = tuple(0.0001 * i for i in range(10_000))

# --- the chain: y = FACTOR * y + x, again and again ----------------------------------------------------------------

LINKS: Final = 5_000
FACTOR: Final = 0.9999
START: Final = 0.5

# --- the mixed graph -----------------------------------------------------------------------------------------------
# In turn: softplus of the tenth-last value; the sum of every fifth from the 30th-last to the 10th-last; the product of
# the 20th-last and the 10th-last; the softmax of the last four, which are four values more. Differentiated is the sum
# of all values by the inputs.

OPERATIONS: Final = 10_000
INPUTS: Final = tuple(float(i) for i in range(100))
SUMMED: Final = (30, 25, 20, 15, 10)

# --- Rosenbrock's function: the sum over i of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 ----------------------------------

POINT: Final = tuple(0.1 * i for i in range(20))

# --- orders: all derivatives at this number --------------------------------------------------------------------------

ORDERS: Final = 10
EXPANDED: Final = 0.3

# --- an arm of seven joints: links in Denavit and Hartenberg's form, as (offset, sign of a quarter turn) -------------

LINKS_OF_ARM: Final = ((0.34, -1.0), (0.0, 1.0), (0.4, 1.0), (0.0, -1.0), (0.4, -1.0), (0.0, 1.0), (0.126, 0.0))
AIM: Final = (0.4, 0.2, 0.5)


def arm(q: Sequence[Any], sin: Callable[[Any], Any], cos: Callable[[Any], Any]) -> Any:
    """The squared distance of the hand from `AIM`, by products of matrices with all their zeros and ones."""
    rotation: list[list[Any]] = []
    place: list[Any] = []
    for angle, (offset, turn) in zip(q, LINKS_OF_ARM, strict=True):
        c, s = cos(angle), sin(angle)
        ca, sa = (0.0, turn) if turn else (1.0, 0.0)
        link = [[c, -s * ca, s * sa], [s, c * ca, -c * sa], [0.0, sa, ca]]
        moved = [0.0 * c, 0.0 * s, offset]
        if not rotation:
            rotation, place = link, moved
            continue
        place = [
            p + (row[0] * moved[0] + row[1] * moved[1] + row[2] * moved[2])
            for p, row in zip(place, rotation, strict=True)
        ]
        rotation = [
            [row[0] * link[0][j] + row[1] * link[1][j] + row[2] * link[2][j] for j in range(3)] for row in rotation
        ]
    gaps = [p - a for p, a in zip(place, AIM, strict=True)]
    return gaps[0] * gaps[0] + gaps[1] * gaps[1] + gaps[2] * gaps[2]
