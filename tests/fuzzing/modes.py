"""Every way to run a program, against recording."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import random
import shutil
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from eagerly import same
from interpreting import CALLS as UNTIL_TAKEN_OVER
from interpreting import running_as, taking_over
from programs import listed

import microgrid as mg
from fuzzing.cases import Case, filled, laid
from fuzzing.containers import Packed
from fuzzing.interpreter import interpreted
from fuzzing.rounding import Bound
from microgrid import Program, Value, nn, trace
from microgrid.compiler import directional, machine, plan, storage
from microgrid.compiler.gradient import Request
from microgrid.compiler.plan import is_native
from microgrid.compiler.reduction import Source, reduced
from microgrid.compiler.roll import Rolled, roll
from microgrid.core import tree
from microgrid.numbers.arithmetic import FLOATS
from microgrid.numbers.arrays import arrays

CALLS = ("value", "value_and_grad", "tree", "tree gradient", "batch", "batch_value_and_grad", "loss")
"""Calls of compiled code; each to the bit, and to rounding."""
INTERPRETED = "interpreted "
"""The same calls, of programs that are interpreted whatever their size."""
TAKEN_OVER = "taken over "
"""The same, of programs that machine code of the interpreter's instructions has taken over."""
TEXTS = ("c", "c gradient", "c loops", "python", "python gradient", "text")
REPLAYS = tuple(
    "stages,numpy,numpy gradient,simplified,simplified gradient,simplified without signs,gradient,forward".split(",")
)
UNSIGNED = ("gradient", "python gradient", "simplified gradient")
"""Texts in which a derivative may be -0.0 for 0.0: a leaf adds its products to 0.0, a program does not."""
MADE = "machine code"
"""Code of one lane and of several is made, and thrown away: does the process last?"""
SECOND = ("hessian", "sparse", "gradient compiled", "simplified gradient compiled")


def unprefixed(mode: str) -> str:
    """The call of a mode, however the program is run."""
    return mode.removeprefix(INTERPRETED).removeprefix(TAKEN_OVER)


def function_of(source: str) -> Callable[..., Any]:
    """The function that the text defines."""
    namespace: dict[str, Any] = {"mg": mg}
    exec(compile(source, "<program>", "exec"), namespace)
    function: Callable[..., Any] = namespace["f"]
    return function


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, np.ndarray):
        return list(x.ravel().tolist())
    return [leaf for item in x for leaf in _leaves(item)] if isinstance(x, (list, tuple)) else [x]


def _columns(x: Any) -> list[Any]:
    """The columns of a batch's results."""
    if isinstance(x, np.ndarray):
        return list(x.reshape(len(x), math.prod(x.shape[1:])).T)
    return [column for item in x for column in _columns(item)]


def recorded(f: Callable[..., Any], args: Sequence[Any]) -> tuple[list[float], list[float]]:
    """The results, and the derivatives of the first by all numbers, as `backward` gives them."""
    leaves: list[Value] = []

    def value(x: Any) -> Any:
        if isinstance(x, list):
            return [value(item) for item in x]
        leaves.append(Value(x))
        return leaves[-1]

    results = [y if isinstance(y, Value) else Value(y) for y in _leaves(f(*map(value, args)))]
    if results:
        results[0].backward()
    return [y.data for y in results], [leaf.grad for leaf in leaves]


