"""Tracing of loops, while a function is traced: the step once, and a condition once for each path through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from microgrid.compiler.loop_splitting import LoopCall
from microgrid.compiler.looped import Decision, Repeated, used
from microgrid.compiler.whole import Whole
from microgrid.core import tree
from microgrid.core.primitive import CALL, REAL, Op
from microgrid.core.scope import Reader, current_module, current_reader, line_of, reading, user_line
from microgrid.engine import CONSTANT, Value, give_data, newest, record
from microgrid.functional import number_or_value
from microgrid.functions.iteration import carry_after, pair, returned_carry, returned_y, truth
from microgrid.ops import identity

PATHS = 64
"""Maximum number of paths through the comparisons of a condition."""

Trace = Callable[..., Any]
"""`tracing.traced`, which imports this file."""


class LoopTracer:
    """Tracer of the loops of a function, but of those in functions that it differentiates."""

    def __init__(self, traced: Trace, strict: bool, at_floats: bool, notes: list[str]) -> None:
        self.traced = traced
        self.strict = strict
        self.at_floats = at_floats
        self.notes = notes
        """Loops that are unrolled, and why."""
        self.calls: list[LoopCall] = []
        self.reader: Reader | None = None
        """The observer of the function's own reads; another one is there in functions that it differentiates."""

    @property
    def results(self) -> list[Value]:
        """Return the results of all loops."""
        return [result for call in self.calls for result in call.results]

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with this tracer for the loops that it runs itself."""

        def own(*args: Any) -> Any:
            self.reader = current_reader()
            return function(*args)

        return own

    def takes(self, name: str) -> bool:
        """Return True if the loop that is called now is traced. Raises TypeError for a while_loop that cannot be."""
        if current_module() is None:  # nothing is recorded
            return False
        if current_reader() is self.reader:
            return True
        where = f"{name} at {user_line()}"
        if name == "while_loop":
            raise TypeError(
                f"{where} cannot be compiled within a derivative other than the gradient of the whole function: its "
                "number of iterations depends on numbers. Use compile(f).gradient or .value_and_grad, without strict "
                "also .hessian, not sparse, and .hvp, or a fori_loop"
            )
        self.notes.append(f"{where}: within a derivative that is traced; compile(f).gradient has it as a loop")
        return False

    def stands_for_floats(self) -> bool:
        """Return True if derivatives that are taken now are to have the bits of those at floats.

        In a function that is differentiated itself recording has Values, too.
        """
        return self.at_floats and current_reader() is self.reader

    def step(self, function: Any, given: dict[str, Any], name: str, outside: Sequence[Value] = ()) -> Any:
        """Trace the step of a loop."""
        return self.traced(
            function,
            given,
            outside,
            result=f"the step of {name}",
            strict=self.strict,
            at_floats=self.at_floats,
            notes=self.notes,
        )

    def scan(
        self, name: str, step: Any, carry: Any, items: Sequence[Any], reverse: bool, segment: int
    ) -> tuple[Any, list[list[Any]], Any] | None:
        """Return the last carry, and the leaves of y for each item, and their structure; None to unroll the loop."""
        line = user_line()
        leaves, structure = tree.flatten(carry, number_or_value, "carry")
        x, x_structure = tree.flatten(items[0], _number_or_none, "x")
        flat: list[list[Any]]
        if isinstance(items, range):
            flat = [[i] for i in items]
        else:
            flat = [_like(item, x_structure, t, name) for t, item in enumerate(items)]
        places = [i for i, number in enumerate(x) if number is not None]
        kept: list[Any] = []

        def function(carry: Any, *numbers: Any) -> list[Any]:
            full = [None] * len(x)
            for place, number in zip(places, numbers, strict=True):
                full[place] = number
            where = f"step of {name}, at {line},"
            result, y = pair(step(carry, tree.unflatten(x_structure, full)), where)
            carried = tree.flatten(returned_carry(result, structure, where), lambda leaf, _: leaf, "carry")[0]
            ys, y_structure = returned_y(y, None, where)
            own = list({id(leaf): leaf for leaf in ys if leaf is not None}.values())
            kept[:] = ys, y_structure, own, carried
            return [*carried, *own]

        start = newest()
        given = {"carry": tree.unflatten(structure, _numbers(leaves))}
        given |= {f"x{i}": number for i, number in enumerate(_numbers([x[place] for place in places]))}
        try:
            traced = self.step(function, given, name)
        except (TypeError, IndexError, ValueError) as error:
            if not Whole([name], []).taken_for_one(error):
                raise
            raise TypeError(
                f"{name} at {line} cannot be compiled: its step takes a number for a whole one, at {line_of(error)}: "
                f"{error}. The step is traced once, for all iterations: let scan take items, scan(step, carry, items)"
            ) from error
        ys, y_structure, own, carried = kept
        n, m = len(leaves), len(places)
        if self.strict and not _in_order(start, n, m, carried, own):
            self.notes.append(f"{name} at {line}: strict, and a Value is in the results of a step more than once")
            return None
        needed = used(traced.program)
        xs_used = tuple([i for i in range(m) if n + i in needed])
        operands = [*leaves, *[row[places[i]] for row in flat for i in xs_used]]
        if self.strict and len({id(v) for v in (*operands, *traced.captured) if isinstance(v, Value)}) < sum(
            [isinstance(v, Value) for v in (*operands, *traced.captured)]
        ):
            self.notes.append(f"{name} at {line}: strict, and it has a Value twice")
            return None
        same = tuple([next((i for i, leaf in enumerate(carried) if leaf is y), -1) for y in own])
        loop = Repeated(name, line, traced.program, n, m, len(own), xs_used, len(items), (), reverse, segment, same)
        last, rows = self._called(loop, start, operands, traced.captured, leaves, own)
        numbers = {id(y): j for j, y in enumerate(own)}
        found = [[None if y is None else row[numbers[id(y)]] for y in ys] for row in rows]
        return tree.unflatten(structure, last), found, y_structure

    def while_loop(self, condition: Any, step: Any, carry: Any, max_iterations: int) -> Any:
        """Return the last carry."""
        line = user_line()
        where = f"step of while_loop, at {line},"
        leaves, structure = tree.flatten(carry, number_or_value, "carry")
        kept: list[Any] = []
        given = {"carry": tree.unflatten(structure, _numbers(leaves))}
        compared = _Condition(condition, line)
        start = newest()
        asked = self.traced(compared.numbers, given, result="the condition of while_loop", loops=False)
        decision = compared.decision

        def function(carry: Any) -> list[Any]:
            carried = tree.flatten(carry_after(step, carry, structure, where), lambda leaf, _: leaf, "carry")[0]
            kept[:] = carried
            return carried

        traced = self.step(function, given, "while_loop", asked.captured)
        if self.strict and any(isinstance(x, Value) and x.number <= start and x.op is not CONSTANT for x in kept):
            raise TypeError(
                f"the {where} returns a Value from outside as part of the carry; in strict mode write "
                "microgrid.identity(x) there"
            )
        loop = Repeated(
            "while_loop",
            line,
            traced.program,
            len(leaves),
            0,
            0,
            (),
            max_iterations,
            (),
            condition=asked.program,
            decision=decision,
        )
        last, _ = self._called(loop, start, leaves, traced.captured, leaves, [])
        return tree.unflatten(structure, last)

    def _called(
        self,
        loop: Repeated,
        began: int,
        given: Sequence[Any],
        outside: Sequence[Value],
        carry: Sequence[Any],
        ys: Sequence[Any],
    ) -> tuple[list[Value], list[list[Value]]]:
        """Enter a loop; return the last carry, and the y of each iteration."""
        traced = newest()
        operands: list[Value] = []
        taken = {value.number for value in outside}
        for x in given:
            value = x if isinstance(x, Value) else Value(x)
            operands.append(identity(value) if value.number in taken else value)
            taken.add(value.number)
        operands += outside
        end = newest()
        token = record(_loop_of(len(operands)), operands) if len(operands) > 1 else operands[0] if operands else None
        examples = [*carry, *[y for _ in range(loop.times) for y in ys]]
        results = [Value(0.0) if token is None else record(_RESULT, [token]) for _ in examples]
        give_data(results, _numbers(examples))
        self.calls.append(LoopCall(operands, results, loop, began, traced, end))
        last, rest = results[: loop.carry], results[loop.carry :]
        rows = [rest[t * loop.ys : (t + 1) * loop.ys] for t in range(loop.times)]
        if rows:
            final = loop.order(loop.times)[-1]
            rows[final] = [y if i < 0 else last[i] for y, i in zip(rows[final], loop.same, strict=True)]
        return last, rows


def _like(item: Any, structure: tree.Structure, t: int, name: str) -> list[Any]:
    """Return the leaves of an item of xs. Raises TypeError where its structure is not that of the first one."""
    if structure == 0 and (type(item) is float or type(item) is int):
        return [item]
    leaves, found = tree.flatten(item, _number_or_none, "x")
    if found != structure:
        raise TypeError(
            f"item {t} of xs of {name} is {tree.shape(found)}, item 0 {tree.shape(structure)}: compiled, all items "
            "have one structure"
        )
    return leaves


def _numbers(leaves: Sequence[Any]) -> list[float]:
    return [x._data if isinstance(x, Value) else float(x) for x in leaves]


def _number_or_none(x: Any, path: str) -> Any:
    return None if x is None else number_or_value(x, path)


def _in_order(start: int, carry: int, xs: int, carried: Sequence[Any], ys: Sequence[Any]) -> bool:
    """Return True if contributions to each Value are added in the order of recording, where a loop adds them up.

    That takes a Value's contributions from one iteration and the next alone, and one result that stands for it. The
    inputs of a step have the numbers after `start`.
    """
    after, given = _made(carried), _made(ys)
    own = range(start + 1, start + 1 + carry)
    made = [n for n in after if n >= 0]
    if len(set(made)) < len(made) or any(0 <= n <= start or own.stop <= n < own.stop + xs for n in (*made, *given)):
        return False
    if any(n in own for n in made):
        return not any(n in own or n in made for n in given)
    return not any(after[n - own.start] in given for n in given if n in own)


def _made(values: Sequence[Any]) -> list[int]:
    """Return the numbers of Values, and -1 for what has no derivative."""
    return [x.number if isinstance(x, Value) and x.op is not CONSTANT else -1 for x in values]


def _no_partials(z: Any, *operands: Any) -> tuple[Any, ...]:
    if any(isinstance(x, Value) for x in (z, *operands)):
        raise TypeError(
            "a compiled function differentiates the result of a loop that is traced: take the derivative of a function "
            "that calls the loop, by microgrid.grad and its like, or compile(f).gradient"
        )
    return (float("nan"),) * len(operands)


def _loop_of(arity: int) -> Op:
    """Return the op of a loop while it is traced: it has operands alone."""
    return Op("loop", lambda *xs: 0.0, _no_partials, arity, 0, (REAL,) * arity, "loop", CALL, r"\operatorname{loop}")


_RESULT = Op("result_of_loop", lambda x: x, _no_partials, 1, 0, (REAL,), "result", CALL, r"\operatorname{result}")


class _Condition:
    """A condition, run for each path through its comparisons."""

    def __init__(self, condition: Any, line: str) -> None:
        self.condition = condition
        self.line = line
        self.pairs: list[Any] = []
        self.paths = 0
        self.decision: Decision = True

    def numbers(self, carry: Any) -> list[Any]:
        """Return all numbers that are compared, in pairs; set the decision by them."""
        self.decision = self._decision(carry, [], [])
        return self.pairs

    def _decision(self, carry: Any, answers: list[bool], places: list[tuple[str, int]]) -> Decision:
        """Return the decision after some answers, which these comparisons had."""
        self.paths += 1
        if self.paths > PATHS:
            raise TypeError(
                f"the condition of while_loop at {self.line} has more than {PATHS} paths through its comparisons: "
                "compare fewer numbers, such as a maximum of them"
            )
        seen: list[tuple[str, Value, Any]] = []

        def answer(how: str, value: Value, other: Any, _: Any) -> bool | None:
            if how in ("data", "grad"):
                raise TypeError(
                    f"the condition of while_loop cannot be compiled: it reads the number of a Value at {user_line()}; "
                    "compare the Value itself"
                )
            seen.append((how, value, other))
            return answers[len(seen) - 1] if len(seen) <= len(answers) else True

        with reading(answer):
            result: Decision = truth(self.condition(carry))
        places = list(places)
        for how, value, other in seen[len(places) :]:
            places.append((how, len(self.pairs)))
            self.pairs += [value, other]
        for k in range(len(seen) - 1, len(answers) - 1, -1):
            how, at = places[k]
            path = [*answers, *[True] * (k - len(answers)), False]
            no = self._decision(carry, path, places[: k + 1])
            result = result if no is result and isinstance(no, bool) else (how, at, at + 1, result, no)
        return result
