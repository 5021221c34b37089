"""Parts of the monitoring of a policy: alarms, dashboard, widgets and lines, without AWS syntax."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Increase, Ratio
from controller.immutable import Immutable

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


def single_line(name: str, metric: Metric, period_s: int) -> tuple[Line]:
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


def increase_lines(
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
