"""CSV files: numbers, names, classes, and errors that name the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from microgrid.table import Table, read_csv


def read(tmp_path: Path, text: str, *args: Any, **options: Any) -> Table:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    return read_csv(tmp_path / "data.csv", *args, **options)


def test_a_table_with_names_is_read_by_name(tmp_path: Path) -> None:
    text = "size,price,rooms\n50, 1.5e3,2\n80,2000,3\n"
    assert read(tmp_path, text, "price") == Table([[50.0, 2.0], [80.0, 3.0]], [1500.0, 2000.0], ["size", "rooms"], [])
    assert read(tmp_path, text).y == read(tmp_path, text, 2).y == [2.0, 3.0]
    assert read(tmp_path, text, 0).columns == ["price", "rooms"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_names_are_optional(tmp_path: Path, delimiter: str) -> None:
    text = "1,2,3\n4,5,6\n".replace(",", delimiter)
    assert read(tmp_path, text) == Table([[1.0, 2.0], [4.0, 5.0]], [3.0, 6.0], ["column 0", "column 1"], [])
    assert read(tmp_path, "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n").x == [[1.0, 2.0], [4.0, 5.0]]
    assert read(tmp_path, "1 2\n3 4", delimiter=" ").y == [2.0, 4.0]


def test_words_in_the_target_become_classes(tmp_path: Path) -> None:
    rows = "5.1,3.5,setosa\n6.2,2.9,virginica\n5.9,3.0,versicolor\n"
    expected = ([0.0, 2.0, 1.0], ["setosa", "versicolor", "virginica"])
    for text in (rows, "length,width,kind\n" + rows):
        table = read(tmp_path, text)
        assert (table.y, table.classes) == expected
        assert len(table.x) == 3
    quoted = 'x,kind\n1,"a, b"\n2,"c"\n'
    assert read(tmp_path, quoted, "kind").classes == ["a, b", "c"]
    halves = "x,kind\n1,3\n2,none\n"
    assert read(tmp_path, halves).classes == ["3", "none"]


@pytest.mark.parametrize("mark", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0c"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_label_keeps_what_breaks_a_line_in_it(tmp_path: Path, mark: str, end: str) -> None:
    rows = ["x,kind", f'1,"x{mark}y"', "2,xy", ""]
    with (tmp_path / "data.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(end.join(rows))
    table = read_csv(tmp_path / "data.csv")
    assert [table.classes[int(label)] for label in table.y] == [f"x{mark}y", "xy"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "is empty"),
        ("a,b\n", "names of columns and no numbers"),
        ("a,b\n1,2\n3,4,5\n", r"line 3 has 3 column\(s\), the first line 2"),
        ("a,b\n1,2\n,4\n", "line 3, a is empty"),
        ("a,b\n1,2\n3,\n", "line 3, b is empty"),
        ("a,b\n1,2\nx,4\n", "line 3, a is no number: 'x'"),
        ("a;b\n1;2\n1,5;4\n", "line 3, a is no number: '1,5'; write the decimals after a point"),
        ("a,b\n1,2\nnan,4\n", "line 3, a is nan"),
        ("a,b\n1,2\n1,inf\n", "line 3, b is inf"),
        ("1\n2\n", "one column"),
        ("a,b\n1,1.5\n2,2.5\n3,NA\n", "line 4, b is no number: 'NA'; leave the row out"),
        ("a,b\n1,1.5\n2,2.5\n3,\n", "line 4, b is empty"),
        ('a,b\n1,"x\ny"\n\nz,x\n', "line 5, a is no number: 'z'"),
        ('a,b\n1,"x\u2028y"\nz,x\n', "line 3, a is no number: 'z'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        read(tmp_path, text)


@pytest.mark.parametrize(("target", "advice"), [("c", "choose one of a, b"), (2, "0 to 1"), (-3, "0 to 1")])
def test_a_column_that_is_not_there_is_an_error(tmp_path: Path, target: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        read(tmp_path, "a,b\n1,2\n", target)
