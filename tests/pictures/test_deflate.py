"""Blocks by the shortest path hold what zlib reads, in fewer bytes than its own."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgrid.pictures import deflate, web

WORDS = st.lists(st.sampled_from([b"a", b"bc", b"step", b"stepper", b"\x00" * 300, bytes(range(256))]), max_size=12)
PARTS = WORDS.map(b"".join) | st.binary(max_size=60)


@settings(max_examples=40)
@given(st.lists(PARTS, max_size=3), PARTS)
def test_what_is_deflated_is_read_by_zlib(parts: list[bytes], last: bytes) -> None:
    assert zlib.decompress(deflate.deflated(parts, last), -15) == b"".join(parts) + last


@pytest.mark.slow
def test_matches_reach_as_far_as_the_window_and_no_farther() -> None:
    chance = random.Random(3)
    word = b"a word that occurs twice"
    for distance in (32_767, 32_768, 32_769):
        text = word + bytes(chance.choices(range(128, 256), k=distance - len(word))) + word
        assert zlib.decompress(deflate.deflated([text], b""), -15) == text
        assert zlib.decompress(deflate.deflated([text[: distance - 5]], text[distance - 5 :]), -15) == text


def test_scripts_take_less_than_by_zlib() -> None:
    names = ("formulas.js", "stepper.js", "practice.js", "picture.js")
    text = web._smaller("\n".join(map(web._file, names))).encode()
    assert len(deflate.deflated([text], b"")) < 0.985 * len(zlib.compress(text, 9))


@pytest.mark.parametrize("most", [7, 15])
def test_codes_have_a_greatest_length(most: int) -> None:
    counts = [1, 1]
    while len(counts) < 19:
        counts.append(counts[-1] + counts[-2])
    code = deflate._code(dict(enumerate(counts)), most)
    assert sum(2.0 ** -len(bits) for bits in code.values()) == 1.0
    assert max(map(len, code.values())) <= most
    assert not any(a != b and b.startswith(a) for a in code.values() for b in code.values())
