"""The alarms of a policy: each criterion that has a bound, as a net that needs no rolloutctl.

They compare closed windows with the bound, whichever judge the policy has: an alarm that tells less
than the judge is no loss, for the judge is there too.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from controller.core.judge.queries import query
from controller.core.judge.slow import SAMPLES
from controller.core.measured import FrozenValue
from controller.core.monitoring.parts import Alarm, Line, name_of
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


def percent_of(fraction: float) -> float:
    """Return a fraction as a percentage, without the noise of binary fractions."""
    return round(100 * fraction, 6)


def failure_lines(policy: Policy, criterion: SuccessRate, period_s: int) -> tuple[Line, ...]:
    """Return the lines of the percentage of failures, which comes last."""
    numbered = [(name, f"m{number}") for number, name in enumerate(criterion.failures, 2)]
    terms = " + ".join(_term(policy, name, identity) for name, identity in numbered)
    part = f"({terms})" if len(numbered) > 1 else terms
    return (
        _part(policy, criterion.total, "m1", period_s),
        *(_part(policy, name, identity, period_s) for name, identity in numbered),
        Line("e1", " + ".join(criterion.failures), expression=f"100 * {part} / m1"),
    )


def ratio_lines(policy: Policy, criterion: Threshold, per: str, period_s: int) -> tuple[Line, ...]:
    """Return the lines of a percentage, which comes last."""
    part = _term(policy, criterion.metric, "m2")
    return (
        _part(policy, per, "m1", period_s),
        _part(policy, criterion.metric, "m2", period_s),
        Line("e1", f"{criterion.metric} per {per}", expression=f"100 * {part} / m1"),
    )


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
        _single(criterion.metric, metric, period_of(criterion)),
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
    period_s, least = period_of(criterion), criterion.min_samples
    pair = ((criterion.metric, "m1", "m3"), (control, "m2", "m4"))
    samples = (
        Line(few, f"{one} samples", query(policy.metrics[one], SAMPLES, period_s), shown=False)
        for one, _, few in pair
    )
    enough = f"m3 >= {least} AND m4 >= {least}"
    return _alarm(
        policy,
        name,
        criterion,
        f"{criterion.metric} is more than {format_percent(criterion.max_increase)} above {control} "
        f"of the same time, from {number_text(least)} samples of both on,",
        (
            *(_part(policy, one, identity, period_s) for one, identity, _ in pair),
            *samples,
            Line(
                "e1",
                f"{criterion.metric} above {control}",
                expression=f"IF({enough}, 100 * (m1 / m2 - 1), 0)",
            ),
        ),
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
        _single(criterion.metric, metric, period_of(criterion)),
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


def _single(name: str, metric: Metric, period_s: int) -> tuple[Line]:
    return (Line("m1", name, query(metric, metric.statistic, period_s)),)


def _part(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    metric = policy.metrics[name]
    return Line(identity, name, query(metric, metric.statistic, period_s), shown=False)


def _term(policy: Policy, name: str, identity: str) -> str:
    """Return a line inside an expression; what is published only when it happens is 0 else."""
    return f"FILL({identity}, 0)" if policy.metrics[name].missing == "zero" else identity


def _side(criterion: Threshold) -> str:
    return "less" if criterion.max is None else "more"


def _value(value: float, metric: Metric) -> str:
    return f"{number_text(value)} {metric.unit}".rstrip()
