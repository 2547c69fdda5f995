"""Layers for sequences, images and text: shapes, PyTorch's numbers, certificates, files, machine code, pictures."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from microgrid import Value, compile, datasets, draw, fit, losses, nn, no_grad, trace
from microgrid.core import tree
from microgrid.engine import topological
from microgrid.nn import functional_call
from microgrid.nn.shapes import lists, shape_of
from microgrid.testing import check_gradient
from microgrid.training import Checkpoint, Objective, Spread

Parameters = dict[str, Any]
"""PyTorch's parameters, or pairs of one and a part of it, by the names of ours."""


class Row(NamedTuple):
    """A layer: how it is made, the shapes of its argument and result, what it is in PyTorch, what it refuses."""

    make: Callable[[], nn.Module]
    takes: tuple[int, ...]
    gives: str
    torch: Callable[[Any, Any, nn.Module], tuple[Any, Parameters]]
    wrong: Any
    message: str
    frames: tuple[str, ...] = ()
    tokens: int = 0


def same_names(module: Any) -> Parameters:
    return dict(module.named_parameters())


def recurrent(kind: str) -> Callable[[Any, Any, nn.Module], tuple[Any, Parameters]]:
    """The module of this name and its parameters by our names."""

    def made(torch: Any, x: Any, ours: Any) -> tuple[Any, Parameters]:
        readers = 1 + ours.bidirectional
        options = {"nonlinearity": "relu"} if kind == "RNN" else {}
        theirs = getattr(torch.nn, kind)(
            ours.input_size,
            ours.hidden_size,
            len(ours.layers) // readers,
            bidirectional=ours.bidirectional,
            dtype=torch.float64,
            **options,
        )
        names = {
            f"layers[{i}].cell.{name}": getattr(theirs, f"{name}_l{i // readers}{'_reverse' if i % readers else ''}")
            for i in range(len(ours.layers))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }

        def run(x: Any) -> Any:
            output, state = theirs(x)
            return [output, *(state if kind == "LSTM" else [state])]

        return run, names

    return made


def cell(kind: str) -> Callable[[Any, Any, nn.Module], tuple[Any, Parameters]]:
    def made(torch: Any, x: Any, ours: Any) -> tuple[Any, Parameters]:
        theirs = getattr(torch.nn, kind)(ours.input_size, ours.hidden_size, dtype=torch.float64)
        return theirs, same_names(theirs)

    return made


def module(kind: str, *args: Any, batched: bool = False, **options: Any) -> Any:
    """A module of PyTorch with the parameters that ours has."""

    def made(torch: Any, x: Any, ours: nn.Module) -> tuple[Any, Parameters]:
        typed = {} if "Pool" in kind or kind in ("Dropout", "Flatten") else {"dtype": torch.float64}
        theirs = getattr(torch.nn, kind)(*args, **typed, **options)
        theirs.train(ours.training)
        return (lambda x: theirs(x[None])[0]) if batched else theirs, same_names(theirs)

    return made


def residual(torch: Any, x: Any, ours: nn.Module) -> tuple[Any, Parameters]:
    theirs = torch.nn.Linear(3, 3, dtype=torch.float64)
    return lambda x: x + theirs(x), {f"module.{name}": p for name, p in theirs.named_parameters()}


def attention_names(theirs: Any, size: int, prefix: str = "") -> Parameters:
    parts = {name: slice(k * size, (k + 1) * size) for k, name in enumerate(("query", "key", "value"))}
    names = {f"{prefix}{name}.weight": (theirs.in_proj_weight, part) for name, part in parts.items()}
    names |= {f"{prefix}{name}.bias": (theirs.in_proj_bias, part) for name, part in parts.items()}
    return names | {f"{prefix}output.{name}": p for name, p in theirs.out_proj.named_parameters()}


def mask(torch: Any, x: Any) -> Any:
    return torch.nn.Transformer.generate_square_subsequent_mask(len(x), dtype=torch.float64)


def attention(torch: Any, x: Any, ours: Any) -> tuple[Any, Parameters]:
    theirs = torch.nn.MultiheadAttention(ours.embed_dim, ours.num_heads, dtype=torch.float64)

    def run(x: Any) -> Any:
        return theirs(x, x, x, attn_mask=mask(torch, x) if ours.causal else None)[0]

    return run, attention_names(theirs, ours.embed_dim)


