"""NumPy's functions of Values: on arrays that `grad` hands over, on arrays of one's own, and on a single Value.

Each either gives the number and the derivatives that central differences of NumPy's floats give, or is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thinned import thinned

import microgrid as mg
from microgrid import Value, grad, trace, value_and_grad
from microgrid.core.value_arrays import value_array

np = pytest.importorskip("numpy")
special = pytest.importorskip("scipy.special")

UFUNCS = sorted(
    {u.__name__: u for u in vars(np).values() if isinstance(u, np.ufunc) and not u.signature}.items()
)  # gufuncs (matmul and its like) stand among the functions below
PYTHONS = ("logical_and", "logical_or", "logical_xor")
"""Ufuncs that give an operand of an ordinary array of objects, as Python's `and` does: NumPy asks nobody."""

REFUSED = "divmod fmax fmin frexp heaviside isfinite isinf isnan logaddexp2 modf nextafter signbit spacing".split()

STEP = 1e-6
# Off the kinks of floor, round and x % 0.25, whose multiples are at least STEP away.
NUMBERS = st.integers(1, 14).map(lambda i: (i + 0.37) / 16.0)


def weighted(result: Any) -> Any:
    """One number that depends on each of a result differently."""
    parts = result if isinstance(result, tuple) else (result,)
    items = [x for part in parts for x in np.asarray(part).ravel().tolist()]
    total: Any = 0.0
    for i, x in enumerate(items):
        total = total + x * (1.0 + 0.3 * i)
    return total


def differences(function: Callable[..., Any], at: list[float]) -> list[float]:
    slopes = []
    for i in range(len(at)):
        up, down = ([x + (h if i == j else 0.0) for j, x in enumerate(at)] for h in (STEP, -STEP))
        slopes.append(float(function(*up) - function(*down)) / (2.0 * STEP))
    return slopes


