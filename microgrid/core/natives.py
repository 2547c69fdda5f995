"""Natives: functions of other libraries that compute an op, given for an op of the user by `on=`."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Final

from microgrid.core.packages import library

KEYS: Final = ("mpmath", "flint", "flint complex", "numpy", "c", "python")

SCIPY: Final = "scipy"
"""Key of a function of `scipy.special.cython_special`, and the order in which it takes the operands: for ops of the
package, which compute floats by it, too. Machine code calls it without Python."""

_ONE: Final = (
    "acos asin atan cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 log log10 log1p log2 logb cbrt fabs "
    "sqrt erf erfc lgamma tgamma ceil floor nearbyint rint round trunc"
)
_TWO: Final = "atan2 hypot pow fmod remainder copysign nextafter fdim fmax fmin"

C_FUNCTIONS: Final = {**dict.fromkeys(_ONE.split(), 1), **dict.fromkeys(_TWO.split(), 2), "fma": 3}
"""The functions of doubles that give a double in C99's math.h, each with its number of operands."""


def checked(name: str, on: Mapping[str, Any], arity: int) -> dict[str, Any]:
    """The natives of the op of that name; TypeError and ValueError for what no mode could use."""
    if not isinstance(on, Mapping):
        raise TypeError(f'{name}: on must be a dict, as in on={{"numpy": numpy.sinc}}, got {on!r}')
    for key, native in on.items():
        if key not in KEYS:
            raise ValueError(f"{name}: on has the key {key!r}; it may have {', '.join(map(repr, KEYS))}")
        given = f"{name}: on={{{key!r}: {native!r}}}"
        if key == "c":
            if not isinstance(native, str) or C_FUNCTIONS.get(native) != arity:
                raise ValueError(f"{given} does not name a function of {arity} double(s) in C's math.h")
        elif key == "python":
            module, _, function = native.rpartition(".") if isinstance(native, str) else ("", "", "")
            if module != "math" or not callable(getattr(math, function, None)):
                raise ValueError(f'{given} does not name a function of Python\'s math, as "math.lgamma" does')
        elif not callable(native) and not (isinstance(native, str) and native.isidentifier()):
            raise TypeError(f"{given} is neither a function of {arity} operand(s) nor the name of one")
    return dict(on)


def scipy_special(module: str = "scipy.special") -> Any:
    """Import SciPy's special functions. Raises ImportError with the command that installs SciPy where it is missing."""
    return library(module, "special")


def on_floats(name: str) -> Any:
    """Return the function of floats of this name in `scipy.special.cython_special`."""
    return getattr(scipy_special("scipy.special.cython_special"), name)


@functools.cache
def scipy_address(name: str, operands: int) -> int:
    """Return the address of that function in C, which takes so many doubles.

    It takes one more argument, an int that a module's functions do not read: callers may leave it out.
    """
    import ctypes

    compiled = scipy_special("scipy.special.cython_special").__pyx_capi__
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    wanted = f"double ({'double, ' * operands}int __pyx_skip_dispatch)".encode()
    for full in (name, f"__pyx_fuse_0{name}", f"__pyx_fuse_1{name}"):  # of a function of doubles and of complex ones
        if full in compiled and api.PyCapsule_GetName(compiled[full]) == wanted:
            return int(api.PyCapsule_GetPointer(compiled[full], wanted))
    raise OSError(f"this version of SciPy has no compiled function {name} of {operands} doubles")
