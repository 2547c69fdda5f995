"""`microgrid.compile`, which imports the stages when it is called: most programs never compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from microgrid.core.packages import library
from microgrid.nn import Module

if TYPE_CHECKING:
    from microgrid.compiler.compiled import Compiled
    from microgrid.compiler.training import CompiledLoss


@overload
def compile(
    function: Callable[..., Any],
    *,
    static: str | Sequence[str] = ...,
    strict: bool = ...,
    cache: bool = ...,
    threads: int | None = ...,
    check: bool = ...,
    background: bool = ...,
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
    background: bool = ...,
) -> CompiledLoss: ...
@overload
def compile(
    *,
    static: str | Sequence[str] = ...,
    strict: bool = ...,
    cache: bool = ...,
    threads: int | None = ...,
    check: bool = ...,
    background: bool = ...,
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    function: Callable[..., Any] | None = None,
    model: Module | None = None,
    *,
    static: str | Sequence[str] = (),
    strict: bool = False,
    cache: bool = True,
    threads: int | None = None,
    check: bool = True,
    background: bool = True,
) -> Any:
    """Compile a function to machine code; also a decorator. With a model, compile its loss and gradients over batches.

    Arguments are numbers, whole ones included, NumPy's arrays, and nested lists, tuples, dicts, data classes and
    registered types of them; results have their structure. `static` names parameters that are not differentiated, such
    as indices and counts: their values are compiled in, and another value recompiles.

    With `strict`, each sample has the bits of eager evaluation; without it, products that are added to sums of many
    terms may be fused with them, and functions may differ in the last digits; and where an argument is inf or nan,
    second derivatives of loops that are traced once may be nan that eager evaluation keeps from it by a factor of
    exactly 0. Machine code is kept on disk, in the folder that MICROGRID_CACHE names or ~/.cache/microgrid;
    `cache=False` disables that, as does MICROGRID_CACHE=off. `threads` is a whole number, or None for as many as pay.
    Derivatives compile like functions: `compile(hessian(f))`.

    The first result of each compilation is compared with recording at the same numbers, for up to three rows of a
    batch, before it is returned. Where rounding does not explain the difference, a RuntimeError has both numbers. This
    takes less time than the compilation; `check=False` skips it.

    What has thousands of operations without loops is interpreted. Once it has run for as long as LLVM is predicted to
    take, another process makes machine code, with which later calls go on: with the bits of the interpreter, so no
    result depends on when. It ends with this process; `background=False` starts none.

    Loops of Python are recorded iteration by iteration, and found again in the recording. The step of a `scan`, a
    `fori_loop` or a `while_loop` is traced once, and becomes a loop in machine code, forward and backward. In a batch,
    a `while_loop` ends for each sample separately. Of long loops the first iterations are compared with recording.

    A change of a global or free name of the function, of a default argument, or of an attribute read by name from a
    class or a module of your own recompiles. The contents of other objects are frozen at trace time.

    Tracing and compilation take place at the first call. Raises ImportError with the command that installs them where
    llvmlite or NumPy is missing, and TypeError with the line where the function branches on a number. Comparisons of
    arrays are recorded: numpy.where(x > 0, a, b), select, x[x > 0] = 0 and x * (x > 0) have both paths, and are nan
    where a nan is compared.

    >>> square = compile(lambda x: x * x)
    >>> square(3.0), square.gradient(3.0)
    (9.0, 6.0)
    """
    for name in ("llvmlite.binding", "numpy"):
        library(name, "compile")
    from microgrid.compiler.compiled import Compiled
    from microgrid.compiler.plan import Options
    from microgrid.compiler.training import CompiledLoss

    options = Options(strict, cache, threads, check, background)
    if function is None:
        return lambda function: Compiled(function, options, static)
    if not callable(function):
        raise TypeError(f"compile takes a function, got {type(function).__name__}")
    if model is None:
        return Compiled(function, options, static)
    if static:
        raise TypeError("compile(loss, model) has no static arguments: a loss takes an output and a target")
    return CompiledLoss(function, model, options)
