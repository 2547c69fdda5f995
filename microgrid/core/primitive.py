"""`Op`, a primitive operation, and `primitive`, which declares one. The table of them is in `ops.py`."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import keyword
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast, overload

from microgrid.core.natives import checked


class Interval(NamedTuple):
    """An open interval where an op is defined and smooth in one operand, apart from isolated points (`except_at`).

    >>> 0.5 in Interval(low=0.0), -0.5 in Interval(low=0.0)
    (True, False)
    """

    low: float = -math.inf
    high: float = math.inf
    except_at: tuple[float, ...] = ()

    def __contains__(self, x: object) -> bool:
        """Return True if the number x is inside: `0.5 in Interval(0.0, 1.0)`."""
        return isinstance(x, (int, float)) and self.low < x < self.high and x not in self.except_at


REAL: Final = Interval()
POSITIVE: Final = Interval(low=0.0)
NONZERO: Final = Interval(except_at=(0.0,))

# Precedences of ops when they are printed: Python's order.
SUM: Final = 1
PRODUCT: Final = 2
SIGN: Final = 3
POWER: Final = 4
CALL: Final = 5


class Remark(NamedTuple):
    """A sentence about a node of which a partial is 0, or smaller than `below`: {operand} and {partial} are numbers."""

    text: str
    below: float = 0.0


class Reinterpreting(Protocol):
    """A number that records or reinterprets the ops applied to it."""

    def _apply_op(self, op: Op, operands: Sequence[Any]) -> Any: ...


T = TypeVar("T", bound=Reinterpreting)

# Recorder of ops on plain floats while a rule is recorded; None computes them, as always.
_recorder: Final[ContextVar[Callable[[Op, Sequence[Any]], Any] | None]] = ContextVar("microgrid_recorder", default=None)


@contextlib.contextmanager
def constants_recorded(record: Callable[[Op, Sequence[Any]], Any]) -> Iterator[None]:
    """Record ops on plain floats, too, within a context.

    The log(2.0) in a rule is a number that no float holds. Recorded, it keeps its meaning when the derivative is
    replayed in an arithmetic of more digits.
    """
    token = _recorder.set(record)
    try:
        yield
    finally:
        _recorder.reset(token)


_exact: Final[ContextVar[bool]] = ContextVar("microgrid_exact", default=False)


def rounded(x: Any, y: Any) -> Any:
    """Return x within a formula for numbers that are rounded, y within one for exact numbers: fractions and balls.

    A form that survives rounding, split by the sign of its argument, tears exact kinds apart; theirs would overflow on
    floats. The result of a formula depends on it by rounding, overflow, and points where y has no value, only.
    """
    return y if _exact.get() else x


@contextlib.contextmanager
def exactly(exact: bool = True) -> Iterator[None]:
    """Use the formulas for exact numbers within a context; with False, those for rounded ones, whatever is around."""
    token = _exact.set(exact)
    try:
        yield
    finally:
        _exact.reset(token)


def computing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of floats; within it ops on floats compute, although a rule is being recorded around it.

    A rule that is recorded makes nodes, and each of these asks for the numbers of its own rule. Without this, a rule
    that names its own op would record itself for ever.
    """

    def computed(*numbers: float) -> Any:
        if _recorder.get() is None:
            return function(*numbers)
        token = _recorder.set(None)
        try:
            return function(*numbers)
        finally:
            _recorder.reset(token)

    return computed


