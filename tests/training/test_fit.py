"""`fit`: what it minimises, what it says, how it stops, and that it goes on to the same bits."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from test_micrograd import moons_of_the_demo

import microgrid as mg
from microgrid import Value, datasets, fit, losses, nn, no_grad, optim
from microgrid.training import Checkpoint, EarlyStopping, History, Objective, Run, TrainingError
from microgrid.training.sums import loss_and_outputs

POINTS, LABELS = mg.datasets.moons(24, seed=5)


def network(seed: int = 0, **options: Any) -> nn.MLP:
    return nn.MLP(2, [4, 1], activation="tanh", seed=seed, **options)


def bits(model: nn.Module) -> list[float]:
    return [p.data for p in model.parameters()]


def train(model: nn.Module, **options: Any) -> History:
    return fit(model, POINTS, LABELS, **{"loss": "hinge", "optimizer": "sgd", "lr": 0.1, "epochs": 5, **options})


# --- what it minimises ---------------------------------------------------------------------------------------------


def test_the_demo_of_micrograd_is_one_call() -> None:
    np = pytest.importorskip("numpy")
    np.random.seed(1337)
    random.seed(1337)
    points, labels = moons_of_the_demo(np)
    model = nn.MLP(2, [16, 16, 1])
    optimizer = optim.SGD(model.parameters(), lambda step: 1.0 - 0.9 * step / 100)
    penalty = lambda parameters: losses.l2(parameters, 1e-4)  # noqa: E731  # handed on as it is
    options: dict[str, Any] = {"loss": Objective("hinge", penalty=penalty), "metrics": ["accuracy"]}
    history = fit(model, points, labels, optimizer=optimizer, epochs=100, **options)
    assert history.loss[0] == pytest.approx(0.8958441028683222, rel=1e-14)
    assert history.loss[1] == pytest.approx(1.7235905336972022, rel=1e-13)
    assert history.loss[2] == pytest.approx(0.742900631385113, rel=1e-12)
    assert history.loss[98] == pytest.approx(0.0109788883329, rel=1e-9)
    assert (history["accuracy"][0], history["accuracy"][-1]) == (0.5, 1.0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [None, 24, 7, 1])
def test_a_step_follows_the_gradient_of_what_it_says_it_minimises(
    reduction: Literal["mean", "sum"], batch_size: int | None
) -> None:
    model, other = network(), network()
    penalty = lambda parameters: losses.l2(parameters, 0.01)  # noqa: E731  # handed on as it is
    objective = Objective("hinge", reduction=reduction, penalty=penalty)
    history = train(model, epochs=1, batch_size=batch_size, seed=None, loss=objective)
    size = batch_size or 24
    seen = []
    for start in range(0, 24, size):
        batch = list(zip(POINTS, LABELS, strict=True))[start : start + size]
        total = sum((1.0 - label * other(point)).relu() for point, label in batch)
        loss = (total / len(batch) if reduction == "mean" else total) + 0.01 * sum(p * p for p in other.parameters())
        other.zero_grad()
        loss.backward()
        for p in other.parameters():
            p.data -= 0.1 * p.grad
        seen.append((loss.data, len(batch)))
    assert bits(model) == pytest.approx(bits(other), rel=1e-12, abs=1e-14)
    expected = sum(loss * (n / 24 if reduction == "mean" else 1) for loss, n in seen)
    assert history.loss == [pytest.approx(expected, rel=1e-12)]


def test_batches_are_shuffled_by_the_seed_and_anew_in_each_epoch() -> None:
    orders: list[list[float]] = []

    def noted(seed: int | None) -> list[list[float]]:
        orders.append([])
        model = nn.Neuron(1, seed=0)

        def loss(output: Value, target: float) -> Value:
            orders[-1].append(target)
            return output

        fit(model, range(6), range(6), loss=loss, optimizer="sgd", batch_size=2, epochs=2, seed=seed)
        return [orders[-1][:6], orders[-1][6:]]

    first, second = noted(0)
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second
    assert noted(0) == [first, second]
    assert noted(1) != [first, second]
    assert noted(None) == [list(range(6))] * 2


def test_without_a_seed_validation_is_the_last_of_the_samples() -> None:
    model, other = network(), network()
    last = train(model, validation=0.25, seed=None)
    options: dict[str, Any] = {"loss": "hinge", "optimizer": "sgd", "lr": 0.1, "epochs": 5}
    expected = fit(other, POINTS[:18], LABELS[:18], validation=(POINTS[18:], LABELS[18:]), **options)
    assert (last, bits(model)) == (expected, bits(other))
    assert last != train(network(), validation=0.25)


def test_only_the_parameters_of_the_optimizer_change() -> None:
    model = network()
    before = bits(model)
    last = model.layers[1].parameters()
    fit(model, POINTS, LABELS, loss="hinge", optimizer=optim.SGD(last, 0.1), epochs=2)
    assert bits(model)[:12] == before[:12]
    assert bits(model)[12:] != before[12:]


def test_it_trains_within_no_grad_and_any_array_will_do() -> None:
    np = pytest.importorskip("numpy")
    lists, arrays = network(), network()
    train(lists)
    with no_grad():
        fit(arrays, map(tuple, POINTS), np.array(LABELS), loss=losses.hinge, optimizer="sgd", lr=0.1, epochs=5)
    assert bits(lists) == bits(arrays)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
@pytest.mark.parametrize("loss", ["mse", "hinge", "huber", "binary_cross_entropy_with_logits"])
def test_every_loss_falls_with_every_optimizer(name: str, loss: str) -> None:
    labels = [max(label, 0) for label in LABELS] if loss.startswith("binary") else LABELS
    history = fit(network(), POINTS, labels, loss=loss, optimizer=name, lr=0.03, epochs=12)
    assert history.loss[-1] < 0.97 * history.loss[0]


def test_classes_are_learned_with_cross_entropy_and_its_accuracy() -> None:
    points, labels = mg.datasets.blobs(30, spread=0.2)
    model = nn.MLP(2, [3], seed=0)
    history = fit(model, points, labels, loss="cross_entropy", lr=0.2, epochs=40, metrics=["accuracy"])
    assert history["accuracy"][-1] == 1.0
    assert history.loss[-1] < 0.1 < history.loss[0]


def test_accuracy_tells_yes_from_no_at_zero_where_targets_are_negative() -> None:
    model = nn.Neuron(1, nonlin=False)
    model.w[0].data, model.b.data = 0.3, 0.0
    options: dict[str, Any] = {"loss": "mse", "optimizer": "sgd", "lr": 0.0, "epochs": 1, "metrics": ["accuracy"]}
    assert fit(model, [1.0, -1.0], [1, -1], **options)["accuracy"] == [1.0]
    assert fit(model, [1.0, -1.0], [1, 0], **options)["accuracy"] == [0.5]


# --- what it says --------------------------------------------------------------------------------------------------


def test_validation_is_measured_apart() -> None:
    vx, vy = mg.datasets.moons(10, seed=8)

    def score(output: float, target: int) -> float:
        return output * target

    model = network()
    history = train(model, validation=(vx, vy), metrics=["accuracy", score])
    assert set(history.measured) == {
        f"{side}{name}" for name in ("accuracy", "score") for side in ("", "validation_")
    } | {"validation_loss"}
    assert all(len(curve) == 5 for curve in history.measured.values())
    outputs = [model(point).data for point in vx]
    margins = [o * t for o, t in zip(outputs, vy, strict=True)]
    assert history["validation_score"][-1] == pytest.approx(sum(margins) / 10)
    assert history["validation_accuracy"][-1] == sum(m > 0 for m in margins) / 10
    assert history["validation_loss"][-1] == pytest.approx(sum(max(0.0, 1.0 - m) for m in margins) / 10)
    with pytest.raises(KeyError, match="there is loss, accuracy"):
        history["f1"]


def test_a_fraction_is_kept_apart_for_validation() -> None:
    rows: list[set[float]] = []

    def loss(output: Value, target: float) -> Value:
        rows[-1].add(target)
        return (output - target) ** 2

    def seen(recorded: bool) -> set[float]:
        rows.append(set())
        fit(nn.Neuron(1, seed=0), range(10), range(10), loss=loss, epochs=int(recorded), validation=0.3, seed=4)
        return rows[-1]

    assert seen(False) == set()
    assert seen(True) == set(range(10))
    losses_seen = fit(nn.Neuron(1, seed=0), range(10), range(10), loss="mse", epochs=2, validation=0.3).measured
    assert len(losses_seen["validation_loss"]) == 2


def test_a_history_shows_its_ends_and_plots_itself() -> None:
    pytest.importorskip("matplotlib")
    history = train(network(), validation=(POINTS, LABELS), metrics=["accuracy"])
    assert repr(history).startswith("History of 5 epochs: loss ")
    assert len(history) == 5
    figure = history.plot(title="two moons")
    left, right = figure.axes
    assert [list(line.get_ydata()) for line in left.lines] == [history.loss, history["validation_loss"]]
    assert [list(line.get_ydata()) for line in right.lines] == [history["accuracy"], history["validation_accuracy"]]
    assert left.get_yscale() == "log"
    picture = history._repr_png_()
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert repr(History()) == "History of no epoch"


def test_callbacks_see_the_run_and_may_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    def tell(run: Run) -> None:
        if run.epoch % 2 == 0:
            print(f"Epoch {run.epoch}/{run.epochs} Cost: {run.loss:.3f}")
        if run.epoch == 4:
            run.stop("enough")

    history = train(network(), epochs=10, callbacks=[tell])
    out = capsys.readouterr().out.splitlines()
    assert out == [f"Epoch {n}/10 Cost: {history.loss[n - 1]:.3f}" for n in (2, 4)]
    assert (len(history), history.stopped) == (4, "enough")
    assert repr(history).endswith("(enough)")


def test_early_stopping_brings_back_the_best() -> None:
    model = network()
    seen: list[list[float]] = []
    stopping = EarlyStopping(3)
    history = train(
        model,
        lr=8.0,
        epochs=200,
        validation=(POINTS[:5], LABELS[:5]),
        callbacks=[lambda run: seen.append(bits(run.model)), stopping],
    )
    best = min(history["validation_loss"])
    assert len(history) < 200
    assert stopping.best == best
    assert stopping.best_epoch == history["validation_loss"].index(best) + 1 == len(history) - 3
    assert bits(model) == seen[stopping.best_epoch - 1]
    assert history.stopped.startswith("validation_loss was best in epoch")
    with pytest.raises(ValueError, match="at least 1"):
        EarlyStopping(0)


def test_early_stopping_begins_anew_with_each_run() -> None:
    stopping = EarlyStopping(2)
    easy, hard = nn.Neuron(1, nonlin=False, seed=0), nn.Neuron(1, nonlin=False, seed=1)
    options: dict[str, Any] = {"loss": "mse", "optimizer": "sgd", "epochs": 30, "callbacks": [stopping]}
    fit(easy, [[0.0], [1.0]], [0.0, 1.0], lr=0.3, **options)
    history = fit(hard, [[0.0], [1.0]], [50.0, 10.0], lr=1e-3, **options)
    assert not history.stopped
    assert stopping.best == history.loss[-1]


def test_early_stopping_may_watch_an_accuracy() -> None:
    stopping = EarlyStopping(2, monitor="accuracy", highest=True, restore_best=False)
    history = train(network(), lr=0.0, epochs=50, metrics=["accuracy"], callbacks=[stopping])
    assert len(history) == 3


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_the_bar_is_shown_when_asked_and_quiet_without_a_terminal(
    progress: bool | None, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    train(network(), progress=progress, metrics=["accuracy"])
    err = capsys.readouterr().err
    assert ("5/5" in err and "loss=" in err and "accuracy=" in err) == shown
    assert bool(err) == shown


def test_a_missing_package_is_one_line_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tqdm", "tqdm.auto", "matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    history = train(network())  # quiet, where there is no tqdm
    with pytest.raises(ImportError, match=r"tqdm is not installed.*: pip install numpy matplotlib tqdm"):
        train(network(), progress=True)
    with pytest.raises(ImportError, match=r"matplotlib is not installed.*: pip install numpy matplotlib tqdm"):
        history.plot()
    assert history._repr_png_() is None


# --- how it stops, and goes on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
@pytest.mark.parametrize("stop", range(1, 9))
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, name: str, stop: int) -> None:
    options: dict[str, Any] = {"optimizer": name, "lr": 0.05, "batch_size": 5, "metrics": ["accuracy"], "seed": 3}
    options["validation"] = (POINTS[:4], LABELS[:4])
    whole, first, second = network(), network(), network(seed=1)
    expected = train(whole, epochs=8, **options)
    train(first, epochs=stop, callbacks=[Checkpoint(tmp_path / "run.json")], **options)
    history = train(second, epochs=8, resume=tmp_path / "run.json", **options)
    assert bits(second) == bits(whole)
    assert history == expected


def test_early_stopping_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    options: dict[str, Any] = {"lr": 8.0, "epochs": 200, "validation": (POINTS[:5], LABELS[:5])}
    whole, cut = network(), network()
    expected = train(whole, callbacks=[EarlyStopping(3)], **options)
    stop_at = len(expected) - 2
    train(cut, **{**options, "epochs": stop_at}, callbacks=[Checkpoint(tmp_path / "run.json"), EarlyStopping(3)])
    history = train(cut, callbacks=[EarlyStopping(3)], resume=tmp_path / "run.json", **options)
    assert (history, bits(cut)) == (expected, bits(whole))


def test_a_run_that_was_stopped_early_stays_so(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 50, "lr": 3.0}
    model, again = network(), network()
    history = train(model, callbacks=[Checkpoint(tmp_path / "run.json"), EarlyStopping(2)], **options)
    assert history.stopped
    assert len(history) < 50
    resumed = train(again, callbacks=[EarlyStopping(2)], resume=tmp_path / "run.json", **options)
    assert (resumed, bits(again)) == (history, bits(model))


def test_a_checkpoint_is_written_after_so_many_epochs_and_after_the_last(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    written = []

    def look(run: Run) -> None:
        written.append(len(json.loads(path.read_text())["history"]["loss"]) if path.exists() else 0)

    train(network(), epochs=7, callbacks=[Checkpoint(path, every=3), look])
    assert written == [0, 0, 0, 3, 3, 3, 6]
    assert len(json.loads(path.read_text())["history"]["loss"]) == 7


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"batch_size": 4}, "batch_size = 5, this one has 4"),
        ({"seed": 1}, "seed = 0, this one has 1"),
        ({"loss": "mse"}, "loss = 'hinge', this one has 'mse'"),
        ({"loss": Objective("hinge", reduction="sum")}, "reduction = 'mean'"),
        ({"validation": (POINTS, LABELS)}, "data = "),
        ({"optimizer": "adam"}, "does not fit: this is the state of SGD, not of Adam"),
        ({"callbacks": [EarlyStopping()]}, r"0 callback\(s\) that remember, this run 1"),
    ],
)
def test_a_checkpoint_of_another_run_says_what_differs_and_changes_nothing(
    tmp_path: Path, change: dict[str, Any], advice: str
) -> None:
    train(network(), batch_size=5, callbacks=[Checkpoint(tmp_path / "run.json")])
    model = network(seed=2)
    before = bits(model)
    with pytest.raises(ValueError, match=advice):
        train(model, **{"batch_size": 5, **change}, epochs=9, resume=tmp_path / "run.json")
    assert bits(model) == before
    with pytest.raises(ValueError, match=r"does not fit: these parameters .*\.w has 4 number\(s\) there and 5"):
        train(nn.MLP(2, [5, 1]), batch_size=5, resume=tmp_path / "run.json")


@pytest.mark.parametrize("moment", ["in the loss", "in the step", "in a callback"])
def test_ctrl_c_returns_what_was_learned_so_far(moment: str, tmp_path: Path) -> None:
    steps = 0

    class Interrupted(optim.SGD):
        def update(self, data: list[float], gradients: list[float], rate: float) -> list[float]:
            nonlocal steps
            steps += 1
            new = super().update(data, gradients, rate)
            if moment == "in the step" and steps == 8:
                raise KeyboardInterrupt
            return new

    def loss(output: Value, target: float) -> Value:
        if moment == "in the loss" and steps == 8:
            raise KeyboardInterrupt
        return losses.hinge(output, target)  # type: ignore[no-any-return]

    def callback(run: Run) -> None:
        if moment == "in a callback" and run.epoch == 3:
            raise KeyboardInterrupt

    model = network()
    optimizer = Interrupted(model.parameters(), 0.1)
    options: dict[str, Any] = {"loss": loss, "batch_size": 8, "lr": None, "epochs": 6}
    checkpoint = tmp_path / "run.json"
    history = train(model, optimizer=optimizer, callbacks=[callback, Checkpoint(checkpoint)], **options)
    assert history.stopped == "interrupted in epoch 3"
    assert len(history) == (3 if moment == "in a callback" else 2)
    same = network()
    train(same, optimizer=optim.SGD(same.parameters(), 0.1), **{**options, "loss": "hinge", "epochs": 2})
    if moment == "in the step":  # which was half done: back to the epoch before
        assert bits(model) == bits(same)
    else:
        assert bits(model) != bits(same)
    whole, resumed = network(), network()
    moment = ""
    expected = train(whole, optimizer=Interrupted(whole.parameters(), 0.1), **options)
    second = Interrupted(resumed.parameters(), 0.1)
    assert train(resumed, optimizer=second, resume=checkpoint, **options).loss == expected.loss
    assert bits(resumed) == bits(whole)


ENDLESS = """
import sys
import microgrid as mg
model = mg.nn.MLP(2, [4, 1], seed=0)
x, y = mg.datasets.moons(20)
tell = lambda run: print("epoch", run.epoch, flush=True) if run.epoch < 4 else None
keep = mg.training.Checkpoint(sys.argv[1], every=50)
history = mg.fit(model, x, y, loss="hinge", epochs=10**9, callbacks=[tell, keep])
print(history.stopped, len(history.loss) > 2, flush=True)
model.save(sys.argv[2])
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent otherwise there")
def test_a_real_ctrl_c_ends_a_real_process_with_what_it_learned(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "run.json"), str(tmp_path / "model.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for n in (1, 2, 3):
            assert process.stdout.readline() == f"epoch {n}\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("interrupted in epoch ")
    assert out.endswith(" True\n")
    nn.MLP(2, [4, 1]).load(tmp_path / "model.json")


def test_nan_stops_the_run_and_says_where_it_was_born() -> None:
    class Log(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Neuron(1, nonlin=False, seed=0)

        def __call__(self, x: Any) -> Value:
            return self.inner(x).log()

    model = Log()
    model.inner.w[0].data = 1.0
    x = [1.0, 2.0, 3.0, -1.0, 4.0]
    before = bits(model)
    with pytest.raises(TrainingError) as caught:
        fit(model, x, x, loss="mse", optimizer="sgd", lr=0.01, batch_size=2, seed=None, epochs=3)
    message = str(caught.value)
    assert message.startswith("epoch 1, batch 2: the loss is nan; row 3: log(-")
    assert f" gave nan, in Log, at {__file__}:" in message
    assert bits(model) == before
    assert caught.value.history == History()


def test_a_loss_of_probabilities_says_what_to_do_with_other_outputs() -> None:
    advice = "; binary_cross_entropy takes probabilities: end the network in a sigmoid"
    for loss, targets in (("binary_cross_entropy", 1.0), (lambda output, y: (output - 2.0).log(), 0.0)):
        model = nn.Neuron(1, nonlin=False, seed=0)
        model.w[0].data = -1.0
        with pytest.raises(TrainingError, match="gave nan") as caught:
            fit(model, [1.0, 2.0], [targets] * 2, loss=loss, epochs=1, progress=False)
        assert (advice in str(caught.value)) == (loss == "binary_cross_entropy")


def test_an_infinity_that_comes_to_nothing_is_not_blamed() -> None:
    class Clipped(nn.Module):
        def __init__(self) -> None:
            self.w = Value(1.0)

        def __call__(self, x: Any) -> Value:
            big = (x[0] * x[0] * self.w * 800.0).exp()  # inf for x = 1, too
            return mg.where(x[0] > 0.5, 1.0 + 0.0 * self.w, big)  # type: ignore[no-any-return]

    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: the loss is inf; row 1: exp\(.*\) gave inf"):
        fit(Clipped(), [1.0, -1.0, 1.0], [0.0, 0.0, 0.0], loss=lambda o, t: o * o, optimizer="sgd", lr=0.1, epochs=1)


def test_steps_that_run_away_are_told_as_such_and_the_last_whole_epoch_stays() -> None:
    model = nn.Neuron(1, nonlin=False, seed=0)
    x = [1.0, 2.0, 3.0]
    with pytest.raises(TrainingError) as caught:
        fit(model, x, x, loss="mse", optimizer="sgd", lr=1e30, epochs=20)
    error = caught.value
    assert "the loss is inf; row" in str(error)
    assert all(map(math.isfinite, bits(model)))
    assert len(error.history) > 1
    assert all(map(math.isfinite, error.history.loss))
    again = nn.Neuron(1, nonlin=False, seed=1)
    history = fit(again, x, x, loss="mse", optimizer="sgd", lr=0.1, epochs=len(error.history), resume=error.checkpoint)
    assert bits(again) == bits(model)
    assert history == error.history


def test_a_step_that_overflows_names_the_parameter() -> None:
    model = nn.Neuron(1, nonlin=False, seed=0)
    with pytest.raises(TrainingError, match=r"made the parameter w\[0\] -?inf: a smaller learning rate, or clip_norm"):
        fit(model, [1e200], [0.0], loss="mae", optimizer="sgd", lr=1e200, epochs=3)


def test_a_run_may_take_place_in_a_thread() -> None:
    models = [network(), network()]
    threads = [threading.Thread(target=train, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = network()
    train(alone)
    assert bits(models[0]) == bits(models[1]) == bits(alone)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"loss": "hinges"}, "choose one of mse"),
        ({"optimizer": "adamm"}, "choose one of sgd, adagrad"),
        ({"metrics": ["dice"]}, "there is 'accuracy'"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 on, got 0"),
        ({"metrics": ["accuracy", "accuracy"]}, "two metrics are called accuracy"),
        ({"epochs": -1}, "epochs must be a whole number from 0 on"),
        ({"validation": 1.5}, "a fraction between 0 and 1"),
        ({"validation": 0.01}, "leaves nothing"),
        ({"validation": (POINTS, [0] * 24)}, "validation y, row 0: label 0 is neither -1 nor 1"),
        ({"optimizer": optim.SGD([Value(1.0)])}, "goes with the name"),
        ({"optimizer": optim.SGD([Value(1.0)]), "lr": None}, "make it from model.parameters()"),
        ({"loss": "cross_entropy"}, "y, row 0: label 1 is none of the classes 0 to 0"),
    ],
)
def test_misuse_says_what_to_change_and_changes_nothing(change: dict[str, Any], advice: str) -> None:
    model = network()
    before = bits(model)
    with pytest.raises(ValueError, match=advice):
        train(model, **change)
    assert bits(model) == before
    with pytest.raises(ValueError, match=r"expected 2 input\(s\)"):
        fit(model, [[1, 2, 3]], [1], loss="hinge")
    with pytest.raises(TypeError, match=r"trains a module of microgrid\.nn, got function"):
        fit(cast(Any, lambda x: x), [[1.0, 2.0]], [1.0], loss="mse")
    with pytest.raises(TypeError, match="metrics must be a list, got 'accuracy'"):
        fit(nn.MLP(2, [1]), [[1.0, 2.0]], [1.0], loss="mse", metrics="accuracy")
    with pytest.raises(TypeError, match="callbacks must be a list"):
        fit(nn.MLP(2, [1]), [[1.0, 2.0]], [1.0], loss="mse", callbacks=cast(Any, EarlyStopping()))
    with pytest.raises(TypeError, match="loss of a sample must be a Value"):
        train(model, loss=lambda output, target: 1.0)
    with pytest.raises(TypeError, match="penalty must be a Value"):
        train(model, loss=Objective("hinge", penalty=lambda parameters: 1.0))
    with pytest.raises(ValueError, match="the checkpoint is not whole: it has no optimizer"):
        train(model, resume={"settings": {}, "parameters": {}})


# --- compiled ------------------------------------------------------------------------------------------------------


LOSSES: dict[str, tuple[int, Callable[[int], Any]]] = {
    "hinge": (1, lambda i: 1.0 if i % 2 else -1.0),
    "mse": (2, lambda i: [0.1 * i, 1.0]),
    "binary_cross_entropy_with_logits": (1, lambda i: float(i % 2)),
    "cross_entropy": (3, lambda i: i % 3),
    "huber": (1, lambda i: 0.3 * i),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_compiled_runs_are_recorded_runs_to_rounding(loss: str, batch_size: int | None) -> None:
    pytest.importorskip("llvmlite")
    outputs, target = LOSSES[loss]
    x, y = [[0.1 * i, 1.0 - 0.2 * i] for i in range(8)], [target(i) for i in range(8)]
    runs = []
    for compile in (False, True):
        model = nn.MLP(2, [4, outputs], activation="tanh", seed=0)
        metrics = ["accuracy"] if loss not in ("mse", "huber") else []
        objective = Objective(loss, compile=compile)
        history = fit(model, x, y, loss=objective, epochs=20, batch_size=batch_size, metrics=metrics, progress=False)
        runs.append((history, [p.data for p in model.parameters()], [p.grad for p in model.parameters()]))
    (recorded, *theirs), (compiled, *ours) = runs
    assert compiled.how == "compiled"
    assert recorded.how == "recorded, since compile=False"
    assert compiled.loss == pytest.approx(recorded.loss, rel=1e-9, abs=1e-12)
    assert compiled.measured == recorded.measured
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)


class Drawing(nn.Module):
    """It leaves out half of its outputs, by chance."""

    def __init__(self) -> None:
        self.inner = nn.MLP(2, [3], seed=0)

    def __call__(self, x: Any) -> Any:
        return [z * float(random.random() < 0.5) for z in self.inner(x)]


class Frozen(nn.Module):
    """A number of its own, taken without its graph, goes into what it gives."""

    def __init__(self) -> None:
        self.inner = nn.MLP(2, [1], seed=0)

    def __call__(self, x: Any) -> Any:
        with no_grad():
            scale = self.inner([1.0, 2.0])
        return self.inner(x) * scale


class Branching(nn.Module):
    """It goes one way or the other, by a number."""

    def __init__(self) -> None:
        self.inner = nn.MLP(2, [1], seed=0)

    def __call__(self, x: Any) -> Any:
        z = self.inner(x)
        return z if z > 0.0 else z * 0.1


@pytest.mark.parametrize(("kind", "why"), [(Drawing, "draw at random"), (Frozen, "no_grad"), (Branching, "where")])
def test_what_compiled_code_would_get_wrong_is_recorded_and_said(
    kind: type[nn.Module], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("microgrid.training.compiled_sums.ENOUGH", 1)
    x, y = [[0.1 * i, 0.3 * i] for i in range(6)], [[1.0] * 3 if kind is Drawing else 1.0] * 6
    runs = []
    for compile in ("auto", False):
        random.seed(1)
        model = kind()
        objective = Objective("mse", compile=compile)
        history = fit(model, x, y, loss=objective, lr=0.1, optimizer="sgd", epochs=4, progress=False)
        runs.append([p.data for p in model.parameters()])
        if compile == "auto":
            assert history.how.startswith("recorded, since ")
            assert why in history.how
    if kind is not Drawing:
        assert runs[0] == pytest.approx(runs[1], rel=1e-12)
    with pytest.raises((TypeError, RuntimeError), match=why):
        fit(kind(), x, y, loss=Objective("mse", compile=True), epochs=4, progress=False)


class Weighted(nn.Module):
    """It multiplies by a number in an attribute."""

    def __init__(self) -> None:
        self.inner, self.scale = nn.MLP(1, [3, 1], seed=0), 1.0

    def __call__(self, x: Any) -> Any:
        return self.inner(x) * self.scale


@pytest.mark.parametrize("where", ["model", "dict", "loss"])
def test_a_number_that_changes_in_an_object_is_seen_at_once(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("microgrid.training.compiled_sums.ENOUGH", 1)
    x, y = [[0.1 * i] for i in range(20)], [0.3 * i for i in range(20)]

    class Loss:
        weight = 1.0

        def __call__(self, out: Any, target: Any) -> Any:
            return self.weight * settings["weight"] * (out - target) ** 2

    runs = []
    for compile in ("auto", False):
        model, settings, loss = Weighted(), {"weight": 1.0}, Loss()

        def change(run: Run, model: Any = model, settings: Any = settings, loss: Any = loss) -> None:
            if run.epoch == 9:
                if where == "model":
                    model.scale = 3.0
                elif where == "dict":
                    settings["weight"] = 3.0
                else:
                    loss.weight = 3.0

        objective = Objective(loss, compile=compile)
        runs.append(fit(model, x, y, loss=objective, epochs=12, callbacks=[change], progress=False))
    assert runs[0].how == "compiled"
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-12)


RARE = {2: 10.0}


@pytest.mark.parametrize(
    ("factor", "why"),
    [
        (lambda y: RARE.get(y, 1.0), "recorded, since compiled code gives"),
        (lambda y: {0: 1.0, 1: 2.0, 2: 3.0}[y], "recorded, since KeyError"),
        (lambda y: y.bit_length(), "recorded, since AttributeError"),
    ],
)
def test_a_loss_that_looks_its_target_up_is_recorded(
    factor: Callable[[Any], float], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Value is in no table of whole numbers; and the rare class is in none of the first batches."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("microgrid.training.compiled_sums.ENOUGH", 1)
    x, y = [[0.1 * i] for i in range(40)], [0, 1] * 18 + [2] * 4
    runs = [
        fit(
            nn.MLP(1, [3, 1], seed=0),
            x,
            y,
            loss=Objective(lambda out, target: out * out * factor(target), compile=compile),
            batch_size=8,
            seed=None,
            epochs=2,
        )
        for compile in ("auto", False)
    ]
    assert runs[0].how.startswith(why)
    assert runs[0].loss == runs[1].loss


def test_targets_that_differ_in_length_in_a_later_batch_are_compiled_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("microgrid.training.compiled_sums.ENOUGH", 1)
    x, y = [[0.1 * i] for i in range(40)], [[1.0, 2.0]] * 35 + [[1.0, 2.0, 3.0]] * 5
    runs = [
        fit(
            nn.MLP(1, [3, 1], seed=0),
            x,
            y,
            loss=Objective(lambda out, target: sum((out - t) ** 2 for t in target), compile=compile),
            batch_size=8,
            seed=None,
            epochs=2,
        )
        for compile in ("auto", False)
    ]
    assert runs[0].how == "compiled"
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-12)


@pytest.mark.parametrize("metrics", [["accuracy"], []])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_validation_runs_in_compiled_code_with_the_numbers_of_recording(
    batch_size: int | None, metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    x, y = datasets.moons(40)
    recorded = loss_and_outputs
    calls: list[int] = []

    def watched(model: Any, loss: Any, xs: Any, ys: Any) -> Any:
        calls.append(len(xs))
        return recorded(model, loss, xs, ys)

    monkeypatch.setattr("microgrid.training.loop.loss_and_outputs", watched)

    def run(compile: bool) -> History:
        model = nn.Sequential(
            nn.Layer(2, 6, activation="tanh", seed=1), nn.Dropout(0.3, seed=5), nn.Layer(6, 1, seed=2)
        )
        return fit(
            model, x, y, loss=Objective("hinge", compile=compile), lr=0.05, epochs=3, batch_size=batch_size,
            validation=0.25, metrics=metrics, progress=False,
        )  # fmt: skip

    ours, theirs = run(True), run(False)
    assert ours.how == "compiled"
    assert calls == [10, 10, 10]  # those of the recorded run
    for name in ["validation_loss", *(f"validation_{metric}" for metric in metrics)]:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9)


def test_auto_compiles_where_there_is_enough_to_compute(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("tqdm")
    x = [[0.01 * i, 1.0] for i in range(200)]
    small = fit(nn.MLP(2, [1]), x[:4], [1.0] * 4, loss="mse", epochs=1, progress=False)
    assert small.how == "recorded, since there is little to compute"
    large = fit(nn.MLP(2, [16, 16, 1]), x, [1.0] * 200, loss="mse", epochs=2, progress=True)
    assert large.how == "compiled"
    captured = capsys.readouterr()
    assert "fit: compiled" in captured.out + captured.err
    shared = nn.Sequential(nn.Conv2d(1, 2, 3, seed=0), nn.Flatten(), nn.Linear(72, 1, seed=1))  # 93 weights, used often
    images = [[[[0.1 * (i + j + k) for k in range(8)] for j in range(8)]] for i in range(32)]
    assert fit(shared, images, [1.0] * 32, loss="mse", epochs=1, progress=False).how == "compiled"
    often = fit(nn.MLP(2, [16, 16, 1]), x * 25, [1.0] * 5000, loss="mse", epochs=1, batch_size=10, progress=False)
    assert often.how == "compiled"


def test_a_weight_that_changes_is_seen_and_soon_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("microgrid.training.compiled_sums.ENOUGH", 1)
    x, y = [[0.1 * i] for i in range(50)], [0.3 * i for i in range(50)]
    weight = 1.0

    def weighted(out: Any, target: Any) -> Any:
        return weight * (out - target) ** 2

    def anneal(run: Run) -> None:
        nonlocal weight
        weight *= 0.9

    runs = []
    for compile in ("auto", True, False):
        weight = 1.0
        model = nn.MLP(1, [4, 1], seed=0)
        runs.append(fit(model, x, y, loss=Objective(weighted, compile=compile), epochs=8, lr=0.01, callbacks=[anneal]))
    assert [run.how for run in runs] == [
        "compiled, then recorded, since numbers that the loss finds outside keep changing",
        "compiled",
        "recorded, since compile=False",
    ]
    for run in runs[:2]:
        assert run.loss == pytest.approx(runs[2].loss, rel=1e-12)


class Pair(nn.Module):
    """Two outputs, as a tuple."""

    def __init__(self) -> None:
        self.inner = nn.MLP(2, [3, 2], seed=0)

    def __call__(self, x: Any) -> Any:
        first, second = self.inner(x)
        return first, second


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_network_may_give_a_tuple(loss: str) -> None:
    pytest.importorskip("llvmlite")
    x = [[0.1 * i, 0.3 * i] for i in range(12)]
    y: list[Any] = [i % 2 for i in range(12)] if loss == "cross_entropy" else [[1.0, 0.5]] * 12
    runs = [fit(Pair(), x, y, loss=Objective(loss, compile=c), epochs=3, metrics=["accuracy"]) for c in (True, False)]
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-12)
    assert runs[0]["accuracy"] == runs[1]["accuracy"]
    assert runs[0].how == "compiled"


def test_an_objective_or_checkpoint_that_cannot_be_says_what_to_change() -> None:
    with pytest.raises(ValueError, match='compile must be "auto", True or False'):
        Objective("mse", compile=cast(Any, "yes"))
    with pytest.raises(ValueError, match="'mean' or 'sum'"):
        Objective("mse", reduction=cast(Any, "none"))
    with pytest.raises(ValueError, match="choose one of mse"):
        Objective("hinges")
    with pytest.raises(ValueError, match="every must be a whole number from 1 on"):
        Checkpoint("run.json", every=0)
    with pytest.raises(TypeError, match=r"a callback is a function .* or has a method keep\(run\), got 'film'"):
        train(network(), callbacks=["film"])


class Convolution(nn.Module):
    """Slides a 2 x 2 kernel over an image, and sums; its parameters are an array."""

    def __init__(self) -> None:
        np = pytest.importorskip("numpy")
        self.kernel = np.array([[Value(0.1), Value(-0.2)], [Value(0.3), Value(0.4)]])

    def __call__(self, image: Any) -> Value:
        places = [(i, j) for i in range(len(image) - 1) for j in range(len(image[0]) - 1)]
        return sum(
            (
                sum(self.kernel[a, b] * image[i + a][j + b] for a in range(2) for b in range(2)).tanh()
                for i, j in places
            ),
            Value(0.0),
        )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("as_array", [False, True])
def test_images_are_samples_of_two_axes(compiled: bool, as_array: bool) -> None:
    """fit's steps of gradient descent are those of a loop by hand."""
    np = pytest.importorskip("numpy")
    if compiled:
        pytest.importorskip("llvmlite")
    images = np.random.default_rng(0).normal(size=(5, 3, 4))
    targets = images.sum(axis=(1, 2))
    model, by_hand = Convolution(), Convolution()
    loss = Objective("mse", compile=compiled)
    x = images if as_array else images.tolist()
    history = fit(model, x, targets, loss=loss, optimizer="sgd", lr=0.01, epochs=3, validation=(x[:2], targets[:2]))
    losses_by_hand = []
    for _ in range(3):
        for p in by_hand.parameters():
            p.grad = 0.0
        total = sum((by_hand(im.tolist()) - t) ** 2 for im, t in zip(images, targets, strict=True)) / 5
        total.backward()
        losses_by_hand.append(total.data)
        for p in by_hand.parameters():
            p.data -= 0.01 * p.grad
    assert history.loss == pytest.approx(losses_by_hand, rel=1e-9)
    assert [p.data for p in model.parameters()] == pytest.approx([p.data for p in by_hand.parameters()], rel=1e-9)
    with pytest.raises(ValueError, match=r"validation x has rows of 2 x 4 number\(s\), x of 3 x 4"):
        fit(model, x, targets, loss=loss, validation=(images[:, :2], targets))
