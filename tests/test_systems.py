"""The networks that people meet in texts on backpropagation, against NumPy's backpropagation and certified slopes."""

from __future__ import annotations

import inspect
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from numpy_network import LossName, NumpyAdam, NumpyNetwork  # noqa: E402  # they need NumPy
from systems import (  # noqa: E402
    bracket_counter,
    chaotic_series,
    digit_autoencoder,
    digit_recogniser,
    five_labels,
    long_memory,
    names_gpt,
    regression,
    ring,
    two_sigmoid_layers,
    vanishing_gradients,
    xor,
)

from microgrid import losses, nn  # noqa: E402
from microgrid.testing import check_gradient  # noqa: E402
from microgrid.training.sums import RecordedSums  # noqa: E402


class System:
    """A network with its samples and its loss, and how NumPy calls them."""

    def __init__(
        self, model: nn.MLP, data: tuple[Any, Any], loss: Any, name: LossName, hidden: str, output: str
    ) -> None:
        self.model = model
        self.x, self.y = data
        self.loss = loss
        self.name = name
        self.oracle = NumpyNetwork(model, hidden, output)
        self.mean = name != "half_squares"

    @property
    def arrays(self) -> tuple[Any, Any]:
        """x and y as NumPy has them."""
        y = np.array(self.y, dtype=float)
        return np.array(self.x), y if y.ndim == 2 else y[:, None]


SYSTEMS: dict[str, Callable[[], System]] = {
    "two sigmoid layers, half squares": lambda: System(
        two_sigmoid_layers.network(3, 4, 2),
        (two_sigmoid_layers.X, two_sigmoid_layers.Y),
        losses.half_squares,
        "half_squares",
        "sigmoid",
        "sigmoid",
    ),
    "relu regression, mse": lambda: System(
        regression.network(), regression.samples(12), losses.mse, "mse", "relu", "identity"
    ),
    "five labels, as printed": lambda: System(
        five_labels.network(), five_labels.samples(), five_labels.LOSS, "binary_cross_entropy", "sigmoid", "sigmoid"
    ),
    "five labels, at unit scale": lambda: System(
        five_labels.network(deviation=1.0),
        five_labels.samples(30),
        five_labels.LOSS,
        "binary_cross_entropy",
        "sigmoid",
        "sigmoid",
    ),
    "xor": lambda: System(
        xor.network(), (xor.X, xor.Y), losses.binary_cross_entropy, "binary_cross_entropy", "sigmoid", "sigmoid"
    ),
    **{
        f"deep {kind}": lambda kind=kind: System(  # type: ignore[misc]
            vanishing_gradients.network(kind),
            (vanishing_gradients.X, vanishing_gradients.Y),
            losses.mse,
            "mse",
            kind,
            "identity",
        )
        for kind in ("sigmoid", "tanh", "relu")
    },
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_gradients_are_those_of_numpy(name: str) -> None:
    system = SYSTEMS[name]()
    loss, gradients = system.oracle.loss_and_gradients(*system.arrays, system.name)
    targets = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in system.y]
    sums = RecordedSums(system.model, system.loss).loss_and_gradients(system.model.parameters(), system.x, targets)
    count = len(system.x) if system.mean else 1
    assert sums.loss / count == pytest.approx(loss, rel=1e-12)
    start = 0
    for layer in gradients:  # apart, so that small gradients are not hidden by those of another layer
        expected = system.oracle.flat([layer])
        ours = [g / count for g in sums.gradient[start : start + len(expected)]]
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12 * max(map(abs, expected)))
        start += len(expected)
    assert start == len(sums.gradient)


