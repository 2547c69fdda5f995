"""Programs in the style of Karpathy's microgpt: Values made of a number, children and local derivatives."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plain_gpt import Plain

import microgrid
from microgrid import detect_anomaly, draw, grad, hessian, no_grad, ops, steps, trace
from microgrid.core.ported import NOTES
from microgrid.core.primitive import OPS, Op, built_in
from microgrid.engine import COMPILED, Value, topological
from microgrid.functional import hvp, jacobian
from microgrid.program import Program
from microgrid.testing import check_gradient

# --- a program as its users write it, run with our Value and with a plain class ------------------------------------


def propagate(root: Any) -> None:
    """Backpropagation by the program's own hand, through `_children` and `_local_grads`."""
    order: list[Any] = []
    visited = set()
    stack = [(root, False)]
    while stack:
        v, expanded = stack.pop()
        if expanded:
            order.append(v)
        elif v not in visited:
            visited.add(v)
            stack += [(v, True), *[(child, False) for child in v._children]]
    root.grad = 1.0
    for v in reversed(order):
        for child, local_grad in zip(v._children, v._local_grads, strict=True):
            child.grad += local_grad * v.grad


SENTENCES = ["the tide is low", "the boat is old", "low boats tilt", "a tide lifts a boat"]


def train(value: Any, backward: Callable[[Any], None], count: int = 3) -> list[float]:
    """A transformer of one head and one layer that learns letters; the losses of its steps by Adam."""
    rng = random.Random(4)
    letters = sorted(set("".join(SENTENCES)))
    end, width, longest = len(letters), 4, 6

    def matrix(rows: int, columns: int) -> list[list[Any]]:
        return [[value(rng.gauss(0, 0.3)) for _ in range(columns)] for _ in range(rows)]

    state = {name: matrix(width, width) for name in ("q", "k", "v", "o", "up", "down")}
    state |= {"letters": matrix(end + 1, width), "places": matrix(longest, width), "head": matrix(end + 1, width)}
    parameters = [p for m in state.values() for row in m for p in row]

    def dot(a: list[Any], b: list[Any]) -> Any:
        """A sum of products as one node."""
        a_data, b_data = [x.data for x in a], [x.data for x in b]
        return value(sum(x * y for x, y in zip(a_data, b_data, strict=True)), (*a, *b), (*b_data, *a_data))

    def relu(x: Any) -> Any:
        return value(max(0.0, x.data), (x,), (float(x.data > 0),))

    def linear(x: list[Any], w: list[list[Any]]) -> list[Any]:
        return [dot(row, x) for row in w]

    def softmax(logits: list[Any]) -> list[Any]:
        largest = max(x.data for x in logits)
        exps = [(x - largest).exp() for x in logits]
        total = sum(exps)
        return [e / total for e in exps]

    def rmsnorm(x: list[Any]) -> list[Any]:
        scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
        return [xi * scale for xi in x]

    def gpt(token: int, place: int, keys: list[Any], values: list[Any]) -> list[Any]:
        x = rmsnorm([t + p for t, p in zip(state["letters"][token], state["places"][place], strict=True)])
        q = linear(x, state["q"])
        keys.append(linear(x, state["k"]))
        values.append(linear(x, state["v"]))
        weights = softmax([dot(q, k) / width**0.5 for k in keys])
        attended = [sum(w * v[j] for w, v in zip(weights, values, strict=True)) for j in range(width)]
        x = [a + b for a, b in zip(x, linear(attended, state["o"]), strict=True)]
        hidden = [relu(h) for h in linear(rmsnorm(x), state["up"])]
        x = [a + b for a, b in zip(x, linear(hidden, state["down"]), strict=True)]
        return linear(x, state["head"])

    m, v = [0.0] * len(parameters), [0.0] * len(parameters)
    losses = []
    for step in range(count):
        sentence = SENTENCES[step % len(SENTENCES)]
        tokens = [end, *[letters.index(letter) for letter in sentence], end][: longest + 1]
        keys: list[Any] = []
        values: list[Any] = []
        parts = [
            -softmax(gpt(token, i, keys, values))[target].log()
            for i, (token, target) in enumerate(itertools.pairwise(tokens))
        ]
        loss = (1 / len(parts)) * sum(parts)
        backward(loss)
        for i, p in enumerate(parameters):
            m[i] = 0.85 * m[i] + 0.15 * p.grad
            v[i] = 0.99 * v[i] + 0.01 * p.grad**2
            p.data -= 0.02 * (m[i] / (1 - 0.85 ** (step + 1))) / ((v[i] / (1 - 0.99 ** (step + 1))) ** 0.5 + 1e-8)
            p.grad = 0
        losses.append(loss.data)
    return losses


