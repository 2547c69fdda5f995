"""Templates of ops as MathML, read from their LaTeX."""

from __future__ import annotations

import functools
import html
import re

from microgrid.text.latex import ATOM, binds, needs

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|#\d|\d+(?:\.\d+)?|[A-Za-z]|\S")
_NAMED = frozenset("log sin cos tan arcsin arccos arctan sinh cosh tanh exp max min ln".split())
_SIGNS = {"-": "−", r"\cdot": "·", r"\times": "×", r"\bmod": "mod", r"\lfloor": "⌊", r"\rfloor": "⌋"}
_SIGNS |= {r"\lceil": "⌈", r"\rceil": "⌉", r"\circ": "∘"}
_LETTERS = {r"\sigma": "\u03c3", r"\phi": "φ", r"\Phi": "Φ", r"\Gamma": "Γ", r"\pi": "π", r"\infty": "∞"}
_BEFORE_ITS_OPERAND = re.compile(r"((?:\\operatorname\{[^{}]*\}|\\[a-z]+)(?:_\{?\w+\}?)?) (#\d)")


class Template:
    """An op's notation: MathML with #1, #2, ... for the operands, and when these and the whole need brackets.

    The precedences are those of `latex`; a function has brackets around its operand always.
    """

    def __init__(self, latex: str, arity: int) -> None:
        if latex == "#1":
            raise ValueError("it shows nothing of the op")
        called = _BEFORE_ITS_OPERAND.fullmatch(latex)
        if called:
            latex = rf"{called[1]}\left({called[2]}\right)"
        self.mathml = _Reader(latex).all()
        self.binds = ATOM if called else binds(latex)
        self.needs = [needs(latex, f"#{i + 1}") for i in range(arity)]


@functools.lru_cache(maxsize=1024)
def template(latex: str, name: str, arity: int) -> Template:
    """Return the template of an op; LaTeX that is not understood is replaced by a call of the op's name."""
    try:
        return Template(latex, arity)
    except ValueError:
        operands = ", ".join(f"#{i + 1}" for i in range(arity))
        return Template(rf"\operatorname{{{name}}}\left({operands}\right)", arity)


class _Reader:
    """Reader of the LaTeX that ops use. Raises ValueError for any other."""

    def __init__(self, latex: str) -> None:
        self.tokens = _TOKEN.findall(latex)
        self.at = 0

    def all(self) -> str:
        """Return the whole."""
        found = self._until("")
        if self.at < len(self.tokens):
            raise ValueError(f"unexpected {self.tokens[self.at]}")
        return found

    def _next(self) -> str:
        if self.at == len(self.tokens):
            raise ValueError("it ends too early")
        self.at += 1
        return str(self.tokens[self.at - 1])

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _until(self, end: str) -> str:
        """Return what stands before this token, which is read, too."""
        parts = []
        while self._peek() not in (end, ""):
            parts.append(self._scripted())
        if end and self._next() != end:
            raise ValueError(f"{end} is missing")
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def _scripted(self) -> str:
        base = self._atom()
        while self._peek() in ("^", "_"):
            tag = "msup" if self._next() == "^" else "msub"
            base = f"<{tag}>{base}{self._atom()}</{tag}>"
        return base

    def _atom(self) -> str:
        token = self._next()
        if token == "{":
            return self._until("}")
        if token == r"\frac":
            return f"<mfrac>{self._atom()}{self._atom()}</mfrac>"
        if token == r"\sqrt":
            if self._peek() == "[":
                self._next()
                index = self._until("]")
                return f"<mroot>{self._atom()}{index}</mroot>"
            return f"<msqrt>{self._atom()}</msqrt>"
        if token == r"\left":
            opening = _sign(self._next())
            inside = self._until(r"\right")
            return f"<mrow>{opening}{inside}{_sign(self._next())}</mrow>"
        if token == r"\begin":
            return self._cases()
        if token == r"\text":
            return f"<mtext>{html.escape(self._raw())}</mtext>"
        if token == r"\operatorname":
            return f"<mi>{html.escape(self._raw())}</mi>"
        if token.startswith("#") and len(token) == 2:
            return token
        if token[1:] in _NAMED and token[0] == "\\":
            return f"<mi>{token[1:]}</mi>"
        if token in _LETTERS or token.isalpha():
            return f"<mi>{_LETTERS.get(token, token)}</mi>"
        return f"<mn>{token}</mn>" if token[0].isdigit() else _sign(token)

    def _cases(self) -> str:
        if self._raw() != "cases":
            raise ValueError("no other table is known")
        rows = ""
        while self._peek() != r"\end":
            value, condition = self._until("&"), ""
            while self._peek() not in (r"\\", r"\end"):
                condition += self._scripted()
            if condition.startswith("#"):
                condition = f"<mtext>if </mtext>{condition}<mo>≠</mo><mn>0</mn>"
            if self._peek() == r"\\":
                self._next()
            rows += f"<mtr><mtd>{value}</mtd><mtd>{condition}</mtd></mtr>"
        self._next()
        self._raw()
        return f"<mrow><mo>{{</mo><mtable>{rows}</mtable></mrow>"

    def _raw(self) -> str:
        if self._next() != "{":
            raise ValueError("a name stands in braces")
        parts = []
        while (token := self._next()) != "}":
            parts.append(token.removeprefix("\\"))
        return "".join(parts)


def _sign(token: str) -> str:
    sign = _SIGNS.get(token, token)
    if (len(sign) > 1 and sign != "mod") or sign in "{}^_#&":
        raise ValueError(f"{token} is not known")
    return f"<mo>{html.escape(sign)}</mo>"
