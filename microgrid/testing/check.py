"""`check_gradient`: is this gradient right? Ours, or what a person claims, against certified numerical derivatives."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from microgrid import tree
from microgrid.arithmetic import Arithmetic, UnknownFunction
from microgrid.engine import Value, topological
from microgrid.functional import grad, number_or_value
from microgrid.primitive import Op
from microgrid.program import Program
from microgrid.scope import plainly_recording
from microgrid.testing.diagnosis import diagnose, wrong_value
from microgrid.testing.enclosure import enclosures, nearest_float
from microgrid.testing.kinks import at_a_tie
from microgrid.testing.numerical import Reference, derivative_of
from microgrid.testing.report import Check, GradientError, Report, Verdict
from microgrid.testing.subject import Subject, bare

GENEROUS = 64
"""How many times what rounding explains is still blamed on rounding, not on a wrong formula."""


def check_gradient(
    function: Program | Callable[..., Any],
    *at: Any,
    gradient: Any = None,
    order: int = 1,
    reference: Reference = "auto",
) -> Report:
    """A report on the gradient of a scalar function at a point, by all numbers in its arguments.

    Without `gradient` it is the engine's own, by `backward()`; the rules of its ops are judged apart from rounding.
    With it, it is what a person claims: nested lists, tuples, dicts or NumPy arrays of numbers, structured like the
    arguments, or a dict by their names, or one flat list; or a function that gives such at the point. `order=2` checks
    the derivatives of the gradient.

    PASS means that the derivative is enclosed by a proof, or known to 50 digits where python-flint is missing, and that
    the claim is as near to it as rounding allows. UNDECIDED says why: a kink, an edge of the domain, floats only.

    >>> from microgrid import tanh
    >>> check_gradient(lambda x, y: tanh(x * y), 0.3, 2.0).verdict
    'PASS'
    >>> check_gradient(lambda x, y: x * y, 3.0, 2.0, gradient=[2.0, -3.0]).cause
    'ratio -1: a sign'
    """
    subject = Subject(function, at)
    if not subject.numbers:
        raise ValueError(f"{subject.name} is to be checked at no numbers, so there is nothing to differentiate by")
    if order == 2:
        if gradient is not None:
            raise ValueError("order=2 checks the engine's own second derivatives; check a claimed one as a function")
        return _second_order(subject, reference)
    if order != 1:
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    if gradient is not None:
        claimed = _claimed(gradient(*at) if callable(gradient) else gradient, subject)
        return _report(_checks(subject, claimed, reference, ours=False), subject)
    if subject.program is None:
        raise TypeError(
            f"{subject.name} is {subject.blind}: the engine has no gradient of it, claim yours with gradient="
        )
    report = _own_check(subject, reference)
    if report.verdict == "FAIL" and subject.program.reads:
        report.culprit = "culprit: a number was read out of the graph, and what was made of it has no derivative"
    elif report.verdict == "FAIL" and not report.value:
        report.culprit = diagnose(subject.program, subject.numbers, lambda *part: _own_check(_flat(*part)))
    return report


def _flat(program: Program, at: Sequence[float]) -> Subject:
    return Subject(program, at)


def _own_check(subject: Subject, reference: Reference = "auto") -> Report:
    """The check of the engine's gradient, without a diagnosis."""
    return _report(_checks(subject, _by_backward(subject), reference, ours=True), subject)


def _report(checks: Sequence[Check], subject: Subject) -> Report:
    report = Report(checks, subject)
    report.value = wrong_value(subject.program, subject.numbers) if subject.program is not None else ""
    return report


