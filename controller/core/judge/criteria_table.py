"""The scorecard of a rollout: a row for each criterion, with target, measured value and verdict.

`status`, a rehearsal and the last notice of a rollout show the same table. Values and bounds are
written in the unit of their criterion: a plain number has no unit, its bound has it.
"""

from dataclasses import dataclass
from typing import Final

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.policy import Criterion
from controller.core.rollout import Rollout
from controller.core.units import number_text
from controller.text import columns

NO_VALUE: Final = "–"
# The mark of a criterion without a verdict, once none can follow.
NO_VERDICT: Final = "n/a"
VERDICT_MARKS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}
HEADER: Final = ("", "criterion", "target", "measured", "samples", "evidence", "role")
RIGHT_ALIGNED: Final = ("measured", "samples")


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion of a rollout, as text.

    finding: the newest; None before the first. over: the rollout has ended, so no other follows.
    """

    criterion: str
    kind: str
    gates: bool
    target: str
    measured: str
    finding: Finding | None
    over: bool

    @property
    def verdict(self) -> Verdict:
        """The verdict; inconclusive before the first finding."""
        return Verdict.INCONCLUSIVE if self.finding is None else self.finding.verdict

    @property
    def samples(self) -> str:
        """How many requests, datapoints or events are behind the finding; a dash for none."""
        count = 0 if self.finding is None else self.finding.samples
        return number_text(count) if count else NO_VALUE

    @property
    def label(self) -> str:
        """How strong the evidence is: the label of the finding, or why it is not judged."""
        text = str(Label.NOT_JUDGED) if self.finding is None else self.finding.label_text
        when = ": the rollout ended before" if self.over else " yet"
        return text.replace(Label.NOT_JUDGED, f"{Label.NOT_JUDGED}{when}")

    @property
    def mark(self) -> str:
        """The verdict in a short word; `open` while a verdict may follow."""
        if self.over and self.verdict is Verdict.INCONCLUSIVE:
            return NO_VERDICT
        return VERDICT_MARKS[self.verdict]

    @property
    def role(self) -> str:
        """Whether the criterion decides over the rollout: `gate`, or only `report`."""
        return "gate" if self.gates else "report"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        values = (self.target, self.measured, self.samples, self.label)
        return self.mark, self.criterion, *values, self.role


def rows(rollout: Rollout) -> list[Row]:
    """Return a row for each criterion of the policy, sorted by id.

    A criterion that the gate of this step does not judge has the finding of an earlier step.
    """
    findings = {
        one.criterion: one
        for one in (*rollout.evidence.earlier_findings, *rollout.evidence.findings)
    }
    criteria = sorted(rollout.policy.criteria.items())
    return [_row(name, one, rollout, findings.get(name)) for name, one in criteria]


def table(rollout: Rollout) -> list[str]:
    """Return the rows as aligned lines under a header; no line before the first finding."""
    if not (rollout.evidence.findings or rollout.evidence.earlier_findings):
        return []
    right = [index for index, title in enumerate(HEADER) if title in RIGHT_ALIGNED]
    return columns([HEADER, *(row.cells for row in rows(rollout))], right)


def _row(name: str, criterion: Criterion, rollout: Rollout, finding: Finding | None) -> Row:
    judge = judge_of(name, criterion, rollout.policy, rollout.evidence.baselines.get(name))
    measured, target = NO_VALUE, judge.target_text()
    if finding is not None:
        target, measured = judge.bound_text(finding.bound), judge.measured_text(finding) or NO_VALUE
    return Row(name, criterion.kind, criterion.gating, target, measured, finding, rollout.final)
