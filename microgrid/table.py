"""A person's own numbers, from a CSV file: `read_csv`."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import NamedTuple

from microgrid.storage import PathLike


class Table(NamedTuple):
    """Rows of numbers to learn from, and what to learn from each."""

    x: list[list[float]]
    y: list[float]
    columns: list[str]
    """The names of the columns of x."""
    classes: list[str]
    """What the labels 0, 1, ... of y stand for, in the order of the alphabet; empty where y are numbers."""


def read_csv(path: PathLike, target: str | int = -1, *, delimiter: str | None = None) -> Table:
    """The numbers in a file of comma-separated values, the column `target` as y, all others as x.

    The target is the name of a column or its number, from 0 on or, from the end, -1. A first line with a word in a
    column of x, or above a number, is taken for the names. Where half of the targets or more are no numbers, all become
    classes, numbered in the order of the alphabet; fewer are taken for mistakes. The delimiter, when none is given, is
    that of `, ; tab |` the first line has most of.

    Raises ValueError with the line and the column for what is missing, is no number, or is not finite. A row over
    several lines, with line breaks in quotes, has the number of its last.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        text = io.StringIO(file.read(), newline="")
    first = text.readline()
    text.seek(0)
    chosen = delimiter or max(",;\t|", key=first.count)
    reader = csv.reader(text, delimiter=chosen)
    lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    if not lines:
        raise ValueError(f"{path} is empty")
    width = len(lines[0][1])
    names = [f"column {i}" for i in range(width)]
    if _is_header([row for _, row in lines[:2]]):
        names = lines.pop(0)[1]
    if width < 2:
        raise ValueError(
            f"{path} has one column; it takes one or more for x and one for y: is the delimiter {chosen!r}?"
        )
    at = _column(names, target)
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


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first of the first two rows holds a word above a number, or words only."""
    first, second = rows[0], rows[-1]
    words = [cell and not _is_number(cell) for cell in first]
    below = [_is_number(cell) for cell in second]
    return all(words) or any(word and number for word, number in zip(words, below, strict=False))


def _column(names: list[str], target: str | int) -> int:
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"there is no column {target!r}: choose one of {', '.join(names)}")
        return names.index(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"there is no column {target}: they are 0 to {len(names) - 1}")
    return target % len(names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float:
    if not cell:
        raise ValueError(f"{where} is empty: leave the row out or fill it in")
    if not _is_number(cell):
        with_point = _is_number(cell.replace(",", "."))
        hint = "write the decimals after a point" if with_point else "leave the row out or fill it in"
        raise ValueError(f"{where} is no number: {cell!r}; {hint}")
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"{where} is {number}: leave the row out or fill it in")
    return number