class _Run:
    """One case in one mode; what differs is collected."""

    def __init__(self, case: Case, mode: str) -> None:
        self.case = case
        self.strict = not mode.endswith(" to rounding")
        mode = mode.removesuffix(" to rounding").removesuffix(" to the bit")
        self.again = mode.startswith(TAKEN_OVER)
        self.mode = unprefixed(mode)
        self.f = function_of(case.source)
        self.wrong: list[str] = []

    def compiled(self, f: Any, *more: Any, static: Any = ()) -> Any:
        case = self.case
        made = mg.compile(
            f, *more, static=static, strict=self.strict, cache=False, threads=case.threads, check=case.check
        )
        return _Again(made, self) if self.again else made

    def check(
        self, where: str, got: Sequence[float], expected: Sequence[float], bound: Bound | None = None, shift: int = 0
    ) -> None:
        """Note what differs: to the bit, or by more than the bound excuses."""
        if len(got) != len(expected):
            self.wrong.append(f"{where}: {len(got)} numbers, recorded are {len(expected)}")
            return
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            if (
                same(a, b, bound is None)
                or (self.mode in UNSIGNED and i and same(a, -0.0, True) and same(b, 0.0, True))
                or (bound is not None and bound.excuses(a, b, shift + i))
                or (a != a and bound is not None and self.mode == "hessian" and self.loops() and not self.finite())
            ):
                continue
            self.wrong.append(f"{where}: number {i} is {a!r}, recorded {b!r}")

    def finite(self) -> bool:
        """Return True if the arguments are; second derivatives of loops traced once, not strict, may be nan where one
        is not."""
        return all(map(math.isfinite, self.flat(0)))

    def loops(self) -> bool:
        return any(f"mg.{name}" in self.case.source for name in ("scan", "fori_loop", "while_loop"))

    def first(self) -> list[Any]:
        return self.case.row(0)

    def flat(self, r: int) -> list[float]:
        return _leaves(self.case.row(r))

    def program(self, r: int = 0, f: Any = None) -> Program:
        return trace(f or self.f)(*self.case.row(r))

    def gradient_bound(self, r: int, several: bool = False) -> Bound:
        """For results where there are several, else for the value and the derivatives."""
        return Bound(lambda: _value_first(self.program(r).gradient(value=True)), self.flat(r))

    def value_bound(self, r: int, f: Any = None) -> Bound:
        return Bound(lambda: self.program(r, f), self.flat(r))

    def bound(self, r: int, f: Any = None) -> Bound | None:
        return None if self.strict else self.value_bound(r, f) if f else self.gradient_bound(r)

    def arguments(self, single: bool) -> list[Any]:
        c = self.case
        return [
            (_single(x[0] if own else x, layout, shape))
            if single
            else laid(x[: c.samples], layout, (c.samples, *shape))
            if own
            else _single(x, layout, shape)
            for x, layout, shape, own in zip(c.numbers, c.layouts, c.shapes, c.own, strict=True)
        ]

    # Compiled.

    def value(self) -> None:
        g = function_of(self.case.several)
        got = self.compiled(g)(*self.arguments(single=True))
        self.check("value", _leaves(got), recorded(g, self.first())[0], self.bound(0, g))

    def value_and_grad(self) -> None:
        values, slopes = recorded(self.f, self.first())
        got, gradient = self.compiled(self.f).value_and_grad(*self.arguments(single=True))
        self.check("value, gradient", [got, *_flat(gradient)], [*values, *slopes], self.bound(0))

    def tree(self) -> None:
        """Arguments in containers, with a static one for their order; some by keyword."""
        self._tree(gradient=False)

    def tree_gradient(self) -> None:
        self._tree(gradient=True)

    def _tree(self, gradient: bool) -> None:
        g = self.f if gradient else function_of(self.case.several)
        packed = Packed(self.arguments(single=True), random.Random(self.case.source + str(self.case.layouts)))

        def function(a: Any, *more: Any, order: Any, times: Any, rest: Any = (), kind: str = "") -> Any:
            assert (type(order), kind) == (type(packed.order), "named")
            return [g(*packed.unpacked([a, *more, rest], order))] * times[0]

        def once(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)[0]

        *trees, last = packed.trees
        more = {"rest": last, "order": packed.order, "kind": "named"}
        values, slopes = recorded(g, packed.args)
        bound = self.bound(0, None if gradient else g)
        if len(self.case.source) % 2:
            self._tree_by_position(packed, g, gradient, bound)
            return
        if not gradient:
            compiled = self.compiled(function, static=("order", "times"))
            for times in ([2], [1]):  # another variant
                got = compiled(*trees, **more, times=times)
                self.check("tree", _leaves(got)[-len(values) :], values, bound)
            self.check("tree", [len(got)], [1])
            return
        compiled = self.compiled(once, static=("order", "times"))
        for _ in range(2):  # the second time from the cache
            value, by = compiled.value_and_grad(*trees, **more, times=[1])
        parts = packed.unpacked([*(by if len(trees) > 1 else (by,)), last], packed.order)
        self.check("tree", [value], values, bound)
        for i, (found, fixed) in enumerate(zip(_leaves(parts), packed.fixed(), strict=True)):
            if not fixed:
                self.check("tree, gradient", [found], [slopes[i]], bound, 1 + i)

    def _tree_by_position(self, packed: Packed, g: Callable[..., Any], gradient: bool, bound: Bound | None) -> None:
        """Once with other numbers; then twice, for calls from the second on are in machine code."""
        values, slopes = recorded(g, packed.args)
        compiled = self.compiled(lambda *trees: g(*packed.unpacked(trees, packed.order)))
        call = compiled.value_and_grad if gradient else compiled
        plan.POISON = False  # it keeps calls out of machine code
        call(*packed.others())
        for _ in range(2):
            got = call(*packed.trees)
            if not gradient:
                self.check("tree", _leaves(got), values, bound)
                continue
            parts = packed.unpacked(got[1] if len(packed.trees) > 1 else [got[1]], packed.order)
            self.check("tree, gradient", [got[0], *_leaves(parts)], [*values, *slopes], bound)

    def batch(self) -> None:
        c, g = self.case, function_of(self.case.several)
        got = self.compiled(g).batch(*self.arguments(single=False), in_axes=_axes(c))
        columns = _columns(got)
        if not columns:
            return
        for column in columns:
            if column.shape != (c.samples,):
                self.wrong.append(f"batch: a result has the shape {column.shape}, for {c.samples} samples")
                return
        for r in range(c.samples):
            row = [column[r].item() for column in columns]
            self.check(f"batch, sample {r}", row, recorded(g, c.row(r))[0], self.bound(r, g))

    def batch_value_and_grad(self) -> None:
        c = self.case
        values, gradient = self.compiled(self.f).batch_value_and_grad(*self.arguments(single=False), in_axes=_axes(c))
        parts = gradient if len(c.shapes) > 1 else (gradient,)
        shared: list[tuple[list[float], Bound]] = []
        for r in range(c.samples):
            expected, slopes = recorded(self.f, c.row(r))
            bound = self.gradient_bound(r)
            got, wanted, sums, place = [float(values[r])], expected[:1], [], 0
            starts = [0]
            for part, shape, own in zip(parts, c.shapes, c.own, strict=True):
                n = math.prod(shape)
                mine = slopes[place : place + n]
                if own:
                    self.check(
                        f"batch, sample {r}, gradient",
                        np.asarray(part)[r].ravel().tolist(),
                        mine,
                        None if self.strict else bound,
                        1 + place,
                    )
                else:
                    sums += mine
                    starts += range(1 + place, 1 + place + n)
                place += n
            shared.append((sums, bound))
            self.check(f"batch, sample {r}", got, wanted, None if self.strict else bound)
        sums = [x for part, own in zip(parts, c.own, strict=True) if not own for x in _flat(part)]
        self.check_sums(sums, shared, [1 + i for i in _shared_places(c)])

    def check_sums(self, got: Sequence[float], terms: Sequence[tuple[list[float], Bound]], places: list[int]) -> None:
        """Sums over samples, in whatever order, of what samples give to rounding."""
        if terms and len(got) != len(places):
            self.wrong.append(f"{len(got)} sums over samples, recorded are {len(places)}")
            return
        for i, (x, place) in enumerate(zip(got, places, strict=True)):
            column = [row[i] for row, _ in terms]
            if not all(map(math.isfinite, column)):
                kinds = {y for y in column if not math.isfinite(y)}
                expected = sum(column)
                large = max((abs(y) for y in column if math.isfinite(y)), default=0.0)
                if len(kinds) == 1 and large < 1e290 and self.strict and not same(x, expected, True):
                    self.wrong.append(f"sum over samples {i} is {x!r}, recorded {expected!r}")
                continue
            size = math.fsum(map(abs, column)) if max(map(abs, column), default=0.0) < 1e300 else math.inf
            if size == math.inf:
                continue
            expected = math.fsum(column)
            off = abs(x - expected)
            if off <= 1e-14 * size + 1e-300:
                continue
            room = 0.0
            for _, bound in terms:
                moves = bound.room(place)
                room += moves
            if off > 16.0 * room + 1e-14 * size:
                self.wrong.append(f"sum over samples {i} is {x!r}, recorded {expected!r}")

    def loss(self) -> None:
        """As the loss of a model, whose parameters are the shared arguments."""
        c = self.case
        if not c.samples:
            return
        shared = [_values(x) for x, own in zip(c.numbers, c.own, strict=True) if not own]
        model = _Model(self.f, c, shared)
        if not model.parameters():
            return
        rows = np.array(
            [_leaves([x[r] for x, own in zip(c.numbers, c.own, strict=True) if own]) for r in range(c.samples)]
        ).reshape(c.samples, -1)
        targets = np.linspace(-1.0, 1.0, c.samples)
        step = self.compiled(_loss, model)
        loss, gradient = step(rows, targets)
        losses = [step(rows[r : r + 1], targets[r : r + 1])[0] for r in range(c.samples)] if self.strict else []
        values, shared_terms = [], []
        for r in range(c.samples):
            at = [*c.row(r), float(targets[r])]

            def f(*args: Any) -> Any:
                return _loss(self.f(*args[:-1]), args[-1])

            value, slopes = recorded(f, at)
            values.append(value[0])
            bound = Bound(lambda f=f, at=at: _value_first(trace(f)(*at).gradient(value=True)), _leaves(at))  # type: ignore[misc]
            if self.strict:
                self.check(f"loss, sample {r}", [losses[r]], value)
            places = _shared_places(c)
            shared_terms.append(([slopes[i] / c.samples for i in places], bound))
        self.check_sums(gradient.tolist(), shared_terms, [1 + i for i in _shared_places(c)])
        if self.strict and all(map(math.isfinite, values)) and max(map(abs, values)) < 1e290:
            mean = math.fsum(values) / c.samples
            if abs(loss - mean) > 1e-14 * math.fsum(map(abs, values)):
                self.wrong.append(f"mean loss is {loss!r}, recorded {mean!r}")

    def machine_code(self) -> None:
        """Compile the gradient for one sample and for many, by LLVM at one of its efforts."""
        f = mg.compile(self.f, cache=False, check=False, strict=len(self.case.source) % 2 == 0)
        f.value_and_grad(*self.first())
        f.batch_value_and_grad(*[np.array([x] * 20) for x in self.first()])

    # Text, of all but the calls, for the first sample.

    def c(self) -> None:
        g = function_of(self.case.several)
        program = self.program(0, g)
        got = _built(program.c(), "f", [self.flat(0)], [len(program.outputs)])[0]
        self.check("C", got, recorded(g, self.first())[0], self.value_bound(0, g))

    def c_gradient(self) -> None:
        values, slopes = recorded(self.f, self.first())
        program = _value_first(self.program().gradient(value=True))
        got = _built(program.c(), "f", [self.flat(0)], [len(program.outputs)])[0]
        self.check("C, gradient", got, [*values, *slopes], self.gradient_bound(0))

    def c_loops(self) -> None:
        """The loops in C of a batch: results and own derivatives, and sums of the shared ones."""
        c = self.case
        if not c.samples:
            return
        compiled = self.compiled(self.f)
        compiled.batch_value_and_grad(*self.arguments(single=False), in_axes=_axes(c))
        values, slopes = recorded(self.f, self.first())
        flat, shared = self.flat(0), _shared_places(c)
        own = [i for i in range(len(flat)) if i not in shared]
        xs, ps = [flat[i] for i in own], [flat[i] for i in shared]
        y, d = _built(compiled.c(), "f", [xs, ps], [1 + len(own), len(shared)])
        bound = self.gradient_bound(0)
        self.check("C loops", y[:1], values, bound)
        for places, got in ((own, y[1:]), (shared, d)):
            for i, x in zip(places, got, strict=True):
                self.check("C loops, gradient", [x], [slopes[i]], bound, 1 + i)

    def stages(self) -> None:
        """Run the compiler's code in Python, without LLVM: loops, registers, memory, iterations side by side."""
        values, slopes = recorded(self.f, self.first())
        flat, shared = self.flat(0), _shared_places(self.case)
        own = [i for i in range(len(flat)) if i not in shared]
        request = Request(tuple(i in shared for i in range(len(flat))), tuple(range(len(flat))))
        for strict in (True, False):
            native = functools.partial(is_native, strict)
            source = Source(self.program(), request)
            tape = source.tape(native)
            rolled = roll(tape)
            smaller = reduced(source, native, strict, tape, rolled)[2]
            self._staged([rolled, smaller], strict, flat, shared, [*values, *[slopes[i] for i in own]], slopes)

    def _staged(
        self, forms: Sequence[Rolled], strict: bool, flat: list[float], shared: list[int], wanted: Any, slopes: Any
    ) -> None:
        own = [i for i in range(len(flat)) if i not in shared]
        bound = self.gradient_bound(0)
        for rolled in dict.fromkeys(forms):
            codes = [storage.place(rolled), storage.place(rolled, alone=True)]
            for stored, jam in itertools.product(codes, (1, 4, 8)):
                y, d = interpreted(stored, [flat[i] for i in own], [flat[i] for i in shared], jam)
                for place, got, expected in zip([0, *[1 + i for i in own]], y, wanted, strict=True):
                    self.check("stages", [got], [expected], None if strict else bound, place)
                for i, x in zip(shared, d, strict=True):
                    self.check("stages, gradient", [x], [slopes[i]], bound, 1 + i)

    def python(self) -> None:
        g = function_of(self.case.several)
        got = _called(self.program(0, g).python(), self.first())
        self.check("Python", _leaves(got), recorded(g, self.first())[0])

    def python_gradient(self) -> None:
        values, slopes = recorded(self.f, self.first())
        got = _called(_value_first(self.program().gradient(value=True)).python(), self.first())
        self.check("Python, gradient", _leaves(got), [*values, *slopes])

    def text(self) -> None:
        g = function_of(self.case.several)
        program = self.program(0, g)
        self.check("listing", recorded(listed(program), self.first())[0], program.replay(self.flat(0)))

    # Replays.

    def numpy(self) -> None:
        g = function_of(self.case.several)
        self._numpy(self.program(0, g), lambda r: recorded(g, self.case.row(r))[0], lambda r: self.value_bound(r, g))

    def numpy_gradient(self) -> None:
        def expected(r: int) -> list[float]:
            values, slopes = recorded(self.f, self.case.row(r))
            return [*values, *slopes]

        self._numpy(_value_first(self.program().gradient(value=True)), expected, self.gradient_bound)

    def _numpy(self, program: Program, expected: Callable[[int], list[float]], bound: Callable[[int], Bound]) -> None:
        """All samples at once; what they share are floats."""
        c = self.case
        if not c.samples or not program.inputs:
            return
        rows = [self.flat(r) for r in range(c.samples)]
        shared = set(_shared_places(c))
        columns = [rows[0][i] if i in shared else np.array([row[i] for row in rows]) for i in range(len(rows[0]))]
        if len(shared) == len(columns):
            return
        got = program.replay(columns, arrays())
        for r in range(c.samples):
            self.check(f"NumPy, sample {r}", [x[r].item() for x in got], expected(r), bound(r))

    def simplified(self) -> None:
        g = function_of(self.case.several)
        self.check("simplified", self.program(0, g).simplify().replay(self.flat(0)), recorded(g, self.first())[0])

    def simplified_without_signs(self) -> None:
        """All but the signs of zeros, and whole powers, which are rounded as products are."""
        values, slopes = recorded(self.f, self.first())
        program = _value_first(self.program().gradient(value=True)).simplify(signed_zeros=False)
        self.check("simplified without signs", program.replay(self.flat(0)), [*values, *slopes], self.gradient_bound(0))

    def simplified_gradient(self) -> None:
        values, slopes = recorded(self.f, self.first())
        program = _value_first(self.program().gradient(value=True)).simplify()
        self.check("gradient, simplified", program.replay(self.flat(0)), [*values, *slopes])

    def gradient(self) -> None:
        values, slopes = recorded(self.f, self.first())
        program = _value_first(self.program().gradient(value=True))
        self.check("gradient", program.replay(self.flat(0), FLOATS), [*values, *slopes])

    def forward(self) -> None:
        """Tangents and Taylor series by one of the numbers, to the second order, where no rounding leaves the range.

        A cotangent and a tangent of exactly 0 pass nothing on: beside infinite numbers modes differ.
        """
        flat = self.flat(0)
        program = self.program()
        slots = [*flat, *program.constants]
        for op, operands in program.instructions:
            slots.append(op.forward(*[slots[i] for i in operands]))
        if not flat or not all(map(math.isfinite, slots)):
            return
        k, structure = len(self.case.source) % len(flat), tree.flatten(self.first(), lambda leaf, _: leaf, "")[1]

        def f(xs: list[Any]) -> Any:
            return self.f(*tree.unflatten(structure, xs))

        def along(x: Any) -> Any:
            zero = 0.0 * mg.abs(x)  # so that all are Values: Python's own division raises where that of Values does not
            return f([x if i == k else y - zero for i, y in enumerate(flat)])

        values, slopes = recorded(self.f, self.first())
        vector = [float(i == k) for i in range(len(flat))]
        bound = self.gradient_bound(0)
        if math.isfinite(bound.room(0)) and math.isfinite(bound.room(1 + k)) and math.isfinite(slopes[k]):
            for where, got in (("jvp", mg.jvp(f, (flat,), (vector,))), ("taylor", mg.taylor(along, flat[k], 1))):
                self.check(where, got[:1], values, bound)
                self.check(where, got[1:], slopes[k : k + 1], bound, 1 + k)
        if len(program.instructions) > 400:
            return
        expected = mg.grad(mg.grad(along))(flat[k])
        bound = Bound(lambda: trace(mg.grad(mg.grad(along)))(flat[k]), flat[k : k + 1])
        if math.isfinite(bound.room(0)):
            self.check("taylor, second", mg.derivatives(along, flat[k], 2)[2:], [expected], bound)
            self.check("hvp", [_leaves(mg.hvp(f, (flat,), (vector,)))[k]], [expected], bound)

    # Derivatives of derivatives.

    def hessian(self) -> None:
        flat = self.flat(0)
        if not 0 < len(flat) <= 12 or len(self.program().instructions) > 400:
            return
        structure = tree.flatten(self.first(), lambda leaf, _: leaf, "")[1]

        def f(xs: list[Any]) -> Any:
            return self.f(*tree.unflatten(structure, xs))

        several, vector = function_of(self.case.several), [float(i % 3 - 1) for i in range(len(flat))]

        def all_of(xs: list[Any]) -> Any:
            return several(*tree.unflatten(structure, xs))

        derivatives: tuple[tuple[str, Callable[..., Any], Callable[[], Any]], ...] = (
            ("Hessian", mg.hessian(f), lambda: self.compiled(mg.hessian(f))(flat)),
            ("hvp", lambda x: mg.hvp(f, (x,), (vector,)), lambda: self.compiled(f).hvp(flat, vector)),
            ("Jacobian", mg.jacobian(all_of), lambda: self.compiled(all_of).jacobian(flat)),
        )
        refused = "mg.while_loop" in self.case.source and len(self.program(0, several).outputs) <= len(flat)
        for where, g, got in derivatives[: 2 if refused else 3]:
            bound = None if self.strict else Bound(lambda g=g: trace(g)(flat), flat)  # type: ignore[misc]
            self.check(where, _leaves(got()), _leaves(g(flat)), bound)

    def sparse(self) -> None:
        """The sparse Hessian, and the sparse Jacobian of all results, compiled and recorded."""
        flat = self.flat(0)
        several = function_of(self.case.several)
        structure = tree.flatten(self.first(), lambda leaf, _: leaf, "")[1]
        if not 0 < len(flat) <= 12 or len(self.program(0, several).instructions) > 400:
            return

        def one(xs: list[Any]) -> Any:
            return self.f(*tree.unflatten(structure, xs))

        def all_of(xs: list[Any]) -> Any:
            return several(*tree.unflatten(structure, xs))

        for where, f, dense, sparse, call in (
            ("sparse Hessian", one, mg.hessian(one), mg.hessian(one, sparse=True), "hessian"),
            ("sparse Jacobian", all_of, mg.jacobian(all_of), mg.jacobian(all_of, sparse=True), "jacobian"),
        ):
            expected = [x + 0.0 for x in _leaves(dense(flat))]
            got = sparse(flat)
            self.check(where, (got.toarray() + 0.0).ravel().tolist(), expected)
            bound = None if self.strict else Bound(lambda dense=dense: trace(dense)(flat), flat)  # type: ignore[misc]
            found = getattr(self.compiled(f), call)(flat, sparse=True)
            self.check(f"{where}, compiled", (found.toarray() + 0.0).ravel().tolist(), expected, bound)
            if self.strict:
                self.check(f"{where}, compiled, its numbers", found.data.tolist(), got.data.tolist())
            if not (np.array_equal(found.indices, got.indices) and np.array_equal(found.indptr, got.indptr)):
                self.wrong.append(f"{where}, compiled: other places than recorded")

    def gradient_compiled(self, simplify: bool = False) -> None:
        """The program of the gradient, compiled, and the gradient of its sum."""
        program = self.program().gradient()
        program = program.simplify() if simplify else program
        if len(program.instructions) > 1500:
            return
        got = _leaves(self.compiled(program)(*self.first()))
        bound = None if self.strict else Bound(lambda: program, self.flat(0))
        self.check("gradient, compiled", got, program.replay(self.flat(0)), bound)

        def total(*args: Any) -> Any:
            return mg.sum(_leaves(program(*args)))

        values, slopes = recorded(total, self.first())
        value, gradient = self.compiled(total).value_and_grad(*self.first())
        second = Bound(lambda: _value_first(trace(total)(*self.first()).gradient(value=True)), self.flat(0))
        self.check(
            "gradient of the gradient",
            [value, *_flat(gradient)],
            [*values, *slopes],
            None if self.strict else second,
        )

    def simplified_gradient_compiled(self) -> None:
        self.gradient_compiled(simplify=True)