def agrees(function: Callable[..., Any], floats: Callable[..., Any], at: list[float]) -> None:
    leaves = [Value(x) for x in at]
    found, expected = function(*leaves), floats(*at)
    assert float(found.data if isinstance(found, Value) else found) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    if isinstance(found, Value):
        found.backward()
    slopes = [leaf.grad for leaf in leaves]
    assert slopes == pytest.approx(differences(floats, at), rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("kind", ["handed over", "of one's own", "single"])
@pytest.mark.parametrize("name", thinned(name for name, _ in UFUNCS))
@settings(deadline=None, max_examples=2)
@given(data=st.data())
def test_a_ufunc_of_numpy_is_right_or_an_error(name: str, kind: str, data: st.DataObject) -> None:
    ufunc = dict(UFUNCS)[name]
    n = 1 if kind == "single" else 2
    above = 1.0 if name == "arccosh" else 0.0
    at = [above + x for x in data.draw(st.lists(NUMBERS, min_size=n * ufunc.nin, max_size=n * ufunc.nin, unique=True))]

    def rows(xs: Any) -> list[Any]:
        return [xs[k * n : k * n + n] for k in range(ufunc.nin)]

    def of_floats(*xs: float) -> Any:
        return weighted(ufunc(*[np.array(row) for row in rows(xs)]))

    def of_values(*xs: Any) -> Any:
        if kind == "single":
            return weighted(ufunc(*xs))
        arrays = [np.array(list(row), dtype=object) for row in rows(xs)]
        return weighted(ufunc(*[a.view(value_array()) if kind == "handed over" else a for a in arrays]))

    try:
        of_floats(*at)
    except TypeError:  # of whole numbers only
        with pytest.raises(TypeError):
            of_values(*map(Value, at))
        return
    try:
        of_values(*map(Value, at))
    except TypeError as error:
        advised = "does not take arrays of Values" in str(error) and name in REFUSED
        assert advised or kind == "of one's own"
    except AttributeError:
        assert (kind, name) == ("of one's own", "logical_xor")
    else:
        if kind == "of one's own" and name in PYTHONS:
            return
        agrees(of_values, of_floats, at)


A = np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 0.7]])
RIGHT: dict[str, Callable[[Any], Any]] = {
    "where": lambda x: np.where(x > 0.5, x**2, 0.0),
    "tanh of where": lambda x: np.tanh(np.where(x > 0.5, x, 0.0)),
    "select": lambda x: np.select([x > 0.5], [x * 2.0], 0.0),
    "choose": lambda x: np.choose([0, 1, 0], [x, x * 2.0]),
    "piecewise": lambda x: np.piecewise(x, [x > 0.5], [lambda t: t * 2.0, lambda t: t * 3.0]),
    "extract": lambda x: np.extract(x > 0.2, x),
    "logical": lambda x: np.where(np.logical_and(x > 0.1, x < 0.7), x, -x),
    "einsum": lambda x: np.einsum("ij,j,j->i", A, x, x),
    "dot": lambda x: np.dot(A, x),
    "vdot": lambda x: np.vdot(x, x),
    "inner": lambda x: np.inner(A, x),
    "outer": lambda x: np.outer(x, x),
    "matmul": lambda x: A @ x,
    "tensordot": lambda x: np.tensordot(A, x, 1),
    "kron": lambda x: np.kron(x, [1.0, 2.0]),
    "cross": lambda x: np.cross(x, [1.0, 2.0, 3.0]),
    "trace": lambda x: np.trace(np.outer(x, x)),
    "multi_dot": lambda x: np.linalg.multi_dot([A, np.outer(x, x), A.T]),
    "matrix_power": lambda x: np.linalg.matrix_power(np.outer(x, x), 2),
    "norm": np.linalg.norm,
    "norm 1": lambda x: np.linalg.norm(x, 1),
    "norm inf": lambda x: np.linalg.norm(x, np.inf),
    "norm of rows": lambda x: np.linalg.norm(np.outer(x, x), axis=1, keepdims=True),
    "norm of a matrix": lambda x: np.linalg.norm(np.outer(x, x), "fro"),
    "var": np.var,
    "std": np.std,
    "std of a sample": lambda x: np.std(x, ddof=1),
    "std of columns": lambda x: np.outer(x, [1.0, 2.0]).std(axis=0, keepdims=True),
    "mean": np.mean,
    "average": lambda x: np.average(x, weights=[1.0, 2.0, 3.0]),
    "median": np.median,
    "sum": np.sum,
    "prod": np.prod,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "diff": np.diff,
    "trapezoid": np.trapezoid,
    "convolve": lambda x: np.convolve(x, [1.0, 2.0]),
    "polyval": lambda x: np.polyval([1.0, 2.0, 3.0], x),
    "max": np.max,
    "min": np.min,
    "max of rows": lambda x: np.max(np.outer(x, [1.0, -2.0, 3.0]), axis=1, keepdims=True),
    "max of all axes": lambda x: np.max(np.outer(x, [1.0, -2.0]), axis=(0, 1)),
    "max with more": lambda x: np.max(x, initial=5.0, where=[True, False, True]) * x,
    "ptp": np.ptp,
    "sort": np.sort,
    "argsort": lambda x: x[np.argsort(x)],
    "argmax": lambda x: x[np.argmax(x)],
    "clip": lambda x: np.clip(x, 0.4, 0.7),
    "clip below": lambda x: x.clip(0.4, None),
    "round": np.round,
    "sinc": np.sinc,
    "concatenate": lambda x: np.tanh(np.concatenate([x, [0.5]])),
    "stack": lambda x: np.stack([x, x[::-1]]),
    "block": lambda x: np.block([x, x]),
    "tile": lambda x: np.tile(x, 2),
    "roll": lambda x: np.roll(x, 1),
    "pad": lambda x: np.pad(x, 1),
    "tril": lambda x: np.tril(np.outer(x, x)),
    "linspace": lambda x: np.linspace(x[0], x[2], 3),
    "apply": lambda x: np.apply_along_axis(lambda row: (row**2).sum(), 0, np.outer(x, x)),
    "vectorize": lambda x: np.vectorize(lambda t: t * 2.0)(x),
    "subtract.outer": lambda x: np.subtract.outer(x, x),
    "hypot.outer": lambda x: np.hypot.outer(x, x),
    "logaddexp.reduce": np.logaddexp.reduce,
    "maximum.accumulate": np.maximum.accumulate,
    "maximum into": lambda x: np.maximum(x, 0.5, out=x * 1.0),
    "degrees": lambda x: np.degrees(x) * np.radians(x),
    "of a person": lambda x: np.frompyfunc(lambda a, b: a * b, 2, 1)(x, 2.0),
    "special": lambda x: special.gammaln(x + 1.0) if hasattr(mg, "gammaln") else special.erf(x),
}
WRONG: dict[str, Callable[[Any], Any]] = {
    "quantile": lambda x: np.quantile(x, 0.3),
    "cov": lambda x: np.cov(x, [1.0, 2.0, 4.0]),
    "norm 3": lambda x: np.linalg.norm(x, 3),
    "nuclear norm": lambda x: np.linalg.norm(np.outer(x, x), "nuc"),
    "inv": lambda x: np.linalg.inv(np.outer(x, x) + np.eye(3)),
    "det": lambda x: np.linalg.det(np.outer(x, x) + np.eye(3)),
    "solve": lambda x: np.linalg.solve(np.eye(3), x),
    "eigvalsh": lambda x: np.linalg.eigvalsh(np.outer(x, x)),
    "svd": lambda x: np.linalg.svd(np.outer(x, x))[1],
    "cholesky": lambda x: np.linalg.cholesky(np.outer(x, x) + np.eye(3)),
    "polyfit": lambda x: np.polyfit([0.0, 1.0, 2.0], x, 1),
    "fft": lambda x: np.abs(np.fft.fft(x)),
    "interp": lambda x: np.interp(x, [0.0, 1.0], [0.0, 2.0]),
    "histogram": lambda x: np.histogram(x, 3)[0] * x,
    "heaviside": lambda x: np.heaviside(x, 0.5),
    "fmax": lambda x: np.fmax(x, 0.5),
    "isnan": lambda x: np.where(np.isnan(x), 0.0, x),
    "gradient": np.gradient,
    "bincount": lambda x: np.bincount([0, 1, 1], weights=x),
    "arange": lambda x: np.arange(x[0], 3.0),
    "float": lambda x: x.astype(float),
    "into floats": lambda x: np.add(x, 1.0, out=np.zeros(3)),
}


