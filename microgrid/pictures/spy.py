"""The places of a matrix's entries, as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from microgrid.core.files import PathLike, ending, write_text
from microgrid.pictures.colours import DARK_LINE, DARK_PAGE, DARK_POSITIVE, LINE, PAGE, POSITIVE

ACROSS = 60
"""Maximum number of rows and columns of the text, beyond which a character stands for several."""

FINEST = 240
"""The same of the picture, for its squares."""

SIDE = 420.0
"""Length of the picture's longer side, in pixels."""


class Spy:
    """Places of entries: print it, show it in a notebook, or save it as .svg or .txt."""

    def __init__(self, shape: tuple[int, int], places: Sequence[tuple[int, int]]) -> None:
        self.shape = shape
        self.places = tuple(places)

    def __str__(self) -> str:
        rows, columns, size = self._cells(ACROSS)
        known = self._blocks(size)
        lines = ["".join("●" if (i, j) in known else "·" for j in range(columns)) for i in range(rows)]
        each = f"; a sign stands for {size} x {size} places" if size > 1 else ""
        return "\n".join([self.title() + each, *lines])

    __repr__ = __str__

    def title(self) -> str:
        """Return the size, and the number of entries."""
        rows, columns = self.shape
        count = len(self.places)
        share = f" ({100.0 * count / (rows * columns):.3g} %)" if count else ""
        return f"{rows:,} x {columns:,}, {count:,} {'entry' if count == 1 else 'entries'}{share}"

    def _cells(self, most: int) -> tuple[int, int, int]:
        """Return the numbers of rows and columns of blocks, at most so many, and the size of a block."""
        size = max(1, *[-(-n // most) for n in self.shape])
        return -(-self.shape[0] // size), -(-self.shape[1] // size), size

    def _blocks(self, size: int) -> set[tuple[int, int]]:
        return {(i // size, j // size) for i, j in self.places}

    def svg(self) -> str:
        """Return the picture: a square for each entry, or for a block that has one."""
        rows, columns, size = self._cells(FINEST)
        unit = SIDE / max(rows, columns, 8)
        width, height = columns * unit, rows * unit
        gap = min(0.12 * unit, 1.0) / unit
        squares = "".join(
            f"M{j + gap / 2:.4g} {i + gap / 2:.4g}h{end - j - gap:.4g}v{1 - gap:.4g}h{gap + j - end:.4g}z"
            for i, j, end in _runs(self._blocks(size), gap * unit < 0.3)
        )
        colours = f".spy rect{{fill:{PAGE};stroke:{LINE}}}.spy path{{fill:{POSITIVE}}}"
        dark = f".spy rect{{fill:{DARK_PAGE};stroke:{DARK_LINE}}}.spy path{{fill:{DARK_POSITIVE}}}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="microgrid spy" role="img" aria-label="{self.title()}" '
            f'viewBox="-1 -1 {width + 2:.6g} {height + 2:.6g}" width="{width + 2:.6g}" height="{height + 2:.6g}" '
            'style="max-width:100%;height:auto">'
            f"<title>{self.title()}</title>"
            f"<style>{colours}@media(prefers-color-scheme:dark){{{dark}}}</style>"
            f'<rect width="{width:.6g}" height="{height:.6g}"/>'
            f'<path transform="scale({unit:.6g})" d="{squares}"/></svg>'
        )

    _repr_svg_ = svg

    def save(self, path: PathLike) -> None:
        """Write the picture, for a name that ends with .svg, or the text, for one that ends with .txt."""
        write_text(path, self.svg() if ending(path, ".svg", ".txt") == ".svg" else f"{self}\n")


def _runs(blocks: set[tuple[int, int]], joined: bool) -> Iterator[tuple[int, int, int]]:
    """Yield row, first column and end of what is drawn in one piece: neighbours in a row where no gap shows."""
    for i, j in sorted(blocks):
        if joined and (i, j - 1) in blocks:
            continue
        end = j + 1
        while joined and (i, end) in blocks:
            end += 1
        yield i, j, end


def spy(matrix: Any) -> Spy:
    """Return the pattern of a matrix: the entries that a sparse array holds, or those that are not 0.

    >>> print(spy([[2.0, 0.0], [1.0, 3.0]]))
    2 x 2, 3 entries (75 %)
    ●·
    ●●
    """
    if hasattr(matrix, "tocoo"):
        found = matrix.tocoo()
        return Spy(found.shape, sorted(zip(found.row.tolist(), found.col.tolist(), strict=True)))
    rows = matrix.tolist() if hasattr(matrix, "tolist") else matrix
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in rows):
        raise TypeError(f"spy takes a matrix: a sparse array, or rows of numbers; got {type(matrix).__name__}")
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"the rows of a matrix have one length, got {sorted(widths)}")
    places = [(i, j) for i, row in enumerate(rows) for j, x in enumerate(row) if x != 0.0]
    return Spy((len(rows), max(widths, default=0)), places)
