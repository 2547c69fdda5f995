"""Polynomials in the counters of loops: cells of a tape, and numbers of iterations.

They are sums of products of binomial coefficients, whose factors are whole numbers wherever their values are: so the
index in a packed triangle, i (i - 1) / 2 + j, is C(i, 2) + C(j, 1).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Powers = tuple[tuple[int, int], ...]
"""A product of binomial coefficients C(counter, degree), the outermost counter first."""


class Poly(NamedTuple):
    """base + coefficient * product + ..., where no coefficient is 0."""

    base: int
    terms: tuple[tuple[Powers, int], ...] = ()

    @property
    def counters(self) -> tuple[int, ...]:
        """Return the counters that occur, outermost first."""
        return tuple(sorted({counter for powers, _ in self.terms for counter, _ in powers}))

    def at(self, counter: int, value: int | Poly) -> Poly:
        """Return the polynomial with a number, or a polynomial of degree 1, substituted for a counter."""
        if not any(counter == own for powers, _ in self.terms for own, _ in powers):
            return self
        found: dict[Powers, int] = {(): self.base}
        for powers, coefficient in self.terms:
            degree = dict(powers).get(counter, 0)
            if not degree:
                found[powers] = found.get(powers, 0) + coefficient
                continue
            rest = tuple([power for power in powers if power[0] != counter])
            for more, factor in _binomial(Poly(value) if isinstance(value, int) else value, degree).items():
                for product, times in _product(rest, more):
                    found[product] = found.get(product, 0) + coefficient * factor * times
        return polynomial(found.items())

    def shifted(self, counter: int, by: int) -> Poly:
        """Return the polynomial of a counter plus a number."""
        return self.at(counter, Poly(by, ((((counter, 1),), 1),)))

    def plus(self, other: int | Poly, times: int = 1) -> Poly:
        """Return the sum with a number, or with so many times a polynomial."""
        if isinstance(other, int):
            return Poly(self.base + times * other, self.terms)
        found = dict(self.terms)
        for powers, coefficient in other.terms:
            found[powers] = found.get(powers, 0) + times * coefficient
        return polynomial([((), self.base + times * other.base), *found.items()])

    def step(self, counter: int) -> Poly:
        """Return the difference to the polynomial of the next counter."""
        return self.shifted(counter, 1).plus(self, -1)

    def values(self, at: Mapping[int, Any]) -> Any:
        """Return the value for numbers, or arrays of them, in place of counters."""
        total: Any = self.base
        for powers, coefficient in self.terms:
            term: Any = coefficient
            for counter, degree in powers:
                term = term * binomial(at[counter], degree)
            total = total + term
        return total

    def products(self) -> list[tuple[int, tuple[tuple[int, int], ...], int]]:
        """Return the terms as (number, factors, divisor): the number times all (counter - shift), divided."""
        found = []
        for powers, coefficient in self.terms:
            divisor = math.prod([math.factorial(degree) for _, degree in powers])
            common = math.gcd(coefficient, divisor)
            factors = tuple([(counter, shift) for counter, degree in powers for shift in range(degree)])
            found.append((coefficient // common, factors, divisor // common))
        return found

    def __str__(self) -> str:
        products = self.products()
        rising = [_text(number, factors, divisor) for number, factors, divisor in products if number > 0]
        falling = [f"- {_text(-number, factors, divisor)}" for number, factors, divisor in products if number < 0]
        terms = rising + ([str(self.base)] if self.base or not rising else [])
        return " ".join([" + ".join(terms).replace("+ -", "- "), *falling])


def polynomial(terms: Iterable[tuple[Powers, int]]) -> Poly:
    """Return a polynomial of terms, each of another product; that of no factors is the base."""
    found = {powers: coefficient for powers, coefficient in terms if coefficient}
    base = found.pop((), 0)
    return Poly(base, tuple(sorted(found.items())))


def linear(base: int, steps: Iterable[tuple[int, int]]) -> Poly:
    """Return base + step * counter + ..."""
    return polynomial([((), base), *[(((counter, 1),), step) for counter, step in steps]])


def binomial(n: Any, degree: int) -> Any:
    """Return n (n - 1) ... / degree!, for negative n, too, and for an array of them."""
    product = n if degree else 1
    for k in range(1, degree):
        product = product * (n - k)
    return product // math.factorial(degree) if degree > 1 else product


def name(counter: int) -> str:
    """Return the name of a counter."""
    letters = "ijklmn"
    return letters[counter % 6] + (str(counter // 6) if counter >= 6 else "")


def _text(number: int, factors: tuple[tuple[int, int], ...], divisor: int) -> str:
    texts = [f"({name(counter)} - {shift})" if shift else name(counter) for counter, shift in factors]
    return " ".join(([str(number)] if number != 1 else []) + texts) + (f"/{divisor}" if divisor > 1 else "")


@functools.lru_cache(maxsize=4096)
def _binomial(value: Poly, degree: int) -> dict[Powers, int]:
    """Return C(value, degree) for a value of degree 1, by Vandermonde's convolution over its terms."""
    parts: list[dict[Powers, int]] = [{(): binomial(value.base, e)} for e in range(degree + 1)]
    for powers, step in value.terms:
        ((counter, _),) = powers
        multiples = [_multiple(step, e) for e in range(degree + 1)]
        sums: list[dict[Powers, int]] = [{} for _ in parts]
        for e, part in enumerate(parts):
            for own, coefficient in part.items():
                for f in range(degree + 1 - e):
                    for g, factor in enumerate(multiples[f]):
                        product = tuple(sorted((*own, (counter, g)))) if g else own
                        sums[e + f][product] = sums[e + f].get(product, 0) + coefficient * factor
        parts = sums
    return {powers: coefficient for powers, coefficient in parts[degree].items() if coefficient}


