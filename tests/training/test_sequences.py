"""Training on sequences: unlike lengths, a target for each step, padding, images."""

from __future__ import annotations

import random
from typing import Any

import pytest

from microgrid import Value, compile, datasets, fit, losses, nn, no_grad, optim
from microgrid.training import Objective, Run, TrainingError


class Reader(nn.Module):
    """A recurrent network whose answer is a linear function of its last output, or of each."""

    def __init__(self, outputs: int, *, each: bool = False) -> None:
        self.cells = nn.GRU(1, 2, seed=1)
        self.answer = nn.Linear(2, outputs, seed=2)
        self.each = each

    def __call__(self, xs: Any) -> Any:
        rows, _ = self.cells(xs)
        return self.answer(rows if self.each else rows[-1])


class Backwards(Reader):
    """A network whose answers depend on later steps, so that padding is no good."""

    padding = 0.0

    def __call__(self, xs: Any) -> Any:
        return super().__call__(xs[::-1])[::-1]


def sequences(count: int = 10, seed: int = 0) -> list[list[list[float]]]:
    generator = random.Random(seed)
    return [[[generator.gauss(0.0, 1.0)] for _ in range(generator.choice((2, 3)))] for _ in range(count)]


def both(make: Any, x: Any, y: Any, loss: Any, **options: Any) -> tuple[Any, Any, Any, Any]:
    """Models and histories of a compiled and of a recorded run."""
    runs = []
    for compiled in (True, False):
        model = make()
        history = fit(model, x, y, loss=Objective(loss, compile=compiled), lr=0.05, progress=False, **options)
        assert history.how == ("compiled" if compiled else "recorded, since compile=False")
        runs += [model, history]
    return runs[0], runs[1], runs[2], runs[3]


def last_sign(outputs: Any, target: Any) -> float:
    return float((outputs[-1] if isinstance(outputs, list) else outputs) > 0.0)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("each", [False, True])
