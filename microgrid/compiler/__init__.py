"""Programs back into loops, loops into machine code.

Each stage is a function from one plain data structure to the next, each of which prints:

| file | from | to |
|---|---|---|
| `tracing` | a function | a `Program`, with the Values and modules that it met |
| `gradient`, `instances` | a `Program` | a `Tape`: straight instructions on numbered cells, cotangents added in place |
| `reduction` | a `Program` and its `Tape` | shorter ones, where the tape is straight |
| `roll` | a `Tape` | `Rolled`: the loops that it was unrolled from |
| `storage`, `density` | `Rolled` | `Stored` (`code`): registers, memory, and in which loops |
| `llvm`, `kernel` | `Stored` | a `Module`: text in LLVM's language, by `formulas`, `elementary` and `lanes` |
| `machine`, `cache` | a `Module` | machine code, in memory and on disk |
| `loop_tracing`, `loop_splitting` | a function with `scan` or the like | a `Looped` program: stages and loops |
| `loop_tapes`, `loop_kernel` | a `Looped` program | a `Module`, by `loop_passes` and `loop_writer` |
| `loop_tangents`, `directional` | a `Looped` program | that of its tangents, for derivatives in directions |
| `agreement` | a first result | the same, once recording has agreed |
| `c_loops`, `c_scans` | `Stored`, or a `Looped` program | a function in C |

`plan` runs them in a row. `compiled` and `training` are what people hold, `loops` what they read, `arguments` what they
give.
"""

from microgrid.compiler.compile import compile as compile
