"""A program as text: a listing, one expression, a Python function on its own."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Container, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from microgrid.core import forward, straight, tree
from microgrid.core.primitive import OPS, Op, is_formula
from microgrid.text.notation import PLAIN, Written, applied, is_operator, number

if TYPE_CHECKING:
    pass

RESERVED = {"inf", "nan", "math", "builtins", "f"} | set(vars(forward))
"""Names that the text reserves for something else than a number of the program."""


class Listed(Protocol):
    """The parts of a program that are printed."""

    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[float, ...]
    instructions: tuple[Any, ...]
    outputs: tuple[int, ...]
    in_structure: tuple[tree.Structure, ...]
    out_structure: tree.Structure
    labels: dict[int, str]
    fixed: tuple[str, ...] | None


# --- the listing ---------------------------------------------------------------------------------------------------


def listing(program: Listed) -> str:
    """Return one instruction per line: a Python function, once the ops are imported under their names."""
    names = _names(program)
    lines = [f"def f({', '.join(program.parameters)}):"]
    for text in program.fixed or ():
        lines.append(f"    # fixed while tracing: {text if text.isprintable() else ascii(text)[1:-1]}")
    lines += _unpacking(program)
    given = _written(program, names)
    for name, (op, operands) in zip(_results(program, names), program.instructions, strict=True):
        lines.append(f"    {name} = {applied(op, [given[i] for i in operands]).text}")
    lines.append(f"    return {_structured(program.out_structure, [names[i] for i in program.outputs])}")
    return "\n".join(lines)


def _names(program: Listed) -> list[str]:
    """Return the name of each slot in text; a constant is its number."""
    names = [*program.inputs, *map(repr, program.constants)]
    taken = {*program.inputs, *program.parameters}
    for k in range(len(program.instructions)):
        name = normal(program.labels.get(len(names), ""))
        if not is_free(name, taken):
            name = f"t{k}"
            while name in taken:
                name += "_"
        taken.add(name)
        names.append(name)
    return names


def normal(name: str) -> str:
    """Return the name as Python normalises it in source text: distinct spellings may be equal (PEP 3131)."""
    return unicodedata.normalize("NFKC", name)


def is_free(name: str, taken: Container[str]) -> bool:
    """Return True if this normal name is free for a number of the program."""
    return is_name(name) and name not in RESERVED and name not in OPS and name not in taken


def is_name(name: str) -> bool:
    """Return True if the name is an identifier, and no keyword."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _results(program: Listed, names: Sequence[str]) -> Sequence[str]:
    return names[len(program.inputs) + len(program.constants) :]


def _written(program: Listed, names: Sequence[str]) -> list[Written]:
    """Return the names and numbers of all slots, as operands."""
    first = len(program.inputs)
    written = list(map(Written, names))
    written[first : first + len(program.constants)] = [number(x, repr(x)) for x in program.constants]
    return written


def _structured(structure: tree.Structure, texts: Sequence[str]) -> str:
    """Return the text of nested containers of texts: lists for arrays, contents for data classes."""
    if isinstance(structure, int):
        return texts[structure]
    if isinstance(structure, tree.Array):
        return str(tree.unflatten(structure, list(map(tree.Verbatim, texts)), tree.nested))
    if isinstance(structure, tree.Instance):
        return _structured(structure.content, texts)
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {_structured(item, texts)}" for key, item in structure.items()) + "}"
    items = [_structured(item, texts) for item in structure]
    if isinstance(structure, list):
        return f"[{', '.join(items)}]"
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _unpacking(program: Listed) -> list[str]:
    """Return the lines that unpack arguments into inputs."""
    lines = []
    for parameter, structure in zip(program.parameters, program.in_structure, strict=True):
        if isinstance(structure, int):
            if program.inputs[structure] != parameter:
                lines.append(f"    {program.inputs[structure]} = {parameter}")
            continue
        for path, i in tree.paths(structure):
            lines.append(f"    {program.inputs[i]} = {parameter}{tree.access(path)}")
    return lines


# --- one expression ------------------------------------------------------------------------------------------------


