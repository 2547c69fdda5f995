"""Programs back into loops, loops into machine code.

Each stage is a function from one plain data structure to the next, each of which prints: a `Program` (`tracing`), a
`Tape` (`gradient`), `Rolled` loops (`roll`), `Stored` code (`storage`), a `Module` of LLVM (`llvm`), machine code
(`machine`). `plan` runs them in a row; `compiled` and `training` are what people hold.
"""

from microgrid.compiler.compile import compile as compile
