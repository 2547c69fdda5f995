"""C, with the backward pass written by hand, compiled by the machine's own compiler and called by ctypes."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from compare.data import (
    CELLS,
    DECAY,
    DESCENTS,
    INTERVAL,
    LABELS,
    LONG_SWINGS,
    NEURON,
    PARTICLES,
    PLACES,
    POINTS,
    RATE,
    RELEASED,
    SAMPLE,
    SEQUENCE,
    SHIFTED,
    SLOWLY,
    SWINGS,
    WANTED,
    layers,
    lstm_parameters,
    options,
)

FLAGS: Final = ("-O3", "-march=native", "-ffast-math")
"""With the last, GCC computes several exponentials, sines and error functions at once."""
_HOW: Final = f"loops, cc {' '.join(FLAGS)}"
HOW = {
    **dict.fromkeys(("demo", "lstm", "shift", "pendulum", "scan", "unrolled", "pairs", "greeks"), _HOW),
    "steps": "a call for each step",
}
CANNOT: dict[str, str] = {}

SOURCE = """\
#include <math.h>
#include <string.h>
enum { H = %d, T = %d, Z = 1 + H, MOST = %d, PARTICLES = %d };
#define INTERVAL %r
static double gates[T][4 * H], cells[T + 1][H], hidden[T + 1][H], bent[T][H];

double lstm(const double *p, const double *x, double y, double *d) {
    const double *w = p, *b = p + 4 * H * Z, *out = b + 4 * H;
    double *dw = d, *db = d + 4 * H * Z, *dout = db + 4 * H;
    memset(d, 0, sizeof(double) * (4 * H * Z + 4 * H + H));
    for (int t = 0; t < T; t++) {
        double z[Z];
        z[0] = x[t];
        for (int j = 0; j < H; j++) z[1 + j] = hidden[t][j];
        for (int k = 0; k < 4 * H; k++) {
            double s = 0.0;
            for (int j = 0; j < Z; j++) s += w[k * Z + j] * z[j];
            gates[t][k] = s + b[k];
        }
        for (int k = 0; k < 3 * H; k++) gates[t][k] = 1.0 / (1.0 + exp(-gates[t][k]));
        for (int k = 3 * H; k < 4 * H; k++) gates[t][k] = tanh(gates[t][k]);
        for (int k = 0; k < H; k++) {
            cells[t + 1][k] = gates[t][H + k] * cells[t][k] + gates[t][k] * gates[t][3 * H + k];
            bent[t][k] = tanh(cells[t + 1][k]);
            hidden[t + 1][k] = gates[t][2 * H + k] * bent[t][k];
        }
    }
    double s = 0.0;
    for (int k = 0; k < H; k++) s += out[k] * hidden[T][k];
    double e = s - y, dh[H], dc[H] = {0.0};
    for (int k = 0; k < H; k++) { dout[k] = 2.0 * e * hidden[T][k]; dh[k] = 2.0 * e * out[k]; }
    for (int t = T - 1; t >= 0; t--) {
        double dg[4 * H], dz[Z] = {0.0};
        for (int k = 0; k < H; k++) {
            double i = gates[t][k], f = gates[t][H + k], o = gates[t][2 * H + k], g = gates[t][3 * H + k];
            double c = dc[k] + dh[k] * o * (1.0 - bent[t][k] * bent[t][k]);
            dg[k] = c * g * i * (1.0 - i);
            dg[H + k] = c * cells[t][k] * f * (1.0 - f);
            dg[2 * H + k] = dh[k] * bent[t][k] * o * (1.0 - o);
            dg[3 * H + k] = c * i * (1.0 - g * g);
            dc[k] = c * f;
        }
        for (int k = 0; k < 4 * H; k++) {
            dw[k * Z] += dg[k] * x[t];
            for (int j = 0; j < H; j++) dw[k * Z + 1 + j] += dg[k] * hidden[t][j];
            for (int j = 0; j < Z; j++) dz[j] += dg[k] * w[k * Z + j];
            db[k] += dg[k];
        }
        for (int k = 0; k < H; k++) dh[k] = dz[1 + k];
    }
    return e * e;
}

void step(double *p, const double *x, double y, double rate) {
    double e = p[0] * x[0] + p[1] * x[1] + p[2] - y;
    p[0] -= rate * (2.0 * e * x[0]);
    p[1] -= rate * (2.0 * e * x[1]);
    p[2] -= rate * (2.0 * e);
}

static double angles[MOST][4], velocities[MOST][4], sines[MOST][4];

