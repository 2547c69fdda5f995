"""Compiled functions as methods: code for each instance of a class."""

from __future__ import annotations

import weakref
from types import MethodType
from typing import TYPE_CHECKING, Any

from microgrid.compiler.made import Kept
from microgrid.compiler.parameters import Parameters
from microgrid.core import tree

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled


class Method:
    """A compiled function in a class, with the compiled variants of each living instance."""

    def __init__(self, compiled: Compiled) -> None:
        self.__doc__ = compiled.__doc__
        self._compiled = compiled
        self._parameters: Parameters | None = None
        self._kept: dict[int, tuple[Any, Kept[Any]]] = {}

    def __get__(self, instance: Any, owner: type | None = None) -> Compiled:
        if instance is None:
            return self._compiled
        function = self._compiled._function.__get__(instance, owner)
        if self._parameters is None:
            self._parameters = self._compiled._parameters.of_method(function)
        return self._compiled._bound(function, self._parameters, self._variants(instance))

    def _variants(self, instance: Any) -> Kept[Any]:
        key = id(instance)
        known = self._kept.get(key)
        if known is None or known[0]() is not instance:
            kept, kind = self._kept, type(instance)

            def forget(reference: Any) -> None:
                if key in kept and kept[key][0] is reference:
                    del kept[key]

            try:
                reference = weakref.ref(instance, forget)
            except TypeError:
                raise TypeError(
                    f"{kind.__name__} has __slots__ without __weakref__, so that code cannot be kept for as long as an "
                    "instance lives: add it, or compile a function outside of the class"
                ) from None
            function = self._compiled._function
            known = kept[key] = reference, Kept(lambda: [function, kind])
        return known[1]


def state(function: Any) -> tuple[Any, ...]:
    """Return the key of the numbers and texts in the attributes of a method's instance; () for other functions."""
    if type(function) is not MethodType or isinstance(function.__self__, type):
        return ()
    instance = function.__self__
    slots = [
        name for kind in type(instance).__mro__ for name in getattr(kind, "__slots__", ()) if name != "__weakref__"
    ]
    held = {name: getattr(instance, name, None) for name in slots if not name.startswith("__")}
    return (tree.by_value({**held, **getattr(instance, "__dict__", {})}, _nothing),)


def _nothing(x: Any) -> None:
    """Stand for what is neither a number nor a text nor a container of them: it is frozen at trace time."""
