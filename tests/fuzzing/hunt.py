"""The search: cases one after the other, and what is found made small."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import microgrid as mg
from fuzzing.cases import Case, filled, make_case
from fuzzing.grammar import COMPUTED, LoopProgram, grow, smaller
from fuzzing.modes import MODES, QUICK, function_of, unprefixed
from fuzzing.processes import Worker
from microgrid import Value


@dataclass(frozen=True)
class Finding:
    """A mode in which something is wrong, what, and the case."""

    mode: str
    what: str
    case: Case
    seconds: float = 0.0
    """Seconds from the start of the search."""
    plant: str = ""

    def script(self) -> str:
        """A program to run from the root of the repository, which shows it."""
        c = self.case
        data = {key: value for key, value in vars(replace(c, modes=(self.mode,))).items() if key != "source"}
        lines = [
            f"# {self.mode}: {self.what}".replace("\n", "\n# "),
            'import sys; sys.path.insert(0, "tests")',
            "from math import inf, nan",
            "from fuzzing.cases import case_of",
            "from fuzzing.modes import run",
            *(["from fuzzing.processes import PLANTS", f"PLANTS[{self.plant!r}]()"] if self.plant else []),
            f"source = '''\\\n{c.source}'''",
            *[f"{key} = {value!r}" for key, value in data.items()],
            f"case = dict(source=source, {', '.join(f'{key}={key}' for key in data)})",
            "print(*run(case_of(case)), sep='\\n')",
        ]
        return "\n".join(lines)


class Hunt:
    """A search that takes so many seconds, or so many cases, from a seed."""

    def __init__(
        self,
        seconds: float,
        seed: int,
        *,
        plant: str = "",
        modes: Sequence[str] = MODES,
        most_cases: int | None = None,
        nests: float = 0.15,
    ):
        self.seconds = seconds
        self.rng = random.Random(seed)
        self.modes = modes
        self.plant = plant
        self.most_cases = most_cases
        self.nests = nests
        """The share of programs whose loops are traced once, and within one another."""
        self.cases = 0
        self.worker = Worker(plant)

    def findings(self, most: int = 1, small: float = 30.0) -> Iterator[Finding]:
        """Make at most this many findings small, each for at most this many seconds."""
        began = time.monotonic()
        end = began + self.seconds
        try:
            while most and time.monotonic() < end and self.cases != self.most_cases:
                seed = self.rng.getrandbits(48)
                rng = random.Random(seed)
                program = grow(rng, self.nests > 0.0 and rng.random() < self.nests)
                instructions = _length(program)
                if instructions is None or instructions > 2000:
                    continue
                quick = [mode for mode in QUICK if mode in self.modes]
                chosen = tuple(
                    quick if quick and rng.random() < 0.8 else rng.sample(self.modes, min(2, len(self.modes)))
                )
                chosen = _fitting(program.source(), chosen) or ("value_and_grad to the bit",)
                case = make_case(program, rng, chosen, instructions)
                self.cases += 1
                wrong = self.ask(case)
                if wrong:
                    most -= 1
                    seconds = time.monotonic() - began
                    yield replace(self.reduced(program, case, wrong, small), seconds=seconds)
        finally:
            self.worker.close()

    def ask(self, case: Case) -> list[str]:
        if not self.worker.alive or self.worker.cases >= 400:
            self.worker.close()
            self.worker = Worker(self.plant)
        return self.worker.run(case)

    def reduced(self, program: LoopProgram, case: Case, wrong: list[str], seconds: float) -> Finding:
        """The finding with all taken out of it that it does not need, as far as so many seconds go."""
        end = time.monotonic() + seconds
        found = False
        for mode in case.modes:  # the one that it is, where the process ended or several are wrong
            one = self.ask(replace(case, modes=(mode,)))
            if one:
                case, wrong, found = replace(case, modes=(mode,)), one, True
                break
        if not found:
            return Finding(case.modes[0], "only after others, in one process: " + wrong[0], case, plant=self.plant)
        mode = case.modes[0]
        kind = _kind(wrong[0])
        progress = True
        while progress and time.monotonic() < end:
            progress = False
            for candidate, other in _smaller_cases(program, case):
                if time.monotonic() > end:
                    break
                if other is None:
                    continue
                one = self.ask(other)
                if one and _kind(one[0]) == kind:
                    program, case, wrong, progress = candidate, other, one, True
                    break
        return Finding(mode, wrong[0].removeprefix(f"{mode}: "), case, plant=self.plant)


def _fitting(source: str, modes: Sequence[str]) -> tuple[str, ...]:
    """The modes that programs with loops that are traced once have."""
    unfit = ["numpy", "hessian to the bit", "sparse"] if "mg.while_loop" in source else ["-"]
    return tuple(
        mode
        for mode in modes
        if not unprefixed(mode).startswith(tuple(unfit))  # another sample has another program
        and not (COMPUTED in source and mode.endswith("to rounding"))
    )


def _kind(what: str) -> str:
    """Wrong numbers, an exception of one class, or an end of the process."""
    text = what.partition(": ")[2]
    head = text.partition(":")[0]
    return head if head.isidentifier() and head.endswith("Error") else "ended" if "process ended" in what else "numbers"


def _smaller_cases(program: LoopProgram, case: Case) -> Iterator[tuple[LoopProgram, Case | None]]:
    if case.samples > 1:
        for n in {case.samples // 2, case.samples - 1, 1}:
            for start in (0, case.samples - n):
                numbers = [x[start : start + n] if own else x for x, own in zip(case.numbers, case.own, strict=True)]
                yield program, replace(case, samples=n, numbers=tuple(numbers))
    for simple in smaller(program):
        if _length(simple) is not None:
            yield simple, replace(case, source=simple.source(), several=simple.source(several=True))
    plain = replace(case, layouts=tuple("lists" for _ in case.layouts), width=0, vector=True, threads=None)
    if plain != case:
        yield program, plain
    for i, argument in enumerate(program.arguments):
        rest = program.arguments[:i] + program.arguments[i + 1 :]
        if len(rest) and any(a.own for a in rest):
            simple = replace(program, arguments=rest)
            parts: dict[str, Any] = {
                key: getattr(case, key)[:i] + getattr(case, key)[i + 1 :]
                for key in ("shapes", "own", "numbers", "layouts")
            }
            if _length(simple) is not None:
                yield simple, replace(case, source=simple.source(), several=simple.source(several=True), **parts)
        if argument.shape and argument.shape[0] > 1:
            shape = (argument.shape[0] - 1, *argument.shape[1:])
            arguments = (*program.arguments[:i], replace(argument, shape=shape), *program.arguments[i + 1 :])
            simple = replace(program, arguments=arguments)
            x = case.numbers[i]
            cut = [row[:-1] for row in x] if argument.own else x[:-1]
            if _length(simple) is not None:
                yield (
                    simple,
                    replace(
                        case,
                        source=simple.source(),
                        several=simple.source(several=True),
                        shapes=(*case.shapes[:i], shape, *case.shapes[i + 1 :]),
                        numbers=(*case.numbers[:i], cut, *case.numbers[i + 1 :]),
                    ),
                )
        for number in (0.5, 1.0):
            simple_numbers = _replaced(case.numbers[i], number)
            if simple_numbers != case.numbers[i]:
                yield program, replace(case, numbers=(*case.numbers[:i], simple_numbers, *case.numbers[i + 1 :]))


def _replaced(x: Any, number: float) -> Any:
    return [_replaced(item, number) for item in x] if isinstance(x, list) else number


def _length(program: LoopProgram) -> int | None:
    """Return the number of nodes of a program's graph; None where plain Python refuses constants such as 1.0 / 0.0."""

    def half() -> Any:
        return Value(0.5)

    count = mg.engine.newest()
    try:
        with contextlib.suppress(TypeError):
            function_of(program.source())(*[filled(argument.shape, half) for argument in program.arguments])
        function_of(program.source(several=True))(*[filled(argument.shape, half) for argument in program.arguments])
    except (ArithmeticError, ValueError, TypeError):
        return None
    return (mg.engine.newest() - count) // 2
