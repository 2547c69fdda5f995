"""What a gradient check found, as text for a terminal and a table for a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from microgrid.program import Program
from microgrid.testing.causes import likely_cause
from microgrid.testing.numerical import Derivative, nearest_float

Verdict = Literal["PASS", "FAIL", "UNDECIDED"]


class Check(NamedTuple):
    """One partial derivative: what was claimed, what it is, and the verdict with its reason.

    `ulps` is the distance between the two, `explained` how many of them rounding accounts for. `rule` says whether the
    rules of the ops, applied in exact arithmetic, give the derivative: None where that cannot be told.
    """

    name: str
    at: float
    analytic: float
    numerical: Derivative
    ulps: float
    explained: float
    rule: bool | None
    verdict: Verdict
    reason: str

    @property
    def ratio(self) -> float:
        """What was claimed, by what it is; nan where that says nothing."""
        middle = self.numerical.middle
        return self.analytic / nearest_float(middle) if middle and nearest_float(middle) else math.nan


class GradientError(AssertionError):
    """A gradient that is wrong; `report` has the particulars."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


class Report:
    """The checks of all partial derivatives of a function at a point, and the verdict on the whole.

    On a FAIL of the engine's own gradient, `culprit` names the rule that is wrong, or says that none is.
    """

    def __init__(self, checks: Sequence[Check], program: Program, name: str) -> None:
        self.checks = list(checks)
        self.program = program
        self.name = name
        self.culprit = ""

    @property
    def verdict(self) -> Verdict:
        """FAIL if one partial fails; else UNDECIDED if one is; else PASS."""
        for verdict in ("FAIL", "UNDECIDED"):
            if any(check.verdict == verdict for check in self.checks):
                return verdict
        return "PASS"

    @property
    def cause(self) -> str:
        """What the ratio of the claimed to the true gradient suggests, on a FAIL; else nothing."""
        wrong = [check for check in self.checks if check.verdict == "FAIL"]
        pairs = [(c.analytic, nearest_float(c.numerical.middle)) for c in wrong if c.numerical.middle is not None]
        return likely_cause(pairs, self.program, [check.at for check in self.checks]) if pairs else ""

    def __str__(self) -> str:
        counts = {v: sum(check.verdict == v for check in self.checks) for v in ("PASS", "FAIL", "UNDECIDED")}
        summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        lines = [f"{self.verdict}: the gradient of {self.name} ({summary or 'no inputs'})"]
        order = sorted(self.checks, key=lambda check: ("FAIL", "UNDECIDED", "PASS").index(check.verdict))
        rows = [self._header(), *map(self._row, order[:20])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += ["  " + "  ".join(f"{x:<{w}}" for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        if len(order) > 20:
            lines.append(f"  ... and {len(order) - 20} more")
        lines += [f"  {check.name}: {check.reason}" for check in order[:20] if check.reason]
        if self.cause:
            lines.append(f"  likely cause: {self.cause}")
        lines += [f"  {line}" for line in self.culprit.splitlines()]
        lines += [f"  fixed while tracing, so only this path was checked: {text}" for text in self.program.fixed or ()]
        if self.verdict == "FAIL" and len(self.program.instructions) <= 40:
            lines += ["  the program:", *(f"    {line}" for line in str(self.program).splitlines())]
        return "\n".join(lines)

    def _header(self) -> list[str]:
        return ["input", "at", "claimed", "derivative", "+-", "ulps", "explained", "evidence", "ratio", "verdict"]

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
            f"{check.explained:.3g}" if math.isfinite(check.explained) else "-",
            d.evidence,
            f"{check.ratio:.6g}" if math.isfinite(check.ratio) else "-",
            check.verdict,
        ]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(x)}</th>" for x in self._header())
        shown = self.checks[:100]
        cells = [[html.escape(x) for x in self._row(check)] for check in shown]
        rows = "".join(f"<tr>{''.join(f'<td>{x}</td>' for x in row)}</tr>" for row in cells)
        notes = [f"{check.name}: {check.reason}" for check in shown if check.reason]
        notes += [f"likely cause: {self.cause}"] if self.cause else []
        notes += [self.culprit] if self.culprit else []
        below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        title = html.escape(f"{self.verdict}: the gradient of {self.name}")
        return f"<p><b>{title}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"

    __repr__ = __str__
