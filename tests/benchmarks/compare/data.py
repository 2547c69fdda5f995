"""Data of the works, and those that are functions of any library's numbers."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from microgrid.datasets import moons

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

# --- larger networks: the sum of the squared errors, its mean over the samples, and a step of plain descent ----------


def samples_of(sizes: Sequence[int]) -> tuple[Any, Any, list[Any]]:
    """Inputs, wanted outputs, and a matrix for each layer, whose last column has the biases."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1_024, sizes[0])), rng.normal(size=(1_024, sizes[-1]))
    return x, y, [rng.normal(size=(n, m + 1)) / math.sqrt(m) for m, n in itertools.pairwise(sizes)]


MIDDLE: Final = (64, 64, 10)
LARGE: Final = (784, 128, 10)
GENTLY: Final = 1e-6

# --- labels: ten inputs, 20 and 5 sigmoids, mean binary cross-entropy of five answers, full batches ------------------

STEPS: Final = 100
LABELLED: Final = (10, 20, 5)
PACE: Final = 0.01


def labelled() -> tuple[Any, Any, list[Any]]:
    """A hundred samples, the answers, and matrices with the biases in the last column."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 10)), (rng.random((100, 5)) > 0.5).astype(float)
    return x, y, [rng.normal(size=(n, m + 1)) / math.sqrt(m) for m, n in itertools.pairwise(LABELLED)]


# --- the LSTM: gates i, f, o and g of [x, *h]; c = f c + i g, h = o tanh(c); loss (w h - WANTED)^2 at the end --------

CELLS: Final = 16
SEQUENCE: Final = tuple(math.sin(0.3 * t) for t in range(50))
WANTED: Final = 0.7


def lstm_parameters() -> list[float]:
    """Four matrices with a row for each cell, then four lists of biases, then the weights of the output."""
    generator = random.Random(0)
    weights = [generator.gauss(0.0, 0.2) for _ in range(4 * CELLS * (1 + CELLS))]
    return [*weights, *[0.1] * (4 * CELLS), *[generator.gauss(0.0, 0.2) for _ in range(CELLS)]]


# --- a batch for an LSTM with the parameters of PyTorch's, whose outputs have weights; the mean of (w h - y)^2 --------


def sequences() -> tuple[Any, Any]:
    """32 sequences of 50 numbers, and what is wanted."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 50)), rng.normal(size=32)


def units(cells: int) -> tuple[list[Any], Any]:
    """Arrays as PyTorch has them, rows of the gates i, f, g and o: weight_ih, weight_hh, bias_ih, bias_hh; and w."""
    import numpy as np

    rng = np.random.default_rng(1)
    shapes = (4 * cells, 1), (4 * cells, cells), (4 * cells,), (4 * cells,)
    return [rng.normal(size=shape) * 0.2 for shape in shapes], rng.normal(size=cells) * 0.2


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

# --- the pendulum: th'' = -g sin(th) - c th', the angle and the velocity after so many steps of this length ----------

SWINGS: Final = 2_000
INTERVAL: Final = 0.001
LONG_SWINGS: Final = 20_000
DAMPED: Final = 200
RELEASED: Final = (1.0, 0.1, 9.81, 0.2)
"""Angle, velocity, g and c; differentiated is angle^2 + velocity at the end."""


