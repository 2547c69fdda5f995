"""What tests say at the end of a run: a table of measured errors, under the results. And where they keep code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest_plugins = ["chromium"]  # fixtures of the pages' tests

LINES = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture
def summary(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """A function that adds a line under a heading."""
    lines = pytestconfig.stash.setdefault(LINES, {})
    return lambda heading, line: lines.setdefault(heading, []).append(line)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code that tests compile is kept in a folder of their own."""
    monkeypatch.setenv("MICROGRID_CACHE", str(tmp_path_factory.getbasetemp() / "compiled"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for heading, lines in config.stash.get(LINES, {}).items():
        terminalreporter.section(heading)
        for line in lines:
            terminalreporter.write_line(line)
