"""Whole numbers among the arguments of a compiled function, and the error when the function takes one for an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from microgrid.core import tree
from microgrid.core.scope import line_of
from microgrid.engine import Value

_FLOAT = "a Value does not turn into a float by itself"
_WANTED = re.compile(
    r"cannot be interpreted as an integer|indices must be|index must be|are valid indices|arrays used as indices|"
    r"must be None or an integer|must be an integer|integer is required|sequence of integers|"
    r"integer argument expected|non-int of type|expected a number, got (the string|list|tuple|str|range)|" + _FLOAT
)
"""Messages of Python, of NumPy and of Values where a whole number is wanted, and a Value is given."""


class Whole(NamedTuple):
    """Names of arguments that are whole numbers, or containers of them alone; and paths of others."""

    names: list[str]
    paths: list[str]

    def taken_for_one(self, error: Exception) -> bool:
        """Return True if an error says that a function wants a whole number, and there is one."""
        wanted = _WANTED.search(str(error)) if isinstance(error, (TypeError, IndexError, ValueError)) else False
        key = isinstance(error, KeyError) and any(isinstance(x, Value) for x in error.args)
        return bool((wanted or key) and (self.names or self.paths))

    def error(self, name: str, error: Exception) -> str:
        """Return the message that says where, and what to write."""
        said = "a Value is no key" if isinstance(error, KeyError) else str(error)
        if said.startswith(_FLOAT):
            return f"{said}, at {line_of(error)}{self.advice(name)}"
        where = f"{name} cannot be compiled: it takes a number for a whole one, at {line_of(error)}"
        return f"{where}: {said}{self.advice(name)}"

    def advice(self, name: str) -> str:
        """Return what to write where a whole number is no number to compute with; "" where there is none."""
        if self.names:
            static = ", ".join(f'"{each}"' for each in self.names[:3]) + ("," if len(self.names) == 1 else "")
            which = " or ".join(self.names[:3])
            return (
                f". If {which} is an index, a count or a mask, and no number to differentiate by, name it: "
                f"compile({name if name.isidentifier() else '...'}, static=({static}))"
            )
        if self.paths:
            return (
                f". If {self.paths[0]} is an index, a count or a mask, pass it as an argument of its own, and name "
                "that in static="
            )
        return ""


def whole_numbers(arguments: Mapping[str, Any]) -> Whole:
    """Return the whole numbers among arguments."""
    found = Whole([], [])
    for name, argument in arguments.items():
        leaves, _ = tree.flatten(argument, lambda leaf, path: (leaf, path), name, arrays=False)
        paths = [path for leaf, path in leaves if _is_whole(leaf)]
        if paths and len(paths) == len(leaves):
            found.names.append(name)
        else:
            found.paths.extend(paths)
    return found


def _is_whole(leaf: Any) -> bool:
    return isinstance(leaf, int) or getattr(getattr(leaf, "dtype", None), "kind", "") in tuple("iub")