def transformer(torch: Any, x: Any, ours: Any) -> tuple[Any, Parameters]:
    theirs = torch.nn.TransformerEncoderLayer(
        ours.attention.embed_dim, ours.attention.num_heads, len(ours.linear1.weight), 0.0, "gelu", norm_first=True,
        dtype=torch.float64,
    )  # fmt: skip
    names = {name: p for name, p in theirs.named_parameters() if "self_attn" not in name}
    attended = attention_names(theirs.self_attn, ours.attention.embed_dim, "attention.")
    return lambda x: theirs(x, mask(torch, x), is_causal=True), names | attended


def gpt(torch: Any, x: Any, ours: Any) -> tuple[Any, Parameters]:
    """Karpathy's microgpt of one head and one layer, in tensors."""
    p: Parameters = {
        name: torch.tensor(lists_of_numbers(held), dtype=torch.float64, requires_grad=True)
        for name, held in (
            ("tokens.weight", ours.tokens.weight),
            ("places.weight", ours.places.weight),
            *((f"blocks[0].attention.{part}.weight", getattr(ours.blocks[0].attention, part).weight)
              for part in ("query", "key", "value", "output")),
            ("blocks[0].linear1.weight", ours.blocks[0].linear1.weight),
            ("blocks[0].linear2.weight", ours.blocks[0].linear2.weight),
            ("head.weight", ours.head.weight),
        )
    }  # fmt: skip

    def run(tokens: Any) -> Any:
        def norm(x: Any) -> Any:
            return x * ((x * x).mean(-1, keepdim=True) + 1e-5) ** -0.5

        x = norm(p["tokens.weight"][tokens] + p["places.weight"][: len(tokens)])
        q, k, v = (norm(x) @ p[f"blocks[0].attention.{part}.weight"].T for part in ("query", "key", "value"))
        scores = q @ k.T / q.shape[1] ** 0.5 + mask(torch, tokens)
        x = x + scores.softmax(-1) @ v @ p["blocks[0].attention.output.weight"].T
        hidden = (norm(x) @ p["blocks[0].linear1.weight"].T).relu()
        return (x + hidden @ p["blocks[0].linear2.weight"].T) @ p["head.weight"].T

    return run, p


def lists_of_numbers(x: Any) -> Any:
    return [lists_of_numbers(item) for item in x] if isinstance(x, list) else x.data


