"""`microgrid check`: check the gradient of a function in a file against certified derivatives."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import json
import random
import re
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from microgrid.commands.given import Misuse, assignments, number, plain
from microgrid.core import tree
from microgrid.core.primitive import Op, as_float, built_in
from microgrid.testing.enclosure import nearest_float
from microgrid.testing.report import Report

SCALARS = ("float", "Value", "Value | float", "float | Value")
"""Annotations for which a number can be drawn."""

FIXED = ("int", "bool", "str", "static")
"""Annotations of arguments that are held fixed; `static` marks the plain numbers of an op."""


def check(
    target: str, given: Sequence[str], *, gradient: str | None = None, seed: int = 0, as_text: bool = True
) -> int:
    """Print the report on `FILE::function` at a point and return the exit code, which is 1 on FAIL."""
    from microgrid.testing import check_gradient

    file, sign, name = target.rpartition("::")
    if not sign or not file or not name:
        raise Misuse(f"{target!r} names no function in a file: write FILE.py::function")
    module = load(Path(file))
    function = _named(module, name, file)
    moving, fixed = _point(function, name, assignments(given), random.Random(seed))
    claimed = None if gradient is None else _bound(_named(module, gradient, file), list(moving), fixed)
    try:
        report = check_gradient(_bound(function, list(moving), fixed), *moving.values(), gradient=claimed)
    except (Exception, SystemExit) as error:  # a function that exits would set its own exit code
        raise Misuse(f"{name} cannot be checked here: {_where(error, file)}") from error
    print(report if as_text else json.dumps({"function": target, **as_json(report)}, indent=2))
    return 1 if report.verdict == "FAIL" else 0


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as an object that JSON can hold."""
    checks = []
    for c in report.checks:
        middle, radius = c.numerical.middle, c.numerical.radius
        checks.append(
            {
                "input": c.name,
                "at": c.at,
                "claimed": c.analytic,
                "derivative": None if middle is None else nearest_float(middle),
                "radius": None if radius is None else nearest_float(radius),
                "evidence": c.numerical.evidence,
                "verdict": str(c.verdict),
                "reason": c.reason,
            }
        )
    found = {"verdict": str(report.verdict), "cause": report.cause, "culprit": report.culprit, "checks": checks}
    return dict(plain(found))


# --- the function --------------------------------------------------------------------------------------------------


def load(path: Path) -> types.ModuleType:
    """Import the file as a module, with its folder on the path, as when Python runs the file."""
    if not path.is_file():
        raise Misuse(f"there is no file {path}: write FILE.py::function with a path from {Path.cwd()}")
    name = f"checked_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise Misuse(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise Misuse(f"{path} cannot be imported: {_where(error, str(path))}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _where(error: BaseException, file: str) -> str:
    """Return an exception in one line, with the last line of the user's file that it passed through."""
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == Path(file).absolute()
    ]
    text = f"{type(error).__name__}: {error}".rstrip(": ").replace("with gradient=", "with --gradient NAME")
    return f"{text} ({Path(file).name}, line {own[-1].lineno})" if own else text


def _named(module: types.ModuleType, name: str, file: str) -> Callable[..., Any]:
    function: Any = vars(module).get(name)
    if callable(function) and not inspect.isclass(function):
        return cast(Callable[..., Any], function)
    own = [
        key
        for key, x in vars(module).items()
        if (isinstance(x, Op) and x.name not in built_in)
        or (inspect.isfunction(x) and x.__module__ == module.__name__ and key != "<lambda>")
    ]
    near = difflib.get_close_matches(name, own, n=1)
    known = f"did you mean {near[0]}?" if near else f"it has {', '.join(own[:20]) or 'none'}"
    raise Misuse(f"{file} has no function {name}: {known}")


# --- the point -----------------------------------------------------------------------------------------------------