@pytest.mark.parametrize("name", SYSTEMS)
def test_gradients_are_certified_on_a_sample(name: str) -> None:
    """The gradients are those by a few parameters, spread over the layers, for one of the samples."""
    system = SYSTEMS[name]()
    parameters = system.model.parameters()
    numbers = [p.data for p in parameters]
    generator = random.Random(0)
    ends = [0]
    for layer in system.model.layers:
        ends.append(ends[-1] + layer.count_parameters())
    chosen = [k for low, high in itertools.pairwise(ends) for k in generator.sample(range(low, high), 3)]
    x, y = system.x[1], system.y[1]

    def loss(*picked: Any) -> Any:
        changed: list[Any] = list(numbers)
        for k, value in zip(chosen, picked, strict=True):
            changed[k] = value
        return system.loss(nn.functional_call(system.model, changed, x), y)

    own = RecordedSums(system.model, system.loss).loss_and_gradients(parameters, [x], [y]).gradient
    report = check_gradient(loss, *[numbers[k] for k in chosen], gradient=[own[k] for k in chosen])
    assert report.verdict == "PASS", str(report)


def numpy_curve(system: System, epochs: int, rate: float, *, batch: int = 0, adam: bool = False) -> list[float]:
    x, y = system.arrays
    oracle = system.oracle
    optimizer = NumpyAdam(oracle, rate)
    size = batch or len(x)
    curve = []
    for _ in range(epochs):
        seen = []
        for start in range(0, len(x), size):
            loss, gradients = oracle.loss_and_gradients(x[start : start + size], y[start : start + size], system.name)
            seen.append(loss * len(x[start : start + size]) / len(x))
            if adam:
                optimizer.step(gradients)
            else:
                oracle.descend(gradients, rate)
        curve.append(sum(seen))
    return curve


def test_two_sigmoid_layers_train_as_numpy_does() -> None:
    system = SYSTEMS["two sigmoid layers, half squares"]()
    _, history = two_sigmoid_layers.train(system.x, system.y, hidden=4, epochs=1000, learning_rate=0.5)
    assert history.loss == pytest.approx(numpy_curve(system, 1000, 0.5), rel=1e-9)
    assert history.loss[-1] < 0.05 < history.loss[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in ("mini-batch", "Adam") else pytest.mark.slow) for kind in regression.KINDS],
)
def test_the_regression_trains_as_numpy_does(kind: str) -> None:
    system = SYSTEMS["relu regression, mse"]()
    options = regression.KINDS[kind]
    _, history = regression.train(system.x, system.y, epochs=100, seed=None, **options)
    rate, adam = options.get("lr", 0.01), "optimizer" in options
    curve = numpy_curve(system, 100, rate, batch=options["batch_size"] or 0, adam=adam)
    assert history.loss == pytest.approx(curve, rel=1e-9)
    assert history.loss[-1] < 0.2 * history.loss[0]


def test_the_grid_search_finds_the_best_and_shows_a_table() -> None:
    x, y = regression.samples(12)
    results = regression.grid_search(x, y, rates=[0.01, 0.1, 10.0], widths=[2, 4], epochs=5, batch_size=3)
    lines = regression.table(results).splitlines()
    assert lines[0].split() == ["rate", "width", "2", "width", "4"]
    assert [line.split()[0] for line in lines[1:]] == ["0.01", "0.1", "10"]
    best = min(results.values())
    assert [cell for line in lines for cell in line.split() if cell.endswith("*")] == [f"{best:.4f}*"]
    assert results[10.0, 4] > 1e6  # it ran away, which is a line in the table and not the end of the search


def test_five_labels_train_as_numpy_does() -> None:
    """200 of the 10,000 steps; `tests/benchmarks/training.py` runs them all, and compares as well."""
    system = SYSTEMS["five labels, as printed"]()
    history = five_labels.train(system.model, system.x, system.y, 200)
    assert history.loss == pytest.approx(numpy_curve(system, 200, 0.01), rel=1e-9)
    assert history.loss[-1] < history.loss[0]


def test_xor_prints_the_cost_every_ten_epochs_as_numpy_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    system = SYSTEMS["xor"]()
    history = xor.train(system.model, epochs=1000)
    curve = numpy_curve(system, 1000, 0.1)
    assert history.loss == pytest.approx(curve, rel=1e-9)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Epoch {n}/1000 Cost: {curve[n - 1]:.6f}" for n in range(10, 1001, 10)]


