"""CloudWatch alarms for the criteria of a policy that have a bound: a net without rolloutctl.

An alarm compares closed windows with the bound, whichever judge the policy has. It may detect less
than the judge, which runs as well.
"""

from datetime import timedelta
from typing import Final

from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import (
    Comparison,
    Computed,
    Increase,
    Level,
    NotCompared,
    Ratio,
)
from controller.core.units import format_duration, format_percent, number_text
from controller.immutable import Immutable
from controller.ports.monitoring import resource_name
from controller.tools.monitoring.resources import (
    COMPUTED,
    CriterionAlarm,
    Line,
    increase_lines,
    percent_of,
    ratio_lines,
    single_line,
    unknown_source,
)

# A window shorter than five minutes has too few requests for an alarm.
_MIN_PERIOD_S: Final = 300

# Windows in a row that have to breach: a count needs one; one window of latency may be a cold
# start; all else is a safety net, which the judge decides better (SC-003, SC-004).
_COUNT_PERIODS, _VALUE_PERIODS, _SAFETY_NET_PERIODS = 1, 2, 3


def alarm_of(policy: Policy, name: str, stored: float | None) -> CriterionAlarm | NotCompared:
    """Return the alarm of the criterion called `name`, or why it has none.

    stored: its frozen baseline; None before a rollout has read it.
    """
    if elsewhere := unknown_source(policy, name):
        return NotCompared(elsewhere)
    compared = policy.criteria[name].compares()
    if isinstance(compared, NotCompared):
        return compared
    one = compared[0]
    if one.follows_weight:
        return NotCompared("what it expects follows the weight")
    if one.window is None:
        return NotCompared("it is about a whole step, and an alarm is about a window")
    if one.and_window is not None:
        return NotCompared("it fails by two windows at once, and an alarm has one")
    condition = _condition(policy, one, stored, period_of(one.window))
    return condition if isinstance(condition, NotCompared) else _alarm(policy, name, condition)


def limit_of(one: Comparison, stored: float | None) -> float | None:
    """Return the highest allowed latency, in the unit of the metric; None: it is not known yet."""
    limit = one.limit(stored)
    return None if limit is None else round(limit, 3)


def period_of(window: timedelta) -> int:
    """Return the length of one window of an alarm, in seconds, for a criterion with `window`."""
    return max(_MIN_PERIOD_S, int(window.total_seconds()))


# --- Conditions -----------------------------------------------------------------------------------


class _Condition(Immutable):
    """What an alarm compares with its threshold.

    missing_is_ok: no datapoint means that nothing happened. Otherwise missing data make the alarm
    INSUFFICIENT_DATA instead of keeping its state: after a rollback it would stay in ALARM.
    """

    text: str
    lines: tuple[Line, ...]
    threshold: float
    above: bool = True
    periods: int = _SAFETY_NET_PERIODS
    missing_is_ok: bool = False


def _condition(
    policy: Policy, one: Comparison, stored: float | None, period_s: int
) -> _Condition | NotCompared:
    match one.measured:
        case Level(metric=name):
            return _level_condition(one, name, policy.metrics[name], period_s)
        case Ratio() as ratio:
            return _ratio_condition(policy, one, ratio, period_s)
        case Increase(control="") as increase:
            return _stored_condition(policy, one, increase, stored, period_s)
        case Increase() as increase:
            return _Condition(
                f"{increase.metric} is more than {format_percent(one.bound)} above "
                f"{increase.control} of the same time, from {number_text(one.min_samples)} samples "
                "of both on,",
                increase_lines(policy, increase, one.min_samples, period_s),
                percent_of(one.bound),
            )
        case Computed():
            return NotCompared(COMPUTED)


def _level_condition(one: Comparison, name: str, metric: Metric, period_s: int) -> _Condition:
    return _Condition(
        f"{name} is {_side(one)} than {_value(one.bound, metric)}",
        single_line(name, metric, period_s),
        one.bound,
        above=one.is_maximum,
        periods=_COUNT_PERIODS if metric.is_count else _VALUE_PERIODS,
        missing_is_ok=metric.is_count and one.is_maximum,
    )


def _ratio_condition(policy: Policy, one: Comparison, ratio: Ratio, period_s: int) -> _Condition:
    """Return that too many fail, or that another ratio is beyond its bound."""
    lines, share = ratio_lines(policy, ratio, period_s), format_percent(one.share_bound)
    above = one.is_maximum or ratio.judges_failures
    text = f"{lines[-1].label} is {_side(one)} than {share}"
    if ratio.judges_failures:
        text = f"more than {share} of {ratio.whole[0]} fail"
    return _Condition(text, lines, percent_of(one.share_bound), above=above, missing_is_ok=above)


def _stored_condition(
    policy: Policy, one: Comparison, increase: Increase, stored: float | None, period_s: int
) -> _Condition | NotCompared:
    limit, baseline = limit_of(one, stored), increase.fixed or stored
    if limit is None or baseline is None:
        return NotCompared("no rollout has frozen its baseline yet")
    metric = policy.metrics[increase.metric]
    return _Condition(
        f"{increase.metric} is more than {_value(limit, metric)}, which is "
        f"{format_percent(one.bound)} above its baseline of {_value(baseline, metric)},",
        single_line(increase.metric, metric, period_s),
        limit,
    )


def _alarm(policy: Policy, name: str, condition: _Condition) -> CriterionAlarm:
    """Return an alarm whose text describes its condition."""
    first, periods = condition.lines[0].query, condition.periods
    assert first is not None  # noqa: S101 - every condition begins with a metric
    window = format_duration(timedelta(seconds=first.period_s))
    timing = f"in {window}" if periods == 1 else f"in {periods} windows of {window} in a row"
    return CriterionAlarm(
        name=resource_name(policy.name, name),
        text=f"{name} of {policy.name}: {condition.text} {timing}.",
        lines=condition.lines,
        threshold=condition.threshold,
        above=condition.above,
        periods=periods,
        missing="notBreaching" if condition.missing_is_ok else "missing",
        ignores_few_samples=len(condition.lines) == 1 and first.statistic.startswith("p"),
    )


def _side(one: Comparison) -> str:
    return "more" if one.is_maximum else "less"


def _value(value: float, metric: Metric) -> str:
    return f"{number_text(value)} {metric.unit}".rstrip()
