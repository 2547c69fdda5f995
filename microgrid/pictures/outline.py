"""Outline of a graph or a program: items with titles, roles and modules; and the boxes into which they fold."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from microgrid.core.primitive import POWER, Op
from microgrid.engine import CONSTANT, Value, edges_of, topological
from microgrid.pictures.sketch import printable
from microgrid.program import Program

Role = Literal["input", "parameter", "constant", "intermediate", "output"]

RESULT = "z"
"""Name of a result without a label, as textbooks have it; another value may have it as its label."""

SUPERSCRIPTS = str.maketrans("0123456789-.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·")


class Item(NamedTuple):
    """One value of a graph, or one slot of a program, which has no numbers; operands are indices in the list.

    `size` is the number of values that it stands for; `note` is the function that it is, such as sigmoid(z).
    """

    title: str
    sign: str
    role: Role
    module: str
    data: float | None
    grad: float | None
    operands: tuple[int, ...]
    partials: tuple[float | None, ...]
    op: Op | None = None
    static: tuple[float, ...] = ()
    size: int = 1
    note: str = ""

    @property
    def name(self) -> str:
        """The title, else the function that it is."""
        return self.title or self.note


class Box(NamedTuple):
    """A box: a single item, or many folded into one, by their indices."""

    title: str
    module: str
    members: Sequence[int]

    @property
    def folded(self) -> bool:
        """True if the box stands for more than one item."""
        return len(self.members) > 1


@functools.lru_cache(maxsize=4096)
def sign(op: Op, static: tuple[float, ...] = ()) -> str:
    """Return the sign of an op in a box: ×, √, (·)², or its name."""
    numbers = [f"{c:g}" for c in static]
    if op.precedence == POWER:
        return printable(op.sign) + "".join(numbers).translate(SUPERSCRIPTS)
    return " ".join([printable(op.sign), *numbers])


def shown(roots: Iterable[Value]) -> list[Value]:
    """Return the values that get a box, in the order of recording: all but static operands, which the sign shows."""
    values = topological(roots)
    static = {operand for value in values if _has_static(value) for operand in value.operands[len(value._prev) :]}
    return [value for value in values if value not in static] if static else values


def titles(values: Sequence[Value], names: Mapping[str, Any]) -> list[str]:
    """Return each value's label, else the name of the variable that holds it."""
    named = {value: name for name, value in names.items() if isinstance(value, Value) and not name.startswith("_")}
    return [printable(value.label or named.get(value, "")) for value in values]


def items_of(root: Value, names: Mapping[str, Any]) -> list[Item]:
    """Return the items of root's graph. A leaf that only one module uses belongs to it."""
    values = shown([root])
    places = {value.number: i for i, value in enumerate(values)}
    edges = [[(places[operand.number], partial) for operand, partial in _edges(value)] for value in values]
    users: list[set[str]] = [set() for _ in values]
    first: set[int] = set()
    for value, used in zip(values, edges, strict=True):
        if value.module:
            for place, (i, _) in enumerate(used):
                users[i].add(value.module)
                if place == 0:
                    first.add(i)
    neurons = _neurons(values, users)
    items = []
    for i, (value, title) in enumerate(zip(values, titles(values, names), strict=True)):
        constant = value.op is CONSTANT
        parameter = value.op is None and _PARAMETER.fullmatch(value.label) is not None
        if parameter:  # a module that is called in several frames is one
            parameter = len({path.rpartition(".")[2] for path in users[i]}) == 1
        if parameter and users[i] <= neurons:  # in a neuron, a weight is a factor and a bias a summand
            parameter = i in first and _OF_A_NEURON.fullmatch(value.label) is not None
        role: Role = "constant" if constant else "parameter" if parameter else "input"
        computed = value.op is not None and not constant
        if computed:
            role = "intermediate"
        if value is root:
            role = "output"
        owned = constant or parameter
        static = tuple(static_operands(value)) if computed and _has_static(value) else ()
        items.append(
            Item(
                title,
                sign(value.op, static) if computed and value.op is not None else "",
                role,
                printable(next(iter(users[i])) if owned and len(users[i]) == 1 else value.module),
                value.data,
                None if constant else value.grad,
                tuple(j for j, _ in edges[i]),
                tuple(partial for _, partial in edges[i]),
                value.op if computed else None,
                static,
            )
        )
    return _told_apart(values, items)


def _told_apart(values: Sequence[Value], items: list[Item]) -> list[Item]:
    """Number the second and further instances of a module's class: those with other parameters of the same names."""
    users: list[list[int]] = [[] for _ in items]
    for i, item in enumerate(items):
        for j in item.operands:
            users[j].append(i)
    instance = [0] * len(items)
    met: dict[tuple[str, str], list[int]] = {}
    for i, item in enumerate(items):
        for module in {items[user].module for user in users[i]} if item.role == "parameter" else ():
            same = met.setdefault((module, values[i].label), [])
            same.append(i)
            instance[i] = max(instance[i], len(same) - 1)
    if not any(instance):
        return items
    for i, item in enumerate(items):
        if item.operands:
            outermost = _outermost(item.module)
            own = [instance[j] for j in item.operands if items[j].role == "parameter"]
            parts = [instance[j] for j in item.operands if _outermost(items[j].module) == outermost]
            instance[i] = max(own or parts or [0])
    for i, item in enumerate(items):
        if item.role == "constant" and users[i]:
            instance[i] = instance[users[i][0]]
    return [
        item._replace(module=_numbered(item.module, k)) if k and item.module else item
        for item, k in zip(items, instance, strict=True)
    ]


