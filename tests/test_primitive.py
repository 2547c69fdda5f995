"""Declaring primitives of one's own."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from microgrid import Interval, Op, Value, draw, nn, ops, primitive
from microgrid.primitive import OPS


@pytest.fixture(autouse=True)
def _table_left_as_it_was() -> Iterator[None]:
    before = dict(OPS)
    yield
    OPS.clear()
    OPS.update(before)


def cube_op(**how: Any) -> Op:
    return primitive("cube", lambda x: x * x * x, lambda z, x: (3.0 * x * x,), **how)


def test_an_op_of_ones_own_works_on_numbers_values_networks_and_pictures() -> None:
    cube = cube_op(symbol="cubed")
    assert cube(2) == 8.0
    assert OPS["cube"] is cube
    x = Value(2.0)
    y = cube(x)
    y.backward()
    assert (y.data, x.grad, y._op) == (8.0, 12.0, "cubed")
    assert "cubed" in draw(y).source
    assert nn.Neuron(1, activation=cube)([1.0]).op is cube
    assert pickle.loads(pickle.dumps(cube)) is cube


def test_a_declaration_of_ones_own_can_be_run_again() -> None:
    assert cube_op() is not cube_op()
    assert list(OPS).count("cube") == 1


@pytest.mark.parametrize(
    ("name", "how", "advice"),
    [
        ("tanh", {}, "built-in"),
        ("\uff54anh", {}, "built-in"),  # which Python reads as tanh
        ("my op", {}, "identifier"),
        ("lambda", {}, "identifier, and no keyword, got 'lambda'"),
        ("cube", {"domain": []}, "one for each|give one"),
        ("cube", {"piecewise": [True, False]}, r"piecewise has 2 bool\(s\) for 1 operand\(s\); give one"),
        ("cube", {"textbook": ["3 * x**2", "0"]}, r"textbook has 2 text\(s\) for 1 derivative\(s\); give one"),
        ("cube", {"latex": "#1^{#2}"}, r"its 1 operand\(s\) are #1 to #1"),
        ("cube", {"static": 1}, r"1 static operand\(s\) of 1; one at least"),
        ("cube", {"formula": lambda x, y: x * y}, r"cube: formula takes 2 operand\(s\), and the rule 1"),
    ],
)
def test_a_wrong_declaration_says_what_to_change(name: str, how: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        primitive(name, lambda x: x, lambda z, x: (1.0,), **how)


def test_a_rule_that_forgets_the_tuple_or_an_operand_is_an_error_when_recorded() -> None:
    bare = primitive("bare", lambda x: x, lambda z, x: 1.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match=r"rule of bare must return a tuple of 1 .* with the comma"):
        bare(Value(1.0))
    short = primitive("short", lambda x, y: x, lambda z, x, y: (1.0,))
    with pytest.raises(TypeError, match=r"tuple of 2 .* got 1 of them"):
        short(Value(1.0), 2.0)
    wide = primitive("wide", lambda a, b, c: a, lambda z, a, b, c: (1.0,))
    with pytest.raises(TypeError, match="tuple of 3"):
        wide(Value(1.0), 2.0, 3.0)
    words = primitive("words", lambda x: x, lambda z, x: ("one",))
    with pytest.raises(TypeError, match="string 'one'"):
        words(Value(1.0))


@pytest.mark.parametrize(
    ("forward", "partials", "error", "advice"),
    [
        (lambda x: x, lambda z, *x: (1.0,), ValueError, "rule of bad takes any number of operands; name each"),
        (lambda x: x, lambda z: (1.0,), ValueError, r"rule of bad takes 1 argument\(s\); it needs the result, then"),
        (lambda x: x, lambda z, x, y: (1.0, 1.0), ValueError, r"forward takes 1 operand\(s\), and the rule 2"),
        (lambda x: x, (1.0,), TypeError, r"rule of bad must be a Python function, got \(1\.0,\)"),
        (2.0, lambda z, x: (1.0,), TypeError, r"bad: forward must be a function, got 2\.0"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_where_it_is_declared(
    forward: Any, partials: Any, error: type[Exception], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        primitive("bad", forward, partials)
    assert "bad" not in OPS


def test_a_rule_may_be_anything_that_python_can_call() -> None:
    class Scaled:
        def partials(self, z: Any, x: Any) -> tuple[Any, ...]:
            return (5.0,)

    def scaled(z: Any, x: Any, by: float) -> tuple[Any, ...]:
        return (by,)

    for rule in (functools.partial(scaled, by=5.0), Scaled().partials, functools.lru_cache(Scaled().partials)):
        op = primitive("scaled", lambda x, *more: 5.0 * x, rule)
        assert (op.arity, op.variables) == (1, ("x",))
        x = Value(2.0)
        op(x).backward()
        assert x.grad == 5.0


def test_an_op_that_is_gone_says_how_to_bring_it_back() -> None:
    stored = pickle.dumps(cube_op())
    del OPS["cube"]
    with pytest.raises(KeyError, match="declare it with primitive"):
        pickle.loads(stored)


def test_an_interval_knows_its_points() -> None:
    assert 0.5 in Interval(0.0, 1.0)
    assert 0.0 not in Interval(0.0, 1.0)
    assert 0.0 not in Interval(except_at=(0.0,))
    assert ops.log.domain == (Interval(low=0.0),)


def test_what_an_array_holds_is_a_real_number_or_refused() -> None:
    np = pytest.importorskip("numpy")
    for x in (np.float32(1.5), np.longdouble(1.5), np.array(1.5), np.array(1.5, dtype=object)):
        assert Value(x).data == 1.5
    assert [Value(np.array(x)).data for x in (True, 3)] == [1.0, 3.0]
    for x in (np.complex64(1 + 2j), np.clongdouble(1), np.array(1 + 2j), np.array(1j, dtype=object)):
        with pytest.raises(TypeError, match="expected a real number, got the complex"):
            Value(x)
    for x in (np.array("1.5"), np.array(b"1.5"), np.array("1.5", dtype=object)):
        with pytest.raises(TypeError, match=r"got the string b?'1\.5'; convert it yourself"):
            Value(x)
    for x in (np.datetime64(5, "ns"), np.timedelta64(5, "s"), np.array(5, "m8[ns]")):
        with pytest.raises(TypeError, match=r"expected a number, got the time .* divide a span"):
            Value(x)
    with pytest.raises(TypeError, match="got NoneType"):
        Value(np.array(None))
    with pytest.raises(TypeError, match="got a Value; use it as it is"):
        Value(np.array(Value(1.0)))


def test_a_complex_tensor_is_refused() -> None:
    torch = pytest.importorskip("torch")
    assert Value(torch.tensor(1.5)).data == 1.5
    for x in (torch.tensor(1 + 2j), torch.tensor(1 + 0j)):
        with pytest.raises(TypeError, match="expected a real number, got the complex"):
            Value(x)