double pendulum(const double *given, double *d, long steps) {
    double x = given[0], v = given[1], g = given[2], c = given[3];
    const double part[4] = {0.0, 0.5 * INTERVAL, 0.5 * INTERVAL, INTERVAL};
    const double share[4] = {INTERVAL / 6, INTERVAL / 3, INTERVAL / 3, INTERVAL / 6};
    for (long n = 0; n < steps; n++) {
        double a = 0.0, p = 0.0, dx = 0.0, dv = 0.0;
        for (int k = 0; k < 4; k++) {
            double at = x + part[k] * a, by = v + part[k] * p;
            angles[n][k] = at;
            velocities[n][k] = by;
            sines[n][k] = sin(at);
            a = by;
            p = -g * sines[n][k] - c * by;
            dx += share[k] * a;
            dv += share[k] * p;
        }
        x += dx;
        v += dv;
    }
    double bx = 2.0 * x, bv = 1.0, bg = 0.0, bc = 0.0;
    for (long n = steps - 1; n >= 0; n--) {
        double ba = 0.0, bp = 0.0, sx = bx, sv = bv;
        for (int k = 3; k >= 0; k--) {
            double da = share[k] * bx + ba, dp = share[k] * bv + bp;
            bg -= dp * sines[n][k];
            bc -= dp * velocities[n][k];
            double at = -dp * g * cos(angles[n][k]), by = da - dp * c;
            sx += at;
            sv += by;
            ba = part[k] * at;
            bp = part[k] * by;
        }
        bx = sx;
        bv = sv;
    }
    d[0] = bx; d[1] = bv; d[2] = bg; d[3] = bc;
    return x * x + v;
}

double pairs(const double *x, double *d) {
    double total = 0.0;
    memset(d, 0, sizeof(double) * 3 * PARTICLES);
    for (int i = 0; i < PARTICLES; i++) {
        double ax = 0.0, ay = 0.0, az = 0.0;
        for (int j = 0; j < i; j++) {
            double gx = x[3 * i] - x[3 * j], gy = x[3 * i + 1] - x[3 * j + 1], gz = x[3 * i + 2] - x[3 * j + 2];
            double inverse = 1.0 / (gx * gx + gy * gy + gz * gz);
            double sixth = inverse * inverse * inverse;
            double f = 24.0 * (1.0 - 2.0 * sixth) * sixth * inverse;
            total += 4.0 * (sixth * sixth - sixth);
            ax += f * gx; ay += f * gy; az += f * gz;
            d[3 * j] -= f * gx; d[3 * j + 1] -= f * gy; d[3 * j + 2] -= f * gz;
        }
        d[3 * i] += ax; d[3 * i + 1] += ay; d[3 * i + 2] += az;
    }
    return total;
}

#define DECAY %r
double demo(const double *x, const double *y, long n, double *p, double *d, double rate) {
    enum { W = 16, COUNT = 3 * W + W * (W + 1) + W + 1 };
    const double *w1 = p, *w2 = p + 3 * W, *w3 = w2 + W * (W + 1);
    double *d1 = d, *d2 = d + 3 * W, *d3 = d2 + W * (W + 1), loss = 0.0, h1[W], h2[W], g1[W], g2[W];
    for (int k = 0; k < COUNT; k++) { loss += DECAY * p[k] * p[k]; d[k] = 2.0 * DECAY * p[k]; }
    for (long s = 0; s < n; s++) {
        for (int i = 0; i < W; i++) {
            double z = w1[3 * i] * x[2 * s] + w1[3 * i + 1] * x[2 * s + 1] + w1[3 * i + 2];
            h1[i] = z > 0.0 ? z : 0.0;
        }
        for (int i = 0; i < W; i++) {
            double z = w2[17 * i + W];
            for (int j = 0; j < W; j++) z += w2[17 * i + j] * h1[j];
            h2[i] = z > 0.0 ? z : 0.0;
        }
        double z = w3[W];
        for (int j = 0; j < W; j++) z += w3[j] * h2[j];
        double margin = 1.0 - y[s] * z, up = -y[s] / n;
        if (margin <= 0.0) continue;
        loss += margin / n;
        for (int j = 0; j < W; j++) { d3[j] += up * h2[j]; g2[j] = h2[j] > 0.0 ? up * w3[j] : 0.0; g1[j] = 0.0; }
        d3[W] += up;
        for (int i = 0; i < W; i++) {
            for (int j = 0; j < W; j++) { d2[17 * i + j] += g2[i] * h1[j]; g1[j] += g2[i] * w2[17 * i + j]; }
            d2[17 * i + W] += g2[i];
        }
        for (int i = 0; i < W; i++) {
            double g = h1[i] > 0.0 ? g1[i] : 0.0;
            d1[3 * i] += g * x[2 * s]; d1[3 * i + 1] += g * x[2 * s + 1]; d1[3 * i + 2] += g;
        }
    }
    for (int k = 0; k < COUNT; k++) p[k] -= rate * d[k];
    return loss;
}

