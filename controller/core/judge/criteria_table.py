"""The scorecard of a rollout: a row for each criterion, with target, measured value and verdict.

`status`, a rehearsal and the last notice of a rollout show the same table. Values and bounds are
written in the unit of their criterion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, assert_never

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.wording import number, percent
from controller.core.policy import (
    Alarm,
    Attestation,
    BoundedCriterion,
    BurnRate,
    Criterion,
    LatencyIncrease,
    LogEvents,
    MeasuredCriterion,
    MissingCriterion,
    Policy,
    Share,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.rollout import Rollout
from controller.core.units import format_percent, number_text

NO_VALUE: Final = "–"
VERDICT_MARKS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}
HEADER: Final = ("", "criterion", "target", "measured", "samples", "shown", "role")
RIGHT_ALIGNED: Final = ("measured", "samples")
_DIGITS = 3  # decimals of a percent


# --- Values and bounds ----------------------------------------------------------------------------


def measured_text(finding: Finding, policy: Policy) -> str:
    """Return the measured value, like `99.95%` or `+3.1%`; a dash when nothing was measured.

    A plain number has no unit: its bound has it.
    """
    if finding.measured is None:
        return NO_VALUE
    value = finding.measured
    match policy.criteria[finding.criterion]:
        case Alarm():
            return "ALARM" if value else "OK"
        case Attestation():
            return "signed" if value else "refused"
        case LogEvents():
            return number(value, finding.bound)
        case BurnRate():
            return f"{number(round(value, 2), finding.bound)}x"
        case Share():
            return percent(value, finding.bound, 2)
        case MeasuredCriterion() as measured:
            return f"{number(value, finding.bound)} {measured.unit}".rstrip()
        case criterion:
            return _bounded_value_text(criterion, value, finding.bound, policy)  # type: ignore[arg-type]


def _bounded_value_text(
    criterion: BoundedCriterion, value: float, bound: float, policy: Policy
) -> str:
    match criterion:
        case LatencyIncrease() | Threshold() if _is_slow_share(criterion, policy):
            return f"{percent(value, bound, 1)} slow"
        case SuccessRate():
            return percent(value, bound, _DIGITS)
        case LatencyIncrease():
            return f"{'+' if value >= 0 else '-'}{percent(abs(value), bound, 1)}"
        case Threshold(per=str()):
            return percent(value, bound, _DIGITS)
        case Threshold() | Traffic():
            return number(value, bound)
        case unreachable:
            assert_never(unreachable)


def bound_text(finding: Finding, policy: Policy) -> str:
    """Return the bound, and on which side of it the criterion passes, like `≥ 99.9%`."""
    criterion, bound = policy.criteria[finding.criterion], finding.bound
    if isinstance(criterion, LatencyIncrease | Threshold) and _is_slow_share(criterion, policy):
        return f"≤ {format_percent(bound, 2)} slow"
    return _target_text(criterion, bound, policy)


def target_text(criterion: Criterion, policy: Policy) -> str:
    """Return the target of a criterion that has no finding yet."""
    match criterion:
        case SuccessRate():
            return _target_text(criterion, criterion.min, policy)
        case LatencyIncrease():
            return _target_text(criterion, criterion.max_increase, policy)
        case Threshold() | LogEvents():
            return _target_text(criterion, float(criterion.bound), policy)
        case Traffic():
            return _target_text(criterion, float(criterion.min), policy)
        case BurnRate():
            return " and ".join(f"≤ {pair.factor:g}x" for pair in criterion.windows)
        case Share():
            return f"weight ± {format_percent(criterion.tolerance)}"
        case MeasuredCriterion():
            return _target_text(criterion, criterion.bound, policy)
        case _:
            return _target_text(criterion, 0.0, policy)


def _target_text(criterion: Criterion, bound: float, policy: Policy) -> str:
    match criterion:
        case Alarm():
            return "OK"
        case Attestation():
            return "signed"
        case LogEvents():
            return f"{'≤' if criterion.present is None else '≥'} {number(bound, bound)} events"
        case BurnRate():
            return f"≤ {number(bound, bound)}x"
        case MeasuredCriterion():
            side = "≤" if criterion.is_maximum else "≥"
            return f"{side} {number(bound, bound)} {criterion.unit}".rstrip()
        case MissingCriterion():
            return "the package of its kind"
        case Share():
            return f"{percent(bound, bound, 0)} ± {format_percent(criterion.tolerance)}"
        case _:
            return _bounded_target_text(criterion, bound, policy)  # type: ignore[arg-type]


def _bounded_target_text(criterion: BoundedCriterion, bound: float, policy: Policy) -> str:
    match criterion:
        case SuccessRate():
            return f"≥ {percent(bound, bound, _DIGITS)}"
        case LatencyIncrease():
            return f"≤ +{percent(bound, bound, _DIGITS)}"
        case Threshold(max=highest, per=per, metric=metric):
            unit = policy.metrics[metric].unit
            text = percent(bound, bound, _DIGITS) if per else f"{number(bound, bound)} {unit}"
            return f"{'≥' if highest is None else '≤'} {text}".rstrip()
        case Traffic():
            return f"≥ {number(bound, bound)}"
        case unreachable:
            assert_never(unreachable)


def _is_slow_share(criterion: LatencyIncrease | Threshold, policy: Policy) -> bool:
    """Tell whether a finding of `criterion` is about a share of slow requests."""
    percentile = policy.metrics[criterion.metric].percentile is not None
    return criterion.sequential and percentile


# --- Table ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion of a rollout, as text; finding: the newest, None before the first."""

    criterion: str
    kind: str
    gates: bool
    target: str
    measured: str
    finding: Finding | None

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
        """How strong the evidence is: the label of the finding."""
        return str(Label.NOT_JUDGED if self.finding is None else self.finding.label)

    @property
    def role(self) -> str:
        """Whether the criterion decides over the rollout: `gate`, or only `report`."""
        return "gate" if self.gates else "report"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        mark = VERDICT_MARKS[self.verdict]
        values = (self.target, self.measured, self.samples, self.label)
        return mark, self.criterion, *values, self.role

    def data(self) -> dict[str, Any]:
        """Return the row as plain JSON data."""
        return {
            "criterion": self.criterion,
            "kind": self.kind,
            "role": self.role,
            "target": self.target,
            "measured": self.measured,
            "samples": 0 if self.finding is None else self.finding.samples,
            "verdict": str(self.verdict),
            "label": self.label,
        }


