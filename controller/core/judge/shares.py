"""What some minutes showed, as the sentences of the sequential judge say it."""

from controller.core.judge.case import Case
from controller.core.judge.figures import number, percent
from controller.core.judge.minutes import Blamed
from controller.core.judge.slow import Limits, by_percentiles
from controller.core.policy import (
    Bounded,
    FrozenBaseline,
    LatencyIncrease,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import (
    MINUTE_S,
    count_text,
    format_duration,
    format_percent,
    number_text,
)


def seen_text(criterion: Bounded, case: Case, unit: str, seen: Blamed) -> str:
    """Return what `seen` shows of `criterion` beside what is allowed; values are in `unit`."""
    match criterion:
        case SuccessRate():
            return _failing(1 - criterion.min, seen)
        case LatencyIncrease():
            return _slower(criterion, case, unit, seen)
        case Threshold() if case.limits is not None:
            return (
                f"{_share(seen.amount, seen.requests, case.usual)} of requests were slower than "
                f"{_value(criterion.bound, unit)}, at most {format_percent(case.usual)} allowed; "
                f"{_n(seen)}"
            )
        case Threshold():
            return _limit(criterion, seen)
        case Traffic():
            return f"{count_text(seen.requests, 'request')} arrived"


def _failing(allowed: float, seen: Blamed) -> str:
    failed, requests = number_text(seen.amount), count_text(seen.requests, "request")
    share = percent(_part(seen.amount, seen.requests), allowed, 2)
    text = f"{failed} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not seen.control_requests:
        return text
    beside = percent(_part(seen.control_amount, seen.control_requests), allowed, 2)
    return f"{text}; {beside} on the stable path"


def _slower(criterion: LatencyIncrease, case: Case, unit: str, seen: Blamed) -> str:
    if case.limits is None:
        return "its baseline was never read"
    if case.limits.beside:
        return _beside(criterion, case, case.limits, unit, seen)
    return _against_stored(criterion, case, case.limits, unit, seen)


def _beside(criterion: LatencyIncrease, case: Case, limits: Limits, unit: str, seen: Blamed) -> str:
    usual = _value(limits.control, unit)
    other = _share(seen.control_amount, seen.control_requests, case.usual)
    return (
        f"{_share(seen.amount, seen.requests, case.usual)} of canary requests were slower than "
        f"{_times(criterion)} the stable path's {case.statistic} ({usual}), {other} of the stable "
        f"path's were slower than {usual}{_how(criterion)}; {_n(seen)}"
    )


def _against_stored(
    criterion: LatencyIncrease, case: Case, limits: Limits, unit: str, seen: Blamed
) -> str:
    limit, amount, drift = limits.holds, seen.amount, ""
    if seen.beyond < seen.amount:
        limit, amount = limits.fails, seen.beyond
        drift = f" and {format_percent(criterion.allowance)} of drift"
    frozen = isinstance(criterion.baseline, FrozenBaseline)
    whose = f"the stored {case.statistic}" if frozen else "the fixed value"
    return (
        f"{_share(amount, seen.requests, case.usual)} of canary requests were slower than "
        f"{_value(limit, unit)} ({_times(criterion)} {whose}{drift}), "
        f"{format_percent(round(case.usual, 4))} allowed{_how(criterion)}; {_n(seen)}"
    )


def _limit(criterion: Threshold, seen: Blamed) -> str:
    if criterion.per is not None:
        share = percent(_part(seen.amount, seen.requests), criterion.bound, 2)
        most = format_percent(criterion.bound)
        return f"{criterion.metric} per {criterion.per} was {share}, at most {most}; {_n(seen)}"
    minutes = max(1, (seen.end - seen.start) // MINUTE_S)
    mean = seen.amount / minutes * (criterion.over.total_seconds() / MINUTE_S)
    return (
        f"{criterion.metric} was {number(mean, criterion.bound)} in "
        f"{format_duration(criterion.over)} on average, at most {number_text(criterion.bound)}"
    )


def _times(criterion: LatencyIncrease) -> str:
    return f"{1 + criterion.max_increase:g} ×"


def _how(criterion: LatencyIncrease) -> str:
    return ", read between percentiles" if by_percentiles(criterion) else ""


def _n(seen: Blamed) -> str:
    return f"n = {number_text(round(seen.requests))}"


def _share(part: float, whole: float, usual: float) -> str:
    return percent(_part(part, whole), usual, 1)


def _value(value: float, unit: str) -> str:
    return f"{number_text(round(value, 1))} {unit}".rstrip()


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
