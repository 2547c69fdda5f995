"""Disk cache of machine code, keyed by a hash of the code, the machine and the compiler.

Writers never meet: each writes a file of its own and renames it into place, and whoever reads checks that it is whole.
Code from a file is run, so only files and folders are read that belong to this user and that nobody else can write to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

KEPT = 500
"""Capacity of the cache in files; the least recently used are deleted."""


def folder() -> Path | None:
    """Return the folder of the cache: `MICROGRID_CACHE`, or the system's cache folder; ~ is the home directory.

    None where that variable says "off", and where the user has no home.
    """
    chosen = os.environ.get("MICROGRID_CACHE", "")
    if chosen == "off":
        return None
    if chosen:
        base = chosen
    elif sys.platform == "win32":
        base = os.path.join(os.environ.get("LOCALAPPDATA") or "~/AppData/Local", "microgrid")
    else:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "microgrid")
    try:
        return Path(base).expanduser()
    except RuntimeError:
        return None


def key(*parts: str) -> str:
    """Return the cache key of these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """Load the bytes of a cache entry; None if it is missing, incomplete, or could be written by other users."""
    where = folder()
    if where is None:
        return None
    try:
        with os.fdopen(_opened(where, name), "rb") as file:
            if not (stat.S_ISREG(os.fstat(file.fileno()).st_mode) and _only_ours(os.fstat(file.fileno()))):
                return None
            whole = file.read()
    except OSError:
        return None
    with contextlib.suppress(OSError):  # the disk may not be written
        (where / name).touch()
    check, content = whole[:32], whole[32:]
    return content if _digest(name, content) == check else None


def _opened(where: Path, name: str) -> int:
    """Open a file in a folder of this user; follow no links and wait for no pipes."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.open not in os.supports_dir_fd:
        return os.open(where / name, flags)
    inside = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _only_ours(os.fstat(inside)):
            raise PermissionError(f"others may write to {where}")
        return os.open(name, flags, dir_fd=inside)
    finally:
        os.close(inside)


def _only_ours(state: os.stat_result) -> bool:
    """Return True if a file or folder belongs to this user and nobody else may write to it."""
    if sys.platform == "win32":  # the folder is within the user's own, and rights are no bits
        return True
    return state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(name: str, content: bytes) -> bytes:
    """Return the header of a file, which contains the name, so that one entry is not taken for another."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def save(name: str, content: bytes) -> None:
    """Store bytes as a cache entry; store nothing if the disk is full or read-only, or others may write there."""
    where = folder()
    if where is None:
        return
    with contextlib.suppress(OSError):
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _only_ours(where.stat()):
            return
        handle, path = tempfile.mkstemp(dir=where, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(name, content) + content)
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
