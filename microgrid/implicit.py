"""Roots and fixed points as functions of parameters, differentiated by the implicit function theorem."""

from __future__ import annotations

import functools
import itertools
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from microgrid import ops
from microgrid.core import tree
from microgrid.core.components import Component
from microgrid.core.primitive import Op, as_float
from microgrid.engine import Value
from microgrid.functions.linear_systems import solved, solved_in_balls, solved_in_mpmath
from microgrid.numbers.arithmetic import FLOATS, Arithmetic
from microgrid.program import Program, needed, trace_with_outside

Solver = Callable[[Any, Any], Any]

_numbers = itertools.count(1)


def root(function: Callable[..., Any], start: Any, *parameters: Any, solver: Solver | None = None) -> Any:
    """Return x with function(x, *parameters) = 0, near `start`, recorded as one node for each number of x.

    `start` is a number, or an array, a list or another container of n numbers, and so are x and the result. The
    function returns n numbers, nested as it likes. Any solver finds x: solver(f, start) gets f, a function of x alone
    that has `f.jacobian(x)`, and returns x, or an object with `.root` or `.x`, as SciPy's do; None takes Newton's
    steps. The implicit function theorem gives the derivatives, of any order: the matrix dx/dp is -(df/dx)^-1 (df/dp).
    Parameters are numbers or `Value`s, alone or nested; `Value`s that the function finds outside are parameters, too.
    Raises ArithmeticError where no root is found (programs and compiled code give nan), TypeError for a function with
    branches.

    >>> from microgrid import grad
    >>> grad(lambda p: root(lambda x, p: x * x - p, 1.0, p))(4.0)
    0.25
    >>> root(lambda x: [x[0] * x[1] - 6.0, x[0] + x[1] - 5.0], [2.0, 4.0])
    [2.0, 3.0]
    """
    return _solved(function, start, parameters, solver or _newton, "root")


def fixed_point(function: Callable[..., Any], start: Any, *parameters: Any, solver: Solver | None = None) -> Any:
    """Return x with x = function(x, *parameters), found from `start` by iteration, recorded as `root` does.

    Derivatives, parameters, containers, errors and solvers are those of `root`; a solver is given x - function(x).

    >>> from microgrid import cos
    >>> fixed_point(lambda x: cos(x), 1.0)
    0.7390851332151607
    """

    def residual(x: Any, *parameters: Any) -> Any:
        mapped = function(x, *parameters)
        given, images = (tree.flatten(y, lambda leaf, _: leaf, "")[0] for y in (x, mapped))
        if len(images) != len(given):
            return mapped  # to be refused
        return [ops.sub(*pair) for pair in zip(given, images, strict=True)]

    return _solved(residual, start, parameters, solver or _iterated, "fixed_point")


def _solved(function: Callable[..., Any], start: Any, parameters: Sequence[Any], solver: Solver, kind: str) -> Any:
    starts, structure = tree.flatten(start, _start, "start")
    leaves, held = tree.flatten(parameters, lambda x, path: x if isinstance(x, Value) else as_float(x), "parameters")
    if not starts:
        raise ValueError(f"{kind} needs a start of one number or more, got {start!r}")
    program, outside = trace_with_outside(function, start, *tree.unflatten(held, leaves))
    if program.fixed:
        raise TypeError(
            f"{kind} takes a function without branches, and this one looks at a number: {program.fixed[0]}; "
            "write the choice with microgrid.where"
        )
    if len(program.outputs) != len(starts):
        wanted = "one number" if len(starts) == 1 else f"{len(starts)} numbers, as many as start has"
        raise TypeError(f"{kind} takes a function that returns {wanted}; this one returns {len(program.outputs)}")
    operands = [*leaves, *outside]
    implicit = _Implicit(program, starts, structure, solver, kind)
    found = implicit.found([x._data if isinstance(x, Value) else x for x in operands])
    results = [op(*operands) for op in implicit.components] if operands else found
    return tree.unflatten(structure, results)


def _start(x: Any, path: str) -> float:
    try:
        return as_float(x)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from None


