"""Reductions of many values: `sum`, `dot`, `norm`, `max`, `logsumexp`, `softmax` and their like.

Each takes an iterable of `Value`s and numbers. Numbers alone give a number. The derivatives hold at ties and at zeros.
Nothing over- or underflows on the way to `norm`, `logsumexp` and `softmax`; the sums and products of the others may,
the sum in `mean` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from microgrid import ops
from microgrid.core.primitive import Op, as_float
from microgrid.core.value_arrays import list_functions

Numbers = Iterable[Any]


def sum(xs: Numbers) -> Any:
    """Return x1 + x2 + ..., from the left; 0.0 for an empty list.

    >>> sum([1.0, 2.0, 3.0])
    6.0
    """
    return _from_the_left(ops.add, _list(xs, "sum"), 0.0)


def prod(xs: Numbers) -> Any:
    """Return x1 * x2 * ..., from the left; 1.0 for an empty list. A zero leaves the derivatives by the others exact.

    >>> prod([2.0, 3.0, 4.0])
    24.0
    """
    return _from_the_left(ops.mul, _list(xs, "prod"), 1.0)


def mean(xs: Numbers) -> Any:
    """Return the sum divided by the count. Raises ValueError for an empty list.

    >>> mean([1.0, 2.0, 6.0])
    3.0
    """
    xs = _list(xs, "mean", at_least=1)
    return ops.div(sum(xs), float(len(xs)))


def var(xs: Numbers, *, ddof: int = 0) -> Any:
    """Return the mean square of the deviations from the mean; with ddof=1 divided by n - 1, as an estimate from a
    sample.

    For equal numbers whose sum is finite it is 0, with derivatives 0. Raises ValueError for ddof numbers or fewer.

    >>> var([1.0, 3.0]), var([1.0, 3.0], ddof=1)
    (1.0, 2.0)
    """
    deviations, n = _deviations(xs, "var", ddof)
    return ops.div(sum([ops.mul(d, d) for d in deviations]), n)


def std(xs: Numbers, *, ddof: int = 0) -> Any:
    """Return the root of the variance; for equal numbers whose sum is finite it is 0, with derivatives 0.

    Raises ValueError as `var` does.

    >>> std([1.0, 3.0])
    1.0
    """
    deviations, n = _deviations(xs, "std", ddof)
    return ops.div(norm(deviations), ops.sqrt(n))


def _deviations(xs: Numbers, name: str, ddof: int) -> tuple[list[Any], float]:
    deviations = _list(xs, name, at_least=ddof + 1)
    for _ in range(2):  # the mean of three times 0.1 is an ulp off; the second mean removes the rest
        middle = mean(deviations)
        deviations = [ops.sub(d, middle) for d in deviations]
    return deviations, float(len(deviations) - ddof)


def dot(xs: Numbers, ys: Numbers) -> Any:
    """Return x1 * y1 + x2 * y2 + .... Raises ValueError when the lengths differ.

    >>> dot([1.0, 2.0], [3.0, 4.0])
    11.0
    """
    xs, ys = _list(xs, "dot"), _list(ys, "dot")
    if len(xs) != len(ys):
        raise ValueError(f"dot takes as many numbers on the left as on the right, got {len(xs)} and {len(ys)}")
    return sum([ops.mul(x, y) for x, y in zip(xs, ys, strict=True)])


def norm(xs: Numbers) -> Any:
    """Return the Euclidean norm; 0, with derivatives 0, for zeros and for an empty list.

    >>> norm([3.0, 4.0])
    5.0
    """
    xs = _list(xs, "norm")
    return _pairwise(ops.hypot, xs) if len(xs) > 1 else _from_the_left(ops.hypot, [ops.abs(x) for x in xs], 0.0)


def max(xs: Numbers) -> Any:
    """Return the largest number; k that are equally large share the derivative, 1/k each. Raises ValueError for none.

    >>> from microgrid import grad
    >>> max([1.0, 3.0, 2.0]), grad(max)([3.0, 1.0, 3.0])
    (3.0, [0.5, 0.0, 0.5])
    """
    xs = _list(xs, "max", at_least=1)
    if len(xs) == 2:
        return ops.maximum(*xs)
    largest, count = xs[0], 1.0
    for x in xs[1:]:
        before = largest
        largest = ops.tied_maximum(before, x, count)
        tied = ops.where(ops.equal(before, x), ops.add(count, 1.0), 1.0)
        count = ops.where(ops.greater(before, x), count, tied)
    return largest


def min(xs: Numbers) -> Any:
    """Return the smallest number; k that are equally small share the derivative, 1/k each. Raises ValueError for none.

    >>> min([1.0, 3.0, 2.0])
    1.0
    """
    return ops.neg(max([ops.neg(x) for x in _list(xs, "min", at_least=1)]))


def logsumexp(xs: Numbers) -> Any:
    """Return log(exp(x1) + exp(x2) + ...); -inf for an empty list. The derivatives are the softmax.

    >>> round(logsumexp([1000.0, 1000.0]), 4)
    1000.6931
    """
    xs = _list(xs, "logsumexp")
    if len(xs) < 2:
        return xs[0] if xs else float("-inf")
    scale, exponentials = shifted_exponentials(xs)
    total = sum(exponentials)
    # If each is -inf, so is the result, and there is no softmax: (-1)**n is 1 or -1, and its derivatives are nan.
    shift = ops.where(ops.equal(scale, float("-inf")), ops.power(-1.0, total), ops.log(total))
    return ops.add(scale, shift)


def softmax(xs: Numbers) -> list[Any]:
    """Return exp(xi) divided by the sum of all exp(xj), a list.

    >>> [round(p, 4) for p in softmax([1.0, 2.0, 3.0])]
    [0.09, 0.2447, 0.6652]
    """
    xs = _list(xs, "softmax")
    if not xs:
        return []
    _, exponentials = shifted_exponentials(xs)
    total = sum(exponentials)
    return [ops.div(e, total) for e in exponentials]


def log_softmax(xs: Numbers) -> list[Any]:
    """Return the logarithms of the softmax, a list.

    >>> [round(x, 4) for x in log_softmax([1.0, 2.0, 3.0])]
    [-2.4076, -1.4076, -0.4076]
    """
    xs = _list(xs, "log_softmax")
    if not xs:
        return []
    scale, exponentials = shifted_exponentials(xs)
    logarithm = ops.log(sum(exponentials))
    return [ops.sub(ops.sub(x, scale), logarithm) for x in xs]


def glu(xs: Numbers) -> list[Any]:
    """Return the first half times the sigmoid of the second, a list of half the length (Dauphin et al. 2017, eq. 1).

    Raises ValueError for an odd length.

    >>> glu([3.0, 0.0])
    [1.5]
    """
    xs = _list(xs, "glu")
    half, rest = divmod(len(xs), 2)
    if rest:
        raise ValueError(f"glu takes an even number of numbers, got {len(xs)}: values, then as many gates")
    return [ops.mul(x, ops.sigmoid(gate)) for x, gate in zip(xs[:half], xs[half:], strict=True)]


def shifted_exponentials(xs: list[Any]) -> tuple[Any, list[Any]]:
    """Return a number near the logsumexp, and exp(xi - it) for each: their sum is near 1, and no shift is lost in it.

    What is made of both must not depend on the number: the derivatives take it for a constant. It is the logsumexp
    itself, up to rounding, and not the largest, which has kinks; from the left, so that lists that grow, as in
    attention, are loops when compiled.
    """
    scale = ops.stop_gradient(_from_the_left(ops.logaddexp, xs, 0.0))
    return scale, [ops.shifted_exp(x, scale) for x in xs]


def _list(xs: Numbers, name: str, at_least: int = 0) -> list[Any]:
    if hasattr(xs, "_apply_op") or not hasattr(xs, "__iter__"):
        raise TypeError(f"{name} takes a list, or another iterable, of numbers and Values, got {xs!r}")
    numbers = [x if hasattr(x, "_apply_op") else as_float(x) for x in xs]
    if len(numbers) < at_least:
        raise ValueError(f"{name} takes at least {at_least} number(s), got {len(numbers)}")
    return numbers


def _from_the_left(op: Op, xs: list[Any], of_none: float) -> Any:
    if not xs:
        return of_none
    total = xs[0]
    for x in xs[1:]:
        # what the op would find out for each: a quarter of the time of a sum of 27 Values
        total = total._apply_op(op, (total, x)) if hasattr(total, "_apply_op") else op(total, x)
    return total


def _pairwise(op: Callable[..., Any], xs: list[Any]) -> Any:
    """Reduce in pairs, so that errors grow with the logarithm of the count."""
    while len(xs) > 1:
        xs = [op(*xs[i : i + 2]) if i + 1 < len(xs) else xs[i] for i in range(0, len(xs), 2)]
    return xs[0]


list_functions.update({"max": max, "min": min, "std": std, "norm": norm})
