"""Recording, backward, and every misuse with its error."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import operator
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import microgrid
from microgrid import Value, grad, nn, no_grad, ops, primitive, tanh, trace, where
from microgrid.core.primitive import OPS, Op, built_in
from microgrid.engine import COMPILED, CONSTANT, topological

INF, NAN = math.inf, math.nan
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 5e-324, 1e-300, 1e300, -1e300, INF, -INF, NAN]


def same(a: float, b: float) -> bool:
    """Return True if two floats have the same bits, or both are nan."""
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))


def test_a_node_keeps_op_operands_and_partials() -> None:
    x, y = Value(3.0, label="x"), Value(-2.0)
    z = x * y
    assert (z.op, z.operands, z.partials, z.data) == (ops.mul, (x, y), (-2.0, 3.0), -6.0)
    assert (x.op, x.operands, x.partials, x.label, x.grad) == (None, (), (), "x", 0.0)
    assert x.number < y.number < z.number
    assert (x + 1).operands[1].op is CONSTANT


def test_plus_and_times_record_what_the_tables_rules_say() -> None:
    for x in EDGES:
        for y in EDGES:
            for op, node in ((ops.add, Value(x) + Value(y)), (ops.mul, Value(x) * Value(y))):
                z = op.forward(x, y)
                assert same(node.data, z)
                assert all(map(same, node.partials, op.partials(z, x, y)))


def test_numbers_stand_on_either_side() -> None:
    x = Value(4.0)
    results = [x + 2, 2 + x, x - 2, 2 - x, x * 2, 2 * x, x / 2, 2 / x, x**2, 2**x, -x, +x, abs(-x), x + True]
    assert [r.data for r in results] == [6, 6, 2, -2, 8, 8, 2, 0.5, 16, 16, -4, 4, 4, 5]


def test_backward_twice_gives_exactly_twice_the_leaf_gradient() -> None:
    x = Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 54.0
    assert (y.grad, y.operands[0].grad) == (1.0, 3.0)


def test_backward_takes_a_seed_and_a_leaf_accumulates_it() -> None:
    x = Value(3.0)
    (x * x).backward(seed=2)
    assert x.grad == 12.0
    x.backward()
    x.backward(0.5)
    assert x.grad == 13.5
    with pytest.raises(TypeError, match="number"):
        x.backward("1")


def test_a_cotangent_of_zero_passes_nothing_on() -> None:
    x = Value(0.0)
    y = x.log() * 0.0 + x
    y.backward()
    assert x.grad == 1.0
    condition, x = Value(0.0), Value(0.0)
    safe = where(condition, x.log(), 0.0)
    safe.backward()
    assert (safe.data, x.grad) == (0.0, 0.0)


def test_an_interior_gradient_is_set_afresh_also_to_zero() -> None:
    x = Value(1.0)
    y = x * 2
    (y * 3).backward()
    assert y.grad == 3.0
    (y * 0.0).backward()
    assert y.grad == 0.0


def test_changing_data_later_leaves_recorded_derivatives_alone() -> None:
    x = Value(3.0)
    y = x * x
    x.data = 100.0
    y.backward()
    assert x.grad == 6.0


def test_augmented_assignment_rebinds() -> None:
    x = first = Value(1.0)
    x += 1
    assert (x.data, first.data, x is first) == (2.0, 1.0, False)


def test_an_old_result_far_behind_in_time_takes_its_turn_in_order() -> None:
    """backward's block of recent nodes must hand over to far older ones, and take them back in order."""
    generator = random.Random(5)
    x = Value(0.7)
    kept = [x * 1.0]
    for _ in range(60):
        for _ in range(generator.choice([0, 1, 10, 1000, 20000])):
            Value(0.0)
        kept.append(generator.choice(kept) * generator.choice(kept) + generator.choice(kept) * 0.5)
    root = kept[0]
    for node in kept[1:]:
        root = root + node * 0.01
    cotangents = {root: 1.0}
    expected = 0.0
    for node in reversed(topological([root])):
        for operand, partial in zip(node.operands, node.partials, strict=True):
            if operand is x:
                expected += cotangents[node] * partial
            cotangents[operand] = cotangents.get(operand, 0.0) + cotangents[node] * partial
    root.backward()
    assert x.grad == expected


