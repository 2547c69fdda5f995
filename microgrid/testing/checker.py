"""`check_gradient`: check a gradient, of the engine or claimed, against certified numerical derivatives."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.scope import plainly_recording
from microgrid.engine import Value, topological
from microgrid.functional import grad, number_or_value
from microgrid.numbers.arithmetic import UnknownFunction
from microgrid.program import Program
from microgrid.testing.diagnosis import diagnose, wrong_value
from microgrid.testing.enclosure import Enclosure, enclosures
from microgrid.testing.kinks import at_a_kink
from microgrid.testing.mistakes import named_mistakes
from microgrid.testing.numerical import Reference, derivative_of
from microgrid.testing.report import Check, GradientError, Report
from microgrid.testing.subject import Subject, bare
from microgrid.testing.verdict import Grounds, judged, sizes_of, spreads_of


def check_gradient(
    function: Program | Callable[..., Any],
    *at: Any,
    gradient: Any = None,
    order: int = 1,
    reference: Reference = "auto",
) -> Report:
    """Check the gradient of a scalar function at a point, by all numbers in its arguments, and return a report.

    Without `gradient`, the engine's own gradient by `backward()` is checked, and the rules of its ops are judged apart
    from rounding. With it, a claim is checked: nested lists, tuples, dicts or NumPy arrays of numbers, structured like
    the arguments, or a dict by their names, or one flat list; or a function that returns one of these at the point.
    `order=2` checks the derivatives of the gradient.

    PASS means that the derivative is enclosed by a proof, or known to 50 digits where python-flint is missing, and that
    the whole enclosure is near to the gradient: for a claim, within 2**-45 of the derivative, or of the contributions
    that were summed to it, and of a millionth of it at most; for our own, within what rounding explains, once its rules
    are known to give the derivative. FAIL means that all of it is farther away than that, and than rounding explains.
    UNDECIDED says why: a kink, an edge of the domain, floats only, digits lost to cancellation, a wide enclosure.

    >>> from microgrid import tanh
    >>> check_gradient(lambda x, y: tanh(x * y), 0.3, 2.0).verdict
    'PASS'
    >>> check_gradient(lambda x, y: x * y, 3.0, 2.0, gradient=[2.0, -3.0]).cause
    'ratio -1: a sign'
    """
    subject = Subject(function, at)
    if not subject.numbers:
        raise ValueError(f"{subject.name} is to be checked at no numbers, so there is nothing to differentiate by")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    if order == 2 and gradient is not None:
        raise ValueError("order=2 checks the engine's own second derivatives; check a claimed one as a function")
    if gradient is not None:
        claimed = _claimed(gradient(*at) if callable(gradient) else gradient, subject)
        report = _report(_checks(subject, claimed, reference, None), subject)
        if report.verdict == "FAIL" and subject.program is not None and not report.value:
            report.mistakes = named_mistakes(subject.program, subject.numbers, claimed, factors=False)
        return report
    if subject.program is None:
        raise TypeError(
            f"{subject.name} is {subject.blind}: the engine has no gradient of it, claim yours with gradient="
        )
    return (_diagnosed if order == 1 else _second_order)(subject, reference, subject.program)


def _diagnosed(subject: Subject, reference: Reference, kinked: Program) -> Report:
    """Check the engine's gradient, with the culprit of a FAIL; `kinks` are those of this program."""
    assert subject.program is not None
    report = _own_check(subject, reference, kinked)
    if report.verdict == "FAIL" and subject.program.reads:
        report.culprit = "culprit: a number was read out of the graph, and results computed from it have no derivative"
    elif report.verdict == "FAIL" and not report.value:
        report.culprit = diagnose(
            subject.program,
            subject.numbers,
            lambda part, at: _own_check(Subject(part, tree.unflatten(part.in_structure, at)), "auto", part),
        )
    return report


def _own_check(subject: Subject, reference: Reference, kinked: Program) -> Report:
    return _report(_checks(subject, _by_backward(subject), reference, kinked), subject)


def _report(checks: Sequence[Check], subject: Subject) -> Report:
    report = Report(checks, subject)
    report.value = wrong_value(subject.program, subject.numbers) if subject.program is not None else ""
    return report


