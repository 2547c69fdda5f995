"""Parameters of a compiled function: their names, and those whose arguments are static."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

STATIC = (bool, str, bytes, type(None))
"""Types of arguments that are static by themselves, since no derivative is by them."""


class Parameters:
    """Names of the parameters of a function, and which are static."""

    def __init__(self, function: Callable[..., Any], static: str | Sequence[str] = ()) -> None:
        self.static = (static,) if isinstance(static, str) else tuple(static)
        try:
            every = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # a function in C
            every = []
        self._names = [p.name for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self._count = len(self._names)
        self._every = [p.name for p in every]
        self._rest = next((p.name for p in every if p.kind is p.VAR_POSITIONAL), "")
        self._anything = any(p.kind is p.VAR_KEYWORD for p in every)
        for name in self.static:
            if not isinstance(name, str):
                raise TypeError(f'static has names of parameters, as in static=("n",), got {name!r}')
            if not self.takes(name):
                known = ", ".join(p.name for p in every) or "none that Python can tell"
                raise ValueError(f"static has {name!r}, which is no parameter of the function; these are {known}")

    def name(self, position: int) -> str:
        """Return the name of the argument at a position; each has another one."""
        while position >= len(self._names):
            name = f"{self._rest or 'x'}{len(self._names) - (self._count if self._rest else 0)}"
            while name in self._names:
                name += "_"
            self._names.append(name)
        return self._names[position]

    def has(self, name: str) -> bool:
        """Return True if a parameter has this name."""
        return name in self._every

    def takes(self, name: str) -> bool:
        """Return True if an argument may be passed by this keyword."""
        return self._anything or name in self._every

    def is_static(self, place: int | str, arg: Any) -> bool:
        """Return True if the argument at a position, or of a name, is compiled in as a constant."""
        if isinstance(arg, STATIC):
            return True
        if not self.static:
            return getattr(getattr(arg, "dtype", None), "kind", "") == "b" and not arg.ndim
        if isinstance(place, int):
            place = self._names[place] if place < self._count else self._rest
        return place in self.static or Parameters.is_static(_NOTHING_STATIC, place, arg)

    def of_method(self, function: Callable[..., Any]) -> Parameters:
        """Return the parameters of a method, which lack the first one."""
        return Parameters(function, [name for name in self.static if name not in self._names[:1]])

    def numbers(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Callable[..., Any], list[Any], int]:
        """Return the function of the arguments that are not static, those by position first; these arguments; and the
        count of those by position."""
        static = [self.is_static(i, arg) for i, arg in enumerate(args)]
        names = sorted(kwargs)
        named = [name for name in names if not self.is_static(name, kwargs[name])]
        free = [arg for arg, fixed in zip(args, static, strict=True) if not fixed]

        def of_numbers(*given: Any) -> Any:
            rest: Iterator[Any] = iter(given)
            every = [arg if fixed else next(rest) for arg, fixed in zip(args, static, strict=True)]
            return function(*every, **{**kwargs, **dict(zip(named, rest, strict=True))})

        of_numbers.__name__ = getattr(function, "__name__", type(function).__name__)
        return of_numbers, [*free, *[kwargs[name] for name in named]], len(free)


_NOTHING_STATIC = Parameters(lambda: None)
