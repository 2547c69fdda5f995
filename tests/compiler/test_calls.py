"""Calls in machine code: the numbers of the general path, or the general path itself; nothing kept, nothing lost."""

from __future__ import annotations

import contextlib
import gc
import inspect
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import microgrid as mg
from microgrid import Value
from microgrid.compiler import calls, entry
from microgrid.compiler.compiled import Compiled
from microgrid.core import tree
from microgrid.core.scope import reading

pytestmark = pytest.mark.skipif(not entry.supported(), reason="calls stay in Python here")

METHODS = ("__call__", "value_and_grad", "gradient", "jacobian", "hessian", "hvp")
GENERAL = dict(zip(METHODS, Compiled._general, strict=True))


def in_machine_code(f: Any, call: Any) -> bool:
    """Return True if a call ran without Python."""
    f._entries.reset()
    call()
    return f._entries.ran is not None


def ready(f: Any, *args: Any, method: str = "__call__") -> Any:
    """The function, having met these arguments."""
    getattr(f, method)(*args)
    assert in_machine_code(f, lambda: getattr(f, method)(*args))
    return f


def same(x: Any, y: Any) -> bool:
    """Return True if types, structure and bits are the same."""
    if type(x) is not type(y):
        return False
    if isinstance(x, dict):
        return list(x) == list(y) and all(same(x[key], y[key]) for key in x)
    if isinstance(x, (list, tuple)):
        return len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and x.shape == y.shape and bool(x.tobytes() == y.tobytes())
    return repr(x) == repr(y)


# --- what is computed ----------------------------------------------------------------

FLOATS = st.floats(-3.0, 3.0)
TREES = st.recursive(
    FLOATS
    | st.lists(FLOATS, max_size=4)
    | st.lists(st.integers(0, 3), max_size=2).map(
        lambda shape: np.linspace(-1.0, 2.0, math.prod(shape)).reshape(shape)
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=5,
)


def numbers(x: Any) -> list[Any]:
    """All numbers of a tree."""
    return tree.flatten(x, lambda leaf, path: leaf, "x")[0]


def moved(x: Any, by: float) -> Any:
    """Another tree of the same structure."""
    if isinstance(x, dict):
        return {key: moved(item, by) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)([moved(item, by) for item in x])
    return x + by


def energy(*args: Any) -> Any:
    xs = [x for arg in args for x in numbers(arg)]
    return mg.sum([mg.sin((i + 1.0) * x) * xs[i // 2] for i, x in enumerate(xs)])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(TREES, min_size=1, max_size=3))
def test_results_are_those_of_the_general_path_to_the_bit(args: list[Any]) -> None:
    f = mg.compile(energy, check=False)
    g = mg.compile(lambda *args: [args, {"two": 2.0, "energy": energy(*args)}], check=False)
    calls = [(f, "value_and_grad"), (f, "gradient"), (f, "__call__"), (g, "__call__")]
    for function, method in calls:
        getattr(function, method)(*args)
        for by in (0.0, 0.25):
            there = [moved(arg, by) for arg in args]
            ours: list[Any] = []
            assert in_machine_code(function, lambda: ours.append(getattr(function, method)(*there)))  # noqa: B023  # called at once
            assert same(ours[0], GENERAL[method](function, *there))


def test_second_derivatives_and_jacobians_are_in_machine_code() -> None:
    f = mg.compile(lambda x, y: mg.sum(x * x * x) * y)
    x, v = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    for method, args in (("hessian", (x, 2.0)), ("jacobian", (x, 2.0)), ("hvp", (x, 2.0, v, 0.0))):
        ready(f, *args, method=method)
        assert same(getattr(f, method)(*args), GENERAL[method](f, *args))
    assert f.hvp(x, 2.0, v, 0.0)[0].tolist() == [6.0, -24.0]


class Point(NamedTuple):
    x: Any
    y: Any


def test_named_tuples_stay_what_they_are() -> None:
    f = ready(mg.compile(lambda p: Point(p.x * p.y, [p.x])), Point(2.0, 3.0))
    assert same(f(Point(4.0, 5.0)), Point(20.0, [4.0]))
    g = ready(mg.compile(lambda p: p.x * p.y), Point(2.0, 3.0), method="value_and_grad")
    assert same(g.value_and_grad(Point(4.0, 5.0)), (20.0, Point(5.0, 4.0)))


def test_results_are_fresh_and_may_be_changed() -> None:
    f = ready(mg.compile(lambda x: x * x), np.array([1.0, 2.0]))
    first = f(np.array([1.0, 2.0]))
    second = f(np.array([3.0, 4.0]))
    first[:] = -1.0
    assert second.tolist() == [9.0, 16.0]
    assert f(np.array([3.0, 4.0])).tolist() == [9.0, 16.0]


# --- what stays with the general path ----------------------------------------------------------------


class Float(float):
    pass


class List(list[Any]):
    pass


class Array(np.ndarray[Any, Any]):
    pass


big_endian = np.array([1.0, 2.0]).astype(">f8")
ODD: list[tuple[Any, Any]] = [
    (1.0, Float(2.0)),
    (1.0, np.float32(2.0)),
    (1.0, np.int64(2)),
    (1.0, np.array(2.0)),
    (1.0, 10**20),
    ([1.0, 2.0], List([3.0, 4.0])),
    ([1.0, 2.0], [Float(3.0), np.float32(4.0)]),
    ([1.0, 2.0], [3.0, 4.0, 5.0]),
    ([1.0, 2.0], (3.0, 4.0)),
    ([1.0, 2.0], []),
    ([1.0, 2.0], np.array([3.0, 4.0])),
    ((1.0, [2.0]), (1.0, (2.0,))),
    ({"a": 1.0, "b": 2.0}, {"b": 1.0, "a": 2.0}),
    ({"a": 1.0}, {"c": 1.0}),
    ({"a": 1.0}, {}),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0], dtype=np.float32)),
    (np.array([1.0, 2.0]), np.array([3, 4])),
    (np.array([1.0, 2.0]), np.array([True, False])),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0], dtype=object)),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0], dtype=np.longdouble)),
    (np.array([1.0, 2.0]), big_endian),
    (np.array([1.0, 2.0]), np.array([3.0, 9.0, 4.0])[::2]),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0])[::-1]),
    (np.array([1.0, 2.0]), np.array([[3.0], [4.0]])),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])),
    (np.array([1.0, 2.0]), np.array(3.0)),
    (np.array([1.0, 2.0]), [3.0, 4.0]),
    (np.array([1.0, 2.0]), np.array([3.0, 4.0]).view(Array)),
    (np.ones((2, 3)), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
]


