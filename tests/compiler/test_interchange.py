"""Loops interchanged: every cell has the same contributions in the same order, sums over samples in some order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microgrid.compiler import interchange
from microgrid.compiler.interchange import interchanged
from microgrid.compiler.poly import Poly, linear
from microgrid.compiler.roll import Loop, Node, Rolled, Statement
from microgrid.compiler.tape import Shape, Tape

INDICES = st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 1, -1, 3, 9]), st.sampled_from([1, 1, 0, 2]))
"""Base of an index, and its steps in the outer and the inner loop."""


@st.composite
def loops(draw: st.DrawFn) -> Rolled:
    """Return a loop with statements and loops of statements that read and add to cells of one space."""
    tape = Tape()
    tape.sizes.update(dict.fromkeys(("a", "g", "v", "d"), 200))
    numbers = iter(range(20))

    def statement(*counters: int) -> Statement:
        target, adds, operand = draw(
            st.sampled_from([*[("a", 1, "g")] * 3, ("a", 1, "a"), ("a", 0, "g"), ("d", 1, "a")])
        )
        base, *steps = draw(INDICES)
        index = linear(30 + base, list(zip(counters, steps, strict=False)))
        base, *steps = draw(INDICES) if operand == "a" else (30, 10, 1)
        read = linear(30 + base, list(zip(counters, steps, strict=False)))
        return Statement(Shape("passed", bool(adds), target, (operand,)), (index, read), next(numbers))

    body: list[Node] = []
    for counter in range(1, draw(st.integers(2, 4))):
        if draw(st.booleans()):
            times = draw(st.sampled_from([3, 8, 9]))
            only = statement(0, counter)
            found = Loop(counter, linear(times, []), (only,))
            if times == 9 and draw(st.booleans()):  # as a nest of three times three
                both = linear(0, [(counter, 3), (counter + 9, 1)])
                only = only._replace(cells=tuple([cell.at(counter, both) for cell in only.cells]))
                found = Loop(counter, linear(3, []), (Loop(counter + 9, linear(3, []), (only,)),))
            body.append(found)
        else:
            body.append(statement(0))
    return Rolled((Loop(0, linear(draw(st.integers(2, 4)), []), tuple(body)),), tape)


def numbers_in(nodes: Sequence[Node]) -> tuple[dict[tuple[str, int], Any], Counter[Any]]:
    """Return the contributions that each cell has in the end, in order, and those to sums over samples."""
    cells: dict[tuple[str, int], Any] = {}
    sums: Counter[Any] = Counter()
    late = []

    def run(node: Node, at: Mapping[int, int]) -> None:
        if isinstance(node, Loop):
            for k in range(node.times.values(at)):
                for inner in node.body:
                    run(inner, {**at, node.counter: k})
            return
        target, *operands = [int(cell.values(at)) for cell in node.cells]
        read = tuple(zip(node.shape.operands, operands, strict=True))
        if node.shape.target == "d":
            late.append((target, read))
            return
        here = node.shape.target, target
        new = tuple([cells.get(cell, cell) for cell in read])
        cells[here] = (*cells.get(here, (here,)), new) if node.shape.adds else (new,)

    for node in nodes:
        run(node, {})
    for target, read in late:
        sums[target, tuple([cells.get(cell, cell) for cell in read])] += 1
    return cells, sums


def layer(target: Poly, operand: tuple[str, Poly], *more: Node) -> Rolled:
    """Return a loop over five outputs that adds to the cotangents of eight inputs, and to derivatives."""
    tape = Tape()
    tape.sizes.update(dict.fromkeys(("a", "g", "v", "d"), 200))
    adds = Statement(Shape("passed", True, "a", (operand[0],)), (target, operand[1]), 0)
    sums = Statement(Shape("passed", True, "d", ("g",)), (linear(0, [(1, 1)]), linear(0, [(0, 1)])), 1)
    return Rolled((Loop(0, linear(5, []), (Loop(1, linear(8, []), (adds, sums)), *more)),), tape)


PLAIN = layer(linear(0, [(1, 1)]), ("g", linear(0, [(0, 8), (1, 1)])))

LATER = Statement(Shape("passed", True, "a", ("g",)), (linear(100, [(0, 1)]), linear(0, [])), 2)
"""It adds to what the layer has read."""


@settings(deadline=None, max_examples=100)
@given(loops())
@example(layer(linear(0, []), ("g", linear(0, [(0, 8), (1, 1)]))))
@example(layer(linear(0, [(0, 1), (1, 1)]), ("g", linear(0, [(0, 8), (1, 1)]))))
@example(layer(linear(0, [(1, 1)]), ("a", linear(1, [(1, 1)]))))
@example(layer(linear(0, [(1, 1)]), ("a", linear(100, [(0, 1)])), LATER))
def test_each_cell_has_its_contributions_in_the_same_order(rolled: Rolled) -> None:
    assert numbers_in(interchanged(rolled).nodes) == numbers_in(rolled.nodes)


def test_the_loop_over_contributions_becomes_the_inner_one() -> None:
    first, second = interchanged(PLAIN).nodes
    assert isinstance(first, Loop)
    assert isinstance(second, Loop)
    assert first.times.base == second.times.base == 8
    assert [node.times.base for node in (*first.body, *second.body) if isinstance(node, Loop)] == [5, 5]


def test_a_cotangent_that_is_read_between_contributions_stays_and_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = Statement(Shape("passed", False, "g", ("a",)), (linear(100, [(0, 1)]), linear(3, [])), 2)
    rolled = layer(linear(0, [(1, 1)]), ("g", linear(0, [(0, 8), (1, 1)])), reads)
    assert numbers_in(interchanged(rolled).nodes) == numbers_in(rolled.nodes)
    monkeypatch.setattr(interchange, "statements", lambda nodes: [])
    assert numbers_in(interchanged(rolled).nodes) != numbers_in(rolled.nodes)
