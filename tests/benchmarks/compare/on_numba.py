"""numba: the function and its derivatives, written by hand in Python with loops, compiled."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    AT,
    DECAY,
    INTERVAL,
    LABELS,
    LONG,
    LONG_SWINGS,
    PARTICLES,
    PLACES,
    POINTS,
    RATE,
    RELEASED,
    SWINGS,
    layers,
)

HOW = {
    "call": "njit, derivatives by hand",
    "pair_array": "njit, derivatives by hand",
    "pair_written": "njit, derivatives by hand",
    "long_array": "njit, derivatives by hand",
    **dict.fromkeys(("demo", "pairs", "pendulum", "scan"), "njit with fastmath, derivatives by hand"),
}
CANNOT = dict.fromkeys(
    ("pair_list", "long_list"), "lists of Python are converted number by number, which it advises against"
)


def call() -> Callable[[], Any]:
    def both(x: float, y: float) -> tuple[float, float, float]:
        return x * y + x * x, y + 2.0 * x, x

    compiled = import_module("numba").njit(both)
    return lambda: [compiled(x, y) for x, y in AT]


def pair_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any) -> tuple[float, Any]:
        return x[0] * x[1] + x[0] * x[0], np.array([x[1] + 2.0 * x[0], x[0]])

    compiled = import_module("numba").njit(both)
    pairs = list(np.array(AT))
    return lambda: [compiled(pair) for pair in pairs]


def pair_written() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any, gradient: Any) -> float:
        gradient[0] = x[1] + 2.0 * x[0]
        gradient[1] = x[0]
        return float(x[0] * x[1] + x[0] * x[0])

    compiled = import_module("numba").njit(both)
    pairs, gradients = np.array(AT), np.empty((len(AT), 2))
    given = list(zip(pairs, gradients, strict=True))
    return lambda: [[compiled(pair, gradient) for pair, gradient in given], gradients]


def long_array() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any) -> tuple[float, Any]:
        value, gradient = 0.0, np.zeros(len(x))
        for i in range(len(x) - 1):
            value += x[i] * x[i] * x[i + 1]
            gradient[i] += 2.0 * x[i] * x[i + 1]
            gradient[i + 1] += x[i] * x[i]
        return value, gradient

    compiled = import_module("numba").njit(both)
    x = np.array(LONG)
    return lambda: compiled(x)


def demo() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    weights = [np.array(matrix) for matrix in layers()]

    def update(x: Any, y: Any, w1: Any, w2: Any, w3: Any, d1: Any, d2: Any, d3: Any) -> float:
        n, h1, h2 = len(x), np.empty(16), np.empty(16)
        loss = 0.0
        for d, w in ((d1, w1), (d2, w2), (d3, w3)):
            for i in range(d.shape[0]):
                for j in range(d.shape[1]):
                    loss += DECAY * w[i, j] * w[i, j]
                    d[i, j] = 2.0 * DECAY * w[i, j]
        g1, g2 = np.empty(16), np.empty(16)
        for s in range(n):
            for i in range(16):
                h1[i] = max(w1[i, 0] * x[s, 0] + w1[i, 1] * x[s, 1] + w1[i, 2], 0.0)
            for i in range(16):
                z = w2[i, 16]
                for j in range(16):
                    z += w2[i, j] * h1[j]
                h2[i] = max(z, 0.0)
            z = w3[0, 16]
            for j in range(16):
                z += w3[0, j] * h2[j]
            margin = 1.0 - y[s] * z
            if margin <= 0.0:
                continue
            loss += margin / n
            up = -y[s] / n
            g1[:] = 0.0
            for j in range(16):
                d3[0, j] += up * h2[j]
                g2[j] = up * w3[0, j] if h2[j] > 0.0 else 0.0
            d3[0, 16] += up
            for i in range(16):
                for j in range(16):
                    d2[i, j] += g2[i] * h1[j]
                    g1[j] += g2[i] * w2[i, j]
                d2[i, 16] += g2[i]
            for i in range(16):
                if h1[i] > 0.0:
                    d1[i, 0] += g1[i] * x[s, 0]
                    d1[i, 1] += g1[i] * x[s, 1]
                    d1[i, 2] += g1[i]
        for d, w in ((d1, w1), (d2, w2), (d3, w3)):
            for i in range(d.shape[0]):
                for j in range(d.shape[1]):
                    w[i, j] -= RATE * d[i, j]
        return loss

    compiled = import_module("numba").njit(fastmath=True)(update)
    x, y, slopes = np.array(POINTS), np.array(LABELS, dtype=float), [np.empty_like(w) for w in weights]
    return lambda: [compiled(x, y, *weights, *slopes), *weights]


def pairs() -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(x: Any, d: Any) -> float:
        total = 0.0
        d[:] = 0.0
        for i in range(PARTICLES):
            ax = ay = az = 0.0
            for j in range(i):
                gx, gy, gz = x[3 * i] - x[3 * j], x[3 * i + 1] - x[3 * j + 1], x[3 * i + 2] - x[3 * j + 2]
                inverse = 1.0 / (gx * gx + gy * gy + gz * gz)
                sixth = inverse * inverse * inverse
                f = 24.0 * (1.0 - 2.0 * sixth) * sixth * inverse
                total += 4.0 * (sixth * sixth - sixth)
                ax += f * gx
                ay += f * gy
                az += f * gz
                d[3 * j] -= f * gx
                d[3 * j + 1] -= f * gy
                d[3 * j + 2] -= f * gz
            d[3 * i] += ax
            d[3 * i + 1] += ay
            d[3 * i + 2] += az
        return total

    compiled = import_module("numba").njit(fastmath=True)(both)
    x, d = np.array(PLACES), np.empty(len(PLACES))
    return lambda: [compiled(x, d), d]


def _pendulum(steps: int) -> Callable[[], Any]:
    np: Any = import_module("numpy")

    def both(given: Any, d: Any, angles: Any, velocities: Any, sines: Any) -> Any:
        x, v, g, c = given
        h = INTERVAL
        part, share = (0.0, 0.5 * h, 0.5 * h, h), (h / 6.0, h / 3.0, h / 3.0, h / 6.0)
        for n in range(steps):
            a = p = dx = dv = 0.0
            for k in range(4):
                at, by = x + part[k] * a, v + part[k] * p
                sine = np.sin(at)
                angles[n, k], velocities[n, k], sines[n, k] = at, by, sine
                a, p = by, -g * sine - c * by
                dx += share[k] * a
                dv += share[k] * p
            x += dx
            v += dv
        bx, bv, bg, bc = 2.0 * x, 1.0, 0.0, 0.0
        for n in range(steps - 1, -1, -1):
            ba, bp, sx, sv = 0.0, 0.0, bx, bv
            for k in range(3, -1, -1):
                da, dp = share[k] * bx + ba, share[k] * bv + bp
                bg -= dp * sines[n, k]
                bc -= dp * velocities[n, k]
                at, by = -dp * g * np.cos(angles[n, k]), da - dp * c
                sx += at
                sv += by
                ba, bp = part[k] * at, part[k] * by
            bx, bv = sx, sv
        d[0], d[1], d[2], d[3] = bx, bv, bg, bc
        return x * x + v

    compiled = import_module("numba").njit(fastmath=True)(both)
    given, d, kept = np.array(RELEASED), np.empty(4), [np.empty((steps, 4)) for _ in range(3)]
    return lambda: [compiled(given, d, *kept), d]


def pendulum() -> Callable[[], Any]:
    return _pendulum(SWINGS)


def scan() -> Callable[[], Any]:
    return _pendulum(LONG_SWINGS)
