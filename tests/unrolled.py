"""Stages of the compiler run in Python, each compared with what it came from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from eagerly import eager, same
from fuzzing.interpreter import interpreted, passed

import microgrid as mg
from microgrid import Program
from microgrid.compiler.gradient import Request, tape_of
from microgrid.compiler.poly import Poly
from microgrid.compiler.roll import Loop, Node, Rolled, roll
from microgrid.compiler.storage import place
from microgrid.compiler.tape import PASSED, Shape, Tape


def tape(program: Program, own: int = 2) -> Tape:
    """The tape of a program and its gradient; so many inputs are each sample's own, the others shared."""
    inputs = len(program.inputs)
    shared = tuple(i >= own for i in range(inputs))
    return tape_of(program, Request(shared, tuple(range(inputs))), lambda op, static: True)


def expand(nodes: Sequence[Node]) -> Iterator[tuple[Shape, tuple[int, ...]]]:
    """The instructions in the order in which they run, each with the numbers of its cells."""
    yield from _expand(nodes, {})


def _expand(nodes: Sequence[Node], at: dict[int, int]) -> Iterator[tuple[Shape, tuple[int, ...]]]:
    for node in nodes:
        if isinstance(node, Loop):
            for value in range(evaluated(node.times, at)):
                at[node.counter] = value
                yield from _expand(node.body, at)
        else:
            yield node.shape, tuple([evaluated(cell, at) for cell in node.cells])


def evaluated(poly: Poly, at: dict[int, int]) -> int:
    """The value of a polynomial, written apart from the compiler."""
    total = poly.base
    for powers, coefficient in poly.terms:
        total += coefficient * math.prod([math.comb(at[counter], degree) for counter, degree in powers])
    return total


def check_expansion(program: Program, own: int = 2) -> Rolled:
    straight = tape(program, own)
    rolled = roll(straight)
    assert list(expand(rolled.nodes)) == [(straight.shapes[shape], cells) for shape, cells in straight.steps]
    return rolled


Memory = dict[tuple[str, int], float]


def straight(tape: Tape, memory: Memory) -> tuple[Memory, float]:
    """Run the instructions of a tape one after the other; return the memory, and the size of all summands."""
    size = 0.0
    cells = {**memory, **{("c", i): x for i, x in enumerate(tape.constants)}}
    for shape, numbers in tape.steps:
        op, adds, space, operands = tape.shapes[shape]
        given = [cells[cell] for cell in zip(operands, numbers[1:], strict=True)]
        target = space, numbers[0]
        first = [0.0] if space == "y" and op in PASSED else []
        if space == "d":
            size += abs(passed(op, *given))
        cells[target] = passed(op, *given, *([cells[target]] if adds else first))
    return cells, size


def check_storage(program: Program, at: Sequence[float], own: int, jam: int) -> None:
    """Code leaves the bits that the tape's instructions leave, one after the other; sums over lanes to rounding."""
    inputs = range(len(program.inputs))
    request = Request(tuple(i >= own for i in inputs), tuple(inputs))
    tape = tape_of(program, request, lambda op, static: True)
    memory = {("x", i): x for i, x in enumerate(at[:own])} | {("p", i): x for i, x in enumerate(at[own:])}
    memory |= {("s", 0): 1.0, **{("d", i): 0.0 for i in range(tape.sizes["d"])}}
    expected, size = straight(tape, memory)
    rolled = roll(tape)
    for alone in (False, True):
        results = interpreted(place(rolled, alone=alone), at[:own], at[own:], jam)
        for space, got in zip("yd", results, strict=True):
            for i, x in enumerate(got):
                assert same(x, expected[space, i], space == "y" or alone, 10.0 * size), (alone, space, i)


def check(f: Callable[[Sequence[Any]], Any], at: Sequence[float]) -> None:
    """In strict mode the bits of recording, for one sample and for each of a batch; sums over samples to rounding."""
    compiled = mg.compile(f, strict=True, cache=False)
    rows = np.array([[x + 0.1 * k for x in at] for k in range(5)])
    recorded = [eager(lambda *xs: f(xs), row) for row in rows.tolist()]
    value, gradient = compiled.value_and_grad(list(at))
    assert all(
        same(a, b, strict=True) for a, b in zip([value, *gradient], [recorded[0][0], *recorded[0][1]], strict=True)
    )
    for count in (2, 5):  # few samples have code of their own
        values, gradients = compiled.batch_value_and_grad(rows[:count])
        for v, g, theirs in zip(values, gradients, recorded, strict=False):
            assert all(same(a, b, strict=True) for a, b in zip([v, *g], [theirs[0], *theirs[1]], strict=True))

    def shared(xs: Sequence[Any], y: Any) -> Any:
        return f(xs) * y

    size = sum(map(abs, recorded[0][1]))
    weighed = mg.compile(shared, cache=False)
    for weights in ([1.0, -2.0], [1.0, -2.0, 0.5, 0.25, -0.75]):
        _, (tied, _) = weighed.batch_value_and_grad(list(at), weights, in_axes=(None, 0))
        assert all(same(a, -b, strict=False, size=10 * size) for a, b in zip(tied, recorded[0][1], strict=True))
