"""The sums over a batch: recorded here, or spread over an executor's workers."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from workers import Mortal, Signed

import microgrid as mg
from microgrid import fit, losses, nn
from microgrid.training import History, TrainingError
from microgrid.training.objective import Recorded
from microgrid.training.spread import Spread

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
    """That training on the executor is training, and repeats to the bit."""
    serial, spread, again = network(), network(), network()
    expected = train(serial, batch_size=10)
    history = train(spread, batch_size=10, executor=executor)
    assert history.loss == pytest.approx(expected.loss, rel=1e-12)
    assert history["accuracy"] == expected["accuracy"]
    assert bits(spread) == pytest.approx(bits(serial), rel=1e-12)
    assert train(again, batch_size=10, executor=executor) == history
    assert bits(again) == bits(spread)


def test_processes_give_what_one_gives(pool: ProcessPoolExecutor) -> None:
    check(pool)


def test_threads_do_not_share_a_network() -> None:
    with ThreadPoolExecutor(4) as executor:
        check(executor)


def test_the_number_of_workers_does_not_change_the_bits(pool: ProcessPoolExecutor) -> None:
    one, two = network(), network()
    with ThreadPoolExecutor(1) as executor:
        train(one, executor=executor)
    train(two, executor=pool)
    assert bits(one) == bits(two)


@pytest.mark.parametrize("parts", [1, 2, 3, 23, 100])
def test_sums_do_not_depend_on_the_parts_but_for_rounding(parts: int) -> None:
    model = network()
    expected = Recorded(model, losses.mse).loss_and_gradients(model.parameters(), POINTS, LABELS)
    with ThreadPoolExecutor(2) as executor:
        sums = Spread(model, losses.mse, executor, parts).loss_and_gradients(model.parameters(), POINTS, LABELS)
    assert sums.loss == pytest.approx(expected.loss, rel=1e-13)
    assert sums.gradient == pytest.approx(expected.gradient, rel=1e-12, abs=1e-13)
    assert sums.outputs == expected.outputs


OPTIONS: dict[str, Any] = {"loss": "mse", "optimizer": "adam", "lr": 0.1, "batch_size": 2, "shuffle": False}
DATA = ([1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0])


def check_death(executor: Executor, folder: Path) -> None:
    """That a death in the fourth epoch loses none of the three before."""
    alone, mortal = Mortal(), Mortal()
    expected = fit(alone, *DATA, **OPTIONS, epochs=6)
    path = folder / "run.json"
    with pytest.raises(TrainingError, match=r"^epoch 4, batch 2: a worker failed: (BrokenProcess|Killed)") as caught:
        fit(mortal, *DATA, **OPTIONS, epochs=6, executor=executor, checkpoint=path, checkpoint_every=5)
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
        objective = Spread(model, losses.mse, executor, 2)
        with pytest.raises(ValueError, match=r"expected 3 input\(s\)"):
            objective.loss_and_gradients(model.parameters(), POINTS, LABELS)
        with pytest.raises(ValueError, match="parts must be a whole number from 1 on"):
            train(network(), executor=executor, parts=0)


def test_what_a_script_defines_goes_along_to_workers_or_is_an_error(
    pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cloudpickle")
    serial, spread = network(), network()
    own = lambda output, target: losses.mse(output, target) * 2.0  # noqa: E731
    train(serial, loss=own)
    train(spread, loss=own, executor=pool)
    assert bits(spread) == pytest.approx(bits(serial), rel=1e-12)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TypeError, match=r"cannot be sent to workers .* or install cloudpickle"):
        train(network(), loss=own, executor=pool)


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
        spread = Spread(Signed(), lambda outputs, target: outputs[0] * target, executor, 8)
        processes = {process for _, process in spread.loss_and_gradients([], POINTS, LABELS).outputs}
        assert len(processes - {float(os.getpid())}) == 2
        check_death(executor, tmp_path)
