"""Declaring primitives of one's own."""

from __future__ import annotations

import functools
import inspect
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from thinned import thinned

from microgrid import Interval, Op, Value, draw, grad, jvp, nn, ops, primitive, steps, trace
from microgrid.core.primitive import OPS, Remark
from microgrid.engine import newest
from microgrid.numbers.fractions import rationals
from microgrid.numbers.infinitesimals import infinitesimals
from microgrid.pictures.outline import items_of_program
from microgrid.testing import check_gradient
from microgrid.testing.diagnosis import alone
from microgrid.testing.kinks import nearest_edge
from microgrid.testing.verdict import spreads_of


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
        ("cube", {"kinks": lambda x, y: (y,)}, r"kinks takes 2 operand\(s\), and the rule 1"),
        ("cube", {"remark": Remark("{x} is small")}, r"may name \{operand\} and \{partial\} only: KeyError\('x'\)"),
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


def test_a_field_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match=r"kinks must be a function, got 0\.0"):
        cube_op(kinks=0.0)
    with pytest.raises(TypeError, match=r"remark must be a Remark, got 'small'; write Remark\(\"its partial is \{p"):
        cube_op(remark="small")
    assert "cube" not in OPS


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


# --- rules that name their own op, or another of one's own -----------------------------------------------------------


def own_exp() -> tuple[Op, Callable[[Any, int], Any]]:
    own = primitive("own_exp", math.exp, lambda z, x: (own(x),))
    return own, lambda x, n: mpmath.exp(x)


def own_sin() -> tuple[Op, Callable[[Any, int], Any]]:
    own = primitive("own_sin", math.sin, lambda z, x: (own_cos(x),))
    own_cos = primitive("own_cos", math.cos, lambda z, x: (-own(x),))
    return own, lambda x, n: mpmath.sin(x + n * mpmath.pi / 2)


def own_tan() -> tuple[Op, Callable[[Any, int], Any]]:
    own = primitive("own_tan", math.tan, lambda z, x: (1 + own(x) ** 2,))
    return own, lambda x, n: mpmath.diff(mpmath.tan, x, n)


def own_family() -> tuple[Callable[[Any], Any], Callable[[Any, int], Any]]:
    family = primitive(
        "own_family", lambda x, n: math.cos(x + n * math.pi / 2.0), lambda z, x, n: (family(x, n + 1.0),), static=1
    )
    return lambda x: family(x, 0.0), lambda x, n: mpmath.cos(x + n * mpmath.pi / 2)


def own_of_ops() -> tuple[Op, Callable[[Any, int], Any]]:
    """The forward function itself is written with microgrid's ops, which compute floats there at any time."""
    own = primitive("own_of_ops", lambda x: ops.exp(x) * 2.0, lambda z, x: (own(x) * ops.div(2.0, 2.0),))
    return own, lambda x, n: 2 * mpmath.exp(x)


@pytest.mark.parametrize("family", [own_exp, own_sin, own_tan, own_family, own_of_ops])
@pytest.mark.parametrize("at", [0.3, -1.1])
def test_a_rule_may_name_its_own_op_in_every_mode_and_order(family: Callable[[], Any], at: float) -> None:
    own, derivative = family()
    f, program = own, trace(own)(at)
    for n in range(4):
        true = float(derivative(mpmath.mpf(at), n))
        assert f(at) == pytest.approx(true, rel=1e-14)
        assert program(at) == pytest.approx(true, rel=1e-14)
        assert f(Value(at)).data == pytest.approx(true, rel=1e-14)
        slope = float(derivative(mpmath.mpf(at), n + 1))
        assert jvp(f, (at,), (1.0,))[1] == pytest.approx(slope, rel=1e-14)
        if n < 2:
            assert "FAIL" not in check_gradient(f, at).verdict
            assert steps(f(Value(at)))[-1].contributions[0].contribution == pytest.approx(slope, rel=1e-14)
        f, program = grad(f), program.gradient()


def test_an_op_of_ones_own_within_another_is_written_out() -> None:
    inner = primitive("inner", lambda x: x * x + 1.0, lambda z, x: (2.0 * x,))
    middle = primitive("middle", lambda x: inner(x) * inner(2.0 * x), lambda z, x: (x,))
    outer = primitive("outer", lambda x: middle(x) - inner(x), lambda z, x: (x,))
    program = trace(outer)(2.0)
    assert program.python()(2.0) == program(2.0) == outer(2.0) == 80.0
    assert not {"inner", "middle", "outer"} & set(re.findall(r"\w+", program.c()))


def test_a_formula_that_comes_back_to_its_own_op_is_refused() -> None:
    first = primitive("first", lambda x: x, lambda z, x: (1.0,), formula=lambda x: second(x) + 1.0)
    second = primitive("second", lambda x: x, lambda z, x: (1.0,), formula=lambda x: first(x) - 1.0)
    with pytest.raises(TypeError, match="comes back to its own op"):
        trace(first)(2.0).c()


def test_a_node_records_no_other_nodes_for_its_numbers() -> None:
    own, _ = own_exp()
    x = Value(0.5)
    before = newest()
    own(x)
    assert newest() == before + 1


FIELDS = [p.name for p in inspect.signature(primitive).parameters.values() if p.kind is p.KEYWORD_ONLY]
NUMBERS = (-20.0, -1.0, -0.3, 0.0, 0.5, 2.0, 2.5, 20.0)


@pytest.mark.parametrize("op", thinned(OPS.values()), ids=lambda op: op.name)
def test_an_op_of_ones_own_with_the_fields_of_a_built_in_one_is_treated_as_that_one(op: Op) -> None:
    """The pictures, the stepper and the checker know an op by its fields, and exact numbers which they cannot have."""
    fields = {name: getattr(op, name) for name in FIELDS}
    own = primitive(f"own_{op.name}", op.forward, op.partials, **{**fields, "aliases": ()})
    count = op.arity - op.static

    def told(one: Op) -> str:
        found: list[Any] = []
        for shift in range(len(NUMBERS)):
            at = [NUMBERS[(shift + 3 * i) % len(NUMBERS)] for i in range(op.arity)]
            program = alone(one, at)
            found += [item.sign for item in items_of_program(program)]
            found += [nearest_edge(program, at[:count]), spreads_of(program, at[:count])]
            found += [step.remarks for step in steps(one(*map(Value, at[:count]), *at[count:]))]
            for arithmetic in (rationals(), infinitesimals(1)) if op.irrational else ():
                with pytest.raises((TypeError, ArithmeticError)) as refused:
                    program.replay([arithmetic.number(x) for x in at[:count]], arithmetic)
                found.append(str(refused.value))
        return repr(found)

    assert told(own).replace(f"own_{op.name}", op.name) == told(op)
