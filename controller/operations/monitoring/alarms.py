"""The alarms of a policy: each criterion that has a bound, as a net that needs no rolloutctl.

They compare closed windows with the bound, whichever judge the policy has: an alarm that tells less
than the judge is no loss, for the judge is there too.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from controller.core.judge.evidence import FrozenValue
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
from controller.ports.monitoring import name_of

Bounded: TypeAlias = SuccessRate | LatencyIncrease | Threshold

COUNTS: Final = ("Sum", "SampleCount")
# A shorter window than five minutes has too few requests for an alarm.
_SHORTEST_S: Final = 300
# Windows in a row: a count is over its limit at once, a latency may have been one cold start, and
# the rest is judged better by the judge (SC-003, SC-004).
_OF_A_COUNT, _OF_A_VALUE, _OF_A_NET = 1, 2, 3


def alarm_of(
    policy: Policy, name: str, criterion: Criterion, baselines: Mapping[str, FrozenValue]
) -> Alarm | None:
    """Return the alarm of a criterion; None for one without a bound, or none that is known yet.

    baselines: what a rollout of the policy has frozen.
    """
    match criterion:
        case Threshold(per=str(per)):
            return _ratio(policy, name, criterion, per)
        case Threshold():
            return _plain(policy, name, criterion)
        case SuccessRate():
            return _failing(policy, name, criterion)
        case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
            return _beside(policy, name, criterion, control)
        case LatencyIncrease():
            baseline = baseline_of(name, criterion, baselines)
            return None if baseline is None else _slower(policy, name, criterion, baseline)
        case _:
            return None


def baseline_of(
    name: str, criterion: LatencyIncrease, baselines: Mapping[str, FrozenValue]
) -> float | None:
    """Return the one number that a latency is compared with; None where there is none (yet)."""
    if isinstance(criterion.baseline, FixedBaseline):
        return criterion.baseline.fixed
    known = baselines.get(name)
    return None if known is None else known.value


def limit_of(criterion: LatencyIncrease, baseline: float) -> float:
    """Return the largest latency that holds, in the unit of the metric."""
    return round(baseline * (1 + criterion.max_increase), 3)


def period_of(criterion: Bounded) -> int:
    """Return the length of one window of the alarm of `criterion`, in seconds."""
    return max(_SHORTEST_S, int(criterion.over.total_seconds()))


# --- one for each kind --------------------------------------------------------------------------


def _plain(policy: Policy, name: str, criterion: Threshold) -> Alarm:
    metric = policy.metrics[criterion.metric]
    counted = metric.statistic in COUNTS
    above = criterion.max is not None
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is {_side(criterion)} than {_value(criterion.bound, metric)}",
        single_line(criterion.metric, metric, period_of(criterion)),
        criterion.bound,
        above=above,
        periods=_OF_A_COUNT if counted else _OF_A_VALUE,
        quiet_is_fine=counted and above,
    )


def _ratio(policy: Policy, name: str, criterion: Threshold, per: str) -> Alarm:
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} per {per} is {_side(criterion)} than "
        f"{format_percent(criterion.bound)}",
        ratio_lines(policy, criterion, per, period_of(criterion)),
        percent_of(criterion.bound),
        above=criterion.max is not None,
        quiet_is_fine=criterion.max is not None,
    )


def _failing(policy: Policy, name: str, criterion: SuccessRate) -> Alarm:
    may_fail = 1 - criterion.min
    return _alarm(
        policy,
        name,
        criterion,
        f"more than {format_percent(may_fail)} of {criterion.total} fail",
        failure_lines(policy, criterion, period_of(criterion)),
        percent_of(may_fail),
        quiet_is_fine=True,
    )


def _beside(policy: Policy, name: str, criterion: LatencyIncrease, control: str) -> Alarm:
    """Return an alarm of a latency against another one at the same time, from enough samples on."""
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is more than {format_percent(criterion.max_increase)} above {control} "
        f"of the same time, from {number_text(criterion.min_samples)} samples of both on,",
        increase_lines(policy, criterion, control, period_of(criterion)),
        percent_of(criterion.max_increase),
    )


def _slower(policy: Policy, name: str, criterion: LatencyIncrease, baseline: float) -> Alarm:
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


# --- what they are made of ----------------------------------------------------------------------


def _alarm(
    policy: Policy,
    name: str,
    criterion: Bounded,
    what: str,
    lines: tuple[Line, ...],
    threshold: float,
    *,
    above: bool = True,
    periods: int = _OF_A_NET,
    quiet_is_fine: bool = False,
) -> Alarm:
    """Return an alarm that says of itself what it tells.

    quiet_is_fine: no datapoint means that nothing happened. Elsewhere the alarm then says so, and
    does not go on saying what it said before: after a rollback it would stay red for ever.
    """
    window = format_duration(timedelta(seconds=period_of(criterion)))
    when = f"in {window}" if periods == 1 else f"in {periods} windows of {window} in a row"
    only = lines[0].query if len(lines) == 1 else None
    return Alarm(
        name=name_of(policy.name, name),
        text=f"{name} of {policy.name}: {what} {when}.",
        lines=lines,
        threshold=threshold,
        above=above,
        periods=periods,
        missing="notBreaching" if quiet_is_fine else "missing",
        few_ignored=only is not None and only.statistic.startswith("p"),
    )


def _side(criterion: Threshold) -> str:
    return "less" if criterion.max is None else "more"


def _value(value: float, metric: Metric) -> str:
    return f"{number_text(value)} {metric.unit}".rstrip()