def _checks(subject: Subject, claimed: Sequence[float], reference: Reference, *, ours: bool) -> list[Check]:
    """One for each input."""
    program, at = subject.program, subject.numbers
    names = subject.names()
    numerical = [derivative_of(subject, i, reference) for i in range(len(at))]
    if program is None:
        return [
            _judged(Check(names[i], x, claimed[i], numerical[i]), None, 0.0, ours, False, claimed[i])
            for i, x in enumerate(at)
        ]
    reads: list[str] = []
    slopes = program.gradient_by(at, lambda how, *_: reads.append(how))
    exact = _by_rules(slopes, at) if ours and not subject.blind else [None] * len(at)
    frozen = ours and "data" in reads
    replayed = slopes.replay(list(at))
    spreads = _spreads(slopes, at)
    tie = at_a_tie(program, at)
    return [
        _judged(Check(names[i], x, claimed[i], numerical[i]), exact[i], spreads[i], ours, tie, replayed[i], frozen)
        for i, x in enumerate(at)
    ]


def assert_gradient(
    function: Program | Callable[..., Any],
    *at: Any,
    gradient: Any = None,
    order: int = 1,
    reference: Reference = "auto",
) -> None:
    """Raise GradientError, an AssertionError with the report, when `check_gradient` says FAIL."""
    report = check_gradient(function, *at, gradient=gradient, order=order, reference=reference)
    if report.verdict == "FAIL":
        raise GradientError(report)


def _second_order(subject: Subject, reference: Reference) -> Report:
    checks: list[Check] = []

    def component(j: int) -> Callable[..., Any]:
        def slope(*args: Any) -> Any:
            slopes = grad(subject.function, range(len(args)))(*args)
            return tree.flatten(slopes, lambda leaf, _: leaf, "")[0][j]

        return slope

    names = subject.names()
    at = tree.unflatten(subject.structure, subject.numbers)
    culprit = ""
    for j, along in enumerate(names):
        part = check_gradient(component(j), *at, reference=reference)
        checks += [
            check._replace(name=f"d/d{along} d/d{other}") for check, other in zip(part.checks, names, strict=True)
        ]
        culprit = culprit or part.culprit
    report = Report(checks, subject, f"the gradient of {subject.name}")
    report.culprit = culprit
    return report


def _claimed(gradient: Any, subject: Subject) -> list[float]:
    """The claimed numbers in the order of the inputs: matched by keys and places, never by position alone."""
    listed = _lists(gradient)
    numbers, shape = tree.flatten(listed, lambda x, path: float(number_or_value(bare(x), path)), "gradient")
    count = len(subject.numbers)
    if len(numbers) != count:
        raise ValueError(f"the arguments have {count} number(s), the claimed gradient {len(numbers)}")
    names = subject.parameters()
    ways: list[Any] = [list(subject.structure)]
    if len(names) == 1:
        ways.append(subject.structure[0])  # that of the only argument, by itself
    ways.append(dict(zip(names, subject.structure, strict=True)))
    for way in ways:
        order = _matched(listed, way)
        if order is not None:
            return [x for _, x in sorted(order)]
    if isinstance(shape, list) and shape == list(range(count)) and not _has_keys(subject.structure):
        return numbers  # one flat list
    expected = tree.shape(subject.structure[0] if len(names) == 1 else subject.structure)
    raise ValueError(f"the claimed gradient is structured {tree.shape(shape)}, but the arguments {expected}")


def _matched(claim: Any, structure: tree.Structure) -> list[tuple[int, float]] | None:
    """Each input with its number; None where the two do not match."""
    if isinstance(structure, int):
        return None if isinstance(claim, (dict, list)) else [(structure, float(bare(claim)))]
    if isinstance(structure, dict):
        if not isinstance(claim, dict) or set(claim) != set(structure):
            return None
        pairs = [(claim[key], part) for key, part in structure.items()]
    elif isinstance(claim, list) and len(claim) == len(structure):
        pairs = list(zip(claim, structure, strict=True))
    else:
        return None
    parts = [_matched(*pair) for pair in pairs]
    return None if any(part is None for part in parts) else [found for part in parts for found in part or ()]


