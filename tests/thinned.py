"""Long tables in tests: every third row is tried by the quick tests, all others by the slow ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(rows: Iterable[Any]) -> list[Any]:
    """Return the rows for `parametrize`, two of three marked as slow: where one row tells of most mistakes in all."""
    return [
        pytest.param(*(row if type(row) is tuple else (row,)), marks=pytest.mark.slow if i % 3 else ())
        for i, row in enumerate(rows)
    ]
