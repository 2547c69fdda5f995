"""Passes that visit only what depends on an input, against passes over the whole graph."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from programs import RandomFunction, functions, points

from microgrid import Value, ops, sin
from microgrid.graph.linearize import Linearization
from microgrid.graph.sparsity import SparsePasses


def number(x: Any) -> float:
    return float(x.data) if isinstance(x, Value) else float(x)


@settings(deadline=None)
@given(st.data(), functions(outputs=3))
def test_entries_are_those_of_passes_over_the_whole_graph(data: st.DataObject, f: RandomFunction) -> None:
    xs = [Value(x) for x in data.draw(points(f.inputs))]
    outputs = f(*xs)
    passes = SparsePasses(outputs, xs)
    linear = Linearization(outputs, xs)
    columns = [[y.data for y in linear.push_values([float(k == j) for k in range(len(xs))])] for j in range(len(xs))]
    rows = [[y.data for y in linear.pull_values([float(k == i) for k in range(3)])] for i in range(3)]
    entries = passes.entries()
    found = {(i, j): number(slope) for i, j, slope in entries}
    wanted = columns if len(xs) < 3 else list(zip(*rows, strict=True))
    for j, column in enumerate(wanted):
        for i, slope in enumerate(column):
            assert repr(found.get((i, j), 0.0) + 0.0) == repr(slope + 0.0)
    assert all(a[:2] < b[:2] for a, b in itertools.pairwise(entries))
    for i, j, slope in passes.entries(lower=True):
        assert i >= j
        assert repr(number(slope) + 0.0) == repr(columns[j][i] + 0.0)
    wide = SparsePasses(outputs[:1], [*xs, *[Value(0.5) for _ in range(3)]])  # by rows, for more inputs than outputs
    across = {j: repr(number(slope) + 0.0) for _, j, slope in wide.entries()}
    assert all(across.get(j, "0.0") == repr(slope + 0.0) for j, slope in enumerate(rows[0]))


def test_an_entry_is_a_matter_of_the_graph_and_not_of_numbers() -> None:
    x, y, z = Value(0.0), Value(2.0), Value(3.0)
    outputs = [x * y, ops.stop_gradient(x) + z, 0.0 * sin(z), Value(1.0), y]
    places = [entry[:2] for entry in SparsePasses(outputs, [x, y, z]).entries()]
    assert places == [(0, 0), (0, 1), (1, 2), (2, 2), (4, 1)]
    assert [entry[:2] for entry in SparsePasses([x, x], [x, y]).entries()] == [(0, 0), (1, 0)]