void greeks(const double *restrict o, double *restrict out, long n) {
    const double root = 0.70710678118654752440, density = 0.39894228040143267794;
    for (long i = 0; i < n; i++) {
        double s = o[i], k = o[n + i], r = o[2 * n + i], v = o[3 * n + i], t = o[4 * n + i];
        double width = v * sqrt(t), d = (log(s / k) + (r + 0.5 * v * v) * t) / width;
        double first = 0.5 + 0.5 * erf(d * root), second = 0.5 + 0.5 * erf((d - width) * root);
        double paid = k * exp(-r * t), slope = s * density * exp(-0.5 * d * d);
        out[i] = s * first - paid * second;
        out[n + i] = first;
        out[2 * n + i] = -paid / k * second;
        out[3 * n + i] = t * paid * second;
        out[4 * n + i] = slope * sqrt(t);
        out[5 * n + i] = 0.5 * slope * v / sqrt(t) + r * paid * second;
    }
}

void shift(const double *x, double *y, long n) {
    for (long i = 0; i < n; i++) y[i] = x[i] + 0.5;
}
"""


@functools.cache
def _library() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="compare-"))
    (folder / "works.c").write_text(SOURCE % (CELLS, len(SEQUENCE), LONG_SWINGS, PARTICLES, INTERVAL, DECAY))
    # Linked without -ffast-math: with it, GCC's library sets subnormal numbers to 0 in the whole process that loads it.
    objects, library_file = str(folder / "works.o"), str(folder / "works.so")
    for command in (
        ["cc", "-c", "-fPIC", *FLAGS, "-o", objects, str(folder / "works.c")],
        ["cc", "-shared", "-o", library_file, objects, "-lm"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    library = ctypes.CDLL(library_file)
    pointer, number = ctypes.c_void_p, ctypes.c_double
    library.lstm.restype, library.lstm.argtypes = number, [pointer, pointer, number, pointer]
    library.step.restype, library.step.argtypes = None, [pointer, pointer, number, number]
    library.pendulum.restype, library.pendulum.argtypes = number, [pointer, pointer, ctypes.c_long]
    library.demo.restype, library.demo.argtypes = number, [pointer, pointer, ctypes.c_long, pointer, pointer, number]
    library.greeks.restype, library.greeks.argtypes = None, [pointer, pointer, ctypes.c_long]
    library.pairs.restype, library.pairs.argtypes = number, [pointer, pointer]
    library.shift.restype, library.shift.argtypes = None, [pointer, pointer, ctypes.c_long]
    return library


def lstm() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    p, x = np.array(lstm_parameters()), np.array(SEQUENCE)
    d, function = np.empty(len(p)), _library().lstm
    at = (p.ctypes.data, x.ctypes.data, WANTED, d.ctypes.data)

    def run(_kept: Any = (p, x)) -> Any:
        return [function(*at), d]

    return run


def steps() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, function = np.array(SAMPLE[0]), _library().step

    def run() -> Any:
        p = np.array(NEURON)
        at = (p.ctypes.data, x.ctypes.data, SAMPLE[1], SLOWLY)
        for _ in range(DESCENTS):
            function(*at)
        return p

    return run


def demo() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, y, p = np.array(POINTS), np.array(LABELS, dtype=float), np.concatenate([np.array(m).ravel() for m in layers()])
    d, function = np.empty(len(p)), _library().demo
    at = (x.ctypes.data, y.ctypes.data, len(x), p.ctypes.data, d.ctypes.data, RATE)

    def step(_kept: Any = (x, y, d)) -> Any:
        return [function(*at), p]

    return step


def _pendulum(steps: int) -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, d, function = np.array(RELEASED), np.empty(4), _library().pendulum
    return lambda: [function(x.ctypes.data, d.ctypes.data, steps), d]


def pendulum() -> Callable[[], Any]:
    return _pendulum(SWINGS)


def scan() -> Callable[[], Any]:
    return _pendulum(LONG_SWINGS)


unrolled = scan


def greeks() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x = options()
    results, function = np.empty((6, x.shape[1])), _library().greeks
    at = x.ctypes.data, results.ctypes.data, x.shape[1]

    def run(_kept: Any = x) -> Any:
        function(*at)
        return results

    return run


def pairs() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, d, function = np.array(PLACES), np.empty(len(PLACES)), _library().pairs
    return lambda: [function(x.ctypes.data, d.ctypes.data), d]


def shift() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, function = np.array(SHIFTED), _library().shift

    def run() -> Any:
        y = np.empty(len(x))
        function(x.ctypes.data, y.ctypes.data, len(x))
        return y

    return run