@pytest.mark.parametrize(("met", "odd"), ODD, ids=str)
def test_another_type_length_or_layout_is_computed_as_before(met: Any, odd: Any) -> None:
    for method in ("__call__", "value_and_grad"):
        f = ready(mg.compile(energy), met, method=method)
        assert same(getattr(f, method)(odd), GENERAL[method](f, odd))
        assert in_machine_code(f, lambda: getattr(f, method)(met))  # noqa: B023  # called at once


def test_whole_numbers_numpys_floats_and_read_only_arrays_are_taken() -> None:
    f = ready(mg.compile(lambda x, y: x * y), 1.0, 2.0, method="value_and_grad")
    for args in ((3, 4), (np.float64(3.0), 4), (-1, 4.0), (-1.0, -1.0)):
        assert in_machine_code(f, lambda: f.value_and_grad(*args))  # noqa: B023  # called at once
        assert same(f.value_and_grad(*args), (float(args[0] * args[1]), (float(args[1]), float(args[0]))))
    x = np.array([1.0, 2.0])
    g = ready(mg.compile(lambda x: x[0] * x[1]), x)
    x.flags.writeable = False
    assert in_machine_code(g, lambda: g(x))


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("a", 1.0), TypeError),
        ((1j, 1.0), TypeError),
        (([1.0], 1.0), TypeError),
        ((10**400, 1.0), OverflowError),
        ((1.0,), TypeError),
        ((1.0, 2.0, 3.0), TypeError),
        ((), TypeError),
    ],
)
def test_what_is_wrong_is_the_same_error(args: Any, error: type[Exception]) -> None:
    f = ready(mg.compile(lambda x, y: x * y), 1.0, 2.0)
    with pytest.raises((error, TypeError)) as general:
        GENERAL["__call__"](f, *args)
    for _ in range(3):
        with pytest.raises(type(general.value)) as raised:
            f(*args)
        assert str(raised.value) == str(general.value)
    assert f(3.0, 4.0) == 12.0


