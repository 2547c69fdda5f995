"""The race: for each work, all who can do it get ready one by one, then run in turn, round after round."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import math
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import microgrid
from compare.peers import COMPILE, PEERS, Peer
from compare.worker import NotReady, Worker
from compare.works import Work
from microgrid.engine import COMPILED

SHORTEST: Final = 0.02
"""Seconds that a sample takes at least: as many runs in a row as that needs."""

ENOUGH: Final = 3.0
"""Seconds of all its samples after which one who is slow has done enough."""

TOLERANCE: Final = 1e-9
"""Tolerance of a result, relative to the largest number in that of the first."""

ROOT: Final = Path(__file__).resolve().parents[3]
"""The clone, whose package is pure Python."""

ONE_THREAD: Final = {
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "MICROGRID_CACHE": "off",
}


class Entry(NamedTuple):
    """One who did one work, or `reason` why not.

    `seconds` has the time of one run in each round. `first` are processor seconds from the import to the first result,
    `first_pure` those of microgrid's pure build.
    """

    name: str
    how: str = ""
    reason: str = ""
    seconds: Sequence[float] = ()
    first: Sequence[float] = ()
    first_pure: Sequence[float] = ()
    wrong: bool = False


def race(work: Work, *, rounds: int, limit: float, tell: Callable[[str], object]) -> list[Entry]:
    """Return an entry for each peer."""
    os.environ.update(ONE_THREAD)  # libraries of the processes read it when they are imported
    entries: dict[str, Entry] = {}
    running: dict[str, Worker] = {}
    wanted: list[float] = []
    try:
        for peer in PEERS:
            if reason := _reason(peer, work):
                entries[peer.name] = Entry(peer.name, reason=reason)
                continue
            tell(f"{work.name}: {peer.name}")
            try:
                worker = Worker(peer, work, limit)
            except NotReady as why:
                entries[peer.name] = Entry(peer.name, reason=str(why))
                continue
            how, numbers, first = worker.ready
            wanted = wanted or numbers
            apart = difference(wanted, numbers)
            if apart:
                worker.close()
                entries[peer.name] = Entry(peer.name, how, f"not measured: {apart}", wrong=True)
                continue
            running[peer.name] = worker
            entries[peer.name] = Entry(peer.name, how, first=[first])
        times, reasons = in_turn(running, rounds, tell=lambda text: tell(f"{work.name}: {text}"))
    finally:
        for worker in running.values():
            worker.close()
    for name, seconds in times.items():
        entries[name] = entries[name]._replace(seconds=seconds)
    for name, reason in reasons.items():
        entries[name] = Entry(name, reason=reason)
    mine = entries.get(COMPILE.name)
    if work.first and mine is not None and mine.seconds:
        tell(f"{work.name}: first calls")
        here = [*mine.first, *_first_calls(work, limit, None, 2)]
        pure = [*_first_calls(work, limit, ROOT, 3)] if COMPILED else here
        entries[COMPILE.name] = mine._replace(first=here if COMPILED else [], first_pure=pure)
    return list(entries.values())


def _first_calls(work: Work, limit: float, package: Path | None, times: int) -> Iterable[float]:
    """Processor seconds of first calls in new processes, fewer where they take long."""
    end = time.perf_counter() + 6.0
    for _ in range(times):
        try:
            worker = Worker(COMPILE, work, limit, package)
        except NotReady:
            return
        worker.close()
        yield worker.ready.seconds
        if time.perf_counter() > end:
            return


def in_turn(
    workers: dict[str, Worker], rounds: int, tell: Callable[[str], object]
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of a run of each, in each round, from first to last and back in turn; and why some have none.

    One drops out after three rounds when its own have taken `ENOUGH` seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in workers}
    reasons: dict[str, str] = {}
    runs: dict[str, int] = {}

    def sample(name: str, count: int) -> float:
        try:
            return workers[name].seconds(count)
        except NotReady as why:
            reasons[name] = str(why)
            del times[name]
            return math.nan

    for name in workers:
        took = sample(name, 1)
        if name in times:
            runs[name] = max(1, min(10_000, math.ceil(SHORTEST / max(took, 1e-9))))
    for k in range(rounds):
        tell(f"round {k + 1} of {rounds}")
        for name in list(times)[:: -1 if k % 2 else 1]:
            if k >= 3 and sum(times[name]) * runs[name] > ENOUGH:
                continue
            took = sample(name, runs[name])
            if name in times:
                times[name].append(took)
    return times, reasons


def _reason(peer: Peer, work: Work) -> str:
    """Return the reason that a peer does not take part; nothing where it does."""
    module: Any = importlib.import_module(f"compare.{peer.module}")
    if work.name not in module.HOW:
        return f"cannot: {module.CANNOT.get(work.name, 'not written for it')}"
    return "" if version(peer) is not None else peer.missing


def version(peer: Peer) -> str | None:
    """The version that is installed; None where there is none."""
    if peer.command:
        if shutil.which(peer.command) is None:
            return None
        return subprocess.run(
            [peer.command, "-dumpversion"], capture_output=True, text=True, check=False
        ).stdout.strip()
    try:
        return importlib.metadata.version(peer.package) if peer.package else microgrid.__version__
    except importlib.metadata.PackageNotFoundError:
        return None


def difference(wanted: Sequence[float], numbers: Sequence[float]) -> str:
    """In which way two results are not the same; nothing where they are."""
    if len(wanted) != len(numbers):
        return f"it gave {len(numbers)} numbers, the first {len(wanted)}"
    scale = max(map(abs, wanted))
    apart = [abs(x - y) / scale if x != y else 0.0 for x, y in zip(wanted, numbers, strict=True)]
    worst = max(apart, key=lambda x: math.inf if math.isnan(x) else x)
    return "" if worst <= TOLERANCE else f"its result is {worst:.1g} of the largest number away from the first's"


def ratios(entry: dict[str, Any], to: dict[str, Any]) -> list[float]:
    """Ratios of the times of one to those of another, round by round, sorted."""
    return sorted(a / b for a, b in zip(entry["seconds"], to["seconds"], strict=False))


def median(numbers: Iterable[float]) -> float:
    """Their median."""
    return statistics.median(numbers)


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "microgrid": microgrid.__version__,
        "engine": "compiled" if COMPILED else "pure Python",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan,
    }


def _processor() -> str:
    """Its name, where the system tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
