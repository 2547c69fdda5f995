"""Compiled functions as methods and as Python's functions: names, signatures, help, copies, pickles."""

from __future__ import annotations

import copy
import dataclasses
import functools
import gc
import inspect
import pickle
import pydoc
import weakref
from typing import Any

import numpy as np
import pytest

import microgrid as mg
from microgrid import Value
from microgrid.compiler.compiled import Compiled

TRACED: list[Any] = []


class Model:
    """A person's model, with weights of all kinds."""

    order = 2

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.weights = np.array([1.0, 2.0])
        self.name = "plain"
        self.layers = [{"scale": 1.0}]
        self.bias = Value(0.5)

    @mg.compile(static=("n",))
    def out(self, x: Any, n: int = 1, *, plus: Any = 0.0) -> Any:
        """Return the output."""
        TRACED.append(self)
        sign = -1.0 if self.name == "negative" else 1.0
        return sign * self.rate * (self.weights @ x) ** n * self.layers[0]["scale"] + self.bias + plus

    @staticmethod
    @mg.compile
    def square(x: Any) -> Any:
        return x * x

    @mg.compile
    def __call__(self, x: Any) -> Any:
        return self.out(x) * 2.0

    def plainly(self, x: Any) -> Any:
        return self.rate * x


class Special(Model):
    @mg.compile
    def out(self, x: Any, n: int = 1, *, plus: Any = 0.0) -> Any:
        return super().out(x, n, plus=plus) * 10.0


X = np.array([3.0, 1.0])


def test_a_method_is_compiled_for_each_instance() -> None:
    a, b = Model(2.0), Model(3.0)
    TRACED.clear()
    for _ in range(3):
        assert (a.out(X), b.out(X)) == (10.5, 15.5)
    assert [a, b] == TRACED
    assert a.out(X, 2, plus=1) == 51.5
    assert a.out(X, n=2) == 50.5
    value, slopes = a.out.value_and_grad(X, 2)
    assert (value, slopes.tolist()) == (50.5, [20.0, 40.0])
    assert a.out.hessian(X, 2).tolist() == [[4.0, 8.0], [8.0, 16.0]]
    assert isinstance(Model.out, Compiled)
    assert Model.square(3.0) == a.square(3.0) == 9.0
    assert a(X) == 21.0
    assert "x" in a.out.c()


def test_a_change_of_a_number_in_an_attribute_is_seen() -> None:
    model = Model(2.0)
    assert model.out(X) == 10.5
    changes: list[Any] = [
        lambda: setattr(model, "rate", 4.0),
        lambda: model.weights.__imul__(2.0),
        lambda: setattr(model, "name", "negative"),
        lambda: model.layers[0].update(scale=0.5),
        lambda: setattr(model.bias, "data", 1.5),
        lambda: setattr(model, "weights", [1.0, 0.0] * np.ones(2)),
    ]
    seen = [10.5]
    for change in changes:
        change()
        seen.append(model.out(X))
        assert seen[-1] == float(type(model).out.__wrapped__(model, X).data)
    assert len(set(seen)) == len(seen)
    plainly = mg.compile(model.plainly)
    assert plainly(1.0) == 4.0
    model.rate = 5.0
    assert plainly(1.0) == 5.0


class Reading:
    """Methods that read attributes in many ways."""

    def __init__(self) -> None:
        self.a = 2.0
        self.b = [3.0]
        self.other = np.ones(3)
        self.count = 0

    def directly(self, x: Any) -> Any:
        return self.a * x + self.b[0]

    def helped(self, x: Any) -> Any:
        return self._scaled(x) + self.shift

    def nested(self, x: Any) -> Any:
        return mg.sum([(lambda y: self.a * y)(x) for _ in range(2)]) + self.b[0]

    def by_name(self, x: Any) -> Any:
        return getattr(self, "a") * x + getattr(self, "b")[0]  # noqa: B009  # a name as data, on purpose

    def passed_on(self, x: Any) -> Any:
        return _outside(self, x)

    def renamed(self, x: Any) -> Any:
        me = self
        return me.a * x + me.b[0]

    def in_its_dictionary(self, x: Any) -> Any:
        return self.__dict__["a"] * x + vars(self)["b"][0]

    def itself(self, x: Any) -> Any:
        return self @ x

    def __matmul__(self, x: Any) -> Any:
        return self.a * x + self.b[0]

    def _scaled(self, x: Any) -> Any:
        return self.a * x

    @property
    def shift(self) -> Any:
        return self.b[0]