@pytest.mark.parametrize("seed", range(4))
def test_xor_comes_to_the_point_where_all_four_answers_are_right(seed: int, capsys: Any) -> None:
    model = xor.network(seed=seed)
    history = xor.train(model, epochs=20_000)
    assert history.stopped == "all four answers are right"
    answers = [round(model(corner).data) for corner in xor.X]
    assert answers == xor.Y


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "relu"])
def test_deep_networks_train_as_numpy_does(kind: str) -> None:
    system = SYSTEMS[f"deep {kind}"]()
    history = vanishing_gradients.train(system.model, epochs=30)
    assert history.loss == pytest.approx(numpy_curve(system, 30, 0.05), rel=1e-9)


def test_gradients_vanish_in_deep_sigmoid_networks_and_not_in_relu_networks() -> None:
    sizes = {}
    for kind in ("sigmoid", "relu"):
        model = vanishing_gradients.network(kind)
        vanishing_gradients.train(model)
        sizes[kind] = vanishing_gradients.sizes(model)
    sigmoid, relu = sizes["sigmoid"], sizes["relu"]
    assert sigmoid == sorted(sigmoid)
    assert sigmoid[0] < 1e-3 * sigmoid[-1]  # sigmoid' is at most 1/4 in each of 6 layers: 4^-6 = 2.4e-4
    assert relu[0] > 0.1 * relu[-1]


def error_of_the_best_plane() -> float:
    """The mean square error of unseen digits projected on a plane, by a singular value decomposition."""
    x, unseen, _ = digit_autoencoder.data()
    middle = np.mean(x, axis=0)
    plane = np.linalg.svd(np.array(x) - middle)[2][:2]
    away = np.array(unseen) - middle
    return float(np.mean((away - away @ plane.T @ plane) ** 2))


Figures = dict[str, float]
SEVEN: dict[str, tuple[Any, Callable[[Figures], bool]]] = {
    "digits": (digit_recogniser, lambda f: f["unseen digits recognised"] > 0.95),
    "brackets": (
        bracket_counter,
        lambda f: f["texts of 10 brackets counted"] == 1.0 and f["texts of 40 brackets counted"] > 0.95,
    ),
    "memory": (
        long_memory,
        lambda f: (
            f["symbols remembered, LSTM"] > 0.95
            and f["symbols remembered, plain"] < 0.5
            and f["gradient through 50 steps, LSTM"] > 0.01
            and f["gradient through 50 steps, plain"] < 1e-6
        ),
    ),
    "series": (chaotic_series, lambda f: f["times better than naive"] > 5.0),
    "ring": (
        ring,
        lambda f: f["distance after"] < 0.1 < 0.3 < f["distance before"] and f["emptiest of eight sectors"] > 0.4,
    ),
    "autoencoder": (digit_autoencoder, lambda f: f["mean square error"] < 0.85 * error_of_the_best_plane()),
    "names": (names_gpt, lambda f: f["loss after"] < 2.35 < 3.2 < f["loss before"] and f["new names"] >= 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVEN)
def test_a_network_of_sequences_or_images_reaches_its_figure(name: str, tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("matplotlib")
    system, reached = SEVEN[name]
    draws = "folder" in inspect.signature(system.figures).parameters
    found = system.figures(tmp_path) if draws else system.figures()
    assert reached(found), found
    assert len(list(tmp_path.iterdir())) == draws


SCRIPTS = [
    path
    for path in sorted((Path(__file__).parent / "systems").glob("[!_]*.py"))
    if path.stem not in [system.__name__.partition(".")[2] for system, _ in SEVEN.values()]
]
"""Scripts of networks without figures; what the others do as scripts, they do in `figures`."""


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_runs_as_a_script(script: Path, tmp_path: Path) -> None:
    arguments = {"five_labels": ["5"], "vanishing_gradients": [str(tmp_path)]}.get(script.stem, [])
    command = [sys.executable, str(script), *arguments]
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert ran.stdout.splitlines()
    if script.stem == "vanishing_gradients":
        assert len(list(tmp_path.glob("*.png"))) == 3
