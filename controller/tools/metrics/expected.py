"""What `rolloutctl metrics` reads, for how long, and what criteria expect of it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Final, TypeAlias

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import query
from controller.core.observation import MetricQuery, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Comparison, Increase, Level
from controller.core.units import (
    MINUTE_S,
    floor_to,
    format_duration,
    format_percent,
    measured_text,
    number_text,
)
from controller.immutable import Immutable
from controller.ports import api_gateway

# The longest span that is read; a bound on a longer window is not evaluated.
MAX_MINUTES: Final = 180

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]


class MetricView(Immutable):
    """One metric with one statistic, minute by minute.

    name: its name in the policy; empty for a related metric that the policy does not name.
    alias: the name in the policy of the same metric with any statistic, or that of CloudWatch.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """Name and statistic: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def query(self) -> MetricQuery:
        """The CloudWatch query, one datapoint a minute."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def metric_views(policy: Policy) -> list[MetricView]:
    """Return the views of `policy` in the order of its metrics, without duplicates.

    A metric of an API Gateway adds the API's requests, 4XX, 5XX, latency p50, p95, p99 and
    integration latency p95.
    """
    names = {key_of(metric): name for name, metric in policy.metrics.items()}
    aliases = {key_of(metric, ""): name for name, metric in policy.metrics.items()}
    views: dict[_Key, MetricView] = {}
    for metric in policy.metrics.values():
        for one in (*_related_metrics(metric), metric):
            alias = aliases.get(key_of(one, ""), one.name)
            views.setdefault(key_of(one), MetricView(names.get(key_of(one), ""), alias, one))
    return list(views.values())


def _related_metrics(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != api_gateway.NAMESPACE:
        return
    for name in (api_gateway.REQUESTS, *api_gateway.error_metrics(metric.dimensions)):
        yield _sibling(metric, name, "Sum", "")
    for statistic in api_gateway.PERCENTILES:
        yield _sibling(metric, api_gateway.LATENCY, statistic, "ms")
    yield _sibling(metric, api_gateway.INTEGRATION_LATENCY, "p95", "ms")


def _sibling(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )


def key_of(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.place, metric.name, known, dimensions


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes to read: the newest `minutes`, or the longest window of a bound.

    Unsettled minutes come on top: a lower bound is evaluated on settled minutes only.
    """
    levels = (
        comparison
        for _, comparison in policy.comparisons()
        if isinstance(comparison.measured, Level)
    )
    longest = max([minutes, *(window_minutes(level.window) for level in levels)])
    longest += unsettled_minutes(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def unsettled_minutes(policy: Policy) -> int:
    """Return how many of the newest minutes may still receive data."""
    return -int(-policy.evaluation_delay.total_seconds() // MINUTE_S)


def window_minutes(window: timedelta | None) -> int:
    """Return the minutes of `window`; -1 for a whole step, and for more than MAX_MINUTES."""
    minutes = -1 if window is None else int(window.total_seconds()) // MINUTE_S
    return minutes if minutes <= MAX_MINUTES else -1


# --- Expected values ------------------------------------------------------------------------------


class ExpectedRange(Immutable):
    """What one criterion expects: a value from `low` to `high`.

    window_minutes: how many of the newest minutes are added up; 0: each minute by itself;
    -1: a longer window, so the range is not evaluated.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    window_minutes: int = 0

    def contains(self, value: float) -> bool:
        """Tell whether `value` is within the range."""
        return self.low <= value <= self.high


def metric_expectations(
    policy: Policy, metric: Metric, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[ExpectedRange]:
    """Yield the ranges that criteria expect of `metric` alone, whatever they call it."""
    for criterion, comparison in policy.comparisons():
        stored = baselines.get(criterion)
        limit = comparison.limit(None if stored is None else stored.value)
        named = policy.metrics[comparison.metric] if comparison.metric else None
        if named is None or key_of(named) != key_of(metric) or limit is None:
            continue
        is_stored = isinstance(comparison.measured, Increase)
        number = measured_text(limit) if is_stored else number_text(limit)
        text = f"{number} {named.unit}".rstrip()
        if not metric.is_count:
            yield range_of(policy, criterion, comparison, text, limit)
            continue
        over = "the step" if comparison.window is None else format_duration(comparison.window)
        minutes = window_minutes(comparison.window)
        yield range_of(policy, criterion, comparison, f"{text} in {over}", limit, minutes)


def range_of(
    policy: Policy,
    criterion: str,
    one: Comparison,
    text: str,
    bound: float,
    window_minutes: int = 0,
) -> ExpectedRange:
    """Return the range on the right side of `bound`, which `text` says."""
    low, high = (-inf, bound) if one.is_maximum else (bound, inf)
    text = f"{'≤' if one.is_maximum else '≥'} {text}{_steps_text(policy, criterion)}"
    return ExpectedRange(criterion, text, low, high, window_minutes)


def stated_range(policy: Policy, name: str) -> ExpectedRange:
    """Return what a criterion expects in the words of its judge; no number is held against it."""
    judge = judge_of(name, policy.criteria[name], policy)
    text = f"{judge.target_text()}{_steps_text(policy, name)}"
    return ExpectedRange(name, text, window_minutes=-1)


def ratio_range(policy: Policy, name: str, compared: Sequence[Comparison]) -> ExpectedRange:
    one = compared[0]
    if one.follows_weight:
        return stated_range(policy, name)
    if one.and_window is None:
        return range_of(policy, name, one, format_percent(one.bound), one.bound)
    # Each is breached only together with a shorter window, as `plan` says.
    longest = [(format_percent(each.bound), each.window) for each in compared]
    texts = [f"≤ {share} in {format_duration(window)}" for share, window in longest if window]
    return ExpectedRange(name, f"{', '.join(texts)}{_steps_text(policy, name)}", window_minutes=-1)


def _steps_text(policy: Policy, criterion: str) -> str:
    """Return which steps judge `criterion`, by their weights; empty where all do."""
    steps = range(len(policy.steps))
    judging = [str(policy.steps[step].weight) for step in steps if criterion in policy.gate(step)]
    if len(judging) == len(steps):
        return ""
    return f", judged at {', '.join(judging)}%" if judging else ", judged in no step"
