"""How many cold starts a rollout causes, and on which path."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.series import query
from controller.core.observation import MetricQuery, Span
from controller.core.policy import Policy
from controller.core.units import count_text, floor_to
from controller.errors import MetricsError
from controller.operations.checks import Check, ok, warn
from controller.ports.metrics import MetricSource

_DAY: Final = timedelta(days=1)
_PERIOD_S: Final = 300


def cold_start_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a warning where each change of the weight makes both paths cold; else what it does.

    Nothing is yielded for a target whose changes make nothing cold.
    """
    cold = policy.target.cold_starts
    if cold is None:
        return
    changes = count_text(len(policy.steps), "change")
    if cold.concurrency is None:
        yield ok("cold starts", f"{cold.text}: {changes} in this rollout")
        return
    most = _most_at_once(source, query(cold.concurrency, "Maximum", _PERIOD_S), now)
    number = f"up to {most:,} each time" if most else "no metric shows how many"
    yield warn(
        "cold starts", f"{cold.text}: {changes} in this rollout, one more for a rollback; {number}"
    )


def _most_at_once(source: MetricSource, concurrency: MetricQuery, now: datetime) -> int:
    """Return how many environments were busy at once in the last day; 0: unknown."""
    end = floor_to(now, _PERIOD_S)
    try:
        series = source.read([concurrency], Span(end - int(_DAY.total_seconds()), end))
    except MetricsError:  # the checks of the policy's metrics report it
        return 0
    return round(max(series[concurrency].points.values(), default=0))
