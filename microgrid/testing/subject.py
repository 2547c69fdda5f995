"""The subject of a check: a function at a point, as a program where it can be traced, else as a black box on floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from microgrid.core import tree
from microgrid.core.primitive import Op, as_float
from microgrid.core.scope import line_of
from microgrid.engine import Value
from microgrid.functional import number_or_value
from microgrid.program import Program, input_names, parameters_of, trace


class SeveralResults(TypeError):
    """A function gives several results, of this structure."""

    def __init__(self, structure: tree.Structure) -> None:
        super().__init__(
            "a gradient is that of one result; this function gives several: check them one by one, or their sum"
        )
        self.structure = structure


class Subject:
    """A scalar function at a point. `program` is None for a black box, and `blind` says why.

    NumPy arrays in the arguments stay arrays: of floats, or of Values when the function is recorded.
    """

    def __init__(self, function: Program | Callable[..., Any], at: Sequence[Any]) -> None:
        self.at = at
        self.name = "the program" if isinstance(function, Program) else getattr(function, "__name__", "the function")
        if isinstance(function, Op):
            self.name = function.name
        self.numbers, self.structure = tree.flatten(tuple(at), as_number, "at")
        if isinstance(function, Program) and self.structure != function.in_structure:  # it may have been given lists
            self.numbers, self.structure = tree.flatten(tuple(at), as_number, "at", opened=listed)
        self.function = function
        self.blind = ""
        self.program: Program | None = None
        self.program = self._traced(tuple(at))
        if self.program is None:
            return
        if not tree.is_number(self.program.out_structure):
            raise SeveralResults(self.program.out_structure)
        if self.structure != self.program.in_structure:
            raise TypeError(f"the point must be structured like the arguments, got {tree.shape(self.structure)}")
        if self.program.reads:
            self.blind = "it reads a number out of the graph, which more digits would not reach"
        elif self.program.ties and self.function is not self.program:
            self.blind = "one of its branches compares equal numbers here, and nearby may be another"

    def _traced(self, at: Sequence[Any]) -> Program | None:
        if isinstance(self.function, Program):
            return self.function
        try:
            return trace(self.function)(*at)
        except (TypeError, ValueError) as error:
            try:  # a function that cannot take Values may take floats
                as_float(bare(self(self.numbers)))
            except (ArithmeticError, ValueError):  # as math.log(0.0)
                pass
            except Exception:
                raise error from None
            line = line_of(error)
            self.blind = f"a black box, since {error}{f', at {line}' if line else ''}"
            return None

    def __call__(self, numbers: Sequence[Any]) -> Any:
        """Return the result of the function at these numbers, or Values."""
        result = self.function(*tree.unflatten(self.structure, list(numbers)))
        return result.item() if tree.is_array(result) and result.size == 1 else result

    def names(self) -> Sequence[str]:
        """Names of the inputs."""
        if self.program is not None:
            return self.program.inputs
        return input_names(parameters_of(self.function, len(self.at)), self.structure)

    def parameters(self) -> Sequence[str]:
        """Names of the arguments."""
        return parameters_of(self.function, len(self.at)) if self.program is None else self.program.parameters

    def arguments(self) -> list[tuple[str, list[int]]]:
        """Return each argument that holds numbers: its name, and the indices of its inputs."""
        held = [[i for _, i in tree.paths(structure)] for structure in self.structure]
        return [(name, inputs) for name, inputs in zip(self.parameters(), held, strict=True) if inputs]

    def along(self, i: int) -> Callable[[float], float]:
        """Return the function of its i-th number alone, from float to float."""
        box: Callable[[float], Any] = float if self.program is None or isinstance(self.function, Program) else Value

        def moved(x: float) -> float:
            try:
                result = self([box(x if i == j else y) for j, y in enumerate(self.numbers)])
            except (ArithmeticError, ValueError):  # as math.log(-1.0)
                return math.nan
            return as_float(bare(result))

        return moved


def as_number(x: Any, path: str) -> float:
    """Return the float of a number or a Value. Raises TypeError with its place for anything else."""
    return float(number_or_value(bare(x), path))


def listed(x: Any) -> Any:
    """Return an array as nested lists; anything else unchanged."""
    return x.tolist() if tree.is_array(x) else x


def bare(x: Any) -> Any:
    """Return a Value's number; anything else unchanged."""
    return x.item() if isinstance(x, Value) else x
