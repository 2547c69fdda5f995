"""JAX on the processor, in 64 bits: compiled once by jit where it can be, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import (
    AT,
    DECAY,
    EXPANDED,
    FACTOR,
    INPUTS,
    LABELS,
    LINKS,
    LONG,
    OPERATIONS,
    ORDERS,
    POINT,
    POINTS,
    RATE,
    START,
    SUMMED,
    layers,
)

HOW = {
    "pair_array": "jit",
    "long_array": "jit",
    "demo": "arrays, jit",
    "call": "jit",
    "chain": "lax.scan, jit",
    "mixed": "scalar arrays, no jit",
    "replay": "jit",
    "orders": "jet, jit",
    "hessian": "jax.hessian, jit",
}
CANNOT = {
    **dict.fromkeys(("lstm", "steps", "shift"), "not written for it"),
    "pair_list": "its arguments are arrays",
    "pair_written": "its arrays are not written to",
    "long_list": "its arguments are arrays",
}


def demo() -> Callable[[], Any]:
    jax = _jax()
    jnp = jax.numpy
    x, y = jnp.array(POINTS), jnp.array(LABELS, dtype=float)
    state = [[jnp.array(matrix) for matrix in layers()]]

    def loss(matrices: Any) -> Any:
        h = x
        for k, m in enumerate(matrices):
            h = h @ m[:, :-1].T + m[:, -1]
            if k < len(matrices) - 1:
                h = jax.nn.relu(h)
        return jax.nn.relu(1.0 - y * h[:, 0]).mean() + DECAY * sum((m * m).sum() for m in matrices)

    @jax.jit  # type: ignore[untyped-decorator]  # jax is an Any here
    def update(matrices: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(matrices)
        return value, [m - RATE * slope for m, slope in zip(matrices, slopes, strict=True)]

    def step() -> Any:
        value, state[0] = jax.block_until_ready(update(state[0]))
        return [value, *state[0]]

    return step


def call() -> Callable[[], Any]:
    jax = _jax()
    both = jax.jit(jax.value_and_grad(lambda x, y: x * y + x * x, (0, 1)))
    return lambda: [jax.block_until_ready(both(x, y)) for x, y in AT]


def pair_array() -> Callable[[], Any]:
    jax = _jax()
    both = jax.jit(jax.value_and_grad(lambda x: x[0] * x[1] + x[0] * x[0]))
    pairs = list(import_module("numpy").array(AT))
    return lambda: [jax.block_until_ready(both(pair)) for pair in pairs]


def long_array() -> Callable[[], Any]:
    jax = _jax()
    both = jax.jit(jax.value_and_grad(lambda x: (x[:-1] ** 2 * x[1:]).sum()))
    x = import_module("numpy").array(LONG)
    return lambda: jax.block_until_ready(both(x))


def chain() -> Callable[[], Any]:
    jax = _jax()

    def links(x: Any) -> Any:
        return jax.lax.scan(lambda y, _: (FACTOR * y + x, None), x, None, length=LINKS)[0]

    both = jax.jit(jax.value_and_grad(links))
    return lambda: jax.block_until_ready(both(START))


def _graph(jax: Any, inputs: Any) -> Any:
    v = [inputs[i] for i in range(len(INPUTS))]
    for k in range(OPERATIONS):
        kind = k % 4
        if kind == 0:
            v.append(jax.nn.softplus(v[-10]))
        elif kind == 1:
            v.append(jax.numpy.stack([v[-i] for i in SUMMED]).sum())
        elif kind == 2:
            v.append(v[-20] * v[-10])
        else:
            chosen = jax.nn.softmax(jax.numpy.stack(v[-4:]))
            v.extend(chosen[i] for i in range(4))
    return jax.numpy.stack(v).sum()


def mixed() -> Callable[[], Any]:
    jax = _jax()
    both = jax.value_and_grad(lambda x: _graph(jax, x))
    x = jax.numpy.array(INPUTS)
    return lambda: jax.block_until_ready(both(x))


def replay() -> Callable[[], Any]:
    jax = _jax()
    both = jax.jit(jax.value_and_grad(lambda x: _graph(jax, x)))
    x = jax.numpy.array(INPUTS)
    return lambda: jax.block_until_ready(both(x))


def hessian() -> Callable[[], Any]:
    jax = _jax()
    second = jax.jit(
        jax.hessian(lambda x: (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()),
    )
    x = jax.numpy.array(POINT)
    return lambda: jax.block_until_ready(second(x))


def orders() -> Callable[[], Any]:
    jax, jets = _jax(), import_module("jax.experimental.jet")
    jnp = jax.numpy

    def f(x: Any) -> Any:
        return jnp.tanh(jnp.sin(x) * jnp.exp(x))

    @jax.jit  # type: ignore[untyped-decorator]  # JAX is not installed where this is checked
    def derivatives(x: Any) -> Any:
        value, rest = jets.jet(f, (x,), ([1.0] + [0.0] * (ORDERS - 1),))
        return jnp.stack([value, *rest])

    x = jnp.array(EXPANDED)
    return lambda: jax.block_until_ready(derivatives(x))


def _jax() -> Any:
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax
