"""Results as the tables of the page, which are written between marks in its file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

from compare.peers import COMPILE, OURS, PEERS
from compare.race import ROOT, median, ratios
from compare.works import WORKS

PAGES: Final = (ROOT / "tests" / "benchmarks" / "README.md", ROOT / "README.md")
"""Files with marks."""
WITHOUT_FIRST: Final = ("recorded", "micrograd", "autograd", "NumPy by hand", "C by hand")
"""Peers that compile nothing in their process."""


def figure(x: float) -> str:
    """Three digits, without an exponent."""
    rounded = float(f"{x:.3g}")
    if not 0.0 < abs(rounded) < 100.0:
        return f"{x:,.0f}"
    return f"{x:.{2 - math.floor(math.log10(abs(rounded)))}f}"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds / 1e-9)} ns"


def between(numbers: list[float]) -> str:
    """The least and the most."""
    return f"[{figure(min(numbers))} - {figure(max(numbers))}]"


def pieces(results: dict[str, Any]) -> dict[str, str]:
    """Return the texts between the marks, by their names; what was not measured is left out."""
    tables = {WORKS[name].table: [] for name in results["works"]}  # type: dict[str, list[str]]
    for name in results["works"]:
        tables[WORKS[name].table].append(name)
    found = {"run": _run(results)}
    found |= {table: _table(results, names) for table, names in tables.items()}
    if first := [name for name in results["works"] if WORKS[name].first]:
        found["first"] = _first(results, first)
    if figures := results.get("figures"):
        found["alone"] = _alone(figures)
        if "demo" in results["works"] and AGAINST_MICROGRAD in figures:
            found["figures"] = _sentence(results, figures)
    if scaling := results.get("scaling"):
        found["scaling"] = _scaling(scaling)
    return found


def written(results: dict[str, Any]) -> str:
    """All of it, one after the other."""
    return "\n\n".join(f"{name}\n\n{text}" for name, text in pieces(results).items())


def render(results: dict[str, Any], pages: tuple[Path, ...] = PAGES) -> None:
    """Write the tables between their marks: `<!-- name -->` and `<!-- end of name -->`, each in a line of its own.

    Raises ValueError where there is no place for a table.
    """
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    for name, text in pieces(results).items():
        mark = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
        places = [page for page, content in texts.items() if mark.search(content)]
        if not places:
            raise ValueError(f"no page has the marks <!-- {name} --> and <!-- end of {name} -->")
        for page in places:
            texts[page] = mark.sub(lambda _, text=text: f"{text}\n", texts[page])  # type: ignore[misc]  # bound now
    for page, content in texts.items():
        page.write_text(content, encoding="utf-8")


def _rows(rows: list[list[str]]) -> str:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *rest])


READING: Final = """
All of this page comes from that run, of
`PYTHONPATH=tests/benchmarks .venv/bin/python -m compare --all --out results.json`,
and was written into it by `--render results.json`. The peers are installed by
`pip install torch jax autograd micrograd casadi heyoka numba enzyme-ad`.

Every library does its work in a process of its own with one thread, in 64 bits; all are made ready before, and then
they take turns. A cell has the median time, and the median of the ratios to the time of `compile` in the same round
(where `compile` does not do the work, of recorded scalars), with the least and the most: above 1, `compile` is faster.
Before that all gave the same numbers, to 1e-9 of the largest. C is called by ctypes; its derivatives, numba's and
NumPy's are written by hand. Enzyme differentiates loops of C++ and is called through JAX, as its Python package does,
which costs some 10 µs a call. A dash says that the work is not written for that library, or not possible (`CANNOT` in
`compare/on_*.py`)."""


def _run(results: dict[str, Any]) -> str:
    there = ", ".join(f"{name} {number}" for name, number in results["versions"].items() if number is not None)
    missing = [name for name, number in results["versions"].items() if number is None]
    m = results["machine"]
    apart = f"\nIn a second run on the same day: {results['apart']}." if "apart" in results else ""
    return (
        f"Measured on {m['date']} in one run of {results['minutes']:.0f} minutes: {m['python']}, {m['system']}, "
        f"{m['processor']}, {m['cores']} core(s), load {m['load']:.2f} before;\nmicrogrid "
        f"{m['microgrid']}, {m['engine']} build; {there}{'; missing: ' + ', '.join(missing) if missing else ''}. "
        f"At most {results['rounds']} rounds.\n{READING}{apart}"
    )


def _entries(results: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in results["works"][name]}


def _base(entries: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The entry that others are compared with."""
    measured = [entries[peer.name] for peer in (COMPILE, OURS) if entries.get(peer.name, {}).get("seconds")]
    return measured[0] if measured else None