LAYERS = {
    "Linear": Row(
        lambda: nn.Linear(3, 2, seed=1), (2, 3), "(2, 2)", module("Linear", 3, 2), [[1.0, 2.0]],
        r"Linear takes x of shape \(\.\.\., 3\), got \(1, 2\)",
    ),
    "Residual": Row(
        lambda: nn.Residual(nn.Linear(3, 3, seed=1)), (3,), "(3)", residual, [1.0, 2.0],
        r"module \(Linear\) takes x of shape \(\.\.\., 3\), got \(2\)",
    ),
    "RNNCell": Row(
        lambda: nn.RNNCell(2, 3, seed=1), (2,), "(3)", cell("RNNCell"), [1.0],
        r"RNNCell takes x of shape \(2\), got \(1\)", ("state",),
    ),
    "GRUCell": Row(
        lambda: nn.GRUCell(2, 3, seed=1), (2,), "(3)", cell("GRUCell"), [[1.0, 2.0]],
        r"GRUCell takes x of shape \(2\), got \(1, 2\)", ("reset gate", "update gate", "candidate"),
    ),
    "LSTMCell": Row(
        lambda: nn.LSTMCell(2, 3, seed=1), (2,), "(2, 3)", cell("LSTMCell"), 1.0,
        r"LSTMCell takes x of shape \(2\), got a number", ("input gate", "forget gate", "output gate", "memory"),
    ),
    "RNN": Row(
        lambda: nn.RNN(2, 3, nonlinearity="relu", seed=1), (4, 2), "rows of unlike shapes, (4, 3) and (1, 3)",
        recurrent("RNN"), [[1.0], [2.0]], r"RNN takes x of shape \(time, 2\), got \(2, 1\)",
        ("t=0", "t=3"),
    ),
    "GRU": Row(
        lambda: nn.GRU(2, 2, 2, seed=2), (3, 2), "rows of unlike shapes, (3, 2) and (2, 2)", recurrent("GRU"),
        [[1.0, 2.0], [1.0]], r"GRU takes x of shape \(time, 2\), got rows of unlike shapes, \(2\) and \(1\)",
        ("t=2", "layers[1]"),
    ),
    "LSTM": Row(
        lambda: nn.LSTM(2, 1, 2, bidirectional=True, seed=3), (3, 2), "rows of unlike shapes, (3, 2) and (2, 4, 1)",
        recurrent("LSTM"), [], r"LSTM takes x of shape \(time, 2\), got \(0\)",
        ("t=2", "layers[3]", "forget gate"),
    ),
    "Conv1d": Row(
        lambda: nn.Conv1d(2, 3, 3, padding=1, seed=1), (2, 5), "(3, 5)", module("Conv1d", 2, 3, 3, padding=1),
        [[1.0, 2.0]], r"Conv1d takes x of shape \(2, length\), got \(1, 2\)", ("channel=2",),
    ),
    "Conv2d": Row(
        lambda: nn.Conv2d(2, 2, (2, 3), stride=(2, 1), padding=(1, 0), seed=1), (2, 3, 4), "(2, 2, 2)",
        module("Conv2d", 2, 2, (2, 3), stride=(2, 1), padding=(1, 0)),
        [[[1.0]], [[1.0]]], r"Conv2d takes x of shape \(channels, 2 or more, 3 or more\), got \(2, 1, 1\)",
        ("channel=1",),
    ),
    "MaxPool1d": Row(
        lambda: nn.MaxPool1d(3, 2), (2, 7), "(2, 3)", module("MaxPool1d", 3, 2), [1.0],
        r"MaxPool1d takes x of shape \(channels, length\), got \(1\)", ("channel=1",),
    ),
    "MaxPool2d": Row(
        lambda: nn.MaxPool2d(2), (2, 4, 5), "(2, 2, 2)", module("MaxPool2d", 2), [[[1.0, 2.0]]],
        r"MaxPool2d takes x of shape \(channels, 2 or more, 2 or more\), got \(1, 1, 2\)", ("channel=1",),
    ),
    "AvgPool1d": Row(
        lambda: nn.AvgPool1d(2, 1), (2, 4), "(2, 3)", module("AvgPool1d", 2, 1), [[1.0]],
        r"AvgPool1d takes x of shape \(channels, 2 or more\), got \(1, 1\)", ("channel=1",),
    ),
    "AvgPool2d": Row(
        lambda: nn.AvgPool2d((1, 2)), (1, 2, 4), "(1, 2, 2)", module("AvgPool2d", (1, 2)), [[1.0]],
        r"AvgPool2d takes x of shape \(channels, height, width\), got \(1, 1\)", ("channel=0",),
    ),
    "Flatten": Row(
        lambda: nn.Flatten(), (2, 2, 2), "(8)", module("Flatten", 0), 1.0,
        r"Flatten takes x of shape \(\.\.\.\), got a number",
    ),
    "Embedding": Row(
        lambda: nn.Embedding(4, 3, seed=1), (2, 3), "(2, 3, 3)", module("Embedding", 4, 3), [4],
        r"Embedding\(4, 3\) has the tokens 0 to 3, got 4", tokens=4,
    ),
    "Attention": Row(
        lambda: nn.Attention(4, 2, seed=1), (2, 4), "(2, 4)", attention, [[1.0] * 3],
        r"Attention takes x of shape \(time, 4\), got \(1, 3\)", ("head=1", "t=1", "query", "output"),
    ),
    "Attention that looks ahead": Row(
        lambda: nn.Attention(2, 1, causal=False, seed=1), (3, 2), "(3, 2)", attention, [1.0],
        r"Attention takes x of shape \(time, 2\), got \(1\)", ("head=0", "t=0"),
    ),
    "Transformer": Row(
        lambda: nn.Transformer(2, 2, 3, activation="gelu", seed=1), (2, 2), "(2, 2)", transformer, [[1.0]],
        r"Transformer takes x of shape \(time, 2\), got \(1, 1\)", ("attention", "head=1", "norm2", "linear1"),
    ),
    "GPT": Row(
        lambda: nn.GPT(5, width=2, heads=1, context=4, seed=1), (3,), "(3, 5)", gpt, [0, 1, 2, 3, 4],
        r"GPT\(5, width=2, heads=1, layers=1, context=4\) takes at most 4 tokens, got 5",
        ("blocks[0]", "attention", "head=0", "t=2", "head"), tokens=5,
    ),
    "LayerNorm": Row(
        lambda: nn.LayerNorm(4), (2, 4), "(2, 4)", module("LayerNorm", 4), [[1.0]],
        r"LayerNorm takes x of shape \(\.\.\., 4\), got \(1, 1\)",
    ),
    "RMSNorm": Row(
        lambda: nn.RMSNorm(4), (2, 4), "(2, 4)", module("RMSNorm", 4), 1.0,
        r"RMSNorm takes x of shape \(\.\.\., 4\), got a number",
    ),
    "BatchNorm of features": Row(
        lambda: nn.BatchNorm(2), (3, 2), "(3, 2)", module("BatchNorm1d", 2), [1.0, 2.0],
        r"BatchNorm takes x of shape \(samples, 2\), got \(2\)",
    ),
    "BatchNorm of images, in evaluation": Row(
        lambda: nn.BatchNorm(2).eval(), (2, 2, 2, 2), "(2, 2, 2, 2)", module("BatchNorm2d", 2), [[1.0]],
        r"BatchNorm takes x of shape \(samples, 2\), got \(1, 1\)",
    ),
    "BatchNorm without running statistics": Row(
        lambda: nn.BatchNorm(2, track_running_stats=False), (3, 2, 2), "(3, 2, 2)",
        module("BatchNorm1d", 2, track_running_stats=False), [[1.0, 2.0]],
        r"BatchNorm\(2\) normalises by a batch: one number of a feature has no variance",
    ),
    "Dropout in evaluation": Row(
        lambda: nn.Dropout(0.5).eval(), (2, 3), "(2, 3)", module("Dropout", 0.5), 1.0,
        r"Dropout takes x of shape \(\.\.\.\), got a number",
    ),
}  # fmt: skip
rows = pytest.mark.parametrize("row", LAYERS.values(), ids=LAYERS)


