"""`microgrid.compile`, which imports the stages when it is called: most programs never compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from microgrid.nn import Module
from microgrid.numbers.arithmetic import library

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled
    from microgrid.compiler.training import CompiledLoss


@overload
def compile(
    function: Callable[..., Any],
    *,
    strict: bool = ...,
    cache: bool = ...,
    threads: int | None = ...,
    check: bool = ...,
) -> Compiled: ...
@overload
def compile(
    function: Callable[..., Any],
    model: Module,
    *,
    strict: bool = ...,
    cache: bool = ...,
    threads: int | None = ...,
    check: bool = ...,
) -> CompiledLoss: ...
@overload
def compile(
    *, strict: bool = ..., cache: bool = ..., threads: int | None = ..., check: bool = ...
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    function: Callable[..., Any] | None = None,
    model: Module | None = None,
    *,
    strict: bool = False,
    cache: bool = True,
    threads: int | None = None,
    check: bool = True,
) -> Any:
    """Compile a function to machine code; also a decorator. With a model, compile its loss and gradients over batches.

    `strict` gives each sample the bits of eager evaluation; without it, products that are added to sums of many may be
    rounded once with them, and functions may differ in the last digits. `cache=False` keeps nothing on disk. `threads`
    is a whole number; by default, as many as pay. Derivatives compile as functions do: `compile(hessian(f))`.

    The first result of all new code is compared with recording at the same numbers, of a batch for up to three rows,
    before it is returned: where rounding does not explain the difference, a RuntimeError has both numbers. That takes
    less time than compiling; `check=False` leaves it out.

    Another number under a global or free name of the function, in a default argument, or in an attribute taken by name
    of a class or a module of your own compiles anew; what any other object holds counts as it was at the first call.

    Needs llvmlite and NumPy: an ImportError names the extra. Tracing and compiling wait for the first call, where a
    function whose path hangs on a number is a TypeError that shows the line.

    >>> square = compile(lambda x: x * x)
    >>> square(3.0), square.gradient(3.0)
    (9.0, 6.0)
    """
    for name in ("llvmlite.binding", "numpy"):
        library(name, "compile")
    from microgrid.compiler.compiled import Compiled
    from microgrid.compiler.plan import Options
    from microgrid.compiler.training import CompiledLoss

    options = Options(strict, cache, threads, check)
    if function is None:
        return lambda function: Compiled(function, options)
    if not callable(function):
        raise TypeError(f"compile takes a function, got {type(function).__name__}")
    return Compiled(function, options) if model is None else CompiledLoss(function, model, options)
