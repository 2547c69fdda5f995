"""CasADi: symbols, differentiated as such, evaluated by its virtual machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    AT,
    DAMPED,
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
    PLACE,
    PLACES,
    POINT,
    POINTS,
    POSE,
    RATE,
    RELEASED,
    SEVENTH,
    START,
    SUMMED,
    arm,
    energy,
    expanded,
    gathered,
    hand_positions,
    layers,
    options,
    poses,
    price,
    swung,
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
    **dict.fromkeys(("replay", "hessian", "orders", "determinant", "gathers", "hand"), "SX, bound buffers"),
    **dict.fromkeys(("damped", "seventh", "pairs", "sparse"), "SX, bound buffers"),
    **dict.fromkeys(("arms", "arm_hessian", "greeks"), "SX, map, bound buffers"),
}
CANNOT: dict[str, str] = {}


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


def _bound(function: Any, given: Any, results: Any) -> Callable[[], Any]:
    """A call that reads and writes these arrays, in the order of columns."""
    buffers, call = function.buffer()
    views = [memoryview(array) for array in (given, *results)]
    buffers.set_arg(0, views[0])
    for k, view in enumerate(views[1:]):
        buffers.set_res(k, view)

    def run(_kept: Any = (buffers, views)) -> None:  # the call keeps none of them alive
        call()

    return run


def _called(x: Any, outputs: Any, at: Any) -> Callable[[], Any]:
    """A call of the function of those symbols at that array, whose results are written into arrays."""
    ca: Any = import_module("casadi")
    np: Any = import_module("numpy")
    outputs = [ca.densify(output) for output in outputs]
    results = [np.empty(output.shape[::-1]) for output in outputs]
    run = _bound(ca.Function("f", [x], outputs), np.asfortranarray(at).ravel(order="K"), results)

    def call() -> Any:
        run()
        return lambda: [result.T for result in results]

    return call


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
    calls = [_bound(both, pair, results) for pair, *results in zip(pairs, values, gradients, strict=True)]

    def run() -> Any:
        for call in calls:
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


def _graph(ca: Any) -> tuple[Any, list[Any]]:
    """The inputs, and the value and the gradient, of the mixed graph."""
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
    return inputs, [result, ca.gradient(result, inputs)]


def mixed() -> Callable[[], Any]:
    ca: Any = import_module("casadi")

    def run() -> Any:
        x, outputs = _graph(ca)
        return ca.Function("graph", [x], outputs)(INPUTS)

    return run


def replay() -> Callable[[], Any]:
    return _called(*_graph(import_module("casadi")), INPUTS)


def hessian() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(POINT))
    value = ca.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    return _called(x, [ca.hessian(value, x)[0]], POINT)


def orders() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x")
    found = [ca.tanh(ca.sin(x) * ca.exp(x))]
    for _ in range(ORDERS):
        found.append(ca.jacobian(found[-1], x))
    return _called(x, [ca.vertcat(*found)], [EXPANDED])


def determinant() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(MATRIX), len(MATRIX))
    value = expanded([[x[i, j] for j in range(len(MATRIX))] for i in range(len(MATRIX))])
    return _called(x, [value, ca.gradient(value, x)], MATRIX)


def gathers() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(GATHERED))
    value = gathered([x[i] for i in range(len(GATHERED))], ca.tanh)
    return _called(x, [value, ca.gradient(value, x)], GATHERED)


def hand() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    q = ca.SX.sym("q", len(POSE))
    positions = ca.vertcat(*hand_positions([q[i] for i in range(len(POSE))], ca.sin, ca.cos))
    return _called(q, [ca.jacobian(positions, q)], POSE)


def pairs() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(PLACES))
    value = energy([x[i] for i in range(len(PLACES))])
    return _called(x, [value, ca.gradient(value, x)], PLACES)


def sparse() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    np: Any = import_module("numpy")
    x = ca.SX.sym("x", len(PLACE))
    value = ca.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    second = ca.Function("second", [x], [ca.hessian(value, x)[0]])
    numbers = np.empty(second.nnz_out(0))
    run = _bound(second, np.array(PLACE), [numbers])

    def call() -> Any:
        run()
        return numbers

    return call


def damped() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x", len(RELEASED))
    value = swung([x[i] for i in range(len(RELEASED))], DAMPED, ca.sin)
    return _called(x, [ca.hessian(value, x)[0]], RELEASED)


def seventh() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    x = ca.SX.sym("x")
    z = ca.tanh(ca.sin(x) * ca.exp(x))
    for _ in range(SEVENTH):
        z = ca.gradient(z, x)
    return _called(x, [z], [EXPANDED])


def _batch(x: Any, outputs: Any, columns: Any) -> Callable[[], Any]:
    """The outputs for each column of an array, whose memory goes column by column."""
    np: Any = import_module("numpy")
    ca: Any = import_module("casadi")
    function = ca.Function("one", [x], outputs)
    results = [np.empty((len(columns), *shape)) for shape in ([o.numel()] for o in outputs)]
    run = _bound(function.map(len(columns)), columns, results)

    def call() -> Any:
        run()
        return results

    return call


def arms() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    q = ca.SX.sym("q", 7)
    z = arm([q[i] for i in range(7)], ca.sin, ca.cos)
    return _batch(q, [z, ca.gradient(z, q)], poses())


def arm_hessian() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    q = ca.SX.sym("q", 7)
    z = arm([q[i] for i in range(7)], ca.sin, ca.cos)
    return _batch(q, [ca.densify(ca.hessian(z, q)[0])], poses())


def greeks() -> Callable[[], Any]:
    ca: Any = import_module("casadi")
    np: Any = import_module("numpy")
    x = ca.SX.sym("x", 5)
    z = price([x[i] for i in range(5)], ca)
    run = _batch(x, [z, ca.gradient(z, x)], np.ascontiguousarray(options().T))

    def results() -> Any:
        values, slopes = run()
        return lambda: [values, slopes.T]

    return results
