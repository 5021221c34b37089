"""What monitoring is made of, in our words; how AWS spells it is an adapter's business."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from controller.core.judge.latency_tail import SAMPLES
from controller.core.judge.queries import query
from controller.core.observation import MetricQuery
from controller.core.policy import LatencyIncrease, Metric, Policy, SuccessRate, Threshold

Missing: TypeAlias = Literal["missing", "notBreaching"]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: a statistic of a metric, or an expression over other lines by their ids.

    shown: False for what only an expression needs. right: on the axis at the right. bound: it is
    what a criterion holds another line against.
    """

    id: str
    label: str
    query: MetricQuery | None = None
    expression: str = ""
    shown: bool = True
    right: bool = False
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that a criterion holds its series against, drawn across a widget."""

    value: float
    label: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened to the rollout, drawn through every widget."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Widget:
    """One graph. left, right: what its axes show."""

    title: str
    lines: tuple[Line, ...]
    bounds: tuple[Bound, ...] = ()
    left: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of graphs. text: what it says of itself."""

    name: str
    text: str
    widgets: tuple[Widget, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """One criterion, as an alarm that does not need rolloutctl to be running.

    text: when it breaches, in a sentence. lines: the last one is compared with the threshold.
    above: it breaches above the threshold, else below. periods: so many in a row. few_ignored: a
    percentile of too few samples changes nothing.
    """

    name: str
    text: str
    lines: tuple[Line, ...]
    threshold: float
    above: bool
    periods: int
    missing: Missing
    few_ignored: bool = False


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Everything that should be there for one policy.

    name: of the stack, the dashboard and the topic. emails: the addresses that the alarms write to;
    empty: those that the stack has already. notes: what of the policy is left out, and why.
    unknown: alarms that cannot be worked out here, because no store at hand has their baseline.
    """

    policy: str
    name: str
    dashboard: Dashboard
    alarms: tuple[Alarm, ...]
    emails: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


# --- Lines of a graph -----------------------------------------------------------------------------


def percent_of(fraction: float) -> float:
    """Return a fraction as a percentage, without the noise of binary fractions."""
    return round(100 * fraction, 6)


def single_line(name: str, metric: Metric, period_s: int) -> tuple[Line]:
    """Return the one line of a metric by itself."""
    return (Line("m1", name, query(metric, metric.statistic, period_s)),)


def failure_lines(policy: Policy, criterion: SuccessRate, period_s: int) -> tuple[Line, ...]:
    """Return the lines of the percentage of failures."""
    numbered = [(name, f"m{number}") for number, name in enumerate(criterion.failures, 2)]
    terms = " + ".join(_term(policy, name, identity) for name, identity in numbered)
    part = f"({terms})" if len(numbered) > 1 else terms
    return (
        _part(policy, criterion.total, "m1", period_s),
        *(_part(policy, name, identity, period_s) for name, identity in numbered),
        Line("e1", " + ".join(criterion.failures), expression=f"100 * {part} / m1"),
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
    """Return the lines of an increase over `control`, which is 0 where either has few samples."""
    pair = ((criterion.metric, "m1", "m3"), (control, "m2", "m4"))
    enough = " AND ".join(f"{few} >= {criterion.min_samples}" for _, _, few in pair)
    return (
        *(_part(policy, one, identity, period_s) for one, identity, _ in pair),
        *(_samples(policy, one, few, period_s) for one, _, few in pair),
        Line(
            "e1",
            f"{criterion.metric} above {control}",
            expression=f"IF({enough}, 100 * (m1 / m2 - 1), 0)",
        ),
    )


def _part(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    metric = policy.metrics[name]
    return Line(identity, name, query(metric, metric.statistic, period_s), shown=False)


def _samples(policy: Policy, name: str, identity: str, period_s: int) -> Line:
    asked = query(policy.metrics[name], SAMPLES, period_s)
    return Line(identity, f"{name} samples", asked, shown=False)


def _term(policy: Policy, name: str, identity: str) -> str:
    """Return a line inside an expression; what is published only when it happens is 0 else."""
    return f"FILL({identity}, 0)" if policy.metrics[name].missing == "zero" else identity