def test_values_record_and_true_is_no_number() -> None:
    f = ready(mg.compile(lambda x, y: x * y), 1.0, 2.0)
    x = Value(3.0)
    y = f(x, 4.0)
    assert isinstance(y, Value)
    y.backward()
    assert x.grad == 4.0
    assert f(np.array([Value(3.0)])[0], 4.0).item() == 12.0
    assert mg.grad(f, (0, 1))(3.0, 4.0) == (4.0, 3.0)
    assert not in_machine_code(f, lambda: f(True, 2.0))


def test_keywords_go_the_general_way() -> None:
    f = ready(mg.compile(lambda x, y: x - y), 1.0, 2.0)
    assert f(y=1.0, x=5.0) == f(5.0, y=1.0) == f(5.0, **{"y": 1.0}, **{}) == 4.0


NUMBERS = st.floats(-9.0, 9.0) | st.integers(-9, 9) | st.just([1.5, 2.5]).map(np.array)
KEYWORDS = st.tuples(st.lists(NUMBERS, min_size=1, max_size=2), st.sampled_from(["", "a", "b", "ab"]), NUMBERS)


@settings(deadline=None, max_examples=12)
@example([([1.5], "a", 2.5), ([1.5], "b", 2.5), ([1.5, 2.5], "", 0.0), ([2.5], "a", 2.5)])
@given(st.lists(KEYWORDS, min_size=2, max_size=4))
def test_keywords_are_told_apart_by_their_names(calls: list[tuple[list[Any], str, Any]]) -> None:
    def f(x: Any, a: Any = 0.25, b: Any = 4.0) -> Any:
        return np.sum(x * a + mg.sin(b) * b)

    compiled = mg.compile(f, strict=True, cache=False)
    for args, names, number in calls:
        more = dict.fromkeys(names, number)
        if set(("x", "a", "b")[: len(args)]) & set(more):
            with pytest.raises(TypeError, match="multiple values"):
                compiled(*args, **more)
            continue
        expected = mg.value_and_grad(f, tuple(range(len(args))))(*args, **more)
        assert compiled(*args, **more) == expected[0]
        value, slopes = compiled.value_and_grad(*args, **more)
        assert value == expected[0]
        assert repr(slopes) == repr(expected[1] if len(args) > 1 else expected[1][0])


def test_a_keyword_may_have_the_name_of_a_positional_argument() -> None:
    def f(x: Any, /, **more: Any) -> Any:
        return x - mg.sum(list(more.values()))

    compiled = mg.compile(f, cache=False)
    for _ in range(2):
        assert compiled(5.0, x=1.0) == compiled(5.0, y=1.0) == 4.0
        assert compiled(5.0, x=1.0, y=2.0) == 2.0
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        mg.compile(lambda x, y: x * y)(1.0, z=2.0)


def test_static_arguments_are_compared_by_identity_where_they_cannot_change() -> None:
    f = mg.compile(lambda x, n, how: x**n if how == "power" else x * n, static="n")
    ready(f, 2.0, 3, "power")
    ready(f, 2.0, 4, "times")
    assert (f(2.0, 3, "power"), f(2.0, 4, "times"), f(2.0, 3, "times")) == (8.0, 8.0, 6.0)
    g = mg.compile(lambda x, indices: mg.sum([x[i] for i in indices]), static="indices")
    chosen = [0, 1]
    assert g([1.0, 2.0, 4.0], chosen) == g([1.0, 2.0, 4.0], chosen) == 3.0
    chosen[0] = 2
    assert g([1.0, 2.0, 4.0], chosen) == 6.0


class Rate:
    by = 3.0


def scaled(x: Any, by: float = 2.0, *, plus: float = 1.0) -> Any:
    return x * by + plus


