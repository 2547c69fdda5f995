"""The numerical derivative of a program along one input, enclosed with a proof where there can be one.

Only forward values are used: what is found owes nothing to any rule of differentiation.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from microgrid import tree
from microgrid.arithmetic import exact_fraction, library, mpmath_numbers
from microgrid.program import Program, trace
from microgrid.testing.holomorphic import complex_balls
from microgrid.testing.infinitesimal import Infinitesimal, NotExact, infinitesimals

Reference = Literal["auto", "flint", "exact", "mpmath", "floats"]
Evidence = Literal["certified", "exact", "50 digits", "floats", "none"]

BITS, STEP, ENOUGH = 900, 300, 100
"""Of the arithmetic; of the step h = R / 2**300; of the derivative, relative to it, where the search stops."""


class Derivative(NamedTuple):
    """What is known of a derivative: it lies between low and high, which are exact; and what vouches for it.

    At a kink there is no derivative but two slopes, `left` and `right`, and `reason` says so.
    """

    evidence: Evidence
    low: Fraction | None
    high: Fraction | None
    left: Fraction | None = None
    right: Fraction | None = None
    reason: str = ""

    @property
    def middle(self) -> Fraction | None:
        """The middle of the enclosure."""
        return None if self.low is None or self.high is None else (self.low + self.high) / 2

    @property
    def radius(self) -> Fraction | None:
        """How far the derivative can be from the middle."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def __contains__(self, x: object) -> bool:
        """Whether a number is in the enclosure."""
        if self.low is None or self.high is None or not isinstance(x, (int, float, Fraction)):
            return False
        return math.isfinite(x) and self.low <= Fraction(x) <= self.high


