"""Checks of the metrics of a policy: whether there is such a metric, recent data, its lateness."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Final

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy, aws_metrics
from controller.core.policy.comparison import Increase
from controller.core.policy.metric_uses import known_counts
from controller.core.units import (
    MINUTE_S,
    count_text,
    duration_text,
    floor_to,
    format_duration,
    from_unix,
    measured_text,
    number_text,
)
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.metrics import Dimensions, MetricListing, MetricSource

LOOKBACK: Final = timedelta(hours=24)
_PERIOD_S: Final = 300
_MAX_SHOWN: Final = 3
_GRANT: Final = "grant cloudwatch:GetMetricData to this role, and run again"
_REACH: Final = "check its source in the policy, and the network and credentials of this process"
_NO_DATA: Final = "no data in the last 24h"
# A bound in another unit of time is off by a thousand; a generous one is off by ten.
_FAR: Final = 100


def span_until(now: datetime) -> Span:
    """Return the 24 hours before `now` in whole periods, including the one that is still open."""
    end = floor_to(now, _PERIOD_S) + _PERIOD_S
    return Span(end - int(LOOKBACK.total_seconds()), end)


def queries_of(metric: Metric) -> tuple[MetricQuery, MetricQuery]:
    """Return the queries of a metric: its sample count, and the policy's statistic."""
    return query(metric, SAMPLE_COUNT, _PERIOD_S), query(metric, metric.statistic, _PERIOD_S)


def data_check(
    name: str, metric: Metric, samples: Series, values: Series, now: datetime
) -> Check | None:
    """Return the check of a metric that has data or cannot be read; None when it has no data."""
    what = f"metric {name}"
    for series in (samples, values):
        if series.status in (QueryStatus.ERROR, QueryStatus.FORBIDDEN):
            remedy = _GRANT if metric.source is None else _REACH
            return fail(what, f"cannot be read: {series.message or series.status}", remedy)
    seconds = [second for second, count in samples.points.items() if count]
    if not seconds:
        return None
    sample_count = count_text(sum(samples.points.values()), "sample")
    if not values.points:
        return fail(
            what,
            f"has {sample_count} in the last 24h and no {metric.statistic}: its publisher "
            "sends statistic sets",
            "publish values, or judge another statistic",
        )
    age = duration_text(max(now - from_unix(max(seconds)), timedelta()))
    return ok(what, f"{sample_count} in the last 24h, the newest {age} ago")


def stable_counterpart(policy: Policy, metric: Metric) -> Metric | None:
    """Return the metric of the stable path that has data while `metric`, of the canary, has none.

    None where `metric` is not of the canary, as the target of the policy counts it.
    """
    canary, stable = _own_dimensions(policy, metric)
    if not (canary and stable) or dict(metric.dimensions) != canary:
        return None
    return policy.target.at_zero(metric.model_copy(update={"dimensions": stable}))


def has_proven_dimensions(
    policy: Policy, metric: Metric, with_data: Sequence[Metric], listed: Sequence[Dimensions] = ()
) -> bool:
    """Tell whether the dimensions of `metric` are certainly right.

    The target itself has them, or one of the metrics `with_data` of the same namespace. Or it is
    known that they name a path, and one of `listed` differs in the path alone, not in the flag.
    """
    own = [dimension for dimension in _own_dimensions(policy, metric) if dimension]
    if dict(metric.dimensions) in own or any(
        (one.place, one.dimensions) == (metric.place, metric.dimensions) for one in with_data
    ):
        return True
    names_path = known_counts(policy.target, metric) in ("canary", "stable")
    flag = metric.dimensions.get("Flag")
    return names_path and any(
        _distance(metric.dimensions, one)[:2] == (2, 0) and one.get("Flag") == flag
        for one in listed
    )


def _own_dimensions(policy: Policy, metric: Metric) -> tuple[Dimensions, Dimensions]:
    """Return the dimensions by which AWS counts the canary and the stable path of the target.

    Both are empty where `metric` is of another namespace, whose dimensions mean what they may.
    """
    source = policy.target.counted_by
    if source is None or metric.namespace != source.metrics.namespace:
        return {}, {}
    counts = (source.count("Any", one) for one in (source.dimensions, source.stable))
    canary, stable = (count.resolved(policy.target.values).dimensions for count in counts)
    return canary, stable


