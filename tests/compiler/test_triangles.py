"""Counts and cells that are polynomials: triangles, packed indices, growing lists, long bodies, no iterations."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import unrolled
from hypothesis import given, settings
from hypothesis import strategies as st
from unrolled import check_expansion, check_storage, tape

import microgrid as mg
from microgrid import trace
from microgrid.compiler import storage
from microgrid.compiler.code import Code, Guard, Repeat, Stored
from microgrid.compiler.roll import Loop, Node, Rolled, roll
from microgrid.compiler.storage import place
from microgrid.compiler.tape import Tape

At = tuple[int, ...]
"""The counters around, outermost first."""

BOUNDS: dict[str, Callable[[int, At], int]] = {
    "n": lambda n, at: n,
    "i": lambda n, at: at[-1],
    "i + 1": lambda n, at: at[-1] + 1,
    "n - i": lambda n, at: max(n - at[-1], 0),
    "2 i": lambda n, at: 2 * at[-1],
    "i - 2": lambda n, at: at[-1] - 2,
    "i + j": lambda n, at: sum(at),
    "of the outermost": lambda n, at: at[0],
}
STARTS: dict[str, Callable[[Sequence[Any], At], Any]] = {
    "nothing": lambda xs, at: 0.0,
    "own": lambda xs, at: xs[sum(at) % len(xs)],
    "tied": lambda xs, at: xs[0] * 0.5,
}
ENDS: dict[str, Callable[[Any, Any, Sequence[Any], At], Any]] = {
    "sum": lambda carried, new, xs, at: carried + new,
    "difference": lambda carried, new, xs, at: carried - xs[at[-1] % len(xs)] * new,
    "recurrence": lambda carried, new, xs, at: mg.sin(carried * xs[1] + new),
    "counted": lambda carried, new, xs, at: carried + new * (0.5 * at[-1] - 1.0),
}
READS: dict[str, Callable[[Sequence[Any], At], Any]] = {
    "row": lambda xs, at: xs[at[-1] % len(xs)],
    "rows": lambda xs, at: xs[at[0] % len(xs)] - xs[at[-1] % len(xs)],
    "packed": lambda xs, at: xs[(at[-1] + sum(at) * (sum(at) + 1) // 2) % len(xs)],
    "packed by columns": lambda xs, at: xs[(7 * at[-1] - at[-1] * (at[-1] - 1) // 2 + at[0]) % len(xs)],
    "tetrahedron": lambda xs, at: xs[(at[0] * (at[0] + 1) * (at[0] + 2) // 6 + at[-1]) % len(xs)],
    "tied": lambda xs, at: xs[0] * xs[1],
}
Item = tuple[Any, ...]
"""A loop, (bound, n, start, end, items); or (kind, number) of a read, a push, a look back or a long body."""

simple: st.SearchStrategy[Item] = st.one_of(
    st.tuples(st.sampled_from(sorted(READS)), st.just(0)),
    st.tuples(st.sampled_from(["push", "back", "back by the counter"]), st.integers(0, 6)),
)


def loops(depth: int) -> st.SearchStrategy[Item]:
    """Loops that nest so deep."""
    items = st.one_of(simple, loops(depth - 1)) if depth > 1 else simple
    return st.tuples(
        st.sampled_from(sorted(BOUNDS)),
        st.integers(0, 6),
        st.sampled_from(sorted(STARTS)),
        st.sampled_from(sorted(ENDS)),
        st.lists(items, min_size=1, max_size=2).map(tuple),
    )


def outermost(depth: int) -> st.SearchStrategy[Item]:
    """Loops of enough iterations for the rows of a triangle to be found, around others, perhaps in a long body."""
    more = st.one_of(simple, simple, st.tuples(st.just("long"), st.sampled_from([10, 65])))
    items = st.one_of(st.tuples(loops(depth)), st.tuples(more, loops(depth)), st.tuples(loops(depth), more))
    return st.tuples(st.just("n"), st.integers(6, 9), st.just("nothing"), st.sampled_from(sorted(ENDS)), items)


def run(item: Item, xs: Sequence[Any], grown: list[Any], at: At = ()) -> Any:
    """The number that a loop carries; it pushes others on a list."""
    bound, n, start, end, items = item
    carried = STARTS[start](xs, at)
    for k in range(BOUNDS[bound](n, at)):
        here = (*at, k)
        new: Any = carried * 0.25
        for kind, number, *rest in items:
            if rest:
                new = new + run((kind, number, *rest), xs, grown, here)
            elif kind in READS:
                new = new + READS[kind](xs, here)
            elif kind == "push":
                grown.append(mg.tanh(new + xs[number]))
            elif kind == "long":
                ops = random.Random(number)
                for _ in range(number):
                    new = ops.choice([mg.sin, mg.cos, mg.tanh])(new * xs[ops.randrange(len(xs))] + ops.random())
            elif grown:
                back = number if kind == "back" else number * here[-1]
                new = new * 0.5 + grown[-1 - back % len(grown)]
        carried = ENDS[end](carried, new, xs, here)
    return carried


def programmed(nests: Sequence[Item]) -> Callable[[Sequence[Any]], Any]:
    """The function of some nests one after the other."""

    def f(xs: Sequence[Any]) -> Any:
        grown: list[Any] = []
        total: Any = 0.0
        for nest in nests:
            total = total + run(nest, xs, grown)
        return total + mg.sum(grown[-9::2]) + xs[0]

    return f


def numbers(n: int) -> list[float]:
    return [0.9 - 0.13 * i + 0.01 * i * i for i in range(n)]


def cases(depth: int, most: int) -> st.SearchStrategy[tuple[Sequence[Item], int, int]]:
    """Nests, how many inputs they have, and how many of these are each sample's own."""
    nests = st.lists(outermost(depth), min_size=1, max_size=most)
    return st.tuples(nests, st.sampled_from([60, 60, 7]), st.sampled_from([0, 2, 60]))


