"""What a finding measured and what it was held against, in the unit of its criterion."""

from typing import assert_never

from controller.core.findings import Finding
from controller.core.judge.figures import number, percent
from controller.core.policy import LatencyIncrease, Policy, SuccessRate, Threshold, Traffic

_DIGITS = 3  # decimals of a percent


def measured_text(finding: Finding, policy: Policy) -> str:
    """Return the measured value, like `99.95%` or `+3.1%`; a dash when nothing was measured.

    Where that is a plain number, the bound has its unit.
    """
    if finding.measured is None:
        return "–"
    value, bound = finding.measured, finding.bound
    match policy.criteria[finding.criterion]:
        case LatencyIncrease() | Threshold() as one if _of_slow(one, policy):
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
    """Return the bound and on which side of it the criterion holds, like `≥ 99.9%`."""
    bound = finding.bound
    match policy.criteria[finding.criterion]:
        case LatencyIncrease() | Threshold() as one if _of_slow(one, policy):
            return f"≤ {percent(bound, bound, 1)} slow"
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


def _of_slow(criterion: LatencyIncrease | Threshold, policy: Policy) -> bool:
    """Tell whether a finding of `criterion` is about a share of slow requests."""
    percentile = policy.metrics[criterion.metric].percentile is not None
    return criterion.sequential and percentile
