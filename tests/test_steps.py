"""`steps`: what it says is what the engine does, in words that a person can follow; and textbook rules are right."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operands import inside

import microgrid as mg
from microgrid import OPS, Op, Program, Value, nn, steps
from microgrid.nudge import nudged
from microgrid.numbers.arithmetic import VALUES
from microgrid.testing.strategies import points, programs


def shared() -> tuple[Value, Value, Value]:
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return a, b, (a * b + a) ** 2


def test_a_shared_value_receives_two_contributions_and_is_told_so() -> None:
    _, _, c = shared()
    found = steps(c)
    assert [step.name for step in found] == [
        *("a * b", "a * b + a", "(a * b + a) ** 2"),
        *("(a * b + a) ** 2", "a * b + a", "a * b"),
    ]
    to_a = [k for step in found.backward for k in step.contributions if k.name == "a"]
    assert [(k.before, k.contribution, k.after) for k in to_a] == [(0.0, -8.0, -8.0), (-8.0, 24.0, 16.0)]
    assert [k.formula for k in to_a] == ["d(a * b + a)/da = 1", "d(a * b)/da = b"]
    assert found[-1].remarks == ("a is used more than once, so its contributions add up (+=, not =): -8 + 24 = 16",)


def test_nothing_changes_unless_asked() -> None:
    a, b, c = shared()
    found = steps(c)
    _ = str(found), found.markdown(), found.html()
    assert [v.grad for v in (a, b, c)] == [0.0, 0.0, 0.0]
    again = steps(c, run=True)
    assert [v.grad for v in again.values] == again.grads == found.grads
    third = steps(c, accumulate=True)
    assert third[3].remarks == ()
    assert any("a had a gradient of 16 already" in remark for step in third for remark in step.remarks)


@settings(deadline=None)
@given(st.data(), programs(ops=list(OPS.values()), max_size=15))
def test_the_steps_are_the_engines_to_the_bit(data: st.DataObject, program: Program) -> None:
    at = data.draw(points(program))
    leaves = [Value(x, label=f"x{i}") for i, x in enumerate(at)]
    (root,) = program.replay(leaves, VALUES)
    found = steps(root)
    root.backward()
    for value, grad in zip(found.values, found.grads, strict=True):
        assert value.grad == grad or math.isnan(grad)
    received = [0.0] * len(found.values)
    received[-1] = 1.0
    order: list[int] = []
    for step in found.backward:
        assert step.upstream == received[step.node] or math.isnan(step.upstream)
        users = {i for i, item in enumerate(found.items) if step.node in item.operands}
        assert users <= set(order)
        order.append(step.node)
        assert step.done == tuple(order)
        assert not set(step.ready) & set(step.waiting)
        for c in step.contributions:
            assert c.before == received[c.operand] or math.isnan(c.before)
            received[c.operand] = c.after
    forward = found.forward
    assert [step.node for step in forward] == order[::-1]
    assert all(step.data == found.values[step.node].data or math.isnan(step.data) for step in forward)


def bits(gradients: Iterable[float]) -> list[str]:
    return [repr(gradient + 0.0) for gradient in gradients]  # -0.0 is 0.0


@settings(deadline=None)
@given(st.data(), programs(ops=list(OPS.values()), max_size=15), st.integers(0, 3), st.sampled_from([1.0, -2.0, 0.0]))
def test_gradients_start_from_0_whatever_was_there_unless_they_accumulate(
    data: st.DataObject, program: Program, passes: int, seed: float
) -> None:
    leaves = [Value(x, label=f"x{i}") for i, x in enumerate(data.draw(points(program)))]
    (root,) = program.replay(leaves, VALUES)
    fresh = bits(steps(root, seed=seed).grads)
    for _ in range(passes):
        root.backward(3.0)
    found, added = steps(root, seed=seed), steps(root, seed=seed, accumulate=True)
    assert bits(found.grads) == fresh
    assert not any(found.starts)
    assert not any("already" in remark for step in found for remark in step.remarks)
    last = {c.operand: c.after for step in added.backward for c in step.contributions}
    root.backward(seed)
    assert bits(added.grads) == bits([value.grad for value in added.values])
    assert bits(last.values()) == bits([added.grads[i] for i in last])


def test_ready_and_waiting_say_who_is_next() -> None:
    x = Value(0.5, label="x")
    a = mg.sin(x)
    b = mg.exp(a)
    c = a * b
    first, second, third = steps(c).backward
    assert [steps(c).names[i] for i in first.ready] == ["exp(sin(x))"]
    assert [steps(c).names[i] for i in first.waiting] == ["sin(x)"]
    assert second.ready == (steps(c).names.index("sin(x)"),)
    assert third.why == "its turn: all that use it are done, sin(x) * exp(sin(x)), exp(sin(x))"


def test_what_is_special_is_said_in_words() -> None:
    x = Value(-2.0, label="x")
    said = {
        "this relu is off: its operand is -2, not above 0": mg.relu(x) * 1.0,
        "tanh is saturated": mg.tanh(x * 10.0),
        "its gradient is exactly 0, so it passes nothing on": mg.sin(x) * 0.0,
        "both operands are the same value": x * x,
        "only what was chosen receives": mg.maximum(x, 1.0),
        "not finite: detect_anomaly()": mg.log(x + 2.0),
    }
    for words, root in said.items():
        assert any(words in remark for step in steps(root) for remark in step.remarks), words


def test_differences_stand_beside_the_cotangents() -> None:
    x = Value(0.5, label="x")
    for step in steps(mg.sin(mg.exp(x)) * x, numerical=True).backward:
        assert step.numerical == pytest.approx(step.upstream, rel=1e-8)


def test_names_are_labels_variables_or_short_expressions() -> None:
    x = Value(1.0)
    y = mg.tanh(x) + 1.0
    z = y * y * y * y * y * y
    assert "x" in steps(y, names=locals()).names
    assert steps(y, names={"x": x}).names == ["x", "tanh(x)", "1", "tanh(x) + 1"]
    names = steps(z, names={"x": x}).names
    assert (names[-2][0], names[-1]) == ("v", "z")
    assert steps(z, names={"z": x}).names[-1] == f"v{len(names) - 1}"  # the name of another
    z.label = "loss"
    assert steps(z).names[-1] == "loss"
    neurons = steps(nn.MLP(1, [2, 1])([Value(1.0)]))
    assert "layers[0].neurons[1].w[0]" in neurons.names
    assert len(set(neurons.names)) == len(neurons.names)


def test_a_label_that_is_an_expression_stands_in_brackets_and_one_that_is_a_number_is_a_name() -> None:
    s, b = Value(-6.0, label="x1*w1 + x2*w2"), Value(2.0, label="b")
    step = steps(s * b).backward[0]
    assert (step.name, step.contributions[1].formula) == (
        "(x1*w1 + x2*w2) * b",
        "d((x1*w1 + x2*w2) * b)/db = x1*w1 + x2*w2",
    )
    assert steps(b / s).backward[0].contributions[1].formula.endswith(" = -b / (x1*w1 + x2*w2) ** 2")
    assert steps(-s).names[-1] == "-(x1*w1 + x2*w2)"
    weight = Value(1.0, label="tanh(a + b)[0]")
    assert steps(weight * b).names[-1] == "tanh(a + b)[0] * b"
    one = Value(3.0, label="1")
    assert steps(b**one).backward[0].contributions[0].formula == "d(b ** 1)/db = 1 * b ** (1 - 1)"
    assert steps(Value(-0.0, label="z") ** 2)[0].expression == "(-0) ** 2"


def test_text_and_markdown_have_every_contribution() -> None:
    _, _, c = shared()
    text, table = str(steps(c)), steps(c).markdown()
    for part in ("d(a * b)/da = b = -3 | × gradient -8 = 24 | a: was -8, now 16", "6. a * b: gradient -8"):
        assert part in text
    assert table.count("\n") == 1 + 5
    assert "`d(a * b)/da` = `b = -3` | 24 | `a`: -8 → 16 |" in table
    bundle = steps(c)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/markdown", "text/plain"}


def test_the_text_of_a_long_pass_is_folded_in_the_middle() -> None:
    def chain(count: int) -> Value:
        x = Value(1.0)
        for _ in range(count):
            x = x + 1.0
        return x

    assert str(steps(chain(60))).count("\n 60. ") == 1
    lines = str(steps(chain(61))).splitlines()
    assert lines[20] == "     ... 21 more steps; for all of them: for step in steps(root): print(step)"
    assert lines[19].startswith(" 20. ")
    assert lines[21].startswith(" 42. ")
    assert [line for line in lines if line.startswith(("61. ", " 61. ", " 62. ", "122. "))] != []


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda: steps(cast(Any, 3.0)), TypeError, "takes a Value"),
        (lambda: steps(Value(1.0)), ValueError, "nothing to step through"),
        (lambda: steps(shared()[2])[6], IndexError, "there are 6 steps"),
    ],
)
def test_misuse_says_what_to_change(misuse: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse()


def graph(size: int) -> Value:
    """Return a graph of this many values: sums, products and tanh over the last few."""
    values = [Value(0.5 + 0.1 * i, label="abcd"[i]) for i in range(3)]
    while len(values) <= size:  # the first is not used
        k = len(values)
        x, y = values[-1], values[-3]
        values.append(mg.tanh(x) if k % 3 == 0 else x * y if k % 3 == 1 else x - y)
    return values[-1]


@pytest.mark.parametrize(("size", "kilobytes"), [(11, 20), (50, 30), (211, 30), (3000, 60)])
def test_a_page_is_small(size: int, kilobytes: int, tmp_path: Any) -> None:
    """As it is sent, compressed; the file itself is a third larger, since text holds six bits for eight."""
    found = steps(graph(size))
    assert len(found.values) == size
    found.save(tmp_path / "steps.html")
    page = (tmp_path / "steps.html").read_bytes()
    assert len(zlib.compress(page, 9)) <= 1024 * kilobytes
    assert len(page) <= 1024 * kilobytes * 1.45


@pytest.mark.slow
def test_a_large_graph_is_stepped_without_writing_out_every_step() -> None:
    model = nn.MLP(2, [16, 16, 1])
    loss = mg.sum([mg.relu(1.0 - model([0.1 * i, 0.3])) for i in range(20)])
    found = steps(loss)
    assert len(found) > 10_000
    assert len(found.html()) < 200_000
    assert found[-1].phase == "backward"


def test_the_page_is_the_same_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    import re
    import sys

    drawn = 'src="data:image/svg.xml,(.*?)"'
    with_graphviz = re.findall(drawn, steps(shared()[2]).html())
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setenv("PATH", "")
    assert re.findall(drawn, steps(shared()[2]).html()) == with_graphviz != []


def test_partial_sums_are_named_by_their_places() -> None:
    x = [Value(float(i), label=f"x{i}") for i in range(30)]
    total = x[0] * x[1]
    for k in range(2, 30, 2):
        total = total + x[k] * x[k + 1]
    total.label = "total"
    names = steps(total).names
    assert [name for name in names if "terms" in name][:2] == ["3 of 15 terms of total", "4 of 15 terms of total"]
    assert len([name for name in names if "of 15 terms" in name]) == 12
    model = nn.MLP(2, [9, 1])
    names = steps(model([Value(1.0), Value(2.0)]) * 3.0).names
    assert "layers[1].neurons[0]: 4 of 10 terms" in names
    assert "layers[1].neurons[0]: sum of 10" in names
    assert len(set(names) - {"1"}) == len([name for name in names if name != "1"])


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.textbook], ids=lambda op: op.name)
def test_the_textbook_says_what_the_rule_computes(op: Op) -> None:
    names: dict[str, Any] = {**OPS, "pi": math.pi}
    for scale in (1.0, -0.5, 0.3):
        at = tuple(
            scale * x if not op.static and op.name not in ("acosh", "asec", "acsc", "acoth") else x for x in inside(op)
        )
        z = op.forward(*at)
        found = dict(zip(op.variables, at, strict=True)) | {"z": z}
        rule = op.partials(z, *at)
        if not all(map(math.isfinite, rule)):
            continue
        assert len(op.textbook) == len(rule)
        for text, partial in zip(op.textbook, rule, strict=True):
            assert float(eval(text, names | found)) == pytest.approx(partial, rel=1e-12, abs=1e-15), text


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda x: mg.tanh(x), 0.7),
        (lambda x: mg.exp(x), -1.0),
        (lambda x: mg.log(x), 0.003),
        (lambda x: x * x, 3.0),
        (lambda x: 1.0 / x, 0.5),
        (lambda x: x**2.5, 2.0),
        (lambda x: mg.special.gamma(x), 1.5),
    ],
)
def test_a_nudge_is_told_with_the_next_term_where_that_is_nearer(f: Any, at: float) -> None:
    x = Value(at)
    node = f(x)
    said = nudged(node, x)

    def alone(t: Any) -> Any:
        return node.op(*[t if operand is x else operand.data for operand in node.operands])

    h = said.size
    assert h == (0.1 if abs(at) > 0.1 else 0.0001)
    assert said.linear == pytest.approx(h * mg.grad(alone)(at), rel=1e-14)
    assert said.truth == pytest.approx(alone(at + h) - alone(at), rel=1e-12)
    assert said.further is not None
    assert said.further - said.linear == pytest.approx(h * h / 2.0 * mg.grad(mg.grad(alone))(at), rel=1e-9)
    assert abs(said.further - said.truth) < abs(said.linear - said.truth)


def test_a_nudge_is_told_of_each_operand_in_short() -> None:
    a, b = Value(0.7, label="a"), Value(-1.5, label="b")
    assert [step.nudge for step in steps((a * b).tanh()).backward] == [
        "a nudge of 0.1 to a * b moves tanh(a * b) by 0.03888 (with the next term by 0.04192, in truth by 0.04202)",
        "a nudge of 0.1 to a moves a * b by -0.15; one to b by 0.07",
    ]
    given = Value(2.0, [a], [3.0])  # without a rule
    assert steps(given)[-1].nudge == "a nudge of 0.1 to a moves given(a) by 0.3"
