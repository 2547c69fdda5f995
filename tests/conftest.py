"""Work shared among processes, a folder and a table of ops for each test, and measured errors under the results."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from microgrid.core.primitive import OPS
from microgrid.testing.pytest_plugin import sent

# No test asserts a time. The gate searches the same examples every time; anybody else's run searches anew.
settings.register_profile("microgrid", deadline=None, derandomize="MICROGRID_GATE" in os.environ)
settings.load_profile("microgrid")

# Modules are compiled once for all workers, and for the hundreds of processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = ["chromium"]  # fixtures of the pages' tests

MOST = 8
"""Workers at most: each one imports and collects all tests, some three seconds."""


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start: a shell ignores it in what runs in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of processes for `-n auto`: none besides this one where few tests are asked for."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    selected = config.option.keyword or getattr(config.option, "lf", False)
    if selected or not any(Path(config.invocation_params.dir, arg).is_dir() for arg in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, MOST) if cores > 1 else 0  # tests of pages and processes wait


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each worker read folders from another file on, and so find compiled what the others have read."""
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker is not None and isinstance(collector, pytest.Dir) and report.result:
        turn = int(worker["workerid"].removeprefix("gw")) % worker["workercount"]
        start = len(report.result) * turn // worker["workercount"]
        report.result = report.result[start:] + report.result[:start]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give all workers the tests in one order again, and leave those of pages in a browser to `-m slow`."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: str(item.path))


def pytest_collection_finish() -> None:
    """Let no later collection of garbage go over modules and tests, half a million objects that stay."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that adds a line under a heading, at the end of the run, in whichever process this is."""
    return lambda heading, line: request.node.user_properties.append(("summary", (heading, line)))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine code that tests compile in a folder of their own."""
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path_factory.getbasetemp() / "compiled"))


@pytest.fixture(autouse=True)
def _own_table() -> Iterator[None]:
    """Take the ops that a test declares out of the table again, for the tests that go over it."""
    before = dict(OPS)
    yield
    if before != OPS:
        OPS.clear()
        OPS.update(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the lines of `summary`, which came with the tests' reports."""
    found: dict[str, list[str]] = {}
    for heading, line in sent(terminalreporter, "summary"):
        found.setdefault(heading, []).append(line)
    for heading, lines in found.items():
        terminalreporter.section(heading)
        for line in sorted(lines):
            terminalreporter.write_line(line)