def numbers(row: Row, seed: int = 0) -> Any:
    """An argument of the shape that a layer takes."""
    generator = random.Random(seed)

    def filled(shape: tuple[int, ...]) -> Any:
        if shape:
            return [filled(shape[1:]) for _ in range(shape[0])]
        return generator.randrange(row.tokens) if row.tokens else generator.gauss(0.0, 1.0)

    return filled(row.takes)


def made(row: Row) -> nn.Module:
    """The layer, its parameters moved away from 0 and 1."""
    layer = row.make()
    generator = random.Random(5)
    for p in layer.parameters():
        p.data += generator.gauss(0.0, 0.1)
    return layer


def values(x: Any) -> Any:
    return [values(item) for item in x] if isinstance(x, list) else Value(x)


def outputs(result: Any) -> list[Value]:
    """The values of nested results, in order."""
    return tree.flatten(result, lambda leaf, _: leaf, "")[0]


def weighted(result: Any) -> Any:
    """A sum of the results in which each has another weight."""
    return sum((0.3 + 0.1 * (i % 7)) * v for i, v in enumerate(outputs(result)))


@rows
def test_a_layer_gives_the_shape_that_it_promises_and_refuses_others(row: Row) -> None:
    layer, x = made(row), numbers(row)
    assert shape_of(lists(layer(x))) == row.gives
    np = pytest.importorskip("numpy")
    expected = [v.data for v in outputs(layer(x))]
    for same in (np.array(x), [np.array(part) for part in x], tuple(x), values(x)):
        assert [v.data for v in outputs(layer(same))] == expected
    with no_grad():
        assert [v.data for v in outputs(layer(x))] == expected
    with pytest.raises(ValueError, match=row.message):
        layer(row.wrong)
    assert re.match(r"[A-Z]\w+\(", repr(layer))


@rows
def test_a_layer_agrees_with_pytorch(row: Row) -> None:
    torch = pytest.importorskip("torch")
    layer, x = made(row), numbers(row)
    ours = values(x)
    weighted(layer(ours)).backward()
    given = torch.tensor(x, dtype=torch.int64 if row.tokens else torch.float64, requires_grad=not row.tokens)
    theirs, parts = row.torch(torch, given, layer)
    names = {name: part if isinstance(part, tuple) else (part, slice(None)) for name, part in parts.items()}
    own = dict(layer.named_parameters())
    of = {name: [p for n, p in own.items() if n == name or n.startswith(f"{name}[")] for name in names}
    assert sum(map(len, of.values())) == len(own)
    with torch.no_grad():
        for name, (p, part) in names.items():
            p[part] = torch.tensor([v.data for v in of[name]], dtype=torch.float64).reshape(p[part].shape)
    results = theirs(given)
    flat = torch.cat([r.flatten() for r in (results if isinstance(results, (list, tuple)) else [results])])
    values_here = [v.data for v in outputs(made(row)(x))]
    assert values_here == pytest.approx(flat.tolist(), rel=1e-12, abs=1e-12)
    (flat * torch.tensor([0.3 + 0.1 * (i % 7) for i in range(len(flat))], dtype=torch.float64)).sum().backward()
    for name, (p, part) in names.items():
        assert [v.grad for v in of[name]] == pytest.approx(p.grad[part].flatten().tolist(), rel=1e-12, abs=1e-12), name
    if not row.tokens:
        assert [v.grad for v in outputs(ours)] == pytest.approx(given.grad.flatten().tolist(), rel=1e-12, abs=1e-12)


