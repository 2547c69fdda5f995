"""Names of the usual functions that a person has written out, as 1 / (1 + exp(-z)), for the items that compute them."""

from __future__ import annotations

from collections.abc import Sequence

from microgrid.graph.recognition import Step, log_sum_exps, recognised
from microgrid.pictures.outline import Item

NAMED = frozenset("sigmoid tanh relu softplus logsigmoid softsign silu gelu elu leaky_relu sinh cosh softmax".split())
"""Functions that are named; the recognition knows more, which nobody calls by name."""

_BEGIN = frozenset("exp exp2 expm1 shifted_exp tanh erf abs maximum where".split())  # one of them is in each
_MOST = 5_000  # items among which functions are looked for


def with_names(items: list[Item]) -> list[Item]:
    """Return the items with names of functions as notes on their results."""
    if len(items) > _MOST or not any(item.op is not None and item.op.name in _BEGIN for item in items):
        return items
    steps, constants, places = _laid_flat(items)
    first = len(places) - len(steps)
    found = list(items)
    softmaxes: dict[frozenset[int], int] = {}
    units = [
        (unit.kind, unit.result, unit.operands) for unit in recognised(steps, first, constants) if unit.written_out
    ]
    units += [("logsumexp", result, operands) for result, operands in log_sum_exps(steps, first, constants)]
    for kind, result, operands in sorted(units, key=lambda unit: unit[1]):
        if kind not in NAMED and kind != "logsumexp":
            continue
        name = kind
        if kind == "softmax":
            group = frozenset(operands)
            softmaxes[group] = k = softmaxes.get(group, -1) + 1
            name = f"softmax[{k}]"
        elif len(operands) == 1 and (of := found[places[operands[0]]].name):
            name = f"{kind}({of})"
        i = places[result]
        found[i] = items[i]._replace(note=name)
    return found


def _laid_flat(items: Sequence[Item]) -> tuple[list[Step], dict[int, float], list[int]]:
    """Return the steps, the constants by their slots, and the item of each slot; static operands get slots, too."""
    given = [i for i, item in enumerate(items) if item.op is None]
    computed = [i for i, item in enumerate(items) if item.op is not None]
    numbers = [x for i in computed for x in items[i].static]
    places = [*given, *[-1] * len(numbers), *computed]
    slots = {i: slot for slot, i in enumerate(places) if i >= 0}
    constants = {slots[i]: x for i in given if items[i].role == "constant" and (x := items[i].data) is not None}
    constants |= dict(enumerate(numbers, len(given)))
    steps: list[Step] = []
    static = len(given)
    for i in computed:
        op, operands = items[i].op, [slots[j] for j in items[i].operands]
        assert op is not None
        count = len(items[i].static)
        steps.append((op, [*operands, *range(static, static + count)]))
        static += count
    return steps, constants, places
