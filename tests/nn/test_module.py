"""Modules: their parameters and names, and what is saved and loaded."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid import Value, draw, grad, nn, tanh
from microgrid.core.files import read_json, write_json


class Custom(nn.Module):
    """One of everything that can hold a parameter."""

    def __init__(self) -> None:
        self.scale = Value(2.0)
        self.pair = (Value(3.0), [Value(4.0)])
        self.by_name = {"head": nn.Neuron(1, seed=0), "shift": Value(5.0)}
        self.again = self.scale
        self.blocks = [nn.Layer(1, 1, seed=1)]
        self._hidden = Value(6.0)
        self.result = Value(1.0) * 2.0

    def __call__(self, x: Value) -> Any:
        return self.blocks[0]([self.by_name["head"]([x * self.scale])]) + self.pair[0]  # type: ignore[operator]


def test_parameters_are_the_leaves_in_attributes_each_once() -> None:
    model = Custom()
    assert [name for name, _ in model.named_parameters()] == [
        "scale",
        "pair[0]",
        "pair[1][0]",
        "by_name['head'].w[0]",
        "by_name['head'].b",
        "by_name['shift']",
        "blocks[0].neurons[0].w[0]",
        "blocks[0].neurons[0].b",
    ]
    assert model.parameters() == [p for _, p in model.named_parameters()]
    assert model.count_parameters() == 8
    assert repr(model) == "Custom of 8 parameters"
    assert model(Value(1.0)).operands[0].module == "Custom.blocks[0].neurons[0]"
    assert model.by_name["head"]([1.0]).module == "by_name['head']"  # type: ignore[operator]


def test_what_a_subclass_adds_is_trained_too() -> None:
    class Scaled(nn.MLP):
        def __init__(self) -> None:
            super().__init__(2, [2, 1])
            self.scale = Value(1.0)

    class Leaky(nn.Neuron):
        def __init__(self) -> None:
            super().__init__(2)
            self.leak = Value(0.1)

    assert [name for name, _ in Scaled().named_parameters()][-2:] == ["layers[1].neurons[0].b", "scale"]
    assert [name for name, _ in Leaky().named_parameters()] == ["w[0]", "w[1]", "b", "leak"]


def test_a_neuron_names_a_tied_weight_once_and_no_result() -> None:
    neuron = nn.Neuron(3)
    neuron.w[1] = neuron.w[0]
    neuron.w[2] = neuron.b * 2.0
    assert neuron.parameters() == nn.Module.parameters(neuron) == [neuron.w[0], neuron.b]


def test_a_class_that_names_its_parameters_itself_is_believed() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = Value(1.0), Value(2.0)
            self._c = Value(3.0)

        def parameters(self) -> list[Value]:
            return [self._c, self.b]

    model = Frozen()
    assert model.state_dict() == {"parameters[0]": 3.0, "b": 2.0}


class Child(nn.Module):
    """A module that refers back to the one that holds it."""

    def __init__(self, parent: nn.Module, seed: int) -> None:
        self.parent = parent
        self.layer = nn.Layer(1, 1, seed=seed)


class Parent(nn.Module):
    def __init__(self) -> None:
        self.me = self
        self.children = [Child(self, 0), Child(self, 1)]
        self.shift = Value(2.0)

    def __call__(self, x: float) -> Any:
        return self.children[1].layer(self.children[0].layer([x])) + self.shift


class Proud(Parent):
    """It says itself what its parameters are."""

    def parameters(self) -> list[Value]:
        return [self.shift, *self.children[0].parameters()]


def test_modules_that_refer_back_are_looked_through_once() -> None:
    model = Parent()
    names = [f"children[{i}].layer.neurons[0].{name}" for i in range(2) for name in ("w[0]", "b")]
    assert list(model.state_dict()) == [*names, "shift"]
    assert [p for _, p in model.named_parameters()] == model.parameters()
    assert repr(model) == "Parent of 5 parameters"
    assert [line.split() for line in model.summary().splitlines()] == [
        ["children[0]", "Child", "2"],
        ["children[1]", "Child", "2"],
        ["Parent", "5"],
    ]
    child = model.children[0]
    assert len(child.parameters()) == 5
    assert [p for _, p in child.named_parameters()] == child.parameters()
    assert list(child.state_dict())[:2] == [
        "parent.children[1].layer.neurons[0].w[0]",
        "parent.children[1].layer.neurons[0].b",
    ]
    assert nn.functional_call(model, [1.0, 0.0, 1.0, 0.0, 5.0], 3.0).data == 8.0
    assert list(Proud().state_dict()) == ["shift", *names[:2]]
    with pytest.raises(ValueError, match="computes something from what its last neurons give"):
        draw(model)


def test_the_names_of_a_network_tell_where_its_parameters_are() -> None:
    model = nn.MLP(2, [3, 1])
    names = dict(model.named_parameters())
    assert names["layers[0].neurons[2].w[1]"] is model.layers[0].neurons[2].w[1]
    assert list(names.values()) == model.parameters()
    lines = model.summary().splitlines()
    assert [line.split() for line in lines] == [["layers[0]", "Layer", "9"], ["layers[1]", "Layer", "4"], ["MLP", "13"]]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3))
def test_a_saved_network_loads_to_the_bit(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    path = tmp_path_factory.mktemp("saved") / "neuron.json"
    model, other = nn.Neuron(2, seed=0), nn.Neuron(2, seed=1)
    for p, x in zip(model.parameters(), numbers, strict=True):
        p.data = x
    model.save(path)
    assert other.load(path) is other
    for p, x in zip(other.parameters(), numbers, strict=True):
        assert (p.data, math.copysign(1.0, p.data)) == (x, math.copysign(1.0, x)) or math.isnan(p.data) == math.isnan(x)
    json.loads(path.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_network_with_other_activations_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    nn.MLP(2, [3, 1], activation="tanh", seed=0).save(path)
    assert (
        nn.MLP(2, [3, 1], activation=tanh).load(path)([0.5, 1.0]).data
        == nn.MLP(2, [3, 1], activation="tanh", seed=0)([0.5, 1.0]).data
    )
    for other in (nn.MLP(2, [3, 1]), nn.MLP(2, [3, 1], activation="tanh", output="tanh")):
        before = other.state_dict()
        with pytest.raises(ValueError, match=r"other activations: .*tanh.*, not .*(relu|4 tanh)"):
            other.load(path)
        assert other.state_dict() == before
    nn.RNN(2, 3).save(tmp_path / "rnn.json")
    with pytest.raises(ValueError, match="other activations: 1 tanh, not 1 relu"):
        nn.RNN(2, 3, nonlinearity="relu").load(tmp_path / "rnn.json")
    content = json.loads(path.read_text("utf-8"))
    del content["activations"]  # as files were
    path.write_text(json.dumps(content), "utf-8")
    nn.MLP(2, [3, 1]).load(path)


@pytest.mark.parametrize(
    ("saved", "other", "told"),
    [
        (nn.GPT("ab", context=4), nn.GPT("ba", context=4), "letters='ab'.*, not .*letters='ba'"),
        (nn.Attention(4, 2), nn.Attention(4, 4), "num_heads=2, causal=True.*num_heads=4"),
        (nn.Attention(4, 2), nn.Attention(4, 2, causal=False), "causal=True.*causal=False"),
        (nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3, stride=2), r"stride=\(1, 1\).*stride=\(2, 2\)"),
        (nn.Conv1d(1, 2, 3), nn.Conv1d(1, 2, 3, padding=1), r"padding=\(0,\).*padding=\(1,\)"),
    ],
)
def test_a_network_with_other_settings_is_not_loaded(saved: Any, other: Any, told: str, tmp_path: Path) -> None:
    """Its parameters have the same shapes, and its outputs would be others."""
    saved.save(path := tmp_path / "model.json")
    before = other.state_dict()
    with pytest.raises(ValueError, match=f"other settings: .*{told}"):
        other.load(path)
    assert other.state_dict() == before
    assert saved.load(path) is saved


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        (lambda: nn.MLP(2, [4, 1]), r"layers\[1\]\.neurons\[0\]\.w has 3 number\(s\) there and 4 in the network"),
        (lambda: nn.MLP(3, [3, 1]), r"layers\[0\]\.neurons\[0\]\.w has 2 number\(s\) there and 3"),
        (lambda: nn.MLP(2, [3]), r"the network has no layers\[1\]\.neurons\[0\]\.w\[0\]"),
        (lambda: nn.MLP(2, [3, 1, 1]), r"layers\[2\]\.neurons\[0\]\.w\[0\] is missing"),
        (lambda: nn.Neuron(2), r"w\[0\] is missing"),
    ],
)
def test_a_file_that_does_not_fit_says_what_differs_and_changes_nothing(
    tmp_path: Path, other: Any, advice: str
) -> None:
    path = tmp_path / "model.json"
    nn.MLP(2, [3, 1]).save(path)
    model = other()
    before = model.state_dict()
    with pytest.raises(ValueError, match=advice) as caught:
        model.load(path)
    assert str(path) in str(caught.value)
    assert model.state_dict() == before


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "is no microgrid parameters"),
        ('{"format": "microgrid checkpoint 1"}', "its format is 'microgrid checkpoint 1'"),
        ("[1, 2]", "its format is None"),
        ('{"format": "microgrid parameters 1", "parameters": {"w[0]": "x", "w[1]": 1, "b": 2}}', r"w\[0\]: .*string"),
        ('{"format": "microgrid parameters 1", "parameters": {"w[0]": 1, "w[1]": null, "b": 2}}', r"w\[1\]: expected"),
        ('{"format": "microgrid parameters 1"}', "holds no parameters"),
    ],
)
def test_a_file_of_something_else_is_an_error_that_changes_nothing(tmp_path: Path, text: str, advice: str) -> None:
    (tmp_path / "file.json").write_text(text)
    model = nn.Neuron(2, seed=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=advice):
        model.load(tmp_path / "file.json")
    assert model.state_dict() == before


FILE = """{
 "format": "microgrid parameters 1",
 "module": "Neuron",
 "parameters": {
  "w[0]": 0.6888437030500962,
  "w[1]": 5e-324,
  "b": "-inf"
 },
 "activations": "1 relu",
 "settings": ""
}
"""


def loads_or_refuses(path: Path) -> dict[str, float] | None:
    """The numbers that a neuron has from the file; None when it is refused, with its name, and nothing has changed."""
    model = nn.Neuron(2, seed=0)
    before, refused = model.state_dict(), None
    try:
        model.load(path)
    except ValueError as error:
        refused = error
    if refused is None:
        return model.state_dict()
    assert str(path) in str(refused)
    assert model.state_dict() == before
    return None


PARTS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        "NaN",
        "Infinity",
        "-",
        "1e400",
        "null",
        "true",
        "\\ud800",
        "0" * 400,
        "\x00",
        "é",
    ]
)


@given(data=st.data())
@settings(deadline=None)
def test_a_damaged_file_is_refused_or_holds_what_it_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(FILE)), st.integers(0, len(FILE)))))
    end = data.draw(st.sampled_from([start, start + 1, end, len(FILE)]))
    instead = data.draw(st.lists(PARTS | st.text(max_size=2), max_size=3).map("".join).map(_encoded) | st.binary())
    path.write_bytes(FILE[:start].encode() + instead + FILE[end:].encode())
    numbers = loads_or_refuses(path)
    if numbers is not None:
        told = json.loads(path.read_text("utf-8"), object_pairs_hook=lambda pairs: pairs)
        ((_, pairs),) = [pair for pair in told if pair[0] == "parameters"]
        assert sorted(name for name, _ in pairs) == ["b", "w[0]", "w[1]"]
        for name, x in pairs:
            assert isinstance(x, (int, float)) is math.isfinite(numbers[name])
            assert str(numbers[name]) == str(float(x))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (FILE.replace("5e-324", "NaN"), 'NaN is no number of JSON; "inf", "-inf" and "nan" are written as strings'),
        (FILE.replace("5e-324", "1e400"), "1e400 is no number of JSON"),
        (FILE.replace("5e-324", "9" * 400), r"w\[1\]: a whole number of 1329 bits is beyond the largest float"),
        (FILE.replace("5e-324", "9" * 5000), "4300"),
        (FILE.replace("5e-324", "true"), r"w\[1\]: expected a number, got True"),
        (FILE.replace("w[1]", "w[0]"), r"it has 'w\[0\]' twice"),
        (FILE.replace("5e-324", "[" * 5000 + "]" * 5000), "nested too deep"),
        (FILE.replace("5e-324", '{"x":' * 5000 + "1" + "}" * 5000), "nested too deep"),
        (FILE[:80], "is no microgrid parameters: "),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, text: str, advice: str) -> None:
    path = tmp_path / "neuron.json"
    path.write_text(text)
    assert loads_or_refuses(path) is None
    with pytest.raises(ValueError, match=advice) as caught:
        nn.Neuron(2).load(path)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices are no files there")
def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    """A device of our own stands for /dev/full, which a test that fails would destroy."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for the other end
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with contextlib.suppress(PermissionError):
        os.mknod(tmp_path / "full", 0o600 | stat.S_IFCHR, os.makedev(1, 7))
    for place in list(tmp_path.iterdir()):
        before = os.lstat(place).st_mode, os.lstat(place).st_ino
        with pytest.raises(ValueError, match="is no regular file, and nothing else is replaced") as caught:
            nn.Neuron(1).save(place)
        assert str(place) in str(caught.value)
        with pytest.raises((ValueError, OSError), match=r"is no regular file|symbolic links"):
            nn.Neuron(1).load(place)
        assert (os.lstat(place).st_mode, os.lstat(place).st_ino) == before
    assert not list(tmp_path.glob(".*"))


