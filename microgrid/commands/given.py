"""Arguments of the command line, parsed, and the errors about them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from microgrid.text.expression import Expression, ExpressionError

DEMO_STEPS = 100
"""Training steps of the demo, unless others are asked for."""


class CommandError(Exception):
    """An error that the user can mend; its text says how. The command ends with exit code 1."""

    exit_code = 1


class Misuse(CommandError):
    """The command line names no task; the command ends with exit code 2."""

    exit_code = 2


def assignments(texts: Sequence[str]) -> dict[str, str]:
    """Return `x=2 y=0.5` as a dict of texts."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name or not value.strip():
            raise Misuse(f"{text!r} gives no variable a value: write x=2, without spaces around the =")
        if name in found:
            raise Misuse(f"{name} is given twice: leave one of the two out")
        found[name] = value
    return found


def number(name: str, text: str) -> float:
    """Return the number that a constant expression stands for: 2, -1e-3, pi/4."""
    try:
        return float(Expression(text)())
    except ExpressionError as error:
        said = re.sub(r"^(\w+) has no value: .*", r"\1 is no number: write one, as 0.5 or pi/4", str(error))
        raise Misuse(f"the value of {name}: {said}") from None


def plain(x: Any) -> Any:
    """Return an object that JSON can hold; inf and nan become texts that float() and JavaScript read."""
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    if isinstance(x, dict):
        return {key: plain(item) for key, item in x.items()}
    return [plain(item) for item in x] if isinstance(x, (list, tuple)) else x


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(x.rjust(w) for x, w in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines
