"""`check_gradient`: check a gradient, of the engine or claimed, against certified numerical derivatives."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.scope import plainly_recording
from microgrid.engine import Value, topological
from microgrid.functional import grad
from microgrid.numbers.arithmetic import UnknownFunction
from microgrid.program import Program
from microgrid.testing.claims import claimed_gradient, claimed_jacobian
from microgrid.testing.diagnosis import diagnose, wrong_value
from microgrid.testing.enclosure import Enclosure, enclosures
from microgrid.testing.kinks import at_a_kink
from microgrid.testing.mistakes import named_mistakes
from microgrid.testing.numerical import Reference, derivative_of
from microgrid.testing.pairs import pair_of
from microgrid.testing.report import Check, GradientError, Report
from microgrid.testing.subject import SeveralResults, Subject, bare
from microgrid.testing.verdict import Grounds, judged, sizes_of, spreads_of


def check_gradient(
    function: Any,
    *at: Any,
    gradient: Any = None,
    order: int = 1,
    reference: Reference = "auto",
) -> Report:
    """Check the gradient of a function at a point, by all numbers in its arguments, and return a report.

    Without `gradient`, the engine's own gradient by `backward()` is checked, and the rules of its ops are judged apart
    from rounding. With it, a claim is checked: nested lists, tuples, dicts or NumPy arrays of numbers, structured like
    the arguments, or a dict by their names, or one flat list; or a function that returns one of these at the point.
    `order=2` checks the derivatives of the gradient.

    Of a function with several results the Jacobian is checked; a claimed one is structured as by `jacobian`, or given
    as rows. A pair of passes claims its own: a class or an object with `forward` and `backward`, in the style of
    PyTorch's `autograd.Function` too, or a function with `fwd` and `bwd` like JAX's `custom_vjp`. Its forward pass must
    work on arrays of Values.

    PASS means that the derivative is proved to lie within bounds (or is known to 50 digits where python-flint is
    missing), and that the gradient is near to all numbers within them. A claim is near when it is within 2**-45 times
    the derivative, or times the contributions that were summed to it, but at most a millionth of the derivative; the
    engine's own gradient, when it is within what rounding explains and the rules are known to give the derivative. FAIL
    means that the gradient is farther than that, and than rounding explains, from each number within the bounds.
    UNDECIDED has a reason: a kink, an edge of the domain, a function on floats only, digits lost to cancellation,
    bounds that are too wide.

    >>> from microgrid import tanh
    >>> check_gradient(lambda x, y: tanh(x * y), 0.3, 2.0).verdict
    'PASS'
    >>> check_gradient(lambda x, y: x * y, 3.0, 2.0, gradient=[2.0, -3.0]).cause
    'ratio -1: a sign, in y only'
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    pair = pair_of(function)
    if pair is not None:
        function, gradient = pair.forward, pair.jacobian if gradient is None else gradient
    if order == 2 and gradient is not None:
        raise ValueError("order=2 checks the engine's own second derivatives; check a claimed one as a function")
    try:
        subject = Subject(function, at)
    except SeveralResults as error:
        if order == 2 or isinstance(function, Program):
            raise
        return _by_results(function, at, gradient, reference, error.structure)
    if not subject.numbers:
        raise ValueError(f"{subject.name} is to be checked at no numbers, so there is nothing to differentiate by")
    if gradient is not None:
        claimed = claimed_gradient(gradient(*at) if callable(gradient) else gradient, subject)
        return _of_a_claim(subject, claimed, reference)
    if subject.program is None:
        raise TypeError(
            f"{subject.name} is {subject.blind}: the engine has no gradient of it, claim yours with gradient="
        )
    return (_diagnosed if order == 1 else _second_order)(subject, reference, subject.program)


def _of_a_claim(subject: Subject, claimed: Sequence[float], reference: Reference) -> Report:
    """Check a claimed gradient, with the mistakes of a FAIL."""
    report = _report(_checks(subject, claimed, reference, None), subject)
    if report.verdict == "FAIL" and subject.program is not None and not report.value:
        report.mistakes = named_mistakes(subject.program, subject.numbers, claimed, factors=False)
    return report


def _by_results(
    function: Callable[..., Any], at: Sequence[Any], jacobian: Any, reference: Reference, results: tree.Structure
) -> Report:
    """Check the Jacobian of a function of several results, by rows."""
    places = [place for place, _ in sorted(tree.paths(results), key=lambda pair: pair[1])]

    def component(o: int) -> Callable[..., Any]:
        @functools.wraps(function)
        def result(*args: Any) -> Any:
            return tree.flatten(function(*args), lambda leaf, _: leaf, "")[0][o]

        return result

    subjects = [Subject(component(o), at) for o in range(len(places))]
    first = subjects[0]
    claims: Sequence[Sequence[float] | None] = [None] * len(places)
    if jacobian is not None:
        given = jacobian(*at) if callable(jacobian) else jacobian
        claims = claimed_jacobian(given, results, first.structure, len(places), len(first.numbers))
    parts = []
    for subject, claimed in zip(subjects, claims, strict=True):
        if claimed is not None:
            parts.append(_of_a_claim(subject, claimed, reference))
        elif subject.program is None:
            raise TypeError(f"{subject.name} is {subject.blind}: claim its Jacobian with gradient=")
        else:
            parts.append(_diagnosed(subject, reference, subject.program))
    names = first.names()
    rows = [tree.access(place) for place in places]
    labels = [[f"{row} by {name}" for name in names] for row in rows]
    return Report.of_parts(parts, labels, rows, first, f"the Jacobian of {first.name}")


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

    The claim is given as to `check_gradient`, and compared with the engine's gradient. This takes one backward pass,
    where a proof takes one for each number, so it is fit for networks of tens of thousands of parameters. Raises
    ValueError for a function that cannot be recorded.

    >>> from microgrid import tanh
    >>> name_mistakes(lambda w, v: v * tanh(w * 0.7), 0.3, 2.0, gradient=[2.0 * 0.7, 0.2069])
    []
    """
    subject = Subject(function, at)
    if subject.program is None:
        raise ValueError(f"{subject.name} is {subject.blind}: mistakes are named by the recorded graph")
    claimed = claimed_gradient(gradient(*at) if callable(gradient) else gradient, subject)
    return named_mistakes(subject.program, subject.numbers, claimed)


def assert_gradient(
    function: Any,
    *at: Any,
    gradient: Any = None,
    order: int = 1,
    reference: Reference = "auto",
) -> None:
    """Raise GradientError, an AssertionError with the report, when `check_gradient` says FAIL.

    >>> assert_gradient(lambda x: x * x, 3.0)
    """
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
    parts = [_diagnosed(Subject(component(j), at), reference, program) for j in range(len(names))]
    rows = [f"d/d{along}" for along in names]
    labels = [[f"{row} d/d{other}" for other in names] for row in rows]
    return Report.of_parts(parts, labels, rows, subject, f"the gradient of {subject.name}")


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
