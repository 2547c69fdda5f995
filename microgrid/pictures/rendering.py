"""From DOT text to a picture: by the system's `dot`, or by Graphviz's library in a process of its own.

Graphviz's library has been seen to crash where it frees a layout; then that process ends, and no notebook does.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import threading
from typing import Any

from microgrid.core.packages import install

ADVICE = f"Install Graphviz, or {install('draw')}; SVG needs neither."

_TRIES = 3

# Lines of JSON, each with the bytes that it announces, go in and come out.
_LIBRARY = """
import json, sys, pygraphviz
given, out = sys.stdin.buffer, sys.stdout.buffer
while line := given.readline():
    asked = json.loads(line)
    answer, error = b"", ""
    try:
        graph = pygraphviz.AGraph(string=given.read(asked["bytes"]).decode())
        answer = bytes(graph.draw(format=asked["format"], prog="dot"))
        graph.close()
    except Exception as caught:
        error = str(caught) or type(caught).__name__
    out.write(json.dumps({"bytes": len(answer), "error": error}).encode() + b"\\n" + answer)
    out.flush()
"""


def rendered(source: str, format: str) -> bytes:
    """Render DOT text. Raises ImportError where Graphviz is missing, RuntimeError where it fails."""
    try:
        import graphviz
    except ImportError:
        pass
    else:
        try:
            return bytes(graphviz.Source(source).pipe(format))
        except graphviz.ExecutableNotFound:
            pass
    if importlib.util.find_spec("pygraphviz") is None:
        raise ImportError(f"there is no Graphviz here to write {format} with. {ADVICE}")
    return _library.render(source, format)


class _Library:
    """The process with the library: started on first use, and restarted after its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._parent = 0
        self._others: list[Any] = []
        atexit.register(self.end)

    def render(self, source: str, format: str) -> bytes:
        for _ in range(_TRIES):
            with self._lock:
                answer = self._asked(source.encode(), format)
            if answer is not None:
                return answer
        raise RuntimeError("Graphviz's library crashed on this picture; the system's Graphviz may draw it")

    def _asked(self, source: bytes, format: str) -> bytes | None:
        """Return the answer of the library; None where it crashes."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"bytes": len(source), "format": format}).encode() + b"\n" + source)
            process.stdin.flush()
            line = process.stdout.readline()
            told: dict[str, Any] = json.loads(line or b'{"bytes": 0}')
            answer = process.stdout.read(told["bytes"])
        except OSError:
            line = b""
        except BaseException:  # a pending answer must not be taken for the next one
            self.end()
            raise
        if not line:
            self.end()
            return None
        if told["error"]:
            raise RuntimeError(told["error"])
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._parent != os.getpid():
            self._others.append(self._process)  # in a forked process, the library process of its parent
            self._process = subprocess.Popen(
                [sys.executable, "-c", _LIBRARY],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._parent = os.getpid()
        return self._process

    def end(self) -> None:
        """End the process, unless another process started it."""
        process, self._process = self._process, None
        if process is not None and self._parent == os.getpid():
            process.kill()
            process.communicate()


_library = _Library()