class _Again:
    """A compiled function whose calls are made until machine code has taken over: with the bits of the first one."""

    def __init__(self, compiled: Any, run: _Run) -> None:
        self.compiled = compiled
        self.run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.repeated(self.compiled, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self.repeated, getattr(self.compiled, name))

    def repeated(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        first, *_, last = [method(*args, **kwargs) for _ in range(UNTIL_TAKEN_OVER)]
        before, after = [
            tree.flatten(x.data if hasattr(x, "indptr") else x, lambda leaf, _: float(leaf), "")[0]
            for x in (first, last)
        ]
        self.run.check("taken over", after, before)
        code = self.compiled._ran()
        code = code._recorded or code  # the one for arguments that are inf or nan
        if code.takeover is not None and "since" not in str(code.takeover) and self.run.case.samples:
            self.run.wrong.append(f"taken over: {code.takeover}")
        return last


class _Model(nn.Module):
    def __init__(self, f: Callable[..., Any], case: Case, shared: list[Any]) -> None:
        self.f = f
        self.case = case
        self.shared = shared

    def __call__(self, x: Any) -> Any:
        numbers, shared = iter(x), iter(self.shared)
        args = [
            filled(shape, lambda: next(numbers)) if own else next(shared)
            for shape, own in zip(self.case.shapes, self.case.own, strict=True)
        ]
        return self.f(*args)

    def parameters(self) -> list[Value]:
        return _leaves(self.shared)


def _loss(output: Any, target: Any) -> Any:
    gap = output - target
    return gap * gap


def _values(x: Any) -> Any:
    return [_values(item) for item in x] if isinstance(x, list) else Value(x)


def _axes(case: Case) -> list[int | None]:
    return [0 if own else None for own in case.own]


def _shared_places(case: Case) -> list[int]:
    places, start = [], 0
    for shape, own in zip(case.shapes, case.own, strict=True):
        n = math.prod(shape)
        places += [] if own else list(range(start, start + n))
        start += n
    return places


def _single(numbers: Any, layout: str, shape: tuple[int, ...]) -> Any:
    return laid(numbers, layout, shape) if shape else np.float32(numbers) if layout == "float32" else numbers


def _flat(gradient: Any) -> list[float]:
    return [float(x) for x in _leaves(gradient)]


def _value_first(program: Program) -> Program:
    """The program of derivatives and a value, with the value first, as one list of results."""
    outputs = [program.outputs[-1], *program.outputs[:-1]]
    return Program(
        program.parameters,
        program.inputs,
        program.constants,
        program.instructions,
        outputs,
        in_structure=program.in_structure,
        out_structure=list(range(len(outputs))),
        labels=program.labels,
        fixed=program.fixed,
    )


def _called(text: str, args: Sequence[Any]) -> Any:
    """Return the result of a standalone function in Python."""
    namespace: dict[str, Any] = {}
    exec(compile(text, "<written>", "exec"), namespace)
    return namespace["f"](*args)


def _built(text: str, name: str, inputs: Sequence[list[float]], outputs: Sequence[int]) -> list[list[float]]:
    """Return the output of a function in C, built on the spot."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "f.c").write_text(text)
        flags = "-std=c99 -O1 -ffp-contract=off -shared -fPIC f.c -o f.so -lm".split()
        done = subprocess.run(["cc", *flags], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"cc: {done.stderr[:2000]}")
        library = ctypes.CDLL(str(Path(folder, "f.so")))
        given = [(ctypes.c_double * max(len(x), 1))(*x) for x in inputs]
        results = [(ctypes.c_double * max(n, 1))() for n in outputs]
        getattr(library, name)(*given, *results)
        return [list(result)[:n] for result, n in zip(results, outputs, strict=True)]


MODES = (
    *[
        f"{kind}{call} {how}"
        for kind in ("", INTERPRETED, TAKEN_OVER)
        for call in (*CALLS, *SECOND)
        for how in ("to the bit", "to rounding")
    ],
    *[text for text in TEXTS if not text.startswith("c") or shutil.which("cc")],
    *REPLAYS,
    MADE,
)


QUICK = (
    *[mode for mode in MODES if mode in (*REPLAYS, *TEXTS) and not mode.startswith("c")],
    *[f"{INTERPRETED}{call} to the bit" for call in ("value_and_grad", "batch_value_and_grad")],
)
"""Modes without a compiler of machine code: a second has time for some sixty of them, but for five of the others."""


def run(case: Case) -> list[str]:
    """All that is wrong with a case in its modes."""
    here = machine.machine()
    width, vector = here.width, here.vector
    here.width, here.vector = case.width or width, vector if case.vector and not case.width else 1
    found = []
    try:
        for mode in case.modes:
            one = _Run(case, mode)
            try:
                plan.POISON = True
                directional.UNROLLED = 0
                effort = list(machine.EFFORTS)[len(case.source) % len(machine.EFFORTS)]
                interpreted = mode.startswith(INTERPRETED)
                with taking_over() if one.again else running_as("" if interpreted else effort):
                    getattr(one, one.mode.replace(" ", "_"))()
            except Exception as error:
                lines = traceback.format_exc().splitlines()
                found.append(f"{mode}: {type(error).__name__}: {error}\n" + "\n".join(lines[-12:]))
            if one.wrong:
                more = f" ({len(one.wrong)} numbers differ)" if len(one.wrong) > 1 else ""
                found.append(f"{mode}: {one.wrong[0]}{more}")
    finally:
        here.width, here.vector = width, vector
        plan.POISON = False
    return found
