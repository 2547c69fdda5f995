"""From a function to a program, with captured Values as further inputs, and the module path of each result.

What the function compares or reads is an error: compiled code has no other path.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from microgrid.compiler.loop_splitting import signature, split
from microgrid.compiler.loop_tracing import LoopTracer
from microgrid.compiler.looped import Looped
from microgrid.compiler.whole import Whole
from microgrid.core import tree
from microgrid.core.scope import (
    line_of,
    plainly_recording,
    reading,
    recording_conditions,
    tracing_loops,
    user_line,
)
from microgrid.engine import Value, demand_rules, modules_of, newest, topological
from microgrid.functional import Twice, returned
from microgrid.graph.dependence import Dependence
from microgrid.graph.flat import Flat, flat
from microgrid.graph.running import run_noting_reads
from microgrid.program import Program


class Recording(NamedTuple):
    """The graph that was recorded while tracing: the numbers of the program's inputs, their Values, and the outputs.

    All of it was made since the node number `start`, which is 0 with captured Values.
    """

    numbers: array[float]
    inputs: list[Value]
    outputs: list[Value]
    start: int


class Traced(NamedTuple):
    """A program, the captured Values that are its last inputs, and the module path of each instruction.

    `drawn` are the modules that draw a factor for each sample, one for each input of the program before the captured.

    `unrolled` are loops whose iterations were recorded one by one, each with the reason. With others it is `Looped`,
    and the modules of its instructions are not known.
    """

    program: Program | Looped
    captured: tuple[Value, ...]
    modules: tuple[str, ...]
    seconds: float
    name: str = "the function"
    drawn: tuple[Any, ...] = ()
    shorter: Program | None = None
    """A program with the same results, up to rounding."""
    unrolled: tuple[str, ...] = ()
    recording: Recording | None = None
    """The recorded graph, until the first result is compared with it; None of loops that are traced once."""


def traced(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    outside: Sequence[Value] = (),
    result: str = "",
    whole: Whole | None = None,
    *,
    strict: bool = False,
    at_floats: bool = False,
    loops: bool = True,
    notes: list[str] | None = None,
) -> Traced:
    """Return the program of function(*arguments), trees of floats.

    Values that the function finds outside become inputs, those of `outside` first. The steps of its loops are traced
    once, but without `loops`; `strict` unrolls those whose sums would have another order, of which `notes` tell. With
    `at_floats`, derivatives that the function takes have the signs of zeros that they have at floats.
    Raises TypeError with the line where the function looked at a number, or took one of `whole` for a whole number.
    """
    name = result or getattr(function, "__name__", type(function).__name__)
    inputs: list[Value] = []
    whole_inputs: list[Value] = []
    start, began = newest(), time.perf_counter()
    seen: list[tuple[str, Value, Any, Any, str]] = []

    def fresh(leaf: float, path: str) -> Value:
        inputs.append(Value(leaf, label=path))
        return inputs[-1]

    notes = [] if notes is None else notes
    tracer = LoopTracer(traced, strict, at_floats, notes) if loops else None
    with plainly_recording(), recording_conditions(), without_collection(), tracing_loops(tracer):
        given = []
        structures = []
        for parameter, argument in arguments.items():
            before = len(inputs)
            leaves, structure = tree.flatten(argument, fresh, parameter)
            given.append(tree.unflatten(structure, leaves))
            if whole is not None:
                paths = tuple(whole.paths)
                whole_inputs += [x for x in inputs[before:] if parameter in whole.names or x.label.startswith(paths)]
            if len(inputs) > before:
                structures.append((parameter, tree.renumbered(structure, range(before, len(inputs)))))
        with reading(lambda how, value, other, answer: seen.append((how, value, other, answer, user_line()))):
            try:
                value, read = run_noting_reads(tracer.run(function) if tracer else function, *given)
            except Exception as error:
                if "arrays used as indices" in str(error) and (whole is None or whole == ([], [])):
                    raise TypeError(
                        f"{name} cannot be compiled: it takes an array of Values for an index, at {line_of(error)}; "
                        "where that is a comparison, keep both paths: numpy.where(x > 0.0, x, 0.0)"
                    ) from error
                if whole is None or not whole.taken_for_one(error):
                    raise
                raise TypeError(whole.error(name, error)) from error
        again: list[Value] = []
        if isinstance(value, Twice):
            again, _ = tree.flatten(value.shorter, functools.partial(returned, name, read), "")
            value = value.plain
        outputs, out_structure = tree.flatten(value, functools.partial(returned, name, read), "")
        captured = list(outside)
        graph: Flat | None = None
        fewer: Flat | None = None
        if tracer is not None and tracer.calls:
            demand_rules(topological(outputs, inputs=inputs, start=start))
        else:  # the error for a rule that is not there says more than what a number was read for
            graph = flat(outputs, [*inputs, *captured], start)
            if again:
                fewer = flat(again, graph.inputs, start)
                if len(fewer.inputs) > len(graph.inputs):
                    graph = flat(outputs, fewer.inputs, start)
        depends = Dependence(inputs, start)
        counted = Dependence(whole_inputs, start)
        for look in seen:
            if look[0] == "once" or look[1] in depends or look[2] in depends:
                advised = whole is not None and (look[1] in counted or look[2] in counted)
                raise TypeError(_refusal(name, *look) + (whole.advice(name) if whole is not None and advised else ""))
        program: Program | Looped
        modules: tuple[str, ...] = ()
        recording: Recording | None = None
        shorter: Program | None = None
        if graph is None:
            assert tracer is not None
            program = split(outputs, out_structure, inputs, structures, captured, start, tracer.calls)
        else:
            captured = graph.inputs[len(inputs) :]
            program, modules = _laid_flat(graph, out_structure, inputs, structures, captured)
            if fewer is not None:
                shorter, _ = _laid_flat(fewer, out_structure, inputs, structures, captured)
            if all(value.op is None for value in captured):  # a captured result may depend on another captured Value
                leaves = [*inputs, *captured]
                recording = Recording(
                    array("d", [leaf.item() for leaf in leaves]), leaves, outputs, 0 if captured else start
                )
    return Traced(
        program,
        tuple(captured),
        modules,
        time.perf_counter() - began,
        name,
        shorter=shorter,
        unrolled=tuple(notes),
        recording=recording,
    )


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Disable cycle collection within a context: 200,000 nodes are recorded, and none of them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _choice(how: str, value: Value, other: Any) -> str:
    """Return the text of a choice by a comparison that is recorded, and of Python's, in whose place it comes."""
    x = value.label if value.label.isidentifier() else "x"
    y = repr(other) if not isinstance(other, Value) else other.label if other.label.isidentifier() else "y"
    if how in (">", "<="):
        condition = f"{x}.greater({y})"
    elif how not in ("<", ">="):
        condition = f"{x}.equal({y})"
    elif isinstance(other, Value):
        condition = f"{y}.greater({x})"
    else:  # a plain number has no such method
        condition = f"(-{x}).greater({0 - other!r})"
    paths = "b, a" if how in ("<=", ">=", "!=") else "a, b"
    return f"where({condition}, {paths}) in place of `a if {x} {how} {y} else b`"


