"""Annotations of `engine.py` for mypyc, without `mypy_extensions` as a run-time dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING

COMPILING = False  # the build tells mypyc that it is true (--always-true), for types that must differ there

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64
    from mypy_extensions import mypyc_attr as mypyc_attr
else:
    i64 = int

    def mypyc_attr(**_attributes):
        return lambda cls: cls