def _checks(subject: Subject, claimed: Sequence[float], reference: Reference, kinked: Program | None) -> list[Check]:
    """Return a check for each input. `kinked` has the kinks of our own gradient; None marks a claim."""
    program, at, ours = subject.program, subject.numbers, kinked is not None
    names = subject.names()
    checks = [Check(names[i], x, claimed[i], derivative_of(subject, i, reference)) for i, x in enumerate(at)]
    if program is None:
        return [judged(check, Grounds(ours, check.analytic)) for check in checks]
    reads: list[str] = []
    slopes = program.gradient_by(at, lambda how, *_: reads.append(how))
    exact = _by_rules(slopes, at) if ours and not subject.blind else [None] * len(at)
    frozen = ours and "data" in reads
    replayed, spreads, sizes = slopes.replay(list(at)), spreads_of(slopes, at), sizes_of(program, at)
    tie = functools.cache(lambda: kinked is not None and at_a_kink(kinked, at))
    return [
        judged(check, Grounds(ours, replayed[i], exact[i], spreads[i], sizes[i], frozen, tie))
        for i, check in enumerate(checks)
    ]


def _by_rules(slopes: Program, numbers: Sequence[float]) -> Sequence[Enclosure | None]:
    """Return an enclosure of each partial, by the rules of the ops in exact or interval arithmetic."""
    try:
        return enclosures(slopes, numbers)
    except UnknownFunction:
        return [None] * len(numbers)


def name_mistakes(function: Program | Callable[..., Any], *at: Any, gradient: Any) -> list[str]:
    """Return the mistake, or the two, that give exactly the claimed gradient; [] if it is right, or none is known to.

    The claim is given as to `check_gradient`, and compared with the engine's gradient, which takes a sweep back where
    a proof takes one for each number: for networks of tens of thousands of parameters. Raises ValueError for a function
    that cannot be recorded.

    >>> from microgrid import tanh
    >>> name_mistakes(lambda w, v: v * tanh(w * 0.7), 0.3, 2.0, gradient=[2.0 * 0.7, 0.2069])
    []
    """
    subject = Subject(function, at)
    claimed = _claimed(gradient(*at) if callable(gradient) else gradient, subject)
    if subject.program is None:
        raise ValueError(f"{subject.name} is {subject.blind}: mistakes are named by the recorded graph")
    return named_mistakes(subject.program, subject.numbers, claimed)


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


def _second_order(subject: Subject, reference: Reference, program: Program) -> Report:
    """Return the checks of all components of the gradient. The kinks are those of the function: its rules add none."""

    def component(j: int) -> Callable[..., Any]:
        def slope(*args: Any) -> Any:
            slopes = grad(subject.function, range(len(args)))(*args)
            return tree.flatten(slopes, lambda leaf, _: leaf, "")[0][j]

        return slope

    names = subject.names()
    at = tree.unflatten(subject.structure, subject.numbers)
    report = Report([], subject, f"the gradient of {subject.name}")
    for j, along in enumerate(names):
        part = _diagnosed(Subject(component(j), at), reference, program)
        report.checks += [
            check._replace(name=f"d/d{along} d/d{other}") for check, other in zip(part.checks, names, strict=True)
        ]
        report.value = report.value or part.value
        report.culprit = report.culprit or part.culprit
    return report


def _claimed(gradient: Any, subject: Subject) -> list[float]:
    """Return the claimed numbers in the order of the inputs, matched by keys and places, never by position alone."""
    listed = _lists(gradient)
    numbers, shape = tree.flatten(listed, lambda x, path: float(number_or_value(bare(x), path)), "gradient")
    count = len(subject.numbers)
    if len(numbers) != count:
        raise ValueError(f"the arguments have {count} number(s), the claimed gradient {len(numbers)}")
    names = subject.parameters()
    ways: list[Any] = [list(subject.structure)]
    if len(names) == 1:
        ways.append(subject.structure[0])  # the gradient of the only argument, without a tuple
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
    """Return each input with its number; None where the two do not match."""
    if isinstance(structure, int):
        return None if isinstance(claim, (dict, list)) else [(structure, float(bare(claim)))]
    if isinstance(structure, tree.Array):
        return _matched(claim, tree.unflatten(structure, range(structure.first + structure.size), tree.nested))
    if isinstance(structure, tree.Instance):
        return _matched(claim, structure.content)
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
    if isinstance(structure, (int, tree.Array)):
        return False
    return isinstance(structure, (dict, tree.Instance)) or any(map(_has_keys, structure))


def _lists(x: Any) -> Any:
    """Return nested containers with NumPy's arrays as lists, and what data classes hold in their places."""
    if hasattr(x, "tolist"):
        return x.tolist()
    if isinstance(x, dict):
        return {key: _lists(item) for key, item in x.items()}
    held = tree.contents(x)
    if held is not None:
        return _lists(held[0])
    return [_lists(item) for item in x] if isinstance(x, (list, tuple)) else x


def _by_backward(subject: Subject) -> list[float]:
    """Return the engine's eager gradient, by `backward()` on fresh leaves. Raises ValueError if two calls differ."""
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
