"""Enzyme: C++ with loops, differentiated in LLVM's code, called through JAX as its Python package does."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import INTERVAL, LONG_SWINGS, PARTICLES, PLACES, RELEASED, SWINGS
from compare.on_jax import jax_of

HOW = dict.fromkeys(("pendulum", "scan", "unrolled", "pairs"), "C++ by enzyme_ad.jax.cpp_call, jit")
CANNOT: dict[str, str] = {}

OPTIONS = ("-O3", "-ffast-math")

PENDULUM = """
extern "C" double sin(double);
template <std::size_t N, std::size_t M>
void f(enzyme::tensor<double, N>& out, const enzyme::tensor<double, M>& in) {
    double x = in[0], v = in[1], g = in[2], c = in[3], h = %r;
    for (int n = 0; n < %d; n++) {
        double a = v, p = -g * sin(x) - c * v;
        double b = v + 0.5 * h * p, q = -g * sin(x + 0.5 * h * a) - c * b;
        double d = v + 0.5 * h * q, r = -g * sin(x + 0.5 * h * b) - c * d;
        double e = v + h * r, s = -g * sin(x + h * d) - c * e;
        x += h / 6.0 * (a + 2.0 * b + 2.0 * d + e);
        v += h / 6.0 * (p + 2.0 * q + 2.0 * r + s);
    }
    out[0] = x * x + v;
}
"""

PAIRS = """
template <std::size_t N, std::size_t M>
void f(enzyme::tensor<double, N>& out, const enzyme::tensor<double, M>& in) {
    double total = 0.0;
    for (int i = 0; i < %d; i++)
        for (int j = 0; j < i; j++) {
            double x = in[3 * i] - in[3 * j], y = in[3 * i + 1] - in[3 * j + 1], z = in[3 * i + 2] - in[3 * j + 2];
            double inverse = 1.0 / (x * x + y * y + z * z), sixth = inverse * inverse * inverse;
            total += 4.0 * (sixth * sixth - sixth);
        }
    out[0] = total;
}
"""


def _both(source: str, at: Any) -> Callable[[], Any]:
    jax = jax_of()
    call = import_module("enzyme_ad.jax").cpp_call
    shape = jax.core.ShapedArray((1,), jax.numpy.float64)

    def value(x: Any) -> Any:
        return call(x, out_shapes=[shape], source=source, fn="f", argv=OPTIONS)[0]

    @jax.jit  # type: ignore[untyped-decorator]  # jax is an Any here
    def both(x: Any) -> Any:
        result, back = jax.vjp(value, x)
        return result, back(jax.numpy.ones(1))

    x = jax.numpy.array(at)
    return lambda: jax.block_until_ready(both(x))


def pendulum() -> Callable[[], Any]:
    return _both(PENDULUM % (INTERVAL, SWINGS), RELEASED)


def scan() -> Callable[[], Any]:
    return _both(PENDULUM % (INTERVAL, LONG_SWINGS), RELEASED)


unrolled = scan


def pairs() -> Callable[[], Any]:
    return _both(PAIRS % PARTICLES, PLACES)
