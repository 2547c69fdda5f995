"""Pieces of HTML that need no network, kernel or library: a picture, and a script that animates it."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import math
import re
import zlib
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from importlib import resources
from typing import Any

ENDINGS = (".html", ".htm")
"""Endings of the names of pages."""

_made = itertools.count()

_BASE_85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_DIGITS = bytes.maketrans(_BASE_85, bytes(c for c in range(33, 123) if c not in b"\"&'<\\"))
"""From Python's digits to those of unpack.js, which have a meaning neither in HTML nor in templates of sites."""


def new_id(content: str) -> str:
    """Return a unique id for a piece on a page: no other piece has it, made here or elsewhere of other content."""
    return f"mg{next(_made)}-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:6]}"


def piece(uid: str, fallback: str, script: str, data: Any) -> str:
    """Return the fallback, which the script of this file replaces where scripts run; it gets uid, style and data."""
    return _replacing(
        uid, fallback, f"{_smaller(_file(script))}({json.dumps(uid)},{json.dumps(_file('page.css'))},{as_json(data)})"
    )


def widget(uid: str, fallback: str, scripts: Sequence[str], styles: Sequence[str], data: Any, kinds: str) -> str:
    """Return the fallback, which scripts of these files replace: they share the names id, css, data and kinds.

    `kinds` is JavaScript. `mg` is the whole function: a script calls it to begin anew with other data.
    """
    body = _smaller("\n".join(map(_file, scripts)), ("mg", "id", "css", "data", "kinds"))
    css = json.dumps("".join(map(_file, styles)))
    call = f'(function mg(id,css,data,kinds){{"use strict";{body}}})({json.dumps(uid)},{css},{as_json(data)},{kinds})'
    return _replacing(uid, fallback, call)


def _replacing(uid: str, fallback: str, call: str) -> str:
    return (
        f'<div class="mg-page" data-mg="{uid}" data-lm-suppress-shortcuts="true">{fallback}'
        f"<script>{_smaller(_file('unpack.js'))}{_packed(call)}</script></div>"
    )


def page(title: str, content: str) -> str:
    """Return a page that opens by itself."""
    heading = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body{margin:1rem;font-family:system-ui,sans-serif;background:#fff;color:#1a1a1a}"
        "h1{font-size:1.15rem;font-weight:600}"
        "@media (prefers-color-scheme:dark){body{background:#121212;color:#eee}}</style></head>"
        f"<body><main><h1>{heading}</h1>{content}</main></body></html>\n"
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
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _smaller(script: str, kept: Sequence[str] = ()) -> str:
    from microgrid.pictures.smaller import smaller  # its patterns take milliseconds, of pages only

    return smaller(script, kept)


def _packed(script: str) -> str:
    """Return the arguments of unpack.js: the script deflated, in base 85, and the number of its bytes."""
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflated.compress(script.encode("utf-8", "replace")) + deflated.flush()
    return f'("{base64.b85encode(data, pad=True).translate(_DIGITS).decode()}",{len(data)})'
