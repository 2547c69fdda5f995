"""A program as text: a listing that can be parsed, one expression, a formula in LaTeX, a Python function on its own."""

from __future__ import annotations

import functools
import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from microgrid import forward, tree
from microgrid.primitive import CALL, OPS, POWER, PRODUCT, SIGN, SUM, Op

if TYPE_CHECKING:
    import ast

RESERVED = {"inf", "nan", "math", "builtins", "f"} | set(vars(forward))
"""Names that the text uses for something else than a number of the program."""

_ATOM = CALL + 1
_INFIX = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "div": ("/", PRODUCT),
    "mod": ("%", PRODUCT),
    "floor_divide": ("//", PRODUCT),
    "constant_power": ("**", POWER),
}
_TOTAL = ("add", "sub", "mul")  # the operators that raise nothing on floats


class Listed(Protocol):
    """What is printed of a program."""

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
    """One instruction a line, in operators and microgrid's functions: what `parse` reads."""
    names = _names(program)
    lines = [f"def f({', '.join(_declared(program))}):"]
    for text in program.fixed or ():
        lines.append(f"    # fixed while tracing: {text if text.isprintable() else ascii(text)[1:-1]}")
    lines += _unpacking(program)
    for name, (op, operands) in zip(_results(program, names), program.instructions, strict=True):
        lines.append(f"    {name} = {_written(op, [(names[i], _ATOM) for i in operands])}")
    lines.append(f"    return {_structured(program.out_structure, [names[i] for i in program.outputs])}")
    return "\n".join(lines)


def _declared(program: Listed) -> list[str]:
    """The parameters, with the structure of those that the lines which take them apart do not tell."""
    declared = []
    for parameter, structure in zip(program.parameters, program.in_structure, strict=True):
        told = structure == _nested(list(tree.paths(structure)))
        declared.append(parameter if told else f"{parameter}: {_structured(structure, program.inputs)}")
    return declared


def _names(program: Listed) -> list[str]:
    """What each slot is called in text; a constant is its number."""
    names = [*program.inputs, *map(_literal, program.constants)]
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
    """The name as Python reads it in source text: two that look alike may be one there (PEP 3131)."""
    return unicodedata.normalize("NFKC", name)


def is_free(name: str, taken: Container[str]) -> bool:
    """Whether a number of the program can have this normal name in text."""
    return is_name(name) and name not in RESERVED and name not in OPS and name not in taken


