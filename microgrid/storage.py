"""Files of numbers: JSON, exact to the bit, and replaced in one instant or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PathLike = str | os.PathLike[str]


def write_json(path: PathLike, kind: str, content: Mapping[str, Any]) -> None:
    """Replace the file by this content, of that kind; a process killed on the way leaves the file that was there.

    A float is written with the digits that give it back exactly; infinities and nan, which JSON has no number for, as
    the strings "inf", "-inf" and "nan".
    """
    import json
    import secrets

    text = json.dumps({"format": f"microgrid {kind} 1", **_strict(dict(content))}, indent=1, allow_nan=False)
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())  # else the new name could reach the disk before what it names
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_json(path: PathLike, kind: str) -> dict[str, Any]:
    """The content of a file that `write_json` wrote; ValueError when it is of another kind."""
    import json

    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no microgrid {kind}: {error}") from None
    expected = f"microgrid {kind} 1"
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != expected:
        raise ValueError(f"{path} is no {expected}: its format is {found!r}")
    return dict(content)


def _strict(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    if isinstance(content, dict):
        return {key: _strict(item) for key, item in content.items()}
    return [_strict(item) for item in content] if isinstance(content, (list, tuple)) else content
