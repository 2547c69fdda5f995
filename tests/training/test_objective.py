"""The sums over a batch: recorded here, or spread over an executor's workers."""

from __future__ import annotations

import inspect
import logging
import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from workers import Mortal, Signed

import microgrid as mg
from microgrid import Value, fit, losses, nn, optim
from microgrid.training import Checkpoint, EarlyStopping, History, Objective, Spread, TrainingError, loop
from microgrid.training.compiled_sums import CompiledSums
from microgrid.training.samples import Samples, Target
from microgrid.training.spread import SpreadSums
from microgrid.training.sums import Failure, RecordedSums, Sums

POINTS, LABELS = mg.datasets.moons(23, seed=5)


def network() -> nn.MLP:
    return nn.MLP(2, [4, 1], activation="tanh", seed=0)


def bits(model: nn.Module) -> list[float]:
    return [p.data for p in model.parameters()]


def train(model: nn.Module, **options: Any) -> History:
    settings: dict[str, Any] = {"loss": "hinge", "optimizer": "sgd", "lr": 0.1, "epochs": 4, "metrics": ["accuracy"]}
    return fit(model, POINTS, LABELS, **{**settings, **options})


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def check(executor: Executor) -> None:
    """Check that training on the executor gives the same, and repeats to the bit."""
    serial, spread, again = network(), network(), network()
    expected = train(serial, batch_size=10)
    history = train(spread, batch_size=10, loss=Spread("hinge", executor))
    assert history.loss == pytest.approx(expected.loss, rel=1e-12)
    assert history["accuracy"] == expected["accuracy"]
    assert bits(spread) == pytest.approx(bits(serial), rel=1e-12)
    assert train(again, batch_size=10, loss=Spread("hinge", executor)) == history
    assert bits(again) == bits(spread)


def test_processes_give_what_one_gives(pool: ProcessPoolExecutor) -> None:
    check(pool)


def test_threads_do_not_share_a_network() -> None:
    with ThreadPoolExecutor(4) as executor:
        check(executor)


def test_the_number_of_workers_does_not_change_the_bits(pool: ProcessPoolExecutor) -> None:
    one, two = network(), network()
    with ThreadPoolExecutor(1) as executor:
        train(one, loss=Spread("hinge", executor))
    train(two, loss=Spread("hinge", pool))
    assert bits(one) == bits(two)


@pytest.mark.parametrize("parts", [1, 2, 3, 23, 100])
def test_sums_do_not_depend_on_the_parts_but_for_rounding(parts: int) -> None:
    model = network()
    expected = RecordedSums(model, losses.mse).loss_and_gradients(model.parameters(), POINTS, LABELS)
    with ThreadPoolExecutor(2) as executor:
        sums = SpreadSums(model, losses.mse, executor, parts).loss_and_gradients(model.parameters(), POINTS, LABELS)
    assert sums.loss == pytest.approx(expected.loss, rel=1e-13)
    assert sums.gradient == pytest.approx(expected.gradient, rel=1e-12, abs=1e-13)
    assert sums.outputs == expected.outputs


OPTIONS: dict[str, Any] = {"loss": "mse", "optimizer": "adam", "lr": 0.1, "batch_size": 2, "seed": None}
DATA = ([1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0])


def check_death(executor: Executor, folder: Path) -> None:
    """Check that a death in the fourth epoch loses none of the three before."""
    alone, mortal = Mortal(), Mortal()
    expected = fit(alone, *DATA, **OPTIONS, epochs=6)
    path = folder / "run.json"
    spread = {**OPTIONS, "loss": Spread("mse", executor), "callbacks": [Checkpoint(path, every=5)]}
    with pytest.raises(TrainingError, match=r"^epoch 4, batch 2: a worker failed: (BrokenProcess|Killed)") as caught:
        fit(mortal, *DATA, **spread, epochs=6)
    error = caught.value
    assert error.history.loss == pytest.approx(expected.loss[:3], rel=1e-12)
    three = Mortal()
    fit(three, *DATA, **OPTIONS, epochs=3)
    assert bits(mortal) == pytest.approx(bits(three), rel=1e-12)
    for resume in (error.checkpoint, path):
        other = Mortal()
        history = fit(other, *DATA, **OPTIONS, epochs=6, resume=resume)
        assert history.loss == pytest.approx(expected.loss, rel=1e-12)
        assert bits(other) == pytest.approx(bits(alone), rel=1e-12)


def test_a_workers_death_is_an_error_that_loses_no_epoch(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        check_death(executor, tmp_path)


def test_an_error_in_a_worker_is_told_with_its_cause() -> None:
    model = nn.Neuron(3)
    with ThreadPoolExecutor(2) as executor:
        sums = SpreadSums(model, losses.mse, executor, 2)
        with pytest.raises(Failure, match=r"expected 3 input\(s\)") as caught:
            sums.loss_and_gradients(model.parameters(), POINTS, LABELS)
        assert isinstance(caught.value.__cause__, ValueError)
        with pytest.raises(ValueError, match="parts must be a whole number from 1 on"):
            Spread("mse", executor, parts=0)


def test_what_a_script_defines_goes_along_to_workers_or_is_an_error(
    pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cloudpickle")
    serial, spread = network(), network()
    own = lambda output, target: losses.mse(output, target) * 2.0  # noqa: E731  # handed on as it is
    train(serial, loss=own)
    train(spread, loss=Spread(own, pool))
    assert bits(spread) == pytest.approx(bits(serial), rel=1e-12)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TypeError, match=r"cannot be sent to workers .* or install cloudpickle"):
        train(network(), loss=Spread(own, pool))


class Own(Objective):
    """Counts what it is asked for, and fails once."""

    calls = 0

    def __init__(self, fails_in: int = 0) -> None:
        super().__init__("hinge", penalty=lambda parameters: losses.l2(parameters, 0.01))
        self.fails_in = fails_in

    def summation(self, model: nn.Module, samples: Samples, *, outputs: bool) -> Own:
        self.sums = RecordedSums(model, self.loss)
        return self

    how = "counted"

    @property
    def remark(self) -> str:
        return f"asked {self.calls} times"

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[list[float]], ys: Sequence[Target]) -> Sums:
        self.calls += 1
        if self.calls == self.fails_in:
            raise Failure("no more") from OSError("gone")
        return self.sums.loss_and_gradients(parameters, xs, ys)