class _Implicit:
    """The numbers of a root as functions of the parameters."""

    def __init__(
        self, program: Program, starts: Sequence[float], structure: tree.Structure, solver: Solver, kind: str
    ) -> None:
        self.program = program
        self.starts = list(starts)
        self.structure = structure
        self.solver = solver
        self.kind = kind
        self._known: dict[bytes, list[float]] = {}
        self._last: tuple[Any, ...] | None = None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _Implicit, (self.program, self.starts, self.structure, self.solver, self.kind)

    @functools.cached_property
    def components(self) -> tuple[Op, ...]:
        """The op of each number."""
        name, count = f"{self.kind}_{next(_numbers)}", len(self.starts)
        alone = tree.is_number(self.structure)
        return tuple(Component(self, i, name, self.kind, self.program.inputs[count:], alone) for i in range(count))

    @functools.cached_property
    def slopes(self) -> Program:
        """The derivatives of each result by all inputs, row by row."""
        return self.program.jacobian()

    def forward(self, i: int, *parameters: float) -> float:
        """Return one number of the root; nan where there is none."""
        try:
            return self.found(parameters)[i]
        except (ArithmeticError, ValueError, RuntimeError):  # a solver's, too, for parameters without a root
            return math.nan

    def found(self, parameters: Sequence[float]) -> list[float]:
        """Return the root found by the solver, after Newton's steps where they lead nearer to 0."""
        given = [as_float(p) for p in parameters]
        key = struct.pack(f"{len(given)}d", *given)  # 0.0 and -0.0 are two keys
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = self._sought(given)
        return self._known[key]

    def _sought(self, given: list[float]) -> list[float]:
        if any(map(math.isnan, given)):
            return [math.nan] * len(self.starts)
        f = _OfFloats(self, given)
        found = self.solver(f, tree.unflatten(self.structure, self.starts))
        x = f.flat(getattr(found, "root", getattr(found, "x", found)))
        value, step = f.values(x), [math.inf] * len(x)
        best = math.hypot(*value)
        for _ in range(3):
            step = f.step(x, value) if best else [0.0] * len(x)
            nearer = [a - b for a, b in zip(x, step, strict=True)]
            value = f.values(nearer)
            if not (all(map(math.isfinite, nearer)) and math.hypot(*value) < best):
                break
            x, best = nearer, math.hypot(*value)
        largest = max(map(abs, x))
        near = all(abs(s) <= 1e-6 * max(abs(a), 1e-3, 1e-6 * largest) for s, a in zip(step, x, strict=True))
        if not near and best != 0.0:
            start, at, got = (tree.unflatten(self.structure, y) for y in (self.starts, x, f.values(x)))
            raise ArithmeticError(
                f"{self.kind} found no zero from {start!r}: at {at!r} the function is {got!r}; give another "
                "start, or a solver, as solver=lambda f, x: scipy.optimize."
                + ("brentq(f, 0.0, 1.0)" if tree.is_number(self.structure) else "root(f, x)")
            )
        return x

    def partials(self, i: int, z: Any, *parameters: Any) -> tuple[Any, ...]:
        """Return the derivatives by the implicit function theorem, in any arithmetic that has ops."""
        block = next(block for block in self.blocks if i in block)
        n = len(self.starts)
        xs: list[Any] = [0.0] * n  # those of other blocks do not matter
        for k in block:
            xs[k] = z if k == i else self.components[k](*parameters)
        rows = self._rows(self._evaluated([*xs, *parameters], block))
        passed = solved([[rows[k][j] for k in block] for j in block], [float(k == i) for k in block])
        found: list[Any] = []
        for p in range(n, n + len(parameters)):
            total: Any = None
            for k, weight in zip(block, passed, strict=True):
                if not self._is_zero(k, p):
                    product = ops.mul(weight, rows[k][p])
                    total = product if total is None else ops.add(total, product)
            found.append(0.0 if total is None else ops.neg(total))
        return tuple(found)

    def _is_zero(self, k: int, p: int) -> bool:
        """Return True if result k does not depend on input p, whatever the numbers are."""
        slot = self.slopes.outputs[k * len(self.program.inputs) + p] - len(self.program.inputs)
        return 0 <= slot < len(self.slopes.constants) and self.slopes.constants[slot] == 0.0

    @functools.cached_property
    def blocks(self) -> list[list[int]]:
        """The numbers of x in groups that have no equation in common, to be solved for one by one."""
        home = list(range(len(self.starts)))
        for k in range(len(home)):
            for j in range(len(home)):
                if home[j] != home[k] and not self._is_zero(k, j):
                    old, new = home[j], home[k]
                    home = [new if h == old else h for h in home]
        return [[k for k, h in enumerate(home) if h == name] for name in dict.fromkeys(home)]

    def _rows(self, slopes: Sequence[Any]) -> list[Sequence[Any]]:
        width = len(self.program.inputs)
        return [slopes[k : k + width] for k in range(0, len(slopes), width)]

    def _evaluated(self, numbers: Sequence[Any], block: Sequence[int]) -> list[Any]:
        """Return the slopes of a block's results by the program's ops, on whatever a rule is used on; others None."""
        slopes, width = self.slopes, len(self.program.inputs)
        slots: list[Any] = [*numbers, *slopes.constants]
        first = len(slots)
        wanted = {k * width + p for k in block for p in range(width)}
        live = needed([slopes.outputs[q] for q in wanted], enumerate(slopes.instructions, first))
        for slot, (op, operands) in enumerate(slopes.instructions, first):
            slots.append(op(*[slots[i] for i in operands]) if slot in live else None)
        return [slots[i] if q in wanted else None for q, i in enumerate(slopes.outputs)]

    def by_x(self, x: Sequence[Any], parameters: Sequence[Any], arithmetic: Arithmetic = FLOATS) -> list[Sequence[Any]]:
        """Return the square matrix of the derivatives by x."""
        return [row[: len(x)] for row in self._rows(self.slopes.replay([*x, *parameters], arithmetic))]

    def on_mpmath(self, i: int, *parameters: Any) -> Any:
        """Return one number of the root to the digits of mpmath's context, by Newton's steps from that of floats."""
        from microgrid.numbers.mpmath_numbers import mpmath_numbers

        mp = mpmath_numbers().home
        return self._once(mp.prec, parameters, lambda: self._in_mpmath(mp, parameters))[i]

    def _in_mpmath(self, mp: Any, parameters: Sequence[Any]) -> list[Any]:
        from microgrid.numbers.mpmath_numbers import mpmath_numbers

        numbers = mpmath_numbers()
        x = [mp.mpf(a) for a in self.found([float(p) for p in parameters])]
        with mp.workprec(mp.prec + 20):
            for _ in range(2 * mp.prec):
                values = self.program.replay([*x, *parameters], numbers)
                step = solved_in_mpmath(self.by_x(x, parameters, numbers), values)
                x = [a - s for a, s in zip(x, step, strict=True)]
                if not max(map(abs, step)) > max(map(abs, x)) * mp.eps * 2**10:
                    break
        return [+a for a in x]

    def on_balls(self, i: int, *parameters: Any) -> Any:
        """Return an enclosure of one number of the root."""
        import flint

        return self._once(flint.ctx.prec, parameters, lambda: self._in_balls(parameters))[i]

    def _in_balls(self, parameters: Sequence[Any]) -> list[Any]:
        """Return enclosures: where Newton's operator maps a box into itself, it holds the one root in that box."""
        from flint import acb, arb, ctx

        from microgrid.numbers.balls import balls
        from microgrid.numbers.complex_balls import complex_balls

        kind = type(parameters[0])
        arithmetic = complex_balls() if kind is acb else balls()
        undecided = [acb(arb.nan(), arb.nan()) if kind is acb else arb.nan()] * len(self.starts)

        def step(given: Sequence[Any], around: Sequence[Any]) -> list[Any]:
            values = self.program.replay([*x, *given], arithmetic)
            return solved_in_balls(self.by_x(around, given, arithmetic), values)

        middles = [p.mid() if kind is arb else acb(p.real.mid()) for p in parameters]
        x = [kind(a) for a in self.found([float(p.real.mid() if kind is acb else p.mid()) for p in parameters])]
        for _ in range(20):
            moved = step(middles, x)
            x = [(a - s).mid() for a, s in zip(x, moved, strict=True)]
            if all(abs(s) <= abs(a).upper() * arb(2) ** (8 - ctx.prec) for s, a in zip(moved, x, strict=True)):
                break
        sizes = [
            2 * abs(s).upper() + abs(a).upper() * arb(2) ** -4000 for s, a in zip(step(parameters, x), x, strict=True)
        ]
        for _ in range(8):
            around = [
                a + (acb(arb(0, size), arb(0, size)) if kind is acb else arb(0, size))
                for a, size in zip(x, sizes, strict=True)
            ]
            found = [a - s for a, s in zip(x, step(parameters, around), strict=True)]
            if all(a.is_finite() and box.contains_interior(a) for a, box in zip(found, around, strict=True)):
                return found
            sizes = [2 * size for size in sizes]
        return undecided

    def _once(self, digits: int, parameters: Sequence[Any], compute: Callable[[], list[Any]]) -> list[Any]:
        """Return what is computed of these very numbers, once for all components that are asked for in turn."""
        last = self._last
        if last is None or last[0] != digits or any(a is not b for a, b in zip(last[1], parameters, strict=True)):
            last = self._last = (digits, tuple(parameters), compute())
        found: list[Any] = last[2]
        return found


