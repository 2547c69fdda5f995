"""The pytest plugin: marker and fixture `gradcheck`, its options, failures with the report, and a summary.

pytest imports it in every project that has microgrid installed: the checker itself is imported when a test uses it.
With pytest-xdist the summary is that of all workers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from microgrid.core.primitive import OPS

if TYPE_CHECKING:
    from microgrid.testing.report import Report

REFERENCES = ("auto", "flint", "exact", "mpmath", "floats")
OPTIONS = ("reference", "order", "mutation")
KNOWN = pytest.StashKey[list[str]]()
"""Names of the ops known to the workers of pytest-xdist at their end, the project's own included."""
RUNNING = pytest.StashKey[pytest.Item]()
"""The test that runs in this process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, for all tests whose marker does not override them."""
    group = parser.getgroup("microgrid", "gradient checks")
    group.addoption(
        "--gradcheck-reference",
        choices=REFERENCES,
        default="auto",
        help="reference of the comparison: the best available (auto), balls (flint), fractions (exact), ...",
    )
    group.addoption(
        "--gradcheck-mutation",
        metavar="DELTA",
        nargs="?",
        type=float,
        const=1e-12,
        default=None,
        help="also make each rule wrong by 1 + DELTA in turn, and demand that the check sees it (1e-12 if not given)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "gradcheck(reference='auto', order=1, mutation=None): options of the fixture gradcheck in this test; "
        "tests that use the fixture are marked by themselves.",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests that use `gradcheck`, for `-m gradcheck`."""
    for item in items:
        if "gradcheck" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.gradcheck, append=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note the test that runs, for `gradcheck`."""
    item.config.stash[RUNNING] = item
    return (yield)


@pytest.fixture(scope="session")  # Hypothesis refuses fixtures that are made once for many examples of a test
def gradcheck(pytestconfig: pytest.Config) -> Callable[..., Report]:
    """Return `check_gradient` with the test's options, which also raises GradientError on FAIL, and keeps count."""
    from microgrid.testing.accuracy import worst_ulps
    from microgrid.testing.checker import check_gradient
    from microgrid.testing.mutation import assert_detects_wrong_gradient
    from microgrid.testing.report import GradientError

    def checked(function: Any, *at: Any, gradient: Any = None, **given: Any) -> Report:
        item = pytestconfig.stash[RUNNING]
        chosen = {**_options(item), **given}
        if unknown := set(chosen) - set(OPTIONS):
            raise TypeError(f"gradcheck takes {', '.join(OPTIONS)}, not {', '.join(sorted(unknown))}")
        delta = chosen.pop("mutation")
        report = check_gradient(function, *at, gradient=gradient, **chosen)
        counts = _counts(item)
        verdicts, reasons, ops = counts["verdicts"], counts["reasons"], counts["ops"]
        for check in report.checks:
            _count(verdicts, str(check.verdict))
            if check.verdict == "UNDECIDED":
                _count(reasons, check.reason)
        if report.program is not None:
            for name, ulps in worst_ulps(report.program, report.subject.numbers).items():
                ops[name] = _worse(ops.get(name, math.nan), ulps)
        if report.verdict == "FAIL":
            raise GradientError(report)
        if delta is not None and gradient is None and chosen["order"] == 1:
            assert_detects_wrong_gradient(function, *at, delta=delta)
        return report

    return checked


def _counts(item: pytest.Item) -> dict[str, dict[str, Any]]:
    """Return the counts of a test. pytest-xdist sends them from a worker: dicts, strings and numbers it can."""
    for name, value in item.user_properties:
        if name == "gradcheck":
            return cast(dict[str, dict[str, Any]], value)
    counts: dict[str, dict[str, Any]] = {"verdicts": {}, "reasons": {}, "ops": {}}
    item.user_properties.append(("gradcheck", counts))
    return counts


def _options(item: pytest.Item) -> dict[str, Any]:
    options = {
        "reference": item.config.getoption("--gradcheck-reference"),
        "order": 1,
        "mutation": item.config.getoption("--gradcheck-mutation"),
    }
    for marker in reversed(list(item.iter_markers("gradcheck"))):
        options |= marker.kwargs
    return options


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _worse(x: float, y: float) -> float:
    """Return the larger number; any number is worse than nan."""
    return y if math.isnan(x) else x if math.isnan(y) else max(x, y)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show the report for `assert check_gradient(...).verdict == "PASS"`."""
    report = getattr(left, "report", None)
    if op != "==" or type(left).__name__ != "ReportedVerdict" or report is None:
        return None
    return [f"{left} == {right!r}", *str(report).splitlines()]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist, send the names of the ops to the main process, which imports no test file."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["gradcheck"] = list(OPS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the data of a worker; one that crashed sent none."""
    node.config.stash.setdefault(KNOWN, []).extend(getattr(node, "workeroutput", {}).get("gradcheck", ()))


def sent(terminalreporter: pytest.TerminalReporter, name: str) -> Iterator[Any]:
    """Return the user properties of this name of all tests that ran, in this process or in a worker of pytest-xdist."""
    for reports in terminalreporter.stats.values():
        for test in reports:
            if getattr(test, "when", "") == "call":
                yield from (value for key, value in test.user_properties if key == name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the number of partials checked, what was undecided, the worst rounding of each op, unexercised ops."""
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    ops: dict[str, float] = {}
    for found in sent(terminalreporter, "gradcheck"):
        verdicts.update(found["verdicts"])
        reasons.update(found["reasons"])
        ops |= {op: _worse(ops.get(op, math.nan), ulps) for op, ulps in found["ops"].items()}
    if not verdicts:
        return
    write = terminalreporter.write_line
    terminalreporter.section("gradients")
    counts = ", ".join(f"{verdicts[v]} {v}" for v in ("PASS", "FAIL", "UNDECIDED") if verdicts[v])
    write(f"{verdicts.total()} partial derivatives checked: {counts}")
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:5]:
        write(f"  undecided, {count} times: {reason}")
    if ops:
        worst = sorted(ops.items(), key=lambda item: (-item[1] if item[1] == item[1] else 1.0, item[0]))
        write("worst ulps by op: " + ", ".join(f"{name} {ulps:.1f}" for name, ulps in worst))
    known = list(dict.fromkeys([*OPS, *config.stash.get(KNOWN, ())]))
    missing = [name for name in known if name not in ops]
    write(f"ops never exercised ({len(missing)} of {len(known)}): {', '.join(missing) or 'none'}")
