"""Measures how many requests of the stable path have no counted success, before a rollout starts.

A load balancer also counts no answer if the client went away before it, or for a WebSocket. In a
service with many of these, a success rate by `successes` would fail every canary.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import Final

from controller.core.judge.series import query
from controller.core.observation import QueryStatus, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Comparison, Ratio
from controller.core.stats import binomial
from controller.core.units import count_text, format_percent
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.metrics import MetricSource

_DAY: Final = timedelta(hours=24)
_PERIOD_S: Final = 3_600
# A bound that leaves room for a day that is twice as bad.
_ROOM: Final = 2
# From here on a bound says nothing of a canary any more.
_LARGEST_SHARE: Final = 0.2


def unanswered_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a check of each success rate that counts successes, by a day of the stable path.

    Raises MetricsError when the metric source cannot be read at all.
    """
    end = policy.settled_end(now, _PERIOD_S)
    span = Span(end - int(_DAY.total_seconds()), end)
    for name, comparison in policy.comparisons():
        if isinstance(comparison.measured, Ratio) and comparison.measured.counts == "successes":
            yield _check(source, policy, name, comparison, span)


def _check(source: MetricSource, policy: Policy, name: str, one: Comparison, span: Span) -> Check:
    what = f"criterion {name}"
    metrics = _of_stable_path(policy, one)
    if metrics is None:
        return warn(
            what,
            "requests without a counted answer were not measured: no metric of the stable path is "
            "known",
            "name a `control` with `successes`",
        )
    queries = {key: query(metric, "Sum", _PERIOD_S) for key, metric in metrics.items()}
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
    metric, target = policy.metrics[name].resolved(policy.target.values), policy.target
    if policy.counts[name] == "both":
        return metric
    source = target.counted_by
    if source is None or not source.stable:
        return None
    canary, stable = (
        source.count(metric.name, one).resolved(target.values)
        for one in (source.dimensions, source.stable)
    )
    if (metric.namespace, metric.dimensions) != (canary.namespace, canary.dimensions):
        return None
    return target.at_zero(metric.model_copy(update={"dimensions": stable.dimensions}))


def _rounded_up(share: float) -> float:
    """Return `share` with one digit, and no less: 0.0042 is 0.005."""
    digit = 10.0 ** floor(log10(share))
    return ceil(share / digit - 1e-9) * digit