def missing_data_check(
    name: str, metric: Metric, listed: MetricListing, *, idle: bool = False, proven: bool = False
) -> Check:
    """Return the check of a metric without data for 24 hours, from the metrics that are listed.

    A metric that exists nowhere fails, unless AWS documents it: AWS publishes many of its metrics
    only when something happens. idle: it counts a path that has no traffic now. proven: its
    dimensions are certainly right.
    """
    what, dimensions = f"metric {name}", dict(metric.dimensions)
    if listed.missing_right:
        return warn(what, f"not checked: grant {listed.missing_right}; {_NO_DATA}")
    if listed.problem:
        return warn(what, f"not checked: {listed.problem}; {_NO_DATA}")
    if dimensions in [dict(dimension) for dimension in listed.dimensions]:
        detail = f"{_NO_DATA}; it had some in the last two weeks"
        if idle or proven:
            return ok(what, detail)
        return warn(what, detail, "fine while that path has no requests, else check its source")
    if proven and (listed.dimensions or aws_metrics.is_documented(metric)):
        return ok(what, f"{_NO_DATA}; it has some once there is something to count")
    if listed.dimensions:
        nearest = sorted(listed.dimensions, key=lambda dimension: _distance(dimensions, dimension))
        others = " or ".join(map(_text, nearest[:_MAX_SHOWN]))
        return warn(
            what,
            f"{metric.namespace} {metric.name} had no data with {_text(dimensions)} in the last "
            f"two weeks; it had some with {others}",
            "fine before the first request on that path, else correct the dimensions",
        )
    if aws_metrics.is_documented(metric):
        return warn(
            what,
            f"{metric.namespace} {metric.name} had no data in the last two weeks",
            "fine before the first request or while there is nothing to count, else check the "
            "dimensions and the region",
        )
    return _nowhere_check(what, metric, listed)


def _nowhere_check(what: str, metric: Metric, listed: MetricListing) -> Check:
    """Return the check of a metric that CloudWatch does not list and AWS does not document."""
    similar = aws_metrics.nearest_name(metric.name, listed.names)
    similar = similar or aws_metrics.nearest_documented(metric)
    detail = f"{metric.namespace} has no {metric.name} in this account and region"
    if similar:
        return fail(what, detail, f"there is {similar}: correct the policy")
    if aws_metrics.is_other_service(metric.namespace):  # it may publish that only when it happens
        return warn(what, detail, "fine while there is nothing to count, else correct the name")
    return fail(what, detail, "correct the namespace or the name, or publish it once (0 is enough)")


def field_checks(name: str, metric: Metric) -> Iterator[Check]:
    """Yield a warning for each field of a metric that is probably wrong by AWS's documentation."""
    for field, message in aws_metrics.warnings(metric):
        if field != "name":  # the account tells whether there is such a metric
            yield warn(f"metric {name}", f"{field}: {message}")


def stages_check(metrics: Mapping[str, Metric], listed: MetricListing) -> Check | None:
    """Return a warning where `metrics` add up several stages of an API; None where they do not.

    metrics: by name, those of one API, which no stage narrows. listed: what CloudWatch has of one.
    """
    ((name, api),) = next(iter(metrics.values())).dimensions.items()
    stages = {
        dimension["Stage"]
        for dimension in listed.dimensions
        if dimension.keys() == {name, "Stage"} and dimension[name] == api
    }
    if len(stages) < 2:
        return None
    return warn(
        f"metric {' and '.join(metrics)}",
        f"{name} {api} adds up the stages {' and '.join(sorted(stages))}",
        f"name the one that the callers use: dimensions: {_text({name: api, 'Stage': 'STAGE'})}",
    )


# --- Bounds ---------------------------------------------------------------------------------------


def typical_value(samples: Series, values: Series) -> float | None:
    """Return the mean of a statistic over all periods, by samples; None without data."""
    counts = {at: count for at, count in samples.points.items() if count and at in values.points}
    total = sum(counts.values())
    return sum(values.points[at] * count for at, count in counts.items()) / total if total else None


