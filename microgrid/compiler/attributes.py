"""Attributes of an instance that its methods read: numbers in them are compiled in as constants."""

from __future__ import annotations

import dis
import functools
from types import CodeType, FunctionType, MemberDescriptorType, MethodType
from typing import Any

from microgrid.core import tree

Names = frozenset[str] | None
"""Names of attributes; None for all of them."""


_OF_ATTRIBUTES = frozenset("LOAD_ATTR LOAD_METHOD LOAD_SUPER_ATTR STORE_ATTR DELETE_ATTR".split())
_HARMLESS = (staticmethod, classmethod, type, MemberDescriptorType)
"""Members of a class that have no code that reads the instance."""

_CODE = frozenset([FunctionType, staticmethod, classmethod, property, MemberDescriptorType])
"""Types of class attributes that are no numbers, and most of all: they are left out at once, for calls' sake."""


def state(function: Any, names: Names) -> tuple[Any, ...]:
    """Return the key of the numbers and texts in these attributes of a method's instance, or of an object to call, and
    of its classes.

    () for other functions. What else the attributes hold is frozen at trace time.
    """
    instance, method = _instance(function)
    if method is None:
        return ()
    kinds = type(instance).__mro__[-2::-1]  # without object
    own = [vars(kind) for kind in kinds if not kind.__module__.startswith("microgrid.")]
    slots = {name: getattr(instance, name, None) for kind in kinds for name in getattr(kind, "__slots__", ())}
    read: dict[str, Any] = {}
    for held in (*own, slots, getattr(instance, "__dict__", {})):
        read |= (
            {name: x for name, x in held.items() if type(x) not in _CODE and not name.startswith("__")}
            if names is None
            else {name: held[name] for name in names if name in held}
        )
    return (tree.by_value(read, _nothing),)


def names_read(function: Any) -> Names:
    """Return the names that may be attributes which a method, and the methods that it names, read of its instance."""
    instance, method = _instance(function)
    if method is None:
        return frozenset()
    kinds = type(instance).__mro__
    if any(name in vars(kind) for kind in kinds[:-1] for name in ("__getattr__", "__getattribute__")):
        return None
    agenda, seen, names = [method], set[CodeType](), set[str]()
    while agenda:
        code = agenda.pop().__code__
        if code in seen:
            continue
        seen.add(code)
        if not code.co_argcount or _passes_on(code, code.co_varnames[0]):
            return None
        for name in _names(code) - names:
            names.add(name)
            for member in [vars(kind)[name] for kind in kinds if name in vars(kind)]:
                found = _function(member)
                if found is not None:
                    agenda.append(found)
                elif hasattr(type(member), "__get__") and not isinstance(member, _HARMLESS):
                    return None
    return frozenset(names)


def _instance(function: Any) -> tuple[Any, FunctionType | None]:
    """Return the instance, and the function that is called with it; None where there are none."""
    if type(function) is FunctionType:
        return function, None
    bound = type(function) is MethodType
    instance: Any = function.__self__ if bound else function
    method: Any = function.__func__ if bound else getattr(type(function), "__call__", None)  # noqa: B004  # the method is wanted, not the answer
    ours = not bound and type(function).__module__.split(".")[0] == "microgrid"
    return instance, method if type(method) is FunctionType and not ours and not isinstance(instance, type) else None


def _function(member: Any) -> FunctionType | None:
    """Return the function of a method, a property or a compiled method in a class."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    else:
        member = getattr(getattr(member, "_compiled", None), "_function", member)
    return member if type(member) is FunctionType else None


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _passes_on(code: CodeType, name: str) -> bool:
    """Return True if code does something with a name other than to take attributes of it."""
    instructions = list(dis.get_instructions(code))
    for i, after in zip(instructions, [*instructions[1:], None], strict=True):
        names = i.argval if isinstance(i.argval, tuple) else (i.argval,)
        loaded = name in names and i.opname.startswith("LOAD") and i.opname not in ("LOAD_CLOSURE", "LOAD_CONST")
        if loaded and (after is None or after.opname not in _OF_ATTRIBUTES):
            return True
    return any(_passes_on(inner, name) for inner in code.co_consts if isinstance(inner, CodeType))


def _nothing(x: Any) -> None:
    """Stand for what is neither a number nor a text nor a container of them."""
