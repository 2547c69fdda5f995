"""A reader of formulas in LaTeX by the conventions of mathematical notation; it refuses what has two readings.

It knows nothing of how microgrid writes. Braces that are no argument are invisible, so it reads past them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath

Numbers = Mapping[str, Any]
Formula = Callable[[Numbers], Any]
Token = Any  # a text, or the list of tokens of an argument

_TOKEN = re.compile(
    r"\\(?:begin|end)\{cases\}|\\text\{otherwise\}|\\(?:left|right)(?:\\[A-Za-z]+|.)|\\[A-Za-z]+|\\.|[0-9]+\.?[0-9]*|\S"
)
_ARGUMENTS = {"^": 1, "_": 1, r"\frac": 2, r"\sqrt": 1, r"\mathrm": 1, r"\mathtt": 1, r"\operatorname": 1}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    r"\log": mpmath.log,
    r"\log_2": lambda x: mpmath.log(x, 2),
    r"\log_10": mpmath.log10,
    r"\sin": mpmath.sin,
    r"\cos": mpmath.cos,
    r"\tan": mpmath.tan,
    r"\arcsin": mpmath.asin,
    r"\arccos": mpmath.acos,
    r"\arctan": mpmath.atan,
    r"\sinh": mpmath.sinh,
    r"\cosh": mpmath.cosh,
    r"\tanh": mpmath.tanh,
    "arsinh": mpmath.asinh,
    "arcosh": mpmath.acosh,
    "artanh": mpmath.atanh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "sign": mpmath.sign,
    "sinc^(0)": mpmath.sinc,
    r"\max": max,
    r"\min": min,
    r"\sigma": lambda x: 1 / (1 + mpmath.exp(-x)),
}


class Ambiguous(ValueError):
    """The formula has two readings, or none."""


def read(text: str, functions: Mapping[str, Callable[..., Any]]) -> Formula:
    """The function of the names in the formula; `functions` are those that mathematics has no sign for."""
    tokens, rest = _nested(_TOKEN.findall(text))
    assert not rest, rest
    return _Reader(tokens, {**_FUNCTIONS, **functions}).whole()


def _nested(tokens: Sequence[str]) -> tuple[list[Token], Sequence[str]]:
    """The tokens up to a closing brace, arguments as lists, without the braces that one does not see."""
    found: list[Token] = []
    depth = missing = 0
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if token == "}" and not depth:
            return found, tokens
        if token in "{}" and not (missing and token == "{"):
            depth += 1 if token == "{" else -1
        elif missing and token == "{":
            argument, tokens = _nested(tokens)
            found.append(argument)
            missing -= 1
        elif missing and token != "[":
            found.append([token])
            missing -= 1
        elif token == "[":  # the degree of a root
            end = list(tokens).index("]")
            found.append(("degree", list(tokens[:end])))
            tokens = tokens[end + 1 :]
        else:
            found.append(token)
            missing = _ARGUMENTS.get(token, 0)
    return found, tokens


class _Reader:
    """Walks along the tokens of one level."""

    def __init__(self, tokens: Sequence[Token], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.tokens, self.functions, self.at = list(tokens), functions, 0

    def peek(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def within(self, tokens: Sequence[Token]) -> Formula:
        return _Reader(tokens, self.functions).whole()

    def whole(self) -> Formula:
        found = self.comparison()
        if self.peek() is not None:
            raise Ambiguous(f"{self.peek()!r} in {self.tokens}")
        return found

    def comparison(self) -> Formula:
        x = self.sum()
        sign = self.peek()
        if sign not in (">", "=", r"\ne"):
            return x
        self.next()
        y = self.sum()
        if sign == r"\ne":
            return lambda n: mpmath.mpf(x(n) != y(n))
        return (lambda n: mpmath.mpf(x(n) > y(n))) if sign == ">" else (lambda n: mpmath.mpf(x(n) == y(n)))

    def sum(self) -> Formula:
        terms = [self.term()]
        single = self.single
        while self.peek() in ("+", "-"):
            terms.append(self.term())
        if self.peek() == r"\bmod":
            self.next()
            y = self.factor()
            if len(terms) > 1 or not single or self.bare or self.peek() is not None:
                raise Ambiguous(f"mod beside another operator in {self.tokens}")
            x = terms[0]
            return lambda n: x(n) - y(n) * mpmath.floor(x(n) / y(n))
        return lambda n: sum((term(n) for term in terms[1:]), terms[0](n))

    def term(self) -> Formula:
        """A product with the sign before it; `single` says that it is one factor, without a sign."""
        sign = self.next() if self.peek() in ("+", "-") else ""
        factors = [self.factor()]
        while self.peek() == r"\cdot":
            if self.bare:
                raise Ambiguous(f"how far the function goes in {self.tokens}")
            self.next()
            factors.append(self.factor())
        if self.bare and (sign or len(factors) > 1 or self.peek() is not None):
            raise Ambiguous(f"how far the function goes in {self.tokens}")
        self.single = not sign and len(factors) == 1

        def product(n: Numbers) -> Any:
            result = factors[0](n)
            for factor in factors[1:]:
                result = result * factor(n)
            return -result if sign == "-" else result

        return product

    def factor(self) -> Formula:
        """Something with its exponent; `bare` says that it ends in the argument of a function without brackets."""
        self.bare = False
        base, powerless = self.atom()
        if self.peek() != "^":
            return base
        if powerless or self.bare:
            raise Ambiguous(f"what is raised to the power in {self.tokens}")
        self.next()
        exponent = self.within(self.next())
        if self.peek() == "^":
            raise Ambiguous(f"two exponents in {self.tokens}")
        return lambda n: mpmath.power(base(n), exponent(n))

    def atom(self) -> tuple[Formula, bool]:
        """The formula, and whether an exponent after it has two readings."""
        token = self.next()
        if re.fullmatch(r"[0-9.]+", token):
            number = mpmath.mpf(float(token))
            if re.match(r"[0-9]", str(self.peek())):
                raise Ambiguous("two numbers side by side")
            return lambda n: number, False
        if token.startswith(r"\left"):
            return self.bracketed(token), False
        if token == r"\frac":
            x, y = self.within(self.next()), self.within(self.next())
            return lambda n: x(n) / y(n), True
        if token == r"\sqrt":
            degree = int("".join(self.next()[1])) if isinstance(self.peek(), tuple) else 2
            x = self.within(self.next())
            return (lambda n: mpmath.sign(x(n)) * mpmath.root(abs(x(n)), 3)) if degree == 3 else (
                lambda n: mpmath.sqrt(x(n))
            ), True
        if token == r"\begin{cases}":
            return self.cases(), False
        if token == r"\operatorname" or (token in self.functions and (token, self.peek()) != (r"\sigma", "_")):
            return self.function("".join(self.next()) if token == r"\operatorname" else token)
        name = token
        if token in (r"\mathrm", r"\mathtt"):
            name += "{" + "".join(self.next()) + "}"
        if self.peek() == "_":
            self.next()
            name += "_{" + "".join(self.next()) + "}"
        if name == "e":
            return lambda n: mpmath.e, False
        if not re.match(r"[^\W\d]|\\(mathrm|mathtt|alpha|beta|theta|lambda|mu|sigma|omega|Delta)(?![a-z])", name):
            raise Ambiguous(f"{name} in {self.tokens}")
        return lambda n: n[name], False

    def cases(self) -> Formula:
        """Return the first value whose condition holds."""
        rows: list[list[list[Token]]] = [[[]]]
        depth = 1
        while depth:
            token = self.next()
            depth += (token == r"\begin{cases}") - (token == r"\end{cases}")
            if depth == 1 and token == "&":
                rows[-1].append([])
            elif depth == 1 and token == "\\\\":
                rows.append([[]])
            elif depth:
                rows[-1][-1].append(token)
        *tried, (other, always) = rows
        assert always == [r"\text{otherwise}"]
        pairs = [(self.within(condition), self.within(value)) for value, condition in tried]
        last = self.within(other)
        return lambda n: next((value for condition, value in pairs if condition(n)), last)(n)

    def bracketed(self, token: str) -> Formula:
        inner = self.arguments(token)
        if len(inner) != 1:
            raise Ambiguous(f"{len(inner)} things in brackets")
        (x,) = inner
        rounded = {r"\left\lfloor": mpmath.floor, r"\left\lceil": mpmath.ceil, r"\left|": abs}.get(token)
        return x if rounded is None else lambda n: rounded(x(n))

    def arguments(self, token: str) -> list[Formula]:
        """Return the text between this opening bracket and its closing one, divided at commas."""
        parts: list[list[Token]] = [[]]
        depth = 1
        while True:
            token = self.next()
            depth += str(token).startswith(r"\left") - str(token).startswith(r"\right")
            if not depth:
                return [self.within(part) for part in parts]
            if token == "," and depth == 1:
                parts.append([])
            else:
                parts[-1].append(token)

    def function(self, name: str) -> tuple[Formula, bool]:
        name = name.replace("\\_", "_")
        if self.peek() == "_":
            self.next()
            name += "_" + "".join(self.next())
        if self.peek() == "^":
            self.next()
            name += "^" + "".join(self.next())
        function = self.functions[name]
        opening = self.peek()
        if str(opening) == r"\left(":
            arguments = self.arguments(self.next())
            return lambda n: function(*[x(n) for x in arguments]), len(arguments) == 1
        x, _ = self.atom()
        if self.bare:
            raise Ambiguous(f"a function of a function without brackets in {self.tokens}")
        self.bare = True
        return lambda n: function(x(n)), True
