"""What a finding measured and what it was held against, in the unit of its criterion."""

from typing import Final, assert_never

from controller.core.findings import Finding
from controller.core.judge.figures import number, percent
from controller.core.policy import (
    Alarm,
    Attestation,
    Bounded,
    BurnRate,
    Criterion,
    LatencyIncrease,
    LogEvents,
    Policy,
    Share,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import format_percent

NOTHING: Final = "–"
_DIGITS = 3  # decimals of a percent


def measured_text(finding: Finding, policy: Policy) -> str:
    """Return the measured value, like `99.95%` or `+3.1%`; a dash when nothing was measured.

    Where that is a plain number, the bound has its unit.
    """
    if finding.measured is None:
        return NOTHING
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
        case criterion:
            return _bounded(criterion, value, finding.bound, policy)


def _bounded(criterion: Bounded, value: float, bound: float, policy: Policy) -> str:
    match criterion:
        case LatencyIncrease() | Threshold() if _of_slow(criterion, policy):
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
    criterion, bound = policy.criteria[finding.criterion], finding.bound
    if isinstance(criterion, LatencyIncrease | Threshold) and _of_slow(criterion, policy):
        return f"≤ {format_percent(bound, 2)} slow"
    return _target(criterion, bound, policy)


def target_text(criterion: Criterion, policy: Policy) -> str:
    """Return what `criterion` asks for, of which nothing was judged yet."""
    match criterion:
        case SuccessRate():
            return _target(criterion, criterion.min, policy)
        case LatencyIncrease():
            return _target(criterion, criterion.max_increase, policy)
        case Threshold() | LogEvents():
            return _target(criterion, float(criterion.bound), policy)
        case Traffic():
            return _target(criterion, float(criterion.min), policy)
        case BurnRate():
            return " and ".join(f"≤ {pair.factor:g}x" for pair in criterion.windows)
        case Share():
            return f"weight ± {format_percent(criterion.tolerance)}"
        case Alarm() | Attestation():
            return _target(criterion, 0.0, policy)
        case unreachable:
            assert_never(unreachable)


def _target(criterion: Criterion, bound: float, policy: Policy) -> str:
    match criterion:
        case Alarm():
            return "OK"
        case Attestation():
            return "signed"
        case LogEvents():
            return f"{'≤' if criterion.present is None else '≥'} {number(bound, bound)} events"
        case BurnRate():
            return f"≤ {number(bound, bound)}x"
        case Share():
            return f"{percent(bound, bound, 0)} ± {format_percent(criterion.tolerance)}"
        case _:
            return _bound(criterion, bound, policy)


def _bound(criterion: Bounded, bound: float, policy: Policy) -> str:
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


def _of_slow(criterion: LatencyIncrease | Threshold, policy: Policy) -> bool:
    """Tell whether a finding of `criterion` is about a share of slow requests."""
    percentile = policy.metrics[criterion.metric].percentile is not None
    return criterion.sequential and percentile