class Op:
    """A primitive operation. Call it on numbers, `Value`s or a mixture; declare your own with `primitive`.

    >>> from microgrid import tanh
    >>> tanh.name, tanh.arity, tanh.textbook, tanh(0.0)
    ('tanh', 1, ('1 - z**2',), 0.0)
    """

    __slots__ = (
        "aliases",
        "arity",
        "defined",
        "domain",
        "float_forward",
        "float_partials",
        "formula",
        "forward",
        "irrational",
        "kinks",
        "latex",
        "name",
        "on",
        "partials",
        "piecewise",
        "precedence",
        "range",
        "remark",
        "sensitive",
        "sign",
        "static",
        "symbol",
        "textbook",
        "ulps",
        "unrounded",
        "variables",
    )

    def __init__(
        self,
        name: str,
        forward: Callable[..., float],
        partials: Callable[..., tuple[Any, ...]],
        arity: int,
        static: int,
        domain: Sequence[Interval],
        symbol: str,
        precedence: int,
        latex: str,
        *,
        formula: Callable[..., Any] | None = None,
        piecewise: bool | Sequence[bool] = False,
        aliases: Sequence[str] = (),
        ulps: float = 4.0,
        sensitive: bool = False,
        textbook: Sequence[str] = (),
        variables: Sequence[str] = (),
        sign: str | None = None,
        irrational: bool = False,
        unrounded: bool = False,
        kinks: Callable[..., Sequence[float]] | None = None,
        remark: Remark | None = None,
        on: Mapping[str, Any] | None = None,
        range: tuple[float, float] | None = None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.partials = partials
        self.float_forward: Callable[..., Any] = computing(forward)
        self.float_partials: Callable[..., Any] = computing(partials)  # what a rule returns is checked, not trusted
        self.arity = arity
        self.static = static
        self.domain = tuple(domain)
        self.symbol = symbol
        self.precedence = precedence
        self.latex = latex
        self.formula = formula
        self.defined = False
        self.piecewise = (piecewise,) * arity if isinstance(piecewise, bool) else tuple(piecewise)
        self.aliases = tuple(aliases)
        self.ulps = ulps
        self.sensitive = sensitive
        self.textbook = tuple(textbook)
        self.variables = tuple(variables)
        self.sign = symbol if sign is None else sign
        self.irrational = irrational
        self.unrounded = unrounded
        self.kinks = kinks
        self.remark = remark
        self.on = dict(on or {})
        self.range = range

    @overload
    def __call__(self, *operands: float) -> float: ...  # type: ignore[overload-overlap]  # no operand is a T
    @overload
    def __call__(self, *operands: T | float) -> T: ...
    def __call__(self, *operands: Any) -> Any:
        """Return the result: a float for numbers, a recorded `Value` as soon as one operand is one; of arrays, an
        array."""
        if len(operands) != self.arity:
            raise TypeError(f"{self.name} takes {self.arity} operand(s), got {len(operands)}")
        for x in operands:
            if type(x) is not float:
                break
        else:
            record = _recorder.get()
            return self.forward(*operands) if record is None else record(self, operands)
        for x in operands:
            if hasattr(x, "_apply_op"):
                return x._apply_op(self, operands)
        if any(getattr(x, "ndim", 0) for x in operands):
            return self.elementwise(operands)
        return self(*[as_float(x) for x in operands])

    def elementwise(self, operands: Sequence[Any]) -> Any:
        """Return results for NumPy's arrays of numbers or `Value`s, broadcast: np.logaddexp calls no method of them."""
        import numpy as np

        with np.errstate(all="ignore"):  # inf and nan are answers here
            results = np.frompyfunc(self, self.arity, 1)(*operands)
        values = any(hasattr(x, "_apply_op") or np.asarray(x).dtype.kind == "O" for x in operands)
        return results if values else results.astype(float)

    def wrong_partials(self, partials: Any) -> TypeError:
        """Return the error for a rule that gave anything but a tuple of one derivative per differentiable operand."""
        expected = self.arity - self.static
        got = f"{len(partials)} of them" if isinstance(partials, tuple) else f"a {type(partials).__name__}"
        hint = "; write `lambda z, x: (derivative,)`, with the comma" if expected == 1 else ""
        return TypeError(f"the rule of {self.name} must return a tuple of {expected} derivative(s), got {got}{hint}")

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[Callable[..., Op], tuple[Any, ...]]:
        if special_ops.get(self.name) is self:
            return special_op, (self.partials.__module__, self.name)
        return (op_named, (self.name,)) if has_rule(self) else (given_op, (self.arity,))


_ANY_NUMBER: Final = 4  # among a code object's flags: it has *args (inspect.CO_VARARGS)

OPS: Final[dict[str, Op]] = {}
"""Primitives by name, in the order of declaration; those of the user come last."""

built_in: Final[set[str]] = set()
"""Names of the ops of `ops.py`."""

special_ops: Final[dict[str, Op]] = {}
"""Ops of `microgrid.special`, by name. They load when used, so they are not in `OPS`: a person's gamma may be
Lorentz's."""

_table: Final[ContextVar[dict[str, Op]]] = ContextVar("microgrid_table", default=OPS)


@contextlib.contextmanager
def declared_in(table: dict[str, Op]) -> Iterator[None]:
    """Enter the ops that are declared within a context into another table than `OPS`."""
    token = _table.set(table)
    try:
        yield
    finally:
        _table.reset(token)


unlisted: Final[dict[str, Op]] = {}
"""Ops that are no primitives but stand on nodes: constants."""


def primitive(
    name: str,
    forward: Callable[..., float] | None,
    partials: Callable[..., tuple[Any, ...]],
    *,
    static: int = 0,
    domain: Sequence[Interval] | None = None,
    symbol: str | None = None,
    precedence: int = CALL,
    latex: str | None = None,
    formula: Callable[..., Any] | None = None,
    piecewise: bool | Sequence[bool] = False,
    aliases: Sequence[str] = (),
    ulps: float = 4.0,
    sensitive: bool = False,
    textbook: Sequence[str] = (),
    sign: str | None = None,
    irrational: bool = False,
    unrounded: bool = False,
    kinks: Callable[..., Sequence[float]] | None = None,
    remark: Remark | None = None,
    on: Mapping[str, Any] | None = None,
    range: tuple[float, float] | None = None,
) -> Op:
    """Declare a primitive and enter it into the table `OPS`; declaring a name of your own again replaces it.

    `forward(*floats)` gives a float; `partials(z, *operands)` gives a tuple with one derivative per operand and is
    written with operators and ops. The last `static` operands are plain numbers, which get no derivative. `domain` has
    an `Interval` per operand; `symbol`, `precedence` and `latex` (operands are #1, #2, ...) say how it is written, and
    `aliases` what else it is called in an expression, and as a method where it is a built-in op. With a precedence
    below `CALL` people read the symbol between the operands; text that runs calls the op by its name.

    `formula(*operands)` says the same as `forward`, in ops and operators, for arithmetics that have no function for the
    op: more digits, arrays, C. Where `forward` itself is ordinary arithmetic, none is needed. Where `forward` is None,
    the formula is what the op computes on floats, too.

    `piecewise` marks an op whose partial 0 says that nearby the result does not depend on the operand, as in where,
    maximum and floor: through it nothing passes, whatever the cotangent; or it says so for each operand. `ulps` is how
    far a partial computed in floats may be from the exact one; `sensitive`: and as far again as moving each operand by
    that many ulps would move it.

    `textbook` writes the partials as a textbook does, for people to read: Python expressions in the result z and the
    rule's own names for the operands, where the rule itself is written for rounding.

    `sign` is what a box of a picture shows, where it is not the symbol, and `remark`, a `Remark`, what the stepper says
    of a small partial. `irrational` marks an op that leads out of the fractions, `unrounded` one whose results are
    whole numbers or operands, which rounding does not move. `kinks(*operands)` gives the numbers at which the first
    operand stands at a kink or a jump, where these move and `domain` cannot say them: `lambda x, low, high: (low,
    high)`.

    `on` hands the op natives, functions that compute it on other numbers than floats, where a formula would be long:
    `on={"mpmath": mpmath.loggamma, "flint": "lgamma", "numpy": scipy.special.gammaln, "c": "lgamma"}`. The keys are
    "mpmath", "flint" (balls, `arb`), "flint complex" (`acb`, for certified derivatives; it is asked within `domain`
    only, and must be holomorphic there), "numpy" (whole arrays), "c" (the name of a function in math.h) and "python"
    ("math.lgamma", for `Program.python`). A name is looked up in the library. Static operands come as floats. What
    mpmath answers with a complex number, ValueError or ZeroDivisionError is nan. Strict compiled code calls `forward`.

    `range` has bounds of the results for finite operands, rounding included, by which a product with 0 is known to be
    0; the derivatives must be finite there, too.

    Raises ValueError when the name is no identifier or belongs to a built-in op, and when the parts do not fit one
    another; TypeError when one that must be a function is none.

    >>> cube = primitive("cube", lambda x: x * x * x, lambda z, x: (3.0 * x * x,))
    >>> cube(2.0)
    8.0
    """
    name = unicodedata.normalize("NFKC", name)  # as Python reads it where a program's text calls the op
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"an op's name must be a Python identifier, and no keyword, got {name!r}")
    if name in built_in or name in unlisted:
        raise ValueError(f"{name} is a built-in op; choose another name")
    variables = _operands_of(name, partials)
    arity = len(variables)
    if not 0 <= static < arity:
        raise ValueError(f"{name}: {static} static operand(s) of {arity}; one at least must get a derivative")
    for role, function in (("forward", forward), ("formula", formula), ("kinks", kinks)):
        _check_takes(f"{name}: {role}", function, arity)
    if forward is None and formula is None:
        raise ValueError(f"{name} needs forward, a function of floats, or formula")
    natives = checked(name, {} if on is None else on, arity)
    for key, native in natives.items():
        _check_takes(f"{name}: on[{key!r}]", None if isinstance(native, str) else native, arity)
    if domain is not None and len(domain) != arity:
        raise ValueError(f"{name}: domain has {len(domain)} interval(s) for {arity} operand(s); give one for each")
    if not isinstance(piecewise, bool) and len(piecewise) != arity:
        raise ValueError(f"{name}: piecewise has {len(piecewise)} bool(s) for {arity} operand(s); give one for each")
    if textbook and len(textbook) != arity - static:
        wanted = arity - static
        raise ValueError(f"{name}: textbook has {len(textbook)} text(s) for {wanted} derivative(s); give one for each")
    if latex and any(f"#{i}" in latex for i in (0, *builtins.range(arity + 1, 10))):
        raise ValueError(f"{name}: latex names an operand that there is not; its {arity} operand(s) are #1 to #{arity}")
    if range is not None and not (len(range) == 2 and -math.inf < range[0] <= range[1] < math.inf):
        raise ValueError(f"{name}: range has the finite bounds (low, high) of the results, got {range!r}")
    if remark is not None:
        _check_remark(name, remark)
    op = Op(
        name,
        forward if forward is not None else computing(cast("Callable[..., float]", formula)),
        partials,
        arity,
        static,
        (REAL,) * arity if domain is None else domain,
        name if symbol is None else symbol,
        precedence,
        latex or _call_in_latex(name, arity),
        formula=formula,
        piecewise=piecewise,
        aliases=aliases,
        ulps=ulps,
        sensitive=sensitive,
        textbook=textbook,
        variables=variables,
        sign=sign,
        irrational=irrational,
        unrounded=unrounded,
        kinks=kinks,
        remark=remark,
        on=natives,
        range=range,
    )
    op.defined = forward is None
    _table.get()[name] = op
    return op