def nearest_float(x: Fraction) -> float:
    """The float nearest to a fraction; inf beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def derivative(
    function: Program | Callable[..., Any], *at: Any, along: int = 0, reference: Reference = "auto"
) -> Derivative:
    """The derivative of a scalar program or function at a point, along the input of that number.

    The inputs are counted through nested arguments, in order. "flint" encloses it by Cauchy's estimate on complex balls
    (python-flint), "exact" computes it in fractions, where the ops are rational, "mpmath" to some 50 digits without a
    proof, "floats" roughly. "auto" takes the best there is, and at a kink gives the slopes from both sides.

    >>> d = derivative(lambda x: x * x, 3.0)
    >>> d.evidence, float(d.middle)
    ('certified', 6.0)
    """
    program = function if isinstance(function, Program) else trace(function)(*at)
    if program.out_structure != 0:
        raise TypeError("derivative takes a function of one result; choose one of them")
    numbers, structure = tree.flatten(at, lambda leaf, _: float(leaf), "at")
    if structure != program.in_structure:
        raise TypeError(f"the point is not structured like the arguments: {tree.shape(structure)}")
    if not 0 <= along < len(numbers):
        raise ValueError(f"along={along}, but there are {len(numbers)} input(s)")
    if not all(map(math.isfinite, numbers)):
        return Derivative("none", None, None, reason="an input is not finite")
    if reference == "auto":
        return _best(program, numbers, along)
    methods = {"flint": _by_balls, "exact": _exactly, "mpmath": _by_digits, "floats": _by_floats}
    if reference not in methods:
        raise ValueError(f"reference must be one of auto, {', '.join(methods)}, got {reference!r}")
    return methods[reference](program, numbers, along)


def _best(program: Program, at: Sequence[float], along: int) -> Derivative:
    found = _by_balls(program, at, along) if importlib.util.find_spec("flint") else None
    if found is None or found.evidence == "none":
        exact = _exactly(program, at, along)
        if exact.evidence != "none" or exact.reason == "a jump":
            return exact
        if importlib.util.find_spec("mpmath"):
            found = _by_digits(program, at, along)
    return found or _by_floats(program, at, along)


def at_a_tie(program: Program, at: Sequence[float]) -> bool:
    """Whether an op with kinks or jumps stands at one of them: where a billionth of an operand moves it elsewhere."""
    numbers = [*at, *program.constants]
    tied = False
    for op, operands in program.instructions:
        given = [numbers[i] for i in operands]
        here = op.forward(*given)
        numbers.append(here)
        if not (any(op.piecewise) or op.name in ("abs", "mod", "fmod", "copysign", "hypot", "softsign", "atan2")):
            continue
        for i, x in enumerate(given):
            for nudge in (-1e-9, 1e-9):
                moved = [*given]
                moved[i] = x + nudge * (abs(x) or 1.0)
                there = op.forward(*moved)
                slopes = zip(op.partials(here, *given), op.partials(there, *moved), strict=True)
                tied |= abs(there - here) > 1e-6 * (1.0 + abs(x)) or any(abs(a - b) > 1e-3 for a, b in slopes)
    return tied


# --- by Cauchy's estimate ------------------------------------------------------------------------------------------


def _by_balls(program: Program, at: Sequence[float], along: int) -> Derivative:
    """f'(x) = (f(x + h) - f(x - h)) / 2h up to h**2 / 6 times the largest |f'''| between, which M bounds.

    With |f| <= M on the disc of radius R, |f'''| <= 6 M / (R - h)**3 on [x - h, x + h].
    """
    flint = library("flint", "check")
    acb, arb = flint.acb, flint.arb
    arithmetic = complex_balls()

    def value(x: Any) -> Any:
        return program.replay([x if i == along else acb(y) for i, y in enumerate(at)], arithmetic)[0]

    best: tuple[Any, Any] | None = None
    with flint.ctx.workprec(BITS):
        x = acb(at[along])
        size = abs(arb(at[along])) if at[along] else arb(1)
        for j in range(1, 200, 3):
            radius = size * arb(2) ** -j
            box = acb(arb(at[along], radius), arb(0, radius))
            bound = value(box)
            if not bound.is_finite():
                continue
            most = abs(bound).upper()
            h = size * arb(2) ** -(j + STEP)
            difference = ((value(x + h) - value(x - h)) / (2 * h)).real
            rest = (most * h * h / (radius - h) ** 3).upper()
            enclosure = difference + arb(0, rest)
            if not enclosure.is_finite():
                continue
            if best is None or enclosure.rad() < best[1]:
                best = (enclosure, enclosure.rad())
            if enclosure.rad() <= abs(enclosure.mid()) * arb(2) ** -ENOUGH:
                break
        if best is None:
            return Derivative("none", None, None, reason="a kink, a jump or an edge of the domain")
        low, high = (exact_fraction(end) for end in (best[0].lower(), best[0].upper()))
    return Derivative("certified", low, high)


# --- by exact infinitesimals ---------------------------------------------------------------------------------------


def _exactly(program: Program, at: Sequence[float], along: int) -> Derivative:
    slopes: list[Fraction] = []
    values: list[Fraction] = []
    try:
        for side in (-1, 1):
            point = [Infinitesimal(Fraction(x), Fraction(int(i == along)), side) for i, x in enumerate(at)]
            (result,) = program.replay(point, infinitesimals(side))
            values.append(result.a)
            slopes.append(result.b)
    except (NotExact, TypeError) as error:
        return Derivative("none", None, None, reason=f"not exact: {error}")
    left, right = slopes
    if values[0] != values[1]:
        return Derivative("none", None, None, reason="a jump")
    if left != right:
        return Derivative("exact", None, None, left, right, "a kink")
    return Derivative("exact", left, right)


# --- to fifty digits -----------------------------------------------------------------------------------------------


def _by_digits(program: Program, at: Sequence[float], along: int) -> Derivative:
    """Slopes from both sides, by differences extrapolated over three halvings."""
    mp = library("mpmath", "check").mp
    arithmetic = mpmath_numbers()
    size = abs(at[along]) or 1.0
    digits = 120 + 2 * max(0, -int(math.log10(size)))  # differences of the square of a small input must show

    with mp.workdps(digits):

        def value(x: Any) -> Any:
            return program.replay([x if i == along else mp.mpf(y) for i, y in enumerate(at)], arithmetic)[0]

        x = mp.mpf(at[along])
        here = value(x)
        sides = []
        for side in (-1, 1):
            table = []
            for k in range(4):
                h = side * mp.mpf(size) * mp.mpf(10) ** -16 / 2**k
                table.append((value(x + h) - here) / h)
            if abs(table[3]) > 1.9 * abs(table[2]) > 3.6 * abs(table[1]):  # as 1 / h does
                return Derivative("none", None, None, reason="a jump")
            for order in range(1, 4):
                table = [(2**order * b - a) / (2**order - 1) for a, b in itertools.pairwise(table)]
            sides.append(table[0])
        if not all(mp.isfinite(slope) for slope in sides):
            return Derivative("none", None, None, reason="an edge of the domain")
        left, right = sides
        noise = mp.eps * (abs(here) + 1) / size * mp.mpf(10) ** 20
        radius = abs(left - right) + mp.mpf(10) ** -45 * abs(left) + noise
        if abs(left - right) > max(10 * noise, mp.mpf(10) ** -18 * max(abs(left), abs(right))):
            return Derivative("50 digits", None, None, fraction_of_mpf(left), fraction_of_mpf(right), "a kink")
        middle = (left + right) / 2
        return Derivative("50 digits", fraction_of_mpf(middle - radius), fraction_of_mpf(middle + radius))


def fraction_of_mpf(x: Any) -> Fraction:
    """mpmath's number as a fraction."""
    sign, mantissa, exponent, _ = x._mpf_
    return (-1 if sign else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


# --- on floats only ------------------------------------------------------------------------------------------------


def _by_floats(program: Program, at: Sequence[float], along: int) -> Derivative:
    return ladder(lambda x: float(program.replay([x if i == along else y for i, y in enumerate(at)])[0]), at[along])


def ladder(f: Callable[[float], float], x: float) -> Derivative:
    """Central differences over steps from large to small; the two neighbours that agree best say how well."""
    size = abs(x) or 1.0
    slopes = []
    for k in range(4, 40, 2):
        h = size * 2.0**-k
        up, down = x + h, x - h
        slopes.append((f(up) - f(down)) / (up - down))
    pairs = [(abs(a - b), (a + b) / 2) for a, b in itertools.pairwise(slopes) if math.isfinite(a - b)]
    if not pairs:
        return Derivative("none", None, None, reason="an edge of the domain")
    error, slope = min(pairs)
    width = Fraction(4.0 * error + 1e-9 * abs(slope))
    return Derivative("floats", Fraction(slope) - width, Fraction(slope) + width, reason="floats only")
