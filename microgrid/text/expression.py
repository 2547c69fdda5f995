"""Expressions typed by a user, as functions of their variables: parsed into ops, never evaluated as code."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import keyword
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from microgrid import ops
from microgrid.core.primitive import OPS, Op
from microgrid.engine import Value
from microgrid.functions import reductions
from microgrid.functions.composed import COMPOSED
from microgrid.text.notation import operators_by_node

LONGEST: Final = 10_000
"""Maximum length of an expression in characters; Python's parser bounds its nesting."""

CONSTANTS: Final = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}
"""Names of numbers, unless the user assigns to them."""

REDUCTIONS: Final = ("sum", "prod", "mean", "var", "std", "norm", "max", "min", "logsumexp")

_INSTEAD: Final[dict[type[ast.AST], str]] = {
    ast.BitXor: "^ is no power: write ** for it, as x**2",
    ast.MatMult: "@ multiplies matrices: write * between numbers",
    ast.BitAnd: "& is for bits: write where(greater(x, 0), a, b) for a condition",
    ast.BitOr: "| is for bits: for an absolute value write abs(x)",
    ast.LShift: "<< is for bits: write x * 2**n",
    ast.RShift: ">> is for bits: write x / 2**n",
    ast.Invert: "~ is for bits: write -x for the negative",
    ast.Not: "there is no `not`: write equal(x, 0)",
    ast.Compare: "there are no comparisons: write greater(x, y) or equal(x, y), which give 1 or 0",
    ast.BoolOp: "there is no `and` or `or`: multiply conditions, greater(x, 0) * greater(1, x)",
    ast.IfExp: "there is no `if`: write where(greater(x, 0), a, b)",
    ast.Lambda: "there is no lambda: write the formula alone",
    ast.NamedExpr: "there is no := here: values follow the expression, as x=2",
    ast.JoinedStr: "there is no text here: write the formula without quotes",
    ast.List: "there are no lists: give the numbers one by one, as sum(x, y, z)",
    ast.Tuple: "a comma separates the arguments of a function only: write one expression; decimals take a point",
    ast.Set: "there are no sets: use parentheses ( )",
    ast.Dict: "there are no dicts: use parentheses ( )",
    ast.Subscript: "there is no indexing: give each number a name of its own, as x0",
    ast.Starred: "there is no * before an argument: give the numbers one by one, as sum(x, y, z)",
}
_OTHER_SPELLINGS: Final = {
    "ln": "log", "lg": "log10", "pow": "power", "sgn": "sign", "loggamma": "lgamma",
    "besselj": "jv", "bessely": "yv", "besseli": "iv", "besselk": "kv",
}  # fmt: skip
_TYPESET: Final = {
    "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "²": "**2", "³": "**3",
    "π": "pi", "∞": "inf", "√": "sqrt( )", "\xa0": "a plain space",
}  # fmt: skip


_TOO_DEEP: Final = "nested too deeply, or too many signs in a row: write a Python function, and trace it"


class ExpressionError(ValueError):
    """A syntax error in an expression, with its remedy; the text has a caret below the place."""

    def __init__(self, message: str, text: str, column: int) -> None:
        self.message, self.column = message, column
        column = min(max(column, 0), len(text))
        start = max(column - 60, 0) if len(text) > 100 else 0
        before, after = "..." if start else "", "..." if len(text) > start + 100 else ""
        shown = before + text[start : start + 100] + after
        super().__init__(f"{message}\n  {ascii(shown)[1:-1] if not shown.isprintable() else shown}\n"
                         f"  {' ' * (len(before) + column - start)}^")  # fmt: skip


class _Step(NamedTuple):
    """Replace this many numbers on the stack by the result of the function."""

    function: Callable[..., Any]
    operands: int


