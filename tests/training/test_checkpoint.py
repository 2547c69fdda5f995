"""Checkpoints: a damaged one, or one of another run, is one clear error, and nothing has changed."""

from __future__ import annotations

import copy
import functools
import json
import math
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import fit, losses, nn, optim
from microgrid.core.files import digest
from microgrid.training import Checkpoint, EarlyStopping, History, Objective, Run

POINTS, LABELS = mg.datasets.moons(10, seed=5)


def network(seed: int = 0, **options: Any) -> nn.MLP:
    return nn.MLP(2, [2, 1], seed=seed, **{"activation": "tanh", **options})


def bits(model: nn.Module) -> list[float]:
    return [p.data for p in model.parameters()]


def train(model: nn.Module, **options: Any) -> History:
    standard = {"loss": "hinge", "optimizer": "adam", "lr": 0.1, "batch_size": 4, "epochs": 3, "progress": False}
    return fit(model, POINTS, LABELS, **{**standard, **options})


def goes_on(path: Path, optimizer: str) -> tuple[History, list[float]]:
    """Resumes from the file. If that is an error, it names the file, and nothing has changed."""
    model = network(seed=1)
    own = optim.OPTIMIZERS[optimizer](model.parameters(), 0.1)
    stopping = EarlyStopping(9)
    before = bits(model), own.state_dict()
    refused = None
    try:
        history = train(model, optimizer=own, lr=None, epochs=5, callbacks=[stopping], resume=path)
    except ValueError as error:
        refused = error
    if refused is not None:
        assert str(path) in str(refused)
        assert "\n" not in str(refused)
        assert (bits(model), own.state_dict()) == before
        assert (stopping.best, stopping.best_epoch, stopping.best_parameters) == (None, 0, [])
        raise refused
    return history, bits(model)


@functools.cache
def written(optimizer: str) -> tuple[str, History, list[float]]:
    """The text of a good checkpoint, and how a run goes on from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        train(network(), optimizer=optimizer, callbacks=[EarlyStopping(9), Checkpoint(path)])
        return path.read_text("utf-8"), *goes_on(path, optimizer)


def good(optimizer: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(written(optimizer)[0])
    return content


# --- each field, changed -------------------------------------------------------------------------------------------


def fields(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each item of lists and dicts, at every depth."""
    if isinstance(content, (dict, list)):
        for key, item in content.items() if isinstance(content, dict) else enumerate(content):
            yield (*path, key)
            yield from fields(item, (*path, key))


def changed(content: dict[str, Any], path: tuple[Any, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    new = copy.deepcopy(content)
    *way, last = path
    holder = new
    for key in way:
        holder = holder[key]
    item = change(holder[last])
    if item is DELETED:
        del holder[last]
    else:
        holder[last] = item
    return new


DELETED = object()

CHANGES: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda x: DELETED,
    "null": lambda x: None,
    "negative": lambda x: -x if isinstance(x, (int, float)) and x else -1,
    "huge": lambda x: 1e300,
    "a whole number of 400 digits": lambda x: 10**400,
    "inf": lambda x: "inf",
    "nan": lambda x: "nan",
    "a word": lambda x: "word",
    "true": lambda x: True,
    "a list": lambda x: [x],
    "an object": lambda x: {"x": x},
    "empty": lambda x: type(x)(),
    "a bit more": lambda x: math.nextafter(x, math.inf) if isinstance(x, float) else x,
}


@given(data=st.data(), change=st.sampled_from(list(CHANGES)), optimizer=st.sampled_from(["sgd", "rmsprop", "adam"]))
@settings(max_examples=150, deadline=None)
def test_a_checkpoint_with_a_changed_field_goes_on_identically_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, change: str, optimizer: str
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    content = good(optimizer)
    path.write_text(json.dumps(changed(content, data.draw(st.sampled_from(list(fields(content)))), CHANGES[change])))
    try:
        again = goes_on(path, optimizer)
    except ValueError:
        return
    assert again == written(optimizer)[1:]


@given(data=st.data(), change=st.sampled_from(list(CHANGES)), optimizer=st.sampled_from(["sgd", "rmsprop", "adam"]))
@settings(max_examples=150, deadline=None)
def test_what_no_run_could_have_written_is_refused_though_its_digest_is_right(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, change: str, optimizer: str
) -> None:
    """The parts are looked at, too: errors that they cause later would come after changes."""
    path = tmp_path_factory.mktemp("run") / "run.json"
    content = good(optimizer)
    forged = changed(content, data.draw(st.sampled_from(list(fields(content)))), CHANGES[change])
    if "digest" in forged and "format" in forged:
        forged["digest"] = digest({name: part for name, part in forged.items() if name not in ("digest", "format")})
    path.write_text(json.dumps(forged))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            goes_on(path, optimizer)
        except (ValueError, mg.training.TrainingError):
            return


@pytest.mark.parametrize(
    ("place", "number"),
    [
        (("optimizer",), None),
        (("optimizer", "steps"), DELETED),
        (("optimizer", "steps"), -1),
        (("optimizer", "memory", "squares", 0), 1e300),
        (("optimizer", "memory", "mean", 0), 1e300),
        (("parameters", "layers[0].neurons[0].b"), True),
        (("callbacks", 0, "best_epoch"), 2),
    ],
)
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path, place: tuple[Any, ...], number: Any) -> None:
    content = good("adam")
    (tmp_path / "run.json").write_text(json.dumps(changed(content, place, lambda x: number)))
    with pytest.raises(ValueError, match=r"run\.json is damaged: it holds something else than what was written"):
        goes_on(tmp_path / "run.json", "adam")


