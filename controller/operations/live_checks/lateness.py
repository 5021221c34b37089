"""How late the minutes of each metric arrive, beside the policy's `evaluation_delay`."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Final

from controller.core.judge.series import query
from controller.core.observation import Span
from controller.core.policy import Policy
from controller.core.units import MINUTE_S, floor_to, format_duration
from controller.operations.checks import Check, warn
from controller.ports.metrics import MetricSource

_SPAN: Final = timedelta(hours=1)
# A metric with fewer datapoints, or with gaps, does not show how late they are; one without any for
# so long has stopped.
_FEWEST_POINTS: Final = 8
_LONGEST: Final = timedelta(minutes=20)


def lateness_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a warning where the newest minute of a metric is older than the policy waits for.

    Raises MetricsError when the metric source cannot be read at all.
    """
    end = floor_to(now, MINUTE_S) + MINUTE_S
    queries = {
        name: query(metric, metric.statistic, MINUTE_S) for name, metric in policy.metrics.items()
    }
    series = source.read(queries.values(), Span(end - int(_SPAN.total_seconds()), end))
    points = {name: series[one].points for name, one in queries.items()}
    late = {name: delay for name, point in points.items() if (delay := _delay(point, now))}
    late = {
        name: delay for name, delay in late.items() if policy.evaluation_delay < delay <= _LONGEST
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