def test_what_changes_outside_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    scale, weight = 2.0, Value(10.0)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    f = mg.compile(lambda x: scale * x + weight + SCALE * Rate.by + scaled(x))  # type: ignore[name-defined]  # noqa: F821  # the test sets these globals
    met = ready(f, 1.0)
    assert met(1.0) == 2.0 + 10.0 + 15.0 + 3.0
    weight.data = 20.0
    assert in_machine_code(f, lambda: f(1.0))
    assert f(1.0) == 40.0
    scale = 3.0
    assert f(1.0) == 41.0
    monkeypatch.setitem(globals(), "SCALE", 6.0)
    assert f(1.0) == 44.0
    monkeypatch.setattr(Rate, "by", 4.0)
    assert f(1.0) == 50.0
    monkeypatch.setattr(scaled, "__defaults__", (4.0,))
    assert f(1.0) == 52.0
    monkeypatch.setattr(scaled, "__kwdefaults__", {"plus": 2.0})
    assert f(1.0) == 53.0
    ready(f, 1.0)
    monkeypatch.setattr(scaled, "__code__", (lambda x, by=1.0, *, plus=0.0: x * 100.0).__code__)
    assert f(1.0) == 3.0 + 20.0 + 24.0 + 100.0
    scale = 2.0
    assert f(1.0) == 2.0 + 20.0 + 24.0 + 100.0
    weight = Value(1.0)
    assert f(1.0) == 2.0 + 1.0 + 24.0 + 100.0
    del scale
    with pytest.raises(NameError):
        f(1.0)


def test_several_structures_take_turns() -> None:
    f = mg.compile(energy)
    args: list[Any] = [[1.0] * n for n in range(1, calls.KEPT + 1)]
    for _ in range(2):
        for arg in args:
            f(arg)
    for arg in args:
        assert in_machine_code(f, lambda: f(arg))  # noqa: B023  # called at once
    ready(f, 1.0)
    assert same([f(arg) for arg in args], [GENERAL["__call__"](f, arg) for arg in args])


def test_the_report_is_on_the_code_that_ran_last() -> None:
    f = mg.compile(lambda x: mg.sum([x * x, x, x]))
    ready(f, 1.0)
    ready(f, 1.0, method="gradient")
    f(1.0)
    short = f.report()
    f.gradient(1.0)
    assert f.report() != short
    f(1.0)
    assert f.report() == short


def test_first_results_are_compared_before_machine_code_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrid.compiler import plan

    def differs(*args: Any) -> None:
        raise RuntimeError("is not what recording gives")

    f = mg.compile(lambda x: x * x)
    monkeypatch.setattr(plan, "checked", differs)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="recording"):
            f(2.0)
    assert not in_machine_code(f, lambda: contextlib.suppress(RuntimeError).__enter__())
    monkeypatch.undo()
    assert ready(f, 2.0)(3.0) == 9.0


def test_ops_in_python_stay_there_and_their_exceptions_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mg.OPS, "called_gamma", mg.OPS["exp"])
    gamma = mg.primitive("called_gamma", math.gamma, lambda z, x: (z,))
    f = mg.compile(lambda x: gamma(x))
    assert f(3.0) == f(3.0) == 2.0
    assert not in_machine_code(f, lambda: f(3.0))
    with pytest.raises(ValueError, match=r"math domain error|expected a noninteger"):
        f(-1.0)


class Model:
    def __init__(self, w: float) -> None:
        self.w = w

    @mg.compile
    def loss(self, x: Any) -> Any:
        return self.w * x


def test_methods_are_those_of_their_instance() -> None:
    one, two = Model(1.0), Model(2.0)
    for _ in range(3):
        assert (one.loss(3.0), two.loss(3.0)) == (3.0, 6.0)
        assert (one.loss.gradient(3.0), two.loss.gradient(3.0)) == (1.0, 2.0)
    one.w = 5.0
    assert one.loss(3.0) == 15.0


def test_they_look_and_travel_as_before() -> None:
    f = mg.compile(scaled)
    before = repr(f).split(";")[0]
    ready(f, 1.0)
    assert repr(f).split(";")[0] == before
    for method in METHODS:
        shown = getattr(f, method)
        assert shown.__name__ == method
        assert inspect.getdoc(shown) == inspect.getdoc(GENERAL[method])
        assert str(inspect.signature(shown)) == "(*args, **kwargs)"
    assert shown.__self__ is f
    again = pickle.loads(pickle.dumps(f))
    assert again._entries != f._entries
    assert again(2.0) == f(2.0)
    bound = f.value_and_grad
    del f
    gc.collect()
    assert bound(1.0) == (3.0, 2.0)


# --- nothing is kept, nothing is lost ----------------------------------------------------------------