def _refusal(name: str, how: str, value: Value, other: Any, answer: Any, line: str) -> str:
    if how == "once":
        return f"{name} cannot be compiled: {other} ({line})"
    text = value.label or f"a {value.op.name if value.op else 'number'} of {value.item()!r}"
    if how == "grad":
        return f"{name} cannot be compiled: it reads the .grad of {text}, at {line}; take microgrid.grad of a function"
    if how == "data":
        return (
            f"{name} cannot be compiled: it reads the number of {text}, by .data, .item(), a copy, a text or no_grad, "
            f"at {line}, and compiled code would go on with that number for ever; compute with the Value itself"
        )
    right = (other.label or repr(other.item())) if isinstance(other, Value) else repr(other)
    return (
        f"{name} cannot be compiled: its path depends on whether {text} {how} {right}, at {line}; keep both paths: "
        f"{_choice(how, value, other)}, for arrays numpy.where(x {how} y, a, b), maximum or minimum"
    )


def _laid_flat(
    graph: Flat,
    out_structure: tree.Structure,
    inputs: Sequence[Value],
    structures: Sequence[tuple[str, Any]],
    outside: Sequence[Value],
) -> tuple[Program, tuple[str, ...]]:
    """Return the program of a graph and the module of each instruction."""
    modules, given_labels = modules_of(graph.results)
    first = len(graph.inputs) + len(graph.constants)
    names, labels, in_structure = signature(inputs, structures, outside)
    program = Program(
        names,
        labels,
        graph.numbers,
        graph.straight,
        graph.outputs,
        in_structure=in_structure,
        out_structure=out_structure,
        labels={first + k: label for k, label in given_labels.items()},
    )
    return program, tuple(modules)
