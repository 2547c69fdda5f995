"""Machine code for a program that is interpreted, made by another process meanwhile.

Its job comes in, and the code goes out, in files without names: nothing is left of them, however a process ends. It
shares no lock with this one, and is started neither by a fork nor by the module of the user's script.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from microgrid.compiler.interpreter import Handler
from microgrid.compiler.lanes import Mode

EFFORTS = ("quick", "light")
"""Efforts of LLVM for code of one lane and of several."""

NICE = 5
"""Priority given away: on one processor the program that asked keeps three quarters of it."""

_START = """\
import marshal, sys
job = sys.stdin.buffer.read()
sys.path[:] = marshal.loads(job)["path"]
from microgrid.compiler.background import main
main(job)
"""


def job_of(
    words: bytes,
    handlers: dict[int, Handler],
    kept: Sequence[int],
    mode: Mode,
    functions: Sequence[str],
    cache: bool,
) -> bytes:
    """Return what a process needs to know, as bytes: see `parts`."""
    job = {
        "words": words,
        "handlers": {address: tuple(handler) for address, handler in handlers.items()},
        "kept": list(kept),
        "mode": tuple(mode),
        "functions": list(functions),
        "cache": cache,
        "path": [str(folder) for folder in sys.path],
    }
    return marshal.dumps(job)


def answer(job: bytes, wanted: Callable[[], bool] = lambda: True) -> bytes:
    """Return the machine code of a job, behind the hash of this job, as long as it is wanted."""
    import microgrid.special  # noqa: F401  # whose ops are known once it is loaded
    from microgrid.compiler.machine import compiled
    from microgrid.compiler.parts import instructions_of, modules_of

    given = marshal.loads(job)
    handlers = {address: Handler(*fields) for address, fields in given["handlers"].items()}
    mode = Mode(*given["mode"])
    instructions = list(instructions_of(given["words"], handlers))
    found = []
    for text, count in modules_of(instructions, given["kept"], mode, given["functions"]):
        if not wanted():
            raise SystemExit("the process that asked has ended")
        found.append((compiled(text, given["cache"], EFFORTS[mode.lanes > 1])[0], count))
    return _hash(job) + marshal.dumps(found)


def main(job: bytes) -> None:
    """Write the answer to a job to the standard output, after all others that want to compute."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    parent = os.getppid()
    sys.stdout.buffer.write(answer(job, lambda: os.getppid() == parent))


def code_in(answer: bytes, job: bytes) -> list[tuple[bytes, int]]:
    """Return machine code, and the number of parts in it. Raises ValueError if it is not the answer to this job."""
    _, mark, code = answer.partition(_hash(job))  # before it are warnings of whatever is imported
    if not mark:
        raise ValueError("the answer is to another job")
    found: list[tuple[bytes, int]] = marshal.loads(code)
    return found


def _hash(job: bytes) -> bytes:
    return hashlib.sha256(job).digest()


def unavailable() -> str:
    """Return why no other process is started here; "" where one can be."""
    if sys.platform in ("emscripten", "wasi", "ios", "android"):
        return f"{sys.platform} has no other processes"
    name = Path(sys.executable or "").name.lower()
    if getattr(sys, "frozen", False) or not name.startswith(("python", "pypy")):
        return "the program that runs is not Python itself, which another process needs"
    return ""


class Process:
    """A process that does a job. It ends with this object, and with the process that started it. Raises OSError."""

    def __init__(self, job: bytes) -> None:
        self.job = job
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  # for as long as the process
        try:
            with tempfile.TemporaryFile() as given:
                given.write(job)
                given.seek(0)
                flags = [flag for flag, name in _FLAGS.items() if getattr(sys.flags, name)]
                command = [sys.executable, *flags, "-c", _START]
                self._process = subprocess.Popen(
                    command, stdin=given, stdout=self._answer, stderr=subprocess.STDOUT, **_QUIET
                )
        except BaseException:
            self._answer.close()
            raise
        self._end = weakref.finalize(self, _ended, self._process, self._answer, os.getpid())

    def done(self) -> bool:
        """Return True once the process has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    def code(self) -> list[tuple[bytes, int]]:
        """Return what it made. Raises ValueError with the reason where it failed."""
        self._answer.seek(0)
        content = self._answer.read()
        code = self._process.returncode
        if code:
            why = content.decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(f"the process that compiles was ended by signal {-code}" if code < 0 else why)
        return code_in(content, self.job)

    def end(self) -> None:
        """End it, and wait for that. In a fork of the process that started it, only forget it."""
        self._end()


_FLAGS = {"-I": "isolated", "-E": "ignore_environment", "-s": "no_user_site", "-S": "no_site"}
"""Options by which this process trusts less, for the other one as well."""

_QUIET: dict[str, Any]
if sys.platform == "win32":
    _QUIET = {
        "creationflags": subprocess.CREATE_NO_WINDOW
        | subprocess.CREATE_NEW_PROCESS_GROUP
        | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    }
else:
    _QUIET = {"process_group": 0}
"""Options with which no interrupt of a terminal reaches the process."""


def _ended(process: subprocess.Popen[bytes], answer: Any, starter: int) -> None:
    if os.getpid() == starter:
        process.kill()
        with contextlib.suppress(OSError):
            process.wait()
    else:
        process.returncode = 0  # the starter waits for it
    answer.close()
