"""JAX on the processor, in 64 bits: compiled once by jit where it can be, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from compare.data import (
    AIM,
    AT,
    CENTRES,
    COMPONENTS,
    DAMPED,
    DECAY,
    DIMENSIONS,
    EXPANDED,
    FACTOR,
    GENTLY,
    INPUTS,
    LABELS,
    LARGE,
    LINKS,
    LINKS_OF_ARM,
    LONG,
    LONG_SWINGS,
    MATRIX,
    MIDDLE,
    OPERATIONS,
    ORDERS,
    PACE,
    PARTICLES,
    PLACES,
    POINT,
    POINTS,
    POSE,
    RATE,
    RELEASED,
    ROOTS,
    SAMPLES,
    SEVENTH,
    START,
    STEPS,
    SUMMED,
    SWINGS,
    TEXTS,
    TOKENS,
    WEIGHTS,
    arm,
    expanded,
    gpt_parameters,
    hand_positions,
    labelled,
    layers,
    options,
    poses,
    price,
    samples_of,
    sequences,
    swing,
    units,
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
    "net64": "arrays, jit",
    "net784": "arrays, jit",
    "labels": "arrays, jit",
    "lstm16": "lax.scan, jit",
    "lstm32": "lax.scan, jit",
    "gpt16": "vmap, jit",
    "scan": "lax.scan, jit",
    "arms": "arrays, vmap, jit",
    "arm_hessian": "scalars, vmap, jit",
    "greeks": "scalars, vmap, jit",
    "damped": "lax.scan, jax.hessian, jit",
    "seventh": "grad, seven times, jit",
    "mixture": "arrays, jit",
}
CANNOT = {
    "unrolled": "unrolled, it takes its compiler minutes",
    "gathers": "thousands of scalars take its compiler minutes",
    "pair_list": "its arguments are arrays",
    "pair_written": "its arrays are not written to",
    "long_list": "its arguments are arrays",
}


def demo() -> Callable[[], Any]:
    jax = jax_of()
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


def _network(sizes: Any) -> Callable[[], Any]:
    jax = jax_of()
    x, y, matrices = samples_of(sizes)
    state = [[(jax.numpy.array(m[:, :-1]), jax.numpy.array(m[:, -1])) for m in matrices]]
    x, y = jax.numpy.array(x), jax.numpy.array(y)

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(weights):
            x = x @ w.T + b
            if k < len(weights) - 1:
                x = jax.nn.relu(x)
        return ((x - y) ** 2).sum() / len(x)

    @jax.jit  # type: ignore[untyped-decorator]  # jax is an Any here
    def update(weights: Any, x: Any, y: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(weights, x, y)
        return value, jax.tree_util.tree_map(lambda p, slope: p - GENTLY * slope, weights, slopes)

    def step() -> Any:
        value, state[0] = jax.block_until_ready(update(state[0], x, y))
        return lambda: [value, *map(jax.numpy.column_stack, state[0])]

    return step


def net64() -> Callable[[], Any]:
    return _network(MIDDLE)


def net784() -> Callable[[], Any]:
    return _network(LARGE)


def labels() -> Callable[[], Any]:
    jax = jax_of()
    jnp = jax.numpy
    x, y, matrices = labelled()

    def loss(matrices: Any) -> Any:
        h = x
        for m in matrices:
            h = jax.nn.sigmoid(h @ m[:, :-1].T + m[:, -1])
        return -(y * jnp.log(h) + (1.0 - y) * jnp.log(1.0 - h)).mean()

    @jax.jit  # type: ignore[untyped-decorator]  # jax is an Any here
    def trained(matrices: Any) -> Any:
        def step(_: Any, matrices: Any) -> Any:
            slopes = jax.grad(loss)(matrices)
            return [m - PACE * slope for m, slope in zip(matrices, slopes, strict=True)]

        return jax.lax.fori_loop(0, STEPS, step, matrices)

    start = [jnp.array(m) for m in matrices]
    return lambda: jax.block_until_ready(trained(start))


def lstm16() -> Callable[[], Any]:
    return _lstms(16)


def lstm32() -> Callable[[], Any]:
    return _lstms(32)


def _lstms(cells: int) -> Callable[[], Any]:
    jax = jax_of()
    jnp = jax.numpy
    x, y = sequences()
    arrays, out = units(cells)

    def loss(arrays: Any, out: Any) -> Any:
        wi, wh, bi, bh = arrays
        zeros = jnp.zeros((len(x), wh.shape[1]))

        def step(state: Any, at: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(at[:, None] * wi[:, 0] + h @ wh.T + (bi + bh), 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        (h, _), _ = jax.lax.scan(step, (zeros, zeros), x.T)
        return ((h @ out - y) ** 2).mean()

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    given = [jnp.array(array) for array in arrays], jnp.array(out)
    return lambda: jax.block_until_ready(both(*given))


def call() -> Callable[[], Any]:
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(lambda x, y: x * y + x * x, (0, 1)))
    return lambda: [jax.block_until_ready(both(x, y)) for x, y in AT]


def pair_array() -> Callable[[], Any]:
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(lambda x: x[0] * x[1] + x[0] * x[0]))
    pairs = list(import_module("numpy").array(AT))
    return lambda: [jax.block_until_ready(both(pair)) for pair in pairs]


def long_array() -> Callable[[], Any]:
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(lambda x: (x[:-1] ** 2 * x[1:]).sum()))
    x = import_module("numpy").array(LONG)
    return lambda: jax.block_until_ready(both(x))


def chain() -> Callable[[], Any]:
    jax = jax_of()

    def links(x: Any) -> Any:
        return jax.lax.scan(lambda y, _: (FACTOR * y + x, None), x, None, length=LINKS)[0]

    both = jax.jit(jax.value_and_grad(links))
    return lambda: jax.block_until_ready(both(START))


def _end(steps: int) -> Callable[..., Any]:
    jax = jax_of()

    def end(angle: Any, velocity: Any, g: Any, c: Any) -> Any:
        def step(at: Any, _: Any) -> Any:
            return swing(at[0], at[1], g, c, jax.numpy.sin), None

        angle, velocity = jax.lax.scan(step, (angle, velocity), None, length=steps)[0]
        return angle * angle + velocity

    return end


def _swinging(steps: int) -> Callable[[], Any]:
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(_end(steps), (0, 1, 2, 3)))
    return lambda: jax.block_until_ready(both(*RELEASED))


def pendulum() -> Callable[[], Any]:
    return _swinging(SWINGS)


def scan() -> Callable[[], Any]:
    return _swinging(LONG_SWINGS)


def damped() -> Callable[[], Any]:
    jax = jax_of()
    end = _end(DAMPED)
    second = jax.jit(jax.hessian(lambda x: end(x[0], x[1], x[2], x[3])))
    x = jax.numpy.array(RELEASED)
    return lambda: jax.block_until_ready(second(x))


def arms() -> Callable[[], Any]:
    jax = jax_of()
    jnp = jax.numpy

    def one(q: Any) -> Any:
        c, s, rotation, place = jnp.cos(q), jnp.sin(q), jnp.eye(3), jnp.zeros(3)
        for i, (offset, turn) in enumerate(LINKS_OF_ARM):
            ca, sa = (0.0, turn) if turn else (1.0, 0.0)
            place = place + rotation[:, 2] * offset
            rotation = rotation @ jnp.array(
                [[c[i], -s[i] * ca, s[i] * sa], [s[i], c[i] * ca, -c[i] * sa], [0.0, sa, ca]]
            )
        gaps = place - jnp.array(AIM)
        return gaps @ gaps

    both, q = jax.jit(jax.vmap(jax.value_and_grad(one))), jnp.array(poses())
    return lambda: jax.block_until_ready(both(q))


def arm_hessian() -> Callable[[], Any]:
    jax = jax_of()

    def one(q: Any) -> Any:  # by scalars, Hessians take a quarter of the time that they take by matrices
        return arm([q[i] for i in range(7)], jax.numpy.sin, jax.numpy.cos)

    second, q = jax.jit(jax.vmap(jax.hessian(one))), jax.numpy.array(poses())
    return lambda: jax.block_until_ready(second(q))


def greeks() -> Callable[[], Any]:
    jax = jax_of()

    class Functions:
        log, exp, sqrt, erf = jax.numpy.log, jax.numpy.exp, jax.numpy.sqrt, jax.scipy.special.erf

    def of_option(*option: Any) -> Any:
        return price(option, Functions)

    both = jax.jit(jax.vmap(jax.value_and_grad(of_option, tuple(range(5)))))
    columns = [jax.numpy.array(column) for column in options()]
    return lambda: jax.block_until_ready(both(*columns))


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
    jax = jax_of()
    both = jax.value_and_grad(lambda x: _graph(jax, x))
    x = jax.numpy.array(INPUTS)
    return lambda: jax.block_until_ready(both(x))


def replay() -> Callable[[], Any]:
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(lambda x: _graph(jax, x)))
    x = jax.numpy.array(INPUTS)
    return lambda: jax.block_until_ready(both(x))


def hessian() -> Callable[[], Any]:
    jax = jax_of()
    second = jax.jit(
        jax.hessian(lambda x: (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()),
    )
    x = jax.numpy.array(POINT)
    return lambda: jax.block_until_ready(second(x))


def orders() -> Callable[[], Any]:
    jax, jets = jax_of(), import_module("jax.experimental.jet")
    jnp = jax.numpy

    def f(x: Any) -> Any:
        return jnp.tanh(jnp.sin(x) * jnp.exp(x))

    @jax.jit  # type: ignore[untyped-decorator]  # JAX is not installed where this is checked
    def derivatives(x: Any) -> Any:
        value, rest = jets.jet(f, (x,), ([1.0] + [0.0] * (ORDERS - 1),))
        return jnp.stack([value, *rest])

    x = jnp.array(EXPANDED)
    return lambda: jax.block_until_ready(derivatives(x))


def seventh() -> Callable[[], Any]:
    jax = jax_of()
    f: Any = lambda x: jax.numpy.tanh(jax.numpy.sin(x) * jax.numpy.exp(x))  # noqa: E731  # it is wrapped in turn
    for _ in range(SEVENTH):
        f = jax.grad(f)
    compiled, x = jax.jit(f), jax.numpy.array(EXPANDED)
    return lambda: jax.block_until_ready(compiled(x))


def pairs() -> Callable[[], Any]:
    jax, np = jax_of(), import_module("numpy")
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
    jax, np = jax_of(), import_module("numpy")
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
    jax = jax_of()
    both = jax.jit(jax.value_and_grad(expanded))
    x = import_module("numpy").array(MATRIX)
    return lambda: jax.block_until_ready(both(x))


def hand() -> Callable[[], Any]:
    jax = jax_of()
    jnp = jax.numpy
    slopes = jax.jit(jax.jacfwd(lambda q: jnp.stack(hand_positions(q, jnp.sin, jnp.cos))))
    q = jnp.array(POSE)
    return lambda: jax.block_until_ready(slopes(q))


def gpt() -> Callable[[], Any]:
    return _gpt([TOKENS])


def gpt16() -> Callable[[], Any]:
    return _gpt(TEXTS)


def _gpt(texts: Any) -> Callable[[], Any]:
    jax = jax_of()
    jnp = jax.numpy
    time, width, heads = len(TOKENS) - 1, 16, 4
    sizes = [(27, 16), (16, 16), *[(16, 16)] * 4, (64, 16), (16, 64), (27, 16)]
    flat, matrices, at = jnp.array(gpt_parameters()), [], 0
    for rows, columns in sizes:
        matrices.append(flat[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    every = jnp.array(texts)

    def norm(x: Any) -> Any:
        return x / jnp.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5)

    def one(matrices: Any, tokens: Any, after: Any) -> Any:
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

    def loss(matrices: Any) -> Any:
        if len(texts) == 1:
            return one(matrices, every[0, :-1], every[0, 1:])
        return jax.vmap(one, (None, 0, 0))(matrices, every[:, :-1], every[:, 1:]).mean()

    both = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(both(matrices))


def jax_of() -> Any:
    """JAX, set up."""
    jax: Any = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax
