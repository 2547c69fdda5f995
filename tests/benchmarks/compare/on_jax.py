"""JAX on the processor, in 64 bits: compiled once by jit where it can be, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.works import (
    AT,
    CENTRES,
    COMPONENTS,
    DECAY,
    DIMENSIONS,
    EXPANDED,
    FACTOR,
    INPUTS,
    LABELS,
    LINKS,
    LONG,
    MATRIX,
    OPERATIONS,
    ORDERS,
    PARTICLES,
    PLACES,
    POINT,
    POINTS,
    POSE,
    RATE,
    RELEASED,
    ROOTS,
    SAMPLES,
    START,
    SUMMED,
    SWINGS,
    TOKENS,
    WEIGHTS,
    expanded,
    gpt_parameters,
    hand_positions,
    layers,
    swing,
)

HOW = {
    "pair_array": "jit",
    "long_array": "jit",
    "demo": "arrays, jit",
    "call": "jit",
    "chain": "lax.scan, jit",
    "pendulum": "lax.scan, jit",
    "mixed": "scalar arrays, no jit",
    "replay": "jit",
    "orders": "jet, jit",
    "determinant": "scalars, jit",
    "hand": "jacfwd of scalars, jit",
    "gpt": "arrays, jit",
    "hessian": "jax.hessian, jit",
    "pairs": "arrays of all pairs, jit",
    "mixture": "arrays, jit",
}
CANNOT = {
    **dict.fromkeys(("lstm", "steps", "shift"), "not written for it"),
    "gathers": "thousands of scalars take its compiler minutes",
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


def pendulum() -> Callable[[], Any]:
    jax = _jax()

    def end(angle: Any, velocity: Any, g: Any, c: Any) -> Any:
        def step(at: Any, _: Any) -> Any:
            return swing(at[0], at[1], g, c, jax.numpy.sin), None

        angle, velocity = jax.lax.scan(step, (angle, velocity), None, length=SWINGS)[0]
        return angle * angle + velocity

    both = jax.jit(jax.value_and_grad(end, (0, 1, 2, 3)))
    return lambda: jax.block_until_ready(both(*RELEASED))


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


def pairs() -> Callable[[], Any]:
    jax, np = _jax(), import_module("numpy")
    jnp = jax.numpy
    i, j = np.tril_indices(PARTICLES, -1)

    def of_pairs(x: Any) -> Any:
        places = x.reshape(PARTICLES, 3)
        gap = places[i] - places[j]
        square = (gap * gap).sum(axis=1)
        sixth = 1.0 / (square * square * square)
        return jnp.sum(4.0 * (sixth * sixth - sixth))

    both = jax.jit(jax.value_and_grad(of_pairs))
    x = np.array(PLACES)
    return lambda: jax.block_until_ready(both(x))


def mixture() -> Callable[[], Any]:
    jax, np = _jax(), import_module("numpy")
    jnp = jax.numpy
    rows, columns = np.tril_indices(DIMENSIONS)
    samples = np.array(SAMPLES)

    def total(weights: Any, centres: Any, roots: Any) -> Any:
        lower = jnp.zeros((COMPONENTS, DIMENSIONS, DIMENSIONS)).at[:, rows, columns].set(roots)
        diagonal = jnp.diagonal(lower, axis1=1, axis2=2)
        lower = lower - jax.vmap(jnp.diag)(diagonal) + jax.vmap(jnp.diag)(jnp.exp(diagonal))
        gaps = samples[:, None, :] - centres
        turned = jnp.einsum("kij,nkj->nki", lower, gaps)
        exponents = weights + diagonal.sum(axis=1) - 0.5 * (turned * turned).sum(axis=2)
        return jax.nn.logsumexp(exponents, axis=1).sum()

    both = jax.jit(jax.value_and_grad(total, (0, 1, 2)))
    given = np.array(WEIGHTS), np.array(CENTRES), np.array(ROOTS)
    return lambda: jax.block_until_ready(both(*given))


def determinant() -> Callable[[], Any]:
    jax = _jax()
    both = jax.jit(jax.value_and_grad(expanded))
    x = import_module("numpy").array(MATRIX)
    return lambda: jax.block_until_ready(both(x))


def hand() -> Callable[[], Any]:
    jax = _jax()
    jnp = jax.numpy
    slopes = jax.jit(jax.jacfwd(lambda q: jnp.stack(hand_positions(q, jnp.sin, jnp.cos))))
    q = jnp.array(POSE)
    return lambda: jax.block_until_ready(slopes(q))


def gpt() -> Callable[[], Any]:
    jax = _jax()
    jnp = jax.numpy
    time, width, heads = len(TOKENS) - 1, 16, 4
    sizes = [(27, 16), (16, 16), *[(16, 16)] * 4, (64, 16), (16, 64), (27, 16)]
    flat, matrices, at = jnp.array(gpt_parameters()), [], 0
    for rows, columns in sizes:
        matrices.append(flat[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    tokens, after = jnp.array(TOKENS[:-1]), jnp.array(TOKENS[1:])

    def norm(x: Any) -> Any:
        return x / jnp.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5)

    def loss(matrices: Any) -> Any:
        letters, places, wq, wk, wv, wo, first, second, head = matrices
        x = norm(letters[tokens] + places[:time])
        h = norm(x)
        q, k, v = ((h @ w.T).reshape(time, heads, width // heads) for w in (wq, wk, wv))
        scores = jnp.einsum("thd,shd->hts", q, k) / (width // heads) ** 0.5
        scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)
        mixed = jnp.einsum("hts,shd->thd", jax.nn.softmax(scores, axis=-1), v).reshape(time, width)
        x = x + mixed @ wo.T
        x = x + jax.nn.relu(norm(x) @ first.T) @ second.T
        logits = x @ head.T
        return -jax.nn.log_softmax(logits)[jnp.arange(time), after].mean()

    both = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(both(matrices))


def _jax() -> Any:
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax
