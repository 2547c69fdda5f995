"""Random programs of loops as Python source, grown as trees of blocks.

A block refers to numbers, lists and counters by how far back they were made, modulo how many there are. So a block can
be dropped, or stand without the loop around it, and what is left is a program: that is how a finding gets small.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import microgrid as mg
from microgrid.core.primitive import OPS, built_in

LENGTHS = (0, 1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 7, 8, 9, 11, 12, 13, 16, 17, 19, 23)
TRIANGLES = (1, 2, 3, 4, 7, 8)
"""Kinds of loops that depend on the counter around, some without iterations in the first rows."""
SMOOTH = "tanh sin cos sigmoid softplus atan erf asinh gaussian".split()
KINKED = "relu abs leaky_relu silu gelu floor sign cbrt sqrt log exp expm1 log1p square reciprocal neg".split()
CONDITIONS = ("greater", "greater", "greater", "equal", "mod", "sub", "")
"""Functions of two numbers that `where` chooses by; of one alone, too. Where not 0 and 1, rounding may make a 0."""
REDUCTIONS = "sum mean prod norm max min logsumexp std var".split()
EVERY = sorted(name for name in built_in if not OPS[name].static)
"""All ops that take numbers alone, for an expression now and then."""


@dataclass(frozen=True)
class Expr:
    """A scalar number of a kind, with choices and parts."""

    kind: str
    numbers: tuple[int, ...] = ()
    parts: tuple[Expr, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Block:
    """One or more lines that make a number or a list, with the blocks that stand in its loop before."""

    kind: str
    numbers: tuple[int, ...] = ()
    exprs: tuple[Expr, ...] = ()
    body: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Argument:
    """An argument of a program: a number, a list or a matrix, each sample's own or shared by all."""

    name: str
    shape: tuple[int, ...]
    own: bool


@dataclass(frozen=True)
class LoopProgram:
    """Arguments, blocks, and what of their results is returned: so many of the last numbers and lists."""

    arguments: tuple[Argument, ...]
    blocks: tuple[Block, ...]
    scalars: int
    lists: int

    def source(self, several: bool = False) -> str:
        """The text of a function f with one result, or with all that is returned as a list of numbers and lists."""
        return _Text(self).text(several)


# --- writing -------------------------------------------------------------------------------------------------------


@dataclass
class _Scope:
    scalars: list[str]
    lists: list[tuple[str, int, int]]
    """Name, minimum number of items, and rows of a matrix; GROWS where more are added."""
    counters: list[str] = field(default_factory=list)

    def inner(self, counter: str | None = None) -> _Scope:
        return _Scope(list(self.scalars), list(self.lists), [*self.counters, *([counter] if counter else [])])


GROWS = -1

TRACED = ("scan", "fori", "while")
"""Kinds of loops whose step is traced once."""

COMPUTED = "computed"
"""A comment where rounding may decide how many iterations there are."""


def _called(name: str) -> str:
    return f"mg.{name}" if hasattr(mg, name) else f"mg.OPS[{name!r}]"


def _back(items: Sequence[Any], k: int) -> Any:
    return items[-1 - k % len(items)]


class _Text:
    def __init__(self, program: LoopProgram) -> None:
        self.program = program
        self.lines: list[str] = []
        self.made = 0

    def text(self, several: bool) -> str:
        scope = _Scope([], [])
        for name, shape in [(argument.name, argument.shape) for argument in self.program.arguments]:
            if not shape:
                scope.scalars.append(name)
            elif len(shape) == 1:
                scope.lists.append((name, shape[0], 0))
            elif shape[0]:
                scope.lists.append((name, shape[1], shape[0]))
        names = ", ".join(argument.name for argument in self.program.arguments)
        self.lines = [f"def f({names}):"]
        given = len(scope.scalars), len(scope.lists)
        self.blocks(self.program.blocks, scope, "    ")
        scalars = scope.scalars[given[0] :][::-1][: self.program.scalars]
        lists = [name for name, _, _ in scope.lists[given[1] :][::-1][: self.program.lists]]
        if not scalars and not lists:
            scalars = [self.item(0, (0, 0, 0), scope), *scope.scalars[:1]]
        if several:
            self.lines.append(f"    return [{', '.join([*scalars, *lists])}]")
        else:
            terms = [*scalars, *[f"mg.sum({name})" for name in lists]]
            self.lines.append(f"    return {' + '.join(terms)}")
        return "\n".join(self.lines) + "\n"

    def new(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"

    def blocks(self, blocks: Sequence[Block], scope: _Scope, indent: str) -> None:
        for block in blocks:
            getattr(self, f"_{block.kind}")(block, scope, indent)

    def line(self, indent: str, text: str) -> None:
        self.lines.append(indent + text)

    def loop(self, block: Block, scope: _Scope, indent: str) -> tuple[_Scope, str]:
        """The head of a loop and the blocks in it; the scope and the indent at its end."""
        counter = self.new("i")
        self.line(indent, f"for {counter} in {self.range(block.numbers, scope)}:")
        inner = scope.inner(counter)
        self.blocks(block.body, inner, indent + "    ")
        return inner, indent + "    "

    def range(self, numbers: Sequence[int], scope: _Scope) -> str:
        n, kind = numbers[:2]
        if scope.counters and kind in TRIANGLES:
            i = scope.counters[-1]
            bounds = f"{i} + 1", i, f"{i}, {n}", f"{i} + 1, {n}", f"{i} - {n % 4}", f"2 * {i}"
            return f"range({bounds[TRIANGLES.index(kind)]})"
        return {5: f"reversed(range({n}))", 6: f"range(0, {n}, 2)"}.get(kind, f"range({n})")

    # Expressions.

    def expr(self, e: Expr, scope: _Scope) -> str:
        parts = [self.expr(part, scope) for part in e.parts]
        if e.kind == "scalar":
            return _back(scope.scalars, e.numbers[0]) if scope.scalars else "0.5"
        if e.kind == "item":
            return self.item(e.numbers[0], e.numbers[1:], scope)
        if e.kind == "constant":
            return e.name
        if e.kind == "table":  # a constant that changes from one iteration to the next
            index = self.index(e.numbers[:3], scope)
            return f"(0.25 * ({index}) - 0.5)"
        if e.kind == "operator":
            return f"({parts[0]} {e.name} {parts[1]})"
        if e.kind == "power":
            return f"({parts[0]} ** {e.name})"
        if e.kind == "where":
            condition = f"{_called(e.name)}({parts[0]}, {parts[1]})" if e.name else parts[0]
            return f"mg.where({condition}, {parts[2]}, {parts[3]})"
        special = {"square": f"({parts[0]} * {parts[0]})", "reciprocal": f"(1.0 / {parts[0]})", "neg": f"(-{parts[0]})"}
        return special.get(e.name) or f"{_called(e.name)}({', '.join(parts)})"

    def item(self, k: int, numbers: Sequence[int], scope: _Scope) -> str:
        usable = [item for item in scope.lists if item[1]]
        if not usable:
            return _back(scope.scalars, k) if scope.scalars else "0.5"
        name, length, rows = _back(usable, k)
        if rows == GROWS:
            return f"{name}[({self.index(numbers, scope)}) % len({name})]"
        row = f"[({self.index((numbers[0] // 3, *numbers[1:]), scope, 1)}) % {rows}]" if rows else ""
        return f"{name}{row}[({self.index(numbers, scope)}) % {length}]"

    def index(self, numbers: Sequence[int], scope: _Scope, skip: int = 0) -> str:
        kind, a, b = numbers
        counters = scope.counters[: len(scope.counters) - skip] or scope.counters
        if not counters:
            return str(a)
        i = counters[-1]
        j = counters[-2] if len(counters) > 1 else i
        return (
            i,
            f"{i} + {a}",
            f"{b} - {i}",
            f"{a} * {i} + {b}",
            f"{j} * {a} + {i}",
            f"{i} * {a} + {j}",
            f"{j} * ({j} + 1) // 2 + {i}",
            f"{j} * {a} - {j} * ({j} - 1) // 2 + {i} - {j}",
            str(a),
            f"{i} * {i}",
            j,
            f"{j} - {i}",
            f"{i} + {j}",
            f"{i} // 2",
            f"{i} * {a} - {i} * ({i} - 1) // 2 + {j} - {i}",
            f"{a} + {b % 5} * {j} + {a % 4} * {i}",
            f"{-1 - a}",
            f"{-1 - a} - {b % 3} * {i}",
        )[kind % 18]

    def whole(self, k: int, numbers: Sequence[int], scope: _Scope) -> tuple[str, int]:
        """A list, and its length."""
        if not scope.lists:
            return f"[{', '.join(scope.scalars[:2])}]", len(scope.scalars[:2])
        name, length, rows = _back(scope.lists, k)
        return (f"{name}[({self.index(numbers, scope)}) % {rows}]" if rows > 0 else name), length

    # Blocks.

    def _let(self, block: Block, scope: _Scope, indent: str) -> None:
        name = self.new("t")
        self.line(indent, f"{name} = {self.expr(block.exprs[0], scope)}")
        scope.scalars.append(name)

    def _branch(self, block: Block, scope: _Scope, indent: str) -> None:
        if not scope.counters:
            return self._let(block, scope, indent)
        name = self.new("t")
        self.line(indent, f"if {scope.counters[-1]} % {2 + block.numbers[0] % 3} == {block.numbers[0] % 2}:")
        self.line(indent, f"    {name} = {self.expr(block.exprs[0], scope)}")
        self.line(indent, "else:")
        self.line(indent, f"    {name} = {self.expr(block.exprs[1], scope)}")
        scope.scalars.append(name)

    def _sum(self, block: Block, scope: _Scope, indent: str) -> None:
        name = self.new("t")
        self.line(indent, f"{name} = {self.expr(block.exprs[0], scope)}")
        inner, deeper = self.loop(block, scope, indent)
        term = self.expr(block.exprs[1], inner)
        style = ("{0} = {0} + {1}", "{0} += {1}", "{0} = {1} + {0}", "{0} = {0} - {1}")[block.numbers[2] % 4]
        self.line(deeper, style.format(name, term))
        scope.scalars.append(name)

    def _carry(self, block: Block, scope: _Scope, indent: str) -> None:
        """A recurrence of one or two states, of which each may be kept in a list."""
        names = [self.new("h") for _ in block.exprs[::2]]
        for name, start in zip(names, block.exprs[::2], strict=True):
            self.line(indent, f"{name} = {self.expr(start, scope)}")
        kept = self.new("L") if block.numbers[2] % 2 else ""
        if kept:
            self.line(indent, f"{kept} = []")
        seen = scope.inner()
        seen.scalars += names
        inner, deeper = self.loop(block, seen, indent)
        inner.scalars += names
        steps = [self.expr(e, inner) for e in block.exprs[1::2]]
        if block.numbers[2] % 4 < 2:
            self.line(deeper, f"{', '.join(names)} = {', '.join(steps)}")
        else:
            for name, step in zip(names, steps, strict=True):
                self.line(deeper, f"{name} = {step}")
        if kept:
            self.line(deeper, f"{kept}.append({names[0]})")
            scope.lists.append((kept, self.times(block.numbers, scope), 0))
        scope.scalars += names

    def _scan(self, block: Block, scope: _Scope, indent: str) -> None:
        """A scan over a list, or over none, whose y may be the carry before or after, a number, or a pair."""
        n, kind, style, k, *index = block.numbers
        step, x = self.new("s"), self.new("z")
        names = [self.new("h") for _ in block.exprs[::2]]
        values, length = self.whole(k, index, scope) if kind % 3 else ("None", n)
        rows = _back(scope.lists, k)[2] if values != "None" and scope.lists else 0
        if rows == GROWS:
            values = f"{values}[:{length}]"
        columns = 0
        if rows > 0 and style % 2:  # over the rows of a matrix
            values, columns, length = _back(scope.lists, k)[0], length, rows
        starts = [self.expr(start, scope) for start in block.exprs[::2]]
        self.line(indent, f"def {step}(carry, {x}):")
        self.line(indent + "    ", f"{', '.join(names)}, = carry")
        inner = scope.inner()
        inner.scalars += [*names, *([x] if values != "None" and not columns else [])]
        inner.lists += [(x, columns, 0)] if columns else []
        self.blocks(block.body, inner, indent + "    ")
        after = [self.new("h") for _ in names]
        for name, e in zip(after, block.exprs[1::2], strict=True):
            self.line(indent + "    ", f"{name} = {self.expr(e, inner)}")
        if kind == 5:
            after = [*names[1:], after[0]]
        y = (after[0], "None", names[0], f"({inner.scalars[-1]}, {after[-1]})", inner.scalars[-1])[style]
        self.line(indent + "    ", f"return ({', '.join(after)},), {y}")
        options = [f"length={length}"]
        options += ["reverse=True"] if index[0] % 3 == 0 else []
        options += self.checkpoint(index)
        kept = self.new("L")
        given = f"({', '.join(starts)},), {values}"
        self.line(indent, f"({', '.join(names)},), {kept} = mg.scan({step}, {given}, {', '.join(options)})")
        scope.scalars += names
        if style in (0, 2, 4):
            scope.lists.append((kept, length, 0))
        elif style == 3 and length:
            scope.lists += [(f"{kept}[0]", length, 0), (f"{kept}[1]", length, 0)]

    def checkpoint(self, index: Sequence[int]) -> list[str]:
        return [f"checkpoint={(True, 2, 3)[index[1] % 3]}"] if index[2] % 2 == 0 and index[0] % 2 else []

    def _fori(self, block: Block, scope: _Scope, indent: str) -> None:
        """A loop whose counter is a number."""
        n, kind, style, _, *index = block.numbers
        step, counter = self.new("s"), self.new("k")
        names = [self.new("h") for _ in block.exprs[::2]]
        starts = [self.expr(start, scope) for start in block.exprs[::2]]
        self.line(indent, f"def {step}({counter}, carry):")
        self.line(indent + "    ", f"{', '.join(names)}, = carry")
        inner = scope.inner()
        inner.scalars += [f"(0.1 * {counter})", *names]
        self.blocks(block.body, inner, indent + "    ")
        after = [self.expr(e, inner) for e in block.exprs[1::2]]
        after = [*names[1:], after[0]] if kind == 5 else after
        self.line(indent + "    ", f"return ({', '.join(after)},)")
        options = ", ".join(
            [f"{style - 2}", f"{style - 2 + n}", step, f"({', '.join(starts)},)", *self.checkpoint(index)]
        )
        self.line(indent, f"{', '.join(names)}, = mg.fori_loop({options})")
        scope.scalars += names

    def _while(self, block: Block, scope: _Scope, indent: str) -> None:
        """A loop whose end hangs on numbers: on those of an argument, or computed ones, where rounding decides."""
        n, kind, style, *_ = block.numbers
        step, condition, count = self.new("s"), self.new("c"), self.new("n")
        names = [self.new("h") for _ in block.exprs[::2]]
        starts = [self.expr(start, scope) for start in block.exprs[::2]]
        given = [argument.name for argument in self.program.arguments if not argument.shape]
        given += [f"{a.name}[0]" for a in self.program.arguments if len(a.shape) == 1 and a.shape[0]]
        exact = given[style % len(given)] if given else "1.0"
        heads = f"{', '.join(names)}, {count} = carry"
        self.line(indent, f"def {step}(carry):")
        self.line(indent + "    ", heads)
        inner = scope.inner()
        inner.scalars += names
        self.blocks(block.body, inner, indent + "    ")
        after = [self.expr(e, inner) for e in block.exprs[1::2]]
        after = [*names[1:], after[0]] if kind == 5 else after
        self.line(indent + "    ", f"return {', '.join(after)}, {count} + 1.0")
        self.line(indent, f"def {condition}(carry):")
        self.line(indent + "    ", heads)
        tests = (
            f"{count} < 4.0 * abs({exact})",
            f"not {count} >= 3.0 * {exact}",
            f"{count} < 2.0 or {count} < 5.0 * {exact} and {exact} > 0.0",
            f"{names[0]} * {names[0]} < 0.7  # {COMPUTED}",
        )
        self.line(
            indent + "    ",
            f"return {count} < {n}.0 and ({tests[kind % 4].replace('  #', ')  #', 1)}" + ("" if kind % 4 == 3 else ")"),
        )
        results = ", ".join([*names, count])
        start = ", ".join([*starts, "0.0"])
        self.line(indent, f"{results} = mg.while_loop({condition}, {step}, ({start}), max_iterations={n})")
        scope.scalars += names

    def _map(self, block: Block, scope: _Scope, indent: str) -> None:
        name = self.new("L")
        self.line(indent, f"{name} = []")
        inner, deeper = self.loop(block, scope, indent)
        self.line(deeper, f"{name}.append({self.expr(block.exprs[0], inner)})")
        scope.lists.append((name, self.times(block.numbers, scope), 0))

    def times(self, numbers: Sequence[int], scope: _Scope) -> int:
        """Return a number of iterations for which that many items of a list filled by a triangular loop exist."""
        n, kind = numbers[:2]
        if scope.counters and kind in TRIANGLES:
            return int(kind == 1)
        return (n + 1) // 2 if kind == 6 else n

    def _poke(self, block: Block, scope: _Scope, indent: str) -> None:
        """A copy of a list, some of whose items are replaced one after the other."""
        old, length = self.whole(block.numbers[3], block.numbers[4:7], scope)
        name = self.new("L")
        self.line(indent, f"{name} = list({old})")
        scope.lists.append((name, length, 0))
        if length:
            inner, deeper = self.loop(block, scope, indent)
            place = f"{name}[({self.index(block.numbers[4:7], inner)}) % {length}]"
            self.line(deeper, f"{place} {('=', '+=')[block.numbers[2] % 2]} {self.expr(block.exprs[0], inner)}")

    def _grow(self, block: Block, scope: _Scope, indent: str) -> None:
        """A list that grows by functions of its own items, in two loops."""
        old, length = self.whole(block.numbers[3], block.numbers[4:7], scope)
        name = self.new("L")
        self.line(indent, f"{name} = list({old})" if length else f"{name} = [{self.expr(block.exprs[1], scope)}]")
        scope.lists.append((name, max(length, 1), GROWS))
        inner, deeper = self.loop(block, scope, indent)
        if block.numbers[2]:
            counter = self.new("i")
            self.line(deeper, f"for {counter} in range({block.numbers[2] + 1}):")
            inner, deeper = inner.inner(counter), deeper + "    "
        self.line(deeper, f"{name}.append({self.expr(block.exprs[0], inner)})")

    def _solve(self, block: Block, scope: _Scope, indent: str) -> None:
        """A list, each item of which is a sum over those before it; it may be in the sum itself."""
        name, total, i, j = self.new("L"), self.new("t"), self.new("i"), self.new("i")
        self.line(indent, f"{name} = []")
        self.line(indent, f"for {i} in range({block.numbers[0]}):")
        outer = scope.inner(i)
        deeper, itself = indent + "    ", block.numbers[1] % 2
        if itself:
            self.line(deeper, f"{name}.append({self.expr(block.exprs[0], outer)})")
        self.line(deeper, f"{total} = {self.expr(block.exprs[0], outer)}")
        outer.lists.append((name, 1, GROWS))
        inner = outer.inner(j)
        self.line(deeper, f"for {j} in range({i}{' + 1' * itself}):")
        style = ("{0} = {0} + {1}", "{0} = {0} - {1}", "{0} += {1}")[block.numbers[2] % 3]
        self.line(deeper + "    ", style.format(total, self.expr(block.exprs[1], inner)))
        outer.scalars.append(total)
        end = self.expr(block.exprs[2], _Scope(outer.scalars, scope.lists, outer.counters))
        self.line(deeper, f"{name}{f'[{i}] =' if itself else '.append('} {end}{'' if itself else ')'}")
        scope.lists.append((name, block.numbers[0], 0))

    def _reduce(self, block: Block, scope: _Scope, indent: str) -> None:
        k, which, *index = block.numbers
        values, length = self.whole(k, index, scope)
        name = self.new("t")
        function = REDUCTIONS[which % len(REDUCTIONS)] if length else "sum"
        self.line(indent, f"{name} = mg.{function}({values})")
        scope.scalars.append(name)

    def _dot(self, block: Block, scope: _Scope, indent: str) -> None:
        k, other, *index = block.numbers
        (a, n), (b, m) = self.whole(k, index, scope), self.whole(other, index, scope)
        name = self.new("t")
        self.line(indent, f"{name} = mg.dot({a}[:{min(n, m)}], {b}[:{min(n, m)}])")
        scope.scalars.append(name)

    def _list(self, block: Block, scope: _Scope, indent: str) -> None:
        """A softmax, or another order."""
        k, which, *index = block.numbers
        values, length = self.whole(k, index, scope)
        cut = index[1] % length if length else 0
        mixed = list(range(length))
        random.Random(index[2]).shuffle(mixed)
        forms = (
            (f"mg.softmax({values})" if length else f"list({values})", length),
            (f"mg.log_softmax({values})" if length else f"list({values})", length),
            (f"{values}[::-1]", length),
            (f"[*{values}[{cut}:], *{values}[:{cut}]]", length),
            (f"[{values}[k] for k in {tuple(mixed)}]", length),
            (f"{values}[::2]", (length + 1) // 2),
        )
        text, count = forms[which % len(forms)]
        name = self.new("L")
        self.line(indent, f"{name} = {text}")
        scope.lists.append((name, count, 0))


# --- growing ---------------------------------------------------------------------------------------------------------


class Grower:
    """Random blocks, within a budget of iterations."""

    def __init__(self, rng: random.Random, budget: int, nests: bool = False) -> None:
        """`nests`: all loops are traced once, many of them within one another."""
        self.rng = rng
        self.nests = nests
        self.budget = budget  # of iterations
        self.plain = rng.random() < 0.5  # smooth ops only

    def length(self, times: int) -> int:
        """Mostly one that makes a loop: those of two iterations or fewer are compiled as they stand."""
        rng = self.rng
        least = 3 if rng.random() < 0.85 and not self.nests else 0
        fitting = [n for n in LENGTHS if n >= least and n * times <= self.budget and not (self.nests and n > 4)]
        return rng.choice(fitting or [3])

    def index(self) -> tuple[int, int, int]:
        rng = self.rng
        kind = rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17))
        return kind, rng.choice((0, 1, 2, 3, 5, 7, 11)), rng.choice((0, 1, 2, 4, 10, 22))

    def expr(self, depth: int = 2) -> Expr:
        rng = self.rng
        draw = rng.random()
        if depth <= 0 or draw < 0.2:
            return self.leaf()
        if draw < 0.62:
            name = rng.choice("****++-/" if rng.random() < 0.4 or not self.plain else "***++-")
            return Expr("operator", (), (self.expr(depth - 1), self.expr(depth - 1)), name)
        if draw < 0.85 or self.plain:
            names = SMOOTH if self.plain or rng.random() < 0.6 else KINKED
            return Expr("call", (), (self.expr(depth - 1),), rng.choice(names))
        if draw < 0.89:
            return Expr("power", (), (self.expr(depth - 1),), rng.choice(("2.0", "3", "2", "-1.0", "0.5")))
        if draw < 0.92:
            name = rng.choice(CONDITIONS)
            return Expr("where", (), tuple(self.expr(depth - 2) for _ in range(4)), name)
        if draw < 0.97:
            name = rng.choice(("maximum", "minimum", "hypot", "logaddexp", "maximum", "minimum"))
            return Expr("call", (), (self.expr(depth - 1), self.expr(depth - 1)), name)
        name = rng.choice(EVERY)
        return Expr("call", (), tuple(self.expr(depth - 2) for _ in range(OPS[name].arity)), name)

    def leaf(self) -> Expr:
        rng = self.rng
        draw = rng.random()
        if draw < 0.45:
            return Expr("item", (rng.randrange(6), *self.index()))
        if draw < 0.85:
            return Expr("scalar", (rng.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 6)),))
        if draw < 0.92:
            return Expr("table", self.index())
        return Expr("constant", name=rng.choice(("0.5", "2.0", "-1.0", "0.1", "3.0", "0.0", "1.0")))

    def blocks(self, count: int, times: int, depth: int) -> tuple[Block, ...]:
        return tuple(self.block(times, depth) for _ in range(count))

    def block(self, times: int, depth: int) -> Block:
        rng = self.rng
        deep = depth < 3 and times * 3 <= self.budget
        loops = deep and rng.random() < (0.85, 0.7, 0.4)[depth]
        plain = ("let", "let", "branch", "reduce", "dot", "list")
        kind = rng.choice(
            ("scan", "scan", "fori", "while")
            if self.nests and loops
            else ("sum", "sum", "map", "carry", "poke", "grow", "grow", "form", "form", "form", "scan", "scan", "while")
            if loops
            else plain
        )
        if kind == "form":
            return self.form(times)
        numbers = tuple(rng.randrange(24) for _ in range(2)) + self.index()
        if kind in ("let", "branch"):
            return Block(kind, numbers, (self.expr(), self.expr()))
        if kind in ("reduce", "dot", "list"):
            return Block(kind, numbers)
        n = self.length(times)
        shape = rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8))
        numbers = (n, shape, rng.randrange(4), *numbers)
        if kind == "grow":
            return self.grown(n, times)
        if kind in TRACED:
            numbers = (n, rng.randrange(6), rng.randrange(5), rng.randrange(5), *self.index())
        body = self.blocks(rng.choice((0, 1, 1, 1, 2, 2, 3)), times * max(n, 1), depth + 1)
        exprs: tuple[Expr, ...] = (self.leaf() if rng.random() < 0.3 else Expr("constant", name="0.0"), self.expr())
        if kind in ("carry", *TRACED):
            tied = Expr("call", (), (self.expr(3),), rng.choice(SMOOTH[:5]))
            exprs = (self.leaf(), tied) * rng.choice((1, 1, 2))
        return Block(kind, numbers, exprs if kind in ("sum", "carry", *TRACED) else exprs[1:], body)

    def grown(self, n: int, times: int) -> Block:
        rng = self.rng
        more = rng.choice((0, 0, 1, 2, 3, 4)) if times * n * 3 <= self.budget else 0
        places = [(rng.choice((15, 15, 16, 17, 1)), rng.randrange(8), rng.randrange(8)) for _ in range(3)]
        reads = [Expr("item", (0, *place)) for place in places[: rng.choice((1, 1, 2, 3))]]
        step = reads[0]
        for read in reads[1:]:
            step = Expr("operator", (), (step, read), rng.choice("+*-"))
        step = Expr("operator", (), (step, self.leaf()), rng.choice("*+"))
        step = Expr("call", (), (step,), rng.choice(SMOOTH[:5]))
        numbers = (n, rng.choice((0, 0, 0, 5, 6)), more, rng.randrange(5), *self.index())
        return Block("grow", numbers, (step, self.leaf()))

    def form(self, times: int) -> Block:
        """A shape that people write: a product of matrices, a window, a triangle, an affine step, Horner's rule."""
        rng = self.rng
        n, scalar = self.length(times), Expr("scalar", (rng.randrange(5),))
        m = self.length(times * max(n, 1))
        zero, k = Expr("constant", name="0.0"), rng.randrange(5)

        def item(which: int, *index: int) -> Expr:
            return Expr("item", (which, *index))

        def times_of(a: Expr, b: Expr) -> Expr:
            return Expr("operator", (), (a, b), "*")

        last, form = Expr("scalar", (0,)), rng.randrange(10)
        if form == 7:  # a triangular system, or a cache that grows
            product = times_of(item(0, 0, 0, 0), item(k + 1, rng.choice((4, 6, 7)), n, 0))
            term = product if rng.random() < 0.5 else Expr("call", (), (product,), rng.choice(SMOOTH))
            end = times_of(Expr("call", (), (last,), rng.choice(SMOOTH[:5])), rng.choice((scalar, item(k, 0, 0, 0))))
            return Block("solve", (n, rng.randrange(2), rng.randrange(3)), (item(k, 0, 0, 0), term, end))
        if form == 8:  # a body of many lines
            lines = [Expr("call", (), (times_of(last, item(k, 3, j, 1)),), rng.choice(SMOOTH[:5])) for j in range(2, 9)]
            body = [Block("let", (0, 0), (rng.choice(lines),) * 2) for _ in range(rng.choice((8, 25, 40)))]
            return Block("sum", (min(n, max(3, self.budget // len(body))), 0, 0), (zero, last), tuple(body))
        if form == 9:  # rows of which the first are empty
            term = times_of(item(k, rng.choice((6, 7, 0)), n, 0), item(k + 1, 0, 0, 0))
            inner = Block("sum", (n, 7, rng.randrange(4)), (times_of(scalar, item(k, 0, 0, 0)), term))
            return Block("map", (n, 0, 0), (Expr("call", (), (last,), rng.choice(SMOOTH)),), (inner,))
        if form == 0:  # a matrix times a vector
            product = times_of(item(k, rng.choice((4, 5)), m, 0), item(k + 1, 0, 0, 0))
            rows = Block("sum", (m, 0, 0), (rng.choice((zero, scalar, item(0, 10, 0, 0))), product))
            return Block("map", (n, 0, 0), (Expr("call", (), (last,), rng.choice(SMOOTH)),), (rows,))
        if form == 1:  # a sliding window
            product = times_of(item(k, 0, 0, 0), item(k + 1, 12, 0, 0))
            return Block("map", (n, 0, 0), (last,), (Block("sum", (min(m, 5), 0, 0), (zero, product)),))
        if form == 2:  # a triangle, packed
            product = times_of(item(k, rng.choice((6, 7, 14)), n, 0), item(k + 1, 0, 0, 0))
            inner = Block("sum", (n, rng.choice((1, 1, 2, 3, 4)), 0), (zero, product))
            square = Block("sum", (n, 0, 0), (zero, times_of(last, rng.choice((last, scalar)))), (inner,))
            return Block("sum", (m, 0, 0), (zero, last), (square,)) if rng.random() < 0.5 else square
        if form == 3:  # pairs
            gap = Expr("operator", (), (item(k, 10, 0, 0), item(k, 0, 0, 0)), "-")
            energy = rng.choice((Expr("power", (), (gap,), "2.0"), Expr("call", (), (gap,), "gaussian")))
            return Block("sum", (n, 0, 0), (zero, last), (Block("sum", (n, rng.choice((1, 2, 4)), 0), (zero, energy)),))
        if form == 4:  # Horner's rule, in rows
            step = Expr("operator", (), (times_of(last, scalar), item(k, rng.choice((0, 2, 4)), m, n)), "+")
            inner = Block("carry", (m, rng.choice((0, 5)), 0), (zero, step))
            return Block("sum", (n, 0, 0), (zero, Expr("call", (), (last,), rng.choice(SMOOTH))), (inner,))
        if form == 5:  # one number used in an inner loop alone
            inner = Block(
                "sum", (m, 0, 0), (zero, times_of(scalar, rng.choice((zero, item(k, *self.index()), scalar))))
            )
            return Block("sum", (n, 0, 0), (zero, Expr("call", (), (last,), rng.choice(SMOOTH))), (inner,))
        product = times_of(scalar, times_of(item(k, 10, 0, 0), item(k, 0, 0, 0)))  # attention, softened by a number
        weights = Block("list", (0, 0, 8, 0, 0))
        read = Block("dot", (0, k + 1, 8, 0, 0))
        return Block("map", (n, 0, 0), (last,), (Block("map", (m, 0, 0), (product,)), weights, read))


def grow(rng: random.Random, nests: bool = False) -> LoopProgram:
    """A random program; one whose loops are all traced once, many of them within one another, if `nests`."""
    arguments = []
    for i in range(rng.choice((1, 2, 2, 3, 3, 4))):
        kind = rng.random()
        n, m = rng.choice(LENGTHS), rng.choice((1, 2, 3, 4, 5, 7, 10, 15))
        shape = () if kind < 0.35 else (n,) if kind < 0.85 else (min(n, 7), m)
        arguments.append(Argument(f"x{i}", shape, own=i == 0 or rng.random() < 0.5))
    rng.shuffle(arguments)
    grower = Grower(rng, rng.choice((30, 60, 100, 150, 300)), nests)
    blocks = grower.blocks(rng.choice((1, 1, 2, 2, 3, 4)), 1, 0)
    return LoopProgram(tuple(arguments), blocks, rng.choice((1, 1, 2, 3)), rng.choice((0, 1, 1, 2)))


# --- getting small ---------------------------------------------------------------------------------------------------


def smaller(program: LoopProgram) -> Iterator[LoopProgram]:
    """Programs with something taken out of them, the largest pieces first."""
    for blocks in _smaller_blocks(program.blocks):
        yield replace(program, blocks=blocks)
    for scalars, lists in ((program.scalars - 1, program.lists), (program.scalars, program.lists - 1)):
        if min(scalars, lists) >= 0 and scalars + lists:
            yield replace(program, scalars=scalars, lists=lists)


def _smaller_blocks(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, ...]]:
    for i, block in enumerate(blocks):
        before, after = blocks[:i], blocks[i + 1 :]
        yield (*before, *after)
        if block.body:
            yield (*before, *block.body, *after)
            yield (*before, replace(block, body=()), *after)
    for i, block in enumerate(blocks):
        before, after = blocks[:i], blocks[i + 1 :]
        for body in _smaller_blocks(block.body):
            yield (*before, replace(block, body=body), *after)
        if block.kind in ("sum", "carry", "map", "poke", "grow", "solve", *TRACED):
            n, kind, style, *rest = block.numbers
            for n_, kind_, style_ in ((n // 2, kind, style), (n - 1, kind, style), (n, 0, style), (n, kind, 0)):
                if n_ >= 0 and (n_, kind_, style_) != (n, kind, style):
                    yield (*before, replace(block, numbers=(n_, kind_, style_, *rest)), *after)
        for k, e in enumerate(block.exprs):
            for e_ in _smaller_exprs(e):
                yield (*before, replace(block, exprs=(*block.exprs[:k], e_, *block.exprs[k + 1 :])), *after)


def _smaller_exprs(e: Expr) -> Iterator[Expr]:
    yield from e.parts
    for k, part in enumerate(e.parts):
        for part_ in _smaller_exprs(part):
            yield replace(e, parts=(*e.parts[:k], part_, *e.parts[k + 1 :]))
    if e.kind == "item" and e.numbers[1:] != (8, 0, 0):
        yield replace(e, numbers=(e.numbers[0], 8, 0, 0))
    if e.kind not in ("constant",):
        yield Expr("constant", name="0.5")