@given(st.data())
@settings(deadline=None)
def test_a_file_that_was_cut_or_hit_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    raw = written("adam")[0].encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    path.write_bytes(
        raw[:at] if data.draw(st.booleans()) else raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + 1 :]
    )
    try:
        again = goes_on(path, "adam")
    except ValueError:
        return
    assert again == written("adam")[1:]


def penalised(strength: float) -> Objective:
    return Objective("hinge", penalty=lambda ps: losses.l2(ps, strength))


# --- other hyperparameters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"lr": 0.1}, {"lr": 0.05}, r"lr = 0\.1 in step 1, this one has 0\.05"),
        (
            {"lr": optim.step_decay(0.1, 7)},
            {"lr": optim.step_decay(0.1, 8)},
            r"lr = 0\.01\d* in step 8, this one has 0\.1",
        ),
        ({"lr": 0.1}, {"lr": optim.cosine(0.1, 100)}, "lr = 0.1 in step 2, this one has 0.0999"),
        ({"loss": penalised(1e-4)}, {"loss": penalised(1e-3)}, "penalty of fixed"),
        ({"loss": penalised(1e-4)}, {}, "penalty of fixed numbers = '.*', this one has None"),
        ({}, {"loss": penalised(1e-4)}, "penalty of fixed numbers = None"),
        ({"make": optim.SGD}, {"make": optim.SGD, "momentum": 0.9}, r"momentum = 0\.0, this one has 0\.9"),
        ({"make": optim.SGD, "weight_decay": 0.1}, {"make": optim.SGD}, r"weight_decay = 0\.1, this one has 0\.0"),
        ({"make": optim.Adam}, {"make": optim.Adam, "betas": (0.8, 0.999)}, r"betas = \[0\.9, 0\.999\], this one has"),
        ({"make": optim.Adam, "clip_norm": 1.0}, {"make": optim.Adam}, r"clip_norm = 1\.0, this one has None"),
    ],
)
def test_other_hyperparameters_are_a_warning_where_steps_are_to_come(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    def run(options: dict[str, Any], **more: Any) -> None:
        model = network()
        own = dict(options)
        make = own.pop("make", None)
        if make is not None:
            own = {"optimizer": make(model.parameters(), 0.1, **own), "lr": None}
        train(model, **own, **more)

    run(before, callbacks=[Checkpoint(tmp_path / "run.json")])
    run(before, resume=tmp_path / "run.json", epochs=5)
    with pytest.warns(UserWarning, match=told) as caught:
        run(after, resume=tmp_path / "run.json", epochs=5)
    assert (len(caught), caught[0].filename) == (1, __file__)
    run(after, resume=tmp_path / "run.json", epochs=3)


def test_a_schedule_that_is_the_same_so_far_is_the_same(tmp_path: Path) -> None:
    train(network(), callbacks=[Checkpoint(tmp_path / "run.json")], lr=0.1)
    later = lambda step: 0.1 if step < 9 else 0.01  # noqa: E731
    train(network(), resume=tmp_path / "run.json", lr=later, epochs=5)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"metrics": ["accuracy"]}, r"metrics = \[\], this one has \['accuracy'\]"),
        ({"model": network(activation="relu")}, "activations = 'Linear, tanh', this one has 'Linear, ReLU'"),
        ({"callbacks": [EarlyStopping(9, monitor="loss", highest=True)]}, "highest = False, this one has True"),
    ],
)
def test_another_network_or_other_curves_are_refused(tmp_path: Path, change: dict[str, Any], advice: str) -> None:
    callbacks = [EarlyStopping(9, monitor="loss")] if "callbacks" in change else []
    train(network(), callbacks=[*callbacks, Checkpoint(tmp_path / "run.json")])
    own = dict(change)
    model = own.pop("model", network(seed=3))
    before = bits(model)
    with pytest.raises(ValueError, match=rf"run\.json does not fit: .*{advice}"):
        train(model, **{"callbacks": callbacks, **own}, resume=tmp_path / "run.json")
    assert bits(model) == before