@pytest.mark.parametrize("backward", [lambda loss: loss.backward(), propagate], ids=["backward()", "by hand"])
def test_a_program_in_the_style_of_microgpt_learns_as_with_its_own_class(backward: Callable[[Any], None]) -> None:
    expected = train(Plain, propagate)
    assert len(set(expected)) == 3
    assert train(Value, backward) == pytest.approx(expected, rel=1e-9)


# --- a node with numbers for its derivatives -----------------------------------------------------------------------


def operands_of(op: Op) -> list[Any]:
    """Values within the domain, or static numbers."""
    numbers = [0.5 * (max(d.low, 0.0) + min(d.high, max(d.low, 0.0) + 0.75 + i / 8)) for i, d in enumerate(op.domain)]
    return [Value(x, label=f"x{i}") for i, x in enumerate(numbers[: op.arity - op.static])] + [
        2.0 + i for i in range(op.static)
    ]


@pytest.mark.parametrize("op", [OPS[name] for name in sorted(built_in)], ids=lambda op: op.name)
def test_a_node_with_the_numbers_of_an_op_passes_back_what_the_op_does(op: Op) -> None:
    operands = operands_of(op)
    count = op.arity - op.static
    recorded = op(*operands) * operands[0]
    recorded.backward(0.7)
    expected = [x.grad for x in operands[:count]]
    assert all(map(math.isfinite, expected))
    before = op(*operands)
    node = Value(before.data, before._children, before._local_grads)
    assert (node._children, node._local_grads) == (before._children, before._local_grads)
    root = node * operands[0]
    for copied in (root, copy.copy(root), copy.deepcopy(root), pickle.loads(pickle.dumps(root))):
        leaves = {v.label: v for v in topological([copied]) if v.label}
        for leaf in leaves.values():
            leaf.grad = 0.0
        copied.backward(0.7)
        assert [leaves[f"x{i}"].grad for i in range(count)] == expected
    stepped = steps(root, seed=0.7)
    leaf_grads = {v.label: g for v, g in zip(stepped.values, stepped.grads, strict=True) if v.label}
    assert [leaf_grads[f"x{i}"] for i in range(count)] == expected
    formulas = [c.formula for c in stepped.backward[1].contributions]
    assert [float(f.rpartition("= ")[2]) for f in formulas] == pytest.approx(list(before._local_grads), rel=1e-5)
    assert str(draw(node)).count("->") == count


def test_a_node_with_numbers_takes_part_in_first_derivatives() -> None:
    def square(x: Value) -> Value:
        return Value(x.data**2, (x,), (2 * x.data,))

    assert grad(lambda x: square(x) * x)(3.0) == 27.0
    assert jacobian(lambda x: [square(x), x])(3.0) == [6.0, 1.0]


def test_without_recording_a_node_with_numbers_is_a_leaf() -> None:
    x = Value(2.0)
    with no_grad():
        assert Value(4.0, (x,), (4.0,)).operands == ()
    assert Value(4.0, (), ()).op is None
    assert Value(4.0, ()).op is None


def test_anomalies_of_a_node_with_numbers_are_found() -> None:
    x = Value(2.0, label="x")
    with detect_anomaly():
        with pytest.raises(FloatingPointError, match=r"given\(x = 2.0\) gave inf, at .*test_microgpt"):
            Value(math.inf, (x,), (1.0,))
        z = Value(1.0, (x,), (math.inf,))
        with pytest.raises(FloatingPointError, match=r"passes inf back to x = 2.0: cotangent 1.0 times partial inf"):
            z.backward()


def cube(x: Value) -> Value:
    return Value(x.data**3, (x,), (3 * x.data**2,)) + x


@pytest.mark.parametrize(
    "needs_a_rule",
    [
        lambda: grad(grad(cube))(2.0),
        lambda: hessian(lambda x: cube(x[0]))([2.0]),
        lambda: hvp(cube, (2.0,), (1.0,)),
        lambda: trace(cube)(2.0),
        lambda: Program.of(cube(x := Value(2.0)), [x]),
        lambda: check_gradient(cube, 2.0),
        lambda: list(steps(cube(Value(2.0) * 1.5), numerical=True)),
    ],
    ids=["grad of grad", "hessian", "hvp", "trace", "Program.of", "check_gradient", "steps by differences"],
)
def test_where_a_rule_is_needed_the_error_names_primitive(needs_a_rule: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"made by Value\(data, children, local_grads\).*no rule.*primitive\("):
        needs_a_rule()


def test_compiling_a_node_with_numbers_is_an_error_that_names_primitive() -> None:
    pytest.importorskip("llvmlite")
    with pytest.raises(TypeError, match=r"no rule.*primitive\("):
        microgrid.compile(cube)(2.0)


