"""Mutation of rules: the negative control of the checker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import Op
from microgrid.program import Program
from microgrid.testing.checker import check_gradient
from microgrid.testing.subject import Subject


@contextlib.contextmanager
def mutated(op: Op, operand: int = 0, *, delta: float = 1e-12) -> Iterator[None]:
    """Make an op's partial by one operand wrong by the factor 1 + delta within a context, for the whole process.

    `+` and `*` between values are recorded with their partials written out; there, the rules alone are wrong.

    >>> from microgrid import tanh
    >>> with mutated(tanh):
    ...     print(check_gradient(tanh, 0.3).verdict)
    FAIL
    """
    if not 0 <= operand < op.arity - op.static:
        raise ValueError(f"{op.name} has no partial {operand}")
    right, right_on_floats = op.partials, op.float_partials

    def wrong(rule: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        def partials(*numbers: Any) -> tuple[Any, ...]:
            given = rule(*numbers)
            return tuple(p * (1.0 + delta) if i == operand else p for i, p in enumerate(given))

        return partials

    op.partials, op.float_partials = wrong(right), wrong(right_on_floats)
    try:
        yield
    finally:
        op.partials, op.float_partials = right, right_on_floats


def assert_detects_wrong_gradient(
    function: Program | Callable[..., Any], *at: Any, delta: float = 1e-12
) -> list[tuple[str, int]]:
    """Assert that a gradient check at this point detects an error in each rule that matters there.

    Each partial of each op is made wrong in turn, and the check must say FAIL; an AssertionError names the error that
    was not detected. Returns the pairs (op, operand) that were tried: those whose partial contributes to the gradient.

    >>> assert_detects_wrong_gradient(lambda x: x * x, 3.0)
    [('mul', 0), ('mul', 1)]
    """
    subject = Subject(function, at)
    program = subject.program
    if program is None:
        raise TypeError(f"{subject.name} is {subject.blind}: it has no rules that could go wrong")
    at = tree.unflatten(subject.structure, subject.numbers)
    before = check_gradient(program, *at)
    if before.verdict == "FAIL":
        raise AssertionError(f"the gradient is wrong to begin with\n{before}")
    tried = []
    for op in dict.fromkeys(op for op, _ in program.instructions):
        for operand in range(op.arity - op.static):
            with mutated(op, operand, delta=0.5):
                matters = check_gradient(program, *at).verdict == "FAIL"
            if not matters:
                continue
            with mutated(op, operand, delta=delta):
                report = check_gradient(program, *at)
            if report.verdict != "FAIL":
                raise AssertionError(
                    f"the rule of {op.name} by operand {operand} was wrong by 1 + {delta:g}, and passed\n{report}"
                )
            tried.append((op.name, operand))
    return tried