def test_a_run_knows_an_objective_by_its_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    model, other = network(), network()
    penalised = Objective("hinge", penalty=lambda parameters: losses.l2(parameters, 0.01), compile=False)
    expected = train(other, loss=penalised, batch_size=10)
    history = train(model, loss=Own(), batch_size=10, progress=True)
    assert (history, bits(model), history.how) == (expected, bits(other), "counted")
    captured = capsys.readouterr()
    assert "fit: asked 3 times" in captured.out + captured.err


class InLists(Objective):
    """Sums in machine code, as lists."""

    def summation(self, model: nn.Module, samples: Samples, *, outputs: bool) -> InLists:
        self.sums = CompiledSums(model, self.loss, outputs=outputs, strict=True)
        return self

    how = "in lists"
    remark = ""

    def loss_and_outputs(self, xs: Sequence[list[float]], ys: Sequence[Target]) -> Any:
        return self.sums.loss_and_outputs(xs, ys)

    def loss_and_gradients(self, parameters: Sequence[Value], xs: Sequence[list[float]], ys: Sequence[Target]) -> Sums:
        sums = self.sums.loss_and_gradients(parameters, xs, ys)
        return Sums(sums.loss, list(map(float, sums.gradient)), [list(map(float, row)) for row in sums.outputs])


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "metrics": {"metrics": ["accuracy", lambda outputs, target: outputs * target]},
    "batches": {"metrics": ["accuracy"], "batch_size": 7, "validation": 0.3},
    "in order": {"metrics": ["accuracy"], "batch_size": 3, "seed": None, "optimizer": "adam"},
    "stopping": {"metrics": ["accuracy"], "validation": 0.2, "callbacks": [EarlyStopping(2)], "epochs": 30, "lr": 0.3},
    "rates": {"metrics": ["accuracy"], "optimizer": "rmsprop", "lr": optim.cosine(0.1, 5)},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_sums_in_arrays_make_the_run_of_sums_in_lists_and_nearly_that_of_recording(name: str) -> None:
    pytest.importorskip("llvmlite")
    options = CONFIGURATIONS[name]
    models = [network() for _ in range(3)]
    first, second, recorded = (
        train(model, loss=loss, **options)
        for model, loss in zip(
            models, (Objective("hinge", compile=True), InLists("hinge"), Objective("hinge", compile=False)), strict=True
        )
    )
    assert (first.how, second.how) == ("compiled", "in lists")
    assert (first, bits(models[0])) == (second, bits(models[1]))
    assert len(first) == len(recorded)
    for name in ("loss", *first.measured):
        assert first[name] == pytest.approx(recorded[name], rel=1e-9)


@pytest.mark.parametrize("fails_in", range(1, 7))
def test_a_failure_of_an_objective_takes_the_run_back_to_its_last_whole_epoch(fails_in: int, tmp_path: Path) -> None:
    model, other, again = network(), network(), network()
    options: dict[str, Any] = {"batch_size": 10, "callbacks": [Checkpoint(tmp_path / "run.json")]}
    epoch, batch = divmod(fails_in - 1, 3)
    with pytest.raises(TrainingError, match=rf"^epoch {epoch + 1}, batch {batch + 1}: no more$") as caught:
        train(model, loss=Own(fails_in), **options)
    assert isinstance(caught.value.__cause__, OSError)
    assert (len(caught.value.history), caught.value.history.how) == (epoch, "counted")
    train(other, loss=Own(), batch_size=10, epochs=epoch)
    assert bits(model) == bits(other)
    expected = train(other, loss=Own(), batch_size=10, resume=caught.value.checkpoint)
    assert train(again, loss=Own(), batch_size=10, resume=tmp_path / "run.json") == expected
    assert bits(again) == bits(other)


def test_no_way_of_computing_sums_is_named_by_the_loop() -> None:
    assert re.findall(r"Recorded\w*|Compiled\w*|Spread\w*|compiled_sums|hasattr\(self", inspect.getsource(loop)) == []


def test_fit_takes_fewer_than_fifteen_parameters() -> None:
    assert len(inspect.signature(fit).parameters) < 15


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dask and what it builds on, which are not ours
def test_a_dask_cluster_of_two_workers_gives_what_one_process_gives(tmp_path: Path) -> None:
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": ":0"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        check(executor)
        spread = SpreadSums(Signed(), lambda outputs, target: outputs[0] * target, executor, 8)
        processes = {process for _, process in spread.loss_and_gradients([], POINTS, LABELS).outputs}
        assert len(processes - {float(os.getpid())}) == 2
        check_death(executor, tmp_path)
