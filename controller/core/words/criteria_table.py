"""The scorecard of a rollout: a row for each criterion, with target, measured value and verdict.

`status`, a rehearsal and the last notice of a rollout show the same table. Values and bounds are
written in the unit of their criterion.
"""

from collections import Counter
from collections.abc import Sequence
from math import floor
from typing import Final

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.progress import Distance, Progress, ProgressUnit
from controller.core.policy import Criterion
from controller.core.rollout import Rollout
from controller.core.units import format_percent, measured_text, number_text, time_range_text
from controller.immutable import Immutable, replace
from controller.safe_text import columns

NO_VALUE: Final = "–"
# The mark of a criterion without a verdict, once none can follow.
NO_VERDICT: Final = "n/a"
VERDICT_MARKS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}
HEADER: Final = ("", "criterion", "target", "measured", "samples", "evidence", "role")
RIGHT_ALIGNED: Final = ("measured", "samples")


class CriterionTexts(Immutable):
    """One criterion of a rollout, as text.

    finding: the newest; None before the first. over: the rollout has ended, so no other follows.
    first_weight: of the later step that judges the criterion first; None where a step has.
    counted: begin and end of the time that its samples are from, unix seconds; None without any.
    progress: how far it is towards each verdict.
    """

    criterion: str
    kind: str
    gates: bool
    target: str
    measured: str
    finding: Finding | None
    over: bool
    first_weight: int | None = None
    counted: tuple[int, int] | None = None
    progress: Progress = Progress()

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
    def evidence(self) -> str:
        """How strong the evidence is: the label of the finding."""
        return str(Label.NOT_JUDGED) if self.finding is None else self.finding.label_text

    @property
    def label(self) -> str:
        """The evidence in words, and why there is none."""
        if self.first_weight is not None and not self.over:
            return f"judged from {self.first_weight}% on"
        when = "ended before a verdict" if self.over else f"{Label.NOT_JUDGED} yet"
        return self.evidence.replace(Label.NOT_JUDGED, when)

    @property
    def mark(self) -> str:
        """The verdict in a short word; `open` while a verdict may follow."""
        if self.over and self.verdict is Verdict.INCONCLUSIVE:
            return NO_VERDICT
        return VERDICT_MARKS[self.verdict]

    @property
    def towards_fail(self) -> str:
        """How much of what fails it there is; a dash where that is not known."""
        return _distance_text(self.progress.fail)

    @property
    def towards_pass(self) -> str:
        """How much of what a pass needs there is; a dash where that is not known."""
        if self.verdict is Verdict.PASS:
            return "reached"
        if not self.progress.keeps_limit:
            return "not within the limit"
        return _distance_text(self.progress.passing)

    @property
    def role(self) -> str:
        """Whether the criterion decides over the rollout: `gate`, or only `report`."""
        return "gate" if self.gates else "report"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        values = (self.target, self.measured, self.samples, self.label)
        return self.mark, self.criterion, *values, self.role


def rows(rollout: Rollout) -> list[CriterionTexts]:
    """Return a row for each criterion of the policy, sorted by id.

    A criterion that the gate of this step does not judge has the finding of an earlier step.
    """
    findings = {one.criterion: one for one in rollout.evidence.known_findings}
    criteria = sorted(rollout.policy.criteria.items())
    return [_row(name, one, rollout, findings.get(name)) for name, one in criteria]


def counted_text(rows: Sequence[CriterionTexts]) -> str:
    """Return from when to when samples are counted: of most rows, then of those that differ.

    Empty where nothing is counted.
    """
    periods = Counter(row.counted for row in rows if row.counted is not None)
    if not periods:
        return ""
    (usual, _), *others = periods.most_common()
    texts = [f"measured over all judged minutes of a step, from {time_range_text(*usual)}"]
    for period in (one for one, _ in others):
        names = ", ".join(row.criterion for row in rows if row.counted == period)
        texts.append(f"{names} from {time_range_text(*period)}")
    return "; ".join(texts)


def table(rollout: Rollout) -> list[str]:
    """Return the rows as aligned lines under a header; no line before the first finding.

    The last line says from when to when samples are counted.
    """
    if not rollout.evidence.known_findings:
        return []
    right = [index for index, title in enumerate(HEADER) if title in RIGHT_ALIGNED]
    shown = rows(rollout)
    counted = [text] if (text := counted_text(shown)) else []
    return [*columns([HEADER, *(row.cells for row in shown)], right), *counted]


def _distance_text(distance: Distance | None) -> str:
    """Return a share and what it is of: `4%, likelihood ratio 1.3 of 344`."""
    if distance is None:
        return NO_VALUE
    amount, needed = measured_text(distance.amount), number_text(distance.needed)
    if distance.unit is ProgressUnit.SAMPLES and distance.share >= 1:
        return f"enough samples, {amount} of {needed}"
    share = format_percent(floor(distance.share * 100) / 100)
    return f"{share}, {distance.unit} {amount} of {needed}"


def _row(
    name: str, criterion: Criterion, rollout: Rollout, finding: Finding | None
) -> CriterionTexts:
    judge = judge_of(name, criterion, rollout.policy, rollout.evidence.baselines.get(name))
    row = CriterionTexts(
        criterion=name,
        kind=criterion.kind,
        gates=criterion.gating,
        target=judge.target_text(),
        measured=NO_VALUE,
        finding=finding,
        over=rollout.final,
    )
    if finding is None:
        policy, current = rollout.policy, rollout.judged_step
        judging = (one for one in range(current, len(policy.steps)) if name in policy.gate(one))
        first = next(judging, current)
        return replace(row, first_weight=policy.steps[first].weight if first > current else None)
    is_measured = finding.measured is not None
    counts = is_measured and finding.samples > 0 and judge.has_windows
    return replace(
        row,
        target=judge.bound_text(finding.bound) if is_measured else row.target,
        measured=judge.measured_text(finding) or NO_VALUE,
        counted=(finding.start, finding.end) if counts else None,
        progress=judge.progress(finding, rollout.evidence.fold),
    )
