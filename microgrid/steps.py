"""`steps`: the forward and the backward pass of a graph, one node at a time, as plain records."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

from microgrid.core.files import PathLike, ending, write_text
from microgrid.core.primitive import SUM, has_rule
from microgrid.engine import CONSTANT, Value
from microgrid.graph.passes import backpropagation
from microgrid.pictures import symbols
from microgrid.pictures.outline import Item, items_of, number_names, short_paths, shown, static_operands
from microgrid.program import Program
from microgrid.text.notation import Written

SHOWN = 20
"""Number of steps at each end of a pass that stay when its text is folded in the middle."""

LONGEST_NAME = 24
"""Maximum length of an expression that names a value without a label; a longer one is called v7 or so, the result z."""


_MADE = re.compile(r"\bv\d| of \d")
"""Names that `steps` makes: the result is no expression in these."""


class Contribution(NamedTuple):
    """Contribution of one node to the gradient of one operand: its own gradient times the partial.

    `formula` is the partial derivative in symbols, as `d(a * b)/da = b`.
    """

    operand: int
    name: str
    formula: str
    partial: float
    contribution: float
    before: float
    after: float


class Step(NamedTuple):
    """One node's turn. Nodes are numbered in the order of recording; `values[node]` of the `Steps` is the Value.

    Forward, the node's number is computed from its operands'. Backward, its gradient (`upstream`) is complete, and
    goes on to its operands: `why` it is this one's turn; which nodes are `waiting` for the rest of their gradient,
    which are `ready` next, which are `done`. `remarks` say in words what is special here. `numerical` is the gradient
    by central differences, None where that was not asked for. `nudge` says what a nudge of each operand does to the
    result: the linear prediction, and the next term of the Taylor series where it helps.
    """

    phase: Literal["forward", "backward"]
    node: int
    name: str
    expression: str
    data: float
    upstream: float
    contributions: tuple[Contribution, ...]
    why: str
    remarks: tuple[str, ...]
    waiting: tuple[int, ...]
    ready: tuple[int, ...]
    done: tuple[int, ...]
    numerical: float | None = None
    nudge: str = ""

    def __str__(self) -> str:
        lines = [self.name if self.expression == self.name else f"{self.name} = {self.expression}"]
        if self.phase == "forward":
            lines[0] += f" = {_n(self.data)}"
        else:
            lines[0] += f": gradient {_n(self.upstream)}"
            lines[0] += f" (by differences {_n(self.numerical)})" if self.numerical is not None else ""
            lines.append(f"  {self.why}")
        lines += [
            f"  {with_number(c.formula, c.partial)} | × gradient {_n(self.upstream)} = {_n(c.contribution)}"
            f" | {c.name}: was {_n(c.before)}, now {_n(c.after)}"
            for c in self.contributions
        ]
        lines += [f"  {self.nudge}"] if self.nudge else []
        return "\n".join([*lines, *(f"  {remark}" for remark in self.remarks)])


class Steps(Sequence[Step]):
    """All steps, forward then backward, made by `steps`; a notebook shows them as a stepper.

    `values` are the nodes, `names` their names; `starts` their gradients before the backward pass, `grads` after it. A
    step is built when it is accessed, so that a large graph can be stepped, too.
    """

    def __init__(self, root: Value, seed: float, items: Sequence[Item], numerical: bool, accumulate: bool) -> None:
        self.items = tuple(items)
        self.values = tuple(shown([root]))
        self.starts = [value.grad if accumulate and value.op is None else 0.0 for value in self.values]
        self.seed = seed
        self._root, self._numerical = root, numerical
        self._written: list[Written] | None = None
        self._sums: dict[int, str] | None = None
        self._forward = [i for i, value in enumerate(self.values) if _computed(value)]
        self._backward = self._forward[::-1]
        self._place = {node: k for k, node in enumerate(self._backward)}
        self._sweep()

    def _sweep(self) -> None:
        """Record the steps of the backward pass as it runs."""
        places = {value.number: i for i, value in enumerate(self.values)}
        self._upstream = [0.0] * len(self.values)
        self._upstream[-1] = self.seed
        self._first: dict[int, int] = {}  # the steps of the first and the last contribution to each node
        self._last: dict[int, int] = {}
        self._passed: list[list[tuple[int, int, float, float, float]]] = []
        for k, (_, _, contributions) in enumerate(backpropagation(self._root, self.seed)):
            passed = []
            for place, (operand, _, contribution, before) in enumerate(contributions):
                j = places.get(operand.number)
                if j is None:  # static
                    continue
                self._upstream[j] = after = before + contribution
                if operand.op is CONSTANT:
                    continue
                passed.append((place, j, contribution, before + self.starts[j], after + self.starts[j]))
                self._first.setdefault(j, k)
                self._last[j] = k
            self._passed.append(passed)

    # --- what a Sequence has -----------------------------------------------------------------------------------

    @overload
    def __getitem__(self, i: int) -> Step: ...
    @overload
    def __getitem__(self, i: slice) -> list[Step]: ...
    def __getitem__(self, i: int | slice) -> Step | list[Step]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        k = i + len(self) if i < 0 else i
        if not 0 <= k < len(self):
            raise IndexError(f"there are {len(self)} steps, numbered from 0; got {i}")
        forward = len(self._forward)
        return self._forward_step(self._forward[k]) if k < forward else self._backward_step(k - forward)

    def __len__(self) -> int:
        return 2 * len(self._forward)

    @property
    def forward(self) -> list[Step]:
        """Return the steps of the forward pass."""
        return self[: len(self._forward)]

    @property
    def backward(self) -> list[Step]:
        """Return the steps of the backward pass."""
        return self[len(self._forward) :]

    def differences(self) -> dict[int, float]:
        """Return the gradient of each result by central differences, by its index; empty where they are not wanted."""
        if not self._numerical:
            return {}
        return {i: _by_differences(self._root, self.values[i]) * self.seed for i in self._forward}

    def sums(self) -> dict[int, str]:
        """Return names for results without labels that are parts of a sum: 7 of 16 terms of z."""
        if self._sums is None:
            self._sums = _partial_sums(self.items, self.values)
        return self._sums

    @property
    def names(self) -> list[str]:
        """Names of the values: their labels, else their expressions while those are short."""
        return [written.text for written in self._named()]

    @property
    def grads(self) -> list[float]:
        """Gradients of all values after the pass."""
        return [start + new for start, new in zip(self.starts, self._upstream, strict=True)]

    # --- one step ----------------------------------------------------------------------------------------------

    def _named(self) -> list[Written]:
        if self._written is None:
            self._written = []
            sums, numbers = _different_sums(self.sums(), self.items), number_names(self.items)
            last = len(self.items) - 1
            for i, title in enumerate(_different(self.items)):
                value = self.values[i]
                written = symbols.number(value.data) if value.op is CONSTANT else None
                if written is None and not title and _computed(value):
                    written = self._expression(i)
                if written is None or len(written.text) > LONGEST_NAME or (i == last and _MADE.search(written.text)):
                    written = symbols.name(title or (sums.get(i) if i < last else "") or numbers[i])
                self._written.append(written)
        return self._written

    def _operands(self, i: int) -> tuple[int, ...]:
        return self.items[i].operands

    def _expression(self, i: int) -> Written:
        value, written = self.values[i], self._named()
        assert value.op is not None
        return symbols.applied(value.op, [written[j] for j in self._operands(i)], static_operands(value))

    def _forward_step(self, i: int) -> Step:
        value = self.values[i]
        assert value.op is not None
        name, expression = self._named()[i].text, self._expression(i).text
        numbers = [symbols.number(self.values[j].data) for j in self._operands(i)]
        in_numbers = symbols.applied(value.op, numbers, static_operands(value)).text
        shown = [text for text in dict.fromkeys([self.items[i].note, expression, in_numbers]) if text not in ("", name)]
        remarks = () if math.isfinite(value.data) else ("not finite: detect_anomaly() stops at the first such result",)
        done = tuple(j for j in self._forward if j < i)
        return Step("forward", i, name, " = ".join(shown) or name, value.data, 0.0, (), "", remarks, (), (), done)

    def _backward_step(self, k: int) -> Step:
        from microgrid.nudge import in_words  # Taylor series load when a step is looked at

        i = self._backward[k]
        value, written = self.values[i], self._named()
        assert value.op is not None
        expression = self._expression(i).text
        operands = [written[j] for j in self._operands(i)]
        contributions, remarks = [], _remarks(value, self._upstream[i])
        earlier = {j for j, first in self._first.items() if first < k}
        for place, j, contribution, before, after in self._passed[k]:
            partial = value.partials[place]
            if has_rule(value.op):
                rule = symbols.partial(value.op, place, written[i], operands, static_operands(value))
            else:
                rule = symbols.number(partial)
            name = written[j].text
            formula = f"d{_bracketed(expression)}/d{_bracketed(name)} = {rule.text}"
            contributions.append(Contribution(j, name, formula, partial, contribution, before, after))
            if j in earlier:
                remarks.append(
                    f"{name} is used more than once, so its contributions add up (+=, not =): "
                    f"{_n(before)} + {_n(contribution)} = {_n(after)}"
                )
            elif self.starts[j]:
                remarks.append(f"{name} had a gradient of {_n(before)} already: leaves accumulate until zero_grad")
            earlier.add(j)
        receivers = dict.fromkeys(j for _, j, *_ in self._passed[k])
        pending = [j for j, first in self._first.items() if first <= k and self._place.get(j, -1) > k]
        return Step(
            "backward",
            i,
            written[i].text,
            expression,
            value.data,
            self._upstream[i],
            tuple(contributions),
            self._why(k, i),
            tuple(remarks),
            tuple(sorted((j for j in pending if self._last[j] > k), reverse=True)),
            tuple(sorted((j for j in pending if self._last[j] <= k), reverse=True)),
            tuple(self._backward[: k + 1]),
            _by_differences(self._root, value) * self.seed if self._numerical else None,
            in_words(value, written[i].text, [(self.values[j], written[j].text) for j in receivers]),
        )

    def _why(self, k: int, i: int) -> str:
        if k == 0:
            return "the output: its gradient is the seed"
        users = [j for j in self._backward[:k] if i in self._operands(j)]
        told = [self._named()[j].text for j in users[:3]]
        if len(users) == 1:
            return f"its turn: {told[0]}, which uses it, is done"
        return f"its turn: all that use it are done, {', '.join(told)}{' and others' if len(users) > 3 else ''}"

    # --- as text and as pages ----------------------------------------------------------------------------------

    def __str__(self) -> str:
        half = len(self._forward)
        return "\n".join([*self._told(range(half)), *self._told(range(half, 2 * half))])

    def _told(self, places: range) -> list[str]:
        """Return the lines of a pass; one of more than sixty steps is folded in the middle."""
        folded = len(places) - 2 * SHOWN
        if folded <= SHOWN:
            return [f"{i + 1:>3}. {str(self[i]).replace(chr(10), chr(10) + '     ')}" for i in places]
        hint = f"     ... {folded:,} more steps; for all of them: for step in steps(root): print(step)"
        return [*self._told(places[:SHOWN]), hint, *self._told(places[-SHOWN:])]

    def __repr__(self) -> str:
        return f"<{len(self)} steps, forward and backward, through {len(self.values)} values>"

    def markdown(self) -> str:
        """Return the backward pass as a Markdown table, a row for each contribution."""
        rows = [
            "| step | node | its gradient | local derivative | contribution | gradient of the operand |",
            "|---|---|---|---|---|---|",
        ]
        for k, step in enumerate(self.backward):
            for first, c in zip([True, *[False] * len(step.contributions)], step.contributions, strict=False):
                head = [str(k + 1), _code(step.name), _n(step.upstream)] if first else ["", "", ""]
                change = f"{_code(c.name)}: {_n(c.before)} → {_n(c.after)}"
                formula, _, rest = with_number(c.formula, c.partial).partition(" = ")
                cells = [*head, f"{_code(formula)} = {_code(rest)}", _n(c.contribution), change]
                rows.append(f"| {' | '.join(cells)} |")
        return "\n".join(rows)

    def latex(self) -> str:
        """Return both passes as a derivation in LaTeX, an `aligned` environment to paste between dollar signs.

        Values with a label, functions and what is used twice stand on lines of their own; z is an output without a
        label, u1, u2, ... are other results. Raises ValueError when it has more than 100,000 characters.
        """
        from microgrid.pictures.derivation import derivation

        return derivation(self)

    def html(self) -> str:
        """Return the stepper as one self-contained piece of HTML: no network, no kernel."""
        from microgrid.pictures import stepper

        return stepper.html(self)

    def save(self, path: PathLike) -> None:
        """Write the stepper as a page that opens by itself (.html), or both passes as an animated picture (.svg).

        The picture needs no script, so it moves on slides and in a README. Raises ValueError when the name ends
        otherwise, or when a picture would have more than 40 values.
        """
        from microgrid.pictures import flow, stepper, web

        written = flow.animated if ending(path, *web.ENDINGS, ".svg") == ".svg" else stepper.page
        write_text(path, written(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        return {"text/html": self.html(), "text/markdown": self.markdown(), "text/plain": str(self)}


def steps(
    root: Value,
    *,
    seed: float = 1.0,
    names: Mapping[str, Any] | None = None,
    numerical: bool = False,
    accumulate: bool = False,
    run: bool = False,
) -> Steps:
    """Return the forward and the backward pass from root as steps, one node at a time.

    `names=locals()` uses variable names where a value has no label. `numerical=True` adds each gradient by central
    differences. Gradients start from 0, whatever `.grad` holds: the last ones are the derivatives of root times seed.
    `accumulate=True` starts leaves from their `.grad`, as `backward()` does. No `.grad` changes, unless `run=True`,
    which also runs `root.backward(seed)`. Raises TypeError when root is not a Value, ValueError when nothing was
    computed.

    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> for step in steps(a * b + a).backward:
    ...     print(step.name, step.upstream)
    a * b + a 1.0
    a * b 1.0
    """
    from microgrid.pictures.composites import with_names

    if not isinstance(root, Value):
        raise TypeError(f"steps takes a Value, got {type(root).__name__} ({root!r}): step the output of a model")
    if not _computed(root):
        raise ValueError("there is nothing to step through: this value was not computed from others")
    found = Steps(root, float(seed), with_names(items_of(root, names or {})), numerical, accumulate)
    if run:
        root.backward(seed)
    return found


def _computed(value: Value) -> bool:
    return value.op is not None and value.op is not CONSTANT


def _different(items: Sequence[Item]) -> list[str]:
    """Make titles unique: with the module where several values share one, and a number where that is not enough."""
    counts, paths = Counter(item.name for item in items if item.name), short_paths(items)
    full = [
        f"{paths[item.module]}.{item.name}" if counts[item.name] > 1 and item.module else item.name for item in items
    ]
    counts = Counter(full)
    return [f"{title}#{i}" if title and counts[title] > 1 else title for i, title in enumerate(full)]


def _partial_sums(items: Sequence[Item], values: Sequence[Value]) -> dict[int, str]:
    """Return a name for each sum of sums without a label: the count of its terms, and of those of the whole."""
    users = Counter(j for item in items for j in item.operands)
    above: dict[int, int] = {}  # the sum that a sum is a part of
    terms: dict[int, int] = {}
    for i, (item, value) in enumerate(zip(items, values, strict=True)):
        if value.op is None or value.op.precedence != SUM or value.op is CONSTANT:
            continue
        parts = [j for j in item.operands if j in terms and users[j] == 1 and not items[j].title]
        parts = [j for j in parts if items[j].module == item.module]
        above |= dict.fromkeys(parts, i)
        terms[i] = sum(terms[j] for j in parts) + len(item.operands) - len(parts)
    found = {}
    top: dict[int, int] = {}
    for i in sorted(terms, reverse=True):
        whole = top[i] = top[above[i]] if i in above else i
        if not items[i].title:
            title = items[whole].title
            if whole != i:
                found[i] = f"{terms[i]} of {terms[whole]} terms{f' of {title}' if title else ''}"
            elif terms[i] > 2:
                found[i] = f"sum of {terms[i]}"
    return found


def _different_sums(sums: Mapping[int, str], items: Sequence[Item]) -> dict[int, str]:
    """Make the names unique: with the module, and a number where that is not enough."""
    paths = short_paths(items)
    full = {i: f"{paths[m]}: {text}" if (m := items[i].module) else text for i, text in sums.items()}
    counts = Counter(full.values())
    return {i: f"{text} #{i}" if counts[text] > 1 else text for i, text in full.items()}


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def with_number(formula: str, x: float) -> str:
    """Return the formula and its number; not twice where the formula ends in it."""
    return formula if formula.endswith(f" = {x:.6g}") else f"{formula} = {_n(x)}"


def _remarks(value: Value, upstream: float) -> list[str]:
    assert value.op is not None
    op, remarks = value.op, []
    if upstream == 0.0:
        remarks.append("its gradient is exactly 0, so it passes nothing on")
    partial = value.partials[0]
    if op.remark is not None and (partial == 0.0 or abs(partial) < op.remark.below):
        remarks.append(op.remark.text.format(operand=_n(value.operands[0].data), partial=_n(partial)))
    if any(op.piecewise) and op.arity > 1 and upstream:
        remarks.append("only what was chosen receives")
    if len(value.operands) == 2 and value.operands[0] is value.operands[1]:
        remarks.append("both operands are the same value, and both edges count")
    return remarks


def _by_differences(root: Value, node: Value) -> float:
    """Return d root / d node by central differences, on the part of the graph between them."""
    if node is root:
        return 1.0
    program = Program.of(root, [node])
    h = 6e-6 * max(1.0, abs(node.data))  # the cube root of an ulp
    up, down = node.data + h, node.data - h
    return float((program.replay([up])[0] - program.replay([down])[0]) / (up - down))


def _n(x: float) -> str:
    return f"{x:.6g}"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|").replace("\n", " ")