def _operands_of(name: str, partials: Callable[..., Any]) -> tuple[str, ...]:
    """Return the rule's own names for the operands, which it takes after the result."""
    if type(partials) is FunctionType and not partials.__code__.co_flags & _ANY_NUMBER:
        names = list(partials.__code__.co_varnames[: partials.__code__.co_argcount])
    else:
        import inspect

        try:
            parameters = inspect.signature(partials).parameters.values()
        except (TypeError, ValueError):
            raise TypeError(
                f"the rule of {name} must be a Python function, got {partials!r}; write `lambda z, x: (derivative,)`"
            ) from None
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            raise ValueError(
                f"the rule of {name} takes any number of operands; name each, as in `lambda z, x, y: (by_x, by_y)`"
            )
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(names) < 2:
        raise ValueError(
            f"the rule of {name} takes {len(names)} argument(s); it needs the result, then each operand, as in "
            "`lambda z, x: (derivative,)`"
        )
    return tuple(names[1:])


def _check_takes(role: str, function: Callable[..., Any] | None, count: int) -> None:
    """Raise ValueError when the function cannot take this many operands, as far as its signature shows."""
    if function is not None and not callable(function):
        raise TypeError(f"{role} must be a function, got {function!r}")
    if type(function) is not FunctionType:
        return
    most = function.__code__.co_argcount
    least = most - len(function.__defaults__ or ())
    if count < least or (count > most and not function.__code__.co_flags & _ANY_NUMBER):
        raise ValueError(f"{role} takes {most} operand(s), and the rule {count} beside the result; give both the same")