SAVER = """
import json, sys
from microgrid import nn
from microgrid.nn import module

def in_place(path, kind, content):
    with open(path, "w") as file:
        file.write(json.dumps({"format": f"microgrid {kind} 1", **content}, indent=1))

if sys.argv[2] == "in place":
    module.write_json = in_place
model = nn.Layer(40, 50, seed=0)
number = 0
while True:
    number += 1
    for p in model.parameters():
        p.data = float(number)
    model.save(sys.argv[1])
    print(number, flush=True)
"""


def killed_while_saving(path: Path, how: str, delay: float) -> tuple[int, set[float]]:
    """The number that the process said it had saved last when it was killed, and the numbers that are in the file."""
    with subprocess.Popen([sys.executable, "-c", SAVER, str(path), how], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        saved = int(("3\n" + process.stdout.read()).split()[-1])
    return saved, set(nn.Layer(40, 50).load(path).state_dict().values())


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_process_killed_while_it_saves_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    generator = random.Random(0)
    for _ in range(8):
        saved, numbers = killed_while_saving(tmp_path / "model.json", "as it is", generator.uniform(0.0, 0.05))
        assert numbers in ({float(saved)}, {float(saved + 1)})


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_save_in_place_would_be_seen(tmp_path: Path) -> None:
    generator = random.Random(0)

    def until_half_a_file_is_found() -> None:
        for _ in range(100):
            killed_while_saving(tmp_path / "model.json", "in place", generator.uniform(0.0, 0.05))

    with pytest.raises(ValueError, match="is no microgrid parameters"):
        until_half_a_file_is_found()


def test_a_save_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", "thing", {"x": 1.5})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", "thing", {"x": object()})
    with pytest.raises(FileNotFoundError):
        write_json(tmp_path / "none" / "a.json", "thing", {"x": 1.0})
    assert read_json(tmp_path / "a.json", "thing") == {"x": 1.5}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    nn.Neuron(1).save(tmp_path / "file.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "file.json")
    model = nn.Neuron(1)
    model.save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert nn.Neuron(1).load(tmp_path / "file.json").state_dict() == model.state_dict()


@pytest.mark.skipif(os.name == "nt", reason="rights are otherwise there")
def test_a_file_that_is_saved_again_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    nn.Neuron(1).save(path)
    for mode in (0o600, 0o640):
        path.chmod(mode)
        nn.Neuron(1).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_network_is_a_function_of_its_parameters_too() -> None:
    model = nn.MLP(2, [3, 1], activation="tanh", seed=0)
    before = model.state_dict()
    x = [0.5, -1.0]

    def output(*parameters: Any) -> Any:
        return nn.functional_call(model, parameters, x)

    numbers = list(before.values())
    slopes = grad(output, range(len(numbers)))(*numbers)
    model.zero_grad()
    model(x).backward()
    assert list(slopes) == [p.grad for p in model.parameters()]
    shifted = [n + 1.0 for n in numbers]
    other = nn.MLP(2, [3, 1], activation="tanh", seed=1)
    assert output(*shifted).data == other.load_state_dict(dict(zip(before, shifted, strict=True)))(x).data
    assert model.state_dict() == before
    with pytest.raises(ValueError, match=r"13 parameter\(s\), got 2"):
        output(1.0, 2.0)
    with pytest.raises(ValueError, match="expected 2"):
        nn.functional_call(model, numbers, [1.0])
    assert model.state_dict() == before
    with pytest.raises(TypeError, match=r"pair\[0\] is in a tuple"):
        nn.functional_call(Custom(), [1.0] * 8, Value(1.0))


def test_parameters_that_a_class_names_itself_are_replaced_or_refused() -> None:
    class Private(nn.Module):
        def __init__(self, held: Any) -> None:
            self._w, self._body = held, [nn.Neuron(1, nonlin=False, seed=0)]

        def parameters(self) -> list[Value]:
            return [*(self._w if isinstance(self._w, list) else [self._w.x]), *self._body[0].parameters()]

        def __call__(self, x: float) -> Any:
            return self._body[0]([x * self.parameters()[0]])

    class Box:
        x = Value(2.0)

    model = Private([Value(2.0)])
    slopes = grad(lambda *p: nn.functional_call(model, p, 3.0), range(3))(5.0, 7.0, 1.0)
    assert slopes == (21.0, 15.0, 1.0)
    assert model.parameters()[0].data == 2.0
    boxed = Private(Box())
    before = boxed.state_dict()
    with pytest.raises(ValueError, match=r"parameters\(\)\[0\] is in no attribute of Private .* keep it there"):
        nn.functional_call(boxed, [5.0, 7.0, 1.0], 3.0)
    assert boxed.state_dict() == before


def test_a_file_is_the_same_whichever_build_wrote_it(tmp_path: Path) -> None:
    """This text stands here for both: each build is held to write it and to read it."""
    path = tmp_path / "neuron.json"
    model = nn.Neuron(2, seed=0)
    model.w[1].data, model.b.data = 5e-324, -math.inf
    model.save(path)
    assert path.read_text("utf-8") == FILE
    assert nn.Neuron(2, seed=1).load(path).state_dict() == model.state_dict()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2), (2, 1, 2)])