def _has_keys(structure: tree.Structure) -> bool:
    if isinstance(structure, int):
        return False
    return isinstance(structure, dict) or any(map(_has_keys, structure))


def _lists(x: Any) -> Any:
    """Nested containers with NumPy's arrays as lists."""
    if hasattr(x, "tolist"):
        return x.tolist()
    if isinstance(x, dict):
        return {key: _lists(item) for key, item in x.items()}
    return [_lists(item) for item in x] if isinstance(x, (list, tuple)) else x


def _by_backward(subject: Subject) -> list[float]:
    """What the engine computes eagerly: on fresh leaves, by `backward()`. ValueError where two calls differ."""
    leaves = [Value(x) for x in subject.numbers]
    with plainly_recording():
        result = subject(leaves)
    if subject.program is not None and not subject.blind:
        (before,) = subject.program.replay(subject.numbers)
        if bare(result) != before and not (math.isnan(before) and math.isnan(bare(result))):
            raise ValueError(
                f"two calls of {subject.name} at the same point gave {before!r} and {bare(result)!r}: it is no "
                "function of its arguments alone; does it draw at random, or keep a state?"
            )
    if not isinstance(result, Value):
        return [0.0 for _ in leaves]
    theirs = [(node, node.grad) for node in topological([result])]  # a function may use Values of its caller's
    with plainly_recording():
        result.backward()
    slopes = [leaf.grad for leaf in leaves]
    for node, grad_before in theirs:
        node.grad = grad_before
    return slopes


# --- the rules, apart from rounding --------------------------------------------------------------------------------


def _by_rules(slopes: Program, numbers: Sequence[float]) -> Sequence[tuple[Fraction, Fraction] | None]:
    """A gradient by the rules of the ops, in an arithmetic that loses nothing: an enclosure of each partial."""
    try:
        return enclosures(slopes, numbers)
    except UnknownFunction:
        return [None] * len(numbers)


# --- rounding ------------------------------------------------------------------------------------------------------


class _Jittered(Arithmetic):
    """Floats, on which each result is moved by -1, 0 or 1 ulp at random."""

    def __init__(self, seed: int) -> None:
        super().__init__("jittered floats", float, {})
        self._random = random.Random(seed)

    def function(self, op: Op) -> Callable[..., float]:
        def moved(*operands: float) -> float:
            z = op.forward(*operands)
            towards = self._random.choice((-math.inf, z, math.inf))
            return math.nextafter(z, towards) if z and math.isfinite(z) and op.name not in _DECISIONS else z

        return moved


_DECISIONS = {"greater", "equal", "sign", "floor", "ceil", "round", "trunc", "floor_divide", "identity", "where"}


def _spreads(slopes: Program, numbers: Sequence[float]) -> list[float]:
    """How far six gradients with jittered results lie apart, for each input."""
    runs = [slopes.replay(list(numbers), _Jittered(seed)) for seed in range(6)]
    columns = list(zip(*runs, strict=True))
    return [max(column) - min(column) if all(map(math.isfinite, column)) else math.inf for column in columns]


# --- the verdict ---------------------------------------------------------------------------------------------------