def _check_remark(name: str, remark: Any) -> None:
    if not isinstance(remark, Remark):
        raise TypeError(f'{name}: remark must be a Remark, got {remark!r}; write Remark("its partial is {{partial}}")')
    try:
        remark.text.format(operand="", partial="")
    except (LookupError, ValueError) as error:
        raise ValueError(f"{name}: remark may name {{operand}} and {{partial}} only: {error!r}") from None


def is_formula(op: Op) -> bool:
    """Return True if a built-in op is defined by its formula for all numbers that have no function of its name."""
    return op.defined and op.name in built_in


def op_named(name: str) -> Op:
    """Return the op of this name. Raises KeyError with the way to declare it when there is none."""
    if name not in OPS and name not in unlisted:
        raise KeyError(f"there is no op {name!r}: declare it with primitive({name!r}, ...) before loading")
    return OPS[name] if name in OPS else unlisted[name]


def special_op(module: str, name: str) -> Op:
    """Return the op of this name that a module of the package declares."""
    importlib.import_module(module)
    return special_ops[name]


def op_called(name: str) -> Op | None:
    """Return the op of this name that code finds: of `OPS`, or a special one; None where there is none."""
    return OPS.get(name) or special_ops.get(name)


def one_line(x: Any) -> str:
    """Return the repr of x on one line, cut after 80 characters when it has more than 100."""
    text = " ".join(repr(x).splitlines())
    return text if len(text) <= 100 else f"{text[:80]}..."


