"""Compiled scalars beside JAX, PyTorch and NumPy: `python tests/benchmarks/compiler.py`, in one process, one thread.

Both sides of each ratio are timed in turn: the median of the pairs' ratios, and the least and the most. A peer that is
not installed is left out. JAX counts in float64, compiled and ready.
"""

from __future__ import annotations

import importlib
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from compare.works import RELEASED, swing
from tqdm import tqdm

import microgrid
from microgrid import nn, relu, softmax, softplus, trace
from microgrid.commands.cli import build
from microgrid.functions.reductions import prod
from microgrid.functions.reductions import sum as total_of

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_THREAD["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def seconds(run: Callable[[], Any], at_least: float = 0.02) -> float:
    """The time of one run, from as many as take a while."""
    times, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least or not times:
        run()
        times += 1
    return (time.perf_counter() - start) / times


def compare(name: str, peer: Callable[[], Any], ours: Callable[[], Any], pairs: int = 15) -> None:
    """Print how many times as long the peer takes, and both times."""
    peer(), ours()
    seen, times = [], []
    for _ in tqdm(range(pairs), desc=name, leave=False):
        times.append((seconds(peer), seconds(ours)))
        seen.append(times[-1][0] / times[-1][1])
    seen.sort()
    theirs, mine = (1e6 * statistics.median(column) for column in zip(*times, strict=True))
    spread = f"[{seen[0]:.2f} - {seen[-1]:.2f}]"
    print(f"  {name:58} {statistics.median(seen):7.2f} {spread:17} {theirs:10.1f} us, ours {mine:10.1f} us")


# --- the same networks elsewhere -------------------------------------------------------------------------------------


def weights_of(model: nn.MLP) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The matrices and vectors of a model."""
    pairs = []
    for layer in model.layers:
        rows = [[w.data for w in neuron.w] for neuron in layer.neurons]
        pairs.append((np.array(rows), np.array([neuron.b.data for neuron in layer.neurons])))
    return pairs


def flat(pairs: Sequence[tuple[Any, Any]]) -> np.ndarray[Any, Any]:
    """Matrices and vectors in the order of `parameters()`."""
    return np.concatenate([np.column_stack([w, b]).ravel() for w, b in pairs])


def by_hand(parameters: list[Any], x: Any, y: Any, kind: str, activation: str) -> tuple[float, list[tuple[Any, Any]]]:
    """Loss and gradients of a network in NumPy, written out."""
    n, layers = len(x), [x]
    for k, (w, b) in enumerate(parameters):
        z = layers[-1] @ w.T + b
        last = k == len(parameters) - 1
        layers.append(z if last else np.tanh(z) if activation == "tanh" else np.maximum(z, 0.0))
    out = layers[-1]
    if kind == "hinge":
        margin = 1.0 - out * y[:, None]
        loss, delta = np.maximum(margin, 0.0).mean(), np.where(margin > 0.0, -y[:, None], 0.0) / n
    else:
        error = out - y
        loss, delta = (error * error).sum() / n, 2.0 / n * error
    gradients = []
    for k in range(len(parameters) - 1, -1, -1):
        gradients.append((delta.T @ layers[k], delta.sum(axis=0)))
        if k:
            slope = 1.0 - layers[k] ** 2 if activation == "tanh" else layers[k] > 0.0
            delta = (delta @ parameters[k][0]) * slope
    return float(loss), gradients[::-1]


def numpy_step(model: nn.MLP, x: Any, y: Any, kind: str, activation: str, penalty: float) -> Callable[[], Any]:
    """A training step in NumPy."""
    parameters = weights_of(model)

    def step() -> float:
        loss, gradients = by_hand(parameters, x, y, kind, activation)
        for (w, b), (dw, db) in zip(parameters, gradients, strict=True):
            if penalty:
                loss += penalty * float((w * w).sum() + (b * b).sum())
                dw, db = dw + 2.0 * penalty * w, db + 2.0 * penalty * b
            w -= 1e-9 * dw
            b -= 1e-9 * db
        return loss

    return step


def jax_step(model: nn.MLP, x: Any, y: Any, kind: str, activation: str, penalty: float) -> Callable[[], Any]:
    """A training step compiled by JAX, in float64."""
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(parameters):
            x = x @ w.T + b
            if k < len(parameters) - 1:
                x = jnp.tanh(x) if activation == "tanh" else jnp.maximum(x, 0.0)
        data = jnp.maximum(1.0 - x[:, 0] * y, 0.0).mean() if kind == "hinge" else ((x - y) ** 2).sum() / len(x)
        return data + penalty * sum((w * w).sum() + (b * b).sum() for w, b in parameters)

    def update(parameters: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        return loss, jax.tree_util.tree_map(lambda p, g: p - 1e-9 * g, parameters, gradients)

    compiled = jax.jit(update)
    state = [[(jnp.array(w), jnp.array(b)) for w, b in weights_of(model)]]
    x, y = jnp.array(x), jnp.array(y)

    def step() -> None:
        loss, state[0] = compiled(state[0], x, y)
        loss.block_until_ready()

    return step


def torch_step(model: nn.MLP, x: Any, y: Any, kind: str, activation: str, penalty: float) -> Callable[[], Any]:
    """A training step in PyTorch, eager, in float64."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    parameters = [
        (torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)) for w, b in weights_of(model)
    ]
    x, y = torch.tensor(x), torch.tensor(y)

    def step() -> Any:
        h = x
        for k, (w, b) in enumerate(parameters):
            h = h @ w.T + b
            if k < len(parameters) - 1:
                h = torch.tanh(h) if activation == "tanh" else torch.relu(h)
        loss = torch.relu(1.0 - h[:, 0] * y).mean() if kind == "hinge" else ((h - y) ** 2).sum() / len(x)
        if penalty:
            loss = loss + penalty * sum((w * w).sum() + (b * b).sum() for w, b in parameters)
        loss.backward()
        with torch.no_grad():
            for pair in parameters:
                for p in pair:
                    p -= 1e-9 * p.grad
                    p.grad = None
        return loss.item()

    return step