def test_references_are_counted() -> None:
    x, y = 1234.5, [2.5, 3.5]
    array, nested = np.array([1.5, 2.5]), {"a": [4.5], "b": (5.5,)}
    f = ready(mg.compile(lambda x, y, z, n: x * y[0] + z[1] * n["a"][0] + n["b"][0]), x, y, array, nested)
    ready(f, x, y, array, nested, method="value_and_grad")
    objects = [x, y, *y, array, nested, nested["a"], nested["b"], f, f._entries, f._entries._chains[0]]
    objects += [float, list, tuple, dict, np.ndarray, None]
    before = [sys.getrefcount(item) for item in objects]
    for _ in range(1000):
        f(x, y, array, nested)
        f.value_and_grad(x, y, array, nested)
    after = [sys.getrefcount(item) for item in objects]
    assert before == after
    result = f.value_and_grad(x, y, array, nested)
    control = (
        float("7.5"),
        (float("1.5"), [float("2.5"), float("3.5")], np.ones(2), {"a": [0.5 + x], "b": (0.25 + x,)}),
    )
    assert counts(result) == counts(control)


def counts(result: Any) -> list[int]:
    """The counts of references to all parts of a result."""
    parts = [result, *result, *result[1], *result[1][1], *result[1][3].values(), *result[1][3]["a"], *result[1][3]["b"]]
    return [sys.getrefcount(part) for part in parts]


def test_a_refused_call_keeps_nothing() -> None:
    x = np.array([1.0, 2.0])
    f = ready(mg.compile(lambda x, y: x[0] * y), x, 2.0)
    strided, text = np.ones(6)[::3], "no number"
    f(strided, 2.0)
    gc.collect()
    before = [sys.getrefcount(item) for item in (strided, text, x, f)]
    for _ in range(500):
        f(strided, 2.0)
        with contextlib.suppress(TypeError):
            f(x, [text])
    gc.collect()
    assert [sys.getrefcount(item) for item in (strided, text, x, f)] == before
    assert sys.exc_info() == (None, None, None)


GROWING = """
import sys, gc, contextlib
import numpy as np, psutil
import microgrid as mg
leak = [] if "leak" in sys.argv else None
f = mg.compile(lambda x, y, z, n: x * y[0] + z[1] * n["a"][0] + n["b"][0] * mg.sum(y))
array, strided, ys = np.linspace(0.0, 1.0, 50), np.linspace(0.0, 1.0, 100)[::2], [float(i) for i in range(50)]
def calls(count):
    for i in range(count):
        result = f.value_and_grad(1.5 + i, ys, array, {"a": [4.5], "b": (5.5,)})
        if leak is not None:
            leak.append(result)
        if i % 100 == 0:
            f(1.5, ys, strided, {"a": [4.5], "b": (5.5,)})
            with contextlib.suppress(TypeError):
                f(1.5, ys, array, {"a": ["text"], "b": (5.5,)})
calls(2000)
def grown():
    gc.collect()
    before = psutil.Process().memory_info().rss
    calls(5_000)
    gc.collect()
    return psutil.Process().memory_info().rss - before
print(sorted(grown() for _ in range(3))[1])
"""


def grown(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", GROWING, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_calls_and_would_be_seen_to() -> None:
    """Each result takes some 2,500 bytes: 5,000 that are kept are 12 MB."""
    pytest.importorskip("psutil")
    assert grown() < 2_000_000
    assert grown("leak") > 6_000_000


def test_a_million_calls_are_a_million_results() -> None:
    f = ready(mg.compile(lambda x, y: x * y), 1.0, 2.0, method="value_and_grad")
    total = 0.0
    x, y = 1.5, 2.0
    counts = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(f)
    for _ in range(1_000_000):
        value, (dx, dy) = f.value_and_grad(x, y)
        total += value + dx - dy
    assert total == 3_500_000.0
    assert (sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(f)) == counts


def test_functions_that_are_dropped_are_gone() -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(x, (Compiled, calls.Variant, calls.Chain)) for x in gc.get_objects())
        for k in range(3):
            ready(mg.compile(lambda x: x * (k + 0.5)), 1.0)  # noqa: B023  # called at once
        after = sum(isinstance(x, (Compiled, calls.Variant, calls.Chain)) for x in gc.get_objects())
    finally:
        gc.enable()
    assert before == after


def test_dropped_variants_are_gone() -> None:
    scale = 0.0
    f = mg.compile(lambda x: x * scale)
    for k in range(2 * calls.KEPT):
        scale = float(k)
        assert f(2.0) == f(2.0) == 2.0 * k
    assert len(f._entries._chains[0].variants) == calls.KEPT