def _outermost(path: str) -> str:
    """Return the path up to the outermost module: the first part that is named like a class, behind any frames."""
    parts = path.split(".")
    count = next((k for k, part in enumerate(parts, 1) if part[:1].isupper() and part.isidentifier()), 1)
    return ".".join(parts[:count])


def _numbered(path: str, instance: int) -> str:
    outermost = _outermost(path)
    return f"{outermost}#{instance + 1}{path[len(outermost) :]}"


def number_names(items: Sequence[Item]) -> list[str]:
    """Return names for values that have no other: v and the number of each, z for the result at the end."""
    names = [f"v{i}" for i in range(len(items))]
    if not any(item.title == RESULT for item in items):
        names[-1] = RESULT
    return names


def short_paths(items: Iterable[Item]) -> dict[str, str]:
    """Return the paths of the modules without the outermost one, where all of them are in it; "" stays."""
    paths = {item.module for item in items}
    outermost = {path.partition(".")[0] for path in paths if path}
    return {path: path.partition(".")[2] or path if len(outermost) == 1 else path for path in paths}


def _neurons(values: Sequence[Value], users: Sequence[set[str]]) -> set[str]:
    """Return the modules that use leaves labelled as weights and bias of a neuron."""
    labels: dict[str, set[str]] = {}
    for value, modules in zip(values, users, strict=True):
        if value.op is None:
            for module in modules:
                labels.setdefault(module, set()).add(value.label)
    return {module for module, own in labels.items() if own >= {"w[0]", "b"}}


_OF_A_NEURON = re.compile(r"w\[\d+\]|b")
_PARAMETER = re.compile(r"w\[\d+\]|b|(.*\.)?(weight|bias|w|b)(\[\d+\])*")


def static_operands(value: Value) -> list[float]:
    """Return the plain numbers that belong to a value's operation."""
    return [operand.data for operand in value.operands[len(value._prev) :]] if _has_static(value) else []


def _edges(value: Value) -> list[tuple[Value, float]]:
    edges = edges_of(value)
    return edges[: -value.op.static] if value.op is not None and value.op.static else edges


def _has_static(value: Value) -> bool:
    return value.op is not None and value.op.static > 0


def items_of_program(program: Program) -> list[Item]:
    """Return the items of a program, without numbers but for its constants."""
    first = len(program.inputs)
    items = [Item(name, "", "input", "", None, None, (), ()) for name in program.inputs]
    items += [Item("", "", "constant", "", x, None, (), ()) for x in program.constants]
    numbers = dict(enumerate(program.constants, first))
    static: set[int] = set()
    used: set[int] = set(program.outputs)
    for op, operands in program.instructions:
        count = op.arity - op.static
        static.update(operands[count:])
        used.update(operands[:count])
        slot = len(items)
        role: Role = "output" if slot in program.outputs else "intermediate"
        title = printable(program.labels.get(slot, ""))
        fixed = tuple(numbers[i] for i in operands[count:])
        partials = (None,) * count
        items.append(Item(title, sign(op, fixed), role, "", None, None, tuple(operands[:count]), partials, op, fixed))
    hidden = {slot for slot in static - used if slot in numbers}
    kept = [slot for slot in range(len(items)) if slot not in hidden]
    places = {slot: i for i, slot in enumerate(kept)}
    return [items[slot]._replace(operands=tuple(places[i] for i in items[slot].operands)) for slot in kept]


# --- folding -------------------------------------------------------------------------------------------------------

OVERVIEW = 30
"""Maximum number of boxes of a folded picture, where folding by modules and signs reaches it."""

MOST_EDGES = 120
"""Maximum number of edges between boxes of which some are folded: neurons fold into layers before they are a tower."""


