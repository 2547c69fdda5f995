"""Sparse Jacobians and Hessians, recorded and compiled, against the dense ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions, points

import microgrid as mg
from microgrid import Value, compile, hessian, jacobian, sin
from microgrid.graph import sparsity

pytest.importorskip("scipy")


def rosenbrock(x: Any) -> Any:
    return mg.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def alike(sparse: Any, dense: Any, exactly: bool = False) -> bool:
    found, wanted = sparse.toarray(), np.array(dense, dtype=float).reshape(sparse.shape)
    return bool(np.array_equal(found, wanted, equal_nan=True) if exactly else np.allclose(found, wanted, rtol=1e-11))


def of_list(f: RandomFunction) -> Any:
    return lambda xs: f(*xs)


def disagreement(f: RandomFunction, at: list[float]) -> bool:
    """Return True if a sparse derivative of a function of several results, or of their sum, differs from the dense."""

    def total(xs: Any) -> Any:
        return mg.sum(f(*xs))

    g = of_list(f)
    return not (
        alike(jacobian(g, sparse=True)(at), jacobian(g)(at), exactly=True)
        and alike(hessian(total, sparse=True)(at), hessian(total)(at), exactly=True)
    )


@settings(deadline=None, max_examples=60)
@given(st.data(), functions(outputs=4))
def test_recorded_ones_are_the_dense_ones(data: st.DataObject, f: RandomFunction) -> None:
    assert not disagreement(f, data.draw(points(f.inputs)))


def test_a_lost_entry_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    f = RandomFunction(
        3, (2.0,), ((mg.ops.mul, (0, 1)), (mg.ops.sin, (4,)), (mg.ops.mul, (5, 2)), (mg.ops.exp, (1,))), 4
    )
    at = [0.3, 0.7, -0.4]
    assert not disagreement(f, at)
    entries = sparsity.SparsePasses.entries
    monkeypatch.setattr(sparsity.SparsePasses, "entries", lambda self, **how: entries(self, **how)[:-1])
    assert disagreement(f, at)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_places_are_exactly_those_of_variables_that_meet(n: int, groups: list[set[int]]) -> None:
    terms = [sorted(i for i in group if i < n) for group in groups]
    terms = [term for term in terms if term]

    def f(x: Any) -> Any:
        return mg.sum([sin(mg.prod([x[i] for i in term])) for term in terms] + [0.0 * x[0], x[n - 1]])

    found = hessian(f, sparse=True)([0.1 + 0.01 * i for i in range(n)]).tocoo()
    wanted = {pair for term in terms for pair in itertools.product(term, repeat=2)}
    assert set(zip(found.row.tolist(), found.col.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("strict", [False, True])
def test_compiled_ones_are_the_recorded_ones(strict: bool) -> None:
    x = np.array([0.1 * i for i in range(12)])
    compiled = compile(rosenbrock, strict=strict)
    for at in (x, 1.0 + x, x[:5]):
        wanted = hessian(rosenbrock, sparse=True)(at)
        found = compiled.hessian(at, sparse=True)
        assert alike(found, wanted.toarray(), exactly=strict)
        assert found.nnz == wanted.nnz == 3 * len(at) - 2
        again = compiled.hessian(2.0 * at, sparse=True, out=found)
        assert again is found
        assert alike(found, hessian(rosenbrock)(2.0 * at))
    of_the_hessian = compiled.report()
    assert f"result[{found.nnz - 1}]" in str(compiled.loops)
    assert alike(compiled.jacobian(x, sparse=True), jacobian(rosenbrock)(x))
    assert compiled.report() != of_the_hessian


def test_rows_are_results_and_columns_arguments_in_their_order() -> None:
    def f(a: Any, b: Any, scale: Any = 1.0) -> Any:
        return {"u": [a["p"] * b[1], b[0] * scale], "v": a["q"]}

    args = ({"p": 2.0, "q": 3.0}, [5.0, 7.0])
    wanted = [[7.0, 0.0, 0.0, 2.0], [0.0, 0.0, 4.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    assert jacobian(f, (0, 1), sparse=True)(*args, scale=4.0).toarray().tolist() == wanted
    assert compile(f).jacobian(*args, scale=4.0, sparse=True).toarray().tolist() == wanted


def test_a_parameter_called_sparse_is_the_functions_own() -> None:
    def f(x: Any, sparse: Any = 1.0) -> Any:
        return x * x * sparse

    assert compile(f).hessian(3.0, sparse=2.0) == 4.0


def test_misuse_is_told() -> None:
    compiled = compile(rosenbrock)
    with pytest.raises(TypeError, match=r"compile\(f\).jacobian\(x, sparse=True\)"):
        jacobian(rosenbrock, sparse=True)([Value(1.0), Value(2.0)])
    with pytest.raises(TypeError, match="pass numbers"):
        compiled.hessian([Value(1.0), Value(2.0)], sparse=True)
    with pytest.raises(TypeError, match="a sparse array that a call without out= has returned"):
        compiled.hessian([1.0, 2.0], sparse=True, out=np.zeros(4))
    other = compile(lambda x: x[0] * x[2] + x[1] * x[1]).hessian([1.0, 2.0, 3.0], sparse=True)
    mine = compile(lambda x: x[0] * x[1] + x[2] * x[2])
    mine.hessian([1.0, 2.0, 3.0], sparse=True)
    with pytest.raises(ValueError, match="other places"):
        mine.hessian([1.0, 2.0, 3.0], sparse=True, out=other)


def test_without_scipy_an_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"pip install scipy"):
        jacobian(rosenbrock, sparse=True)([1.0, 2.0])


def test_what_scipy_does_to_a_result_in_place_changes_no_other_one() -> None:
    """After `eliminate_zeros` of one Hessian, the next ones had their numbers at other places, without notice."""

    def f(x: Any) -> Any:
        return (x**3.0).sum() + x[0] * x[1]

    compiled, expected = mg.compile(f), mg.hessian(f)(np.ones(3))
    out = compiled.hessian(np.ones(3), sparse=True)
    compiled.hessian(np.zeros(3), sparse=True).eliminate_zeros()
    assert compiled.hessian(np.ones(3), sparse=True).toarray().tolist() == expected.tolist()
    assert compiled.hessian(np.ones(3), sparse=True, out=out).toarray().tolist() == expected.tolist()
    out.indices[:] = 0
    with pytest.raises(ValueError, match="has other places"):
        compiled.hessian(np.ones(3), sparse=True, out=out)
