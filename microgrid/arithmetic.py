"""The kinds of numbers that a program can be replayed on, each with its function for every op that it has one for.

An op that an arithmetic does not name is computed by its definition in other ops: its formula, or its forward function
where that is ordinary arithmetic.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgrid.engine import Value, constant
from microgrid.primitive import Op, as_float


class UnknownFunction(TypeError):
    """An arithmetic is asked for an op that only floats have."""


class Arithmetic:
    """Numbers of one kind: how a float becomes one, and what computes each op on them.

    An op that has no function here is its formula: the one for `exact` numbers, or for rounded ones. `irrational`,
    where it is given, computes every op that leads out of the fractions, or refuses it: it is told the op's name first.
    """

    exact = False

    def __init__(
        self,
        name: str,
        number: Callable[[Any], Any],
        functions: Mapping[str, Callable[..., Any]],
        irrational: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.number = number
        self.functions = functions
        self.irrational = irrational

    def function(self, op: Op) -> Callable[..., Any] | None:
        """What computes the op; None where its definition in other ops has to."""
        if op.irrational and self.irrational is not None:
            return functools.partial(self.irrational, op.name)
        return self.functions.get(op.name)

    def extended(self, op: Op, static: Sequence[float], function: Callable[..., Any]) -> Callable[..., Any]:
        """The op with these static operands on all others, given what computes it on finite ones."""
        return function

    def accept(self, x: Any) -> Any:
        """An input as a number of this kind; TypeError when it is none."""
        if isinstance(x, type(self.number(1.0))):
            return x
        try:
            return self.number(x if isinstance(x, int) else as_float(x))
        except TypeError as error:
            raise TypeError(f"a replay on {self.name}: {error}") from None

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Within which the arithmetic is done."""
        return contextlib.nullcontext()

    def finish(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The outputs as they are given back."""
        return list(outputs)

    def forward(self, op: Op, *operands: Any) -> Any:
        """The op's forward function, where it is ordinary arithmetic: a float for an answer would have lost digits."""
        try:
            result = op.forward(*operands)
        except TypeError:
            result = nan
        if isinstance(result, float):
            raise UnknownFunction(
                f"{op.name} computes floats only, not {self.name}: declare it with formula=, its definition in ops and "
                "operators"
            )
        return result

    def __repr__(self) -> str:
        return f"<arithmetic of {self.name}>"


class ExactArithmetic(Arithmetic):
    """Numbers that are not rounded, or know by how much."""

    exact = True


nan, inf = math.nan, math.inf


class _Floats(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any]:
        return op.forward

    def accept(self, x: Any) -> float:
        return as_float(x)


class _Values(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any]:
        return op

    def accept(self, x: Any) -> Value:
        return x if isinstance(x, Value) else constant(x)


class _Exact(Arithmetic):
    """Numbers finer than floats. At infinity and nan an op gives what it gives on floats: they are the same there."""

    def __init__(
        self,
        name: str,
        number: Callable[[Any], Any],
        functions: Mapping[str, Callable[..., Any]],
        is_finite: Callable[[Any], bool],
        irrational: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, number, functions, irrational)
        self.is_finite = is_finite
        self.exact = name == "fractions"

    def extended(self, op: Op, static: Sequence[float], function: Callable[..., Any]) -> Callable[..., Any]:
        bounded = all(map(math.isfinite, static))

        def computed(*operands: Any) -> Any:
            if bounded and all(map(self.is_finite, operands)):
                return function(*operands)
            try:
                z = op.forward(*map(_near, operands), *static)
            except (ArithmeticError, ValueError):  # a person's own op, which is not total
                return function(*operands)
            limit = z in (-1.0, 0.0, 1.0) or (z.is_integer() and not any(map(self.is_finite, operands)))
            if limit or not math.isfinite(z):
                return self.number(z)
            return function(*operands)  # it is a finite operand, or was rounded, as pi / 2 is

        return computed


def _near(x: Any) -> float:
    """The float nearest to x, but one on the side of -1, 0, 1 and infinity where x is."""
    try:
        near = float(x)
    except OverflowError:
        near = inf if x > 0 else -inf
    if near in (-inf, -1.0, 0.0, 1.0, inf) and near != x:
        return math.nextafter(near, inf if x > near else -inf)
    return near


FLOATS = _Floats("floats", float, {})
VALUES = _Values("Values", constant, {})


# --- exact fractions -----------------------------------------------------------------------------------------------


@functools.cache
def rationals() -> Arithmetic:
    """Python's fractions: exact. Where there is no fraction, as for 1 / 0, a float inf or nan stands and shows.

    Fractions have no -0.0: 1 / -0.0 is inf.
    """
    from fractions import Fraction

    def exactly(x: Any) -> Any:
        return Fraction(x) if math.isfinite(x) else x

    def div(x: Any, y: Any) -> Any:
        if y:
            return x / y
        return inf if x > 0 else -inf if x < 0 else nan

    def power(x: Any, y: Any) -> Any:
        n = int(y)
        if y != n:
            raise TypeError(f"{x} ** {y} is no fraction: replay on mpmath's numbers, or on floats")
        if abs(n) * max(x.numerator.bit_length(), x.denominator.bit_length()) > 10**8 and x not in (-1, 0, 1):
            raise OverflowError("a power has too many digits for a fraction: replay on mpmath's numbers, or on floats")
        return div(Fraction(1), x**-n) if n < 0 else x**n

    return _Exact(
        "fractions",
        exactly,
        {
            "add": lambda x, y: x + y,
            "sub": lambda x, y: x - y,
            "mul": lambda x, y: x * y,
            "div": div,
            "neg": lambda x: -x,
            "constant_power": power,
            "power": power,
            "abs": abs,
            "floor": lambda x: Fraction(math.floor(x)),
            "ceil": lambda x: Fraction(math.ceil(x)),
            "trunc": lambda x: Fraction(math.trunc(x)),
            "round": lambda x: Fraction(round(x)),
            "greater": lambda x, y: Fraction(x > y),
            "equal": lambda x, y: Fraction(x == y),
            "where": lambda condition, x, y: x if condition else y,
            "mod": lambda x, y: (x % y if y else nan) if isinstance(y, Fraction) else x,
            "fmod": lambda x, y: (x - y * math.trunc(x / y) if y else nan) if isinstance(y, Fraction) else x,
            "identity": lambda x: x,
        },
        lambda x: isinstance(x, Fraction) or math.isfinite(x),
        _irrational,
    )


def _irrational(op: str, *operands: Any) -> Any:
    raise TypeError(f"{op}({', '.join(map(str, operands))}) is no fraction: replay on mpmath's numbers, or on floats")


# --- arrays: a whole batch at once ---------------------------------------------------------------------------------


class _Arrays(Arithmetic):
    def function(self, op: Op) -> Callable[..., Any] | None:
        return self.functions.get(op.name) or (None if op.defined else functools.partial(_elementwise, op.forward))

    def accept(self, x: Any) -> Any:
        return array_of_floats(x).copy()

    def context(self) -> contextlib.AbstractContextManager[Any]:
        import numpy as np

        return np.errstate(all="ignore")  # inf and nan are answers here

    def finish(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        import numpy as np

        shape = np.broadcast_shapes(*[x.shape for x in inputs])
        return [np.broadcast_to(x, shape).copy() for x in outputs]


def _elementwise(forward: Callable[..., float], *operands: Any) -> Any:
    import numpy as np

    results = np.frompyfunc(lambda *xs: forward(*map(float, xs)), len(operands), 1)(*operands)
    return np.asarray(results, dtype=float)  # of numbers without dimensions there is one result, a float


def array_of_floats(x: Any) -> Any:
    """The numbers as an array of floats in C's order; TypeError for complex, masked and missing ones, texts and times.

    NumPy itself would drop imaginary parts and masks, read texts, and make nan of None.
    """
    import numpy as np

    if type(x) is np.ndarray and x.dtype.kind == "f":
        return np.asarray(x, dtype=float, order="C")
    if "numpy.ma" in sys.modules and _is_masked(x):
        raise TypeError("some of its numbers are masked: leave them out or fill them in")
    array = np.asarray(x, order="C")
    if array.dtype == object:
        return np.array([as_float(item) for item in array.flat], dtype=float).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of real numbers, got one of {array.dtype}")
    return array.astype(float, copy=False)


def _is_masked(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_is_masked(item) for item in x if type(item) is not float)
    mask: Any = getattr(x, "mask", None)  # a method of a data frame
    return hasattr(mask, "any") and bool(mask.any())


def library(name: str, extra: str) -> Any:
    """A third-party module; ImportError with the extra that brings it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"this arithmetic needs {name}: pip install 'microgrid[{extra}]'") from None


@functools.cache
def arrays() -> Arithmetic:
    """NumPy's arrays of floats; of any shapes that broadcast."""
    np = library("numpy", "train")

    same = "sqrt cbrt hypot exp exp2 expm1 log log2 log10 log1p logaddexp sin cos tan sinh cosh tanh floor ceil trunc"
    functions: dict[str, Callable[..., Any]] = {name: getattr(np, name) for name in same.split()}
    named = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"}
    named |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    named |= {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "abs": "abs"}
    named |= {"power": "power", "constant_power": "float_power", "round": "rint", "sign": "sign", "mod": "mod"}
    named |= {"fmod": "fmod", "floor_divide": "floor_divide", "maximum": "maximum", "minimum": "minimum"}
    functions |= {name: getattr(np, theirs) for name, theirs in named.items()}

    def nan_where(x: Any, y: Any, result: Any) -> Any:
        return np.where(np.isnan(x) | np.isnan(y), nan, result)

    return _Arrays(
        "NumPy arrays",
        np.float64,
        functions
        | {
            "greater": lambda x, y: nan_where(x, y, x > y),
            "equal": lambda x, y: nan_where(x, y, x == y),
            "where": lambda condition, x, y: np.where(np.isnan(condition), nan, np.where(condition != 0.0, x, y)),
            "copysign": lambda x, y: np.where(np.isnan(y), nan, np.copysign(x, y)),
            "zero_product": lambda x, y: np.where((x == 0.0) | (y == 0.0), 0.0, x * y),
            "identity": lambda x: x,
        },
    )


# --- fifty digits --------------------------------------------------------------------------------------------------


@functools.cache
def mpmath_numbers() -> Arithmetic:
    """mpmath's real numbers, of as many digits as its context is set to. Complex results are nan."""
    mp = library("mpmath", "check").mp

    def real(function: Callable[..., Any]) -> Callable[..., Any]:
        def computed(*operands: Any) -> Any:
            try:
                result = function(*operands)
            except (ZeroDivisionError, ValueError):
                return mp.nan
            return mp.nan if isinstance(result, mp.mpc) else result

        return computed

    def below(bits: int, function: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
        """The function up to 2**bits; beyond, its limits: computing them would take all memory there is."""
        within = real(function)
        return lambda x: within(x) if mp.mag(x) < bits else high if x > 0 else low

    def div(x: Any, y: Any) -> Any:
        if y:
            return x / y
        return mp.inf * mp.sign(x) if x else mp.nan

    def power(x: Any, y: Any) -> Any:
        if not x and y < 0:
            return mp.inf
        if x > 0 and x != 1:
            exponent = y * mp.log(x)
            if mp.mag(exponent) > 64:
                return mp.inf if exponent > 0 else mp.mpf(0)
        return mp.power(x, y)

    def remainder(x: Any, y: Any) -> Any:
        if not mp.isfinite(y):
            return x
        return x % y if y and mp.mag(x) - mp.mag(y) < 10_000 else mp.nan

    same = "sqrt asin acos atan asinh acosh hypot"
    limits = {"exp": (0, mp.inf), "expm1": (-1, mp.inf), "sinh": (-mp.inf, mp.inf), "cosh": (mp.inf, mp.inf)}
    limits |= {"tanh": (-1, 1), "erf": (-1, 1), "erfc": (2, 0)}
    far = {"sin": mp.sin, "cos": mp.cos, "tan": mp.tan}
    functions: dict[str, Callable[..., Any]] = {
        **{name: real(getattr(mp, name)) for name in same.split()},
        **{name: below(64, getattr(mp, name), mp.mpf(low), mp.mpf(high)) for name, (low, high) in limits.items()},
        **{name: below(10_000, function, mp.nan, mp.nan) for name, function in far.items()},
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "div": div,
        "neg": lambda x: -x,
        "constant_power": real(power),
        "power": real(power),
        "log": real(lambda x: mp.log(x) if x else -mp.inf),
        "log1p": real(lambda x: mp.log1p(x) if x != -1 else -mp.inf),
        "atanh": real(lambda x: mp.atanh(x) if abs(x) != 1 else mp.sign(x) * mp.inf),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "atan2": lambda y, x: mp.atan2(mp.sign(y), mp.sign(x)) if mp.isinf(x) and mp.isinf(y) else mp.atan2(y, x),
        "sinc_derivative": functools.partial(_mpmath_sinc_derivative, mp),
        "abs": abs,
        "floor": mp.floor,
        "ceil": mp.ceil,
        "trunc": lambda x: mp.sign(x) * mp.floor(abs(x)),
        "round": mp.nint,
        "greater": lambda x, y: mp.mpf(x > y),
        "equal": lambda x, y: mp.mpf(x == y),
        "where": lambda condition, x, y: x if condition else y,
        "mod": remainder,
        "fmod": lambda x, y: mp.sign(x) * remainder(abs(x), abs(y)),
        "identity": lambda x: x,
    }
    return _Exact("mpmath's numbers", mp.mpf, functions, mp.isfinite)


def _mpmath_sinc_derivative(mp: Any, x: Any, n: Any) -> Any:
    """The Taylor series of sin(x) / x differentiated n times, with digits enough for what cancels in it."""
    if not (float(n).is_integer() and 0 <= n <= 1000 and mp.mag(x) < 10_000):
        return mp.nan
    m = int(n)
    if abs(x) > 100 + m:  # there the recurrence loses little, and the series would have very large terms
        with mp.workprec(mp.prec + 20):
            cos, sin = mp.cos_sin(x)
            f = sin / x
            for k in range(1, m + 1):
                f = ((sin, cos, -sin, -cos)[k % 4] - k * f) / x
        return +f
    with mp.workprec(mp.prec + 20 + int(3 * abs(x))):
        k = m + m % 2
        term = mp.mpf(-1) ** (k // 2) / (k + 1) * (x if m % 2 else 1)
        total, smallest = term, mp.eps * abs(term)
        while abs(term) > smallest:
            term *= -x * x * (k + 1) / ((k + 3) * (k + 2 - m) * (k + 1 - m))
            total += term
            k += 2
    return +total


# --- balls: real numbers with a bound of their error ---------------------------------------------------------------


@functools.cache
def balls() -> Arithmetic:
    """python-flint's real balls, `arb`: each result is sure to contain the exact one.

    Where a comparison cannot be decided, as between balls that overlap, the result holds both answers.
    """
    arb = library("flint", "check").arb

    def both(x: Any, y: Any) -> Any:
        return x.union(y)

    def choice(condition: Any, x: Any, y: Any) -> Any:
        if condition.is_nan():
            return arb.nan()
        if condition.contains(0):
            return y if condition.is_zero() else both(x, y)
        return x

    def truth(yes: bool, no: bool) -> Any:
        return arb(1) if yes else arb(0) if no else both(arb(0), arb(1))

    def step(function: Callable[[Any], int]) -> Callable[[Any], Any]:
        def stepped(x: Any) -> Any:
            if not x.is_finite():
                return x
            if abs(x).upper() > arb(2) ** 10_000:  # its fraction would fill the memory
                return x + arb(0, 1)
            low, high = (arb(function(exact_fraction(end))) for end in (x.lower(), x.upper()))
            return both(low, high)

        return stepped

    def power(x: Any, y: Any) -> Any:
        return arb(1) if y == 0 else x**y

    methods = "exp expm1 log log1p sqrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc"
    return ExactArithmetic(
        "python-flint's balls",
        arb,
        {
            **{name: getattr(arb, name) for name in methods.split()},
            "add": lambda x, y: x + y,
            "sub": lambda x, y: x - y,
            "mul": lambda x, y: x * y,
            "div": lambda x, y: x / y,
            "neg": lambda x: -x,
            "constant_power": power,
            "power": power,
            "cbrt": lambda x: x if x == 0 else x.root(3) if x >= 0 else -(-x).root(3) if x <= 0 else arb.nan(),
            "hypot": lambda x, y: (x * x + y * y).sqrt(),
            "floor_divide": lambda x, y: (x / y).floor() if y.is_finite() else arb.nan(),  # -1 // inf is -1
            "abs": abs,
            "floor": lambda x: x.floor(),
            "ceil": lambda x: x.ceil(),
            "trunc": step(math.trunc),
            "round": step(round),
            "greater": lambda x, y: arb.nan() if x.is_nan() or y.is_nan() else truth(x > y, x <= y),
            "equal": lambda x, y: arb.nan() if x.is_nan() or y.is_nan() else truth(x == y, x != y),
            "where": choice,
            "identity": lambda x: x,
        },
    )


def exact_fraction(x: Any) -> Any:
    """An arb without radius, as a fraction."""
    from fractions import Fraction

    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def arithmetic_of(numbers: Sequence[Any]) -> Arithmetic:
    """The arithmetic for numbers of these kinds; TypeError when they do not go together."""
    kinds = {_kind(x): x for x in numbers}
    kinds.pop("floats", None)
    if len(kinds) > 1:
        raise TypeError(f"numbers of several kinds at once: {', '.join(sorted(kinds))}")
    (kind,) = kinds or {"floats"}
    made: dict[str, Callable[[], Arithmetic]] = {
        "floats": lambda: FLOATS,
        "Values": lambda: VALUES,
        "fractions": rationals,
        "arrays": arrays,
        "mpmath": mpmath_numbers,
        "flint": balls,
    }
    return made[kind]()


def _kind(x: Any) -> str:
    if isinstance(x, Value):
        return "Values"
    package = type(x).__module__.split(".")[0]
    if package in ("fractions", "mpmath", "flint"):
        return package
    return "arrays" if getattr(x, "ndim", 0) else "floats"
