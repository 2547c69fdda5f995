"""Compiled functions as methods: code for each instance of a class."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from microgrid.compiler.attributes import names_read
from microgrid.compiler.made import Kept
from microgrid.compiler.parameters import Parameters

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
        return self._compiled._bound(function, self._parameters, self._variants(instance, function))

    def _variants(self, instance: Any, method: Any) -> Kept[Any]:
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
            known = kept[key] = reference, Kept(lambda: [function, kind], names_read(method))
        return known[1]