def by_parameters(layer: nn.Module) -> tuple[Callable[[Any, Any], Any], list[float]]:
    """The weighted result as a function of the parameters and the argument, and the parameters' numbers."""
    return lambda p, x: weighted(functional_call(layer, p, x)), [p.data for p in layer.parameters()]


@rows
def test_a_layers_gradient_is_certified(row: Row) -> None:
    layer, x = made(row), numbers(row)
    if layer.training and isinstance(layer, nn.BatchNorm):
        layer.running_mean = layer.running_var = None  # which are read, and no part of the result
    function, parameters = by_parameters(layer)
    if row.tokens:
        report = check_gradient(lambda p: function(p, x), parameters)
    elif parameters:
        report = check_gradient(function, parameters, x)
    else:
        report = check_gradient(lambda x: function([], x), x)
    assert report.verdict == "PASS"


@rows
def test_compiled_a_layer_computes_what_is_recorded(row: Row) -> None:
    pytest.importorskip("llvmlite")
    layer = made(row)
    function, parameters = by_parameters(layer)
    compiled = compile(function)
    if layer.training and layer.named_buffers():
        with pytest.raises(TypeError, match=r"running statistics: call eval\(\) .*test_layers"):
            compiled(parameters, numbers(row))
        return
    for seed in (0, 1):
        x = numbers(row, seed)
        p, given = values(parameters), values(x)
        result = function(p, given)
        result.backward()
        assert compiled(parameters, x) == pytest.approx(result.data, rel=1e-12)
        slopes = outputs(compiled.gradient(parameters, x))
        assert slopes == pytest.approx([v.grad for v in [*p, *outputs(given)]], rel=1e-12, abs=1e-13)


@rows
def test_a_layer_is_saved_and_loaded_by_the_names_of_its_parameters(row: Row, tmp_path: Path) -> None:
    layer, other = made(row), row.make()
    layer.save(tmp_path / "layer.json")
    other.load(tmp_path / "layer.json")
    assert other.state_dict() == layer.state_dict()
    names = [name for name, _ in layer.named_parameters()]
    assert len(set(names)) == len(names) == layer.count_parameters()
    assert not any(name.startswith("parameters[") for name in names)
    assert f"{len(names):,}" in nn.Sequential(layer).summary()


@rows
def test_a_layers_values_stand_in_the_frames_of_a_picture(row: Row) -> None:
    root = weighted(made(row)(numbers(row)))
    parts = {part for v in topological([root]) for part in v.module.split(".")}
    picture = draw(root, max_nodes=10_000).source
    for name in row.frames:
        assert name in parts
        assert name in picture


def test_a_state_that_was_returned_continues_a_sequence() -> None:
    xs = numbers(LAYERS["GRU"])
    for layer in (nn.RNN(2, 2, seed=1), nn.GRU(2, 2, 2, seed=1), nn.LSTM(2, 2, 2, seed=1)):
        whole = layer(xs)
        _, state = layer(xs[:1])
        rest = layer(xs[1:], state)
        assert [v.data for v in outputs(rest)] == [v.data for v in outputs((whole[0][1:], whole[1]))]
    with pytest.raises(ValueError, match=r"takes a state for each of its 2 layer\(s\), .* got 1"):
        nn.GRU(2, 2, 2)(xs, [[0.0, 0.0]])
    with pytest.raises(ValueError, match=r"the state of an LSTM is a pair \(h, c\)"):
        nn.LSTM(2, 2)(xs, 3)
    with pytest.raises(ValueError, match=r"LSTMCell takes c of shape \(2\), got \(1\)"):
        nn.LSTMCell(2, 2)(xs[0], ([0.0, 0.0], [0.0]))


