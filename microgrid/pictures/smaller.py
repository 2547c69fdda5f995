"""Scripts of pages made smaller: without comments and spaces, and with short names for what they declare.

A name is replaced wherever it stands as a name, by one other; properties keep theirs. That needs no scopes: it is right
as long as no name is both declared in a script and, elsewhere in it, one of the browser's.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"(?P<space>\s+|/\*.*?\*/)|(?P<name>[A-Za-z_$][\w$]*)|(?P<number>\.?\d(?:[eE][-+]|[\w.])*)"
    r"|(?P<text>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|(?P<sign>=>|\.\.\.|\?\.(?!\d)|\+\+|--|[^\s\w])",
    re.DOTALL,
)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[\n])+/[a-z]*")
_PIECE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*", re.DOTALL)

_KEYWORDS = frozenset(
    "as async await break case catch class const continue delete do else false finally for function if in instanceof "
    "let new null of return static super switch this throw true try typeof undefined var void while with yield NaN "
    "Infinity eval arguments".split()
)
_DECLARING = frozenset(("const", "let", "var", "function"))
_BODIES = frozenset(("for", "while", "if", "else", "do"))
"""Words behind which a semicolon is an empty statement."""
_LETTERS = "etanisolrcdhupmgbfvwyxkjzqTSMNEALICPBRDFHUOGVWXYKJQZ_$"
"""Letters by their frequency in words and properties: equal letters take fewer bits."""
_SHORT = [*_LETTERS, *itertools.product(_LETTERS, repeat=2)]


class _Token(NamedTuple):
    kind: str
    text: str
    line: bool
    """True behind the end of a line."""


@functools.cache
def smaller(script: str, kept: Sequence[str] = ()) -> str:
    """Return a script that does the same, smaller; `kept` are names that other text uses."""
    tokens = list(_tokens(script))
    within = _braces(tokens)
    names = _short(tokens, within, kept)
    parts: list[str] = []
    before = _Token("sign", ";", False)
    heads, declares = [""], [False]  # of the open brackets: what stands before them, and if a declaration goes on there
    head = ""
    for k, token in enumerate(tokens):
        text = "let" if token.text == "const" else token.text
        if before.text == ";":
            if text == "let" and declares[-1]:
                parts[-1], before = ",", _Token("sign", ",", False)
                continue
            declares[-1] = False
            if text == "}" and head not in _BODIES:
                parts[-1] = ""
        if token.kind == "part" or (token.kind == "sign" and text in ("(", "[", "{")):
            heads.append(before.text)
            declares.append(False)
        elif token.kind == "rest" or (token.kind == "sign" and text in (")", "]", "}")):
            head = heads.pop()
            declares.pop()
        elif text != ";":
            head = text
        if token.kind == "name" and text in names and not _is_property(tokens, k, within):
            text = f"{text}:{names[text]}" if _is_shorthand(tokens, k, within) else names[text]
        if before.kind != "part" and token.kind != "rest":
            parts.append(_between(before, token))
            declares[-1] &= parts[-1] not in ("\n", ";")
        declares[-1] |= text == "let"
        parts.append(text)
        before = token
    return "".join(parts)


def _tokens(script: str) -> Iterator[_Token]:
    """Yield names, numbers, texts and signs. A template is its pieces, `part` before an expression, `rest` behind."""
    at, line = 0, False
    before = ";"
    depths: list[int] = []  # of the open templates: braces open within
    while at < len(script):
        if script[at] == "`" or (script[at] == "}" and depths and not depths[-1]):
            rest = script[at] == "}"
            end = _end(_PIECE, script, at + 1)
            opens = script.startswith("${", end)
            end += 2 if opens else 1
            if opens and not rest:
                depths.append(0)
            elif rest and not opens:
                depths.pop()
            kind = ("rest" if rest else "text") if not opens else "both" if rest else "part"
            for part in ("rest", "part") if kind == "both" else (kind,):
                yield _Token(part, script[at:end] if part == kind or part == "rest" else "", line)
            before, at, line = "(" if opens else ")", end, False
            continue
        found = _TOKEN.match(script, at)
        assert found is not None, script[at : at + 20]
        kind, text = str(found.lastgroup), found[0]
        if text == "/" and re.fullmatch(r"[(,=:\[!&|?{};+<>*%~^-]|=>|return|typeof", before):
            kind, text = "text", script[at : _end(_REGEX, script, at)]
        at += len(text)
        if kind == "space":
            line |= "\n" in text
            continue
        if depths and text in "{}" and kind == "sign":
            depths[-1] += 1 if text == "{" else -1
        yield _Token(kind, text, line)
        before, line = text, False


def _end(pattern: re.Pattern[str], script: str, at: int) -> int:
    found = pattern.match(script, at)
    assert found is not None, script[at : at + 20]
    return found.end()


def _braces(tokens: Sequence[_Token]) -> list[bool]:
    """Return for each token True if it stands directly in the braces of an object, not in those of a block."""
    found, stack = [], [False]
    for k, token in enumerate(tokens):
        if token.kind in ("part", "rest"):
            found.append(False)
            if token.kind == "part":
                stack.append(False)
            else:
                stack.pop()
        elif token.text in ("(", "[", "{") and token.kind == "sign":
            before = tokens[k - 1].text if k else ";"
            found.append(stack[-1])
            block = token.text != "{" or before in (")", "=>", ";", "{", "}", "else", "try", "do", "finally")
            stack.append(not block)
        elif token.text in (")", "]", "}") and token.kind == "sign":
            stack.pop()
            found.append(stack[-1])
        else:
            found.append(stack[-1])
    return found


def _is_property(tokens: Sequence[_Token], k: int, within: Sequence[bool]) -> bool:
    """Return True for the name behind a dot, or of a key or a method of an object."""
    before, after = tokens[k - 1].text if k else "", tokens[k + 1].text if k + 1 < len(tokens) else ""
    return before in (".", "?.") or (within[k] and before in ("{", ",") and after in (":", "("))


def _is_shorthand(tokens: Sequence[_Token], k: int, within: Sequence[bool]) -> bool:
    before, after = tokens[k - 1].text, tokens[k + 1].text if k + 1 < len(tokens) else ""
    return within[k] and before in ("{", ",") and after in (",", "}", "=")


def _short(tokens: Sequence[_Token], within: Sequence[bool], kept: Sequence[str]) -> dict[str, str]:
    """Return a short name for each that the script declares, the shortest for the most frequent.

    Two names have the same one where no statement outside of functions has both, and not both are declared there.
    """
    declared: set[str] = set()
    for k, token in enumerate(tokens):
        if token.text in _DECLARING and token.kind == "name":
            declared |= set(_declared(tokens, k + 1))
        elif token.text == "=>":
            declared |= set(_parameters(tokens, k - 1))
        elif token.text == "catch" and tokens[k + 1].text == "(":
            declared.add(tokens[k + 2].text)
    uses: Counter[str] = Counter()
    pieces: dict[str, set[int]] = {}
    piece = depth = 0
    outside: set[str] = set()
    for k, token in enumerate(tokens):
        if token.kind in ("part", "rest") or (token.kind == "sign" and token.text in tuple("([{)]}")):
            depth += 1 if token.kind == "part" or token.text in tuple("([{") else -1
        elif depth == 0 and (token.text in _DECLARING or token.text == ";"):
            piece += 1
            outside |= set(_declared(tokens, k + 1, parameters=False)) if token.text != ";" else set()
        elif token.kind == "name" and not _is_property(tokens, k, within):
            uses[token.text] += 1
            pieces.setdefault(token.text, set()).add(piece)
    taken = (uses.keys() - declared) | set(kept) | _KEYWORDS
    found: dict[str, str] = {}
    used: dict[int, set[str]] = {}  # of each piece the short names in it; of -1 those declared outside of functions
    for name in sorted(declared - set(kept) - _KEYWORDS, key=lambda name: (-uses[name], name)):
        places = pieces[name] | ({-1} if name in outside else set())
        barred = set().union(taken, *(used.get(place, ()) for place in places))
        found[name] = next(short for short in map("".join, _SHORT) if short not in barred)
        for place in places:
            used.setdefault(place, set()).add(found[name])
    return found


def _declared(tokens: Sequence[_Token], k: int, *, parameters: bool = True) -> Iterator[str]:
    """Yield the names that a declaration from token k on binds; for a function its own and those of its parameters."""
    if tokens[k - 1].text == "function":
        if tokens[k].kind == "name":
            yield tokens[k].text
            k += 1
        if parameters:
            yield from _bound(tokens, k + 1)
        return
    yield from _bound(tokens, k)


def _bound(tokens: Sequence[_Token], k: int) -> Iterator[str]:
    """Yield the names of a list of names and patterns, up to its end: where no comma follows."""
    depth, value = 0, False  # within brackets of a pattern; behind an equals sign, where nothing is bound
    inner = 0
    for at in itertools.count(k):
        if at >= len(tokens):
            return
        kind, text, _ = tokens[at]
        if value:
            if inner == 0 and (text == "," or (text in "]})" and kind == "sign" and depth)):
                value = False
            elif kind == "part" or (kind == "sign" and text in ("(", "[", "{")):
                inner += 1
            elif inner and (kind == "rest" or (kind == "sign" and text in (")", "]", "}"))):
                inner -= 1
            elif inner == 0 and ((kind == "sign" and text in (";", ")", "}")) or text in ("of", "in")):
                return
            if value:
                continue
        if kind == "name" and text in ("of", "in"):
            return
        if kind == "name":
            if tokens[at + 1].text != ":":
                yield text
        elif text == "=":
            value, inner = True, 0
        elif text in ("[", "{", "("):
            depth += 1
        elif text in ("]", "}", ")"):
            if not depth:
                return
            depth -= 1
        elif text == ";":
            return


def _parameters(tokens: Sequence[_Token], k: int) -> Iterator[str]:
    """Yield the parameters of an arrow function, which end at token k."""
    if tokens[k].kind == "name":
        yield tokens[k].text
        return
    depth = 0
    for at in range(k, -1, -1):
        text, kind = tokens[at].text, tokens[at].kind
        depth += (kind == "sign") * ((text in (")", "]", "}")) - (text in ("(", "[", "{")))
        if depth == 0:
            yield from _bound(tokens, at + 1)
            return


def _between(before: _Token, token: _Token) -> str:
    """Return what has to stand between two tokens: an end of line where a statement might end there, or a space."""
    last, first = before.text[-1:], token.text[:1]
    if token.line and last not in "{;,([=+-*&|?:<>!%" and first not in "}).,;?:&|*=%]":
        return "\n" if last != "}" else "" if token.text in ("else", "catch", "finally") else ";"
    if re.fullmatch(r"[\w$]{2}|\+\+|--|/[*/]", last + first):
        return " "
    return ""
