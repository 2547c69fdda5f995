"""Gradients with a proof: certified numerical derivatives, and a checker that compares with them."""

from microgrid.testing.check import assert_gradient, check_gradient
from microgrid.testing.mutation import assert_detects_wrong_gradient, mutated
from microgrid.testing.numerical import Derivative, derivative
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
]