def check_stages(nests: Sequence[Item], n: int, own: int, jam: int) -> None:
    """Loops expand to the tape, and code on them leaves the bits that the tape leaves."""
    program = trace(programmed(nests))(numbers(n))
    check_expansion(program, min(own, n))
    check_storage(program, numbers(n), min(own, n), jam)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(cases(1, 2), st.sampled_from([4, 8]))
def test_triangles_are_loops_that_compute_the_same(case: tuple[Any, int, int], jam: int) -> None:
    check_stages(*case, jam)


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(cases(2, 1), st.sampled_from([4, 8]))
def test_so_are_tetrahedra(case: tuple[Any, int, int], jam: int) -> None:
    check_stages(*case, jam)


def packed(xs: Sequence[Any]) -> Any:
    """Squares of sums over the rows of a packed triangular matrix, whose first ones are empty."""
    squares = []
    for j in range(-2, 7):
        row = 2.0 * xs[j + 2]
        for i in range(j):
            row = row + xs[9 + j * (j - 1) // 2 + i] * xs[i]
        squares.append(mg.sin(row))
    return mg.sum(squares)


def rolled_of(f: Callable[[Sequence[Any]], Any], n: int) -> Rolled:
    return roll(tape(trace(f)(numbers(n)), n))


def lennard_jones(n: int) -> Callable[[Sequence[Any]], Any]:
    def f(x: Sequence[Any]) -> Any:
        energy: Any = 0.0
        for i in range(n):
            for j in range(i):
                r2 = mg.sum([(x[3 * i + k] - x[3 * j + k]) ** 2 for k in range(3)])
                s3 = 1.0 / (r2 * r2 * r2)
                energy = energy + 4.0 * (s3 * s3 - s3)
        return energy

    return f


def cached(n: int) -> Callable[[Sequence[Any]], Any]:
    """Each number is weighed by those before it."""

    def f(x: Sequence[Any]) -> Any:
        keys: list[Any] = []
        total: Any = 0.0
        for t in range(n):
            keys.append(mg.tanh(x[t]))
            weights = [mg.exp(x[t] * key) for key in keys]
            scale = mg.sum(weights)
            total = total + mg.sum([w / scale * key for w, key in zip(weights, keys, strict=True)])
        return total

    return f


def growing(xs: Sequence[Any], steps: int, size: int) -> Any:
    state: Any = xs[0]
    for _ in range(steps):
        for k in range(size):
            state = (mg.sin, mg.cos, mg.tanh)[k * k % 3](state * xs[k * k % 7] + 0.25 * k)
    return state


@pytest.mark.parametrize(
    ("make", "sizes", "inputs", "most"),
    [
        (lennard_jones, (9, 14), 3, 110),
        (cached, (12, 17), 1, 100),
        (lambda steps: lambda xs: growing(xs, steps, 70), (4, 9), 2, 1100),
    ],
    ids=["pairs", "growing list", "long body"],
)
def test_loops_of_any_shape_have_one_size(make: Any, sizes: Sequence[int], inputs: int, most: int) -> None:
    small, large = (check_expansion(trace(make(n))(numbers(inputs * n)), inputs * n) for n in sizes)
    assert small.elements == large.elements <= most


def test_triangles_are_printed_as_loops() -> None:
    text = str(rolled_of(packed, 54))
    assert "for j in range(i):" in text
    assert "x[i (i - 1)/2 + j + 9] * x[j]" in text


def planted_count(node: Node) -> Node:
    """Inner loops of a triangle run one iteration more."""
    if not isinstance(node, Loop):
        return node
    times = node.times.plus(1) if node.times.terms else node.times
    return node._replace(times=times, body=tuple(map(planted_count, node.body)))


def planted_base(node: Node) -> Node:
    """Cells with a quadratic index are those before them."""
    if isinstance(node, Loop):
        return node._replace(body=tuple(map(planted_base, node.body)))
    quadratic = [any(degree > 1 for powers, _ in cell.terms for _, degree in powers) for cell in node.cells]
    return node._replace(
        cells=tuple([cell.plus(-1) if off else cell for cell, off in zip(node.cells, quadratic, strict=True)])
    )


@pytest.mark.parametrize("plant", [planted_count, planted_base])
def test_a_wrong_count_or_index_is_seen(plant: Callable[[Node], Node], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(straight: Tape) -> Rolled:
        rolled = roll(straight)
        nodes = tuple(map(plant, rolled.nodes))
        assert nodes != rolled.nodes
        return rolled.with_nodes(nodes)

    monkeypatch.setattr(unrolled, "roll", wrong)
    with pytest.raises(AssertionError):
        check_expansion(trace(packed)(numbers(54)), 54)


def test_a_number_held_over_a_loop_without_iterations_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what a loop carries is lost where it does not run."""
    lost: list[Any] = []

    def without(code: Sequence[Code]) -> Iterator[Code]:
        for item in code:
            if isinstance(item, Guard):
                lost.extend(item.results)
                yield item._replace(results=tuple([(register, 0.5, after) for register, _, after in item.results]))
            elif isinstance(item, Repeat):
                yield item._replace(body=tuple(without(item.body)))
            else:
                yield item

    def wrong(rolled: Rolled, *, alone: bool) -> Stored:
        stored = place(rolled, alone=alone)
        return stored._replace(segments=tuple([tuple(without(segment)) for segment in stored.segments]))

    program = trace(packed)(numbers(54))
    check_storage(program, numbers(54), 54, 4)
    monkeypatch.setattr(unrolled, "place", wrong)
    with pytest.raises(AssertionError):
        check_storage(program, numbers(54), 54, 4)
    assert lost


def test_a_sum_in_a_register_that_another_index_reads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: no index names what another one names."""
    nest: Item = ("n", 6, "nothing", "counted", (("2 i", 0, "nothing", "counted", (("packed", 0),)),))
    check_stages([nest], 60, 0, 4)
    monkeypatch.setattr(storage._Placement, "aliases", lambda self, nodes, here: set())
    with pytest.raises(AssertionError):
        check_stages([nest], 60, 0, 4)