def expression(program: Listed, limit: int = 100_000) -> str:
    """Return the results as one expression. Raises ValueError when it has more characters than the limit."""
    names = _names(program)
    texts = _written(program, names)[: len(names) - len(program.instructions)]
    for op, operands in program.instructions:
        texts.append(applied(op, [texts[i] for i in operands]))
        check_length(texts[-1].text, limit)
    return _structured(program.out_structure, [texts[i].text for i in program.outputs])


def check_length(text: str, limit: int) -> None:
    """Raise ValueError when one expression has more characters than the limit."""
    if len(text) > limit:
        raise ValueError(
            f"one expression would take more than {limit} characters: print(program) has a line for each op"
        )


# --- a Python function on its own ----------------------------------------------------------------------------------


class PythonSource(str):
    """The text of a Python function; a call runs the function."""

    def __call__(self, *args: Any) -> Any:
        """Return the result of the function."""
        if not hasattr(self, "_function"):
            space: dict[str, Any] = {}
            exec(compile(self, "<microgrid program>", "exec"), space)
            self._function = space[re.findall(r"^def ([^(]+)\(", self, re.MULTILINE)[-1]]
        return self._function(*args)


def has_text(op: Op) -> bool:
    """Return True if the op has a text: an operator, a function of `math` or `forward.py`, a formula of the table."""
    return is_operator(op, PLAIN) or is_formula(op) or _home(op) in ("math", forward.__name__)


def _home(op: Op) -> str:
    """The module of the function that computes the op."""
    return "math" if "python" in op.on else getattr(op.forward, "__module__", "")


def _function(op: Op) -> str:
    """The name of that function."""
    given: str = op.on.get("python", op.forward.__name__)
    return given.removeprefix("math.")


def python(program: Listed, name: str) -> PythonSource:
    """Return the text of a function of this name, and of the functions that it calls."""
    name = normal(name)
    if not is_name(name):
        raise ValueError(f"the function's name must be a Python identifier, and no keyword, got {name!r}")
    if name != "f" and not is_free(name, ()):
        raise ValueError(f"{name} has a meaning of its own in the text: choose another name, as my_{name}")
    called = {op.name: op for op, _ in program.instructions if not is_operator(op, PLAIN)}
    names = _names(program)
    hidden = {
        name,
        *names,
        *program.parameters,
    }  # this name hides a function of Python's, which then needs its full name
    from_math = sorted({_function(op) for op in called.values() if _home(op) == "math"} - hidden)
    helpers: dict[str, str] = {}
    for op in called.values():
        if is_formula(op):
            assert op.formula is not None
            _add_text(op.name, straight.source(op.name, op.formula, op.arity).strip(), helpers)
        elif _home(op) == forward.__name__:
            _add_helper(op.forward.__name__, helpers)
    imports = (["import builtins"] if any("builtins." in text for text in helpers.values()) else []) + ["import math"]
    imports.append(f"from math import {', '.join([*from_math, 'inf', 'nan'])}")
    lines = [f"def {name}({', '.join(program.parameters)}):", *_unpacking(program)]
    given = _written(program, names)
    for result, (op, operands) in zip(_results(program, names), program.instructions, strict=True):
        if is_operator(op, PLAIN):
            text = applied(op, [given[i] for i in operands]).text
        else:
            function = _function(op)
            prefix = "math." if function in hidden and _home(op) == "math" else ""
            text = f"{prefix}{function}({', '.join([names[i] for i in operands])})"
        lines.append(f"    {result} = {text}")
    lines.append(f"    return {_structured(program.out_structure, [names[i] for i in program.outputs])}")
    return PythonSource("\n\n\n".join(["\n".join(imports), *helpers.values(), "\n".join(lines)]) + "\n")


def _add_helper(name: str, helpers: dict[str, str]) -> None:
    """Add the text of a forward function, after that of the functions that it calls."""
    import inspect

    _add_text(name, inspect.getsource(getattr(forward, name)).strip(), helpers)


def _add_text(name: str, text: str, helpers: dict[str, str]) -> None:
    for used in re.findall(r"(?<![\w.])(\w+)\(", text):
        if used != name and used not in helpers and isinstance(getattr(forward, used, None), FunctionType):
            _add_helper(used, helpers)
    helpers.setdefault(name, text)
