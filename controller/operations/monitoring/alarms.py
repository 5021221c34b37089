"""CloudWatch alarms for the criteria of a policy that have a bound: a net without rolloutctl.

An alarm compares closed windows with the bound, whichever judge the policy has. It may detect less
than the judge, which runs as well.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    Metric,
    Policy,
    SuccessRate,
    Threshold,
)
from controller.core.units import format_duration, format_percent, number_text
from controller.operations.monitoring.resources import (
    Alarm,
    Line,
    failure_lines,
    increase_lines,
    percent_of,
    ratio_lines,
    single_line,
)
from controller.ports.monitoring import resource_name

Bounded: TypeAlias = SuccessRate | LatencyIncrease | Threshold


# A window shorter than five minutes has too few requests for an alarm.
_MIN_PERIOD_S: Final = 300

# Windows in a row that have to breach: a count needs one; one window of latency may be a cold
# start; all else is a safety net, which the judge decides better (SC-003, SC-004).
_COUNT_PERIODS, _VALUE_PERIODS, _SAFETY_NET_PERIODS = 1, 2, 3


def alarm_of(
    policy: Policy, name: str, criterion: Criterion, baselines: Mapping[str, BaselineMeasurement]
) -> Alarm | None:
    """Return the alarm of a criterion; None without a bound, or while its baseline is unknown.

    baselines: the frozen baselines of a rollout of the policy, by criterion.
    """
    match criterion:
        case Threshold(per=str(per)):
            return _ratio_alarm(policy, name, criterion, per)
        case Threshold():
            return _threshold_alarm(policy, name, criterion)
        case SuccessRate():
            return _success_rate_alarm(policy, name, criterion)
        case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
            return _concurrent_latency_alarm(policy, name, criterion, control)
        case LatencyIncrease():
            baseline = baseline_of(name, criterion, baselines)
            return (
                None
                if baseline is None
                else _baseline_latency_alarm(policy, name, criterion, baseline)
            )
        case _:
            return None


def baseline_of(
    name: str, criterion: LatencyIncrease, baselines: Mapping[str, BaselineMeasurement]
) -> float | None:
    """Return the value that a latency is compared with; None when there is none, or not yet."""
    if isinstance(criterion.baseline, FixedBaseline):
        return criterion.baseline.fixed
    frozen = baselines.get(name)
    return None if frozen is None else frozen.value


def limit_of(criterion: LatencyIncrease, baseline: float) -> float:
    """Return the highest allowed latency, in the unit of the metric."""
    return round(baseline * (1 + criterion.max_increase), 3)


def period_of(criterion: Bounded) -> int:
    """Return the length of one window of the alarm of `criterion`, in seconds."""
    return max(_MIN_PERIOD_S, int(criterion.window.total_seconds()))


# --- Alarms by kind of criterion ------------------------------------------------------------------


def _threshold_alarm(policy: Policy, name: str, criterion: Threshold) -> Alarm:
    metric = policy.metrics[criterion.metric]
    additive = metric.is_count
    above = criterion.max is not None
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is {_side(criterion)} than {_value(criterion.bound, metric)}",
        single_line(criterion.metric, metric, period_of(criterion)),
        criterion.bound,
        above=above,
        periods=_COUNT_PERIODS if additive else _VALUE_PERIODS,
        missing_is_ok=additive and above,
    )


def _ratio_alarm(policy: Policy, name: str, criterion: Threshold, per: str) -> Alarm:
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} per {per} is {_side(criterion)} than "
        f"{format_percent(criterion.bound)}",
        ratio_lines(policy, criterion, per, period_of(criterion)),
        percent_of(criterion.bound),
        above=criterion.max is not None,
        missing_is_ok=criterion.max is not None,
    )


def _success_rate_alarm(policy: Policy, name: str, criterion: SuccessRate) -> Alarm:
    max_failure_share = 1 - criterion.min
    return _alarm(
        policy,
        name,
        criterion,
        f"more than {format_percent(max_failure_share)} of {criterion.total} fail",
        failure_lines(policy, criterion, period_of(criterion)),
        percent_of(max_failure_share),
        missing_is_ok=True,
    )


def _concurrent_latency_alarm(
    policy: Policy, name: str, criterion: LatencyIncrease, control: str
) -> Alarm:
    """Return the alarm of a latency against its concurrent control; it ignores few samples."""
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is more than {format_percent(criterion.max_increase)} above {control} "
        f"of the same time, from {number_text(criterion.min_samples)} samples of both on,",
        increase_lines(policy, criterion, control, period_of(criterion)),
        percent_of(criterion.max_increase),
    )


def _baseline_latency_alarm(
    policy: Policy, name: str, criterion: LatencyIncrease, baseline: float
) -> Alarm:
    metric = policy.metrics[criterion.metric]
    limit = limit_of(criterion, baseline)
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is more than {_value(limit, metric)}, which is "
        f"{format_percent(criterion.max_increase)} above its baseline of "
        f"{_value(baseline, metric)},",
        single_line(criterion.metric, metric, period_of(criterion)),
        limit,
    )


# --- Parts of an alarm ----------------------------------------------------------------------------


def _alarm(
    policy: Policy,
    name: str,
    criterion: Bounded,
    condition: str,
    lines: tuple[Line, ...],
    threshold: float,
    *,
    above: bool = True,
    periods: int = _SAFETY_NET_PERIODS,
    missing_is_ok: bool = False,
) -> Alarm:
    """Return an alarm whose text describes its condition.

    missing_is_ok: no datapoint means that nothing happened. Otherwise missing data make the alarm
    INSUFFICIENT_DATA instead of keeping its state: after a rollback it would stay in ALARM.
    """
    window = format_duration(timedelta(seconds=period_of(criterion)))
    timing = f"in {window}" if periods == 1 else f"in {periods} windows of {window} in a row"
    single_query = lines[0].query if len(lines) == 1 else None
    return Alarm(
        name=resource_name(policy.name, name),
        text=f"{name} of {policy.name}: {condition} {timing}.",
        lines=lines,
        threshold=threshold,
        above=above,
        periods=periods,
        missing="notBreaching" if missing_is_ok else "missing",
        ignores_few_samples=single_query is not None and single_query.statistic.startswith("p"),
    )


def _side(criterion: Threshold) -> str:
    return "less" if criterion.max is None else "more"


def _value(value: float, metric: Metric) -> str:
    return f"{number_text(value)} {metric.unit}".rstrip()
