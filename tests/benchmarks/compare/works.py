"""The works that are measured, in the order and the tables of the page."""

from __future__ import annotations

from typing import Final, NamedTuple


class Work(NamedTuple):
    """`name` is the function that each `on_*.py` has for it, `title` stands in its table, by the name of `table`.

    First calls are in a table of their own where that is what a person waits for, `first`.
    """

    name: str
    title: str
    table: str
    first: bool = False


_TABLES = {
    "training": {
        "demo": "the demo: 100 points, 2-16-16-1, hinge loss; forward, backward, SGD*",
        "net64": "64-64-10, ReLU, squared errors, 1,024 samples",
        "net784": "784-128-10, the same*",
        "labels": "10-20-5, sigmoids, cross-entropy, 100 samples: 100 steps",
        "lstm": "an LSTM of 16 cells, one sequence of 50 numbers: loss and gradient*",
        "lstm16": "an LSTM of 16 cells, 32 sequences of 50 numbers*",
        "lstm32": "an LSTM of 32 cells, 32 sequences of 50 numbers*",
        "gpt": "a GPT of 4,192 parameters, 16 tokens*",
        "gpt16": "the same, a batch of 16",
    },
    "calls": {
        "call": "f(x, y) = x y + x², value and derivatives at two floats, 1,000 times",
        "pair_list": "the same of a list of two numbers, 1,000 times",
        "pair_array": "the same of an array of two numbers, 1,000 times",
        "pair_written": "the same, derivatives written into an array that is there",
        "long_list": "the sum of x[i]² x[i+1] over a list of 1,000 numbers, value and gradient",
        "long_array": "the same over an array of 1,000 numbers",
        "steps": "1,000 steps of gradient descent of one neuron on one sample",
        "shift": "x + 0.5 for each of 10,000 numbers",
    },
    "loops": {
        "chain": "a chain of 10,000 scalar operations",
        "pendulum": "a damped pendulum, 2,000 Runge-Kutta steps, by `fori_loop`",
        "scan": "20,000 of them*",
        "unrolled": "20,000 of them, in a loop of plain Python*",
        "pairs": "Lennard-Jones energy of 64 particles, a triangle of pairs*",
        "mixture": "a mixture of 25 normal distributions in 10 dimensions, packed triangles, 1,000 samples*",
    },
    "batches": {
        "arms": "an arm of seven joints at 10,000 poses: values and gradients",
        "arm_hessian": "the same: Hessians*",
        "greeks": "Black-Scholes: 10,000 prices, five derivatives of each",
    },
    "higher": {
        "hessian": "the Hessian of Rosenbrock's function, n = 20",
        "sparse": "the same as a sparse array, n = 100*",
        "damped": "the Hessian of the damped pendulum after 200 steps, by four parameters*",
        "orders": "derivatives of tanh(sin(x) exp(x)) of the orders 0 to 10",
        "seventh": "its seventh derivative by nested gradients*",
    },
    "many": {
        "determinant": "a determinant of 7 x 7 numbers, expanded by its first row*",
        "gathers": "8,000 operations on values drawn at random*",
        "hand": "the Jacobian of 300 positions on a hand of 22 bones by 226 inputs*",
        "mixed": "10,000 mixed operations on 100 inputs, built anew",
        "replay": "the same, made ready once",
    },
}
WORKS: Final = {
    name: Work(name, title.rstrip("*"), table, title.endswith("*"))
    for table, works in _TABLES.items()
    for name, title in works.items()
}