X = Value(2.0)


@pytest.mark.parametrize(
    ("given", "error", "advice"),
    [
        (((X,), (1.0, 2.0)), ValueError, "1 children and 2 local_grads"),
        (((), (1.0,)), ValueError, "0 children and 1 local_grads"),
        (((X, 3.0), (1.0, 2.0)), TypeError, r"children\[1\] must be a Value, got float"),
        (((X,), (X,)), TypeError, r"local_grads\[0\]: .*v.data"),
        (((X,), (None,)), TypeError, r"local_grads\[0\]: expected a number"),
        ((X, (1.0,)), TypeError, "children must be a tuple"),
        (({X}, (1.0,)), TypeError, "children must be a tuple, in order, got set"),
        (((X,), 1.0), TypeError, "local_grads must be a tuple"),
        (("x",), TypeError, r"label='x'"),
        (((X,),), TypeError, "primitive"),
        (((X,), (1.0,), "x"), TypeError, "label= by name"),
    ],
)
def test_a_wrong_child_or_derivative_is_named(given: tuple[Any, ...], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        Value(1.0, *given)


# --- micrograd's own way --------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> Iterator[None]:
    """The table of ops, as it was before."""
    before = set(OPS)
    yield
    for name in set(OPS) - before:
        del OPS[name]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("op", [OPS[name] for name in sorted(built_in) if OPS[name].textbook], ids=lambda op: op.name)
def test_an_op_that_waits_for_its_backward_is_shown_as_a_primitive_with_its_derivatives(op: Op) -> None:
    operands = operands_of(op)
    with pytest.raises(TypeError, match="_backward") as caught:
        Value(1.0, operands[: op.arity - op.static], op.name)
    text = re.search(r"microgrid\.primitive\(.*\)(?=;)", str(caught.value))
    assert text is not None
    shown = eval(text[0], {**vars(ops), "pi": math.pi, "microgrid": microgrid})
    ours, theirs = shown(*operands), op(*operands)
    assert ours.data == pytest.approx(theirs.data, rel=1e-12)
    assert ours.partials == pytest.approx(theirs.partials, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("+", "lambda x, y: x + y"),
        ("*", "(y, x)"),
        ("tanh", "(1 - z**2,)"),
        ("ReLU", "microgrid.ops.relu(x)"),
        ("**3", "static=1"),
        ("swoosh", 'microgrid.primitive("swoosh", lambda x: ..., lambda z, x: (...,))'),
    ],
)
def test_the_symbols_of_micrograd_are_understood(symbol: str, shown: str) -> None:
    children = [Value(2.0)] * (2 if symbol in "+*" else 1)
    with pytest.raises(TypeError, match="_backward") as caught:
        Value(1.0, children, symbol)
    assert shown in str(caught.value)


@given(st.sampled_from(NOTES.split()) | st.from_regex(r"[a-z_]{1,9}", fullmatch=True))
def test_an_attribute_of_your_own_is_refused_with_advice(name: str) -> None:
    assume(not hasattr(Value, name))
    v = Value(2.0)
    with pytest.raises(AttributeError, match=f"attribute '{name}'") as caught:
        setattr(v, name, 0)
    assert not hasattr(v, name)
    assert name not in dir(v)
    if COMPILED or name in NOTES.split():  # the pure build knows the names of notes only
        place: dict[Any, Any] = {"v": v}
        exec(str(caught.value).partition("keyed by Values, ")[2], place)
        assert {v: 0} in place.values()


@pytest.mark.parametrize(
    ("name", "meant"), [("grads", "grad"), ("gradient", "grad"), ("value", "data"), ("labels", "label")]
)
def test_a_misspelt_attribute_names_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=rf"did you mean v\.{meant}\?"):
        setattr(Value(2.0), name, 0)


def test_assignments_find_the_setter_that_the_type_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    v, other = Value(1.0), Value(2.0)
    for _ in range(3):
        v.data, v.grad, v.label, other.grad, other.data = 3.0, 4.0, "v", 5.0, 6.0
        assert (v.data, v.grad, v.label, other.grad, other.data) == (3.0, 4.0, "v", 5.0, 6.0)
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(Value, "data", property(lambda _: 7.0, lambda _, x: seen.append(x)))
        v.data = 8.0
        assert (seen, v.data) == ([8.0], 7.0)
    v.data = 9.0
    assert (seen, v.data) == ([8.0], 9.0)


def test_attributes_of_a_value_cannot_be_deleted() -> None:
    v = Value(2.0, label="v")
    for name in ("data", "grad", "label", "operands", "anything"):
        with pytest.raises(AttributeError, match=name):
            delattr(v, name)
    assert (v.data, v.grad, v.label) == (2.0, 0.0, "v")
