"""Pieces of HTML that need no network, kernel or library: a picture, and a script that animates it."""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import math
import re
import string
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from importlib import resources
from typing import Any

ENDINGS = (".html", ".htm")
"""Endings of the names of pages."""

_made = itertools.count()

_DIGITS = [dict(zip('"<\\', "|}~", strict=True)).get(chr(c), chr(c)) for c in range(32, 123)]
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
"""Pairs of characters, one for each 13 bits. They mean nothing in HTML, in JavaScript and in templates of sites."""


def new_id(content: str) -> str:
    """Return a unique id for a piece on a page: no other piece has it, made here or elsewhere of other content."""
    return f"mg{next(_made)}-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:6]}"


def piece(uid: str, fallback: str, script: str, data: Any) -> str:
    """Return the fallback, which the script of this file replaces where scripts run; it gets uid, style and data."""
    arguments = f"({json.dumps(uid)},{json.dumps(_file('page.css'))},{as_json(data)})"
    return _replacing(uid, fallback, _smaller(_file(script)), arguments)


def widget(uid: str, fallback: str, scripts: Sequence[str], styles: Sequence[str], data: Any, kinds: str) -> str:
    """Return the fallback, which scripts of these files replace: they share the names id, css, data and kinds.

    `kinds` is JavaScript. `mg` is the whole function: a script calls it to begin anew with other data.
    """
    body = _smaller("\n".join(map(_file, scripts)), ("mg", "id", "css", "data", "kinds"))
    css = f"{{let css={json.dumps(_short(''.join(map(_file, styles))), ensure_ascii=False)};"
    function = f'(function mg(id,data,kinds){{"use strict";{body}}})'
    return _replacing(uid, fallback, css, function, f"({json.dumps(uid)},{as_json(data)},{kinds})}}")


def _replacing(uid: str, fallback: str, *script: str) -> str:
    return (
        f'<div class="mg-page" data-mg={uid} data-lm-suppress-shortcuts=true>{fallback}'
        f"<script>{_smaller(_file('unpack.js'))}{_packed(script)}</script></div>"
    )


def page(title: str, content: str) -> str:
    """Return a page that opens by itself, without the tags that HTML leaves optional."""
    heading = html.escape(title)
    return (
        f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>{heading}</title>"
        '<meta name=viewport content="width=device-width">'
        "<style>body{margin:1rem;background:#fff}h1{font:600 1.15rem system-ui,sans-serif}"
        "@media (prefers-color-scheme:dark){body{background:#121212;color:#eee}}</style>"
        f"<main><h1>{heading}</h1>{content}</main>\n"
    )


def image(svg: str, words: str) -> str:
    """Return SVG as an image, with alternative text: no sanitiser removes it."""
    for character, code in (("%", "%25"), ("#", "%23"), ('"', "%22"), ("&", "%26")):
        svg = svg.replace(character, code)
    return f'<img alt="{html.escape(words)}" src="data:image/svg+xml,{svg}">'  # < and > may stand within quotes


def number(x: float) -> str:
    """Return a number as the stepper writes it: in four digits, or more where these are whole."""
    if not math.isfinite(x):
        return "nan" if math.isnan(x) else "∞" if x > 0.0 else "−∞"
    size, exact = abs(x), Decimal(x)
    if x and not 1e-4 <= size < 1e7:
        mantissa, _, power = f"{_rounded(exact, 4):.3e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    else:
        text = repr(float(_rounded(exact, 4 if size < 1000.0 else 7))).removesuffix(".0")
    return text.replace("-", "−")


def _rounded(x: Decimal, digits: int) -> Decimal:
    """Return x with so many digits; ties go away from 0, as in JavaScript."""
    return Context(prec=digits, rounding=ROUND_HALF_UP).plus(x) if x else x


def as_json(data: Any) -> str:
    """Return data as the script reads it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _file(name: str) -> str:
    text = resources.files("microgrid.pictures").joinpath(name).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return ("" if name.endswith(".css") else "\n").join(line.strip() for line in text.splitlines() if line.strip())


def _smaller(script: str, kept: Sequence[str] = ()) -> str:
    from microgrid.pictures.smaller import smaller  # its patterns take milliseconds, of pages only

    return smaller(script, kept)


def _short(css: str) -> str:
    """Return CSS with a letter for each custom property that it sets."""
    names = dict.fromkeys(re.findall(r"[{;](--[a-z]+):", css))
    found = {name: f"--{letter}" for letter, name in zip(string.ascii_letters, names, strict=False)}
    return re.sub(r"--[a-z]+", lambda name: found.get(name[0], name[0]), css)


def _packed(parts: Sequence[str]) -> str:
    """Return the arguments of unpack.js: a script deflated, 13 bits in each two characters, and its size in bytes.

    Each part has a Huffman code of its own: style, functions and data have other letters.
    """
    from microgrid.pictures.deflate import deflated  # of pages only, too

    *constant, last = (part.encode("utf-8", "replace") for part in parts)
    data = deflated(constant, last)
    found = []
    for start in range(0, len(data), 13):  # 8 times 13 bits
        block = data[start : start + 13]
        bits = int.from_bytes(block.ljust(13, b"\0"))
        found += [_PAIRS[bits >> shift & 8191] for shift in range(91, 91 - 8 * len(block), -13)]
    return f'("{"".join(found)}",{len(data)})'
