"""Parts of the monitoring of a policy, without AWS syntax: a dashboard, its graphs, and alarms.

The alarms are for the criteria that have a bound: a net without rolloutctl. An alarm compares
closed windows with the bound, whichever judge the policy has. It may detect less than the judge,
which runs as well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery
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

Missing: TypeAlias = Literal["missing", "notBreaching"]

COMPUTED: Final = "rolloutctl computes its value, which CloudWatch does not know"


def unknown_source(policy: Policy, criterion: str) -> str:
    """Return why CloudWatch has no metrics of a criterion; empty: it has them."""
    metrics = (policy.metrics[name] for name in policy.criteria[criterion].metric_names)
    others = (metric for metric in metrics if metric.source is not None)
    return next((f"its metrics are of {one.place}, and CloudWatch has none" for one in others), "")


# --- Resources ------------------------------------------------------------------------------------


class Line(Immutable):
    """One series: a statistic of a metric, or an expression over other lines by their ids.

    visible: False for an input of an expression only. right: uses the right axis.
    bound: it is the bound of a criterion for another line.
    """

    id: str
    label: str
    query: MetricQuery | None = None
    expression: str = ""
    visible: bool = True
    right: bool = False
    bound: bool = False


class BoundLine(Immutable):
    """The bound of a criterion, a horizontal line of a widget."""

    value: float
    label: str
    right: bool = False


class Moment(Immutable):
    """An event of the rollout, a vertical line of every widget."""

    at: datetime
    label: str


class Widget(Immutable):
    """One graph. left, right: labels of its axes."""

    title: str
    lines: tuple[Line, ...]
    bounds: tuple[BoundLine, ...] = ()
    left: str = ""
    right: str = ""


class Dashboard(Immutable):
    """A page of graphs. text: Markdown at its top."""

    name: str
    text: str
    widgets: tuple[Widget, ...]
    moments: tuple[Moment, ...] = ()


class CriterionAlarm(Immutable):
    """The alarm of one criterion, which works while rolloutctl does not run.

    text: its condition as a sentence. lines: the last one is compared with the threshold.
    above: breaching is above the threshold, else below. periods: breaching periods in a row.
    missing: what CloudWatch makes of missing data.
    ignores_few_samples: a percentile of too few samples does not change the state.
    """

    name: str
    text: str
    lines: tuple[Line, ...]
    threshold: float
    above: bool
    periods: int
    missing: Missing
    ignores_few_samples: bool = False


class Monitoring(Immutable):
    """The desired monitoring of one policy.

    name: of the stack, the dashboard and the topic.
    emails: addresses that the alarms notify; empty: those of the deployed stack.
    notes: what of the policy is left out, and why.
    alarms_without_baseline: names of alarms whose baseline is not known here; deployed ones are
        kept.
    """

    policy: str
    name: str
    dashboard: Dashboard
    alarms: tuple[CriterionAlarm, ...]
    emails: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alarms_without_baseline: tuple[str, ...] = ()


# --- Lines of graphs and alarms -------------------------------------------------------------------


def percent_of(fraction: float) -> float:
    """Return a fraction as a percentage, without the noise of binary fractions."""
    return round(100 * fraction, 6)


def _single_line(name: str, metric: Metric, period_s: int) -> tuple[Line]:
    """Return the line of a single metric."""
    return (Line("m1", name, query(metric, metric.statistic, period_s)),)


def ratio_lines(policy: Policy, ratio: Ratio, period_s: int) -> tuple[Line, ...]:
    """Return the lines of a share in percent: of failures, where the ratio is about them."""
    ids = {name: f"m{number}" for number, name in enumerate(ratio.metrics, 1)}

    def term(name: str) -> str:
        """Return the term of a line in the expression; missing data are 0 under `missing: zero`."""
        is_zero = policy.metrics[name].missing == "zero"
        return f"FILL({ids[name]}, 0)" if is_zero else ids[name]

    def total(terms: Sequence[str]) -> str:
        return f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]

    whole, part = total([ids[name] for name in ratio.whole]), total(list(map(term, ratio.parts)))
    counted = f"({whole} - {part})" if ratio.counts == "successes" else part
    label = ratio.text if ratio.judges_failures else f"{ratio.text} per {' + '.join(ratio.whole)}"
    return (
        *(_input(policy.metrics[name], identity, name, period_s) for name, identity in ids.items()),
        Line("e1", label, expression=f"100 * {counted} / {whole}"),
    )


def _increase_lines(
    policy: Policy, increase: Increase, min_samples: int, period_s: int
) -> tuple[Line, ...]:
    """Return the lines of an increase over a metric of the same time, in percent.

    It is 0 when either metric has too few samples.
    """
    paths = [(name, policy.metrics[name]) for name in (increase.metric, increase.control)]
    values = [_input(one, f"m{at}", name, period_s) for at, (name, one) in enumerate(paths, 1)]
    samples = [
        _input(one, f"m{at}", f"{name} samples", period_s, SAMPLE_COUNT)
        for at, (name, one) in enumerate(paths, 3)
    ]
    enough = " AND ".join(f"{line.id} >= {min_samples}" for line in samples)
    label = f"{increase.metric} above {increase.control}"
    formula = Line("e1", label, expression=f"IF({enough}, 100 * (m1 / m2 - 1), 0)")
    return *values, *samples, formula


def _input(metric: Metric, identity: str, label: str, period_s: int, statistic: str = "") -> Line:
    """Return an input of an expression: a metric with its own statistic, or with another one."""
    line_query = query(metric, statistic or metric.statistic, period_s)
    return Line(identity, label, line_query, visible=False)


# --- The alarm of a criterion ---------------------------------------------------------------------


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
    above, side = one.is_maximum, "more" if one.is_maximum else "less"
    match one.measured:
        case Level(metric=name):
            metric = policy.metrics[name]
            return _Condition(
                f"{name} is {side} than {_value(one.bound, metric)}",
                _single_line(name, metric, period_s),
                one.bound,
                above=above,
                periods=_COUNT_PERIODS if metric.is_count else _VALUE_PERIODS,
                missing_is_ok=metric.is_count and above,
            )
        case Ratio() as ratio:  # too many fail, or another ratio is beyond its bound
            lines, share = ratio_lines(policy, ratio, period_s), format_percent(one.share_bound)
            text = f"{lines[-1].label} is {side} than {share}"
            if ratio.judges_failures:
                above, text = True, f"more than {share} of {ratio.whole[0]} fail"
            threshold = percent_of(one.share_bound)
            return _Condition(text, lines, threshold, above=above, missing_is_ok=above)
        case Increase(control="", metric=name) as increase:
            limit, baseline = limit_of(one, stored), increase.fixed or stored
            if limit is None or baseline is None:
                return NotCompared("no rollout has frozen its baseline yet")
            metric = policy.metrics[name]
            return _Condition(
                f"{name} is more than {_value(limit, metric)}, which is "
                f"{format_percent(one.bound)} above its baseline of {_value(baseline, metric)},",
                _single_line(name, metric, period_s),
                limit,
            )
        case Increase(metric=name) as increase:
            return _Condition(
                f"{name} is more than {format_percent(one.bound)} above {increase.control} of the "
                f"same time, from {number_text(one.min_samples)} samples of both on,",
                _increase_lines(policy, increase, one.min_samples, period_s),
                percent_of(one.bound),
            )
        case Computed():
            return NotCompared(COMPUTED)


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


def _value(value: float, metric: Metric) -> str:
    return f"{number_text(value)} {metric.unit}".rstrip()