def rows(rollout: Rollout) -> list[Row]:
    """Return a row for each criterion of the policy, sorted by id.

    A criterion that the gate of this step does not judge has the finding of an earlier step.
    """
    findings = {one.criterion: one for one in (*rollout.earlier, *rollout.findings)}
    policy = rollout.policy
    return [
        _row(name, one, policy, findings.get(name)) for name, one in sorted(policy.criteria.items())
    ]


def table(rollout: Rollout) -> list[str]:
    """Return the rows as aligned lines under a header; no line before the first finding."""
    if not (rollout.findings or rollout.earlier):
        return []
    cells = [row.cells for row in rows(rollout)]
    widths = [max(map(len, column)) for column in zip(HEADER, *cells, strict=True)]
    return ["  ".join(_pad_cells(line, widths)).rstrip() for line in (HEADER, *cells)]


def _pad_cells(line: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for title, text, width in zip(HEADER, line, widths, strict=True):
        yield text.rjust(width) if title in RIGHT_ALIGNED else text.ljust(width)


def _row(name: str, criterion: Criterion, policy: Policy, finding: Finding | None) -> Row:
    measured, target = NO_VALUE, target_text(criterion, policy)
    if finding is not None:
        measured, target = measured_text(finding, policy), bound_text(finding, policy)
    return Row(name, criterion.kind, criterion.gating, target, measured, finding)