def _multiple(step: int, degree: int) -> list[int]:
    """Return the coefficients of C(step n, degree) in C(n, 0), C(n, 1), ...: its differences at 0."""
    row = [binomial(step * n, degree) for n in range(degree + 1)]
    found = []
    while row:
        found.append(row[0])
        row = [b - a for a, b in itertools.pairwise(row)]
    return found


def _product(first: Powers, second: Powers) -> list[tuple[Powers, int]]:
    """Return a product of two products: C(n, e) C(n, f) is the sum of C(k, e) C(e, k - f) C(n, k)."""
    ours, theirs = dict(first), dict(second)
    found: list[tuple[dict[int, int], int]] = [({}, 1)]
    for counter in sorted({*ours, *theirs}):
        e, f = ours.get(counter, 0), theirs.get(counter, 0)
        found = [
            ({**powers, counter: k}, coefficient * math.comb(k, e) * math.comb(e, k - f))
            for powers, coefficient in found
            for k in range(max(e, f), e + f + 1)
        ]
    return [(tuple(powers.items()), coefficient) for powers, coefficient in found]


def interpolated(np: Any, at: Mapping[int, Any], values: Any) -> Poly | None:
    """Return the polynomial, of the lowest total degree up to 3, with these values for these arrays of counters; None
    where there is none."""
    counters = sorted(at)
    if not counters:
        return Poly(int(values[0])) if (values == values[0]).all() else None
    near = np.ones(len(values), dtype=bool)  # the points that a polynomial of degree 3 needs are among these
    for counter in counters:
        near &= at[counter] <= at[counter].min() + 4
    near = np.flatnonzero(near)
    sample = {counter: at[counter][near] for counter in counters}
    for degree in (1, 2, 3):
        every: list[Powers] = [
            tuple([(c, e) for c, e in zip(counters, degrees, strict=True) if e])
            for degrees in itertools.product(range(degree + 1), repeat=len(counters))
            if sum(degrees) <= degree
        ]
        columns = [np.broadcast_to(Poly(0, ((powers, 1),)).values(sample), (len(near),)) for powers in every]
        solved, *_ = np.linalg.lstsq(np.stack(columns, axis=1).astype(float), values[near].astype(float), rcond=None)
        found = polynomial([(powers, round(x)) for powers, x in zip(every, solved.tolist(), strict=True)])
        if (found.values(at) == values).all():
            return found
    return None