def bound_checks(policy: Policy, measured: Mapping[str, float]) -> Iterator[Check]:
    """Yield a warning for each time bound that is 100 times what was measured, or a hundredth.

    measured: the typical value of each metric that has data, by name. Such a bound is probably in
    another unit than the metric.
    """
    for name, field, bound, metric_name in _bounds(policy):
        metric, typical = policy.metrics[metric_name], measured.get(metric_name, 0.0)
        if bound and typical and not 1 / _FAR < bound / typical < _FAR:
            unit = aws_metrics.time_unit(metric)
            yield warn(
                f"criterion {name}",
                f"{field} {number_text(bound)} {unit} is far from the {metric.statistic} of the "
                f"last 24h, {measured_text(typical)} {unit}",
                f"{metric.name} is in {unit}: correct the bound, or ignore this if it is meant",
            )


def _bounds(policy: Policy) -> Iterator[tuple[str, str, float, str]]:
    """Yield each bound of a time: its criterion, its field, its value, and its metric."""
    for name, comparison in policy.comparisons():
        if comparison.metric is None or policy.metrics[comparison.metric].is_count:
            continue
        field, bound = comparison.field, comparison.limit(None)
        if isinstance(comparison.measured, Increase):
            field, bound = "baseline.fixed", comparison.measured.fixed
        if bound is not None and aws_metrics.time_unit(policy.metrics[comparison.metric]):
            yield name, field, bound, comparison.metric


# --- Text -----------------------------------------------------------------------------------------


def _distance(expected: Dimensions, listed: Dimensions) -> tuple[int, int, str]:
    """Return how far `listed` is from `expected`: differing pairs, then differing names."""
    pairs = len(set(expected.items()) ^ set(listed.items()))
    return pairs, len(set(expected) ^ set(listed)), _text(listed)


def _text(dimensions: Dimensions) -> str:
    inside = ", ".join(f"{name}: {value}" for name, value in sorted(dimensions.items()))
    return f"{{{inside}}}"


# --- How late datapoints arrive -------------------------------------------------------------------

_LATENESS_SPAN: Final = timedelta(hours=1)
# A metric with fewer datapoints, or with gaps, does not show how late they are; one without any for
# so long has stopped.
_FEWEST_POINTS: Final = 8
_LONGEST_DELAY: Final = timedelta(minutes=20)


def lateness_checks(
    source: MetricSource, policy: Policy, now: datetime, *, idle: Callable[[str], bool]
) -> Iterator[Check]:
    """Yield a warning where the newest minute of a metric is older than the policy waits for.

    idle: whether no datapoint of a metric is due, by its name: nothing requests that path.
    Raises MetricsError when the metric source cannot be read at all.
    """
    end = floor_to(now, MINUTE_S) + MINUTE_S
    queries = {
        name: query(metric, metric.statistic, MINUTE_S)
        for name, metric in policy.metrics.items()
        if not idle(name)
    }
    series = source.read(queries.values(), Span(end - int(_LATENESS_SPAN.total_seconds()), end))
    points = {name: series[one].points for name, one in queries.items()}
    late = {name: delay for name, point in points.items() if (delay := _delay(point, now))}
    late = {
        name: delay
        for name, delay in late.items()
        if policy.evaluation_delay < delay <= _LONGEST_DELAY
    }
    if not late:
        return
    most = max(late.values())
    minutes = ceil(most.total_seconds() / MINUTE_S) + 2
    yield warn(
        "evaluation delay",
        f"datapoints of {', '.join(sorted(late))} arrive more than {format_duration(most)} late, "
        f"and minutes are judged after {format_duration(policy.evaluation_delay)}: they would "
        "count as missing, and no gate would pass",
        f"write `evaluation_delay: {minutes}m`",
    )


def _delay(points: Mapping[int, float], now: datetime) -> timedelta | None:
    """Return how late the datapoint is that is due next; None where none is known to be due.

    One is due in each period of a metric that had one in each of them, as far back as was read.
    """
    seconds = sorted(points)
    if len(seconds) < _FEWEST_POINTS:
        return None
    gaps = [later - earlier for earlier, later in pairwise(seconds)]
    period = int(median(gaps))
    if max(gaps) > period:
        return None
    return timedelta(seconds=int(now.timestamp()) - seconds[-1] - 2 * period)