def test_a_wide_graph_passes_back_in_reverse_order_of_recording() -> None:
    """The order shows in the last bits of a node with three users or more; nodes made thousands ago wait in blocks."""
    generator = random.Random(6)
    leaves = [Value(generator.uniform(0.5, 1.5)) for _ in range(40)]
    layer = leaves
    for width in (5000, 7000, 300, 6000):
        layer = [generator.choice(layer) * generator.choice(leaves) + generator.choice(layer) for _ in range(width)]
    root = generator.choice(layer)
    for node in generator.sample(layer, 5000):
        root = root + node
    cotangents = {root: 1.0}
    for node in reversed(topological([root])):
        for operand, partial in zip(node.operands, node.partials, strict=True):
            cotangents[operand] = cotangents.get(operand, 0.0) + cotangents[node] * partial
    root.backward()
    assert [leaf.grad for leaf in leaves] == [cotangents[leaf] for leaf in leaves]


def test_an_op_of_three_operands_connects_them_all() -> None:
    choose, a, b = Value(1.0), Value(2.0), Value(3.0)
    z = where(choose, a, b)
    assert (z.operands, z.partials, z.data) == ((choose, a, b), (0.0, 1.0, 0.0), 2.0)
    (z * z).backward()
    assert (a.grad, b.grad, choose.grad) == (4.0, 0.0, 0.0)
    four = primitive("four", lambda a, b, c, d: a * b + c * d, lambda z, a, b, c, d: (b, a, d, c))
    try:
        x = Value(2.0)
        y = four(x, 3.0, x, x)
        y.backward()
        assert (y.data, x.grad) == (10.0, 7.0)
        assert len(topological([y])) == 3
    finally:
        del OPS["four"]


def test_detach_item_and_no_grad_leave_the_graph() -> None:
    x = Value(3.0)
    assert (x.item(), (x * x).detach().operands, x.detach() is x) == (3.0, (), False)
    with no_grad():
        y = x * x + 1 - x / tanh(x)
        with no_grad():
            pass
        assert (x * 2).op is None
        assert (x + x).operands == (2 * x).operands == where(1.0, x, x).operands == ()
    assert y.op is None
    assert (x * 2).op is ops.mul

    @no_grad()
    def square(v: Value) -> Value:
        """It squares."""
        return v * v

    assert (square(x).op, square.__doc__, square.__name__) == (None, "It squares.", "square")
    with pytest.raises(ZeroDivisionError), no_grad():
        _ = 1 / 0
    assert (x * 2).op is ops.mul


def test_no_grad_in_one_thread_or_task_does_not_stop_another() -> None:
    x = Value(1.0)
    entered, leave = threading.Event(), threading.Event()

    def paused() -> None:
        with no_grad():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=paused)
    thread.start()
    entered.wait(10)
    assert (x * 2).op is ops.mul
    leave.set()
    thread.join()

    async def pause() -> Any:
        with no_grad():
            await asyncio.sleep(0.01)
            return (x * 2).op

    async def record() -> Any:
        await asyncio.sleep(0.005)
        return (x * 2).op

    async def both() -> Any:
        return await asyncio.gather(pause(), record())

    assert asyncio.run(both()) == [None, ops.mul]


def test_threads_that_record_at_once_never_share_a_creation_number() -> None:
    numbers: list[list[int]] = [[] for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda own=own: own.extend(Value(0.0).number for _ in range(20000)))
            for own in numbers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    made = [number for own in numbers for number in own]
    assert len(set(made)) == len(made) == 80000


def test_a_chain_of_a_million_is_built_differentiated_and_freed_on_a_small_stack() -> None:
    outcome: list[float] = []

    def chain() -> None:
        x = Value(1.0)
        y = x
        for _ in range(1_000_000):
            y = y + x
        y.backward()
        repr(y)
        outcome.append(x.grad)
        del y

    size = threading.stack_size(1024 * 1024)
    try:
        thread = threading.Thread(target=chain)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert outcome == [1_000_001.0]


def test_a_graph_is_freed_without_the_cycle_collector() -> None:
    class Text(str):
        alive = 0

        def __init__(self, _text: str) -> None:
            Text.alive += 1

        def __del__(self) -> None:
            Text.alive -= 1

    marker = primitive("marker", lambda x: x, lambda z, x: (1.0,), symbol=Text("!"))
    del OPS["marker"]
    gc.disable()
    try:
        x = Value(1.0)
        y = marker(x) * x + marker(x) * 2
        y.backward()
        del marker
        assert Text.alive == 1
        del y
        assert Text.alive == 0
    finally:
        gc.enable()


