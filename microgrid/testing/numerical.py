"""Numerical derivatives of a program along one input, enclosed with a proof where possible.

Only forward values are used, and no rule of differentiation.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from microgrid.core.packages import install, library
from microgrid.numbers.arithmetic import UnknownFunction
from microgrid.numbers.complex_balls import complex_balls
from microgrid.numbers.infinitesimals import Infinitesimal, NotExact, infinitesimals
from microgrid.numbers.mpmath_numbers import mpmath_numbers
from microgrid.program import Program
from microgrid.testing.enclosure import LARGEST, ends, fraction_of_mpf, narrower
from microgrid.testing.subject import Subject

Reference = Literal["auto", "flint", "exact", "mpmath", "floats"]
Evidence = Literal["certified", "exact", "50 digits", "floats", "none"]

BITS = (900, 2000, 4500)
"""Precisions of the arithmetic in bits; more where they leave the derivative open. The step is h = R / 2**(bits / 3).
"""

RUNGS = ((16, 120), (120, 800), (300, 1600), (600, 3000))
"""Pairs (digits of the first step, digits of the arithmetic): a slope counts once two rungs agree on it."""


class Derivative(NamedTuple):
    """An enclosure of a derivative: exact bounds low and high, and the evidence for them.

    At a kink there is no derivative but two slopes, `left` and `right`, and `reason` says so.

    >>> slope = derivative(lambda x: x * x, 3.0)
    >>> slope.evidence, float(slope.middle), 6.0 in slope
    ('certified', 6.0, True)
    """

    evidence: Evidence
    low: Fraction | None
    high: Fraction | None
    left: Fraction | None = None
    right: Fraction | None = None
    reason: str = ""

    @property
    def middle(self) -> Fraction | None:
        """Midpoint of the enclosure."""
        return None if self.low is None or self.high is None else (self.low + self.high) / 2

    @property
    def radius(self) -> Fraction | None:
        """Half the width of the enclosure."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def __contains__(self, x: object) -> bool:
        """Return True if a number is in the enclosure."""
        if self.low is None or self.high is None or not isinstance(x, (int, float, Fraction)):
            return False
        return math.isfinite(x) and self.low <= Fraction(x) <= self.high


def derivative(
    function: Program | Callable[..., Any], *at: Any, along: int = 0, reference: Reference = "auto"
) -> Derivative:
    """Return the derivative of a scalar program or function at a point, along the input of this number.

    The inputs are counted through nested arguments, in order. "flint" encloses it by Cauchy's estimate on complex balls
    (python-flint), "exact" computes it in fractions, where the ops are rational, "mpmath" to some 50 digits without a
    proof, "floats" roughly. "auto" takes the best there is, and at a kink gives the slopes from both sides.

    >>> d = derivative(lambda x: x * x, 3.0)
    >>> d.evidence, float(d.middle)
    ('certified', 6.0)
    """
    return derivative_of(Subject(function, at), along, reference)


def derivative_of(subject: Subject, along: int, reference: Reference = "auto") -> Derivative:
    """Return the derivative of a function at a point, along its input of this number."""
    if not 0 <= along < len(subject.numbers):
        raise ValueError(f"along={along}, but there are {len(subject.numbers)} input(s)")
    if reference not in ("auto", "floats", *_METHODS):
        raise ValueError(f"reference must be one of auto, {', '.join(_METHODS)}, floats, got {reference!r}")
    if not all(map(math.isfinite, subject.numbers)):
        return Derivative("none", None, None, reason="an input is not finite")
    blind = subject.blind
    if subject.program is not None and not blind and reference != "floats":
        try:
            if reference != "auto":
                return _METHODS[reference](subject.program, subject.numbers, along)
            return _best(subject.program, subject.numbers, along)
        except UnknownFunction as error:
            blind = str(error)
    found = ladder(subject.along(along), subject.numbers[along])
    return found._replace(reason=f"{found.reason}: {blind}") if blind else found


def _best(program: Program, at: Sequence[float], along: int) -> Derivative:
    found = _by_balls(program, at, along) if importlib.util.find_spec("flint") else None
    if found is not None and found.evidence != "none":
        return found
    exact = _exactly(program, at, along)
    if exact.evidence != "none" or exact.reason == "a jump":
        return exact
    if importlib.util.find_spec("mpmath"):
        return _by_digits(program, at, along)
    if found is not None:
        return found
    weak = ladder(lambda x: float(program.replay([x if i == along else y for i, y in enumerate(at)])[0]), at[along])
    return weak._replace(reason=f"{weak.reason}; for a proof: {install('check')}")


# --- by Cauchy's estimate ------------------------------------------------------------------------------------------


