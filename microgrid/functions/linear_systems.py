"""Solutions of systems of linear equations, one op for each unknown; its rule is written with the ops themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from microgrid import ops
from microgrid.core.components import Component
from microgrid.core.primitive import Op


def solved(matrix: Sequence[Sequence[Any]], right: Sequence[Any]) -> list[Any]:
    """Return y with matrix y = right, for numbers that ops take; not finite where the matrix is singular."""
    if len(right) == 1:
        return [ops.div(right[0], matrix[0][0])]
    operands = [*[x for row in matrix for x in row], *right]
    return [op(*operands) for op in linear_system(len(right)).components]


@functools.cache
def linear_system(n: int) -> LinearSystem:
    """Return the system of n unknowns; its operands are the coefficients, row by row, then the right side."""
    return LinearSystem(n)


class LinearSystem:
    """The unknowns of n linear equations as functions of the coefficients and the right side."""

    def __init__(self, n: int) -> None:
        self.n = n
        names = [*(f"a_{k}_{j}" for k in range(n) for j in range(n)), *(f"b_{k}" for k in range(n))]
        self.components: tuple[Op, ...] = tuple(
            Component(self, i, f"solution_{n}", "solution", names, alone=False) for i in range(n)
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int]]:
        return linear_system, (self.n,)

    def forward(self, i: int, *operands: Any) -> Any:
        """Return an unknown, by elimination."""
        return _eliminated(self.n, operands)[i]

    def partials(self, i: int, z: Any, *operands: Any) -> tuple[Any, ...]:
        """Return the derivatives: dy = B (db - dA y); the row i of B, which is 1/A, solves the transposed system."""
        n = self.n
        y = [z if k == i else op(*operands) for k, op in enumerate(self.components)]
        transposed = [operands[j : n * n : n] for j in range(n)]
        row = solved(transposed, [float(k == i) for k in range(n)])
        return (*[ops.neg(ops.mul(r, x)) for r in row for x in y], *row)

    def on_mpmath(self, i: int, *operands: Any) -> Any:
        """Return an unknown to the digits of mpmath's context."""
        return solved_in_mpmath(self._rows(operands), operands[self.n**2 :])[i]

    def on_balls(self, i: int, *operands: Any) -> Any:
        """Return an enclosure of an unknown of all systems in the balls."""
        return solved_in_balls(self._rows(operands), operands[self.n**2 :])[i]

    def _rows(self, operands: Sequence[Any]) -> list[Sequence[Any]]:
        n = self.n
        return [operands[k * n : (k + 1) * n] for k in range(n)]


def solved_in_mpmath(matrix: Sequence[Sequence[Any]], right: Sequence[Any]) -> list[Any]:
    """Return the unknowns to the digits of mpmath's context. Raises ZeroDivisionError where the matrix is singular."""
    import mpmath

    return list(mpmath.lu_solve(mpmath.matrix([list(row) for row in matrix]), mpmath.matrix(list(right))))


def solved_in_balls(matrix: Sequence[Sequence[Any]], right: Sequence[Any]) -> list[Any]:
    """Return enclosures, real or complex, of the unknowns of all systems in balls; nan where one may be singular."""
    import flint

    n = len(right)
    nan = flint.arb.nan()
    undecided = flint.acb(nan, nan) if isinstance(right[0], flint.acb) else nan
    kind: Any = flint.acb_mat if isinstance(right[0], flint.acb) else flint.arb_mat
    try:
        found = kind([list(row) for row in matrix]).solve(kind([[x] for x in right]))
    except ZeroDivisionError:
        return [undecided] * n
    return [found[k, 0] for k in range(n)]


@functools.lru_cache(maxsize=256)
def _eliminated(n: int, operands: tuple[Any, ...]) -> list[Any]:
    """Return the unknowns by Gauss' elimination with scaled partial pivoting; nan where the matrix is singular."""
    rows = [[*operands[k * n : (k + 1) * n], operands[n * n + k]] for k in range(n)]
    sizes = [max(map(abs, row[:n])) for row in rows]
    undecided = [float("nan")] * n
    if not all(sizes):
        return undecided
    for j in range(n):
        best = max(range(j, n), key=lambda k: abs(rows[k][j]) / sizes[k])
        rows[j], rows[best] = rows[best], rows[j]
        sizes[j], sizes[best] = sizes[best], sizes[j]
        pivot = rows[j][j]
        if not pivot:
            return undecided
        for k in range(j + 1, n):
            factor = rows[k][j] / pivot
            if factor:
                rows[k] = [x - factor * y for x, y in zip(rows[k], rows[j], strict=True)]
    found = [rows[j][n] for j in range(n)]
    for j in range(n - 1, -1, -1):
        for k in range(j + 1, n):
            found[j] = found[j] - rows[j][k] * found[k]
        found[j] = found[j] / rows[j][j]
    return found