def test_parameters_are_found_in_arrays_of_values(shape: tuple[int, ...]) -> None:
    np = pytest.importorskip("numpy")

    class Arrays(nn.Module):
        def __init__(self) -> None:
            self.w = np.empty(shape, dtype=object)
            for index in np.ndindex(*shape):
                self.w[index] = Value(1.0 + sum(index))
            self.layers = np.array([nn.Neuron(1, seed=i) for i in range(2)], dtype=object)
            self.mask = np.ones(3)
            self.results = np.array([Value(2.0) * 3.0, None, "a"], dtype=object)

        def __call__(self, x: Value) -> Value:
            total: Value = sum((w * x for w in self.w.flat), self.layers[0]([x]) + self.layers[1]([x]))
            return total

    model = Arrays()
    own = list(model.w.flat)
    assert model.parameters()[: len(own)] == own
    assert model.count_parameters() == len(own) + 4
    names = [f"w{''.join(f'[{i}]' for i in index)}" for index in np.ndindex(*shape)]
    assert [name for name, _ in model.named_parameters()][: len(own) + 1] == [*names, "layers[0].w[0]"]
    assert model.load_state_dict(model.state_dict()) is model
    assert {v.module for v in (model.layers[1]([Value(3.0)]),)} == {"layers[1]"}
    numbers = [0.5] * model.count_parameters()
    slopes = grad(lambda parameters: nn.functional_call(model, parameters, Value(3.0)))(numbers)
    assert slopes[: len(own)] == [3.0] * len(own)
    assert list(model.w.flat) == own


def test_parameters_in_a_read_only_array_are_an_error_where_others_take_their_place() -> None:
    np = pytest.importorskip("numpy")

    class Fixed(nn.Module):
        def __init__(self) -> None:
            self.w = np.array([Value(1.0), Value(2.0)])
            self.w.flags.writeable = False

        def __call__(self) -> Value:
            product: Value = self.w[0] * self.w[1]
            return product

    model = Fixed()
    with pytest.raises(TypeError, match=r"w\[0\] is in a read-only array"):
        nn.functional_call(model, [3.0, 4.0])
    assert model().data == 2.0
