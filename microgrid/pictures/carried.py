"""The scripts that a stepper's page carries only for a graph that needs them: a small graph has a small page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from microgrid.pictures import symbols, web


def scripts_for(data: dict[str, Any]) -> list[str]:
    """Return the scripts that not every graph needs, and this one does."""
    others = "x" in data or "u" in data  # whose graphs have operands of their own
    tails = [j for _, *operands in data["c"] for j in operands]
    kinds = data.get("F", [])
    needed = {
        "conditions.js": any(f'"{head}"' in web.as_json(kinds) for head in (symbols.CHOICE, symbols.COMPARED)),
        "names.js": others or not all(re.fullmatch(r"[^\W\d]+", name) for name in _written(data)),
        "powers.js": any(len(notation) > 3 and notation[3] > 3 for notation in data.get("N", {}).values()),
        "modules.js": others or "W" in data,
        "bending.js": others or any(map(_bends, kinds)) or any(len(set(ends)) < len(ends) for _, *ends in data["c"]),
        "remarks.js": any(kind[3] or any(kind[5]) for kind in kinds),
        "adding.js": others or "a" in data or len(tails) > len(set(tails)),
        "again.js": others,
    }
    return [name for name, is_needed in needed.items() if is_needed]


def _written(data: dict[str, Any]) -> list[str]:
    """Return the names in formulas: labels, z for the result, and "" for a value that may be called by its number."""
    *labels, last = data["l"]
    names = [name for name, (kind, *_) in zip(labels, data["c"], strict=False) if kind != -2]
    return [*names, last or ("" if "z" in labels else "z")]


def _bends(kind: Sequence[Any]) -> bool:
    """Return False for an op that is linear in each operand: its rules are known, and have neither that nor z."""
    rules, variables = kind[2], kind[7]
    return not all(rule and not {"z", x} & set(_names(rule)) for rule, x in zip(rules, variables, strict=False))


def _names(rule: Any) -> Iterator[Any]:
    if isinstance(rule, list):
        for part in rule:
            yield from _names(part)
    else:
        yield rule