def test_the_running_statistics_are_those_of_pytorch_and_are_saved(tmp_path: Path) -> None:
    layer = nn.BatchNorm(2, momentum=0.3)
    batches = [[[1.0, 2.0], [3.0, 5.0], [-1.0, 0.0]], [[0.5, 1.0], [0.0, 7.0]]]
    for batch in batches:
        layer(batch)
    running = dict(layer.named_buffers())
    # 0.7 (0.7 m0 + 0.3 m1) + 0.3 m2 by hand, with variances divided by n - 1
    assert running["running_mean[0]"].data == pytest.approx(0.7 * 0.3 * 1.0 + 0.3 * 0.25)
    assert running["running_var[0]"].data == pytest.approx(0.7 * (0.7 + 0.3 * 4.0) + 0.3 * 0.125)
    assert layer.count_parameters() == 4
    layer.save(tmp_path / "norm.json")
    other = nn.BatchNorm(2).load(tmp_path / "norm.json").eval()
    assert [v.data for v in outputs(other(batches[0]))] == [v.data for v in outputs(layer.eval()(batches[0]))]
    assert nn.Sequential(layer).state_dict().keys() == {f"layers[0].{name}" for name in layer.state_dict()}
    compiled = compile(lambda x: weighted(layer(x)))
    before = compiled(batches[0])
    layer.train()(batches[1])
    layer.eval()
    assert compiled(batches[0]) == pytest.approx(weighted(layer(batches[0])).data) != before
    torch = pytest.importorskip("torch")
    theirs = torch.nn.BatchNorm1d(2, momentum=0.3, dtype=torch.float64)
    for batch in [*batches, batches[1]]:
        theirs(torch.tensor(batch, dtype=torch.float64))
    assert [v.data for v in running.values()] == pytest.approx(
        [*theirs.running_mean.tolist(), *theirs.running_var.tolist()], rel=1e-12
    )


def test_a_dropout_in_training_drops_a_share_and_scales_the_rest() -> None:
    layer = nn.Dropout(0.25, seed=3)
    dropped = [v.data for v in layer([[1.0] * 1000])[0]]
    assert set(dropped) == {0.0, 1.0 / 0.75}
    assert 200 < dropped.count(0.0) < 300
    assert [v.data for v in layer([1.0] * 1000)] != dropped
    assert [v.data for v in nn.Dropout(0.25, seed=3)([1.0] * 1000)] == dropped
    assert [v.data for v in nn.Dropout(1.0)([1.0, 2.0])] == [0.0, 0.0]
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(layer))
    model.eval()
    assert not layer.training
    assert model.train() is model
    assert layer.training
    with pytest.raises(ValueError, match="p is the probability"):
        nn.Dropout(1.5)


def test_a_dropout_in_training_is_not_compiled_as_if_it_drew_once() -> None:
    pytest.importorskip("llvmlite")
    model = nn.Sequential(nn.Linear(2, 2, seed=0), nn.Dropout(0.5, seed=0))
    with pytest.raises(TypeError, match=r"a Dropout in training draws at random: call eval\(\) .*test_layers"):
        compile(lambda x: weighted(model(x)))([1.0, 2.0])
    with pytest.raises(TypeError, match="draws at random"):
        compile(lambda x: x * weighted(nn.Dropout(0.5)([1.0, 2.0])))(1.0)
    assert "draws at random" in str(trace(lambda x: weighted(model(x)))([1.0, 2.0]).fixed)


@pytest.mark.parametrize(
    ("made", "advice"),
    [
        (lambda: nn.LSTM(2, 0), "LSTM: hidden_size must be a whole number from 1 on, got 0"),
        (lambda: nn.RNN(2, 2, nonlinearity="sin"), "nonlinearity is 'tanh' or 'relu', got 'sin'"),
        (lambda: nn.Conv2d(1, 1, (2, 2, 2)), r"Conv2d: kernel_size must be .* 1 on, or 2 of them, got \(2, 2, 2\)"),
        (lambda: nn.Conv1d(1, 1, 3, padding=-1), "Conv1d: padding must be a whole number from 0 on, got -1"),
        (lambda: nn.MaxPool1d(0), "MaxPool1d: kernel_size must be a whole number from 1 on, got 0"),
        (lambda: nn.Embedding(3, 2)(1.5), r"Embedding\(3, 2\) has the tokens 0 to 2, got 1.5"),
        (lambda: nn.Residual(nn.Linear(2, 3))([1.0, 2.0]), r"the shapes must be equal, got \(2\) and \(3\)"),
    ],
)
def test_a_wrong_size_is_named(made: Callable[[], Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        made()


def test_a_compiled_embedding_takes_other_tokens_and_knows_none_beside_them() -> None:
    pytest.importorskip("llvmlite")
    layer = nn.Embedding(5, 2, seed=1)
    compiled = compile(lambda tokens: [v for row in layer(tokens) for v in row])
    for tokens in ([0, 4], [3, 3], [2, 1]):
        assert compiled([*map(float, tokens)]) == [v.data for row in layer(tokens) for v in row]
    assert all(v != v for v in compiled([5.0, 0.5]))
    assert all(v != v for v in compiled([-1.0, float("nan")]))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "Conv2d", "Linear"])
