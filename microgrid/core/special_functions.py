"""`special`, which declares an op of `microgrid.special`: computed by SciPy on floats, or in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core.natives import SCIPY, on_floats, scipy_special
from microgrid.core.primitive import Interval, Op, declared_in, primitive, special_ops

Function = Callable[..., Any]


def special(
    name: str,
    forward: Function | None,
    partials: Callable[..., tuple[Any, ...]],
    *,
    scipy: str | None = None,
    order: Sequence[int] = (),
    mpmath: str | Function | None = None,
    acb: str | Function | None = None,
    static: int = 0,
    domain: Sequence[Interval] | None = None,
    formula: Function | None = None,
    ulps: float = 8.0,
    sensitive: bool = False,
    textbook: Sequence[str] = (),
    symbol: str | None = None,
    on: dict[str, Any] | None = None,
) -> Op:
    """Declare an op that loads when used: it is in no list of ops, so that a person may give its name to one of theirs.

    `scipy` names the function of SciPy that computes floats, whole arrays, and machine code, which takes the operands
    in this `order`; `forward` takes its place where a Python function computes floats. `mpmath` is the name of
    mpmath's function, or a function that is given mpmath's context first; `acb` that of python-flint's complex balls,
    of which the real ones follow.
    """
    natives = dict(on or {})
    if mpmath is not None:
        natives["mpmath"] = _on_mpmath(mpmath)
    if acb is not None:
        natives["flint complex"] = acb
        natives["flint"] = _on_real_balls(acb)
    if scipy is not None:
        natives["numpy"] = _on_arrays(scipy, tuple(order))
    with declared_in(special_ops):
        op = primitive(
            name,
            forward if scipy is None else _by_scipy(scipy, tuple(order)),
            partials,
            static=static,
            domain=domain,
            formula=formula,
            ulps=ulps,
            sensitive=sensitive,
            textbook=textbook,
            symbol=symbol,
            irrational=True,
            on=natives,
        )
    if scipy is not None:
        op.on[SCIPY] = scipy, tuple(order) or tuple(range(op.arity))
    return op


def _by_scipy(name: str, order: tuple[int, ...]) -> Function:
    found: list[Function] = []

    def forward(*xs: Any) -> Any:
        if not found:
            found.append(on_floats(name))
        return found[0](*[xs[i] for i in order] if order else xs)

    return forward


def _on_arrays(name: str, order: tuple[int, ...]) -> Function:
    return lambda *xs: getattr(scipy_special(), name)(*[xs[i] for i in order] if order else xs)


def _on_mpmath(function: str | Function) -> Function:
    def computed(*xs: Any) -> Any:
        from mpmath import mp

        return getattr(mp, function)(*xs) if isinstance(function, str) else function(mp, *xs)

    return computed


def _on_real_balls(function: str | Function) -> Function:
    def computed(x: Any, *others: Any) -> Any:
        from flint import acb, arb

        xs = [acb(x), *[acb(y) if isinstance(y, arb) else y for y in others]]
        result = getattr(xs[0], function)(*xs[1:]) if isinstance(function, str) else function(*xs)
        return result.real if result.imag.contains(0) else arb.nan()

    return computed
