"""The report of a gradient check, as text for a terminal and a table for a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, cast

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

    >>> from microgrid.testing import check_gradient
    >>> check = check_gradient(lambda x: x * x, 3.0).checks[0]
    >>> check.analytic, float(check.numerical.middle), check.verdict
    (6.0, 6.0, 'PASS')
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

    @property
    def relative(self) -> float:
        """Relative error of the claim: inf of any number but 0 for a derivative of 0, nan where it is unknown."""
        middle = self.numerical.middle
        if middle is None or not math.isfinite(self.analytic):
            return math.nan
        error = abs(Fraction(self.analytic) - middle)
        if not error:
            return 0.0
        return nearest_float(error / abs(middle)) if middle else math.inf


class GradientError(AssertionError):
    """A gradient is wrong; `report` has the details.

    >>> from microgrid.testing import assert_gradient
    >>> try:
    ...     assert_gradient(lambda x: x * x, 3.0, gradient=3.0)
    ... except GradientError as error:
    ...     print(error.report.verdict)
    FAIL
    """

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
    give exactly the claimed numbers, where they are known. The report of a Jacobian, or of second derivatives, has as
    many checks for each of its `rows` as there are inputs.

    >>> from microgrid.testing import check_gradient
    >>> report = check_gradient(lambda x: x * x, 3.0)
    >>> report.verdict, len(report.checks)
    ('PASS', 1)
    """

    def __init__(self, checks: Sequence[Check], subject: Subject, of: str = "") -> None:
        self.checks = list(checks)
        self.subject = subject
        self.program = subject.program
        self.name = of or f"the gradient of {subject.name}"
        self.value = ""
        self.culprit = ""
        self.mistakes: list[str] = []
        self.rows: list[str] = []
        self._parts: list[Report] = []

    @classmethod
    def of_parts(
        cls, parts: Sequence[Report], labels: Sequence[Sequence[str]], rows: Sequence[str], subject: Subject, of: str
    ) -> Report:
        """Return the report of a matrix of derivatives: a report and a list of labels for each of its rows."""
        checks = [
            check._replace(name=label)
            for part, names in zip(parts, labels, strict=True)
            for check, label in zip(part.checks, names, strict=True)
        ]
        report = cls(checks, subject, of)
        report.rows, report._parts = list(rows), list(parts)
        report.value = next((part.value for part in parts if part.value), "")
        report.culprit = next((part.culprit for part in parts if part.culprit), "")
        named = [part.mistakes for part in parts if part.verdict == "FAIL"]
        if named and all(mistakes == named[0] for mistakes in named):
            report.mistakes = named[0]
        return report

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
        if self._parts:
            found: dict[str, list[str]] = {}
            for row, part in zip(self.rows, self._parts, strict=True):
                if part.cause:
                    found.setdefault(part.cause, []).append(row)
            if len(found) == 1 and len(next(iter(found.values()))) > 1:
                return list(found)
            return [f"{_several(rows)}: {cause}" for cause, rows in found.items()]
        wrong = [i for i, check in enumerate(self.checks) if check.verdict == "FAIL" and self._known(i)]
        if not wrong:
            return []
        at = self.subject.numbers
        whole = likely_cause([self._pair(i) for i in wrong])
        arguments = self.subject.arguments() if len(self.checks) == len(at) else []
        if not whole or len(arguments) < 2:
            return [whole] if whole else []
        if not whole.startswith("no common ratio"):
            told = [name for name, inputs in arguments if any(self._pair(i)[1] for i in inputs if self._known(i))]
            named = [name for name, inputs in arguments if set(inputs) & set(wrong)]
            return [whole if set(told) <= set(named) else f"{whole}, in {', '.join(named)} only"]
        causes = [whole]
        for name, inputs in arguments:
            bad = [i for i in inputs if i in wrong]
            if not bad:
                causes.append(f"{name} is right")
            elif known := likely_cause([self._pair(i) for i in bad]):
                causes.append(f"{name}: {known}")
        return causes

    def _known(self, i: int) -> bool:
        return self.checks[i].numerical.middle is not None

    def _pair(self, i: int) -> tuple[float, float]:
        middle = self.checks[i].numerical.middle
        assert middle is not None
        return self.checks[i].analytic, nearest_float(middle)

    def _why(self) -> list[str]:
        """Return the causes of a FAIL, which stand above the table."""
        causes = [f"the value itself is wrong, before any derivative: {self.value}"] if self.value else []
        if self.cause and not self.culprit.startswith("culprit: the rule"):
            causes.append(f"{'mistake' if self.mistakes else 'likely cause'}: {self.cause}")
        return causes + ([self.culprit] if self.culprit else [])

    def _remarks(self, checks: Sequence[Check]) -> list[str]:
        """Return the remarks below the table."""
        shared: dict[str, list[str]] = {}
        for check in checks:
            if check.reason:
                shared.setdefault(check.reason, []).append(check.name)
        remarks = [f"{_several(names)}: {reason}" for reason, names in shared.items()]
        program = self.program
        if program is None:
            return remarks
        if self.verdict != "PASS" and (edge := nearest_edge(program, self.subject.numbers)):
            remarks.append(f"nearest kink or edge of a domain: {edge}")
        return remarks + [f"fixed while tracing, so only this path was checked: {text}" for text in program.fixed or ()]

    def __str__(self) -> str:
        counts = {v: sum(check.verdict == v for check in self.checks) for v in ("PASS", "FAIL", "UNDECIDED")}
        summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        lines = [f"{self.verdict}: {self.name} ({summary or 'no inputs'})", *_indented(self._why())]
        order = sorted(self.checks, key=lambda check: ("FAIL", "UNDECIDED", "PASS").index(check.verdict))
        rows = [self._header(), *map(self._row, order[:20])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += ["  " + "  ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        if len(order) > 20:
            lines.append(f"  ... and {len(order) - 20} more")
        lines += _indented(self._remarks(order[:20]))
        if self.verdict == "FAIL" and self.program is not None and len(self.program.instructions) <= 40:
            lines += ["  the program:", *(f"    {line}" for line in str(self.program).splitlines())]
        return "\n".join(lines)

    def _header(self) -> list[str]:
        return [
            "input",
            "at",
            "claimed",
            "derivative",
            "+-",
            "relative",
            "ulps",
            "allowed",
            "evidence",
            "ratio",
            "verdict",
        ]

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
            f"{check.relative:.1e}" if math.isfinite(check.relative) else "-",
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
        causes = self._why()
        why = f"<pre>{html.escape(chr(10).join(causes))}</pre>" if causes else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p><b>{title}</b></p>{why}{table}{more}{below}"

    def plot(self) -> Any:
        """Plot the verdicts in the shape of the arguments, or rows by inputs; return a matplotlib figure.

        A cell is marked with a cross where the claim is wrong, darker the larger its relative error, with a question
        mark where that is undecided. Needs matplotlib.
        """
        from microgrid.testing.picture_of_checks import plotted

        return plotted(self)

    __repr__ = __str__


def _indented(texts: Sequence[str]) -> list[str]:
    return [f"  {line}" for text in texts for line in text.splitlines()]


def _several(names: Sequence[str]) -> str:
    """Return names in a few words."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} others"