@pytest.mark.skipif(not COMPILED, reason="the pure build's nodes are ordinary Python objects")
def test_compiled_nodes_are_invisible_to_the_cycle_collector() -> None:
    assert not gc.is_tracked(Value(1.0) * 2)
    assert sys.getsizeof(Value(1.0)) <= 112


@given(st.floats(), st.one_of(st.floats(), st.integers(-3, 3), st.booleans(), st.floats(width=32).map(np.float32)))
def test_beside_a_number_all_comparisons_are_those_of_the_numbers(x: float, y: Any) -> None:
    number = float(y)  # NumPy rounds x to a float32 beside one
    assert (Value(x) == y) == (y == Value(x)) == (x == number)
    assert (Value(x) != y) == (y != Value(x)) == (x != number)
    assert (Value(x) < y) == (x < number)
    assert (Value(x) >= y) == (x >= number)


def test_a_branch_on_equality_is_the_one_that_a_number_takes_and_tracing_is_told() -> None:
    def f(x: Value) -> Value:
        return x**2 if x != 0.0 else 5.0 * x

    assert (grad(f)(0.0), grad(f)(3.0)) == (5.0, 6.0)
    assert trace(f)(3.0).fixed == (f"x == 0.0 was False ({__file__}:{f.__code__.co_firstlineno + 1})",)
    assert Value(2.0) != "2.0"
    assert Value(2.0) != None  # noqa: E711
    assert Value(2.0) != np.array([2.0, 3.0]).tolist()


def test_comparisons_look_at_the_data_and_equality_of_two_values_at_identity() -> None:
    x, y = Value(1.0), Value(1.0)
    assert x <= y
    assert x >= 1
    assert not x < y
    assert x < 2.5
    assert x > 0
    assert x > Value(-1)
    assert x != y
    assert x == x
    assert len({x, y, x}) == 2
    assert bool(x)
    assert not Value(0.0)
    assert f"{x:.3f}" == "1.000"
    assert f"{x}" == repr(x)