class Expression:
    """A function of the variables `names`, in that order; on numbers it gives a number, on Values a Value.

    >>> from microgrid import grad
    >>> f = Expression("x**2 * sin(y)", ["x", "y"])
    >>> f(3.0, 0.0), grad(f, (0, 1))(3.0, 0.0)
    (0.0, (0.0, 9.0))
    """

    def __init__(self, text: str, names: Sequence[str] = ()) -> None:
        self.text = text.strip()
        self.__name__ = self.text if len(self.text) <= 60 else f"{self.text[:57]}..."
        self.names = tuple(names)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in self.names])
        self._steps: list[str | float | _Step] = _Parser(text, self.names).steps()
        self.used = {step for step in self._steps if isinstance(step, str)}

    def __call__(self, *values: Any) -> Any:
        """Return the value of the expression for these values of its variables."""
        if len(values) != len(self.names):
            raise TypeError(f"{self.text} has {len(self.names)} variable(s), got {len(values)}")
        known = dict(zip(self.names, values, strict=True))
        stack: list[Any] = []
        for step in self._steps:
            if isinstance(step, _Step):
                first = len(stack) - step.operands
                stack[first:] = [step.function(*stack[first:])]
            else:
                stack.append(known[step] if isinstance(step, str) else step)
        return stack[0]


def variables(text: str) -> list[str]:
    """Return the names in an expression that are no functions and no constants, in the order of their first use.

    Raises ExpressionError where it cannot be parsed.
    """
    tree = _Parser(text, ()).tree()
    known = functions().keys() | CONSTANTS.keys() | _OTHER_SPELLINGS.keys()
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id not in known and not (id(node) in called and node.id in special())
    ]
    return list(dict.fromkeys(node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))))


