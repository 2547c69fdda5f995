"""A module or a frame of a large graph as a graph of its own, small enough to be drawn and stepped through."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from microgrid.engine import CONSTANT, Value, edges_of, is_bundle, topological
from microgrid.graph.copying import twin

NEAREST = 5
"""Maximum number of paths that an error names."""


def excerpt(root: Value, module: str) -> list[Value]:
    """Return copies of the results that a module, or a frame, gave to the rest of root's graph, in their order.

    Their graphs hold what was computed in the module. What it got from elsewhere are leaves with the same numbers, with
    the name of the module that made them, and their order among those, for a label: `query[0]`. `.grad` is copied, too;
    a backward pass through an excerpt leaves the graph alone.

    `module` is the path in `Value.module`, which `draw` shows by its frames. Raises ValueError where nothing was
    computed in it.

    >>> from microgrid import frame
    >>> x = Value(2.0, label="x")
    >>> with frame("square"):
    ...     y = x * x
    >>> [z] = excerpt((y + x).tanh(), "square")
    >>> z.data, [v.label for v in z.operands]
    (4.0, ['x', 'x'])
    """
    if not isinstance(root, Value):
        raise TypeError(f"excerpt takes a Value, got {type(root).__name__} ({root!r}): take the loss, or an output")
    nodes = topological([root], bundles=True)
    computed = [node for node in nodes if node.op is not None and node.op is not CONSTANT and not is_bundle(node)]
    inside = {node.number for node in computed if node.module == module or node.module.startswith(f"{module}.")}
    if not inside:
        raise ValueError(f"nothing was computed in {module!r}; there is {_near(module, computed)}")
    users = [node for node in computed if node.number not in inside]
    given = {root.number, *[operand.number for user in users for operand, _ in edges_of(user)]}
    results = [number for number in sorted(inside) if number in given]
    for node in reversed(nodes):  # bundles, which hold third and further operands, belong to their user
        if node.number in inside:
            inside.update([x.number for x in (node._a, node._b) if x is not None and is_bundle(x)])
    outside = module.rfind(".") + 1
    twins: dict[int, Value] = {}
    taken: Counter[str] = Counter()

    def operand_of(node: Value | None) -> Value | None:
        if node is not None and node.number not in twins:
            twins[node.number] = twin(node, None, None) if node.op is CONSTANT else _leaf(node, taken)
        return None if node is None else twins[node.number]

    for node in nodes:
        if node.number in inside:
            made = twins[node.number] = twin(node, operand_of(node._a), operand_of(node._b))
            made.module = node.module[outside:]
    return [twins[number] for number in results]


def _near(module: str, computed: Sequence[Value]) -> str:
    """Return the modules that something was computed in, and those around them; of many, the most similar paths."""
    known: dict[str, None] = {}
    for node in computed:
        path = node.module
        while path and path not in known:
            known[path] = None
            path = path.rpartition(".")[0]
    if len(known) <= NEAREST + 1:
        return ", ".join(known) or "no module"
    near = difflib.get_close_matches(module, known, NEAREST, cutoff=0.0)
    return f"{', '.join(near)} and {len(known) - NEAREST} others"


def _leaf(node: Value, taken: Counter[str]) -> Value:
    """Return a leaf with the number of a node, and a label by its module where it has none of its own."""
    place = node.module.rpartition(".")[2]
    leaf = Value(node.item(), label=node.label or (f"{place}[{taken[place]}]" if place else ""))
    leaf.grad = node.grad
    taken[place] += not node.label
    return leaf
