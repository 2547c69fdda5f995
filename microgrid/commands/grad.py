"""`microgrid grad`: the value and derivatives of an expression at a point, with options to check, draw and step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from microgrid.commands.check import as_json
from microgrid.commands.given import CommandError, Misuse, assignments, number, plain, table
from microgrid.core.files import ending
from microgrid.draw import draw
from microgrid.engine import Value, constant
from microgrid.functional import hessian
from microgrid.pictures import digraph, web
from microgrid.program import trace
from microgrid.steps import steps
from microgrid.text.expression import Expression, check_name


def grad(
    text: str,
    given: Sequence[str],
    *,
    second: bool = False,
    program: bool = False,
    latex: bool = False,
    picture: Path | None = None,
    page: Path | None = None,
    check: bool = False,
    as_text: bool = True,
) -> int:
    """Print the derivatives and return the exit code, which is 1 when the check says FAIL."""
    expression, at = _read(text, given)
    _ends_in(picture, digraph.ENDINGS)
    _ends_in(page, web.ENDINGS)
    leaves = [Value(x, label=name) for name, x in at.items()]
    result = expression(*leaves)
    root = result if isinstance(result, Value) else constant(result)
    if page is not None and not root.operands:
        raise Misuse(f"{expression.text} has no operation to step through: write one, as x**2")
    root.backward()
    numbers = list(at.values())
    found: dict[str, Any] = {
        "expression": expression.text,
        "at": at,
        "value": root.data,
        "gradient": {leaf.label: leaf.grad for leaf in leaves},
    }
    traced = trace(expression)(*numbers)
    if second:
        rows = hessian(expression, range(len(numbers)))(*numbers) if numbers else []
        found["hessian"] = {x: dict(zip(at, row, strict=True)) for x, row in zip(at, rows, strict=True)}
    if program:
        found["program"] = str(traced)
    if latex:
        found["latex"] = _formula(traced.latex)
        found["gradient_latex"] = _formula((traced.gradient() if numbers else traced).latex)
    report = None
    if check:
        from microgrid.testing import check_gradient  # imports packages of the check extra, where installed

        report = check_gradient(expression, *numbers)
        found["check"] = as_json(report)
    if picture is not None:
        found["picture"] = _written(picture, lambda: draw(root, filename=picture))
    if page is not None:
        found["stepper"] = _written(page, lambda: steps(root).save(page))
    print("\n".join(_lines(found, report)) if as_text else json.dumps(plain(found), indent=2))
    return 1 if report is not None and report.verdict == "FAIL" else 0


def _read(text: str, given: Sequence[str]) -> tuple[Expression, dict[str, float]]:
    """Return the expression, and the values of its variables in the order given."""
    texts = assignments(given)
    try:
        for name in texts:
            check_name(name)
        expression = Expression(text, list(texts))
    except ValueError as error:  # an ExpressionError is one
        raise Misuse(str(error)) from None
    unused = [name for name in texts if name not in expression.used]
    if unused:
        raise Misuse(f"{unused[0]} is given a value, and is not in the expression: leave {unused[0]}=... out")
    return expression, {name: number(name, value) for name, value in texts.items()}


def _ends_in(path: Path | None, endings: Sequence[str]) -> None:
    try:
        if path is not None:
            ending(path, *endings)
    except ValueError as error:
        raise Misuse(str(error)) from None


def _written(path: Path, write: Callable[[], Any]) -> str:
    try:
        write()
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}; choose another place") from None
    except ImportError as error:
        raise CommandError(f"cannot draw {path}: {error}") from None
    return str(path)


def _formula(write: Callable[[], str]) -> str:
    try:
        return write()
    except ValueError as error:
        raise CommandError(f"too long for one formula: --program has a line for each operation ({error})") from None


def _lines(found: dict[str, Any], report: Any) -> list[str]:
    """Return the results as lines of text."""
    slopes = found["gradient"]
    lines = table([["value", repr(found["value"])], *([f"d/d{x}", repr(slope)] for x, slope in slopes.items())])
    if "hessian" in found:
        rows = [["Hessian", *slopes], *([x, *map(repr, row.values())] for x, row in found["hessian"].items())]
        lines += ["", *table(rows)]
    for key in ("program", "latex", "gradient_latex"):
        if key in found:
            lines += ["", found[key]]
    if report is not None:
        lines += ["", str(report)]
    for key in ("picture", "stepper"):
        if key in found:
            lines += ["", f"wrote {found[key]}"]
    return lines
