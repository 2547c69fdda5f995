"""Gradients with a proof: certified numerical derivatives, and a checker that compares with them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgrid.testing.checker import assert_gradient, check_gradient, name_mistakes
    from microgrid.testing.mutation import assert_detects_wrong_gradient, mutated
    from microgrid.testing.numerical import Derivative, derivative
    from microgrid.testing.properties import property_of_gradients
    from microgrid.testing.report import Check, GradientError, Report

__all__ = [
    "Check",
    "Derivative",
    "GradientError",
    "Report",
    "assert_detects_wrong_gradient",
    "assert_gradient",
    "check_gradient",
    "derivative",
    "mutated",
    "name_mistakes",
    "property_of_gradients",
]

_FILES = {
    "checker": ("assert_gradient", "check_gradient", "name_mistakes"),
    "mutation": ("assert_detects_wrong_gradient", "mutated"),
    "properties": ("property_of_gradients",),
    "numerical": ("Derivative", "derivative"),
    "report": ("Check", "GradientError", "Report"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: pytest and Hypothesis load this package for every project."""
    for file, names in _FILES.items():
        if name in names:
            return getattr(importlib.import_module(f"microgrid.testing.{file}"), name)
    raise AttributeError(f"module 'microgrid.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
