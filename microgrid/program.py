"""`Program`: a recorded graph as a flat list of instructions, to print, replay, differentiate and turn into code."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from microgrid import ops
from microgrid.core import tree
from microgrid.core.primitive import Op, constants_recorded, exactly
from microgrid.core.scope import Reader, plainly_recording, reading, user_line
from microgrid.engine import FlatCode, Value, constant, newest, record, topological
from microgrid.functional import number_or_value, recorded_value, returned
from microgrid.graph.dependence import Dependence
from microgrid.graph.flat import flat
from microgrid.graph.linearize import Linearization
from microgrid.graph.running import run_noting_reads
from microgrid.numbers.arithmetic import FLOATS, VALUES, Arithmetic, arithmetic_of
from microgrid.text import source

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled


class Instruction(NamedTuple):
    """An op and the slots of its operands.

    >>> trace(lambda x: x + x)(3.0).instructions[0].operands
    (0, 0)
    """

    op: Op
    operands: tuple[int, ...]


def named(instructions: Iterable[tuple[Op, tuple[int, ...]]]) -> list[Instruction]:
    """Return pairs as instructions: in half of the time that `Instruction` takes."""
    return list(map(functools.partial(tuple.__new__, Instruction), instructions))


def needed(outputs: Iterable[int], instructions: Iterable[tuple[int, Instruction]]) -> set[int]:
    """Return the slots that outputs depend on, and the outputs, given instructions with the slots of their results."""
    slots = set(outputs)
    for slot, instruction in reversed(list(instructions)):
        if slot in slots:
            slots.update(instruction.operands)
    return slots


class Program:
    """FlatCode instructions without loops or branches. `trace(f)(*examples)` or `Program.of(output, inputs)` makes one.

    A slot is a number that the program knows: first its `inputs` (their names), then its `constants`, then the results
    of its `instructions`, in the order in which they were recorded. `outputs` are slots. Arguments and results may be
    nested lists, tuples and dicts: `parameters` names the arguments, and `in_structure` has a structure for each.

    A program keeps the branches taken while recording. `fixed` lists the places where Python's `if` or `while` read a
    number that depends on an input; `where` and `maximum` keep both branches. It is None for a graph that was recorded
    without tracing.

    >>> program = trace(lambda x, y: x * y + x)(2.0, 3.0)
    >>> program(2.0, 3.0), program.gradient()(2.0, 3.0)
    (8.0, (4.0, 2.0))
    """

    def __init__(
        self,
        parameters: Sequence[str],
        inputs: Sequence[str],
        constants: Sequence[float],
        instructions: Sequence[Instruction] | FlatCode,
        outputs: Sequence[int],
        *,
        in_structure: Sequence[tree.Structure],
        out_structure: tree.Structure,
        labels: Mapping[int, str] | None = None,
        fixed: Sequence[str] | None = None,
    ) -> None:
        self.parameters = tuple(parameters)
        self.inputs = tuple(inputs)
        self.constants = tuple(constants)
        self._straight = instructions if isinstance(instructions, FlatCode) else None
        self._instructions = () if isinstance(instructions, FlatCode) else tuple(instructions)
        self.outputs = tuple(outputs)
        self.in_structure = tuple(in_structure)
        self.out_structure = out_structure
        self.labels = dict(labels or {})
        self.fixed = None if fixed is None else tuple(fixed)
        self._prepared: tuple[Arithmetic, list[Any]] | None = None  # of the last replay
        self._slopes_of: Program | None = None  # the program of which this one is the gradient

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The instructions, each with an op and the slots of its operands."""
        if self._straight is not None:
            self._instructions = tuple(named(self._straight.pairs()))
            self._straight = None
        return self._instructions

    @instructions.setter
    def instructions(self, instructions: Sequence[Instruction]) -> None:
        self._straight, self._instructions = None, tuple(instructions)

    def straight(self) -> FlatCode:
        """Return the ops of the instructions, and the slots of the operands of all, as two lists."""
        if self._straight is not None:
            return self._straight
        found = FlatCode()
        for op, operands in self._instructions:
            found.ops.append(op)
            found.operands.extend(operands)
        return found

    @property
    def reads(self) -> tuple[str, ...]:
        """Entries of `fixed` where a number was read out of the graph: it is frozen at trace time."""
        return tuple(text for text in self.fixed or () if f" {_READ} " in text)

    @property
    def ties(self) -> tuple[str, ...]:
        """Entries of `fixed` where two equal numbers were compared: nearby, another path may be taken."""
        return tuple(text for text in self.fixed or () if _TIE in text)

    @classmethod
    def of(cls, output: Any, inputs: Any) -> Program:
        """Return the program that computes output, a Value or nested containers of them, from inputs, which are Values.

        Each element of a list or tuple of inputs becomes an argument, as does each item of a dict. Other leaves become
        constants, with the number that they hold now. An input may be a result: what it was computed from is left out.
        """
        outputs, out_structure = tree.flatten(output, recorded_value, "output")
        if isinstance(inputs, Value):
            arguments: Mapping[str, Any] = {"": inputs}
        else:
            arguments = inputs if isinstance(inputs, dict) else {str(i): x for i, x in enumerate(inputs)}
        nodes, structures = tree.flatten(dict(arguments), recorded_value, "inputs")
        if len({node.number for node in nodes}) < len(nodes):
            raise ValueError("a Value stands twice among the inputs")
        names = []
        for i, (key, structure) in enumerate(structures.items()):
            label = nodes[structure].label if isinstance(structure, int) else ""
            names.append(label or (key if key.isidentifier() else f"x{i}"))
        return _laid_flat(outputs, nodes, _different(names), tuple(structures.values()), out_structure)

    # Running it.

    def __call__(self, *args: Any) -> Any:
        """Return the results, in the arguments' kind of numbers: floats, Values, fractions, mpmath, flint, NumPy."""
        leaves, structure = tree.flatten(args, lambda leaf, _: leaf, "arguments", arrays=False)
        if structure != self.in_structure:
            leaves, structure = tree.flatten(args, lambda leaf, _: leaf, "arguments")
        got = structure
        if structure != self.in_structure:  # arrays in place of the lists that it was traced with
            leaves, structure = tree.flatten(args, lambda leaf, _: leaf, "arguments", opened=_listed)
        if structure != self.in_structure:
            wanted = ", ".join(
                f"{name}: {tree.shape(s)}" for name, s in zip(self.parameters, self.in_structure, strict=True)
            )
            shapes = ", ".join(tree.shape(s) for s in got)
            raise TypeError(f"the program takes ({wanted}), got ({shapes})")
        return tree.unflatten(self.out_structure, self.replay(leaves, arithmetic_of(leaves)))

    def evaluated(self, at: Sequence[float]) -> Iterator[tuple[Instruction, list[float], float]]:
        """Yield each instruction with the numbers of its operands and its result on floats, in order."""
        slots = [*at, *self.constants]
        for instruction in self.instructions:
            given = [slots[i] for i in instruction.operands]
            slots.append(instruction.op.forward(*given))
            yield instruction, given, slots[-1]

    def replay(self, inputs: Sequence[Any], arithmetic: Arithmetic = FLOATS) -> list[Any]:
        """Return the outputs as a flat list, for a flat list of inputs, computed in an arithmetic."""
        if len(inputs) != len(self.inputs):
            raise TypeError(f"the program has {len(self.inputs)} input(s), got {len(inputs)}")
        given = [arithmetic.accept(x) for x in inputs]
        with arithmetic.context():
            return arithmetic.finish(self._run(given, arithmetic), given)

    def _run(self, inputs: Sequence[Any], arithmetic: Arithmetic) -> list[Any]:
        slots: list[Any] = [*inputs, *map(arithmetic.number, self.constants)]
        for function, operands, done in self._steps(arithmetic):
            slots.append(function(*[slots[i] for i in operands]))
            for i in done:
                slots[i] = None
        return [slots[i] for i in self.outputs]

    def _steps(self, arithmetic: Arithmetic) -> list[tuple[Callable[..., Any], tuple[int, ...], list[int]]]:
        """Return each instruction as a function, its operand slots, and the slots that are free afterwards."""
        if self._prepared is not None and self._prepared[0] is arithmetic:
            return self._prepared[1]
        first = len(self.inputs)
        functions: dict[tuple[Op, tuple[float, ...]], Callable[..., Any]] = {}
        steps: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
        for op, operands in self.instructions:
            # static operands are plain numbers in any arithmetic
            static = tuple(self.constants[i - first] for i in operands[op.arity - op.static :]) if op.static else ()
            function = functions.get((op, static))
            if function is None:
                function = functions[op, static] = function_on(op, static, arithmetic)
            steps.append((function, operands[: op.arity - op.static]))
        self._fuse_choices(steps, arithmetic)
        finished = self._finished([operands for _, operands in steps])
        self._prepared = (arithmetic, [(*step, done) for step, done in zip(steps, finished, strict=True)])
        return self._prepared[1]

    def _fuse_choices(self, steps: list[tuple[Callable[..., Any], tuple[int, ...]]], arithmetic: Arithmetic) -> None:
        """Make one step of a comparison and the choice by it, where the arithmetic has a function for both."""
        base = len(self.inputs) + len(self.constants)
        compared = {base + k: op.name for k, (op, _) in enumerate(self.instructions) if op.name in arithmetic.choices}
        if not compared:
            return
        for k, (op, operands) in enumerate(self.instructions):
            if op is ops.where and operands[0] in compared:
                _, sides = steps[operands[0] - base]
                steps[k] = (arithmetic.choices[compared[operands[0]]], (*sides, *operands[1:]))
        needed = {*self.outputs, *(i for _, operands in steps for i in operands)}
        for slot in compared.keys() - needed:
            steps[slot - base] = (_left_out, ())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}

    def _finished(self, operands: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return for each instruction, given its operands, the slots that nothing later needs: arrays to let go."""
        finished: list[list[int]] = [[] for _ in operands]
        seen = set(self.outputs)
        for k in range(len(operands) - 1, -1, -1):
            for i in operands[k]:
                if i not in seen:
                    seen.add(i)
                    finished[k].append(i)
        return finished

    # Other programs.

    def gradient(self, *, value: bool = False) -> Program:
        """Return the program of the derivatives by all arguments; with `value`, of the pair of the value and those.

        Its result has the structure of the argument, or of the tuple of the arguments where there are several. Its
        numbers are those of `backward()` to the bit, except that a product with a zero factor may be -0.0, which
        `backward()` adds to a gradient of 0.0. Raises ValueError for a program of several results, TypeError where a
        rule branches on a number.
        """
        found = self.gradient_by([0.5] * len(self.inputs), no_branch_in_a_rule, value=value)
        found._slopes_of = self
        return found

    def gradient_by(self, at: Sequence[float], reader: Reader, *, value: bool = False) -> Program:
        """Return the program of the derivatives by the rules at a point; the reader is told of each read."""
        if not tree.is_number(self.out_structure):
            raise ValueError(f"only a program with one result has a gradient, this one gives {self._results()}")
        inputs, (output,), (slopes,) = self._differentiated(at, reader)
        by: dict[Value, list[str]] = {}
        for name, slope in zip(self.inputs, slopes, strict=True):
            if slope.operands and not slope.label:
                by.setdefault(slope, []).append(f"d/d{name}")
        for slope, names in by.items():
            slope.label = ", ".join(names)
        structure: tree.Structure = self.in_structure[0] if len(self.in_structure) == 1 else self.in_structure
        if value:
            structure = (len(slopes), structure)
            slopes.append(output)
        return self._with(slopes, inputs, structure)

    def jacobian(self) -> Program:
        """Return the program of the derivatives of each result by each input, as a list for each result, both flat."""
        inputs, _, rows = self._differentiated([0.5] * len(self.inputs), no_branch_in_a_rule)
        width = len(inputs)
        structure = [list(range(k * width, (k + 1) * width)) for k in range(len(rows))]
        return self._with([slope for row in rows for slope in row], inputs, structure)

    def _differentiated(
        self, at: Sequence[float], reader: Reader
    ) -> tuple[list[Value], list[Value], list[list[Value]]]:
        """Return inputs at a point, the outputs, and the derivatives of each output by all inputs."""
        with plainly_recording(), reading(reader):
            inputs = [Value(x) for x in at]
            outputs = self.replay(inputs, VALUES)
            linear = Linearization(outputs, inputs)
            units = [[float(k == i) for k in range(len(outputs))] for i in range(len(outputs))]
            return inputs, outputs, [linear.pull_values(unit) for unit in units]

    def simplify(self, *, signed_zeros: bool = True) -> Program:
        """Return an equivalent program with fewer instructions.

        Constants are folded, common subexpressions merged, signs moved, factors 1 and what a structural 0 passes on
        left out, and dead instructions removed. Each number stays the same to the bit on floats; without
        `signed_zeros`, that of a zero but for its sign, and that of a small whole power, which becomes a product, but
        for its rounding. Then products with 0 are left out, too, where intervals show the other factor to be finite
        for all finite arguments; results for others keep their nan. In another arithmetic, a computed constant is the
        float. Take derivatives first: those of a program that computes the same may be summed in another order.
        """
        from microgrid.graph.simplification import simplified

        found = simplified(len(self.inputs), self.constants, self.instructions, self.outputs, signed_zeros)
        labels: dict[int, str] = {}
        for slot, label in self.labels.items():
            labels.setdefault(found.places[slot], label)
        labels.pop(-1, None)
        program = Program(
            self.parameters,
            self.inputs,
            found.constants,
            named(found.instructions),
            found.outputs,
            in_structure=self.in_structure,
            out_structure=self.out_structure,
            labels=labels,
            fixed=self.fixed,
        )
        program._slopes_of = self._slopes_of
        return program

    def lowered(self, is_native: Callable[[Op], bool], key: str) -> Program:
        """Return the same function in native ops only, the others replaced by their formulas.

        A formula may name ops that are replaced in their turn. Raises TypeError for one that comes back to its own op,
        and for one without a formula; the key is the one under which `on=` could hand it a native.
        """
        program, replaced, rounds = self, set[str](), 0
        while others := {op.name for op, _ in program.instructions if not is_native(op)}:
            replaced |= others
            rounds += 1
            if rounds > len(replaced):
                raise TypeError(f"{', '.join(sorted(others))}: the formula comes back to its own op")
            with plainly_recording(), reading(_no_branch), constants_recorded(record):
                inputs = [Value(0.5) for _ in self.inputs]
                outputs = program._run(inputs, _Lowering(is_native, key))
            values = [x if isinstance(x, Value) else constant(x) for x in outputs]
            program = program._with(values, inputs, self.out_structure)
        return program

    def _with(self, outputs: Sequence[Value], inputs: Sequence[Value], structure: tree.Structure) -> Program:
        program = _laid_flat(outputs, inputs, self.parameters, self.in_structure, structure)
        program.inputs, program.fixed = self.inputs, self.fixed
        return program

    # Writing it.

    def __str__(self) -> str:
        return source.listing(self)

    def __repr__(self) -> str:
        lines = str(self).splitlines()
        if len(lines) > 40:
            lines[30:-5] = [f"    ...  # {len(lines) - 35} more lines: print(program) has them all"]
        return "\n".join(lines)

    def expression(self) -> str:
        """Return the result as one expression in microgrid's functions. A value that is used twice is written twice.

        Raises ValueError when that makes more than 100,000 characters.
        """
        return source.expression(self)

    def latex(self) -> str:
        """Return the result as one formula in LaTeX, without dollar signs.

        A gradient is written as a textbook has it: [x > 0] for the derivative of relu(x), and a line of an `aligned`
        environment for each of several variables. Its numbers are those of the program but for rounding, and for the
        conventions at points where the formula has no value.
        """
        return self._formula()

    def _repr_latex_(self) -> str | None:
        try:
            return f"$\\displaystyle {self._formula(limit=2000)}$"
        except ValueError:
            return None

    def _formula(self, **limits: int) -> str:
        if self._slopes_of is not None and self.inputs:
            from microgrid.pictures.slope_formulas import slope_formulas

            return slope_formulas(self._slopes_of, len(self.outputs) > len(self.inputs), **limits)
        from microgrid.text.latex import latex

        return latex(self, **limits)

    def python(self, name: str = "f") -> source.PythonSource:
        """Return the text of a standalone Python function that computes the same bits, and can be called.

        Raises ValueError for a name that is no identifier, or that of an op.
        """
        return source.python(self.lowered(source.has_text, "python"), name)

    def c(self, name: str = "f") -> str:
        """Return the text of `void name(const double *x, double *y)` in C99, which needs only math.h.

        x has the inputs, y gets the outputs, both flat, in the order of `inputs` and of the leaves of the result.
        Raises ValueError for a name that is no identifier in C, or that of a function of its mathematics.
        """
        from microgrid.text import c_source

        return c_source.c(self.lowered(c_source.is_native, "c"), name)

    def javascript(self, name: str = "f") -> str:
        """Return the text of a JavaScript function from the array of the inputs to that of the outputs, both flat.

        What IEEE 754 defines has the bits of a replay; functions of `Math` may differ in the last ones. Raises
        ValueError for a name that is no identifier, or has a meaning in the text, TypeError for an op that is not
        written in ops and operators.
        """
        from microgrid.text import javascript

        return javascript.javascript(self, name)

    def compile(
        self,
        *,
        strict: bool = False,
        cache: bool = True,
        threads: int | None = None,
        check: bool = True,
        background: bool = True,
    ) -> Compiled:
        """Compile the program, as `microgrid.compile` compiles a function."""
        from microgrid.compiler import compile

        return compile(self, strict=strict, cache=cache, threads=threads, check=check, background=background)

    def _results(self) -> str:
        return tree.shape(self.out_structure)


def _listed(x: Any) -> Any:
    return x.tolist() if tree.is_array(x) else x


class _Lowering(Arithmetic):
    """Arithmetic of Values, on which an op that is not native is replaced by its formula."""

    def __init__(self, is_native: Callable[[Op], bool], key: str) -> None:
        super().__init__("native ops", constant, {}, key=key)
        self._is_native = is_native

    def function(self, op: Op) -> Callable[..., Any]:
        if self._is_native(op):
            return op
        definition = op.formula or op.forward

        def composed(*operands: Any) -> Any:
            try:
                return definition(*operands)
            except TypeError as error:
                raise not_in_other_ops(op, self.key, error) from None

        return composed


def not_in_other_ops(op: Op, key: str, error: TypeError) -> TypeError:
    """Return the error for an op that a text needs, and that has neither a formula nor a native under the key."""
    return TypeError(
        f"{op.name} cannot be written in other ops: declare it with formula=, its definition in ops and operators, or "
        f"with on={{{key!r}: ...}}, the name of its function ({error})"
    )


def _no_branch(how: str, value: Value, other: Any, answer: Any) -> None:
    raise TypeError("it branches on a number; write it with where")


def no_branch_in_a_rule(how: str, value: Value, other: Any, answer: Any) -> None:
    """Raise TypeError for a read of a number by a rule that is recorded."""
    raise TypeError(
        f"the rule at {user_line()} reads a number, and a program would keep one branch for ever: write it with where, "
        "or take grad, which asks each time"
    )


def function_on(op: Op, static: tuple[float, ...], arithmetic: Arithmetic) -> Callable[..., Any]:
    """Return the op with these static operands, as a function of numbers of an arithmetic."""
    function = arithmetic.function(op)
    if function is None:
        function = _by_definition(op, static, arithmetic)
    elif static:
        function = functools.partial(_with_static, function, static)
    return arithmetic.extended(op, static, function)


def _by_definition(op: Op, static: tuple[float, ...], arithmetic: Arithmetic) -> Callable[..., Any]:
    try:
        program = definition(op, static, arithmetic.exact)
        if any(step.op is op for step in program.instructions):  # an operator, which is its own definition
            raise TypeError
    except TypeError:  # not written in ops and operators, but possibly callable with these numbers
        return functools.partial(arithmetic.forward, op)

    def defined(*operands: Any) -> Any:
        try:
            return program._run(operands, arithmetic)[0]
        except TypeError as error:
            raise type(error)(f"{op.name}: {error}") from None

    return defined


def _left_out() -> None:
    """Stand in for a step that others make, too."""


def _with_static(function: Callable[..., Any], static: tuple[float, ...], *operands: Any) -> Any:
    return function(*operands, *static)


@functools.lru_cache(maxsize=1024)
def definition(op: Op, static: tuple[float, ...], exact: bool = False) -> Program:
    """Return the program of an op's formula, or of its forward function, for these static operands.

    Of formulas that differ for exact numbers it is the one for these, or for rounded ones.
    """
    count = op.arity - op.static
    names = [f"x{i}" for i in range(count)]
    with (
        exactly() if exact else contextlib.nullcontext(),
        plainly_recording(),
        reading(_no_branch),
        constants_recorded(record),
    ):
        inputs = [Value(0.5) for _ in names]
        output = (op.formula or op.forward)(*inputs, *static)
    result = output if isinstance(output, Value) else constant(output)
    return _laid_flat([result], inputs, names, range(count), 0)


def trace(function: Callable[..., Any]) -> Callable[..., Program]:
    """Return the function that records `function` as a program at examples: numbers, or nested containers of them.

    >>> print(trace(lambda x: (x * x + 1.0).sqrt())(2.0))
    def f(x):
        t0 = x * x
        t1 = t0 + 1.0
        t2 = sqrt(t1)
        return t2
    """

    return lambda *examples: _traced(function, examples, outside=False)[0]


def trace_with_outside(function: Callable[..., Any], *examples: Any) -> tuple[Program, list[Value]]:
    """Record a function as `trace` does, with `Value`s from outside as further inputs; return these, too.

    So derivatives by them are not lost where the function is part of another one.
    """
    return _traced(function, examples, outside=True)


def _traced(function: Callable[..., Any], examples: Sequence[Any], outside: bool) -> tuple[Program, list[Value]]:
    leaves, structures = tree.flatten(examples, number_or_value, "argument ")
    parameters = parameters_of(function, len(examples))
    seen: list[tuple[str, Value, Any, Any, str]] = []
    with plainly_recording():
        names = input_names(parameters, structures)
        inputs = [
            Value(x.item() if isinstance(x, Value) else x, label=name) for x, name in zip(leaves, names, strict=True)
        ]
        arguments = tree.unflatten(structures, inputs)
        first = newest()
        with reading(lambda how, value, other, answer: seen.append((how, value, other, answer, user_line()))):
            result, read = run_noting_reads(function, *arguments)
    name = getattr(function, "__name__", type(function).__name__)
    outputs, out_structure = tree.flatten(result, functools.partial(returned, name, read), "")
    older: dict[int, Value] = {}
    if outside:
        topological(outputs, inputs=inputs, start=first, older=older)
        for node in inputs:
            older.pop(node.number, None)
    found = list(older.values())
    if found:
        parameters = [*parameters, "outside"]
        structures = (*structures, list(range(len(inputs), len(inputs) + len(found))))
    program = _laid_flat(outputs, [*inputs, *found], parameters, structures, out_structure)
    depends = Dependence(inputs)
    fixed = [_what_was_fixed(*look) for look in seen if look[0] == "once" or look[1] in depends or look[2] in depends]
    program.fixed = tuple(dict.fromkeys(fixed))
    return program, found


_READ, _TIE = "was read as", ", at a tie"


def _what_was_fixed(how: str, value: Value, other: Any, answer: Any, line: str) -> str:
    if how == "once":
        return f"{other} ({line})"
    text = value.label or f"a {value.op.name if value.op else 'number'} of {value.item()!r}"
    if how in ("data", "grad"):
        return f"{'the grad of ' if how == 'grad' else ''}{text} {_READ} {answer!r} ({line})"
    right = (other.label or repr(other.item())) if isinstance(other, Value) else repr(other)
    tie = _TIE if value.item() == (other.item() if isinstance(other, Value) else other) else ""
    return f"{text} {how} {right} was {answer}{tie} ({line})"


def _laid_flat(
    outputs: Sequence[Value],
    inputs: Sequence[Value],
    parameters: Sequence[str],
    in_structure: Sequence[tree.Structure],
    out_structure: tree.Structure,
) -> Program:
    graph = flat(outputs, inputs)
    return Program(
        parameters,
        input_names(parameters, in_structure),
        graph.numbers,
        graph.straight,
        graph.outputs,
        in_structure=in_structure,
        out_structure=out_structure,
        labels={
            i: node.label for i, node in enumerate([*graph.constants, *graph.results], len(graph.inputs)) if node.label
        },
    )


def input_names(parameters: Sequence[str], in_structure: Sequence[tree.Structure]) -> list[str]:
    """Return a name for each leaf of the arguments: w_a_0 for w["a"][0], the argument's own for a single leaf."""
    names: dict[int, str] = {}
    within: dict[int, str] = {}
    for parameter, structure in zip(parameters, in_structure, strict=True):
        if isinstance(structure, int):
            names[structure] = parameter
        else:
            within |= {i: "_".join(map(str, (parameter, *path))) for path, i in tree.paths(structure)}
    names |= zip(within, _different(list(within.values()), parameters), strict=True)
    return [names[i] for i in range(len(names))]


def _different(names: Sequence[str], but: Sequence[str] = ()) -> list[str]:
    """Make names distinct identifiers, different from ops and from the other names."""
    taken = set(but)

    def one(name: str) -> str:
        name = "".join(c if f"a{c}".isidentifier() else "_" for c in source.normal(name))
        name = name if source.is_name(name) else f"x_{name}"
        while not source.is_free(name, taken):
            name += "_"
        taken.add(name)
        return name

    return [one(name) for name in names]


def parameters_of(function: Callable[..., Any], count: int) -> list[str]:
    """Return names for this many arguments of a function, valid in text."""
    return _different(argument_names(function, count))


def argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of this many arguments of a function, from its signature as far as it goes."""
    import inspect

    try:
        named = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        named = []
    return [*named, *(f"x{i}" for i in range(len(named), count))][:count]
