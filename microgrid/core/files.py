"""Files of numbers: JSON, exact to the bit, and replaced atomically."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping
from typing import Any

PathLike = str | os.PathLike[str]


def ending(path: PathLike, *endings: str) -> str:
    """Return the ending of a file's name in lower case. Raises ValueError with the valid endings when it is none of
    them.

    A device or a pipe may have any name: then it is the first.
    """
    from pathlib import Path

    found = Path(path).suffix.lower()
    if found in endings:
        return found
    if Path(path).exists() and not Path(path).is_file():
        return endings[0]
    raise ValueError(f"{path}: the name must end in {' or '.join(endings)}, which says what is written")


def write_text(path: PathLike, text: str) -> None:
    """Write text to a file, a device or a pipe. Raises OSError for a pipe without a reader."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(error.errno, "nobody reads from this pipe or device", str(path)) from None
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(handle, True)  # opening it without a reader would block for ever
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path: PathLike, kind: str, content: Mapping[str, Any]) -> None:
    """Replace the file by this content, marked with its kind; if the process is killed, the old file remains.

    A float is written with the digits that give it back exactly; infinities and nan, which JSON has no number for, as
    the strings "inf", "-inf" and "nan". Raises ValueError where something else than a regular file has the name.
    """
    import json
    import secrets
    from pathlib import Path

    text = json.dumps({"format": f"microgrid {kind} 1", **_strict(dict(content))}, indent=1, allow_nan=False)
    target = Path(os.path.realpath(path))
    before = os.lstat(target).st_mode if os.path.lexists(target) else None
    if before is not None and not stat.S_ISREG(before):
        raise ValueError(f"{path} is no regular file, and nothing else is replaced: give the name of a file")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
    try:
        with draft.open("x", encoding="utf-8") as file:
            if before is not None:
                draft.chmod(stat.S_IMODE(before))  # keep the permissions of the old file
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())  # otherwise the name could reach the disk before the content
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_json(path: PathLike, kind: str) -> dict[str, Any]:
    """Return the content of a file by `write_json`. Raises ValueError when it is of another kind, or no JSON."""
    import json
    from pathlib import Path

    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"{path} is no microgrid {kind}: it is no regular file")
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text, object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_finite)
    except ValueError as error:
        raise ValueError(f"{path} is no microgrid {kind}: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is no microgrid {kind}: its lists or objects are nested too deep") from None
    expected = f"microgrid {kind} 1"
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != expected:
        raise ValueError(f"{path} is no {expected}: its format is {found!r:.80}")
    return dict(content)


def as_stored(content: Any) -> Any:
    """Return the content as read back from a file: lists for tuples, strings for infinities and keys."""
    import json

    return json.loads(json.dumps(_strict(content)))


def digest(content: Mapping[str, Any]) -> str:
    """Return a hash of the content, as a file holds it, as a short text."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(_strict(dict(content))).encode()).hexdigest()[:32]


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"it has {twice!r:.80} twice")
    return named


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f'{number:.80} is no number of JSON; "inf", "-inf" and "nan" are written as strings')
    return float(number)


def _strict(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    if isinstance(content, dict):
        return {key: _strict(item) for key, item in content.items()}
    return [_strict(item) for item in content] if isinstance(content, (list, tuple)) else content
