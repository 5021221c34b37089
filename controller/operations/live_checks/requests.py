"""Checks of whose requests are counted, and how they end, before a rollout starts.

Metrics of the canary may count others: they had traffic while its weight was 0. And requests of the
stable path may have no counted success: a load balancer also counts no answer if the client went
away before it, or for a WebSocket. In a service with many of these, a success rate by `successes`
would fail every canary.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import Final, NamedTuple

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import QueryStatus, Series, Span, TargetReading
from controller.core.policy import Metric, Policy
from controller.core.policy.aws_metrics import may_count_requests
from controller.core.policy.comparison import Comparison, Ratio
from controller.core.policy.metric_uses import Uses
from controller.core.policy.model import PROBE_MARGIN
from controller.core.stats import binomial
from controller.core.units import (
    ceil_to,
    clock_text,
    count_text,
    format_percent,
    from_unix,
    number_text,
)
from controller.operations.checks import Check, fail, ok, warn
from controller.operations.live_checks.metrics import stable_counterpart
from controller.operations.live_checks.target import exposures_of
from controller.ports.metrics import MetricSource
from controller.ports.store import Exposures

# --- Requests of others ---------------------------------------------------------------------------

# How far back it is looked, in periods that every metric has and a single request is seen in.
_STEADY_SPAN: Final = timedelta(hours=1)
_STEADY_PERIOD_S: Final = 300
# A weight that was just lowered still has requests, and metrics of them arrive late.
_AFTER_EXPOSURE: Final = timedelta(minutes=15)
# Steady: requests in half of the periods, and in three at least. A person who tries the canary out
# makes fewer; one request in five minutes makes more in seven hours of eight (Poisson).
_MIN_PERIODS: Final = 3

FOREIGN_REMEDY: Final = (
    "name metrics of the canary, write `counts: both` (judged as it is, labelled diluted), or "
    "declare probes with `probes_per_minute`"
)


class _Counted(NamedTuple):
    """The requests (or samples) that one metric counted, and in how many periods."""

    requests: float
    periods: int


def foreign_requests(
    source: MetricSource, owners: Exposures, policy: Policy, reading: TargetReading, now: datetime
) -> str | None:
    """Return which judged metrics count steady traffic while the weight is 0, and how much.

    Metrics that state `counts: both` or `counts: stable` may. None where no other one does, and
    where it is unknown: the weight is above 0, or was within the last half hour. Raises
    MetricsError when the metric source cannot be read at all.
    """
    references = {name: criterion.references for name, criterion in policy.criteria.items()}
    metrics = {
        name: metric
        for name, metric in policy.metrics.items()
        if metric.counts not in ("both", "stable")
        and may_count_requests(metric)  # a level has a value at 0% as well
        and Uses.of(metric, policy.metrics, references).judged
    }
    span = _span_at_zero(owners, policy, reading, now)
    if span is None or not metrics:
        return None
    queries = {
        name: query(metric, metric.statistic if metric.is_count else SAMPLE_COUNT, _STEADY_PERIOD_S)
        for name, metric in metrics.items()
    }
    series = source.read(queries.values(), span)
    counted = {name: _counted(series[one], span) for name, one in queries.items()}
    foreign = {name: one for name, one in counted.items() if _is_foreign(one, span, policy)}
    return _foreign_text(foreign, span) if foreign else None


def _span_at_zero(
    owners: Exposures, policy: Policy, reading: TargetReading, now: datetime
) -> Span | None:
    """Return the settled time in which the weight was 0, as far as rollouts tell; None: too short.

    A weight that was set outside rolloutctl is in no rollout.
    """
    if reading.weight != 0:
        return None
    ends = [end for _, _, end in exposures_of(owners, policy, reading)]
    end = policy.settled_end(now, _STEADY_PERIOD_S)
    begin = end - int(_STEADY_SPAN.total_seconds())
    for ended in ends:
        if ended is None:  # when that weight went back to 0 is unknown
            return None
        begin = max(begin, ceil_to(ceil((ended + _AFTER_EXPOSURE).timestamp()), _STEADY_PERIOD_S))
    return Span(begin, end) if end - begin >= _MIN_PERIODS * _STEADY_PERIOD_S else None


def _counted(series: Series, span: Span) -> _Counted:
    values = [
        point for at, point in series.points.items() if span.start <= at < span.end and point > 0
    ]
    return _Counted(sum(values), len(values))


def _is_foreign(counted: _Counted, span: Span, policy: Policy) -> bool:
    periods = (span.end - span.start) / _STEADY_PERIOD_S
    if counted.periods < max(_MIN_PERIODS, periods / 2):
        return False
    allowed = PROBE_MARGIN * (policy.probes_per_minute or 0) * (span.end - span.start) / 60
    return counted.requests > allowed


def _foreign_text(foreign: Mapping[str, _Counted], span: Span) -> str:
    figures = ", ".join(
        f"metric {name} counted {number_text(round(one.requests))}" for name, one in foreign.items()
    )
    begin, end = clock_text(from_unix(span.start)), clock_text(from_unix(span.end))
    return (
        f"{figures} from {begin} to {end}, while the canary had 0%: other requests are counted "
        "too, and failures of the canary would be lost among them"
    )


# --- Requests without a counted answer ------------------------------------------------------------

_DAY: Final = timedelta(hours=24)
_HOUR_S: Final = 3_600
# A bound that leaves room for a day that is twice as bad.
_ROOM: Final = 2
# From here on a bound says nothing of a canary any more.
_LARGEST_SHARE: Final = 0.2


def unanswered_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a check of each success rate that counts successes, by a day of the stable path.

    Raises MetricsError when the metric source cannot be read at all.
    """
    end = policy.settled_end(now, _HOUR_S)
    span = Span(end - int(_DAY.total_seconds()), end)
    for name, comparison in policy.comparisons():
        if isinstance(comparison.measured, Ratio) and comparison.measured.counts == "successes":
            yield _unanswered_check(source, policy, name, comparison, span)


