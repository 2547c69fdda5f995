"""Numbers from a CSV file: `read_csv`."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from pathlib import Path
from typing import NamedTuple

from microgrid.core.files import PathLike


class Table(NamedTuple):
    """Rows of numbers to learn from, and their targets.

    Printed, a table of many rows or columns shows the first and the last ones.

    >>> Table([[4.1], [2.0]], [1.0, 0.0], ["size"], ["green", "ripe"])
       size  target
    0   4.1    ripe
    1   2.0   green
    [2 rows, 1 column and the target]
    """

    x: list[list[float]]
    """Rows of numbers."""
    y: list[float]
    """Target of each row: a number, or the number of a class."""
    columns: list[str]
    """Names of the columns of x."""
    classes: list[str]
    """Names of the classes 0, 1, ... of y, in alphabetical order; empty where y are numbers."""

    def __repr__(self) -> str:
        rows, columns = _ends(len(self.x), 20), _ends(len(self.columns), 10)
        shown = [["", *("..." if j is None else self.columns[j] for j in columns), "target"]]
        for i in rows:
            if i is None:
                shown.append(["..."] * len(shown[0]))
                continue
            target = self.classes[int(self.y[i])] if self.classes else _short(self.y[i])
            shown.append([str(i), *("..." if j is None else _short(self.x[i][j]) for j in columns), target])
        widths = [max(map(len, cells)) for cells in zip(*shown, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in shown]
        counts = (("row", len(self.x)), ("column", len(self.columns)))
        told = ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts)
        return "\n".join([*lines, f"[{told} and the target]"])


def _ends(count: int, most: int) -> list[int | None]:
    """Return the places that are shown of so many: all, or the first and last ones and None for those between."""
    if count <= most:
        return list(range(count))
    return [*range(most // 2), None, *range(count - most // 2, count)]


def _short(x: float) -> str:
    return repr(x) if len(repr(x)) <= 8 else f"{x:.6g}"


def read_csv(
    path: PathLike, target: str | int = -1, *, delimiter: str | None = None, encoding: str | None = None
) -> Table:
    """Read a file of comma-separated values: the column `target` as y, all others as x.

    The target is the name of a column or its number, from 0 on or, from the end, -1. A first line of words only, or of
    no numbers and a word above one, is taken for the names. Where half of the targets or more are no numbers, all
    become classes, numbered in the order of the alphabet; fewer are taken for mistakes. The delimiter, when none is
    given, is the one of `, ; tab |` that divides all lines alike. The encoding is UTF-8, or UTF-16 where the file
    begins with its mark; any other one has to be given.

    Raises ValueError with the file, the line and the column for what is missing, is no number, or is not finite, for a
    quote that is not closed, and for bytes of another encoding. A row over several lines, with line breaks in quotes,
    has the number of its last.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "fruit.csv").write_text("size,state\\n4.1,ripe\\n2.0,green\\n")
    ...     fruit = read_csv(Path(folder, "fruit.csv"), target="state")
    >>> fruit.x, fruit.y, fruit.classes
    ([[4.1], [2.0]], [1.0, 0.0], ['green', 'ripe'])
    """
    text = _decoded(path, encoding)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    chosen = delimiter or _delimiter(path, text)
    lines = _rows(path, text, chosen)
    if not lines:
        raise ValueError(f"{path} is empty")
    width = len(lines[0][1])
    for number, row in lines:
        _check_quotes(row, chosen, number == lines[0][0], f"{path}, line {number}")
    names = [f"column {i}" for i in range(width)]
    if _is_header([row for _, row in lines[:2]]):
        names = lines.pop(0)[1]
    if width < 2:
        raise ValueError(
            f"{path} has one column; it takes one or more for x and one for y: is the delimiter {chosen!r}?"
        )
    at = _column(path, names, target)
    if not lines:
        raise ValueError(f"{path} has names of columns and no numbers")
    x: list[list[float]] = []
    for number, row in lines:
        if len(row) != width:
            raise ValueError(f"{path}, line {number} has {len(row)} column(s), the first line {width}")
        x.append([_number(cell, f"{path}, line {number}, {names[i]}") for i, cell in enumerate(row) if i != at])
    answers = [(row[at], f"{path}, line {number}, {names[at]}") for number, row in lines]
    columns = [name for i, name in enumerate(names) if i != at]
    if sum(_is_number(cell) for cell, _ in answers) > len(answers) / 2:
        return Table(x, [_number(cell, where) for cell, where in answers], columns, [])
    for cell, where in answers:
        if not cell:
            raise ValueError(f"{where} is empty: leave the row out or fill it in")
    classes = sorted({cell for cell, _ in answers})
    return Table(x, [float(classes.index(cell)) for cell, _ in answers], columns, classes)


def _decoded(path: PathLike, encoding: str | None) -> str:
    """Return the text of the file, without a byte order mark."""
    data = Path(path).read_bytes()
    marked = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        text = data.decode(encoding or marked).removeprefix("\ufeff")
    except LookupError:
        raise ValueError(f"{path} cannot be read: there is no encoding {encoding!r}") from None
    except UnicodeError as error:
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        hint = "give its encoding, such as encoding='latin-1'"
        raise ValueError(f"{path}, line {line} is no {(encoding or marked).upper()}: {hint}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}, line {line} has a NUL in it: give its encoding, such as encoding='utf-16-le'")
    return text


def _delimiter(path: PathLike, text: str) -> str:
    """Return the delimiter: a candidate in the first line outside of quotes that divides all lines alike."""
    bare = re.sub(r'(^|[,;\t|\r\n]) *"(?:[^"]|"")*(?:"|$)', r"\1", text)
    first = next((line for line in re.split(r"[\r\n]", bare) if line.strip(" ")), "")
    found = [mark for mark in ",;\t|" if mark in first]
    if len(found) < 2:
        return found[0] if found else ","
    even = [mark for mark in found if _divides_evenly(path, text, mark)]
    if len(even) > 1:
        both = " or ".join(f"delimiter={mark!r}" for mark in even)
        raise ValueError(f"{path} may be read in two ways: give {both}")
    return even[0] if even else max(found, key=first.count)


def _divides_evenly(path: PathLike, text: str, delimiter: str) -> bool:
    try:
        return len({len(row) for _, row in _rows(path, text, delimiter)}) == 1
    except ValueError:
        return False


def _rows(path: PathLike, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with the number of its last line."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=not delimiter.isspace()
    )
    rows = []
    line = 0
    try:
        for row in reader:
            line = reader.line_num
            if any(cell.strip() for cell in row):
                rows.append((line, [cell.strip() for cell in row]))
    except csv.Error as error:
        why = "a quote is opened and not closed" if "unexpected end" in str(error) else error
        raise ValueError(f"{path}, line {line + 1}: {why}") from None
    return rows


def _check_quotes(row: list[str], delimiter: str, first: bool, where: str) -> None:
    """Raise ValueError where a line within quotes would be a row itself: a closing quote is missing.

    The first row says how many columns there are, and may have swallowed some: then any number of columns is a row.
    """
    for cell in row:
        for line in re.split(r"[\r\n]+", cell)[1:] if "\n" in cell or "\r" in cell else ():
            inner = [part.strip() for part in line.split(delimiter)]
            even = len(inner) > 1 if first else len(inner) == len(row)
            if even and sum(map(_is_number, inner)) >= len(inner) - 1:
                raise ValueError(f"{where}: the row {line!r:.80} is within quotes: one is missing before, or too many")


def _is_header(rows: list[list[str]]) -> bool:
    """Return True if the first of two rows holds only words, or no number and a word above a number.

    A cell with digits and no letters but e counts as a number, even if it is none: 1_1, or 5" with a stray quote.
    """
    first, second = rows[0], rows[-1]
    if any(_is_number(cell) or re.fullmatch(r"[\W_eE]*\d[\W\d_eE]*", cell) for cell in first):
        return False
    return all(first) or any(word and _is_number(below) for word, below in zip(first, second, strict=False))


def _column(path: PathLike, names: list[str], target: str | int) -> int:
    if isinstance(target, str):
        if names.count(target) != 1:
            many = f"{names.count(target)} columns" if target in names else "no column"
            raise ValueError(f"{path} has {many} {target!r}: choose one of {', '.join(names)}, or a number")
        return names.index(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"{path} has no column {target}: they are 0 to {len(names) - 1}")
    return target % len(names)


NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
"""Pattern of a number as other programs write it, unlike Python's: 1_1 is none."""


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def _number(cell: str, where: str) -> float:
    if not cell:
        raise ValueError(f"{where} is empty: leave the row out or fill it in")
    if not _is_number(cell):
        with_point = _is_number(cell.replace(",", "."))
        hint = "write the decimals after a point" if with_point else "leave the row out or fill it in"
        raise ValueError(f"{where} is no number: {cell!r:.80}; {hint}")
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"{where} is {number}: leave the row out or fill it in")
    return number