def check_name(name: str) -> str:
    """Return the name, if a variable can have it. Raises ValueError otherwise."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name for a variable: use letters a to z, digits and _, as x1")
    if name in functions() or name in ("inf", "nan") or keyword.iskeyword(name):
        raise ValueError(f"{name!r} has a meaning of its own: choose another name for the variable, as {name}_")
    return name


@functools.cache
def _reductions() -> dict[str, Callable[..., Any]]:
    def of_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *numbers: function(numbers)

    return {name: of_arguments(getattr(reductions, name)) for name in REDUCTIONS}


def functions() -> dict[str, Callable[..., Any]]:
    """Return the functions of an expression: every op by its names, functions composed of ops, and reductions."""
    aliases = {alias: op for op in OPS.values() for alias in op.aliases}
    return {**aliases, **OPS, **COMPOSED, **_reductions()}


@functools.cache
def special() -> dict[str, Callable[..., Any]]:
    """Return the functions of `microgrid.special` that give one number; their names are free for variables, too."""
    from microgrid import special as module  # a tenth of a second, for who uses it

    pairs = ("airy", "sici")
    return {name: getattr(module, name) for name in module.__all__ if name not in pairs and name not in functions()}


def _power(x: Any, y: Any) -> Any:
    """Apply ** as the operator does: a plain exponent makes another op than a recorded one."""
    return ops.constant_power(x, y) if isinstance(x, Value) and not isinstance(y, Value) else ops.power(x, y)


class _Parser:
    """Parser that walks the syntax tree without recursion, and raises an error for anything outside of its tables."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text = text
        self.names = names
        self.functions = functions()

    def wrong(self, message: str, where: ast.AST | int) -> NoReturn:
        column = where if isinstance(where, int) else getattr(where, "col_offset", 0) + self.indent
        raise ExpressionError(message, self.text, column)

    def steps(self) -> list[str | float | _Step]:
        """Return the expression in postfix order."""
        root = self.tree()
        found: list[str | float | _Step] = []
        constant: list[bool] = []  # for each number on the stack, True if it contains no variable
        agenda: list[tuple[ast.AST, Callable[..., Any] | None, list[ast.expr]]] = [(root, None, [])]
        while agenda:
            node, function, operands = agenda.pop()
            if function is not None:
                first = len(constant) - len(operands)
                for i in _static(function, len(operands)):
                    if not constant[first + i]:
                        self.wrong("this argument must be a plain number: write one, as 1.0", operands[i])
                found.append(_Step(function, len(operands)))
                constant[first:] = [all(constant[first:])]
            elif (leaf := self.leaf(node)) is not None:
                found.append(leaf)
                constant.append(not isinstance(leaf, str))
            else:
                called, operands = self.operation(node)
                if called is not None:
                    agenda.append((node, called, operands))
                agenda += [(operand, None, []) for operand in reversed(operands)]
        return found

    def tree(self) -> ast.expr:
        """Return Python's syntax tree of the text."""
        if len(self.text) > LONGEST:
            self.wrong(f"more than {LONGEST:,} characters: write a Python function, and trace it", LONGEST)
        for column, character in enumerate(self.text):
            if not " " <= character <= "~" and character not in "\t\n\r\f\v":
                name = unicodedata.name(character, f"U+{ord(character):04X}")
                instead = _TYPESET.get(character, "letters a to z, digits and + - * / ** ( )")
                self.wrong(f"{name} cannot be read: write {instead}", column)
            if character in "#;\\`$?!":
                self.wrong(f"{character} has no meaning here: leave it out", column)
        blank = re.sub(r"\s", " ", self.text)
        self.indent = len(blank) - len(blank.lstrip())
        if not blank.strip():
            self.wrong('the expression is empty: write for example "x**2 * sin(y)"', 0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                return ast.parse(blank.lstrip(), mode="eval").body
        except SyntaxError as error:
            ends_early = re.search(r"[-+*/%(,]\s*$", blank) and "never closed" not in error.msg
            column = len(blank.rstrip()) if ends_early else self.indent + max((error.offset or 1) - 1, 0)
            self.wrong(self.unreadable(blank, column, error.msg), column)
        except (RecursionError, MemoryError):
            self.wrong(_TOO_DEEP, 0)

    def unreadable(self, text: str, column: int, message: str) -> str:
        """Explain a syntax error of Python in words for a person who writes a formula."""
        if "never closed" in message or "unmatched" in message or "does not match" in message:
            return f"{message}: each ( needs its )"
        if "too many nested" in message:
            return _TOO_DEEP
        if "integer string conversion" in message:
            return "a number of too many digits: write it as 1e300"
        if column >= len(text.rstrip()):
            return "the expression ends too early: an operand is missing after the last operator"
        if "|" in text:
            return "| is for bits: for an absolute value write abs(x)"
        if re.match(r"\s*(=(?!=)|:=)", text[column:]) or re.search(r"(?<![<>=!:])=(?!=)", text):
            return "an = has no place in an expression: values follow it, as x=2"
        if "literal" in message or re.search(r"[0-9A-Za-z_)]\s*$", text[:column]):
            return "an operator is missing: write 2 * x for a product, sin(x) for a function"
        return "this cannot be read: write for example x**2 * sin(y)"

    def leaf(self, node: ast.AST) -> str | float | None:
        """Return a variable or a number; None for anything else."""
        if isinstance(node, ast.Constant):
            return self.number(node)
        if not isinstance(node, ast.Name):
            return None
        name = node.id
        if name in self.names:
            return name
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in self.functions:
            self.wrong(f"{name} is a function: write {name}(...)", node)
        self.wrong(f"{name[:40]} has no value: write {name[:40]}=1.0 after the expression{self.similar(name)}", node)

    def number(self, node: ast.Constant) -> float:
        """Return the float of a literal."""
        if isinstance(node.value, (str, bytes)):
            self.wrong("there is no text here: write the formula without quotes", node)
        if type(node.value) is complex:
            self.wrong("there are no complex numbers: write a real one", node)
        if type(node.value) is not int and type(node.value) is not float:
            self.wrong(f"{node.value} is no number: write one, as 1 or 0", node)
        try:
            number = float(node.value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            self.wrong("beyond the largest number, 1.8e308: write inf, if that is meant", node)
        return number

    def operation(self, node: ast.AST) -> tuple[Callable[..., Any] | None, list[ast.expr]]:
        """Return the function and its operands; None for a sign that does nothing."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return _power, [node.left, node.right]
        if isinstance(node, ast.BinOp) and type(node.op) in operators_by_node():
            return operators_by_node()[type(node.op)], [node.left, node.right]
        if isinstance(node, ast.BinOp):
            self.wrong(_INSTEAD[type(node.op)], self.sign_after(node.left))
        if isinstance(node, ast.Compare):
            self.wrong(_INSTEAD[ast.Compare], self.sign_after(node.left))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return None, [node.operand]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return operators_by_node()[ast.USub], [node.operand]
        if isinstance(node, ast.UnaryOp):
            self.wrong(_INSTEAD[type(node.op)], node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Attribute):
            root = node
            while isinstance(root.value, ast.Attribute):
                root = root.value
            named = f": write {node.attr}" if node.attr in {*self.functions, *CONSTANTS} else ""
            self.wrong(
                f".{node.attr}: nothing here has attributes{named}", (node.value.end_col_offset or 0) + self.indent
            )
        self.wrong(_INSTEAD.get(type(node), "this is no formula: write numbers, names, + - * / ** and functions"), node)

    def call(self, node: ast.Call) -> tuple[Callable[..., Any], list[ast.expr]]:
        """Return a function and its arguments, after checking their number."""
        if isinstance(node.func, ast.Attribute) and node.func.attr in self.functions:
            name, column = node.func.attr, (node.func.value.end_col_offset or 0) + self.indent
            self.wrong(f".{name}(...): nothing here has methods: write {name}(x)", column)
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, (ast.Constant, ast.BinOp, ast.Call)):
                self.wrong("this is no function: write * for a product", node.func)
            self.operation(node.func)  # raises the error
            self.wrong("this is no function: write a name, as sin(x)", node.func)
        name = node.func.id
        if name in self.names or (name in CONSTANTS and name not in self.functions):
            self.wrong(f"{name} is a number, no function: for a product write {name} * (...)", node)
        if name not in self.functions and name in special():
            self.functions = {**self.functions, name: special()[name]}
        if name not in self.functions:
            known = _OTHER_SPELLINGS.get(name)
            instead = f": write {known}(...)" if known else self.similar(name, special())
            self.wrong(f"there is no function {name[:40]}{instead}", node)
        if node.keywords:
            column = node.keywords[0].col_offset + self.indent
            self.wrong(f"arguments of {name} have no names: write the number alone", column)
        function = self.functions[name]
        least, most, wanted = _arguments(function)
        if not least <= len(node.args) <= most:
            self.wrong(f"{name} takes {wanted}, got {len(node.args)}: write {_example(name, function)}", node)
        return function, node.args

    def sign_after(self, node: ast.expr) -> int:
        """Return the column of the operator after its left operand."""
        column = (node.end_col_offset or 0) + self.indent
        while self.text[column] in " \t\n\r\f\v)":
            column += 1
        return column

    def similar(self, name: str, others: Iterable[str] = ()) -> str:
        """Return a hint at names that look alike."""
        known = [*self.names, *CONSTANTS, *self.functions, *others]
        near = difflib.get_close_matches(name[:50], known, n=1, cutoff=0.7)
        return f"; did you mean {near[0]}?" if near else ""


def _arguments(function: Callable[..., Any]) -> tuple[int, float, str]:
    """Return the minimum and maximum number of arguments of a function, and that in words."""
    if isinstance(function, Op):
        return function.arity, function.arity, f"{function.arity} argument{'s' * (function.arity != 1)}"
    if function in _reductions().values():
        return 1, math.inf, "one or more arguments"
    parameters = inspect.signature(function).parameters.values()
    least = sum(p.default is p.empty for p in parameters)
    wanted = f"{least} argument" if least == len(parameters) else f"{least} to {len(parameters)} arguments"
    return least, len(parameters), wanted


def _static(function: Callable[..., Any], given: int) -> Sequence[int]:
    """Return the indices of the arguments that must be plain numbers."""
    if isinstance(function, Op):
        return range(function.arity - function.static, given)
    if function in _reductions().values() or function in COMPOSED.values():
        return ()
    parameters = inspect.signature(function).parameters.values()
    return [i for i, parameter in enumerate(parameters) if parameter.annotation == "float" and i < given]


def _example(name: str, function: Callable[..., Any]) -> str:
    """Return an example call of the function."""
    if isinstance(function, Op):
        return f"{name}({', '.join(function.variables)})"
    if function in _reductions().values():
        return f"{name}(x, y, z)"
    return f"{name}({', '.join(inspect.signature(function).parameters)})"