def _point(
    function: Callable[..., Any], name: str, texts: dict[str, str], rng: random.Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments to differentiate by, and those that are held fixed."""
    moving: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    parameters = _parameters(function, name)
    for given in texts:
        if given not in parameters:
            raise Misuse(f"{name} has no argument {given}: it takes {', '.join(parameters) or 'none'}")
    for parameter in parameters.values():
        key = parameter.name
        kind = _kind(parameter.annotation)
        if key in texts:
            x = _given(key, texts[key])
            if kind in FIXED or not _is_numbers(x):
                fixed[key] = _whole(key, x, kind) if kind in ("int", "bool") and isinstance(x, float) else x
            else:
                moving[key] = x
        elif parameter.default is not parameter.empty:
            if _is_numbers(parameter.default) and not isinstance(parameter.default, int):
                moving[key] = parameter.default
        elif kind in SCALARS:
            moving[key] = round(rng.uniform(0.25, 1.75), 4)  # inside of most domains, and short to repeat
        else:
            raise Misuse(f"{name} needs a value for {key}: write {key}=0.5, or {key}=[0.5,1.5] for a list")
    return moving, fixed


def _kind(annotation: Any) -> str:
    """Return an annotation as a person writes it, without the names of modules."""
    if not isinstance(annotation, str):
        annotation = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\w+\.|['\"]", "", annotation)


def _parameters(function: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_ONLY
    if isinstance(function, Op):
        kinds = ["float"] * (function.arity - function.static) + ["static"] * function.static
        pairs = zip(function.variables, kinds, strict=True)
        return {x: inspect.Parameter(x, kind, annotation=annotation) for x, annotation in pairs}
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise Misuse(f"the arguments of {name} cannot be told: wrap it in a def of your own") from None
    return {key: p for key, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def _given(name: str, text: str) -> Any:
    """Parse the text of an argument: JSON for lists, objects, strings and booleans, else a number."""
    if text.lstrip()[0] not in '[{"' and text.strip() not in ("true", "false", "null"):
        return number(name, text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misuse(
            f"the value of {name} is no JSON: {error}; write {name}=[1.0,2.0] or {name}='{{\"a\":1.0}}'"
        ) from None


def _whole(name: str, x: float, kind: str) -> Any:
    if not x.is_integer():
        raise Misuse(f"{name} is annotated {kind}, got {x}: write a whole number")
    return bool(x) if kind == "bool" else int(x)


def _is_numbers(x: Any) -> bool:
    """Return True if x is a number to differentiate by, or lists, tuples and dicts of such numbers."""
    if hasattr(x, "tolist"):
        x = x.tolist()

    def number_of(leaf: Any, path: str) -> float:
        if isinstance(leaf, bool):
            raise TypeError(f"{path} is a bool")
        return as_float(leaf)

    try:
        return bool(tree.flatten(x, number_of, "")[0])
    except (TypeError, ValueError):
        return False


def _bound(function: Callable[..., Any], moving: Sequence[str], fixed: dict[str, Any]) -> Callable[..., Any]:
    """Return the function of the arguments that vary, with the others held fixed."""
    parameters = _parameters(function, "the function")

    def bound(*numbers: Any) -> Any:
        known = {**dict(zip(moving, numbers, strict=True)), **fixed}
        arguments = [known.pop(key) for key in _leading(parameters, known)]
        return function(*arguments, **known)

    bound.__name__ = function.name if isinstance(function, Op) else getattr(function, "__name__", "the function")
    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(x, kind) for x in moving])
    bound.__signature__ = signature  # type: ignore[attr-defined]  # reports name the inputs by it
    return bound


def _leading(parameters: dict[str, inspect.Parameter], known: dict[str, Any]) -> list[str]:
    """Return the arguments that can be positional: those before the first that keeps its default."""
    leading = []
    for key, parameter in parameters.items():
        if key not in known or parameter.kind is parameter.KEYWORD_ONLY:
            break
        leading.append(key)
    return leading