@pytest.mark.parametrize(
    ("misuse", "error", "advice"),
    [
        (lambda v: Value("a"), TypeError, "string 'a'"),
        (lambda v: Value(None), TypeError, "NoneType"),
        (lambda v: Value(1j), TypeError, "complex"),
        (lambda v: Value(v), TypeError, "use it as it is"),
        (lambda v: Value([1.0]), TypeError, "list"),
        (lambda v: Value(1.0, label=cast(Any, 3)), TypeError, "string|str object expected; got int"),
        (lambda v: setattr(v, "label", None), TypeError, "a label is a string"),
        (lambda v: float(v), TypeError, "v.data"),
        (lambda v: math.sin(v), TypeError, r"v\.sin\(\)"),
        (lambda v: int(v), TypeError, "int"),
        (lambda v: v.foo, AttributeError, "'Value' object has no attribute 'foo'"),
        (lambda v: setattr(v, "foo", 1), AttributeError, "foo"),
        (lambda v: v < "a", TypeError, "'<' compares a Value with a number"),
        (lambda v: v >= None, TypeError, "'>=' compares"),
        (lambda v: v + "a", TypeError, "unsupported operand"),
        (lambda v: 1j * v, TypeError, "unsupported operand"),
        (lambda v: v ** [1], TypeError, "unsupported operand"),
        (lambda v: tanh(v, v), TypeError, "takes 1 operand"),
        (lambda v: v.tanh(v), TypeError, "tanh"),
        (lambda v: v.maximum(), TypeError, "takes 2 operand"),
        (lambda v: ops.constant_power(v, v), TypeError, "plain numbers"),
        (lambda v: tanh(cast(Any, "a")), TypeError, "string 'a'"),
        (lambda v: len(v), TypeError, "len"),
        (lambda v: list(v), TypeError, "iterable"),
        (lambda v: type("Sub", (Value,), {}), TypeError, "cannot be subclassed"),
        (lambda v: round(v, 2), TypeError, "whole number"),
    ],
)
def test_every_misuse_has_its_error(misuse: Callable[[Any], Any], error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        misuse(Value(2.0))


def test_leaves_are_copied_and_pickled_with_their_grad_and_label() -> None:
    x = Value(2.5, label="x")
    x.grad = 4.0
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert (twin.data, twin.grad, twin.label, twin is x) == (2.5, 4.0, "x", False)


# --- graphs are values ---------------------------------------------------------------------------------------------


def same_graph(a: Value, b: Value) -> bool:
    """Return True if two graphs have the same nodes and the same edges, as far as can be seen."""
    mine, theirs = topological([a]), topological([b])
    twin = dict(zip(mine, theirs, strict=True))
    return all(
        (x.data, x.grad, x.label, x.op, x.module, x.partials) == (y.data, y.grad, y.label, y.op, y.module, y.partials)
        and [twin[operand] for operand in x.operands] == list(y.operands)
        for x, y in twin.items()
    )


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda x: pickle.loads(pickle.dumps(x, protocol))


WAYS = [copy.deepcopy, *map(pickled, range(6))]
WAYS += [lambda x: pickle.loads(pickle._dumps(x))]  # type: ignore[attr-defined]  # the pickler written in Python


@pytest.mark.parametrize("twin_of", WAYS)
def test_a_graph_is_copied_and_pickled_whole_with_sharing_intact(twin_of: Callable[[Any], Any]) -> None:
    x, y = Value(2.0, label="x"), Value(3.0)
    shared = x * y + 1
    z = ops.where(x > 0, shared.tanh(), shared**2) + ops.maximum(shared, x)
    z.backward()
    z2, x2, both = twin_of([z, x, {"again": [shared, z]}])
    assert same_graph(z, z2)
    assert z2 is both["again"][1]
    assert z2 is not z
    assert x2 in topological([z2])
    assert both["again"][0] in topological([z2])
    before = x2.grad
    (z2 * 1.0).backward()
    assert (x.grad, x2.grad) == (before, 2 * before)


def test_a_shallow_copy_shares_the_operands() -> None:
    x = Value(2.0)
    z = x * x
    twin = copy.copy(z)
    assert twin.operands == z.operands
    twin.backward()
    assert (twin.data, x.grad, z.grad) == (4.0, 4.0, 0.0)


def test_models_are_copied_and_pickled_with_what_they_computed() -> None:
    model = nn.MLP(2, [3, 1])
    out = model([1.0, 2.0])
    for twin_of in [WAYS[0], WAYS[-2]]:
        model2, out2 = twin_of((model, out))
        assert same_graph(out, out2)
        assert set(model2.parameters()) <= set(topological([out2]))
        assert model2([1.0, 2.0]).data == out.data


@pytest.mark.slow
@pytest.mark.parametrize("twin_of", [WAYS[0], WAYS[-2]])
def test_a_chain_of_a_hundred_thousand_is_copied_and_pickled(twin_of: Callable[[Any], Any]) -> None:
    z = x = Value(1.0)
    for _ in range(100_000):
        z = z + x
    twin = twin_of(z)
    assert len(topological([twin])) == 100_001
    assert same_graph(z, twin)


LOAD = """
import pickle, sys
from microgrid.engine import COMPILED, topological
z, x = pickle.load(sys.stdin.buffer)
z.backward()
print(COMPILED, len(topological([z])), x.grad)
sys.stdout.flush()
sys.stdout.buffer.write(pickle.dumps([z, x]))
"""


def test_a_pickle_goes_to_another_process_and_to_the_interpreted_build_and_back(tmp_path: Path) -> None:
    package = Path(microgrid.__file__).parent
    shutil.copytree(package, tmp_path / "microgrid", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    x = Value(1.0)
    z = x
    for _ in range(20_000):
        z = z + x
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(
        command, input=pickle.dumps([z, x]), env=environment, cwd=tmp_path, capture_output=True, check=True
    )
    printed, _, answer = done.stdout.partition(b"\n")
    assert printed.split() == [b"False", b"20001", b"20001.0"]
    z2, x2 = pickle.loads(answer)
    assert (x2.grad, len(topological([z2]))) == (20_001.0, 20_001)


def test_what_cannot_be_pickled_says_so_and_leaves_pickling_as_it_was() -> None:
    z = Value(2.0) * Value(3.0) + 1.0
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps([z, lambda: 0])
    assert same_graph(z, pickle.loads(pickle.dumps(z)))


def test_numpy_scalars_stand_on_either_side_and_ufuncs_give_values() -> None:
    np = pytest.importorskip("numpy")
    x = Value(2.0)
    for number in (np.float64(3), np.float32(3), np.int64(3), np.bool_(True), np.array(3.0)):
        for node in (x * number, number * x, x + number, number + x, x - number, number - x, x / number, number / x):
            assert isinstance(node, Value)
            assert type(node.data) is float
        assert isinstance(Value(number), Value)
    assert (np.float64(2) * x).partials == (2.0, 2.0)
    assert isinstance(np.exp(x), Value)
    assert np.exp(x).op is ops.exp
    array = np.array([x, Value(3.0)])
    assert [v.op for v in np.tanh(array)] == [ops.tanh, ops.tanh]
    assert [v.data for v in x * np.array([1.0, 2.0])] == [2.0, 4.0]
    assert [v.data for v in np.array([1.0, 2.0]) * x] == [2.0, 4.0]
    assert np.array([x, x]).sum().data == 4.0
    for name in (
        "absolute arcsin arccos arctan arcsinh arctanh cbrt ceil cos cosh exp exp2 expm1 fabs floor log log10 log1p "
        "log2 negative rint sin sinh sqrt tan tanh trunc"
    ).split():
        half = Value(0.5)
        one, many = getattr(np, name)(half), getattr(np, name)(np.array([half, half]))
        assert one.data == pytest.approx(getattr(np, name)(0.5), rel=1e-15)
        assert [node.operands for node in (one, *many)] == [(half,)] * 3
    for name in "add subtract multiply divide power remainder fmod floor_divide hypot arctan2".split():
        ufunc = getattr(np, name)
        assert ufunc(Value(0.75), Value(0.5)).data == pytest.approx(ufunc(0.75, 0.5), rel=1e-15)
    with pytest.raises(TypeError, match=r"shape \(2,\)"):
        Value(np.zeros(2))
    with pytest.raises(TypeError, match="complex"):
        Value(np.complex128(1))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "ptp", "median", "linalg.norm"])
def test_reductions_of_numpy_take_arrays_of_values(name: str) -> None:
    np = pytest.importorskip("numpy")
    function = operator.attrgetter(name)(np)
    numbers = [0.5, -2.0, 1.25, 3.0]
    leaves = [Value(x) for x in numbers]
    result = function(np.array(leaves))
    assert result.data == pytest.approx(function(np.array(numbers)), rel=1e-15)
    result.backward()
    for i, leaf in enumerate(leaves):
        moved = [[*numbers[:i], numbers[i] + h, *numbers[i + 1 :]] for h in (1e-6, -1e-6)]
        slope = (function(np.array(moved[0])) - function(np.array(moved[1]))) / 2e-6
        assert leaf.grad == pytest.approx(slope, rel=1e-7, abs=1e-9)
    rows = function(np.array(leaves).reshape(2, 2), axis=0)
    assert [x.data for x in rows] == pytest.approx(function(np.array(numbers).reshape(2, 2), axis=0), rel=1e-15)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.name in built_in], ids=lambda op: op.name)
def test_ops_take_arrays_of_values_and_of_numbers(op: Op) -> None:
    """NumPy's own logaddexp and copysign have no loop for objects, and so can never ask a Value."""
    np = pytest.importorskip("numpy")
    rows = [[0.75, 0.5, 0.25][: op.arity - op.static], [0.5, 0.75, 0.5][: op.arity - op.static]]
    static = [2.0, 3.0][: op.static]
    expected = [op(*row, *static) for row in rows]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    numbers = op(*columns, *static)
    assert numbers.dtype == float
    assert np.array_equal(numbers, expected, equal_nan=True)
    for which in range(len(columns)):
        mixed = [np.array([Value(x) for x in c]) if i == which else c for i, c in enumerate(columns)]
        assert np.array_equal([v.data for v in op(*mixed, *static)], expected, equal_nan=True)
        assert {v.op for v in op(*mixed, *static)} == {op}
    one = Value(rows[0][0])
    if len(columns) > 1:
        assert all(x.operands[0] is one for x in op(one, *columns[1:], *static))
