"""CSV files: numbers, names, classes, and errors that name the line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid.table import Table, _is_number, read_csv


def read(tmp_path: Path, text: str, *args: Any, **options: Any) -> Table:
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    return read_csv(tmp_path / "data.csv", *args, **options)


def test_a_table_with_names_is_read_by_name(tmp_path: Path) -> None:
    text = "size,price,rooms\n50, 1.5e3,2\n80,2000,3\n"
    assert read(tmp_path, text, "price") == Table([[50.0, 2.0], [80.0, 3.0]], [1500.0, 2000.0], ["size", "rooms"], [])
    assert read(tmp_path, text).y == read(tmp_path, text, 2).y == [2.0, 3.0]
    assert read(tmp_path, text, 0).columns == ["price", "rooms"]


def test_a_long_table_shows_its_ends() -> None:
    table = Table([[float(i), *[0.1 + 0.2] * 30] for i in range(5000)], [1.0] * 5000, [f"c{j}" for j in range(31)], [])
    lines = str(table).splitlines()
    assert lines[0].split() == [*(f"c{j}" for j in range(5)), "...", *(f"c{j}" for j in range(26, 31)), "target"]
    assert [line.split()[:2] for line in lines[10:13]] == [["9", "9.0"], ["...", "..."], ["4990", "4990.0"]]
    assert len(lines) == 23
    assert len({*map(len, lines[:-1])}) == 1
    assert lines[-1] == "[5,000 rows, 31 columns and the target]"
    assert str(table._replace(x=table.x[:20], y=table.y[:20])).count("\n") == 21
    assert str(Table([[1.0]], [0.0], ["a"], ["yes"])).splitlines()[1].split() == ["0", "1.0", "yes"]


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
        ("a,b\n1_1,2\n", "line 2, a is no number: '1_1'"),
        ("a,b\n\u0661,2\n", "line 2, a is no number: '\u0661'"),
        ("a,b\n1,2\n1e400,2\n", "line 3, a is inf"),
        ('a,b\n1,x\n2,"y\n3,z\n', "line 3: a quote is opened and not closed"),
        ('a,b\n1,x\n2,"y\n3,z\n4,"w"\n', "line 3: ',' expected after"),
        ('a,b\n1,x\n2,"y\n3,z"\n', "line 4: the row '3,z' is within quotes"),
        ('a,b\n1,"' + "y" * 200_000 + '"\n', "line 2: field larger than field limit"),
        ("a,b\n" + "y" * 10_000 + ",1\n", r"line 2, a is no number: 'y{79}; leave"),
        ('1",a\n2,b\n', "line 1, column 0 is no number"),
        ("1_1,a\n2,b\n", "line 1, column 0 is no number"),
        ("1;5,a\n2,b\n", "line 1, column 0 is no number"),
        ('1",2,3\n4,5,6\n', "line 1, column 0 is no number"),
        ("1,5;2\n2,5;3\n", "may be read in two ways: give delimiter=',' or delimiter=';'"),
        ("a,b\n1\0,2\n", "line 2 has a NUL in it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=rf"data\.csv.*{advice}"):
        read(tmp_path, text)


@pytest.mark.parametrize(("target", "advice"), [("c", "choose one of a, b"), (2, "0 to 1"), (-3, "0 to 1")])
def test_a_column_that_is_not_there_is_an_error(tmp_path: Path, target: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=rf"data\.csv has no column.*{advice}"):
        read(tmp_path, "a,b\n1,2\n", target)
    with pytest.raises(ValueError, match=r"data\.csv has 2 columns 'a': choose"):
        read(tmp_path, "a,a\n1,2\n", "a")
    with pytest.raises(ValueError, match="delimiter must be one character, got ', '"):
        read(tmp_path, "a,b\n1,2\n", delimiter=", ")


# --- encodings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_an_encoding_is_seen_or_given(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("größe,art\n1,süß\n2,sauer\n".encode(encoding))
    expected = Table([[1.0], [2.0]], [1.0, 0.0], ["größe"], ["sauer", "süß"])
    assert read_csv(path, encoding=encoding) == expected
    if encoding.startswith("utf-8") or encoding == "utf-16":
        assert read_csv(path) == expected
        assert read_csv(path, encoding=encoding.removesuffix("-sig")) == expected
    else:
        with pytest.raises(ValueError, match=r"data\.csv, line 1 .*give its encoding, such as"):
            read_csv(path)
    with pytest.raises(ValueError, match=r"data\.csv cannot be read: there is no encoding 'latin-99'"):
        read_csv(path, encoding="latin-99")


# --- whatever a program writes is read, or refused; nothing is lost ------------------------------------------------

WORDS = ["inf", "-Infinity", "NaN", "+nan", "+-1", "1e5", "1e", ".", ".5", "5.", "1_1", "0x10", "1j", "1e+05", "\u0661"]
LABELS = st.text(st.sampled_from("ab01_,;|\t\"'\n\r ü.-é\u2028"), min_size=1, max_size=8).map(str.strip).filter(bool)
ROWS = st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(), LABELS), min_size=2)


def written(rows: list[tuple[float, int, str]], delimiter: str, quoting: Literal[0, 1, 2], names: str) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
    writer.writerows([names.split(), *rows] if names else rows)
    return file.getvalue()


@given(
    rows=ROWS,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    names=st.sampled_from(["", "x n label", "x,1 n;2 a|b"]),
    told=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(deadline=None)
def test_what_a_program_wrote_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, int, str]],
    delimiter: str,
    quoting: Literal[0, 1, 2],
    names: str,
    told: bool,
    encoding: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / "data.csv"
    path.write_bytes(written(rows, delimiter, quoting, names).encode(encoding))
    labels = [label for _, _, label in rows]
    why = ""
    try:
        table = read_csv(path, delimiter=delimiter if told else None)
    except ValueError as error:
        why = str(error)
    if why:
        assert str(path) in why
        assert (
            "is within quotes" in why  # a label that looks like a row
            or ("two ways" in why and not told)
            or ("is inf" in why and any(abs(n) > 1e308 for _, n, _ in rows))
            or "is no number" in why  # numbers among the labels, by chance
        )
        return
    assert table.x == [[x, float(n)] for x, n, _ in rows]
    assert [str(x) for row in table.x for x in row[:1]] == [str(x) for x, _, _ in rows]
    if table.classes:
        assert [table.classes[int(y)] for y in table.y] == labels
    else:
        assert table.y == list(map(float, labels))


@given(data=st.data(), quotes=st.integers(1, 3), delimiter=st.sampled_from([None, ","]))
@settings(deadline=None)
def test_a_stray_quote_swallows_no_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, quotes: int, delimiter: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "quotes.csv"
    labels = data.draw(st.lists(st.sampled_from(["a", "b c", "d", "7"]), min_size=2, max_size=6))
    width = data.draw(st.integers(1, 3))
    text = "".join(f"{i}.5," * width + f"{label}\n" for i, label in enumerate(labels))
    for _ in range(quotes):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + '"' + text[at:]
    path.write_text(text)
    try:
        table = read_csv(path, delimiter=delimiter)
    except ValueError:
        return
    assert table.x == [[i + 0.5] * width for i in range(len(labels))]


@given(st.text(st.sampled_from("0123456789_.eE+-iInNfFatTyY\u0661"), min_size=1, max_size=6) | st.sampled_from(WORDS))
def test_a_cell_is_a_number_where_python_reads_one_without_underscores_in_ascii(cell: str) -> None:
    try:
        float(cell)
    except ValueError:
        assert not _is_number(cell)
    else:
        assert _is_number(cell) == ("_" not in cell and cell.isascii())
