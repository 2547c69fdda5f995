"""Callbacks: `EarlyStopping` stops when it says, and leaves the model with the parameters of the number it names."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import fit, losses, nn
from microgrid.training import EarlyStopping, History, Objective, Run, Spread

POINTS, LABELS = mg.datasets.moons(12, seed=5)


def network(seed: int = 0) -> nn.MLP:
    return nn.MLP(2, [3, 1], activation="tanh", seed=seed)


def bits(model: nn.Module) -> list[float]:
    return [p.data for p in model.parameters()]


# --- when it stops, and with which parameters ----------------------------------------------------------------------

CURVES = st.lists(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.5, -2.0, 1e308, -1e308, math.inf, -math.inf, math.nan, 5e-324])
    | st.floats(),
    min_size=1,
    max_size=12,
)


def by_the_book(curve: list[float], patience: int, min_delta: float, highest: bool) -> tuple[float | None, int, int]:
    """The best number, its epoch, and the epochs there were, as the docstring has it."""
    best, best_epoch = None, 0
    for epoch, x in enumerate(curve, 1):
        if math.isnan(x):
            better = False
        elif best is None:
            better = True
        else:
            better = x > best and x - best > min_delta if highest else x < best and best - x > min_delta
        if better:
            best, best_epoch = x, epoch
        elif epoch - best_epoch == patience:
            return best, best_epoch, epoch
    return best, best_epoch, len(curve)


@given(CURVES, st.integers(1, 4), st.sampled_from([0.0, 0.5]), st.booleans(), st.booleans())
@settings(deadline=None)
def test_it_stops_and_brings_back_the_best_by_the_book(
    curve: list[float], patience: int, min_delta: float, highest: bool, restore_best: bool
) -> None:
    seen: list[list[float]] = []

    def script(run: Run) -> None:
        run.history.measured.setdefault("score", []).append(curve[run.epoch - 1])
        seen.append(bits(run.model))

    stopping = EarlyStopping(patience, monitor="score", min_delta=min_delta, highest=highest, restore_best=restore_best)
    model = nn.Neuron(1, nonlin=False, seed=0)
    options: dict[str, Any] = {"loss": "mse", "optimizer": "sgd", "lr": 0.1, "progress": False}
    history = fit(model, [0.0, 1.0], [1.0, 3.0], epochs=len(curve), callbacks=[script, stopping], **options)
    best, best_epoch, epochs = by_the_book(curve, patience, min_delta, highest)
    assert (stopping.best, stopping.best_epoch, len(history)) == (best, best_epoch, epochs)
    assert bool(history.stopped) == (epochs - best_epoch >= patience)
    restored = restore_best and best is not None
    assert bits(model) == seen[best_epoch - 1 if restored else -1]
    assert bool(history.restored) == restored
    assert restored <= (f"epoch {best_epoch}: {best:.6g}" in history.restored if best is not None else True)


def share(output: float, target: float) -> float:
    return min(abs(output - target), 1.0)


def number_of(model: nn.Module, curve: str, kept: tuple[Any, Any], mean: bool, penalised: bool, batches: int) -> float:
    """The number of a curve for the parameters that a model has, computed sample by sample."""
    xs, ys = kept if curve.startswith("validation") else (POINTS, LABELS)
    outputs: list[float] = [model(x).data for x in xs]
    if curve.endswith("accuracy"):
        return [(o > 0) == (t > 0) for o, t in zip(outputs, ys, strict=True)].count(True) / len(xs)
    if curve.endswith("share"):
        return math.fsum(map(share, outputs, ys)) / len(xs)
    total = math.fsum(max(0.0, 1.0 - o * t) for o, t in zip(outputs, ys, strict=True)) / (len(xs) if mean else 1)
    if penalised and curve == "loss":
        total += (1 if mean else batches) * 0.01 * math.fsum(p.data**2 for p in model.parameters())
    return total


@given(
    curve=st.sampled_from([f"{side}{name}" for side in ("", "validation_") for name in ("loss", "accuracy", "share")]),
    batch_size=st.sampled_from([None, 5, 1]),
    lr=st.sampled_from([0.1, 1.0, 4.0]),
    epochs=st.integers(1, 8),
    patience=st.integers(1, 3),
    mean=st.booleans(),
    penalised=st.booleans(),
)
@settings(deadline=None)
def test_the_model_has_the_parameters_of_the_number_that_is_named(
    curve: str, batch_size: int | None, lr: float, epochs: int, patience: int, mean: bool, penalised: bool
) -> None:
    kept = mg.datasets.moons(6, seed=3)
    highest = False if curve.endswith("share") else None
    stopping = EarlyStopping(patience, monitor=curve, highest=highest)
    model = network()
    history = fit(
        model,
        POINTS,
        LABELS,
        loss=Objective(
            "hinge",
            reduction="mean" if mean else "sum",
            penalty=(lambda ps: losses.l2(ps, 0.01)) if penalised else None,
        ),
        optimizer="sgd",
        lr=lr if mean else lr / 12,
        epochs=epochs,
        batch_size=batch_size,
        validation=kept,
        metrics=["accuracy", share],
        callbacks=[stopping],
        progress=False,
    )
    batches = math.ceil(12 / (batch_size or 12))
    ours = number_of(model, curve, kept, mean, penalised, batches)
    assert stopping.best == pytest.approx(ours, rel=1e-12, abs=1e-15)
    assert f"{stopping.best:.6g}" in history.restored
    if batches == 1 or curve.startswith("validation"):
        extreme = max if curve.endswith("accuracy") else min
        assert stopping.best == extreme(history[curve]) == history[curve][stopping.best_epoch - 1]
    assert bool(history.stopped) == (len(history) - stopping.best_epoch >= patience)


@pytest.mark.parametrize("curve", ["loss", "accuracy"])
@pytest.mark.parametrize("how", ["compiled", "spread"])
def test_what_is_measured_anew_is_measured_as_the_run_is(how: str, curve: str) -> None:
    if how == "compiled":
        pytest.importorskip("llvmlite")
    with ThreadPoolExecutor(2) as executor:
        loss = Objective("hinge", compile=True) if how == "compiled" else Spread("hinge", executor, parts=2)
        stopping, model = EarlyStopping(2, monitor=curve), network()
        shared: dict[str, Any] = {"loss": loss, "batch_size": 5, "metrics": ["accuracy"], "progress": False}
        history = fit(model, POINTS, LABELS, lr=0.5, epochs=6, callbacks=[stopping], **shared)
    assert history.how == how
    ours = number_of(model, curve, (POINTS, LABELS), True, False, 3)
    assert stopping.best == pytest.approx(ours, rel=1e-12)
    assert "was best after epoch" in history.restored


def test_it_is_told_of_what_is_measured_anew_and_leaves_the_gradients_alone() -> None:
    grads: list[list[list[float]]] = [[], []]
    for i, stopping in enumerate(([], [EarlyStopping(9)])):

        def note(run: Run, i: int = i) -> None:
            grads[i].append([p.grad for p in run.model.parameters()])

        history = fit(
            network(), POINTS, LABELS, loss="hinge", epochs=4, batch_size=5, callbacks=[*stopping, note], progress=False
        )
    assert grads[0] == grads[1]
    assert history.restored.startswith("restored the parameters for which loss was best after epoch")


def test_the_best_comes_back_whoever_ends_the_run() -> None:
    def end(how: str) -> tuple[History, list[float], list[list[float]], EarlyStopping]:
        seen: list[list[float]] = []
        stopping = EarlyStopping(50)

        def ender(run: Run) -> None:
            seen.append(bits(run.model))
            if run.epoch == 6 and how == "a callback":
                run.stop("enough")
            if run.epoch == 6 and how == "Ctrl-C":
                raise KeyboardInterrupt

        model = network()
        history = fit(
            model,
            POINTS,
            LABELS,
            loss="hinge",
            optimizer="sgd",
            lr=4.0,
            epochs=6,
            validation=(POINTS[:5], LABELS[:5]),
            callbacks=[stopping, ender],
            progress=False,
        )
        return history, bits(model), seen, stopping

    for how in ("the last epoch", "a callback", "Ctrl-C"):
        history, numbers, seen, stopping = end(how)
        assert stopping.best_epoch < 6
        assert numbers == seen[stopping.best_epoch - 1] != seen[-1]
        assert f"validation_loss was best in epoch {stopping.best_epoch}" in history.restored
        assert history.stopped == {"a callback": "enough", "Ctrl-C": "interrupted in epoch 6"}.get(how, "")
    assert repr(end("the last epoch")[0]).endswith(f"({history.restored})")


def test_nothing_but_nan_is_said_and_nothing_is_brought_back() -> None:
    def score(output: float, target: float) -> float:
        return math.nan

    stopping = EarlyStopping(3, monitor="score", highest=True)
    history = fit(
        network(), POINTS, LABELS, loss="hinge", epochs=9, metrics=[score], callbacks=[stopping], progress=False
    )
    assert (len(history), history.stopped, history.restored) == (3, "score was always nan", "")
    assert stopping.best is None


def test_an_accuracy_is_to_be_high_and_what_is_unknown_is_asked() -> None:
    for curve, highest in (("accuracy", True), ("validation_accuracy", True), ("loss", False), ("", False)):
        assert EarlyStopping(monitor=curve).highest is highest
    assert EarlyStopping(monitor="accuracy", highest=False).highest is False
    with pytest.raises(ValueError, match=r"dice is none of loss, .*: say highest=True where high is good"):
        EarlyStopping(monitor="dice")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"patience": 0}, "at least 1, got 0"),
        ({"patience": 2.5}, "at least 1, got 2.5"),
        ({"min_delta": -1e-3}, "min_delta, the least improvement"),
        ({"min_delta": math.nan}, "min_delta, the least improvement"),
    ],
)
def test_misuse_says_what_to_change(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        EarlyStopping(**options)


def test_a_metric_that_would_hide_a_curve_is_refused() -> None:
    for name in ("loss", "validation_loss", "validation_score"):

        def score(output: float, target: float) -> float:
            return output

        score.__name__ = name
        with pytest.raises(ValueError, match=f"a metric cannot be called {name}"):
            fit(network(), POINTS, LABELS, loss="hinge", metrics=[score], progress=False)