@pytest.mark.parametrize("name", RIGHT)
@settings(deadline=None, max_examples=2)
@given(at=st.lists(NUMBERS, min_size=3, max_size=3, unique=True))
def test_an_array_function_of_numpy_is_right(name: str, at: list[float]) -> None:
    function = RIGHT[name]

    def floats(*xs: float) -> Any:
        return weighted(function(np.array(xs)))

    def values(*xs: Any) -> Any:
        return weighted(function(np.array(xs, dtype=object).view(value_array())))

    agrees(values, floats, at)
    value, slopes = value_and_grad(lambda x: weighted(function(x)))(np.array(at))
    assert value == pytest.approx(floats(*at), rel=1e-12)
    assert slopes.tolist() == pytest.approx(differences(floats, at), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_derivative_is_an_error_that_says_what_to_write(name: str) -> None:
    with pytest.raises(TypeError, match=r"write it out|write a = a|v\.data") as error:
        grad(lambda x: weighted(WRONG[name](x)))(np.array([0.7, 0.2, 0.4]))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("name", ["max", "min"])
def test_k_equal_largest_share_the_derivative_as_in_a_list(name: str) -> None:
    of_numpy, of_lists = getattr(np, name), getattr(mg, name)
    x = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]) if name == "max" else np.array([[2.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    expected = [grad(of_lists)(row.tolist()) for row in x]
    assert expected == [[0.0, 0.5, 0.5], [1.0 / 3.0] * 3]
    assert grad(lambda x: of_numpy(x, axis=1).sum())(x).tolist() == expected
    assert grad(lambda x: getattr(x, name)(axis=1, keepdims=True).sum())(x).tolist() == expected
    ufunc = np.maximum if name == "max" else np.minimum
    assert grad(lambda x: ufunc.reduce(x, axis=1).sum())(x).tolist() == expected
    program = trace(lambda x: of_numpy(x))(x[0])  # no branch was fixed
    assert program.fixed == ()
    assert program(x[1]) == 3.0
    own = [Value(2.0), Value(2.0)]  # an ordinary array of objects: NumPy compares, and takes one
    of_numpy(np.array(own)).backward()
    assert sorted(v.grad for v in own) == [0.0, 1.0]


def test_spread_of_equal_numbers_and_norm_of_zeros_have_derivative_0() -> None:
    assert grad(np.std)(np.full(3, 0.1)).tolist() == [0.0, 0.0, 0.0]
    assert grad(lambda x: x.std(axis=0).sum())(np.ones((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert grad(np.linalg.norm)(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert grad(lambda x: np.linalg.norm(x, axis=0).sum())(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_functions_of_numpy_and_scipy_take_a_single_value() -> None:
    v = Value(0.5)
    total = np.logaddexp(v, 1.0) + np.maximum(0.0, v) + np.hypot(3.0, v) + special.erf(v) + np.square(v) + np.max(v)
    assert total.data == pytest.approx(np.logaddexp(0.5, 1.0) + 0.5 + math.hypot(3.0, 0.5) + math.erf(0.5) + 0.25 + 0.5)
    assert type(np.float64(2.0) * v) is type(v * np.float64(2.0)) is type(np.exp(v)) is Value
    assert type(np.array([1.0, 2.0]) * v) is type(v * np.array([1.0, 2.0])) is value_array()
    assert (np.array([0.0, 1.0]) > v).tolist() == [False, True]
    with pytest.raises(TypeError, match="heaviside does not take"):
        np.heaviside(v, 0.0)
    with pytest.raises(TypeError, match="float64"):
        np.add(np.zeros(2), v, out=np.zeros(2))


SPECIAL = "beta betaln gamma gammaln psi erfinv erfcinv erfcx dawsn ndtr ndtri log_ndtr ellipk ellipe expi exp1".split()


@pytest.mark.parametrize("name", [*SPECIAL, "erf", "erfc", "expit", "logit", "xlogy", "xlog1py"])
def test_special_functions_of_scipy_take_values_once_microgrid_has_them(name: str) -> None:
    import microgrid.special

    assert microgrid.special
    ufunc = getattr(special, name)
    at = [0.45, 0.7][: ufunc.nin]
    found, expected = value_and_grad(lambda *xs: ufunc(*xs), range(ufunc.nin))(*at), ufunc(*at)
    assert found[0] == pytest.approx(expected, rel=1e-13)
    assert list(found[1]) == pytest.approx(differences(ufunc, at), rel=1e-6)


def test_an_op_of_a_person_does_not_stand_in_for_a_ufunc_of_its_name() -> None:
    mg.primitive("heaviside", lambda x, y: 7.0, lambda z, x, y: (0.0, 0.0))
    try:
        with pytest.raises(TypeError, match="heaviside does not take"):
            np.heaviside(Value(0.5), 0.0)
    finally:
        del mg.OPS["heaviside"]
