"""The stepper: a page that walks through the forward and the backward pass, one node at a time.

It is one piece of HTML that needs no network, no kernel and no library. It carries the graph, and derives the rest: so
its inputs can be moved. Where scripts may not run, it is the picture of the final state, with a text for those who
cannot see it.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from microgrid.core.primitive import CALL, OPS, Op, has_rule
from microgrid.engine import CONSTANT, Value
from microgrid.pictures import symbols, web
from microgrid.pictures.carried import scripts_for
from microgrid.pictures.derivation import derivation
from microgrid.pictures.layered import Layered, layered
from microgrid.pictures.outline import Item, number_names, short_paths, sign, static_operands
from microgrid.pictures.still import curve, still
from microgrid.pictures.walk import Folded, Walk, folded
from microgrid.text.javascript import Functions, Library, functions
from microgrid.text.mathml import template

MOST_VALUES = 80
"""Maximum number of values in a picture of the whole; of a larger graph the page shows the neighbourhood of each."""

LONGEST_DERIVATION = 4_000
"""Maximum number of characters of a derivation that the page carries."""

BOX, CONSTANT_BOX = (126.0, 66.0), (52.0, 30.0)
"""Sizes of the boxes; one with a line for its module is 14 higher."""

GAPS = {"LR": (120.0, 26.0), "TB": (84.0, 14.0)}
"""Distances between ranks, and between boxes of one rank, for each direction: there is room for the edges' labels."""


def page(steps: Walk) -> str:
    """Return the stepper as a page that opens by itself."""
    name = steps.names[-1]
    nameless = not steps.items[-1].title and name == number_names(steps.items)[-1]
    return web.page("Backpropagation, step by step" if nameless else f"Steps of {name}", _piece(steps, alone=True))


def html(steps: Walk, *, practice: int = 0) -> str:
    """Return the stepper as a piece of HTML for a notebook or a page; in practice from the start at a level above 0."""
    return _piece(steps, alone=False, practice=practice, given=int(practice > 0))


def practice_page(exercises: Sequence[Sequence[Walk]], first: int) -> str:
    """Return a page of small graphs to practise on, those of each difficulty by seeds from the first on."""
    kinds = _Kinds()
    sets = [[_graph(steps, kinds, True)[0] for steps in row] for row in exercises]
    more = {"x": sets, "first": first, "drill": {"seed": first}, "practice": 1}
    return web.page("Practise backpropagation", _piece(exercises[0][0], alone=True, kinds=kinds, **more))


def _graph(steps: Walk, kinds: _Kinds, pictured: bool) -> tuple[dict[str, Any], dict[str, Layered]]:
    """Return what the script is given of a graph, and its layouts where the whole of it is pictured."""
    views: dict[str, Layered] = {}
    if pictured:
        views = {direction: _layout(steps.items, direction) for direction in GAPS}
    data = _data(steps, kinds) | {
        "t": "" if isinstance(steps, Folded) else _latex(steps),
        "g": {name: _view(view) for name, view in views.items()},
    }
    return data, views


def _piece(steps: Walk, *, alone: bool, kinds: _Kinds | None = None, **more: Any) -> str:
    kinds, whole = kinds or _Kinds(), len(steps.items) <= MOST_VALUES
    data, views = _graph(steps, kinds, whole)
    short = folded(steps) if not more.get("x") else None
    if short is not None:
        first, views = _graph(short, kinds, whole)
        own = ("live", "why", "t")  # of the whole: a sum would hide that a number in it was changed
        same: dict[str, Any] = {key: data[key] for key in own if key in data}
        data = {**first, **same, "u": data, "folded": 1}
    kinds_of_all = [_kind(kind) for kind in kinds.all]
    data |= {"alone": int(alone), "F": kinds_of_all, "N": _notations(kinds_of_all), **more}
    if short is None:
        data = {key: x for key, x in data.items() if x not in ([], {}, "")}
    uid = web.new_id(web.as_json(data))
    fallback = web.image(still(short or steps, views.get("LR")), _in_words(steps))
    scripts = ["formulas.js", "copying.js", "stepper.js", "practice.js", *scripts_for(data)]
    scripts += ["picture.js" if whole else "local.js"]
    styles = ["stepper.css"] if whole else ["stepper.css", "local.css"]
    return web.widget(uid, fallback, scripts, styles, data, kinds.script())


def _latex(steps: Walk) -> str:
    """Return the derivation; "" where it is too long for a slide."""
    if len(steps.items) > MOST_VALUES:
        return ""
    try:
        text = derivation(steps)
    except ValueError:
        return ""
    return text if len(text) <= LONGEST_DERIVATION else ""