def our_step(model: nn.MLP, x: Any, y: Any, kind: str, penalty: float) -> Callable[[], Any]:
    """A training step of ours, held to NumPy's gradients."""
    compiled = microgrid.compile(hinge if kind == "hinge" else squared, model, threads=1)
    activation = "tanh" if model.layers[0].neurons[0].activation is microgrid.OPS["tanh"] else "relu"
    loss, gradient = compiled(x, y)
    expected, gradients = by_hand(weights_of(model), x, y, kind, activation)
    assert abs(loss - expected) < 1e-12 * abs(expected)
    assert np.allclose(gradient, flat(gradients), rtol=1e-9, atol=1e-12)

    def step() -> float:
        loss, gradient = compiled(x, y)
        parameters = compiled.parameters
        if penalty:
            loss += penalty * float(parameters @ parameters)
            gradient += (2.0 * penalty) * parameters
        parameters -= 1e-9 * gradient
        return loss

    return step


def hinge(out: Any, y: Any) -> Any:
    """max(0, 1 - out y)."""
    return relu(1.0 - out * y)


def squared(out: Any, y: Any) -> Any:
    """The sum of the squared errors."""
    return total_of([(a - b) ** 2 for a, b in zip(out, y, strict=True)])


# --- the table -------------------------------------------------------------------------------------------------------


def training(sizes: list[int], samples: int, kind: str, activation: str, penalty: float, peers: Sequence[str]) -> None:
    """One network's training step against peers."""
    random.seed(1)
    model = nn.MLP(sizes[0], sizes[1:], activation=activation)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, sizes[0]))
    y = np.sign(x[:, 0]) if kind == "hinge" else rng.normal(size=(samples, sizes[-1]))
    ours = our_step(model, x, y, kind, penalty)
    makers = {"NumPy": numpy_step, "JAX jit": jax_step, "PyTorch": torch_step}
    for peer in peers:
        title = f"{'-'.join(map(str, sizes))} {activation}, {samples} samples: {peer} / ours"
        try:
            theirs = makers[peer](model, x, y, kind, activation, penalty)
        except ImportError:
            print(f"  {title}: not installed")
            continue
        compare(title, theirs, ours)


def first_call(sizes: list[int]) -> None:
    """Seconds from the first call to its result, without the cache; a fresh model each time."""
    times, sizes_of_code = [], 0
    for _ in range(3):
        model = nn.MLP(sizes[0], sizes[1:])
        x, y = np.ones((256, sizes[0])), np.ones((256, sizes[-1]))
        compiled = microgrid.compile(squared if sizes[-1] > 1 else lambda out, y: (out - y[0]) ** 2, model, cache=False)
        start = time.perf_counter()
        compiled(x, y)
        times.append(time.perf_counter() - start)
        sizes_of_code = next(int(s.split()[2].replace(",", "")) for s in compiled.report().splitlines() if "code" in s)
    title = f"{'-'.join(map(str, sizes))}: seconds to the first result; bytes of code"
    spread = f"[{min(times):.2f} - {max(times):.2f}]"
    print(f"  {title:58} {statistics.median(times):7.2f} {spread:17} {sizes_of_code:10,}")


