"""Whether judged metrics count others than the canary: they had traffic while its weight was 0."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Final, NamedTuple

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import Series, Span, TargetReading
from controller.core.policy import Policy
from controller.core.policy.aws_metrics import may_count_requests
from controller.core.policy.counts import Uses
from controller.core.policy.model import PROBE_MARGIN
from controller.core.units import ceil_to, clock_text, from_unix, number_text
from controller.operations.live_checks.target import exposures_of
from controller.ports.metrics import MetricSource
from controller.ports.store import Exposures

# How far back it is looked, in periods that every metric has and a single request is seen in.
_LOOK_BACK: Final = timedelta(hours=1)
_PERIOD_S: Final = 300
# A weight that was just lowered still has requests, and metrics of them arrive late.
_AFTER_EXPOSURE: Final = timedelta(minutes=15)
# Steady: requests in half of the periods, and in three at least. A person who tries the canary out
# makes fewer; one request in five minutes makes more in seven hours of eight (Poisson).
_MIN_PERIODS: Final = 3

REMEDY: Final = (
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
    metrics = {
        name: metric
        for name, metric in policy.metrics.items()
        if metric.counts not in ("both", "stable")
        and may_count_requests(metric)  # a level has a value at 0% as well
        and Uses.of(metric, policy.metrics, policy.criteria.items()).judged
    }
    span = _span_at_zero(owners, policy, reading, now)
    if span is None or not metrics:
        return None
    queries = {
        name: query(metric, metric.statistic if metric.is_count else SAMPLE_COUNT, _PERIOD_S)
        for name, metric in metrics.items()
    }
    series = source.read(queries.values(), span)
    counted = {name: _counted(series[one], span) for name, one in queries.items()}
    foreign = {name: one for name, one in counted.items() if _is_foreign(one, span, policy)}
    return _text(foreign, span) if foreign else None


def _span_at_zero(
    owners: Exposures, policy: Policy, reading: TargetReading, now: datetime
) -> Span | None:
    """Return the settled time in which the weight was 0, as far as rollouts tell; None: too short.

    A weight that was set outside rolloutctl is in no rollout.
    """
    if reading.weight != 0:
        return None
    ends = [end for _, _, end in exposures_of(owners, policy, reading)]
    end = policy.settled_end(now, _PERIOD_S)
    begin = end - int(_LOOK_BACK.total_seconds())
    for ended in ends:
        if ended is None:  # when that weight went back to 0 is unknown
            return None
        begin = max(begin, ceil_to(ceil((ended + _AFTER_EXPOSURE).timestamp()), _PERIOD_S))
    return Span(begin, end) if end - begin >= _MIN_PERIODS * _PERIOD_S else None


def _counted(series: Series, span: Span) -> _Counted:
    values = [
        point for at, point in series.points.items() if span.start <= at < span.end and point > 0
    ]
    return _Counted(sum(values), len(values))


def _is_foreign(counted: _Counted, span: Span, policy: Policy) -> bool:
    periods = (span.end - span.start) / _PERIOD_S
    if counted.periods < max(_MIN_PERIODS, periods / 2):
        return False
    allowed = PROBE_MARGIN * (policy.probes_per_minute or 0) * (span.end - span.start) / 60
    return counted.requests > allowed


def _text(foreign: Mapping[str, _Counted], span: Span) -> str:
    figures = ", ".join(
        f"metric {name} counted {number_text(round(one.requests))}" for name, one in foreign.items()
    )
    begin, end = clock_text(from_unix(span.start)), clock_text(from_unix(span.end))
    return (
        f"{figures} from {begin} to {end}, while the canary had 0%: other requests are counted "
        "too, and failures of the canary would be lost among them"
    )
