"""Scripts made smaller do the same: in Chromium, on what is hard to read, and on the scripts of the pages."""

from __future__ import annotations

import itertools
import json
import random
import re
from importlib import resources
from typing import Any

import pytest

from microgrid.pictures import smaller as module
from microgrid.pictures import web

SCRIPTS = r"""
const alpha = 1, beta = {alpha, gamma: 2}; const { gamma, alpha: delta = 5 } = beta; return [gamma, delta, beta];
const text = 'alpha // no comment', alpha = /[/*]\/alpha/g.test('/alpha'); /* gone */ return [text, alpha, 8 / 4 / 2];
const x = 3; return `${x}: ${[1, 2].map(x => `<${x} ${{ x }.x}>`).join(`${x}`)} x $x {x}`;
let one = 1; const two = one ; return [one, two, one+ +two, one - -two, - -one];
function outer(given, { most = 3, least: low } = {}, ...rest) { return [most, low, rest] } return outer(1, {}, 4);
const made = { value: 1, twice() { return 2 * this.value; }, 'key': 3 }; const value = 5; return [made.twice(), value];
const a = 1, b = n => n ? { a: n, c: a } : a, c = x => { const a = x * 2; return a; }; return [b(0), b(1), c(5)];
let sum = 0; for (const [k, one] of [[1, 2], [3, 4]]) sum += k * one; return sum;
let said; try { null.x } catch (problem) { said = problem.name.length } return [said, void 0 ?? 'no'];
const f = (first, second = first, [third] = [9]) => [first, second, third]; return [f(1), f?.(3)];
const cond = true, name = 5, other = 6; return cond ? (cond, name) : other;
const near = 1; { const near = 2, far = near; } let at = 3; const next = () => at++ + ++at; return [near, next(), at];
const list = [3], last = list[list.length - 1]; function f() { const list = ['x']; return list[0]; } return [f(), last];
let one = 1; const two = 2; one++; const three = one + two; if (two) { const one = 5; } return [one, three];
const two = 2, f = x => { const two = x; return two; }; const g = x => { for (; x < 9; x++); }; return [f(1), g(), two];
const a = []; { if (a[0]) a.push(1); else; } { do a.push(2); while (a.length < 3); } return a;
""".strip().splitlines()
"""Bodies of functions."""


def differing(browser: Any) -> list[str]:
    """The scripts that do something else when they are smaller."""
    pairs = [(script, module.smaller.__wrapped__(script)) for script in SCRIPTS]
    page = browser.new_page()
    done = page.evaluate(
        f"{json.dumps(pairs)}.map(pair => pair.map(body => {{ try {{ return JSON.stringify(Function(body)()); }} "
        "catch (error) { return `${error}`; } }))"
    )
    page.close()
    assert all(before is not None and "Error" not in before for before, _ in done)
    return [pair[0] for pair, (before, after) in zip(pairs, done, strict=True) if before != after]


def test_a_smaller_script_does_the_same(browser: Any) -> None:
    assert differing(browser) == []


@pytest.mark.parametrize("broken", ["_is_property", "_is_shorthand"])
def test_a_wrong_name_would_be_seen(browser: Any, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(module, broken, lambda *_: False)
    assert differing(browser)


def test_names_that_meet_are_told_apart() -> None:
    script = "const alpha = 1, beta = 2; const f = (first, second) => first + second + alpha; const g = third => beta;"
    found = re.fullmatch(r"let (\w)=1,(\w)=2,(\w)=\((\w),(\w)\)=>\4\+\5\+\1,(\w)=(\w)=>\2;", module.smaller(script))
    assert found
    assert len({found[k] for k in (1, 2, 3, 6)}) == 4
    assert len({found[k] for k in (1, 4, 5)}) == 3


def test_the_scripts_of_pages_lose_a_fifth() -> None:
    for name in ("stepper.js", "picture.js", "film.js"):
        script = resources.files("microgrid.pictures").joinpath(name).read_text(encoding="utf-8")
        assert len(module.smaller(script)) < 0.8 * len(script)


def test_scripts_of_every_size_are_unpacked(browser: Any) -> None:
    """Eight pairs of characters hold thirteen bytes; the parts of a script are deflated apart."""
    chance, sizes, page = random.Random(5), set[int](), browser.new_page()
    page.evaluate("window.seen = []")
    texts = (f"/* −{chance.randbytes(n // 2).hex()} */" for n in itertools.count())
    told: list[str] = []
    while len(sizes) < 13:
        packed = web._packed(["seen.push", f"({len(told)});", next(texts)])
        assert not set('"<\\{\n') & set(packed[2 : packed.rindex('"')])
        sizes.add(int(packed.removesuffix(")").rpartition(",")[2]) % 13)
        told.append(packed)
    page.evaluate(f"{web._smaller(web._file('unpack.js'))}{(';' + web._smaller(web._file('unpack.js'))).join(told)}")
    page.wait_for_function(f"seen.length === {len(told)}")
    assert sorted(page.evaluate("seen")) == list(range(len(told)))
    page.close()
