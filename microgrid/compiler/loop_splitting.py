"""From the Values of a function with loops to a `Looped` program: the stages between loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.compiler.looped import Looped, Repeated
from microgrid.core import tree
from microgrid.engine import CONSTANT, Value, edges_of, topological
from microgrid.program import Instruction, Program


class LoopCall(NamedTuple):
    """A loop in a function that is traced: its operands and results.

    And the numbers of the last nodes before its step was traced, after that, and before the results.
    """

    operands: list[Value]
    results: list[Value]
    loop: Repeated
    began: int
    traced: int
    end: int


def split(
    outputs: Sequence[Value],
    out_structure: tree.Structure,
    inputs: Sequence[Value],
    structures: Sequence[tuple[str, Any]],
    outside: list[Value],
    start: int,
    calls: Sequence[LoopCall],
) -> Looped:
    """Return the program of outputs that loops take part in; Values from before the start are appended to `outside`."""
    stages = _Stages([*inputs, *outside], outside, start, calls)
    nodes = stages.nodes(outputs)
    given = [*inputs, *outside]
    names, labels, in_structure = signature(inputs, structures, outside)
    slots = {node.number: i for i, node in enumerate(given)}
    total = len(given)
    exports = [[*stage.values()] for stage in stages.exports[:-1]]
    for exported, call in zip(exports, calls, strict=True):
        slots |= {node.number: total + k for k, node in enumerate([*exported, *call.results])}
        total += len(exported) + len(call.results)
    total += len(outputs)
    names_of_slots = ("",) * total
    programs = [
        _straight(own, exported, slots, names_of_slots)
        for own, exported in zip(nodes, [*exports, outputs], strict=True)
    ]
    loops = [call.loop._replace(operands=tuple([slots[x.number] for x in call.operands])) for call in calls]
    return Looped(names, labels, programs, loops, in_structure, out_structure)


def signature(
    inputs: Sequence[Value], structures: Sequence[tuple[str, Any]], outside: Sequence[Value]
) -> tuple[list[str], list[str], list[Any]]:
    """Return names of parameters, labels of inputs, and structures of parameters, captured Values being the last."""
    names = [*[parameter for parameter, _ in structures], *[f"outside{i}" for i in range(len(outside))]]
    labels = [*[node.label for node in inputs], *[node.label or f"outside{i}" for i, node in enumerate(outside)]]
    return names, labels, [*[s for _, s in structures], *range(len(inputs), len(inputs) + len(outside))]


class _Stages:
    """Distribution of nodes over stages, from the last one to the first."""

    def __init__(self, inputs: list[Value], outside: list[Value], start: int, calls: Sequence[LoopCall]) -> None:
        self.inputs = inputs
        self.outside = outside
        self.start = start
        self.calls = calls
        self.exports: list[dict[int, Value]] = [{} for _ in range(len(calls) + 1)]
        """For each stage what later ones, and its loop, take from it."""

    def nodes(self, outputs: Sequence[Value]) -> list[list[Value]]:
        """Return the nodes of each stage."""
        calls = self.calls
        given = [*self.inputs, *[result for call in calls for result in call.results]]
        known = {node.number for node in given}
        wanted: dict[int, Value] = {}
        found = []
        for i in range(len(calls), -1, -1):
            begin = calls[i - 1].end if i else self.start
            own = {n: x for n, x in wanted.items() if n > begin or x.op is CONSTANT}
            for number in own:
                del wanted[number]
            older: dict[int, Value] = {}
            roots = outputs if i == len(calls) else own.values()
            nodes = topological(roots, inputs=given, start=begin, older=older)
            self.check(nodes)
            self.exports[i] = dict(sorted(own.items()))
            found.append(nodes)
            wanted |= older
            if i:
                wanted |= {x.number: x for x in calls[i - 1].operands if x.number not in known}
        self.outside += [wanted[number] for number in sorted(wanted)]
        return found[::-1]

    def check(self, nodes: Sequence[Value]) -> None:
        """Raise TypeError for a node that was made in a step, and got out by another way than the results."""
        for call in self.calls:
            for node in nodes:
                if call.began < node.number <= call.traced:
                    raise TypeError(
                        f"a Value that the step of {call.loop.name} made, at {call.loop.line}, is used outside of the "
                        "loop: compiled, the step is traced once, so return it as y, or in the carry"
                    )


def _straight(nodes: Sequence[Value], outputs: Sequence[Value], known: dict[int, int], names: Sequence[str]) -> Program:
    """Return the program of a stage: its inputs are all slots."""
    constants = [node for node in nodes if node.op is None or node.op is CONSTANT]
    results = [(node, node.op, edges_of(node)) for node in nodes if not (node.op is None or node.op is CONSTANT)]
    own = {node.number: len(names) + i for i, node in enumerate([*constants, *[node for node, _, _ in results]])}
    slots = {**known, **own}
    instructions = [Instruction(op, tuple([slots[x.number] for x, _ in edges])) for _, op, edges in results if op]
    return Program(
        names,
        names,
        [node.item() for node in constants],
        instructions,
        [slots[node.number] for node in outputs],
        in_structure=range(len(names)),
        out_structure=list(range(len(outputs))),
        labels={own[node.number]: node.label for node, _, _ in results if node.label},
    )