def _by_balls(program: Program, at: Sequence[float], along: int) -> Derivative:
    """f'(x) = (f(x + h) - f(x - h)) / 2h up to h**2 / 6 times the largest |f'''| between, which M bounds.

    With |f| <= M on the disc of radius R, |f'''| <= 6 M / (R - h)**3 on [x - h, x + h].
    """
    flint = library("flint", "check")
    found, enclosed = None, None
    for bits in BITS:
        with flint.ctx.workprec(bits):
            found = _narrowest(program, at, along, bits, 1 if found is None else found[1])
            if found is None:
                break
            ball = found[0]
            enclosed = narrower(enclosed, ends(ball))
            if ball.rad() <= abs(ball.mid()) * flint.arb(2) ** -100 or ball.rad() <= flint.arb(2) ** -1080:
                break  # narrow enough for floats
    if enclosed is not None:
        return Derivative("certified", *enclosed)
    if found is None:
        return Derivative("none", None, None, reason="a kink, a jump or an edge of the domain")
    return Derivative("none", None, None, reason="numbers of thousands of digits before the point")


def _narrowest(program: Program, at: Sequence[float], along: int, bits: int, first: int) -> tuple[Any, int] | None:
    """Return the narrowest ball over the radii R from |x| / 2**first on, and the exponent of its radius."""
    flint = library("flint", "check")
    acb, arb = flint.acb, flint.arb
    arithmetic = complex_balls()

    def value(x: Any) -> Any:
        return program.replay([x if i == along else acb(y) for i, y in enumerate(at)], arithmetic)[0]

    best: tuple[Any, int] | None = None
    x = acb(at[along])
    size = abs(arb(at[along])) if at[along] else arb(1)
    for j in range(first, bits * 2 // 9, 3):
        radius = size * arb(2) ** -j
        bound = value(acb(arb(at[along], radius), arb(0, radius)))
        if not bound.is_finite():
            continue
        most = abs(bound).upper()
        flat = (bound.real.rad() + bound.imag.rad()) / radius
        if flat <= most / radius * arb(2) ** -(bits // 2):
            return arb(0, flat.upper()), j  # |f'| <= |f - c| / R: a slope of 0, or one that takes more bits
        h = size * arb(2) ** -(j + bits // 3)
        difference = ((value(x + h) - value(x - h)) / (2 * h)).real
        enclosure = difference + arb(0, (most * h * h / (radius - h) ** 3).upper())
        if not enclosure.is_finite():
            continue
        if best is not None and enclosure.rad() >= best[0].rad():
            break  # by Hadamard's three circles theorem, M / R has no second valley
        best = enclosure, j
        if best[0].rad() <= abs(best[0].mid()) * arb(2) ** -100:
            break
    return best


# --- by exact infinitesimals ---------------------------------------------------------------------------------------


def _exactly(program: Program, at: Sequence[float], along: int) -> Derivative:
    slopes: list[Fraction] = []
    values: list[Fraction] = []
    try:
        for side in (-1, 0, 1):
            point = [Infinitesimal(Fraction(x), Fraction(side and i == along), side) for i, x in enumerate(at)]
            (result,) = program.replay(point, infinitesimals(side))
            values.append(result.a)
            slopes.append(result.b)
    except (NotExact, TypeError) as error:
        return Derivative("none", None, None, reason=f"not exact: {error}")
    left, _, right = slopes
    if len(set(values)) > 1:
        return Derivative("none", None, None, reason="a jump")
    if left != right:
        return Derivative("exact", None, None, left, right, "a kink")
    return Derivative("exact", left, right)


# --- to fifty digits -----------------------------------------------------------------------------------------------


def _by_digits(program: Program, at: Sequence[float], along: int) -> Derivative:
    """Return the slopes from both sides, or the reason for none, on which two rungs agree: one may miss finer
    structure.

    Steps of 1e-16 alone take sin(1e18 x) for a kink, and 136 digits alone take (1e200 + x) - 1e200 for a constant.
    """
    rougher = None
    for step, digits in RUNGS:
        found = _rung(program, at, along, step, digits)
        if rougher is not None and _agree(rougher, found):
            return found
        rougher = found
    return Derivative("none", None, None, reason=f"a function that varies faster than {RUNGS[-1][0]} digits resolve")


def _agree(rougher: Derivative, finer: Derivative) -> bool:
    """Return True if the finer result is of the same kind as the rougher, with numbers equal to 18 digits."""
    if rougher.evidence != finer.evidence or rougher.reason != finer.reason:
        return False
    if finer.low is None or finer.high is None:
        pairs = [(a, b) for a, b in zip(rougher[3:5], finer[3:5], strict=True) if a is not None and b is not None]
        return all(abs(a - b) <= max(abs(a), abs(b)) / 10**18 + Fraction(1, 10**60) for a, b in pairs)
    if rougher.low is None or rougher.high is None:
        return False
    slack = max(abs(finer.low), abs(finer.high)) / 10**18
    narrow = rougher.high - rougher.low <= max(slack, Fraction(1, 10**30))
    return narrow and rougher.low - slack <= finer.low and finer.high <= rougher.high + slack


def _rung(program: Program, at: Sequence[float], along: int, step: int, digits: int) -> Derivative:
    """Return slopes from both sides, by differences extrapolated over three halvings."""
    mp = library("mpmath", "check").mp
    arithmetic = mpmath_numbers()
    size = abs(at[along]) or 1.0
    digits += 2 * max(0, -int(math.log10(size)))  # the differences of the square of a small input must not vanish

    with mp.workdps(digits):

        def value(x: Any) -> Any:
            return program.replay([x if i == along else mp.mpf(y) for i, y in enumerate(at)], arithmetic)[0]

        x = mp.mpf(at[along])
        here = value(x)
        sides, unsettled = [], mp.zero
        for side in (-1, 1):
            table = []
            for k in range(4):
                h = side * mp.mpf(size) * mp.mpf(10) ** -step / 2**k
                table.append((value(x + h) - here) / h)
            growth = [abs(b / a) if a else mp.zero for a, b in itertools.pairwise(table)]
            if max(growth) < 1.05 * min(growth):  # otherwise the steps are too large
                if 1.9 < growth[-1] < 2.1:  # as 1 / h does
                    return Derivative("none", None, None, reason="a jump")
                if min(growth) > 1.001:  # such as the slopes of cbrt and x log x
                    return Derivative("none", None, None, reason="a slope that grows without bound")
            for order in range(1, 4):
                before = table
                table = [(2**order * b - a) / (2**order - 1) for a, b in itertools.pairwise(table)]
            sides.append(table[0])
            unsettled = max(unsettled, abs(table[0] - before[1]))
        if not all(mp.isfinite(slope) for slope in sides):
            return Derivative("none", None, None, reason="an edge of the domain")
        if any(mp.mag(number) > LARGEST for number in (here, *sides)):
            return Derivative("none", None, None, reason="numbers of thousands of digits before the point")
        left, right = sides
        noise = mp.eps * (abs(here) + 1) / size * mp.mpf(10) ** (step + 4)
        radius = abs(left - right) + unsettled + mp.mpf(10) ** -45 * abs(left) + noise
        if abs(left - right) > max(10 * noise, unsettled, mp.mpf(10) ** -18 * max(abs(left), abs(right))):
            return Derivative("50 digits", None, None, fraction_of_mpf(left), fraction_of_mpf(right), "a kink")
        middle = (left + right) / 2
        return Derivative("50 digits", fraction_of_mpf(middle - radius), fraction_of_mpf(middle + radius))


_METHODS = {"flint": _by_balls, "exact": _exactly, "mpmath": _by_digits}


# --- on floats only ------------------------------------------------------------------------------------------------


TINY, LOST = 2.0**-20, 2.0**-900
"""Sizes of a point: below TINY, steps of size 1 are tried, too, since exp(x) - 1 may not resolve its own; below LOST
only those."""


def ladder(f: Callable[[float], float], x: float) -> Derivative:
    """Extrapolate differences over steps from large to small; the two neighbours that agree best give the error.

    They are central where those from both sides agree; else there is a kink, as far as floats can tell.
    """
    if abs(x) >= TINY:
        return _ladder(f, x, abs(x))
    wide = _ladder(f, x, 1.0)
    if abs(x) <= LOST:
        return wide
    close = _ladder(f, x, abs(x))
    if close.low is None or close.high is None:
        return wide if close.evidence == "none" else close
    ends = [close.low, close.high, *(end for end in (wide.low, wide.high, wide.left, wide.right) if end is not None)]
    return close._replace(low=min(ends), high=max(ends))


def _ladder(f: Callable[[float], float], x: float, size: float) -> Derivative:
    here = f(x)
    sides: list[list[tuple[float, float]]] = [[], [], []]
    for k in range(4, 40, 2):
        h = size * 2.0**-k
        down, up = x - h, x + h
        below, above = f(down), f(up)
        noise = 4.0 * math.ulp(max(abs(below), abs(here), abs(above))) / h
        differences = ((here - below) / (x - down), (above - here) / (up - x), (above - below) / (up - down))
        for side, slope in zip(sides, differences, strict=True):
            side.append((slope, noise))
    best = [_most_agreed(slopes) for slopes in sides]
    if best[2] is None:
        return Derivative("none", None, None, reason="an edge of the domain")
    slope, error = best[2]
    if best[0] is not None and best[1] is not None:
        (left, error_left), (right, error_right) = best[0], best[1]
        if abs(left - right) > 100.0 * (error_left + error_right) + 1e-3 * max(abs(left), abs(right)):
            return Derivative("floats", None, None, Fraction(left), Fraction(right), "a kink, on floats only")
    # a slope of exactly 0 may come from small steps alone, in which all digits cancel
    most = abs(slope) or max([abs(s) for side in sides for s, _ in side if math.isfinite(s)], default=0.0)
    width = Fraction(4.0 * error + 1e-9 * most)
    return Derivative("floats", Fraction(slope) - width, Fraction(slope) + width, reason="floats only")


def _most_agreed(slopes: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the mean of the two neighbours that agree best, and their error, which includes rounding of the values."""
    pairs = [
        ((a + b) / 2, abs(a - b) + max(noise_a, noise_b))
        for (a, noise_a), (b, noise_b) in itertools.pairwise(slopes)
        if math.isfinite(a - b) and math.isfinite(noise_a + noise_b)
    ]
    return min(pairs, key=lambda pair: pair[1]) if pairs else None
