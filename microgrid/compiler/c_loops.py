"""The loops of a program as one function in C, for a single sample."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from microgrid.compiler.code import SUMMED, Accumulate, Apply, Code, Guard, Load, Operand, Repeat, Store, Stored
from microgrid.compiler.gradient import Request, Static, tape_of
from microgrid.compiler.poly import Poly
from microgrid.compiler.roll import roll
from microgrid.compiler.storage import place
from microgrid.core.primitive import Op, op_called
from microgrid.program import Program, definition, not_in_other_ops
from microgrid.text import c_source

PARAMETERS = "const double *x, const double *p, double *y, double *d"
"""Parameters of every function."""

_PASSED = {
    "passed": "{0} + 0.0",
    "negated": "0.0 - {0}",
    "scaled": "{0} == 0.0 ? 0.0 : {0} * {1}",
    "chosen": "{0} == 0.0 || {1} == 0.0 ? 0.0 : {0} * {1}",
}


def c(program: Program, request: Request, name: str) -> str:
    """Return the text of `void name(const double *x, const double *p, double *y, double *d)` and its helpers.

    What is on the way is in static memory, so two threads must not run it at once.
    Raises ValueError for a name that no function can have there, TypeError for an op that cannot be written in C.
    """
    name = c_source.checked_name(name)
    tape = tape_of(program, request, is_native)
    sizes = tape.sizes
    writer = CodeWriter()
    calls = [f"    {function}(x, p, y, d);" for function in writer.functions(place(roll(tape)), name)]
    return writer.text(name, sizes, calls)


def is_native(op: Op, static: Static) -> bool:
    """Return True if there is C for the op, False if for its definition; TypeError if there is none for that either."""
    if c_source.is_native(op):
        return True
    try:
        definition(op, static)
    except TypeError as error:
        raise not_in_other_ops(op, "c", error) from None
    return False


class CodeWriter:
    """Writer of functions in C, which share the functions that they call, and of the memory that they use."""

    def __init__(self) -> None:
        self.helpers: dict[str, str] = {}
        self.memory: list[str] = []
        self._name = ""
        self._lines: list[str] = []
        self._registers: set[int] = set()

    def functions(self, stored: Stored, name: str) -> list[str]:
        """Write a function of (x, p, y, d) for each segment of code; return their names."""
        self._name = name
        segments = [segment for segment in (*stored.segments, stored.sums) if segment]
        for number, segment in enumerate(segments):
            self._lines, self._registers = [], set()
            self._run(segment, "    ")
            self._drop_unused()
            self.helpers[f"{name} {number}"] = "\n".join(
                [f"static void {name}_{number}({PARAMETERS}) {{", *self._declarations(), *self._lines, "}"]
            )
        self.memory += [
            f"static double {name}_{array}[{size}];" for array, size in stored.sizes.items() if array in "vtga" and size
        ]
        table = ", ".join(c_source.literal(x) for x in stored.table)
        if table:
            self.memory.append(f"static const double {name}_c[] = {{{table}}};")
        return [f"{name}_{number}" for number in range(len(segments))]

    def text(self, name: str, sizes: Mapping[str, int], body: Sequence[str]) -> str:
        """Return the text of a file whose last function has these lines."""
        comment = f"/* x has {sizes['x']} numbers, p {sizes['p']}; y gets {sizes['y']}; {sizes['d']} are added to d */"
        last = "\n".join([comment, f"void {name}({PARAMETERS}) {{", *body, "}"])
        parts = ["#include <math.h>", "\n".join(self.memory), *self.helpers.values(), last]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _drop_unused(self) -> None:
        """Drop terms that the C text of an op does not use, such as the count of a tied maximum."""
        while True:
            read = {int(r) for line in self._lines for r in re.findall(r"\br(\d+)\b", line.partition("=")[2])}
            unused = {f"r{register} =" for register in self._registers - read}
            if not unused:
                return
            self._lines = [line for line in self._lines if line.strip()[: line.strip().find("=") + 1] not in unused]
            self._registers &= read

    def _declarations(self) -> list[str]:
        names = [f"r{register}" for register in sorted(self._registers)]
        rows = [names[i : i + 16] for i in range(0, len(names), 16)]
        return ["    (void)x, (void)p, (void)y, (void)d;", *[f"    double {', '.join(row)};" for row in rows]]

    def _run(self, code: Sequence[Code], indent: str) -> None:
        for item in code:
            if isinstance(item, Load):
                self._set(indent, item.target, "1.0" if item.array == "s" else self._cell(item.array, item.cell))
            elif isinstance(item, Apply):
                self._set(indent, item.target, self._expression(item.op, item.operands))
            elif isinstance(item, Store):
                self._lines.append(f"{indent}{self._cell(item.array, item.cell)} = {_operand(item.value)};")
            elif isinstance(item, Accumulate):
                text = self._expression(item.op, item.operands)
                self._lines.append(f"{indent}{self._cell(item.array, item.cell)} += {text};")
            elif isinstance(item, Guard):
                self._guard(item, indent)
            else:
                self._repeat(item, indent)

    def _set(self, indent: str, register: int, text: str) -> None:
        self._registers.add(register)
        self._lines.append(f"{indent}r{register} = {text};")

    def _expression(self, op: str, operands: Sequence[Operand]) -> str:
        texts = [_operand(x) for x in operands]
        if op == SUMMED["mul"]:
            return f"{texts[2]} + {texts[0]} * {texts[1]}"
        if op == SUMMED["scaled"]:
            op = "scaled"
        if op not in _PASSED:
            return c_source.written(cast(Op, op_called(op)), texts, self.helpers)
        passed = _PASSED[op].format(*texts)
        more = len(texts) - (2 if "{1}" in _PASSED[op] else 1)
        return f"{texts[-1]} + ({passed})" if more else passed

    def _cell(self, array: str, index: Poly) -> str:
        return f"{array if array in 'xpyd' else self._name + '_' + array}[{_number(index)}]"

    def _guard(self, item: Guard, indent: str) -> None:
        for register, none, _ in item.results:
            self._set(indent, register, _operand(none))
        self._lines.append(f"{indent}if ({_number(item.times)} > 0) {{")
        self._run(item.body, indent + "    ")
        for register, _, after in item.results:
            self._set(indent + "    ", register, f"r{after}")
        self._lines.append(f"{indent}}}")

    def _repeat(self, loop: Repeat, indent: str) -> None:
        for register, first, _ in loop.kept:
            self._set(indent, register, _operand(first))
        i = f"i{loop.counter}"
        self._lines.append(f"{indent}for (int {i} = 0; {i} < {_number(loop.times)}; {i}++) {{")
        inner = indent + "    "
        self._run(loop.body, inner)
        # a kept number may be another one's next: all are taken before any is changed
        for number, (_, _, after) in enumerate(loop.kept):
            self._lines.append(f"{inner}const double n{number} = r{after};")
        self._lines += [f"{inner}r{register} = n{number};" for number, (register, _, _) in enumerate(loop.kept)]
        self._lines.append(f"{indent}}}")


def _operand(x: Operand) -> str:
    return f"r{x}" if isinstance(x, int) else c_source.literal(x)


def _number(index: Poly) -> str:
    """Return an index or a number of iterations."""
    text = str(index.base) if index.base or not index.terms else ""
    for number, factors, divisor in index.products():
        term = " * ".join([f"(i{counter} - {shift})" if shift else f"i{counter}" for counter, shift in factors])
        term = f"{abs(number)} * {term}" if abs(number) != 1 else term
        term = f"{term} / {divisor}" if divisor > 1 else term
        sign = ("- " if number < 0 else "+ ") if text else ("-" if number < 0 else "")
        text += (" " if text else "") + sign + term
    return text
