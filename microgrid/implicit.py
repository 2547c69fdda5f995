"""Roots and fixed points as functions of parameters, differentiated by the implicit function theorem."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import ops
from microgrid.core import tree
from microgrid.core.primitive import CALL, REAL, Op, as_float
from microgrid.engine import Value
from microgrid.program import Program, trace_with_outside

Solver = Callable[[Callable[[float], float], float], Any]

_numbers = itertools.count(1)


def root(function: Callable[..., Any], start: float, *parameters: Any, solver: Solver | None = None) -> Any:
    """Return x with function(x, *parameters) = 0, near `start`, as one recorded node.

    Any solver finds the number: solver(f, start) is given f of one float, and returns x, or an object with `.root`, as
    SciPy's do; None takes Newton's steps. The implicit function theorem gives the derivatives, of any order: dx/dp is
    -(df/dp) / (df/dx). Parameters are numbers or `Value`s, alone or nested; `Value`s that the function finds outside
    are parameters, too. Raises ArithmeticError where no root is found, TypeError for a function with branches.

    >>> from microgrid import grad
    >>> grad(lambda p: root(lambda x, p: x * x - p, 1.0, p))(4.0)
    0.25
    """
    return _solved(function, start, parameters, solver or _newton, "root")


def fixed_point(function: Callable[..., Any], start: float, *parameters: Any, solver: Solver | None = None) -> Any:
    """Return x with x = function(x, *parameters), found from `start` by iteration, as one recorded node.

    Derivatives, parameters, errors and solvers are those of `root`; a solver is given x - function(x).

    >>> from microgrid import cos
    >>> fixed_point(lambda x: cos(x), 1.0)
    0.7390851332151607
    """

    def residual(x: Any, *parameters: Any) -> Any:
        return ops.sub(x, function(x, *parameters))

    return _solved(residual, start, parameters, solver or _iterated, "fixed_point")


def _solved(function: Callable[..., Any], start: float, parameters: Sequence[Any], solver: Solver, kind: str) -> Any:
    start = as_float(start)
    leaves, structure = tree.flatten(
        parameters, lambda x, path: x if isinstance(x, Value) else as_float(x), "parameters"
    )
    program, outside = trace_with_outside(function, start, *tree.unflatten(structure, leaves))
    if program.fixed:
        raise TypeError(
            f"{kind} takes a function without branches, and this one looks at a number: {program.fixed[0]}; "
            "write the choice with microgrid.where"
        )
    if len(program.outputs) != 1 or program.out_structure != 0:
        raise TypeError(f"{kind} takes a function that returns one number")
    operands = [*leaves, *outside]
    implicit = _Implicit(program, start, solver, kind)
    return implicit.op(*operands) if operands else implicit.forward()


class _Implicit:
    """The op of a root, of as many operands as the function has parameters."""

    def __init__(self, program: Program, start: float, solver: Solver, kind: str) -> None:
        self.program = program
        self.slopes = program.gradient()
        self.start = start
        self.solver = solver
        self.kind = kind
        arity = len(program.inputs) - 1
        self.op = Op(
            f"{kind}_{next(_numbers)}",
            self.forward,
            self.partials,
            arity,
            0,
            (REAL,) * arity,
            kind,
            CALL,
            rf"\operatorname{{{kind.replace('_', ' ')}}}\left({', '.join(f'#{i + 1}' for i in range(arity))}\right)",
            sensitive=True,
            variables=program.inputs[1:],
            irrational=True,
            on={
                "mpmath": self.on_mpmath,
                "flint": self.on_balls,
                "flint complex": self.on_balls,
            },
        )

    def forward(self, *parameters: float) -> float:
        """Return the root found by the solver, after Newton's steps where they lead nearer to 0."""
        given = [as_float(p) for p in parameters]
        if any(map(math.isnan, given)):
            return math.nan
        f = _OfFloats(self, given)
        found = self.solver(f, self.start)
        x = as_float(getattr(found, "root", found))
        best, step = abs(f(x)), math.inf
        for _ in range(3):
            slope = f.slope(x)
            step = f(x) / slope if slope else math.inf if best else 0.0
            nearer = x - step
            if not (math.isfinite(nearer) and abs(f(nearer)) < best):
                break
            x, best = nearer, abs(f(nearer))
        if not abs(step) <= 1e-6 * max(abs(x), 1e-3) and best != 0.0:
            raise ArithmeticError(
                f"{self.kind} found no zero from {self.start!r}: at {x!r} the function is {f(x)!r}; give another "
                "start, or a solver, as solver=lambda f, x: scipy.optimize.brentq(f, 0.0, 1.0)"
            )
        return x

    def partials(self, z: Any, *parameters: Any) -> tuple[Any, ...]:
        """Return the derivatives by the implicit function theorem, in any arithmetic that has ops."""
        by_x, *by_parameters = self.evaluated(self.slopes, [z, *parameters])
        return tuple([ops.div(ops.neg(p), by_x) for p in by_parameters])

    def evaluated(self, program: Program, numbers: Sequence[Any]) -> list[Any]:
        """Return the results of a program, by its ops: on whatever a rule is used on."""
        slots: list[Any] = [*numbers, *program.constants]
        for op, operands in program.instructions:
            slots.append(op(*[slots[i] for i in operands]))
        return [slots[i] for i in program.outputs]

    def on_mpmath(self, *parameters: Any) -> Any:
        """Return the root to the digits of mpmath's context, by Newton's steps from that of floats."""
        from microgrid.numbers.mpmath_numbers import mpmath_numbers

        mp = mpmath_numbers().home
        x = mp.mpf(self.forward(*map(float, parameters)))
        with mp.workprec(mp.prec + 20):
            for _ in range(2 * mp.prec):
                (value,) = self.program.replay([x, *parameters], mpmath_numbers())
                slope = self.slopes.replay([x, *parameters], mpmath_numbers())[0]
                step = value / slope
                x -= step
                if not abs(step) > abs(x) * mp.eps * 2**10:
                    break
        return +x

    def on_balls(self, *parameters: Any) -> Any:
        """Return an enclosure: where Newton's operator maps a ball into itself, it holds the one root in that ball."""
        from flint import acb, arb

        from microgrid.numbers.balls import balls
        from microgrid.numbers.complex_balls import complex_balls

        kind = type(parameters[0])
        arithmetic = complex_balls() if kind is acb else balls()
        middles = [p.mid() if kind is arb else acb(p.real.mid()) for p in parameters]
        x = kind(self.forward(*[float(p.real.mid() if kind is acb else p.mid()) for p in parameters]))
        for _ in range(20):
            value = self.program.replay([x, *middles], arithmetic)[0]
            x = (x - value / self.slopes.replay([x, *middles], arithmetic)[0]).mid()
        value = self.program.replay([x, *parameters], arithmetic)[0]
        size = 2 * abs(value / self.slopes.replay([x, *parameters], arithmetic)[0]).upper()
        size = size + abs(x).upper() * arb(2) ** -4000
        for _ in range(8):
            around = x + (acb(arb(0, size), arb(0, size)) if kind is acb else arb(0, size))
            found = x - value / self.slopes.replay([around, *parameters], arithmetic)[0]
            if found.is_finite() and around.contains_interior(found):
                return found
            size = 2 * size
        return kind(arb.nan(), arb.nan()) if kind is acb else arb.nan()


class _OfFloats:
    """The function of one float that a solver is given, with its derivative."""

    def __init__(self, implicit: _Implicit, given: list[float]) -> None:
        self.implicit = implicit
        self.given = given

    def __call__(self, x: float) -> float:
        return float(self.implicit.program.replay([as_float(x), *self.given])[0])

    def slope(self, x: float) -> float:
        return float(self.implicit.slopes.replay([x, *self.given])[0])


def _newton(f: Any, x: float) -> float:
    """Take Newton's steps, halved until they lead nearer to 0."""
    value = f(x)
    for _ in range(100):
        slope = f.slope(x)
        if value == 0.0 or not slope or not math.isfinite(slope):
            break
        step = following = value / slope
        for _ in range(60):
            following = x - step
            if following == x or abs(f(following)) < abs(value):
                break
            step *= 0.5
        if following == x or not abs(f(following)) < abs(value):
            break
        x, value = following, f(following)
    return x


def _iterated(f: Callable[[float], float], x: float) -> float:
    """Return the limit of x -> x - f(x)."""
    for _ in range(10_000):
        following = x - f(x)
        if not abs(following - x) > 1e-15 * abs(x):
            return following
        x = following
    return x