def _table(results: dict[str, Any], names: list[str]) -> str:
    """A row for each work, a column for each peer that did one of them, and how they did."""
    every = {name: _entries(results, name) for name in names}
    columns = [p.name for p in PEERS if any(e.get(p.name, {}).get("seconds") for e in every.values())]
    rows = [["", *columns]]
    hows: dict[str, list[str]] = {}
    remarks = []
    for name, entries in every.items():
        base, row = _base(entries), [WORKS[name].title]
        for column in columns:
            entry = entries.get(column)
            row.append(_cell(entry, base))
            if entry and entry["seconds"]:
                hows.setdefault(column, [])
                hows[column] += [] if entry["how"] in hows[column] else [entry["how"]]
        rows.append(row)
        remarks += [
            f"{WORKS[name].title}, {e['name']}: {e['reason']}"
            for e in entries.values()
            if e["reason"] and not e["reason"].startswith(("cannot", "missing", "over"))
        ]
    lines = [_rows(rows), "", " ".join(f"{name}: {'; '.join(how)}." for name, how in hows.items())]
    if remarks:
        lines += ["", "Not measured: " + "; ".join(remarks) + "."]
    return "\n".join(lines)


def _cell(entry: dict[str, Any] | None, base: dict[str, Any] | None) -> str:
    if entry is None or not entry["seconds"]:
        return entry["reason"] if entry is not None and entry["reason"].startswith("over") else "-"
    took = duration(median(entry["seconds"]))
    if base is None or entry is base:
        return took
    each = ratios(entry, base)
    return f"{took}, {figure(median(each))} {between(each)}"


def _first(results: dict[str, Any], names: list[str]) -> str:
    every = {name: _entries(results, name) for name in names}
    others = [p.name for p in PEERS if p is not COMPILE and p.name not in WITHOUT_FIRST]
    columns = [name for name in others if any(e.get(name, {}).get("seconds") for e in every.values())]
    rows = [["", "`compile`, compiled build", "pure build", *columns]]
    for name, entries in every.items():
        mine = entries.get(COMPILE.name, {})
        cells = [_seconds(mine.get(build, [])) for build in ("first", "first_pure")]
        for column in columns:
            entry = entries.get(column, {})
            over = entry.get("reason", "") if entry.get("reason", "").startswith("over") else "-"
            cells.append(_seconds(entry["first"]) if entry.get("seconds") else over)
        rows.append([WORKS[name].title, *cells])
    return (
        "Processor seconds from the first import of the library to the first result, in a new process, without a cache "
        f"of code\n(the start of Python, and microgrid's import, come before that):\n\n{_rows(rows)}"
    )


def _seconds(numbers: list[float]) -> str:
    if not numbers:
        return "-"
    return f"{figure(median(numbers))} s{' ' + between(numbers) if len(numbers) > 1 else ''}"


def _alone(figures: dict[str, dict[str, list[float]]]) -> str:
    def cell(numbers: list[float] | None) -> str:
        if numbers is None:
            return "-"
        return f"{figure(median(numbers))}{' ' + between(numbers) if len(numbers) > 1 else ''}"

    rows = [["", "compiled", "pure Python"]]
    for title, found in figures.items():
        rows.append([title, *[cell(found.get(build)) for build in ("compiled", "pure")]])
    return f"Ratios are of times in one process, in turn.\n\n{_rows(rows)}"


AGAINST_MICROGRAD: Final = "the demo's loss and gradient, 65,818 nodes: micrograd's time, as shipped, to microgrid's"


def _sentence(results: dict[str, Any], figures: dict[str, dict[str, list[float]]]) -> str:
    """The README's sentence."""
    entries = _entries(results, "demo")
    theirs, mine = entries["JAX"], entries[COMPILE.name]
    recorded, step = next(iter(figures[AGAINST_MICROGRAD].values())), ratios(theirs, mine)
    return (
        f"For the loss of its demo and the gradient micrograd takes {figure(median(recorded))} times as long "
        f"{between(recorded)}; for a training step JAX\ntakes {figure(median(step))} times as long as `compile` "
        f"{between(step)}; wide layers are faster in NumPy and JAX. [All figures](tests/benchmarks/README.md)"
    )


def _scaling(scaling: dict[str, list[list[float]]]) -> str:
    rows = [["", "instructions", "microseconds each", "kB each"]]
    for family, found in scaling.items():
        for count, seconds, memory in found:
            rows.append([family, f"{count:,.0f}", figure(1e6 * seconds / count), figure(1e3 * memory / count)])
    return (
        "First calls and their memory, by the number of instructions. Without loops, LLVM compiles programs up to\n"
        "some 5,000 instructions; larger ones are interpreted, which is ready sooner and runs slower.\n"
        "Memory is what the peak of the process grew by: 0, drawn as 0.1 MB, where imports had taken more before.\n\n"
        + _rows(rows)
    )
