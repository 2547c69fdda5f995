"""The verdict on one partial derivative: a number against a whole enclosure and the rounding that explains it."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from microgrid.core.primitive import Op
from microgrid.core.scope import plainly_recording
from microgrid.engine import Value, edges_of, topological
from microgrid.numbers.arithmetic import VALUES, Arithmetic
from microgrid.program import Program
from microgrid.testing.enclosure import TINIEST, Enclosure, nearest_float
from microgrid.testing.report import Check, Verdict

GENEROUS = 64
"""Multiple of the expected rounding that still counts as rounding, not as a wrong formula."""

ALLOWED = Fraction(1, 2**45)
"""Tolerance of a claim, relative to the derivative or to the contributions that were summed to it."""

DIGITS = Fraction(1, 10**6)
"""Relative error above which any claim fails, whatever was summed: six digits are compared."""


class Grounds(NamedTuple):
    """Grounds of a verdict beside the enclosure: origin of the gradient, result of its rules, expected rounding.

    `replayed` is what the recorded rules give on floats, `rules` encloses what they give, None where that is not known.
    `spread` is how far results of jittered arithmetic lie apart, `size` the sum of the contributions without signs.
    `frozen` says that a rule read the number of an operand, so that its derivative is lost; `tie` finds out whether an
    op stands at a kink of its own.
    """

    ours: bool
    replayed: float
    rules: Enclosure | None = None
    spread: float = 0.0
    size: float = 0.0
    frozen: bool = False
    tie: Callable[[], bool] = lambda: False


def judged(check: Check, grounds: Grounds) -> Check:
    """Return the check with its verdict and reason."""
    numerical = check.numerical
    if numerical.evidence == "none":
        return check._replace(reason=numerical.reason)
    if numerical.left is not None and numerical.right is not None:
        return _at_a_kink(check, numerical.left, numerical.right, grounds)
    assert numerical.low is not None
    assert numerical.high is not None
    enclosed = numerical.low, numerical.high
    if not math.isfinite(check.analytic):
        return _not_finite(check, enclosed, grounds)
    measured = _Measured.of(check.analytic, enclosed, grounds)
    check = check._replace(ulps=measured.ulps(measured.far), explained=measured.ulps(measured.explained))
    if numerical.evidence == "floats":
        far = (
            measured.near > GENEROUS * measured.explained and 1000 * measured.near > abs(enclosed[0] + enclosed[1]) / 2
        )
        reason = f"compared on floats only, which prove nothing{numerical.reason.removeprefix('floats only')}"
        return check._replace(verdict="FAIL" if far else "UNDECIDED", reason=reason)
    check = check._replace(allowed=measured.ulps(measured.within))
    return _of_ours(check, enclosed, measured, grounds) if grounds.ours else _of_a_claim(check, measured)


class _Measured(NamedTuple):
    """Exact distances to the nearest and the farthest number of the enclosure; and the tolerances.

    A number within `within` passes. Rounding explains `explained`; it is blamed up to `beyond`.
    """

    ulp: Fraction
    near: Fraction
    far: Fraction
    within: Fraction | float
    explained: Fraction | float
    beyond: Fraction | float

    @classmethod
    def of(cls, number: float, enclosed: Enclosure, grounds: Grounds) -> _Measured:
        low, high = enclosed
        ulp = Fraction(math.ulp(min(abs(nearest_float((low + high) / 2)), sys.float_info.max)))
        least = Fraction(0) if low <= 0 <= high else min(abs(low), abs(high))
        summed = ALLOWED * max(least, _exactly(grounds.size))
        explained = 8 * _exactly(grounds.spread) + 4 * ulp
        return cls(
            ulp,
            near=max(low - Fraction(number), Fraction(number) - high, Fraction(0)),
            far=max(Fraction(number) - low, high - Fraction(number)),
            within=max(min(least * DIGITS, summed), TINIEST),
            explained=explained,
            beyond=max(GENEROUS * explained, summed),
        )

    def ulps(self, distance: Fraction | float) -> float:
        return distance if isinstance(distance, float) else nearest_float(distance / self.ulp)

    def too_wide(self) -> str:
        """Return the reason for which an enclosure is too wide to decide; "" if it is not."""
        radius = (self.far - self.near) / 2
        if radius <= self.within:
            return ""
        return f"the derivative is enclosed to +- {nearest_float(radius):.0e} only, too wide to tell"


def _exactly(x: float) -> Fraction | float:
    return Fraction(x) if math.isfinite(x) else math.inf


def _of_a_claim(check: Check, measured: _Measured) -> Check:
    if measured.far <= measured.within:
        return check._replace(verdict="PASS")
    off = "more ulps off than are allowed"
    if measured.near > measured.beyond:
        return check._replace(verdict="FAIL", reason=off)
    if wide := measured.too_wide():
        return check._replace(reason=wide)
    if math.isinf(measured.beyond):
        return check._replace(reason=f"{off}, and what rounding explains cannot be told here")
    return check._replace(reason=f"{off}, but floats lose about as much here: there is no digit to compare")


def _of_ours(check: Check, enclosed: Enclosure, measured: _Measured, grounds: Grounds) -> Check:
    rule = _rule(enclosed, grounds, check.numerical.evidence == "50 digits")
    check = check._replace(rule=rule)
    if rule is False:
        if check.numerical.evidence != "certified" and grounds.tie():
            return check._replace(
                reason="at a kink of one of its ops, whose choice there is not the slope of the whole"
            )
        if measured.far <= measured.explained:
            why = "right in floats, but recorded or in more digits a rule gives another: does one read .data?"
            return check._replace(verdict="FAIL", reason=why)
        return check._replace(verdict="FAIL", reason="the rules of its ops do not give the derivative: one is wrong")
    if measured.far <= measured.within:
        return check._replace(verdict="PASS")
    if wide := measured.too_wide():
        return check._replace(reason=wide)
    if rule is None and measured.near <= measured.beyond:
        return check._replace(
            reason=f"{check.ulps:.3g} ulps off, and it is not known if rounding or a rule is at fault"
        )
    replayed = abs(grounds.replayed - check.analytic) <= check.explained * math.ulp(check.analytic)
    if math.isinf(measured.explained) and not replayed:
        return check._replace(reason=f"{check.ulps:.3g} ulps off; what rounding explains cannot be told here")
    if rule and measured.far <= measured.explained:
        lost = f"a right rule, but {check.ulps:.3g} ulps are lost to cancellation" if check.ulps > 1e6 else ""
        return check._replace(verdict="PASS", allowed=check.explained, reason=lost)
    if rule and measured.near <= measured.beyond:
        return check._replace(reason=f"the rules are right, but {check.ulps:.3g} ulps are more than rounding explains")
    if replayed:
        return check._replace(reason="the rules are right; rounding takes another branch than exact numbers do")
    return check._replace(verdict="FAIL", reason="all rules are right: accumulation or order is wrong")


def _rule(enclosed: Enclosure, grounds: Grounds, by_digits: bool) -> bool | None:
    """Return True if the rules give the derivative, to 17 digits and more; None where an enclosure is too wide."""
    if grounds.rules is None:
        return None
    (low, high), (least, most) = enclosed, grounds.rules
    size = max(map(abs, (low, high)))
    margin = size / 10**18 if by_digits else Fraction(0)
    if grounds.frozen or most < low - margin or least > high + margin:
        return False
    return True if max(high, most) - min(low, least) <= max(size / 10**17, TINIEST) else None


def _not_finite(check: Check, enclosed: Enclosure, grounds: Grounds) -> Check:
    """Judge a number that is infinite or nan. Infinity is right where all of the enclosure exceeds every float."""
    ends = {nearest_float(end) for end in enclosed}
    if ends in ({math.inf}, {-math.inf}):
        verdict: Verdict = "PASS" if check.analytic in ends else "FAIL"
        return check._replace(verdict=verdict, reason="the derivative is beyond the largest float")
    if check.analytic in ends:
        return check._replace(
            reason="the enclosure of the derivative is too wide to tell, and reaches beyond all floats"
        )
    if grounds.ours and not math.isfinite(grounds.replayed):
        why = f"in floats a result on the way is not finite, and the gradient is {check.analytic}"
        return check._replace(reason=why)
    return check._replace(verdict="FAIL", reason=f"the derivative is finite, the gradient is {check.analytic}")


def _at_a_kink(check: Check, left: Fraction, right: Fraction, grounds: Grounds) -> Check:
    slopes = f"a kink with slopes {nearest_float(left):.6g} and {nearest_float(right):.6g}"
    if check.numerical.evidence == "floats":
        return check._replace(reason=f"{slopes}, as far as floats can tell")
    low, high, replayed = min(left, right), max(left, right), grounds.replayed
    slack = Fraction(1, 10**12) * max(abs(low), abs(high))
    chosen = check.analytic == replayed or (math.isnan(check.analytic) and math.isnan(replayed))
    if not math.isfinite(check.analytic) or not low - slack <= Fraction(check.analytic) <= high + slack:
        if grounds.ours and chosen:
            return check._replace(reason=f"{slopes}; the choices of its ops there give neither")
        return check._replace(verdict="FAIL", reason=f"{slopes}; the gradient is outside of them")
    choice = ", and what the ops choose there" if chosen else f"; the ops would choose {replayed:.6g}"
    return check._replace(reason=f"{slopes}; the gradient is one of those between{choice}")


# --- rounding ------------------------------------------------------------------------------------------------------


class _Jittered(Arithmetic):
    """Arithmetic of floats that moves each result by -1, 0 or 1 ulp at random."""

    def __init__(self, seed: int) -> None:
        super().__init__("jittered floats", float, {})
        self._random = random.Random(seed)

    def function(self, op: Op) -> Callable[..., float]:
        def moved(*operands: float) -> float:
            z = op.forward(*operands)
            towards = self._random.choice((-math.inf, z, math.inf))
            return math.nextafter(z, towards) if z and math.isfinite(z) and not op.unrounded else z

        return moved


def spreads_of(slopes: Program, numbers: Sequence[float]) -> list[float]:
    """Return the spread of six gradients with jittered results, for each input."""
    runs = [slopes.replay(list(numbers), _Jittered(seed)) for seed in range(6)]
    columns = list(zip(*runs, strict=True))
    return [max(column) - min(column) if all(map(math.isfinite, column)) else math.inf for column in columns]


def sizes_of(program: Program, numbers: Sequence[float]) -> list[float]:
    """Return the sum of the absolute contributions of all paths to each input's gradient."""
    with plainly_recording():
        inputs = [Value(x) for x in numbers]
        (output,) = program.replay(inputs, VALUES)
    sizes = {node.number: 0.0 for node in inputs} | {output.number: 1.0}
    for node in reversed(topological([output])):
        size = sizes.get(node.number, 0.0)
        for operand, partial in edges_of(node) if size else ():
            sizes[operand.number] = sizes.get(operand.number, 0.0) + (size * abs(partial) if partial else 0.0)
    return [sizes[node.number] for node in inputs]
