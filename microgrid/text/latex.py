"""Formulas in LaTeX, from the templates of the ops, with brackets where a reader needs them."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from microgrid.core.primitive import CALL, PRODUCT, SIGN, SUM
from microgrid.text.notation import PLAIN, operators
from microgrid.text.source import Listed, check_length

ATOM = CALL + 1
"""Precedence of a formula that needs no brackets, beside a function's name either."""


class Formula(NamedTuple):
    """A formula, its precedence, and its text where an operator stands beside it."""

    text: str
    precedence: int
    beside: str


def latex(program: Listed, limit: int = 100_000) -> str:
    """Return the results as one formula. Raises ValueError when it has more characters than the limit."""
    found = formulas(program, limit)
    results = [found[i].text for i in program.outputs]
    return results[0] if len(results) == 1 else rf"\left({', '.join(results)}\right)"


def formulas(program: Listed, limit: int) -> list[Formula]:
    """Return the formulas of all slots. Raises ValueError when one has more characters than the limit."""
    found = [Formula(name, ATOM, name) for name in names(program.inputs)]
    found += map(number, program.constants)
    for op, operands in program.instructions:
        found.append(applied(op.latex, [found[i] for i in operands]))
        check_length(found[-1].text, limit)
    return found


@functools.cache
def _plain_templates() -> dict[str, int]:
    return {op.latex: op.precedence for op in operators().values() if op.symbol in PLAIN}


# Any other template binds as its notation does, whatever the op: one that is open at an end, as #1 \bmod #2, takes and
# makes operands in brackets only. x - y mod z has two readings, and so has sin x + y, where ISO 80000-2 asks for
# brackets.
OPEN = 0
"""Precedence of a formula that needs brackets everywhere; as a need, that nothing needs them."""

_CASES = r"\begin{cases}"
_RELATION = re.compile(r"[<>=]\s*$|^\s*[<>=]")
_BRACKET_BEFORE = re.compile(
    r"(\\left\W|[(\[,<>=&]|\\\\|\\begin\{cases\}|\\l(floor|ceil)|([\^_}\]]|\\[A-Za-z]+)\{)\s*$"
)
_BRACKET_AFTER = re.compile(r"\s*([)\],<>=&]|\}|\\right|\\\\|\\end)")
_BRACKETS = re.compile(r"\\left(?:\\\w+|.)(?:(?!\\left|\\right).)*\\right(?:\\\w+|.)")
_FUNCTION = re.compile(r"\\[A-Za-z]+(_\w?)? #\d")
_OPERATOR = re.compile(r"[-+*/<>=,!#\s]|\\(cdot|times|bmod|circ)")


@functools.lru_cache(maxsize=1024)
def needs(template: str, operand: str) -> int:
    """Return the precedence that an operand of a template needs, the highest where it stands in several places."""
    if template in _plain_templates():
        return _plain_templates()[template] + (operand == "#2")
    places = [match.start() for match in re.finditer(rf"{operand}(?!\d)", template)]
    return max((_needed(template[:at], template[at + len(operand) :]) for at in places), default=ATOM)


def _needed(before: str, after: str) -> int:
    """Return the precedence that surroundings ask for."""
    if _BRACKET_BEFORE.search(before) and _BRACKET_AFTER.match(after):
        return SUM if _RELATION.search(before) or _RELATION.search(after) else OPEN
    return PRODUCT if before.endswith("(1 + ") and _BRACKET_AFTER.match(after) else ATOM


@functools.lru_cache(maxsize=1024)
def binds(template: str) -> int:
    """Return the precedence of the result of a template."""
    outside, found = template, 1
    while found:
        outside, found = _BRACKETS.subn("()", outside)
    outside, found = re.sub(r"\(\)", "B", outside), 1
    while found:
        outside, found = re.subn(r"\{[^{}]*\}", "", outside)
    if template in _plain_templates():
        return _plain_templates()[template]
    if outside == "B" or ("#2" in template and re.fullmatch(r"\\[A-Za-z]+B", outside)):
        return ATOM
    return CALL if _FUNCTION.fullmatch(outside) or not _OPERATOR.search(outside) else OPEN


def applied(template: str, operands: Sequence[Formula]) -> Formula:
    """Return the template with its operands in brackets where they need them, or where a reader could miss them."""
    if template == "#1":
        return operands[0]
    if template.startswith(_CASES):
        condition = operands[0].text
        if re.fullmatch(r"-?[\d.]+", condition):  # decided when the program was traced
            return operands[1 if float(condition) else 2]
        condition = holds(condition)
        operands = [Formula(condition, OPEN, condition), *operands[1:]]

    def filled(match: re.Match[str]) -> str:
        operand, least = operands[int(match[0][1:]) - 1], needs(template, match[0])
        if least == OPEN:
            return operand.text
        second = operand.beside.startswith("-") and match.start() > 0 and least > SUM
        bare = operand.precedence >= least and not second
        return operand.beside if bare else rf"\left({operand.text}\right)"

    text, precedence = re.sub(r"#\d+", filled, template), binds(template)
    beside = text
    if precedence == CALL and template[-2] == "#":  # \sin x
        beside = rf"{template[:-2]}\left({operands[int(template[-1]) - 1].text}\right)"
    return Formula(text, precedence, beside)


def holds(formula: str) -> str:
    """Return the condition that a number is not 0: of a comparison in its bracket, what is compared."""
    bracket = re.fullmatch(r"\\left\[((?:(?!\\left\[).)*)\\right\]", formula)
    return bracket[1] if bracket else rf"{formula} \ne 0"


def names(given: Sequence[str]) -> list[str]:
    """Return names as a formula has them; as typed, where the formula's form is taken."""
    taken = {"e", r"\mathrm{NaN}"}
    found = []
    for name in given:
        text = name_of(name)
        if text in taken:
            text = rf"\mathtt{{{name.replace('_', chr(92) + '_')}}}"
        taken.add(text)
        found.append(text)
    return found


_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
"""Names of the letters that LaTeX has as commands; pi is a number."""


def name_of(name: str) -> str:
    """Return a name: Greek letters, other words upright, digits and what follows an underscore below."""
    rest = name.lstrip("_")
    first, *below = [part for part in re.split(r"_|(?<=[A-Za-z])(?=\d)", rest) if part] or [""]
    first = r"\_" * (len(name) - len(rest)) + first
    first = first if len(first) == 1 else rf"\{first}" if first in _GREEK else rf"\mathrm{{{first}}}"
    indices = ",".join(rf"\{part}" if part in _GREEK else part for part in below)
    return f"{first}_{{{indices}}}" if below else first


def number(x: float) -> Formula:
    """Return a number, to the bit."""
    text = rf"{'-' if x < 0 else ''}\infty" if math.isinf(x) else repr(x).removesuffix(".0")
    mantissa, e, exponent = text.partition("e")
    if math.isnan(x):
        text, precedence = r"\mathrm{NaN}", ATOM
    elif e:
        text, precedence = rf"{mantissa} \cdot 10^{{{int(exponent)}}}", SIGN if x < 0 else PRODUCT
    else:
        precedence = SIGN if text.startswith("-") else ATOM
    return Formula(text, precedence, text)