@functools.cache
def given_op(arity: int) -> Op:
    """Return the op of nodes that came with operands and numbers for the derivatives by them; it has no rule."""
    return Op("given", _no_rule, _no_rule, arity, 0, (REAL,) * arity, "given", CALL, _call_in_latex("given", arity))


def has_rule(op: Op) -> bool:
    """Return True if the op declares its value and its derivatives, as every op but `given_op` does."""
    return op.partials is not _no_rule


def _no_rule(z: Any, *_operands: Any) -> Any:
    raise without_rule(z)


def without_rule(node: Any) -> TypeError:
    """Return the error to raise where a rule is needed, and the node has only numbers for its derivatives."""
    label = getattr(node, "label", "")
    return TypeError(
        f"{label or 'a node on the way'} was made by Value(data, children, local_grads): it has numbers for its "
        "derivatives and no rule, so it cannot be differentiated twice, traced, compiled or checked. Declare its "
        "operation by microgrid.primitive(name, forward, partials), or compute it with operators and functions of "
        "microgrid"
    )


def as_float(x: Any) -> float:
    """Return a real number as a float. Raises TypeError for everything else.

    int, bool, NumPy scalars and zero-dimensional arrays are numbers; str, None, complex and arrays are not.
    """
    if type(x) is float:
        return x
    if isinstance(x, (float, int)):
        return _float_of(x)
    if isinstance(x, (str, bytes)):
        raise TypeError(f"expected a number, got the string {one_line(x)}; convert it yourself: float({one_line(x)})")
    if getattr(x, "ndim", 0):
        raise TypeError(f"expected a number, got an array of shape {x.shape}; use one Value for each element")
    dtype = getattr(x, "dtype", None)  # NumPy's, PyTorch's; float() would drop an imaginary part, and read a text
    kind = getattr(dtype, "kind", "")
    if isinstance(x, complex) or kind == "c" or getattr(dtype, "is_complex", False):
        raise TypeError(
            f"expected a real number, got the complex {one_line(x)}; record its real and imaginary parts apart"
        )
    if hasattr(x, "_apply_op"):
        raise TypeError("expected a number, got a Value; use it as it is, or v.data for its number")
    if not hasattr(x, "__float__"):
        raise TypeError(f"expected a number, got {type(x).__name__} ({one_line(x)})")
    if kind and getattr(x, "mask", False):
        raise TypeError("expected a number, got a masked one, which NumPy makes nan: leave it out or fill it in")
    if kind and kind in "OSU":
        return as_float(x.item())  # convert the element, or refuse it
    if kind and kind in "mM":
        raise TypeError(f"expected a number, got the time {x!r}; divide a span of time by a unit")
    return float(x)


def _float_of(x: Any) -> float:
    """Return float(x), with an error that tells how large a whole number is too large."""
    try:
        return float(x)
    except OverflowError:
        raise OverflowError(f"a whole number of {x.bit_length()} bits is beyond the largest float, 1.8e308") from None


def _call_in_latex(name: str, arity: int) -> str:
    arguments = ", ".join(f"#{i + 1}" for i in range(arity))
    return rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}\left({arguments}\right)"