class Derived(Reading):
    def directly(self, x: Any) -> Any:
        return super().directly(x)


class Dynamic(Reading):
    def directly(self, x: Any) -> Any:
        return self.alpha * x + self.b[0]

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["a"]


def _outside(reading: Reading, x: Any) -> Any:
    return reading.a * x + reading.b[0]


WAYS = [name for name, member in vars(Reading).items() if inspect.isfunction(member) and not name.startswith("_")]


@pytest.mark.parametrize("decorated", [False, True])
@pytest.mark.parametrize("kind", [Reading, Derived, Dynamic])
@pytest.mark.parametrize("way", WAYS)
def test_attributes_that_a_method_reads_in_whatever_way_are_seen(
    way: str, kind: type[Reading], decorated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = kind()
    eager = getattr(reading, way)
    monkeypatch.setattr(kind, "added", None, raising=False)
    mg.compile(getattr(kind, way)).__set_name__(kind, "added")
    compiled = getattr(reading, "added") if decorated else mg.compile(eager)  # noqa: B009  # a name as data, on purpose
    for _ in range(2):
        assert compiled(1.0) == float(eager(1.0))
    assert len(compiled._plans) == 1
    reading.a = 4.0
    assert compiled(1.0) == float(eager(1.0))
    reading.b[0] = 5.0
    assert compiled(1.0) == float(eager(1.0))
    assert len(compiled._plans) == 3
    if way in ("directly", "helped", "nested") and kind is not Dynamic:
        reading.other += 1.0
        reading.count += 1
        compiled(1.0)
        assert len(compiled._plans) == 3


@pytest.mark.parametrize("way", ["directly", "helped", "passed_on"])
def test_attributes_of_classes_that_a_method_reads_of_its_instance_are_seen(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a class stayed what it was at the first call, without notice."""
    reading = Derived()
    del reading.a, reading.b
    monkeypatch.setattr(Reading, "b", [2.0], raising=False)
    compiled = mg.compile(getattr(reading, way))
    for kind, a in ((Reading, 3.0), (Reading, 4.0), (Derived, 5.0), (reading, 6.0)):
        monkeypatch.setattr(kind, "a", a, raising=False)
        assert compiled(1.0) == float(getattr(reading, way)(1.0)) == a + 2.0


def test_an_object_that_is_called_is_like_a_method() -> None:
    class Line:
        def __init__(self) -> None:
            self.slope = 2.0

        def __call__(self, x: Any) -> Any:
            return self.slope * x

    line = Line()
    compiled = mg.compile(line)
    assert compiled(3.0) == 6.0
    line.slope = 5.0
    assert compiled(3.0) == 15.0
    assert mg.compile(mg.trace(line)(1.0))(3.0) == 15.0


def test_methods_inherit_and_record() -> None:
    special = Special(2.0)
    assert special.out(X) == 105.0
    assert Special(3.0).out(X) == 155.0
    assert mg.grad(special.out)(X).tolist() == [20.0, 40.0]
    assert special.out.gradient(np.array([Value(3.0), 1.0]))[0].data == 20.0
    assert special(X) == 210.0


def test_code_lives_as_long_as_its_instance() -> None:
    model = Model(2.0)
    model.out(X)
    model.out(np.array([Value(1.0), Value(2.0)]))
    there = weakref.ref(model)
    table = vars(Model)["out"]._kept
    assert id(model) in table
    number = id(model)
    TRACED.clear()
    del model
    gc.collect()
    assert there() is None
    assert number not in table


def test_a_copy_of_an_instance_has_code_of_its_own() -> None:
    model = Model(2.0)
    assert model.out(X) == 10.5
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.rate = 3.0
        assert (other.out(X), model.out(X)) == (15.5, 10.5)


@dataclasses.dataclass(eq=True)
class Line:
    """It has no hash."""

    slope: Any

    @mg.compile
    def at(self, x: Any) -> Any:
        return self.slope * x


class Slots:
    __slots__ = ("__weakref__", "slope")

    def __init__(self, slope: float) -> None:
        self.slope = slope

    @mg.compile
    def at(self, x: Any) -> Any:
        return self.slope * x


def test_instances_need_no_hash_but_weak_references() -> None:
    for kind in (Line, Slots):
        first, second = kind(2.0), kind(2.0)
        assert (first.at(3.0), second.at(3.0)) == (6.0, 6.0)
        first.slope = 5.0
        assert (first.at(3.0), second.at(3.0)) == (15.0, 6.0)

    class Bare:
        __slots__ = ()

        @mg.compile
        def at(self, x: Any) -> Any:
            return x

    with pytest.raises(TypeError, match="Bare has __slots__ without __weakref__"):
        Bare().at(1.0)


def test_what_is_no_function_is_not_bound() -> None:
    class Holder:
        added = mg.compile(functools.partial(lambda a, b: a + b, 2.0))
        bound = mg.compile(Model(2.0).plainly)

    assert Holder().added(3.0) == Holder.added(3.0) == 5.0
    assert Holder().bound(3.0) == 6.0


# --- Python's functions ----------------------------------------------------------------------------------------------


@mg.compile(static="n")
def documented(x: Any, n: int = 2, *, scale: float = 1.0) -> Any:
    """Return a power."""
    return x**n * scale


def plain(x: Any) -> Any:
    return x * x


def test_a_compiled_function_has_the_name_the_text_and_the_signature() -> None:
    assert (documented.__name__, documented.__qualname__, documented.__module__) == ("documented",) * 2 + (__name__,)
    assert documented.__doc__ == "Return a power."
    assert str(inspect.signature(documented)) == "(x: 'Any', n: 'int' = 2, *, scale: 'float' = 1.0) -> 'Any'"
    assert documented.__wrapped__(3.0) == 9.0
    assert Model(1.0).out.__name__ == "out"
    assert str(inspect.signature(Model(1.0).out)) == "(x: 'Any', n: 'int' = 1, *, plus: 'Any' = 0.0) -> 'Any'"
    assert Model.out.__doc__ == "Return the output."


def test_its_repr_says_what_it_is() -> None:
    fast = mg.compile(plain)
    assert repr(fast) == "<compiled function plain(x: 'Any') -> 'Any'; 0 compiled variant(s)>"
    fast(1.0)
    assert repr(fast).endswith("; 1 compiled variant(s)>")
    assert "static n" in repr(documented)
    assert repr(mg.compile(np.sin)).startswith("<compiled function sin(")


def test_help_says_where_the_cache_is_and_how_to_do_without() -> None:
    assert "Return a power." in pydoc.plain(pydoc.render_doc(documented))  # as of any function
    without = pydoc.plain(pydoc.render_doc(mg.compile(plain)))
    for text in (without, pydoc.plain(pydoc.render_doc(type(documented))), pydoc.plain(pydoc.render_doc(mg.compile))):
        for part in ("MICROGRID_CACHE", "~/.cache/microgrid", "=off", "cache=False"):
            assert part in text
    for method in ("gradient", "value_and_grad", "jacobian", "hessian", "hvp", "batch"):
        assert f"{method}(self" in without


def test_a_compiled_function_is_copied_and_pickled_as_a_function() -> None:
    assert copy.copy(documented) is copy.deepcopy(documented) is documented
    assert pickle.loads(pickle.dumps(documented)) is documented
    fast = mg.compile(plain, strict=True)
    again = pickle.loads(pickle.dumps(fast))
    assert (again(3.0), again._options.strict) == (9.0, True)
    method = pickle.loads(pickle.dumps(Model(2.0).out))
    assert method(X) == 10.5
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(mg.compile(lambda x: x))
