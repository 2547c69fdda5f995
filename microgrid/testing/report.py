"""The report of a gradient check, as text for a terminal and a table for a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from microgrid.testing.causes import likely_cause
from microgrid.testing.enclosure import nearest_float
from microgrid.testing.kinks import nearest_edge
from microgrid.testing.numerical import Derivative
from microgrid.testing.subject import Subject

Verdict = Literal["PASS", "FAIL", "UNDECIDED"]


class Check(NamedTuple):
    """One partial derivative: the claim, the enclosure, and the verdict with its reason.

    `ulps` is the distance between the two, from the far end of the enclosure; PASS says that it is at most `allowed`.
    `explained` is how many of them rounding accounts for. `rule` says whether the rules of the ops, applied in exact
    arithmetic, give the derivative: None where that cannot be told.
    """

    name: str
    at: float
    analytic: float
    numerical: Derivative
    ulps: float = math.nan
    explained: float = math.nan
    allowed: float = math.nan
    rule: bool | None = None
    verdict: Verdict = "UNDECIDED"
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Ratio of the claim to the derivative; nan where it is meaningless."""
        middle = self.numerical.middle
        return self.analytic / nearest_float(middle) if middle and nearest_float(middle) else math.nan


class GradientError(AssertionError):
    """A gradient is wrong; `report` has the details."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


class ReportedVerdict(str):
    """A verdict with its report, for pytest to show when `report.verdict == "PASS"` fails."""

    report: Report

    def __new__(cls, verdict: str, report: Report) -> ReportedVerdict:
        """Return the verdict, a str in all other respects."""
        made = super().__new__(cls, verdict)
        made.report = report
        return made


class Report:
    """Checks of all partial derivatives of a function at a point, and the overall verdict.

    On a FAIL of the engine's own gradient, `culprit` names the rule that is wrong, or says that none is. `value` says
    which op computed a wrong value to begin with. On a FAIL of a claim, `mistakes` holds the mistake, or the two, that
    give exactly the claimed numbers, where they are known.
    """

    def __init__(self, checks: Sequence[Check], subject: Subject, of: str = "") -> None:
        self.checks = list(checks)
        self.subject = subject
        self.program = subject.program
        self.name = of or f"the gradient of {subject.name}"
        self.value = ""
        self.culprit = ""
        self.mistakes: list[str] = []

    @property
    def verdict(self) -> Verdict:
        """Overall verdict: FAIL if one partial fails, or the value itself; else UNDECIDED if one is; else PASS."""
        if self.value:
            return cast(Verdict, ReportedVerdict("FAIL", self))
        for verdict in ("FAIL", "UNDECIDED"):
            if any(check.verdict == verdict for check in self.checks):
                return cast(Verdict, ReportedVerdict(verdict, self))
        return cast(Verdict, ReportedVerdict("PASS", self))

    @property
    def cause(self) -> str:
        """Cause of a FAIL: the mistakes, else what the ratio of the claimed to the true gradient suggests, or ""."""
        return "; ".join(self.mistakes or self._causes())

    def _causes(self) -> list[str]:
        wrong = [
            i for i, check in enumerate(self.checks) if check.verdict == "FAIL" and check.numerical.middle is not None
        ]
        if not wrong:
            return []
        at = self.subject.numbers
        whole = likely_cause([self._pair(i) for i in wrong], self.program, at)
        arguments = self.subject.arguments() if len(self.checks) == len(at) else []
        if not whole.startswith("no common ratio") or len(arguments) < 2:
            return [whole] if whole else []
        causes = [whole]
        for name, inputs in arguments:
            bad = [i for i in inputs if i in wrong]
            if not bad:
                causes.append(f"{name} is right")
            elif found := likely_cause([self._pair(i) for i in bad], self.program, at):
                causes.append(f"{name}: {found}")
        return causes

    def _pair(self, i: int) -> tuple[float, float]:
        middle = self.checks[i].numerical.middle
        assert middle is not None
        return self.checks[i].analytic, nearest_float(middle)

    def _remarks(self, checks: Sequence[Check]) -> list[str]:
        """Return the remarks below the table."""
        remarks = [f"{check.name}: {check.reason}" for check in checks if check.reason]
        if self.value:
            remarks.append(f"the value itself is wrong, before any derivative: {self.value}")
        if self.cause and not self.culprit.startswith("culprit: the rule"):
            remarks.append(f"{'mistake' if self.mistakes else 'likely cause'}: {self.cause}")
        remarks += [self.culprit] if self.culprit else []
        program = self.program
        if program is None:
            return remarks
        if self.verdict != "PASS" and (edge := nearest_edge(program, self.subject.numbers)):
            remarks.append(f"nearest kink or edge of a domain: {edge}")
        return remarks + [f"fixed while tracing, so only this path was checked: {text}" for text in program.fixed or ()]

    def __str__(self) -> str:
        counts = {v: sum(check.verdict == v for check in self.checks) for v in ("PASS", "FAIL", "UNDECIDED")}
        summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        lines = [f"{self.verdict}: {self.name} ({summary or 'no inputs'})"]
        order = sorted(self.checks, key=lambda check: ("FAIL", "UNDECIDED", "PASS").index(check.verdict))
        rows = [self._header(), *map(self._row, order[:20])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += ["  " + "  ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        if len(order) > 20:
            lines.append(f"  ... and {len(order) - 20} more")
        lines += [f"  {line}" for remark in self._remarks(order[:20]) for line in remark.splitlines()]
        if self.verdict == "FAIL" and self.program is not None and len(self.program.instructions) <= 40:
            lines += ["  the program:", *(f"    {line}" for line in str(self.program).splitlines())]
        return "\n".join(lines)

    def _header(self) -> list[str]:
        return ["input", "at", "claimed", "derivative", "+-", "ulps", "allowed", "evidence", "ratio", "verdict"]

    def _row(self, check: Check) -> list[str]:
        d = check.numerical
        if d.middle is not None and d.radius is not None:
            numeric, radius = f"{nearest_float(d.middle):.17g}", f"{nearest_float(d.radius):.0e}"
        elif d.left is not None and d.right is not None:
            numeric, radius = f"{nearest_float(d.left):.6g} | {nearest_float(d.right):.6g}", "-"
        else:
            numeric, radius = "-", "-"
        return [
            check.name,
            repr(check.at),
            f"{check.analytic:.17g}",
            numeric,
            radius,
            f"{check.ulps:.3g}" if math.isfinite(check.ulps) else "-",
            f"{check.allowed:.3g}" if math.isfinite(check.allowed) else "-",
            d.evidence,
            f"{check.ratio:.6g}" if math.isfinite(check.ratio) else "-",
            check.verdict,
        ]

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{html.escape(x)}</th>" for x in self._header())
        order = sorted(self.checks, key=lambda check: ("FAIL", "UNDECIDED", "PASS").index(check.verdict))[:100]
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(x)}</td>' for x in self._row(check))}</tr>" for check in order)
        more = f"<p>... and {len(self.checks) - 100} more</p>" if len(self.checks) > 100 else ""
        below = f"<pre>{html.escape(chr(10).join(self._remarks(order)))}</pre>"
        title = html.escape(f"{self.verdict}: {self.name}")
        return f"<p><b>{title}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}{below}"

    __repr__ = __str__
