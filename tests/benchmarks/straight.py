"""Derivatives of straight code beside heyoka, JAX and CasADi: `python tests/benchmarks/straight.py`, one thread.

An arm of seven joints at 10,000 poses, five greeks of 10,000 options, and the sparse Hessian of Rosenbrock's function
in 100 variables, all compiled and ready. Both sides of each ratio are timed in turn: the median of the pairs' ratios,
the least and the most, and the least time of each. A peer that is not installed is left out, and all must agree. Names
of peers after the command leave out the others.
"""

from __future__ import annotations

import importlib
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from compare.works import arm

import microgrid as mg
from microgrid import hessian

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_THREAD["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

SAMPLES, PAIRS = 10_000, 25
POSES = np.random.default_rng(0).uniform(-1.5, 1.5, (SAMPLES, 7))
OPTIONS = np.random.default_rng(1).uniform((80.0, 80.0, 0.0, 0.1, 0.2), (120.0, 120.0, 0.06, 0.5, 2.0), (SAMPLES, 5))
POINT = 0.01 * np.arange(100)

Ready = Callable[[], Any]
"""A call that does the work; a peer's gives an array with a row for each sample."""


def price(option: Sequence[Any], f: Any) -> Any:
    """The price of a call option by Black and Scholes; `f` has log, exp, sqrt and erf."""
    s, k, r, v, t = option
    width = v * f.sqrt(t)
    d = (f.log(s / k) + (r + 0.5 * v * v) * t) / width

    def normal(x: Any) -> Any:
        return 0.5 + 0.5 * f.erf(x * math.sqrt(0.5))

    return s * normal(d) - k * f.exp(0.0 - r * t) * normal(d - width)


def rosenbrock(x: Any) -> Any:
    """The sum over neighbours of 100 (b - a^2)^2 + (1 - a)^2."""
    return mg.sum([100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in itertools.pairwise(x)])


def of_arm(q: Any) -> Any:
    """The arm at one pose."""
    return arm(q, mg.sin, mg.cos)


def ours() -> dict[str, Ready]:
    """Return microgrid's calls."""
    slopes = mg.compile(of_arm, threads=1)
    second = mg.compile(hessian(of_arm), threads=1)
    greeks = mg.compile(lambda s, k, r, v, t: price((s, k, r, v, t), mg), threads=1)
    columns = [np.ascontiguousarray(column) for column in OPTIONS.T]
    sparse = mg.compile(rosenbrock)
    kept = sparse.hessian(POINT, sparse=True)

    return {
        "gradients of an arm": lambda: slopes.batch_value_and_grad(POSES),
        "Hessians of an arm": lambda: second.batch(POSES),
        "greeks": lambda: greeks.batch_value_and_grad(*columns),
        "sparse Hessian": lambda: sparse.hessian(POINT, sparse=True, out=kept).data,
    }


def by_heyoka() -> dict[str, Ready]:
    """Return heyoka's calls, of expressions compiled for batches."""
    hy: Any = importlib.import_module("heyoka")

    def derivatives(z: Any, x: Any, order: int) -> Any:
        return hy.diff_tensors([z], diff_args=x, diff_order=order).get_derivatives(order)

    def made(z: Any, x: Any) -> Any:
        return hy.cfunc([z, *[slope for _, slope in derivatives(z, x, 1)]], vars=x)

    q = list(hy.make_vars(*[f"q{i}" for i in range(7)]))
    z = arm(q, hy.sin, hy.cos)
    first = made(z, q)
    found = {tuple(index[1:]): slope for index, slope in derivatives(z, q, 2)}
    pairs = [tuple((i == k) + (j == k) for k in range(7)) for i in range(7) for j in range(7)]
    every = [found.get(pair, hy.expression(0.0)) for pair in pairs]
    second = hy.cfunc(every, vars=q)
    names = list(hy.make_vars("s", "k", "r", "v", "t"))
    greeks = made(price(names, hy), names)
    poses, options = np.ascontiguousarray(POSES.T), np.ascontiguousarray(OPTIONS.T)
    return {
        "gradients of an arm": lambda: first(poses).T,
        "Hessians of an arm": lambda: second(poses).T,
        "greeks": lambda: greeks(options).T,
    }


def by_jax() -> dict[str, Ready]:
    """Return JAX's calls, in float64, compiled."""
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    class Functions:
        log, exp, sqrt, erf = jnp.log, jnp.exp, jnp.sqrt, jax.scipy.special.erf

    def one(q: Any) -> Any:
        return arm([q[i] for i in range(7)], jnp.sin, jnp.cos)

    def option(x: Any) -> Any:
        return price([x[i] for i in range(5)], Functions)

    def both(f: Any) -> Any:
        def together(x: Any) -> Any:
            value, slopes = jax.value_and_grad(f)(x)
            return jnp.concatenate([value[None], slopes])

        return jax.jit(jax.vmap(together))

    def smooth(x: Any) -> Any:
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    first, greeks = both(one), both(option)
    second = jax.jit(jax.vmap(lambda q: jax.hessian(one)(q).reshape(49)))
    poses, options = jnp.array(POSES), jnp.array(OPTIONS)
    return {
        "gradients of an arm": lambda: jax.block_until_ready(first(poses)),
        "Hessians of an arm": lambda: jax.block_until_ready(second(poses)),
        "greeks": lambda: jax.block_until_ready(greeks(options)),
    }


def by_casadi() -> dict[str, Ready]:
    """Return CasADi's call with bound buffers, which its virtual machine runs."""
    ca: Any = importlib.import_module("casadi")
    x = ca.SX.sym("x", len(POINT))
    value = ca.sum1(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    function = ca.Function("second", [x], [ca.hessian(value, x)[0]])
    numbers: Any = np.empty(function.nnz_out(0))
    point: Any = POINT
    buffers, call = function.buffer()
    held = buffers, memoryview(point), memoryview(numbers)  # it keeps none of them alive
    buffers.set_arg(0, held[1])
    buffers.set_res(0, held[2])

    def run() -> Any:
        call()
        return held and numbers

    return {"sparse Hessian": run}


def flat(result: Any) -> Any:
    """Return values, and the derivatives beside them, as one array."""
    if isinstance(result, tuple):
        value, by = result
        return np.column_stack([value, *by] if isinstance(by, tuple) else [value, by])
    return np.asarray(result)


def seconds(run: Ready, at_least: float = 0.02) -> float:
    """Return the time of one run, from as many as take a while."""
    times, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least or not times:
        run()
        times += 1
    return (time.perf_counter() - start) / times


def main() -> None:
    """Print a row for each work and peer."""
    mine = ours()
    for name, maker in {"heyoka": by_heyoka, "JAX": by_jax, "CasADi": by_casadi}.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            theirs = maker()
        except ImportError:
            print(f"{name}: not installed")
            continue
        for work, run in theirs.items():
            got = np.asarray(run())
            wanted = flat(mine[work]()).reshape(got.shape)
            assert np.allclose(got, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max()), (name, work)
            pairs = [(seconds(run), seconds(mine[work])) for _ in range(PAIRS)]
            ratios = sorted(a / b for a, b in pairs)
            least = [1e6 * min(column) for column in zip(*pairs, strict=True)]
            ratio = f"{name:8} / ours {ratios[PAIRS // 2]:6.2f} [{ratios[0]:.2f} - {ratios[-1]:.2f}]"
            print(f"{work:22} {ratio:40} {least[0]:9.1f} us, ours {least[1]:9.1f} us")


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})  # libraries read it first
    main()