def test_parameters_are_drawn_from_the_range_of_pytorch(kind: str) -> None:
    sizes: dict[str, tuple[int, ...]] = {"RNN": (2, 16), "LSTM": (2, 16), "Conv2d": (4, 8, 2), "Linear": (16, 8)}
    layer = getattr(nn, kind)(*sizes[kind], seed=4)
    drawn = [p.data for p in layer.parameters()]
    assert 0.2 < max(drawn) <= 0.25
    assert -0.25 <= min(drawn) < -0.2
    biases = [p.data for name, p in getattr(nn, kind)(*sizes[kind], init="he").named_parameters() if "bias" in name]
    assert set(biases) == {0.0}


def test_an_attention_is_drawn_as_that_of_pytorch() -> None:
    layer = nn.Attention(8, 2, seed=4)
    for name, limit in (("query", (6 / 32) ** 0.5), ("value", (6 / 32) ** 0.5), ("output", 8**-0.5)):
        drawn = [w.data for row in getattr(layer, name).weight for w in row]
        assert 0.9 * limit < max(drawn) <= limit
        assert {b.data for b in getattr(layer, name).bias} == {0.0}


def noisy(seed: int = 0) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4, seed=seed), nn.Dropout(0.5, seed=seed), nn.Layer(4, 1, seed=seed))


def test_fit_trains_with_dropout_validates_without_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    x, y = datasets.line(12)
    options: dict[str, Any] = {"loss": "mse", "lr": 0.05, "batch_size": 4}
    model = noisy()
    history = fit(model, x, y, epochs=4, validation=(x, y), **options)
    assert history.how == "recorded, since there is little to compute"
    with no_grad():
        squares = [(model.eval()(row) - target) ** 2 for row, target in zip(x, y, strict=True)]
    assert history["validation_loss"][-1] == pytest.approx(sum(v.data for v in squares) / 12)
    part = noisy()
    fit(part, x, y, epochs=2, validation=(x, y), callbacks=[Checkpoint(tmp_path / "run.json")], **options)
    resumed = noisy()
    again = fit(resumed, x, y, epochs=4, validation=(x, y), resume=tmp_path / "run.json", **options)
    assert again.loss == history.loss
    assert resumed.state_dict() == model.state_dict()
    other = noisy()
    other.layers[1] = nn.Dropout(0.5, seed=1)
    assert fit(other, x, y, epochs=4, validation=(x, y), **options).loss != history.loss


