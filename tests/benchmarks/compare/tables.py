"""Results as text, as Markdown, and as JSON."""

from __future__ import annotations

import json
import math
import statistics
from typing import Final

from compare.peers import OURS
from compare.race import Entry, Results
from microgrid.commands.given import plain, table

FORMATS: Final = ("text", "markdown", "json")

READING: Final = (
    "ratio: how many times as long as microgrid it took; the median of the pairs, [least - most]. Above 1, microgrid",
    "is faster. time: of one run, the median, and microgrid's own in turn with it. ready in: import, compilation and",
    "the first run, which are not in the times; every process has imported microgrid before. Before it was timed, each",
    "gave the same numbers as microgrid.",
)


def written(results: Results, format: str) -> str:
    """The results in one of `FORMATS`."""
    return {"text": _text, "markdown": _markdown, "json": _json}[format](results)


HEAD = ["", "ratio", "spread", "time", "microgrid", "pairs", "ready in", "how"]


def _cells(entry: Entry) -> list[str]:
    if not entry.pairs:
        return [entry.name, "-", "-", "-", "-", "-", "-", entry.reason]
    ratios = entry.ratios
    alone = entry.name == OURS.name
    return [
        entry.name,
        "1" if alone else figure(statistics.median(ratios)),
        "-" if alone else f"[{figure(ratios[0])} - {figure(ratios[-1])}]",
        duration(entry.theirs),
        "-" if alone else duration(entry.ours),
        str(len(entry.pairs)),
        duration(entry.setup),
        entry.how,
    ]


def figure(x: float) -> str:
    """Three digits, without an exponent."""
    rounded = float(f"{x:.3g}")
    if not 0.0 < rounded < 100.0:
        return f"{x:,.0f}"
    return f"{x:.{2 - math.floor(math.log10(rounded))}f}"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds / 1e-9)} ns"


def _where(results: Results) -> list[str]:
    there = ", ".join(f"{name} {number}" for name, number in results.versions.items() if number is not None)
    missing = [name for name, number in results.versions.items() if number is None]
    m = results.machine
    lines = [
        f"{there}; missing: {', '.join(missing) or 'none'}",
        f"engine: {m['engine']}; {m['python']}; {m['system']}, {m['processor']}, {m['cores']} core(s); {m['date']}",
    ]
    return lines


def _groups(results: Results) -> list[tuple[str, list[Entry]]]:
    return [(work.title, [e for e in results.entries if e.work == work.name]) for work in results.works]


def _text(results: Results) -> str:
    lines = [*_where(results), *READING]
    for title, entries in _groups(results):
        rows = [HEAD, *map(_cells, entries)]
        aligned = table([row[:-1] for row in rows])
        lines += ["", title, *(f"  {line}  {row[-1]}" for line, row in zip(aligned, rows, strict=True))]
    return "\n".join(lines)


def _markdown(results: Results) -> str:
    lines = [*(f"{line}  " for line in _where(results)), "", *READING]
    for title, entries in _groups(results):
        lines += ["", f"**{title}**", "", f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 2)}---|"]
        lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(entry))} |" for entry in entries]
    return "\n".join(lines)


def _json(results: Results) -> str:
    entries = [
        {
            "work": entry.work,
            "name": entry.name,
            "how": entry.how,
            "reason": entry.reason,
            "ready_seconds": entry.setup if entry.pairs else None,
            "seconds": [{"microgrid": ours, "peer": theirs} for ours, theirs in entry.pairs],
            "ratio": None if not entry.pairs else statistics.median(entry.ratios),
        }
        for entry in results.entries
    ]
    works = [work._asdict() for work in results.works]
    return json.dumps(
        plain({"versions": results.versions, "machine": results.machine, "works": works, "entries": entries}), indent=2
    )