def _unanswered_check(
    source: MetricSource, policy: Policy, name: str, one: Comparison, span: Span
) -> Check:
    what = f"criterion {name}"
    metrics = _of_stable_path(policy, one)
    if metrics is None:
        return warn(
            what,
            "requests without a counted answer were not measured: no metric of the stable path is "
            "known",
            "name a `control` with `successes`",
        )
    queries = {key: query(metric, "Sum", _HOUR_S) for key, metric in metrics.items()}
    series = source.read(queries.values(), span)
    counts = {key: sum(series[one].points.values()) for key, one in queries.items()}
    total_name, *success_names = counts
    total = counts[total_name]
    unread = [one.message for one in series.values() if one.status is not QueryStatus.COMPLETE]
    silent = [
        key
        for key in success_names
        if not series[queries[key]].points and metrics[key].missing != "zero"
    ]
    if not any(counts[key] for key in success_names):  # more likely no metric than no answer
        silent = success_names
    if unread or silent or total <= 0:
        why = unread[0] if unread else f"{(silent or [total_name])[0]} has no data in the last 24h"
        return warn(
            what,
            f"requests of the stable path without a counted answer were not measured: {why}",
        )
    failed = max(0.0, total - sum(counts[key] for key in success_names))
    share, allowed = failed / total, one.share_bound
    detail = (
        f"{format_percent(share, 2)} of the stable path's "
        f"{count_text(round(total), 'request')} in the last 24h ({total_name}) are in none of "
        f"{', '.join(success_names)}, {format_percent(allowed)} allowed"
    )
    if not binomial.is_above(allowed, round(failed), round(total)):
        return ok(what, detail)
    detail += (
        ". A canary like that would fail. A WebSocket, or a client that goes away early, has no "
        "counted answer either"
    )
    remedy = "find out what these requests are"
    if share * _ROOM < _LARGEST_SHARE:
        bound = format_percent(1 - _rounded_up(share * _ROOM))
        remedy += f", or allow twice as many: `min: {bound}`"
    return (
        fail(what, detail, remedy) if policy.criteria[name].gating else warn(what, detail, remedy)
    )


def _of_stable_path(policy: Policy, compared: Comparison) -> dict[str, Metric] | None:
    """Return the total and the successes of the stable path by name; None: they are not known."""
    control, target = compared.control, policy.target
    if isinstance(control, Ratio) and control.counts == "successes":
        metrics = {name: policy.metrics[name].resolved(target.values) for name in control.metrics}
        return {name: target.at_zero(metric) for name, metric in metrics.items()}
    names = compared.measured.metrics if isinstance(compared.measured, Ratio) else ()
    known = {name: one for name in names if (one := _on_stable_path(policy, name)) is not None}
    return known if len(known) == len(names) else None


def _on_stable_path(policy: Policy, name: str) -> Metric | None:
    """Return what counts on the stable path what this metric counts on the canary; None: unknown.

    A metric of both paths counts the stable path while the weight is 0.
    """
    metric = policy.metrics[name].resolved(policy.target.values)
    return metric if policy.counts[name] == "both" else stable_counterpart(policy, metric)


def _rounded_up(share: float) -> float:
    """Return `share` with one digit, and no less: 0.0042 is 0.005."""
    digit = 10.0 ** floor(log10(share))
    return ceil(share / digit - 1e-9) * digit
