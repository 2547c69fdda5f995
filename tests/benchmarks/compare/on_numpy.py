"""NumPy, with the backward pass written by hand."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    CELLS,
    DECAY,
    DESCENTS,
    GENTLY,
    INPUTS,
    LABELS,
    LARGE,
    LONG,
    MIDDLE,
    NEURON,
    OPERATIONS,
    PACE,
    POINT,
    POINTS,
    RATE,
    SAMPLE,
    SEQUENCE,
    SHIFTED,
    SLOWLY,
    STEPS,
    SUMMED,
    WANTED,
    labelled,
    layers,
    lstm_parameters,
    samples_of,
)

HOW = {
    "long_list": "backward by hand, from and to lists",
    "long_array": "backward by hand",
    "demo": "arrays, backward by hand",
    "net64": "arrays, backward by hand",
    "net784": "arrays, backward by hand",
    "labels": "arrays, backward by hand",
    "lstm": "arrays, backward by hand",
    "steps": "arrays, backward by hand",
    "shift": "x + 0.5",
    "mixed": "slices of one array, backward by hand",
    "replay": "slices of one array, backward by hand",
    "hessian": "arrays, derived by hand",
}
CANNOT = dict.fromkeys(
    ("call", "pair_list", "pair_array", "pair_written", "chain", "pendulum", "scan", "unrolled"),
    "one number at a time, there is nothing for an array to do",
)


def demo() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, y = np.array(POINTS), np.array(LABELS, dtype=float)
    matrices = [np.array(matrix) for matrix in layers()]

    def step() -> Any:
        inputs, h = [], x
        for k, m in enumerate(matrices):
            inputs.append(h)
            h = h @ m[:, :-1].T + m[:, -1]
            if k < len(matrices) - 1:
                h = np.maximum(h, 0.0)
        margins = 1.0 - y * h[:, 0]
        loss = np.maximum(margins, 0.0).mean() + DECAY * sum((m * m).sum() for m in matrices)
        upstream = (np.where(margins > 0.0, -y, 0.0) / len(y))[:, None]
        for k in range(len(matrices) - 1, -1, -1):
            m, h = matrices[k], inputs[k]
            slope = np.column_stack([upstream.T @ h, upstream.sum(axis=0)]) + 2.0 * DECAY * m
            upstream = (upstream @ m[:, :-1]) * (h > 0.0)
            matrices[k] = m - RATE * slope
        return [loss, *matrices]

    return step


def _network(sizes: Any) -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, y, arrays = samples_of(sizes)
    weights = [(np.ascontiguousarray(m[:, :-1]), m[:, -1].copy()) for m in arrays]

    def step() -> Any:
        layers = [x]
        for k, (w, b) in enumerate(weights):
            z = layers[-1] @ w.T
            z += b
            layers.append(np.maximum(z, 0.0, out=z) if k < len(weights) - 1 else z)
        error = layers[-1] - y
        loss = (error * error).sum() / len(x)
        upstream = error * (2.0 / len(x))
        for k in range(len(weights) - 1, -1, -1):
            w, b = weights[k]
            slope = upstream.T @ layers[k]
            offset = upstream.sum(axis=0)
            if k:
                upstream = upstream @ w
                upstream *= layers[k] > 0.0
            slope *= GENTLY
            w -= slope
            b -= GENTLY * offset
        return lambda: [loss, *map(np.column_stack, weights)]

    return step


def net64() -> Callable[[], Any]:
    return _network(MIDDLE)


def net784() -> Callable[[], Any]:
    return _network(LARGE)


def labels() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, y, arrays = labelled()

    def run() -> Any:
        weights = [(m[:, :-1].copy(), m[:, -1].copy()) for m in arrays]
        for _ in range(STEPS):
            layers = [x]
            for w, b in weights:
                z = layers[-1] @ w.T
                z += b
                layers.append(1.0 / (1.0 + np.exp(-z)))
            upstream = (layers[-1] - y) / y.size
            for k in range(len(weights) - 1, -1, -1):
                w, b = weights[k]
                slope, offset = upstream.T @ layers[k], upstream.sum(axis=0)
                if k:
                    upstream = (upstream @ w) * layers[k] * (1.0 - layers[k])
                w -= PACE * slope
                b -= PACE * offset
        return lambda: [*map(np.column_stack, weights)]

    return run


def _long(x: Any) -> tuple[Any, Any]:
    np: Any = import_module("numpy")
    first, second = x[:-1], x[1:]
    gradient = np.zeros(len(x))
    gradient[:-1] = 2.0 * first * second
    gradient[1:] += first * first
    return (first * first * second).sum(), gradient


def long_list() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x = list(LONG)

    def run() -> Any:
        value, gradient = _long(np.array(x))
        return [float(value), gradient.tolist()]

    return run


def long_array() -> Callable[[], Any]:
    x = import_module("numpy").array(LONG)
    return lambda: _long(x)


def lstm() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    p = np.array(lstm_parameters())
    ends = np.cumsum([4 * CELLS * (1 + CELLS), 4 * CELLS])
    w, b, out = np.split(p, ends)
    w = w.reshape(4 * CELLS, 1 + CELLS)

    def run() -> Any:
        h, c, past = np.zeros(CELLS), np.zeros(CELLS), []
        for x in SEQUENCE:
            z = np.concatenate([[x], h])
            s = w @ z + b
            i, f, o = (1.0 / (1.0 + np.exp(-s[: 3 * CELLS]))).reshape(3, CELLS)
            g = np.tanh(s[3 * CELLS :])
            before, c = c, f * c + i * g
            bent = np.tanh(c)
            h = o * bent
            past.append((z, i, f, o, g, before, bent))
        e = out @ h - WANTED
        dw, db, dh, dc = np.zeros(w.shape), np.zeros(len(b)), 2.0 * e * out, np.zeros(CELLS)
        dout = 2.0 * e * h
        for z, i, f, o, g, before, bent in reversed(past):
            dc = dc + dh * o * (1.0 - bent * bent)
            ds = [
                dc * g * i * (1.0 - i),
                dc * before * f * (1.0 - f),
                dh * bent * o * (1.0 - o),
                dc * i * (1.0 - g * g),
            ]
            slope = np.concatenate(ds)
            dw += np.outer(slope, z)
            db += slope
            dh = (slope @ w)[1:]
            dc = dc * f
        return [e * e, dw, db, dout]

    return run


def steps() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, y = np.array([SAMPLE[0]]), np.array([SAMPLE[1]])

    def run() -> Any:
        p = np.array(NEURON)
        for _ in range(DESCENTS):
            e = x @ p[:2] + p[2] - y
            p[:2] -= SLOWLY * (2.0 * e @ x)
            p[2] -= SLOWLY * (2.0 * e.sum())
        return p

    return run


def shift() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x = np.array(SHIFTED)
    return lambda: x + 0.5


def mixed() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    inputs = np.array(INPUTS)
    count = len(INPUTS) + OPERATIONS // 4 * 7
    back = np.array(SUMMED)

    def run() -> Any:
        v = np.empty(count)
        v[: len(inputs)] = inputs
        n, places = len(inputs), []
        for k in range(OPERATIONS):
            places.append(n)
            kind = k % 4
            if kind == 0:
                v[n] = np.logaddexp(0.0, v[n - 10])
            elif kind == 1:
                v[n] = v[n - back].sum()
            elif kind == 2:
                v[n] = v[n - 20] * v[n - 10]
            else:
                powers = np.exp(v[n - 4 : n] - v[n - 4 : n].max())
                v[n : n + 4] = powers / powers.sum()
            n += 4 if kind == 3 else 1
        g = np.ones(count)
        for k in range(OPERATIONS - 1, -1, -1):
            n, kind = places[k], k % 4
            if kind == 0:
                g[n - 10] += g[n] / (1.0 + np.exp(-v[n - 10]))
            elif kind == 1:
                g[n - back] += g[n]
            elif kind == 2:
                g[n - 20] += g[n] * v[n - 10]
                g[n - 10] += g[n] * v[n - 20]
            else:
                z, upstream = v[n : n + 4], g[n : n + 4]
                g[n - 4 : n] += z * (upstream - upstream @ z)
        return [v.sum(), g[: len(inputs)]]

    return run


replay = mixed


def hessian() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x = np.array(POINT)

    def run() -> Any:
        diagonal = np.zeros(len(x))
        diagonal[:-1] = 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
        diagonal[1:] += 200.0
        beside = -400.0 * x[:-1]
        return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)

    return run