def mixed(xs: Sequence[Any], length: int = 10_000) -> Any:
    """Ten thousand operations on earlier results, in turn: softplus, a sum, a product, a softmax, which gives four."""
    known = list(xs)
    for i in range(length):
        if i % 4 == 0:
            known.append(softplus(known[-10]))
        elif i % 4 == 1:
            known.append(total_of(known[-30:-9:5]))
        elif i % 4 == 2:
            known.append(prod([known[-20], known[-10]]))
        else:
            known += softmax(known[-4:])
    return known[-1]


def ten_thousand_runs() -> None:
    """The mixed operations, traced, compiled, and run forward and backward 10,000 times."""
    start = time.perf_counter()
    compiled = microgrid.compile(mixed, cache=False)
    point = [float(i) for i in range(100)]
    compiled.value_and_grad(point)
    ready = time.perf_counter() - start
    one = seconds(lambda: compiled.value_and_grad(point), 1.0)
    whole = ready + 1e4 * one
    print(f"  10,000 mixed operations: ready in {ready:.2f} s, a run {1e3 * one:.3f} ms, 10,000 runs {whole:.1f} s")
    assert abs(compiled(point) - trace(mixed)(point)(point)) < 1e-12


def swinging(steps: int, looped: bool) -> Callable[..., Any]:
    """A damped pendulum after so many Runge-Kutta steps, in a loop that is traced once, or one of Python."""

    def end(angle: Any, velocity: Any, g: Any, c: Any) -> Any:
        def step(_: Any, at: Any) -> Any:
            return swing(at[0], at[1], g, c, microgrid.sin)

        at = (angle, velocity)
        if looped:
            at = microgrid.fori_loop(0, steps, step, at)
        else:
            for i in range(steps):
                at = step(i, at)
        return at[0] * at[0] + at[1]

    return end


def pendulum() -> None:
    """The first gradient of 20,000 steps, and a call of 2,000 in a loop that is traced once, beside one of Python."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        microgrid.compile(swinging(20_000, looped=True), cache=False).gradient(*RELEASED)
        times.append(time.perf_counter() - start)
    spread = f"[{min(times):.2f} - {max(times):.2f}]"
    print(f"  {'a pendulum, 20,000 steps by fori_loop: seconds to the first gradient':58} {min(times):7.2f} {spread}")
    looped, unrolled = [microgrid.compile(swinging(2_000, loop), cache=False).value_and_grad for loop in (True, False)]
    compare("2,000 steps: a loop of Python", lambda: unrolled(*RELEASED), lambda: looped(*RELEASED))


def full_batch_steps() -> None:
    """Ten thousand full-batch steps of 10-20-5 sigmoids with mean binary cross-entropy on 100 samples."""
    random.seed(0)

    class Network(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Layer(10, 20, activation="sigmoid"), nn.Layer(20, 5, activation="sigmoid")]

        def __call__(self, x: Any) -> Any:
            return self.layers[1](self.layers[0](x))

        def parameters(self) -> list[microgrid.Value]:
            return [p for layer in self.layers for p in layer.parameters()]

    def cross_entropy(out: Any, y: Any) -> Any:
        terms = [t * microgrid.log(p) + (1.0 - t) * microgrid.log(1.0 - p) for p, t in zip(out, y, strict=True)]
        return -total_of(terms) / 5.0

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 10)), (rng.random((100, 5)) > 0.5).astype(float)
    compiled = microgrid.compile(cross_entropy, Network(), cache=False)
    start = time.perf_counter()
    for _ in range(10_000):
        _, gradient = compiled(x, y)
        compiled.parameters -= 0.01 * gradient
    print(f"  10-20-5, 10,000 full-batch steps on 100 samples: {time.perf_counter() - start:.2f} s")


def main() -> None:
    """Print the table."""
    print(f"microgrid {microgrid.__version__} ({build()}), Python {platform.python_version()}, one thread")
    print("ratios of times, median of pairs [least - most]; above 1 we are faster")
    training([2, 16, 16, 1], 100, "hinge", "relu", 1e-4, ["JAX jit", "PyTorch", "NumPy"])
    training([2, 64, 64, 1], 100, "hinge", "tanh", 0.0, ["JAX jit", "NumPy"])
    training([2, 64, 64, 1], 1024, "hinge", "tanh", 0.0, ["JAX jit", "NumPy"])
    for sizes in ([64, 64, 10], [784, 128, 10]):
        for samples in (256, 1024):
            training(sizes, samples, "squared", "relu", 0.0, ["NumPy"])
    for sizes in ([2, 16, 16, 1], [64, 64, 10], [784, 128, 10]):
        first_call(sizes)
    ten_thousand_runs()
    full_batch_steps()
    pendulum()


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})  # libraries read it first
    main()
