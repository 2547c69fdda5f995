"""The places of entries, as text and picture."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from microgrid import spy
from microgrid.pictures.spy import ACROSS, FINEST, Spy


def test_the_text_has_a_sign_for_each_place() -> None:
    assert str(spy([[1.0, 0.0, 0.0], [0.0, -2.0, 3.0]])) == "2 x 3, 3 entries (50 %)\n●··\n·●●"
    assert str(spy([])) == "0 x 0, 0 entries"


def test_a_large_matrix_is_told_by_blocks() -> None:
    n = 1000
    lines = str(Spy((n, n), [(i, i) for i in range(n)])).splitlines()
    assert lines[0] == "1,000 x 1,000, 1,000 entries (0.1 %); a sign stands for 17 x 17 places"
    assert len(lines) - 1 == -(-n // 17) <= ACROSS
    assert all(line == "·" * k + "●" + "·" * (len(line) - k - 1) for k, line in enumerate(lines[1:]))


@pytest.mark.parametrize("n", [3, 40, FINEST, 5000])
def test_the_picture_has_a_square_for_each_place_or_block(n: int) -> None:
    text = Spy((n, n), [(i, j) for i in range(n) for j in (i, (i + n // 2) % n)]).svg()
    root = ElementTree.fromstring(text)
    rows = min(n, -(-n // -(-n // FINEST)))
    path = root.find("{http://www.w3.org/2000/svg}path")
    assert path is not None
    assert len(re.findall("M", path.get("d", ""))) >= rows
    assert root.get("aria-label") == f"{n:,} x {n:,}, {2 * n:,} entries ({200.0 / n:.3g} %)"
    assert "prefers-color-scheme:dark" in text


def test_it_is_saved_by_the_end_of_the_name(tmp_path: Path) -> None:
    look = spy([[1.0, 0.0]])
    look.save(tmp_path / "a.svg")
    look.save(tmp_path / "a.txt")
    assert (tmp_path / "a.svg").read_text() == look.svg()
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == f"{look}\n"
    with pytest.raises(ValueError, match=r"a\.png: the name must end in \.svg or \.txt"):
        look.save(tmp_path / "a.png")


def test_what_is_no_matrix_is_told() -> None:
    with pytest.raises(TypeError, match="spy takes a matrix"):
        spy(3.0)
    with pytest.raises(ValueError, match="one length"):
        spy([[1.0], [1.0, 2.0]])
