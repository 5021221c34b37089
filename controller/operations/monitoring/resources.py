"""Parts of the monitoring of a policy: alarms, dashboard, widgets and lines, without AWS syntax."""

from datetime import datetime
from typing import Literal, TypeAlias

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery
from controller.core.policy import LatencyIncrease, Metric, Policy, SuccessRate, Threshold
from controller.immutable import Immutable

Missing: TypeAlias = Literal["missing", "notBreaching"]


# --- Resources ------------------------------------------------------------------------------------


class Line(Immutable):
    """One series: a statistic of a metric, or an expression over other lines by their ids.

    shown: False for an input of an expression only. right: uses the right axis.
    bound: it is the bound of a criterion for another line.
    """

    id: str
    label: str
    query: MetricQuery | None = None
    expression: str = ""
    visible: bool = True
    right: bool = False
    bound: bool = False


class Bound(Immutable):
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
    bounds: tuple[Bound, ...] = ()
    left: str = ""
    right: str = ""


class Dashboard(Immutable):
    """A page of graphs. text: Markdown at its top."""

    name: str
    text: str
    widgets: tuple[Widget, ...]
    moments: tuple[Moment, ...] = ()


class Alarm(Immutable):
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
    unknown: names of alarms whose baseline is not known here; deployed ones are kept.
    """

    policy: str
    name: str
    dashboard: Dashboard
    alarms: tuple[Alarm, ...]
    emails: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alarms_without_baseline: tuple[str, ...] = ()


# --- Lines of graphs and alarms -------------------------------------------------------------------


def percent_of(fraction: float) -> float:
    """Return a fraction as a percentage, without the noise of binary fractions."""
    return round(100 * fraction, 6)


def single_line(name: str, metric: Metric, period_s: int) -> tuple[Line]:
    """Return the line of a single metric."""
    return (Line("m1", name, query(metric, metric.statistic, period_s)),)


def failure_lines(policy: Policy, criterion: SuccessRate, period_s: int) -> tuple[Line, ...]:
    """Return the lines of the percentage of requests that fail."""
    numbered = [(name, f"m{number}") for number, name in enumerate(criterion.counted, 2)]
    terms = " + ".join(_term(policy, name, identity) for name, identity in numbered)
    part = f"({terms})" if len(numbered) > 1 else terms
    failed = part if criterion.successes is None else f"(m1 - {part})"
    return (
        _part(policy, criterion.total, "m1", period_s),
        *(_part(policy, name, identity, period_s) for name, identity in numbered),
        Line("e1", criterion.failures_text, expression=f"100 * {failed} / m1"),
    )


def ratio_lines(policy: Policy, criterion: Threshold, per: str, period_s: int) -> tuple[Line, ...]:
    """Return the lines of a metric as a percentage of another."""
    part = _term(policy, criterion.metric, "m2")
    return (
        _part(policy, per, "m1", period_s),
        _part(policy, criterion.metric, "m2", period_s),
        Line("e1", f"{criterion.metric} per {per}", expression=f"100 * {part} / m1"),
    )


def increase_lines(
    policy: Policy, criterion: LatencyIncrease, control: str, period_s: int
) -> tuple[Line, ...]:
    """Return the lines of the increase over `control`, in percent.

    It is 0 when either metric has too few samples.
    """
    paths = ((criterion.metric, "m1", "m3"), (control, "m2", "m4"))
    enough_samples = " AND ".join(
        f"{samples_id} >= {criterion.min_samples}" for _, _, samples_id in paths
    )
    return (
        *(_part(policy, one, identity, period_s) for one, identity, _ in paths),
        *(_samples(policy, one, samples_id, period_s) for one, _, samples_id in paths),
        Line(
            "e1",
            f"{criterion.metric} above {control}",
            expression=f"IF({enough_samples}, 100 * (m1 / m2 - 1), 0)",
        ),
    )


def _part(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    metric = policy.metrics[name]
    return Line(identity, name, query(metric, metric.statistic, period_s), visible=False)


def _samples(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    sample_query = query(policy.metrics[name], SAMPLE_COUNT, period_s)
    return Line(identity, f"{name} samples", sample_query, visible=False)


def _term(policy: Policy, name: str, identity: str) -> str:
    """Return the term of a line in an expression; missing data are 0 under `missing: zero`."""
    return f"FILL({identity}, 0)" if policy.metrics[name].missing == "zero" else identity