def test_threads_have_results_of_their_own() -> None:
    f = ready(mg.compile(lambda x, y: [x * y, mg.exp(x - y)]), 1.0, 2.0)
    long = ready(mg.compile(lambda xs: mg.sum([x * xs[0] for x in xs])), [1.0] * 12_000)
    assert long._entries._chains[0].variants[0].releases

    def one(k: int) -> bool:
        good = True
        for i in range(300):
            x, y = float(k), float(i % 7)
            good &= f(x, y) == [x * y, math.exp(x - y)]
            if i % 30 == 0:
                good &= long([x] * 12_000) == 12_000 * x * x
        return good

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(one, range(16)))
    finally:
        sys.setswitchinterval(interval)


def test_threads_may_meet_more_structures_than_are_kept() -> None:
    scale = 1.0
    f = mg.compile(lambda xs: mg.sum([x * scale for x in xs]), check=False)
    sizes = range(1, calls.KEPT + 5)
    for size in sizes:
        f([1.0] * size)

    def one(k: int) -> bool:
        return all(f([float(k)] * size) == float(k) * size for _ in range(20) for size in sizes)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(one, range(8)))
    finally:
        sys.setswitchinterval(interval)


def test_a_call_while_a_value_is_read_is_computed_apart() -> None:
    weight, seen, within = Value(2.0), list[float](), False
    f = ready(mg.compile(lambda x: x * weight), 3.0)

    def look(*what: Any) -> None:
        nonlocal within
        if not within and len(seen) < 5:
            within = True
            seen.append(f(100.0))
            within = False

    with reading(look):
        assert [f(3.0) for _ in range(8)] == [6.0] * 8
    assert seen == [200.0] * 5


def test_an_exception_while_a_value_is_read_is_raised() -> None:
    weight = Value(2.0)
    f = ready(mg.compile(lambda x: x * weight), 3.0)

    def look(*what: Any) -> None:
        raise LookupError("no data")

    with reading(look), pytest.raises(LookupError, match="no data"):
        f(3.0)
    assert in_machine_code(f, lambda: f(3.0))
    assert f(3.0) == 6.0


def test_a_call_while_garbage_is_collected_is_computed_apart() -> None:
    f = mg.compile(lambda x, y: [[x * y, x], [y, [x - y]]])
    ready(f, 3.0, 4.0)
    seen: list[Any] = []

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            seen.append(f(100.0, 50.0))

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Garbage()
            assert f(3.0, 4.0) == [[12.0, 3.0], [4.0, [-1.0]]]
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert seen == [[[5000.0, 100.0], [50.0, [50.0]]]] * 200


FIRST = """
import microgrid as mg
f = mg.compile(lambda x, y: x * y)
taken = f.value_and_grad
print([taken(3.0, 4.0) for _ in range(3)], f._entries.ran is not None)
"""


def test_a_method_that_is_taken_before_the_first_call_is_machine_code_too() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(12.0, (4.0, 3.0)), (12.0, (4.0, 3.0)), (12.0, (4.0, 3.0))] True"


INTERRUPTED = """
import signal, threading, time
import microgrid as mg
f = mg.compile(lambda x, y: x * y)
f.value_and_grad(1.0, 2.0)
def until_interrupted(timer):
    timer.start()
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        assert f.value_and_grad(3.0, 4.0) == (12.0, (4.0, 3.0))
for _ in range(5):
    timer = threading.Timer(0.02, signal.raise_signal, (signal.SIGINT,))
    try:
        until_interrupted(timer)
    except KeyboardInterrupt:
        print("interrupted")
    timer.join()
f._entries.reset()
assert f.value_and_grad(3.0, 4.0) == (12.0, (4.0, 3.0))
assert f._entries.ran
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
def test_an_interrupt_is_raised_and_leaves_all_in_order() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["interrupted"] * 5


# --- where it is not supported ----------------------------------------------------------------


def test_without_support_the_general_path_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "supported", lambda: False)
    f = mg.compile(lambda x: x * x)
    assert [f(3.0) for _ in range(3)] == [9.0] * 3
    assert not in_machine_code(f, lambda: f(3.0))


def test_other_interpreters_are_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    supported = entry.supported.__wrapped__
    assert supported()
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: 1)
    assert not supported()
    monkeypatch.undo()
    monkeypatch.setattr(entry, "_type_offset", lambda: 0)
    assert not supported()
    monkeypatch.undo()
    monkeypatch.setattr(entry, "_address", lambda name: 0)
    assert not supported()
