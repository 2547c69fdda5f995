"""Nested loops that share what they use: at every depth, in every mode, compiled is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unrolled import check, check_storage

import microgrid as mg
from microgrid import trace
from microgrid.compiler import plan


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is read before it is written holds nan here."""
    monkeypatch.setattr(plan, "POISON", True)


Nest = tuple[Any, ...]
"""(times, start, kind, what is inside): a loop that carries one number, and what it does to that in an iteration."""

STARTS: dict[str, Callable[[Sequence[Any], Sequence[int]], Any]] = {
    "nothing": lambda xs, at: 0.0,
    "tied": lambda xs, at: xs[0],
    "own": lambda xs, at: xs[sum(at) % len(xs)],
    "last": lambda xs, at: xs[-1] * 0.5,
}
KINDS: dict[str, Callable[[Any, Any, Sequence[Any], Sequence[int]], Any]] = {
    "sum": lambda carried, new, xs, at: carried + new,
    "scaled sum": lambda carried, new, xs, at: carried + xs[0] * new,
    "shifted sum": lambda carried, new, xs, at: carried + mg.sin(new + xs[1]),
    "heated sum": lambda carried, new, xs, at: carried + mg.tanh(new / (xs[1] * xs[1] + 1.0)),
    "Horner": lambda carried, new, xs, at: carried * xs[0] + new,
    "recurrence": lambda carried, new, xs, at: mg.sin(carried * xs[1] + new * xs[at[-1] % len(xs)]),
    "weighed": lambda carried, new, xs, at: carried + xs[sum(at) % len(xs)] * new,
    "counted": lambda carried, new, xs, at: carried + new * (0.5 * at[-1] - 1.0),
}
INSIDES: dict[str, Callable[[Sequence[Any], Sequence[int]], Any]] = {
    "tied twice": lambda xs, at: xs[0] * 2.0,
    "row": lambda xs, at: xs[at[0] % len(xs)] * xs[at[-1] % len(xs)],
    "window": lambda xs, at: xs[sum(at) % len(xs)] - xs[1],
    "last": lambda xs, at: xs[-1],
}


def nests(depth: int) -> st.SearchStrategy[Nest]:
    inside: st.SearchStrategy[Any] = st.sampled_from(sorted(INSIDES))
    if depth > 1:
        inside = st.one_of(inside, st.lists(nests(depth - 1), min_size=1, max_size=2).map(tuple))
    return st.tuples(st.integers(2, 9), st.sampled_from(sorted(STARTS)), st.sampled_from(sorted(KINDS)), inside)


def run(nest: Nest, xs: Sequence[Any], at: tuple[int, ...] = ()) -> Any:
    """The number that a nest of loops leaves; loops side by side within one are multiplied."""
    times, start, kind, inside = nest
    carried = STARTS[start](xs, at)
    for i in range(times):
        here = (*at, i)
        if isinstance(inside, str):
            new = INSIDES[inside](xs, here)
        else:
            new = mg.prod([mg.tanh(run(inner, xs, here)) for inner in inside])
        carried = KINDS[kind](carried, new, xs, here)
    return carried


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(nests(3), st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=9), st.data())
def test_storage_keeps_every_number_of_loops_that_share_them(nest: Nest, at: list[float], data: st.DataObject) -> None:
    program = trace(lambda xs: run(nest, xs))(at)
    own, jam = data.draw(st.sampled_from([len(at), len(at), 2])), data.draw(st.sampled_from([2, 4, 8]))
    check_storage(program, at, own, jam)


Stretch = tuple[int, int, tuple[tuple[int, int, int], ...]]
"""(times, times of a loop within, what is read: where from, and by how much that advances in either loop)."""


def woven(stretches: Sequence[Stretch], xs: Sequence[Any]) -> Any:
    """A list that grows by functions of its own numbers, read at any stride; the last ones and some more are added."""
    grown = list(xs)
    for times, within, reads in stretches:
        for i in range(times):
            for j in range(within):
                new: Any = 0.0
                for start, step, stride in reads:
                    new = mg.sin(new + grown[(start + step * i + stride * j) % len(grown)] * xs[0])
                grown.append(new)
    return mg.sum([x * (0.5 + i % 7) for i, x in enumerate(grown[-25::2])]) + grown[len(grown) // 2]


stretches = st.lists(
    st.tuples(
        st.integers(3, 8),
        st.sampled_from([1, 1, 3, 5]),
        st.lists(st.tuples(st.integers(0, 60), st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=3).map(
            tuple
        ),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(stretches, st.integers(4, 40), st.data())
def test_storage_keeps_every_number_of_lists_that_are_read_at_strides(
    given: list[Stretch], n: int, data: st.DataObject
) -> None:
    at = [0.3 + 0.07 * i for i in range(n)]
    program = trace(lambda xs: woven(given, xs))(at)
    check_storage(program, at, n, data.draw(st.sampled_from([2, 4, 8])))


def test_a_stride_that_ends_in_the_loop_itself() -> None:
    """The last iteration reads from memory what the same iteration made: its store must not wait for the loop's end."""

    def f(xs: Sequence[Any]) -> Any:
        made = [mg.exp(x) for x in xs]
        for i in range(4):
            made.append(xs[i] + 1.0)  # nothing in the backward pass reads it
            made.append(mg.sin(made[11 * i]))
            made.append(made[-1] + made[-2])
        return mg.sum(made[:24]) + mg.sum(made[26::3])

    at = [0.1 * i for i in range(24)]
    check_storage(trace(f)(at), at, 24, 4)
    check(f, at)


@pytest.mark.slow
@settings(deadline=None, max_examples=6)
@given(nests(2), st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=9))
def test_loops_that_share_numbers_at_any_depth(nest: Nest, at: list[float]) -> None:
    check(lambda xs: run(nest, xs), at)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("depth", [2, 3])
def test_a_number_used_in_the_innermost_loop_gets_all_of_its_gradient(depth: int, kind: str) -> None:
    nest: Nest = (3, "nothing", kind, "tied twice")
    for times in (8, 5)[: depth - 1]:
        nest = times, "nothing", "sum", (nest,)
    check(lambda xs: run(nest, xs), [0.3, -0.2, 0.7])