_KEPT = 4096
"""Maximum number of parameters for which an implicit function keeps its root."""


class _OfFloats:
    """The function of x that a solver is given, for parameters in floats."""

    def __init__(self, implicit: _Implicit, given: list[float]) -> None:
        self.implicit = implicit
        self.given = given

    def flat(self, x: Any) -> list[float]:
        """Return the numbers of an x of any structure."""
        numbers = tree.flatten(x, lambda leaf, _: as_float(leaf), "x")[0]
        if len(numbers) != len(self.implicit.starts):
            raise TypeError(f"{self.implicit.kind} is solved for {len(self.implicit.starts)} number(s), got {x!r}")
        return numbers

    def values(self, x: Sequence[float]) -> list[float]:
        return list(map(float, self.implicit.program.replay([*x, *self.given])))

    def step(self, x: Sequence[float], values: Sequence[float]) -> list[float]:
        """Return Newton's step, to be subtracted."""
        rows, found = self.implicit.by_x(x, self.given), [0.0] * len(x)
        for block in self.implicit.blocks:
            steps = solved([[rows[k][j] for j in block] for k in block], [values[k] for k in block])
            for k, step in zip(block, steps, strict=True):
                found[k] = step
        return found

    def __call__(self, x: Any) -> Any:
        """Return the results in the structure of the start; of a flat array, as SciPy's solvers give it, an array."""
        values = self.values(self.flat(x))
        return tree.array_of(x.shape, values) if tree.is_array(x) else tree.unflatten(self.implicit.structure, values)

    def jacobian(self, x: Any) -> Any:
        """Return the derivatives of the results by x: a number, or as a matrix with a row for each result."""
        rows = [list(row) for row in self.implicit.by_x(self.flat(x), self.given)]
        if tree.is_number(self.implicit.structure):
            return rows[0][0]
        return tree.array_of((len(rows), len(rows)), [a for row in rows for a in row]) if tree.is_array(x) else rows


def _newton(f: _OfFloats, start: Any) -> list[float]:
    """Take Newton's steps, halved until they lead nearer to 0."""
    x = f.flat(start)
    value = f.values(x)
    for _ in range(100):
        step = f.step(x, value)
        size = math.hypot(*value)
        if size == 0.0 or not all(map(math.isfinite, step)):
            break
        for nearer in _halved(x, step):
            following = f.values(nearer)
            if math.hypot(*following) < size:
                x, value = nearer, following
                break
        else:
            break
    return x


def _halved(x: Sequence[float], step: Sequence[float]) -> Iterator[list[float]]:
    """Yield points on the way of a step, each half as far as the one before, until nothing moves."""
    for k in range(60):
        nearer = [a - math.ldexp(s, -k) for a, s in zip(x, step, strict=True)]
        if nearer == list(x):
            return
        yield nearer


def _iterated(f: _OfFloats, start: Any) -> list[float]:
    """Return the limit of x -> x - f(x)."""
    x = f.flat(start)
    for _ in range(10_000):
        following = [a - b for a, b in zip(x, f.values(x), strict=True)]
        if not any(abs(a - b) > 1e-15 * abs(b) for a, b in zip(following, x, strict=True)):
            return following
        x = following
    return x
