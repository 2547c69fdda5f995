"""The race: microgrid alternates with each peer, pair by pair; and its results."""

from __future__ import annotations

import datetime
import importlib
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from compare.peers import OURS, PEERS, Peer
from compare.worker import NotReady, Worker, version
from compare.works import Work
from microgrid.engine import COMPILED

SHORTEST = 0.02
"""Seconds that a sample takes at least: as many runs in a row as that needs."""

TOLERANCE = 1e-9
"""Tolerance of a result, relative to the largest number in microgrid's."""


class Entry(NamedTuple):
    """One who did one work, or `reason` why not. `pairs` are seconds for a run, microgrid's and its own, in turn."""

    work: str
    name: str
    how: str = ""
    reason: str = ""
    pairs: tuple[tuple[float, float], ...] = ()
    setup: float = math.nan
    wrong: bool = False

    @property
    def ratios(self) -> list[float]:
        """Ratios of the peer's time to microgrid's, for each pair, sorted."""
        return sorted(theirs / ours for ours, theirs in self.pairs)

    @property
    def ours(self) -> float:
        """Microgrid's seconds, the median."""
        return statistics.median(ours for ours, _ in self.pairs)

    @property
    def theirs(self) -> float:
        """Its own seconds, the median."""
        return statistics.median(theirs for _, theirs in self.pairs)


class Results(NamedTuple):
    """All entries, the works in their order, versions (None is missing) and where this was."""

    works: list[Work]
    entries: list[Entry]
    versions: dict[str, str | None]
    machine: dict[str, Any]


def run(works: Sequence[Work], *, pairs: int, limit: float, tell: Callable[[str], object]) -> Results:
    """Measure all works with everyone who is there, and tell what is under way."""
    versions = {peer.name: version(peer) for peer in (OURS, *PEERS)}
    # a process that had to be ended leaves semaphores behind, which Python clears away with a warning
    os.environ["PYTHONWARNINGS"] = f"{os.environ.get('PYTHONWARNINGS', '')},ignore:resource_tracker".lstrip(",")
    entries = []
    for work in works:
        tell(f"{work.name}: {OURS.name}")
        try:
            ours = Worker(OURS, work, limit)
        except NotReady as why:
            entries.append(Entry(work.name, OURS.name, reason=str(why)))
            continue
        try:
            runs = _runs_in_a_sample(ours)
            entries.append(_alone(work, ours, runs, pairs))
            for peer in PEERS:
                if versions[peer.name] is not None:
                    tell(f"{work.name}: {peer.name}")
                entries.append(_entry(work, peer, versions[peer.name], ours, runs, pairs, limit))
        finally:
            ours.close()
    return Results(list(works), entries, versions, machine())


def _alone(work: Work, ours: Worker, runs: int, samples: int) -> Entry:
    """Microgrid beside itself: its times, and no ratio that would say anything."""
    times = [ours.seconds(runs) for _ in range(samples)]
    return Entry(work.name, OURS.name, ours.ready.how, pairs=tuple((t, t) for t in times), setup=ours.ready.seconds)


def _entry(work: Work, peer: Peer, installed: str | None, ours: Worker, runs: int, pairs: int, limit: float) -> Entry:
    if installed is None:
        return Entry(work.name, peer.name, reason=peer.missing)
    cannot = importlib.import_module(f"compare.{peer.module}").CANNOT
    if work.name in cannot:
        return Entry(work.name, peer.name, reason=f"cannot: {cannot[work.name]}")
    try:
        theirs = Worker(peer, work, limit)
    except NotReady as why:
        return Entry(work.name, peer.name, reason=str(why))
    try:
        how, numbers, setup = theirs.ready
        if apart := difference(ours.ready.numbers, numbers):
            return Entry(work.name, peer.name, how, f"not measured: {apart}", setup=setup, wrong=True)
        seen = _pairs(ours, runs, theirs, _runs_in_a_sample(theirs), pairs, limit)
        return Entry(work.name, peer.name, how, pairs=tuple(seen), setup=setup)
    except NotReady as why:
        return Entry(work.name, peer.name, reason=str(why))
    finally:
        theirs.close()


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """In which way two results are not the same; nothing where they are."""
    if len(ours) != len(theirs):
        return f"it gave {len(theirs)} numbers, microgrid {len(ours)}"
    scale = max(map(abs, ours))
    apart = [abs(x - y) / scale if x != y else 0.0 for x, y in zip(ours, theirs, strict=True)]
    worst = max(apart, key=lambda x: math.inf if math.isnan(x) else x)
    return "" if worst <= TOLERANCE else f"its result is {worst:.1g} of the largest number away from microgrid's"


def _runs_in_a_sample(worker: Worker) -> int:
    return max(1, min(10_000, math.ceil(SHORTEST / max(worker.seconds(1), 1e-9))))


def _pairs(
    ours: Worker, our_runs: int, theirs: Worker, their_runs: int, pairs: int, limit: float
) -> list[tuple[float, float]]:
    """Seconds in turn, each first every other time; fewer than asked for, but three, where they take too long."""
    end = time.perf_counter() + limit
    seen: list[tuple[float, float]] = []
    while len(seen) < pairs and (len(seen) < 3 or time.perf_counter() < end):
        if len(seen) % 2:
            their_time = theirs.seconds(their_runs)
            seen.append((ours.seconds(our_runs), their_time))
        else:
            our_time = ours.seconds(our_runs)
            seen.append((our_time, theirs.seconds(their_runs)))
    return seen


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "engine": "compiled" if COMPILED else "pure Python",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _processor() -> str:
    """Its name, where the system tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