def test_parameters_in_another_order_are_refused(tmp_path: Path) -> None:
    train(network(), callbacks=[Checkpoint(tmp_path / "run.json")])
    model = network()
    turned = optim.Adam(model.parameters()[::-1], 0.1)
    with pytest.raises(ValueError, match="trained = 'all', this one has"):
        train(model, optimizer=turned, lr=None, resume=tmp_path / "run.json")


def test_another_patience_is_said(tmp_path: Path) -> None:
    train(network(), callbacks=[EarlyStopping(9), Checkpoint(tmp_path / "run.json")])
    with pytest.warns(UserWarning, match="EarlyStopping with patience = 9, this one has 8"):
        train(network(), callbacks=[EarlyStopping(8)], resume=tmp_path / "run.json")


class Counting:
    """A callback that remembers the epochs it has seen, and ends the run or is interrupted in one."""

    def __init__(self, epoch: int, event: str) -> None:
        self.seen = 0
        self.at, self.event = epoch, event

    def __call__(self, run: Run) -> None:
        self.seen += 1
        if self.seen == self.at and self.event == "stop":
            run.stop("enough")
        elif self.seen == self.at:
            raise KeyboardInterrupt

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


@pytest.mark.parametrize("event", ["stop", "interrupt"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_a_checkpoint_is_of_whole_epochs_wherever_it_stands_among_callbacks(
    event: str, place: int, every: int, tmp_path: Path
) -> None:
    counting, stopping = Counting(5, event), EarlyStopping(9)
    callbacks: list[Any] = [counting, stopping]
    callbacks.insert(place, Checkpoint(tmp_path / "run.json", every=every))
    history = train(network(), epochs=8, callbacks=callbacks)
    content = json.loads((tmp_path / "run.json").read_text("utf-8"))
    whole = 5 if event == "stop" else 4
    assert content["history"]["loss"] == history.loss[:whole]
    assert content["history"]["stopped"] == ("enough" if event == "stop" else "")
    assert content["callbacks"][0] == {"seen": whole}
    resumed, alone = network(), network()
    train(alone, epochs=8 if event == "interrupt" else 5, callbacks=[Counting(0, ""), EarlyStopping(9)])
    train(resumed, epochs=8, callbacks=[Counting(0, ""), EarlyStopping(9)], resume=tmp_path / "run.json")
    assert bits(resumed) == bits(alone)


def test_a_warning_names_the_line_that_called_fit(tmp_path: Path) -> None:
    train(network(), callbacks=[Checkpoint(tmp_path / "run.json"), EarlyStopping(9)])
    script = tmp_path / "script.py"
    script.write_text(
        "from microgrid import fit, nn, datasets\n"
        "from microgrid.training import EarlyStopping\n"
        "x, y = datasets.moons(10, seed=5)\n"
        "model = nn.MLP(2, [2, 1], activation='tanh')\n"
        "fit(model, x, y, loss='hinge', lr=0.2, batch_size=4, epochs=5, progress=False, resume='run.json',\n"
        "    callbacks=[EarlyStopping(8)])\n"
    )
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.search(r"script\.py:5: UserWarning: run\.json is of a run with lr = 0\.1", run.stderr)
    assert re.search(r"script\.py:5: UserWarning: the run .* is of EarlyStopping with patience = 9", run.stderr)


def test_what_was_brought_back_at_the_end_is_not_what_a_run_goes_on_from(tmp_path: Path) -> None:
    options: dict[str, Any] = {"lr": 3.0, "optimizer": "sgd", "validation": (POINTS[:4], LABELS[:4])}
    whole, cut = network(), network()
    expected = train(whole, epochs=12, callbacks=[EarlyStopping(50)], **options)
    first = EarlyStopping(50)
    train(cut, epochs=6, callbacks=[Checkpoint(tmp_path / "run.json"), first], **options)
    assert first.best_epoch < 6
    history = train(cut, epochs=12, callbacks=[EarlyStopping(50)], resume=tmp_path / "run.json", **options)
    assert (history, bits(cut), history.restored) == (expected, bits(whole), expected.restored)