def swing(angle: Any, velocity: Any, g: Any, c: Any, sin: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A step of the classical Runge-Kutta method, with any library's numbers."""
    h = INTERVAL

    def slope(angle: Any, velocity: Any) -> tuple[Any, Any]:
        return velocity, -g * sin(angle) - c * velocity

    a, p = slope(angle, velocity)
    b, q = slope(angle + 0.5 * h * a, velocity + 0.5 * h * p)
    d, r = slope(angle + 0.5 * h * b, velocity + 0.5 * h * q)
    e, s = slope(angle + h * d, velocity + h * r)
    return angle + h / 6.0 * (a + 2.0 * b + 2.0 * d + e), velocity + h / 6.0 * (p + 2.0 * q + 2.0 * r + s)


def swung(at: Sequence[Any], steps: int, sin: Callable[[Any], Any]) -> Any:
    """The square of the angle and the velocity, after so many steps in a loop of Python."""
    angle, velocity, g, c = at
    for _ in range(steps):
        angle, velocity = swing(angle, velocity, g, c, sin)
    return angle * angle + velocity


# --- the mixed graph -----------------------------------------------------------------------------------------------
# In turn: softplus of the tenth-last value; the sum of every fifth from the 30th-last to the 10th-last; the product of
# the 20th-last and the 10th-last; the softmax of the last four, which are four values more. Differentiated is the sum
# of all values by the inputs.

OPERATIONS: Final = 10_000
INPUTS: Final = tuple(float(i) for i in range(100))
SUMMED: Final = (30, 25, 20, 15, 10)

# --- Rosenbrock's function: the sum over i of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 ---------------------------------

POINT: Final = tuple(0.1 * i for i in range(20))

PLACE: Final = tuple(0.01 * i for i in range(100))
"""The point of its sparse Hessian."""

# --- orders: all derivatives at this number --------------------------------------------------------------------------

ORDERS: Final = 10
SEVENTH: Final = 7
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


def poses() -> Any:
    """Ten thousand of them."""
    import numpy as np

    return np.random.default_rng(0).uniform(-1.5, 1.5, (10_000, len(LINKS_OF_ARM)))


# --- greeks: the price of a call option by Black and Scholes, and its derivatives ------------------------------------


def options() -> Any:
    """Spot, strike, rate, volatility and time, a row for each: ten thousand numbers."""
    import numpy as np

    low, high = (80.0, 80.0, 0.0, 0.1, 0.2), (120.0, 120.0, 0.06, 0.5, 2.0)
    return np.ascontiguousarray(np.random.default_rng(1).uniform(low, high, (10_000, 5)).T)


def price(option: Sequence[Any], f: Any) -> Any:
    """The price; `f` has log, exp, sqrt and erf."""
    s, k, r, v, t = option
    width = v * f.sqrt(t)
    d = (f.log(s / k) + (r + 0.5 * v * v) * t) / width

    def normal(x: Any) -> Any:
        return 0.5 + 0.5 * f.erf(x * math.sqrt(0.5))

    return s * normal(d) - k * f.exp(0.0 - r * t) * normal(d - width)


# --- the determinant -------------------------------------------------------------------------------------------------

_numbers = random.Random(7)
MATRIX: Final = tuple(tuple(_numbers.gauss(0.0, 1.0) for _ in range(7)) for _ in range(7))


def expanded(rows: Sequence[Sequence[Any]]) -> Any:
    """The determinant by minors."""
    if len(rows) == 1:
        return rows[0][0]
    total: Any = 0.0
    for j, x in enumerate(rows[0]):
        term = x * expanded([[*row[:j], *row[j + 1 :]] for row in rows[1:]])
        total = total - term if j % 2 else total + term
    return total


# --- gathers: operations on two values each, one of all before, one of the last 300 ----------------------------------

GATHERED: Final = tuple(_numbers.gauss(0.0, 1.0) for _ in range(100))
_DRAWN: Final = tuple(
    (_numbers.choice("aammmssdt"), _numbers.randrange(100 + k), _numbers.randrange(max(0, k - 200), 100 + k))
    for k in range(8_000)
)


def gathered(x: Sequence[Any], tanh: Callable[[Any], Any]) -> Any:
    """The sum of the last 50 values."""
    v = list(x)
    for kind, i, j in _DRAWN:
        a, b = v[i], v[j]
        match kind:
            case "a":
                v.append(a + b)
            case "s":
                v.append(a - b)
            case "m":
                v.append(0.5 * a * b / (1.0 + b * b))
            case "d":
                v.append(a / (1.0 + b * b))
            case _:
                v.append(tanh(a))
    total: Any = 0.0
    for value in v[-50:]:
        total = total + value
    return total


# --- pairs: the sum of 4 (r^-12 - r^-6) over all pairs of 64 particles, near the places of a lattice -----------------

_more = random.Random(11)
PARTICLES: Final = 64
PLACES: Final = tuple(1.2 * (i // 4**k % 4) + _more.uniform(-0.1, 0.1) for i in range(PARTICLES) for k in range(3))


def energy(x: Sequence[Any]) -> Any:
    """The energy of particles whose coordinates follow one another."""
    total: Any = 0.0
    for i in range(PARTICLES):
        for j in range(i):
            square: Any = 0.0
            for k in range(3):
                gap = x[3 * i + k] - x[3 * j + k]
                square = square + gap * gap
            sixth = 1.0 / (square * square * square)
            total = total + 4.0 * (sixth * sixth - sixth)
    return total


# --- a mixture: log of the sum over its components of exp(a + log of the determinant of L - |L (x - m)|^2 / 2) -------
# L is a lower triangle, packed by rows, whose diagonal is the exponential of what is given.

DIMENSIONS: Final = 10
COMPONENTS: Final = 25
SAMPLES: Final = tuple(tuple(_more.gauss(0.0, 1.0) for _ in range(DIMENSIONS)) for _ in range(1_000))
WEIGHTS: Final = tuple(_more.gauss(0.0, 1.0) for _ in range(COMPONENTS))
CENTRES: Final = tuple(tuple(_more.gauss(0.0, 1.0) for _ in range(DIMENSIONS)) for _ in range(COMPONENTS))
ROOTS: Final = tuple(
    tuple(_more.gauss(0.0, 0.3) for _ in range(DIMENSIONS * (DIMENSIONS + 1) // 2)) for _ in range(COMPONENTS)
)


def exponents(
    x: Sequence[Any],
    weights: Sequence[Any],
    centres: Sequence[Sequence[Any]],
    roots: Sequence[Sequence[Any]],
    exp: Callable[[Any], Any],
) -> list[Any]:
    """The exponents of a sample, one for each component."""
    found = []
    for weight, centre, root in zip(weights, centres, roots, strict=True):
        total = weight
        for i in range(DIMENSIONS):
            diagonal = root[i * (i + 1) // 2 + i]
            row = exp(diagonal) * (x[i] - centre[i])
            for j in range(i):
                row = row + root[i * (i + 1) // 2 + j] * (x[j] - centre[j])
            total = total + diagonal - 0.5 * row * row
        found.append(total)
    return found


# --- the hand: 26 angles and places of bones, and two coordinates of each of 100 points ------------------------------

POSE: Final = tuple(_numbers.gauss(0.0, 0.5) for _ in range(226))
_OFFSETS: Final = tuple(tuple(_numbers.gauss(0.0, 1.0) for _ in range(3)) for _ in range(21))
_TRIANGLES: Final = tuple(
    tuple(tuple(_numbers.gauss(0.0, 1.0) for _ in range(3)) for _ in range(3)) for _ in range(100)
)
_WEIGHTS: Final = tuple(tuple((_numbers.randrange(22), _numbers.random()) for _ in range(3)) for _ in range(100))


def hand_positions(q: Sequence[Any], sin: Callable[[Any], Any], cos: Callable[[Any], Any]) -> list[Any]:
    """Three coordinates of each point: a place in a triangle, moved by three bones with weights."""

    def rotation(a: Any, b: Any, c: Any) -> list[list[Any]]:
        sa, ca, sb, cb, sc, cc = sin(a), cos(a), sin(b), cos(b), sin(c), cos(c)
        return [
            [cb * cc, sa * sb * cc - ca * sc, ca * sb * cc + sa * sc],
            [cb * sc, sa * sb * sc + ca * cc, ca * sb * sc - sa * cc],
            [-sb, sa * cb, ca * cb],
        ]

    def turned(m: Sequence[Sequence[Any]], v: Sequence[Any]) -> list[Any]:
        return [row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in m]

    bones = [(rotation(q[0], q[1], q[2]), list(q[3:6]))]
    for finger in range(5):
        turn, place = bones[0]
        angles = q[6 + 4 * finger : 10 + 4 * finger]
        for k in range(4):
            place = [p + d for p, d in zip(place, turned(turn, _OFFSETS[4 * finger + k]), strict=True)]
            joint = rotation(angles[0], angles[1], 0.0 * angles[0]) if k == 0 else _bent(sin(angles[k]), cos(angles[k]))
            columns = [turned(turn, column) for column in zip(*joint, strict=True)]
            turn = [list(row) for row in zip(*columns, strict=True)]
            bones.append((turn, place))
    bones.append(bones[-1])
    positions: list[Any] = []
    for i in range(100):
        u, v = q[26 + 2 * i], q[27 + 2 * i]
        a, b, c = _TRIANGLES[i]
        point = [x * u + y * v + z * (1.0 - u - v) for x, y, z in zip(a, b, c, strict=True)]
        moved: list[Any] = [0.0, 0.0, 0.0]
        for bone, weight in _WEIGHTS[i]:
            turn, place = bones[bone]
            moved = [m + weight * (p + t) for m, p, t in zip(moved, turned(turn, point), place, strict=True)]
        positions += moved
    return positions


def _bent(s: Any, c: Any) -> list[list[Any]]:
    return [[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]


# --- the GPT: nn.GPT(27), one layer, width 16, 4 heads -------------------------------------------------------------

TOKENS: Final = tuple(_numbers.randrange(27) for _ in range(17))
"""Sixteen, and the token after each of them."""
TEXTS: Final = tuple(tuple(_numbers.randrange(27) for _ in range(17)) for _ in range(16))
"""A batch of such."""


def gpt_parameters() -> list[float]:
    """Its weights, in the order of `parameters()`."""
    from microgrid import nn

    return [p.data for p in nn.GPT(27, seed=0).parameters()]