def boxes(items: Sequence[Item], *, max_nodes: int, depth: int | None) -> list[Box]:
    """Return a box for each item, or for each module below `depth`; folded further as long as there are too many.

    `depth` counts the levels of modules that stay open: 0 makes each model one box, 1 each of its layers. Boxes of a
    graph, which has no cycles, have none either: a module that is used again on its own results is a box each time,
    and operations fold with others of their sign that come at the same stage. Where `depth` makes too many boxes, a
    lower one is taken. The order of recording is cut into parts only if nothing else helps.
    """
    kinds = Counter((item.module, item.role, item.sign) for item in items)
    deepest = max((module.count(".") + 1 for module, _, _ in kinds if module), default=0)
    holders = {module[:end] for module, _, _ in kinds for end, sign in enumerate(module) if sign == "."}
    steps = range(deepest if depth is None else min(depth, deepest), -1, -1)
    if depth is not None:
        levels = [(depth, _ALL), (depth, _INSIDE), *[(step, _NONE) for step in steps]]
    else:
        levels = [*[(step, _ALL) for step in steps], *[(step, apart) for step in steps for apart in (_INSIDE, _NONE)]]
    most = max_nodes
    groups: list[tuple[tuple[str, str] | None, list[int]]] = []
    for level, apart in levels:
        homes = {kind: _home(*kind, level, apart, holders) for kind in kinds}
        most = max_nodes if apart == _ALL or (apart == _NONE and depth is not None) else min(OVERVIEW, max_nodes)
        least = len({home for home in homes.values() if home}) + sum(kinds[kind] for kind in kinds if not homes[kind])
        if least > most:
            continue
        groups = _staged(items, homes)
        if len(groups) <= most and (depth is not None or _few_edges(items, groups)):
            break
    else:
        if not groups or len(groups) > most:
            groups = _pieces(items, most)
    return [
        Box(home[0], home[1], members)
        if len(members) > 1 and home is not None
        else Box("", items[members[0]].module, members)
        for home, members in groups
    ]


def _staged(
    items: Sequence[Item], homes: Mapping[tuple[str, Role, str], tuple[str, str] | None]
) -> list[tuple[tuple[str, str] | None, list[int]]]:
    """Return the members of each box: items of one home and stage, which grows along each edge to another home."""
    own = [homes[item.module, item.role, item.sign] for item in items]
    leaves: dict[int, int] = {}
    for _ in range(2):  # once to find where leaves are used first, in a box of theirs, and once with leaves there
        stages: list[int] = []
        for i, item in enumerate(items):
            if not item.operands:
                stages.append(leaves.get(i, 0))
                continue
            stage = 0
            for j in item.operands:
                stage = max(stage, stages[j] + (own[i] is None or own[j] != own[i]))
            stages.append(stage)
        for i, item in enumerate(items):
            for j in item.operands:
                if not items[j].operands and own[j] is not None and own[j] == own[i]:
                    leaves[j] = min(stages[i], leaves.get(j, stages[i]))
    found: dict[Any, list[int]] = {}
    for i in range(len(items)):
        found.setdefault(i if own[i] is None else (own[i], stages[i]), []).append(i)
    return [(key[0] if isinstance(key, tuple) else None, members) for key, members in found.items()]


def _few_edges(items: Sequence[Item], groups: Sequence[tuple[Any, Sequence[int]]]) -> bool:
    """Return True if nothing is folded, or few pairs of boxes have edges between them."""
    if len(groups) == len(items):
        return True
    home = {i: k for k, (_, members) in enumerate(groups) for i in members}
    pairs: set[tuple[int, int]] = set()
    for i, item in enumerate(items):
        pairs.update((home[j], home[i]) for j in item.operands if home[j] != home[i])
        if len(pairs) > MOST_EDGES:
            return False
    return True


def _pieces(items: Sequence[Item], most: int) -> list[tuple[tuple[str, str] | None, list[int]]]:
    """Return pieces of the order of recording, and the outputs: where nothing else makes few boxes."""
    outputs = [i for i, item in enumerate(items) if item.role == "output"]
    others = [i for i, item in enumerate(items) if item.role != "output"]
    size = max(1, -(-len(others) // max(1, most - len(outputs))))
    pieces: list[tuple[tuple[str, str] | None, list[int]]] = [
        ((f"part {k // size + 1}", ""), others[k : k + size]) for k in range(0, len(others), size)
    ]
    return [*pieces, *((None, [i]) for i in outputs)]


_ALL, _INSIDE, _NONE = "all", "inside modules", "none"
"""Items with a box of their own: all that are in no folded module; of those, only what is in a module; or none."""


def _home(
    module: str, role: Role, sign: str, depth: int, apart: str, holders: Collection[str]
) -> tuple[str, str] | None:
    """Return title and module of the box that an item of this kind folds into; None where it has its own.

    Where none has, items directly in a module of `holders`, which has modules inside, fold with others of their sign,
    as do those in no module; those of any other module fold into it, at whatever level it is.
    """
    path = module.split(".") if module else []
    if role == "output":
        return None
    if len(path) > depth:
        return path[depth], ".".join(path[:depth])
    if apart == _NONE and path and module not in holders:
        return path[-1], ".".join(path[:-1])
    return (sign or f"{role}s", module) if apart == _NONE or (apart == _INSIDE and not path) else None


def arrows(items: Sequence[Item], drawn: Sequence[Box]) -> Counter[tuple[int, int]]:
    """Count the edges from each box to each other box."""
    home = {i: k for k, box in enumerate(drawn) for i in box.members}
    counted: Counter[tuple[int, int]] = Counter()
    for i, item in enumerate(items):
        for j in item.operands:
            if home[i] != home[j]:
                counted[home[j], home[i]] += 1
    return counted
