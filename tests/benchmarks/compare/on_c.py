"""C, with the backward pass written by hand, compiled by the machine's own compiler and called by ctypes."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from compare.works import (
    CELLS,
    DESCENTS,
    INTERVAL,
    LARGE,
    NEURON,
    PARTICLES,
    PLACES,
    RELEASED,
    SAMPLE,
    SEQUENCE,
    SHIFTED,
    SLOWLY,
    SWINGS,
    WANTED,
    lstm_parameters,
)

FLAGS = ("-O3", "-march=native")
HOW = {
    "lstm": f"loops over arrays, cc {' '.join(FLAGS)}",
    "steps": "a call for each step",
    "shift": f"a loop, cc {' '.join(FLAGS)}",
    "pendulum": f"loops, cc {' '.join(FLAGS)}",
    "pairs": f"loops, cc {' '.join(FLAGS)}",
}
CANNOT = dict.fromkeys(
    (
        *"demo call pair_list pair_array pair_written long_list long_array chain mixed replay hessian orders".split(),
        *[work for work in LARGE if work != "pairs"],
    ),
    "not written in C here",
)

SOURCE = """\
#include <math.h>
#include <string.h>
enum { H = %d, T = %d, Z = 1 + H, SWINGS = %d, PARTICLES = %d };
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

static double angles[SWINGS][4], velocities[SWINGS][4], sines[SWINGS][4];

double pendulum(const double *given, double *d) {
    double x = given[0], v = given[1], g = given[2], c = given[3];
    const double part[4] = {0.0, 0.5 * INTERVAL, 0.5 * INTERVAL, INTERVAL};
    const double share[4] = {INTERVAL / 6, INTERVAL / 3, INTERVAL / 3, INTERVAL / 6};
    for (int n = 0; n < SWINGS; n++) {
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
    for (int n = SWINGS - 1; n >= 0; n--) {
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

void shift(const double *x, double *y, long n) {
    for (long i = 0; i < n; i++) y[i] = x[i] + 0.5;
}
"""


@functools.cache
def _library() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="compare-"))
    (folder / "works.c").write_text(SOURCE % (CELLS, len(SEQUENCE), SWINGS, PARTICLES, INTERVAL))
    command = ["cc", "-shared", "-fPIC", *FLAGS, "-o", str(folder / "works.so"), str(folder / "works.c"), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    library = ctypes.CDLL(str(folder / "works.so"))
    pointer, number = ctypes.c_void_p, ctypes.c_double
    library.lstm.restype, library.lstm.argtypes = number, [pointer, pointer, number, pointer]
    library.step.restype, library.step.argtypes = None, [pointer, pointer, number, number]
    library.pendulum.restype, library.pendulum.argtypes = number, [pointer, pointer]
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


def pendulum() -> Callable[[], Any]:
    np: Any = import_module("numpy")
    x, d, function = np.array(RELEASED), np.empty(4), _library().pendulum
    return lambda: [function(x.ctypes.data, d.ctypes.data), d]


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
