"""Machine code kept on disk between runs, by a hash of the code, the machine and the compiler.

Writers never meet: each writes a file of its own and renames it into place, and whoever reads checks that it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

KEPT = 500
"""The most files that stay: the ones used last."""


def folder() -> Path | None:
    """Where the cache is: `MICROGRID_CACHE`, or a place of the system's.

    None where that variable says "off", and where the user has no home.
    """
    chosen = os.environ.get("MICROGRID_CACHE", "")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "microgrid"
    except RuntimeError:
        return None


def key(*parts: str) -> str:
    """The name of what these texts describe."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The bytes kept under a name; None where there are none, or not the whole of them."""
    where = folder()
    if where is None:
        return None
    path = where / name
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):  # it may be another user's
        path.touch()
    check, content = whole[:32], whole[32:]
    return content if hashlib.sha256(content).digest() == check else None


def save(name: str, content: bytes) -> None:
    """Keep bytes under a name. Where the disk is full or not to be written, nothing is kept."""
    where = folder()
    if where is None:
        return
    with contextlib.suppress(OSError):
        where.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=where, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(path, where / name)
        except BaseException:
            os.unlink(path)
            raise
        _prune(where)


def _prune(where: Path) -> None:
    files = [path for path in where.iterdir() if not path.name.startswith(".")]
    if len(files) > KEPT:
        used = {}
        for path in files:
            with contextlib.suppress(OSError):  # another process may have removed it
                used[path] = path.stat().st_mtime
        for path in sorted(used, key=lambda path: used[path])[: len(files) - KEPT]:
            with contextlib.suppress(OSError):
                path.unlink()