def is_name(name: str) -> bool:
    """Whether it is an identifier, and no keyword."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _results(program: Listed, names: Sequence[str]) -> Sequence[str]:
    return names[len(program.inputs) + len(program.constants) :]


def _literal(x: float) -> str:
    return repr(x)


def _written(op: Op, operands: Sequence[tuple[str, int]]) -> str:
    """The op applied to operands, each a text and how tightly it binds."""
    if op.name == "neg":
        return f"-{_bound(operands[0], SIGN)}"
    if op.name in _INFIX:
        symbol, precedence = _INFIX[op.name]
        left = _bound(operands[0], precedence + (op.name == "constant_power"))
        right = operands[1][0] if op.name == "constant_power" else _bound(operands[1], precedence + 1)
        return f"{left} {symbol} {right}"
    return f"{op.name}({', '.join(text for text, _ in operands)})"


def _bound(operand: tuple[str, int], at_least: int) -> str:
    text, precedence = operand
    if text.startswith("-") and precedence == _ATOM:
        precedence = SIGN
    return text if precedence >= at_least else f"({text})"


def _precedence(op: Op) -> int:
    return SIGN if op.name == "neg" else _INFIX.get(op.name, ("", CALL))[1]


def _structured(structure: tree.Structure, texts: Sequence[str]) -> str:
    """The text of nested containers of texts."""
    if isinstance(structure, int):
        return texts[structure]
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {_structured(item, texts)}" for key, item in structure.items()) + "}"
    items = [_structured(item, texts) for item in structure]
    if isinstance(structure, list):
        return f"[{', '.join(items)}]"
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _unpacking(program: Listed) -> list[str]:
    """The lines that take arguments apart into inputs."""
    lines = []
    for parameter, structure in zip(program.parameters, program.in_structure, strict=True):
        if isinstance(structure, int):
            if program.inputs[structure] != parameter:
                lines.append(f"    {program.inputs[structure]} = {parameter}")
            continue
        for path, i in tree.paths(structure):
            lines.append(f"    {program.inputs[i]} = {parameter}{''.join(f'[{key!r}]' for key in path)}")
    return lines


# --- and back ------------------------------------------------------------------------------------------------------


def parse(text: str, ops: Mapping[str, Op]) -> dict[str, Any]:
    """The parts of the program that a listing shows. ValueError with the line that is none of its kind."""
    import ast

    try:
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
    except (SyntaxError, ValueError, AssertionError) as error:
        raise ValueError(f"not a listing, which is one `def f(x): ...`: {error}") from None
    parameters = [argument.arg for argument in function.args.args]
    declared = {argument.arg: argument.annotation for argument in function.args.args if argument.annotation}
    access: dict[str, list[tuple[tuple[Any, ...], str]]] = {name: [] for name in parameters}
    slots: dict[str, tuple[str, int]] = {}
    constants: list[float] = []
    instructions: list[tuple[Op, list[tuple[str, int]]]] = []
    symbols = {symbol: name for name, (symbol, _) in _INFIX.items()}
    operators = {
        ast.Add: "+",
        ast.Sub: "-",
        ast.Mult: "*",
        ast.Div: "/",
        ast.Mod: "%",
        ast.FloorDiv: "//",
        ast.Pow: "**",
    }

    def wrong(node: ast.AST) -> ValueError:
        line = getattr(node, "lineno", 0)
        return ValueError(f"line {line} is no instruction: {text.splitlines()[line - 1].strip()}")

    def operand(node: ast.expr) -> tuple[str, int]:
        if isinstance(node, ast.Name) and node.id in slots:
            return slots[node.id]
        number = _number(node)
        if number is None:
            raise wrong(node)
        constants.append(number)
        return "constant", len(constants) - 1

    def instruction(node: ast.expr) -> tuple[Op, list[tuple[str, int]]]:
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            return ops[symbols[operators[type(node.op)]]], [operand(node.left), operand(node.right)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return ops["neg"], [operand(node.operand)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ops:
            op = ops[node.func.id]
            if len(node.args) == op.arity:
                return op, [operand(x) for x in node.args]
        raise wrong(node)

    def structured(node: ast.expr, leaf: Callable[[ast.expr], int]) -> tree.Structure:
        if isinstance(node, ast.Dict):
            return {key(k): structured(v, leaf) for k, v in zip(node.keys, node.values, strict=True)}
        if isinstance(node, ast.List):
            return [structured(item, leaf) for item in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(structured(item, leaf) for item in node.elts)
        return leaf(node)

    def key(node: Any) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise wrong(node or last) from None

    def path_of(node: Any) -> tuple[Any, ...]:
        path: tuple[Any, ...] = ()
        while isinstance(node, ast.Subscript):
            path = (key(node.slice), *path)
            node = node.value
        return path

    def declared_input(node: ast.expr) -> int:
        kind, i = slots.get(node.id, ("", 0)) if isinstance(node, ast.Name) else ("", 0)
        if kind != "input":
            raise wrong(node)
        return i

    body: list[Any] = function.body[:-1]
    last = function.body[-1]
    whole = {statement.value.id for statement in body if _is_assignment(statement) and _is_alias(statement, access)}
    taken_apart = {root for statement in body if (root := _root(statement, access))}
    for name in parameters:
        if name not in taken_apart and name not in whole and name not in declared:
            access[name].append(((), name))
    body_instructions = []
    for statement in body:
        if not _is_assignment(statement):
            raise wrong(statement)
        target = statement.targets[0].id
        if root := _root(statement, access):
            access[root].append((path_of(statement.value), target))
        elif _is_alias(statement, access):
            access[statement.value.id].append(((), target))
        else:
            body_instructions.append((target, statement.value))
    inputs: list[str] = []
    in_structure = []
    for name in parameters:
        leaves = []
        for path, target in access[name]:
            slots[target] = ("input", len(inputs))
            leaves.append((path, len(inputs)))
            inputs.append(target)
        told = structured(declared[name], declared_input) if name in declared else _nested(leaves)
        if name in declared and list(tree.paths(told)) != leaves:
            raise wrong(declared[name])
        in_structure.append(told)
    for target, value in body_instructions:
        instructions.append(instruction(value))
        slots[target] = ("result", len(instructions) - 1)
    if not isinstance(last, ast.Return) or last.value is None:
        raise wrong(last)
    outputs: list[tuple[str, int]] = []

    def result(node: ast.expr) -> int:
        outputs.append(operand(node))
        return len(outputs) - 1

    out_structure = structured(last.value, result)
    start = {"input": 0, "constant": len(inputs), "result": len(inputs) + len(constants)}
    return {
        "parameters": parameters,
        "inputs": inputs,
        "constants": constants,
        "instructions": [(op, tuple(start[kind] + i for kind, i in operands)) for op, operands in instructions],
        "outputs": [start[kind] + i for kind, i in outputs],
        "in_structure": in_structure,
        "out_structure": out_structure,
        "labels": {start["result"] + i: name for name, (kind, i) in slots.items() if kind == "result"},
    }


def _is_assignment(statement: Any) -> bool:
    import ast

    return (
        isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)
    )


def _is_alias(statement: Any, parameters: Mapping[str, Any]) -> bool:
    import ast

    return isinstance(statement.value, ast.Name) and statement.value.id in parameters


def _root(statement: Any, parameters: Mapping[str, Any]) -> str:
    """The parameter that a statement takes an item of."""
    import ast

    node = getattr(statement, "value", None)
    if not isinstance(node, ast.Subscript):
        return ""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) and node.id in parameters else ""


def _nested(leaves: Sequence[tuple[tuple[Any, ...], int]]) -> tree.Structure:
    """The containers that these paths lead through; lists and tuples look alike, and are lists. None for no paths."""
    if not leaves:
        return None
    if len(leaves) == 1 and leaves[0][0] == ():
        return leaves[0][1]
    groups: dict[Any, list[tuple[tuple[Any, ...], int]]] = {}
    for path, i in leaves:
        groups.setdefault(path[0], []).append((path[1:], i))
    items = {key: _nested(group) for key, group in groups.items()}
    return list(items.values()) if list(items) == list(range(len(items))) else items


def _number(node: Any) -> float | None:
    import ast

    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return math.inf if node.id == "inf" else math.nan
    return float(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) else None


# --- one expression ------------------------------------------------------------------------------------------------


def expression(program: Listed, limit: int = 100_000) -> str:
    """The results as one expression; ValueError when it has more characters than the limit."""
    texts: list[tuple[str, int]] = [(name, _ATOM) for name in _names(program)]
    base = len(texts) - len(program.instructions)
    for k, (op, operands) in enumerate(program.instructions):
        given = [texts[i] for i in operands]
        texts[base + k] = (_limited(_written(op, given), limit), _precedence(op))
    return _structured(program.out_structure, [texts[i][0] for i in program.outputs])


def _limited(text: str, limit: int) -> str:
    if len(text) > limit:
        raise ValueError(
            f"one expression would take more than {limit} characters: print(program) has a line for each op"
        )
    return text


# --- a formula in LaTeX --------------------------------------------------------------------------------------------


class _Formula(NamedTuple):
    """A formula, how tightly it binds, and its text where an operator stands beside it."""

    text: str
    precedence: int
    beside: str


def latex(program: Listed, limit: int = 100_000) -> str:
    """The results as one formula; ValueError when it has more characters than the limit."""
    formulas = [_Formula(name, _ATOM, name) for name in _latex_names(program.inputs)]
    formulas += map(_latex_number, program.constants)
    for op, operands in program.instructions:
        formulas.append(_latex_of(op.latex, [formulas[i] for i in operands]))
        _limited(formulas[-1].text, limit)
    results = [formulas[i].text for i in program.outputs]
    return results[0] if len(results) == 1 else rf"\left({', '.join(results)}\right)"


# The templates of operators whose order everybody knows. Any other template binds as its notation does, whatever the
# op: one that is open at an end, as #1 \bmod #2, takes and makes operands in brackets only. x - y mod z has two
# readings, and so has sin x + y, where ISO 80000-2 asks for brackets.
_OPERATORS = {"#1 + #2": SUM, "#1 - #2": SUM, r"#1 \cdot #2": PRODUCT, "-#1": SIGN}
_OPEN = 0

_RELATION = re.compile(r"[<>=]\s*$|^\s*[<>=]")
_BRACKET_BEFORE = re.compile(r"(\\left\W|[(\[,<>=]|\\l(floor|ceil)|([\^_}\]]|\\[A-Za-z]+)\{)\s*$")
_BRACKET_AFTER = re.compile(r"\s*([)\],<>=]|\}|\\right)")
_BRACKETS = re.compile(r"\\left(?:\\\w+|.)(?:(?!\\left|\\right).)*\\right(?:\\\w+|.)")
_FUNCTION = re.compile(r"\\[A-Za-z]+(_\w?)? #\d")
_OPERATOR = re.compile(r"[-+*/<>=,!#\s]|\\(cdot|times|bmod|circ)")


@functools.lru_cache(maxsize=1024)
def _needs(template: str, operand: str) -> int:
    """How tightly an operand of a template has to bind, from what stands beside its first place there."""
    before, _, after = template.partition(operand)
    if template in _OPERATORS:
        return _OPERATORS[template] + (operand == "#2")
    if _BRACKET_BEFORE.search(before) and _BRACKET_AFTER.match(after):
        return SUM if _RELATION.search(before) or _RELATION.search(after) else _OPEN
    return PRODUCT if before.endswith("(1 + ") and _BRACKET_AFTER.match(after) else _ATOM


@functools.lru_cache(maxsize=1024)
def _binds(template: str) -> int:
    """How tightly what a template makes binds."""
    outside, found = template, 1
    while found:
        outside, found = _BRACKETS.subn("()", outside)
    outside, found = re.sub(r"\(\)", "B", outside), 1
    while found:
        outside, found = re.subn(r"\{[^{}]*\}", "", outside)
    if template in _OPERATORS:
        return _OPERATORS[template]
    if outside == "B" or ("#2" in template and re.fullmatch(r"\\[A-Za-z]+B", outside)):
        return _ATOM
    return CALL if _FUNCTION.fullmatch(outside) or not _OPERATOR.search(outside) else _OPEN


def _latex_of(template: str, operands: Sequence[_Formula]) -> _Formula:
    """The template with its operands in brackets where they need them, or where somebody could miss them."""
    if template == "#1":
        return operands[0]

    def filled(match: re.Match[str]) -> str:
        operand, least = operands[int(match[0][1]) - 1], _needs(template, match[0])
        if least == _OPEN:
            return operand.text
        second = operand.beside.startswith("-") and match.start() > 0 and least > SUM
        bare = operand.precedence >= least and not second
        return operand.beside if bare else rf"\left({operand.text}\right)"

    text, binds = re.sub(r"#\d", filled, template), _binds(template)
    beside = text
    if binds == CALL and template[-2] == "#":  # \sin x
        beside = rf"{template[:-2]}\left({operands[int(template[-1]) - 1].text}\right)"
    return _Formula(text, binds, beside)


def _latex_names(names: Sequence[str]) -> list[str]:
    """What the inputs are called in a formula; as they are typed, where that is what something else is called."""
    taken = {"e", r"\mathrm{NaN}"}
    found = []
    for name in names:
        text = _latex_name(name)
        if text in taken:
            text = rf"\mathtt{{{name.replace('_', chr(92) + '_')}}}"
        taken.add(text)
        found.append(text)
    return found


def _latex_name(name: str) -> str:
    rest = name.lstrip("_")
    first, *below = [part for part in re.split(r"_|(?<=[A-Za-z])(?=\d)", rest) if part] or [""]
    first = r"\_" * (len(name) - len(rest)) + first
    first = first if len(first) == 1 else rf"\mathrm{{{first}}}"
    return f"{first}_{{{','.join(below)}}}" if below else first


def _latex_number(x: float) -> _Formula:
    text = rf"{'-' if x < 0 else ''}\infty" if math.isinf(x) else repr(x).removesuffix(".0")
    mantissa, e, exponent = text.partition("e")
    if math.isnan(x):
        text, precedence = r"\mathrm{NaN}", _ATOM
    elif e:
        text, precedence = rf"{mantissa} \cdot 10^{{{int(exponent)}}}", SIGN if x < 0 else PRODUCT
    else:
        precedence = SIGN if text.startswith("-") else _ATOM
    return _Formula(text, precedence, text)


# --- a Python function on its own ----------------------------------------------------------------------------------


class PythonSource(str):
    """The text of a Python function; calling it runs the function."""

    def __call__(self, *args: Any) -> Any:
        """What the function returns."""
        if not hasattr(self, "_function"):
            space: dict[str, Any] = {}
            exec(compile(self, "<microgrid program>", "exec"), space)
            self._function = space[re.findall(r"^def ([^(]+)\(", self, re.MULTILINE)[-1]]
        return self._function(*args)


def with_source() -> set[str]:
    """The names of the ops whose forward function is plain to copy: those of `forward.py` and of `math`."""
    return {op.name for op in OPS.values() if op.name in (*_TOTAL, "neg") or _home(op) in ("math", forward.__name__)}


def _home(op: Op) -> str:
    return getattr(op.forward, "__module__", "")


def python(program: Listed, name: str) -> PythonSource:
    """The text of a function of that name, and of what it calls."""
    name = normal(name)
    if not is_name(name):
        raise ValueError(f"the function's name must be a Python identifier, and no keyword, got {name!r}")
    if name != "f" and not is_free(name, ()):
        raise ValueError(f"{name} has a meaning of its own in the text: choose another name, as my_{name}")
    called = {op.name: op for op, _ in program.instructions if op.name not in (*_TOTAL, "neg")}
    names = _names(program)
    hidden = {name, *names, *program.parameters}  # a function of Python's that is called so needs its full name
    from_math = sorted({op.forward.__name__ for op in called.values() if _home(op) == "math"} - hidden)
    helpers: dict[str, str] = {}
    for op in called.values():
        if _home(op) == forward.__name__:
            _add_helper(op.forward.__name__, helpers)
    imports = (["import builtins"] if any("builtins." in text for text in helpers.values()) else []) + ["import math"]
    imports.append(f"from math import {', '.join([*from_math, 'inf', 'nan'])}")
    lines = [f"def {name}({', '.join(program.parameters)}):", *_unpacking(program)]
    for result, (op, operands) in zip(_results(program, names), program.instructions, strict=True):
        given = [names[i] for i in operands]
        if op.name in (*_TOTAL, "neg"):
            text = _written(op, [(x, _ATOM) for x in given])
        else:
            function = op.forward.__name__
            prefix = "math." if function in hidden and _home(op) == "math" else ""
            text = f"{prefix}{function}({', '.join(given)})"
        lines.append(f"    {result} = {text}")
    lines.append(f"    return {_structured(program.out_structure, [names[i] for i in program.outputs])}")
    return PythonSource("\n\n\n".join(["\n".join(imports), *helpers.values(), "\n".join(lines)]) + "\n")


def _add_helper(name: str, helpers: dict[str, str]) -> None:
    """Enter the text of a forward function, after that of those which it calls."""
    import inspect

    function = getattr(forward, name)
    text = inspect.getsource(function).strip()
    for used in re.findall(r"(?<![\w.])(\w+)\(", text):
        if used != name and used not in helpers and isinstance(getattr(forward, used, None), FunctionType):
            _add_helper(used, helpers)
    helpers.setdefault(name, text)