@pytest.mark.parametrize("lengths", [(2, 2), (2, 3)])
def test_compiled_training_with_dropout_draws_the_numbers_of_recording(lengths: tuple[int, int]) -> None:
    pytest.importorskip("llvmlite")
    x = [[[0.3 * i - t] for t in range(lengths[i // 2 % 2])] for i in range(9)]
    y = [float(i % 2) for i in range(9)]

    def last(result: Any) -> Any:
        return result[0][-1]

    runs = []
    for compiled in (True, False):
        model = nn.Sequential(nn.RNN(1, 3, seed=1), last, nn.Dropout(0.4, seed=5), nn.Layer(3, 1, seed=2))
        loss = Objective("mse", compile=compiled)
        history = fit(model, x, y, loss=loss, epochs=4, lr=0.05, batch_size=4, progress=False)
        assert history.how == ("compiled" if compiled else "recorded, since compile=False")
        runs.append((history.loss, [p.data for p in model.parameters()]))
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-10)
    assert runs[0][1] == pytest.approx(runs[1][1], rel=1e-8)


def test_a_compiled_loss_knows_the_mode_of_its_model() -> None:
    pytest.importorskip("llvmlite")
    model = noisy()
    step = compile(losses.mse, model)
    x, y = [[1.0, 2.0]] * 4, [0.5] * 4
    assert step(x, y)[0] != step(x, y)[0]
    model.eval()
    evaluated = step(x, y)[0]
    assert evaluated == step(x, y)[0] == pytest.approx((model([1.0, 2.0]) - 0.5).data ** 2)
    model.train()
    assert step(x, y)[0] != step(x, y)[0]
    assert step.compilations == 2


def test_a_dropout_in_training_is_not_spread_over_workers() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(TypeError, match=r"in each worker: call eval\(\)"):
        fit(noisy(), [[1.0, 2.0]], [1.0], loss=Spread("mse", executor), epochs=1)


def test_running_statistics_go_into_checkpoints(tmp_path: Path) -> None:
    x = [[[0.1 * i, 1.0 + j] for j in range(3)] for i in range(4)]
    y = [[1.0, 2.0, 3.0]] * 4

    def run(epochs: int, **options: Any) -> dict[str, float]:
        model = nn.Sequential(nn.BatchNorm(2), nn.Linear(2, 1, seed=0))
        history = fit(model, x, y, loss="mse", batch_size=1, epochs=epochs, progress=False, **options)
        assert history.how.startswith("recorded")
        return model.state_dict()

    whole = run(4)
    run(2, callbacks=[Checkpoint(tmp_path / "run.json")])
    assert run(4, resume=tmp_path / "run.json") == whole
    assert whole["layers[0].running_mean[0]"] != 0.0


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_truncated_gradients_are_those_of_blocks_whose_states_are_detached(kind: str) -> None:
    xs = [[0.3 * t - 1.0] for t in range(7)]
    layer, plain = getattr(nn, kind)(1, 2, 2, truncate=3, seed=1), getattr(nn, kind)(1, 2, 2, seed=1)
    given = values(xs)
    whole, _ = layer(given)
    weighted(whole[-1]).backward()
    states, rows = None, []
    for start in (0, 3, 6):
        out, states = plain(xs[start : start + 3], nn.detached(states))
        rows += out
    weighted(rows[-1]).backward()
    assert [[v.data for v in row] for row in whole] == [[v.data for v in row] for row in rows]
    assert [p.grad for p in layer.parameters()] == [p.grad for p in plain.parameters()]
    assert [x.grad for (x,) in given[:6]] == [0.0] * 6
    assert given[6][0].grad != 0.0
    with pytest.raises(TypeError, match=f"{kind} has no option 'layers': it has num_layers, "):
        getattr(nn, kind)(2, 3, layers=2)
    with pytest.raises(ValueError, match=f"{kind}: truncate must be a whole number from 1 on, got 0"):
        getattr(nn, kind)(1, 2, truncate=0)


def test_a_truncated_layer_is_compiled_as_it_is_recorded() -> None:
    pytest.importorskip("llvmlite")
    layer = nn.LSTM(1, 2, truncate=2, bidirectional=True, seed=1)
    function, parameters = by_parameters(layer)
    xs = [[0.3 * t - 1.0] for t in range(5)]
    p, given = values(parameters), values(xs)
    function(p, given).backward()
    slopes = outputs(compile(function).gradient(parameters, xs))
    assert slopes == pytest.approx([v.grad for v in [*p, *outputs(given)]], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_the_loops_of_a_recurrent_layer_do_not_grow_with_its_size(kind: str) -> None:
    pytest.importorskip("llvmlite")
    elements = set()
    for hidden, steps in ((4, 5), (6, 7)):
        layer = getattr(nn, kind)(1, hidden, seed=0)

        def last(out: Any, y: Any) -> Any:
            return weighted(out[0][-1]) * y

        step = compile(last, layer, check=False)
        step([[[0.1 * t] for t in range(steps)]], [1.0])
        elements.add(re.search(r"elements +([\d,]+)", step.report())[1])  # type: ignore[index]  # each report has them
    assert len(elements) == 1


@pytest.mark.parametrize(
    ("layer", "other"),
    [
        (lambda: nn.Conv1d(1, 1, 2, activation="tanh", seed=0), lambda: nn.Conv1d(1, 1, 2, activation="relu", seed=0)),
        (lambda: nn.Conv1d(1, 1, 2, padding=1, seed=0), lambda: nn.Conv1d(1, 1, 2, seed=0)),
        (lambda: nn.RNN(2, 1, seed=0), lambda: nn.RNN(2, 1, nonlinearity="relu", seed=0)),
        (lambda: nn.LSTM(2, 1, seed=0), lambda: nn.LSTM(2, 1, truncate=1, seed=0)),
        (lambda: nn.Transformer(2, 1, seed=0), lambda: nn.Transformer(2, 1, activation="gelu", seed=0)),
        (lambda: nn.Dropout(0.5, seed=0), lambda: nn.Dropout(0.4, seed=0)),
    ],
)
def test_a_run_is_not_resumed_with_another_layer_of_the_same_parameters(
    layer: Callable[[], nn.Module], other: Callable[[], nn.Module], tmp_path: Path
) -> None:
    def total(result: Any) -> Any:
        return weighted(result) * 0.1

    def run(make: Callable[[], nn.Module], **options: Any) -> None:
        model = nn.Sequential(make(), total, nn.Layer(1, 1, nonlin=False, seed=0))
        fit(model, [[[0.3, 0.1]], [[0.2, 0.4]]], [1.0, 2.0], loss="mse", epochs=2, progress=False, **options)

    run(layer, callbacks=[Checkpoint(tmp_path / "run.json")])
    run(layer, resume=tmp_path / "run.json")
    with pytest.raises(ValueError, match="it is of a run with activations = "):
        run(other, resume=tmp_path / "run.json")