def _judged(
    check: Check,
    by_rules: tuple[Fraction, Fraction] | None,
    spread: float,
    ours: bool,
    tie: bool,
    replayed: float,
    frozen: bool = False,
) -> Check:
    """The verdict. `frozen` says that a rule read the number of an operand, so that its derivative is lost."""
    analytic, numerical = check.analytic, check.numerical
    if numerical.evidence == "none":
        return check._replace(reason=numerical.reason)
    if numerical.left is not None and numerical.right is not None:
        return _at_a_kink(check, numerical.left, numerical.right, ours, replayed)
    middle, radius = numerical.middle, numerical.radius
    assert middle is not None
    assert radius is not None
    truth = nearest_float(middle)
    if math.isinf(truth):
        verdict: Verdict = "PASS" if analytic == truth else "FAIL"
        return check._replace(verdict=verdict, reason="the derivative is beyond the largest float")
    if ours and not math.isfinite(analytic) and not math.isfinite(replayed):
        return check._replace(reason=f"in floats a result on the way is not finite, and the gradient is {analytic}")
    if not math.isfinite(analytic):
        return check._replace(verdict="FAIL", reason=f"the derivative is finite, the gradient is {analytic}")
    ulp = Fraction(math.ulp(truth))
    distance = max(abs(Fraction(analytic) - middle) - radius, Fraction(0))
    ulps = nearest_float(distance / ulp)
    explained = 8.0 * spread / float(ulp) + 4.0 if math.isfinite(spread) else math.inf
    rule = None
    if by_rules is not None and numerical.low is not None and numerical.high is not None:
        margin = abs(middle) / 10**18 if numerical.evidence == "50 digits" else Fraction(0)
        rule = not frozen and by_rules[0] <= numerical.high + margin and by_rules[1] >= numerical.low - margin
    check = check._replace(ulps=ulps, explained=explained, rule=rule)
    if numerical.evidence == "floats":
        far = ulps > GENEROUS * explained and distance > abs(middle) / 1000
        reason = f"compared on floats only, which prove nothing{numerical.reason.removeprefix('floats only')}"
        return check._replace(verdict="FAIL" if far else "UNDECIDED", reason=reason)
    if rule is False and tie and numerical.evidence != "certified":
        return check._replace(reason="at a kink of one of its ops, whose choice there is not the slope of the whole")
    if rule is False and ulps <= explained:
        why = "right in floats, but recorded or in more digits a rule gives another: does one read .data?"
        return check._replace(verdict="FAIL", reason=why)
    if rule is False:
        return check._replace(verdict="FAIL", reason="the rules of its ops do not give the derivative: one is wrong")
    if ulps > GENEROUS * 4.0 and math.isinf(explained) and not rule:
        return check._replace(reason=f"{ulps:.3g} ulps off; what rounding explains cannot be told here")
    if ulps <= explained or (not ours and ulps <= GENEROUS * explained):
        lost = f"a right rule, but {ulps:.3g} ulps are lost to cancellation" if ulps > 1e6 else ""
        return check._replace(verdict="PASS", reason=lost)
    if not ours:
        return check._replace(verdict="FAIL", reason=f"{ulps:.3g} ulps off; rounding explains some {explained:.3g}")
    if ulps <= GENEROUS * explained:
        return check._replace(reason=f"the rules are right, but {ulps:.3g} ulps are more than rounding explains")
    if replayed == analytic or abs(replayed - analytic) <= explained * math.ulp(analytic):
        return check._replace(reason="the rules are right; rounding takes another branch than exact numbers do")
    return check._replace(verdict="FAIL", reason="all rules are right: accumulation or order is wrong")


def _at_a_kink(check: Check, left: Fraction, right: Fraction, ours: bool, replayed: float) -> Check:
    slopes = f"a kink with slopes {nearest_float(left):.6g} and {nearest_float(right):.6g}"
    if check.numerical.evidence == "floats":
        return check._replace(reason=f"{slopes}, as far as floats can tell")
    low, high = min(left, right), max(left, right)
    slack = Fraction(1, 10**12) * max(abs(low), abs(high))
    chosen = check.analytic == replayed or (math.isnan(check.analytic) and math.isnan(replayed))
    if not math.isfinite(check.analytic) or not low - slack <= Fraction(check.analytic) <= high + slack:
        if ours and chosen:
            return check._replace(reason=f"{slopes}; the choices of its ops there give neither")
        return check._replace(verdict="FAIL", reason=f"{slopes}; the gradient is outside of them")
    choice = ", and what the ops choose there" if chosen else f"; the ops would choose {replayed:.6g}"
    return check._replace(reason=f"{slopes}; the gradient is one of those between{choice}")
