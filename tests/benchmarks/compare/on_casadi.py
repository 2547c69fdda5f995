"""CasADi: symbols, differentiated as such, evaluated by its virtual machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import (
    AT,
    DECAY,
    EXPANDED,
    FACTOR,
    GATHERED,
    INPUTS,
    LABELS,
    LINKS,
    LONG,
    MATRIX,
    OPERATIONS,
    ORDERS,
    POINT,
    POINTS,
    POSE,
    RATE,
    START,
    SUMMED,
    expanded,
    gathered,
    hand_positions,
    layers,
)

HOW = {
    "pair_list": "SX, function made once",
    "pair_array": "SX, function made once",
    "pair_written": "SX, bound buffers",
    "long_list": "SX, function made once",
    "long_array": "SX, function made once",
    "demo": "MX, function made once",
    "call": "SX, function made once",
    "chain": "SX, function made each time",
    "mixed": "SX, function made each time",
    "replay": "SX, function made once",
    "hessian": "SX, function made once",
    "orders": "SX, function made once",
    **dict.fromkeys(("determinant", "gathers", "hand"), "SX, function made once"),
}
CANNOT = dict.fromkeys(("lstm", "steps", "shift", "pendulum", "gpt", "pairs", "mixture"), "not written for it")


def demo() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    matrices = [ca.DM(matrix) for matrix in layers()]
    symbols = [ca.MX.sym(f"m{k}", *m.shape) for k, m in enumerate(matrices)]
    x, y = ca.DM(POINTS), ca.DM(LABELS)
    h = x
    for k, m in enumerate(symbols):
        h = ca.mtimes(h, m[:, :-1].T) + ca.repmat(m[:, -1].T, len(POINTS), 1)
        if k < len(symbols) - 1:
            h = ca.fmax(h, 0.0)
    loss = ca.sum1(ca.fmax(1.0 - y * h, 0.0)) / len(POINTS) + DECAY * sum(ca.sumsqr(m) for m in symbols)
    updated = [m - RATE * ca.gradient(loss, m) for m in symbols]
    function = ca.Function("step", symbols, [loss, *updated])
    state = [matrices]

    def step() -> Any:
        value, *state[0] = function(*state[0])
        return [value, *state[0]]

    return step


def call() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x, y = ca.SX.sym("x"), ca.SX.sym("y")
    z = x * y + x * x
    both = ca.Function("both", [x, y], [z, ca.gradient(z, x), ca.gradient(z, y)])
    return lambda: [list(map(float, both(a, b))) for a, b in AT]


def _of_pair(ca: Any) -> Any:
    x = ca.SX.sym("x", 2)
    z = x[0] * x[1] + x[0] * x[0]
    return ca.Function("both", [x], [z, ca.gradient(z, x)])


def pair_list() -> Callable[[], Any]:
    both = _of_pair(import_module("casadi"))
    pairs = [list(pair) for pair in AT]
    return lambda: [both(pair) for pair in pairs]


def pair_array() -> Callable[[], Any]:
    both = _of_pair(import_module("casadi"))
    pairs = list(import_module("numpy").array(AT))
    return lambda: [both(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    both = _of_pair(import_module("casadi"))
    pairs, values, gradients = np.array(AT), np.empty((len(AT), 1)), np.empty((len(AT), 2))
    bound = []
    for arrays in zip(pairs, values, gradients, strict=True):
        buffers, call = both.buffer()
        views = [memoryview(array) for array in arrays]
        buffers.set_arg(0, views[0])
        buffers.set_res(0, views[1])
        buffers.set_res(1, views[2])
        bound.append((call, buffers, views))  # it keeps none of them alive

    def run() -> Any:
        for call, _, _ in bound:
            call()
        return [values, gradients]

    return run


def _long(ca: Any) -> Any:
    x = ca.SX.sym("x", len(LONG))
    z = ca.sum1(x[:-1] ** 2 * x[1:])
    return ca.Function("both", [x], [z, ca.gradient(z, x)])


def long_list() -> Callable[[], Any]:
    both = _long(import_module("casadi"))
    x = list(LONG)
    return lambda: both(x)


def long_array() -> Callable[[], Any]:
    both = _long(import_module("casadi"))
    x = import_module("numpy").array(LONG)
    return lambda: both(x)


def chain() -> Callable[[], Any]:
    ca: Any = import_module("casadi")

    def run() -> Any:
        x = ca.SX.sym("x")
        y = x
        for _ in range(LINKS):
            y = FACTOR * y + x
        return ca.Function("chain", [x], [y, ca.gradient(y, x)])(START)

    return run


def _function(ca: Any) -> Any:
    """The value and the gradient of the mixed graph."""
    inputs = ca.SX.sym("x", len(INPUTS))
    v = [inputs[i] for i in range(len(INPUTS))]
    for k in range(OPERATIONS):
        kind = k % 4
        if kind == 0:
            v.append(ca.fmax(v[-10], 0.0) + ca.log1p(ca.exp(-ca.fabs(v[-10]))))
        elif kind == 1:
            v.append(sum(v[-i] for i in SUMMED))
        elif kind == 2:
            v.append(v[-20] * v[-10])
        else:
            largest = ca.fmax(ca.fmax(v[-4], v[-3]), ca.fmax(v[-2], v[-1]))
            powers = [ca.exp(x - largest) for x in v[-4:]]
            total = sum(powers)
            v.extend([power / total for power in powers])
    result = sum(v)
    return ca.Function("graph", [inputs], [result, ca.gradient(result, inputs)])


def mixed() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    return lambda: _function(ca)(INPUTS)


def replay() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    function = _function(ca)
    x = ca.DM(INPUTS)
    return lambda: function(x)


def hessian() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(POINT))
    value = ca.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    function = ca.Function("second", [x], [ca.hessian(value, x)[0]])
    at = ca.DM(POINT)
    return lambda: function(at)


def orders() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x")
    found = [ca.tanh(ca.sin(x) * ca.exp(x))]
    for _ in range(ORDERS):
        found.append(ca.jacobian(found[-1], x))
    function = ca.Function("orders", [x], [ca.vertcat(*found)])
    return lambda: function(EXPANDED)


def determinant() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(MATRIX), len(MATRIX))
    value = expanded([[x[i, j] for j in range(len(MATRIX))] for i in range(len(MATRIX))])
    both = ca.Function("both", [x], [value, ca.gradient(value, x)])
    at = ca.DM(MATRIX)
    return lambda: both(at)


def gathers() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(GATHERED))
    value = gathered([x[i] for i in range(len(GATHERED))], ca.tanh)
    both = ca.Function("both", [x], [value, ca.gradient(value, x)])
    at = ca.DM(GATHERED)
    return lambda: both(at)


def hand() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    q = ca.SX.sym("q", len(POSE))
    positions = ca.vertcat(*hand_positions([q[i] for i in range(len(POSE))], ca.sin, ca.cos))
    slopes = ca.Function("slopes", [q], [ca.jacobian(positions, q)])
    at = ca.DM(POSE)
    return lambda: slopes(at)