def test_sequences_of_unlike_lengths_are_compiled_by_length_as_they_are_recorded(
    batch_size: int | None, each: bool
) -> None:
    pytest.importorskip("llvmlite")
    x = sequences()
    steps = [[[0.5 * v[0], v[0] ** 2] for v in row] for row in x]
    y = steps if each else [[sum(v[0] for v in row), 1.0] for row in x]
    options = {"batch_size": batch_size, "epochs": 3, "metrics": [tell], "validation": (x[:3], y[:3])}
    model, history, other, expected = both(lambda: Reader(2, each=each), x, y, "mse", **options)
    assert history.loss == pytest.approx(expected.loss, rel=1e-10)
    assert [p.data for p in model.parameters()] == pytest.approx([p.data for p in other.parameters()], rel=1e-9)
    assert history["tell"] == pytest.approx(expected["tell"], rel=1e-9)
    assert history["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-9)


def tell(outputs: Any, target: Any) -> float:
    """A metric that differs from sample to sample, and looks at the shape of the outputs."""
    first = outputs[0][0] if isinstance(outputs[0], list) else outputs[0]
    wanted = target[0][0] if isinstance(target[0], list) else target[0]
    return float(first * wanted) + len(outputs)


def test_texts_of_unlike_lengths_are_padded_for_a_model_that_does_not_look_ahead() -> None:
    pytest.importorskip("llvmlite")

    def make() -> nn.GPT:
        return nn.GPT("abc", width=4, heads=2, context=6, seed=4)

    x, y = make().samples(["ab", "abcab", "c", "bca"])
    options = {"batch_size": 1, "epochs": 2, "metrics": ["accuracy"], "seed": 3}
    model, history, other, expected = both(make, x, y, "cross_entropy", **options)
    assert history.loss == pytest.approx(expected.loss, rel=1e-10)
    assert history["accuracy"] == expected["accuracy"]
    assert [p.data for p in model.parameters()] == pytest.approx([p.data for p in other.parameters()], abs=1e-9)
    mean = 0.0
    with no_grad():
        for tokens, classes in zip(x, y, strict=True):
            rows = model(tokens)
            mean += sum(losses.cross_entropy(row, t).data for row, t in zip(rows, classes, strict=True)) / len(rows) / 4
    again = fit(model, x, y, loss="cross_entropy", optimizer="sgd", lr=0.0, epochs=1, progress=False)
    assert again.loss == pytest.approx([mean], rel=1e-12)


def test_a_padded_model_that_looks_ahead_is_seen_and_recorded() -> None:
    pytest.importorskip("llvmlite")
    x = sequences()
    y = [[i % 2 for i in range(len(row))] for row in x]
    history = fit(
        Backwards(2, each=True), x, y, loss=Objective("cross_entropy"), epochs=2, progress=False, batch_size=5
    )
    assert history.how.startswith("recorded, since there is little")
    with pytest.raises(RuntimeError, match=r"compiled code gives .* where recording gives"):
        fit(Backwards(2, each=True), x, y, loss=Objective("cross_entropy", compile=True), epochs=1, progress=False)
    both(lambda: Reader(2, each=True), x, y, "cross_entropy", epochs=1)


def test_steps_that_do_not_count_have_no_part_in_loss_and_accuracy() -> None:
    rows = [[Value(0.3), Value(-1.0)], [Value(2.0), Value(0.5)], [Value(0.0), Value(0.1)]]
    whole = losses.cross_entropy(rows[:1] + rows[2:], [1, 0])
    part = losses.cross_entropy(rows, [1, losses.IGNORED, 0])
    assert part.data == whole.data
    part.backward()
    assert [v.grad for v in rows[1]] == [0.0, 0.0]
    with pytest.raises(ValueError, match="the targets of all 3 steps are -100"):
        losses.cross_entropy(rows, [-100] * 3)
    with pytest.raises(ValueError, match=r"outputs for 3 step\(s\), the target 2 class"):
        losses.cross_entropy(rows, [1, 0])
    x, y = [[[0.1], [0.2]], [[0.3], [0.4]]], [[0, -100], [1, 1]]
    history = fit(
        Reader(2, each=True), x, y, loss="cross_entropy", epochs=1, metrics=["accuracy"], lr=0.0, progress=False
    )
    with no_grad():
        right = [[row[1].data > row[0].data for row in Reader(2, each=True)(sample)] for sample in x]
    assert history["accuracy"] == [0.5 * (not right[0][0]) + 0.25 * (right[1][0] + right[1][1])]


@pytest.mark.parametrize(
    ("x", "y", "advice"),
    [
        ([[[1.0]], [[1.0], [2.0]]], [[0], [1, 2]], "y, row 1, step 1: label 2 is none of the classes 0 to 1"),
        ([[[1.0]], [[1.0], [2.0]]], [[0], [-100, -100]], "y, row 1: no step counts, .*: leave the sequence out"),
        ([[[1.0]], [[1.0], [2.0]]], [[0], [1.5, 0]], "y, row 1, step 0: label 1.5 is none of the classes"),
        (
            [[[1.0]], [[1.0, 2.0]]],
            [[0], [1]],
            r"x, row 1 has 1 x 2 number\(s\), row 0 has 1 x 1, and the model does not",
        ),
        ([[[1.0], [2.0]]], [[0]], r"the network has outputs for 2 step\(s\), the target 1 class"),
    ],
)
def test_a_sequence_that_does_not_fit_is_named(x: Any, y: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        fit(Reader(2, each=True), x, y, loss="cross_entropy", epochs=1, progress=False)


def test_rows_of_unlike_lengths_are_no_sequences_for_a_perceptron() -> None:
    with pytest.raises(ValueError, match=r"x, row 2 has 1 number\(s\), row 0 has 2, and the model does not take both"):
        fit(nn.MLP(2, [1]), [[1, 2], [3, 4], [5]], [1, 2, 3], loss="mse")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_class_of_a_cross_entropy_may_be_a_value(count: int) -> None:
    pytest.importorskip("llvmlite")
    generator = random.Random(count)
    logits = [generator.gauss(0.0, 30.0) for _ in range(count)]
    compiled = compile(losses.cross_entropy, strict=True)
    for k in range(count):
        plain, chosen = [Value(x) for x in logits], [Value(x) for x in logits]
        expected, got = losses.cross_entropy(plain, k), losses.cross_entropy(chosen, Value(k))
        expected.backward()
        got.backward()
        assert got.data == expected.data == compiled(logits, float(k))
        assert [v.grad for v in chosen] == [v.grad for v in plain]
        assert compiled.gradient(logits, float(k))[0] == [v.grad for v in plain]
    for none in (-1.0, 0.5, float(count), float("nan")):
        assert compiled(logits, none) != compiled(logits, none)


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "validation": 0.25}, {"clip_norm": 0.5}])
def test_epochs_of_many_steps_keep_the_numbers_in_an_array_to_the_same_bits(options: dict[str, Any]) -> None:
    pytest.importorskip("llvmlite")

    class Own(optim.Adam):
        """An optimizer whose steps are made on Values, since it may do anything in one."""

        def step(self) -> None:
            super().step()

    runs = []
    x, y = datasets.line(24)
    for kind in (optim.Adam, Own):
        model = nn.MLP(2, [5, 1], seed=0)
        made: Any = kind(model.parameters(), 0.01, clip_norm=options.get("clip_norm"))
        seen: list[list[float]] = []

        def look(run: Run, seen: list[list[float]] = seen) -> None:
            seen.append([p.grad for p in run.model.parameters()])

        history = fit(
            model,
            x,
            y,
            loss=Objective("mse", compile=True),
            optimizer=made if options.get("optimizer") is None else options["optimizer"],
            validation=options.get("validation"),
            epochs=3,
            batch_size=5,
            progress=False,
            callbacks=[look],
        )
        assert history.how == "compiled"
        runs.append((history.loss, history.measured, [p.data for p in model.parameters()], seen))
    assert runs[0] == runs[1]
    assert any(g != 0.0 for g in runs[0][3][-1])


def test_what_stops_an_epoch_of_many_steps_leaves_numbers_of_whole_steps() -> None:
    pytest.importorskip("llvmlite")
    x, y = [[0.1 * i, 1.0] for i in range(30)], [1.0] * 30
    model = nn.MLP(2, [4, 1], seed=0)
    steps: list[int] = []

    def rate(step: int) -> float:
        steps.append(step)
        if step == 40:
            raise KeyboardInterrupt
        return 0.01

    history = fit(model, x, y, loss=Objective("mse", compile=True), lr=rate, epochs=5, batch_size=1, progress=False)
    assert history.stopped == "interrupted in epoch 2"
    assert len(history) == 1
    other = nn.MLP(2, [4, 1], seed=0)
    fit(other, x, y, loss=Objective("mse", compile=True), lr=0.01, epochs=1, batch_size=1, progress=False)
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]
    with pytest.raises(TrainingError, match="epoch 1, batch") as caught:
        fit(model, x, y, loss=Objective("mse", compile=True), optimizer="sgd", lr=1e200, epochs=2, batch_size=1)
    assert "the loss is inf; row 0: mul(" in str(caught.value)
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]