def _layout(items: Sequence[Item], direction: Any) -> Layered:
    high = BOX[1] + 14.0 * any(item.module for item in items)
    sizes = [CONSTANT_BOX if item.role == "constant" else (BOX[0], high) for item in items]
    edges = [(j, i) for i, item in enumerate(items) for j in item.operands]
    between, apart = GAPS[direction]
    return layered(sizes, edges, rankdir=direction, rank_gap=between, node_gap=apart)


def _view(view: Layered) -> dict[str, Any]:
    return {
        "w": round(view.width),
        "h": round(view.height),
        "b": [[round(x), round(y)] for x, y in view.boxes],
        "e": [curve(points) for points in view.curves],
    }


def _in_words(steps: Walk) -> str:
    names = steps.names
    leaves = [
        f"{names[i]} {web.number(steps.grads[i])}"
        for i, item in enumerate(steps.items)
        if item.role in ("input", "parameter")
    ]
    listed = ", ".join(leaves[:30]) + (f" and {len(leaves) - 30} more" if len(leaves) > 30 else "")
    value = web.number(steps.values[-1].data)
    return f"The graph of {names[-1]}, which is {value}. Its gradients: {listed}."


# --- what the script is given --------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """An op with its static operands, and its functions as JavaScript; None where it has none.

    The sum or the mean of several values, which no op is, has their number.
    """

    op: Op | None
    static: tuple[float, ...]
    functions: Functions | None
    terms: int = 0
    name: str = ""


_SUM = Functions("(...x) => x.reduce((a, b) => a + b)", "(z, ...x) => x.map(() => 1)", True, True)
_MEAN = Functions(
    "(...x) => x.reduce((a, b) => a + b) / x.length", "(z, ...x) => x.map(() => 1 / x.length)", True, True
)


class _Kinds:
    """The distinct ops with their static operands, in the order in which they are met."""

    def __init__(self) -> None:
        self.all: list[_Kind] = []
        self.library = Library()
        self._places: dict[tuple[Op, tuple[str, ...]], int] = {}

    def place(self, op: Op, static: Sequence[float]) -> int:
        key = (op, tuple(map(repr, static)))
        if key not in self._places:
            self._places[key] = len(self.all)
            try:
                found = functions(op, tuple(static), self.library)
            except TypeError:
                found = None
            self.all.append(_Kind(op, tuple(static), found))
        return self._places[key]

    def folded(self, item: Item) -> int:
        """Return the place of a sum or a mean."""
        name, count = item.sign.split(" ")[0], len(item.operands)
        kind = _Kind(None, (), _MEAN if name == "mean" else _SUM, count, name)
        if kind not in self.all:
            self.all.append(kind)
        return self.all.index(kind)

    def missing(self) -> list[str]:
        """Names of the ops that have no JavaScript."""
        return [kind.op.name for kind in self.all if kind.op is not None and kind.functions is None]

    def script(self) -> str:
        """Return the functions as the text of an array."""
        pairs = [f"[{k.functions.forward},{k.functions.rule}]" if k.functions else "0" for k in self.all]
        listed, texts = f"[{','.join(pairs)}]", " ".join(self.library.texts)
        return f"(() => {{ {texts} return {listed}; }})()" if texts else listed


def _data(steps: Walk, kinds: _Kinds) -> dict[str, Any]:
    """Return the graph: ops, operands and leaves, and the recorded numbers that a browser may round differently."""
    code: list[list[int]] = []
    given: list[float | int | str] = []
    values: dict[int, float | int | str] = {}
    rules: dict[int, list[float | int | str]] = {}
    changed = False
    modules: dict[str, int] = {}
    paths = short_paths(steps.items)
    counts = Counter((item.name, item.module) for item in steps.items if item.name)
    for i, (item, value) in enumerate(zip(steps.items, steps.values, strict=True)):
        modules.setdefault(paths[item.module], len(modules))
        if value.op is None or value.op is CONSTANT:
            code.append([-2 if value.op is CONSTANT else -3 if item.role == "parameter" else -1])
            given.append(_number(value.data))
            continue
        if item.op is None:
            code.append([kinds.folded(item), *item.operands])
            terms = [steps.values[j].data for j in item.operands]
            total = functools.reduce(operator.add, terms) / (len(terms) if item.sign.startswith("mean") else 1.0)
            if not _same(total, value.data):
                values[i] = _number(value.data)
            continue
        static = static_operands(value)
        kind = kinds.place(value.op, static)
        code.append([kind, *item.operands])
        known = kinds.all[kind].functions
        numbers = [steps.values[j].data for j in item.operands] + static
        partials = value.partials[: len(item.operands)]
        right, right_rule = (False, False) if known is None else _as_recorded(value, numbers, partials)
        if known is None or not (right and known.exact):
            values[i] = _number(value.data)
        if known is None or not (right_rule and known.exact_rule):
            rules[i] = list(map(_number, partials))
        changed |= known is not None and not (right and right_rule)
    missing = kinds.missing()
    data: dict[str, Any] = {
        "c": code,
        "v": given,
        "l": [
            item.name.replace("\n", " ") + (f"#{i}" if item.name and counts[item.name, item.module] > 1 else "")
            for i, item in enumerate(steps.items)
        ],
        "o": values,
        "p": rules,
        "d": {i: _number(x) for i, x in steps.differences().items()},
        "m": dict(steps.sums()),
        "a": {i: _number(x) for i, x in enumerate(steps.starts) if x},
        "s": steps.seed,
        "live": int(not missing and not changed),
    }
    if missing or changed:
        data["why"] = (
            f"The inputs cannot be moved here: {missing[0]} is computed by Python. The page that microgrid play opens "
            "has Python behind it."
            if missing
            else "The inputs cannot be moved here: a number was changed after the recording."
        )
    if len(modules) > 1 or "" not in modules:
        data["W"] = list(modules)
        data["w"] = [modules[paths[item.module]] for item in steps.items]
    return data


def _as_recorded(value: Value, numbers: Sequence[float], partials: Sequence[float]) -> tuple[bool, bool]:
    """Return True for a value, and for its partials, that the operands have now as when they were recorded."""
    assert value.op is not None
    try:
        right = _same(value.op.float_forward(*numbers), value.data)
        return right, all(map(_same, value.op.float_partials(value.data, *numbers), partials))
    except (ArithmeticError, ValueError, TypeError):  # a function of the user's, at numbers that were changed
        return False, False


def _kind(kind: _Kind) -> list[Any]:
    """Return name, static operands, rules, remark and when it is made, choices, sign, and the names in the rules."""
    op, static, *_ = kind
    if op is None:
        slope: Any = 1 if kind.name == "sum" else ["div", 1, kind.terms]
        names = [f"x{k}" for k in range(kind.terms)]
        return [kind.name, [], [slope] * kind.terms, "", 0, [0] * kind.terms, f"{kind.name} of {kind.terms}", names]
    count = op.arity - op.static
    remark = ["", 0] if op.remark is None else [op.remark.text, op.remark.below]
    rules: list[Any] = [0] * count
    if has_rule(op):
        rules = [_json(rule) for rule in _rules(op, static)]
    return [
        op.name,
        list(map(_number, static)),
        rules,
        *remark,
        list(map(int, op.piecewise[:count])),
        sign(op, static),
        list(op.variables),
    ]


def _rules(op: Op, static: tuple[float, ...]) -> list[Any]:
    try:
        return [symbols.rule(op, static, k) for k in range(op.arity - op.static)]
    except (TypeError, ValueError):  # a rule that cannot be traced
        return [0] * (op.arity - op.static)


def _json(tree: Any) -> Any:
    if isinstance(tree, float):
        return _number(tree) if math.isfinite(tree) else f"{tree:g}".replace("inf", "∞").replace("-", "−")
    return [_json(x) for x in tree] if isinstance(tree, tuple) else tree


def _notations(kinds: Sequence[Any]) -> dict[str, Any]:
    """Return for each op's name that stands in a formula its MathML, the precedences, and its sign."""
    found: dict[str, Any] = {}
    agenda: list[Any] = [[kind[0], *kind[2]] for kind in kinds]
    while agenda:
        name, *operands = agenda.pop()
        op = OPS.get(name)
        if op is not None and name not in found:
            made = template(op.latex, op.name, op.arity)
            found[name] = [made.mathml, made.binds, made.needs]
            if op.precedence < CALL and op.arity <= 2:
                found[name] += [op.precedence, {"*": "·", "-": "−", "**": "^"}.get(op.symbol, op.symbol)]
        agenda += [x for x in operands if isinstance(x, list)]
    return found


def _number(x: float) -> float | int | str:
    """Return a number as JSON holds it, to the bit."""
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0.0 else "-Infinity"
    return int(x) if x.is_integer() and abs(x) < 1e15 and math.copysign(1.0, x) > 0.0 else x


def _same(x: float, y: float) -> bool:
    return repr(x) == repr(y)
